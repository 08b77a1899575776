//! The dispatch of an event: from there to the call of a handler.
//!
//! Not here: which events are due (`pump`). The event first changes what the script can see of its
//! object, then the handler runs; nothing else changes under a running handler.

use crate::lua::class::anchor::{push_object, unregister_all};
use crate::lua::class::object::{Object, Part, SocketPart};
use crate::lua::ffi::stack::Stack;
use crate::lua::run::arguments::Argument;
use crate::lua::run::call::call;
use crate::lua::run::closing::{closed, peer_eof};
use crate::lua::run::defer::run_deferred;
use crate::lua::run::errors::hold_error;
use crate::lua::run::events::EventNumber;
use crate::lua::run::handlers::{Base, Outcome};
use crate::lua::run::queue::Work;
use crate::lua::run::state::{Held, State};
use crate::lua::server::accept::is_left;
use crate::lua::socket::facts::SocketFacts;
use crate::lua::task::native::{run_ready_task, wake};
use crate::lua::timer::event::timer_event;
use crate::lua::watch::event::watch_event;
use crate::proto::event::Event;
use crate::proto::script::{ScriptState, Then};
use crate::proto::token::Token;

/// Hands one event to its object.
pub(in crate::lua) fn dispatch(stack: Stack, base: Base, state: &State, work: Work) -> Outcome {
    let (token, event) = match work {
        Work::Event(token, event) => (token, Some(event)),
        Work::SupersededClose(token) => (token, None),
        Work::Deferred(number, _) => return run_deferred(stack, base, state, number),
        Work::TaskReady => return run_ready_task(stack, state),
    };
    let object = Object::behind(state.slot(token.slot));
    let Some(object) = object.filter(|object| owns(object, token)) else {
        return Outcome::Dropped;
    };
    push_object(stack, base.objects, base.anchors, token.slot);
    if stack.is_nil(-1) {
        // The collector has found it to be garbage. Its finaliser may come much later: nothing is
        // collected while a pump waits, and until then the object would keep `run` going.
        stack.pop(1);
        if object.registered.get() {
            unregister_all(stack, object);
            object.let_go();
        }
        return Outcome::Dropped;
    }
    if !object.watched.get() {
        return deliver(stack, base, object, token, event);
    }
    // A reference below the call: the handler may drop the last other one.
    let index = stack.top();
    stack.push_value(index);
    let outcome = deliver(stack, base, object, token, event);
    wake(stack, state, index, outcome)
}

/// Delivers the event to the object, which is on top of the stack.
fn deliver(
    stack: Stack,
    base: Base,
    object: &Object,
    token: Token,
    event: Option<Event>,
) -> Outcome {
    let state = &*object.state;
    match (&object.part, event) {
        (Part::Socket(part), Some(event)) => socket_event(stack, base, object, part, token, event),
        (Part::Datagram(_), Some(event)) => datagram_event(stack, base, state, event),
        (Part::Server(_), Some(event)) => server_event(stack, base, object, token, event),
        (Part::Question(_), _) => {
            // Whoever waits for it is woken.
            stack.pop(1);
            Outcome::Silent
        }
        (Part::Watch(_), Some(event)) => watch_event(stack, base, object, event),
        (Part::Timer(_), _) => timer_event(stack, base, object),
        (_, None) => superseded_close(stack, base, object, token),
    }
}

/// Calls `on_close` for one superseded connection; those of the others come right behind it.
fn superseded_close(stack: Stack, base: Base, object: &Object, token: Token) -> Outcome {
    if object.update(ScriptState::superseded_notified) {
        object.state.queue.push_next(Work::SupersededClose(token));
    }
    call(stack, base, EventNumber::Close, Argument::None, &object.state)
}

fn owns(object: &Object, token: Token) -> bool {
    if let Part::Server(part) = &object.part {
        return part.listeners.borrow().iter().any(|listener| listener.token() == token);
    }
    object.token.get() == Some(token)
}

fn socket_event(
    stack: Stack,
    base: Base,
    object: &Object,
    part: &SocketPart,
    token: Token,
    event: Event,
) -> Outcome {
    let state = &*object.state;
    let facts = SocketFacts { object, part, shown: reveal(object, part, &event) };
    let step = object.update(|script| script.on(&event, &facts));
    match step.then {
        Then::EofSeen => return peer_eof(stack, base, &facts, token),
        Then::Marks(count) => state.queue.push_next(Work::Event(token, Event::Marked(count))),
        Then::Renew => {
            part.forget(object);
            part.failure.set(None);
        }
        _ => {}
    }
    if let Event::Closed(error) = event {
        return closed(stack, base, &facts, token, error);
    }
    let heard = step.notify.then(|| handler_of(state, event, facts.shown)).flatten();
    let Some((number, argument)) = heard else {
        stack.pop(1);
        return Outcome::Silent;
    };
    call(stack, base, number, argument, state)
}

/// Which handler hears of the event, and with what. `shown`: how many bytes it made readable.
fn handler_of(state: &State, event: Event, shown: usize) -> Option<(EventNumber, Argument)> {
    Some(match event {
        Event::Resolved(addresses) => {
            state.held.replace(Some(Held::Addresses(*addresses)));
            (EventNumber::Resolve, Argument::Addresses)
        }
        Event::Connected => (EventNumber::Connect, Argument::None),
        Event::Data(_) => (EventNumber::Data, Argument::Count(shown)),
        Event::Drained => (EventNumber::Drain, Argument::None),
        Event::Marked(_) => (EventNumber::Mark, Argument::None),
        Event::Secured => (EventNumber::Secure, Argument::None),
        Event::Securing => (EventNumber::Securing, Argument::None),
        Event::Sent => (EventNumber::Sent, Argument::None),
        Event::Eof => (EventNumber::End, Argument::None),
        // Beside the connection, which goes on.
        Event::Failed(error) => {
            hold_error(state, error);
            (EventNumber::Unhandled, Argument::Failure)
        }
        Event::Reconnecting(attempt) => (EventNumber::Reconnect, Argument::Count(attempt as usize)),
        _ => return None,
    })
}

/// Makes the bytes of the event readable; how many they are.
fn reveal(object: &Object, part: &SocketPart, event: &Event) -> usize {
    match event {
        Event::Data(count) => part.front_mut(object).make().reveal(*count as usize),
        _ => 0,
    }
}

fn server_event(stack: Stack, base: Base, object: &Object, token: Token, event: Event) -> Outcome {
    let state = &*object.state;
    match event {
        Event::Failed(error) => {
            hold_error(state, error);
            call(stack, base, EventNumber::Error, Argument::Failure, state)
        }
        Event::Accepted => {
            if is_left(stack, base.names, object, token) {
                stack.pop(1);
                return Outcome::Silent;
            }
            call(stack, base, EventNumber::Accept, Argument::Server(token), state)
        }
        _ => {
            stack.pop(1);
            Outcome::Silent
        }
    }
}

fn datagram_event(stack: Stack, base: Base, state: &State, event: Event) -> Outcome {
    let what = match event {
        Event::Connected => (EventNumber::Connect, Argument::None),
        Event::Datagram => (EventNumber::Datagram, Argument::None),
        Event::Delivered(ticket) => (EventNumber::Sent, Argument::Count(ticket as usize)),
        Event::Undelivered(ticket) => (EventNumber::Unsent, Argument::Count(ticket as usize)),
        Event::Failed(error) => {
            hold_error(state, error);
            (EventNumber::Error, Argument::Failure)
        }
        _ => {
            stack.pop(1);
            return Outcome::Silent;
        }
    };
    call(stack, base, what.0, what.1, state)
}
