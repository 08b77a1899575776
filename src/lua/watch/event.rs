//! A descriptor that is watched may be ready.
//!
//! Not here: which watch (`dispatch`). What the handler is told is so at the moment of its call; if somebody
//! else has read meanwhile, nobody is called.

use crate::error::Error;
use crate::lua::class::anchor::unregister;
use crate::lua::class::object::{Object, Part};
use crate::lua::ffi::stack::Stack;
use crate::lua::run::arguments::Argument;
use crate::lua::run::call::call;
use crate::lua::run::errors::hold_error;
use crate::lua::run::events::EventNumber;
use crate::lua::run::handlers::{Base, Outcome};
use crate::lua::run::trace::tell;
use crate::lua::watch::part::WatchPart;
use crate::proto::event::Event;

/// Hands the event to the watch on top of the stack.
pub(in crate::lua) fn watch_event(
    stack: Stack,
    base: Base,
    object: &Object,
    event: Event,
) -> Outcome {
    let state = &*object.state;
    let Part::Watch(part) = &object.part else { return Outcome::Dropped };
    let (readable, writable) = match event {
        Event::Failed(error) => return fail(stack, base, object, part, *error),
        _ => match part.look() {
            Ok(ready) => ready,
            Err(error) => return fail(stack, base, object, part, error),
        },
    };
    tell(object, || {
        let how = match (readable, writable) {
            (true, true) => "can be read and written",
            (true, false) => "can be read",
            (false, true) => "can be written",
            (false, false) => "was ready, but is not any more",
        };
        how.into()
    });
    if !part.has_handler.get() || !(readable || writable) {
        // Tasks that wait look themselves.
        part.listen_on(state.hub());
        stack.pop(1);
        return Outcome::Silent;
    }
    // Kept below: the handler may drop the last reference, or finalise it.
    stack.push_value(-1);
    let argument = Argument::Ready { readable, writable };
    let outcome = call(stack, base, EventNumber::Ready, argument, state);
    let index = stack.top() - if outcome == Outcome::Raised { 2 } else { 0 };
    if let Some(Part::Watch(part)) = Object::at(stack, index).map(|watch| &watch.part) {
        part.listen_on(state.hub());
    }
    stack.remove(index);
    outcome
}

/// It ends by itself.
fn fail(stack: Stack, base: Base, object: &Object, part: &WatchPart, error: Error) -> Outcome {
    tell(object, || format!("over: {} ({})", error.message(), error.code()));
    part.failure.replace(Some(error.clone()));
    if let Some(token) = object.token.get() {
        object.let_go();
        unregister(stack, object, token);
    }
    if object.watched.get() && !part.has_handler.get() {
        // Who waits is told.
        stack.pop(1);
        return Outcome::Silent;
    }
    hold_error(&object.state, Box::new(error));
    call(stack, base, EventNumber::Error, Argument::Failure, &object.state)
}
