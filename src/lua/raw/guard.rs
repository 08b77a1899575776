//! The fence: a panic of ours becomes an error message, never an unwinding through Lua.

use std::panic::{AssertUnwindSafe, catch_unwind};

use super::stack::{Stack, Text};

/// Runs work that calls no Lua. After a panic (a fault of ours) raises an error.
pub(super) fn fenced<T>(stack: Stack, body: impl FnOnce() -> T) -> T {
    let result = catch_unwind(AssertUnwindSafe(body));
    match result {
        Ok(value) => value,
        Err(payload) => {
            // Dropped before the jump.
            drop(payload);
            stack.raise(&Text::new(format_args!("evsock: internal fault, please report it")))
        }
    }
}
