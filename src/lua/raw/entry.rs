//! What the loader calls, and the table of raw functions that the rest is built from.
//!
//! Invariants: the sentinel in the registry owns the state; its finaliser stops the thread when the
//! Lua state is closed. It is younger than all that mlua has there, so it is finalised before, and
//! nothing is loaded afterwards.

use std::ffi::{c_int, c_void};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;

use mlua::{IntoLua, Lua, Table, ffi};

use super::accept::accept;
use super::anchor;
use super::arguments::preparer;
use super::attend::{attend, flush};
use super::blame::{blamer, traceback};
use super::dispatch::NAMES;
use super::finish::{collect, retire};
use super::index::{index, new_index};
use super::lines;
use super::live;
use super::making::maker;
use super::misuse;
use super::notes;
use super::object::{Object, Part, create, state_behind};
use super::own;
use super::pump::{dispatcher, pump};
use super::shield::raise_plain;
use super::socket::FUNCTIONS;
use super::stack::{Function, Lossy, Stack, Text};
use super::tasks;
use super::unheard;
use crate::lua::state::{References, State};
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

/// `require "evsock.qsys"` without `require "evsock"` before it.
#[unsafe(no_mangle)]
pub(crate) extern "C-unwind" fn luaopen_evsock_qsys(state: *mut ffi::lua_State) -> c_int {
    extern "C-unwind" fn open(state: *mut ffi::lua_State) -> c_int {
        enter(state, |lua| crate::lua::open_dialect(lua, "evsock.qsys"))
    }
    load(Stack::of(state), open)
}

/// `require "evsock.pharos"`, likewise.
#[unsafe(no_mangle)]
pub(crate) extern "C-unwind" fn luaopen_evsock_pharos(state: *mut ffi::lua_State) -> c_int {
    extern "C-unwind" fn open(state: *mut ffi::lua_State) -> c_int {
        enter(state, |lua| crate::lua::open_dialect(lua, "evsock.pharos"))
    }
    load(Stack::of(state), open)
}

/// `require "evsock.renoise"`, likewise.
#[unsafe(no_mangle)]
pub(crate) extern "C-unwind" fn luaopen_evsock_renoise(state: *mut ffi::lua_State) -> c_int {
    extern "C-unwind" fn open(state: *mut ffi::lua_State) -> c_int {
        enter(state, |lua| crate::lua::open_dialect(lua, "evsock.renoise"))
    }
    load(Stack::of(state), open)
}

/// `require "evsock.hammerspoon"`, likewise.
#[unsafe(no_mangle)]
pub(crate) extern "C-unwind" fn luaopen_evsock_hammerspoon(state: *mut ffi::lua_State) -> c_int {
    extern "C-unwind" fn open(state: *mut ffi::lua_State) -> c_int {
        enter(state, |lua| crate::lua::open_dialect(lua, "evsock.hammerspoon"))
    }
    load(Stack::of(state), open)
}

/// Loads, unless that Lua is another or ends.
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
    // It panics when there is no memory.
    let is_ready = catch_unwind(AssertUnwindSafe(prepare)).map(drop).map_err(drop).is_ok();
    if !is_ready {
        Stack::of(state).raise(&Text::new(format_args!("evsock: not enough memory")));
    }
    // SAFETY: as above.
    unsafe { Lua::entrypoint1(state, open) }
}

/// Raises when the Lua state is being closed: what mlua keeps in it may be gone, and nobody would end
/// what is begun now.
fn refuse_at_the_end(stack: Stack) {
    stack.push_pointer(key());
    stack.raw_get(ffi::LUA_REGISTRYINDEX);
    let block: *const *const State = stack.to_pointer(-1).cast();
    if !block.is_null() {
        // Raises if the sentinel's finaliser has run.
        let _ = state_behind(stack, block);
    }
    stack.pop(1);
}

