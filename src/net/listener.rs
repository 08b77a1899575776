//! One address listened on.
//!
//! Not here: the script's server, which may have several of these (`lua`). Accepting stops while
//! the script has enough to take, at `max_connections`, when paused, and for a moment when the
//! process is out of descriptors; more connections wait in the system's queue.

use std::collections::VecDeque;
use std::io;
use std::sync::Weak;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use socket2::Socket;

use crate::address::Address;
use crate::error::{Error, Result};
use crate::limits;
use crate::net::fence::{fault, fenced};
use crate::net::hub::{Hub, Source};
use crate::net::options::Options;
use crate::net::stream::Stream;
use crate::proto::event::Event;
use crate::proto::mailbox::Mailbox;
use crate::proto::token::Token;
use crate::sync::{Arc, Mutex, lock};
use crate::sys::poller::Interest;
use crate::sys::socket;
pub use crate::sys::socket::{any_v4, any_v6};

/// Counts the connections of one server; shared by its listeners and their connections.
#[derive(Debug)]
pub struct Door {
    open: AtomicUsize,
    most: usize,
    hub: Weak<Hub>,
    /// Listeners that stopped because the house is full. Partner: `Gate::drop`.
    stopped: Mutex<Vec<Token>>,
}

impl Door {
    /// `most` = 0: any number.
    #[must_use]
    pub fn new(hub: &Arc<Hub>, most: usize) -> Arc<Self> {
        let (open, stopped) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
        Arc::new(Self { open, most, hub: Arc::downgrade(hub), stopped })
    }

    /// Connections that are open.
    #[must_use]
    pub fn open(&self) -> usize {
        self.open.load(Ordering::Relaxed)
    }

    fn is_full(&self) -> bool {
        self.most > 0 && self.open() >= self.most
    }
}

/// Held by an accepted connection while it is open.
#[derive(Debug)]
pub struct Gate(Arc<Door>);

impl Gate {
    fn new(door: &Arc<Door>) -> Self {
        door.open.fetch_add(1, Ordering::Relaxed);
        Self(Arc::clone(door))
    }
}

impl Drop for Gate {
    fn drop(&mut self) {
        let Self(door) = self;
        door.open.fetch_sub(1, Ordering::AcqRel);
        if door.most == 0 {
            return;
        }
        let Some(hub) = door.hub.upgrade() else { return };
        for token in lock(&door.stopped).drain(..) {
            // The queue is unbounded and never closed: this cannot fail.
            let _ = hub.vacancies.push(token);
            hub.wake.wake();
        }
    }
}

/// A connection that waits for the script.
#[derive(Debug)]
pub enum Accepted {
    /// As it came.
    Plain {
        /// The descriptor.
        socket: Socket,
        /// The other end.
        peer: Option<Address>,
        /// Its place among the server's connections.
        gate: Gate,
    },
    /// After its handshake.
    Secured(Arc<Stream>),
}

/// The listener.
#[derive(Debug)]
pub struct Listener {
    token: Token,
    address: Address,
    /// The file that a Unix socket was bound to, to be removed with it.
    file: Option<(u64, u64)>,
    door: Arc<Door>,
    /// For connections that are secured before they are announced.
    options: Option<Arc<Options>>,
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    socket: Option<Socket>,
    interest: Interest,
    /// Connections whose handshake is under way.
    securing: Vec<Token>,
    accepted: VecDeque<Accepted>,
    /// `Accepted` events that were not dispatched: as many as connections wait, and more only when
    /// the script took some without waiting for the event.
    announced: usize,
    mail: Mailbox,
    paused: bool,
    /// Out of descriptors until then.
    retry_at: Option<Instant>,
    /// The script was told of it; said once until an accept succeeds.
    told: bool,
}

impl Listener {
    /// Listens.
    ///
    /// # Errors
    /// What the system says.
    pub fn open(
        hub: &Arc<Hub>,
        address: &Address,
        backlog: i32,
        reuse_port: bool,
        options: &Arc<Options>,
        door: &Arc<Door>,
    ) -> Result<Arc<Self>> {
        let failed = |error: io::Error| Error::os(&format!("listen {address}"), &error);
        let opened = fenced(|| {
            let socket = socket::listen(address, backlog, reuse_port)?;
            if let Address::Unix(path) = address {
                return Ok((socket, address.clone(), socket::identity(path)));
            }
            // Inherited by what is accepted.
            socket::set_nodelay(&socket, options.nodelay)?;
            let local = socket::local_address(&socket)?;
            Ok((socket, local.unwrap_or_else(|| address.clone()), None))
        });
        let opened = opened.ok_or_else(|| fault("listen"))?;
        let (socket, local, file) = opened.map_err(failed)?;
        let door = Arc::clone(door);
        let options = options.begins_secure().then(|| Arc::clone(options));
        let inner = Inner { socket: Some(socket), ..Inner::default() };
        let listener = hub.insert(|token| {
            let listener =
                Self { token, address: local, file, door, options, inner: Mutex::new(inner) };
            let listener = Arc::new(listener);
            (Source::Listener(Arc::clone(&listener)), listener)
        });
        let watched = fenced(|| listener.watch(hub, &mut lock(&listener.inner)));
        let error = match watched {
            Some(Ok(())) => return Ok(listener),
            Some(Err(error)) => failed(error),
            None => fault("listen"),
        };
        listener.close(hub);
        Err(error)
    }

