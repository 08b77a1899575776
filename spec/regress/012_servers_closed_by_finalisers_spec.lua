-- A finaliser closed a server while the server did something with what waits: Pharos' `close` gave
-- up a connection that was gone already, and Renoise's turn of a client found none. Both raised.
-- Here a hook stands for the finaliser, which may come at any instruction, too.

local helper = require "spec.helper"
local evsock = helper.evsock
local net = require("evsock.pharos").net
local Socket = require("evsock.renoise").Socket

-- Runs `work` with `strike` called before its instruction number `place`; false when there are
-- fewer.
local function struck_at(place, work, strike)
    if helper.is_luajit then
        require("jit").off()
    end
    local count = 0
    debug.sethook(function()
        count = count + 1
        if count == place then
            strike()
        end
    end, "", 1)
    local ok, message = pcall(work)
    debug.sethook()
    if helper.is_luajit then
        require("jit").on()
    end
    assert(ok, message)
    return count >= place
end

describe("regress 012", function()
    after_each(helper.finish)

    it("a Pharos server is closed by a finaliser while it closes", function()
        local place, more = 0, true
        while more and place < 400 do
            place = place + helper.fewer
            local server = net.TcpServer.new()
            assert.is_true(server:listen(0))
            for _ = 1, 2 do
                helper.connect(server.port)
            end
            helper.pump_until(function() return server.has_pending_connections end)
            more = struck_at(place, function()
                server:close()
            end, function()
                server:close()
            end)
            helper.pump_until(function() return not server.listening end)
        end
        assert.is_true(place > 10)
    end)

    it("a Renoise server is closed by a finaliser between the turns of its clients", function()
        local place, more = 0, true
        local notifier = { socket_message = function() end }
        while more and place < 400 do
            place = place + helper.fewer
            local server = assert(Socket.create_server("127.0.0.1", 0))
            server:run(notifier)
            local clients = {}
            local accepted = 0
            function notifier.socket_accepted()
                accepted = accepted + 1
            end
            for i = 1, 3 do
                clients[i] = helper.connect(server.local_port)
            end
            helper.pump_until(function() return accepted == 3 end)
            server:stop()
            for i = 1, 3 do
                clients[i]:write("text")
            end
            helper.pump_until(function() return clients[3].pending == 0 end)
            helper.pump_for(0.002)
            server:run(notifier)
            more = struck_at(place, function()
                evsock.pump()
                evsock.pump()
            end, function()
                server:close()
            end)
            server:close()
        end
        assert.is_true(place > 10)
    end)
end)
