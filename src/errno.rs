//! The numbers of the system's errors under their POSIX names, and one text for each.
//!
//! Not here: our own codes (`error`). The texts are those of Linux on every system: macOS words some
//! differently, and Windows answers with long sentences in its user's language. Invariant: on Linux
//! each text is the system's own; a test compares them.

use std::io;

/// One list for both: the name, its number in Windows' sockets, its text.
macro_rules! errors {
    ($($name:ident = $windows:literal $text:literal,)*) => {
        #[cfg(unix)]
        pub use libc::{$($name),*};

        #[cfg(windows)]
        mod windows {
            $(
                #[doc = concat!("\"", $text, "\"")]
                pub const $name: i32 = $windows;
            )*
        }
        #[cfg(windows)]
        pub use windows::*;

        /// The text of a number.
        fn text_of(number: i32) -> Option<&'static str> {
            match number {
                $($name => Some($text),)*
                _ => None,
            }
        }

        #[cfg(all(test, target_os = "linux"))]
        const ALL: &[i32] = &[$($name),*];
    };
}

errors! {
    EACCES = 10013 "permission denied",
    EADDRINUSE = 10048 "address already in use",
    EADDRNOTAVAIL = 10049 "cannot assign requested address",
    EAFNOSUPPORT = 10047 "address family not supported by protocol",
    EAGAIN = 10035 "resource temporarily unavailable",
    EBADF = 10009 "bad file descriptor",
    ECONNABORTED = 10053 "software caused connection abort",
    ECONNREFUSED = 10061 "connection refused",
    ECONNRESET = 10054 "connection reset by peer",
    EHOSTDOWN = 10064 "host is down",
    EHOSTUNREACH = 10065 "no route to host",
    EINPROGRESS = 10036 "operation now in progress",
    EINTR = 10004 "interrupted system call",
    EINVAL = 10022 "invalid argument",
    EMFILE = 10024 "too many open files",
    EMSGSIZE = 10040 "message too long",
    ENETDOWN = 10050 "network is down",
    ENETUNREACH = 10051 "network is unreachable",
    // Files: Windows counts these among its own numbers.
    ENFILE = 4 "too many open files in system",
    ENOBUFS = 10055 "no buffer space available",
    ENOENT = 2 "no such file or directory",
    ENOMEM = 8 "cannot allocate memory",
    ENOPROTOOPT = 10042 "protocol not available",
    ENOSPC = 112 "no space left on device",
    ENOTCONN = 10057 "transport endpoint is not connected",
    ENOTSOCK = 10038 "socket operation on non-socket",
    EOPNOTSUPP = 10045 "operation not supported",
    EPERM = 1314 "operation not permitted",
    EPIPE = 10058 "broken pipe",
    EPROTO = 10041 "protocol error",
    ETIMEDOUT = 10060 "connection timed out",
}

/// The number of an error that the system gave, one of the constants here if there is one for it.
#[must_use]
pub fn number(error: &io::Error) -> Option<i32> {
    let number = error.raw_os_error()?;
    // Windows has several numbers for the same thing.
    #[cfg(windows)]
    let number = match number {
        // ERROR_PATH_NOT_FOUND
        3 => ENOENT,
        // ERROR_ACCESS_DENIED, ERROR_SHARING_VIOLATION
        5 | 32 => EACCES,
        // ERROR_NOT_ENOUGH_MEMORY is ENOMEM; ERROR_OUTOFMEMORY, WSA_NOT_ENOUGH_MEMORY
        14 => ENOMEM,
        // ERROR_BROKEN_PIPE
        109 => EPIPE,
        // WSAENETRESET: keep-alive probes found the connection gone.
        10052 => ECONNRESET,
        // ERROR_CONNECTION_REFUSED, ERROR_NETWORK_UNREACHABLE, ERROR_HOST_UNREACHABLE, ERROR_PORT_UNREACHABLE
        1225 | 1234 => ECONNREFUSED,
        1231 => ENETUNREACH,
        1232 => EHOSTUNREACH,
        // ERROR_NETNAME_DELETED, ERROR_CONNECTION_ABORTED, ERROR_SEM_TIMEOUT
        64 => ECONNRESET,
        1236 => ECONNABORTED,
        121 => ETIMEDOUT,
        other => other,
    };
    Some(number)
}

/// The text of an error that the system gave, in lower case; none where it is not in the list.
#[must_use]
pub fn text(error: &io::Error) -> Option<&'static str> {
    text_of(number(error)?)
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn each_text_is_what_linux_says() {
        for number in ALL {
            let error = io::Error::from_raw_os_error(*number);
            let said = error.to_string().to_lowercase();
            let said = said.split(" (os error").next();
            assert_eq!(text(&error), said, "{number}");
        }
    }

    #[test]
    fn what_is_not_listed_has_no_text_here() {
        assert_eq!(text(&io::Error::from_raw_os_error(libc::EXDEV)), None);
        assert_eq!(text(&io::Error::other("ours")), None);
    }
}
