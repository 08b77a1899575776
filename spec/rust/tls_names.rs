//! A server with configurations by name: who is served by which, however the hello arrives; and that
//! no session goes on under another trust than it began with.
//!
//! Not here: how the names of a script are checked (`spec/tls_names_spec.lua`).
#![allow(clippy::unwrap_used)]

mod tls_kit;

use std::sync::Arc;
use std::time::Duration;

use evsock::error::Code;
use evsock::limits::TLS_WAITING;
use evsock::tls::{
    Choices, ClientAuth, Config, Kept, Password, Session, Settings, Verified, Version,
};
use rcgen::ExtendedKeyUsagePurpose;
use rustls::client::{ClientSessionMemoryCache, ClientSessionStore, Resumption};
use rustls::pki_types::ServerName;
use rustls::{HandshakeKind, NamedGroup};

use tls_kit::raw::{BOTH, Raw, certified};
use tls_kit::{
    Ca, End, Identity, Pair, any_key, client_of, leaf_params, pem, server_of, with_identity,
};

const OWN: &str = "own.example";
const VERSIONS: [Version; 2] = [Version::Tls12, Version::Tls13];

fn client_identity(ca: &Ca) -> Identity {
    let mut params = leaf_params(&["client.example"]);
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    ca.sign(&params, &any_key())
}

/// A server of these names, each with a certificate for itself alone and a protocol of that name.
fn serving(ca: &Ca, names: &[&str]) -> Arc<Config> {
    let of = |name: &str, host: &str| {
        let alpn = vec![name.as_bytes().to_vec()];
        Config::server(&Settings { alpn, ..server_of(&ca.leaf(&[host])) }).unwrap()
    };
    let others: Vec<_> = names
        .iter()
        .map(|name| {
            let host = name.to_ascii_lowercase();
            ((*name).to_owned(), of(name, host.trim_end_matches('.')))
        })
        .collect();
    of("own", OWN).with_servers(&others).unwrap()
}

/// The protocol that a client of this name agrees on with the server, and whom the certificate is for.
fn served(ca: &Ca, server: &Arc<Config>, host: &str, protocol: &str, insecure: bool) -> Vec<u8> {
    let alpn = vec![protocol.as_bytes().to_vec()];
    let settings = Settings { alpn, insecure_name: insecure, ..client_of(ca) };
    let mut pair = Pair::of(&Config::client(&settings).unwrap(), server, host);
    pair.shake_hands();
    let (client, server) = (pair.client.session.facts(), pair.server.session.facts());
    assert_eq!(client.alpn, server.alpn);
    client.alpn.unwrap()
}

#[test]
fn whoever_asks_for_a_name_gets_what_is_its() {
    let ca = Ca::new("root");
    let server = serving(&ca, &["A.example", "b.example.", "*.c.example", "x.c.example"]);
    for (host, protocol) in [
        ("a.example", "A.example"),
        ("A.EXAMPLE", "A.example"),
        ("a.example.", "A.example"),
        ("b.example", "b.example."),
        ("x.c.example", "x.c.example"),
        ("y.c.example", "*.c.example"),
        (OWN, "own"),
    ] {
        assert_eq!(served(&ca, &server, host, protocol, false), protocol.as_bytes(), "{host}");
    }
    // A wildcard stands for one label, and for one at least; a name below another is another.
    for host in ["z.y.c.example", "c.example", "a.a.example", "example", "127.0.0.1", "::1"] {
        assert_eq!(served(&ca, &server, host, "own", true), b"own", "{host}");
    }
}

#[test]
fn what_is_no_name_is_refused() {
    let ca = Ca::new("root");
    let of = |host: &str| Config::server(&server_of(&ca.leaf(&[host]))).unwrap();
    for (name, why) in [
        ("", "is no host name"),
        ("a b", "is no host name"),
        ("*", "'*' stands for the first label alone"),
        ("*.*.example", "'*' stands for the first label alone"),
        ("a*.example", "'*' stands for the first label alone"),
        ("a.*.example", "'*' stands for the first label alone"),
        ("*.", "'*' stands for the first label alone"),
        ("127.0.0.1", "never for addresses"),
        ("::1", "never for addresses"),
    ] {
        let error = of(OWN).with_servers(&[(name.to_owned(), of(OWN))]).unwrap_err();
        assert!(error.contains(why), "{name}: {error}");
    }
    let twice = [("A.example".to_owned(), of(OWN)), ("a.example.".to_owned(), of(OWN))];
    assert!(of(OWN).with_servers(&twice).unwrap_err().contains("is there twice"));
    let client = Config::client(&client_of(&ca)).unwrap();
    assert!(client.with_servers(&[]).is_err());
    assert!(of(OWN).with_servers(&[("a.example".to_owned(), client)]).is_err());
}

