//! Which work is of one object, for a pump that attends to it alone.
//!
//! Not here: the pump (`pump`).

use crate::lua::class::object::{Object, Part};
use crate::lua::run::queue::Work;
use crate::lua::run::state::State;

/// Whether it is that object, or a socket that this server has accepted.
pub(in crate::lua) fn belongs(object: &Object, to: &Object) -> bool {
    match to.part {
        Part::Server(_) => object.server_id.get() == to.server_id.get(),
        _ => std::ptr::eq(object, to),
    }
}

/// Whether the work is of that object.
pub(in crate::lua) fn is_of(state: &State, work: &Work, object: &Object) -> bool {
    let place = match work {
        Work::Event(token, _) | Work::SupersededClose(token) => state.slot(token.slot),
        Work::Deferred(_, place) => *place,
        Work::TaskReady => return false,
    };
    Object::behind(place).is_some_and(|found| belongs(found, object))
}

/// Whether work of that object waits.
pub(in crate::lua) fn has_work(state: &State, object: &Object) -> bool {
    state.queue.has(|work| is_of(state, work, object))
}

/// Reads what a socket has now, whichever thread leads, so that no byte is missed that the system has.
pub(in crate::lua) fn poll_now(state: &State, object: &Object) {
    let stream = object.socket().and_then(|part| part.stream.borrow().clone());
    if let (Some(stream), Some(hub)) = (stream, state.hub()) {
        stream.poll_now(hub);
    }
}
