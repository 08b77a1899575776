//! Floor 4: leader and follower. One [`Reactor`] per Lua state, with one thread.
//!
//! Not here: Lua, and what sources do (`net`). Invariant: no lock is held when a call returns.

pub mod lead;
mod leader;
mod thread;

use std::cell::Cell;
use std::sync::atomic::Ordering;
use std::sync::{Condvar, Mutex as StdMutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crate::error::{Error, Result};
use crate::limits;
use crate::net::hub::Hub;
use crate::net::panic::{catch_panic, internal_error};
use crate::net::trace::Trace;
use crate::proto::spin::Pace;
use crate::reactor::lead::Lead;
use crate::reactor::leader::Leader;
use crate::reactor::thread::Shared;
use crate::sync::Arc;
pub use crate::sys::Descriptor;
#[cfg(feature = "fault")]
pub use crate::sys::fault;
use crate::sys::poller::Waited;
use crate::sys::process;
pub use crate::sys::process::{fork_generation, settle_in};
pub use crate::sys::stderr::say;

/// The reactor of one Lua state.
#[derive(Debug)]
pub struct Reactor {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
    forks: u32,
    pace: Cell<Pace>,
}

impl Reactor {
    /// Starts the thread.
    ///
    /// # Errors
    /// The system has no descriptor or thread left.
    pub fn start(trace: Arc<Trace>) -> Result<Self> {
        catch_panic(|| Self::begin(trace)).unwrap_or_else(|| Err(internal_error("start")))
    }

    fn begin(trace: Arc<Trace>) -> Result<Self> {
        process::settle_in();
        let hub = Arc::new(Hub::new(trace)?);
        let lead = Lead::new(Leader::default(), limits::WATCH);
        let done = StdMutex::new(false);
        let shared = Arc::new(Shared { hub, lead, done, gone: Condvar::new() });
        let theirs = Arc::clone(&shared);
        let thread = process::spawn("evsock", move || thread::run(&theirs))
            .map_err(|error| Error::os("start", &error))?;
        Ok(Self {
            shared,
            thread: Some(thread),
            forks: fork_generation(),
            pace: Cell::new(Pace::new(Instant::now())),
        })
    }

    /// What the sources share.
    #[must_use]
    pub fn hub(&self) -> &Arc<Hub> {
        &self.shared.hub
    }

    /// Whether this process is a child of the one that started the reactor.
    #[must_use]
    pub fn is_forked(&self) -> bool {
        self.forks != fork_generation()
    }

    /// Leads until there is an event, the time is up or a signal came; whether it was a signal.
    /// `interrupted` tells of signals that came while it was awake.
    pub fn wait(
        &self,
        now: Instant,
        deadline: Instant,
        spin: Duration,
        interrupted: &dyn Fn() -> bool,
    ) -> bool {
        self.wait_until(&|| self.shared.hub.waiting() > 0, now, deadline, spin, interrupted)
    }

    /// Leads until something is so. It is asked after each report, while it leads, and may take
    /// the lock of a source.
    pub fn wait_until(
        &self,
        is_so: &dyn Fn() -> bool,
        now: Instant,
        deadline: Instant,
        spin: Duration,
        interrupted: &dyn Fn() -> bool,
    ) -> bool {
        let shared = &*self.shared;
        let mut leader = shared.lead.enter(|| shared.hub.wake.wake());
        leader.begin_wait(now, spin);
        // Whatever the thread pushed before it gave the lead away is in the queue now.
        let waited = catch_panic(|| {
            let mut now = now;
            while !is_so() {
                let waited = leader.poll(&shared.hub, now, Some(deadline), Some(interrupted));
                if waited == Waited::Interrupted {
                    return true;
                }
                if is_so() {
                    break;
                }
                now = Instant::now();
                if now >= deadline {
                    break;
                }
            }
            false
        });
        shared.lead.leave(leader);
        self.survive(waited).unwrap_or_default()
    }

    /// After a fault outside of any source what the leader had been woken for is looked at again;
    /// the pause keeps a fault that stays from spinning.
    fn survive<T>(&self, result: Option<T>) -> Option<T> {
        if result.is_none() {
            self.shared.hub.wake.wake();
            std::thread::sleep(limits::FAULT_PAUSE);
        }
        result
    }

    /// The descriptor for foreign loops; from now on the thread leads while the script does not.
    ///
    /// # Errors
    /// Out of descriptors.
    pub fn bell(&self) -> Result<Descriptor> {
        let fd = self.shared.hub.bell()?;
        self.shared.lead.set_always_on();
        Ok(fd)
    }

    /// One poll, unless the thread polls anyway. Never waits.
    pub fn poll_now(&self) {
        if self.shared.lead.is_always_on() {
            return; // the lead taken for a moment would put the thread to sleep
        }
        if let Some(mut leader) = self.shared.lead.try_enter() {
            let polled = catch_panic(|| leader.poll_now(&self.shared.hub));
            drop(leader);
            self.survive(polled);
        }
    }

    /// A pump has found work without polling: the thread leaves what comes to the next ones. So
    /// that sockets are heard of all the same, a pump looks itself if nobody has since the last.
    pub fn on_pump(&self) {
        if self.paced(Pace::found_work) {
            self.poll_now();
        } else {
            self.shared.lead.on_pump();
        }
    }

    /// Now and then while a pump dispatches: as long as it gets on, the thread leaves the lead to the
    /// script, which then looks itself. Otherwise the thread would fetch from thousands of sockets
    /// while the events of thousands are handled, one arrival a wake-up, and each pump find as much
    /// work as the last.
    pub fn yield_if_idle(&self) {
        if self.is_forked() {
            return; // a handler may have forked, and the poller is the parent's
        }
        self.shared.lead.on_pump();
        let now = Instant::now();
        if self.paced(|pace, polls| pace.dispatches(polls, now)) {
            leader::fire_due(&self.shared.hub, self.shared.hub.clock.at(now));
            self.poll_now();
        }
    }

    fn paced(&self, ask: impl FnOnce(&mut Pace, u32) -> bool) -> bool {
        let mut pace = self.pace.get();
        let polls = self.shared.hub.polls.load(Ordering::Relaxed); // a hint only
        let polls_itself = ask(&mut pace, polls);
        self.pace.set(pace);
        polls_itself
    }

    /// Fires the timers that are due, whoever leads: a pump never misses one. `now` is of the system's clock.
    pub fn fire_due(&self, now: Instant) {
        leader::fire_due(&self.shared.hub, self.shared.hub.clock.at(now));
    }
}

impl Drop for Reactor {
    fn drop(&mut self) {
        if self.is_forked() {
            // The thread exists in the parent only, and the epoll registrations are the parent's.
            return;
        }
        self.shared.lead.stop(|| self.shared.hub.wake.wake());
        let done = self.shared.done.lock().unwrap_or_else(PoisonError::into_inner);
        let waited = self.shared.gone.wait_timeout_while(done, limits::JOIN_TIMEOUT, |d| !*d);
        let ended = *waited.unwrap_or_else(PoisonError::into_inner).0;
        if let Some(thread) = self.thread.take().filter(|_| ended) {
            let _ = thread.join();
        }
        for source in self.shared.hub.drain_sources() {
            source.shut_down(&self.shared.hub);
        }
    }
}
