//! Digests and their keyed form, of bytes that are whole.
//!
//! Not here: TLS, whose crate has its own. MD5 and SHA-1 are for protocols that ask for them; nothing in
//! the library trusts them.

use hmac::{Hmac, KeyInit, Mac};
use md5::Md5;
use sha1::Sha1;
use sha2::{Sha224, Sha256, Sha384, Sha512};

/// A digest that can be asked for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Digest {
    /// RFC 1321.
    Md5,
    /// FIPS 180-4, as those that follow.
    Sha1,
    /// 28 bytes.
    Sha224,
    /// 32 bytes.
    Sha256,
    /// 48 bytes.
    Sha384,
    /// 64 bytes.
    Sha512,
}

impl Digest {
    /// The one of that name, in lower case.
    #[must_use]
    pub fn of_name(name: &[u8]) -> Option<Self> {
        Some(match name {
            b"md5" => Self::Md5,
            b"sha1" => Self::Sha1,
            b"sha224" => Self::Sha224,
            b"sha256" => Self::Sha256,
            b"sha384" => Self::Sha384,
            b"sha512" => Self::Sha512,
            _ => return None,
        })
    }

    /// Of these bytes.
    #[must_use]
    pub fn of(self, bytes: &[u8]) -> Vec<u8> {
        match self {
            Self::Md5 => plain::<Md5>(bytes),
            Self::Sha1 => plain::<Sha1>(bytes),
            Self::Sha224 => plain::<Sha224>(bytes),
            Self::Sha256 => plain::<Sha256>(bytes),
            Self::Sha384 => plain::<Sha384>(bytes),
            Self::Sha512 => plain::<Sha512>(bytes),
        }
    }

    /// Of these bytes under a key of any length (RFC 2104).
    #[must_use]
    pub fn keyed(self, key: &[u8], bytes: &[u8]) -> Vec<u8> {
        match self {
            Self::Md5 => keyed::<Hmac<Md5>>(key, bytes),
            Self::Sha1 => keyed::<Hmac<Sha1>>(key, bytes),
            Self::Sha224 => keyed::<Hmac<Sha224>>(key, bytes),
            Self::Sha256 => keyed::<Hmac<Sha256>>(key, bytes),
            Self::Sha384 => keyed::<Hmac<Sha384>>(key, bytes),
            Self::Sha512 => keyed::<Hmac<Sha512>>(key, bytes),
        }
    }
}

fn plain<D: md5::Digest>(bytes: &[u8]) -> Vec<u8> {
    D::digest(bytes).to_vec()
}

fn keyed<M: Mac + KeyInit>(key: &[u8], bytes: &[u8]) -> Vec<u8> {
    // Only a cipher has keys that it refuses.
    <M as KeyInit>::new_from_slice(key)
        .map(|keyed| keyed.chain_update(bytes).finalize().into_bytes().to_vec())
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hex(bytes: &[u8]) -> String {
        use std::fmt::Write;
        bytes.iter().fold(String::new(), |mut text, byte| {
            write!(text, "{byte:02x}").unwrap_or_default();
            text
        })
    }

    #[test]
    fn digests_are_those_of_their_standards() {
        for (name, digest) in [
            ("md5", "900150983cd24fb0d6963f7d28e17f72"),
            ("sha1", "a9993e364706816aba3e25717850c26c9cd0d89d"),
            ("sha224", "23097d223405d8228642a477bda255b32aadbce4bda0b3f7e36c9da7"),
            ("sha256", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"),
        ] {
            assert_eq!(
                Digest::of_name(name.as_bytes()).map(|it| hex(&it.of(b"abc"))).as_deref(),
                Some(digest)
            );
        }
        assert!(hex(&Digest::Sha384.of(b"abc")).starts_with("cb00753f45a35e8b"));
        assert!(hex(&Digest::Sha512.of(b"abc")).starts_with("ddaf35a193617aba"));
        assert_eq!(Digest::of_name(b"SHA1"), None);
    }

    #[test]
    fn keyed_digests_are_those_of_rfc_2202_and_4231() {
        let data = b"what do ya want for nothing?";
        for (digest, wanted) in [
            (Digest::Md5, "750c783e6ab0b503eaa86e310a5db738"),
            (Digest::Sha1, "effcdf6ae5eb2fa2d27416d5f184df9c259a7c79"),
            (Digest::Sha256, "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"),
        ] {
            assert_eq!(hex(&digest.keyed(b"Jefe", data)), wanted);
        }
        for (digest, length) in [(Digest::Sha224, 28), (Digest::Sha384, 48), (Digest::Sha512, 64)] {
            assert_eq!(digest.keyed(&[], b"").len(), length);
            assert_eq!(digest.keyed(&[7; 1000], b"").len(), length);
        }
    }
}
