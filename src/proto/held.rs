//! What a buffer has shown and not yet given, and how much it gives at once.
//!
//! Not here: the buffer (`buffer`). Invariant: what is held is good only while nobody takes bytes.

use std::ops::Range;

/// The longest line or block, with as much of its end as tells where it ends.
#[derive(Clone, Copy, Debug)]
pub(super) struct Longest(pub(super) usize);

impl Default for Longest {
    fn default() -> Self {
        Self(usize::MAX)
    }
}

/// What `ReadBuffer::hold` has found.
#[derive(Clone, Copy, Debug)]
pub struct Held {
    pub(super) range: (usize, usize),
    /// So many bytes go with it, from the first.
    pub(super) whole: usize,
    /// Where they stood.
    pub(super) position: u64,
    pub(super) after_any: bool,
    pub(super) after_return: bool,
}

impl Held {
    /// What is asked for, as `ReadBuffer::bytes` takes it until the buffer is changed.
    #[must_use]
    pub fn range(&self) -> Range<usize> {
        self.range.0..self.range.1
    }

    /// How many bytes will be taken.
    #[must_use]
    pub fn whole(&self) -> usize {
        self.whole
    }
}
