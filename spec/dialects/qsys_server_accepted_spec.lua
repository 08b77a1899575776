-- Q-SYS sockets that a TcpSocketServer accepted, over the wire.
-- dialects.md 3 (EventHandler and the socket given) > "accepted sockets", "life"

local helper = require "spec.helper"
local tools = require "spec.dialects.qsys_tools"
local evsock = helper.evsock
local qsys = require "evsock.qsys"
local TcpSocket = qsys.TcpSocket
local new_server, listening, wait, wait_state =
    tools.server, tools.listening, tools.wait, tools.wait_state

local function note_events(sock, log)
    sock.EventHandler = function(given, event)
        collectgarbage()
        assert(given == sock, "the handler got another socket")
        log[#log + 1] = event
    end
end

after_each(helper.finish)

describe("Q-SYS TcpSocketServer: accepted sockets", function()
    it("3 EventHandler: gets one argument, a ready, connected TcpSocket", function()
        local seen
        local server, port = new_server(helper.expect(function(...)
            local sock = ...
            helper.track(sock)
            seen = { count = select("#", ...), connected = sock.IsConnected, sock = sock }
            sock:Write("welcome")
        end, 1)), helper.free_port()
        server:Listen(port)
        local client = helper.connect(port)
        helper.wait_field(client, "buffered", 7)
        assert.equal(1, seen.count)
        assert.is_true(seen.connected)
        assert.equal(getmetatable(TcpSocket.New()), getmetatable(seen.sock))
        assert.equal(0, seen.sock.ReadTimeout)
    end)

    it("3 accepted socket: the same object in its own handlers; no CONNECTED comes", function()
        local log = {}
        local _, port = listening(function(sock)
            note_events(sock, log)
            sock.Connected = helper.never("Connected of an accepted socket")
        end)
        local client = helper.connect(port)
        client:write("hello")
        helper.wait_count(log, 1)
        assert.equal("DATA", table.concat(log, " "))
    end)

    it("3 accepted socket: never a RECONNECT", function()
        local log = {}
        local _, port, accepted = listening(function(sock)
            sock.ReconnectTimeout = 0.05
            note_events(sock, log)
        end)
        local closing, breaking = helper.connect(port), helper.connect(port)
        wait(function()
            return #accepted == 2 and closing.state == "open" and breaking.state == "open"
        end, "two clients")
        closing:close()
        helper.wait_exactly(log, 1)
        breaking:abort()
        helper.wait_exactly(log, 2)
        helper.pump_for(0.2)
        assert.equal("EOF ERROR", table.concat(log, " "))
    end)

    it("3 accepted socket: its ReadTimeout gives TIMEOUT and the client is cut off", function()
        local log = {}
        local _, port = listening(function(sock)
            sock.ReadTimeout = 0.05
            note_events(sock, log)
        end)
        local client = helper.connect(port)
        helper.wait_count(log, 1)
        assert.equal("TIMEOUT", log[1])
        wait_state(client, "closed")
    end)

    it("3 PeerAddress: the client's IP, without port", function()
        local _, port, accepted = listening()
        helper.connect(port)
        helper.wait_count(accepted, 1)
        assert.equal("127.0.0.1", accepted[1].PeerAddress)
    end)

    it("3 data that came with the connection: DATA after the handler has returned", function()
        local log, inside = {}, nil
        local _, port, accepted = listening(function(sock)
            note_events(sock, log)
            inside = sock.BufferLength
        end)
        local client = helper.connect(port)
        client:write("first words")
        -- The I/O thread connects, accepts and reads meanwhile; nothing is told before pump.
        local stop = evsock.now() + 0.05
        repeat
            collectgarbage("step")
        until evsock.now() >= stop
        helper.wait_count(log, 1)
        assert.equal("DATA", log[1])
        assert.equal(0, inside)
        assert.equal("first words", accepted[1]:Read(100))
    end)

    it("3 no EventHandler: connections are accepted and closed at once", function()
        local server, port = new_server(nil), helper.free_port()
        server:Listen(port)
        local client = helper.connect(port)
        client.on_connect = helper.expect(function() end, 1)
        client.on_close = helper.expect(function() end, 1)
        wait_state(client, "closed")
    end)

    it("3 many clients: each gets its own socket", function()
        local _, port, accepted = listening(function(sock)
            sock.Data = function(given)
                given:Write(given:Read(given.BufferLength))
            end
        end)
        local clients = {}
        for i = 1, 10 do
            clients[i] = helper.connect(port)
            clients[i]:write(("client %02d"):format(i))
        end
        for i = 1, 10 do
            helper.wait_field(clients[i], "buffered", 9)
            assert.equal(("client %02d"):format(i), clients[i]:read())
        end
        assert.equal(10, #accepted)
    end)
end)

describe("Q-SYS TcpSocketServer: life", function()
    local collect = helper.collect

    -- A server whose handler keeps the accepted socket nowhere; `prepare` may give it a handler.
    local function careless(prepare)
        local weak, count = setmetatable({}, { __mode = "v" }), 0
        local port = helper.free_port()
        local server = new_server(function(sock)
            count = count + 1
            weak[1] = sock
            prepare(sock)
        end)
        assert.is_nil(server:Listen(port))
        local client = helper.connect(port)
        wait(function()
            return count == 1 and client.state ~= "connecting"
        end, "a client")
        return client, weak
    end

    it("3 life: an open socket with a handler lives, kept by the script or not", function()
        local got
        local client = careless(function(sock)
            sock.Data = function(given)
                got = given:Read(100)
            end
        end)
        collect()
        client:write("alive")
        wait(function()
            return got
        end, "DATA of a socket that nobody keeps")
        assert.equal("alive", got)
        assert.equal("open", client.state)
    end)

    it("3 life: without a handler it is collected when nothing refers to it", function()
        local client = careless(function() end)
        collect()
        wait_state(client, "closed")
    end)

    it("3 life: once closed it is collected", function()
        local closed = false
        local client, weak = careless(function(sock)
            sock.EventHandler = function(_, event)
                closed = sock ~= nil and event == TcpSocket.Events.Closed
            end
        end)
        client:close()
        wait(function()
            return closed
        end, "CLOSED")
        wait(function()
            collect()
            return weak[1] == nil
        end, "the socket is collected")
    end)

    it("3 life: the server may be closed in its own handler", function()
        local server
        local port, count = helper.free_port(), 0
        server = new_server(function(sock)
            helper.track(sock)
            count = count + 1
            server:Close()
        end)
        server:Listen(port)
        helper.connect(port)
        wait(function()
            return count == 1
        end, "the first client")
        helper.pump_for(0.02)
        assert.equal(1, count)
    end)
end)
