-- `server.listen(nil, 80)` of Pharos said `notes.lua:30: attempt to index local 'object'`, and
-- Renoise's `__tostring` and methods of Hammerspoon's objects behind their finaliser the like:
-- places inside of the library that the script's author has never seen. Some went on with what was
-- no object of theirs: the port of a finalised server was "the object is gone".

local helper = require "spec.helper"
local evsock = helper.evsock
local hs = require "evsock.hammerspoon".socket
local pharos = require "evsock.pharos"
local renoise = require "evsock.renoise"

describe("regress 044", function()
    after_each(helper.finish)

    it("a method of a Pharos server or timer without its object names the script's line", function()
        local s, t = pharos.net.TcpServer.new(), pharos.Timer.new()
        helper.misuse(function() s.listen(nil, 80) end, "'self' to 'listen' (TcpServer")
        helper.misuse(function() s.close(t) end, "'self' to 'close' (TcpServer expected, got Timer")
        helper.misuse(function() t.start(7) end, "'self' to 'start' (Timer expected, got number")
        helper.misuse(function() t.stop() end, "'self' to 'stop' (timer expected, got nil")
    end)

    it("Renoise's __tostring without its object names the script's line", function()
        local server = helper.track(assert(renoise.Socket.create_server("127.0.0.1", 0)))
        local m = getmetatable(server)
        helper.misuse(function() m.__tostring(nil) end, "'self' to '__tostring'")
        helper.misuse(function() m.__tostring({}) end, "(renoise.Socket.SocketServer expected, got")
    end)

    it("an object of Hammerspoon behind its finaliser names the script's line", function()
        local s, u = hs.new(), hs.udp.new()
        getmetatable(s).__gc(s)
        getmetatable(u).__gc(u)
        helper.misuse(function() s:connect("127.0.0.1", 1) end, "got a finalised hs.socket;")
        helper.misuse(function() s:read("x") end, "'self' to 'read' (hs.socket expected")
        helper.misuse(function() s:info() end, "'self' to 'info'")
        helper.misuse(function() u:close() end, "got a finalised hs.socket.udp;")
        assert.equal("hs.socket: finalised", tostring(s))
        assert.equal("hs.socket.udp: finalised", tostring(u))
    end)

    it("a property of a finalised object is no text about it", function()
        local s = assert(evsock.listen("127.0.0.1", 0))
        getmetatable(s).__gc(s)
        helper.misuse(function() return s.port end, "'self' to 'port' (evsock.Server expected")
        helper.misuse(function() s.on_accept = print end, "'self' to 'on_accept'")
        assert.is_nil(s.no_such_field)
    end)
end)
