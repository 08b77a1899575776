//! Peers that are known by their fingerprints, in both roles and both versions.
//!
//! Not here: how a fingerprint is written (`tls::fingerprint`), what a script sees (`tls_fingerprint_spec.lua`).
#![allow(clippy::unwrap_used)]

mod tls_kit;

use std::sync::Arc;

use evsock::error::Code;
use evsock::tls::{ClientAuth, Config, Fingerprint, PeerCertificate, Settings, Verified, Version};
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair, date_time_ymd};
use rustls::pki_types::CertificateDer;
use rustls::sign::CertifiedKey;
use rustls::{SignatureAlgorithm, SignatureScheme};

use tls_kit::meeting::{HOST, begin, meet, serve_as};
use tls_kit::raw::{BOTH, LyingKey, LyingSigner, Raw, certified, chain_of};
use tls_kit::surgery::{content, loose, operated, sequence, tlv};
use tls_kit::{
    Ca, Identity, Pair, any_key, client_of, key_of, leaf_params, named, pem, rsa_key, server_of,
};

const DEVICES: usize = 50;

/// A device with a certificate that it has signed itself, for no host, and its key.
struct Device {
    key: KeyPair,
    params: CertificateParams,
    identity: Identity,
}

impl Device {
    fn new(number: usize) -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.distinguished_name = named(&format!("panel {number}"));
        Self::with(params, any_key())
    }

    fn with(params: CertificateParams, key: KeyPair) -> Self {
        let chain = params.self_signed(&key).unwrap().pem();
        let identity = Identity { chain, key: key.serialize_pem() };
        Self { key, params, identity }
    }

    fn certified(&self) -> CertifiedKey {
        certified(&self.identity)
    }

    /// Its certificate, shown by whoever has another key.
    fn shown_with(&self, key: &KeyPair) -> CertifiedKey {
        certified(&Identity { key: key.serialize_pem(), ..self.identity.clone() })
    }
}

fn of_chain(chain: &CertifiedKey) -> Fingerprint {
    Fingerprint::of(&chain.cert[0])
}

fn of(identity: &Identity) -> Fingerprint {
    Fingerprint::of(&chain_of(identity)[0])
}

fn knowing(known: &[Fingerprint]) -> Settings {
    Settings { fingerprints: Some(known.to_vec()), ..Settings::default() }
}

fn asking(known: &[Fingerprint], client_auth: ClientAuth) -> Settings {
    Settings { client_auth, ..knowing(known) }
}

/// What a client and a server, who both know these, say to somebody in each version.
#[track_caller]
fn verdict(known: &[Fingerprint], peer: &CertifiedKey) -> Result<Verified, Code> {
    let met = BOTH.map(|version| meet(&knowing(known), Raw::server(version, peer.clone()), HOST));
    assert_eq!(met[0], met[1], "versions differ");
    let served = serve_as(&asking(known, ClientAuth::Require), Some(peer));
    assert_eq!(met[0], served, "roles differ");
    assert_eq!(serve_as(&asking(known, ClientAuth::Request), Some(peer)), served);
    served
}

