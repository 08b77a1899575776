//! The connection count of a server: how many there are and how much they hold, and who waits until that
//! is less.
//!
//! Not here: accepting (`listener`), reading (`stream`). Shared by the listeners of a server and its
//! connections, each of which holds a guard.
//! Memory: a connection is weighed in whole steps, so small messages touch nothing shared. It may grow
//! to what is free, alone to half of the bound: the largest stop first, small ones are served.
//! When hardly anything is free, new connections wait, too.

use std::collections::BTreeSet;
use std::sync::Weak;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering, fence};

use crate::limits;
use crate::limits::MEMORY_STEP as STEP;
use crate::net::hub::{Hub, Message};
use crate::proto::token::Token;
use crate::sync::{Arc, Mutex, lock};

/// What the connections of one server share.
#[derive(Debug)]
pub struct ConnectionCount {
    open: AtomicUsize,
    totals: Totals,
    /// 0: any number.
    most: AtomicUsize,
    hub: Weak<Hub>,
    /// Listeners that stopped because the server is full. Partners: `CountGuard::drop`, `set_most`.
    stopped: Mutex<Vec<Token>>,
    memory: Memory,
}

/// What has been, since the server listens.
#[derive(Debug, Default)]
struct Totals {
    accepted: AtomicU64,
    refused: AtomicU64,
    /// Of connections that are over.
    bytes_in: AtomicU64,
    bytes_out: AtomicU64,
}

#[derive(Debug)]
struct Memory {
    /// 0: no bound.
    limit: AtomicUsize,
    used: AtomicUsize,
    /// Connections that are not read from, with their weights, and the least of these.
    stalled: Mutex<BTreeSet<(usize, u64)>>,
    least: AtomicUsize,
    /// A listener has stopped because of memory.
    shut: AtomicBool,
    /// The script is to be notified, by the first listener, and was; once until half is free.
    notice: AtomicBool,
    notified: AtomicBool,
    first: Mutex<Option<Token>>,
}

impl ConnectionCount {
    /// `most`, `memory` = 0: any number.
    #[must_use]
    pub fn new(hub: &Arc<Hub>, most: usize, memory: usize) -> Arc<Self> {
        Arc::new(Self {
            open: AtomicUsize::new(0),
            totals: Totals::default(),
            most: AtomicUsize::new(most),
            hub: Arc::downgrade(hub),
            stopped: Mutex::new(Vec::new()),
            memory: Memory {
                limit: AtomicUsize::new(memory),
                used: AtomicUsize::new(0),
                stalled: Mutex::new(BTreeSet::new()),
                least: AtomicUsize::new(usize::MAX),
                shut: AtomicBool::new(false),
                notice: AtomicBool::new(false),
                notified: AtomicBool::new(false),
                first: Mutex::new(None),
            },
        })
    }

    /// Connections that are open.
    #[must_use]
    pub fn open(&self) -> usize {
        self.open.load(Ordering::Relaxed)
    }

    /// How many connections were accepted, and how many turned away.
    #[must_use]
    pub fn accepted(&self) -> (u64, u64) {
        let Totals { accepted, refused, .. } = &self.totals;
        (accepted.load(Ordering::Relaxed), refused.load(Ordering::Relaxed))
    }

    /// Bytes received from and sent to those that are over.
    #[must_use]
    pub fn bytes_moved(&self) -> (u64, u64) {
        let Totals { bytes_in, bytes_out, .. } = &self.totals;
        (bytes_in.load(Ordering::Relaxed), bytes_out.load(Ordering::Relaxed))
    }

    /// So many more were turned away.
    pub(super) fn refuse(&self, count: usize) {
        self.totals.refused.fetch_add(count as u64, Ordering::Relaxed);
    }

    /// Changes how many there may be; those that are open stay. 0: any number.
    pub fn set_most(&self, most: usize) {
        self.most.store(most, Ordering::Release);
        self.call_listeners();
    }

    /// Changes how many bytes they may hold; none is lost. 0: any number.
    pub fn set_memory(&self, limit: usize) {
        self.memory.limit.store(limit, Ordering::Release);
        self.call_streams(usize::MAX);
        self.call_listeners();
    }

