//! The methods of a socket that scripts call all the time.
//!
//! Not here: methods with option tables (`native`). Invariant: each checks its arguments first, then works
//! without calling Lua, and pushes its result last.

use std::cell::Cell;
use std::ffi::c_int;
use std::ops::Range;

use memchr::memchr;
use mlua::ffi::lua_State;

use crate::error::{Code, Error};
use crate::lua::class::object::{Object, SocketPart};
use crate::lua::class::receiver::socket;
use crate::lua::ffi::protected::catch_panic;
use crate::lua::ffi::stack::{Function, Stack, Text};
use crate::lua::ffi::strings::push_taken;
use crate::lua::run::errors::push_error;
use crate::lua::run::state::State;
use crate::proto::framing::LineEnd;
use crate::proto::read_buffer::ReadBuffer;
use crate::proto::script::{Close, ScriptState};

/// The functions by name, as dialects and `evsock.Socket` see them.
pub(in crate::lua) const FUNCTIONS: &[(&str, Function)] = &[
    ("abort", abort),
    ("close", close),
    ("peek", peek),
    ("read", read),
    ("read_exact", read_exact),
    ("read_line", read_line),
    ("read_text_line", read_text_line),
    ("read_until", read_until),
    ("release", release),
    ("search", search),
    ("shutdown", shutdown),
    ("write", write),
    ("write_some", write_some),
];

/// So many parts of a `write` need no memory of their own on the way to one call of the system.
const PARTS: usize = 16;

fn bad(stack: Stack, argument: &str, method: &str, wanted: &str, index: c_int) -> ! {
    let got = stack.type_name(index);
    stack.raise(&Text::new(format_args!(
        "bad argument '{argument}' to '{method}' ({wanted} expected, got {got})"
    )))
}

/// A byte count: an integer, or a float or string with an integral value.
fn count(stack: Stack, index: c_int, argument: &str, method: &str) -> usize {
    let Some(number) = stack.to_number(index) else {
        bad(stack, argument, method, "integer", index);
    };
    // Up to 2^53 a float holds every integer.
    if !(0.0..=9_007_199_254_740_992.0).contains(&number) || number.fract() != 0.0 {
        stack.raise(&Text::new(format_args!(
            "bad argument '{argument}' to '{method}' (integer of at least 0 expected, got {number})"
        )));
    }
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "checked above")]
    let count = number as usize;
    count
}

pub(in crate::lua) fn line_end(stack: Stack, index: c_int, method: &str) -> LineEnd {
    if stack.is_nil(index) {
        return LineEnd::CrLf;
    }
    match stack.is_string(index).then(|| stack.to_bytes(index)).flatten() {
        Some(b"any") => LineEnd::Any,
        Some(b"crlf") => LineEnd::CrLf,
        Some(b"each") => LineEnd::Each,
        Some(b"lf") => LineEnd::Lf,
        Some(b"null") => LineEnd::Null,
        Some(b"strict") => LineEnd::CrLfStrict,
        Some(other) => {
            let other = std::str::from_utf8(other).unwrap_or("?");
            stack.raise(&Text::new(format_args!(
                "bad argument 'kind' to '{method}' ('any', 'each', 'crlf', 'strict', 'lf' or 'null' \
                 expected, got '{other}')"
            )))
        }
        None => bad(stack, "kind", method, "string", index),
    }
}

/// Has reading go on if a read calls for it: one that found what it wanted (`wanted` = 0), or one that
/// needs so many bytes in one piece.
fn has_read(object: &Object, part: &SocketPart, wanted: usize) {
    let is_too_long = wanted > 0 && wanted > object.options().max_frame;
    if !(object.script().is_paused() || is_too_long) || object.state.is_forked() {
        return;
    }
    let (unread, hidden) = {
        let buffer = part.front(object);
        (buffer.len() + buffer.hidden(), buffer.hidden())
    };
    // Bytes that are hidden have events to come; only then it shows whether they suffice.
    let wanted = if hidden == 0 || is_too_long { wanted } else { 0 };
    let options = object.options();
    if wanted == 0 && unread > options.read_limit / 2 {
        return;
    }
    if let (Some(hub), Some(stream)) = (object.state.hub(), part.stream.borrow().as_ref()) {
        let paused = stream.resume(hub, unread, wanted);
        object.update(|script| script.set_paused(paused));
    }
}

extern "C-unwind" fn read(state: *mut lua_State) -> c_int {
    take(Stack::of(state), "read", false)
}

extern "C-unwind" fn peek(state: *mut lua_State) -> c_int {
    take(Stack::of(state), "peek", true)
}

fn take(stack: Stack, method: &str, peeks: bool) -> c_int {
    let (object, part) = socket(stack, method);
    let limit = if stack.is_nil(2) { usize::MAX } else { count(stack, 2, "n", method) };
    push_taken(stack, object, part, |buffer| {
        if buffer.is_empty() && limit > 0 {
            return None;
        }
        Some(if peeks { buffer.peek(limit) } else { buffer.take(limit) })
    });
    catch_panic(stack, || has_read(object, part, 0));
    1
}

