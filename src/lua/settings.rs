//! Options as `options.lua` has checked them, from Lua's values to Rust's.
//!
//! Not here: what may be given (`options.lua`), what it means (`net::options`).

use std::net::SocketAddr;
use std::time::Duration;

use mlua::Value;

use crate::address::Literal;
use crate::limits;
use crate::net::options::Options;
use crate::proto::backoff::Backoff;

/// The name, the value, and for `reconnect` the longest pause, the factor and the jitter.
pub(super) type Setting = (String, Value, Option<f64>, Option<f64>, Option<f64>);

fn seconds(value: &Value) -> Option<Duration> {
    let seconds = number(value)?;
    (seconds > 0.0).then(|| {
        Duration::try_from_secs_f64(seconds)
            .unwrap_or(limits::LONGEST_WAIT)
            .min(limits::LONGEST_WAIT)
    })
}

#[expect(clippy::cast_precision_loss, reason = "counts beyond 2^53 are cut anyway")]
fn number(value: &Value) -> Option<f64> {
    match value {
        Value::Integer(integer) => Some(*integer as f64),
        Value::Number(number) => Some(*number),
        _ => None,
    }
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "`as` saturates")]
fn bytes(value: &Value) -> usize {
    number(value).unwrap_or_default() as usize
}

/// A numeric address that `options.lua` has passed, and a port; false binds nothing.
pub(super) fn bind(value: &Value, port: Option<f64>) -> Option<SocketAddr> {
    let literal = Literal::read(&value.as_string()?.as_bytes())?;
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "checked in Lua")]
    let port = port.unwrap_or_default() as u16;
    // The interface of its zone may be gone: binding there fails, as with an address that is.
    literal.at(port).ok().or_else(|| Some(nowhere(port)))
}

/// An address that no machine has (RFC 6666).
fn nowhere(port: u16) -> SocketAddr {
    (std::net::Ipv6Addr::new(0x100, 0, 0, 0, 0, 0, 0, 1), port).into()
}

pub(super) fn set_option(options: &mut Options, (name, value, max, factor, jitter): &Setting) {
    let on = value.as_boolean().unwrap_or_default();
    match name.as_str() {
        "connect_timeout" => {
            options.connect_timeout = seconds(value);
            options.handshake_timeout = options.connect_timeout;
        }
        "read_timeout" => options.read_timeout = seconds(value),
        "write_timeout" => options.write_timeout = seconds(value),
        "reconnect" => {
            options.reconnect = number(value).map(|min| Backoff {
                min,
                max: max.unwrap_or(min),
                factor: factor.unwrap_or(1.0),
                jitter: jitter.unwrap_or(0.0),
            });
        }
        "nodelay" => options.nodelay = on,
        "keepalive" => {
            options.keepalive_idle = seconds(value);
            options.keepalive = on || options.keepalive_idle.is_some();
        }
        "read_limit" => options.read_limit = bytes(value).max(1),
        "max_frame" => options.max_frame = bytes(value).max(1),
        "write_limit" => options.write_limit = bytes(value),
        "drain_at" => options.drain_at = bytes(value),
        "half_open" => options.half_open = on,
        "ipv4_first" => options.ipv4_first = on,
        "bind" => options.bind = bind(value, *max),
        "tls" => options.tls = super::tls::of(value),
        _ => {}
    }
}
