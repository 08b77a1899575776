//! The read buffer, the bytes that a script can read: the front buffer of a socket.
//!
//! Not here: sockets, limits, Lua. Bytes come in hidden ([`ReadBuffer::refill`]), become visible
//! when the script is told of them ([`ReadBuffer::reveal`]), and leave as ranges of the storage, so
//! that the caller can copy them straight into a Lua string.
//!
//! Invariants:
//! * `head <= visible <= storage.len()`: read, visible, hidden.
//! * A pin holds the storage: no byte of it is changed, moved or freed: bytes are at most added behind
//!   it where they fit. A finaliser of the script may call anything while the string is made.
//! * Positions count all bytes since the beginning and only grow, so what was scanned stays true
//!   whatever is read meanwhile.
//! * No byte is scanned twice for one delimiter (but the few at the end that may begin one).

use std::mem;
use std::ops::Range;
use std::sync::LazyLock;

use crate::proto::framing;
use crate::proto::framing::{CHUNK, LineEnd};
pub use crate::proto::held::Held;
use crate::proto::held::Longest;
use crate::proto::lazy::Blank;

/// A storage that grew beyond this is given up when most of it is no longer needed.
const KEPT_CAPACITY: usize = 64 * 1024;
/// What "most" means: less than one part in so many is in use.
const SPARSE: usize = 8;

/// Received bytes, from which lines and blocks are taken.
///
/// A range returned by a taking method or [`ReadBuffer::peek`] is good for [`ReadBuffer::bytes`]
/// until the next method that needs `&mut self` other than [`ReadBuffer::pin`].
#[derive(Debug, Default)]
pub struct ReadBuffer {
    storage: Vec<u8>,
    head: usize,
    visible: usize,
    /// Stream position of `head`.
    taken: u64,
    /// What `scanned` speaks of.
    sought: Sought,
    /// Stream positions at which the sought delimiter does not start.
    scanned: Range<u64>,
    /// The last read took a run of CR and LF that may go on.
    after_any: bool,
    /// The last line ended with a CR, and nothing is visible behind it: a LF that comes next belongs
    /// to it.
    after_return: bool,
    /// How many pins keep the storage where it is; those of finalisers nest.
    pins: u32,
    longest: Longest,
    rare: Option<Box<Rare>>,
}

/// What most buffers never need.
#[derive(Debug, Default)]
struct Rare {
    /// The text that `Sought::Text` means.
    text: Vec<u8>,
    /// Storages that were replaced while pinned.
    retired: Vec<Vec<u8>>,
}

#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
enum Sought {
    #[default]
    Nothing,
    Line(LineEnd),
    Text,
}

impl Blank for ReadBuffer {
    fn blank() -> &'static Self {
        static BLANK: LazyLock<ReadBuffer> = LazyLock::new(ReadBuffer::default);
        &BLANK
    }
}

impl ReadBuffer {
    /// Takes all bytes of `incoming` as hidden ones behind the present ones; `incoming` is left
    /// empty, perhaps with memory to be used again.
    pub fn refill(&mut self, incoming: &mut Vec<u8>) {
        if incoming.is_empty() {
            return;
        }
        if self.holds_nothing() {
            self.head = 0;
            self.visible = 0;
            if self.pins > 0 {
                let old = mem::take(&mut self.storage);
                self.retire(old);
            }
            mem::swap(&mut self.storage, incoming);
            incoming.clear();
            return;
        }
        self.make_room(incoming.len());
        self.storage.append(incoming);
    }

    /// Makes `n` more hidden bytes visible, as far as there are so many; how many can be read more
    /// than before.
    pub fn reveal(&mut self, n: usize) -> usize {
        let before = self.len();
        self.visible = self.visible.saturating_add(n).min(self.storage.len());
        self.drop_feed();
        self.len() - before
    }

    /// From now on no line or block of more bytes, with its end, is taken: where one comes next, nothing
    /// is found.
    pub fn set_longest(&mut self, longest: usize) {
        self.longest = Longest(longest);
    }

    /// All bytes, hidden ones too.
    #[must_use]
    pub fn everything(&self) -> &[u8] {
        self.bytes(self.head..self.storage.len())
    }

    /// Drops the visible bytes.
    pub fn forget(&mut self) {
        self.consume(self.len());
        self.after_return = false;
    }

    /// Drops all bytes and what the last read left to do.
    pub fn clear(&mut self) {
        self.visible = self.storage.len();
        self.consume(self.len());
        self.after_any = false;
        self.after_return = false;
        if self.pins == 0 {
            self.head = 0;
            self.visible = 0;
            self.storage = Vec::new();
            self.rare = None;
            self.sought = Sought::Nothing;
        }
    }

