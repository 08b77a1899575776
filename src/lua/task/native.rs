//! The native half of tasks: when their Lua half is called, and what it asks of a socket.
//!
//! Not here: coroutines and what a waiting call waits for (the Lua half). Invariant: an error of a
//! task leaves the rest of the work queued in order, as that of a handler does.

use std::ffi::c_int;

use mlua::ffi::lua_State;

use crate::limits;
use crate::lua::class::kind::Kind;
use crate::lua::class::object::{Object, Part};
use crate::lua::class::receiver::socket;
use crate::lua::ffi::protected::catch_panic;
use crate::lua::ffi::sentinel::state_of;
use crate::lua::ffi::stack::{Function, Lossy, Stack, Text};
use crate::lua::run::errors::{hold_error, push_message};
use crate::lua::run::handlers::Outcome;
use crate::lua::run::queue::Work;
use crate::lua::run::state::{References, State};
use crate::lua::run::trace;
use crate::lua::socket::status::is_writable;
use crate::lua::watch::listen::listeners_changed;
use crate::proto::script::SocketState;

/// The functions that the Lua half uses.
pub(in crate::lua) const FUNCTIONS: &[(&str, Function)] = &[
    ("admit", admit),
    ("at_eof", at_eof),
    ("background", background),
    ("check_depth", check_depth),
    ("closes", closes),
    ("count_task", count_task),
    ("depth", depth),
    ("failure", failure),
    ("has_come", has_come),
    ("sent", sent),
    ("set_scheduler", set_scheduler),
    ("task_ready", task_ready),
    ("unread", unread),
    ("watch", watch),
];

/// `set_scheduler(functions, parts)`: those of `scheduler.lua` that are called from here, by name, and what
/// was loaded with them. The first call counts; returns its parts, whoever asks: a finaliser may ask
/// while another call is about to.
extern "C-unwind" fn set_scheduler(state: *mut lua_State) -> c_int {
    let stack = Stack::of(state);
    stack.set_top(2);
    let function = |name: &str| {
        stack.push_bytes(name.as_bytes());
        stack.raw_get(1);
        stack.make_reference()
    };
    let (wake, run_ready_task) = (function("wake"), function("run_ready_task"));
    stack.push_value(2);
    let parts = stack.make_reference();
    // Making references may collect garbage, so finalisers have had their say by now.
    let mut references = state_of(stack).references.get();
    if references.wake == References::default().wake {
        (references.wake, references.run_ready_task) = (wake, run_ready_task);
        references.tasks = parts;
        state_of(stack).references.set(references);
    }
    stack.push_reference(references.tasks);
    1
}

