//! From an event to the call of a handler.
//!
//! Not here: which events are due (`pump`). The event first changes what the script can see of its
//! object, then the handler runs; nothing else changes under a running handler.

use std::ffi::c_int;
use std::net::SocketAddr;

use super::accept::{greet, is_left};
use super::anchor::{push_entered, unbind, unbind_all};
use super::arguments::{Argument, push_arguments, push_connection};
use super::attempts::starting_view;
use super::blame::name_handler;
use super::datagram::datagram_event;
use super::ending::{closed, end_of_stream};
use super::notes::give_note;
use super::object::{Object, Part, SocketPart, View};
use super::own::disarm;
use super::socket::hold_error;
use super::stack::Stack;
use super::tasks::{give_turn, wake};
use super::unheard::push_listener;
use crate::address::Address;
use crate::error::Error;
use crate::lua::state::{Item, State};
use crate::proto::event::Event;
use crate::proto::token::Token;

/// The handlers by event number; class functions stand in the metatable under the same numbers.
pub(in crate::lua) const NAMES: [&str; 12] = [
    "on_resolve",
    "on_connect",
    "on_data",
    "on_drain",
    "on_end",
    "on_close",
    "on_reconnect",
    "on_accept",
    "on_error",
    "on_timer",
    "on_secure",
    "on_mark",
];

/// Event numbers: places in [`NAMES`], from 1.
#[derive(Clone, Copy)]
pub(super) enum Number {
    Resolve = 1,
    Connect,
    Data,
    Drain,
    End,
    Close,
    Reconnect,
    Accept,
    Error,
    Timer,
    Secure,
    Mark,
    /// From here on for the functions of classes alone.
    Note,
    Securing,
    Sent,
    Datagram,
    Unsent,
    /// A failure that met no handler.
    Unheard,
}

/// How a dispatch ended.
#[derive(Clone, Copy, Eq, PartialEq)]
pub(super) enum Outcome {
    /// The event belonged to an object that is gone.
    Dropped,
    /// No handler.
    Silent,
    /// A handler ran.
    Handled,
    /// A handler raised; the object and, on top, the error are left on the stack.
    Raised,
}

/// Where `pump` has put what every dispatch needs.
#[derive(Clone, Copy)]
pub(super) struct Base {
    pub(super) objects: c_int,
    pub(super) anchors: c_int,
    pub(super) names: c_int,
    pub(super) traceback: c_int,
}

/// Hands one event to its object.
pub(super) fn dispatch(stack: Stack, base: Base, state: &State, item: Item) -> Outcome {
    let (token, event) = match item {
        Item::Event(token, event) => (token, Some(event)),
        Item::Farewell(token) => (token, None),
        Item::Note(number, _) => return give_note(stack, base, state, number),
        Item::Turn => return give_turn(stack, state),
    };
    let place = state.slots.borrow().get(token.slot as usize).copied();
    let object = place.and_then(Object::in_slot);
    let Some(object) = object.filter(|object| owns(object, token)) else {
        return Outcome::Dropped;
    };
    push_entered(stack, base.objects, base.anchors, token.slot);
    if stack.is_nil(-1) {
        // Found to be garbage. Its finaliser may be long in coming: nothing is collected while a
        // pump waits, and `run` would wait for what nobody hears of any more.
        stack.pop(1);
        if object.bound.get() {
            unbind_all(stack, object);
            object.let_go();
        }
        return Outcome::Dropped;
    }
    if !object.watched.get() {
        return hand_over(stack, base, object, token, event);
    }
    // Kept below: the handler may drop the last reference.
    let index = stack.top();
    stack.push_value(index);
    let outcome = hand_over(stack, base, object, token, event);
    wake(stack, state, index, outcome)
}

fn hand_over(
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
        (Part::Timer(_), _) => timer_event(stack, base, object),
        (_, None) => farewell(stack, base, object, token),
    }
}

