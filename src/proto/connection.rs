//! One connection, as the network knows it, until it lingers after our eof, the end of the stream: a pure
//! state machine.
//!
//! Not here: sockets, bytes and clocks. What happens comes in as an [`Input`] with the time, what
//! is to be done goes out as [`Action`]s; `net::stream` carries them out.
//! Invariants: exactly one `Closed` event per attempt and nothing after it (I1); an input that
//! makes no sense in a phase does nothing.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use crate::error::{Code, Error};
use crate::limits;
use crate::proto::event::Event;
use crate::proto::happy_eyeballs::{HappyEyeballs, Step};
use crate::proto::moment::Moment;

/// Where a connection stands, as the reactor knows it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Phase {
    /// The name is being looked up.
    Resolving,
    /// At least one attempt is under way.
    Connecting,
    /// The TLS handshake is under way.
    Securing,
    /// Bytes flow.
    Open,
    /// Ours to flush, then over.
    Closing,
    /// Over; only a new [`Input::Begin`] or [`Input::Wait`] leads out.
    Closed,
    /// Pausing before the next attempt.
    Waiting,
}

/// What happened.
#[derive(Debug)]
pub enum Input {
    /// Start: with the addresses, or without when the name must be looked up.
    Begin(Option<Vec<SocketAddr>>),
    /// Start: there is one way, which is no IP address (a Unix socket).
    BeginDirect,
    /// An accepted connection: open from the start.
    Adopt,
    /// The lookup answered.
    Resolved(Result<Vec<SocketAddr>, Error>),
    /// One of the dials stands.
    Dialed,
    /// One of the dials failed.
    DialFailed(Error),
    /// The script wants TLS on the open connection.
    Secure,
    /// The handshake is done and the peer verified.
    Secured,
    /// The peer sent its end of stream.
    Eof,
    /// The script has seen the end of stream and does not keep its half open.
    EofSeen,
    /// The connection broke.
    Broken(Error),
    /// A fault of ours, whatever was under way.
    Fault(Error),
    /// The script wants to close; what is queued goes out first.
    Close,
    /// The write queue is empty.
    Flushed,
    /// The script wants it to be over now.
    Abort,
    /// Begin the pause before the next attempt.
    Wait(Duration),
    /// The time named by [`Connection::deadline`] has come.
    Timer,
}

/// What is to be done about it.
#[derive(Debug)]
pub enum Action {
    /// Look the name up.
    Lookup,
    /// Start connecting there; answer with `Dialed` or `DialFailed`.
    Dial(SocketAddr),
    /// The same for the one way there is.
    DialDirect,
    /// Begin the TLS handshake; answer with `Secured` or `Broken`.
    Secure,
    /// Drop the dials that are still under way, and the lookup.
    CancelConnect,
    /// Tell the script.
    Post(Event),
    /// Send the end of stream, then discard what comes.
    Finish,
    /// Close the descriptor.
    Release,
    /// Close the descriptor with a reset.
    Reset,
    /// The pause is over: begin again.
    Retry,
}

/// The facts outside that the machine's answers depend on.
#[derive(Clone, Copy, Debug, Default)]
pub struct Facts {
    /// Whether a connection begins with a TLS handshake.
    pub secure: bool,
    /// Bound of an attempt, and of a handshake.
    pub connect_timeout: Option<Duration>,
    /// Bound of silence while open.
    pub read_timeout: Option<Duration>,
    /// Bound of a queued write.
    pub write_timeout: Option<Duration>,
    /// Bound of closing; 0: a close is a reset.
    pub linger: Option<Duration>,
    /// Whether bytes wait to be sent.
    pub pending: bool,
    /// When the oldest of them was queued.
    pub oldest_write: Option<Instant>,
    /// Whether arrivals are held back by ourselves: then silence is not the peer's.
    pub paused: bool,
}

