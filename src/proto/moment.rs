//! A moment in eight bytes, of which every connection keeps some.
//!
//! Not here: the clock. Invariant: it is exact; moments are compared as the instants are that they
//! were made of.

use std::num::NonZeroU64;
use std::time::{Duration, Instant};

use once_cell::sync::OnceCell;

/// All moments are told from the first one.
static ORIGIN: OnceCell<Instant> = OnceCell::new();
/// The origin's own number: 146 years of nanoseconds are left on either side, and zero is none.
pub const MIDDLE: u64 = 1 << 62;

/// An [`Instant`], half as large, also when it may be absent.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct Moment(NonZeroU64);

impl Moment {
    /// The instant that it was made of.
    #[must_use]
    pub fn instant(self) -> Instant {
        // Set when the first moment was made.
        let origin = *ORIGIN.get_or_init(Instant::now);
        let number = self.0.get();
        let distance = Duration::from_nanos(number.abs_diff(MIDDLE));
        let at = if number < MIDDLE {
            origin.checked_sub(distance)
        } else {
            origin.checked_add(distance)
        };
        // It was an instant before.
        at.unwrap_or(origin)
    }

    /// As a number.
    #[must_use]
    pub fn bits(self) -> u64 {
        self.0.get()
    }

    /// Of such a number; none for 0.
    #[must_use]
    pub fn of_bits(bits: u64) -> Option<Self> {
        NonZeroU64::new(bits).map(Self)
    }
}

impl From<Instant> for Moment {
    fn from(at: Instant) -> Self {
        let origin = *ORIGIN.get_or_init(|| at);
        let nanos = |span: Duration| u64::try_from(span.as_nanos()).unwrap_or(MIDDLE).min(MIDDLE);
        let number = match at.checked_duration_since(origin) {
            Some(after) => MIDDLE + nanos(after),
            None => MIDDLE - nanos(origin - at),
        };
        Self(NonZeroU64::new(number).unwrap_or(NonZeroU64::MIN))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_the_instant_that_it_was_made_of() {
        let now = Instant::now();
        let _origin = Moment::from(now);
        for nanos in [0, 1, 999_999_999, 1_000_000_000, 86_400_000_000_001] {
            let span = Duration::from_nanos(nanos);
            for at in [now + span, now.checked_sub(span).unwrap_or(now)] {
                assert_eq!(Moment::from(at).instant(), at);
                let bits = Moment::from(at).bits();
                assert_eq!(Moment::of_bits(bits), Some(Moment::from(at)));
                assert_eq!(Moment::from(at).cmp(&Moment::from(now)), at.cmp(&now));
            }
        }
    }

    #[test]
    fn an_absent_one_is_no_larger() {
        assert_eq!(size_of::<Option<Moment>>(), 8);
    }
}
