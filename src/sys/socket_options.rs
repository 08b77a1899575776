//! Options of a socket in the system: probes, timeouts, buffers, the interface, what a close does.
//!
//! Not here: making sockets (`socket`), what datagrams alone have (`datagram`). Which options there are
//! for scripts stands in `net::options`.
//! Invariants: a number beyond what the system takes is moved to the nearest that it does; what this
//! system does not have is refused with words.
#![allow(unsafe_code)]

use std::io;
use std::time::Duration;

use socket2::{Socket, TcpKeepalive};

use super::fault::{self, Call};
#[cfg(any(target_os = "linux", target_os = "android", target_vendor = "apple"))]
use super::zone;
use crate::errno;
use crate::error::Error;

/// The longest silence that Linux takes before a keep-alive probe, in seconds.
const KEEPALIVE_LONGEST: u64 = 32_767;

/// What the system did not do; of which option, if it was one.
#[derive(Debug)]
pub struct Failure {
    option: Option<&'static str>,
    error: io::Error,
}

impl Failure {
    /// An option is refused.
    pub(super) fn of(option: &'static str) -> impl FnOnce(io::Error) -> Self {
        move |error| Self { option: Some(option), error }
    }

    /// As it is told: `context` says what was to be done, and whom it was about.
    #[must_use]
    pub fn told(&self, context: &str) -> Error {
        match self.option {
            Some(option) => Error::os(&format!("{context}: option '{option}'"), &self.error),
            None => Error::os(context, &self.error),
        }
    }

    /// The error itself.
    #[must_use]
    pub fn error(&self) -> &io::Error {
        &self.error
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Self { option: None, error }
    }
}

/// What a socket has before it is bound, connects or listens; zeros and nothing are the system's choice.
#[derive(Clone, Copy, Debug, Default)]
pub struct Setup<'a> {
    /// The name of the only interface that it uses.
    pub device: Option<&'a str>,
    /// Bytes that the system holds of what has come. What both ends agree on when they connect (window
    /// scaling, RFC 7323) follows from it.
    pub receive_buffer: usize,
    /// Bytes that the system holds of what is sent.
    pub send_buffer: usize,
}

/// Gives a new socket what it is to have.
///
/// # Errors
/// What the system says, and to which option.
pub(super) fn prepare(socket: &Socket, setup: &Setup<'_>, is_ipv6: bool) -> Result<(), Failure> {
    if let Some(name) = setup.device {
        set_device(socket, Some(name), is_ipv6).map_err(Failure::of("device"))?;
    }
    if setup.receive_buffer > 0 {
        set_receive_buffer(socket, setup.receive_buffer).map_err(Failure::of("receive_buffer"))?;
    }
    if setup.send_buffer > 0 {
        set_send_buffer(socket, setup.send_buffer).map_err(Failure::of("send_buffer"))?;
    }
    Ok(())
}

/// How the system probes a silent peer; what is not said is the system's choice.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Probes {
    /// The silence before the first probe.
    pub idle: Option<Duration>,
    /// The pause between probes without an answer.
    pub interval: Option<Duration>,
    /// After how many of these the connection is over.
    pub count: Option<u32>,
}

/// Turns keep-alive probes on or off. Durations are in whole seconds, rounded up, for the system counts
/// in these: it would make two hours of less than one. `before`: the probes that it had until now.
/// A Unix socket has none.
///
/// # Errors
/// What the system says.
pub fn set_keepalive(
    socket: &Socket,
    probes: Option<Probes>,
    before: Option<Probes>,
) -> io::Result<()> {
    fault::before(Call::SetOption)?;
    // What is off keeps its numbers for when it is on again: it begins anew.
    let wanted = probes.unwrap_or_default();
    let says_nothing = wanted == Probes::default();
    let replaces = before.is_some_and(|before| before != Probes::default());
    // Windows takes what one call does not say for nothing.
    let is_filled = replaces || cfg!(windows) && !says_nothing;
    if is_filled || !says_nothing {
        let wanted = if is_filled { filled(wanted) } else { wanted };
        if_supported(socket.set_tcp_keepalive(&as_told(wanted)))?;
        if probes.is_some() {
            return Ok(());
        }
    }
    if_supported(socket.set_keepalive(probes.is_some()))
}

