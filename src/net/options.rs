//! Every option: its field, its default and what it may be. The one list of each.
//!
//! A new option is a row here, its effect, and its line in `src/meta`. Scripts' tables are checked
//! by these rows in Lua, which is handed them at load (`lua::options`).
//! Not here: the checks and their messages (`lua`), what the options do. Options of connections are
//! shared between sockets and copied when one of them changes its own.

use std::net::SocketAddr;
use std::time::Duration;

use crate::limits;
use crate::proto::backoff::Backoff;
use crate::sync::Arc;
pub use crate::sys::socket_options::Probes;
use crate::sys::socket_options::Setup;
use crate::tls::{Config, Settings};

/// A list of options: the struct, and each of its fields by name.
macro_rules! options {
    ($(#[$about:meta])* $list:ident {
        $($(#[$doc:meta])* $name:ident: $type:ty = $default:expr, $kind:expr;)*
    }) => {
        $(#[$about])*
        #[derive(Clone, Debug)]
        pub struct $list { $($(#[$doc])* pub $name: $type,)* }

        impl Default for $list {
            fn default() -> Self {
                Self { $($name: $default,)* }
            }
        }

        impl $list {
            /// The rows.
            #[must_use]
            pub fn rows() -> Vec<Row> {
                let defaults = Self::default();
                vec![$(Row {
                    name: stringify!($name),
                    kind: $kind,
                    default: Some(defaults.$name.to_value()),
                    accepted: defaults.$name.accepted(),
                },)*]
            }

            /// What the option of that name may be, if there is one.
            #[must_use]
            pub fn kind(name: &str) -> Option<Kind> {
                match name { $(stringify!($name) => Some($kind),)* _ => None }
            }

            /// Sets the option of that name.
            pub fn set(&mut self, name: &str, value: &OptionValue) {
                match name {
                    $(stringify!($name) => self.$name = Field::of(&$kind.raised(value)),)*
                    _ => {}
                }
            }
        }
    };
}

options! {
    /// Options of one connection; durations of zero have become `None`.
    Options {
        /// Lookup, connecting and handshake together.
        connect_timeout: ConnectTimeout = ConnectTimeout::default(), Kind::Seconds { least: 0.0 };
        /// Bound of silence while open.
        read_timeout: Option<Duration> = None, Kind::Seconds { least: 0.0 };
        /// Bound of a queued write.
        write_timeout: Option<Duration> = None, Kind::Seconds { least: 0.0 };
        /// The pauses of automatic reconnecting.
        reconnect: Option<Backoff> = None, Kind::Reconnect;
        /// Small writes go out at once.
        nodelay: bool = true, Kind::Boolean;
        /// Whether the system probes a silent peer.
        keepalive: Keepalive = Keepalive::default(), Kind::Keepalive;
        /// How long what is sent may stay without an acknowledgement.
        user_timeout: Option<Duration> = None, Kind::Seconds { least: 0.0 };
        /// What a close does with what is not sent yet.
        linger: Linger = Linger::default(), Kind::Linger;
        /// Bytes that the system holds of what has come; 0: its choice.
        receive_buffer: usize = 0, Kind::Bytes { least: 0 };
        /// The same of what is sent.
        send_buffer: usize = 0, Kind::Bytes { least: 0 };
        /// The only interface that is used.
        device: Option<Box<str>> = None, Kind::Device;
        /// Unread bytes at which reading stops.
        read_limit: usize = limits::READ_LIMIT, Kind::Bytes { least: 1 };
        /// What a line or block may grow to.
        max_frame: usize = limits::MAX_FRAME, Kind::Bytes { least: 1 };
        /// Bytes that may wait to be sent.
        write_limit: usize = limits::WRITE_LIMIT, Kind::Bytes { least: 0 };
        /// Low-water mark of `Drained`.
        drain_at: usize = 0, Kind::Bytes { least: 0 };
        /// Whether writing goes on after the peer's end of stream.
        half_open: bool = false, Kind::Boolean;
        /// Of a name with both, IPv4 addresses are tried before IPv6 ones.
        ipv4_first: bool = false, Kind::Boolean;
        /// Our own end of an outgoing connection; port 0 is the system's choice.
        bind: Option<SocketAddr> = None, Kind::Bind;
        /// Connections begin with a TLS handshake.
        tls: Option<Arc<Tls>> = None, Kind::Tls;
    }
}

options! {
    /// What `listen` takes besides options for the accepted connections.
    ListenOptions {
        /// Connections that wait in the system.
        backlog: i32 = limits::BACKLOG, Kind::Integer { least: 1, most: None };
        /// Connections that are open at once; 0: no bound.
        max_connections: usize = 0, Kind::Integer { least: 0, most: None };
        /// Bytes that all accepted connections together may hold; 0: no bound.
        memory_limit: usize = limits::MEMORY_LIMIT, Kind::Bytes { least: 0 };
        /// Several processes share the port.
        reuse_port: bool = false, Kind::Boolean;
    }
}

options! {
    /// Options of a socket for datagrams.
    UdpOptions {
        /// Broadcasts may be sent.
        broadcast: bool = false, Kind::Boolean;
        /// A longer datagram is cut.
        max_size: usize = limits::LONGEST_DATAGRAM, MAX_SIZE;
        /// Nothing is received before `resume`.
        paused: bool = false, Kind::Boolean;
        /// Others that say the same may be bound there, too.
        reuse_address: bool = false, Kind::Boolean;
        /// Likewise; the system spreads what comes over them.
        reuse_port: bool = false, Kind::Boolean;
        /// Bytes that the system holds of what has come; 0: its choice.
        receive_buffer: usize = 0, Kind::Bytes { least: 0 };
        /// The same of what is sent.
        send_buffer: usize = 0, Kind::Bytes { least: 0 };
        /// The only interface that is used.
        device: Option<Box<str>> = None, Kind::Device;
        /// How many routers pass on what is sent to a group, this machine included.
        multicast_ttl: u32 = 1, Kind::Integer { least: 0, most: Some(255) };
        /// This machine hears what it sends to groups.
        multicast_loop: bool = true, Kind::Boolean;
        /// By which interface groups are sent to.
        interface: Option<Box<str>> = None, Kind::Interface;
    }
}

const MAX_SIZE: Kind = Kind::Integer { least: 1, most: Some(limits::LONGEST_DATAGRAM) };

/// What a table for `reconnect` may say.
#[must_use]
pub fn pauses() -> Vec<Row> {
    let (pauses, least) = (Backoff::default(), limits::SHORTEST_PAUSE.as_secs_f64());
    let row = |name, kind, default: f64| Row::new(name, kind, Some(OptionValue::Number(default)));
    vec![
        row("min", Kind::Seconds { least }, pauses.min),
        row("max", Kind::Seconds { least }, pauses.max),
        row("factor", Kind::Number, pauses.factor),
        row("jitter", Kind::Number, pauses.jitter),
    ]
}

/// What a table for `keepalive` may say.
#[must_use]
pub fn probes() -> Vec<Row> {
    let seconds = Kind::Seconds { least: 0.001 };
    vec![
        Row::new("idle", seconds, None),
        Row::new("interval", seconds, None),
        Row::new("count", Kind::Integer { least: 1, most: Some(limits::MOST_PROBES) }, None),
    ]
}

/// What a TLS table may say; `lua::options::tls` makes [`Settings`] of it.
#[must_use]
pub fn tls_fields() -> Vec<Row> {
    let settings = Settings::default();
    let flag = |name, default| Row::new(name, Kind::Boolean, Some(OptionValue::Flag(default)));
    let plain = |name, kind| Row::new(name, kind, None);
    vec![
        flag("verify", settings.verify),
        flag("insecure_name", settings.insecure_name),
        plain("server_name", Kind::Ascii),
        plain("ca", Kind::Text),
        plain("cafile", Kind::Text),
        plain("crl", Kind::Text),
        plain("crlfile", Kind::Text),
        plain("cert", Kind::Text),
        plain("certfile", Kind::Text),
        plain("key", Kind::Text),
        plain("keyfile", Kind::Text),
        plain("password", Kind::Text),
        plain("alpn", Kind::Protocols),
        plain("min_version", Kind::Choice { off: false, words: &["1.2", "1.3"] }),
        plain("client_auth", Kind::Choice { off: true, words: &["request", "require"] }),
    ]
}

/// One option, as `options.lua` gets it.
#[derive(Clone, Debug)]
pub struct Row {
    /// As scripts write it.
    pub name: &'static str,
    /// What it may be.
    pub kind: Kind,
    /// What it is until somebody says; nothing where that is no value.
    pub default: Option<OptionValue>,
    /// The same of an accepted connection, where that differs.
    pub accepted: Option<OptionValue>,
}

impl Row {
    fn new(name: &'static str, kind: Kind, default: Option<OptionValue>) -> Self {
        Self { name, kind, default, accepted: None }
    }
}

/// What an option may be. `options.lua` has a check for each.
#[derive(Clone, Copy, Debug)]
pub enum Kind {
    /// Text of ASCII.
    Ascii,
    /// `{ address, port }`, or false.
    Bind,
    /// true or false.
    Boolean,
    /// A number of bytes; less than `least` counts as that.
    Bytes {
        /// In bytes.
        least: u32,
    },
    /// One of these words; `off`: or false.
    Choice {
        /// false may be given, too.
        off: bool,
        /// The words.
        words: &'static [&'static str],
    },
    /// The name of an interface, or false.
    Device,
    /// The name, number or IPv4 address of an interface, or false.
    Interface,
    /// A whole number.
    Integer {
        /// The least.
        least: u32,
        /// The most, where it is less than what an `int` holds.
        most: Option<usize>,
    },
    /// true, false, seconds of silence before the first probe, or a table of [`probes`].
    Keepalive,
    /// A duration, 0 included, or false.
    Linger,
    /// A number of at least 0.
    Number,
    /// A list of names of protocols.
    Protocols,
    /// Seconds, a table of [`pauses`], or false.
    Reconnect,
    /// A duration.
    Seconds {
        /// The shortest.
        least: f64,
    },
    /// Any text.
    Text,
    /// true, a table of [`tls_fields`], what was made of one, or false.
    Tls,
}

impl Kind {
    /// Its check in `options.lua`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Ascii => "ascii",
            Self::Bind => "bind",
            Self::Boolean => "boolean",
            Self::Bytes { .. } => "bytes",
            Self::Choice { .. } => "choice",
            Self::Device => "device",
            Self::Integer { .. } => "integer",
            Self::Interface => "interface",
            Self::Keepalive => "keepalive",
            Self::Linger => "linger",
            Self::Number => "number",
            Self::Protocols => "protocols",
            Self::Reconnect => "reconnect",
            Self::Seconds { .. } => "seconds",
            Self::Text => "text",
            Self::Tls => "tls",
        }
    }

    /// A count of bytes that is not below its least.
    fn raised(self, value: &OptionValue) -> OptionValue {
        match (self, value) {
            (Self::Bytes { least }, OptionValue::Number(count)) => {
                OptionValue::Number(count.max(f64::from(least)))
            }
            (_, value) => value.clone(),
        }
    }
}

/// The value of an option, checked.
#[derive(Clone, Debug)]
pub enum OptionValue {
    /// Where to bind.
    Bind(SocketAddr),
    /// false is also "none" of what is no flag.
    Flag(bool),
    /// Seconds, bytes, a count.
    Number(f64),
    /// How a silent peer is probed.
    Probes(Probes),
    /// The pauses of reconnecting.
    Reconnect(Backoff),
    /// A name.
    Text(Box<str>),
    /// A compiled TLS table.
    Tls(Arc<Tls>),
}

/// A field of a list, from a value and back.
trait Field {
    fn of(value: &OptionValue) -> Self;
    fn to_value(&self) -> OptionValue;
    /// Its default for an accepted connection, where that differs.
    fn accepted(&self) -> Option<OptionValue> {
        None
    }
}

impl Field for bool {
    fn of(value: &OptionValue) -> Self {
        matches!(value, OptionValue::Flag(true))
    }

    fn to_value(&self) -> OptionValue {
        OptionValue::Flag(*self)
    }
}

impl Field for i32 {
    #[expect(clippy::cast_possible_truncation, reason = "`as` saturates")]
    fn of(value: &OptionValue) -> Self {
        if let OptionValue::Number(number) = value { *number as Self } else { 0 }
    }

    fn to_value(&self) -> OptionValue {
        OptionValue::Number(f64::from(*self))
    }
}

impl Field for u32 {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "`as` saturates")]
    fn of(value: &OptionValue) -> Self {
        if let OptionValue::Number(number) = value { *number as Self } else { 0 }
    }

    fn to_value(&self) -> OptionValue {
        OptionValue::Number(f64::from(*self))
    }
}

impl Field for usize {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "`as` saturates")]
    fn of(value: &OptionValue) -> Self {
        if let OptionValue::Number(number) = value { *number as Self } else { 0 }
    }

    #[expect(clippy::cast_precision_loss, reason = "defaults are far below 2^53")]
    fn to_value(&self) -> OptionValue {
        OptionValue::Number(*self as f64)
    }
}