/// Tells the end of one replaced connection; the others come right behind it.
fn farewell(stack: Stack, base: Base, object: &Object, token: Token) -> Outcome {
    let left = object.farewells.get().saturating_sub(1);
    object.farewells.set(left);
    if left > 0 {
        object.state.push_next(Item::Farewell(token));
    }
    object.ends_one();
    call(stack, base, Number::Close, Argument::None, &object.state)
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
    let silenced = object.ended.get();
    let shown = reveal(object, part, &event);
    match event {
        Event::Closed(error) => return closed(stack, base, object, part, token, error),
        Event::Ended if !object.options().half_open => {
            return end_of_stream(stack, base, object, part, token);
        }
        // Of what `start_tls` has taken nothing is left to tell.
        Event::Data(count) if shown == 0 && count > 0 => {
            stack.pop(1);
            return Outcome::Silent;
        }
        Event::Securing => object.view.set(View::Securing),
        Event::Secured => object.view.set(View::Open),
        // One call a mark.
        Event::Marked(count) if count > 1 && !silenced => {
            state.push_next(Item::Event(token, Event::Marked(count - 1)));
        }
        Event::Ended => object.peer_ended.set(true),
        _ if silenced => {}
        Event::Resolved(_) => object.view.set(View::Connecting),
        Event::Connected => {
            part.forget(object);
            part.failure.set(None);
            object.peer_ended.set(false);
            object.stands();
        }
        Event::Reconnecting(_) => object.view.set(starting_view(part)),
        _ => {}
    }
    if silenced {
        stack.pop(1);
        return Outcome::Silent;
    }
    let Some((number, argument)) = handler_of(state, event, shown) else {
        stack.pop(1);
        return Outcome::Silent;
    };
    call(stack, base, number, argument, state)
}

/// Which handler hears of the event, and with what. `shown`: how many bytes it made readable.
fn handler_of(state: &State, event: Event, shown: usize) -> Option<(Number, Argument)> {
    Some(match event {
        Event::Resolved(addresses) => {
            let host = |address: &SocketAddr| Address::Ip(*address).host();
            let texts = addresses.iter().map(host).map(String::from_utf8);
            let texts: Vec<String> = texts.map(Result::unwrap_or_default).collect();
            let held = Error::new(crate::error::Code::Io, texts.join("\n"));
            hold_error(state, Box::new(held));
            (Number::Resolve, Argument::Addresses)
        }
        Event::Connected => (Number::Connect, Argument::None),
        Event::Data(_) => (Number::Data, Argument::Count(shown)),
        Event::Drained => (Number::Drain, Argument::None),
        Event::Marked(_) => (Number::Mark, Argument::None),
        Event::Secured => (Number::Secure, Argument::None),
        Event::Securing => (Number::Securing, Argument::None),
        Event::Sent => (Number::Sent, Argument::None),
        Event::Ended => (Number::End, Argument::None),
        Event::Reconnecting(attempt) => (Number::Reconnect, Argument::Count(attempt as usize)),
        _ => return None,
    })
}

/// How many bytes the script can read more than before the event.
fn reveal(object: &Object, part: &SocketPart, event: &Event) -> usize {
    match event {
        Event::Data(count) => part.front_mut(object).reveal(*count as usize),
        _ => 0,
    }
}

fn server_event(stack: Stack, base: Base, object: &Object, token: Token, event: Event) -> Outcome {
    let state = &*object.state;
    match event {
        Event::Failed(error) => {
            hold_error(state, error);
            call(stack, base, Number::Error, Argument::Failure, state)
        }
        Event::Accepted => {
            if is_left(stack, base.names, object, token) {
                stack.pop(1);
                return Outcome::Silent;
            }
            call(stack, base, Number::Accept, Argument::Server(token), state)
        }
        _ => {
            stack.pop(1);
            Outcome::Silent
        }
    }
}

