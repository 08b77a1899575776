//! `pump`: collects what waits and dispatches it.
//!
//! Invariant: one pump handles the events that were there when it began. An error of a handler
//! leaves the rest queued in order.

use std::ffi::c_int;
use std::time::{Duration, Instant};

use mlua::ffi::lua_State;

use super::dispatch::{Base, Outcome, dispatch};
use super::guard::fenced;
use super::object::{Object, Part, state_of};
use super::socket::push_error;
use super::stack::{Stack, Text};
use crate::error::Error;
use crate::limits;
use crate::lua::state::{Item, State};

/// `pump([timeout])`. Upvalue: the state.
pub(in crate::lua) extern "C-unwind" fn pump(state: *mut lua_State) -> c_int {
    let stack = Stack::of(state);
    let state = state_of(stack);
    let timeout = timeout(stack);
    if state.is_forked() {
        return push_error(stack, state, State::forked());
    }
    if state.depth.get() >= limits::PUMP_DEPTH {
        let most = limits::PUMP_DEPTH;
        stack.raise(&Text::new(format_args!("pump: called inside of handlers {most} deep")));
    }
    stack.set_top(0);
    stack.reserve(20);
    let references = state.references.get();
    for reference in [references.objects, references.names, references.traceback] {
        stack.push_registered(reference);
    }
    let base = Base { objects: 1, names: 2, traceback: 3 };
    let deadline = Instant::now() + timeout;
    let mut handled = 0;
    loop {
        let gathered = fenced(stack, || gather(state, timeout, deadline));
        let more = match gathered {
            Ok(more) => more,
            Err(error) => return push_error(stack, state, error),
        };
        let (found, count) = dispatch_batch(stack, base, state);
        handled += count;
        if found || !more {
            break;
        }
    }
    stack.push_count(handled);
    1
}

fn timeout(stack: Stack) -> Duration {
    if stack.is_nil(1) {
        return Duration::ZERO;
    }
    match stack.to_number(1) {
        Some(seconds) if !seconds.is_nan() => {
            Duration::try_from_secs_f64(seconds.max(0.0)).unwrap_or(limits::LONGEST_WAIT)
        }
        _ => {
            let got = stack.type_name(1);
            stack.raise(&Text::new(format_args!(
                "bad argument 'timeout' to 'pump' (number of seconds expected, got {got})"
            )))
        }
    }
    .min(limits::LONGEST_WAIT)
}

/// Fills the batch; waits when there is nothing. Returns whether waiting on makes sense.
fn gather(state: &State, timeout: Duration, deadline: Instant) -> Result<bool, Box<Error>> {
    let idle = state.batch.borrow().is_empty();
    if state.hub().is_none() && (timeout.is_zero() || !idle) {
        return Ok(false);
    }
    state.open().map_err(Box::new)?;
    state.with_reactor(crate::reactor::Reactor::fire_due);
    drain(state);
    if !state.batch.borrow().is_empty() {
        return Ok(false);
    }
    let left = deadline.saturating_duration_since(Instant::now());
    let interrupted = if left.is_zero() {
        state.with_reactor(crate::reactor::Reactor::glance);
        false
    } else {
        let spin = Duration::try_from_secs_f64(state.spin.get()).unwrap_or_default();
        let interrupted = || is_interrupted(state);
        state.with_reactor(|reactor| reactor.wait(left, spin, &interrupted)).unwrap_or(true)
    };
    drain(state);
    Ok(!interrupted && Instant::now() < deadline)
}

/// Whether the interpreter's handler of a signal has set its hook, which Lua will run as soon as
/// this pump has returned. Another hook that the script has set ends one wait early.
fn is_interrupted(state: &State) -> bool {
    let hook = Stack::hook(state.main_thread.get());
    let changed = hook != state.hook.replace(hook);
    changed && hook != 0
}

/// Moves what the sources have posted into the batch, in the order of their tokens.
fn drain(state: &State) {
    let Some(hub) = state.hub() else { return };
    hub.quiet();
    for _ in 0..hub.waiting() {
        let Some(token) = hub.next_token() else { return };
        let place = state.slots.borrow().get(token.slot as usize).copied();
        let Some(object) = place.and_then(Object::in_slot) else { continue };
        let push = |event| state.push(Item::Event(token, event));
        match &object.part {
            Part::Socket(part) if object.token.get() == Some(token) => {
                let stream = part.stream.borrow();
                if let Some(stream) = stream.as_ref() {
                    let paused = stream.collect(hub, &mut part.buffer.borrow_mut(), push);
                    part.paused.set(paused);
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
}

/// Dispatches what the batch holds now. Returns whether anything was found, and how many handlers
/// ran. Raises the error of a handler when the script has no `on_error`.
fn dispatch_batch(stack: Stack, base: Base, state: &State) -> (bool, usize) {
    let end = state.taken.get() + state.batch.borrow().len() as u64;
    let (mut found, mut handled) = (false, 0);
    while state.taken.get() < end {
        let Some(item) = state.batch.borrow_mut().pop_front() else { break };
        state.taken.set(state.taken.get() + 1);
        state.depth.set(state.depth.get() + 1);
        let outcome = dispatch(stack, base, state, item);
        state.depth.set(state.depth.get() - 1);
        found |= outcome != Outcome::Dropped;
        handled += usize::from(matches!(outcome, Outcome::Handled | Outcome::Raised));
        if outcome == Outcome::Raised {
            report(stack, state);
        }
        if state.stopping.get() {
            state.ring();
            return (true, handled);
        }
    }
    (found, handled)
}

/// The error on top of the stack, above the object, goes to `evsock.on_error(message, object)`, or is raised.
fn report(stack: Stack, state: &State) {
    let error = stack.top();
    // In case that it is raised, below or by `on_error`.
    state.ring();
    stack.push_registered(state.references.get().module);
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

/// The message handler of every dispatch: a string error gets its traceback, any other is kept.
pub(in crate::lua) extern "C-unwind" fn traceback(state: *mut lua_State) -> c_int {
    let stack = Stack::of(state);
    if stack.is_string(1) {
        stack.push_traceback(1);
    } else {
        stack.set_top(1);
    }
    1
}
