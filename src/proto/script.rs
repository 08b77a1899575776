//! The script state, what the script knows of a connection: a pure state machine, the counterpart of
//! `connection`.
//!
//! Not here: Lua, sockets, bytes and clocks. An event goes in when it is dispatched, what the script calls
//! goes in when it is called; a [`Reaction`] comes out, which `lua` carries out. What the network has done
//! since is not known here, so that nothing changes between two dispatches.
//! Invariants: of each connection, a superseded one too, one close is notified, and nothing behind it; once the script has closed
//! a socket only its closes are; an object keeps a loop running exactly while it [`is_active`], which nobody
//! counts by hand.
//!
//! [`is_active`]: ScriptState::is_active

use std::time::Duration;

use crate::proto::event::Event;

/// The value of `sock.state`: as of the last event that was dispatched.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum SocketState {
    /// Never connected, or given up without an event.
    #[default]
    Idle,
    /// The name is being looked up.
    Resolving,
    /// An attempt is under way.
    Connecting,
    /// The TLS handshake of an open connection is under way.
    Securing,
    /// Bytes flow.
    Open,
    /// What was written is being sent, then it is over.
    Closing,
    /// Over.
    Closed,
    /// Pausing before the next attempt.
    Waiting,
}

impl SocketState {
    /// As the script sees it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Idle => "idle",
            Self::Resolving => "resolving",
            Self::Connecting => "connecting",
            Self::Securing => "securing",
            Self::Open => "open",
            Self::Closing => "closing",
            Self::Closed => "closed",
            Self::Waiting => "waiting",
        }
    }
}

/// What lies outside of the machine; asked for only where the answer matters.
pub trait Facts {
    /// The option `half_open`.
    fn half_open(&self) -> bool;
    /// Whether there is somewhere to connect to, and the option `reconnect` is on.
    fn reconnects(&self) -> bool;
    /// Whether an attempt begins with the lookup of a name.
    fn looks_up(&self) -> bool;
    /// How much of its data the event has made readable.
    fn shown(&self) -> usize;
    /// Since the Lua state began.
    fn now(&self) -> Duration;
}

/// What is to be done beside calling the handler.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Then {
    /// Nothing.
    Nothing,
    /// Forget the bytes and the error of the attempt before.
    Renew,
    /// The same event comes once more, for so many marks.
    Marks(u32),
    /// Tell the connection that its end of stream has been seen.
    EofSeen,
    /// Begin the pause before the next attempt.
    Retry,
    /// Let go of the connection.
    Detach,
}

/// The answer to an event.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Reaction {
    /// Whether the handler of the event is called.
    pub notify: bool,
    /// What else is done.
    pub then: Then,
}

/// What `sock:close()` means where the script stands.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Close {
    /// There is nothing to close.
    Nothing,
    /// The connection is closed; its close will be notified.
    Connection,
    /// The pause before the next attempt ends; the last close was notified already.
    Pause,
}

/// The machine. It is kept in each object; those that are no sockets use its attaching and detaching
/// alone.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct ScriptState {
    /// Closes that the script has been told of; wraps.
    closes: u32,
    /// When the connection stood, in milliseconds; 0: it has not.
    opened: u32,
    /// Closes of replaced connections that the script has still to be told of.
    superseded: u16,
    state: SocketState,
    flags: u8,
}

// Each object has one.
const _: () = assert!(size_of::<ScriptState>() <= 12);

/// The script has closed it.
const SILENCED: u8 = 1;
/// The peer's end of stream was notified.
const PEER_ENDED: u8 = 2;
/// Reading has stopped at the limit.
const PAUSED: u8 = 4;
/// A mark was set.
const MARKED: u8 = 8;
/// There is something that events come from: a connection, listeners, a timer, a socket for datagrams.
const ATTACHED: u8 = 16;
/// A loop has to go on for it.
const ACTIVE: u8 = 32;
/// The handshake of the connection was notified.
const SECURED: u8 = 64;

impl ScriptState {
    fn has(&self, flag: u8) -> bool {
        self.flags & flag != 0
    }

