//! One connection: its descriptor, its life and its two queues.
//!
//! The decisions are `proto::connection`'s; this folder carries them out. The data path is in `io`, the
//! attempts to connect in `connect`. Every method may be called by the leader or by the script's thread: the lock of the
//! stream makes them one after the other.
//! Invariants: a descriptor is registered exactly when its interest is not empty; behind a detach
//! nothing is posted, and the stream leaves the registry when its descriptor is closed. A panic ends
//! the connection that it strikes, and a connection whose end was not told is told of it.
#![expect(
    clippy::redundant_closure_for_method_calls,
    reason = "a method of `Step` is not general over its lifetime, a closure is"
)]

mod connect;
mod io;
mod script_side;
mod status;
mod step;
pub mod tls;
mod trace;

use std::time::{Duration, Instant};

use socket2::Socket;

use crate::address::Address;
use crate::error::Result;
use crate::limits;
use crate::net::connection_count::CountGuard;
use crate::net::early_socket::EarlySocket;
use crate::net::hub::{Hub, Message, Source};
use crate::net::motion::Motion;
use crate::net::options::Options;
use crate::net::panic::{catch_panic, internal_error};
use crate::net::stream::connect::Connecting;
use crate::net::stream::step::Step;
use crate::net::stream::tls::TlsState;
use crate::net::target::Target;
use crate::proto::connection::{Connection, Facts, Flow, Input};
use crate::proto::inbound::Inbound;
use crate::proto::lazy::Lazy;
use crate::proto::mailbox::Mailbox;
use crate::proto::moment::Moment;
use crate::proto::outbound::Outbound;
use crate::proto::token::Token;
use crate::sync::{Arc, Mutex, lock};
use crate::sys::io::{Progress, recv};
use crate::sys::poller::{Ending, Interest, Readiness};
use crate::sys::registered::Registered;

/// A connection.
#[derive(Debug)]
pub struct Stream {
    token: Token,
    inner: Mutex<Inner>,
}

#[derive(Debug)]
struct Inner {
    connection: Connection,
    socket: Option<Registered>,
    inbound: Lazy<Inbound>,
    outbound: Lazy<Outbound>,
    mail: Mailbox,
    options: Arc<Options>,
    armed: Option<Moment>,
    /// What is known of its ends beyond the target.
    peer: Option<Box<Peer>>,
    /// Where to; `None` for an accepted connection.
    target: Option<Arc<Target>>,
    connecting: Option<Box<Connecting>>,
    tls: Option<Box<TlsState>>,
}

/// The ends of a connection.
#[derive(Debug, Default)]
struct Peer {
    address: Option<Address>,
    /// Our end of a connection that is over, of which the script may still have to hear.
    local: Option<Box<Address>>,
    /// Of an accepted one, from its handshake on, while it is open.
    guard: Option<CountGuard>,
    /// Of an accepted one, until its `on_accept` has returned: nothing is read from it.
    held_back: bool,
}

impl Stream {
    /// Starts connecting.
    pub fn connect(hub: &Arc<Hub>, target: Arc<Target>, options: Arc<Options>) -> Arc<Self> {
        let stream = Self::enter(hub, options, None, Some(target), None);
        stream.step(hub, |step| step.begin());
        stream
    }

    /// The same by a socket that was made before.
    pub fn connect_by(
        hub: &Arc<Hub>,
        target: Arc<Target>,
        options: Arc<Options>,
        early: EarlySocket,
    ) -> Arc<Self> {
        let stream = Self::enter(hub, options, None, Some(target), None);
        stream.step(hub, |step| {
            let connecting = step.inner.connecting.get_or_insert_default();
            connecting.early = Some(Box::new(early));
            step.begin();
        });
        stream
    }

