//! Floor 1: the operating system, and nothing of ours above it.

pub mod datagram;
pub mod fault;
pub mod foreign;
pub mod io;
pub mod names;
pub mod option;
pub mod path;
pub mod poller;
pub mod process;
pub mod registered;
pub mod socket;
pub mod socket_options;
pub mod stderr;
pub mod timed_park;
pub mod wake;
pub mod zone;

/// What the system calls a socket.
#[cfg(unix)]
pub type Descriptor = std::os::fd::RawFd;
/// What the system calls a socket.
#[cfg(windows)]
pub type Descriptor = std::os::windows::io::RawSocket;

/// The system's name for a socket.
#[must_use]
pub fn descriptor(socket: &socket2::Socket) -> Descriptor {
    #[cfg(unix)]
    return std::os::fd::AsRawFd::as_raw_fd(socket);
    #[cfg(windows)]
    return std::os::windows::io::AsRawSocket::as_raw_socket(socket);
}
