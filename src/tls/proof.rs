//! The signature of a handshake: whether the peer has the key of its certificate.
//!
//! Not here: whose certificate that is. rustls checks signatures of certificates that it can read;
//! this does it for those that are known by themselves, and for those that nobody verifies: devices
//! come with certificates against all rules, and with keys that no library of ours knows. Invariant:
//! a signature that can be checked is checked, whatever the settings say.

use rustls::crypto::WebPkiSupportedAlgorithms;
use rustls::pki_types::CertificateDer;
use rustls::{CertificateError, DigitallySignedStruct, PeerMisbehaved, SignatureScheme};

use super::der::{Certificate, PublicKey};
use super::verdict;
use crate::error::{Code, Error};

/// What ring and aws-lc-rs accept; shorter ones are too weak.
const RSA_BITS: std::ops::RangeInclusive<usize> = 2048..=8192;

/// What a signature turned out to be.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Proof {
    Good,
    /// Nobody here can tell.
    Unknown,
    Wrong,
}

/// Versions differ in what a scheme means: in 1.2 it does not say on which curve.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Protocol {
    Tls12,
    Tls13,
}

/// Schemes for keys that can't be checked here, the best first.
const FOREIGN: [SignatureScheme; 5] = [
    SignatureScheme::ED448,
    SignatureScheme::ECDSA_NISTP521_SHA512,
    PSS_SHA256,
    PSS_SHA384,
    PSS_SHA512,
];
/// RSA keys that are for PSS alone (RFC 8446, 4.2.3).
const PSS_SHA256: SignatureScheme = SignatureScheme::Unknown(0x0809);
const PSS_SHA384: SignatureScheme = SignatureScheme::Unknown(0x080a);
const PSS_SHA512: SignatureScheme = SignatureScheme::Unknown(0x080b);
/// Schemes of TLS 1.2 that are out of use.
const LEGACY: [SignatureScheme; 2] =
    [SignatureScheme::RSA_PKCS1_SHA1, SignatureScheme::ECDSA_SHA1_Legacy];

/// What is offered to servers that nobody verifies.
pub(super) fn all_schemes(algorithms: &WebPkiSupportedAlgorithms) -> Vec<SignatureScheme> {
    let mut schemes = algorithms.supported_schemes();
    for scheme in FOREIGN.into_iter().chain(LEGACY) {
        if !schemes.contains(&scheme) {
            schemes.push(scheme);
        }
    }
    schemes
}

/// Refuses what is wrong, and what can't be checked.
pub(super) fn demand(
    message: &[u8],
    certificate: &CertificateDer<'_>,
    signed: &DigitallySignedStruct,
    algorithms: &WebPkiSupportedAlgorithms,
    protocol: Protocol,
) -> Result<(), rustls::Error> {
    is_offered(&algorithms.supported_schemes(), signed.scheme, protocol)?;
    match check(message, certificate, signed, algorithms, protocol) {
        Proof::Good => Ok(()),
        // A key that is too short is told by its length.
        Proof::Wrong => Err(CertificateError::BadSignature.into()),
        Proof::Unknown => Err(unusable(Certificate::read(certificate).as_ref())),
    }
}

/// Refuses a key with which no handshake can be verified, before there is one.
pub(super) fn demand_key(
    certificate: &CertificateDer<'_>,
    algorithms: &WebPkiSupportedAlgorithms,
) -> Result<(), rustls::Error> {
    let read = Certificate::read(certificate);
    let key = read.as_ref().and_then(Certificate::public_key);
    let key = key.ok_or(CertificateError::BadEncoding)?;
    if is_known(&key, algorithms) { Ok(()) } else { Err(unusable(read.as_ref())) }
}

