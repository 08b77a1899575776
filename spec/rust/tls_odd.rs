//! Certificates against the rules, as old devices have them: believed where nobody is verified or
//! where they are known by themselves, and even there not without their key.
//!
//! Not here: certificates that keep the rules (`tls_verify.rs`). Every case runs against both versions
//! of TLS.
#![allow(clippy::unwrap_used)]

mod tls_kit;

use std::sync::Arc;

use evsock::error::Code;
use evsock::tls::{ClientAuth, Settings, Verified};
use rcgen::{BasicConstraints, ExtendedKeyUsagePurpose, IsCa, KeyUsagePurpose, PublicKeyData};
use rustls::pki_types::CertificateDer;
use rustls::sign::CertifiedKey;
use rustls::{SignatureAlgorithm, SignatureScheme};

use tls_kit::meeting::{HOST, meet, serve};
use tls_kit::raw::{BOTH, LyingKey, LyingSigner, Raw, TLS12, TLS13, certified};
use tls_kit::surgery::{
    content, extension, extensions, loose, operated, parts, pem_text, sequence, tlv,
};
use tls_kit::{Ca, Identity, any_key, ca_params, leaf_params, pem, rsa_key};

/// 2.5.29.17.
const SAN: &[u8] = &[0x55, 0x1d, 0x11];

type Body = Vec<Vec<u8>>;

/// What is odd, and whether the certificate still has a list of hosts.
type Oddity = (&'static str, bool, fn(&mut Body));

fn oddities() -> Vec<Oddity> {
    let whole = |body: &mut Body| body[5] = loose(0x30, content(&body[5]));
    vec![
        ("version 1", false, version_1),
        ("version 2", false, version_2),
        ("version 2 with extensions", true, |body| body[0] = vec![0xa0, 3, 2, 1, 1]),
        ("version 9", true, |body| body[0] = vec![0xa0, 3, 2, 1, 8]),
        ("an issuerUniqueID", true, |body| body.insert(7, vec![0x81, 2, 0, 0xff])),
        ("a subjectUniqueID", true, |body| body.insert(7, vec![0x82, 2, 0, 0xff])),
        ("a length as in BER", true, whole),
        ("an unknown critical extension", true, |body| {
            extensions(body, |list| list.push(extension(&[0x2a, 3, 4], true, &[5, 0])));
        }),
        ("a doubled extension", true, |body| {
            extensions(body, |list| list.push(list[0].clone()));
        }),
        ("two algorithms that differ", true, |body| body[2] = vec![0x30, 3, 6, 1, 42]),
        ("garbage in place of its hosts", false, |body| {
            extensions(body, |list| *list = vec![extension(SAN, false, b"\x30\x7fgarbage")]);
        }),
        ("dates that nobody can read", false, |body| {
            body[4] = sequence(&[tlv(0x17, b"once"), tlv(0x17, b"never")]);
        }),
    ]
}

fn identity() -> Identity {
    Ca::new("root").leaf(&[HOST])
}

fn odd(identity: &Identity, operate: impl FnOnce(&mut Body)) -> CertifiedKey {
    let der = CertificateDer::from(operated(identity, operate));
    CertifiedKey::new(vec![der], certified(identity).key)
}

/// The same, but whoever shows it has not its key.
fn stolen(
    identity: &CertifiedKey,
    scheme: SignatureScheme,
    kind: SignatureAlgorithm,
) -> CertifiedKey {
    CertifiedKey::new(identity.cert.clone(), Arc::new(LyingSigner(scheme, kind)))
}

fn stolen_elliptic(identity: &CertifiedKey) -> CertifiedKey {
    stolen(identity, SignatureScheme::ECDSA_NISTP256_SHA256, SignatureAlgorithm::ECDSA)
}

fn anyone() -> Settings {
    Settings { verify: false, ..Settings::default() }
}

fn pinning(identity: &CertifiedKey) -> Settings {
    Settings { ca: Some(pem("cafile", &pem_text(&identity.cert[0]))), ..Settings::default() }
}

#[test]
fn whoever_nobody_verifies_may_have_an_odd_certificate() {
    let own = identity();
    for version in BOTH {
        let met =
            |identity: &CertifiedKey| meet(&anyone(), Raw::server(version, identity.clone()), HOST);
        for (what, _, operate) in oddities() {
            let odd = odd(&own, operate);
            assert_eq!(met(&odd), Ok(Verified::No), "{what}");
            assert_eq!(met(&stolen_elliptic(&odd)), Err(Code::TlsBadSignature), "{what}");
        }
        // What is no certificate at all has no key to check anything with.
        for der in [&b"\x30\x00"[..], b"garbage"] {
            let none = CertifiedKey::new(vec![der.to_vec().into()], certified(&own).key);
            assert_eq!(met(&none), Ok(Verified::No));
        }
    }
}

#[test]
fn whoever_nobody_verifies_may_have_a_key_that_nobody_knows() {
    const RSA: SignatureAlgorithm = SignatureAlgorithm::RSA;
    const ECDSA: SignatureAlgorithm = SignatureAlgorithm::ECDSA;
    // 1.3.132.0.35, and one that does not exist, at an elliptic key.
    let curve = |name: &[u8]| {
        let kind = tlv(6, &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01]);
        sequence(&[sequence(&[kind, name.to_vec()]), tlv(3, &[0; 134])])
    };
    let other = |name: &[u8]| sequence(&[sequence(&[tlv(6, name)]), tlv(3, &[0; 58])]);
    let short = |bits| LyingKey::of_bits(bits).subject_public_key_info();
    let p521 = curve(&tlv(6, &[0x2b, 0x81, 0x04, 0x00, 0x23]));
    let own = identity();
    for (what, key, scheme, kind, versions) in [
        ("RSA, 1024 bits", short(1024), SignatureScheme::RSA_PSS_SHA256, RSA, &BOTH[..]),
        ("RSA, 1536 bits", short(1536), SignatureScheme::RSA_PSS_SHA256, RSA, &BOTH),
        ("RSA, 1024 bits", short(1024), SignatureScheme::RSA_PKCS1_SHA256, RSA, &[TLS12]),
        ("RSA, 16384 bits", short(16384), SignatureScheme::RSA_PSS_SHA256, RSA, &BOTH),
        ("P-521", p521.clone(), SignatureScheme::ECDSA_NISTP521_SHA512, ECDSA, &[TLS13]),
        ("P-521", p521, SignatureScheme::ECDSA_NISTP256_SHA256, ECDSA, &[TLS12]),
        (
            "explicit parameters",
            curve(&sequence(&[tlv(2, &[1])])),
            SignatureScheme::ECDSA_NISTP256_SHA256,
            ECDSA,
            &BOTH,
        ),
        ("Ed448", other(&[0x2b, 0x65, 0x71]), SignatureScheme::ED448, ECDSA, &[TLS13]),
        ("PSS", other(&[0x2a, 0x01, 0x0a]), SignatureScheme::Unknown(0x0809), RSA, &[TLS13]),
    ] {
        let odd = odd(&own, |body| body[6] = key.clone());
        for version in versions {
            let peer = stolen(&odd, scheme, kind);
            let met = meet(&anyone(), Raw::server(version, peer.clone()), HOST);
            assert_eq!(met, Ok(Verified::No), "{what}");
            // Elsewhere it has to be proven.
            let met = meet(&pinning(&odd), Raw::server(version, peer), HOST);
            assert!(met.is_err(), "{what}, pinned");
        }
    }
}

