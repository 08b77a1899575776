//! Servers that speak TLS by hand and mean our client no good, each with the end that the talk must
//! have. After each the client's settings still meet an honest server.
//!
//! Not here: what a script sees of it (`../tls_hostile_spec.lua`), certificates that are not to be
//! believed (`tls_verify.rs`), bytes by chance (`tls_fuzz.rs`).
#![allow(clippy::unwrap_used, missing_docs)]

mod tls_kit;

use evsock::error::Code::{
    TlsAlert, TlsAlpn, TlsBadCertificate, TlsBadSignature, TlsNoCommon, TlsNotTls, TlsProtocol,
    TlsTruncated, TlsUnknownIssuer, TlsVersion,
};
use evsock::limits::TLS_WAITING;
use tls_kit::player::{ALERT, CCS, DATA, HANDSHAKE, HEARTBEAT, Hello, ext, message, sized, words};
use tls_kit::seal::record;
use tls_kit::talk::Ends::{Coded, On, Silently, With};
use tls_kit::talk::Talk;
use tls_kit::{Ca, any_key, ca_params};

// Alerts.
const UNEXPECTED: u8 = 10;
const BAD_MAC: u8 = 20;
const ILLEGAL: u8 = 47;
const DECODE: u8 = 50;
const DECRYPT: u8 = 51;
const UNSUPPORTED: u8 = 110;

const NEW: bool = true;
const OLD: bool = false;

/// Each line is a test: its name, the version, what the server does, and how it ends.
macro_rules! servers {
    ($($name:ident: $is_new:expr, $play:expr => $ends:expr;)*) => {
        $(#[test]
        fn $name() {
            let mut talk = Talk::with_client($is_new);
            let play: fn(&mut Talk) = $play;
            play(&mut talk);
            talk.pass();
            talk.check($ends);
        })*
    };
}

/// A server hello with changes; the keys follow from it if they can.
fn hello(talk: &mut Talk, change: impl FnOnce(&mut Hello)) {
    let mut hello = talk.player.answer();
    change(&mut hello);
    talk.player.tell(2, &hello.of_server());
}

/// The same with the rest of an honest handshake behind it.
fn whole(talk: &mut Talk, change: impl FnOnce(&mut Hello)) {
    hello(talk, change);
    if talk.player.is_new {
        talk.player.agree();
    }
    talk.pass();
    if talk.end.failure.is_none() {
        talk.serve(2..=if talk.player.is_new { 5 } else { 6 });
    }
}

