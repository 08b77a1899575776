//! Whom we believe: verification of servers and clients.
//!
//! Not here: the rules themselves, which are rustls'. This chooses which of them apply and finds
//! out more where rustls' answer would leave people in the dark. Invariant: the signatures of the
//! handshake are verified whatever the settings say.

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{verify_server_cert_signed_by_trust_anchor, verify_server_name};
use rustls::crypto::{WebPkiSupportedAlgorithms, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{
    CertificateError, DigitallySignedStruct, DistinguishedName, OtherError, RootCertStore,
    SignatureScheme,
};

use super::der::Certificate;
use super::{roots, verdict};
use crate::error::{Code, Error};
use crate::sync::Arc;

/// The least that ring and aws-lc-rs accept.
const RSA_BITS: usize = 2048;

/// What is asked of a server's certificate.
#[derive(Debug)]
pub(super) enum Trust {
    /// Nothing.
    Anyone,
    /// A chain to one of these roots. One of `pinned` itself is as good: a device's own certificate.
    Given { store: Arc<RootCertStore>, pinned: Vec<CertificateDer<'static>> },
    /// A chain to one of the system's roots.
    System,
}

/// Verifies servers for clients.
#[derive(Debug)]
pub(super) struct Servers {
    pub(super) algorithms: WebPkiSupportedAlgorithms,
    pub(super) trust: Trust,
    pub(super) checks_name: bool,
}

impl Servers {
    fn verify(
        &self,
        certificate: &CertificateDer<'_>,
        others: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        now: UnixTime,
    ) -> Result<(), rustls::Error> {
        let store = match &self.trust {
            Trust::Anyone => return Ok(()),
            Trust::Given { store, .. } => store,
            Trust::System => system_store()?,
        };
        let parsed = ParsedCertificate::try_from(certificate)?;
        if self.is_pinned(certificate) {
            verify_dates(certificate, now)?;
        } else {
            let algorithms = self.algorithms.all;
            verify_server_cert_signed_by_trust_anchor(&parsed, store, others, now, algorithms)?;
        }
        if self.checks_name {
            verify_server_name(&parsed, name)?;
        }
        Ok(())
    }

    /// Whether the script trusts this very certificate. Devices come with certificates that they
    /// signed themselves and that call themselves authorities, which no chain may begin with.
    fn is_pinned(&self, certificate: &CertificateDer<'_>) -> bool {
        matches!(&self.trust, Trust::Given { pinned, .. } if pinned.contains(certificate))
    }
}

impl ServerCertVerifier for Servers {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        self.verify(end_entity, intermediates, server_name, now)
            .map(|()| ServerCertVerified::assertion())
            .map_err(|error| explain(error, end_entity, intermediates))
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, cert, dss, &self.algorithms)
            .map_err(|error| explain(error, cert, &[]))
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, cert, dss, &self.algorithms)
            .map_err(|error| explain(error, cert, &[]))
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}

/// Verifies clients for servers: rustls' own verifier, with our explanations.
#[derive(Debug)]
pub(super) struct Clients(pub(super) Arc<dyn ClientCertVerifier>);

impl ClientCertVerifier for Clients {
    fn offer_client_auth(&self) -> bool {
        self.0.offer_client_auth()
    }

    fn client_auth_mandatory(&self) -> bool {
        self.0.client_auth_mandatory()
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        self.0.root_hint_subjects()
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, rustls::Error> {
        self.0
            .verify_client_cert(end_entity, intermediates, now)
            .map_err(|error| explain(error, end_entity, intermediates))
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.0.verify_tls12_signature(message, cert, dss).map_err(|error| explain(error, cert, &[]))
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.0.verify_tls13_signature(message, cert, dss).map_err(|error| explain(error, cert, &[]))
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.supported_verify_schemes()
    }
}

fn system_store() -> Result<&'static RootCertStore, rustls::Error> {
    let found = roots::loaded().ok_or_else(|| {
        carry(Error::new(Code::Internal, "tls: the system's roots are not loaded yet"))
    })?;
    match &found.problem {
        None => Ok(&found.store),
        Some(problem) => Err(carry(Error::new(
            Code::TlsNoRoots,
            format!("tls: this machine has no trusted roots to verify with ({problem})"),
        ))),
    }
}

fn verify_dates(certificate: &CertificateDer<'_>, now: UnixTime) -> Result<(), rustls::Error> {
    let read = Certificate::read(certificate).ok_or(CertificateError::BadEncoding)?;
    let second = i64::try_from(now.as_secs()).unwrap_or(i64::MAX);
    let moment = |seconds: i64| {
        let since = u64::try_from(seconds).unwrap_or_default();
        UnixTime::since_unix_epoch(std::time::Duration::from_secs(since))
    };
    if second < read.not_before {
        let not_before = moment(read.not_before);
        return Err(CertificateError::NotValidYetContext { time: now, not_before }.into());
    }
    if second > read.not_after {
        let not_after = moment(read.not_after);
        return Err(CertificateError::ExpiredContext { time: now, not_after }.into());
    }
    Ok(())
}

/// Tells apart what is one to rustls: a stranger that vouches for itself, and a signature that
/// could not be verified because the key is too short.
fn explain(
    error: rustls::Error,
    certificate: &CertificateDer<'_>,
    others: &[CertificateDer<'_>],
) -> rustls::Error {
    let rustls::Error::InvalidCertificate(problem) = &error else { return error };
    let read = Certificate::read(certificate);
    match problem {
        problem if is_stranger(problem) && read.is_some_and(|read| read.is_self_issued()) => {
            let message = "tls: the certificate is signed by itself alone";
            carry(Error::new(Code::TlsSelfSigned, message))
        }
        CertificateError::BadSignature => {
            let all = std::iter::once(certificate).chain(others);
            let bits = all.filter_map(|der| Certificate::read(der)?.rsa_bits()).min();
            match bits.filter(|bits| *bits < RSA_BITS) {
                Some(bits) => carry(verdict::weak(&format!("an RSA key of {bits} bits"))),
                None => error,
            }
        }
        _ => error,
    }
}

/// Many certificates that vouch for themselves also call themselves authorities, which rustls finds
/// first.
fn is_stranger(problem: &CertificateError) -> bool {
    match problem {
        CertificateError::UnknownIssuer => true,
        CertificateError::Other(other) => other.0.to_string() == verdict::AUTHORITY,
        _ => false,
    }
}

/// Puts an error of ours where rustls hands it through; `verdict` takes it out again.
fn carry(error: Error) -> rustls::Error {
    CertificateError::Other(OtherError(Arc::new(error))).into()
}
