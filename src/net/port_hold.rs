//! A port hold: a local port that is held before the connection that is to use it.
//!
//! Not here: that connection, which binds the same port itself once the hold is given up.

use std::net::SocketAddr;

use socket2::Socket;

use crate::address::Address;
use crate::error::{Error, Result};
use crate::sys::socket;

/// The hold; dropping it frees the port.
#[derive(Debug)]
pub struct PortHold {
    socket: Socket,
}

impl PortHold {
    /// Takes the port; 0 is the system's choice.
    ///
    /// # Errors
    /// What the system says: in use, forbidden, not an address of this machine.
    pub fn new(address: SocketAddr) -> Result<Self> {
        let taken = socket::reserve(address);
        let failed = |error| Error::os(&format!("bind {}", Address::Ip(address)), &error);
        taken.map(|socket| Self { socket }).map_err(failed)
    }

    /// Which port it is.
    #[must_use]
    pub fn port(&self) -> u16 {
        let address = socket::local_address(&self.socket).ok().flatten();
        address.and_then(|address| address.port()).unwrap_or_default()
    }
}
