//! Where registries nest, under Linux, macOS and FreeBSD: a registry with one descriptor in it.
//!
//! Its own descriptor is readable while what is in it is ready. The system takes the descriptor out
//! when it is closed, whatever becomes of its number.
#![allow(unsafe_code)]

use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};

use socket2::Socket;

use super::super::fault::{self, Call};
use super::super::poller::Interest;

/// What is armed in the main registry.
pub(super) fn armed(_interest: Interest) -> Interest {
    Interest::READ
}

/// A registry with the descriptor in it; `None` if nothing can be waited for.
pub(super) fn stand_in(fd: RawFd, interest: Interest) -> io::Result<Option<Socket>> {
    fault::before(Call::EpollCreate)?;
    let registry = create()?;
    fault::before(Call::EpollAdd)?;
    match enter(&registry, fd, interest, true) {
        Ok(()) => Ok(Some(Socket::from(registry))),
        Err(error) if is_plain_file(&error) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Takes the descriptor that the system has just made.
fn owned(fd: RawFd) -> io::Result<OwnedFd> {
    if fd < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: it was made just now, for us.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

#[cfg(target_os = "linux")]
mod system {
    use super::{AsRawFd, Interest, OwnedFd, RawFd, io, owned};

    pub(super) fn create() -> io::Result<OwnedFd> {
        // SAFETY: there are no pointers.
        owned(unsafe { libc::epoll_create1(libc::EPOLL_CLOEXEC) })
    }

    /// Enters the descriptor, or, if it is in already, the same once more: refused if it is not.
    pub(super) fn enter(
        registry: &impl AsRawFd,
        fd: RawFd,
        interest: Interest,
        is_new: bool,
    ) -> io::Result<()> {
        let read = if interest.read() { libc::EPOLLIN | libc::EPOLLRDHUP } else { 0 };
        let write = if interest.write() { libc::EPOLLOUT } else { 0 };
        let mut event = libc::epoll_event { events: (read | write).cast_unsigned(), u64: 0 };
        let how = if is_new { libc::EPOLL_CTL_ADD } else { libc::EPOLL_CTL_MOD };
        // SAFETY: the event is valid for the call.
        let done = unsafe { libc::epoll_ctl(registry.as_raw_fd(), how, fd, &raw mut event) };
        if done == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
    }

    /// Reads and writes of those never wait.
    pub(super) fn is_plain_file(error: &io::Error) -> bool {
        error.raw_os_error() == Some(libc::EPERM)
    }

    /// What is ready in it: reading, writing.
    pub(super) fn reports(registry: &impl AsRawFd) -> io::Result<(bool, bool)> {
        const BROKEN: libc::c_int = libc::EPOLLERR | libc::EPOLLHUP;
        let mut event = libc::epoll_event { events: 0, u64: 0 };
        // SAFETY: there is room for one event.
        let count = unsafe { libc::epoll_wait(registry.as_raw_fd(), &raw mut event, 1, 0) };
        if count < 0 {
            return Err(io::Error::last_os_error());
        }
        let has = |flags: libc::c_int| event.events & flags.cast_unsigned() != 0;
        Ok((has(libc::EPOLLIN | libc::EPOLLRDHUP | BROKEN), has(libc::EPOLLOUT | BROKEN)))
    }
}

#[cfg(has_kqueue)]
mod system {
    use std::ptr;

    use super::{AsRawFd, Interest, OwnedFd, RawFd, io, owned};

    pub(super) fn create() -> io::Result<OwnedFd> {
        // SAFETY: there are no pointers.
        let registry = owned(unsafe { libc::kqueue() })?;
        // SAFETY: the descriptor is ours.
        unsafe { libc::fcntl(registry.as_raw_fd(), libc::F_SETFD, libc::FD_CLOEXEC) };
        Ok(registry)
    }

    /// Enters the descriptor; entering it twice changes nothing.
    pub(super) fn enter(
        registry: &impl AsRawFd,
        fd: RawFd,
        interest: Interest,
        _is_new: bool,
    ) -> io::Result<()> {
        for (is_wanted, filter) in
            [(interest.read(), libc::EVFILT_READ), (interest.write(), libc::EVFILT_WRITE)]
        {
            if !is_wanted {
                continue;
            }
            // SAFETY: all zeroes is a valid event.
            let mut event: libc::kevent = unsafe { std::mem::zeroed() };
            event.ident = usize::try_from(fd).unwrap_or(usize::MAX);
            event.filter = filter;
            event.flags = libc::EV_ADD;
            let fd = registry.as_raw_fd();
            // SAFETY: one change, no room for reports.
            let done =
                unsafe { libc::kevent(fd, &raw const event, 1, ptr::null_mut(), 0, ptr::null()) };
            if done != 0 {
                return Err(io::Error::last_os_error());
            }
        }
        Ok(())
    }

    /// kqueue takes regular files, too.
    pub(super) fn is_plain_file(_error: &io::Error) -> bool {
        false
    }

    /// What is ready in it: reading, writing.
    pub(super) fn reports(registry: &impl AsRawFd) -> io::Result<(bool, bool)> {
        // SAFETY: all zeroes is a valid event.
        let mut events: [libc::kevent; 2] = unsafe { std::mem::zeroed() };
        let now = libc::timespec { tv_sec: 0, tv_nsec: 0 };
        let fd = registry.as_raw_fd();
        // SAFETY: no changes, room for two reports; the time is valid for the call.
        let count =
            unsafe { libc::kevent(fd, ptr::null(), 0, events.as_mut_ptr(), 2, &raw const now) };
        let count = usize::try_from(count).map_err(|_| io::Error::last_os_error())?;
        let has = |filter| events.iter().take(count).any(|event| event.filter == filter);
        Ok((has(libc::EVFILT_READ), has(libc::EVFILT_WRITE)))
    }
}

use system::{create, enter, is_plain_file, reports};

/// Whether it can be read, and written.
pub(super) fn ready(registry: &Socket, fd: RawFd, interest: Interest) -> io::Result<(bool, bool)> {
    // Who has closed it must hear so, even if a duplicate keeps it going.
    enter(registry, fd, interest, false)?;
    let (readable, writable) = reports(registry)?;
    Ok((readable && interest.read(), writable && interest.write()))
}
