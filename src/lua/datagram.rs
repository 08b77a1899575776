//! Datagrams for the Lua side: binding, sending, taking what has come.
//!
//! Not here: checking arguments (`datagram.lua` has done it). All in safe mlua: a copy is made
//! before Lua makes its string.

use std::net::SocketAddr;
use std::rc::Rc;

use mlua::{BString, IntoLuaMulti, Lua, MultiValue, Table, Value};

use crate::address::{Address, Literal};
use crate::error::{Code, Error};
use crate::lua::native::{answer, look, method};
use crate::lua::raw::object::{DatagramPart, Object, Part};
use crate::lua::state::State;
use crate::net::connect_plan::{self, ConnectPlan, Detour};
use crate::net::datagram::{Binding, Datagram, Packet};
use crate::net::hub::Hub;
use crate::reactor::Descriptor;
use crate::sync::Arc;

type Outcome = Result<(), Error>;
/// Host, port, broadcast, shared address, shared port, largest size, paused.
type Place = (mlua::LuaString, u16, bool, bool, bool, usize, bool);
/// What is sent, whether its sender wants to be told, host (nil: where it is connected), port, and
/// a detour: false, or another host and port.
type Sending = (mlua::LuaString, bool, Option<mlua::LuaString>, u16, Value, Option<u16>);
/// Host, port, and a detour.
type Target = (mlua::LuaString, u16, Value, Option<u16>);
/// A group, whether it is joined, and at which interface, which is the group's zone if it is of IPv6.
type Member = (mlua::LuaString, bool, Option<mlua::LuaString>);

/// Adds the functions to the table that the Lua files get.
pub(super) fn add(lua: &Lua, table: &Table, state: &Rc<State>) -> mlua::Result<()> {
    method(lua, table, state, "datagram_open", |lua, object, place: Place| {
        let Part::Datagram(part) = &object.part else { return answer(lua, Ok(())) };
        answer(lua, open(object, part, &place))
    })?;
    method(lua, table, state, "datagram_send", |lua, object, given: Sending| {
        send(lua, object, &given)
    })?;
    method(lua, table, state, "datagram_connect", |lua, object, given: Target| {
        let (host, port, detour, to) = given;
        let plan = plan_of(&host, port, &detour, to);
        let connect = |(datagram, hub): (Arc<Datagram>, &Arc<Hub>)| datagram.connect(hub, plan);
        let idle = || Error::new(Code::Closed, "connect: the socket is closed");
        answer(lua, of(object).ok_or_else(idle).and_then(connect))
    })?;
    method(lua, table, state, "datagram_read", |lua, object, (): ()| {
        let packet = of(object).and_then(|(datagram, hub)| datagram.take(hub));
        push(lua, packet)
    })?;
    // What an event has told of; `wanted`: somebody takes it.
    method(lua, table, state, "datagram_next", |lua, object, wanted: bool| {
        let packet = of(object).and_then(|(datagram, hub)| datagram.next(hub, wanted));
        push(lua, packet)
    })?;
    method(lua, table, state, "datagram_pause", |_, object, paused: bool| {
        if let Some((datagram, hub)) = of(object) {
            datagram.set_paused(hub, paused);
        }
        Ok(())
    })?;
    method(lua, table, state, "datagram_broadcast", |lua, object, on: bool| {
        answer(lua, of(object).map_or(Ok(()), |(datagram, _)| datagram.set_broadcast(on)))
    })?;
    method(lua, table, state, "datagram_max_size", |_, object, size: usize| {
        if let Some((datagram, _)) = of(object) {
            datagram.set_max_size(size);
        }
        Ok(())
    })?;
    method(lua, table, state, "datagram_member", |lua, object, (group, joins, at): Member| {
        let group = Literal::read(&group.as_bytes());
        let at = at.map(|at| at.to_string_lossy());
        let Some(((datagram, _), group)) = of(object).zip(group) else {
            return answer(lua, Ok(()));
        };
        answer(lua, datagram.set_member(&group, at.as_deref(), joins))
    })?;
    method(lua, table, state, "datagram_close", |_, object, (): ()| {
        object.let_go();
        Ok(())
    })?;
    look(lua, table, state, "datagram_facts", facts)?;
    method(lua, table, state, "datagram_ends", |_, object, (): ()| {
        let ends = of(object).map(|(datagram, _)| datagram.ends());
        let (local, peer) = ends.map_or((None, None), |(local, peer)| (Some(local), peer));
        Ok((host(local), port(local), host(peer), port(peer)))
    })
}

