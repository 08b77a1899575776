//! Floor 2: what owns descriptors. Streams, listeners, timers, and what they share.

pub mod alarm;
pub mod connect_plan;
mod dialing;
pub mod fence;
pub mod hub;
pub mod listener;
mod looks;
pub mod options;
pub mod reserve;
pub mod resolver;
pub mod secure;
pub mod stream;
mod traffic;
