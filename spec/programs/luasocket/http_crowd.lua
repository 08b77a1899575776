-- Requests of pages that take a second each, all at once; prints how long all of them took.
-- Words: how many, the address, and for https a file with the root.

local start, count, address, root = ...
local ltn12 = require "ltn12"
local socket = require "socket"
local http = root and require "ssl.https" or require "socket.http"

local begun, right = socket.gettime(), 0
start.together(tonumber(count), function()
    local pieces = {}
    local ok, code = http.request {
        url = address, sink = ltn12.sink.table(pieces),
        verify = root and "peer", cafile = root, protocol = root and "any" }
    if ok and code == 200 and table.concat(pieces) == "at last" then
        right = right + 1
    end
end)
print(right, ("%.3f"):format(socket.gettime() - begun))
