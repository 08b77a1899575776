//! A question of the script about a name: its addresses, or the name of an address.
//!
//! Not here: threads (`resolver`), the lookups of connections and datagrams, which are steps of those.
//! Invariants: there is one answer; dropped or called off, nobody looks any more.

use std::net::SocketAddr;
use std::time::Instant;

use crate::address::{Address, Literal};
use crate::error::{Code, Error, Result};
use crate::net::hub::{Hub, Message, Source};
use crate::net::motion::{Between, Motion, Stir};
pub use crate::net::resolver::Answer;
use crate::net::resolver::{self, Lookup};
use crate::net::target::{Route, Target, loopback};
use crate::proto::event::Event;
use crate::proto::mailbox::Mailbox;
use crate::proto::token::Token;
use crate::sync::{Arc, Mutex, lock};

/// The question, while it is not answered.
#[derive(Debug)]
pub struct Question {
    token: Token,
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    lookup: Option<Lookup>,
    answer: Option<Result<Answer>>,
    mail: Mailbox,
}

/// What is known of a name without asking anybody; `None`: somebody must be asked.
///
/// # Errors
/// That it is no name.
pub fn known(name: &[u8]) -> Result<Option<Vec<SocketAddr>>> {
    let refused = || Error::new(Code::BadHost, "this is no host name");
    match Target::new(name.to_vec(), 0, None).route {
        Route::Address(Address::Ip(address)) => Ok(Some(vec![address])),
        Route::Address(_) => Err(refused()),
        Route::Zoned(literal, _) => match literal.at(0) {
            Ok(address) => Ok(Some(vec![address])),
            Err(why) => Err(Error::new(Code::AddressNotAvailable, why)),
        },
        Route::Localhost(_) => Ok(Some(loopback(0))),
        Route::Name(..) => Ok(None),
        Route::Nowhere(error) => Err(bare(error)),
    }
}

/// Without the heading of the call that lookups are mostly for.
fn bare(error: Error) -> Error {
    match error.message().strip_prefix("connect: ") {
        Some(cause) => Error::new(error.code(), cause),
        None => error,
    }
}

impl Question {
    /// Looks a name up.
    ///
    /// # Errors
    /// `EAGAIN`: too many names are being looked up.
    pub fn about_name(hub: &Arc<Hub>, name: &str) -> Result<Arc<Self>> {
        let question = Self::ask(hub, |answer| resolver::ask(name, answer))?;
        question.tell(hub, || format!("looking up {name}"));
        Ok(question)
    }

    /// Looks for the name of an address.
    ///
    /// # Errors
    /// As [`Self::about_name`], and that there is no such interface.
    pub fn about_address(hub: &Arc<Hub>, address: &Literal) -> Result<Arc<Self>> {
        let address = address.at(0).map_err(|why| Error::new(Code::AddressNotAvailable, why))?;
        Self::ask(hub, |answer| resolver::look_up_address(address, answer))
    }

    fn ask<F>(hub: &Arc<Hub>, begin: F) -> Result<Arc<Self>>
    where
        F: FnOnce(Box<dyn FnOnce(Result<Answer>) + Send>) -> Result<Lookup>,
    {
        let question = hub.insert(|token| Self { token, inner: Mutex::default() });
        // A lookup that takes long must not keep a closed reactor's descriptors.
        let (theirs, token) = (Arc::downgrade(hub), question.token);
        let answer = move |found| {
            if let Some(hub) = theirs.upgrade() {
                hub.send(token, Message::Answered(found));
            }
        };
        match begin(Box::new(answer)) {
            Ok(lookup) => {
                lock(&question.inner).lookup = Some(lookup);
                Ok(question)
            }
            Err(error) => {
                question.call_off(hub);
                Err(bare(error))
            }
        }
    }

    /// Its token.
    #[must_use]
    pub fn token(&self) -> Token {
        self.token
    }

    /// The answer, once.
    pub fn take(&self) -> Option<Result<Answer>> {
        lock(&self.inner).answer.take()
    }

    /// Nobody waits for the answer any more.
    pub fn call_off(&self, hub: &Hub) {
        let mut inner = lock(&self.inner);
        inner.lookup = None;
        inner.mail.close();
        drop(inner);
        hub.remove(self.token);
    }

    /// Hands out its events.
    pub fn collect(&self, take: impl FnMut(Event)) {
        lock(&self.inner).mail.collect(take);
    }

    /// Tells something in the trace, if anybody wants to know.
    fn tell(&self, hub: &Hub, what: impl FnOnce() -> String) {
        if hub.trace.is_on() {
            hub.tell(self.token, "question", &what(), (None, None));
        }
    }

    fn answer(&self, hub: &Hub, found: Result<Answer>) {
        self.tell(hub, || match &found {
            Ok(_) => "answered".into(),
            Err(error) => format!("no answer: {} ({})", error.message(), error.code()),
        });
        let mut inner = lock(&self.inner);
        inner.answer = Some(found.map_err(bare));
        hub.post(&mut inner.mail, self.token, Event::Fired);
    }
}

impl Source for Question {
    fn motion(&self) -> Option<Motion> {
        let waits = lock(&self.inner).answer.is_none();
        let stir = if waits { Stir::Machine } else { Stir::Still };
        Some(Motion { between: Between::Nothing, sent: 0, received: 0, stir })
    }

    fn on_message(&self, hub: &Arc<Hub>, message: Message) {
        if let Message::Answered(found) = message {
            self.answer(hub, found);
        }
    }

    fn on_timer(&self, _hub: &Arc<Hub>, _at: Instant) {}

    fn on_fault(&self, hub: &Arc<Hub>) {
        self.answer(hub, Err(crate::net::panic::internal_error("resolve")));
    }

    fn shut_down(&self, hub: &Arc<Hub>) {
        self.call_off(hub);
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn numbers_and_localhost_are_known_and_other_names_are_not() {
        let shown = |name: &[u8]| known(name).unwrap().map(|all| all.len());
        assert_eq!(shown(b"127.0.0.1"), Some(1));
        assert_eq!(shown(b"[::1]"), Some(1));
        assert_eq!(shown(b"LocalHost."), Some(2));
        assert_eq!(shown(b"device.example"), None);
    }

    #[test]
    fn what_is_no_name_is_refused_under_no_heading() {
        for (name, code) in
            [(&b"unix:/x"[..], Code::BadHost), (b"a b", Code::BadHost), (b"", Code::BadHost)]
        {
            let error = known(name).unwrap_err();
            assert_eq!((error.code(), error.message()), (code, "this is no host name"));
        }
        let error = known(b"fe80::1%no-such").unwrap_err();
        assert_eq!(error.code(), Code::AddressNotAvailable);
        assert_eq!(error.message(), "there is no interface 'no-such'");
    }
}
