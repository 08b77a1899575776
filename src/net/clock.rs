//! The clock of a hub: the time by which its timers and timeouts go. A test may hold it and move it.
//!
//! Not here: when it moves (`lua::testing`), the time by which waits, spins and lookups are bounded,
//! which stays the system's. Invariants: it never goes back; until it is held for the first time it
//! is the system's clock, for the price of one look at a word; whoever reads it sees one time.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crate::proto::moment::{MIDDLE, Moment};

/// In the word of a clock that is held; the rest is the moment at which it stands.
const HELD: u64 = 1 << 63;

/// The clock: 0 is the system's; with [`HELD`] it stands; any other word says how far it is ahead of
/// the system's, as a distance from [`MIDDLE`].
#[derive(Debug, Default)]
pub struct Clock(AtomicU64);

impl Clock {
    /// The time.
    #[must_use]
    pub fn now(&self) -> Instant {
        match self.word() {
            0 => Instant::now(),
            word => shown(word, Instant::now()),
        }
    }

    /// The time when the system's clock shows `real`.
    #[must_use]
    pub fn at(&self, real: Instant) -> Instant {
        match self.word() {
            0 => real,
            word => shown(word, real),
        }
    }

    /// How long it is from `real`, a time of the system's clock, until this one shows `at`; `None`
    /// while it stands.
    #[must_use]
    pub fn left(&self, at: Instant, real: Instant) -> Option<Duration> {
        match self.word() {
            0 => Some(at.saturating_duration_since(real)),
            word if word & HELD != 0 => None,
            word => Some(at.saturating_duration_since(shown(word, real))),
        }
    }

    /// Whether it was ever held.
    #[must_use]
    pub fn was_moved(&self) -> bool {
        self.word() != 0
    }

    /// Whether it stands.
    #[must_use]
    pub fn is_held(&self) -> bool {
        self.word() & HELD != 0
    }

    /// From now on it stands at `at`, unless that is past. The script's thread alone calls this.
    pub fn hold(&self, at: Instant) {
        let at = at.max(self.now());
        // Relaxed here and there: no other data goes with it.
        self.0.store(Moment::from(at).bits() | HELD, Ordering::Relaxed);
    }

    /// From now on it goes on with the system's, from where it stands. As [`Self::hold`].
    pub fn release(&self) {
        let word = self.word();
        if word & HELD == 0 {
            return;
        }
        let real = Instant::now();
        let at = shown(word, real);
        let nanos = |span: Duration| u64::try_from(span.as_nanos()).unwrap_or(MIDDLE).min(MIDDLE);
        let word = match at.checked_duration_since(real) {
            Some(ahead) => (MIDDLE + nanos(ahead)).min(HELD - 1),
            None => (MIDDLE - nanos(real.saturating_duration_since(at))).max(1),
        };
        self.0.store(word, Ordering::Relaxed);
    }

    fn word(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// What a clock with that word, which is not 0, shows.
#[cold]
fn shown(word: u64, real: Instant) -> Instant {
    if word & HELD != 0 {
        return Moment::of_bits(word & !HELD).map_or(real, Moment::instant);
    }
    let distance = Duration::from_nanos(word.abs_diff(MIDDLE));
    let at = if word < MIDDLE { real.checked_sub(distance) } else { real.checked_add(distance) };
    at.unwrap_or(real)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn it_is_the_systems_until_it_is_held() {
        let (clock, real) = (Clock::default(), Instant::now());
        assert!(!clock.is_held());
        assert_eq!(clock.at(real), real);
        assert_eq!(clock.left(real + SECOND, real), Some(SECOND));
        assert!(clock.now() >= real && clock.now() <= Instant::now());
    }

    #[test]
    fn held_it_stands_and_moves_only_ahead() {
        let (clock, real) = (Clock::default(), Instant::now());
        let at = real + 7 * SECOND;
        clock.hold(at);
        assert!(clock.is_held());
        assert_eq!((clock.now(), clock.at(real), clock.at(real + SECOND)), (at, at, at));
        assert_eq!(clock.left(at + SECOND, real), None);
        clock.hold(real);
        assert_eq!(clock.now(), at);
        clock.hold(at + SECOND);
        assert_eq!(clock.now(), at + SECOND);
    }

    #[test]
    fn released_it_goes_on_from_where_it_stood_ahead_of_the_systems_or_behind() {
        for moves in [Duration::ZERO, 100 * SECOND] {
            let clock = Clock::default();
            let at = Instant::now() + moves;
            clock.hold(at);
            std::thread::sleep(Duration::from_millis(3));
            clock.release();
            assert!(!clock.is_held());
            let (now, real) = (clock.now(), Instant::now());
            assert!(now >= at && now < at + 60 * SECOND);
            let left = clock.left(clock.at(real) + SECOND, real);
            assert_eq!(left, Some(SECOND));
            // Once more, which changes nothing.
            clock.release();
            assert!(clock.now() >= now);
            clock.hold(at);
            assert!(clock.now() >= now, "a clock that is held again goes back");
        }
    }
}
