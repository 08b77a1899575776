//! The tempo of waiting: when a wait polls without sleeping, and when a pump polls although it need not.
//!
//! Not here: who polls (`reactor::lead`), polling itself (`reactor`), clocks: time and facts come in, what is
//! to be done goes out. A spin saves the way into a sleep and out of it where an answer is near, as in a
//! dialogue; where none is near it would burn the processor, and where many are busy it would fetch
//! their reports one by one.
//! Invariants: one wait spins at most once, and not beyond its deadline or the next timer; a process in
//! which nothing happens does not spin.

use std::time::{Duration, Instant};

use crate::limits;

/// So many spins in a row may find nothing before the next is the last for a while.
const PATIENCE: i8 = 4;
/// So many waits in a row must bring one report before spinning is tried again after more at once.
const CROWD_MEMORY: u8 = 8;
/// While one connection alone is busy, each so many turns of a spin bring a look for everybody else.
const TURNS_APART: u32 = 4;
/// How often in a row the one busy connection may be read before anybody else is looked for.
const READS_AHEAD: u8 = 16;
/// And for how long: its handler may compute.
const AHEAD: Duration = Duration::from_micros(200);

/// What a turn of a spin does.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Turn {
    /// Read the one busy connection without asking whether there is something. If nothing came and
    /// this says so, or if there is no such connection, look for everybody, too.
    Read {
        /// It is everybody's turn.
        then_look: bool,
    },
    /// Look for everybody.
    Look,
    /// The spin is over.
    Sleep,
}

/// Whether the leader's waits spin, and how.
#[derive(Debug, Default)]
pub struct Spin {
    /// Until when the present wait may poll without sleeping.
    until: Option<Instant>,
    turns: u32,
    /// How well spinning went lately; below zero it is not tried.
    luck: i8,
    /// Above zero: several sources are busy, or clients come. Sleeping lets their reports gather,
    /// and none of them waits for us alone.
    crowd: u8,
    /// How often the one busy connection was read since anybody else was looked for, and when that was.
    ahead: u8,
    looked: Option<Instant>,
}

impl Spin {
    /// A wait of the script begins: it may spin for so long before it sleeps.
    pub fn begin_wait(&mut self, now: Instant, most: Duration) {
        let tries = !most.is_zero() && self.luck >= 0 && self.crowd == 0;
        self.until = tries.then(|| now + most);
    }

    /// Until when the leader spins now, if it does: not beyond its deadline and the next timer.
    pub fn begin(
        &mut self,
        deadline: Option<Instant>,
        timer: impl FnOnce() -> Option<Instant>,
    ) -> Option<Instant> {
        let until = self.until.take()?;
        self.turns = 0;
        let until = deadline.map_or(until, |deadline| until.min(deadline));
        Some(timer().map_or(until, |timer| until.min(timer)))
    }

    /// The next turn of a spin until then. One that found nothing until its end counts against the
    /// next.
    pub fn turn(&mut self, now: Instant, until: Instant) -> Turn {
        if now >= until {
            self.luck -= 1;
            return Turn::Sleep;
        }
        self.turns += 1;
        let lately = self.looked.is_some_and(|looked| now < looked + AHEAD);
        if lately && self.ahead < READS_AHEAD {
            Turn::Read { then_look: self.turns.is_multiple_of(TURNS_APART) }
        } else {
            Turn::Look
        }
    }

    /// Everybody is looked for, in a spin or at the end of a sleep.
    pub fn looked(&mut self, now: Instant) {
        self.ahead = 0;
        self.looked = Some(now);
    }

    /// A look of a spin found something.
    pub fn found(&mut self) {
        self.luck = PATIENCE;
    }

    /// The one busy connection was read, and so many of its bytes wait for the script.
    pub fn read(&mut self, waiting: usize) {
        self.luck = PATIENCE;
        // A flood is no dialogue: everybody has a turn before more of it.
        self.ahead += if waiting < limits::SMALL_ARRIVAL { 1 } else { READS_AHEAD };
    }

    /// Whether spinning is given up, so that it matters how long a sleep took.
    #[must_use]
    pub fn is_given_up(&self) -> bool {
        self.luck < 0
    }

