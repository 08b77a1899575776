//! The data path of a stream: receiving into the back buffer, writing through or into the queue.
//!
//! Not here: when a stream opens and ends (`stream`, `proto::life`). One copy on the way in:
//! system > back buffer, which is swapped with the script's front buffer.

use std::collections::VecDeque;
use std::io::IoSlice;
use std::sync::LazyLock;
use std::time::Instant;

use crate::errno;
use crate::error::{Code, Error, Result};
use crate::limits;
use crate::net::door::Gate;
use crate::net::hub::Hub;
use crate::net::options::Options;
use crate::net::stream::Inner;
use crate::proto::event::Event;
use crate::proto::lazy::Blank;
use crate::proto::life::{Input, Phase};
use crate::proto::token::Token;
use crate::proto::write_queue::WriteQueue;
use crate::sync::Arc;
use crate::sys::io::{self, Progress};
use crate::sys::socket::end_writing;

/// What came and is not with the script yet.
#[derive(Debug, Default)]
pub(super) struct Inbound {
    pub(super) bytes: Vec<u8>,
    /// Unread bytes on the script's side when it last said so; an overestimate is harmless.
    pub(super) front: usize,
    /// The bound while a frame longer than `read_limit` is asked for; else 0.
    pub(super) raised: usize,
    /// Reading has stopped at the limit. Set together with an event, so the script's side always
    /// learns of it.
    pub(super) paused: bool,
    pub(super) total: u64,
}

impl Blank for Inbound {
    fn blank() -> &'static Self {
        static BLANK: LazyLock<Inbound> = LazyLock::new(Inbound::default);
        &BLANK
    }
}

impl Inbound {
    pub(super) fn limit(&self, options: &Options) -> usize {
        options.read_limit.max(self.raised)
    }

    /// A new connection begins: the counters start anew; bytes of the old one stay readable until
    /// the script sees the new one stand.
    pub(super) fn restart(&mut self) {
        self.raised = 0;
        self.paused = false;
        self.total = 0;
    }
}

/// What waits to be sent.
#[expect(clippy::struct_excessive_bools, reason = "five facts that do not depend on each other")]
#[derive(Debug, Default)]
pub(super) struct Outbound {
    pub(super) queue: WriteQueue,
    /// The end of stream follows the queue.
    pub(super) fin: bool,
    fin_sent: bool,
    /// More than `drain_at` bytes have waited.
    pub(super) high: bool,
    /// Writing has failed, and reading is to tell how the connection ended.
    pub(super) broken: Option<Box<Error>>,
    pub(super) total: u64,
    /// Something that was written was dropped.
    pub(super) lost: bool,
    /// Somebody waits for the queue to move: one `Sent` tells that it has.
    pub(super) watched: bool,
    marks: Option<Box<Marks>>,
}

/// Places between writes whose passing the script wants to hear of.
#[derive(Debug, Default)]
struct Marks {
    /// Ascending, in bytes since the connection began, and how many marks are there.
    places: VecDeque<(u64, u32)>,
    /// Behind what waits for a handshake: how long that will be is not known before.
    held: u32,
}

impl Marks {
    fn add(&mut self, place: u64, count: u32) {
        match self.places.back_mut() {
            Some((last, marks)) if *last == place => *marks = marks.saturating_add(count),
            _ if count > 0 => self.places.push_back((place, count)),
            _ => {}
        }
    }
}

impl Blank for Outbound {
    fn blank() -> &'static Self {
        static BLANK: LazyLock<Outbound> = LazyLock::new(Outbound::default);
        &BLANK
    }
}

impl Outbound {
    /// The place behind everything that was written.
    fn end(&self) -> u64 {
        self.total.saturating_add(u64::try_from(self.queue.len()).unwrap_or(u64::MAX))
    }
}

impl Inner {
    /// Reading has stopped, and the connection is over: what the system still holds, its receive
    /// buffer at most, comes in beyond the limit, so that the script hears of the end.
    pub(super) fn receive_rest(
        &mut self,
        hub: &Arc<Hub>,
        token: Token,
        scratch: &mut Vec<u8>,
        reset: bool,
    ) {
        for _ in 0..limits::READS_IN_A_ROW {
            if !self.receive(hub, token, scratch, reset) {
                return;
            }
        }
    }

