//! The first message of a client, looked at before it is known which configuration answers it.
//!
//! Not here: the choice (`names`), and the reading of the message, which is rustls': what is read
//! here and what the connection reads later is the same to the last byte. Invariant: a hello is read
//! once, when it is all there; while it comes in, each arrival costs its own length at most.

use rustls::server::Acceptor;

/// Where the search for the end of a hello has come.
#[derive(Debug, Default)]
pub(super) struct Hello {
    /// The begin of the first record that was not seen whole.
    at: usize,
    /// Bytes of the message in the records before.
    seen: usize,
    /// Its kind and length.
    head: [u8; HEAD],
}

/// The header of a record: kind, version, length.
const HEADER: usize = 5;
/// The header of a handshake message: kind, length.
const HEAD: usize = 4;
/// The longest message that rustls takes.
const LONGEST: usize = 0xffff;

impl Hello {
    /// The records of the hello from the front of what came, which must begin the same each time;
    /// none while they are not all there. What can't be a hello is given out at once.
    pub(super) fn whole<'a>(&mut self, came: &'a [u8]) -> Option<&'a [u8]> {
        loop {
            let rest = came.get(self.at..)?;
            let header = rest.get(..HEADER)?;
            let length = usize::from(u16::from_be_bytes([header[3], header[4]]));
            if header[0] != 22 || length == 0 {
                return Some(came);
            }
            let payload = rest.get(HEADER..HEADER + length)?;
            for (place, byte) in self.head.iter_mut().skip(self.seen).zip(payload) {
                *place = *byte;
            }
            self.seen += length;
            self.at += HEADER + length;
            if self.seen < HEAD {
                continue;
            }
            let [kind, high, middle, low] = self.head;
            let message = usize::from(high) << 16 | usize::from(middle) << 8 | usize::from(low);
            if kind != 1 || message > LONGEST || self.seen >= HEAD + message {
                return Some(&came[..self.at]);
            }
        }
    }
}

/// The name that a hello asks for. None if it asks for none, or is no hello that rustls takes.
pub(super) fn asked_name(mut records: &[u8]) -> Option<String> {
    let mut acceptor = Acceptor::default();
    loop {
        if acceptor.read_tls(&mut records).ok()? == 0 {
            return None;
        }
        if let Some(accepted) = acceptor.accept().ok()? {
            return accepted.client_hello().server_name().map(str::to_owned);
        }
    }
}
