//! What went wrong, for programs and for people: rustls' errors become codes and messages.
//!
//! Not here: finding out; see `verifier` and `session`. Every message begins with "tls: ", is in
//! lower case and says what the other end did or has.

use rustls::pki_types::UnixTime;
use rustls::{AlertDescription, CertificateError, OtherError, PeerIncompatible, PeerMisbehaved};

use super::der;
use crate::error::{Code, Error};
use crate::sync::Arc;

/// What is shown of an answer in plain text, in bytes.
const SHOWN: usize = 60;

/// The error of a session.
pub(super) fn of(error: &rustls::Error) -> Error {
    use rustls::Error as E;
    match error {
        E::AlertReceived(alert) => of_alert(*alert),
        E::InvalidCertificate(problem) => of_certificate(problem),
        E::Other(other) => of_other(other),
        E::PeerIncompatible(reason) => of_incompatible(reason),
        E::NoCertificatesPresented => {
            said(Code::TlsClientCertRequired, "the client sent no certificate")
        }
        E::NoApplicationProtocol => {
            said(Code::TlsAlpn, "the client speaks none of our application protocols")
        }
        E::PeerMisbehaved(PeerMisbehaved::AttemptedDowngradeToTls12WhenTls13IsSupported) => {
            said(Code::TlsVersion, "somebody tries to talk both ends into an older version")
        }
        E::PeerMisbehaved(PeerMisbehaved::SelectedUnofferedApplicationProtocol) => {
            said(Code::TlsAlpn, "the server chose an application protocol that was not offered")
        }
        E::DecryptError => said(Code::TlsProtocol, "a record was damaged on the way"),
        E::PeerSentOversizedRecord => said(Code::TlsProtocol, "the peer sent a record too long"),
        E::InvalidMessage(_)
        | E::InappropriateMessage { .. }
        | E::InappropriateHandshakeMessage { .. }
        | E::PeerMisbehaved(_) => {
            said(Code::TlsProtocol, &format!("the peer breaks the protocol ({})", plain(error)))
        }
        _ => said(Code::Internal, &plain(error)),
    }
}

fn of_certificate(problem: &CertificateError) -> Error {
    use CertificateError as C;
    match problem {
        C::Expired => said(Code::TlsExpired, "the certificate has expired"),
        C::ExpiredContext { not_after, .. } => {
            said(Code::TlsExpired, &format!("the certificate expired on {}", date(*not_after)))
        }
        C::NotValidYet => said(Code::TlsNotYetValid, "the certificate is not valid yet"),
        C::NotValidYetContext { not_before, .. } => {
            let text = format!("the certificate is not valid before {}", date(*not_before));
            said(Code::TlsNotYetValid, &text)
        }
        C::Revoked => said(Code::TlsRevoked, "the certificate was revoked by its issuer"),
        C::UnknownIssuer => {
            said(Code::TlsUnknownIssuer, "the certificate was issued by nobody who is trusted here")
        }
        C::BadSignature => {
            said(Code::TlsBadSignature, "a signature is not by whom the certificate names")
        }
        C::UnsupportedSignatureAlgorithmContext { .. }
        | C::UnsupportedSignatureAlgorithmForPublicKeyContext { .. } => {
            weak("a signature of a kind that is not accepted")
        }
        C::NotValidForName => said(Code::TlsBadHostname, "the certificate is for another name"),
        C::NotValidForNameContext { expected, presented } => {
            let names = names(presented);
            let text = format!("the certificate is not for {} but for {names}", expected.to_str());
            said(Code::TlsBadHostname, &text)
        }
        C::InvalidPurpose | C::InvalidPurposeContext { .. } => {
            said(Code::TlsBadPurpose, "the certificate is for another purpose")
        }
        C::BadEncoding => said(Code::TlsBadCertificate, "the certificate is damaged"),
        C::Other(other) => of_other(other),
        _ => {
            let text =
                format!("the certificate is not acceptable ({})", lower(&problem.to_string()));
            said(Code::TlsBadCertificate, &text)
        }
    }
}

/// One that a verifier of ours sent, or a rule of X.509 that rustls has no name for.
fn of_other(other: &OtherError) -> Error {
    if let Some(error) = other.0.downcast_ref::<Error>() {
        return error.clone();
    }
    let text = match other.0.to_string().as_str() {
        "CaUsedAsEndEntity" => "it is an authority's own".to_owned(),
        "EndEntityUsedAsCa" => "its issuer is no authority".to_owned(),
        "PathLenConstraintViolated" => "the chain is longer than its issuer may have it".to_owned(),
        "NameConstraintViolation" => "its issuer may not vouch for this name".to_owned(),
        "UnsupportedCertVersion" => "it is not of version 3".to_owned(),
        "UnsupportedCriticalExtension" => "it has an unknown critical extension".to_owned(),
        name => lower(name),
    };
    said(Code::TlsBadCertificate, &format!("the certificate is not acceptable: {text}"))
}

