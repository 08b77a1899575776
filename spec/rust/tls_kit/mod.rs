//! What the tests of TLS share: authorities, certificates and sessions joined by byte vectors.
#![allow(clippy::unwrap_used, dead_code, missing_docs, unreachable_pub)]

pub mod meeting;
pub mod player;
pub mod raw;
pub mod seal;
pub mod surgery;
pub mod talk;

use std::sync::Arc;

use evsock::error::Error;
use evsock::tls::{Config, Pem, Session, Settings};
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa,
    Issuer, KeyPair, KeyUsagePurpose, SignatureAlgorithm, SigningKey,
};

/// A certificate with its key and the others to send along, in PEM.
#[derive(Clone, Debug)]
pub struct Identity {
    pub chain: String,
    pub key: String,
}

/// An authority.
pub struct Ca<K: SigningKey = KeyPair> {
    pub pem: String,
    pub issuer: Issuer<'static, K>,
    /// What a server sends after its own certificate.
    pub above: String,
}

pub fn key_of(kind: &'static SignatureAlgorithm) -> KeyPair {
    KeyPair::generate_for(kind).unwrap()
}

pub fn any_key() -> KeyPair {
    key_of(&rcgen::PKCS_ECDSA_P256_SHA256)
}

/// The settings of an authority's certificate.
pub fn ca_params(name: &str) -> CertificateParams {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.distinguished_name = named(name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params
}

/// The settings of a server's certificate.
pub fn leaf_params(names: &[&str]) -> CertificateParams {
    let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
    let mut params = CertificateParams::new(names).unwrap();
    params.distinguished_name = named("leaf");
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    params
}

pub fn named(name: &str) -> DistinguishedName {
    let mut names = DistinguishedName::new();
    names.push(DnType::CommonName, name);
    names
}

impl Ca {
    pub fn new(name: &str) -> Self {
        Self::with(ca_params(name), any_key())
    }

    pub fn with(params: CertificateParams, key: KeyPair) -> Self {
        let pem = params.self_signed(&key).unwrap().pem();
        Self { pem, issuer: Issuer::new(params, key), above: String::new() }
    }
}

impl<K: SigningKey> Ca<K> {
    /// An authority below this one.
    pub fn below<L: SigningKey>(&self, params: CertificateParams, key: L) -> Ca<L> {
        let pem = params.signed_by(&key, &self.issuer).unwrap().pem();
        let above = format!("{pem}{}", self.above);
        Ca { pem, issuer: Issuer::new(params, key), above }
    }

    pub fn leaf(&self, names: &[&str]) -> Identity {
        self.sign(&leaf_params(names), &any_key())
    }

    pub fn sign(&self, params: &CertificateParams, key: &KeyPair) -> Identity {
        let leaf = params.signed_by(key, &self.issuer).unwrap().pem();
        Identity { chain: format!("{leaf}{}", self.above), key: key.serialize_pem() }
    }
}

pub fn pem(source: &str, text: &str) -> Pem {
    Pem { source: source.to_owned(), text: text.as_bytes().to_vec() }
}

/// Settings of a client that trusts `ca`.
pub fn client_of(ca: &Ca) -> Settings {
    Settings { ca: Some(pem("cafile ca.pem", &ca.pem)), ..Settings::default() }
}

/// Settings with a certificate of its own.
pub fn with_identity(settings: Settings, identity: &Identity) -> Settings {
    Settings {
        cert: Some(pem("certfile cert.pem", &identity.chain)),
        key: Some(pem("keyfile key.pem", &identity.key)),
        ..settings
    }
}

pub fn server_of(identity: &Identity) -> Settings {
    with_identity(Settings::default(), identity)
}

/// One end, with what it received, decrypted and wants to send.
pub struct End {
    pub session: Session,
    pub cipher: Vec<u8>,
    pub plain: Vec<u8>,
    pub out: Vec<u8>,
    pub failure: Option<Error>,
    /// Everything it ever sent.
    pub sent: Vec<u8>,
}

impl End {
    pub fn new(session: Session) -> Self {
        let (cipher, plain, out, sent) = Default::default();
        Self { session, cipher, plain, out, failure: None, sent }
    }

    pub fn close(&mut self) {
        self.session.close(&mut self.out);
    }

    pub fn feed(&mut self, bytes: &[u8]) {
        self.cipher.extend_from_slice(bytes);
        if self.failure.is_none() {
            let done = self.session.receive(&mut self.cipher, &mut self.plain, &mut self.out);
            self.failure = done.err();
        }
    }

    /// What it wants to send.
    pub fn take(&mut self) -> Vec<u8> {
        let bytes = std::mem::take(&mut self.out);
        self.sent.extend_from_slice(&bytes);
        bytes
    }
}

/// A client and a server, joined.
pub struct Pair {
    pub client: End,
    pub server: End,
}

impl Pair {
    pub fn new(client: &Settings, server: &Settings, host: &str) -> Self {
        let (client, server) = (Config::client(client).unwrap(), Config::server(server).unwrap());
        Self::of(&client, &server, host)
    }

    pub fn of(client: &Arc<Config>, server: &Arc<Config>, host: &str) -> Self {
        let mut client = End::new(Session::client(client, host).unwrap());
        client.session.start(&mut client.out).unwrap();
        Self { client, server: End::new(Session::server(server).unwrap()) }
    }

    /// Carries everything over, whole, until nobody has anything left to send.
    pub fn pass(&mut self) {
        self.pass_in(usize::MAX);
    }

    /// The same in pieces of at most `size` bytes.
    pub fn pass_in(&mut self, size: usize) {
        loop {
            let (up, down) = (self.client.take(), self.server.take());
            if up.is_empty() && down.is_empty() {
                return;
            }
            up.chunks(size.min(up.len().max(1))).for_each(|bytes| self.server.feed(bytes));
            down.chunks(size.min(down.len().max(1))).for_each(|bytes| self.client.feed(bytes));
        }
    }

    #[track_caller]
    pub fn shake_hands(&mut self) {
        self.pass();
        assert_eq!((&self.client.failure, &self.server.failure), (&None, &None));
        assert!(self.client.session.is_secured() && self.server.session.is_secured());
    }
}

/// An RSA key, as making one takes long and not every library can.
pub fn rsa_key() -> KeyPair {
    KeyPair::from_pem(include_str!("rsa.pem")).unwrap()
}