    /// A place for one more connection, whatever the bound.
    pub(super) fn enter(self: &Arc<Self>) -> CountGuard {
        self.open.fetch_add(1, Ordering::Relaxed);
        self.totals.accepted.fetch_add(1, Ordering::Relaxed);
        CountGuard { count: Arc::clone(self), weight: 0, stalled: None }
    }

    /// Whether one more may come in. If not, the listener is told once that may have changed.
    pub(super) fn has_room(&self, listener: Token) -> bool {
        if !self.is_full() && !self.is_pressed() {
            return true;
        }
        // Said before looking again, so that a connection ending in between wakes the leader.
        let mut stopped = lock(&self.stopped);
        if !stopped.contains(&listener) {
            stopped.push(listener);
        }
        if self.is_pressed() {
            self.memory.shut.store(true, Ordering::Relaxed);
            self.press();
            // Partner: `lighten`.
            fence(Ordering::SeqCst);
        }
        !self.is_full() && !self.is_pressed()
    }

    /// The listener that tells the script what concerns all of them; the first stays it.
    pub(super) fn set_first(&self, listener: Token) {
        lock(&self.memory.first).get_or_insert(listener);
    }

    /// Whether the script is to be told that there is too much in memory, and how much is.
    pub(super) fn take_notice(&self) -> Option<usize> {
        let due = self.memory.notice.load(Ordering::Relaxed)
            && self.memory.notice.swap(false, Ordering::AcqRel);
        due.then(|| self.memory.used.load(Ordering::Relaxed))
    }

    /// Whether somebody waits for memory.
    #[must_use]
    pub fn is_waited_for(&self) -> bool {
        self.memory.shut.load(Ordering::Relaxed)
            || self.memory.least.load(Ordering::Relaxed) < usize::MAX
    }

    fn is_full(&self) -> bool {
        let most = self.most.load(Ordering::Acquire);
        most > 0 && self.open.load(Ordering::Acquire) >= most
    }

    /// If so: how many are open, and how many may be.
    pub(super) fn full(&self) -> Option<(usize, usize)> {
        self.is_full().then(|| (self.open(), self.most.load(Ordering::Relaxed)))
    }

    /// Whether there is hardly any memory left.
    fn is_pressed(&self) -> bool {
        let limit = self.memory.limit.load(Ordering::Acquire);
        limit > 0 && self.free() < limits::READ_SIZE.min(limit / 64)
    }

    /// Bytes that may still be held.
    fn free(&self) -> usize {
        match self.memory.limit.load(Ordering::Acquire) {
            0 => usize::MAX / 2,
            limit => limit.saturating_sub(self.memory.used.load(Ordering::Acquire)),
        }
    }

    /// Somebody has to wait for memory: the script's side looks how much it has read meanwhile, and
    /// the script is told.
    fn press(&self) {
        let Some(hub) = self.hub.upgrade() else { return };
        hub.pressed.store(true, Ordering::Release);
        if self.memory.notified.swap(true, Ordering::AcqRel) {
            return;
        }
        self.memory.notice.store(true, Ordering::Release);
        if let Some(first) = *lock(&self.memory.first) {
            hub.send(first, Message::Recheck);
        }
    }

    /// Less is held than before.
    fn lighten(&self) {
        // Whoever waits has said so before looking again: partners are `has_room` and `CountGuard::weigh`.
        fence(Ordering::SeqCst);
        let free = self.free();
        if self.memory.least.load(Ordering::Relaxed) <= free / 2 {
            self.call_streams(free / 2);
        }
        if self.memory.shut.load(Ordering::Relaxed)
            && !self.is_pressed()
            && self.memory.shut.swap(false, Ordering::AcqRel)
        {
            self.call_listeners();
        }
        if free >= self.memory.limit.load(Ordering::Relaxed) / 2
            && self.memory.notified.load(Ordering::Relaxed)
        {
            self.memory.notified.store(false, Ordering::Relaxed);
        }
    }

