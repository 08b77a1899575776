//! The connection state machine under virtual time: no sockets, no waiting.
//!
//! A `Bench` plays the outside: it carries out the machine's actions on paper and moves its own
//! clock, so a minute of silence costs nothing.
#![allow(clippy::panic, clippy::unwrap_used)]

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use evsock::error::{Code, Error};
use evsock::proto::connection::{Action, Connection, Facts, Flow, Input, Phase};
use evsock::proto::event::Event;
use proptest::prelude::*;

struct Bench {
    connection: Connection,
    now: Instant,
    start: Instant,
    facts: Facts,
    /// What the script was told, as words, with the seconds at which it was.
    told: Vec<(String, f64)>,
    dials: Vec<SocketAddr>,
    has_socket: bool,
    lookups: usize,
    direct: usize,
    handshakes: usize,
    finished: bool,
    reset: bool,
}

impl Bench {
    fn new() -> Self {
        let now = Instant::now();
        Self {
            connection: Connection::new(now),
            now,
            start: now,
            facts: Facts { connect_timeout: Some(Duration::from_secs(30)), ..Facts::default() },
            told: Vec::new(),
            dials: Vec::new(),
            has_socket: false,
            lookups: 0,
            direct: 0,
            handshakes: 0,
            finished: false,
            reset: false,
        }
    }

    fn feed(&mut self, input: Input) {
        let mut actions = Vec::new();
        if matches!(input, Input::Dialed | Input::Adopt) {
            self.has_socket = true;
        }
        self.connection.on(input, self.now, &self.facts, &mut actions);
        for action in actions {
            match action {
                Action::Lookup => self.lookups += 1,
                Action::Dial(address) => self.dials.push(address),
                Action::DialDirect => self.direct += 1,
                Action::Secure => self.handshakes += 1,
                Action::CancelConnect => {}
                Action::Post(event) => self.tell(&event),
                Action::Finish => self.finished = true,
                Action::Release => self.has_socket = false,
                Action::Reset => {
                    self.reset = true;
                    self.has_socket = false;
                }
                Action::Retry => self.feed(Input::Begin(Some(vec![v4(1)]))),
            }
        }
    }

    fn tell(&mut self, event: &Event) {
        let word = match event {
            Event::Closed(None) => "closed".to_owned(),
            Event::Closed(Some(error)) => format!("closed {}", error.code()),
            Event::Resolved(_) => "resolved".to_owned(),
            Event::Reconnecting(attempt) => format!("reconnecting {attempt}"),
            other => format!("{other:?}").to_lowercase(),
        };
        self.told.push((word, (self.now - self.start).as_secs_f64()));
    }

    /// Lets the time pass, letting every timer run out at its moment.
    fn pass(&mut self, seconds: f64) {
        let until = self.now + Duration::from_secs_f64(seconds);
        for _ in 0..10_000 {
            let due = self.connection.deadline(&self.facts).filter(|at| *at <= until);
            let Some(at) = due else {
                self.now = until;
                return;
            };
            self.now = self.now.max(at);
            self.feed(Input::Timer);
        }
        panic!("the timer runs out for ever");
    }

    /// All that was written has been sent.
    fn flush(&mut self) {
        self.facts.pending = false;
        self.feed(Input::Flushed);
    }

    fn words(&self) -> Vec<&str> {
        self.told.iter().map(|(word, _)| word.as_str()).collect()
    }

    fn opened() -> Self {
        let mut bench = Self::new();
        bench.feed(Input::Begin(Some(vec![v4(1)])));
        bench.feed(Input::Dialed);
        bench.told.clear();
        bench
    }
}

fn v4(last: u8) -> SocketAddr {
    SocketAddr::from(([127, 0, 0, last], 23))
}

fn v6() -> SocketAddr {
    "[::1]:23".parse().unwrap()
}

fn refused() -> Error {
    Error::new(Code::ConnectionRefused, "connect: connection refused")
}

#[test]
fn a_numeric_address_connects_without_a_lookup() {
    let mut bench = Bench::new();
    bench.feed(Input::Begin(Some(vec![v4(1)])));
    assert_eq!((bench.lookups, bench.dials.len()), (0, 1));
    bench.feed(Input::Dialed);
    assert_eq!(bench.words(), ["connected"]);
    assert_eq!(bench.connection.phase(), Phase::Open);
}

