//! Lines found ahead for an iterator of `sock:lines()`: copied out of the buffer in one go, given one
//! by one, on LuaJIT by a compiled loop that makes no call for them.
//!
//! Not here: iterators (`lines`, `lines.lua`), where a line ends (`proto`).
//!
//! Invariants:
//! * What was given, and nothing else, is taken from the buffer late: before anybody else looks at it
//!   (`SocketPart::front`), when all was given, when the socket goes. Whoever looks sees the buffer
//!   as if each line had been taken as it was given.
//! * A state has one current block, and only that is filled: lines are ahead of at most one socket,
//!   for one iterator.
//! * A block is *busy* from before a line is looked up until it is a string; only then the line counts
//!   as given. Meanwhile finalisers may run; nobody fills a busy block, so its text stays. If one has
//!   looked at the socket, the line is the buffer's again. An error leaves the block busy, and the line
//!   in the buffer: the next loop gets another block.
//! * Blocks are Lua's memory. The current one is in the registry, others in their iterators; Lua frees
//!   neither before all finalisers have run.

use std::cell::Cell;

use super::object::{Object, SocketPart};
use super::scan::places_in;
use super::stack::{Stack, Text};
use crate::lua::state::State;
use crate::proto::buffer::Held;
use crate::proto::framing::LineEnd;

/// So many lines at most, and so many bytes with their ends: both stay in the nearest cache.
const LINES: u32 = 128;
pub(super) const SIZE: usize = 8 * 1024;
/// The first time so many: a loop may end, or read otherwise, at any line.
const FIRST: u32 = 8;
/// With fewer bytes than that at hand, looking ahead costs as much as it saves; the first where a call
/// of C is saved for each line, too.
const LITTLE: usize = 128;
pub(super) const FEW: usize = 512;
/// A copy of a line that is longer costs more than is saved.
const LONG: usize = 256;
/// Nobody has.
const NEVER: u32 = i32::MAX.cast_unsigned();
/// Where it was for nothing again and again, it is left out so many times.
const RESTRAINT: u32 = 15;

/// The block. Compiled loops read it, and write `next` and `busy`: [`Lease::declaration`].
#[repr(C)]
pub(in crate::lua) struct Lease {
    /// The number of the iterator whose lines these are; 0: nobody's.
    owner: Cell<f64>,
    /// Which line comes next; those before were given.
    next: Cell<u32>,
    count: Cell<u32>,
    busy: Cell<u32>,
    /// So many are looked for next time.
    wanted: Cell<u32>,
    /// What `next` was when somebody took what was given: later lines are the buffer's again.
    ended: Cell<u32>,
    /// Where each line begins, and behind the last one's end.
    from: [Cell<u32>; LINES as usize + 1],
    length: [Cell<u32>; LINES as usize],
    text: [Cell<u8>; SIZE],
    /// Not for compiled loops: the socket, the number of the last iterator, how often no line is looked
    /// for, and how often the last time.
    socket: Cell<*const Object>,
    iterators: Cell<f64>,
    skips: Cell<u32>,
    skipped: Cell<u32>,
    /// The line is the only one, and this is what goes with it.
    single: Cell<Option<Held>>,
}

/// What was given of a socket's buffer.
pub(super) enum Given {
    Bytes(usize),
    One(Held),
}

/// What is left to give: up to which position of the stream, and the kind of line end.
#[derive(Clone, Copy)]
pub(super) struct Bound {
    pub(super) stop: u64,
    pub(super) end: LineEnd,
}

impl Lease {
    /// The type for LuaJIT's FFI, as far as compiled loops use it.
    pub(super) fn declaration() -> Text {
        let places = LINES + 1;
        Text::new(format_args!(
            "struct {{ double owner; int32_t next, count, busy, wanted, ended; int32_t from[{places}]; \
             int32_t length[{LINES}]; uint8_t text[{SIZE}]; }} *"
        ))
    }

    /// Pushes the current block. If there is none, or it is busy, a new one takes its place. May
    /// raise.
    pub(super) fn push_current<'a>(stack: Stack, state: &State) -> &'a Self {
        let place = state.references.get().lease;
        stack.push_registered(place);
        let block: *const Self = stack.to_pointer(-1).cast();
        if let Some(lease) = Self::at(block).filter(|lease| !lease.is_busy()) {
            return lease;
        }
        stack.pop(1);
        let block: *mut Self = stack.new_block(size_of::<Self>()).cast();
        // SAFETY: the block is new and of that size.
        unsafe { block.write_bytes(0, 1) };
        // Finalisers may have come here while the block was made.
        Self::dismiss(state);
        stack.push_value(-1);
        stack.register_at(place);
        state.lease.set(block);
        // SAFETY: zeroes are a valid block of nobody's.
        let lease = unsafe { &*block };
        lease.wanted.set(FIRST);
        // Of this one zeroes may mean anything.
        lease.single.set(None);
        lease
    }

    /// The block at an address that an iterator holds.
    pub(super) fn at<'a>(block: *const Self) -> Option<&'a Self> {
        // SAFETY: whoever holds the address holds the block; `push_current` made it, valid.
        unsafe { block.as_ref() }
    }

    /// Ends what is ahead for whatever socket; what was given of its buffer.
    pub(super) fn end(state: &State) -> Given {
        let Some(lease) = Self::at(state.lease.get()) else { return Given::Bytes(0) };
        let (next, count) = (lease.next.get(), lease.count.get());
        if let Some(held) = lease.single.take() {
            lease.let_go(next);
            return if next > 0 { Given::One(held) } else { Given::Bytes(0) };
        }
        // Lines that were found for nothing cost no more than those that were given.
        let given = lease.from.get(next as usize).map_or(0, |from| from.get() as usize);
        if next < count || given > LONG * next as usize {
            lease.wanted.set(next.max(2));
            lease.restrain();
        } else {
            lease.wanted.set(lease.wanted.get().saturating_mul(2).min(LINES));
            lease.skipped.set(0);
        }
        lease.let_go(next);
        Given::Bytes(given)
    }

