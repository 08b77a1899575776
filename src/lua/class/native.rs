//! Functions over objects in safe mlua: how each is added, and how it answers.
//!
//! Not here: what they do; each subject has its own in a `native.rs`. Errors of the world are returned as
//! `nil, message, code`.

use std::rc::Rc;

use mlua::{AnyUserData, IntoLuaMulti, Lua, MultiValue, Table, Value};

use crate::error::{Code, Error};
use crate::lua::class::object::Object;
use crate::lua::run::state::State;

/// What a call answers that has no result of its own.
pub(in crate::lua) type Outcome = Result<(), Error>;

/// `true`, or `nil, message, code`.
pub(in crate::lua) fn answer(lua: &Lua, outcome: Outcome) -> mlua::Result<MultiValue> {
    match outcome {
        Ok(()) => true.into_lua_multi(lua),
        Err(error) => (Value::Nil, error.message(), error.code().as_str()).into_lua_multi(lua),
    }
}

/// Adds a function that only reads what the script's side has: it works in the child of a fork, too.
pub(in crate::lua) fn getter<R: IntoLuaMulti>(
    lua: &Lua,
    table: &Table,
    state: &Rc<State>,
    name: &str,
    body: impl Fn(&Object) -> R + 'static,
) -> mlua::Result<()> {
    let state = Rc::clone(state);
    let function = lua.create_function(move |lua, handle: AnyUserData| {
        match Object::of(&handle, lua, &state) {
            Some(object) => body(object).into_lua_multi(lua),
            None => answer(lua, Err(Error::new(Code::Closed, "the object is gone"))),
        }
    })?;
    table.set(name, function)
}

/// Adds a function over an object and the arguments behind it.
pub(in crate::lua) fn method<A, R>(
    lua: &Lua,
    table: &Table,
    state: &Rc<State>,
    name: &str,
    body: impl Fn(&Lua, &Object, A) -> mlua::Result<R> + 'static,
) -> mlua::Result<()>
where
    A: mlua::FromLuaMulti,
    R: IntoLuaMulti,
{
    let state = Rc::clone(state);
    let function =
        lua.create_function(move |lua, (handle, rest): (AnyUserData, mlua::Variadic<Value>)| {
            let Some(object) = Object::of(&handle, lua, &state) else {
                let dead = Error::new(Code::Closed, "the object is gone");
                return answer(lua, Err(dead));
            };
            if object.state.is_forked() {
                // Also where it only reads: a lock that the parent's thread held stays locked for ever here.
                return answer(lua, Err(State::forked()));
            }
            let rest = A::from_lua_multi(rest.into_iter().collect(), lua)?;
            body(lua, object, rest)?.into_lua_multi(lua)
        })?;
    table.set(name, function)
}
