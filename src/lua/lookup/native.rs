//! Questions in safe mlua: asking, and taking the answer.
//!
//! Not here: waiting (`lookup.lua`), the lookup itself (`net::question`).

use std::net::SocketAddr;
use std::rc::Rc;

use mlua::{BString, IntoLua, IntoLuaMulti, Lua, MultiValue, Table, Value};

use crate::address::{Address, Literal};
use crate::error::{Code, Error, Result};
use crate::lua::class::native::{answer, method};
use crate::lua::class::object::{Object, Part};
use crate::lua::run::state::State;
use crate::net::question::{self, Answer, Question};
use crate::quote::shown;
use crate::sync::Arc;

/// Adds the functions to the table that the Lua files get.
pub(in crate::lua) fn add(lua: &Lua, table: &Table, state: &Rc<State>) -> mlua::Result<()> {
    // The answer if it is known, false if the question is asked, or nil, message, code.
    method(lua, table, state, "resolve", |lua, object, name: mlua::LuaString| {
        let name = name.as_bytes();
        let asked = match question::known(&name) {
            Ok(Some(found)) => return told(lua, Ok(Answer::Addresses(found)), "resolve", &name),
            Ok(None) => object
                .state
                .open()
                .and_then(|hub| Question::about_name(hub, &String::from_utf8_lossy(&name))),
            Err(error) => Err(error),
        };
        begun(lua, object, asked, "resolve", &name)
    })?;
    method(lua, table, state, "reverse", |lua, object, address: mlua::LuaString| {
        let address = address.as_bytes();
        let literal = Literal::read(&address)
            .ok_or_else(|| Error::new(Code::BadHost, "this is no numeric address"));
        let asked =
            literal.and_then(|literal| Question::about_address(object.state.open()?, &literal));
        begun(lua, object, asked, "reverse", &address)
    })?;
    // The same once it has come; nothing before. `call` and `asked` are for messages.
    method(lua, table, state, "answer", |lua, object, given: (String, mlua::LuaString)| {
        let (call, asked) = given;
        let Part::Question(part) = &object.part else { return ().into_lua_multi(lua) };
        let found = part.borrow().as_ref().and_then(|question| question.take());
        match found {
            Some(found) => told(lua, found, &call, &asked.as_bytes()),
            None => false.into_lua_multi(lua),
        }
    })
}

fn begun(
    lua: &Lua,
    object: &Object,
    asked: Result<Arc<Question>>,
    call: &str,
    about: &[u8],
) -> mlua::Result<MultiValue> {
    let Part::Question(part) = &object.part else { return answer(lua, Ok(())) };
    match asked {
        Ok(question) => {
            let token = question.token();
            part.replace(Some(question));
            object.attach(token);
            false.into_lua_multi(lua)
        }
        Err(error) => told(lua, Err(error), call, about),
    }
}

/// A list of addresses, a name, or nil, message, code.
fn told(lua: &Lua, found: Result<Answer>, call: &str, about: &[u8]) -> mlua::Result<MultiValue> {
    match found {
        Ok(Answer::Addresses(addresses)) => {
            let list = lua.create_table_with_capacity(addresses.len(), 0)?;
            for address in addresses {
                list.push(row(lua, address)?)?;
            }
            list.into_lua_multi(lua)
        }
        Ok(Answer::Name(name)) => name.into_lua_multi(lua),
        Err(error) => {
            let message = format!("{call} {}: {}", shown(about), error.message());
            (Value::Nil, message, error.code().as_str()).into_lua_multi(lua)
        }
    }
}

fn row(lua: &Lua, address: SocketAddr) -> mlua::Result<Value> {
    let row = lua.create_table_with_capacity(0, 2)?;
    row.set("address", BString::from(Address::Ip(address).host()))?;
    row.set("family", if address.is_ipv6() { "inet6" } else { "inet" })?;
    row.into_lua(lua)
}
