//! The end of an object: by the collector, or by the script's hand.
//!
//! Invariants: the metatable with `collect` is never handed out: what scripts see is a copy with
//! `retire`, so the collector always comes here before the block is freed. An object that was retired
//! is refused like one that was collected, but its parts stay: whoever was about to use it when a
//! finaliser or a handler called `retire` still may.

use std::ffi::c_int;

use mlua::ffi;

use super::anchor::{unbind, unbind_all};
use super::object::{Object, Part, RETIRED, View};
use super::stack::Stack;

/// `__gc`: the object is closed silently.
pub(in crate::lua) extern "C-unwind" fn collect(state: *mut ffi::lua_State) -> c_int {
    let stack = Stack::of(state);
    let found = Object::at(stack, 1).or_else(|| Object::retired_at(stack, 1));
    let Some(object) = found else { return 0 };
    release(stack, object);
    let block = std::ptr::from_ref(object).cast_mut();
    // SAFETY: finalisers run once on a live block; nothing refers to it any more.
    unsafe { block.drop_in_place() };
    // SAFETY: the memory is Lua's until this returns; the number marks the block as dead.
    unsafe { (&raw mut (*block).magic).cast::<u32>().write(0) };
    0
}

/// The `__gc` that scripts find: the same for their eyes.
pub(in crate::lua) extern "C-unwind" fn retire(state: *mut ffi::lua_State) -> c_int {
    let stack = Stack::of(state);
    if let Some(object) = Object::at(stack, 1) {
        release(stack, object);
        object.magic.set(RETIRED);
    }
    0
}

fn release(stack: Stack, object: &Object) {
    // What its handlers reach must not wait for the next object in its slot.
    unbind_all(stack, object);
    if let Some(token) = object.token.get() {
        object.state.vacate(token, object);
    }
    if object.noted.get() {
        object.state.forget_notes(object);
    }
    object.let_go();
    if let Some(part) = object.socket() {
        part.catch_up(object);
    }
    take_along(stack, object);
}

/// The sockets that die with a server are released, without an event.
fn take_along(stack: Stack, server: &Object) {
    if !matches!(&server.part, Part::Server(part) if part.keeps.get()) {
        return;
    }
    let places = server.state.slots.borrow().len();
    for slot in 0..places {
        let place = server.state.slots.borrow().get(slot).copied();
        let Some(child) = place.and_then(Object::in_slot) else { continue };
        if !child.kept.get() || child.house.get() != server.house.get() {
            continue;
        }
        child.kept.set(false);
        let token = child.token.get();
        child.let_go();
        child.view.set(View::Idle);
        child.ends_one();
        if let Some(token) = token {
            unbind(stack, child, token);
        }
    }
}
