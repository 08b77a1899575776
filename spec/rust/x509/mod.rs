//! Certificates of any make, well signed, and rows that say what becomes of a chain of them.
//!
//! Not here: the rows themselves, one file for each kind. Invariant: nothing is left to chance: a key
//! follows from its label, so the same row has the same bytes at each run. Only dates near now move.
#![allow(clippy::unwrap_used, missing_docs, unreachable_pub)]

pub mod anchors;
pub mod chains;
pub mod fields;
pub mod graphs;
pub mod hosts;
pub mod names;
pub mod purposes;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use evsock::error::Code;
use rcgen::{KeyPair, PublicKeyData, SigningKey};
use rustls::pki_types::PrivatePkcs8KeyDer;

use crate::tls_kit::surgery::{extension, parts, sequence, tlv};

pub const HOST: &str = "a.example";
/// Identifiers of extensions are 2.5.29 and one of these.
pub const KEY_USAGE: u8 = 15;
pub const ALTERNATIVE_NAMES: u8 = 17;
pub const BASIC_CONSTRAINTS: u8 = 19;
pub const NAME_CONSTRAINTS: u8 = 30;
pub const POLICIES: u8 = 32;
pub const POLICY_CONSTRAINTS: u8 = 36;
pub const PURPOSES: u8 = 37;
/// Content of the identifier of Ed25519 (1.3.101.112).
const ED25519: &[u8] = &[0x2b, 0x65, 0x70];
/// Bits of a key usage.
pub const SIGNS_DATA: u8 = 0x80;
pub const ENCIPHERS_KEYS: u8 = 0x20;
pub const SIGNS_CERTIFICATES: u8 = 0x04;
pub const SIGNS_LISTS: u8 = 0x02;

pub type Der = Vec<u8>;
pub type Verdict = Result<(), Code>;

/// What is expected of one chain.
#[derive(Clone)]
pub struct Row {
    /// A sentence.
    pub name: &'static str,
    /// What a client says to a server that shows it.
    pub said: Verdict,
    /// What a server says to a client that shows it: nobody asks a client for its name.
    pub to_client: Verdict,
    /// Where RFC 5280 says something else: what, and why it is safe.
    pub departs: Option<&'static str>,
    pub shown: Shown,
}

/// What is trusted, and what is shown to those who trust it.
#[derive(Clone)]
pub struct Shown {
    pub trusted: Vec<Der>,
    pub chain: Vec<Der>,
    pub host: String,
    pub insecure_name: bool,
    /// The label of the key of the first certificate; none if nobody can sign with it.
    pub key: Option<String>,
}

/// A row whose chain is accepted.
pub fn accepts(name: &'static str, shown: Shown) -> Row {
    row(name, Ok(()), shown)
}

/// A row whose chain is refused with that code.
pub fn refuses(code: Code, name: &'static str, shown: Shown) -> Row {
    row(name, Err(code), shown)
}

pub fn row(name: &'static str, said: Verdict, shown: Shown) -> Row {
    let to_client = if said == Err(Code::TlsBadHostname) { Ok(()) } else { said };
    Row { name, said, to_client, departs: None, shown }
}

impl Row {
    pub fn departs(self, why: &'static str) -> Self {
        Self { departs: Some(why), ..self }
    }

    /// What a server says to such a client, where that is something else.
    pub fn of_clients(self, to_client: Verdict) -> Self {
        Self { to_client, ..self }
    }
}

impl Shown {
    pub fn host(self, host: &str) -> Self {
        Self { host: host.to_owned(), ..self }
    }

    pub fn for_any_name(self) -> Self {
        Self { insecure_name: true, ..self }
    }

    /// Shows another behind the others.
    pub fn also(mut self, der: Der) -> Self {
        self.chain.push(der);
        self
    }

    pub fn trusting(self, trusted: &[Der]) -> Self {
        Self { trusted: trusted.to_vec(), ..self }
    }

    /// The shown ones in another order, some left out, some twice.
    pub fn order(self, order: &[usize]) -> Self {
        let chain = order.iter().map(|at| self.chain[*at].clone()).collect();
        Self { chain, ..self }
    }

    /// Changes the bytes of one that is shown.
    pub fn damage(mut self, at: usize, change: impl FnOnce(&mut Der)) -> Self {
        change(&mut self.chain[at]);
        self
    }
}

