//! Rows on name constraints (RFC 5280, 4.2.1.10): for whom an authority may vouch.
//!
//! Not here: whether a certificate is for a host (`hosts`).

use evsock::error::Code::TlsBadCertificate as Bad;

use super::{
    Cert, Der, HOST, NAME_CONSTRAINTS, Row, Shown, accepts, address, alternative_names, between,
    common_name, constraints, directory_name, dns, excludes, leaf, mail, path, permits, refuses,
    root, standard, uri,
};
use crate::tls_kit::surgery::{sequence, tlv};

const TEN: &[u8] = &[10, 0, 0, 0, 255, 0, 0, 0];

/// The authority between is constrained so, and the leaf is for `HOST`.
fn under(constraint: Der) -> Shown {
    path([root(), between().with(constraint), leaf()])
}

/// The same for a leaf of those names; the host is the first of them.
fn under_for(constraint: Der, names: &[Der], host: &str) -> Shown {
    path([root(), between().with(constraint), named(names)]).host(host)
}

fn named(names: &[Der]) -> Cert {
    leaf().with(alternative_names(names))
}

pub fn rows() -> Vec<Row> {
    let mut rows = permitted();
    rows.extend(excluded());
    rows.extend(addresses());
    rows.extend(places());
    rows.extend(other_kinds());
    rows.extend(badly_made());
    rows
}

fn permitted() -> Vec<Row> {
    let two = [dns("b.example"), dns(HOST)];
    vec![
        accepts("the very name is permitted", under(permits(&[dns(HOST)]))),
        accepts("the domain above is permitted", under(permits(&[dns("example")]))),
        accepts("one of two permitted names fits", under(permits(&two))),
        accepts("every name is permitted", under(permits(&[dns("")]))),
        accepts("a permitted name has other letters", under(permits(&[dns("A.EXAMPLE")]))),
        accepts("a leading dot permits names below", under(permits(&[dns(".example")])))
            .departs("no form of the RFC; it permits less than the same without the dot"),
        refuses(Bad, "a leading dot permits the name itself", under(permits(&[dns(".a.example")]))),
        refuses(Bad, "only another name is permitted", under(permits(&[dns("b.example")]))),
        refuses(Bad, "only a name below is permitted", under(permits(&[dns("x.a.example")]))),
        refuses(Bad, "the end of a label is permitted", under(permits(&[dns("ample")]))),
        refuses(
            Bad,
            "one of the leaf's two names is not permitted",
            under_for(permits(&[dns(HOST)]), &two, HOST),
        ),
        accepts(
            "a wildcard below what is permitted",
            under_for(permits(&[dns(HOST)]), &[dns("*.a.example")], "b.a.example"),
        ),
        refuses(
            Bad,
            "a wildcard covers more than is permitted",
            under_for(permits(&[dns("x.a.example")]), &[dns("*.a.example")], "x.a.example"),
        ),
        accepts(
            "a common name is not asked whether it is permitted",
            path([
                root(),
                between().with(permits(&[dns(HOST)])),
                leaf().set(|leaf| leaf.subject = common_name("b.example")),
            ]),
        ),
    ]
}

fn excluded() -> Vec<Row> {
    let both = constraints(true, &[dns("example")], &[dns(HOST)]);
    vec![
        accepts("another name is excluded", under(excludes(&[dns("b.example")]))),
        accepts("a name below is excluded", under(excludes(&[dns("x.a.example")]))),
        refuses(Bad, "the very name is excluded", under(excludes(&[dns(HOST)]))),
        refuses(Bad, "the domain above is excluded", under(excludes(&[dns("example")]))),
        refuses(Bad, "every name is excluded", under(excludes(&[dns("")]))),
        refuses(Bad, "an excluded name has other letters", under(excludes(&[dns("A.eXample")]))),
        refuses(Bad, "permitted and excluded is excluded", under(both)),
        refuses(
            Bad,
            "a second excluded name fits",
            under(excludes(&[dns("b.example"), dns(HOST)])),
        ),
        refuses(
            Bad,
            "one of the leaf's two names is excluded",
            under_for(excludes(&[dns("b.example")]), &[dns(HOST), dns("b.example")], HOST),
        ),
        refuses(
            Bad,
            "a wildcard covers an excluded name",
            under_for(excludes(&[dns("x.a.example")]), &[dns("*.a.example")], "y.a.example"),
        ),
    ]
}