fn as_told(probes: Probes) -> TcpKeepalive {
    let whole = |given: Duration| {
        let seconds = given.as_secs() + u64::from(given.subsec_nanos() > 0);
        Duration::from_secs(seconds.clamp(1, KEEPALIVE_LONGEST))
    };
    let mut keepalive = TcpKeepalive::new();
    if let Some(idle) = probes.idle {
        keepalive = keepalive.with_time(whole(idle));
    }
    if let Some(interval) = probes.interval {
        keepalive = keepalive.with_interval(whole(interval));
    }
    if let Some(count) = probes.count {
        keepalive = keepalive.with_retries(count);
    }
    keepalive
}

/// With what a new socket has in place of what is not said: no call takes a value back.
#[cfg(windows)]
fn filled(probes: Probes) -> Probes {
    // What the documentation of `SIO_KEEPALIVE_VALS` calls the defaults.
    Probes {
        idle: probes.idle.or(Some(Duration::from_secs(2 * 60 * 60))),
        interval: probes.interval.or(Some(Duration::from_secs(1))),
        count: probes.count,
    }
}

/// With what a new socket has in place of what is not said: no call takes a value back.
#[cfg(unix)]
fn filled(probes: Probes) -> Probes {
    if let Ok(fresh) = Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None) {
        return Probes {
            idle: probes.idle.or_else(|| fresh.tcp_keepalive_time().ok()),
            interval: probes.interval.or_else(|| fresh.tcp_keepalive_interval().ok()),
            count: probes.count.or_else(|| fresh.tcp_keepalive_retries().ok()),
        };
    }
    probes
}

/// Sends what is written at once, without waiting for more (`TCP_NODELAY`); a Unix socket always does.
///
/// # Errors
/// What the system says.
pub fn set_nodelay(socket: &Socket, on: bool) -> io::Result<()> {
    fault::before(Call::SetOption)?;
    if_supported(socket.set_tcp_nodelay(on))
}

/// How long what is sent may stay without an acknowledgement before the connection is over; without
/// one the system decides. A Unix socket needs none.
///
/// # Errors
/// What the system says.
pub fn set_user_timeout(socket: &Socket, timeout: Option<Duration>) -> io::Result<()> {
    fault::before(Call::SetOption)?;
    let timeout = timeout.unwrap_or_default();
    if_supported(system::set_user_timeout(socket, timeout))
}

/// Bytes that the system holds of what has come.
///
/// # Errors
/// What the system says.
pub fn set_receive_buffer(socket: &Socket, bytes: usize) -> io::Result<()> {
    fault::before(Call::SetOption)?;
    socket.set_recv_buffer_size(bytes.min(LARGEST))
}

/// Bytes that the system holds of what is sent.
///
/// # Errors
/// What the system says.
pub fn set_send_buffer(socket: &Socket, bytes: usize) -> io::Result<()> {
    fault::before(Call::SetOption)?;
    socket.set_send_buffer_size(bytes.min(LARGEST))
}

/// The system takes an `int`.
const LARGEST: usize = i32::MAX as usize;

/// The only interface that the socket uses, or any.
///
/// # Errors
/// There is none of that name, or what the system says.
pub fn set_device(socket: &Socket, name: Option<&str>, is_ipv6: bool) -> io::Result<()> {
    fault::before(Call::SetOption)?;
    system::set_device(socket, name, is_ipv6)
}

/// The number of the interface; 0 where none is named.
#[cfg(any(target_os = "linux", target_os = "android", target_vendor = "apple"))]
fn number_of(name: Option<&str>) -> io::Result<u32> {
    let number = name.map(|name| zone::number_of(name).ok_or_else(|| zone::missing(name)));
    Ok(number.transpose()?.unwrap_or_default())
}

