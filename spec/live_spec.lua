-- Single steps of a connection: as it is now, ahead of the events; what was written has left.

local helper = require "spec.helper"
local evsock = helper.evsock
local tls_kit = require "spec.tls_kit"

after_each(helper.finish)

-- Looks, without pumping, until it sees what is wanted.
local function look_until(sock, stands, unread)
    local deadline = evsock.now() + 5 * helper.slow
    repeat
        local now, waiting = sock:look()
        if now == stands and waiting == unread then
            return
        end
    until evsock.now() > deadline
    error(("not seen: %s, %d; but %s, %d"):format(
        tostring(stands), unread, tostring(sock:look()), (select(2, sock:look()))), 2)
end

describe("sock:look()", function()
    it("sees bytes that came before any event of them, and each once", function()
        local client, peer = helper.pair()
        peer:write("abc")
        look_until(client, true, 3)
        assert.equal(0, client.buffered)
        client.on_data = helper.expect(function(sock, n)
            assert.same({ 3, "abc" }, { n, sock:read() })
        end, 1)
        helper.pump_until(function() return helper.calls(client.on_data) == 1 end)
        assert.same({ true, 0 }, { client:look() })
    end)

    it("sees the peer's end before on_close, which still comes once", function()
        local client, peer = helper.pair()
        client.on_close = helper.expect(1)
        peer:close()
        look_until(client, false, 0)
        assert.equal("open", client.state)
        helper.pump_until(function() return client.state == "closed" end)
    end)

    it("counts what was left unread behind the end", function()
        local client, peer = helper.pair()
        peer:write("tail")
        peer:close()
        look_until(client, false, 4)
        helper.pump_until(function() return client.state == "closed" end)
        assert.same({ false, 4 }, { client:look() })
        assert.equal("tail", client:read())
        assert.same({ false, 0 }, { client:look() })
    end)

    it("sees that a connection stands before on_connect", function()
        local server = helper.server()
        local client = helper.connect(server.port)
        look_until(client, true, 0)
        assert.equal("connecting", client.state)
    end)

    it("sees a reset", function()
        local client, peer = helper.pair()
        peer:abort()
        look_until(client, false, 0)
    end)

    it("says no of an idle, a failed and a closed socket", function()
        local sock = evsock.socket()
        assert.same({ false, 0 }, { sock:look() })
        sock:connect("127.0.0.1", helper.free_port())
        look_until(sock, false, 0)
        local client = helper.pair()
        client:close()
        assert.same({ false, 0 }, { client:look() })
    end)

    it("raises for anything but a socket", function()
        local client = helper.pair()
        helper.misuse(function() client.look(1) end, "bad argument 'self' to 'look'")
    end)
end)

