//! What waits to be sent on a connection, and what the script is to hear of it.
//!
//! Not here: sending, and encrypting (`net`): what a handshake holds back waits elsewhere, as plain text,
//! and counts here as `held`.
//! Invariants: a mark is passed when everything written before it is with the system; the end of stream
//! is sent once, behind everything; what was written is sent or known to be lost.

use std::collections::VecDeque;
use std::io::IoSlice;
use std::sync::LazyLock;
use std::time::Instant;

use crate::error::{Code, Error, Result};
use crate::proto::lazy::Blank;
use crate::proto::write_queue::WriteQueue;

/// The write queue of a connection with its counters.
#[expect(clippy::struct_excessive_bools, reason = "facts that do not depend on each other")]
#[derive(Debug, Default)]
pub struct Outbound {
    queue: WriteQueue,
    /// The end of stream follows the queue.
    eof_due: bool,
    eof_sent: bool,
    /// More than `drain_at` bytes have waited.
    high: bool,
    /// The system took less than it was offered, and nothing was queued: the script is to hear of room.
    short: bool,
    /// Something that was written was dropped.
    lost: bool,
    /// Somebody waits for the queue to move.
    watched: bool,
    /// Writing has failed, and reading is to tell how the connection ended.
    broken: Option<Box<Error>>,
    total: u64,
    marks: Option<Box<Marks>>,
}

/// Places between writes whose passing the script wants to hear of.
#[derive(Debug, Default)]
struct Marks {
    /// Ascending, in bytes since the connection began, and how many marks are there.
    places: VecDeque<(u64, u32)>,
    /// Behind what waits for a handshake: how long that will be is not known before.
    held: u32,
}

/// What the script is to hear after some of the queue has left.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Moved {
    /// That it moved, for whoever waits for that.
    pub sent: bool,
    /// That it fell to `drain_at`, or that there is room again for what fell short.
    pub drained: bool,
}

impl Blank for Outbound {
    fn blank() -> &'static Self {
        static BLANK: LazyLock<Outbound> = LazyLock::new(Outbound::default);
        &BLANK
    }
}

impl Outbound {
    /// Whether so many bytes more may wait. What nothing waits before is taken whatever its size.
    ///
    /// # Errors
    /// `EAGAIN`: it is too much.
    pub fn check_room(&self, held: usize, more: usize, write_limit: usize) -> Result<()> {
        let waiting = self.queue.len() + held;
        if waiting > 0 && waiting.saturating_add(more) > write_limit {
            let text = format!("write: {waiting} bytes wait already (write_limit)");
            return Err(Error::new(Code::Again, text));
        }
        Ok(())
    }

    /// Queues the parts, of which the first `sent` bytes are with the system; `now` if their age
    /// matters.
    pub fn push(&mut self, parts: &[&[u8]], sent: usize, now: Option<Instant>, drain_at: usize) {
        let mut sent = sent;
        for part in parts {
            let skip = sent.min(part.len());
            sent -= skip;
            if let Some(rest) = part.get(skip..).filter(|rest| !rest.is_empty()) {
                self.queue.push(rest, now);
            }
        }
        self.note_waiting(self.queue.len(), drain_at);
    }

    /// So many bytes wait: above `drain_at` the script is to hear when it is less.
    pub fn note_waiting(&mut self, waiting: usize, drain_at: usize) {
        self.high |= waiting > drain_at;
    }

    /// So many bytes went past the queue.
    pub fn sent(&mut self, count: usize) {
        self.total += count as u64;
    }

    /// So many bytes of the queue are with the system.
    pub fn advance(&mut self, count: usize) {
        self.queue.advance(count);
        self.sent(count);
    }

    /// The system took less than it was offered.
    pub fn fall_short(&mut self) {
        self.short = true;
    }

    /// Whether the script is to hear of room although nothing waits.
    #[must_use]
    pub fn is_short(&self) -> bool {
        self.short
    }

    /// After some of the queue has left, or all of it was given up, or the system has room.
    pub fn moved(&mut self, drain_at: usize) -> Moved {
        let has_room = self.short && self.queue.is_empty();
        self.short &= !has_room;
        let is_low = self.high && self.queue.len() <= drain_at;
        self.high &= !is_low;
        let drained = is_low || has_room;
        Moved { sent: std::mem::take(&mut self.watched), drained }
    }

    /// Marks the place behind everything that was written; `held`: that waits for a handshake.
    pub fn mark(&mut self, held: bool) {
        let place = self.place();
        let marks = self.marks.get_or_insert_default();
        if held {
            marks.held = marks.held.saturating_add(1);
        } else {
            marks.add(place, 1);
        }
    }

    /// What a handshake held is in the queue: its marks have their place.
    pub fn place_held_marks(&mut self) {
        let place = self.place();
        if let Some(marks) = &mut self.marks {
            let held = std::mem::take(&mut marks.held);
            marks.add(place, held);
        }
    }

