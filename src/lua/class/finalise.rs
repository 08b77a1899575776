//! The end of an object: the collector calls `collect`, a script can only call `retire`.
//!
//! Invariants: scripts never get the metatable that has `collect`; they see a copy that has `retire` in its
//! place. So `collect` always runs before the block is freed, and once. An object that was retired is
//! refused like one that was collected, but its parts stay, because code that was using it may be further
//! down the stack.

use std::ffi::c_int;

use mlua::ffi;

use crate::lua::class::anchor::{unregister, unregister_all};
use crate::lua::class::object::{Object, Part};
use crate::lua::ffi::stack::Stack;
use crate::proto::script::ScriptState;

/// `__gc`: the object is closed silently.
pub(in crate::lua) extern "C-unwind" fn collect(state: *mut ffi::lua_State) -> c_int {
    let stack = Stack::of(state);
    let found = Object::at(stack, 1).or_else(|| Object::retired_at(stack, 1));
    let Some(object) = found else { return 0 };
    release(stack, object);
    object.end_block();
    0
}

/// The `__gc` that scripts find. For them it does the same.
pub(in crate::lua) extern "C-unwind" fn retire(state: *mut ffi::lua_State) -> c_int {
    let stack = Stack::of(state);
    if let Some(object) = Object::at(stack, 1) {
        release(stack, object);
        object.retire();
    }
    0
}

fn release(stack: Stack, object: &Object) {
    // Otherwise what its handlers reach would live until another object gets the slot.
    unregister_all(stack, object);
    if let Some(token) = object.token.get() {
        object.leave_slot(token);
    }
    if object.has_deferred.get() {
        object.state.queue.forget_deferred(object.pointer());
    }
    object.let_go();
    if let Some(part) = object.socket() {
        part.commit_batch(object);
    }
    release_sockets(stack, object);
}

/// The sockets that die with a server are released, without an event.
fn release_sockets(stack: Stack, server: &Object) {
    if !matches!(&server.part, Part::Server(part) if part.sockets_die_with_it.get()) {
        return;
    }
    for slot in 0..server.state.slots() {
        let Some(child) = Object::behind(server.state.slot(slot)) else { continue };
        if !child.dies_with_server.get() || child.server_id.get() != server.server_id.get() {
            continue;
        }
        child.dies_with_server.set(false);
        let token = child.token.get();
        child.let_go();
        child.update(ScriptState::discard);
        if let Some(token) = token {
            unregister(stack, child, token);
        }
    }
}
