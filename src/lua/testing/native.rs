//! The clock of a test in safe mlua: holding it, moving it, giving it back.
//!
//! Not here: what a wait does meanwhile (`run::settle`), the clock itself (`net::clock`).

use std::rc::Rc;
use std::time::{Duration, Instant};

use mlua::{Lua, Table};

use crate::error::Error;
use crate::limits;
use crate::lua::class::native::answer;
use crate::lua::run::settle::{change_mode, is_busy, move_to};
use crate::lua::run::state::State;
use crate::lua::run::test_clock::Mode;

/// Adds the functions to the table that the Lua files get.
pub(in crate::lua) fn add(lua: &Lua, table: &Table, state: &Rc<State>) -> mlua::Result<()> {
    let own = Rc::clone(state);
    table.set("clock_hold", lua.create_function(move |lua, ()| answer(lua, hold(&own)))?)?;
    let own = Rc::clone(state);
    let release = move |_: &Lua, ()| {
        change_mode(&own, || {
            own.test_clock.mode.set(Mode::Real);
            if let Some(hub) = own.hub() {
                hub.clock.release();
                // Whoever sleeps has no timer to wake for.
                hub.wake.wake();
            }
        });
        Ok(())
    };
    table.set("clock_release", lua.create_function(release)?)?;
    let own = Rc::clone(state);
    let auto = move |_: &Lua, moves: bool| {
        let mode = if moves { Mode::Auto } else { Mode::Held };
        change_mode(&own, || own.test_clock.mode.set(mode));
        Ok(())
    };
    table.set("clock_auto", lua.create_function(auto)?)?;
    let own = Rc::clone(state);
    let grace = move |_: &Lua, seconds: Option<f64>| {
        let seconds = seconds.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
        own.test_clock.grace.set(seconds.map_or(limits::GRACE, |s| s.min(limits::HELD_WAIT)));
        Ok(())
    };
    table.set("clock_grace", lua.create_function(grace)?)?;
    let own = Rc::clone(state);
    table.set("clock_step", lua.create_function(move |_, to| Ok(step(&own, to)))?)?;
    let own = Rc::clone(state);
    // Whether there is work, or comes: a pump is due before the clock goes on.
    let settled = move |_: &Lua, ()| {
        Ok(own.with_reactor(|reactor| is_busy(&own, reactor)).unwrap_or_default())
    };
    table.set("clock_settle", lua.create_function(settled)?)?;
    let own = Rc::clone(state);
    // Waits for events in real time, whatever the clock does.
    let pause = move |_: &Lua, seconds: f64| {
        let time = Duration::try_from_secs_f64(seconds).unwrap_or_default().min(limits::HELD_WAIT);
        let now = Instant::now();
        own.with_reactor(|reactor| reactor.wait(now, now + time, Duration::ZERO, &|| false));
        Ok(())
    };
    table.set("clock_pause", lua.create_function(pause)?)?;
    let own = Rc::clone(state);
    table.set("real_now", lua.create_function(move |_, ()| Ok(own.real_now()))?)
}

fn hold(state: &State) -> Result<(), Error> {
    if state.is_forked() {
        return Err(State::forked());
    }
    let hub = state.open()?;
    change_mode(state, || {
        hub.clock.hold(state.next_step());
        state.test_clock.mode.set(Mode::Held);
    });
    state.test_clock.begin_moment();
    Ok(())
}

/// Moves the clock to the next timer, if that is due by then, else to `to`, seconds of `State::now`; to the
/// next timer if `to` is nil. Whether a timer was due.
fn step(state: &State, to: Option<f64>) -> bool {
    let moved = state.with_reactor(|reactor| {
        let hub = reactor.hub();
        let (next, to) = (hub.next_timer(), to.map(|to| state.moment(to)));
        match (next, to) {
            (Some(next), to) if to.is_none_or(|to| next <= to) => {
                move_to(state, reactor, next);
                true
            }
            (_, Some(to)) => {
                move_to(state, reactor, to);
                false
            }
            (_, None) => false,
        }
    });
    moved.unwrap_or_default()
}