servers! {
    an_honest_server_of_1_3: NEW, |talk| talk.serve_all() => On;
    an_honest_server_of_1_2: OLD, |talk| talk.serve_all() => On;

    // Hellos -----------------------------------------------------------------------------------
    a_suite_that_was_not_offered: NEW, |talk| hello(talk, |hello| hello.suites = words(&[0x1305]))
        => Coded(TlsProtocol);
    a_suite_of_cbc: OLD, |talk| hello(talk, |hello| hello.suites = words(&[0xc009]))
        => Coded(TlsProtocol);
    a_suite_of_the_other_version: NEW, |talk| hello(talk, |hello| hello.suites = words(&[0xc02b]))
        => Coded(TlsProtocol);
    a_suite_of_1_3_in_1_2: OLD, |talk| hello(talk, |hello| hello.suites = words(&[0x1301]))
        => Coded(TlsProtocol);
    compression: NEW, |talk| hello(talk, |hello| hello.compressions = vec![1])
        => With(TlsProtocol, ILLEGAL);
    compression_in_1_2: OLD, |talk| hello(talk, |hello| hello.compressions = vec![1])
        => With(TlsProtocol, ILLEGAL);
    version_1_0: OLD, |talk| hello(talk, |hello| hello.version = 0x301) => Coded(TlsVersion);
    version_1_1: OLD, |talk| hello(talk, |hello| hello.version = 0x302) => Coded(TlsVersion);
    version_9: OLD, |talk| hello(talk, |hello| hello.version = 0x309) => Coded(TlsVersion);
    version_1_2_where_1_3_is_said: NEW,
        |talk| hello(talk, |hello| hello.set(ext::VERSIONS, &words(&[0x303])))
        => With(TlsProtocol, ILLEGAL);
    a_draft_of_1_3: NEW, |talk| hello(talk, |hello| hello.set(ext::VERSIONS, &words(&[0x7f1c])))
        => Coded(TlsVersion);
    // RFC 8446, 4.1.3 wants illegal_parameter; rustls looks at it in a retry alone. Finished binds it.
    another_session: NEW, |talk| whole(talk, |hello| hello.session = vec![1; 32]) => On;
    our_session_in_1_2: OLD, |talk| {
        let session = talk.player.session.clone();
        hello(talk, |hello| hello.session = session);
    } => Coded(TlsProtocol);
    a_session_of_40_bytes: OLD, |talk| hello(talk, |hello| hello.session = vec![1; 40])
        => With(TlsProtocol, DECODE);
    a_byte_too_many: NEW, |talk| {
        let body = [talk.player.answer().of_server(), vec![0]].concat();
        talk.player.tell(2, &body);
    } => With(TlsProtocol, DECODE);
    a_hello_of_nothing: NEW, |talk| talk.player.tell(2, &[]) => With(TlsProtocol, DECODE);
    an_extension_that_was_not_asked_for: OLD,
        |talk| hello(talk, |hello| hello.set(0x7777, b"what")) => With(TlsProtocol, UNSUPPORTED);
    an_extension_that_was_not_asked_for_in_1_3: NEW,
        |talk| hello(talk, |hello| hello.set(0x7777, b"what")) => With(TlsProtocol, UNSUPPORTED);
    an_extension_twice: OLD, |talk| {
        hello(talk, |hello| hello.extensions.push((ext::MASTER, vec![])));
    } => Coded(TlsProtocol);
    a_protocol_that_was_not_offered: OLD,
        |talk| hello(talk, |hello| hello.set(ext::ALPN, &sized(2, &sized(1, b"h2"))))
        => Coded(TlsProtocol);
    a_renegotiation_at_the_begin: OLD,
        |talk| whole(talk, |hello| hello.set(ext::RENEGOTIATION, &sized(1, &[1; 24])))
        => On;
    no_share: NEW, |talk| hello(talk, |hello| hello.without(ext::SHARES)) => Coded(TlsProtocol);
    a_share_of_another_group: NEW, |talk| {
        let share = [words(&[0x17]), sized(2, &[4; 65])].concat();
        hello(talk, |hello| hello.set(ext::SHARES, &share));
    } => With(TlsProtocol, ILLEGAL);
    a_share_of_zeros: NEW, |talk| {
        let share = [words(&[0x1d]), sized(2, &[0; 32])].concat();
        hello(talk, |hello| hello.set(ext::SHARES, &share));
    } => With(TlsProtocol, ILLEGAL);
    a_share_of_31_bytes: NEW, |talk| {
        let share = [words(&[0x1d]), sized(2, &[1; 31])].concat();
        hello(talk, |hello| hello.set(ext::SHARES, &share));
    } => With(TlsProtocol, ILLEGAL);
    a_ticket_that_was_not_offered: NEW, |talk| hello(talk, |hello| hello.set(ext::PSK, &[0, 0]))
        => With(TlsProtocol, UNSUPPORTED);
    a_talk_down_to_1_2: OLD, |talk| {
        hello(talk, |hello| hello.random[24..].copy_from_slice(b"DOWNGRD\x01"));
    } => With(TlsVersion, ILLEGAL);
    two_hellos: NEW, |talk| {
        let body = talk.player.answer().of_server();
        talk.serve(1..=1);
        talk.player.say(HANDSHAKE, &message(2, &body));
    } => With(TlsProtocol, UNEXPECTED);
    two_hellos_in_1_2: OLD, |talk| {
        talk.serve(1..=1);
        talk.player.say_hello();
    } => With(TlsProtocol, UNEXPECTED);
    a_hello_with_more_in_its_record: NEW, |talk| {
        let body = talk.player.answer().of_server();
        let both = [message(2, &body), message(8, &[0, 0])].concat();
        talk.player.say(HANDSHAKE, &both);
    } => With(TlsProtocol, UNEXPECTED);

    // Asking for another hello -----------------------------------------------------------------
    another_group_is_asked_for: NEW, |talk| {
        talk.player.say_retry(0x17);
        talk.pass();
        assert_eq!(talk.player.told, [1, 1]);
        hello(talk, |_| ());
    } => With(TlsProtocol, ILLEGAL);
    the_same_group_is_asked_for: NEW, |talk| talk.player.say_retry(0x1d)
        => With(TlsProtocol, ILLEGAL);
    an_unknown_group_is_asked_for: NEW, |talk| talk.player.say_retry(0x9999)
        => With(TlsProtocol, ILLEGAL);
    a_group_is_asked_for_twice: NEW, |talk| {
        talk.player.say_retry(0x17);
        talk.pass();
        talk.player.say_retry(0x18);
    } => With(TlsProtocol, UNEXPECTED);
    nothing_is_asked_for: NEW, |talk| {
        let mut retry = talk.player.retry(0x17);
        retry.without(ext::SHARES);
        talk.player.tell(2, &retry.of_server());
    } => With(TlsProtocol, ILLEGAL);
    another_session_with_a_retry: NEW, |talk| {
        let mut retry = talk.player.retry(0x17);
        retry.session = vec![1; 32];
        talk.player.tell(2, &retry.of_server());
    } => With(TlsProtocol, ILLEGAL);
    a_cookie_of_nothing: NEW, |talk| {
        let mut retry = talk.player.retry(0x17);
        retry.set(ext::COOKIE, &sized(2, &[]));
        talk.player.tell(2, &retry.of_server());
    } => Coded(TlsProtocol);

    // What follows the hello -------------------------------------------------------------------
    extensions_of_nothing: NEW, |talk| {
        talk.serve(1..=1);
        talk.player.tell(8, &[]);
    } => With(TlsProtocol, DECODE);
    a_protocol_that_was_not_offered_in_1_3: NEW, |talk| {
        talk.serve(1..=1);
        let list = tls_kit::player::extensions(&[(ext::ALPN, sized(2, &sized(1, b"h2")))]);
        talk.player.tell(8, &list);
    } => With(TlsProtocol, UNSUPPORTED);
    extensions_that_belong_elsewhere: NEW, |talk| {
        talk.serve(1..=1);
        let list = tls_kit::player::extensions(&[(ext::SHARES, vec![0; 36])]);
        talk.player.tell(8, &list);
    } => Coded(TlsProtocol);
    early_data_are_taken_that_were_not_offered: NEW, |talk| {
        talk.serve(1..=1);
        let list = tls_kit::player::extensions(&[(ext::EARLY, vec![])]);
        talk.player.tell(8, &list);
    } => Coded(TlsProtocol);
    extensions_without_encryption: NEW, |talk| {
        talk.serve(1..=1);
        talk.player.plainly(HANDSHAKE, &message(8, &[0, 0]));
    } => With(TlsProtocol, BAD_MAC);
    no_certificate: NEW, |talk| {
        talk.serve(1..=2);
        talk.player.certificate(&[]);
        talk.serve(4..=5);
    } => Coded(TlsProtocol);
    no_certificate_in_1_2: OLD, |talk| {
        talk.serve(1..=1);
        talk.player.certificate(&[]);
        talk.serve(3..=4);
    } => Coded(TlsProtocol);
    a_certificate_of_no_bytes: NEW, |talk| {
        talk.serve(1..=2);
        talk.player.certificate(&[vec![]]);
        talk.serve(4..=4);
    } => Coded(TlsBadCertificate);
    a_certificate_with_a_context: NEW, |talk| {
        talk.serve(1..=2);
        let list = talk.player.certificates(&talk.chain);
        talk.player.tell(11, &[&[1, 0x77], &list[1..]].concat());
    } => Coded(TlsProtocol);
    a_list_of_certificates_longer_than_its_message: NEW, |talk| {
        talk.serve(1..=2);
        let mut list = talk.player.certificates(&talk.chain);
        list[1] = 0xff;
        talk.player.tell(11, &list);
    } => With(TlsProtocol, DECODE);
    a_list_of_certificates_shorter_than_its_message: OLD, |talk| {
        talk.serve(1..=1);
        let mut list = talk.player.certificates(&talk.chain);
        list[2] -= 1;
        talk.player.tell(11, &list);
    } => With(TlsProtocol, DECODE);
    a_certificate_longer_than_its_list: OLD, |talk| {
        talk.serve(1..=1);
        let mut list = talk.player.certificates(&talk.chain);
        list[3] = 0xff;
        talk.player.tell(11, &list);
    } => With(TlsProtocol, DECODE);
    a_message_of_16_mib: OLD, |talk| {
        talk.serve(1..=1);
        talk.player.say(HANDSHAKE, &[11, 0xff, 0xff, 0xff, 0xff]);
    } => Silently(TlsProtocol);
    a_certificate_message_of_1_mib: NEW, |talk| {
        talk.serve(1..=2);
        talk.player.certificate(&vec![vec![0x30; 1 << 15]; 32]);
    } => Silently(TlsProtocol);
    the_certificate_a_hundred_times: NEW, |talk| {
        talk.serve(1..=2);
        talk.player.certificate(&vec![talk.chain[0].clone(); 100]);
        talk.serve(4..=5);
    } => On;
    the_certificate_a_hundred_times_in_1_2: OLD, |talk| {
        talk.serve(1..=1);
        talk.player.certificate(&vec![talk.chain[0].clone(); 100]);
        talk.serve(3..=6);
    } => On;
    ten_thousand_certificates_of_a_byte: NEW, |talk| {
        talk.serve(1..=2);
        let mut chain = vec![vec![0x30]; 10_000];
        chain[0].clone_from(&talk.chain[0]);
        talk.player.certificate(&chain);
        talk.serve(4..=5);
    } => On;
    a_certificate_in_records_of_one_byte: NEW, |talk| {
        talk.serve(1..=2);
        let list = talk.player.certificates(&talk.chain);
        talk.player.tell_in(1, 11, &list);
        talk.serve(4..=5);
    } => On;
    garbage_for_a_certificate: NEW, |talk| {
        talk.serve(1..=2);
        talk.player.certificate(&[b"garbage".to_vec()]);
        talk.serve(4..=4);
    } => Coded(TlsBadCertificate);
    a_proof_of_something_else: NEW, |talk| {
        talk.serve(1..=2);
        let early = talk.player.signed(&talk.key);
        talk.serve(3..=3);
        talk.player.tell(15, &early);
    } => With(TlsBadSignature, DECRYPT);
    a_proof_of_a_stranger: NEW, |talk| {
        let other = Talk::with_client(NEW);
        talk.serve(1..=3);
        talk.player.verify(&other.key);
    } => With(TlsBadSignature, DECRYPT);
    a_proof_of_a_kind_that_was_not_offered: NEW, |talk| {
        talk.serve(1..=3);
        let mut body = talk.player.signed(&talk.key);
        body[..2].copy_from_slice(&[2, 3]);
        talk.player.tell(15, &body);
    } => Coded(TlsProtocol);
    no_proof: NEW, |talk| {
        talk.serve(1..=3);
        talk.serve(5..=5);
    } => With(TlsProtocol, UNEXPECTED);
    no_certificate_message: NEW, |talk| {
        talk.serve(1..=2);
        talk.serve(5..=5);
    } => With(TlsProtocol, UNEXPECTED);
    a_finished_of_another_handshake: NEW, |talk| {
        talk.serve(1..=4);
        talk.player.tell(20, &[0x55; 32]);
    } => With(TlsProtocol, DECRYPT);
    a_finished_of_nothing: NEW, |talk| {
        talk.serve(1..=4);
        talk.player.tell(20, &[]);
    } => With(TlsProtocol, DECRYPT);
    a_finished_of_another_handshake_in_1_2: OLD, |talk| {
        talk.serve(1..=5);
        talk.player.tell(20, &[0x55; 12]);
    } => With(TlsProtocol, DECRYPT);
    a_key_that_a_stranger_signed: OLD, |talk| {
        let other = Talk::with_client(OLD);
        talk.serve(1..=2);
        let body = talk.player.key_exchange(&other.key);
        talk.player.tell(12, &body);
        talk.serve(4..=4);
    } => With(TlsBadSignature, DECRYPT);
    a_key_of_another_kind: OLD, |talk| {
        talk.serve(1..=2);
        let mut body = talk.player.key_exchange(&talk.key);
        body[2] = 0x17;
        talk.player.tell(12, &body);
        talk.serve(4..=4);
    } => Coded(TlsBadSignature);
    a_key_of_nothing: OLD, |talk| {
        talk.serve(1..=2);
        talk.player.tell(12, &[]);
    } => Coded(TlsProtocol);
    no_key: OLD, |talk| {
        talk.serve(1..=2);
        talk.player.tell(14, &[]);
    } => With(TlsProtocol, UNEXPECTED);
    an_end_of_the_hello_with_a_body: OLD, |talk| {
        talk.serve(1..=3);
        talk.player.tell(14, &[0]);
    } => With(TlsProtocol, DECODE);
    a_change_of_keys_too_early: OLD, |talk| {
        talk.serve(1..=3);
        talk.player.say(CCS, &[1]);
    } => With(TlsProtocol, UNEXPECTED);

    // Certificates are asked for ---------------------------------------------------------------
    a_request_of_no_kinds: NEW, |talk| {
        talk.serve(1..=2);
        talk.player.tell(13, &[0, 0, 0]);
    } => Coded(TlsNoCommon);
    a_request_with_a_context_of_255_bytes: NEW, |talk| {
        let kinds = tls_kit::player::extensions(&[(ext::SIGNATURES, sized(2, &words(&[0x403])))]);
        talk.serve(1..=2);
        talk.player.tell(13, &[sized(1, &[1; 255]), kinds].concat());
    } => Coded(TlsProtocol);
    a_request_behind_the_handshake: NEW, |talk| {
        let kinds = tls_kit::player::extensions(&[(ext::SIGNATURES, sized(2, &words(&[0x403])))]);
        talk.serve_all();
        talk.player.say(HANDSHAKE, &message(13, &[sized(1, &[1]), kinds].concat()));
    } => With(TlsProtocol, UNEXPECTED);
    a_request_behind_the_handshake_of_1_2: OLD, |talk| {
        talk.serve_all();
        talk.player.say(HANDSHAKE, &message(13, &[1, 64, 0, 2, 4, 3, 0, 0]));
    } => With(TlsProtocol, UNEXPECTED);

    // Records ----------------------------------------------------------------------------------
    data_before_the_end_of_the_handshake: NEW, |talk| {
        talk.serve(1..=4);
        talk.player.say(DATA, b"unverified");
    } => With(TlsProtocol, UNEXPECTED);
    data_with_the_keys_of_later: NEW, |talk| {
        talk.serve(1..=4);
        talk.player.writing = Some(tls_kit::seal::Seal::of_secret(vec![1; 32]));
        talk.player.say(DATA, b"unverified");
    } => With(TlsProtocol, BAD_MAC);
    data_before_the_end_of_the_handshake_of_1_2: OLD, |talk| {
        talk.serve(1..=5);
        talk.player.say(DATA, b"unverified");
    } => With(TlsProtocol, UNEXPECTED);
    a_heartbeat: NEW, |talk| {
        talk.serve_all();
        talk.player.say(HEARTBEAT, &[1, 0x40, 0]);
    } => Coded(TlsProtocol);
    a_flood_of_dummy_changes_of_keys: NEW, |talk| {
        talk.serve(1..=1);
        (0..1000).for_each(|_| talk.player.plainly(CCS, &[1]));
    } => Coded(TlsProtocol);
    a_flood_of_warnings: OLD, |talk| {
        talk.serve(1..=1);
        (0..1000).for_each(|_| talk.player.alert(1, 90));
    } => Coded(TlsProtocol);
    a_flood_of_warnings_behind_the_handshake: OLD, |talk| {
        talk.serve_all();
        (0..1000).for_each(|_| talk.player.alert(1, 41));
    } => Coded(TlsProtocol);
    a_flood_of_empty_data: NEW, |talk| {
        talk.serve_all();
        (0..1000).for_each(|_| talk.player.say(DATA, &[]));
    } => Coded(TlsProtocol);
    a_flood_of_empty_records_of_the_handshake: NEW, |talk| {
        talk.serve(1..=1);
        (0..1000).for_each(|_| talk.player.say(HANDSHAKE, &[]));
    } => Coded(TlsProtocol);
    an_unknown_alert: NEW, |talk| {
        talk.serve(1..=3);
        talk.player.alert(2, 177);
    } => Silently(TlsAlert);
    an_unknown_alert_of_1_2: OLD, |talk| {
        talk.serve(1..=3);
        talk.player.alert(2, 177);
    } => Silently(TlsAlert);
    an_unknown_warning_of_1_2: OLD, |talk| {
        talk.serve(1..=3);
        talk.player.alert(1, 177);
        talk.serve(4..=6);
    } => On;

    // Behind the handshake -----------------------------------------------------------------------
    a_wish_to_renegotiate: OLD, |talk| {
        talk.serve_all();
        talk.player.say(HANDSHAKE, &message(0, &[]));
        talk.pass();
        assert_eq!(talk.player.last_alert(), Some(100));
    } => On;
    a_flood_of_wishes_to_renegotiate: OLD, |talk| {
        talk.serve_all();
        (0..1000).for_each(|_| talk.player.say(HANDSHAKE, &message(0, &[])));
    } => Coded(TlsProtocol);
    a_renegotiation_without_a_wish: OLD, |talk| {
        talk.serve_all();
        let body = talk.player.answer().of_server();
        talk.player.say(HANDSHAKE, &message(2, &body));
    } => With(TlsProtocol, UNEXPECTED);
    a_wish_to_renegotiate_in_1_3: NEW, |talk| {
        talk.serve_all();
        talk.player.say(HANDSHAKE, &message(0, &[]));
    } => With(TlsProtocol, UNEXPECTED);
    new_keys_with_a_message_behind_them: NEW, |talk| {
        talk.serve_all();
        talk.player.say(HANDSHAKE, &message(24, &[0]).repeat(2));
    } => With(TlsProtocol, UNEXPECTED);
    a_ticket_of_nothing: NEW, |talk| {
        talk.serve_all();
        talk.player.say(HANDSHAKE, &message(4, &[]));
    } => Coded(TlsProtocol);
    a_ticket_that_holds_for_years: NEW, |talk| {
        talk.serve_all();
        let body = [&[0xff; 8][..], &[1, 1], &sized(2, &[1; 16]), &[0, 0]].concat();
        talk.player.say(HANDSHAKE, &message(4, &body));
    } => On;
    a_ticket_in_the_handshake: NEW, |talk| {
        talk.serve(1..=2);
        let body = [&[0; 8][..], &[1, 1], &sized(2, &[1; 16]), &[0, 0]].concat();
        talk.player.say(HANDSHAKE, &message(4, &body));
    } => With(TlsProtocol, UNEXPECTED);
}