/// Whether closing the socket resets the connection.
///
/// # Errors
/// What the system says.
pub fn set_reset(socket: &Socket, on: bool) -> io::Result<()> {
    fault::before(Call::SetOption)?;
    socket.set_linger(on.then_some(Duration::ZERO))
}

/// Makes the coming close a reset.
pub fn reset_on_close(socket: &Socket) {
    // A refusal leaves an ordinary close, which is still a close.
    let _ = set_reset(socket, true);
}

/// Whether the peer has not acknowledged everything yet, our end of stream included; no where the system
/// does not know.
#[must_use]
pub fn is_unacknowledged(socket: &Socket) -> bool {
    system::unacknowledged(socket).is_some_and(|count| count > 0)
}

fn if_supported(set: io::Result<()>) -> io::Result<()> {
    match set {
        Err(error) if errno::number(&error) == Some(errno::EOPNOTSUPP) => Ok(()),
        set => set,
    }
}

/// This system does not have it.
#[cfg(not(any(target_os = "linux", target_os = "android", target_vendor = "apple")))]
fn lacking(text: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, text)
}

#[cfg(any(target_os = "linux", target_os = "android"))]
mod system {
    use std::os::fd::AsRawFd;

    use super::{Duration, Socket, io, number_of};

    /// In milliseconds, rounded up.
    pub(super) fn set_user_timeout(socket: &Socket, timeout: Duration) -> io::Result<()> {
        let rounded = timeout.saturating_add(Duration::from_nanos(999_999));
        // The system takes an `int` of them; socket2 would cut what is more.
        let longest = Duration::from_millis(i32::MAX.unsigned_abs().into());
        socket.set_tcp_user_timeout(Some(rounded.min(longest)).filter(|_| !timeout.is_zero()))
    }

    pub(super) fn set_device(
        socket: &Socket,
        name: Option<&str>,
        _is_ipv6: bool,
    ) -> io::Result<()> {
        // The system cuts a name that is too long for one.
        number_of(name)?;
        socket.bind_device(name.map(str::as_bytes))
    }

    pub(super) fn unacknowledged(socket: &Socket) -> Option<i32> {
        let mut count: libc::c_int = 0;
        // SAFETY: the request writes one `int`, which outlives the call.
        let done = unsafe { libc::ioctl(socket.as_raw_fd(), libc::TIOCOUTQ, &raw mut count) };
        (done == 0).then_some(count)
    }
}

#[cfg(target_vendor = "apple")]
mod system {
    use std::num::NonZeroU32;
    use std::os::fd::AsRawFd;

    use super::{Duration, Socket, io, number_of};

    /// In seconds, rounded up.
    pub(super) fn set_user_timeout(socket: &Socket, timeout: Duration) -> io::Result<()> {
        /// `netinet/tcp.h`.
        const TCP_RXT_CONNDROPTIME: libc::c_int = 0x80;

        let seconds = timeout.as_secs() + u64::from(timeout.subsec_nanos() > 0);
        let seconds = libc::c_int::try_from(seconds).unwrap_or(libc::c_int::MAX);
        // SAFETY: the option is one `int`, which outlives the call.
        let failed = unsafe {
            libc::setsockopt(
                socket.as_raw_fd(),
                libc::IPPROTO_TCP,
                TCP_RXT_CONNDROPTIME,
                (&raw const seconds).cast(),
                4,
            )
        };
        if failed == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
    }

    pub(super) fn set_device(socket: &Socket, name: Option<&str>, is_ipv6: bool) -> io::Result<()> {
        let number = NonZeroU32::new(number_of(name)?);
        if is_ipv6 {
            socket.bind_device_by_index_v6(number)
        } else {
            socket.bind_device_by_index_v4(number)
        }
    }

    pub(super) fn unacknowledged(socket: &Socket) -> Option<i32> {
        let (mut count, mut length): (libc::c_int, libc::socklen_t) = (0, 4);
        // SAFETY: the option is one `int`, which outlives the call as its length does.
        let failed = unsafe {
            libc::getsockopt(
                socket.as_raw_fd(),
                libc::SOL_SOCKET,
                libc::SO_NWRITE,
                (&raw mut count).cast(),
                &raw mut length,
            )
        };
        (failed == 0).then_some(count)
    }
}

