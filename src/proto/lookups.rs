//! Names that wait to be looked up, and what each thread of the pool does next.
//!
//! Not here: threads, the clock and the lookup itself (`net::resolver`).
//! A lookup blocks for as long as it likes and nothing ends it. So one that is not back within a
//! grace counts as stuck, and no longer against those at work: a name that never answers costs a
//! thread, but delays nobody. The newest name goes first: old ones have mostly been given up.
//! Invariants: a name is in the list at most once; at most [`limits::LOOKUPS_AT_WORK`] lookups, or
//! half as many as are stuck, begin within one grace; while names wait, a thread is free to take
//! the next, unless there are [`limits::LOOKUP_THREADS`]; no thread wakes up but for a name or to
//! end.

use std::collections::{HashMap, VecDeque};
use std::time::Instant;

use crate::limits;

/// What waits for an answer.
pub trait Wanted {
    /// Whether it still does.
    fn is_wanted(&self) -> bool;
}

/// A lookup under way.
#[derive(Debug, Eq, PartialEq)]
pub struct Ticket {
    /// What to look up.
    pub name: String,
    number: u64,
}

/// What a thread does next.
#[derive(Debug, Eq, PartialEq)]
pub enum Turn {
    /// Look that up, then [`Lookups::finish`] it.
    LookUp(Ticket),
    /// Wait until then or until woken: a lookup will count as stuck. Then [`Lookups::rise`].
    Watch(Instant),
    /// Wait for [`limits::LOOKUP_IDLE`] or until woken. Then [`Lookups::rise`].
    Rest,
    /// The thread is not needed any more.
    End,
}

/// The names and the threads.
#[derive(Debug)]
pub struct Lookups<W> {
    /// The newest is the last.
    waiting: Vec<String>,
    /// Of names that wait and of those under way.
    waiters: HashMap<String, Vec<W>>,
    /// Number and beginning of the lookups that were at work at the last turn.
    at_work: VecDeque<(u64, Instant)>,
    begun: u64,
    threads: usize,
    /// Threads that look nothing up.
    free: usize,
    /// Whether one of them waits for a lookup to be stuck. One is enough.
    watched: bool,
}

impl<W> Default for Lookups<W> {
    fn default() -> Self {
        Self {
            waiting: Vec::new(),
            waiters: HashMap::new(),
            at_work: VecDeque::new(),
            begun: 0,
            threads: 0,
            free: 0,
            watched: false,
        }
    }
}

impl<W: Wanted> Lookups<W> {
    /// Enters a request; false if too many names wait. Wake or [`Lookups::hire`] a thread then.
    pub fn ask(&mut self, name: &str, waiter: W) -> bool {
        if let Some(waiters) = self.waiters.get_mut(name) {
            if waiters.len() == waiters.capacity() {
                // Attempts at a stuck name may come and go for hours.
                waiters.retain(W::is_wanted);
                waiters.reserve(waiters.len() + 1);
            }
            waiters.push(waiter);
            return true;
        }
        if self.waiting.len() >= limits::LOOKUPS_WAITING {
            self.forget_unwanted();
        }
        if self.waiting.len() >= limits::LOOKUPS_WAITING {
            return false;
        }
        self.waiters.insert(name.to_owned(), vec![waiter]);
        self.waiting.push(name.to_owned());
        true
    }

    /// Whether names wait, so that a free thread is to be woken.
    pub fn are_waiting(&self) -> bool {
        !self.waiting.is_empty()
    }

    /// Whether another thread is needed, because fewer are free than lookups may begin. It counts
    /// as free from now until its [`Lookups::rise`].
    pub fn hire(&mut self) -> bool {
        let room = self.most_at_work().saturating_sub(self.at_work.len());
        // One where there is no room: it watches.
        let useful = self.waiting.len().min(room.max(1));
        let needed = self.free < useful && self.threads < limits::LOOKUP_THREADS;
        if needed {
            self.threads += 1;
            self.free += 1;
        }
        needed
    }

    /// The thread could not be had; whether others will come back to the names that wait. If not,
    /// these are forgotten: they are what was asked last.
    pub fn unhire(&mut self) -> bool {
        self.threads -= 1;
        self.free -= 1;
        if self.threads == 0 {
            self.waiting.clear();
            self.waiters.clear();
        }
        self.threads > 0
    }

