//! The hot path: raw functions through `mlua::ffi`.
//!
//! Rules: nothing that has a destructor is alive when a Lua call can raise; arguments are checked
//! first; work that is not Lua's runs inside `guard::fenced`. `unsafe` is in `stack` (one Lua call
//! a method), `object` and `finish` (from addresses to objects, and their end), `entry` (what the loader calls), `shield`, where bytes
//! become strings of Lua (`making`) or are copied to a block of its own (`lease`), and where a processor can do
//! more than the language says (`scan`).
#![allow(unsafe_code)]

mod accept;
mod anchor;
mod arguments;
pub(super) mod attempts;
mod attend;
mod blame;
pub(super) mod datagram;
mod dispatch;
mod ending;
pub(super) mod entry;
mod finish;
mod guard;
mod index;
pub(super) mod lease;
mod lines;
mod live;
mod making;
mod misuse;
mod notes;
pub(super) mod object;
mod own;
mod pump;
mod scan;
pub(super) mod server;
pub(super) mod shield;
mod socket;
mod stack;
mod tasks;
mod unheard;
mod weigh;
