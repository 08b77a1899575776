//! Where registries do not nest: a duplicate of the descriptor is registered.
//!
//! The connection behind it stays open until the duplicate is closed, too. Under Windows it must be a
//! socket; the system refuses what is none.
#![allow(unsafe_code)]

use std::io;
use std::mem::ManuallyDrop;

use socket2::Socket;

use super::super::Descriptor;
use super::super::fault::{self, Call};
use super::super::poller::Interest;

/// What is armed in the main registry.
pub(super) fn armed(interest: Interest) -> Interest {
    interest
}

/// The descriptor as a socket that is not closed with it.
fn borrowed(fd: Descriptor) -> ManuallyDrop<Socket> {
    #[cfg(unix)]
    use std::os::fd::FromRawFd;
    #[cfg(windows)]
    use std::os::windows::io::FromRawSocket;
    #[cfg(windows)]
    // SAFETY: only the system looks at the number, and nobody closes it here.
    return ManuallyDrop::new(unsafe { Socket::from_raw_socket(fd) });
    #[cfg(unix)]
    // SAFETY: only the system looks at the number, and nobody closes it here.
    return ManuallyDrop::new(unsafe { Socket::from_raw_fd(fd) });
}

/// A duplicate.
#[expect(clippy::unnecessary_wraps, reason = "as where regular files are found out")]
pub(super) fn stand_in(fd: Descriptor, _interest: Interest) -> io::Result<Option<Socket>> {
    fault::before(Call::EpollCreate)?;
    borrowed(fd).try_clone().map(Some)
}

/// Whether it can be read, and written.
#[cfg(windows)]
pub(super) fn ready(
    duplicate: &Socket,
    _fd: Descriptor,
    interest: Interest,
) -> io::Result<(bool, bool)> {
    use std::os::windows::io::AsRawSocket;
    use windows_sys::Win32::Networking::WinSock as winsock;

    let wanted = |is_wanted: bool, flag: i16| if is_wanted { flag } else { 0 };
    let fd = usize::try_from(duplicate.as_raw_socket()).unwrap_or(usize::MAX);
    let events = wanted(interest.read(), winsock::POLLRDNORM)
        | wanted(interest.write(), winsock::POLLWRNORM);
    let mut poll = winsock::WSAPOLLFD { fd, events, revents: 0 };
    // SAFETY: one entry, which is valid for the call.
    let count = unsafe { winsock::WSAPoll(&raw mut poll, 1, 0) };
    if count < 0 {
        return Err(io::Error::last_os_error());
    }
    let has = |flags: i16| poll.revents & flags != 0;
    let broken = winsock::POLLERR | winsock::POLLHUP;
    Ok((
        has(winsock::POLLRDNORM | broken) && interest.read(),
        has(winsock::POLLWRNORM | broken) && interest.write(),
    ))
}

/// Whether it can be read, and written.
#[cfg(unix)]
pub(super) fn ready(
    duplicate: &Socket,
    _fd: Descriptor,
    interest: Interest,
) -> io::Result<(bool, bool)> {
    use std::os::fd::AsRawFd;

    let wanted = |is_wanted: bool, flag: libc::c_short| if is_wanted { flag } else { 0 };
    let events = wanted(interest.read(), libc::POLLIN) | wanted(interest.write(), libc::POLLOUT);
    let mut poll = libc::pollfd { fd: duplicate.as_raw_fd(), events, revents: 0 };
    // SAFETY: one entry, which is valid for the call.
    if unsafe { libc::poll(&raw mut poll, 1, 0) } < 0 {
        return Err(io::Error::last_os_error());
    }
    let has = |flags: libc::c_short| poll.revents & flags != 0;
    let broken = libc::POLLERR | libc::POLLHUP;
    Ok((
        has(libc::POLLIN | broken) && interest.read(),
        has(libc::POLLOUT | broken) && interest.write(),
    ))
}
