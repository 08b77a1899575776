//! What stands before each of mlua's functions that Lua calls, the loaders among them.
//!
//! Not here: those functions (`native`). Invariants: none of them runs once the Lua state is being
//! closed, when what mlua keeps may be gone; while one runs, `State::callee` is what it was given first, unless a finaliser has called
//! another since; an error of mlua, a userdata with functions that are not shielded, goes on as a text
//! at the script's line.
//!
//! On Lua 5.1 mlua hands itself the function of a protected call through the registry, and between the
//! hand and the other the collector may run finalisers. One that calls a function of ours would leave
//! its own function there, to be run on the stack of the other: so it puts back what it found.

use std::ffi::{c_int, c_void};

use mlua::{Lua, Table, ffi};

use super::object::{Object, state_of};
use super::stack::{Lossy, Stack, Text};
use crate::lua::state::{Hands, State};

/// Moves the functions of `cold` to `place`, shielded; `functions` has the sentinel.
///
/// # Errors
/// Out of memory.
pub(in crate::lua) fn shield(
    lua: &Lua,
    cold: Table,
    place: Table,
    functions: Table,
) -> mlua::Result<()> {
    // SAFETY: the closure keeps to its three arguments and leaves nothing.
    unsafe {
        lua.exec_raw((cold, place, functions), |raw| {
            let stack = Stack::of(raw);
            stack.reserve(8);
            stack.push_bytes(b"sentinel");
            stack.raw_get(3);
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
    let is_nested = state.cold.replace(true);
    let held = if cfg!(feature = "lua51") && is_nested { hold(stack, state) } else { 0 };
    stack.push_value(Stack::upvalue(2));
    stack.insert(held + 1);
    let went_well = stack.protected_call(arguments, ffi::LUA_MULTRET, 0);
    put_back(stack, state, held);
    state.cold.set(is_nested);
    if went_well {
        return stack.top() - held;
    }
    raise_plain(stack)
}

/// Raises the error on top; one of mlua's as a text.
pub(super) fn raise_plain(stack: Stack) -> ! {
    if stack.kind(-1) == ffi::LUA_TUSERDATA {
        stack.push_text_of(-1);
        let text = stack.to_bytes(-1).and_then(|text| text.split(|byte| *byte == b'\n').next());
        stack.raise(&Text::new(format_args!("{}", Lossy(text.unwrap_or_default()))));
    }
    stack.throw();
}

/// Puts what mlua is handing itself below the arguments; how many values that is.
fn hold(stack: Stack, state: &State) -> c_int {
    let mut held = 0;
    for key in keys(state) {
        held += 1;
        stack.push_pointer(key);
        stack.raw_get(ffi::LUA_REGISTRYINDEX);
        stack.insert(held);
    }
    held
}

/// And back to where it was. The places have values: nothing is allocated.
fn put_back(stack: Stack, state: &State, held: c_int) {
    for (place, key) in (1..=held).zip(keys(state)) {
        stack.push_pointer(key);
        stack.push_value(place);
        stack.raw_set(ffi::LUA_REGISTRYINDEX);
    }
}

fn keys(state: &State) -> impl Iterator<Item = *const c_void> {
    state.hands.get().into_iter().take_while(|key| !key.is_null())
}

/// Upvalue: the sentinel's block. Finds where mlua keeps what it hands itself.
extern "C-unwind" fn learn(state: *mut ffi::lua_State) -> c_int {
    let stack = Stack::of(state);
    if cfg!(feature = "lua51") {
        state_of(stack).hands.set(hands(stack));
    }
    0
}

/// The keys in the registry that are addresses and hold functions of C. Those of another module that
/// uses mlua need the same care.
fn hands(stack: Stack) -> Hands {
    let mut found = [std::ptr::null(); 8];
    let mut free = found.iter_mut();
    stack.push_nil();
    while stack.next(ffi::LUA_REGISTRYINDEX) {
        let is_address = stack.kind(-2) == ffi::LUA_TLIGHTUSERDATA;
        if is_address
            && stack.is_c_function(-1)
            && let Some(place) = free.next()
        {
            *place = stack.to_pointer(-2).cast_const();
        }
        stack.pop(1);
    }
    found
}
