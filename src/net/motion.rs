//! The motion of sources, what may be under way between sockets: whether a clock that a test moves may go on.
//!
//! Not here: waiting for it (`lua::run::settle`). Both ends of a connection, or of datagrams, that are of
//! one hub tell exactly whether a byte is under way. Of a peer elsewhere nobody knows: as long as
//! nothing of it has changed, nothing is thought to come.
//! Invariant: looking changes nothing.

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash, Hasher};

use crate::address::Address;
use crate::proto::connection::Phase;

/// What a source tells of itself.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct Motion {
    /// Who it may be paired with.
    pub between: Between,
    /// Bytes that the system has taken.
    pub sent: u64,
    /// Bytes that have come.
    pub received: u64,
    /// What it waits for, beside bytes.
    pub stir: Stir,
}

/// The ends of a source.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub enum Between {
    /// A connection: ours, and the other. One of a Unix socket has at most one that has a name.
    Ends(Option<Address>, Option<Address>),
    /// Datagrams go anywhere.
    Datagrams,
    /// Nothing that another source could be the other end of.
    Nothing,
}

/// What a source waits for, beside bytes; what takes longer is more.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Stir {
    /// Nothing.
    #[default]
    Still,
    /// Something between it and its peer: that it takes more, or ends.
    Peer,
    /// That it stands, or is secured, for which the peer may have to compute.
    Begin,
    /// Something of this machine that takes its time and comes by itself: a lookup, a file.
    Machine,
}

impl Stir {
    /// Of a connection.
    #[must_use]
    pub fn of(phase: Phase, pending: usize) -> Self {
        match phase {
            Phase::Resolving => Self::Machine,
            Phase::Open if pending == 0 => Self::Still,
            Phase::Waiting => Self::Still,
            Phase::Connecting | Phase::Securing => Self::Begin,
            Phase::Open | Phase::Closing | Phase::Closed => Self::Peer,
        }
    }
}

/// All sources together.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Unrest {
    /// Changes with everything that moves.
    pub total: u64,
    /// Changes with what is not known to be still; 0: all is.
    pub unsettled: u64,
    /// What is waited for longest.
    pub stir: Stir,
}

/// One side of what two sides tell of one way.
#[derive(Debug, Default)]
struct Side {
    count: usize,
    sent: u64,
    received: u64,
}

impl Side {
    fn add(&mut self, motion: &Motion) {
        self.count += 1;
        self.sent = self.sent.wrapping_add(motion.sent);
        self.received = self.received.wrapping_add(motion.received);
    }
}

/// Sources that may be each other's ends.
#[derive(Debug, Default)]
struct Group<'a> {
    members: Vec<&'a (u64, Motion)>,
    sides: [Side; 2],
}

impl Group<'_> {
    fn is_still(&self) -> bool {
        let [one, other] = &self.sides;
        let is_whole = one.count == other.count;
        let rests = self.members.iter().all(|(_, motion)| motion.stir == Stir::Still);
        is_whole && rests && one.sent == other.received && one.received == other.sent
    }
}

/// What they tell together; each with a number of its own.
#[must_use]
pub fn unrest(motions: &[(u64, Motion)]) -> Unrest {
    let mut groups: BTreeMap<(u8, u64, Option<Address>, Option<Address>), Group<'_>> =
        BTreeMap::new();
    for entry in motions {
        let (number, motion) = entry;
        let (key, side) = match &motion.between {
            Between::Ends(Some(own), Some(other)) if own <= other => {
                ((0, 0, Some(own.clone()), Some(other.clone())), 0)
            }
            Between::Ends(Some(own), Some(other)) => {
                ((0, 0, Some(other.clone()), Some(own.clone())), 1)
            }
            Between::Ends(None, Some(path)) => ((1, 0, Some(path.clone()), None), 0),
            Between::Ends(Some(path), None) => ((1, 0, Some(path.clone()), None), 1),
            Between::Datagrams => ((2, 0, None, None), 0),
            Between::Ends(None, None) | Between::Nothing => ((3, *number, None, None), 0),
        };
        let group = groups.entry(key).or_default();
        group.members.push(entry);
        if let Some(side) = group.sides.get_mut(side) {
            side.add(motion);
        }
        if motion.between == Between::Datagrams {
            // Each may be the other end of every other, itself among them.
            group.sides[1] = Side {
                count: group.sides[0].count,
                sent: group.sides[0].sent,
                received: group.sides[0].received,
            };
        }
    }
    let mut unrest = Unrest { total: hash_of(&motions), ..Unrest::default() };
    let restless: Vec<_> = groups.into_values().filter(|group| !group.is_still()).collect();
    if !restless.is_empty() {
        let members: Vec<_> = restless.iter().flat_map(|group| &group.members).collect();
        unrest.unsettled = hash_of(&members).max(1);
        unrest.stir = members.iter().map(|(_, motion)| motion.stir).max().unwrap_or_default();
    }
    unrest
}

