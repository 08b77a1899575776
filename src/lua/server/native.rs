//! Servers in safe mlua: listening, and who may come in.
//!
//! Not here: checking arguments (Lua has done it), accepting (`accept`).

use std::rc::Rc;

use mlua::{BString, Lua, Table};

use crate::address::{self, UNIX};
use crate::error::Code;
use crate::lua::class::native::{Outcome, answer, getter, method};
use crate::lua::class::object::{Object, Part};
use crate::lua::options::settings::each;
use crate::lua::run::state::State;
use crate::lua::server::part::ServerPart;
use crate::net::connection_count::ConnectionCount;
use crate::net::listener::{Listener, any_v4, any_v6};
use crate::net::options::ListenOptions;
use crate::net::target;
use crate::quote::shown;
use crate::sync::Arc;

/// Host, port, a table of options of the server, class number, anchored by handlers.
type Place = (mlua::LuaString, u16, Table, u32, bool);

/// Adds the functions to the table that the Lua files get.
pub(in crate::lua) fn add(lua: &Lua, table: &Table, state: &Rc<State>) -> mlua::Result<()> {
    method(
        lua,
        table,
        state,
        "listen",
        |lua, object, (host, port, given, class, anchored): Place| {
            let Part::Server(part) = &object.part else { return answer(lua, Ok(())) };
            part.class.set((class, anchored));
            answer(lua, listen(object, part, (&host, port), &options(&given)?))
        },
    )?;
    method(lua, table, state, "server_close", |_, object, (): ()| {
        object.let_go();
        object.notify_watchers();
        Ok(())
    })?;
    method(lua, table, state, "server_pause", |_, object, paused: bool| {
        if let (Part::Server(part), Some(hub)) = (&object.part, object.state.hub()) {
            for listener in part.listeners.borrow().iter() {
                listener.set_paused(hub, paused);
            }
        }
        Ok(())
    })?;
    method(lua, table, state, "server_bounds", |_, object, given: Table| {
        let bounds = options(&given)?;
        if let Part::Server(part) = &object.part
            && let Some(count) = part.count.borrow().as_ref()
        {
            count.set_most(bounds.max_connections);
            count.set_memory(bounds.memory_limit);
        }
        Ok(())
    })?;
    method(lua, table, state, "sockets_die_with_server", |_, object, (): ()| {
        if let Part::Server(part) = &object.part {
            part.sockets_die_with_it.set(true);
        }
        Ok(())
    })?;
    add_waiting(lua, table, state)?;
    getter(lua, table, state, "server_info", |object| {
        let Part::Server(part) = &object.part else { return (None, None, 0) };
        let first = part.listeners.borrow().first().map(|listener| listener.address().clone());
        let open = part.count.borrow().as_ref().map_or(0, |count| count.open());
        let host = first.as_ref().map(|address| BString::from(address.host()));
        (host, first.and_then(|address| address.port()), open)
    })
}

/// For connections that wait to be accepted.
fn add_waiting(lua: &Lua, table: &Table, state: &Rc<State>) -> mlua::Result<()> {
    method(lua, table, state, "server_waits", |_, object, holds: bool| {
        if let (Part::Server(part), Some(hub)) = (&object.part, object.state.hub()) {
            part.waits.set(true);
            part.hold(hub, holds);
        }
        Ok(())
    })?;
    // How many connections wait to be accepted; `looks`: at the descriptors as well.
    method(lua, table, state, "server_ready", |_, object, looks: bool| {
        let (Part::Server(part), Some(hub)) = (&object.part, object.state.hub()) else {
            return Ok(0);
        };
        let listeners = part.listeners.borrow();
        if looks {
            listeners.iter().for_each(|listener| listener.accept_now(hub));
        }
        Ok(listeners.iter().map(|listener| listener.waiting()).sum::<usize>())
    })
}

/// Adds what is asked for when the objects of a state are.
pub(in crate::lua) fn add_info(lua: &Lua, table: &Table, state: &Rc<State>) -> mlua::Result<()> {
    method(lua, table, state, "server_counters", |lua, object, (): ()| {
        let Part::Server(part) = &object.part else { return Ok(None) };
        counters(lua, object, part).map(Some)
    })
}

/// What has been since it listens, and what is now.
fn counters(lua: &Lua, server: &Object, part: &ServerPart) -> mlua::Result<Table> {
    let table = lua.create_table()?;
    let (mut waiting, mut in_handshake) = (0, 0);
    for listener in part.listeners.borrow().iter() {
        waiting += listener.waiting();
        in_handshake += listener.in_handshake();
    }
    table.set("waiting", waiting)?;
    table.set("in_handshake", in_handshake)?;
    let Some(count) = part.count.borrow().clone() else { return Ok(table) };
    let (accepted, refused) = count.accepted();
    table.set("accepted", accepted)?;
    table.set("refused", refused)?;
    table.set("open", count.open())?;
    let (mut bytes_in, mut bytes_out) = count.bytes_moved();
    for slot in 0..server.state.slots() {
        let object = Object::behind(server.state.slot(slot));
        let its = object.filter(|object| object.server_id.get() == server.server_id.get());
        let stream = its.and_then(Object::socket).and_then(|part| part.stream.borrow().clone());
        if let Some((more_in, more_out)) = stream.and_then(|stream| stream.bytes_counted()) {
            bytes_in += more_in;
            bytes_out += more_out;
        }
    }
    table.set("bytes_in", bytes_in)?;
    table.set("bytes_out", bytes_out)?;
    Ok(table)
}

/// Those of the server; the rest have their defaults.
fn options(given: &Table) -> mlua::Result<ListenOptions> {
    let mut options = ListenOptions::default();
    each(given, ListenOptions::kind, |name, value| options.set(name, &value))?;
    Ok(options)
}

fn listen(
    object: &Object,
    server: &ServerPart,
    (host, port): (&mlua::LuaString, u16),
    own: &ListenOptions,
) -> Outcome {
    let state = &*object.state;
    if state.is_forked() {
        return Err(State::forked());
    }
    let (host, hub) = (host.as_bytes(), state.open()?);
    let new_count = || ConnectionCount::new(hub, own.max_connections, own.memory_limit);
    let count = Arc::clone(server.count.borrow_mut().get_or_insert_with(new_count));
    let options = server.options.borrow().clone();
    let open = |address: address::Address| {
        Listener::open(hub, &address, own.backlog, own.reuse_port, &options, &count)
    };
    let mut opened = Vec::new();
    if *host == *b"*" {
        let v4 = open(any_v4(port).into())?;
        // The same port for both; a machine without IPv6 has one listener only.
        match open(any_v6(v4.address().port().unwrap_or_default()).into()) {
            Ok(v6) => opened.push(v6),
            Err(error) if error.code() == Code::AddressInUse => {
                v4.close(hub);
                return Err(error);
            }
            Err(_) => {}
        }
        opened.insert(0, v4);
    } else if let Some(path) = host.strip_prefix(UNIX.as_bytes()) {
        let call = format!("listen {}", shown(&host));
        opened.push(open(target::unix(&call, path)?)?);
    } else {
        opened.push(open(target::own("listen", &host, port)?.into())?);
    }
    let first_time = server.listeners.borrow().is_empty();
    for listener in &opened {
        object.take_slot(listener.token());
    }
    if first_time {
        server.began.set(state.now());
        opened.first().into_iter().for_each(|first| object.attach(first.token()));
    }
    server.listeners.borrow_mut().extend(opened);
    if first_time {
        server.report_notices(Some(hub));
    }
    Ok(())
}
