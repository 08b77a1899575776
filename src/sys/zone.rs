//! Zones of IPv6 addresses (RFC 4007): the names and numbers of interfaces.
//!
//! Not here: how an address is written (`address`). A number holds as long as its interface is there:
//! one that comes back has another, so a name is looked up each time that it is used.
#![allow(unsafe_code)]

use std::ffi::{CStr, CString};

/// The number of the interface of that name; none if there is no such interface.
#[must_use]
pub fn number_of(name: &str) -> Option<u32> {
    let name = CString::new(name).ok()?;
    // SAFETY: a C string that outlives the call.
    let number = unsafe { libc::if_nametoindex(name.as_ptr()) };
    (number != 0).then_some(number)
}

/// The name of the interface of that number; none if there is no such interface.
#[must_use]
pub fn name_of(number: u32) -> Option<String> {
    let mut room: [libc::c_char; libc::IF_NAMESIZE] = [0; libc::IF_NAMESIZE];
    // SAFETY: there is room for the longest name.
    let found = unsafe { libc::if_indextoname(number, room.as_mut_ptr()) };
    if found.is_null() {
        return None;
    }
    // SAFETY: not null, so it is `room` with a C string in it.
    let name = unsafe { CStr::from_ptr(found) };
    name.to_str().ok().map(str::to_owned)
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
