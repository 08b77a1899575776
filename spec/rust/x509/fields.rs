//! Rows on the fields of a certificate: version, serial number, dates, key, kind of signature.
//!
//! Not here: extensions (`purposes`).

use std::time::{SystemTime, UNIX_EPOCH};

use evsock::error::Code::{
    self, TlsBadCertificate as Bad, TlsBadSignature as Forged, TlsExpired as Expired,
    TlsNotYetValid as Early, TlsWeak as Weak,
};
use rcgen::PublicKeyData;

use super::{
    Cert, Der, Row, Shown, accepts, between, general, leaf, path, refuses, root, row, utc,
};
use crate::tls_kit::raw::LyingKey;
use crate::tls_kit::surgery::{loose, parts, sequence, tlv};

/// Contents of identifiers.
const RSA_MD5: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 4];
const RSA_SHA1: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 5];
const RSA_SHA256: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 11];
const ECDSA: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 2, 1];
const ECDSA_SHA1: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 4, 1];
const ECDSA_SHA256: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 4, 3, 2];
const DSA_SHA256: &[u8] = &[0x60, 0x86, 0x48, 1, 0x65, 3, 4, 3, 2];
const ED448: &[u8] = &[0x2b, 0x65, 0x71];
const P224: &[u8] = &[0x2b, 0x81, 4, 0, 0x21];
const P521: &[u8] = &[0x2b, 0x81, 4, 0, 0x23];
const NO_CURVE: &[u8] = &[0x2b, 0x81, 4, 0x7f, 1];

pub fn rows() -> Vec<Row> {
    let mut rows = versions();
    rows.extend(serials());
    rows.extend(dates());
    rows.extend(borders());
    rows.extend(keys());
    rows.extend(signatures());
    rows.extend(encodings());
    rows
}

fn direct(change: impl FnOnce(&mut Cert)) -> Shown {
    path([root(), leaf().set(change)])
}

fn through(change: impl FnOnce(&mut Cert)) -> Shown {
    path([root(), between().set(change), leaf()])
}

fn versions() -> Vec<Row> {
    let named = |number| move |cert: &mut Cert| cert.version = number;
    vec![
        refuses(Bad, "a leaf of version 1", direct(named(None)))
            .departs("allows it; it can't list its hosts, and known by itself it is believed"),
        refuses(Bad, "a leaf of version 2", direct(named(Some(1)))).departs("as with version 1"),
        refuses(Bad, "a leaf of version 4", direct(named(Some(3)))),
        refuses(Bad, "a leaf that says it is of version 1", direct(named(Some(0)))),
        refuses(Bad, "an authority of version 1", through(named(None))),
        refuses(Bad, "an authority of version 2", through(named(Some(1)))),
        refuses(Bad, "an authority of version 4", through(named(Some(3)))),
    ]
}

fn serials() -> Vec<Row> {
    const LENIENT: &str = "wants a positive number of at most 20 bytes from issuers (4.1.2.2), and \
                           of readers that they cope with others; it only names the certificate";
    let numbered = |serial: &[u8]| {
        let serial = serial.to_vec();
        direct(|leaf| leaf.serial = serial)
    };
    vec![
        accepts("serial number 1", numbered(&[1])),
        accepts("serial number 0", numbered(&[0])).departs(LENIENT),
        accepts("a serial number below zero", numbered(&[0x80])).departs(LENIENT),
        accepts("a serial number of 20 bytes", numbered(&[0x11; 20])),
        accepts("a serial number of 21 bytes", numbered(&[0x11; 21])).departs(LENIENT),
        accepts("a serial number of 200 bytes", numbered(&[0x11; 200])).departs(LENIENT),
        accepts("a serial number with zeros in front", numbered(&[0, 0, 0, 1]))
            .departs("is of DER, which writes each number in one way; it only names"),
        accepts("an authority with serial number 0", through(|one| one.serial = vec![0]))
            .departs(LENIENT),
    ]
}

