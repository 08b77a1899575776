//! The trace: a line for people about each thing that happens, while somebody wants it.
//!
//! Not here: what the lines say of each source (`stream::trace`, `listener`, `udp`), who turns it on
//! (`lua::run::trace`). Invariants: while it is off, each place that would say something looks at one
//! number and does nothing else; a line is written whole or not at all, by whoever has it to say, and
//! waits for nobody: what can't be written, and what a function does not fetch in time, is dropped and
//! counted, and a line says how many that were. What the function that gets the lines does itself is
//! hushed. The lock of the trace is the last that is taken.

use std::collections::{HashMap, HashSet, VecDeque};
use std::fmt::Write;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use std::thread::ThreadId;
use std::time::{Duration, Instant};

use crate::error::{Error, Result};
use crate::limits;
use crate::proto::token::Token;
use crate::quote::shown;
use crate::sync::{Mutex, lock};
use crate::sys::stderr::{LineFile, say};

/// How much is told.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[repr(u8)]
pub enum Level {
    /// Nothing.
    Off = 0,
    /// What happens.
    Events = 1,
    /// The bytes as text, too.
    Data = 2,
    /// The bytes as numbers, too.
    Hex = 3,
}

/// Where the lines go.
#[derive(Debug, Default)]
pub enum Sink {
    /// The process's stderr.
    #[default]
    Stderr,
    /// To the end of a file.
    File(LineFile),
    /// Nowhere before somebody fetches them.
    Function,
}

impl Sink {
    /// To the end of the file at a path.
    ///
    /// # Errors
    /// It can't be opened.
    pub fn file(path: &[u8]) -> Result<Self> {
        let opened = LineFile::open(path);
        opened.map(Self::File).map_err(|error| Error::os(&format!("trace {}", shown(path)), &error))
    }
}

/// Both ends of a connection, as far as they are known.
pub type Ends = (Option<SocketAddr>, Option<SocketAddr>);

/// The trace of one Lua state.
#[derive(Debug)]
pub struct Trace {
    level: AtomicU8,
    /// The script's function runs for a line, or has used a source of its own.
    is_careful: AtomicBool,
    inner: Mutex<Inner>,
}

#[derive(Debug)]
struct Inner {
    began: Instant,
    /// When the last line was told.
    now: Instant,
    sink: Sink,
    lines: VecDeque<String>,
    bytes: usize,
    dropped: u64,
    /// The thread on which the script's function runs now.
    within: Option<ThreadId>,
    /// What that function has used: to tell of it would make the next line, and so on.
    hushed: HashSet<u32>,
    hushed_ends: HashMap<SocketAddr, HushedEnd>,
}

/// Where somebody may hear from a source that is hushed.
#[derive(Debug)]
struct HushedEnd {
    number: u32,
    /// Till when, once the source is closed: the port is anybody's then.
    until: Option<Instant>,
}

impl HushedEnd {
    fn is_over(&self) -> bool {
        self.until.is_some_and(|until| Instant::now() >= until)
    }
}

impl Trace {
    /// One that is off. `began`: seconds count from there.
    #[must_use]
    pub fn new(began: Instant) -> Self {
        Self {
            level: AtomicU8::new(Level::Off as u8),
            is_careful: AtomicBool::new(false),
            inner: Mutex::new(Inner {
                began,
                now: began,
                sink: Sink::default(),
                lines: VecDeque::new(),
                bytes: 0,
                dropped: 0,
                within: None,
                hushed: HashSet::new(),
                hushed_ends: HashMap::new(),
            }),
        }
    }

    /// Whether anything is told.
    #[inline]
    #[must_use]
    pub fn is_on(&self) -> bool {
        self.level.load(Ordering::Relaxed) != Level::Off as u8
    }

    /// From now on so much is told, there.
    pub fn set(&self, level: Level, sink: Sink) {
        let mut inner = lock(&self.inner);
        inner.lines.clear();
        (inner.sink, inner.bytes, inner.dropped) = (sink, 0, 0);
        inner.hushed.clear();
        inner.hushed_ends.clear();
        self.is_careful.store(inner.within.is_some(), Ordering::Relaxed);
        self.level.store(level as u8, Ordering::Relaxed);
    }

    /// Tells of a source. `who`: what it is and where its ends are. Whether the script is to be called,
    /// because there was no line for it before.
    #[must_use]
    pub fn tell(
        &self,
        token: Option<Token>,
        who: &str,
        what: &str,
        ends: Ends,
        now: Instant,
    ) -> bool {
        let number = token.map(|token| token.generation.get());
        let mut inner = lock(&self.inner);
        if self.is_careful.load(Ordering::Relaxed) && inner.is_hushed(number, ends) {
            return false;
        }
        let head = inner.head(number, now);
        inner.put(format!("{head}{who}: {what}"))
    }

