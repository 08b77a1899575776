//! `pump`: collects what waits and dispatches it.
//!
//! Not here: which work is of one object (`scope`). Invariants: one pump handles the work that was there
//! when it began. An error of a handler leaves the rest queued in order.

use std::cell::Cell;
use std::ffi::c_int;
use std::time::{Duration, Instant};

use mlua::ffi::lua_State;

use crate::error::Error;
use crate::limits;
use crate::lua::class::object::{Object, Part};
use crate::lua::ffi::protected::catch_panic;
use crate::lua::ffi::protected::protected;
use crate::lua::ffi::sentinel::state_of;
use crate::lua::ffi::stack::{Stack, Text};
use crate::lua::run::dispatch::dispatch;
use crate::lua::run::errors::push_error;
use crate::lua::run::handlers::{Base, Outcome};
use crate::lua::run::queue::Work;
use crate::lua::run::scope::{belongs, has_work, is_of, poll_now};
use crate::lua::run::settle::{Wait, is_stuck, wait_or_leap};
use crate::lua::run::state::{References, State};
use crate::lua::run::test_clock::Mode;
use crate::lua::run::trace::deliver;
use crate::lua::server::weigh::weigh_all;
use crate::net::hub::Hub;
use crate::proto::token::Token;
use crate::sync::Arc;

/// Every so many pieces of work a pump tells the reactor that it gets on.
const BEAT: u64 = 16;

/// `pump([timeout [, budget]])`. Upvalue: the state.
pub(in crate::lua) extern "C-unwind" fn pump(state: *mut lua_State) -> c_int {
    let stack = Stack::of(state);
    let state = state_of(stack);
    let timeout = timeout(stack, 1, "pump");
    let budget = (!stack.is_nil(2)).then(|| seconds(stack, 2, "budget", "pump"));
    stack.set_top(0);
    pump_for(stack, state, Scope { only: None, budget }, timeout, "pump")
}

/// What a pump dispatches.
#[derive(Clone, Copy)]
pub(in crate::lua) struct Scope<'a> {
    /// Of one object alone, which is at the bottom of the stack.
    pub(in crate::lua) only: Option<&'a Object>,
    /// For how long, but at least one piece; the rest stays queued.
    pub(in crate::lua) budget: Option<Duration>,
}

/// Dispatches the events that wait, or the first ones that come within the time.
pub(in crate::lua) fn pump_for(
    stack: Stack,
    state: &State,
    scope: Scope,
    timeout: Duration,
    method: &str,
) -> c_int {
    let only = scope.only;
    if state.is_forked() {
        return push_error(stack, state, State::forked());
    }
    if state.depth.get() >= limits::PUMP_DEPTH {
        let most = limits::PUMP_DEPTH;
        // No script calls `attend` itself.
        let method = if only.is_some() { "a blocking call" } else { method };
        stack.raise(&Text::new(format_args!("{method}: called inside of handlers {most} deep")));
    }
    // The clock is read as rarely as can be: each time costs as much as finding a handler.
    let mut wait = Wait::begin(state, timeout);
    let mut handled = 0;
    loop {
        let gathered = catch_panic(stack, || gather(stack, state, only, wait));
        let more = match gathered {
            Ok(more) => more,
            Err(error) => return push_error(stack, state, error),
        };
        deliver(stack, state);
        let round = dispatch_protected(stack, state, scope);
        handled += round.handled.get();
        deliver(stack, state);
        if round.found.get() || !more {
            break;
        }
        if wait.is_over(state) {
            raise_if_stuck(stack, state, timeout);
            break;
        }
    }
    if only.is_some() {
        state.ring();
    }
    catch_panic(stack, || weigh_all(state));
    stack.push_count(handled);
    1
}

fn raise_if_stuck(stack: Stack, state: &State, timeout: Duration) {
    if is_stuck(state, timeout) {
        let seconds = limits::HELD_WAIT.as_secs();
        stack.raise(&Text::new(format_args!(
            "pump: for {seconds} seconds nothing has come, and the clock of evsock.testing, by which the \
             timers go, stands: clock:advance(seconds) or clock:auto() moves it"
        )));
    }
}

pub(in crate::lua) fn timeout(stack: Stack, index: c_int, method: &str) -> Duration {
    if stack.is_nil(index) {
        return Duration::ZERO;
    }
    seconds(stack, index, "timeout", method)
}

