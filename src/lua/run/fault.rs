//! `require "evsock.fault"`: the tests' door to `sys::fault`. Only with the feature `fault`.
//!
//! `set{ cut=, again_every=, fail_at=, failure=, panic_at=, stumble_at= }` plans what goes wrong,
//! `set()` nothing; both return the record of what happened under the plan before. `failure` is
//! "panic" or the place among the typical errors of the call (from 1, the default).
//! The environment variable `EVSOCK_FAULT` sets a plan for whole test suites: "cut" (byte by byte,
//! but for large amounts, which would take too long) and "again", separated by a comma.

use std::time::Duration;

use mlua::{Lua, Table, Value};

use crate::reactor::fault::{self, Failure, Plan, Record};

/// Up to twice as much goes byte by byte.
const PART: usize = 16;

pub(in crate::lua) fn add(lua: &Lua, loaders: &Table) -> mlua::Result<()> {
    let wanted = std::env::var("EVSOCK_FAULT").unwrap_or_default();
    if !wanted.is_empty() {
        let has = |word| wanted.split(',').any(|other| other == word);
        let cut = if has("cut") { PART } else { 0 };
        let again_every = if has("again") { 3 } else { 0 };
        fault::set(Some(Plan { cut, again_every, ..Plan::default() }));
    }
    let open = lua.create_function(|lua, _: Value| module(lua))?;
    loaders.raw_set("evsock.fault", open)
}

fn module(lua: &Lua) -> mlua::Result<Table> {
    let table = lua.create_table()?;
    let set = |lua: &Lua, wanted: Option<Table>| {
        let plan = wanted.as_ref().map(plan).transpose()?;
        report(lua, &fault::set(plan))
    };
    table.set("set", lua.create_function(set)?)?;
    table.set("record", lua.create_function(|lua, ()| report(lua, &fault::record()))?)?;
    table.set("descriptors", lua.create_function(|_, ()| Ok(fault::descriptors()?))?)?;
    // Sleeps without pumping, so that the thread leads.
    let rest = |_: &Lua, seconds: f64| {
        std::thread::sleep(Duration::try_from_secs_f64(seconds).unwrap_or_default());
        Ok(())
    };
    table.set("rest", lua.create_function(rest)?)?;
    Ok(table)
}

fn plan(wanted: &Table) -> mlua::Result<Plan> {
    let count = |name: &str| Ok::<_, mlua::Error>(wanted.get::<Option<u64>>(name)?.unwrap_or(0));
    let failure = match wanted.get("failure")? {
        Value::String(text) if text == "panic" => Failure::Panic,
        Value::Integer(place) => Failure::Typical(usize::try_from(place).unwrap_or(1) - 1),
        _ => Failure::default(),
    };
    Ok(Plan {
        cut: wanted.get::<Option<usize>>("cut")?.unwrap_or_default(),
        again_every: count("again_every")?,
        fail_at: count("fail_at")?,
        failure,
        panic_at: count("panic_at")?,
        stumble_at: count("stumble_at")?,
    })
}

/// What happened: the counts, and the call that failed with its error.
fn report(lua: &Lua, record: &Record) -> mlua::Result<Table> {
    let table = lua.create_table()?;
    table.set("calls", record.calls)?;
    table.set("events", record.events)?;
    table.set("turns", record.turns)?;
    if let Some((call, error)) = record.failed {
        table.set("call", call)?;
        table.set("error", error)?;
        table.set("on_thread", record.on_thread)?;
    }
    Ok(table)
}
