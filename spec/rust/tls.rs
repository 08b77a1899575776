//! TLS sessions with each other, without sockets: what arrives, in which pieces, and how it ends.
//!
//! Not here: whom a client believes (`tls_verify.rs`), what PEM is taken (`tls_pem.rs`), arbitrary
//! bytes (`tls_fuzz.rs`).
#![allow(clippy::unwrap_used)]

mod tls_kit;

use std::sync::Arc;

use evsock::error::Code;
use evsock::limits::TLS_WAITING;
use evsock::tls::{ClientAuth, Config, Session, Settings, Verified, Version};
use proptest::prelude::*;
use rcgen::ExtendedKeyUsagePurpose;

use tls_kit::raw::{BOTH, Raw, TLS12, TLS13, certified};
use tls_kit::{
    Ca, End, Pair, any_key, client_of, leaf_params, pem, rsa_key, server_of, with_identity,
};

const HOST: &str = "a.example";

fn settings() -> (Settings, Settings) {
    let ca = Ca::new("root");
    (client_of(&ca), server_of(&ca.leaf(&[HOST])))
}

fn pair() -> Pair {
    let (client, server) = settings();
    Pair::new(&client, &server, HOST)
}

/// Bytes that differ at every place.
fn payload(size: usize) -> Vec<u8> {
    let mut state = 0x2545_f491_u32;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        state.to_le_bytes()[0]
    };
    (0..size).map(|_| next()).collect()
}

#[test]
fn a_client_and_a_server_agree() {
    let mut pair = pair();
    assert!(!pair.client.session.is_secured() && !pair.server.session.is_secured());
    pair.shake_hands();
    let (client, server) = (pair.client.session.facts(), pair.server.session.facts());
    assert_eq!((client.version, client.verified), ("1.3", Verified::Yes));
    assert_eq!((server.version, server.verified), ("1.3", Verified::No));
    assert_eq!(client.cipher, server.cipher);
    assert!(client.cipher.starts_with("TLS_") && client.cipher.contains("_SHA"), "{client:?}");
    assert_eq!(client.server_name.as_deref(), Some(HOST));
    assert_eq!(server.server_name.as_deref(), Some(HOST));
    assert_eq!((client.alpn, server.alpn), (None, None));
}

#[test]
fn both_versions_are_spoken_and_named() {
    let ca = Ca::new("root");
    for (version, name) in [(TLS12, "1.2"), (TLS13, "1.3")] {
        let mut client = start(&client_of(&ca));
        Raw::server(version, certified(&ca.leaf(&[HOST]))).join(&mut client);
        assert_eq!(client.failure, None);
        let facts = client.session.facts();
        assert_eq!(facts.version, name);
        assert!(facts.cipher.starts_with("TLS_"), "{facts:?}");
    }
}

fn start(settings: &Settings) -> End {
    let mut end = End::new(Session::client(&Config::client(settings).unwrap(), HOST).unwrap());
    end.session.start(&mut end.out).unwrap();
    end
}

fn serving(settings: &Settings) -> End {
    End::new(Session::server(&Config::server(settings).unwrap()).unwrap())
}

#[test]
fn an_older_version_than_asked_for_is_refused() {
    let ca = Ca::new("root");
    let leaf = ca.leaf(&[HOST]);
    let mut client = start(&Settings { min_version: Version::Tls13, ..client_of(&ca) });
    let mut old = Raw::server(TLS12, certified(&leaf));
    old.join(&mut client);
    assert_eq!(client.failure.unwrap().code(), Code::TlsVersion);
    assert_eq!(client.plain, b"");

    let mut server = serving(&Settings { min_version: Version::Tls13, ..server_of(&leaf) });
    let mut old = Raw::client(TLS12, &ca, None, HOST);
    old.join(&mut server);
    assert_eq!(server.failure.unwrap().code(), Code::TlsVersion);
    assert!(old.failure.is_some());
}

#[test]
fn a_downgrade_is_noticed() {
    let (client, server) = settings();
    let mut pair = Pair::new(&client, &server, HOST);
    let mut hello = pair.client.take();
    // Somebody in between hides that the client speaks 1.3: the extension becomes an unknown one.
    let versions = [0x00, 0x2b, 0x00, 0x05, 0x04, 0x03, 0x04, 0x03, 0x03];
    let at = hello.windows(versions.len()).position(|bytes| bytes == versions).unwrap();
    hello[at..at + 2].copy_from_slice(&[0xfa, 0xfa]);
    pair.server.feed(&hello);
    pair.pass();
    assert_eq!(pair.client.failure.unwrap().code(), Code::TlsVersion);
    assert!(!pair.server.session.is_secured());
}

