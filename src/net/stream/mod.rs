//! One connection: its descriptor, its life and its two queues.
//!
//! The decisions are `proto::life`'s; this folder carries them out. The data path is in `traffic`, setting
//! out in `dialing`. Every method may be called by the leader or by the script's thread: the lock of the
//! stream makes them one after the other.
//! Invariants: a descriptor is registered exactly when its interest is not empty; once detached,
//! nothing is posted, and the stream leaves the registry when its descriptor is closed. A panic ends
//! the connection that it strikes, and a connection whose end was not told is told of it.

mod dialing;
mod handover;
mod looks;
pub mod secure;
mod traffic;

use std::time::{Duration, Instant};

use socket2::Socket;

use crate::address::Address;
use crate::error::{Error, Result};
use crate::limits;
use crate::net::connect_plan::ConnectPlan;
use crate::net::door::Gate;
use crate::net::fence::{fault, fenced};
use crate::net::hub::{Hub, Message, Source};
use crate::net::options::Options;
use crate::net::stream::dialing::Dialing;
use crate::net::stream::secure::Secure;
use crate::net::stream::traffic::{Inbound, Outbound};
use crate::proto::event::Event;
use crate::proto::lazy::Lazy;
use crate::proto::life::{Action, Input, Life, Phase, Terms};
use crate::proto::mailbox::Mailbox;
use crate::proto::moment::Moment;
use crate::proto::token::Token;
use crate::sync::{Arc, Mutex, lock};
use crate::sys::io::{self, Progress};
use crate::sys::poller::{Ending, Interest, Readiness};
use crate::sys::socket;

/// A connection.
#[derive(Debug)]
pub struct Stream {
    token: Token,
    inner: Mutex<Inner>,
}

#[derive(Debug)]
struct Inner {
    life: Life,
    socket: Option<Socket>,
    interest: Interest,
    inbound: Lazy<Inbound>,
    outbound: Lazy<Outbound>,
    mail: Mailbox,
    options: Arc<Options>,
    armed: Option<Moment>,
    /// An attempt has begun whose end was not told.
    owed: bool,
    /// An accepted connection whose `on_accept` has not returned: nothing is read from it.
    held_back: bool,
    /// Who that is, unless the plan says so.
    other: Option<Box<Other>>,
    /// Where to; `None` for an accepted connection.
    plan: Option<Arc<ConnectPlan>>,
    dialing: Option<Box<Dialing>>,
    secure: Option<Box<Secure>>,
}

/// The other end of a connection.
#[derive(Debug, Default)]
struct Other {
    address: Option<Address>,
    /// Of an accepted one, from its handshake on, while it is open.
    gate: Option<Gate>,
}

impl Stream {
    /// Starts connecting.
    pub fn connect(hub: &Arc<Hub>, plan: Arc<ConnectPlan>, options: Arc<Options>) -> Arc<Self> {
        let stream = Self::enter(hub, options, None, Some(plan), None);
        stream.step(hub, |inner| inner.begin(hub, stream.token));
        stream
    }

    /// Takes an accepted connection over. Nothing is read before [`Stream::release_data`].
    pub fn adopt(
        hub: &Arc<Hub>,
        socket: Socket,
        peer: Option<Address>,
        options: Arc<Options>,
        gate: Gate,
    ) -> Arc<Self> {
        let other = Other { address: peer, gate: Some(gate) };
        let stream = Self::enter(hub, options, Some(socket), None, Some(other));
        let mut inner = lock(&stream.inner);
        inner.held_back = true;
        inner.owed = true;
        inner.feed(hub, stream.token, Input::Adopt);
        if inner.options.keepalive {
            inner.apply_options(hub, stream.token, None);
        }
        drop(inner);
        stream
    }

    fn enter(
        hub: &Arc<Hub>,
        options: Arc<Options>,
        socket: Option<Socket>,
        plan: Option<Arc<ConnectPlan>>,
        other: Option<Other>,
    ) -> Arc<Self> {
        let inner = Inner {
            life: Life::new(Instant::now()),
            socket,
            interest: Interest::NONE,
            inbound: Lazy::default(),
            outbound: Lazy::default(),
            mail: Mailbox::default(),
            options,
            armed: None,
            owed: false,
            held_back: false,
            other: other.map(Box::new),
            plan,
            dialing: None,
            secure: None,
        };
        hub.insert(|token| Self { token, inner: Mutex::new(inner) })
    }

    /// Its name.
    #[must_use]
    pub fn token(&self) -> Token {
        self.token
    }

