//! The table of raw functions from which the Lua files build the module.
//!
//! Not here: what the functions do; those in safe mlua, which are added to the same table.

use std::ffi::c_int;
use std::rc::Rc;

use mlua::{Lua, Table, ffi};

use crate::lua::class::anchor;
use crate::lua::class::fields;
use crate::lua::class::finalise::{collect, retire};
use crate::lua::class::index::{index, new_index};
use crate::lua::class::kind::Kind;
use crate::lua::class::object::Object;
use crate::lua::class::receiver;
use crate::lua::ffi::block::create;
use crate::lua::ffi::protected::runner;
use crate::lua::ffi::sentinel::{Sentinel, push_sentinel, state_of, with_stack};
use crate::lua::ffi::stack::{Function, Lossy, Stack, Text};
use crate::lua::lines::iterator;
use crate::lua::run::attend::{attend, flush};
use crate::lua::run::blame::{blamer, traceback};
use crate::lua::run::defer;
use crate::lua::run::events::EventNumber;
use crate::lua::run::objects;
use crate::lua::run::pump::pump;
use crate::lua::run::state::{References, State};
use crate::lua::run::{trace, unhandled};
use crate::lua::server::accept::accept;
use crate::lua::socket::methods::FUNCTIONS;
use crate::lua::socket::status;
use crate::lua::task;

/// The raw functions of a new state, as a table for the Lua side.
///
/// # Errors
/// Out of memory.
pub(in crate::lua) fn functions(lua: &Lua, state: &Rc<State>) -> mlua::Result<Table> {
    let state = Rc::clone(state);
    with_stack(lua, (), move |stack| fill(stack, state))
}

fn fill(stack: Stack, state: Rc<State>) {
    stack.reserve(20);
    state.main_thread.set(stack.main_thread());
    let sentinel = push_sentinel(stack, state);
    stack.make_reference();
    stack.new_table();
    let functions = stack.top();
    let more = status::FUNCTIONS
        .iter()
        .chain(iterator::FUNCTIONS)
        .chain(receiver::FUNCTIONS)
        .chain(defer::FUNCTIONS)
        .chain(fields::FUNCTIONS)
        .chain(task::native::FUNCTIONS)
        .chain(unhandled::FUNCTIONS)
        .chain(objects::FUNCTIONS)
        .chain(trace::FUNCTIONS);
    for (name, function) in FUNCTIONS.iter().chain(more) {
        set_function(stack, functions, name, *function, sentinel);
    }
    let rest: [(&str, Function); 13] = [
        ("accept", accept),
        ("attend", attend),
        ("register", register),
        ("collect", collect),
        ("create", create),
        ("flush", flush),
        ("indexer", indexer),
        ("kind", kind),
        ("now", now),
        ("pump", pump),
        ("raise", raise),
        ("retire", retire),
        ("unregister", unregister),
    ];
    for (name, function) in rest {
        set_function(stack, functions, name, function, sentinel);
    }
    #[cfg(not(any(feature = "lua51", feature = "luajit")))]
    set_function(stack, functions, "resumer", crate::lua::ffi::resume::resumer, sentinel);
    let mut references = References { objects: weak_table(stack), ..References::default() };
    stack.new_table();
    references.anchors = stack.make_reference();
    stack.push_bool(false);
    references.line_batch = stack.make_reference();
    stack.new_table();
    references.blank = stack.make_reference();
    references.names = register_names(stack);
    references.metatables = share_table(stack, functions, "metatables");
    references.module = share_table(stack, functions, "module");
    references.hooks = share_table(stack, functions, "hooks");
    stack.push_bytes(b"sentinel");
    sentinel.push(stack);
    stack.raw_set(functions);
    register_functions(stack, sentinel, &mut references);
    share_lists(stack, functions);
    sentinel.state(stack).references.set(references);
}

