-- Shows how errors look: mistakes raise at your line, the world tells on_close.

local evsock = require "evsock"

print(select(2, pcall(function()
    evsock.connect("10.0.0.9", 99999)
end)))
print(select(2, pcall(function()
    evsock.connect("10.0.0.9", 23, { timeout = 5 })
end)))

-- A port that nobody listens on: taken from a server that is closed again.
local server = assert(evsock.listen("127.0.0.1", 0))
local port = server.port
server:close()

evsock.connect("127.0.0.1", port, {
    on_close = function(_, message, code)
        print(code, (message:gsub(port, "PORT")))
    end,
})
evsock.run()
