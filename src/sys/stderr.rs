//! The process's stderr, for a line that nobody has asked for, and files that lines are appended to.
//!
//! Not here: what it says, and how often (`lua/run/unhandled.lua`, `net::trace`). Invariants: no write waits, ends the
//! process or fails; what is no stderr is left alone: where it was closed before this library was
//! loaded, its number may be anybody's.
#![allow(unsafe_code)]

use std::fs::{File, OpenOptions};
use std::io;

use crate::sys::path::file;

#[cfg(unix)]
mod system {
    use std::io;
    use std::mem::MaybeUninit;
    use std::ptr;
    use std::sync::OnceLock;

    const STDERR: libc::c_int = libc::STDERR_FILENO;

    /// What it was when this library was loaded; nothing if it was closed.
    static BEGINNING: OnceLock<Option<Place>> = OnceLock::new();

    /// Which file it is.
    #[derive(Debug, Eq, PartialEq)]
    struct Place {
        device: libc::dev_t,
        number: libc::ino_t,
        kind: libc::mode_t,
    }

    fn look() -> Option<Place> {
        let mut facts = MaybeUninit::<libc::stat>::zeroed();
        // SAFETY: the result is written to `facts`.
        if unsafe { libc::fstat(STDERR, facts.as_mut_ptr()) } != 0 {
            return None;
        }
        // SAFETY: zeroed memory is a valid `stat`, and the call has filled it in.
        let facts = unsafe { facts.assume_init() };
        let kind = facts.st_mode & libc::S_IFMT;
        Some(Place { device: facts.st_dev, number: facts.st_ino, kind })
    }

    /// Looks what it is, once.
    pub fn remember() {
        BEGINNING.get_or_init(look);
    }

    /// Whether it is stderr still, or was led elsewhere since: to nothing that could be a descriptor
    /// of ours.
    fn is_stderr() -> bool {
        let (Some(Some(beginning)), Some(now)) = (BEGINNING.get(), look()) else { return false };
        let is_file = matches!(now.kind, libc::S_IFREG | libc::S_IFCHR | libc::S_IFIFO);
        is_file || now == *beginning
    }

    /// Whether a line would go out at once.
    fn has_room(fd: libc::c_int) -> bool {
        let mut wanted = libc::pollfd { fd, events: libc::POLLOUT, revents: 0 };
        // SAFETY: one entry, valid for the call, which doesn't wait.
        let polled = unsafe { libc::poll(&raw mut wanted, 1, 0) };
        polled == 1 && wanted.revents & libc::POLLOUT != 0 && wanted.revents & libc::POLLERR == 0
    }

    fn is_pending() -> bool {
        let mut pending = MaybeUninit::<libc::sigset_t>::zeroed();
        // SAFETY: writes the set.
        if unsafe { libc::sigpending(pending.as_mut_ptr()) } != 0 {
            return false;
        }
        // SAFETY: the call has filled it in.
        unsafe { libc::sigismember(pending.as_ptr(), libc::SIGPIPE) == 1 }
    }

    fn write(fd: libc::c_int, line: &[u8]) -> io::Result<()> {
        // SAFETY: the slice is valid for its length.
        let written = unsafe { libc::write(fd, line.as_ptr().cast(), line.len()) };
        if written < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
    }

    /// Writes a line to stderr, unless it would have to wait. Whether it did.
    pub fn say(line: &[u8]) -> bool {
        is_stderr() && say_to(STDERR, line).is_ok()
    }

    /// The same to any descriptor. A pipe has room for a line of 4 KiB when it has any.
    pub(super) fn say_to(fd: libc::c_int, line: &[u8]) -> io::Result<()> {
        if !has_room(fd) {
            return Err(io::Error::from_raw_os_error(libc::EAGAIN));
        }
        // Whoever reads may go away in between: that signal would end a process which knows nothing
        // of it. It comes to this thread, and is taken from it.
        let mut broken = MaybeUninit::<libc::sigset_t>::zeroed();
        let mut before = MaybeUninit::<libc::sigset_t>::zeroed();
        // SAFETY: writes the set.
        unsafe { libc::sigemptyset(broken.as_mut_ptr()) };
        // SAFETY: the set was emptied above.
        unsafe { libc::sigaddset(broken.as_mut_ptr(), libc::SIGPIPE) };
        // SAFETY: `broken` was filled in above; `before` receives the mask of this thread.
        unsafe { libc::pthread_sigmask(libc::SIG_BLOCK, broken.as_ptr(), before.as_mut_ptr()) };
        let was_pending = is_pending();
        let written = write(fd, line);
        let is_broken =
            written.as_ref().is_err_and(|error| error.raw_os_error() == Some(libc::EPIPE));
        if is_broken && !was_pending && is_pending() {
            let mut signal = 0;
            // SAFETY: the set was filled in above, and the signal in it is pending.
            unsafe { libc::sigwait(broken.as_ptr(), &raw mut signal) };
        }
        // SAFETY: `before` was filled in above.
        unsafe { libc::pthread_sigmask(libc::SIG_SETMASK, before.as_ptr(), ptr::null_mut()) };
        written
    }
}

#[cfg(not(unix))]
mod system {
    use std::io::Write;

    /// There is nothing to be remembered.
    pub fn remember() {}

    /// Writes a line; what goes wrong is nobody's business.
    pub fn say(line: &[u8]) -> bool {
        std::io::stderr().write_all(line).is_ok()
    }
}

/// A file that lines are appended to. One whose reader does not read (a FIFO) is not waited for.
#[derive(Debug)]
pub struct LineFile(File);

impl LineFile {
    /// Opens it, and makes it where there is none.
    ///
    /// # Errors
    /// What the system says.
    pub fn open(path: &[u8]) -> io::Result<Self> {
        Self::open_as(path, OpenOptions::new())
    }

    /// The same; one that is made is for its owner alone, where the system knows owners.
    ///
    /// # Errors
    /// What the system says.
    pub fn open_private(path: &[u8]) -> io::Result<Self> {
        #[cfg_attr(not(unix), expect(unused_mut, reason = "set below"))]
        let mut how = OpenOptions::new();
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut how, 0o600);
        Self::open_as(path, how)
    }

    fn open_as(path: &[u8], mut how: OpenOptions) -> io::Result<Self> {
        how.append(true).create(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::custom_flags(
            &mut how,
            libc::O_NONBLOCK | libc::O_NOCTTY,
        );
        Ok(Self(how.open(file(path)?)?))
    }

    /// Whether the line was written.
    pub fn write(&self, line: &[u8]) -> bool {
        self.try_write(line).is_ok()
    }

    /// Writes a line.
    ///
    /// # Errors
    /// What the system says.
    pub fn try_write(&self, line: &[u8]) -> io::Result<()> {
        #[cfg(unix)]
        return system::say_to(std::os::fd::AsRawFd::as_raw_fd(&self.0), line);
        #[cfg(not(unix))]
        return std::io::Write::write_all(&mut &self.0, line);
    }
}

pub use system::{remember, say};
