//! What few scripts choose of TLS themselves, and what is told of the peer's certificates.
//!
//! Not here: whom a client believes in a handshake (`tls_verify.rs`).
#![allow(clippy::unwrap_used)]

mod tls_kit;

use evsock::error::Code;
use evsock::tls::{Choices, Config, Settings, Shown, Version};

use tls_kit::{Ca, Pair, client_of, pem, server_of};

const HOST: &str = "a.example";

fn ends() -> (Ca, Settings, Settings) {
    let ca = Ca::new("root");
    let (client, server) = (client_of(&ca), server_of(&ca.leaf(&[HOST])));
    (ca, client, server)
}

fn with_suites(settings: Settings, names: &[&str]) -> Settings {
    let suites = Some(names.iter().map(|name| (*name).to_owned()).collect());
    Settings { choices: Choices { suites, ..Choices::default() }, ..settings }
}

#[test]
fn the_newest_version_can_be_chosen() {
    for chooses in ["client", "server"] {
        let (_, mut client, mut server) = ends();
        if chooses == "client" { &mut client } else { &mut server }.max_version = Version::Tls12;
        let mut pair = Pair::new(&client, &server, HOST);
        pair.shake_hands();
        assert_eq!(pair.client.session.facts().version, "1.2", "{chooses}");
    }
}

#[test]
fn a_newest_version_below_the_oldest_is_refused() {
    let (_, client, _) = ends();
    let none = Settings { min_version: Version::Tls13, max_version: Version::Tls12, ..client };
    assert!(Config::client(&none).is_err());
}

#[test]
fn only_the_suites_that_were_chosen_are_spoken() {
    let (_, client, server) = ends();
    for (name, version) in [
        ("TLS_AES_128_GCM_SHA256", "1.3"),
        ("TLS_CHACHA20_POLY1305_SHA256", "1.3"),
        ("TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384", "1.2"),
    ] {
        let mut pair = Pair::new(&with_suites(client.clone(), &[name]), &server, HOST);
        pair.shake_hands();
        let facts = pair.client.session.facts();
        assert_eq!((&*facts.cipher, facts.version), (name, version));
    }
}

#[test]
fn a_server_chooses_by_the_clients_order_unless_it_prefers_its_own() {
    let (_, client, server) = ends();
    let (one, other) = ("TLS_AES_128_GCM_SHA256", "TLS_CHACHA20_POLY1305_SHA256");
    let client = with_suites(client, &[one, other]);
    for (prefers, expected) in [(false, one), (true, other)] {
        let mut server = with_suites(server.clone(), &[other, one]);
        server.choices.prefers_own_suites = prefers;
        let mut pair = Pair::new(&client, &server, HOST);
        pair.shake_hands();
        assert_eq!(pair.client.session.facts().cipher, expected);
    }
}

#[test]
fn a_suite_or_group_that_nobody_knows_is_refused() {
    let (_, client, _) = ends();
    let why = Config::client(&with_suites(client.clone(), &["RC4"])).unwrap_err();
    assert_eq!(why, "cipher suite 'RC4' is not known");
    let groups = Some(vec!["secp999r1".to_owned()]);
    let choices = Choices { groups, ..Choices::default() };
    let why = Config::client(&Settings { choices, ..client }).unwrap_err();
    assert_eq!(why, "group 'secp999r1' is not known");
}

#[test]
fn ends_without_a_group_in_common_do_not_agree() {
    let (_, client, server) = ends();
    let of = |name: &str, settings: &Settings| {
        let groups = Some(vec![name.to_owned()]);
        Settings { choices: Choices { groups, ..Choices::default() }, ..settings.clone() }
    };
    let mut pair = Pair::new(&of("secp384r1", &client), &of("secp384r1", &server), HOST);
    pair.shake_hands();
    let mut pair = Pair::new(&of("x25519", &client), &of("secp256r1", &server), HOST);
    pair.pass();
    assert!(pair.client.failure.is_some() && pair.server.failure.is_some());
}

