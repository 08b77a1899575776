//! What dialects of hosts that are near the system ask for, in safe mlua: descriptors, the options that the
//! system has, early sockets, certificates, the wall clock.
//!
//! Not here: checking arguments (Lua has done it). Invariant: few scripts need this, so it is loaded when it
//! is first asked for.

use std::net::Ipv4Addr;
use std::rc::Rc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use mlua::{BString, IntoLuaMulti, Lua, MultiValue, Table, Value};

use crate::address::{Address, UNIX};
use crate::error::{Code, Error};
use crate::lua::class::native::{Outcome, answer, method};
use crate::lua::class::object::{Object, Part};
use crate::lua::ffi::cold_call::wrap_functions;
use crate::lua::options::certificates;
use crate::lua::run::state::State;
use crate::lua::socket::native::connect;
use crate::lua::socket::path_datagrams;
use crate::net::connection_count::ConnectionCount;
use crate::net::early_socket::{self, EarlySocket, Setting, host_name};
use crate::net::listener::{Listener, any_v4, any_v6};
use crate::net::options::ListenOptions;
use crate::net::target::{self, Target};
use crate::sync::Arc;

/// Adds `system(functions)`, which returns a table of what is here, to the table that the Lua files get.
pub(in crate::lua) fn add(lua: &Lua, table: &Table, state: &Rc<State>) -> mlua::Result<()> {
    let state = Rc::clone(state);
    let load = move |lua: &Lua, functions: Table| {
        let cold = lua.create_table()?;
        let own = Rc::clone(&state);
        // With a clock that a test moves, this one moves as far.
        let clock = move |_: &Lua, ()| Ok(clock() + own.ahead());
        cold.set("clock", lua.create_function(clock)?)?;
        cold.set("host_name", lua.create_function(|_, ()| Ok(BString::from(host_name())))?)?;
        certificates::add(lua, &cold, &state)?;
        path_datagrams::add(lua, &cold)?;
        add_options(lua, &cold, &state)?;
        add_early(lua, &cold, &state)?;
        let system = lua.create_table()?;
        wrap_functions(lua, cold, system.clone(), functions)?;
        Ok(system)
    };
    table.set("system", lua.create_function(load)?)
}

/// Seconds since 1970, which jump when the clock is set.
fn clock() -> f64 {
    match SystemTime::now().duration_since(UNIX_EPOCH) {
        Ok(since) => since.as_secs_f64(),
        Err(before) => -before.duration().as_secs_f64(),
    }
}

/// `descriptor(object)`: of its first descriptor, or nil; `local_end(object)`: host and port;
/// `get_option(object, name)`, whose answer for "linger" are two values; `set_option(object, name, value,
/// seconds)`.
fn add_options(lua: &Lua, table: &Table, state: &Rc<State>) -> mlua::Result<()> {
    method(lua, table, state, "descriptor", |_, object, (): ()| {
        Ok(with_socket(object, early_socket::descriptor))
    })?;
    method(lua, table, state, "local_end", |_, object, (): ()| {
        let address = with_socket(object, early_socket::local_address).flatten();
        let host = address.as_ref().map(|address| BString::from(address.host()));
        Ok((host, address.and_then(|address| address.port())))
    })?;
    method(lua, table, state, "get_option", |lua, object, name: String| {
        let got = with_socket(object, |socket| early_socket::get(socket, &name));
        match got.unwrap_or_else(|| Err(early_socket::no_descriptor())) {
            Ok(Setting::Flag(on)) => on.into_lua_multi(lua),
            Ok(Setting::Number(number)) => number.into_lua_multi(lua),
            Ok(Setting::Interface(address)) => address.to_string().into_lua_multi(lua),
            Ok(Setting::Linger(time)) => {
                (time.is_some(), time.unwrap_or_default().as_secs()).into_lua_multi(lua)
            }
            Err(error) => failed(lua, &name, &error),
        }
    })?;
    method(lua, table, state, "set_option", |lua, object, given: (String, Value, Option<f64>)| {
        let (name, value, seconds) = given;
        let value = setting(&value, seconds);
        let set = with_socket(object, |socket| early_socket::set(socket, &name, value));
        match set.unwrap_or_else(|| Err(early_socket::no_descriptor())) {
            Ok(()) => true.into_lua_multi(lua),
            Err(error) => failed(lua, &name, &error),
        }
    })
}

fn failed(lua: &Lua, name: &str, error: &std::io::Error) -> mlua::Result<MultiValue> {
    answer(lua, Err(Error::os(&format!("option {name}"), error)))
}

/// With seconds it is a `linger`; a text is a numeric address.
fn setting(value: &Value, seconds: Option<f64>) -> Setting {
    match (value, seconds) {
        (Value::Boolean(on), Some(seconds)) => {
            let time = Duration::try_from_secs_f64(seconds).unwrap_or(Duration::MAX);
            Setting::Linger(on.then_some(time))
        }
        (Value::Boolean(on), None) => Setting::Flag(*on),
        (Value::String(text), _) => {
            Setting::Interface(text.to_string_lossy().parse().unwrap_or(Ipv4Addr::UNSPECIFIED))
        }
        (Value::Integer(number), _) => Setting::Number(i32::try_from(*number).unwrap_or(i32::MAX)),
        #[expect(clippy::cast_possible_truncation, reason = "a float is cut to what fits")]
        (Value::Number(number), _) => Setting::Number(*number as i32),
        _ => Setting::Number(0),
    }
}

