//! Making sockets: connect, listen, accept, options. All are non-blocking and close-on-exec.
//!
//! Not here: waiting for them (`poller`) and moving bytes (`io`).
#![allow(unsafe_code)]

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use crate::address::Address;
use crate::errno;

use socket2::{Domain, Protocol, SockAddr, Socket, TcpKeepalive, Type};

use super::fault::{self, Call};
use super::path;

/// The longest silence that Linux takes before a keep-alive probe, in seconds.
const KEEPALIVE_LONGEST: u64 = 32_767;

fn new(address: &Address) -> io::Result<(Socket, SockAddr)> {
    let (domain, protocol, to) = match address {
        Address::Ip(ip) => (Domain::for_address(*ip), Some(Protocol::TCP), SockAddr::from(*ip)),
        Address::Unix(path) => (Domain::UNIX, None, path::address(path)?),
    };
    fault::before(Call::Socket)?;
    let socket = Socket::new(domain, Type::STREAM, protocol)?;
    fault::before(Call::NonBlocking)?;
    socket.set_nonblocking(true)?;
    #[cfg(target_vendor = "apple")]
    socket.set_nosigpipe(true)?;
    Ok((socket, to))
}

/// Starts connecting; [`finish_connect`] tells how it went.
///
/// # Errors
/// What the system says at once.
pub fn begin_connect(address: &Address, bind: Option<SocketAddr>) -> io::Result<Socket> {
    let (socket, to) = new(address)?;
    if let Some(from) = bind {
        bind_to(&socket, from, address)?;
    }
    match fault::before(Call::Connect).and_then(|()| socket.connect(&to)) {
        Ok(()) => Ok(socket),
        Err(error) if errno::number(&error) == Some(UNDER_WAY) => Ok(socket),
        Err(error) => match address {
            Address::Ip(ip) => Err(explained(error, *ip)),
            Address::Unix(_) => Err(error),
        },
    }
}

/// What the system says while it connects.
const UNDER_WAY: i32 = if cfg!(windows) { errno::EAGAIN } else { errno::EINPROGRESS };

/// A link-local address means nothing without its zone, of which the system says "invalid argument".
pub(super) fn explained(error: io::Error, address: SocketAddr) -> io::Error {
    let is_lost = match address {
        SocketAddr::V6(v6) => v6.ip().is_unicast_link_local() && v6.scope_id() == 0,
        SocketAddr::V4(_) => false,
    };
    if is_lost && errno::number(&error) == Some(errno::EINVAL) {
        let host = address.ip();
        return other(&format!("a link-local address needs its interface, as in {host}%eth0"));
    }
    error
}

/// Lets several sockets listen at one port.
///
/// # Errors
/// What the system says; Windows spreads nothing over several sockets.
pub(super) fn set_reuse_port(socket: &Socket) -> io::Result<()> {
    #[cfg(unix)]
    return socket.set_reuse_port(true);
    #[cfg(windows)]
    {
        let _ = socket;
        Err(other("'reuse_port' is not to be had on Windows: there a port belongs to one socket"))
    }
}

/// Takes the port for this socket alone. Without that Windows lets any other take it over; elsewhere
/// connections that linger after their end would keep it, and nobody can take it over.
fn claim_port(socket: &Socket) -> io::Result<()> {
    #[cfg(unix)]
    return socket.set_reuse_address(true);
    #[cfg(windows)]
    {
        use windows_sys::Win32::Networking::WinSock::{
            SO_EXCLUSIVEADDRUSE, SOL_SOCKET, setsockopt,
        };

        let descriptor = usize::try_from(super::descriptor(socket)).unwrap_or(usize::MAX);
        let on = 1_i32.to_ne_bytes();
        // SAFETY: the option is one word, which is valid for the call.
        let failed =
            unsafe { setsockopt(descriptor, SOL_SOCKET, SO_EXCLUSIVEADDRUSE, on.as_ptr(), 4) };
        if failed == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
    }
}

