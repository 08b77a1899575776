//! A peer that is rustls' own buffered connection: it speaks one version only and has certificates
//! that ours would not load.

use std::io::{Read, Write};
use std::sync::Arc;

use rcgen::PublicKeyData;
use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::sign::{CertifiedKey, Signer, SigningKey, SingleCertAndKey};
use rustls::{
    ClientConfig, Connection, RootCertStore, ServerConfig, SignatureAlgorithm, SignatureScheme,
    SupportedProtocolVersion,
};

use super::{Ca, End, Identity};

pub type Version = &'static SupportedProtocolVersion;

pub const TLS12: Version = &rustls::version::TLS12;
pub const TLS13: Version = &rustls::version::TLS13;
pub const BOTH: [Version; 2] = [TLS12, TLS13];

pub fn provider() -> Arc<CryptoProvider> {
    Arc::new(ring::default_provider())
}

pub fn chain_of(identity: &Identity) -> Vec<CertificateDer<'static>> {
    let sections = CertificateDer::pem_slice_iter(identity.chain.as_bytes());
    sections.map(Result::unwrap).collect()
}

/// The certificate and the key, whether they fit or not.
pub fn certified(identity: &Identity) -> CertifiedKey {
    let key = PrivateKeyDer::from_pem_slice(identity.key.as_bytes()).unwrap();
    let key = provider().key_provider.load_private_key(key).unwrap();
    CertifiedKey::new(chain_of(identity), key)
}

/// An RSA key that says how long it is and signs with nonsense.
#[derive(Debug)]
pub struct LyingKey(Vec<u8>);

impl LyingKey {
    pub fn of_bits(bits: usize) -> Self {
        let mut modulus = vec![0xc5; bits / 8];
        modulus.insert(0, 0);
        let mut body = vec![0x02, 0x82];
        body.extend(u16::try_from(modulus.len()).unwrap().to_be_bytes());
        body.extend(modulus);
        body.extend([0x02, 0x03, 0x01, 0x00, 0x01]);
        let mut der = vec![0x30, 0x82];
        der.extend(u16::try_from(body.len()).unwrap().to_be_bytes());
        der.extend(body);
        Self(der)
    }
}

impl PublicKeyData for LyingKey {
    fn der_bytes(&self) -> &[u8] {
        &self.0
    }

    fn algorithm(&self) -> &'static rcgen::SignatureAlgorithm {
        &rcgen::PKCS_RSA_SHA256
    }
}

impl rcgen::SigningKey for LyingKey {
    fn sign(&self, _: &[u8]) -> Result<Vec<u8>, rcgen::Error> {
        Ok(vec![0x5c; self.0.len() - 14])
    }
}

/// The same in a handshake, for any kind of key.
#[derive(Debug)]
pub struct LyingSigner(pub SignatureScheme, pub SignatureAlgorithm);

impl SigningKey for LyingSigner {
    fn choose_scheme(&self, offered: &[SignatureScheme]) -> Option<Box<dyn Signer>> {
        offered.contains(&self.0).then(|| Box::new(Self(self.0, self.1)) as Box<dyn Signer>)
    }

    fn algorithm(&self) -> SignatureAlgorithm {
        self.1
    }
}

impl Signer for LyingSigner {
    fn sign(&self, _: &[u8]) -> Result<Vec<u8>, rustls::Error> {
        Ok(vec![0x5c; 128])
    }

    fn scheme(&self) -> SignatureScheme {
        self.0
    }
}

pub struct Raw {
    pub connection: Connection,
    pub plain: Vec<u8>,
    pub failure: Option<rustls::Error>,
}

impl Raw {
    pub fn server(version: Version, identity: CertifiedKey) -> Self {
        Self::server_with(version, identity, |_| ())
    }

    pub fn server_with(
        version: Version,
        identity: CertifiedKey,
        change: impl FnOnce(&mut ServerConfig),
    ) -> Self {
        let mut config = ServerConfig::builder_with_provider(provider())
            .with_protocol_versions(&[version])
            .unwrap()
            .with_no_client_auth()
            .with_cert_resolver(Arc::new(SingleCertAndKey::from(identity)));
        change(&mut config);
        Self::of_server(&Arc::new(config))
    }

    pub fn server_config(version: Version, identity: CertifiedKey) -> Arc<ServerConfig> {
        let mut kept = None;
        Self::server_with(version, identity, |config| kept = Some(config.clone()));
        Arc::new(kept.unwrap())
    }

    pub fn of_server(config: &Arc<ServerConfig>) -> Self {
        let server = rustls::ServerConnection::new(Arc::clone(config)).unwrap();
        Self { connection: server.into(), plain: Vec::new(), failure: None }
    }

    pub fn client(version: Version, ca: &Ca, identity: Option<CertifiedKey>, host: &str) -> Self {
        Self::of_client(&Self::client_config(version, ca, identity, |_| ()), host)
    }

    pub fn client_config(
        version: Version,
        ca: &Ca,
        identity: Option<CertifiedKey>,
        change: impl FnOnce(&mut ClientConfig),
    ) -> Arc<ClientConfig> {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_slice(ca.pem.as_bytes()).unwrap()).unwrap();
        let builder = ClientConfig::builder_with_provider(provider())
            .with_protocol_versions(&[version])
            .unwrap()
            .with_root_certificates(roots);
        let mut config = match identity {
            None => builder.with_no_client_auth(),
            Some(key) => builder.with_client_cert_resolver(Arc::new(SingleCertAndKey::from(key))),
        };
        change(&mut config);
        Arc::new(config)
    }

    pub fn of_client(config: &Arc<ClientConfig>, host: &str) -> Self {
        let name = ServerName::try_from(host.to_owned()).unwrap();
        let client = rustls::ClientConnection::new(Arc::clone(config), name).unwrap();
        Self { connection: client.into(), plain: Vec::new(), failure: None }
    }

    pub fn say(&mut self, bytes: &[u8]) {
        self.connection.writer().write_all(bytes).unwrap();
    }

    pub fn feed(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() && self.failure.is_none() {
            if self.connection.read_tls(&mut bytes).is_err() {
                return;
            }
            self.failure = self.connection.process_new_packets().err();
            // Fails when there is nothing (more) to read.
            let _ = self.connection.reader().read_to_end(&mut self.plain);
        }
    }

    pub fn take(&mut self) -> Vec<u8> {
        let mut out = Vec::new();
        while self.connection.wants_write() {
            self.connection.write_tls(&mut out).unwrap();
        }
        out
    }

    /// Carries everything over until both ends are quiet.
    pub fn join(&mut self, end: &mut End) {
        loop {
            let (up, down) = (end.take(), self.take());
            if up.is_empty() && down.is_empty() {
                return;
            }
            self.feed(&up);
            end.feed(&down);
        }
    }
}
