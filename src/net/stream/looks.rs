//! What a stream tells those who ask.
//!
//! Not here: anything that changes a connection, but for receiving what has come. What is told may
//! be ahead of what the script has been told by events.

use crate::address::Address;
use crate::error::{Code, Error, Result};
use crate::net::hub::Hub;
use crate::net::options::Options;
use crate::net::stream::Stream;
use crate::proto::life::Phase;
use crate::sync::{Arc, lock};
use crate::sys::socket;
use crate::tls::Facts;

/// Where a stream stands, for those who ask.
#[derive(Clone, Debug)]
pub struct Info {
    /// As the reactor knows it, which may be ahead of the script.
    pub phase: Phase,
    /// The peer's end of stream has been received.
    pub ended: bool,
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
    /// Attempts made automatically so far.
    #[must_use]
    pub fn attempt(&self) -> u32 {
        lock(&self.inner).life.attempt()
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
        let socket = inner.socket.as_ref();
        Info {
            phase: inner.life.phase(),
            ended: inner.life.has_ended(),
            read_ahead: inner.inbound.bytes.len(),
            pending: inner.outbound.queue.len() + inner.held(),
            tls: inner.facts(),
            bytes_in: inner.inbound.total,
            bytes_out: inner.outbound.total,
            peer: inner.peer(),
            local: socket.and_then(|socket| socket::local_address(socket).ok().flatten()),
        }
    }

    /// Looks at the descriptor now, as the leader does after a report. Returns whether the
    /// connection stands, and how many received bytes the script's side has not got yet.
    pub fn look(&self, hub: &Arc<Hub>) -> (bool, usize) {
        let mut scratch = Vec::new();
        let seen = self.step(hub, |inner| {
            if inner.socket.is_none() {
                inner.check_dials(hub, self.token);
            }
            if inner.socket.is_some() && inner.wanted().read() {
                inner.receive(hub, self.token, &mut scratch, false);
            }
            (inner.life.is_standing(), inner.inbound.bytes.len())
        });
        if scratch.capacity() > 0 {
            scratch.clear();
            hub.recycle(scratch);
        }
        seen.unwrap_or_default()
    }

    /// Bytes accepted and not yet handed to the system.
    #[must_use]
    pub fn pending(&self) -> usize {
        let inner = lock(&self.inner);
        inner.outbound.queue.len() + inner.held()
    }

    /// Bytes that wait to be handed to the system, as long as they have a chance.
    ///
    /// # Errors
    /// Why the connection takes no more.
    pub fn unsent(&self) -> Result<usize> {
        let inner = lock(&self.inner);
        if let Some(error) = &inner.outbound.broken {
            return Err((**error).clone());
        } else if inner.life.phase() == Phase::Closed {
            return Err(Error::new(Code::Closed, "flush: the socket is closed"));
        }
        Ok(inner.outbound.queue.len() + inner.held())
    }

    /// Bytes handed to the system since the connection began, those that wait, and whether the two
    /// add up: what is encrypted becomes longer on the way. The next progress is told by an event.
    /// Whether something of what was written was dropped. And why nothing comes before somebody reads:
    /// writing has failed, and how the connection ended comes behind more bytes than are let in.
    pub fn watch_sending(&self) -> (u64, usize, bool, bool, Option<Box<Error>>) {
        let mut inner = lock(&self.inner);
        let pending = inner.outbound.queue.len() + inner.held();
        inner.outbound.watched = pending > 0;
        let stuck = inner.outbound.broken.as_ref().filter(|_| inner.inbound.paused);
        let outbound = &*inner.outbound;
        (outbound.total, pending, inner.secure.is_none(), outbound.lost, stuck.cloned())
    }
}
