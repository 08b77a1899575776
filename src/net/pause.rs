//! The pause of a source whose system refuses what may be refused again at once, or in which a fault of
//! ours struck.
//!
//! Not here: what is refused (`listener`, `udp`). Without the pause a source that the poller goes on
//! reporting would keep the leader busy, and fill the script's queue with one and the same error.
//! Invariants: while it lasts, a timer is set that ends it; the script hears of the first refusal and of
//! no other until something has succeeded.

use std::time::Instant;

use crate::limits;
use crate::net::hub::Hub;
use crate::proto::token::Token;

/// Whether the source rests, and whether the script knows why.
#[derive(Debug, Default)]
pub(super) struct Pause {
    until: Option<Instant>,
    announced: bool,
}

impl Pause {
    /// It begins, or begins anew. Whether the script is to hear why.
    pub(super) fn begin(&mut self, hub: &Hub, token: Token) -> bool {
        let before = self.until.replace(hub.now() + limits::REFUSAL_PAUSE);
        hub.arm(token, before, self.until);
        !std::mem::replace(&mut self.announced, true)
    }

    /// Whether it lasts.
    pub(super) fn is_on(&self) -> bool {
        self.until.is_some()
    }

    /// A timer of the source went off, which is not this one if the pause began anew since.
    pub(super) fn on_timer(&mut self, at: Instant) {
        if self.until == Some(at) {
            self.until = None;
        }
    }

    /// Something succeeded: the script is to hear of the next refusal.
    pub(super) fn succeeded(&mut self) {
        self.announced = false;
    }

    /// The source ends.
    pub(super) fn cancel(&mut self, hub: &Hub, token: Token) {
        hub.arm(token, self.until.take(), None);
    }
}
