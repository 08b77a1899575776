//! The cold path in plain safe mlua: connecting, listening, timers, options, figures.
//!
//! Not here: checking arguments (`core.lua` has done it) and the hot path (`raw`). Errors of the
//! world are returned as `nil, message, code`.

use std::rc::Rc;
use std::time::Instant;

use mlua::{AnyUserData, BString, IntoLuaMulti, Lua, MultiValue, Table, Value};

use crate::address::{self, Literal, UNIX};
use crate::error::{Code, Error};
use crate::limits;
use crate::lua::raw::attempts::starting_view;
use crate::lua::raw::object::{Object, Part, SocketPart, TimerPart, View};
use crate::lua::raw::server::ServerPart;
use crate::lua::settings::{Setting, set_option};
use crate::lua::state::{Item, State};
use crate::lua::tls::tell_notice;
use crate::net::alarm::Alarm;
use crate::net::connect_plan::{self, ConnectPlan, Detour};
use crate::net::door::Door;
use crate::net::listener::{Listener, any_v4, any_v6};
use crate::net::options::Tls;
use crate::net::stream::Stream;
use crate::quote::shown;
use crate::reactor::Descriptor;
use crate::sync::Arc;

type Outcome = Result<(), Error>;
/// Host, port, and a detour: false, or another host and port.
type Target = (mlua::LuaString, u16, Value, Option<u16>);
/// Host, port, backlog, shared port, most connections, most bytes, class number, anchored by handlers.
type Place = (mlua::LuaString, u16, i32, bool, usize, usize, u32, bool);

/// Adds the functions to the table that `core.lua` gets.
pub(super) fn add(lua: &Lua, table: &Table, state: &Rc<State>) -> mlua::Result<()> {
    add_sockets(lua, table, state)?;
    add_servers(lua, table, state)?;
    add_timers(lua, table, state)?;
    super::holds::add(lua, table, state)?;
    let own = Rc::clone(state);
    table.set("now", lua.create_function(move |_, ()| Ok(own.now()))?)?;
    let own = Rc::clone(state);
    table.set("active", lua.create_function(move |_, ()| Ok(own.active.get().max(0)))?)?;
    let own = Rc::clone(state);
    let pollfd = move |lua: &Lua, _: mlua::Variadic<Value>| match pollfd(&own) {
        Ok(fd) => fd.into_lua_multi(lua),
        Err(error) => answer(lua, Err(error)),
    };
    table.set("pollfd", lua.create_function(pollfd)?)?;
    let own = Rc::clone(state);
    // Timers are fired by the thread once there is a descriptor, so nothing else is due.
    let due = move |_: &Lua, _: mlua::Variadic<Value>| {
        let waits = own.has_items() || own.hub().is_some_and(|hub| hub.waiting() > 0);
        Ok(waits.then_some(0))
    };
    table.set("timeout", lua.create_function(due)?)?;
    let own = Rc::clone(state);
    let spin = move |_: &Lua, new: Option<f64>| {
        if let Some(new) = new {
            own.spin.set(new);
        }
        Ok(own.spin.get())
    };
    table.set("spin", lua.create_function(spin)?)?;
    let own = Rc::clone(state);
    let stop = move |_: &Lua, stop: bool| {
        own.stopping.set(stop);
        Ok(())
    };
    table.set("stop", lua.create_function(stop)?)?;
    let own = Rc::clone(state);
    let numeric = |_: &Lua, text: mlua::LuaString| Ok(Literal::read(&text.as_bytes()).is_some());
    let quote = |_: &Lua, text: mlua::LuaString| Ok(shown(&text.as_bytes()));
    table.set("shown", lua.create_function(quote)?)?;
    // "host:port" for messages; the port may be nil.
    let whom = |_: &Lua, (host, port): (mlua::LuaString, Option<u16>)| {
        Ok(address::whom(&host.as_bytes(), port))
    };
    table.set("whom", lua.create_function(whom)?)?;
    // The number of the interface of an address, or 0; and the name of such a number.
    let zone = |_: &Lua, host: mlua::LuaString| {
        Ok(Literal::read(&host.as_bytes()).map_or(0, |literal| literal.zone()))
    };
    table.set("zone", lua.create_function(zone)?)?;
    table.set("zone_name", lua.create_function(|_, number| Ok(address::zone_name(number)))?)?;
    // What is wrong with a host that holds its port, or nil.
    let misplaced = |_: &Lua, host: mlua::LuaString| {
        let host = host.as_bytes();
        let within = address::port_within(&host);
        Ok(within.map(|(name, port)| connect_plan::misplaced(name, port)))
    };
    table.set("misplaced_port", lua.create_function(misplaced)?)?;
    table.set("is_numeric", lua.create_function(numeric)?)?;
    table.set("stopping", lua.create_function(move |_, ()| Ok(own.stopping.get()))?)
}

