//! Moving bytes: receive and send, never blocking, never raising SIGPIPE.
//!
//! Not here: buffers' policies. "Would block" is a [`Progress`], not an error.
#![allow(unsafe_code)]

use std::io::{self, IoSlice};

use socket2::Socket;

use super::fault::{self, Call};

/// What a call achieved.
#[derive(Debug)]
pub enum Progress {
    /// So many bytes were moved.
    Done(usize),
    /// Not now.
    Again,
    /// The peer sent its end of stream.
    Eof,
    /// The connection is broken.
    Failed(io::Error),
}

#[cfg(any(target_os = "linux", target_os = "android", target_os = "freebsd"))]
pub(super) const SEND_FLAGS: std::ffi::c_int = libc::MSG_NOSIGNAL;
// macOS has SO_NOSIGPIPE, set when the socket is made, and Windows no such signal.
#[cfg(not(any(target_os = "linux", target_os = "android", target_os = "freebsd")))]
pub(super) const SEND_FLAGS: std::ffi::c_int = 0;

/// Appends what has arrived to `buffer`, at most `most` bytes, using its spare capacity; neither must
/// be empty.
pub fn recv(socket: &Socket, buffer: &mut Vec<u8>, most: usize) -> Progress {
    loop {
        let spare = buffer.spare_capacity_mut();
        let room = spare.len().min(most);
        let room = fault::shorten_room(socket, spare.split_at_mut(room).0);
        match fault::before(Call::Recv).and_then(|()| socket.recv(room)) {
            Ok(0) => return Progress::Eof,
            Ok(count) => {
                let length = buffer.len() + count;
                // SAFETY: the system has written `count` bytes to the spare capacity.
                unsafe { buffer.set_len(length) };
                return Progress::Done(count);
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return failed(error),
        }
    }
}

/// Sends some of `data`.
pub fn send(socket: &Socket, data: &[u8]) -> Progress {
    let data = fault::shorten(data);
    loop {
        let sent = fault::before(Call::Send);
        match sent.and_then(|()| socket.send_with_flags(data, SEND_FLAGS)) {
            Ok(count) => return Progress::Done(count),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return failed(error),
        }
    }
}

/// Sends some of the gathered `slices`.
pub fn send_gathered(socket: &Socket, slices: &[IoSlice<'_>]) -> Progress {
    if let Some(data) = fault::only(slices) {
        return send(socket, data);
    }
    loop {
        let sent = fault::before(Call::SendGathered);
        match sent.and_then(|()| socket.send_vectored_with_flags(slices, SEND_FLAGS)) {
            Ok(count) => return Progress::Done(count),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return failed(error),
        }
    }
}

fn failed(error: io::Error) -> Progress {
    if error.kind() == io::ErrorKind::WouldBlock {
        Progress::Again
    } else {
        Progress::Failed(error)
    }
}
