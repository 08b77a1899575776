//! The one list of events that a script can hear of. The Lua files are handed it by name
//! (`native.events`).
//!
//! An event's number is its place here, from 1. Under it the function of a class stands in the
//! metatable; the handler of an object has the event's name behind "on_".
//! Not here: when an event comes (`dispatch`), which function it calls (`handlers`).

use crate::lua::class::kind::Kind;

/// An event of the list.
pub(in crate::lua) struct Row {
    pub(in crate::lua) number: EventNumber,
    pub(in crate::lua) name: &'static str,
    /// The name of its handler, if objects may have one (`LAST_WITH_HANDLER`).
    pub(in crate::lua) handler: &'static str,
    /// Which objects have it.
    pub(in crate::lua) kinds: &'static [Kind],
}

macro_rules! events {
    (
        $(#[$first_doc:meta])* $first:ident $first_name:literal $first_kinds:tt;
        $($(#[$doc:meta])* $event:ident $name:literal $kinds:tt;)*
    ) => {
        /// An event, by its number.
        #[derive(Clone, Copy, Debug, Eq, PartialEq)]
        #[repr(u32)]
        pub(in crate::lua) enum EventNumber {
            $(#[$first_doc])* $first = 1,
            $($(#[$doc])* $event,)*
        }

        impl EventNumber {
            /// The list.
            pub(in crate::lua) const ALL: &[Row] = &[
                events!(@row $first $first_name $first_kinds),
                $(events!(@row $event $name $kinds),)*
            ];
        }
    };
    (@row $event:ident $name:literal ($($kind:ident)*)) => {
        Row {
            number: EventNumber::$event,
            name: $name,
            handler: concat!("on_", $name),
            kinds: &[$(Kind::$kind),*],
        }
    };
}

events! {
    Resolve "resolve" (Socket);
    Connect "connect" (Socket Datagram);
    Data "data" (Socket);
    Drain "drain" (Socket);
    End "end" (Socket);
    Close "close" (Socket);
    Reconnect "reconnect" (Socket);
    Accept "accept" (Server);
    Error "error" (Server Datagram Watch);
    Timer "timer" (Timer);
    Secure "secure" (Socket);
    Mark "mark" (Socket);
    /// A descriptor of others is ready.
    Ready "ready" (Watch);
    /// A datagram has come: the class takes it and calls the handler.
    Datagram "datagram" (Datagram);
    /// From here on for the functions of classes alone. What the class has deferred.
    Deferred "deferred" (Socket Server Datagram);
    /// TCP stands, and the handshake begins.
    Securing "securing" (Socket);
    /// Some of what waited was sent; of a datagram with its number: it is with the system.
    Sent "sent" (Socket Datagram);
    /// The datagram of that number never will be.
    Unsent "unsent" (Datagram);
    /// A failure that met no handler; the classes of dialects leave it to their hosts.
    Unhandled "unhandled" (Socket Server Datagram Watch);
}

impl EventNumber {
    /// Behind it no object has handlers.
    const LAST_WITH_HANDLER: Self = Self::Datagram;

    /// The rows of events for which objects may have a handler.
    pub(in crate::lua) fn with_handlers() -> impl Iterator<Item = &'static Row> {
        Self::ALL.iter().filter(|row| row.number as u32 <= Self::LAST_WITH_HANDLER as u32)
    }
}