/// Fixes our own end. `0.0.0.0` and `::` stand for "any" in the family of the other end.
fn bind_to(socket: &Socket, from: SocketAddr, to: &Address) -> io::Result<()> {
    let from = match (from, to) {
        (from, Address::Ip(to)) if from.is_ipv6() == to.is_ipv6() => from,
        (from, Address::Ip(SocketAddr::V4(_))) if from.ip().is_unspecified() => any_v4(from.port()),
        (from, Address::Ip(SocketAddr::V6(_))) if from.ip().is_unspecified() => any_v6(from.port()),
        (_, Address::Ip(_)) => return Err(other("'bind' is of the other address family")),
        (_, Address::Unix(_)) => return Err(other("'bind' has no meaning for a Unix socket")),
    };
    // A fixed port must serve again while an earlier connection lingers in TIME_WAIT.
    fault::before(Call::SetOption)?;
    #[cfg(unix)]
    socket.set_reuse_address(from.port() != 0)?;
    fault::before(Call::Bind)?;
    socket.bind(&SockAddr::from(from))
}

/// Takes a local port without connecting or listening. An earlier connection that
/// lingers does not keep it.
///
/// # Errors
/// What the system says.
pub fn reserve(address: SocketAddr) -> io::Result<Socket> {
    let (socket, from) = new(&Address::Ip(address))?;
    let bind = || fault::before(Call::Bind).and_then(|()| socket.bind(&from));
    match bind() {
        Err(error) if error.kind() == io::ErrorKind::AddrInUse => {
            fault::before(Call::SetOption)?;
            #[cfg(unix)]
            socket.set_reuse_address(true)?;
            bind()?;
        }
        other => other?,
    }
    Ok(socket)
}

fn other(text: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, text)
}

/// Our own end; an unnamed Unix socket has none.
///
/// # Errors
/// The system is out of buffers.
pub fn local_address(socket: &Socket) -> io::Result<Option<Address>> {
    fault::before(Call::GetLocal)?;
    Ok(named(&socket.local_addr()?))
}

fn named(address: &SockAddr) -> Option<Address> {
    if let Some(ip) = address.as_socket() {
        return Some(Address::Ip(ip));
    }
    path::of(address).map(Address::Unix)
}

/// Whether a started connection stands: `Ok(false)` means not yet.
///
/// # Errors
/// Why it failed.
pub fn finish_connect(socket: &Socket) -> io::Result<bool> {
    fault::before(Call::GetError)?;
    if let Some(error) = socket.take_error()? {
        return Err(error);
    }
    match fault::before(Call::GetPeer).and_then(|()| socket.peer_addr()) {
        Ok(_) => Ok(true),
        Err(error) if errno::number(&error) == Some(errno::ENOTCONN) => Ok(false),
        Err(error) => Err(error),
    }
}

/// Listens on `address`.
///
/// # Errors
/// What the system says.
pub fn listen(address: &Address, backlog: i32, reuse_port: bool) -> io::Result<Socket> {
    let (socket, to) = new(address)?;
    if let Address::Unix(path) = address {
        clear_the_way(path, &to)?;
        fault::before(Call::Bind)?;
        socket.bind(&to)?;
        if let Err(error) = fault::before(Call::Listen).and_then(|()| socket.listen(backlog)) {
            // An abstract name is no path: there is nothing to remove.
            let _ = path::remove(path);
            return Err(error);
        }
        return Ok(socket);
    }
    if address.is_ipv6() {
        // Two sockets serve "*": with a dual-stack one every IPv4 peer would look like ::ffff:….
        fault::before(Call::SetOption)?;
        socket.set_only_v6(true)?;
    }
    fault::before(Call::SetOption)?;
    claim_port(&socket)?;
    if reuse_port {
        set_reuse_port(&socket)?;
    }
    fault::before(Call::Bind)?;
    socket.bind(&to).map_err(|error| match address {
        Address::Ip(ip) => explained(error, *ip),
        Address::Unix(_) => error,
    })?;
    fault::before(Call::Listen)?;
    socket.listen(backlog)?;
    Ok(socket)
}

/// A socket file that nobody listens on any more was left by a server that was killed; one that
/// answers, and any other file, is kept, and binding will say so.
fn clear_the_way(path: &[u8], address: &SockAddr) -> io::Result<()> {
    if path::identity(path).is_none() {
        return Ok(());
    }
    fault::before(Call::Socket)?;
    let probe = Socket::new(Domain::UNIX, Type::STREAM, None)?;
    probe.set_nonblocking(true)?;
    if let Err(error) = fault::before(Call::Connect).and_then(|()| probe.connect(address))
        && error.kind() == io::ErrorKind::ConnectionRefused
    {
        return path::remove(path);
    }
    Ok(())
}

