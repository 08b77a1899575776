//! Zones of IPv6 addresses (RFC 4007): the names and numbers of interfaces.
//!
//! Not here: how an address is written (`address`). A number holds as long as its interface is there:
//! one that comes back has another, so a name is looked up each time that it is used.
#![allow(unsafe_code)]

use std::ffi::{CStr, CString, c_char};
use std::io;

use crate::quote::shown;

/// The number of the interface of that name; none if there is no such interface.
#[must_use]
pub fn number_of(name: &str) -> Option<u32> {
    let name = CString::new(name).ok()?;
    let number = system::number_of(&name);
    (number != 0).then_some(number)
}

/// The name of the interface of that number; none if there is no such interface.
#[must_use]
pub fn name_of(number: u32) -> Option<String> {
    let mut room: [c_char; system::LONGEST_NAME] = [0; system::LONGEST_NAME];
    if !system::write_name(number, &mut room) {
        return None;
    }
    // SAFETY: it was filled in with a C string.
    let name = unsafe { CStr::from_ptr(room.as_ptr()) };
    name.to_str().ok().map(str::to_owned)
}

/// The number of the interface of that name, or that number as a text.
///
/// # Errors
/// There is no such interface; a number is taken as it is.
pub fn index_of(text: &str) -> io::Result<u32> {
    let number = || text.parse().ok().filter(|number| *number != 0);
    number_of(text).or_else(number).ok_or_else(|| missing(text))
}

/// There is no interface of that name.
#[must_use]
pub fn missing(name: &str) -> io::Error {
    let text = format!("there is no interface '{}'", shown(name.as_bytes()));
    io::Error::new(io::ErrorKind::AddrNotAvailable, text)
}

#[cfg(unix)]
mod system {
    use super::{CStr, c_char};

    /// With its end.
    pub(super) const LONGEST_NAME: usize = libc::IF_NAMESIZE;

    /// 0: there is none.
    pub(super) fn number_of(name: &CStr) -> u32 {
        // SAFETY: a C string that outlives the call.
        unsafe { libc::if_nametoindex(name.as_ptr()) }
    }

    /// Whether there is one.
    pub(super) fn write_name(number: u32, room: &mut [c_char; LONGEST_NAME]) -> bool {
        // SAFETY: there is room for the longest name.
        !unsafe { libc::if_indextoname(number, room.as_mut_ptr()) }.is_null()
    }
}

#[cfg(windows)]
mod system {
    use windows_sys::Win32::NetworkManagement::IpHelper::{if_indextoname, if_nametoindex};

    use super::{CStr, c_char};

    /// With its end (`NDIS_IF_MAX_STRING_SIZE + 1`).
    pub(super) const LONGEST_NAME: usize = 257;

    /// 0: there is none.
    pub(super) fn number_of(name: &CStr) -> u32 {
        // SAFETY: a C string that outlives the call.
        unsafe { if_nametoindex(name.as_ptr().cast()) }
    }

    /// Whether there is one.
    pub(super) fn write_name(number: u32, room: &mut [c_char; LONGEST_NAME]) -> bool {
        // SAFETY: there is room for the longest name.
        !unsafe { if_indextoname(number, room.as_mut_ptr().cast()) }.is_null()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_and_its_number_lead_to_each_other() {
        // Every machine has an interface, most often this one.
        let name = name_of(1).unwrap();
        assert_eq!(number_of(&name), Some(1));
    }

    #[test]
    fn what_is_no_interface_has_neither() {
        assert_eq!(name_of(0x7fff_fff0), None);
        for name in ["", "no-such-if", "a\0b", &"x".repeat(100)] {
            assert_eq!(number_of(name), None);
        }
    }
}