    /// The same of bytes, which follow as the level says.
    #[must_use]
    pub fn tell_bytes(
        &self,
        token: Token,
        who: &str,
        what: &str,
        parts: &[&[u8]],
        ends: Ends,
        now: Instant,
    ) -> bool {
        let number = Some(token.generation.get());
        let mut inner = lock(&self.inner);
        if self.is_careful.load(Ordering::Relaxed) && inner.is_hushed(number, ends) {
            return false;
        }
        let head = inner.head(number, now);
        match self.level.load(Ordering::Relaxed) {
            2 => {
                let text = text_of(parts);
                inner.put(format!("{head}{who}: {what}: {text}"))
            }
            3 => {
                let mut is_first = inner.put(format!("{head}{who}: {what}:"));
                for row in dump_of(parts) {
                    is_first |= inner.put(format!("{head}{row}"));
                }
                is_first
            }
            _ => inner.put(format!("{head}{who}: {what}")),
        }
    }

    /// The oldest line for the script's function.
    pub fn fetch(&self) -> Option<String> {
        let mut inner = lock(&self.inner);
        let Some(line) = inner.lines.pop_front() else { return inner.notice() };
        inner.bytes -= line.len();
        Some(line)
    }

    /// How many lines wait for that function.
    #[must_use]
    pub fn waiting(&self) -> usize {
        lock(&self.inner).lines.len()
    }

    /// A source is closed, whose port others may get.
    #[inline]
    pub fn source_closed(&self, token: Token) {
        if self.is_careful.load(Ordering::Relaxed) {
            lock(&self.inner).source_closed(token.generation.get(), limits::TRACE_HUSHED_AFTER);
        }
    }

    /// The script's function runs, on this thread, or has run.
    pub fn set_within(&self, is_within: bool) {
        let mut inner = lock(&self.inner);
        inner.within = is_within.then(|| std::thread::current().id());
        let is_careful = is_within || !inner.hushed.is_empty();
        self.is_careful.store(is_careful, Ordering::Relaxed);
    }
}

impl Inner {
    fn head(&mut self, number: Option<u32>, now: Instant) -> String {
        self.now = now;
        let seconds = now.saturating_duration_since(self.began).as_secs_f64();
        let mut head = format!("{seconds:.4} ");
        if let Some(number) = number {
            // A text takes everything.
            let _ = write!(head, "#{number} ");
        }
        head
    }

    /// Whether nothing is to be told: the script's function does this itself, or somebody at the other
    /// end of what it has used.
    fn is_hushed(&mut self, number: Option<u32>, (local, peer): Ends) -> bool {
        let is_within = self.within == Some(std::thread::current().id());
        let is_known = number.is_some_and(|number| self.hushed.contains(&number));
        let is_end = |end| self.hushed_ends.get(end).is_some_and(|end| !end.is_over());
        let is_other = [peer, local].iter().flatten().any(is_end);
        if !(is_within || is_known || is_other) {
            return false;
        }
        if is_within && self.hushed.len() < limits::TRACE_HUSHED {
            self.hushed.extend(number);
        }
        if let (Some(number), Some(local), Some(_)) = (number, local, peer)
            && (is_within || is_known)
        {
            self.hush_end(local, number);
            if local.ip().is_unspecified() {
                // Who hears from it within this machine sees it there.
                for ip in [Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()] {
                    self.hush_end(SocketAddr::new(ip, local.port()), number);
                }
            }
        }
        true
    }

    fn hush_end(&mut self, end: SocketAddr, number: u32) {
        let ends = &mut self.hushed_ends;
        if ends.get(&end).is_some_and(|known| known.number == number) {
            return;
        }
        if ends.len() >= limits::TRACE_HUSHED {
            ends.retain(|_, end| !end.is_over());
        }
        if ends.len() < limits::TRACE_HUSHED {
            ends.insert(end, HushedEnd { number, until: None });
        }
    }

    fn source_closed(&mut self, number: u32, after: Duration) {
        let until = Some(Instant::now() + after);
        for end in self.hushed_ends.values_mut().filter(|end| end.number == number) {
            end.until = end.until.or(until);
        }
    }

