//! The system's lookup of names, which blocks for as long as it likes.
//!
//! Not here: threads to block in (`net::resolver`). What is said of a name that nobody knows is the
//! same on every system.

use crate::error::{Code, Error};

#[cfg(unix)]
mod unix;
#[cfg(unix)]
pub use unix::{look_up, name_of};
#[cfg(windows)]
mod windows;
#[cfg(windows)]
pub use windows::{look_up, name_of};

fn unknown() -> Error {
    Error::new(Code::HostNotFound, "connect: name or service not known")
}

fn nameless() -> Error {
    Error::new(Code::HostNotFound, "connect: no name is known for it")
}

fn without_address() -> Error {
    Error::new(Code::HostNotFound, "connect: the name has no address")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_found_once() {
        assert_eq!(look_up("127.0.0.1").unwrap(), ["127.0.0.1:0".parse().unwrap()]);
    }

    #[test]
    fn an_address_of_this_machine_has_a_name() {
        assert_eq!(name_of("127.0.0.1:0".parse().unwrap()).unwrap(), "localhost");
    }

    #[test]
    fn a_scoped_address_keeps_its_scope() {
        let found = look_up("fe80::1%1").unwrap();
        assert!(
            matches!(found[..], [std::net::SocketAddr::V6(address)] if address.scope_id() == 1)
        );
    }
}
