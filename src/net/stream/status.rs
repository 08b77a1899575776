//! What a stream tells those who ask.
//!
//! Not here: anything that changes a connection, but for receiving what has come. What is told may
//! be ahead of what the script has been told by events.

use std::time::Instant;

use socket2::Socket;

use crate::address::Address;
use crate::error::{Code, Error, Result};
use crate::net::hub::Hub;
use crate::net::motion::{Between, Motion, Stir};
use crate::net::options::Options;
use crate::net::stream::Stream;
use crate::net::target::Route;
use crate::proto::connection::Phase;
use crate::sync::{Arc, lock};
use crate::sys::{Descriptor, descriptor};
use crate::tls::Facts;

/// Where a stream stands, for those who ask.
#[derive(Clone, Debug)]
pub struct Info {
    /// As the reactor knows it, which may be ahead of the script.
    pub phase: Phase,
    /// The peer's end of stream has been received.
    pub eof: bool,
    /// Bytes received and not yet handed to the script's side.
    pub read_ahead: usize,
    /// Bytes accepted and not yet handed to the system.
    pub pending: usize,
    /// Bytes received since the connection stands.
    pub bytes_in: u64,
    /// Bytes handed to the system.
    pub bytes_out: u64,
    /// What was agreed on in a handshake that succeeded.
    pub tls: Option<Facts>,
    /// The other end.
    pub peer: Option<Address>,
    /// Our end.
    pub local: Option<Address>,
}

impl Stream {
    /// Hands the descriptor of the connection, or of the oldest attempt at one, to the function; nothing
    /// where there is none.
    pub fn with_socket<R>(&self, body: impl FnOnce(&Socket) -> R) -> Option<R> {
        let inner = lock(&self.inner);
        let dials = || inner.connecting.as_ref()?.dials.first().map(|(dial, _)| dial);
        inner.socket.as_ref().or_else(dials).map(|socket| body(socket))
    }

    /// Attempts made automatically so far.
    #[must_use]
    pub fn attempt(&self) -> u32 {
        lock(&self.inner).connection.attempt()
    }

    /// Bytes received and sent by a connection that counts among those of a server.
    #[must_use]
    pub fn bytes_counted(&self) -> Option<(u64, u64)> {
        let inner = lock(&self.inner);
        inner.guard().is_some().then(|| inner.moved())
    }

    /// When its attempt began, or the connection was last heard of.
    #[must_use]
    pub fn begun(&self) -> Instant {
        lock(&self.inner).connection.since()
    }

    /// The options as they are.
    #[must_use]
    pub fn options(&self) -> Arc<Options> {
        Arc::clone(&lock(&self.inner).options)
    }

    /// Where it stands.
    #[must_use]
    pub fn info(&self) -> Info {
        let inner = lock(&self.inner);
        Info {
            phase: inner.connection.phase(),
            eof: inner.connection.has_eof(),
            read_ahead: inner.inbound.get().bytes.len(),
            pending: inner.unsent(),
            tls: inner.tls_facts(),
            bytes_in: inner.inbound.get().total(),
            bytes_out: inner.outbound.get().total(),
            peer: inner.peer_address(),
            local: inner.local_address(),
        }
    }

    /// What may be under way between it and its peer; `None` if it has none.
    pub(super) fn seen_motion(&self) -> Option<Motion> {
        let inner = lock(&self.inner);
        let phase = inner.connection.phase();
        if phase == Phase::Waiting || phase == Phase::Closed && inner.socket.is_none() {
            return None;
        }
        let stir =
            if inner.waits_for_roots() { Stir::Machine } else { Stir::of(phase, inner.unsent()) };
        Some(Motion {
            between: Between::Ends(inner.local_address(), inner.peer_address()),
            sent: inner.outbound.get().total(),
            received: inner.inbound.get().total(),
            stir,
        })
    }

    /// Its descriptor; also of an attempt, if it can have no other.
    #[must_use]
    pub fn descriptor(&self) -> Option<Descriptor> {
        let inner = lock(&self.inner);
        let only_dial = || {
            let target = inner.target.as_ref()?;
            let has_others = matches!(target.route, Route::Localhost(_) | Route::Name(..));
            let dials = &inner.connecting.as_ref().filter(|_| !has_others)?.dials;
            dials.first().map(|(dial, _)| dial)
        };
        inner.socket.as_ref().or_else(only_dial).map(|socket| descriptor(socket))
    }

    /// Reads from the descriptor now, as the leader does after a report. Returns whether the
    /// connection stands, and how many received bytes the script's side has not got yet.
    pub fn poll_now(&self, hub: &Arc<Hub>) -> (bool, usize) {
        let mut scratch = Vec::new();
        let seen = self.step(hub, |step| {
            if step.inner.socket.is_none() {
                step.check_dials(false);
            }
            if step.inner.socket.is_some() && step.inner.wanted().read() {
                step.receive(&mut scratch, false);
            }
            (step.inner.connection.is_standing(), step.inner.inbound.get().bytes.len())
        });
        if scratch.capacity() > 0 {
            scratch.clear();
            hub.recycle(scratch);
        }
        seen.unwrap_or_default()
    }

    /// Whether it has TLS, be it before or after the handshake.
    #[must_use]
    pub fn has_tls(&self) -> bool {
        lock(&self.inner).tls.is_some()
    }

    /// Bytes accepted and not yet handed to the system.
    #[must_use]
    pub fn pending(&self) -> usize {
        lock(&self.inner).unsent()
    }

    /// Bytes that wait to be handed to the system, as long as they have a chance.
    ///
    /// # Errors
    /// Why the connection takes no more.
    pub fn unsent(&self) -> Result<usize> {
        let inner = lock(&self.inner);
        if let Some(error) = inner.outbound.get().failure() {
            return Err(error.clone());
        } else if inner.connection.phase() == Phase::Closed {
            return Err(Error::new(Code::Closed, "flush: the socket is closed"));
        }
        Ok(inner.unsent())
    }

    /// Bytes handed to the system since the connection began, those that wait, and whether the two
    /// add up: what is encrypted becomes longer on the way. The next progress is told by an event.
    /// Whether something of what was written was dropped. And why nothing comes before somebody reads:
    /// writing has failed, and how the connection ended comes behind more bytes than are let in.
    pub fn watch_sending(&self) -> (u64, usize, bool, bool, Option<Box<Error>>) {
        let mut inner = lock(&self.inner);
        let pending = inner.unsent();
        if pending > 0 {
            inner.outbound.make().set_watched(true);
        } else if let Some(outbound) = inner.outbound.present() {
            outbound.set_watched(false);
        }
        let outbound = inner.outbound.get();
        let stuck = outbound.failure().filter(|_| inner.inbound.get().is_paused());
        let stuck = stuck.cloned().map(Box::new);
        (outbound.total(), pending, inner.tls.is_none(), outbound.has_lost(), stuck)
    }
}
