-- Where the dialects disagree, row by row, each column shown by running it.
-- dialects.md 7: a row is an `it` with what the table says; a column is a function of its name.

local helper = require "spec.helper"
local tools = require "spec.dialects.renoise_tools"
local hammerspoon, pharos = require "evsock.hammerspoon", require "evsock.pharos"
local qsys, renoise = require "evsock.qsys", require "evsock.renoise"
local evsock, hs, TcpSocket = helper.evsock, hammerspoon.socket, qsys.TcpSocket
local Socket = renoise.Socket
local env = {}
pharos.install(env)
local net, iomodules = env.net, env.iomodules

local function wait(condition, what)
    return helper.pump_until(condition, 5, what)
end

-- Milliseconds, and seconds, that a call takes at least and at most.
local function assert_took(took, least)
    assert.is_true(took >= least and took < least + 0.5 * helper.slow, "took " .. took)
end

-- A column for each dialect that the row has one of; they run one after the other.
local columns = { "qsys", "pharos", "renoise", "hammerspoon" }

-- `words`: what each of them does.
local function row(text, words, by_dialect)
    it(text, function()
        for _, name in ipairs(columns) do
            local column = by_dialect[name]
            assert(column ~= nil, name .. " is missing")
            -- False: the question does not arise there.
            local ok, problem = true, nil
            if column then
                ok, problem = pcall(column)
            end
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
    helper.wait_field(sock, "BufferLength", #text)
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

-- Pharos ------------------------------------------------------------------------------------------

-- A socket with what its handlers are told, in order.
local function pharos_socket()
    local sock, log = helper.track(net.TcpSocket.new()), {}
    for _, name in ipairs({ "connected", "disconnected", "ready_read", "host_found" }) do
        sock[name .. "_handler"] = function()
            log[#log + 1] = name
        end
    end
    sock.state_changed_handler = function(_, state)
        log[#log + 1] = ("state %d"):format(state)
    end
    sock.error_handler = function(_, number)
        log[#log + 1] = ("error %d"):format(number)
    end
    return sock, log
end

local function pharos_pair(options)
    local server = helper.server(options)
    local sock, log = pharos_socket()
    sock:connect("127.0.0.1", server.port)
    wait(function()
        return log[5] and server.sockets[1]
    end, "a connected net.TcpSocket")
    return sock, server.sockets[1], log, server
end

local function pharos_filled(text)
    local sock, peer = pharos_pair()
    peer:write(text)
    helper.wait_field(sock, "bytes_available", #text)
    return sock
end

-- Hammerspoon -------------------------------------------------------------------------------------

local function hs_end(sock)
    sock:disconnect()
end

-- A socket and what its callback is given: "DATA TAG".
local function hs_socket()
    local log = {}
    local sock = hs.new(function(data, tag)
        log[#log + 1] = data .. " " .. ("%d"):format(tag)
    end)
    return helper.track(sock, hs_end), log
end

local function hs_pair(options)
    local server = helper.server(options)
    local sock, log = hs_socket()
    local connected
    sock:connect("127.0.0.1", server.port, function()
        connected = true
    end)
    wait(function()
        return connected and server.sockets[1]
    end, "a connected hs.socket")
    return sock, server.sockets[1], log, server
end

-- A listening socket: its port, itself, and what its callback is given.
local function hs_listener()
    local listener, log = hs_socket()
    assert.equal(listener, listener:listen(0))
    return listener:info().localPort, listener, log
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

local function wait_hs_end(sock)
    wait(function()
        return not sock:connected()
    end, "the hs.socket is at its end")
end

local function wait_hs_client(listener)
    wait(function()
        return listener:connections() == 1
    end, "the hs.socket has a client")
end

local function assert_closes(peer)
    helper.wait_state(peer, "closed")
end

-- A trace of LuaJIT keeps the upvalues it was recorded with, which is no fault of the library.
local jit = rawget(_G, "jit")

describe("the dialects disagree:", function()
    setup(function()
        if jit then
            jit.off()
            jit.flush()
        end
    end)
    teardown(function()
        if jit then
            jit.on()
        end
    end)

    after_each(function()
        qsys.configure({ hosts = {}, listen_raises = false })
        pharos.configure({ hosts = {} })
        renoise.configure({ hosts = {} })
        hammerspoon.configure({ hosts = {} })
        helper.finish()
    end)

    row("7 model",
        "Q-SYS events, auto reconnect; net Qt signals; Renoise blocking calls, server "
        .. "by callbacks; Hammerspoon queued reads and writes with tags", {
        qsys = function()
            local sock, peer, log = qsys_pair()
            peer:write("x")
            helper.wait_count(log, 2)
            assert.equal("CONNECTED DATA", table.concat(log, " "))
            assert.equal("x", sock:Read(1))
        end,
        pharos = function()
            local sock, peer, log = pharos_pair()
            peer:write("x")
            helper.wait_count(log, 6)
            assert.equal("state 1 state 2 host_found state 3 connected ready_read",
                table.concat(log, " "))
            assert.equal("x", sock:read_string())
        end,
        renoise = function()
            local client = renoise_filled("x")
            assert.equal("x", client:receive("*all", 1000))
            local _, native, _, log = tools.accepted()
            native:write("y")
            helper.wait_count(log, 2)
            assert.equal("message y", log[2])
        end,
        hammerspoon = function()
            local sock, peer, log = hs_pair()
            sock:read(2, 11):read("\n", 12)
            peer:write("abline\n")
            helper.wait_count(log, 2)
            assert.equal("ab 11, line\n 12", table.concat(log, ", "))
        end,
    })

    row("7 time unit",
        "Q-SYS seconds; net milliseconds, in timers only; Renoise milliseconds; "
        .. "Hammerspoon seconds", {
        qsys = function()
            local _, _, log = qsys_pair({ ReadTimeout = 0.05 })
            local began = evsock.now()
            helper.wait_count(log, 2)
            assert_took(evsock.now() - began + 0.01, 0.05)
        end,
        pharos = function()
            local timer = iomodules.Timer.new()
            local fired
            timer.interval, timer.single_shot = 50, true
            timer.timeout_handler = function()
                fired = evsock.now()
            end
            local began = evsock.now()
            timer:start()
            wait(function()
                return fired
            end)
            assert_took(fired - began, 0.05)
        end,
        renoise = function()
            local client = renoise_pair()
            assert_took(tools.timed(client.receive, client, "*line", 50), 0.05)
        end,
        hammerspoon = function()
            local sock = hs_pair()
            local began = evsock.now()
            sock:setTimeout(0.05):read(1)
            wait_hs_end(sock)
            assert_took(evsock.now() - began, 0.05)
        end,
    })

    row("7 no timeout",
        "Q-SYS 0; net n/a; Renoise has none, a number is required; Hammerspoon "
        .. "negative", {
        qsys = function()
            local sock, _, log = qsys_pair({ ReadTimeout = 0.03 })
            sock.ReadTimeout = 0
            helper.pump_for(0.06)
            assert.equal("CONNECTED", table.concat(log, " "))
        end,
        pharos = false,
        renoise = function()
            local client = renoise_pair()
            helper.misuse(function() client:receive("*line") end, "'timeout'")
        end,
        hammerspoon = function()
            local sock = hs_pair()
            sock:setTimeout(-1):read(1)
            helper.pump_for(0.05)
            assert.is_true(sock:connected())
            assert.equal(-1, hs.timeout)
        end,
    })

    row("7 a timeout of 0", "Q-SYS off; net n/a; Renoise looks once; Hammerspoon expires at once", {
        qsys = function()
            local sock, _, log = qsys_pair({ ReadTimeout = 0, WriteTimeout = 0 })
            helper.pump_for(0.02)
            assert.equal("CONNECTED", table.concat(log, " "))
            assert.is_true(sock.IsConnected)
        end,
        pharos = false,
        renoise = function()
            local client, peer = renoise_pair()
            assert.equal("timeout", select(2, client:receive("*all", 0)))
            peer:write("x")
            assert.equal("x", client:receive("*all", 0))
        end,
        hammerspoon = function()
            local sock = hs_pair()
            sock:setTimeout(0):read(1)
            wait_hs_end(sock)
        end,
    })

    row("7 a timeout ends the connection",
        "Q-SYS yes, TIMEOUT; net n/a; Renoise no; Hammerspoon yes, silently", {
        qsys = function()
            local sock, _, log = qsys_pair({ ReadTimeout = 0.02 })
            helper.wait_count(log, 2)
            assert.equal("TIMEOUT", log[2])
            assert.is_false(sock.IsConnected)
        end,
        pharos = false,
        renoise = function()
            local client, peer = renoise_pair()
            assert.equal("timeout", select(2, client:receive("*line", 10)))
            assert.is_true(client.is_open)
            peer:write("later\n")
            assert.equal("later", client:receive("*line", 1000))
        end,
        hammerspoon = function()
            local sock, peer, log = hs_pair()
            sock:setTimeout(0.02):read(1)
            assert_closes(peer)
            assert.is_false(sock:connected())
            assert.equal(0, #log)
        end,
    })

    row("7 connect when busy",
        "Q-SYS starts anew; net error 19, nothing changes; Renoise has no such call; "
        .. "Hammerspoon nil, nothing changes", {
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
        pharos = function()
            local sock, peer, log, server = pharos_pair()
            sock:connect("127.0.0.1", helper.server().port)
            helper.wait_count(log, 6)
            assert.equal("error 19", log[6])
            assert.equal(3, sock.state)
            assert.equal(server.port, sock.remote_port)
            peer:write("x")
            helper.wait_field(sock, "bytes_available", 1)
        end,
        renoise = function()
            assert.is_nil(renoise_pair().connect)
        end,
        hammerspoon = function()
            local sock, peer, log = hs_pair()
            assert.is_nil((sock:connect("127.0.0.1", helper.server().port)))
            sock:read(1)
            peer:write("x")
            helper.wait_count(log, 1)
            assert.is_true(sock:connected())
        end,
    })

    row("7 write when not connected",
        "Q-SYS raises; net returns -1; Renoise raises; Hammerspoon drops it silently", {
        qsys = function()
            local sock = qsys_socket()
            helper.misuse(function() sock:Write("x") end, "not connected")
        end,
        pharos = function()
            local sock, log = pharos_socket()
            assert.equal(-1, sock:write_string("x"))
            helper.pump_for(0.01)
            assert.equal(0, #log)
        end,
        renoise = function()
            local client = renoise_pair()
            client:close()
            helper.misuse(function() client:send("x") end, "the socket is closed")
        end,
        hammerspoon = function()
            local server = helper.server()
            local sock = hs_socket()
            sock:write("dropped")
            sock:connect("127.0.0.1", server.port, function()
                sock:write("kept")
            end)
            wait(function()
                return server.sockets[1] and server.sockets[1].buffered > 0
            end)
            helper.pump_for(0.01)
            assert.equal("kept", server.sockets[1]:read())
        end,
    })

    row("7 write while connecting",
        "Q-SYS raises; net queued; Renoise is never connecting; Hammerspoon queued", {
        qsys = function()
            local server = helper.server()
            local sock = qsys_socket()
            sock:Connect("127.0.0.1", server.port)
            helper.misuse(function() sock:Write("x") end, "not connected")
        end,
        pharos = function()
            local server = helper.server()
            local sock = pharos_socket()
            sock:connect("127.0.0.1", server.port)
            assert.equal(5, sock:write_string("early"))
            helper.wait_arrived(server, 5)
        end,
        renoise = function()
            -- What `create_client` returns is connected.
            assert.is_true(renoise_pair():send("x"))
        end,
        hammerspoon = function()
            local server = helper.server()
            local sock = hs_socket()
            sock:connect("127.0.0.1", server.port)
            sock:write("early")
            helper.wait_arrived(server, 5)
        end,
    })

    row("7 read with nothing there",
        "Q-SYS nil; net ''; Renoise nil, 'timeout'; Hammerspoon waits", {
        qsys = function()
            local sock = qsys_pair()
            assert.is_nil(sock:Read(10))
            assert.is_nil(sock:ReadLine(TcpSocket.EOL.Any))
        end,
        pharos = function()
            local sock = pharos_pair()
            assert.equal("", sock:read_string())
            assert.equal("", sock:read_line_string())
            assert.equal("", sock:read_all_string())
        end,
        renoise = function()
            local data, problem = renoise_pair():receive("*all", 0)
            assert.is_nil(data)
            assert.equal("timeout", problem)
        end,
        hammerspoon = function()
            local sock, peer, log = hs_pair()
            sock:read(3)
            helper.pump_for(0.02)
            assert.equal(0, #log)
            peer:write("abc")
            helper.wait_count(log, 1)
            assert.equal("abc -1", log[1])
        end,
    })

    row("7 newline in a line read", "Q-SYS removed; net kept; Renoise removed; Hammerspoon kept", {
        qsys = function()
            assert.equal("a line", (qsys_filled("a line\r\n")):ReadLine(TcpSocket.EOL.CrLf))
        end,
        pharos = function()
            assert.equal("a line\r\n", (pharos_filled("a line\r\n")):read_line_string())
        end,
        renoise = function()
            assert.equal("a line", (renoise_filled("a line\r\n")):receive("*line", 1000))
        end,
        hammerspoon = function()
            local sock, peer, log = hs_pair()
            sock:read("\n")
            peer:write("a line\r\n")
            helper.wait_count(log, 1)
            assert.equal("a line\r\n -1", log[1])
        end,
    })

    row("7 incomplete line",
        "Q-SYS nil, kept; net returned; Renoise nil, 'timeout', kept; Hammerspoon "
        .. "waits", {
        qsys = function()
            local sock = qsys_filled("half")
            assert.is_nil(sock:ReadLine(TcpSocket.EOL.Any))
            assert.equal("half", sock:Read(10))
        end,
        pharos = function()
            local sock = pharos_filled("half")
            assert.is_false(sock.can_read_line)
            assert.equal("half", sock:read_line_string())
        end,
        renoise = function()
            local client = renoise_filled("half")
            assert.equal("timeout", select(2, client:receive("*line", 10)))
            assert.equal("half", client:receive("*all", 1000))
        end,
        hammerspoon = function()
            local sock, peer, log = hs_pair()
            sock:read("\n")
            peer:write("half")
            helper.pump_for(0.02)
            assert.equal(0, #log)
            peer:write(" done\n")
            helper.wait_count(log, 1)
            assert.equal("half done\n -1", log[1])
        end,
    })

    row("7 line ends", "Q-SYS six kinds; net LF; Renoise LF, CR LF, CR; Hammerspoon any string", {
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
        pharos = function()
            local sock = pharos_filled("a\rb\r\nc\0d\n")
            assert.equal("a\rb\r\n", sock:read_line_string())
            assert.equal("c\0d\n", sock:read_line_string())
        end,
        renoise = function()
            local client = renoise_filled("a\nb\r\nc\rx")
            for _, line in ipairs({ "a", "b", "c" }) do
                assert.equal(line, client:receive("*line", 1000))
            end
            assert.equal("x", client:receive("*all", 0))
        end,
        hammerspoon = function()
            local sock, peer, log = hs_pair()
            sock:read("<>", 1):read("\0", 2):read("\r\n\r\n", 3)
            peer:write("a<>b\0c\r\n\r\n")
            helper.wait_count(log, 3)
            assert.equal("a<> 1, b\0 2, c\r\n\r\n 3", table.concat(log, ", "))
        end,
    })

    row("7 remote close",
        "Q-SYS CLOSED ('EOF'); net error 1 and disconnected; Renoise the next "
        .. "receive: 'disconnected'; Hammerspoon nothing", {
        qsys = function()
            local _, peer, log = qsys_pair()
            peer:close()
            helper.wait_count(log, 2)
            assert.equal("EOF", log[2])
        end,
        pharos = function()
            local _, peer, log = pharos_pair()
            peer:close()
            helper.wait_count(log, 9)
            assert.equal("error 1 state 6 state 0 disconnected", table.concat(log, " ", 6))
        end,
        renoise = function()
            local client, peer = renoise_pair()
            peer:close()
            assert.equal("disconnected", select(2, client:receive("*line", 1000)))
        end,
        hammerspoon = function()
            local sock, peer, log = hs_pair()
            sock:read(1)
            peer:close()
            wait_hs_end(sock)
            helper.pump_for(0.01)
            assert.equal(0, #log)
        end,
    })

    row("7 own disconnect",
        "Q-SYS no event; net states 6, 0, disconnected; Renoise none; Hammerspoon "
        .. "none", {
        qsys = function()
            local sock, peer, log = qsys_pair()
            sock:Disconnect()
            assert_closes(peer)
            assert.equal("CONNECTED", table.concat(log, " "))
        end,
        pharos = function()
            local sock, peer, log = pharos_pair()
            sock:disconnect()
            helper.wait_count(log, 8)
            assert_closes(peer)
            assert.equal("state 6 state 0 disconnected", table.concat(log, " ", 6))
        end,
        renoise = function()
            local client, native, _, log = tools.accepted()
            client:close()
            assert_closes(native)
            assert.equal(1, #log)
        end,
        hammerspoon = function()
            local sock, peer, log = hs_pair()
            sock:read(1)
            sock:disconnect()
            assert_closes(peer)
            assert.equal(0, #log)
        end,
    })

    row("7 flush on disconnect",
        "not on Q-SYS, we do; net yes; Renoise sends are complete already; not on "
        .. "Hammerspoon, we do", {
        qsys = function()
            local sock, peer = qsys_pair(nil, ROOM)
            sock:Write(BIG)
            sock:Disconnect()
            assert_flushed(peer)
        end,
        pharos = function()
            local sock, peer = pharos_pair(ROOM)
            assert.equal(#BIG, sock:write_string(BIG))
            sock:disconnect()
            assert_flushed(peer)
        end,
        renoise = function()
            local client, peer = renoise_pair(ROOM)
            assert.is_true(client:send(BIG))
            client:close()
            assert_flushed(peer)
        end,
        hammerspoon = function()
            local sock, peer = hs_pair(ROOM)
            sock:write(BIG)
            sock:disconnect()
            assert_flushed(peer)
        end,
    })

    row("7 reconnect",
        "Q-SYS by itself, every 5 s; net call connect again; Renoise a new object; "
        .. "Hammerspoon call connect again", {
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
        pharos = function()
            local sock, peer, log, server = pharos_pair()
            peer:close()
            helper.wait_count(log, 9)
            helper.pump_for(0.02)
            assert.equal(1, #server.sockets)
            sock:connect("127.0.0.1", server.port)
            wait(function()
                return sock.state == 3 and server.sockets[2]
            end)
        end,
        renoise = function()
            local client, peer, server = renoise_pair()
            peer:close()
            assert.equal("disconnected", select(2, client:receive("*line", 1000)))
            helper.pump_for(0.02)
            assert.equal(1, #server.sockets)
            assert(helper.track(Socket.create_client("127.0.0.1", server.port)))
        end,
        hammerspoon = function()
            local sock, peer, _, server = hs_pair()
            peer:close()
            wait_hs_end(sock)
            helper.pump_for(0.02)
            assert.equal(1, #server.sockets)
            assert.equal(sock, sock:connect("127.0.0.1", server.port))
            wait(function()
                return sock:connected() and server.sockets[2]
            end)
        end,
    })

    row("7 listen failure",
        "Q-SYS returns a text (newer: raises); net false; Renoise nil and a text; "
        .. "Hammerspoon nil, and server() hides it", {
        qsys = function()
            local _, port = qsys_server()
            local other = helper.track(qsys.TcpSocketServer.New())
            assert.equal("string", type(other:Listen(port)))
            qsys.configure({ listen_raises = true })
            helper.misuse(function() other:Listen(port) end, "Could not bind")
        end,
        pharos = function()
            local server = helper.track(net.TcpServer.new())
            assert.is_true(server:listen(0))
            local other = helper.track(net.TcpServer.new())
            assert.is_false(other:listen(server.port))
        end,
        renoise = function()
            local server = tools.server()
            local other, problem = Socket.create_server("localhost", server.local_port)
            assert.is_nil(other)
            assert.equal("string", type(problem))
        end,
        hammerspoon = function()
            local port = hs_listener()
            assert.is_nil((hs_socket():listen(port)))
            local hidden = helper.track(hs.server(port), hs_end)
            assert.equal("userdata", type(hidden))
            assert.equal("", hidden:info().userData)
        end,
    })

    row("7 accepted client",
        "Q-SYS an object, by handler; net an object, by asking; Renoise an object, by "
        .. "callback; Hammerspoon no object", {
        qsys = function()
            local _, port, accepted = qsys_server()
            helper.connect(port)
            helper.wait_count(accepted, 1)
            assert.is_true(accepted[1].IsConnected)
        end,
        pharos = function()
            local server, told = helper.track(net.TcpServer.new()), 0
            server.new_connection_handler = function()
                told = told + 1
            end
            assert.is_true(server:listen(0))
            helper.connect(server.port)
            wait(function()
                return told == 1
            end)
            local client = helper.track(server:next_pending_connection())
            assert.equal(3, client.state)
            assert.is_nil((server:next_pending_connection()))
        end,
        renoise = function()
            local client = tools.accepted()
            assert.is_true(client.is_open)
        end,
        hammerspoon = function()
            local port, listener, log = hs_listener()
            local native = helper.connect(port)
            wait_hs_client(listener)
            listener:read("\n")
            native:write("from whom?\n")
            helper.wait_count(log, 1)
            assert.equal("from whom?\n -1", log[1])
        end,
    })

    row("7 closing the server",
        "Q-SYS clients stay; net clients stay until it is collected; Renoise clients "
        .. "close; Hammerspoon clients close", {
        qsys = function()
            local server, port, accepted = qsys_server()
            local native = helper.connect(port)
            helper.wait_count(accepted, 1)
            server:Close()
            helper.pump_for(0.02)
            assert.is_true(accepted[1].IsConnected)
            accepted[1]:Write("still here")
            helper.wait_field(native, "buffered", 10)
            accepted[1]:Disconnect()
        end,
        pharos = function()
            local native, client
            local function accept()
                -- Not tracked: that would keep it.
                local server = net.TcpServer.new()
                assert.is_true(server:listen(0))
                native = helper.connect(server.port)
                helper.wait_field(server, "has_pending_connections", true)
                client = server:next_pending_connection()
                server:close()
                client:write_string("still here")
                helper.wait_field(native, "buffered", 10)
            end
            accept()
            assert.equal(3, client.state)
            wait(function()
                collectgarbage()
                collectgarbage()
                return native.state == "closed"
            end, "the client dies with its server")
        end,
        renoise = function()
            local client, native, server = tools.accepted()
            server:close()
            assert.is_false(client.is_open)
            assert_closes(native)
        end,
        hammerspoon = function()
            local port, listener = hs_listener()
            local native = helper.connect(port)
            wait_hs_client(listener)
            listener:disconnect()
            assert_closes(native)
        end,
    })

    row("7 constructor", "Q-SYS New; net new; Renoise factory functions; Hammerspoon new", {
        qsys = function()
            assert.equal("userdata", type(TcpSocket.New()))
            assert.equal("userdata", type(TcpSocket:New()))
        end,
        pharos = function()
            assert.equal("userdata", type(net.TcpSocket.new()))
            assert.equal("userdata", type(net.TcpServer.new()))
        end,
        renoise = function()
            assert.equal("userdata", type((renoise_pair())))
            assert.equal("userdata", type((tools.server())))
            assert.is_nil(Socket.new)
        end,
        hammerspoon = function()
            assert.equal("userdata", type(hs.new()))
        end,
    })

    row("7 name lookups fail",
        "Q-SYS ERROR with getaddrinfo's text; net error 2; Renoise nil and a text; "
        .. "Hammerspoon silence", {
        qsys = function()
            qsys.configure({ hosts = { ["gone.test"] = false } })
            local sock, log = qsys_socket()
            sock:Connect("gone.test", 80)
            helper.wait_count(log, 1)
            assert.equal("nodename nor servname provided, or not known", log.errors.ERROR)
        end,
        pharos = function()
            pharos.configure({ hosts = { ["gone.test"] = false } })
            local sock, log = pharos_socket()
            sock:connect("gone.test", 80)
            helper.wait_count(log, 3)
            assert.equal("state 1 state 0 error 2", table.concat(log, " "))
        end,
        renoise = function()
            renoise.configure({ hosts = { ["gone.test"] = false } })
            local client, problem = Socket.create_client("gone.test", 80)
            assert.is_nil(client)
            assert.equal("string", type(problem))
        end,
        hammerspoon = function()
            hammerspoon.configure({ hosts = { ["gone.test"] = false } })
            local sock, log = hs_socket()
            assert.equal(sock, sock:connect("gone.test", 80, helper.never("connected")))
            helper.pump_for(0.03)
            assert.is_false(sock:connected())
            assert.equal(0, #log)
        end,
    })

    row("7 state seen in handlers",
        "Q-SYS sequenced; net sequenced; Renoise on use; Hammerspoon live", {
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
            helper.wait_count(log, 3)
            assert.is_true(seen)
        end,
        pharos = function()
            local sock, peer, log = pharos_pair()
            local seen
            sock.ready_read_handler = function()
                seen = sock.state
            end
            peer:write("last words")
            peer:close()
            tools.compute(0.03)
            helper.wait_count(log, 9)
            assert.equal(3, seen)
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
        hammerspoon = function()
            local sock, peer = hs_pair()
            local seen
            sock:setCallback(function()
                seen = { sock:connected() }
            end)
            sock:read("\n")
            peer:write("last line\n")
            peer:close()
            wait(function()
                return seen
            end)
            assert.same({ false }, seen)
        end,
    })
end)
