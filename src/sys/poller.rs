//! Who is ready: the registry of descriptors and the wait.
//!
//! The crate `polling` keeps the registry, in level mode. On Linux the wait goes straight to its
//! epoll descriptor: `Poller::wait` takes five system calls and swallows EINTR, so Ctrl-C would
//! have to wait for the time-out. Elsewhere, and with `--cfg polling_test_poll_backend`,
//! `Poller::wait` is used.
//! Invariant: nothing is registered without an interest, because the system reports hang-ups
//! whether asked or not, and a source that cannot act on them would make the wait spin.
#![allow(unsafe_code)]

use std::io;
use std::time::Duration;

use polling::{Event, PollMode};
use socket2::Socket;

use super::fault::{self, Call};
pub use super::process::HeldSignals;

/// What a source waits for. Without any it is not registered. One byte: every connection has one.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Interest(u8);

impl Interest {
    /// Nothing.
    pub const NONE: Self = Self(0);
    /// Bytes, an end of stream or a connection to accept.
    pub const READ: Self = Self(1);
    /// Room to send, or a started connection that stands or failed.
    pub const WRITE: Self = Self(2);
    /// That nothing more can come: a reset, or both ends of stream. The system reports it with the
    /// others, too; alone it waits for nothing else.
    pub const HANG_UP: Self = Self(4);

    /// This and that, if it is so.
    #[must_use]
    pub const fn with(self, that: Self, is_so: bool) -> Self {
        if is_so { Self(self.0 | that.0) } else { self }
    }

    /// Whether [`Self::READ`] is in it.
    #[must_use]
    pub const fn read(self) -> bool {
        self.0 & Self::READ.0 != 0
    }

    /// Whether [`Self::WRITE`] is in it.
    #[must_use]
    pub const fn write(self) -> bool {
        self.0 & Self::WRITE.0 != 0
    }

    /// Whether [`Self::HANG_UP`] is in it.
    #[must_use]
    pub const fn hang_up(self) -> bool {
        self.0 & Self::HANG_UP.0 != 0
    }
}

/// One report.
#[derive(Clone, Copy, Debug)]
pub struct Readiness {
    /// The key given at registration.
    pub key: usize,
    /// Reading will not block.
    pub readable: bool,
    /// Writing will not block.
    pub writable: bool,
    /// Nothing more can come than the system holds.
    pub hung_up: bool,
}

/// How a wait ended.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Waited {
    /// With reports, or because the time was up.
    Done,
    /// By a signal: the interpreter must have a chance to handle it.
    Interrupted,
}

/// The registry.
#[derive(Debug)]
pub struct Poller {
    inner: polling::Poller,
}

impl Poller {
    /// A registry with nothing in it.
    ///
    /// # Errors
    /// Out of descriptors.
    pub fn new() -> io::Result<Self> {
        fault::before(Call::EpollCreate)?;
        Ok(Self { inner: polling::Poller::new()? })
    }

    /// Moves a source's registration from one interest to another.
    ///
    /// # Errors
    /// What the system says; adding can run out of memory.
    pub fn change(
        &self,
        socket: &Socket,
        key: usize,
        from: Interest,
        to: Interest,
    ) -> io::Result<()> {
        let event = Event::new(key, to.read(), to.write());
        match (from == Interest::NONE, to == Interest::NONE) {
            _ if from == to => Ok(()),
            (true, _) => {
                fault::before(Call::EpollAdd)?;
                // SAFETY: every owner calls `change(…, NONE)` before it drops its socket.
                unsafe { self.inner.add_with_mode(socket, event, PollMode::Level) }
            }
            (false, true) => {
                fault::before(Call::EpollDelete)?;
                self.inner.delete(socket)
            }
            (false, false) => {
                fault::before(Call::EpollModify)?;
                self.inner.modify_with_mode(socket, event, PollMode::Level)
            }
        }
    }

    /// Registers a descriptor that is always read (the wake descriptor).
    ///
    /// # Errors
    /// What the system says.
    pub fn watch(&self, wake: &super::wake::Wake, key: usize) -> io::Result<()> {
        fault::before(Call::EpollAdd)?;
        let event = Event::readable(key);
        // SAFETY: the wake descriptor lives as long as the poller: both are fields of one owner.
        unsafe { self.inner.add_with_mode(wake.fd(), event, PollMode::Level) }
    }
}

#[cfg(all(target_os = "linux", not(polling_test_poll_backend)))]
mod wait {
    use std::os::fd::{AsFd, AsRawFd, RawFd};
    use std::ptr;
    use std::sync::atomic::{AtomicBool, Ordering};

    use super::{Call, Duration, HeldSignals, Poller, Readiness, Waited, fault, io};
    use crate::limits;
    use crate::sys::process;

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
        /// Holds signals back until a wait that is handed the result; `None` where a wait cannot
        /// let them in.
        #[must_use]
        pub fn hold_signals() -> Option<HeldSignals> {
            Some(process::hold_signals())
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
            hung_up: has(BROKEN),
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
}

#[cfg(not(all(target_os = "linux", not(polling_test_poll_backend))))]
mod wait {
    use super::{Call, Duration, HeldSignals, Poller, Readiness, Waited, fault, io};

    /// The buffer of a wait.
    #[derive(Default)]
    pub struct Reports {
        events: polling::Events,
    }

    impl Poller {
        /// Nothing: this wait goes on after a signal.
        #[must_use]
        pub fn hold_signals() -> Option<HeldSignals> {
            None
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
            reports.events.clear();
            fault::before(Call::EpollWait)?;
            self.inner.wait(&mut reports.events, timeout)?;
            ready.extend(reports.events.iter().map(|event| Readiness {
                key: event.key,
                readable: event.readable,
                writable: event.writable,
                hung_up: event.is_interrupt() || event.is_err().unwrap_or_default(),
            }));
            Ok(Waited::Done)
        }
    }
}

pub use wait::Reports;

impl std::fmt::Debug for Reports {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Reports")
    }
}