fn seconds(stack: Stack, index: c_int, name: &str, method: &str) -> Duration {
    let refuse = |got: std::fmt::Arguments| -> ! {
        stack.raise(&Text::new(format_args!(
            "bad argument '{name}' to '{method}' (seconds of at least 0 expected, got {got})"
        )))
    };
    match stack.to_number(index) {
        Some(seconds) if seconds >= 0.0 => {
            Duration::try_from_secs_f64(seconds).unwrap_or(limits::LONGEST_WAIT)
        }
        Some(seconds) => refuse(format_args!("{seconds}")),
        None if is_module(stack, index) => refuse(format_args!("the module; call it with a dot")),
        None => refuse(format_args!("{}", stack.type_name(index))),
    }
    .min(limits::LONGEST_WAIT)
}

/// Whether a function of the module was called with a colon.
pub(in crate::lua) fn is_module(stack: Stack, index: c_int) -> bool {
    // An index beyond the top would be the place of what is pushed.
    if stack.top() < index {
        return false;
    }
    stack.push_reference(state_of(stack).references.get().module);
    let same = stack.is_same(index, -1);
    stack.pop(1);
    same
}

/// Fills the queue; waits when there is nothing. Whether waiting longer makes sense, if there is time left.
fn gather(
    stack: Stack,
    state: &State,
    only: Option<&Object>,
    wait: Wait,
) -> Result<bool, Box<Error>> {
    let Wait { now, deadline, .. } = wait;
    let is_idle = || match only {
        Some(object) => !has_work(state, object),
        None => state.queue.is_empty(),
    };
    if state.hub().is_none() && (now >= deadline || !is_idle()) {
        return Ok(false);
    }
    state.open().map_err(Box::new)?;
    state.with_reactor(|reactor| reactor.fire_due(now));
    drain(state, only);
    weigh_all(state);
    if !is_idle() {
        state.with_reactor(crate::reactor::Reactor::on_pump);
        return Ok(false);
    }
    let interrupted = if now >= deadline {
        state.with_reactor(crate::reactor::Reactor::poll_now);
        if let Some(object) = only {
            poll_now(state, object);
        }
        false
    } else {
        let spin = Duration::try_from_secs_f64(state.spin.get()).unwrap_or_default();
        let thread = hooked_thread(stack, state);
        let interrupted = || is_interrupted(state, thread);
        let leaps = state.test_clock.mode.get() == Mode::Auto;
        let waited = state.with_reactor(|reactor| {
            if leaps {
                wait_or_leap(state, reactor, wait, &interrupted)
            } else {
                reactor.wait(now, deadline, spin, &interrupted)
            }
        });
        waited.unwrap_or(true)
    };
    drain(state, only);
    Ok(!interrupted)
}

/// The thread whose hook tells of a signal in the wait that comes. Where Lua doesn't tell which is the
/// main thread, a pump that runs on it finds out. No other is remembered: it may be collected.
pub(in crate::lua) fn hooked_thread(stack: Stack, state: &State) -> *mut lua_State {
    if state.main_thread.get().is_null() {
        state.main_thread.set(stack.main_thread());
    }
    stack.hooked_thread(state.main_thread.get())
}

/// Whether the interpreter's handler of a signal has set its hook, which Lua will run as soon as
/// this pump has returned. Another hook that the script has set ends one wait early.
pub(in crate::lua) fn is_interrupted(state: &State, thread: *mut lua_State) -> bool {
    let hook = Stack::hook(thread);
    let changed = hook != state.hook.replace(hook);
    changed && hook != 0
}

/// Moves what the sources have posted into the queue, in the order of their tokens; the tokens of other
/// objects than `only` are put aside, in order.
fn drain(state: &State, only: Option<&Object>) {
    let Some(hub) = state.hub() else { return };
    hub.quiet();
    let before = state.queue.aside.take();
    let fresh = (0..hub.waiting()).map_while(|_| hub.next_token());
    for token in before.into_iter().chain(fresh) {
        let Some(object) = Object::behind(state.slot(token.slot)) else { continue };
        if only.is_none_or(|only| belongs(object, only)) {
            collect(state, hub, object, token);
        } else {
            state.queue.aside.borrow_mut().push_back(token);
        }
    }
}

