//! The trace, on the script's side: turning it on, what it says of handlers, timers and watches, and
//! the call of the script's function for its lines.
//!
//! Not here: what is a sink and a level for scripts (`trace.lua`), lines and their bound (`net::trace`).
//! Invariants: that function runs in pumps and in `evsock.trace`, never inside of itself; whatever it
//! raises stays in `trace.lua`.

use std::ffi::c_int;
use std::rc::Rc;
use std::time::Instant;

use mlua::ffi::lua_State;
use mlua::{Lua, LuaString, Table};

use crate::limits;
use crate::lua::class::native::{answer, getter};
use crate::lua::class::object::{Object, Part};
use crate::lua::ffi::protected::catch_panic;
use crate::lua::ffi::sentinel::state_of;
use crate::lua::ffi::stack::{Function, Lossy, Stack};
use crate::lua::run::blame::peer_of;
use crate::lua::run::events::EventNumber;
use crate::lua::run::state::State;
use crate::net::trace::{Level, Sink};
use crate::proto::token::Token;

/// The functions that `trace.lua` uses.
pub(in crate::lua) const FUNCTIONS: &[(&str, Function)] =
    &[("deliver_trace", deliver_trace), ("set_trace_function", set_trace_function)];

/// Adds the functions in safe mlua.
pub(in crate::lua) fn add(lua: &Lua, table: &Table, state: &Rc<State>) -> mlua::Result<()> {
    let own = Rc::clone(state);
    // Level; nil: to stderr, false: to the function, else the path of a file.
    let set = move |lua: &Lua, (level, sink): (u8, mlua::Value)| {
        let level = match level {
            0 => Level::Off,
            1 => Level::Events,
            2 => Level::Data,
            _ => Level::Hex,
        };
        let sink = match sink {
            mlua::Value::String(path) => Sink::file(&path.as_bytes()),
            mlua::Value::Boolean(_) => Ok(Sink::Function),
            _ => Ok(Sink::Stderr),
        };
        if own.is_forked() {
            return answer(lua, Err(State::forked()));
        }
        answer(lua, sink.map(|sink| own.trace.set(level, sink)))
    };
    table.set("trace_set", lua.create_function(set)?)?;
    let own = Rc::clone(state);
    let fetch =
        move |lua: &Lua, (): ()| own.trace.fetch().map(|line| lua.create_string(line)).transpose();
    table.set("trace_fetch", lua.create_function(fetch)?)?;
    let own = Rc::clone(state);
    table.set("trace_waiting", lua.create_function(move |_, ()| Ok(own.trace.waiting()))?)?;
    let own = Rc::clone(state);
    let within = move |_: &Lua, is_within: bool| {
        own.trace.set_within(is_within);
        Ok(())
    };
    table.set("trace_within", lua.create_function(within)?)?;
    let own = Rc::clone(state);
    let tell = move |_: &Lua, (who, what): (LuaString, LuaString)| {
        tell_state(&own, &who.to_string_lossy(), &what.to_string_lossy());
        Ok(())
    };
    table.set("trace_tell", lua.create_function(tell)?)?;
    // Of a server its own, of a socket that of the server which has accepted it.
    getter(lua, table, state, "server_id", |object| object.server_id.get())
}

/// `set_trace_function(function)`: what pumps call when lines wait for the script's function.
extern "C-unwind" fn set_trace_function(state: *mut lua_State) -> c_int {
    let stack = Stack::of(state);
    stack.set_top(1);
    let function = stack.make_reference();
    let mut references = state_of(stack).references.get();
    references.deliver_trace = function;
    state_of(stack).references.set(references);
    0
}

/// `deliver_trace()`: hands the lines that wait over now.
extern "C-unwind" fn deliver_trace(state: *mut lua_State) -> c_int {
    let stack = Stack::of(state);
    deliver(stack, state_of(stack));
    0
}

/// Hands lines of the trace to the script's function, if any wait for it.
#[inline]
pub(in crate::lua) fn deliver(stack: Stack, state: &State) {
    if state.trace.is_on() {
        deliver_now(stack, state);
    }
}

