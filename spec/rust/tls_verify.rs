//! Whom a client and a server believe: each refusal with its code, nothing said before it.
//!
//! Not here: how bytes arrive (`tls.rs`). Every case runs against both versions of TLS.
#![allow(clippy::unwrap_used)]

mod tls_kit;

use evsock::error::Code;
use evsock::tls::{ClientAuth, Config, Session, Settings, Verified};
use rcgen::{
    BasicConstraints, CertificateParams, ExtendedKeyUsagePurpose, GeneralSubtree, IsCa, KeyPair,
    KeyUsagePurpose, NameConstraints, PublicKeyData, SanType, date_time_ymd,
};
use rustls::sign::CertifiedKey;
use rustls::{SignatureAlgorithm, SignatureScheme};

use tls_kit::meeting::{HOST, begin, meet, serve, verdicts};
use tls_kit::raw::{BOTH, LyingKey, LyingSigner, Raw, Version, certified, chain_of};
use tls_kit::{
    Ca, Identity, any_key, ca_params, client_of, key_of, leaf_params, named, pem, rsa_key,
    server_of, with_identity,
};

#[track_caller]
fn refuses(what: &str, ca: &Ca, identity: &Identity, code: Code) {
    assert_eq!(verdicts(&client_of(ca), identity, HOST), Err(code), "{what}");
}

#[track_caller]
fn accepts(what: &str, ca: &Ca, identity: &Identity, host: &str) {
    assert_eq!(verdicts(&client_of(ca), identity, host), Ok(Verified::Yes), "{what}");
}

fn changed(ca: &Ca, change: impl FnOnce(&mut CertificateParams)) -> Identity {
    let mut params = leaf_params(&[HOST]);
    change(&mut params);
    ca.sign(&params, &any_key())
}

/// A chain through an authority made with `params`.
fn through(ca: &Ca, params: CertificateParams) -> Identity {
    ca.below(params, any_key()).leaf(&[HOST])
}

#[test]
fn refuses_a_certificate_out_of_its_time() {
    let ca = Ca::new("root");
    let old = |params: &mut CertificateParams| {
        params.not_before = date_time_ymd(2001, 1, 1);
        params.not_after = date_time_ymd(2002, 1, 1);
    };
    let early = |params: &mut CertificateParams| params.not_before = date_time_ymd(3000, 1, 1);
    refuses("expired", &ca, &changed(&ca, old), Code::TlsExpired);
    refuses("not yet", &ca, &changed(&ca, early), Code::TlsNotYetValid);
    let mut params = ca_params("between");
    old(&mut params);
    refuses("an issuer expired", &ca, &through(&ca, params), Code::TlsExpired);
    let mut params = ca_params("between");
    early(&mut params);
    refuses("an issuer not yet", &ca, &through(&ca, params), Code::TlsNotYetValid);
    let backwards = changed(&ca, |params| {
        params.not_before = date_time_ymd(2031, 1, 1);
        params.not_after = date_time_ymd(2030, 1, 1);
    });
    refuses("ends before it begins", &ca, &backwards, Code::TlsExpired);
}

#[test]
fn a_refusal_for_time_or_name_says_which() {
    let ca = Ca::new("root");
    let old = changed(&ca, |params| {
        params.not_before = date_time_ymd(2001, 1, 1);
        params.not_after = date_time_ymd(2002, 2, 3);
    });
    let said = |identity: &Identity| {
        let mut client = begin(&client_of(&ca), HOST);
        Raw::server(BOTH[1], certified(identity)).join(&mut client);
        client.failure.unwrap().message().to_owned()
    };
    assert_eq!(said(&old), "tls: the certificate expired on 2002-02-03 00:00 UTC");
    assert_eq!(
        said(&ca.leaf(&["b.example", "10.0.0.1"])),
        "tls: the certificate is not for a.example but for b.example, 10.0.0.1"
    );
}

