//! What is known of peers beforehand: the certificates that the script or the system trusts.
//!
//! Not here: what is asked of a peer's chain (`verifier`). Invariant: of what the script gives only
//! authorities may vouch for others; every certificate is known by itself, too, whatever it says. A
//! device's own certificate must not make its key one that can sign for any name.

use rustls::client::verify_server_name;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{CertificateError, DistinguishedName, RootCertStore};

use super::der::{Certificate, Host};
use super::pem::{Bundle, Pem};
use super::{roots, verdict};
use crate::error::{Code, Error};
use crate::sync::Arc;

/// What is asked of a server's certificate.
#[derive(Debug)]
pub(super) enum Trust {
    /// Nothing.
    Anyone,
    /// It is one of these, or a chain leads to one that is an authority.
    Given(Given),
    /// A chain to one of the system's roots.
    System,
}

/// The certificates that the script gave, or that the system has.
#[derive(Debug)]
pub(super) struct Given {
    pub(super) store: Arc<RootCertStore>,
    all: Vec<CertificateDer<'static>>,
    /// What of them could not be used, in words, if there is any.
    pub(super) left_out: Option<Arc<str>>,
}

impl Trust {
    /// The certificates to believe; none where anybody is believed.
    ///
    /// # Errors
    /// The system has none.
    pub(super) fn known(&self) -> Result<Option<&Given>, Error> {
        match self {
            Self::Anyone => Ok(None),
            Self::Given(given) => Ok(Some(given)),
            Self::System => of_system().map(Some),
        }
    }

    pub(super) fn given(&self) -> Option<&Given> {
        self.known().ok().flatten()
    }
}

impl Given {
    /// Certificates of the script. What is none is left out.
    ///
    /// # Errors
    /// There is no other: the first reason, with its source.
    pub(super) fn new(ca: &Pem) -> Result<Self, String> {
        let Bundle { certificates, mut left_out } = ca.bundle()?;
        let mut store = RootCertStore::empty();
        let mut all = Vec::with_capacity(certificates.len());
        for (index, certificate) in certificates {
            let Some(read) = Certificate::read(&certificate) else {
                left_out.push(ca.damaged(index));
                continue;
            };
            if read.is_authority() {
                // One that rustls can't build chains on is still known by itself.
                drop(store.add(certificate.clone()));
            }
            all.push(certificate);
        }
        match left_out.first() {
            Some(why) if all.is_empty() => Err(why.clone()),
            _ => Ok(Self { store: Arc::new(store), all, left_out: told(&left_out) }),
        }
    }

    /// Those of the system. Of authorities only what chains need is kept.
    pub(super) fn of_system(certificates: Vec<CertificateDer<'static>>) -> Self {
        let is_authority = |der: &CertificateDer<'_>| {
            Certificate::read(der).is_some_and(|read| read.is_authority())
        };
        let (authorities, all) = certificates.into_iter().partition::<Vec<_>, _>(is_authority);
        let mut store = RootCertStore::empty();
        store.add_parsable_certificates(authorities);
        Self { store: Arc::new(store), all, left_out: None }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.store.is_empty() && self.all.is_empty()
    }

    /// Whether this very certificate is trusted. Devices come with certificates that they
    /// signed themselves and that call themselves authorities, which no chain may begin with.
    pub(super) fn has(&self, certificate: &CertificateDer<'_>) -> bool {
        self.all.contains(certificate)
    }

    /// Whether one of that name is trusted for itself, but may not vouch for others.
    pub(super) fn has_only_for_itself(&self, subject: &[u8]) -> bool {
        let named = self.store.roots.iter().any(|anchor| anchor.subject.as_ref() == subject);
        !named && self.read().any(|read| read.subject == subject)
    }

    /// What a server tells clients, which choose a certificate by it: by whom it should be issued.
    pub(super) fn hints(&self) -> Vec<DistinguishedName> {
        let mut hints = self.store.subjects();
        let others = self.read().filter(|read| !read.is_authority());
        for name in others.map(|read| DistinguishedName::in_sequence(read.issuer)) {
            if !hints.iter().any(|hint| hint.as_ref() == name.as_ref()) {
                hints.push(name);
            }
        }
        hints
    }

    fn read(&self) -> impl Iterator<Item = Certificate<'_>> {
        self.all.iter().filter_map(|certificate| Certificate::read(certificate))
    }
}

