//! What is known of the clock that a test moves: who moves it, and what was seen to move meanwhile.
//!
//! Not here: the clock (`net::clock`), the moving (`settle`). Invariant: nothing here is looked at unless
//! a pump waits.

use std::cell::Cell;
use std::time::{Duration, Instant};

use crate::limits;

/// Who moves the clock.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(in crate::lua) enum Mode {
    /// It goes by itself.
    #[default]
    Real,
    /// It stands until the test moves it.
    Held,
    /// Waits move it when nothing else is to do.
    Auto,
}

/// The clock of a test.
#[derive(Debug)]
pub(in crate::lua) struct TestClock {
    pub(in crate::lua) mode: Cell<Mode>,
    /// How long peers elsewhere have to answer, in real time.
    pub(in crate::lua) grace: Cell<Duration>,
    /// What was unsettled when last a whole grace had passed in which nothing came.
    pub(in crate::lua) seen: Cell<u64>,
    /// Since when, in real time, the clock stands where it does, and what had moved then.
    pub(in crate::lua) since: Cell<Option<Instant>>,
    pub(in crate::lua) total: Cell<u64>,
    /// How often in a row there was work and nothing had moved.
    pub(in crate::lua) rounds: Cell<u32>,
    /// What `settle::wait_now` was when the mode last changed, and how far the clock was that it goes by since.
    pub(in crate::lua) waited: Cell<Duration>,
    pub(in crate::lua) waited_since: Cell<Duration>,
}

impl Default for TestClock {
    fn default() -> Self {
        Self {
            mode: Cell::default(),
            grace: Cell::new(limits::GRACE),
            seen: Cell::default(),
            since: Cell::default(),
            total: Cell::default(),
            rounds: Cell::default(),
            waited: Cell::default(),
            waited_since: Cell::default(),
        }
    }
}

impl TestClock {
    /// The clock has moved.
    pub(in crate::lua) fn begin_moment(&self) {
        self.since.set(None);
        self.rounds.set(0);
    }
}