    /// A free thread is about to take its turn: a new one, or one that has rested or `watched`.
    pub fn rise(&mut self, watched: bool) {
        self.free -= 1;
        self.watched &= !watched;
    }

    /// What a thread does next; `tired` if it has rested for long enough.
    pub fn turn(&mut self, now: Instant, tired: bool) -> Turn {
        while self.at_work.front().is_some_and(|&(_, begin)| now >= begin + limits::LOOKUP_GRACE) {
            self.at_work.pop_front();
        }
        while self.waiting.last().is_some_and(|name| !self.is_wanted(name)) {
            let name = self.waiting.pop().unwrap_or_default();
            self.waiters.remove(&name);
        }
        let room = self.at_work.len() < self.most_at_work();
        if let Some(name) = self.waiting.pop_if(|_| room) {
            let number = self.begun;
            self.begun += 1;
            self.at_work.push_back((number, now));
            return Turn::LookUp(Ticket { name, number });
        }
        let oldest = self.at_work.front().map(|&(_, begin)| begin);
        if let Some(begin) = oldest.filter(|_| !self.waiting.is_empty() && !self.watched) {
            self.free += 1;
            self.watched = true;
            return Turn::Watch(begin + limits::LOOKUP_GRACE);
        }
        if tired || self.free >= limits::LOOKUPS_AT_WORK {
            self.threads -= 1;
            return Turn::End;
        }
        self.free += 1;
        Turn::Rest
    }

    /// A lookup is back: those who wait for its answer.
    pub fn finish(&mut self, ticket: &Ticket) -> Vec<W> {
        self.at_work.retain(|&(number, _)| number != ticket.number);
        let mut waiters = self.waiters.remove(&ticket.name).unwrap_or_default();
        waiters.retain(W::is_wanted);
        waiters
    }

    fn most_at_work(&self) -> usize {
        let stuck = self.threads.saturating_sub(self.free + self.at_work.len());
        limits::LOOKUPS_AT_WORK.max(stuck / 2)
    }

    fn is_wanted(&self, name: &str) -> bool {
        self.waiters.get(name).is_some_and(|waiters| waiters.iter().any(W::is_wanted))
    }

