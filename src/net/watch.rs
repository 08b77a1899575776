//! A watch: a descriptor that is not ours and of which the script wants to hear.
//!
//! Not here: the descriptor (`sys::foreign`), handlers (`lua`). As long as somebody listens it is armed; a
//! second report that comes before the script has seen the first disarms it until then, so that a script
//! that does not pump causes no wake-ups.
//! Invariants: at most one event waits; what the script is told was found out when it looked.

use std::io;
use std::time::Instant;

use crate::errno;
use crate::error::{Code, Error, Result};
use crate::net::hub::{Hub, Source};
use crate::net::panic::{catch_panic, internal_error};
use crate::proto::event::Event;
use crate::proto::mailbox::Mailbox;
use crate::proto::token::Token;
use crate::sync::{Arc, Mutex, lock};
use crate::sys::Descriptor;
use crate::sys::foreign::Foreign;
pub use crate::sys::poller::Interest;
use crate::sys::poller::Readiness;

/// The watch.
#[derive(Debug)]
pub struct Watch {
    token: Token,
    fd: Descriptor,
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    foreign: Option<Foreign>,
    mail: Mailbox,
    /// Somebody listens.
    listens: bool,
    /// An event waits for the script.
    announced: bool,
}

impl Watch {
    /// Begins; nobody listens yet.
    ///
    /// # Errors
    /// `EINVAL`: it is no open descriptor; or the system has no room.
    pub fn open(hub: &Hub, fd: Descriptor, interest: Interest) -> Result<Arc<Self>> {
        if hub.has_bell() && hub.bell()? == fd {
            // Each event would bring the next.
            let text =
                format!("watch {fd}: this is evsock's own pollfd, which tells of its events");
            return Err(Error::new(Code::Invalid, text));
        }
        let opened = catch_panic(|| Foreign::new(fd, interest));
        let opened = opened.ok_or_else(|| internal_error("watch"))?;
        let foreign = opened.map_err(|error| refused(fd, &error))?;
        let inner = Mutex::new(Inner { foreign: Some(foreign), ..Inner::default() });
        Ok(hub.insert(|token| Self { token, fd, inner }))
    }

    /// Its token.
    #[must_use]
    pub fn token(&self) -> Token {
        self.token
    }

    /// The descriptor.
    #[must_use]
    pub fn descriptor(&self) -> Descriptor {
        self.fd
    }

    /// Whether it can be read, and written, now.
    ///
    /// # Errors
    /// `ECLOSED`: its owner has closed it.
    pub fn ready(&self) -> Result<(bool, bool)> {
        let inner = lock(&self.inner);
        let Some(foreign) = &inner.foreign else { return Err(self.closed()) };
        let ready = catch_panic(|| foreign.ready()).ok_or_else(|| internal_error("watch"))?;
        ready.map_err(|error| self.failed(&error))
    }

    /// Whether somebody listens.
    pub fn set_listening(&self, hub: &Hub, listens: bool) {
        let mut inner = lock(&self.inner);
        inner.listens = listens;
        self.arm(hub, &mut inner);
    }

    /// The event is being dispatched.
    pub fn on_seen(&self) {
        lock(&self.inner).announced = false;
    }

    /// The event was dispatched: if somebody listens, the next report is one again.
    pub fn listen_on(&self, hub: &Hub) {
        self.arm(hub, &mut lock(&self.inner));
    }

    /// Hands out its events.
    pub fn collect(&self, take: impl FnMut(Event)) {
        lock(&self.inner).mail.collect(take);
    }

    /// Ends it; the descriptor stays open.
    pub fn close(&self, hub: &Hub) {
        let mut inner = lock(&self.inner);
        inner.mail.close();
        if let Some(foreign) = inner.foreign.take() {
            let _ = catch_panic(|| foreign.close(&hub.poller));
        }
        drop(inner);
        hub.remove(self.token);
    }

    /// In the child of a fork: gives up what is ours and touches nothing that the parent polls.
    pub fn abandon(&self) {
        if let Ok(mut inner) = self.inner.try_lock() {
            inner.foreign = None;
        }
    }

    fn arm(&self, hub: &Hub, inner: &mut Inner) {
        let listens = inner.listens;
        let Some(foreign) = &mut inner.foreign else { return };
        if foreign.is_always_ready() {
            if listens {
                self.announce(hub, inner);
            }
            return;
        }
        let key = self.token.slot as usize;
        match catch_panic(|| foreign.arm(listens, &hub.poller, key)) {
            Some(Ok(())) => {}
            Some(Err(error)) => {
                let error = self.failed(&error);
                self.report(hub, inner, error);
            }
            None => self.report(hub, inner, internal_error("watch")),
        }
    }

    fn announce(&self, hub: &Hub, inner: &mut Inner) {
        if !inner.announced {
            inner.announced = true;
            hub.post(&mut inner.mail, self.token, Event::Fired);
        }
    }

    fn report(&self, hub: &Hub, inner: &mut Inner, error: Error) {
        hub.post_failure(&mut inner.mail, self.token, Box::new(error));
    }

    fn closed(&self) -> Error {
        let fd = self.fd;
        let text = format!("watch {fd}: the descriptor was closed while it was watched");
        Error::new(Code::Closed, text)
    }

    fn failed(&self, error: &io::Error) -> Error {
        match errno::number(error) {
            Some(errno::EBADF | errno::ENOENT) => self.closed(),
            _ => Error::os(&format!("watch {}", self.fd), error),
        }
    }
}

fn refused(fd: Descriptor, error: &io::Error) -> Error {
    let why = match errno::number(error) {
        Some(errno::EBADF) => "this is no open descriptor",
        Some(errno::ENOTSOCK) => "on Windows only sockets can be watched, and this is none",
        _ => return Error::os(&format!("watch {fd}"), error),
    };
    Error::new(Code::Invalid, format!("watch {fd}: {why}"))
}

impl Source for Watch {
    fn on_ready(&self, hub: &Arc<Hub>, _ready: Readiness, _scratch: &mut Vec<u8>) {
        let mut inner = lock(&self.inner);
        if !inner.announced && inner.listens {
            self.announce(hub, &mut inner);
        } else if let Some(foreign) = &mut inner.foreign {
            // The script has not looked since: what it has not seen is not told again.
            let _ = foreign.arm(false, &hub.poller, self.token.slot as usize);
        }
    }

    fn on_timer(&self, _hub: &Arc<Hub>, _at: Instant) {}

    fn on_fault(&self, hub: &Arc<Hub>) {
        let mut inner = lock(&self.inner);
        if let Some(foreign) = &mut inner.foreign {
            let _ = catch_panic(|| foreign.arm(false, &hub.poller, self.token.slot as usize));
        }
        self.announce(hub, &mut inner);
    }

    fn shut_down(&self, hub: &Arc<Hub>) {
        self.close(hub);
    }
}
