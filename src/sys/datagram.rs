//! Datagrams: making their sockets, receiving and sending one at a time, groups.
//!
//! Not here: waiting for them (`poller`) and what is kept (`net::datagram`). "Would block" is not
//! an error. Never blocking, never raising SIGPIPE.
#![allow(unsafe_code)]

use std::io;
use std::net::{Ipv4Addr, SocketAddr};

use socket2::{Domain, MaybeUninitSlice, Protocol, SockAddr, Socket, Type};

use super::fault::{self, Call};
use super::io::{Progress, SEND_FLAGS};
use super::socket::{explained, set_reuse_port};

/// What must be so before it is bound.
#[derive(Clone, Copy, Debug, Default)]
pub struct Binding {
    /// Broadcasts may be sent.
    pub broadcast: bool,
    /// The address may be one that another socket which says the same has, too.
    pub reuse_address: bool,
    /// Likewise; the system spreads what comes.
    pub reuse_port: bool,
}

/// A bound socket, and the address that it has got.
///
/// # Errors
/// What the system says.
pub fn bind(address: SocketAddr, how: Binding) -> io::Result<(Socket, SocketAddr)> {
    fault::before(Call::Socket)?;
    let socket = Socket::new(Domain::for_address(address), Type::DGRAM, Some(Protocol::UDP))?;
    fault::before(Call::NonBlocking)?;
    socket.set_nonblocking(true)?;
    #[cfg(target_vendor = "apple")]
    socket.set_nosigpipe(true)?;
    if address.is_ipv6() {
        // With a dual-stack one every IPv4 peer would look like ::ffff:….
        fault::before(Call::SetOption)?;
        socket.set_only_v6(true)?;
    }
    if how.broadcast {
        set_broadcast(&socket, true)?;
    }
    if how.reuse_address {
        fault::before(Call::SetOption)?;
        socket.set_reuse_address(true)?;
    }
    if how.reuse_port {
        fault::before(Call::SetOption)?;
        set_reuse_port(&socket)?;
    }
    #[cfg(windows)]
    hear_refusals(&socket, false);
    fault::before(Call::Bind)?;
    socket.bind(&SockAddr::from(address)).map_err(|error| explained(error, address))?;
    let local = local_address(&socket)?.unwrap_or(address);
    Ok((socket, local))
}

/// Our own end.
///
/// # Errors
/// The system is out of buffers.
pub fn local_address(socket: &Socket) -> io::Result<Option<SocketAddr>> {
    fault::before(Call::GetLocal)?;
    Ok(socket.local_addr()?.as_socket())
}

/// Fixes the other end: what others send is dropped, and its refusals are told.
///
/// # Errors
/// What the system says.
pub fn connect(socket: &Socket, to: SocketAddr) -> io::Result<()> {
    fault::before(Call::Connect)?;
    #[cfg(windows)]
    hear_refusals(socket, true);
    socket.connect(&SockAddr::from(to))
}

/// Lets broadcasts be sent, or not.
///
/// # Errors
/// What the system says.
pub fn set_broadcast(socket: &Socket, on: bool) -> io::Result<()> {
    fault::before(Call::SetOption)?;
    socket.set_broadcast(on)
}

/// Joins or leaves a group, at the interface that has the address, or at one of the system's choice.
/// Of IPv6 the group's zone is the interface.
///
/// # Errors
/// What the system says.
pub fn set_member(
    socket: &Socket,
    group: SocketAddr,
    interface: Option<Ipv4Addr>,
    joins: bool,
) -> io::Result<()> {
    fault::before(Call::SetOption)?;
    let at = interface.unwrap_or(Ipv4Addr::UNSPECIFIED);
    match group {
        SocketAddr::V4(group) if joins => socket.join_multicast_v4(group.ip(), &at),
        SocketAddr::V4(group) => socket.leave_multicast_v4(group.ip(), &at),
        SocketAddr::V6(group) if joins => socket.join_multicast_v6(group.ip(), group.scope_id()),
        SocketAddr::V6(group) => socket.leave_multicast_v6(group.ip(), group.scope_id()),
    }
}

/// What is sent to groups of the family leaves at the interface of this one: where it is heard.
///
/// # Errors
/// What the system says.
pub fn send_groups_by(
    socket: &Socket,
    group: SocketAddr,
    interface: Option<Ipv4Addr>,
) -> io::Result<()> {
    fault::before(Call::SetOption)?;
    match (group, interface) {
        (SocketAddr::V4(_), Some(interface)) => socket.set_multicast_if_v4(&interface),
        (SocketAddr::V4(_), None) => Ok(()),
        (SocketAddr::V6(group), _) => socket.set_multicast_if_v6(group.scope_id()),
    }
}

/// What a call brought.
#[derive(Debug)]
pub enum Received {
    /// A datagram from there, and whether its end is lost; it is all that the buffer holds.
    From(SocketAddr, bool),
    /// None has come.
    Again,
    /// Something else went wrong, perhaps with one that was sent before.
    Failed(io::Error),
}

/// Takes the next datagram into `buffer`, which is emptied first; what is beyond `most` is lost, and
/// only a vectored receive says that something was.
pub fn receive(socket: &Socket, buffer: &mut Vec<u8>, most: usize) -> Received {
    buffer.clear();
    buffer.reserve(most);
    loop {
        let room = buffer.spare_capacity_mut();
        let room = room.split_at_mut(most.min(room.len())).0;
        let length = room.len();
        let mut rooms = [MaybeUninitSlice::new(room)];
        match fault::before(Call::Recv).and_then(|()| socket.recv_from_vectored(&mut rooms)) {
            Ok((count, flags, from)) => {
                // Windows fails with what it has cut, and need not say how much it has written: all.
                let cut = cfg!(windows) && flags.is_truncated();
                let count = if cut { length } else { count };
                // SAFETY: the system has written `count` bytes to the spare capacity.
                unsafe { buffer.set_len(count) };
                if let Some(from) = from.as_socket() {
                    return Received::From(from, flags.is_truncated());
                }
                buffer.clear();
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Received::Again,
            Err(error) => return Received::Failed(error),
        }
    }
}

/// Whether the refusals of what was sent are told. Before it is connected a socket under Unix hears of
/// none, and one under Windows of some, without a word of whose they are.
#[cfg(windows)]
fn hear_refusals(socket: &Socket, on: bool) {
    use windows_sys::Win32::Networking::WinSock::{SIO_UDP_CONNRESET, WSAIoctl};

    let on = u32::from(on);
    let mut written = 0;
    // SAFETY: the request reads one word, and writes how much it has answered: nothing. Where it
    // is not known (Wine) the socket is as it was.
    unsafe {
        WSAIoctl(
            usize::try_from(crate::sys::descriptor(socket)).unwrap_or(usize::MAX),
            SIO_UDP_CONNRESET,
            (&raw const on).cast(),
            4,
            std::ptr::null_mut(),
            0,
            &raw mut written,
            std::ptr::null_mut(),
            None,
        )
    };
}

/// Sends one datagram; without an address to where the socket is connected.
pub fn send(socket: &Socket, data: &[u8], to: Option<SocketAddr>) -> Progress {
    loop {
        let sent = fault::before(Call::Send).and_then(|()| match to {
            Some(to) => socket.send_to_with_flags(data, &SockAddr::from(to), SEND_FLAGS),
            None => socket.send_with_flags(data, SEND_FLAGS),
        });
        match sent {
            Ok(count) => return Progress::Done(count),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Progress::Again,
            Err(error) => return Progress::Failed(error),
        }
    }
}
