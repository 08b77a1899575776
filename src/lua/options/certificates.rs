//! Certificates as dialects look into them, in safe mlua: those of a peer, of a text, of a folder; whether a
//! chain is believed.
//!
//! Not here: what is made of that for scripts (`dialects/luasocket/certificate.lua`). Arguments were checked.

use std::rc::Rc;

use mlua::{IntoLuaMulti, Lua, LuaString, MultiValue, Table, Value};

use crate::lua::class::native::{answer, method};
use crate::lua::options::tls;
use crate::lua::run::state::State;
use crate::net::stream::tls::{NamePart, Pem, Shown, hashed_files};

/// Adds the functions to a table that dialects get.
pub(in crate::lua) fn add(lua: &Lua, table: &Table, state: &Rc<State>) -> mlua::Result<()> {
    // `peer_certificates(sock)`: a list of DER, the peer's own first, which may be empty.
    method(lua, table, state, "peer_certificates", |lua, object, (): ()| {
        let stream = object.socket().and_then(|part| part.stream.borrow().clone());
        list(lua, stream.map(|stream| stream.peer_certificates()).unwrap_or_default())
    })?;
    // `judge(compiled, chain, name)`: whether a client would believe a server that shows this.
    table.set("judge", lua.create_function(judge)?)?;
    // `with_names(compiled, others, is_strict)`: a server's that shows others their certificates, by the
    // name that they ask for; nil unless all are of servers.
    let with_names = |_: &Lua, (compiled, others, is_strict): (Value, Table, bool)| {
        tls::with_names(&compiled, &others, is_strict)
    };
    table.set("with_names", lua.create_function(with_names)?)?;
    // `certificate(der)`: what it says; nil for what is none.
    let certificate = |lua: &Lua, der: LuaString| {
        Shown::read(&der.as_bytes()).map(|shown| show(lua, &shown)).transpose()
    };
    table.set("certificate", lua.create_function(certificate)?)?;
    // `certificates_in(source, text)`: a list of DER, or nil and why there is none.
    let in_pem = |lua: &Lua, (source, text): (String, LuaString)| match Shown::in_pem(&Pem {
        source,
        text: text.as_bytes().to_vec(),
    }) {
        Ok(found) => list(lua, found)?.into_lua_multi(lua),
        Err(why) => (Value::Nil, why).into_lua_multi(lua),
    };
    table.set("certificates_in", lua.create_function(in_pem)?)?;
    // `certificates_of(folder)`: the text of all its files, or nil and why there is none.
    let of_folder = |lua: &Lua, folder: LuaString| match hashed_files(&folder.as_bytes()) {
        Ok(texts) => lua.create_string(texts.join(&b'\n'))?.into_lua_multi(lua),
        Err(error) => (Value::Nil, crate::error::reason(&error)).into_lua_multi(lua),
    };
    table.set("certificates_of", lua.create_function(of_folder)?)
}

fn list(lua: &Lua, strings: Vec<Vec<u8>>) -> mlua::Result<Table> {
    let table = lua.create_table()?;
    for string in strings {
        table.raw_push(lua.create_string(string)?)?;
    }
    Ok(table)
}

fn judge(
    lua: &Lua,
    (compiled, chain, name): (Value, Vec<LuaString>, String),
) -> mlua::Result<MultiValue> {
    let chain: Vec<Vec<u8>> = chain.iter().map(|der| der.as_bytes().to_vec()).collect();
    match tls::of(&compiled) {
        Some(tls) => answer(lua, tls.client.judge(&chain, &name)),
        None => Value::Nil.into_lua_multi(lua),
    }
}

fn show(lua: &Lua, shown: &Shown) -> mlua::Result<Table> {
    let table = lua.create_table()?;
    table.set("serial", lua.create_string(&shown.serial)?)?;
    table.set("signature", shown.signature.as_str())?;
    table.set("issuer", parts(lua, &shown.issuer)?)?;
    table.set("subject", parts(lua, &shown.subject)?)?;
    if let Some((from, to)) = shown.dates {
        table.set("not_before", from)?;
        table.set("not_after", to)?;
    }
    table.set("key", lua.create_string(&shown.key)?)?;
    table.set("key_kind", shown.key_kind.as_str())?;
    table.set("curve", shown.curve.as_deref())?;
    table.set("rsa_bits", shown.rsa_bits)?;
    let names = lua.create_table()?;
    for (tag, value) in &shown.names {
        let name = lua.create_table()?;
        name.set("tag", *tag)?;
        name.set("value", lua.create_string(value)?)?;
        names.raw_push(name)?;
    }
    table.set("names", names)?;
    Ok(table)
}

fn parts(lua: &Lua, parts: &[NamePart]) -> mlua::Result<Table> {
    let table = lua.create_table()?;
    for part in parts {
        let entry = lua.create_table()?;
        entry.set("kind", part.kind.as_str())?;
        entry.set("tag", part.tag)?;
        entry.set("value", lua.create_string(&part.value)?)?;
        table.raw_push(entry)?;
    }
    Ok(table)
}
