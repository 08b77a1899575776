//! `attend`: a pump that dispatches the events of one object; those of all others stay queued. `flush`: a
//! wait in which none are dispatched.
//!
//! Not here: the pumping (`pump`). Invariant: the work of one object is dispatched in its order, and that
//! of all others keeps its order.

use std::ffi::c_int;
use std::time::{Duration, Instant};

use mlua::ffi::lua_State;

use crate::error::{Code, Error};
use crate::lua::class::kind::Kind;
use crate::lua::class::object::Object;
use crate::lua::class::receiver::expect;
use crate::lua::ffi::protected::catch_panic;
use crate::lua::ffi::sentinel::state_of;
use crate::lua::ffi::stack::{Stack, Text};
use crate::lua::run::errors::push_error;
use crate::lua::run::pump::{Scope, hooked_thread, is_interrupted, is_module, pump_for, timeout};
use crate::lua::run::settle::move_to;
use crate::lua::run::state::State;
use crate::lua::run::test_clock::Mode;

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
    pump_for(stack, state, Scope { only: Some(object), budget: None }, timeout, "attend")
}

/// `flush(sock, seconds)`: true once all that was written is handed to the system; false when some
/// of it was, the time is up or a signal came; or nil, message, code.
pub(in crate::lua) extern "C-unwind" fn flush(state: *mut lua_State) -> c_int {
    let stack = Stack::of(state);
    let object = expect(stack, "flush", Kind::Socket);
    let timeout = timeout(stack, 2, "flush");
    match catch_panic(stack, || flush_stream(stack, object, timeout)) {
        Ok(done) => {
            stack.push_bool(done);
            1
        }
        Err(error) => push_error(stack, &object.state, error),
    }
}

fn flush_stream(stack: Stack, object: &Object, timeout: Duration) -> Result<bool, Box<Error>> {
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
        let leaps = state.test_clock.mode.get() == Mode::Auto;
        let time = if leaps { timeout.min(state.test_clock.grace.get()) } else { timeout };
        state.with_reactor(|reactor| {
            reactor.wait_until(&has_moved, now, now + time, spin, &interrupted);
            if leaps && !has_moved() {
                // What falls due meanwhile waits, as it does in real time.
                move_to(state, reactor, reactor.hub().now() + timeout);
            }
        });
    }
    Ok(stream.unsent()? == 0)
}
