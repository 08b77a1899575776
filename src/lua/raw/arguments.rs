//! What handlers get behind their object.
//!
//! Not here: which handler, and when (`dispatch`). Invariant: what needs memory is made under
//! protection, so that nothing leaves a dispatch by a jump: where memory is out, that is an error like
//! one of the handler itself.

use std::cell::Cell;
use std::ffi::c_int;

use mlua::ffi::{LUA_MULTRET, lua_State};

use super::accept::{push_accepted, tell_again};
use super::object::Object;
use super::socket::push_message;
use super::stack::Stack;
use crate::lua::state::State;
use crate::proto::token::Token;

/// Arguments behind the object.
#[derive(Clone, Copy)]
pub(super) enum Argument {
    None,
    Addresses,
    Count(usize),
    Failure,
    /// One more in a row: whoever didn't listen to the first isn't told again.
    Repeated,
    Server(Token),
    /// A timer's own function gets nothing; behind the last turn the timer lets go of it.
    Turn {
        last: bool,
    },
}

/// What is to be made.
struct Order<'a> {
    state: &'a State,
    argument: Argument,
    server: Option<&'a Object>,
    /// Of the connection that was taken for it.
    taken: Cell<Option<Token>>,
}

/// Pushes what a handler gets behind the object that is on top; how many arguments there are with it.
/// Where memory is out: nothing, and the error is on top.
pub(super) fn push_arguments(stack: Stack, state: &State, argument: Argument) -> Option<c_int> {
    match argument {
        Argument::None | Argument::Server(_) | Argument::Turn { .. } => Some(1),
        Argument::Count(count) => {
            stack.push_count(count);
            Some(2)
        }
        Argument::Addresses => prepare(stack, &Order::new(state, argument, None)).then_some(2),
        Argument::Failure | Argument::Repeated => {
            prepare(stack, &Order::new(state, argument, None)).then_some(3)
        }
    }
}

/// Pushes the socket of the connection that waits longest at the server, or nil where there is none. Where
/// memory is out: nothing, and the error is on top; the connection waits for the next pump, or is closed.
pub(super) fn push_connection<'a>(
    stack: Stack,
    state: &State,
    server: &Object,
    token: Token,
) -> Result<Option<&'a Object>, ()> {
    let order = Order::new(state, Argument::Server(token), Some(server));
    if prepare(stack, &order) {
        return Ok(Object::at(stack, stack.top()));
    }
    let Some(token) = order.taken.get() else {
        tell_again(state, server, token);
        return Err(());
    };
    let place = state.slots.borrow().get(token.slot as usize).copied();
    if let Some(object) = place.and_then(Object::in_slot) {
        object.let_go();
    }
    Err(())
}

fn prepare(stack: Stack, order: &Order) -> bool {
    stack.push_registered(order.state.references.get().preparer);
    stack.push_pointer(std::ptr::from_ref(order).cast());
    stack.protected_call(1, LUA_MULTRET, 0)
}

impl<'a> Order<'a> {
    fn new(state: &'a State, argument: Argument, server: Option<&'a Object>) -> Self {
        Self { state, argument, server, taken: Cell::new(None) }
    }
}

/// `preparer(order)`: the values.
pub(super) extern "C-unwind" fn preparer(state: *mut lua_State) -> c_int {
    let stack = Stack::of(state);
    let order: *const Order = stack.to_pointer(1).cast();
    // SAFETY: only `prepare` calls this, with what stays until it returns.
    let order = unsafe { &*order };
    match (order.argument, order.server) {
        (Argument::Addresses, _) => {
            push_addresses(stack, order.state);
            1
        }
        (Argument::Failure | Argument::Repeated, _) => {
            let code = push_message(stack, order.state);
            stack.push_bytes(code.as_str().as_bytes());
            2
        }
        (Argument::Server(token), Some(server)) => {
            if push_accepted(stack, order.state, server, token, &order.taken).is_none() {
                stack.push_nil();
            }
            1
        }
        _ => 0,
    }
}

fn push_addresses(stack: Stack, state: &State) {
    push_message(stack, state);
    let text = stack.to_bytes(-1).unwrap_or_default();
    stack.new_table();
    for (index, address) in (1..).zip(text.split(|byte| *byte == b'\n')) {
        stack.push_bytes(address);
        stack.raw_set_at(-2, index);
    }
}
