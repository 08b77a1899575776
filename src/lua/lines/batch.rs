//! Finding lines ahead for an iterator of `sock:lines()`.
//!
//! Not here: the block that holds them, and its invariants (`ffi::line_batch`); where a line ends
//! (`proto::framing`).

use crate::lua::class::object::{Object, SocketPart};
use crate::lua::ffi::line_batch::{LineBatch, SIZE};
use crate::lua::ffi::simd::places_in;
use crate::lua::ffi::stack::Stack;
use crate::lua::run::state::State;
use crate::proto::framing::LineEnd;
use crate::proto::read_buffer::Held;

/// With fewer bytes in the buffer, looking ahead costs as much as it saves. The first bound is for LuaJIT,
/// where a call of C is saved for each line, too.
const LITTLE: usize = 128;
pub(in crate::lua) const FEW: usize = 512;

/// What is left to give: up to which position of the stream, and the kind of line end.
#[derive(Clone, Copy)]
pub(in crate::lua) struct Bound {
    pub(in crate::lua) stop: u64,
    pub(in crate::lua) line_end: LineEnd,
}

/// Pushes the current block. If there is none, or it is busy, a new one takes its place. May
/// raise.
pub(in crate::lua) fn push_current_batch<'a>(stack: Stack, state: &State) -> &'a LineBatch {
    let place = state.references.get().line_batch;
    stack.push_reference(place);
    let block: *const LineBatch = stack.to_pointer(-1).cast();
    if let Some(batch) = LineBatch::at(block).filter(|batch| !batch.is_busy()) {
        return batch;
    }
    stack.pop(1);
    let batch = LineBatch::push_new(stack);
    // Finalisers may have come here while the block was made.
    commit_current(state);
    stack.push_value(-1);
    stack.set_reference(place);
    batch.make_current(state);
    batch
}

/// Fills the batch with the lines that come next for that iterator, if they are enough; whether it has one
/// now. The block is not busy, or it is the caller that keeps it busy.
pub(in crate::lua) fn fill_batch(
    batch: &LineBatch,
    object: &Object,
    part: &SocketPart,
    bound: Bound,
    number: f64,
) -> bool {
    let state = &*object.state;
    if !batch.is_current(state) {
        return false;
    }
    commit_current(state);
    let buffer = part.front(object);
    if buffer.len() < LITTLE {
        return false;
    }
    let mut most = SIZE;
    if object.script().is_paused() {
        // The line that brings the buffer down to half of the limit must make reading go on.
        let unread = buffer.len() + buffer.hidden();
        let kept = object.options().read_limit / 2 + 1;
        most = most.min(unread.saturating_sub(kept));
    }
    let mut count = 0_u32;
    let total = buffer.lines_ahead(bound.line_end, bound.stop, most, places_in, |start, length| {
        batch.set_place(count, start, length);
        count += 1;
        count < batch.wanted()
    });
    if count == 0 {
        batch.restrain();
        return false;
    }
    batch.set_place(count, total, 0);
    batch.copy(buffer.bytes(buffer.peek(total)));
    begin(batch, object, count, number);
    true
}

/// Makes the line that was held the only one of the batch, if it fits. The caller keeps the block busy.
pub(in crate::lua) fn put_line(
    batch: &LineBatch,
    object: &Object,
    part: &SocketPart,
    held: Held,
    number: f64,
) -> bool {
    if !batch.is_current(&object.state) {
        return false;
    }
    commit_current(&object.state);
    let buffer = part.front(object);
    let line = buffer.bytes(held.range());
    batch.set_place(0, 0, line.len());
    if !batch.copy(line) {
        return false;
    }
    batch.set_single(held);
    begin(batch, object, 1, number);
    true
}

fn begin(batch: &LineBatch, object: &Object, count: u32, number: f64) {
    batch.begin(object.pointer(), count, number);
    object.has_batch.set(true);
}

/// Commits the current batch, if it is of a socket.
fn commit_current(state: &State) {
    let socket = LineBatch::current(state).and_then(LineBatch::socket);
    let object = socket.and_then(Object::behind);
    if let Some((object, part)) = object.and_then(|object| Some((object, object.socket()?))) {
        part.commit_batch(object);
    }
}
