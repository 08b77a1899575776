//! One step of a connection, under its lock: what the machine asks for is carried out here.
//!
//! Not here: what begins a step (`stream`, `script_side`), how bytes move (`io`). The parts of this
//! folder are methods of [`Step`], so that each sees the connection, the hub and the name alike. It has
//! no clock: most steps need none, and asking for the time in each would cost a call.
//! Invariants: a panic in a step ends its connection and nothing else; after a step registration and
//! timer follow the state.

use std::io;

use socket2::Socket;

use crate::address::Address;
use crate::errno;
use crate::error::Error;
use crate::limits;
use crate::net::hub::Hub;
use crate::net::options::Options;
use crate::net::panic::{catch_panic, internal_error};
use crate::net::stream::Inner;
use crate::proto::connection::{Action, Input, Phase};
use crate::proto::event::Event;
use crate::proto::moment::Moment;
use crate::proto::token::Token;
use crate::sync::Arc;
use crate::sys::{socket, socket_options};

/// A connection whose lock is held, with what its parts need besides it.
pub(super) struct Step<'a> {
    pub(super) inner: &'a mut Inner,
    pub(super) hub: &'a Arc<Hub>,
    pub(super) token: Token,
}

impl Step<'_> {
    /// Hands an input to the machine and carries out what it asks for. Dials that fail at once
    /// become inputs of their own.
    pub(super) fn feed(&mut self, input: Input) {
        // Most inputs bring no other: only those that do take memory.
        let mut next = Some(input);
        let mut inputs = Vec::new();
        let mut actions = Vec::new();
        while let Some(input) = next.take().or_else(|| inputs.pop()) {
            if self.hub.trace.is_on() {
                self.tell_input(&input);
            }
            self.inner.connection.on(input, self.hub.now(), &self.inner.facts(), &mut actions);
            for action in actions.drain(..) {
                match action {
                    Action::Dial(address) => {
                        inputs.extend(self.dial(Address::Ip(address)));
                    }
                    Action::DialDirect => inputs.extend(self.dial_direct()),
                    Action::Secure => inputs.extend(self.begin_tls()),
                    Action::CancelConnect => self.cancel_connect(),
                    Action::Post(event) => self.post(event),
                    Action::Finish => self.finish(),
                    Action::Release => self.drop_socket(),
                    Action::Reset => self.reset_socket(),
                    Action::Lookup => inputs.extend(self.look_up()),
                    Action::Retry => inputs.extend(self.inner.start()),
                }
            }
        }
    }

    /// `before`: the options that the socket has; none: it has just connected.
    pub(super) fn apply_options(&mut self, before: Option<&Options>) {
        let Some(socket) = &self.inner.socket else { return };
        let Err((option, why)) = set_options(socket, before, &self.inner.options) else { return };
        // A connection that is over tells that by its end.
        if errno::number(&why) != Some(errno::EINVAL) {
            self.feed(Input::Broken(Error::os(&format!("option '{option}'"), &why)));
        }
    }

    /// Our end of stream, then discarding; a peer that has ended already needs no discarding.
    pub(super) fn finish(&mut self) {
        let is_acknowledged = self.is_acknowledged();
        let Some(socket) = &self.inner.socket else { return };
        let nothing_comes = self.inner.connection.has_eof() || self.inner.says_nothing();
        if nothing_comes && is_acknowledged || socket::end_writing(socket).is_err() {
            self.drop_socket();
        } else if is_acknowledged {
            self.inner.connection.linger(self.hub.now() + limits::LINGER);
        } else {
            self.end_linger();
        }
    }

    /// With the option `linger`: whether nothing is left that the peer has not acknowledged.
    fn is_acknowledged(&self) -> bool {
        let asks = self.inner.options.linger.0.is_some();
        let socket = self.inner.socket.as_ref().filter(|_| asks);
        !socket.is_some_and(|socket| socket_options::is_unacknowledged(socket))
    }

    /// What arrives has been discarded for long enough, or has ended, unless there is reason to go on.
    pub(super) fn end_linger(&mut self) {
        let (now, is_acknowledged) = (self.hub.now(), self.is_acknowledged());
        let until = self.inner.connection.lingers_until(&self.inner.facts(), is_acknowledged);
        if let Some(until) = until.filter(|until| now < *until) {
            // The system tells nobody of acknowledgements: one looks again.
            self.inner.connection.linger(until.min(now + limits::LINGER));
        } else if is_acknowledged {
            self.drop_socket();
        } else {
            self.reset_socket();
        }
    }

    pub(super) fn drop_socket(&mut self) {
        // A dialect may have set SO_LINGER at the descriptor, as its host does: with that even a
        // socket that never blocks would wait in its close.
        let waits = self.inner.options.linger.0.is_some_and(|bound| !bound.is_zero());
        if let Some(socket) = self.inner.socket.as_ref().filter(|_| waits) {
            let _ = socket_options::set_reset(socket, false);
        }
        self.close_socket();
    }

    fn reset_socket(&mut self) {
        if let Some(socket) = &self.inner.socket {
            socket_options::reset_on_close(socket);
        }
        self.close_socket();
    }

    fn close_socket(&mut self) {
        self.inner.connection.end_linger();
        if let Some(outbound) = self.inner.outbound.present() {
            outbound.drop_queue();
        }
        if let Some(state) = &mut self.inner.tls {
            state.drop_bytes();
        }
        // The script may be yet to hear of the connection, and asks then where it was from.
        if !self.inner.is_ending()
            && let Some(local) = self.inner.local_address()
        {
            self.inner.peer.get_or_insert_default().local = Some(Box::new(local));
        }
        if let Some(socket) = self.inner.socket.take() {
            socket.close(&self.hub.poller);
        }
    }

    /// Registration and timer follow the state.
    pub(super) fn sync_registration(&mut self) {
        self.weigh();
        let (wanted, key) = (self.inner.wanted(), self.token.slot as usize);
        if let Some(socket) = &mut self.inner.socket
            && let Err(error) = socket.wait_for(wanted, &self.hub.poller, key)
        {
            self.feed(Input::Broken(Error::os("connection", &error)));
        }
        let due = self.inner.connection.deadline(&self.inner.facts());
        // A later deadline leaves the timer where it is: it will be found early and set again.
        // That keeps a timeout that every arrival moves out of the list of timers.
        let armed = self.inner.armed.map(Moment::instant);
        let sooner = due.is_none() || armed.is_none() || due < armed;
        if sooner && due != armed {
            self.hub.arm(self.token, armed, due);
            self.inner.armed = due.map(Moment::from);
        }
        if self.inner.connection.phase() == Phase::Closed {
            if self.inner.socket.is_none() || self.inner.is_lingering() {
                self.inner.leave();
            }
            if self.inner.mail.is_closed() && self.inner.socket.is_none() {
                self.hub.remove(self.token);
            }
        }
    }

    /// Runs one step; a panic in it ends the connection with `EINTERNAL`.
    pub(super) fn guarded<T>(&mut self, body: impl FnOnce(&mut Self) -> T) -> Option<T> {
        let result = catch_panic(|| body(self));
        if result.is_none() {
            // A second fault while reporting the first leaves nothing better to do.
            let _ = catch_panic(|| self.fail());
        }
        result
    }

    /// Tells the script.
    pub(super) fn post(&mut self, event: Event) {
        if self.hub.trace.is_on() {
            self.tell_event(&event);
        }
        if matches!(event, Event::Closed(_)) {
            self.inner.mail.close_notified();
        }
        let mut event = event;
        if self.take_for_listener(&mut event) {
            return;
        }
        let event = match event {
            Event::Closed(Some(error)) => Event::Closed(Some(Box::new(self.inner.named(*error)))),
            event => event,
        };
        self.hub.post(&mut self.inner.mail, self.token, event);
    }

    pub(super) fn fail(&mut self) {
        // A timer that ran out is on no list any more.
        self.hub.arm(self.token, self.inner.armed.take().map(Moment::instant), None);
        self.feed(Input::Fault(internal_error("connection")));
        if self.inner.mail.is_close_due() {
            // The machine has ended, and what it asked for was lost on the way.
            self.cancel_connect();
            self.drop_socket();
            self.post(Event::Closed(Some(Box::new(internal_error("connection")))));
        }
        self.sync_registration();
    }
}

