//! What settings are refused, each with a reason that names its source.
//!
//! Not here: what a peer shows (`tls_verify.rs`).
#![allow(clippy::unwrap_used)]

mod tls_kit;

use evsock::error::Code;
use evsock::tls::{ClientAuth, Config, Settings};
use rcgen::date_time_ymd;

use tls_kit::{Ca, Identity, any_key, key_of, leaf_params, pem, rsa_key, with_identity};

const HOST: &str = "a.example";

fn identity() -> Identity {
    Ca::new("root").leaf(&[HOST])
}

fn with_ca(text: &str) -> Settings {
    Settings { ca: Some(pem("cafile /etc/ca.pem", text)), ..Settings::default() }
}

fn with(chain: &str, key: &str) -> Settings {
    with_identity(Settings::default(), &Identity { chain: chain.to_owned(), key: key.to_owned() })
}

fn client(settings: &Settings) -> String {
    Config::client(settings).unwrap_err()
}

/// The reason is the same for both roles.
fn both(settings: &Settings) -> String {
    let reason = client(settings);
    assert_eq!(Config::server(settings).unwrap_err(), reason);
    reason
}

#[test]
fn roots_are_refused_with_the_reason() {
    let identity = identity();
    let damaged = identity.chain.replace("MII", "!!!");
    for (text, reason) in [
        ("", "is empty"),
        (" \r\n\n", "is empty"),
        ("what is this", "no certificate in PEM format"),
        ("0\u{1}", "no certificate in PEM format; it looks like DER"),
        (&identity.key, "holds a private key where a certificate is expected"),
        (&damaged, "certificate 1 is damaged"),
        ("-----BEGIN CERTIFICATE-----\nAAAA\n", "BEGIN CERTIFICATE has no end"),
        (
            "-----BEGIN CERTIFICATE-----\nAAAA\n-----END X509-----\n",
            "BEGIN CERTIFICATE ends with X509",
        ),
        (
            "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
            "certificate 1 is damaged",
        ),
        (
            "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n",
            "holds an encrypted private key where a certificate is expected",
        ),
    ] {
        assert_eq!(client(&with_ca(text)), format!("cafile /etc/ca.pem: {reason}"), "{text}");
    }
    let base64 = identity.key.lines().nth(1).unwrap();
    for (text, reason) in [
        (base64, "no certificate in PEM format; the lines BEGIN and END are missing"),
        ("/etc/x.PEM", "no certificate in PEM format; it looks like a path, which 'cafile' takes"),
        ("a -----END X----- b", "END X has no begin"),
        ("a -----BEGIN X----- b", "BEGIN X has no end"),
        ("-----BEGIN lower case-----", "no certificate in PEM format"),
        (&format!("-----BEGIN {}-----", "A".repeat(41)), "no certificate in PEM format"),
        ("-----BEGIN  -----\n-----END  -----", "no certificate in PEM format"),
    ] {
        let given = Settings { ca: Some(pem("'ca'", text)), ..Settings::default() };
        assert_eq!(client(&given), format!("'ca': {reason}"));
        // Nobody would look at it, but a mistake is one.
        assert_eq!(client(&Settings { verify: false, ..given }), format!("'ca': {reason}"));
    }
}

#[test]
fn an_odd_certificate_is_left_out_of_a_bundle_but_of_no_chain() {
    let identity = identity();
    let damaged = identity.chain.replace("MII", "!!!");
    let cut = "-----BEGIN CERTIFICATE-----\nMIIB\n";
    let said = "cafile /etc/ca.pem: certificate 2 is damaged; it is left out";
    for (text, left_out) in [
        (format!("{0}{0}", identity.chain), None),
        (format!("{0}{damaged}{0}", identity.chain), Some(said)),
        (
            format!("{cut}{}{damaged}", identity.chain),
            Some("cafile /etc/ca.pem: BEGIN CERTIFICATE has no end; it and 1 more are left out"),
        ),
        (
            // Text about PEM is no part of it.
            format!("# after -----BEGIN CERTIFICATE-----\n{}", identity.chain),
            None,
        ),
    ] {
        let mut settings = with_ca(&text);
        assert_eq!(Config::client(&settings).unwrap().left_out(), left_out);
        settings = with_identity(settings, &identity);
        settings.client_auth = ClientAuth::Require;
        assert_eq!(Config::server(&settings).unwrap().left_out(), left_out);
    }
    let chain = format!("{}{damaged}", identity.chain);
    assert_eq!(both(&with(&chain, &identity.key)), "certfile cert.pem: certificate 2 is damaged");
    let chain = format!("{cut}{}", identity.chain);
    let reason = "certfile cert.pem: BEGIN CERTIFICATE has no end";
    assert_eq!(both(&with(&chain, &identity.key)), reason);
}

