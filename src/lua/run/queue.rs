//! The work that waits to be dispatched, in order.
//!
//! Not here: the dispatch (`dispatch`), and what is due (`pump`). Invariants: `work` stands in the order in
//! which it is to be dispatched; what the sources of `aside` have posted comes after it, and before what
//! is in the hub's queue.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::ffi::c_void;

use crate::limits;
use crate::proto::event::Event;
use crate::proto::token::Token;

/// Where an object lies, or nowhere. Only `ffi::block` looks there.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[repr(transparent)]
pub(in crate::lua) struct ObjectPointer(*const c_void);

impl ObjectPointer {
    pub(in crate::lua) const NOWHERE: Self = Self(std::ptr::null());

    pub(in crate::lua) fn new(address: *const c_void) -> Self {
        Self(address)
    }

    pub(in crate::lua) fn address(self) -> *const c_void {
        self.0
    }
}

/// What waits to be dispatched.
#[derive(Debug)]
pub(in crate::lua) enum Work {
    /// An event on its way to a handler.
    Event(Token, Event),
    /// `on_close` of a connection that the script has already replaced by this one; the same for each
    /// other that it has replaced follows.
    SupersededClose(Token),
    /// A deferred callback (`run::defer`): its number, and where its object lies, nowhere once that is
    /// finalised.
    Deferred(u32, ObjectPointer),
    /// A task is ready to go on (Lua knows which).
    TaskReady,
}

/// The queue.
#[derive(Debug, Default)]
pub(in crate::lua) struct Queue {
    /// Each with its number: a pump handles those up to the number that was the last when it began. What
    /// was put before all others has the number 0.
    work: RefCell<VecDeque<(u64, Work)>>,
    /// The number of the last one.
    last: Cell<u64>,
    /// How many deferred callbacks are among it.
    deferred: Cell<usize>,
    /// Tokens out of the hub's queue that have still to be served: a call waits for one object alone.
    pub(in crate::lua) aside: RefCell<VecDeque<Token>>,
}

impl Queue {
    /// Whether there is no work; the sources of `aside` may have some.
    pub(in crate::lua) fn is_empty(&self) -> bool {
        self.work.borrow().is_empty()
    }

    /// Whether anything waits on this side.
    pub(in crate::lua) fn has_work(&self) -> bool {
        !self.is_empty() || !self.aside.borrow().is_empty()
    }

    /// Whether there is any that `is_wanted`.
    pub(in crate::lua) fn has(&self, is_wanted: impl Fn(&Work) -> bool) -> bool {
        self.work.borrow().iter().any(|(_, piece)| is_wanted(piece))
    }

    /// The number of the last one.
    pub(in crate::lua) fn last(&self) -> u64 {
        self.last.get()
    }

    /// Takes the first one out, if its number is not above `to`.
    pub(in crate::lua) fn pop(&self, to: u64) -> Option<(u64, Work)> {
        let mut work = self.work.borrow_mut();
        let is_due = work.front().is_some_and(|(number, _)| *number <= to);
        self.taken(is_due.then(|| work.pop_front()).flatten())
    }

    pub(in crate::lua) fn push(&self, piece: Work) {
        let number = self.last.get() + 1;
        self.last.set(number);
        self.added(&piece);
        self.work.borrow_mut().push_back((number, piece));
    }

    fn added(&self, piece: &Work) {
        if matches!(piece, Work::Deferred(..)) {
            self.deferred.set(self.deferred.get() + 1);
        }
    }

    fn taken(&self, piece: Option<(u64, Work)>) -> Option<(u64, Work)> {
        if matches!(piece, Some((_, Work::Deferred(..)))) {
            self.deferred.set(self.deferred.get().saturating_sub(1));
        }
        piece
    }

    /// How many deferred callbacks wait: `run` goes on for them.
    pub(in crate::lua) fn deferred(&self) -> usize {
        self.deferred.get()
    }

    /// The first piece numbered `from` to `to`, or put before all others, that `is_wanted`, taken out,
    /// and its number.
    pub(in crate::lua) fn pick(
        &self,
        from: u64,
        to: u64,
        is_wanted: impl Fn(&Work) -> bool,
    ) -> Option<(u64, Work)> {
        let mut work = self.work.borrow_mut();
        let mut ahead = work.iter().take_while(|(number, _)| *number == 0);
        if let Some(place) = ahead.position(|(_, piece)| is_wanted(piece)) {
            return self.taken(work.remove(place));
        }
        let start = work.partition_point(|(number, _)| *number < from);
        let found =
            work.range(start..).position(|(number, piece)| *number > to || is_wanted(piece));
        let place = start + found?;
        let is_due = work.get(place).is_some_and(|(number, _)| *number <= to);
        self.taken(is_due.then(|| work.remove(place)).flatten())
    }

    /// Takes the events of one connection out, in order.
    pub(in crate::lua) fn pull(&self, token: Token) -> Vec<Work> {
        let mut work = self.work.borrow_mut();
        let is_its = |piece: &Work| matches!(piece, Work::Event(of, _) if *of == token);
        let mut pulled = Vec::new();
        while let Some(place) = work.iter().position(|(_, piece)| is_its(piece)) {
            pulled.extend(work.remove(place).map(|(_, piece)| piece));
        }
        pulled
    }

    /// Drops all of it; the numbers of the deferred callbacks among it.
    pub(in crate::lua) fn clear(&self) -> Vec<u32> {
        self.deferred.set(0);
        let number = |(_, piece)| match piece {
            Work::Deferred(number, _) => Some(number),
            _ => None,
        };
        self.work.borrow_mut().drain(..).filter_map(number).collect()
    }

    /// Gives back the memory that a burst has taken.
    pub(in crate::lua) fn shrink(&self) {
        let mut work = self.work.borrow_mut();
        if work.capacity() > limits::ITEMS_KEPT && work.is_empty() {
            *work = VecDeque::new();
        }
    }

    /// Puts a piece before all others. Every pump that runs handles it, since it belongs to an event that was
    /// there when they began.
    pub(in crate::lua) fn push_next(&self, piece: Work) {
        self.added(&piece);
        self.work.borrow_mut().push_front((0, piece));
    }

    /// The object is being finalised: its deferred callbacks are nobody's.
    pub(in crate::lua) fn forget_deferred(&self, object: ObjectPointer) {
        for (_, piece) in self.work.borrow_mut().iter_mut() {
            if let Work::Deferred(_, place) = piece
                && *place == object
            {
                *place = ObjectPointer::NOWHERE;
            }
        }
    }
}
