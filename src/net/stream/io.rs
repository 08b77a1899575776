//! The data path of a stream: receiving into the back buffer, writing through or into the queue.
//!
//! Not here: when a stream opens and ends (`proto::connection`), when reading stops and goes on
//! (`proto::inbound`), what waits and what the script hears of it (`proto::outbound`). The back buffer is
//! swapped with the script's front buffer.

use std::io::IoSlice;

use crate::errno;
use crate::error::{Code, Error, Result};
use crate::limits;
use crate::net::connection_count::CountGuard;
use crate::net::hub::Hub;
use crate::net::stream::Inner;
use crate::net::stream::step::Step;
use crate::proto::connection::{Input, Phase};
use crate::proto::event::Event;
use crate::sys::io::{self, Progress};
use crate::sys::socket::end_writing;

impl Step<'_> {
    /// Reading has stopped, and the connection is over: what the system still holds, its receive
    /// buffer at most, comes in beyond the limit, so that the script hears of the end.
    pub(super) fn receive_rest(&mut self, scratch: &mut Vec<u8>, reset: bool) {
        for _ in 0..limits::READS_IN_A_ROW {
            if !self.receive(scratch, reset) {
                return;
            }
        }
    }

    /// Reads what is there, a bounded number of times; `reset`: the poller has told of one. Whether
    /// there may be more.
    pub(super) fn receive(&mut self, scratch: &mut Vec<u8>, reset: bool) -> bool {
        for _ in 0..limits::READS_IN_A_ROW {
            let Some(socket) = &self.inner.socket else { return false };
            scratch.clear();
            if scratch.capacity() < limits::READ_SIZE {
                *scratch = self.hub.buffer();
            }
            let room = scratch
                .capacity()
                .min(self.inner.guard().map_or(usize::MAX, CountGuard::allowance));
            let keep = self.inner.connection.phase() == Phase::Open;
            match io::recv(socket, scratch, room) {
                Progress::Done(count) => {
                    if self.inner.tls.is_some() {
                        self.decrypt(scratch);
                    } else if keep {
                        self.inner.inbound.make().take(scratch);
                        self.announce(count);
                    }
                    if count < room
                        || self.inner.inbound.get().is_paused()
                        || self.inner.is_stalled()
                    {
                        return true;
                    }
                }
                Progress::Again => {
                    self.nothing_left();
                    return false;
                }
                Progress::Eof if reset => {
                    let error = std::io::Error::from_raw_os_error(errno::ECONNRESET);
                    self.broke(Error::os("read", &error));
                    return false;
                }
                Progress::Eof => {
                    self.on_eof();
                    return false;
                }
                Progress::Failed(error) => {
                    let error = Error::os("read", &error);
                    self.broke(error);
                    return false;
                }
            }
        }
        true
    }

    /// So many more bytes are there for the script.
    #[expect(
        clippy::inline_always,
        reason = "every arrival comes here; a call costs as much as the work"
    )]
    #[inline(always)]
    pub(super) fn announce(&mut self, count: usize) {
        if self.hub.trace.is_on() {
            self.tell_received(count);
        }
        let inner = &mut *self.inner;
        inner.inbound.make().count(count, inner.options.read_limit);
        if inner.options.read_timeout.is_some() {
            inner.connection.restart_silence(self.hub.now());
        }
        let event = Event::Data(u32::try_from(count).unwrap_or(u32::MAX));
        self.hub.post(&mut inner.mail, self.token, event);
        self.weigh();
    }

    /// Tells its server how much it holds. Nearly every step of a client comes here for nothing.
    #[inline]
    pub(super) fn weigh(&mut self) {
        if self.inner.guard().is_some() {
            self.weigh_counted();
        }
    }

    fn weigh_counted(&mut self) {
        let unsent = self.inner.unsent();
        let unread = self.inner.inbound.get().unread();
        if let Some(guard) = self.inner.peer.as_mut().and_then(|peer| peer.guard.as_mut()) {
            guard.weigh(self.token, unread + unsent);
        }
    }

    pub(super) fn on_eof(&mut self) {
        if self.inner.is_lingering() {
            self.inner.connection.ended_lingering();
            self.end_linger();
        } else if let Some(error) = self.inner.take_failure() {
            self.broke(*error);
        } else if let Some(error) = self.inner.truncation() {
            self.broke(error);
        } else {
            self.feed(Input::Eof);
            self.close_when_both_ended();
        }
    }

    /// What the peer had sent before writing failed is read, and reading knows of no end.
    fn nothing_left(&mut self) {
        if let Some(error) = self.inner.take_failure() {
            self.broke(*error);
        }
    }

    pub(super) fn broke(&mut self, error: Error) {
        if self.inner.is_lingering() {
            self.drop_socket();
        } else {
            self.feed(Input::Broken(error));
        }
    }

    /// Accepts the parts: straight to the system when nothing waits before them.
    pub(super) fn write(&mut self, parts: &[&[u8]]) -> Result<()> {
        let total: usize = parts.iter().map(|part| part.len()).sum();
        if !self.inner.can_write("write")? {
            if total > 0 {
                self.inner.outbound.make().lose();
            }
            return Ok(());
        }
        let (outbound, held) = (self.inner.outbound.get(), self.inner.held());
        outbound.check_room(held, total, self.inner.options.write_limit)?;
        let nothing_waits = outbound.is_empty() && held == 0;
        if outbound.failure().is_some() || total == 0 {
            if total > 0 {
                self.inner.outbound.make().lose();
            }
            return Ok(());
        }
        if self.inner.tls.is_some() {
            return self.write_tls(parts);
        }
        let goes = nothing_waits && self.inner.connection.phase() == Phase::Open;
        let sent = if goes { self.send_now(parts) } else { 0 };
        self.inner.enqueue(self.hub, parts, sent);
        Ok(())
    }

    /// Hands over what the system takes now and queues nothing.
    pub(super) fn write_some(&mut self, data: &[u8]) -> Result<usize> {
        if !self.inner.can_write("write_some")? {
            return Err(closed_for_writing("write_some"));
        }
        if let Some(error) = self.inner.outbound.get().failure() {
            return Err(self.inner.named(error.clone()));
        }
        if data.is_empty() {
            return Ok(0);
        }
        let taken = match (self.inner.takes_bytes(), &self.inner.tls) {
            (false, _) => 0,
            (true, Some(_)) => self.encrypt_some(data)?,
            (true, None) => self.offer(data)?,
        };
        if taken < data.len() && self.inner.connection.phase() == Phase::Open {
            self.inner.outbound.make().fall_short();
        }
        Ok(taken)
    }

    fn offer(&mut self, data: &[u8]) -> Result<usize> {
        let Some(socket) = &self.inner.socket else { return Ok(0) };
        match io::send(socket, data) {
            Progress::Done(count) => {
                self.inner.outbound.make().sent(count);
                Ok(count)
            }
            Progress::Failed(error) => {
                self.cannot_send(&error);
                Err(self.inner.named(Error::os("write_some", &error)))
            }
            Progress::Again | Progress::Eof => Ok(0),
        }
    }

    /// Has the script told when everything written so far is with the system.
    pub(super) fn mark(&mut self) -> Result<()> {
        let inner = &mut *self.inner;
        if !inner.can_write("mark")? || inner.outbound.get().failure().is_some() {
            return Ok(());
        }
        let held = match &inner.tls {
            Some(state) => !state.is_secured(),
            None => inner.connection.is_connecting() && inner.options.begins_secure(),
        };
        inner.outbound.make().mark(held);
        self.post_marks();
        Ok(())
    }

    /// The handshake is done and what it held is under way.
    pub(super) fn place_marks(&mut self) {
        if let Some(outbound) = self.inner.outbound.present() {
            outbound.place_held_marks();
        }
        self.post_marks();
    }

    fn post_marks(&mut self) {
        let Some(outbound) = self.inner.outbound.present() else { return };
        loop {
            match outbound.take_passed() {
                0 => return,
                count => self.hub.post(&mut self.inner.mail, self.token, Event::Marked(count)),
            }
        }
    }

    pub(super) fn send_now(&mut self, parts: &[&[u8]]) -> usize {
        let Some(socket) = &self.inner.socket else { return 0 };
        let progress = if let [part] = parts {
            io::send(socket, part)
        } else {
            let slices: Vec<_> = parts.iter().take(64).map(|part| IoSlice::new(part)).collect();
            io::send_gathered(socket, &slices)
        };
        match progress {
            Progress::Done(count) => {
                self.inner.outbound.make().sent(count);
                count
            }
            Progress::Failed(error) => {
                self.cannot_send(&error);
                // Taken and dropped: how the connection ended is told by the reading side, after
                // what the peer sent before.
                usize::MAX
            }
            Progress::Again | Progress::Eof => 0,
        }
    }

    /// Sends from the queue, a bounded amount.
    pub(super) fn flush(&mut self) {
        let Some(socket) = &self.inner.socket else { return };
        let mut slices = Vec::new();
        self.inner.outbound.get().slices(&mut slices);
        if !slices.is_empty() {
            match io::send_gathered(socket, &slices) {
                Progress::Done(count) => {
                    drop(slices);
                    self.inner.outbound.make().advance(count);
                }
                Progress::Failed(error) => {
                    drop(slices);
                    self.cannot_send(&error);
                }
                Progress::Again | Progress::Eof => return,
            }
        }
        self.post_marks();
        let inner = &mut *self.inner;
        let drain_at = inner.options.drain_at;
        if let Some(moved) = inner.outbound.present().map(|outbound| outbound.moved(drain_at)) {
            if moved.sent {
                self.hub.post(&mut inner.mail, self.token, Event::Sent);
            }
            if moved.drained && inner.connection.phase() == Phase::Open {
                self.hub.post(&mut inner.mail, self.token, Event::Drained);
                self.trace(|_| "drained: what was written is with the system".into());
            }
        }
        self.finish_writing();
        if self.inner.outbound.get().is_empty() && self.inner.connection.phase() == Phase::Closing {
            self.feed(Input::Flushed);
        }
    }

    /// The end of stream, once nothing waits before it.
    pub(super) fn finish_writing(&mut self) {
        let held = self.inner.held();
        let Some(socket) = &self.inner.socket else { return };
        if self.inner.outbound.present().is_some_and(|outbound| outbound.take_eof(held)) {
            // A refusal means that the connection is over, which reading will tell.
            let _ = end_writing(socket);
            self.close_when_both_ended();
        }
    }

    /// With both halves ended (`half_open`) the connection is over.
    fn close_when_both_ended(&mut self) {
        if self.inner.outbound.get().has_sent_eof() && self.inner.connection.has_eof() {
            self.feed(Input::EofSeen);
        }
    }

    fn cannot_send(&mut self, error: &std::io::Error) {
        let error = Error::os("write", error);
        let reads = self.inner.interest().read() && self.inner.connection.phase() == Phase::Open;
        if reads {
            self.inner.outbound.make().fail(error);
        } else {
            self.feed(Input::Broken(error));
        }
    }
}

