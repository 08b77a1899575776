//! What handlers get behind their object.
//!
//! Not here: which handler, and when (`dispatch`). Invariant: what needs memory is made under protection, so
//! that no error jumps out of a dispatch: that memory is out counts as an error of the handler.

use std::ffi::c_int;
use std::net::SocketAddr;

use crate::address::Address;
use crate::lua::ffi::protected::protected;
use crate::lua::ffi::stack::{Lossy, Stack, Text};
use crate::lua::run::errors::push_message;
use crate::lua::run::state::{Held, State};
use crate::proto::token::Token;

/// Arguments behind the object.
#[derive(Clone, Copy)]
pub(in crate::lua) enum Argument {
    None,
    Addresses,
    Count(usize),
    Failure,
    /// The failure follows another of the same kind: it is not reported again as unhandled.
    Repeated,
    /// Whether a descriptor can be read, and written.
    Ready {
        readable: bool,
        writable: bool,
    },
    Server(Token),
    /// The function of a timer gets nothing; with the last call the timer forgets it.
    Timer {
        last: bool,
    },
}

/// Pushes what a handler gets behind the object that is on top; how many arguments there are with it.
/// Where memory is out: nothing, and the error is on top.
pub(in crate::lua) fn push_arguments(
    stack: Stack,
    state: &State,
    argument: Argument,
) -> Option<c_int> {
    match argument {
        Argument::None | Argument::Server(_) | Argument::Timer { .. } => Some(1),
        Argument::Count(count) => {
            stack.push_count(count);
            Some(2)
        }
        Argument::Ready { readable, writable } => {
            stack.push_bool(readable);
            stack.push_bool(writable);
            Some(3)
        }
        Argument::Addresses => {
            let Some(Held::Addresses(addresses)) = state.held.take() else { return Some(1) };
            let body = |stack| {
                push_hosts(stack, &addresses);
                1
            };
            protected(stack, state, 1, &body).then_some(2)
        }
        Argument::Failure | Argument::Repeated => {
            let body = |stack: Stack| {
                let code = push_message(stack, state);
                stack.push_bytes(code.as_str().as_bytes());
                2
            };
            protected(stack, state, 2, &body).then_some(3)
        }
    }
}

/// Pushes a table of the hosts; may raise.
fn push_hosts(stack: Stack, addresses: &[SocketAddr]) {
    stack.new_table();
    for (index, address) in (1..).zip(addresses) {
        // As a text that has no destructor.
        let text = {
            let host = Address::Ip(*address).host();
            Text::new(format_args!("{}", Lossy(&host)))
        };
        stack.push_bytes(text.as_bytes());
        stack.raw_set_at(-2, index);
    }
}
