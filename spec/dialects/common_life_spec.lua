-- Two of the rules common to all dialects, as seen through Q-SYS.
-- dialects.md 1.9 > "garbage collection"; 1.13 > "configure"

local helper = require "spec.helper"
local tools = require "spec.dialects.qsys_tools"
local evsock = helper.evsock
local qsys = require "evsock.qsys"
local TcpSocket, TcpSocketServer = qsys.TcpSocket, qsys.TcpSocketServer
local wait = tools.wait

local collect = helper.collect

local function wait_collected(weak)
    wait(function()
        collect()
        return weak[1] == nil
    end, "the object is collected")
end

after_each(tools.finish)

describe("common rules: garbage collection", function()
    -- Both make the socket in a function of its own, so that no register of the test holds it.
    -- The handler of the first does not reach its socket, that of the second does.
    local function loose(host, port, log)
        local sock = TcpSocket.New()
        log.weak = setmetatable({ sock }, { __mode = "v" })
        sock.EventHandler = function(_, event)
            collectgarbage()
            log[#log + 1] = event
        end
        sock:Connect(host, port)
    end

    local function knotted(host, port, log, settings)
        local sock = TcpSocket.New()
        log.weak = setmetatable({ sock }, { __mode = "v" })
        for name, value in pairs(settings or {}) do
            sock[name] = value
        end
        sock.EventHandler = function(given, event)
            collectgarbage()
            assert(given == sock, "the handler got another socket")
            log[#log + 1] = event
            if log.also then
                log.also(sock, event)
            end
        end
        sock:Connect(host, port)
    end

    it("1.9 dropping the last reference closes the connection silently", function()
        local server, log = helper.server(), {}
        loose("127.0.0.1", server.port, log)
        helper.wait_accepted(server)
        collect()
        helper.wait_state(server.sockets[1], "closed")
        helper.pump_for(0.02)
        assert.is_true(#log == 0 or table.concat(log, " ") == "CONNECTED")
        wait_collected(log.weak)
    end)

    it("1.9 a socket that waits to reconnect and is reachable from nowhere is collected", function()
        local log = {}
        loose("127.0.0.1", helper.free_port(), log)
        wait(function()
            collect()
            return evsock.active() == 0
        end, "nothing is active")
        wait_collected(log.weak)
    end)

    it("1.9 an active socket keeps its handlers, so one that they reach survives", function()
        local server, log = helper.server(), {}
        knotted("127.0.0.1", server.port, log, { ReconnectTimeout = 0 })
        collect()
        wait(function()
            return log[1] and server.sockets[1]
        end, "CONNECTED")
        collect()
        local peer, got = server.sockets[1], nil
        log.also = function(sock, event)
            if event == "DATA" then
                got = sock:Read(100)
            end
        end
        peer:write("still here?")
        wait(function()
            return got
        end, "DATA")
        assert.equal("still here?", got)
        peer:close()
        helper.wait_count(log, 3)
        assert.equal("CONNECTED DATA EOF", table.concat(log, " "))
        wait_collected(log.weak)
    end)

    it("1.9 it survives while it waits to reconnect, and is released by Disconnect", function()
        local log = {}
        log.also = function(sock, event)
            if event == "RECONNECT" then
                sock:Disconnect()
            end
        end
        knotted("127.0.0.1", helper.free_port(), log, { ReconnectTimeout = 0.1 })
        wait(function()
            collect()
            return log[2]
        end, "RECONNECT")
        assert.equal("ERROR RECONNECT", table.concat(log, " "))
        wait_collected(log.weak)
        assert.equal(0, evsock.active())
    end)

    it("1.9 a final failure releases the handlers", function()
        local log = {}
        knotted("127.0.0.1", helper.free_port(), log, { ReconnectTimeout = 0 })
        helper.wait_count(log, 1)
        wait_collected(log.weak)
    end)

    it("1.9 a listening server lives through its handlers, else it is collected", function()
        local port, other, count = helper.free_port(), helper.free_port(), 0
        local weak = setmetatable({}, { __mode = "v" })
        local function listen()
            local kept, dropped = TcpSocketServer.New(), TcpSocketServer.New()
            weak[1], weak[2] = dropped, kept
            kept.EventHandler = function()
                count = count + 1
                kept:Close()
            end
            dropped.EventHandler = function() end
            assert.is_nil(kept:Listen(port))
            assert.is_nil(dropped:Listen(other))
        end
        listen()
        wait_collected(weak)
        local free = helper.track(TcpSocketServer.New())
        assert.is_nil(free:Listen(other))
        helper.connect(port)
        wait(function()
            return count == 1
        end, "the server that its handler reaches")
    end)
end)

describe("common rules: configure", function()
    -- Connects, checks that the connection came to `server`, and disconnects.
    local function assert_reaches(server, host, port)
        local sock = helper.track(TcpSocket.New())
        local before = #server.sockets
        sock:Connect(host, port)
        wait(function()
            return sock.IsConnected and #server.sockets > before
        end, host .. ":" .. tostring(port) .. " reaches the server")
        sock:Disconnect()
    end

    it("1.13 hosts: a name given as an address is not looked up", function()
        local server = helper.server()
        qsys.configure({ hosts = { ["display.test"] = "127.0.0.1" } })
        assert_reaches(server, "display.test", server.port)
    end)

    it("1.13 hosts: a name given as address:port goes to that port", function()
        local server = helper.server()
        qsys.configure({ hosts = { ["device.test"] = "127.0.0.1:" .. server.port } })
        assert_reaches(server, "device.test", 4352)
        assert_reaches(server, "device.test", "23")
    end)

    it("1.13 hosts: the case of names is ignored", function()
        local server = helper.server()
        qsys.configure({ hosts = { ["Mixed.Test"] = "127.0.0.1:" .. server.port } })
        assert_reaches(server, "mIXED.tEST", 1)
    end)

    it("1.13 hosts: false makes the lookup fail at once", function()
        qsys.configure({ hosts = { ["gone.test"] = false } })
        local sock, err = helper.track(TcpSocket.New()), nil
        sock.ReconnectTimeout = 0
        sock.Error = helper.expect(function(_, text)
            err = text
        end, 1)
        sock:Connect("gone.test", 23)
        wait(function()
            return err
        end, "ERROR")
        assert.equal("nodename nor servname provided, or not known", err)
    end)

    it("1.13 hosts: keys may be localhost or address literals", function()
        local server = helper.server()
        local there = "127.0.0.1:" .. server.port
        qsys.configure({ hosts = { localhost = there, ["192.0.2.7"] = there } })
        assert_reaches(server, "localhost", 1)
        assert_reaches(server, "192.0.2.7", 1)
        qsys.configure({ hosts = { localhost = "127.0.0.1" } })
    end)

    it("1.13 ports: apply to every host, after the port was made an integer", function()
        local server = helper.server()
        qsys.configure({
            hosts = { ["other.test"] = "127.0.0.1" },
            ports = { [9990] = server.port },
        })
        assert_reaches(server, "127.0.0.1", 9990)
        assert_reaches(server, "127.0.0.1", 9990 + 0.0)
        assert_reaches(server, "127.0.0.1", "9990")
        assert_reaches(server, "other.test", 9990)
    end)

    it("1.13 ports: do not apply to Listen", function()
        local asked, mapped = helper.free_port(), helper.free_port()
        qsys.configure({ ports = { [asked] = mapped } })
        local server = helper.track(TcpSocketServer.New())
        local accepted = {}
        server.EventHandler = function(sock)
            accepted[#accepted + 1] = sock
        end
        assert.is_nil(server:Listen(asked))
        helper.connect(asked)
        helper.wait_exactly(accepted, 1)
    end)

    it("1.13 a hosts entry with a port wins over ports", function()
        local server = helper.server()
        qsys.configure({
            hosts = { ["both.test"] = "127.0.0.1:" .. server.port },
            ports = { [9991] = helper.free_port() },
        })
        assert_reaches(server, "both.test", 9991)
    end)

    it("1.13 each call replaces the keys it names; others stay", function()
        local one, two = helper.server(), helper.server()
        qsys.configure({ hosts = { ["moving.test"] = "127.0.0.1:" .. one.port } })
        qsys.configure({ ports = { [9992] = two.port }, logger = function() end })
        assert_reaches(one, "moving.test", 1)
        assert_reaches(two, "127.0.0.1", 9992)
        qsys.configure({ hosts = { ["moving.test"] = "127.0.0.1:" .. two.port } })
        assert_reaches(two, "moving.test", 1)
        assert_reaches(two, "127.0.0.1", 9992)
    end)

    it("1.13 mapping is invisible to the script, and holds when it reconnects", function()
        local server = helper.server()
        qsys.configure({ hosts = { ["hidden.test"] = "127.0.0.1:" .. server.port } })
        local sock, reconnected = helper.track(TcpSocket.New()), false
        sock.ReconnectTimeout = 0.05
        sock.Reconnect = helper.expect(function()
            reconnected = true
        end)
        sock:Connect("hidden.test", 4352)
        wait(function()
            return sock.IsConnected and server.sockets[1]
        end, "CONNECTED")
        assert.equal("", sock.PeerAddress)
        assert.is_nil(tostring(sock):find(":" .. server.port, 1, true))
        server.sockets[1]:close()
        wait(function()
            return reconnected and sock.IsConnected and server.sockets[2]
        end, "the way back leads there too")
    end)
end)