/// Moves what one source has posted into the queue.
fn collect(state: &State, hub: &Arc<Hub>, object: &Object, token: Token) {
    let push = |event| state.queue.push(Work::Event(token, event));
    match &object.part {
        Part::Socket(part) if object.token.get() == Some(token) => {
            let stream = part.stream.borrow();
            if let Some(stream) = stream.as_ref() {
                let paused = stream.collect(hub, &mut part.front_mut(object), push);
                object.update(|script| script.set_paused(paused));
            }
        }
        Part::Datagram(part) if object.token.get() == Some(token) => {
            if let Some(datagram) = part.borrow().as_ref() {
                datagram.collect(push);
            }
        }
        Part::Question(part) if object.token.get() == Some(token) => {
            if let Some(question) = part.borrow().as_ref() {
                question.collect(push);
            }
        }
        Part::Watch(part) if object.token.get() == Some(token) => {
            if let Some(watch) = part.watch.borrow().as_ref() {
                watch.collect(push);
            }
        }
        Part::Timer(part) if object.token.get() == Some(token) => {
            if let Some(timer) = part.timer.borrow().as_ref() {
                timer.collect(push);
            }
        }
        Part::Server(part) => {
            let listeners = part.listeners.borrow();
            if let Some(listener) = listeners.iter().find(|l| l.token() == token) {
                listener.collect(push);
            }
        }
        _ => {}
    }
}

/// What one round dispatches, and what came of it: whether anything was found, and how many handlers ran.
struct Round<'a> {
    state: &'a State,
    only: Option<&'a Object>,
    /// When the budget is used up.
    end: Option<Instant>,
    up_to: u64,
    found: Cell<bool>,
    handled: Cell<usize>,
}

/// Dispatches the work that is queued now, or what of it is of one object. Raises the error of a handler
/// when the script has no `on_error`; whatever is raised, handlers can be called as deep as before.
fn dispatch_protected<'a>(stack: Stack, state: &'a State, scope: Scope<'a>) -> Round<'a> {
    let (found, handled) = (Cell::new(false), Cell::new(0));
    let end = scope.budget.map(|budget| Instant::now() + budget);
    let round = Round { state, only: scope.only, end, up_to: state.queue.last(), found, handled };
    if state.queue.is_empty() {
        return round;
    }
    let depth = state.depth.get();
    state.depth.set(depth + 1);
    let went_well = protected(stack, state, 0, &|stack| dispatch_round(stack, &round));
    state.depth.set(depth);
    if !went_well {
        state.ring();
        stack.throw();
    }
    state.queue.shrink();
    round
}

/// The places behind the first hold what every dispatch needs.
fn dispatch_round(stack: Stack, round: &Round) -> c_int {
    stack.reserve(20);
    let References { objects, anchors, names, traceback, .. } = round.state.references.get();
    for reference in [objects, anchors, names, traceback] {
        stack.push_reference(reference);
    }
    dispatch_batch(stack, Base { objects: 2, anchors: 3, names: 4, traceback: 5 }, round);
    0
}

fn dispatch_batch(stack: Stack, base: Base, round: &Round) {
    let (state, mut last) = (round.state, 0);
    while let Some((number, work)) = next(state, round.only, last, round.up_to) {
        last = number.max(last);
        let outcome = dispatch(stack, base, state, work);
        if outcome != Outcome::Dropped {
            round.found.set(true);
        }
        if matches!(outcome, Outcome::Handled | Outcome::Raised) {
            round.handled.set(round.handled.get() + 1);
        }
        if outcome == Outcome::Raised {
            report(stack, state);
        }
        // What is of nobody takes no time.
        let is_over =
            outcome != Outcome::Dropped && round.end.is_some_and(|end| Instant::now() >= end);
        if is_over || state.stopping.get() {
            state.ring();
            round.found.set(true);
            return;
        }
        // What was put before all others has the number 0.
        if number > 0 && number % BEAT == 0 {
            catch_panic(stack, || state.with_reactor(crate::reactor::Reactor::yield_if_idle));
        }
    }
}

/// The next work with a number up to `up_to` (of one object: above the number `last`).
fn next(state: &State, only: Option<&Object>, last: u64, up_to: u64) -> Option<(u64, Work)> {
    if let Some(object) = only {
        return state.queue.pick(last + 1, up_to, |work| is_of(state, work, object));
    }
    state.queue.pop(up_to)
}

/// The error on top of the stack, above the object, goes to `evsock.on_error(message, object)`, or is raised.
fn report(stack: Stack, state: &State) {
    let error = stack.top();
    // In case that it is raised, below or by `on_error`.
    state.ring();
    stack.push_reference(state.references.get().hooks);
    stack.push_bytes(b"on_error");
    stack.raw_get(-2);
    if !stack.is_function(-1) {
        stack.set_top(error);
        stack.throw();
    }
    stack.push_value(error);
    stack.push_value(error - 1);
    if !stack.protected_call(2, 0, 0) {
        stack.throw();
    }
    stack.set_top(error - 2);
}
