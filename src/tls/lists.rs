//! Revocation lists: which certificates their issuers have called back (RFC 5280, 5).
//!
//! Not here: the check of a chain by them, which is rustls'. This reads what lists say of themselves, so
//! that a refusal can name the list, and serves for certificates that are known by themselves. Invariant:
//! a list that exists here is one that rustls can read; nothing about it fails later but its signature
//! and its time.

use once_cell::sync::OnceCell;
use rustls::client::WebPkiServerVerifier;
use rustls::crypto::{CryptoProvider, WebPkiSupportedAlgorithms};
use rustls::pki_types::{CertificateDer, CertificateRevocationListDer, Der, TrustAnchor, UnixTime};
use rustls::server::VerifierBuilderError;
use rustls::{CertRevocationListError, CertificateError, RootCertStore};

use super::der::{self, BIT_STRING, Certificate, INTEGER, PublicKey, Reader, SEQUENCE, framed};
use super::given::Given;
use super::pem::Pem;
use super::signed::remembering;
use super::verdict::said;
use crate::error::{Code, Error};
use crate::quote::named;
use crate::sync::Arc;

/// The lists of one setting, for one role.
#[derive(Debug)]
pub(super) struct Lists {
    source: String,
    provider: Arc<CryptoProvider>,
    /// The newest first, as rustls asks the first that speaks of a certificate.
    all: Vec<CertificateRevocationListDer<'static>>,
    /// Verifies chains of servers. The system's roots may come later than the lists.
    chains: OnceCell<Option<Arc<WebPkiServerVerifier>>>,
}

/// What a list says.
struct List<'a> {
    /// What is signed, with its frame.
    content: Vec<u8>,
    /// The content of the identifier of how.
    algorithm: &'a [u8],
    signature: &'a [u8],
    issuer: &'a [u8],
    /// When it was made, and when there is to be another.
    from: i64,
    to: Option<i64>,
    /// The content of the sequence of what is called back.
    entries: &'a [u8],
    /// 1 or 2.
    version: u8,
}

/// A certificate of a chain, with the key of its issuer if that is known.
struct Link<'a> {
    certificate: Certificate<'a>,
    key: Option<PublicKey<'a>>,
}

impl Lists {
    /// # Errors
    /// One of them can't be used; the reason names the source.
    pub(super) fn new(pem: &Pem, provider: &Arc<CryptoProvider>) -> Result<Self, String> {
        let mut all = Vec::new();
        for (index, list) in pem.lists()?.into_iter().enumerate() {
            let from = check(&list, provider);
            let from = from.map_err(|why| format!("{}: list {} {why}", pem.source, index + 1))?;
            all.push((from, CertificateRevocationListDer::from(list)));
        }
        all.sort_by_key(|(from, _)| std::cmp::Reverse(*from));
        let mut provider = CryptoProvider::clone(provider);
        provider.signature_verification_algorithms =
            remembering(provider.signature_verification_algorithms);
        Ok(Self {
            source: pem.source.clone(),
            provider: Arc::new(provider),
            all: all.into_iter().map(|(_, list)| list).collect(),
            chains: OnceCell::new(),
        })
    }

    /// What rustls builds its verifiers with: its provider with a memory for lists.
    pub(super) fn provider(&self) -> Arc<CryptoProvider> {
        Arc::clone(&self.provider)
    }

