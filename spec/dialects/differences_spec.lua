-- Where the dialects disagree, row by row, each column shown by running it.
-- dialects.md 7: a row is an `it` with what the table says; a column is a function of its name.

local helper = require "spec.helper"
local tools = require "spec.dialects.renoise_tools"
local qsys = require "evsock.qsys"
local renoise = require "evsock.renoise"
local evsock = helper.evsock
local Socket = renoise.Socket
local TcpSocket = qsys.TcpSocket

local function wait(condition, what)
    return helper.pump_until(condition, 5, what)
end

-- Milliseconds, and seconds, that a call takes at least and at most.
local function assert_took(took, least)
    assert.is_true(took >= least and took < least + 0.5 * helper.slow, "took " .. took)
end

-- A column for each dialect that the row has one of; they run one after the other.
local columns = { "qsys", "renoise" }

-- `words`: what each of them does.
local function row(text, words, by_dialect)
    it(text, function()
        for _, name in ipairs(columns) do
            local ok, problem = pcall(assert(by_dialect[name], name .. " is missing"))
            if not ok then
                error(("%s (%s)\n%s: %s"):format(text, words, name, tostring(problem)), 0)
            end
        end
    end)
end

-- Q-SYS -------------------------------------------------------------------------------------------

-- A socket with the names of its events in order; `errors` are the texts of the last of each.
local function qsys_socket(settings)
    local sock, log = helper.track(TcpSocket.New()), { errors = {} }
    sock.ReconnectTimeout = 0
    for name, value in pairs(settings or {}) do
        sock[name] = value
    end
    sock.EventHandler = function(_, event, problem)
        log[#log + 1] = event
        log.errors[event] = problem
        if log.also then
            log.also(event)
        end
    end
    return sock, log
end

local function qsys_pair(settings, options)
    local server = helper.server(options)
    local sock, log = qsys_socket(settings)
    sock:Connect("127.0.0.1", server.port)
    wait(function()
        return sock.IsConnected and server.sockets[1]
    end, "a connected Q-SYS socket")
    return sock, server.sockets[1], log, server
end

local function qsys_filled(text)
    local sock, peer, log = qsys_pair()
    peer:write(text)
    wait(function()
        return sock.BufferLength == #text
    end)
    return sock, peer, log
end

-- A listening server of Q-SYS, its port, and what it has accepted.
local function qsys_server()
    local server, port = helper.track(qsys.TcpSocketServer.New()), helper.free_port()
    local accepted = {}
    server.EventHandler = function(sock)
        accepted[#accepted + 1] = sock
        sock.EventHandler = function() end
    end
    assert.is_nil(server:Listen(port))
    return server, port, accepted
end

-- Renoise -----------------------------------------------------------------------------------------

local renoise_pair = tools.client

local function renoise_filled(text)
    local client, peer = renoise_pair()
    peer:write(text)
    return client, peer
end

local BIG = ("x"):rep(4 * 1024 * 1024)
local ROOM = { read_limit = 32 * 1024 * 1024 }

-- Whether the peer gets all of BIG and then the end.
local function assert_flushed(peer)
    helper.pump_until(function()
        return peer.state == "closed"
    end, 5 * helper.slow, "the end")
    assert.equal(#BIG, #peer:read())
end

local function assert_closes(peer)
    wait(function()
        return peer.state == "closed"
    end, "the peer sees the end")
end

describe("the dialects disagree:", function()
    after_each(function()
        qsys.configure({ hosts = {}, listen_raises = false })
        renoise.configure({ hosts = {} })
        helper.finish()
    end)

    row("7 model", "Q-SYS events; Renoise blocking calls, and a server by callbacks", {
        qsys = function()
            local sock, peer, log = qsys_pair()
            peer:write("x")
            wait(function()
                return log[2]
            end)
            assert.equal("CONNECTED DATA", table.concat(log, " "))
            assert.equal("x", sock:Read(1))
        end,
        renoise = function()
            local client = renoise_filled("x")
            assert.equal("x", client:receive("*all", 1000))
            local _, native, _, log = tools.accepted()
            native:write("y")
            wait(function()
                return log[2]
            end)
            assert.equal("message y", log[2])
        end,
    })

    row("7 time unit", "Q-SYS seconds; Renoise milliseconds", {
        qsys = function()
            local _, _, log = qsys_pair({ ReadTimeout = 0.05 })
            local began = evsock.now()
            wait(function()
                return log[2]
            end)
            assert_took(evsock.now() - began + 0.01, 0.05)
        end,
        renoise = function()
            local client = renoise_pair()
            assert_took(tools.timed(client.receive, client, "*line", 50), 0.05)
        end,
    })

    row("7 no timeout", "Q-SYS 0; Renoise has none, a number is required", {
        qsys = function()
            local sock, _, log = qsys_pair({ ReadTimeout = 0.03 })
            sock.ReadTimeout = 0
            helper.pump_for(0.06)
            assert.equal("CONNECTED", table.concat(log, " "))
        end,
        renoise = function()
            local client = renoise_pair()
            helper.misuse(function() client:receive("*line") end, "'timeout'")
        end,
    })

    row("7 a timeout of 0", "Q-SYS off; Renoise looks once", {
        qsys = function()
            local sock, _, log = qsys_pair({ ReadTimeout = 0, WriteTimeout = 0 })
            helper.pump_for(0.02)
            assert.equal("CONNECTED", table.concat(log, " "))
            assert.is_true(sock.IsConnected)
        end,
        renoise = function()
            local client, peer = renoise_pair()
            assert.equal("timeout", select(2, client:receive("*all", 0)))
            peer:write("x")
            assert.equal("x", client:receive("*all", 0))
        end,
    })

    row("7 a timeout ends the connection", "Q-SYS yes, TIMEOUT; Renoise no", {
        qsys = function()
            local sock, _, log = qsys_pair({ ReadTimeout = 0.02 })
            wait(function()
                return log[2]
            end)
            assert.equal("TIMEOUT", log[2])
            assert.is_false(sock.IsConnected)
        end,
        renoise = function()
            local client, peer = renoise_pair()
            assert.equal("timeout", select(2, client:receive("*line", 10)))
            assert.is_true(client.is_open)
            peer:write("later\n")
            assert.equal("later", client:receive("*line", 1000))
        end,
    })

    row("7 connect when busy", "Q-SYS starts anew; Renoise has no such call", {
        qsys = function()
            local sock, peer, log = qsys_pair()
            local other = helper.server()
            sock:Connect("127.0.0.1", other.port)
            wait(function()
                return other.sockets[1] and sock.IsConnected
            end)
            assert_closes(peer)
            assert.equal("CONNECTED CONNECTED", table.concat(log, " "))
        end,
        renoise = function()
            assert.is_nil(renoise_pair().connect)
        end,
    })

    row("7 write when not connected", "Q-SYS raises; Renoise raises", {
        qsys = function()
            local sock = qsys_socket()
            helper.misuse(function() sock:Write("x") end, "not connected")
        end,
        renoise = function()
            local client = renoise_pair()
            client:close()
            helper.misuse(function() client:send("x") end, "the socket is closed")
        end,
    })

    row("7 write while connecting", "Q-SYS raises; Renoise is never connecting", {
        qsys = function()
            local server = helper.server()
            local sock = qsys_socket()
            sock:Connect("127.0.0.1", server.port)
            helper.misuse(function() sock:Write("x") end, "not connected")
        end,
        renoise = function()
            -- What `create_client` returns is connected.
            assert.is_true(renoise_pair():send("x"))
        end,
    })

    row("7 read with nothing there", "Q-SYS nil; Renoise nil, 'timeout'", {
        qsys = function()
            local sock = qsys_pair()
            assert.is_nil(sock:Read(10))
            assert.is_nil(sock:ReadLine(TcpSocket.EOL.Any))
        end,
        renoise = function()
            local data, problem = renoise_pair():receive("*all", 0)
            assert.is_nil(data)
            assert.equal("timeout", problem)
        end,
    })

    row("7 newline in a line read", "Q-SYS removed; Renoise removed", {
        qsys = function()
            assert.equal("a line", (qsys_filled("a line\r\n")):ReadLine(TcpSocket.EOL.CrLf))
        end,
        renoise = function()
            assert.equal("a line", (renoise_filled("a line\r\n")):receive("*line", 1000))
        end,
    })

    row("7 incomplete line", "Q-SYS nil, kept; Renoise nil, 'timeout', kept", {
        qsys = function()
            local sock = qsys_filled("half")
            assert.is_nil(sock:ReadLine(TcpSocket.EOL.Any))
            assert.equal("half", sock:Read(10))
        end,
        renoise = function()
            local client = renoise_filled("half")
            assert.equal("timeout", select(2, client:receive("*line", 10)))
            assert.equal("half", client:receive("*all", 1000))
        end,
    })

    row("7 line ends", "Q-SYS six kinds; Renoise LF, CR LF, CR", {
        qsys = function()
            local EOL = TcpSocket.EOL
            local kinds = { Any = "\r\n\r", CrLf = "\n", CrLfStrict = "\r\n", Lf = "\n",
                Null = "\0", Custom = "<>" }
            local count = 0
            for name, kind in pairs(EOL) do
                count = count + 1
                local sock = qsys_filled("line" .. kinds[name] .. "x")
                assert.equal("line", sock:ReadLine(kind, "<>"))
                assert.equal("x", sock:Read(10))
            end
            assert.equal(6, count)
        end,
        renoise = function()
            local client = renoise_filled("a\nb\r\nc\rx")
            for _, line in ipairs({ "a", "b", "c" }) do
                assert.equal(line, client:receive("*line", 1000))
            end
            assert.equal("x", client:receive("*all", 0))
        end,
    })

    row("7 remote close", "Q-SYS CLOSED ('EOF'); Renoise the next receive: 'disconnected'", {
        qsys = function()
            local _, peer, log = qsys_pair()
            peer:close()
            wait(function()
                return log[2]
            end)
            assert.equal("EOF", log[2])
        end,
        renoise = function()
            local client, peer = renoise_pair()
            peer:close()
            assert.equal("disconnected", select(2, client:receive("*line", 1000)))
        end,
    })

    row("7 own disconnect", "Q-SYS no event; Renoise none", {
        qsys = function()
            local sock, peer, log = qsys_pair()
            sock:Disconnect()
            assert_closes(peer)
            assert.equal("CONNECTED", table.concat(log, " "))
        end,
        renoise = function()
            local client, native, _, log = tools.accepted()
            client:close()
            assert_closes(native)
            assert.equal(1, #log)
        end,
    })

    row("7 flush on disconnect", "not on Q-SYS, we do; Renoise sends are complete already", {
        qsys = function()
            local sock, peer = qsys_pair(nil, ROOM)
            sock:Write(BIG)
            sock:Disconnect()
            assert_flushed(peer)
        end,
        renoise = function()
            local client, peer = renoise_pair(ROOM)
            assert.is_true(client:send(BIG))
            client:close()
            assert_flushed(peer)
        end,
    })

    row("7 reconnect", "Q-SYS by itself, every 5 s; Renoise a new object", {
        qsys = function()
            assert.equal(5, TcpSocket.New().ReconnectTimeout)
            local sock, peer, log, server = qsys_pair({ ReconnectTimeout = 0.02 })
            peer:close()
            wait(function()
                return log[4] and server.sockets[2]
            end)
            assert.equal("CONNECTED EOF RECONNECT CONNECTED", table.concat(log, " "))
            sock:Disconnect()
        end,
        renoise = function()
            local client, peer, server = renoise_pair()
            peer:close()
            assert.equal("disconnected", select(2, client:receive("*line", 1000)))
            helper.pump_for(0.02)
            assert.equal(1, #server.sockets)
            assert(helper.track(Socket.create_client("127.0.0.1", server.port)))
        end,
    })

    row("7 listen failure", "Q-SYS returns a text (newer: raises); Renoise nil and a text", {
        qsys = function()
            local _, port = qsys_server()
            local other = helper.track(qsys.TcpSocketServer.New())
            assert.equal("string", type(other:Listen(port)))
            qsys.configure({ listen_raises = true })
            helper.misuse(function() other:Listen(port) end, "Could not bind")
        end,
        renoise = function()
            local server = tools.server()
            local other, problem = Socket.create_server("localhost", server.local_port)
            assert.is_nil(other)
            assert.equal("string", type(problem))
        end,
    })

    row("7 accepted client", "Q-SYS an object, by handler; Renoise an object, by callback", {
        qsys = function()
            local _, port, accepted = qsys_server()
            helper.connect(port)
            wait(function()
                return accepted[1]
            end)
            assert.is_true(accepted[1].IsConnected)
        end,
        renoise = function()
            local client = tools.accepted()
            assert.is_true(client.is_open)
        end,
    })

    row("7 closing the server", "Q-SYS clients stay; Renoise clients close", {
        qsys = function()
            local server, port, accepted = qsys_server()
            local native = helper.connect(port)
            wait(function()
                return accepted[1]
            end)
            server:Close()
            helper.pump_for(0.02)
            assert.is_true(accepted[1].IsConnected)
            accepted[1]:Write("still here")
            wait(function()
                return native.buffered == 10
            end)
            accepted[1]:Disconnect()
        end,
        renoise = function()
            local client, native, server = tools.accepted()
            server:close()
            assert.is_false(client.is_open)
            assert_closes(native)
        end,
    })

    row("7 constructor", "Q-SYS New; Renoise factory functions", {
        qsys = function()
            assert.equal("userdata", type(TcpSocket.New()))
            assert.equal("userdata", type(TcpSocket:New()))
        end,
        renoise = function()
            assert.equal("userdata", type((renoise_pair())))
            assert.equal("userdata", type((tools.server())))
            assert.is_nil(Socket.new)
        end,
    })

    row("7 name lookups fail", "Q-SYS ERROR with getaddrinfo's text; Renoise nil and a text", {
        qsys = function()
            qsys.configure({ hosts = { ["gone.test"] = false } })
            local sock, log = qsys_socket()
            sock:Connect("gone.test", 80)
            wait(function()
                return log[1]
            end)
            assert.equal("nodename nor servname provided, or not known", log.errors.ERROR)
        end,
        renoise = function()
            renoise.configure({ hosts = { ["gone.test"] = false } })
            local client, problem = Socket.create_client("gone.test", 80)
            assert.is_nil(client)
            assert.equal("string", type(problem))
        end,
    })

    row("7 state seen in handlers", "Q-SYS sequenced; Renoise on use", {
        qsys = function()
            local sock, peer, log = qsys_pair()
            local seen
            log.also = function(event)
                if event == "DATA" then
                    seen = sock.IsConnected
                end
            end
            peer:write("last words")
            peer:close()
            tools.compute(0.03)
            wait(function()
                return log[3]
            end)
            assert.is_true(seen)
        end,
        renoise = function()
            local client, peer = renoise_filled("last words")
            peer:close()
            helper.pump_for(0.03)
            assert.is_true(client.is_open)
            assert.equal("last words", client:receive("*all", 1000))
            assert.is_true(client.is_open)
            client:receive("*all", 1000)
            assert.is_false(client.is_open)
        end,
    })
end)