/// The functions that only Rust calls, by reference.
fn register_functions(stack: Stack, sentinel: Sentinel, references: &mut References) {
    let register = |function: Function| {
        sentinel.push(stack);
        stack.push_closure(function, 1);
        stack.make_reference()
    };
    references.traceback = register(traceback);
    references.runner = register(runner);
    references.blamer = register(blamer);
}

fn register_names(stack: Stack) -> c_int {
    stack.new_table();
    for row in EventNumber::with_handlers() {
        stack.push_bytes(row.handler.as_bytes());
        stack.raw_set_at(-2, row.number as u32);
    }
    stack.make_reference()
}

/// `kinds`: name to number; for each kind of object, by name, `events`: the numbers of its events by
/// their names, and `handlers`: a list of their names.
fn share_lists(stack: Stack, functions: c_int) {
    stack.push_bytes(b"kinds");
    stack.new_table();
    for kind in Kind::ALL {
        set_number(stack, kind.name(), kind as u32);
    }
    stack.raw_set(functions);
    stack.push_bytes(b"events");
    stack.new_table();
    for kind in Kind::ALL.into_iter().filter(|kind| kind.has_events()) {
        stack.push_bytes(kind.name().as_bytes());
        stack.new_table();
        for row in EventNumber::ALL.iter().filter(|row| row.kinds.contains(&kind)) {
            set_number(stack, row.name, row.number as u32);
        }
        stack.raw_set(-3);
    }
    stack.raw_set(functions);
    stack.push_bytes(b"handlers");
    stack.new_table();
    for kind in Kind::ALL.into_iter().filter(|kind| kind.has_events()) {
        stack.push_bytes(kind.name().as_bytes());
        stack.new_table();
        let rows = EventNumber::with_handlers().filter(|row| row.kinds.contains(&kind));
        for (place, row) in (1..).zip(rows) {
            stack.push_bytes(row.handler.as_bytes());
            stack.raw_set_at(-2, place);
        }
        stack.raw_set(-3);
    }
    stack.raw_set(functions);
}

fn set_number(stack: Stack, name: &str, number: u32) {
    stack.push_bytes(name.as_bytes());
    stack.push_count(number as usize);
    stack.raw_set(-3);
}

fn set_function(stack: Stack, table: c_int, name: &str, function: Function, sentinel: Sentinel) {
    stack.push_bytes(name.as_bytes());
    sentinel.push(stack);
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
    stack.make_reference()
}

/// A table that both sides see.
fn share_table(stack: Stack, functions: c_int, name: &str) -> c_int {
    stack.push_bytes(name.as_bytes());
    stack.new_table();
    stack.push_value(-1);
    let reference = stack.make_reference();
    stack.raw_set(functions);
    reference
}

/// `register(object)`: enters an object that has got a token; `unregister(object)` takes it out.
extern "C-unwind" fn register(state: *mut ffi::lua_State) -> c_int {
    let stack = Stack::of(state);
    stack.set_top(1);
    anchor::register(stack);
    0
}

extern "C-unwind" fn unregister(state: *mut ffi::lua_State) -> c_int {
    let stack = Stack::of(state);
    if let Some(object) = Object::at(stack, 1) {
        anchor::unregister_all(stack, object);
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
    match Object::at(stack, 1) {
        Some(object) => stack.push_bytes(object.kind().name().as_bytes()),
        None => stack.push_nil(),
    }
    1
}

/// `now()`: monotonic seconds; every wait asks for them.
extern "C-unwind" fn now(state: *mut ffi::lua_State) -> c_int {
    let stack = Stack::of(state);
    stack.push_number(state_of(stack).now());
    1
}

/// `raise(message)`: an error at the place of the nearest caller outside of our own chunks.
extern "C-unwind" fn raise(state: *mut ffi::lua_State) -> c_int {
    let stack = Stack::of(state);
    let message = stack.to_bytes(1).unwrap_or(b"error");
    stack.raise(&Text::new(format_args!("{}", Lossy(message))))
}
