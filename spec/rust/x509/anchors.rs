//! Rows on what is given as `ca`: roots, authorities below them, and certificates that are known by
//! themselves.
//!
//! Not here: what is shown under them.

use evsock::error::Code::{
    TlsBadCertificate as Bad, TlsBadHostname as Other, TlsBadSignature as Forged,
    TlsExpired as Expired, TlsNotYetValid as Early, TlsSelfSigned as Own,
    TlsUnknownIssuer as Stranger, TlsWeak as Weak,
};
use rcgen::PublicKeyData;

use super::{
    ALTERNATIVE_NAMES, BASIC_CONSTRAINTS, CODE, Cert, Der, KEY_USAGE, Row, SIGNS_DATA, SIGNS_LISTS,
    Shown, accepts, authority, basic_constraints, between, common_name, general, key_usage, leaf,
    path, purposes, refuses, root, utc,
};
use crate::tls_kit::raw::LyingKey;
use crate::tls_kit::surgery::extension;

pub fn rows() -> Vec<Row> {
    let mut rows = authorities();
    rows.extend(known_by_themselves());
    rows
}

/// A leaf under what is given.
fn under(given: Cert) -> Shown {
    path([given, leaf()])
}

/// A certificate that is given and shown.
fn known(cert: &Cert, der: &Der) -> Shown {
    let key = cert.key.is_none().then(|| cert.label.clone());
    Shown { trusted: vec![der.clone()], chain: vec![der.clone()], key, ..under(root()) }
}

fn own(cert: &Cert) -> Shown {
    known(cert, &cert.by_itself())
}

fn authorities() -> Vec<Row> {
    let chain = || path([root(), between(), leaf()]);
    let other = || authority("other").by_itself();
    let one = |change: fn(&mut Cert)| under(root().set(change));
    let mut forged = root().by_itself();
    *forged.last_mut().unwrap() ^= 1;
    let weak = LyingKey::of_bits(1024).subject_public_key_info();
    // sha256WithRSAEncryption.
    let by_weak = leaf().signed_with(&[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 11]);
    vec![
        accepts("the authority between is given", chain().trusting(&[between().by(&root())])),
        accepts("the authority between is given and not shown", {
            chain().order(&[0]).trusting(&[between().by(&root())])
        }),
        accepts(
            "two are given, one of them fits",
            chain().trusting(&[other(), root().by_itself()]),
        ),
        accepts("a root whose own signature is wrong", chain().trusting(&[forged]))
            .departs("does not verify it either: a root is trusted for being given"),
        accepts("a root that says nothing of usages", under(root().without(KEY_USAGE))),
        accepts("a root of version 1", one(|root| root.version = None)),
        refuses(Stranger, "a root of version 2", one(|root| root.version = Some(1))),
        refuses(Stranger, "a root that says it is no authority", {
            under(root().with(basic_constraints(false, None)))
        })
        .departs("takes name and key of whatever is given; a device's own must not become a root"),
        refuses(Stranger, "a root that does not say it is an authority", {
            under(root().without(BASIC_CONSTRAINTS))
        })
        .departs("takes name and key of whatever is given; a device's own must not become a root"),
        refuses(
            Stranger,
            "a root that signs only lists",
            under(root().with(key_usage(SIGNS_LISTS))),
        ),
        refuses(Stranger, "a leaf that is given vouches for nobody", {
            under(leaf().set(|leaf| leaf.subject = common_name("device")))
        }),
        refuses(Weak, "a root of RSA, 1024 bits", {
            path([root().set(|root| root.key = Some(weak)), by_weak])
        }),
        refuses(Forged, "a root of that name with another key is given", {
            chain().trusting(&[root().keyed("another").by_itself()])
        }),
    ]
}

fn known_by_themselves() -> Vec<Row> {
    let strange = || extension(&[0x2a, 3, 4], true, &[5, 0]);
    let past = |cert: Cert| cert.dated(utc("010101000000Z"), utc("020101000000Z"));
    let future = |cert: Cert| cert.dated(general("30000101000000Z"), general("30010101000000Z"));
    let named = |cert: Cert| cert.set(|cert| cert.subject = common_name(super::HOST));
    let as_root = || leaf().with(basic_constraints(true, None));
    vec![
        accepts("signed by itself and given", own(&leaf())),
        accepts("signed by itself, an authority, and given", own(&as_root())),
        accepts("by somebody else and given", known(&leaf(), &leaf().by(&root()))),
        accepts("by somebody who is not trusted and given", {
            known(&leaf(), &leaf().by(&authority("nobody")))
        }),
        accepts("given, and shown with others", own(&leaf()).also(root().by_itself())),
        accepts("given for another purpose", own(&leaf().with(purposes(&[CODE]))))
            .departs("does not speak of it: who gives the certificate itself says what it is for"),
        accepts("given, with an unknown critical extension", own(&leaf().with(strange())))
            .departs("does not speak of it: who gives the certificate itself knows it"),
        accepts(
            "given, without a list, by its common name",
            own(&named(leaf().without(ALTERNATIVE_NAMES))),
        )
        .departs("RFC 6125 (6.4.4) allows it where there is no list"),
        accepts(
            "given, of version 1, by its common name",
            own(&named(leaf()).set(|one| one.version = None)),
        )
        .departs("RFC 6125 (6.4.4) allows it where there is no list"),
        accepts(
            "given, for another name, insecure_name",
            own(&leaf()).host("b.example").for_any_name(),
        ),
        refuses(Other, "given, for another name", own(&leaf()).host("b.example")),
        refuses(Other, "given, with a list and another common name", {
            own(&leaf().set(|one| one.subject = common_name("b.example"))).host("b.example")
        }),
        refuses(Expired, "given and expired", own(&past(leaf()))),
        refuses(Early, "given and not yet valid", own(&future(leaf()))),
        refuses(Expired, "an authority, given and shown, expired", own(&past(as_root()))),
        refuses(Own, "of the same name and key as the given, signed anew", {
            let again = leaf().set(|one| one.serial = vec![7]).by_itself();
            Shown { chain: vec![again], ..own(&leaf()) }
        }),
        refuses(Own, "signed by itself where another is given", {
            own(&leaf()).trusting(&[leaf().keyed("another").by_itself()])
        }),
        refuses(Bad, "by a given leaf, sent along", {
            let device = leaf().set(|one| one.subject = common_name("device")).keyed("device");
            let below = leaf().by(&device);
            Shown { chain: vec![below, device.by_itself()], ..own(&device) }
        }),
        accepts(
            "given, though its key may sign only data",
            own(&leaf().with(key_usage(SIGNS_DATA))),
        ),
    ]
}
