//! One socket for datagrams: receiving, and its life.
//!
//! Not here: sending (`send_queue`), looking names up (`resolver`), handlers (`lua`). What has come is
//! held in a bounded queue; while that is full, or the script pauses, the system holds what comes,
//! or drops it.
//! Invariants: a datagram is one whatever its length; `announced` events were posted that the script has
//! not seen, at least one for each datagram held unless it pauses.

mod send_queue;

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
use crate::net::hub::{Hub, Message, Source};
use crate::net::motion::{Between, Motion, Stir};
use crate::net::options::UdpOptions;
use crate::net::panic::{catch_panic, internal_error};
use crate::net::pause::Pause;
use crate::net::trace::of_bytes;
use crate::net::udp::send_queue::{SendQueue, renamed};
use crate::proto::event::Event;
use crate::proto::mailbox::Mailbox;
use crate::proto::token::Token;
use crate::quote::shown;
use crate::sync::{Arc, Mutex, lock};
pub use crate::sys::Descriptor;
use crate::sys::datagram::{self, Binding, Groups, Received};
use crate::sys::poller::{Interest, Readiness};
use crate::sys::registered::Registered;
use crate::sys::socket_options::{Failure, Setup, set_device, set_receive_buffer, set_send_buffer};

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
pub struct UdpSocket {
    token: Token,
    local: SocketAddr,
    fd: Descriptor,
    opened: Instant,
    /// A longer datagram is cut.
    max_size: AtomicUsize,
    bytes_in: AtomicU64,
    bytes_out: AtomicU64,
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    socket: Option<Registered>,
    mail: Mailbox,
    received: VecDeque<Packet>,
    received_bytes: usize,
    /// Events that tell of a datagram and that the script has not seen.
    announced: usize,
    paused: bool,
    /// The script has said by which interface groups are sent to.
    has_interface: bool,
    /// The other end, once it is fixed.
    peer: Option<SocketAddr>,
    send_queue: SendQueue,
    pause: Pause,
}

