-- Q-SYS TcpSocket, events and their order, over the wire.
-- dialects.md 2.4 > "connecting", "data", "endings" (its error texts: qsys_tcpsocket_timeouts_spec)

local helper = require "spec.helper"
local tools = require "spec.dialects.qsys_tools"
local evsock = helper.evsock
local TcpSocket = require("evsock.qsys").TcpSocket
local client, connected, wait_events, compute =
    tools.client, tools.connected, tools.wait_events, helper.compute

local Events = TcpSocket.Events

after_each(helper.finish)

describe("Q-SYS TcpSocket: connecting", function()
    it("2.4 connect succeeds: CONNECTED, IsConnected true from then on and not before", function()
        local server = helper.server()
        local sock, log = client()
        assert.is_false(sock.IsConnected)
        sock:Connect("127.0.0.1", server.port)
        assert.is_false(sock.IsConnected)
        compute(0.03)
        assert.is_false(sock.IsConnected)
        wait_events(log, 1)
        assert.equal("CONNECTED", log[1])
        assert.is_true(log.connected[1])
        assert.is_true(sock.IsConnected)
    end)

    it("2.4 connect fails: ERROR, then wait, RECONNECT, ERROR at every interval", function()
        local sock, log = client({ ReconnectTimeout = 0.1 })
        sock:Connect("127.0.0.1", helper.free_port())
        wait_events(log, 5)
        assert.equal("ERROR RECONNECT ERROR RECONNECT ERROR", table.concat(log, " ", 1, 5))
        assert.is_true(log.times[2] - log.times[1] >= 0.095)
        assert.is_true(log.times[4] - log.times[3] >= 0.095)
        assert.same({ false, false }, { log.connected[1], log.connected[2] })
    end)

    it("2.4 RECONNECT: not for the first Connect; CONNECTED comes after it", function()
        local port = helper.free_port()
        local sock, log = client({ ReconnectTimeout = 0.05 })
        sock:Connect("127.0.0.1", port)
        wait_events(log, 1)
        assert.equal("ERROR", log[1])
        local peer
        local server = assert(evsock.listen("127.0.0.1", port, {
            on_accept = function(_, accepted)
                peer = accepted
            end,
        }))
        helper.pump_until(function()
            return sock.IsConnected and peer
        end, 5, "the device came back")
        server:close()
        peer:close()
        assert.equal("RECONNECT CONNECTED", table.concat(log, " ", #log - 1))
    end)

    it("2.4 Connect inside an ERROR handler works and replaces the pending reconnect", function()
        local server = helper.server()
        local sock, log = client({ ReconnectTimeout = 0.05 })
        log.also = function(event)
            if event == Events.Error then
                sock:Connect("127.0.0.1", server.port)
            end
        end
        sock:Connect("127.0.0.1", helper.free_port())
        wait_events(log, 2)
        helper.pump_for(0.15)
        assert.equal("ERROR CONNECTED", table.concat(log, " "))
    end)
end)

describe("Q-SYS TcpSocket: data", function()
    it("2.4 DATA: one per arrival, not merged; one line read in each keeps up", function()
        -- Two writes may meet in the kernel before the thread sees the first: then try again.
        local stop, separate = evsock.now() + 5, false
        while not separate and evsock.now() < stop do
            local sock, peer, log = connected()
            local got = {}
            log.also = function(event)
                if event == Events.Data then
                    got[#got + 1] = sock:ReadLine(TcpSocket.EOL.Lf)
                end
            end
            peer:write("one\n")
            compute(0.05)
            peer:write("two\n")
            compute(0.05)
            helper.pump_until(function()
                return #got > 0
            end, 5, "a first line")
            helper.pump_for(0.05)
            separate = #got == 2 and #log == 3
            assert.equal("one", got[1])
            sock:Disconnect()
        end
        assert.is_true(separate)
    end)

    it("2.4 DATA: left out when an earlier handler has emptied the buffer", function()
        local sock, peer, log = connected()
        local total = 0
        log.also = function(event)
            if event == Events.Data then
                assert.is_true(sock.BufferLength > 0)
                total = total + #sock:Read(sock.BufferLength)
            end
        end
        for _ = 1, 5 do
            peer:write("12345")
            compute(0.01)
        end
        helper.pump_until(function()
            return total == 25
        end, 5, "all bytes")
        assert.equal(0, sock.BufferLength)
    end)

    it("2.4 DATA: not repeated for bytes left unread, which stay for the next DATA", function()
        local sock, peer, log = connected()
        peer:write("left ")
        wait_events(log, 2)
        helper.pump_for(0.1)
        assert.equal("CONNECTED DATA", table.concat(log, " "))
        peer:write("over")
        wait_events(log, 3)
        assert.equal("DATA", log[3])
        assert.equal("left over", sock:Read(100))
    end)
end)

describe("Q-SYS TcpSocket: endings", function()
    it("2.4 remote closes: DATA for what came before, CLOSED, wait, RECONNECT", function()
        local sock, peer, log = connected({ ReconnectTimeout = 0.1 })
        peer:write("last words")
        peer:close()
        wait_events(log, 5)
        assert.equal("CONNECTED DATA EOF RECONNECT CONNECTED", table.concat(log, " "))
        assert.is_true(log.times[4] - log.times[3] >= 0.095)
        assert.same({ true, true, false, false, true }, log.connected)
        assert.is_true(sock.IsConnected)
    end)

    it("2.4 remote closes: nothing more comes when ReconnectTimeout is 0", function()
        local _, peer, log = connected({ ReconnectTimeout = 0 })
        peer:close()
        wait_events(log, 2)
        helper.pump_for(0.1)
        assert.equal("CONNECTED EOF", table.concat(log, " "))
    end)

    it("2.4 connection breaks: a reset is ERROR with a text, not CLOSED", function()
        local _, peer, log = connected({ ReconnectTimeout = 0.05 })
        peer:abort()
        wait_events(log, 4)
        assert.equal("CONNECTED ERROR RECONNECT CONNECTED", table.concat(log, " "))
        assert.is_false(log.connected[2])
        assert.is_string(log.errors[2])
        assert.is_true(#log.errors[2] > 0)
    end)

    it("2.4 read timeout: TIMEOUT, no CLOSED after it, then the reconnect cycle", function()
        local sock, peer, log = connected({ ReadTimeout = 0.1, ReconnectTimeout = 0.05 })
        log.also = function(event)
            if event == Events.Timeout then
                sock.ReadTimeout = 0
            end
        end
        wait_events(log, 4)
        assert.equal("CONNECTED TIMEOUT RECONNECT CONNECTED", table.concat(log, " "))
        assert.is_false(log.connected[2])
        helper.wait_state(peer, "closed")
    end)

    it("2.4 Disconnect: no event follows", function()
        local sock, peer, log = connected({ ReconnectTimeout = 0.05 })
        sock:Disconnect()
        helper.wait_state(peer, "closed")
        helper.pump_for(0.1)
        assert.equal("CONNECTED", table.concat(log, " "))
    end)

    it("2.4 Disconnect: not even for bytes that have arrived and were not yet announced", function()
        local sock, peer, log = connected()
        peer:write("too late")
        compute(0.03)
        sock:Disconnect()
        helper.pump_for(0.05)
        assert.equal("CONNECTED", table.concat(log, " "))
        assert.equal(0, sock.BufferLength)
    end)

    it("2.4 the gap: until CLOSED is told IsConnected stays true and Write is harmless", function()
        local sock, peer, log = connected({ ReconnectTimeout = 0 })
        peer:abort()
        compute(0.05)
        assert.is_true(sock.IsConnected)
        sock:Write("nobody reads this")
        sock:Write("nor this")
        wait_events(log, 2)
        assert.equal("ERROR", log[2])
        assert.is_false(sock.IsConnected)
    end)

    it("2.4 unread bytes: readable in and after the CLOSED handler, until Disconnect", function()
        local sock, peer, log = connected({ ReconnectTimeout = 0 })
        local inside
        log.also = function(event)
            if event == Events.Closed then
                inside = sock:ReadLine(TcpSocket.EOL.CrLf)
            end
        end
        peer:write("HTTP/1.0 200 OK\r\n\r\nbody")
        peer:close()
        wait_events(log, 3)
        assert.equal("HTTP/1.0 200 OK", inside)
        assert.equal(3, sock:Search("body"))
        assert.equal("\r\nbo", sock:Read(4))
        sock:Disconnect()
        assert.equal(0, sock.BufferLength)
        assert.is_nil(sock:Read(10))
    end)

    it("2.4 unread bytes: gone with the next CONNECTED, still there at RECONNECT", function()
        local sock, peer, log = connected({ ReconnectTimeout = 0.05 })
        local lengths = {}
        log.also = function(event)
            lengths[event] = sock.BufferLength
        end
        peer:write("old")
        peer:close()
        wait_events(log, 5)
        assert.equal("RECONNECT CONNECTED", table.concat(log, " ", 4))
        assert.same({ 3, 3, 0 }, { lengths.EOF, lengths.RECONNECT, lengths.CONNECTED })
    end)

    it("2.4 unread bytes: gone with the next Connect", function()
        local sock, peer, log, server = connected({ ReconnectTimeout = 0 })
        peer:write("old")
        peer:close()
        wait_events(log, 3)
        assert.equal(3, sock.BufferLength)
        sock:Connect("127.0.0.1", server.port)
        assert.equal(0, sock.BufferLength)
        wait_events(log, 4)
    end)

    it("2.4 Connect inside a CLOSED or TIMEOUT handler works, without RECONNECT", function()
        local sock, peer, log, server = connected({ ReconnectTimeout = 0.05 })
        log.also = function(event)
            if event == Events.Closed or event == Events.Timeout then
                sock.ReadTimeout = 0
                sock:Connect("127.0.0.1", server.port)
            end
        end
        peer:close()
        wait_events(log, 3)
        sock.ReadTimeout = 0.05
        wait_events(log, 5)
        helper.pump_for(0.15)
        assert.equal("CONNECTED EOF CONNECTED TIMEOUT CONNECTED", table.concat(log, " "))
    end)
end)
