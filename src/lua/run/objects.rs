//! The objects of a Lua state: which there are, what is known of each, and forgetting all work.
//!
//! Not here: what a script is told of them (`objects.lua`), tasks, which are Lua's alone. Invariants: each
//! object that has something events come from is listed once; one that is garbage is not brought back.

use std::ffi::c_int;
use std::rc::Rc;
use std::time::Instant;

use mlua::ffi::lua_State;
use mlua::{Lua, Table};

use crate::lua::class::anchor::{push_object, unregister_all};
use crate::lua::class::native::getter;
use crate::lua::class::object::{Object, Part};
use crate::lua::ffi::protected::catch_panic;
use crate::lua::ffi::sentinel::state_of;
use crate::lua::ffi::stack::{Function, Stack};
use crate::lua::run::defer::forget_places;
use crate::lua::run::state::State;
use crate::proto::script::ScriptState;

/// The functions that `objects.lua` uses.
pub(in crate::lua) const FUNCTIONS: &[(&str, Function)] =
    &[("abandon", abandon), ("forget_work", forget_work), ("live", live)];

/// `abandon(object)`: closes it; no event comes any more.
extern "C-unwind" fn abandon(state: *mut lua_State) -> c_int {
    let stack = Stack::of(state);
    let Some(object) = Object::at(stack, 1) else { return 0 };
    unregister_all(stack, object);
    catch_panic(stack, || {
        object.let_go();
        if let Some(part) = object.socket().filter(|_| !object.state.is_forked()) {
            part.clear(object);
            object.update(ScriptState::abandon);
        }
    });
    0
}

/// `live()`: a list of all objects that events can come for.
extern "C-unwind" fn live(state: *mut lua_State) -> c_int {
    let stack = Stack::of(state);
    let state = state_of(stack);
    stack.set_top(0);
    let references = state.references.get();
    stack.push_reference(references.objects);
    stack.push_reference(references.anchors);
    stack.new_table();
    let mut count = 0;
    for slot in 0..state.slots() {
        let name = Object::behind(state.slot(slot)).and_then(Object::name);
        if name.is_none_or(|name| name.slot != slot) {
            continue;
        }
        push_object(stack, 1, 2, slot);
        if Object::at(stack, 4).is_some() {
            count += 1;
            stack.raw_set_at(3, count);
        }
        stack.set_top(3);
    }
    1
}

/// `forget_work()`: nothing that was queued is dispatched.
extern "C-unwind" fn forget_work(state: *mut lua_State) -> c_int {
    let stack = Stack::of(state);
    let state = state_of(stack);
    forget_places(stack, state, &state.queue.clear());
    0
}

/// Adds the functions in safe mlua.
pub(in crate::lua) fn add(lua: &Lua, table: &Table, state: &Rc<State>) -> mlua::Result<()> {
    // Its number, for how long it has been there, whether `run` goes on for it, whether it is one of
    // ours that no script made, and of a timer: the seconds until it is due and its period.
    getter(lua, table, state, "object_facts", |object| {
        let number = object.name().map(|token| token.generation.get());
        let (is_hidden, due, period) = match &object.part {
            Part::Timer(part) => {
                let left = (part.due.get() - object.state.now()).max(0.0);
                let period = part.repeats.get().then(|| part.period.get());
                (part.background.get(), Some(left), period)
            }
            Part::Question(_) => (true, None, None),
            _ => (false, None, None),
        };
        (number, age(object), object.script().is_active(), is_hidden, due, period)
    })
}

/// Of a connection: since it stands or, before, since its attempt began.
fn age(object: &Object) -> f64 {
    let hub_now = || object.state.hub().map_or_else(Instant::now, |hub| hub.now());
    let since = |at: Instant| hub_now().saturating_duration_since(at).as_secs_f64();
    let now = object.state.now();
    let age = match &object.part {
        Part::Socket(part) => {
            let stream = part.stream.borrow();
            let opened = object.script().opened().map(|at| now - at.as_secs_f64());
            // A pause has its end in place of a beginning.
            let begun = || stream.as_ref().map(|stream| since(stream.begun()));
            opened.or_else(begun).unwrap_or_default()
        }
        Part::Datagram(part) => part.borrow().as_ref().map_or(0.0, |it| since(it.opened())),
        Part::Timer(part) => now - (part.due.get() - part.period.get()),
        Part::Server(part) => now - part.began.get(),
        Part::Watch(part) => now - part.began.get(),
        Part::Question(_) => 0.0,
    };
    age.max(0.0)
}
