//! The lead: who may poll, and how it passes between the script's thread and ours.
//!
//! Whoever holds the lock polls. A script that waits takes the lead, so that nothing has to be
//! handed between threads; while it computes, the thread leads. The thread sleeps in one of two
//! ways: parked, while the script is inside a waiting pump; or watching, for 5 ms at a time, while
//! the script has only just left one and will probably be back. Where a sleep can be given an end
//! from outside (`sys::timed_park`), a parked thread is not woken to begin to watch.
//! Not here: what polling does. Checked by models in `spec/rust/loom_lead.rs`.
//!
//! Orderings: the thread writes PARKED and then reads `lua_in`; the script clears `lua_in` and then
//! reads `state`. "I write mine, then read yours" on both sides needs a `SeqCst` fence between the
//! two on both sides, or both could miss the other's write and the thread would park with nobody to
//! wake it. `want` and `stop` are followed by a kick, whose system call orders them (in the models:
//! a mutex), so Release and Acquire suffice.

use std::time::Duration;

use crate::sync::exclusive::{Exclusive, Guard};
use crate::sync::{AtomicBool, AtomicU8, AtomicU32, Mutex, Ordering, fence, lock};
#[cfg(not(loom))]
use crate::sys::timed_park::TimedPark;

const WATCHING: u8 = 0;
const PARKED: u8 = 1;

/// Sleeping until told otherwise; a call that came before is not lost.
#[derive(Debug)]
pub struct Parker {
    /// What is slept on where the system has it; the rest is not used then.
    #[cfg(not(loom))]
    timed_park: Option<TimedPark>,
    called: Mutex<bool>,
    #[cfg(not(loom))]
    bell: std::sync::Condvar,
    #[cfg(loom)]
    bell: loom::sync::Condvar,
}

impl Parker {
    fn new() -> Self {
        #[cfg(not(loom))]
        let bell = std::sync::Condvar::new();
        #[cfg(loom)]
        let bell = loom::sync::Condvar::new();
        Self {
            #[cfg(not(loom))]
            timed_park: TimedPark::new(),
            called: Mutex::new(false),
            bell,
        }
    }

    fn park(&self) {
        #[cfg(not(loom))]
        if let Some(timed_park) = &self.timed_park {
            return timed_park.sleep(None);
        }
        let mut called = lock(&self.called);
        while !*called {
            called = self.bell.wait(called).unwrap_or_else(std::sync::PoisonError::into_inner);
        }
        *called = false;
    }

    #[cfg(not(loom))]
    fn park_for(&self, time: Duration) {
        if let Some(timed_park) = &self.timed_park {
            return timed_park.sleep(Some(time));
        }
        let called = lock(&self.called);
        let waited = self.bell.wait_timeout_while(called, time, |called| !*called);
        *waited.unwrap_or_else(std::sync::PoisonError::into_inner).0 = false;
    }

    #[cfg(loom)]
    fn park_for(&self, _time: Duration) {
        *lock(&self.called) = false;
        loom::thread::yield_now();
    }

    fn unpark(&self) {
        #[cfg(not(loom))]
        if let Some(timed_park) = &self.timed_park {
            timed_park.end_in(Duration::ZERO);
            return;
        }
        *lock(&self.called) = true;
        self.bell.notify_one();
    }
}

#[cfg(not(loom))]
impl Parker {
    /// Ends the sleep after that time, which costs nobody a wake-up until then; false where it
    /// can't be.
    fn unpark_in(&self, time: Duration) -> bool {
        self.timed_park.as_ref().is_some_and(|timed_park| timed_park.end_in(time))
    }
}

#[cfg(loom)]
impl Parker {
    fn unpark_in(&self, _time: Duration) -> bool {
        self.unpark();
        true
    }
}

/// What the models break, one at a time, to show that they would notice.
#[cfg(loom)]
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Flaw {
    /// The script wakes the thread before it says why.
    KickBeforeWant,
    /// The thread parks without looking a second time.
    ParkUnchecked,
    /// Ending does not wake a parked thread.
    StopWithoutUnpark,
    /// Ending does not wake a polling thread.
    StopWithoutKick,
}

/// The lead lock, what belongs to whoever holds it (`T`), and the flags around it.
#[derive(Debug)]
pub struct Lead<T> {
    leader: Exclusive<T>,
    /// The script is inside a waiting pump.
    lua_in: AtomicBool,
    /// The script waits for the lock.
    want: AtomicBool,
    /// Counts the script's pumps, so that the thread can tell "just left" from "left long ago".
    epoch: AtomicU32,
    /// How many pumps there had been when the thread was last told to watch from afar.
    last_leave: AtomicU32,
    state: AtomicU8,
    stop: AtomicBool,
    parker: Parker,
    watch: Duration,
    /// A foreign loop waits for our events: no time may pass in which nobody polls. Set once and
    /// only read as a hint: until the thread sees it, it watches for one more turn.
    always_on: std::sync::atomic::AtomicBool,
    #[cfg(loom)]
    /// What is broken on purpose.
    pub flaw: Option<Flaw>,
}

/// Whether a model has broken this on purpose; nothing outside of models.
macro_rules! flawed {
    ($lead:expr, $flaw:ident) => {{
        #[cfg(loom)]
        let flawed = $lead.flaw == Some(Flaw::$flaw);
        #[cfg(not(loom))]
        let flawed = false;
        flawed
    }};
}