#[test]
fn a_secured_connection_stands_after_its_handshake_and_not_before() {
    let mut bench = Bench::new();
    bench.facts.secure = true;
    bench.feed(Input::Begin(Some(vec![v4(1)])));
    bench.feed(Input::Dialed);
    assert_eq!((bench.handshakes, bench.connection.phase()), (1, Phase::Securing));
    assert_eq!(bench.words(), ["securing"]);
    bench.feed(Input::Secured);
    assert_eq!(bench.words(), ["securing", "connected"]);
    assert_eq!(bench.connection.phase(), Phase::Open);
}

#[test]
fn lookup_connecting_and_handshake_share_one_timeout() {
    let mut bench = Bench::new();
    bench.facts.secure = true;
    bench.feed(Input::Begin(None));
    bench.pass(10.0);
    bench.feed(Input::Resolved(Ok(vec![v4(1)])));
    bench.pass(10.0);
    bench.feed(Input::Dialed);
    bench.pass(9.9);
    assert_eq!(bench.words(), ["resolved", "securing"]);
    bench.pass(0.2);
    assert_eq!(bench.told.last().unwrap(), &("closed TLS_TIMEOUT".to_owned(), 30.0));
}

#[test]
fn a_failed_handshake_ends_the_attempt_and_is_told_once() {
    let mut bench = Bench::new();
    bench.facts.secure = true;
    bench.feed(Input::Begin(Some(vec![v4(1)])));
    bench.feed(Input::Dialed);
    bench.feed(Input::Broken(Error::new(Code::TlsExpired, "tls: expired")));
    bench.feed(Input::Eof);
    bench.feed(Input::Secured);
    assert_eq!(bench.words(), ["securing", "closed TLS_EXPIRED"]);
    assert!(!bench.has_socket);
}

#[test]
fn an_open_connection_can_be_secured_and_says_so() {
    let mut bench = Bench::new();
    bench.feed(Input::Begin(Some(vec![v4(1)])));
    bench.feed(Input::Dialed);
    bench.pass(100.0);
    bench.feed(Input::Secure);
    bench.pass(29.0);
    assert_eq!(bench.connection.phase(), Phase::Securing);
    bench.feed(Input::Secured);
    assert_eq!(bench.words(), ["connected", "securing", "secured"]);
    bench.feed(Input::Close);
    assert!(bench.finished);
}

#[test]
fn closing_while_securing_waits_for_what_was_written_and_no_longer_than_allowed() {
    let mut bench = Bench::new();
    bench.facts.secure = true;
    bench.facts.pending = true;
    bench.feed(Input::Begin(Some(vec![v4(1)])));
    bench.feed(Input::Dialed);
    bench.feed(Input::Close);
    bench.pass(4.9);
    assert_eq!(bench.words(), ["securing"]);
    bench.pass(0.2);
    assert_eq!(bench.told.last().unwrap().0, "closed ETIMEDOUT");
}

#[test]
fn a_unix_socket_is_dialed_directly_and_again_after_a_pause() {
    let mut bench = Bench::new();
    bench.feed(Input::BeginDirect);
    assert_eq!((bench.lookups, bench.dials.len(), bench.direct), (0, 0, 1));
    bench.feed(Input::DialFailed(refused()));
    bench.feed(Input::Wait(Duration::from_secs(1)));
    bench.feed(Input::BeginDirect);
    bench.feed(Input::Dialed);
    assert_eq!(bench.words(), ["closed ECONNREFUSED", "reconnecting 1", "connected"]);
    assert_eq!(bench.direct, 2);
}

#[test]
fn a_name_is_looked_up_and_told_before_connecting() {
    let mut bench = Bench::new();
    bench.feed(Input::Begin(None));
    assert_eq!(bench.lookups, 1);
    bench.feed(Input::Resolved(Ok(vec![v4(1)])));
    bench.feed(Input::Dialed);
    assert_eq!(bench.words(), ["resolved", "connected"]);
}

#[test]
fn lookup_and_connecting_share_one_timeout() {
    let mut bench = Bench::new();
    bench.feed(Input::Begin(None));
    bench.pass(20.0);
    bench.feed(Input::Resolved(Ok(vec![v4(1)])));
    bench.pass(9.9);
    assert_eq!(bench.words(), ["resolved"]);
    bench.pass(0.2);
    assert_eq!(bench.told.last().unwrap(), &("closed ETIMEDOUT".to_owned(), 30.0));
}