    /// Takes an accepted connection over, which has the options `inherited` from its listener. Nothing is
    /// read before [`Stream::release_data`].
    pub fn adopt(
        hub: &Arc<Hub>,
        socket: Socket,
        peer: Option<Address>,
        options: Arc<Options>,
        inherited: &Options,
        guard: CountGuard,
    ) -> Arc<Self> {
        let peer = Peer { address: peer, guard: Some(guard), held_back: true, ..Peer::default() };
        let stream = Self::enter(hub, options, Some(socket), None, Some(peer));
        let mut inner = lock(&stream.inner);
        inner.mail.expect_close();
        let mut step = Step { inner: &mut inner, hub, token: stream.token };
        step.feed(Input::Adopt);
        step.apply_options(Some(inherited));
        drop(inner);
        stream
    }

    fn enter(
        hub: &Arc<Hub>,
        options: Arc<Options>,
        socket: Option<Socket>,
        target: Option<Arc<Target>>,
        peer: Option<Peer>,
    ) -> Arc<Self> {
        let inner = Inner {
            connection: Connection::new(hub.now()),
            socket: socket.map(Registered::new),
            inbound: Lazy::default(),
            outbound: Lazy::default(),
            mail: Mailbox::default(),
            options,
            armed: None,
            peer: peer.map(Box::new),
            target,
            connecting: None,
            tls: None,
        };
        hub.insert(|token| Self { token, inner: Mutex::new(inner) })
    }

    /// Its name.
    #[must_use]
    pub fn token(&self) -> Token {
        self.token
    }

