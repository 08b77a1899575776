//! One end of a connection: an IP address with its port, or the path of a Unix socket.
//!
//! Not here: names and their lookup.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

/// What the text of a Unix address begins with, everywhere in the API.
pub const UNIX: &str = "unix:";

/// The address of one end.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Address {
    /// TCP.
    Ip(SocketAddr),
    /// A Unix socket.
    Unix(Arc<str>),
}

impl Address {
    /// The host's part: a numeric address, or `unix:` and the path.
    #[must_use]
    pub fn host(&self) -> String {
        match self {
            Self::Ip(address) => address.ip().to_canonical().to_string(),
            Self::Unix(path) => format!("{UNIX}{path}"),
        }
    }

    /// The port; Unix sockets have none.
    #[must_use]
    pub fn port(&self) -> Option<u16> {
        match self {
            Self::Ip(address) => Some(address.port()),
            Self::Unix(_) => None,
        }
    }

    /// The numeric address of a TCP end.
    #[must_use]
    pub fn ip(&self) -> Option<IpAddr> {
        match self {
            Self::Ip(address) => Some(address.ip()),
            Self::Unix(_) => None,
        }
    }

    /// Whether it is an IPv6 address.
    #[must_use]
    pub fn is_ipv6(&self) -> bool {
        self.ip().is_some_and(|ip| ip.is_ipv6())
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ip(address) => address.fmt(f),
            Self::Unix(path) => write!(f, "{UNIX}{path}"),
        }
    }
}

impl From<SocketAddr> for Address {
    fn from(address: SocketAddr) -> Self {
        Self::Ip(address)
    }
}
