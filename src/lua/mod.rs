//! Floor 5: the module as Lua sees it. The only files that name mlua.
//!
//! A folder for each subject has its Lua and its Rust half side by side. `chunks` has the texts of the Lua
//! files. `ffi` is the only `unsafe` of them all, `run` the way of an event to its handler, `class` what all
//! objects have. Functions of the hot path are raw (through `ffi`); those of the cold path are in safe mlua
//! (each `native.rs`).

mod chunks;
mod class;
mod digests;
mod encoding;
mod ffi;
mod http;
mod lines;
mod lookup;
mod options;
mod run;
mod server;
mod socket;
mod task;
mod testing;
mod timer;
mod udp;
mod watch;

use std::rc::Rc;

use mlua::{Function, Lua, Table, Value};

use crate::lua::run::state::State;

/// `require "evsock"`: builds the module and fills `package.preload` with the dialects.
fn open(lua: &Lua) -> mlua::Result<Table> {
    let state = State::new();
    let functions = run::functions::functions(lua, &state)?;
    let cold = lua.create_table()?;
    run::module::add(lua, &cold, &state)?;
    options::addresses::add(lua, &cold)?;
    options::settings::add(lua, &cold, &state)?;
    server::native::add(lua, &cold, &state)?;
    socket::native::add(lua, &cold, &state)?;
    socket::system::add(lua, &cold, &state)?;
    timer::native::add(lua, &cold, &state)?;
    options::tls::add(lua, &cold)?;
    let chunk = lua.create_function(|lua, name: String| chunks::compile(lua, &name))?;
    cold.raw_set("chunk", chunk)?;
    cold.raw_set("need", need(lua, &state)?)?;
    ffi::cold_call::wrap_functions(lua, cold, functions.clone(), functions.clone())?;
    if cfg!(feature = "luajit") {
        let lines = chunks::compile(lua, "lines/lines")?.call::<Value>(functions.clone())?;
        functions.raw_set("lines", lines)?;
    }
    let version = format!("evsock {}", env!("CARGO_PKG_VERSION"));
    let chunk = chunks::compile(lua, "module")?;
    let (module, core): (Table, Table) = chunk.call((functions.clone(), version))?;
    let part: Function = core.get("part")?;
    let loaders = lua.create_table()?;
    for name in chunks::DIALECTS {
        let part = part.clone();
        let load = lua.create_function(move |_, _: Value| part.call::<Value>(*name))?;
        loaders.raw_set(format!("evsock.{}", name.replace('/', ".")), load)?;
    }
    #[cfg(feature = "fault")]
    run::fault::add(lua, &loaders)?;
    let preload: Table = lua.globals().get::<Table>("package")?.get("preload")?;
    ffi::cold_call::wrap_functions(lua, loaders, preload, functions)?;
    if let Some(wanted) = std::env::var_os("EVSOCK_TRACE").filter(|wanted| !wanted.is_empty()) {
        let trace: Table = core.get("trace")?;
        let begin: Function = trace.get("from_environment")?;
        begin.call::<()>(lua.create_string(wanted.as_encoded_bytes())?)?;
    }
    Ok(module)
}

/// `need(functions, name)`: adds the functions of a part that few scripts use, so that the others have
/// less to mark.
fn need(lua: &Lua, state: &Rc<State>) -> mlua::Result<Function> {
    let state = Rc::clone(state);
    lua.create_function(move |lua, (functions, name): (Table, String)| {
        let cold = lua.create_table()?;
        match name.as_str() {
            "digests" => digests::add(lua, &cold)?,
            "encoding" => encoding::add(lua, &cold)?,
            "http" => http::add(lua, &cold)?,
            "objects" => {
                run::objects::add(lua, &cold, &state)?;
                server::native::add_info(lua, &cold, &state)?;
            }
            "lookup" => lookup::native::add(lua, &cold, &state)?,
            "testing" => testing::native::add(lua, &cold, &state)?,
            "trace" => run::trace::add(lua, &cold, &state)?,
            "udp" => udp::native::add(lua, &cold, &state)?,
            "watch" => watch::native::add(lua, &cold, &state)?,
            _ => return Err(mlua::Error::runtime(format!("evsock has no part '{name}'"))),
        }
        ffi::cold_call::wrap_functions(lua, cold, functions.clone(), functions)
    })
}

/// `require` of a dialect that found it in this library before the root was opened.
fn open_dialect(lua: &Lua, name: &str) -> mlua::Result<Value> {
    let require: Function = lua.globals().get("require")?;
    let _root: Value = require.call("evsock")?;
    let preload: Table = lua.globals().get::<Table>("package")?.get("preload")?;
    let load: Function = preload.get(name)?;
    load.call(name)
}