    /// That lines are missing, once.
    fn notice(&mut self) -> Option<String> {
        let count = std::mem::take(&mut self.dropped);
        let head = self.head(None, self.now);
        (count > 0)
            .then(|| format!("{head}{count} lines of the trace were dropped: nobody took them"))
    }

    /// Writes a line or keeps it. Whether it is the first that is kept.
    fn put(&mut self, mut line: String) -> bool {
        cut(&mut line);
        if let Sink::Function = self.sink {
            let is_full = self.lines.len() >= limits::TRACE_LINES
                || self.bytes + line.len() > limits::TRACE_BYTES;
            if is_full {
                self.dropped += 1;
                return false;
            }
            self.bytes += line.len();
            self.lines.push_back(line);
            return self.lines.len() == 1;
        }
        if self.dropped > 0 {
            let before = self.dropped;
            if let Some(notice) = self.notice()
                && !self.write(&notice)
            {
                self.dropped = before;
            }
        }
        if !self.write(&line) {
            self.dropped += 1;
        }
        false
    }

    fn write(&self, line: &str) -> bool {
        match &self.sink {
            Sink::Stderr => say(format!("evsock: {line}\n").as_bytes()),
            Sink::File(file) => file.write(format!("{line}\n").as_bytes()),
            Sink::Function => true,
        }
    }
}

/// "1 byte".
pub(super) fn of_bytes(count: usize) -> String {
    if count == 1 { "1 byte".into() } else { format!("{count} bytes") }
}

/// Nothing in a line is obeyed by a terminal, and a pipe takes it whole.
fn cut(line: &mut String) {
    if line.chars().any(char::is_control) {
        *line = line.replace(char::is_control, " ");
    }
    if line.len() > limits::TRACE_LINE {
        let end = (0..=limits::TRACE_LINE).rev().find(|place| line.is_char_boundary(*place));
        line.truncate(end.unwrap_or_default());
        line.push_str("...");
    }
}

/// In quotes, with escapes for what can't be seen.
fn text_of(parts: &[&[u8]]) -> String {
    let whole: usize = parts.iter().map(|part| part.len()).sum();
    let mut text = String::from("\"");
    let mut shown = 0;
    for byte in parts.iter().copied().flatten().take(limits::TRACE_DATA) {
        text.extend(byte.escape_ascii().map(char::from));
        shown += 1;
        if text.len() > limits::TRACE_LINE - 400 {
            break;
        }
    }
    text.push('"');
    if shown < whole {
        let _ = write!(text, " and {} bytes more", whole - shown);
    }
    text
}

