//! The pure state of `proto` against naive models, under random streams, cuts and operations.
//!
//! `PROPTEST_CASES` sets the number of cases (default 256).

use std::io::IoSlice;
use std::ops::Range;
use std::time::{Duration, Instant};

use evsock::proto::framing;
use evsock::proto::framing::LineEnd;
use evsock::proto::http;
use evsock::proto::read_buffer::ReadBuffer;
use evsock::proto::timers::Timers;
use evsock::proto::write_queue::WriteQueue;
use proptest::collection::vec;
use proptest::prelude::*;

const ENDS: [LineEnd; 6] =
    [LineEnd::Any, LineEnd::CrLf, LineEnd::CrLfStrict, LineEnd::Each, LineEnd::Lf, LineEnd::Null];

fn config() -> ProptestConfig {
    // A failure prints its case; nothing is written beside the sources.
    ProptestConfig { failure_persistence: None, ..ProptestConfig::default() }
}

/// Few different bytes, so that delimiters are frequent and often cut.
fn stream(longest: usize) -> impl Strategy<Value = Vec<u8>> {
    vec(prop::sample::select(b"\r\n\r\n\0aab".to_vec()), 0..longest)
}

fn needle() -> impl Strategy<Value = Vec<u8>> {
    vec(prop::sample::select(b"\r\nab".to_vec()), 1..4)
}

fn line_end() -> impl Strategy<Value = LineEnd> {
    prop::sample::select(ENDS.to_vec())
}

// Naive framing --------------------------------------------------------------------------------

fn is_break(byte: u8) -> bool {
    byte == b'\r' || byte == b'\n'
}

fn naive_find(haystack: &[u8], needle: &[u8], from: usize) -> Option<usize> {
    (from..=haystack.len()).find(|&at| haystack[at..].starts_with(needle))
}

fn naive_line(bytes: &[u8], end: LineEnd) -> Option<(usize, usize)> {
    for at in 0..bytes.len() {
        let rest = &bytes[at..];
        let length = match end {
            LineEnd::Any => rest.iter().take_while(|&&byte| is_break(byte)).count(),
            LineEnd::CrLf | LineEnd::Each if rest.starts_with(b"\r\n") => 2,
            LineEnd::CrLf | LineEnd::Lf => usize::from(rest[0] == b'\n'),
            LineEnd::Each => usize::from(is_break(rest[0])),
            LineEnd::CrLfStrict => 2 * usize::from(rest.starts_with(b"\r\n")),
            LineEnd::Null => usize::from(rest[0] == 0),
        };
        if length > 0 {
            return Some((at, at + length));
        }
    }
    None
}

/// The lines of a whole stream and what is left behind the last of them.
fn naive_lines(mut stream: &[u8], end: LineEnd) -> (Vec<Vec<u8>>, Vec<u8>) {
    let mut lines = Vec::new();
    while let Some((line, whole)) = naive_line(stream, end) {
        lines.push(stream[..line].to_vec());
        stream = &stream[whole..];
    }
    (lines, stream.to_vec())
}