    /// Takes up to `n` bytes.
    pub fn take(&mut self, n: usize) -> Range<usize> {
        self.consume(n.min(self.len()))
    }

    /// Takes all visible bytes.
    pub fn take_all(&mut self) -> Range<usize> {
        self.consume(self.len())
    }

    /// Takes `n` bytes, or none if there are fewer.
    pub fn take_exact(&mut self, n: usize) -> Option<Range<usize>> {
        (n <= self.len() && n <= self.longest.0).then(|| self.consume(n))
    }

    /// Takes a line and the end behind it; the range is the line alone.
    ///
    /// A run of [`LineEnd::Any`] that reaches the end of the visible bytes may go on in what comes
    /// later: the next such read drops the rest of it first, also if it then finds no line. A LF that
    /// belongs to the CR of [`LineEnd::Each`] is dropped as it becomes visible: no read sees it.
    pub fn take_line(&mut self, end: LineEnd) -> Option<Range<usize>> {
        self.line_in(end, self.visible, usize::MAX)
    }

    /// As [`ReadBuffer::take_line`], for a line that ends at or before the position `stop`.
    pub fn take_line_before(&mut self, end: LineEnd, stop: u64) -> Option<Range<usize>> {
        self.take_short_line(end, stop, usize::MAX)
    }

    /// As [`ReadBuffer::take_line_before`], for a line of at most `most` bytes.
    pub fn take_short_line(
        &mut self,
        end: LineEnd,
        stop: u64,
        most: usize,
    ) -> Option<Range<usize>> {
        self.line_in(end, self.before(stop), most)
    }

    /// Finds the lines that [`ReadBuffer::take_line_before`] would give one after another, as far as
    /// they lie in the next `most` bytes, and takes none. `note` is told where each
    /// begins, counted from the next byte, and how long it is, and says whether to go on. Returns how
    /// many bytes would be taken.
    ///
    /// A line whose end is the last of these bytes, and what follows a run that may go on, is left to
    /// a read of its own: taking the others is no more than taking their bytes.
    pub fn lines_ahead(
        &self,
        end: LineEnd,
        stop: u64,
        most: usize,
        places_in: impl Fn(&[u8; CHUNK], u8) -> u64,
        note: impl FnMut(usize, usize) -> bool,
    ) -> usize {
        if end == LineEnd::Any && self.after_any {
            return 0;
        }
        let limit = self.before(stop).min(self.head.saturating_add(most));
        let window = self.bytes(self.head..limit);
        let from = self.unscanned(Sought::Line(end), 0);
        framing::find_lines(window, end, (from, self.longest.0), places_in, note)
    }

    /// Takes everything up to `text` and the text itself, which is part of the range if `keep`.
    ///
    /// An empty text is never found.
    pub fn take_until(&mut self, text: &[u8], keep: bool) -> Option<Range<usize>> {
        if text.is_empty() {
            return None;
        }
        let Some(length) = self.find_text(text, 0) else {
            self.remember_text(text, 0, self.clean_without(text.len()));
            return None;
        };
        if length + text.len() > self.longest.0 {
            return None;
        }
        let mut range = self.consume(length + text.len());
        if !keep {
            range.end = range.start + length;
        }
        Some(range)
    }

    /// The index, counted from 1, at which `text` first occurs at or after `start`.
    pub fn search(&mut self, text: &[u8], start: usize) -> Option<usize> {
        let start = start.saturating_sub(1);
        let found = self.find_text(text, start);
        // Also what was found: it stays, and the script may ask for it again and again.
        let clean = found.unwrap_or(self.clean_without(text.len()));
        if found.is_none_or(|found| found - start > text.len()) {
            self.remember_text(text, start, clean);
        }
        Some(found? + 1)
    }

    /// Up to `n` bytes that stay where they are.
    #[must_use]
    pub fn peek(&self, n: usize) -> Range<usize> {
        self.head..self.head + n.min(self.len())
    }

    /// Puts `bytes` back before what can be read, visible.
    pub fn unread(&mut self, bytes: &[u8]) {
        let mut whole = Vec::with_capacity(bytes.len() + self.len() + self.hidden());
        whole.extend_from_slice(bytes);
        whole.extend_from_slice(self.bytes(self.head..self.storage.len()));
        let visible = bytes.len() + self.len();
        let old = mem::replace(&mut self.storage, whole);
        if self.pins > 0 {
            self.retire(old);
        }
        self.head = 0;
        self.visible = visible;
        // Positions went back: what is known of them no longer holds. `taken` may go below zero in
        // spirit; scans begin anew instead.
        self.taken = self.taken.saturating_sub(u64::try_from(bytes.len()).unwrap_or(u64::MAX));
        self.sought = Sought::Nothing;
        self.scanned = 0..0;
        self.after_any = false;
        self.after_return = false;
    }

