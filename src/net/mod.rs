//! Floor 3: what owns descriptors. Streams, listeners, timers, and what they share.

pub mod clock;
pub mod connection_count;
pub mod early_socket;
pub mod hub;
pub mod key_log;
pub mod listener;
pub mod motion;
pub mod options;
pub mod panic;
pub mod path_datagram;
mod pause;
pub mod port_hold;
pub mod question;
pub mod resolver;
pub mod stream;
pub mod target;
pub mod timer;
pub mod trace;
pub mod udp;
pub mod watch;