/// Cuts a stream into packets of the given lengths, again and again.
fn packets<'a>(stream: &'a [u8], lengths: &[usize]) -> Vec<&'a [u8]> {
    let mut rest = stream;
    let mut packets = Vec::new();
    for &length in lengths.iter().cycle() {
        if rest.is_empty() {
            break;
        }
        let (packet, after) = rest.split_at(length.min(rest.len()));
        packets.push(packet);
        rest = after;
    }
    packets
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn framing_finds_what_a_naive_search_finds(
        haystack in stream(200),
        needle in needle(),
        end in line_end(),
        from in 0usize..220,
    ) {
        let expected = if from > haystack.len() { None } else { naive_find(&haystack, &needle, from) };
        prop_assert_eq!(framing::find(&haystack, &needle, from), expected);
        let line = naive_line(&haystack, end);
        prop_assert_eq!(framing::find_line(&haystack, end, 0), line);
        // Any start up to the end of the line is as good as 0.
        if let Some((line, whole)) = line {
            let from = from.min(line);
            prop_assert_eq!(framing::find_line(&haystack, end, from), Some((line, whole)));
        }
    }

    #[test]
    fn many_lines_are_found_as_one_by_one(
        haystack in stream(400),
        end in line_end(),
        from in 0usize..400,
        wanted in 1usize..100,
    ) {
        let first = naive_line(&haystack, end).map_or(haystack.len(), |(line, _)| line);
        let (mut expected, mut at) = (Vec::new(), 0);
        while expected.len() < wanted
            && let Some((line, whole)) = naive_line(&haystack[at..], end)
            && at + whole < haystack.len()
        {
            expected.push((at, line));
            at += whole;
        }
        let mut found = Vec::new();
        let note = |start, length| {
            found.push((start, length));
            found.len() < wanted
        };
        let places_in = framing::places_in;
        let total =
            framing::find_lines(&haystack, end, (from.min(first), usize::MAX), places_in, note);
        prop_assert_eq!(found, expected);
        prop_assert_eq!(total, at);
    }

    #[test]
    fn places_are_those_of_the_byte(
        mut chunk in any::<[[u8; 32]; 2]>(),
        byte in any::<u8>(),
        places in any::<u64>(),
    ) {
        let chunk = chunk.as_flattened_mut();
        for (place, other) in chunk.iter_mut().enumerate() {
            *other = if places >> place & 1 == 1 { byte } else { *other };
        }
        let is_there = |place: usize| u64::from(chunk[place] == byte) << place;
        let expected = (0..framing::CHUNK).map(is_there).sum::<u64>();
        let chunk: &[u8; framing::CHUNK] = chunk.as_ref().try_into().unwrap();
        prop_assert_eq!(framing::places_in(chunk, byte), expected);
    }

    #[test]
    fn lines_never_depend_on_packet_boundaries(
        stream in stream(300),
        lengths in vec(1usize..20, 1..20),
        end in line_end(),
        before in any::<bool>(),
    ) {
        let (expected, rest) = naive_lines(&stream, end);
        let mut buffer = ReadBuffer::default();
        let mut lines = Vec::new();
        for packet in packets(&stream, &lengths) {
            buffer.refill(&mut packet.to_vec());
            buffer.reveal(packet.len());
            let stop = buffer.end_position();
            loop {
                let line =
                    if before { buffer.take_line_before(end, stop) } else { buffer.take_line(end) };
                let Some(range) = line else { break };
                buffer.pin();
                lines.push(buffer.bytes(range).to_vec());
                buffer.unpin();
            }
        }
        prop_assert_eq!(lines, expected);
        let range = buffer.take_all();
        prop_assert_eq!(buffer.bytes(range), &rest[..]);
    }

    #[test]
    fn any_lines_left_lying_across_packets_are_the_same(
        stream in stream(300),
        lengths in vec(1usize..20, 1..20),
        reads in vec(0usize..4, 1..20),
    ) {
        let (expected, _) = naive_lines(&stream, LineEnd::Any);
        let mut buffer = ReadBuffer::default();
        let mut lines = Vec::new();
        let mut reads = reads.iter().cycle();
        let mut read = |buffer: &mut ReadBuffer, times: usize| {
            for _ in 0..times {
                if let Some(range) = buffer.take_line(LineEnd::Any) {
                    lines.push(buffer.bytes(range).to_vec());
                }
            }
        };
        for packet in packets(&stream, &lengths) {
            buffer.refill(&mut packet.to_vec());
            buffer.reveal(packet.len());
            read(&mut buffer, *reads.next().unwrap_or(&0));
        }
        read(&mut buffer, stream.len());
        prop_assert_eq!(lines, expected);
    }
}

// The buffer -----------------------------------------------------------------------------------

