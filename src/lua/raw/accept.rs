//! From a waiting connection to a socket of the server's class.
//!
//! Not here: listening (`native`) and the call of `on_accept` (`dispatch`). Invariant: nothing is
//! read from a new connection before `on_accept` has returned.

use std::cell::Cell;
use std::ffi::c_int;

use mlua::ffi::lua_State;

use super::anchor::{bind, update_anchor};
use super::arguments::push_connection;
use super::dispatch::Number;
use super::guard::fenced;
use super::object::{Anchor, Object, Part, expect, new, state_of};
use super::server::ServerPart;
use super::socket::push_error;
use super::stack::Stack;
use crate::lua::state::State;
use crate::net::listener::Accepted;
use crate::net::stream::Stream;
use crate::proto::token::Token;
use crate::sync::Arc;

/// The event of a connection is being dispatched; the server is on top of the stack. Whether the
/// connection is to wait: nobody takes it.
pub(super) fn is_left(stack: Stack, names: c_int, server: &Object, token: Token) -> bool {
    let Part::Server(part) = &server.part else { return false };
    let mut is_left = false;
    if part.waits.get() {
        stack.push_own(stack.top());
        stack.raw_get_at(names, Number::Accept as u32);
        stack.raw_get(-2);
        is_left = stack.is_nil(-1);
        stack.pop(2);
    }
    let listeners = part.listeners.borrow();
    if let Some(listener) = listeners.iter().find(|listener| listener.token() == token) {
        listener.on_told(is_left);
    }
    is_left
}

/// `on_accept` of a server was set or taken away.
pub(super) fn handler_changed(stack: Stack, server: &Object, has: bool) {
    let Part::Server(part) = &server.part else { return };
    if let Some(hub) = server.state.hub().filter(|_| !server.state.is_forked()) {
        fenced(stack, || part.hold(hub, !has));
    }
}

/// Pushes the socket of the connection that waits longest. `None` when it is gone meanwhile. `is_taken`
/// gets its token once it has been taken. May raise.
pub(super) fn push_accepted<'a>(
    stack: Stack,
    state: &State,
    server: &Object,
    token: Token,
    is_taken: &Cell<Option<Token>>,
) -> Option<&'a Object> {
    let Part::Server(part) = &server.part else { return None };
    let (class, handlers_anchor) = part.class.get();
    stack.push_registered(state.references.get().metatables);
    stack.raw_get_at(-1, class);
    stack.remove(-2);
    let anchor = if handlers_anchor { Anchor::Handlers } else { Anchor::Object };
    let object = new(stack, 0.0, anchor);
    stack.remove(-2);
    object.house.set(server.house.get());
    object.kept.set(part.keeps.get());
    if adopt(state, part, token, object).is_none() {
        stack.pop(1);
        return None;
    }
    is_taken.set(object.token.get());
    bind(stack);
    Some(object)
}

/// The event of a connection that waits comes once more.
pub(super) fn tell_again(state: &State, server: &Object, token: Token) {
    let (Part::Server(part), Some(hub)) = (&server.part, state.hub()) else { return };
    let listeners = part.listeners.borrow();
    if let Some(listener) = listeners.iter().find(|listener| listener.token() == token) {
        listener.announce_again(hub);
    }
}

/// Gives the object its connection, if it is still there.
fn adopt(state: &State, part: &ServerPart, token: Token, object: &Object) -> Option<()> {
    let hub = state.hub()?;
    let listeners = part.listeners.borrow();
    let listener = listeners.iter().find(|listener| listener.token() == token)?;
    let accepted = listener.take(hub)?;
    let mut options = part.options.borrow().clone();
    let socket = object.socket()?;
    let adopted = match accepted {
        Accepted::Plain { socket, peer, gate } => {
            if options.begins_secure() {
                // It came before the server had a certificate.
                Arc::make_mut(&mut options).tls = None;
            }
            Stream::adopt(hub, socket, peer, Arc::clone(&options), gate)
        }
        Accepted::Secured { stream, gate } => {
            stream.move_in(hub, Arc::clone(&options), gate);
            stream
        }
    };
    let token = adopted.token();
    socket.stream.replace(Some(adopted));
    socket.options.set(Some(options));
    object.token.set(Some(token));
    object.stands();
    state.place(token, object);
    state.count(1);
    Some(())
}

/// `accept(server)`: a connection that waits now, looked for at the descriptors themselves, or nil.
pub(super) extern "C-unwind" fn accept(state: *mut lua_State) -> c_int {
    let stack = Stack::of(state);
    let server = expect(stack, "accept", "server");
    stack.set_top(1);
    let state = state_of(stack);
    let Part::Server(part) = &server.part else { return 0 };
    if state.is_forked() {
        return push_error(stack, state, State::forked());
    }
    let count = part.listeners.borrow().len();
    for place in 0..count {
        let listener = part.listeners.borrow().get(place).cloned();
        let (Some(listener), Some(hub)) = (listener, state.hub()) else { continue };
        fenced(stack, || listener.accept_now(hub));
        let (token, comes) = (listener.token(), listener.has_waiting());
        // It must not live across what may raise.
        drop(listener);
        if !comes {
            continue;
        }
        let Ok(connection) = push_connection(stack, state, server, token) else {
            stack.throw();
        };
        if let Some(accepted) = connection {
            greet(stack, stack.top(), accepted, state);
            return 1;
        }
        stack.pop(1);
    }
    stack.push_nil();
    1
}

/// `on_accept` has returned: the data of the new connection may come.
pub(super) fn greet(stack: Stack, index: c_int, accepted: &Object, state: &State) {
    let Some(part) = accepted.socket() else { return };
    if let (Some(hub), Some(stream)) = (state.hub(), part.stream.borrow().as_ref()) {
        stream.release_data(hub);
    }
    update_anchor(stack, index, accepted);
}
