//! Floor 2: what owns descriptors. Streams, listeners, timers, and what they share.

pub mod alarm;
pub mod connect_plan;
pub mod datagram;
pub mod door;
pub mod fence;
pub mod hub;
pub mod listener;
pub mod options;
pub mod reserve;
pub mod resolver;
pub mod stream;
