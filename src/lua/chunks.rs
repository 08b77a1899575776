//! The Lua of the library, chunk by chunk.
//!
//! Not here: what calls them. Invariants: each is compiled when it is first asked for, since every
//! collection of the host's marks what is loaded; no script reaches one by `require` but the dialects.

use mlua::{Function, Lua};

/// By its name: a chunk's place in errors and tracebacks, and its text.
macro_rules! chunks {
    ($($name:literal from $file:literal,)*) => {
        &[$(($name, concat!("@evsock/", $name, ".lua"), include_str!($file)),)*]
    };
}

const CHUNKS: &[(&str, &str, &str)] = chunks! {
    "class/class" from "class/class.lua",
    "common" from "../dialects/common.lua",
    "hammerspoon" from "../dialects/hammerspoon/init.lua",
    "hammerspoon/connection" from "../dialects/hammerspoon/connection.lua",
    "hammerspoon/family_sockets" from "../dialects/hammerspoon/family_sockets.lua",
    "hammerspoon/info" from "../dialects/hammerspoon/info.lua",
    "hammerspoon/shared" from "../dialects/hammerspoon/shared.lua",
    "hammerspoon/sockaddr" from "../dialects/hammerspoon/sockaddr.lua",
    "hammerspoon/udp" from "../dialects/hammerspoon/udp.lua",
    "lines/lines" from "lines/lines.lua",
    "luasocket" from "../dialects/luasocket/init.lua",
    "luasocket/certificate" from "../dialects/luasocket/certificate.lua",
    "luasocket/context" from "../dialects/luasocket/context.lua",
    "luasocket/core" from "../dialects/luasocket/core.lua",
    "luasocket/dns" from "../dialects/luasocket/dns.lua",
    "luasocket/misc" from "../dialects/luasocket/misc.lua",
    "luasocket/options" from "../dialects/luasocket/options.lua",
    "luasocket/select" from "../dialects/luasocket/select.lua",
    "luasocket/shared" from "../dialects/luasocket/shared.lua",
    "luasocket/ssl" from "../dialects/luasocket/ssl.lua",
    "luasocket/stream" from "../dialects/luasocket/stream.lua",
    "luasocket/tcp" from "../dialects/luasocket/tcp.lua",
    "luasocket/udp" from "../dialects/luasocket/udp.lua",
    "luasocket/unix" from "../dialects/luasocket/unix.lua",
    "luasocket/unix_dgram" from "../dialects/luasocket/unix_dgram.lua",
    "lookup/lookup" from "lookup/lookup.lua",
    "module" from "module.lua",
    "options/advice" from "options/advice.lua",
    "options/forms" from "options/forms.lua",
    "options/options" from "options/options.lua",
    "options/tls" from "options/tls.lua",
    "options/values" from "options/values.lua",
    "pem" from "../dialects/pem.lua",
    "pharos" from "../dialects/pharos/init.lua",
    "pharos/constants" from "../dialects/pharos/constants.lua",
    "pharos/deferred" from "../dialects/pharos/deferred.lua",
    "pharos/server" from "../dialects/pharos/server.lua",
    "pharos/socket" from "../dialects/pharos/socket.lua",
    "pharos/ssl" from "../dialects/pharos/ssl.lua",
    "pharos/stream" from "../dialects/pharos/stream.lua",
    "pharos/udp" from "../dialects/pharos/udp.lua",
    "qsys" from "../dialects/qsys/init.lua",
    "qsys/credentials" from "../dialects/qsys/credentials.lua",
    "qsys/host" from "../dialects/qsys/host/init.lua",
    "qsys/host/bit32" from "../dialects/qsys/host/bit32.lua",
    "qsys/host/command" from "../dialects/qsys/host/command.lua",
    "qsys/host/controls" from "../dialects/qsys/host/controls.lua",
    "qsys/host/crypto" from "../dialects/qsys/host/crypto.lua",
    "qsys/host/definition" from "../dialects/qsys/host/definition.lua",
    "qsys/host/environment" from "../dialects/qsys/host/environment.lua",
    "qsys/host/globals" from "../dialects/qsys/host/globals.lua",
    "qsys/host/kinds" from "../dialects/qsys/host/kinds.lua",
    "qsys/host/panel" from "../dialects/qsys/host/panel.lua",
    "qsys/host/rapidjson" from "../dialects/qsys/host/rapidjson.lua",
    "qsys/host/world" from "../dialects/qsys/host/world.lua",
    "qsys/http" from "../dialects/qsys/http.lua",
    "qsys/server" from "../dialects/qsys/server.lua",
    "qsys/settings" from "../dialects/qsys/settings.lua",
    "qsys/socket" from "../dialects/qsys/socket.lua",
    "qsys/timer" from "../dialects/qsys/timer.lua",
    "qsys/tls" from "../dialects/qsys/tls.lua",
    "qsys/udp" from "../dialects/qsys/udp.lua",
    "qsys/url" from "../dialects/qsys/url.lua",
    "renoise" from "../dialects/renoise/init.lua",
    "renoise/osc" from "../dialects/renoise/osc.lua",
    "renoise/osc_values" from "../dialects/renoise/osc_values.lua",
    "renoise/shared" from "../dialects/renoise/shared.lua",
    "renoise/udp" from "../dialects/renoise/udp.lua",
    "run/loop" from "run/loop.lua",
    "run/objects" from "run/objects.lua",
    "run/stderr" from "run/stderr.lua",
    "run/trace" from "run/trace.lua",
    "run/unhandled" from "run/unhandled.lua",
    "server/server" from "server/server.lua",
    "socket/socket" from "socket/socket.lua",
    "task/condition" from "task/condition.lua",
    "task/coroutine" from "task/coroutine.lua",
    "task/scheduler" from "task/scheduler.lua",
    "task/socket_waits" from "task/socket_waits.lua",
    "task/stands" from "task/stands.lua",
    "task/takers" from "task/takers.lua",
    "task/task" from "task/task.lua",
    "task/wait" from "task/wait.lua",
    "task/waiters" from "task/waiters.lua",
    "testing" from "testing/testing.lua",
    "testing/clock" from "testing/clock.lua",
    "testing/device" from "testing/device.lua",
    "timer/timer" from "timer/timer.lua",
    "udp/udp" from "udp/udp.lua",
    "watch/watch" from "watch/watch.lua",
};

