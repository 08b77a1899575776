//! Digests for dialects, in safe mlua.
//!
//! Not here: the digests (`digest`). A name that is not known gives nil.

use mlua::{Lua, LuaString, Table};

use crate::digest::Digest;

/// Adds the functions to the table that the Lua files get.
pub(in crate::lua) fn add(lua: &Lua, table: &Table) -> mlua::Result<()> {
    // `digest(name, data)`: the bytes.
    let digest = |lua: &Lua, (name, data): (LuaString, LuaString)| {
        let digest = Digest::of_name(&name.as_bytes());
        digest.map(|digest| lua.create_string(digest.of(&data.as_bytes()))).transpose()
    };
    table.set("digest", lua.create_function(digest)?)?;
    // `hmac(name, key, data)`: the bytes.
    let hmac = |lua: &Lua, (name, key, data): (LuaString, LuaString, LuaString)| {
        let digest = Digest::of_name(&name.as_bytes());
        let keyed = |digest: Digest| digest.keyed(&key.as_bytes(), &data.as_bytes());
        digest.map(|digest| lua.create_string(keyed(digest))).transpose()
    };
    table.set("hmac", lua.create_function(hmac)?)
}