    /// The same for the lists.
    pub(super) fn all(&self) -> Vec<CertificateRevocationListDer<'static>> {
        self.all.clone()
    }

    /// Verifies chains of servers by the lists; none where no authority is known. The certificates are
    /// the same at each call.
    pub(super) fn chains(&self, store: &Arc<RootCertStore>) -> Option<&WebPkiServerVerifier> {
        let built = self.chains.get_or_init(|| {
            let provider = Arc::clone(&self.provider);
            let builder = WebPkiServerVerifier::builder_with_provider(Arc::clone(store), provider);
            builder.with_crls(self.all()).enforce_revocation_expiration().build().ok()
        });
        built.as_deref()
    }

    /// What whoever gave the lists should know of them now, in words: one that is out of date, or that is
    /// not signed by the authority of its name.
    pub(super) fn remarks(&self, given: Option<&Given>) -> Option<String> {
        let now = seconds(UnixTime::now());
        let remarks: Vec<String> = self
            .read()
            .filter_map(|list| {
                let is_old = |list: &List<'_>| list.to.is_some_and(|to| to <= now);
                let is_of_same = |other: &List<'_>| other.issuer == list.issuer;
                if is_old(&list) {
                    let is_replaced = self.read().filter(is_of_same).any(|list| !is_old(&list));
                    (!is_replaced).then(|| self.outdated(&list))
                } else if given.is_some_and(|given| self.is_signed(&list, given) == Some(false)) {
                    Some(self.unsigned(&list))
                } else {
                    None
                }
            })
            .collect();
        (!remarks.is_empty()).then(|| remarks.join("; "))
    }

    /// Why a certificate that is known by itself is not believed all the same: its issuer has called it
    /// back. It needs no list; one that is not signed by the issuer, where that is known, says nothing.
    pub(super) fn refusal(&self, certificate: &[u8], given: &Given) -> Option<Error> {
        let certificate = Certificate::read(certificate)?;
        let link = Link { certificate, key: None };
        let (list, at) = self.entry(&link, |list| self.is_signed(list, given) != Some(false))?;
        Some(self.revoked(&link, &list, at, true))
    }

    /// What an error of rustls about lists says of those of this setting; none if it is about anything
    /// else. `chain`: as the peer sent it, its own certificate first.
    pub(super) fn explain(
        &self,
        error: &rustls::Error,
        chain: &[&CertificateDer<'_>],
        store: Option<&RootCertStore>,
    ) -> Option<Error> {
        use CertificateError as C;
        let path = path(chain, store);
        match error {
            rustls::Error::InvalidCertificate(C::Revoked) => {
                let found = path.iter().enumerate().find_map(|(place, link)| {
                    let (list, at) = self.entry(link, |_| true)?;
                    Some(self.revoked(link, &list, at, place == 0))
                });
                Some(found.unwrap_or_else(|| {
                    let text =
                        format!("a certificate of the chain was revoked, by {}", self.source);
                    said(Code::TlsRevoked, &text)
                }))
            }
            rustls::Error::InvalidCertificate(C::UnknownRevocationStatus) => {
                let lacks = |link: &&Link<'_>| self.of_issuer(link).next().is_none();
                let without = path.iter().find(lacks);
                Some(self.unknown(without.or(path.first())?, without.is_some()))
            }
            rustls::Error::InvalidCertificate(
                C::ExpiredRevocationList | C::ExpiredRevocationListContext { .. },
            ) => {
                let now = seconds(UnixTime::now());
                let is_old = |list: &List<'_>| list.to.is_some_and(|to| to <= now);
                let first = |link| self.of_issuer(link).next();
                let old = path.iter().filter_map(first).find(is_old)?;
                Some(said(Code::TlsExpired, &self.outdated(&old)))
            }
            rustls::Error::InvalidCertRevocationList(problem) => {
                Some(self.unusable(problem, &path))
            }
            _ => None,
        }
    }

    fn read(&self) -> impl Iterator<Item = List<'_>> {
        self.all.iter().filter_map(|der| List::read(der))
    }

    fn of_issuer<'a>(&'a self, link: &Link<'_>) -> impl Iterator<Item = List<'a>> {
        let issuer = link.certificate.issuer;
        self.read().filter(move |list| list.issuer == issuer)
    }

    /// The list that calls it back, and since when; of those that count.
    fn entry(
        &self,
        link: &Link<'_>,
        counts: impl Fn(&List<'_>) -> bool,
    ) -> Option<(List<'_>, Option<i64>)> {
        self.of_issuer(link).find_map(|list| {
            let since = list.entry(link.certificate.serial)?;
            counts(&list).then_some((list, since))
        })
    }

    /// Whether one of the certificates of its issuer's name has signed it; none if there is none.
    fn is_signed(&self, list: &List<'_>, given: &Given) -> Option<bool> {
        let algorithms = &self.provider.signature_verification_algorithms;
        let signers = given.read().filter(|read| read.subject == list.issuer);
        let verdicts = signers
            .map(|read| read.public_key().is_some_and(|key| list.is_signed_by(&key, algorithms)));
        verdicts.reduce(|one, other| one || other)
    }

    fn revoked(&self, link: &Link<'_>, list: &List<'_>, at: Option<i64>, is_own: bool) -> Error {
        let whose = if is_own {
            String::new()
        } else {
            format!(" of its authority {}", title(link.certificate.subject))
        };
        let since = at.map_or(String::new(), |at| format!(" on {}", der::date(at)));
        let named = self.name(list);
        let text = format!("the certificate{whose} was revoked by its issuer{since} ({named})");
        said(Code::TlsRevoked, &text)
    }

    fn unknown(&self, link: &Link<'_>, is_missing: bool) -> Error {
        let (source, issuer) = (&self.source, title(link.certificate.issuer));
        let subject = title(link.certificate.subject);
        let text = if is_missing {
            format!(
                "nobody knows whether the certificate of {subject} was revoked: {source} has no list of \
                 its issuer {issuer}; get that list and give it, too"
            )
        } else {
            format!(
                "nobody knows whether the certificate of {subject} was revoked: the list of its issuer \
                 {issuer} in {source} is about others of its certificates; get the list for this one \
                 and give it, too"
            )
        };
        said(Code::TlsUnknownIssuer, &text)
    }

    fn outdated(&self, list: &List<'_>) -> String {
        let until = list.to.map_or(String::new(), der::date);
        let (source, issuer) = (&self.source, title(list.issuer));
        format!(
            "the list of revoked certificates of {issuer} in {source} was to be replaced by {until}: get \
             the new one and give it, and see that this machine's clock is right"
        )
    }

    fn unsigned(&self, list: &List<'_>) -> String {
        let (source, issuer) = (&self.source, title(list.issuer));
        format!(
            "the list of revoked certificates of {issuer} in {source} is not signed by the key of that \
             name: get it anew from its issuer"
        )
    }

    /// A list that speaks of the chain, but that nobody can rely on.
    fn unusable(&self, problem: &CertRevocationListError, path: &[Link<'_>]) -> Error {
        use CertRevocationListError as E;
        let algorithms = &self.provider.signature_verification_algorithms;
        let mut lists = path
            .iter()
            .filter_map(|link| Some((link, self.of_issuer(link).next()?)))
            .collect::<Vec<_>>();
        let is_wrong = |(link, list): &(&Link<'_>, List<'_>)| {
            link.key.as_ref().is_some_and(|key| !list.is_signed_by(key, algorithms))
        };
        let at = lists.iter().position(is_wrong).unwrap_or_default();
        let Some((_, list)) = (at < lists.len()).then(|| lists.swap_remove(at)) else {
            let text = format!("a list of revoked certificates in {} is of no use", self.source);
            return said(Code::TlsBadCertificate, &text);
        };
        match problem {
            E::BadSignature => said(Code::TlsBadSignature, &self.unsigned(&list)),
            E::IssuerInvalidForCrl => {
                let (source, issuer) = (&self.source, title(list.issuer));
                let text = format!(
                    "{issuer} may not sign lists of revoked certificates, as its own certificate says \
                     (key usage without cRLSign), and has signed the one in {source}"
                );
                said(Code::TlsBadCertificate, &text)
            }
            _ => {
                let text = format!("{} is signed in a way that is not accepted", self.name(&list));
                said(Code::TlsWeak, &text)
            }
        }
    }

    fn name(&self, list: &List<'_>) -> String {
        let (source, issuer, from) = (&self.source, title(list.issuer), der::date(list.from));
        format!("{source}: the list of {issuer} of {from}")
    }
}

impl<'a> List<'a> {
    fn read(der: &'a [u8]) -> Option<Self> {
        let mut whole = Reader(Reader(der).expect(SEQUENCE)?);
        let content = whole.expect(SEQUENCE)?;
        let algorithm = whole.expect(SEQUENCE)?;
        let signature = whole.expect(BIT_STRING)?.get(1..)?;
        let mut body = Reader(content);
        let mut version = 1;
        if body.0.first() == Some(&INTEGER) {
            version = body.expect(INTEGER)?.last()?.checked_add(1)?;
        }
        body.expect(SEQUENCE)?;
        let issuer = body.expect(SEQUENCE)?;
        let from = body.moment()?;
        let to = match body.0.first() {
            Some(0x17 | 0x18) => Some(body.moment()?),
            _ => None,
        };
        let entries = match body.0.first() {
            Some(&SEQUENCE) => body.expect(SEQUENCE)?,
            _ => &[],
        };
        let content = framed(SEQUENCE, content);
        Some(Self { content, algorithm, signature, issuer, from, to, entries, version })
    }

    /// Since when the certificate with that number is called back, if it is.
    #[allow(clippy::option_option)]
    fn entry(&self, serial: &[u8]) -> Option<Option<i64>> {
        let mut entries = Reader(self.entries);
        while let Some(entry) = entries.expect(SEQUENCE) {
            let mut entry = Reader(entry);
            if entry.expect(INTEGER)? == serial {
                return Some(entry.moment());
            }
        }
        None
    }

    fn is_signed_by(&self, key: &PublicKey<'_>, algorithms: &WebPkiSupportedAlgorithms) -> bool {
        let mut fitting = algorithms.all.iter().filter(|algorithm| {
            *algorithm.signature_alg_id() == *self.algorithm
                && key.is_of(&algorithm.public_key_alg_id())
        });
        fitting.any(|algorithm| {
            algorithm.verify_signature(key.bits, &self.content, self.signature).is_ok()
        })
    }
}

/// When it was made; or why nobody here can use it, to be said of a list.
fn check(der: &[u8], provider: &Arc<CryptoProvider>) -> Result<i64, String> {
    use CertRevocationListError as E;
    let Some(list) = List::read(der) else { return Err("is damaged".to_owned()) };
    if list.version != 2 {
        let text = "is of version 1: have its issuer write its number into it (of OpenSSL's, \
                    'crl_extensions' with crlNumber)";
        return Err(text.to_owned());
    }
    if list.to.is_none() {
        return Err("does not say until when it holds (nextUpdate)".to_owned());
    }
    // rustls reads lists only for a verifier, which wants an authority.
    let nobody = TrustAnchor {
        subject: Der::from_slice(&[]),
        subject_public_key_info: Der::from_slice(&[]),
        name_constraints: None,
    };
    let store = Arc::new(RootCertStore { roots: vec![nobody] });
    let built = WebPkiServerVerifier::builder_with_provider(store, Arc::clone(provider))
        .with_crls(
            [CertificateRevocationListDer::from(der)].map(|list| list.as_ref().to_vec().into()),
        )
        .build();
    match built {
        Ok(_) => Ok(list.from),
        Err(VerifierBuilderError::InvalidCrl(problem)) => Err(match problem {
            E::UnsupportedDeltaCrl => {
                "is a delta list, which can't be used: give the whole list".to_owned()
            }
            E::UnsupportedIndirectCrl => {
                "is an indirect list, which can't be used: give those of the issuers".to_owned()
            }
            E::UnsupportedCriticalExtension => "has an unknown critical extension".to_owned(),
            _ => "is damaged".to_owned(),
        }),
        Err(_) => Err("is damaged".to_owned()),
    }
}

/// The way from the peer's own certificate up to one that is trusted, by names; that one is no part of
/// it.
fn path<'a>(chain: &[&'a CertificateDer<'_>], store: Option<&'a RootCertStore>) -> Vec<Link<'a>> {
    let mut others: Vec<Certificate<'a>> =
        chain.iter().filter_map(|der| Certificate::read(der)).collect();
    let mut path = Vec::new();
    if others.is_empty() {
        return path;
    }
    let mut next = Some(others.remove(0));
    while let Some(certificate) = next.take() {
        let issuer = certificate.issuer;
        let mut anchors = store.iter().flat_map(|store| &store.roots);
        let mut key = None;
        if let Some(anchor) = anchors.find(|anchor| anchor.subject.as_ref() == issuer) {
            key = PublicKey::read(&anchor.subject_public_key_info);
        } else if let Some(at) = others.iter().position(|one| one.subject == issuer) {
            let above = others.swap_remove(at);
            key = above.public_key();
            next = Some(above);
        }
        path.push(Link { certificate, key });
    }
    path
}

fn title(name: &[u8]) -> String {
    der::common_name(name)
        .map_or_else(|| "without a name".to_owned(), |text| named(text.as_bytes()))
}

fn seconds(moment: UnixTime) -> i64 {
    i64::try_from(moment.as_secs()).unwrap_or(i64::MAX)
}