#[test]
fn payload_of_any_size_passes_both_ways() {
    for size in [0, 1, 16_383, 16_384, 16_385, 64 * 1024, 1024 * 1024] {
        let mut pair = pair();
        pair.shake_hands();
        let bytes = payload(size);
        pair.client.session.encrypt(&[&bytes], &mut pair.client.out).unwrap();
        pair.server.session.encrypt(&[&bytes], &mut pair.server.out).unwrap();
        assert!(pair.client.out.len() >= size && pair.client.out.len() <= size + size / 400 + 64);
        pair.pass_in(64 * 1024);
        assert!(pair.server.plain == bytes && pair.client.plain == bytes, "{size}");
    }
}

#[test]
fn small_parts_share_records() {
    let mut pair = pair();
    pair.shake_hands();
    let parts = vec![&b"0123456789"[..]; 10_000];
    pair.client.session.encrypt(&parts, &mut pair.client.out).unwrap();
    // 100,000 bytes are 7 records of 22 bytes more each.
    assert_eq!(pair.client.out.len(), 100_000 + 7 * 22);
    pair.pass();
    assert_eq!(pair.server.plain, b"0123456789".repeat(10_000));
}

/// A handshake, payload both ways and both ends of stream, in pieces of `size`.
fn live(pair: &mut Pair, size: usize) {
    pair.pass_in(size);
    assert!(pair.client.session.is_secured() && pair.server.session.is_secured());
    for end in [&mut pair.client, &mut pair.server] {
        end.session.encrypt(&[b"some", b"", b"thing"], &mut end.out).unwrap();
    }
    pair.pass_in(size);
    pair.client.close();
    pair.server.close();
    pair.pass_in(size);
    for end in [&pair.client, &pair.server] {
        assert_eq!((&end.failure, &end.plain[..]), (&None, &b"something"[..]));
        assert!(end.session.has_ended() && end.cipher.is_empty());
    }
}

#[test]
fn pieces_of_any_size_will_do() {
    let ca = Ca::new("root");
    let chained = ca.below(tls_kit::ca_params("between"), any_key());
    let server = server_of(&chained.sign(&leaf_params(&[HOST]), &rsa_key()));
    for size in (1..=40).chain([100, 1000, 10_000]) {
        live(&mut Pair::new(&client_of(&ca), &server, HOST), size);
    }
}

/// Until neither has anything to say; the client gets every byte by itself, then `after` is called.
fn feed_byte_by_byte(client: &mut End, server: &mut Raw, after: impl Fn(&mut End)) {
    loop {
        let (up, down) = (client.take(), server.take());
        if up.is_empty() && down.is_empty() {
            break;
        }
        server.feed(&up);
        for byte in down {
            client.feed(&[byte]);
            after(client);
        }
    }
}

#[test]
fn the_older_version_takes_pieces_of_one_byte_too() {
    let ca = Ca::new("root");
    let leaf = ca.leaf(&[HOST]);
    let mut client = start(&client_of(&ca));
    let mut server = Raw::server(TLS12, certified(&leaf));
    server.say(b"something");
    feed_byte_by_byte(&mut client, &mut server, |_| ());
    assert_eq!((client.failure, &client.plain[..]), (None, &b"something"[..]));
}

