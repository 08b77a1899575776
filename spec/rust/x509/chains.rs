//! Rows on the way from a certificate to a root: how long it may be, and what breaks it.
//!
//! Not here: heaps with more than one way (`graphs`), what each certificate is for (`purposes`).

use evsock::error::Code::{
    TlsBadCertificate as Bad, TlsBadSignature as Forged, TlsSelfSigned as Own,
    TlsUnknownIssuer as Stranger,
};

use super::{
    BASIC_CONSTRAINTS, Cert, Der, Row, Shown, accepts, authority, basic_constraints, between,
    common_name, directory, leaf, path, refuses, root, standard,
};
use crate::tls_kit::surgery::{sequence, tlv};

pub fn rows() -> Vec<Row> {
    let mut rows = lengths();
    rows.extend(orders());
    rows.extend(links());
    rows.extend(signatures());
    rows
}

fn limited(label: &str, length: u8) -> Cert {
    authority(label).with(basic_constraints(true, Some(length)))
}

/// `count` authorities between.
fn long(count: usize) -> Shown {
    let mut upper = root();
    let mut chain = Vec::new();
    for number in 0..count {
        let next = authority(&format!("number {number}"));
        chain.insert(0, next.by(&upper));
        upper = next;
    }
    chain.insert(0, leaf().by(&upper));
    Shown { chain, ..path([root(), leaf()]) }
}

fn lengths() -> Vec<Row> {
    let [one, two, three] = ["one", "two", "three"].map(authority);
    let same = between().keyed("another key of between");
    let odd = |length: &[u8]| {
        let value = sequence(&[tlv(1, &[0xff]), tlv(2, length)]);
        path([root(), between().with(standard(BASIC_CONSTRAINTS, true, &value)), leaf()])
    };
    vec![
        accepts("the root's own", path([root(), leaf()])),
        accepts("one authority between", path([root(), one.clone(), leaf()])),
        accepts(
            "three authorities between",
            path([root(), one.clone(), two.clone(), three, leaf()]),
        ),
        accepts("six authorities between", long(6)),
        refuses(Bad, "seven authorities between", long(7))
            .departs("has no bound; no authority has so long a chain, and the search must end"),
        accepts("length 0 and a leaf", path([root(), limited("none", 0), leaf()])),
        refuses(
            Bad,
            "length 0 and an authority",
            path([root(), limited("none", 0), one.clone(), leaf()]),
        ),
        accepts(
            "length 1 and an authority",
            path([root(), limited("few", 1), one.clone(), leaf()]),
        ),
        refuses(Bad, "length 1 and two authorities", {
            path([root(), limited("few", 1), one.clone(), two.clone(), leaf()])
        }),
        accepts(
            "length 127 and an authority",
            path([root(), limited("many", 127), one.clone(), leaf()]),
        ),
        refuses(Bad, "a lower length allows what the upper does not", {
            path([root(), limited("few", 1), limited("more", 9), two.clone(), leaf()])
        }),
        refuses(Forged, "length 0 and an authority of the same name", {
            path([root(), between().with(basic_constraints(true, Some(0))), same, leaf()])
        })
        .departs(
            "does not count those issued by their own name; here each one counts, and what is told \
                 is of the shorter way",
        ),
        accepts(
            "length 0 on the root and an authority",
            path([limited("root", 0), one.clone(), leaf()]),
        )
        .departs("takes of a root its name and key (6.1.1); who has its key made the authority"),
        accepts("a length on a leaf", {
            path([root(), leaf().with(basic_constraints(false, Some(0)))])
        })
        .departs("only authorities may have it (4.2.1.9); a leaf vouches for nobody anyway"),
        refuses(Bad, "a length without the flag of an authority", {
            path([root(), between().with(basic_constraints(false, Some(3))), leaf()])
        }),
        refuses(Bad, "a length below zero", odd(&[0xff])),
        refuses(Bad, "a length of two bytes", odd(&[1, 0]))
            .departs("has no bound; nobody has 256 authorities in a chain"),
    ]
}