#[test]
fn a_known_key_must_have_signed_whatever_the_scheme() {
    use SignatureScheme as S;
    let (elliptic, rsa) = (identity(), Ca::new("root").sign(&leaf_params(&[HOST]), &rsa_key()));
    for (identity, scheme, kind) in [
        (&elliptic, S::ED448, SignatureAlgorithm::ECDSA),
        (&elliptic, S::ECDSA_NISTP384_SHA384, SignatureAlgorithm::ECDSA),
        (&elliptic, S::ECDSA_NISTP521_SHA512, SignatureAlgorithm::ECDSA),
        (&elliptic, S::RSA_PSS_SHA256, SignatureAlgorithm::RSA),
        (&rsa, S::RSA_PSS_SHA256, SignatureAlgorithm::RSA),
        (&rsa, S::Unknown(0x0809), SignatureAlgorithm::RSA),
        (&rsa, S::ECDSA_NISTP256_SHA256, SignatureAlgorithm::ECDSA),
    ] {
        let peer = stolen(&certified(identity), scheme, kind);
        let met = meet(&anyone(), Raw::server(TLS13, peer), HOST);
        assert_eq!(met, Err(Code::TlsBadSignature), "{scheme:?}");
    }
}

#[test]
fn an_rsa_key_without_its_null_is_one_of_rsa() {
    let bare = |body: &mut Body| {
        let mut key = parts(&body[6]);
        key[0] = sequence(&parts(&key[0])[..1]);
        body[6] = sequence(&key);
    };
    let odd = odd(&Ca::new("root").sign(&leaf_params(&[HOST]), &rsa_key()), bare);
    let thief = stolen(&odd, SignatureScheme::RSA_PSS_SHA256, SignatureAlgorithm::RSA);
    for version in BOTH {
        for (settings, verified) in [(anyone(), Verified::No), (pinning(&odd), Verified::Yes)] {
            let met = meet(&settings, Raw::server(version, odd.clone()), HOST);
            assert_eq!(met, Ok(verified));
            let met = meet(&settings, Raw::server(version, thief.clone()), HOST);
            assert_eq!(met, Err(Code::TlsBadSignature));
        }
    }
}