fn pollfd(state: &State) -> Result<Descriptor, Error> {
    if state.is_forked() {
        return Err(State::forked());
    }
    state.open()?;
    let fd =
        state.with_reactor(crate::reactor::Reactor::bell).unwrap_or_else(|| Err(State::gone()))?;
    state.ring();
    Ok(fd)
}

/// `true`, or `nil, message, code`.
pub(super) fn answer(lua: &Lua, outcome: Outcome) -> mlua::Result<MultiValue> {
    match outcome {
        Ok(()) => true.into_lua_multi(lua),
        Err(error) => (Value::Nil, error.message(), error.code().as_str()).into_lua_multi(lua),
    }
}

/// Adds a function that only looks at what this side has: it works in the child of a fork, too.
pub(super) fn look<R: IntoLuaMulti>(
    lua: &Lua,
    table: &Table,
    state: &Rc<State>,
    name: &str,
    body: impl Fn(&Object) -> R + 'static,
) -> mlua::Result<()> {
    let state = Rc::clone(state);
    let function = lua.create_function(move |lua, handle: AnyUserData| {
        match Object::of(&handle, lua, &state) {
            Some(object) => body(object).into_lua_multi(lua),
            None => answer(lua, Err(Error::new(Code::Closed, "the object is gone"))),
        }
    })?;
    table.set(name, function)
}

/// Adds a function over an object and the arguments behind it.
pub(super) fn method<A, R>(
    lua: &Lua,
    table: &Table,
    state: &Rc<State>,
    name: &str,
    body: impl Fn(&Lua, &Object, A) -> mlua::Result<R> + 'static,
) -> mlua::Result<()>
where
    A: mlua::FromLuaMulti,
    R: IntoLuaMulti,
{
    let state = Rc::clone(state);
    let function =
        lua.create_function(move |lua, (handle, rest): (AnyUserData, mlua::Variadic<Value>)| {
            let Some(object) = Object::of(&handle, lua, &state) else {
                let dead = Error::new(Code::Closed, "the object is gone");
                return answer(lua, Err(dead));
            };
            if object.state.is_forked() {
                // Also what only looks: the parent's thread may hold a lock for ever here.
                return answer(lua, Err(State::forked()));
            }
            let rest = A::from_lua_multi(rest.into_iter().collect(), lua)?;
            body(lua, object, rest)?.into_lua_multi(lua)
        })?;
    table.set(name, function)
}

