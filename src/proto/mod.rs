//! Floor 2: pure state. No sockets, no threads, no Lua; time comes in as `now: Instant`.

pub mod backoff;
pub mod connection;
pub mod event;
pub mod framing;
pub mod handshakes;
pub mod happy_eyeballs;
pub mod held;
pub mod http;
pub mod inbound;
pub mod lazy;
pub mod lookups;
pub mod mailbox;
pub mod moment;
pub mod outbound;
pub mod read_buffer;
pub mod script;
pub mod spin;
pub mod timers;
pub mod token;
pub mod write_queue;
