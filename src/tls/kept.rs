//! Configurations of clients that are kept by what they were made of, so that a script that gives the
//! same table at each connect resumes the sessions of before.
//!
//! Not here: files; what they hold is a part of the settings. Invariant: two settings share a
//! configuration only if they say the same in everything, to the last byte. A key is the digest of
//! all that, so that no text of a private key is kept for it.

use super::config::Config;
use super::settings::Settings;
use crate::sync::Arc;

/// The ones that were used last.
#[derive(Debug, Default)]
pub struct Kept {
    /// The one that was used last stands last.
    configs: Vec<(Vec<u8>, Arc<Config>)>,
}

/// How many are kept.
const MOST: usize = 64;

impl Kept {
    /// The client's configuration of these settings.
    ///
    /// # Errors
    /// Those of [`Config::client`].
    pub fn client(&mut self, settings: &Settings) -> Result<Arc<Config>, String> {
        if settings.key_log.is_some() {
            // The file that it was opened for may be gone, with another in its place.
            return Config::client(settings);
        }
        let digest = settings.digest();
        let place = self.configs.iter().position(|(other, _)| *other == digest);
        let (digest, config) = match place {
            Some(place) => self.configs.remove(place),
            None => (digest, Config::client(settings)?),
        };
        if self.configs.len() >= MOST {
            self.configs.remove(0);
        }
        self.configs.push((digest, Arc::clone(&config)));
        Ok(config)
    }
}