/// Has the system do what the options say, as far as they differ from those that the socket has; of one
/// that has just connected all do. Which option failed, and why; the others are set.
fn set_options(
    socket: &Socket,
    before: Option<&Options>,
    now: &Options,
) -> Result<(), (&'static str, io::Error)> {
    let new = Options::default();
    let had = before.unwrap_or(&new);
    let mut set = Ok(());
    let mut note = |option, done: io::Result<()>| {
        if let (Ok(()), Err(why)) = (&set, done) {
            set = Err((option, why));
        }
    };
    if before.is_none() || had.nodelay != now.nodelay {
        note("nodelay", socket_options::set_nodelay(socket, now.nodelay));
    }
    if had.keepalive != now.keepalive {
        let probes = socket_options::set_keepalive(socket, now.keepalive.0, had.keepalive.0);
        note("keepalive", probes);
    }
    if had.user_timeout != now.user_timeout {
        note("user_timeout", socket_options::set_user_timeout(socket, now.user_timeout));
    }
    if had.linger.resets() != now.linger.resets() {
        note("linger", socket_options::set_reset(socket, now.linger.resets()));
    }
    // No number is the system's own choice: a socket keeps what it has.
    if had.receive_buffer != now.receive_buffer && now.receive_buffer > 0 {
        let size = socket_options::set_receive_buffer(socket, now.receive_buffer);
        note("receive_buffer", size);
    }
    if had.send_buffer != now.send_buffer && now.send_buffer > 0 {
        note("send_buffer", socket_options::set_send_buffer(socket, now.send_buffer));
    }
    set
}

