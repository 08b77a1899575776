//! One address listened on.
//!
//! Not here: the script's server, which may have several of these (`lua`). Accepting stops while
//! the script has enough to take, at `max_connections`, when paused, and for a moment when the
//! process is out of descriptors; more connections wait in the system's queue.
//! A handshake under way is no connection yet: it stops nobody. Of these there is a bound, at which
//! the oldest that says nothing makes room. Who is secured while the server is full waits for room.

use std::collections::VecDeque;
use std::io;
use std::time::Instant;

use socket2::Socket;

use crate::address::Address;
use crate::errno;
use crate::error::{Code, Error, Result};
use crate::limits;
use crate::net::connection_count::{ConnectionCount, CountGuard};
use crate::net::early_socket::{EarlySocket, Listening};
use crate::net::hub::{Hub, Message, Source};
use crate::net::options::Options;
use crate::net::panic::{catch_panic, internal_error};
use crate::net::pause::Pause;
use crate::net::stream::Stream;
use crate::proto::event::Event;
use crate::proto::handshakes::{Answered, Handshakes};
use crate::proto::mailbox::Mailbox;
use crate::proto::token::Token;
use crate::sync::{Arc, Mutex, lock};
use crate::sys::poller::{Interest, Readiness};
use crate::sys::registered::Registered;
use crate::sys::socket::ListenSetup;
pub use crate::sys::socket::{any_v4, any_v6};
use crate::sys::socket_options::Failure;
use crate::sys::{Descriptor, descriptor, path, process, socket};

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
        guard: CountGuard,
    },
    /// After its handshake.
    Secured {
        /// The connection.
        stream: Arc<Stream>,
        /// Its place among the server's connections.
        guard: CountGuard,
    },
}