    fn forget_unwanted(&mut self) {
        let mut waiting = std::mem::take(&mut self.waiting);
        waiting.retain(|name| {
            let wanted = self.is_wanted(name);
            if !wanted {
                self.waiters.remove(name);
            }
            wanted
        });
        self.waiting = waiting;
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::rc::Rc;
    use std::time::Duration;

    use super::*;

    type Request = Rc<Cell<bool>>;

    impl Wanted for Request {
        fn is_wanted(&self) -> bool {
            self.get()
        }
    }

    /// The threads of a pool under virtual time: each takes its turns as `net::resolver` does.
    struct Pool {
        lookups: Lookups<Request>,
        now: Instant,
        hired: usize,
        resting: Vec<Instant>,
        watching: Option<Instant>,
        under_way: Vec<Ticket>,
        /// Every lookup in order and when it began.
        begun: Vec<(String, Duration)>,
        start: Instant,
    }

    impl Pool {
        fn new() -> Self {
            let now = Instant::now();
            Self {
                lookups: Lookups::default(),
                now,
                hired: 0,
                resting: Vec::new(),
                watching: None,
                under_way: Vec::new(),
                begun: Vec::new(),
                start: now,
            }
        }

        fn ask(&mut self, name: &str) -> Request {
            let request = Rc::new(Cell::new(true));
            assert!(self.lookups.ask(name, Rc::clone(&request)));
            self.staff();
            request
        }

        fn staff(&mut self) {
            if self.lookups.hire() {
                self.hired += 1;
            }
            if !self.lookups.are_waiting() {
                return;
            }
            if self.resting.pop().is_some() {
                self.lookups.rise(false);
                self.take_turn(false);
            } else if self.watching.take().is_some() {
                self.lookups.rise(true);
                self.take_turn(false);
            }
        }

        fn take_turn(&mut self, tired: bool) {
            match self.lookups.turn(self.now, tired) {
                Turn::LookUp(ticket) => {
                    self.begun.push((ticket.name.clone(), self.now - self.start));
                    self.under_way.push(ticket);
                    self.staff();
                    self.staff();
                }
                Turn::Watch(until) => assert!(self.watching.replace(until).is_none()),
                Turn::Rest => self.resting.push(self.now + limits::LOOKUP_IDLE),
                Turn::End => {}
            }
        }

        /// Lets the hired threads begin.
        fn settle(&mut self) {
            while self.hired > 0 {
                self.hired -= 1;
                self.lookups.rise(false);
                self.take_turn(false);
            }
        }

        /// Lets time pass; how many threads woke up.
        fn pass(&mut self, time: Duration) -> usize {
            let end = self.now + time;
            let mut woken = 0;
            loop {
                self.settle();
                let rested = self.resting.iter().min().copied();
                let next = rested.into_iter().chain(self.watching).min();
                let Some(at) = next.filter(|&at| at <= end) else { break };
                self.now = at;
                woken += 1;
                if self.watching == Some(at) {
                    self.watching = None;
                    self.lookups.rise(true);
                    self.take_turn(false);
                } else {
                    let tired = self.resting.iter().position(|&other| other == at).unwrap();
                    self.resting.swap_remove(tired);
                    self.lookups.rise(false);
                    self.take_turn(true);
                }
            }
            self.now = end;
            woken
        }

        fn answer(&mut self, name: &str) -> usize {
            let index = self.under_way.iter().position(|ticket| ticket.name == name).unwrap();
            let ticket = self.under_way.remove(index);
            let waiters = self.lookups.finish(&ticket).len();
            self.take_turn(false);
            waiters
        }

        fn began(&self, name: &str) -> Option<Duration> {
            self.begun.iter().find(|(begun, _)| begun == name).map(|&(_, at)| at)
        }
    }

    #[test]
    fn at_most_eight_are_at_work_and_the_newest_is_next() {
        let mut pool = Pool::new();
        let _requests: Vec<_> = (0..20).map(|i| pool.ask(&format!("n{i}"))).collect();
        pool.settle();
        let names: Vec<_> = pool.begun.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["n19", "n18", "n17", "n16", "n15", "n14", "n13", "n12"]);
        assert_eq!(pool.answer("n15"), 1);
        assert_eq!(pool.begun.last().unwrap().0, "n11");
        pool.pass(limits::LOOKUP_GRACE / 2);
        assert_eq!(pool.begun.len(), 9);
    }

    #[test]
    fn names_that_never_answer_delay_no_other_wherever_it_stands_among_them() {
        for place in [0, 1, 9, 100, 199, 200] {
            let mut pool = Pool::new();
            let mut requests = Vec::new();
            for i in 0..=200 {
                requests.push(pool.ask(&if i == place { "answers".into() } else { i.to_string() }));
            }
            pool.pass(Duration::from_millis(45));
            assert!(pool.began("answers").is_some(), "place {place}");
            assert_eq!(pool.lookups.threads, 201 + pool.resting.len());
        }
    }

    #[test]
    fn a_name_asked_for_while_all_are_stuck_begins_at_once() {
        let mut pool = Pool::new();
        let _stuck: Vec<_> = (0..200).map(|i| pool.ask(&i.to_string())).collect();
        pool.pass(Duration::from_secs(1));
        assert_eq!(pool.under_way.len(), 200);
        let _request = pool.ask("answers");
        pool.settle();
        assert_eq!(pool.began("answers"), Some(Duration::from_secs(1)));
    }

    #[test]
    fn threads_are_bounded_and_the_rest_waits_for_one_that_comes_back() {
        let mut pool = Pool::new();
        let _stuck: Vec<_> = (0..400).map(|i| pool.ask(&format!("n{i}"))).collect();
        pool.pass(Duration::from_secs(1));
        assert_eq!(pool.lookups.threads, limits::LOOKUP_THREADS);
        assert_eq!(pool.under_way.len(), limits::LOOKUP_THREADS);
        assert_eq!(pool.pass(Duration::from_secs(60)), 0, "nobody polls");
        let first = pool.under_way[0].name.clone();
        pool.answer(&first);
        assert_eq!(pool.under_way.len(), limits::LOOKUP_THREADS);
    }

