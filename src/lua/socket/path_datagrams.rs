//! Sockets for datagrams by a path, as a dialect holds them: in safe mlua, and not an object of a class.
//!
//! Not here: waiting, and what programs see (`dialects/luasocket/unix_dgram.lua`). Arguments were checked.

use mlua::{AnyUserData, IntoLuaMulti, Lua, LuaString, MultiValue, Table, UserData, Value};

use crate::error::Error;
use crate::lua::class::native::{Outcome, answer};
use crate::net::path_datagram::{PathDatagram, Received};

struct Held(PathDatagram);

impl UserData for Held {}

/// Adds the functions to a table that dialects get.
pub(in crate::lua) fn add(lua: &Lua, table: &Table) -> mlua::Result<()> {
    let new = |lua: &Lua, (): ()| match PathDatagram::new() {
        Ok(made) => lua.create_userdata(Held(made))?.into_lua_multi(lua),
        Err(error) => failed(lua, &error),
    };
    table.set("path_datagram", lua.create_function(new)?)?;
    change(lua, table, "path_datagram_bind", PathDatagram::bind)?;
    change(lua, table, "path_datagram_connect", |held, path| held.connect(path))?;
    // `(held, data, path or nil)`: true, or false if there is no room now.
    let send = |lua: &Lua, (held, data, path): (AnyUserData, LuaString, Option<LuaString>)| {
        let path = path.map(|path| path.as_bytes().to_vec());
        match held.borrow::<Held>()?.0.send(&data.as_bytes(), path.as_deref()) {
            Ok(sent) => sent.into_lua_multi(lua),
            Err(error) => failed(lua, &error),
        }
    };
    table.set("path_datagram_send", lua.create_function(send)?)?;
    // `(held, size)`: data and its sender's path, or false if none has come.
    let receive = |lua: &Lua, (held, most): (AnyUserData, usize)| match held
        .borrow::<Held>()?
        .0
        .receive(most)
    {
        Ok(Received::Again) => false.into_lua_multi(lua),
        Ok(Received::From(data, path)) => {
            (lua.create_string(data)?, lua.create_string(path)?).into_lua_multi(lua)
        }
        Err(error) => failed(lua, &error),
    };
    table.set("path_datagram_receive", lua.create_function(receive)?)?;
    let descriptor = |_: &Lua, held: AnyUserData| Ok(held.borrow::<Held>()?.0.descriptor());
    table.set("path_datagram_fd", lua.create_function(descriptor)?)?;
    let close = |_: &Lua, held: AnyUserData| {
        held.borrow_mut::<Held>()?.0.close();
        Ok(())
    };
    table.set("path_datagram_close", lua.create_function(close)?)
}

fn change(
    lua: &Lua,
    table: &Table,
    name: &str,
    body: impl Fn(&mut PathDatagram, &[u8]) -> Outcome + 'static,
) -> mlua::Result<()> {
    let call = move |lua: &Lua, (held, path): (AnyUserData, LuaString)| {
        answer(lua, body(&mut held.borrow_mut::<Held>()?.0, &path.as_bytes()))
    };
    table.set(name, lua.create_function(call)?)
}

fn failed(lua: &Lua, error: &Error) -> mlua::Result<MultiValue> {
    (Value::Nil, error.message(), error.code().as_str()).into_lua_multi(lua)
}
