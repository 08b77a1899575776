//! The status of a connection: as of the last dispatched event, and as of now; what still waits to be sent.
//!
//! The descriptor of a socket or server. Not here: reading and writing (`methods`).

use std::ffi::c_int;

use mlua::ffi::lua_State;

use crate::error::{Code, Error};
use crate::lua::class::object::{Object, Part, SocketPart};
use crate::lua::class::receiver::{refuse_self, socket};
use crate::lua::ffi::protected::catch_panic;
use crate::lua::ffi::stack::{Function, Stack};
use crate::lua::run::errors::push_error;
use crate::lua::run::state::State;
use crate::proto::script::{ScriptState, SocketState};

/// The functions by name, as dialects and `evsock.Socket` see them.
pub(in crate::lua) const FUNCTIONS: &[(&str, Function)] = &[
    ("buffered", buffered),
    ("fd", fd),
    ("is_writable", writable),
    ("look", look),
    ("mark", mark),
    ("pending", pending),
    ("secured", secured),
    ("state", state),
];

/// `is_writable(sock)`: whether `write_some` would take a byte, or fail, rather than take none. If it is
/// not, the event `connect`, `sent` or `close` comes when that changes.
extern "C-unwind" fn writable(state: *mut lua_State) -> c_int {
    let stack = Stack::of(state);
    let (object, part) = socket(stack, "is_writable");
    stack.push_bool(is_writable(stack, object, part));
    1
}

pub(in crate::lua) fn is_writable(stack: Stack, object: &Object, part: &SocketPart) -> bool {
    let is_so = catch_panic(stack, || {
        let stream = part.stream.borrow();
        let lives = object.script().is_writable() && !object.state.is_forked();
        let stream = stream.as_ref().filter(|_| lives).zip(object.state.hub());
        stream.map(|(stream, hub)| stream.is_writable(hub))
    });
    let waits = object.script().state() == SocketState::Waiting || object.state.is_forked();
    is_so.unwrap_or(!waits)
}

/// `look(sock)`: whether the connection is open now, and how many bytes have come that were not read.
extern "C-unwind" fn look(state: *mut lua_State) -> c_int {
    let stack = Stack::of(state);
    let (object, part) = socket(stack, "look");
    let (stands, waiting) = catch_panic(stack, || {
        let stream = part.stream.borrow().clone().filter(|_| !object.state.is_forked());
        stream.zip(object.state.hub()).map_or((false, 0), |(stream, hub)| stream.poll_now(hub))
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
    let marked = catch_panic(stack, || {
        if object.state.is_forked() {
            return Err(State::forked());
        }
        let stream = part.stream.borrow().clone();
        let idle = || Error::new(Code::Closed, "mark: the socket is not connected");
        let (stream, hub) = stream.zip(object.state.hub()).ok_or_else(idle)?;
        object.update(ScriptState::mark);
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

/// `secured(sock)`: whether the handshake of the connection is over, and whether it has TLS at all.
extern "C-unwind" fn secured(state: *mut lua_State) -> c_int {
    let stack = Stack::of(state);
    let (object, part) = socket(stack, "wait");
    let has_tls = catch_panic(stack, || {
        let stream = part.stream.borrow();
        stream.as_ref().is_some_and(|stream| !object.state.is_forked() && stream.has_tls())
    });
    stack.push_bool(object.script().is_secured());
    stack.push_bool(has_tls);
    2
}

extern "C-unwind" fn state(state: *mut lua_State) -> c_int {
    let stack = Stack::of(state);
    let (object, _) = socket(stack, "state");
    stack.push_bytes(object.script().state().as_str().as_bytes());
    1
}

extern "C-unwind" fn buffered(state: *mut lua_State) -> c_int {
    let stack = Stack::of(state);
    let (object, part) = socket(stack, "buffered");
    let length = part.front(object).len();
    stack.push_count(length);
    1
}

/// `fd(object)`: the descriptor of a socket, or of a server's first address; nil if there is none.
extern "C-unwind" fn fd(state: *mut lua_State) -> c_int {
    let stack = Stack::of(state);
    let Some(object) = Object::at(stack, 1) else {
        refuse_self(stack, b"socket or server", b"fd");
    };
    let is_there = object.script().is_attached() && !object.state.is_forked();
    let found = catch_panic(stack, || match &object.part {
        Part::Socket(part) => part.stream.borrow().as_ref()?.descriptor(),
        Part::Server(part) => part.listeners.borrow().first()?.descriptor(),
        Part::Datagram(part) => part.borrow().as_ref().map(|datagram| datagram.place().1),
        Part::Question(_) | Part::Timer(_) | Part::Watch(_) => None,
    });
    match found.filter(|_| is_there) {
        Some(fd) => stack.push_count(usize::try_from(fd).unwrap_or_default()),
        None => stack.push_nil(),
    }
    1
}

extern "C-unwind" fn pending(state: *mut lua_State) -> c_int {
    let stack = Stack::of(state);
    let (object, part) = socket(stack, "pending");
    let pending = catch_panic(stack, || {
        let stream = part.stream.borrow();
        let stream = stream.as_ref().filter(|_| !object.state.is_forked());
        stream.map_or(0, |stream| stream.pending())
    });
    stack.push_count(pending);
    1
}
