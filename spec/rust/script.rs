//! The script's side of a connection under virtual time: what is notified, and what keeps a loop running.
//!
//! A `Bench` plays `lua`: it carries out the machine's steps on paper.
#![allow(clippy::panic, clippy::unwrap_used)]

use std::time::Duration;

use evsock::error::{Code, Error};
use evsock::proto::event::Event;
use evsock::proto::script::{Close, Facts, Reaction, ScriptState, SocketState, Then};
use proptest::prelude::*;

/// What the machine may ask for.
#[derive(Clone, Copy, Default)]
struct Outside {
    half_open: bool,
    reconnects: bool,
    looks_up: bool,
    shown: usize,
    seconds: u64,
}

impl Facts for Outside {
    fn half_open(&self) -> bool {
        self.half_open
    }
    fn reconnects(&self) -> bool {
        self.reconnects
    }
    fn looks_up(&self) -> bool {
        self.looks_up
    }
    fn shown(&self) -> usize {
        self.shown
    }
    fn now(&self) -> Duration {
        Duration::from_secs(self.seconds)
    }
}

#[derive(Default)]
struct Bench {
    script: ScriptState,
    outside: Outside,
}

impl Bench {
    fn on(&mut self, event: &Event) -> Reaction {
        self.script.on(event, &self.outside)
    }

    fn told(&mut self, event: &Event) -> bool {
        self.on(event).notify
    }

    fn close_notified(&mut self) -> Then {
        self.script.close_notified(&self.outside)
    }

    /// A connection that stands.
    fn open() -> Self {
        let mut bench = Self::default();
        assert!(!bench.script.connect(false), "no earlier connection");
        bench.outside.seconds = 3;
        assert!(bench.told(&Event::Connected));
        bench
    }

    fn state(&self) -> SocketState {
        self.script.state()
    }
}

fn broken() -> Event {
    Event::Closed(Some(Box::new(Error::new(Code::Io, "read: reset"))))
}

#[test]
fn a_socket_that_never_connected_is_idle_and_keeps_no_loop_running() {
    let bench = Bench::default();
    assert_eq!(bench.state(), SocketState::Idle);
    assert!(!bench.script.is_active() && !bench.script.is_attached());
    assert_eq!(bench.script.opened(), None);
}

#[test]
fn an_attempt_is_seen_step_by_step_only_as_its_events_are_dispatched() {
    let mut bench = Bench::default();
    bench.script.connect(true);
    assert_eq!(bench.state(), SocketState::Resolving);
    assert!(bench.told(&Event::Resolved(Box::default())));
    assert_eq!(bench.state(), SocketState::Connecting);
    bench.outside.seconds = 7;
    assert_eq!(bench.on(&Event::Connected), Reaction { notify: true, then: Then::Renew });
    assert_eq!(bench.state(), SocketState::Open);
    assert_eq!(bench.script.opened(), Some(Duration::from_secs(7)));
}

#[test]
fn a_numeric_address_is_connected_to_without_a_lookup() {
    let mut bench = Bench::default();
    bench.script.connect(false);
    assert_eq!(bench.state(), SocketState::Connecting);
}

#[test]
fn a_handshake_on_an_open_connection_is_seen_as_securing_until_it_is_done() {
    let mut bench = Bench::open();
    assert!(bench.told(&Event::Securing));
    assert_eq!(bench.state(), SocketState::Securing);
    assert!(bench.script.is_writable());
    assert!(!bench.script.is_secured());
    assert!(bench.told(&Event::Secured));
    assert_eq!(bench.state(), SocketState::Open);
    assert!(bench.script.is_secured());
}

#[test]
fn each_connection_is_secured_by_a_handshake_of_its_own() {
    let mut bench = Bench::default();
    bench.script.connect(false);
    assert!(bench.told(&Event::Securing) && bench.told(&Event::Connected));
    assert!(bench.script.is_secured());
    assert!(bench.told(&Event::Reconnecting(2)));
    assert!(!bench.script.is_secured());
    assert!(bench.told(&Event::Connected));
    assert!(!bench.script.is_secured());
    assert!(bench.told(&Event::Secured) && bench.script.is_secured());
    bench.script.connect(false);
    assert!(!bench.script.is_secured());
}

#[test]
fn data_that_a_handshake_has_taken_is_not_notified() {
    let mut bench = Bench::open();
    assert!(!bench.told(&Event::Data(5)));
    bench.outside.shown = 5;
    assert!(bench.told(&Event::Data(5)));
}

