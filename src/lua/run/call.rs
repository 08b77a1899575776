//! The call of one handler.
//!
//! Not here: which one it is (`handlers`), what the event changes first (`dispatch`).

use std::ffi::c_int;

use crate::lua::class::fields::clear_handlers;
use crate::lua::class::object::Object;
use crate::lua::ffi::stack::Stack;
use crate::lua::run::arguments::{Argument, push_arguments};
use crate::lua::run::blame::name_handler;
use crate::lua::run::events::EventNumber;
use crate::lua::run::handlers::{Base, Outcome};
use crate::lua::run::state::State;
use crate::lua::run::trace;
use crate::lua::run::unhandled::push_listener;
use crate::lua::server::accept::{after_accept, push_connection};

/// Calls the handler of the object on top of the stack and takes the object off.
pub(in crate::lua) fn call(
    stack: Stack,
    base: Base,
    number: EventNumber,
    argument: Argument,
    state: &State,
) -> Outcome {
    let object = stack.top();
    let (number, is_class) = push_listener(stack, base, number, argument, object);
    if stack.is_nil(-1) && !matches!(argument, Argument::Server(_)) {
        stack.set_top(object - 1);
        return Outcome::Silent;
    }
    let has_handler = !stack.is_nil(-1);
    if let Argument::Timer { last } = argument
        && !is_class
    {
        return call_timer(stack, base, state, object, last);
    }
    stack.push_value(object);
    let mut accepted = None;
    let arguments = match argument {
        Argument::Server(token) => {
            let Some(server) = Object::at(stack, object) else {
                stack.set_top(object - 1);
                return Outcome::Dropped;
            };
            let Ok(connection) = push_connection(stack, state, server, token) else {
                return finish(stack, base, state, object, number, false);
            };
            accepted = connection;
            if accepted.is_none() || !has_handler {
                // Nobody takes connections: the new socket is collected, and so closed.
                if let Some(accepted) = accepted {
                    accepted.let_go();
                }
                stack.set_top(object - 1);
                return Outcome::Silent;
            }
            // Kept below the call: `after_accept` needs it.
            stack.push_value(-1);
            stack.insert(object + 1);
            Some(2)
        }
        plain => push_arguments(stack, state, plain),
    };
    // If they could not be made, the error is on top, as one of the handler would be.
    let began = trace::begin_handler(stack, state, object);
    let went_well = arguments.is_some_and(|count| stack.protected_call(count, 1, base.traceback));
    if let Some(began) = began {
        trace::tell_handler(stack, object, number, began, went_well);
    }
    if let Some(accepted) = accepted {
        after_accept(stack, object + 1, accepted, state);
    }
    if went_well && is_class && stack.is_false(-1) {
        stack.set_top(object - 1);
        return Outcome::Silent;
    }
    finish(stack, base, state, object, number, went_well)
}

/// Calls a timer's own function, which is on top.
fn call_timer(stack: Stack, base: Base, state: &State, object: c_int, last: bool) -> Outcome {
    let number = EventNumber::Timer;
    if last && let Some(timer) = Object::at(stack, object) {
        stack.raw_get_at(base.names, number as u32);
        clear_handlers(stack, object, timer);
    }
    let began = trace::begin_handler(stack, state, object);
    let went_well = stack.protected_call(0, 0, base.traceback);
    if let Some(began) = began {
        trace::tell_handler(stack, object, number, began, went_well);
    }
    finish(stack, base, state, object, number, went_well)
}

/// Takes the object off; an error stays on top of it.
fn finish(
    stack: Stack,
    base: Base,
    state: &State,
    object: c_int,
    number: EventNumber,
    went_well: bool,
) -> Outcome {
    if went_well {
        stack.set_top(object - 1);
        return Outcome::Handled;
    }
    name_handler(stack, state, object, number as u32, base.names);
    stack.insert(object + 1);
    stack.set_top(object + 1);
    Outcome::Raised
}
