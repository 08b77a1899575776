//! How many connections a server has, and who waits until there is room for one more.
//!
//! Not here: accepting (`listener`). Shared by the listeners of a server and its connections.

use std::sync::Weak;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::net::hub::Hub;
use crate::proto::token::Token;
use crate::sync::{Arc, Mutex, lock};

/// Counts the connections of one server.
#[derive(Debug)]
pub struct Door {
    open: AtomicUsize,
    /// 0: any number.
    most: AtomicUsize,
    hub: Weak<Hub>,
    /// Listeners that stopped because the house is full. Partners: `Gate::drop`, `set_most`.
    stopped: Mutex<Vec<Token>>,
}

impl Door {
    /// `most` = 0: any number.
    #[must_use]
    pub fn new(hub: &Arc<Hub>, most: usize) -> Arc<Self> {
        let (open, stopped) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
        Arc::new(Self { open, most: AtomicUsize::new(most), hub: Arc::downgrade(hub), stopped })
    }

    /// Connections that are open.
    #[must_use]
    pub fn open(&self) -> usize {
        self.open.load(Ordering::Relaxed)
    }

    /// Changes how many there may be; those that are open stay. 0: any number.
    pub fn set_most(&self, most: usize) {
        self.most.store(most, Ordering::Release);
        self.call_back();
    }

    /// A place for one more connection, whatever the bound.
    pub(super) fn enter(self: &Arc<Self>) -> Gate {
        self.open.fetch_add(1, Ordering::Relaxed);
        Gate(Arc::clone(self))
    }

    /// Whether one more may come in. If not, the listener is told once that may have changed.
    pub(super) fn has_room(&self, listener: Token) -> bool {
        if !self.is_full() {
            return true;
        }
        // Said before looking again, so that a connection ending in between wakes the leader.
        let mut stopped = lock(&self.stopped);
        if !stopped.contains(&listener) {
            stopped.push(listener);
        }
        !self.is_full()
    }

    fn is_full(&self) -> bool {
        let most = self.most.load(Ordering::Acquire);
        most > 0 && self.open.load(Ordering::Acquire) >= most
    }

    fn call_back(&self) {
        let Some(hub) = self.hub.upgrade() else { return };
        for token in lock(&self.stopped).drain(..) {
            // The queue is unbounded and never closed: this cannot fail.
            let _ = hub.vacancies.push(token);
            hub.wake.wake();
        }
    }
}

/// Held by an accepted connection while it is open.
#[derive(Debug)]
pub struct Gate(Arc<Door>);

impl Drop for Gate {
    fn drop(&mut self) {
        let Self(door) = self;
        door.open.fetch_sub(1, Ordering::AcqRel);
        if door.most.load(Ordering::Acquire) > 0 {
            door.call_back();
        }
    }
}