#[cold]
fn deliver_now(stack: Stack, state: &State) {
    let function = state.references.get().deliver_trace;
    if function == 0 || state.delivers_trace.get() || state.is_forked() {
        return;
    }
    if state.trace.waiting() == 0 {
        return;
    }
    state.delivers_trace.set(true);
    let top = stack.top();
    stack.reserve(4);
    stack.push_reference(function);
    // It raises only where memory is out.
    stack.protected_call(0, 0, 0);
    stack.set_top(top);
    state.delivers_trace.set(false);
    catch_panic(stack, || state.trace.set_within(false));
}

/// Tells something of an object, if anybody wants to know.
#[inline]
pub(in crate::lua) fn tell(object: &Object, what: impl FnOnce() -> String) {
    if object.state.trace.is_on() {
        tell_of(object, None, &what());
    }
}

#[cold]
fn tell_of(object: &Object, token: Option<Token>, what: &str) {
    let peer = peer_of(object).unwrap_or_default();
    let who = match &object.part {
        Part::Datagram(_) => format!("udp socket on {peer}"),
        Part::Question(_) => "question".to_owned(),
        Part::Server(_) => format!("server on {peer}"),
        Part::Socket(part) if part.target.get().is_some() => format!("socket to {peer}"),
        Part::Socket(_) => format!("socket from {peer}"),
        Part::Timer(_) => "timer".to_owned(),
        Part::Watch(_) if peer.is_empty() => "watch".to_owned(),
        Part::Watch(_) => format!("watch of descriptor {peer}"),
    };
    let own = object.name();
    if own.is_some() {
        object.state.told_of.set(own);
    }
    let token = own.or(token);
    if let (false, Some(hub)) = (object.state.is_forked(), object.state.hub()) {
        match token {
            Some(token) => hub.tell(token, &who, what, (None, None)),
            None => tell_state(&object.state, &who, what),
        }
    }
}

/// Tells something that is of no source.
fn tell_state(state: &State, who: &str, what: &str) {
    if state.is_forked() {
        return;
    }
    let now = state.hub().map_or_else(Instant::now, |hub| hub.now());
    let is_first = state.trace.tell(None, who, what, (None, None), now);
    if let Some(hub) = state.hub().filter(|_| is_first) {
        hub.call_for_trace();
    }
}

/// When a handler begins, and of which source: its object may be closed in it, as a timer is before.
pub(in crate::lua) type Began = (Instant, Option<Token>);

/// That, if anybody wants to know how long it takes.
#[inline]
pub(in crate::lua) fn begin(state: &State) -> Option<Began> {
    state.trace.is_on().then(|| (Instant::now(), None))
}

/// The same of a handler of the object at `index`.
#[inline]
pub(in crate::lua) fn begin_handler(stack: Stack, state: &State, index: c_int) -> Option<Began> {
    state.trace.is_on().then(|| {
        let token = Object::at(stack, index).and_then(Object::name);
        (Instant::now(), token.or(state.told_of.get()))
    })
}

/// A handler of the object at `index` has returned, or raised the error on top.
#[cold]
pub(in crate::lua) fn tell_handler(
    stack: Stack,
    index: c_int,
    number: EventNumber,
    (began, token): Began,
    went_well: bool,
) {
    let Some(object) = Object::at(stack, index) else { return };
    let took = began.elapsed();
    catch_panic(stack, || {
        let row = EventNumber::with_handlers().find(|row| row.number == number);
        let name = row.map_or("callback", |row| row.handler);
        if took > limits::SLOW_HANDLER {
            let seconds = took.as_secs_f64();
            let what =
                format!("its {name} took {seconds:.3} s, in which no other handler could run");
            tell_of(object, token, &what);
        }
        if !went_well {
            let text = stack.is_string(-1).then(|| stack.to_bytes(-1)).flatten();
            let first = text.unwrap_or(b"?").split(|byte| *byte == b'\n').next();
            let message = Lossy(first.unwrap_or_default());
            tell_of(object, token, &format!("its {name} raised: {message}"));
        }
    });
}

/// A task has waited again, or is over.
pub(in crate::lua) fn tell_task(stack: Stack, state: &State, (began, _): Began) {
    let took = began.elapsed();
    if took > limits::SLOW_HANDLER {
        catch_panic(stack, || {
            let seconds = took.as_secs_f64();
            let what =
                format!("ran for {seconds:.3} s without a wait, in which no handler could run");
            tell_state(state, "task", &what);
        });
    }
}
