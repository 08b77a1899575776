//! The key log: a file with the secrets of sessions, for programs that show what passed (NSS key log
//! format).
//!
//! Not here: who wants one (`lua::options::tls`). Invariants: a secret goes into the file that the script
//! has named and nowhere else, above all not into a message; a file that can't be written to harms no
//! session, and that is told once.

use std::sync::atomic::{AtomicBool, Ordering};

use once_cell::sync::OnceCell;
use rustls::KeyLog;

use super::fingerprint::hex;
use crate::error::{Error, reason};
use crate::quote::shown;
use crate::sys::stderr::LineFile;

/// One that is open.
#[derive(Debug)]
pub struct KeyLogFile {
    file: LineFile,
    /// As messages have it.
    name: String,
    failure: OnceCell<Error>,
    is_told: AtomicBool,
}

impl KeyLogFile {
    /// To the end of the file at a path; one that is not there is made for its owner alone.
    ///
    /// # Errors
    /// The reason, which names the file.
    pub fn open(path: &[u8]) -> Result<Self, String> {
        let name = format!("keylog {}", shown(path));
        let file = LineFile::open_private(path);
        let file = file.map_err(|error| format!("{name}: {}", reason(&error)))?;
        Ok(Self { file, name, failure: OnceCell::new(), is_told: AtomicBool::new(false) })
    }

    /// Why keys are missing there; for the first who asks.
    pub(super) fn take_failure(&self) -> Option<Error> {
        let failure = self.failure.get()?;
        (!self.is_told.swap(true, Ordering::Relaxed)).then(|| failure.clone())
    }
}

impl KeyLog for KeyLogFile {
    fn log(&self, label: &str, client_random: &[u8], secret: &[u8]) {
        let line = format!("{label} {} {}\n", hex(client_random), hex(secret));
        if let Err(error) = self.file.try_write(line.as_bytes()) {
            self.failure.get_or_init(|| Error::os(&self.name, &error));
        }
    }
}