impl Field for Option<Duration> {
    fn of(value: &OptionValue) -> Self {
        let OptionValue::Number(seconds) = value else { return None };
        let longest = limits::LONGEST_WAIT;
        let bounded = || Duration::try_from_secs_f64(*seconds).unwrap_or(longest).min(longest);
        (*seconds > 0.0).then(bounded)
    }

    fn to_value(&self) -> OptionValue {
        OptionValue::Number(self.unwrap_or_default().as_secs_f64())
    }
}

/// Bound of an attempt to connect; of an accepted connection that of its handshake.
#[derive(Clone, Copy, Debug)]
pub struct ConnectTimeout {
    outgoing: Option<Duration>,
    accepted: Option<Duration>,
}

impl Default for ConnectTimeout {
    fn default() -> Self {
        Self { outgoing: Some(limits::CONNECT_TIMEOUT), accepted: Some(limits::HANDSHAKE_TIMEOUT) }
    }
}

impl Field for ConnectTimeout {
    fn of(value: &OptionValue) -> Self {
        let given = Field::of(value);
        Self { outgoing: given, accepted: given }
    }

    fn to_value(&self) -> OptionValue {
        self.outgoing.to_value()
    }

    fn accepted(&self) -> Option<OptionValue> {
        Some(self.accepted.to_value())
    }
}

