//! Strings of Lua made from bytes that are ours.
//!
//! Not here: which bytes (`socket`). Making a string may raise: memory is out, or before 5.4 a finaliser
//! fails that runs meanwhile. And finalisers may use the very socket whose bytes these are.
//!
//! Invariants:
//! * What is read is taken from the buffer once the string is there, and only if nobody has taken
//!   anything since. An error leaves everything as it was: nothing is lent, nothing is lost.
//! * Up to 5.2 and on LuaJIT finalisers run before the bytes are copied. There short texts are copied
//!   to our own stack first; the memory of long ones is lent, and the string is made under
//!   protection, so that the loan ends whatever happens.

use std::ffi::c_int;
use std::mem::MaybeUninit;
use std::ops::Range;

use mlua::ffi::lua_State;

use super::guard::fenced;
use super::object::{Object, SocketPart};
use super::stack::Stack;
use crate::lua::state::State;
use crate::proto::buffer::{Held, ReadBuffer};

/// Whether finalisers may run before the bytes of a new string are copied.
const EARLY: bool = cfg!(any(feature = "lua51", feature = "lua52", feature = "luajit"));
/// A copy of more costs more than protection.
const SHORT: usize = 2048;

/// Pushes a copy of a short text, made before `release` lets go of the text itself.
#[inline]
fn push_copied(stack: Stack, bytes: *const [u8], release: impl FnOnce()) {
    // Not a value that is handed on: that would be copied whole.
    let mut room = [const { MaybeUninit::<u8>::uninit() }; SHORT];
    let copy: *mut u8 = room.as_mut_ptr().cast();
    let length = bytes.len().min(SHORT);
    // SAFETY: there is room for so many, and it is no part of them.
    unsafe { copy.copy_from_nonoverlapping(bytes.cast(), length) };
    release();
    // SAFETY: so many were copied.
    stack.push_bytes(unsafe { std::slice::from_raw_parts(copy, length) });
}

/// Pushes what `take` takes of the buffer, or nil; whether there was something. May raise.
#[inline]
pub(super) fn push_taken(
    stack: Stack,
    object: &Object,
    part: &SocketPart,
    take: impl Fn(&mut ReadBuffer) -> Option<Range<usize>>,
) -> bool {
    loop {
        let Some(held) = fenced(stack, || hold(object, part, &take)) else {
            stack.push_nil();
            return false;
        };
        push_range(stack, object, part, held.range());
        if keep(object, part, &held) {
            return true;
        }
        // A finaliser has taken it meanwhile.
        stack.pop(1);
    }
}

#[inline]
fn hold(
    object: &Object,
    part: &SocketPart,
    take: impl Fn(&mut ReadBuffer) -> Option<Range<usize>>,
) -> Option<Held> {
    let mut buffer = part.front_mut(object);
    match buffer.present() {
        Some(buffer) => buffer.hold(take),
        None => hold_nothing(take),
    }
}

/// Where nothing has ever come.
#[cold]
fn hold_nothing(take: impl Fn(&mut ReadBuffer) -> Option<Range<usize>>) -> Option<Held> {
    ReadBuffer::default().hold(take)
}

/// Takes what was held, if it still comes next. The memory of an emptied buffer serves others.
#[inline]
fn keep(object: &Object, part: &SocketPart, held: &Held) -> bool {
    let mut buffer = part.front_mut(object);
    let Some(buffer) = buffer.present() else { return true };
    if !buffer.keep(held) {
        return false;
    }
    if buffer.is_empty()
        && let (Some(spare), Some(hub)) = (buffer.spare(), object.state.hub())
    {
        hub.recycle(spare);
    }
    true
}

#[inline]
fn push_range(stack: Stack, object: &Object, part: &SocketPart, range: Range<usize>) {
    let is_short = range.len() <= SHORT;
    let (start, length) = {
        let mut buffer = part.front_mut(object);
        if EARLY && !is_short {
            buffer.lend();
        }
        let bytes = buffer.bytes(range);
        (bytes.as_ptr(), bytes.len())
    };
    // SAFETY: the bytes stay until they are copied: no finaliser runs before, or they are lent.
    let bytes = unsafe { std::slice::from_raw_parts(start, length) };
    if !EARLY {
        return stack.push_bytes(bytes);
    }
    if is_short {
        return push_copied(stack, bytes, || ());
    }
    let went_well = push_protected(stack, &object.state, bytes);
    part.front_mut(object).settle();
    if !went_well {
        stack.throw();
    }
}

/// Pushes the text of something that goes with it; may raise, then without that.
pub(super) fn push_owned<T>(stack: Stack, state: &State, owner: T, text: impl Fn(&T) -> &[u8]) {
    let bytes: *const [u8] = text(&owner);
    if bytes.len() <= SHORT {
        return push_copied(stack, bytes, || drop(owner));
    }
    let went_well = push_protected(stack, state, text(&owner));
    drop(owner);
    if !went_well {
        stack.throw();
    }
}

/// Pushes the bytes, or the error; whether it went well.
fn push_protected(stack: Stack, state: &State, bytes: &[u8]) -> bool {
    let place = (bytes.as_ptr(), bytes.len());
    stack.push_registered(state.references.get().maker);
    stack.push_pointer((&raw const place).cast());
    stack.protected_call(1, 1, 0)
}

/// `maker(place)`: the string of the bytes that are there.
pub(super) extern "C-unwind" fn maker(state: *mut lua_State) -> c_int {
    let stack = Stack::of(state);
    let place: *const (*const u8, usize) = stack.to_pointer(1).cast();
    // SAFETY: only `push_protected` calls this, with what stays until it returns.
    let (start, length) = unsafe { place.read() };
    // SAFETY: as above.
    stack.push_bytes(unsafe { std::slice::from_raw_parts(start, length) });
    1
}
