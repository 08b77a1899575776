-- A client socket as api.md (2) has it: its handlers, properties and methods over a connection.

local helper = require "spec.helper"

local evsock = helper.evsock
local expect, never, pump_until = helper.expect, helper.never, helper.pump_until
local is_state, compute = helper.is_state, helper.compute

local function has(sock, count)
    return function()
        return sock.buffered >= count
    end
end

describe("a client", function()
    after_each(helper.finish)

    describe("connecting", function()
        it("comes back from connect at once, already connecting", function()
            local record = helper.server()
            local client = helper.connect(record.port, { on_connect = expect(1) })
            assert.equal("connecting", client.state)
            pump_until(is_state(client, "open"))
        end)

        it("is idle when made by socket, and calls nothing", function()
            local sock = evsock.socket({ on_connect = never("on_connect"), on_close = never() })
            assert.equal("idle", sock.state)
            evsock.pump()
            assert.equal("idle", sock.state)
        end)

        it("starts by sock:connect", function()
            local record = helper.server()
            local sock = helper.track(evsock.socket())
            sock:connect("127.0.0.1", record.port, { on_connect = expect(1) })
            pump_until(is_state(sock, "open"))
        end)

        it("never calls a handler inside the call that caused the event", function()
            local record = helper.server()
            local inside = true
            local function outside()
                assert.is_false(inside)
            end
            local client = helper.connect(record.port, {
                on_connect = expect(outside, 1), on_close = expect(outside, 1),
            })
            compute(0.02)
            inside = false
            pump_until(is_state(client, "open"))
            inside = true
            client:write("x")
            client:close()
            inside = false
            pump_until(is_state(client, "closed"))
        end)

        it("takes a port as integer, integral float or numeric string", function()
            local record = helper.server()
            for _, port in ipairs { record.port, record.port + 0.0, tostring(record.port) } do
                local client = helper.track(evsock.connect("127.0.0.1", port))
                pump_until(is_state(client, "open"))
            end
        end)

        it("takes no port with white space, a sign, a base or an exponent", function()
            for _, port in ipairs {
                "80 ", " 80", "80\n", "\t80", "+80", "-0", "0x50", "8e1", "80.5", "80.", "", "٨٠",
            } do
                for _, fn in ipairs { evsock.connect, evsock.listen, evsock.udp } do
                    local ok, message = pcall(fn, "127.0.0.1", port)
                    assert.is_false(ok, ("%q"):format(port))
                    assert.truthy(message:find("integer from 0 to 65535 expected", 1, true))
                    assert.is_nil(message:find("[%c]"), message)
                end
                assert.is_false((pcall(evsock.socket, { bind = { "127.0.0.1", port } })))
            end
        end)

        it("drops an open connection first, whose on_close still comes, once", function()
            local closes, connects = 0, 0
            local client, _, record = helper.pair({
                on_connect = function() connects = connects + 1 end,
                on_close = expect(function(_, message, code)
                    closes = closes + 1
                    assert.is_nil(message)
                    assert.is_nil(code)
                end),
            })
            client:connect("127.0.0.1", record.port)
            pump_until(function() return connects == 2 end)
            assert.equal(1, closes)
            assert.equal("open", client.state)
            helper.pump_for(0.05)
            assert.equal(1, closes)
        end)

        it("drops a pending connection first, whose on_close still comes, once", function()
            local record = helper.server()
            local client = helper.connect(helper.silent_port(), { on_close = expect(1) })
            client:connect("127.0.0.1", record.port)
            pump_until(is_state(client, "open"))
            assert.equal(record.port, client.port)
            helper.pump_for(0.05)
        end)

        it("can begin again inside on_close", function()
            local record = helper.server()
            local port = helper.free_port()
            local client
            client = helper.connect(port, {
                on_connect = expect(1),
                on_close = expect(function(sock)
                    sock:connect("127.0.0.1", record.port)
                end, 1),
            })
            pump_until(is_state(client, "open"))
        end)
    end)

    describe("on_resolve", function()
        it("tells the numeric addresses of a name before on_connect", function()
            local record = helper.server()
            local order = {}
            local client = helper.track(evsock.connect("localhost", record.port, {
                on_resolve = expect(function(_, addresses)
                    order[#order + 1] = "resolve"
                    assert.is_table(addresses)
                    assert.is_true(#addresses >= 1)
                    for _, address in ipairs(addresses) do
                        assert.is_truthy(address:match("^[%x:.]+$"))
                    end
                end, 1),
                on_connect = expect(function() order[#order + 1] = "connect" end, 1),
            }))
            pump_until(is_state(client, "open"))
            assert.same({ "resolve", "connect" }, order)
            assert.equal("127.0.0.1", client.peer_address)
        end)

        it("does not come for a numeric address", function()
            helper.pair({ on_resolve = never("on_resolve") })
        end)
    end)

    describe("on_connect", function()
        it("comes once, with the socket, when the connection stands", function()
            local client
            client = helper.pair({
                on_connect = expect(function(sock)
                    assert.equal("open", sock.state)
                    client = sock
                end, 1),
            })
            assert.equal("open", client.state)
        end)
    end)

    describe("on_data", function()
        it("comes with the socket and the number of new bytes", function()
            local client, peer = helper.pair()
            local seen, total = nil, 0
            client.on_data = expect(function(sock, n)
                seen, total = sock, total + n
            end)
            peer:write("hello")
            pump_until(has(client, 5))
            assert.equal(client, seen)
            assert.equal(5, total)
        end)

        it("announces every byte exactly once, however it arrives", function()
            local client, peer = helper.pair()
            local total = 0
            client.on_data = expect(function(sock, n)
                total = total + n
                assert.is_true(n > 0)
                assert.equal(total, sock.buffered)
            end)
            for _ = 1, 20 do
                peer:write(("x"):rep(1000))
                evsock.pump()
            end
            pump_until(function() return total == 20000 end)
        end)

        it("does not come again for bytes left unread", function()
            local client, peer = helper.pair()
            client.on_data = expect(1)
            peer:write("x")
            pump_until(has(client, 1))
            helper.pump_for(0.1)
            assert.equal(1, client.buffered)
        end)

        it("comes for bytes whose arrival was before the handler was set", function()
            local client, peer = helper.pair()
            peer:write("early")
            compute(0.05)
            client.on_data = expect()
            pump_until(has(client, 5))
        end)
    end)

    describe("on_end", function()
        it("comes only with half_open, and the socket can still write", function()
            local client, peer = helper.pair({ half_open = true })
            local ended = false
            client.on_close = never("on_close")
            client.on_end = expect(function(sock)
                ended = true
                assert.is_true(sock:write("after the end"))
            end, 1)
            peer:shutdown()
            pump_until(has(peer, 13))
            assert.is_true(ended)
            assert.equal("after the end", peer:read())
            assert.equal("open", client.state)
            client.on_close = nil
        end)

        it("does not come without half_open: the socket closes instead", function()
            local client, peer = helper.pair({ on_end = never("on_end"), on_close = expect(1) })
            peer:shutdown()
            pump_until(is_state(client, "closed"))
        end)
    end)

    describe("on_close", function()
        local function orderly(...)
            assert.is_nil((select(2, ...)))
            assert.is_nil((select(3, ...)))
        end

        it("comes once, without arguments, after the peer's end of stream", function()
            local client, peer = helper.pair({ on_close = expect(orderly, 1) })
            peer:close()
            pump_until(is_state(client, "closed"))
            helper.pump_for(0.05)
        end)

        for _, way in ipairs { "close", "abort" } do
            it("comes once, without arguments, after our " .. way, function()
                local client = helper.pair({ on_close = expect(orderly, 1) })
                client[way](client)
                client[way](client)
                pump_until(is_state(client, "closed"))
                helper.pump_for(0.05)
            end)
        end

        it("comes with message and code when the attempt failed", function()
            local port = helper.free_port()
            local client = helper.connect(port, {
                on_connect = never("on_connect"),
                on_close = expect(function(_, message, code)
                    assert.equal("ECONNREFUSED", code)
                    assert.equal(("connect 127.0.0.1:%d: connection refused"):format(port), message)
                end, 1),
            })
            pump_until(is_state(client, "closed"))
        end)

        it("comes after the on_data of what was received", function()
            local client, peer = helper.pair()
            local total = 0
            client.on_data = expect(function(_, n) total = total + n end)
            client.on_close = expect(function() assert.equal(300000, total) end, 1)
            peer:write(("x"):rep(300000))
            peer:close()
            pump_until(is_state(client, "closed"))
        end)

        it("leaves unread bytes readable until the next connect", function()
            local client, peer, record = helper.pair()
            peer:write("one\ntwo\n")
            peer:close()
            pump_until(is_state(client, "closed"))
            assert.equal("one", client:read_line())
            assert.equal(4, client.buffered)
            client:connect("127.0.0.1", record.port)
            assert.equal(0, client.buffered)
            assert.is_nil(client:read())
            pump_until(is_state(client, "open"))
        end)

        it("is all that comes after close or abort", function()
            for _, ending in ipairs { "close", "abort" } do
                local client, peer = helper.pair()
                client.on_data, client.on_drain = never("on_data"), never("on_drain")
                client.on_close = expect(1)
                peer:write("too late")
                compute(0.02)
                client[ending](client)
                pump_until(is_state(client, "closed"))
                helper.pump_for(0.02)
            end
        end)

        it("comes after what handlers wrote meanwhile was flushed", function()
            local client, peer = helper.pair({
                on_data = expect(function(sock)
                    local question = sock:read_exact(8)
                    if question then
                        sock:write("answer to " .. question)
                    end
                end),
            })
            peer.half_open = true
            peer:write("question")
            peer:shutdown()
            pump_until(is_state(client, "closed"))
            pump_until(has(peer, 18))
            assert.equal("answer to question", peer:read())
        end)
    end)

    describe("a handler", function()
        it("may be given in the options or assigned later", function()
            local client, peer = helper.pair({ on_connect = expect(1) })
            client.on_data = expect(1)
            peer:write("x")
            pump_until(has(client, 1))
        end)

        it("reads back, and is removed by assigning nil", function()
            local client, peer = helper.pair()
            local handler = never("on_data")
            client.on_data = handler
            assert.equal(handler, client.on_data)
            client.on_data = nil
            assert.is_nil(client.on_data)
            peer:write("x")
            pump_until(has(client, 1))
        end)

        it("may be replaced while it runs", function()
            local client, peer = helper.pair()
            client.on_data = expect(function(sock)
                sock:read()
                sock.on_data = expect()
                peer:write("second")
            end, 1)
            peer:write("first")
            pump_until(has(client, 6))
        end)

        it("that is not a function raises at the caller's line", function()
            local sock = evsock.socket()
            helper.misuse(function() sock.on_data = "text" end, "on_data")
            helper.misuse(function() sock.on_close = 12 end, "on_close")
        end)

        it("sees nothing change while it runs", function()
            local client, peer = helper.pair()
            client.on_close = function() end
            client.on_data = expect(function(sock)
                if sock.buffered == 3 then
                    sock.on_data = nil
                    peer:write("def")
                    peer:close()
                    compute(0.05)
                    assert.equal(3, sock.buffered)
                    assert.equal("open", sock.state)
                    assert.equal("abc", sock:read())
                    assert.is_nil(sock:read())
                end
            end)
            peer:write("abc")
            pump_until(is_state(client, "closed"))
            assert.equal("def", client:read())
        end)
    end)

    it("shows bytes that were read ahead only when pump announces them", function()
        local client, peer = helper.pair()
        peer:write("ahead")
        compute(0.05)
        assert.equal(0, client.buffered)
        assert.is_nil(client:read())
        pump_until(has(client, 5))
        assert.equal("ahead", client:read())
    end)

    it("has the live view in info().live", function()
        local client = helper.pair()
        assert.is_not_nil(client:info().live)
    end)

    describe("the properties", function()
        it("state goes from idle over connecting, open and closing to closed", function()
            local record = helper.server()
            local sock = helper.track(evsock.socket())
            local states = { sock.state }
            local function note()
                if states[#states] ~= sock.state then
                    states[#states + 1] = sock.state
                end
            end
            sock:connect("127.0.0.1", record.port)
            note()
            pump_until(function()
                note()
                return sock.state == "open" and record.sockets[1]
            end)
            sock:close()
            note()
            pump_until(function()
                note()
                return sock.state == "closed"
            end)
            assert.same({ "idle", "connecting", "open", "closing", "closed" }, states)
        end)

        it("state is resolving while a name is looked up", function()
            local sock = helper.track(evsock.connect("nosuch.invalid", 1))
            assert.equal("resolving", sock.state)
        end)

        it("buffered and pending count bytes", function()
            local client, peer = helper.pair()
            assert.equal(0, client.buffered)
            assert.equal(0, client.pending)
            peer:write("12345")
            pump_until(has(client, 5))
            client:read(2)
            assert.equal(3, client.buffered)
        end)

        it("pending counts what was written while connecting", function()
            local sock = helper.connect(helper.silent_port())
            sock:write("abc", "de")
            assert.equal(5, sock.pending)
        end)

        it("an attempt that nobody answers goes on, however often one looks", function()
            local sock = helper.connect(helper.silent_port())
            for _ = 1, 5 do
                evsock.attend(sock, 0)
                assert.equal("connecting", sock.state)
            end
        end)

        it("host and port are as given to connect", function()
            local record = helper.server()
            local sock = helper.track(evsock.connect("localhost", record.port))
            assert.equal("localhost", sock.host)
            assert.equal(record.port, sock.port)
            pump_until(is_state(sock, "open"))
            assert.equal("localhost", sock.host)
        end)

        it("addresses and ports of both ends are numeric", function()
            local client, peer, record = helper.pair()
            assert.equal("127.0.0.1", client.peer_address)
            assert.equal(record.port, client.peer_port)
            assert.equal("127.0.0.1", client.local_address)
            assert.equal("127.0.0.1", peer.peer_address)
            assert.equal(client.local_port, peer.peer_port)
            assert.equal(record.port, peer.local_port)
        end)

        it("addresses are nil when there is none", function()
            local sock = evsock.socket()
            for _, name in ipairs {
                "host", "port", "peer_address", "peer_port", "local_address", "local_port",
            } do
                assert.is_nil(sock[name])
            end
        end)

        it("tls is nil on a plain connection", function()
            local client = helper.pair()
            assert.is_nil(client.tls)
        end)

        it("counts and ports are integers where Lua has them", function()
            local client, peer = helper.pair()
            peer:write("x")
            pump_until(has(client, 1))
            for _, name in ipairs { "buffered", "pending", "port", "peer_port", "local_port" } do
                assert.is_truthy(tostring(client[name]):match("^%d+$"), name)
            end
        end)

        it("that only tell something are read-only", function()
            local sock = evsock.socket()
            helper.misuse(function() sock.state = "open" end, "state")
            helper.misuse(function() sock.buffered = 1 end, "buffered")
        end)

        it("of any other name are free for the script, for each socket its own", function()
            local one, two = evsock.socket(), evsock.socket()
            local tally = {}
            one.tally, one.name = tally, "one"
            two.name = "two"
            assert.equal(tally, one.tally)
            assert.equal("one", one.name)
            assert.equal("two", two.name)
            assert.is_nil(two.tally)
            one.tally = nil
            assert.is_nil(one.tally)
        end)
    end)

    describe("write", function()
        it("queues all arguments in order and returns true", function()
            local client, peer = helper.pair()
            assert.is_true(client:write("one ", "two ", "three"))
            assert.is_true(client:write(" four"))
            pump_until(has(peer, 18))
            assert.equal("one two three four", peer:read())
        end)

        it("sends bytes as they are", function()
            local client, peer = helper.pair()
            local bytes = {}
            for i = 0, 255 do
                bytes[#bytes + 1] = string.char(i)
            end
            local all = table.concat(bytes)
            client:write(all)
            pump_until(has(peer, 256))
            assert.equal(all, peer:read())
        end)

        it("is allowed while connecting", function()
            local record = helper.server()
            local client = helper.connect(record.port)
            assert.is_true(client:write("early"))
            pump_until(function() return record.sockets[1] and record.sockets[1].buffered == 5 end)
            assert.equal("early", record.sockets[1]:read())
        end)

        it("returns nil, message and ECLOSED on an idle or closed socket", function()
            local sock = evsock.socket()
            local ok, message, code = sock:write("x")
            assert.is_nil(ok)
            assert.is_string(message)
            assert.equal("ECLOSED", code)
            local client, peer = helper.pair()
            peer:close()
            pump_until(is_state(client, "closed"))
            ok, message, code = client:write("x")
            assert.is_nil(ok)
            assert.is_string(message)
            assert.equal("ECLOSED", code)
        end)

        it("never blocks, whatever the peer does", function()
            local client = helper.pair(nil, { read_limit = 65536 })
            local begin = evsock.now()
            assert.is_true(client:write(("x"):rep(16 * 1024 * 1024)))
            assert.is_true(evsock.now() - begin < 1 * helper.slow)
            assert.is_true(client.pending > 0)
        end)

        it("keeps the order between what is sent at once and what must wait", function()
            local client, peer = helper.pair()
            local pieces = {}
            for i = 1, 400 do
                pieces[i] = ("%06d;"):format(i):rep(i)
                client:write(pieces[i])
            end
            client:close()
            local received = {}
            pump_until(function()
                received[#received + 1] = peer:read() or ""
                return peer.state == "closed" and peer.buffered == 0
            end, 10)
            assert.is_true(table.concat(pieces) == table.concat(received))
        end)
    end)

    describe("shutdown", function()
        it("flushes, then sends the end of stream, and reading goes on", function()
            local text = ("0123456789"):rep(50000)
            local client, peer = helper.pair(nil, { half_open = true })
            local ended = false
            peer.on_end = expect(function() ended = true end, 1)
            client:write(text)
            client:shutdown()
            local received = {}
            pump_until(function()
                received[#received + 1] = peer:read() or ""
                return ended and peer.buffered == 0
            end)
            assert.is_true(table.concat(received) == text)
            peer:write("still there?")
            pump_until(has(client, 12))
            assert.equal("still there?", client:read())
        end)

        it("allows no more writes", function()
            local client = helper.pair()
            client:shutdown()
            local ok, message, code = client:write("x")
            assert.is_nil(ok)
            assert.is_string(message)
            assert.is_string(code)
        end)
    end)

    describe("close", function()
        it("flushes what was written, then ends in order", function()
            local text = ("0123456789"):rep(400000)
            local client, peer = helper.pair({ on_close = expect(1) })
            peer.on_close = expect(function(_, message)
                assert.is_nil(message)
            end, 1)
            client:write(text)
            client:close()
            local received = {}
            pump_until(function()
                received[#received + 1] = peer:read() or ""
                return peer.state == "closed" and peer.buffered == 0
            end)
            assert.is_true(table.concat(received) == text)
            pump_until(is_state(client, "closed"))
        end)

        it("ends with FIN, not RST, and discards what still arrives", function()
            local client, peer = helper.pair()
            peer:write(("unread"):rep(10000))
            client:write("last words")
            client:close()
            peer.on_close = expect(function(_, message, code)
                assert.is_nil(message)
                assert.is_nil(code)
            end, 1)
            peer:write(("late"):rep(1000))
            pump_until(is_state(peer, "closed"))
            assert.equal("last words", peer:read())
        end)

        it("is bounded by write_timeout, then ETIMEDOUT", function()
            local client = helper.pair({ write_timeout = 0.3 }, { read_limit = 65536 })
            client.on_close = expect(function(_, message, code)
                assert.is_string(message)
                assert.equal("ETIMEDOUT", code)
            end, 1)
            client:write(("x"):rep(24 * 1024 * 1024))
            client:close()
            assert.equal("closing", client.state)
            pump_until(is_state(client, "closed"), 4)
        end)

        it("takes at most 5 s, to flush to a stalled peer or to connect for it", function()
            local begin = evsock.now()
            local stalled = helper.pair({
                on_close = expect(function(_, _, code) assert.equal("ETIMEDOUT", code) end, 1),
            }, { read_limit = 65536 })
            stalled:write(("x"):rep(24 * 1024 * 1024))
            local unanswered = helper.connect(helper.silent_port(), { on_close = expect(1) })
            unanswered:write("x")
            stalled:close()
            unanswered:close()
            pump_until(function()
                return stalled.state == "closed" and unanswered.state == "closed"
            end, 8)
            assert.is_true(evsock.now() - begin > 4.5)
        end)

        it("while connecting cancels at once when nothing is written", function()
            local client = helper.connect(helper.silent_port(), {
                on_connect = never("on_connect"),
                on_close = expect(function(_, message, code)
                    assert.is_nil(message)
                    assert.is_nil(code)
                end, 1),
            })
            client:close()
            pump_until(is_state(client, "closed"), 0.5)
        end)

        it("while connecting with writes queued connects, flushes and closes", function()
            local record = helper.server()
            local client = helper.connect(record.port, { on_close = expect(1) })
            client:write("short visit")
            client:close()
            pump_until(function()
                local peer = record.sockets[1]
                return peer and peer.state == "closed" and client.state == "closed"
            end)
            assert.equal("short visit", record.sockets[1]:read())
        end)

        it("while resolving cancels the lookup", function()
            local client = helper.track(evsock.connect("nosuch.invalid", 1, {
                -- The lookup may have failed before; then its failure is what on_close tells.
                on_close = expect(function(_, _, code)
                    assert.is_true(code == nil or code == "EHOSTNOTFOUND")
                end, 1),
            }))
            client:close()
            pump_until(is_state(client, "closed"), 0.5)
            helper.pump_for(0.1)
        end)

        it("on an idle socket does nothing", function()
            local sock = evsock.socket({ on_close = never("on_close") })
            sock:close()
            sock:abort()
            helper.pump_for(0.02)
        end)
    end)

    describe("abort", function()
        it("closes now and drops everything", function()
            local client, peer = helper.pair({ on_close = expect(1) }, { read_limit = 65536 })
            client:write(("x"):rep(24 * 1024 * 1024))
            assert.is_true(client.pending > 0)
            local count = 0
            peer.on_close = expect(function(_, _, code) assert.equal("ECONNRESET", code) end, 1)
            client:abort()
            pump_until(is_state(client, "closed"), 0.5)
            assert.equal(0, client.pending)
            pump_until(function()
                count = count + #(peer:read() or "")
                return peer.state == "closed"
            end)
            assert.is_true(count < 24 * 1024 * 1024)
        end)

        it("while connecting cancels at once, writes or not", function()
            local client = helper.connect(helper.silent_port(), {
                on_close = expect(function(_, message) assert.is_nil(message) end, 1),
            })
            client:write("x")
            client:abort()
            pump_until(is_state(client, "closed"), 0.5)
        end)
    end)

    describe("info", function()
        it("is a table of all properties", function()
            local client = helper.pair()
            local info = client:info()
            for _, name in ipairs {
                "state", "buffered", "pending", "host", "port", "peer_address", "peer_port",
                "local_address", "local_port", "read_timeout", "write_timeout", "connect_timeout",
                "reconnect", "read_limit", "write_limit", "drain_at", "nodelay", "keepalive",
                "half_open",
            } do
                assert.equal(client[name], info[name], name)
            end
        end)

        it("has counters of the bytes in and out", function()
            local client, peer = helper.pair()
            client:write(("x"):rep(4321))
            peer:write(("x"):rep(1234))
            pump_until(has(client, 1234))
            pump_until(has(peer, 4321))
            client:read(1000)
            local found = {}
            for _, value in pairs(client:info()) do
                found[tostring(value)] = true
            end
            assert.is_true(found["1234"])
            assert.is_true(found["4321"])
        end)

        it("works on an idle socket", function()
            assert.equal("idle", evsock.socket():info().state)
        end)

        it("say since when the connection stands, in seconds of evsock.now()", function()
            local before = evsock.now()
            local client = helper.pair()
            local opened = client:info().opened
            assert.is_true(opened >= before - 0.002 and opened <= evsock.now(), opened)
            assert.is_nil(evsock.socket():info().opened)
        end)
    end)

    describe("tostring", function()
        it("says what it is and where it is connected", function()
            local client, peer, record = helper.pair()
            local place = "127.0.0.1:" .. record.port
            assert.is_truthy(tostring(client):find(place, 1, true))
            assert.is_truthy(tostring(client):find("[Ss]ocket"))
            local other = "127.0.0.1:" .. client.local_port
            assert.is_truthy(tostring(peer):find(other, 1, true))
            assert.is_truthy(tostring(evsock.socket()):find("[Ss]ocket"))
        end)
    end)

    it("is userdata whose metatable can be read", function()
        local sock = evsock.socket()
        assert.equal("userdata", type(sock))
        local metatable = getmetatable(sock)
        assert.is_string(metatable.__name)
        assert.is_string(metatable.__type)
        assert.is_function(metatable.__tostring)
        assert.is_function(metatable.__close)
        assert.is_not_nil(metatable.__gc)
    end)

    describe("misuse", function()
        local port = 80

        it("of host and port raises at the caller's line and names the argument", function()
            local sock = evsock.socket()
            helper.misuse(function() evsock.connect() end, "bad argument 'host' to 'connect'")
            helper.misuse(function() evsock.connect({}, port) end, "'host' to 'connect'")
            helper.misuse(function() evsock.connect(12, port) end, "string expected")
            helper.misuse(function() evsock.connect("h") end, "bad argument 'port' to 'connect'")
            helper.misuse(function() sock:connect(nil, port) end, "'host' to 'connect'")
            helper.misuse(function() sock:connect("h", {}) end, "'port' to 'connect'")
        end)

        it("of a port out of range or not a number raises", function()
            local bad = { -1, 65536, 1.5, "x", "", "80x", "1e9", 0 / 0, 1 / 0, false }
            for _, value in ipairs(bad) do
                helper.misuse(function() evsock.connect("h", value) end, "argument 'port'")
            end
            local wanted = "bad argument 'port' to 'connect' (integer from 0 to 65535 expected, got"
            helper.misuse(function() evsock.connect("h", "x") end, wanted)
        end)

        it("of options raises", function()
            helper.misuse(function() evsock.connect("h", 1, 2) end, "'options' to 'connect'")
            helper.misuse(function() evsock.socket("x") end, "'options' to 'socket'")
            helper.misuse(function() evsock.socket({ foo = 1 }) end,
                "bad option 'foo' to 'socket' (unknown name)")
        end)

        it("of write raises and sends nothing", function()
            local client, peer = helper.pair()
            helper.misuse(function() client:write({}) end, "bad argument 'data' to 'write'")
            helper.misuse(function() client:write("x", nil, "y") end, "'data' to 'write'")
            helper.misuse(function() client:write("x", true) end, "'data' to 'write'")
            helper.pump_for(0.02)
            assert.equal(0, peer.buffered)
        end)

        it("of self raises", function()
            local sock = evsock.socket()
            helper.misuse(function() sock.write({}, "x") end, "bad argument")
            helper.misuse(function() sock.read() end, "bad argument")
            helper.misuse(function() sock.close("x") end, "bad argument")
            helper.misuse(function() sock.connect(io.stdout, "h", 1) end, "bad argument")
            helper.misuse(function() sock.info({}) end, "bad argument")
        end)

        it("leaves a socket as it was", function()
            local client, peer = helper.pair()
            pcall(client.connect, client, "h", -1)
            pcall(client.connect, client, "127.0.0.1", 1, { foo = 1 })
            assert.equal("open", client.state)
            client:write("well")
            pump_until(has(peer, 4))
        end)
    end)
end)