/// Whether the system probes a silent peer, and how.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Keepalive(pub Option<Probes>);

impl Field for Keepalive {
    fn of(value: &OptionValue) -> Self {
        match value {
            OptionValue::Flag(true) => Self(Some(Probes::default())),
            OptionValue::Number(_) => {
                Self(Some(Probes { idle: Field::of(value), ..Probes::default() }))
            }
            OptionValue::Probes(probes) => Self(Some(*probes)),
            _ => Self(None),
        }
    }

    fn to_value(&self) -> OptionValue {
        match self.0 {
            Some(Probes { idle: None, interval: None, count: None }) => OptionValue::Flag(true),
            Some(probes) => OptionValue::Probes(probes),
            None => OptionValue::Flag(false),
        }
    }
}

/// For how long a close goes on with what is not sent, or not acknowledged; 0: it is a reset.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Linger(pub Option<Duration>);

impl Linger {
    /// Whether a close is a reset.
    #[must_use]
    pub fn resets(self) -> bool {
        self.0.is_some_and(|bound| bound.is_zero())
    }
}

impl Field for Linger {
    fn of(value: &OptionValue) -> Self {
        let OptionValue::Number(_) = value else { return Self(None) };
        let bound: Option<Duration> = Field::of(value);
        Self(Some(bound.unwrap_or_default()))
    }