#[derive(Clone, Debug)]
enum Op {
    Clear,
    Forget,
    Pin,
    Line(LineEnd),
    LinesAhead(LineEnd, u64, usize, usize),
    LineBefore(LineEnd, u64),
    LineBeforeMark(LineEnd),
    Mark,
    Peek(usize),
    Refill(Vec<u8>),
    Reveal(usize),
    Search(Vec<u8>, usize),
    Unpin,
    Take(usize),
    TakeAll,
    TakeExact(usize),
    Until(Vec<u8>, bool),
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        1 => Just(Op::Clear),
        1 => Just(Op::Forget),
        3 => Just(Op::Pin),
        8 => line_end().prop_map(Op::Line),
        2 => (line_end(), 0u64..40).prop_map(|(end, ahead)| Op::LineBefore(end, ahead)),
        6 => (line_end(), 0u64..90, 0usize..90, 1usize..9)
            .prop_map(|(end, ahead, most, count)| Op::LinesAhead(end, ahead, most, count)),
        3 => line_end().prop_map(Op::LineBeforeMark),
        2 => Just(Op::Mark),
        2 => (0usize..30).prop_map(Op::Peek),
        8 => stream(40).prop_map(Op::Refill),
        12 => (0usize..40).prop_map(Op::Reveal),
        4 => (needle(), 0usize..20).prop_map(|(text, start)| Op::Search(text, start)),
        3 => Just(Op::Unpin),
        3 => (0usize..10).prop_map(Op::Take),
        1 => Just(Op::TakeAll),
        3 => (0usize..10).prop_map(Op::TakeExact),
        6 => (needle(), any::<bool>()).prop_map(|(text, keep)| Op::Until(text, keep)),
    ]
}

/// The buffer as one would write it without caring for speed.
#[derive(Clone, Debug, Default)]
struct Model {
    shown: Vec<u8>,
    hidden: Vec<u8>,
    taken: u64,
    run_open: bool,
    return_open: bool,
}

impl Model {
    fn take(&mut self, n: usize) -> Vec<u8> {
        let taken: Vec<u8> = self.shown.drain(..n).collect();
        self.taken += n as u64;
        self.run_open &= n == 0;
        taken
    }

    fn line(&mut self, end: LineEnd, stop: u64) -> Option<Vec<u8>> {
        let ahead = stop.saturating_sub(self.taken).min(self.shown.len() as u64);
        let mut limit = usize::try_from(ahead).unwrap_or(0);
        if end == LineEnd::Any && self.run_open {
            while limit > 0 && is_break(self.shown[0]) {
                self.take(1);
                limit -= 1;
            }
            self.run_open = limit == 0;
        }
        let (line, whole) = naive_line(&self.shown[..limit], end)?;
        let mut taken = self.take(whole);
        self.run_open = end == LineEnd::Any && whole == limit;
        self.return_open = end == LineEnd::Each && whole == limit && taken.ends_with(b"\r");
        self.drop_feed();
        taken.truncate(line);
        Some(taken)
    }

    /// Takes lines one by one, as long as their ends lie before what ends the search.
    fn lines_ahead(&mut self, end: LineEnd, ahead: u64, most: usize, count: usize) -> Vec<Vec<u8>> {
        let (begin, stop) = (self.taken, self.taken + ahead);
        let window = ahead.min(most as u64).min(self.shown.len() as u64);
        let mut lines = Vec::new();
        while lines.len() < count && !(end == LineEnd::Any && self.run_open) {
            let before = self.clone();
            let line = self.line(end, stop);
            let Some(line) = line.filter(|_| self.taken < begin + window) else {
                *self = before;
                break;
            };
            lines.push(line);
        }
        lines
    }

    fn until(&mut self, text: &[u8], keep: bool) -> Option<Vec<u8>> {
        let length = naive_find(&self.shown, text, 0)?;
        let mut taken = self.take(length + text.len());
        if !keep {
            taken.truncate(length);
        }
        Some(taken)
    }

