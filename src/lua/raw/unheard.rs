//! What `unheard.lua` asks for: a line on stderr.
//!
//! Not here: which failures meet no handler (`dispatch`).

use std::ffi::c_int;

use mlua::ffi::lua_State;

use super::guard::fenced;
use super::stack::{Function, Stack};
use crate::reactor;

/// The functions that `unheard.lua` uses.
pub(in crate::lua) const FUNCTIONS: &[(&str, Function)] = &[("say", say)];

/// `say(line)`: on stderr, if that takes it at once.
extern "C-unwind" fn say(state: *mut lua_State) -> c_int {
    let stack = Stack::of(state);
    let line = stack.to_bytes(1).unwrap_or_default();
    fenced(stack, || reactor::say(line));
    0
}