    /// How many marks of one place have been passed; 0: the next one has not.
    pub fn take_passed(&mut self) -> u32 {
        let Some(marks) = &mut self.marks else { return 0 };
        let next = marks.places.front().copied();
        let Some((_, count)) = next.filter(|(place, _)| *place <= self.total) else { return 0 };
        marks.places.pop_front();
        if marks.places.is_empty() && marks.held == 0 {
            self.marks = None;
        }
        count
    }

    /// The end of stream is to follow.
    pub fn send_eof(&mut self) {
        self.eof_due = true;
        self.short = false;
    }

    /// Whether the end of stream is to be sent now: it follows, and nothing waits before it. Once.
    pub fn take_eof(&mut self, held: usize) -> bool {
        let due = self.eof_due && !self.eof_sent && self.queue.is_empty() && held == 0;
        self.eof_sent |= due;
        due
    }

    /// Writing has failed, and reading is to tell why: what waits is dropped.
    pub fn fail(&mut self, error: Error) {
        self.queue.clear();
        self.lost = true;
        self.high = false;
        self.short = false;
        self.marks = None;
        self.broken = Some(Box::new(error));
    }

    /// Why writing has failed; from now on that is known.
    pub fn take_failure(&mut self) -> Option<Box<Error>> {
        self.broken.take()
    }

    /// Something that was written is dropped.
    pub fn lose(&mut self) {
        self.lost = true;
    }

    /// The connection is over: what waits is dropped.
    pub fn drop_queue(&mut self) {
        self.lost |= !self.queue.is_empty();
        self.queue.clear();
    }

    /// From now on what waits is to be sent within a time.
    pub fn stamp(&mut self, now: Instant) {
        self.queue.stamp(now);
    }

    /// The queue itself, to be encrypted first.
    pub fn take_queue(&mut self) -> WriteQueue {
        std::mem::take(&mut self.queue)
    }

    /// Somebody waits for the queue to move, or nobody any more.
    pub fn set_watched(&mut self, watched: bool) {
        self.watched = watched;
    }

    /// Bytes that wait.
    #[must_use]
    pub fn len(&self) -> usize {
        self.queue.len()
    }

    /// Whether none waits.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }

    /// What is to be sent next.
    pub fn slices<'a>(&'a self, out: &mut Vec<IoSlice<'a>>) {
        self.queue.slices(out);
    }

    /// When the oldest of what waits was queued, if that matters.
    #[must_use]
    pub fn oldest(&self) -> Option<Instant> {
        self.queue.oldest()
    }

    /// Bytes that the system has taken since the connection began.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.total
    }

    /// Whether nothing can be written any more.
    #[must_use]
    pub fn is_shut(&self) -> bool {
        self.eof_due
    }

    /// Whether the end of stream was sent.
    #[must_use]
    pub fn has_sent_eof(&self) -> bool {
        self.eof_sent
    }

    /// Why writing has failed, as long as reading has not told.
    #[must_use]
    pub fn failure(&self) -> Option<&Error> {
        self.broken.as_deref()
    }

    /// Whether something that was written was dropped.
    #[must_use]
    pub fn has_lost(&self) -> bool {
        self.lost
    }

    /// The place behind everything that was written.
    fn place(&self) -> u64 {
        self.total.saturating_add(u64::try_from(self.queue.len()).unwrap_or(u64::MAX))
    }
}