/// What is behind the certificate is OpenSSL's, and is not part of it.
#[test]
fn a_trusted_certificate_ends_where_its_sequence_does() {
    // Only what fills its last group of letters can be prolonged as text.
    let mut texts = std::iter::repeat_with(|| Ca::new("root").pem).take(500);
    let whole = texts.find(|text| !text.contains('=')).unwrap();
    let longer = whole.replace("-----END", "MAwwCgYIKwYBBQUHAwE=\n-----END");
    assert!(client(&with_ca(&longer)).ends_with("certificate 1 is damaged"));
    for text in [whole, longer] {
        Config::client(&with_ca(&text.replace("CERTIFICATE", "TRUSTED CERTIFICATE"))).unwrap();
    }
}

#[test]
fn no_reason_quotes_a_key() {
    let own = identity();
    let body: String = own.key.lines().filter(|line| !line.starts_with('-')).collect();
    let silent = |reason: &str| {
        assert!(reason.len() < 120, "{reason}");
        for at in 0..body.len() - 8 {
            assert!(!reason.contains(&body[at..at + 8]), "{reason}");
        }
    };
    for ends in [" ", "", "\r", "\\n", "\n\n"] {
        let text = own.key.replace('\n', ends);
        Config::server(&with(&own.chain.replace('\n', ends), &text)).unwrap();
        for cut in 0..text.len() {
            for part in [&text[..cut], &text[cut..]] {
                if let Err(reason) = Config::server(&with(&own.chain, part)) {
                    silent(&reason);
                }
            }
        }
        let name = Settings { server_name: Some(text), ..Settings::default() };
        silent(&client(&name));
        silent(&format!("{:?}", with(&own.chain, &own.key).key));
    }
}

#[test]
fn identities_are_refused_with_the_reason() {
    let (own, other) = (identity(), identity());
    let at =
        |text: &str, line: &str| format!("-----BEGIN {text}-----\n{line}\n-----END {text}-----\n");
    let old = at("RSA PRIVATE KEY", "Proc-Type: 4,ENCRYPTED\nDEK-Info: AES-128-CBC,00\n\nAAAA");
    for (chain, key, reason) in [
        ("", &own.key[..], "certfile cert.pem: is empty"),
        (
            &own.key,
            &own.key,
            "certfile cert.pem: holds a private key where a certificate is expected",
        ),
        (
            &own.chain,
            &own.chain,
            "keyfile key.pem: holds a certificate where a private key is expected",
        ),
        (&own.chain, "", "keyfile key.pem: is empty"),
        (&own.chain, "junk", "keyfile key.pem: no private key in PEM format"),
        (
            &own.chain,
            &other.key,
            "keyfile key.pem: the key of another certificate than certfile cert.pem",
        ),
        (
            &own.chain,
            &at("ENCRYPTED PRIVATE KEY", "AAAA"),
            "keyfile key.pem: the private key is encrypted; give its 'password'",
        ),
        (
            &own.chain,
            &old,
            "keyfile key.pem: the private key is encrypted in the old way of OpenSSL; convert it with: \
             openssl pkcs8 -topk8 -in OLD -out NEW, and give its 'password'",
        ),
        (&own.chain, &at("PRIVATE KEY", "!"), "keyfile key.pem: the private key is damaged"),
        (
            &own.chain,
            &at("PRIVATE KEY", "AAAA"),
            "keyfile key.pem: the private key is of a kind that is not accepted",
        ),
        (
            &own.chain,
            &at("PUBLIC KEY", "AAAA"),
            "keyfile key.pem: holds a public key where a private key is expected",
        ),
        (&at("CERTIFICATE", "AAAA"), &own.key, "certfile cert.pem: certificate 1 is damaged"),
    ] {
        assert_eq!(both(&with(chain, key)), reason);
    }
    let whole = with(&own.chain, &own.key);
    assert_eq!(
        both(&Settings { key: None, ..whole.clone() }),
        "certfile cert.pem: a certificate without its key"
    );
    assert_eq!(
        both(&Settings { cert: None, ..whole }),
        "keyfile key.pem: a key without its certificate"
    );
    let nothing = Config::server(&Settings::default()).unwrap_err();
    assert_eq!(nothing, "a server needs a certificate and its key");
}

