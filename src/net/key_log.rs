//! The file of a key log.
//!
//! Not here: what is written there (`tls::key_log`), who wants one (`lua::options::tls`). One that is not
//! there is made for its owner alone: whoever reads it reads all that passed.

use crate::error::{Error, reason};
use crate::quote::shown;
use crate::sys::stderr::LineFile;
use crate::tls::KeyLog;

/// One that adds to the file at a path.
///
/// # Errors
/// The file can't be opened: the reason, which names it.
pub fn open(path: &[u8]) -> Result<KeyLog, String> {
    let name = format!("keylog {}", shown(path));
    let file = LineFile::open_private(path);
    let file = file.map_err(|error| format!("{name}: {}", reason(&error)))?;
    Ok(KeyLog::new(Box::new(move |line| {
        file.try_write(line).map_err(|error| Error::os(&name, &error))
    })))
}
