//! One socket for datagrams: receiving, and its life.
//!
//! Not here: sending (`parcels`), looking names up (`resolver`), handlers (`lua`). What has come is
//! held in a bounded queue; while that is full, or the script pauses, the system holds what comes,
//! or drops it.
//! Invariants: a datagram is one whatever its length; `owed` events were posted that the script has
//! not seen, at least one for each datagram held unless it pauses.

mod parcels;

use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Instant;

use socket2::Socket;

use crate::address::{Address, Literal};
use crate::errno;
use crate::error::{Code, Error, Result};
use crate::limits;
use crate::net::datagram::parcels::{Parcels, renamed};
use crate::net::fence::{fault, fenced};
use crate::net::hub::{Hub, Message, Source};
use crate::proto::event::Event;
use crate::proto::mailbox::Mailbox;
use crate::proto::token::Token;
use crate::quote::shown;
use crate::sync::{Arc, Mutex, lock};
pub use crate::sys::Descriptor;
pub use crate::sys::datagram::Binding;
use crate::sys::datagram::{self, Received};
use crate::sys::poller::{Interest, Readiness};

/// What has come, and from whom.
#[derive(Debug)]
pub struct Packet {
    /// Whole, unless it was longer than the script has room for.
    pub data: Vec<u8>,
    /// The sender.
    pub from: SocketAddr,
    /// It was longer.
    pub truncated: bool,
}

/// The socket.
#[derive(Debug)]
pub struct Datagram {
    token: Token,
    local: SocketAddr,
    fd: Descriptor,
    /// A longer datagram is cut.
    max_size: AtomicUsize,
    bytes_in: AtomicU64,
    bytes_out: AtomicU64,
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    socket: Option<Socket>,
    interest: Interest,
    mail: Mailbox,
    received: VecDeque<Packet>,
    received_bytes: usize,
    /// Events that tell of a datagram and that the script has not seen.
    owed: usize,
    paused: bool,
    /// The other end, once it is fixed.
    peer: Option<SocketAddr>,
    parcels: Parcels,
    /// After a refusal that may come again at once it is left alone until then.
    retry_at: Option<Instant>,
    /// The script was told of it; said once until something comes.
    told: bool,
}

impl Datagram {
    /// Binds.
    ///
    /// # Errors
    /// What the system says.
    pub fn open(
        hub: &Arc<Hub>,
        address: SocketAddr,
        how: Binding,
        max_size: usize,
        paused: bool,
    ) -> Result<Arc<Self>> {
        let failed = |error: io::Error| Error::os(&format!("udp {}", Address::Ip(address)), &error);
        let opened = fenced(|| datagram::bind(address, how)).ok_or_else(|| fault("udp"))?;
        let (socket, local) = opened.map_err(failed)?;
        let fd = crate::sys::descriptor(&socket);
        let inner = Mutex::new(Inner { socket: Some(socket), paused, ..Inner::default() });
        let (bytes_in, bytes_out) = (AtomicU64::new(0), AtomicU64::new(0));
        let max_size = AtomicUsize::new(max_size);
        let datagram =
            hub.insert(|token| Self { token, local, fd, max_size, bytes_in, bytes_out, inner });
        let watched = fenced(|| datagram.watch(hub, &mut lock(&datagram.inner)));
        let error = match watched {
            Some(Ok(())) => return Ok(datagram),
            Some(Err(error)) => failed(error),
            None => fault("udp"),
        };
        datagram.close(hub);
        Err(error)
    }

    /// Its name.
    #[must_use]
    pub fn token(&self) -> Token {
        self.token
    }

    /// Where it was bound, and its descriptor while it is open.
    #[must_use]
    pub fn place(&self) -> (SocketAddr, Descriptor) {
        (self.local, self.fd)
    }

    /// Bytes received and sent since it was opened.
    #[must_use]
    pub fn bytes(&self) -> (u64, u64) {
        (self.bytes_in.load(Ordering::Relaxed), self.bytes_out.load(Ordering::Relaxed))
    }

    /// Our end and, once that is fixed, the other. Being connected has chosen an address of ours.
    #[must_use]
    pub fn ends(&self) -> (SocketAddr, Option<SocketAddr>) {
        let inner = lock(&self.inner);
        let socket = inner.socket.as_ref().filter(|_| inner.peer.is_some());
        let local = socket.and_then(|socket| datagram::local_address(socket).ok().flatten());
        (local.unwrap_or(self.local), inner.peer)
    }