/// What is wrong with the length of an RSA key, if anything is.
pub(super) fn bad_length(bits: usize) -> Option<Error> {
    let (least, most) = (*RSA_BITS.start(), *RSA_BITS.end());
    if bits < least {
        return Some(verdict::weak(&format!("an RSA key of {bits} bits")));
    }
    let text = format!("an RSA key of {bits} bits is longer than the {most} that can be verified");
    (bits > most).then(|| verdict::said(Code::TlsWeak, &text))
}

fn unusable(certificate: Option<&Certificate<'_>>) -> rustls::Error {
    let bad = certificate.and_then(Certificate::rsa_bits).and_then(bad_length);
    let other = || verdict::weak("a key of a kind that is not accepted");
    verdict::carry(bad.unwrap_or_else(other))
}

/// Refuses only what is wrong.
pub(super) fn tolerate(
    message: &[u8],
    certificate: &CertificateDer<'_>,
    signed: &DigitallySignedStruct,
    algorithms: &WebPkiSupportedAlgorithms,
    protocol: Protocol,
) -> Result<(), rustls::Error> {
    is_offered(&all_schemes(algorithms), signed.scheme, protocol)?;
    match check(message, certificate, signed, algorithms, protocol) {
        Proof::Good | Proof::Unknown => Ok(()),
        Proof::Wrong => Err(CertificateError::BadSignature.into()),
    }
}

fn is_offered(
    offered: &[SignatureScheme],
    scheme: SignatureScheme,
    protocol: Protocol,
) -> Result<(), rustls::Error> {
    let is_old = LEGACY.contains(&scheme)
        || [
            SignatureScheme::RSA_PKCS1_SHA256,
            SignatureScheme::RSA_PKCS1_SHA384,
            SignatureScheme::RSA_PKCS1_SHA512,
        ]
        .contains(&scheme);
    if offered.contains(&scheme) && !(is_old && protocol == Protocol::Tls13) {
        return Ok(());
    }
    Err(PeerMisbehaved::SignedHandshakeWithUnadvertisedSigScheme.into())
}

fn check(
    message: &[u8],
    certificate: &CertificateDer<'_>,
    signed: &DigitallySignedStruct,
    algorithms: &WebPkiSupportedAlgorithms,
    protocol: Protocol,
) -> Proof {
    let key = Certificate::read(certificate).and_then(|read| read.public_key());
    let Some(key) = key.filter(|key| is_known(key, algorithms)) else { return Proof::Unknown };
    let of_scheme = algorithms.mapping.iter().find(|(scheme, _)| *scheme == signed.scheme);
    let Some((_, possible)) = of_scheme else { return foreign(&key, signed.scheme, protocol) };
    let possible = if protocol == Protocol::Tls13 { &possible[..1] } else { *possible };
    let fitting = possible.iter().find(|algorithm| key.is_of(&algorithm.public_key_alg_id()));
    let is_good = fitting.is_some_and(|algorithm| {
        algorithm.verify_signature(key.bits, message, signed.signature()).is_ok()
    });
    if is_good { Proof::Good } else { Proof::Wrong }
}

/// Whether signatures by such a key can be checked here.
fn is_known(key: &PublicKey<'_>, algorithms: &WebPkiSupportedAlgorithms) -> bool {
    algorithms.all.iter().any(|algorithm| key.is_of(&algorithm.public_key_alg_id()))
        && key.rsa_bits().is_none_or(|bits| RSA_BITS.contains(&bits))
}

/// A key that is known, and a scheme that is not: only a hash that is not known makes that right.
fn foreign(key: &PublicKey<'_>, scheme: SignatureScheme, protocol: Protocol) -> Proof {
    let is_rsa = key.rsa_bits().is_some();
    let is_right = match scheme {
        SignatureScheme::RSA_PKCS1_SHA1 => is_rsa,
        SignatureScheme::ECDSA_SHA1_Legacy | SignatureScheme::ECDSA_NISTP521_SHA512 => {
            key.is_elliptic()
        }
        _ => false,
    };
    if is_right && protocol == Protocol::Tls12 { Proof::Unknown } else { Proof::Wrong }
}
