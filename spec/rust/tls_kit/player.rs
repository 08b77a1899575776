//! A peer that speaks TLS by hand, in either role and both versions, and so says what no library
//! would: any message at any time, with the right keys if they are there.
//!
//! Not here: the arithmetic (`seal.rs`). It knows X25519, P-256 and AES-128-GCM alone. What it hears
//! it believes: nothing is verified but the seals of records.

use std::mem::take;

use ring::rand::{SecureRandom, SystemRandom};
use ring::{agreement, signature};

use super::End;
use super::seal::{HEADER, Seal, expand, hash, keyed, prf, record};

pub const CCS: u8 = 20;
pub const ALERT: u8 = 21;
pub const HANDSHAKE: u8 = 22;
pub const DATA: u8 = 23;
pub const HEARTBEAT: u8 = 24;

/// The random of a server hello that asks for another client hello (RFC 8446, 4.1.3).
const RETRY: &str = "cf21ad74e59a6111be1d8c021e65b891c2a211167abb8c5e079e09e2c8a8339c";

/// `bytes` with their length in so many bytes before them.
pub fn sized(size: usize, bytes: &[u8]) -> Vec<u8> {
    let length = bytes.len().to_be_bytes();
    [&length[length.len() - size..], bytes].concat()
}

pub fn message(kind: u8, body: &[u8]) -> Vec<u8> {
    [vec![kind], sized(3, body)].concat()
}

pub fn words(numbers: &[u16]) -> Vec<u8> {
    numbers.iter().flat_map(|number| number.to_be_bytes()).collect()
}

/// A hello of either role, in its parts.
#[derive(Clone, Debug)]
pub struct Hello {
    pub version: u16,
    pub random: Vec<u8>,
    pub session: Vec<u8>,
    /// A list, or the one that was chosen.
    pub suites: Vec<u8>,
    pub compressions: Vec<u8>,
    pub extensions: Vec<(u16, Vec<u8>)>,
}

fn retry_random() -> Vec<u8> {
    let digits = (0..RETRY.len()).step_by(2);
    digits.map(|at| u8::from_str_radix(&RETRY[at..at + 2], 16).unwrap()).collect()
}

pub mod ext {
    pub const NAME: u16 = 0;
    pub const GROUPS: u16 = 10;
    pub const POINTS: u16 = 11;
    pub const SIGNATURES: u16 = 13;
    pub const ALPN: u16 = 16;
    pub const MASTER: u16 = 23;
    pub const TICKET: u16 = 35;
    pub const PSK: u16 = 41;
    pub const EARLY: u16 = 42;
    pub const VERSIONS: u16 = 43;
    pub const COOKIE: u16 = 44;
    pub const MODES: u16 = 45;
    pub const SHARES: u16 = 51;
    pub const RENEGOTIATION: u16 = 0xff01;
}

impl Hello {
    /// Puts the extension in the place of the one of that kind, or behind all others.
    pub fn set(&mut self, kind: u16, body: &[u8]) {
        match self.extensions.iter_mut().find(|known| known.0 == kind) {
            Some(known) => known.1 = body.to_vec(),
            None => self.extensions.push((kind, body.to_vec())),
        }
    }

    pub fn without(&mut self, kind: u16) {
        self.extensions.retain(|known| known.0 != kind);
    }

    pub fn extensions(&self) -> Vec<u8> {
        extensions(&self.extensions)
    }

    fn front(&self) -> Vec<u8> {
        [&self.version.to_be_bytes()[..], &self.random, &sized(1, &self.session)].concat()
    }

    /// As a client says it.
    pub fn of_client(&self) -> Vec<u8> {
        let lists = [sized(2, &self.suites), sized(1, &self.compressions)].concat();
        [self.front(), lists, self.extensions()].concat()
    }

    /// As a server says it.
    pub fn of_server(&self) -> Vec<u8> {
        [self.front(), self.suites.clone(), self.compressions.clone(), self.extensions()].concat()
    }
}

