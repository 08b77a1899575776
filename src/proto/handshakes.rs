//! The handshakes under way at one address listened on, by age.
//!
//! Not here: connections, and how many there may be (`net::listener`). Invariant: a handshake stands
//! in one of two lists; that it has been answered is noticed when somebody looks for the oldest that
//! has not.

use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use crate::proto::token::Token;
use crate::sync::Arc;

/// Whether a peer has said enough to be answered. Shared with the connection, which sets it.
#[derive(Clone, Debug, Default)]
pub struct Answered(Arc<AtomicBool>);

impl Answered {
    /// It has. Partner: `Handshakes::oldest`, where coming late is harmless.
    pub fn set(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    fn is_set(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// Generations of tokens count up, so the least key is the oldest.
type Key = (NonZeroU32, u32);

#[derive(Debug)]
struct Handshake<S> {
    stream: S,
    since: Instant,
    answered: Answered,
}

/// All of them, each with its connection.
#[derive(Debug)]
pub struct Handshakes<S> {
    silent: BTreeMap<Key, Handshake<S>>,
    answered: BTreeMap<Key, Handshake<S>>,
}

impl<S> Default for Handshakes<S> {
    fn default() -> Self {
        Self { silent: BTreeMap::new(), answered: BTreeMap::new() }
    }
}

impl<S> Handshakes<S> {
    /// One more has begun.
    pub fn insert(&mut self, token: Token, stream: S, since: Instant, answered: Answered) {
        self.silent.insert(key(token), Handshake { stream, since, answered });
    }

    /// It is over. The connection, if it stood here still.
    pub fn remove(&mut self, token: Token) -> Option<S> {
        let key = key(token);
        let removed = self.silent.remove(&key).or_else(|| self.answered.remove(&key));
        removed.map(|handshake| handshake.stream)
    }

    /// Takes the one whose peer is least likely to go on: the oldest that was never answered, else
    /// the oldest of all.
    pub fn take_oldest(&mut self) -> Option<S> {
        self.sort();
        let oldest = self.silent.pop_first().or_else(|| self.answered.pop_first());
        oldest.map(|(_, handshake)| handshake.stream)
    }

    /// Takes the oldest that was never answered, if it has had at least so much time.
    pub fn take_silent_for(&mut self, time: Duration, now: Instant) -> Option<S> {
        self.sort();
        let oldest = self.silent.first_entry()?;
        let silent = now.saturating_duration_since(oldest.get().since);
        (silent >= time).then(|| oldest.remove().stream)
    }

    /// How many are under way.
    #[must_use]
    pub fn len(&self) -> usize {
        self.silent.len() + self.answered.len()
    }

    /// Whether none is.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Takes all.
    pub fn drain(&mut self) -> impl Iterator<Item = S> {
        let Self { silent, answered } = std::mem::take(self);
        silent.into_values().chain(answered.into_values()).map(|handshake| handshake.stream)
    }

    /// Sees to it that the oldest of the silent ones is silent. Each is moved once.
    fn sort(&mut self) {
        while let Some(oldest) = self.silent.first_entry().filter(|one| one.get().answered.is_set())
        {
            let (key, handshake) = oldest.remove_entry();
            self.answered.insert(key, handshake);
        }
    }
}

fn key(token: Token) -> Key {
    (token.generation, token.slot)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn token(generation: u32) -> Token {
        Token { slot: 100 - generation, generation: NonZeroU32::new(generation).unwrap() }
    }

    #[test]
    fn the_oldest_silent_one_goes_first_and_answered_ones_last() {
        let (mut all, now) = (Handshakes::default(), Instant::now());
        let signs: Vec<Answered> = (0..4).map(|_| Answered::default()).collect();
        for (age, sign) in (1..).zip(&signs) {
            all.insert(token(age), token(age), now, sign.clone());
        }
        signs[0].set();
        signs[2].set();
        assert_eq!((all.remove(token(2)), all.remove(token(2))), (Some(token(2)), None));
        assert_eq!(all.len(), 3);
        let order: Vec<_> = std::iter::from_fn(|| all.take_oldest()).collect();
        assert_eq!(order, [token(4), token(1), token(3)]);
        assert!(all.is_empty());
    }

    #[test]
    fn one_is_only_called_silent_after_its_time() {
        let (mut all, begin) = (Handshakes::default(), Instant::now());
        let answered = Answered::default();
        answered.set();
        all.insert(token(1), token(1), begin, answered);
        all.insert(token(2), token(2), begin, Answered::default());
        let (time, later) = (Duration::from_secs(1), begin + Duration::from_secs(1));
        assert_eq!(all.take_silent_for(time, begin), None);
        assert_eq!(all.take_silent_for(time, later), Some(token(2)));
        assert_eq!(all.take_silent_for(time, later), None);
        assert_eq!(all.drain().collect::<Vec<_>>(), [token(1)]);
    }
}
