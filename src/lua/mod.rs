//! Floor 4: the module as Lua sees it. The only files that name mlua.
//!
//! `core.lua` is the outside: it builds the classes, with the checks of `options.lua`, the
//! waiting calls of `tasks.lua`, the datagrams of `datagram.lua` and what `unheard.lua` says of failures. Below it are
//! the raw functions of the hot path (`raw`) and the safe ones of the cold path (`native`).

mod datagram;
#[cfg(feature = "fault")]
mod fault;
mod holds;
mod native;
mod raw;
mod settings;
mod slot;
mod state;
mod tls;

use mlua::{Function, Lua, Table, Value};

use crate::lua::state::State;

const CORE: &str = include_str!("core.lua");
const LINES: &str = include_str!("lines.lua");
const OPTIONS: &str = include_str!("options.lua");
const TASKS: &str = include_str!("tasks.lua");
/// Name, chunk name and text of what few scripts need: `core.lua` has it compiled when it is first
/// asked for, since every collection of the host's marks what is loaded.
const LATE: &[(&str, &str, &str)] = &[
    ("common", "@evsock/common.lua", include_str!("../dialects/common.lua")),
    ("datagram", "@evsock/datagram.lua", include_str!("datagram.lua")),
    ("unheard", "@evsock/unheard.lua", include_str!("unheard.lua")),
];
/// Chunk name and text of the parts of a dialect that is too long for one file; it gets them by name.
const PARTS: &[(&str, &str, &str)] = &[
    ("notes", "@evsock/pharos/notes.lua", include_str!("../dialects/pharos/notes.lua")),
    ("server", "@evsock/pharos/server.lua", include_str!("../dialects/pharos/server.lua")),
    ("socket", "@evsock/pharos/socket.lua", include_str!("../dialects/pharos/socket.lua")),
    ("ssl", "@evsock/pharos/ssl.lua", include_str!("../dialects/pharos/ssl.lua")),
    ("stream", "@evsock/pharos/stream.lua", include_str!("../dialects/pharos/stream.lua")),
    ("tell", "@evsock/pharos/tell.lua", include_str!("../dialects/pharos/tell.lua")),
    ("udp", "@evsock/pharos/udp.lua", include_str!("../dialects/pharos/udp.lua")),
    ("words", "@evsock/pharos/words.lua", include_str!("../dialects/pharos/words.lua")),
];
/// Module name, chunk name and text of every dialect.
const DIALECTS: &[(&str, &str, &str)] = &[
    ("evsock.qsys", "@evsock/qsys.lua", include_str!("../dialects/qsys.lua")),
    ("evsock.pharos", "@evsock/pharos.lua", include_str!("../dialects/pharos.lua")),
    ("evsock.renoise", "@evsock/renoise.lua", include_str!("../dialects/renoise.lua")),
    ("evsock.hammerspoon", "@evsock/hammerspoon.lua", include_str!("../dialects/hammerspoon.lua")),
    (
        "evsock.hammerspoon.lane",
        "@evsock/hammerspoon_lane.lua",
        include_str!("../dialects/hammerspoon_lane.lua"),
    ),
    (
        "evsock.hammerspoon.state",
        "@evsock/hammerspoon_state.lua",
        include_str!("../dialects/hammerspoon_state.lua"),
    ),
    (
        "evsock.hammerspoon.ends",
        "@evsock/hammerspoon_ends.lua",
        include_str!("../dialects/hammerspoon_ends.lua"),
    ),
    (
        "evsock.hammerspoon.udp",
        "@evsock/hammerspoon_udp.lua",
        include_str!("../dialects/hammerspoon_udp.lua"),
    ),
    (
        "evsock.hammerspoon.sockaddr",
        "@evsock/hammerspoon_sockaddr.lua",
        include_str!("../dialects/hammerspoon_sockaddr.lua"),
    ),
];

/// `require "evsock"`: builds the module and fills `package.preload` with the dialects.
fn open(lua: &Lua) -> mlua::Result<Table> {
    let state = State::new();
    let functions = raw::entry::functions(lua, &state)?;
    let cold = lua.create_table()?;
    native::add(lua, &cold, &state)?;
    datagram::add(lua, &cold, &state)?;
    tls::add(lua, &cold)?;
    cold.raw_set("late", lua.create_function(|lua, name: String| late(lua, &name))?)?;
    raw::shield::shield(lua, cold, functions.clone(), functions.clone())?;
    if cfg!(feature = "luajit") {
        let lines = lua.load(LINES).set_name("@evsock/lines.lua");
        functions.raw_set("lines", lines.call::<Value>(functions.clone())?)?;
    }
    let version = format!("evsock {}", env!("CARGO_PKG_VERSION"));
    let chunk = lua.load(CORE).set_name("@evsock/core.lua");
    let checks = lua.load(OPTIONS).set_name("@evsock/options.lua");
    let checks: Table = checks.call(functions.clone())?;
    let (module, core): (Table, Table) =
        chunk.call((functions.clone(), checks.clone(), version))?;
    let tasks = lua.load(TASKS).set_name("@evsock/tasks.lua");
    tasks.call::<()>((functions.clone(), checks, module.clone(), core.clone()))?;
    let loaders = lua.create_table()?;
    for (name, chunk_name, text) in DIALECTS {
        let (module, core) = (module.clone(), core.clone());
        let load = lua.create_function(move |lua, _: Value| {
            let chunk = lua.load(*text).set_name(*chunk_name);
            chunk.call::<Value>((module.clone(), core.clone(), parts(lua, name)?))
        })?;
        loaders.raw_set(*name, load)?;
    }
    #[cfg(feature = "fault")]
    fault::add(lua, &loaders)?;
    let preload: Table = lua.globals().get::<Table>("package")?.get("preload")?;
    raw::shield::shield(lua, loaders, preload, functions)?;
    Ok(module)
}

/// The chunk of `LATE` that has this name.
fn late(lua: &Lua, name: &str) -> mlua::Result<Option<Function>> {
    let found = LATE.iter().find(|(of, ..)| *of == name);
    found.map(|(_, chunk, text)| lua.load(*text).set_name(*chunk).into_function()).transpose()
}

/// The parts of a dialect, as functions by name.
fn parts(lua: &Lua, dialect: &str) -> mlua::Result<Table> {
    let parts = lua.create_table()?;
    let folder = format!("@{}/", dialect.replace('.', "/"));
    for (name, chunk_name, text) in PARTS {
        if chunk_name.starts_with(&folder) {
            parts.raw_set(*name, lua.load(*text).set_name(*chunk_name).into_function()?)?;
        }
    }
    Ok(parts)
}

/// `require` of a dialect that found it in this library before the root was opened.
fn open_dialect(lua: &Lua, name: &str) -> mlua::Result<Value> {
    let require: Function = lua.globals().get("require")?;
    let _root: Value = require.call("evsock")?;
    let preload: Table = lua.globals().get::<Table>("package")?.get("preload")?;
    let load: Function = preload.get(name)?;
    load.call(name)
}