#[test]
fn a_flight_may_be_cut_anywhere() {
    let (client, server) = settings();
    let (client, server) = (Config::client(&client).unwrap(), Config::server(&server).unwrap());
    let mut first = Pair::of(&client, &server, HOST);
    let hello = first.client.take();
    for at in 0..=hello.len() {
        let mut pair = Pair::of(&client, &server, HOST);
        let hello = pair.client.take();
        let (front, back) = hello.split_at(at.min(hello.len()));
        pair.server.feed(front);
        pair.server.feed(back);
        let answer = pair.server.take();
        let (front, back) = answer.split_at(at * answer.len() / hello.len().max(1));
        pair.client.feed(front);
        pair.client.feed(back);
        pair.shake_hands();
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, ..ProptestConfig::default() })]

    #[test]
    fn random_cuts_and_parts_change_nothing(
        cuts in proptest::collection::vec(1usize..3000, 1..40),
        parts in proptest::collection::vec(0usize..20_000, 1..12),
    ) {
        let mut pair = pair();
        let mut size = cuts.iter().cycle();
        let mut turn = |pair: &mut Pair| loop {
            let (up, down) = (pair.client.take(), pair.server.take());
            if up.is_empty() && down.is_empty() {
                break;
            }
            for (bytes, end) in [(up, &mut pair.server), (down, &mut pair.client)] {
                let mut rest = &bytes[..];
                while !rest.is_empty() {
                    let (front, back) = rest.split_at(rest.len().min(*size.next().unwrap()));
                    end.feed(front);
                    rest = back;
                }
            }
        };
        turn(&mut pair);
        prop_assert!(pair.client.session.is_secured() && pair.server.session.is_secured());
        let bytes = payload(parts.iter().sum());
        let mut rest = &bytes[..];
        let mut pieces = Vec::new();
        for part in parts {
            let (front, back) = rest.split_at(part);
            pieces.push(front);
            rest = back;
        }
        pair.client.session.encrypt(&pieces, &mut pair.client.out).unwrap();
        pair.client.close();
        turn(&mut pair);
        prop_assert!(pair.server.plain == bytes);
        prop_assert!(pair.server.session.has_ended());
    }
}

#[test]
fn the_end_is_told_and_a_missing_end_noticed() {
    let mut pair = pair();
    pair.shake_hands();
    pair.client.session.encrypt(&[b"last"], &mut pair.client.out).unwrap();
    pair.client.close();
    pair.client.close();
    let sent = pair.client.take();
    pair.server.feed(&sent[..sent.len() - 1]);
    assert_eq!(pair.server.plain, b"last");
    assert!(!pair.server.session.has_ended());
    assert_eq!(pair.server.session.cut().code(), Code::TlsTruncated);
    pair.server.feed(&sent[sent.len() - 1..]);
    assert!(pair.server.session.has_ended());
    pair.server.feed(b"what comes behind is nobody's");
    assert_eq!((&pair.server.failure, &pair.server.plain[..]), (&None, &b"last"[..]));
    assert!(pair.server.cipher.is_empty());
    // The other direction is still open, but for who closed it.
    pair.server.session.encrypt(&[b"answer"], &mut pair.server.out).unwrap();
    let error = pair.client.session.encrypt(&[b"more"], &mut pair.client.out).unwrap_err();
    assert_eq!(error.code(), Code::Closed);
    pair.pass();
    assert_eq!(pair.client.plain, b"answer");
    pair.server.close();
    pair.pass();
    assert!(pair.client.session.has_ended());
}

#[test]
fn a_stream_cut_in_any_phase_is_truncated() {
    let (client, server) = settings();
    let whole = {
        let mut pair = Pair::new(&client, &server, HOST);
        pair.shake_hands();
        (pair.client.sent.len(), pair.server.sent.len())
    };
    for cut in (0..whole.1).step_by(7) {
        let mut pair = Pair::new(&client, &server, HOST);
        let hello = pair.client.take();
        pair.server.feed(&hello);
        let answer = pair.server.take();
        pair.client.feed(&answer[..cut.min(answer.len())]);
        assert_eq!(pair.client.failure, None);
        assert_eq!(pair.client.session.cut().code(), Code::TlsTruncated);
        assert_eq!(pair.client.plain, b"");
        if cut < answer.len() {
            let refused = pair.client.session.encrypt(&[b"x"], &mut pair.client.out);
            assert!(refused.is_err() && !pair.client.session.is_secured());
        }
    }
    for cut in 0..whole.0 {
        let mut pair = Pair::new(&client, &server, HOST);
        let hello = pair.client.take();
        pair.server.feed(&hello[..cut.min(hello.len())]);
        assert_eq!(pair.server.failure, None);
        assert_eq!(pair.server.session.cut().code(), Code::TlsTruncated);
    }
}

#[test]
fn an_end_in_the_handshake_is_no_end() {
    // A close_notify in plain, before anything else: as a warning, and as a fatal alert.
    for level in [1, 2] {
        let mut client = start(&settings().0);
        client.feed(&[0x15, 3, 3, 0, 2, level, 0]);
        assert_eq!(client.failure.is_some(), level == 2);
        assert_eq!(client.session.cut().code(), Code::TlsTruncated);
        assert!(!client.session.is_secured() && !client.session.has_ended());
    }
}

