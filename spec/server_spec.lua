-- Servers as api.md (3) has them: listening, accepting, pausing, limits, closing.

local helper = require "spec.helper"
local kit = require "spec.peers.openssl"

local evsock = helper.evsock
local expect, never, pump_until = helper.expect, helper.never, helper.pump_until
local is_state = helper.is_state

local function accepted(record, count)
    return function()
        return #record.sockets >= count
    end
end

local function has_ipv6()
    local server = evsock.listen("::1", 0)
    if server then
        server:close()
    end
    return server ~= nil
end

describe("a server", function()
    after_each(helper.finish)

    describe("listening", function()
        it("has address and port, and port 0 picks one", function()
            local record = helper.server()
            assert.equal("127.0.0.1", record.server.address)
            assert.is_true(record.port > 0)
            assert.is_truthy(tostring(record.port):match("^%d+$"))
        end)

        it("listens on the port that was asked for, in any form a port may have", function()
            local port = helper.free_port()
            for _, form in ipairs { port, port + 0.0, tostring(port) } do
                local server = assert(evsock.listen("127.0.0.1", form))
                assert.equal(port, server.port)
                server:close()
            end
        end)

        it("on \"*\" takes connections by IPv4 and IPv6 on one port", function()
            local count = 0
            local server = helper.track(assert(evsock.listen("*", 0, {
                on_accept = function(_, sock)
                    count = count + 1
                    helper.track(sock)
                end,
            })))
            local addresses = { "127.0.0.1" }
            if has_ipv6() then
                addresses[2] = "::1"
            end
            for _, address in ipairs(addresses) do
                helper.track(evsock.connect(address, server.port, { on_connect = expect(1) }))
            end
            pump_until(function() return count == #addresses end)
            helper.pump_for(0.02)
        end)

        it("returns nil, message and code when the port is taken", function()
            local record = helper.server()
            local server, message, code = evsock.listen("127.0.0.1", record.port)
            assert.is_nil(server)
            assert.equal("EADDRINUSE", code)
            assert.is_truthy(message:find("127.0.0.1:" .. record.port, 1, true))
        end)

        it("returns nil, message and code when the address is not ours", function()
            local server, message, code = evsock.listen("192.0.2.1", 0)
            assert.is_nil(server)
            assert.is_string(message)
            assert.equal("EADDRNOTAVAIL", code)
        end)

        it("is possible at once on a port whose old connections linger in TIME_WAIT", function()
            local client, peer, record = helper.pair()
            peer:close()
            pump_until(is_state(client, "closed"))
            pump_until(is_state(peer, "closed"))
            record.server:close()
            evsock.pump()
            local again = assert(evsock.listen("127.0.0.1", record.port))
            assert.equal(record.port, again.port)
            again:close()
        end)

        it("keeps a server alive without being referenced", function()
            local count = 0
            local function listen()
                return assert(evsock.listen("127.0.0.1", 0, {
                    on_accept = function(server, sock)
                        count = count + 1
                        sock:close()
                        server:close()
                    end,
                })).port
            end
            local port = listen()
            collectgarbage()
            collectgarbage()
            helper.connect(port)
            pump_until(function() return count == 1 end)
        end)

        it("with a backlog takes that many connections before they are accepted", function()
            local record = helper.server({ backlog = 64 })
            record.server:pause()
            local open = 0
            for _ = 1, 40 do
                helper.connect(record.port, { on_connect = function() open = open + 1 end })
            end
            pump_until(function() return open == 40 end)
        end)

        it("with reuse_port shares a port, without it does not", function()
            local one = assert(evsock.listen("127.0.0.1", 0, { reuse_port = true }))
            local two = assert(evsock.listen("127.0.0.1", one.port, { reuse_port = true }))
            assert.equal(one.port, two.port)
            local three, _, code = evsock.listen("127.0.0.1", one.port)
            assert.is_nil(three)
            assert.equal("EADDRINUSE", code)
            one:close()
            two:close()
        end)
    end)

    describe("on_accept", function()
        it("gets the server and an open socket", function()
            local record
            record = helper.server({
                on_accept = expect(function(server, sock)
                    assert.equal(record.server, server)
                    assert.equal("open", sock.state)
                    assert.equal("127.0.0.1", sock.peer_address)
                end, 1),
            })
            helper.connect(record.port)
            pump_until(accepted(record, 1))
        end)

        it("can be assigned and replaced", function()
            local server = helper.track(assert(evsock.listen("127.0.0.1", 0)))
            local count = 0
            server.on_accept = expect(function(_, sock)
                count = count + 1
                helper.track(sock)
                server.on_accept = expect(function(_, second)
                    count = count + 1
                    helper.track(second)
                end, 1)
            end, 1)
            helper.connect(server.port)
            pump_until(function() return count == 1 end)
            helper.connect(server.port)
            pump_until(function() return count == 2 end)
        end)

        it("comes before the on_data of data that came with the connection", function()
            local order = {}
            local record = helper.server({
                on_accept = expect(function(_, sock)
                    order[#order + 1] = "accept"
                    assert.equal(0, sock.buffered)
                    assert.is_nil(sock:read())
                    sock.on_data = expect(function()
                        order[#order + 1] = sock.buffered == 5 and "data" or nil
                    end)
                end, 1),
            })
            helper.connect(record.port):write("first")
            pump_until(function() return #order == 2 end)
            assert.same({ "accept", "data" }, order)
        end)

        it("comes for every one of many connections", function()
            local record = helper.server()
            for _ = 1, 100 do
                helper.connect(record.port)
            end
            pump_until(accepted(record, 100))
            helper.pump_for(0.02)
            assert.equal(100, #record.sockets)
        end)
    end)

    describe("the options of listen", function()
        it("on_accept and on_error are the server's, all other handlers the sockets'", function()
            local ended
            local record = helper.server({
                on_accept = expect(1),
                on_error = never("on_error"),
                on_data = expect(function(sock) ended = sock:read() end, 1),
                on_close = expect(1),
            })
            local client = helper.connect(record.port)
            client:write("x")
            pump_until(function() return ended == "x" end)
            client:close()
            pump_until(is_state(record.sockets[1], "closed"))
            assert.is_nil(record.server.on_data)
        end)

        it("of a socket become those of accepted sockets", function()
            local _, peer = helper.pair(nil, {
                read_timeout = 7, write_timeout = 8, read_limit = 70000, write_limit = 80000,
                drain_at = 5, nodelay = false, keepalive = 9, half_open = true,
            })
            assert.equal(7, peer.read_timeout)
            assert.equal(8, peer.write_timeout)
            assert.equal(70000, peer.read_limit)
            assert.equal(80000, peer.write_limit)
            assert.equal(5, peer.drain_at)
            assert.is_false(peer.nodelay)
            assert.equal(9, peer.keepalive)
            assert.is_true(peer.half_open)
        end)

        it("work on accepted sockets", function()
            local _, peer = helper.pair(nil, {
                read_timeout = 0.15,
                on_close = expect(function(_, _, code) assert.equal("ETIMEDOUT", code) end, 1),
            })
            pump_until(is_state(peer, "closed"), 3)
        end)

        it("can be changed on one accepted socket alone", function()
            local record = helper.server({ read_timeout = 50 })
            helper.connect(record.port)
            helper.connect(record.port)
            pump_until(accepted(record, 2))
            record.sockets[1].read_timeout = 60
            assert.equal(60, record.sockets[1].read_timeout)
            assert.equal(50, record.sockets[2].read_timeout)
        end)
    end)

    describe("connections", function()
        it("counts the open sockets that it accepted", function()
            local record = helper.server()
            assert.equal(0, record.server.connections)
            local clients = {}
            for i = 1, 3 do
                clients[i] = helper.connect(record.port)
            end
            pump_until(accepted(record, 3))
            assert.equal(3, record.server.connections)
            clients[1]:close()
            record.sockets[2]:abort()
            pump_until(function() return record.server.connections == 1 end)
        end)
    end)

    describe("pause", function()
        it("stops accepting, and resume takes those who waited", function()
            local record = helper.server()
            record.server:pause()
            local client = helper.connect(record.port)
            pump_until(is_state(client, "open"))
            helper.pump_for(0.1)
            assert.equal(0, #record.sockets)
            record.server:resume()
            pump_until(accepted(record, 1))
        end)

        it("and resume may be called twice", function()
            local record = helper.server()
            record.server:pause()
            record.server:pause()
            record.server:resume()
            record.server:resume()
            helper.connect(record.port)
            pump_until(accepted(record, 1))
        end)
    end)

    describe("max_connections", function()
        it("lets more wait in the system's queue until one is closed", function()
            local record = helper.server({ max_connections = 2 })
            local clients = {}
            for i = 1, 3 do
                clients[i] = helper.connect(record.port)
            end
            pump_until(function()
                return clients[1].state == "open" and clients[2].state == "open"
                    and clients[3].state == "open" and #record.sockets >= 2
            end)
            helper.pump_for(0.1)
            assert.equal(2, #record.sockets)
            assert.equal(2, record.server.connections)
            record.sockets[1]:close()
            pump_until(accepted(record, 3))
            assert.equal(2, record.server.connections)
        end)
    end)

    describe("memory_limit", function()
        local STEP = 4096

        -- `count` clients that each send `size` bytes without a line's end, then one, to a server
        -- whose script reads nothing yet.
        local function crowd(count, size, options)
            options.on_data = function() end
            options.on_error = options.on_error or function() end
            local record = helper.server(options)
            local clients = {}
            for i = 1, count do
                clients[i] = helper.connect(record.port, { on_data = function() end })
                clients[i]:write(string.char(64 + i):rep(size - 1), "\n")
            end
            return record, clients
        end

        local function held(record)
            local total = 0
            for _, sock in ipairs(record.sockets) do
                total = total + sock.buffered + sock:info().live.read_ahead + sock.pending
            end
            return total
        end

        it("bounds what is unread of all together, and no byte is lost", function()
            local count, size, limit = 20, 300000, 1000000
            local record = crowd(count, size, { memory_limit = limit })
            pump_until(function() return held(record) > limit / 2 end)
            helper.pump_for(0.3)
            assert.equal(count, #record.sockets)
            assert.is_true(held(record) <= limit + 2 * STEP * count, held(record))
            -- Once the script reads, all goes on, though no line fits beside the others' bytes.
            local got, ends = {}, 0
            local function drain()
                for _, sock in ipairs(record.sockets) do
                    local piece = sock:read()
                    if piece then
                        local kind = piece:sub(1, 1)
                        got[kind] = (got[kind] or 0) + #piece
                        ends = ends + (piece:sub(-1) == "\n" and 1 or 0)
                    end
                end
                return ends == count
            end
            pump_until(drain, 10)
            for i = 1, count do
                assert.equal(size, got[string.char(64 + i)])
            end
        end)

        it("stops the largest first: a small client is served beside them", function()
            local record = crowd(4, 300000, { memory_limit = 1000000 })
            pump_until(function() return held(record) > 500000 end)
            helper.pump_for(0.1)
            local answer
            local client = helper.connect(record.port, {
                on_data = function(sock) answer = sock:read() end,
            })
            client:write("hello\n")
            pump_until(function() return #record.sockets == 5 end)
            local line = record.sockets[5]:receive("*l", 5)
            record.sockets[5]:write(line)
            pump_until(function() return answer == "hello" end)
        end)

        it("is told by on_error, once", function()
            local errors = {}
            local record = crowd(10, 300000, {
                memory_limit = 1000000,
                on_error = function(_, message, code)
                    errors[#errors + 1] = code
                    assert.truthy(message:find("memory_limit", 1, true))
                end,
            })
            pump_until(function() return errors[1] end)
            helper.pump_for(0.1)
            assert.same({ "EAGAIN" }, errors)
            assert.equal(1000000, record.server.memory_limit)
        end)

        it("counts what waits to be sent, and lets new connections wait", function()
            local record = helper.server({ memory_limit = 1000000 })
            local client = helper.connect(record.port, { read_limit = 1000 })
            pump_until(accepted(record, 1))
            record.server.on_error = function() end
            client.on_data = function() end
            local peer = record.sockets[1]
            while peer.pending < 1500000 do
                peer:write(("x"):rep(100000))
            end
            helper.connect(record.port)
            helper.pump_for(0.1)
            assert.equal(1, #record.sockets)
            client.on_data = function(sock) sock:read() end
            client:read()
            pump_until(accepted(record, 2))
        end)

        it("can be raised, and 0 is none", function()
            local record = crowd(4, 300000, { memory_limit = 200000 })
            pump_until(function() return held(record) > 100000 end)
            helper.pump_for(0.1)
            assert.is_true(held(record) <= 200000 + 8 * STEP)
            record.server.memory_limit = 0
            pump_until(function() return held(record) == 4 * 300000 end)
        end)

        it("closes with EMSGSIZE who sends a line that it can't hold", function()
            local closed
            local record = helper.server({
                memory_limit = 100000,
                on_error = function() end,
                on_data = function(sock) sock:read_line() end,
                on_close = function(_, _, code) closed = code end,
            })
            helper.connect(record.port):write(("x"):rep(500000))
            pump_until(function() return closed end)
            assert.equal("EMSGSIZE", closed)
        end)
    end)

    describe("close", function()
        it("leaves accepted sockets open", function()
            local client, peer, record = helper.pair()
            record.server:close()
            helper.pump_for(0.05)
            client:write("still here")
            pump_until(function() return peer.buffered == 10 end)
            assert.equal("open", peer.state)
        end)

        it("refuses whoever comes later, and may be called twice", function()
            local record = helper.server()
            record.server:close()
            record.server:close()
            local client = helper.connect(record.port, {
                on_close = expect(function(_, _, code) assert.equal("ECONNREFUSED", code) end, 1),
            })
            pump_until(is_state(client, "closed"))
            assert.equal(0, #record.sockets)
        end)

        it("calls on_accept no more, also for connections that wait already", function()
            local record = helper.server({ on_accept = never("on_accept") })
            helper.connect(record.port)
            local deadline = evsock.now() + 0.05
            while evsock.now() < deadline do
                math.sin(1)
            end
            record.server:close()
            helper.pump_for(0.05)
        end)

        it("is possible inside on_accept", function()
            local record
            record = helper.server({ on_accept = expect(function(server) server:close() end, 1) })
            helper.connect(record.port)
            helper.connect(record.port)
            pump_until(accepted(record, 1))
            helper.pump_for(0.05)
        end)
    end)

    -- The second has bytes on their way that nobody reads: those must not become a reset.
    for what, text in pairs { ["says nothing"] = "", ["has written already"] = ("x"):rep(5000) } do
        it("turns a client away that " .. what .. ", and the client sees an orderly end", function()
            local client, message, closed
            local record = helper.server({
                on_accept = expect(function(_, sock)
                    -- Until what is written waits in the system.
                    local deadline = evsock.now() + 2 * helper.slow
                    while client.pending > 0 and evsock.now() < deadline do
                        math.sin(1)
                    end
                    sock:close()
                end, 1),
            })
            client = helper.connect(record.port, {
                on_close = expect(function(_, why) message, closed = why, true end, 1),
            })
            client:write(text)
            pump_until(function() return closed end)
            assert.is_nil(message)
        end)
    end

    it("says in tostring what it is and where it listens", function()
        local record = helper.server()
        local text = tostring(record.server)
        assert.is_truthy(text:find("[Ss]erver"))
        assert.is_truthy(text:find("127.0.0.1:" .. record.port, 1, true))
    end)

    it("is userdata with room for the script's own fields", function()
        local record = helper.server()
        record.server.name = "mine"
        assert.equal("mine", record.server.name)
        assert.equal("userdata", type(record.server))
        assert.is_string(getmetatable(record.server).__name)
    end)

    describe("misuse", function()
        it("raises at the caller's line and names the argument", function()
            helper.misuse(function() evsock.listen() end, "bad argument 'host' to 'listen'")
            helper.misuse(function() evsock.listen({}, 0) end, "bad argument 'host' to 'listen'")
            helper.misuse(function() evsock.listen("*") end, "bad argument 'port' to 'listen'")
            helper.misuse(function() evsock.listen("*", 65536) end, "'port' to 'listen'")
            helper.misuse(function() evsock.listen("*", 0, 1) end, "'options' to 'listen'")
        end)

        it("of options raises and listens nowhere", function()
            local function listen(options)
                evsock.listen("127.0.0.1", 0, options)
            end
            local cases = {
                { { backlog = "many" }, "backlog" },
                { { reuse_port = 1 }, "reuse_port" },
                { { max_connections = {} }, "max_connections" },
                { { on_accept = "x" }, "on_accept" },
                { { on_data = 1 }, "on_data" },
                { { nodelay = "yes" }, "nodelay" },
                { { foo = 1 }, "bad option 'foo' to 'listen' (unknown name)" },
            }
            for _, case in ipairs(cases) do
                local ok, message = pcall(listen, case[1])
                assert.is_false(ok)
                assert.is_truthy(message:match("server_spec%.lua:%d+: bad option"), message)
                assert.is_truthy(message:find(case[2], 1, true), message)
            end
            assert.equal(0, evsock.active())
        end)

        it("of server options in connect raises", function()
            local options = { backlog = 5 }
            helper.misuse(function() evsock.connect("h", 1, options) end, "'backlog'")
        end)

        it("of self and of handlers raises", function()
            local server = helper.server().server
            helper.misuse(function() server.close({}) end, "bad argument")
            helper.misuse(function() server.pause() end, "bad argument")
            helper.misuse(function() server.on_accept = 1 end, "on_accept")
            helper.misuse(function() server.on_error = {} end, "on_error")
        end)
    end)

    describe("out of descriptors", function()
        it("pauses accepting, reports once, does not spin and recovers", function()
            local output, status = helper.run([[
                local evsock = require "evsock"
                local accepted, codes = 0, {}
                local server = assert(evsock.listen("127.0.0.1", 0, {
                    on_accept = function(_, sock) accepted = accepted + 1; sock:close() end,
                    on_error = function(_, message, code)
                        assert(type(message) == "string")
                        codes[#codes + 1] = code
                    end,
                }))
                local function pump_for(seconds)
                    local deadline = evsock.now() + seconds
                    while evsock.now() < deadline do evsock.pump(0.02) end
                end
                pump_for(0.05)
                local taken = require("spec.child").take_descriptors()
                taken[#taken]:close()
                taken[#taken] = nil
                local client = evsock.connect("127.0.0.1", server.port, { on_data = print })
                local begin = os.clock()
                pump_for(0.5)
                local used = os.clock() - begin
                print("accepted", accepted, "errors", #codes, codes[1])
                print(used < 0.2 and "calm" or "spins " .. used)
                for _, file in ipairs(taken) do file:close() end
                local deadline = evsock.now() + 5
                while accepted == 0 and evsock.now() < deadline do evsock.pump(0.02) end
                print("accepted", accepted, "errors", #codes, server.port ~= nil)
            ]], nil, "ulimit -n 40")
            local wanted = "accepted\t0\terrors\t1\tEMFILE\ncalm\naccepted\t1\terrors\t1\ttrue\n"
            helper.printed(wanted, output, status)
        end)

        it("a connect fails with a code instead of raising", function()
            local output, status = helper.run([[
                local evsock = require "evsock"
                local server = assert(evsock.listen("127.0.0.1", 0))
                local taken = require("spec.child").take_descriptors()
                local sock, message, code = evsock.connect("127.0.0.1", server.port, {
                    on_close = function(_, message, code) print("closed", code) end,
                })
                if not sock then print("closed", code) end
                local deadline = evsock.now() + 5
                while sock and sock.state ~= "closed" and evsock.now() < deadline do
                    evsock.pump(0.02)
                end
            ]], nil, "ulimit -n 40")
            helper.printed("closed\tEMFILE\n", output, status)
        end)
    end)
end)

describe("server:info", function()
    after_each(helper.finish)

    it("counts connections and bytes, of those that are over, too", function()
        local client, peer, record = helper.pair()
        local info = record.server:info()
        assert.same({ 1, 1, 0, 0, 0 }, {
            info.accepted, info.open, info.refused, info.in_handshake, info.waiting,
        })
        assert.same({ "127.0.0.1", record.port }, { info.address, info.port })
        client:write("12345")
        peer:write("123")
        helper.wait_field(peer, "buffered", 5)
        helper.wait_field(client, "buffered", 3)
        info = record.server:info()
        assert.same({ 5, 3 }, { info.bytes_in, info.bytes_out })
        client:close()
        helper.wait_state(peer, "closed")
        helper.pump_until(function()
            return record.server:info().open == 0
        end)
        local second = helper.connect(record.port)
        pump_until(accepted(record, 2))
        second:write("1")
        helper.wait_field(record.sockets[2], "buffered", 1)
        info = record.server:info()
        assert.same({ 2, 1, 6, 3 }, { info.accepted, info.open, info.bytes_in, info.bytes_out })
    end)

    it("counts those that wait for the script, and is there after the close", function()
        local server = helper.track(assert(evsock.listen("127.0.0.1", 0)))
        helper.connect(server.port)
        pump_until(function()
            return server:info().waiting == 1
        end)
        assert.equal(1, server:info().accepted)
        server:close()
        local info = server:info()
        assert.same({ 1, 0 }, { info.accepted, info.waiting })
        assert.is_nil(info.address)
    end)

    it("counts handshakes under way, and those that fail as refused", function()
        local certificates = kit.certificates()
        local record = helper.server({
            tls = {
                certfile = certificates:path("ecdsa.pem"), keyfile = certificates:path("ecdsa.key"),
            },
        })
        record.server.on_error = function() end
        local silent = helper.connect(record.port)
        pump_until(function()
            return record.server:info().in_handshake == 1
        end)
        silent:write("this is no TLS, and long enough to be seen as such")
        pump_until(function()
            return record.server:info().refused == 1
        end)
        local info = record.server:info()
        assert.same({ 0, 0, 0 }, { info.accepted, info.in_handshake, info.open })
    end)
end)
