-- The calls that wait: receive, send and wait, in tasks and outside of them.

local helper = require "spec.helper"
local evsock = helper.evsock
local pump_until = helper.pump_until

-- Runs `fn` both ways: as a task that is joined, and outside of any.
local function both(name, fn)
    it(name .. ", outside of tasks", fn)
    it(name .. ", in a task", function()
        local task = helper.track(evsock.spawn(fn))
        local ok, message = task:join(20)
        if not ok then
            error(message, 0)
        end
    end)
end

local function later(seconds, fn)
    helper.track(evsock.after(seconds, fn))
end

local function failed(code, ...)
    local value, message, found = ...
    assert.is_nil(value)
    assert.is_string(message)
    assert.equal(code, found)
    return (select(4, ...))
end

describe("receive", function()
    after_each(helper.finish)

    both("takes what is buffered without waiting", function()
        local client, peer = helper.pair()
        peer:write("one\ntwo\r\nthree four rest")
        pump_until(function() return client.buffered == 24 end)
        local pumped = false
        evsock.after(0, function()
            pumped = true
        end)
        assert.equal("one", client:receive("*l"))
        assert.equal("two", client:receive("l"))
        assert.equal("three", client:receive(5))
        assert.equal("", client:receive(0))
        assert.equal(" four ", client:receive({ until_ = "r ", keep = true }))
        assert.equal("re", client:receive({ until_ = "st" }))
        assert.equal(0, client.buffered)
        assert.is_false(pumped)
    end)

    both("waits for a line, a count, a delimiter, whatever comes", function()
        local client, peer = helper.pair()
        local pieces = { "a li", "ne\nfi", "ve!", "x", "--en", "d", "rest" }
        for i, piece in ipairs(pieces) do
            later(i * 0.005, function()
                peer:write(piece)
            end)
        end
        assert.equal("a line", client:receive("*l", 5))
        assert.equal("five!", client:receive(5, 5))
        assert.equal("x", client:receive({ until_ = "--end" }, 5))
        assert.equal("rest", client:receive("*r", 5))
    end)

    both("waits through connecting, too", function()
        local server = helper.server({ on_data = function() end })
        server.server.on_accept = function(_, sock)
            server.sockets[#server.sockets + 1] = sock
            sock:write("welcome\n")
        end
        local client = helper.connect(server.port)
        assert.equal("welcome", client:receive("*l", 5))
    end)

    both("to the end gives everything, also far more than read_limit", function()
        local client, peer = helper.pair({ read_limit = 64 * 1024 })
        local block = ("0123456789abcdef"):rep(64 * 1024)
        for _ = 1, 20 do
            peer:write(block)
        end
        peer:close()
        local all = client:receive("*a", 20 * helper.slow)
        assert.equal(20 * #block, all and #all)
        assert.is_true(all == block:rep(20))
        assert.equal("", failed("ECLOSED", client:receive("*a", 1)))
    end)

    both("to the end gives what came before a half-closed peer's end", function()
        local client, peer = helper.pair({ half_open = true }, { half_open = true })
        peer:write("the question")
        peer:shutdown()
        assert.equal("the question", client:receive("*a", 5))
        assert.is_true(client:send("the answer", 5))
        client:close()
        assert.equal("the answer", peer:receive("*a", 5))
    end)

    both("fails with ECLOSED and the rest of the stream, which stays buffered", function()
        local client, peer = helper.pair()
        peer:write("no end of line")
        later(0.01, function()
            peer:close()
        end)
        assert.equal("no end of line", failed("ECLOSED", client:receive("*l", 5)))
        assert.equal("no end of line", failed("ECLOSED", client:receive(100, 5)))
        assert.equal("no end", client:receive(6))
        assert.equal(" of line", client:read())
    end)

    both("fails with the code of the connection's end, and keeps what came", function()
        local client, peer = helper.pair()
        peer:write("partial")
        pump_until(function() return client.buffered == 7 end)
        later(0.01, function()
            peer:abort()
        end)
        assert.equal("partial", failed("ECONNRESET", client:receive("*a", 5)))
        assert.equal("partial", failed("ECONNRESET", client:receive("*l", 5)))
        assert.equal("partial", client:read())
    end)

    both("fails with ECLOSED at once when it was never connected", function()
        local sock = helper.track(evsock.socket())
        assert.equal("", failed("ECLOSED", sock:receive("*l")))
    end)

    both("fails with the cause when connecting fails", function()
        local client = helper.connect(helper.free_port())
        assert.equal("", failed("ECONNREFUSED", client:receive("*l", 5)))
        assert.equal("", failed("ECONNREFUSED", client:receive(1)))
    end)

    both("fails with ETIMEDOUT, names the peer, and takes nothing", function()
        local client, peer = helper.pair()
        peer:write("half a li")
        local began = evsock.now()
        local value, message, code, partial = client:receive("*l", 0.03)
        assert.is_nil(value)
        assert.is_truthy(message:find("receive 127.0.0.1:", 1, true), message)
        assert.equal("ETIMEDOUT", code)
        assert.is_true(evsock.now() - began >= 0.03)
        assert.equal("half a li", partial)
        peer:write("ne\n")
        assert.equal("half a line", client:receive("*l", 5))
    end)

    both("to the end puts back what it has taken when the time is up", function()
        local client, peer = helper.pair()
        peer:write("some of it")
        assert.equal("some of it", failed("ETIMEDOUT", client:receive("*a", 0.03)))
        peer:write(" and more")
        peer:close()
        assert.equal("some of it and more", client:receive("*a", 5))
    end)

    both("with 0 seconds takes what one pump brings", function()
        local client = helper.pair()
        assert.equal("", failed("ETIMEDOUT", client:receive("*l", 0)))
    end)

    both("runs beside handlers, which come first and may take the bytes", function()
        local client, peer = helper.pair()
        local seen = ""
        client.on_data = function(sock)
            seen = seen .. sock:read(1)
        end
        peer:write("ab")
        local got = client:receive("*r", 5)
        assert.equal("ab", seen .. got .. (client:read() or ""))
        assert.equal("a", seen:sub(1, 1))
    end)

    it("by a second one fails with EBUSY at once; the first goes on", function()
        local client, peer = helper.pair()
        local got
        helper.track(evsock.spawn(function()
            got = client:receive("*l", 5)
        end))
        evsock.pump()
        failed("EBUSY", client:receive("*l", 5))
        failed("EBUSY", client:wait("data", 5))
        local second = helper.track(evsock.spawn(function()
            return client:receive(1)
        end))
        local _, value, _, code = second:join(1)
        assert.is_nil(value)
        assert.equal("EBUSY", code)
        peer:write("for the first\n")
        pump_until(function() return got end)
        assert.equal("for the first", got)
    end)

    it("inside on_accept gets what the new connection sends", function()
        local got
        local server = helper.server()
        server.server.on_accept = function(_, sock)
            server.sockets[#server.sockets + 1] = sock
            got = sock:receive("*l", 5)
        end
        local client = helper.connect(server.port)
        client:write("first words\n")
        pump_until(function() return got end)
        assert.equal("first words", got)
    end)

    it("in a task keeps its socket alive without any other reference", function()
        local server = helper.server()
        local got
        evsock.spawn(function()
            got = evsock.connect("127.0.0.1", server.port):receive("*l")
        end)
        pump_until(function()
            collectgarbage()
            return server.sockets[1]
        end)
        for _ = 1, 5 do
            collectgarbage()
            evsock.pump(0.005)
        end
        server.sockets[1]:write("alive\n")
        pump_until(function() return got end)
        assert.equal("alive", got)
    end)

    it("ends with the connection when the socket is closed, aborted or connected anew", function()
        local ways = {
            close = function(sock) sock:close() end,
            abort = function(sock) sock:abort() end,
            connect = function(sock, port) sock:connect("127.0.0.1", port) end,
        }
        for name, way in pairs(ways) do
            local client, _, server = helper.pair()
            local answer
            helper.track(evsock.spawn(function()
                answer = { client:receive("*l") }
            end))
            evsock.pump()
            way(client, server.port)
            pump_until(function() return answer end, 5, name)
            assert.is_nil(answer[1])
            assert.equal("ECLOSED", answer[3], name)
        end
    end)

    it("on the new connection is not ended by the end of the old", function()
        local client, _, server = helper.pair()
        local got
        helper.track(evsock.spawn(function()
            client:connect("127.0.0.1", server.port)
            got = { client:receive("*l", 5) }
        end))
        pump_until(function() return server.sockets[2] end)
        server.sockets[2]:write("new\n")
        pump_until(function() return got end)
        assert.equal("new", got[1])
    end)

    it("with reconnect ends with each connection, and waits for the next", function()
        local client, peer, server = helper.pair({ reconnect = 0.01 })
        local answers = {}
        local task = helper.track(evsock.spawn(function()
            for i = 1, 2 do
                answers[i] = { client:receive("*l", 5) }
            end
        end))
        evsock.pump()
        peer:abort()
        pump_until(function() return server.sockets[2] end)
        server.sockets[2]:write("again\n")
        task:join(5)
        assert.equal("ECONNRESET", answers[1][3])
        assert.equal("again", answers[2][1])
        client:close()
    end)

    it("of a line longer than max_frame fails with EMSGSIZE", function()
        local client, peer = helper.pair({ read_limit = 1024, max_frame = 4096 })
        peer:write(("x"):rep(100000))
        local value, _, code = client:receive("*l", 5)
        assert.is_nil(value)
        assert.equal("EMSGSIZE", code)
    end)

    it("with timeouts that race with the data loses and doubles no byte", function()
        local client, peer = helper.pair()
        local sent, got = {}, {}
        local rounds = 300
        math.randomseed(7)
        helper.track(evsock.spawn(function()
            for i = 1, rounds do
                local text = ("%d\n"):format(i)
                sent[#sent + 1] = text
                if math.random(2) == 1 then
                    evsock.sleep(math.random() / 1000)
                end
                peer:write(text:sub(1, 1))
                peer:write(text:sub(2))
            end
            peer:close()
        end))
        local task = helper.track(evsock.spawn(function()
            while true do
                local line, _, code = client:receive("*l", math.random() / 2000)
                if line then
                    got[#got + 1] = line .. "\n"
                elseif code ~= "ETIMEDOUT" then
                    return code
                end
            end
        end))
        local _, code = task:join(20)
        assert.equal("ECLOSED", code)
        assert.equal(table.concat(sent), table.concat(got))
    end)

    it("of nonsense raises at the caller's line", function()
        local client = helper.pair()
        helper.misuse(function() client:receive("line") end, "'what'")
        helper.misuse(function() client:receive(-1) end, "'what'")
        helper.misuse(function() client:receive(1.5) end, "'what'")
        helper.misuse(function() client:receive() end, "'what'")
        helper.misuse(function() client:receive({}) end, "'what'")
        helper.misuse(function() client:receive({ until_ = "" }) end, "'what'")
        helper.misuse(function() client:receive("*l", "long") end, "'timeout'")
        helper.misuse(function() client.receive({}, "*l") end, "'self'")
    end)
end)

describe("send", function()
    after_each(helper.finish)

    both("returns true when all is handed to the system", function()
        local client, peer = helper.pair()
        peer.on_data = function(sock)
            sock:read()
        end
        assert.is_true(client:send("small", 5))
        assert.is_true(client:send(("x"):rep(8 * 1024 * 1024), 20 * helper.slow))
        assert.equal(0, client.pending)
        assert.is_true(client:send("", 5))
    end)

    both("while connecting waits for that, too", function()
        local server = helper.server({ on_data = function(sock) sock:read() end })
        local client = helper.connect(server.port)
        assert.is_true(client:send("early", 5))
        assert.equal(0, client.pending)
    end)

    both("fails with ETIMEDOUT while the peer does not read; the bytes stay queued", function()
        local client = helper.pair(nil, { read_limit = 1024 })
        local big = ("x"):rep(16 * 1024 * 1024)
        local before = client:info().bytes_out
        local handed = failed("ETIMEDOUT", client:send(big, 0.05))
        assert.is_true(client.pending > 0)
        assert.equal(client:info().bytes_out - before, handed)
        assert.equal(#big - client.pending, handed)
        -- Of this call, not of those before.
        assert.equal(0, failed("ETIMEDOUT", client:send("behind it", 0.01)))
        assert.equal(#big - handed + 9, client.pending)
    end)

    both("that timed out says nil when there was no room, and has queued nothing", function()
        local client = helper.pair({ write_limit = 1000 }, { read_limit = 1024 })
        client:write(("x"):rep(16 * 1024 * 1024))
        local pending = client.pending
        local value, message, code, handed = client:send("y", 0.01)
        assert.is_nil(value)
        assert.truthy(message:find("before there was room", 1, true), message)
        assert.equal("ETIMEDOUT", code)
        assert.is_nil(handed)
        assert.is_true(client.pending <= pending)
    end)

    both("that timed out while connecting says that nothing is handed over yet", function()
        local client = helper.connect(helper.silent_port())
        assert.equal(0, failed("ETIMEDOUT", client:send("early", 0.01)))
        assert.equal(5, client.pending)
    end)

    both("waits for room at write_limit instead of failing", function()
        local client, peer = helper.pair({ write_limit = 100000 }, { read_limit = 1024 })
        local big = ("x"):rep(8 * 1024 * 1024)
        client:write(big)
        local total = 0
        later(0.01, function()
            peer.on_data = function(sock)
                total = total + #sock:read()
            end
            total = total + #(peer:read() or "")
        end)
        assert.is_true(client:send(("y"):rep(50000), 20 * helper.slow))
        pump_until(function() return total == #big + 50000 end, 20 * helper.slow)
    end)

    both("does not depend on drain_at", function()
        local client, peer = helper.pair({ drain_at = 4 * 1024 * 1024 }, { read_limit = 4096 })
        later(0.01, function()
            peer.on_data = function(sock)
                sock:read()
            end
            peer:read()
        end)
        assert.is_true(client:send(("x"):rep(8 * 1024 * 1024), 20 * helper.slow))
        assert.equal(0, client.pending)
    end)

    both("fails with the cause when the connection ends before", function()
        local client, peer = helper.pair(nil, { read_limit = 1024 })
        later(0.02, function()
            peer:abort()
        end)
        local value, message, code = client:send(("x"):rep(16 * 1024 * 1024), 5)
        assert.is_nil(value)
        assert.is_string(message)
        assert.equal("ECONNRESET", code)
    end)

    both("fails with ECLOSED on a socket that is not connected", function()
        failed("ECLOSED", helper.track(evsock.socket()):send("x", 1))
        local client = helper.pair()
        client:close()
        failed("ECLOSED", client:send("x", 1))
    end)

    it("by many tasks on one socket keeps each in one piece and in order", function()
        local client, peer = helper.pair(nil, { read_limit = 64 * 1024 })
        local parts = {}
        peer.on_data = function(sock)
            parts[#parts + 1] = sock:read()
        end
        local tasks = {}
        for i = 1, 20 do
            tasks[i] = helper.track(evsock.spawn(function()
                for k = 1, 5 do
                    assert(client:send(("%02d%d"):format(i, k):rep(20000), 20 * helper.slow))
                end
            end))
        end
        for _, task in ipairs(tasks) do
            assert.is_true((task:join(20)))
        end
        pump_until(function()
            return client.pending == 0 and peer:info().bytes_in == 20 * 5 * 60000
        end, 20 * helper.slow)
        evsock.pump()
        local all = table.concat(parts)
        local latest = {}
        for at = 1, #all, 60000 do
            local piece = all:sub(at, at + 59999)
            local i, k = piece:match("^(%d%d)(%d)")
            assert.is_true(piece == (i .. k):rep(20000))
            assert.is_true(tonumber(k) == (latest[i] or 0) + 1)
            latest[i] = tonumber(k)
        end
    end)

    it("of anything but a string raises at the caller's line", function()
        local client = helper.pair()
        helper.misuse(function() client:send({}) end, "'data'")
        helper.misuse(function() client:send() end, "'data'")
        helper.misuse(function() client:send("x", -1) end, "'timeout'")
    end)
end)

describe("wait", function()
    after_each(helper.finish)

    both("for connect answers true when the connection stands, at once if it does", function()
        local server = helper.server()
        local client = helper.connect(server.port)
        assert.is_true(client:wait("connect", 5))
        assert.equal("open", client.state)
        assert.is_true(client:wait("connect"))
    end)

    both("for connect fails with the cause", function()
        failed("ECONNREFUSED", helper.connect(helper.free_port()):wait("connect", 5))
        failed("ECLOSED", helper.track(evsock.socket()):wait("connect", 5))
        local code = select(3, helper.connect(helper.silent_port()):wait("connect", 0.03))
        assert.equal("ETIMEDOUT", code)
    end)

    both("for data answers true and takes nothing", function()
        local client, peer = helper.pair()
        later(0.01, function()
            peer:write("x")
        end)
        assert.is_true(client:wait("data", 5))
        assert.is_true(client:wait("data"))
        assert.equal("x", client:read())
        peer:close()
        failed("ECLOSED", client:wait("data", 5))
    end)

    both("for drain answers true when no more than drain_at waits", function()
        local client, peer = helper.pair(nil, { read_limit = 1024 })
        assert.is_true(client:wait("drain"))
        client:write(("x"):rep(8 * 1024 * 1024))
        failed("ETIMEDOUT", client:wait("drain", 0.02))
        peer.on_data = function(sock)
            sock:read()
        end
        peer:read()
        assert.is_true(client:wait("drain", 20 * helper.slow))
        assert.equal(0, client.pending)
    end)

    both("for close answers true however it ends", function()
        local client, peer = helper.pair()
        later(0.01, function()
            peer:abort()
        end)
        assert.is_true(client:wait("close", 5))
        assert.is_true(client:wait("close"))
        local other = helper.pair()
        failed("ETIMEDOUT", other:wait("close", 0.01))
        other:close()
        assert.is_true(other:wait("close", 5))
        assert.equal("closed", other.state)
    end)

    both("for more answers true when bytes have come behind those that are there", function()
        local client, peer = helper.pair()
        peer:write("half a li")
        assert.is_true(client:wait("more", 5))
        while client.buffered < 9 do
            assert.is_true(client:wait("more", 5))
        end
        failed("ETIMEDOUT", client:wait("more", 0.01))
        later(0.01, function() peer:write("ne\n") end)
        assert.is_true(client:wait("more", 5))
        assert.equal(0, select(2, client:peek():gsub("^half a line?\n?$", "")) - 1)
        peer:close()
        repeat
            local more, _, code = client:wait("more", 5)
        until not more and code
        assert.equal("half a line\n", client:read())
        failed("ECLOSED", client:wait("more", 5))
    end)

    both("for more goes beyond read_limit, up to max_frame", function()
        local client, peer = helper.pair({ read_limit = 1024, max_frame = 65536 })
        -- Reading has stopped behind each but for the wait.
        for round = 1, 6 do
            peer:write(("x"):rep(10000))
            while client.buffered < round * 10000 do
                assert.is_true(client:wait("more", 5))
            end
        end
        peer:write(("x"):rep(100000))
        local more, _, code
        repeat
            more, _, code = client:wait("more", 5)
        until not more
        assert.equal("EMSGSIZE", code)
    end)

    it("for more counts from what is left when somebody reads meanwhile", function()
        local client, peer = helper.pair()
        peer:write("12345678")
        pump_until(function() return client.buffered == 8 end)
        local task = helper.spawn(function() return client:wait("more") end)
        evsock.pump()
        assert.is_false(task.done)
        client:read()
        client.on_data = function(sock)
            client.on_data = nil
            sock:read()
        end
        peer:write("x")
        pump_until(function() return not client.on_data end)
        evsock.pump()
        assert.is_false(task.done)
        peer:write("y")
        assert.same({ true, true }, { task:join(5) })
        assert.equal("y", client:read())
    end)

    it("may be made by many for the same event", function()
        local client = helper.pair()
        local count = 0
        for _ = 1, 20 do
            helper.track(evsock.spawn(function()
                assert(client:wait("close"))
                count = count + 1
            end))
        end
        evsock.pump()
        client:close()
        pump_until(function() return count == 20 end)
    end)

    it("of an error in one of several tasks keeps none of the others from going on", function()
        evsock.on_error = helper.expect(function() end, 2)
        local client = helper.pair()
        client.on_close = function()
            error("the handler, too")
        end
        local count = 0
        for i = 1, 5 do
            helper.track(evsock.spawn(function()
                client:wait("close")
                count = count + 1
                if i == 3 then
                    error("one of them")
                end
            end))
        end
        evsock.pump()
        client:close()
        pump_until(function() return count == 5 end)
    end)

    it("for anything else raises at the caller's line", function()
        local client = helper.pair()
        helper.misuse(function() client:wait("end") end, "'event'")
        helper.misuse(function() client:wait() end, "'event'")
        helper.misuse(function() client:wait("data", "long") end, "'timeout'")
    end)
end)

describe("errors of handlers while something waits outside of tasks", function()
    after_each(helper.finish)

    it("leave the waiting call, which leaves no waiter behind", function()
        local client, peer = helper.pair()
        later(0.01, function()
            error("a handler's")
        end)
        local ok, message = pcall(client.receive, client, "*l", 5)
        assert.is_false(ok)
        assert.is_truthy(message:find("a handler's", 1, true))
        peer:write("afterwards\n")
        assert.equal("afterwards", client:receive("*l", 5))
    end)
end)

describe("waits on a socket with reconnect", function()
    after_each(helper.finish)

    it("are ended by every end of a connection, the orderly one too", function()
        local ends = {
            ECLOSED = function(peer) peer:close() end,
            ECONNRESET = function(peer) peer:abort() end,
        }
        for code, way in pairs(ends) do
            local client, peer, server = helper.pair({ reconnect = 0.01 })
            local calls = {
                receive = function() return client:receive("*l", 5) end,
                close = function() return client:wait("close", 5) end,
                drain = function()
                    client:write(("x"):rep(16 * 1024 * 1024))
                    return client:wait("drain", 5)
                end,
            }
            local tasks = {}
            for name, call in pairs(calls) do
                tasks[name] = helper.track(evsock.spawn(call))
            end
            peer.read_limit = 1000
            evsock.pump()
            peer:write("half a line")
            pump_until(function() return client.buffered == 11 end)
            way(peer)
            local function joined(name)
                return select(2, tasks[name]:join(5))
            end
            local value, _, found, partial = joined("receive")
            assert.is_nil(value)
            -- A peer that closes with unread bytes resets, too.
            assert.is_true(found == code or found == "ECONNRESET", found)
            assert.equal("half a line", partial)
            assert.is_true((joined("close")))
            -- A closing peer discards what still comes, and so may drain it.
            assert.is_true(code == "ECLOSED" or joined("drain") == nil)
            pump_until(function() return server.sockets[2] and client.state == "open" end)
            server.sockets[2]:write("another\n")
            assert.equal("another", client:receive("*l", 5))
            client:close()
        end
    end)

    both("that begin between two attempts wait for the next", function()
        local client, peer, server = helper.pair({ reconnect = 0.02 })
        for round, wait in ipairs {
            function() return client:wait("connect", 5) end,
            function() return client:send("for the next", 5) end,
            function()
                server.server.on_accept = function(_, sock)
                    helper.track(sock):write("x")
                end
                return client:wait("data", 5)
            end,
        } do
            peer:close()
            assert.is_true(client:wait("close", 5))
            assert.equal("waiting", client.state)
            assert.is_true(wait())
            pump_until(function()
                return client.state == "open" and (round == 3 or server.sockets[round + 1])
            end)
            peer = server.sockets[round + 1]
            if round == 2 then
                assert.equal("for the next", peer:receive(12, 5))
            end
        end
        client:close()
    end)

    it("that its close ends between two attempts leave at once", function()
        local client, peer = helper.pair({ reconnect = 60 })
        peer:close()
        assert.is_true(client:wait("close", 5))
        local tasks = {}
        for i, call in ipairs {
            function() return client:receive("*l") end,
            function() return client:send("x") end,
            function() return client:wait("connect") end,
            function() return client:wait("drain") end,
        } do
            tasks[i] = helper.track(evsock.spawn(call))
        end
        evsock.pump()
        client:close()
        for _, task in ipairs(tasks) do
            local _, value, _, code = task:join(5)
            assert.is_nil(value)
            assert.equal("ECLOSED", code)
        end
    end)

    it("that begin in on_close, on the next connection, outlive that handler", function()
        local client, peer, server = helper.pair()
        client.on_close = function(sock)
            sock.on_close = nil
            sock:connect("127.0.0.1", server.port)
            evsock.sleep(0.03)
        end
        local task = helper.track(evsock.spawn(function()
            local _, _, code = client:receive("*l", 5)
            return code, client:receive("*l", 5), client:receive("*l", 5)
        end))
        evsock.pump()
        peer:close()
        pump_until(function() return server.sockets[2] end)
        evsock.pump()
        server.sockets[2]:write("one\n")
        helper.pump_for(0.05)
        server.sockets[2]:write("two\n")
        assert.same({ true, "ECLOSED", "one", "two" }, { task:join(5) })
    end)

    it("that are called off do not tell of the failure before", function()
        local port = helper.free_port()
        local client = helper.connect(port, { reconnect = 0.01 })
        failed("ECONNREFUSED", client:wait("connect", 5))
        local server = helper.track(assert(evsock.listen("127.0.0.1", port, { backlog = 1 })))
        server:pause()
        for _ = 1, 4 do
            helper.connect(port, { connect_timeout = 0 })
        end
        pump_until(function() return client.state == "connecting" or client.state == "open" end)
        local task = helper.track(evsock.spawn(client.receive, client, "*l", 5))
        evsock.pump()
        client:close()
        local _, value, _, code = task:join(5)
        assert.is_nil(value)
        assert.equal("ECLOSED", code)
    end)
end)

describe("of several that wait on one socket", function()
    after_each(helper.finish)

    it("the first goes on first", function()
        local client = helper.pair()
        local order = {}
        for i = 1, 6 do
            helper.track(evsock.spawn(function()
                client:wait("close")
                order[#order + 1] = i
            end))
        end
        evsock.pump()
        client:abort()
        pump_until(function() return #order == 6 end)
        assert.equal("1 2 3 4 5 6", table.concat(order, " "))
    end)

    it("for room to send, the first sends first, however much it is", function()
        local client, peer = helper.pair({ write_limit = 100000 }, { read_limit = 1000 })
        client:write(("x"):rep(8 * 1024 * 1024))
        local order = {}
        for i = 1, 6 do
            helper.track(evsock.spawn(function()
                assert(client:send(tostring(i):rep(i == 1 and 90000 or 100), 20 * helper.slow))
                order[#order + 1] = i
            end))
        end
        evsock.pump()
        local last, digits = nil, {}
        local function drink(sock)
            for digit in (sock:read() or ""):gsub("(.)%1+", "%1"):gmatch(".") do
                if digit ~= last then
                    last = digit
                    digits[#digits + 1] = digit
                end
            end
        end
        drink(peer)
        peer.on_data = drink
        pump_until(function() return #order == 6 and #digits == 7 end, 20 * helper.slow)
        assert.equal("x123456", table.concat(digits))
    end)

    it("for room to send, the one behind is not held up by one that gives up", function()
        local client, peer = helper.pair({ write_limit = 1000 }, { read_limit = 1000 })
        client:write(("x"):rep(8 * 1024 * 1024))
        local first = helper.track(evsock.spawn(client.send, client, "a"))
        local second = helper.track(evsock.spawn(client.send, client, "b", 0.01))
        local third = helper.track(evsock.spawn(client.send, client, "c", 20 * helper.slow))
        local _, _, _, code = second:join(5)
        assert.equal("ETIMEDOUT", code)
        first:cancel()
        local all = {}
        peer.on_data = function(sock)
            all[#all + 1] = sock:read()
        end
        all[1] = peer:read()
        assert.same({ true, true }, { third:join(20) })
        pump_until(function()
            return peer:info().bytes_in == 8 * 1024 * 1024 + 1
        end, 20 * helper.slow)
        evsock.pump()
        assert.equal("xc", table.concat(all):sub(-2))
    end)
end)

describe("an error that leaves a waiting call", function()
    after_each(helper.finish)

    -- Two sockets with something to tell, in either order.
    for order = 1, 2 do
        for _, what in ipairs { "*l", "*r", "*a", 9 } do
            it(("takes no byte with it (%s, order %d)"):format(what, order), function()
                local client, peer = helper.pair()
                local other, its_peer = helper.pair()
                other.on_data = function()
                    error("a handler's")
                end
                local function arrives(sock, from, text)
                    from:write(text)
                    local deadline = evsock.now() + 5
                    -- Without pumping: both are to come in one batch.
                    repeat until sock:info().bytes_in == #text or evsock.now() > deadline
                end
                if order == 1 then
                    arrives(client, peer, "precious\n")
                end
                arrives(other, its_peer, "!")
                if order == 2 then
                    arrives(client, peer, "precious\n")
                end
                local ok, message = pcall(client.receive, client, what, 5)
                assert.is_false(ok)
                assert.is_truthy(message:find("a handler's", 1, true))
                assert.equal("precious", client:receive("*l", 5))
            end)
        end
    end
end)