/// How its bytes move, which says what it waits for.
#[expect(clippy::struct_excessive_bools, reason = "facts that do not depend on each other")]
#[derive(Clone, Copy, Debug, Default)]
pub struct Flow {
    /// The script has enough to read, in bytes or in events.
    pub full: bool,
    /// The script does not know the connection yet.
    pub held_back: bool,
    /// The connections of its server hold too much, and this one most.
    pub stalled: bool,
    /// Bytes wait to be sent.
    pub queued: bool,
    /// Writing has failed, and reading is to tell how the connection ended.
    pub failed: bool,
}

/// What a connection waits for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Wants {
    /// Bytes, or an end of stream.
    pub read: bool,
    /// Room to send.
    pub write: bool,
    /// That nothing more can come.
    pub hang_up: bool,
}

/// The machine.
#[derive(Debug)]
pub struct Connection {
    phase: Phase,
    attempt: u32,
    /// The script asked to close; while connecting this only bounds the attempt.
    closing: bool,
    /// The connection stood before its handshake began.
    upgrades: bool,
    /// The peer's end of stream was seen.
    eof: bool,
    /// When the attempt began, the connection was last heard of, the pause ends, or closing began.
    since: Moment,
    /// Until when closing may flush; once closed, until when what still arrives is discarded.
    close_by: Option<Moment>,
    race: Option<Box<Running>>,
}

/// A race between several addresses.
#[derive(Debug)]
struct Running {
    race: HappyEyeballs,
    dial_more_at: Option<Instant>,
    /// The first cause is kept: it belongs to the preferred address.
    failure: Option<Error>,
}

impl Connection {
    /// A connection that has not begun.
    #[must_use]
    pub fn new(now: Instant) -> Self {
        Self {
            phase: Phase::Closed,
            attempt: 0,
            closing: false,
            upgrades: false,
            eof: false,
            since: now.into(),
            close_by: None,
            race: None,
        }
    }

    /// Where it stands.
    #[must_use]
    pub fn phase(&self) -> Phase {
        self.phase
    }

    /// Whether the peer's end of stream was seen.
    #[must_use]
    pub fn has_eof(&self) -> bool {
        self.eof
    }

    /// Whether the connection carries bytes both ways, a handshake on the way or not.
    #[must_use]
    pub fn is_standing(&self) -> bool {
        let upgrading = self.phase == Phase::Securing && self.upgrades;
        !self.eof && (self.phase == Phase::Open || upgrading)
    }

    /// Whether an attempt to connect is under way, handshake and all.
    #[must_use]
    pub fn is_connecting(&self) -> bool {
        matches!(self.phase, Phase::Resolving | Phase::Connecting | Phase::Securing)
    }

    /// Whether the script asked to close.
    #[must_use]
    pub fn is_closing(&self) -> bool {
        self.closing
    }

    /// Automatic attempts so far.
    #[must_use]
    pub fn attempt(&self) -> u32 {
        self.attempt
    }

    /// Begins the wait for the peer anew: bytes came, or `read_timeout` has changed.
    pub fn restart_silence(&mut self, now: Instant) {
        if self.phase == Phase::Open {
            self.since = now.into();
        }
    }

    /// Our end of stream was sent: until then what still arrives is discarded.
    pub fn linger(&mut self, until: Instant) {
        if self.phase == Phase::Closed {
            self.close_by = Some(until.into());
        }
    }

    /// Whether what arrives is discarded.
    #[must_use]
    pub fn is_lingering(&self) -> bool {
        self.phase == Phase::Closed && self.close_by.is_some()
    }

    /// The peer's end of stream came while what arrives is discarded.
    pub fn ended_lingering(&mut self) {
        self.eof |= self.is_lingering();
    }

    /// With a time for closing: until when that goes on, which is as long as it says for what is not
    /// acknowledged, and else as it is for others, unless the peer has ended.
    #[must_use]
    pub fn lingers_until(&self, facts: &Facts, is_acknowledged: bool) -> Option<Instant> {
        let bound = facts.linger?;
        if is_acknowledged {
            (!self.eof).then(|| self.since() + limits::LINGER)
        } else {
            Some(self.since() + bound)
        }
    }

