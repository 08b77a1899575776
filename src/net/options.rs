//! The options of a connection, checked.
//!
//! Not here: the texts and tables they come from (`lua`). Options are shared between sockets and
//! copied when one of them changes its own.

use std::net::SocketAddr;
use std::time::Duration;

use crate::limits;
use crate::proto::backoff::Backoff;
use crate::sync::Arc;
use crate::tls::Config;

/// The configurations of both roles, as far as they were given.
#[derive(Clone, Debug)]
pub struct Tls {
    /// For outgoing connections.
    pub client: Arc<Config>,
    /// For accepted ones; needs a certificate.
    pub server: Option<Arc<Config>>,
}

/// Options of one connection; durations of zero have become `None`.
#[expect(clippy::struct_excessive_bools, reason = "choices that do not depend on each other")]
#[derive(Clone, Debug)]
pub struct Options {
    /// Bound of lookup, connecting and handshake together.
    pub connect_timeout: Option<Duration>,
    /// The same for an accepted connection: of its handshake.
    pub handshake_timeout: Option<Duration>,
    /// Bound of silence while open.
    pub read_timeout: Option<Duration>,
    /// Bound of a queued write.
    pub write_timeout: Option<Duration>,
    /// The pauses of automatic reconnecting.
    pub reconnect: Option<Backoff>,
    /// Small writes go out at once.
    pub nodelay: bool,
    /// Whether the system probes a silent peer.
    pub keepalive: bool,
    /// Silence before the first probe.
    pub keepalive_idle: Option<Duration>,
    /// Unread bytes at which reading stops.
    pub read_limit: usize,
    /// What a line or block may grow to.
    pub max_frame: usize,
    /// Bytes that may wait to be sent.
    pub write_limit: usize,
    /// Low-water mark of `Drained`.
    pub drain_at: usize,
    /// Whether writing goes on after the peer's end of stream.
    pub half_open: bool,
    /// Of a name with both, IPv4 addresses are tried before IPv6 ones.
    pub ipv4_first: bool,
    /// Our own end of an outgoing connection; port 0 is the system's choice.
    pub bind: Option<SocketAddr>,
    /// Connections begin with a TLS handshake.
    pub tls: Option<Arc<Tls>>,
}

impl Options {
    /// Whether connections begin with a handshake.
    #[must_use]
    pub fn begins_secure(&self) -> bool {
        self.tls.is_some()
    }

    /// How long it may take until a connection stands.
    #[must_use]
    pub fn bound(&self, is_accepted: bool) -> Option<Duration> {
        if is_accepted { self.handshake_timeout } else { self.connect_timeout }
    }
}

impl Default for Options {
    fn default() -> Self {
        Self {
            connect_timeout: Some(limits::CONNECT_TIMEOUT),
            handshake_timeout: Some(limits::HANDSHAKE_TIMEOUT),
            read_timeout: None,
            write_timeout: None,
            reconnect: None,
            nodelay: true,
            keepalive: false,
            keepalive_idle: None,
            read_limit: limits::READ_LIMIT,
            max_frame: limits::MAX_FRAME,
            write_limit: limits::WRITE_LIMIT,
            drain_at: 0,
            half_open: false,
            ipv4_first: false,
            bind: None,
            tls: None,
        }
    }
}
