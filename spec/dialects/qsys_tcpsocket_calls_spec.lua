-- Q-SYS TcpSocket, class, calls and properties, over the wire.
-- dialects.md 2.1 > "class"; 2.2 > "Connect", "Disconnect", "Write"; 2.3 table > "properties"

local helper = require "spec.helper"
local tools = require "spec.dialects.qsys_tools"
local evsock = helper.evsock
local qsys = require "evsock.qsys"
local TcpSocket = qsys.TcpSocket
local client, connected, wait_connected, wait_closed, wait_buffered =
    tools.client, tools.connected, tools.wait_connected, tools.wait_closed, tools.wait_buffered
local assert_raises = helper.raises

-- Setting any of those fields to that value raises.
local function assert_all_raise(fields, value)
    local sock = TcpSocket.New()
    for _, name in ipairs(fields) do
        assert_raises(name, function()
            sock[name] = value
        end)
    end
end

after_each(tools.finish)

describe("Q-SYS TcpSocket: class", function()
    it("2.1 TcpSocket.New: a new unconnected socket each time", function()
        local one, two = TcpSocket.New(), TcpSocket.New()
        assert.is_false(one == two)
        assert.is_false(one.IsConnected)
    end)

    it("2.1 TcpSocket.New and TcpSocket:New both work", function()
        local dot, colon = TcpSocket.New(), TcpSocket:New()
        assert.equal(getmetatable(dot), getmetatable(colon))
        colon:Disconnect()
        assert.equal(0, colon.BufferLength)
    end)

    it("2.1 Events: the constants are strings", function()
        assert.equal("CONNECTED", TcpSocket.Events.Connected)
        assert.equal("RECONNECT", TcpSocket.Events.Reconnect)
        assert.equal("DATA", TcpSocket.Events.Data)
        assert.equal("EOF", TcpSocket.Events.Closed)
        assert.equal("ERROR", TcpSocket.Events.Error)
        assert.equal("TIMEOUT", TcpSocket.Events.Timeout)
    end)

    it("2.1 EOL: the constants are 0 to 5", function()
        local eol = TcpSocket.EOL
        assert.same({ 0, 1, 2, 3, 4, 5 },
            { eol.Any, eol.CrLf, eol.CrLfStrict, eol.Lf, eol.Null, eol.Custom })
    end)
end)

describe("Q-SYS TcpSocket: Connect", function()
    it("2.2 Connect: returns at once and returns nothing", function()
        local server = helper.server()
        local sock = client()
        assert.equal(0, select("#", sock:Connect("127.0.0.1", server.port)))
        assert.is_false(sock.IsConnected)
        wait_connected(sock)
    end)

    it("2.2 Connect: host may be a name", function()
        local server = helper.server()
        qsys.configure({ hosts = { ["display.test"] = "127.0.0.1" } })
        local sock = client()
        sock:Connect("display.test", server.port)
        wait_connected(sock)
    end)

    it("2.2 Connect: ports 0 and 65535 are in range and fail as an ERROR", function()
        local sock, log = client({ ReconnectTimeout = 0 })
        sock:Connect("127.0.0.1", 0)
        helper.wait_count(log, 1)
        assert.equal("ERROR", log[1])
        sock:Connect("127.0.0.1", 65535)
    end)

    it("2.2 Connect: a wrong type or a port out of range raises a Lua error", function()
        local sock, log = client()
        for _, bad in ipairs({ -1, 65536, 80.5, "telnet", {}, true, 0 / 0 }) do
            assert_raises("port", function()
                sock:Connect("127.0.0.1", bad)
            end)
        end
        assert_raises("port", function()
            sock:Connect("127.0.0.1")
        end)
        for _, bad in ipairs({ {}, true, print }) do
            assert_raises("host", function()
                sock:Connect(bad, 80)
            end)
        end
        assert_raises("host", function()
            sock:Connect(nil, 80)
        end)
        helper.pump_for(0.05)
        assert.equal("", table.concat(log, " "))
    end)

    it("2.2 Connect: an empty or senseless host does not raise; ERROR, then RECONNECT", function()
        for _, host in ipairs({ "", "Enter an IP Address" }) do
            local sock, log = client({ ReconnectTimeout = 0.05 })
            sock:Connect(host, 80)
            helper.pump_until(function()
                return #log >= 3
            end, 10, "the cycle for '" .. host .. "'")
            assert.equal("ERROR RECONNECT ERROR", table.concat(log, " ", 1, 3))
            sock:Disconnect()
        end
    end)
end)

