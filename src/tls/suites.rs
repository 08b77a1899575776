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
    CipherSuite, CipherSuiteCommon, SignatureScheme, SupportedCipherSuite,
    SupportedProtocolVersion, Tls12CipherSuite,
};

use super::settings::{Choices, Settings, Version};
use crate::quote::named;
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

/// None where the oldest is newer than the newest.
pub(super) fn versions(settings: &Settings) -> &'static [&'static SupportedProtocolVersion] {
    match (settings.min_version, settings.max_version) {
        (Version::Tls12, Version::Tls13) => ALL_VERSIONS,
        (Version::Tls13, Version::Tls13) => &ALL_VERSIONS[..1],
        (Version::Tls12, Version::Tls12) => &ALL_VERSIONS[1..],
        (Version::Tls13, Version::Tls12) => &[],
    }
}

/// The provider with those suites and groups alone that were chosen.
///
/// # Errors
/// There is none of that name.
pub(super) fn chosen(
    all: Arc<CryptoProvider>,
    choices: &Choices,
) -> Result<Arc<CryptoProvider>, String> {
    if choices.suites.is_none() && choices.groups.is_none() {
        return Ok(all);
    }
    let mut chosen = CryptoProvider::clone(&all);
    if let Some(names) = &choices.suites {
        chosen.cipher_suites = pick(names, &all.cipher_suites, "cipher suite", |suite, name| {
            suite_name(suite.suite()).as_deref() == Some(name)
        })?;
    }
    if let Some(names) = &choices.groups {
        chosen.kx_groups = pick(names, &all.kx_groups, "group", |group, name| {
            group.name().as_str().is_some_and(|known| known.eq_ignore_ascii_case(name))
        })?;
    }
    Ok(Arc::new(chosen))
}

/// Those of that name, in the order of the names.
fn pick<T: Copy>(
    names: &[String],
    all: &[T],
    what: &str,
    is_named: impl Fn(T, &str) -> bool,
) -> Result<Vec<T>, String> {
    let find = |name: &String| {
        let found = all.iter().copied().find(|one| is_named(*one, name));
        found.ok_or_else(|| format!("{what} {} is not known", named(name.as_bytes())))
    };
    names.iter().map(find).collect()
}

/// The IANA name; rustls has names of its own for those of 1.3.
pub(super) fn suite_name(suite: CipherSuite) -> Option<String> {
    Some(suite.as_str()?.replace("TLS13_", "TLS_"))
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
