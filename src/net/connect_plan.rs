//! Where a connection goes: checked once, at the door.
//!
//! Not here: looking names up (`resolver`). Invariant: a plan's way is fixed when it is made; a
//! detour (`Detour`) changes the way and nothing that the script sees.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use crate::address::{Address, UNIX};
use crate::error::{Code, Error};

/// What to do instead of what the script asked for (simulators).
#[derive(Clone, Debug)]
pub enum Detour {
    /// The lookup fails at once.
    Unknown,
    /// Go there instead.
    To(String, u16),
}

/// The way to the peer.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Way {
    /// A numeric address, or the path of a Unix socket.
    Address(Address),
    /// `localhost`, whose addresses are known.
    Localhost(u16),
    /// A name to look up, and the port.
    Name(String, u16),
    /// No such host.
    Nowhere(Error),
}

/// Host and port as asked for, and the way there.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ConnectPlan {
    /// As given.
    pub host: String,
    /// As given; 0 for Unix sockets.
    pub port: u16,
    /// Really.
    pub way: Way,
}

impl ConnectPlan {
    /// Checks the host; a bad one becomes a failed lookup, not an error of the call.
    #[must_use]
    pub fn new(host: String, port: u16, detour: Option<Detour>) -> Self {
        let way = match detour {
            None => way(&host, port),
            Some(Detour::To(other, other_port)) => way(&other, other_port),
            Some(Detour::Unknown) => {
                Way::Nowhere(Error::new(Code::HostNotFound, "connect: name or service not known"))
            }
        };
        Self { host, port, way }
    }

    /// "host:port", for messages.
    #[must_use]
    pub fn whom(&self) -> String {
        if self.host.starts_with(UNIX) {
            self.host.clone()
        } else if self.host.contains(':') {
            format!("[{}]:{}", self.host, self.port)
        } else {
            format!("{}:{}", self.host, self.port)
        }
    }
}

fn way(host: &str, port: u16) -> Way {
    if let Some(path) = host.strip_prefix(UNIX) {
        return match unix(path) {
            Ok(address) => Way::Address(address),
            Err(why) => Way::Nowhere(Error::new(Code::BadHost, format!("connect: {why}"))),
        };
    }
    let literal = host.strip_prefix('[').and_then(|h| h.strip_suffix(']')).unwrap_or(host);
    if let Ok(address) = literal.parse::<IpAddr>() {
        return Way::Address(SocketAddr::new(address, port).into());
    }
    let name = host.strip_suffix('.').unwrap_or(host);
    if name.eq_ignore_ascii_case("localhost") {
        return Way::Localhost(port);
    }
    if is_name(name) {
        return Way::Name(host.to_owned(), port);
    }
    Way::Nowhere(Error::new(Code::BadHost, "connect: this is no host name"))
}

/// What the structure of the system has room for, less the end of the text.
const LONGEST_PATH: usize = 107;

/// The address of a path, or why it can be none.
///
/// # Errors
/// The reason, as a text.
pub fn unix(path: &str) -> Result<Address, String> {
    if path.is_empty() {
        Err("the path is empty".to_owned())
    } else if path.len() > LONGEST_PATH {
        Err(format!("the path has {} bytes, {LONGEST_PATH} at most", path.len()))
    } else if path.contains('\0') {
        Err("the path holds a zero byte".to_owned())
    } else {
        Ok(Address::Unix(path.into()))
    }
}

/// The addresses of `localhost`, which never asks anybody.
#[must_use]
pub fn loopback(port: u16) -> Vec<SocketAddr> {
    let v6 = SocketAddr::from((Ipv6Addr::LOCALHOST, port));
    vec![v6, SocketAddr::from((Ipv4Addr::LOCALHOST, port))]
}

/// RFC 1123 section 2.1, with the underscore that real networks have, and the `%` of scoped
/// IPv6 addresses, which the system's lookup understands.
fn is_name(name: &str) -> bool {
    let letters = |b: u8| b.is_ascii_alphanumeric() || b"-_%:".contains(&b) || !b.is_ascii();
    let label = |label: &str| (1..=63).contains(&label.len()) && label.bytes().all(letters);
    name.len() <= 253 && name.split('.').all(label)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(host: &str) -> Way {
        ConnectPlan::new(host.to_owned(), 23, None).way
    }

    #[test]
    fn a_numeric_address_needs_no_lookup() {
        assert!(matches!(plan("10.0.0.9"), Way::Address(address) if address.port() == Some(23)));
        assert!(matches!(plan("[::1]"), Way::Address(address) if address.is_ipv6()));
    }

    #[test]
    fn localhost_is_known_without_asking() {
        assert!(matches!(plan("LocalHost"), Way::Localhost(23)));
    }

    #[test]
    fn senseless_hosts_are_told_from_unknown_names() {
        for host in ["", "Enter an IP Address", "a..b", "x\0y", &"a".repeat(64)] {
            assert!(matches!(plan(host), Way::Nowhere(e) if e.code() == Code::BadHost), "{host:?}");
        }
        assert!(matches!(plan("my_device.local"), Way::Name(_, 23)));
    }

    #[test]
    fn a_unix_path_is_taken_as_it_is_and_checked_for_what_no_path_can_be() {
        assert!(
            matches!(plan("unix:/run/x y"), Way::Address(Address::Unix(path)) if &*path == "/run/x y")
        );
        for host in ["unix:", "unix:/a\0b", &format!("unix:/{}", "a".repeat(107))] {
            assert!(matches!(plan(host), Way::Nowhere(e) if e.code() == Code::BadHost), "{host:?}");
        }
    }

    #[test]
    fn a_detour_is_invisible() {
        let detour = Some(Detour::To("127.0.0.1".to_owned(), 1999));
        let plan = ConnectPlan::new("device".to_owned(), 23, detour);
        assert_eq!(plan.whom(), "device:23");
        assert!(matches!(plan.way, Way::Address(address) if address.port() == Some(1999)));
    }
}