    /// Reads what is there, a bounded number of times; `reset`: the poller has told of one. Whether
    /// there may be more.
    pub(super) fn receive(
        &mut self,
        hub: &Arc<Hub>,
        token: Token,
        scratch: &mut Vec<u8>,
        reset: bool,
    ) -> bool {
        for _ in 0..limits::READS_IN_A_ROW {
            let Some(socket) = &self.socket else { return false };
            scratch.clear();
            if scratch.capacity() < limits::READ_SIZE {
                *scratch = hub.buffer();
            }
            let room = scratch.capacity().min(self.gate().map_or(usize::MAX, Gate::allowance));
            let keep = self.life.phase() == Phase::Open;
            match io::recv(socket, scratch, room) {
                Progress::Done(count) => {
                    if self.secure.is_some() {
                        self.decrypt(hub, token, scratch);
                    } else if keep {
                        self.arrived(hub, token, count, scratch);
                    }
                    if count < room || self.inbound.paused || self.is_stalled() {
                        return true;
                    }
                }
                Progress::Again => {
                    self.nothing_left(hub, token);
                    return false;
                }
                Progress::Eof if reset => {
                    let error = std::io::Error::from_raw_os_error(errno::ECONNRESET);
                    self.broke(hub, token, Error::os("read", &error));
                    return false;
                }
                Progress::Eof => {
                    self.ended(hub, token);
                    return false;
                }
                Progress::Failed(error) => {
                    let error = Error::os("read", &error);
                    self.broke(hub, token, error);
                    return false;
                }
            }
        }
        true
    }

    fn arrived(&mut self, hub: &Arc<Hub>, token: Token, count: usize, scratch: &mut Vec<u8>) {
        let inbound = &mut *self.inbound;
        if inbound.bytes.is_empty() && count >= limits::SMALL_ARRIVAL {
            std::mem::swap(&mut inbound.bytes, scratch);
        } else {
            inbound.bytes.extend_from_slice(scratch);
        }
        inbound.total += count as u64;
        if inbound.front + inbound.bytes.len() >= inbound.limit(&self.options) {
            inbound.paused = true;
        }
        if self.options.read_timeout.is_some() {
            self.life.restart_silence(Instant::now());
        }
        hub.post(&mut self.mail, token, Event::Data(u32::try_from(count).unwrap_or(u32::MAX)));
        self.weigh(token);
    }

    /// Its place at a server's door.
    fn gate(&self) -> Option<&Gate> {
        self.other.as_ref()?.gate.as_ref()
    }

    /// Whether a server's connections hold too much, and this one most.
    pub(super) fn is_stalled(&self) -> bool {
        self.gate().is_some_and(Gate::is_stalled)
    }

    /// Whether a server's memory can't hold a frame of so many bytes.
    pub(super) fn is_too_long(&self, wanted: usize) -> bool {
        self.gate().is_some_and(|gate| gate.refuses(wanted))
    }

    /// Tells its server how much it holds. Nearly every step of a client comes here for nothing.
    #[inline]
    pub(super) fn weigh(&mut self, token: Token) {
        if self.gate().is_some() {
            self.weigh_gated(token);
        }
    }

    fn weigh_gated(&mut self, token: Token) {
        let held = self.held();
        let Some(gate) = self.other.as_mut().and_then(|other| other.gate.as_mut()) else { return };
        let (inbound, outbound) = (&*self.inbound, &*self.outbound);
        gate.weigh(token, inbound.front + inbound.bytes.len() + outbound.queue.len() + held);
    }

    pub(super) fn ended(&mut self, hub: &Arc<Hub>, token: Token) {
        if self.is_lingering() {
            self.drop_socket(hub);
        } else if let Some(error) = self.take_broken() {
            self.broke(hub, token, *error);
        } else if let Some(error) = self.truncation() {
            self.broke(hub, token, error);
        } else {
            self.feed(hub, token, Input::Ended);
            self.part_when_both_ended(hub, token);
        }
    }