    /// Those that hold at most so much look whether they may go on.
    fn call_streams(&self, most: usize) {
        let Some(hub) = self.hub.upgrade() else { return };
        let mut stalled = lock(&self.memory.stalled);
        while stalled.first().is_some_and(|(weight, _)| *weight <= most) {
            if let Some((_, bits)) = stalled.pop_first() {
                hub.send(Token::from_bits(bits), Message::Recheck);
            }
        }
        self.note_least(&stalled);
    }

    fn note_least(&self, stalled: &BTreeSet<(usize, u64)>) {
        let least = stalled.first().map_or(usize::MAX, |(weight, _)| *weight);
        self.memory.least.store(least, Ordering::Relaxed);
    }

    fn call_listeners(&self) {
        let Some(hub) = self.hub.upgrade() else { return };
        for token in lock(&self.stopped).drain(..) {
            hub.send(token, Message::Recheck);
        }
    }
}

/// Held by an accepted connection while it is open.
#[derive(Debug)]
pub struct CountGuard {
    count: Arc<ConnectionCount>,
    /// What the connection holds, in whole steps.
    weight: usize,
    /// Too much for what is free: nothing is read. Under that name the count calls it.
    stalled: Option<Token>,
}

impl CountGuard {
    /// The connection holds so many bytes.
    #[inline]
    pub(super) fn weigh(&mut self, token: Token, held: usize) {
        let weight = held - held % STEP;
        if weight != self.weight || self.stalled.is_some() {
            self.put(token, weight);
        }
    }

    /// The connection is over and has moved so many bytes.
    pub(super) fn note_moved(&self, bytes_in: u64, bytes_out: u64) {
        let totals = &self.count.totals;
        totals.bytes_in.fetch_add(bytes_in, Ordering::Relaxed);
        totals.bytes_out.fetch_add(bytes_out, Ordering::Relaxed);
    }

    fn put(&mut self, token: Token, weight: usize) {
        let before = std::mem::replace(&mut self.weight, weight);
        let was_stalled = self.leave(before);
        let memory = &self.count.memory;
        if weight > before {
            memory.used.fetch_add(weight - before, Ordering::AcqRel);
        } else {
            memory.used.fetch_sub(before - weight, Ordering::AcqRel);
        }
        // One that has stopped goes on later than it would stop: it does not stop again at once.
        let free = self.count.free();
        let grows = weight > before && weight > free;
        if weight > 0 && (grows || was_stalled && weight > free / 2) {
            {
                let mut stalled = lock(&memory.stalled);
                stalled.insert((weight, token.to_bits()));
                self.count.note_least(&stalled);
            }
            // Partner: `lighten`.
            fence(Ordering::SeqCst);
            self.stalled = Some(token);
            self.count.press();
            if weight <= self.count.free() / 2 {
                self.count.call_streams(weight);
            }
        }
        if weight < before {
            self.count.lighten();
        }
    }

    /// It stands among the stalled ones no more, if it did, with that weight.
    fn leave(&mut self, weight: usize) -> bool {
        let Some(token) = self.stalled.take() else { return false };
        let mut stalled = lock(&self.count.memory.stalled);
        stalled.remove(&(weight, token.to_bits()));
        self.count.note_least(&stalled);
        true
    }

    /// Whether the connection holds too much to be read from.
    pub(super) fn is_stalled(&self) -> bool {
        self.stalled.is_some()
    }

    /// How much may be read at a time: until it holds as much as would be free then.
    pub(super) fn allowance(&self) -> usize {
        (self.count.free().saturating_sub(self.weight) / 2).max(STEP)
    }

    /// Whether a frame of so many bytes can't come whole, whatever the others do.
    pub(super) fn refuses(&self, wanted: usize) -> bool {
        let limit = self.count.memory.limit.load(Ordering::Relaxed);
        limit > 0 && wanted > limit / 2
    }
}

impl Drop for CountGuard {
    fn drop(&mut self) {
        self.leave(self.weight);
        let Self { count, weight, .. } = self;
        count.open.fetch_sub(1, Ordering::AcqRel);
        if *weight > 0 {
            count.memory.used.fetch_sub(*weight, Ordering::AcqRel);
            count.lighten();
        }
        if count.most.load(Ordering::Acquire) > 0 {
            count.call_listeners();
        }
    }
}
