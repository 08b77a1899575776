//! Datagrams: making their sockets, receiving and sending one at a time, groups.
//!
//! Not here: waiting for them (`poller`) and what is kept (`net::udp`). "Would block" is not
//! an error. Never blocking, never raising SIGPIPE.
#![allow(unsafe_code)]

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use socket2::{Domain, MaybeUninitSlice, Protocol, SockAddr, Socket, Type};

use super::fault::{self, Call};
use super::io::{Progress, SEND_FLAGS};
use super::socket::{explained, set_reuse_port, unconnected};
use super::socket_options::{Failure, Setup, prepare};
use super::zone;

/// What must be so before it is bound.
#[derive(Clone, Copy, Debug)]
pub struct Binding<'a> {
    /// Broadcasts may be sent.
    pub broadcast: bool,
    /// The address may be one that another socket which says the same has, too.
    pub reuse_address: bool,
    /// Likewise; the system spreads what comes.
    pub reuse_port: bool,
    /// Buffers and the interface.
    pub setup: Setup<'a>,
    /// How what is sent to groups goes.
    pub groups: Groups<'a>,
}

/// How what is sent to groups goes.
#[derive(Clone, Copy, Debug)]
pub struct Groups<'a> {
    /// How many routers pass it on, this machine included.
    pub ttl: u32,
    /// This machine hears it.
    pub is_looped: bool,
    /// Name, number or IPv4 address of the interface by which it leaves.
    pub interface: Option<&'a str>,
}

/// A bound socket, and the address that it has got.
///
/// # Errors
/// What the system says.
pub fn bind(address: SocketAddr, how: Binding<'_>) -> Result<(Socket, SocketAddr), Failure> {
    let domain = Domain::for_address(address);
    let socket = unconnected(domain, Type::DGRAM, Some(Protocol::UDP))?;
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
    prepare(&socket, &how.setup, address.is_ipv6())?;
    send_groups(&socket, address.is_ipv6(), how.groups)?;
    #[cfg(windows)]
    hear_refusals(&socket, false);
    fault::before(Call::Bind)?;
    socket.bind(&SockAddr::from(address)).map_err(|error| explained(error, address))?;
    let local = local_address(&socket)?.unwrap_or(address);
    Ok((socket, local))
}

/// Nothing is asked of the system that it does anyway.
fn send_groups(socket: &Socket, is_ipv6: bool, how: Groups<'_>) -> Result<(), Failure> {
    if how.ttl != 1 {
        set_group_ttl(socket, is_ipv6, how.ttl).map_err(Failure::of("multicast_ttl"))?;
    }
    if !how.is_looped {
        set_group_loop(socket, is_ipv6, false).map_err(Failure::of("multicast_loop"))?;
    }
    if how.interface.is_some() {
        set_group_interface(socket, is_ipv6, how.interface).map_err(Failure::of("interface"))?;
    }
    Ok(())
}

/// How many routers pass on what is sent to groups, this machine included.
///
/// # Errors
/// What the system says.
pub fn set_group_ttl(socket: &Socket, is_ipv6: bool, ttl: u32) -> io::Result<()> {
    fault::before(Call::SetOption)?;
    if is_ipv6 { socket.set_multicast_hops_v6(ttl) } else { socket.set_multicast_ttl_v4(ttl) }
}

/// Whether this machine hears what is sent to groups.
///
/// # Errors
/// What the system says.
pub fn set_group_loop(socket: &Socket, is_ipv6: bool, on: bool) -> io::Result<()> {
    fault::before(Call::SetOption)?;
    if is_ipv6 { socket.set_multicast_loop_v6(on) } else { socket.set_multicast_loop_v4(on) }
}

/// By which interface groups are sent to; without one the system chooses.
///
/// # Errors
/// There is none of that name, number or address, or what the system says.
pub fn set_group_interface(
    socket: &Socket,
    is_ipv6: bool,
    interface: Option<&str>,
) -> io::Result<()> {
    fault::before(Call::SetOption)?;
    let number = |text: &str| {
        let number = zone::index_of(text)?;
        zone::name_of(number).map(|_| number).ok_or_else(|| zone::missing(text))
    };
    let address = interface.and_then(|text| text.parse::<IpAddr>().ok());
    match (interface, address) {
        (None, _) if is_ipv6 => socket.set_multicast_if_v6(0),
        (None, _) => socket.set_multicast_if_v4(&Ipv4Addr::UNSPECIFIED),
        (_, Some(IpAddr::V4(address))) if !is_ipv6 => socket.set_multicast_if_v4(&address),
        (_, Some(_)) => {
            let text = "an address is not how its family names an interface; give its name";
            Err(io::Error::new(io::ErrorKind::InvalidInput, text))
        }
        (Some(text), _) if is_ipv6 => socket.set_multicast_if_v6(number(text)?),
        (Some(text), _) => set_group_number_v4(socket, number(text)?),
    }
}