    /// Runs one step under the lock and brings registration and timer up to date afterwards.
    /// `None` if a fault of ours has ended the connection instead.
    fn step<R>(&self, hub: &Arc<Hub>, body: impl FnOnce(&mut Step<'_>) -> R) -> Option<R> {
        let mut inner = lock(&self.inner);
        let mut step = Step { inner: &mut inner, hub, token: self.token };
        let result = step.guarded(body);
        step.guarded(Step::sync_registration);
        result
    }

    /// Queues the parts in order; `Ok` once they are accepted.
    ///
    /// # Errors
    /// `ECLOSED` when nothing can be written any more, `EAGAIN` at the limit; nothing was taken.
    pub fn write(&self, hub: &Arc<Hub>, parts: &[&[u8]]) -> Result<()> {
        let written = self.step(hub, |step| {
            if hub.trace.is_on() {
                step.tell_sent(parts);
            }
            let done = step.write(parts);
            if hub.trace.is_on() {
                step.tell_written(done.as_ref().err());
            }
            done
        });
        written.unwrap_or_else(|| Err(internal_error("write")))
    }

    /// Hands over what the system takes now, of which nothing is queued; how many bytes. If it is less
    /// than all, `Drained` tells of room. With TLS at most the end of one record waits.
    ///
    /// # Errors
    /// Nothing can be written any more.
    pub fn write_some(&self, hub: &Arc<Hub>, data: &[u8]) -> Result<usize> {
        let written = self.step(hub, |step| {
            let done = step.write_some(data);
            if hub.trace.is_on() {
                let taken = done.as_ref().copied().unwrap_or_default();
                step.tell_sent(&[data.get(..taken).unwrap_or_default()]);
                step.tell_written(done.as_ref().err());
            }
            done
        });
        written.unwrap_or_else(|| Err(internal_error("write_some")))
    }

    /// Whether [`Self::write_some`] would take a byte, or fail. If not, an event tells when it does.
    pub fn is_writable(&self, hub: &Arc<Hub>) -> bool {
        self.step(hub, |step| step.inner.is_writable()).unwrap_or(true)
    }

    /// Posts `Marked` once everything written so far is with the system.
    ///
    /// # Errors
    /// `ECLOSED` when nothing can be written any more.
    pub fn mark(&self, hub: &Arc<Hub>) -> Result<()> {
        let marked = self.step(hub, |step| step.mark());
        marked.unwrap_or_else(|| Err(internal_error("mark")))
    }

    /// Sends the end of stream once everything before it is out.
    pub fn shutdown(&self, hub: &Arc<Hub>) {
        self.step(hub, |step| {
            step.trace(|_| "the script ends its half: no more is sent".into());
            step.inner.outbound.make().send_eof();
            step.send_close_notify();
            step.finish_writing();
        });
    }

    /// Flushes and closes.
    pub fn close(&self, hub: &Arc<Hub>) {
        self.step(hub, |step| {
            step.send_close_notify();
            let input = step.inner.closing();
            step.feed(input);
        });
    }

    /// Closes now, with a reset.
    pub fn abort(&self, hub: &Arc<Hub>) {
        self.step(hub, |step| step.feed(Input::Abort));
    }

    /// The script has seen the end of stream and does not keep its half open.
    pub fn eof_seen(&self, hub: &Arc<Hub>) {
        self.step(hub, |step| {
            step.send_close_notify();
            step.feed(Input::EofSeen);
        });
    }

    /// Nobody listens any more. An open connection is flushed and closed in the background.
    pub fn detach(&self, hub: &Arc<Hub>) {
        self.step(hub, |step| {
            step.inner.detach();
            step.send_close_notify();
            step.feed(Input::Close);
        });
    }

    /// In the child of a fork: closes this process's descriptors. No lock is waited for (the
    /// parent's thread may have held it), and what the parent polls stays as it is.
    pub fn abandon(&self) {
        if let Ok(mut inner) = self.inner.try_lock() {
            inner.socket = None;
            inner.connecting = None;
        }
    }

    /// Begins the pause before the next attempt.
    pub fn wait(&self, hub: &Arc<Hub>, pause: Duration) {
        self.step(hub, |step| {
            step.feed(Input::Wait(pause));
            step.drop_socket();
        });
    }

    /// Replaces the options; waits that are under way follow the new values.
    pub fn set_options(&self, hub: &Arc<Hub>, options: Arc<Options>) {
        self.step(hub, |step| {
            let before = std::mem::replace(&mut step.inner.options, options);
            let now = hub.now();
            if before.read_timeout != step.inner.options.read_timeout {
                step.inner.connection.restart_silence(now);
            }
            let is_bounded = step.inner.options.write_timeout.is_some();
            if let Some(outbound) = step.inner.outbound.present().filter(|_| is_bounded) {
                outbound.stamp(now);
            }
            let limit = step.inner.options.read_limit;
            if let Some(inbound) = step.inner.inbound.present() {
                inbound.limit_changed(limit);
            }
            step.apply_options(Some(&before));
        });
    }
}

impl Source for Stream {
    /// A report of the poller. `scratch` is the leader's receive buffer.
    fn on_ready(&self, hub: &Arc<Hub>, ready: Readiness, scratch: &mut Vec<u8>) {
        self.step(hub, |step| {
            if step.inner.socket.is_none() {
                step.check_dials(ready.writable && ready.ending == Ending::Unsaid);
                return;
            }
            let reset = ready.ending == Ending::Reset;
            if ready.ending != Ending::Unsaid && step.inner.interest().hang_up() {
                step.receive_rest(scratch, reset);
            }
            if ready.writable && step.inner.interest().write() {
                step.flush();
            }
            // With a failed write, reading is to find out how it ended.
            let worth_it = ready.readable || step.inner.outbound.get().failure().is_some();
            if worth_it && step.inner.interest().read() {
                step.receive(scratch, reset);
            }
        });
    }

    /// Its timer ran out.
    fn on_timer(&self, hub: &Arc<Hub>, at: Instant) {
        self.step(hub, |step| {
            if step.inner.armed == Some(at.into()) {
                step.inner.armed = None;
            }
            let now = hub.now();
            let late =
                step.inner.connection.deadline(&step.inner.facts()).is_some_and(|by| by <= now);
            if late && step.inner.connection.is_lingering() {
                step.end_linger();
            }
            step.feed(Input::Timer);
        });
    }

    /// The lookup answered, or the system's roots are there.
    fn on_message(&self, hub: &Arc<Hub>, message: Message) {
        self.step(hub, |step| match message {
            Message::Resolved(answer) => {
                let answer = answer.map(|addresses| step.inner.ordered(addresses));
                step.feed(Input::Resolved(answer));
            }
            Message::Recheck => step.go_on_securing(),
            Message::Answered(_) | Message::HandshakeOver(..) => {}
        });
    }

