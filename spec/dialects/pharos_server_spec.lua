-- Pharos TcpServer, over the wire.
-- dialects.md 4.6 > "listening", "connections", "collection"

local helper = require "spec.helper"
local evsock = helper.evsock
local kit = require "spec.dialects.pharos_tools"
local pharos = require "evsock.pharos"
local TcpServer = pharos.net.TcpServer

local wait = kit.wait

after_each(helper.finish)

-- A server that only counts, and its clients as they are asked for.
local function counting()
    local server = helper.track(TcpServer.new())
    local record = { calls = 0 }
    server.new_connection_handler = function(given)
        collectgarbage()
        assert(given == server)
        record.calls = record.calls + 1
    end
    assert.is_true(server:listen(0))
    function record.client()
        return helper.connect(server.port)
    end
    return server, record
end

describe("Pharos TcpServer: listening", function()
    it("4.6 new: listens nowhere", function()
        local server = TcpServer.new()
        assert.is_false(server.listening)
        assert.equal(0, server.port)
        assert.is_false(server.has_pending_connections)
        assert.equal("string", type(server.error_string))
    end)

    it("4.6 listen(port): true, and it listens on that port", function()
        local port = helper.free_port()
        local server = helper.track(TcpServer.new())
        assert.is_true(server:listen(port))
        assert.is_true(server.listening)
        assert.equal(port, server.port)
    end)

    it("4.6 listen(0) picks a port", function()
        local server = helper.track(TcpServer.new())
        assert.is_true(server:listen(0))
        assert.is_true(server.port > 0)
    end)

    it("4.6 listen: false when the port is taken, and error_string says so", function()
        local record = helper.server()
        local server = helper.track(TcpServer.new())
        assert.is_false(server:listen(record.port))
        assert.is_false(server.listening)
        assert.equal(0, server.port)
        assert.equal("The bound address is already in use", server.error_string)
    end)

    it("4.6 listen while it listens: false, and it goes on", function()
        local server = helper.track(TcpServer.new())
        assert.is_true(server:listen(0))
        local port = server.port
        assert.is_false(server:listen(0))
        assert.equal(port, server.port)
    end)

    it("4.6 listen: a port that is none raises at the caller's line", function()
        local s = TcpServer.new()
        helper.misuse(function() s:listen(70000) end, "bad argument 'port' to 'listen'")
        helper.misuse(function() s:listen() end, "bad argument 'port' to 'listen'")
    end)

    it("1.8 listen takes the port as a float and as a numeric string", function()
        for _, convert in ipairs { function(p) return p + 0.0 end, tostring } do
            local server = helper.track(TcpServer.new())
            local port = helper.free_port()
            assert.is_true(server:listen(convert(port)))
            assert.equal(port, server.port)
            server:close()
        end
    end)

    it("4.6 listen_async: cb(server, result, error) from pump", function()
        local server = helper.track(TcpServer.new())
        local given, result, problem = kit.answer(server, "listen_async", 0)
        assert.equal(server, given)
        assert.is_true(result)
        assert.is_nil(problem)
        assert.is_true(server.listening)
    end)

    it("4.6 listen_async: the result is false for a taken port", function()
        local record = helper.server()
        local server = helper.track(TcpServer.new())
        local _, result = kit.answer(server, "listen_async", record.port)
        assert.is_false(result)
    end)

    it("4.6 close: stops listening, and the port is free", function()
        local server = counting()
        local port = server.port
        server:close()
        assert.is_false(server.listening)
        assert.equal(0, server.port)
        assert(evsock.listen("127.0.0.1", port)):close()
    end)

    it("4.6 after close it may listen again", function()
        local server, record = counting()
        server:close()
        assert.is_true(server:listen(0))
        record.client()
        wait(function()
            return record.calls == 1
        end, "a connection")
    end)

    it("4.6 close before listen does nothing", function()
        TcpServer.new():close()
    end)

    it("4.6 its properties are read-only, but for max_pending_connections", function()
        local server = TcpServer.new()
        for _, name in ipairs { "listening", "port", "has_pending_connections", "error_string" } do
            assert.has_error(function()
                server[name] = 1
            end)
        end
        server.max_pending_connections = 5
        assert.equal(5, server.max_pending_connections)
    end)

    it("4.6 a method without its server raises", function()
        local s, other = TcpServer.new(), pharos.net.TcpSocket.new()
        helper.misuse(function() s.next_pending_connection(other) end, "TcpServer")
    end)
end)

