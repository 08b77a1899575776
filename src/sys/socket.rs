//! Making sockets: connect, listen, accept. All are non-blocking and close-on-exec.
//!
//! Not here: their options (`socket_options`), waiting for them (`poller`) and moving bytes (`io`).
#![allow(unsafe_code)]

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};

use crate::address::Address;
use crate::errno;

use socket2::{Domain, Protocol, SockAddr, Socket, Type};

use super::fault::{self, Call};
use super::path;
use super::socket_options::{Failure, Setup, prepare, set_nodelay};

/// A socket that neither connects nor listens yet, of the family of that address.
///
/// # Errors
/// What the system says.
pub fn open(address: &Address) -> io::Result<Socket> {
    Ok(new(address)?.0)
}

/// Fixes the end of a socket that was made before.
///
/// # Errors
/// What the system says.
pub fn bind(socket: &Socket, address: &Address) -> io::Result<()> {
    let to = named_by(address)?;
    fault::before(Call::Bind)?;
    socket.bind(&to).map_err(|error| explained_at(error, address))
}

fn named_by(address: &Address) -> io::Result<SockAddr> {
    Ok(match address {
        Address::Ip(ip) => SockAddr::from(*ip),
        Address::Unix(path) => path::address(path)?,
    })
}

fn new(address: &Address) -> io::Result<(Socket, SockAddr)> {
    let to = named_by(address)?;
    let (domain, protocol) = match address {
        Address::Ip(ip) => (Domain::for_address(*ip), Some(Protocol::TCP)),
        Address::Unix(_) => (Domain::UNIX, None),
    };
    Ok((unconnected(domain, Type::STREAM, protocol)?, to))
}

/// A socket that does not block, by one call of the system where that knows how.
pub(super) fn unconnected(
    domain: Domain,
    kind: Type,
    protocol: Option<Protocol>,
) -> io::Result<Socket> {
    fault::before(Call::Socket)?;
    #[cfg(any(target_os = "linux", target_os = "android", target_os = "freebsd"))]
    let socket = Socket::new(domain, kind.nonblocking(), protocol)?;
    #[cfg(not(any(target_os = "linux", target_os = "android", target_os = "freebsd")))]
    let socket = {
        let socket = Socket::new(domain, kind, protocol)?;
        socket.set_nonblocking(true)?;
        socket
    };
    #[cfg(target_vendor = "apple")]
    socket.set_nosigpipe(true)?;
    Ok(socket)
}

/// Starts connecting; [`finish_connect`] tells how it went.
///
/// # Errors
/// What the system says at once.
pub fn begin_connect(
    address: &Address,
    bind: Option<SocketAddr>,
    setup: &Setup<'_>,
) -> Result<Socket, Failure> {
    let (socket, to) = new(address)?;
    set_up(&socket, address, setup)?;
    if let Some(from) = bind {
        bind_to(&socket, from, address)?;
    }
    Ok(connect(socket, &to, address)?)
}

/// The same by a socket that was made before.
///
/// # Errors
/// What the system says at once.
pub fn begin_connect_by(socket: Socket, address: &Address) -> io::Result<Socket> {
    connect(socket, &named_by(address)?, address)
}

fn connect(socket: Socket, to: &SockAddr, address: &Address) -> io::Result<Socket> {
    match fault::before(Call::Connect).and_then(|()| socket.connect(to)) {
        Ok(()) => Ok(socket),
        Err(error) if errno::number(&error) == Some(UNDER_WAY) => Ok(socket),
        Err(error) => Err(explained_at(error, address)),
    }
}

fn explained_at(error: io::Error, address: &Address) -> io::Error {
    match address {
        Address::Ip(ip) => explained(error, *ip),
        Address::Unix(_) => error,
    }
}

fn set_up(socket: &Socket, address: &Address, setup: &Setup<'_>) -> Result<(), Failure> {
    if let (Address::Unix(_), Some(_)) = (address, setup.device) {
        return Err(other("'device' has no meaning for a Unix socket").into());
    }
    prepare(socket, setup, address.is_ipv6())
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

/// Whether a started connection stands: `Ok(false)` means not yet. `is_over`: the poller has told of this
/// attempt that it is over, so that it stands if there is no error.
///
/// # Errors
/// Why it failed.
pub fn finish_connect(socket: &Socket, is_over: bool) -> io::Result<bool> {
    fault::before(Call::GetError)?;
    if let Some(error) = socket.take_error()? {
        return Err(error);
    } else if is_over {
        return Ok(true);
    }
    match fault::before(Call::GetPeer).and_then(|()| socket.peer_addr()) {
        Ok(_) => Ok(true),
        Err(error) if errno::number(&error) == Some(errno::ENOTCONN) => Ok(false),
        Err(error) => Err(error),
    }
}

/// What a socket that listens has.
#[derive(Clone, Copy, Debug)]
pub struct ListenSetup<'a> {
    /// Connections that wait in the system.
    pub backlog: i32,
    /// Several processes share the port.
    pub reuse_port: bool,
    /// For what is accepted, which inherits it.
    pub nodelay: bool,
    /// For what is accepted, too.
    pub setup: Setup<'a>,
}

/// Listens on `address`.
///
/// # Errors
/// What the system says.
pub fn listen(address: &Address, how: &ListenSetup<'_>) -> Result<Socket, Failure> {
    let (socket, to) = new(address)?;
    set_up(&socket, address, &how.setup)?;
    if let Address::Unix(path) = address {
        clear_the_way(path, &to)?;
        fault::before(Call::Bind)?;
        socket.bind(&to)?;
        if let Err(error) = fault::before(Call::Listen).and_then(|()| socket.listen(how.backlog)) {
            // An abstract name is no path: there is nothing to remove.
            let _ = path::remove(path);
            return Err(error.into());
        }
        return Ok(socket);
    }
    set_nodelay(&socket, how.nodelay).map_err(Failure::of("nodelay"))?;
    if address.is_ipv6() {
        // Two sockets serve "*": with a dual-stack one every IPv4 peer would look like ::ffff:….
        fault::before(Call::SetOption)?;
        socket.set_only_v6(true)?;
    }
    fault::before(Call::SetOption)?;
    claim_port(&socket)?;
    if how.reuse_port {
        set_reuse_port(&socket)?;
    }
    fault::before(Call::Bind)?;
    socket.bind(&to).map_err(|error| explained_at(error, address))?;
    listen_by(&socket, how.backlog)?;
    Ok(socket)
}

/// Listens by a socket that was made, and perhaps bound, before.
///
/// # Errors
/// What the system says.
pub fn listen_by(socket: &Socket, backlog: i32) -> io::Result<()> {
    fault::before(Call::Listen)?;
    socket.listen(backlog)
}

/// A socket file that nobody listens on any more was left by a server that was killed; one that
/// answers, and any other file, is kept, and binding will say so.
fn clear_the_way(path: &[u8], address: &SockAddr) -> io::Result<()> {
    if path::identity(path).is_none() {
        return Ok(());
    }
    let probe = unconnected(Domain::UNIX, Type::STREAM, None)?;
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

/// Sends the end of stream.
///
/// # Errors
/// The connection is over.
pub fn end_writing(socket: &Socket) -> io::Result<()> {
    fault::before(Call::Shutdown)?;
    socket.shutdown(std::net::Shutdown::Write)
}
