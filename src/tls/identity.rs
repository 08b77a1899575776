//! The identity: our own certificate and its key.
//!
//! Not here: whether a peer accepts it. Any version of certificate will do, and one that is not in
//! force: a device whose clock stands at 1970 must start, and a simulated one may have to show an old
//! certificate. That is told, and refuses nothing.

use rustls::crypto::CryptoProvider;
use rustls::pki_types::UnixTime;
use rustls::sign::CertifiedKey;

use super::der::{self, Certificate, PublicKey};
use super::pem::Pem;
use super::settings::Settings;
use crate::error::{Code, Error};

/// A certificate with its chain and key, fit for use.
#[derive(Debug)]
pub(super) struct Identity {
    pub(super) key: CertifiedKey,
    /// What is wrong with it, but not so much that it could not be used.
    pub(super) notice: Option<Error>,
}

impl Identity {
    /// The one that the settings name, if they do.
    ///
    /// # Errors
    /// The reason, which names the source of what is wrong.
    pub(super) fn new(
        settings: &Settings,
        provider: &CryptoProvider,
    ) -> Result<Option<Self>, String> {
        let (cert, key) = match (&settings.cert, &settings.key) {
            (None, None) => return Ok(None),
            (None, Some(key)) => {
                return Err(format!("{}: a key without its certificate", key.source));
            }
            (Some(cert), Some(key)) => (cert, key),
            (Some(cert), None) => (cert, cert),
        };
        let chain = cert.certificates()?;
        if settings.key.is_none() && !cert.has_key() {
            return Err(format!("{}: a certificate without its key", cert.source));
        }
        let mut read = Vec::with_capacity(chain.len());
        for (index, certificate) in chain.iter().enumerate() {
            read.push(Certificate::read(certificate).ok_or_else(|| cert.damaged(index))?);
        }
        let notice = read.iter().enumerate().find_map(|(index, one)| check_dates(cert, index, one));
        let private = provider.key_provider.load_private_key(key.key()?).map_err(|_| {
            format!("{}: the private key is of a kind that is not accepted", key.source)
        })?;
        if let Some(public) = private.public_key() {
            let public = PublicKey::read_framed(&public).ok_or_else(|| cert.damaged(0))?;
            match read.iter().position(|one| one.public_key().is_some_and(|key| key.is(&public))) {
                Some(0) => {}
                Some(index) => return Err(misplaced(cert, key, index)),
                None => return Err(strange(cert, key)),
            }
        }
        Ok(Some(Self { key: CertifiedKey::new(chain, private), notice }))
    }
}

fn strange(cert: &Pem, key: &Pem) -> String {
    format!("{}: the key of another certificate than {}", key.source, cert.source)
}

fn misplaced(cert: &Pem, key: &Pem, index: usize) -> String {
    let source = &cert.source;
    format!("{source}: certificate {} is the one of {}, and must come first", index + 1, key.source)
}

fn check_dates(pem: &Pem, index: usize, certificate: &Certificate<'_>) -> Option<Error> {
    let now = i64::try_from(UnixTime::now().as_secs()).unwrap_or(i64::MAX);
    let which = format!("{}: certificate {}", pem.source, index + 1);
    let refused = "peers that verify refuse it";
    let Some((from, to)) = certificate.dates() else {
        let text = format!("{which} has dates that nobody can read; {refused}");
        return Some(Error::new(Code::TlsBadCertificate, text));
    };
    if now > to {
        let text = format!("{which} expired on {}; {refused}", der::date(to));
        return Some(Error::new(Code::TlsExpired, text));
    }
    if now < from {
        let text = format!("{which} is not valid before {}; {refused}", der::date(from));
        return Some(Error::new(Code::TlsNotYetValid, text));
    }
    None
}