#[test]
fn a_session_that_may_not_be_resumed_is_none_the_second_time() {
    for resumes in [true, false] {
        let (_, client, mut server) = ends();
        server.choices.resumes = resumes;
        let (client, server) = (Config::client(&client).unwrap(), Config::server(&server).unwrap());
        let mut resumed = false;
        for _ in 0..2 {
            let mut pair = Pair::of(&client, &server, HOST);
            pair.shake_hands();
            resumed = pair.client.session.facts().resumed;
        }
        assert_eq!(resumed, resumes);
    }
}

#[test]
fn the_certificates_of_the_peer_are_told_and_can_be_judged() {
    let (ca, client, server) = ends();
    let anyone = Settings { verify: false, ..Settings::default() };
    let mut pair = Pair::new(&anyone, &server, HOST);
    pair.shake_hands();
    let chain = pair.client.session.peer_certificates();
    assert_eq!(chain, Shown::in_pem(&server.cert.clone().unwrap()).unwrap());
    assert!(pair.server.session.peer_certificates().is_empty());

    let judge = Config::client(&client).unwrap();
    assert_eq!(judge.judge(&chain, HOST), Ok(()));
    let code = |judge: &Config, host| judge.judge(&chain, host).unwrap_err().code();
    assert_eq!(code(&judge, "b.example"), Code::TlsBadHostname);
    let other = Config::client(&client_of(&Ca::new("other"))).unwrap();
    assert_eq!(code(&other, HOST), Code::TlsUnknownIssuer);
    assert_eq!(judge.judge(&[], HOST).unwrap_err().code(), Code::TlsBadCertificate);
    let chain_only = Settings { insecure_name: true, ..client_of(&ca) };
    assert_eq!(Config::client(&chain_only).unwrap().judge(&chain, ""), Ok(()));
}

#[test]
fn a_server_has_certificates_by_name() {
    let ca = Ca::new("root");
    let of = |name: &str| Config::server(&server_of(&ca.leaf(&[name]))).unwrap();
    let client = Config::client(&client_of(&ca)).unwrap();
    let others = [("b.example".to_owned(), of("b.example"))];
    for (host, is_strict, stands) in [
        (HOST, false, true),
        ("b.example", false, true),
        ("b.example", true, true),
        (HOST, true, false),
    ] {
        let server = of(HOST).with_names(&others, is_strict).unwrap();
        let mut pair = Pair::of(&client, &server, host);
        pair.pass();
        assert_eq!(pair.client.session.is_secured(), stands, "{host} {is_strict}");
    }
    assert!(client.with_names(&others, false).is_none());
    assert!(of(HOST).with_names(&[("x".to_owned(), client)], false).is_none());
}

#[test]
fn a_certificate_says_whose_it_is() {
    let ca = Ca::new("root");
    let leaf = ca.leaf(&[HOST, "127.0.0.1"]);
    let shown = Shown::read(&Shown::in_pem(&pem("cert", &leaf.chain)).unwrap()[0]).unwrap();
    let text = |parts: &[evsock::tls::NamePart]| {
        let part = parts.first().unwrap();
        (part.kind.clone(), String::from_utf8(part.value.clone()).unwrap())
    };
    assert_eq!(text(&shown.subject), ("2.5.4.3".to_owned(), "leaf".to_owned()));
    assert_eq!(text(&shown.issuer), ("2.5.4.3".to_owned(), "root".to_owned()));
    assert_eq!(shown.names, [(0x82, HOST.into()), (0x87, vec![127, 0, 0, 1])]);
    assert_eq!(shown.signature, "1.2.840.10045.4.3.2");
    assert_eq!(shown.curve.as_deref(), Some("1.2.840.10045.3.1.7"));
    assert!(shown.dates.is_some() && shown.rsa_bits.is_none());
    assert_eq!(Shown::read(b"no certificate"), None);
}
