//! The sentinel: a userdata in the registry that owns the state of this library in one Lua state.
//!
//! Not here: the functions that have it as their upvalue (`run::functions`). Invariants: its finaliser
//! stops the thread when the Lua state is closed. It is younger than all that mlua has in the registry, so
//! it is finalised before, and nothing is loaded afterwards.

use std::ffi::{c_int, c_void};
use std::rc::Rc;

use mlua::{FromLuaMulti, IntoLuaMulti, Lua, ffi};

use super::stack::{Stack, Text};
use crate::lua::run::state::State;

/// The address of its block, which every raw function has as its upvalue. Lua frees the block after all
/// finalisers have run.
#[derive(Clone, Copy)]
pub(in crate::lua) struct Sentinel(*const *const State);

impl Sentinel {
    /// Pushes the address, for an upvalue.
    pub(in crate::lua) fn push(self, stack: Stack) {
        stack.push_pointer(self.0.cast());
    }

    /// The state; raises after its finaliser.
    pub(in crate::lua) fn state<'a>(self, stack: Stack) -> &'a State {
        state_behind(stack, self.0)
    }
}

/// Pushes a new one, and puts it in the registry.
pub(in crate::lua) fn push_sentinel(stack: Stack, state: Rc<State>) -> Sentinel {
    let state = Rc::into_raw(state);
    let block: *mut *const State = stack.new_block(size_of::<*const State>()).cast();
    // SAFETY: the block is new and has room for the address.
    unsafe { block.write(state) };
    stack.new_table();
    stack.push_bytes(b"__gc");
    stack.push_closure(close_state, 0);
    stack.raw_set(-3);
    stack.set_metatable(-2);
    stack.push_pointer(key());
    stack.push_value(-2);
    stack.raw_set(ffi::LUA_REGISTRYINDEX);
    Sentinel(block)
}

extern "C-unwind" fn close_state(state: *mut ffi::lua_State) -> c_int {
    let stack = Stack::of(state);
    let block: *mut *const State = stack.to_pointer(1).cast();
    // SAFETY: only the sentinel has this finaliser; the block was written when it was made.
    let address = unsafe { block.replace(std::ptr::null()) };
    if !address.is_null() {
        // SAFETY: the sentinel owns one count, given up here.
        let state = unsafe { Rc::from_raw(address) };
        state.shut();
        // Objects that are finalised after this one have counts of their own.
        drop(state);
    }
    0
}

/// The state behind the first upvalue of the running function.
pub(in crate::lua) fn state_of<'a>(stack: Stack) -> &'a State {
    state_behind(stack, stack.to_pointer(Stack::upvalue(1)).cast())
}

/// The state behind the sentinel's block; raises after the sentinel's finaliser.
fn state_behind<'a>(stack: Stack, block: *const *const State) -> &'a State {
    // SAFETY: every function that calls this was made over the sentinel's block. Lua
    // frees blocks after all finalisers have run.
    let address = unsafe { block.read() };
    if address.is_null() {
        stack.raise(&Text::new(format_args!("evsock: the Lua state is being closed")));
    }
    // SAFETY: the sentinel keeps the state alive until its finaliser clears the block.
    unsafe { &*address }
}

/// The same, counted.
pub(in crate::lua) fn shared_state(stack: Stack) -> Rc<State> {
    let address: *const State = state_of(stack);
    // SAFETY: the address came from `Rc::into_raw` and is still counted.
    unsafe { Rc::increment_strong_count(address) };
    // SAFETY: the count was raised for this one.
    unsafe { Rc::from_raw(address) }
}

/// Raises when the Lua state is being closed: what mlua keeps in it may be gone, and what would begin now
/// would never be ended.
pub(in crate::lua) fn refuse_at_the_end(stack: Stack) {
    stack.push_pointer(key());
    stack.raw_get(ffi::LUA_REGISTRYINDEX);
    let block: *const *const State = stack.to_pointer(-1).cast();
    if !block.is_null() {
        // Raises if the sentinel's finaliser has run.
        let _ = state_behind(stack, block);
    }
    stack.pop(1);
}

/// The key of the last sentinel in the registry.
fn key() -> *const c_void {
    static KEY: u8 = 0;
    (&raw const KEY).cast()
}

/// Runs `body` on a stack with these arguments; what it leaves there is the result.
///
/// # Errors
/// What it raises, or out of memory.
pub(in crate::lua) fn with_stack<R: FromLuaMulti>(
    lua: &Lua,
    arguments: impl IntoLuaMulti,
    body: impl FnOnce(Stack),
) -> mlua::Result<R> {
    // SAFETY: the function keeps to its own part of the stack.
    unsafe { lua.exec_raw(arguments, |state| body(Stack::of(state))) }
}
