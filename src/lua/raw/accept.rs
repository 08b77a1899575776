//! From a waiting connection to a socket of the server's class.
//!
//! Not here: listening (`native`) and the call of `on_accept` (`dispatch`). Invariant: nothing is
//! read from a new connection before `on_accept` has returned.

use std::ffi::c_int;

use super::anchor::{bind, update_anchor};
use super::object::{Anchor, Object, Part, ServerPart, new};
use super::stack::Stack;
use crate::lua::state::State;
use crate::net::listener::Accepted;
use crate::net::stream::Stream;
use crate::proto::token::Token;
use crate::sync::Arc;

/// Pushes the socket of the connection that waits longest. `None` when it is gone meanwhile.
pub(super) fn push_accepted<'a>(
    stack: Stack,
    state: &State,
    server: &Object,
    token: Token,
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
    let found = adopt(state, part, token, object);
    let Some(token) = found else {
        stack.pop(1);
        return None;
    };
    bind(stack, state, token);
    Some(object)
}

fn adopt(state: &State, part: &ServerPart, token: Token, object: &Object) -> Option<Token> {
    let hub = state.hub()?;
    let listeners = part.listeners.borrow();
    let listener = listeners.iter().find(|listener| listener.token() == token)?;
    let accepted = listener.take(hub)?;
    let options = part.options.borrow().clone();
    let socket = object.socket()?;
    let adopted = match accepted {
        Accepted::Plain { socket, peer, gate } => {
            Stream::adopt(hub, socket, peer, Arc::clone(&options), gate)
        }
        Accepted::Secured(stream) => {
            stream.set_options(hub, Arc::clone(&options));
            stream
        }
    };
    let token = adopted.token();
    socket.stream.replace(Some(adopted));
    socket.options.replace(options);
    object.token.set(Some(token));
    object.stands();
    state.place(token, object);
    state.count(1);
    Some(token)
}

/// `on_accept` has returned: the data of the new connection may come.
pub(super) fn greet(stack: Stack, index: c_int, accepted: &Object, state: &State) {
    let Some(part) = accepted.socket() else { return };
    if let (Some(hub), Some(stream)) = (state.hub(), part.stream.borrow().as_ref()) {
        stream.release_data(hub);
    }
    update_anchor(stack, index, accepted);
}
