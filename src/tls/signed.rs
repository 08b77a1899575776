//! Signatures of long revocation lists, each verified once: to hash a list anew in every handshake
//! costs more than all the rest of it.
//!
//! Not here: any verification, which is the algorithms' of rustls' provider. Invariant: a signature
//! passes unverified only if the same bytes, with the same signature, by the same key, in the same way,
//! were verified before; all of them are compared, none of their digests.

use once_cell::sync::OnceCell;
use rustls::crypto::WebPkiSupportedAlgorithms;
use rustls::pki_types::{AlgorithmIdentifier, InvalidSignature, SignatureVerificationAlgorithm};

use crate::limits::{LONGEST_UNSIGNED, SIGNED_LISTS};
use crate::sync::{Mutex, lock};

type All = &'static [&'static dyn SignatureVerificationAlgorithm];

/// An algorithm that remembers what it has verified.
#[derive(Debug)]
struct Remembering(&'static dyn SignatureVerificationAlgorithm);

/// What was verified.
struct Signed {
    algorithms: [AlgorithmIdentifier; 2],
    key: Vec<u8>,
    message: Vec<u8>,
    signature: Vec<u8>,
}

/// The one that was verified last stands last.
static SIGNED: Mutex<Vec<Signed>> = Mutex::new(Vec::new());

/// The same algorithms, which remember.
pub(super) fn remembering(of: WebPkiSupportedAlgorithms) -> WebPkiSupportedAlgorithms {
    static MADE: OnceCell<(All, All)> = OnceCell::new();
    let (from, made) = MADE.get_or_init(|| {
        let each = of.all.iter().map(|algorithm| -> &'static dyn SignatureVerificationAlgorithm {
            // Once in a process.
            Box::leak(Box::new(Remembering(*algorithm)))
        });
        (of.all, Box::leak(each.collect::<Vec<_>>().into_boxed_slice()))
    });
    let all = if std::ptr::eq(*from, of.all) { *made } else { of.all };
    WebPkiSupportedAlgorithms { all, mapping: of.mapping }
}

impl SignatureVerificationAlgorithm for Remembering {
    fn verify_signature(
        &self,
        key: &[u8],
        message: &[u8],
        signature: &[u8],
    ) -> Result<(), InvalidSignature> {
        // What a peer sends is never so long: nobody but the script fills the memory.
        if message.len() <= LONGEST_UNSIGNED {
            return self.0.verify_signature(key, message, signature);
        }
        let algorithms = [self.0.public_key_alg_id(), self.0.signature_alg_id()];
        let is_same = |one: &Signed| {
            one.algorithms == algorithms
                && one.signature == signature
                && one.key == key
                && one.message == message
        };
        if lock(&SIGNED).iter().any(is_same) {
            return Ok(());
        }
        self.0.verify_signature(key, message, signature)?;
        let (key, message, signature) = (key.to_vec(), message.to_vec(), signature.to_vec());
        remember(Signed { algorithms, key, message, signature });
        Ok(())
    }

    fn public_key_alg_id(&self) -> AlgorithmIdentifier {
        self.0.public_key_alg_id()
    }

    fn signature_alg_id(&self) -> AlgorithmIdentifier {
        self.0.signature_alg_id()
    }

    fn fips(&self) -> bool {
        self.0.fips()
    }
}

/// Keeps it, and of the others those that leave room for it.
fn remember(signed: Signed) {
    let mut room = SIGNED_LISTS.saturating_sub(signed.message.len());
    if room == 0 {
        return;
    }
    let mut all = lock(&SIGNED);
    let mut kept = Vec::with_capacity(all.len() + 1);
    while let Some(one) = all.pop() {
        let Some(left) = room.checked_sub(one.message.len()) else { break };
        room = left;
        kept.push(one);
    }
    kept.reverse();
    kept.push(signed);
    *all = kept;
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    static ASKED: AtomicUsize = AtomicUsize::new(0);

    /// Takes what is signed with its key.
    #[derive(Debug)]
    struct Counting;

    impl SignatureVerificationAlgorithm for Counting {
        fn verify_signature(
            &self,
            key: &[u8],
            _: &[u8],
            signature: &[u8],
        ) -> Result<(), InvalidSignature> {
            ASKED.fetch_add(1, Ordering::Relaxed);
            if key == signature { Ok(()) } else { Err(InvalidSignature) }
        }

        fn public_key_alg_id(&self) -> AlgorithmIdentifier {
            AlgorithmIdentifier::from_slice(b"key")
        }

        fn signature_alg_id(&self) -> AlgorithmIdentifier {
            AlgorithmIdentifier::from_slice(b"signature")
        }
    }

    #[test]
    fn a_list_is_verified_once_and_anything_else_each_time() {
        let algorithm = Remembering(&Counting);
        let asked = |key: &[u8], message: &[u8], signature: &[u8], is_good: bool| {
            let before = ASKED.load(Ordering::Relaxed);
            let verdict = algorithm.verify_signature(key, message, signature);
            assert_eq!(verdict.is_ok(), is_good);
            ASKED.load(Ordering::Relaxed) - before
        };
        let list = vec![7; LONGEST_UNSIGNED + 1];
        assert_eq!(asked(b"a", &list, b"b", false), 1);
        assert_eq!(asked(b"a", &list, b"b", false), 1);
        assert_eq!(asked(b"a", &list, b"a", true), 1);
        assert_eq!(asked(b"a", &list, b"a", true), 0);
        // Each part counts.
        assert_eq!(asked(b"b", &list, b"a", false), 1);
        assert_eq!(asked(b"a", &list, b"b", false), 1);
        assert_eq!(asked(b"b", &list, b"b", true), 1);
        let mut other = list.clone();
        other[LONGEST_UNSIGNED] = 8;
        assert_eq!(asked(b"a", &other, b"a", true), 1);
        assert_eq!(asked(b"a", &list, b"a", true), 0);
        // What is short is verified each time.
        let short = &list[1..];
        assert_eq!(asked(b"a", short, b"a", true), 1);
        assert_eq!(asked(b"a", short, b"a", true), 1);
        // There is a bound, and what was verified last is kept.
        let large = vec![1; SIGNED_LISTS - list.len()];
        assert_eq!(asked(b"a", &large, b"a", true), 1);
        assert_eq!(asked(b"a", &large, b"a", true), 0);
        assert_eq!(asked(b"b", &list, b"b", true), 1);
        let too_large = vec![1; SIGNED_LISTS];
        assert_eq!(asked(b"a", &too_large, b"a", true), 1);
        assert_eq!(asked(b"a", &too_large, b"a", true), 1);
    }
}
