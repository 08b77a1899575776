//! The verdict on what went wrong, for programs and for people: rustls' errors become codes and messages.
//!
//! Not here: finding out; see `verifier` and `session`. Every message begins with "tls: ", is in
//! lower case and says what the other end did or has.

use rustls::pki_types::{ServerName, UnixTime};
use rustls::{
    AlertDescription, CertificateError, CommonState, OtherError, PeerIncompatible, PeerMisbehaved,
    ProtocolVersion,
};

use super::der::{self, Certificate, Host};
use super::settings::Version;
use crate::error::{Code, Error};
use crate::quote::{LONGEST, named, shown};
use crate::sync::Arc;

/// The error of a session that speaks these versions, from the oldest to the newest, and stands as `common` says: the
/// same alert means one thing in a handshake and another behind it.
pub(super) fn in_scene(
    error: &rustls::Error,
    spoken: (Version, Version),
    is_client: bool,
    common: &CommonState,
) -> Error {
    use AlertDescription as A;
    use PeerIncompatible as P;
    let is_done = !common.is_handshaking();
    let is_old = common.protocol_version() == Some(ProtocolVersion::TLSv1_2);
    match error {
        rustls::Error::AlertReceived(A::ProtocolVersion)
        | rustls::Error::PeerIncompatible(
            P::ServerTlsVersionIsDisabledByOurConfig | P::Tls12NotOfferedOrEnabled,
        ) => refused_versions(spoken),
        rustls::Error::AlertReceived(alert @ (A::HandshakeFailure | A::NoRenegotiation))
            if is_done && is_old =>
        {
            let text = format!(
                "the peer ended the open connection with the alert {}; likely it wants to \
                 renegotiate, which evsock leaves out",
                name_of(*alert)
            );
            said(Code::TlsAlert, &text)
        }
        // Clients may have none, servers may not.
        rustls::Error::NoCertificatesPresented if is_client => {
            said(Code::TlsProtocol, "the server sent no certificate")
        }
        _ => of(error),
    }
}