    /// Its name.
    #[must_use]
    pub fn token(&self) -> Token {
        self.token
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> &Address {
        &self.address
    }

    /// A report of the poller.
    pub fn on_ready(&self, hub: &Arc<Hub>) {
        self.step(hub, |inner| self.accept(hub, inner));
    }

    fn accept(&self, hub: &Arc<Hub>, inner: &mut Inner) {
        for _ in 0..limits::ACCEPTS_IN_A_ROW {
            let Some(socket) = inner.socket.as_ref().filter(|_| self.wants(inner)) else { break };
            match socket::accept(socket) {
                Ok((socket, peer)) => {
                    inner.told = false;
                    let gate = Gate::new(&self.door);
                    if let Some(options) = &self.options {
                        let options = Arc::clone(options);
                        let token =
                            Stream::receive_secure(hub, socket, peer, options, gate, self.token);
                        inner.securing.push(token);
                        continue;
                    }
                    self.announce(hub, inner, Accepted::Plain { socket, peer, gate });
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) if is_passing(&error) => {}
                Err(error) => {
                    self.pause(hub, inner, self.failed(&error));
                    break;
                }
            }
        }
    }

    /// One more waits. An event that is still on its way brings it, too.
    fn announce(&self, hub: &Hub, inner: &mut Inner, accepted: Accepted) {
        inner.accepted.push_back(accepted);
        while inner.announced < inner.accepted.len() {
            inner.announced += 1;
            hub.post(&mut inner.mail, self.token, Event::Accepted);
        }
    }

    /// Runs one step under the lock and brings the registration up to date afterwards. After a
    /// fault of ours the listener rests for a moment and goes on.
    fn step<R>(&self, hub: &Hub, body: impl FnOnce(&mut Inner) -> R) -> Option<R> {
        let mut inner = lock(&self.inner);
        let result = fenced(|| body(&mut inner));
        let settled = fenced(|| self.settle(hub, &mut inner));
        if result.is_none() || settled.is_none() {
            self.pause(hub, &mut inner, fault("accept"));
        }
        result
    }

    /// The handshake of a connection is over.
    pub fn arrive(
        &self,
        hub: &Hub,
        token: Token,
        news: std::result::Result<Option<Source>, Option<Box<Error>>>,
    ) {
        self.step(hub, |inner| {
            inner.securing.retain(|securing| *securing != token);
            match news {
                Ok(Some(Source::Stream(stream))) => {
                    self.announce(hub, inner, Accepted::Secured(stream));
                }
                Err(Some(error)) => hub.post(&mut inner.mail, self.token, Event::Failed(error)),
                _ => {}
            }
        });
    }

    /// Tells the script what it should know although everything works.
    pub fn report(&self, hub: &Hub, notice: &Error) {
        let error = notice.at(&format!("listen {}", self.address));
        self.step(hub, |inner| {
            hub.post(&mut inner.mail, self.token, Event::Failed(Box::new(error)));
        });
    }

    /// A fault of ours while it was served.
    pub fn on_fault(&self, hub: &Hub) {
        self.pause(hub, &mut lock(&self.inner), fault("accept"));
    }

    fn failed(&self, error: &io::Error) -> Error {
        Error::os(&format!("accept {}", self.address), error)
    }

    /// Leaves it for a moment, and tells the script once.
    fn pause(&self, hub: &Hub, inner: &mut Inner, error: Error) {
        let before = inner.retry_at;
        inner.retry_at = Some(Instant::now() + limits::ACCEPT_PAUSE);
        hub.arm(self.token, before, inner.retry_at);
        if !inner.told {
            inner.told = true;
            hub.post(&mut inner.mail, self.token, Event::Failed(Box::new(error)));
        }
    }

    /// The pause is over.
    pub fn on_alarm(&self, hub: &Hub, at: Instant) {
        self.step(hub, |inner| {
            if inner.retry_at == Some(at) {
                inner.retry_at = None;
            }
        });
    }

    /// Looks again whether there is room (after a connection of a full server ended).
    pub fn look_again(&self, hub: &Hub) {
        self.step(hub, |_| {});
    }

    /// Hands out its events.
    pub fn collect(&self, take: impl FnMut(Event)) {
        lock(&self.inner).mail.collect(take);
    }

    /// An `Accepted` event is being dispatched: the script takes what it is about next.
    pub fn on_told(&self) {
        let mut inner = lock(&self.inner);
        inner.announced = inner.announced.saturating_sub(1);
    }

    /// Whether a connection waits.
    #[must_use]
    pub fn has_waiting(&self) -> bool {
        !lock(&self.inner).accepted.is_empty()
    }

    /// Takes the connection that waits longest.
    pub fn take(&self, hub: &Hub) -> Option<Accepted> {
        self.step(hub, |inner| inner.accepted.pop_front()).flatten()
    }

    /// Stops or resumes accepting.
    pub fn set_paused(&self, hub: &Hub, paused: bool) {
        self.step(hub, |inner| inner.paused = paused);
    }

    /// In the child of a fork: closes this process's descriptors and nothing else.
    pub fn abandon(&self) {
        if let Ok(mut inner) = self.inner.try_lock() {
            inner.socket = None;
            inner.accepted.clear();
        }
    }

    /// Stops listening; connections that were not taken are closed.
    pub fn close(&self, hub: &Arc<Hub>) {
        let left = {
            let mut inner = lock(&self.inner);
            inner.mail.plug();
            hub.arm(self.token, inner.retry_at.take(), None);
            let interest = std::mem::take(&mut inner.interest);
            if let Some(socket) = inner.socket.take() {
                self.remove_file();
                let _ = fenced(|| hub.poller.change(&socket, 0, interest, Interest::NONE));
            }
            (std::mem::take(&mut inner.accepted), std::mem::take(&mut inner.securing))
        };
        let (left, securing) = left;
        for token in securing {
            if let Some(Source::Stream(stream)) = hub.source(token) {
                stream.detach(hub);
            }
        }
        for accepted in left {
            if let Accepted::Secured(stream) = accepted {
                stream.detach(hub);
            }
        }
        hub.remove(self.token);
    }

    /// Removes the socket file, unless another server has put its own there meanwhile.
    fn remove_file(&self) {
        if let Address::Unix(path) = &self.address
            && self.file.is_some()
            && socket::identity(path) == self.file
        {
            // Whoever has removed it already has done it for us.
            let _ = std::fs::remove_file(&**path);
        }
    }

    fn wants(&self, inner: &Inner) -> bool {
        let ready = !inner.paused && inner.retry_at.is_none();
        if !ready || inner.accepted.len() + inner.securing.len() >= limits::ACCEPTED_WAITING {
            return false;
        }
        if !self.door.is_full() {
            return true;
        }
        // Said before looking again, so that a connection ending in between wakes the leader.
        let mut stopped = lock(&self.door.stopped);
        if !stopped.contains(&self.token) {
            stopped.push(self.token);
        }
        !self.door.is_full()
    }

    fn settle(&self, hub: &Hub, inner: &mut Inner) {
        if let Err(error) = self.watch(hub, inner)
            && inner.interest == Interest::NONE
        {
            self.pause(hub, inner, self.failed(&error));
        }
    }

    /// Registration follows the state. Refused only when the system is out of memory.
    fn watch(&self, hub: &Hub, inner: &mut Inner) -> io::Result<()> {
        let wanted = if self.wants(inner) { Interest::READ } else { Interest::NONE };
        let Some(socket) = inner.socket.as_ref().filter(|_| wanted != inner.interest) else {
            return Ok(());
        };
        hub.poller.change(socket, self.token.slot as usize, inner.interest, wanted)?;
        inner.interest = wanted;
        Ok(())
    }
}

/// Errors of one connection that was gone before it could be taken (accept(2)).
fn is_passing(error: &io::Error) -> bool {
    const PASSING: [libc::c_int; 9] = [
        libc::ECONNABORTED,
        libc::EINTR,
        libc::ENETDOWN,
        libc::EPROTO,
        libc::ENOPROTOOPT,
        libc::EHOSTDOWN,
        libc::EHOSTUNREACH,
        libc::ENETUNREACH,
        libc::EOPNOTSUPP,
    ];
    error.raw_os_error().is_some_and(|code| PASSING.contains(&code))
}