pub fn extensions(list: &[(u16, Vec<u8>)]) -> Vec<u8> {
    let each = list.iter().map(|(kind, body)| [&words(&[*kind])[..], &sized(2, body)].concat());
    sized(2, &each.collect::<Vec<_>>().concat())
}

/// What was found in a hello of the peer.
struct Found {
    random: Vec<u8>,
    session: Vec<u8>,
    share: Option<Vec<u8>>,
    is_new: bool,
}

fn find(body: &[u8], of_client: bool) -> Found {
    let random = body[2..34].to_vec();
    let session = body[35..35 + usize::from(body[34])].to_vec();
    let mut at = 35 + session.len();
    let number = |at: usize| usize::from(u16::from_be_bytes([body[at], body[at + 1]]));
    if of_client {
        at += 2 + number(at);
        at += 1 + usize::from(body[at]);
    } else {
        at += 3;
    }
    let mut found = Found { random, session, share: None, is_new: false };
    at += 2;
    while at + 4 <= body.len() {
        let (kind, length) = (number(at), number(at + 2));
        let content = &body[at + 4..at + 4 + length];
        at += 4 + length;
        found.is_new |= kind == usize::from(ext::VERSIONS);
        if kind == usize::from(ext::SHARES) && length >= 36 {
            // X25519's is the one of 32 bytes.
            let share = content.windows(36).find(|part| part[..4] == [0, 0x1d, 0, 32]);
            found.share = share.map(|part| part[4..].to_vec());
        }
    }
    found
}

pub struct Player {
    is_client: bool,
    pub is_new: bool,
    /// All messages of the handshake so far.
    pub log: Vec<u8>,
    private: Option<agreement::EphemeralPrivateKey>,
    pub public: Vec<u8>,
    random: Vec<u8>,
    theirs: Vec<u8>,
    pub session: Vec<u8>,
    /// Of the client's direction and of the server's: those of the handshake, then of the application.
    traffic: [Vec<u8>; 2],
    /// The secret that all others of TLS 1.3 follow from; the master secret of 1.2.
    master: Vec<u8>,
    share: Vec<u8>,
    pub reading: Option<Seal>,
    pub writing: Option<Seal>,
    /// Those of 1.2, until the change of cipher.
    waiting: [Option<Seal>; 2],
    pub out: Vec<u8>,
    /// The most of a message that it puts in one record.
    pub largest: usize,
    cipher: Vec<u8>,
    joint: Vec<u8>,
    /// The records that came: kind and content.
    pub heard: Vec<(u8, Vec<u8>)>,
    /// The messages of the handshake that came.
    pub told: Vec<u8>,
}

impl Player {
    fn new(is_client: bool, is_new: bool) -> Self {
        let chance = SystemRandom::new();
        let private = agreement::EphemeralPrivateKey::generate(&agreement::X25519, &chance);
        let private = private.unwrap();
        let public = private.compute_public_key().unwrap().as_ref().to_vec();
        let mut random = vec![0; 32];
        chance.fill(&mut random).unwrap();
        let (log, theirs, session, master, share) = Default::default();
        let (out, cipher, joint, heard, told) = Default::default();
        Self {
            is_client,
            is_new,
            log,
            private: Some(private),
            public,
            random,
            theirs,
            session,
            traffic: Default::default(),
            master,
            share,
            reading: None,
            writing: None,
            waiting: [None, None],
            out,
            largest: 1 << 14,
            cipher,
            joint,
            heard,
            told,
        }
    }

    pub fn client(is_new: bool) -> Self {
        Self::new(true, is_new)
    }

    pub fn server(is_new: bool) -> Self {
        Self::new(false, is_new)
    }

    // What is said -----------------------------------------------------------------------------

    /// A record of that kind, sealed if there are keys.
    pub fn say(&mut self, kind: u8, payload: &[u8]) {
        let bytes = match &mut self.writing {
            Some(seal) => seal.close(kind, payload, 0),
            None => record(kind, 0x303, payload),
        };
        self.out.extend(bytes);
    }

    pub fn plainly(&mut self, kind: u8, payload: &[u8]) {
        self.out.extend(record(kind, 0x303, payload));
    }

