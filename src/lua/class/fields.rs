//! The table of an object's fields, handlers among them.
//!
//! Not here: what a name means (`index`). Invariant: an object has a table from the beginning. Until it
//! changes a field, that table is shared with other objects: the blank one, or one of objects with the same
//! handlers. A shared table is never written to.

use std::ffi::c_int;

use mlua::ffi::lua_State;

use crate::lua::class::anchor::update_anchor;
use crate::lua::class::object::Object;
use crate::lua::ffi::stack::{Function, Stack};

/// The function that `class.lua` uses.
pub(in crate::lua) const FUNCTIONS: &[(&str, Function)] = &[("set_handlers", set_handlers)];

/// Gives the object at `index` a table that it may write to.
pub(in crate::lua) fn make_fields_own(stack: Stack, index: c_int, object: &Object) {
    if !object.shared_fields.get() {
        return;
    }
    stack.new_table();
    let fresh = stack.top();
    stack.push_fields(index);
    stack.push_nil();
    while stack.next(fresh + 1) {
        stack.push_value(-2);
        stack.insert(-2);
        stack.raw_set(fresh);
    }
    stack.set_top(fresh);
    stack.set_fields(index);
    object.shared_fields.set(false);
    update_anchor(stack, index, object);
}

/// Takes its only handler from the object at `index`, which has no anchor; the handler's name is on top
/// and is popped.
pub(in crate::lua) fn clear_handlers(stack: Stack, index: c_int, object: &Object) {
    object.handlers.set(0);
    if object.shared_fields.get() {
        stack.pop(1);
        stack.push_reference(object.state.references.get().blank);
        stack.set_fields(index);
    } else {
        stack.push_fields(index);
        stack.insert(-2);
        stack.push_nil();
        stack.raw_set(-3);
        stack.pop(1);
    }
}

/// `set_handlers(object, handlers, count)`: the table, of so many handlers and nothing else, becomes the
/// object's own; false when it has fields already. Nobody may write to the table any more.
extern "C-unwind" fn set_handlers(state: *mut lua_State) -> c_int {
    let stack = Stack::of(state);
    let fresh = |object: &&Object| object.shared_fields.get() && object.handlers.get() == 0;
    let Some(object) = Object::at(stack, 1).filter(fresh) else {
        stack.push_bool(false);
        return 1;
    };
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "`as` saturates")]
    let count = stack.to_number(3).unwrap_or_default() as u16;
    stack.push_value(2);
    stack.set_fields(1);
    object.handlers.set(count);
    update_anchor(stack, 1, object);
    stack.push_bool(true);
    1
}