    /// What `take` takes, put back at once until [`ReadBuffer::keep`] takes it for good: meanwhile the
    /// caller makes something of it, which may fail.
    pub fn hold(&mut self, take: impl FnOnce(&mut Self) -> Option<Range<usize>>) -> Option<Held> {
        let (start, position) = (self.head, self.taken);
        let before = (self.after_any, self.after_return);
        let range = take(self)?;
        let held = Held {
            range: (range.start, range.end),
            whole: self.head - start,
            position,
            after_any: self.after_any,
            after_return: self.after_return,
        };
        (self.head, self.taken) = (start, position);
        (self.after_any, self.after_return) = before;
        Some(held)
    }

    /// Takes what was held; false, and nothing, when somebody has taken bytes since.
    #[inline]
    pub fn keep(&mut self, held: &Held) -> bool {
        if self.taken != held.position || held.whole > self.len() {
            return false;
        }
        if held.whole > 0 {
            self.consume(held.whole);
            self.after_any = held.after_any;
            self.after_return = held.after_return;
            // More may be visible by now.
            self.drop_feed();
        }
        true
    }

    /// Promises that the storage stays where it is until the matching [`ReadBuffer::unpin`].
    ///
    /// Pins nest: each needs its own `unpin`.
    pub fn pin(&mut self) {
        self.pins = self.pins.saturating_add(1);
    }

    /// Takes one pin away. After the last one an empty buffer gives its storage back: [`ReadBuffer::spare`].
    pub fn unpin(&mut self) -> Option<Vec<u8>> {
        self.pins = self.pins.saturating_sub(1);
        self.spare()
    }

    /// The storage for reuse, emptied, if nothing is in it and it is not pinned.
    pub fn spare(&mut self) -> Option<Vec<u8>> {
        if self.pins > 0 {
            return None;
        }
        if !self.holds_nothing() {
            if let Some(rare) = &mut self.rare {
                rare.retired = Vec::new();
            }
            return None;
        }
        if self.rare.take().is_some() && self.sought == Sought::Text {
            self.sought = Sought::Nothing;
        }
        self.head = 0;
        self.visible = 0;
        let mut storage = mem::take(&mut self.storage);
        storage.clear();
        (storage.capacity() > 0).then_some(storage)
    }

    /// The bytes of a range; nothing when it lies outside.
    #[must_use]
    pub fn bytes(&self, range: Range<usize>) -> &[u8] {
        self.storage.get(range).unwrap_or_default()
    }

    /// How many bytes can be read.
    #[must_use]
    pub fn len(&self) -> usize {
        self.visible - self.head
    }