/// What is to be in a certificate.
#[derive(Clone)]
pub struct Cert {
    /// Its key follows from it.
    pub label: String,
    /// As in the certificate, 2 for version 3; none leaves it out.
    pub version: Option<u8>,
    pub serial: Der,
    pub subject: Der,
    /// In place of the name of whoever signs it.
    pub issuer: Option<Der>,
    pub from: Der,
    pub to: Der,
    /// In place of the key's own description.
    pub key: Option<Der>,
    /// Between the key and the extensions.
    pub unique: Der,
    pub extensions: Vec<Der>,
    /// The algorithm of its signature, inside and outside.
    pub algorithms: [Der; 2],
}

impl Cert {
    fn new(label: &str) -> Self {
        Self {
            label: label.to_owned(),
            version: Some(2),
            serial: vec![0x2a],
            subject: common_name(label),
            issuer: None,
            from: utc("200101000000Z"),
            to: utc("491231235959Z"),
            key: None,
            unique: Der::new(),
            extensions: Vec::new(),
            algorithms: [algorithm(ED25519), algorithm(ED25519)],
        }
    }

    /// With that extension in place of another of its kind.
    pub fn with(mut self, extension: Der) -> Self {
        let kind = parts(&extension).swap_remove(0);
        match self.extensions.iter_mut().find(|one| parts(one)[0] == kind) {
            Some(one) => *one = extension,
            None => self.extensions.push(extension),
        }
        self
    }

    /// With that extension beside others of its kind.
    pub fn also(mut self, extension: Der) -> Self {
        self.extensions.push(extension);
        self
    }

    pub fn without(mut self, kind: u8) -> Self {
        self.extensions.retain(|one| parts(one)[0] != tlv(6, &[0x55, 0x1d, kind]));
        self
    }

    /// With other fields.
    pub fn set(mut self, change: impl FnOnce(&mut Self)) -> Self {
        change(&mut self);
        self
    }

    pub fn dated(self, from: Der, to: Der) -> Self {
        Self { from, to, ..self }
    }

    /// With another key than that of its label.
    pub fn keyed(self, label: &str) -> Self {
        Self { label: label.to_owned(), ..self }
    }

    /// Its signature says that it is of that kind (the content of an identifier).
    pub fn signed_with(self, name: &[u8]) -> Self {
        Self { algorithms: [algorithm(name), algorithm(name)], ..self }
    }

    pub fn by_itself(&self) -> Der {
        self.by(self)
    }

    pub fn by(&self, issuer: &Self) -> Der {
        let key = self.key.clone().unwrap_or_else(|| key(&self.label).subject_public_key_info());
        let mut body = Vec::new();
        body.extend(self.version.map(|number| tlv(0xa0, &tlv(2, &[number]))));
        body.push(tlv(2, &self.serial));
        body.push(self.algorithms[0].clone());
        body.push(self.issuer.clone().unwrap_or_else(|| issuer.subject.clone()));
        body.push(sequence(&[self.from.clone(), self.to.clone()]));
        body.extend([self.subject.clone(), key, self.unique.clone()]);
        if self.version == Some(2) {
            body.push(tlv(0xa3, &sequence(&self.extensions)));
        }
        let body = sequence(&body);
        let mut signature = self::key(&issuer.label).sign(&body).unwrap();
        signature.insert(0, 0);
        sequence(&[body, self.algorithms[1].clone(), tlv(3, &signature)])
    }
}

/// An authority of that name.
pub fn authority(label: &str) -> Cert {
    Cert::new(label)
        .with(basic_constraints(true, None))
        .with(key_usage(SIGNS_CERTIFICATES | SIGNS_LISTS))
}

pub fn root() -> Cert {
    authority("root")
}

pub fn between() -> Cert {
    authority("between")
}

/// For `HOST`, and for both ends.
pub fn leaf() -> Cert {
    Cert::new("leaf")
        .with(key_usage(SIGNS_DATA))
        .with(alternative_names(&[dns(HOST)]))
        .with(purposes(&[SERVERS, CLIENTS]))
}

/// Each of them by the one before it; the first is trusted and not shown.
#[allow(clippy::needless_pass_by_value)]
pub fn path<const N: usize>(certs: [Cert; N]) -> Shown {
    let signed = certs.windows(2).map(|pair| pair[1].by(&pair[0]));
    let mut chain: Vec<Der> = signed.collect();
    chain.reverse();
    let last = &certs[N - 1];
    Shown {
        trusted: vec![certs[0].by_itself()],
        chain,
        host: HOST.to_owned(),
        insecure_name: false,
        key: last.key.is_none().then(|| last.label.clone()),
    }
}

