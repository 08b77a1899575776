//! Models of the hand-over between the script's thread and ours, and of the token queue.
//!
//! Run with `RUSTFLAGS="--cfg loom" cargo test --release --test loom_lead`. Each model has a twin
//! with one deliberate fault, which must fail: a model that can't fail shows nothing. A lost
//! wake-up shows as a deadlock, which loom reports by panicking.
#![cfg(loom)]
#![allow(clippy::unwrap_used)]

use std::collections::VecDeque;
use std::process::Command;
use std::time::Duration;

use evsock::lead::{Flaw, Lead};
use evsock::proto::event::Event;
use evsock::proto::mailbox::Mailbox;
use loom::sync::{Arc, Condvar, Mutex};
use loom::thread;

/// Explores every interleaving with at most three preemptions.
fn check(body: impl Fn() + Sync + Send + 'static) {
    let mut model = loom::model::Builder::new();
    model.preemption_bound = Some(3);
    model.check(body);
}

/// The environment variable that tells a child process to run the twin itself.
const TWIN: &str = "EVSOCK_RUN_TWIN";

/// Runs the broken twin of test `name` in a child process: a deadlock found by loom can abort.
fn must_fail(name: &str, body: impl Fn() + Sync + Send + 'static) {
    if std::env::var_os(TWIN).is_some() {
        return check(body);
    }
    let program = std::env::current_exe().unwrap();
    let mut child = Command::new(program);
    let child = child.args(["--exact", name, "--nocapture"]).env(TWIN, "1").output().unwrap();
    let said = String::from_utf8_lossy(&child.stderr);
    assert!(!child.status.success(), "the broken twin passed: the model shows nothing");
    assert!(said.contains("deadlock") || said.contains("assertion"), "another failure: {said}");
}

/// The wake descriptor: level-triggered, cleared by whoever polls.
#[derive(Default)]
struct Wake {
    readable: Mutex<bool>,
    bell: Condvar,
}

impl Wake {
    fn wake(&self) {
        *self.readable.lock().unwrap() = true;
        self.bell.notify_one();
    }

    /// Waits for ever, like a poller without timers.
    fn poll(&self) {
        let mut readable = self.readable.lock().unwrap();
        while !*readable {
            readable = self.bell.wait(readable).unwrap();
        }
        *readable = false;
    }
}

struct World {
    lead: Lead<()>,
    wake: Wake,
}

impl World {
    /// The state is closed: the thread has to end.
    fn end(&self, thread: thread::JoinHandle<()>) {
        self.lead.stop(|| self.wake.wake());
        thread.join().unwrap();
    }
}

fn world(flaw: Option<Flaw>) -> Arc<World> {
    let mut lead = Lead::new((), Duration::ZERO);
    lead.flaw = flaw;
    Arc::new(World { lead, wake: Wake::default() })
}

/// What `reactor::thread` does.
fn serve(world: &World) {
    let mut pumps = world.lead.pumps();
    while let Some(_desk) = world.lead.next_turn(pumps) {
        pumps = world.lead.pumps();
        while !world.lead.must_yield(pumps) {
            world.wake.poll();
        }
    }
}

/// A script that pumps once, waiting, while the thread may be anywhere, and then ends.
fn hand_over(flaw: Option<Flaw>) {
    let world = world(flaw);
    let theirs = Arc::clone(&world);
    let thread = thread::spawn(move || serve(&theirs));
    let leader = world.lead.enter(|| world.wake.wake());
    world.lead.leave(leader);
    world.end(thread);
}

#[test]
fn the_lead_passes_to_the_script_and_the_thread_ends() {
    check(|| hand_over(None));
}

#[test]
fn a_kick_before_the_wish_would_be_lost() {
    must_fail("a_kick_before_the_wish_would_be_lost", || hand_over(Some(Flaw::KickBeforeWant)));
}

#[test]
fn ending_without_a_kick_would_leave_the_thread_polling() {
    must_fail("ending_without_a_kick_would_leave_the_thread_polling", || {
        hand_over(Some(Flaw::StopWithoutKick))
    });
}

