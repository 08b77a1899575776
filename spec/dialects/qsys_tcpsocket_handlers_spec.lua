-- Q-SYS TcpSocket, which handler is called and with what, over the wire.
-- dialects.md 2.3 (handlers, "Which handler is called", "Third argument") > "handlers"

local helper = require "spec.helper"
local tools = require "spec.dialects.qsys_tools"
local TcpSocket = require("evsock.qsys").TcpSocket
local client, connected, wait_events = tools.client, tools.connected, tools.wait_events

local Events = TcpSocket.Events

after_each(helper.finish)

describe("Q-SYS TcpSocket: handlers", function()
    it("2.3 EventHandler: gets socket, event, err; err is \"\" where there is no error", function()
        local _, peer, log = connected({ ReconnectTimeout = 0 })
        peer:write("x")
        wait_events(log, 2)
        peer:close()
        wait_events(log, 3)
        assert.equal("CONNECTED DATA EOF", table.concat(log, " "))
        assert.same({ "", "", "" }, log.errors)
        assert.same({ 3, 3, 3 }, log.arguments)
    end)

    it("2.3 EventHandler: may be set, replaced and cleared at any time", function()
        local sock, peer, log = connected()
        sock.EventHandler = nil
        assert.is_nil(sock.EventHandler)
        peer:write("unseen")
        helper.wait_field(sock, "BufferLength", 6)
        local late = helper.expect(function(given, event)
            assert.equal(sock, given)
            assert.equal(Events.Data, event)
        end, 1)
        sock.EventHandler = late
        assert.equal(late, sock.EventHandler)
        peer:write("seen")
        helper.wait_field(sock, "BufferLength", 10)
        assert.equal("CONNECTED", table.concat(log, " "))
    end)

    it("2.3 Connected, Data, Closed: called with the socket", function()
        local sock, log = client({ ReconnectTimeout = 0 })
        local function only_socket(given, ...)
            assert.equal(sock, given)
            assert.equal(0, select("#", ...))
        end
        sock.Connected = helper.expect(only_socket, 1)
        sock.Data = helper.expect(only_socket, 1)
        sock.Closed = helper.expect(only_socket, 1)
        local server = helper.server()
        sock:Connect("127.0.0.1", server.port)
        helper.pump_until(function()
            return sock.IsConnected and server.sockets[1]
        end, 5, "Connected")
        server.sockets[1]:write("x")
        server.sockets[1]:close()
        helper.wait_field(sock, "IsConnected", false)
        assert.equal("", table.concat(log, " "))
    end)

    it("2.3 Error, Reconnect: Error gets socket and a string, Reconnect the socket", function()
        local sock, log = client({ ReconnectTimeout = 0.05 })
        local errors, reconnects = 0, 0
        sock.Error = helper.expect(function(given, err)
            assert.equal(sock, given)
            assert.is_string(err)
            errors = errors + 1
        end)
        sock.Reconnect = helper.expect(function(given, ...)
            assert.equal(sock, given)
            assert.equal(0, select("#", ...))
            reconnects = reconnects + 1
        end)
        sock:Connect("127.0.0.1", helper.free_port())
        helper.pump_until(function()
            return errors >= 2 and reconnects >= 1
        end, 5, "Error, Reconnect, Error")
        assert.equal("", table.concat(log, " "))
    end)

    it("2.3 Timeout: gets socket and a string", function()
        local sock, _, log = connected({ ReconnectTimeout = 0 })
        local err
        sock.Timeout = helper.expect(function(given, text)
            assert.equal(sock, given)
            err = text
        end, 1)
        sock.ReadTimeout = 0.05
        helper.pump_until(function()
            return err
        end, 5, "Timeout")
        assert.is_string(err)
        assert.equal("CONNECTED", table.concat(log, " "))
    end)

    it("2.3 Which handler: the event's own alone; EventHandler gets the rest", function()
        local sock, peer, log = connected({ ReconnectTimeout = 0 })
        sock.Data = helper.expect(function() end, 1)
        peer:write("x")
        helper.wait_field(sock, "BufferLength", 1)
        peer:close()
        wait_events(log, 2)
        assert.equal("CONNECTED EOF", table.concat(log, " "))
    end)

    it("2.3 Which handler: cleared, it hands the event back to EventHandler", function()
        local sock, peer, log = connected()
        sock.Data = helper.never("a cleared Data")
        sock.Data = nil
        peer:write("x")
        wait_events(log, 2)
        assert.equal("DATA", log[2])
        assert.equal(1, sock.BufferLength)
    end)
end)
