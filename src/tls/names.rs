//! Which configuration a server has for whom, by the name that a client asks for.
//!
//! Not here: what a client asks for (`hello`). Invariant: names are kept in lower case and without a
//! dot at the end, as they are looked for; a wildcard stands for one label, and a whole name comes
//! before it.

use std::collections::HashMap;

use rustls::pki_types::ServerName;

use crate::quote::named;

/// What a server has beside its own configuration.
#[derive(Debug)]
pub(super) struct Names<T> {
    whole: HashMap<String, T>,
    /// By what stands behind `*.`.
    below: HashMap<String, T>,
    /// Whoever asks for another name is refused.
    is_strict: bool,
}

/// Who serves a client.
#[derive(Debug)]
pub(super) enum Chosen<'a, T> {
    /// The server's own configuration.
    Own,
    /// That of the name.
    Other(&'a T),
    /// Nobody.
    Refused,
}

impl<T> Names<T> {
    pub(super) fn new(is_strict: bool) -> Self {
        Self { whole: HashMap::new(), below: HashMap::new(), is_strict }
    }

    /// Adds one under whatever text; that nobody can ask for it harms nobody.
    pub(super) fn add(&mut self, name: &str, config: T) {
        self.whole.insert(folded(name), config);
    }

    /// Adds one under a name or a wildcard.
    ///
    /// # Errors
    /// It is neither, or it was given before; the reason.
    pub(super) fn add_checked(&mut self, name: &str, config: T) -> Result<(), String> {
        let folded = folded(name);
        let above = folded.strip_prefix("*.");
        let text = above.unwrap_or(&folded);
        let shown = || named(name.as_bytes());
        if text.contains('*') {
            return Err(format!(
                "{}: '*' stands for the first label alone, as in *.a.example",
                shown()
            ));
        }
        match ServerName::try_from(text) {
            Ok(ServerName::DnsName(_)) => {}
            Ok(_) => {
                let why = "clients ask for names, never for addresses; those get the table's own";
                return Err(format!("{}: {why}", shown()));
            }
            Err(_) => return Err(format!("{} is no host name", shown())),
        }
        let (names, key) = match above {
            Some(above) => (&mut self.below, above.to_owned()),
            None => (&mut self.whole, folded),
        };
        match names.insert(key, config) {
            Some(_) => {
                Err(format!("{} is there twice; case and a last dot do not matter", shown()))
            }
            None => Ok(()),
        }
    }

    /// Who serves a client that asks for this name, or for none.
    pub(super) fn choose(&self, asked: Option<&str>) -> Chosen<'_, T> {
        let Some(asked) = asked.map(folded) else { return Chosen::Own };
        let below = || self.below.get(asked.split_once('.')?.1);
        match self.whole.get(&asked).or_else(below) {
            Some(config) => Chosen::Other(config),
            None if self.is_strict => Chosen::Refused,
            None => Chosen::Own,
        }
    }
}

fn folded(name: &str) -> String {
    name.strip_suffix('.').unwrap_or(name).to_ascii_lowercase()
}
