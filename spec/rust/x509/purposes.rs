//! Rows on what a certificate is for: purposes, usages of its key, and extensions as such.
//!
//! Not here: names and their constraints (`hosts`, `names`).

use evsock::error::Code::{TlsBadCertificate as Bad, TlsBadPurpose as Purpose};

use super::{
    BASIC_CONSTRAINTS, CLIENTS, CODE, Cert, Der, ENCIPHERS_KEYS, HOST, KEY_USAGE, MAIL, POLICIES,
    POLICY_CONSTRAINTS, PURPOSES, Row, SERVERS, SIGNS_CERTIFICATES, SIGNS_DATA, SIGNS_LISTS, Shown,
    accepts, alternative_names, basic_constraints, between, dns, key_usage, leaf, path, purposes,
    refuses, root, row, standard,
};
use crate::tls_kit::surgery::{extension, sequence, tlv};

/// 1.3.9999.1.
const UNKNOWN: &[u8] = &[0x2b, 0xce, 0x0f, 0x01];
/// id-pe-tlsfeature (RFC 7633).
const FEATURES: &[u8] = &[0x2b, 6, 1, 5, 5, 7, 1, 24];
/// anyExtendedKeyUsage is 2.5.29.37.0.
const ANY: &[u8] = &[0x55, 0x1d, 0x25, 0];

pub fn rows() -> Vec<Row> {
    let mut rows = purposes_of_leaves();
    rows.extend(purposes_of_authorities());
    rows.extend(usages());
    rows.extend(constraints());
    rows.extend(unknown());
    rows
}

fn direct(extension: Der) -> Shown {
    path([root(), leaf().with(extension)])
}

fn through(extension: Der) -> Shown {
    path([root(), between().with(extension), leaf()])
}

fn any() -> Der {
    standard(PURPOSES, false, &sequence(&[tlv(6, ANY)]))
}

fn purposes_of_leaves() -> Vec<Row> {
    const NO: super::Verdict = Err(Purpose);
    vec![
        row("for servers", Ok(()), direct(purposes(&[SERVERS]))).of_clients(NO),
        row("for clients", NO, direct(purposes(&[CLIENTS]))).of_clients(Ok(())),
        accepts("for both", direct(purposes(&[CLIENTS, SERVERS]))),
        accepts("for both and something else", direct(purposes(&[CODE, CLIENTS, MAIL, SERVERS]))),
        accepts("for whatever, as nothing is said", path([root(), leaf().without(PURPOSES)])),
        refuses(Purpose, "for signing code", direct(purposes(&[CODE]))),
        refuses(Purpose, "for any purpose", direct(any()))
            .departs("leaves that to whoever verifies (4.2.1.12); we want it said"),
        refuses(Bad, "for no purpose", direct(purposes(&[]))),
        refuses(
            Bad,
            "purposes that nobody can read",
            direct(standard(PURPOSES, false, b"garbage")),
        ),
        accepts("for both, which is critical", {
            let both = purposes(&[SERVERS, CLIENTS]);
            direct(standard(PURPOSES, true, &crate::tls_kit::surgery::parts(&both)[1][2..]))
        }),
    ]
}

fn purposes_of_authorities() -> Vec<Row> {
    const NO: super::Verdict = Err(Purpose);
    vec![
        row("an authority for servers", Ok(()), through(purposes(&[SERVERS]))).of_clients(NO),
        row("an authority for clients", NO, through(purposes(&[CLIENTS]))).of_clients(Ok(())),
        accepts("an authority for both", through(purposes(&[SERVERS, CLIENTS]))),
        refuses(Purpose, "an authority for mail", through(purposes(&[MAIL])))
            .departs("says nothing of purposes of authorities; all others read them so, too"),
        refuses(Purpose, "an authority for any purpose", through(any()))
            .departs("says nothing of purposes of authorities; we want it said"),
        refuses(Bad, "an authority for no purpose", through(purposes(&[]))),
        accepts("a trusted root for mail", path([root().with(purposes(&[MAIL])), leaf()])).departs(
            "takes of a root its name and key (6.1.1); whoever gives 'ca' knows its purpose",
        ),
    ]
}

