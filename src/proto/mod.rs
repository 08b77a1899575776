//! Floor 1: pure state. No sockets, no threads, no Lua; time comes in as `now: Instant`.

pub mod backoff;
pub mod buffer;
pub mod event;
pub mod framing;
pub mod handshakes;
pub mod held;
pub mod lazy;
pub mod life;
pub mod lookups;
pub mod mailbox;
pub mod moment;
pub mod race;
pub mod timers;
pub mod token;
pub mod write_queue;