fn add_sockets(lua: &Lua, table: &Table, state: &Rc<State>) -> mlua::Result<()> {
    method(lua, table, state, "connect", |lua, object, (host, port, detour, to): Target| {
        let detour = match detour {
            Value::Boolean(false) => Some(Detour::Unknown),
            Value::String(host) => Some(Detour::To(host.as_bytes().to_vec(), to.unwrap_or(port))),
            _ => None,
        };
        let plan = ConnectPlan::new(host.as_bytes().to_vec(), port, detour);
        answer(lua, object.socket().map_or(Ok(()), |part| connect(object, part, plan)))
    })?;
    method(lua, table, state, "set_option", |_, object, setting: Setting| {
        match &object.part {
            Part::Socket(part) => {
                // Lines were found ahead only as far as reading does not go on at the old limit.
                part.catch_up(object);
                let mut options = object.options();
                set_option(Arc::make_mut(&mut options), &setting);
                part.set_longest(options.max_frame);
                part.options.set(Some(Arc::clone(&options)));
                let stream = part.stream.borrow().clone();
                if let (Some(stream), Some(hub)) = (stream, object.state.hub()) {
                    stream.set_options(hub, options);
                }
            }
            Part::Server(part) => {
                set_option(Arc::make_mut(&mut part.options.borrow_mut()), &setting);
                if let Some(hub) = object.state.hub() {
                    part.apply_options(hub);
                }
                if setting.0 == "tls" {
                    tell_notice(part, object.state.hub());
                }
            }
            _ => {}
        }
        Ok(())
    })?;
    method(lua, table, state, "info", |lua, object, (): ()| {
        object.socket().map(|part| info(lua, object, part)).transpose()
    })?;
    method(lua, table, state, "tls_facts", |lua, object, (): ()| {
        let stream = object.socket().and_then(|part| part.stream.borrow().clone());
        let facts = stream.and_then(|stream| stream.info().tls);
        facts.map(|facts| super::tls::facts(lua, &facts)).transpose()
    })?;
    method(lua, table, state, "start_tls", |lua, object, tls: Value| {
        let (Some(tls), Some(part)) = (super::tls::of(&tls), object.socket()) else {
            return answer(lua, Ok(()));
        };
        answer(lua, start_tls(object, part, &tls))
    })?;
    look(lua, table, state, "target", |object| {
        let target = object.socket().and_then(|part| part.target.get());
        let port = |plan: &ConnectPlan| (!plan.is_unix()).then_some(plan.port);
        target.map_or((None, None), |plan| (Some(BString::from(plan.host.clone())), port(&plan)))
    })
}

fn connect(object: &Object, part: &SocketPart, plan: ConnectPlan) -> Outcome {
    let state = &*object.state;
    if state.is_forked() {
        return Err(State::forked());
    }
    let hub = state.open()?;
    let told = matches!(object.view.get(), View::Idle | View::Closed | View::Waiting);
    if object.token.get().is_some() && !told {
        let farewells = object.farewells.get();
        if farewells == limits::FAREWELLS_WAITING {
            let text = format!(
                "connect {}: {farewells} earlier connections of this socket ended and nothing has \
                 pumped since",
                plan.whom()
            );
            return Err(Error::new(Code::Again, text));
        }
        object.farewells.set(farewells + 1);
    }
    object.let_go();
    // No longer the connection that its server has accepted.
    object.kept.set(false);
    part.clear(object);
    object.paused.set(false);
    part.failure.set(None);
    object.peer_ended.set(false);
    let plan = state.shared_plan(plan);
    part.target.set(Some(Arc::clone(&plan)));
    let stream = Stream::connect(hub, plan, object.options());
    let token = stream.token();
    part.stream.replace(Some(stream));
    object.token.set(Some(token));
    object.ended.set(false);
    object.opened.set(0);
    object.view.set(starting_view(part));
    state.place(token, object);
    state.count(1);
    if object.farewells.get() > 0 {
        // One for all of them: those that earlier connections left behind are nobody's now.
        state.push(Item::Farewell(token));
    }
    state.ring();
    Ok(())
}

