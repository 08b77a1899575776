//! What the script asks of TLS.
//!
//! Not here: what becomes of it (`config`).

use super::fingerprint::Fingerprint;
use super::key_log::KeyLogFile;
use super::pem::Pem;
use crate::sync::Arc;

/// Versions of TLS that are spoken.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Version {
    /// RFC 5246.
    #[default]
    Tls12,
    /// RFC 8446.
    Tls13,
}

/// Whether a server asks clients for certificates.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum ClientAuth {
    /// It does not.
    #[default]
    None,
    /// It does, and verifies one that is sent.
    Request,
    /// It refuses clients without.
    Require,
}

/// What few scripts choose themselves.
#[derive(Clone, Debug)]
pub struct Choices {
    /// Cipher suites by their IANA names, in place of all that there are.
    pub suites: Option<Vec<String>>,
    /// Groups of the key exchange by their IANA names, the most wanted first, in place of all that
    /// there are.
    pub groups: Option<Vec<String>>,
    /// A server chooses of the suites by its own order, not by the client's.
    pub prefers_own_suites: bool,
    /// Sessions may be resumed.
    pub resumes: bool,
}

/// What the script asks for.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Whether the peer's certificate is verified at all.
    pub verify: bool,
    /// The chain is verified, the name in the certificate is not.
    pub insecure_name: bool,
    /// The name to ask for and to find in the certificate, in place of the host.
    pub server_name: Option<String>,
    /// Roots in place of the system's.
    pub ca: Option<Pem>,
    /// The peer's own certificate is one of these; then nothing else of it is looked at.
    pub fingerprints: Option<Vec<Fingerprint>>,
    /// Our certificate and its chain.
    pub cert: Option<Pem>,
    /// Its key; it may also stand in `cert`.
    pub key: Option<Pem>,
    /// Application protocols, the most wanted first.
    pub alpn: Vec<Vec<u8>>,
    /// The oldest version that is accepted.
    pub min_version: Version,
    /// The newest version that is spoken.
    pub max_version: Version,
    /// Where the secrets of sessions are written.
    pub key_log: Option<Arc<KeyLogFile>>,
    /// What is left to us unless the script says.
    pub choices: Choices,
    /// For servers.
    pub client_auth: ClientAuth,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            verify: true,
            insecure_name: false,
            server_name: None,
            ca: None,
            fingerprints: None,
            cert: None,
            key: None,
            alpn: Vec::new(),
            min_version: Version::default(),
            max_version: Version::Tls13,
            key_log: None,
            choices: Choices::default(),
            client_auth: ClientAuth::default(),
        }
    }
}

impl Default for Choices {
    fn default() -> Self {
        Self { suites: None, groups: None, prefers_own_suites: false, resumes: true }
    }
}