#[test]
fn plain_text_is_told_from_tls() {
    let (client, server) = settings();
    for (text, shown) in [
        (&b"HTTP/1.1 400 Bad Request\r\n\r\n"[..], Some("\"HTTP/1.1 400 Bad Request\"")),
        (b"SSH-2.0-OpenSSH_9.7\r\n", Some("\"SSH-2.0-OpenSSH_9.7\"")),
        (b"220 mail.example ESMTP\r\n", Some("\"220 mail.example ESMTP\"")),
        (b"GET / HTTP/1.1\r\n", Some("\"GET / HTTP/1.1\"")),
        (b"\x00\xff\xfd\x18", None),
        (b"\x16\x00\x00\x00\x00", None),
        (&[0x80, 0x2e, 0x01, 0x03, 0x01], None),
    ] {
        for mut end in [start(&client), serving(&server)] {
            let sent = end.out.len();
            end.feed(text);
            let failure = end.failure.unwrap();
            assert_eq!(failure.code(), Code::TlsNotTls);
            assert_eq!(end.out.len(), sent, "an alert makes no sense to it");
            assert!(shown.is_none_or(|shown| failure.message().contains(shown)), "{failure}");
        }
        let mut end = start(&client);
        for byte in text {
            end.feed(&[*byte]);
        }
        assert_eq!(end.failure.unwrap().code(), Code::TlsNotTls);
    }
}

/// The code by which a client refuses `change` of the server's first flight.
fn refusal_of(change: impl FnOnce(&mut Vec<u8>)) -> Code {
    let (client, server) = settings();
    let mut pair = Pair::new(&client, &server, HOST);
    let hello = pair.client.take();
    pair.server.feed(&hello);
    let mut answer = pair.server.take();
    change(&mut answer);
    pair.client.feed(&answer);
    assert!(!pair.client.session.is_secured());
    assert_eq!(pair.client.plain, b"");
    pair.client.failure.unwrap().code()
}

#[test]
fn broken_records_break_the_protocol() {
    assert_eq!(
        refusal_of(|bytes| bytes[3..5].copy_from_slice(&[0xff, 0xff])),
        Code::TlsProtocol,
        "an oversized record"
    );
    assert_eq!(
        refusal_of(|bytes| bytes[3..5].copy_from_slice(&[0x48, 0x01])),
        Code::TlsProtocol,
        "one byte too long"
    );
    assert_eq!(refusal_of(|bytes| *bytes = vec![0x16, 3, 3, 0, 0]), Code::TlsProtocol, "empty");
    assert_eq!(
        refusal_of(|bytes| *bytes = vec![0x16, 3, 3, 0, 4, 0xff, 0xff, 0xff, 0xff]),
        Code::TlsProtocol,
        "a message of 16 MiB"
    );
    assert_eq!(
        refusal_of(|bytes| *bytes = vec![0x15, 3, 3, 0, 2, 2, 40]),
        Code::TlsNoCommon,
        "handshake_failure"
    );
    for (alert, code) in [
        (70, Code::TlsVersion),
        (80, Code::TlsAlert),
        (112, Code::TlsAlert),
        (116, Code::TlsClientCertRequired),
        (48, Code::TlsCertRefused),
        (120, Code::TlsAlpn),
        (200, Code::TlsAlert),
    ] {
        assert_eq!(refusal_of(|bytes| *bytes = vec![0x15, 3, 3, 0, 2, 2, alert]), code, "{alert}");
    }
}

#[test]
fn a_message_that_never_ends_is_refused() {
    let mut client = start(&settings().0);
    // A server hello of 60,000 bytes, in records of one byte each: mostly headers.
    let mut bytes = vec![0x16, 3, 3, 0, 4, 2, 0, 0xea, 0x60];
    while bytes.len() <= TLS_WAITING + 100 {
        bytes.extend([0x16, 3, 3, 0, 1, 0]);
    }
    bytes.chunks(5000).for_each(|piece| client.feed(piece));
    assert_eq!(client.failure.unwrap().code(), Code::TlsProtocol);
    assert!(client.cipher.len() <= TLS_WAITING + 5000);
}

