//! Strings of Lua, made from bytes that are ours.
//!
//! Not here: which bytes (`socket::methods`). Making a string may raise, because memory is out or, before
//! 5.4, because a finaliser fails that runs meanwhile. Finalisers may also use the very socket whose bytes
//! these are.
//!
//! Invariants:
//! * What is read is taken from the buffer once the string is there, and only if nobody has taken
//!   anything since. An error leaves everything as it was: nothing stays pinned, nothing is lost.
//! * Up to 5.2 and on LuaJIT finalisers run before the bytes are copied. There short texts are copied
//!   to our own stack first; the memory of long ones is pinned, and the string is made under
//!   protection, so that the pin goes whatever happens.

use std::mem::MaybeUninit;
use std::ops::Range;

use crate::lua::class::object::{Object, SocketPart};
use crate::lua::ffi::protected::catch_panic;
use crate::lua::ffi::protected::protected;
use crate::lua::ffi::stack::Stack;
use crate::lua::run::state::State;
use crate::proto::read_buffer::{Held, ReadBuffer};

/// Whether finalisers may run before the bytes of a new string are copied.
const EARLY: bool = cfg!(any(feature = "lua51", feature = "lua52", feature = "luajit"));
/// A copy of more costs more than protection.
const SHORT: usize = 2048;

/// Pushes a copy of a short text, made before `release` lets go of the text itself.
#[inline]
fn push_copied(stack: Stack, bytes: *const [u8], release: impl FnOnce()) {
    // A local, not a value with methods: passing that on would copy all of it.
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
pub(in crate::lua) fn push_taken(
    stack: Stack,
    object: &Object,
    part: &SocketPart,
    take: impl Fn(&mut ReadBuffer) -> Option<Range<usize>>,
) -> bool {
    loop {
        let Some(held) = catch_panic(stack, || hold(object, part, &take)) else {
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

/// For a connection to which nothing has come yet.
#[cold]
fn hold_nothing(take: impl Fn(&mut ReadBuffer) -> Option<Range<usize>>) -> Option<Held> {
    ReadBuffer::default().hold(take)
}

/// Takes what was held, if it still comes next. Memory of an emptied buffer goes to the hub, for others.
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
            buffer.make().pin();
        }
        let bytes = buffer.get().bytes(range);
        (bytes.as_ptr(), bytes.len())
    };
    // SAFETY: the bytes stay until they are copied: no finaliser runs before, or they are pinned.
    let bytes = unsafe { std::slice::from_raw_parts(start, length) };
    if !EARLY {
        return stack.push_bytes(bytes);
    }
    if is_short {
        return push_copied(stack, bytes, || ());
    }
    let went_well = push_protected(stack, &object.state, bytes);
    part.front_mut(object).make().unpin();
    if !went_well {
        stack.throw();
    }
}

/// Pushes a text of `owner`, which is dropped before this returns or raises.
pub(in crate::lua) fn push_owned<T>(
    stack: Stack,
    state: &State,
    owner: T,
    text: impl Fn(&T) -> &[u8],
) {
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
    let body = |stack: Stack| {
        stack.push_bytes(bytes);
        1
    };
    protected(stack, state, 1, &body)
}