/// The messages of a server, by step: those that are right there.
fn right(is_new: bool, step: usize) -> &'static [u8] {
    match (is_new, step) {
        (true, 1) => &[8],
        (true, 2) => &[11, 13],
        (true, 3) => &[15],
        (true, 4) | (false, 5) => &[20],
        (_, 0) => &[2],
        // What may come before the certificate's key, or not: its status.
        (false, 1) => &[11],
        (false, 2) => &[12, 22],
        (false, 3) => &[13, 14],
        (false, 4) => &[4],
        _ => unreachable!(),
    }
}

#[test]
fn every_other_message_at_every_step_is_refused() {
    for (is_new, steps) in [(NEW, 5), (OLD, 6)] {
        for step in 0..steps {
            for kind in (0..=25).chain([67, 254, 255]) {
                // A wish to begin anew, too, which RFC 5246, 7.4.1.1 would have ignored.
                if right(is_new, step).contains(&kind) {
                    continue;
                }
                let mut talk = Talk::with_client(is_new);
                talk.serve(1..=step);
                talk.player.tell(kind, &[0; 40]);
                talk.pass();
                talk.check(Coded(TlsProtocol));
            }
        }
    }
}

#[test]
fn every_other_kind_of_record_at_every_step_is_refused() {
    for (is_new, steps) in [(NEW, 5), (OLD, 6)] {
        for step in 0..steps {
            for kind in (0..=40).chain([0x80, 0xff]) {
                let is_change = kind == CCS && (is_new || step == 4);
                if [HANDSHAKE, ALERT].contains(&kind) || (is_change && step > 0) {
                    continue;
                }
                let mut talk = Talk::with_client(is_new);
                talk.serve(1..=step);
                talk.player.out.extend(record(kind, 0x303, &[1; 40]));
                talk.pass();
                // Before the hello the other end may be no server of TLS at all.
                talk.check(Coded(if step == 0 { TlsNotTls } else { TlsProtocol }));
            }
        }
    }
}

