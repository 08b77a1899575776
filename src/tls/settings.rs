//! What the script asks of TLS.
//!
//! Not here: what becomes of it (`config`).

use super::fingerprint::Fingerprint;
use super::key_log::KeyLog;
use super::locked::Password;
use super::pem::Pem;
use crate::digest::Digest;
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
    /// Where the secrets of sessions are written.
    pub key_log: Option<Arc<KeyLog>>,
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
            crl: None,
            cert: None,
            key: None,
            password: None,
            alpn: Vec::new(),
            min_version: Version::default(),
            max_version: Version::Tls13,
            key_log: None,
            choices: Choices::default(),
            client_auth: ClientAuth::default(),
        }
    }
}

impl Settings {
    /// The digest of all that they say: the same of two only if everything is, but for the key log.
    pub(super) fn digest(&self) -> Vec<u8> {
        // Whoever adds a field meets this list.
        let Self {
            verify,
            insecure_name,
            server_name,
            ca,
            crl,
            fingerprints,
            cert,
            key,
            password,
            alpn,
            min_version,
            max_version,
            choices,
            client_auth,
            key_log: _,
        } = self;
        let Choices { suites, groups, prefers_own_suites, resumes } = choices;
        let mut all = Content::default();
        all.put(format!("{verify} {insecure_name} {min_version:?} {max_version:?}").as_bytes());
        all.put(format!("{client_auth:?} {prefers_own_suites} {resumes}").as_bytes());
        all.put_list(server_name.iter());
        for pem in [ca, crl, cert, key] {
            all.put_list(pem.iter().flat_map(|pem| [pem.source.as_bytes(), &pem.text]));
        }
        all.put(&[u8::from(fingerprints.is_some())]);
        all.put_list(fingerprints.iter().flatten().map(ToString::to_string));
        all.put_list(password.iter().map(|password| &password.0));
        all.put_list(alpn.iter());
        for list in [suites, groups] {
            all.put(&[u8::from(list.is_some())]);
            all.put_list(list.iter().flatten());
        }
        Digest::Sha256.of(&all.0)
    }

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

/// Texts one after the other, each with its length, so that none can be taken for two.
#[derive(Default)]
struct Content(Vec<u8>);

impl Content {
    fn put(&mut self, text: &[u8]) {
        self.0.extend_from_slice(&(text.len() as u64).to_be_bytes());
        self.0.extend_from_slice(text);
    }

    fn put_list<T: AsRef<[u8]>>(&mut self, texts: impl Iterator<Item = T>) {
        let before = self.0.len();
        self.0.extend_from_slice(&[0; 8]);
        let mut count = 0_u64;
        for text in texts {
            self.put(text.as_ref());
            count += 1;
        }
        self.0[before..before + 8].copy_from_slice(&count.to_be_bytes());
    }
}

impl Default for Choices {
    fn default() -> Self {
        Self { suites: None, groups: None, prefers_own_suites: false, resumes: true }
    }
}
