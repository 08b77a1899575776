//! Options of a socket as the system has them, by the names that the module `socket.core` has for them.
//!
//! Not here: what options mean for a connection (`net::options`). Invariant: an option that this system does
//! not have is refused as one that the protocol does not.
#![allow(unsafe_code)]

use std::io;
use std::net::Ipv4Addr;
use std::time::Duration;

use socket2::{Socket, TcpKeepalive};

use crate::errno;

use super::fault::{self, Call};

/// The value of one.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Setting {
    /// On or off.
    Flag(bool),
    /// The address of an interface.
    Interface(Ipv4Addr),
    /// How long a close waits for the peer; none: not at all.
    Linger(Option<Duration>),
    /// Bytes, seconds or a count.
    Number(i32),
}

impl Setting {
    fn flag(self) -> bool {
        match self {
            Self::Flag(on) => on,
            Self::Number(number) => number != 0,
            Self::Interface(address) => !address.is_unspecified(),
            Self::Linger(time) => time.is_some(),
        }
    }

    fn number(self) -> i32 {
        match self {
            Self::Flag(on) => i32::from(on),
            Self::Number(number) => number,
            Self::Interface(_) => 0,
            Self::Linger(time) => seconds(time.unwrap_or_default()),
        }
    }

    fn size(self) -> usize {
        usize::try_from(self.number()).unwrap_or_default()
    }

    fn count(self) -> u32 {
        u32::try_from(self.number()).unwrap_or_default()
    }

    fn address(self) -> Ipv4Addr {
        if let Self::Interface(address) = self { address } else { Ipv4Addr::UNSPECIFIED }
    }

    fn time(self) -> Duration {
        Duration::from_secs(u64::try_from(self.number()).unwrap_or_default())
    }
}

fn seconds(time: Duration) -> i32 {
    i32::try_from(time.as_secs()).unwrap_or(i32::MAX)
}

fn count(number: u32) -> i32 {
    i32::try_from(number).unwrap_or(i32::MAX)
}

fn bytes(size: usize) -> i32 {
    i32::try_from(size).unwrap_or(i32::MAX)
}

fn unknown() -> io::Error {
    io::Error::from_raw_os_error(errno::ENOPROTOOPT)
}

/// What the option is set to.
///
/// # Errors
/// What the system says; `ENOPROTOOPT` for a name that it does not know.
pub fn get(socket: &Socket, name: &str) -> io::Result<Setting> {
    use Setting::{Flag, Interface, Linger, Number};
    fault::before(Call::GetError)?;
    Ok(match name {
        "broadcast" => Flag(socket.broadcast()?),
        "dontroute" => Flag(number::get(socket, name)? != 0),
        "ip-multicast-if" => Interface(socket.multicast_if_v4()?),
        "ip-multicast-loop" => Flag(socket.multicast_loop_v4()?),
        "ipv6-multicast-hops" => Number(count(socket.multicast_hops_v6()?)),
        "ipv6-multicast-loop" => Flag(socket.multicast_loop_v6()?),
        "ipv6-unicast-hops" => Number(count(socket.unicast_hops_v6()?)),
        "ipv6-v6only" => Flag(socket.only_v6()?),
        "keepalive" => Flag(socket.keepalive()?),
        "linger" => Linger(socket.linger()?),
        "recv-buffer-size" => Number(bytes(socket.recv_buffer_size()?)),
        "reuseaddr" => Flag(socket.reuse_address()?),
        #[cfg(unix)]
        "reuseport" => Flag(socket.reuse_port()?),
        "send-buffer-size" => Number(bytes(socket.send_buffer_size()?)),
        #[cfg(unix)]
        "tcp-keepcnt" => Number(count(socket.tcp_keepalive_retries()?)),
        #[cfg(unix)]
        "tcp-keepidle" => Number(seconds(socket.tcp_keepalive_time()?)),
        #[cfg(unix)]
        "tcp-keepintvl" => Number(seconds(socket.tcp_keepalive_interval()?)),
        "tcp-nodelay" => Flag(socket.tcp_nodelay()?),
        _ => Number(number::get(socket, name)?),
    })
}

/// Sets the option.
///
/// # Errors
/// What the system says; `ENOPROTOOPT` for a name that it does not know.
pub fn set(socket: &Socket, name: &str, value: Setting) -> io::Result<()> {
    fault::before(Call::SetOption)?;
    match name {
        "broadcast" => socket.set_broadcast(value.flag()),
        "ip-multicast-if" => socket.set_multicast_if_v4(&value.address()),
        "ip-multicast-loop" => socket.set_multicast_loop_v4(value.flag()),
        "ip-multicast-ttl" => socket.set_multicast_ttl_v4(value.count()),
        "ipv6-multicast-hops" => socket.set_multicast_hops_v6(value.count()),
        "ipv6-multicast-loop" => socket.set_multicast_loop_v6(value.flag()),
        "ipv6-unicast-hops" => socket.set_unicast_hops_v6(value.count()),
        "ipv6-v6only" => socket.set_only_v6(value.flag()),
        "keepalive" => socket.set_keepalive(value.flag()),
        "linger" => match value {
            Setting::Linger(time) => socket.set_linger(time),
            other => socket.set_linger(other.flag().then_some(Duration::ZERO)),
        },
        "recv-buffer-size" => socket.set_recv_buffer_size(value.size()),
        "reuseaddr" => socket.set_reuse_address(value.flag()),
        #[cfg(unix)]
        "reuseport" => socket.set_reuse_port(value.flag()),
        "send-buffer-size" => socket.set_send_buffer_size(value.size()),
        "tcp-keepcnt" | "tcp-keepidle" | "tcp-keepintvl" => set_probes(socket, name, value),
        "tcp-nodelay" => socket.set_tcp_nodelay(value.flag()),
        _ => number::set(socket, name, value.number()),
    }
}

