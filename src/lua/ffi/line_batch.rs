//! A line batch: lines found ahead for an iterator of `sock:lines()`, in one block of memory: copied out of the buffer in one go,
//! given one by one, on LuaJIT by a compiled loop that makes no call for them.
//!
//! Not here: finding them (`lines::batch`), iterators (`lines::iterator`, `lines.lua`).
//!
//! Invariants:
//! * What was given, and nothing else, is taken from the buffer late, when the batch is *committed*: before
//!   anybody else looks at the buffer (`SocketPart::front`), when all was given, when the socket goes.
//!   Whoever looks sees the buffer as if each line had been taken as it was given.
//! * A state has one current block, and only that is filled: lines are ahead of at most one socket,
//!   for one iterator.
//! * A block is *busy* from before a line is looked up until it is a string; only then the line counts
//!   as given. Meanwhile finalisers may run; nobody fills a busy block, so its text stays. If one has
//!   looked at the socket, the line is the buffer's again. An error leaves the block busy, and the line
//!   in the buffer: the next loop gets another block.
//! * Blocks are Lua's memory. The current one is in the registry, others in their iterators; Lua frees
//!   neither before all finalisers have run.

use std::cell::Cell;

use crate::lua::ffi::stack::{Stack, Text};
use crate::lua::run::queue::ObjectPointer;
use crate::lua::run::state::State;
use crate::proto::read_buffer::Held;

/// So many lines at most, and so many bytes with their ends: both stay in the nearest cache.
const LINES: u32 = 128;
pub(in crate::lua) const SIZE: usize = 8 * 1024;
/// The first time so many: a loop may end, or read otherwise, at any line.
const FIRST: u32 = 8;
/// A copy of a line that is longer costs more than is saved.
const LONG: usize = 256;
/// `committed` while nobody has committed the batch.
const NOT_COMMITTED: u32 = i32::MAX.cast_unsigned();
/// Where looking ahead was for nothing again and again, it is left out so many times.
const RESTRAINT: u32 = 15;

/// The block. Compiled loops read it, and write `next` and `busy`: [`LineBatch::declaration`].
#[repr(C)]
pub(in crate::lua) struct LineBatch {
    /// The number of the iterator whose lines these are; 0: nobody's.
    owner: Cell<f64>,
    /// Which line comes next; those before were given.
    next: Cell<u32>,
    count: Cell<u32>,
    busy: Cell<u32>,
    /// So many are looked for next time.
    wanted: Cell<u32>,
    /// What `next` was when the batch was committed: later lines are the buffer's again.
    committed: Cell<u32>,
    /// Where each line begins, and behind the last one's end.
    from: [Cell<u32>; LINES as usize + 1],
    length: [Cell<u32>; LINES as usize],
    text: [Cell<u8>; SIZE],
    /// Not for compiled loops: the socket, the number of the last iterator, how often no line is looked
    /// for, and how often the last time.
    socket: Cell<ObjectPointer>,
    iterators: Cell<f64>,
    skips: Cell<u32>,
    skipped: Cell<u32>,
    /// The line is the only one, and this is what goes with it.
    single: Cell<Option<Held>>,
}

/// What was given of a socket's buffer.
pub(in crate::lua) enum Given {
    Bytes(usize),
    One(Held),
}

impl LineBatch {
    /// The type for LuaJIT's FFI, as far as compiled loops use it.
    pub(in crate::lua) fn declaration() -> Text {
        let places = LINES + 1;
        Text::new(format_args!(
            "struct {{ double owner; int32_t next, count, busy, wanted, committed; int32_t from[{places}]; \
             int32_t length[{LINES}]; uint8_t text[{SIZE}]; }} *"
        ))
    }

    /// Pushes a new block, nobody's. May raise.
    pub(in crate::lua) fn push_new<'a>(stack: Stack) -> &'a Self {
        let block: *mut Self = stack.new_block(size_of::<Self>()).cast();
        // SAFETY: the block is new and of that size.
        unsafe { block.write_bytes(0, 1) };
        // SAFETY: zeroes are a valid block of nobody's.
        let batch = unsafe { &*block };
        batch.wanted.set(FIRST);
        // Of this one zeroes may mean anything.
        batch.single.set(None);
        batch
    }

    /// The block that may be filled.
    pub(in crate::lua) fn current<'a>(state: &State) -> Option<&'a Self> {
        Self::at(state.line_batch.get().cast())
    }

    /// Whether it is the one that may be filled.
    pub(in crate::lua) fn is_current(&self, state: &State) -> bool {
        std::ptr::eq(state.line_batch.get(), std::ptr::from_ref(self).cast())
    }

    /// It is the one that may be filled.
    pub(in crate::lua) fn make_current(&self, state: &State) {
        state.line_batch.set(std::ptr::from_ref(self).cast());
    }