describe("Pharos TcpServer: connections", function()
    it("4.6 new_connection_handler(server): one call per new connection", function()
        local server, record = counting()
        for count = 1, 3 do
            record.client()
            wait(function()
                return record.calls == count
            end, "connection " .. count)
        end
        helper.pump_for(0.02)
        assert.equal(3, record.calls)
        assert.is_true(server.has_pending_connections)
    end)

    it("4.6 new_connect_handler is tolerated", function()
        local server = helper.track(TcpServer.new())
        server.new_connect_handler = helper.expect(1)
        server:listen(0)
        helper.connect(server.port)
        helper.wait_field(server, "has_pending_connections", true)
        helper.pump_for(0.01)
    end)

    it("4.6 new_connection_handler comes before new_connect_handler", function()
        local server = helper.track(TcpServer.new())
        server.new_connection_handler = helper.expect(1)
        server.new_connect_handler = helper.never("new_connect_handler")
        server:listen(0)
        helper.connect(server.port)
        helper.pump_for(0.03)
    end)

    it("4.6 next_pending_connection: a TcpSocket in state 3, else nil", function()
        local server, record = counting()
        assert.is_nil(server:next_pending_connection())
        local client = record.client()
        helper.wait_field(server, "has_pending_connections", true)
        local socket = helper.track(server:next_pending_connection())
        assert.equal("TcpSocket", getmetatable(socket).__type)
        assert.equal(3, socket.state)
        assert.is_true(socket.valid)
        assert.equal(3, socket.open_mode)
        helper.wait_state(client, "open")
        assert.equal(client.local_port, socket.remote_port)
        assert.equal("127.0.0.1", socket.remote_address)
        assert.equal(server.port, socket.local_port)
        assert.is_false(server.has_pending_connections)
        assert.is_nil(server:next_pending_connection())
    end)

    it("4.6 connections are given in the order in which they came", function()
        local server, record = counting()
        local ports = {}
        for count = 1, 3 do
            local client = record.client()
            wait(function()
                return record.calls == count and client.local_port
            end, "connection " .. count)
            ports[count] = client.local_port
        end
        for count = 1, 3 do
            assert.equal(ports[count], helper.track(server:next_pending_connection()).remote_port)
        end
    end)

    it("4.6 next_pending_connection_async: cb(server, socket_or_nil) from pump", function()
        local server, record = counting()
        local got = {}
        server:next_pending_connection_async(function(given, socket)
            assert(given == server)
            got[1] = socket or "none"
        end)
        assert.is_nil(got[1])
        helper.wait_count(got, 1)
        assert.equal("none", got[1])
        record.client()
        helper.wait_field(server, "has_pending_connections", true)
        server:next_pending_connection_async(function(_, socket)
            got[2] = helper.track(socket)
        end)
        helper.wait_count(got, 2)
        assert.equal(3, got[2].state)
    end)

    it("4.6 a connection tells nothing before it is taken, and then all of it", function()
        local server, record = counting()
        local client = record.client()
        client:write("early words")
        client:close()
        wait(function()
            return server.has_pending_connections and client.state == "closed"
        end, "a connection")
        helper.pump_for(0.02)
        local socket = helper.track(server:next_pending_connection())
        assert.equal(3, socket.state)
        local log = kit.watch(socket)
        kit.wait_for(log, "disconnected")
        assert.equal("ready_read, error 1, state_changed 6, state_changed 0, disconnected",
            kit.said(log))
        assert.equal("early words", socket:read_all())
    end)

    it("4.6 a taken socket sends, receives and ends as any other", function()
        local server, taken = kit.server()
        server:listen(0)
        local client = helper.connect(server.port)
        helper.wait_count(taken, 1)
        local log = kit.watch(taken[1])
        kit.deliver(taken[1], client, "question")
        assert.equal("question", taken[1]:read())
        assert.equal(6, taken[1]:write("answer"))
        taken[1]:disconnect()
        helper.wait_state(client, "closed")
        assert.equal("answer", client:read())
        assert.equal("ready_read, bytes_written 6, state_changed 6, state_changed 0, disconnected",
            kit.said(log))
    end)

    it("4.6 a taken socket lives while it has a handler, kept by the script or not", function()
        local server = helper.track(TcpServer.new())
        local got = 0
        server.new_connection_handler = function()
            local socket = server:next_pending_connection()
            socket.ready_read_handler = function(given)
                collectgarbage()
                got = got + #given:read()
            end
        end
        server:listen(0)
        local client = helper.connect(server.port)
        for count = 1, 5 do
            collectgarbage()
            client:write("x")
            wait(function()
                return got == count
            end, "byte " .. count)
        end
        client:close()
    end)

    it("4.6 pause_accepting: queued connections stay queued, no new ones are told", function()
        local server, record = counting()
        record.client()
        wait(function()
            return record.calls == 1
        end, "the first")
        server:pause_accepting()
        local second = record.client()
        helper.wait_state(second, "open")
        helper.pump_for(0.02)
        assert.equal(1, record.calls)
        assert.is_true(server.has_pending_connections)
        helper.track(server:next_pending_connection())
        assert.is_false(server.has_pending_connections)
    end)

    it("4.6 resume_accepting: those that waited come", function()
        local server, record = counting()
        server:pause_accepting()
        local client = record.client()
        helper.wait_state(client, "open")
        helper.pump_for(0.02)
        assert.equal(0, record.calls)
        server:resume_accepting()
        wait(function()
            return record.calls == 1
        end, "the connection")
    end)

    it("4.6 max_pending_connections is 30 at first", function()
        assert.equal(30, TcpServer.new().max_pending_connections)
    end)

    it("4.6 at most max_pending_connections wait; more come when there is room", function()
        local server, record = counting()
        server.max_pending_connections = 2
        for _ = 1, 5 do
            local client = record.client()
            helper.wait_state(client, "open")
        end
        wait(function()
            return record.calls == 2
        end, "two connections")
        helper.pump_for(0.02)
        assert.equal(2, record.calls)
        for count = 1, 5 do
            helper.track(assert(server:next_pending_connection()))
            wait(function()
                return record.calls == math.min(count + 2, 5)
            end, "the next connection")
        end
        assert.is_nil(server:next_pending_connection())
    end)

    it("4.6 a raised max_pending_connections lets more in", function()
        local server, record = counting()
        server.max_pending_connections = 1
        record.client()
        record.client()
        wait(function()
            return record.calls == 1
        end, "one")
        server.max_pending_connections = 2
        wait(function()
            return record.calls == 2
        end, "two")
    end)

    it("4.6 max_pending_connections: what is no count raises at the caller's line", function()
        local s = TcpServer.new()
        for _, bad in ipairs { -1, "many" } do
            helper.misuse(function() s.max_pending_connections = bad end, "max_pending_connections")
        end
    end)

    it("4.6 accept_error_handler(server, error): the number of a socket error", function()
        local said, status = helper.run([[
            local evsock = require "evsock"
            evsock.on_unhandled = false
            local server = require "evsock.pharos".net.TcpServer.new()
            local got
            server.accept_error_handler = function(given, number)
                assert(given == server)
                got = got or number
            end
            assert(server:listen(0))
            local clients = {}
            for i = 1, 60 do
                clients[i] = evsock.connect("127.0.0.1", server.port)
            end
            local deadline = evsock.now() + 5
            while not got and evsock.now() < deadline do evsock.pump(0.02) end
            print(got, server.error_string)
        ]], nil, "ulimit -n 48")
        assert.equal("4\tOut of resources\n", said)
        assert.equal(0, status)
    end)

    it("4.6 close: connections that nobody has taken are ended", function()
        local server, record = counting()
        local client = record.client()
        helper.wait_field(server, "has_pending_connections", true)
        server:close()
        assert.is_false(server.has_pending_connections)
        assert.is_nil(server:next_pending_connection())
        helper.wait_state(client, "closed")
    end)

    it("4.6 close: sockets that were taken stay", function()
        local socket, client, server = kit.accepted()
        server:close()
        kit.deliver(socket, client, "still here")
    end)

    it("1.6 an error in new_connection_handler loses no connection", function()
        local server, record = counting()
        local errors = 0
        evsock.on_error = function()
            errors = errors + 1
        end
        server.new_connection_handler = function()
            record.calls = record.calls + 1
            error("on purpose")
        end
        record.client()
        record.client()
        wait(function()
            return record.calls == 2
        end, "both")
        assert.equal(2, errors)
        assert.is_not_nil(helper.track(server:next_pending_connection()))
        assert.is_not_nil(helper.track(server:next_pending_connection()))
    end)
end)

