//! What is to happen when.
//!
//! Not here: the clock and what a key means. Whoever arms a timer remembers for when, because that
//! is how the old entry is found again.
//! Invariant: entries come out in the order of their moments, equal moments in the order of keys.

use std::collections::BTreeSet;
use std::time::Instant;

/// Moments with a key each, the earliest first.
#[derive(Clone, Debug, Default)]
pub struct Timers {
    entries: BTreeSet<(Instant, u64)>,
}

impl Timers {
    /// Moves `key` from the moment `old` to the moment `new`; `None` is "not armed".
    pub fn arm(&mut self, key: u64, old: Option<Instant>, new: Option<Instant>) {
        if old == new && old.is_none_or(|at| self.entries.contains(&(at, key))) {
            return;
        }
        if let Some(at) = old {
            self.entries.remove(&(at, key));
        }
        if let Some(at) = new {
            self.entries.insert((at, key));
        }
    }

    /// Takes the earliest entry whose moment has come.
    pub fn pop_due(&mut self, now: Instant) -> Option<(Instant, u64)> {
        if self.next()? > now {
            return None;
        }
        self.entries.pop_first()
    }

    /// The earliest moment.
    #[must_use]
    pub fn next(&self) -> Option<Instant> {
        self.entries.first().map(|&(at, _)| at)
    }

    /// How many are armed.
    #[must_use]
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether none is armed.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn the_earliest_comes_first_and_never_early() {
        let start = Instant::now();
        let at = |ms| start + Duration::from_millis(ms);
        let mut timers = Timers::default();
        timers.arm(1, None, Some(at(20)));
        timers.arm(2, None, Some(at(10)));
        timers.arm(3, None, Some(at(10)));
        assert_eq!(timers.next(), Some(at(10)));
        assert_eq!(timers.pop_due(at(9)), None);
        assert_eq!(timers.pop_due(at(10)), Some((at(10), 2)));
        assert_eq!(timers.pop_due(at(10)), Some((at(10), 3)));
        assert_eq!(timers.pop_due(at(10)), None);
        assert_eq!(timers.pop_due(at(99)), Some((at(20), 1)));
        assert!(timers.is_empty() && timers.next().is_none());
    }

    #[test]
    fn arming_again_replaces_and_disarming_removes() {
        let start = Instant::now();
        let at = |ms| start + Duration::from_millis(ms);
        let mut timers = Timers::default();
        timers.arm(1, None, Some(at(20)));
        timers.arm(1, Some(at(20)), Some(at(30)));
        timers.arm(1, Some(at(30)), Some(at(30)));
        assert_eq!((timers.len(), timers.next()), (1, Some(at(30))));
        timers.arm(1, Some(at(30)), None);
        assert!(timers.is_empty());
        timers.arm(1, None, None);
        assert!(timers.is_empty());
    }

    #[test]
    fn arming_for_a_moment_that_was_already_popped_arms_again() {
        let start = Instant::now();
        let mut timers = Timers::default();
        timers.arm(1, None, Some(start));
        assert_eq!(timers.pop_due(start), Some((start, 1)));
        timers.arm(1, Some(start), Some(start));
        assert_eq!(timers.len(), 1);
    }
}
