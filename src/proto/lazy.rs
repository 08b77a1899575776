//! What most connections never need, or not yet: no memory before the first change.
//!
//! Not here: anything else. Invariant: reading an absent value reads its blank one.

use std::ops::{Deref, DerefMut};

/// A value that stands in for all that were never changed.
pub trait Blank: Default + 'static {
    /// The same as `Self::default()`.
    fn blank() -> &'static Self;
}

/// A value in memory of its own, which it gets when it is first changed.
#[derive(Debug)]
pub struct Lazy<T>(Option<Box<T>>);

impl<T> Default for Lazy<T> {
    fn default() -> Self {
        Self(None)
    }
}

impl<T> Lazy<T> {
    /// The value, if it was ever changed: for what has to be undone only then.
    pub fn present(&mut self) -> Option<&mut T> {
        self.0.as_deref_mut()
    }
}

impl<T: Blank> Deref for Lazy<T> {
    type Target = T;

    fn deref(&self) -> &T {
        match &self.0 {
            Some(value) => value,
            None => T::blank(),
        }
    }
}

impl<T: Blank> DerefMut for Lazy<T> {
    fn deref_mut(&mut self) -> &mut T {
        self.0.get_or_insert_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, Default, PartialEq)]
    struct Count(u32);

    impl Blank for Count {
        fn blank() -> &'static Self {
            static BLANK: Count = Count(0);
            &BLANK
        }
    }

    #[test]
    fn reading_takes_no_memory_and_the_first_change_does() {
        let mut count = Lazy::<Count>::default();
        assert_eq!(count.0.as_deref(), None);
        assert_eq!((count.0.as_deref(), &*count), (None, &Count(0)));
        count.0 = None;
        assert!(count.present().is_none());
        count.deref_mut().0 = 7;
        assert_eq!(count.present(), Some(&mut Count(7)));
    }

    #[test]
    fn an_absent_value_takes_one_word() {
        assert_eq!(size_of::<Lazy<[u8; 100]>>(), size_of::<usize>());
    }
}
