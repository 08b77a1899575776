//! A panic, which is a fault of ours, ends the connection that it strikes and nothing else, whichever
//! thread it strikes on. It never unwinds into Lua.
//!
//! Not here: who catches them: around a step of one source (`stream`, `listener`, `udp`), around whole raw
//! functions (`lua`) and around the leader (`reactor`).

use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::error::{Code, Error};

/// Runs `body`; `None` after a panic. What is guarded by our locks is valid between any two
/// statements, so going on with it is safe.
pub fn catch_panic<T>(body: impl FnOnce() -> T) -> Option<T> {
    catch_unwind(AssertUnwindSafe(body)).ok()
}

/// What a call reports that a panic has ended.
#[must_use]
pub fn internal_error(what: &str) -> Error {
    Error::new(Code::Internal, format!("{what}: internal fault, please report it"))
}
