//! Where a connection goes: checked once, at the door.
//!
//! Not here: looking names up (`resolver`). Invariant: a plan's way is fixed when it is made; a
//! detour (`Detour`) changes the way and nothing that the script sees.

use std::borrow::Cow;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};

use crate::address::{self, Address, Literal, UNIX};
use crate::error::{Code, Error};
use crate::quote::shown;

/// What to do instead of what the script asked for (simulators).
#[derive(Clone, Debug)]
pub enum Detour {
    /// The lookup fails at once.
    Unknown,
    /// Go there instead.
    To(Vec<u8>, u16),
}

/// The way to the peer.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Way {
    /// A numeric address, or the path of a Unix socket.
    Address(Address),
    /// One with a zone, whose interface is looked for at each attempt: it may come and go.
    Zoned(Literal, u16),
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
    /// As given: bytes, for it may be a path.
    pub host: Vec<u8>,
    /// As given; 0 for Unix sockets.
    pub port: u16,
    /// Really.
    pub way: Way,
}

impl ConnectPlan {
    /// Checks the host; a bad one becomes a failed lookup, not an error of the call.
    #[must_use]
    pub fn new(host: Vec<u8>, port: u16, detour: Option<Detour>) -> Self {
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
        address::whom(&self.host, Some(self.port))
    }

    /// Whether it leads to a Unix socket, which has no port.
    #[must_use]
    pub fn is_unix(&self) -> bool {
        self.host.starts_with(UNIX.as_bytes())
    }

    /// Whom to find in the peer's certificate.
    #[must_use]
    pub fn name(&self) -> Cow<'_, str> {
        String::from_utf8_lossy(&self.host)
    }
}

fn way(host: &[u8], port: u16) -> Way {
    if let Some(path) = host.strip_prefix(UNIX.as_bytes()) {
        return unix("connect", path).map_or_else(Way::Nowhere, Way::Address);
    }
    match Literal::read(host) {
        Some(Literal::Plain(address)) => {
            return Way::Address(SocketAddr::new(address, port).into());
        }
        Some(literal) => return Way::Zoned(literal, port),
        None => {}
    }
    let nowhere = |why: &str| Way::Nowhere(Error::new(Code::BadHost, format!("connect: {why}")));
    if let Some((name, within)) = address::port_within(host) {
        return nowhere(&misplaced(name, within));
    }
    let Ok(host) = std::str::from_utf8(host) else { return nowhere("this is no host name") };
    let name = host.strip_suffix('.').unwrap_or(host);
    if name.eq_ignore_ascii_case("localhost") {
        return Way::Localhost(port);
    }
    if is_name(name) {
        return Way::Name(host.to_owned(), port);
    }
    nowhere("this is no host name")
}

/// What is wrong with a host that holds its port.
#[must_use]
pub fn misplaced(name: &[u8], port: u16) -> String {
    let name = shown(name);
    format!("the port stands in the host's text; it is an argument of its own: \"{name}\", {port}")
}

/// The address that a server or a socket for datagrams is to have.
///
/// # Errors
/// The reason, under the heading `call` with the host and the port.
pub fn own(call: &str, host: &[u8], port: u16) -> Result<SocketAddr, Error> {
    let failed = |code, why: &str| {
        Error::new(code, format!("{call} {}: {why}", address::whom(host, Some(port))))
    };
    let bad = |why: &str| failed(Code::BadHost, why);
    let literal = if host.eq_ignore_ascii_case(b"localhost") { &b"127.0.0.1"[..] } else { host };
    match (Literal::read(literal), address::port_within(host)) {
        (Some(literal), _) => {
            literal.at(port).map_err(|why| failed(Code::AddressNotAvailable, &why))
        }
        (None, Some((name, within))) => Err(bad(&misplaced(name, within))),
        (None, None) => Err(bad("a numeric address, localhost or * is needed")),
    }
}

/// What the structure of the system has room for, less the end of the text.
const LONGEST_PATH: usize =
    if cfg!(any(target_os = "linux", target_os = "android")) { 107 } else { 103 };

