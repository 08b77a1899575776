//! Whom we believe, held against RFC 5280 and RFC 6125: one row for each rule, with its verdict, as
//! said of a server's chain by `judge`, of the same in a handshake, and of a client's by a server.
//!
//! Not here: the rows (`x509/`), and what is said to peers (`tls_verify.rs`). Every row that departs
//! from the RFC says so, and why that is safe.
#![allow(clippy::unwrap_used)]

mod tls_kit;
mod x509;

use std::collections::BTreeSet;
use std::io::Write;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use evsock::error::Code;
use evsock::tls::{ClientAuth, Config, Session, Settings};
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer, ServerName};
use rustls::sign::CertifiedKey;

use tls_kit::meeting::begin;
use tls_kit::raw::{Raw, TLS13, provider};
use tls_kit::surgery::pem_text;
use tls_kit::{Ca, End, Identity, pem, server_of};
use x509::{Row, Shown, Verdict, key_der};

fn trusting(shown: &Shown) -> Settings {
    let text: String = shown.trusted.iter().map(|der| pem_text(der)).collect();
    let insecure_name = shown.insecure_name;
    Settings { ca: Some(pem("cafile ca.pem", &text)), insecure_name, ..Settings::default() }
}

fn certified(shown: &Shown) -> Option<CertifiedKey> {
    let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(key_der(shown.key.as_ref()?)));
    let key = provider().key_provider.load_private_key(key).unwrap();
    let chain = shown.chain.iter().map(|der| der.clone().into()).collect();
    Some(CertifiedKey::new(chain, key))
}

/// What a client says of a server's chain without meeting it.
fn judged(shown: &Shown) -> Verdict {
    let config = Config::client(&trusting(shown)).unwrap();
    config.judge(&shown.chain, &shown.host).map_err(|error| {
        assert!(error.message().starts_with("tls: "), "{error}");
        assert!(!error.message().contains("a rule of X.509"), "in a library's words: {error}");
        error.code()
    })
}

/// What it says to a server that shows it, where both can get so far.
fn met(shown: &Shown) -> Option<Verdict> {
    ServerName::try_from(shown.host.as_str()).ok()?;
    let mut client = begin(&trusting(shown), &shown.host);
    Raw::server(TLS13, certified(shown)?).join(&mut client);
    Some(client.failure.map_or(Ok(()), |error| Err(error.code())))
}

/// What a server says to a client that shows it.
fn served(shown: &Shown) -> Option<Verdict> {
    static OWN: OnceLock<(Ca, Identity)> = OnceLock::new();
    let (ca, own) = OWN.get_or_init(|| {
        let ca = Ca::new("server root");
        let own = ca.leaf(&[x509::HOST]);
        (ca, own)
    });
    let identity = certified(shown)?;
    let Settings { ca: trusted, .. } = trusting(shown);
    let settings = Settings { ca: trusted, client_auth: ClientAuth::Require, ..server_of(own) };
    let config: Arc<Config> = Config::server(&settings).unwrap();
    let mut server = End::new(Session::server(&config).unwrap());
    Raw::client(TLS13, ca, Some(identity), x509::HOST).join(&mut server);
    Some(server.failure.map_or(Ok(()), |error| Err(error.code())))
}

/// Every row that does not hold, so that one run shows them all.
fn broken(rows: &[Row]) -> Vec<String> {
    let mut broken = Vec::new();
    for Row { name, said, to_client, shown, .. } in rows {
        let mut expect = |who: &str, expected: &Verdict, found: Option<Verdict>| {
            if let Some(found) = found.filter(|found| found != expected) {
                broken.push(format!("{name}: {who}: {found:?} in place of {expected:?}"));
            }
        };
        expect("judged", said, Some(judged(shown)));
        expect("met", said, met(shown));
        expect("served", to_client, served(shown));
    }
    broken
}

#[track_caller]
fn hold(rows: &[Row]) {
    let broken = broken(rows);
    assert!(broken.is_empty(), "\n{}", broken.join("\n"));
}

#[test]
fn authorities_vouch_only_for_names_that_they_may() {
    hold(&x509::names::rows());
}

