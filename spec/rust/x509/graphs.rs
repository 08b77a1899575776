//! Rows on heaps of certificates: more than one way to a root, circles, and far too many.
//!
//! Not here: single ways (`chains`). Invariant of what is tested: the search ends soon, whatever a
//! peer sends, as it is done on the way of all other sockets.

use evsock::error::Code::{
    TlsBadCertificate as Bad, TlsBadSignature as Forged, TlsExpired as Expired,
    TlsUnknownIssuer as Stranger,
};

use super::{Cert, Der, Row, Shown, accepts, authority, between, leaf, path, refuses, root, utc};

pub fn rows() -> Vec<Row> {
    let mut rows = ways();
    rows.extend(circles());
    rows.extend(heaps());
    rows
}

fn shown(chain: Vec<Der>) -> Shown {
    Shown { chain, ..path([root(), leaf()]) }
}

fn old(cert: Cert) -> Cert {
    cert.dated(utc("010101000000Z"), utc("020101000000Z"))
}

fn ways() -> Vec<Row> {
    let other = authority("other root");
    let own = leaf().by(&between());
    let (good, crossed) = (between().by(&root()), between().by(&other));
    let pretender = between().keyed("pretender");
    let renewed = root().keyed("renewed");
    let by_old = renewed.by(&root());
    vec![
        accepts(
            "two ways, the first to nobody",
            shown(vec![own.clone(), crossed.clone(), good.clone()]),
        ),
        accepts(
            "two ways, the second to nobody",
            shown(vec![own.clone(), good.clone(), crossed.clone()]),
        ),
        accepts("two ways, both to trusted roots", {
            shown(vec![own.clone(), crossed.clone(), good.clone()])
                .trusting(&[other.by_itself(), root().by_itself()])
        }),
        accepts("two ways, one of them expired", {
            shown(vec![own.clone(), old(between()).by(&root()), good.clone()])
        }),
        refuses(Expired, "two ways, both expired", {
            let twice = old(between()).dated(utc("010101000000Z"), utc("030101000000Z"));
            shown(vec![own.clone(), old(between()).by(&root()), twice.by(&root())])
        }),
        accepts("a pretender before the right authority", {
            shown(vec![own.clone(), pretender.by(&root()), good.clone()])
        }),
        accepts("a pretender behind the right authority", {
            shown(vec![own.clone(), good, pretender.by(&root())])
        }),
        refuses(Forged, "only a pretender", shown(vec![own.clone(), pretender.by(&root())])),
        refuses(Stranger, "only the way to nobody", shown(vec![own, crossed, other.by_itself()])),
        accepts("a root's new key, vouched for by its old one", {
            shown(vec![leaf().by(&renewed), by_old.clone()])
        }),
        accepts("a root's old key where both are trusted", {
            shown(vec![leaf().by(&root()), by_old])
                .trusting(&[renewed.by_itself(), root().by_itself()])
        }),
    ]
}

fn circles() -> Vec<Row> {
    let (here, there) = (authority("here"), authority("there"));
    let circle = || vec![leaf().by(&here), here.by(&there), there.by(&here)];
    let with = |more: Der| shown([circle(), vec![more]].concat());
    let three = ["a", "b", "c"].map(authority);
    let [a, b, c] = &three;
    vec![
        refuses(Stranger, "two authorities that vouch for each other", shown(circle())),
        accepts("a way out of the circle at its near end", with(here.by(&root()))),
        accepts("a way out of the circle at its far end", with(there.by(&root()))),
        refuses(Stranger, "a circle of three", {
            shown(vec![leaf().by(a), a.by(b), b.by(c), c.by(a)])
        }),
        refuses(Stranger, "an authority that vouches for itself", {
            shown(vec![leaf().by(&here), here.by_itself()])
        }),
        accepts("an authority that also vouches for itself", {
            shown(vec![leaf().by(&here), here.by_itself(), here.by(&root())])
        }),
        refuses(Bad, "a leaf that vouches for its own authority", {
            shown(vec![leaf().by(&here), here.by(&leaf())])
        }),
    ]
}

/// As many keys of one name as that, each vouched for by all others.
fn tangle(count: usize) -> Vec<Der> {
    let keys: Vec<Cert> = (0..count).map(|key| between().keyed(&format!("tangle {key}"))).collect();
    let pairs = keys.iter().flat_map(|one| keys.iter().map(move |other| (one, other)));
    let pairs = pairs.filter(|(one, other)| one.label != other.label);
    pairs.map(|(one, other)| one.by(other)).collect()
}

/// As many names as that, each vouched for by the next, with as many keys of each.
fn ring(names: usize, keys: usize) -> Vec<Der> {
    let of = |name: usize, key: usize| {
        let label = format!("ring {name}");
        let keyed = format!("ring {name}, {key}");
        authority(&label).keyed(&keyed)
    };
    let all = (0..names).flat_map(|name| (0..keys).map(move |key| (name, key)));
    let above = all.map(|(name, key)| of(name, key).by(&of((name + 1) % names, 0)));
    std::iter::once(leaf().by(&of(0, 0))).chain(above).collect()
}

fn heaps() -> Vec<Row> {
    let useless = || (0..100).map(|key| authority(&format!("useless {key}")).by_itself());
    let pretenders = |count: usize| {
        (0..count).map(|key| between().keyed(&format!("pretender {key}")).by(&root()))
    };
    let (own, good) = (leaf().by(&between()), between().by(&root()));
    let heap =
        |before: Vec<Der>, after: Vec<Der>| shown([vec![own.clone()], before, after].concat());
    let lone = || (0..150).map(|key| between().keyed(&format!("lone {key}")).by_itself());
    let knot = leaf().by(&between().keyed("tangle 0"));
    vec![
        accepts(
            "a hundred useless ones before the right",
            heap(useless().collect(), vec![good.clone()]),
        ),
        accepts(
            "a hundred useless ones behind the right",
            heap(vec![good.clone()], useless().collect()),
        ),
        refuses(
            Stranger,
            "a hundred useless ones and no right one",
            heap(useless().collect(), vec![]),
        ),
        accepts(
            "three pretenders before the right",
            heap(pretenders(3).collect(), vec![good.clone()]),
        ),
        refuses(
            Bad,
            "a hundred pretenders before the right",
            heap(pretenders(100).collect(), vec![good]),
        )
        .departs("has no bound; no honest server has so many authorities of one name"),
        refuses(Bad, "a hundred and fifty keys of one name", heap(lone().collect(), vec![])),
        refuses(Bad, "twelve keys of one name among useless ones", {
            heap(lone().take(12).collect(), useless().collect())
        }),
        refuses(Bad, "a tangle of fourteen keys of one name", {
            shown([vec![knot], tangle(14)].concat())
        }),
        refuses(Bad, "three names in a circle, four keys of each", shown(ring(3, 4))),
        refuses(Bad, "six names in a circle, five keys of each", shown(ring(6, 5))),
    ]
}