#[test]
fn garbage_anywhere_in_a_flight_is_refused() {
    let (client, server) = settings();
    let (client, server) = (Config::client(&client).unwrap(), Config::server(&server).unwrap());
    let length = {
        let mut pair = Pair::of(&client, &server, HOST);
        let hello = pair.client.take();
        pair.server.feed(&hello);
        pair.server.take().len()
    };
    for at in 0..length {
        let mut pair = Pair::of(&client, &server, HOST);
        let hello = pair.client.take();
        pair.server.feed(&hello);
        let mut answer = pair.server.take();
        let Some(byte) = answer.get_mut(at) else { continue };
        *byte ^= 0x55;
        pair.client.feed(&answer);
        assert_eq!(pair.client.plain, b"");
        let refused = match &pair.client.failure {
            Some(failure) => ![Code::Internal, Code::TlsAlert].contains(&failure.code()),
            // A length that became longer, or the version of a record, which means nothing:
            // then the other end refuses, or both wait.
            None => !pair.client.session.is_secured() || is_record_version(&answer, at),
        };
        assert!(refused, "byte {at}: {:?}", pair.client.failure);
    }
}

/// Whether `at` is the second byte of a version in the header of a record.
fn is_record_version(bytes: &[u8], at: usize) -> bool {
    let mut header = 0;
    while header + 5 <= at {
        let length = u16::from_be_bytes([bytes[header + 3], bytes[header + 4]]);
        header += 5 + usize::from(length);
    }
    at == header + 2
}

#[test]
fn a_changed_byte_of_payload_is_never_given_out() {
    // Around what is encrypted, kind and version mean nothing (RFC 8446, 5.2): the first byte and
    // the third may be other ones.
    for at in (0..27).filter(|at| ![0, 2].contains(at)) {
        let mut pair = pair();
        pair.shake_hands();
        pair.client.session.encrypt(&[b"12345"], &mut pair.client.out).unwrap();
        let mut sent = pair.client.take();
        assert_eq!(sent.len(), 27);
        sent[at] ^= 1;
        pair.server.feed(&sent);
        assert_eq!(pair.server.plain, b"", "{at}");
        match pair.server.failure {
            Some(failure) => assert_eq!(failure.code(), Code::TlsProtocol, "{at}"),
            // It waits for a longer record.
            None => assert!(at == 3 || at == 4, "{at}"),
        }
    }
}

#[test]
fn after_a_failure_nothing_passes() {
    let mut pair = pair();
    pair.shake_hands();
    pair.client.session.encrypt(&[b"good"], &mut pair.client.out).unwrap();
    let mut sent = pair.client.take();
    sent.extend([0x17, 3, 3, 0, 20]);
    sent.extend([7; 20]);
    pair.server.feed(&sent);
    assert_eq!(pair.server.plain, b"good", "what came before is genuine");
    let failure = pair.server.failure.clone().unwrap();
    assert_eq!(failure.code(), Code::TlsProtocol);
    let alert = pair.server.take();
    assert!(!alert.is_empty());
    assert_eq!(pair.server.session.encrypt(&[b"x"], &mut pair.server.out), Err(failure.clone()));
    assert_eq!(pair.server.session.cut(), failure);
    pair.server.close();
    assert_eq!(pair.server.out, b"");
    pair.client.feed(&alert);
    assert_eq!(pair.client.failure.unwrap().code(), Code::TlsAlert);
}

#[test]
fn a_server_writes_nothing_before_the_client_has_finished() {
    let mut pair = pair();
    let hello = pair.client.take();
    pair.server.feed(&hello);
    // TLS 1.3 would allow it, but the client is not verified yet.
    assert!(pair.server.session.encrypt(&[b"early"], &mut pair.server.out).is_err());
    pair.shake_hands();
    assert_eq!(pair.client.plain, b"");
}

