//! The primitives of threads under one name: std's, or loom's when a model is checked.
//!
//! Not here: protocols; those are in `reactor::lead`.

#[cfg(loom)]
pub use loom::sync::atomic::{AtomicBool, AtomicU8, AtomicU32, Ordering, fence};
#[cfg(loom)]
pub use loom::sync::{Arc, Mutex, MutexGuard};
#[cfg(not(loom))]
pub use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU32, Ordering, fence};
#[cfg(not(loom))]
pub use std::sync::{Arc, Mutex, MutexGuard};

/// Locks, whatever a panicking thread left behind: every guarded state here is valid between any
/// two statements, and one socket's fault must not spread to the others.
pub fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

/// A mutex that can be tried: std's own. Loom's `try_lock` wrongly blocks while another thread has
/// the lock, so under loom it is rebuilt from what loom does right.
#[cfg(not(loom))]
pub mod exclusive {
    use std::sync::TryLockError;

    use super::{Mutex, MutexGuard, lock};

    /// The guard.
    pub type Guard<'a, T> = MutexGuard<'a, T>;

    /// The mutex.
    #[derive(Debug)]
    pub struct Exclusive<T>(Mutex<T>);

    impl<T> Exclusive<T> {
        /// A free one.
        pub fn new(value: T) -> Self {
            Self(Mutex::new(value))
        }

        /// Waits for it.
        pub fn lock(&self) -> Guard<'_, T> {
            lock(&self.0)
        }

        /// Takes it if it is free.
        pub fn try_lock(&self) -> Option<Guard<'_, T>> {
            match self.0.try_lock() {
                Ok(guard) => Some(guard),
                // See `lock`.
                Err(TryLockError::Poisoned(poisoned)) => Some(poisoned.into_inner()),
                Err(TryLockError::WouldBlock) => None,
            }
        }
    }
}

#[cfg(loom)]
pub mod exclusive {
    //! The same for models, which do not look at the value.

    use loom::sync::Condvar;

    use super::{Mutex, MutexGuard, lock};

    /// The mutex.
    #[derive(Debug)]
    pub struct Exclusive<T> {
        held: Mutex<bool>,
        free: Condvar,
        value: Mutex<T>,
    }

    /// The guard.
    #[derive(Debug)]
    pub struct Guard<'a, T> {
        owner: &'a Exclusive<T>,
        value: Option<MutexGuard<'a, T>>,
    }

    impl<T> Exclusive<T> {
        /// A free one.
        pub fn new(value: T) -> Self {
            Self { held: Mutex::new(false), free: Condvar::new(), value: Mutex::new(value) }
        }

        /// Waits for it.
        pub fn lock(&self) -> Guard<'_, T> {
            let mut held = lock(&self.held);
            while *held {
                held = self.free.wait(held).unwrap_or_else(std::sync::PoisonError::into_inner);
            }
            *held = true;
            drop(held);
            Guard { owner: self, value: Some(lock(&self.value)) }
        }

        /// Takes it if it is free.
        pub fn try_lock(&self) -> Option<Guard<'_, T>> {
            let was_held = std::mem::replace(&mut *lock(&self.held), true);
            (!was_held).then(|| Guard { owner: self, value: Some(lock(&self.value)) })
        }
    }

    impl<T> Drop for Guard<'_, T> {
        fn drop(&mut self) {
            self.value = None;
            *lock(&self.owner.held) = false;
            self.owner.free.notify_one();
        }
    }
}
