-- socket.ftp. Word: the port of `protocols.ftp`, which has `read.me` and the user me, secret.

local start, port = ...
local socket = require "socket"
local ftp = require "socket.ftp"
local ltn12 = require "ltn12"

local BASE = "ftp://127.0.0.1:" .. port
local MINE = "ftp://me:secret@127.0.0.1:" .. port

print("got", ftp.get(BASE .. "/read.me;type=i"))
print("no such file", ftp.get(BASE .. "/nothing;type=a"))
print("a wrong password", ftp.get("ftp://me:wrong@127.0.0.1:" .. port .. "/read.me"))
print("not allowed", ftp.put(BASE .. "/new;type=i", "text"))

local big = ("all of these words\n"):rep(50000)
-- LuaSocket counts in floats.
print("put", ("%d"):format(assert(ftp.put(MINE .. "/new;type=i", big))))
print("the same", ftp.get(MINE .. "/new;type=i") == big)

local names = {}
print("listed", ftp.get {
    host = "127.0.0.1", port = port, command = "nlst", sink = ltn12.sink.table(names) })
print((table.concat(names):gsub("\r\n", " ")))
print("deleted", ftp.command {
    host = "127.0.0.1", port = port, user = "me", password = "secret",
    command = "dele", argument = "new", check = 250 })

-- The calls below the two, with data connections of each kind.
local function session(prepare)
    return socket.protect(function()
        local f = ftp.open("127.0.0.1", port)
        f:greet()
        f:login("me", "secret")
        f:type("i")
        f:cwd("/")
        prepare(f)
        f:send { path = "/sent", source = ltn12.source.string(big) }
        prepare(f)
        local pieces = {}
        f:receive { path = "/sent", sink = ltn12.sink.table(pieces) }
        f:quit()
        f:close()
        return table.concat(pieces) == big
    end)()
end

-- Lua 5.3 makes a float of the port, which LuaSocket does not take.
print("to a port of theirs", session(function(f)
    f:pasv()
    f.pasvt.port = ("%d"):format(f.pasvt.port)
end))
print("to a port of theirs, either family", session(function(f) f:epsv() end))
-- Not `port()` without arguments: it uses math.mod, which is only in Lua 5.1.
print("to a port of ours", session(function(f)
    if f.server then
        f.server:close()
    end
    f.server = assert(socket.bind("127.0.0.1", 0))
    local address, number = f.server:getsockname()
    f.pasvt = nil
    local low = number % 256
    f.try(f.tp:command("port", ("%s,%d,%d"):format(
        address:gsub("%.", ","), (number - low) / 256, low)))
    f.try(f.tp:check("2.."))
end))
print("to a port of ours, either family", session(function(f)
    f.server = f.server and f.server:close() and nil
    f:eprt(1)
end))

start.together(10, function()
    assert(ftp.get(BASE .. "/read.me;type=i") == "some words\n")
end)
print("ten at once")
