//! How much the script has left unread of accepted connections, for servers that are short of memory.
//!
//! Not here: what is done about it (`net::door`). Reading says nothing of it, so that it costs nothing:
//! a pump looks while somebody waits for memory.

use std::sync::atomic::Ordering;

use super::object::{Object, Part};
use crate::lua::state::State;

/// Tells every accepted connection what is left of it, if any server is short of memory.
pub(super) fn weigh_all(state: &State) {
    let Some(hub) = state.hub().filter(|hub| hub.pressed.load(Ordering::Relaxed)) else { return };
    // Whoever still waits afterwards says so again.
    hub.pressed.store(false, Ordering::Release);
    let count = state.slots.borrow().len();
    for slot in 0..count {
        let place = state.slots.borrow().get(slot).copied();
        let Some(object) = place.and_then(Object::in_slot) else { continue };
        match &object.part {
            Part::Socket(part) if object.house.get() > 0 => {
                let unread = {
                    let front = part.front(object);
                    front.len() + front.hidden()
                };
                if let Some(stream) = part.stream.borrow().as_ref() {
                    stream.weigh(hub, unread);
                }
            }
            Part::Server(part) => {
                let door = part.door.borrow();
                if door.as_ref().is_some_and(|door| door.is_waited_for()) {
                    hub.pressed.store(true, Ordering::Release);
                }
            }
            _ => {}
        }
    }
}
