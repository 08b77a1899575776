//! The send queue: datagrams on their way out of one socket.
//!
//! Not here: the socket (`udp`), threads for lookups (`resolver`). What is for an address goes at
//! once; what is for a name waits for its lookup, in order, and everything for room in the system.
//! Invariants: `count` and `bytes` are those of all that waits; of what waits for one name nothing
//! overtakes.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::atomic::Ordering;

use crate::address::Address;
use crate::errno;
use crate::error::{Code, Error, Result};
use crate::limits;
use crate::net::hub::{Hub, Message};
use crate::net::panic::internal_error;
use crate::net::resolver::{self, Lookup};
use crate::net::target::{Route, Target, loopback};
use crate::net::trace::of_bytes;
use crate::net::udp::{Inner, UdpSocket};
use crate::proto::event::Event;
use crate::sync::{Arc, Mutex, lock};
use crate::sys::datagram;
use crate::sys::io::Progress;

/// What waits.
#[derive(Debug, Default)]
pub(super) struct SendQueue {
    /// The system had no room.
    ready: VecDeque<Outgoing>,
    /// For names that are being looked up.
    asked: Vec<PendingLookup>,
    count: usize,
    bytes: usize,
    /// The number of the last one whose sender asked to be told.
    ticket: u32,
}

#[derive(Debug)]
struct Outgoing {
    data: Vec<u8>,
    /// `None`: to where the socket is connected.
    to: Option<SocketAddr>,
    /// 0: nobody asked.
    ticket: u32,
}

type Found = Arc<Mutex<Option<Result<Vec<SocketAddr>>>>>;

/// A name that is being looked up, and what waits for it.
#[derive(Debug)]
struct PendingLookup {
    target: Target,
    port: u16,
    /// What is found becomes the other end.
    connects: bool,
    found: Found,
    waiting: Vec<Outgoing>,
    /// Dropping it calls the lookup off.
    _lookup: Lookup,
}

/// Where to.
enum Destination {
    /// There, or to where the socket is connected.
    To(Option<SocketAddr>),
    /// Behind what waits for the same name.
    Behind(usize),
    /// A name to look up, and the port.
    Ask(Target, String, u16),
}

impl SendQueue {
    /// Whether some wait for room alone.
    pub(super) fn are_ready(&self) -> bool {
        !self.ready.is_empty()
    }

    /// Whether names are being looked up.
    pub(super) fn are_asked(&self) -> bool {
        !self.asked.is_empty()
    }

    fn enqueue(&mut self, data: &[u8], notify: bool) -> Result<Outgoing> {
        if self.count >= limits::DATAGRAMS_UNSENT
            || self.bytes + data.len() > limits::DATAGRAM_BYTES_UNSENT
        {
            return Err(Error::new(Code::Again, "too many datagrams wait to be sent"));
        }
        if notify {
            self.ticket = self.ticket.wrapping_add(1).max(1);
        }
        let ticket = if notify { self.ticket } else { 0 };
        Ok(Outgoing { data: data.to_vec(), to: None, ticket })
    }

    fn enter(&mut self, data: &[u8]) {
        self.count += 1;
        self.bytes += data.len();
    }

    fn leave(&mut self, data: &[u8]) {
        self.count -= 1;
        self.bytes -= data.len();
    }
}

impl UdpSocket {
    /// Sends, or keeps until that is possible. `target`: `None` to where it is connected. `None`: it is
    /// with the system; else the number under which the sender will be told, if it asked for that.
    ///
    /// # Errors
    /// What is known at once.
    pub fn send(
        &self,
        hub: &Arc<Hub>,
        data: &[u8],
        target: Option<Target>,
        notify: bool,
    ) -> Result<Option<u32>> {
        let context = match &target {
            Some(target) => format!("send_to {}", target.display()),
            None => "send_to".to_owned(),
        };
        let sent = self.step(hub, |inner| self.send_on(hub, inner, data, target, notify));
        sent.unwrap_or_else(|| Err(internal_error("send_to")))
            .map_err(|error| renamed(&error, &context))
    }

    /// Fixes the other end, at once or after a lookup; an event tells.
    ///
    /// # Errors
    /// What is known at once.
    pub fn connect(&self, hub: &Arc<Hub>, target: Target) -> Result<()> {
        let context = format!("connect {}", target.display());
        let done = self.step(hub, |inner| {
            if inner.peer.is_some() || inner.send_queue.asked.iter().any(|asked| asked.connects) {
                return Err(Error::new(Code::Busy, "the socket is connected already"));
            }
            match self.destination(inner, Some(target))? {
                Destination::To(Some(to)) => self.fix(hub, inner, to),
                Destination::Ask(target, name, port) => {
                    let asked = self.ask(hub, target, &name, port, true)?;
                    inner.send_queue.asked.push(asked);
                    Ok(())
                }
                _ => Ok(()),
            }
        });
        done.unwrap_or_else(|| Err(internal_error("connect")))
            .map_err(|error| renamed(&error, &context))
    }

