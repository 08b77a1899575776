//! Locked keys: those that a password opens (PKCS #8 with PBES2; RFC 8018).
//!
//! Not here: the text around them (`pem`). Invariants: no reason says anything of the password, and no
//! key is tried whose lock was made to take longer or more memory than the bounds.

use std::fmt;

use pkcs5::pbes2::Kdf;
use pkcs5::{EncryptionScheme, Error};

use super::der::{OCTET_STRING, Reader, SEQUENCE, framed};
use crate::limits;

/// What opens a locked key.
#[derive(Clone)]
pub struct Password(pub Vec<u8>);

const DAMAGED: &str = "the private key is damaged";
const WRONG: &str = "the password does not open the private key";
const UNKNOWN: &str = "the private key is encrypted in a way that is not known here; convert it with: \
    openssl pkcs8 -topk8 -v2 aes-256-cbc -in OLD -out NEW";

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Password")
    }
}

/// The key in an `EncryptedPrivateKeyInfo`, in DER.
///
/// # Errors
/// The reason, in words.
pub(super) fn open(der: &[u8], password: &Password) -> Result<Vec<u8>, String> {
    let mut whole = Reader(Reader(der).expect(SEQUENCE).ok_or(DAMAGED)?);
    let scheme = whole.expect(SEQUENCE).ok_or(DAMAGED)?;
    let content = whole.expect(OCTET_STRING).ok_or(DAMAGED)?;
    let scheme = EncryptionScheme::try_from(&framed(SEQUENCE, scheme)[..]).map_err(|_| UNKNOWN)?;
    bound(&scheme)?;
    let key = scheme.decrypt(&password.0, content).map_err(|error| match error {
        Error::DecryptFailed => WRONG,
        _ => UNKNOWN,
    })?;
    // Of 256 wrong passwords one leaves a padding that looks right.
    let mut rest = Reader(&key);
    match rest.expect(SEQUENCE) {
        Some(_) if rest.0.is_empty() => Ok(key),
        _ => Err(WRONG.to_owned()),
    }
}

/// Whether the lock opens in a time and in memory that anybody has.
fn bound(scheme: &EncryptionScheme) -> Result<(), String> {
    match scheme.pbes2().map(|pbes2| &pbes2.kdf) {
        Some(Kdf::Pbkdf2(lock)) if lock.iteration_count > limits::MOST_ROUNDS => {
            let (rounds, most) = (lock.iteration_count, limits::MOST_ROUNDS);
            Err(format!("the private key is locked with {rounds} rounds, more than {most}"))
        }
        Some(Kdf::Scrypt(lock)) => {
            let memory = lock.cost_parameter.saturating_mul(128 * u64::from(lock.block_size));
            let work = memory.saturating_mul(u64::from(lock.parallelization));
            if lock.cost_parameter < 2 || !lock.cost_parameter.is_power_of_two() {
                return Err(DAMAGED.to_owned());
            }
            if memory > limits::SCRYPT_MEMORY {
                let most = limits::SCRYPT_MEMORY >> 20;
                let text = "the private key is locked by scrypt with more memory than";
                return Err(format!("{text} {most} MiB"));
            }
            if work > limits::SCRYPT_WORK {
                let text = "the private key is locked by scrypt in a way that takes longer than";
                return Err(format!("{text} about 10 s to open"));
            }
            Ok(())
        }
        _ => Ok(()),
    }
}