    /// A fault of ours: the stream ends with `EINTERNAL`, the others go on.
    fn on_fault(&self, hub: &Arc<Hub>) {
        self.step(hub, |step| step.fail());
    }

    fn motion(&self) -> Option<Motion> {
        self.seen_motion()
    }

    fn read_ahead(&self, hub: &Arc<Hub>, scratch: &mut Vec<u8>) -> Option<(bool, usize)> {
        let seen = self.step(hub, |step| {
            let before = step.inner.mail.len();
            if step.inner.interest().read() {
                step.receive(scratch, false);
            }
            (step.inner.mail.len() > before, step.inner.inbound.get().bytes.len())
        });
        Some(seen.unwrap_or((true, 0)))
    }

    /// The reactor ends: the descriptors are closed at once.
    fn shut_down(&self, hub: &Arc<Hub>) {
        let mut inner = lock(&self.inner);
        inner.mail.close();
        let mut step = Step { inner: &mut inner, hub, token: self.token };
        let _ = catch_panic(|| step.cancel_connect());
        let _ = catch_panic(|| step.drop_socket());
    }
}

impl Inner {
    fn facts(&self) -> Facts {
        let held = self.tls.as_ref().and_then(|state| state.held.oldest());
        let outbound = self.outbound.get();
        Facts {
            secure: self.options.begins_secure(),
            connect_timeout: self.options.bound(self.is_accepted()),
            read_timeout: self.options.read_timeout,
            write_timeout: self.options.write_timeout,
            linger: self.options.linger.0,
            pending: self.unsent() > 0,
            oldest_write: outbound.oldest().or(held),
            paused: self.inbound.get().is_paused() || self.is_held_back() || self.is_stalled(),
        }
    }

    /// Whether an accepted connection ends without a byte of ours or one that waits: nothing can
    /// be lost by a reset, and closing sends a plain end of stream. To turn a client away costs
    /// one call of the system that way, not six.
    fn says_nothing(&self) -> bool {
        let Some(socket) = self.socket.as_ref().filter(|_| self.is_accepted()) else {
            return false;
        };
        let silent = self.outbound.get().total() == 0 && self.tls.is_none() && self.is_held_back();
        silent && matches!(recv(socket, &mut Vec::with_capacity(64), 64), Progress::Again)
    }

    /// Nobody is to be told any more.
    fn detach(&mut self) {
        self.mail.close();
    }

    /// Whether a server has accepted it.
    fn is_accepted(&self) -> bool {
        self.target.is_none()
    }

    /// Whether it was accepted and the script does not know it yet.
    fn is_held_back(&self) -> bool {
        self.peer.as_ref().is_some_and(|peer| peer.held_back)
    }

    /// Bytes received and sent.
    fn moved(&self) -> (u64, u64) {
        (self.inbound.get().total(), self.outbound.get().total())
    }

    /// It counts no more among the connections of a server.
    fn leave(&mut self) {
        let (bytes_in, bytes_out) = self.moved();
        if let Some(guard) = self.peer.as_mut().and_then(|peer| peer.guard.take()) {
            guard.note_moved(bytes_in, bytes_out);
        }
    }

    /// What the poller reports of it.
    fn interest(&self) -> Interest {
        self.socket.as_ref().map_or(Interest::NONE, Registered::interest)
    }

    fn is_lingering(&self) -> bool {
        self.connection.is_lingering()
    }

    fn wanted(&self) -> Interest {
        let wants = self.connection.wants(Flow {
            full: self.inbound.get().is_paused() || self.mail.len() >= limits::EVENTS_WAITING,
            held_back: self.is_held_back(),
            stalled: self.is_stalled(),
            queued: self.waits_for_room(),
            failed: self.outbound.get().failure().is_some(),
        });
        Interest::NONE
            .with(Interest::READ, wants.read)
            .with(Interest::WRITE, wants.write)
            .with(Interest::HANG_UP, wants.hang_up)
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_quiet_stream_stays_small() {
        let size = size_of::<super::Stream>();
        assert!(size <= 152, "{size} bytes");
    }
}
