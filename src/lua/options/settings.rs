//! Options between Lua and `net::options`: their list for `options.lua`, and what that has checked.
//!
//! Not here: what may be given (`options.lua`), which options there are (`net::options`).

use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

use mlua::{IntoLua, Lua, Table, Value};

use crate::address::Literal;
use crate::limits;
use crate::lua::class::native::method;
use crate::lua::class::object::Part;
use crate::lua::options::tls;
use crate::lua::run::state::State;
use crate::net::options::{
    Kind, ListenOptions, OptionValue, Options, Probes, Row, UdpOptions, certs_fields, pauses,
    probes, tls_fields,
};
use crate::proto::backoff::Backoff;
use crate::sync::Arc;

/// Adds to the table that the Lua files get: `options(list)`, the rows of a list; and
/// `set_option(object, name, value)`.
pub(in crate::lua) fn add(lua: &Lua, table: &Table, state: &Rc<State>) -> mlua::Result<()> {
    table.set("options", lua.create_function(|lua, list: String| rows(lua, &list))?)?;
    method(lua, table, state, "set_option", |_, object, (name, value): (String, Value)| {
        let Some(kind) = Options::kind(&name) else { return Ok(()) };
        let value = checked(kind, &value)?;
        match &object.part {
            Part::Socket(part) => {
                // Lines were found ahead with the old limit in mind (`lines::batch`).
                part.commit_batch(object);
                let mut options = object.options();
                Arc::make_mut(&mut options).set(&name, &value);
                part.set_longest(options.max_frame);
                part.options.set(Some(Arc::clone(&options)));
                let stream = part.stream.borrow().clone();
                if let (Some(stream), Some(hub)) = (stream, object.state.hub()) {
                    stream.set_options(hub, options);
                }
            }
            Part::Server(part) => {
                Arc::make_mut(&mut part.options.borrow_mut()).set(&name, &value);
                if let Some(hub) = object.state.hub() {
                    part.apply_options(hub);
                }
                if matches!(kind, Kind::Tls) {
                    part.report_notices(object.state.hub());
                }
            }
            _ => {}
        }
        Ok(())
    })
}

/// Every option in a table that is one of the list, as `options.lua` has checked it.
pub(in crate::lua) fn each(
    given: &Table,
    kind_of: impl Fn(&str) -> Option<Kind>,
    mut set: impl FnMut(&str, OptionValue),
) -> mlua::Result<()> {
    for pair in given.pairs::<String, Value>() {
        let (name, value) = pair?;
        if let Some(kind) = kind_of(&name) {
            set(&name, checked(kind, &value)?);
        }
    }
    Ok(())
}

/// The value of an option, as `options.lua` has passed it.
pub(in crate::lua) fn checked(kind: Kind, value: &Value) -> mlua::Result<OptionValue> {
    Ok(match (kind, value) {
        (Kind::Bind, Value::Table(place)) => {
            let address = bind(&place.get(1)?, place.get(2)?);
            address.map_or(OptionValue::Flag(false), OptionValue::Bind)
        }
        (Kind::Reconnect, Value::Table(given)) => OptionValue::Reconnect(Backoff {
            min: given.get("min")?,
            max: given.get("max")?,
            factor: given.get("factor")?,
            jitter: given.get("jitter")?,
        }),
        (Kind::Keepalive, Value::Table(given)) => {
            let seconds = |name| given.get::<Option<f64>>(name);
            let duration = |given: Option<f64>| given.map(bounded);
            OptionValue::Probes(Probes {
                idle: duration(seconds("idle")?),
                interval: duration(seconds("interval")?),
                count: given.get("count")?,
            })
        }
        (_, Value::String(text)) => OptionValue::Text(text.to_string_lossy().into()),
        (Kind::Tls, value) => tls::of(value).map_or(OptionValue::Flag(false), OptionValue::Tls),
        (_, Value::Boolean(on)) => OptionValue::Flag(*on),
        #[expect(clippy::cast_precision_loss, reason = "counts beyond 2^53 are cut anyway")]
        (_, Value::Integer(value)) => OptionValue::Number(*value as f64),
        (_, value) => OptionValue::Number(value.as_number().unwrap_or_default()),
    })
}

/// Seconds that `options.lua` has passed.
fn bounded(seconds: f64) -> Duration {
    let longest = limits::LONGEST_WAIT;
    Duration::try_from_secs_f64(seconds).unwrap_or(longest).min(longest)
}

/// A numeric address that `options.lua` has passed, and a port.
pub(in crate::lua) fn bind(address: &Value, port: u16) -> Option<SocketAddr> {
    let literal = Literal::read(&address.as_string()?.as_bytes())?;
    // The interface of its zone may be gone: then binding fails, as it does with an address that is gone.
    literal.at(port).ok().or_else(|| Some(nowhere(port)))
}

/// An address that no machine has (RFC 6666).
fn nowhere(port: u16) -> SocketAddr {
    (std::net::Ipv6Addr::new(0x100, 0, 0, 0, 0, 0, 0, 1), port).into()
}

/// The rows of a list, for `options.lua`.
fn rows(lua: &Lua, list: &str) -> mlua::Result<Vec<Table>> {
    let rows = match list {
        "certs" => certs_fields(),
        "keepalive" => probes(),
        "reconnect" => pauses(),
        "server" => ListenOptions::rows(),
        "socket" => Options::rows(),
        "tls" => tls_fields(),
        "udp" => UdpOptions::rows(),
        _ => Vec::new(),
    };
    rows.iter().map(|row| push(lua, row)).collect()
}

fn push(lua: &Lua, row: &Row) -> mlua::Result<Table> {
    let table = lua.create_table()?;
    table.set("name", row.name)?;
    table.set("kind", row.kind.name())?;
    match row.kind {
        Kind::Bytes { least } => table.set("least", least)?,
        Kind::Choice { off, words } => {
            table.set("off", off)?;
            table.set("words", words)?;
        }
        Kind::Integer { least, most } => {
            table.set("least", least)?;
            table.set("most", most)?;
        }
        Kind::Seconds { least } => table.set("least", number(lua, least)?)?,
        _ => {}
    }
    table.set("default", default(lua, row.default.as_ref())?)?;
    table.set("accepted", default(lua, row.accepted.as_ref())?)?;
    Ok(table)
}

fn default(lua: &Lua, value: Option<&OptionValue>) -> mlua::Result<Value> {
    match value {
        Some(OptionValue::Flag(on)) => Ok(Value::Boolean(*on)),
        Some(OptionValue::Number(value)) => number(lua, *value),
        _ => Ok(Value::Nil),
    }
}

/// An integer where it is one: scripts see it so.
fn number(lua: &Lua, number: f64) -> mlua::Result<Value> {
    #[expect(clippy::cast_possible_truncation, reason = "small, or not whole")]
    let whole = number as i64;
    if number.fract() == 0.0 { whole.into_lua(lua) } else { number.into_lua(lua) }
}
