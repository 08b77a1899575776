//! The methods of a socket that scripts call all the time.
//!
//! Not here: methods with option tables (`native`). Each checks its arguments, works without Lua,
//! and pushes the result last.

use std::ffi::c_int;
use std::ops::Range;

use mlua::ffi::lua_State;

use super::guard::fenced;
use super::making::{push_owned, push_taken};
use super::object::{Object, SocketPart, View, expect};
use super::stack::{Function, Stack, Text};
use super::tasks::tell_watchers;
use crate::error::{Code, Error};
use crate::lua::state::State;
use crate::proto::buffer::ReadBuffer;
use crate::proto::framing::LineEnd;

/// The functions by name, as dialects and the native class see them.
pub(in crate::lua) const FUNCTIONS: &[(&str, Function)] = &[
    ("abort", abort),
    ("close", close),
    ("forget", forget),
    ("peek", peek),
    ("read", read),
    ("read_exact", read_exact),
    ("read_line", read_line),
    ("read_until", read_until),
    ("release", release),
    ("search", search),
    ("shutdown", shutdown),
    ("write", write),
];

/// Parts of a `write` that are handed over in one call of the system.
const PARTS: usize = 16;

pub(super) fn socket<'a>(stack: Stack, method: &str) -> (&'a Object, &'a SocketPart) {
    let object = expect(stack, method, "socket");
    match object.socket() {
        Some(part) => (object, part),
        None => stack.raise(&Text::new(format_args!("'{method}' needs a socket"))),
    }
}

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

pub(super) fn line_end(stack: Stack, index: c_int, method: &str) -> LineEnd {
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

/// After a read that found what it wanted (`wanted` = 0), or wants that much in one piece.
fn has_read(object: &Object, part: &SocketPart, wanted: usize) {
    let is_too_long = wanted > 0 && wanted > object.options().max_frame;
    if !(object.paused.get() || is_too_long) || object.state.is_forked() {
        return;
    }
    let (unread, hidden) = {
        let buffer = part.front(object);
        (buffer.len() + buffer.hidden(), buffer.hidden())
    };
    // What is hidden comes with events of its own; only then is it known whether it suffices.
    let wanted = if hidden == 0 || is_too_long { wanted } else { 0 };
    let options = object.options();
    if wanted == 0 && unread > options.read_limit / 2 {
        return;
    }
    if let (Some(hub), Some(stream)) = (object.state.hub(), part.stream.borrow().as_ref()) {
        object.paused.set(stream.resume(hub, unread, wanted));
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
    fenced(stack, || has_read(object, part, 0));
    1
}

extern "C-unwind" fn read_exact(state: *mut lua_State) -> c_int {
    let stack = Stack::of(state);
    let (object, part) = socket(stack, "read_exact");
    let wanted = count(stack, 2, "n", "read_exact");
    let found = push_taken(stack, object, part, |buffer| buffer.take_exact(wanted));
    fenced(stack, || has_read(object, part, if found { 0 } else { wanted }));
    1
}

extern "C-unwind" fn read_line(state: *mut lua_State) -> c_int {
    let stack = Stack::of(state);
    let (object, part) = socket(stack, "read_line");
    let end = line_end(stack, 2, "read_line");
    finish_line(stack, object, part, |buffer| buffer.take_line(end), after_all)
}

/// How many bytes a line has at least that is not among those that can be read.
fn after_all(buffer: &ReadBuffer) -> usize {
    buffer.len() + 1
}

pub(super) fn finish_line(
    stack: Stack,
    object: &Object,
    part: &SocketPart,
    take: impl Fn(&mut ReadBuffer) -> Option<Range<usize>>,
    wanted: impl Fn(&ReadBuffer) -> usize,
) -> c_int {
    let found = push_taken(stack, object, part, take);
    fenced(stack, || {
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
    match fenced(stack, || part.front_mut(object).search(text, start.max(1))) {
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
    match fenced(stack, || write_all(stack, object, part, last)) {
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
    let open = matches!(
        object.view.get(),
        View::Open | View::Connecting | View::Securing | View::Resolving
    );
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

/// `nil, message, code`.
pub(super) fn push_error(stack: Stack, state: &State, error: impl Into<Box<Error>>) -> c_int {
    let code = hold_error(state, error.into());
    stack.push_nil();
    push_message(stack, state);
    stack.push_bytes(code.as_str().as_bytes());
    3
}

/// Keeps the error in the state while its text is pushed.
pub(super) fn hold_error(state: &State, error: Box<Error>) -> Code {
    let code = error.code();
    state.error.replace(Some(error));
    code
}

/// Pushes the message of the error held last; its code. What finalisers do meanwhile may fail, too.
pub(super) fn push_message(stack: Stack, state: &State) -> Code {
    let Some(error) = state.error.take() else {
        stack.push_bytes(b"");
        return Code::Internal;
    };
    let code = error.code();
    push_owned(stack, state, error, |error| error.message().as_bytes());
    code
}

extern "C-unwind" fn close(state: *mut lua_State) -> c_int {
    end(Stack::of(state), "close", |object, stream| {
        if let Some(hub) = object.state.hub() {
            stream.close(hub);
        }
    })
}

extern "C-unwind" fn abort(state: *mut lua_State) -> c_int {
    end(Stack::of(state), "abort", |object, stream| {
        if let Some(hub) = object.state.hub() {
            stream.abort(hub);
        }
    })
}

type Ending = fn(&Object, &crate::net::stream::Stream);

fn end(stack: Stack, method: &str, how: Ending) -> c_int {
    let (object, part) = socket(stack, method);
    let forked = object.state.is_forked();
    if forked || matches!(object.view.get(), View::Idle | View::Closed) {
        // Inside `on_close` this still ends reconnecting.
        object.ended.set(true);
        return 0;
    }
    let token = object.token.get();
    fenced(stack, || {
        if let Some(stream) = part.stream.borrow().as_ref() {
            how(object, stream);
        }
        if object.view.get() == View::Waiting {
            // The last attempt's end was told already; nothing more comes.
            object.let_go();
            object.view.set(View::Closed);
            tell_watchers(object);
        } else {
            object.view.set(View::Closing);
        }
        object.ended.set(true);
    });
    match token.filter(|_| object.token.get().is_none()) {
        Some(token) => super::anchor::unbind(stack, object, token),
        None => super::anchor::update_anchor(stack, 1, object),
    }
    0
}

extern "C-unwind" fn shutdown(state: *mut lua_State) -> c_int {
    let stack = Stack::of(state);
    let (object, part) = socket(stack, "shutdown");
    if object.state.is_forked() {
        return 0;
    }
    fenced(stack, || {
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
    fenced(stack, || {
        object.let_go();
        if !keep {
            part.clear(object);
        }
        object.paused.set(false);
        object.view.set(View::Idle);
        object.ended.set(false);
        object.farewells.set(0);
        object.ends_one();
    });
    if let Some(token) = token {
        super::anchor::unbind(stack, object, token);
    }
    0
}

extern "C-unwind" fn forget(state: *mut lua_State) -> c_int {
    let stack = Stack::of(state);
    let (object, part) = socket(stack, "forget");
    fenced(stack, || {
        part.forget(object);
        has_read(object, part, 0);
    });
    0
}