#[test]
fn the_second_address_starts_after_a_quarter_of_a_second_and_the_first_cause_is_told() {
    let mut bench = Bench::new();
    bench.feed(Input::Begin(None));
    bench.feed(Input::Resolved(Ok(vec![v6(), v4(1)])));
    assert_eq!(bench.dials, [v6()]);
    bench.pass(0.249);
    assert_eq!(bench.dials.len(), 1);
    bench.pass(0.002);
    assert_eq!(bench.dials, [v6(), v4(1)]);
    bench.feed(Input::DialFailed(Error::new(Code::NetworkUnreachable, "connect: no way")));
    bench.feed(Input::DialFailed(refused()));
    assert_eq!(bench.words(), ["resolved", "closed ENETUNREACH"]);
}

#[test]
fn silence_ends_an_open_connection_and_every_arrival_starts_it_anew() {
    let mut bench = Bench::opened();
    bench.facts.read_timeout = Some(Duration::from_secs(10));
    bench.pass(9.0);
    bench.connection.restart_silence(bench.now);
    bench.pass(9.0);
    assert!(bench.told.is_empty());
    bench.pass(1.1);
    assert_eq!(bench.told, [("closed ETIMEDOUT".to_owned(), 19.0)]);
}

/// What an open connection waits for: to read, to write, that nothing more can come.
fn wants(bench: &Bench, change: impl FnOnce(&mut Flow)) -> (bool, bool, bool) {
    let mut flow = Flow::default();
    change(&mut flow);
    let wants = bench.connection.wants(flow);
    (wants.read, wants.write, wants.hang_up)
}

#[test]
fn an_open_connection_reads_and_waits_for_room_while_bytes_are_queued() {
    let bench = Bench::opened();
    assert_eq!(wants(&bench, |_| ()), (true, false, false));
    assert_eq!(wants(&bench, |flow| flow.queued = true), (true, true, false));
}

#[test]
fn while_the_script_has_enough_only_the_end_of_the_connection_is_waited_for() {
    let bench = Bench::opened();
    assert_eq!(wants(&bench, |flow| flow.full = true), (false, false, true));
    assert_eq!(wants(&bench, |flow| flow.stalled = true), (false, false, false));
    assert_eq!(wants(&bench, |flow| flow.held_back = true), (false, false, false));
    assert_eq!(
        wants(&bench, |flow| (flow.full, flow.held_back) = (true, true)),
        (false, false, false)
    );
}

#[test]
fn after_a_failed_write_reading_is_not_waited_for_but_done_at_once() {
    let bench = Bench::opened();
    assert_eq!(wants(&bench, |flow| flow.failed = true), (true, true, false));
    assert_eq!(wants(&bench, |flow| (flow.failed, flow.full) = (true, true)), (false, false, true));
}

#[test]
fn after_the_peers_end_of_stream_nothing_is_read() {
    let mut bench = Bench::opened();
    bench.feed(Input::Eof);
    assert_eq!(wants(&bench, |flow| (flow.queued, flow.full) = (true, true)), (false, true, false));
}

#[test]
fn a_handshake_reads_whatever_the_script_has_and_a_closed_connection_only_while_it_lingers() {
    let mut bench = Bench::opened();
    bench.feed(Input::Secure);
    let all = |flow: &mut Flow| (flow.full, flow.stalled, flow.held_back) = (true, true, true);
    assert_eq!(wants(&bench, all), (true, false, false));
    bench.feed(Input::Abort);
    assert_eq!(wants(&bench, |flow| flow.queued = true), (false, false, false));
    bench.connection.linger(bench.now + Duration::from_secs(1));
    assert_eq!(wants(&bench, |_| ()), (true, false, false));
}

#[test]
fn silence_does_not_count_while_we_do_not_read() {
    let mut bench = Bench::opened();
    bench.facts.read_timeout = Some(Duration::from_secs(10));
    bench.facts.paused = true;
    bench.pass(100.0);
    assert!(bench.told.is_empty());
}

#[test]
fn a_write_that_waits_too_long_ends_the_connection() {
    let mut bench = Bench::opened();
    bench.facts.write_timeout = Some(Duration::from_secs(2));
    bench.facts.pending = true;
    bench.facts.oldest_write = Some(bench.now);
    bench.pass(1.9);
    assert!(bench.told.is_empty());
    bench.pass(0.2);
    assert_eq!(bench.told, [("closed ETIMEDOUT".to_owned(), 2.0)]);
}

