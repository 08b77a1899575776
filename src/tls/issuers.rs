//! Who of those that a peer sends along may have issued its certificate.
//!
//! Not here: the judgement of the chain, which is rustls'. rustls searches all ways there are, with no
//! other bound than a count of steps, and reads everything anew at each: a peer could keep us busy for
//! seconds with what it can send at once. It does not ask either whether an authority's key may sign
//! certificates (RFC 5280, 4.2.1.3). Invariant: at most [`ISSUERS`] are looked through, at most
//! [`NAMESAKES`] of one name, so the ways are few; who is left out is never believed.

use rustls::CertificateError;
use rustls::pki_types::CertificateDer;

use super::der::Certificate;
use super::verdict::{carry, said};
use crate::error::Code;
use crate::limits::{ISSUERS, NAMESAKES};

/// Those who may have issued one of the chain, nearest first.
#[derive(Debug, Default)]
pub(super) struct Issuers<'a> {
    pub(super) chosen: Vec<CertificateDer<'a>>,
    /// One whose key may not sign certificates was left out.
    has_unable: bool,
    /// Some were left out for being too many.
    has_more: bool,
}

impl<'a> Issuers<'a> {
    /// Of `others`, upwards from `certificate`.
    pub(super) fn among(
        certificate: &CertificateDer<'_>,
        others: &'a [CertificateDer<'_>],
    ) -> Self {
        let mut issuers = Self::default();
        let Some(own) = Certificate::read(certificate) else { return issuers };
        let read = others.iter().filter(|der| *der != certificate);
        let read = read.filter_map(|der| Some((der.as_ref(), Certificate::read(der)?)));
        let sent: Vec<(&'a [u8], Certificate<'a>)> = read.collect();
        let mut wanted = vec![own.issuer];
        let mut at = 0;
        while let Some(&name) = wanted.get(at) {
            at += 1;
            issuers.choose(name, &sent);
            for (_, one) in sent.iter().filter(|(_, one)| one.subject == name) {
                if !wanted.contains(&one.issuer) && wanted.len() <= ISSUERS {
                    wanted.push(one.issuer);
                }
            }
        }
        issuers
    }

    fn choose(&mut self, name: &[u8], sent: &[(&'a [u8], Certificate<'a>)]) {
        let mut namesakes = 0;
        for (der, one) in sent.iter().filter(|(_, one)| one.subject == name) {
            if self.chosen.iter().any(|other| other.as_ref() == *der) {
                continue;
            }
            if one.is_unable() {
                self.has_unable = true;
            } else if namesakes == NAMESAKES || self.chosen.len() == ISSUERS {
                self.has_more = true;
            } else {
                self.chosen.push(CertificateDer::from(*der));
                namesakes += 1;
            }
        }
    }

    /// Why no way was found, if that is for those who were left out.
    pub(super) fn explain(&self, error: rustls::Error) -> rustls::Error {
        let rustls::Error::InvalidCertificate(
            CertificateError::UnknownIssuer | CertificateError::BadSignature,
        ) = &error
        else {
            return error;
        };
        let text = if self.has_unable {
            "its issuer may not sign certificates, as its key usage leaves that out"
        } else if self.has_more {
            "the peer sends more that may have issued it than can be looked through"
        } else {
            return error;
        };
        carry(said(Code::TlsBadCertificate, &format!("the certificate is not acceptable: {text}")))
    }
}
