//! Deferred callbacks: a dialect asks for one of an object, to call handlers for an event of its own making.
//!
//! Not here: which handlers (the class's function for the event `deferred`). Invariants: while a callback
//! waits, it keeps its object alive the way of the object's class, and keeps `run` going; one that is asked
//! for amid an event comes right behind that event, in the same pump.

use std::ffi::c_int;

use mlua::ffi::lua_State;

use crate::lua::class::fields::make_fields_own;
use crate::lua::class::object::{Anchor, Object};
use crate::lua::ffi::stack::{Function, Stack, Text};
use crate::lua::run::arguments::Argument;
use crate::lua::run::call::call;
use crate::lua::run::events::EventNumber;
use crate::lua::run::handlers::{Base, Outcome};
use crate::lua::run::queue::Work;
use crate::lua::run::state::State;

/// The functions that dialects use.
pub(in crate::lua) const FUNCTIONS: &[(&str, Function)] = &[("defer", defer)];

/// Where their objects stand in the tables of objects and anchors: far behind the slots of all tokens.
const FIRST: u32 = 1 << 30;
/// So many may wait at once before their places repeat.
const PLACES: u32 = 1 << 29;

/// `defer(object, next)`: one deferred callback of the object, in the next pump or (`next`: inside of an
/// event's own function) right behind the present event.
extern "C-unwind" fn defer(state: *mut lua_State) -> c_int {
    let stack = Stack::of(state);
    // Without `next`, its place on the stack is filled with nil.
    stack.set_top(2);
    let Some(object) = Object::at(stack, 1) else {
        let got = stack.type_name(1);
        stack.raise(&Text::new(format_args!("'defer' needs an object, got {got}")));
    };
    let state = &*object.state;
    if state.is_forked() {
        return 0;
    }
    let number = state.deferred.get();
    state.deferred.set((number + 1) % PLACES);
    let references = state.references.get();
    stack.push_reference(references.objects);
    stack.push_value(1);
    stack.raw_set_at(-2, FIRST + number);
    stack.push_reference(references.anchors);
    match object.anchor.get() {
        Anchor::Handlers => {
            // The table must be the one in which handlers will be found later, too.
            make_fields_own(stack, 1, object);
            stack.push_fields(1);
        }
        Anchor::Object => stack.push_value(1),
    }
    stack.raw_set_at(-2, FIRST + number);
    object.has_deferred.set(true);
    let work = Work::Deferred(number, object.pointer());
    if stack.to_bool(2) {
        state.queue.push_next(work);
    } else {
        state.queue.push(work);
        state.ring();
    }
    0
}

/// Calls the class's function for a deferred callback.
pub(in crate::lua) fn run_deferred(
    stack: Stack,
    base: Base,
    state: &State,
    number: u32,
) -> Outcome {
    stack.raw_get_at(base.objects, FIRST + number);
    forget_places(stack, state, &[number]);
    if Object::at(stack, stack.top()).is_none() {
        stack.pop(1);
        return Outcome::Dropped;
    }
    call(stack, base, EventNumber::Deferred, Argument::None, state)
}

/// The callbacks of those numbers keep nothing alive any more.
pub(in crate::lua) fn forget_places(stack: Stack, state: &State, numbers: &[u32]) {
    let references = state.references.get();
    for table in [references.objects, references.anchors] {
        stack.push_reference(table);
        for number in numbers {
            stack.push_nil();
            stack.raw_set_at(-2, FIRST + number);
        }
        stack.pop(1);
    }
}