/// Resumes the tasks that wait on the object at `index`, which is taken off the stack. After a
/// handler that raised they become ready one by one: its error is reported first.
pub(in crate::lua) fn wake(stack: Stack, state: &State, index: c_int, outcome: Outcome) -> Outcome {
    stack.push_reference(state.references.get().wake);
    stack.push_value(index);
    stack.push_bool(outcome == Outcome::Raised);
    let woken = run_task(stack, state, 2);
    if outcome == Outcome::Raised {
        // Whatever the tasks had to say waits until they run.
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

/// Runs the task that has been ready for the longest time.
pub(in crate::lua) fn run_ready_task(stack: Stack, state: &State) -> Outcome {
    stack.push_reference(state.references.get().run_ready_task);
    stack.push_bool(state.missed.replace(false));
    run_task(stack, state, 1)
}

/// Calls a function of `scheduler.lua`. It answers whether a task ran, and the task and its error when
/// nobody else will hear of that.
fn run_task(stack: Stack, state: &State, arguments: c_int) -> Outcome {
    let bottom = stack.top() - arguments - 1;
    let began = trace::begin(state);
    let went_well = stack.protected_call(arguments, 3, 0);
    if let Some(began) = began {
        trace::tell_task(stack, state, began);
    }
    if !went_well {
        // Out of memory, at most: there is no task to blame. Those that wait look again.
        state.missed.set(true);
        state.queue.push(Work::TaskReady);
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

/// `admit(sock)`: the data of an accepted socket may come although `on_accept` still runs.
extern "C-unwind" fn admit(state: *mut lua_State) -> c_int {
    let stack = Stack::of(state);
    let (object, part) = socket(stack, "receive");
    if object.state.is_forked() {
        return 0;
    }
    catch_panic(stack, || {
        if let (Some(hub), Some(stream)) = (object.state.hub(), part.stream.borrow().as_ref()) {
            stream.admit(hub);
        }
    });
    0
}

/// `count_task(more)`: a task has begun or, without `more`, is done; tasks keep `run` going, too. The time.
extern "C-unwind" fn count_task(state: *mut lua_State) -> c_int {
    let stack = Stack::of(state);
    let state = state_of(stack);
    state.hold_loop(stack.to_bool(1));
    stack.push_number(state.now());
    1
}

/// `background(timer)`: it keeps no `run` going; a task's own timer does not, since the task does.
extern "C-unwind" fn background(state: *mut lua_State) -> c_int {
    let stack = Stack::of(state);
    if let Some(Part::Timer(part)) = Object::at(stack, 1).map(|object| &object.part) {
        part.background.set(true);
    }
    0
}

/// `depth()`: how many handlers are running inside of each other.
extern "C-unwind" fn depth(state: *mut lua_State) -> c_int {
    let stack = Stack::of(state);
    stack.push_count(state_of(stack).depth.get() as usize);
    1
}

/// `check_depth(call)`: raises where a call that would pump is too deep inside of handlers that do.
extern "C-unwind" fn check_depth(state: *mut lua_State) -> c_int {
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

/// `closes(sock)`: how many closes of its connections were dispatched, and how many of superseded ones
/// still wait for that.
extern "C-unwind" fn closes(state: *mut lua_State) -> c_int {
    let stack = Stack::of(state);
    let (object, _) = socket(stack, "receive");
    let script = object.script();
    stack.push_count(script.closes() as usize);
    stack.push_count(usize::from(script.superseded()));
    2
}

/// `failure(sock)`: message and code of the last close of a connection, if it was not orderly.
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

/// `at_eof(sock)`: whether the peer's end of stream has been dispatched.
extern "C-unwind" fn at_eof(state: *mut lua_State) -> c_int {
    let stack = Stack::of(state);
    let (object, _) = socket(stack, "receive");
    stack.push_bool(object.script().has_peer_ended());
    1
}

/// `has_come(sock, event, closes)`: whether a wait for "connect", "data" or "write" may end: nil if its
/// connection is over. `closes`, which is the second result, are those before it; in the first call nil.
extern "C-unwind" fn has_come(state: *mut lua_State) -> c_int {
    let stack = Stack::of(state);
    let (object, part) = socket(stack, "wait");
    let script = object.script();
    let closes = f64::from(script.closes());
    let before = stack.to_number(3).unwrap_or(closes + f64::from(script.superseded()));
    let is_over = closes > before
        || matches!(script.state(), SocketState::Idle | SocketState::Closed | SocketState::Closing);
    let come = match stack.to_bytes(2) {
        Some(b"connect") => (script.state() == SocketState::Open).then_some(true),
        Some(b"data") => {
            let has_data = !part.front(object).is_empty();
            if has_data { Some(true) } else { script.has_peer_ended().then_some(false) }
        }
        _ => (!is_over && is_writable(stack, object, part)).then_some(true),
    };
    match come {
        Some(true) => stack.push_bool(true),
        None if !is_over => stack.push_bool(false),
        _ => stack.push_nil(),
    }
    stack.push_number(before);
    2
}

/// `sent(sock)`: bytes handed to the system, bytes that wait, whether the two add up, and whether some
/// were dropped; progress wakes the tasks. If none comes before somebody reads, message and code of
/// why.
extern "C-unwind" fn sent(state: *mut lua_State) -> c_int {
    let stack = Stack::of(state);
    let (object, part) = socket(stack, "send");
    let (total, pending, adds_up, lost, why) = catch_panic(stack, || {
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

/// `task_ready()`: the next pump calls `run_ready_task` of the scheduler once.
extern "C-unwind" fn task_ready(state: *mut lua_State) -> c_int {
    let stack = Stack::of(state);
    let state = state_of(stack);
    state.queue.push(Work::TaskReady);
    state.ring();
    0
}

/// `unread(sock, data)`: puts bytes back before those that are buffered.
extern "C-unwind" fn unread(state: *mut lua_State) -> c_int {
    let stack = Stack::of(state);
    let (object, part) = socket(stack, "receive");
    let bytes = stack.to_bytes(2).unwrap_or_default();
    catch_panic(stack, || part.front_mut(object).make().unread(bytes));
    0
}

/// `watch(object, on)`: whether tasks wait on it. A question that nobody waits for is called off.
extern "C-unwind" fn watch(state: *mut lua_State) -> c_int {
    let stack = Stack::of(state);
    if let Some(object) = Object::at(stack, 1) {
        let is_watched = stack.to_bool(2);
        object.watched.set(is_watched);
        match object.kind() {
            Kind::Question if !is_watched => catch_panic(stack, || object.let_go()),
            Kind::Watch => listeners_changed(stack, object),
            _ => {}
        }
    }
    0
}
