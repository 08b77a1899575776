//! The tables in which objects are registered under the slots of their tokens, and what keeps the active
//! ones alive.
//!
//! Not here: when an object gets a token (each `native.rs`) and loses it (`dispatch`). Invariants: the table
//! of objects is weak; the table of anchors is strong and holds what keeps an object alive, which is a choice
//! of its class (`Anchor`). An object that is its own anchor stands in the second table only, so that each
//! object takes one entry.

use std::ffi::c_int;

use mlua::ffi;

use crate::lua::class::object::{Anchor, Object, Part};
use crate::lua::ffi::stack::Stack;
use crate::lua::run::queue::ObjectPointer;
use crate::proto::token::Token;

/// Registers the object on top of the stack under the slots of its tokens, with its anchor; may raise.
pub(in crate::lua) fn register(stack: Stack) {
    let index = stack.top();
    if let Some(object) = Object::at(stack, index).filter(|object| object.token.get().is_some()) {
        object.registered.set(true);
        update_anchor(stack, index, object);
    }
}

/// Pushes the object that is registered under the slot, or nil.
pub(in crate::lua) fn push_object(stack: Stack, objects: c_int, anchors: c_int, slot: u32) {
    stack.raw_get_at(anchors, slot);
    if stack.kind(-1) != ffi::LUA_TUSERDATA {
        stack.pop(1);
        stack.raw_get_at(objects, slot);
    }
}

/// Clears the entries of the slot, unless another object has it meanwhile.
pub(in crate::lua) fn unregister(stack: Stack, object: &Object, token: Token) {
    object.registered.set(false);
    let references = object.state.references.get();
    let place = object.state.slot(token.slot);
    if place != ObjectPointer::NOWHERE && place != object.pointer() {
        return;
    }
    for table in [references.objects, references.anchors] {
        stack.push_reference(table);
        stack.push_nil();
        put(stack, stack.top() - 1, token.slot);
        stack.pop(1);
    }
}

/// Clears the entries of all slots of the object.
pub(in crate::lua) fn unregister_all(stack: Stack, object: &Object) {
    each_token(object, |token| unregister(stack, object, token));
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

/// Writes the entries of the object at `index` anew: its anchor depends on whether it has handlers.
pub(in crate::lua) fn update_anchor(stack: Stack, index: c_int, object: &Object) {
    each_token(object, |token| enter(stack, index, object, token));
}

/// Writes the new entry before it clears the other: each step may raise, and one must stand.
fn enter(stack: Stack, index: c_int, object: &Object, token: Token) {
    let references = object.state.references.get();
    let by_itself = object.anchor.get() == Anchor::Object && object.handlers.get() > 0;
    stack.push_reference(references.objects);
    let objects = stack.top();
    stack.push_reference(references.anchors);
    if !by_itself {
        stack.push_value(index);
        put(stack, objects, token.slot);
    }
    match object.anchor.get() {
        Anchor::Handlers => stack.push_fields(index),
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

/// Puts what is on top in a table. An entry that is empty already is left alone: before 5.4 writing nil
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