#[cfg(unix)]
fn set_group_number_v4(socket: &Socket, number: u32) -> io::Result<()> {
    use std::os::fd::AsRawFd;

    let any = libc::in_addr { s_addr: libc::INADDR_ANY };
    let at = libc::ip_mreqn {
        imr_multiaddr: any,
        imr_address: any,
        imr_ifindex: libc::c_int::try_from(number).unwrap_or(libc::c_int::MAX),
    };
    let length = libc::socklen_t::try_from(size_of::<libc::ip_mreqn>()).unwrap_or_default();
    // SAFETY: the option is the structure, which outlives the call.
    let failed = unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            libc::IPPROTO_IP,
            libc::IP_MULTICAST_IF,
            (&raw const at).cast(),
            length,
        )
    };
    if failed == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Windows takes an address of the network 0 for a number.
#[cfg(windows)]
fn set_group_number_v4(socket: &Socket, number: u32) -> io::Result<()> {
    socket.set_multicast_if_v4(&Ipv4Addr::from(number & 0x00ff_ffff))
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
    if let Some(zone) = wide_zone(to) {
        fault::before(Call::SetOption)?;
        socket.set_multicast_if_v6(zone)?;
    }
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

/// The zone of a group that reaches further than one link (RFC 4291, 2.7): the system heeds none, and sends
/// by the interface that the socket has for groups.
fn wide_zone(to: SocketAddr) -> Option<u32> {
    let SocketAddr::V6(to) = to else { return None };
    let scope = to.ip().octets()[1] & 0x0f;
    (to.ip().is_multicast() && scope > 2 && to.scope_id() != 0).then(|| to.scope_id())
}

/// Sends one datagram; without an address to where the socket is connected.
pub fn send(socket: &Socket, data: &[u8], to: Option<SocketAddr>) -> Progress {
    let Some(zone) = to.and_then(wide_zone) else { return send_plain(socket, data, to) };
    let before = fault::before(Call::SetOption).and_then(|()| socket.multicast_if_v6());
    match before.and_then(|before| socket.set_multicast_if_v6(zone).map(|()| before)) {
        Ok(before) => {
            let sent = send_plain(socket, data, to);
            match socket.set_multicast_if_v6(before) {
                Err(error) if matches!(sent, Progress::Done(_)) => Progress::Failed(error),
                _ => sent,
            }
        }
        Err(error) => Progress::Failed(error),
    }
}

fn send_plain(socket: &Socket, data: &[u8], to: Option<SocketAddr>) -> Progress {
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

#[cfg(target_os = "linux")]
#[cfg(test)]
mod tests {
    use super::*;

    const SILENT: Groups<'_> = Groups { ttl: 7, is_looped: false, interface: None };

    fn bound(host: &str, groups: Groups<'_>) -> Result<Socket, Failure> {
        let setup = Setup { device: None, receive_buffer: 20_000, send_buffer: 0 };
        let how =
            Binding { broadcast: true, reuse_address: false, reuse_port: false, setup, groups };
        bind(SocketAddr::new(host.parse().unwrap(), 0), how).map(|(socket, _)| socket)
    }

    #[test]
    fn how_groups_are_sent_to_reaches_the_system() {
        let interface = zone::name_of(1).unwrap();
        for at in ["127.0.0.1", &interface, "1"] {
            let socket = bound("127.0.0.1", Groups { interface: Some(at), ..SILENT }).unwrap();
            assert_eq!(socket.multicast_ttl_v4().unwrap(), 7);
            assert!(!socket.multicast_loop_v4().unwrap());
            let address = socket.multicast_if_v4().unwrap();
            assert_eq!(address.is_unspecified(), at != "127.0.0.1");
            assert_eq!(socket.recv_buffer_size().unwrap(), 40_000);
            assert!(socket.broadcast().unwrap());
        }
        let Ok(socket) = bound("::1", Groups { interface: Some(&interface), ..SILENT }) else {
            // This machine has no IPv6.
            return;
        };
        assert_eq!(socket.multicast_hops_v6().unwrap(), 7);
        assert!(!socket.multicast_loop_v6().unwrap());
        assert_eq!(socket.multicast_if_v6().unwrap(), 1);
        set_group_interface(&socket, true, None).unwrap();
        assert_eq!(socket.multicast_if_v6().unwrap(), 0);
    }

    #[test]
    fn an_interface_that_is_none_is_refused_with_words() {
        let socket = bound("127.0.0.1", SILENT).unwrap();
        for (is_ipv6, at, said) in [
            (false, "no-such-if", "there is no interface 'no-such-if'"),
            (false, "2147483632", "there is no interface '2147483632'"),
            (true, "2147483632", "there is no interface '2147483632'"),
            (false, "::1", "an address is not how its family names an interface; give its name"),
            (
                true,
                "127.0.0.1",
                "an address is not how its family names an interface; give its name",
            ),
        ] {
            let error = set_group_interface(&socket, is_ipv6, Some(at)).unwrap_err();
            assert_eq!(error.to_string(), said);
        }
    }
}
