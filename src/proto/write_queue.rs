//! The write queue: bytes on their way to the system, with the moments at which they were queued.
//!
//! Not here: limits and sending. Small writes are put together, so that thousands of them leave in
//! one call; what is large stays as it came.
//! Invariants: bytes leave in the order in which they came; an empty queue owns no memory; `len` is
//! the sum of the chunks less `sent_of_first`; the ends of the marks grow, and each lies within
//! what is queued.

use std::collections::VecDeque;
use std::io::IoSlice;
use std::time::{Duration, Instant};

/// Up to this size writes are put together; a write that is larger by itself is not touched again.
const CHUNK: usize = 64 * 1024;
/// Bytes offered to the system at a time (measured in the design: more gains nothing).
const GATHER_BYTES: usize = 1024 * 1024;
/// Pieces offered at a time; far below what the systems accept in one call (1024).
const GATHER_SLICES: usize = 64;
/// Writes this close together share a mark, so that marks cannot pile up.
const MARK_SPAN: Duration = Duration::from_millis(10);

/// Bytes that wait to be sent. Almost always none do, and then it is one null pointer.
#[derive(Debug, Default)]
pub struct WriteQueue(Option<Box<Waiting>>);

#[derive(Debug, Default)]
struct Waiting {
    chunks: VecDeque<Vec<u8>>,
    sent_of_first: usize,
    len: usize,
    /// Bytes handed over so far; the marks count from the same origin.
    sent: u64,
    marks: VecDeque<Mark>,
}

/// Everything before `end` that no earlier mark covers was queued between `first` and `last`.
#[derive(Debug)]
struct Mark {
    end: u64,
    first: Instant,
    last: Instant,
}

impl WriteQueue {
    /// Appends a copy of `data`; with `now`, [`WriteQueue::oldest`] will know of it.
    pub fn push(&mut self, data: &[u8], now: Option<Instant>) {
        if !data.is_empty() {
            self.0.get_or_insert_default().push(data, now);
        }
    }

    /// Marks what is pending without a mark as queued now.
    pub fn stamp(&mut self, now: Instant) {
        if let Some(waiting) = &mut self.0 {
            waiting.stamp(now);
        }
    }

    /// Forgets the first `n` bytes: they were sent.
    pub fn advance(&mut self, n: usize) {
        match &mut self.0 {
            Some(waiting) if n < waiting.len => waiting.advance(n),
            _ => self.clear(),
        }
    }

    /// Forgets everything and frees the memory.
    pub fn clear(&mut self) {
        self.0 = None;
    }

    /// Gathers the beginning of the queue in `out`, which is emptied first: at most 1 MiB in at
    /// most 64 pieces.
    pub fn slices<'a>(&'a self, out: &mut Vec<IoSlice<'a>>) {
        out.clear();
        if let Some(waiting) = &self.0 {
            waiting.slices(out);
        }
    }

    /// How many bytes wait.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.as_ref().map_or(0, |waiting| waiting.len)
    }

    /// Whether none waits.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_none()
    }

    /// When the oldest write that is not completely sent was queued: never too early, at most 10 ms
    /// too late. `None` when what waits was queued without a moment.
    #[must_use]
    pub fn oldest(&self) -> Option<Instant> {
        self.0.as_ref()?.marks.front().map(|mark| mark.last)
    }
}

impl Waiting {
    fn push(&mut self, data: &[u8], now: Option<Instant>) {
        match self.chunks.back_mut() {
            Some(last) if last.len().saturating_add(data.len()) <= CHUNK => {
                last.extend_from_slice(data);
            }
            _ => self.chunks.push_back(data.to_vec()),
        }
        self.len += data.len();
        if let Some(now) = now {
            self.stamp(now);
        }
    }

    fn stamp(&mut self, now: Instant) {
        let end = self.end();
        match self.marks.back_mut() {
            Some(mark) if mark.end >= end => {}
            // The later moment wins: a deadline may come late by the span, never early (I7).
            Some(mark) if now.saturating_duration_since(mark.first) <= MARK_SPAN => {
                mark.end = end;
                mark.last = mark.last.max(now);
            }
            _ if self.len == 0 => {}
            _ => self.marks.push_back(Mark { end, first: now, last: now }),
        }
    }

    fn advance(&mut self, n: usize) {
        self.len -= n;
        self.sent = self.sent.saturating_add(wide(n));
        self.sent_of_first += n;
        while let Some(first) = self.chunks.front() {
            if self.sent_of_first < first.len() {
                break;
            }
            self.sent_of_first -= first.len();
            self.chunks.pop_front();
        }
        while self.marks.front().is_some_and(|mark| mark.end <= self.sent) {
            self.marks.pop_front();
        }
    }

    fn slices<'a>(&'a self, out: &mut Vec<IoSlice<'a>>) {
        let mut room = GATHER_BYTES;
        let mut skip = self.sent_of_first;
        for chunk in self.chunks.iter().take(GATHER_SLICES) {
            let bytes = chunk.get(skip..).unwrap_or_default();
            let bytes = bytes.get(..room).unwrap_or(bytes);
            out.push(IoSlice::new(bytes));
            room -= bytes.len();
            skip = 0;
            if room == 0 {
                break;
            }
        }
    }

    fn end(&self) -> u64 {
        self.sent.saturating_add(wide(self.len))
    }
}