/// Hands the descriptor of the object to the function, that of its early socket if it has one.
fn with_socket<R>(object: &Object, body: impl FnOnce(&early_socket::Socket) -> R) -> Option<R> {
    let mut body = Some(body);
    let early = object.state.with_early(object.pointer(), |early| {
        early.with_socket(|socket| body.take().map(|body| body(socket)))
    });
    if let Some(found) = early.flatten().flatten() {
        return Some(found);
    }
    let body = body.take()?;
    match &object.part {
        Part::Socket(part) => part.stream.borrow().as_ref()?.with_socket(body),
        Part::Datagram(part) => part.borrow().as_ref()?.with_descriptor(body),
        Part::Server(part) => part.listeners.borrow().first()?.with_socket(body),
        Part::Question(_) | Part::Timer(_) | Part::Watch(_) => None,
    }
}

/// Host, port, a socket with the options.
type Dialed = (mlua::LuaString, u16, mlua::AnyUserData);

/// A socket, the backlog, class number, a socket with the options of what is accepted.
type Place = (mlua::AnyUserData, u32, u32, mlua::AnyUserData);

/// `open(sock, family)`: the socket gets an early socket of "inet", "inet6" or "unix", by which it will
/// connect; `bind(sock, host, port)`: fixes its end, a numeric address; `listen(server, sock, backlog, class,
/// like)`: the server listens by it, and what it accepts has the options of `like` and is kept alive by its
/// handlers alone; `copy_options(sock, like)`; `dial(sock, host, port, like)`: both, then it connects;
/// `has_waiting(server)`: whether a connection waits to be accepted.
fn add_early(lua: &Lua, table: &Table, state: &Rc<State>) -> mlua::Result<()> {
    method(lua, table, state, "open", |lua, object, family: String| {
        let address = match family.as_str() {
            "inet6" => any_v6(0).into(),
            "unix" => Address::Unix((*b"").into()),
            _ => any_v4(0).into(),
        };
        let opened = EarlySocket::open(address);
        answer(lua, opened.map(|early| object.state.keep_early(object.pointer(), early)))
    })?;
    method(lua, table, state, "bind", |lua, object, (host, port): (mlua::LuaString, u16)| {
        answer(lua, bind(object, &host.as_bytes(), port))
    })?;
    let own = Rc::clone(state);
    method(lua, table, state, "listen", move |lua, server, place: Place| {
        let (sock, backlog, class, like) = place;
        let early = Object::of(&sock, lua, &own);
        let early = early.and_then(|sock| own.take_early(sock.pointer()));
        let like = Object::of(&like, lua, &own);
        if let (Part::Server(part), Some(like)) = (&server.part, like) {
            part.options.replace(like.options());
            part.class.set((class, true));
        }
        answer(lua, listen(server, early, backlog))
    })?;
    method(lua, table, state, "has_waiting", |_, object, (): ()| {
        let Part::Server(part) = &object.part else { return Ok(false) };
        Ok(part.listeners.borrow().iter().any(|listener| listener.has_waiting()))
    })?;
    let own = Rc::clone(state);
    method(lua, table, state, "dial", move |lua, object, dialed: Dialed| {
        let (host, number, like) = dialed;
        let Some(part) = object.socket() else { return answer(lua, Ok(())) };
        if let Some(like) = Object::of(&like, lua, &own) {
            part.options.set(Some(like.options()));
        }
        let target = Target::new(host.as_bytes().to_vec(), number, None);
        answer(lua, connect(object, part, target))
    })?;
    let own = Rc::clone(state);
    method(lua, table, state, "copy_options", move |lua, object, like: mlua::AnyUserData| {
        if let (Some(part), Some(like)) = (object.socket(), Object::of(&like, lua, &own)) {
            part.options.set(Some(like.options()));
        }
        Ok(())
    })
}

fn bind(object: &Object, host: &[u8], port: u16) -> Outcome {
    let address = match host.strip_prefix(UNIX.as_bytes()) {
        Some(path) => target::unix("bind", path)?,
        None => target::own("bind", host, port)?.into(),
    };
    let bound = object.state.with_early(object.pointer(), |early| early.bind(address.clone()));
    bound.unwrap_or_else(|| {
        let mut early = EarlySocket::open(address.clone())?;
        early.bind(address)?;
        object.state.keep_early(object.pointer(), early);
        Ok(())
    })
}

fn listen(server: &Object, early: Option<EarlySocket>, backlog: u32) -> Outcome {
    let (Part::Server(part), Some(early)) = (&server.part, early) else {
        return Err(Error::new(Code::Closed, "listen: there is no socket"));
    };
    let hub = server.state.open()?;
    let own = ListenOptions::default();
    let new_count = || ConnectionCount::new(hub, own.max_connections, own.memory_limit);
    let count = Arc::clone(part.count.borrow_mut().get_or_insert_with(new_count));
    let options = part.options.borrow().clone();
    let backlog = i32::try_from(backlog).unwrap_or(i32::MAX);
    let opened = Listener::open_by(hub, early, backlog, &options, &count)?;
    server.take_slot(opened.token());
    server.attach(opened.token());
    part.began.set(server.state.now());
    part.listeners.borrow_mut().push(opened);
    // Connections wait until somebody accepts them.
    part.waits.set(true);
    part.hold(hub, true);
    Ok(())
}
