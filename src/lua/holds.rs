//! What a dialect's objects hold besides their connections.
//!
//! Not here: how long (`raw::object`).

use std::rc::Rc;

use mlua::{IntoLuaMulti, Lua, Table, Value};

use crate::lua::native::{answer, method};
use crate::lua::raw::object::Part;
use crate::lua::settings::bind;
use crate::lua::state::State;
use crate::net::reserve::Reserved;

/// Adds the functions to the table that `core.lua` gets.
pub(super) fn add(lua: &Lua, table: &Table, state: &Rc<State>) -> mlua::Result<()> {
    method(lua, table, state, "server_keeps", |_, object, (): ()| {
        if let Part::Server(part) = &object.part {
            part.keeps.set(true);
        }
        Ok(())
    })?;
    method(lua, table, state, "reserve", |lua, object, (address, port): (Value, u16)| {
        if object.state.is_forked() {
            return answer(lua, Err(State::forked()));
        }
        let Some(address) = bind(&address, Some(port.into())) else {
            return answer(lua, Ok(()));
        };
        match Reserved::new(address) {
            Ok(reserved) => {
                let taken = reserved.port();
                object.state.hold_port(object, reserved);
                taken.into_lua_multi(lua)
            }
            Err(error) => answer(lua, Err(error)),
        }
    })
}
