//! The kinds of objects. The Lua files are handed them by name (`native.kinds`).
//!
//! Not here: what an object of each kind has (`ffi::block`), its events (`run::events`).

/// Of which kind an object is; its class is one of that kind.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(in crate::lua) enum Kind {
    Socket,
    Server,
    Timer,
    Datagram,
    Question,
    Watch,
}

impl Kind {
    pub(in crate::lua) const ALL: [Self; 6] =
        [Self::Socket, Self::Server, Self::Timer, Self::Datagram, Self::Question, Self::Watch];

    /// As definitions of classes and messages of misuse have it.
    pub(in crate::lua) fn name(self) -> &'static str {
        match self {
            Self::Socket => "socket",
            Self::Server => "server",
            Self::Timer => "timer",
            Self::Datagram => "datagram",
            Self::Question => "question",
            Self::Watch => "watch",
        }
    }

    /// Whether a class can have functions or handlers for events.
    pub(in crate::lua) fn has_events(self) -> bool {
        !matches!(self, Self::Question)
    }

    /// The kind of that number, which Lua got at load.
    pub(in crate::lua) fn numbered(number: f64) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| (f64::from(*kind as u8) - number).abs() < 0.5)
    }
}