    /// A sleep found something after that time.
    pub fn slept(&mut self, time: Duration) {
        if self.luck < 0 && time < limits::SPIN {
            // It would have been found by spinning.
            self.luck += 1;
        }
    }

    /// So many sources were reported at once; `accepts`: the one of them is one that clients come to.
    pub fn reported(&mut self, sources: usize, accepts: bool) {
        let several = sources > 1 || accepts;
        self.crowd = if several { CROWD_MEMORY } else { self.crowd.saturating_sub(1) };
    }
}

/// Whether a pump that has work, and so would not wait, polls all the same: lest nobody does, since the
/// thread leaves the lead to a script that pumps.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    /// How many polls there had been at the last pump that found work.
    at_pump: u32,
    /// The same while a pump dispatches, and when that number was first seen.
    at_dispatch: (u32, Instant),
}

impl Pace {
    /// Nobody has polled yet.
    #[must_use]
    pub fn new(now: Instant) -> Self {
        Self { at_pump: 0, at_dispatch: (0, now) }
    }

    /// A pump has found work without polling; `polls`: how many polls there have been. Whether it
    /// polls itself: nobody has since the last such pump.
    pub fn found_work(&mut self, polls: u32) -> bool {
        std::mem::replace(&mut self.at_pump, polls) == polls
    }