    #[test]
    fn nobody_wakes_up_for_stuck_names_when_none_waits() {
        let mut pool = Pool::new();
        let _stuck: Vec<_> = (0..30).map(|i| pool.ask(&format!("n{i}"))).collect();
        pool.pass(limits::LOOKUP_IDLE * 2);
        assert_eq!(pool.lookups.threads, 30, "each is stuck, none is free");
        assert_eq!(pool.pass(Duration::from_secs(60)), 0);
    }

    #[test]
    fn threads_that_come_back_end_but_for_a_few_and_these_end_when_nothing_happens() {
        let mut pool = Pool::new();
        let _stuck: Vec<_> = (0..100).map(|i| pool.ask(&format!("n{i}"))).collect();
        pool.pass(Duration::from_secs(1));
        for i in 0..100 {
            pool.answer(&format!("n{i}"));
        }
        assert_eq!(pool.lookups.threads, limits::LOOKUPS_AT_WORK);
        pool.pass(limits::LOOKUP_IDLE);
        assert_eq!((pool.lookups.threads, pool.lookups.free), (0, 0));
        let _request = pool.ask("again");
        pool.settle();
        assert!(pool.began("again").is_some());
    }

    #[test]
    fn one_name_is_looked_up_once_for_all_who_wait() {
        let mut pool = Pool::new();
        let mut requests: Vec<_> = (0..25).map(|_| pool.ask("same")).collect();
        pool.settle();
        requests.extend((0..25).map(|_| pool.ask("same")));
        requests[3].set(false);
        pool.settle();
        assert_eq!((pool.begun.len(), pool.answer("same")), (1, 49));
        let _request = pool.ask("same");
        pool.settle();
        assert_eq!(pool.begun.len(), 2, "an answer is not kept");
    }

    #[test]
    fn a_request_that_was_called_off_is_never_begun() {
        let mut pool = Pool::new();
        let requests: Vec<_> = (0..20).map(|i| pool.ask(&format!("n{i}"))).collect();
        pool.settle();
        for request in &requests[..10] {
            request.set(false);
        }
        let revived = pool.ask("n4");
        pool.pass(Duration::from_secs(1));
        assert!(revived.get());
        assert_eq!(pool.begun.len(), 11);
        assert!(pool.began("n4").is_some() && pool.began("n5").is_none());
        assert!(pool.lookups.waiters.len() == 11 && pool.lookups.waiting.is_empty());
    }

    #[test]
    fn attempts_at_a_stuck_name_that_come_and_go_leave_nothing_behind() {
        let mut pool = Pool::new();
        for _ in 0..10_000 {
            pool.ask("stuck").set(false);
            pool.settle();
        }
        assert!(pool.lookups.waiters["stuck"].len() < 16);
    }

    #[test]
    fn too_many_names_are_refused_unless_some_were_called_off() {
        let mut pool = Pool::new();
        let stuck: Vec<_> = (0..limits::LOOKUP_THREADS).map(|i| pool.ask(&i.to_string())).collect();
        pool.pass(Duration::from_secs(1));
        let name = |i: usize| format!("n{i}");
        let waiting: Vec<_> = (0..limits::LOOKUPS_WAITING).map(|i| pool.ask(&name(i))).collect();
        let request: Request = Rc::new(Cell::new(true));
        assert!(!pool.lookups.ask("more", Rc::clone(&request)));
        waiting[17].set(false);
        assert!(pool.lookups.ask("more", request));
        assert!(!pool.lookups.waiters.contains_key("n17"));
        assert_eq!(stuck.len(), pool.under_way.len());
    }

    #[test]
    fn without_a_thread_the_request_is_forgotten_and_with_one_it_waits() {
        let mut lookups: Lookups<Request> = Lookups::default();
        let request: Request = Rc::new(Cell::new(true));
        assert!(lookups.ask("a", Rc::clone(&request)));
        assert!(lookups.hire());
        assert!(!lookups.unhire());
        assert!(lookups.waiters.is_empty() && lookups.waiting.is_empty());
        assert!(lookups.ask("a", Rc::clone(&request)));
        assert!(lookups.hire());
        lookups.rise(false);
        assert!(matches!(lookups.turn(Instant::now(), false), Turn::LookUp(_)));
        assert!(lookups.ask("b", request));
        assert!(lookups.hire());
        assert!(lookups.unhire());
        assert_eq!(lookups.waiting, ["b"]);
    }
}