    /// What the peer had sent before writing failed is read, and reading knows of no end.
    fn nothing_left(&mut self, hub: &Arc<Hub>, token: Token) {
        if let Some(error) = self.take_broken() {
            self.broke(hub, token, *error);
        }
    }

    fn take_broken(&mut self) -> Option<Box<Error>> {
        self.outbound.present()?.broken.take()
    }

    pub(super) fn broke(&mut self, hub: &Arc<Hub>, token: Token, error: Error) {
        if self.is_lingering() {
            self.drop_socket(hub);
        } else {
            self.feed(hub, token, Input::Broken(error));
        }
    }

    /// Accepts the parts: straight to the system when nothing waits before them.
    pub(super) fn write(&mut self, hub: &Arc<Hub>, token: Token, parts: &[&[u8]]) -> Result<()> {
        let connecting =
            { matches!(self.life.phase(), Phase::Resolving | Phase::Connecting | Phase::Securing) };
        let open = self.life.phase() == Phase::Open;
        if !(open || connecting) || self.life.is_closing() || self.outbound.fin {
            if self.is_unheard() {
                self.outbound.lost |= parts.iter().any(|part| !part.is_empty());
                return Ok(());
            }
            return Err(Error::new(Code::Closed, "write: the socket is closed for writing"));
        }
        let total: usize = parts.iter().map(|part| part.len()).sum();
        let waiting = self.outbound.queue.len() + self.held();
        if waiting > 0 && waiting.saturating_add(total) > self.options.write_limit {
            let text = format!("write: {waiting} bytes wait already (write_limit)");
            return Err(Error::new(Code::Again, text));
        }
        if self.outbound.broken.is_some() || total == 0 {
            self.outbound.lost |= total > 0;
            return Ok(());
        }
        if self.secure.is_some() {
            return self.write_secure(hub, token, parts);
        }
        let sent = if open && waiting == 0 { self.send_now(hub, token, parts) } else { 0 };
        self.enqueue(parts, sent);
        Ok(())
    }

    /// Whether it is over and the script, which has not ended it, is still to hear so: until then it
    /// may write, as far as it knows, and what it writes is dropped.
    pub(super) fn is_unheard(&self) -> bool {
        self.life.phase() == Phase::Closed && !self.life.is_closing() && !self.outbound.fin
    }

    /// Has the script told when everything written so far is with the system.
    pub(super) fn mark(&mut self, hub: &Hub, token: Token) -> Result<()> {
        let phase = self.life.phase();
        let setting_out = matches!(phase, Phase::Resolving | Phase::Connecting | Phase::Securing);
        let ends = self.life.is_closing() || self.outbound.fin;
        if self.is_unheard() {
            return Ok(());
        }
        if ends || !(setting_out || phase == Phase::Open) {
            return Err(Error::new(Code::Closed, "mark: the socket is closed for writing"));
        }
        if self.outbound.broken.is_none() {
            let held = match &self.secure {
                Some(secure) => !secure.is_secured(),
                None => setting_out && self.options.begins_secure(),
            };
            let place = self.outbound.end();
            let marks = self.outbound.marks.get_or_insert_default();
            if held {
                marks.held = marks.held.saturating_add(1);
            } else {
                marks.add(place, 1);
            }
            self.tell_marks(hub, token);
        }
        Ok(())
    }

    /// The handshake is done and what it held is under way.
    pub(super) fn place_marks(&mut self, hub: &Hub, token: Token) {
        let place = self.outbound.end();
        if let Some(marks) = self.outbound.present().and_then(|outbound| outbound.marks.as_mut()) {
            let held = std::mem::take(&mut marks.held);
            marks.add(place, held);
        }
        self.tell_marks(hub, token);
    }

    fn tell_marks(&mut self, hub: &Hub, token: Token) {
        let Some(outbound) = self.outbound.present() else { return };
        let total = outbound.total;
        let Some(marks) = &mut outbound.marks else { return };
        while let Some((_, count)) = marks.places.front().copied().filter(|(at, _)| *at <= total) {
            marks.places.pop_front();
            hub.post(&mut self.mail, token, Event::Marked(count));
        }
        if marks.places.is_empty() && marks.held == 0 {
            outbound.marks = None;
        }
    }

