-- Q-SYS TcpSocket, every call in every state, over the wire.
-- dialects.md 2.6 > "Connect in", "Disconnect in", "Write in", "reading in",
-- "Write then Disconnect"; 2.7 > "object"; 2.8 (no event after Disconnect) > "Disconnect in"

local helper = require "spec.helper"
local tools = require "spec.dialects.qsys_tools"
local evsock = helper.evsock
local TcpSocket = require("evsock.qsys").TcpSocket
local client, connected, wait_connected, wait_closed, wait_buffered =
    tools.client, tools.connected, tools.wait_connected, tools.wait_closed, tools.wait_buffered

-- A socket that was refused and now waits for its next attempt, which is a minute away.
local function waiting()
    local sock, log = client({ ReconnectTimeout = 60 })
    sock:Connect("127.0.0.1", helper.free_port())
    helper.wait_count(log, 1)
    return sock, log
end

-- Write must raise the "not connected" of a socket that has no connection.
local function assert_no_write(sock)
    local ok, message = pcall(sock.Write, sock, "x")
    assert.is_false(ok)
    assert.is_truthy(message:find("not connected", 1, true), message)
end

after_each(helper.finish)

describe("Q-SYS TcpSocket: Connect in", function()
    it("2.6 Connect unconnected: starts", function()
        local server = helper.server()
        local sock, log = client()
        sock:Connect("127.0.0.1", server.port)
        wait_connected(sock)
        assert.equal("CONNECTED", table.concat(log, " "))
    end)

    it("2.6 Connect while connecting: drops the old attempt without an event for it", function()
        local old, new = helper.server(), helper.server()
        local sock, log = client()
        sock:Connect("127.0.0.1", old.port)
        sock:Connect("127.0.0.1", new.port)
        helper.pump_until(function()
            return sock.IsConnected and new.sockets[1]
        end, 5, "the new attempt")
        sock:Write("here")
        wait_buffered(new.sockets[1], 4)
        helper.pump_for(0.05)
        assert.equal("CONNECTED", table.concat(log, " "))
        assert.is_true(old.sockets[1] == nil or old.sockets[1].state == "closed")
    end)

    it("2.6 Connect while connecting: no ERROR of an old attempt that fails", function()
        local server = helper.server()
        local sock, log = client()
        sock:Connect("127.0.0.1", helper.free_port())
        local stop = evsock.now() + 0.03
        repeat
            collectgarbage("step")
        until evsock.now() >= stop
        sock:Connect("127.0.0.1", server.port)
        wait_connected(sock)
        helper.pump_for(0.05)
        assert.equal("CONNECTED", table.concat(log, " "))
    end)

    it("2.6 Connect while connected: closes silently, then starts anew", function()
        local sock, peer, log = connected({ ReconnectTimeout = 0.05 })
        local other = helper.server()
        sock:Connect("127.0.0.1", other.port)
        assert.is_false(sock.IsConnected)
        wait_closed(peer)
        helper.pump_until(function()
            return sock.IsConnected and other.sockets[1]
        end, 5, "the second connection")
        helper.pump_for(0.1)
        assert.equal("CONNECTED CONNECTED", table.concat(log, " "))
    end)

    it("2.6 Connect while waiting to reconnect: starts now, without RECONNECT", function()
        local sock, log = waiting()
        local server = helper.server()
        sock:Connect("127.0.0.1", server.port)
        wait_connected(sock)
        assert.equal("ERROR CONNECTED", table.concat(log, " "))
    end)
end)

describe("Q-SYS TcpSocket: Disconnect in", function()
    it("2.6 Disconnect unconnected: nothing", function()
        local sock, log = client()
        sock:Disconnect()
        helper.pump_for(0.02)
        assert.equal("", table.concat(log, " "))
    end)

    it("2.6 Disconnect while connecting: cancels, and Connect works afterwards", function()
        local server = helper.server()
        local sock, log = client()
        sock:Connect("127.0.0.1", helper.free_port())
        sock:Disconnect()
        helper.pump_for(0.05)
        assert.equal("", table.concat(log, " "))
        sock:Connect("127.0.0.1", server.port)
        wait_connected(sock)
        assert.equal("CONNECTED", table.concat(log, " "))
    end)

    it("2.6, 2.8 Disconnect while connected: closes and no event follows", function()
        local sock, peer, log = connected()
        sock:Disconnect()
        wait_closed(peer)
        helper.pump_for(0.05)
        assert.equal("CONNECTED", table.concat(log, " "))
    end)

    it("2.6 Disconnect while waiting to reconnect: cancels", function()
        local sock, log = waiting()
        assert.is_true(evsock.active() > 0)
        sock:Disconnect()
        helper.pump_for(0.02)
        assert.equal(0, evsock.active())
        assert.equal("ERROR", table.concat(log, " "))
    end)
end)

describe("Q-SYS TcpSocket: Write in", function()
    it("2.6 Write unconnected: error", function()
        assert_no_write(client())
    end)

    it("2.6 Write while connecting: error", function()
        local server = helper.server()
        local sock = client()
        sock:Connect("127.0.0.1", server.port)
        assert_no_write(sock)
        wait_connected(sock)
    end)

    it("2.6 Write while connected: queued", function()
        local sock, peer = connected()
        sock:Write("queued")
        wait_buffered(peer, 6)
        assert.equal("queued", peer:read())
    end)

    it("2.6 Write while waiting to reconnect: error", function()
        assert_no_write((waiting()))
    end)
end)

