//! What the error of a handler says besides its message: the traceback, and which handler it was.
//!
//! Not here: where the error goes (`pump`). Invariant: both stand once, however many pumps inside of
//! handlers the error passes on its way out, and they are of the handler that failed. Errors that
//! are no strings stay as they are.

use std::ffi::c_int;

use memchr::memmem;
use mlua::ffi::lua_State;

use crate::address::Address;
use crate::lua::class::object::{Object, Part};
use crate::lua::ffi::stack::{Lossy, Stack, Text};
use crate::lua::run::events::EventNumber;
use crate::lua::run::state::State;

/// What a traceback begins with, in every Lua.
const HEAD: &[u8] = b"\nstack traceback:\n";
/// What our line begins with.
const LINE: &[u8] = b"\nin the handler ";

/// The message handler of every dispatch: a string gets its traceback.
pub(in crate::lua) extern "C-unwind" fn traceback(state: *mut lua_State) -> c_int {
    let stack = Stack::of(state);
    stack.set_top(1);
    // `to_bytes` would turn a number into a string.
    let text = if stack.is_string(1) { stack.to_bytes(1) } else { None };
    if text.is_some_and(|text| memmem::find(text, HEAD).is_none()) {
        stack.push_traceback(1);
    }
    1
}

/// The error on top of the stack is one of the handler `number` of the object at `index`: a line
/// behind its message says so, if there is memory for it. `names`: where the table of their names is.
pub(in crate::lua) fn name_handler(
    stack: Stack,
    state: &State,
    index: c_int,
    number: u32,
    names: c_int,
) {
    if !stack.is_string(-1) {
        return;
    }
    let error = stack.top();
    stack.push_reference(state.references.get().blamer);
    stack.push_value(error);
    stack.push_value(index);
    stack.push_value(names);
    stack.push_count(number as usize);
    if stack.protected_call(4, 1, 0) {
        stack.insert(error);
    }
    stack.set_top(error);
}

/// `blamer(error, object, names, number)`: the error with that line, if it has a traceback.
pub(in crate::lua) extern "C-unwind" fn blamer(state: *mut lua_State) -> c_int {
    let stack = Stack::of(state);
    let number = stack.to_number(4).unwrap_or_default();
    let text = stack.to_bytes(1).unwrap_or_default();
    stack.push_value(1);
    let (Some(cut), Some(object)) = (memmem::find(text, HEAD), Object::at(stack, 2)) else {
        return 1;
    };
    let (message, rest) = text.split_at_checked(cut).unwrap_or((text, &[]));
    if memmem::find(message, LINE).is_some() || !stack.push_metatable(2) {
        return 1;
    }
    stack.push_bytes(b"__name");
    stack.raw_get(-2);
    let class = Lossy(stack.to_bytes(-1).unwrap_or(b"?"));
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "pushed as one")]
    let number = number as u32;
    stack.raw_get_at(3, number);
    let name = Lossy(stack.to_bytes(-1).unwrap_or_default());
    let line = describe(object, number, &class, &name);
    stack.push_bytes(message);
    stack.push_bytes(line.as_bytes());
    stack.push_bytes(rest);
    stack.concat(3);
    1
}

/// `in the handler 'on_data' of evsock.Socket 10.0.0.9:23`; without the handler's name for objects of a
/// dialect, which has other names.
fn describe(object: &Object, number: u32, class: &Lossy<'_>, name: &Lossy<'_>) -> Text {
    let peer = peer_of(object).map_or_else(String::new, |peer| format!(" {peer}"));
    if !class.0.starts_with(b"evsock.") {
        return Text::new(format_args!("\nin the handler of {class}{peer}"));
    }
    match number {
        _ if number == EventNumber::Timer as u32 => {
            Text::new(format_args!("\nin the handler of {class}"))
        }
        _ if number == EventNumber::Unhandled as u32 => {
            Text::new(format_args!("\nin the handler 'evsock.on_unhandled' of {class}{peer}"))
        }
        _ => Text::new(format_args!("\nin the handler '{name}' of {class}{peer}")),
    }
}

/// The other end of a connection, or where a server or a socket for datagrams is.
pub(in crate::lua) fn peer_of(object: &Object) -> Option<String> {
    match &object.part {
        Part::Socket(part) => match part.target.get() {
            Some(target) => Some(target.display()),
            None => part.stream.borrow().as_ref()?.info().peer.map(|peer| peer.to_string()),
        },
        Part::Server(part) => {
            part.listeners.borrow().first().map(|listener| listener.address().to_string())
        }
        Part::Datagram(part) => {
            part.borrow().as_ref().map(|datagram| Address::Ip(datagram.endpoints().0).to_string())
        }
        Part::Watch(part) => {
            part.watch.borrow().as_ref().map(|watch| watch.descriptor().to_string())
        }
        Part::Question(_) | Part::Timer(_) => None,
    }
}