impl<T> Lead<T> {
    /// A free lead. `watch` is how long the thread leaves it to a script that has just pumped.
    pub fn new(leader: T, watch: Duration) -> Self {
        Self {
            leader: Exclusive::new(leader),
            lua_in: AtomicBool::new(false),
            want: AtomicBool::new(false),
            epoch: AtomicU32::new(0),
            last_leave: AtomicU32::new(0),
            state: AtomicU8::new(WATCHING),
            stop: AtomicBool::new(false),
            parker: Parker::new(),
            watch,
            always_on: std::sync::atomic::AtomicBool::new(false),
            #[cfg(loom)]
            flaw: None,
        }
    }

    /// The script's thread takes the lead; `kick` wakes the thread if it is polling.
    pub fn enter(&self, kick: impl FnOnce()) -> Guard<'_, T> {
        self.lua_in.store(true, Ordering::Release); // partner: `next_turn`, both reads
        self.epoch.fetch_add(1, Ordering::Relaxed); // a hint only
        if let Some(leader) = self.leader.try_lock() {
            return leader;
        }
        if flawed!(self, KickBeforeWant) {
            kick();
            self.want.store(true, Ordering::Release);
        } else {
            self.want.store(true, Ordering::Release); // partner: `must_yield`
            kick();
        }
        let leader = self.leader.lock();
        self.want.store(false, Ordering::Relaxed); // ordered by the lock
        leader
    }

    /// The script's thread gives the lead back.
    pub fn leave(&self, leader: Guard<'_, T>) {
        drop(leader);
        self.lua_in.store(false, Ordering::Release); // partner: the second read in `next_turn`
        fence(Ordering::SeqCst);
        if self.state.load(Ordering::Relaxed) == PARKED {
            let (taken, kept) = (Ordering::AcqRel, Ordering::Relaxed);
            if self.state.compare_exchange(PARKED, WATCHING, taken, kept).is_ok() {
                // It would only begin to watch: instead it sleeps on for as long as it would.
                self.last_leave.store(self.pumps(), Ordering::Relaxed); // a hint only
                if self.is_always_on() || !self.parker.unpark_in(self.watch) {
                    self.last_leave.store(self.pumps().wrapping_sub(1), Ordering::Relaxed);
                    self.parker.unpark();
                }
                return;
            }
        }
        if self.is_always_on() {
            self.parker.unpark(); // it may have found the lock taken, and watch
        }
    }

    /// From now on the thread leads whenever the script is not inside a waiting pump.
    pub fn set_always_on(&self) {
        self.always_on.store(true, Ordering::Relaxed);
        self.parker.unpark();
    }

    /// Whether [`Self::set_always_on`] was called.
    #[must_use]
    pub fn is_always_on(&self) -> bool {
        self.always_on.load(Ordering::Relaxed)
    }

    /// The lead, if nobody has it: for a pump that must not wait.
    pub fn try_enter(&self) -> Option<Guard<'_, T>> {
        let leader = self.leader.try_lock()?;
        self.epoch.fetch_add(1, Ordering::Relaxed);
        Some(leader)
    }

    /// Blocks the thread until it is its turn to lead; `None` when it must end. `seen`: how many
    /// pumps there had been when it last looked; after a newer one it watches first.
    pub fn next_turn(&self, mut seen: u32) -> Option<Guard<'_, T>> {
        while !self.stop.load(Ordering::Acquire) {
            if self.lua_in.load(Ordering::Acquire) {
                self.state.store(PARKED, Ordering::Release); // partner: `leave`
                fence(Ordering::SeqCst);
                // A stop after this look calls the parker, and a call is never lost.
                let still = self.lua_in.load(Ordering::Relaxed);
                if still || flawed!(self, ParkUnchecked) {
                    self.parker.park();
                    seen = self.last_leave.load(Ordering::Relaxed); // a hint only
                }
                self.state.store(WATCHING, Ordering::Release);
                continue;
            }
            let epoch = self.epoch.load(Ordering::Relaxed);
            if epoch != seen && !self.is_always_on() {
                seen = epoch;
                self.parker.park_for(self.watch);
                continue;
            }
            // Never blocking here: the script could hold the lock for a whole long wait.
            match self.leader.try_lock() {
                Some(leader) if !self.lua_in.load(Ordering::Acquire) => return Some(leader),
                Some(leader) => drop(leader),
                None => self.parker.park_for(self.watch),
            }
        }
        None
    }

    /// The script pumps and finds work without polling. A thread that goes on fetching it would be
    /// woken for every arrival, and the script never come to poll itself.
    pub fn on_pump(&self) {
        self.epoch.fetch_add(1, Ordering::Relaxed); // a hint only; partner: `must_yield`
    }

    /// How many pumps there were, for [`Self::must_yield`] and [`Self::next_turn`].
    #[must_use]
    pub fn pumps(&self) -> u32 {
        self.epoch.load(Ordering::Relaxed)
    }

    /// Whether the thread must stop polling and give the lead back: the script wants it, has
    /// pumped since it had pumped `pumps` times, or all is to end.
    #[must_use]
    pub fn must_yield(&self, pumps: u32) -> bool {
        // partners: `enter`, `stop`
        let called = self.want.load(Ordering::Acquire) || self.stop.load(Ordering::Acquire);
        called || !self.is_always_on() && self.pumps() != pumps
    }

    /// Ends the thread; `kick` wakes it if it is polling.
    pub fn stop(&self, kick: impl FnOnce()) {
        self.stop.store(true, Ordering::Release); // partners: `next_turn`, `must_yield`
        if !flawed!(self, StopWithoutKick) {
            kick();
        }
        if !flawed!(self, StopWithoutUnpark) {
            self.parker.unpark();
        }
    }
}
