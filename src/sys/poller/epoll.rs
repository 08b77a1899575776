//! The wait under Linux: straight on the descriptor of the registry's epoll.
//!
//! Not here: the registry (`mod.rs`). A signal ends the wait, and one that comes before it does so,
//! too, where signals were held back since the look for it.
#![allow(unsafe_code)]

use std::os::fd::{AsFd, AsRawFd, RawFd};
use std::ptr;
use std::sync::atomic::{AtomicBool, Ordering};

use super::{Call, Duration, Ending, HeldSignals, Poller, Readiness, Waited, fault, io};
use crate::limits;
use crate::sys::process;

/// What keeps the registry.
pub(super) type Registry = polling::Poller;

/// The buffer of a wait.
pub struct Reports {
    raw: Vec<libc::epoll_event>,
}

impl Default for Reports {
    fn default() -> Self {
        Self { raw: vec![libc::epoll_event { events: 0, u64: 0 }; limits::POLL_BATCH] }
    }
}

/// Bytes of the kernel's signal sets. A `size_t`: of an `int` the upper half of the argument
/// would be left to chance, and the call be refused.
const KERNEL_SET: libc::size_t = 8;

/// Set once the kernel has said that it lacks `epoll_pwait2` (before 5.11, or valgrind).
static COARSE: AtomicBool = AtomicBool::new(false);

impl Poller {
    /// Before the script's thread looks for signals that came: the result is for the wait after
    /// that. The second part is how long that wait may be where a signal may not end it.
    #[must_use]
    pub fn hold_signals() -> (Option<HeldSignals>, Option<Duration>) {
        (Some(process::hold_signals()), None)
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
        held: Option<&HeldSignals>,
    ) -> io::Result<Waited> {
        let mask = held.map_or(ptr::null(), |held| ptr::from_ref(held.outside()));
        let fd = self.inner.as_fd().as_raw_fd();
        let waited = fault::before(Call::EpollWait);
        let count = match waited.and_then(|()| fine(fd, &mut reports.raw, timeout, mask)) {
            Err(error) if error.raw_os_error() == Some(libc::ENOSYS) => {
                COARSE.store(true, Ordering::Relaxed);
                coarse(fd, &mut reports.raw, timeout, mask)
            }
            count => count,
        };
        let count = match count {
            Ok(count) => count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {
                return Ok(Waited::Interrupted);
            }
            Err(error) => return Err(error),
        };
        ready.extend(reports.raw.iter().take(count).filter_map(report));
        Ok(Waited::Done)
    }
}

fn report(event: &libc::epoll_event) -> Option<Readiness> {
    const BROKEN: libc::c_int = libc::EPOLLERR | libc::EPOLLHUP;
    let has = |flags: libc::c_int| event.events & flags.cast_unsigned() != 0;
    Some(Readiness {
        key: usize::try_from(event.u64).ok()?,
        readable: has(libc::EPOLLIN | libc::EPOLLRDHUP | BROKEN),
        writable: has(libc::EPOLLOUT | BROKEN),
        ending: Ending::hung_up(has(BROKEN)),
    })
}

fn fine(
    fd: RawFd,
    events: &mut [libc::epoll_event],
    timeout: Option<Duration>,
    mask: *const libc::sigset_t,
) -> io::Result<usize> {
    if COARSE.load(Ordering::Relaxed) || timeout == Some(Duration::ZERO) {
        return coarse(fd, events, timeout, mask);
    }
    let limit = timeout.map(|timeout| libc::timespec {
        tv_sec: libc::time_t::try_from(timeout.as_secs()).unwrap_or(libc::time_t::MAX),
        tv_nsec: libc::c_long::from(timeout.subsec_nanos().cast_signed()),
    });
    let limit = limit.as_ref().map_or(ptr::null(), ptr::from_ref);
    let length = libc::c_int::try_from(events.len()).unwrap_or(libc::c_int::MAX);
    // SAFETY: the buffer has `length` places, `limit` and `mask` are null or valid for the
    // call, and a null mask leaves the signal mask alone.
    let count = unsafe {
        libc::syscall(
            libc::SYS_epoll_pwait2,
            fd,
            events.as_mut_ptr(),
            length,
            limit,
            mask,
            KERNEL_SET,
        )
    };
    usize::try_from(count).map_err(|_| io::Error::last_os_error())
}

fn coarse(
    fd: RawFd,
    events: &mut [libc::epoll_event],
    timeout: Option<Duration>,
    mask: *const libc::sigset_t,
) -> io::Result<usize> {
    // Rounded up: a timer must never fire early.
    let millis = timeout.map_or(-1, |timeout| {
        let millis = timeout.as_nanos().div_ceil(1_000_000);
        libc::c_int::try_from(millis).unwrap_or(libc::c_int::MAX)
    });
    let length = libc::c_int::try_from(events.len()).unwrap_or(libc::c_int::MAX);
    // SAFETY: the buffer has `length` places; the mask is null or valid for the call.
    let count = unsafe { libc::epoll_pwait(fd, events.as_mut_ptr(), length, millis, mask) };
    usize::try_from(count).map_err(|_| io::Error::last_os_error())
}