impl UdpSocket {
    /// Binds.
    ///
    /// # Errors
    /// What the system says.
    pub fn open(hub: &Arc<Hub>, address: SocketAddr, options: &UdpOptions) -> Result<Arc<Self>> {
        let failed = |failure: Failure| failure.told(&format!("udp {}", Address::Ip(address)));
        let &UdpOptions { broadcast, reuse_address, reuse_port, max_size, paused, .. } = options;
        let setup = Setup {
            device: options.device.as_deref(),
            receive_buffer: options.receive_buffer,
            send_buffer: options.send_buffer,
        };
        let groups = Groups {
            ttl: options.multicast_ttl,
            is_looped: options.multicast_loop,
            interface: options.interface.as_deref(),
        };
        let how = Binding { broadcast, reuse_address, reuse_port, setup, groups };
        let opened =
            catch_panic(|| datagram::bind(address, how)).ok_or_else(|| internal_error("udp"))?;
        let (socket, local) = opened.map_err(failed)?;
        let fd = crate::sys::descriptor(&socket);
        let inner = Mutex::new(Inner {
            socket: Some(Registered::new(socket)),
            paused,
            has_interface: options.interface.is_some(),
            ..Inner::default()
        });
        let (bytes_in, bytes_out) = (AtomicU64::new(0), AtomicU64::new(0));
        let max_size = AtomicUsize::new(max_size);
        let opened = hub.now();
        let datagram = hub.insert(|token| Self {
            token,
            local,
            fd,
            opened,
            max_size,
            bytes_in,
            bytes_out,
            inner,
        });
        let watched = catch_panic(|| datagram.watch(hub, &mut lock(&datagram.inner)));
        let error = match watched {
            Some(Ok(())) => {
                datagram.trace(hub, &lock(&datagram.inner), || "bound".into());
                return Ok(datagram);
            }
            Some(Err(error)) => failed(error.into()),
            None => internal_error("udp"),
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

    /// When it was bound.
    #[must_use]
    pub fn opened(&self) -> Instant {
        self.opened
    }

    /// Bytes received and sent since it was opened.
    #[must_use]
    pub fn bytes(&self) -> (u64, u64) {
        (self.bytes_in.load(Ordering::Relaxed), self.bytes_out.load(Ordering::Relaxed))
    }

    /// Our end and, once that is fixed, the other. Being connected has chosen an address of ours.
    #[must_use]
    pub fn endpoints(&self) -> (SocketAddr, Option<SocketAddr>) {
        let inner = lock(&self.inner);
        let socket = inner.socket.as_ref().filter(|_| inner.peer.is_some());
        let local = socket.and_then(|socket| datagram::local_address(socket).ok().flatten());
        (local.unwrap_or(self.local), inner.peer)
    }

    /// The script sees an event that tells of a datagram: the oldest one, if it still waits and is
    /// wanted.
    pub fn next(&self, hub: &Hub, wanted: bool) -> Option<Packet> {
        let taken = self.step(hub, |inner| {
            inner.announced = inner.announced.saturating_sub(1);
            (wanted && !inner.paused).then(|| inner.pop()).flatten()
        });
        taken.flatten()
    }

    /// Takes the oldest datagram that waits.
    pub fn take(&self, hub: &Hub) -> Option<Packet> {
        self.step(hub, Inner::pop).flatten()
    }

    /// How many wait.
    #[must_use]
    pub fn waiting(&self) -> usize {
        lock(&self.inner).received.len()
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

    /// Gives it the option of that name, which may change while it is bound, as `options` have it. A
    /// buffer of 0 is left as it is: no number is the system's own choice.
    ///
    /// # Errors
    /// What the system says.
    pub fn set_option(&self, name: &str, options: &UdpOptions) -> Result<()> {
        let is_ipv6 = self.local.is_ipv6();
        let set = |socket: &Socket| match name {
            "broadcast" => datagram::set_broadcast(socket, options.broadcast),
            "device" => set_device(socket, options.device.as_deref(), is_ipv6),
            "interface" => {
                datagram::set_group_interface(socket, is_ipv6, options.interface.as_deref())
            }
            "multicast_loop" => datagram::set_group_loop(socket, is_ipv6, options.multicast_loop),
            "multicast_ttl" => datagram::set_group_ttl(socket, is_ipv6, options.multicast_ttl),
            "receive_buffer" if options.receive_buffer > 0 => {
                set_receive_buffer(socket, options.receive_buffer)
            }
            "send_buffer" if options.send_buffer > 0 => {
                set_send_buffer(socket, options.send_buffer)
            }
            _ => Ok(()),
        };
        self.with_socket(set, name)?;
        match name {
            "interface" => lock(&self.inner).has_interface = options.interface.is_some(),
            "max_size" => self.set_max_size(options.max_size),
            _ => {}
        }
        Ok(())
    }

    /// Joins or leaves a group. `at`: the interface, which is the zone of a group of IPv6, and by
    /// which groups are then sent to, unless the script has named another for that.
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
        if at.is_none() || !joins || lock(&self.inner).has_interface {
            return Ok(());
        }
        self.with_socket(|socket| datagram::send_groups_by(socket, group, address), &context)
    }

    /// Hands the descriptor to the function; nothing where it is closed.
    pub fn with_descriptor<R>(&self, body: impl FnOnce(&Socket) -> R) -> Option<R> {
        lock(&self.inner).socket.as_ref().map(|socket| body(socket))
    }

    fn with_socket(
        &self,
        body: impl FnOnce(&Socket) -> io::Result<()>,
        context: &str,
    ) -> Result<()> {
        let inner = lock(&self.inner);
        let Some(socket) = &inner.socket else { return Ok(()) };
        let done = catch_panic(|| body(socket)).ok_or_else(|| internal_error(context))?;
        done.map_err(|error| Error::os(context, &error))
    }

    fn receive(&self, hub: &Hub, inner: &mut Inner) {
        let mut buffer = hub.buffer();
        for _ in 0..limits::DATAGRAMS_HELD {
            let Some(socket) = inner.socket.as_ref().filter(|_| inner.wants_more()) else { break };
            match datagram::receive(socket, &mut buffer, self.max_size.load(Ordering::Relaxed)) {
                Received::From(from, truncated) => {
                    inner.pause.succeeded();
                    // One from somebody else may have come before the other end was fixed.
                    if inner.peer.is_none_or(|peer| peer == from) {
                        self.bytes_in.fetch_add(buffer.len() as u64, Ordering::Relaxed);
                        inner.received_bytes += buffer.len();
                        self.trace_bytes(hub, from, &buffer, || {
                            let cut = if truncated { ", which was longer" } else { "" };
                            format!(
                                "received {}{cut} from {}",
                                of_bytes(buffer.len()),
                                Address::Ip(from)
                            )
                        });
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
        while !inner.paused && inner.announced < inner.received.len() {
            inner.announced += 1;
            hub.post(&mut inner.mail, self.token, Event::Datagram);
        }
    }

    /// Tells something in the trace, if anybody wants to know.
    fn trace(&self, hub: &Hub, inner: &Inner, what: impl FnOnce() -> String) {
        if hub.trace.is_on() {
            hub.tell(self.token, &self.who(), &what(), (Some(self.local), inner.peer));
        }
    }

    fn trace_bytes(&self, hub: &Hub, peer: SocketAddr, data: &[u8], what: impl FnOnce() -> String) {
        if hub.trace.is_on() {
            let ends = (Some(self.local), Some(peer));
            hub.tell_bytes(self.token, &self.who(), &what(), &[data], ends);
        }
    }

    fn who(&self) -> String {
        format!("udp socket on {}", Address::Ip(self.local))
    }

    /// Tells the script of trouble.
    fn report(&self, hub: &Hub, inner: &mut Inner, error: Error) {
        self.trace(hub, inner, || format!("trouble: {} ({})", error.message(), error.code()));
        hub.post_failure(&mut inner.mail, self.token, Box::new(error));
    }

    /// Leaves it for a moment, and tells the script once.
    fn pause(&self, hub: &Hub, inner: &mut Inner, error: Error) {
        if inner.pause.begin(hub, self.token) {
            self.report(hub, inner, error);
        }
    }

    /// Runs one step under the lock and brings the registration up to date afterwards. After a
    /// fault of ours the socket rests for a moment and goes on.
    fn step<R>(&self, hub: &Hub, body: impl FnOnce(&mut Inner) -> R) -> Option<R> {
        let mut inner = lock(&self.inner);
        let result = catch_panic(|| body(&mut inner));
        let synced = catch_panic(|| self.sync_registration(hub, &mut inner));
        if result.is_none() || synced.is_none() {
            self.pause(hub, &mut inner, internal_error("udp"));
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
        inner.mail.close();
        inner.pause.cancel(hub, self.token);
        if let Some(socket) = inner.socket.take() {
            self.trace(hub, &inner, || "closed by the script".into());
            let _ = catch_panic(|| socket.close(&hub.poller));
        }
        inner.received = VecDeque::new();
        inner.received_bytes = 0;
        inner.send_queue = SendQueue::default();
        drop(inner);
        hub.remove(self.token);
    }

    fn sync_registration(&self, hub: &Hub, inner: &mut Inner) {
        if let Err(error) = self.watch(hub, inner) {
            let error = Error::os(&format!("udp {}", Address::Ip(self.local)), &error);
            self.pause(hub, inner, error);
        }
    }

    /// Registration follows the state. Refused only when the system is out of memory.
    fn watch(&self, hub: &Hub, inner: &mut Inner) -> io::Result<()> {
        let wanted = inner.wanted();
        let Some(socket) = &mut inner.socket else { return Ok(()) };
        socket.wait_for(wanted, &hub.poller, self.token.slot as usize)
    }
}

impl Source for UdpSocket {
    fn on_ready(&self, hub: &Arc<Hub>, _ready: Readiness, _scratch: &mut Vec<u8>) {
        self.step(hub, |inner| {
            self.flush(hub, inner);
            self.receive(hub, inner);
        });
    }

    fn motion(&self) -> Option<Motion> {
        let inner = lock(&self.inner);
        let stir = if inner.send_queue.are_asked() {
            Stir::Machine
        } else if inner.send_queue.are_ready() {
            Stir::Peer
        } else {
            Stir::Still
        };
        let (received, sent) = self.bytes();
        Some(Motion { between: Between::Datagrams, sent, received, stir })
    }

    /// Names were looked up.
    fn on_message(&self, hub: &Arc<Hub>, _message: Message) {
        self.step(hub, |inner| self.on_resolved(hub, inner));
    }

    /// The pause is over.
    fn on_timer(&self, hub: &Arc<Hub>, at: Instant) {
        self.step(hub, |inner| inner.pause.on_timer(at));
    }

    fn on_fault(&self, hub: &Arc<Hub>) {
        self.pause(hub, &mut lock(&self.inner), internal_error("udp"));
    }

    fn shut_down(&self, hub: &Arc<Hub>) {
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
            && !self.pause.is_on()
            && self.received.len() < limits::DATAGRAMS_HELD
            && self.received_bytes < limits::DATAGRAM_BYTES_HELD
    }

    fn wanted(&self) -> Interest {
        let write = !self.pause.is_on() && self.send_queue.are_ready();
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
