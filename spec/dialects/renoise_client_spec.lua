-- Renoise, clients over the wire: connecting, properties, sending.
-- dialects.md 5.1 > "constants and constructors"; 5.2 > "common properties"; 5.3 > "send"
-- (5.4: renoise_receive_spec; 5.5: renoise_server_spec)

local helper, life = require "spec.helper", require "spec.life.tools"
local tools = require "spec.dialects.renoise_tools"
local evsock, renoise = helper.evsock, require "evsock.renoise"
local Socket = renoise.Socket

local client_of = tools.client

local function loose_connect(...)
    local client, problem = Socket.create_client(...)
    return client and helper.track(client), problem
end

after_each(function()
    renoise.configure({ hosts = {}, ports = {}, send_timeout = 10000 })
    helper.finish()
end)

describe("Renoise: constants and constructors", function()
    it("5.1 PROTOCOL_TCP is 1", function()
        assert.equal(1, Socket.PROTOCOL_TCP)
    end)

    it("5.1 PROTOCOL_UDP is 2", function()
        assert.equal(2, Socket.PROTOCOL_UDP)
    end)

    it("5.1 create_client blocks until connected and returns the client", function()
        local server = helper.server()
        local client, problem = loose_connect("127.0.0.1", server.port)
        assert.is_nil(problem)
        assert.equal("userdata", type(client))
        assert.is_true(client.is_open)
        -- Nothing was pumped: the other side has not even been told of it.
        assert.is_nil(server.sockets[1])
        assert.is_true(client:send("at once"))
        helper.wait_arrived(server, 7)
    end)

    it("5.1 create_client: the protocol defaults to TCP and may be given", function()
        local server = helper.server()
        assert.is_truthy(loose_connect("127.0.0.1", server.port))
        assert.is_truthy(loose_connect("127.0.0.1", server.port, nil, 500))
        assert.is_truthy(loose_connect("127.0.0.1", server.port, Socket.PROTOCOL_TCP, 500))
    end)

    it("5.1 create_client: the timeout is milliseconds", function()
        local port = helper.silent_port()
        local took, client, problem = tools.timed(loose_connect, "127.0.0.1", port, nil, 60)
        assert.is_nil(client)
        assert.equal("timeout", problem)
        assert.is_true(took >= 0.06 and took < 0.06 + 0.5 * helper.slow, "took " .. took)
    end)

    it("5.1 create_client: the timeout defaults to 1000", function()
        local port = helper.silent_port()
        local took, client, problem = tools.timed(loose_connect, "127.0.0.1", port)
        assert.is_nil(client)
        assert.equal("timeout", problem)
        assert.is_true(took >= 1 and took < 1 + 0.5 * helper.slow, "took " .. took)
    end)

    it("5.1 create_client: the timeout covers the lookup, too", function()
        local output, status = helper.run([[
            local evsock, Socket = require "evsock", require("evsock.renoise").Socket
            local began = evsock.now()
            print(Socket.create_client("slow-name", 80, nil, 100))
            local took = evsock.now() - began
            print(took >= 0.1 and took < 2.5)
        ]], nil, life.slow_names())
        assert.equal("nil\ttimeout\ntrue\n", output)
        assert.equal(0, status)
    end)

    it("5.1 create_client: a timeout of 0 does not wait", function()
        local took, client, problem = tools.timed(
            loose_connect, "127.0.0.1", helper.silent_port(), nil, 0)
        assert.is_nil(client)
        assert.equal("timeout", problem)
        assert.is_true(took < 0.5 * helper.slow)
    end)

    it("5.1 create_server with an address and a port listens there", function()
        local server = helper.track(assert(Socket.create_server("127.0.0.1", 0)))
        assert.equal("127.0.0.1", server.local_address)
        assert.is_truthy(loose_connect("127.0.0.1", server.local_port))
    end)

    it("5.1 create_server without an address accepts on every interface", function()
        local server = helper.track(assert(Socket.create_server(0)))
        assert.equal("0.0.0.0", server.local_address)
        assert.is_truthy(loose_connect("127.0.0.1", server.local_port))
        assert.is_truthy(loose_connect("127.0.0.2", server.local_port))
        local probe = evsock.listen("::1", 0)
        if probe then
            probe:close()
            assert.is_truthy(loose_connect("::1", server.local_port))
        end
    end)

    it("5.1 create_server takes (port, protocol) and (address, port, protocol)", function()
        local one = helper.track(assert(Socket.create_server(0, Socket.PROTOCOL_TCP)))
        local two = helper.track(assert(Socket.create_server("localhost", 0, Socket.PROTOCOL_TCP)))
        assert.equal("0.0.0.0", one.local_address)
        assert.equal("127.0.0.1", two.local_address)
    end)

    it("5.1 an unknown host is a second result", function()
        renoise.configure({ hosts = { ["gone.test"] = false } })
        local client, problem = Socket.create_client("gone.test", 80)
        assert.is_nil(client)
        assert.equal("string", type(problem))
        assert.not_equal("timeout", problem)
        client, problem = Socket.create_client("", 80)
        assert.is_nil(client)
        assert.equal("string", type(problem))
    end)

    it("5.1 a refused connection is a second result, at once", function()
        local took, client, problem = tools.timed(
            Socket.create_client, "127.0.0.1", helper.free_port(), nil, 5000)
        assert.is_nil(client)
        assert.is_truthy(problem:find("refused", 1, true))
        assert.is_true(took < 2)
    end)

    it("5.1 a port that is taken is a second result of create_server", function()
        local server = helper.track(assert(Socket.create_server("127.0.0.1", 0)))
        local other, problem = Socket.create_server("127.0.0.1", server.local_port)
        assert.is_nil(other)
        assert.equal("string", type(problem))
        other, problem = Socket.create_server("no address of ours", 0)
        assert.is_nil(other)
        assert.equal("string", type(problem))
    end)

    it("5.1 logic errors raise at the caller's line: wrong types", function()
        helper.misuse(function() Socket.create_client() end,
            "bad argument 'address' to 'create_client' (string expected, got nil)")
        helper.misuse(function() Socket.create_client({}, 80) end, "string expected, got table")
        helper.misuse(function() Socket.create_client("x") end,
            "bad argument 'port' to 'create_client' (integer from 0 to 65535 expected, got nil)")
        helper.misuse(function() Socket.create_client("x", "http") end, "'port'")
        helper.misuse(function() Socket.create_client("x", 80, "tcp") end,
            "bad argument 'protocol' to 'create_client' (renoise.Socket.PROTOCOL_TCP or ")
        helper.misuse(function() Socket.create_client("x", 80, 1, "long") end,
            "bad argument 'timeout' to 'create_client' (milliseconds of at least 0 expected")
        helper.misuse(function() Socket.create_server() end, "'port'")
        helper.misuse(function() Socket.create_server({}, 80) end,
            "bad argument 'address' to 'create_server' (string expected, got table)")
        helper.misuse(function() Socket.create_server("localhost") end, "'port'")
        helper.misuse(function() Socket.create_server("localhost", 0, 3) end, "'protocol'")
    end)

    it("5.1 logic errors raise: a port out of range", function()
        helper.misuse(function() Socket.create_client("x", 65536) end, "'port' to 'create_client'")
        helper.misuse(function() Socket.create_client("x", -1) end, "'port'")
        helper.misuse(function() Socket.create_client("x", 80.5) end, "'port'")
        helper.misuse(function() Socket.create_server(65536) end, "'port' to 'create_server'")
        helper.misuse(function() Socket.create_server("localhost", -1) end, "'port'")
    end)

    it("5.1 logic errors raise: a negative timeout", function()
        local text = "bad argument 'timeout' to "
        helper.misuse(function() Socket.create_client("x", 1, 1, -1) end, text .. "'create_client'")
        helper.misuse(function() Socket.create_client("x", 80, 1, 0 / 0) end, text)
        local client = client_of()
        helper.misuse(function() client:receive("*line", -1) end, text .. "'receive'")
        helper.misuse(function() client:receive("*line") end, text .. "'receive'")
        local server = tools.server()
        helper.misuse(function() server:wait(-1) end, text .. "'wait'")
        helper.misuse(function() server:wait() end, text .. "'wait'")
    end)

    it("5.1 a connect timeout's text is 'timeout'", function()
        assert.equal("timeout",
            select(2, Socket.create_client("127.0.0.1", helper.silent_port(), 1, 10)))
    end)

    it("5.1 a client that did not come to be leaves nothing open", function()
        local silent, free = helper.silent_port(), helper.free_port()
        local before = evsock.active()
        for _ = 1, 10 do
            assert.is_nil((Socket.create_client("127.0.0.1", silent, 1, 1)))
            assert.is_nil((Socket.create_client("127.0.0.1", free)))
        end
        assert.equal(before, evsock.active())
    end)

    it("5.1 the server listens from creation on: who connects before run is served after it",
        function()
            local server = helper.track(assert(Socket.create_server("localhost", 0)))
            local early = helper.connect(server.local_port)
            early:write("early bytes")
            helper.pump_until(function()
                return early.state == "open" and early.pending == 0
            end)
            helper.pump_for(0.02)
            local told = {}
            server:run({
                socket_accepted = function()
                    told[#told + 1] = "accepted"
                end,
                socket_message = function(_, data)
                    told[#told + 1] = data
                end,
            })
            helper.pump_until(function()
                return told[2]
            end)
            assert.same({ "accepted", "early bytes" }, told)
        end)
end)

describe("Renoise: common properties", function()
    local function assert_open_between(client, local_port, peer_port)
        assert.is_true(client.is_open)
        assert.equal("127.0.0.1", client.local_address)
        assert.equal(local_port, client.local_port)
        assert.equal("127.0.0.1", client.peer_address)
        assert.equal(peer_port, client.peer_port)
    end

    it("5.2 a client has is_open, local_address, local_port, peer_address, peer_port", function()
        local client, peer, server = client_of()
        assert_open_between(client, peer.peer_port, server.port)
    end)

    it("5.2 a server has is_open, local_address, local_port, is_running", function()
        local server = helper.track(assert(Socket.create_server("localhost", 0)))
        assert.is_true(server.is_open)
        assert.equal("127.0.0.1", server.local_address)
        assert.is_true(server.local_port > 0)
        assert.is_false(server.is_running)
        assert.is_nil(server.peer_address)
    end)

    it("5.2 an accepted client has the properties of a client", function()
        local client, native, server = tools.accepted()
        assert_open_between(client, server.local_port, native.local_port)
    end)

    it("5.2 the properties are read-only", function()
        local client = client_of()
        for _, name in ipairs({ "is_open", "local_address", "local_port", "peer_port" }) do
            local ok = pcall(function()
                client[name] = 1
            end)
            assert.is_false(ok, name)
        end
    end)

    it("5.2 local_address is resolved: 127.0.0.1 for localhost", function()
        local server = helper.track(assert(Socket.create_server("localhost", 0)))
        assert.equal("127.0.0.1", server.local_address)
        local client = loose_connect("localhost", server.local_port)
        assert.equal("127.0.0.1", client.local_address)
    end)

    it("5.2 local_port of a client is the chosen one, not the peer's", function()
        local client, peer, server = client_of()
        assert.equal(peer.peer_port, client.local_port)
        assert.not_equal(server.port, client.local_port)
    end)

    it("5.2 after close any use of a client raises, except is_open, which is false", function()
        local client = client_of()
        client:close()
        assert.is_false(client.is_open)
        helper.misuse(function() client:receive("*line", 0) end, "the socket is closed")
        helper.misuse(function() client:send("x") end, "the socket is closed")
        helper.misuse(function() return client.local_address end, "the socket is closed")
        helper.misuse(function() return client.local_port end, "the socket is closed")
        helper.misuse(function() return client.peer_address end, "the socket is closed")
        helper.misuse(function() return client.peer_port end, "the socket is closed")
    end)

    it("5.2 after close any use of a server raises, except is_open, which is false", function()
        local server = tools.server()
        server:close()
        assert.is_false(server.is_open)
        helper.misuse(function() server:run({}) end, "the socket is closed")
        helper.misuse(function() server:stop() end, "the socket is closed")
        helper.misuse(function() server:wait(0) end, "the socket is closed")
        helper.misuse(function() return server.local_address end, "the socket is closed")
        helper.misuse(function() return server.local_port end, "the socket is closed")
        helper.misuse(function() return server.is_running end, "the socket is closed")
    end)

    it("5.2 close twice is no error", function()
        local client, server = client_of(), tools.server()
        client:close()
        client:close()
        server:close()
        server:close()
        assert.is_false(client.is_open)
        assert.is_false(server.is_open)
    end)

    it("5.2 close of a client ends the connection", function()
        local client, peer = client_of()
        client:send("goodbye")
        client:close()
        helper.wait_state(peer, "closed")
        assert.equal("goodbye", peer:read())
    end)
end)

describe("Renoise: send", function()
    it("5.3 send returns true", function()
        local client, peer = client_of()
        local ok, problem = client:send("hello\0there")
        assert.is_true(ok)
        assert.is_nil(problem)
        assert.is_true(client:send(""))
        helper.wait_field(peer, "buffered", 11)
        assert.equal("hello\0there", peer:read())
    end)

    it("5.3 send returns false and a text when it fails, and the socket is closed then", function()
        local client, peer = client_of()
        peer:abort()
        local ok, problem
        helper.pump_until(function()
            -- The system takes bytes until it has been told of the end.
            ok, problem = client:send("anybody there?")
            return not ok
        end)
        assert.is_false(ok)
        assert.equal("string", type(problem))
        assert.is_false(client.is_open)
        helper.misuse(function() client:send("x") end, "the socket is closed")
    end)

    it("5.3 send blocks until the system has taken everything", function()
        local client, peer = client_of({ read_limit = 32 * 1024 * 1024 })
        local big = ("0123456789abcdef"):rep(256 * 1024)
        assert.is_true(client:send(big))
        local info = peer:info()
        -- Nothing is left to be flushed: what did not arrive yet is in the system's hands.
        client:close()
        -- Elsewhere the system has room for less: a part has arrived before the call returned.
        assert.is_true(info.live.read_ahead > 0 or helper.is_windows)
        helper.pump_until(function()
            return peer.state == "closed"
        end, 5 * helper.slow)
        assert.is_true(peer:read() == big)
    end)

    it("5.3 send on a closed socket raises", function()
        local client = client_of()
        client:close()
        helper.misuse(function() client:send("x") end, "send: the socket is closed")
    end)

    it("5.3 send takes an object with a field binary_data", function()
        local client, peer = client_of()
        assert.is_true(client:send({ binary_data = "/osc\0\0\0\0" }))
        local object = setmetatable({}, { __index = { binary_data = "#bundle\0" } })
        assert.is_true(client:send(object))
        helper.wait_field(peer, "buffered", 16)
        assert.equal("/osc\0\0\0\0#bundle\0", peer:read())
        helper.misuse(function() client:send({}) end,
            "bad argument 'message' to 'send' (string expected, got table)")
        helper.misuse(function() client:send() end, "string expected, got nil")
        assert.is_true(client.is_open)
    end)

    it("5.3 send works on accepted sockets, inside of callbacks and outside", function()
        local client, native = tools.accepted({
            socket_accepted = function(client)
                assert.is_true(client:send("welcome "))
            end,
            socket_message = function(client, data)
                assert.is_true(client:send(data:upper()))
            end,
        })
        native:write("echo")
        helper.wait_field(native, "buffered", 12)
        assert.equal("welcome ECHO", native:read())
        assert.is_true(client:send("outside"))
        helper.wait_field(native, "buffered", 7)
    end)

    it("5.3 no callback is dispatched while send waits", function()
        local client, peer = client_of({ read_limit = 32 * 1024 * 1024 })
        local accepted, native, _, log = tools.accepted()
        local timer = helper.track(evsock.after(0, helper.expect(1)))
        peer:write("an answer")
        peer.on_data = helper.expect()
        native:write("a message")
        tools.compute(0.02)
        assert.is_true(client:send(("x"):rep(8 * 1024 * 1024)))
        -- Nor the callbacks of the very socket that sends.
        assert.is_true(accepted:send("x"))
        assert.is_true(timer.active)
        assert.same({ "accepted" }, { unpack and unpack(log) or table.unpack(log) })
        helper.pump_until(function()
            return log[2] and not timer.active and peer:info().bytes_in > 1000
        end)
        assert.equal("message a message", log[2])
        assert.equal("an answer", client:receive("*all", 1000))
    end)

    it("5.3 when nothing is taken for so long: false, 'timeout', the socket closes", function()
        renoise.configure({ send_timeout = 80 })
        local client = client_of({ read_limit = 1000 })
        local took, ok, problem = tools.timed(client.send, client, ("x"):rep(32 * 1024 * 1024))
        assert.is_false(ok)
        assert.equal("timeout", problem)
        assert.is_false(client.is_open)
        assert.is_true(took >= 0.08 and took < 3 * helper.slow, "took " .. took)
    end)

    it("5.3 a send that makes progress is not timed out, however long it takes", function()
        -- The peer is never slow: more than this is not needed.
        local slow = math.min(helper.slow, 5)
        renoise.configure({ send_timeout = 150 * slow })
        -- The peer takes a piece now and then, all of them in more than twice that time.
        local client = tools.busy_client(([[
            sock.read_limit = 1024
            local function step()
                sock:read()
                sock.read_limit = 1024 * 1024
                later(0.001, function() sock.read_limit = 1024 end)
                if sock.state == "open" then later(%g, step) end
            end
            step()
        ]]):format(0.04 * slow))
        local took, ok = tools.timed(client.send, client, ("x"):rep(20 * 1024 * 1024))
        assert.is_true(ok)
        assert.is_true(took > 0.3 * slow, "took " .. took)
    end)
end)
