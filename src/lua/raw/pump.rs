//! `pump`: collects what waits and dispatches it.
//!
//! Not here: which items are those of one object (`attend`). Invariant: one pump handles the events that were there when it began. An error of a handler
//! leaves the rest queued in order.

use std::cell::Cell;
use std::ffi::c_int;
use std::time::{Duration, Instant};

use mlua::ffi::lua_State;

use super::attend::{belongs, has_items, is_of, look_at};
use super::dispatch::{Base, Outcome, dispatch};
use super::guard::fenced;
use super::object::{Object, Part, state_of};
use super::socket::push_error;
use super::stack::{Stack, Text};
use super::weigh::weigh_all;
use crate::error::Error;
use crate::limits;
use crate::lua::state::{Item, References, State};
use crate::net::hub::Hub;
use crate::proto::token::Token;
use crate::sync::Arc;

/// Every so many items a pump tells the reactor that it gets on.
const BEAT: u64 = 16;

/// `pump([timeout])`. Upvalue: the state.
pub(in crate::lua) extern "C-unwind" fn pump(state: *mut lua_State) -> c_int {
    let stack = Stack::of(state);
    let state = state_of(stack);
    let timeout = timeout(stack, 1, "pump");
    stack.set_top(0);
    pump_for(stack, state, None, timeout, "pump")
}

/// Dispatches the events of everybody, or of `only` one object, which is at the bottom of the stack.
pub(super) fn pump_for(
    stack: Stack,
    state: &State,
    only: Option<&Object>,
    timeout: Duration,
    method: &str,
) -> c_int {
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
    let mut now = Instant::now();
    let deadline = now + timeout;
    let mut handled = 0;
    loop {
        let gathered = fenced(stack, || gather(stack, state, only, now, deadline));
        let more = match gathered {
            Ok(more) => more,
            Err(error) => return push_error(stack, state, error),
        };
        let round = dispatch_protected(stack, state, only);
        handled += round.handled.get();
        if round.found.get() || !more {
            break;
        }
        now = Instant::now();
        if now >= deadline {
            break;
        }
    }
    if only.is_some() {
        state.ring();
    }
    fenced(stack, || weigh_all(state));
    stack.push_count(handled);
    1
}

pub(super) fn timeout(stack: Stack, index: c_int, method: &str) -> Duration {
    if stack.is_nil(index) {
        return Duration::ZERO;
    }
    match stack.to_number(index) {
        Some(seconds) if seconds >= 0.0 => {
            Duration::try_from_secs_f64(seconds).unwrap_or(limits::LONGEST_WAIT)
        }
        Some(seconds) => refuse(stack, method, format_args!("{seconds}")),
        None if is_module(stack, index) => {
            refuse(stack, method, format_args!("the module; call it with a dot"))
        }
        None => refuse(stack, method, format_args!("{}", stack.type_name(index))),
    }
    .min(limits::LONGEST_WAIT)
}

fn refuse(stack: Stack, method: &str, got: std::fmt::Arguments) -> ! {
    stack.raise(&Text::new(format_args!(
        "bad argument 'timeout' to '{method}' (seconds of at least 0 expected, got {got})"
    )))
}

/// Whether a function of the module was called with a colon.
pub(super) fn is_module(stack: Stack, index: c_int) -> bool {
    // An index beyond the top would be the place of what is pushed.
    if stack.top() < index {
        return false;
    }
    stack.push_registered(state_of(stack).references.get().module);
    let same = stack.is_same(index, -1);
    stack.pop(1);
    same
}

/// Fills the batch; waits when there is nothing. Returns whether waiting on makes sense, if there is
/// time left.
fn gather(
    stack: Stack,
    state: &State,
    only: Option<&Object>,
    now: Instant,
    deadline: Instant,
) -> Result<bool, Box<Error>> {
    let is_idle = || match only {
        Some(object) => !has_items(state, object),
        None => state.batch.borrow().is_empty(),
    };
    if state.hub().is_none() && (now >= deadline || !is_idle()) {
        return Ok(false);
    }
    state.open().map_err(Box::new)?;
    state.with_reactor(|reactor| reactor.fire_due(now));
    drain(state, only);
    weigh_all(state);
    if !is_idle() {
        state.with_reactor(crate::reactor::Reactor::note_pump);
        return Ok(false);
    }
    let interrupted = if now >= deadline {
        state.with_reactor(crate::reactor::Reactor::glance);
        if let Some(object) = only {
            look_at(state, object);
        }
        false
    } else {
        let spin = Duration::try_from_secs_f64(state.spin.get()).unwrap_or_default();
        let thread = hooked_thread(stack, state);
        let interrupted = || is_interrupted(state, thread);
        state
            .with_reactor(|reactor| reactor.wait(now, deadline, spin, &interrupted))
            .unwrap_or(true)
    };
    drain(state, only);
    Ok(!interrupted)
}

/// The thread whose hook tells of a signal in the wait that comes. Where Lua doesn't tell which is the
/// main thread, a pump that runs on it finds out. No other is remembered: it may be collected.
pub(super) fn hooked_thread(stack: Stack, state: &State) -> *mut lua_State {
    if state.main_thread.get().is_null() {
        state.main_thread.set(stack.main_thread());
    }
    stack.hooked_thread(state.main_thread.get())
}