fn start_tls(object: &Object, part: &SocketPart, tls: &Tls) -> Outcome {
    if object.state.is_forked() {
        return Err(State::forked());
    }
    let stream = part.stream.borrow().clone().filter(|_| object.view.get() == View::Open);
    let (Some(hub), Some(stream)) = (object.state.hub(), stream) else {
        return Err(Error::new(Code::Closed, "start_tls: the socket is not open"));
    };
    let early = part.front(object).everything().to_vec();
    if stream.start_tls(hub, tls, early)? {
        // Whatever came before is the session's now.
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
    if object.opened.get() > 0 {
        table.set("opened", f64::from(object.opened.get()) / 1000.0)?;
    }
    table.set("bytes_in", info.bytes_in)?;
    table.set("bytes_out", info.bytes_out)?;
    table.set("pending", info.pending)?;
    table.set("attempt", stream.attempt())?;
    let live = lua.create_table()?;
    live.set("connected", info.phase == crate::proto::life::Phase::Open && !info.ended)?;
    live.set("ended", info.ended)?;
    live.set("read_ahead", info.read_ahead)?;
    table.set("live", live)?;
    Ok(table)
}

fn add_servers(lua: &Lua, table: &Table, state: &Rc<State>) -> mlua::Result<()> {
    method(lua, table, state, "listen", |lua, object, place: Place| {
        let Part::Server(part) = &object.part else { return answer(lua, Ok(())) };
        part.class.set((place.6, place.7));
        answer(lua, listen(object, part, &place))
    })?;
    method(lua, table, state, "server_close", |_, object, (): ()| {
        object.let_go();
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
    method(lua, table, state, "server_bounds", |_, object, (most, memory): (usize, usize)| {
        if let Part::Server(part) = &object.part
            && let Some(door) = part.door.borrow().as_ref()
        {
            door.set_most(most);
            door.set_memory(memory);
        }
        Ok(())
    })?;
    method(lua, table, state, "server_waits", |_, object, holds: bool| {
        if let (Part::Server(part), Some(hub)) = (&object.part, object.state.hub()) {
            part.waits.set(true);
            part.hold(hub, holds);
        }
        Ok(())
    })?;
    look(lua, table, state, "server_info", |object| {
        let Part::Server(part) = &object.part else { return (None, None, 0) };
        let first = part.listeners.borrow().first().map(|listener| listener.address().clone());
        let open = part.door.borrow().as_ref().map_or(0, |door| door.open());
        let host = first.as_ref().map(|address| BString::from(address.host()));
        (host, first.and_then(|address| address.port()), open)
    })
}

fn listen(
    object: &Object,
    server: &ServerPart,
    (host, port, backlog, shared, most, memory, ..): &Place,
) -> Outcome {
    let state = &*object.state;
    if state.is_forked() {
        return Err(State::forked());
    }
    let (host, hub) = (host.as_bytes(), state.open()?);
    let door =
        Arc::clone(server.door.borrow_mut().get_or_insert_with(|| Door::new(hub, *most, *memory)));
    let options = server.options.borrow().clone();
    let open = |address: address::Address| {
        Listener::open(hub, &address, *backlog, *shared, &options, &door)
    };
    let mut opened = Vec::new();
    if *host == *b"*" {
        let v4 = open(any_v4(*port).into())?;
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
        opened.push(open(connect_plan::unix(&call, path)?)?);
    } else {
        opened.push(open(connect_plan::own("listen", &host, *port)?.into())?);
    }
    let first_time = server.listeners.borrow().is_empty();
    for listener in &opened {
        state.place(listener.token(), object);
    }
    if first_time {
        object.token.set(opened.first().map(|listener| listener.token()));
        state.count(1);
    }
    server.listeners.borrow_mut().extend(opened);
    if first_time {
        tell_notice(server, Some(hub));
    }
    Ok(())
}

fn add_timers(lua: &Lua, table: &Table, state: &Rc<State>) -> mlua::Result<()> {
    method(lua, table, state, "timer_start", |lua, object, (after, repeats): (f64, bool)| {
        let Part::Timer(part) = &object.part else { return answer(lua, Ok(())) };
        answer(lua, start(object, part, after, repeats))
    })?;
    method(lua, table, state, "timer_cancel", |_, object, (): ()| {
        object.let_go();
        Ok(())
    })?;
    look(lua, table, state, "timer_active", |object| object.token.get().is_some())
}

fn start(object: &Object, part: &TimerPart, after: f64, repeats: bool) -> Outcome {
    let state = &*object.state;
    if state.is_forked() {
        return Err(State::forked());
    }
    let hub = state.open()?;
    object.let_go();
    let due = state.now() + after;
    part.due.set(due);
    part.period.set(after);
    part.repeats.set(repeats);
    // Zero seconds are due now, whatever the clock has done since.
    let now = Instant::now();
    let at = if after > 0.0 { state.moment(due) } else { now };
    let alarm = Alarm::start(hub, at, now);
    let token = alarm.token();
    part.alarm.replace(Some(alarm));
    object.token.set(Some(token));
    state.place(token, object);
    state.count(1);
    Ok(())
}