    /// A message of the handshake, in records of `size` bytes at most.
    pub fn tell_in(&mut self, size: usize, kind: u8, body: &[u8]) {
        let message = message(kind, body);
        self.log.extend(&message);
        message.chunks(size).for_each(|piece| self.say(HANDSHAKE, piece));
    }

    pub fn tell(&mut self, kind: u8, body: &[u8]) {
        self.tell_in(self.largest, kind, body);
    }

    pub fn alert(&mut self, level: u8, alert: u8) {
        self.say(ALERT, &[level, alert]);
    }

    /// The hello that a server of ours takes; both versions if it may be the newer one.
    pub fn hello(&self) -> Hello {
        let mut hello = Hello {
            version: 0x303,
            random: self.random.clone(),
            session: vec![7; 32],
            suites: words(&[0x1301, 0xc02b]),
            compressions: vec![0],
            extensions: vec![
                (ext::NAME, sized(2, &[&[0], &sized(2, b"a.example")[..]].concat())),
                (ext::GROUPS, sized(2, &words(&[0x1d]))),
                (ext::POINTS, vec![1, 0]),
                (ext::SIGNATURES, sized(2, &words(&[0x403]))),
                (ext::MASTER, vec![]),
            ],
        };
        if self.is_new {
            hello.set(ext::VERSIONS, &sized(1, &words(&[0x304])));
            hello.set(ext::SHARES, &sized(2, &self.own_share()));
        } else {
            hello.set(ext::RENEGOTIATION, &[0]);
        }
        hello
    }

    pub fn own_share(&self) -> Vec<u8> {
        [&words(&[0x1d])[..], &sized(2, &self.public)].concat()
    }

    /// The hello that a client of ours takes.
    pub fn answer(&self) -> Hello {
        let mut hello = Hello { session: self.session.clone(), ..self.hello() };
        hello.suites = words(&[if self.is_new { 0x1301 } else { 0xc02b }]);
        hello.extensions.clear();
        if self.is_new {
            hello.set(ext::VERSIONS, &words(&[0x304]));
            hello.set(ext::SHARES, &self.own_share());
        } else {
            // One that is echoed would be resumed.
            hello.session.clear();
            hello.set(ext::RENEGOTIATION, &[0]);
            hello.set(ext::MASTER, &[]);
        }
        hello
    }

    /// Asks for another hello.
    pub fn retry(&self, group: u16) -> Hello {
        let mut hello = self.answer();
        hello.random = retry_random();
        hello.set(ext::SHARES, &words(&[group]));
        hello
    }

    /// The server hello, after which TLS 1.3 has keys.
    pub fn say_hello(&mut self) {
        let hello = self.answer().of_server();
        self.tell(2, &hello);
        if self.is_new {
            self.agree();
        }
    }

    pub fn certificate(&mut self, chain: &[Vec<u8>]) {
        let body = self.certificates(chain);
        self.tell(11, &body);
    }

    /// The body of the message.
    pub fn certificates(&self, chain: &[Vec<u8>]) -> Vec<u8> {
        let behind: &[u8] = if self.is_new { &[0, 0] } else { &[] };
        let each = chain.iter().map(|one| [&sized(3, one)[..], behind].concat());
        let list = sized(3, &each.collect::<Vec<_>>().concat());
        if self.is_new { [vec![0], list].concat() } else { list }
    }

    /// The signature of the handshake so far, in TLS 1.3.
    pub fn signed(&self, key: &signature::EcdsaKeyPair) -> Vec<u8> {
        let side = if self.is_client { "client" } else { "server" };
        let context = format!("TLS 1.3, {side} CertificateVerify\0");
        let text = [&[b' '; 64][..], context.as_bytes(), &hash(&self.log)].concat();
        let text = if self.is_new { text } else { self.log.clone() };
        Self::sign(key, &text)
    }

    fn sign(key: &signature::EcdsaKeyPair, text: &[u8]) -> Vec<u8> {
        let signature = key.sign(&SystemRandom::new(), text).unwrap();
        [words(&[0x403]), sized(2, signature.as_ref())].concat()
    }

