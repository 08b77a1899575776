//! The events of one source that wait for the script, and whether its token is in the queue.
//!
//! Not here: the queue and the lock around a mailbox (`net::hub`). Invariant: while events wait
//! there is exactly one token of this source in the queue or on its way to `collect`. That holds
//! because `post` and `collect` run under the lock of the source; model-checked in
//! `spec/rust/loom_lead.rs`.

use crate::proto::event::{Event, EventList};

/// The mailbox of a source.
#[derive(Debug, Default)]
pub struct Mailbox {
    events: EventList,
    queued: bool,
    /// Nobody listens any more: events are dropped.
    closed: bool,
    /// An attempt has begun whose end was not told. It stands here for want of room: the mailbox has
    /// bytes to spare, and every connection pays for another word.
    close_due: bool,
}

impl Mailbox {
    /// Adds an event. `true`: the caller must push the source's token now, before it unlocks.
    #[must_use]
    pub fn post(&mut self, event: Event) -> bool {
        if self.closed {
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

    /// An attempt begins: its end is to be told.
    pub fn expect_close(&mut self) {
        self.close_due = true;
    }

    /// Its end is told, here or to somebody else.
    pub fn close_notified(&mut self) {
        self.close_due = false;
    }

    /// Whether the end of an attempt is still to be told.
    #[must_use]
    pub fn is_close_due(&self) -> bool {
        self.close_due
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
    pub fn is_closed(&self) -> bool {
        self.closed
    }

    /// Drops what waits and whatever comes later.
    pub fn close(&mut self) {
        self.closed = true;
        self.events.clear();
    }
}
