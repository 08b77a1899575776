//! Entering objects under the slots of their tokens, and keeping the active ones alive.
//!
//! Not here: when (`native`, `dispatch`). Invariant: the table of objects is weak; what keeps an
//! object alive stands in the table of anchors, in the way of its class.

use std::ffi::c_int;

use super::object::{Anchor, Object, Part};
use super::stack::Stack;
use crate::lua::state::State;
use crate::proto::token::Token;

/// Enters the object on top of the stack under its slot and anchors it; may raise.
pub(super) fn bind(stack: Stack, state: &State, token: Token) {
    let index = stack.top();
    stack.push_registered(state.references.get().objects);
    stack.push_value(index);
    stack.raw_set_at(-2, token.slot);
    stack.pop(1);
    if let Some(object) = Object::at(stack, index) {
        object.bound.set(true);
        update_anchor(stack, index, object);
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
        stack.raw_set_at(-2, token.slot);
        stack.pop(1);
    }
}

/// Takes all slots of the object out of the tables; a server has one per listener.
pub(super) fn unbind_all(stack: Stack, object: &Object) {
    if let Part::Server(part) = &object.part {
        let count = part.listeners.borrow().len();
        for place in 0..count {
            let token = part.listeners.borrow().get(place).map(|listener| listener.token());
            if let Some(token) = token {
                unbind(stack, object, token);
            }
        }
    } else if let Some(token) = object.token.get() {
        unbind(stack, object, token);
    }
}

/// Keeps the object at `index` alive while it is active and has handlers, by the way of its class.
pub(super) fn update_anchor(stack: Stack, index: c_int, object: &Object) {
    let Some(token) = object.token.get() else { return };
    stack.push_registered(object.state.references.get().anchors);
    let table = stack.top();
    match object.anchor.get() {
        Anchor::Handlers => stack.push_own(index),
        Anchor::Object if object.handlers.get() > 0 => stack.push_value(index),
        Anchor::Object => stack.push_nil(),
    }
    stack.raw_set_at(table, token.slot);
    stack.set_top(table - 1);
}