fn of_incompatible(reason: &PeerIncompatible) -> Error {
    use PeerIncompatible as P;
    match reason {
        P::ServerDoesNotSupportTls12Or13
        | P::ServerTlsVersionIsDisabledByOurConfig
        | P::SupportedVersionsExtensionRequired
        | P::Tls12NotOffered
        | P::Tls12NotOfferedOrEnabled => {
            said(Code::TlsVersion, "the peer speaks only versions that are not accepted here")
        }
        P::NoCertificateRequestSignatureSchemesInCommon | P::NoSignatureSchemesInCommon => {
            said(Code::TlsNoCommon, "the two ends share no kind of signature")
        }
        P::NoCipherSuitesInCommon => said(Code::TlsNoCommon, "the two ends share no cipher suite"),
        _ => said(Code::TlsNoCommon, &format!("the two ends don't fit together ({reason:?})")),
    }
}

fn of_alert(alert: AlertDescription) -> Error {
    use AlertDescription as A;
    match alert {
        A::CloseNotify => truncated(false),
        A::CertificateRequired => {
            said(Code::TlsClientCertRequired, "the server asks for a client certificate")
        }
        A::ProtocolVersion => {
            said(Code::TlsVersion, "the peer does not accept our versions of TLS")
        }
        A::HandshakeFailure | A::InsufficientSecurity => said(
            Code::TlsNoCommon,
            "the peer found nothing that both ends accept (it may want a client certificate)",
        ),
        A::NoApplicationProtocol => {
            said(Code::TlsAlpn, "the server speaks none of our application protocols")
        }
        A::BadCertificate
        | A::UnsupportedCertificate
        | A::CertificateRevoked
        | A::CertificateExpired
        | A::CertificateUnknown
        | A::UnknownCA
        | A::AccessDenied
        | A::BadCertificateStatusResponse => {
            let text = format!("the peer does not accept our certificate ({})", name_of(alert));
            said(Code::TlsCertRefused, &text)
        }
        A::UnrecognisedName => said(Code::TlsAlert, "the server does not know itself by that name"),
        _ => said(Code::TlsAlert, &format!("the peer ended it with the alert {}", name_of(alert))),
    }
}

/// The peer talks, but not TLS: `begin` is what it sent first.
pub(super) fn not_tls(begin: &[u8]) -> Error {
    let line = begin.split(|byte| *byte == b'\r' || *byte == b'\n').next().unwrap_or_default();
    let shown = &line[..line.len().min(SHOWN)];
    let text = if shown.iter().all(|byte| (b' '..=b'~').contains(byte)) && !shown.is_empty() {
        format!("the peer does not speak TLS; it sent \"{}\"", shown.escape_ascii())
    } else {
        "the peer does not speak TLS".to_owned()
    };
    said(Code::TlsNotTls, &text)
}

/// The stream ended before the end of TLS.
pub(super) fn truncated(is_secured: bool) -> Error {
    let text = if is_secured {
        "the connection ended without the end of TLS; what was received may lack its tail"
    } else {
        "the peer ended the connection in the handshake"
    };
    said(Code::TlsTruncated, text)
}

/// More waits for its end than a sensible peer sends.
pub(super) fn too_much() -> Error {
    said(Code::TlsProtocol, "the peer sent a handshake message that never ends")
}

/// A key or signature nobody should rely on.
pub(super) fn weak(what: &str) -> Error {
    said(Code::TlsWeak, &format!("the certificate is too weak: {what}"))
}

/// Puts an error of ours where rustls hands it through; [`of`] takes it out again.
pub(super) fn carry(error: Error) -> rustls::Error {
    CertificateError::Other(OtherError(Arc::new(error))).into()
}

/// With the prefix that all of them have.
pub(super) fn said(code: Code, text: &str) -> Error {
    Error::new(code, format!("tls: {text}"))
}

fn names(presented: &[String]) -> String {
    const MOST: usize = 5;
    // rustls writes them as Rust does: DnsName("a.example"), IpAddress(10.0.0.1).
    let mut short: Vec<&str> = presented.iter().take(MOST).map(|name| bare(name)).collect();
    if presented.len() > MOST {
        short.push("…");
    }
    match short.as_slice() {
        [] => "no host at all (it lists none as subject alternative name)".to_owned(),
        _ => short.join(", "),
    }
}

fn bare(name: &str) -> &str {
    let inner = name.split_once('(').map_or(name, |(_, inner)| inner.trim_end_matches(')'));
    inner.trim_matches('"')
}

fn date(moment: UnixTime) -> String {
    der::date(i64::try_from(moment.as_secs()).unwrap_or(i64::MAX))
}

/// "`UnknownCA`" in the words of the RFC: "`unknown_ca`".
fn name_of(alert: AlertDescription) -> String {
    let debug = format!("{alert:?}");
    let mut name = String::with_capacity(debug.len() + 4);
    let mut before_is_lower = false;
    for letter in debug.chars() {
        if letter.is_ascii_uppercase() && before_is_lower {
            name.push('_');
        }
        before_is_lower = letter.is_ascii_lowercase();
        name.push(letter.to_ascii_lowercase());
    }
    name
}

fn plain(error: &rustls::Error) -> String {
    lower(&error.to_string())
}

fn lower(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map_or(String::new(), |first| first.to_lowercase().chain(letters).collect())
}
