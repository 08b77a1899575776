//! What most connections never need, or not yet: no memory before the first change.
//!
//! Not here: anything else. Invariants: reading an absent value reads its blank one; who may make it
//! present says so ([`Lazy::make`]), since that takes memory.

/// A value that stands in for all that were never changed.
pub trait Blank: Default + 'static {
    /// The same as `Self::default()`.
    fn blank() -> &'static Self;
}

/// A value in memory of its own, which it gets when it is made.
#[derive(Debug)]
pub struct Lazy<T>(Option<Box<T>>);

impl<T> Default for Lazy<T> {
    fn default() -> Self {
        Self(None)
    }
}

impl<T> Lazy<T> {
    /// The value, if it was ever made: for what has to be undone only then.
    pub fn present(&mut self) -> Option<&mut T> {
        self.0.as_deref_mut()
    }
}

impl<T: Blank> Lazy<T> {
    /// The value, or the blank one.
    #[must_use]
    pub fn get(&self) -> &T {
        match &self.0 {
            Some(value) => value,
            None => T::blank(),
        }
    }

    /// The value, to be changed.
    pub fn make(&mut self) -> &mut T {
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
        assert_eq!((count.get(), count.0.as_deref()), (&Count(0), None));
        assert!(count.present().is_none());
        count.make().0 = 7;
        assert_eq!(count.present(), Some(&mut Count(7)));
    }

    #[test]
    fn an_absent_value_takes_one_word() {
        assert_eq!(size_of::<Lazy<[u8; 100]>>(), size_of::<usize>());
    }
}