#[test]
fn closing_with_nothing_to_send_is_over_at_once() {
    let mut bench = Bench::opened();
    bench.feed(Input::Close);
    assert_eq!(bench.words(), ["closed"]);
    assert!(bench.finished && !bench.reset);
}

#[test]
fn closing_flushes_for_five_seconds_at_most() {
    let mut bench = Bench::opened();
    bench.facts.pending = true;
    bench.feed(Input::Close);
    assert_eq!(bench.connection.phase(), Phase::Closing);
    bench.pass(6.0);
    assert_eq!(bench.told, [("closed ETIMEDOUT".to_owned(), 5.0)]);
    let mut bench = Bench::opened();
    bench.facts.pending = true;
    bench.feed(Input::Close);
    bench.flush();
    assert_eq!(bench.words(), ["closed"]);
}

fn lingering(seconds: f64) -> Bench {
    let mut bench = Bench::opened();
    bench.facts.linger = Some(Duration::from_secs_f64(seconds));
    bench.facts.pending = true;
    bench
}

#[test]
fn a_linger_bounds_the_flush_and_ends_it_with_a_reset() {
    for (linger, write_timeout, by) in [(0.5, None, 0.5), (60.0, None, 60.0), (60.0, Some(7), 7.0)]
    {
        let mut bench = lingering(linger);
        bench.facts.write_timeout = write_timeout.map(Duration::from_secs);
        bench.feed(Input::Close);
        bench.pass(100.0);
        assert_eq!(bench.told, [("closed ETIMEDOUT".to_owned(), by)]);
        assert!(bench.reset);
    }
    let mut bench = lingering(8.0);
    bench.feed(Input::Close);
    bench.pass(6.0);
    bench.flush();
    assert_eq!(bench.words(), ["closed"]);
    assert!(bench.finished && !bench.reset);
    // What has gone unacknowledged since `Close` has two seconds left.
    let until = |bench: &Bench, is_acknowledged| {
        bench.connection.lingers_until(&bench.facts, is_acknowledged)
    };
    assert_eq!(until(&bench, false), Some(bench.now + Duration::from_secs(2)));
    // What is acknowledged has been waited for long enough.
    assert!(until(&bench, true) < Some(bench.now));

    // However short it is, what a peer still sends is discarded as long as without it.
    let mut bench = lingering(0.1);
    bench.feed(Input::Close);
    bench.flush();
    assert_eq!(until(&bench, false), Some(bench.now + Duration::from_millis(100)));
    assert_eq!(until(&bench, true), Some(bench.now + Duration::from_secs(1)));
    bench.connection.linger(bench.now + Duration::from_secs(1));
    bench.connection.ended_lingering();
    assert_eq!(until(&bench, true), None);
}

#[test]
fn a_linger_of_zero_makes_every_close_a_reset() {
    for input in [(|| Input::Close) as fn() -> Input, || Input::EofSeen] {
        for pending in [false, true] {
            let mut bench = lingering(0.0);
            bench.facts.pending = pending;
            bench.feed(input());
            assert_eq!(bench.words(), ["closed"]);
            assert!(bench.reset && !bench.finished);
        }
    }
    // While it connects, what was written is not waited for.
    let mut bench = lingering(0.0);
    bench.connection = Connection::new(bench.now);
    bench.feed(Input::Begin(Some(vec![v4(1)])));
    bench.feed(Input::Close);
    assert_eq!(bench.words(), ["closed"]);
}

#[test]
fn a_peer_that_ends_while_it_lingers_is_not_read_any_more() {
    let mut bench = Bench::opened();
    bench.feed(Input::Close);
    bench.connection.linger(bench.now + Duration::from_secs(1));
    assert!(wants(&bench, |_| {}).0);
    bench.connection.ended_lingering();
    assert!(!wants(&bench, |_| {}).0);
    assert!(bench.connection.is_lingering());
}

#[test]
fn closing_while_connecting_cancels_unless_something_was_written() {
    let mut bench = Bench::new();
    bench.feed(Input::Begin(Some(vec![v4(1)])));
    bench.feed(Input::Close);
    assert_eq!(bench.words(), ["closed"]);
    let mut bench = Bench::new();
    bench.feed(Input::Begin(Some(vec![v4(1)])));
    bench.facts.pending = true;
    bench.feed(Input::Close);
    assert!(bench.told.is_empty());
    bench.feed(Input::Dialed);
    bench.flush();
    assert_eq!(bench.words(), ["closed"]);
}

