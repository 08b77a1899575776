//! Whether anybody listens to a watch: its `on_ready`, or a task.
//!
//! Not here: what is heard (`event`). Invariant: a watch keeps `run` going exactly while it has an
//! `on_ready`; a task that waits does so itself.

use crate::lua::class::object::{Object, Part};
use crate::lua::ffi::protected::catch_panic;
use crate::lua::ffi::stack::Stack;

/// Its `on_ready` was set or taken away.
pub(in crate::lua) fn handler_changed(stack: Stack, object: &Object, has: bool) {
    if let Part::Watch(part) = &object.part {
        part.has_handler.set(has);
        object.update(|script| script.keep_going(has));
        listeners_changed(stack, object);
    }
}

/// That, or a task has begun to wait, or does not any more.
pub(in crate::lua) fn listeners_changed(stack: Stack, object: &Object) {
    let Part::Watch(part) = &object.part else { return };
    let Some(hub) = object.state.hub().filter(|_| !object.state.is_forked()) else { return };
    let listens = part.has_handler.get() || object.watched.get();
    catch_panic(stack, || {
        if let Some(watch) = part.watch.borrow().as_ref() {
            watch.set_listening(hub, listens);
        }
    });
}
