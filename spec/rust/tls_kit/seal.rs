//! The arithmetic of TLS by hand: keys and records of AES-128-GCM with SHA-256, in both versions.
//!
//! Not here: messages and their order (`player.rs`). Nothing is shared with rustls but ring.

use ring::{aead, digest, hmac};

/// The header of a record.
pub const HEADER: usize = 5;
const TAG: usize = 16;

pub fn hash(bytes: &[u8]) -> Vec<u8> {
    digest::digest(&digest::SHA256, bytes).as_ref().to_vec()
}

pub fn keyed(key: &[u8], bytes: &[u8]) -> Vec<u8> {
    hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), bytes).as_ref().to_vec()
}

/// HKDF-Expand-Label of RFC 8446, 7.1, for what fits in one block.
pub fn expand(secret: &[u8], label: &str, context: &[u8], length: u8) -> Vec<u8> {
    let label = format!("tls13 {label}");
    let mut info = vec![0, length, u8::try_from(label.len()).unwrap()];
    info.extend(label.as_bytes());
    info.push(u8::try_from(context.len()).unwrap());
    info.extend(context);
    info.push(1);
    let mut bytes = keyed(secret, &info);
    bytes.truncate(length.into());
    bytes
}

/// PRF of RFC 5246, 5.
pub fn prf(secret: &[u8], label: &str, seed: &[u8], length: usize) -> Vec<u8> {
    let seed = [label.as_bytes(), seed].concat();
    let (mut a, mut out) = (seed.clone(), Vec::new());
    while out.len() < length {
        a = keyed(secret, &a);
        out.extend(keyed(secret, &[&a[..], &seed].concat()));
    }
    out.truncate(length);
    out
}

/// A record as it goes over the wire.
pub fn record(kind: u8, version: u16, payload: &[u8]) -> Vec<u8> {
    let mut bytes = vec![kind];
    bytes.extend(version.to_be_bytes());
    bytes.extend(u16::try_from(payload.len()).unwrap().to_be_bytes());
    bytes.extend(payload);
    bytes
}

/// The keys of one direction.
pub struct Seal {
    key: aead::LessSafeKey,
    iv: Vec<u8>,
    count: u64,
    /// Of TLS 1.3, where the next keys follow from it.
    secret: Option<Vec<u8>>,
}

impl Seal {
    pub fn of_secret(secret: Vec<u8>) -> Self {
        let mut seal = Self::of_key(&expand(&secret, "key", &[], 16), &[]);
        seal.iv = expand(&secret, "iv", &[], 12);
        seal.secret = Some(secret);
        seal
    }

    /// Of TLS 1.2.
    pub fn of_key(key: &[u8], salt: &[u8]) -> Self {
        let key = aead::UnboundKey::new(&aead::AES_128_GCM, key).unwrap();
        Self { key: aead::LessSafeKey::new(key), iv: salt.to_vec(), count: 0, secret: None }
    }

    /// The keys after a `KeyUpdate`.
    pub fn go_on(&mut self) {
        *self = Self::of_secret(expand(self.secret.as_ref().unwrap(), "traffic upd", &[], 32));
    }

    fn nonce(&self) -> [u8; 12] {
        let mut nonce = [0; 12];
        nonce[..self.iv.len()].copy_from_slice(&self.iv);
        for (byte, digit) in nonce[4..].iter_mut().zip(self.count.to_be_bytes()) {
            *byte ^= digit;
        }
        nonce
    }

    /// What is authenticated beside `length` plain bytes, or as many of a record of TLS 1.3.
    fn beside(&self, kind: u8, length: usize) -> Vec<u8> {
        let header = record(kind, 0x303, &[]);
        let length = u16::try_from(length).unwrap().to_be_bytes();
        match self.secret {
            Some(_) => [&header[..3], &length].concat(),
            None => [&self.count.to_be_bytes()[..], &header[..3], &length].concat(),
        }
    }

    /// A record of that kind; `zeros`: how many are put behind it, in TLS 1.3.
    pub fn close(&mut self, kind: u8, payload: &[u8], zeros: usize) -> Vec<u8> {
        let mut body = payload.to_vec();
        let mut front = Vec::new();
        let (outer, beside) = if self.secret.is_some() {
            body.push(kind);
            body.resize(body.len() + zeros, 0);
            (23, self.beside(23, body.len() + TAG))
        } else {
            front.extend(self.count.to_be_bytes());
            (kind, self.beside(kind, body.len()))
        };
        let nonce = aead::Nonce::assume_unique_for_key(self.nonce());
        self.key.seal_in_place_append_tag(nonce, aead::Aad::from(beside), &mut body).unwrap();
        self.count += 1;
        record(outer, 0x303, &[front, body].concat())
    }

    /// A record whose content, after the zeros, has no kind at all. TLS 1.3.
    pub fn close_of_no_kind(&mut self, zeros: usize) -> Vec<u8> {
        self.close(0, &[], zeros)
    }

    /// The kind and the content of a record.
    pub fn open(&mut self, bytes: &[u8]) -> (u8, Vec<u8>) {
        let (kind, body) = (bytes[0], &bytes[HEADER..]);
        let front = if self.secret.is_some() { 0 } else { 8 };
        let beside = match front {
            0 => self.beside(kind, body.len()),
            _ => self.beside(kind, body.len() - front - TAG),
        };
        let mut nonce = self.nonce();
        // In TLS 1.2 the sender chooses it.
        nonce[12 - front..].copy_from_slice(&body[..front]);
        let nonce = aead::Nonce::assume_unique_for_key(nonce);
        let mut body = body[front..].to_vec();
        let open = self.key.open_in_place(nonce, aead::Aad::from(beside), &mut body);
        let mut plain = open.unwrap().to_vec();
        self.count += 1;
        if front > 0 {
            return (kind, plain);
        }
        while plain.last() == Some(&0) {
            plain.pop();
        }
        let kind = plain.pop().unwrap();
        (kind, plain)
    }
}
