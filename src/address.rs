//! One end of a connection: an IP address with its port, or the path of a Unix socket; and how
//! addresses are written.
//!
//! An IPv6 address may have a zone, the interface where it means anything (`fe80::1%eth0`), and may
//! stand in brackets. Paths are bytes. Not here: names and their lookup.
//! Invariants: whatever is told to a script can be given back as it is; what stands in a message
//! goes through `quote`.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr, SocketAddr, SocketAddrV6};
use std::sync::Arc;

use crate::quote::shown;
use crate::sys::zone;

/// What the text of a Unix address begins with, everywhere in the API.
pub const UNIX: &str = "unix:";

/// The address of one end.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Address {
    /// TCP.
    Ip(SocketAddr),
    /// A Unix socket: a path, or a zero byte and a name of Linux's abstract namespace.
    Unix(Arc<[u8]>),
}

/// A numeric address as somebody has written it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Literal {
    /// Means the same on every interface.
    Plain(IpAddr),
    /// With its zone: the name or the number of an interface.
    Zoned(Ipv6Addr, String),
}

impl Literal {
    /// With or without brackets; none if it is no numeric address.
    #[must_use]
    pub fn read(text: &[u8]) -> Option<Self> {
        let text = std::str::from_utf8(bare(text)).ok()?;
        let Some((address, zone)) = text.split_once('%') else {
            return text.parse().ok().map(Self::Plain);
        };
        let is_name = |byte: u8| byte.is_ascii_graphic() && !b"[]%/".contains(&byte);
        let fits = (1..=limit(zone)).contains(&zone.len()) && zone.bytes().all(is_name);
        fits.then(|| address.parse().ok().map(|ip| Self::Zoned(ip, zone.to_owned())))?
    }

    /// With a port, on the interfaces that there are now.
    ///
    /// # Errors
    /// There is no such interface; the reason as a text.
    pub fn at(&self, port: u16) -> Result<SocketAddr, String> {
        match self {
            Self::Plain(ip) => Ok(SocketAddr::new(*ip, port)),
            Self::Zoned(ip, name) => {
                let number = zone::index_of(name).map_err(|error| error.to_string())?;
                // Others are the same everywhere, and the system tells them without.
                let is_scoped = ip.is_unicast_link_local() || ip.is_multicast();
                let number = if is_scoped { number } else { 0 };
                Ok(SocketAddrV6::new(*ip, port, 0, number).into())
            }
        }
    }

    /// The number of its interface; 0 if it has none.
    #[must_use]
    pub fn zone(&self) -> u32 {
        match self.at(0) {
            Ok(SocketAddr::V6(address)) => address.scope_id(),
            _ => 0,
        }
    }

    /// Whether it is an IPv6 address.
    #[must_use]
    pub fn is_ipv6(&self) -> bool {
        !matches!(self, Self::Plain(IpAddr::V4(_)))
    }
}

/// Digits may be a number, which has ten at most; names of interfaces have 15 on Linux.
fn limit(zone: &str) -> usize {
    if zone.bytes().all(|byte| byte.is_ascii_digit()) { 10 } else { 15 }
}

/// A numeric address as it is told wherever one is, whatever way it was written; none for what is no
/// numeric address, or has an interface that there is not.
#[must_use]
pub fn told(text: &[u8]) -> Option<Vec<u8>> {
    Literal::read(text)?.at(0).ok().map(|address| Address::Ip(address).host())
}

/// The name of an interface, or its number if it is gone.
#[must_use]
pub fn zone_name(number: u32) -> String {
    zone::name_of(number).unwrap_or_else(|| number.to_string())
}

/// Without the brackets around it.
#[must_use]
pub fn bare(host: &[u8]) -> &[u8] {
    let inner = host.strip_prefix(b"[").and_then(|host| host.strip_suffix(b"]"));
    inner.unwrap_or(host)
}

/// Host and port for messages: `10.0.0.9:23`, `[fe80::1%eth0]:23`, `unix:/path`.
#[must_use]
pub fn display(host: &[u8], port: Option<u16>) -> String {
    let port = match port {
        Some(port) if !host.starts_with(UNIX.as_bytes()) => format!(":{port}"),
        _ => return shown(host),
    };
    match Literal::read(host) {
        Some(literal) if literal.is_ipv6() => format!("[{}]{port}", shown(bare(host))),
        _ => shown(host) + &port,
    }
}

/// The host of a text that holds a port, too, and that port: `10.0.0.9:23`, `[::1]:23`. An IPv6
/// address without brackets does not: its last group is none.
#[must_use]
pub fn port_within(host: &[u8]) -> Option<(&[u8], u16)> {
    let at = host.iter().rposition(|byte| *byte == b':')?;
    let (name, digits) = (&host[..at], &host[at + 1..]);
    let port = std::str::from_utf8(digits).ok().filter(|text| !text.starts_with('+'))?;
    let is_host = !name.is_empty() && (name.ends_with(b"]") || !name.contains(&b':'));
    is_host.then(|| Some((bare(name), port.parse().ok()?)))?
}

