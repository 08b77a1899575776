//! The cold call: what Lua calls in place of each function of mlua's, the loaders among them.
//!
//! Not here: those functions (each `native.rs`). Invariants:
//! * None of them runs once the Lua state is being closed, when what mlua keeps may be gone.
//! * While one runs, `State::receiver` is the object that it was given first, unless a finaliser has made
//!   another cold call since.
//! * An error of mlua is a userdata, whose own functions are not called this way. It goes on as a text at
//!   the script's line.
//!
//! On Lua 5.1 mlua passes itself the function of a protected call in slots of the registry. Between its
//! writing and its reading there, the collector may run finalisers. A finaliser that makes a cold call
//! would leave its own function in the slot, to be run on the stack of the interrupted one. So a cold call
//! inside of another puts back what it found there.

use std::ffi::{c_int, c_void};

use mlua::{Lua, Table, ffi};

use crate::lua::class::object::Object;
use crate::lua::ffi::sentinel::{state_of, with_stack};
use crate::lua::ffi::stack::{Lossy, Stack, Text};
use crate::lua::run::queue::ObjectPointer;
use crate::lua::run::state::{MluaSlots, State};

/// Moves the functions of `cold` to `place`, each behind a cold call; `functions` has the sentinel.
///
/// # Errors
/// Out of memory.
pub(in crate::lua) fn wrap_functions(
    lua: &Lua,
    cold: Table,
    place: Table,
    functions: Table,
) -> mlua::Result<()> {
    with_stack(lua, (cold, place, functions), |stack| {
        stack.reserve(8);
        stack.push_bytes(b"sentinel");
        stack.raw_get(3);
        let block = stack.to_pointer(-1);
        stack.set_top(2);
        stack.push_nil();
        while stack.next(1) {
            stack.push_pointer(block);
            stack.insert(-2);
            stack.push_closure(cold_call, 2);
            stack.push_value(-2);
            stack.insert(-2);
            stack.raw_set(2);
        }
        stack.push_pointer(block);
        stack.push_closure(learn_slots, 1);
        stack.call(0, 0);
        stack.set_top(0);
    })
}

/// Upvalues: the sentinel's block, the function.
extern "C-unwind" fn cold_call(state: *mut ffi::lua_State) -> c_int {
    let stack = Stack::of(state);
    let receiver = Object::at(stack, 1).map_or(ObjectPointer::NOWHERE, Object::pointer);
    let state = state_of(stack);
    state.receiver.set(receiver);
    let arguments = stack.top();
    let is_nested = state.in_cold_call.replace(true);
    let saved = if cfg!(feature = "lua51") && is_nested { save_slots(stack, state) } else { 0 };
    stack.push_value(Stack::upvalue(2));
    stack.insert(saved + 1);
    let went_well = stack.protected_call(arguments, ffi::LUA_MULTRET, 0);
    restore_slots(stack, state, saved);
    state.in_cold_call.set(is_nested);
    if went_well {
        return stack.top() - saved;
    }
    raise_plain(stack)
}

/// Raises the error on top; one of mlua's as a text.
pub(in crate::lua) fn raise_plain(stack: Stack) -> ! {
    if stack.kind(-1) == ffi::LUA_TUSERDATA {
        stack.push_text_of(-1);
        let text = stack.to_bytes(-1).and_then(|text| text.split(|byte| *byte == b'\n').next());
        stack.raise(&Text::new(format_args!("{}", Lossy(text.unwrap_or_default()))));
    }
    stack.throw();
}

/// Copies what stands in mlua's slots below the arguments; how many values that is.
fn save_slots(stack: Stack, state: &State) -> c_int {
    let mut saved = 0;
    for key in slot_keys(state) {
        saved += 1;
        stack.push_pointer(key);
        stack.raw_get(ffi::LUA_REGISTRYINDEX);
        stack.insert(saved);
    }
    saved
}

/// And back into the slots. They have values, so nothing is allocated.
fn restore_slots(stack: Stack, state: &State, saved: c_int) {
    for (place, key) in (1..=saved).zip(slot_keys(state)) {
        stack.push_pointer(key);
        stack.push_value(place);
        stack.raw_set(ffi::LUA_REGISTRYINDEX);
    }
}

fn slot_keys(state: &State) -> impl Iterator<Item = *const c_void> {
    state.mlua_slots.get().into_iter().take_while(|key| !key.is_null())
}

/// Upvalue: the sentinel's block. Finds the slots of mlua.
extern "C-unwind" fn learn_slots(state: *mut ffi::lua_State) -> c_int {
    let stack = Stack::of(state);
    if cfg!(feature = "lua51") {
        state_of(stack).mlua_slots.set(find_slots(stack));
    }
    0
}

/// The keys in the registry that are addresses and hold functions of C. Those of another module that
/// uses mlua need the same care.
fn find_slots(stack: Stack) -> MluaSlots {
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