    pub fn verify(&mut self, key: &signature::EcdsaKeyPair) {
        let body = self.signed(key);
        self.tell(15, &body);
    }

    /// The keys of a server of 1.2, signed.
    pub fn key_exchange(&self, key: &signature::EcdsaKeyPair) -> Vec<u8> {
        let share = [&[3, 0, 0x1d][..], &sized(1, &self.public)].concat();
        let signed = [&self.theirs[..], &self.random, &share].concat();
        [share, Self::sign(key, &signed)].concat()
    }

    /// The key of a client of 1.2, after which both have them all.
    pub fn client_key(&mut self) {
        let body = sized(1, &self.public.clone());
        self.tell(16, &body);
        self.agree_old();
    }

    /// Of 1.2: from here on with the new keys.
    pub fn change(&mut self) {
        self.say(CCS, &[1]);
        self.writing = self.waiting[usize::from(!self.is_client)].take();
    }

    /// What a finished message holds, of us.
    pub fn finished(&self) -> Vec<u8> {
        if self.is_new {
            let key = expand(&self.traffic[usize::from(!self.is_client)], "finished", &[], 32);
            return keyed(&key, &hash(&self.log));
        }
        let label = if self.is_client { "client finished" } else { "server finished" };
        prf(&self.master, label, &hash(&self.log), 12)
    }

    pub fn finish(&mut self) {
        let body = self.finished();
        self.tell(20, &body);
        if self.is_new && self.is_client {
            self.writing = Some(Seal::of_secret(take(&mut self.share)));
        } else if self.is_new {
            self.reach_application();
        }
    }

    /// From here on with other keys, in 1.3.
    pub fn update(&mut self, asks: u8) {
        self.say(HANDSHAKE, &message(24, &[asks]));
        self.writing.as_mut().unwrap().go_on();
    }

    // What follows of it -------------------------------------------------------------------------

    fn shared(&mut self) -> Vec<u8> {
        let peer = agreement::UnparsedPublicKey::new(&agreement::X25519, take(&mut self.share));
        let private = self.private.take().unwrap();
        agreement::agree_ephemeral(private, &peer, <[u8]>::to_vec).unwrap()
    }

    /// The keys of the handshake, in 1.3.
    pub fn agree(&mut self) {
        let early = keyed(&[0; 32], &[0; 32]);
        let secret = keyed(&expand(&early, "derived", &hash(&[]), 32), &self.shared());
        self.traffic = self.directions(&secret, "c hs traffic", "s hs traffic");
        self.master = keyed(&expand(&secret, "derived", &hash(&[]), 32), &[0; 32]);
        let [own, other] = self.own_first();
        self.writing = Some(Seal::of_secret(own));
        self.reading = Some(Seal::of_secret(other));
    }

    fn directions(&self, secret: &[u8], client: &str, server: &str) -> [Vec<u8>; 2] {
        [client, server].map(|label| expand(secret, label, &hash(&self.log), 32))
    }

    fn own_first(&self) -> [Vec<u8>; 2] {
        let [client, server] = self.traffic.clone();
        if self.is_client { [client, server] } else { [server, client] }
    }

    /// The server has finished: what it says next is of the application, what the client does is not
    /// before it has finished, too. Its next secret waits in `share`.
    fn reach_application(&mut self) {
        let [client, server] = self.directions(&self.master, "c ap traffic", "s ap traffic");
        self.share = client;
        let seal = Some(Seal::of_secret(server));
        if self.is_client {
            self.reading = seal;
        } else {
            self.writing = seal;
        }
    }

    /// The keys of 1.2, which wait for the change of cipher.
    fn agree_old(&mut self) {
        let secret = self.shared();
        self.master = prf(&secret, "extended master secret", &hash(&self.log), 48);
        let [client, server] = if self.is_client {
            [&self.random, &self.theirs]
        } else {
            [&self.theirs, &self.random]
        };
        let seed = [&server[..], client].concat();
        let block = prf(&self.master, "key expansion", &seed, 40);
        self.waiting = [
            Some(Seal::of_key(&block[..16], &block[32..36])),
            Some(Seal::of_key(&block[16..32], &block[36..])),
        ];
    }

