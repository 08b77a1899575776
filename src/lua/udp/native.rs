//! Sockets for datagrams in safe mlua: binding, sending, taking what has come.
//!
//! Not here: checking arguments (`udp.lua` has done it). A datagram is copied once more before
//! Lua makes its string.

use std::net::SocketAddr;
use std::rc::Rc;

use mlua::{BString, IntoLuaMulti, Lua, MultiValue, Table, Value};

use crate::address::{Address, Literal};
use crate::error::{Code, Error};
use crate::lua::class::native::{Outcome, answer, getter, method};
use crate::lua::class::object::{DatagramPart, Object, Part};
use crate::lua::options::settings::{checked, each};
use crate::lua::run::state::State;
use crate::net::hub::Hub;
use crate::net::options::UdpOptions;
use crate::net::target::{self, Redirect, Target};
use crate::net::udp::{Packet, UdpSocket};
use crate::reactor::Descriptor;
use crate::sync::Arc;

/// Host, port, and a table of options.
type Place = (mlua::LuaString, u16, Table);
/// What is sent, whether its sender is to be notified, host (nil: where it is connected), port, and
/// a redirect: false, or another host and port.
type Sending = (mlua::LuaString, bool, Option<mlua::LuaString>, u16, Value, Option<u16>);
/// Host, port, and a redirect.
type Asked = (mlua::LuaString, u16, Value, Option<u16>);
/// A group, whether it is joined, and at which interface, which is the group's zone if it is of IPv6.
type Member = (mlua::LuaString, bool, Option<mlua::LuaString>);

/// Adds the functions to the table that the Lua files get.
pub(in crate::lua) fn add(lua: &Lua, table: &Table, state: &Rc<State>) -> mlua::Result<()> {
    method(lua, table, state, "datagram_open", |lua, object, (host, port, given): Place| {
        let Part::Datagram(part) = &object.part else { return answer(lua, Ok(())) };
        let mut options = UdpOptions::default();
        each(&given, UdpOptions::kind, |name, value| options.set(name, &value))?;
        answer(lua, open(object, part, &host, port, &options))
    })?;
    method(lua, table, state, "datagram_send", |lua, object, given: Sending| {
        send(lua, object, &given)
    })?;
    method(lua, table, state, "datagram_connect", |lua, object, given: Asked| {
        let (host, port, redirect, to) = given;
        let target = target_of(&host, port, &redirect, to);
        let connect = |(datagram, hub): (Arc<UdpSocket>, &Arc<Hub>)| datagram.connect(hub, target);
        let idle = || Error::new(Code::Closed, "connect: the socket is closed");
        answer(lua, of(object).ok_or_else(idle).and_then(connect))
    })?;
    method(lua, table, state, "datagram_option", |lua, object, (name, value): (String, Value)| {
        let Some((kind, (datagram, _))) = UdpOptions::kind(&name).zip(of(object)) else {
            return answer(lua, Ok(()));
        };
        let mut options = UdpOptions::default();
        options.set(&name, &checked(kind, &value)?);
        answer(lua, datagram.set_option(&name, &options))
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
        object.notify_watchers();
        Ok(())
    })?;
    add_reading(lua, table, state)?;
    getter(lua, table, state, "datagram_facts", facts)?;
    method(lua, table, state, "datagram_endpoints", |_, object, (): ()| {
        let endpoints = of(object).map(|(datagram, _)| datagram.endpoints());
        let (local, peer) = endpoints.map_or((None, None), |(local, peer)| (Some(local), peer));
        Ok((host(local), port(local), host(peer), port(peer)))
    })
}

fn add_reading(lua: &Lua, table: &Table, state: &Rc<State>) -> mlua::Result<()> {
    method(lua, table, state, "datagram_read", |lua, object, (): ()| {
        let packet = of(object).and_then(|(datagram, hub)| datagram.take(hub));
        push(lua, packet)
    })?;
    // The datagram that an event announced; `wanted`: somebody takes it.
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
    // How many datagrams wait to be read.
    method(lua, table, state, "datagram_ready", |_, object, (): ()| {
        Ok(of(object).map_or(0, |(datagram, _)| datagram.waiting()))
    })
}

/// The open socket of an object.
fn of(object: &Object) -> Option<(Arc<UdpSocket>, &Arc<Hub>)> {
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

fn open(
    object: &Object,
    slot: &DatagramPart,
    host: &mlua::LuaString,
    port: u16,
    options: &UdpOptions,
) -> Outcome {
    let state = &*object.state;
    let hub = state.open()?;
    let host = host.as_bytes();
    let address = target::own("udp", if *host == *b"*" { b"0.0.0.0" } else { &host }, port)?;
    object.let_go();
    let datagram = UdpSocket::open(hub, address, options)?;
    let token = datagram.token();
    slot.replace(Some(datagram));
    object.attach(token);
    Ok(())
}

fn target_of(host: &mlua::LuaString, port: u16, redirect: &Value, to: Option<u16>) -> Target {
    let redirect = match redirect {
        Value::Boolean(false) => Some(Redirect::Unknown),
        Value::String(host) => Some(Redirect::To(host.as_bytes().to_vec(), to.unwrap_or(port))),
        _ => None,
    };
    Target::new(host.as_bytes().to_vec(), port, redirect)
}

/// `true` if it is with the system, else its number in the send queue if the script asked for one.
fn send(lua: &Lua, object: &Object, given: &Sending) -> mlua::Result<MultiValue> {
    let (data, notify, host, port, redirect, to) = given;
    let Some((datagram, hub)) = of(object) else {
        return answer(lua, Err(Error::new(Code::Closed, "send_to: the socket is closed")));
    };
    let target = host.as_ref().map(|host| target_of(host, *port, redirect, *to));
    match datagram.send(hub, &data.as_bytes(), target, *notify) {
        Ok(Some(ticket)) if *notify => ticket.into_lua_multi(lua),
        Ok(_) => answer(lua, Ok(())),
        Err(error) => answer(lua, Err(error)),
    }
}