/// Whether the interpreter's handler of a signal has set its hook, which Lua will run as soon as
/// this pump has returned. Another hook that the script has set ends one wait early.
pub(super) fn is_interrupted(state: &State, thread: *mut lua_State) -> bool {
    let hook = Stack::hook(thread);
    let changed = hook != state.hook.replace(hook);
    changed && hook != 0
}

/// Moves what the sources have posted into the batch, in the order of their tokens; the tokens of
/// other objects than `only` are put aside, in order.
fn drain(state: &State, only: Option<&Object>) {
    let Some(hub) = state.hub() else { return };
    hub.quiet();
    let before = state.aside.take();
    let fresh = (0..hub.waiting()).map_while(|_| hub.next_token());
    for token in before.into_iter().chain(fresh) {
        let place = state.slots.borrow().get(token.slot as usize).copied();
        let Some(object) = place.and_then(Object::in_slot) else { continue };
        if only.is_none_or(|only| belongs(object, only)) {
            collect(state, hub, object, token);
        } else {
            state.aside.borrow_mut().push_back(token);
        }
    }
}

/// Moves what one source has posted into the batch.
fn collect(state: &State, hub: &Arc<Hub>, object: &Object, token: Token) {
    let push = |event| state.push(Item::Event(token, event));
    match &object.part {
        Part::Socket(part) if object.token.get() == Some(token) => {
            let stream = part.stream.borrow();
            if let Some(stream) = stream.as_ref() {
                let paused = stream.collect(hub, &mut part.front_mut(object), push);
                object.paused.set(paused);
            }
        }
        Part::Datagram(part) if object.token.get() == Some(token) => {
            if let Some(datagram) = part.borrow().as_ref() {
                datagram.collect(push);
            }
        }
        Part::Timer(part) if object.token.get() == Some(token) => {
            if let Some(alarm) = part.alarm.borrow().as_ref() {
                alarm.collect(push);
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

/// What one look at the batch dispatches, and what came of it: whether anything was found, and how many
/// handlers ran.
struct Round<'a> {
    state: &'a State,
    only: Option<&'a Object>,
    end: u64,
    found: Cell<bool>,
    handled: Cell<usize>,
}

/// Dispatches what the batch holds now, or what it holds of one object. Raises the error of a handler
/// when the script has no `on_error`; whatever is raised, handlers can be called as deep as before.
fn dispatch_protected<'a>(stack: Stack, state: &'a State, only: Option<&'a Object>) -> Round<'a> {
    let (found, handled) = (Cell::new(false), Cell::new(0));
    let round = Round { state, only, end: state.pushed.get(), found, handled };
    if state.batch.borrow().is_empty() {
        return round;
    }
    let depth = state.depth.get();
    stack.push_registered(state.references.get().dispatcher);
    stack.push_pointer((&raw const round).cast());
    state.depth.set(depth + 1);
    let went_well = stack.protected_call(1, 0, 0);
    state.depth.set(depth);
    if !went_well {
        state.ring();
        stack.throw();
    }
    state.shrink();
    round
}

/// `dispatcher(round)`: its own places hold what every dispatch needs.
pub(in crate::lua) extern "C-unwind" fn dispatcher(state: *mut lua_State) -> c_int {
    let stack = Stack::of(state);
    let round: *const Round = stack.to_pointer(1).cast();
    // SAFETY: only `dispatch_protected` calls this, with what stays until it returns.
    let round = unsafe { &*round };
    stack.reserve(20);
    let References { objects, anchors, names, traceback, .. } = round.state.references.get();
    for reference in [objects, anchors, names, traceback] {
        stack.push_registered(reference);
    }
    dispatch_batch(stack, Base { objects: 2, anchors: 3, names: 4, traceback: 5 }, round);
    0
}

fn dispatch_batch(stack: Stack, base: Base, round: &Round) {
    let (state, mut last) = (round.state, 0);
    while let Some((number, item)) = next(state, round.only, last, round.end) {
        last = number.max(last);
        let outcome = dispatch(stack, base, state, item);
        if outcome != Outcome::Dropped {
            round.found.set(true);
        }
        if matches!(outcome, Outcome::Handled | Outcome::Raised) {
            round.handled.set(round.handled.get() + 1);
        }
        if outcome == Outcome::Raised {
            report(stack, state);
        }
        if state.stopping.get() {
            state.ring();
            round.found.set(true);
            return;
        }
        // What was put in front has no number.
        if number > 0 && number % BEAT == 0 {
            fenced(stack, || state.with_reactor(crate::reactor::Reactor::beat));
        }
    }
}

/// The next item up to the number `end` (of one object: above the number `last`).
fn next(state: &State, only: Option<&Object>, last: u64, end: u64) -> Option<(u64, Item)> {
    if let Some(object) = only {
        return state.pick(last + 1, end, |item| is_of(state, item, object));
    }
    let mut batch = state.batch.borrow_mut();
    let due = batch.front().is_some_and(|(number, _)| *number <= end);
    due.then(|| batch.pop_front()).flatten()
}

/// The error on top of the stack, above the object, goes to `evsock.on_error(message, object)`, or is raised.
fn report(stack: Stack, state: &State) {
    let error = stack.top();
    // In case that it is raised, below or by `on_error`.
    state.ring();
    stack.push_registered(state.references.get().hooks);
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