    // What is heard ------------------------------------------------------------------------------

    pub fn hear(&mut self, bytes: &[u8]) {
        self.cipher.extend(bytes);
        while self.cipher.len() >= HEADER {
            let length = HEADER + usize::from(u16::from_be_bytes([self.cipher[3], self.cipher[4]]));
            if self.cipher.len() < length {
                break;
            }
            let bytes: Vec<u8> = self.cipher.drain(..length).collect();
            let is_plain = bytes[0] == CCS || (self.is_new && bytes[0] != DATA);
            let (kind, payload) = match &mut self.reading {
                Some(seal) if !is_plain => seal.open(&bytes),
                _ => (bytes[0], bytes[HEADER..].to_vec()),
            };
            self.heard.push((kind, payload.clone()));
            match kind {
                CCS if !self.is_new => {
                    self.reading = self.waiting[usize::from(self.is_client)].take();
                }
                HANDSHAKE => self.hear_messages(&payload),
                _ => {}
            }
        }
    }

    fn hear_messages(&mut self, payload: &[u8]) {
        self.joint.extend(payload);
        while self.joint.len() >= 4 {
            let length = 4 + usize::from(u16::from_be_bytes([self.joint[2], self.joint[3]]));
            if self.joint.len() < length {
                break;
            }
            let message: Vec<u8> = self.joint.drain(..length).collect();
            self.hear_message(&message);
        }
    }

    fn hear_message(&mut self, message: &[u8]) {
        let (kind, body) = (message[0], &message[4..]);
        self.told.push(kind);
        match kind {
            // Tickets of 1.3, requests to begin anew and new keys are no part of the handshake.
            4 if self.is_new => return,
            0 => return,
            24 => return self.reading.as_mut().unwrap().go_on(),
            _ => {}
        }
        if kind == 20 && self.is_new && !self.is_client {
            self.reading = Some(Seal::of_secret(take(&mut self.share)));
        }
        let is_retry = kind == 2 && body[2..34] == retry_random();
        if is_retry {
            self.forget_first();
        }
        self.log.extend(message);
        match kind {
            1 | 2 => {
                let found = find(body, kind == 1);
                self.theirs = found.random;
                if kind == 1 {
                    self.session = found.session;
                } else {
                    self.is_new = found.is_new;
                }
                self.share = found.share.unwrap_or_default();
                if kind == 2 && self.is_new && !is_retry {
                    self.agree();
                }
            }
            12 => self.share = body[4..4 + usize::from(body[3])].to_vec(),
            16 => {
                self.share = body[1..].to_vec();
                self.agree_old();
            }
            20 if self.is_new && self.is_client => self.reach_application(),
            _ => {}
        }
    }

    /// In place of the first hello: its digest (RFC 8446, 4.4.1).
    fn forget_first(&mut self) {
        self.log = message(254, &hash(&self.log));
    }

    /// Asks for a share of another group.
    pub fn say_retry(&mut self, group: u16) {
        self.forget_first();
        let body = self.retry(group).of_server();
        self.tell(2, &body);
    }

    /// The alert that came last.
    pub fn last_alert(&self) -> Option<u8> {
        let alert = self.heard.iter().rev().find(|(kind, _)| *kind == ALERT);
        alert.map(|(_, payload)| payload[1])
    }

    /// All of the application that came.
    pub fn data(&self) -> Vec<u8> {
        let data = self.heard.iter().filter(|(kind, _)| *kind == DATA);
        data.flat_map(|(_, payload)| payload.clone()).collect()
    }

    /// Carries everything over until nobody has anything left to say.
    pub fn join(&mut self, end: &mut End) {
        loop {
            let (own, other) = (take(&mut self.out), end.take());
            if own.is_empty() && other.is_empty() {
                return;
            }
            end.feed(&own);
            self.hear(&other);
        }
    }
}