/// The key that follows from a label. It takes long to load one.
fn key(label: &str) -> Arc<KeyPair> {
    static KEYS: Mutex<BTreeMap<String, Arc<KeyPair>>> = Mutex::new(BTreeMap::new());
    let load = || KeyPair::try_from(&PrivatePkcs8KeyDer::from(key_der(label))).unwrap();
    let mut keys = KEYS.lock().unwrap();
    Arc::clone(keys.entry(label.to_owned()).or_insert_with(|| Arc::new(load())))
}

/// The same as PKCS#8 has it (RFC 8410, 7).
pub fn key_der(label: &str) -> Der {
    let mut seed = [0x5a_u8; 32];
    for (at, byte) in label.bytes().enumerate() {
        seed[at % 32] = seed[at % 32].wrapping_mul(31).wrapping_add(byte);
    }
    sequence(&[tlv(2, &[0]), algorithm(ED25519), tlv(4, &tlv(4, &seed))])
}

/// An `AlgorithmIdentifier` without parameters.
pub fn algorithm(name: &[u8]) -> Der {
    sequence(&[tlv(6, name)])
}

pub fn common_name(name: &str) -> Der {
    directory(0x0c, name.as_bytes())
}

/// A name of one part, whose text has that tag.
pub fn directory(tag: u8, text: &[u8]) -> Der {
    let pair = sequence(&[tlv(6, &[0x55, 4, 3]), tlv(tag, text)]);
    sequence(&[tlv(0x31, &pair)])
}

pub fn utc(text: &str) -> Der {
    tlv(0x17, text.as_bytes())
}

pub fn general(text: &str) -> Der {
    tlv(0x18, text.as_bytes())
}

// Extensions ------------------------------------------------------------------------------------

/// One of 2.5.29.
pub fn standard(kind: u8, critical: bool, value: &[u8]) -> Der {
    extension(&[0x55, 0x1d, kind], critical, value)
}

pub fn basic_constraints(is_ca: bool, length: Option<u8>) -> Der {
    let flag = if is_ca { tlv(1, &[0xff]) } else { Der::new() };
    let length = length.map(|length| tlv(2, &[length])).unwrap_or_default();
    standard(BASIC_CONSTRAINTS, true, &sequence(&[flag, length]))
}

pub fn key_usage(bits: u8) -> Der {
    let unused = u8::try_from(bits.trailing_zeros().min(7)).unwrap();
    standard(KEY_USAGE, true, &tlv(3, &[unused, bits]))
}

/// Identifiers of purposes are 1.3.6.1.5.5.7.3 and one of these.
pub const SERVERS: u8 = 1;
pub const CLIENTS: u8 = 2;
pub const CODE: u8 = 3;
pub const MAIL: u8 = 4;

pub fn purposes(list: &[u8]) -> Der {
    let one = |last: &u8| tlv(6, &[0x2b, 6, 1, 5, 5, 7, 3, *last]);
    standard(PURPOSES, false, &sequence(&list.iter().map(one).collect::<Vec<_>>()))
}

pub fn alternative_names(names: &[Der]) -> Der {
    standard(ALTERNATIVE_NAMES, false, &sequence(names))
}

pub fn permits(names: &[Der]) -> Der {
    constraints(true, names, &[])
}

pub fn excludes(names: &[Der]) -> Der {
    constraints(true, &[], names)
}

pub fn constraints(critical: bool, permitted: &[Der], excluded: &[Der]) -> Der {
    let trees = |tag: u8, names: &[Der]| {
        let trees = names.iter().map(|name| sequence(std::slice::from_ref(name)));
        let trees: Vec<Der> = trees.collect();
        if trees.is_empty() { Der::new() } else { tlv(tag, &trees.concat()) }
    };
    let value = sequence(&[trees(0xa0, permitted), trees(0xa1, excluded)]);
    standard(NAME_CONSTRAINTS, critical, &value)
}

// General names ---------------------------------------------------------------------------------

pub fn mail(name: &str) -> Der {
    tlv(0x81, name.as_bytes())
}

pub fn dns(name: &str) -> Der {
    tlv(0x82, name.as_bytes())
}

pub fn uri(name: &str) -> Der {
    tlv(0x86, name.as_bytes())
}

pub fn address(bytes: &[u8]) -> Der {
    tlv(0x87, bytes)
}

pub fn directory_name(name: &str) -> Der {
    tlv(0xa4, &common_name(name))
}