fn dates() -> Vec<Row> {
    let past = || (utc("010101000000Z"), utc("020203000000Z"));
    let future = || (general("30000101000000Z"), general("30010101000000Z"));
    let dated = |(from, to): (Der, Der)| path([root(), leaf().dated(from, to)]);
    let above = |(from, to): (Der, Der)| path([root(), between().dated(from, to), leaf()]);
    let below = |(from, to): (Der, Der)| path([root().dated(from, to), leaf()]);
    let from = |from: Der| dated((from, utc("491231235959Z")));
    let to = |to: Der| dated((utc("200101000000Z"), to));
    vec![
        refuses(Expired, "a leaf that is expired", dated(past())),
        refuses(Early, "a leaf that is not yet valid", dated(future())),
        refuses(Expired, "an authority that is expired", above(past())),
        refuses(Early, "an authority that is not yet valid", above(future())),
        accepts("a trusted root that is expired", below(past()))
            .departs("takes of a root its name and key (6.1.1); whoever gives 'ca' trusts it now"),
        accepts("a trusted root that is not yet valid", below(future()))
            .departs("takes of a root its name and key (6.1.1); whoever gives 'ca' trusts it now"),
        refuses(Expired, "dates that end before they begin", {
            dated((utc("310101000000Z"), utc("300101000000Z")))
        }),
        accepts("the year 2049", to(utc("491231235959Z"))),
        accepts("the year 2050", to(general("20500101000000Z"))),
        accepts("the year 9999, which is for ever", to(general("99991231235959Z"))),
        refuses(Bad, "the year 50 in two digits, which is 1950", to(utc("500101000000Z"))).departs(
            "calls it expired; nobody here reads dates before 1970, and it is refused either way",
        ),
        accepts("a long form before 2050", to(general("20400101000000Z")))
            .departs("writes it short (4.1.2.5); both name one moment"),
        accepts("a leap day", from(utc("200229000000Z"))),
        refuses(Bad, "a leap day in another year", from(utc("210229000000Z"))),
        refuses(Bad, "a thirteenth month", from(utc("201301000000Z"))),
        refuses(Bad, "a month 0", from(utc("200001000000Z"))),
        refuses(Bad, "hour 24", from(utc("200101240000Z"))),
        refuses(Bad, "a second 60", from(utc("161231235960Z"))),
        refuses(Bad, "no seconds", from(utc("2001010000Z"))),
        refuses(Bad, "parts of seconds", to(general("20500101000000.5Z"))),
        refuses(Bad, "another zone", from(utc("200101000000+0100"))),
        refuses(Bad, "no zone", from(utc("200101000000"))),
        refuses(Bad, "a small z", from(utc("200101000000z"))),
        refuses(Bad, "letters for digits", from(utc("2001O1000000Z"))),
        refuses(Bad, "text in place of a date", from(tlv(0x0c, b"200101000000Z"))),
        refuses(Bad, "a third date", {
            dated((utc("200101000000Z"), [utc("491231235959Z"), utc("491231235959Z")].concat()))
        }),
    ]
}

/// Around this very second. A row is judged within a day of its making, and to the second only where
/// it can't turn meanwhile.
fn borders() -> Vec<Row> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    let from = |moment: u64| path([root(), leaf().dated(date(moment), utc("491231235959Z"))]);
    let to = |moment: u64| path([root(), leaf().dated(utc("200101000000Z"), date(moment))]);
    vec![
        accepts("valid since this second", from(now)),
        refuses(Early, "valid in a day", from(now + 86_400)),
        accepts("valid for one more day", to(now + 86_400)),
        refuses(Expired, "valid until a second ago", to(now - 1)),
    ]
}

/// A moment of Unix time as a `GeneralizedTime`.
fn date(moment: u64) -> Der {
    let (mut days, second) = (moment / 86_400, moment % 86_400);
    let is_leap = |year: u64| {
        year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400))
    };
    let mut year = 1970;
    while days >= 365 + u64::from(is_leap(year)) {
        days -= 365 + u64::from(is_leap(year));
        year += 1;
    }
    let february = 28 + u64::from(is_leap(year));
    let mut month = 1;
    for length in [31, february, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31] {
        if days < length {
            break;
        }
        days -= length;
        month += 1;
    }
    let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
    general(&format!("{year:04}{month:02}{:02}{hour:02}{minute:02}{second:02}Z", days + 1))
}

fn on_curve(name: &[u8], length: usize) -> Der {
    let mut point = vec![0, 4];
    point.resize(length, 0x11);
    sequence(&[sequence(&[tlv(6, ECDSA), tlv(6, name)]), tlv(3, &point)])
}