    /// Nobody's from now on; so many lines were given.
    fn let_go(&self, next: u32) {
        self.owner.set(0.0);
        self.count.set(0);
        self.ended.set(next);
        self.socket.set(std::ptr::null());
    }

    /// It was for nothing.
    fn restrain(&self) {
        let skips = (2 * self.skipped.get() + 1).min(RESTRAINT);
        self.skipped.set(skips);
        self.skips.set(skips);
    }

    /// Whether lines are to be looked for this time.
    pub(super) fn is_worth(&self) -> bool {
        let skips = self.skips.get();
        self.skips.set(skips.saturating_sub(1));
        skips == 0
    }

    /// Whether a loop over few lines is likely to gain by looking ahead.
    pub(super) fn pays(state: &State) -> bool {
        Self::at(state.lease.get()).is_none_or(Self::is_worth)
    }

    /// A number for an iterator.
    pub(super) fn number(&self) -> f64 {
        self.iterators.set(self.iterators.get() + 1.0);
        self.iterators.get()
    }

    /// Whether the next line of that iterator is here.
    pub(super) fn has_next(&self, number: f64) -> bool {
        self.owner.get().total_cmp(&number).is_eq()
            && self.next.get() < self.count.get()
            && !self.is_busy()
    }

    /// Whether somebody is making a string of a line.
    pub(super) fn is_busy(&self) -> bool {
        self.busy.get() != 0
    }

    /// Pushes the next line, which is here; whether it still was when the string was made. May raise.
    pub(super) fn push_next(&self, stack: Stack) -> bool {
        let next = self.next.get();
        let place = next as usize;
        let (Some(from), Some(length)) = (self.from.get(place), self.length.get(place)) else {
            stack.push_nil();
            return false;
        };
        let text = self.text.get(from.get() as usize..).unwrap_or_default();
        let text = text.get(..length.get() as usize).unwrap_or_default();
        self.busy.set(1);
        // SAFETY: nobody writes there while the block is busy.
        stack.push_bytes(unsafe { std::slice::from_raw_parts(text.as_ptr().cast(), text.len()) });
        self.busy.set(0);
        let is_here = next < self.ended.get();
        if is_here {
            self.next.set(next + 1);
        }
        is_here
    }

    /// Finds the lines that come next of that iterator, if there are enough; whether there is one. The
    /// block is not busy, or with the caller.
    pub(super) fn fill(
        &self,
        object: &Object,
        part: &SocketPart,
        bound: Bound,
        number: f64,
    ) -> bool {
        let state = &*object.state;
        if !std::ptr::eq(state.lease.get(), self) {
            return false;
        }
        Self::dismiss(state);
        let buffer = part.front(object);
        if buffer.len() < LITTLE {
            return false;
        }
        let mut most = SIZE;
        if object.paused.get() {
            // At the line that brings it down to half of the limit reading goes on.
            let unread = buffer.len() + buffer.hidden();
            let kept = object.options().read_limit / 2 + 1;
            most = most.min(unread.saturating_sub(kept));
        }
        let mut count = 0_u32;
        let total = buffer.lines_ahead(bound.end, bound.stop, most, places_in, |start, length| {
            self.note(count, start, length);
            count += 1;
            count < self.wanted.get()
        });
        if count == 0 {
            self.restrain();
            return false;
        }
        self.note(count, total, 0);
        self.copy(buffer.bytes(buffer.peek(total)));
        self.begin(object, count, number);
        true
    }

    /// Makes the line that was held the only one here, if it fits. The block is busy with the caller.
    pub(super) fn put(&self, object: &Object, part: &SocketPart, held: Held, number: f64) -> bool {
        if !std::ptr::eq(object.state.lease.get(), self) {
            return false;
        }
        Self::dismiss(&object.state);
        let buffer = part.front(object);
        let line = buffer.bytes(held.range());
        self.note(0, 0, line.len());
        if !self.copy(line) {
            return false;
        }
        self.single.set(Some(held));
        self.begin(object, 1, number);
        true
    }

    fn begin(&self, object: &Object, count: u32, number: f64) {
        self.next.set(0);
        self.ended.set(NEVER);
        self.count.set(count);
        self.owner.set(number);
        self.socket.set(object);
        object.leased.set(true);
    }

    /// Whether lines may be ahead for somebody in this very block.
    fn is_used(&self) -> bool {
        self.count.get() > 0
    }

    /// Ends what is ahead.
    fn dismiss(state: &State) {
        let socket = Self::at(state.lease.get()).filter(|lease| lease.is_used());
        let object = socket.and_then(|lease| Object::in_slot(lease.socket.get()));
        if let Some((object, part)) = object.and_then(|object| Some((object, object.socket()?))) {
            part.catch_up(object);
        }
    }

    fn note(&self, place: u32, from: usize, length: usize) {
        let number = |n: usize| u32::try_from(n).unwrap_or_default();
        if let Some(place) = self.from.get(place as usize) {
            place.set(number(from));
        }
        if let Some(place) = self.length.get(place as usize) {
            place.set(number(length));
        }
    }

    fn copy(&self, bytes: &[u8]) -> bool {
        let Some(room) = self.text.get(..bytes.len()) else { return false };
        let room = room.as_ptr().cast::<u8>().cast_mut();
        // SAFETY: the cells are as many, they may be written, and they lie in no buffer.
        unsafe { std::ptr::copy_nonoverlapping(bytes.as_ptr(), room, bytes.len()) };
        true
    }
}
