//! What `proto::script` asks of a socket whose event is dispatched.
//!
//! Not here: what follows from the answers.

use std::time::Duration;

use crate::lua::class::object::{Object, SocketPart};
use crate::net::target::Route;
use crate::proto::script::Facts;

/// What the machine asks of a socket whose event is dispatched.
pub(in crate::lua) struct SocketFacts<'a> {
    pub(in crate::lua) object: &'a Object,
    pub(in crate::lua) part: &'a SocketPart,
    pub(in crate::lua) shown: usize,
}

impl Facts for SocketFacts<'_> {
    fn half_open(&self) -> bool {
        self.object.options().half_open
    }

    fn reconnects(&self) -> bool {
        // An accepted connection has nowhere to go.
        self.part.target.get().is_some() && self.object.options().reconnect.is_some()
    }

    fn looks_up(&self) -> bool {
        looks_up(self.part)
    }

    fn shown(&self) -> usize {
        self.shown
    }

    fn now(&self) -> Duration {
        self.object.state.elapsed()
    }
}

/// A new attempt begins with a lookup unless the address is known.
pub(in crate::lua) fn looks_up(part: &SocketPart) -> bool {
    let target = part.target.get();
    !target.is_some_and(|target| matches!(target.route, Route::Address(_) | Route::Zoned(..)))
}