/// The records of a hello, cut into records of so many bytes.
fn cut(hello: &[u8], size: usize) -> Vec<u8> {
    assert_eq!(usize::from(hello[3]) << 8 | usize::from(hello[4]), hello.len() - 5);
    let record = |payload: &[u8]| {
        let length = u16::try_from(payload.len()).unwrap().to_be_bytes();
        [&hello[..3], &length[..], payload].concat()
    };
    hello[5..].chunks(size).flat_map(record).collect()
}

#[test]
fn a_hello_may_come_in_pieces_and_in_many_records() {
    let ca = Ca::new("root");
    let server = serving(&ca, &["a.example"]);
    let client = Config::client(&client_of(&ca)).unwrap();
    for (records, pieces) in [(1, 1), (1, 4096), (3, 7), (100, 64), (65_000, 1)] {
        let mut pair = Pair::of(&client, &server, "a.example");
        let hello = cut(&pair.client.take(), records);
        for (place, piece) in hello.chunks(pieces).enumerate() {
            assert!(pair.server.out.is_empty(), "answered after {place} pieces");
            pair.server.feed(piece);
        }
        pair.shake_hands();
    }
}

#[test]
fn a_second_hello_is_for_the_same_name() {
    let ca = Ca::new("root");
    let groups = |names: &[&str]| Choices {
        groups: Some(names.iter().map(|name| (*name).to_owned()).collect()),
        ..Choices::default()
    };
    let own = Config::server(&server_of(&ca.leaf(&[OWN]))).unwrap();
    let choices = groups(&["secp256r1"]);
    let other = Settings { choices, ..server_of(&ca.leaf(&["a.example"])) };
    let others = [("a.example".to_owned(), Config::server(&other).unwrap())];
    let server = own.with_servers(&others).unwrap();
    let choices = groups(&["X25519", "secp256r1"]);
    let client = Config::client(&Settings { choices, ..client_of(&ca) }).unwrap();
    let mut pair = Pair::of(&client, &server, "a.example");
    pair.pass_in(3);
    pair.shake_hands();
    let sent = pair.server.sent.len();
    assert!(sent > 0 && pair.client.sent.len() > 500, "no second hello: {sent}");
}

#[test]
fn what_is_no_hello_is_told_as_without_names() {
    let ca = Ca::new("root");
    let plain = Config::server(&server_of(&ca.leaf(&[OWN]))).unwrap();
    let named = serving(&ca, &["a.example"]);
    let mut hello = Pair::of(&Config::client(&client_of(&ca)).unwrap(), &plain, OWN).client.take();
    let mut damaged = hello.clone();
    let middle = damaged.len() / 2;
    damaged[middle..].fill(0xff);
    hello[5] = 2;
    let empty = [22, 3, 3, 0, 0];
    let long = [22, 3, 3, 0, 4, 1, 1, 0, 0];
    let alert = [21, 3, 3, 0, 2, 2, 40];
    let data = [23, 3, 3, 0, 2, 2, 40];
    let old = [22, 3, 1, 0, 6, 1, 0, 0, 2, 3, 1];
    let cases: [&[u8]; 9] = [
        &hello,
        &damaged,
        &empty,
        &long,
        &alert,
        &data,
        b"GET / HTTP/1.0\r\n",
        b"\x80\x2e\x01",
        &old,
    ];
    for bytes in cases {
        let [without, with] = [&plain, &named].map(|config| {
            let mut end = End::new(Session::server(config).unwrap());
            end.feed(bytes);
            (end.failure.map(|error| error.to_string()), end.out)
        });
        assert_eq!(without, with, "{bytes:?}");
        assert!(with.0.is_some() || bytes == &empty[..], "{bytes:?}");
    }
}

#[test]
fn a_hello_that_never_ends_has_a_bound() {
    let ca = Ca::new("root");
    let mut end = End::new(Session::server(&serving(&ca, &["a.example"])).unwrap());
    // It says that it has 65,535 bytes, and comes in records of one.
    end.feed(&[22, 3, 1, 0, 4, 1, 0, 0xff, 0xff]);
    while end.failure.is_none() {
        assert!(end.out.is_empty() && end.cipher.len() <= TLS_WAITING);
        end.feed(&[22, 3, 1, 0, 1, 0]);
    }
    assert!(end.cipher.len() > TLS_WAITING - 16);
}

