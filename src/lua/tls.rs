//! TLS tables: from what `options.lua` has checked to compiled configurations, and back.
//!
//! Not here: which fields there are (`options.lua`) and what they mean (`tls::config`).

use std::fs;

use mlua::{AnyUserData, Lua, Table, UserData, Value};

use crate::net::secure::{ClientAuth, Config, Pem, Settings, Version};
use crate::net::secure::{Facts, Tls, Verified};
use crate::sync::Arc;

/// A compiled TLS table, as scripts hold it.
#[derive(Clone, Debug)]
pub(super) struct Compiled(pub(super) Arc<Tls>);

impl UserData for Compiled {}

/// Adds the functions to the table that the Lua files get.
pub(super) fn add(lua: &Lua, table: &Table) -> mlua::Result<()> {
    // `tls(fields)`: the compiled table, or nil and why not.
    let compile = |lua: &Lua, fields: Table| match compile(&fields)? {
        Ok(tls) => {
            let compiled = lua.create_userdata(Compiled(Arc::new(tls)))?;
            Ok((Value::UserData(compiled), None))
        }
        Err(why) => Ok((Value::Nil, Some(why))),
    };
    table.set("tls", lua.create_function(compile)?)?;
    // `tls_kind(value)`: "client", "server" (also), or nil for anything else.
    let kind = |_: &Lua, value: Value| {
        let compiled = of(&value);
        Ok(compiled.map(|tls| if tls.server.is_some() { "server" } else { "client" }))
    };
    table.set("tls_kind", lua.create_function(kind)?)
}

/// The configurations behind a value of the script.
pub(super) fn of(value: &Value) -> Option<Arc<Tls>> {
    let handle: &AnyUserData = value.as_userdata()?;
    Some(Arc::clone(&handle.borrow::<Compiled>().ok()?.0))
}

type Reason = String;

fn compile(fields: &Table) -> mlua::Result<Result<Tls, Reason>> {
    let settings = match settings(fields)? {
        Ok(settings) => settings,
        Err(why) => return Ok(Err(why)),
    };
    let server = if settings.cert.is_some() && settings.key.is_some() {
        match Config::server(&settings) {
            Ok(config) => Some(config),
            Err(why) => return Ok(Err(why)),
        }
    } else {
        None
    };
    Ok(Config::client(&settings).map(|client| Tls { client, server }))
}

fn settings(fields: &Table) -> mlua::Result<Result<Settings, Reason>> {
    let mut pems = Vec::new();
    for name in ["ca", "cert", "key"] {
        match pem(fields, name)? {
            Ok(pem) => pems.push(pem),
            Err(why) => return Ok(Err(why)),
        }
    }
    let (key, cert, ca) = (pems.pop().flatten(), pems.pop().flatten(), pems.pop().flatten());
    let mut alpn = Vec::new();
    for name in fields.get::<Option<Vec<mlua::LuaString>>>("alpn")?.unwrap_or_default() {
        alpn.push(name.as_bytes().to_vec());
    }
    let newest = fields.get::<Option<String>>("min_version")?.as_deref() == Some("1.3");
    let client_auth = match fields.get::<Option<Value>>("client_auth")? {
        Some(Value::String(text)) if &*text.as_bytes() == b"request" => ClientAuth::Request,
        Some(Value::String(_)) => ClientAuth::Require,
        _ => ClientAuth::None,
    };
    Ok(Ok(Settings {
        verify: fields.get::<Option<bool>>("verify")?.unwrap_or(true),
        insecure_name: fields.get::<Option<bool>>("insecure_name")?.unwrap_or(false),
        server_name: fields.get("server_name")?,
        ca,
        cert,
        key,
        alpn,
        min_version: if newest { Version::Tls13 } else { Version::Tls12 },
        client_auth,
    }))
}

/// The text of `name`, or of the file that `namefile` names.
fn pem(fields: &Table, name: &str) -> mlua::Result<Result<Option<Pem>, Reason>> {
    if let Some(text) = fields.get::<Option<mlua::LuaString>>(name)? {
        let text = text.as_bytes().to_vec();
        return Ok(Ok(Some(Pem { source: format!("'{name}'"), text })));
    }
    let Some(path) = fields.get::<Option<mlua::LuaString>>(format!("{name}file"))? else {
        return Ok(Ok(None));
    };
    let path = path.to_string_lossy();
    let source = format!("{name}file {path}");
    Ok(match fs::read(&path) {
        Ok(text) => Ok(Some(Pem { source, text })),
        Err(error) => Err(format!("{source}: {}", crate::error::reason(&error))),
    })
}

/// `sock.tls`.
pub(super) fn facts(lua: &Lua, facts: &Facts) -> mlua::Result<Table> {
    let table = lua.create_table()?;
    table.set("version", facts.version)?;
    table.set("cipher", facts.cipher.as_str())?;
    if let Some(alpn) = &facts.alpn {
        table.set("alpn", lua.create_string(alpn)?)?;
    }
    table.set("server_name", facts.server_name.as_deref())?;
    match facts.verified {
        Verified::Chain => table.set("verified", "chain")?,
        Verified::No => table.set("verified", false)?,
        Verified::Yes => table.set("verified", true)?,
    }
    Ok(table)
}