/// The open socket of an object.
fn of(object: &Object) -> Option<(Arc<Datagram>, &Arc<Hub>)> {
    let Part::Datagram(part) = &object.part else { return None };
    object.token.get()?;
    part.borrow().clone().zip(object.state.hub())
}

fn host(address: Option<SocketAddr>) -> Option<BString> {
    address.map(|address| Address::Ip(address).host().into())
}

fn port(address: Option<SocketAddr>) -> Option<u16> {
    address.map(|address| address.port())
}

/// Host, port and descriptor while it is open; bytes received and sent.
fn facts(object: &Object) -> (Option<BString>, Option<u16>, Option<Descriptor>, u64, u64) {
    let Part::Datagram(part) = &object.part else { return (None, None, None, 0, 0) };
    let datagram = part.borrow().clone();
    let Some(datagram) = datagram else { return (None, None, None, 0, 0) };
    let (bytes_in, bytes_out) = datagram.bytes();
    let place = object.token.get().map(|_| datagram.place());
    let (local, fd) = place.map_or((None, None), |(local, fd)| (Some(local), Some(fd)));
    (host(local), port(local), fd, bytes_in, bytes_out)
}

/// Data, host, port and whether it was cut; nothing if there is no datagram.
fn push(lua: &Lua, packet: Option<Packet>) -> mlua::Result<MultiValue> {
    let Some(packet) = packet else { return ().into_lua_multi(lua) };
    let data = lua.create_string(&packet.data)?;
    (data, host(Some(packet.from)), packet.from.port(), packet.truncated).into_lua_multi(lua)
}

fn open(object: &Object, slot: &DatagramPart, place: &Place) -> Outcome {
    let (host, port, broadcast, reuse_address, reuse_port, max_size, paused) = place;
    let state = &*object.state;
    let hub = state.open()?;
    let host = host.as_bytes();
    let address = connect_plan::own("udp", if *host == *b"*" { b"0.0.0.0" } else { &host }, *port)?;
    let how =
        Binding { broadcast: *broadcast, reuse_address: *reuse_address, reuse_port: *reuse_port };
    object.let_go();
    let datagram = Datagram::open(hub, address, how, *max_size, *paused)?;
    let token = datagram.token();
    slot.replace(Some(datagram));
    object.token.set(Some(token));
    state.place(token, object);
    state.count(1);
    Ok(())
}

fn plan_of(host: &mlua::LuaString, port: u16, detour: &Value, to: Option<u16>) -> ConnectPlan {
    let detour = match detour {
        Value::Boolean(false) => Some(Detour::Unknown),
        Value::String(host) => Some(Detour::To(host.as_bytes().to_vec(), to.unwrap_or(port))),
        _ => None,
    };
    ConnectPlan::new(host.as_bytes().to_vec(), port, detour)
}

/// `true` if it is with the system, the number under which it waits if that was asked for.
fn send(lua: &Lua, object: &Object, given: &Sending) -> mlua::Result<MultiValue> {
    let (data, told, host, port, detour, to) = given;
    let Some((datagram, hub)) = of(object) else {
        return answer(lua, Err(Error::new(Code::Closed, "send_to: the socket is closed")));
    };
    let plan = host.as_ref().map(|host| plan_of(host, *port, detour, *to));
    match datagram.send(hub, &data.as_bytes(), plan, *told) {
        Ok(Some(ticket)) if *told => ticket.into_lua_multi(lua),
        Ok(_) => answer(lua, Ok(())),
        Err(error) => answer(lua, Err(error)),
    }
}