#[test]
fn a_name_may_ask_for_certificates_and_have_a_version_of_its_own() {
    let (ca, theirs) = (Ca::new("root"), Ca::new("clients"));
    let own = Config::server(&server_of(&ca.leaf(&[OWN]))).unwrap();
    let strict = Settings {
        client_auth: ClientAuth::Require,
        ca: Some(pem("ca", &theirs.pem)),
        min_version: Version::Tls13,
        ..server_of(&ca.leaf(&["a.example"]))
    };
    let others = [("a.example".to_owned(), Config::server(&strict).unwrap())];
    let server = own.with_servers(&others).unwrap();
    let meet = |settings: &Settings, host: &str| {
        let mut pair = Pair::of(&Config::client(settings).unwrap(), &server, host);
        pair.pass();
        match pair.server.failure {
            Some(error) => Err(error.code()),
            None => Ok(pair.server.session.facts().verified),
        }
    };
    let plain = client_of(&ca);
    let known = with_identity(plain.clone(), &client_identity(&theirs));
    let stranger = with_identity(plain.clone(), &client_identity(&ca));
    assert_eq!(meet(&plain, OWN), Ok(Verified::No));
    assert_eq!(meet(&known, OWN), Ok(Verified::No));
    assert_eq!(meet(&known, "a.example"), Ok(Verified::Yes));
    assert_eq!(meet(&plain, "a.example"), Err(Code::TlsClientCertRequired));
    assert_eq!(meet(&stranger, "a.example"), Err(Code::TlsUnknownIssuer));
    let old = Settings { max_version: Version::Tls12, ..known };
    assert_eq!(meet(&old, OWN), Ok(Verified::No));
    assert_eq!(meet(&old, "a.example"), Err(Code::TlsVersion));
}

/// Who gives out whatever session there is, whoever is to be connected to, as an attacker would.
#[derive(Debug)]
struct Mixed(ClientSessionMemoryCache);

fn anybody() -> ServerName<'static> {
    ServerName::try_from("anybody.example").unwrap()
}