extern "C-unwind" fn read_exact(state: *mut lua_State) -> c_int {
    let stack = Stack::of(state);
    let (object, part) = socket(stack, "read_exact");
    let wanted = count(stack, 2, "n", "read_exact");
    let found = push_taken(stack, object, part, |buffer| buffer.take_exact(wanted));
    catch_panic(stack, || has_read(object, part, if found { 0 } else { wanted }));
    1
}

extern "C-unwind" fn read_line(state: *mut lua_State) -> c_int {
    let stack = Stack::of(state);
    let (object, part) = socket(stack, "read_line");
    let end = line_end(stack, 2, "read_line");
    finish_line(stack, object, part, |buffer| buffer.take_line(end), after_all)
}

/// `read_text_line(sock)`: the line before the next LF, for hosts to which CR is no part of a text; how many
/// bytes that took, and whether there is a CR in it other than the last byte, which is left out.
extern "C-unwind" fn read_text_line(state: *mut lua_State) -> c_int {
    let stack = Stack::of(state);
    let (object, part) = socket(stack, "read_line");
    let (taken, has_more) = (Cell::new(0), Cell::new(false));
    let take = |buffer: &mut ReadBuffer| {
        let mut line = buffer.take_line(LineEnd::Lf)?;
        taken.set(line.len() + 1);
        if buffer.bytes(line.clone()).ends_with(b"\r") {
            line.end -= 1;
        }
        has_more.set(memchr(b'\r', buffer.bytes(line.clone())).is_some());
        Some(line)
    };
    finish_line(stack, object, part, take, after_all);
    stack.push_count(taken.get());
    stack.push_bool(has_more.get());
    3
}

/// How many bytes a line has at least if none of those that can be read ends it.
fn after_all(buffer: &ReadBuffer) -> usize {
    buffer.len() + 1
}

pub(in crate::lua) fn finish_line(
    stack: Stack,
    object: &Object,
    part: &SocketPart,
    take: impl Fn(&mut ReadBuffer) -> Option<Range<usize>>,
    wanted: impl Fn(&ReadBuffer) -> usize,
) -> c_int {
    let found = push_taken(stack, object, part, take);
    catch_panic(stack, || {
        let more = if found { 0 } else { wanted(&part.front(object)) };
        has_read(object, part, more);
    });
    1
}

extern "C-unwind" fn read_until(state: *mut lua_State) -> c_int {
    let stack = Stack::of(state);
    let (object, part) = socket(stack, "read_until");
    let Some(delimiter) = stack.to_bytes(2) else {
        bad(stack, "delimiter", "read_until", "string", 2);
    };
    if delimiter.is_empty() {
        stack.raise(&Text::new(format_args!(
            "bad argument 'delimiter' to 'read_until' (must not be empty)"
        )));
    }
    let keep = stack.to_bool(3);
    finish_line(stack, object, part, |buffer| buffer.take_until(delimiter, keep), after_all)
}

extern "C-unwind" fn search(state: *mut lua_State) -> c_int {
    let stack = Stack::of(state);
    let (object, part) = socket(stack, "search");
    let Some(text) = stack.to_bytes(2) else {
        bad(stack, "text", "search", "string", 2);
    };
    let start = if stack.is_nil(3) { 1 } else { count(stack, 3, "start", "search") };
    match catch_panic(stack, || part.front_mut(object).make().search(text, start.max(1))) {
        Some(index) => stack.push_count(index),
        None => stack.push_nil(),
    }
    1
}

extern "C-unwind" fn write(state: *mut lua_State) -> c_int {
    let stack = Stack::of(state);
    let (object, part) = socket(stack, "write");
    let last = stack.top();
    if last < 2 {
        bad(stack, "data", "write", "string", 2);
    }
    for index in 2..=last {
        if stack.to_bytes(index).is_none() {
            bad(stack, "data", "write", "string", index);
        }
    }
    match catch_panic(stack, || write_all(stack, object, part, last)) {
        Ok(()) => {
            stack.push_bool(true);
            1
        }
        Err(error) => push_error(stack, &object.state, error),
    }
}

fn write_all(
    stack: Stack,
    object: &Object,
    part: &SocketPart,
    last: c_int,
) -> Result<(), Box<Error>> {
    if object.state.is_forked() {
        return Err(Box::new(State::forked()));
    }
    let stream = part.stream.borrow();
    let open = object.script().is_writable();
    let (Some(hub), Some(stream)) = (object.state.hub(), stream.as_ref().filter(|_| open)) else {
        let text = "write: the socket is not connected";
        return Err(Box::new(Error::new(Code::Closed, text)));
    };
    let bytes = |index| stack.to_bytes(index).unwrap_or_default();
    if last == 2 {
        return stream.write(hub, &[bytes(2)]).map_err(Box::new);
    }
    let count = usize::try_from(last - 1).unwrap_or_default();
    if count <= PARTS {
        let mut parts = [&[][..]; PARTS];
        for (part, index) in parts.iter_mut().zip(2..=last) {
            *part = bytes(index);
        }
        return stream.write(hub, parts.get(..count).unwrap_or_default()).map_err(Box::new);
    }
    let parts: Vec<_> = (2..=last).map(bytes).collect();
    stream.write(hub, &parts).map_err(Box::new)
}

