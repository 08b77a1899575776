//! The receiver of a method: `expect` finds it; what is no object, of another class or finalised is refused.
//!
//! Not here: other arguments. Nothing here but `expect`, `socket` and `field` runs in a call that is right.

use std::ffi::c_int;

use mlua::ffi::{LUA_TUSERDATA, lua_State};

use crate::lua::class::kind::Kind;
use crate::lua::class::object::{Object, SocketPart};
use crate::lua::ffi::stack::{Function, Lossy, Stack, Text};

/// The functions that Lua files and dialects use.
pub(in crate::lua) const FUNCTIONS: &[(&str, Function)] =
    &[("field", field), ("is_of", is_of), ("misuse", misuse), ("wears", wears)];

/// `field(object, key)`: a field of the object, without its class; nil if it is no object of ours.
extern "C-unwind" fn field(state: *mut lua_State) -> c_int {
    let stack = Stack::of(state);
    if Object::at(stack, 1).is_none() {
        stack.push_nil();
        return 1;
    }
    stack.set_top(2);
    stack.push_fields(1);
    stack.insert(2);
    stack.raw_get(2);
    1
}

/// `is_of(value, metatable)`: whether it is an object of that class, not finalised.
extern "C-unwind" fn is_of(state: *mut lua_State) -> c_int {
    let stack = Stack::of(state);
    let is_of = Object::at(stack, 1).is_some() && has_metatable(stack);
    stack.push_bool(is_of);
    1
}

/// `wears(value, metatable)`: the same, and what was such an object before it was finalised.
extern "C-unwind" fn wears(state: *mut lua_State) -> c_int {
    let stack = Stack::of(state);
    let wears = stack.kind(1) == LUA_TUSERDATA && has_metatable(stack);
    stack.push_bool(wears);
    1
}

fn has_metatable(stack: Stack) -> bool {
    stack.push_metatable(1) && stack.is_same(-1, 2)
}

/// `misuse(value, class, call)`: raises that the call's object was none of that class. `call`: what
/// the call is named if the script's own name for it is not known.
extern "C-unwind" fn misuse(state: *mut lua_State) -> c_int {
    let stack = Stack::of(state);
    stack.set_top(3);
    let text = |index| stack.is_string(index).then(|| stack.to_bytes(index)).flatten();
    let (wanted, call) = (text(2).unwrap_or(b"object"), text(3).unwrap_or(b"the call"));
    refuse_self(stack, wanted, call)
}

/// Raises that the value at index 1 is not what the call needs in front; there is room for more.
pub(in crate::lua) fn refuse_self(stack: Stack, wanted: &[u8], call: &[u8]) -> ! {
    let called = stack.called();
    let call = if called.as_bytes().is_empty() { call } else { called.as_bytes() };
    let class = class_of(stack);
    let got = class.map_or_else(|| stack.type_name(1).as_bytes(), |(name, _)| name);
    let is_dead = class.is_some_and(|(_, is_ours)| is_ours) && Object::at(stack, 1).is_none();
    stack.raise(&Text::new(format_args!(
        "bad argument 'self' to '{}' ({} expected, got {}{}; call it with a colon)",
        Lossy(call),
        Lossy(wanted),
        if is_dead { "a finalised " } else { "" },
        Lossy(got),
    )))
}

/// The name that a userdata's metatable has, which is left on the stack, and whether it is a class of
/// ours.
fn class_of<'a>(stack: Stack) -> Option<(&'a [u8], bool)> {
    if stack.kind(1) != LUA_TUSERDATA || !stack.push_metatable(1) {
        return None;
    }
    let metatable = stack.top();
    stack.push_bytes(b"__definition");
    stack.raw_get(metatable);
    let is_ours = stack.is_table(-1);
    stack.push_bytes(b"__name");
    stack.raw_get(metatable);
    let name = stack.is_string(-1).then(|| stack.to_bytes(-1)).flatten()?;
    Some((name, is_ours))
}

/// The object at index 1, which must be of that kind; raises otherwise.
pub(in crate::lua) fn expect<'a>(stack: Stack, method: &str, kind: Kind) -> &'a Object {
    let fits = Object::at(stack, 1).filter(|object| object.kind() == kind);
    let Some(object) = fits else { refuse_self(stack, kind.name().as_bytes(), method.as_bytes()) };
    object
}

/// The socket at index 1; raises if it is none.
pub(in crate::lua) fn socket<'a>(stack: Stack, method: &str) -> (&'a Object, &'a SocketPart) {
    let object = expect(stack, method, Kind::Socket);
    match object.socket() {
        Some(part) => (object, part),
        None => stack.raise(&Text::new(format_args!("'{method}' needs a socket"))),
    }
}