#[test]
fn a_certificate_is_for_the_hosts_that_it_lists() {
    hold(&x509::hosts::rows());
}

#[test]
fn a_chain_leads_from_the_peer_to_who_is_trusted() {
    hold(&x509::chains::rows());
}

#[test]
fn a_heap_of_certificates_is_searched_within_bounds() {
    hold(&x509::graphs::rows());
}

#[test]
fn a_refusal_that_is_not_of_rustls_says_why() {
    let rows = [x509::fields::rows(), x509::graphs::rows(), x509::purposes::rows()].concat();
    for (name, text) in [
        (
            "an authority that signs only lists",
            "tls: the certificate is not acceptable: its issuer may not sign certificates, as its \
             key usage leaves that out",
        ),
        (
            "a hundred pretenders before the right",
            "tls: the certificate is not acceptable: the peer sends more that may have issued it \
             than can be looked through",
        ),
        ("a leaf of RSA, 1024 bits", "tls: the certificate is too weak: an RSA key of 1024 bits"),
        (
            "an authority of RSA, 16384 bits",
            "tls: an RSA key of 16384 bits is longer than the 8192 that can be verified",
        ),
    ] {
        let Row { shown, .. } = rows.iter().find(|row| row.name == name).unwrap();
        let config = Config::client(&trusting(shown)).unwrap();
        assert_eq!(config.judge(&shown.chain, &shown.host).unwrap_err().message(), text);
    }
}

#[test]
fn no_heap_keeps_anybody_busy() {
    // Seconds, where all ways are gone; hundredths of one here, on a machine that is idle.
    let slow = std::env::var("EVSOCK_SLOW").ok().and_then(|times| times.parse().ok());
    let most = Duration::from_millis(500) * slow.unwrap_or(1_u32);
    for Row { name, shown, .. } in x509::graphs::rows() {
        let began = Instant::now();
        let _ = judged(&shown);
        assert!(began.elapsed() < most, "{name}: {:?}", began.elapsed());
    }
}

#[test]
fn a_certificate_is_used_for_what_it_is_made() {
    hold(&x509::purposes::rows());
}

#[test]
fn a_certificate_is_in_force_well_made_and_strong() {
    hold(&x509::fields::rows());
}

#[test]
fn what_is_given_as_ca_is_trusted_for_what_it_is() {
    hold(&x509::anchors::rows());
}

#[test]
fn a_row_that_does_not_hold_is_found() {
    let good = || x509::path([x509::root(), x509::leaf()]);
    let rows = [x509::accepts("good", good()), x509::refuses(Code::TlsExpired, "wrong", good())];
    assert_eq!(broken(&rows[..1]), [""; 0]);
    assert_eq!(broken(&rows[1..]).len(), 3);
}

#[test]
fn every_row_is_a_sentence_of_its_own_and_they_are_counted() {
    let kinds = [
        x509::anchors::rows(),
        x509::chains::rows(),
        x509::fields::rows(),
        x509::graphs::rows(),
        x509::hosts::rows(),
        x509::names::rows(),
        x509::purposes::rows(),
    ];
    let rows: Vec<&Row> = kinds.iter().flatten().collect();
    let names: BTreeSet<&str> = rows.iter().map(|row| row.name).collect();
    assert_eq!(names.len(), rows.len(), "two rows of one name");
    let accepted = rows.iter().filter(|row| row.said.is_ok()).count();
    let refused = rows.len() - accepted;
    assert!(rows.len() >= 120 && accepted >= 60 && refused >= 60, "{accepted} and {refused}");
    // Past what catches the output of tests.
    let total = rows.len();
    let line = format!("conformance: {total} cases, {refused} refused, {accepted} accepted\n");
    std::io::stdout().write_all(line.as_bytes()).unwrap();
    if std::env::var_os("EVSOCK_DEPARTURES").is_some() {
        for row in rows.iter().filter(|row| row.departs.is_some()) {
            let verdict = row.said.map_or_else(Code::as_str, |()| "accepted");
            let why = row.departs.unwrap_or_default();
            writeln!(std::io::stdout(), "{}: {verdict}; {why}", row.name).unwrap();
        }
    }
}
