//! Attempts to connect: where one stands when it begins, and the pause before the next.
//!
//! Not here: what ends them (`dispatch`, `net`).

use super::object::{Object, SocketPart, View};
use crate::net::connect_plan::Way;
use crate::net::stream::Stream;
use crate::sync::Arc;

/// A new attempt begins with a lookup unless the address is known.
pub(in crate::lua) fn starting_view(part: &SocketPart) -> View {
    let target = part.target.get();
    let numeric = target.is_some_and(|plan| matches!(plan.way, Way::Address(_) | Way::Zoned(..)));
    if numeric { View::Connecting } else { View::Resolving }
}

pub(super) fn pause(object: &Object, part: &SocketPart) {
    let pause = match (&object.options().reconnect, part.stream.borrow().as_ref()) {
        (Some(backoff), Some(stream)) => {
            // Jitter needs no better chance than the clock's smallest digits.
            let nanos = std::time::SystemTime::now()
                .duration_since(std::time::UNIX_EPOCH)
                .map_or(0, |time| time.subsec_nanos());
            backoff.pause(stream.attempt() + 1, f64::from(nanos % 1_000_003) / 1_000_003.0)
        }
        _ => return,
    };
    let stream: Option<Arc<Stream>> = part.stream.borrow().clone();
    if let (Some(stream), Some(hub)) = (stream, object.state.hub()) {
        stream.wait(hub, pause);
    }
}