/// After the script has left its pump somebody leads again: the thread must serve a descriptor
/// that becomes ready then, while the script does something else for ever.
fn thread_takes_over(flaw: Option<Flaw>) {
    let world = world(flaw);
    let served = Arc::new((Mutex::new(false), Condvar::new()));
    let (theirs, news) = (Arc::clone(&world), Arc::clone(&served));
    let thread = thread::spawn(move || {
        let mut pumps = theirs.lead.pumps();
        while let Some(_desk) = theirs.lead.next_turn(pumps) {
            pumps = theirs.lead.pumps();
            *news.0.lock().unwrap() = true;
            news.1.notify_one();
            while !theirs.lead.must_yield(pumps) {
                theirs.wake.poll();
            }
        }
    });
    let leader = world.lead.enter(|| world.wake.wake());
    world.lead.leave(leader);
    let mut done = served.0.lock().unwrap();
    while !*done {
        done = served.1.wait(done).unwrap();
    }
    drop(done);
    world.end(thread);
}

#[test]
fn the_thread_leads_again_once_the_script_has_left() {
    check(|| thread_takes_over(None));
}

#[test]
fn parking_without_a_second_look_would_leave_nobody_leading() {
    must_fail("parking_without_a_second_look_would_leave_nobody_leading", || {
        thread_takes_over(Some(Flaw::ParkUnchecked))
    });
}

/// The state is closed from inside a waiting pump's aftermath: the thread may be parked.
fn stop_while_parked(flaw: Option<Flaw>) {
    let world = world(flaw);
    let theirs = Arc::clone(&world);
    let thread = thread::spawn(move || serve(&theirs));
    let leader = world.lead.enter(|| world.wake.wake());
    world.end(thread);
    drop(leader);
}

#[test]
fn a_parked_thread_ends_too() {
    check(|| stop_while_parked(None));
}

#[test]
fn ending_without_a_call_would_leave_the_thread_parked() {
    must_fail("ending_without_a_call_would_leave_the_thread_parked", || {
        stop_while_parked(Some(Flaw::StopWithoutUnpark))
    });
}

/// A source as the leader and the script see it: the mailbox under its lock, and the queue.
#[derive(Default)]
struct Source {
    mail: Mutex<Mailbox>,
    tokens: Mutex<VecDeque<u32>>,
}

impl Source {
    fn post(&self, event: Event) {
        let mut mail = self.mail.lock().unwrap();
        if mail.post(event) {
            self.tokens.lock().unwrap().push_back(7);
        }
    }

    fn drain(&self, seen: &mut Vec<u32>) -> bool {
        let token = self.tokens.lock().unwrap().pop_front();
        if token.is_some() {
            self.mail.lock().unwrap().collect(|event| {
                if let Event::Data(count) = event {
                    seen.push(count);
                }
            });
        }
        token.is_some()
    }
}

#[test]
fn every_event_is_found_through_one_token_in_order() {
    check(|| {
        let source = Arc::new(Source::default());
        let theirs = Arc::clone(&source);
        let leader = thread::spawn(move || (1..=3).for_each(|n| theirs.post(Event::Data(n))));
        let mut seen = Vec::new();
        source.drain(&mut seen);
        assert!(source.tokens.lock().unwrap().len() <= 1, "two tokens of one source");
        leader.join().unwrap();
        while source.drain(&mut seen) {}
        assert_eq!(seen, [1, 2, 3]);
        assert!(source.mail.lock().unwrap().is_empty());
    });
}

#[test]
fn a_flag_cleared_after_the_events_were_taken_would_lose_one() {
    must_fail("a_flag_cleared_after_the_events_were_taken_would_lose_one", || {
        // The broken twin: events and flag under locks of their own, the flag cleared last.
        let events = Arc::new(Mutex::new(VecDeque::new()));
        let queued = Arc::new(Mutex::new(false));
        let tokens = Arc::new(Mutex::new(0));
        let (e, q, t) = (Arc::clone(&events), Arc::clone(&queued), Arc::clone(&tokens));
        let leader = thread::spawn(move || {
            for n in 1..=2 {
                e.lock().unwrap().push_back(n);
                if !std::mem::replace(&mut *q.lock().unwrap(), true) {
                    *t.lock().unwrap() += 1;
                }
            }
        });
        let mut seen = Vec::new();
        let mut drain = || {
            let has = std::mem::take(&mut *tokens.lock().unwrap()) > 0;
            if has {
                seen.extend(events.lock().unwrap().drain(..));
                *queued.lock().unwrap() = false;
            }
            has
        };
        drain();
        leader.join().unwrap();
        while drain() {}
        assert_eq!(seen, [1, 2]);
    });
}
