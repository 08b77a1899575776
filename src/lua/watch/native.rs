//! Watches in safe mlua: beginning, looking, ending.
//!
//! Not here: checking arguments (`watch.lua` has done it), waiting.

use std::rc::Rc;

use mlua::{IntoLuaMulti, Lua, Table};

use crate::error::{Code, Error};
use crate::lua::class::native::{Outcome, answer, getter, method};
use crate::lua::class::object::{Object, Part};
use crate::lua::run::state::State;
use crate::lua::run::trace::tell;
use crate::net::watch::{Interest, Watch};
use crate::reactor::Descriptor;

/// Adds the functions to the table that the Lua files get.
pub(in crate::lua) fn add(lua: &Lua, table: &Table, state: &Rc<State>) -> mlua::Result<()> {
    method(lua, table, state, "watch_open", |lua, object, given: (i64, bool, bool)| {
        answer(lua, open(object, given))
    })?;
    // Whether it can be read, and written.
    method(lua, table, state, "watch_ready", |lua, object, (): ()| {
        let Part::Watch(part) = &object.part else { return answer(lua, Ok(())) };
        match part.ready() {
            Ok(ready) => ready.into_lua_multi(lua),
            Err(error) => answer(lua, Err(error)),
        }
    })?;
    method(lua, table, state, "watch_close", |_, object, (): ()| {
        if object.token.get().is_some() {
            tell(object, || "closed by the script".into());
        }
        object.let_go();
        object.notify_watchers();
        Ok(())
    })?;
    getter(lua, table, state, "watch_fd", |object| match &object.part {
        Part::Watch(part) => part.watch.borrow().as_ref().map(|watch| watch.descriptor()),
        _ => None,
    })
}

fn open(object: &Object, (number, reads, writes): (i64, bool, bool)) -> Outcome {
    let Part::Watch(part) = &object.part else { return Ok(()) };
    let hub = object.state.open()?;
    let Ok(fd) = Descriptor::try_from(number) else {
        let text = format!("watch {number}: this is no open descriptor");
        return Err(Error::new(Code::Invalid, text));
    };
    let interest = Interest::NONE.with(Interest::READ, reads).with(Interest::WRITE, writes);
    let watch = Watch::open(hub, fd, interest)?;
    let token = watch.token();
    part.watch.replace(Some(watch));
    part.began.set(object.state.now());
    object.attach(token);
    tell(object, || "watching".into());
    Ok(())
}
