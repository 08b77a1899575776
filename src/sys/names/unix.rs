//! Lookup by `getaddrinfo`, called directly because `std` does not tell the reasons apart and a
//! scoped address (`fe80::1%eth0`) is to keep its scope.
//!
//! Not here: what is said where nobody knows the name (`mod.rs`).
#![allow(unsafe_code)]

use std::ffi::CString;
use std::io;
use std::mem::MaybeUninit;
use std::net::SocketAddr;
use std::ptr;

use socket2::{SockAddr, SockAddrStorage};

use super::{nameless, unknown, without_address};
use crate::error::{Code, Error, Result};

/// What systems give room for, with the end of the text.
const LONGEST_NAME: usize = 1025;

/// The addresses of a name in the system's order of preference, each once; their port is 0.
///
/// # Errors
/// `EHOSTNOTFOUND`; or that the machine, not the name, is to blame.
pub fn look_up(name: &str) -> Result<Vec<SocketAddr>> {
    let Ok(name) = CString::new(name) else {
        return Err(Error::new(Code::BadHost, "connect: this is no host name"));
    };
    // SAFETY: all zeroes is a valid `addrinfo`: no preference.
    let mut hints: libc::addrinfo = unsafe { MaybeUninit::zeroed().assume_init() };
    // Without it each address comes once for every type of socket.
    hints.ai_socktype = libc::SOCK_STREAM;
    let mut list = ptr::null_mut();
    // SAFETY: a C string, valid hints and a place for the list.
    let status =
        unsafe { libc::getaddrinfo(name.as_ptr(), ptr::null(), &raw const hints, &raw mut list) };
    if status != 0 {
        return Err(failure(status, &io::Error::last_os_error()));
    }
    let mut addresses = Vec::new();
    let mut next = list;
    // SAFETY: null, or a node of the list, which lives until it is freed below.
    while let Some(node) = unsafe { next.as_ref() } {
        if let Some(address) = address_of(node).filter(|found| !addresses.contains(found)) {
            addresses.push(address);
        }
        next = node.ai_next;
    }
    // SAFETY: what `getaddrinfo` gave; nothing refers to it any more.
    unsafe { libc::freeaddrinfo(list) };
    if addresses.is_empty() {
        return Err(without_address());
    }
    Ok(addresses)
}

/// The name of an address.
///
/// # Errors
/// `EHOSTNOTFOUND`; or that the machine is to blame.
pub fn name_of(address: SocketAddr) -> Result<String> {
    let address = SockAddr::from(address);
    let mut name = [0_u8; LONGEST_NAME];
    // SAFETY: the address has that length, the buffer that room; no service is asked for.
    let status = unsafe {
        libc::getnameinfo(
            address.as_ptr().cast(),
            address.len(),
            name.as_mut_ptr().cast(),
            // Systems differ in its type.
            name.len().try_into().unwrap_or_default(),
            ptr::null_mut(),
            0,
            libc::NI_NAMEREQD,
        )
    };
    if status == libc::EAI_NONAME {
        return Err(nameless());
    } else if status != 0 {
        return Err(failure(status, &io::Error::last_os_error()));
    }
    let name = name.split(|byte| *byte == 0).next().unwrap_or_default();
    Ok(String::from_utf8_lossy(name).into_owned())
}

fn address_of(node: &libc::addrinfo) -> Option<SocketAddr> {
    let mut storage = SockAddrStorage::zeroed();
    let length = node.ai_addrlen as usize;
    if node.ai_addr.is_null() || length > size_of::<SockAddrStorage>() {
        return None;
    }
    let room = (&raw mut storage).cast::<u8>();
    // SAFETY: the node says how long its address is, and there is room for it.
    unsafe { ptr::copy_nonoverlapping(node.ai_addr.cast(), room, length) };
    // SAFETY: filled in above, with its length.
    unsafe { SockAddr::new(storage, node.ai_addrlen) }.as_socket()
}

/// Only a lack of something on this machine is told from a name that nobody knows.
fn failure(status: libc::c_int, system: &io::Error) -> Error {
    if status == libc::EAI_MEMORY {
        return Error::os("connect", &io::Error::from_raw_os_error(libc::ENOMEM));
    }
    if status == libc::EAI_SYSTEM {
        let error = Error::os("connect", system);
        return match error.code() {
            Code::OutOfMemory | Code::TooManyFiles => error,
            _ => Error::new(Code::HostNotFound, error.message()),
        };
    }
    let why = match status {
        libc::EAI_AGAIN => "temporary failure in name resolution",
        libc::EAI_FAIL => "non-recoverable failure in name resolution",
        #[cfg(target_os = "linux")]
        libc::EAI_NODATA => "no address associated with hostname",
        _ => return unknown(),
    };
    Error::new(Code::HostNotFound, format!("connect: {why}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lack_of_this_machine_is_told_from_an_unknown_name() {
        let no_files = io::Error::from_raw_os_error(libc::EMFILE);
        let refused = io::Error::from_raw_os_error(libc::ECONNREFUSED);
        let code = |status, system| failure(status, system).code();
        assert_eq!(code(libc::EAI_SYSTEM, &no_files), Code::TooManyFiles);
        assert_eq!(code(libc::EAI_SYSTEM, &refused), Code::HostNotFound);
        assert_eq!(code(libc::EAI_MEMORY, &refused), Code::OutOfMemory);
        for status in [libc::EAI_NONAME, libc::EAI_AGAIN, libc::EAI_FAIL] {
            assert_eq!(code(status, &no_files), Code::HostNotFound);
        }
        let unknown = failure(libc::EAI_NONAME, &no_files);
        assert_eq!(unknown.message(), "connect: name or service not known");
    }
}
