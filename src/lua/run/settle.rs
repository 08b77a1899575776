//! Waits under the clock of a test: what is under way comes first, then the clock leaps.
//!
//! Not here: what may be under way (`net::motion`), the dispatch of what came (`pump`). Invariant: every wait
//! here has a bound in real time.

use std::time::{Duration, Instant};

use crate::limits;
use crate::lua::run::state::{State, whole_steps};
use crate::lua::run::test_clock::Mode;
use crate::net::motion::Stir;
use crate::reactor::Reactor;

/// How long a pump waits.
#[derive(Clone, Copy, Debug)]
pub(in crate::lua) struct Wait {
    /// The system's clock now, and when by it the wait ends.
    pub(in crate::lua) now: Instant,
    pub(in crate::lua) deadline: Instant,
    /// When it ends by a clock that waits move; none: not by that one.
    pub(in crate::lua) until: Option<Instant>,
}

impl Wait {
    pub(in crate::lua) fn begin(state: &State, timeout: Duration) -> Self {
        let now = Instant::now();
        let wait = Self { now, deadline: now + timeout, until: None };
        match state.test_clock.mode.get() {
            Mode::Real => wait,
            mode => wait.under_test(state, mode, timeout),
        }
    }

    #[cold]
    fn under_test(mut self, state: &State, mode: Mode, timeout: Duration) -> Self {
        let Some(hub) = state.hub() else { return self };
        let is_endless = timeout >= limits::ENDLESS;
        if mode == Mode::Held && is_endless {
            self.deadline = self.now + limits::HELD_WAIT;
        } else if mode == Mode::Auto && !is_endless && !timeout.is_zero() {
            self.until = Some(hub.now() + timeout);
            // Leaps end it.
            self.deadline = self.now + limits::LONGEST_WAIT;
        }
        self
    }

    /// Looks at the clocks; whether it is over.
    pub(in crate::lua) fn is_over(&mut self, state: &State) -> bool {
        self.now = Instant::now();
        self.now >= self.deadline
            || self.until.is_some_and(|until| state.hub().is_some_and(|hub| hub.now() >= until))
    }
}

/// Whether a wait without end was ended because nobody moves the clock to the timers that are set.
pub(in crate::lua) fn is_stuck(state: &State, timeout: Duration) -> bool {
    timeout >= limits::ENDLESS
        && state.test_clock.mode.get() == Mode::Held
        && state.hub().is_some_and(|hub| hub.timers() > 0)
}

/// Waits as long as something may be under way; then moves the clock to the next timer, or to the end of
/// the wait. Whether a signal came.
pub(in crate::lua) fn wait_or_leap(
    state: &State,
    reactor: &Reactor,
    wait: Wait,
    interrupted: &dyn Fn() -> bool,
) -> bool {
    if settle(state, reactor, interrupted) {
        return interrupted();
    }
    let hub = reactor.hub();
    let next = [hub.next_timer(), wait.until].into_iter().flatten().min();
    let Some(at) = next else {
        return reactor.wait(wait.now, wait.deadline, Duration::ZERO, interrupted);
    };
    move_to(state, reactor, at);
    false
}

/// Moves the clock, and fires what is due then.
pub(in crate::lua) fn move_to(state: &State, reactor: &Reactor, at: Instant) {
    reactor.hub().clock.hold(at);
    state.test_clock.begin_moment();
    reactor.fire_due(Instant::now());
}

/// Whether something comes to be dispatched, as long as anything may be under way.
pub(in crate::lua) fn settle(
    state: &State,
    reactor: &Reactor,
    interrupted: &dyn Fn() -> bool,
) -> bool {
    let (hub, clock) = (reactor.hub(), &state.test_clock);
    loop {
        let now = Instant::now();
        let since = clock.since.get().unwrap_or(now);
        clock.since.set(Some(since));
        if now.saturating_duration_since(since)
            > limits::SETTLE.max(clock.grace.get() * 2 * limits::BEGIN_GRACES)
        {
            return false;
        }
        let before = hub.unrest();
        let grace = clock.grace.get();
        let grace = match before.stir {
            _ if before.unsettled == 0 || before.unsettled == clock.seen.get() => Duration::ZERO,
            Stir::Machine => limits::MACHINE_GRACE.max(grace),
            Stir::Begin => grace * limits::BEGIN_GRACES,
            Stir::Peer | Stir::Still => grace,
        };
        let is_there = || hub.waiting() > 0;
        if reactor.wait_until(&is_there, now, now + grace, Duration::ZERO, interrupted) {
            return true;
        }
        if before.stir == Stir::Machine {
            clock.since.set(None);
        }
        if is_there() {
            return true;
        }
        if hub.unrest() == before {
            clock.seen.set(before.unsettled);
            return false;
        }
    }
}

/// Whether there is work, or some comes, that is to be dispatched before the clock moves on: not when timers
/// that are set for no time at all follow each other without an end.
pub(in crate::lua) fn is_busy(state: &State, reactor: &Reactor) -> bool {
    let clock = &state.test_clock;
    let total = reactor.hub().unrest().total;
    let has_moved = clock.total.replace(total) != total;
    let rounds = if has_moved { 0 } else { clock.rounds.get().saturating_add(1) };
    clock.rounds.set(rounds);
    let is_late = clock.since.get().is_some_and(|since| since.elapsed() > limits::SETTLE);
    if !state.queue.has_work() && reactor.hub().waiting() == 0 {
        return settle(state, reactor, &|| false);
    }
    rounds < limits::ROUNDS_AT_A_MOMENT && !is_late
}

/// By which the timeouts of pumps go: the system's clock while the test's is held, else the test's. It
/// goes on from where it was when a test changes that in the middle of a wait.
pub(in crate::lua) fn wait_now(state: &State) -> Duration {
    let clock = &state.test_clock;
    clock.waited.get() + pumps_clock(state).saturating_sub(clock.waited_since.get())
}

/// The seconds till a deadline of that clock. Less than it counts is nothing: a clock that moves by waits
/// would not move for it, and the wait not end.
pub(in crate::lua) fn seconds_left(deadline: f64, state: &State) -> f64 {
    let left = deadline - wait_now(state).as_secs_f64();
    if left < 1e-9 { 0.0 } else { left }
}

fn pumps_clock(state: &State) -> Duration {
    match state.test_clock.mode.get() {
        Mode::Held => state.real_elapsed(),
        Mode::Real | Mode::Auto => state.elapsed(),
    }
}

/// Does what changes who moves the clock. Times stay exact as numbers of Lua, as those of the clock are.
pub(in crate::lua) fn change_mode(state: &State, change: impl FnOnce()) {
    let before = whole_steps(wait_now(state));
    change();
    state.test_clock.waited.set(before);
    state.test_clock.waited_since.set(pumps_clock(state));
}