fn timer_event(stack: Stack, base: Base, object: &Object) -> Outcome {
    let state = &*object.state;
    let Part::Timer(part) = &object.part else { return Outcome::Dropped };
    let last = !part.repeats.get();
    let skips = !last && part.turns.get();
    if !last {
        // The next turn keeps the phase; missed turns are left out.
        let (now, period) = (state.now(), part.period.get());
        let mut due = part.due.get() + period;
        if due < now && period > 0.0 {
            due = now + period - (now - part.due.get()) % period;
        }
        part.due.set(due.max(now));
        if let (Some(alarm), Some(hub)) = (part.alarm.borrow().as_ref(), state.hub()) {
            alarm.rearm(hub, state.moment(due), std::time::Instant::now());
        }
    } else if let Some(token) = object.token.get() {
        object.let_go();
        unbind(stack, object, token);
    }
    if skips {
        // Its handler pumps, and would be called inside of itself deeper and deeper.
        stack.pop(1);
        return Outcome::Silent;
    }
    let turn = Argument::Turn { last };
    if last {
        return call(stack, base, Number::Timer, turn, state);
    }
    part.turns.set(true);
    // Kept below: the handler may drop the last reference, or finalise it.
    stack.push_value(-1);
    let outcome = call(stack, base, Number::Timer, turn, state);
    let index = stack.top() - if outcome == Outcome::Raised { 2 } else { 0 };
    if let Some(Part::Timer(part)) = Object::at(stack, index).map(|timer| &timer.part) {
        part.turns.set(false);
    }
    stack.remove(index);
    outcome
}

/// Calls the class's function for its own notes; the object is on top of the stack.
pub(super) fn call_note(stack: Stack, base: Base, state: &State) -> Outcome {
    call(stack, base, Number::Note, Argument::None, state)
}

/// Calls the handler of the object on top of the stack for an event that changes nothing here.
pub(super) fn tell(stack: Stack, base: Base, state: &State, what: (Number, Argument)) -> Outcome {
    call(stack, base, what.0, what.1, state)
}

/// Calls the handler of the object on top of the stack and takes the object off.
pub(super) fn call(
    stack: Stack,
    base: Base,
    number: Number,
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
    if let Argument::Turn { last } = argument
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
            // Kept below the call until its data may come.
            stack.push_value(-1);
            stack.insert(object + 1);
            Some(2)
        }
        plain => push_arguments(stack, state, plain),
    };
    // Without them the error is on top, as one of the handler would be.
    let went_well = arguments.is_some_and(|count| stack.protected_call(count, 1, base.traceback));
    if let Some(accepted) = accepted {
        greet(stack, object + 1, accepted, state);
    }
    if went_well && is_class && stack.is_false(-1) {
        stack.set_top(object - 1);
        return Outcome::Silent;
    }
    finish(stack, base, state, object, number, went_well)
}

/// Calls a timer's own function, which is on top.
fn call_timer(stack: Stack, base: Base, state: &State, object: c_int, last: bool) -> Outcome {
    let number = Number::Timer;
    if last && let Some(timer) = Object::at(stack, object) {
        stack.raw_get_at(base.names, number as u32);
        disarm(stack, object, timer);
    }
    let went_well = stack.protected_call(0, 0, base.traceback);
    finish(stack, base, state, object, number, went_well)
}

/// Takes the object off; an error stays on top of it.
fn finish(
    stack: Stack,
    base: Base,
    state: &State,
    object: c_int,
    number: Number,
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

/// Pushes the function for an event: the class's, else the object's own handler, else nil.
pub(super) fn push_handler(stack: Stack, base: Base, place: u32, object: c_int) -> bool {
    if stack.push_metatable(object) {
        stack.raw_get_at(-1, place);
        if stack.is_function(-1) {
            stack.remove(-2);
            return true;
        }
        stack.set_top(object);
    }
    stack.push_own(object);
    stack.raw_get_at(base.names, place);
    stack.raw_get(-2);
    stack.remove(-2);
    false
}
