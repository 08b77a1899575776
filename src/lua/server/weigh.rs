//! How much the script has left unread of accepted connections, for servers that are short of memory.
//!
//! Not here: what is done about it (`net::connection_count`). Reading itself reports nothing, so that it costs
//! nothing: a pump counts while a server waits for memory.

use std::sync::atomic::Ordering;

use crate::lua::class::object::{Object, Part};
use crate::lua::run::state::State;

/// Reports to every accepted connection what is left unread of it, if a server is short of memory.
pub(in crate::lua) fn weigh_all(state: &State) {
    let Some(hub) = state.hub().filter(|hub| hub.pressed.load(Ordering::Relaxed)) else { return };
    // A server that still waits afterwards sets it again.
    hub.pressed.store(false, Ordering::Release);
    for slot in 0..state.slots() {
        let Some(object) = Object::behind(state.slot(slot)) else { continue };
        match &object.part {
            Part::Socket(part) if object.server_id.get() > 0 => {
                let unread = {
                    let front = part.front(object);
                    front.len() + front.hidden()
                };
                if let Some(stream) = part.stream.borrow().as_ref() {
                    stream.weigh(hub, unread);
                }
            }
            Part::Server(part) => {
                let count = part.count.borrow();
                if count.as_ref().is_some_and(|count| count.is_waited_for()) {
                    hub.pressed.store(true, Ordering::Release);
                }
            }
            _ => {}
        }
    }
}