    fn send_on(
        &self,
        hub: &Arc<Hub>,
        inner: &mut Inner,
        data: &[u8],
        target: Option<Target>,
        notify: bool,
    ) -> Result<Option<u32>> {
        let destination = self.destination(inner, target)?;
        if let Destination::To(to) = destination
            && !inner.send_queue.are_ready()
            && self.send_now(hub, inner, data, to)?
        {
            return Ok(None);
        }
        if inner.mail.len() >= limits::EVENTS_WAITING {
            return Err(Error::new(Code::Again, "too much waits to be told"));
        }
        let mut outgoing = inner.send_queue.enqueue(data, notify)?;
        let ticket = outgoing.ticket;
        match destination {
            Destination::To(to) => {
                outgoing.to = to;
                inner.send_queue.ready.push_back(outgoing);
            }
            Destination::Behind(place) => {
                if let Some(asked) = inner.send_queue.asked.get_mut(place) {
                    asked.waiting.push(outgoing);
                }
            }
            Destination::Ask(target, name, port) => {
                let mut asked = self.ask(hub, target, &name, port, false)?;
                asked.waiting.push(outgoing);
                inner.send_queue.asked.push(asked);
            }
        }
        inner.send_queue.enter(data);
        Ok(Some(ticket))
    }

    fn destination(&self, inner: &Inner, target: Option<Target>) -> Result<Destination> {
        let asked = &inner.send_queue.asked;
        let Some(target) = target else {
            let place = asked.iter().position(|asked| asked.connects);
            return match (inner.peer, place) {
                (Some(_), _) => Ok(Destination::To(None)),
                (None, Some(place)) => Ok(Destination::Behind(place)),
                (None, None) => Err(Error::new(Code::Closed, "the socket is not connected")),
            };
        };
        if inner.peer.is_some() {
            let text = "the socket is connected: it sends there alone";
            return Err(Error::new(Code::Invalid, text));
        }
        let route = target.route.clone();
        match route {
            Route::Address(Address::Ip(to)) => Ok(Destination::To(Some(self.fitting(vec![to])?))),
            Route::Zoned(literal, port) => {
                let failed = |why: String| Error::new(Code::AddressNotAvailable, why);
                let to = literal.at(port).map_err(failed)?;
                Ok(Destination::To(Some(self.fitting(vec![to])?)))
            }
            Route::Localhost(port) => Ok(Destination::To(Some(self.fitting(loopback(port))?))),
            Route::Address(Address::Unix(_)) => {
                Err(Error::new(Code::BadHost, "a Unix socket takes no datagrams"))
            }
            Route::Nowhere(error) => Err(error),
            Route::Name(name, port) => {
                let same = |asked: &PendingLookup| !asked.connects && asked.target == target;
                let place = asked.iter().position(same);
                Ok(place.map_or(Destination::Ask(target, name, port), Destination::Behind))
            }
        }
    }

    /// The first of our own family.
    pub(super) fn fitting(&self, addresses: Vec<SocketAddr>) -> Result<SocketAddr> {
        let v6 = self.local.is_ipv6();
        addresses.into_iter().find(|address| address.is_ipv6() == v6).ok_or_else(|| {
            let family = if v6 { "IPv6" } else { "IPv4" };
            let text = format!("no {family} address, which this socket needs");
            Error::new(Code::AddressNotAvailable, text)
        })
    }

    fn ask(
        &self,
        hub: &Arc<Hub>,
        target: Target,
        name: &str,
        port: u16,
        connects: bool,
    ) -> Result<PendingLookup> {
        let found = Found::default();
        // A lookup that takes long must not keep a closed reactor's descriptors.
        let theirs = hub;
        let (hub, token, answer) = (Arc::downgrade(hub), self.token, Arc::clone(&found));
        let answer = move |addresses| {
            *lock(&answer) = Some(addresses);
            if let Some(hub) = hub.upgrade() {
                hub.send(token, Message::Recheck);
            }
        };
        if theirs.trace.is_on() {
            theirs.tell(self.token, &self.who(), &format!("looking up {name}"), (None, None));
        }
        let lookup = resolver::look_up(name, Box::new(answer))?;
        Ok(PendingLookup { target, port, connects, found, waiting: Vec::new(), _lookup: lookup })
    }