/// `write_some(sock, data, i, j)`: the index of the last byte that was taken.
extern "C-unwind" fn write_some(state: *mut lua_State) -> c_int {
    let stack = Stack::of(state);
    stack.set_top(4);
    let (object, part) = socket(stack, "write_some");
    let Some(data) = stack.to_bytes(2) else {
        bad(stack, "data", "write_some", "string", 2);
    };
    let first = place(stack, 3, "i", data.len(), 1).max(1);
    let last = place(stack, 4, "j", data.len(), data.len());
    let wanted = data.get(first - 1..last.min(data.len())).unwrap_or_default();
    match catch_panic(stack, || hand_over(object, part, wanted)) {
        Ok(taken) => {
            stack.push_count(first - 1 + taken);
            1
        }
        Err(error) => push_error(stack, &object.state, error),
    }
}

/// A place in a text of so many bytes, as `string.sub` takes it: from the end if it is negative; 0 is
/// before the first byte.
fn place(stack: Stack, index: c_int, argument: &str, length: usize, default: usize) -> usize {
    if stack.is_nil(index) {
        return default;
    }
    let number = stack.to_number(index).filter(|number| number.fract() == 0.0);
    let Some(number) = number.filter(|number| number.abs() <= 9_007_199_254_740_992.0) else {
        bad(stack, argument, "write_some", "integer", index);
    };
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "checked above")]
    let distance = number.abs() as usize;
    if number < 0.0 { (length + 1).saturating_sub(distance) } else { distance }
}

fn hand_over(object: &Object, part: &SocketPart, data: &[u8]) -> Result<usize, Box<Error>> {
    if object.state.is_forked() {
        return Err(Box::new(State::forked()));
    }
    let stream = part.stream.borrow();
    let open = object.script().is_writable();
    let (Some(hub), Some(stream)) = (object.state.hub(), stream.as_ref().filter(|_| open)) else {
        let text = "write_some: the socket is not connected";
        return Err(Box::new(Error::new(Code::Closed, text)));
    };
    stream.write_some(hub, data).map_err(Box::new)
}

extern "C-unwind" fn close(state: *mut lua_State) -> c_int {
    close_by(Stack::of(state), "close", |object, stream| {
        if let Some(hub) = object.state.hub() {
            stream.close(hub);
        }
    })
}

extern "C-unwind" fn abort(state: *mut lua_State) -> c_int {
    close_by(Stack::of(state), "abort", |object, stream| {
        if let Some(hub) = object.state.hub() {
            stream.abort(hub);
        }
    })
}

type Closing = fn(&Object, &crate::net::stream::Stream);

fn close_by(stack: Stack, method: &str, how: Closing) -> c_int {
    let (object, part) = socket(stack, method);
    let forked = object.state.is_forked();
    let closable = object.script().closable();
    if forked || closable == Close::Nothing {
        object.update(ScriptState::silence);
        return 0;
    }
    let token = object.token.get();
    catch_panic(stack, || {
        if let Some(stream) = part.stream.borrow().as_ref() {
            how(object, stream);
        }
        object.update(ScriptState::close);
        if closable == Close::Pause {
            // The close of the last attempt was dispatched already; no other event comes.
            object.let_go();
            object.notify_watchers();
        }
    });
    match token.filter(|_| object.token.get().is_none()) {
        Some(token) => crate::lua::class::anchor::unregister(stack, object, token),
        None => crate::lua::class::anchor::update_anchor(stack, 1, object),
    }
    0
}

extern "C-unwind" fn shutdown(state: *mut lua_State) -> c_int {
    let stack = Stack::of(state);
    let (object, part) = socket(stack, "shutdown");
    if object.state.is_forked() {
        return 0;
    }
    catch_panic(stack, || {
        if let (Some(hub), Some(stream)) = (object.state.hub(), part.stream.borrow().as_ref()) {
            stream.shutdown(hub);
        }
    });
    0
}

/// `release(sock, keep)`: gives the connection up without an event; `keep`: what can be read stays.
extern "C-unwind" fn release(state: *mut lua_State) -> c_int {
    let stack = Stack::of(state);
    let (object, part) = socket(stack, "release");
    if object.state.is_forked() {
        return 0;
    }
    let (token, keep) = (object.token.get(), stack.to_bool(2));
    catch_panic(stack, || {
        object.let_go();
        if !keep {
            part.clear(object);
        }
        object.update(ScriptState::release);
    });
    if let Some(token) = token {
        crate::lua::class::anchor::unregister(stack, object, token);
    }
    0
}