fn orders() -> Vec<Row> {
    let [one, two] = ["one", "two"].map(authority);
    let three = || path([root(), one.clone(), two.clone(), leaf()]);
    let stray = authority("stray").by_itself();
    vec![
        accepts("authorities in the other order", three().order(&[0, 2, 1])),
        accepts("an authority twice", three().order(&[0, 1, 1, 2, 2])),
        accepts("the leaf twice", three().order(&[0, 0, 1, 2])),
        accepts("the root sent along", three().also(root().by_itself())),
        accepts("the root in the middle", three().also(root().by_itself()).order(&[0, 3, 1, 2])),
        accepts("a stray sent along", three().also(stray.clone())),
        accepts("a stray leaf sent along", three().also(leaf().keyed("x").by(&authority("x")))),
        accepts("garbage sent along", three().also(b"garbage".to_vec())),
        accepts("nothing sent along", three().also(Der::new())),
        refuses(Bad, "the leaf last", three().order(&[1, 2, 0])),
        refuses(Bad, "the whole chain turned around", three().order(&[2, 1, 0])),
        refuses(Stranger, "the lower authority left out", three().order(&[0, 2])),
        refuses(Stranger, "the upper authority left out", three().order(&[0, 1])),
        refuses(Stranger, "only the leaf", three().order(&[0])),
        refuses(Stranger, "a stray in place of an authority", three().order(&[0, 2]).also(stray)),
        refuses(Bad, "no certificate", Shown { key: None, ..three().order(&[]) }),
        refuses(Bad, "garbage in place of a leaf", {
            three().damage(0, |der| *der = b"garbage".to_vec())
        }),
        refuses(Bad, "half a leaf", three().damage(0, |der| der.truncate(der.len() / 2))),
        refuses(Bad, "a byte behind the leaf", three().damage(0, |der| der.push(0))),
    ]
}

fn links() -> Vec<Row> {
    let renamed =
        |name: Der| path([root(), between(), leaf().set(|leaf| leaf.issuer = Some(name))]);
    let root_of = |name: Der| Cert { subject: name, ..root() };
    let nameless = Cert { subject: vec![0x30, 0], ..between() };
    let printed = path([root_of(common_name("root")), leaf()]);
    let in_print = directory(0x13, b"root");
    vec![
        refuses(Stranger, "an issuer of another name", renamed(common_name("somebody"))),
        refuses(Stranger, "an issuer in other letters", renamed(common_name("Between")))
            .departs("compares names without case (7.1); here each byte counts"),
        refuses(Stranger, "an issuer in another kind of text", {
            printed.trusting(&[root_of(in_print).by_itself()])
        })
        .departs("compares what is written (7.1); here each byte counts"),
        accepts("an authority without a name", path([root(), nameless, leaf()]))
            .departs("an authority has a name (4.1.2.6); the signature links them all the same"),
        refuses(
            Stranger,
            "another root",
            path([root(), leaf()]).trusting(&[authority("x").by_itself()]),
        ),
        refuses(Stranger, "another root, sent along", {
            path([root(), leaf()]).trusting(&[authority("x").by_itself()]).also(root().by_itself())
        }),
        refuses(
            Own,
            "signed by itself",
            Shown { chain: vec![leaf().by_itself()], ..path([root(), leaf()]) },
        ),
        refuses(Own, "signed by itself and sent twice", {
            Shown { chain: vec![leaf().by_itself(); 2], ..path([root(), leaf()]) }
        }),
        refuses(Own, "an authority signed by itself", {
            let own = leaf().with(basic_constraints(true, None)).by_itself();
            Shown { chain: vec![own], ..path([root(), leaf()]) }
        }),
        refuses(Own, "named as its issuer and signed by nobody", {
            let own = leaf().by(&leaf().keyed("nobody"));
            Shown { chain: vec![own], ..path([root(), leaf()]) }
        }),
        refuses(Bad, "a leaf as an authority", {
            let upper = leaf().set(|leaf| leaf.subject = common_name("another leaf"));
            path([root(), upper.keyed("another leaf"), leaf()])
        }),
    ]
}

fn signatures() -> Vec<Row> {
    let chain = || path([root(), between(), leaf()]);
    let flip = |der: &mut Der, text: &[u8]| {
        let at = der.windows(text.len()).position(|part| part == text).unwrap();
        der[at] ^= 1;
    };
    let last = |der: &mut Der| *der.last_mut().unwrap() ^= 1;
    let mut loose = Der::new();
    chain().damage(0, |der| {
        // The count of unused bits stands in front of the 64 bytes of the signature.
        let at = der.len() - 65;
        der[at] = 1;
        loose.clone_from(der);
    });
    vec![
        refuses(Forged, "a bit of the leaf's signature flipped", chain().damage(0, last)),
        refuses(Forged, "a bit of the authority's signature flipped", chain().damage(1, last)),
        refuses(Forged, "a name changed after it was signed", {
            chain().damage(0, |der| flip(der, b"example")).host("a.dxample")
        }),
        refuses(Forged, "an authority's dates changed after it was signed", {
            chain().damage(1, |der| flip(der, b"00101000000Z"))
        }),
        refuses(Forged, "an authority of that name with another key", {
            let other = between().keyed("another");
            Shown { chain: vec![leaf().by(&between()), other.by(&root())], ..chain() }
        }),
        refuses(Forged, "a root of that name with another key", {
            chain().trusting(&[root().keyed("another").by_itself()])
        }),
        refuses(
            Bad,
            "a signature with loose bits",
            Shown { chain: vec![loose, chain().chain[1].clone()], ..chain() },
        ),
    ]
}
