//! The process's stderr, for a line that nobody has asked for.
//!
//! Not here: what it says, and how often (`lua/unheard.lua`). Invariants: no write waits, ends the
//! process or fails; what is no stderr is left alone: where it was closed before this library was
//! loaded, its number may be anybody's.
#![allow(unsafe_code)]

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
    fn has_room() -> bool {
        let mut wanted = libc::pollfd { fd: STDERR, events: libc::POLLOUT, revents: 0 };
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

    fn write(line: &[u8]) -> bool {
        // SAFETY: the slice is valid for its length.
        let written = unsafe { libc::write(STDERR, line.as_ptr().cast(), line.len()) };
        written >= 0 || io::Error::last_os_error().raw_os_error() != Some(libc::EPIPE)
    }

    /// Writes a line, unless it would have to wait.
    pub fn say(line: &[u8]) {
        if !is_stderr() || !has_room() {
            return;
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
        if !write(line) && !was_pending && is_pending() {
            let mut signal = 0;
            // SAFETY: the set was filled in above, and the signal in it is pending.
            unsafe { libc::sigwait(broken.as_ptr(), &raw mut signal) };
        }
        // SAFETY: `before` was filled in above.
        unsafe { libc::pthread_sigmask(libc::SIG_SETMASK, before.as_ptr(), ptr::null_mut()) };
    }
}

#[cfg(not(unix))]
mod system {
    use std::io::Write;

    /// There is nothing to be remembered.
    pub fn remember() {}

    /// Writes a line; what goes wrong is nobody's business.
    pub fn say(line: &[u8]) {
        drop(std::io::stderr().write_all(line));
    }
}

pub use system::{remember, say};