#[test]
fn fifty_devices_are_known_by_one_list_and_the_key_of_one_signs_nothing_for_another() {
    let devices: Vec<Device> = (0..DEVICES).map(Device::new).collect();
    let known: Vec<Fingerprint> = devices.iter().map(|device| of(&device.identity)).collect();
    for (number, device) in devices.iter().enumerate() {
        let met = meet(&knowing(&known), Raw::server(BOTH[number % 2], device.certified()), HOST);
        assert_eq!(met, Ok(Verified::Fingerprint));
    }
    let (stolen, other) = (&devices[7], &devices[31]);
    assert_eq!(verdict(&known, &stolen.certified()), Ok(Verified::Fingerprint));
    // The certificate of the other, which is public, with the stolen key.
    assert_eq!(verdict(&known, &other.shown_with(&stolen.key)), Err(Code::TlsBadSignature));
    // A certificate in the name of the other, signed with the stolen key; with the stolen certificate
    // behind it, and with that of the other.
    let thief = any_key();
    let issuer = Issuer::from_params(&stolen.params, &stolen.key);
    let chain = other.params.signed_by(&thief, &issuer).unwrap().pem();
    for above in ["", &*stolen.identity.chain, &*other.identity.chain] {
        let forged = Identity { chain: format!("{chain}{above}"), key: thief.serialize_pem() };
        assert_eq!(verdict(&known, &certified(&forged)), Err(Code::TlsFingerprint));
    }
    // Its own name again, for a new key.
    let anew = Device::with(stolen.params.clone(), any_key());
    assert_eq!(verdict(&known, &anew.certified()), Err(Code::TlsFingerprint));
    // The same key in another certificate.
    let again =
        Device::with(other.params.clone(), KeyPair::from_pem(&stolen.identity.key).unwrap());
    assert_eq!(verdict(&known, &again.certified()), Err(Code::TlsFingerprint));
}

#[test]
fn a_wrong_key_with_the_right_certificate_is_refused_whatever_the_kind_of_key() {
    let kinds: [(KeyPair, KeyPair); 4] = [
        (any_key(), any_key()),
        (key_of(&rcgen::PKCS_ECDSA_P384_SHA384), any_key()),
        (key_of(&rcgen::PKCS_ED25519), key_of(&rcgen::PKCS_ED25519)),
        (rsa_key(), any_key()),
    ];
    for (key, wrong) in kinds {
        let device = Device::with(CertificateParams::default(), key);
        let known = [of(&device.identity)];
        assert_eq!(verdict(&known, &device.certified()), Ok(Verified::Fingerprint));
        let refused = verdict_of_thief(&known, &device.shown_with(&wrong));
        assert!(refused, "another key was taken");
    }
}

/// Whether somebody with a wrong key ends in an error whichever end we are; some kinds of key don't fit
/// the certificate so badly that rustls says so first.
fn verdict_of_thief(known: &[Fingerprint], thief: &CertifiedKey) -> bool {
    BOTH.iter()
        .all(|version| meet(&knowing(known), Raw::server(version, thief.clone()), HOST).is_err())
        && serve_as(&asking(known, ClientAuth::Require), Some(thief)).is_err()
}

#[test]
fn a_chain_that_would_verify_is_refused_if_it_is_another() {
    let ca = Ca::new("root");
    let (right, other) = (ca.leaf(&[HOST]), ca.leaf(&[HOST]));
    // What is given as `ca` lets nobody in beside the fingerprint.
    let both = |client_auth| Settings {
        ca: Some(pem("ca", &format!("{}{}", ca.pem, other.chain))),
        ..asking(&[of(&right)], client_auth)
    };
    for version in BOTH {
        let met = |identity: &Identity| {
            meet(&both(ClientAuth::None), Raw::server(version, certified(identity)), HOST)
        };
        assert_eq!(met(&right), Ok(Verified::Fingerprint));
        assert_eq!(met(&other), Err(Code::TlsFingerprint));
    }
    for auth in [ClientAuth::Request, ClientAuth::Require] {
        assert_eq!(serve_as(&both(auth), Some(&certified(&right))), Ok(Verified::Fingerprint));
        assert_eq!(serve_as(&both(auth), Some(&certified(&other))), Err(Code::TlsFingerprint));
    }
    // The fingerprint of its issuer is none of its own.
    let root =
        Fingerprint::of(&chain_of(&Identity { chain: ca.pem.clone(), key: String::new() })[0]);
    assert_eq!(verdict(&[root], &certified(&right)), Err(Code::TlsFingerprint));
}

