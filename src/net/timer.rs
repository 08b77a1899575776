//! A timer of the script.
//!
//! Not here: repeating; the Lua side arms the next turn when it has seen this one, so a script
//! that does not pump causes no wake-ups. Invariant: never early.

use std::time::Instant;

use crate::net::hub::{Hub, Source};
use crate::proto::event::Event;
use crate::proto::mailbox::Mailbox;
use crate::proto::moment::Moment;
use crate::proto::token::Token;
use crate::sync::{Arc, Mutex, lock};

/// The timer.
#[derive(Debug)]
pub struct Timer {
    token: Token,
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    at: Option<Moment>,
    mail: Mailbox,
}

impl Timer {
    /// A timer that runs out at `at`; one that already has is reported without the poller.
    pub fn start(hub: &Hub, at: Instant, now: Instant) -> Arc<Self> {
        let timer = hub.insert(|token| Self { token, inner: Mutex::default() });
        timer.rearm(hub, at, now);
        timer
    }

    /// Its name.
    #[must_use]
    pub fn token(&self) -> Token {
        self.token
    }

    /// Sets it again.
    pub fn rearm(&self, hub: &Hub, at: Instant, now: Instant) {
        let mut inner = lock(&self.inner);
        if at <= now {
            hub.post(&mut inner.mail, self.token, Event::Fired);
        } else {
            hub.arm(self.token, inner.at.map(Moment::instant), Some(at));
            inner.at = Some(at.into());
        }
    }

    /// Ends it; nothing comes any more.
    pub fn cancel(&self, hub: &Hub) {
        let mut inner = lock(&self.inner);
        inner.mail.close();
        hub.arm(self.token, inner.at.take().map(Moment::instant), None);
        hub.remove(self.token);
    }

    /// Hands out its events.
    pub fn collect(&self, take: impl FnMut(Event)) {
        lock(&self.inner).mail.collect(take);
    }
}

impl Source for Timer {
    fn on_timer(&self, hub: &Arc<Hub>, at: Instant) {
        let mut inner = lock(&self.inner);
        if inner.at == Some(at.into()) {
            inner.at = None;
            hub.post(&mut inner.mail, self.token, Event::Fired);
        }
    }

    /// When the time had come it has come all the same.
    fn on_fault(&self, hub: &Arc<Hub>) {
        let mut inner = lock(&self.inner);
        if inner.at.is_some_and(|at| at.instant() <= hub.now()) {
            inner.at = None;
            hub.post(&mut inner.mail, self.token, Event::Fired);
        }
    }

    fn shut_down(&self, _hub: &Arc<Hub>) {}
}