impl Inner {
    /// Its place among the connections of a server.
    pub(super) fn guard(&self) -> Option<&CountGuard> {
        self.peer.as_ref()?.guard.as_ref()
    }

    /// Whether a server's connections hold too much, and this one most.
    pub(super) fn is_stalled(&self) -> bool {
        self.guard().is_some_and(CountGuard::is_stalled)
    }

    /// Whether a server's memory can't hold a frame of so many bytes.
    pub(super) fn is_too_long(&self, wanted: usize) -> bool {
        self.guard().is_some_and(|guard| guard.refuses(wanted))
    }

    fn take_failure(&mut self) -> Option<Box<Error>> {
        self.outbound.present()?.take_failure()
    }

    /// Whether something can be written; false if what is written is dropped.
    #[inline]
    fn can_write(&self, call: &str) -> Result<bool> {
        let stands = self.connection.phase() == Phase::Open || self.connection.is_connecting();
        if stands && !self.is_ending() {
            return Ok(true);
        }
        if self.is_unheard() {
            return Ok(false);
        }
        Err(closed_for_writing(call))
    }

    /// Whether the script has ended its own half, or all of it.
    pub(super) fn is_ending(&self) -> bool {
        self.connection.is_closing() || self.outbound.get().is_shut()
    }

    /// Whether it is over and the script, which has not ended it, is still to hear so: until then it
    /// may write, as far as it knows, and what it writes is dropped.
    pub(super) fn is_unheard(&self) -> bool {
        self.connection.phase() == Phase::Closed && !self.is_ending()
    }

