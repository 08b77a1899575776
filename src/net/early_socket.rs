//! An early socket: one that is made, and perhaps bound, before it is known whether it connects or listens.
//!
//! Not here: connecting (`stream`) and listening (`listener`), to which it is given. Invariant: it is not
//! registered, so merely dropping it closes it.

use std::io;

pub use socket2::Socket;

use crate::address::Address;
use crate::errno;
use crate::error::{Error, Result};
pub use crate::sys::option::{Setting, get, set};
pub use crate::sys::process::host_name;
use crate::sys::{Descriptor, path, socket};

/// A socket that listens, its address, and the file that it was bound to.
pub(super) type Listening = (Socket, Address, Option<(u64, u64)>);

/// The socket.
#[derive(Debug)]
pub struct EarlySocket {
    /// None once an attempt has taken it.
    socket: Option<Socket>,
    /// Of its family, and after `bind` its own.
    address: Address,
}

/// What the system calls a socket.
#[must_use]
pub fn descriptor(socket: &Socket) -> Descriptor {
    crate::sys::descriptor(socket)
}

/// Its own end, if it has one.
#[must_use]
pub fn local_address(socket: &Socket) -> Option<Address> {
    socket::local_address(socket).ok().flatten()
}

/// What the system would say of a descriptor that is none.
#[must_use]
pub fn no_descriptor() -> io::Error {
    io::Error::from_raw_os_error(errno::EBADF)
}

impl EarlySocket {
    /// A socket of the family of that address.
    ///
    /// # Errors
    /// What the system says.
    pub fn open(address: Address) -> Result<Self> {
        let opened = socket::open(&address).map_err(|error| Error::os("socket", &error))?;
        Ok(Self { socket: Some(opened), address })
    }

    /// Fixes its own end.
    ///
    /// # Errors
    /// What the system says.
    pub fn bind(&mut self, address: Address) -> Result<()> {
        let Some(socket) = &self.socket else { return Ok(()) };
        let bound = socket::bind(socket, &address);
        bound.map_err(|error| Error::os(&format!("bind {address}"), &error))?;
        let local = socket::local_address(socket).ok().flatten();
        self.address = local.unwrap_or(address);
        Ok(())
    }

    /// Hands the descriptor to the function.
    pub fn with_socket<R>(&self, body: impl FnOnce(&Socket) -> R) -> Option<R> {
        self.socket.as_ref().map(body)
    }

    /// The socket for an attempt at that address; none if another attempt has it.
    ///
    /// # Errors
    /// The address is of another family.
    pub(super) fn take_for(&mut self, address: &Address) -> io::Result<Option<Socket>> {
        let is_of_family = match (&self.address, address) {
            (Address::Ip(ours), Address::Ip(its)) => ours.is_ipv6() == its.is_ipv6(),
            (Address::Unix(_), Address::Unix(_)) => true,
            _ => false,
        };
        if is_of_family {
            return Ok(self.socket.take());
        }
        Err(io::Error::from_raw_os_error(errno::EAFNOSUPPORT))
    }

    /// Listens: the socket, its address, and the file that it was bound to.
    pub(super) fn listen(self, backlog: i32) -> Result<Listening> {
        let failed = |error| Error::os(&format!("listen {}", self.address), &error);
        let socket = self.socket.ok_or_else(no_descriptor).map_err(failed)?;
        socket::listen_by(&socket, backlog).map_err(failed)?;
        let file = match &self.address {
            Address::Unix(path) => path::identity(path),
            Address::Ip(_) => None,
        };
        let local = socket::local_address(&socket).ok().flatten();
        Ok((socket, local.unwrap_or(self.address), file))
    }
}
