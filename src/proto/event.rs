//! What a source tells the script, and the list in which it waits.
//!
//! Not here: Lua (no Lua value can be put into an event, invariant I5).

use std::collections::VecDeque;
use std::net::SocketAddr;

use crate::error::Error;

/// One thing that happened, in the order in which the reactor saw it.
#[derive(Debug)]
#[non_exhaustive]
pub enum Event {
    /// The name was looked up.
    Resolved(Box<Vec<SocketAddr>>),
    /// The connection stands.
    Connected,
    /// That many bytes arrived.
    Data(u32),
    /// The write queue fell to `drain_at`.
    Drained,
    /// The peer sent its end of stream.
    Eof,
    /// The connection or the attempt is over.
    Closed(Option<Box<Error>>),
    /// A new attempt begins by itself; counted from 1.
    Reconnecting(u32),
    /// A connection waits in the listener to be taken.
    Accepted,
    /// A source has trouble and goes on; of connections what is beside them, as their key log.
    Failed(Box<Error>),
    /// The TLS handshake begins.
    Securing,
    /// An open connection has been secured.
    Secured,
    /// A datagram waits to be taken.
    Datagram,
    /// The datagram of that number is with the system; only for senders who asked to be told.
    Delivered(u32),
    /// It will never be; why is told by itself.
    Undelivered(u32),
    /// A timer ran out.
    Fired,
    /// What was written before so many marks is with the system.
    Marked(u32),
    /// Some of the write queue was handed to the system; only for those who asked to be told.
    Sent,
}

/// The events of one source that the script has not seen, in order.
///
/// The first one needs no allocation: most lists never hold more.
#[derive(Debug, Default)]
pub struct EventList {
    first: Option<Event>,
    // Most lists never need it, and a quiet connection should stay small.
    #[expect(clippy::box_collection, reason = "four words less per connection")]
    rest: Option<Box<VecDeque<Event>>>,
}

impl EventList {
    /// Appends. Marks in a row are counted, and of several falls of the write queue in a row one is
    /// told: a script that writes and never pumps must not make them pile up.
    pub fn push(&mut self, event: Event) {
        if matches!((&event, self.last()), (Event::Drained, Some(Event::Drained))) {
            return;
        }
        if let (Event::Marked(more), Some(Event::Marked(count))) = (&event, self.last())
            && let Some(sum) = count.checked_add(*more)
        {
            *count = sum;
            return;
        }
        if self.first.is_none() {
            self.first = Some(event);
        } else {
            self.rest.get_or_insert_default().push_back(event);
        }
    }

    fn last(&mut self) -> Option<&mut Event> {
        self.rest.as_mut().and_then(|rest| rest.back_mut()).or(self.first.as_mut())
    }

    /// Takes the oldest.
    pub fn pop(&mut self) -> Option<Event> {
        let event = self.first.take()?;
        self.first = self.rest.as_mut().and_then(|rest| rest.pop_front());
        if self.first.is_none() {
            self.rest = None;
        }
        Some(event)
    }

    /// How many wait.
    #[must_use]
    pub fn len(&self) -> usize {
        usize::from(self.first.is_some()) + self.rest.as_ref().map_or(0, |rest| rest.len())
    }

    /// Whether none waits.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.first.is_none()
    }

    /// Drops them all.
    pub fn clear(&mut self) {
        *self = Self::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_come_out_in_the_order_they_went_in() {
        let mut list = EventList::default();
        for n in 0..5 {
            list.push(Event::Data(n));
        }
        assert_eq!(list.len(), 5);
        for n in 0..5 {
            assert!(matches!(list.pop(), Some(Event::Data(m)) if m == n));
        }
        assert!(list.is_empty() && list.pop().is_none());
    }

    #[test]
    fn falls_of_the_write_queue_in_a_row_are_one_event() {
        let mut list = EventList::default();
        for _ in 0..3 {
            list.push(Event::Drained);
        }
        list.push(Event::Data(1));
        list.push(Event::Drained);
        assert_eq!(list.len(), 3);
    }

    #[test]
    fn marks_in_a_row_are_one_event_and_none_is_lost() {
        let mut list = EventList::default();
        let most = Event::Marked(u32::MAX);
        let events = [Event::Marked(1), Event::Marked(2), Event::Data(7), Event::Marked(1), most];
        for event in events {
            list.push(event);
        }
        let marks = |event| match event {
            Some(Event::Marked(count)) => count,
            _ => 0,
        };
        assert_eq!(marks(list.pop()), 3);
        assert!(matches!(list.pop(), Some(Event::Data(7))));
        assert_eq!((marks(list.pop()), marks(list.pop()), list.len()), (1, u32::MAX, 0));
    }
}