    fn apply(&mut self, op: &Op, mark: u64) -> Answer {
        let shown = self.shown.len();
        match op {
            Op::Clear => {
                self.reveal(usize::MAX);
                self.take(self.shown.len());
                self.run_open = false;
                self.return_open = false;
            }
            Op::Forget => {
                self.take(shown);
                self.return_open = false;
            }
            Op::Pin | Op::Mark | Op::Unpin => {}
            Op::Line(end) => return Answer::Bytes(self.line(*end, u64::MAX)),
            Op::LineBefore(end, ahead) => {
                return Answer::Bytes(self.line(*end, self.taken + ahead));
            }
            Op::LineBeforeMark(end) => return Answer::Bytes(self.line(*end, mark)),
            Op::LinesAhead(end, ahead, most, count) => {
                return Answer::Lines(self.lines_ahead(*end, *ahead, *most, *count));
            }
            Op::Peek(n) => return Answer::Bytes(Some(self.shown[..shown.min(*n)].to_vec())),
            Op::Refill(bytes) => self.hidden.extend_from_slice(bytes),
            Op::Reveal(n) => self.reveal(*n),
            Op::Search(text, start) => {
                let start = start.saturating_sub(1);
                return Answer::Index(naive_find(&self.shown, text, start).map(|at| at + 1));
            }
            Op::Take(n) => return Answer::Bytes(Some(self.take(shown.min(*n)))),
            Op::TakeAll => return Answer::Bytes(Some(self.take(shown))),
            Op::TakeExact(n) => return Answer::Bytes((*n <= shown).then(|| self.take(*n))),
            Op::Until(text, keep) => return Answer::Bytes(self.until(text, *keep)),
        }
        Answer::Nothing
    }

    fn reveal(&mut self, n: usize) {
        let n = n.min(self.hidden.len());
        self.shown.extend(self.hidden.drain(..n));
        self.drop_feed();
    }

    fn drop_feed(&mut self) {
        if !self.shown.is_empty() && std::mem::take(&mut self.return_open) && self.shown[0] == b'\n'
        {
            self.take(1);
        }
    }
}

#[derive(Debug, Eq, PartialEq)]
enum Answer {
    Bytes(Option<Vec<u8>>),
    Index(Option<usize>),
    Lines(Vec<Vec<u8>>),
    Nothing,
}

fn apply(buffer: &mut ReadBuffer, op: &Op, mark: u64) -> Answer {
    let range: Option<Range<usize>> = match op {
        Op::Line(end) => buffer.take_line(*end),
        Op::LineBefore(end, ahead) => buffer.take_line_before(*end, buffer.position() + ahead),
        Op::LineBeforeMark(end) => buffer.take_line_before(*end, mark),
        Op::LinesAhead(end, ahead, most, count) => {
            return Answer::Lines(lines_ahead(buffer, *end, *ahead, (*most, *count)));
        }
        Op::Peek(n) => Some(buffer.peek(*n)),
        Op::Search(text, start) => return Answer::Index(buffer.search(text, *start)),
        Op::Take(n) => Some(buffer.take(*n)),
        Op::TakeAll => Some(buffer.take_all()),
        Op::TakeExact(n) => buffer.take_exact(*n),
        Op::Until(text, keep) => buffer.take_until(text, *keep),
        _ => {
            change(buffer, op);
            return Answer::Nothing;
        }
    };
    Answer::Bytes(range.map(|range| buffer.bytes(range).to_vec()))
}

/// Finds lines ahead and takes their bytes.
fn lines_ahead(
    buffer: &mut ReadBuffer,
    end: LineEnd,
    ahead: u64,
    (most, count): (usize, usize),
) -> Vec<Vec<u8>> {
    let (stop, next) = (buffer.position() + ahead, buffer.peek(usize::MAX));
    let mut lines = Vec::new();
    let note = |start, length| {
        let start = next.start + start;
        lines.push(buffer.bytes(start..start + length).to_vec());
        lines.len() < count
    };
    let total = buffer.lines_ahead(end, stop, most, framing::places_in, note);
    buffer.take(total);
    lines
}

