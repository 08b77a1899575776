//! What passes between a stream and the script's side: events, bytes, and leave to go on reading.
//!
//! Not here: what arrives from the system (`traffic`). Every method is called by the script's
//! thread, `read_ahead` by whoever leads.

use std::time::Instant;

use crate::error::{Code, Error};
use crate::net::hub::Hub;
use crate::net::stream::Stream;
use crate::proto::buffer::ReadBuffer;
use crate::proto::event::Event;
use crate::proto::lazy::Lazy;
use crate::proto::life::Input;
use crate::sync::{Arc, lock};

impl Stream {
    /// Lets data of an accepted connection come.
    pub fn release_data(&self, hub: &Arc<Hub>) {
        self.step(hub, |inner| {
            inner.held_back = false;
            inner.life.restart_silence(Instant::now());
            // What came with the handshake was posted when nobody listened.
            if !inner.mail.is_empty() {
                hub.repost(self.token);
            }
        });
    }

    /// Lets them come before that, for a script that waits for them.
    pub fn admit(&self, hub: &Arc<Hub>) {
        if lock(&self.inner).held_back {
            self.release_data(hub);
        }
    }

    /// Moves events and bytes to the script's side. Returns whether reading is paused.
    pub fn collect(
        &self,
        hub: &Arc<Hub>,
        front: &mut Lazy<ReadBuffer>,
        take: impl FnMut(Event),
    ) -> bool {
        let mut inner = lock(&self.inner);
        inner.mail.collect(take);
        let unread = front.len() + front.hidden() + inner.inbound.bytes.len();
        let (limit, longest) = (inner.options.read_limit, inner.options.max_frame);
        if let Some(inbound) = inner.inbound.present() {
            if !inbound.bytes.is_empty() {
                front.refill(&mut inbound.bytes);
                front.set_longest(longest);
                hub.recycle(std::mem::take(&mut inbound.bytes));
            }
            inbound.front = unread;
            inbound.paused &= unread > limit / 2;
        }
        inner.weigh(self.token);
        if inner.socket.is_some() && !inner.interest.read() {
            inner.fenced(hub, self.token, |inner| inner.settle(hub, self.token));
        }
        inner.inbound.paused || inner.is_stalled()
    }

    /// So many bytes are left to the script, which has read some without saying so.
    pub fn weigh(&self, hub: &Arc<Hub>, unread: usize) {
        self.step(hub, |inner| {
            if let Some(inbound) = inner.inbound.present() {
                inbound.front = unread;
            }
        });
    }

    /// The script has read: `unread` bytes are left, and it may want `wanted` in one piece.
    /// Returns whether reading is still paused.
    ///
    /// # Errors
    /// `EMSGSIZE` when more is wanted than `max_frame`: the connection is then closed.
    pub fn resume(&self, hub: &Arc<Hub>, unread: usize, wanted: usize) -> bool {
        self.step(hub, |inner| {
            inner.inbound.front = unread;
            let options = &inner.options;
            if wanted > options.max_frame {
                let text = format!("read: a frame longer than {} bytes", options.max_frame);
                inner.feed(hub, self.token, Input::Broken(Error::new(Code::MessageSize, text)));
                return true;
            }
            if wanted > unread && inner.is_too_long(wanted) {
                let text = "read: a frame longer than half of the server's memory_limit";
                let error = Error::new(Code::MessageSize, text);
                inner.feed(hub, self.token, Input::Broken(error));
                return true;
            }
            let limit = inner.inbound.limit(options);
            if wanted > limit {
                inner.inbound.raised = wanted.saturating_mul(2).min(options.max_frame);
            } else if unread <= limit / 2 {
                inner.inbound.raised = 0;
            }
            // What is asked for may be below the limit and yet above what was let in: the leader
            // stops by an estimate.
            inner.inbound.paused &= wanted <= unread && unread > limit / 2;
            inner.weigh(self.token);
            inner.inbound.paused || inner.is_stalled()
        })
        .unwrap_or_default()
    }
}
