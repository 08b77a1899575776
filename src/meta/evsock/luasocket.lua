---@meta evsock.luasocket
-- Not `error`: editors would take what is behind it for dead code.
assert(false, "src/meta/evsock/luasocket.lua is for editors only; the module is in evsock.so")

--- LuaSocket's `socket.core` and `socket.unix` and LuaSec's `ssl` for programs and libraries that
--- know those: a call that waits suspends the task that makes it; elsewhere it pumps. LuaSocket's
--- own Lua files (`socket`, `socket.http` and so on) run on top, where they are installed.
---@class evsock.luasocket
---@field core table the module `socket.core`
---@field unix table the module `socket.unix`
---@field ssl table the module `ssl`
local luasocket = {}

--- Puts the modules in `package.loaded`, so that `require "socket"` and what builds on it get them.
--- Call it first: if LuaSocket was loaded before, its own modules that are loaded are taken out, to
--- be loaded anew, but what a program holds in its variables goes on using the other.
--- In coroutines of a task's own calls suspend the task if these are made by `evsock.coroutine`;
--- for libraries that make some, call `evsock.adopt()`, too.
---
--- `require("evsock.luasocket").install()`
---@param loaded? table in place of `package.loaded`
---@return evsock.luasocket module
function luasocket.install(loaded) end

return luasocket