    /// Runs one step under the lock and brings registration and alarm up to date afterwards.
    /// `None` if a fault of ours has ended the connection instead.
    fn step<R>(&self, hub: &Arc<Hub>, body: impl FnOnce(&mut Inner) -> R) -> Option<R> {
        let mut inner = lock(&self.inner);
        let result = inner.fenced(hub, self.token, body);
        inner.fenced(hub, self.token, |inner| inner.settle(hub, self.token));
        result
    }

    /// Queues the parts in order; `Ok` once they are accepted.
    ///
    /// # Errors
    /// `ECLOSED` when nothing can be written any more, `EAGAIN` at the limit; nothing was taken.
    pub fn write(&self, hub: &Arc<Hub>, parts: &[&[u8]]) -> Result<()> {
        let written = self.step(hub, |inner| inner.write(hub, self.token, parts));
        written.unwrap_or_else(|| Err(fault("write")))
    }

    /// Posts `Marked` once everything written so far is with the system.
    ///
    /// # Errors
    /// `ECLOSED` when nothing can be written any more.
    pub fn mark(&self, hub: &Arc<Hub>) -> Result<()> {
        let marked = self.step(hub, |inner| inner.mark(hub, self.token));
        marked.unwrap_or_else(|| Err(fault("mark")))
    }

    /// Sends the end of stream once everything before it is out.
    pub fn shutdown(&self, hub: &Arc<Hub>) {
        self.step(hub, |inner| {
            inner.outbound.fin = true;
            inner.say_goodbye(hub, self.token);
            inner.finish_writing(hub, self.token);
        });
    }

    /// Flushes and closes.
    pub fn close(&self, hub: &Arc<Hub>) {
        self.step(hub, |inner| {
            inner.say_goodbye(hub, self.token);
            let input = inner.closing();
            inner.feed(hub, self.token, input);
        });
    }

    /// Closes now, with a reset.
    pub fn abort(&self, hub: &Arc<Hub>) {
        self.step(hub, |inner| inner.feed(hub, self.token, Input::Abort));
    }

    /// The script has seen the end of stream and does not keep its half open.
    pub fn end_seen(&self, hub: &Arc<Hub>) {
        self.step(hub, |inner| {
            inner.say_goodbye(hub, self.token);
            inner.feed(hub, self.token, Input::EndSeen);
        });
    }

    /// Nobody listens any more. An open connection is flushed and closed in the background.
    pub fn detach(&self, hub: &Arc<Hub>) {
        self.step(hub, |inner| {
            inner.detach();
            inner.say_goodbye(hub, self.token);
            inner.feed(hub, self.token, Input::Close);
        });
    }

    /// In the child of a fork: closes this process's descriptors. No lock is waited for (the
    /// parent's thread may have held it), and what the parent polls stays as it is.
    pub fn abandon(&self) {
        if let Ok(mut inner) = self.inner.try_lock() {
            inner.socket = None;
            inner.dialing = None;
        }
    }

    /// Begins the pause before the next attempt.
    pub fn wait(&self, hub: &Arc<Hub>, pause: Duration) {
        self.step(hub, |inner| {
            inner.feed(hub, self.token, Input::Wait(pause));
            inner.drop_socket(hub);
        });
    }

    /// Replaces the options; waits that are under way follow the new values.
    pub fn set_options(&self, hub: &Arc<Hub>, options: Arc<Options>) {
        self.step(hub, |inner| {
            let before = std::mem::replace(&mut inner.options, options);
            let now = Instant::now();
            if before.read_timeout != inner.options.read_timeout {
                inner.life.restart_silence(now);
            }
            if inner.options.write_timeout.is_some() {
                inner.outbound.queue.stamp(now);
            }
            let limit = inner.options.read_limit;
            if let Some(inbound) = inner.inbound.present() {
                inbound.paused &= inbound.front >= limit / 2;
            }
            inner.apply_options(hub, self.token, Some(&before));
        });
    }
}

impl Source for Stream {
    /// A report of the poller. `scratch` is the leader's receive buffer.
    fn on_ready(&self, hub: &Arc<Hub>, ready: Readiness, scratch: &mut Vec<u8>) {
        self.step(hub, |inner| {
            if inner.socket.is_none() {
                inner.check_dials(hub, self.token);
                return;
            }
            let reset = ready.ending == Ending::Reset;
            if ready.ending != Ending::Unsaid && inner.interest.hang_up() {
                inner.receive_rest(hub, self.token, scratch, reset);
            }
            if ready.writable && inner.interest.write() {
                inner.flush(hub, self.token);
            }
            // With a failed write, reading is to find out how it ended.
            let worth_it = ready.readable || inner.outbound.broken.is_some();
            if worth_it && inner.interest.read() {
                inner.receive(hub, self.token, scratch, reset);
            }
        });
    }

