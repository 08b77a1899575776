//! Datagrams on their way out of one socket.
//!
//! Not here: the socket (`datagram`), threads for lookups (`resolver`). What is for an address goes at
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
use crate::net::connect_plan::{ConnectPlan, Way, loopback};
use crate::net::datagram::{Datagram, Inner};
use crate::net::fence::fault;
use crate::net::hub::{Hub, Message};
use crate::net::resolver::{self, Lookup};
use crate::proto::event::Event;
use crate::sync::{Arc, Mutex, lock};
use crate::sys::datagram;
use crate::sys::io::Progress;

/// What waits.
#[derive(Debug, Default)]
pub(super) struct Parcels {
    /// The system had no room.
    ready: VecDeque<Parcel>,
    /// For names that are being looked up.
    asked: Vec<Asked>,
    count: usize,
    bytes: usize,
    /// The number of the last one whose sender asked to be told.
    ticket: u32,
}

#[derive(Debug)]
struct Parcel {
    data: Vec<u8>,
    /// `None`: to where the socket is connected.
    to: Option<SocketAddr>,
    /// 0: nobody asked.
    ticket: u32,
}

type Found = Arc<Mutex<Option<Result<Vec<SocketAddr>>>>>;

/// A name that is being looked up, and what waits for it.
#[derive(Debug)]
struct Asked {
    plan: ConnectPlan,
    port: u16,
    /// What is found becomes the other end.
    connects: bool,
    found: Found,
    waiting: Vec<Parcel>,
    /// Dropping it calls the lookup off.
    _lookup: Lookup,
}

/// Where to.
enum Route {
    /// There, or to where the socket is connected.
    To(Option<SocketAddr>),
    /// Behind what waits for the same name.
    Behind(usize),
    /// A name to look up, and the port.
    Ask(ConnectPlan, String, u16),
}

impl Parcels {
    /// Whether some wait for room alone.
    pub(super) fn are_ready(&self) -> bool {
        !self.ready.is_empty()
    }

