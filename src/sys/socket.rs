//! Making sockets: connect, listen, accept, options. All are non-blocking and close-on-exec.
//!
//! Not here: waiting for them (`poller`) and moving bytes (`io`).
#![allow(unsafe_code)]

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use socket2::{Domain, Protocol, SockAddr, Socket, TcpKeepalive, Type};

fn new(address: &SocketAddr) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(*address), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_nonblocking(true)?;
    #[cfg(target_vendor = "apple")]
    socket.set_nosigpipe(true)?;
    Ok(socket)
}

/// Starts connecting; [`finish_connect`] tells how it went.
///
/// # Errors
/// What the system says at once.
pub fn begin_connect(address: SocketAddr) -> io::Result<Socket> {
    let socket = new(&address)?;
    match socket.connect(&SockAddr::from(address)) {
        Ok(()) => Ok(socket),
        Err(error) if error.raw_os_error() == Some(libc::EINPROGRESS) => Ok(socket),
        Err(error) => Err(error),
    }
}

/// Whether a started connection stands: `Ok(false)` means not yet.
///
/// # Errors
/// Why it failed.
pub fn finish_connect(socket: &Socket) -> io::Result<bool> {
    if let Some(error) = socket.take_error()? {
        return Err(error);
    }
    match socket.peer_addr() {
        Ok(_) => Ok(true),
        Err(error) if error.raw_os_error() == Some(libc::ENOTCONN) => Ok(false),
        Err(error) => Err(error),
    }
}

/// Listens on `address`. `TCP_NODELAY` set here is inherited by what is accepted.
///
/// # Errors
/// What the system says.
pub fn listen(address: SocketAddr, backlog: i32, reuse_port: bool) -> io::Result<Socket> {
    let socket = new(&address)?;
    if address.is_ipv6() {
        // Two sockets serve "*": with a dual-stack one every IPv4 peer would look like ::ffff:….
        socket.set_only_v6(true)?;
    }
    // Connections of an earlier server that linger in TIME_WAIT do not keep the port.
    #[cfg(unix)]
    socket.set_reuse_address(true)?;
    #[cfg(unix)]
    if reuse_port {
        socket.set_reuse_port(true)?;
    }
    socket.bind(&SockAddr::from(address))?;
    socket.listen(backlog)?;
    Ok(socket)
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
pub fn accept(listener: &Socket) -> io::Result<(Socket, Option<SocketAddr>)> {
    #[cfg(any(target_os = "linux", target_os = "android", target_os = "freebsd"))]
    let (socket, address) = accept4(listener)?;
    #[cfg(not(any(target_os = "linux", target_os = "android", target_os = "freebsd")))]
    let (socket, address) = {
        let (socket, address) = listener.accept()?;
        socket.set_nonblocking(true)?;
        (socket, address)
    };
    Ok((socket, address.as_socket()))
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

/// Turns keep-alive probes on or off; `idle` is the silence before the first one.
///
/// # Errors
/// What the system says.
pub fn set_keepalive(socket: &Socket, on: bool, idle: Option<Duration>) -> io::Result<()> {
    match idle {
        Some(idle) if on => socket.set_tcp_keepalive(&TcpKeepalive::new().with_time(idle)),
        _ => socket.set_keepalive(on),
    }
}

/// Makes the coming close a reset.
pub fn reset_on_close(socket: &Socket) {
    // A refusal leaves an ordinary close, which is still a close.
    let _ = socket.set_linger(Some(Duration::ZERO));
}