/// Under which the last sentinel made stands in the registry.
fn key() -> *const c_void {
    static KEY: u8 = 0;
    (&raw const KEY).cast()
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

/// The raw functions of a new state, as a table for the Lua side.
///
/// # Errors
/// Out of memory.
pub(in crate::lua) fn functions(lua: &Lua, state: &Rc<State>) -> mlua::Result<Table> {
    let state = Rc::clone(state);
    // SAFETY: the closure keeps to its own part of the stack and leaves one table on it.
    unsafe { lua.exec_raw((), move |raw| fill(Stack::of(raw), state)) }
}

fn fill(stack: Stack, state: Rc<State>) {
    stack.reserve(20);
    state.main_thread.set(stack.main_thread());
    let block = push_sentinel(stack, Rc::into_raw(state));
    stack.push_pointer(key());
    stack.push_value(-2);
    stack.raw_set(ffi::LUA_REGISTRYINDEX);
    stack.register();
    stack.new_table();
    let functions = stack.top();
    let more = live::FUNCTIONS
        .iter()
        .chain(lines::FUNCTIONS)
        .chain(misuse::FUNCTIONS)
        .chain(notes::FUNCTIONS)
        .chain(own::FUNCTIONS)
        .chain(tasks::FUNCTIONS)
        .chain(unheard::FUNCTIONS);
    for (name, function) in FUNCTIONS.iter().chain(more) {
        set_function(stack, functions, name, *function, block);
    }
    let rest: [(&str, Function); 12] = [
        ("accept", accept),
        ("attend", attend),
        ("bind", bind),
        ("collect", collect),
        ("create", create),
        ("flush", flush),
        ("indexer", indexer),
        ("kind", kind),
        ("pump", pump),
        ("raise", raise),
        ("retire", retire),
        ("unbind", unbind),
    ];
    for (name, function) in rest {
        set_function(stack, functions, name, function, block);
    }
    let mut references = References { objects: weak_table(stack), ..References::default() };
    stack.new_table();
    references.anchors = stack.register();
    stack.push_bool(false);
    references.lease = stack.register();
    stack.new_table();
    references.blank = stack.register();
    references.names = register_names(stack);
    references.metatables = share_table(stack, functions, "metatables");
    references.module = share_table(stack, functions, "module");
    references.hooks = share_table(stack, functions, "hooks");
    stack.push_bytes(b"sentinel");
    stack.push_pointer(block.cast());
    stack.raw_set(functions);
    references.tasks = share_table(stack, functions, "tasks");
    register_functions(stack, block, &mut references);
    state_behind(stack, block).references.set(references);
}

/// Those that are called under protection, or by it.
fn register_functions(stack: Stack, block: *const *const State, references: &mut References) {
    let register = |function: Function| {
        stack.push_pointer(block.cast());
        stack.push_closure(function, 1);
        stack.register()
    };
    references.traceback = register(traceback);
    references.maker = register(maker);
    references.dispatcher = register(dispatcher);
    references.preparer = register(preparer);
    references.blamer = register(blamer);
}

fn register_names(stack: Stack) -> c_int {
    stack.new_table();
    for (place, name) in (1..).zip(NAMES) {
        stack.push_bytes(name.as_bytes());
        stack.raw_set_at(-2, place);
    }
    stack.register()
}

fn set_function(
    stack: Stack,
    table: c_int,
    name: &str,
    function: Function,
    block: *const *const State,
) {
    stack.push_bytes(name.as_bytes());
    stack.push_pointer(block.cast());
    stack.push_closure(function, 1);
    stack.raw_set(table);
}

fn weak_table(stack: Stack) -> c_int {
    stack.new_table();
    stack.new_table();
    stack.push_bytes(b"__mode");
    stack.push_bytes(b"v");
    stack.raw_set(-3);
    stack.set_metatable(-2);
    stack.register()
}

/// A table that both sides see.
fn share_table(stack: Stack, functions: c_int, name: &str) -> c_int {
    stack.push_bytes(name.as_bytes());
    stack.new_table();
    stack.push_value(-1);
    let reference = stack.register();
    stack.raw_set(functions);
    reference
}

/// The block that every raw function has as its upvalue: it outlives them, and its finaliser.
fn push_sentinel(stack: Stack, state: *const State) -> *const *const State {
    let block: *mut *const State = stack.new_block(size_of::<*const State>()).cast();
    // SAFETY: the block is new and has room for the address.
    unsafe { block.write(state) };
    stack.new_table();
    stack.push_bytes(b"__gc");
    stack.push_closure(close_state, 0);
    stack.raw_set(-3);
    stack.set_metatable(-2);
    block
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

/// `bind(object)`: enters an object that has got a token; `unbind(object)` takes it out.
extern "C-unwind" fn bind(state: *mut ffi::lua_State) -> c_int {
    let stack = Stack::of(state);
    stack.set_top(1);
    anchor::bind(stack);
    0
}

extern "C-unwind" fn unbind(state: *mut ffi::lua_State) -> c_int {
    let stack = Stack::of(state);
    if let Some(object) = Object::at(stack, 1) {
        anchor::unbind_all(stack, object);
    }
    0
}

/// `indexer(methods, get, name)` and `indexer(methods, get, set, handlers, name, refuse)`.
extern "C-unwind" fn indexer(state: *mut ffi::lua_State) -> c_int {
    let stack = Stack::of(state);
    if stack.top() == 3 {
        stack.push_closure(index, 3);
    } else {
        stack.set_top(6);
        stack.push_closure(new_index, 6);
    }
    1
}

/// `kind(value)`: "socket", "datagram", "server" or "timer", nil for anything else.
extern "C-unwind" fn kind(state: *mut ffi::lua_State) -> c_int {
    let stack = Stack::of(state);
    match Object::at(stack, 1).map(|object| &object.part) {
        Some(Part::Datagram(_)) => stack.push_bytes(b"datagram"),
        Some(Part::Socket(_)) => stack.push_bytes(b"socket"),
        Some(Part::Server(_)) => stack.push_bytes(b"server"),
        Some(Part::Timer(_)) => stack.push_bytes(b"timer"),
        None => stack.push_nil(),
    }
    1
}

/// `raise(message)`: an error at the place of the nearest caller outside of our own chunks.
extern "C-unwind" fn raise(state: *mut ffi::lua_State) -> c_int {
    let stack = Stack::of(state);
    let message = stack.to_bytes(1).unwrap_or(b"error");
    stack.raise(&Text::new(format_args!("{}", Lossy(message))))
}
