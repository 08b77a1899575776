//! Functions of the module in safe mlua: what is active, the descriptor for foreign loops.
//!
//! Not here: the pump (`pump`).

use std::rc::Rc;

use mlua::{IntoLuaMulti, Lua, Table, Value};

use crate::error::Error;
use crate::lua::class::native::answer;
use crate::lua::run::settle::{seconds_left, wait_now};
use crate::lua::run::state::State;
use crate::reactor::Descriptor;

/// Adds the functions to the table that the Lua files get.
pub(in crate::lua) fn add(lua: &Lua, table: &Table, state: &Rc<State>) -> mlua::Result<()> {
    let own = Rc::clone(state);
    let waited = move |_: &Lua, ()| Ok(wait_now(&own).as_secs_f64());
    table.set("wait_now", lua.create_function(waited)?)?;
    let own = Rc::clone(state);
    let left = move |_: &Lua, deadline: f64| Ok(seconds_left(deadline, &own));
    table.set("left_until", lua.create_function(left)?)?;
    let own = Rc::clone(state);
    table.set("active", lua.create_function(move |_, ()| Ok(own.active()))?)?;
    let own = Rc::clone(state);
    let pollfd = move |lua: &Lua, _: mlua::Variadic<Value>| match pollfd(&own) {
        Ok(fd) => fd.into_lua_multi(lua),
        Err(error) => answer(lua, Err(error)),
    };
    table.set("pollfd", lua.create_function(pollfd)?)?;
    let own = Rc::clone(state);
    // Timers are fired by the thread once there is a descriptor, so nothing else is due.
    let due = move |_: &Lua, _: mlua::Variadic<Value>| {
        let waits = own.queue.has_work() || own.hub().is_some_and(|hub| hub.waiting() > 0);
        Ok(waits.then_some(0))
    };
    table.set("timeout", lua.create_function(due)?)?;
    let own = Rc::clone(state);
    let spin = move |_: &Lua, new: Option<f64>| {
        if let Some(new) = new {
            own.spin.set(new);
        }
        Ok(own.spin.get())
    };
    table.set("spin", lua.create_function(spin)?)?;
    let own = Rc::clone(state);
    let stop = move |_: &Lua, stop: bool| {
        own.stopping.set(stop);
        Ok(())
    };
    table.set("stop", lua.create_function(stop)?)?;
    let own = Rc::clone(state);
    table.set("stopping", lua.create_function(move |_, ()| Ok(own.stopping.get()))?)
}

fn pollfd(state: &State) -> Result<Descriptor, Error> {
    if state.is_forked() {
        return Err(State::forked());
    }
    state.open()?;
    let fd =
        state.with_reactor(crate::reactor::Reactor::bell).unwrap_or_else(|| Err(State::gone()))?;
    state.ring();
    Ok(fd)
}
