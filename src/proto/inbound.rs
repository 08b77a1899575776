//! What came on a connection and is not with the script yet, and when reading stops and goes on.
//!
//! Not here: receiving, decrypting, and the bounds that a server's connections share (`net`). One copy
//! on the way in at most: a large arrival becomes the buffer that the script's side will have.
//! Invariant: reading is paused only together with an event, so the script's side learns of it and comes
//! to resume it.

use std::sync::LazyLock;

use crate::limits;
use crate::proto::lazy::Blank;

/// The back buffer of a connection.
#[derive(Debug, Default)]
pub struct Inbound {
    /// In plain text, in order.
    pub bytes: Vec<u8>,
    /// Unread bytes on the script's side when it last said so; an overestimate is harmless.
    front: usize,
    /// The bound while a frame longer than `read_limit` is asked for; else 0.
    raised: usize,
    paused: bool,
    total: u64,
}

impl Blank for Inbound {
    fn blank() -> &'static Self {
        static BLANK: LazyLock<Inbound> = LazyLock::new(Inbound::default);
        &BLANK
    }
}

impl Inbound {
    /// Takes an arrival in, which is to be counted then. A small one is copied, so that a quiet
    /// connection holds no large buffer; a large one is taken as it is when nothing waits before it.
    pub fn take(&mut self, arrival: &mut Vec<u8>) {
        if self.bytes.is_empty() && arrival.len() >= limits::SMALL_ARRIVAL {
            std::mem::swap(&mut self.bytes, arrival);
        } else {
            self.bytes.extend_from_slice(arrival);
        }
    }

    /// So many of the bytes are new: at the limit reading pauses.
    pub fn count(&mut self, new: usize, read_limit: usize) {
        self.total += new as u64;
        self.paused |= self.unread() >= self.limit(read_limit);
    }

    /// The script's side has taken the bytes; so many are unread there now.
    pub fn collected(&mut self, unread: usize, read_limit: usize) {
        self.front = unread;
        self.paused &= unread > read_limit / 2;
    }

    /// So many are unread on the script's side.
    pub fn set_front(&mut self, unread: usize) {
        self.front = unread;
    }

    /// The script has read: so many are unread there, and it may want `wanted` in one piece, for which
    /// the limit is raised as long as that takes.
    pub fn resume(&mut self, unread: usize, wanted: usize, read_limit: usize, max_frame: usize) {
        self.front = unread;
        let limit = self.limit(read_limit);
        if wanted > limit {
            self.raised = wanted.saturating_mul(2).min(max_frame);
        } else if unread <= limit / 2 {
            self.raised = 0;
        }
        // What is asked for may be below the limit and yet above what was let in: the leader stops
        // by an estimate.
        self.paused &= wanted <= unread && unread > limit / 2;
    }

    /// `read_limit` has changed.
    pub fn limit_changed(&mut self, read_limit: usize) {
        self.paused &= self.front >= read_limit / 2;
    }

    /// A new connection begins: the counters start anew; bytes of the old one stay readable until
    /// the script sees the new one stand.
    pub fn restart(&mut self) {
        self.raised = 0;
        self.paused = false;
        self.total = 0;
    }

    /// Bytes that the script has not read, here and on its side.
    #[must_use]
    pub fn unread(&self) -> usize {
        self.front + self.bytes.len()
    }

    /// Whether reading has stopped at the limit.
    #[must_use]
    pub fn is_paused(&self) -> bool {
        self.paused
    }

