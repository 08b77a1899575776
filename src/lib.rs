//! `evsock`: event-driven TCP sockets for stock Lua.
//!
//! The modules stand in the order of their floors: a file imports its own floor or a lower one.
//! `src/README.md` is the guided tour. Without a `lua…` feature only the core is compiled, which
//! knows nothing of Lua; that is what `cargo test` runs.

#[cfg(not(loom))]
pub mod digest;
pub mod errno;
pub mod error;
pub mod limits;
pub mod quote;
pub mod sync;

#[cfg(not(loom))]
pub mod address;
#[cfg(not(loom))]
pub mod sys;

pub mod proto;

#[cfg(not(loom))]
pub mod tls;

#[cfg(not(loom))]
pub mod net;

#[cfg(not(loom))]
pub mod reactor;

// A model needs the protocol alone; what has descriptors is not loom's business.
#[cfg(loom)]
#[path = "reactor/lead.rs"]
pub mod lead;

#[cfg(feature = "lua")]
mod lua;
