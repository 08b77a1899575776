//! Sockets of connections in safe mlua: connecting, TLS on an open connection, figures, a port held before
//! the connection.
//!
//! Not here: checking arguments (Lua has done it) and the hot path (`methods`).

use std::rc::Rc;

use mlua::{BString, IntoLuaMulti, Lua, Table, Value};

use crate::error::{Code, Error};
use crate::limits;
use crate::lua::class::native::{Outcome, answer, getter, method};
use crate::lua::class::object::{Object, SocketPart};
use crate::lua::options::settings::bind;
use crate::lua::options::tls;
use crate::lua::run::queue::Work;
use crate::lua::run::state::State;
use crate::lua::socket::facts::looks_up;
use crate::net::options::Tls;
use crate::net::port_hold::PortHold;
use crate::net::stream::Stream;
use crate::net::target::{Redirect, Target};
use crate::proto::script::SocketState;
use crate::sync::Arc;

/// Host, port, and a redirect: false, or another host and port.
type Asked = (mlua::LuaString, u16, Value, Option<u16>);

/// What was made of a TLS table, and whom a client expects.
type Named = (Value, Option<String>);

/// Adds the functions to the table that the Lua files get.
pub(in crate::lua) fn add(lua: &Lua, table: &Table, state: &Rc<State>) -> mlua::Result<()> {
    method(lua, table, state, "connect", |lua, object, (host, port, redirect, to): Asked| {
        let redirect = match redirect {
            Value::Boolean(false) => Some(Redirect::Unknown),
            Value::String(host) => Some(Redirect::To(host.as_bytes().to_vec(), to.unwrap_or(port))),
            _ => None,
        };
        let target = Target::new(host.as_bytes().to_vec(), port, redirect);
        answer(lua, object.socket().map_or(Ok(()), |part| connect(object, part, target)))
    })?;
    method(lua, table, state, "info", |lua, object, (): ()| {
        object.socket().map(|part| info(lua, object, part)).transpose()
    })?;
    method(lua, table, state, "tls_facts", |lua, object, (): ()| {
        let stream = object.socket().and_then(|part| part.stream.borrow().clone());
        let facts = stream.and_then(|stream| stream.info().tls);
        facts.map(|facts| tls::facts(lua, &facts)).transpose()
    })?;
    method(lua, table, state, "tls_peer", |lua, object, (): ()| {
        let stream = object.socket().and_then(|part| part.stream.borrow().clone());
        let peer = stream.and_then(|stream| stream.peer_certificate());
        peer.map(|peer| tls::peer(lua, &peer)).transpose()
    })?;
    method(lua, table, state, "start_tls", |lua, object, (tls, name): Named| {
        let (Some(tls), Some(part)) = (tls::of(&tls), object.socket()) else {
            return answer(lua, Ok(()));
        };
        answer(lua, start_tls(object, part, &tls, name))
    })?;
    method(lua, table, state, "hold_port", |lua, object, (address, port): (Value, u16)| {
        if object.state.is_forked() {
            return answer(lua, Err(State::forked()));
        }
        let Some(address) = bind(&address, port) else {
            return answer(lua, Ok(()));
        };
        match PortHold::new(address) {
            Ok(reserved) => {
                let taken = reserved.port();
                object.state.hold_port(object.pointer(), reserved);
                taken.into_lua_multi(lua)
            }
            Err(error) => answer(lua, Err(error)),
        }
    })?;
    getter(lua, table, state, "target", |object| {
        let target = object.socket().and_then(|part| part.target.get());
        let port = |target: &Target| (!target.is_unix()).then_some(target.port);
        target.map_or((None, None), |target| {
            (Some(BString::from(target.host.clone())), port(&target))
        })
    })
}

pub(super) fn connect(object: &Object, part: &SocketPart, target: Target) -> Outcome {
    let state = &*object.state;
    if state.is_forked() {
        return Err(State::forked());
    }
    let hub = state.open()?;
    let refused = |waiting: u16| {
        let text = format!(
            "connect {}: {waiting} earlier connections of this socket ended and nothing has pumped since",
            target.display()
        );
        Error::new(Code::Again, text)
    };
    object.update(|script| script.supersede(limits::SUPERSEDED_WAITING)).map_err(refused)?;
    let early = state.take_early(object.pointer());
    object.let_go();
    // No longer the connection that its server has accepted.
    object.dies_with_server.set(false);
    part.clear(object);
    part.failure.set(None);
    let target = state.shared_target(target);
    part.target.set(Some(Arc::clone(&target)));
    let options = object.options();
    let stream = match early {
        Some(early) => Stream::connect_by(hub, target, options, early),
        None => Stream::connect(hub, target, options),
    };
    let token = stream.token();
    part.stream.replace(Some(stream));
    let is_late = object.update(|script| script.connect(looks_up(part)));
    object.attach(token);
    if is_late {
        // One for all of them: the one that stood for earlier connections went with their token.
        state.queue.push(Work::SupersededClose(token));
    }
    state.ring();
    Ok(())
}

fn start_tls(object: &Object, part: &SocketPart, tls: &Tls, name: Option<String>) -> Outcome {
    if object.state.is_forked() {
        return Err(State::forked());
    }
    let stream =
        part.stream.borrow().clone().filter(|_| object.script().state() == SocketState::Open);
    let (Some(hub), Some(stream)) = (object.state.hub(), stream) else {
        return Err(Error::new(Code::Closed, "start_tls: the socket is not open"));
    };
    let early = part.front(object).everything().to_vec();
    if stream.start_tls(hub, tls, name.map(String::into_boxed_str), early)? {
        // What came before the handshake was given to the session.
        part.clear(object);
    }
    Ok(())
}

fn info(lua: &Lua, object: &Object, part: &SocketPart) -> mlua::Result<Table> {
    let table = lua.create_table()?;
    let stream = part.stream.borrow().clone();
    let Some(stream) = stream else { return Ok(table) };
    let info = stream.info();
    if let Some(peer) = info.peer {
        table.set("peer_address", BString::from(peer.host()))?;
        table.set("peer_port", peer.port())?;
    }
    if let Some(local) = info.local {
        table.set("local_address", BString::from(local.host()))?;
        table.set("local_port", local.port())?;
    }
    if let Some(opened) = object.script().opened() {
        table.set("opened", opened.as_secs_f64())?;
    }
    table.set("bytes_in", info.bytes_in)?;
    table.set("bytes_out", info.bytes_out)?;
    table.set("pending", info.pending)?;
    table.set("attempt", stream.attempt())?;
    let live = lua.create_table()?;
    live.set("connected", info.phase == crate::proto::connection::Phase::Open && !info.eof)?;
    live.set("ended", info.eof)?;
    live.set("read_ahead", info.read_ahead)?;
    table.set("live", live)?;
    Ok(table)
}
