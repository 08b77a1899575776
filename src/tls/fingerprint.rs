//! Fingerprints: certificates named by their digest.
//!
//! Not here: what else is asked of a peer that is known by its fingerprint (`verifier`). It is SHA-256 of
//! the whole certificate in DER, as every tool that shows certificates has it, so one that was issued anew
//! for the same key has another. Invariant: a text is one fingerprint or refused; nothing of it is guessed.

use std::fmt::{self, Write};

use crate::digest::Digest;
use crate::quote::named;

/// The SHA-256 of a certificate. As text: "sha256:" and 64 digits of base 16.
#[derive(Clone, Copy, Eq, PartialEq)]
pub struct Fingerprint([u8; BYTES]);

const BYTES: usize = 32;
const DIGITS: usize = 2 * BYTES;
const NAME: &str = "sha256";

impl Fingerprint {
    /// Of a certificate in DER, be it damaged or not.
    #[must_use]
    pub fn of(certificate: &[u8]) -> Self {
        let mut bytes = [0; BYTES];
        bytes.copy_from_slice(&Digest::Sha256.of(certificate));
        Self(bytes)
    }

    /// Reads "sha256:HEX", in capitals or not, with colons between digits or without.
    ///
    /// # Errors
    /// It is something else: what is wrong with it.
    pub fn read(text: &str) -> Result<Self, String> {
        let wanted = format!("\"{NAME}:\" and {DIGITS} hexadecimal digits");
        let digits = |text: &str| -> Vec<u8> {
            text.chars().filter_map(|one| one.to_digit(16)?.try_into().ok()).collect()
        };
        let is_bare = text.chars().all(|one| one == ':' || one.is_ascii_hexdigit());
        let (name, hex) = match text.split_once(':') {
            _ if is_bare && digits(text).len() == DIGITS => {
                return Err(format!("its digest is not named; write \"{NAME}:\" before it"));
            }
            Some(parts) => parts,
            None => return Err(format!("{wanted} are expected")),
        };
        if !name.eq_ignore_ascii_case(NAME) {
            return Err(format!(
                "{} is no digest for it; {wanted} are expected",
                named(name.as_bytes())
            ));
        }
        if !hex.chars().all(|one| one == ':' || one.is_ascii_hexdigit()) {
            return Err(format!("{wanted} are expected, not something else behind \"{NAME}:\""));
        }
        let digits = digits(hex);
        let pairs: Vec<u8> = digits.chunks_exact(2).map(|pair| pair[0] << 4 | pair[1]).collect();
        match <[u8; BYTES]>::try_from(pairs) {
            Ok(bytes) if digits.len() == DIGITS => Ok(Self(bytes)),
            _ => Err(format!("{wanted} are expected, not {}", digits.len())),
        }
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{NAME}:{}", hex(&self.0))
    }
}

impl fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Bytes in digits of base 16.
pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(2 * bytes.len()), |mut text, byte| {
        // A text takes everything.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEX: &str = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";

    #[test]
    fn a_fingerprint_is_read_in_all_its_forms() {
        let own = Fingerprint::of(b"abc");
        assert_eq!(own.to_string(), format!("sha256:{HEX}"));
        let pairs: Vec<&str> = (0..32).map(|at| &HEX[2 * at..2 * at + 2]).collect();
        let colons = pairs.join(":");
        for text in [HEX.to_owned(), HEX.to_uppercase(), colons.clone(), colons.to_uppercase()] {
            for name in ["sha256:", "SHA256:", "Sha256:"] {
                assert_eq!(Fingerprint::read(&format!("{name}{text}")), Ok(own));
            }
        }
    }

    #[test]
    fn what_is_none_is_refused_with_the_reason() {
        let expected = "\"sha256:\" and 64 hexadecimal digits are expected";
        let bare = "its digest is not named; write \"sha256:\" before it";
        for (text, why) in [
            (String::new(), expected.to_owned()),
            ("sha256".to_owned(), expected.to_owned()),
            ("sha256:".to_owned(), format!("{expected}, not 0")),
            (format!("sha256:{}", &HEX[1..]), format!("{expected}, not 63")),
            (format!("sha256:{HEX}0"), format!("{expected}, not 65")),
            (format!("sha256:{HEX}00"), format!("{expected}, not 66")),
            (
                format!("sha256:{HEX}\n"),
                format!("{expected}, not something else behind \"sha256:\""),
            ),
            (format!("sha1:{}", &HEX[..40]), format!("'sha1' is no digest for it; {expected}")),
            (format!("sha512:{HEX}{HEX}"), format!("'sha512' is no digest for it; {expected}")),
            (HEX.to_owned(), bare.to_owned()),
            (format!("{}:{}", &HEX[..2], &HEX[2..]), bare.to_owned()),
        ] {
            assert_eq!(Fingerprint::read(&text), Err(why), "{text}");
        }
    }
}