#[test]
fn a_chain_in_the_wrong_order_is_told() {
    let ca = Ca::new("root");
    let between = ca.below(ca_params("between"), any_key());
    let leaf = between.leaf(&[HOST]);
    let own = leaf.chain.strip_suffix(&between.above).unwrap();
    let told = (
        Code::TlsBadCertificate,
        "tls: the peer sends its chain in the wrong order: its own certificate must come first",
    );
    for (what, chain) in [
        ("the issuer first", format!("{}{own}", between.pem)),
        ("the root first", format!("{}{}{own}", ca.pem, between.pem)),
        ("the root first, without the issuer's issuer", format!("{}{own}{}", ca.pem, between.pem)),
    ] {
        let turned = Identity { chain, key: leaf.key.clone() };
        for settings in [client_of(&ca), client_of(&Ca::new("another"))] {
            for version in BOTH {
                let mut client = begin(&settings, HOST);
                Raw::server(version, certified(&turned)).join(&mut client);
                let failure = client.failure.unwrap();
                assert_eq!((failure.code(), failure.message()), told, "{what}");
            }
        }
        let (turned, strange) = (certified(&turned), Ca::new("another").pem);
        assert_eq!(serve(ClientAuth::Require, &strange, Some(&turned)), Err(told.0), "{what}");
    }
}

#[test]
fn refuses_another_name() {
    let ca = Ca::new("root");
    let only = |names: &[&str]| ca.leaf(names);
    for (what, names, host) in [
        ("another name", &["b.example"][..], HOST),
        ("a parent", &["example"], HOST),
        ("a child", &["x.a.example"], HOST),
        ("a name in front", &["aa.example"], HOST),
        ("a wildcard too high", &["*.example"], "b.a.example"),
        ("a wildcard too deep", &["*.a.example"], "x.y.a.example"),
        ("a wildcard over a whole domain", &["*.example"], HOST),
        ("a wildcard is no name itself", &["*.a.example"], HOST),
        ("a wildcard in a part", &["*a.example"], HOST),
        ("no name at all", &[], HOST),
        ("an address that is not there", &["10.0.0.1"], "10.0.0.2"),
        ("an address in place of a name", &["10.0.0.1"], HOST),
        ("a name in place of an address", &[HOST], "10.0.0.1"),
        ("another family", &["127.0.0.1"], "::1"),
    ] {
        let met = verdicts(&client_of(&ca), &only(names), host);
        assert_eq!(met, Err(Code::TlsBadHostname), "{what}");
    }
    let common = changed(&ca, |params| {
        params.subject_alt_names.clear();
        params.distinguished_name = named(HOST);
    });
    refuses("a name only in CN", &ca, &common, Code::TlsBadHostname);
    let text = changed(&ca, |params| {
        params.subject_alt_names = vec![SanType::DnsName("10.0.0.1".try_into().unwrap())];
    });
    assert_eq!(
        verdicts(&client_of(&ca), &text, "10.0.0.1"),
        Err(Code::TlsBadHostname),
        "an address as a name"
    );
}

#[test]
fn refuses_a_stranger() {
    let (ca, other) = (Ca::new("root"), Ca::new("other"));
    refuses("unknown issuer", &ca, &other.leaf(&[HOST]), Code::TlsUnknownIssuer);
    let mut sends_its_root = other.leaf(&[HOST]);
    sends_its_root.chain.push_str(&other.pem);
    refuses("unknown root sent along", &ca, &sends_its_root, Code::TlsUnknownIssuer);
    let key = any_key();
    let mut params = leaf_params(&[HOST]);
    let own = Identity { chain: params.self_signed(&key).unwrap().pem(), key: key.serialize_pem() };
    refuses("self-signed", &ca, &own, Code::TlsSelfSigned);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let own = Identity { chain: params.self_signed(&key).unwrap().pem(), key: own.key };
    refuses("an authority signed by itself", &ca, &own, Code::TlsSelfSigned);
    let mut gap = ca.below(ca_params("between"), any_key());
    gap.above.clear();
    refuses("an intermediate left out", &ca, &gap.leaf(&[HOST]), Code::TlsUnknownIssuer);
}