fn hash_of(value: &impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    value.hash(&mut hasher);
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use super::*;

    #[expect(clippy::unnecessary_wraps, reason = "as an end is noted")]
    fn at(port: u16) -> Option<Address> {
        Some(Address::Ip(SocketAddr::from(([127, 0, 0, 1], port))))
    }

    #[expect(clippy::unnecessary_wraps, reason = "as an end is noted")]
    fn path() -> Option<Address> {
        Some(Address::Unix((*b"/a").into()))
    }

    fn told(between: Between, sent: u64, received: u64) -> Motion {
        Motion { between, sent, received, stir: Stir::Still }
    }

    fn all(motions: Vec<Motion>) -> Unrest {
        unrest(&(1..).zip(motions).collect::<Vec<_>>())
    }

    #[test]
    fn both_ends_are_still_when_what_one_has_sent_the_other_has_received() {
        for (own, other) in [(at(1), at(2)), (at(2), at(1)), (None, path()), (path(), None)] {
            let pair = |sent, received| {
                let one = told(Between::Ends(own.clone(), other.clone()), sent, 7);
                let two = told(Between::Ends(other.clone(), own.clone()), 7, received);
                all(vec![one, two])
            };
            assert_eq!(pair(9, 9).unsettled, 0);
            assert_ne!(pair(9, 8).unsettled, 0);
            assert_ne!(pair(9, 8).unsettled, pair(9, 7).unsettled);
            assert_ne!(pair(9, 9).total, pair(8, 8).total);
        }
    }

    #[test]
    fn one_end_alone_is_known_by_nothing_but_its_own_numbers() {
        let lone = |sent, received| all(vec![told(Between::Ends(at(1), at(2)), sent, received)]);
        assert_ne!(lone(0, 0).unsettled, 0);
        assert_eq!(lone(5, 5), lone(5, 5));
        assert_ne!(lone(5, 5).unsettled, lone(5, 6).unsettled);
        assert_ne!(lone(5, 5).unsettled, lone(6, 5).unsettled);
    }

    #[test]
    fn datagrams_are_still_when_all_that_were_sent_have_come() {
        let pair = |sent, received| {
            let one = told(Between::Datagrams, sent, 3);
            all(vec![one, told(Between::Datagrams, 3, received)])
        };
        assert_eq!(pair(4, 4).unsettled, 0);
        assert_ne!(pair(4, 0).unsettled, 0);
        assert_eq!(all(vec![told(Between::Datagrams, 4, 4)]).unsettled, 0);
    }

    #[test]
    fn what_is_about_to_stand_or_is_looked_up_is_not_still() {
        assert_eq!(all(Vec::new()), all(Vec::new()));
        assert_eq!(all(Vec::new()).unsettled, 0);
        let asks = Motion { stir: Stir::Machine, ..told(Between::Nothing, 0, 0) };
        assert_eq!(all(vec![asks.clone()]).stir, Stir::Machine);
        assert_ne!(all(vec![asks]).unsettled, 0);
        let stirs = |stir| {
            let one = Motion { stir, ..told(Between::Ends(at(1), at(2)), 0, 0) };
            all(vec![one, told(Between::Ends(at(2), at(1)), 0, 0)])
        };
        assert!(stirs(Stir::Peer).unsettled != 0 && stirs(Stir::Begin).stir == Stir::Begin);
        assert_eq!(stirs(Stir::Still).unsettled, 0);
        assert_eq!(Stir::of(Phase::Open, 0), Stir::Still);
        assert_eq!(Stir::of(Phase::Open, 1), Stir::Peer);
        assert_eq!(Stir::of(Phase::Securing, 1), Stir::Begin);
        assert_eq!(Stir::of(Phase::Resolving, 0), Stir::Machine);
    }
}
