//! A registered socket: one together with what it waits for.
//!
//! Not here: what that is, and when it changes (`net`). Invariant: the poller knows the socket exactly
//! while the interest is not empty, so nobody has to remember which of the two comes first.

use std::io;
use std::ops::Deref;

use socket2::Socket;

use super::poller::{Interest, Poller};

/// The pair. It ends by [`Registered::close`]; merely dropped it is while it waits for nothing, and in
/// the child of a fork, whose parent goes on polling the socket.
#[derive(Debug)]
pub struct Registered {
    socket: Socket,
    interest: Interest,
}

impl Registered {
    /// A socket that waits for nothing yet.
    #[must_use]
    pub fn new(socket: Socket) -> Self {
        Self { socket, interest: Interest::NONE }
    }

    /// It waits for that from now on, and is reported under `key`. An interest that it has costs nothing.
    ///
    /// # Errors
    /// What the system says, which is out of memory; the interest stays as it was.
    pub fn wait_for(&mut self, wanted: Interest, poller: &Poller, key: usize) -> io::Result<()> {
        if wanted != self.interest {
            poller.change(&self.socket, key, self.interest, wanted)?;
            self.interest = wanted;
        }
        Ok(())
    }

    /// What it waits for.
    #[must_use]
    pub fn interest(&self) -> Interest {
        self.interest
    }

    /// The poller forgets it, and the descriptor is closed.
    pub fn close(self, poller: &Poller) {
        // Nothing is left to be done about a refusal: the descriptor's end is the registration's, too.
        let _ = poller.change(&self.socket, 0, self.interest, Interest::NONE);
    }
}

impl Deref for Registered {
    type Target = Socket;

    fn deref(&self) -> &Socket {
        &self.socket
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_registered_socket_is_no_larger_than_two_descriptors() {
        assert!(size_of::<Option<Registered>>() <= 2 * size_of::<crate::sys::Descriptor>());
    }
}