/// The listener.
#[derive(Debug)]
pub struct Listener {
    token: Token,
    address: Address,
    /// The options that what it accepts has from it; others have to be set.
    inherited: Options,
    /// The file that a Unix socket was bound to, to be removed with it.
    file: Option<(u64, u64)>,
    count: Arc<ConnectionCount>,
    /// How many handshakes may be under way.
    most_handshakes: usize,
    /// How many connections may wait here for a script that takes none yet.
    backlog: usize,
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    socket: Option<Registered>,
    /// For connections that are secured before they are announced.
    options: Option<Arc<Options>>,
    handshakes: Handshakes<Arc<Stream>>,
    /// Connections after their handshakes that wait for room.
    secured: VecDeque<Arc<Stream>>,
    /// Connections that are to be ended once the lock is free: never two sources at once.
    unwanted: Vec<Arc<Stream>>,
    accepted: VecDeque<Accepted>,
    /// `Accepted` events that were not dispatched: as many as connections wait, and more only when
    /// the script took some without waiting for the event.
    announced: usize,
    /// Connections that wait although their events were dispatched: nobody took them.
    left: usize,
    /// Nobody takes connections; more than `backlog` are not to wait here.
    holds: bool,
    mail: Mailbox,
    paused: bool,
    /// Out of descriptors.
    pause: Pause,
    /// The script was told that there are too many handshakes; said once until half of them are over.
    crowded: bool,
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
        count: &Arc<ConnectionCount>,
    ) -> Result<Arc<Self>> {
        let failed = |failure: Failure| failure.told(&format!("listen {address}"));
        let setup = options.setup();
        let how = ListenSetup { backlog, reuse_port, nodelay: options.nodelay, setup };
        let opened = catch_panic(|| {
            let socket = socket::listen(address, &how)?;
            if let Address::Unix(path) = address {
                return Ok((socket, address.clone(), path::identity(path)));
            }
            let local = socket::local_address(&socket)?;
            Ok((socket, local.unwrap_or_else(|| address.clone()), None))
        });
        let opened = opened.ok_or_else(|| internal_error("listen"))?;
        Self::watched(hub, opened.map_err(failed)?, backlog, options, count)
    }

    /// Listens by a socket that was made, and perhaps bound, before.
    ///
    /// # Errors
    /// What the system says.
    pub fn open_by(
        hub: &Arc<Hub>,
        early: EarlySocket,
        backlog: i32,
        options: &Arc<Options>,
        count: &Arc<ConnectionCount>,
    ) -> Result<Arc<Self>> {
        let listening = early.listen(backlog)?;
        Self::watched(hub, listening, backlog, options, count)
    }

    fn watched(
        hub: &Arc<Hub>,
        (socket, local, file): Listening,
        backlog: i32,
        options: &Arc<Options>,
        count: &Arc<ConnectionCount>,
    ) -> Result<Arc<Self>> {
        let failed = |error: io::Error| Error::os(&format!("listen {local}"), &error);
        let count = Arc::clone(count);
        let inherited = options.inherited(matches!(local, Address::Unix(_)));
        let options = options.begins_secure().then(|| Arc::clone(options));
        let inner = Mutex::new(Inner {
            socket: Some(Registered::new(socket)),
            options,
            ..Inner::default()
        });
        // Half of the descriptors are left for everything else, also if the server has two listeners.
        let most_handshakes = limits::HANDSHAKES.min(process::most_descriptors() / 4).max(1);
        let backlog = usize::try_from(backlog).unwrap_or(1).min(limits::ACCEPTED_WAITING);
        let listener = hub.insert(|token| Self {
            token,
            address: local.clone(),
            inherited,
            file,
            count,
            most_handshakes,
            backlog,
            inner,
        });
        listener.trace(hub, || "listening".into());
        let watched = catch_panic(|| listener.watch(hub, &mut lock(&listener.inner)));
        listener.count.set_first(listener.token);
        let error = match watched {
            Some(Ok(())) => return Ok(listener),
            Some(Err(error)) => failed(error),
            None => internal_error("listen"),
        };
        listener.close(hub);
        Err(error)
    }

    /// Hands the descriptor to the function; nothing where it is closed.
    pub fn with_socket<R>(&self, body: impl FnOnce(&Socket) -> R) -> Option<R> {
        lock(&self.inner).socket.as_ref().map(|socket| body(socket))
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

    /// Its descriptor, while it listens.
    #[must_use]
    pub fn descriptor(&self) -> Option<Descriptor> {
        lock(&self.inner).socket.as_deref().map(descriptor)
    }

    /// The options that what it accepts has from it.
    #[must_use]
    pub fn inherited(&self) -> &Options {
        &self.inherited
    }

    /// Takes what waits in the system now.
    pub fn accept_now(&self, hub: &Arc<Hub>) {
        self.step(hub, |inner| self.accept(hub, inner));
    }

    fn accept(&self, hub: &Arc<Hub>, inner: &mut Inner) {
        for _ in 0..limits::ACCEPTS_IN_A_ROW {
            let Some(socket) = inner.socket.as_ref().filter(|_| self.wants(inner)) else { break };
            match socket::accept(socket) {
                Ok((socket, peer)) => {
                    inner.pause.succeeded();
                    self.trace(hub, || match &peer {
                        Some(peer) => format!("a connection comes from {peer}"),
                        None => "a connection comes".into(),
                    });
                    if let Some(options) = inner.options.clone() {
                        self.secure(hub, inner, socket, peer, options);
                        continue;
                    }
                    let guard = self.count.enter();
                    self.announce(hub, inner, Accepted::Plain { socket, peer, guard });
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) if is_passing(&error) => {}
                Err(error) => {
                    let error = self.failed(&error);
                    if error.code() != Code::TooManyFiles || !make_room(inner, hub.now()) {
                        self.pause(hub, inner, error);
                    }
                    break;
                }
            }
        }
    }

    /// The handshake of a connection begins.
    fn secure(
        &self,
        hub: &Arc<Hub>,
        inner: &mut Inner,
        socket: Socket,
        peer: Option<Address>,
        options: Arc<Options>,
    ) {
        let answered = Answered::default();
        let sign = answered.clone();
        let options = (options, &self.inherited);
        let stream = Stream::receive_secure(hub, socket, peer, options, self.token, sign);
        inner.handshakes.insert(stream.token(), stream, hub.now(), answered);
        if inner.handshakes.len() <= self.most_handshakes {
            return;
        }
        inner.unwanted.extend(inner.handshakes.take_oldest());
        if !inner.crowded {
            inner.crowded = true;
            let text = format!(
                "accept {}: {} handshakes are under way; the oldest that says nothing is ended for \
                 a new one",
                self.address, self.most_handshakes
            );
            self.notify(hub, inner, Box::new(Error::new(Code::Again, text)));
        }
    }

    /// Tells something in the trace, if anybody wants to know.
    #[inline]
    fn trace(&self, hub: &Hub, what: impl FnOnce() -> String) {
        if hub.trace.is_on() {
            hub.tell(self.token, &format!("server on {}", self.address), &what(), (None, None));
        }
    }

    /// Tells the script of trouble.
    fn notify(&self, hub: &Hub, inner: &mut Inner, error: Box<Error>) {
        self.trace(hub, || format!("trouble: {} ({})", error.message(), error.code()));
        hub.post_failure(&mut inner.mail, self.token, error);
    }

    /// One more waits. An event that is still on its way brings it, too.
    fn announce(&self, hub: &Hub, inner: &mut Inner, accepted: Accepted) {
        inner.accepted.push_back(accepted);
        self.call(hub, inner);
    }

    fn call(&self, hub: &Hub, inner: &mut Inner) {
        while inner.announced + inner.left < inner.accepted.len() {
            inner.announced += 1;
            hub.post(&mut inner.mail, self.token, Event::Accepted);
        }
    }

    /// Runs one step under the lock and brings the registration up to date afterwards. After a
    /// fault of ours the listener rests for a moment and goes on.
    fn step<R>(&self, hub: &Arc<Hub>, body: impl FnOnce(&mut Inner) -> R) -> Option<R> {
        let (result, unwanted) = {
            let mut inner = lock(&self.inner);
            let result = catch_panic(|| body(&mut inner));
            let synced = catch_panic(|| self.sync_registration(hub, &mut inner));
            if result.is_none() || synced.is_none() {
                self.pause(hub, &mut inner, internal_error("accept"));
            }
            (result, std::mem::take(&mut inner.unwanted))
        };
        self.count.refuse(unwanted.len());
        for stream in unwanted {
            stream.turn_away(hub);
        }
        result
    }

    /// The handshake of a connection is over. One that was given up has been turned away already.
    fn handshake_over(
        &self,
        hub: &Hub,
        inner: &mut Inner,
        token: Token,
        result: std::result::Result<(), Option<Box<Error>>>,
    ) {
        let stream = inner.handshakes.remove(token);
        inner.crowded &= inner.handshakes.len() > self.most_handshakes / 2;
        self.count.refuse(usize::from(result.is_err()));
        match result {
            Ok(()) => inner.secured.extend(stream),
            Err(Some(error)) => self.notify(hub, inner, error),
            Err(None) => {}
        }
    }

    /// Tells the script what it should know although everything works.
    pub fn report(&self, hub: &Arc<Hub>, notice: &Error) {
        let error = notice.at(&format!("listen {}", self.address));
        self.step(hub, |inner| self.notify(hub, inner, Box::new(error)));
    }

    /// Those who are secured are announced as far as there is room.
    fn admit(&self, hub: &Hub, inner: &mut Inner) {
        while !inner.secured.is_empty() && self.count.has_room(self.token) {
            if let Some(stream) = inner.secured.pop_front() {
                let guard = self.count.enter();
                self.announce(hub, inner, Accepted::Secured { stream, guard });
            }
        }
    }

    fn failed(&self, error: &io::Error) -> Error {
        Error::os(&format!("accept {}", self.address), error)
    }

    /// Leaves it for a moment, and tells the script once.
    fn pause(&self, hub: &Hub, inner: &mut Inner, error: Error) {
        if inner.pause.begin(hub, self.token) {
            self.notify(hub, inner, Box::new(error));
        }
    }

    /// Hands out its events.
    pub fn collect(&self, take: impl FnMut(Event)) {
        lock(&self.inner).mail.collect(take);
    }

    /// An `Accepted` event is being dispatched: the script takes what it is about next, or leaves it.
    pub fn on_announced(&self, is_left: bool) {
        let mut inner = lock(&self.inner);
        inner.announced = inner.announced.saturating_sub(1);
        inner.left = (inner.left + usize::from(is_left)).min(inner.accepted.len());
    }

    /// Whether the script has nobody who takes connections. If it has, those that it left are announced
    /// again.
    pub fn set_holding(&self, hub: &Arc<Hub>, holds: bool) {
        self.step(hub, |inner| {
            inner.holds = holds;
            if !holds {
                inner.left = 0;
                self.call(hub, inner);
            }
        });
    }

    /// What was announced of a connection that still waits came to nothing: it is announced again.
    pub fn announce_again(&self, hub: &Arc<Hub>) {
        self.step(hub, |inner| self.call(hub, inner));
    }

    /// Whether a connection waits.
    #[must_use]
    pub fn has_waiting(&self) -> bool {
        self.waiting() > 0
    }

    /// How many connections wait.
    #[must_use]
    pub fn waiting(&self) -> usize {
        lock(&self.inner).accepted.len()
    }

    /// How many handshakes are under way.
    #[must_use]
    pub fn in_handshake(&self) -> usize {
        lock(&self.inner).handshakes.len()
    }

    /// Takes the connection that waits longest.
    pub fn take(&self, hub: &Arc<Hub>) -> Option<Accepted> {
        let take = |inner: &mut Inner| {
            inner.left = inner.left.saturating_sub(1);
            inner.accepted.pop_front()
        };
        self.step(hub, take).flatten()
    }

    /// Connections that come from now on have other options; handshakes under way keep theirs.
    pub fn set_options(&self, hub: &Arc<Hub>, options: &Arc<Options>) {
        self.step(hub, |inner| {
            inner.options = options.begins_secure().then(|| Arc::clone(options));
        });
    }

    /// Stops or resumes accepting.
    pub fn set_paused(&self, hub: &Arc<Hub>, paused: bool) {
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
        let (accepted, secured, handshakes) = {
            let mut inner = lock(&self.inner);
            inner.mail.close();
            inner.pause.cancel(hub, self.token);
            if let Some(socket) = inner.socket.take() {
                self.trace(hub, || "closed by the script".into());
                self.remove_file();
                let _ = catch_panic(|| socket.close(&hub.poller));
            }
            let handshakes: Vec<Arc<Stream>> = inner.handshakes.drain().collect();
            let secured = std::mem::take(&mut inner.secured);
            (std::mem::take(&mut inner.accepted), secured, handshakes)
        };
        let waiting = accepted.into_iter().filter_map(|accepted| match accepted {
            Accepted::Secured { stream, .. } => Some(stream),
            Accepted::Plain { .. } => None,
        });
        for stream in handshakes.into_iter().chain(secured).chain(waiting) {
            stream.detach(hub);
        }
        hub.remove(self.token);
    }

    /// Removes the socket file, unless another server has put its own there meanwhile.
    fn remove_file(&self) {
        if let Address::Unix(path) = &self.address
            && self.file.is_some()
            && path::identity(path) == self.file
        {
            // Whoever has removed it already has done it for us.
            let _ = path::remove(path);
        }
    }

    fn wants(&self, inner: &Inner) -> bool {
        let ready = !(inner.paused || inner.pause.is_on());
        let waiting = inner.accepted.len() + inner.secured.len();
        let most = if inner.holds { self.backlog } else { limits::ACCEPTED_WAITING };
        ready && waiting < most && self.count.has_room(self.token)
    }

    /// Tells whether connections are taken, and why not, when that changes.
    #[cold]
    fn tell_admission(&self, hub: &Hub, inner: &Inner) {
        let wants = self.wants(inner);
        let Some(socket) = &inner.socket else { return };
        match (wants, socket.interest() != Interest::NONE) {
            (true, false) => self.trace(hub, || "takes connections again".into()),
            (false, true) => self.trace(hub, || self.why_not(inner)),
            _ => {}
        }
    }

    fn why_not(&self, inner: &Inner) -> String {
        const REST: &str = "others wait in the system's queue";
        let waiting = inner.accepted.len() + inner.secured.len();
        if inner.paused {
            format!("paused by the script: {REST}")
        } else if inner.pause.is_on() {
            format!("rests for a moment after that: {REST}")
        } else if let Some((open, most)) = self.count.full() {
            format!("is full with {open} of {most} connections (max_connections): {REST}")
        } else if !self.count.has_room(self.token) {
            format!("is short of memory for connections (memory_limit): {REST}")
        } else {
            format!("{waiting} connections wait for the script to take them: {REST}")
        }
    }

    fn sync_registration(&self, hub: &Hub, inner: &mut Inner) {
        if let Some(used) = self.count.take_notice() {
            let text = format!(
                "listen {}: {used} bytes of accepted connections wait (memory_limit): reading pauses",
                self.address
            );
            self.notify(hub, inner, Box::new(Error::new(Code::Again, text)));
        }
        self.admit(hub, inner);
        if hub.trace.is_on() {
            self.tell_admission(hub, inner);
        }
        if let Err(error) = self.watch(hub, inner)
            && inner.socket.as_ref().is_none_or(|socket| socket.interest() == Interest::NONE)
        {
            self.pause(hub, inner, self.failed(&error));
        }
    }

    /// Registration follows the state. Refused only when the system is out of memory.
    fn watch(&self, hub: &Hub, inner: &mut Inner) -> io::Result<()> {
        let wanted = if self.wants(inner) { Interest::READ } else { Interest::NONE };
        let Some(socket) = &mut inner.socket else { return Ok(()) };
        socket.wait_for(wanted, &hub.poller, self.token.slot as usize)
    }
}

