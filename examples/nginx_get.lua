-- Shows HTTP with keep-alive: one connection for all requests, and bodies of any size in pieces.
--
-- Run it: lua examples/nginx_get.lua PATH COUNT HOST PORT  (or unix:/path instead of HOST PORT)

local evsock = require "evsock"

local path, count, host, port = arg[1], tonumber(arg[2]), arg[3], arg[4]
assert(host, "usage: lua examples/nginx_get.lua PATH COUNT HOST PORT | PATH COUNT unix:/PATH")

-- While that much waits unread, no more is taken from the server: memory stays small.
local sock = evsock.socket { read_limit = 256 * 1024 }
sock:connect(host, port)

-- Asks for the path; the status and the length of the body.
local function get()
    sock:write("GET ", path, " HTTP/1.1\r\nHost: localhost\r\n\r\n")
    local status = assert(sock:receive("*l"))
    local length
    repeat
        local line = assert(sock:receive("*l"))
        local name, value = line:lower():match("^([^:]+):%s*(.-)%s*$")
        if name == "content-length" then
            length = tonumber(value)
        end
    until line == ""
    return status, assert(length, "the answer has no length")
end

-- Hands the body to `sink`, piece by piece.
local function body(length, sink)
    local left = length
    while left > 0 do
        local piece = assert(sock:receive(math.min(left, 65536)))
        sink(piece)
        left = left - #piece
    end
end

local sum = assert(io.popen("sha256sum", "w"))
local total = 0
for i = 1, count do
    local status, length = get()
    body(length, function(piece)
        sum:write(piece)
        total = total + #piece
    end)
    if i == count then
        print(status .. ", the last of " .. count)
    end
end
print("bytes: " .. total)
io.stdout:flush()
sum:close() -- prints the digest of all that came
sock:close()
evsock.run()