#[cfg(not(any(target_os = "linux", target_os = "android", target_vendor = "apple")))]
mod system {
    use super::{Duration, Socket, io, lacking};

    /// In seconds, rounded up.
    #[cfg(windows)]
    pub(super) fn set_user_timeout(socket: &Socket, timeout: Duration) -> io::Result<()> {
        use windows_sys::Win32::Networking::WinSock::{IPPROTO_TCP, TCP_MAXRT, setsockopt};

        if timeout.is_zero() {
            // No value stands for the system's choice: the connection keeps what it has.
            return Ok(());
        }
        let seconds = timeout.as_secs() + u64::from(timeout.subsec_nanos() > 0);
        let seconds = i32::try_from(seconds).unwrap_or(i32::MAX).to_ne_bytes();
        let descriptor = usize::try_from(crate::sys::descriptor(socket)).unwrap_or(usize::MAX);
        // SAFETY: the option is one word, which is valid for the call.
        let failed = unsafe { setsockopt(descriptor, IPPROTO_TCP, TCP_MAXRT, seconds.as_ptr(), 4) };
        if failed == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
    }

    #[cfg(not(windows))]
    pub(super) fn set_user_timeout(_socket: &Socket, timeout: Duration) -> io::Result<()> {
        if timeout.is_zero() { Ok(()) } else { Err(lacking("this system does not have it")) }
    }

    pub(super) fn set_device(
        _socket: &Socket,
        name: Option<&str>,
        _is_ipv6: bool,
    ) -> io::Result<()> {
        let text = "this system ties no socket to an interface; bind to its address";
        if name.is_none() { Ok(()) } else { Err(lacking(text)) }
    }

    #[cfg(target_os = "freebsd")]
    pub(super) fn unacknowledged(socket: &Socket) -> Option<i32> {
        use std::os::fd::AsRawFd;

        let mut count: libc::c_int = 0;
        // SAFETY: the request writes one `int`, which outlives the call.
        let done = unsafe { libc::ioctl(socket.as_raw_fd(), libc::FIONWRITE, &raw mut count) };
        (done == 0).then_some(count)
    }

    #[cfg(not(target_os = "freebsd"))]
    pub(super) fn unacknowledged(_socket: &Socket) -> Option<i32> {
        None
    }
}

#[cfg(target_os = "linux")]
#[cfg(test)]
mod tests {
    use socket2::{Domain, Protocol, Type};

    use super::*;

    fn tcp() -> Socket {
        Socket::new(Domain::IPV4, Type::STREAM, Some(Protocol::TCP)).unwrap()
    }

    fn probes(socket: &Socket) -> (bool, u64, u64, u32) {
        (
            socket.keepalive().unwrap(),
            socket.tcp_keepalive_time().unwrap().as_secs(),
            socket.tcp_keepalive_interval().unwrap().as_secs(),
            socket.tcp_keepalive_retries().unwrap(),
        )
    }

    #[test]
    fn probes_reach_the_system_in_whole_seconds_and_within_its_bounds() {
        let socket = tcp();
        let (_, idle, interval, count) = probes(&socket);
        let all = |idle: f64, interval: f64, count| Probes {
            idle: Some(Duration::from_secs_f64(idle)),
            interval: Some(Duration::from_secs_f64(interval)),
            count: Some(count),
        };
        for (given, taken) in [
            (all(30.0, 5.0, 3), (true, 30, 5, 3)),
            (all(0.001, 1.2, 127), (true, 1, 2, 127)),
            (all(1e9, 32_767.5, 1), (true, 32_767, 32_767, 1)),
        ] {
            set_keepalive(&socket, Some(given), None).unwrap();
            assert_eq!(probes(&socket), taken);
        }
        // What is not said any more is the system's choice again.
        let some = Probes { interval: Some(Duration::from_secs(9)), ..Probes::default() };
        set_keepalive(&socket, Some(some), Some(all(1.0, 1.0, 1))).unwrap();
        assert_eq!(probes(&socket), (true, idle, 9, count));
        set_keepalive(&socket, Some(Probes::default()), Some(some)).unwrap();
        assert_eq!(probes(&socket), (true, idle, interval, count));
        set_keepalive(&socket, None, Some(Probes::default())).unwrap();
        assert!(!socket.keepalive().unwrap());
        set_keepalive(&socket, Some(some), None).unwrap();
        set_keepalive(&socket, None, Some(some)).unwrap();
        assert_eq!(probes(&socket), (false, idle, interval, count));
    }

