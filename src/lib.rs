//! `evsock`: event-driven TCP sockets for stock Lua.
//!
//! The modules stand in the order of their floors: a file imports its own floor or a lower one.
//! `src/README.md` is the guided tour. Without a `lua…` feature only the core is compiled, which
//! knows nothing of Lua; that is what `cargo test` runs.

pub mod error;
pub mod limits;
pub mod sync;

pub mod sys;

pub mod proto;

pub mod net;

pub mod reactor;

#[cfg(feature = "lua")]
mod lua;
