//! Lookup by way of `std`, whose errors are Windows' numbers.
//!
//! Not here: what is said where nobody knows the name (`mod.rs`).

use std::net::{SocketAddr, ToSocketAddrs};

use super::{unknown, without_address};
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
