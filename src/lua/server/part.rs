//! The part of an object that a server has, and what it passes on to its listeners.
//!
//! Not here: listening (`native`), accepting (`accept`).

use std::cell::{Cell, RefCell};

use crate::net::connection_count::ConnectionCount;
use crate::net::hub::Hub;
use crate::net::listener::Listener;
use crate::net::options::Options;
use crate::sync::Arc;

/// What a server has.
#[derive(Debug, Default)]
pub(in crate::lua) struct ServerPart {
    pub(in crate::lua) listeners: RefCell<Vec<Arc<Listener>>>,
    pub(in crate::lua) count: RefCell<Option<Arc<ConnectionCount>>>,
    pub(in crate::lua) options: RefCell<Arc<Options>>,
    /// Class number and anchor of accepted sockets.
    pub(in crate::lua) class: Cell<(u32, bool)>,
    /// Accepted sockets are closed when the server is collected.
    pub(in crate::lua) sockets_die_with_it: Cell<bool>,
    /// When it began to listen, in seconds of the state's clock.
    pub(in crate::lua) began: Cell<f64>,
    /// Connections wait while there is no `on_accept`.
    pub(in crate::lua) waits: Cell<bool>,
}

impl ServerPart {
    /// Passes changed options on to the listeners.
    pub(in crate::lua) fn apply_options(&self, hub: &Arc<Hub>) {
        let options = self.options.borrow().clone();
        for listener in self.listeners.borrow().iter() {
            listener.set_options(hub, &options);
        }
    }

    /// Tells the listeners whether connections have to wait, because nobody takes them.
    pub(in crate::lua) fn hold(&self, hub: &Arc<Hub>, holds: bool) {
        if self.waits.get() {
            for listener in self.listeners.borrow().iter() {
                listener.set_holding(hub, holds);
            }
        }
    }

    /// Reports to the script what is odd about a server's certificates, once for all its listeners.
    pub(in crate::lua) fn report_notices(&self, hub: Option<&Arc<Hub>>) {
        let options = self.options.borrow().clone();
        let Some(server) = options.tls.as_ref().and_then(|tls| tls.server.as_ref()) else { return };
        let listeners = self.listeners.borrow();
        let (Some(hub), Some(listener)) = (hub, listeners.first()) else { return };
        for notice in server.notices() {
            listener.report(hub, notice);
        }
    }
}