    /// The script sees an event that tells of a datagram: the oldest one, if it still waits and is
    /// wanted.
    pub fn next(&self, hub: &Hub, wanted: bool) -> Option<Packet> {
        let taken = self.step(hub, |inner| {
            inner.owed = inner.owed.saturating_sub(1);
            (wanted && !inner.paused).then(|| inner.pop()).flatten()
        });
        taken.flatten()
    }

    /// Takes the oldest datagram that waits.
    pub fn take(&self, hub: &Hub) -> Option<Packet> {
        self.step(hub, Inner::pop).flatten()
    }

    /// Stops or resumes receiving. What was received before is told of again after a pause.
    pub fn set_paused(&self, hub: &Hub, paused: bool) {
        self.step(hub, |inner| {
            inner.paused = paused;
            self.announce(hub, inner);
        });
    }

    /// What is longer is cut from now on.
    pub fn set_max_size(&self, size: usize) {
        self.max_size.store(size, Ordering::Relaxed);
    }

    /// Lets broadcasts be sent, or not.
    ///
    /// # Errors
    /// What the system says.
    pub fn set_broadcast(&self, on: bool) -> Result<()> {
        self.with_socket(|socket| datagram::set_broadcast(socket, on), "broadcast")
    }

    /// Joins or leaves a group. `at`: the interface, which is the zone of a group of IPv6, and by
    /// which groups are then sent to.
    ///
    /// # Errors
    /// What the system says.
    pub fn set_member(&self, group: &Literal, at: Option<&str>, joins: bool) -> Result<()> {
        let call = if joins { "join_group" } else { "leave_group" };
        let failed = |why| Error::new(Code::AddressNotAvailable, format!("{call}: {why}"));
        let group = group.at(0).map_err(failed)?;
        let context = format!("{call} {}", shown(&Address::Ip(group).host()));
        let group = self.fitting(vec![group]).map_err(|error| renamed(&error, &context))?;
        let address = at.and_then(|at| at.parse().ok());
        self.with_socket(|socket| datagram::set_member(socket, group, address, joins), &context)?;
        if at.is_none() || !joins {
            return Ok(());
        }
        self.with_socket(|socket| datagram::send_groups_by(socket, group, address), &context)
    }

    fn with_socket(
        &self,
        body: impl FnOnce(&Socket) -> io::Result<()>,
        context: &str,
    ) -> Result<()> {
        let inner = lock(&self.inner);
        let Some(socket) = &inner.socket else { return Ok(()) };
        let done = fenced(|| body(socket)).ok_or_else(|| fault(context))?;
        done.map_err(|error| Error::os(context, &error))
    }

    fn receive(&self, hub: &Hub, inner: &mut Inner) {
        let mut buffer = hub.buffer();
        for _ in 0..limits::DATAGRAMS_HELD {
            let Some(socket) = inner.socket.as_ref().filter(|_| inner.wants_more()) else { break };
            match datagram::receive(socket, &mut buffer, self.max_size.load(Ordering::Relaxed)) {
                Received::From(from, truncated) => {
                    inner.told = false;
                    // One from somebody else may have come before the other end was fixed.
                    if inner.peer.is_none_or(|peer| peer == from) {
                        self.bytes_in.fetch_add(buffer.len() as u64, Ordering::Relaxed);
                        inner.received_bytes += buffer.len();
                        let data = buffer.as_slice().into();
                        inner.received.push_back(Packet { data, from, truncated });
                        self.announce(hub, inner);
                    }
                }
                Received::Again => break,
                Received::Failed(error) => {
                    let whom = inner.peer.unwrap_or(self.local);
                    let refused = Error::os(&format!("receive {}", Address::Ip(whom)), &error);
                    if is_refusal(&error) {
                        self.report(hub, inner, refused);
                    } else {
                        self.pause(hub, inner, refused);
                    }
                }
            }
        }
        hub.recycle(buffer);
    }

    /// As many events as there are datagrams.
    fn announce(&self, hub: &Hub, inner: &mut Inner) {
        while !inner.paused && inner.owed < inner.received.len() {
            inner.owed += 1;
            hub.post(&mut inner.mail, self.token, Event::Datagram);
        }
    }

    /// Tells the script of trouble; of so much at most.
    fn report(&self, hub: &Hub, inner: &mut Inner, error: Error) {
        if inner.mail.len() < limits::EVENTS_WAITING {
            hub.post(&mut inner.mail, self.token, Event::Failed(Box::new(error)));
        }
    }