#[test]
fn dates_names_purposes_and_issuers_are_not_looked_at() {
    let ca = Ca::new("stranger");
    let changed = |change: fn(&mut CertificateParams)| {
        let mut params = leaf_params(&["b.example"]);
        change(&mut params);
        ca.sign(&params, &any_key())
    };
    for (what, identity) in [
        ("for another host", changed(|_| ())),
        (
            "expired",
            changed(|params| {
                params.not_before = date_time_ymd(2001, 1, 1);
                params.not_after = date_time_ymd(2002, 1, 1);
            }),
        ),
        ("not yet valid", changed(|params| params.not_before = date_time_ymd(3000, 1, 1))),
        ("for no host", changed(|params| params.subject_alt_names.clear())),
        (
            "for another purpose",
            changed(|params| {
                params.extended_key_usages = vec![rcgen::ExtendedKeyUsagePurpose::CodeSigning];
            }),
        ),
        (
            "an authority's own",
            changed(|params| {
                params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
            }),
        ),
    ] {
        let met = verdict(&[of(&identity)], &certified(&identity));
        assert_eq!(met, Ok(Verified::Fingerprint), "{what}");
    }
}

#[test]
fn certificates_against_the_rules_are_known_too_and_not_without_their_key() {
    let own = Ca::new("root").leaf(&[HOST]);
    let odd = |operate: fn(&mut Vec<Vec<u8>>)| {
        let der = CertificateDer::from(operated(&own, operate));
        CertifiedKey::new(vec![der], certified(&own).key)
    };
    for (what, odd) in [
        (
            "version 1",
            odd(|body| {
                body.remove(0);
                body.truncate(6);
            }),
        ),
        ("a length as in BER", odd(|body| body[5] = loose(0x30, content(&body[5])))),
        ("two algorithms that differ", odd(|body| body[2] = vec![0x30, 3, 6, 1, 42])),
        (
            "dates that nobody can read",
            odd(|body| {
                body[4] = sequence(&[tlv(0x17, b"once"), tlv(0x17, b"never")]);
            }),
        ),
    ] {
        let known = [of_chain(&odd)];
        assert_eq!(verdict(&known, &odd), Ok(Verified::Fingerprint), "{what}");
        let scheme = LyingSigner(SignatureScheme::ECDSA_NISTP256_SHA256, SignatureAlgorithm::ECDSA);
        let thief = CertifiedKey::new(odd.cert.clone(), Arc::new(scheme));
        assert_eq!(verdict(&known, &thief), Err(Code::TlsBadSignature), "{what}");
    }
    // What has no key that could be checked proves nothing.
    let key = certified(&own).key;
    let none = CertifiedKey::new(vec![b"garbage".to_vec().into()], key);
    assert_eq!(verdict(&[of_chain(&none)], &none), Err(Code::TlsBadCertificate));
    let short = LyingKey::of_bits(1024);
    let params = CertificateParams::default();
    let der = params.self_signed(&short).unwrap().der().clone();
    let scheme = LyingSigner(SignatureScheme::RSA_PSS_SHA256, SignatureAlgorithm::RSA);
    let short = CertifiedKey::new(vec![der], Arc::new(scheme));
    assert_eq!(verdict(&[of_chain(&short)], &short), Err(Code::TlsWeak));
}

#[test]
fn a_client_that_may_come_without_a_certificate_is_not_verified() {
    let known = [of(&Device::new(1).identity)];
    let asks = |auth| asking(&known, auth);
    assert_eq!(serve_as(&asks(ClientAuth::Request), None), Ok(Verified::No));
    assert_eq!(serve_as(&asks(ClientAuth::Require), None), Err(Code::TlsClientCertRequired));
}

#[test]
fn a_refusal_says_which_fingerprint_the_peer_has() {
    let (device, other) = (Device::new(1), Device::new(2));
    let mut client = begin(&knowing(&[of(&other.identity)]), "no host at all");
    Raw::server(BOTH[1], device.certified()).join(&mut client);
    let said = client.failure.unwrap().message().to_owned();
    let wanted = format!(
        "tls: the peer's certificate is another than 'fingerprint' says: it has {};",
        of(&device.identity)
    );
    assert!(said.starts_with(&wanted), "{said}");
}

