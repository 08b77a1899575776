//! The part of an object that a watch has.
//!
//! Not here: the watch itself (`net::watch`), its events (`event`).

use std::cell::{Cell, RefCell};

use crate::error::{Code, Error, Result};
use crate::net::hub::Hub;
use crate::net::watch::Watch;
use crate::sync::Arc;

/// What a watch has.
#[derive(Debug, Default)]
pub(in crate::lua) struct WatchPart {
    pub(in crate::lua) watch: RefCell<Option<Arc<Watch>>>,
    /// Why it ended by itself.
    pub(in crate::lua) failure: RefCell<Option<Error>>,
    /// When it began, in seconds of the state's clock.
    pub(in crate::lua) began: Cell<f64>,
    /// It has an `on_ready`.
    pub(in crate::lua) has_handler: Cell<bool>,
}

impl WatchPart {
    /// Whether the descriptor can be read, and written, now.
    pub(in crate::lua) fn ready(&self) -> Result<(bool, bool)> {
        if let Some(watch) = self.watch.borrow().as_ref() {
            return watch.ready();
        }
        let failure = self.failure.borrow().clone();
        Err(failure.unwrap_or_else(|| Error::new(Code::Closed, "watch: it is closed")))
    }

    /// The same while its event is dispatched.
    pub(in crate::lua) fn look(&self) -> Result<(bool, bool)> {
        if let Some(watch) = self.watch.borrow().as_ref() {
            watch.on_seen();
        }
        self.ready()
    }

    /// Its event was dispatched.
    pub(in crate::lua) fn listen_on(&self, hub: Option<&Arc<Hub>>) {
        if let (Some(hub), Some(watch)) = (hub, self.watch.borrow().as_ref()) {
            watch.listen_on(hub);
        }
    }
}
