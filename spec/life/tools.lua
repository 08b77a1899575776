-- What the specs of life and death share: C programs and modules for the running Lua, and the
-- beginning of every child. Not here: anything that only one spec needs.

local helper = require "spec.helper"

local tools = {}

-- What the children begin with. `link` makes a connected pair, `echoes` says whether a pair works.
local PRELUDE = [[
    local shared = require "spec.child"
    local contents, wait_until = shared.read_file, shared.wait_until
    local pid = contents("/proc/self/stat"):match("^%d+")
    local function link(evsock, options, server_options)
        return shared.link(evsock, options, server_options or { on_data = function() end })
    end
    local function echoes(evsock, client, peer)
        client:write("there")
        wait_until(evsock, "bytes there", function() return peer.buffered == 5 end)
        peer:write((assert(peer:read()):gsub("there", "and back")))
        wait_until(evsock, "bytes back", function() return client.buffered == 8 end)
        return client:read() == "and back"
    end
]]

--- Runs a script behind the prelude in an interpreter of its own, as `helper.run` does.
function tools.child(script, interpreter, setup)
    return helper.run(PRELUDE .. script, interpreter, setup)
end

local function compiled(source, target, flags)
    helper.unix_only("a C compiler at run time")
    local folder = target:match("^(.*)/")
    -- By way of rename: another suite may be about to use it.
    local command = "mkdir -p %s && gcc -O2 -Wall -Werror -o %s.$$ spec/programs/%s.c %s 2>&1"
        .. " && mv %s.$$ %s; echo [$?]"
    local pipe = assert(io.popen(command:format(folder, target, source, flags, target, target)))
    local said = pipe:read("*a")
    pipe:close()
    assert(said:match("%[0%]%s*$"), said)
    return target
end

--- Compiles a host: a program that has the running Lua in it.
function tools.host(source)
    return compiled(source, ("build/tools/%s/%s"):format(helper.lua_name, source),
        helper.host_flags)
end

--- Compiles a C module and puts it where the children find it.
function tools.module(source)
    local folder = "build/tools/" .. helper.lua_name
    local path = "./" .. folder .. "/?.so;"
    compiled(source, ("%s/%s.so"):format(folder, source), "-shared -fPIC " .. helper.module_flags)
    if package.cpath:sub(1, #path) ~= path then
        package.cpath = path .. package.cpath
    end
end

local function preload(source)
    local path = compiled(source, ("build/tools/%s.so"):format(source), "-shared -fPIC")
    return "export LD_PRELOAD=$PWD/" .. path
end

--- Shell text after which every name "slow…" takes three seconds to be looked up in vain.
function tools.slow_names()
    return preload "late_names"
end

--- Shell text after which threads take their time.
function tools.slow_threads()
    return preload "late_threads"
end

return tools
