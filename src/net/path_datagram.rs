//! A socket for datagrams by a path, which never blocks.
//!
//! Not here: waiting, for which scripts watch its descriptor. Windows has none.

pub use system::PathDatagram;

use crate::error::{Code, Error, Result};
use crate::sys::Descriptor;

/// What a receive brought.
#[derive(Debug)]
pub enum Received {
    /// Nothing has come.
    Again,
    /// A datagram, and the path of its sender, if that has one.
    From(Vec<u8>, Vec<u8>),
}

#[cfg(unix)]
mod system {
    use std::ffi::OsStr;
    use std::io;
    use std::os::fd::AsRawFd;
    use std::os::unix::ffi::OsStrExt;
    use std::os::unix::net::{SocketAddr, UnixDatagram};
    use std::path::Path;

    use super::{Descriptor, Error, Received, Result};

    /// The socket; nothing once it is closed.
    #[derive(Debug)]
    pub struct PathDatagram(Option<UnixDatagram>);

    fn file(path: &[u8]) -> &Path {
        Path::new(OsStr::from_bytes(path))
    }

    impl PathDatagram {
        /// One that has no path.
        ///
        /// # Errors
        /// What the system says.
        pub fn new() -> Result<Self> {
            Self::made("socket", UnixDatagram::unbound())
        }

        fn made(call: &str, made: io::Result<UnixDatagram>) -> Result<Self> {
            let failed = |error| Error::os(call, &error);
            let socket = made.map_err(failed)?;
            socket.set_nonblocking(true).map_err(failed)?;
            Ok(Self(Some(socket)))
        }

        /// Gives it a path, where others send to; it has another descriptor then.
        ///
        /// # Errors
        /// What the system says.
        pub fn bind(&mut self, path: &[u8]) -> Result<()> {
            *self = Self::made("bind", UnixDatagram::bind(file(path)))?;
            Ok(())
        }

        /// Fixes where it sends to.
        ///
        /// # Errors
        /// What the system says.
        pub fn connect(&self, path: &[u8]) -> Result<()> {
            self.call("connect", |socket| socket.connect(file(path)))
        }

        /// Sends to a path, or where it is connected; false if there is no room now.
        ///
        /// # Errors
        /// What the system says.
        pub fn send(&self, data: &[u8], path: Option<&[u8]>) -> Result<bool> {
            let sent = self.call("send", |socket| match path {
                Some(path) => again(socket.send_to(data, file(path))),
                None => again(socket.send(data)),
            })?;
            Ok(sent.is_some())
        }

        /// Takes the next datagram, of which at most so many bytes are kept.
        ///
        /// # Errors
        /// What the system says.
        pub fn receive(&self, most: usize) -> Result<Received> {
            let mut data = vec![0; most];
            let came = self.call("receive", |socket| again(socket.recv_from(&mut data)))?;
            let Some((size, from)) = came else { return Ok(Received::Again) };
            data.truncate(size);
            Ok(Received::From(data, path_of(&from)))
        }

        /// What the system calls it.
        #[must_use]
        pub fn descriptor(&self) -> Option<Descriptor> {
            self.0.as_ref().map(|socket| Descriptor::from(socket.as_raw_fd()))
        }

        /// Closes it.
        pub fn close(&mut self) {
            self.0 = None;
        }

        fn call<R>(
            &self,
            call: &str,
            body: impl FnOnce(&UnixDatagram) -> io::Result<R>,
        ) -> Result<R> {
            let socket = self.0.as_ref().ok_or_else(|| super::closed(call))?;
            body(socket).map_err(|error| Error::os(call, &error))
        }
    }

    fn again<R>(done: io::Result<R>) -> io::Result<Option<R>> {
        match done {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(None),
            done => done.map(Some),
        }
    }

    fn path_of(address: &SocketAddr) -> Vec<u8> {
        let path = address.as_pathname();
        path.map(|path| path.as_os_str().as_bytes().to_vec()).unwrap_or_default()
    }
}

#[cfg(not(unix))]
mod system {
    use super::{Descriptor, Received, Result};

    /// There is none.
    #[derive(Debug)]
    pub struct PathDatagram(());

    impl PathDatagram {
        /// None.
        ///
        /// # Errors
        /// Always.
        pub fn new() -> Result<Self> {
            Err(super::closed("socket"))
        }

        /// Nothing.
        ///
        /// # Errors
        /// Always.
        pub fn bind(&mut self, _path: &[u8]) -> Result<()> {
            Err(super::closed("bind"))
        }

        /// Nothing.
        ///
        /// # Errors
        /// Always.
        pub fn connect(&self, _path: &[u8]) -> Result<()> {
            Err(super::closed("connect"))
        }

        /// Nothing.
        ///
        /// # Errors
        /// Always.
        pub fn send(&self, _data: &[u8], _path: Option<&[u8]>) -> Result<bool> {
            Err(super::closed("send"))
        }

        /// Nothing.
        ///
        /// # Errors
        /// Always.
        pub fn receive(&self, _most: usize) -> Result<Received> {
            Err(super::closed("receive"))
        }

        /// None.
        #[must_use]
        pub fn descriptor(&self) -> Option<Descriptor> {
            None
        }

        /// Nothing.
        pub fn close(&mut self) {}
    }
}

fn closed(call: &str) -> Error {
    Error::new(Code::Closed, format!("{call}: the socket is closed"))
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    #[test]
    fn datagrams_have_edges_and_a_sender() {
        let path = std::env::temp_dir().join(format!("evsock-datagram-{}", std::process::id()));
        let path = path.to_str().unwrap().as_bytes().to_vec();
        let (mut one, other) = (PathDatagram::new().unwrap(), PathDatagram::new().unwrap());
        one.bind(&path).unwrap();
        assert!(matches!(one.receive(8).unwrap(), Received::Again));
        for text in ["first", "", "the third"] {
            assert!(other.send(text.as_bytes(), Some(&path)).unwrap());
        }
        for text in ["first", "", "the thir"] {
            let Received::From(data, from) = one.receive(8).unwrap() else { panic!("{text}") };
            assert_eq!((&*data, &*from), (text.as_bytes(), &b""[..]));
        }
        one.close();
        assert!(one.descriptor().is_none());
        assert_eq!(one.receive(8).unwrap_err().code(), Code::Closed);
        std::fs::remove_file(std::str::from_utf8(&path).unwrap()).unwrap();
    }
}
