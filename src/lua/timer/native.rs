//! Timers in safe mlua: starting and cancelling.
//!
//! Not here: checking arguments (Lua has done it), what happens when one is due (`event`).

use std::rc::Rc;

use mlua::{Lua, Table};

use crate::lua::class::native::{Outcome, answer, getter, method};
use crate::lua::class::object::{Object, Part, TimerPart};
use crate::lua::run::state::State;
use crate::lua::run::trace::tell;
use crate::net::timer::Timer;

/// Adds the functions to the table that the Lua files get.
pub(in crate::lua) fn add(lua: &Lua, table: &Table, state: &Rc<State>) -> mlua::Result<()> {
    method(lua, table, state, "timer_start", |lua, object, (after, repeats): (f64, bool)| {
        let Part::Timer(part) = &object.part else { return answer(lua, Ok(())) };
        answer(lua, start(object, part, after, repeats))
    })?;
    method(lua, table, state, "timer_cancel", |_, object, (): ()| {
        if object.token.get().is_some() && !is_hidden(object) {
            tell(object, || "canceled by the script".into());
        }
        object.let_go();
        object.notify_watchers();
        Ok(())
    })?;
    getter(lua, table, state, "timer_active", |object| object.token.get().is_some())
}

fn start(object: &Object, part: &TimerPart, after: f64, repeats: bool) -> Outcome {
    let state = &*object.state;
    if state.is_forked() {
        return Err(State::forked());
    }
    let hub = state.open()?;
    object.let_go();
    let due = state.now() + after;
    part.due.set(due);
    part.period.set(after);
    part.repeats.set(repeats);
    // Zero seconds are due now, whatever the clock has done since.
    let now = hub.now();
    let at = if after > 0.0 { state.moment(due) } else { now };
    let timer = Timer::start(hub, at, now);
    let token = timer.token();
    part.timer.replace(Some(timer));
    object.attach(token);
    if !part.background.get() {
        let how = if repeats { "due every" } else { "due in" };
        tell(object, || format!("{how} {after} s"));
    }
    Ok(())
}

/// Whether no script has made it.
fn is_hidden(object: &Object) -> bool {
    matches!(&object.part, Part::Timer(part) if part.background.get())
}