#[test]
fn the_end_of_stream_closes_only_when_the_script_has_seen_it() {
    let mut bench = Bench::opened();
    bench.feed(Input::Eof);
    bench.pass(60.0);
    assert_eq!(bench.words(), ["eof"]);
    bench.feed(Input::EofSeen);
    assert_eq!(bench.words(), ["eof", "closed"]);
}

#[test]
fn after_the_pause_a_new_attempt_is_told_and_made_and_counted() {
    let mut bench = Bench::new();
    bench.feed(Input::Begin(Some(vec![v4(1)])));
    for attempt in 1..=3 {
        bench.feed(Input::DialFailed(refused()));
        bench.feed(Input::Wait(Duration::from_secs(5)));
        bench.pass(4.9);
        assert_eq!(bench.connection.phase(), Phase::Waiting);
        bench.pass(0.1);
        assert_eq!(bench.words().last().unwrap(), &format!("reconnecting {attempt}"));
    }
    bench.feed(Input::Dialed);
    assert_eq!(bench.connection.attempt(), 0);
}

#[test]
fn a_fault_of_ours_is_told_once_whatever_was_under_way() {
    let fault = || Input::Fault(Error::new(Code::Internal, "connection: internal fault"));
    let phases: [&[fn() -> Input]; 3] = [
        &[|| Input::Begin(None)],
        &[|| Input::Begin(Some(vec![v4(1), v4(2)]))],
        &[|| Input::Begin(Some(vec![v4(1)])), || Input::Dialed],
    ];
    for phase in phases {
        let mut bench = Bench::new();
        for input in phase {
            bench.feed(input());
        }
        bench.told.clear();
        bench.feed(fault());
        bench.feed(fault());
        assert_eq!(bench.words(), ["closed EINTERNAL"]);
    }
    let mut bench = Bench::opened();
    bench.facts.pending = true;
    bench.feed(Input::Close);
    bench.feed(fault());
    assert_eq!(bench.words(), ["closed EINTERNAL"]);
    bench.feed(Input::Wait(Duration::from_secs(1)));
    bench.feed(fault());
    assert_eq!(bench.connection.phase(), Phase::Waiting);
}

#[test]
fn closing_while_waiting_says_nothing_more() {
    let mut bench = Bench::opened();
    bench.feed(Input::Broken(refused()));
    bench.feed(Input::Wait(Duration::from_secs(5)));
    bench.feed(Input::Close);
    bench.pass(60.0);
    assert_eq!(bench.words(), ["closed ECONNREFUSED"]);
}

/// Everything that can happen, in any order and at any time.
fn inputs() -> impl Strategy<Value = Vec<(u8, u16, bool)>> {
    prop::collection::vec((0_u8..15, 0_u16..8000, any::<bool>()), 0..60)
}

proptest! {
    // I1: exactly one Closed per attempt.
    #[test]
    fn whatever_happens_each_attempt_is_closed_exactly_once(steps in inputs()) {
        let mut bench = Bench::new();
        let mut begun = 0;
        for (kind, millis, pending) in steps {
            bench.facts.pending = pending;
            bench.facts.read_timeout = (millis % 3 == 0).then(|| Duration::from_secs(1));
            let phase = bench.connection.phase();
            let input = match kind {
                0 | 1 => {
                    let starts = matches!(phase, Phase::Closed | Phase::Waiting);
                    begun += usize::from(starts);
                    Input::Begin((kind == 0).then(|| vec![v4(1), v6()]))
                }
                2 => Input::Resolved(Ok(vec![v4(1), v4(2)])),
                3 => Input::Resolved(Err(refused())),
                4 => Input::Dialed,
                5 => Input::DialFailed(refused()),
                6 => {
                    bench.connection.restart_silence(bench.now);
                    Input::Timer
                }
                7 => Input::Eof,
                8 => Input::EofSeen,
                9 => Input::Broken(refused()),
                10 => Input::Close,
                11 => Input::Flushed,
                12 => Input::Abort,
                13 => Input::Fault(refused()),
                _ => Input::Timer,
            };
            bench.feed(input);
            bench.pass(f64::from(millis) / 1000.0);
        }
        let closed = bench.words().iter().filter(|word| word.starts_with("closed")).count();
        let open = usize::from(!matches!(bench.connection.phase(), Phase::Closed | Phase::Waiting));
        prop_assert_eq!(closed + open, begun);
    }
}