    fn set(&mut self, flag: u8, on: bool) {
        self.flags = if on { self.flags | flag } else { self.flags & !flag };
    }

    /// Where the script sees the socket.
    #[must_use]
    pub fn state(&self) -> SocketState {
        self.state
    }

    /// Whether what is written may be sent one day.
    #[must_use]
    pub fn is_writable(&self) -> bool {
        use SocketState::{Connecting, Open, Resolving, Securing};
        matches!(self.state, Open | Connecting | Securing | Resolving)
    }

    /// Whether a loop has to go on for it.
    #[must_use]
    pub fn is_active(&self) -> bool {
        self.has(ACTIVE)
    }

    /// Whether events can come for it.
    #[must_use]
    pub fn is_attached(&self) -> bool {
        self.has(ATTACHED)
    }

    /// Closes that were notified, counted in a circle of 2^32.
    #[must_use]
    pub fn closes(&self) -> u32 {
        self.closes
    }

    /// Closes of replaced connections that are still to be notified.
    #[must_use]
    pub fn superseded(&self) -> u16 {
        self.superseded
    }

    /// When the connection stood, if it has.
    #[must_use]
    pub fn opened(&self) -> Option<Duration> {
        (self.opened > 0).then(|| Duration::from_millis(self.opened.into()))
    }

    /// Whether the peer's end of stream was notified.
    #[must_use]
    pub fn has_peer_ended(&self) -> bool {
        self.has(PEER_ENDED)
    }

    /// Whether the handshake of the connection was notified.
    #[must_use]
    pub fn is_secured(&self) -> bool {
        self.has(SECURED)
    }

    /// Whether reading has stopped at the limit.
    #[must_use]
    pub fn is_paused(&self) -> bool {
        self.has(PAUSED)
    }

    /// Whether a mark was set, so that there may be something to notify before a close.
    #[must_use]
    pub fn is_marked(&self) -> bool {
        self.has(MARKED)
    }

    /// Reading has stopped at the limit, or goes on.
    pub fn set_paused(&mut self, paused: bool) {
        self.set(PAUSED, paused);
    }

    /// A mark was set.
    pub fn mark(&mut self) {
        self.set(MARKED, true);
    }

    // Events --------------------------------------------------------------------------------------

    /// An event is dispatched.
    pub fn on(&mut self, event: &Event, facts: &impl Facts) -> Reaction {
        let mut then = Then::Nothing;
        let mut notify = !self.has(SILENCED);
        match event {
            Event::Closed(_) => {
                self.state = SocketState::Closed;
                self.closes = self.closes.wrapping_add(1);
                // While the last one is notified the loop may end.
                self.set(ACTIVE, self.retries(facts));
                notify = true;
            }
            Event::Eof if !facts.half_open() => {
                self.state = SocketState::Closing;
                (notify, then) = (false, Then::EofSeen);
            }
            Event::Eof => self.set(PEER_ENDED, true),
            // Of what a handshake has taken nothing is left to tell.
            Event::Data(count) => notify &= *count == 0 || facts.shown() > 0,
            _ if self.has(SILENCED) => {}
            Event::Securing => self.state = SocketState::Securing,
            Event::Secured => {
                self.state = SocketState::Open;
                self.set(SECURED, true);
            }
            Event::Marked(count) if *count > 1 => then = Then::Marks(count - 1),
            Event::Resolved(_) => self.state = SocketState::Connecting,
            Event::Connected => {
                self.set(PEER_ENDED, false);
                self.set(SECURED, self.state == SocketState::Securing);
                self.stands(facts.now());
                then = Then::Renew;
            }
            Event::Reconnecting(_) => {
                self.state = starting(facts.looks_up());
                self.set(SECURED, false);
            }
            _ => {}
        }
        Reaction { notify, then }
    }

    /// The handler of a close has returned. [`Then::Retry`], [`Then::Detach`], or nothing when it has
    /// replaced the connection.
    pub fn close_notified(&mut self, facts: &impl Facts) -> Then {
        if self.state != SocketState::Closed || !self.is_attached() {
            return Then::Nothing;
        }
        if self.retries(facts) {
            self.state = SocketState::Waiting;
            self.set(ACTIVE, true);
            return Then::Retry;
        }
        self.set(PAUSED, false);
        self.detach();
        Then::Detach
    }

