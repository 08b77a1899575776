-- One of LuaSocket's own tests, in whose folder this runs. Words: its file, and host and port where
-- it asks for them as globals; all but the file are the test's own words, too.

local _, name, host, port = ...
local socket = require "socket"

-- What a build of LuaSocket for tests has in addition, which Debian's is not: a mark, and as a 4th
-- result of `send` and `receive` how long they took.
local function add_results_for_tests()
    local server = assert(socket.bind("127.0.0.1", 0))
    local address, free = server:getsockname()
    local client = assert(socket.connect(address, free))
    local methods = getmetatable(client).__index
    for _, method in ipairs { "send", "receive" } do
        local plain = methods[method]
        methods[method] = function(...)
            local begun = socket.gettime()
            local result, problem, partial = plain(...)
            return result, problem, partial, socket.gettime() - begun
        end
    end
    client:close()
    server:close()
    socket._DEBUG = true
end

if name == "testclnt.lua" then
    add_results_for_tests()
end
_G.host, _G.port = host, port
table.remove(_G.arg, 1)
-- Not `dofile`, in which no task can wait before Lua 5.2.
assert(loadfile(name))()