describe("Q-SYS TcpSocket: reading in", function()
    it("2.6 reading unconnected and while waiting: from what is left", function()
        for _, pause in ipairs({ 0, 60 }) do
            local sock, peer = connected({ ReconnectTimeout = pause })
            peer:write("one\ntwo\nthree")
            peer:close()
            helper.wait_field(sock, "IsConnected", false)
            assert.equal("one", sock:ReadLine(TcpSocket.EOL.Lf))
            assert.equal(5, sock:Search("three"))
            assert.equal("two\nthree", sock:Read(100))
            assert.is_nil(sock:Read(1))
            assert.is_nil(sock:ReadLine(TcpSocket.EOL.Lf))
        end
    end)

    it("2.6 reading while connecting: empty, whatever was left before", function()
        local sock, peer, _, server = connected({ ReconnectTimeout = 0 })
        peer:write("left\n")
        peer:close()
        helper.wait_field(sock, "IsConnected", false)
        assert.equal(5, sock.BufferLength)
        sock:Connect("127.0.0.1", server.port)
        assert.equal(0, sock.BufferLength)
        assert.is_nil(sock:Read(1))
        assert.is_nil(sock:ReadLine(TcpSocket.EOL.Lf))
        assert.is_nil(sock:Search("left"))
        wait_connected(sock)
    end)

    it("2.6 reading while connected: normal", function()
        local sock, peer = connected()
        peer:write("line\nrest")
        helper.wait_field(sock, "BufferLength", 9)
        assert.equal("line", sock:ReadLine(TcpSocket.EOL.Lf))
        assert.equal(1, sock:Search("rest"))
        assert.equal("rest", sock:Read(10))
    end)
end)

describe("Q-SYS TcpSocket: Write then Disconnect", function()
    it("2.6 Write, Disconnect: disconnected at once, yet all accepted bytes are sent", function()
        local sock, peer, log = connected()
        local size, got = 8 * 1024 * 1024, 0
        sock:Write(("x"):rep(size))
        sock:Disconnect()
        assert.is_false(sock.IsConnected)
        assert_no_write(sock)
        helper.pump_until(function()
            got = got + #(peer:read() or "")
            return peer.state == "closed" and peer.buffered == 0
        end, 5, "8 MiB and the end")
        assert.equal(size, got)
        assert.equal("CONNECTED", table.concat(log, " "))
    end)

    it("2.6 Write, Disconnect, Connect: the old bytes go to the old peer only", function()
        local sock, peer, _, server = connected()
        sock:Write("for the old one")
        sock:Disconnect()
        sock:Connect("127.0.0.1", server.port)
        helper.pump_until(function()
            return sock.IsConnected and server.sockets[2]
        end, 5, "the second connection")
        sock:Write("new")
        wait_buffered(peer, 15)
        wait_buffered(server.sockets[2], 3)
        assert.equal("for the old one", peer:read())
        assert.equal("new", server.sockets[2]:read())
    end)

    it("2.6 Write, Disconnect: the background flush ends after 5 s", function()
        -- A peer that does not read holds the flush up; reading later it must find the end early.
        local deaf = helper.server({ read_limit = 4096 })
        local sock = client()
        sock:Connect("127.0.0.1", deaf.port)
        helper.pump_until(function()
            return sock.IsConnected and deaf.sockets[1]
        end, 5, "the pair is connected")
        local size, got, peer = 48 * 1024 * 1024, 0, deaf.sockets[1]
        sock:Write(("x"):rep(size))
        sock:Disconnect()
        helper.pump_for(5.5)
        helper.pump_until(function()
            got = got + #(peer:read() or "")
            return peer.state == "closed" and peer.buffered == 0
        end, 5, "what was sent in 5 s, and the end")
        assert.is_true(got < size)
    end)
end)

describe("Q-SYS TcpSocket: object", function()
    it("2.7 tostring begins with userdata:", function()
        local sock, peer = connected({ ReconnectTimeout = 0 })
        assert.equal("userdata:", tostring(TcpSocket.New()):sub(1, 9))
        assert.equal("userdata:", tostring(sock):sub(1, 9))
        assert.equal("userdata", type(sock))
        peer:close()
    end)

    it("2.7 a socket may be reused for any number of connections, to different hosts", function()
        local sock, log = client({ ReconnectTimeout = 0 })
        for round = 1, 4 do
            local server = helper.server()
            sock:Connect(round % 2 == 0 and "127.0.0.1" or "localhost", server.port)
            helper.pump_until(function()
                return sock.IsConnected and server.sockets[1]
            end, 5, "connection " .. round)
            server.sockets[1]:write("round " .. round)
            helper.pump_until(function()
                return sock.BufferLength > 0
            end, 5, "data " .. round)
            assert.equal("round " .. round, sock:Read(100))
            if round < 3 then
                sock:Disconnect()
            else
                server.sockets[1]:close()
                helper.wait_field(sock, "IsConnected", false)
            end
        end
        assert.equal("CONNECTED DATA CONNECTED DATA CONNECTED DATA EOF CONNECTED DATA EOF",
            table.concat(log, " "))
    end)
end)
