//! Floor 2: what owns descriptors. Streams, listeners, timers, and what they share.

pub mod alarm;
pub mod connect_plan;
pub mod datagram;
mod dialing;
pub mod door;
pub mod fence;
mod handover;
pub mod hub;
pub mod listener;
mod looks;
pub mod options;
mod parcels;
pub mod reserve;
pub mod resolver;
pub mod secure;
pub mod stream;
mod traffic;
