//! The native half of tasks: when `tasks.lua` is called, and what it asks of a socket.
//!
//! Not here: coroutines and what a waiting call waits for (`tasks.lua`). Invariant: an error of a
//! task leaves the rest of the batch queued in order, as that of a handler does.

use std::ffi::c_int;

use mlua::ffi::lua_State;

use super::dispatch::Outcome;
use super::guard::fenced;
use super::object::{Object, SocketPart, View, expect, state_of};
use super::socket::{hold_error, push_message};
use super::stack::{Function, Lossy, Stack, Text};
use crate::limits;
use crate::lua::state::{Item, State};

/// The functions that `tasks.lua` uses.
pub(in crate::lua) const FUNCTIONS: &[(&str, Function)] = &[
    ("admit", admit),
    ("count", count),
    ("depth", depth),
    ("ends", ends),
    ("descend", descend),
    ("failure", failure),
    ("peer_ended", peer_ended),
    ("sent", sent),
    ("turn", turn),
    ("unread", unread),
    ("watch", watch),
];

/// Resumes the tasks that wait on the object at `index`, which is taken off the stack. After a
/// handler that raised they get turns of their own: its error is reported first.
pub(super) fn wake(stack: Stack, state: &State, index: c_int, outcome: Outcome) -> Outcome {
    stack.push_task_function(state.references.get().tasks, 1);
    stack.push_value(index);
    stack.push_bool(outcome == Outcome::Raised);
    let woken = run_task(stack, state, 2);
    if outcome == Outcome::Raised {
        // Whatever the tasks had to say waits for their turns.
        stack.set_top(index + 2);
        stack.remove(index);
        return outcome;
    }
    stack.remove(index);
    match woken {
        Outcome::Silent => outcome,
        woken => woken,
    }
}

/// Gives the task that waits longest its turn.
pub(super) fn give_turn(stack: Stack, state: &State) -> Outcome {
    stack.push_task_function(state.references.get().tasks, 2);
    stack.push_bool(state.missed.replace(false));
    run_task(stack, state, 1)
}

/// Calls a function of `tasks.lua`. It answers whether a task ran, and the task and its error when
/// nobody else will hear of that.
fn run_task(stack: Stack, state: &State, arguments: c_int) -> Outcome {
    let bottom = stack.top() - arguments - 1;
    if !stack.protected_call(arguments, 3, 0) {
        // Out of memory, at most: there is no task to blame. Those that wait look again.
        state.missed.set(true);
        state.push(Item::Turn);
        stack.push_nil();
        stack.insert(-2);
        return Outcome::Raised;
    }
    let ran = stack.to_bool(-3);
    if stack.is_nil(-2) {
        stack.set_top(bottom);
        return if ran { Outcome::Handled } else { Outcome::Silent };
    }
    stack.remove(-3);
    Outcome::Raised
}

fn socket<'a>(stack: Stack, method: &str) -> (&'a Object, &'a SocketPart) {
    let object = expect(stack, method, "socket");
    match object.socket() {
        Some(part) => (object, part),
        None => stack.raise(&Text::new(format_args!("'{method}' needs a socket"))),
    }
}

/// `admit(sock)`: the data of an accepted socket may come although `on_accept` still runs.
extern "C-unwind" fn admit(state: *mut lua_State) -> c_int {
    let stack = Stack::of(state);
    let (object, part) = socket(stack, "receive");
    if object.state.is_forked() {
        return 0;
    }
    fenced(stack, || {
        if let (Some(hub), Some(stream)) = (object.state.hub(), part.stream.borrow().as_ref()) {
            stream.admit(hub);
        }
    });
    0
}

/// `count(change)`: tasks keep `run` going, too.
extern "C-unwind" fn count(state: *mut lua_State) -> c_int {
    let stack = Stack::of(state);
    let more = stack.to_number(1).is_some_and(|change| change > 0.0);
    state_of(stack).count(if more { 1 } else { -1 });
    0
}

/// `depth()`: how many handlers are running inside of each other.
extern "C-unwind" fn depth(state: *mut lua_State) -> c_int {
    let stack = Stack::of(state);
    stack.push_count(state_of(stack).depth.get() as usize);
    1
}