#[test]
fn a_record_of_a_wrong_length_or_version_at_every_step_is_refused() {
    for (is_new, steps) in [(NEW, 5), (OLD, 6)] {
        for step in 0..steps {
            for header in [[HANDSHAKE, 3, 3, 0x48, 1], [HANDSHAKE, 4, 3, 0, 1], [ALERT, 9, 9, 0, 2]]
            {
                let mut talk = Talk::with_client(is_new);
                talk.serve(1..=step);
                talk.player.out.extend([&header[..], &[2, 80]].concat());
                talk.pass();
                let is_foreign = step == 0 && header[1] != 3;
                talk.check(Coded(if is_foreign { TlsNotTls } else { TlsProtocol }));
            }
        }
    }
}

#[test]
fn an_alert_at_every_step_ends_it_and_a_silent_end_is_noticed() {
    for (is_new, steps) in [(NEW, 5), (OLD, 6)] {
        for step in 0..=steps {
            let mut talk = Talk::with_client(is_new);
            talk.serve(1..=step);
            assert_eq!(talk.end.session.cut().code(), TlsTruncated);
            talk.player.alert(2, 80);
            talk.pass();
            talk.check(Silently(TlsAlert));
            // The end of TLS is none before its begin.
            let mut talk = Talk::with_client(is_new);
            talk.serve(1..=step);
            talk.player.alert(1, 0);
            talk.player.say(DATA, b"behind the end");
            talk.pass();
            assert_eq!(talk.end.session.has_ended(), step == steps);
            assert!(talk.end.plain.is_empty(), "{step}");
            assert_eq!(talk.end.session.is_secured(), step == steps);
        }
    }
}

