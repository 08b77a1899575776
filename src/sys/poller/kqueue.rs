//! The wait under macOS and FreeBSD: straight on the descriptor of the registry's kqueue.
//!
//! Not here: the registry (`mod.rs`). A source that waits for a hang-up alone hears of it here when it
//! reads again, since kqueue reports nothing without a filter. A signal ends the wait. It cannot be held back until then, so
//! the wait of a script's thread has an end of its own, in case that one came just before.
//! Never `polling::Poller::notify` here: polling 3.11 adds its filter anew without EV_CLEAR, and
//! every later wait returns at once.
#![allow(unsafe_code)]

use std::mem::ManuallyDrop;
use std::ops::Deref;
use std::os::fd::{AsFd, AsRawFd};
use std::ptr;

use super::{Call, Duration, Ending, HeldSignals, Poller, Readiness, Waited, fault, io, merge};
use crate::limits;
use crate::sys::process::fork_generation;

/// What keeps the registry. Its descriptor is not inherited by a forked child, where the number may
/// belong to something else: the child forgets it without closing it.
#[derive(Debug)]
pub(super) struct Registry {
    inner: ManuallyDrop<polling::Poller>,
    forks: u32,
}

impl Registry {
    pub(super) fn new() -> io::Result<Self> {
        let inner = ManuallyDrop::new(polling::Poller::new()?);
        Ok(Self { inner, forks: fork_generation() })
    }
}

impl Deref for Registry {
    type Target = polling::Poller;

    fn deref(&self) -> &polling::Poller {
        &self.inner
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        if self.forks == fork_generation() {
            // SAFETY: nothing uses it after this.
            unsafe { ManuallyDrop::drop(&mut self.inner) };
        }
    }
}

/// The buffer of a wait.
#[derive(Default)]
pub struct Reports {
    raw: Vec<libc::kevent>,
}

// SAFETY: the pointers in it are keys, which nobody follows.
unsafe impl Send for Reports {}

impl Poller {
    /// Before the script's thread looks for signals that came: the result is for the wait after
    /// that. The second part is how long that wait may be where a signal may not end it.
    #[must_use]
    pub fn hold_signals() -> (Option<HeldSignals>, Option<Duration>) {
        (None, Some(limits::LONG_SLICE))
    }

    /// Waits until a source is ready or the time is up (`None`: for ever) and appends the
    /// reports to `ready`.
    ///
    /// # Errors
    /// Only programming errors of ours.
    pub fn wait(
        &self,
        reports: &mut Reports,
        ready: &mut Vec<Readiness>,
        timeout: Option<Duration>,
        _held: Option<&HeldSignals>,
    ) -> io::Result<Waited> {
        let limit = timeout.map(|timeout| libc::timespec {
            tv_sec: libc::time_t::try_from(timeout.as_secs()).unwrap_or(libc::time_t::MAX),
            tv_nsec: libc::c_long::from(timeout.subsec_nanos().cast_signed()),
        });
        let limit = limit.as_ref().map_or(ptr::null(), ptr::from_ref);
        let raw = &mut reports.raw;
        raw.clear();
        raw.reserve(limits::POLL_BATCH);
        let most = libc::c_int::try_from(limits::POLL_BATCH).unwrap_or(libc::c_int::MAX);
        let fd = self.inner.as_fd().as_raw_fd();
        fault::before(Call::EpollWait)?;
        // SAFETY: no changes; the buffer has that many places; `limit` is null or valid for the call.
        let count = unsafe { libc::kevent(fd, ptr::null(), 0, raw.as_mut_ptr(), most, limit) };
        let Ok(count) = usize::try_from(count) else {
            let error = io::Error::last_os_error();
            let interrupted = error.kind() == io::ErrorKind::Interrupted;
            return if interrupted { Ok(Waited::Interrupted) } else { Err(error) };
        };
        // SAFETY: the system has written so many.
        unsafe { raw.set_len(count) };
        let from = ready.len();
        ready.extend(raw.iter().map(report));
        merge(ready, from);
        Ok(Waited::Done)
    }
}

fn report(event: &libc::kevent) -> Readiness {
    // Who waits to write must hear of an end that is told to readers alone.
    let ended = event.flags & libc::EV_EOF != 0;
    Readiness {
        key: event.udata.addr(),
        readable: event.filter == libc::EVFILT_READ,
        writable: event.filter == libc::EVFILT_WRITE || ended,
        // A writer hears of the end once nobody reads any more; a reader of one with an error.
        ending: Ending::hung_up(ended && (event.filter == libc::EVFILT_WRITE || event.fflags != 0)),
    }
}