#[test]
fn an_odd_certificate_can_be_known_by_itself() {
    let own = identity();
    for (what, has_hosts, operate) in oddities() {
        let odd = odd(&own, operate);
        let is_dated = what != "dates that nobody can read";
        for version in BOTH {
            let met = |settings: &Settings, identity: &CertifiedKey, host: &str| {
                meet(settings, Raw::server(version, identity.clone()), host)
            };
            let settings = pinning(&odd);
            // One without hosts is for its common name.
            let host = if has_hosts { HOST } else { "leaf" };
            let (good, other) = if is_dated {
                (Ok(Verified::Yes), Err(Code::TlsBadHostname))
            } else {
                (Err(Code::TlsBadCertificate), Err(Code::TlsBadCertificate))
            };
            assert_eq!(met(&settings, &odd, host), good, "{what}");
            assert_eq!(met(&settings, &odd, "b.example"), other, "{what}");
            if is_dated {
                let thief = stolen_elliptic(&odd);
                assert_eq!(met(&settings, &thief, host), Err(Code::TlsBadSignature), "{what}");
            }
            // Nobody else's client and nobody else's settings take it.
            let met =
                met(&Settings { ca: Some(pem("ca", &Ca::new("x").pem)), ..settings }, &odd, host);
            assert!(met.is_err(), "{what}");
        }
        let text = pem_text(&odd.cert[0]);
        let (good, stolen) = if is_dated {
            (Ok(Verified::Yes), Err(Code::TlsBadSignature))
        } else {
            (Err(Code::TlsBadCertificate), Err(Code::TlsBadCertificate))
        };
        assert_eq!(serve(ClientAuth::Require, &text, Some(&odd)), good, "{what}");
        let thief = stolen_elliptic(&odd);
        assert_eq!(serve(ClientAuth::Require, &text, Some(&thief)), stolen, "{what}");
        assert!(serve(ClientAuth::Require, &text, Some(&certified(&own))).is_err(), "{what}");
    }
}

fn by_somebody_else(body: &mut Body) {
    let name = sequence(&[tlv(6, &[0x55, 4, 3]), tlv(12, b"somebody")]);
    body[3] = sequence(&[tlv(0x31, &name)]);
}

fn version_1(body: &mut Body) {
    body.truncate(7);
    body.remove(0);
}

fn version_1_by_somebody_else(body: &mut Body) {
    by_somebody_else(body);
    version_1(body);
}

fn version_2(body: &mut Body) {
    body.truncate(7);
    body[0] = vec![0xa0, 3, 2, 1, 1];
}

#[test]
fn only_authorities_vouch_for_others() {
    let plain = || ca_params("root");
    let with = |is_ca: IsCa, usages: &[KeyUsagePurpose]| {
        let mut params = plain();
        (params.is_ca, params.key_usages) = (is_ca, usages.to_vec());
        params
    };
    let ca = || IsCa::Ca(BasicConstraints::Unconstrained);
    let nothing: fn(&mut Body) = |_| ();
    let sign = [KeyUsagePurpose::KeyCertSign];
    let other = [KeyUsagePurpose::DigitalSignature, KeyUsagePurpose::CrlSign];
    for (what, params, operate, vouches) in [
        ("version 3", with(ca(), &sign), nothing, true),
        ("version 3 without usages", with(ca(), &[]), nothing, true),
        ("version 3 by somebody else", with(ca(), &sign), by_somebody_else, true),
        ("version 3 with other usages", with(ca(), &other), nothing, false),
        ("version 3 that says it is none", with(IsCa::ExplicitNoCa, &sign), nothing, false),
        ("version 3 that says nothing", with(IsCa::NoCa, &sign), nothing, false),
        ("version 1", plain(), version_1, true),
        ("version 1 by somebody else", plain(), version_1_by_somebody_else, false),
        ("version 2", plain(), version_2, false),
    ] {
        let key = any_key();
        let text = key.serialize_pem();
        let root = Ca::with(params, key);
        let shown = Identity { chain: root.pem.clone(), key: text };
        let shown = pem_text(&operated(&shown, operate));
        let settings = Settings { ca: Some(pem("cafile", &shown)), ..Settings::default() };
        let leaf = certified(&root.leaf(&[HOST]));
        let mut params = leaf_params(&["someone"]);
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        let client = certified(&root.sign(&params, &any_key()));
        let verdict = if vouches { Ok(Verified::Yes) } else { Err(Code::TlsUnknownIssuer) };
        for version in BOTH {
            let met = meet(&settings, Raw::server(version, leaf.clone()), HOST);
            assert_eq!(met, verdict, "{what}");
        }
        assert_eq!(serve(ClientAuth::Require, &shown, Some(&client)), verdict, "{what}");
    }
}