#[test]
fn marks_in_a_row_are_notified_one_by_one() {
    let mut bench = Bench::open();
    assert_eq!(bench.on(&Event::Marked(3)), Reaction { notify: true, then: Then::Marks(2) });
    assert_eq!(bench.on(&Event::Marked(1)), Reaction { notify: true, then: Then::Nothing });
    bench.script.close();
    assert_eq!(bench.on(&Event::Marked(3)), Reaction { notify: false, then: Then::Nothing });
}

#[test]
fn the_peers_end_closes_the_socket_unless_it_keeps_its_half() {
    let mut bench = Bench::open();
    assert_eq!(bench.on(&Event::Eof), Reaction { notify: false, then: Then::EofSeen });
    assert_eq!((bench.state(), bench.script.has_peer_ended()), (SocketState::Closing, false));

    let mut bench = Bench::open();
    bench.outside.half_open = true;
    assert_eq!(bench.on(&Event::Eof), Reaction { notify: true, then: Then::Nothing });
    assert_eq!((bench.state(), bench.script.has_peer_ended()), (SocketState::Open, true));
}

#[test]
fn a_close_is_notified_once_and_the_loop_may_end_while_it_is() {
    let mut bench = Bench::open();
    assert!(bench.script.is_active());
    assert!(bench.told(&broken()));
    assert_eq!((bench.state(), bench.script.closes()), (SocketState::Closed, 1));
    assert!(!bench.script.is_active() && bench.script.is_attached());
    assert_eq!(bench.close_notified(), Then::Detach);
    assert!(!bench.script.is_attached());
    assert_eq!(bench.close_notified(), Then::Nothing);
}

#[test]
fn with_reconnect_the_pause_follows_the_handler_and_keeps_the_loop_running() {
    let mut bench = Bench::open();
    bench.outside.reconnects = true;
    assert!(bench.told(&broken()));
    assert!(bench.script.is_active());
    assert_eq!(bench.close_notified(), Then::Retry);
    assert_eq!(bench.state(), SocketState::Waiting);
    bench.outside.looks_up = true;
    assert!(bench.told(&Event::Reconnecting(1)));
    assert_eq!(bench.state(), SocketState::Resolving);
}

#[test]
fn the_handler_of_the_close_decides_whether_another_attempt_follows() {
    // It sets `reconnect`.
    let mut bench = Bench::open();
    bench.told(&broken());
    bench.outside.reconnects = true;
    assert_eq!(bench.close_notified(), Then::Retry);
    assert!(bench.script.is_active());

    // It takes it away, or closes.
    for closes in [false, true] {
        let mut bench = Bench::open();
        bench.outside.reconnects = true;
        bench.told(&broken());
        if closes {
            bench.script.close();
        } else {
            bench.outside.reconnects = false;
        }
        assert_eq!(bench.close_notified(), Then::Detach);
    }
}

#[test]
fn a_handler_of_the_close_that_connects_anew_has_replaced_the_connection() {
    let mut bench = Bench::open();
    bench.told(&broken());
    assert_eq!(bench.script.supersede(9), Ok(()), "its close was notified");
    bench.script.detach();
    assert!(!bench.script.connect(false));
    assert_eq!(bench.close_notified(), Then::Nothing);
    assert_eq!(bench.state(), SocketState::Connecting);
    assert!(bench.script.is_active());
}

#[test]
fn after_close_only_the_close_is_notified() {
    let mut bench = Bench::open();
    bench.outside.shown = 1;
    assert_eq!(bench.script.closable(), Close::Connection);
    bench.script.close();
    let events = [Event::Data(1), Event::Drained, Event::Sent, Event::Secured, Event::Securing];
    for event in &events {
        assert!(!bench.told(event), "{event:?}");
        assert_eq!(bench.state(), SocketState::Closing, "{event:?}");
    }
    assert!(bench.script.is_active());
    assert!(bench.told(&Event::Closed(None)));
    assert_eq!(bench.close_notified(), Then::Detach);
}

#[test]
fn closing_in_the_pause_notifies_nothing_more() {
    let mut bench = Bench::open();
    bench.outside.reconnects = true;
    bench.told(&broken());
    bench.close_notified();
    assert_eq!(bench.script.closable(), Close::Pause);
    bench.script.close();
    bench.script.detach();
    assert_eq!((bench.state(), bench.script.closes()), (SocketState::Closed, 1));
    assert_eq!(bench.script.closable(), Close::Nothing);
}

#[test]
fn each_replaced_connection_is_notified_as_closed_up_to_a_bound() {
    let mut bench = Bench::open();
    for _ in 0..2 {
        assert_eq!(bench.script.supersede(2), Ok(()));
        bench.script.detach();
        assert!(bench.script.connect(false));
    }
    assert_eq!(bench.script.supersede(2), Err(2));
    assert_eq!((bench.script.superseded(), bench.script.closes()), (2, 0));
    assert!(bench.script.superseded_notified(), "one more comes");
    assert!(!bench.script.superseded_notified(), "that was the last");
    assert_eq!(bench.script.closes(), 2);
}

