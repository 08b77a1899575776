//! A talk between one of our ends and a player, and how it has to end.
//!
//! Not here: what is said; that is each test's. After every talk that ends, an honest peer must find
//! the same settings in order.

use std::sync::Arc;

use evsock::error::Code;
use evsock::tls::{ClientAuth, Config, Session, Settings};
use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair};
use rustls::pki_types::PrivateKeyDer;
use rustls::pki_types::pem::PemObject;

use super::player::{DATA, Hello, Player};
use super::raw::chain_of;
use super::{Ca, End, Identity, Pair, client_of, pem, server_of, with_identity};

pub const HOST: &str = "a.example";

/// How a talk ends.
#[derive(Clone, Copy, Debug)]
pub enum Ends {
    /// With that code at our end, which tells the player that alert.
    With(Code, u8),
    /// The same without an alert.
    Silently(Code),
    /// The same, whatever the player is told.
    Coded(Code),
    /// Not at all: data go both ways.
    On,
    /// Our end waits for more.
    Waits,
}

pub struct Talk {
    pub player: Player,
    pub end: End,
    pub chain: Vec<Vec<u8>>,
    pub key: EcdsaKeyPair,
    client: Arc<Config>,
    server: Arc<Config>,
    /// Whether the handshake had succeeded.
    is_done: bool,
}

fn key_of(identity: &Identity) -> EcdsaKeyPair {
    let key = PrivateKeyDer::from_pem_slice(identity.key.as_bytes()).unwrap();
    let (kind, chance) = (&ECDSA_P256_SHA256_ASN1_SIGNING, SystemRandom::new());
    EcdsaKeyPair::from_pkcs8(kind, key.secret_der(), &chance).unwrap()
}

impl Talk {
    fn new(settings: [&Settings; 2], with_server: bool, is_new: bool, identity: &Identity) -> Self {
        let client = Config::client(settings[0]).unwrap();
        let server = Config::server(settings[1]).unwrap();
        let (player, end) = if with_server {
            (Player::client(is_new), End::new(Session::server(&server).unwrap()))
        } else {
            let mut end = End::new(Session::client(&client, HOST).unwrap());
            end.session.start(&mut end.out).unwrap();
            (Player::server(is_new), end)
        };
        let (chain, key) = (chain_of(identity), key_of(identity));
        let chain = chain.iter().map(|one| one.to_vec()).collect();
        Self { player, end, chain, key, client, server, is_done: false }
    }

    /// With a server of ours.
    pub fn with_server(is_new: bool) -> Self {
        let ca = Ca::new("root");
        let identity = ca.leaf(&[HOST]);
        Self::new([&client_of(&ca), &server_of(&identity)], true, is_new, &identity)
    }

    /// With a server of ours that asks for certificates.
    pub fn with_strict_server(is_new: bool) -> Self {
        Self::with_strict_server_of("root", is_new)
    }

    /// The same with an authority that nobody else knows.
    pub fn with_stranger() -> Self {
        Self::with_strict_server_of("another root", true)
    }

    fn with_strict_server_of(name: &str, is_new: bool) -> Self {
        let ca = Ca::new(name);
        let mut params = super::leaf_params(&[HOST]);
        params.extended_key_usages.push(rcgen::ExtendedKeyUsagePurpose::ClientAuth);
        let identity = ca.sign(&params, &super::any_key());
        let settings = Settings {
            ca: Some(pem("cafile", &ca.pem)),
            client_auth: ClientAuth::Require,
            ..server_of(&identity)
        };
        let client = with_identity(client_of(&ca), &identity);
        Self::new([&client, &settings], true, is_new, &identity)
    }

    /// With a client of ours, whose hello has been heard.
    pub fn with_client(is_new: bool) -> Self {
        let ca = Ca::new("root");
        let identity = ca.leaf(&[HOST]);
        Self::with_client_of(&ca, &identity, is_new)
    }

    /// The same; it trusts that authority, and the player has that certificate.
    pub fn with_client_of(ca: &Ca, identity: &Identity, is_new: bool) -> Self {
        Self::heard([&client_of(ca), &server_of(identity)], is_new, identity)
    }

