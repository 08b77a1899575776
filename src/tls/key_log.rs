//! The key log: the secrets of sessions, for programs that show what passed (NSS key log format).
//!
//! Not here: the file (`net::key_log`). Invariants: a secret goes where the script wants it and nowhere
//! else, above all not into a message; what can't be written harms no session, and is told once.

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};

use once_cell::sync::OnceCell;

use super::fingerprint::hex;
use crate::error::{Error, Result};

/// What takes a line of it.
type WriteLine = Box<dyn Fn(&[u8]) -> Result<()> + Send + Sync>;

/// One that lines can be added to.
pub struct KeyLog {
    write_line: WriteLine,
    failure: OnceCell<Error>,
    is_told: AtomicBool,
}

impl KeyLog {
    /// `write_line` takes the lines, from any thread, and never waits.
    #[must_use]
    pub fn new(write_line: WriteLine) -> Self {
        Self { write_line, failure: OnceCell::new(), is_told: AtomicBool::new(false) }
    }

    /// Why keys are missing there; for the first who asks.
    pub(super) fn take_failure(&self) -> Option<Error> {
        let failure = self.failure.get()?;
        (!self.is_told.swap(true, Ordering::Relaxed)).then(|| failure.clone())
    }
}

impl fmt::Debug for KeyLog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeyLog").field("failure", &self.failure).finish_non_exhaustive()
    }
}

impl rustls::KeyLog for KeyLog {
    fn log(&self, label: &str, client_random: &[u8], secret: &[u8]) {
        let line = format!("{label} {} {}\n", hex(client_random), hex(secret));
        if let Err(error) = (self.write_line)(line.as_bytes()) {
            self.failure.get_or_init(|| error);
        }
    }
}
