//! The handler of an event: the function that an object has for it.
//!
//! Not here: which events there are (`events`), the call of it (`call`), and what an event changes first (`dispatch`).

use std::ffi::c_int;

use crate::lua::ffi::stack::Stack;

/// How a dispatch ended.
#[derive(Clone, Copy, Eq, PartialEq)]
pub(in crate::lua) enum Outcome {
    /// The event belonged to an object that is gone.
    Dropped,
    /// No handler.
    Silent,
    /// A handler ran.
    Handled,
    /// A handler raised; the object and, on top, the error are left on the stack.
    Raised,
}

/// Where `pump` has put what every dispatch needs.
#[derive(Clone, Copy)]
pub(in crate::lua) struct Base {
    pub(in crate::lua) objects: c_int,
    pub(in crate::lua) anchors: c_int,
    pub(in crate::lua) names: c_int,
    pub(in crate::lua) traceback: c_int,
}

/// Pushes the function for an event: the class's, else the object's own handler, else nil.
pub(in crate::lua) fn push_handler(stack: Stack, base: Base, place: u32, object: c_int) -> bool {
    if stack.push_metatable(object) {
        stack.raw_get_at(-1, place);
        if stack.is_function(-1) {
            stack.remove(-2);
            return true;
        }
        stack.set_top(object);
    }
    stack.push_fields(object);
    stack.raw_get_at(base.names, place);
    stack.raw_get(-2);
    stack.remove(-2);
    false
}