    #[test]
    fn a_user_timeout_is_rounded_up_and_taken_back() {
        let socket = tcp();
        for (given, taken) in [
            (Duration::from_millis(1500), 1500),
            (Duration::from_nanos(1), 1),
            (Duration::from_secs(100_000_000), i32::MAX.unsigned_abs().into()),
        ] {
            set_user_timeout(&socket, Some(given)).unwrap();
            assert_eq!(socket.tcp_user_timeout().unwrap(), Some(Duration::from_millis(taken)));
        }
        set_user_timeout(&socket, None).unwrap();
        assert_eq!(socket.tcp_user_timeout().unwrap(), None);
    }

    #[test]
    fn what_a_socket_is_to_have_it_has() {
        let socket = tcp();
        let interface = zone::name_of(1).unwrap();
        let setup = Setup { device: Some(&interface), receive_buffer: 20_000, send_buffer: 30_000 };
        prepare(&socket, &setup, false).unwrap();
        // Linux takes twice as much, for what it needs itself.
        assert_eq!(socket.recv_buffer_size().unwrap(), 40_000);
        assert_eq!(socket.send_buffer_size().unwrap(), 60_000);
        let device = socket.device().unwrap().unwrap();
        assert_eq!(device.strip_suffix(b"\0").unwrap_or(&device), interface.as_bytes());
        set_reset(&socket, true).unwrap();
        assert_eq!(socket.linger().unwrap(), Some(Duration::ZERO));
        set_reset(&socket, false).unwrap();
        assert_eq!(socket.linger().unwrap(), None);
        // As many as there are, and no more.
        set_receive_buffer(&socket, usize::MAX).unwrap();
        set_send_buffer(&socket, usize::MAX).unwrap();
        assert!(socket.recv_buffer_size().unwrap() > 40_000);
    }

    #[test]
    fn a_refusal_names_its_option() {
        let nowhere = Setup { device: Some("no-such-if"), ..Setup::default() };
        let error = prepare(&tcp(), &nowhere, false).unwrap_err().told("listen 127.0.0.1:1");
        assert_eq!(
            error.message(),
            "listen 127.0.0.1:1: option 'device': there is no interface 'no-such-if'"
        );
        assert_eq!(error.code().as_str(), "EADDRNOTAVAIL");
        let refused = io::Error::from_raw_os_error(errno::EPERM);
        let error = Failure::of("device")(refused).told("connect");
        assert_eq!(error.message(), "connect: option 'device': operation not permitted");
        assert_eq!(error.code().as_str(), "EACCES");
        // A name that the system would cut to one that there is.
        let long = zone::name_of(1).unwrap() + &"\0".repeat(20);
        assert!(set_device(&tcp(), Some(&long), false).is_err());
    }

    #[test]
    fn a_unix_socket_has_no_probes_and_refuses_none() {
        let socket = Socket::new(Domain::UNIX, Type::STREAM, None).unwrap();
        set_keepalive(&socket, Some(Probes::default()), None).unwrap();
        let some = Probes { count: Some(3), ..Probes::default() };
        set_keepalive(&socket, Some(some), None).unwrap();
        set_user_timeout(&socket, Some(Duration::from_secs(1))).unwrap();
        set_nodelay(&socket, true).unwrap();
        set_reset(&socket, true).unwrap();
        assert!(!is_unacknowledged(&socket));
    }
}