#[test]
fn what_contradicts_itself_is_refused() {
    let known = [of(&Device::new(1).identity)];
    let own = server_of(&Ca::new("root").leaf(&[HOST]));
    for (settings, why) in [
        (Settings { verify: false, ..knowing(&known) }, "fingerprint and verify = false"),
        (knowing(&[]), "an empty list"),
        (Settings { crl: Some(pem("crl", "")), ..knowing(&known) }, "fingerprint and crl"),
    ] {
        let client = Config::client(&settings).unwrap_err();
        assert!(client.contains(why), "{client}");
        let Settings { cert, key, .. } = own.clone();
        let server = Settings { cert, key, client_auth: ClientAuth::Require, ..settings };
        assert_eq!(Config::server(&server).unwrap_err(), client);
    }
    let damaged = Settings { ca: Some(pem("ca", "no certificate")), ..knowing(&known) };
    assert!(Config::client(&damaged).is_err());
}

/// Of a client and a server that knows it.
fn mutual(device: &Device, version: Version) -> (Settings, Settings) {
    let server = Ca::new("root").leaf(&[HOST]);
    let of_device = server_of(&device.identity);
    let client = Settings {
        cert: of_device.cert,
        key: of_device.key,
        max_version: version,
        ..knowing(&[of(&server)])
    };
    let Settings { cert, key, .. } = server_of(&server);
    let known = [of(&device.identity)];
    (client, Settings { cert, key, ..asking(&known, ClientAuth::Require) })
}

#[test]
fn a_session_is_resumed_under_the_same_fingerprints_only_and_still_shows_the_peer() {
    let device = Device::new(1);
    for version in [Version::Tls12, Version::Tls13] {
        let (client, server) = mutual(&device, version);
        let configs = (Config::client(&client).unwrap(), Config::server(&server).unwrap());
        let mut seen = Vec::new();
        for resumed in [false, true] {
            let mut pair = Pair::of(&configs.0, &configs.1, HOST);
            pair.shake_hands();
            for end in [&pair.client.session, &pair.server.session] {
                let facts = end.facts();
                assert_eq!((facts.resumed, facts.verified), (resumed, Verified::Fingerprint));
                seen.push(end.peer_certificates());
            }
        }
        assert_eq!(seen[..2], seen[2..]);
        let own = PeerCertificate::new(seen[3][0].clone());
        assert_eq!(own.fingerprint, of(&device.identity));

        // Another list at the server, and another at the client: nothing of before counts.
        let other = [of(&Device::new(2).identity)];
        let strict = Settings { fingerprints: Some(other.to_vec()), ..server.clone() };
        let mut pair = Pair::of(&configs.0, &Config::server(&strict).unwrap(), HOST);
        pair.pass();
        assert_eq!(pair.server.failure.unwrap().code(), Code::TlsFingerprint);
        let strict = Settings { fingerprints: Some(other.to_vec()), ..client.clone() };
        let mut pair = Pair::of(&Config::client(&strict).unwrap(), &configs.1, HOST);
        pair.pass();
        assert_eq!(pair.client.failure.unwrap().code(), Code::TlsFingerprint);
    }
}

#[test]
fn the_peer_of_an_unverified_connection_is_told() {
    let ca = Ca::new("root");
    let leaf = ca.leaf(&[HOST, "10.0.0.1"]);
    let anyone = Settings { verify: false, ..Settings::default() };
    for settings in [anyone, client_of(&ca)] {
        let mut pair = Pair::new(&settings, &server_of(&leaf), HOST);
        pair.shake_hands();
        let peer = PeerCertificate::new(pair.client.session.peer_certificates()[0].clone());
        let says = peer.says.unwrap();
        assert_eq!((&*says.subject, &*says.issuer), ("CN=leaf", "CN=root"));
        assert_eq!(says.names, [HOST, "10.0.0.1"]);
        assert_eq!(peer.fingerprint, of(&leaf));
        assert!(says.dates.is_some_and(|(from, to)| from < to));
        assert!(!says.serial.is_empty() && says.serial.len().is_multiple_of(2));
    }
}
