//! The events of one source that wait for the script, and whether its token is in the queue.
//!
//! Not here: the queue and the lock around a mailbox (`net::hub`). Invariant: while events wait
//! there is exactly one token of this source in the queue or on its way to `collect`. That holds
//! because both functions run under the lock of the source; model-checked in
//! `spec/rust/loom_lead.rs`.

use crate::proto::event::{Event, EventList};

/// The mailbox of a source.
#[derive(Debug, Default)]
pub struct Mailbox {
    events: EventList,
    queued: bool,
    /// Nobody listens any more: events are dropped.
    deaf: bool,
}

impl Mailbox {
    /// Adds an event. `true`: the caller must push the source's token now, before it unlocks.
    #[must_use]
    pub fn post(&mut self, event: Event) -> bool {
        if self.deaf {
            return false;
        }
        self.events.push(event);
        !std::mem::replace(&mut self.queued, true)
    }

    /// Hands out what has come; from now on the next event brings a new token.
    pub fn collect(&mut self, mut take: impl FnMut(Event)) {
        self.queued = false;
        while let Some(event) = self.events.pop() {
            take(event);
        }
    }

    /// How many events wait.
    #[must_use]
    pub fn len(&self) -> usize {
        self.events.len()
    }

    /// Whether none waits.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.events.is_empty()
    }

    /// Whether nobody listens any more.
    #[must_use]
    pub fn is_plugged(&self) -> bool {
        self.deaf
    }

    /// Drops what waits and whatever comes later.
    pub fn plug(&mut self) {
        self.deaf = true;
        self.events.clear();
    }
}