    /// Whether bytes go straight to the system, or the session.
    fn takes_bytes(&self) -> bool {
        self.connection.phase() == Phase::Open && self.unsent() == 0 && self.is_secured()
    }

    /// Whether there is something to hear of once the system has room.
    pub(super) fn waits_for_room(&self) -> bool {
        let outbound = self.outbound.get();
        !outbound.is_empty() || outbound.is_short() && self.connection.phase() == Phase::Open
    }

    /// Whether a write would be taken in part or fail; if not, whoever asks is told of progress.
    pub(super) fn is_writable(&mut self) -> bool {
        match self.can_write("write_some") {
            Ok(true) if self.outbound.get().failure().is_none() => {}
            // The close that the script is still to hear of says why.
            Ok(false) => return false,
            _ => return true,
        }
        if self.connection.phase() != Phase::Open {
            return false;
        }
        if self.takes_bytes() && !self.outbound.get().is_short() {
            return true;
        }
        self.outbound.make().set_watched(true);
        false
    }

    /// Bytes accepted and not yet handed to the system.
    pub(super) fn unsent(&self) -> usize {
        self.outbound.get().len() + self.held()
    }

    /// Queues what is left of the parts, of which so many bytes were sent.
    pub(super) fn enqueue(&mut self, hub: &Hub, parts: &[&[u8]], sent: usize) {
        let now = self.options.write_timeout.map(|_| hub.now());
        self.outbound.make().push(parts, sent, now, self.options.drain_at);
    }

    /// What the script's wish to close amounts to: after a failed write, what was written before
    /// cannot be flushed any more.
    pub(super) fn closing(&mut self) -> Input {
        self.take_failure().map_or(Input::Close, |error| Input::Broken(*error))
    }
}

#[cold]
fn closed_for_writing(call: &str) -> Error {
    Error::new(Code::Closed, format!("{call}: the socket is closed for writing"))
}