#[test]
fn an_own_certificate_out_of_its_time_is_told_and_used() {
    let notice = |settings: &Settings| {
        Config::client(settings).unwrap();
        let config = Config::server(settings).unwrap();
        config.notices().first().map(|error| (error.code(), error.message().to_owned()))
    };
    let ca = Ca::new("root");
    let key = any_key();
    let mut params = leaf_params(&[HOST]);
    params.not_after = date_time_ymd(2002, 2, 3);
    let old = ca.sign(&params, &key);
    let text =
        |rest: &str| format!("certfile cert.pem: certificate {rest}; peers that verify refuse it");
    assert_eq!(
        notice(&with(&old.chain, &old.key)),
        Some((Code::TlsExpired, text("1 expired on 2002-02-03 00:00 UTC")))
    );
    let mut params = leaf_params(&[HOST]);
    params.not_before = date_time_ymd(3000, 1, 1);
    let early = ca.sign(&params, &key);
    assert_eq!(
        notice(&with(&early.chain, &early.key)),
        Some((Code::TlsNotYetValid, text("1 is not valid before 3000-01-01 00:00 UTC")))
    );
    let own = ca.leaf(&[HOST]);
    let two = with(&format!("{}{}", own.chain, old.chain), &own.key);
    assert_eq!(notice(&two), Some((Code::TlsExpired, text("2 expired on 2002-02-03 00:00 UTC"))));
    assert_eq!(notice(&with(&own.chain, &own.key)), None);
    // The first must be the one of the key.
    let turned = format!("{}{}", old.chain, own.chain);
    assert_eq!(
        both(&with(&turned, &own.key)),
        "certfile cert.pem: certificate 2 is the one of keyfile key.pem, and must come first"
    );
}

#[test]
fn other_settings_are_refused_with_the_reason() {
    let settings = |change: &dyn Fn(&mut Settings)| {
        let mut settings = with_ca(&Ca::new("root").pem);
        change(&mut settings);
        settings
    };
    let named = settings(&|settings| settings.server_name = Some("bücher.example".to_owned()));
    assert_eq!(client(&named), "server_name: 'bücher.example' is no host name");
    for name in [vec![], vec![b'x'; 256]] {
        let length = name.len();
        let odd = settings(&|settings| settings.alpn = vec![b"h2".to_vec(), name.clone()]);
        assert_eq!(client(&odd), format!("alpn: a name has 1 to 255 bytes, not {length}"));
    }
    let own = identity();
    for auth in [ClientAuth::Request, ClientAuth::Require] {
        let mut server = with(&own.chain, &own.key);
        server.client_auth = auth;
        let reason = Config::server(&server).unwrap_err();
        assert_eq!(reason, "client_auth needs 'ca' or 'cafile': whose clients are accepted");
        server.ca = Some(pem("cafile", &own.chain));
        server.verify = false;
        let reason = Config::server(&server).unwrap_err();
        assert_eq!(reason, "client_auth and verify = false contradict each other");
    }
}

#[test]
fn what_is_fine_is_taken() {
    let own = identity();
    let text =
        |text: &str| format!("Subject: CN = leaf\n{text}\ntrailing words\n").replace('\n', "\r\n");
    Config::server(&with(&text(&own.chain), &text(&own.key))).unwrap();
    let marked = |text: &str| format!("\u{feff}{text}");
    Config::server(&with(&marked(&own.chain), &marked(&own.key))).unwrap();
    let x509 = own.chain.replace("CERTIFICATE", "X509 CERTIFICATE");
    Config::server(&with(&x509, &own.key)).unwrap();
    // All in one file, the key in front, as other servers have it.
    let mut one = with(&format!("{}{}", own.key, own.chain), "");
    one.key = None;
    Config::server(&one).unwrap();
    one.key.clone_from(&one.cert);
    Config::server(&one).unwrap();
    Config::client(&one).unwrap();
    let ca = Ca::new("root");
    let ed25519 = key_of(&rcgen::PKCS_ED25519);
    for key in [rsa_key(), ed25519, key_of(&rcgen::PKCS_ECDSA_P384_SHA384)] {
        let own = ca.sign(&leaf_params(&[HOST]), &key);
        Config::server(&with(&own.chain, &own.key)).unwrap();
    }
}