/// Rows of sixteen: where it stands, the numbers, the text.
fn dump_of(parts: &[&[u8]]) -> Vec<String> {
    let whole: usize = parts.iter().map(|part| part.len()).sum();
    let bytes: Vec<u8> =
        parts.iter().copied().flatten().take(limits::TRACE_DATA).copied().collect();
    let mut rows = Vec::new();
    for (place, row) in bytes.chunks(16).enumerate() {
        let mut text = format!("  {:04x} ", place * 16);
        for byte in row {
            let _ = write!(text, " {byte:02x}");
        }
        let seen = |byte: &u8| if (32..127).contains(byte) { char::from(*byte) } else { '.' };
        let letters: String = row.iter().map(seen).collect();
        rows.push(format!("{text:<56} |{letters}|"));
    }
    if bytes.len() < whole {
        rows.push(format!("  and {} bytes more", whole - bytes.len()));
    }
    rows
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::num::NonZeroU32;

    use super::*;

    const NOWHERE: Ends = (None, None);

    fn collecting(level: Level) -> Trace {
        let trace = Trace::new(Instant::now());
        trace.set(level, Sink::Function);
        trace
    }

    /// Without the seconds.
    fn lines(trace: &Trace) -> Vec<String> {
        let bare = |line: String| line.split_once(' ').unwrap().1.to_owned();
        std::iter::from_fn(|| trace.fetch()).map(bare).collect()
    }

    #[test]
    fn lines_come_in_order_and_the_first_calls_for_the_script() {
        let trace = collecting(Level::Events);
        assert!(trace.tell(None, "task 1", "begun", NOWHERE, Instant::now()));
        assert!(!trace.tell(None, "task 1", "over", NOWHERE, Instant::now()));
        assert_eq!(lines(&trace), ["task 1: begun", "task 1: over"]);
        assert!(trace.tell(None, "task 2", "begun", NOWHERE, Instant::now()));
    }

    #[test]
    fn what_nobody_fetches_is_dropped_and_counted() {
        let trace = collecting(Level::Events);
        for _ in 0..limits::TRACE_LINES + 7 {
            let _ = trace.tell(None, "timer", "due", NOWHERE, Instant::now());
        }
        let all = lines(&trace);
        assert_eq!(all[limits::TRACE_LINES], "7 lines of the trace were dropped: nobody took them");
        assert_eq!(all.len(), limits::TRACE_LINES + 1);
    }

    #[test]
    fn a_line_has_a_bound_and_nothing_that_a_terminal_obeys() {
        let trace = collecting(Level::Events);
        let _ = trace.tell(
            None,
            "socket",
            &format!("\u{1b}[2J{}", "ä".repeat(5000)),
            NOWHERE,
            Instant::now(),
        );
        let line = trace.fetch().unwrap();
        assert!(line.len() <= limits::TRACE_LINE + 3 && !line.contains('\u{1b}'));
    }

    #[test]
    fn bytes_are_shown_as_the_level_says_and_no_more_than_some() {
        let token = Token { slot: 0, generation: std::num::NonZeroU32::MIN };
        let tell = |level, bytes: &[u8]| {
            let trace = collecting(level);
            let _ =
                trace.tell_bytes(token, "socket", "received", &[bytes], NOWHERE, Instant::now());
            lines(&trace)
        };
        assert_eq!(tell(Level::Events, b"PWR?\r"), ["#1 socket: received"]);
        assert_eq!(tell(Level::Data, b"PWR?\r"), ["#1 socket: received: \"PWR?\\r\""]);
        let row = "#1   0000  50 57 52 3f 0d                                   |PWR?.|";
        assert_eq!(tell(Level::Hex, b"PWR?\r"), ["#1 socket: received:", row]);
        let long = tell(Level::Data, &[0; 5000]);
        assert!(long[0].ends_with(" bytes more") && long[0].len() <= limits::TRACE_LINE);
        assert_eq!(tell(Level::Hex, &[0; 5000]).len(), limits::TRACE_DATA / 16 + 2);
    }

    #[test]
    fn what_the_function_does_itself_is_not_told_nor_what_comes_of_it() {
        let trace = collecting(Level::Events);
        let end = |port: u16| Some(SocketAddr::from(([127, 0, 0, 1], port)));
        let token =
            |slot: u32| Some(Token { slot, generation: std::num::NonZeroU32::new(slot).unwrap() });
        trace.set_within(true);
        assert!(!trace.tell(token(1), "socket", "sent", (end(1), end(2)), Instant::now()));
        trace.set_within(false);
        assert!(!trace.tell(token(1), "socket", "drained", (end(1), end(2)), Instant::now()));
        assert!(!trace.tell(token(2), "socket", "received", (end(2), end(1)), Instant::now()));
        assert!(trace.tell(token(3), "socket", "received", (end(2), end(3)), Instant::now()));
        assert_eq!(lines(&trace), ["#3 socket: received"]);
    }
    #[test]
    fn ends_of_what_is_closed_are_told_of_again_and_never_more_are_kept_than_some() {
        let trace = collecting(Level::Events);
        let end = |port: u16| Some(SocketAddr::from(([127, 0, 0, 1], port)));
        let token =
            |slot: u16| Token { slot: 0, generation: NonZeroU32::new(slot.into()).unwrap() };
        let told = |number: u16, ends: Ends| {
            let _ = trace.tell(Some(token(number)), "socket", "sent", ends, Instant::now());
            !lines(&trace).is_empty()
        };
        trace.set_within(true);
        assert!(!told(1, (end(1), end(2))));
        trace.set_within(false);
        trace.source_closed(token(1));
        // The other end sees it later.
        assert!(!told(2, (end(2), end(1))));
        lock(&trace.inner).hushed_ends.clear();
        assert!(!told(1, (end(1), end(2))));
        lock(&trace.inner).source_closed(1, Duration::ZERO);
        assert!(told(3, (end(1), end(3))));
        assert!(!told(1, (end(1), end(2))));
        assert!(told(3, (end(1), end(3))));
        trace.set_within(true);
        for number in 10..3000 {
            assert!(!told(number, (end(number), end(2))));
        }
        assert_eq!(lock(&trace.inner).hushed_ends.len(), limits::TRACE_HUSHED);
        lock(&trace.inner)
            .hushed_ends
            .values_mut()
            .for_each(|end| end.until = Some(Instant::now()));
        assert!(!told(4000, (end(4000), end(2))));
        assert_eq!(lock(&trace.inner).hushed_ends.len(), 1);
    }
}