/// The address of a path, or why it can be none.
///
/// # Errors
/// The reason, under the heading `call`.
pub fn unix(call: &str, path: &[u8]) -> Result<Address, Error> {
    if cfg!(windows) {
        let why = "there are no Unix sockets on Windows; use a port of 127.0.0.1";
        return Err(Error::new(Code::Invalid, format!("{call}: {why}")));
    }
    named(path).map_err(|why| Error::new(Code::BadHost, format!("{call}: {why}")))
}

fn named(path: &[u8]) -> Result<Address, String> {
    if let Some(name) = path.strip_prefix(b"@") {
        return abstracted(name);
    }
    if path.is_empty() {
        Err("the path is empty".to_owned())
    } else if path.len() > LONGEST_PATH {
        Err(format!("the path has {} bytes, {LONGEST_PATH} at most", path.len()))
    } else if path.contains(&0) {
        Err("the path holds a zero byte".to_owned())
    } else {
        Ok(Address::Unix(path.into()))
    }
}

/// A name of Linux's abstract namespace: no file, gone with its last socket.
fn abstracted(name: &[u8]) -> Result<Address, String> {
    if !cfg!(any(target_os = "linux", target_os = "android")) {
        let why = "'@' begins a name of the abstract namespace, which Linux alone has";
        Err(format!("{why}; a file of that name is 'unix:./@...'"))
    } else if name.is_empty() {
        Err("the name behind '@' is empty".to_owned())
    } else if name.len() > LONGEST_PATH {
        Err(format!("the name has {} bytes, {LONGEST_PATH} at most", name.len()))
    } else if name.contains(&0) {
        Err("the name holds a zero byte".to_owned())
    } else {
        Ok(Address::Unix([b"\0", name].concat().into()))
    }
}

/// The addresses of `localhost`, which never asks anybody.
#[must_use]
pub fn loopback(port: u16) -> Vec<SocketAddr> {
    let v6 = SocketAddr::from((Ipv6Addr::LOCALHOST, port));
    vec![v6, SocketAddr::from((Ipv4Addr::LOCALHOST, port))]
}

/// RFC 1123 section 2.1, with the underscore that real networks have. Colons are for the system's
/// lookup to judge.
fn is_name(name: &str) -> bool {
    let letters = |b: u8| b.is_ascii_alphanumeric() || b"-_:".contains(&b) || !b.is_ascii();
    let label = |label: &str| (1..=63).contains(&label.len()) && label.bytes().all(letters);
    name.len() <= 253 && name.split('.').all(label)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(host: &str) -> Way {
        ConnectPlan::new(host.into(), 23, None).way
    }

    #[test]
    fn a_numeric_address_needs_no_lookup() {
        assert!(matches!(plan("10.0.0.9"), Way::Address(address) if address.port() == Some(23)));
        assert!(matches!(plan("[::1]"), Way::Address(address) if address.is_ipv6()));
        assert!(
            matches!(plan("[fe80::1%x]"), Way::Zoned(Literal::Zoned(_, zone), 23) if zone == "x")
        );
    }

    #[test]
    fn localhost_is_known_without_asking() {
        assert!(matches!(plan("LocalHost"), Way::Localhost(23)));
    }

    #[test]
    fn senseless_hosts_are_told_from_unknown_names() {
        let long = "a".repeat(64);
        for host in ["", "Enter an IP Address", "a..b", "x\0y", &long, "[[::1]]", "a:80", "a%b"] {
            assert!(matches!(plan(host), Way::Nowhere(e) if e.code() == Code::BadHost), "{host:?}");
        }
        assert!(matches!(plan("my_device.local"), Way::Name(_, 23)));
    }

    #[test]
    fn a_unix_path_is_taken_as_it_is_and_checked_for_what_no_path_can_be() {
        assert!(
            matches!(plan("unix:/run/x y"), Way::Address(Address::Unix(path)) if &*path == b"/run/x y")
        );
        for host in ["unix:", "unix:/a\0b", &format!("unix:/{}", "a".repeat(107))] {
            assert!(matches!(plan(host), Way::Nowhere(e) if e.code() == Code::BadHost), "{host:?}");
        }
    }

    #[test]
    fn a_detour_is_invisible() {
        let detour = Some(Detour::To("127.0.0.1".into(), 1999));
        let plan = ConnectPlan::new("device".into(), 23, detour);
        assert_eq!(plan.whom(), "device:23");
        assert!(matches!(plan.way, Way::Address(address) if address.port() == Some(1999)));
    }
}
