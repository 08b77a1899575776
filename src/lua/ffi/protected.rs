//! Calls under protection: an error of Lua does not leave by a jump, a panic of ours does not unwind
//! through Lua.
//!
//! Invariant: an error of Lua stands on top of the stack, in place of what the body would have pushed.

use std::ffi::c_int;
use std::panic::{AssertUnwindSafe, catch_unwind};

use mlua::ffi::lua_State;

use crate::lua::ffi::stack::{Stack, Text};
use crate::lua::run::state::State;

/// Runs on a stack of its own, above one place that is taken; how many values on top it leaves.
pub(in crate::lua) type Body<'a> = dyn Fn(Stack) -> c_int + 'a;

/// Runs the body, and leaves so many of its `results`; whether it went well. What it raises jumps out of
/// it, so it holds nothing that has a destructor.
pub(in crate::lua) fn protected(
    stack: Stack,
    state: &State,
    results: c_int,
    body: &Body<'_>,
) -> bool {
    stack.push_reference(state.references.get().runner);
    stack.push_pointer((&raw const body).cast());
    stack.protected_call(1, results, 0)
}

/// `runner(body)`: what that leaves.
pub(in crate::lua) extern "C-unwind" fn runner(state: *mut lua_State) -> c_int {
    let stack = Stack::of(state);
    let body: *const &Body<'_> = stack.to_pointer(1).cast();
    // SAFETY: only `protected` calls this, with what stays until it returns.
    let body = unsafe { *body };
    body(stack)
}

/// Runs a body that calls no Lua. After a panic, which is a fault of ours, raises an error.
pub(in crate::lua) fn catch_panic<T>(stack: Stack, body: impl FnOnce() -> T) -> T {
    let result = catch_unwind(AssertUnwindSafe(body));
    match result {
        Ok(value) => value,
        Err(payload) => {
            // Dropped before the jump.
            drop(payload);
            stack.raise(&Text::new(format_args!("evsock: internal fault, please report it")))
        }
    }
}