#[test]
fn a_header_of_a_message_in_records_of_one_byte_is_borne() {
    for (is_new, steps) in [(NEW, 5), (OLD, 6)] {
        for step in 1..=steps {
            let mut talk = Talk::with_client(is_new);
            talk.serve(1..=step - 1);
            talk.player.largest = 1;
            talk.serve(step..=steps);
            talk.check(On);
        }
    }
}

#[test]
fn a_chain_of_a_hundred_authorities_is_too_long() {
    let root = Ca::with(ca_params("root"), any_key());
    let mut last = root.below(ca_params("authority 0"), any_key());
    for number in 1..100 {
        last = last.below(ca_params(&format!("authority {number}")), any_key());
    }
    for is_new in [NEW, OLD] {
        let mut talk = Talk::with_client_of(&root, &last.leaf(&[tls_kit::talk::HOST]), is_new);
        let honest = talk.chain.len();
        assert_eq!(honest, 101);
        talk.serve(1..=4);
        talk.pass();
        let failure = talk.end.failure.clone().unwrap();
        assert!([TlsBadCertificate, TlsUnknownIssuer].contains(&failure.code()), "{failure}");
        assert!(!talk.end.session.is_secured());
    }
}

#[test]
fn a_flood_of_new_keys_that_nobody_reads_the_answers_of_stays_small() {
    for asks in [0, 1] {
        let mut talk = Talk::with_client(NEW);
        talk.serve_all();
        let mut count = 0;
        // Data between them make each begin anew as a wish that may be granted.
        while talk.end.failure.is_none() && count < 20_000 {
            talk.player.update(asks);
            talk.player.say(DATA, b"x");
            let bytes = std::mem::take(&mut talk.player.out);
            talk.end.feed(&bytes);
            assert!(talk.end.out.len() < 200, "{} bytes to send", talk.end.out.len());
            count += 1;
        }
        assert_eq!((count, talk.end.plain.len()), (20_000, 20_000));
        // One answer for all of them goes before what is written next.
        talk.end.plain.clear();
        talk.check(On);
    }
}

