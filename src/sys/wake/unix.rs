//! Under Unix a descriptor that is made readable serves both.
#![allow(unsafe_code)]

use std::io;
#[cfg(any(target_os = "linux", target_os = "android"))]
use std::os::fd::FromRawFd;
use std::os::fd::{AsRawFd, OwnedFd};

use crate::sys::Descriptor;
use crate::sys::fault::{self, Call};

/// The descriptor (an eventfd on Linux, elsewhere the two ends of a pipe).
#[derive(Debug)]
pub struct Wake {
    read: OwnedFd,
    write: Option<OwnedFd>,
}

impl Wake {
    /// A descriptor that is not readable yet.
    ///
    /// # Errors
    /// Out of descriptors.
    #[cfg(any(target_os = "linux", target_os = "android"))]
    pub fn new() -> io::Result<Self> {
        fault::before(Call::WakeCreate)?;
        // SAFETY: takes no pointers.
        let fd = unsafe { libc::eventfd(0, libc::EFD_CLOEXEC | libc::EFD_NONBLOCK) };
        if fd < 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: the descriptor is new and ours alone.
        Ok(Self { read: unsafe { OwnedFd::from_raw_fd(fd) }, write: None })
    }

    /// A descriptor that is not readable yet.
    ///
    /// # Errors
    /// Out of descriptors.
    #[cfg(not(any(target_os = "linux", target_os = "android")))]
    pub fn new() -> io::Result<Self> {
        use std::os::unix::net::UnixStream;

        fault::before(Call::WakeCreate)?;
        let (read, write) = UnixStream::pair()?;
        read.set_nonblocking(true)?;
        write.set_nonblocking(true)?;
        Ok(Self { read: OwnedFd::from(read), write: Some(OwnedFd::from(write)) })
    }

    /// What to watch for readability.
    #[must_use]
    pub fn fd(&self) -> Descriptor {
        self.read.as_raw_fd()
    }

    /// Makes it readable.
    pub fn wake(&self) {
        let one = 1_u64.to_ne_bytes();
        let fd = self.write.as_ref().unwrap_or(&self.read).as_raw_fd();
        retried(Call::WakeWrite, || {
            // SAFETY: the buffer is eight bytes long.
            unsafe { libc::write(fd, one.as_ptr().cast(), one.len()) }
        });
    }

    /// Makes it unreadable again.
    pub fn clear(&self) {
        let mut sink = [0_u8; 64];
        retried(Call::WakeRead, || {
            // SAFETY: the buffer is as long as said.
            unsafe { libc::read(self.fd(), sink.as_mut_ptr().cast(), sink.len()) }
        });
    }
}

/// Until it is done, or refused: a full descriptor is readable and an empty one is not, which is
/// what was wanted.
fn retried(call: Call, mut body: impl FnMut() -> isize) {
    loop {
        let done = fault::before(call).and_then(|()| match body() {
            ..0 => Err(io::Error::last_os_error()),
            _ => Ok(()),
        });
        if !done.is_err_and(|error| error.kind() == io::ErrorKind::Interrupted) {
            return;
        }
    }
}