#[test]
fn the_application_protocol_is_agreed_on() {
    let (client, server) = settings();
    let with = |settings: &Settings, names: &[&str]| Settings {
        alpn: names.iter().map(|name| name.as_bytes().to_vec()).collect(),
        ..settings.clone()
    };
    let agreed = |ours: &[&str], theirs: &[&str]| {
        let mut pair = Pair::new(&with(&client, ours), &with(&server, theirs), HOST);
        pair.pass();
        match (pair.client.failure, pair.server.failure) {
            (None, None) => {
                assert_eq!(pair.client.session.facts().alpn, pair.server.session.facts().alpn);
                Ok(pair.client.session.facts().alpn)
            }
            (ours, theirs) => Err((ours.unwrap().code(), theirs.unwrap().code())),
        }
    };
    assert_eq!(agreed(&["h2", "http/1.1"], &["http/1.1"]), Ok(Some(b"http/1.1".to_vec())));
    assert_eq!(agreed(&["h2"], &[]), Ok(None));
    assert_eq!(agreed(&[], &["h2"]), Ok(None));
    assert_eq!(agreed(&["h2"], &["mqtt"]), Err((Code::TlsAlpn, Code::TlsAlpn)));
}

#[test]
fn clients_may_have_certificates() {
    let ca = Ca::new("root");
    let mut params = leaf_params(&["someone"]);
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    let client = with_identity(client_of(&ca), &ca.sign(&params, &any_key()));
    let server = Settings {
        ca: Some(pem("cafile", &ca.pem)),
        client_auth: ClientAuth::Require,
        ..server_of(&ca.leaf(&[HOST]))
    };
    for size in [1, 1000] {
        let mut pair = Pair::new(&client, &server, HOST);
        live(&mut pair, size);
        assert_eq!(pair.server.session.facts().verified, Verified::Yes);
    }
}

#[test]
fn sessions_resume_within_a_config_and_stay_verified() {
    let (client, server) = settings();
    let server = Config::server(&server).unwrap();
    let config = Config::client(&client).unwrap();
    let resumed = |client: &Arc<Config>| {
        let mut pair = Pair::of(client, &server, HOST);
        pair.shake_hands();
        assert_eq!(pair.client.session.facts().verified, Verified::Yes);
        assert_eq!(pair.server.session.facts().server_name.as_deref(), Some(HOST));
        (pair.client.session.facts().resumed, pair.server.session.facts().resumed)
    };
    assert_eq!(resumed(&config), (false, false));
    assert_eq!(resumed(&config), (true, true));
    assert_eq!(resumed(&config), (true, true));
    assert_eq!(resumed(&Config::client(&client).unwrap()), (false, false), "another config");
}

#[test]
fn sessions_of_the_older_version_resume_too() {
    let ca = Ca::new("root");
    let config = Config::client(&client_of(&ca)).unwrap();
    let server = Raw::server_config(TLS12, certified(&ca.leaf(&[HOST])));
    for resumed in [false, true] {
        let mut client = End::new(Session::client(&config, HOST).unwrap());
        client.session.start(&mut client.out).unwrap();
        Raw::of_server(&server).join(&mut client);
        assert_eq!(client.failure, None);
        assert_eq!(client.session.facts().resumed, resumed);
        assert_eq!(client.session.facts().verified, Verified::Yes);
    }
}

#[test]
fn keys_change_without_anybody_noticing() {
    let ca = Ca::new("root");
    let mut client = start(&client_of(&ca));
    let mut server = Raw::server(BOTH[1], certified(&ca.leaf(&[HOST])));
    server.join(&mut client);
    for round in 0..5 {
        server.connection.refresh_traffic_keys().unwrap();
        server.say(b"new");
        server.join(&mut client);
        client.session.encrypt(&[b"keys"], &mut client.out).unwrap();
        server.join(&mut client);
        assert_eq!(client.failure, None);
        assert_eq!((client.plain.len(), server.plain.len()), ((round + 1) * 3, (round + 1) * 4));
    }
}

#[test]
fn writing_goes_on_in_the_middle_of_a_message() {
    let ca = Ca::new("root");
    let mut client = start(&client_of(&ca));
    // Its tickets come in records of 32 bytes, so that messages are cut by them.
    let mut server = Raw::server_with(BOTH[1], certified(&ca.leaf(&[HOST])), |config| {
        config.max_fragment_size = Some(32);
    });
    feed_byte_by_byte(&mut client, &mut server, |client| {
        if client.session.is_secured() {
            client.session.encrypt(&[b"x"], &mut client.out).unwrap();
        }
    });
    assert_eq!(client.failure, None);
    assert!(server.plain.len() > 10, "nothing was cut");
    assert!(server.plain.iter().all(|byte| *byte == b'x'));
    client.close();
    server.join(&mut client);
    assert!(server.failure.is_none());
}
