//! From a waiting connection to a socket of the server's class.
//!
//! Not here: listening (`native`) and the call of `on_accept` (`run::call`). Invariant: nothing is
//! read from a new connection before `on_accept` has returned.

use std::cell::Cell;
use std::ffi::c_int;

use mlua::ffi::lua_State;

use crate::lua::class::anchor::{register, update_anchor};
use crate::lua::class::kind::Kind;
use crate::lua::class::object::{Anchor, Object, Part};
use crate::lua::class::receiver::expect;
use crate::lua::ffi::block::new;
use crate::lua::ffi::protected::catch_panic;
use crate::lua::ffi::protected::protected;
use crate::lua::ffi::sentinel::state_of;
use crate::lua::ffi::stack::Stack;
use crate::lua::run::errors::push_error;
use crate::lua::run::events::EventNumber;
use crate::lua::run::state::State;
use crate::lua::server::part::ServerPart;
use crate::net::listener::Accepted;
use crate::net::stream::Stream;
use crate::proto::token::Token;
use crate::sync::Arc;

/// The event of a connection is being dispatched; the server is on top of the stack. Whether the
/// connection goes on waiting, because nobody takes it.
pub(in crate::lua) fn is_left(stack: Stack, names: c_int, server: &Object, token: Token) -> bool {
    let Part::Server(part) = &server.part else { return false };
    let mut is_left = false;
    if part.waits.get() {
        stack.push_fields(stack.top());
        stack.raw_get_at(names, EventNumber::Accept as u32);
        stack.raw_get(-2);
        is_left = stack.is_nil(-1);
        stack.pop(2);
    }
    let listeners = part.listeners.borrow();
    if let Some(listener) = listeners.iter().find(|listener| listener.token() == token) {
        listener.on_announced(is_left);
    }
    is_left
}

/// `on_accept` of a server was set or taken away.
pub(in crate::lua) fn handler_changed(stack: Stack, server: &Object, has: bool) {
    let Part::Server(part) = &server.part else { return };
    if let Some(hub) = server.state.hub().filter(|_| !server.state.is_forked()) {
        catch_panic(stack, || part.hold(hub, !has));
    }
}

/// Pushes the socket of the connection that waits longest at the server, or nil where there is none. Where
/// memory is out: nothing, and the error is on top; the connection waits for the next pump, or is closed.
pub(in crate::lua) fn push_connection<'a>(
    stack: Stack,
    state: &State,
    server: &Object,
    token: Token,
) -> Result<Option<&'a Object>, ()> {
    let its_token = Cell::new(None);
    let body = |stack: Stack| {
        if push_accepted(stack, state, server, token, &its_token).is_none() {
            stack.push_nil();
        }
        1
    };
    if protected(stack, state, 1, &body) {
        return Ok(Object::at(stack, stack.top()));
    }
    let Some(token) = its_token.get() else {
        announce_again(state, server, token);
        return Err(());
    };
    if let Some(object) = Object::behind(state.slot(token.slot)) {
        object.let_go();
    }
    Err(())
}

/// Pushes the socket of the connection that waits longest. `None` when it is gone meanwhile. `is_taken`
/// gets the token once the connection has been taken from the listener. May raise.
fn push_accepted<'a>(
    stack: Stack,
    state: &State,
    server: &Object,
    token: Token,
    is_taken: &Cell<Option<Token>>,
) -> Option<&'a Object> {
    let Part::Server(part) = &server.part else { return None };
    let (class, handlers_anchor) = part.class.get();
    stack.push_reference(state.references.get().metatables);
    stack.raw_get_at(-1, class);
    stack.remove(-2);
    let anchor = if handlers_anchor { Anchor::Handlers } else { Anchor::Object };
    let object = new(stack, Kind::Socket, anchor);
    stack.remove(-2);
    object.server_id.set(server.server_id.get());
    object.dies_with_server.set(part.sockets_die_with_it.get());
    if adopt(state, part, token, object).is_none() {
        stack.pop(1);
        return None;
    }
    is_taken.set(object.token.get());
    register(stack);
    Some(object)
}

/// Has the event of a connection that waits come once more.
fn announce_again(state: &State, server: &Object, token: Token) {
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
    let is_secured = matches!(accepted, Accepted::Secured { .. });
    let adopted = match accepted {
        Accepted::Plain { socket, peer, guard } => {
            if options.begins_secure() {
                // The connection came before the server had a certificate.
                Arc::make_mut(&mut options).tls = None;
            }
            Stream::adopt(hub, socket, peer, Arc::clone(&options), listener.inherited(), guard)
        }
        Accepted::Secured { stream, guard } => {
            stream.move_in(hub, Arc::clone(&options), guard);
            stream
        }
    };
    let token = adopted.token();
    socket.stream.replace(Some(adopted));
    socket.options.set(Some(options));
    object.update(|script| {
        script.adopt(state.elapsed());
        if is_secured {
            script.adopt_secured();
        }
    });
    object.attach(token);
    Some(())
}

/// `accept(server)`: a connection that waits now, looked for at the descriptors themselves, or nil.
pub(in crate::lua) extern "C-unwind" fn accept(state: *mut lua_State) -> c_int {
    let stack = Stack::of(state);
    let server = expect(stack, "accept", Kind::Server);
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
        catch_panic(stack, || listener.accept_now(hub));
        let (token, comes) = (listener.token(), listener.has_waiting());
        // Its destructor must not be due when Lua raises.
        drop(listener);
        if !comes {
            continue;
        }
        let Ok(connection) = push_connection(stack, state, server, token) else {
            stack.throw();
        };
        if let Some(accepted) = connection {
            after_accept(stack, stack.top(), accepted, state);
            return 1;
        }
        stack.pop(1);
    }
    stack.push_nil();
    1
}

/// `on_accept` has returned: the data of the new connection may come.
pub(in crate::lua) fn after_accept(stack: Stack, index: c_int, accepted: &Object, state: &State) {
    let Some(part) = accepted.socket() else { return };
    if let (Some(hub), Some(stream)) = (state.hub(), part.stream.borrow().as_ref()) {
        stream.release_data(hub);
    }
    update_anchor(stack, index, accepted);
}
