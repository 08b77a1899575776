//! A failure that met no handler: who hears of it then, and the line on stderr.
//!
//! Not here: what the line says (`unheard.lua`).

use std::ffi::c_int;

use mlua::ffi::lua_State;

use super::arguments::Argument;
use super::dispatch::{Base, Number, push_handler};
use super::guard::fenced;
use super::object::Object;
use super::stack::{Function, Stack};
use crate::reactor;

/// The functions that `unheard.lua` uses.
pub(in crate::lua) const FUNCTIONS: &[(&str, Function)] = &[("say", say)];

/// Pushes the function for an event, of a failure that meets none that of the class; which event it
/// is then, and whether it is the class's. A task that waits on the object hears what befalls it.
#[inline]
pub(super) fn push_listener(
    stack: Stack,
    base: Base,
    number: Number,
    argument: Argument,
    object: c_int,
) -> (Number, bool) {
    let is_class = push_handler(stack, base, number as u32, object);
    let is_watched = || Object::at(stack, object).is_some_and(|object| object.watched.get());
    if !matches!(argument, Argument::Failure) || !stack.is_nil(-1) || is_watched() {
        return (number, is_class);
    }
    stack.set_top(object);
    (Number::Unheard, push_handler(stack, base, Number::Unheard as u32, object))
}

/// `say(line)`: on stderr, if that takes it at once.
extern "C-unwind" fn say(state: *mut lua_State) -> c_int {
    let stack = Stack::of(state);
    let line = stack.to_bytes(1).unwrap_or_default();
    fenced(stack, || reactor::say(line));
    0
}
