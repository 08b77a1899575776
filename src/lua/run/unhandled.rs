//! A failure that met no handler: who hears of it then, and the line on stderr.
//!
//! Not here: what the line says (`unhandled.lua`).

use std::ffi::c_int;

use mlua::ffi::lua_State;

use crate::lua::class::kind::Kind;
use crate::lua::class::object::Object;
use crate::lua::ffi::protected::catch_panic;
use crate::lua::ffi::stack::{Function, Stack};
use crate::lua::run::arguments::Argument;
use crate::lua::run::events::EventNumber;
use crate::lua::run::handlers::{Base, push_handler};
use crate::reactor;

/// The functions that `unhandled.lua` uses.
pub(in crate::lua) const FUNCTIONS: &[(&str, Function)] = &[("say", say)];

/// Pushes the function for an event; for a failure that has none, the class's function for the event
/// `unhandled`. Which event it is then, and whether the function is the class's. A failure that
/// ends the waits on the object is handled if a task waits on it.
#[inline]
pub(in crate::lua) fn push_listener(
    stack: Stack,
    base: Base,
    number: EventNumber,
    argument: Argument,
    object: c_int,
) -> (EventNumber, bool) {
    let is_class = push_handler(stack, base, number as u32, object);
    let is_watched = || {
        Object::at(stack, object)
            .is_some_and(|object| object.watched.get() && tells_waiters(object.kind()))
    };
    if !matches!(argument, Argument::Failure) || !stack.is_nil(-1) || is_watched() {
        return (number, is_class);
    }
    stack.set_top(object);
    (EventNumber::Unhandled, push_handler(stack, base, EventNumber::Unhandled as u32, object))
}

/// Whether a failure ends the waits on the object: a server and a socket for datagrams go on.
fn tells_waiters(kind: Kind) -> bool {
    !matches!(kind, Kind::Server | Kind::Datagram)
}

/// `say(line)`: writes the line to stderr, if that does not block.
extern "C-unwind" fn say(state: *mut lua_State) -> c_int {
    let stack = Stack::of(state);
    let line = stack.to_bytes(1).unwrap_or_default();
    catch_panic(stack, || reactor::say(line));
    0
}
