//! HTTP for dialects, in safe mlua: heads of answers, sizes of chunks, the bounds.
//!
//! Not here: the reading (`proto::http`), requests and what follows from an answer (dialects).

use std::hash::{BuildHasher, Hasher, RandomState};

use mlua::{IntoLuaMulti, Lua, LuaString, MultiValue, Table, Value};

use crate::limits;
use crate::proto::http::{self, Body};

/// Adds the functions to the table that the Lua files get.
pub(in crate::lua) fn add(lua: &Lua, table: &Table) -> mlua::Result<()> {
    table.set("http_head", lua.create_function(|lua, text| head(lua, &text))?)?;
    // `http_chunk(line)`: the size of the chunk that the line begins; nil where it begins none.
    let chunk = |_: &Lua, line: LuaString| Ok(http::chunk_size(&line.as_bytes()));
    table.set("http_chunk", lua.create_function(chunk)?)?;
    // `http_nonce()`: a text that nobody could know before.
    let nonce = |_: &Lua, ()| Ok(format!("{:016x}", RandomState::new().build_hasher().finish()));
    table.set("http_nonce", lua.create_function(nonce)?)?;
    // `http_limits()`: the bounds by their names.
    let bounds = |lua: &Lua, ()| {
        let bounds = lua.create_table()?;
        bounds.set("head", limits::HTTP_HEAD)?;
        bounds.set("body", limits::HTTP_BODY)?;
        bounds.set("redirects", limits::HTTP_REDIRECTS)?;
        bounds.set("requests", limits::HTTP_REQUESTS)?;
        bounds.set("timeout", limits::HTTP_TIMEOUT.as_secs())?;
        Ok(bounds)
    };
    table.set("http_limits", lua.create_function(bounds)?)
}

/// `http_head(text)`: status; a list of names, each with its value behind it; how the body ends
/// ("nothing", "chunked", "close" or its length); or nil and what is wrong.
fn head(lua: &Lua, text: &LuaString) -> mlua::Result<MultiValue> {
    let read = match http::read_head(&text.as_bytes()) {
        Ok(read) => read,
        Err(why) => return (Value::Nil, why).into_lua_multi(lua),
    };
    let fields = lua.create_table_with_capacity(read.fields.len() * 2, 0)?;
    for (name, value) in &read.fields {
        fields.raw_push(name.as_str())?;
        fields.raw_push(lua.create_string(value)?)?;
    }
    match read.body {
        Body::Nothing => (read.status, fields, "nothing").into_lua_multi(lua),
        Body::Chunked => (read.status, fields, "chunked").into_lua_multi(lua),
        Body::UntilClose => (read.status, fields, "close").into_lua_multi(lua),
        Body::Length(length) => (read.status, fields, length).into_lua_multi(lua),
    }
}
