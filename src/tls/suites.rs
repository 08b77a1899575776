//! The cryptography that sessions are made of.
//!
//! Not here: which signatures are believed (`proof`). For servers that nobody verifies suites of TLS
//! 1.2 go with keys that only `proof` puts up with, or rustls would refuse these before it asks.

use once_cell::sync::Lazy;
use rustls::crypto::CryptoProvider;
#[cfg(feature = "aws-lc-rs")]
use rustls::crypto::aws_lc_rs as backend;
#[cfg(not(feature = "aws-lc-rs"))]
use rustls::crypto::ring as backend;
use rustls::{
    CipherSuiteCommon, SignatureScheme, SupportedCipherSuite, SupportedProtocolVersion,
    Tls12CipherSuite,
};

use super::settings::Version;
use crate::sync::Arc;

static PROVIDER: Lazy<Arc<CryptoProvider>> = Lazy::new(|| Arc::new(backend::default_provider()));

static TOLERANT: Lazy<Arc<CryptoProvider>> = Lazy::new(|| {
    let mut provider = backend::default_provider();
    provider.cipher_suites = provider.cipher_suites.into_iter().map(tolerant).collect();
    Arc::new(provider)
});

/// The newest first.
static ALL_VERSIONS: &[&SupportedProtocolVersion] =
    &[&rustls::version::TLS13, &rustls::version::TLS12];

pub(super) fn provider() -> Arc<CryptoProvider> {
    Arc::clone(&PROVIDER)
}

/// For clients that verify nobody.
pub(super) fn tolerant_provider() -> Arc<CryptoProvider> {
    Arc::clone(&TOLERANT)
}

pub(super) fn ticketer() -> Result<Arc<dyn rustls::server::ProducesTickets>, rustls::Error> {
    backend::Ticketer::new()
}

pub(super) fn versions(least: Version) -> &'static [&'static SupportedProtocolVersion] {
    match least {
        Version::Tls12 => ALL_VERSIONS,
        Version::Tls13 => &ALL_VERSIONS[..1],
    }
}

/// Suites live as long as the process, as rustls wants them; each is made once.
fn tolerant(suite: SupportedCipherSuite) -> SupportedCipherSuite {
    match suite {
        SupportedCipherSuite::Tls12(suite) if suite.sign.contains(&SignatureScheme::ED25519) => {
            let common = CipherSuiteCommon {
                suite: suite.common.suite,
                hash_provider: suite.common.hash_provider,
                confidentiality_limit: suite.common.confidentiality_limit,
            };
            let sign = [suite.sign, &[SignatureScheme::ED448]].concat().leak();
            let suite = Tls12CipherSuite {
                common,
                prf_provider: suite.prf_provider,
                kx: suite.kx,
                sign,
                aead_alg: suite.aead_alg,
            };
            SupportedCipherSuite::Tls12(Box::leak(Box::new(suite)))
        }
        suite => suite,
    }
}