    /// Bytes received since the connection stands.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.total
    }

    fn limit(&self, read_limit: usize) -> usize {
        read_limit.max(self.raised)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT: usize = 100;
    const FRAME: usize = 1000;

    /// So many bytes have come.
    fn came(count: usize) -> Inbound {
        let mut inbound = Inbound::default();
        arrives(&mut inbound, count);
        inbound
    }

    fn arrives(inbound: &mut Inbound, count: usize) {
        inbound.take(&mut vec![b'x'; count]);
        inbound.count(count, LIMIT);
    }

    #[test]
    fn a_small_arrival_is_copied_into_a_buffer_of_its_size() {
        let mut scratch = Vec::with_capacity(limits::READ_SIZE);
        scratch.extend_from_slice(b"hello");
        let mut inbound = Inbound::default();
        inbound.take(&mut scratch);
        assert_eq!((&inbound.bytes[..], scratch.capacity()), (&b"hello"[..], limits::READ_SIZE));
        assert!(inbound.bytes.capacity() < limits::SMALL_ARRIVAL);
    }

    #[test]
    fn a_large_arrival_becomes_the_buffer_unless_something_waits_before_it() {
        let large = vec![b'x'; limits::SMALL_ARRIVAL];
        let (mut scratch, mut inbound) = (large.clone(), Inbound::default());
        let place = scratch.as_ptr();
        inbound.take(&mut scratch);
        assert!(inbound.bytes.as_ptr() == place && scratch.is_empty());
        let mut inbound = came(1);
        inbound.take(&mut large.clone());
        assert_eq!(inbound.bytes.len(), large.len() + 1);
    }

    #[test]
    fn reading_pauses_at_the_limit_of_what_is_unread_here_and_on_the_scripts_side() {
        let mut inbound = came(LIMIT - 1);
        assert!(!inbound.is_paused());
        arrives(&mut inbound, 1);
        assert!(inbound.is_paused());
        let mut inbound = Inbound::default();
        inbound.set_front(LIMIT - 1);
        arrives(&mut inbound, 1);
        assert_eq!((inbound.is_paused(), inbound.unread(), inbound.total()), (true, LIMIT, 1));
    }

    #[test]
    fn it_goes_on_when_the_script_has_read_half() {
        for (unread, is_paused) in [(LIMIT / 2 + 1, true), (LIMIT / 2, false), (0, false)] {
            let mut inbound = came(LIMIT);
            inbound.resume(unread, 0, LIMIT, FRAME);
            assert_eq!(inbound.is_paused(), is_paused, "{unread} unread");
            let mut inbound = came(LIMIT);
            inbound.bytes.clear();
            inbound.collected(unread, LIMIT);
            assert_eq!(inbound.is_paused(), is_paused, "{unread} taken");
        }
    }

    #[test]
    fn it_goes_on_when_more_is_wanted_in_one_piece_than_is_there() {
        let mut inbound = came(LIMIT);
        inbound.resume(LIMIT - 1, LIMIT - 1, LIMIT, FRAME);
        assert!(inbound.is_paused());
        inbound.resume(LIMIT - 1, LIMIT, LIMIT, FRAME);
        assert!(!inbound.is_paused());
    }

    #[test]
    fn a_frame_beyond_the_limit_raises_it_to_twice_the_frame_but_not_beyond_max_frame() {
        for (wanted, raised) in [(LIMIT + 1, 2 * (LIMIT + 1)), (FRAME / 2 + 1, FRAME)] {
            let mut inbound = came(LIMIT);
            inbound.resume(LIMIT, wanted, LIMIT, FRAME);
            inbound.bytes.clear();
            arrives(&mut inbound, raised - LIMIT - 1);
            assert!(!inbound.is_paused(), "{wanted} wanted");
            arrives(&mut inbound, 1);
            assert!(inbound.is_paused(), "{wanted} wanted");
        }
    }

    #[test]
    fn the_limit_is_the_old_one_again_once_half_of_the_frame_is_read() {
        let mut inbound = came(LIMIT);
        inbound.resume(LIMIT, 2 * LIMIT, LIMIT, FRAME);
        inbound.bytes.clear();
        inbound.resume(2 * LIMIT + 1, 0, LIMIT, FRAME);
        arrives(&mut inbound, 1);
        assert!(!inbound.is_paused());
        inbound.resume(2 * LIMIT, 0, LIMIT, FRAME);
        arrives(&mut inbound, 1);
        assert!(inbound.is_paused());
    }

    #[test]
    fn a_higher_limit_lets_reading_go_on() {
        let mut inbound = came(LIMIT);
        inbound.set_front(LIMIT);
        inbound.limit_changed(2 * LIMIT);
        assert!(inbound.is_paused());
        inbound.limit_changed(2 * LIMIT + 2);
        assert!(!inbound.is_paused());
    }

    #[test]
    fn a_new_connection_counts_anew_and_leaves_unread_bytes_readable() {
        let mut inbound = came(LIMIT);
        inbound.resume(LIMIT, 2 * LIMIT, LIMIT, FRAME);
        inbound.restart();
        assert_eq!((inbound.bytes.len(), inbound.total(), inbound.is_paused()), (LIMIT, 0, false));
        arrives(&mut inbound, 1);
        assert!(inbound.is_paused(), "the limit is the old one");
    }
}
