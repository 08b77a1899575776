//! Under Windows a poller takes messages, and a foreign loop watches a socket for datagrams that is
//! connected to itself.

use std::io;
use std::net::{Ipv4Addr, UdpSocket};
use std::os::windows::io::AsRawSocket;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::sys::Descriptor;
use crate::sys::fault::{self, Call};

/// Ends a wait of our poller.
#[derive(Debug)]
pub struct Wake {
    poller: Arc<polling::Poller>,
    woken: Arc<AtomicBool>,
}

impl Wake {
    pub(in crate::sys) fn of(poller: Arc<polling::Poller>, woken: Arc<AtomicBool>) -> Self {
        Self { poller, woken }
    }

    /// Ends the wait under way, or the next one.
    pub fn wake(&self) {
        if !self.woken.swap(true, Ordering::AcqRel) {
            // Only a closed port refuses: then nobody waits.
            let _ = self.poller.notify();
        }
    }

    /// Nothing: the wait that reported it has taken the message.
    pub fn clear(&self) {}
}

/// The socket.
#[derive(Debug)]
pub struct Bell(UdpSocket);

impl Bell {
    /// One that is not readable yet.
    ///
    /// # Errors
    /// Out of descriptors.
    pub fn new() -> io::Result<Self> {
        fault::before(Call::WakeCreate)?;
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
        socket.connect(socket.local_addr()?)?;
        socket.set_nonblocking(true)?;
        Ok(Self(socket))
    }

    /// What to watch for readability.
    #[must_use]
    pub fn fd(&self) -> Descriptor {
        self.0.as_raw_socket()
    }

    /// Makes it readable.
    pub fn wake(&self) {
        // Where there is no room it is readable already.
        let _ = self.0.send(&[1]);
    }

    /// Makes it unreadable again.
    pub fn clear(&self) {
        while self.0.recv(&mut [0; 8]).is_ok() {}
    }
}