/// Every IPv4 interface.
#[must_use]
pub fn any_v4(port: u16) -> SocketAddr {
    SocketAddr::from((Ipv4Addr::UNSPECIFIED, port))
}

/// Every IPv6 interface.
#[must_use]
pub fn any_v6(port: u16) -> SocketAddr {
    SocketAddr::from((Ipv6Addr::UNSPECIFIED, port))
}

/// Takes a connection that waits.
///
/// # Errors
/// `WouldBlock` when none waits, else what the system says.
pub fn accept(listener: &Socket) -> io::Result<(Socket, Option<Address>)> {
    fault::before(Call::Accept)?;
    #[cfg(any(target_os = "linux", target_os = "android", target_os = "freebsd"))]
    let (socket, address) = accept4(listener)?;
    #[cfg(not(any(target_os = "linux", target_os = "android", target_os = "freebsd")))]
    let (socket, address) = {
        let (socket, address) = listener.accept()?;
        socket.set_nonblocking(true)?;
        (socket, address)
    };
    Ok((socket, named(&address)))
}

/// One system call where `accept` and `fcntl` take three.
#[cfg(any(target_os = "linux", target_os = "android", target_os = "freebsd"))]
fn accept4(listener: &Socket) -> io::Result<(Socket, SockAddr)> {
    use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};

    let flags = libc::SOCK_NONBLOCK | libc::SOCK_CLOEXEC;
    let take = |storage: *mut socket2::SockAddrStorage, length: *mut libc::socklen_t| {
        // SAFETY: socket2 hands out a storage of `*length` bytes for exactly this use.
        let fd = unsafe { libc::accept4(listener.as_raw_fd(), storage.cast(), length, flags) };
        if fd < 0 { Err(io::Error::last_os_error()) } else { Ok(fd) }
    };
    // SAFETY: on success `accept4` has filled in the address and its length.
    let (fd, address) = unsafe { SockAddr::try_init(take) }?;
    // SAFETY: the descriptor is new and ours alone.
    let socket = unsafe { OwnedFd::from_raw_fd(fd) };
    Ok((Socket::from(socket), address))
}

/// Turns keep-alive probes on or off; `idle` is the silence before the first one, in whole seconds,
/// rounded up, for the system counts in these: it would make two hours of less than one. A Unix socket
/// has none.
///
/// # Errors
/// What the system says.
pub fn set_keepalive(socket: &Socket, on: bool, idle: Option<Duration>) -> io::Result<()> {
    fault::before(Call::SetOption)?;
    let set = match idle {
        Some(idle) if on => {
            let seconds = idle.as_secs() + u64::from(idle.subsec_nanos() > 0);
            let idle = Duration::from_secs(seconds.clamp(1, KEEPALIVE_LONGEST));
            socket.set_tcp_keepalive(&TcpKeepalive::new().with_time(idle))
        }
        _ => socket.set_keepalive(on),
    };
    if_supported(set)
}

/// Sends what is written at once, without waiting for more (`TCP_NODELAY`); a Unix socket always does.
///
/// # Errors
/// What the system says.
pub fn set_nodelay(socket: &Socket, on: bool) -> io::Result<()> {
    fault::before(Call::SetOption)?;
    if_supported(socket.set_tcp_nodelay(on))
}

fn if_supported(set: io::Result<()>) -> io::Result<()> {
    match set {
        Err(error) if errno::number(&error) == Some(errno::EOPNOTSUPP) => Ok(()),
        set => set,
    }
}

/// Sends the end of stream.
///
/// # Errors
/// The connection is over.
pub fn end_writing(socket: &Socket) -> io::Result<()> {
    fault::before(Call::Shutdown)?;
    socket.shutdown(std::net::Shutdown::Write)
}

/// Makes the coming close a reset.
pub fn reset_on_close(socket: &Socket) {
    // A refusal leaves an ordinary close, which is still a close.
    let _ = fault::before(Call::SetOption).and_then(|()| socket.set_linger(Some(Duration::ZERO)));
}