    /// The block at an address that an iterator holds.
    pub(in crate::lua) fn at<'a>(block: *const Self) -> Option<&'a Self> {
        // SAFETY: whoever holds the address holds the block; `push_current_batch` made it, valid.
        unsafe { block.as_ref() }
    }

    /// Commits the batch, whatever socket it is of; what was given of its buffer.
    pub(in crate::lua) fn finish(state: &State) -> Given {
        let Some(batch) = Self::current(state) else { return Given::Bytes(0) };
        let (next, count) = (batch.next.get(), batch.count.get());
        if let Some(held) = batch.single.take() {
            batch.clear(next);
            return if next > 0 { Given::One(held) } else { Given::Bytes(0) };
        }
        // Lines that were found for nothing cost no more than those that were given.
        let given = batch.from.get(next as usize).map_or(0, |from| from.get() as usize);
        if next < count || given > LONG * next as usize {
            batch.wanted.set(next.max(2));
            batch.restrain();
        } else {
            batch.wanted.set(batch.wanted.get().saturating_mul(2).min(LINES));
            batch.skipped.set(0);
        }
        batch.clear(next);
        Given::Bytes(given)
    }

    /// Nobody's from now on; so many lines were given.
    fn clear(&self, next: u32) {
        self.owner.set(0.0);
        self.count.set(0);
        self.committed.set(next);
        self.socket.set(ObjectPointer::NOWHERE);
    }

    /// Looking ahead was for nothing: the next times it is left out.
    pub(in crate::lua) fn restrain(&self) {
        let skips = (2 * self.skipped.get() + 1).min(RESTRAINT);
        self.skipped.set(skips);
        self.skips.set(skips);
    }

    /// Whether lines are to be looked for this time.
    pub(in crate::lua) fn is_worth(&self) -> bool {
        let skips = self.skips.get();
        self.skips.set(skips.saturating_sub(1));
        skips == 0
    }

    /// Whether a loop over few lines is likely to gain by looking ahead.
    pub(in crate::lua) fn pays(state: &State) -> bool {
        Self::current(state).is_none_or(Self::is_worth)
    }

    /// A number for an iterator.
    pub(in crate::lua) fn number(&self) -> f64 {
        self.iterators.set(self.iterators.get() + 1.0);
        self.iterators.get()
    }

    /// Whether the next line of that iterator is here.
    pub(in crate::lua) fn has_next(&self, number: f64) -> bool {
        self.owner.get().total_cmp(&number).is_eq()
            && self.next.get() < self.count.get()
            && !self.is_busy()
    }

    /// Whether somebody is making a string of a line.
    pub(in crate::lua) fn is_busy(&self) -> bool {
        self.busy.get() != 0
    }

    /// Pushes the next line, which is here; whether it still was when the string was made. May raise.
    pub(in crate::lua) fn push_next(&self, stack: Stack) -> bool {
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
        let is_here = next < self.committed.get();
        if is_here {
            self.next.set(next + 1);
        }
        is_here
    }

    /// The socket for which lines are ahead in this very block.
    pub(in crate::lua) fn socket(&self) -> Option<ObjectPointer> {
        (self.count.get() > 0).then(|| self.socket.get())
    }

    /// How many lines are to be looked for.
    pub(in crate::lua) fn wanted(&self) -> u32 {
        self.wanted.get()
    }

    /// So many lines of that socket are here for that iterator.
    pub(in crate::lua) fn begin(&self, socket: ObjectPointer, count: u32, number: f64) {
        self.next.set(0);
        self.committed.set(NOT_COMMITTED);
        self.count.set(count);
        self.owner.set(number);
        self.socket.set(socket);
    }

    /// The one line that is here goes with what was held.
    pub(in crate::lua) fn set_single(&self, held: Held) {
        self.single.set(Some(held));
    }

    /// The line at `place` lies there in the text; behind the last one, where the next would.
    pub(in crate::lua) fn set_place(&self, place: u32, from: usize, length: usize) {
        let number = |n: usize| u32::try_from(n).unwrap_or_default();
        if let Some(place) = self.from.get(place as usize) {
            place.set(number(from));
        }
        if let Some(place) = self.length.get(place as usize) {
            place.set(number(length));
        }
    }

    /// Copies the text of the lines; false if it is too long.
    pub(in crate::lua) fn copy(&self, bytes: &[u8]) -> bool {
        let Some(room) = self.text.get(..bytes.len()) else { return false };
        let room = room.as_ptr().cast::<u8>().cast_mut();
        // SAFETY: the cells are as many, they may be written, and they lie in no buffer.
        unsafe { std::ptr::copy_nonoverlapping(bytes.as_ptr(), room, bytes.len()) };
        true
    }
}
