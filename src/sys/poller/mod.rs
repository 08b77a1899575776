//! Who is ready: the registry of descriptors and the wait.
//!
//! The crate `polling` keeps the registry, in level mode. The wait is a file for each kind of
//! system: `epoll` and `kqueue` wait on the registry's descriptor themselves, because
//! `polling::Poller::wait` takes five system calls and swallows EINTR, so Ctrl-C would have to wait
//! for the time-out; `windows` has no signals; `poll` is for what is left, and for
//! `--cfg polling_test_poll_backend`.
//! Invariant: nothing is registered without an interest, because the system reports hang-ups
//! whether asked or not, and a source that cannot act on them would make the wait spin.
#![allow(unsafe_code)]

use std::io;
use std::time::Duration;

use polling::{Event, PollMode};
use socket2::Socket;

use super::fault::{self, Call};
pub use super::process::HeldSignals;
use super::wake::Wake;

#[cfg(all(target_os = "linux", not(polling_test_poll_backend)))]
#[path = "epoll.rs"]
mod wait;
#[cfg(all(has_kqueue, not(polling_test_poll_backend)))]
#[path = "kqueue.rs"]
mod wait;
#[cfg(windows)]
#[path = "windows.rs"]
mod wait;
#[cfg(not(any(
    windows,
    all(any(target_os = "linux", has_kqueue), not(polling_test_poll_backend))
)))]
#[path = "poll.rs"]
mod wait;

pub use wait::Reports;

/// The key of the descriptor that wakes the leader; `usize::MAX` belongs to `polling`.
pub const WAKE_KEY: usize = usize::MAX - 1;

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
    /// Whether the connection is over.
    pub ending: Ending,
}

/// What a report says of the end of a connection.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Ending {
    /// Nothing.
    Unsaid,
    /// Nothing more can come than the system holds.
    HungUp,
    /// Likewise, because the peer has reset it. Windows alone says so here, and Wine says it nowhere
    /// else: reading calls it an end of stream there.
    Reset,
}

impl Ending {
    /// Whether it is over, if that is all that is known.
    fn hung_up(is_over: bool) -> Self {
        if is_over { Self::HungUp } else { Self::Unsaid }
    }
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
    inner: wait::Registry,
}

impl Poller {
    /// A registry with nothing in it.
    ///
    /// # Errors
    /// Out of descriptors.
    pub fn new() -> io::Result<Self> {
        fault::before(Call::EpollCreate)?;
        Ok(Self { inner: wait::Registry::new()? })
    }

    /// Moves a source's registration from one interest to another.
    ///
    /// # Errors
    /// What the system says; adding can run out of memory.
    pub(super) fn change(
        &self,
        socket: &Socket,
        key: usize,
        from: Interest,
        to: Interest,
    ) -> io::Result<()> {
        let mut event = Event::new(key, to.read(), to.write());
        // Some systems report it only to whom has asked.
        event.set_interrupt(to.hang_up());
        match (from == Interest::NONE, to == Interest::NONE) {
            _ if from == to => Ok(()),
            (true, _) => {
                fault::before(Call::EpollAdd)?;
                // SAFETY: a `Registered` is closed, which calls `change(…, NONE)`, before its socket is.
                let added = unsafe { self.inner.add_with_mode(socket, event, PollMode::Level) };
                if added.is_err() {
                    // Some systems' registries keep what could not be added.
                    let _ = self.inner.delete(socket);
                }
                added
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

    /// What ends a wait of this registry.
    ///
    /// # Errors
    /// Out of descriptors.
    #[cfg(unix)]
    pub fn waker(&self) -> io::Result<Wake> {
        let wake = Wake::new()?;
        fault::before(Call::EpollAdd)?;
        let event = Event::readable(WAKE_KEY);
        // SAFETY: the wake descriptor lives as long as the poller: both are fields of one owner.
        unsafe { self.inner.add_with_mode(wake.fd(), event, PollMode::Level)? };
        Ok(wake)
    }
}

impl std::fmt::Debug for Reports {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Reports")
    }
}

/// Makes one report of those of one key, from the place `from` on: kqueue tells of reading and of
/// writing apart, and one busy connection must not be taken for two.
#[cfg(any(test, has_kqueue))]
fn merge(ready: &mut Vec<Readiness>, from: usize) {
    if ready.len() < from + 2 {
        return;
    }
    let mut places = std::collections::HashMap::new();
    for report in ready.split_off(from) {
        let place = *places.entry(report.key).or_insert(ready.len());
        match ready.get_mut(place) {
            Some(first) => {
                first.readable |= report.readable;
                first.writable |= report.writable;
                first.ending = first.ending.max(report.ending);
            }
            None => ready.push(report),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_reports_of_one_descriptor_are_one() {
        let report = |key, readable| Readiness {
            key,
            readable,
            writable: !readable,
            ending: Ending::hung_up(!readable),
        };
        let mut ready = vec![report(7, true)];
        ready.extend([report(1, true), report(2, false), report(1, false), report(7, true)]);
        merge(&mut ready, 1);
        let seen: Vec<_> =
            ready.iter().map(|it| (it.key, it.readable, it.writable, it.ending)).collect();
        // What stood before stays as it was.
        let wanted = [
            (7, true, false, Ending::Unsaid),
            (1, true, true, Ending::HungUp),
            (2, false, true, Ending::HungUp),
            (7, true, false, Ending::Unsaid),
        ];
        assert_eq!(seen, wanted);
    }
}