    /// The same; it offers that protocol.
    pub fn with_client_that_offers(protocol: &[u8], is_new: bool) -> Self {
        let ca = Ca::new("root");
        let identity = ca.leaf(&[HOST]);
        let alpn = |settings| Settings { alpn: vec![protocol.to_vec()], ..settings };
        let settings = [&alpn(client_of(&ca)), &alpn(server_of(&identity))];
        Self::heard(settings, is_new, &identity)
    }

    fn heard(settings: [&Settings; 2], is_new: bool, identity: &Identity) -> Self {
        let mut talk = Self::new(settings, false, is_new, identity);
        talk.pass();
        talk
    }

    pub fn pass(&mut self) {
        self.player.join(&mut self.end);
        self.is_done |= self.end.session.has_agreed();
    }

    /// Says the hello, with changes.
    pub fn hello(&mut self, change: impl FnOnce(&mut Hello)) {
        let mut hello = self.player.hello();
        change(&mut hello);
        self.player.tell(1, &hello.of_client());
        self.pass();
    }

    /// The whole handshake, or its rest.
    pub fn shake_hands(&mut self) {
        self.hello(|_| ());
        self.go_on();
    }

    /// What a client says after its hello.
    pub fn go_on(&mut self) {
        if self.player.is_new {
            self.player.finish();
        } else {
            self.player.client_key();
            self.player.change();
            self.player.finish();
        }
        self.pass();
    }

    /// Says the messages of a server up to that one: of 1.3 the hello (1), the extensions, the
    /// certificate, its proof, the end (5); of 1.2 the hello (1), the certificate, the key, the end of
    /// the hello, the change of keys, the end (6).
    pub fn serve(&mut self, steps: std::ops::RangeInclusive<usize>) {
        for step in steps {
            match (self.player.is_new, step) {
                (_, 1) => self.player.say_hello(),
                (true, 2) => self.player.tell(8, &[0, 0]),
                (true, 3) | (false, 2) => self.player.certificate(&self.chain),
                (true, 4) => self.player.verify(&self.key),
                (false, 3) => {
                    let body = self.player.key_exchange(&self.key);
                    self.player.tell(12, &body);
                }
                (false, 4) => self.player.tell(14, &[]),
                (false, 5) => self.player.change(),
                (true, 5) | (false, 6) => self.player.finish(),
                _ => unreachable!(),
            }
            self.pass();
        }
    }

    /// The whole handshake of a server.
    pub fn serve_all(&mut self) {
        self.serve(1..=if self.player.is_new { 5 } else { 6 });
    }

    #[track_caller]
    pub fn check(mut self, ends: Ends) {
        let failure = self.end.failure.clone();
        let code = failure.as_ref().map(evsock::error::Error::code);
        let seen = (code, self.player.last_alert());
        match ends {
            Ends::With(code, alert) => assert_eq!(seen, (Some(code), Some(alert)), "{failure:?}"),
            Ends::Silently(code) => assert_eq!(seen, (Some(code), None), "{failure:?}"),
            Ends::Coded(code) => assert_eq!(seen.0, Some(code), "{failure:?}"),
            Ends::On => return self.check_data(),
            Ends::Waits => {
                assert_eq!(seen, (None, None));
                assert!(!self.end.session.is_secured());
            }
        }
        if let Some(failure) = failure {
            assert!(!self.end.session.is_secured());
            assert!(failure.message().starts_with("tls: "));
            self.end.feed(&[23, 3, 3, 0, 1, 0]);
            assert_eq!(self.end.take(), b"", "said after the end");
        }
        assert_eq!(self.end.session.has_agreed(), self.is_done);
        assert!(self.is_done || self.end.plain.is_empty(), "payload of a stranger");
        Pair::of(&self.client, &self.server, HOST).shake_hands();
    }

    #[track_caller]
    fn check_data(&mut self) {
        assert_eq!(self.end.failure, None);
        assert!(self.end.session.is_secured());
        self.end.plain.clear();
        self.player.say(DATA, b"there");
        self.pass();
        assert_eq!((&self.end.plain[..], &self.end.failure), (&b"there"[..], &None));
        let before = self.player.data().len();
        self.end.session.encrypt(&[b"and back"], &mut self.end.out).unwrap();
        self.pass();
        assert_eq!(self.player.data()[before..], b"and back"[..]);
    }
}
