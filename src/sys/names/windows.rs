//! Lookup by way of `std`, whose errors are Windows' numbers.
//!
//! Not here: what is said where nobody knows the name (`mod.rs`).
#![allow(unsafe_code)]

use std::net::{SocketAddr, ToSocketAddrs};
use std::ptr;

use socket2::SockAddr;
use windows_sys::Win32::Networking::WinSock::{NI_NAMEREQD, getnameinfo};

use super::{nameless, unknown, without_address};
use crate::errno;
use crate::error::{Code, Error, Result};

/// WSATRY_AGAIN and WSANO_RECOVERY.
const TRY_AGAIN: i32 = 11002;
const NO_RECOVERY: i32 = 11003;

/// The addresses of a name in the system's order of preference, each once; their port is 0.
///
/// # Errors
/// `EHOSTNOTFOUND`; or that the machine, not the name, is to blame.
pub fn look_up(name: &str) -> Result<Vec<SocketAddr>> {
    if name.contains('\0') {
        return Err(Error::new(Code::BadHost, "connect: this is no host name"));
    }
    let found = (name, 0).to_socket_addrs().map_err(|error| match errno::number(&error) {
        Some(errno::EMFILE | errno::ENOBUFS | errno::ENOMEM) => Error::os("connect", &error),
        Some(TRY_AGAIN) => {
            Error::new(Code::HostNotFound, "connect: temporary failure in name resolution")
        }
        Some(NO_RECOVERY) => {
            Error::new(Code::HostNotFound, "connect: non-recoverable failure in name resolution")
        }
        _ => unknown(),
    })?;
    let mut addresses = Vec::new();
    for address in found {
        if !addresses.contains(&address) {
            addresses.push(address);
        }
    }
    if addresses.is_empty() { Err(without_address()) } else { Ok(addresses) }
}

/// What systems give room for, with the end of the text.
const LONGEST_NAME: usize = 1025;

/// The name of an address.
///
/// # Errors
/// `EHOSTNOTFOUND`.
pub fn name_of(address: SocketAddr) -> Result<String> {
    let address = SockAddr::from(address);
    let mut name = [0_u8; LONGEST_NAME];
    let room = u32::try_from(name.len()).unwrap_or_default();
    let required = i32::try_from(NI_NAMEREQD).unwrap_or_default();
    // SAFETY: the address has that length, the buffer that room; no service is asked for.
    let status = unsafe {
        getnameinfo(
            address.as_ptr().cast(),
            address.len(),
            name.as_mut_ptr(),
            room,
            ptr::null_mut(),
            0,
            required,
        )
    };
    if status != 0 {
        return Err(nameless());
    }
    let name = name.split(|byte| *byte == 0).next().unwrap_or_default();
    Ok(String::from_utf8_lossy(name).into_owned())
}
