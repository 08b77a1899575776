//! Errors on their way to the script: `nil, message, code`, or what a handler gets.
//!
//! Invariant: while Lua may raise, the error belongs to the state, so that no destructor is skipped.

use std::ffi::c_int;

use crate::error::{Code, Error};
use crate::lua::ffi::stack::Stack;
use crate::lua::ffi::strings::push_owned;
use crate::lua::run::state::{Held, State};

/// `nil, message, code`.
pub(in crate::lua) fn push_error(
    stack: Stack,
    state: &State,
    error: impl Into<Box<Error>>,
) -> c_int {
    let code = hold_error(state, error.into());
    stack.push_nil();
    push_message(stack, state);
    stack.push_bytes(code.as_str().as_bytes());
    3
}

/// Keeps the error in the state while its text is pushed.
pub(in crate::lua) fn hold_error(state: &State, error: Box<Error>) -> Code {
    let code = error.code();
    state.held.replace(Some(Held::Error(error)));
    code
}

/// Pushes the message of the error held last; its code. May raise.
pub(in crate::lua) fn push_message(stack: Stack, state: &State) -> Code {
    let Some(Held::Error(error)) = state.held.take() else {
        stack.push_bytes(b"");
        return Code::Internal;
    };
    let code = error.code();
    push_owned(stack, state, error, |error| error.message().as_bytes());
    code
}