    fn fix(&self, hub: &Hub, inner: &mut Inner, to: SocketAddr) -> Result<()> {
        let Some(socket) = &inner.socket else { return Err(closed()) };
        datagram::connect(socket, to).map_err(|error| Error::os("connect", &error))?;
        inner.peer = Some(to);
        self.trace(hub, inner, || format!("connected to {}", Address::Ip(to)));
        hub.post(&mut inner.mail, self.token, Event::Connected);
        Ok(())
    }

    /// Whether the system took it.
    fn send_now(
        &self,
        hub: &Hub,
        inner: &mut Inner,
        data: &[u8],
        to: Option<SocketAddr>,
    ) -> Result<bool> {
        let Some(socket) = &inner.socket else { return Err(closed()) };
        let mut sent = datagram::send(socket, data, to);
        if let Progress::Failed(error) = &sent
            && let Some(peer) = inner.peer
            && errno::number(error) == Some(errno::ECONNREFUSED)
        {
            // That was the answer to an earlier one; this one was not tried.
            let earlier = Error::os(&format!("receive {}", Address::Ip(peer)), error);
            sent = datagram::send(socket, data, to);
            self.report(hub, inner, earlier);
        }
        match sent {
            Progress::Done(count) => {
                let to = to.or(inner.peer).unwrap_or(self.local);
                self.trace_bytes(hub, to, data, || {
                    format!("sends {} to {}", of_bytes(count), Address::Ip(to))
                });
                self.bytes_out.fetch_add(count as u64, Ordering::Relaxed);
                Ok(true)
            }
            Progress::Again | Progress::Eof => Ok(false),
            Progress::Failed(error) => Err(Error::os("send_to", &error)),
        }
    }

    /// Sends what waits for room.
    pub(super) fn flush(&self, hub: &Hub, inner: &mut Inner) {
        while let Some(outgoing) = inner.send_queue.ready.pop_front() {
            // Before the system is asked: a fault of ours may lose it there.
            inner.send_queue.leave(&outgoing.data);
            match self.send_now(hub, inner, &outgoing.data, outgoing.to) {
                Ok(false) => {
                    inner.send_queue.enter(&outgoing.data);
                    inner.send_queue.ready.push_front(outgoing);
                    return;
                }
                Ok(true) => self.done(hub, inner, &outgoing, true),
                Err(error) => {
                    let whom = outgoing.to.or(inner.peer).unwrap_or(self.local);
                    self.done(hub, inner, &outgoing, false);
                    self.report(
                        hub,
                        inner,
                        renamed(&error, &format!("send_to {}", Address::Ip(whom))),
                    );
                }
            }
        }
    }

    /// It waits no more.
    fn done(&self, hub: &Hub, inner: &mut Inner, outgoing: &Outgoing, sent: bool) {
        if outgoing.ticket > 0 {
            let event = if sent { Event::Delivered } else { Event::Undelivered };
            hub.post(&mut inner.mail, self.token, event(outgoing.ticket));
        }
    }

    /// Goes on with the names that have their answers.
    pub(super) fn on_resolved(&self, hub: &Hub, inner: &mut Inner) {
        let mut place = 0;
        while let Some(asked) = inner.send_queue.asked.get(place) {
            let Some(found) = lock(&asked.found).take() else {
                place += 1;
                continue;
            };
            let asked = inner.send_queue.asked.remove(place);
            self.go_on(hub, inner, asked, found);
        }
        self.flush(hub, inner);
    }

    fn go_on(
        &self,
        hub: &Hub,
        inner: &mut Inner,
        asked: PendingLookup,
        found: Result<Vec<SocketAddr>>,
    ) {
        for outgoing in &asked.waiting {
            inner.send_queue.leave(&outgoing.data);
        }
        let to = found.and_then(|addresses| self.fitting(addresses)).and_then(|mut to| {
            to.set_port(asked.port);
            if asked.connects { self.fix(hub, inner, to).map(|()| None) } else { Ok(Some(to)) }
        });
        match to {
            Ok(to) => {
                for outgoing in asked.waiting {
                    inner.send_queue.enter(&outgoing.data);
                    inner.send_queue.ready.push_back(Outgoing { to, ..outgoing });
                }
            }
            Err(error) => {
                for outgoing in &asked.waiting {
                    self.done(hub, inner, outgoing, false);
                }
                let call = if asked.connects { "connect" } else { "send_to" };
                let error = renamed(&error, &format!("{call} {}", asked.target.display()));
                self.report(hub, inner, error);
            }
        }
    }
}

fn closed() -> Error {
    Error::new(Code::Closed, "the socket is closed")
}

/// The same cause under another heading.
pub(super) fn renamed(error: &Error, context: &str) -> Error {
    let message = error.message();
    let cause = ["connect: ", "send_to: "].iter().find_map(|heading| message.strip_prefix(heading));
    Error::new(error.code(), format!("{context}: {}", cause.unwrap_or(message)))
}