describe("Pharos TcpServer: collection", function()
    local function served(keep)
        local port
        local function listen()
            local server = TcpServer.new()
            server.new_connection_handler = function(given)
                keep[#keep + 1] = given:next_pending_connection()
                keep[#keep].disconnected_handler = helper.never("disconnected_handler")
                keep[#keep].error_handler = helper.never("error_handler")
            end
            keep.server = server
            server:listen(0)
            port = server.port
        end
        kit.aside(listen)
        return port
    end

    -- A server in `keep.server`, the socket taken from it in `keep[1]`, and its native client.
    local function served_client()
        local keep = {}
        local client = helper.connect(served(keep))
        wait(function()
            return keep[1] and client.state == "open"
        end, "the connection")
        return keep, client
    end

    it("4.6 sockets taken from a server die when it is collected, silently", function()
        local keep, client = served_client()
        keep.server:close()
        keep.server = nil
        helper.wait_collected(client)
        assert.equal(0, keep[1].state)
        assert.equal("", keep[1].remote_address)
        assert.equal(-1, keep[1]:write("too late"))
        assert.equal(0, keep[1].bytes_to_write)
        assert.equal(0, evsock.active())
    end)

    it("4.6 such a socket may be used for another connection", function()
        local keep, client = served_client()
        keep.server = nil
        helper.wait_collected(client)
        local record = helper.server()
        keep[1].error_handler = nil
        keep[1]:connect("127.0.0.1", record.port)
        helper.wait_state(keep[1], 3)
        keep[1].disconnected_handler = nil
        keep[1]:abort()
    end)

    it("4.6 sockets of another server are left alone", function()
        local other, taken = kit.server()
        other:listen(0)
        local friend = helper.connect(other.port)
        local keep, client = served_client()
        helper.wait_count(taken, 1)
        keep.server = nil
        helper.wait_collected(client)
        kit.deliver(taken[1], friend, "still here")
    end)

    it("1.9 a listening server that is reachable from nowhere is collected", function()
        local keep = {}
        local port = served(keep)
        keep.server = nil
        helper.wait_port_freed(port)
    end)

    it("1.9 a listening server that its handler reaches survives", function()
        local count, port = 0, nil
        local function listen()
            local server = TcpServer.new()
            server.new_connection_handler = function()
                count = count + 1
                server:next_pending_connection():abort()
                server:close()
            end
            server:listen(0)
            port = server.port
        end
        kit.aside(listen)
        collectgarbage()
        collectgarbage()
        helper.connect(port)
        wait(function()
            return count == 1
        end, "the connection")
    end)

    it("1.9 connections that wait are ended with the server", function()
        local client
        local function listen()
            local server = TcpServer.new()
            server:listen(0)
            client = helper.connect(server.port)
            helper.wait_field(server, "has_pending_connections", true)
        end
        kit.aside(listen)
        helper.wait_collected(client)
    end)
end)
