//! Certificates that are trusted: those of the script, or of the system.
//!
//! Not here: where the system has its own (`roots`), which of them are asked (`trust`). Invariant: of
//! what the script gives only authorities may vouch for others; every certificate is known by itself,
//! too, whatever it says. A device's own certificate must not make its key one that can sign for any
//! name.

use rustls::pki_types::CertificateDer;
use rustls::{DistinguishedName, RootCertStore};

use super::der::Certificate;
use super::pem::{Bundle, Pem};
use crate::sync::Arc;

/// The certificates that the script gave, or that the system has.
#[derive(Debug)]
pub(super) struct Given {
    pub(super) store: Arc<RootCertStore>,
    all: Vec<CertificateDer<'static>>,
    /// What of them could not be used, in words, if there is any.
    pub(super) left_out: Option<Arc<str>>,
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

    pub(super) fn read(&self) -> impl Iterator<Item = Certificate<'_>> {
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
