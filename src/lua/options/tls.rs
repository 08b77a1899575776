//! TLS tables: from what `options.lua` has checked to compiled configurations, and back.
//!
//! Not here: which fields there are (`net::options`) and what they mean (`tls::config`).

use std::cell::RefCell;

use mlua::{AnyUserData, Lua, MetaMethod, Table, UserData, UserDataMethods, Value};

use crate::net::key_log;
use crate::net::options::Tls;
use crate::net::stream::tls::{
    Choices, ClientAuth, Config, Kept, Password, Pem, Settings, Version,
};
use crate::net::stream::tls::{Facts, Fingerprint, KeyLog, PeerCertificate, Verified, read_file};
use crate::quote::{is_pem, named, shown};
use crate::sync::Arc;

/// A compiled TLS table, as scripts hold it.
#[derive(Clone, Debug)]
pub(in crate::lua) struct Compiled(pub(in crate::lua) Arc<Tls>);

impl UserData for Compiled {
    fn add_methods<M: UserDataMethods<Self>>(methods: &mut M) {
        // A finaliser of the script may ask when the table is already collected.
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
pub(in crate::lua) fn add(lua: &Lua, table: &Table) -> mlua::Result<()> {
    // `tls(fields)`: the compiled table, and what of it can't be used; or nil and why not.
    let kept = RefCell::new(Kept::default());
    let compile = move |lua: &Lua, fields: Table| match compile(&fields, &kept)? {
        Ok(tls) => {
            let left_out = tls.client.remarks().map(str::to_owned);
            let compiled = lua.create_userdata(Compiled(Arc::new(tls)))?;
            Ok((Value::UserData(compiled), left_out))
        }
        Err(why) => Ok((Value::Nil, Some(why))),
    };
    table.set("tls", lua.create_function(compile)?)?;
    // `tls_kind(value)`: "client", "server" (also), or nil for anything else; and why it is no server,
    // if its certificate is not what it lacks.
    let kind = |_: &Lua, value: Value| {
        let compiled = of(&value);
        let kind = |tls: &Tls| if tls.server.is_some() { "server" } else { "client" };
        Ok((compiled.as_deref().map(kind), compiled.and_then(|tls| tls.why_no_server)))
    };
    table.set("tls_kind", lua.create_function(kind)?)
}

/// A server's table, where those who ask for such a name are shown the certificate of another; none unless
/// all are of servers.
pub(in crate::lua) fn with_names(
    compiled: &Value,
    others: &Table,
    is_strict: bool,
) -> mlua::Result<Option<Compiled>> {
    let mut named = Vec::new();
    for pair in others.pairs::<String, Value>() {
        let (name, value) = pair?;
        let Some(server) = of(&value).and_then(|tls| tls.server.clone()) else { return Ok(None) };
        named.push((name, server));
    }
    let Some(tls) = of(compiled) else { return Ok(None) };
    let server = tls.server.as_ref().and_then(|server| server.with_names(&named, is_strict));
    Ok(server.map(|server| Compiled(Arc::new(Tls { server: Some(server), ..Tls::clone(&tls) }))))
}

/// The configurations behind a value of the script.
pub(in crate::lua) fn of(value: &Value) -> Option<Arc<Tls>> {
    let handle: &AnyUserData = value.as_userdata()?;
    Some(Arc::clone(&handle.borrow::<Compiled>().ok()?.0))
}

type Reason = String;

fn compile(fields: &Table, kept: &RefCell<Kept>) -> mlua::Result<Result<Tls, Reason>> {
    let settings = match settings(fields)? {
        Ok(settings) => settings,
        Err(why) => return Ok(Err(why)),
    };
    let has_identity = settings.cert.is_some() && settings.key.is_some();
    let mut server = None;
    if has_identity && !looks_at_nobody(&settings) {
        let mut made = Config::server(&settings);
        if let (Ok(own), Some(certs)) = (&made, fields.get::<Option<Table>>("certs")?) {
            made = with_certs(own, &settings, &certs)?;
        }
        match made {
            Ok(config) => server = Some(config),
            Err(why) => return Ok(Err(why)),
        }
    }
    let is_server = fields.get::<Option<bool>>("is_server")?;
    let why_no_server = (has_identity && looks_at_nobody(&settings)).then_some(LOOKS_AT_NOBODY);
    let client = kept.borrow_mut().client(&settings);
    Ok(client.map(|client| Tls { client, server, is_server, why_no_server }))
}

const LOOKS_AT_NOBODY: &str = "'fingerprint' is for clients here, who are not asked for a certificate; \
     give 'client_auth', too";

/// Of a client: then a server would look at nobody's certificate.
fn looks_at_nobody(settings: &Settings) -> bool {
    settings.fingerprints.is_some() && settings.client_auth == ClientAuth::None
}

/// A server's with others by name: the fields of each, what it has of the table around it included.
fn with_certs(
    own: &Config,
    around: &Settings,
    certs: &Table,
) -> mlua::Result<Result<Arc<Config>, Reason>> {
    let mut others = Vec::new();
    for pair in certs.pairs::<mlua::LuaString, Table>() {
        let (name, fields) = pair?;
        let made = settings(&fields)?.and_then(|given| {
            if looks_at_nobody(&given) {
                return Err(LOOKS_AT_NOBODY.to_owned());
            }
            Config::server(&Settings { key_log: around.key_log.clone(), ..given })
        });
        match made {
            Ok(config) => others.push((name.to_string_lossy(), config)),
            Err(why) => {
                return Ok(Err(format!("certs: {}: {why}", named(&name.as_bytes()))));
            }
        }
    }
    // What is told of them has an order.
    others.sort_by(|(one, _), (other, _)| one.cmp(other));
    Ok(own.with_servers(&others).map_err(|why| format!("certs: {why}")))
}

fn settings(fields: &Table) -> mlua::Result<Result<Settings, Reason>> {
    let mut pems = Vec::new();
    for name in ["ca", "crl", "cert", "key"] {
        match pem(fields, name)? {
            Ok(pem) => pems.push(pem),
            Err(why) => return Ok(Err(why)),
        }
    }
    let mut next = || pems.pop().flatten();
    let (key, cert, crl, ca) = (next(), next(), next(), next());
    let key_log = match key_log(fields)? {
        Ok(key_log) => key_log,
        Err(why) => return Ok(Err(why)),
    };
    let fingerprints = match fingerprints(fields)? {
        Ok(fingerprints) => fingerprints,
        Err(why) => return Ok(Err(why)),
    };
    let password = fields.get::<Option<mlua::LuaString>>("password")?;
    let alpn = fields.get::<Option<Vec<mlua::LuaString>>>("alpn")?.unwrap_or_default();
    let version = |name: &str, default| {
        let text = fields.get::<Option<String>>(name)?;
        Ok::<_, mlua::Error>(match text.as_deref() {
            Some("1.2") => Version::Tls12,
            Some("1.3") => Version::Tls13,
            _ => default,
        })
    };
    let client_auth = match fields.get::<Option<Value>>("client_auth")? {
        Some(Value::String(text)) if &*text.as_bytes() == b"request" => ClientAuth::Request,
        Some(Value::String(_)) => ClientAuth::Require,
        _ => ClientAuth::None,
    };
    let Settings { verify, insecure_name, min_version, max_version, .. } = Settings::default();
    let mut settings = Settings {
        verify: fields.get::<Option<bool>>("verify")?.unwrap_or(verify),
        insecure_name: fields.get::<Option<bool>>("insecure_name")?.unwrap_or(insecure_name),
        server_name: fields.get("server_name")?,
        ca,
        fingerprints,
        crl,
        cert,
        key,
        password: password.map(|text| Password(text.as_bytes().to_vec())),
        alpn: alpn.iter().map(|name| name.as_bytes().to_vec()).collect(),
        min_version: version("min_version", min_version)?,
        max_version: version("max_version", max_version)?,
        key_log,
        choices: Choices {
            suites: fields.get("suites")?,
            groups: fields.get("groups")?,
            prefers_own_suites: fields.get::<Option<bool>>("prefers_own_suites")?.unwrap_or(false),
            resumes: fields.get::<Option<bool>>("resumes")?.unwrap_or(true),
        },
        client_auth,
    };
    Ok(settings.unlock().map(|()| settings))
}

/// The file for the secrets of sessions; none if the environment is to name one and does not.
fn key_log(fields: &Table) -> mlua::Result<Result<Option<Arc<KeyLog>>, Reason>> {
    let path = match fields.get::<Value>("keylog")? {
        Value::String(path) => path.as_bytes().to_vec(),
        Value::Boolean(true) => match std::env::var_os("SSLKEYLOGFILE") {
            Some(path) if !path.is_empty() => path.into_encoded_bytes(),
            _ => return Ok(Ok(None)),
        },
        _ => return Ok(Ok(None)),
    };
    Ok(key_log::open(&path).map(|file| Some(Arc::new(file))))
}

/// One, or a list of them, as `tls.lua` has passed it.
fn fingerprints(fields: &Table) -> mlua::Result<Result<Option<Vec<Fingerprint>>, Reason>> {
    let texts = match fields.get::<Value>("fingerprint")? {
        Value::String(text) => vec![text],
        Value::Table(list) => list.sequence_values().collect::<mlua::Result<Vec<_>>>()?,
        _ => return Ok(Ok(None)),
    };
    let read = |text: &mlua::LuaString| Fingerprint::read(&text.to_string_lossy());
    let read: Result<Vec<_>, _> = texts.iter().map(read).collect();
    Ok(read.map(Some).map_err(|why| format!("fingerprint: {why}")))
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

/// What `sock.tls` says.
pub(in crate::lua) fn facts(lua: &Lua, facts: &Facts) -> mlua::Result<Table> {
    let table = lua.create_table()?;
    table.set("version", facts.version)?;
    table.set("cipher", facts.cipher.as_str())?;
    if let Some(alpn) = &facts.alpn {
        table.set("alpn", lua.create_string(alpn)?)?;
    }
    table.set("server_name", facts.server_name.as_deref())?;
    match facts.verified {
        Verified::Chain => table.set("verified", "chain")?,
        Verified::Fingerprint => table.set("verified", "fingerprint")?,
        Verified::No => table.set("verified", false)?,
        Verified::Yes => table.set("verified", true)?,
    }
    table.set("resumed", facts.resumed)?;
    Ok(table)
}

/// What `sock.tls.peer` says.
pub(in crate::lua) fn peer(lua: &Lua, peer: &PeerCertificate) -> mlua::Result<Table> {
    let table = lua.create_table()?;
    table.set("der", lua.create_string(&peer.der)?)?;
    table.set("fingerprint", peer.fingerprint.to_string())?;
    let Some(says) = &peer.says else { return Ok(table) };
    table.set("subject", says.subject.as_str())?;
    table.set("issuer", says.issuer.as_str())?;
    table.set("names", lua.create_sequence_from(says.names.iter().map(String::as_str))?)?;
    if let Some((from, to)) = says.dates {
        table.set("not_before", from)?;
        table.set("not_after", to)?;
    }
    table.set("serial", says.serial.as_str())?;
    Ok(table)
}
