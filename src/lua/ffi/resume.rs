//! `resume` of a coroutine at the price of Lua's own, for as long as no task runs.
//!
//! Not here: coroutines inside of tasks (`lua/task/coroutine.lua`), to which this hands over when one
//! runs. Only where a raw function can be left by a yield of what it calls: not on Lua 5.1, nor in
//! LuaJIT, whose compiler is faster with the Lua function alone.

use std::ffi::c_int;

use mlua::ffi;

use crate::lua::ffi::stack::Stack;

/// `resumer(busy, otherwise)`: the function. The list `busy` is not empty while `otherwise(thread, ...)` is
/// to be called in place of Lua's `resume`.
pub(in crate::lua) extern "C-unwind" fn resumer(state: *mut ffi::lua_State) -> c_int {
    let stack = Stack::of(state);
    stack.set_top(2);
    stack.push_closure(resume, 2);
    1
}

extern "C-unwind" fn resume(state: *mut ffi::lua_State) -> c_int {
    let stack = Stack::of(state);
    let arguments = stack.top() - 1;
    let is_idle = stack.size(Stack::upvalue(1)) == 0;
    let thread = if is_idle { stack.startable(1) } else { None };
    let Some(thread) = thread else {
        stack.push_value(Stack::upvalue(2));
        stack.insert(1);
        return stack.hand_over(arguments + 1);
    };
    stack.resume(thread, arguments)
}
