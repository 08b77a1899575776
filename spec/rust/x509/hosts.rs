//! Rows on the names of a certificate (RFC 5280, 4.2.1.6; RFC 6125): for which hosts it is.
//!
//! Not here: for whom its authority may vouch (`names`).

use evsock::error::Code::{TlsBadCertificate as Bad, TlsBadHostname as Other};

use super::{
    ALTERNATIVE_NAMES, Der, HOST, Row, Shown, Verdict, accepts, address, alternative_names,
    common_name, directory_name, dns, leaf, mail, path, refuses, root, row, standard, uri,
};
use crate::tls_kit::surgery::tlv;

const NO: Verdict = Err(Other);
const V6: &[u8] = &[0x20, 1, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1];
const MAPPED: &[u8] = &[0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 10, 0, 0, 1];

fn lists(names: &[Der]) -> Shown {
    path([root(), leaf().with(alternative_names(names))])
}

pub fn rows() -> Vec<Row> {
    let mut rows = equal_or_not();
    rows.extend(wildcards());
    rows.extend(lists_of_all_kinds());
    rows.extend(without_a_list());
    rows
}

fn equal_or_not() -> Vec<Row> {
    let label = "l".repeat(63);
    let long = format!("{label}.example");
    let too_long = format!("l{label}.example");
    let whole = format!("{label}.{label}.{label}.{}", "l".repeat(61));
    let table: [(&'static str, &str, &str, Verdict); 26] = [
        ("the very name", HOST, HOST, Ok(())),
        ("upper case in the certificate", "A.EXAMPLE", HOST, Ok(())),
        ("upper case in the host", HOST, "A.Example", Ok(())),
        ("another name", "b.example", HOST, NO),
        ("a name below", "x.a.example", HOST, NO),
        ("a name above", "example", HOST, NO),
        ("a name that begins so", "a.example.org", HOST, NO),
        ("a name that ends so", "aa.example", HOST, NO),
        ("the dot of the root at the host", HOST, "a.example.", Ok(())),
        ("the dot of the root in the certificate", "a.example.", HOST, NO),
        ("the dot of the root at both", "a.example.", "a.example.", NO),
        ("a dot in front", ".a.example", HOST, NO),
        ("two dots", "a..example", HOST, NO),
        ("a single label", "core", "core", Ok(())),
        ("an underscore", "_tls.a.example", "_tls.a.example", Ok(())),
        ("a hyphen inside", "a-b.example", "a-b.example", Ok(())),
        ("a digit in front", "1a.example", "1a.example", Ok(())),
        ("an IDN in its ASCII form", "xn--bcher-kva.example", "xn--bcher-kva.example", Ok(())),
        (
            "an IDN in ASCII, in upper case",
            "XN--BCHER-KVA.example",
            "xn--bcher-kva.example",
            Ok(()),
        ),
        ("an IDN in UTF-8", "bücher.example", "xn--bcher-kva.example", NO),
        ("a host in UTF-8", "xn--bcher-kva.example", "bücher.example", NO),
        ("a NUL behind the name", "a.example\0.b.example", HOST, NO),
        ("a space behind the name", "a.example ", HOST, NO),
        ("a label of 63 letters", &long, &long, Ok(())),
        ("a label of 64 letters", &too_long, &too_long, NO),
        ("a name of 253 letters", &whole, &whole, Ok(())),
    ];
    let shown = |name, host| lists(&[dns(name)]).host(host);
    table.map(|(what, name, host, said)| row(what, said, shown(name, host))).into()
}

fn wildcards() -> Vec<Row> {
    let table: [(&'static str, &str, &str, Verdict); 22] = [
        ("a wildcard for one label", "*.b.example", "a.b.example", Ok(())),
        ("a wildcard in upper case", "*.B.EXAMPLE", "a.b.example", Ok(())),
        ("a wildcard and the dot of the root", "*.b.example", "a.b.example.", Ok(())),
        ("a wildcard for an IDN", "*.b.example", "xn--bcher-kva.b.example", Ok(())),
        ("a wildcard for an underscore", "*.b.example", "_a.b.example", Ok(())),
        ("a wildcard for two labels", "*.b.example", "x.a.b.example", NO),
        ("a wildcard for no label", "*.b.example", "b.example", NO),
        ("a wildcard for another domain", "*.b.example", "a.c.example", NO),
        ("a wildcard for the end of a label", "*.b.example", "a.bb.example", NO),
        ("a wildcard over a whole domain", "*.example", HOST, NO),
        ("a wildcard over a single label", "*", "core", NO),
        ("a wildcard over everything", "*", HOST, NO),
        ("a wildcard with only a dot", "*.", HOST, NO),
        ("a wildcard in front of letters", "*a.b.example", "aa.b.example", NO),
        ("a wildcard behind letters", "a*.b.example", "aa.b.example", NO),
        ("a wildcard between letters", "a*a.b.example", "aba.b.example", NO),
        ("a wildcard in an IDN", "xn--*.b.example", "xn--bcher-kva.b.example", NO),
        ("a wildcard in the second place", "a.*.example", "a.b.example", NO),
        ("a wildcard in the last place", "a.b.*", "a.b.example", NO),
        ("two wildcards", "*.*.example", "a.b.example", NO),
        ("a wildcard for an address", "*.0.0.1", "10.0.0.1", NO),
        ("a wildcard as a host", "*.b.example", "*.b.example", NO),
    ];
    let shown = |name, host| lists(&[dns(name)]).host(host);
    table.map(|(what, name, host, said)| row(what, said, shown(name, host))).into()
}

fn lists_of_all_kinds() -> Vec<Row> {
    let ten = || address(&[10, 0, 0, 1]);
    let garbage = || tlv(0x89, b"?");
    vec![
        accepts("the last of three", lists(&[dns("b.example"), ten(), dns(HOST)])),
        accepts("an IPv4 address", lists(&[ten()]).host("10.0.0.1")),
        accepts("an IPv6 address", lists(&[address(V6)]).host("2001:db8::1")),
        accepts("an IPv6 address in full", lists(&[address(V6)]).host("2001:0DB8:0:0:0:0:0:1")),
        accepts("a name beside mail, URI and directory name", {
            lists(&[mail("x@b.example"), uri("https://b.example/"), directory_name("b"), dns(HOST)])
        }),
        accepts("a list that is critical", {
            let names = tlv(0x30, &dns(HOST));
            path([root(), leaf().with(standard(ALTERNATIVE_NAMES, true, &names))])
        }),
        accepts("a good name behind an impossible one", lists(&[dns("a b"), dns(HOST)])),
        accepts("a good name before a kind that is none", lists(&[dns(HOST), garbage()]))
            .departs("the list can't be read whole; its authority vouches for what was read"),
        refuses(Bad, "a kind that is none before a good name", lists(&[garbage(), dns(HOST)]))
            .of_clients(Ok(())),
        refuses(Other, "another IPv4 address", lists(&[ten()]).host("10.0.0.2")),
        refuses(
            Other,
            "an IPv4 address in IPv6's clothes",
            lists(&[address(MAPPED)]).host("10.0.0.1"),
        ),
        refuses(
            Other,
            "an IPv6 host and the IPv4 address",
            lists(&[ten()]).host("::ffff:10.0.0.1"),
        ),
        refuses(Other, "an address of five bytes", {
            lists(&[address(&[10, 0, 0, 1, 0])]).host("10.0.0.1")
        }),
        refuses(Other, "an address of no bytes", lists(&[address(&[])]).host("10.0.0.1")),
        refuses(Other, "an address written as a name", lists(&[dns("10.0.0.1")]).host("10.0.0.1")),
        refuses(Other, "an IPv6 address written as a name", {
            lists(&[dns("2001:db8::1")]).host("2001:db8::1")
        }),
        refuses(Other, "the bytes of an address for a name", lists(&[ten()])),
        refuses(Other, "only mail", lists(&[mail("x@a.example")])),
        refuses(Other, "mail that is the host", lists(&[mail(HOST)])),
        refuses(Other, "only a URI", lists(&[uri("https://a.example/")])),
        refuses(Other, "only a directory name", lists(&[directory_name(HOST)])),
        refuses(Other, "only an empty name", lists(&[dns("")])),
    ]
}

fn without_a_list() -> Vec<Row> {
    let bare = || leaf().without(ALTERNATIVE_NAMES);
    let for_host = || bare().set(|leaf| leaf.subject = common_name(HOST));
    let of_address = || bare().set(|leaf| leaf.subject = common_name("10.0.0.1"));
    vec![
        refuses(Other, "only a common name", path([root(), for_host()])),
        refuses(Other, "only an address as common name", {
            path([root(), of_address()]).host("10.0.0.1")
        }),
        refuses(Other, "no name at all", path([root(), bare()])),
        refuses(Other, "a list of no names and a common name", {
            path([root(), for_host().with(alternative_names(&[]))])
        }),
        refuses(Other, "a common name beside another listed name", {
            path([root(), for_host().with(alternative_names(&[dns("b.example")]))])
        }),
        accepts("a common name that is another beside the listed name", {
            path([root(), leaf().set(|leaf| leaf.subject = common_name("b.example"))])
        }),
        accepts("no subject, and a list that is not critical", {
            path([root(), leaf().set(|leaf| leaf.subject = vec![0x30, 0])])
        })
        .departs("the list must be critical then (4.2.1.6), so that nobody overlooks it; we don't"),
        refuses(Bad, "a list of garbage", {
            path([root(), leaf().with(standard(ALTERNATIVE_NAMES, false, b"\x30\x7fgarbage"))])
        }),
        accepts("insecure_name: another name", lists(&[dns("b.example")]).for_any_name()),
        accepts("insecure_name: no name at all", path([root(), bare()]).for_any_name()),
        accepts("insecure_name: a host without a name", {
            lists(&[dns("b.example")]).for_any_name().host("unix:/run/x")
        }),
    ]
}
