//! What all sources of one reactor share: registry, poller, timers, the queue of tokens, messages,
//! buffers.
//!
//! Not here: threads and who polls (`reactor`). Lock order: lead > source > hub's own locks; no
//! two sources at once, and no lock of the hub is held while another is taken.
//! Invariant: a source has at most one token in the queue, so the queue is bounded by the number
//! of sources ([`Mailbox`]).

use std::fmt;
use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::{Duration, Instant};

use concurrent_queue::ConcurrentQueue;
use once_cell::sync::OnceCell;
use slab::Slab;

use crate::error::{Error, Result};
use crate::limits;
use crate::net::clock::Clock;
use crate::net::motion::{Motion, Unrest, unrest};
use crate::net::resolver::Answer;
use crate::net::trace::{Ends, Trace};
use crate::proto::event::Event;
use crate::proto::mailbox::Mailbox;
use crate::proto::timers::Timers;
use crate::proto::token::Token;
use crate::sync::{Arc, Mutex, lock};
use crate::sys::Descriptor;
pub use crate::sys::poller::WAKE_KEY;
use crate::sys::poller::{Poller, Readiness};
use crate::sys::wake::{Bell, Wake};

/// What another thread or another source has for one source; the leader delivers it.
#[derive(Debug)]
pub enum Message {
    /// A question was answered.
    Answered(Result<Answer>),
    /// A lookup answered.
    Resolved(Result<Vec<SocketAddr>>),
    /// Something that it waited for outside is there.
    Recheck,
    /// The handshake of that accepted connection is over.
    HandshakeOver(Token, std::result::Result<(), Option<Box<Error>>>),
}

/// Something with a token: a connection, a listener, a socket for datagrams, a timer, a question.
pub trait Source: fmt::Debug + Send + Sync {
    /// A report of the poller. `scratch` is the leader's receive buffer.
    fn on_ready(&self, _hub: &Arc<Hub>, _ready: Readiness, _scratch: &mut Vec<u8>) {}

    /// A message was delivered.
    fn on_message(&self, _hub: &Arc<Hub>, _message: Message) {}

    /// Its timer ran out.
    fn on_timer(&self, hub: &Arc<Hub>, at: Instant);

    /// A fault of ours while it was served.
    fn on_fault(&self, hub: &Arc<Hub>);

    /// The reactor ends.
    fn shut_down(&self, hub: &Arc<Hub>);

    /// Reads although nobody has reported it. Whether there is something new to tell, and how many
    /// bytes wait; `None` for what is no connection.
    fn read_ahead(&self, _hub: &Arc<Hub>, _scratch: &mut Vec<u8>) -> Option<(bool, usize)> {
        None
    }

    /// What may be under way; `None`: nothing ever is. Only a clock that is held asks.
    fn motion(&self) -> Option<Motion> {
        None
    }

    /// Whether clients come here.
    fn accepts(&self) -> bool {
        false
    }
}

#[derive(Debug, Default)]
struct Registry {
    slots: Slab<(NonZeroU32, Arc<dyn Source>)>,
    generation: Option<NonZeroU32>,
}

/// The shared things.
#[derive(Debug)]
pub struct Hub {
    /// Who is ready.
    pub poller: Poller,
    /// Ends a wait of the leader.
    pub wake: Wake,
    /// By which the timers and timeouts of the sources go.
    pub clock: Clock,
    /// For the leader to deliver.
    messages: ConcurrentQueue<(Token, Message)>,
    /// What is told of what happens.
    pub trace: Arc<Trace>,
    /// How often anybody has polled.
    pub polls: AtomicU32,
    /// Somebody waits for memory of a server: how much the script has read is to be looked at.
    pub pressed: AtomicBool,
    tokens: ConcurrentQueue<u64>,
    registry: Mutex<Registry>,
    timers: Mutex<Timers>,
    /// Whether the leader may be in a wait that was computed before the timers changed. Set under
    /// the timers' lock (partner: `arm`), cleared without: a stale `true` costs a needless wake.
    sleeping: AtomicBool,
    pool: Mutex<Vec<Vec<u8>>>,
    /// Readable while tokens wait, for a foreign loop that asked for it.
    bell: OnceCell<Bell>,
    /// Whether the bell has been rung since it was last quieted. Partners: `ring`, `quiet`.
    rung: AtomicBool,
}

impl Hub {
    /// An empty hub.
    ///
    /// # Errors
    /// Out of descriptors.
    pub fn new(trace: Arc<Trace>) -> Result<Self> {
        let failed = |error| Error::os("start", &error);
        let poller = Poller::new().map_err(failed)?;
        let wake = poller.waker().map_err(failed)?;
        Ok(Self {
            poller,
            wake,
            clock: Clock::default(),
            messages: ConcurrentQueue::unbounded(),
            trace,
            polls: AtomicU32::new(0),
            pressed: AtomicBool::new(false),
            tokens: ConcurrentQueue::unbounded(),
            registry: Mutex::new(Registry::default()),
            timers: Mutex::new(Timers::default()),
            sleeping: AtomicBool::new(false),
            pool: Mutex::new(Vec::new()),
            bell: OnceCell::new(),
            rung: AtomicBool::new(false),
        })
    }

