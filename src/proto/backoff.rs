//! Backoff: how long to pause before the next attempt to connect.
//!
//! Not here: randomness and clocks; the caller brings both.
//! Invariant: a pause is at least [`SHORTEST_PAUSE`] and at most [`LONGEST_PAUSE`].

use std::time::Duration;

use crate::limits::SHORTEST_PAUSE;

/// No pause is longer, whatever the numbers say.
pub const LONGEST_PAUSE: Duration = Duration::from_secs(24 * 60 * 60);

/// Pauses that grow from attempt to attempt; all times in seconds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Backoff {
    /// The first pause.
    pub min: f64,
    /// What the pauses grow to, before jitter.
    pub max: f64,
    /// By how much each pause is longer than the one before.
    pub factor: f64,
    /// The fraction by which a pause may be shorter or longer.
    pub jitter: f64,
}

impl Default for Backoff {
    /// Those of which a script has chosen none.
    fn default() -> Self {
        Self { min: 1.0, max: 30.0, factor: 2.0, jitter: 0.1 }
    }
}

impl Backoff {
    /// The same pause every time.
    #[must_use]
    pub fn fixed(seconds: f64) -> Self {
        Self { min: seconds, max: seconds, factor: 1.0, jitter: 0.0 }
    }

    /// The pause before an attempt, counted from 1; `random` is from 0 to 1 and 0.5 means no
    /// jitter.
    #[must_use]
    pub fn pause(&self, attempt: u32, random: f64) -> Duration {
        let steps = i32::try_from(attempt.saturating_sub(1)).unwrap_or(i32::MAX);
        // Held finite: infinity times 0 is no number.
        let growth = self.factor.powi(steps).min(f64::MAX);
        let grown = (self.min * growth).min(self.max);
        let seconds = grown * (1.0 + self.jitter * (2.0 * random - 1.0));
        // Also what is not a number counts as the shortest.
        if seconds.is_nan() || seconds <= 0.0 {
            return SHORTEST_PAUSE;
        }
        let pause = Duration::try_from_secs_f64(seconds).unwrap_or(LONGEST_PAUSE);
        pause.clamp(SHORTEST_PAUSE, LONGEST_PAUSE)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GROWING: Backoff = Backoff { min: 1.0, max: 30.0, factor: 2.0, jitter: 0.0 };

    #[test]
    fn pauses_grow_by_the_factor_up_to_the_maximum() {
        let seconds: Vec<u64> = (1..=7).map(|n| GROWING.pause(n, 0.5).as_secs()).collect();
        assert_eq!(seconds, [1, 2, 4, 8, 16, 30, 30]);
        assert_eq!(GROWING.pause(u32::MAX, 0.5), Duration::from_secs(30));
    }

    #[test]
    fn attempt_zero_pauses_like_the_first() {
        assert_eq!(GROWING.pause(0, 0.5), GROWING.pause(1, 0.5));
    }

    #[test]
    fn a_fixed_pause_never_changes() {
        let fixed = Backoff::fixed(5.0);
        for attempt in [1, 2, 100, u32::MAX] {
            assert_eq!(fixed.pause(attempt, 0.9), Duration::from_secs(5));
        }
    }

    #[test]
    fn jitter_is_a_fraction_in_both_directions() {
        let backoff = Backoff { jitter: 0.5, ..Backoff::fixed(10.0) };
        assert_eq!(backoff.pause(1, 0.0), Duration::from_secs(5));
        assert_eq!(backoff.pause(1, 0.5), Duration::from_secs(10));
        assert_eq!(backoff.pause(1, 1.0), Duration::from_secs(15));
    }

    #[test]
    fn senseless_numbers_give_a_pause_within_bounds() {
        let odd =
            [-1.0, -0.0, 0.0, 1.0, 1e300, f64::MAX, f64::INFINITY, f64::NEG_INFINITY, f64::NAN];
        for min in odd {
            for max in odd {
                for factor in odd {
                    for jitter in odd {
                        let backoff = Backoff { min, max, factor, jitter };
                        for attempt in [0, 1, 2, 1000, u32::MAX] {
                            let pause = backoff.pause(attempt, 0.75);
                            assert!(pause >= SHORTEST_PAUSE && pause <= LONGEST_PAUSE);
                        }
                    }
                }
            }
        }
        assert_eq!(Backoff::fixed(1e300).pause(1, 0.5), LONGEST_PAUSE);
        assert_eq!(Backoff::fixed(-1.0).pause(1, 0.5), SHORTEST_PAUSE);
        assert_eq!(Backoff { min: 0.0, ..GROWING }.pause(u32::MAX, 0.5), SHORTEST_PAUSE);
    }
}