/// The error of a session.
pub(super) fn of(error: &rustls::Error) -> Error {
    use rustls::Error as E;
    match error {
        E::AlertReceived(alert) => of_alert(*alert),
        E::InvalidCertificate(problem) => of_certificate(problem),
        E::Other(other) => of_other(other),
        E::PeerIncompatible(reason) => of_incompatible(reason),
        // What TLS 1.3 has a reason for, rustls says of 1.2 in words alone.
        E::General(text) if text == "incompatible signing key" => {
            of_incompatible(&PeerIncompatible::NoSignatureSchemesInCommon)
        }
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
        C::UnsupportedSignatureAlgorithmContext { signature_algorithm_id, .. } => {
            match der::old_hash(signature_algorithm_id) {
                Some(hash) => weak(&format!("it is signed with {hash}")),
                None => weak("a signature of a kind that is not accepted"),
            }
        }
        C::UnsupportedSignatureAlgorithmForPublicKeyContext { .. } => {
            weak("a key or a signature of a kind that is not accepted")
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
    // Some names have details behind them.
    let name = other.0.to_string();
    let name = name.split(['(', '{', ' ']).next().unwrap_or_default();
    let text = broken_rule(name).map_or_else(
        || format!("it breaks a rule of X.509, {}", shown(name.as_bytes())),
        str::to_owned,
    );
    said(Code::TlsBadCertificate, &format!("the certificate is not acceptable: {text}"))
}

/// A rule that a certificate breaks, by the name that rustls-webpki has for that.
fn broken_rule(name: &str) -> Option<&'static str> {
    Some(match name {
        "CaUsedAsEndEntity" => "it is an authority's own",
        "CertDistrusted" => "its key is known to be in wrong hands",
        "EmptyEkuExtension" => "its list of purposes is empty",
        "EndEntityUsedAsCa" => "its issuer is no authority",
        "ExtensionValueInvalid" => "it has an extension twice, or one that nobody can read",
        "InvalidNetworkMaskConstraint" | "MalformedNameConstraint" => {
            "nobody can read for which names its issuer may vouch"
        }
        "InvalidSerialNumber" => "its serial number is none",
        "MalformedDnsIdentifier" => "a host that it lists is no possible name",
        "MalformedExtensions" => "nobody can read its extensions",
        "MaximumNameConstraintComparisonsExceeded"
        | "MaximumPathBuildCallsExceeded"
        | "MaximumSignatureChecksExceeded" => "its chain takes too long to verify",
        "MaximumPathDepthExceeded" => "its chain is too long",
        "NameConstraintViolation" => "its issuer may not vouch for this name",
        "PathLenConstraintViolated" => "the chain is longer than its issuer may have it",
        "SignatureAlgorithmMismatch" => "it names two different kinds of signature",
        "UnsupportedCertVersion" => {
            "it is of version 1 or 2, which is believed only if it is itself given as 'ca' or \
             'cafile'"
        }
        "UnsupportedCriticalExtension" => "it has an unknown critical extension",
        "UnsupportedNameType" => "it is for a kind of name that nobody asks for",
        _ => return None,
    })
}

fn of_incompatible(reason: &PeerIncompatible) -> Error {
    use PeerIncompatible as P;
    match reason {
        P::ServerDoesNotSupportTls12Or13 | P::Tls12NotOffered => too_old(),
        // Whoever speaks neither of ours and is not older has only 1.2 where 1.3 is asked for.
        P::ServerTlsVersionIsDisabledByOurConfig
        | P::SupportedVersionsExtensionRequired
        | P::Tls12NotOfferedOrEnabled => {
            said(Code::TlsVersion, "the peer does not speak TLS 1.3, which min_version asks for")
        }
        P::NoCertificateRequestSignatureSchemesInCommon | P::NoSignatureSchemesInCommon => {
            said(Code::TlsNoCommon, "the two ends share no kind of signature")
        }
        P::NoCipherSuitesInCommon => {
            let text =
                format!("the two ends share no cipher suite; likely the peer has {LEFT_OUT}");
            said(Code::TlsNoCommon, &text)
        }
        P::KeyShareExtensionRequired
        | P::NamedGroupsExtensionRequired
        | P::NoEcPointFormatsInCommon
        | P::NoKxGroupsInCommon
        | P::UncompressedEcPointsRequired => said(
            Code::TlsNoCommon,
            "the two ends share no way to exchange keys: here is ECDHE with X25519, P-256 and \
             P-384 alone, RSA key exchange and DHE are left out",
        ),
        P::SignatureAlgorithmsExtensionRequired => said(
            Code::TlsNoCommon,
            "the peer does not say which signatures it knows; likely it knows SHA-1 alone",
        ),
        _ => said(Code::TlsNoCommon, &format!("the two ends don't fit together ({reason:?})")),
    }
}

/// What old peers have and nobody here speaks.
const LEFT_OUT: &str =
    "only cipher suites with RSA key exchange, DHE or CBC, which evsock leaves out";

/// The peer's hello is one of SSL 3, TLS 1.0 or TLS 1.1.
pub(super) fn too_old() -> Error {
    said(
        Code::TlsVersion,
        "the peer speaks only versions of TLS older than 1.2, which evsock leaves out; a TLS proxy \
         in front helps",
    )
}

/// The peer takes none of the versions that we speak. Those who speak newer ones take ours, too.
fn refused_versions(spoken: (Version, Version)) -> Error {
    match spoken {
        (Version::Tls12, Version::Tls12) => said(
            Code::TlsVersion,
            "the peer does not speak TLS 1.2, and max_version allows no newer",
        ),
        (Version::Tls12, Version::Tls13) => too_old(),
        (Version::Tls13, _) => {
            said(Code::TlsVersion, "the peer does not speak TLS 1.3, which min_version asks for")
        }
    }
}

fn of_alert(alert: AlertDescription) -> Error {
    use AlertDescription as A;
    match alert {
        A::CloseNotify => truncated(false),
        A::CertificateRequired => {
            said(Code::TlsClientCertRequired, "the server asks for a client certificate")
        }
        A::ProtocolVersion => too_old(),
        A::HandshakeFailure | A::InsufficientSecurity => said(
            Code::TlsNoCommon,
            &format!(
                "the peer found nothing that both ends accept; likely it has {LEFT_OUT}, or wants \
                 a client certificate"
            ),
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

/// Why a certificate is not for a host that seems to stand in it, if that is so.
pub(super) fn misnamed(certificate: &Certificate<'_>, host: &ServerName<'_>) -> Option<Error> {
    let text = match (certificate.hosts().unwrap_or_default(), host) {
        (hosts, _) if hosts.is_empty() => {
            let name = named(certificate.common_name()?.as_bytes());
            format!(
                "the certificate lists no host; its common name {name} counts only if the \
                 certificate itself is given as 'ca' or 'cafile'"
            )
        }
        (hosts, ServerName::IpAddress(_)) => {
            let address = host.to_str();
            hosts.contains(&Host::Name(address.clone().into_owned())).then(|| {
                format!(
                    "the certificate has {address} as a DNS name, but not as an address (an IP \
                     entry of its subject alternative names)"
                )
            })?
        }
        _ => return None,
    };
    Some(said(Code::TlsBadHostname, &text))
}

/// The peer talks, but not TLS: `begin` is what it sent first.
pub(super) fn not_tls(begin: &[u8]) -> Error {
    let line = begin.split(|byte| *byte == b'\r' || *byte == b'\n').next().unwrap_or_default();
    let begin = &line[..line.len().min(LONGEST)];
    let text = if begin.iter().all(|byte| (b' '..=b'~').contains(byte)) && !begin.is_empty() {
        format!("the peer does not speak TLS; it sent \"{}\"", shown(line))
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
    let named = presented.iter().map(|name| bare(name)).filter(|name| !name.is_empty());
    let mut short: Vec<String> = named.map(|name| shown(name.as_bytes())).collect();
    if short.len() > MOST {
        short.truncate(MOST);
        short.push("…".to_owned());
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

#[cfg(test)]
mod tests {
    use super::*;

    /// An error of rustls-webpki, which is known by its name alone.
    #[derive(Debug)]
    struct Broken(&'static str);

    impl std::fmt::Display for Broken {
        fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str(self.0)
        }
    }

    impl std::error::Error for Broken {}

    fn said_of(name: &'static str) -> (Code, String) {
        let error = of(&CertificateError::Other(OtherError(Arc::new(Broken(name)))).into());
        (error.code(), error.message().to_owned())
    }

    #[test]
    fn no_rule_is_told_in_the_words_of_a_library() {
        for (name, text) in [
            ("CaUsedAsEndEntity", "it is an authority's own"),
            ("CertDistrusted", "its key is known to be in wrong hands"),
            ("EmptyEkuExtension", "its list of purposes is empty"),
            ("EndEntityUsedAsCa", "its issuer is no authority"),
            ("ExtensionValueInvalid", "it has an extension twice, or one that nobody can read"),
            (
                "InvalidNetworkMaskConstraint",
                "nobody can read for which names its issuer may vouch",
            ),
            ("InvalidSerialNumber", "its serial number is none"),
            ("MalformedDnsIdentifier", "a host that it lists is no possible name"),
            ("MalformedExtensions", "nobody can read its extensions"),
            ("MalformedNameConstraint", "nobody can read for which names its issuer may vouch"),
            ("MaximumNameConstraintComparisonsExceeded", "its chain takes too long to verify"),
            ("MaximumPathBuildCallsExceeded", "its chain takes too long to verify"),
            ("MaximumPathDepthExceeded", "its chain is too long"),
            ("MaximumSignatureChecksExceeded", "its chain takes too long to verify"),
            ("NameConstraintViolation", "its issuer may not vouch for this name"),
            ("PathLenConstraintViolated", "the chain is longer than its issuer may have it"),
            ("SignatureAlgorithmMismatch", "it names two different kinds of signature"),
            (
                "UnsupportedCertVersion",
                "it is of version 1 or 2, which is believed only if it is itself given as 'ca' \
                 or 'cafile'",
            ),
            ("UnsupportedCriticalExtension", "it has an unknown critical extension"),
            ("UnsupportedNameType", "it is for a kind of name that nobody asks for"),
            ("SomethingNew(with details)", "it breaks a rule of X.509, SomethingNew"),
        ] {
            let whole = format!("tls: the certificate is not acceptable: {text}");
            assert_eq!(said_of(name), (Code::TlsBadCertificate, whole));
        }
    }
}
