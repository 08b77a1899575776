//! TLS tables: from what `options.lua` has checked to compiled configurations, and back.
//!
//! Not here: which fields there are (`options.lua`) and what they mean (`tls::config`).

use mlua::{AnyUserData, Lua, MetaMethod, Table, UserData, UserDataMethods, Value};

use crate::lua::raw::server::ServerPart;
use crate::net::hub::Hub;
use crate::net::options::Tls;
use crate::net::stream::secure::{ClientAuth, Config, Pem, Settings, Version};
use crate::net::stream::secure::{Facts, Verified, read_file};
use crate::quote::{is_pem, shown};
use crate::sync::Arc;

/// A compiled TLS table, as scripts hold it.
#[derive(Clone, Debug)]
pub(super) struct Compiled(pub(super) Arc<Tls>);

impl UserData for Compiled {
    fn add_methods<M: UserDataMethods<Self>>(methods: &mut M) {
        // A finaliser of the script may ask after it is gone.
        methods.add_meta_function(MetaMethod::ToString, |_, value: Value| {
            Ok(match of(&value) {
                Some(tls) if tls.server.is_some() => "evsock.Tls: client and server",
                Some(_) => "evsock.Tls: client",
                None => "evsock.Tls: gone",
            })
        });
    }
}

/// Adds the functions to the table that the Lua files get.
pub(super) fn add(lua: &Lua, table: &Table) -> mlua::Result<()> {
    // `tls(fields)`: the compiled table, and what of it can't be used; or nil and why not.
    let compile = |lua: &Lua, fields: Table| match compile(&fields)? {
        Ok(tls) => {
            let left_out = tls.client.left_out().map(str::to_owned);
            let compiled = lua.create_userdata(Compiled(Arc::new(tls)))?;
            Ok((Value::UserData(compiled), left_out))
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
    let path = path.as_bytes();
    let option = format!("{name}file");
    if is_pem(&path) || is_bare_key(&path) {
        let why =
            format!("{option}: holds PEM where a path is expected; give the text as '{name}'");
        return Ok(Err(why));
    }
    let source = format!("{option} {}", shown(&path));
    Ok(match read_file(&path) {
        Ok(text) => Ok(Some(Pem { source, text })),
        Err(error) => Err(format!("{source}: {}", crate::error::reason(&error))),
    })
}

/// The inside of PEM: DER of more than 127 bytes, or a short key of an elliptic curve.
fn is_bare_key(text: &[u8]) -> bool {
    let begins = [&b"MII"[..], b"MIG", b"MIH", b"MC4CAQ", b"MHcCAQ"];
    let is_base64 = |byte: &u8| byte.is_ascii_alphanumeric() || b"+/= \r\n".contains(byte);
    text.len() >= 32
        && begins.iter().any(|begin| text.starts_with(begin))
        && text.iter().all(is_base64)
}

/// Tells the script what is odd about a server's certificate, once for all its listeners.
pub(super) fn tell_notice(server: &ServerPart, hub: Option<&Arc<Hub>>) {
    let options = server.options.borrow().clone();
    let notice = options.tls.as_ref().and_then(|tls| tls.server.as_ref()?.notice());
    let listeners = server.listeners.borrow();
    if let (Some(hub), Some(listener), Some(notice)) = (hub, listeners.first(), notice) {
        listener.report(hub, notice);
    }
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