describe("Q-SYS TcpSocket: Disconnect", function()
    it("2.2 Disconnect: closes; no event follows; IsConnected is false at once", function()
        local sock, peer, log = connected({ ReconnectTimeout = 0.05 })
        sock:Disconnect()
        assert.is_false(sock.IsConnected)
        wait_closed(peer)
        helper.pump_for(0.1)
        assert.equal("CONNECTED", table.concat(log, " "))
    end)

    it("2.2 Disconnect: cancels a running attempt", function()
        local server = helper.server()
        local sock, log = client({ ReconnectTimeout = 0.05 })
        sock:Connect("127.0.0.1", server.port)
        sock:Disconnect()
        helper.pump_for(0.15)
        assert.equal("", table.concat(log, " "))
        assert.is_false(sock.IsConnected)
    end)

    it("2.2 Disconnect: cancels a pending reconnect", function()
        local sock, log = client({ ReconnectTimeout = 0.1 })
        sock:Connect("127.0.0.1", helper.free_port())
        helper.wait_count(log, 1)
        sock:Disconnect()
        helper.pump_for(0.25)
        assert.equal("ERROR", table.concat(log, " "))
        assert.equal(0, evsock.active())
    end)

    it("2.2 Disconnect: harmless when not connected", function()
        local sock, log = client()
        sock:Disconnect()
        sock:Disconnect()
        helper.pump_for(0.02)
        assert.equal("", table.concat(log, " "))
    end)

    it("2.2 Disconnect: clears the receive buffer", function()
        local sock, peer = connected()
        peer:write("unread")
        helper.wait_field(sock, "BufferLength", 6)
        sock:Disconnect()
        assert.equal(0, sock.BufferLength)
        assert.is_nil(sock:Read(6))
        assert.is_nil(sock:Search("un"))
    end)
end)

describe("Q-SYS TcpSocket: Write", function()
    it("2.2 Write: queues all of data, in order, and returns nothing", function()
        local sock, peer = connected()
        assert.equal(0, select("#", sock:Write("first ")))
        sock:Write("second\0")
        wait_buffered(peer, 13)
        assert.equal("first second\0", peer:read())
    end)

    it("2.2 Write: more than the system takes at once arrives whole", function()
        local sock, peer = connected()
        local size, got = 8 * 1024 * 1024, 0
        sock:Write(("0123456789abcdef"):rep(size / 16))
        helper.pump_until(function()
            got = got + #(peer:read() or "")
            return got >= size
        end, 10, "8 MiB")
        assert.equal(size, got)
    end)

    it("2.2 Write: raises \"not connected\" at the caller's line", function()
        local sock = client()
        assert_raises("not connected", function()
            sock:Write("x")
        end)
    end)

    it("2.2 Write: raises while still connecting", function()
        local server = helper.server()
        local sock = client()
        sock:Connect("127.0.0.1", server.port)
        assert_raises("not connected", function()
            sock:Write("x")
        end)
        wait_connected(sock)
        sock:Write("x")
        helper.wait_accepted(server)
        wait_buffered(server.sockets[1], 1)
    end)

    it("2.2 Write: raises in and after the CLOSED handler", function()
        local sock, peer = connected({ ReconnectTimeout = 0 })
        sock.Closed = helper.expect(function()
            assert_raises("not connected", function()
                sock:Write("x")
            end)
        end, 1)
        peer:close()
        helper.wait_field(sock, "IsConnected", false)
        assert_raises("not connected", function()
            sock:Write("x")
        end)
    end)

    it("2.2 Write: data that is no string raises at the caller's line", function()
        local sock = connected()
        for _, bad in ipairs({ {}, true }) do
            assert_raises("Write", function()
                sock:Write(bad)
            end)
        end
    end)
end)

describe("Q-SYS TcpSocket: properties", function()
    it("2.3 defaults: no handlers, ReadTimeout 0, WriteTimeout 0, ReconnectTimeout 5", function()
        local sock = TcpSocket.New()
        for _, name in ipairs({ "EventHandler", "Connected", "Reconnect", "Data", "Closed",
            "Error", "Timeout" }) do
            assert.is_nil(sock[name], name)
        end
        assert.equal(0, sock.ReadTimeout)
        assert.equal(0, sock.WriteTimeout)
        assert.equal(5, sock.ReconnectTimeout)
        assert.is_false(sock.IsConnected)
        assert.equal(0, sock.BufferLength)
        assert.equal("", sock.PeerAddress)
    end)

    it("2.3 timeouts: seconds, fractions allowed, read back as set", function()
        local sock = TcpSocket.New()
        sock.ReadTimeout, sock.WriteTimeout, sock.ReconnectTimeout = 0.5, 1.25, 2
        assert.equal(0.5, sock.ReadTimeout)
        assert.equal(1.25, sock.WriteTimeout)
        assert.equal(2, sock.ReconnectTimeout)
        assert_all_raise({ "ReadTimeout", "WriteTimeout", "ReconnectTimeout" }, {})
    end)

    it("2.3 read-only: writing IsConnected, BufferLength, PeerAddress raises", function()
        assert_all_raise({ "IsConnected", "BufferLength", "PeerAddress" }, 1)
    end)

    it("2.3 handlers: anything but a function or nil raises", function()
        assert_all_raise({ "EventHandler", "Data", "Error" }, "a text")
    end)

    it("2.3 unknown fields: may be stored on a socket and read back", function()
        local sock, other = TcpSocket.New(), TcpSocket.New()
        assert.is_nil(sock.Name)
        sock.Name = "projector"
        sock[1] = { "queue" }
        assert.equal("projector", sock.Name)
        assert.same({ "queue" }, sock[1])
        assert.is_nil(other.Name)
        sock.Name = nil
        assert.is_nil(sock.Name)
    end)

    it("2.3 PeerAddress: the empty string for a client, connected or not", function()
        local sock, peer = connected({ ReconnectTimeout = 0 })
        assert.equal("", sock.PeerAddress)
        peer:close()
        helper.wait_field(sock, "IsConnected", false)
        assert.equal("", sock.PeerAddress)
    end)
end)