#[test]
fn refuses_issuers_that_may_not_issue() {
    let ca = Ca::new("root");
    let mut params = ca_params("between");
    params.is_ca = IsCa::NoCa;
    refuses("no authority", &ca, &through(&ca, params), Code::TlsBadCertificate);
    let mut params = ca_params("between");
    params.is_ca = IsCa::ExplicitNoCa;
    refuses("CA flag false", &ca, &through(&ca, params), Code::TlsBadCertificate);

    let mut short = ca_params("short");
    short.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    let short = ca.below(short, any_key());
    let long = short.below(ca_params("one too many"), any_key());
    refuses("path length", &ca, &long.leaf(&[HOST]), Code::TlsBadCertificate);

    let only = |names: NameConstraints| {
        let mut params = ca_params("between");
        params.name_constraints = Some(names);
        through(&ca, params)
    };
    let tree = || vec![GeneralSubtree::DnsName("b.example".to_owned())];
    let permitted = NameConstraints { permitted_subtrees: tree(), excluded_subtrees: vec![] };
    refuses("other names only", &ca, &only(permitted), Code::TlsBadCertificate);
    let here = vec![GeneralSubtree::DnsName(HOST.to_owned())];
    let excluded = NameConstraints { permitted_subtrees: vec![], excluded_subtrees: here };
    refuses("not this name", &ca, &only(excluded), Code::TlsBadCertificate);

    let mut params = leaf_params(&[HOST]);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let own = ca.sign(&params, &any_key());
    refuses("an authority as a server", &ca, &own, Code::TlsBadCertificate);
    let odd = changed(&ca, |params| {
        let mut extension = rcgen::CustomExtension::from_oid_content(&[1, 3, 9999, 1], vec![5, 0]);
        extension.set_criticality(true);
        params.custom_extensions.push(extension);
    });
    refuses("an unknown critical extension", &ca, &odd, Code::TlsBadCertificate);
}

#[test]
fn refuses_certificates_made_for_something_else() {
    use ExtendedKeyUsagePurpose as Purpose;

    let ca = Ca::new("root");
    for purpose in [Purpose::ClientAuth, Purpose::CodeSigning, Purpose::OcspSigning] {
        let other = changed(&ca, |params| params.extended_key_usages = vec![purpose.clone()]);
        refuses("purpose", &ca, &other, Code::TlsBadPurpose);
    }
    let mut params = ca_params("mail only");
    params.extended_key_usages = vec![Purpose::EmailProtection];
    refuses("an issuer for mail", &ca, &through(&ca, params), Code::TlsBadPurpose);
}

#[test]
fn refuses_wrong_signatures() {
    let (ca, same_name) = (Ca::new("root"), Ca::new("root"));
    refuses("another of that name", &ca, &same_name.leaf(&[HOST]), Code::TlsBadSignature);

    for version in BOTH {
        let mut flipped = certified(&ca.leaf(&[HOST]));
        let mut der = flipped.cert[0].to_vec();
        *der.last_mut().unwrap() ^= 1;
        flipped.cert[0] = der.into();
        let met = meet(&client_of(&ca), Raw::server(version, flipped), HOST);
        assert_eq!(met, Err(Code::TlsBadSignature), "a flipped bit");

        let stolen = CertifiedKey::new(chain_of(&ca.leaf(&[HOST])), certified_key(&any_key()));
        let met = meet(&client_of(&ca), Raw::server(version, stolen), HOST);
        assert_eq!(met, Err(Code::TlsBadSignature), "a key of another certificate");
    }
}

fn certified_key(key: &KeyPair) -> std::sync::Arc<dyn rustls::sign::SigningKey> {
    let identity = Identity { chain: String::new(), key: key.serialize_pem() };
    certified(&identity).key
}

