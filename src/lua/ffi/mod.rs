//! The calls of Lua's own interface, and whatever else is `unsafe`: nothing else in `lua/` is.
//!
//! Rules for every raw function in `lua/`: nothing that has a destructor is alive when a call of Lua can
//! raise; arguments are checked first; work that calls no Lua runs inside `protected::catch_panic`.
//!
//! `stack` has one method for each call of Lua's; `block` the way from addresses to objects, and their end;
//! `entry` what the loader calls; `sentinel` who owns the state; `protected` calls that may raise or panic;
//! `resume` a call of Lua's
//! library, made anew; `cold_call` what stands before functions of mlua; `strings` and `line_batch` copy bytes into memory of
//! Lua's; `simd` uses what a processor has beyond the language.
#![allow(unsafe_code)]

pub(super) mod block;
pub(super) mod cold_call;
pub(super) mod entry;
pub(super) mod line_batch;
pub(super) mod protected;
#[cfg(not(any(feature = "lua51", feature = "luajit")))]
pub(super) mod resume;
pub(super) mod sentinel;
pub(super) mod simd;
pub(super) mod stack;
pub(super) mod strings;
