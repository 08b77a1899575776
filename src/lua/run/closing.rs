//! The close of a connection, as the script sees it.
//!
//! Not here: other events (`dispatch`), what becomes of the descriptor (`net::stream`). Invariant: `on_close`
//! is the last call for an attempt, and the object stays on the stack while it runs.

use crate::error::Error;
use crate::lua::class::anchor::unregister;
use crate::lua::class::object::{Object, SocketPart};
use crate::lua::ffi::stack::Stack;
use crate::lua::run::arguments::Argument;
use crate::lua::run::call::call;
use crate::lua::run::errors::hold_error;
use crate::lua::run::events::EventNumber;
use crate::lua::run::handlers::{Base, Outcome};
use crate::lua::run::queue::Work;
use crate::lua::socket::facts::SocketFacts;
use crate::net::stream::Stream;
use crate::proto::event::{Event, EventList};
use crate::proto::script::Then;
use crate::proto::token::Token;
use crate::sync::Arc;

/// The peer has ended its half and the script does not keep the other: what the handlers have written is
/// flushed, then the connection is closed. If nothing has to be flushed that is now, and `on_close` is
/// called in place of this event.
pub(in crate::lua) fn peer_eof(
    stack: Stack,
    base: Base,
    facts: &SocketFacts,
    token: Token,
) -> Outcome {
    if let Some(event) = take_eof(facts.object, facts.part, token) {
        facts.object.update(|script| script.on(&event, facts));
        if let Event::Closed(error) = event {
            return closed(stack, base, facts, token, error);
        }
    }
    stack.pop(1);
    Outcome::Silent
}

/// The close, if no other event comes before it. If some do, they are queued right behind the present
/// event, and the close behind them.
fn take_eof(object: &Object, part: &SocketPart, token: Token) -> Option<Event> {
    let stream = part.stream.borrow().clone()?;
    let state = &*object.state;
    let hub = state.hub()?;
    let mut news = EventList::default();
    stream.eof_seen(hub);
    stream.collect(hub, &mut part.front_mut(object), |event| news.push(event));
    let earlier = if object.script().is_marked() { state.queue.pull(token) } else { Vec::new() };
    let first = news.pop();
    let is_alone = news.is_empty() && earlier.is_empty();
    if is_alone && matches!(first, Some(Event::Closed(_))) {
        return first;
    }
    let news = first.into_iter().chain(std::iter::from_fn(|| news.pop()));
    let news = news.map(|event| Work::Event(token, event));
    let work: Vec<Work> = earlier.into_iter().chain(news).collect();
    work.into_iter().rev().for_each(|piece| state.queue.push_next(piece));
    None
}

/// `ScriptState` knows of the close already. Calls `on_close` and carries out what follows from it.
pub(in crate::lua) fn closed(
    stack: Stack,
    base: Base,
    facts: &SocketFacts,
    token: Token,
    error: Option<Box<Error>>,
) -> Outcome {
    let SocketFacts { object, part, .. } = *facts;
    let state = &*object.state;
    let is_first = part.failure.get().is_none();
    part.failure.set(error.clone());
    let argument = match error {
        Some(error) => {
            hold_error(state, error);
            if is_first { Argument::Failure } else { Argument::Repeated }
        }
        None => Argument::None,
    };
    // A reference below the call: the handler may drop the last other one.
    stack.push_value(-1);
    let outcome = call(stack, base, EventNumber::Close, argument, state);
    match object.update(|script| script.close_notified(facts)) {
        Then::Retry => pause(object, part),
        Then::Detach => {
            let stream = part.stream.borrow().clone();
            if let (Some(stream), Some(hub)) = (stream, state.hub()) {
                stream.detach(hub);
            }
            object.detach();
            unregister(stack, object, token);
        }
        // The handler has replaced the connection.
        _ => {}
    }
    let index = if outcome == Outcome::Raised { -3 } else { -1 };
    stack.remove(index);
    outcome
}

/// Begins the pause before the next attempt.
fn pause(object: &Object, part: &SocketPart) {
    let pause = match (&object.options().reconnect, part.stream.borrow().as_ref()) {
        (Some(backoff), Some(stream)) => {
            // Jitter needs no better chance than the clock's smallest digits.
            let nanos = std::time::SystemTime::now()
                .duration_since(std::time::UNIX_EPOCH)
                .map_or(0, |time| time.subsec_nanos());
            backoff.pause(stream.attempt() + 1, f64::from(nanos % 1_000_003) / 1_000_003.0)
        }
        _ => return,
    };
    let stream: Option<Arc<Stream>> = part.stream.borrow().clone();
    if let (Some(stream), Some(hub)) = (stream, object.state.hub()) {
        stream.wait(hub, pause);
    }
}
