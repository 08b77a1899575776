//! Where a connection goes: checked once, at the door.
//!
//! Not here: looking names up (`resolver`). Invariant: a target's route is fixed when it is made; a
//! redirect (`Redirect`) changes the route and nothing that the script sees.

use std::borrow::Cow;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};

use crate::address::{self, Address, Literal, UNIX};
use crate::error::{Code, Error};
use crate::quote::shown;

/// What to do instead of what the script asked for (simulators).
#[derive(Clone, Debug)]
pub enum Redirect {
    /// The lookup fails at once.
    Unknown,
    /// Go there instead.
    To(Vec<u8>, u16),
}

/// How the peer is reached.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Route {
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

/// Host and port as asked for, and the route there.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Target {
    /// As given: bytes, for it may be a path.
    pub host: Vec<u8>,
    /// As given; 0 for Unix sockets.
    pub port: u16,
    /// Really.
    pub route: Route,
}

impl Target {
    /// Checks the host; a bad one becomes a failed lookup, not an error of the call.
    #[must_use]
    pub fn new(host: Vec<u8>, port: u16, redirect: Option<Redirect>) -> Self {
        let route = match redirect {
            None => route(&host, port),
            Some(Redirect::To(other, other_port)) => route(&other, other_port),
            Some(Redirect::Unknown) => {
                Route::Nowhere(Error::new(Code::HostNotFound, "connect: name or service not known"))
            }
        };
        Self { host, port, route }
    }

    /// "host:port", for messages.
    #[must_use]
    pub fn display(&self) -> String {
        address::display(&self.host, Some(self.port))
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

fn route(host: &[u8], port: u16) -> Route {
    if let Some(path) = host.strip_prefix(UNIX.as_bytes()) {
        return unix("connect", path).map_or_else(Route::Nowhere, Route::Address);
    }
    match Literal::read(host) {
        Some(Literal::Plain(address)) => {
            return Route::Address(SocketAddr::new(address, port).into());
        }
        Some(literal) => return Route::Zoned(literal, port),
        None => {}
    }
    let nowhere = |why: &str| Route::Nowhere(Error::new(Code::BadHost, format!("connect: {why}")));
    if let Some((name, within)) = address::port_within(host) {
        return nowhere(&misplaced(name, within));
    }
    let Ok(host) = std::str::from_utf8(host) else { return nowhere("this is no host name") };
    let name = host.strip_suffix('.').unwrap_or(host);
    if name.eq_ignore_ascii_case("localhost") {
        return Route::Localhost(port);
    }
    if is_name(name) {
        return Route::Name(host.to_owned(), port);
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
        Error::new(code, format!("{call} {}: {why}", address::display(host, Some(port))))
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

    fn target(host: &str) -> Route {
        Target::new(host.into(), 23, None).route
    }

    #[test]
    fn a_numeric_address_needs_no_lookup() {
        assert!(
            matches!(target("10.0.0.9"), Route::Address(address) if address.port() == Some(23))
        );
        assert!(matches!(target("[::1]"), Route::Address(address) if address.is_ipv6()));
        assert!(
            matches!(target("[fe80::1%x]"), Route::Zoned(Literal::Zoned(_, zone), 23) if zone == "x")
        );
    }

    #[test]
    fn localhost_is_known_without_asking() {
        assert!(matches!(target("LocalHost"), Route::Localhost(23)));
    }

    #[test]
    fn senseless_hosts_are_told_from_unknown_names() {
        let long = "a".repeat(64);
        for host in ["", "Enter an IP Address", "a..b", "x\0y", &long, "[[::1]]", "a:80", "a%b"] {
            assert!(
                matches!(target(host), Route::Nowhere(e) if e.code() == Code::BadHost),
                "{host:?}"
            );
        }
        assert!(matches!(target("my_device.local"), Route::Name(_, 23)));
    }

    #[test]
    fn a_unix_path_is_taken_as_it_is_and_checked_for_what_no_path_can_be() {
        assert!(
            matches!(target("unix:/run/x y"), Route::Address(Address::Unix(path)) if &*path == b"/run/x y")
        );
        for host in ["unix:", "unix:/a\0b", &format!("unix:/{}", "a".repeat(107))] {
            assert!(
                matches!(target(host), Route::Nowhere(e) if e.code() == Code::BadHost),
                "{host:?}"
            );
        }
    }

    #[test]
    fn a_redirect_is_invisible() {
        let redirect = Some(Redirect::To("127.0.0.1".into(), 1999));
        let target = Target::new("device".into(), 23, redirect);
        assert_eq!(target.display(), "device:23");
        assert!(matches!(target.route, Route::Address(address) if address.port() == Some(1999)));
    }
}