    /// Nothing arrives any more.
    pub fn end_linger(&mut self) {
        if self.phase == Phase::Closed {
            self.close_by = None;
        }
    }

    /// When [`Input::Timer`] is due.
    #[must_use]
    pub fn deadline(&self, facts: &Facts) -> Option<Instant> {
        let own = match self.phase {
            Phase::Resolving | Phase::Connecting => {
                let bound = facts.connect_timeout.map(|timeout| self.since() + timeout);
                earliest(bound, self.dial_more_at())
            }
            Phase::Securing => facts.connect_timeout.map(|timeout| self.since() + timeout),
            Phase::Open => {
                let silent = facts.read_timeout.filter(|_| !facts.paused && !self.eof);
                let silent = silent.map(|timeout| self.since() + timeout);
                earliest(silent, write_deadline(facts))
            }
            Phase::Closing => write_deadline(facts),
            Phase::Waiting => Some(self.since()),
            Phase::Closed => None,
        };
        earliest(own, self.close_by.map(Moment::instant))
    }

    /// What it waits for.
    #[must_use]
    pub fn wants(&self, flow: Flow) -> Wants {
        let wants = |read, write, hang_up| Wants { read, write, hang_up };
        match self.phase {
            Phase::Open => {
                let read = !(self.eof || flow.full || flow.held_back || flow.stalled);
                // Room to write comes at once: the leader is to read what is left.
                let write = flow.queued || read && flow.failed;
                wants(read, write, flow.full && !(self.eof || flow.held_back))
            }
            Phase::Securing => wants(true, flow.queued, false),
            Phase::Closing => wants(!self.eof, flow.queued, false),
            _ => wants(self.is_lingering() && !self.eof, false, false),
        }
    }

    /// When the attempt began, the connection was last heard of, the pause ends, or closing began.
    #[must_use]
    pub fn since(&self) -> Instant {
        self.since.instant()
    }

    /// Takes in what happened.
    pub fn on(&mut self, input: Input, now: Instant, facts: &Facts, out: &mut Vec<Action>) {
        match (self.phase, input) {
            (Phase::Closed | Phase::Waiting, Input::Begin(addresses)) => {
                self.begin(addresses, now, out);
            }
            (Phase::Closed | Phase::Waiting, Input::BeginDirect) => {
                self.restart(now, out);
                self.phase = Phase::Connecting;
                out.push(Action::DialDirect);
            }
            (Phase::Closed, Input::Adopt) => self.adopt(now, facts, out),
            (Phase::Closed, Input::Wait(pause)) => {
                self.phase = Phase::Waiting;
                self.since = (now + pause).into();
                self.close_by = None;
            }
            (Phase::Resolving, Input::Resolved(Ok(addresses))) => {
                self.resolved(addresses, now, out);
            }
            (Phase::Connecting, Input::Dialed) => self.dialed(now, facts, out),
            (Phase::Connecting, Input::DialFailed(error)) => {
                let Some(running) = &mut self.race else { return self.fail(error, out) };
                running.failure.get_or_insert(error);
                running.race.failed();
                self.dial_on(now, out);
            }
            (Phase::Open, Input::Secure) => {
                self.upgrades = true;
                self.secure(now, out);
            }
            (Phase::Securing, Input::Secured) => self.stands(now, facts, out),
            (Phase::Open, Input::Eof) => {
                self.eof = true;
                out.push(Action::Post(Event::Eof));
            }
            (Phase::Closing, Input::Eof) => self.eof = true,
            (Phase::Open, Input::EofSeen | Input::Close) => self.close(now, facts, out),
            (Phase::Closing, Input::Broken(error)) => {
                // A peer that resets while nothing of ours waits has not harmed us.
                let error = facts.pending.then(|| Box::new(error));
                self.over(error, Action::Release, out);
            }
            (Phase::Closing, Input::Flushed) => self.over(None, Action::Finish, out),
            (Phase::Resolving | Phase::Connecting | Phase::Securing, Input::Close) => {
                self.close_early(now, facts, out);
            }
            (Phase::Waiting, Input::Close | Input::Abort) => {
                // The attempt before was already reported as closed.
                self.phase = Phase::Closed;
            }
            (Phase::Closed, _) | (Phase::Waiting, Input::Fault(_)) => {}
            (Phase::Resolving, Input::Resolved(Err(error)))
            | (Phase::Open | Phase::Securing, Input::Broken(error))
            | (_, Input::Fault(error)) => self.fail(error, out),
            (_, Input::Abort) => self.over(None, Action::Reset, out),
            (_, Input::Timer) => self.ran_out(now, facts, out),
            _ => {}
        }
    }

