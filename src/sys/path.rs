//! Paths as bytes: files, and the addresses of Unix sockets.
//!
//! Not here: which paths may be an address (`net::connect_plan`). Windows has neither such sockets
//! for us nor paths of bytes: there a path is UTF-8.

use std::io;

use socket2::SockAddr;

/// Reads a file.
///
/// # Errors
/// What the system says.
pub fn read(path: &[u8]) -> io::Result<Vec<u8>> {
    std::fs::read(system::file(path)?)
}

pub use system::{address, identity, of, remove};

#[cfg(unix)]
mod system {
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt;
    use std::path::Path;
    use std::sync::Arc;

    use super::{SockAddr, io};

    /// A path as the system's calls take it.
    #[expect(clippy::unnecessary_wraps, reason = "not every path is one under Windows")]
    pub(super) fn file(path: &[u8]) -> io::Result<&Path> {
        Ok(Path::new(OsStr::from_bytes(path)))
    }

    /// The address of a Unix socket.
    ///
    /// # Errors
    /// There is no room for the path.
    pub fn address(path: &[u8]) -> io::Result<SockAddr> {
        SockAddr::unix(file(path)?)
    }

    /// The path of an address; one of Linux's abstract namespace begins with a zero byte.
    #[must_use]
    pub fn of(address: &SockAddr) -> Option<Arc<[u8]>> {
        #[cfg(any(target_os = "linux", target_os = "android"))]
        if let Some(name) = address.as_abstract_namespace() {
            return Some([b"\0", name].concat().into());
        }
        Some(address.as_pathname()?.as_os_str().as_bytes().into())
    }

    /// What tells the socket file at a path from another that takes its place; `None` when there is
    /// no socket.
    #[must_use]
    pub fn identity(path: &[u8]) -> Option<(u64, u64)> {
        use std::os::unix::fs::{FileTypeExt, MetadataExt};

        // No path holds a zero byte, so an abstract name has no identity.
        let file = std::fs::symlink_metadata(file(path).ok()?).ok()?;
        file.file_type().is_socket().then(|| (file.dev(), file.ino()))
    }

    /// Removes the file of a Unix socket.
    ///
    /// # Errors
    /// What the system says.
    pub fn remove(path: &[u8]) -> io::Result<()> {
        std::fs::remove_file(file(path)?)
    }
}

#[cfg(windows)]
mod system {
    use std::path::Path;
    use std::sync::Arc;

    use super::{SockAddr, io};
    use crate::errno;

    /// A path as the system's calls take it.
    pub(super) fn file(path: &[u8]) -> io::Result<&Path> {
        // No file has a name that is no text.
        let text = std::str::from_utf8(path);
        text.map(Path::new).map_err(|_| io::Error::from_raw_os_error(errno::ENOENT))
    }

    /// None: `net::connect_plan` lets no path through.
    ///
    /// # Errors
    /// Always.
    pub fn address(_path: &[u8]) -> io::Result<SockAddr> {
        Err(io::Error::from_raw_os_error(errno::EAFNOSUPPORT))
    }

    /// No address has one.
    #[must_use]
    pub fn of(_address: &SockAddr) -> Option<Arc<[u8]>> {
        None
    }

    /// Nothing.
    #[must_use]
    pub fn identity(_path: &[u8]) -> Option<(u64, u64)> {
        None
    }

    /// There is no such file.
    ///
    /// # Errors
    /// Always.
    pub fn remove(_path: &[u8]) -> io::Result<()> {
        Err(io::Error::from_raw_os_error(errno::ENOENT))
    }
}
