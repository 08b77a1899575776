-- Peers that begin a handshake of TLS and never go on: `lua halfway.lua COUNT (PORT HELLO)...`. The
-- hellos are files with what a client says first. All end with the first that is ended.

local evsock = require "evsock"

local count = tonumber(arg[1])
local places = {}
for i = 2, #arg, 2 do
    local file = assert(io.open(arg[i + 1], "rb"))
    local hello = file:read("*a")
    file:close()
    places[#places + 1] = { port = tonumber(arg[i]), options = {
        on_connect = function(sock) sock:write(hello) end,
        on_data = function(sock) sock:read() end,
        on_close = function() os.exit(0) end,
    } }
end

-- They set out over a while, as a crowd does.
local peers = {}
local starter
starter = evsock.every(0.015, function()
    for _ = 1, math.min(10, count - #peers) do
        local place = places[#peers % #places + 1]
        peers[#peers + 1] = evsock.connect("127.0.0.1", place.port, place.options)
    end
    if #peers == count then
        starter:cancel()
    end
end)
evsock.after(60, os.exit, 0)
evsock.run()