    fn begin(&mut self, addresses: Option<Vec<SocketAddr>>, now: Instant, out: &mut Vec<Action>) {
        self.restart(now, out);
        self.phase = Phase::Resolving;
        match addresses {
            Some(addresses) => self.race(addresses, now, out),
            None => out.push(Action::Lookup),
        }
    }

    fn restart(&mut self, now: Instant, out: &mut Vec<Action>) {
        let again = self.phase == Phase::Waiting;
        *self = Self { attempt: self.attempt + u32::from(again), ..Self::new(now) };
        if again {
            out.push(Action::Post(Event::Reconnecting(self.attempt)));
        }
    }

    fn resolved(&mut self, addresses: Vec<SocketAddr>, now: Instant, out: &mut Vec<Action>) {
        out.push(Action::Post(Event::Resolved(Box::new(addresses.clone()))));
        self.race(addresses, now, out);
    }

    /// Closed while connecting: what was written is still to go out.
    fn close_early(&mut self, now: Instant, facts: &Facts, out: &mut Vec<Action>) {
        self.closing = true;
        if resets(facts) {
            self.over(None, Action::Reset, out);
        } else if facts.pending {
            self.close_by = Some((now + close_timeout(facts)).into());
        } else {
            self.over(None, Action::Release, out);
        }
    }

    fn race(&mut self, addresses: Vec<SocketAddr>, now: Instant, out: &mut Vec<Action>) {
        self.phase = Phase::Connecting;
        if let [address] = addresses[..] {
            // Alone on the track: no race, and no memory for one.
            out.push(Action::Dial(address));
        } else {
            let race = HappyEyeballs::new(addresses);
            self.race = Some(Box::new(Running { race, dial_more_at: None, failure: None }));
            self.dial_on(now, out);
        }
    }

    fn dial_more_at(&self) -> Option<Instant> {
        self.race.as_ref()?.dial_more_at
    }

    /// One step of the race; a dial that fails at once comes back as `DialFailed`.
    fn dial_on(&mut self, now: Instant, out: &mut Vec<Action>) {
        let Some(running) = &mut self.race else { return };
        running.dial_more_at = None;
        let mut step = running.race.next(now);
        if let Step::Dial(address) = step {
            out.push(Action::Dial(address));
            step = running.race.next(now);
        }
        match step {
            Step::Wait(at) => running.dial_more_at = Some(at),
            Step::Exhausted => {
                let nobody = || Error::new(Code::HostNotFound, "connect: the name has no address");
                let error = running.failure.take().unwrap_or_else(nobody);
                self.fail(error, out);
            }
            Step::Dial(_) | Step::Watch => {}
        }
    }

    fn dialed(&mut self, now: Instant, facts: &Facts, out: &mut Vec<Action>) {
        out.push(Action::CancelConnect);
        if facts.secure {
            self.race = None;
            // The attempt's time goes on.
            self.secure(self.since(), out);
        } else {
            self.stands(now, facts, out);
        }
    }

    fn adopt(&mut self, now: Instant, facts: &Facts, out: &mut Vec<Action>) {
        if facts.secure {
            self.secure(now, out);
        } else {
            self.open(now);
        }
    }

    fn secure(&mut self, since: Instant, out: &mut Vec<Action>) {
        self.since = since.into();
        self.phase = Phase::Securing;
        out.push(Action::Post(Event::Securing));
        out.push(Action::Secure);
    }

