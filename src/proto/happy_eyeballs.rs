//! Happy Eyeballs (RFC 8305): which address to dial when.
//!
//! Not here: sockets, lookups and the clock. The caller dials what [`HappyEyeballs::next`] names, reports
//! failures, and drops the race when one dial stands.
//! Invariant: every address is dialed at most once, in the order of preference.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

/// Connection Attempt Delay (RFC 8305, section 5): the lead that an attempt has over the next.
pub const ATTEMPT_DELAY: Duration = Duration::from_millis(250);

/// What to do now.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Step {
    /// Dial this address; it counts as in flight from here on.
    Dial(SocketAddr),
    /// Ask again at that moment or when a dial fails.
    Wait(Instant),
    /// All addresses were dialed and some are in flight.
    Watch,
    /// All addresses were dialed and all failed.
    Exhausted,
}

/// The addresses of one connection attempt and how far they were tried.
#[derive(Clone, Debug)]
pub struct HappyEyeballs {
    waiting: VecDeque<SocketAddr>,
    in_flight: usize,
    not_before: Option<Instant>,
}

impl HappyEyeballs {
    /// A race over `addresses`, alternating between the families as RFC 8305, section 4 asks, with
    /// the family of the first address first.
    #[must_use]
    pub fn new(addresses: Vec<SocketAddr>) -> Self {
        Self { waiting: interleave(addresses), in_flight: 0, not_before: None }
    }

    /// What to do now.
    pub fn next(&mut self, now: Instant) -> Step {
        let Some(&address) = self.waiting.front() else {
            return if self.in_flight == 0 { Step::Exhausted } else { Step::Watch };
        };
        if let Some(at) = self.not_before.filter(|&at| now < at) {
            return Step::Wait(at);
        }
        self.waiting.pop_front();
        self.in_flight += 1;
        self.not_before = now.checked_add(ATTEMPT_DELAY);
        Step::Dial(address)
    }

    /// One of the dials in flight failed: the next need not wait (RFC 8305, section 5).
    pub fn failed(&mut self) {
        self.in_flight = self.in_flight.saturating_sub(1);
        self.not_before = None;
    }
}

fn interleave(addresses: Vec<SocketAddr>) -> VecDeque<SocketAddr> {
    let count = addresses.len();
    let starts_with_v6 = addresses.first().is_some_and(SocketAddr::is_ipv6);
    let (first, second): (Vec<_>, Vec<_>) =
        addresses.into_iter().partition(|address| address.is_ipv6() == starts_with_v6);
    let mut order = VecDeque::with_capacity(count);
    let mut second = second.into_iter();
    for address in first {
        order.push_back(address);
        order.extend(second.next());
    }
    order.extend(second);
    order
}

#[cfg(test)]
mod tests {
    use super::*;

    fn v4(last: u8) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, last], 80))
    }

    fn v6(last: u16) -> SocketAddr {
        SocketAddr::from(([0, 0, 0, 0, 0, 0, 0, last], 80))
    }

    fn order(addresses: Vec<SocketAddr>) -> Vec<SocketAddr> {
        let mut race = HappyEyeballs::new(addresses);
        let now = Instant::now();
        let mut order = Vec::new();
        while let Step::Dial(address) = race.next(now) {
            order.push(address);
            race.failed();
        }
        order
    }

    #[test]
    fn families_alternate_and_the_first_address_stays_first() {
        assert_eq!(order(vec![v6(1), v6(2), v4(1), v4(2)]), [v6(1), v4(1), v6(2), v4(2)]);
        assert_eq!(order(vec![v4(1), v6(1), v6(2), v6(3)]), [v4(1), v6(1), v6(2), v6(3)]);
        assert_eq!(order(vec![v4(1), v4(2), v4(3), v6(1)]), [v4(1), v6(1), v4(2), v4(3)]);
        assert_eq!(order(vec![v4(2), v4(1)]), [v4(2), v4(1)]);
    }

    #[test]
    fn the_next_dial_waits_a_quarter_of_a_second() {
        let start = Instant::now();
        let mut race = HappyEyeballs::new(vec![v6(1), v4(1), v4(2)]);
        let second = start + ATTEMPT_DELAY;
        assert_eq!(race.next(start), Step::Dial(v6(1)));
        assert_eq!(race.next(start), Step::Wait(second));
        assert_eq!(race.next(start + ATTEMPT_DELAY / 2), Step::Wait(second));
        assert_eq!(race.next(second), Step::Dial(v4(1)));
        assert_eq!(race.in_flight, 2);
        assert_eq!(race.next(second), Step::Wait(second + ATTEMPT_DELAY));
        assert_eq!(race.next(second + ATTEMPT_DELAY), Step::Dial(v4(2)));
        assert_eq!(race.next(second + ATTEMPT_DELAY), Step::Watch);
    }

    #[test]
    fn a_failure_lets_the_next_start_at_once() {
        let start = Instant::now();
        let mut race = HappyEyeballs::new(vec![v6(1), v4(1), v4(2)]);
        assert_eq!(race.next(start), Step::Dial(v6(1)));
        race.failed();
        assert_eq!(race.in_flight, 0);
        assert_eq!(race.next(start), Step::Dial(v4(1)));
        assert_eq!(race.next(start), Step::Wait(start + ATTEMPT_DELAY));
    }

    #[test]
    fn a_failure_helps_also_when_another_dial_is_in_flight() {
        let start = Instant::now();
        let second = start + ATTEMPT_DELAY;
        let mut race = HappyEyeballs::new(vec![v6(1), v4(1), v4(2)]);
        race.next(start);
        race.next(second);
        race.failed();
        assert_eq!((race.in_flight, race.next(second)), (1, Step::Dial(v4(2))));
    }

    #[test]
    fn a_race_is_exhausted_when_all_failed_and_not_before() {
        let now = Instant::now();
        let mut race = HappyEyeballs::new(vec![v4(1)]);
        assert_eq!(race.next(now), Step::Dial(v4(1)));
        assert_eq!(race.next(now), Step::Watch);
        race.failed();
        assert_eq!(race.next(now), Step::Exhausted);
        race.failed();
        assert_eq!((race.next(now), race.in_flight), (Step::Exhausted, 0));
        assert_eq!(HappyEyeballs::new(Vec::new()).next(now), Step::Exhausted);
    }
}