    /// Its alarm went off.
    fn on_alarm(&self, hub: &Arc<Hub>, at: Instant) {
        self.step(hub, |inner| {
            if inner.armed == Some(at.into()) {
                inner.armed = None;
            }
            let now = Instant::now();
            let late = inner.life.alarm(&inner.terms()).is_some_and(|by| by <= now);
            if late && inner.life.is_lingering() {
                inner.drop_socket(hub);
            }
            inner.feed(hub, self.token, Input::Alarm);
        });
    }

    /// The lookup answered, or the system's roots are there.
    fn on_message(&self, hub: &Arc<Hub>, message: Message) {
        self.step(hub, |inner| match message {
            Message::Resolved(answer) => {
                let answer = answer.map(|addresses| inner.ordered(addresses));
                inner.feed(hub, self.token, Input::Resolved(answer));
            }
            Message::Recheck => inner.go_on_securing(hub, self.token),
            Message::HandshakeOver(..) => {}
        });
    }

    /// A fault of ours: the stream ends with `EINTERNAL`, the others go on.
    fn on_fault(&self, hub: &Arc<Hub>) {
        self.step(hub, |inner| inner.fail(hub, self.token));
    }

    fn read_ahead(&self, hub: &Arc<Hub>, scratch: &mut Vec<u8>) -> Option<(bool, usize)> {
        let seen = self.step(hub, |inner| {
            let before = inner.mail.len();
            if inner.socket.is_some() && inner.interest.read() {
                inner.receive(hub, self.token, scratch, false);
            }
            (inner.mail.len() > before, inner.inbound.bytes.len())
        });
        Some(seen.unwrap_or((true, 0)))
    }

    /// The reactor ends: the descriptors are closed at once.
    fn end(&self, hub: &Arc<Hub>) {
        let mut inner = lock(&self.inner);
        inner.mail.plug();
        let _ = fenced(|| inner.hang_up(hub));
        let _ = fenced(|| inner.drop_socket(hub));
    }
}

impl Inner {
    fn terms(&self) -> Terms {
        let held = self.secure.as_ref().and_then(|secure| secure.held.oldest());
        Terms {
            secure: self.options.begins_secure(),
            connect_timeout: self.options.bound(self.is_accepted()),
            read_timeout: self.options.read_timeout,
            write_timeout: self.options.write_timeout,
            pending: !self.outbound.queue.is_empty() || self.held() > 0,
            oldest_write: self.outbound.queue.oldest().or(held),
            paused: self.inbound.paused || self.held_back || self.is_stalled(),
        }
    }

    /// Hands an input to the machine and carries out what it asks for. Dials that fail at once
    /// become inputs of their own.
    fn feed(&mut self, hub: &Arc<Hub>, token: Token, input: Input) {
        // Most inputs bring no other: only those that do take memory.
        let mut next = Some(input);
        let mut inputs = Vec::new();
        let mut actions = Vec::new();
        while let Some(input) = next.take().or_else(|| inputs.pop()) {
            self.life.on(input, Instant::now(), &self.terms(), &mut actions);
            for action in actions.drain(..) {
                match action {
                    Action::Dial(address) => {
                        inputs.extend(self.dial(hub, token, Address::Ip(address)));
                    }
                    Action::DialDirect => inputs.extend(self.dial_direct(hub, token)),
                    Action::Secure => inputs.extend(self.begin_secure(hub, token)),
                    Action::Hangup => self.hang_up(hub),
                    Action::Post(event) => self.post(hub, token, event),
                    Action::Finish => self.finish(hub),
                    Action::Release => self.drop_socket(hub),
                    Action::Reset => {
                        if let Some(socket) = &self.socket {
                            socket::reset_on_close(socket);
                        }
                        self.drop_socket(hub);
                    }
                    Action::Lookup => inputs.extend(self.look_up(hub, token)),
                    Action::Retry => inputs.extend(self.set_out()),
                }
            }
        }
    }

    /// `before`: the options that held until now.
    fn apply_options(&mut self, hub: &Arc<Hub>, token: Token, before: Option<&Options>) {
        let Some(socket) = &self.socket else { return };
        let mut set = Ok(());
        // Accepted sockets inherit the flag from their listener, which saves the call.
        let changed = before.is_some_and(|before| before.nodelay != self.options.nodelay);
        if changed || !self.is_accepted() {
            set = socket::set_nodelay(socket, self.options.nodelay).map_err(|why| ("nodelay", why));
        }
        if self.options.keepalive || before.is_some_and(|before| before.keepalive) {
            let (on, idle) = (self.options.keepalive, self.options.keepalive_idle);
            let probes = socket::set_keepalive(socket, on, idle).map_err(|why| ("keepalive", why));
            set = set.and(probes);
        }
        let Err((option, why)) = set else { return };
        // A connection that is over tells that by its end.
        if why.kind() != std::io::ErrorKind::InvalidInput {
            self.feed(hub, token, Input::Broken(Error::os(option, &why)));
        }
    }