fn addresses() -> Vec<Row> {
    let near = address(&[10, 1, 2, 3]);
    let far = address(&[192, 0, 2, 1]);
    let mut six = [0; 16];
    six[..4].copy_from_slice(&[0x20, 0x01, 0x0d, 0xb8]);
    six[15] = 1;
    let mut net = [0; 32];
    net[..4].copy_from_slice(&six[..4]);
    net[16..20].fill(0xff);
    let mut other_net = net;
    other_net[3] = 0xb9;
    let leaf_of =
        |constraint, name: &Der, host| under_for(constraint, std::slice::from_ref(name), host);
    let one = address(&[10, 1, 2, 3, 255, 255, 255, 255]);
    let gap = address(&[10, 0, 2, 0, 255, 0, 255, 0]);
    vec![
        accepts(
            "an address of a permitted net",
            leaf_of(permits(&[address(TEN)]), &near, "10.1.2.3"),
        ),
        accepts(
            "the only permitted address",
            leaf_of(permits(std::slice::from_ref(&one)), &near, "10.1.2.3"),
        ),
        accepts("an address beside an excluded one", leaf_of(excludes(&[one]), &far, "192.0.2.1")),
        accepts(
            "an address where only names are constrained",
            leaf_of(permits(&[dns("b.example")]), &near, "10.1.2.3"),
        ),
        accepts("a name where only addresses are constrained", under(permits(&[address(TEN)]))),
        accepts(
            "an IPv6 address of a permitted net",
            leaf_of(permits(&[address(&net)]), &address(&six), "2001:db8::1"),
        ),
        refuses(
            Bad,
            "an IPv6 address of no permitted net",
            leaf_of(permits(&[address(&other_net)]), &address(&six), "2001:db8::1"),
        ),
        refuses(
            Bad,
            "an IPv6 address where an IPv4 net is permitted",
            leaf_of(permits(&[address(TEN)]), &address(&six), "2001:db8::1"),
        ),
        refuses(
            Bad,
            "an address of no permitted net",
            leaf_of(permits(&[address(TEN)]), &far, "192.0.2.1"),
        ),
        refuses(
            Bad,
            "an address of an excluded net",
            leaf_of(excludes(&[address(TEN)]), &near, "10.1.2.3"),
        ),
        refuses(Bad, "a mask with a gap", leaf_of(permits(&[gap]), &near, "10.1.2.3")),
        refuses(
            Bad,
            "a net without its mask",
            leaf_of(permits(std::slice::from_ref(&near)), &near, "10.1.2.3"),
        ),
        refuses(
            Bad,
            "a net of five bytes",
            leaf_of(excludes(&[address(&[10, 0, 0, 0, 8])]), &near, "10.1.2.3"),
        ),
    ]
}

fn places() -> Vec<Row> {
    let (here, there) = (permits(&[dns(HOST)]), permits(&[dns("b.example")]));
    let two = |upper: &Der, lower: &Der| {
        let [upper, lower] = [("upper", upper), ("lower", lower)]
            .map(|(label, constraint)| super::authority(label).with(constraint.clone()));
        path([root(), upper, lower, leaf()])
    };
    let all = permits(&[dns("example")]);
    vec![
        accepts("both authorities permit the name", two(&here, &all)),
        refuses(Bad, "the upper authority does not permit the name", two(&there, &here)),
        refuses(Bad, "the lower authority does not permit the name", two(&here, &there)),
        refuses(Bad, "a lower authority permits what the upper took", two(&there, &all)),
        refuses(
            Bad,
            "a trusted root is constrained",
            path([root().with(there.clone()), between(), leaf()]),
        ),
        accepts("a trusted root permits the name", path([root().with(here), leaf()])),
        accepts(
            "a leaf's own constraints do not bind itself",
            path([root(), leaf().with(there.clone())]),
        )
        .departs("only authorities may have them (4.2.1.10); on a leaf they constrain nobody"),
        refuses(
            Bad,
            "an authority has a name itself that is not permitted",
            path([
                root(),
                super::authority("upper").with(there.clone()),
                between().with(alternative_names(&[dns(HOST)])),
                named(&[dns("b.example")]),
            ])
            .host("b.example"),
        ),
        refuses(
            Bad,
            "constraints that are not critical bind as well",
            under(constraints(false, &[dns("b.example")], &[])),
        ),
    ]
}

fn other_kinds() -> Vec<Row> {
    let with_mail = [dns(HOST), mail("x@a.example")];
    let with_uri = [dns(HOST), uri("https://a.example/")];
    let mails = permits(&[mail("a.example")]);
    let others = permits(&[tlv(0xa0, &sequence(&[]))]);
    vec![
        accepts("mail is constrained and there is none", under(mails.clone())),
        refuses(Bad, "a permitted address of mail", under_for(mails, &with_mail, HOST))
            .departs("would permit it; nobody here can tell such names, so none is believed"),
        accepts("a URI is constrained and there is none", under(permits(&[uri("b.example")]))),
        refuses(Bad, "a permitted URI", under_for(permits(&[uri("a.example")]), &with_uri, HOST))
            .departs("would permit it; nobody here can tell such names, so none is believed"),
        refuses(Bad, "an excluded URI", under_for(excludes(&[uri("a.example")]), &with_uri, HOST)),
        accepts("names of other kinds are constrained and there are none", under(others)),
        refuses(Bad, "a permitted directory name", under(permits(&[directory_name("leaf")])))
            .departs("would compare the subject; here every subject counts as outside"),
        refuses(Bad, "an excluded directory name", under(excludes(&[directory_name("other")])))
            .departs("would compare the subject; here every subject counts as excluded"),
    ]
}

fn badly_made() -> Vec<Row> {
    let raw = |value: &[u8]| under(standard(NAME_CONSTRAINTS, true, value));
    let least = sequence(&[tlv(0xa0, &sequence(&[dns(HOST), tlv(0x80, &[0])]))]);
    vec![
        accepts("constraints that say nothing", raw(&sequence(&[])))
            .departs("they must not be empty (4.2.1.10); they constrain nobody"),
        refuses(Bad, "constraints that nobody can read", raw(b"garbage")),
        refuses(
            Bad,
            "constraints with a tree of garbage",
            raw(&sequence(&[tlv(0xa0, b"\x30\x05")])),
        ),
        refuses(Bad, "constraints with a minimum", raw(&least)).departs(
            "0 is the default, which DER leaves out; what is written otherwise is refused",
        ),
        refuses(Bad, "a wildcard as a constraint", under(permits(&[dns("*.example")]))),
        refuses(Bad, "a space in a constraint", under(excludes(&[dns("a b.example")]))),
    ]
}