#[test]
fn a_connection_that_is_given_up_ends_without_an_event_and_counts_as_a_close() {
    let mut bench = Bench::open();
    bench.script.set_paused(true);
    bench.script.close();
    bench.script.release();
    assert_eq!((bench.state(), bench.script.closes()), (SocketState::Idle, 1));
    assert!(!bench.script.is_active() && !bench.script.is_paused());
    bench.script.connect(false);
    assert!(bench.told(&Event::Connected), "it is heard again");
}

#[test]
fn what_is_attached_in_the_background_keeps_no_loop_running() {
    let mut bench = Bench::default();
    bench.script.attach_in_background();
    assert!(bench.script.is_attached() && !bench.script.is_active());
}

// Any order of what can happen ---------------------------------------------------------------------

#[derive(Clone, Copy, Debug)]
enum Move {
    Connect,
    Close,
    Release,
    Discard,
    Event(u8),
    Reconnects(bool),
    HalfOpen(bool),
    Notified,
    Superseded,
}

fn moves() -> impl Strategy<Value = Vec<Move>> {
    let one = prop_oneof![
        3 => Just(Move::Connect),
        2 => Just(Move::Close),
        1 => Just(Move::Release),
        1 => Just(Move::Discard),
        9 => (0_u8..9).prop_map(Move::Event),
        1 => any::<bool>().prop_map(Move::Reconnects),
        1 => any::<bool>().prop_map(Move::HalfOpen),
        3 => Just(Move::Notified),
        1 => Just(Move::Superseded),
    ];
    proptest::collection::vec(one, 0..60)
}

fn event(kind: u8) -> Event {
    match kind {
        0 => Event::Resolved(Box::default()),
        1 => Event::Connected,
        2 => Event::Data(4),
        3 => Event::Drained,
        4 => Event::Eof,
        5 => Event::Reconnecting(1),
        6 => Event::Secured,
        7 => Event::Marked(2),
        _ => Event::Closed(None),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    /// The closes that are notified are as many as there were connections that began, but for those that
    /// were given up without an event; nothing else is notified after a close by the script.
    #[test]
    fn every_connection_is_closed_once(moves in moves()) {
        let mut bench = Bench { outside: Outside { shown: 1, ..Outside::default() }, ..Bench::default() };
        let (mut closed_by_script, mut closing) = (false, false);
        for step in moves {
            let before = bench.script;
            match step {
                Move::Connect => {
                    if bench.script.supersede(3).is_err() {
                        prop_assert_eq!(bench.script, before, "refused without a trace");
                        continue;
                    }
                    bench.script.detach();
                    bench.script.connect(false);
                    (closed_by_script, closing) = (false, false);
                    prop_assert!(bench.script.is_active());
                }
                Move::Close => {
                    bench.script.close();
                    if before.closable() == Close::Pause {
                        bench.script.detach();
                    }
                    closed_by_script = true;
                }
                Move::Release => {
                    bench.script.release();
                    (closed_by_script, closing) = (false, false);
                }
                Move::Discard => {
                    bench.script.discard();
                    closing = false;
                }
                // Events come only for what is attached, and none behind a close.
                Move::Event(kind) if before.is_attached() && !closing => {
                    let event = event(kind);
                    let is_close = matches!(event, Event::Closed(_));
                    let notify = bench.told(&event);
                    prop_assert!(!notify || is_close || !closed_by_script, "{:?} after close", event);
                    prop_assert!(notify || !is_close, "a close is always notified");
                    closing = is_close;
                }
                Move::Notified if closing => {
                    let then = bench.close_notified();
                    prop_assert_eq!(then == Then::Detach, !bench.script.is_attached());
                    prop_assert_eq!(then == Then::Retry, bench.script.is_active());
                    closing = false;
                }
                Move::Superseded if before.superseded() > 0 => {
                    let more = bench.script.superseded_notified();
                    prop_assert_eq!(more, bench.script.superseded() > 0);
                }
                Move::Reconnects(on) => bench.outside.reconnects = on,
                Move::HalfOpen(on) => bench.outside.half_open = on,
                _ => {}
            }
            let gained = bench.script.closes().wrapping_sub(before.closes());
            prop_assert!(gained <= 1, "one close at a time");
            prop_assert!(bench.script.superseded() <= 3);
            prop_assert!(!bench.script.is_active() || bench.script.is_attached());
        }
    }
}