    fn to_value(&self) -> OptionValue {
        self.0.map_or(OptionValue::Flag(false), |bound| OptionValue::Number(bound.as_secs_f64()))
    }
}

impl Field for Option<Box<str>> {
    fn of(value: &OptionValue) -> Self {
        if let OptionValue::Text(text) = value { Some(text.clone()) } else { None }
    }

    fn to_value(&self) -> OptionValue {
        self.as_ref().map_or(OptionValue::Flag(false), |text| OptionValue::Text(text.clone()))
    }
}

impl Field for Option<Backoff> {
    fn of(value: &OptionValue) -> Self {
        match value {
            OptionValue::Number(seconds) => Some(Backoff::fixed(*seconds)),
            OptionValue::Reconnect(pauses) => Some(*pauses),
            _ => None,
        }
    }

    fn to_value(&self) -> OptionValue {
        self.map_or(OptionValue::Flag(false), OptionValue::Reconnect)
    }
}

impl Field for Option<SocketAddr> {
    fn of(value: &OptionValue) -> Self {
        if let OptionValue::Bind(address) = value { Some(*address) } else { None }
    }

    fn to_value(&self) -> OptionValue {
        self.map_or(OptionValue::Flag(false), OptionValue::Bind)
    }
}

/// The configurations of both roles, as far as they were given.
#[derive(Clone, Debug)]
pub struct Tls {
    /// For outgoing connections.
    pub client: Arc<Config>,
    /// For accepted ones; needs a certificate.
    pub server: Option<Arc<Config>>,
    /// Which of them it is, where that does not follow from who has connected.
    pub is_server: Option<bool>,
}

impl Tls {
    /// The configuration of one end; none for a server without a certificate.
    #[must_use]
    pub fn of_role(&self, is_accepted: bool) -> Option<&Arc<Config>> {
        if self.is_server.unwrap_or(is_accepted) {
            self.server.as_ref()
        } else {
            Some(&self.client)
        }
    }
}

impl Field for Option<Arc<Tls>> {
    fn of(value: &OptionValue) -> Self {
        if let OptionValue::Tls(tls) = value { Some(Arc::clone(tls)) } else { None }
    }

    fn to_value(&self) -> OptionValue {
        self.as_ref().map_or(OptionValue::Flag(false), |tls| OptionValue::Tls(Arc::clone(tls)))
    }
}

