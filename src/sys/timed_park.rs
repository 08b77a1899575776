//! A timed park: the sleep of one thread that another ends: now, or at a time that it sets without waking anybody.
//!
//! Not here: who sleeps and why; that is `reactor::lead`. Linux alone has such a thing (a timerfd):
//! elsewhere there is none, and the caller does without. Invariant: an end that came before the
//! sleep ends it at once; the latest that was set counts.
#![allow(unsafe_code)]

use std::time::Duration;

#[cfg(any(target_os = "linux", target_os = "android"))]
mod system {
    use std::io;
    use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
    use std::ptr;

    use super::Duration;
    use crate::sys::fault::{self, Call};

    /// How late an end may be heard of where there are no descriptors any more.
    const PAUSE: Duration = Duration::from_millis(20);

    /// The clock.
    #[derive(Debug)]
    pub struct TimedPark {
        clock: OwnedFd,
    }

    impl TimedPark {
        /// Nobody sleeps yet; `None` where the system has none left.
        #[must_use]
        pub fn new() -> Option<Self> {
            fault::before(Call::ClockCreate).ok()?;
            let flags = libc::TFD_CLOEXEC | libc::TFD_NONBLOCK;
            // SAFETY: takes no pointers.
            let fd = unsafe { libc::timerfd_create(libc::CLOCK_MONOTONIC, flags) };
            // SAFETY: the descriptor is new and ours alone.
            (fd >= 0).then(|| Self { clock: unsafe { OwnedFd::from_raw_fd(fd) } })
        }

        /// The sleep ends after that time. Whether that could be set.
        pub fn end_in(&self, time: Duration) -> bool {
            let zero = libc::timespec { tv_sec: 0, tv_nsec: 0 };
            let it_value = libc::timespec {
                tv_sec: libc::time_t::try_from(time.as_secs()).unwrap_or(libc::time_t::MAX),
                // Zero would mean never.
                tv_nsec: libc::c_long::from(time.subsec_nanos().max(1).cast_signed()),
            };
            let end = libc::itimerspec { it_interval: zero, it_value };
            let (clock, end) = (self.clock.as_raw_fd(), ptr::from_ref(&end));
            // SAFETY: `end` is valid for the call, and what was set before is not asked for.
            unsafe { libc::timerfd_settime(clock, 0, end, ptr::null_mut()) == 0 }
        }

        /// Sleeps until an end, or for so long at most. May end early.
        pub fn sleep(&self, most: Option<Duration>) {
            let most = most.map_or(-1, |most| {
                let millis = most.as_nanos().div_ceil(1_000_000);
                libc::c_int::try_from(millis).unwrap_or(libc::c_int::MAX)
            });
            let clock = self.clock.as_raw_fd();
            let mut wanted = libc::pollfd { fd: clock, events: libc::POLLIN, revents: 0 };
            // SAFETY: `wanted` is one entry, and valid for the call.
            let polled = unsafe { libc::poll(&raw mut wanted, 1, most) };
            let signal = || io::Error::last_os_error().kind() == io::ErrorKind::Interrupted;
            if wanted.revents & libc::POLLNVAL != 0 || polled < 0 && !signal() {
                // Without descriptors (a limit of none, or somebody closed it) it is no clock.
                std::thread::sleep(PAUSE);
            } else if polled > 0 {
                let mut ends = [0_u8; 8];
                // SAFETY: the buffer is as long as said.
                let _ = unsafe { libc::read(clock, ends.as_mut_ptr().cast(), ends.len()) };
            }
        }
    }
}

#[cfg(not(any(target_os = "linux", target_os = "android")))]
mod system {
    use super::Duration;

    /// There is none.
    #[derive(Debug)]
    pub enum TimedPark {}

    impl TimedPark {
        /// Nothing.
        #[must_use]
        pub fn new() -> Option<Self> {
            None
        }

        /// Never called.
        pub fn end_in(&self, _time: Duration) -> bool {
            match *self {}
        }

        /// Never called.
        pub fn sleep(&self, _most: Option<Duration>) {
            match *self {}
        }
    }
}

pub use system::TimedPark;
