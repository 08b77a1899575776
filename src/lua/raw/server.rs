//! A server's own part of its object, and what its listeners are told.
//!
//! Not here: listening (`native`), accepting (`accept`).

use std::cell::{Cell, RefCell};

use crate::net::door::Door;
use crate::net::hub::Hub;
use crate::net::listener::Listener;
use crate::net::options::Options;
use crate::sync::Arc;

/// A server's own.
#[derive(Debug, Default)]
pub(in crate::lua) struct ServerPart {
    pub(in crate::lua) listeners: RefCell<Vec<Arc<Listener>>>,
    pub(in crate::lua) door: RefCell<Option<Arc<Door>>>,
    pub(in crate::lua) options: RefCell<Arc<Options>>,
    /// Class number and anchor of accepted sockets.
    pub(in crate::lua) class: Cell<(u32, bool)>,
    /// Accepted sockets are closed when the server is collected.
    pub(in crate::lua) keeps: Cell<bool>,
    /// Connections wait while there is no `on_accept`.
    pub(in crate::lua) waits: Cell<bool>,
}

impl ServerPart {
    /// Tells the listeners of changed options.
    pub(in crate::lua) fn apply_options(&self, hub: &Arc<Hub>) {
        let options = self.options.borrow().clone();
        for listener in self.listeners.borrow().iter() {
            listener.set_options(hub, &options);
        }
    }

    /// Tells the listeners whether anybody takes connections.
    pub(in crate::lua) fn hold(&self, hub: &Arc<Hub>, holds: bool) {
        if self.waits.get() {
            for listener in self.listeners.borrow().iter() {
                listener.set_holding(hub, holds);
            }
        }
    }
}