impl Options {
    /// Whether connections begin with a handshake.
    #[must_use]
    pub fn begins_secure(&self) -> bool {
        self.tls.is_some()
    }

    /// How long it may take until a connection stands.
    #[must_use]
    pub fn bound(&self, is_accepted: bool) -> Option<Duration> {
        let timeout = self.connect_timeout;
        if is_accepted { timeout.accepted } else { timeout.outgoing }
    }

    /// What a listening socket with these options passes on to those that it accepts; the rest has to be
    /// set. `is_unix`: then that is nothing.
    #[must_use]
    pub fn inherited(&self, is_unix: bool) -> Self {
        let passed = |bytes| if is_unix { 0 } else { bytes };
        Self {
            nodelay: self.nodelay,
            receive_buffer: passed(self.receive_buffer),
            send_buffer: passed(self.send_buffer),
            ..Self::default()
        }
    }

    /// What a socket has before it connects or listens.
    #[must_use]
    pub fn setup(&self) -> Setup<'_> {
        Setup {
            device: self.device.as_deref(),
            receive_buffer: self.receive_buffer,
            send_buffer: self.send_buffer,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_has_the_name_and_the_default_of_its_field() {
        let rows = Options::rows();
        let row = |name| rows.iter().find(|row| row.name == name);
        assert!(matches!(
            row("connect_timeout"),
            Some(Row {
                default: Some(OptionValue::Number(30.0)),
                accepted: Some(OptionValue::Number(10.0)),
                ..
            })
        ));
        assert!(matches!(
            row("nodelay"),
            Some(Row { default: Some(OptionValue::Flag(true)), accepted: None, .. })
        ));
        assert!(row("reuse_port").is_none());
    }

    #[test]
    fn every_default_set_again_changes_nothing() {
        let mut options = Options::default();
        for row in Options::rows().into_iter().filter(|row| row.name != "connect_timeout") {
            options.set(row.name, &row.default.unwrap_or(OptionValue::Flag(false)));
        }
        assert_eq!(format!("{options:?}"), format!("{:?}", Options::default()));
    }

    #[test]
    fn a_value_is_set_by_name() {
        let mut options = Options::default();
        options.set("connect_timeout", &OptionValue::Number(2.5));
        let given = Some(Duration::from_millis(2500));
        assert_eq!((options.bound(false), options.bound(true)), (given, given));
        options.set("read_timeout", &OptionValue::Number(f64::MAX));
        assert_eq!(options.read_timeout, Some(limits::LONGEST_WAIT));
        options.set("read_timeout", &OptionValue::Number(0.0));
        assert_eq!(options.read_timeout, None);
        options.set("reconnect", &OptionValue::Number(3.0));
        assert_eq!(options.reconnect, Some(Backoff::fixed(3.0)));
        options.set("reconnect", &OptionValue::Flag(false));
        assert_eq!(options.reconnect, None);
        options.set("nothing", &OptionValue::Flag(true));
    }

    #[test]
    fn fewer_bytes_than_the_least_count_as_that() {
        let mut options = Options::default();
        for (given, becomes) in [(0.0, 1), (1.0, 1), (4096.0, 4096), (f64::INFINITY, usize::MAX)] {
            options.set("read_limit", &OptionValue::Number(given));
            assert_eq!(options.read_limit, becomes);
        }
        options.set("drain_at", &OptionValue::Number(0.0));
        assert_eq!(options.drain_at, 0);
    }

    #[test]
    fn keepalive_is_a_flag_seconds_or_a_table() {
        let of = |value| Keepalive::of(&value);
        assert_eq!(of(OptionValue::Flag(true)), Keepalive(Some(Probes::default())));
        assert_eq!(of(OptionValue::Flag(false)), Keepalive(None));
        let idle = Some(Duration::from_secs(5));
        let probes = Probes { idle, ..Probes::default() };
        assert_eq!(of(OptionValue::Number(5.0)), Keepalive(Some(probes)));
        let probes = Probes { idle, interval: idle, count: Some(3) };
        assert_eq!(of(OptionValue::Probes(probes)), Keepalive(Some(probes)));
    }

    #[test]
    fn linger_of_zero_is_not_none() {
        let of = |value| Linger::of(&value);
        assert_eq!(of(OptionValue::Flag(false)), Linger(None));
        assert!(of(OptionValue::Number(0.0)).resets() && !of(OptionValue::Number(0.1)).resets());
        assert_eq!(of(OptionValue::Number(f64::MAX)), Linger(Some(limits::LONGEST_WAIT)));
    }
}
