//! The one error type: a code for programs and a message for people.
//!
//! Not here: misuse of the Lua API, which raises and never becomes an [`Error`].
//! Invariants: codes come from the closed list below; a message says what, whom and why, in lower
//! case ("connect 10.0.0.9:23: connection refused").

use std::fmt;
use std::io;

use crate::errno;

macro_rules! codes {
    ($($(#[$doc:meta])* $variant:ident = $name:literal,)*) => {
        /// The closed list of error codes. Each says who is usually to blame.
        #[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
        #[non_exhaustive]
        pub enum Code { $($(#[$doc])* $variant,)* }

        impl Code {
            /// Every code, for documentation and tests.
            pub const ALL: &'static [Code] = &[$(Code::$variant,)*];

            /// The stable text that scripts compare with.
            #[must_use]
            pub fn as_str(self) -> &'static str {
                match self { $(Code::$variant => $name,)* }
            }
        }
    };
}

codes! {
    /// The system forbids it: a privileged port, a firewall, file permissions (caller).
    Access = "EACCES",
    /// Another program listens there (caller).
    AddressInUse = "EADDRINUSE",
    /// The address is none of this machine's (caller).
    AddressNotAvailable = "EADDRNOTAVAIL",
    /// A bound was reached; the same call may succeed later (caller).
    Again = "EAGAIN",
    /// The host is no possible name: empty, too long, or with characters no name has (caller).
    BadHost = "EBADHOST",
    /// Something else is under way on this socket (caller).
    Busy = "EBUSY",
    /// It was called off by the script (caller).
    Canceled = "ECANCELED",
    /// The socket is idle or closed (caller).
    Closed = "ECLOSED",
    /// Nothing listens there, or it sent a reset (peer).
    ConnectionRefused = "ECONNREFUSED",
    /// The peer broke the connection off (peer).
    ConnectionReset = "ECONNRESET",
    /// The process forked; sockets belong to the parent (caller).
    Fork = "EFORK",
    /// The name is not known, or nobody answered for it (caller, network).
    HostNotFound = "EHOSTNOTFOUND",
    /// No way to that host (network).
    HostUnreachable = "EHOSTUNREACH",
    /// A fault of this library; please report it.
    Internal = "EINTERNAL",
    /// The system refuses the argument (caller).
    Invalid = "EINVAL",
    /// Any other answer of the system; the message has its text.
    Io = "EIO",
    /// A line or block is longer than `max_frame` (peer), or a datagram too long to be sent (caller).
    MessageSize = "EMSGSIZE",
    /// No way to that network (network).
    NetworkUnreachable = "ENETUNREACH",
    /// There is no such file (Unix sockets; caller).
    NotFound = "ENOENT",
    /// The system is out of memory or buffers (machine).
    OutOfMemory = "ENOMEM",
    /// A task ended with an error, which is the message (caller).
    Task = "ETASK",
    /// A timeout of this socket ran out (peer, network).
    TimedOut = "ETIMEDOUT",
    /// The process or the system has no descriptor left (caller, machine).
    TooManyFiles = "EMFILE",

    /// The peer ended it with a TLS alert that has no code of its own; the message names it. Look
    /// into the peer's log; on an open connection it may want to renegotiate (peer).
    TlsAlert = "TLS_ALERT",
    /// The two ends share no application protocol: compare `alpn` with what the peer speaks
    /// (caller, peer).
    TlsAlpn = "TLS_ALPN",
    /// The peer's certificate is damaged, or it or its issuer breaks a rule (no authority that
    /// may issue, chain longer than allowed, an authority's own certificate used for a server):
    /// have it issued anew (peer).
    TlsBadCertificate = "TLS_BAD_CERTIFICATE",
    /// The certificate is for other names, which the message lists: connect by one of these, or
    /// give it as `server_name` (caller, peer).
    TlsBadHostname = "TLS_BAD_HOSTNAME",
    /// The certificate was made for another purpose, a server's used by a client for example:
    /// have it issued for this one (peer).
    TlsBadPurpose = "TLS_BAD_PURPOSE",
    /// A signature of the peer or of an issuer is wrong: a `ca` of the same name but another key,
    /// or somebody in between. Compare the certificates before trusting any (peer, network).
    TlsBadSignature = "TLS_BAD_SIGNATURE",
    /// The peer does not accept our certificate: see that it knows its issuer, that it is in force
    /// and made for this purpose (caller, peer).
    TlsCertRefused = "TLS_CERT_REFUSED",
    /// The peer asks for a client certificate and got none: give `cert` and `key` (caller).
    TlsClientCertRequired = "TLS_CLIENT_CERT_REQUIRED",
    /// The certificate's time is over: renew it, and see that this machine's clock is right (peer). Or
    /// that of a revocation list is, which the message names: get the new one (caller).
    TlsExpired = "TLS_EXPIRED",
    /// The two ends share no cipher suite, key exchange or kind of signature. RSA key exchange, DHE and
    /// CBC are left out here: bring the peer up to date, or put a TLS proxy in front of it (peer).
    TlsNoCommon = "TLS_NO_COMMON",
    /// This machine has no trusted roots: install its package of CA certificates, or give `ca`
    /// (caller, machine).
    TlsNoRoots = "TLS_NO_ROOTS",
    /// The peer does not speak TLS at all: the port is one for plain text, or TLS begins later
    /// there, with `start_tls` (caller).
    TlsNotTls = "TLS_NOT_TLS",
    /// The certificate's time has not begun: see that this machine's clock is right (machine, peer).
    TlsNotYetValid = "TLS_NOT_YET_VALID",
    /// The peer breaks the rules of TLS, or what it sent was damaged on the way; an attack looks
    /// like that too (peer, network).
    TlsProtocol = "TLS_PROTOCOL",
    /// The certificate, or that of an authority above it, was called back by its issuer: don't trust the
    /// peer (peer).
    TlsRevoked = "TLS_REVOKED",
    /// The certificate vouches for itself alone: if it is known to be the right one, give it as
    /// `ca` (caller, peer).
    TlsSelfSigned = "TLS_SELF_SIGNED",
    /// The handshake took longer than `connect_timeout` (peer, network).
    TlsTimeout = "TLS_TIMEOUT",
    /// The connection ended without the end of TLS: what was received may lack its tail. Don't
    /// take it for whole unless its own format says so (peer, network).
    TlsTruncated = "TLS_TRUNCATED",
    /// No known authority issued the certificate: give its issuer as `ca`; if the peer leaves out
    /// an intermediate certificate, it should send it (caller, peer). Or no revocation list says
    /// whether it was called back: give that of the issuer in the message (caller).
    TlsUnknownIssuer = "TLS_UNKNOWN_ISSUER",
    /// The two ends share no version of TLS: compare `min_version`; versions before 1.2 are not
    /// spoken, a TLS proxy in front of the peer helps (caller, peer).
    TlsVersion = "TLS_VERSION",
    /// A key or signature is too weak or of a kind that is not accepted, RSA below 2048 bits or
    /// SHA-1 for example: have the certificate issued anew (peer).
    TlsWeak = "TLS_WEAK",
}

impl Code {
    fn of(error: &io::Error) -> Self {
        match errno::number(error) {
            Some(errno::EACCES | errno::EPERM) => Self::Access,
            // A Unix socket whose server has more connections waiting than it allows.
            Some(errno::EAGAIN) => Self::Again,
            Some(errno::EADDRINUSE) => Self::AddressInUse,
            Some(errno::EADDRNOTAVAIL) => Self::AddressNotAvailable,
            Some(errno::ECONNREFUSED) => Self::ConnectionRefused,
            Some(errno::ECONNRESET | errno::EPIPE | errno::ECONNABORTED) => Self::ConnectionReset,
            Some(errno::EHOSTUNREACH | errno::EHOSTDOWN) => Self::HostUnreachable,
            Some(errno::EINVAL) => Self::Invalid,
            Some(errno::EMFILE | errno::ENFILE) => Self::TooManyFiles,
            Some(errno::EMSGSIZE) => Self::MessageSize,
            Some(errno::ENETUNREACH | errno::ENETDOWN) => Self::NetworkUnreachable,
            Some(errno::ENOENT) => Self::NotFound,
            Some(errno::ENOBUFS | errno::ENOMEM) => Self::OutOfMemory,
            Some(errno::ETIMEDOUT) => Self::TimedOut,
            None if error.kind() == io::ErrorKind::InvalidInput => Self::Invalid,
            None if error.kind() == io::ErrorKind::AddrNotAvailable => Self::AddressNotAvailable,
            _ => Self::Io,
        }
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What went wrong: a code and a message.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Error {
    code: Code,
    message: String,
}

/// The result of whatever can go wrong here.
pub type Result<T> = std::result::Result<T, Error>;

impl Error {
    /// An error of our own making.
    pub fn new(code: Code, message: impl Into<String>) -> Self {
        Self { code, message: message.into() }
    }

    /// An error of the system: `context` says what and whom ("connect 10.0.0.9:23").
    #[must_use]
    pub fn os(context: &str, error: &io::Error) -> Self {
        Self { code: Code::of(error), message: format!("{context}: {}", reason(error)) }
    }

    /// The same, with what and whom in front ("accept 10.0.0.9:23").
    #[must_use]
    pub fn at(&self, context: &str) -> Self {
        Self { code: self.code, message: format!("{context}: {}", self.message) }
    }

    /// For programs.
    #[must_use]
    pub fn code(&self) -> Code {
        self.code
    }

    /// For people.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.message
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.message, self.code)
    }
}

impl std::error::Error for Error {}

/// The system's text in the house's style: lower case, without Rust's "(os error 111)", and the
/// same on every system for what is common.
#[must_use]
pub fn reason(error: &io::Error) -> String {
    if let Some(text) = errno::text(error) {
        return text.to_owned();
    }
    let text = error.to_string();
    let text = text.split(" (os error").next().unwrap_or_default();
    let mut letters = text.chars();
    match letters.next() {
        Some(first) => first.to_lowercase().chain(letters).collect(),
        None => String::from("unknown error"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_system_error_reads_what_whom_why() {
        let refused = io::Error::from_raw_os_error(errno::ECONNREFUSED);
        let error = Error::os("connect 10.0.0.9:23", &refused);
        assert_eq!(error.message(), "connect 10.0.0.9:23: connection refused");
        assert_eq!(error.code().as_str(), "ECONNREFUSED");
    }

    #[test]
    fn no_two_codes_share_a_name() {
        let mut names: Vec<_> = Code::ALL.iter().map(|code| code.as_str()).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), Code::ALL.len());
    }
}
