//! Talks of a client that speaks TLS by hand with our server, each with the end that it must have:
//! the code for our side, the alert for the other, or none. After each the next client is served.
//!
//! Not here: hostile servers (`tls_hostile.rs`), and bytes by chance (`tls_fuzz.rs`). The subjects are
//! those of conformance suites for servers, of which the registries have none. Where the end is not
//! the alert that the RFCs name, a comment says which rule allows it.
#![allow(clippy::unwrap_used, missing_docs, unreachable_pub)]

mod tls_kit;

use evsock::error::Code::{TlsNoCommon, TlsProtocol, TlsVersion};
use tls_kit::player::{DATA, Hello, sized, words};
use tls_kit::talk::Talk;

// Alerts.
const UNEXPECTED: u8 = 10;
const BAD_MAC: u8 = 20;
const OVERFLOW: u8 = 22;
const FAILURE: u8 = 40;
const BAD_CERT: u8 = 42;
const ILLEGAL: u8 = 47;
const UNKNOWN_CA: u8 = 48;
const DECODE: u8 = 50;
const DECRYPT: u8 = 51;
const VERSION: u8 = 70;
const NO_RENEGOTIATION: u8 = 100;
const MISSING: u8 = 109;
const CERT_REQUIRED: u8 = 116;

const NEW: bool = true;
const OLD: bool = false;

/// Each line is a test: its name, the version, what the client does, and how it ends.
macro_rules! talks {
    ($($name:ident: $make:path, $is_new:expr, $play:expr => $ends:expr;)*) => {
        $(#[test]
        fn $name() {
            let mut talk = $make($is_new);
            let play: fn(&mut Talk) = $play;
            play(&mut talk);
            talk.pass();
            talk.check($ends);
        })*
    };
}

mod talks {
    pub mod hellos;
    pub mod later;
}

/// A handshake with that hello.
fn with(talk: &mut Talk, change: impl FnOnce(&mut Hello)) {
    talk.hello(change);
    if talk.end.failure.is_none() {
        talk.go_on();
    }
}

/// The body of a hello with changes of its bytes.
fn with_bytes(talk: &mut Talk, change: impl FnOnce(&mut Vec<u8>)) {
    let mut body = talk.player.hello().of_client();
    change(&mut body);
    talk.player.tell(1, &body);
}

fn raw(talk: &mut Talk, bytes: &[u8]) {
    talk.player.out.extend(bytes);
}

fn list(numbers: &[u16]) -> Vec<u8> {
    sized(2, &words(numbers))
}

fn share(group: u16, key: &[u8]) -> Vec<u8> {
    [words(&[group]), sized(2, key)].concat()
}

/// An offer of tickets that nobody has issued, each with a binder.
fn tickets(count: usize, binders: usize) -> Vec<u8> {
    let ticket = [sized(2, &[9; 32]), vec![0; 4]].concat();
    let each = sized(2, &ticket.repeat(count));
    [each, sized(2, &sized(1, &[5; 32]).repeat(binders))].concat()
}

/// Plays the same with each of `count` changes, which the end must refuse with that code.
#[track_caller]
fn each(count: usize, alerts: &[u8], play: impl Fn(&mut Talk, usize), is_new: bool) {
    for at in 0..count {
        let mut talk = Talk::with_server(is_new);
        play(&mut talk, at);
        talk.pass();
        let failure = talk.end.failure.clone().unwrap();
        assert_eq!(failure.code(), TlsProtocol, "{at}: {failure}");
        let alert = talk.player.last_alert().unwrap();
        assert!(alerts.contains(&alert), "{at}: {alert}");
        assert!(talk.end.plain.is_empty(), "{at}");
    }
}

#[test]
fn a_finished_with_any_bit_changed() {
    let play = |talk: &mut Talk, at: usize| {
        talk.hello(|_| ());
        if !talk.player.is_new {
            talk.player.client_key();
            talk.player.change();
        }
        let mut body = talk.player.finished();
        body[at / 8] ^= 1 << (at % 8);
        talk.player.tell(20, &body);
    };
    each(256, &[DECRYPT], play, NEW);
    each(96, &[DECRYPT], play, OLD);
}

#[test]
fn a_sealed_record_with_any_byte_changed() {
    let play = |talk: &mut Talk, at: usize| {
        talk.shake_hands();
        talk.player.say(DATA, b"sealed");
        talk.player.out[5 + at] ^= 0x40;
    };
    each(6 + 1 + 16, &[BAD_MAC], play, NEW);
    each(8 + 6 + 16, &[BAD_MAC], play, OLD);
}

#[test]
fn a_hello_cut_after_any_byte() {
    for is_new in [NEW, OLD] {
        let whole = Talk::with_server(is_new).player.hello().of_client().len();
        for length in 0..whole {
            let mut talk = Talk::with_server(is_new);
            with_bytes(&mut talk, |body| body.truncate(length));
            talk.pass();
            let code = talk.end.failure.clone().map(|failure| failure.code());
            // Without extensions it may have ended where they begin; then it lacks what we need.
            assert!(matches!(code, Some(TlsProtocol | TlsNoCommon)), "{length}: {code:?}");
            assert!(talk.player.last_alert().is_some(), "{length}");
        }
    }
}

#[test]
fn a_hello_with_any_byte_changed() {
    for is_new in [NEW, OLD] {
        let whole = Talk::with_server(is_new).player.hello().of_client().len();
        for at in 0..whole {
            for change in [1, 0x80, 0xff] {
                let mut talk = Talk::with_server(is_new);
                with_bytes(&mut talk, |body| body[at] ^= change);
                // Other keys may be agreed on than the player knows.
                talk.end.feed(&std::mem::take(&mut talk.player.out));
                let said = talk.end.take();
                let code = talk.end.failure.clone().map(|failure| failure.code());
                let is_told = matches!(code, Some(TlsProtocol | TlsNoCommon | TlsVersion));
                assert!(code.is_none() || is_told, "{at}: {:?}", talk.end.failure);
                // See `signatures_of_another_curve_alone_in_1_2`.
                let is_silent = !is_new && code == Some(TlsNoCommon);
                assert!(code.is_none() || is_silent || !said.is_empty(), "{at}: no alert");
            }
        }
    }
}