    /// The connection can carry what the script writes.
    fn stands(&mut self, now: Instant, facts: &Facts, out: &mut Vec<Action>) {
        let upgraded = std::mem::take(&mut self.upgrades);
        let close_by = self.close_by;
        self.open(now);
        self.attempt = 0;
        if close_by.is_none() {
            let event = if upgraded { Event::Secured } else { Event::Connected };
            out.push(Action::Post(event));
            return;
        }
        self.phase = Phase::Closing;
        self.close_by = close_by;
        if !facts.pending {
            self.over(None, Action::Finish, out);
        }
    }

    fn open(&mut self, now: Instant) {
        self.phase = Phase::Open;
        self.since = now.into();
        self.race = None;
        self.close_by = None;
    }

    fn close(&mut self, now: Instant, facts: &Facts, out: &mut Vec<Action>) {
        self.closing = true;
        self.since = now.into();
        if resets(facts) {
            self.over(None, Action::Reset, out);
        } else if facts.pending {
            self.phase = Phase::Closing;
            self.close_by = Some((now + close_timeout(facts)).into());
        } else {
            self.over(None, Action::Finish, out);
        }
    }

    fn ran_out(&mut self, now: Instant, facts: &Facts, out: &mut Vec<Action>) {
        let late = |at: Option<Instant>| at.is_some_and(|at| at <= now);
        match self.phase {
            Phase::Waiting if self.since() <= now => out.push(Action::Retry),
            _ if late(self.close_by.map(Moment::instant)) => {
                let error = Some(Box::new(timed_out("close: not everything was sent")));
                // Who has chosen the time wants no end that looks as if all was well.
                let chosen = facts.linger.is_some();
                self.over(error, if chosen { Action::Reset } else { Action::Release }, out);
            }
            Phase::Resolving | Phase::Connecting => {
                if late(facts.connect_timeout.map(|timeout| self.since() + timeout)) {
                    self.fail(timed_out("connect: timed out"), out);
                } else if late(self.dial_more_at()) {
                    self.dial_on(now, out);
                }
            }
            Phase::Securing if late(self.deadline(facts)) => {
                let text = "tls: the handshake took too long";
                self.fail(Error::new(Code::TlsTimeout, text), out);
            }
            Phase::Open | Phase::Closing if late(write_deadline(facts)) => {
                self.fail(timed_out("write: timed out"), out);
            }
            Phase::Open if late(self.deadline(facts)) => {
                self.fail(timed_out("read: timed out"), out);
            }
            _ => {}
        }
    }

    fn fail(&mut self, error: Error, out: &mut Vec<Action>) {
        self.over(Some(Box::new(error)), Action::Release, out);
    }

    fn over(&mut self, error: Option<Box<Error>>, last: Action, out: &mut Vec<Action>) {
        if matches!(self.phase, Phase::Resolving | Phase::Connecting) {
            out.push(Action::CancelConnect);
        }
        self.phase = Phase::Closed;
        self.race = None;
        self.close_by = None;
        out.push(last);
        out.push(Action::Post(Event::Closed(error)));
    }
}

fn timed_out(message: &str) -> Error {
    Error::new(Code::TimedOut, message)
}

fn close_timeout(facts: &Facts) -> Duration {
    let bound = facts.linger.unwrap_or(limits::CLOSE_TIMEOUT);
    facts.write_timeout.unwrap_or(bound).min(bound)
}

/// Whether closing throws away what was not sent.
fn resets(facts: &Facts) -> bool {
    facts.linger == Some(Duration::ZERO)
}

fn write_deadline(facts: &Facts) -> Option<Instant> {
    Some(facts.oldest_write? + facts.write_timeout?)
}

fn earliest(a: Option<Instant>, b: Option<Instant>) -> Option<Instant> {
    match (a, b) {
        (Some(a), Some(b)) => Some(a.min(b)),
        (a, b) => a.or(b),
    }
}
