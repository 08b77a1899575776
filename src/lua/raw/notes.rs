//! Notes: turns of an object that a dialect asks for, to tell events of its own making.
//!
//! Not here: what is told (the dialect's function for the event `note`). Invariants: while a note
//! waits it keeps its object alive the way of the object's class, and counts as active; one that
//! follows an event of the system is dispatched right behind that, in the same pump.

use std::ffi::c_int;

use mlua::ffi::lua_State;

use super::dispatch::{Base, Outcome, call_note};
use super::object::{Anchor, Object};
use super::own::unshare;
use super::stack::{Function, Stack, Text};
use crate::lua::state::{Item, State};

/// The functions that dialects use.
pub(in crate::lua) const FUNCTIONS: &[(&str, Function)] = &[("post", post)];

/// Where notes stand in the tables of objects and anchors: far behind the slots of all tokens.
const FIRST: u32 = 1 << 30;
/// So many may wait at once before their places repeat.
const PLACES: u32 = 1 << 29;

/// `post(object, next)`: one turn of the object, in the next pump or (`next`: inside of an event's
/// own function) right behind the present event.
extern "C-unwind" fn post(state: *mut lua_State) -> c_int {
    let stack = Stack::of(state);
    // Of a `next` that was not given the place is taken.
    stack.set_top(2);
    let Some(object) = Object::at(stack, 1) else {
        let got = stack.type_name(1);
        stack.raise(&Text::new(format_args!("'post' needs an object, got {got}")));
    };
    let state = &*object.state;
    if state.is_forked() {
        return 0;
    }
    let number = state.notes.get();
    state.notes.set((number + 1) % PLACES);
    let references = state.references.get();
    stack.push_registered(references.objects);
    stack.push_value(1);
    stack.raw_set_at(-2, FIRST + number);
    stack.push_registered(references.anchors);
    match object.anchor.get() {
        Anchor::Handlers => {
            // The table must be the one in which handlers will be found later, too.
            unshare(stack, 1, object);
            stack.push_own(1);
        }
        Anchor::Object => stack.push_value(1),
    }
    stack.raw_set_at(-2, FIRST + number);
    state.count(1);
    object.noted.set(true);
    let note = Item::Note(number, object);
    if stack.to_bool(2) {
        state.push_next(note);
    } else {
        state.push(note);
        state.ring();
    }
    0
}

/// Gives the object of a note its turn.
pub(super) fn give_note(stack: Stack, base: Base, state: &State, number: u32) -> Outcome {
    state.count(-1);
    stack.raw_get_at(base.objects, FIRST + number);
    let references = state.references.get();
    for table in [references.objects, references.anchors] {
        stack.push_registered(table);
        stack.push_nil();
        stack.raw_set_at(-2, FIRST + number);
        stack.pop(1);
    }
    if Object::at(stack, stack.top()).is_none() {
        stack.pop(1);
        return Outcome::Dropped;
    }
    call_note(stack, base, state)
}
