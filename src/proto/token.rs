//! The name of a source: its slot and the generation of what is in it.
//!
//! Invariant: a token never names two sources, so a late event of a reused slot is recognised.

use std::num::NonZeroU32;

/// Slot and generation.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct Token {
    /// Place in the registry of sources; small and reused.
    pub slot: u32,
    /// Counts up with every reuse.
    pub generation: NonZeroU32,
}

impl Token {
    /// The name of no source: nobody is served by it.
    pub const NOBODY: Self = Self { slot: u32::MAX, generation: NonZeroU32::MAX };

    /// The token as one number.
    #[must_use]
    pub fn to_bits(self) -> u64 {
        (u64::from(self.generation.get()) << 32) | u64::from(self.slot)
    }

    /// The token that [`Token::to_bits`] made.
    #[must_use]
    pub fn from_bits(bits: u64) -> Self {
        let half = |bits: u64| u32::try_from(bits & u64::from(u32::MAX)).unwrap_or_default();
        let generation = NonZeroU32::new(half(bits >> 32)).unwrap_or(NonZeroU32::MIN);
        Self { slot: half(bits), generation }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_survives_being_a_number() {
        let token = Token { slot: 7, generation: NonZeroU32::MAX };
        assert_eq!(Token::from_bits(token.to_bits()), token);
    }
}
