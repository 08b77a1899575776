//! Arbitrary bytes for whole sessions and for PEM: whatever comes, nothing panics and no payload
//! gets through.
//!
//! Not here: what exactly is refused and why. The generator has a fixed seed, so that what fails
//! once fails again. Each target runs [`RUNS`] times, or until [`TIME`] is over.
#![allow(clippy::unwrap_used)]

mod tls_kit;

use std::sync::Arc;
use std::time::{Duration, Instant};

use evsock::limits::TLS_WAITING;
use evsock::tls::{ClientAuth, Config, Session, Settings};

use tls_kit::raw::{BOTH, Raw, certified};
use tls_kit::{Ca, End, Identity, Pair, client_of, pem, server_of, with_identity};

const HOST: &str = "a.example";
const RUNS: u32 = 50_000;
const TIME: Duration = Duration::from_secs(18);

/// xorshift64*: numbers that look random and are the same every time.
struct Dice(u64);

impl Dice {
    fn roll(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 16
    }

    fn below(&mut self, bound: usize) -> usize {
        usize::try_from(self.roll() % u64::try_from(bound.max(1)).unwrap()).unwrap()
    }

    fn byte(&mut self) -> u8 {
        self.roll().to_le_bytes()[0]
    }

    /// A few changes such as attackers and bad lines make.
    fn mutate(&mut self, bytes: &mut Vec<u8>) {
        for _ in 0..=self.below(4) {
            let at = self.below(bytes.len());
            let end = (at + 1 + self.below(40)).min(bytes.len());
            match self.below(7) {
                _ if bytes.is_empty() => bytes.push(self.byte()),
                0 => bytes[at] ^= 1 << self.below(8),
                1 => bytes[at] = self.byte(),
                2 => bytes.truncate(at),
                3 => drop(bytes.drain(at..end)),
                4 => {
                    let copy = bytes[at..end].to_vec();
                    bytes.splice(at..at, copy);
                }
                5 => {
                    let value = self.byte();
                    bytes[at..end].fill(value);
                }
                _ => {
                    let new: Vec<u8> = (0..self.below(40)).map(|_| self.byte()).collect();
                    bytes.splice(at..at, new);
                }
            }
        }
    }

    /// Bytes of no sense at all, some with the header of a record.
    fn noise(&mut self) -> Vec<u8> {
        let mut bytes: Vec<u8> = (0..self.below(300)).map(|_| self.byte()).collect();
        if self.below(4) != 0 {
            let length = u16::try_from(bytes.len()).unwrap().to_be_bytes();
            let kind = 0x14 + u8::try_from(self.below(4)).unwrap();
            bytes.splice(0..0, [kind, 3, 3, length[0], length[1]]);
        }
        bytes
    }
}

fn repeat(mut run: impl FnMut(&mut Dice)) {
    let mut dice = Dice(0x9e37_79b9_7f4a_7c15);
    let begin = Instant::now();
    let mut runs = 0;
    while runs < RUNS && begin.elapsed() < TIME {
        run(&mut dice);
        runs += 1;
    }
    eprintln!("{runs} runs");
    assert!(runs > 500, "only {runs} runs");
}

/// Feeds `bytes` in pieces and checks what must always hold.
fn feed(dice: &mut Dice, end: &mut End, bytes: &[u8]) {
    let size = 1 + dice.below(bytes.len() * 2);
    for piece in bytes.chunks(size) {
        end.feed(piece);
        assert!(end.cipher.len() <= TLS_WAITING + piece.len());
        if dice.below(8) == 0 {
            let done = end.session.encrypt(&[b"x"], &mut end.out);
            assert!(done.is_err() || end.session.is_secured());
        }
    }
    assert!(end.plain.is_empty() || end.plain == SAID, "{:?}", end.plain);
    drop(end.session.facts());
    drop(end.session.cut());
    end.session.close(&mut end.out);
}

const SAID: &[u8] = b"said in confidence";

