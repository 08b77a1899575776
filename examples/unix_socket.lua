-- Shows a server and a client on a Unix socket: the same API, a path instead of host and port.

local evsock = require "evsock"

local path = os.tmpname()
os.remove(path)
local address = "unix:" .. path

local server = assert(evsock.listen(address, {
    on_data = function(sock)
        for line in sock:lines() do
            sock:write(line:upper(), "\n")
        end
    end,
}))

local sock = evsock.connect(address, { connect_timeout = 2 })
assert(sock:send("over the file system\n"))
print(sock:receive("*l", 2))

sock:close()
server:close() -- removes the socket file, too
print(io.open(path) == nil and "nothing left behind" or "left behind: " .. path)
