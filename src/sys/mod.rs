//! Floor 0: the operating system, and nothing of ours above it.

pub mod datagram;
pub mod fault;
pub mod io;
pub mod names;
pub mod nap;
pub mod poller;
pub mod process;
pub mod socket;
pub mod wake;
pub mod zone;
