//! The table of an object's own fields, handlers among them.
//!
//! Not here: what a name means (`index`). Invariant: an object has a table from the beginning, but
//! until it changes a field it is one that it shares with others: the blank one, or that of objects
//! with the same handlers. What is shared is never written to.

use std::ffi::c_int;

use mlua::ffi::lua_State;

use super::anchor::update_anchor;
use super::object::Object;
use super::stack::{Function, Stack};

/// The function that `core.lua` uses.
pub(in crate::lua) const FUNCTIONS: &[(&str, Function)] = &[("equip", equip)];

/// Gives the object at `index` a table that it may write to.
pub(super) fn unshare(stack: Stack, index: c_int, object: &Object) {
    if !object.shares.get() {
        return;
    }
    stack.new_table();
    let fresh = stack.top();
    stack.push_own(index);
    stack.push_nil();
    while stack.next(fresh + 1) {
        stack.push_value(-2);
        stack.insert(-2);
        stack.raw_set(fresh);
    }
    stack.set_top(fresh);
    stack.set_own(index);
    object.shares.set(false);
    update_anchor(stack, index, object);
}

/// Takes its only handler from the object at `index`, which nothing anchors; the handler's name is
/// on top and goes.
pub(super) fn disarm(stack: Stack, index: c_int, object: &Object) {
    object.handlers.set(0);
    if object.shares.get() {
        stack.pop(1);
        stack.push_registered(object.state.references.get().blank);
        stack.set_own(index);
    } else {
        stack.push_own(index);
        stack.insert(-2);
        stack.push_nil();
        stack.raw_set(-3);
        stack.pop(1);
    }
}

/// `equip(object, handlers, count)`: the table, of so many handlers and nothing else, becomes the
/// object's own; false when it has fields already. Nobody may write to the table any more.
extern "C-unwind" fn equip(state: *mut lua_State) -> c_int {
    let stack = Stack::of(state);
    let fresh = |object: &&Object| object.shares.get() && object.handlers.get() == 0;
    let Some(object) = Object::at(stack, 1).filter(fresh) else {
        stack.push_bool(false);
        return 1;
    };
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "`as` saturates")]
    let count = stack.to_number(3).unwrap_or_default() as u16;
    stack.push_value(2);
    stack.set_own(1);
    object.handlers.set(count);
    update_anchor(stack, 1, object);
    stack.push_bool(true);
    1
}
