-- lua-copas: its loop with a server of lines, visitors of that and http requests, all at once.
-- Word: the port of `protocols.http`, whose page `slow` takes a while.

local _, port = ...
local copas = require "copas"
local socket = require "socket"
local http = require "socket.http"
local ltn12 = require "ltn12"

local VISITORS, LINES, REQUESTS = 20, 50, 20

local ended, problem = 0, nil

-- copas itself would print an error and go on.
local function add(fn)
    copas.addthread(function()
        copas.setErrorHandler(function(message)
            problem = message
        end)
        fn()
        ended = ended + 1
    end)
end

local server = assert(socket.bind("127.0.0.1", 0))
local _, own_port = server:getsockname()
copas.addserver(server, function(sock)
    local wrapped = copas.wrap(sock)
    local line = wrapped:receive()
    while line do
        wrapped:send("<" .. line .. ">\n")
        line = wrapped:receive()
    end
end)

-- Of this version of copas, what http asks for and `wrap` lacks.
local function create()
    local sock = assert(socket.tcp())
    local wrapped = copas.wrap(sock)
    local methods = {
        connect = function(_, host, to)
            local ok, message = copas.connect(sock, host, to)
            return (ok or message == "already connected") and 1, message
        end,
        receive = function(_, what, prefix)
            return copas.receive(sock, what, prefix)
        end,
        close = function()
            return sock:close()
        end,
        settimeout = function()
            return 1
        end,
    }
    return setmetatable({}, { __index = function(_, name)
        return methods[name] or function(_, ...)
            return wrapped[name](wrapped, ...)
        end
    end })
end

local lines, pages, largest = 0, 0, 0
for visitor = 1, VISITORS do
    add(function()
        local sock = create()
        assert(sock:connect("127.0.0.1", own_port))
        for n = 1, LINES do
            assert(sock:send(("%d of %d\n"):format(n, visitor)))
            assert(sock:receive() == ("<%d of %d>"):format(n, visitor))
            lines = lines + 1
        end
        sock:close()
    end)
end
local waiting = 0
for _ = 1, REQUESTS do
    add(function()
        local pieces = {}
        waiting = waiting + 1
        largest = math.max(largest, waiting)
        local ok, code = http.request {
            url = "http://127.0.0.1:" .. port .. "/slow", create = create,
            sink = ltn12.sink.table(pieces) }
        waiting = waiting - 1
        assert(ok and code == 200 and table.concat(pieces) == "at last", code)
        pages = pages + 1
    end)
end
local deadline = socket.gettime() + 15
while ended < VISITORS + REQUESTS and not problem and socket.gettime() < deadline do
    copas.step(0.1)
end
server:close()
assert(not problem, problem)
print("lines", lines)
print("pages", pages, "at once", largest)
