//! `attend`: a pump for one object; everybody else's events stay queued, in order. `flush`: a wait
//! in which nobody's are dispatched.
//!
//! Not here: the pumping (`pump`). Invariant: the items of one object are dispatched in their order,
//! and those of all others keep theirs.

use std::ffi::c_int;
use std::time::{Duration, Instant};

use mlua::ffi::lua_State;

use super::guard::fenced;
use super::object::{Object, Part, expect, state_of};
use super::pump::{hooked_thread, is_interrupted, is_module, pump_for, timeout};
use super::socket::push_error;
use super::stack::{Stack, Text};
use crate::error::{Code, Error};
use crate::lua::state::{Item, State};

/// `attend(object [, timeout])`. Upvalue: the state.
pub(in crate::lua) extern "C-unwind" fn attend(state: *mut lua_State) -> c_int {
    let stack = Stack::of(state);
    let state = state_of(stack);
    let Some(object) = Object::at(stack, 1) else {
        let is_module = is_module(stack, 1);
        let got = if is_module { "the module; call it with a dot" } else { stack.type_name(1) };
        stack.raise(&Text::new(format_args!(
            "bad argument 'object' to 'attend' (socket, server or timer expected, got {got})"
        )))
    };
    let timeout = timeout(stack, 2, "attend");
    stack.set_top(1);
    pump_for(stack, state, Some(object), timeout, "attend")
}

/// `flush(sock, seconds)`: true once all that was written is handed to the system; false when some
/// of it was, the time is up or a signal came; or nil, message, code.
pub(in crate::lua) extern "C-unwind" fn flush(state: *mut lua_State) -> c_int {
    let stack = Stack::of(state);
    let object = expect(stack, "flush", "socket");
    let timeout = timeout(stack, 2, "flush");
    match fenced(stack, || hand_over(stack, object, timeout)) {
        Ok(done) => {
            stack.push_bool(done);
            1
        }
        Err(error) => push_error(stack, &object.state, error),
    }
}

fn hand_over(stack: Stack, object: &Object, timeout: Duration) -> Result<bool, Box<Error>> {
    let state = &*object.state;
    if state.is_forked() {
        return Err(Box::new(State::forked()));
    }
    let Some(stream) = object.socket().and_then(|part| part.stream.borrow().clone()) else {
        return Err(Box::new(Error::new(Code::Closed, "flush: the socket is not connected")));
    };
    let before = stream.unsent()?;
    if before > 0 && !timeout.is_zero() {
        let spin = Duration::try_from_secs_f64(state.spin.get()).unwrap_or_default();
        let has_moved = || stream.unsent().map_or(true, |left| left < before);
        let thread = hooked_thread(stack, state);
        let interrupted = || is_interrupted(state, thread);
        let now = Instant::now();
        state.with_reactor(|reactor| {
            reactor.wait_until(&has_moved, now, now + timeout, spin, &interrupted)
        });
    }
    Ok(stream.unsent()? == 0)
}

/// Whether it is that object, or a socket that this server has accepted.
pub(super) fn belongs(object: &Object, to: &Object) -> bool {
    match to.part {
        Part::Server(_) => object.house.get() == to.house.get(),
        _ => std::ptr::eq(object, to),
    }
}

/// Whether the item is of that object.
pub(super) fn is_of(state: &State, item: &Item, object: &Object) -> bool {
    let place = match item {
        Item::Event(token, _) | Item::Farewell(token) => {
            state.slots.borrow().get(token.slot as usize).copied()
        }
        Item::Note(_, place) => Some(*place),
        Item::Turn => None,
    };
    place.and_then(Object::in_slot).is_some_and(|found| belongs(found, object))
}

/// Whether an item of that object waits.
pub(super) fn has_items(state: &State, object: &Object) -> bool {
    state.batch.borrow().iter().any(|(_, item)| is_of(state, item, object))
}

/// Reads what a socket has now, whoever leads: no byte that the system has is missed.
pub(super) fn look_at(state: &State, object: &Object) {
    let stream = object.socket().and_then(|part| part.stream.borrow().clone());
    if let (Some(stream), Some(hub)) = (stream, state.hub()) {
        stream.look(hub);
    }
}