    /// Enters a source that is made with its own token.
    pub fn insert<T: Source + 'static>(&self, make: impl FnOnce(Token) -> T) -> Arc<T> {
        let mut registry = lock(&self.registry);
        let next = registry.generation.and_then(|last| last.checked_add(1));
        let generation = *registry.generation.insert(next.unwrap_or(NonZeroU32::MIN));
        let entry = registry.slots.vacant_entry();
        let slot = u32::try_from(entry.key()).unwrap_or(u32::MAX);
        let source = Arc::new(make(Token { slot, generation }));
        entry.insert((generation, Arc::clone(&source) as Arc<dyn Source>));
        source
    }

    /// Forgets a source; its late events will be dropped.
    pub fn remove(&self, token: Token) {
        self.trace.source_closed(token);
        let mut registry = lock(&self.registry);
        let slot = token.slot as usize;
        if registry.slots.get(slot).is_some_and(|(generation, _)| *generation == token.generation) {
            let _source = registry.slots.remove(slot);
        }
    }

    /// The source of a token that is still valid.
    #[must_use]
    pub fn source(&self, token: Token) -> Option<Arc<dyn Source>> {
        let registry = lock(&self.registry);
        let (generation, source) = registry.slots.get(token.slot as usize)?;
        (*generation == token.generation).then(|| Arc::clone(source))
    }

    /// The source at a slot, whatever its generation.
    #[must_use]
    pub fn source_at(&self, slot: usize) -> Option<Arc<dyn Source>> {
        lock(&self.registry).slots.get(slot).map(|(_, source)| Arc::clone(source))
    }

    /// Has the leader deliver a message.
    pub fn send(&self, token: Token, message: Message) {
        // The queue is unbounded and never closed: this cannot fail.
        let _ = self.messages.push((token, message));
        self.wake.wake();
    }

    /// The oldest message.
    #[must_use]
    pub fn next_message(&self) -> Option<(Token, Message)> {
        self.messages.pop().ok()
    }

    /// Takes every source out (the end of the reactor).
    pub fn drain_sources(&self) -> Vec<Arc<dyn Source>> {
        lock(&self.registry).slots.drain().map(|(_, source)| source).collect()
    }

    /// Adds an event to the mailbox of a source, whose lock the caller holds.
    pub fn post(&self, mail: &mut Mailbox, token: Token, event: Event) {
        if mail.post(event) {
            // The queue is unbounded and never closed: this cannot fail.
            let _ = self.tokens.push(token.to_bits());
            self.ring();
        }
    }

    /// Tells the script of trouble. A script that does not pump hears of so much and no more.
    pub fn post_failure(&self, mail: &mut Mailbox, token: Token, error: Box<Error>) {
        if mail.len() < limits::EVENTS_WAITING {
            self.post(mail, token, Event::Failed(error));
        }
    }

    /// Tells of a source in the trace. `who`: what it is and where its ends are.
    pub fn tell(&self, token: Token, who: &str, what: &str, ends: Ends) {
        if self.trace.tell(Some(token), who, what, ends, self.now()) {
            self.call_for_trace();
        }
    }

    /// The same of bytes that it has sent or received.
    pub fn tell_bytes(&self, token: Token, who: &str, what: &str, parts: &[&[u8]], ends: Ends) {
        if self.trace.tell_bytes(token, who, what, parts, ends, self.now()) {
            self.call_for_trace();
        }
    }

    /// The script is to fetch lines of the trace: its pump, or a foreign loop, goes on.
    pub fn call_for_trace(&self) {
        self.repost(Token::NOBODY);
    }

    /// Announces a source whose events were posted before anybody collected them.
    pub fn repost(&self, token: Token) {
        // The queue is unbounded and never closed: this cannot fail.
        let _ = self.tokens.push(token.to_bits());
        self.ring();
    }

    /// The descriptor that is readable while tokens wait; made at the first call.
    ///
    /// # Errors
    /// Out of descriptors.
    pub fn bell(&self) -> Result<Descriptor> {
        let mut is_new = false;
        let make = || {
            is_new = true;
            Bell::new().map_err(|error| Error::os("pollfd", &error))
        };
        let fd = self.bell.get_or_try_init(make)?.fd();
        if is_new {
            // What came before there was a bell rings it now. Not at every call: a loop that asks
            // for the descriptor before each wait would never sleep.
            self.ring();
        }
        Ok(fd)
    }

    /// Whether a foreign loop watches the bell.
    #[must_use]
    pub fn has_bell(&self) -> bool {
        self.bell.get().is_some()
    }

    /// Something waits: after the push that it tells of.
    pub fn ring(&self) {
        if let Some(bell) = self.bell.get()
            && !self.rung.swap(true, Ordering::AcqRel)
        {
            bell.wake();
        }
    }

    /// Before the queue is emptied. What is pushed after the swap rings anew; what was pushed
    /// before it is found by the caller. So a ring may be spurious but is never lost.
    pub fn quiet(&self) {
        if let Some(bell) = self.bell.get().filter(|_| self.rung.load(Ordering::Acquire)) {
            bell.clear();
            self.rung.swap(false, Ordering::AcqRel);
        }
    }

    /// The oldest token in the queue.
    #[must_use]
    pub fn next_token(&self) -> Option<Token> {
        self.tokens.pop().ok().map(Token::from_bits)
    }

    /// How many sources have events waiting.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.tokens.len()
    }

    /// Moves the timer of a slot from `old` to `new`; wakes the leader if it would oversleep.
    pub fn arm(&self, token: Token, old: Option<Instant>, new: Option<Instant>) {
        let oversleeps = {
            let mut timers = lock(&self.timers);
            let before = timers.next();
            timers.arm(u64::from(token.slot), old, new);
            new.is_some_and(|new| before.is_none_or(|before| new < before))
        };
        if oversleeps && self.sleeping.load(Ordering::Relaxed) {
            self.wake.wake();
        }
    }

    /// The leader is about to wait: how long at most. `deadline` and `now` are of the system's clock.
    /// Partner: `arm`.
    pub fn fall_asleep(&self, deadline: Option<Instant>, now: Instant) -> Option<Duration> {
        let timers = lock(&self.timers);
        self.sleeping.store(true, Ordering::Relaxed);
        let timer = timers.next().and_then(|at| self.clock.left(at, now));
        let left = deadline.map(|deadline| deadline.saturating_duration_since(now));
        match (timer, left) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, b) => a.or(b),
        }
    }

    /// The leader has waited.
    pub fn wake_up(&self) {
        self.sleeping.store(false, Ordering::Relaxed);
    }

    /// The time by which timers and timeouts go.
    #[must_use]
    pub fn now(&self) -> Instant {
        self.clock.now()
    }

    /// When the earliest timer runs out.
    #[must_use]
    pub fn next_timer(&self) -> Option<Instant> {
        lock(&self.timers).next()
    }

    /// How many timers are set.
    #[must_use]
    pub fn timers(&self) -> usize {
        lock(&self.timers).len()
    }

    /// The slot of a timer that has run out, which is taken off the list.
    pub fn due(&self, now: Instant) -> Option<(usize, Instant)> {
        let (at, slot) = lock(&self.timers).pop_due(now)?;
        Some((usize::try_from(slot).ok()?, at))
    }

    /// The sources of all timers that have run out, which are taken off the list: by their moments, and
    /// those of one moment in the order in which they were made, as if none had come at the same time.
    #[must_use]
    pub fn all_due(&self, now: Instant) -> Vec<(Instant, Arc<dyn Source>)> {
        let mut slots = Vec::new();
        {
            let mut timers = lock(&self.timers);
            while let Some((at, slot)) = timers.pop_due(now) {
                slots.push((at, slot));
            }
        }
        let registry = lock(&self.registry);
        let mut due: Vec<_> = slots
            .into_iter()
            .filter_map(|(at, slot)| {
                let (generation, source) = registry.slots.get(usize::try_from(slot).ok()?)?;
                Some((at, *generation, Arc::clone(source)))
            })
            .collect();
        due.sort_by_key(|(at, generation, _)| (*at, *generation));
        due.into_iter().map(|(at, _, source)| (at, source)).collect()
    }

    /// What may be under way between the sources and their peers.
    #[must_use]
    pub fn unrest(&self) -> Unrest {
        let sources: Vec<_> = {
            let registry = lock(&self.registry);
            let all = registry.slots.iter();
            all.map(|(_, (generation, source))| (*generation, Arc::clone(source))).collect()
        };
        let motions = sources
            .into_iter()
            .filter_map(|(generation, source)| Some((generation.get().into(), source.motion()?)));
        unrest(&motions.collect::<Vec<_>>())
    }

    /// An empty buffer with room for [`limits::READ_SIZE`].
    #[must_use]
    pub fn buffer(&self) -> Vec<u8> {
        let pooled = lock(&self.pool).pop();
        pooled.unwrap_or_else(|| Vec::with_capacity(limits::READ_SIZE))
    }

    /// Takes a buffer back for reuse, if it has the common size.
    pub fn recycle(&self, mut buffer: Vec<u8>) {
        if !(limits::READ_SIZE..=2 * limits::READ_SIZE).contains(&buffer.capacity()) {
            return;
        }
        let mut pool = lock(&self.pool);
        if pool.len() < limits::POOLED_BUFFERS {
            buffer.clear();
            pool.push(buffer);
        }
    }
}