fn wide(n: usize) -> u64 {
    u64::try_from(n).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gathered(queue: &WriteQueue) -> Vec<usize> {
        let mut out = Vec::new();
        queue.slices(&mut out);
        out.iter().map(|slice| slice.len()).collect()
    }

    fn owns_memory(queue: &WriteQueue) -> bool {
        queue.0.is_some()
    }

    fn marks(queue: &WriteQueue) -> usize {
        queue.0.as_ref().map_or(0, |waiting| waiting.marks.len())
    }

    #[test]
    fn small_writes_are_put_together_and_large_ones_stay_alone() {
        let mut queue = WriteQueue::default();
        for _ in 0..CHUNK {
            queue.push(b"ab", None);
        }
        assert_eq!(gathered(&queue), [CHUNK, CHUNK]);
        queue.push(&vec![0; CHUNK + 1], None);
        queue.push(b"c", None);
        assert_eq!(gathered(&queue), [CHUNK, CHUNK, CHUNK + 1, 1]);
        queue.push(&vec![0; CHUNK - 1], None);
        assert_eq!(gathered(&queue), [CHUNK, CHUNK, CHUNK + 1, CHUNK]);
    }

    #[test]
    fn what_is_gathered_is_bounded_in_bytes_and_pieces() {
        let mut queue = WriteQueue::default();
        queue.push(&vec![1; GATHER_BYTES + 5], None);
        assert_eq!(gathered(&queue), [GATHER_BYTES]);
        queue.advance(10);
        queue.push(b"abc", None);
        assert_eq!(gathered(&queue), [GATHER_BYTES - 5, 3]);
        queue.clear();
        for _ in 0..GATHER_SLICES {
            queue.push(&[0; 1], None);
            queue.push(&vec![0; CHUNK], None);
        }
        assert_eq!(gathered(&queue).iter().sum::<usize>(), GATHER_BYTES);
        queue.clear();
        for _ in 0..GATHER_SLICES {
            queue.push(&[0; 1], None);
            queue.push(&vec![0; CHUNK], None);
            queue.advance(CHUNK - 1);
        }
        assert!(gathered(&queue).len() <= GATHER_SLICES);
    }

    #[test]
    fn advancing_over_pieces_keeps_the_order() {
        let mut queue = WriteQueue::default();
        queue.push(&vec![1; CHUNK], None);
        queue.push(&vec![2; CHUNK], None);
        queue.push(&[3; 10], None);
        queue.advance(2 * CHUNK - 1);
        assert_eq!(gathered(&queue), [1, 10]);
        let mut out = Vec::new();
        queue.slices(&mut out);
        assert_eq!((&*out[0], &*out[1]), (&[2; 1][..], &[3; 10][..]));
        queue.advance(1);
        assert_eq!(gathered(&queue), [10], "no empty piece where one ended");
    }

    #[test]
    fn an_emptied_queue_owns_no_memory() {
        let now = Instant::now();
        let mut queue = WriteQueue::default();
        queue.push(b"", Some(now));
        queue.stamp(now);
        assert!(!owns_memory(&queue) && queue.oldest().is_none());
        queue.push(b"abc", Some(now));
        queue.advance(3);
        assert!(!owns_memory(&queue) && queue.is_empty() && queue.oldest().is_none());
        queue.push(b"abc", Some(now));
        queue.advance(usize::MAX);
        assert!(!owns_memory(&queue) && queue.is_empty());
        queue.advance(1);
        assert_eq!(gathered(&queue), []);
    }

    #[test]
    fn the_oldest_is_the_first_write_not_completely_sent() {
        let start = Instant::now();
        let later = start + Duration::from_secs(1);
        let mut queue = WriteQueue::default();
        queue.push(b"abc", Some(start));
        queue.push(b"def", Some(later));
        assert_eq!(queue.oldest(), Some(start));
        queue.advance(2);
        assert_eq!(queue.oldest(), Some(start));
        queue.advance(1);
        assert_eq!(queue.oldest(), Some(later));
    }

    #[test]
    fn steady_small_writes_share_marks_that_never_claim_too_early_a_moment() {
        let start = Instant::now();
        let at = |ms| start + Duration::from_millis(ms);
        let mut queue = WriteQueue::default();
        for ms in 0..1000 {
            queue.push(b"x", Some(at(ms)));
        }
        assert!(marks(&queue) <= 100, "{} marks", marks(&queue));
        for ms in 0..1000 {
            assert!(queue.oldest().is_some_and(|oldest| oldest >= at(ms) && oldest <= at(ms + 10)));
            queue.advance(1);
        }
    }

    #[test]
    fn stamping_marks_only_what_has_no_mark() {
        let start = Instant::now();
        let at = |ms| start + Duration::from_millis(ms);
        let mut queue = WriteQueue::default();
        queue.push(b"abc", None);
        assert_eq!(queue.oldest(), None);
        queue.stamp(at(0));
        queue.stamp(at(5));
        queue.stamp(at(500));
        assert_eq!(marks(&queue), 1);
        assert_eq!(queue.oldest(), Some(at(0)));
        queue.push(b"def", None);
        queue.stamp(at(700));
        assert_eq!(queue.oldest(), Some(at(0)));
        queue.advance(3);
        assert_eq!(queue.oldest(), Some(at(700)));
    }

    #[test]
    fn a_queue_is_small() {
        assert!(size_of::<WriteQueue>() <= 96);
    }
}
