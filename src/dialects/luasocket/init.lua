-- LuaSocket: `socket.core`, `socket.unix` and LuaSec's `ssl`, as programs know them.
--
-- Translation only. LuaSocket's own Lua files (`socket`, `socket.http`, `ltn12` and so on) are not
-- here: where they are installed they run on top. A call that waits suspends the task that makes
-- it, or a coroutine of that task's by `evsock.coroutine`; elsewhere it pumps.

local _, core = ...
local common = core.common

-- What keeps a module of the C library that was loaded before; what these hold of it they would go
-- on using. `socket.url`, `ltn12` and `mime` hold nothing of it.
local HOLDERS = {
    "socket", "socket.ftp", "socket.http", "socket.smtp", "socket.tp", "ssl", "ssl.https",
}

local luasocket = {}

-- Each is loaded when it is first asked for; the same table every time.
local modules = {}
setmetatable(luasocket, {
    __index = function(_, name)
        local load = modules[name]
        if load then
            local module = load()
            rawset(luasocket, name, module)
            return module
        end
    end,
})

function modules.core()
    return core.part "luasocket/core"
end

function modules.unix()
    return core.part "luasocket/unix"
end

function modules.ssl()
    return core.part "luasocket/ssl"
end

-- Module of the program to ours.
local names = { ["socket.core"] = "core", ["socket.unix"] = "unix", ssl = "ssl" }

-- Puts the modules in `package.loaded`, or in the table that is given in its place. Where others
-- stand, those that hold something of them are taken out, so that the next `require` loads them
-- anew; what a program has in its variables stays what it was.
function luasocket.install(loaded)
    if loaded == nil then
        loaded = package.loaded
    elseif type(loaded) ~= "table" then
        common.bad("loaded", "install", "table", loaded)
    end
    local is_new = false
    for name, ours in pairs(names) do
        is_new = is_new or rawget(loaded, name) ~= luasocket[ours]
    end
    if is_new then
        for _, name in ipairs(HOLDERS) do
            loaded[name] = nil
        end
        for name, ours in pairs(names) do
            loaded[name] = luasocket[ours]
        end
    end
    return luasocket
end

return luasocket
