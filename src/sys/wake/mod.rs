//! What one thread uses to wake another from its wait, and a foreign loop from its own.
//!
//! Not here: who wakes whom; that is `reactor::lead`. `Wake` ends a wait of our poller, `Bell` is a
//! descriptor that any loop can watch; under Unix they are the same. Invariant: waking never blocks
//! and never fails: a wake that finds the other awake already is a wake.

#[cfg(unix)]
mod unix;
#[cfg(unix)]
pub use unix::{Wake, Wake as Bell};
#[cfg(windows)]
mod windows;
#[cfg(windows)]
pub use windows::{Bell, Wake};