fn lying(chain: &Identity, version: Version) -> Raw {
    // RSA-PSS with SHA-256, in both versions.
    let signer = LyingSigner(SignatureScheme::RSA_PSS_SHA256, SignatureAlgorithm::RSA);
    Raw::server(version, CertifiedKey::new(chain_of(chain), std::sync::Arc::new(signer)))
}

#[test]
fn refuses_weak_keys() {
    let ca = Ca::new("root");
    for version in BOTH {
        for (bits, code) in [(1024, Code::TlsWeak), (2040, Code::TlsWeak)] {
            let leaf = leaf_params(&[HOST]).signed_by(&LyingKey::of_bits(bits), &ca.issuer);
            let chain = Identity { chain: leaf.unwrap().pem(), key: String::new() };
            assert_eq!(meet(&client_of(&ca), lying(&chain, version), HOST), Err(code), "{bits}");
        }
        let leaf = leaf_params(&[HOST]).signed_by(&LyingKey::of_bits(2048), &ca.issuer);
        let chain = Identity { chain: leaf.unwrap().pem(), key: String::new() };
        let met = meet(&client_of(&ca), lying(&chain, version), HOST);
        assert_eq!(met, Err(Code::TlsBadSignature), "long enough, but not signed with it");
        // What nobody verifies must still be signed.
        let anyone = Settings { verify: false, ..Settings::default() };
        let met = meet(&anyone, lying(&chain, version), HOST);
        assert_eq!(met, Err(Code::TlsBadSignature), "verify = false");
    }
    let weak = ca.below(ca_params("weak"), LyingKey::of_bits(1024));
    refuses("a weak issuer", &ca, &weak.leaf(&[HOST]), Code::TlsWeak);
    assert_eq!(LyingKey::of_bits(1024).der_bytes().len(), 128 + 14);
}

#[test]
fn refuses_damaged_certificates() {
    let ca = Ca::new("root");
    for version in BOTH {
        for cut in [0, 1, 40, 200] {
            let mut identity = certified(&ca.leaf(&[HOST]));
            let der = identity.cert[0][..cut].to_vec();
            identity.cert[0] = der.into();
            let met = meet(&client_of(&ca), Raw::server(version, identity), HOST);
            // Nothing at all breaks the protocol already.
            let codes = [Code::TlsBadCertificate, Code::TlsProtocol];
            assert!(codes[..=usize::from(cut == 0)].contains(&met.unwrap_err()), "{cut}");
        }
    }
}

#[test]
fn accepts_every_kind_of_key() {
    let ca = Ca::new("root");
    accepts("P-256", &ca, &ca.leaf(&[HOST]), HOST);
    for (what, key) in [
        ("P-384", key_of(&rcgen::PKCS_ECDSA_P384_SHA384)),
        ("Ed25519", key_of(&rcgen::PKCS_ED25519)),
        ("RSA", rsa_key()),
    ] {
        accepts(what, &ca, &ca.sign(&leaf_params(&[HOST]), &key), HOST);
        let ca = Ca::with(ca_params(what), key);
        accepts(what, &ca, &ca.leaf(&[HOST]), HOST);
    }
}

#[test]
fn accepts_names_and_addresses() {
    let ca = Ca::new("root");
    for (what, names, host) in [
        ("one of many", &["x.example", HOST, "10.0.0.1"][..], HOST),
        ("a wildcard", &["*.b.example"], "a.b.example"),
        ("in other letters", &["A.Example"], "a.eXample"),
        ("IPv4", &["127.0.0.1"], "127.0.0.1"),
        ("IPv6", &["::1"], "0:0:0:0:0:0:0:1"),
        ("IPv6 with a zone", &["fe80::1"], "fe80::1%eth0"),
        ("a single label", &["core"], "core"),
        ("an IDN in ASCII", &["xn--bcher-kva.example"], "xn--bcher-kva.example"),
        ("an underscore", &["_tls.a.example"], "_tls.a.example"),
        ("the dot of the root", &[HOST], "a.example."),
    ] {
        accepts(what, &ca, &ca.leaf(names), host);
    }
    let renamed = Settings { server_name: Some(HOST.to_owned()), ..client_of(&ca) };
    assert_eq!(verdicts(&renamed, &ca.leaf(&[HOST]), "10.0.0.9"), Ok(Verified::Yes));
    assert_eq!(
        verdicts(&renamed, &ca.leaf(&["b.example"]), "b.example"),
        Err(Code::TlsBadHostname)
    );
}