#[cfg(target_os = "linux")]
#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::net::options::{Keepalive, Linger, Probes};
    use crate::sys::socket::{ListenSetup, listen};

    fn chosen() -> Options {
        let probes = Probes { count: Some(5), ..Probes::default() };
        Options {
            nodelay: false,
            keepalive: Keepalive(Some(probes)),
            user_timeout: Some(Duration::from_secs(7)),
            linger: Linger(Some(Duration::ZERO)),
            receive_buffer: 30_000,
            send_buffer: 40_000,
            ..Options::default()
        }
    }

    /// As the system has it: nodelay, probes, user timeout, reset, buffers.
    fn facts(socket: &Socket) -> (bool, bool, Option<Duration>, bool, usize, usize) {
        (
            socket.tcp_nodelay().unwrap(),
            socket.keepalive().unwrap(),
            socket.tcp_user_timeout().unwrap(),
            socket.linger().unwrap().is_some(),
            socket.recv_buffer_size().unwrap(),
            socket.send_buffer_size().unwrap(),
        )
    }

    const CHOSEN: (bool, bool, Option<Duration>, bool, usize, usize) =
        (false, true, Some(Duration::from_secs(7)), true, 60_000, 80_000);

    /// Both ends of a connection to a listener with these options.
    fn pair(options: &Options) -> (Socket, Socket) {
        let address = Address::from(std::net::SocketAddr::from(([127, 0, 0, 1], 0)));
        let setup = options.setup();
        let how = ListenSetup { backlog: 1, reuse_port: false, nodelay: options.nodelay, setup };
        let listener = listen(&address, &how).unwrap();
        let client = Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
        client.connect(&listener.local_addr().unwrap()).unwrap();
        listener.set_nonblocking(false).unwrap();
        (client, socket::accept(&listener).unwrap().0)
    }

    #[test]
    fn a_new_connection_has_all_options_and_later_what_has_changed() {
        let (client, _) = pair(&Options::default());
        set_options(&client, None, &chosen()).unwrap();
        assert_eq!(facts(&client), CHOSEN);
        assert_eq!(client.tcp_keepalive_retries().unwrap(), 5);
        let now = Options::default();
        set_options(&client, Some(&chosen()), &now).unwrap();
        assert_eq!(facts(&client), (true, false, None, false, 60_000, 80_000));
    }

    #[test]
    fn an_accepted_connection_has_from_its_listener_what_is_called_inherited_and_the_rest_is_set() {
        let (_, accepted) = pair(&chosen());
        let inherited = chosen().inherited(false);
        assert_eq!(facts(&accepted), (false, false, None, false, 60_000, 80_000));
        set_options(&accepted, Some(&inherited), &chosen()).unwrap();
        assert_eq!(facts(&accepted), CHOSEN);
        // The server's options were changed since it listens.
        let (_, accepted) = pair(&chosen());
        let now = Options { receive_buffer: 50_000, ..Options::default() };
        set_options(&accepted, Some(&inherited), &now).unwrap();
        assert_eq!(facts(&accepted), (true, false, None, false, 100_000, 80_000));
    }
}
