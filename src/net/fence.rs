//! The fence: a panic, which is a fault of ours, ends the connection that it strikes and nothing
//! else, whichever thread it strikes on. It never unwinds into Lua.
//!
//! Not here: the fence around whole raw functions (`lua`) and around the leader (`reactor`).
//! Invariant: a connection whose end was not told is told of it here.

use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::error::{Code, Error};
use crate::net::hub::Hub;
use crate::net::stream::Inner;
use crate::proto::event::Event;
use crate::proto::life::Input;
use crate::proto::moment::Moment;
use crate::proto::token::Token;
use crate::sync::Arc;

/// Runs `body`; `None` after a panic. What is guarded by our locks is valid between any two
/// statements, so going on with it is safe.
pub fn fenced<T>(body: impl FnOnce() -> T) -> Option<T> {
    catch_unwind(AssertUnwindSafe(body)).ok()
}

/// What a call reports that a panic has ended.
#[must_use]
pub fn fault(what: &str) -> Error {
    Error::new(Code::Internal, format!("{what}: internal fault, please report it"))
}

impl Inner {
    /// Runs one step; a panic in it ends the connection with `EINTERNAL`.
    pub(super) fn fenced<T>(
        &mut self,
        hub: &Arc<Hub>,
        token: Token,
        body: impl FnOnce(&mut Self) -> T,
    ) -> Option<T> {
        let result = fenced(|| body(self));
        if result.is_none() {
            // A second fault while reporting the first leaves nothing better to do.
            let _ = fenced(|| self.fail(hub, token));
        }
        result
    }

    /// Tells the script.
    pub(super) fn post(&mut self, hub: &Arc<Hub>, token: Token, event: Event) {
        self.owed &= !matches!(event, Event::Closed(_));
        let mut event = event;
        if self.is_for_greeter(hub, token, &mut event) {
            return;
        }
        let event = match event {
            Event::Closed(Some(error)) => Event::Closed(Some(Box::new(self.named(*error)))),
            event => event,
        };
        hub.post(&mut self.mail, token, event);
    }

    pub(super) fn fail(&mut self, hub: &Arc<Hub>, token: Token) {
        // An alarm that struck is on no list any more.
        hub.arm(token, self.armed.take().map(Moment::instant), None);
        self.feed(hub, token, Input::Fault(fault("connection")));
        if self.owed {
            // The machine has ended, and what it asked for was lost on the way.
            self.hang_up(hub);
            self.drop_socket(hub);
            self.post(hub, token, Event::Closed(Some(Box::new(fault("connection")))));
        }
        self.settle(hub, token);
    }
}