impl Source for Listener {
    fn on_ready(&self, hub: &Arc<Hub>, _ready: Readiness, _scratch: &mut Vec<u8>) {
        self.accept_now(hub);
    }

    /// A handshake is over, or a connection of a full server has ended and there may be room, for
    /// which every step looks.
    fn on_message(&self, hub: &Arc<Hub>, message: Message) {
        self.step(hub, |inner| {
            if let Message::HandshakeOver(token, result) = message {
                self.handshake_over(hub, inner, token, result);
            }
        });
    }

    /// The pause is over.
    fn on_timer(&self, hub: &Arc<Hub>, at: Instant) {
        self.step(hub, |inner| inner.pause.on_timer(at));
    }

    fn on_fault(&self, hub: &Arc<Hub>) {
        self.pause(hub, &mut lock(&self.inner), internal_error("accept"));
    }

    fn shut_down(&self, hub: &Arc<Hub>) {
        self.close(hub);
    }

    fn accepts(&self) -> bool {
        true
    }
}

/// Out of descriptors: peers that have said nothing for a while give some back. Whether there are any.
fn make_room(inner: &mut Inner, now: Instant) -> bool {
    let silent =
        std::iter::from_fn(|| inner.handshakes.take_silent_for(limits::HANDSHAKE_GRACE, now));
    inner.unwanted.extend(silent.take(limits::ACCEPTS_IN_A_ROW));
    !inner.unwanted.is_empty()
}

/// Errors of one connection that was gone before it could be taken (accept(2)).
fn is_passing(error: &io::Error) -> bool {
    const PASSING: [i32; 9] = [
        errno::ECONNABORTED,
        errno::EINTR,
        errno::ENETDOWN,
        errno::EPROTO,
        errno::ENOPROTOOPT,
        errno::EHOSTDOWN,
        errno::EHOSTUNREACH,
        errno::ENETUNREACH,
        errno::EOPNOTSUPP,
    ];
    errno::number(error).is_some_and(|code| PASSING.contains(&code))
}