    fn admit(&mut self, data: &[u8], told: bool) -> Result<Parcel> {
        if self.count >= limits::DATAGRAMS_UNSENT
            || self.bytes + data.len() > limits::DATAGRAM_BYTES_UNSENT
        {
            return Err(Error::new(Code::Again, "too many datagrams wait to be sent"));
        }
        if told {
            self.ticket = self.ticket.wrapping_add(1).max(1);
        }
        let ticket = if told { self.ticket } else { 0 };
        Ok(Parcel { data: data.to_vec(), to: None, ticket })
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

impl Datagram {
    /// Sends, or keeps until that is possible. `plan`: `None` to where it is connected. `None`: it is
    /// with the system; else the number under which the sender will be told, if it asked for that.
    ///
    /// # Errors
    /// What is known at once.
    pub fn send(
        &self,
        hub: &Arc<Hub>,
        data: &[u8],
        plan: Option<ConnectPlan>,
        told: bool,
    ) -> Result<Option<u32>> {
        let context = match &plan {
            Some(plan) => format!("send_to {}", plan.whom()),
            None => "send_to".to_owned(),
        };
        let sent = self.step(hub, |inner| self.send_on(hub, inner, data, plan, told));
        sent.unwrap_or_else(|| Err(fault("send_to"))).map_err(|error| renamed(&error, &context))
    }

    /// Fixes the other end, at once or after a lookup; an event tells.
    ///
    /// # Errors
    /// What is known at once.
    pub fn connect(&self, hub: &Arc<Hub>, plan: ConnectPlan) -> Result<()> {
        let context = format!("connect {}", plan.whom());
        let done = self.step(hub, |inner| {
            if inner.peer.is_some() || inner.parcels.asked.iter().any(|asked| asked.connects) {
                return Err(Error::new(Code::Busy, "the socket is connected already"));
            }
            match self.route(inner, Some(plan))? {
                Route::To(Some(to)) => self.fix(hub, inner, to),
                Route::Ask(plan, name, port) => {
                    let asked = self.ask(hub, plan, &name, port, true)?;
                    inner.parcels.asked.push(asked);
                    Ok(())
                }
                _ => Ok(()),
            }
        });
        done.unwrap_or_else(|| Err(fault("connect"))).map_err(|error| renamed(&error, &context))
    }

    fn send_on(
        &self,
        hub: &Arc<Hub>,
        inner: &mut Inner,
        data: &[u8],
        plan: Option<ConnectPlan>,
        told: bool,
    ) -> Result<Option<u32>> {
        let route = self.route(inner, plan)?;
        if let Route::To(to) = route
            && !inner.parcels.are_ready()
            && self.hand_over(hub, inner, data, to)?
        {
            return Ok(None);
        }
        if inner.mail.len() >= limits::EVENTS_WAITING {
            return Err(Error::new(Code::Again, "too much waits to be told"));
        }
        let mut parcel = inner.parcels.admit(data, told)?;
        let ticket = parcel.ticket;
        match route {
            Route::To(to) => {
                parcel.to = to;
                inner.parcels.ready.push_back(parcel);
            }
            Route::Behind(place) => {
                if let Some(asked) = inner.parcels.asked.get_mut(place) {
                    asked.waiting.push(parcel);
                }
            }
            Route::Ask(plan, name, port) => {
                let mut asked = self.ask(hub, plan, &name, port, false)?;
                asked.waiting.push(parcel);
                inner.parcels.asked.push(asked);
            }
        }
        inner.parcels.enter(data);
        Ok(Some(ticket))
    }

    fn route(&self, inner: &Inner, plan: Option<ConnectPlan>) -> Result<Route> {
        let asked = &inner.parcels.asked;
        let Some(plan) = plan else {
            let place = asked.iter().position(|asked| asked.connects);
            return match (inner.peer, place) {
                (Some(_), _) => Ok(Route::To(None)),
                (None, Some(place)) => Ok(Route::Behind(place)),
                (None, None) => Err(Error::new(Code::Closed, "the socket is not connected")),
            };
        };
        if inner.peer.is_some() {
            let text = "the socket is connected: it sends there alone";
            return Err(Error::new(Code::Invalid, text));
        }
        let way = plan.way.clone();
        match way {
            Way::Address(Address::Ip(to)) => Ok(Route::To(Some(self.fitting(vec![to])?))),
            Way::Zoned(literal, port) => {
                let failed = |why: String| Error::new(Code::AddressNotAvailable, why);
                let to = literal.at(port).map_err(failed)?;
                Ok(Route::To(Some(self.fitting(vec![to])?)))
            }
            Way::Localhost(port) => Ok(Route::To(Some(self.fitting(loopback(port))?))),
            Way::Address(Address::Unix(_)) => {
                Err(Error::new(Code::BadHost, "a Unix socket takes no datagrams"))
            }
            Way::Nowhere(error) => Err(error),
            Way::Name(name, port) => {
                let same = |asked: &Asked| !asked.connects && asked.plan == plan;
                let place = asked.iter().position(same);
                Ok(place.map_or(Route::Ask(plan, name, port), Route::Behind))
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
        plan: ConnectPlan,
        name: &str,
        port: u16,
        connects: bool,
    ) -> Result<Asked> {
        let found = Found::default();
        // A lookup that takes long must not keep a closed reactor's descriptors.
        let (hub, token, answer) = (Arc::downgrade(hub), self.token, Arc::clone(&found));
        let answer = move |addresses| {
            *lock(&answer) = Some(addresses);
            if let Some(hub) = hub.upgrade() {
                hub.send(token, Message::Recheck);
            }
        };
        let lookup = resolver::look_up(name, Box::new(answer))?;
        Ok(Asked { plan, port, connects, found, waiting: Vec::new(), _lookup: lookup })
    }

    fn fix(&self, hub: &Hub, inner: &mut Inner, to: SocketAddr) -> Result<()> {
        let Some(socket) = &inner.socket else { return Err(closed()) };
        datagram::connect(socket, to).map_err(|error| Error::os("connect", &error))?;
        inner.peer = Some(to);
        hub.post(&mut inner.mail, self.token, Event::Connected);
        Ok(())
    }

    /// Whether the system took it.
    fn hand_over(
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
                self.bytes_out.fetch_add(count as u64, Ordering::Relaxed);
                Ok(true)
            }
            Progress::Again | Progress::Eof => Ok(false),
            Progress::Failed(error) => Err(Error::os("send_to", &error)),
        }
    }

    /// Sends what waits for room.
    pub(super) fn flush(&self, hub: &Hub, inner: &mut Inner) {
        while let Some(parcel) = inner.parcels.ready.pop_front() {
            // Before the system is asked: a fault of ours may lose it there.
            inner.parcels.leave(&parcel.data);
            match self.hand_over(hub, inner, &parcel.data, parcel.to) {
                Ok(false) => {
                    inner.parcels.enter(&parcel.data);
                    inner.parcels.ready.push_front(parcel);
                    return;
                }
                Ok(true) => self.done(hub, inner, &parcel, true),
                Err(error) => {
                    let whom = parcel.to.or(inner.peer).unwrap_or(self.local);
                    self.done(hub, inner, &parcel, false);
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
    fn done(&self, hub: &Hub, inner: &mut Inner, parcel: &Parcel, sent: bool) {
        if parcel.ticket > 0 {
            let event = if sent { Event::Delivered } else { Event::Undelivered };
            hub.post(&mut inner.mail, self.token, event(parcel.ticket));
        }
    }

    /// Goes on with the names that have their answers.
    pub(super) fn conclude(&self, hub: &Hub, inner: &mut Inner) {
        let mut place = 0;
        while let Some(asked) = inner.parcels.asked.get(place) {
            let Some(found) = lock(&asked.found).take() else {
                place += 1;
                continue;
            };
            let asked = inner.parcels.asked.remove(place);
            self.go_on(hub, inner, asked, found);
        }
        self.flush(hub, inner);
    }

    fn go_on(&self, hub: &Hub, inner: &mut Inner, asked: Asked, found: Result<Vec<SocketAddr>>) {
        for parcel in &asked.waiting {
            inner.parcels.leave(&parcel.data);
        }
        let to = found.and_then(|addresses| self.fitting(addresses)).and_then(|mut to| {
            to.set_port(asked.port);
            if asked.connects { self.fix(hub, inner, to).map(|()| None) } else { Ok(Some(to)) }
        });
        match to {
            Ok(to) => {
                for parcel in asked.waiting {
                    inner.parcels.enter(&parcel.data);
                    inner.parcels.ready.push_back(Parcel { to, ..parcel });
                }
            }
            Err(error) => {
                for parcel in &asked.waiting {
                    self.done(hub, inner, parcel, false);
                }
                let call = if asked.connects { "connect" } else { "send_to" };
                let error = renamed(&error, &format!("{call} {}", asked.plan.whom()));
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