/// `descend(call)`: raises where a call that would pump is too deep inside of handlers that do.
extern "C-unwind" fn descend(state: *mut lua_State) -> c_int {
    let stack = Stack::of(state);
    if state_of(stack).depth.get() >= limits::PUMP_DEPTH {
        let call = Lossy(stack.to_bytes(1).unwrap_or_default());
        let most = limits::PUMP_DEPTH;
        stack.raise(&Text::new(format_args!(
            "{call}: called inside of handlers that wait, {most} deep: each waits for those inside of it; \
             a handler that has to wait starts a task: evsock.spawn(function() ... end)"
        )));
    }
    0
}

/// `ends(sock)`: how many ends of connections it has been told of, and how many it has still to be
/// told of that were replaced.
extern "C-unwind" fn ends(state: *mut lua_State) -> c_int {
    let stack = Stack::of(state);
    let (object, _) = socket(stack, "receive");
    stack.push_count(object.ends.get() as usize);
    stack.push_count(usize::from(object.farewells.get()));
    2
}

/// `failure(sock)`: message and code of the last end of a connection, if it was not orderly.
extern "C-unwind" fn failure(state: *mut lua_State) -> c_int {
    let stack = Stack::of(state);
    let (object, part) = socket(stack, "receive");
    let held = part.failure.get();
    let Some(error) = held else { return 0 };
    let code = hold_error(&object.state, error);
    push_message(stack, &object.state);
    stack.push_bytes(code.as_str().as_bytes());
    2
}

/// `peer_ended(sock)`: whether the peer's end of stream has been dispatched.
extern "C-unwind" fn peer_ended(state: *mut lua_State) -> c_int {
    let stack = Stack::of(state);
    let (object, _) = socket(stack, "receive");
    stack.push_bool(object.peer_ended.get());
    1
}

/// `sent(sock)`: bytes handed to the system, bytes that wait, whether the two add up, and whether some
/// were dropped; progress wakes the tasks. If none comes before somebody reads, message and code of
/// why.
extern "C-unwind" fn sent(state: *mut lua_State) -> c_int {
    let stack = Stack::of(state);
    let (object, part) = socket(stack, "send");
    let (total, pending, adds_up, lost, why) = fenced(stack, || {
        let stream = part.stream.borrow();
        let Some(stream) = stream.as_ref().filter(|_| !object.state.is_forked()) else {
            return (0, 0, true, false, None);
        };
        let (total, pending, adds_up, lost, why) = stream.watch_sending();
        (total, pending, adds_up, lost, why.map(|error| hold_error(&object.state, error)))
    });
    stack.push_count(usize::try_from(total).unwrap_or(usize::MAX));
    stack.push_count(pending);
    stack.push_bool(adds_up);
    stack.push_bool(lost);
    let Some(code) = why else { return 4 };
    push_message(stack, &object.state);
    stack.push_bytes(code.as_str().as_bytes());
    6
}

/// `turn()`: the next pump calls `tasks[2]` once.
extern "C-unwind" fn turn(state: *mut lua_State) -> c_int {
    let stack = Stack::of(state);
    let state = state_of(stack);
    state.push(Item::Turn);
    state.ring();
    0
}

/// `unread(sock, data)`: puts bytes back before those that are buffered.
extern "C-unwind" fn unread(state: *mut lua_State) -> c_int {
    let stack = Stack::of(state);
    let (object, part) = socket(stack, "receive");
    let bytes = stack.to_bytes(2).unwrap_or_default();
    fenced(stack, || part.front_mut(object).unread(bytes));
    0
}

/// `watch(object, on)`: whether tasks wait on it.
extern "C-unwind" fn watch(state: *mut lua_State) -> c_int {
    let stack = Stack::of(state);
    if let Some(object) = Object::at(stack, 1) {
        object.watched.set(stack.to_bool(2));
    }
    0
}

/// Its connection has ended without an event to tell: those who wait look for themselves.
pub(super) fn tell_watchers(object: &Object) {
    if object.watched.get() && object.view.get() == View::Closed {
        object.state.push(Item::Turn);
        object.state.ring();
    }
}