    pub(super) fn send_now(&mut self, hub: &Arc<Hub>, token: Token, parts: &[&[u8]]) -> usize {
        let Some(socket) = &self.socket else { return 0 };
        let progress = if let [part] = parts {
            io::send(socket, part)
        } else {
            let slices: Vec<_> = parts.iter().take(64).map(|part| IoSlice::new(part)).collect();
            io::send_gathered(socket, &slices)
        };
        match progress {
            Progress::Done(count) => {
                self.outbound.total += count as u64;
                count
            }
            Progress::Failed(error) => {
                self.cannot_send(hub, token, &error);
                // Taken and dropped: how the connection ended is told by the reading side, after
                // what the peer sent before.
                usize::MAX
            }
            Progress::Again | Progress::Eof => 0,
        }
    }

    pub(super) fn enqueue(&mut self, parts: &[&[u8]], mut sent: usize) {
        let now = self.options.write_timeout.map(|_| Instant::now());
        for part in parts {
            let skip = sent.min(part.len());
            sent -= skip;
            if let Some(rest) = part.get(skip..).filter(|rest| !rest.is_empty()) {
                self.outbound.queue.push(rest, now);
            }
        }
        self.outbound.high |= self.outbound.queue.len() > self.options.drain_at;
    }

    /// Sends from the queue, a bounded amount.
    pub(super) fn flush(&mut self, hub: &Arc<Hub>, token: Token) {
        let Some(socket) = &self.socket else { return };
        let mut slices = Vec::new();
        self.outbound.queue.slices(&mut slices);
        if !slices.is_empty() {
            match io::send_gathered(socket, &slices) {
                Progress::Done(count) => {
                    drop(slices);
                    self.outbound.queue.advance(count);
                    self.outbound.total += count as u64;
                }
                Progress::Failed(error) => {
                    drop(slices);
                    self.cannot_send(hub, token, &error);
                }
                Progress::Again | Progress::Eof => return,
            }
        }
        self.tell_marks(hub, token);
        if self.outbound.watched {
            self.outbound.watched = false;
            hub.post(&mut self.mail, token, Event::Sent);
        }
        if self.outbound.high && self.outbound.queue.len() <= self.options.drain_at {
            self.outbound.high = false;
            if self.life.phase() == Phase::Open {
                hub.post(&mut self.mail, token, Event::Drained);
            }
        }
        self.finish_writing(hub, token);
        if self.outbound.queue.is_empty() && self.life.phase() == Phase::Closing {
            self.feed(hub, token, Input::Flushed);
        }
    }

    /// The end of stream, once nothing waits before it.
    pub(super) fn finish_writing(&mut self, hub: &Arc<Hub>, token: Token) {
        let out = self.outbound.queue.is_empty() && self.held() == 0;
        let due = self.outbound.fin && !self.outbound.fin_sent && out;
        if let Some(socket) = self.socket.as_ref().filter(|_| due) {
            self.outbound.fin_sent = true;
            // A refusal means that the connection is over, which reading will tell.
            let _ = end_writing(socket);
            self.part_when_both_ended(hub, token);
        }
    }

    /// With both halves ended (`half_open`) the connection is over.
    fn part_when_both_ended(&mut self, hub: &Arc<Hub>, token: Token) {
        if self.outbound.fin_sent && self.life.has_ended() {
            self.feed(hub, token, Input::EndSeen);
        }
    }

    /// What the script's wish to close amounts to: after a failed write, what was written before
    /// cannot be flushed any more.
    pub(super) fn closing(&mut self) -> Input {
        self.take_broken().map_or(Input::Close, |error| Input::Broken(*error))
    }

    fn cannot_send(&mut self, hub: &Arc<Hub>, token: Token, error: &std::io::Error) {
        let error = Error::os("write", error);
        let reads = self.interest.read() && self.life.phase() == Phase::Open;
        if reads {
            self.outbound.queue.clear();
            self.outbound.lost = true;
            self.outbound.high = false;
            self.outbound.marks = None;
            self.outbound.broken = Some(Box::new(error));
        } else {
            self.feed(hub, token, Input::Broken(error));
        }
    }
}
