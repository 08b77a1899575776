//! What `options.lua` asks about hosts and addresses, and how they are shown in messages.
//!
//! Not here: what may be given (`options.lua`), the reading itself (`address`).

use mlua::{Lua, Table};

use crate::address::{self, Literal};
use crate::net::target;
use crate::quote::shown;

/// Adds the functions to the table that the Lua files get.
pub(in crate::lua) fn add(lua: &Lua, table: &Table) -> mlua::Result<()> {
    let numeric = |_: &Lua, text: mlua::LuaString| Ok(Literal::read(&text.as_bytes()).is_some());
    let quote = |_: &Lua, text: mlua::LuaString| Ok(shown(&text.as_bytes()));
    table.set("shown", lua.create_function(quote)?)?;
    // A numeric address as it is told, whatever way it was written; nil for what is none.
    let told = |_: &Lua, host: mlua::LuaString| {
        Ok(address::told(&host.as_bytes()).map(mlua::BString::from))
    };
    table.set("told", lua.create_function(told)?)?;
    // "host:port" for messages; the port may be nil.
    let display = |_: &Lua, (host, port): (mlua::LuaString, Option<u16>)| {
        Ok(address::display(&host.as_bytes(), port))
    };
    table.set("display", lua.create_function(display)?)?;
    // The number of the interface of an address, or 0; and the name of such a number.
    let zone = |_: &Lua, host: mlua::LuaString| {
        Ok(Literal::read(&host.as_bytes()).map_or(0, |literal| literal.zone()))
    };
    table.set("zone", lua.create_function(zone)?)?;
    table.set("zone_name", lua.create_function(|_, number| Ok(address::zone_name(number)))?)?;
    // What is wrong with a host that holds its port, or nil.
    let misplaced = |_: &Lua, host: mlua::LuaString| {
        let host = host.as_bytes();
        let within = address::port_within(&host);
        Ok(within.map(|(name, port)| target::misplaced(name, port)))
    };
    table.set("misplaced_port", lua.create_function(misplaced)?)?;
    table.set("is_numeric", lua.create_function(numeric)?)
}
