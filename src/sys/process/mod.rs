//! What concerns the process as a whole: staying mapped, forks, signals, threads.
//!
//! Not here: anything about sockets. `unix` and `windows` have the same names.

use std::io;
use std::thread;

use super::fault::{self, Call};

#[cfg(unix)]
mod unix;
#[cfg(unix)]
use unix as system;
#[cfg(windows)]
mod windows;
#[cfg(windows)]
use windows as system;

pub use system::*;

/// Starts a thread that takes no signals: they belong to the interpreter's thread.
///
/// # Errors
/// The system has no room for a thread.
pub fn spawn(
    name: &str,
    body: impl FnOnce() + Send + 'static,
) -> io::Result<thread::JoinHandle<()>> {
    fault::before(Call::Spawn)?;
    // The new thread inherits the mask.
    let _held = hold_signals();
    thread::Builder::new().name(name.to_owned()).stack_size(256 * 1024).spawn(body)
}

/// Lets another thread of this core run.
pub fn yield_core() {
    thread::yield_now();
}
