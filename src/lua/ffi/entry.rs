//! What the loader calls.
//!
//! Not here: what is loaded (`crate::lua`), the table of functions (`run::functions`).

use std::ffi::c_int;
use std::panic::{AssertUnwindSafe, catch_unwind};

use mlua::{IntoLua, Lua, ffi};

use crate::lua::ffi::cold_call::raise_plain;
use crate::lua::ffi::sentinel::refuse_at_the_end;
use crate::lua::ffi::stack::{Function, Stack, Text};
use crate::reactor::settle_in;

/// The Lua that this library was compiled for.
const COMPILED_FOR: &str = if cfg!(feature = "luajit") {
    "LuaJIT"
} else if cfg!(feature = "lua51") {
    "Lua 5.1"
} else if cfg!(feature = "lua52") {
    "Lua 5.2"
} else if cfg!(feature = "lua53") {
    "Lua 5.3"
} else if cfg!(feature = "lua54") {
    "Lua 5.4"
} else {
    "Lua 5.5"
};

/// `require "evsock"`.
#[unsafe(no_mangle)]
pub(crate) extern "C-unwind" fn luaopen_evsock(state: *mut ffi::lua_State) -> c_int {
    extern "C-unwind" fn open(state: *mut ffi::lua_State) -> c_int {
        enter(state, crate::lua::open)
    }
    load(Stack::of(state), open)
}

/// `require "evsock.NAME"` without `require "evsock"` before it.
macro_rules! dialect_entries {
    ($($entry:ident opens $module:literal,)*) => {$(
        #[unsafe(no_mangle)]
        pub(crate) extern "C-unwind" fn $entry(state: *mut ffi::lua_State) -> c_int {
            extern "C-unwind" fn open(state: *mut ffi::lua_State) -> c_int {
                enter(state, |lua| crate::lua::open_dialect(lua, $module))
            }
            load(Stack::of(state), open)
        }
    )*};
}

dialect_entries! {
    luaopen_evsock_hammerspoon opens "evsock.hammerspoon",
    luaopen_evsock_luasocket opens "evsock.luasocket",
    luaopen_evsock_pharos opens "evsock.pharos",
    luaopen_evsock_qsys opens "evsock.qsys",
    luaopen_evsock_qsys_host opens "evsock.qsys.host",
    luaopen_evsock_renoise opens "evsock.renoise",
    luaopen_evsock_testing opens "evsock.testing",
}

/// Loads, unless this is another version of Lua, or its state is being closed.
fn load(stack: Stack, open: Function) -> c_int {
    settle_in();
    check_version(stack);
    refuse_at_the_end(stack);
    stack.set_top(0);
    stack.push_closure(open, 0);
    if !stack.protected_call(0, 1, 0) {
        raise_plain(stack);
    }
    1
}

/// Hands the loading over to mlua.
fn enter<R: IntoLua>(
    state: *mut ffi::lua_State,
    open: impl FnOnce(&Lua) -> mlua::Result<R>,
) -> c_int {
    // SAFETY: Lua has called us with its state, which is what mlua asks for.
    let prepare = || unsafe { Lua::get_or_init_from_ptr(state) };
    // mlua panics when there is no memory.
    let is_ready = catch_unwind(AssertUnwindSafe(prepare)).map(drop).map_err(drop).is_ok();
    if !is_ready {
        Stack::of(state).raise(&Text::new(format_args!("evsock: not enough memory")));
    }
    // SAFETY: as above.
    unsafe { Lua::entrypoint1(state, open) }
}

fn check_version(stack: Stack) {
    stack.push_global(b"jit");
    stack.push_global(b"_VERSION");
    let version = if stack.is_table(-2) { Some(&b"LuaJIT"[..]) } else { stack.to_bytes(-1) };
    let version = std::str::from_utf8(version.unwrap_or_default()).unwrap_or_default();
    if version != COMPILED_FOR {
        stack.raise(&Text::new(format_args!(
            "evsock: this library was built for {COMPILED_FOR} and cannot be loaded by {version}; \
             install it for that version (luarocks --lua-version)"
        )));
    }
    stack.pop(2);
}