impl ClientSessionStore for Mixed {
    fn set_kx_hint(&self, _: ServerName<'static>, _: NamedGroup) {}

    fn kx_hint(&self, _: &ServerName<'_>) -> Option<NamedGroup> {
        None
    }

    fn set_tls12_session(
        &self,
        _: ServerName<'static>,
        value: rustls::client::Tls12ClientSessionValue,
    ) {
        self.0.set_tls12_session(anybody(), value);
    }

    fn tls12_session(&self, _: &ServerName<'_>) -> Option<rustls::client::Tls12ClientSessionValue> {
        self.0.tls12_session(&anybody())
    }

    fn remove_tls12_session(&self, _: &ServerName<'static>) {
        self.0.remove_tls12_session(&anybody());
    }

    fn insert_tls13_ticket(
        &self,
        _: ServerName<'static>,
        value: rustls::client::Tls13ClientSessionValue,
    ) {
        self.0.insert_tls13_ticket(anybody(), value);
    }

    fn take_tls13_ticket(
        &self,
        _: &ServerName<'static>,
    ) -> Option<rustls::client::Tls13ClientSessionValue> {
        self.0.take_tls13_ticket(&anybody())
    }
}

#[test]
fn a_ticket_of_one_name_is_none_for_another_whatever_a_client_says() {
    let (ca, theirs) = (Ca::new("root"), Ca::new("clients"));
    let both = ca.leaf(&["a.example", "b.example", OWN]);
    let own = Config::server(&server_of(&both)).unwrap();
    let asking = Settings {
        client_auth: ClientAuth::Require,
        ca: Some(pem("ca", &theirs.pem)),
        ..server_of(&both)
    };
    let others = [
        ("a.example".to_owned(), Config::server(&server_of(&both)).unwrap()),
        ("b.example".to_owned(), Config::server(&asking).unwrap()),
    ];
    let server = own.with_servers(&others).unwrap();
    for version in BOTH {
        let resumption = Resumption::store(Arc::new(Mixed(ClientSessionMemoryCache::new(8))));
        let client =
            Raw::client_config(version, &ca, None, |config| config.resumption = resumption);
        let meet = |host: &str| {
            let mut client = Raw::of_client(&client, host);
            let mut end = End::new(Session::server(&server).unwrap());
            client.join(&mut end);
            let kind = client.connection.handshake_kind();
            if let Some(error) = end.failure {
                return Err(error.code());
            }
            assert_eq!(end.session.facts().resumed, kind == Some(HandshakeKind::Resumed));
            Ok(end.session.facts().resumed)
        };
        for host in ["a.example", OWN] {
            assert_eq!(meet(host), Ok(false), "{version:?} {host}");
            assert_eq!(meet(host), Ok(true), "{version:?} {host}");
            assert_eq!(meet("b.example"), Err(Code::TlsClientCertRequired), "{version:?} {host}");
        }
        assert_eq!(meet("a.example"), Ok(false), "{version:?}");
        assert_eq!(meet(OWN), Ok(false), "{version:?}");
    }
}

#[test]
fn a_ticket_of_before_is_none_for_a_server_with_other_trust_or_made_anew() {
    let (ca, theirs) = (Ca::new("root"), Ca::new("clients"));
    let leaf = ca.leaf(&[OWN]);
    let asking = |auth, ca: &Ca| Settings {
        client_auth: auth,
        ca: Some(pem("ca", &ca.pem)),
        ..server_of(&leaf)
    };
    let before = asking(ClientAuth::Require, &theirs);
    for max_version in VERSIONS {
        let plain = Settings { max_version, ..client_of(&ca) };
        let client = Config::client(&with_identity(plain, &client_identity(&theirs))).unwrap();
        let meet = |server: &Arc<Config>| {
            let mut pair = Pair::of(&client, server, OWN);
            pair.pass();
            let facts = pair.server.session.facts();
            pair.server.failure.map_or(Ok((facts.resumed, facts.verified)), |why| Err(why.code()))
        };
        let old = Config::server(&before).unwrap();
        assert_eq!(meet(&old), Ok((false, Verified::Yes)));
        assert_eq!(meet(&old), Ok((true, Verified::Yes)));
        for (after, outcome) in [
            (asking(ClientAuth::Require, &ca), Err(Code::TlsUnknownIssuer)),
            (asking(ClientAuth::Request, &ca), Err(Code::TlsUnknownIssuer)),
            (server_of(&leaf), Ok((false, Verified::No))),
            (before.clone(), Ok((false, Verified::Yes))),
        ] {
            let old = Config::server(&before).unwrap();
            meet(&old).unwrap();
            assert_eq!(meet(&old), Ok((true, Verified::Yes)));
            assert_eq!(meet(&Config::server(&after).unwrap()), outcome, "{max_version:?}");
        }
    }
}

#[test]
fn a_resumed_session_is_judged_by_the_date_of_today() {
    let (ca, theirs) = (Ca::new("root"), Ca::new("clients"));
    let soon = |mut params: rcgen::CertificateParams, ca: &Ca| {
        params.not_after = (std::time::SystemTime::now() + Duration::from_secs(2)).into();
        ca.sign(&params, &any_key())
    };
    let mut of_client = leaf_params(&["client.example"]);
    of_client.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    let asking = |identity: &Identity| {
        Config::server(&Settings {
            client_auth: ClientAuth::Require,
            ca: Some(pem("ca", &theirs.pem)),
            ..server_of(identity)
        })
        .unwrap()
    };
    let (lasting, lasting_client) = (ca.leaf(&[OWN]), client_identity(&theirs));
    let mut cases = Vec::new();
    for max_version in VERSIONS {
        let plain = Settings { max_version, ..client_of(&ca) };
        let client_with =
            |identity: &Identity| Config::client(&with_identity(plain.clone(), identity)).unwrap();
        let short = soon(leaf_params(&[OWN]), &ca);
        cases.push((client_with(&lasting_client), asking(&short), true));
        let short = soon(of_client.clone(), &theirs);
        cases.push((client_with(&short), asking(&lasting), false));
    }
    let meet = |client: &Arc<Config>, server: &Arc<Config>| {
        let mut pair = Pair::of(client, server, OWN);
        pair.pass();
        pair
    };
    for (client, server, _) in &cases {
        meet(client, server).shake_hands();
        let pair = meet(client, server);
        assert!(pair.client.session.facts().resumed && pair.server.session.facts().resumed);
    }
    std::thread::sleep(Duration::from_millis(3100));
    for (client, server, is_servers) in &cases {
        let pair = meet(client, server);
        let [judge, other] = match is_servers {
            true => [&pair.client, &pair.server],
            false => [&pair.server, &pair.client],
        };
        assert_eq!(judge.failure.as_ref().map(evsock::error::Error::code), Some(Code::TlsExpired));
        assert!(!judge.session.is_secured() && !judge.session.has_agreed());
        assert!(other.session.facts().resumed);
        if *is_servers {
            // It is asked anew for its certificate, though it would go on with sessions of before.
            let renewed = server.with_names(&[(OWN.to_owned(), asking(&lasting))], false).unwrap();
            let pair = meet(client, &renewed);
            assert!(pair.client.session.is_secured() && !pair.client.session.facts().resumed);
        }
    }
}

#[test]
fn clients_of_the_same_settings_share_what_may_be_resumed_and_no_others() {
    let ca = Ca::new("root");
    let server = Config::server(&server_of(&ca.leaf(&[OWN]))).unwrap();
    let mut kept = Kept::default();
    for max_version in VERSIONS {
        let settings = Settings { max_version, ..client_of(&ca) };
        let resumed: Vec<bool> = (0..3)
            .map(|_| {
                let client = kept.client(&settings.clone()).unwrap();
                let mut pair = Pair::of(&client, &server, OWN);
                pair.shake_hands();
                pair.client.session.facts().resumed
            })
            .collect();
        assert_eq!(resumed, [false, true, true], "{max_version:?}");
    }
    let identity = ca.leaf(&["client.example"]);
    let other_key = ca.leaf(&["client.example"]);
    let plain = client_of(&ca);
    let with = |change: &dyn Fn(&mut Settings)| {
        let mut settings = with_identity(plain.clone(), &identity);
        change(&mut settings);
        settings
    };
    let different = [
        plain.clone(),
        with(&|_| ()),
        with(&|settings| settings.verify = false),
        with(&|settings| settings.insecure_name = true),
        with(&|settings| settings.server_name = Some("x.example".to_owned())),
        with(&|settings| settings.ca = None),
        with(&|settings| settings.ca = Some(pem("other.pem", &ca.pem))),
        with(&|settings| settings.ca = Some(pem("cafile ca.pem", &format!("{}\n", ca.pem)))),
        with(&|settings| settings.ca = Some(pem("cafile ca.pem", &Ca::new("root").pem))),
        with_identity(plain.clone(), &other_key),
        with(&|settings| settings.password = Some(Password(b"x".to_vec()))),
        with(&|settings| settings.alpn = vec![b"ab".to_vec()]),
        with(&|settings| settings.alpn = vec![b"a".to_vec(), b"b".to_vec()]),
        with(&|settings| settings.min_version = Version::Tls13),
        with(&|settings| settings.max_version = Version::Tls12),
        with(&|settings| settings.choices.groups = Some(vec!["X25519".to_owned()])),
        with(&|settings| settings.choices.resumes = false),
    ];
    let made: Vec<_> = different.iter().map(|settings| kept.client(settings).unwrap()).collect();
    for (place, settings) in different.iter().enumerate() {
        let again = kept.client(settings).unwrap();
        let same: Vec<usize> =
            (0..made.len()).filter(|other| Arc::ptr_eq(&again, &made[*other])).collect();
        assert_eq!(same, [place]);
    }
}

#[test]
fn of_kept_clients_there_is_a_bound_and_the_one_not_used_for_longest_goes() {
    let ca = Ca::new("root");
    let mut kept = Kept::default();
    let mut get = |number: usize| {
        let server_name = Some(format!("name{number}.example"));
        kept.client(&Settings { server_name, ..client_of(&ca) }).unwrap()
    };
    let first: Vec<_> = (0..64).map(&mut get).collect();
    assert!((0..64).all(|number| Arc::ptr_eq(&get(number), &first[number])));
    assert!(Arc::ptr_eq(&get(0), &first[0]));
    get(64);
    assert!(Arc::ptr_eq(&get(0), &first[0]) && Arc::ptr_eq(&get(63), &first[63]));
    assert!(!Arc::ptr_eq(&get(1), &first[1]));
    assert_eq!(Arc::strong_count(&first[1]), 1);
    assert!(kept.client(&Settings { server_name: Some("a b".into()), ..client_of(&ca) }).is_err());
}

#[test]
fn a_server_that_looks_at_names_takes_what_others_take() {
    let ca = Ca::new("root");
    let server = serving(&ca, &["a.example"]);
    for version in BOTH {
        let identity = Some(certified(&client_identity(&ca)));
        for host in ["a.example", OWN] {
            let mut client = Raw::client(version, &ca, identity.clone(), host);
            client.say(b"hello");
            let mut end = End::new(Session::server(&server).unwrap());
            client.join(&mut end);
            assert_eq!((end.failure, client.failure), (None, None));
            assert_eq!(end.plain, b"hello");
        }
    }
}
