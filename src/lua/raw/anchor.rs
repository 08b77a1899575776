//! Entering objects under the slots of their tokens, and keeping the active ones alive.
//!
//! Not here: when (`native`, `dispatch`). Invariant: the table of objects is weak; what keeps an
//! object alive stands in the table of anchors, in the way of its class. An object that keeps
//! itself alive stands there alone, so each takes one place.

use std::ffi::c_int;

use mlua::ffi;

use super::object::{Anchor, Object, Part};
use super::stack::Stack;
use crate::proto::token::Token;

/// Enters the object on top of the stack under the slots of its tokens and anchors it; may raise.
pub(super) fn bind(stack: Stack) {
    let index = stack.top();
    if let Some(object) = Object::at(stack, index).filter(|object| object.token.get().is_some()) {
        object.bound.set(true);
        update_anchor(stack, index, object);
    }
}

/// Pushes the object that was entered under the slot, or nil.
pub(super) fn push_entered(stack: Stack, objects: c_int, anchors: c_int, slot: u32) {
    stack.raw_get_at(anchors, slot);
    if stack.kind(-1) != ffi::LUA_TUSERDATA {
        stack.pop(1);
        stack.raw_get_at(objects, slot);
    }
}

/// Takes the slot out of the tables, if no other object has it meanwhile.
pub(super) fn unbind(stack: Stack, object: &Object, token: Token) {
    object.bound.set(false);
    let references = object.state.references.get();
    let place = object.state.slots.borrow().get(token.slot as usize).copied();
    if place.is_some_and(|place| !place.is_null() && place != std::ptr::from_ref(object)) {
        return;
    }
    for table in [references.objects, references.anchors] {
        stack.push_registered(table);
        stack.push_nil();
        put(stack, stack.top() - 1, token.slot);
        stack.pop(1);
    }
}

/// Takes all slots of the object out of the tables.
pub(super) fn unbind_all(stack: Stack, object: &Object) {
    each_token(object, |token| unbind(stack, object, token));
}

/// A server has a token for each of its listeners.
fn each_token(object: &Object, mut visit: impl FnMut(Token)) {
    let Part::Server(part) = &object.part else {
        return object.token.get().into_iter().for_each(visit);
    };
    let count = part.listeners.borrow().len();
    for place in 0..count {
        // Nothing is borrowed while Lua is called.
        let token = part.listeners.borrow().get(place).map(|listener| listener.token());
        token.into_iter().for_each(&mut visit);
    }
}

/// Keeps the object at `index` alive while it is active and has handlers, by the way of its class.
pub(super) fn update_anchor(stack: Stack, index: c_int, object: &Object) {
    each_token(object, |token| enter(stack, index, object, token));
}

/// Writes where it comes to stand before it leaves the other place: each step may raise.
fn enter(stack: Stack, index: c_int, object: &Object, token: Token) {
    let references = object.state.references.get();
    let by_itself = object.anchor.get() == Anchor::Object && object.handlers.get() > 0;
    stack.push_registered(references.objects);
    let objects = stack.top();
    stack.push_registered(references.anchors);
    if !by_itself {
        stack.push_value(index);
        put(stack, objects, token.slot);
    }
    match object.anchor.get() {
        Anchor::Handlers => stack.push_own(index),
        Anchor::Object if by_itself => stack.push_value(index),
        Anchor::Object => stack.push_nil(),
    }
    put(stack, objects + 1, token.slot);
    if by_itself {
        stack.push_nil();
        put(stack, objects, token.slot);
    }
    stack.pop(2);
}

/// Puts what is on top in a table. A place that is empty already is left alone: before 5.4 writing nil
/// there could make the table grow.
fn put(stack: Stack, table: c_int, slot: u32) {
    if stack.is_nil(-1) {
        stack.raw_get_at(table, slot);
        let is_empty = stack.is_nil(-1);
        stack.pop(1);
        if is_empty {
            return stack.pop(1);
        }
    }
    stack.raw_set_at(table, slot);
}