    /// A pump goes on dispatching. Whether it polls amid that: nobody has for 5 ms.
    pub fn dispatches(&mut self, polls: u32, now: Instant) -> bool {
        let (seen, since) = self.at_dispatch;
        if polls != seen {
            self.at_dispatch = (polls, now);
            return false;
        }
        now - since >= limits::WATCH
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MICRO: Duration = Duration::from_micros(1);
    const SMALL: usize = 64;

    /// Spins until something ends it; what the turns were.
    fn turns(spin: &mut Spin, from: Instant, until: Instant, step: Duration) -> Vec<Turn> {
        let mut now = from;
        let mut turns = Vec::new();
        loop {
            let turn = spin.turn(now, until);
            turns.push(turn);
            match turn {
                Turn::Sleep => return turns,
                Turn::Read { then_look: false } => {}
                Turn::Read { .. } | Turn::Look => spin.looked(now),
            }
            now += step;
        }
    }

    fn spins(spin: &mut Spin, now: Instant) -> bool {
        spin.begin_wait(now, limits::SPIN);
        spin.begin(None, || None).is_some()
    }

    /// A spin that finds nothing.
    fn fails(spin: &mut Spin, now: Instant) {
        assert!(spins(spin, now));
        assert_eq!(spin.turn(now + limits::SPIN, now + limits::SPIN), Turn::Sleep);
    }

    #[test]
    fn a_wait_spins_once_and_not_beyond_its_deadline_or_the_next_timer() {
        let (mut spin, now) = (Spin::default(), Instant::now());
        let (soon, sooner) = (now + 7 * MICRO, now + 3 * MICRO);
        let mut begin = |deadline, timer| {
            spin.begin_wait(now, limits::SPIN);
            (spin.begin(deadline, || timer), spin.begin(deadline, || timer))
        };
        assert_eq!(begin(None, None), (Some(now + limits::SPIN), None));
        assert_eq!(begin(Some(soon), None), (Some(soon), None));
        assert_eq!(begin(Some(soon), Some(sooner)), (Some(sooner), None));
        assert_eq!(begin(Some(sooner), Some(soon)), (Some(sooner), None));
    }

    #[test]
    fn a_wait_that_may_not_spin_does_not() {
        let mut spin = Spin::default();
        spin.begin_wait(Instant::now(), Duration::ZERO);
        assert_eq!(spin.begin(None, || None), None);
    }

    #[test]
    fn a_spin_looks_for_everybody_until_it_ends() {
        let (mut spin, now) = (Spin::default(), Instant::now());
        let seen = turns(&mut spin, now, now + 2 * AHEAD, AHEAD);
        assert_eq!(seen, [Turn::Look, Turn::Look, Turn::Sleep]);
    }

    #[test]
    fn an_idle_process_gives_spinning_up_after_the_first_that_finds_nothing() {
        let (mut spin, now) = (Spin::default(), Instant::now());
        fails(&mut spin, now);
        assert!(spin.is_given_up() && !spins(&mut spin, now));
    }

    #[test]
    fn after_a_success_five_spins_in_a_row_may_find_nothing() {
        let (mut spin, now) = (Spin::default(), Instant::now());
        for succeed in [Spin::found, |spin: &mut Spin| spin.read(SMALL)] {
            succeed(&mut spin);
            for _ in 0..5 {
                fails(&mut spin, now);
            }
            assert!(!spins(&mut spin, now));
        }
    }

    #[test]
    fn a_sleep_that_a_spin_would_have_saved_makes_the_next_wait_spin() {
        let (mut spin, now) = (Spin::default(), Instant::now());
        fails(&mut spin, now);
        spin.slept(limits::SPIN);
        assert!(!spins(&mut spin, now));
        spin.slept(limits::SPIN.saturating_sub(MICRO));
        assert!(spins(&mut spin, now));
        // It only makes good for a failure.
        spin.slept(MICRO);
        fails(&mut spin, now);
        assert!(spin.is_given_up());
    }

    #[test]
    fn while_several_are_busy_nobody_spins_until_eight_reports_in_a_row_are_of_one() {
        let (mut spin, now) = (Spin::default(), Instant::now());
        for (sources, accepts) in [(2, false), (1, true), (300, false)] {
            spin.reported(sources, accepts);
            for _ in 0..8 {
                assert!(!spins(&mut spin, now));
                spin.reported(1, false);
            }
            assert!(spins(&mut spin, now));
        }
    }

    #[test]
    fn the_one_busy_connection_is_read_sixteen_times_before_everybody_is_looked_for() {
        let (mut spin, now) = (Spin::default(), Instant::now());
        let until = now + limits::SPIN;
        assert_eq!(spin.turn(now, until), Turn::Look);
        for _ in 0..2 {
            spin.looked(now);
            for _ in 0..16 {
                assert!(matches!(spin.turn(now, until), Turn::Read { .. }));
                spin.read(SMALL);
            }
            assert_eq!(spin.turn(now, until), Turn::Look);
        }
    }

    #[test]
    fn it_is_read_for_200_microseconds_after_the_last_look_for_everybody() {
        let (mut spin, now) = (Spin::default(), Instant::now());
        let until = now + limits::CONNECT_TIMEOUT;
        spin.looked(now);
        assert!(matches!(spin.turn(now + 199 * MICRO, until), Turn::Read { .. }));
        assert_eq!(spin.turn(now + 200 * MICRO, until), Turn::Look);
    }

    #[test]
    fn while_it_says_nothing_every_fourth_turn_is_for_everybody() {
        let (mut spin, now) = (Spin::default(), Instant::now());
        spin.looked(now);
        let seen = turns(&mut spin, now, now + 8 * MICRO, MICRO);
        let (alone, all) = (Turn::Read { then_look: false }, Turn::Read { then_look: true });
        let [first, second] = [[alone, alone, alone, all]; 2];
        assert_eq!(seen, [&first[..], &second, &[Turn::Sleep]].concat());
    }

    #[test]
    fn a_flood_is_no_dialogue() {
        let (mut spin, now) = (Spin::default(), Instant::now());
        spin.looked(now);
        spin.read(limits::SMALL_ARRIVAL);
        assert_eq!(spin.turn(now, now + limits::SPIN), Turn::Look);
    }

    #[test]
    fn a_pump_with_work_polls_when_nobody_has_since_the_last_one() {
        let mut pace = Pace::new(Instant::now());
        assert!(!pace.found_work(1));
        assert!(pace.found_work(1) && pace.found_work(1));
        assert!(!pace.found_work(2));
    }

    #[test]
    fn a_pump_that_dispatches_polls_when_nobody_has_for_5_milliseconds() {
        let now = Instant::now();
        let mut pace = Pace::new(now);
        let at = |millis| now + Duration::from_millis(millis);
        // Until somebody has polled again it polls each time it is asked.
        assert_eq!([4, 5, 6].map(|millis| pace.dispatches(0, at(millis))), [false, true, true]);
        assert_eq!([6, 10, 11].map(|millis| pace.dispatches(1, at(millis))), [false, false, true]);
    }
}
