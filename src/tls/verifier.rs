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
    CertificateError, DigitallySignedStruct, DistinguishedName, RootCertStore, SignatureScheme,
};

use super::der::{Certificate, PublicKey};
use super::fingerprint::Fingerprint;
use super::given::Given;
use super::issuers::Issuers;
use super::lists::Lists;
use super::proof::{self, Protocol};
use super::trust::{Trust, verify_dates, verify_name};
use super::verdict::{self, carry};
use crate::error::{Code, Error};
use crate::sync::Arc;

/// Verifies servers for clients.
#[derive(Debug)]
pub(super) struct Servers {
    pub(super) algorithms: WebPkiSupportedAlgorithms,
    pub(super) trust: Trust,
    pub(super) checks_name: bool,
    pub(super) lists: Option<Lists>,
}

impl Servers {
    fn verify(
        &self,
        certificate: &CertificateDer<'_>,
        others: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        now: UnixTime,
    ) -> Result<(), rustls::Error> {
        if let Trust::Fingerprints(known) = &self.trust {
            return demand_one(known, certificate);
        }
        let Some(given) = self.trust.known().map_err(carry)? else { return Ok(()) };
        if given.has(certificate) {
            verify_dates(certificate, now)?;
            ask(self.lists.as_ref(), certificate, given)?;
            return if self.checks_name { verify_name(certificate, name) } else { Ok(()) };
        }
        if let Some(lists) = &self.lists {
            return self.verify_by(lists, given, certificate, others, name, now);
        }
        let parsed = ParsedCertificate::try_from(certificate)?;
        let algorithms = self.algorithms.all;
        verify_server_cert_signed_by_trust_anchor(&parsed, &given.store, others, now, algorithms)?;
        if self.checks_name {
            verify_server_name(&parsed, name)?;
        }
        Ok(())
    }

    /// Its chain, whether anything in that was revoked, then its name.
    fn verify_by(
        &self,
        lists: &Lists,
        given: &Given,
        certificate: &CertificateDer<'_>,
        others: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        now: UnixTime,
    ) -> Result<(), rustls::Error> {
        use CertificateError as C;
        let chains = lists.chains(&given.store).ok_or(C::UnknownIssuer)?;
        match chains.verify_server_cert(certificate, others, name, &[], now) {
            // It looks at the name last of all.
            Err(rustls::Error::InvalidCertificate(
                C::NotValidForName | C::NotValidForNameContext { .. },
            )) if !self.checks_name => Ok(()),
            verified => verified.map(drop),
        }
    }

    /// Whether it is known by itself; it was verified before.
    fn knows(&self, certificate: &CertificateDer<'_>) -> bool {
        matches!(self.trust, Trust::Fingerprints(_))
            || self.trust.given().is_some_and(|given| given.has(certificate))
    }