/// The dialects, and what tests are written with: `require "evsock.NAME"` runs the chunk NAME, with a dot for
/// each slash.
pub(super) const DIALECTS: &[&str] =
    &["hammerspoon", "luasocket", "pharos", "qsys", "qsys/host", "renoise", "testing"];

/// The chunk of that name, compiled.
///
/// # Errors
/// There is none, or memory is out.
pub(super) fn compile(lua: &Lua, name: &str) -> mlua::Result<Function> {
    let found = CHUNKS.iter().find(|(known, ..)| *known == name);
    let (_, place, text) =
        found.ok_or_else(|| mlua::Error::runtime(format!("evsock has no part '{name}'")))?;
    lua.load(for_this_lua(text).as_ref()).set_name(*place).into_function()
}

/// LuaJIT of the years before 2023 compiles a loop over `pairs` to code that never ends in a finaliser,
/// once a value is of another type than those it was compiled for. It knows such a loop by the name
/// `pairs`; under another name it calls the function, which is sound. Lines keep their numbers.
#[cfg(feature = "luajit")]
fn for_this_lua(text: &str) -> std::borrow::Cow<'_, str> {
    if text.contains(LOOP) {
        format!("local {CALLED} = pairs {}", text.replace(LOOP, &format!(" in {CALLED}("))).into()
    } else {
        text.into()
    }
}

#[cfg(not(feature = "luajit"))]
fn for_this_lua(text: &str) -> std::borrow::Cow<'_, str> {
    text.into()
}

/// How a loop over `pairs` is written.
#[cfg(feature = "luajit")]
const LOOP: &str = " in pairs(";
/// What it calls there; `spec/parts_spec.lua` sees to it that no file has anything of that name.
#[cfg(feature = "luajit")]
const CALLED: &str = "pairs_by_a_call";
