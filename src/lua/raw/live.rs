//! How a connection is: as of the last event, and now, ahead of the events; what has left.
//!
//! Not here: reading and writing (`socket`).

use std::ffi::c_int;

use mlua::ffi::lua_State;

use super::guard::fenced;
use super::socket::{push_error, socket};
use super::stack::{Function, Stack};
use crate::error::{Code, Error};
use crate::lua::state::State;

/// The functions by name, as dialects and the native class see them.
pub(super) const FUNCTIONS: &[(&str, Function)] = &[
    ("buffered", buffered),
    ("look", look),
    ("mark", mark),
    ("pending", pending),
    ("state", state),
];

/// `look(sock)`: whether the connection stands now, and the bytes that came and were not read.
extern "C-unwind" fn look(state: *mut lua_State) -> c_int {
    let stack = Stack::of(state);
    let (object, part) = socket(stack, "look");
    let (stands, waiting) = fenced(stack, || {
        let stream = part.stream.borrow().clone().filter(|_| !object.state.is_forked());
        stream.zip(object.state.hub()).map_or((false, 0), |(stream, hub)| stream.look(hub))
    });
    let unread = {
        let buffer = part.front(object);
        buffer.len() + buffer.hidden() + waiting
    };
    stack.push_bool(stands);
    stack.push_count(unread);
    2
}

/// `mark(sock)`: `on_mark` will say that everything written so far is with the system.
extern "C-unwind" fn mark(state: *mut lua_State) -> c_int {
    let stack = Stack::of(state);
    let (object, part) = socket(stack, "mark");
    let marked = fenced(stack, || {
        if object.state.is_forked() {
            return Err(State::forked());
        }
        let stream = part.stream.borrow().clone();
        let idle = || Error::new(Code::Closed, "mark: the socket is not connected");
        let (stream, hub) = stream.zip(object.state.hub()).ok_or_else(idle)?;
        object.marked.set(true);
        stream.mark(hub)
    });
    match marked {
        Ok(()) => {
            stack.push_bool(true);
            1
        }
        Err(error) => push_error(stack, &object.state, error),
    }
}

extern "C-unwind" fn state(state: *mut lua_State) -> c_int {
    let stack = Stack::of(state);
    let (object, _) = socket(stack, "state");
    stack.push_bytes(object.view.get().as_str().as_bytes());
    1
}

extern "C-unwind" fn buffered(state: *mut lua_State) -> c_int {
    let stack = Stack::of(state);
    let (object, part) = socket(stack, "buffered");
    let length = part.front(object).len();
    stack.push_count(length);
    1
}

extern "C-unwind" fn pending(state: *mut lua_State) -> c_int {
    let stack = Stack::of(state);
    let (object, part) = socket(stack, "pending");
    let pending = fenced(stack, || {
        let stream = part.stream.borrow();
        let stream = stream.as_ref().filter(|_| !object.state.is_forked());
        stream.map_or(0, |stream| stream.pending())
    });
    stack.push_count(pending);
    1
}