    fn explain(
        &self,
        error: rustls::Error,
        certificate: &CertificateDer<'_>,
        others: &[CertificateDer<'_>],
    ) -> rustls::Error {
        explain(error, certificate, others, self.trust.given(), self.lists.as_ref())
    }

    /// Whether a peer can prove that it has the key of its certificate.
    fn demand_key(&self, certificate: &CertificateDer<'_>) -> Result<(), rustls::Error> {
        match &self.trust {
            Trust::Anyone => Ok(()),
            _ => proof::demand_key(certificate, &self.algorithms),
        }
    }

    /// Whether the peer has the key of its certificate.
    fn prove(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
        protocol: Protocol,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.algorithms;
        match &self.trust {
            Trust::Anyone => proof::tolerate(message, cert, dss, algorithms, protocol),
            _ => demand(self.knows(cert), message, cert, dss, algorithms, protocol),
        }
        .map(|()| HandshakeSignatureValid::assertion())
        .map_err(|error| self.explain(error, cert, &[]))
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
        let issuers = Issuers::among(end_entity, intermediates);
        self.verify(end_entity, &issuers.chosen, server_name, now)
            .and_then(|()| self.demand_key(end_entity))
            .map(|()| ServerCertVerified::assertion())
            .map_err(|error| issuers.explain(error))
            .map_err(|error| self.explain(error, end_entity, intermediates))
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.prove(message, cert, dss, Protocol::Tls12)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.prove(message, cert, dss, Protocol::Tls13)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        match self.trust {
            Trust::Anyone => proof::all_schemes(&self.algorithms),
            _ => self.algorithms.supported_schemes(),
        }
    }
}

/// Verifies clients for servers.
#[derive(Debug)]
pub(super) struct Clients {
    pub(super) algorithms: WebPkiSupportedAlgorithms,
    pub(super) given: Given,
    /// Its certificate is one of these, whatever else is given.
    pub(super) fingerprints: Option<Vec<Fingerprint>>,
    /// rustls' own, unless nobody given is an authority.
    pub(super) chains: Option<Arc<dyn ClientCertVerifier>>,
    pub(super) is_required: bool,
    pub(super) hints: Vec<DistinguishedName>,
    pub(super) lists: Option<Lists>,
}

impl Clients {
    fn verify(
        &self,
        certificate: &CertificateDer<'_>,
        others: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<(), rustls::Error> {
        if let Some(known) = &self.fingerprints {
            demand_one(known, certificate)?;
            return proof::demand_key(certificate, &self.algorithms);
        }
        if self.given.has(certificate) {
            verify_dates(certificate, now)?;
            return ask(self.lists.as_ref(), certificate, &self.given);
        }
        match &self.chains {
            Some(chains) => chains.verify_client_cert(certificate, others, now).map(drop),
            None => Err(CertificateError::UnknownIssuer.into()),
        }
    }

    fn prove(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
        protocol: Protocol,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let is_known = self.fingerprints.is_some() || self.given.has(cert);
        demand(is_known, message, cert, dss, &self.algorithms, protocol)
            .map(|()| HandshakeSignatureValid::assertion())
            .map_err(|error| self.explain(error, cert, &[]))
    }

    fn explain(
        &self,
        error: rustls::Error,
        certificate: &CertificateDer<'_>,
        others: &[CertificateDer<'_>],
    ) -> rustls::Error {
        explain(error, certificate, others, Some(&self.given), self.lists.as_ref())
    }
}

impl ClientCertVerifier for Clients {
    fn client_auth_mandatory(&self) -> bool {
        self.is_required
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &self.hints
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, rustls::Error> {
        let issuers = Issuers::among(end_entity, intermediates);
        self.verify(end_entity, &issuers.chosen, now)
            .map(|()| ClientCertVerified::assertion())
            .map_err(|error| issuers.explain(error))
            .map_err(|error| self.explain(error, end_entity, intermediates))
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.prove(message, cert, dss, Protocol::Tls12)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.prove(message, cert, dss, Protocol::Tls13)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}

/// Whether the issuer of a certificate that is known by itself has called it back.
fn ask(
    lists: Option<&Lists>,
    certificate: &CertificateDer<'_>,
    given: &Given,
) -> Result<(), rustls::Error> {
    let refusal = lists.and_then(|lists| lists.refusal(certificate, given));
    refusal.map_or(Ok(()), |error| Err(carry(error)))
}

/// Refuses a certificate that has none of these fingerprints.
fn demand_one(known: &[Fingerprint], certificate: &[u8]) -> Result<(), rustls::Error> {
    let own = Fingerprint::of(certificate);
    if known.contains(&own) {
        return Ok(());
    }
    let text = format!(
        "the peer's certificate is another than 'fingerprint' says: it has {own}; if that is what \
         the peer itself shows for it, give it as 'fingerprint', else somebody is in between"
    );
    Err(carry(verdict::said(Code::TlsFingerprint, &text)))
}

/// The signature of a peer that is verified; one that is known by itself may have a certificate
/// that rustls can't read.
fn demand(
    is_known: bool,
    message: &[u8],
    cert: &CertificateDer<'_>,
    dss: &DigitallySignedStruct,
    algorithms: &WebPkiSupportedAlgorithms,
    protocol: Protocol,
) -> Result<(), rustls::Error> {
    match protocol {
        _ if is_known => proof::demand(message, cert, dss, algorithms, protocol),
        Protocol::Tls12 => verify_tls12_signature(message, cert, dss, algorithms).map(drop),
        Protocol::Tls13 => verify_tls13_signature(message, cert, dss, algorithms).map(drop),
    }
}

/// Tells apart what is one to rustls: a stranger that vouches for itself, one that somebody vouches
/// for who may not, and a signature that could not be verified because of the length of a key.
fn explain(
    error: rustls::Error,
    certificate: &CertificateDer<'_>,
    others: &[CertificateDer<'_>],
    given: Option<&Given>,
    lists: Option<&Lists>,
) -> rustls::Error {
    let store = given.map(|given| &*given.store);
    if let Some(lists) = lists {
        let chain: Vec<_> = std::iter::once(certificate).chain(others).collect();
        if let Some(error) = lists.explain(&error, &chain, store) {
            return carry(error);
        }
    }
    let rustls::Error::InvalidCertificate(problem) = &error else { return error };
    let chain = || std::iter::once(certificate).chain(others);
    let read = Certificate::read(certificate);
    let is_own = read.as_ref().is_some_and(|read| {
        let anchors = store.map(|store| &store.roots[..]).unwrap_or_default();
        read.is_self_issued() && !anchors.iter().any(|one| one.subject.as_ref() == read.subject)
    });
    match problem {
        CertificateError::NotValidForNameContext { .. } if is_turned(read.as_ref(), others) => {
            carry(turned())
        }
        problem if is_stranger(problem) && is_turned(read.as_ref(), others) => carry(turned()),
        problem if is_stranger(problem) && is_own => {
            carry(verdict::said(Code::TlsSelfSigned, "the certificate is signed by itself alone"))
        }
        CertificateError::NotValidForNameContext { expected, .. }
            if !given.is_some_and(|given| given.has(certificate)) =>
        {
            read.and_then(|read| verdict::misnamed(&read, expected)).map_or(error, carry)
        }
        CertificateError::UnknownIssuer => {
            let is_below = |given: &Given| {
                let issuers = chain().filter_map(|der| Some(Certificate::read(der)?.issuer));
                issuers.into_iter().any(|issuer| given.has_only_for_itself(issuer))
            };
            if given.is_some_and(is_below) {
                let text = "its issuer is trusted for itself alone, as it is no authority";
                return carry(verdict::said(
                    Code::TlsUnknownIssuer,
                    &format!("the certificate was issued by nobody who is trusted here: {text}"),
                ));
            }
            error
        }
        CertificateError::BadSignature => {
            let sent = chain().filter_map(|der| Certificate::read(der)?.rsa_bits());
            let mut bits = sent.chain(bits_above(certificate, others, store));
            bits.find_map(proof::bad_length).map_or(error, carry)
        }
        _ => error,
    }
}

fn turned() -> Error {
    let text = "the peer sends its chain in the wrong order: its own certificate must come first";
    verdict::said(Code::TlsBadCertificate, text)
}

/// Whether somebody whom the first vouches for comes behind it.
fn is_turned(first: Option<&Certificate<'_>>, others: &[CertificateDer<'_>]) -> bool {
    first.is_some_and(|first| {
        let others = others.iter().filter_map(|der| Certificate::read(der));
        others.into_iter().any(|one| !one.is_self_issued() && one.issuer == first.subject)
    })
}

/// The lengths of the RSA keys of those authorities that may have issued one of the chain.
fn bits_above(
    certificate: &CertificateDer<'_>,
    others: &[CertificateDer<'_>],
    store: Option<&RootCertStore>,
) -> Vec<usize> {
    let chain = std::iter::once(certificate).chain(others);
    let issuers: Vec<&[u8]> =
        chain.filter_map(|der| Certificate::read(der).map(|read| read.issuer)).collect();
    let anchors = store.iter().flat_map(|store| &store.roots);
    let above = anchors.filter(|anchor| issuers.contains(&anchor.subject.as_ref()));
    above
        .filter_map(|anchor| PublicKey::read(&anchor.subject_public_key_info)?.rsa_bits())
        .collect()
}

/// Many certificates that vouch for themselves also call themselves authorities, or are of an old
/// version, which rustls finds first.
fn is_stranger(problem: &CertificateError) -> bool {
    match problem {
        CertificateError::UnknownIssuer => true,
        CertificateError::Other(other) => !other.0.is::<Error>(),
        _ => false,
    }
}