/// What was left out of a bundle, for people.
fn told(left_out: &[String]) -> Option<Arc<str>> {
    let first = left_out.first()?;
    Some(match left_out.len() - 1 {
        0 => format!("{first}; it is left out").into(),
        more => format!("{first}; it and {more} more are left out").into(),
    })
}

fn of_system() -> Result<&'static Given, Error> {
    let found = roots::loaded()
        .ok_or_else(|| verdict::said(Code::Internal, "the system's roots are not loaded yet"))?;
    match &found.problem {
        None => Ok(&found.given),
        Some(problem) => {
            let text = format!("this machine has no trusted roots to verify with ({problem})");
            Err(verdict::said(Code::TlsNoRoots, &text))
        }
    }
}

/// Whether a certificate that is known by itself is in force.
pub(super) fn verify_dates(
    certificate: &CertificateDer<'_>,
    now: UnixTime,
) -> Result<(), CertificateError> {
    let dates = Certificate::read(certificate).and_then(|read| read.dates());
    let (from, to) = dates.ok_or(CertificateError::BadEncoding)?;
    let second = i64::try_from(now.as_secs()).unwrap_or(i64::MAX);
    let moment = |seconds: i64| {
        let since = u64::try_from(seconds).unwrap_or_default();
        UnixTime::since_unix_epoch(std::time::Duration::from_secs(since))
    };
    if second < from {
        return Err(CertificateError::NotValidYetContext { time: now, not_before: moment(from) });
    }
    if second > to {
        return Err(CertificateError::ExpiredContext { time: now, not_after: moment(to) });
    }
    Ok(())
}

/// Whether a certificate that is known by itself is for that host. Where it can't list hosts, as in
/// version 1, its subject is the host: that is safe where the certificate itself is known.
pub(super) fn verify_name(
    certificate: &CertificateDer<'_>,
    name: &ServerName<'_>,
) -> Result<(), rustls::Error> {
    let read = Certificate::read(certificate).ok_or(CertificateError::BadEncoding)?;
    let listed = read.hosts();
    if listed.is_some()
        && let Ok(parsed) = ParsedCertificate::try_from(certificate)
    {
        return verify_server_name(&parsed, name);
    }
    let hosts = listed.unwrap_or_else(|| read.common_name().map(host).into_iter().collect());
    if hosts.iter().any(|host| is_for(host, name)) {
        return Ok(());
    }
    let expected = name.to_owned();
    let presented = hosts.iter().map(ToString::to_string).collect();
    Err(CertificateError::NotValidForNameContext { expected, presented }.into())
}

fn host(text: &str) -> Host {
    text.parse().map_or_else(|_| Host::Name(text.to_owned()), Host::Address)
}

fn is_for(host: &Host, wanted: &ServerName<'_>) -> bool {
    match (host, wanted) {
        (Host::Address(address), ServerName::IpAddress(wanted)) => {
            *address == std::net::IpAddr::from(*wanted)
        }
        (Host::Name(name), ServerName::DnsName(wanted)) => {
            let wanted = wanted.as_ref().trim_end_matches('.');
            // A wildcard stands for one label (RFC 6125, 6.4.3).
            let above = name.strip_prefix("*.").filter(|above| above.contains('.'));
            let same = |above: &str| {
                wanted.split_once('.').is_some_and(|(_, rest)| rest.eq_ignore_ascii_case(above))
            };
            name.eq_ignore_ascii_case(wanted) || above.is_some_and(same)
        }
        _ => false,
    }
}
