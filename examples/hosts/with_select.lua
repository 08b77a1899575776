-- evsock beside LuaSocket's select: an object with the descriptor stands in the list of readers.
-- `require` gives reader(evsock); run by itself it shows echoes beside a timer of the loop.

local socket = require "socket"

local function reader(evsock)
    local descriptor = evsock.pollfd()
    return {
        getfd = function() return descriptor end,
        dirty = function() return false end, -- holds nothing back that select could not see
    }
end

if ... then return reader end

local evsock = require "evsock"
local bell = reader(evsock)

local server = assert(evsock.listen("127.0.0.1", 0, {
    on_data = function(sock) sock:write(sock:read()) end,
}))
local client = evsock.connect("127.0.0.1", server.port)
local question = evsock.every(0.05, function() client:write("hello\n") end)
client.on_data = function(sock) print("echo", (sock:read_line())) end
evsock.after(0.4, function()
    question:cancel()
    client:close()
    server:close()
end)

local due = socket.gettime()
while evsock.active() > 0 do
    local readable = socket.select({ bell }, nil, math.max(0, due - socket.gettime()))
    if readable[bell] then evsock.pump() end
    if socket.gettime() >= due then
        print("a timer of the loop")
        due = due + 0.1
    end
end
