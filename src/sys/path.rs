//! Paths as bytes: files, and the addresses of Unix sockets.
//!
//! Not here: which paths may be an address (`net::target`). Windows has neither such sockets
//! for us nor paths of bytes: there a path is UTF-8.

use std::io;

use socket2::SockAddr;

/// Reads a file.
///
/// # Errors
/// What the system says.
pub fn read(path: &[u8]) -> io::Result<Vec<u8>> {
    std::fs::read(file(path)?)
}

/// What is in those files of a folder whose names are as OpenSSL has them in a folder of certificates:
/// eight digits of base 16, a dot and a number. In the order of the names.
///
/// # Errors
/// What the system says.
pub fn hashed_files(folder: &[u8]) -> io::Result<Vec<Vec<u8>>> {
    let is_hashed = |name: &str| {
        let (hash, number) = name.split_once('.').unwrap_or_default();
        let is_number = !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit());
        hash.len() == 8 && hash.bytes().all(|byte| byte.is_ascii_hexdigit()) && is_number
    };
    let mut paths = Vec::new();
    for entry in std::fs::read_dir(file(folder)?)? {
        let entry = entry?;
        if entry.file_name().to_str().is_some_and(is_hashed) {
            paths.push(entry.path());
        }
    }
    paths.sort();
    paths.iter().map(std::fs::read).collect()
}

pub(in crate::sys) use system::file;
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
    pub(in crate::sys) fn file(path: &[u8]) -> io::Result<&Path> {
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
    pub(in crate::sys) fn file(path: &[u8]) -> io::Result<&Path> {
        // No file has a name that is no text.
        let text = std::str::from_utf8(path);
        text.map(Path::new).map_err(|_| io::Error::from_raw_os_error(errno::ENOENT))
    }

    /// None: `net::target` lets no path through.
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