fn keys() -> Vec<Row> {
    let rsa = |bits| LyingKey::of_bits(bits).subject_public_key_info();
    let other = |name: &[u8]| sequence(&[sequence(&[tlv(6, name)]), tlv(3, &[0; 58])]);
    let own = |key: Der| direct(|leaf| leaf.key = Some(key));
    // Whoever has such a key signs with it, which nobody here can make: the refusal is for its kind.
    let above = |key: Der, name: &[u8]| {
        path([root(), between().set(|one| one.key = Some(key)), leaf().signed_with(name)])
    };
    let wrong = |code: Code, name: &'static str, shown| refuses(code, name, shown);
    vec![
        accepts("a leaf of RSA, 2048 bits", own(rsa(2048))),
        wrong(Weak, "a leaf of RSA, 1024 bits", own(rsa(1024))),
        wrong(Weak, "a leaf of RSA, 2040 bits", own(rsa(2040))),
        wrong(Weak, "a leaf of RSA, 512 bits", own(rsa(512))),
        wrong(Weak, "a leaf of RSA, 16384 bits", own(rsa(16384)))
            .departs("has no bound; ring has one, as each bit is time to whoever verifies"),
        wrong(Weak, "an authority of RSA, 16384 bits", above(rsa(16384), RSA_SHA256))
            .departs("has no bound; ring has one, as each bit is time to whoever verifies"),
        wrong(Weak, "a leaf on P-224", own(on_curve(P224, 58))),
        wrong(Weak, "a leaf on P-521", own(on_curve(P521, 134)))
            .departs("leaves the choice to us; ring has no P-521, and says so in the handshake"),
        wrong(Weak, "a leaf on an unknown curve", own(on_curve(NO_CURVE, 66))),
        wrong(Weak, "a leaf of Ed448", own(other(ED448))),
        wrong(Weak, "an authority of RSA, 1024 bits", above(rsa(1024), RSA_SHA256)),
        wrong(
            Forged,
            "an authority of RSA, 2048 bits, which did not sign",
            above(rsa(2048), RSA_SHA256),
        ),
        wrong(Weak, "an authority on P-224", above(on_curve(P224, 58), ECDSA_SHA256)),
        wrong(
            Weak,
            "an authority on an unknown curve",
            above(on_curve(NO_CURVE, 66), ECDSA_SHA256),
        ),
        wrong(Weak, "an authority of Ed448", above(other(ED448), ED448)),
        wrong(Weak, "an authority whose key is of another kind than its signature", {
            above(on_curve(P224, 58), RSA_SHA256)
        }),
    ]
}

fn signatures() -> Vec<Row> {
    let own = |name: &[u8]| path([root(), leaf().signed_with(name)]);
    let above = |name: &[u8]| path([root(), between().signed_with(name), leaf()]);
    let kinds = |change: fn(&mut [Der; 2])| direct(|leaf| change(&mut leaf.algorithms));
    let table = [
        ("a leaf signed with MD5", own(RSA_MD5)),
        ("a leaf signed with SHA-1", own(RSA_SHA1)),
        ("a leaf signed with ECDSA and SHA-1", own(ECDSA_SHA1)),
        ("a leaf signed with DSA", own(DSA_SHA256)),
        ("a leaf signed with an unknown kind", own(&[0x2a, 3, 4])),
        ("an authority signed with MD5", above(RSA_MD5)),
        ("an authority signed with SHA-1", above(RSA_SHA1)),
        ("a leaf whose signature is of another kind than the root's key", own(RSA_SHA256)),
    ];
    let mut rows: Vec<Row> = table.map(|(name, shown)| row(name, Err(Weak), shown)).into();
    rows.extend([
        accepts("a trusted root signed with SHA-1", path([root().signed_with(RSA_SHA1), leaf()])),
        refuses(Bad, "two kinds of signature that differ", {
            kinds(|[inner, _]| *inner = super::algorithm(RSA_SHA256))
        }),
        refuses(Weak, "a kind of signature with parameters that it has not", {
            kinds(|both| {
                for one in both {
                    *one = sequence(&[parts(one)[0].clone(), vec![5, 0]]);
                }
            })
        }),
    ]);
    rows
}

fn encodings() -> Vec<Row> {
    vec![
        refuses(Bad, "a length as only BER has it", {
            direct(|leaf| leaf.subject = loose(0x30, &leaf.subject.clone()[2..]))
        }),
        refuses(Bad, "a length as only BER has it, in an authority", {
            through(|one| one.key = Some(loose(0x30, b"\x30\x05\x06\x03\x2b\x65\x70")))
        }),
        refuses(Bad, "a field too many", direct(|leaf| leaf.unique = vec![5, 0])),
        refuses(Bad, "a key that is none", direct(|leaf| leaf.key = Some(vec![0x30, 0]))),
    ]
}
