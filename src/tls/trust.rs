//! Whom a setting trusts, and what is asked of a certificate that is known by itself.
//!
//! Not here: the certificates (`given`), what is asked of a peer's chain (`verifier`).

use rustls::CertificateError;
use rustls::client::verify_server_name;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;

use super::der::{Certificate, Host};
use super::fingerprint::Fingerprint;
use super::given::Given;
use super::{roots, verdict};
use crate::error::{Code, Error};

/// What is asked of a server's certificate.
#[derive(Debug)]
pub(super) enum Trust {
    /// Nothing.
    Anyone,
    /// It has one of these fingerprints; nothing else.
    Fingerprints(Vec<Fingerprint>),
    /// It is one of these, or a chain leads to one that is an authority.
    Given(Given),
    /// A chain to one of the system's roots.
    System,
}

impl Trust {
    /// The certificates to believe; none where they are not what decides.
    ///
    /// # Errors
    /// The system has none.
    pub(super) fn known(&self) -> Result<Option<&Given>, Error> {
        match self {
            Self::Anyone | Self::Fingerprints(_) => Ok(None),
            Self::Given(given) => Ok(Some(given)),
            Self::System => of_system().map(Some),
        }
    }

    pub(super) fn given(&self) -> Option<&Given> {
        self.known().ok().flatten()
    }
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
