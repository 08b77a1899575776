//! A cell for what is shared and rarely looked at: a word less than a `RefCell`.
//!
//! Not here: anything that is looked at for every message; looking copies.

use std::cell::Cell;
use std::fmt;

/// Something or nothing, replaced and looked at as a whole.
pub(super) struct Slot<T>(Cell<Option<T>>);

impl<T> Default for Slot<T> {
    fn default() -> Self {
        Self(Cell::new(None))
    }
}

impl<T: Clone> Slot<T> {
    pub(super) fn get(&self) -> Option<T> {
        let value = self.0.take();
        self.0.set(value.clone());
        value
    }

    pub(super) fn set(&self, value: Option<T>) {
        self.0.set(value);
    }
}

impl<T> fmt::Debug for Slot<T> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("Slot")
    }
}
