//! Events of a socket for datagrams.
//!
//! Not here: the datagrams, which the class's function takes itself (`datagram.lua`).

use super::arguments::Argument;
use super::dispatch::{Base, Number, Outcome, tell};
use super::socket::hold_error;
use super::stack::Stack;
use crate::lua::state::State;
use crate::proto::event::Event;

/// Hands one event to the object on top of the stack.
pub(super) fn datagram_event(stack: Stack, base: Base, state: &State, event: Event) -> Outcome {
    let what = match event {
        Event::Connected => (Number::Connect, Argument::None),
        Event::Datagram => (Number::Datagram, Argument::None),
        Event::Delivered(ticket) => (Number::Sent, Argument::Count(ticket as usize)),
        Event::Undelivered(ticket) => (Number::Unsent, Argument::Count(ticket as usize)),
        Event::Failed(error) => {
            hold_error(state, error);
            (Number::Error, Argument::Failure)
        }
        _ => {
            stack.pop(1);
            return Outcome::Silent;
        }
    };
    tell(stack, base, state, what)
}