fn settings() -> (Settings, Settings, Identity) {
    let ca = Ca::new("root");
    let leaf = ca.leaf(&[HOST]);
    let server = Settings {
        ca: Some(pem("ca", &ca.pem)),
        client_auth: ClientAuth::Request,
        ..server_of(&leaf)
    };
    (with_identity(client_of(&ca), &leaf), server, leaf)
}

#[test]
fn tls_client() {
    let (client, _, leaf) = settings();
    let client = Config::client(&client).unwrap();
    let servers = BOTH.map(|version| Raw::server_config(version, certified(&leaf)));
    repeat(|dice| {
        let mut end = End::new(Session::client(&client, HOST).unwrap());
        end.session.start(&mut end.out).unwrap();
        let hello = end.take();
        let bytes = if dice.below(3) == 0 {
            dice.noise()
        } else {
            let mut server = Raw::of_server(&servers[dice.below(2)]);
            server.say(SAID);
            server.feed(&hello);
            let mut answer = server.take();
            if dice.below(4) == 0 {
                // Through the handshake, then the rest with changes.
                feed_whole(&mut end, &answer);
                server.feed(&end.take());
                answer = server.take();
            }
            dice.mutate(&mut answer);
            answer
        };
        feed(dice, &mut end, &bytes);
    });
}

fn feed_whole(end: &mut End, bytes: &[u8]) {
    end.feed(bytes);
    assert_eq!(end.failure, None);
}

#[test]
fn tls_server() {
    let (client, server, _) = settings();
    let (client, server) = (Config::client(&client).unwrap(), Config::server(&server).unwrap());
    // One that looks at the name first takes and refuses the same.
    let named = server.with_servers(&[(HOST.to_owned(), Arc::clone(&server))]).unwrap();
    let servers = [server, named];
    // One flight is as good as another: a server that is asked again answers anew.
    let hello = Pair::of(&client, &servers[0], HOST).client.take();
    repeat(|dice| {
        let server = &servers[dice.below(2)];
        let mut end = End::new(Session::server(server).unwrap());
        let mut bytes = match dice.below(4) {
            0 => dice.noise(),
            1 => second_flight(&client, server, &mut end),
            _ => hello.clone(),
        };
        dice.mutate(&mut bytes);
        feed(dice, &mut end, &bytes);
    });
}

/// What a client says after its hello, to `end`, which is given the hello.
fn second_flight(client: &Arc<Config>, server: &Arc<Config>, end: &mut End) -> Vec<u8> {
    let mut pair = Pair::of(client, server, HOST);
    std::mem::swap(&mut pair.server, end);
    let hello = pair.client.take();
    feed_whole(&mut pair.server, &hello);
    let answer = pair.server.take();
    feed_whole(&mut pair.client, &answer);
    pair.client.session.encrypt(&[SAID], &mut pair.client.out).unwrap();
    std::mem::swap(&mut pair.server, end);
    pair.client.take()
}

#[test]
fn pem_text() {
    let (_, _, leaf) = settings();
    let texts = [leaf.chain.as_bytes(), leaf.key.as_bytes(), include_bytes!("tls_kit/rsa.pem")];
    repeat(|dice| {
        let mut taken = || {
            let mut bytes = texts[dice.below(texts.len())].to_vec();
            match dice.below(4) {
                0 => bytes = dice.noise(),
                1 => {}
                2 => {
                    bytes.retain(|byte| *byte != b'\n');
                    dice.mutate(&mut bytes);
                }
                _ => dice.mutate(&mut bytes),
            }
            Some(evsock::tls::Pem { source: "fuzz".to_owned(), text: bytes })
        };
        let settings = Settings { ca: taken(), cert: taken(), key: taken(), ..Settings::default() };
        for result in [Config::client(&settings), Config::server(&settings)] {
            if let Err(reason) = result {
                assert!(reason.starts_with("fuzz: ") && reason.len() < 160, "{reason}");
            }
        }
    });
}
