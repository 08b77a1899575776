//! What passes between a stream and the script's side: events, bytes, and leave to go on reading.
//!
//! Not here: what arrives from the system (`io`). Every method is called by the script's
//! thread.

use crate::error::{Code, Error};
use crate::net::hub::Hub;
use crate::net::stream::Stream;
use crate::net::stream::step::Step;
use crate::proto::connection::Input;
use crate::proto::event::Event;
use crate::proto::lazy::Lazy;
use crate::proto::read_buffer::ReadBuffer;
use crate::sync::{Arc, lock};

impl Stream {
    /// Lets data of an accepted connection come.
    pub fn release_data(&self, hub: &Arc<Hub>) {
        self.step(hub, |step| {
            if let Some(peer) = &mut step.inner.peer {
                peer.held_back = false;
            }
            step.inner.connection.restart_silence(hub.now());
            // What came with the handshake was posted when nobody listened.
            if !step.inner.mail.is_empty() {
                hub.repost(self.token);
            }
        });
    }

    /// Lets them come before that, for a script that waits for them.
    pub fn admit(&self, hub: &Arc<Hub>) {
        if lock(&self.inner).is_held_back() {
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
        let unread = front.get().len() + front.get().hidden() + inner.inbound.get().bytes.len();
        let (limit, longest) = (inner.options.read_limit, inner.options.max_frame);
        if let Some(inbound) = inner.inbound.present() {
            if !inbound.bytes.is_empty() {
                let front = front.make();
                front.refill(&mut inbound.bytes);
                front.set_longest(longest);
                hub.recycle(std::mem::take(&mut inbound.bytes));
            }
            inbound.collected(unread, limit);
        }
        let mut step = Step { inner: &mut inner, hub, token: self.token };
        step.weigh();
        if step.inner.socket.is_some() && !step.inner.interest().read() {
            step.guarded(Step::sync_registration);
        }
        inner.inbound.get().is_paused() || inner.is_stalled()
    }

    /// So many bytes are left to the script, which has read some without saying so.
    pub fn weigh(&self, hub: &Arc<Hub>, unread: usize) {
        self.step(hub, |step| {
            if let Some(inbound) = step.inner.inbound.present() {
                inbound.set_front(unread);
            }
        });
    }

    /// The script has read: `unread` bytes are left, and it may want `wanted` in one piece. Returns
    /// whether reading is still paused. When more is wanted than can ever be there, the connection is
    /// closed with `EMSGSIZE`.
    pub fn resume(&self, hub: &Arc<Hub>, unread: usize, wanted: usize) -> bool {
        self.step(hub, |step| {
            let (read_limit, max_frame) =
                (step.inner.options.read_limit, step.inner.options.max_frame);
            if wanted > max_frame {
                step.refuse_frame(&format!("{max_frame} bytes"));
                return true;
            }
            if wanted > unread && step.inner.is_too_long(wanted) {
                step.refuse_frame("half of the server's memory_limit");
                return true;
            }
            step.inner.inbound.make().resume(unread, wanted, read_limit, max_frame);
            step.weigh();
            step.inner.inbound.get().is_paused() || step.inner.is_stalled()
        })
        .unwrap_or_default()
    }
}

impl Step<'_> {
    fn refuse_frame(&mut self, bound: &str) {
        let text = format!("read: a frame longer than {bound}");
        self.feed(Input::Broken(Error::new(Code::MessageSize, text)));
    }
}
