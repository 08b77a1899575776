//! What stands before each of mlua's functions that Lua calls.
//!
//! Not here: those functions (`native`). Invariants: none of them runs once the Lua state is being
//! closed; while one runs, `State::callee` is what it was given first, unless a finaliser has called
//! another since.
//!
//! On Lua 5.1 mlua hands itself the function of a protected call through the registry, and between the
//! hand and the other the collector may run finalisers. One that calls a function of ours would leave
//! its own function there, to be run on the stack of the other: so it puts back what it found.

use std::ffi::c_int;

use mlua::{Lua, Table, ffi};

use super::object::{Object, state_of};
use super::stack::Stack;
use crate::lua::state::State;

/// Moves the functions of `cold` to `functions`, shielded.
///
/// # Errors
/// Out of memory.
pub(in crate::lua) fn shield(lua: &Lua, cold: Table, functions: Table) -> mlua::Result<()> {
    // SAFETY: the closure keeps to its two arguments and leaves nothing.
    unsafe {
        lua.exec_raw((cold, functions), |raw| {
            let stack = Stack::of(raw);
            stack.reserve(8);
            stack.push_bytes(b"sentinel");
            stack.raw_get(2);
            let block = stack.to_pointer(-1);
            stack.set_top(2);
            stack.push_nil();
            while stack.next(1) {
                stack.push_pointer(block);
                stack.insert(-2);
                stack.push_closure(shielded, 2);
                stack.push_value(-2);
                stack.insert(-2);
                stack.raw_set(2);
            }
            stack.push_pointer(block);
            stack.push_closure(learn, 1);
            stack.call(0, 0);
            stack.set_top(0);
        })
    }
}

/// Upvalues: the sentinel's block, the function.
extern "C-unwind" fn shielded(state: *mut ffi::lua_State) -> c_int {
    let stack = Stack::of(state);
    let callee = Object::at(stack, 1).map_or(std::ptr::null(), std::ptr::from_ref);
    let state = state_of(stack);
    state.callee.set(callee);
    let arguments = stack.top();
    let held = hold(stack, state);
    stack.push_value(Stack::upvalue(2));
    stack.insert(held + 1);
    stack.call(arguments, ffi::LUA_MULTRET);
    put_back(stack, state, held);
    stack.top() - held
}

/// Upvalue: the sentinel's block. Finds where mlua keeps what it hands itself.
extern "C-unwind" fn learn(state: *mut ffi::lua_State) -> c_int {
    let stack = Stack::of(state);
    if cfg!(feature = "lua51") {
        state_of(stack).hands.set(hands(stack));
    }
    0
}

/// The keys in the registry that are addresses within this library and hold functions of C.
fn hands(stack: Stack) -> [*const std::ffi::c_void; 2] {
    static HERE: u8 = 0;
    const NEAR: usize = 64 * 1024 * 1024;
    let here = (&raw const HERE).addr();
    let mut found = [std::ptr::null(); 2];
    let mut free = found.iter_mut();
    stack.push_nil();
    while stack.next(ffi::LUA_REGISTRYINDEX) {
        let is_address = stack.kind(-2) == ffi::LUA_TLIGHTUSERDATA;
        let key: *const std::ffi::c_void = stack.to_pointer(-2);
        if is_address
            && key.addr().abs_diff(here) < NEAR
            && stack.is_c_function(-1)
            && let Some(place) = free.next()
        {
            *place = key;
        }
        stack.pop(1);
    }
    found
}

/// Puts what mlua is handing itself below the arguments, if this is a call within a call; how many
/// values that is.
fn hold(stack: Stack, state: &State) -> c_int {
    if !cfg!(feature = "lua51") || !state.cold.replace(true) {
        return 0;
    }
    let mut held = 0;
    for key in state.hands.get().into_iter().filter(|key| !key.is_null()) {
        held += 1;
        stack.push_pointer(key);
        stack.raw_get(ffi::LUA_REGISTRYINDEX);
        stack.insert(held);
    }
    held
}

/// The end of the call. One that raised leaves `cold` behind: the next hold a little for nothing.
fn put_back(stack: Stack, state: &State, held: c_int) {
    state.cold.set(held > 0);
    let keys = state.hands.get().into_iter().filter(|key| !key.is_null());
    for (place, key) in (1..=held).zip(keys) {
        stack.push_pointer(key);
        stack.push_value(place);
        stack.raw_set(ffi::LUA_REGISTRYINDEX);
    }
}