#[test]
fn accepts_chains() {
    let ca = Ca::new("root");
    let one = ca.below(ca_params("one"), any_key());
    let two = one.below(ca_params("two"), any_key());
    accepts("one between", &ca, &one.leaf(&[HOST]), HOST);
    accepts("two between", &ca, &two.leaf(&[HOST]), HOST);
    let mut mixed = two.leaf(&[HOST]);
    let (own, above) = mixed.chain.split_at(mixed.chain.len() - two.above.len());
    let (second, first) = above.split_at(above.len() - one.above.len());
    mixed.chain = format!("{own}{first}{second}{}", Ca::new("stray").pem);
    accepts("in another order, and a stray", &ca, &mixed, HOST);
    let mut rooted = one.leaf(&[HOST]);
    rooted.chain.push_str(&ca.pem);
    accepts("with the root", &ca, &rooted, HOST);
    let mut exact = ca_params("exact");
    exact.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    accepts("path length", &ca, &through(&ca, exact), HOST);

    // Signed by two authorities, of which the client knows one.
    let (old, new) = (Ca::new("old"), Ca::new("new"));
    let crossed = old.below(ca_params("new"), KeyPair::from_pem(&key_pem(&new)).unwrap());
    let mut cross = new.leaf(&[HOST]);
    cross.chain.push_str(&crossed.pem);
    accepts("crossed, by the old", &old, &cross, HOST);
    accepts("crossed, by the new", &new, &cross, HOST);

    let both = Settings {
        ca: Some(pem("cafile", &format!("{}{}", Ca::new("else").pem, ca.pem))),
        ..Settings::default()
    };
    assert_eq!(verdicts(&both, &ca.leaf(&[HOST]), HOST), Ok(Verified::Yes));
}

fn key_pem(ca: &Ca) -> String {
    ca.issuer.key().serialize_pem()
}

#[test]
fn accepts_a_certificate_that_is_itself_trusted() {
    let key = any_key();
    for is_ca in [IsCa::NoCa, IsCa::Ca(BasicConstraints::Unconstrained)] {
        let mut params = leaf_params(&[HOST]);
        params.is_ca = is_ca;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        let chain = params.self_signed(&key).unwrap().pem();
        let own = Identity { chain, key: key.serialize_pem() };
        let trusting = Settings { ca: Some(pem("ca", &own.chain)), ..Settings::default() };
        assert_eq!(verdicts(&trusting, &own, HOST), Ok(Verified::Yes));
        assert_eq!(verdicts(&trusting, &own, "b.example"), Err(Code::TlsBadHostname));
    }
    let mut params = leaf_params(&[HOST]);
    params.not_before = date_time_ymd(2001, 1, 1);
    params.not_after = date_time_ymd(2002, 1, 1);
    let chain = params.self_signed(&key).unwrap().pem();
    let own = Identity { chain, key: key.serialize_pem() };
    let trusting = Settings { ca: Some(pem("ca", &own.chain)), ..Settings::default() };
    assert_eq!(verdicts(&trusting, &own, HOST), Err(Code::TlsExpired));
}