/// Whether probes are sent at all stays as it was.
fn set_probes(socket: &Socket, name: &str, value: Setting) -> io::Result<()> {
    let probes = TcpKeepalive::new();
    let probes = match name {
        "tcp-keepidle" => probes.with_time(value.time()),
        "tcp-keepintvl" => probes.with_interval(value.time()),
        _ => probes.with_retries(value.count()),
    };
    let on = socket.keepalive()?;
    socket.set_tcp_keepalive(&probes)?;
    if on { Ok(()) } else { socket.set_keepalive(false) }
}

/// Those that are a number, most of which Linux alone has.
#[cfg(unix)]
mod number {
    use std::ffi::c_int;
    use std::io;
    use std::os::fd::AsRawFd;

    use socket2::Socket;

    /// Level and name.
    fn place(name: &str) -> io::Result<(c_int, c_int)> {
        Ok(match name {
            "dontroute" => (libc::SOL_SOCKET, libc::SO_DONTROUTE),
            #[cfg(target_os = "linux")]
            "tcp-defer-accept" => (libc::IPPROTO_TCP, libc::TCP_DEFER_ACCEPT),
            #[cfg(target_os = "linux")]
            "tcp-fastopen" => (libc::IPPROTO_TCP, libc::TCP_FASTOPEN),
            #[cfg(target_os = "linux")]
            "tcp-fastopen-connect" => (libc::IPPROTO_TCP, libc::TCP_FASTOPEN_CONNECT),
            _ => return Err(super::unknown()),
        })
    }

    const LENGTH: libc::socklen_t = 4;
    const _: () = assert!(size_of::<c_int>() == 4);

    pub(super) fn get(socket: &Socket, name: &str) -> io::Result<i32> {
        let (level, place) = place(name)?;
        let (mut value, mut length): (c_int, _) = (0, LENGTH);
        let to = (&raw mut value).cast();
        // SAFETY: both point to values of that size, which are valid for the call.
        let failed =
            unsafe { libc::getsockopt(socket.as_raw_fd(), level, place, to, &raw mut length) };
        if failed == 0 { Ok(value) } else { Err(io::Error::last_os_error()) }
    }

    pub(super) fn set(socket: &Socket, name: &str, value: i32) -> io::Result<()> {
        let (level, place) = place(name)?;
        let from = (&raw const value).cast();
        // SAFETY: the option is one word, which is valid for the call.
        let failed = unsafe { libc::setsockopt(socket.as_raw_fd(), level, place, from, LENGTH) };
        if failed == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
    }
}

#[cfg(not(unix))]
mod number {
    use std::io;

    use socket2::Socket;

    pub(super) fn get(_: &Socket, _: &str) -> io::Result<i32> {
        Err(super::unknown())
    }

    pub(super) fn set(_: &Socket, _: &str, _: i32) -> io::Result<()> {
        Err(super::unknown())
    }
}

#[cfg(test)]
mod tests {
    use socket2::{Domain, Type};

    use super::*;

    #[test]
    fn what_is_set_is_what_is_got() {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
        let values = [
            ("keepalive", Setting::Flag(true)),
            ("linger", Setting::Linger(Some(Duration::from_secs(3)))),
            ("reuseaddr", Setting::Flag(true)),
            ("tcp-nodelay", Setting::Flag(true)),
        ];
        for (name, value) in values {
            set(&socket, name, value).expect(name);
            assert_eq!(get(&socket, name).expect(name), value, "{name}");
        }
    }

    #[test]
    fn how_probes_go_says_nothing_of_whether_they_do() {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
        set(&socket, "tcp-keepidle", Setting::Number(77)).expect("set");
        assert_eq!(get(&socket, "keepalive").expect("get"), Setting::Flag(false));
        #[cfg(unix)]
        assert_eq!(get(&socket, "tcp-keepidle").expect("get"), Setting::Number(77));
    }

    #[test]
    fn an_unknown_name_is_refused() {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
        let why = get(&socket, "no-such").expect_err("unknown");
        assert_eq!(errno::number(&why), Some(errno::ENOPROTOOPT));
        let why = set(&socket, "no-such", Setting::Number(1)).expect_err("unknown");
        assert_eq!(errno::number(&why), Some(errno::ENOPROTOOPT));
    }
}