describe("sock:mark()", function()
    local certificates = tls_kit.certificates_for(setup, teardown)

    -- More than the system takes at once while the peer does not read.
    local BLOCK = ("x"):rep(1024 * 1024)

    it("calls on_mark in a pump, also when everything has left already", function()
        local client, peer = helper.pair()
        client.on_mark = helper.expect(1)
        assert.is_true(client:write("now"))
        assert.is_true(client:mark())
        assert.equal(0, helper.calls(client.on_mark))
        evsock.pump()
        assert.equal(1, helper.calls(client.on_mark))
        helper.pump_until(function() return peer.buffered == 3 end)
    end)

    it("comes once a mark, in order, each as soon as its own bytes have left", function()
        local client, peer = helper.pair(nil, { read_limit = 1024 })
        local pending = {}
        client.on_mark = helper.expect(function(sock)
            pending[#pending + 1] = sock.pending
        end, 12)
        for _ = 1, 12 do
            client:write(BLOCK)
            client:mark()
        end
        helper.pump_for(0.05)
        assert.is_true(#pending < 12, "all have left although nobody reads")
        peer.on_data = function(sock)
            sock:read()
        end
        peer:read()
        helper.pump_until(function() return #pending == 12 end, 5 * helper.slow)
        -- Told one by one, not all when the queue was empty at last.
        assert.is_true(pending[6] > 0, "the sixth came when everything had left")
    end)

    it("may be set while connecting, and waits for the connection if something waits", function()
        local server, log = helper.server(), {}
        local client = helper.connect(server.port)
        client.on_connect = function()
            log[#log + 1] = "connect"
        end
        client.on_mark = helper.expect(function()
            log[#log + 1] = "mark"
        end, 2)
        client:write("early")
        client:mark()
        client:write("and more")
        client:mark()
        helper.pump_until(function() return #log == 3 end)
        assert.same({ "connect", "mark", "mark" }, log)
    end)

    it("does not come for what never leaves", function()
        local client, peer = helper.pair(nil, { read_limit = 1024 })
        client.on_mark = helper.expect(nil, 0)
        client.on_close = helper.expect(1)
        client:write(BLOCK:rep(12))
        client:mark()
        peer:abort()
        helper.pump_until(function() return client.state == "closed" end)
    end)

    it("is refused where a write would be", function()
        local sock = evsock.socket()
        local ok, message, code = sock:mark()
        assert.same({ nil, "mark: the socket is not connected", "ECLOSED" }, { ok, message, code })
        local client = helper.pair()
        client:shutdown()
        assert.equal("ECLOSED", (select(3, client:mark())))
        client:close()
        assert.equal("ECLOSED", (select(3, client:mark())))
    end)

    it("counts what TLS makes of the bytes, and waits for the handshake", function()
        local record = tls_kit.server(certificates, "ecdsa")
        local client = helper.track(evsock.connect("localhost", record.port, {
            tls = { cafile = certificates:path("ca.pem") } }))
        local log = {}
        client.on_connect = function()
            log[#log + 1] = "connect"
        end
        client.on_mark = helper.expect(function(sock)
            log[#log + 1] = sock.pending
        end, 3)
        client:write("held")
        client:mark()
        client:mark()
        helper.pump_until(function() return #log == 3 end)
        assert.same({ "connect", 0, 0 }, log)
        client:write(("y"):rep(100000))
        client:mark()
        helper.pump_until(function() return #log == 4 end)
    end)
end)

describe("server:accept()", function()
    local function take(server)
        local sock
        helper.pump_until(function()
            sock = sock or server:accept()
            return sock
        end)
        return helper.track(sock)
    end

    it("takes a connection without its event, which does not come for it", function()
        local server = helper.track(assert(evsock.listen("127.0.0.1", 0, {
            on_accept = helper.expect(nil, 0), read_timeout = 9 })))
        assert.is_nil(server:accept())
        local client = helper.connect(server.port)
        -- The system knows of it before any pump.
        local deadline = evsock.now() + 5 * helper.slow
        local sock
        repeat
            sock = server:accept()
        until sock or evsock.now() > deadline
        helper.track(sock)
        assert.equal("open", sock.state)
        assert.equal(9, sock.read_timeout)
        assert.equal(1, server.connections)
        helper.pump_until(function() return client.state == "open" end)
        helper.pump_for(0.02)
    end)

    it("lets the data come, and gives the handlers that listen was given", function()
        local server = helper.track(assert(evsock.listen("*", 0, {
            on_data = helper.expect(function(sock)
                sock:write(sock:read())
            end, 1),
        })))
        local client = helper.connect(server.port)
        client:write("echo")
        take(server)
        helper.pump_until(function() return client.buffered == 4 end)
    end)

    it("takes them in the order in which they came, and events bring the others", function()
        local got = {}
        local server = helper.track(assert(evsock.listen("127.0.0.1", 0, {
            on_accept = function(_, sock)
                got[#got + 1] = helper.track(sock).peer_port
            end,
        })))
        local ports = {}
        for i = 1, 4 do
            local client = helper.connect(server.port)
            helper.pump_until(function() return (client:look()) end)
            ports[i] = client:info().local_port
            if i % 2 == 1 then
                local sock = server:accept()
                got[#got + 1] = sock and helper.track(sock).peer_port
            end
        end
        helper.pump_until(function() return #got == 4 end)
        assert.same(ports, got)
    end)

    it("gives nothing when paused or closed, and raises for anything but a server", function()
        local server = helper.track(assert(evsock.listen("127.0.0.1", 0)))
        server:pause()
        helper.connect(server.port)
        helper.pump_for(0.02)
        assert.is_nil(server:accept())
        server:close()
        assert.is_nil(server:accept())
        helper.misuse(function() server.accept({}) end, "bad argument 'self' to 'accept'")
    end)
end)

describe("ipv4_first", function()
    -- What a client of localhost was told of its addresses.
    local function addresses(options)
        local server, found = helper.server(), nil
        local client = helper.track(evsock.connect("localhost", server.port, options))
        client.on_resolve = function(_, list)
            found = list
        end
        helper.pump_until(function() return client.state == "open" end)
        return found, client
    end

    it("has the IPv4 addresses of a name tried before the IPv6 ones", function()
        local found, client = addresses { ipv4_first = true }
        assert.same({ "127.0.0.1", "::1" }, found)
        assert.equal("127.0.0.1", client.peer_address)
    end)

    it("is off by default: IPv6 first, as RFC 8305 asks", function()
        assert.same({ "::1", "127.0.0.1" }, (addresses()))
    end)
end)
