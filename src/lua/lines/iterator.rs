//! `sock:lines()`: one line a step.
//!
//! Not here: where a line ends (`proto::framing`), the iterator that LuaJIT compiles (`lines.lua`).
//! Invariants: an iterator gives lines that were buffered when it was made, never later ones. Each is taken
//! from the buffer as if in the step that gives it (`ffi::line_batch`), so nothing is lost when a loop ends
//! early.

use std::ffi::c_int;
use std::panic::{AssertUnwindSafe, catch_unwind};

use mlua::ffi::lua_State;

use crate::lua::class::object::{Object, SocketPart};
use crate::lua::class::receiver::socket;
use crate::lua::ffi::line_batch::{LineBatch, SIZE};
use crate::lua::ffi::protected::catch_panic;
use crate::lua::ffi::stack::{Function, Stack, Text};
use crate::lua::lines::batch::{Bound, FEW, fill_batch, push_current_batch, put_line};
use crate::lua::run::queue::ObjectPointer;
use crate::lua::socket::methods::{finish_line, line_end};
use crate::proto::framing::LineEnd;
use crate::proto::read_buffer::ReadBuffer;

/// The functions that scripts and `lines.lua` use.
pub(in crate::lua) const FUNCTIONS: &[(&str, Function)] =
    &[("line_bound", line_bound), ("line_filler", line_filler), ("lines", lines), ("next", next)];

/// With fewer bytes than the first in the buffer, lines are taken one by one; with fewer than the second
/// if looking ahead has not paid of late.
const MANY: [usize; 2] = [1024, 8192];

/// The kinds by number.
const KINDS: [LineEnd; 6] =
    [LineEnd::CrLf, LineEnd::Any, LineEnd::CrLfStrict, LineEnd::Each, LineEnd::Lf, LineEnd::Null];
/// A bound as one number: the position times this, plus the number of the kind.
const STEP: u64 = 8;

impl Bound {
    /// As one number, exact up to a petabyte.
    fn packed(self) -> u64 {
        let kind = KINDS.iter().position(|kind| *kind == self.line_end).unwrap_or_default();
        self.stop.saturating_mul(STEP).saturating_add(kind as u64)
    }

    fn unpacked(number: f64) -> Self {
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "packed so")]
        let number = number as u64;
        let kind = usize::try_from(number % STEP).unwrap_or_default();
        Self { stop: number / STEP, line_end: KINDS.get(kind).copied().unwrap_or(LineEnd::CrLf) }
    }
}

/// `sock:lines(kind)`: a closure over the socket and the bound; where much is buffered also over a
/// block of lines ahead, and its number there.
extern "C-unwind" fn lines(state: *mut lua_State) -> c_int {
    let stack = Stack::of(state);
    let (object, bound, length) = check(stack);
    stack.set_top(1);
    stack.push_count(bound);
    if length < MANY[0] || length < MANY[1] && !LineBatch::pays(&object.state) {
        stack.push_closure(next_line, 2);
        return 1;
    }
    let batch = push_current_batch(stack, &object.state);
    stack.push_number(batch.number());
    stack.push_closure(next_ahead, 4);
    1
}

/// `line_bound(sock, kind)`: the bound, and where much is buffered the block of lines ahead and a
/// number there; for `lines.lua`.
extern "C-unwind" fn line_bound(state: *mut lua_State) -> c_int {
    let stack = Stack::of(state);
    let (object, bound, length) = check(stack);
    stack.push_count(bound);
    if length < FEW {
        return 1;
    }
    let batch = push_current_batch(stack, &object.state);
    stack.push_number(batch.number());
    3
}

fn check<'a>(stack: Stack) -> (&'a Object, usize, usize) {
    let (object, part) = socket(stack, "lines");
    let line_end = line_end(stack, 2, "lines");
    let buffer = part.front(object);
    let bound = Bound { stop: buffer.end_position(), line_end };
    (object, usize::try_from(bound.packed()).unwrap_or(usize::MAX), buffer.len())
}