    /// The close of a replaced connection is notified; whether there are more.
    pub fn superseded_notified(&mut self) -> bool {
        self.superseded = self.superseded.saturating_sub(1);
        self.closes = self.closes.wrapping_add(1);
        self.superseded > 0
    }

    fn retries(&self, facts: &impl Facts) -> bool {
        !self.has(SILENCED) && facts.reconnects()
    }

    fn stands(&mut self, now: Duration) {
        self.state = SocketState::Open;
        self.opened = u32::try_from(now.as_millis()).unwrap_or(u32::MAX);
    }

    // What the script calls -----------------------------------------------------------------------

    /// It has a connection, listeners, a timer or a socket for datagrams from now on.
    pub fn attach(&mut self) {
        self.flags |= ATTACHED | ACTIVE;
    }

    /// The same, and no loop has to go on for it: another does already.
    pub fn attach_in_background(&mut self) {
        self.set(ATTACHED, true);
    }

    /// Whether a loop has to go on for it is a choice, as long as it has something.
    pub fn keep_going(&mut self, keeps: bool) {
        self.set(ACTIVE, keeps && self.is_attached());
    }

    /// It has none any more.
    pub fn detach(&mut self) {
        self.flags &= !(ATTACHED | ACTIVE);
    }

    /// A connection is about to be replaced by another: its close is still to be notified, unless it was.
    /// Refused, with how many wait, where `most` do already.
    ///
    /// # Errors
    /// How many wait.
    pub fn supersede(&mut self, most: u16) -> Result<(), u16> {
        use SocketState::{Closed, Idle, Waiting};
        if !self.is_attached() || matches!(self.state, Idle | Closed | Waiting) {
            return Ok(());
        }
        if self.superseded >= most {
            return Err(self.superseded);
        }
        self.superseded += 1;
        Ok(())
    }

    /// The first attempt of a new connection begins. Whether closes of earlier ones are to be notified.
    pub fn connect(&mut self, looks_up: bool) -> bool {
        *self = Self {
            state: starting(looks_up),
            flags: self.flags & MARKED | ATTACHED | ACTIVE,
            opened: 0,
            ..*self
        };
        self.superseded > 0
    }

    /// It gets a connection that stands.
    pub fn adopt(&mut self, now: Duration) {
        self.attach();
        self.stands(now);
    }

    /// The handshake of that was over before.
    pub fn adopt_secured(&mut self) {
        self.set(SECURED, true);
    }

    /// What `sock:close()` would close.
    #[must_use]
    pub fn closable(&self) -> Close {
        match self.state {
            SocketState::Idle | SocketState::Closed => Close::Nothing,
            SocketState::Waiting => Close::Pause,
            _ => Close::Connection,
        }
    }

    /// The script closes it, in an orderly way or not. Inside of `on_close` this still ends reconnecting.
    pub fn close(&mut self) {
        match self.closable() {
            Close::Nothing => {}
            Close::Pause => self.state = SocketState::Closed,
            Close::Connection => self.state = SocketState::Closing,
        }
        self.silence();
    }

    /// Of its events only closes are notified from now on.
    pub fn silence(&mut self) {
        self.set(SILENCED, true);
    }

    /// The connection is given up without an event, and those before it.
    pub fn release(&mut self) {
        self.discard();
        self.flags &= !(SILENCED | PAUSED);
        self.superseded = 0;
    }

    /// The same for good: the script sees it closed.
    pub fn abandon(&mut self) {
        self.release();
        self.state = SocketState::Closed;
    }

    /// The connection is gone without an event: what it belonged to is.
    pub fn discard(&mut self) {
        self.detach();
        self.state = SocketState::Idle;
        self.closes = self.closes.wrapping_add(1);
    }
}

/// Where an attempt begins.
fn starting(looks_up: bool) -> SocketState {
    if looks_up { SocketState::Resolving } else { SocketState::Connecting }
}
