-- Programs that are written for LuaSocket (`spec/programs/luasocket`), in child interpreters
-- beside the pump: on the dialect in a task and outside of any. Where EVSOCK_LUASOCKET is
-- "debian" they run on LuaSocket itself instead, which shows that the programs and their peers
-- are right.

local helper = require "spec.helper"
local peers = require "spec.peers.openssl"
local program = require "spec.peers.program"

local programs = {}

local real = os.getenv("EVSOCK_LUASOCKET") == "debian"

--- What `start.lua` knows, and how a test says it.
programs.kinds = real and { { "debian", "on LuaSocket itself" } }
    or { { "task", "in a task" }, { "plain", "outside of tasks" } }
--- Whether one of them is a task.
programs.has_tasks = not real

-- Debian's libraries have a folder for each version, of which LuaJIT uses the first.
local VERSION = helper.is_luajit and "5.1" or helper.version:match("%d%.%d")

--- Whether Debian installs that library for the running Lua.
function programs.is_installed(name)
    return peers.read_file(("/usr/share/lua/%s/%s.lua"):format(VERSION, name)) ~= nil
end

-- Peers begin in a directory of their own, but what is found by paths lies in that one.
local function absolute(paths, here)
    local place = ";" .. here .. "/"
    return (";" .. paths):gsub(";%./", place):gsub(";(%w)", place .. "%1"):sub(2)
end

--- The words of the command that runs the program of that name in `place`, or here; more words are
--- the program's.
function programs.words(kind, name, place, ...)
    local here = program.capture("pwd")
    local folder = here .. "/spec/programs/luasocket/"
    local paths = ("package.path, package.cpath = %q, %q"):format(
        absolute(package.path, here), absolute(package.cpath, here))
    return peers.concat({
        "env", "-C", place or here, helper.lua, "-e", paths,
        folder .. "start.lua", kind, folder .. name .. ".lua",
    }, { ... })
end

--- Runs a program, which must end well, and returns the lines that it prints.
function programs.run(kind, name, ...)
    local out, said, status = peers.run(programs.words(kind, name, nil, ...))
    if status ~= 0 or said ~= "" then
        error(("%s ended with %s\n%s\n%s"):format(name, tostring(status), out, said), 2)
    end
    return out
end

return programs