#[test]
fn believes_less_only_when_told() {
    let (ca, other) = (Ca::new("root"), Ca::new("other"));
    let chain = Settings { insecure_name: true, ..client_of(&ca) };
    assert_eq!(verdicts(&chain, &ca.leaf(&["b.example"]), HOST), Ok(Verified::Chain));
    assert_eq!(verdicts(&chain, &ca.leaf(&[HOST]), "unix:/run/x"), Ok(Verified::Chain));
    assert_eq!(verdicts(&chain, &other.leaf(&[HOST]), HOST), Err(Code::TlsUnknownIssuer));
    let anyone = Settings { verify: false, ..Settings::default() };
    for identity in [ca.leaf(&["b.example"]), other.leaf(&[])] {
        assert_eq!(verdicts(&anyone, &identity, HOST), Ok(Verified::No));
    }
    let config = Config::client(&client_of(&ca)).unwrap();
    for host in ["unix:/run/x", "bücher.example", "", "a b"] {
        let error = Session::client(&config, host).unwrap_err();
        assert_eq!(error.code(), Code::TlsBadHostname, "{host}");
    }
}

#[test]
fn a_server_verifies_clients() {
    let (ca, other) = (Ca::new("clients"), Ca::new("other"));
    let client = |ca: &Ca, change: &dyn Fn(&mut CertificateParams)| {
        let mut params = leaf_params(&["someone"]);
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        change(&mut params);
        certified(&ca.sign(&params, &any_key()))
    };
    let good = client(&ca, &|_| ());
    let expired = client(&ca, &|params| {
        params.not_before = date_time_ymd(2001, 1, 1);
        params.not_after = date_time_ymd(2002, 1, 1);
    });
    let early = client(&ca, &|params| params.not_before = date_time_ymd(3000, 1, 1));
    let for_server = client(&ca, &|params| {
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    });
    let key = any_key();
    let mut params = leaf_params(&["someone"]);
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    let chain = params.self_signed(&key).unwrap().pem();
    let own = certified(&Identity { chain, key: key.serialize_pem() });
    let mut stolen = good.clone();
    stolen.key = certified_key(&any_key());
    for auth in [ClientAuth::Request, ClientAuth::Require] {
        assert_eq!(serve(auth, &ca.pem, Some(&good)), Ok(Verified::Yes));
        for (what, identity, code) in [
            ("of another authority", &client(&other, &|_| ()), Code::TlsUnknownIssuer),
            ("expired", &expired, Code::TlsExpired),
            ("not yet", &early, Code::TlsNotYetValid),
            ("a server's", &for_server, Code::TlsBadPurpose),
            ("self-signed", &own, Code::TlsSelfSigned),
            ("another key", &stolen, Code::TlsBadSignature),
        ] {
            assert_eq!(serve(auth, &ca.pem, Some(identity)), Err(code), "{what}");
        }
    }
    assert_eq!(serve(ClientAuth::Require, &ca.pem, None), Err(Code::TlsClientCertRequired));
    assert_eq!(serve(ClientAuth::Request, &ca.pem, None), Ok(Verified::No));
    assert_eq!(serve(ClientAuth::None, &ca.pem, Some(&good)), Ok(Verified::No));
}

#[test]
fn a_client_learns_why_it_is_refused() {
    let (ca, other) = (Ca::new("clients"), Ca::new("other"));
    let server = Settings {
        ca: Some(pem("cafile", &ca.pem)),
        client_auth: ClientAuth::Require,
        ..server_of(&ca.leaf(&[HOST]))
    };
    let mut params = leaf_params(&["someone"]);
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    let strange = with_identity(client_of(&ca), &other.sign(&params, &any_key()));
    for (client, code) in
        [(client_of(&ca), Code::TlsClientCertRequired), (strange, Code::TlsCertRefused)]
    {
        let mut pair = tls_kit::Pair::new(&client, &server, HOST);
        pair.pass();
        assert_eq!(pair.client.failure.unwrap().code(), code);
        assert_eq!((pair.client.plain.len(), pair.server.plain.len()), (0, 0));
    }
}