    /// Whether no byte can be read.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.visible == self.head
    }

    /// How many bytes can be read that stand before the position `stop`, and how many to ask for where
    /// they hold no line: more than the longest may be only if they are as many.
    #[must_use]
    pub fn wanted_before(&self, stop: u64) -> usize {
        let clean = self.before(stop) - self.head;
        (clean + 1).max(self.longest.0.min(self.len() + 1))
    }

    /// How many bytes wait to be revealed.
    #[must_use]
    pub fn hidden(&self) -> usize {
        self.storage.len() - self.visible
    }

    /// How many bytes were taken or dropped so far.
    #[must_use]
    pub fn position(&self) -> u64 {
        self.taken
    }

    /// The position behind the last visible byte.
    #[must_use]
    pub fn end_position(&self) -> u64 {
        self.at(self.len())
    }

    fn holds_nothing(&self) -> bool {
        self.head == self.storage.len()
    }

    /// The stream position of an offset from `head`.
    fn at(&self, offset: usize) -> u64 {
        self.taken.saturating_add(u64::try_from(offset).unwrap_or(u64::MAX))
    }

    /// The index of the position `stop`, or of the end of the visible bytes if that comes first.
    fn before(&self, stop: u64) -> usize {
        self.head.saturating_add(self.offset(stop)).min(self.visible)
    }

    /// The offset from `head` of a stream position; 0 for what was already taken.
    fn offset(&self, position: u64) -> usize {
        usize::try_from(position.saturating_sub(self.taken)).unwrap_or(usize::MAX)
    }

    fn consume(&mut self, n: usize) -> Range<usize> {
        let start = self.head;
        if n > 0 {
            self.taken = self.at(n);
            self.head += n;
            self.after_any = false;
        }
        start..self.head
    }

    /// A line of at most `most` bytes within the visible bytes before the index `limit`.
    fn line_in(&mut self, end: LineEnd, limit: usize, most: usize) -> Option<Range<usize>> {
        if end == LineEnd::Any && self.after_any {
            self.drop_run(limit);
        }
        let from = self.unscanned(Sought::Line(end), 0);
        let window = self.bytes(self.head..limit);
        let Some((line, whole)) = framing::find_line(window, end, from) else {
            let clean = (window.len() + 1).saturating_sub(end.shortest());
            self.remember(Sought::Line(end), 0, clean);
            return None;
        };
        if line > most || end.told_after(line, whole) > self.longest.0 {
            return None;
        }
        let mut range = self.consume(whole);
        self.after_any = end == LineEnd::Any && self.head == limit;
        self.after_return = end == LineEnd::Each
            && self.head == limit
            && self.bytes(range.clone()).ends_with(b"\r");
        self.drop_feed();
        range.end = range.start + line;
        Some(range)
    }

    /// Drops what the run of CR and LF behind the last line has before the index `limit`.
    fn drop_run(&mut self, limit: usize) {
        let window = self.bytes(self.head..limit);
        let (run, length) = (framing::run_length(window), window.len());
        self.consume(run);
        self.after_any = run == length;
    }

    /// Drops the LF of the CR that ended the last line.
    fn drop_feed(&mut self) {
        if self.after_return && !self.is_empty() {
            self.after_return = false;
            if self.bytes(self.head..self.visible).starts_with(b"\n") {
                self.consume(1);
            }
        }
    }

    /// The offset of `text` in the visible bytes, at or after the offset `start`.
    fn find_text(&self, text: &[u8], start: usize) -> Option<usize> {
        let known = self.rare.as_ref().is_some_and(|rare| rare.text == text);
        let from = if known { self.unscanned(Sought::Text, start) } else { start };
        framing::find(self.bytes(self.head..self.visible), text, from)
    }

    /// The offset before which a delimiter of that length cannot start if it was not found.
    fn clean_without(&self, length: usize) -> usize {
        (self.len() + 1).saturating_sub(length)
    }

    fn remember_text(&mut self, text: &[u8], start: usize, clean: usize) {
        let kept = &mut self.rare.get_or_insert_default().text;
        if kept != text {
            kept.clear();
            kept.extend_from_slice(text);
            self.sought = Sought::Nothing;
        }
        self.remember(Sought::Text, start, clean);
    }

    /// Where a scan that is to begin at the offset `start` must really begin.
    fn unscanned(&self, sought: Sought, start: usize) -> usize {
        let known = self.scanned.start <= self.at(start) && self.sought == sought;
        if known { start.max(self.offset(self.scanned.end)) } else { start }
    }

    /// Notes that the delimiter starts at no offset from `start` to before `clean`.
    fn remember(&mut self, sought: Sought, start: usize, clean: usize) {
        let (start, clean) = (self.at(start), self.at(clean));
        let joins = self.sought == sought
            && self.scanned.start <= start
            && start <= self.scanned.end.max(self.taken);
        if joins {
            self.scanned.end = self.scanned.end.max(clean);
        } else {
            self.scanned = start..clean.max(start);
        }
        self.sought = sought;
    }

    /// Makes room for `extra` bytes behind the present ones, of which there are some.
    fn make_room(&mut self, extra: usize) {
        let unread = self.storage.len() - self.head;
        let needed = unread.saturating_add(extra);
        let fits = self.storage.capacity() - self.storage.len() >= extra;
        if self.pins > 0 {
            if !fits {
                self.renew(needed.max(unread.saturating_mul(2)));
            }
            return;
        }
        // Moving no more bytes than were read since the last move keeps the cost per byte constant.
        if self.head < unread {
            return;
        }
        let capacity = self.storage.capacity();
        if capacity > KEPT_CAPACITY && needed < capacity / SPARSE {
            self.renew(needed);
            return;
        }
        self.storage.drain(..self.head);
        self.visible -= self.head;
        self.head = 0;
    }

    /// Moves the unread bytes into a new storage.
    fn renew(&mut self, capacity: usize) {
        let mut fresh = Vec::with_capacity(capacity);
        fresh.extend_from_slice(self.bytes(self.head..self.storage.len()));
        let old = mem::replace(&mut self.storage, fresh);
        self.visible -= self.head;
        self.head = 0;
        if self.pins > 0 {
            self.retire(old);
        }
    }

    fn retire(&mut self, old: Vec<u8>) {
        if old.capacity() > 0 {
            self.rare.get_or_insert_default().retired.push(old);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ENDS: [LineEnd; 6] = [
        LineEnd::Any,
        LineEnd::CrLf,
        LineEnd::CrLfStrict,
        LineEnd::Each,
        LineEnd::Lf,
        LineEnd::Null,
    ];

    fn add(buffer: &mut ReadBuffer, bytes: &[u8]) {
        buffer.refill(&mut bytes.to_vec());
        buffer.reveal(bytes.len());
    }

    fn with(bytes: &[u8]) -> ReadBuffer {
        let mut buffer = ReadBuffer::default();
        add(&mut buffer, bytes);
        buffer
    }

    fn text(buffer: &ReadBuffer, range: Option<Range<usize>>) -> Option<String> {
        range.map(|range| String::from_utf8_lossy(buffer.bytes(range)).into_owned())
    }

    fn line(buffer: &mut ReadBuffer, end: LineEnd) -> Option<String> {
        let range = buffer.take_line(end);
        text(buffer, range)
    }

    fn lines(buffer: &mut ReadBuffer, end: LineEnd) -> Vec<String> {
        std::iter::from_fn(|| line(buffer, end)).collect()
    }

    /// Whether `length` bytes at `address` are still there and still `expected`.
    fn stands(buffer: &ReadBuffer, address: usize, expected: &[u8]) -> bool {
        let retired = buffer.rare.iter().flat_map(|rare| rare.retired.iter());
        retired.chain([&buffer.storage]).any(|storage| {
            let offset = address.wrapping_sub(storage.as_ptr().addr());
            storage.get(offset..).is_some_and(|bytes| bytes.starts_with(expected))
        })
    }

    #[test]
    fn a_buffer_is_small_and_owns_nothing_when_new() {
        assert!(size_of::<ReadBuffer>() <= 112, "{}", size_of::<ReadBuffer>());
        let mut buffer = ReadBuffer::default();
        assert!(buffer.is_empty() && buffer.unpin().is_none());
        assert_eq!((buffer.storage.capacity(), buffer.rare.is_none()), (0, true));
    }

    #[test]
    fn an_empty_buffer_swaps_instead_of_copying() {
        let mut incoming = b"abc".to_vec();
        let address = incoming.as_ptr();
        let mut buffer = ReadBuffer::default();
        buffer.refill(&mut incoming);
        assert_eq!((buffer.storage.as_ptr(), incoming.len()), (address, 0));
        buffer.reveal(3);
        buffer.take_all();
        incoming.extend_from_slice(b"def");
        buffer.refill(&mut incoming);
        assert!(incoming.is_empty());
        assert_eq!(incoming.as_ptr(), address, "the old storage comes back for reuse");
    }

    #[test]
    fn hidden_bytes_are_not_read_searched_or_forgotten() {
        let mut buffer = ReadBuffer::default();
        buffer.refill(&mut b"ab\ncd".to_vec());
        assert_eq!((buffer.len(), buffer.hidden()), (0, 5));
        assert_eq!(line(&mut buffer, LineEnd::Lf), None);
        assert!(buffer.take_all().is_empty() && buffer.peek(9).is_empty());
        buffer.reveal(2);
        assert_eq!(line(&mut buffer, LineEnd::Lf), None);
        assert_eq!((buffer.search(b"b\n", 1), buffer.take_exact(3)), (None, None));
        buffer.forget();
        assert_eq!((buffer.len(), buffer.hidden(), buffer.position()), (0, 3, 2));
        buffer.reveal(usize::MAX);
        assert_eq!(line(&mut buffer, LineEnd::Lf).as_deref(), Some(""));
        assert_eq!((buffer.len(), buffer.end_position()), (2, 5));
        buffer.refill(&mut b"ef".to_vec());
        buffer.clear();
        assert_eq!((buffer.len(), buffer.hidden(), buffer.position()), (0, 0, 7));
    }

    #[test]
    fn blocks_are_taken_by_length_and_by_what_follows() {
        let mut buffer = with(b"abcdefgh>>ij>>k");
        assert_eq!(buffer.peek(2), 0..2);
        let taken = buffer.take(2);
        assert_eq!(text(&buffer, Some(taken)).as_deref(), Some("ab"));
        let taken = buffer.take_exact(3);
        assert_eq!(text(&buffer, taken).as_deref(), Some("cde"));
        assert_eq!(buffer.take_exact(11), None);
        assert_eq!(buffer.take_exact(0), Some(5..5));
        let taken = buffer.take_until(b">>", false);
        assert_eq!(text(&buffer, taken).as_deref(), Some("fgh"));
        let taken = buffer.take_until(b">>", true);
        assert_eq!(text(&buffer, taken).as_deref(), Some("ij>>"));
        assert_eq!((buffer.take_until(b">>", true), buffer.take_until(b"", true)), (None, None));
        let taken = buffer.take_all();
        assert_eq!(text(&buffer, Some(taken)).as_deref(), Some("k"));
        assert_eq!(buffer.bytes(7..99), b"");
    }

    #[test]
    fn search_counts_from_one_and_from_the_unread_bytes() {
        let mut buffer = with(b"xxabcabc");
        buffer.take(2);
        assert_eq!(buffer.search(b"abc", 1), Some(1));
        assert_eq!(buffer.search(b"abc", 2), Some(4));
        assert_eq!(buffer.search(b"abc", 5), None);
        assert_eq!(buffer.search(b"abc", 1), Some(1));
        assert_eq!(buffer.search(b"bca", 0), Some(2));
        assert_eq!(buffer.search(b"a", usize::MAX), None);
        assert_eq!((buffer.search(b"", 7), buffer.search(b"", 8)), (Some(7), None));
    }

    #[test]
    fn each_kind_of_line_is_taken_with_its_end() {
        let stream = b"a\r\nb\nc\rd\0e\r\n\r\n";
        let expected: [&[&str]; 6] = [
            &["a", "b", "c", "d\0e"],
            &["a", "b", "c\rd\0e", ""],
            &["a", "b\nc\rd\0e", ""],
            &["a", "b", "c", "d\0e", ""],
            &["a\r", "b", "c\rd\0e\r", "\r"],
            &["a\r\nb\nc\rd"],
        ];
        for (end, expected) in ENDS.into_iter().zip(expected) {
            assert_eq!(lines(&mut with(stream), end), expected, "{end:?}");
        }
    }

    #[test]
    fn a_run_cut_by_arrivals_is_still_one_run() {
        let mut buffer = with(b"a\r");
        assert_eq!(lines(&mut buffer, LineEnd::Any), ["a"]);
        add(&mut buffer, b"\n\r");
        assert_eq!(lines(&mut buffer, LineEnd::Any), [""; 0]);
        assert!(buffer.is_empty(), "the rest of the run is dropped though no line follows");
        add(&mut buffer, b"\nb\n\nc");
        assert_eq!(lines(&mut buffer, LineEnd::Any), ["b"]);
        add(&mut buffer, b"\r");
        assert_eq!(lines(&mut buffer, LineEnd::Any), ["c"]);
    }

    #[test]
    fn a_feed_that_belongs_to_a_return_is_seen_by_no_read() {
        let mut buffer = with(b"a\r");
        assert_eq!(line(&mut buffer, LineEnd::Each).as_deref(), Some("a"));
        buffer.refill(&mut b"\nb".to_vec());
        assert_eq!((buffer.reveal(1), buffer.len(), buffer.reveal(1)), (0, 0, 1));
        assert_eq!(text(&buffer, Some(buffer.peek(9))).as_deref(), Some("b"));
        add(&mut buffer, b"\r");
        let stop = buffer.end_position();
        add(&mut buffer, b"\n\n");
        let taken = buffer.take_line_before(LineEnd::Each, stop);
        assert_eq!(text(&buffer, taken).as_deref(), Some("b"));
        assert_eq!((buffer.len(), line(&mut buffer, LineEnd::Each).as_deref()), (1, Some("")));
        add(&mut buffer, b"\r");
        assert_eq!(line(&mut buffer, LineEnd::Each).as_deref(), Some(""));
        buffer.forget();
        add(&mut buffer, b"\n");
        assert_eq!(line(&mut buffer, LineEnd::Each).as_deref(), Some(""), "a new stream");
    }

    #[test]
    fn a_run_at_the_very_start_is_an_empty_line() {
        assert_eq!(lines(&mut with(b"\r\n\na\n"), LineEnd::Any), ["", "a"]);
    }

    #[test]
    fn only_an_any_read_drops_the_rest_of_a_run() {
        let mut buffer = with(b"a\r");
        assert_eq!(line(&mut buffer, LineEnd::Any).as_deref(), Some("a"));
        add(&mut buffer, b"\nb\n");
        assert_eq!((buffer.search(b"\n", 1), buffer.peek(9).len(), buffer.len()), (Some(1), 3, 3));
        assert_eq!(buffer.take(0).len(), 0);
        assert_eq!(line(&mut buffer, LineEnd::Any).as_deref(), Some("b"));
        add(&mut buffer, b"\r\nc\n");
        assert_eq!(line(&mut buffer, LineEnd::CrLf).as_deref(), Some(""));
        assert_eq!(line(&mut buffer, LineEnd::Any).as_deref(), Some("c"));
        add(&mut buffer, b"\nx\n");
        buffer.take(1);
        buffer.take(1);
        assert_eq!(line(&mut buffer, LineEnd::Any).as_deref(), Some(""));
        buffer.clear();
        add(&mut buffer, b"\n");
        assert_eq!(line(&mut buffer, LineEnd::Any).as_deref(), Some(""), "cleared: a new stream");
    }

    #[test]
    fn lines_before_a_position_leave_what_came_later() {
        let mut buffer = with(b"a\nb\nc");
        let stop = buffer.end_position();
        add(&mut buffer, b"\nd\n");
        let mut taken = Vec::new();
        while let Some(range) = buffer.take_line_before(LineEnd::Lf, stop) {
            taken.push(buffer.bytes(range).to_vec());
        }
        assert_eq!(taken, [b"a", b"b"]);
        assert_eq!(lines(&mut buffer, LineEnd::Lf), ["c", "d"]);
        add(&mut buffer, b"e\n");
        assert_eq!(buffer.take_line_before(LineEnd::Lf, stop), None);
    }

    #[test]
    fn a_run_that_crosses_the_stop_is_still_one_run() {
        let mut buffer = with(b"a\r");
        let stop = buffer.end_position();
        add(&mut buffer, b"\nb\n");
        assert_eq!(buffer.take_line_before(LineEnd::Any, stop), Some(0..1));
        assert_eq!(buffer.take_line_before(LineEnd::Any, stop), None);
        assert_eq!(lines(&mut buffer, LineEnd::Any), ["b"]);
    }

    #[test]
    fn pinned_bytes_stay_whatever_is_called() {
        type Call = fn(&mut ReadBuffer);
        let takes: [fn(&mut ReadBuffer) -> Range<usize>; 4] =
            [|b| b.take(3), ReadBuffer::take_all, |b| b.peek(4), |b| b.peek(99)];
        let calls: [Call; 8] = [
            |b| add(b, b"x"),
            |b| add(b, &[b'y'; 5000]),
            |b| b.refill(&mut vec![b'z'; 100]),
            ReadBuffer::clear,
            ReadBuffer::forget,
            |b| {
                b.take_all();
            },
            |b| {
                b.take(4);
            },
            |b| {
                b.pin();
                b.take(1);
                assert!(b.unpin().is_none(), "an inner pin gives nothing back");
            },
        ];
        let orders = calls.len().pow(3);
        for take in takes {
            for order in 0..orders {
                let mut buffer = with(b"0123456789");
                buffer.take(1);
                let range = take(&mut buffer);
                buffer.pin();
                let pinned = buffer.bytes(range).to_vec();
                let address = buffer.storage.as_ptr().addr() + 1;
                for call in [order % 8, order / 8 % 8, order / 64] {
                    calls[call](&mut buffer);
                    assert!(stands(&buffer, address, &pinned), "order {order}");
                }
                buffer.unpin();
                assert!(buffer.rare.is_none_or(|rare| rare.retired.is_empty()));
            }
        }
    }

    #[test]
    fn bytes_that_arrive_while_pinned_are_not_lost() {
        let mut buffer = with(b"abcdef");
        buffer.take(2);
        buffer.pin();
        add(&mut buffer, &[b'x'; 1000]);
        add(&mut buffer, b"\n");
        let freed = buffer.unpin();
        assert!(freed.is_none());
        let expected = format!("cdef{}", "x".repeat(1000));
        assert_eq!(line(&mut buffer, LineEnd::Lf), Some(expected));
    }

    #[test]
    fn what_is_held_is_taken_only_if_nobody_was_faster() {
        let mut buffer = with(b"one\r\ntwo\nthree\r");
        let held = buffer.hold(|buffer| buffer.take_line(LineEnd::Any)).unwrap();
        assert_eq!((buffer.bytes(held.range()), buffer.len()), (&b"one"[..], 15));
        assert_eq!(held.whole(), 5);
        assert!(buffer.keep(&held) && !buffer.keep(&held));
        let held = buffer.hold(|buffer| buffer.take_line(LineEnd::Lf)).unwrap();
        buffer.take(1);
        assert!(!buffer.keep(&held), "somebody has taken a byte");
        assert_eq!(buffer.bytes(buffer.peek(3)), b"wo\n");
        buffer.take(3);
        let held = buffer.hold(|buffer| buffer.take_line(LineEnd::Each)).unwrap();
        add(&mut buffer, b"\nfour");
        assert!(buffer.keep(&held), "more has come meanwhile");
        assert_eq!(buffer.bytes(buffer.peek(9)), b"four");
        assert!(buffer.hold(|buffer| buffer.take_exact(9)).is_none());
    }

    #[test]
    fn what_is_longer_than_the_longest_stays() {
        for (end, text, longest) in [
            (LineEnd::CrLf, &b"abc\r\nx"[..], 5),
            (LineEnd::CrLf, b"abc\nx", 4),
            (LineEnd::CrLfStrict, b"abc\r\nx", 5),
            (LineEnd::Lf, b"abc\nx", 4),
            (LineEnd::Null, b"abc\0x", 4),
            (LineEnd::Any, b"abc\r\n\nx", 4),
            (LineEnd::Each, b"abc\r\nx", 4),
        ] {
            let mut buffer = with(text);
            let ahead = |buffer: &ReadBuffer| {
                buffer.lines_ahead(end, 99, 99, framing::places_in, |_, _| true)
            };
            buffer.set_longest(longest - 1);
            assert_eq!((buffer.take_line(end), ahead(&buffer)), (None, 0), "{end:?}");
            assert_eq!(buffer.len(), text.len());
            buffer.set_longest(longest);
            assert_eq!(ahead(&buffer), text.len() - 1, "{end:?}");
            assert_eq!(buffer.take_line(end).map(|range| range.len()), Some(3), "{end:?}");
        }
        let mut buffer = with(b"abcdef");
        buffer.set_longest(3);
        assert_eq!((buffer.take_exact(4), buffer.take_until(b"d", false)), (None, None));
        assert_eq!(buffer.take_until(b"c", false), Some(0..2));
        assert_eq!(buffer.take_exact(3), Some(3..6));
    }

    #[test]
    fn an_emptied_buffer_gives_its_memory_back_when_unpinned() {
        let mut buffer = with(b"abc");
        assert_eq!(buffer.search(b"zz", 1), None);
        buffer.take_all();
        buffer.pin();
        let storage = buffer.unpin();
        assert!(storage.is_some_and(|storage| storage.is_empty() && storage.capacity() >= 3));
        assert_eq!((buffer.storage.capacity(), buffer.rare.is_none()), (0, true));
        let mut cleared = with(b"abc");
        cleared.clear();
        assert_eq!(cleared.storage.capacity(), 0);
    }

    #[test]
    fn no_byte_is_scanned_twice_for_a_line_end() {
        for end in ENDS {
            let mut buffer = with(b"first");
            for _ in 0..100 {
                add(&mut buffer, b"x");
                assert_eq!(buffer.take_line(end), None);
                let left = buffer.len() - buffer.unscanned(Sought::Line(end), 0);
                assert_eq!(left, end.shortest() - 1, "{end:?}");
            }
            buffer.take(50);
            assert!(buffer.unscanned(Sought::Line(end), 0) >= 54, "reading forgets nothing");
        }
    }

    #[test]
    fn no_byte_is_scanned_twice_for_a_text() {
        let mut buffer = with(b"0123456789");
        for start in [1, 7, 1] {
            for _ in 0..100 {
                add(&mut buffer, b"x");
                assert_eq!(buffer.search(b"yyy", start), None);
                let left = buffer.len() - buffer.unscanned(Sought::Text, start - 1);
                assert_eq!(left, 2);
            }
        }
        assert_eq!(buffer.take_until(b"yyy", true), None);
        add(&mut buffer, b"yyyz");
        assert_eq!(buffer.search(b"yyy", 1), Some(311));
        assert_eq!(buffer.unscanned(Sought::Text, 0), 310, "also what was found is known");
        assert_eq!(buffer.search(b"xyy", 1), Some(310), "another text is another search");
    }

    #[test]
    fn what_was_skipped_or_sought_otherwise_does_not_count_as_scanned() {
        let mut buffer = with(b"xxxxx");
        assert_eq!(buffer.search(b"q", 1), None);
        add(&mut buffer, b"xxqxxxxx");
        assert_eq!(buffer.search(b"q", 11), None);
        assert_eq!(buffer.search(b"q", 1), Some(8));
        assert_eq!((buffer.search(b"z", 1), buffer.search(b"z", 1)), (None, None));
        assert_eq!((buffer.search(b"q", 1), buffer.search(b"q", 1)), (Some(8), Some(8)));
    }

    #[test]
    fn arrivals_behind_unread_bytes_cost_a_constant_per_byte() {
        let mut buffer = with(&[0; 10_000]);
        let (mut moved, mut storage) = (0, buffer.storage.as_ptr());
        for _ in 0..100_000 {
            let head = buffer.head;
            add(&mut buffer, b"x");
            if buffer.head < head || buffer.storage.as_ptr() != storage {
                moved += buffer.storage.len();
            }
            storage = buffer.storage.as_ptr();
            buffer.take(1);
        }
        assert!(moved < 400_000, "{moved} bytes moved");
        assert!(buffer.storage.capacity() < 100_000);
    }

    #[test]
    fn a_storage_that_was_large_does_not_stay_so() {
        let mut buffer = with(&vec![0; 1 << 20]);
        add(&mut buffer, b"x");
        buffer.take(1 << 20);
        add(&mut buffer, b"y");
        assert!(buffer.storage.capacity() < KEPT_CAPACITY);
        assert_eq!(buffer.bytes(buffer.peek(9)), b"xy");
    }
}