fn change(buffer: &mut ReadBuffer, op: &Op) {
    match op {
        Op::Clear => buffer.clear(),
        Op::Forget => buffer.forget(),
        Op::Pin => buffer.pin(),
        Op::Refill(bytes) => buffer.refill(&mut bytes.clone()),
        Op::Reveal(n) => drop(buffer.reveal(*n)),
        Op::Unpin => drop(buffer.unpin()),
        _ => {}
    }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn the_buffer_behaves_as_a_plain_vector_would(ops in vec(op(), 1..120)) {
        let mut buffer = ReadBuffer::default();
        let mut model = Model::default();
        let mut mark = 0;
        for op in &ops {
            let expected = model.apply(op, mark);
            prop_assert_eq!(apply(&mut buffer, op, mark), expected, "{:?}", op);
            prop_assert_eq!(buffer.len(), model.shown.len());
            prop_assert_eq!(buffer.is_empty(), model.shown.is_empty());
            prop_assert_eq!(buffer.hidden(), model.hidden.len());
            prop_assert_eq!(buffer.position(), model.taken);
            prop_assert_eq!(buffer.end_position(), model.taken + model.shown.len() as u64);
            prop_assert_eq!(buffer.bytes(buffer.peek(usize::MAX)), &model.shown[..]);
            if matches!(op, Op::Mark) {
                mark = buffer.end_position();
            }
        }
    }
}

// The write queue ------------------------------------------------------------------------------

#[derive(Clone, Debug)]
enum Write {
    Advance(usize),
    Clear,
    Pass(u64),
    Push(usize, bool),
    Stamp,
}

fn write() -> impl Strategy<Value = Write> {
    // Lengths around the size of a chunk, where writes stop being put together.
    let length = prop_oneof![4 => 0usize..100, 2 => 20_000usize..70_000, 1 => 65_530usize..65_540];
    prop_oneof![
        6 => prop_oneof![0usize..200, 0usize..150_000].prop_map(Write::Advance),
        1 => Just(Write::Clear),
        6 => (0u64..30).prop_map(Write::Pass),
        12 => (length, any::<bool>()).prop_map(|(length, marked)| Write::Push(length, marked)),
        2 => Just(Write::Stamp),
    ]
}

/// Bytes and, for each write that is not completely sent, how many of them end with it and when
/// it was queued.
#[derive(Default)]
struct Queued {
    bytes: Vec<u8>,
    writes: Vec<(usize, Instant)>,
}

impl Queued {
    fn advance(&mut self, n: usize) {
        let n = n.min(self.bytes.len());
        self.bytes.drain(..n);
        self.writes.retain(|&(end, _)| end > n);
        self.writes.iter_mut().for_each(|(end, _)| *end -= n);
    }

    fn stamp(&mut self, now: Instant) {
        if self.writes.last().map_or(0, |&(end, _)| end) < self.bytes.len() {
            self.writes.push((self.bytes.len(), now));
        }
    }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn the_write_queue_behaves_as_a_plain_vector_would(writes in vec(write(), 1..60)) {
        let mut now = Instant::now();
        let mut queue = WriteQueue::default();
        let mut model = Queued::default();
        // Not a power of two long, so that bytes of another place are other bytes.
        let pattern: Vec<u8> = (0..=250).cycle().take(80_000).collect();
        for write in &writes {
            match *write {
                Write::Advance(n) => {
                    queue.advance(n);
                    model.advance(n);
                }
                Write::Clear => {
                    queue.clear();
                    model = Queued::default();
                }
                Write::Pass(ms) => now += Duration::from_millis(ms),
                Write::Push(length, marked) => {
                    let data = &pattern[model.bytes.len() % 1000..][..length];
                    queue.push(data, marked.then_some(now));
                    model.bytes.extend_from_slice(data);
                    if marked && length > 0 {
                        model.stamp(now);
                    }
                }
                Write::Stamp => {
                    queue.stamp(now);
                    model.stamp(now);
                }
            }
            check_queue(&queue, &model)?;
        }
    }
}

fn check_queue(queue: &WriteQueue, model: &Queued) -> Result<(), TestCaseError> {
    prop_assert_eq!(queue.len(), model.bytes.len());
    prop_assert_eq!(queue.is_empty(), model.bytes.is_empty());
    let mut slices: Vec<IoSlice<'_>> = Vec::new();
    queue.slices(&mut slices);
    prop_assert!(slices.len() <= 64);
    prop_assert!(slices.iter().all(|slice| !slice.is_empty()));
    let mut gathered = 0;
    for slice in &slices {
        let expected = model.bytes.get(gathered..gathered + slice.len());
        prop_assert!(expected == Some(&slice[..]), "other bytes from {} on", gathered);
        gathered += slice.len();
    }
    prop_assert!(gathered <= 1024 * 1024);
    let all = gathered == model.bytes.len();
    prop_assert!(all || gathered == 1024 * 1024 || slices.len() == 64);
    match (queue.oldest(), model.writes.first()) {
        (Some(oldest), Some(&(_, queued))) => {
            prop_assert!(oldest >= queued, "earlier than it was");
            prop_assert!(oldest <= queued + Duration::from_millis(10), "too late");
        }
        (oldest, queued) => prop_assert!(oldest.is_none() && queued.is_none()),
    }
    Ok(())
}

