//! What the two ends of a session agreed on, and what was verified.
//!
//! Not here: finding it out (`session`).

/// What was verified of the peer.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Verified {
    /// The chain, but not the name (`insecure_name`).
    Chain,
    /// Its own certificate is one of `fingerprint`; nothing else was looked at.
    Fingerprint,
    /// Nothing: `verify = false`, or a client that showed no certificate.
    No,
    /// Everything there is.
    Yes,
}

/// What the two ends agreed on.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Facts {
    /// "1.2" or "1.3".
    pub version: &'static str,
    /// The IANA name, "`TLS_AES_128_GCM_SHA256`".
    pub cipher: String,
    /// The application protocol, if one was agreed on.
    pub alpn: Option<Vec<u8>>,
    /// The name that the client asked for; addresses are not asked for by name.
    pub server_name: Option<String>,
    /// What was verified of the peer.
    pub verified: Verified,
    /// Whether an earlier session went on.
    pub resumed: bool,
}