#[test]
fn a_flood_of_tickets_is_not_kept() {
    let resident = || {
        let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
        let line = status.lines().find(|line| line.starts_with("VmRSS:")).map(str::to_owned);
        line.map_or(0, |line| line.split_whitespace().nth(1).unwrap().parse::<usize>().unwrap())
    };
    let mut talk = Talk::with_client(NEW);
    talk.serve_all();
    let before = resident();
    let ticket =
        [&[0, 0, 1, 0][..], &[0; 4], &[1, 1], &sized(2, &vec![1; 60_000]), &[0, 0]].concat();
    let ticket = message(4, &ticket);
    for _ in 0..3000 {
        ticket.chunks(1 << 14).for_each(|piece| talk.player.say(HANDSHAKE, piece));
        talk.pass();
        assert!(talk.end.cipher.is_empty() && talk.end.out.is_empty());
    }
    // Of 180 MB; other tests run beside this one.
    let grown = resident().saturating_sub(before);
    assert!(grown < 60_000, "{grown} KiB");
    talk.check(On);
}

#[test]
fn a_sealed_message_that_never_ends_is_refused() {
    let mut talk = Talk::with_client(NEW);
    talk.serve(1..=2);
    talk.player.say(HANDSHAKE, &[11, 0, 0xff, 0xff]);
    let mut sent = 0;
    while talk.end.failure.is_none() && sent < 1 << 16 {
        talk.player.say(HANDSHAKE, &[0]);
        talk.pass();
        sent += 1;
        assert!(talk.end.cipher.len() <= TLS_WAITING + 30);
    }
    talk.check(Coded(TlsProtocol));
}

#[test]
fn a_protocol_out_of_nowhere_is_named() {
    let mut talk = Talk::with_client_that_offers(b"h2", OLD);
    hello(&mut talk, |hello| hello.set(ext::ALPN, &sized(2, &sized(1, b"gopher"))));
    talk.pass();
    talk.check(Coded(TlsAlpn));
    let mut talk = Talk::with_client_that_offers(b"h2", NEW);
    talk.player.alert(2, 120);
    talk.pass();
    talk.check(Silently(TlsAlpn));
    let mut talk = Talk::with_client(NEW);
    talk.player.alert(2, 40);
    talk.pass();
    talk.check(Silently(TlsNoCommon));
}
