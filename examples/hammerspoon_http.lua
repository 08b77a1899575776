-- Shows the Hammerspoon dialect: tagged reads, as in the documentation of hs.socket, and a server.

local evsock = require "evsock"
local hammerspoon = require("evsock.hammerspoon").install()

-- What Hammerspoon has around its scripts: a name that leads somewhere, and a console.
local server = hs.socket.server(0)
hammerspoon.configure {
    hosts = { ["example.com"] = "127.0.0.1:" .. server:info().localPort },
    logger = function(level, text)
        print(level, text)
    end,
}

-- The server talks to all its clients at once; there is no object for one of them.
server:setCallback(function(request)
    print("server: " .. request:match("^[^\r]+"))
    server:write("HTTP/1.0 200 OK\r\nContent-Length: 13\r\n\r\n")
    server:write("Hello, world\n")
end)

-- From here on it could be a script of Hammerspoon's.
local TAG_HTTP_HEADER, TAG_HTTP_CONTENT = 1, 2
local client

local function callback(data, tag)
    if tag == TAG_HTTP_HEADER then
        print("header: " .. data:match("^[^\r]+"))
        local length = data:match("\r\nContent%-Length: (%d+)\r\n")
        client:read(tonumber(length), TAG_HTTP_CONTENT)
    elseif tag == TAG_HTTP_CONTENT then
        print("content: " .. data)
        client:disconnect()
        server:disconnect()
    end
end

client = hs.socket.new(callback):connect("example.com", 80, function()
    server:read("\r\n\r\n")
end)
client:write("GET /index.html HTTP/1.0\r\nHost: example.com\r\n\r\n")
client:read("\r\n\r\n", TAG_HTTP_HEADER)

evsock.run()
