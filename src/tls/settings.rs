//! What the script asks of TLS.
//!
//! Not here: what becomes of it (`config`).

use super::locked::Password;
use super::pem::Pem;

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
    /// Lists of revoked certificates: the chain of the peer is checked by them.
    pub crl: Option<Pem>,
    /// Our certificate and its chain.
    pub cert: Option<Pem>,
    /// Its key; it may also stand in `cert`.
    pub key: Option<Pem>,
    /// What opens the key if that is locked.
    pub password: Option<Password>,
    /// Application protocols, the most wanted first.
    pub alpn: Vec<Vec<u8>>,
    /// The oldest version that is accepted.
    pub min_version: Version,
    /// The newest version that is spoken.
    pub max_version: Version,
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
            crl: None,
            cert: None,
            key: None,
            password: None,
            alpn: Vec::new(),
            min_version: Version::default(),
            max_version: Version::Tls13,
            choices: Choices::default(),
            client_auth: ClientAuth::default(),
        }
    }
}

impl Settings {
    /// Opens the key with the password, once for all that is made of these settings. A key that is
    /// not locked needs none and ignores it, as with OpenSSL.
    ///
    /// # Errors
    /// It does not open it; the reason names the source of the key.
    pub fn unlock(&mut self) -> Result<(), String> {
        if let (Some(password), Some(key)) =
            (&self.password, self.key.as_ref().or(self.cert.as_ref()))
            && let Some(open) = key.unlocked(password)?
        {
            self.key = Some(open);
        }
        Ok(())
    }
}

impl Default for Choices {
    fn default() -> Self {
        Self { suites: None, groups: None, prefers_own_suites: false, resumes: true }
    }
}
