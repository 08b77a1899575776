//! `sock:lines()`: one line a step.
//!
//! Not here: where a line ends (`proto::framing`), the iterator that LuaJIT compiles (`lines.lua`).
//! Invariants: an iterator gives lines that were buffered when it was made, never later ones; what
//! it gives is taken from the buffer in the same step, so nothing is lost when a loop ends early.

use std::ffi::c_int;
use std::panic::{AssertUnwindSafe, catch_unwind};

use mlua::ffi::lua_State;

use super::guard::fenced;
use super::object::Object;
use super::socket::{finish_line, line_end, settle, socket};
use super::stack::{Function, Stack, Text};
use crate::proto::framing::LineEnd;

/// The functions that scripts and `lines.lua` use.
pub(in crate::lua) const FUNCTIONS: &[(&str, Function)] =
    &[("line_bound", line_bound), ("line_taker", line_taker), ("lines", lines), ("next", next)];

/// The kinds by number.
const KINDS: [LineEnd; 6] =
    [LineEnd::CrLf, LineEnd::Any, LineEnd::CrLfStrict, LineEnd::Each, LineEnd::Lf, LineEnd::Null];
/// The position counts in these steps, the kind in between.
const STEP: u64 = 8;

/// What is left to give: up to which position of the stream, and the kind of line end.
#[derive(Clone, Copy)]
struct Bound {
    stop: u64,
    end: LineEnd,
}

impl Bound {
    /// As one number, exact up to a petabyte.
    fn packed(self) -> u64 {
        let kind = KINDS.iter().position(|kind| *kind == self.end).unwrap_or_default();
        self.stop.saturating_mul(STEP).saturating_add(kind as u64)
    }

    fn unpacked(number: f64) -> Self {
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "packed so")]
        let number = number as u64;
        let kind = usize::try_from(number % STEP).unwrap_or_default();
        Self { stop: number / STEP, end: KINDS.get(kind).copied().unwrap_or(LineEnd::CrLf) }
    }
}

/// `sock:lines(kind)`: a closure over the socket and the bound.
extern "C-unwind" fn lines(state: *mut lua_State) -> c_int {
    let stack = Stack::of(state);
    let (bound, _) = check(stack);
    stack.set_top(1);
    stack.push_count(bound);
    stack.push_closure(next_line, 2);
    1
}

/// `line_bound(sock, kind)`: the bound, and how many bytes wait; for `lines.lua`.
extern "C-unwind" fn line_bound(state: *mut lua_State) -> c_int {
    let stack = Stack::of(state);
    let (bound, length) = check(stack);
    stack.push_count(bound);
    stack.push_count(length);
    2
}

fn check(stack: Stack) -> (usize, usize) {
    let (_, part) = socket(stack, "lines");
    let end = line_end(stack, 2, "lines");
    let buffer = part.buffer.borrow();
    let bound = Bound { stop: buffer.end_position(), end };
    (usize::try_from(bound.packed()).unwrap_or(usize::MAX), buffer.len())
}

extern "C-unwind" fn next_line(state: *mut lua_State) -> c_int {
    give(Stack::of(state), Stack::upvalue(1), Stack::upvalue(2))
}

/// `next(sock, bound)`: the same for `lines.lua`.
extern "C-unwind" fn next(state: *mut lua_State) -> c_int {
    give(Stack::of(state), 1, 2)
}

fn give(stack: Stack, place: c_int, bound: c_int) -> c_int {
    let Some(object) = Object::in_slot(stack.to_pointer(place).cast()) else {
        stack.raise(&Text::new(format_args!("'lines' needs a socket that is not collected")));
    };
    let Some(part) = object.socket() else { return 0 };
    let bound = Bound::unpacked(stack.to_number(bound).unwrap_or_default());
    let range = fenced(stack, || part.buffer.borrow_mut().take_line_before(bound.end, bound.stop));
    finish_line(stack, object, part, range)
}

/// `line_taker()`: the address of [`take`], for LuaJIT's compiler.
extern "C-unwind" fn line_taker(state: *mut lua_State) -> c_int {
    Stack::of(state).push_pointer(take as *const _);
    1
}

/// Copies the next line to `room` and takes it from the buffer; its length. -1: there is none, or
/// it takes the other way: longer than `room`, or reading may have to go on.
extern "C" fn take(object: *const Object, bound: f64, room: *mut u8, size: u32) -> i32 {
    let step = || {
        let object = Object::in_slot(object)?;
        let part = object.socket()?;
        if object.paused.get() {
            return None;
        }
        let bound = Bound::unpacked(bound);
        let mut buffer = part.buffer.borrow_mut();
        let range = buffer.take_short_line(bound.end, bound.stop, size as usize)?;
        let bytes = buffer.bytes(range);
        // SAFETY: the caller's room has `size` bytes, and the line is no longer than that.
        unsafe { std::ptr::copy_nonoverlapping(bytes.as_ptr(), room, bytes.len()) };
        let length = i32::try_from(bytes.len()).unwrap_or(-1);
        let emptied = buffer.is_empty();
        drop(buffer);
        if emptied {
            part.buffer.borrow_mut().lend();
            settle(object, part);
        }
        Some(length)
    };
    catch_unwind(AssertUnwindSafe(step)).ok().flatten().unwrap_or(-1)
}