    /// Our end of stream, then discarding; a peer that has ended already needs no discarding.
    fn finish(&mut self, hub: &Arc<Hub>) {
        let Some(socket) = &self.socket else { return };
        if self.life.has_ended() || self.says_nothing() || socket::end_writing(socket).is_err() {
            self.drop_socket(hub);
        } else {
            self.life.linger(Instant::now() + limits::LINGER);
        }
    }

    /// Whether an accepted connection ends without a byte of ours or one that waits: nothing can
    /// be lost by a reset, and closing sends a plain end of stream. To turn a client away costs
    /// one call of the system that way, not six.
    fn says_nothing(&self) -> bool {
        let Some(socket) = self.socket.as_ref().filter(|_| self.is_accepted()) else {
            return false;
        };
        let silent = self.outbound.total == 0 && self.secure.is_none() && self.held_back;
        silent && matches!(io::recv(socket, &mut Vec::with_capacity(64), 64), Progress::Again)
    }

    fn drop_socket(&mut self, hub: &Arc<Hub>) {
        self.life.end_linger();
        if let Some(outbound) = self.outbound.present() {
            outbound.lost |= !outbound.queue.is_empty();
            outbound.queue.clear();
        }
        let interest = std::mem::take(&mut self.interest);
        if let Some(socket) = self.socket.take() {
            let _ = hub.poller.change(&socket, 0, interest, Interest::NONE);
        }
    }

    /// Nobody is to be told any more.
    fn detach(&mut self) {
        self.mail.plug();
    }

    /// Whether a server has accepted it.
    fn is_accepted(&self) -> bool {
        self.plan.is_none()
    }

    fn leave(&mut self) {
        if let Some(other) = &mut self.other {
            other.gate = None;
        }
    }

    fn is_lingering(&self) -> bool {
        self.life.is_lingering()
    }

    fn wanted(&self) -> Interest {
        let ended = self.life.has_ended();
        let write = !self.outbound.queue.is_empty();
        match self.life.phase() {
            Phase::Open => {
                let full = self.inbound.paused || self.mail.len() >= limits::EVENTS_WAITING;
                let read = !(ended || full || self.held_back || self.is_stalled());
                // Room to write comes at once: the leader is to read what is left.
                let write = write || read && self.outbound.broken.is_some();
                let hang_up = full && !(ended || self.held_back);
                reading(read).with(Interest::WRITE, write).with(Interest::HANG_UP, hang_up)
            }
            Phase::Securing => Interest::READ.with(Interest::WRITE, write),
            Phase::Closing => reading(!ended).with(Interest::WRITE, write),
            _ => reading(self.is_lingering()),
        }
    }

    /// Registration and alarm follow the state.
    fn settle(&mut self, hub: &Arc<Hub>, token: Token) {
        self.weigh(token);
        if self.socket.is_some() {
            let wanted = self.wanted();
            if let Some(socket) = self.socket.as_ref().filter(|_| wanted != self.interest) {
                let key = token.slot as usize;
                match hub.poller.change(socket, key, self.interest, wanted) {
                    Ok(()) => self.interest = wanted,
                    Err(error) => {
                        self.feed(hub, token, Input::Broken(Error::os("connection", &error)));
                    }
                }
            }
        }
        let due = self.life.alarm(&self.terms());
        // A later deadline leaves the alarm where it is: it will be found early and set again.
        // That keeps a timeout that every arrival moves out of the list of timers.
        let armed = self.armed.map(Moment::instant);
        let sooner = due.is_none() || armed.is_none() || due < armed;
        if sooner && due != armed {
            hub.arm(token, armed, due);
            self.armed = due.map(Moment::from);
        }
        if self.life.phase() == Phase::Closed {
            if self.socket.is_none() || self.is_lingering() {
                self.leave();
            }
            if self.mail.is_plugged() && self.socket.is_none() {
                hub.remove(token);
            }
        }
    }
}

fn reading(is_so: bool) -> Interest {
    Interest::NONE.with(Interest::READ, is_so)
}

impl Inner {
    /// Runs one step; a panic in it ends the connection with `EINTERNAL`.
    fn fenced<T>(
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
    fn post(&mut self, hub: &Arc<Hub>, token: Token, event: Event) {
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

    fn fail(&mut self, hub: &Arc<Hub>, token: Token) {
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

#[cfg(test)]
mod tests {
    #[test]
    fn a_quiet_stream_stays_small() {
        let size = size_of::<super::Stream>();
        assert!(size <= 152, "{size} bytes");
    }
}