// Timers ---------------------------------------------------------------------------------------

proptest! {
    #![proptest_config(config())]

    #[test]
    fn timers_behave_as_a_sorted_list_would(
        steps in vec((0u64..8, prop::option::of(0u64..50), 0u64..10), 1..100),
    ) {
        let start = Instant::now();
        let at = |ms| start + Duration::from_millis(ms);
        let mut timers = Timers::default();
        let mut list: Vec<(Instant, u64)> = Vec::new();
        let mut clock = 0;
        for (key, ahead, passed) in steps {
            let old = list.iter().find(|entry| entry.1 == key).map(|entry| entry.0);
            let new = ahead.map(|ahead| at(clock + ahead));
            timers.arm(key, old, new);
            list.retain(|entry| entry.1 != key);
            list.extend(new.map(|new| (new, key)));
            list.sort_unstable();
            clock += passed;
            prop_assert_eq!(timers.next(), list.first().map(|entry| entry.0));
            prop_assert_eq!((timers.len(), timers.is_empty()), (list.len(), list.is_empty()));
            if passed > 4 {
                while let Some(due) = timers.pop_due(at(clock)) {
                    prop_assert_eq!(due, list.remove(0));
                }
            }
            let early = list.first().filter(|entry| entry.0 <= at(clock));
            prop_assert!(passed <= 4 || early.is_none(), "a due timer stayed");
        }
    }
}

// Answers of HTTP --------------------------------------------------------------------------------

fn naive_chunk_size(line: &[u8]) -> Option<u64> {
    let text = std::str::from_utf8(line).ok()?;
    let digits = text.split(|letter: char| !letter.is_ascii_hexdigit()).next()?;
    u64::from_str_radix(digits, 16).ok()
}

proptest! {
    #![proptest_config(config())]

    /// A head is whole or refused, and a value never goes on in a second line.
    #[test]
    fn a_head_of_random_bytes_is_read_or_refused(
        pieces in vec(
            prop_oneof![
                vec(any::<u8>(), 0..20),
                prop::sample::select(vec![
                    &b"HTTP/1.1 200 OK\r\n"[..], b"Content-Length: ", b"Transfer-Encoding: chunked",
                    b"\r\n", b"\r\n ", b"\n", b": ", b"5", b",", b"\r\n\r\n",
                ]).prop_map(<[u8]>::to_vec),
            ],
            0..20,
        ),
    ) {
        let whole = [b"HTTP/1.1 200 OK\r\n".to_vec(), pieces.concat(), b"\r\n\r\n".to_vec()].concat();
        for bytes in [&whole[..], &whole[17..]] {
            if let Ok(head) = http::read_head(bytes) {
                prop_assert!((100..1000).contains(&head.status));
                let breaks = |value: &[u8]| value.iter().any(|byte| is_break(*byte));
                prop_assert!(!head.fields.iter().any(|(_, value)| breaks(value)));
            }
        }
    }

    /// Where a size is read it is the one that stands there.
    #[test]
    fn a_chunk_has_the_size_that_its_line_says(line in "[0-9a-fA-FxX;= +-]{0,18}") {
        if let Some(size) = http::chunk_size(line.as_bytes()) {
            prop_assert_eq!(Some(size), naive_chunk_size(line.as_bytes()));
        }
    }

    /// Every size is read.
    #[test]
    fn every_size_of_a_chunk_is_read(size in any::<u32>()) {
        prop_assert_eq!(http::chunk_size(format!("{size:x}").as_bytes()), Some(size.into()));
        prop_assert_eq!(http::chunk_size(format!("{size:X};a=b").as_bytes()), Some(size.into()));
    }
}
