-- The loop as api.md (1) has it: pump, run, stop, active, now, spin, and where handlers run.

local helper = require "spec.helper"

local evsock = helper.evsock
local expect, never, pump_until = helper.expect, helper.never, helper.pump_until
local compute = helper.compute

local function nothing()
end

describe("the module", function()
    after_each(helper.finish)

    it("has _VERSION \"evsock X.Y.Z\"", function()
        assert.is_truthy(evsock._VERSION:match("^evsock %d+%.%d+%.%d+"))
    end)

    it("has the calls of the contract", function()
        for _, name in ipairs {
            "connect", "socket", "listen", "pump", "run", "stop", "active", "now", "after", "every",
        } do
            assert.is_function(evsock[name], name)
        end
    end)
end)

describe("pump", function()
    after_each(helper.finish)

    it("returns how many handlers it called", function()
        evsock.after(0, nothing)
        evsock.after(0, nothing)
        evsock.after(0, nothing)
        compute(0.005)
        assert.equal(3, evsock.pump())
        assert.equal(0, evsock.pump())
    end)

    it("counts an event without a handler 0", function()
        local client, peer = helper.pair()
        peer:write("x")
        local count = 0
        pump_until(function()
            count = count + evsock.pump()
            return client.buffered == 1
        end)
        assert.equal(0, count)
    end)

    describe("with a budget", function()
        -- Timers that are due, in order; each notes its place after `seconds` of computing.
        local function due(count, seconds)
            local order = {}
            for place = 1, count do
                evsock.after(0, function()
                    order[#order + 1] = place
                    compute(seconds)
                end)
            end
            compute(0.002)
            return order
        end

        it("returns when it is used up; the rest comes first next time, in order", function()
            local order = due(8, 0.01)
            assert.equal(1, evsock.pump(0, 0.005))
            assert.same({ 1 }, order)
            -- What comes meanwhile is behind them.
            evsock.after(0, function() order[#order + 1] = "late" end)
            local called = evsock.pump(0, 0.015)
            assert.is_true(called >= 1 and called <= 2)
            pump_until(function() return #order == 9 end)
            assert.same({ 1, 2, 3, 4, 5, 6, 7, 8, "late" }, order)
        end)

        it("does not wait while something is left", function()
            local order = due(3, 0.002)
            local begun = evsock.now()
            for place = 1, 3 do
                assert.equal(1, evsock.pump(30 * helper.slow, 0.001))
                assert.equal(place, #order)
            end
            assert.is_true(evsock.now() - begun < 20 * helper.slow)
        end)

        it("gets on even if there is none, and handles all that one has room for", function()
            local order = due(5, 0)
            for place = 1, 5 do
                assert.equal(1, evsock.pump(0, 0))
                assert.equal(place, #order)
            end
            assert.equal(0, evsock.pump(0, 0))
            order = due(500, 0)
            assert.equal(500, evsock.pump(0, math.huge))
            assert.equal(500, #order)
        end)

        it("counts from the first event, not from the begin of the wait", function()
            local order = {}
            for place = 1, 2 do
                evsock.after(0.02, function() order[#order + 1] = place end)
            end
            assert.is_true(evsock.pump(5 * helper.slow, 0.005 * helper.slow) >= 1)
            pump_until(function() return #order == 2 end)
        end)

        it("loses and doubles nothing of a stream, nor the close behind it", function()
            local client, peer = helper.pair()
            local received, closed = {}, 0
            client.on_data = function(sock)
                compute(0.001)
                received[#received + 1] = sock:read()
            end
            client.on_close = function() closed = closed + 1 end
            local sent = {}
            for place = 1, 200 do
                sent[place] = "line " .. place .. "\n"
                peer:write(sent[place])
                evsock.pump(0, 0)
            end
            peer:close()
            local deadline = evsock.now() + 20 * helper.slow
            while closed == 0 and evsock.now() < deadline do
                evsock.pump(0.01, 0)
            end
            assert.equal(1, closed)
            assert.equal(table.concat(sent), table.concat(received))
        end)

        it("runs tasks one by one as well", function()
            local order = {}
            for place = 1, 4 do
                helper.spawn(function() order[#order + 1] = place end)
            end
            for place = 1, 4 do
                assert.equal(1, evsock.pump(0, 0))
                assert.equal(place, #order)
            end
        end)

        it("keeps the rest when a handler raises", function()
            local order = {}
            evsock.after(0, function() error("broken", 0) end)
            for place = 1, 2 do
                evsock.after(0, function() order[#order + 1] = place end)
            end
            compute(0.002)
            local ok, problem = pcall(evsock.pump, 0, 0)
            assert.is_false(ok)
            assert.matches("^broken\n", problem)
            assert.equal(1, evsock.pump(0, 0))
            assert.equal(1, evsock.pump(0, 0))
            assert.same({ 1, 2 }, order)
        end)

        it("of nonsense raises at the caller's line", function()
            helper.misuse(function() evsock.pump(0, -1) end,
                "bad argument 'budget' to 'pump' (seconds of at least 0 expected, got -1)")
            helper.misuse(function() evsock.pump(0, "long") end, "'budget'")
            helper.misuse(function() evsock.pump(nil, 0 / 0) end, "'budget'")
        end)
    end)

    it("never waits by default", function()
        local begin = evsock.now()
        for _ = 1, 100 do
            evsock.pump()
            evsock.pump(0)
        end
        assert.is_true(evsock.now() - begin < 0.2 * helper.slow)
    end)

    it("waits up to the timeout when no event waits", function()
        local begin = evsock.now()
        assert.equal(0, evsock.pump(0.1))
        local waited = evsock.now() - begin
        assert.is_true(waited >= 0.099 and waited < 0.5 * helper.slow, "waited " .. waited)
    end)

    it("waits just as long with an idle connection", function()
        helper.pair()
        evsock.pump()
        local begin = evsock.now()
        evsock.pump(0.1)
        local waited = evsock.now() - begin
        assert.is_true(waited >= 0.099 and waited < 0.5 * helper.slow, "waited " .. waited)
    end)

    it("ends its wait with the first event", function()
        evsock.after(0.03, expect(1))
        local begin = evsock.now()
        assert.equal(1, evsock.pump(5))
        assert.is_true(evsock.now() - begin < 1 * helper.slow)
    end)

    it("does not wait when events wait already", function()
        evsock.after(0, expect(1))
        compute(0.01)
        local begin = evsock.now()
        assert.equal(1, evsock.pump(5))
        assert.is_true(evsock.now() - begin < 1 * helper.slow)
    end)

    it("dispatches only the events that waited when it began", function()
        local count = 0
        local function again()
            count = count + 1
            evsock.after(0, again)
            compute(0.002)
        end
        local timer = evsock.every(0.001, nothing)
        evsock.after(0, again)
        compute(0.005)
        evsock.pump()
        assert.equal(1, count)
        pump_until(function() return count == 3 end)
        timer:cancel()
        again = nothing
        pump_until(function() return evsock.active() == 0 end)
    end)

    it("returns although a peer sends without end", function()
        local client, peer = helper.pair()
        client.on_data = function(sock)
            sock:read()
            peer:write("x")
        end
        peer:write("x")
        local begin = evsock.now()
        for _ = 1, 20 do
            evsock.pump(0.05)
        end
        assert.is_true(evsock.now() - begin < 2 * helper.slow)
        client.on_data = nil
    end)

    it("calls handlers of sockets, servers and timers alike", function()
        local seen = {}
        local record = helper.server({ on_accept = expect(function() seen.accept = true end, 1) })
        helper.connect(record.port, { on_connect = expect(function() seen.connect = true end, 1) })
        evsock.after(0.001, expect(function() seen.timer = true end, 1))
        pump_until(function() return seen.accept and seen.connect and seen.timer end)
    end)

    it("takes large timeouts", function()
        for _, timeout in ipairs { 1e6, 1e12, 1e300 } do
            evsock.after(0, expect(1))
            evsock.pump(timeout)
        end
    end)

    it("with anything but seconds raises at the caller's line", function()
        helper.misuse(function() evsock.pump("soon") end, "bad argument 'timeout' to 'pump'")
        helper.misuse(function() evsock.pump({}) end, "bad argument 'timeout' to 'pump'")
        helper.misuse(function() evsock.pump(false) end, "bad argument 'timeout' to 'pump'")
        helper.misuse(function() evsock.pump(0 / 0) end, "bad argument 'timeout' to 'pump'")
    end)

    describe("inside a handler", function()
        it("dispatches what waits, and the rest afterwards, in order", function()
            local order = {}
            evsock.after(0, expect(function()
                order[#order + 1] = 1
                evsock.pump()
                order[#order + 1] = 4
            end, 1))
            evsock.after(0, expect(function() order[#order + 1] = 2 end, 1))
            evsock.after(0, expect(function() order[#order + 1] = 3 end, 1))
            pump_until(function() return #order == 4 end)
            table.sort(order)
            assert.same({ 1, 2, 3, 4 }, order)
        end)

        it("delivers no event twice", function()
            local client, peer = helper.pair()
            local total = 0
            client.on_data = expect(function(sock, n)
                total = total + n
                evsock.pump(0.01)
                sock:read()
            end)
            for _ = 1, 10 do
                peer:write("0123456789")
                evsock.pump()
            end
            pump_until(function() return total >= 100 end)
            helper.pump_for(0.05)
            assert.equal(100, total)
        end)

        it("may wait for another socket's answer", function()
            local client, peer = helper.pair()
            peer.on_data = function(sock) sock:write(sock:read():upper()) end
            local answer
            evsock.after(0, expect(function()
                client:write("ping")
                pump_until(function() return client.buffered == 4 end)
                answer = client:read()
            end, 1))
            pump_until(function() return answer end)
            assert.equal("PING", answer)
        end)

        it("is allowed to a depth of 32, then raises", function()
            local depth, problem = 0, nil
            local function deeper()
                depth = depth + 1
                evsock.after(0, deeper)
                compute(0.001)
                local ok, message = pcall(evsock.pump, 0.1)
                if not ok then
                    problem = problem or message
                end
                deeper = nothing
            end
            evsock.after(0, function() deeper() end)
            local limit = evsock.now() + 5
            while not problem and evsock.now() < limit do
                evsock.pump(0.02)
            end
            assert.is_true(depth >= 31 and depth <= 33, "depth " .. depth)
            assert.is_string(problem)
            pump_until(function() return evsock.active() == 0 end)
        end)

        it("works again after having been too deep", function()
            local done
            evsock.after(0, expect(function()
                evsock.after(0, expect(function() done = true end, 1))
                pump_until(function() return done end)
            end, 1))
            pump_until(function() return done end)
        end)
    end)

    describe("and coroutines", function()
        it("a coroutine may be resumed by a handler", function()
            local client, peer = helper.pair()
            local lines = {}
            local reader = coroutine.create(function()
                while #lines < 3 do
                    local line = client:read_line()
                    if line then
                        lines[#lines + 1] = line
                    else
                        coroutine.yield()
                    end
                end
            end)
            client.on_data = expect(function()
                assert(coroutine.resume(reader))
            end)
            peer:write("a\nb")
            evsock.pump()
            peer:write("c\nd\n")
            pump_until(function() return #lines == 3 end)
            assert.same({ "a", "bc", "d" }, lines)
            assert.equal("dead", coroutine.status(reader))
        end)

        it("pump may be called inside a coroutine", function()
            local fired, in_coroutine
            evsock.after(0.01, expect(function()
                fired = true
            end, 1))
            local ok, message = coroutine.resume(coroutine.create(function()
                in_coroutine = true
                while not fired do
                    evsock.pump(0.05)
                end
            end))
            assert.is_true(ok, message)
            assert.is_true(in_coroutine and fired)
        end)

        it("pump works in a coroutine that a handler resumed, inside pump", function()
            local inner
            evsock.after(0, expect(function()
                evsock.after(0.005, expect(function() inner = true end, 1))
                local ok, message = coroutine.resume(coroutine.create(function()
                    while not inner do
                        evsock.pump(0.05)
                    end
                end))
                assert.is_true(ok, message)
            end, 1))
            pump_until(function() return inner end)
        end)

        it("an object made in a coroutine outlives it", function()
            local fired
            coroutine.wrap(function()
                evsock.after(0.01, expect(function() fired = true end, 1))
            end)()
            collectgarbage()
            collectgarbage()
            pump_until(function() return fired end)
        end)

        it("a handler that yields gets a clear error, and nothing is lost", function()
            evsock.after(0, function() coroutine.yield() end)
            local fired
            evsock.after(0, expect(function() fired = true end, 1))
            local resumed = coroutine.create(function()
                local ok, message = pcall(function()
                    while not fired do
                        evsock.pump(0.05)
                    end
                end)
                return ok, message
            end)
            local _, ok, message = coroutine.resume(resumed)
            assert.is_false(ok)
            assert.is_truthy(tostring(message):find("yield"))
            pump_until(function() return fired end)
        end)
    end)
end)

describe("run", function()
    after_each(helper.finish)

    it("returns at once when nothing is active", function()
        local begin = evsock.now()
        evsock.run()
        assert.is_true(evsock.now() - begin < 0.5 * helper.slow)
    end)

    it("pumps until nothing is active", function()
        local count = 0
        evsock.after(0.01, expect(function() count = count + 1 end, 1))
        evsock.after(0.03, expect(function() count = count + 1 end, 1))
        evsock.run()
        assert.equal(2, count)
        assert.equal(0, evsock.active())
    end)

    it("ends when the last socket and server have closed", function()
        local record
        record = helper.server({
            on_accept = expect(function(server, sock)
                server:close()
                sock.on_data = expect(function() sock:close() end, 1)
            end, 1),
        })
        local client = helper.connect(record.port)
        client:write("x")
        local watchdog = evsock.after(5, evsock.stop)
        client.on_close = expect(function() watchdog:cancel() end, 1)
        evsock.run()
        assert.equal("closed", client.state)
        assert.equal("closed", record.sockets[1].state)
        assert.equal(0, evsock.active())
    end)

    it("ends by stop, after the current handler", function()
        local after_stop = false
        local timer = evsock.every(0.005, function()
            evsock.stop()
            after_stop = true
        end)
        evsock.run()
        assert.is_true(after_stop)
        assert.is_true(timer.active)
        timer:cancel()
    end)

    it("loses no event of the batch that stop ended", function()
        local order = {}
        evsock.after(0, expect(function()
            order[#order + 1] = 1
            evsock.stop()
        end, 1))
        evsock.after(0, expect(function() order[#order + 1] = 2 end, 1))
        compute(0.005)
        evsock.run()
        pump_until(function() return #order == 2 end)
        assert.same({ 1, 2 }, order)
    end)

    it("may be nested: stop ends the innermost", function()
        local order = {}
        evsock.after(0, expect(function()
            evsock.after(0.005, expect(function()
                order[#order + 1] = "inner stop"
                evsock.stop()
            end, 1))
            evsock.run()
            order[#order + 1] = "inner over"
        end, 1))
        local last = evsock.after(0.1 * helper.slow, expect(function()
            order[#order + 1] = "outer goes on"
        end, 1))
        evsock.run()
        order[#order + 1] = "outer over"
        assert.same({ "inner stop", "inner over", "outer goes on", "outer over" }, order)
        assert.is_false(last.active)
    end)

    it("may be called again after stop", function()
        local ticks = helper.ticks(0.002, 6, evsock.stop)
        evsock.run()
        assert.equal(1, ticks.count)
        evsock.run()
        assert.equal(2, ticks.count)
        pump_until(function() return ticks.count == 6 end)
    end)

    it("an error leaves it with its traceback, and it may be called again", function()
        evsock.after(0, function() error("boom") end)
        local done
        evsock.after(0.01, expect(function() done = true end, 1))
        local ok, message = pcall(evsock.run)
        assert.is_false(ok)
        assert.is_truthy(message:match("pump_spec%.lua:%d+: boom"))
        assert.is_truthy(message:find("traceback", 1, true))
        evsock.run()
        assert.is_true(done)
    end)

    it("an error object leaves it unchanged", function()
        local object = {}
        evsock.after(0, function() error(object) end)
        local ok, problem = pcall(evsock.run)
        assert.is_false(ok)
        assert.is_true(rawequal(object, problem))
    end)
end)

describe("active", function()
    after_each(helper.finish)

    it("counts sockets, servers and timers", function()
        assert.equal(0, evsock.active())
        local timer = evsock.after(10, nothing)
        assert.equal(1, evsock.active())
        local server = assert(evsock.listen("127.0.0.1", 0))
        assert.equal(2, evsock.active())
        local peer
        server.on_accept = function(_, sock)
            peer = sock
            peer.on_close = nothing
        end
        local client = helper.connect(server.port, { on_close = nothing })
        assert.equal(3, evsock.active())
        pump_until(function() return peer and client.state == "open" end)
        assert.equal(4, evsock.active())
        timer:cancel()
        server:close()
        client:close()
        pump_until(function() return evsock.active() == 0 end)
        assert.equal("closed", peer.state)
    end)

    it("does not count idle and closed sockets", function()
        local sock = evsock.socket({ on_data = nothing })
        assert.equal(0, evsock.active())
        sock:connect("127.0.0.1", helper.free_port())
        pump_until(function() return sock.state == "closed" end)
        evsock.pump()
        assert.equal(0, evsock.active())
    end)

    it("counts a socket until its on_close was called", function()
        local client = helper.pair({ on_close = expect(1) })
        client:abort()
        assert.is_true(evsock.active() > 0)
        pump_until(function() return client.state == "closed" end)
    end)
end)

describe("now", function()
    it("tells monotonic seconds", function()
        local last = evsock.now()
        assert.is_number(last)
        for _ = 1, 1000 do
            local now = evsock.now()
            assert.is_true(now >= last)
            last = now
        end
    end)

    it("goes as fast as the clock on the wall", function()
        local begin = evsock.now()
        local second = os.time()
        while os.time() == second do
            math.sin(1)
        end
        local waited = evsock.now() - begin
        assert.is_true(waited > 0 and waited < 1.5 * helper.slow)
    end)
end)

describe("spin", function()
    local before = evsock.spin

    after_each(function()
        evsock.spin = before
        helper.finish()
    end)

    it("is 50e-6 by default", function()
        assert.is_true(math.abs(evsock.spin - 50e-6) < 1e-9)
    end)

    it("can be set in seconds, 0 is never, and pump still works", function()
        for _, value in ipairs { 0, 0.001, 50e-6 } do
            evsock.spin = value
            assert.is_true(math.abs(evsock.spin - value) < 1e-9)
            evsock.after(0.002, expect(1))
            assert.equal(1, evsock.pump(1))
        end
    end)

    it("delays no timer, however long it is", function()
        -- In a process of its own: one that has spun in vain before would not try.
        local output, status = helper.run([[
            local evsock = require "evsock"
            evsock.spin = 6
            local began = evsock.now()
            evsock.after(0.05, function()
                print(evsock.now() - began < 3)
                os.exit(0)
            end)
            evsock.run()
        ]])
        helper.printed("true\n", output, status)
    end)

    it("of anything else raises at the caller's line", function()
        helper.misuse(function() evsock.spin = "fast" end, "'spin'")
        helper.misuse(function() evsock.spin = -1 end, "'spin'")
        helper.misuse(function() evsock.spin = nil end, "'spin'")
    end)
end)

describe("the neighbours of a busy socket", function()
    after_each(helper.finish)

    it("are served while one peer floods", function()
        local client, peer = helper.pair()
        local received = 0
        client.on_data = function(sock)
            received = received + #sock:read()
        end
        local block = ("x"):rep(1024 * 1024)
        local ticks = 0
        local timer = evsock.every(0.005, function() ticks = ticks + 1 end)
        local deadline = evsock.now() + 5 * helper.slow
        while ticks < 15 and evsock.now() < deadline do
            if peer.pending < #block then
                peer:write(block)
            end
            evsock.pump(0.01)
        end
        timer:cancel()
        assert.is_true(ticks >= 15, ticks .. " ticks")
        assert.is_true(received >= #block, "that was no flood")
        peer.on_close = never("on_close")
        peer.on_close = nil
    end)

    it("are served while the script computes after a pump that waited", function()
        local server = helper.server()
        for _ = 1, 3 do
            -- Longer than the thread watches: it sleeps until the pump is over.
            evsock.pump(0.02)
            local late = helper.connect(server.port)
            late:write("x")
            local deadline = evsock.now() + 2 * helper.slow
            while late.pending > 0 and evsock.now() < deadline do
                compute(0.001)
            end
            assert.equal(0, late.pending)
        end
    end)

    it("are served while a pump handles one event after another", function()
        local clients, handled, late, left = 300, 0, nil, nil
        local server = helper.server()
        for _ = 1, clients do
            helper.connect(server.port, { on_data = function()
                handled = handled + 1
                if handled == 100 then
                    -- A poll that was under way when the pump began has ended by now.
                    late = helper.connect(server.port)
                    late:write("x")
                end
                compute(0.0002)
                left = late and late.pending
            end })
        end
        pump_until(function() return #server.sockets == clients end)
        for _, sock in ipairs(server.sockets) do
            sock:write("x")
        end
        compute(0.1 * helper.slow)
        evsock.pump(0)
        assert.is_true(handled > 200, handled .. " in one pump")
        assert.equal(0, left)
    end)

    it("are served beside timers that are always due", function()
        local client, peer = helper.pair()
        local answers = 0
        client.on_data = function(sock)
            answers = answers + 1
            sock:write(sock:read())
        end
        peer.on_data = function(sock)
            sock:write(sock:read())
        end
        -- One that is due in each pump, and a turn of a task in each: no pump waits.
        local timer = evsock.every(0.000001, nothing)
        local over
        evsock.spawn(function()
            while not over do
                coroutine.yield()
            end
        end)
        peer:write("x")
        local deadline = evsock.now() + 5 * helper.slow
        while answers < 20 and evsock.now() < deadline do
            evsock.pump(0.01)
        end
        over = true
        timer:cancel()
        assert.equal(20, answers)
    end)
end)