impl Marks {
    fn add(&mut self, place: u64, count: u32) {
        match self.places.back_mut() {
            Some((last, marks)) if *last == place => *marks = marks.saturating_add(count),
            _ if count > 0 => self.places.push_back((place, count)),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    const DRAIN_AT: usize = 10;

    fn queued(count: usize) -> Outbound {
        let mut outbound = Outbound::default();
        outbound.push(&[&vec![b'x'; count]], 0, None, DRAIN_AT);
        outbound
    }

    fn failed() -> Error {
        Error::new(Code::ConnectionReset, "write: reset")
    }

    #[test]
    fn what_nothing_waits_before_is_taken_whatever_its_size() {
        assert!(Outbound::default().check_room(0, 1000, 100).is_ok());
    }

    #[test]
    fn more_than_the_limit_may_not_wait_encrypted_or_held() {
        let outbound = queued(60);
        assert!(outbound.check_room(0, 40, 100).is_ok());
        let error = outbound.check_room(0, 41, 100).unwrap_err();
        let text = "write: 60 bytes wait already (write_limit)";
        assert_eq!((error.code(), error.message()), (Code::Again, text));
        assert!(outbound.check_room(1, 40, 100).is_err());
        assert!(Outbound::default().check_room(1, 100, 100).is_err());
    }

    #[test]
    fn what_the_system_took_at_once_is_not_queued() {
        let mut outbound = Outbound::default();
        outbound.push(&[b"abc", b"", b"def"], 4, None, DRAIN_AT);
        let mut slices = Vec::new();
        outbound.slices(&mut slices);
        assert_eq!(slices.iter().flat_map(|slice| slice.to_vec()).collect::<Vec<_>>(), b"ef");
        let mut outbound = Outbound::default();
        outbound.push(&[b"abc"], usize::MAX, None, DRAIN_AT);
        assert!(outbound.is_empty());
    }

    #[test]
    fn the_script_hears_once_when_the_queue_falls_to_drain_at() {
        let mut outbound = queued(DRAIN_AT + 2);
        let drained = |outbound: &mut Outbound| outbound.moved(DRAIN_AT).drained;
        outbound.advance(1);
        assert!(!drained(&mut outbound));
        outbound.advance(1);
        assert!(drained(&mut outbound));
        outbound.advance(1);
        assert!(!drained(&mut outbound));
    }

    #[test]
    fn it_does_not_when_no_more_than_that_has_waited() {
        let mut outbound = queued(DRAIN_AT);
        outbound.advance(DRAIN_AT);
        assert!(!outbound.moved(DRAIN_AT).drained);
        // What a handshake holds has waited, too.
        outbound.note_waiting(DRAIN_AT + 1, DRAIN_AT);
        assert!(outbound.moved(DRAIN_AT).drained);
    }

    #[test]
    fn the_script_hears_once_of_room_for_what_fell_short() {
        let mut outbound = Outbound::default();
        let drained = |outbound: &mut Outbound| outbound.moved(DRAIN_AT).drained;
        outbound.fall_short();
        assert!(outbound.is_short() && drained(&mut outbound));
        assert!(!outbound.is_short() && !drained(&mut outbound));
        // What waits goes first, however little it is.
        let mut outbound = queued(2);
        outbound.fall_short();
        outbound.advance(1);
        assert!(!drained(&mut outbound));
        outbound.advance(1);
        assert!(drained(&mut outbound));
    }

    #[test]
    fn there_is_no_room_to_hear_of_once_nothing_can_be_written() {
        let mut outbound = Outbound::default();
        outbound.fall_short();
        outbound.send_eof();
        assert!(!outbound.is_short());
        let mut outbound = Outbound::default();
        outbound.fall_short();
        outbound.fail(failed());
        assert!(!outbound.is_short() && !outbound.moved(DRAIN_AT).drained);
    }

    #[test]
    fn whoever_waits_for_the_queue_to_move_hears_of_it_once() {
        let mut outbound = queued(2);
        outbound.set_watched(true);
        outbound.advance(1);
        assert!(outbound.moved(DRAIN_AT).sent && !outbound.moved(DRAIN_AT).sent);
    }

    #[test]
    fn a_mark_is_passed_when_everything_before_it_is_with_the_system() {
        let mut outbound = queued(2);
        outbound.mark(false);
        outbound.mark(false);
        outbound.push(&[b"x"], 0, None, DRAIN_AT);
        outbound.mark(false);
        outbound.advance(1);
        assert_eq!(outbound.take_passed(), 0);
        outbound.advance(1);
        assert_eq!([outbound.take_passed(), outbound.take_passed()], [2, 0]);
        outbound.advance(1);
        assert_eq!([outbound.take_passed(), outbound.take_passed()], [1, 0]);
        assert!(outbound.marks.is_none());
        // Nothing waits before this one.
        outbound.mark(false);
        assert_eq!(outbound.take_passed(), 1);
    }

    #[test]
    fn marks_behind_a_handshake_are_placed_when_what_it_held_is_in_the_queue() {
        let mut outbound = Outbound::default();
        outbound.mark(true);
        outbound.mark(true);
        assert_eq!(outbound.take_passed(), 0);
        outbound.push(&[b"cipher"], 0, None, DRAIN_AT);
        outbound.place_held_marks();
        assert_eq!(outbound.take_passed(), 0);
        outbound.advance(6);
        assert_eq!(outbound.take_passed(), 2);
    }

    #[test]
    fn the_end_of_stream_is_sent_once_behind_everything() {
        let mut outbound = queued(1);
        assert!(!outbound.take_eof(0));
        outbound.send_eof();
        assert!(outbound.is_shut() && !outbound.take_eof(0));
        outbound.advance(1);
        assert!(!outbound.take_eof(1) && !outbound.has_sent_eof());
        assert!(outbound.take_eof(0) && !outbound.take_eof(0));
        assert!(outbound.has_sent_eof());
    }

    #[test]
    fn a_failure_drops_what_waits_and_is_told_once() {
        let mut outbound = queued(DRAIN_AT + 1);
        outbound.mark(false);
        outbound.fail(failed());
        assert!(outbound.is_empty() && outbound.has_lost());
        assert!(outbound.marks.is_none() && !outbound.moved(DRAIN_AT).drained);
        assert_eq!(outbound.failure(), Some(&failed()));
        assert_eq!(outbound.take_failure().as_deref(), Some(&failed()));
        assert_eq!(outbound.failure(), None);
        assert_eq!(outbound.take_failure(), None);
    }

    #[test]
    fn what_was_not_sent_when_the_connection_ended_is_known_to_be_lost() {
        let mut outbound = queued(1);
        outbound.drop_queue();
        assert!(outbound.is_empty() && outbound.has_lost());
        let mut outbound = queued(1);
        outbound.advance(1);
        outbound.drop_queue();
        assert!(!outbound.has_lost());
    }
}