fn usages() -> Vec<Row> {
    let usage = |value: &[u8]| standard(KEY_USAGE, true, value);
    vec![
        accepts("an authority that says nothing of usages", {
            path([root(), between().without(KEY_USAGE), leaf()])
        })
        .departs("wants it said (4.2.1.3); the flag of an authority says the same"),
        accepts("an authority whose usages are not critical", {
            through(standard(KEY_USAGE, false, &tlv(3, &[2, SIGNS_CERTIFICATES])))
        }),
        refuses(Bad, "an authority that signs only lists", through(key_usage(SIGNS_LISTS))),
        refuses(Bad, "an authority that signs only data", through(key_usage(SIGNS_DATA))),
        refuses(Bad, "an authority that does nothing", through(key_usage(0))),
        refuses(Bad, "an authority with usages of no bits", through(usage(&tlv(3, &[0])))),
        refuses(Bad, "an authority with usages that nobody can read", through(usage(b"garbage"))),
        refuses(Bad, "the upper of two authorities signs only lists", {
            let upper = super::authority("upper").with(key_usage(SIGNS_LISTS));
            path([root(), upper, between(), leaf()])
        }),
        accepts("an authority that signs only lists beside the right one", {
            let Shown { chain, .. } = through(key_usage(SIGNS_LISTS));
            path([root(), between(), leaf()]).also(chain[1].clone()).order(&[0, 2, 1])
        }),
        accepts("a leaf that says nothing of usages", path([root(), leaf().without(KEY_USAGE)])),
        accepts("a leaf that enciphers keys and signs nothing", direct(key_usage(ENCIPHERS_KEYS)))
            .departs("RFC 8446 (4.4.2.2) wants the bit; old devices lack it, their key signs here"),
        accepts("a leaf that signs certificates and is no authority", {
            direct(key_usage(SIGNS_DATA | SIGNS_CERTIFICATES))
        })
        .departs("the two contradict each other (4.2.1.9); it vouches for nobody all the same"),
    ]
}

fn constraints() -> Vec<Row> {
    let flag = |critical, value: &[u8]| standard(BASIC_CONSTRAINTS, critical, value);
    vec![
        refuses(Bad, "an authority without basic constraints", {
            path([root(), between().without(BASIC_CONSTRAINTS), leaf()])
        }),
        refuses(Bad, "an authority that says it is none", through(basic_constraints(false, None))),
        refuses(Bad, "an authority that says so in so many words", {
            through(flag(true, &sequence(&[tlv(1, &[0])])))
        }),
        accepts("an authority whose constraints are not critical", {
            through(flag(false, &sequence(&[tlv(1, &[0xff])])))
        })
        .departs("wants them critical (4.2.1.9); they are read all the same"),
        refuses(Bad, "an authority whose flag is no boolean of DER", {
            through(flag(true, &sequence(&[tlv(1, &[1])])))
        }),
        refuses(Bad, "an authority with constraints of garbage", through(flag(true, b"garbage"))),
        accepts("a leaf that says it is no authority", direct(basic_constraints(false, None))),
        refuses(Bad, "an authority as a leaf", direct(basic_constraints(true, None)))
            .departs("allows it; a key that makes certificates has no place on a server"),
    ]
}

fn twice(cert: Cert, extension: Der) -> Cert {
    cert.also(extension.clone()).also(extension)
}

fn unknown() -> Vec<Row> {
    let strange = |critical| extension(UNKNOWN, critical, &[5, 0]);
    let policies =
        |critical| standard(POLICIES, critical, &sequence(&[sequence(&[tlv(6, &[42])])]));
    let required = |critical| standard(POLICY_CONSTRAINTS, critical, &sequence(&[tlv(0x80, &[0])]));
    let stapled = |critical| extension(FEATURES, critical, &sequence(&[tlv(2, &[5])]));
    let unique = |tag: u8| path([root(), leaf().set(|leaf| leaf.unique = tlv(tag, &[0, 0xff]))]);
    vec![
        accepts("an unknown extension", direct(strange(false))),
        refuses(Bad, "an unknown critical extension", direct(strange(true))),
        accepts("an unknown extension of an authority", through(strange(false))),
        refuses(Bad, "an unknown critical extension of an authority", through(strange(true))),
        accepts("an unknown critical extension of a trusted root", {
            path([root().with(strange(true)), leaf()])
        })
        .departs("takes of a root its name and key (6.1.1), whatever else it says"),
        accepts("policies", direct(policies(false))),
        refuses(Bad, "critical policies", direct(policies(true)))
            .departs("would process them; nobody here asks for policies"),
        accepts("an authority that requires policies, not critical", through(required(false)))
            .departs("wants that critical (4.2.1.11), and then it is refused"),
        refuses(Bad, "an authority that requires policies", through(required(true)))
            .departs("would process them; nobody here asks for policies"),
        accepts("a leaf that promises stapling", direct(stapled(false)))
            .departs("RFC 7633 wants a stapled answer then; revocation is by 'crl' here, as told"),
        refuses(Bad, "a leaf that promises stapling, critical", direct(stapled(true))),
        refuses(Bad, "names listed twice", {
            path([root(), leaf().also(alternative_names(&[dns("b.example")]))])
        }),
        refuses(Bad, "purposes listed twice", path([root(), leaf().also(purposes(&[SERVERS]))])),
        refuses(Bad, "constraints of an authority twice", {
            path([root(), between().also(basic_constraints(true, None)), leaf()])
        }),
        accepts("an unknown extension twice", path([root(), twice(leaf(), strange(false))]))
            .departs("forbids it (4.2); nobody here reads either of them"),
        refuses(Bad, "an issuerUniqueID", unique(0x81))
            .departs("reads over it; no authority has issued any since 1996"),
        refuses(Bad, "a subjectUniqueID", unique(0x82))
            .departs("reads over it; no authority has issued any since 1996"),
        refuses(evsock::error::Code::TlsBadHostname, "no extensions at all", {
            path([root(), leaf().set(|leaf| leaf.extensions.clear())]).host(HOST)
        }),
    ]
}
