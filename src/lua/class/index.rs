//! `__index` and `__newindex` of all classes.
//!
//! A name is a method, else a property, else a field of the object's own table. Handlers are fields
//! that only take functions.

use std::ffi::c_int;

use mlua::ffi::{LUA_TUSERDATA, lua_State};

use crate::lua::class::anchor::update_anchor;
use crate::lua::class::fields::make_fields_own;
use crate::lua::class::object::Object;
use crate::lua::class::receiver::refuse_self;
use crate::lua::ffi::stack::{Stack, Text};
use crate::lua::server::accept::handler_changed;
use crate::lua::watch::listen;

/// Upvalues: methods, get, class name.
pub(in crate::lua) extern "C-unwind" fn index(state: *mut lua_State) -> c_int {
    let stack = Stack::of(state);
    stack.set_top(2);
    stack.push_value(2);
    stack.raw_get(Stack::upvalue(1));
    if !stack.is_nil(-1) {
        return 1;
    }
    stack.set_top(2);
    stack.push_value(2);
    stack.raw_get(Stack::upvalue(2));
    let is_dead = Object::at(stack, 1).is_none();
    if stack.is_function(-1) && !is_dead {
        stack.push_value(1);
        stack.call(1, 1);
        return 1;
    }
    if is_dead {
        if stack.is_function(-1) || stack.kind(1) != LUA_TUSERDATA {
            refuse_object(stack, 3);
        }
        // A finaliser of another object may still ask for a field of one that was collected before.
        stack.push_nil();
        return 1;
    }
    stack.push_fields(1);
    stack.push_value(2);
    stack.raw_get(-2);
    1
}

/// Upvalues: methods, get, set, handlers (names to true), class name, and what refuses an unknown
/// name that looks like a handler's, or nil.
pub(in crate::lua) extern "C-unwind" fn new_index(state: *mut lua_State) -> c_int {
    let stack = Stack::of(state);
    stack.set_top(3);
    let Some(object) = Object::at(stack, 1) else {
        refuse_object(stack, 5);
    };
    if stack.is_nil(2) {
        stack.raise(&Text::new(format_args!("the name of a field must not be nil")));
    }
    stack.push_value(2);
    stack.raw_get(Stack::upvalue(3));
    if stack.is_function(-1) {
        stack.push_value(1);
        stack.push_value(3);
        stack.call(2, 0);
        return 0;
    }
    stack.set_top(3);
    for upvalue in 1..=2 {
        stack.push_value(2);
        stack.raw_get(Stack::upvalue(upvalue));
        if !stack.is_nil(-1) {
            let what = if upvalue == 1 { "is a method" } else { "is read-only" };
            refuse(stack, what);
        }
        stack.set_top(3);
    }
    stack.push_value(2);
    stack.raw_get(Stack::upvalue(4));
    let is_handler = stack.to_bool(-1);
    stack.set_top(3);
    if is_handler && !stack.is_nil(3) && !stack.is_function(3) {
        refuse(stack, "must be a function or nil");
    }
    if !is_handler && looks_like_handler(stack, 2) && stack.is_function(Stack::upvalue(6)) {
        return refuse_handler(stack);
    }
    make_fields_own(stack, 1, object);
    stack.push_fields(1);
    if is_handler {
        stack.push_value(2);
        stack.raw_get(4);
        let (had, has) = (!stack.is_nil(-1), !stack.is_nil(3));
        stack.pop(1);
        let handlers = object.handlers.get();
        object.handlers.set(handlers.saturating_add(u16::from(has)).saturating_sub(u16::from(had)));
    }
    stack.push_value(2);
    stack.push_value(3);
    stack.raw_set(4);
    if is_handler {
        handler_written(stack, object);
    }
    0
}

/// The handler named at index 2 is now what stands at index 3.
fn handler_written(stack: Stack, object: &Object) {
    update_anchor(stack, 1, object);
    let has = !stack.is_nil(3);
    match stack.to_bytes(2) {
        Some(b"on_accept") => handler_changed(stack, object, has),
        Some(b"on_ready") => listen::handler_changed(stack, object, has),
        _ => {}
    }
}

/// Raises: the receiver is no object of the class that the upvalue names. At index 2 stands the field's name.
fn refuse_object(stack: Stack, class: c_int) -> ! {
    let text = |index| stack.is_string(index).then(|| stack.to_bytes(index)).flatten();
    let class = text(Stack::upvalue(class)).unwrap_or(b"object");
    refuse_self(stack, class, text(2).unwrap_or(b"?"))
}

/// Calls the class's function that refuses unknown handlers: it knows which name was meant.
fn refuse_handler(stack: Stack) -> c_int {
    stack.push_value(Stack::upvalue(6));
    stack.push_value(1);
    stack.push_value(2);
    stack.call(2, 0);
    0
}

fn looks_like_handler(stack: Stack, index: c_int) -> bool {
    stack.is_string(index) && stack.to_bytes(index).is_some_and(|name| name.starts_with(b"on_"))
}

fn refuse(stack: Stack, why: &str) -> ! {
    let text = |index| {
        let bytes = if stack.is_string(index) { stack.to_bytes(index) } else { None };
        std::str::from_utf8(bytes.unwrap_or(b"?")).unwrap_or("?")
    };
    let (field, class) = (text(2), text(Stack::upvalue(5)));
    stack.raise(&Text::new(format_args!("field '{field}' of {class} {why}")))
}
