//! A descriptor that somebody else owns: a pipe, a terminal, the socket of another library.
//!
//! Not here: what is done when it is ready (`net::watch`). The owner may close it at any time, and the
//! system may give its number to something of ours, so the main registry never learns the number. Where
//! the system has registries that can be registered themselves (`nested`), each has one of its own;
//! elsewhere a duplicate is registered.
//! Invariant: the descriptor is never read, written or closed here.

use std::io;

use super::Descriptor;
use super::poller::{Interest, Poller};
use super::registered::Registered;

#[cfg(any(target_os = "linux", has_kqueue))]
mod nested;
#[cfg(any(target_os = "linux", has_kqueue))]
use nested as kind;
#[cfg(not(any(target_os = "linux", has_kqueue)))]
mod duplicate;
#[cfg(not(any(target_os = "linux", has_kqueue)))]
use duplicate as kind;

/// The descriptor, with what it is watched for.
#[derive(Debug)]
pub struct Foreign {
    fd: Descriptor,
    interest: Interest,
    /// What the main registry knows in its place; `None` for a regular file, which is always ready.
    stand_in: Option<Registered>,
}

impl Foreign {
    /// Begins to watch; what it waits for is armed later.
    ///
    /// # Errors
    /// What the system says: above all that it is no open descriptor.
    pub fn new(fd: Descriptor, interest: Interest) -> io::Result<Self> {
        let stand_in = kind::stand_in(fd, interest)?.map(Registered::new);
        Ok(Self { fd, interest, stand_in })
    }

    /// Whether the system has nothing to wait for: it is always ready.
    #[must_use]
    pub fn is_always_ready(&self) -> bool {
        self.stand_in.is_none()
    }

    /// Whether it can be read, and written, as far as that is watched.
    ///
    /// # Errors
    /// It was closed.
    pub fn ready(&self) -> io::Result<(bool, bool)> {
        match &self.stand_in {
            Some(stand_in) => kind::ready(stand_in, self.fd, self.interest),
            None => Ok((self.interest.read(), self.interest.write())),
        }
    }

    /// Has the poller report it under `key`, or not any more.
    ///
    /// # Errors
    /// What the system says, which is out of memory.
    pub fn arm(&mut self, is_armed: bool, poller: &Poller, key: usize) -> io::Result<()> {
        let wanted = if is_armed { kind::armed(self.interest) } else { Interest::NONE };
        match &mut self.stand_in {
            Some(stand_in) => stand_in.wait_for(wanted, poller, key),
            None => Ok(()),
        }
    }

    /// Ends it; the descriptor stays open.
    pub fn close(self, poller: &Poller) {
        if let Some(stand_in) = self.stand_in {
            stand_in.close(poller);
        }
    }
}

#[cfg(all(test, unix))]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::io::{Read, Write};
    use std::os::fd::AsRawFd;
    use std::os::unix::net::UnixStream;

    use super::*;

    const BOTH: Interest = Interest::NONE.with(Interest::READ, true).with(Interest::WRITE, true);

    #[test]
    fn it_tells_what_can_be_done_now_and_only_what_is_watched() {
        let (mut near, mut far) = UnixStream::pair().unwrap();
        let both = Foreign::new(near.as_raw_fd(), BOTH).unwrap();
        let read = Foreign::new(near.as_raw_fd(), Interest::READ).unwrap();
        assert_eq!((both.ready().unwrap(), read.ready().unwrap()), ((false, true), (false, false)));
        far.write_all(b"x").unwrap();
        assert_eq!((both.ready().unwrap(), read.ready().unwrap()), ((true, true), (true, false)));
        near.read_exact(&mut [0]).unwrap();
        assert_eq!(read.ready().unwrap(), (false, false));
        drop(far);
        assert_eq!(read.ready().unwrap(), (true, false));
    }

    #[test]
    fn a_regular_file_is_always_ready() {
        let file = std::fs::File::open("Cargo.toml").unwrap();
        let read = Foreign::new(file.as_raw_fd(), Interest::READ).unwrap();
        assert_eq!(read.ready().unwrap(), (true, false));
    }

    #[test]
    fn what_is_not_open_is_refused() {
        assert!(Foreign::new(1_000_000, Interest::READ).is_err());
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_descriptor_that_was_closed_is_noticed_although_its_number_is_used_again() {
        let (near, far) = UnixStream::pair().unwrap();
        let fd = near.as_raw_fd();
        let watched = Foreign::new(fd, Interest::READ).unwrap();
        drop((near, far));
        assert!(watched.ready().is_err());
        // Other tests of this process may have taken the number; whoever has it is not meant.
        let others: Vec<_> = (0..64).map(|_| UnixStream::pair().unwrap()).collect();
        assert!(watched.ready().is_err());
        drop(others);
    }
}