extern "C-unwind" fn next_line(state: *mut lua_State) -> c_int {
    give(Stack::of(state), Stack::upvalue(1), Stack::upvalue(2))
}

/// `next(sock, bound)`: the same for `lines.lua`.
extern "C-unwind" fn next(state: *mut lua_State) -> c_int {
    give(Stack::of(state), 1, 2)
}

fn give(stack: Stack, place: c_int, bound: c_int) -> c_int {
    let (object, part) = owner(stack, place);
    let bound = Bound::unpacked(stack.to_number(bound).unwrap_or_default());
    let take = |buffer: &mut ReadBuffer| buffer.take_line_before(bound.line_end, bound.stop);
    finish_line(stack, object, part, take, |buffer| buffer.wanted_before(bound.stop))
}

fn owner<'a>(stack: Stack, place: c_int) -> (&'a Object, &'a SocketPart) {
    let object = Object::behind(ObjectPointer::new(stack.to_pointer(place)));
    let Some((object, part)) = object.and_then(|object| Some((object, object.socket()?))) else {
        stack.raise(&Text::new(format_args!("'lines' needs a socket that is not collected")));
    };
    (object, part)
}

/// Gives a line of the batch, which is filled when it has none.
extern "C-unwind" fn next_ahead(state: *mut lua_State) -> c_int {
    let stack = Stack::of(state);
    let batch = LineBatch::at(stack.to_pointer(Stack::upvalue(3)).cast());
    let number = stack.to_number(Stack::upvalue(4)).unwrap_or_default();
    let Some(batch) =
        batch.filter(|batch| batch.has_next(number) || look_ahead(stack, batch, number))
    else {
        return give(stack, Stack::upvalue(1), Stack::upvalue(2));
    };
    if batch.push_next(stack) {
        return 1;
    }
    // A finaliser has used the socket meanwhile: the batch is committed, the line is the buffer's again.
    stack.pop(1);
    give(stack, Stack::upvalue(1), Stack::upvalue(2))
}

fn look_ahead(stack: Stack, batch: &LineBatch, number: f64) -> bool {
    if batch.is_busy() || !batch.is_worth() {
        return false;
    }
    let (object, part) = owner(stack, Stack::upvalue(1));
    let bound = Bound::unpacked(stack.to_number(Stack::upvalue(2)).unwrap_or_default());
    catch_panic(stack, || {
        let is_few = part.front(object).len() < FEW;
        !is_few && fill_batch(batch, object, part, bound, number)
    })
}

/// `line_filler()`: the address of [`fill`] for LuaJIT's compiler, and what a block is for its FFI.
extern "C-unwind" fn line_filler(state: *mut lua_State) -> c_int {
    let stack = Stack::of(state);
    stack.push_pointer(fill as *const _);
    stack.push_bytes(LineBatch::declaration().as_bytes());
    2
}

/// Fills the batch, whose block the caller keeps busy; whether it has a line now. If not, there is none at
/// all, or only `next` can give it: it is longer than the block, or reading may have to go on.
extern "C" fn fill(
    batch: *const LineBatch,
    object: ObjectPointer,
    bound: f64,
    number: f64,
) -> bool {
    let step = || {
        let batch = LineBatch::at(batch)?;
        let object = Object::behind(object)?;
        let part = object.socket()?;
        if object.script().is_paused() {
            return None;
        }
        let bound = Bound::unpacked(bound);
        let found = batch.is_worth() && fill_batch(batch, object, part, bound, number);
        let found = found || take(batch, object, part, bound, number)?;
        Some(found)
    };
    catch_unwind(AssertUnwindSafe(step)).ok().flatten().unwrap_or_default()
}

/// Puts one line into the batch, however long it is.
fn take(
    batch: &LineBatch,
    object: &Object,
    part: &SocketPart,
    bound: Bound,
    number: f64,
) -> Option<bool> {
    if object.script().is_paused() {
        return None;
    }
    let held = {
        let mut buffer = part.front_mut(object);
        buffer.make().hold(|buffer| buffer.take_short_line(bound.line_end, bound.stop, SIZE))?
    };
    Some(put_line(batch, object, part, held, number))
}