    /// Leaves it for a moment, and tells the script once.
    fn pause(&self, hub: &Hub, inner: &mut Inner, error: Error) {
        let before = inner.retry_at;
        inner.retry_at = Some(Instant::now() + limits::ACCEPT_PAUSE);
        hub.arm(self.token, before, inner.retry_at);
        if !inner.told {
            inner.told = true;
            self.report(hub, inner, error);
        }
    }

    /// Runs one step under the lock and brings the registration up to date afterwards. After a
    /// fault of ours the socket rests for a moment and goes on.
    fn step<R>(&self, hub: &Hub, body: impl FnOnce(&mut Inner) -> R) -> Option<R> {
        let mut inner = lock(&self.inner);
        let result = fenced(|| body(&mut inner));
        let settled = fenced(|| self.settle(hub, &mut inner));
        if result.is_none() || settled.is_none() {
            self.pause(hub, &mut inner, fault("udp"));
        }
        result
    }

    /// Hands out its events.
    pub fn collect(&self, take: impl FnMut(Event)) {
        lock(&self.inner).mail.collect(take);
    }

    /// In the child of a fork: closes this process's descriptor and nothing else.
    pub fn abandon(&self) {
        if let Ok(mut inner) = self.inner.try_lock() {
            inner.socket = None;
        }
    }

    /// Ends it; what waits, in either direction, is dropped.
    pub fn close(&self, hub: &Hub) {
        let mut inner = lock(&self.inner);
        inner.mail.plug();
        hub.arm(self.token, inner.retry_at.take(), None);
        let interest = std::mem::take(&mut inner.interest);
        if let Some(socket) = inner.socket.take() {
            let _ = fenced(|| hub.poller.change(&socket, 0, interest, Interest::NONE));
        }
        inner.received = VecDeque::new();
        inner.received_bytes = 0;
        inner.parcels = Parcels::default();
        drop(inner);
        hub.remove(self.token);
    }

    fn settle(&self, hub: &Hub, inner: &mut Inner) {
        if let Err(error) = self.watch(hub, inner) {
            let error = Error::os(&format!("udp {}", self.local), &error);
            self.pause(hub, inner, error);
        }
    }

    /// Registration follows the state. Refused only when the system is out of memory.
    fn watch(&self, hub: &Hub, inner: &mut Inner) -> io::Result<()> {
        let wanted = inner.wanted();
        let Some(socket) = inner.socket.as_ref().filter(|_| wanted != inner.interest) else {
            return Ok(());
        };
        hub.poller.change(socket, self.token.slot as usize, inner.interest, wanted)?;
        inner.interest = wanted;
        Ok(())
    }
}

impl Source for Datagram {
    fn on_ready(&self, hub: &Arc<Hub>, _ready: Readiness, _scratch: &mut Vec<u8>) {
        self.step(hub, |inner| {
            self.flush(hub, inner);
            self.receive(hub, inner);
        });
    }

    /// Names were looked up.
    fn on_message(&self, hub: &Arc<Hub>, _message: Message) {
        self.step(hub, |inner| self.conclude(hub, inner));
    }

    /// The pause is over.
    fn on_alarm(&self, hub: &Arc<Hub>, at: Instant) {
        self.step(hub, |inner| {
            if inner.retry_at == Some(at) {
                inner.retry_at = None;
            }
        });
    }

    fn on_fault(&self, hub: &Arc<Hub>) {
        self.pause(hub, &mut lock(&self.inner), fault("udp"));
    }

    fn end(&self, hub: &Arc<Hub>) {
        self.close(hub);
    }
}

impl Inner {
    fn pop(&mut self) -> Option<Packet> {
        let packet = self.received.pop_front()?;
        self.received_bytes -= packet.data.len();
        Some(packet)
    }

    fn wants_more(&self) -> bool {
        !self.paused
            && self.retry_at.is_none()
            && self.received.len() < limits::DATAGRAMS_HELD
            && self.received_bytes < limits::DATAGRAM_BYTES_HELD
    }

    fn wanted(&self) -> Interest {
        let write = self.retry_at.is_none() && self.parcels.are_ready();
        Interest::NONE.with(Interest::READ, self.wants_more()).with(Interest::WRITE, write)
    }
}

/// What somebody on the way has said to a datagram that was sent before.
fn is_refusal(error: &io::Error) -> bool {
    const REFUSALS: [i32; 6] = [
        errno::ECONNREFUSED,
        errno::ECONNRESET,
        errno::EHOSTUNREACH,
        errno::EMSGSIZE,
        errno::ENETUNREACH,
        errno::EPROTO,
    ];
    errno::number(error).is_some_and(|code| REFUSALS.contains(&code))
}