impl Address {
    /// The host's part: a numeric address, or `unix:` and the path, or `unix:@` and the name.
    #[must_use]
    pub fn host(&self) -> Vec<u8> {
        match self {
            Self::Ip(SocketAddr::V6(address)) if address.scope_id() != 0 => {
                format!("{}%{}", address.ip(), zone_name(address.scope_id())).into_bytes()
            }
            Self::Ip(address) => address.ip().to_canonical().to_string().into_bytes(),
            Self::Unix(path) => match path.strip_prefix(b"\0") {
                Some(name) => [UNIX.as_bytes(), b"@", name].concat(),
                None => [UNIX.as_bytes(), path].concat(),
            },
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
        f.write_str(&display(&self.host(), self.port()))
    }
}

impl From<SocketAddr> for Address {
    fn from(address: SocketAddr) -> Self {
        Self::Ip(address)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn zoned(host: &str, zone: &str) -> Literal {
        Literal::Zoned(host.parse().unwrap(), zone.to_owned())
    }

    #[test]
    fn an_address_is_read_with_brackets_and_zone_or_without() {
        for text in ["::1", "[::1]", "0:0::1"] {
            assert_eq!(
                Literal::read(text.as_bytes()),
                Some(Literal::Plain("::1".parse().unwrap()))
            );
        }
        for text in ["fe80::1%eth0", "[fe80::1%eth0]"] {
            assert_eq!(Literal::read(text.as_bytes()), Some(zoned("fe80::1", "eth0")));
        }
        assert_eq!(Literal::read(b"ff02::1%3"), Some(zoned("ff02::1", "3")));
        assert_eq!(Literal::read(b"10.0.0.9"), Some(Literal::Plain("10.0.0.9".parse().unwrap())));
        for text in [
            &b"[[::1]]"[..],
            b"[::1",
            b"::1]",
            b"[]",
            b"",
            b"fe80::1%",
            b"10.0.0.9%eth0",
            b"fe80::1%a b",
            b"fe80::1%a%b",
            b"[fe80::1]%eth0",
            b"fe80::1%eth0]",
            b"::g",
            b"\xff",
            b"fe80::1%a-name-that-is-too-long",
            b"fe80::1%11111111111",
        ] {
            assert_eq!(Literal::read(text), None, "{}", shown(text));
        }
    }

    #[test]
    fn what_is_told_can_be_given_back() {
        let lo = zone::name_of(1).unwrap();
        for (text, told) in [
            (format!("fe80::1%{lo}"), format!("fe80::1%{lo}")),
            ("fe80::1%1".to_owned(), format!("fe80::1%{lo}")),
            // Nobody has this interface, so the number is all there is to tell.
            ("[fe80::1%2147483632]".to_owned(), "fe80::1%2147483632".to_owned()),
            ("[::1]".to_owned(), "::1".to_owned()),
            ("[::1%1]".to_owned(), "::1".to_owned()),
            (format!("fd00::1%{lo}"), "fd00::1".to_owned()),
            ("ff15::1%1".to_owned(), format!("ff15::1%{lo}")),
            ("127.0.0.1".to_owned(), "127.0.0.1".to_owned()),
        ] {
            let address = Literal::read(text.as_bytes()).unwrap().at(23).unwrap();
            let host = Address::Ip(address).host();
            assert_eq!(host, told.as_bytes());
            assert_eq!(Literal::read(&host).unwrap().at(23).unwrap(), address);
            let brackets =
                if address.is_ipv6() { format!("[{told}]:23") } else { format!("{told}:23") };
            assert_eq!(Address::Ip(address).to_string(), brackets);
        }
        let missing = Literal::read(b"fe80::1%no-such").unwrap().at(1).unwrap_err();
        assert_eq!(missing, "there is no interface 'no-such'");
        assert!(Literal::read(b"fe80::1%0").unwrap().at(1).is_err());
    }

    #[test]
    fn brackets_stand_around_addresses_alone_and_once() {
        for (host, text) in [
            ("::1", "[::1]:23"),
            ("[::1]", "[::1]:23"),
            ("[fe80::1%x]", "[fe80::1%x]:23"),
            ("a.example", "a.example:23"),
            ("[::1", "[::1:23"),
            ("a\n\"b", "a\\n\\\"b:23"),
        ] {
            assert_eq!(display(host.as_bytes(), Some(23)), text);
        }
        assert_eq!(display(b"unix:/a\xff", Some(0)), "unix:/a\\xff");
        assert_eq!(display(b"x", None), "x");
    }

    #[test]
    fn a_port_within_the_host_is_found() {
        for (text, found) in [
            ("10.0.0.9:23", Some(("10.0.0.9", 23))),
            ("a.example:65535", Some(("a.example", 65535))),
            ("[::1]:80", Some(("::1", 80))),
            ("::1", None),
            ("fe80::1:23", None),
            ("a.example", None),
            ("a:", None),
            (":80", None),
            ("a:+80", None),
            ("a:65536", None),
            ("a:b", None),
        ] {
            let found = found.map(|(host, port): (&str, u16)| (host.as_bytes(), port));
            assert_eq!(port_within(text.as_bytes()), found, "{text}");
        }
    }

    #[test]
    fn a_path_is_its_bytes_and_an_abstract_name_begins_with_at() {
        assert_eq!(Address::Unix((*b"/a\xffb").into()).host(), b"unix:/a\xffb");
        assert_eq!(Address::Unix((*b"\0name").into()).host(), b"unix:@name");
        assert_eq!(Address::Unix((*b"/a\xffb").into()).to_string(), "unix:/a\\xffb");
    }
}
