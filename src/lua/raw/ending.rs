//! How a connection ends for the script.
//!
//! Not here: other events (`dispatch`), what the end does to the descriptor (`net::stream`).
//! Invariant: `on_close` is the last that is told of an attempt, and the object is kept on the
//! stack while it runs.

use super::anchor::unbind;
use super::arguments::Argument;
use super::attempts::pause;
use super::dispatch::{Base, Number, Outcome, call};
use super::object::{Object, SocketPart, View};
use super::socket::hold_error;
use super::stack::Stack;
use crate::error::Error;
use crate::lua::state::Item;
use crate::proto::event::{Event, EventList};
use crate::proto::token::Token;

/// The peer has ended and the script does not keep its half: flush what the handlers have written,
/// then close. When nothing waits that is now, and `on_close` comes in its place.
pub(super) fn end_of_stream(
    stack: Stack,
    base: Base,
    object: &Object,
    part: &SocketPart,
    token: Token,
) -> Outcome {
    if let Some(Event::Closed(error)) = see_end(object, part, token) {
        return closed(stack, base, object, part, token, error);
    }
    object.view.set(View::Closing);
    stack.pop(1);
    Outcome::Silent
}

/// The close, if nothing else is to be told before. What is comes right behind the present event,
/// and the close behind it.
fn see_end(object: &Object, part: &SocketPart, token: Token) -> Option<Event> {
    let stream = part.stream.borrow().clone()?;
    let state = &*object.state;
    let hub = state.hub()?;
    let mut news = EventList::default();
    stream.end_seen(hub);
    stream.collect(hub, &mut part.front_mut(object), |event| news.push(event));
    let earlier = if object.marked.get() { state.pull(token) } else { Vec::new() };
    let first = news.pop();
    let is_alone = news.is_empty() && earlier.is_empty();
    if is_alone && matches!(first, Some(Event::Closed(_))) {
        return first;
    }
    let news = first.into_iter().chain(std::iter::from_fn(|| news.pop()));
    let news = news.map(|event| Item::Event(token, event));
    let items: Vec<Item> = earlier.into_iter().chain(news).collect();
    items.into_iter().rev().for_each(|item| state.push_next(item));
    None
}

pub(super) fn closed(
    stack: Stack,
    base: Base,
    object: &Object,
    part: &SocketPart,
    token: Token,
    error: Option<Box<Error>>,
) -> Outcome {
    let state = &*object.state;
    object.view.set(View::Closed);
    object.ends_one();
    let retries = |part: &SocketPart| {
        // An accepted connection has nowhere to go.
        let has_target = part.target.get().is_some();
        has_target && !object.ended.get() && object.options().reconnect.is_some()
    };
    let counted = !retries(part);
    if counted {
        state.count(-1);
    }
    let is_first = part.failure.get().is_none();
    part.failure.set(error.clone());
    let argument = match error {
        Some(error) => {
            hold_error(state, error);
            if is_first { Argument::Failure } else { Argument::Repeated }
        }
        None => Argument::None,
    };
    // The object stays on the stack below the call: the handler may drop the last reference.
    stack.push_value(-1);
    let outcome = call(stack, base, Number::Close, argument, state);
    if object.token.get() == Some(token) {
        if counted {
            state.count(1);
        }
        if object.view.get() == View::Closed && retries(part) {
            object.view.set(View::Waiting);
            pause(object, part);
        } else {
            object.paused.set(false);
            let stream = part.stream.borrow().clone();
            if let (Some(stream), Some(hub)) = (stream, state.hub()) {
                stream.detach(hub);
            }
            object.token.set(None);
            state.vacate(token, object);
            state.count(-1);
            unbind(stack, object, token);
        }
    } else if !counted {
        // Replaced by the handler: `connect` has counted itself and discounted the old one.
    } else {
        // The same, but the old one was discounted before the call.
        state.count(1);
    }
    let index = if outcome == Outcome::Raised { -3 } else { -1 };
    stack.remove(index);
    outcome
}
