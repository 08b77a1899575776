-- What foreign loops rely on: pollfd, events, timeout. A real select waits for the descriptor, and
-- nothing pumps before it says so. The hosts themselves are in hosts/.

local socket = require "socket"
local helper = require "spec.helper"
local evsock = helper.evsock

-- Fewer where everything is slow.
local ROUNDS = math.ceil(5000 / helper.slow)

local descriptor
local bell = {
    getfd = function() return descriptor end,
    dirty = function() return false end,
}

local function readable(seconds)
    local ready = socket.select({ bell }, nil, seconds or 0)
    return ready[bell] ~= nil
end

-- A foreign loop: waits for the descriptor alone, and only then pumps.
local function loop_until(condition, what)
    local deadline = evsock.now() + 5 * helper.slow
    while not condition() do
        assert(readable(math.max(0, deadline - evsock.now())), "not readable, waiting for " .. what)
        evsock.pump()
    end
end

-- Until nothing waits any more.
local function settle()
    local deadline = evsock.now() + 5 * helper.slow
    while readable(0.05) do
        assert(evsock.now() < deadline, "the descriptor stays readable")
        evsock.pump()
    end
end

local function pair(client_options, server_options)
    local record = helper.server(server_options)
    local client = helper.connect(record.port, client_options)
    loop_until(function() return client.state == "open" and record.sockets[1] end, "a connection")
    settle()
    return client, record.sockets[1]
end

local function ignore()
end

local function answer(sock)
    sock:write(sock:read())
end

-- A pair that sends a byte to and fro; `rounds` of the record counts what comes to the client.
local function ping_pong()
    local count = { rounds = 0 }
    local client, peer = pair({
        on_data = function(sock)
            count.rounds = count.rounds + 1
            answer(sock)
        end,
    }, { on_data = answer })
    peer:write("x")
    return client, count
end

describe("pollfd", function()
    before_each(function()
        descriptor = evsock.pollfd()
        settle()
    end)
    after_each(helper.finish)

    it("is the same number at each call, as a function and as the method that cqueues calls",
        function()
            assert.equal("number", type(descriptor))
            assert.is_true(descriptor > 2 and descriptor % 1 == 0)
            for _ = 1, 100 do
                assert.equal(descriptor, evsock.pollfd())
                assert.equal(descriptor, evsock:pollfd())
            end
        end)

    it("is not readable when nothing waits, however often it is asked for", function()
        pair()
        for _ = 1, 10 do
            descriptor = evsock.pollfd()
            assert.is_false(readable(0.01))
        end
    end)

    it("stays readable while events wait, and no longer", function()
        local client, peer = pair({ on_data = ignore })
        peer:write("x")
        assert.is_true(readable(5))
        assert.is_true(readable())
        descriptor = evsock.pollfd()
        assert.is_true(readable())
        assert.equal("", client:peek() or "")
        loop_until(function() return client.buffered == 1 end, "one byte")
        -- The byte is still unread, but nothing new waits.
        assert.is_false(readable(0.05))
        assert.equal(0, evsock.pump())
    end)

    it("stays readable while a pump with a budget has left something", function()
        local count = 0
        for _ = 1, 3 do
            evsock.after(0, function() count = count + 1 end)
        end
        for place = 1, 3 do
            assert.is_true(readable(5))
            evsock.pump(0, 0)
            assert.equal(place, count)
        end
        settle()
        assert.is_false(readable())
    end)

    it("is not readable after a pump that handled all", function()
        local seen = 0
        local client, peer = pair({ on_data = function(sock) seen = seen + #sock:read() end })
        for round = 1, 100 do
            peer:write("x")
            loop_until(function() return seen == round end, "a byte")
            assert.is_false(readable())
        end
        assert.equal("open", client.state)
    end)

    it("tells of events that waited before it was asked for the first time", function()
        local said, status = helper.run([[
            local evsock, socket = require "evsock", require "socket"
            local server = assert(evsock.listen("127.0.0.1", 0))
            local client = evsock.connect("127.0.0.1", server.port)
            local accepted
            server.on_accept = function(_, sock) accepted = sock end
            client.on_data = function() client:close() accepted:close() print "seen" end
            while client.state ~= "open" or not accepted do evsock.pump(0.01) end
            server:close()
            accepted:write("x")
            -- The thread leads after a while without pumps, and finds the byte.
            socket.sleep(0.1)
            local fd = evsock.pollfd()
            local bell = { getfd = function() return fd end, dirty = function() return false end }
            while evsock.active() > 0 do
                assert(socket.select({ bell }, nil, 5)[bell], "not readable")
                evsock.pump()
            end]])
        assert.equal(0, status, said)
        assert.equal("seen\n", said)
    end)

    it("loses no wake-up in 1,000 rounds", function()
        local client, count = ping_pong()
        loop_until(function() return count.rounds >= 1000 end, "an answer")
        assert.equal("open", client.state)
    end)

    it("loses no wake-up when events come while it is being emptied", function()
        local arrived, clients = 0, {}
        for i = 1, 4 do
            clients[i] = pair(nil, {
                on_data = function(sock) arrived = arrived + #sock:read() end,
            })
        end
        for round = 1, ROUNDS do
            -- The thread finds them one after the other while the pump below is at work; when the
            -- last has come, nothing follows that could make up for a lost one.
            for _, client in ipairs(clients) do
                client:write("x")
            end
            loop_until(function() return arrived == 4 * round end, "one of four bytes")
        end
    end)

    it("goes on after pumps that waited themselves", function()
        local _, count = ping_pong()
        for turn = 1, 100 do
            evsock.pump(turn % 2 == 0 and 0.001 or 0.00001)
            local before = count.rounds
            loop_until(function() return count.rounds > before end,
                "an answer after a waiting pump")
        end
    end)

    it("tells of an end that a call of the script brought about", function()
        local client = pair({ on_close = helper.expect(1) })
        client:abort()
        loop_until(function() return client.state == "closed" end, "on_close")
        settle()
        local refused = helper.track(evsock.socket({ on_close = helper.expect(1) }))
        refused:connect("127.0.0.1", helper.free_port())
        loop_until(function() return refused.state == "closed" end, "the refusal")
    end)

    it("tells that nothing is active any more, whatever the last thing was", function()
        local last = {
            function() return evsock.after(60, ignore) end,
            function() return evsock.listen("127.0.0.1", 0) end,
        }
        for _, make in ipairs(last) do
            local object = helper.track(make())
            assert.equal(1, evsock.active())
            assert.is_false(readable(0.01))
            local finish = object.cancel or object.close
            finish(object)
            assert.equal(0, evsock.active())
            assert.is_true(readable(5))
            settle()
        end
    end)

    it("stays readable while an error of a handler has left events behind", function()
        local ran = {}
        for i = 1, 3 do
            evsock.after(0, function()
                ran[#ran + 1] = i
                error("of timer " .. i, 0)
            end)
        end
        for i = 1, 3 do
            assert.is_true(readable(5), "not readable before timer " .. i)
            assert.is_false((pcall(evsock.pump)))
            assert.equal(i, #ran)
        end
        settle()
        assert.same({ 1, 2, 3 }, ran)
    end)

    it("stays readable while a stopped run has left events behind", function()
        local ran = 0
        for _ = 1, 3 do
            evsock.after(0, function()
                ran = ran + 1
                evsock.stop()
            end)
        end
        evsock.run()
        assert.is_true(ran < 3)
        loop_until(function() return ran == 3 end, "the other timers")
    end)

    it("becomes readable in time for a timer though nobody pumps", function()
        local best = math.huge
        for _ = 1, 5 do
            local ran = false
            local due = evsock.now() + 0.03
            evsock.after(0.03, function() ran = true end)
            assert.is_true(readable(5))
            local late = evsock.now() - due
            assert.is_true(late > -0.001, ("%g s early"):format(-late))
            loop_until(function() return ran end, "the timer")
            best = math.min(best, late)
        end
        assert.is_true(best < 0.02 * helper.slow, ("%g s late"):format(best))
    end)

    it("is readable at once for a timer that is due at once, and for one due earlier than another",
        function()
            local ran = {}
            helper.track(evsock.after(60, ignore))
            evsock.after(0.02, function() ran[#ran + 1] = "later" end)
            evsock.after(0, function() ran[#ran + 1] = "now" end)
            loop_until(function() return #ran == 2 end, "the timers")
            assert.same({ "now", "later" }, ran)
        end)

    it("serves repeating timers and deadlines", function()
        local ticks = 0
        local timer = evsock.every(0.005, function() ticks = ticks + 1 end)
        loop_until(function() return ticks == 10 end, "ten ticks")
        timer:cancel()
        local code
        local client = pair({ on_close = function(_, _, c) code = c end })
        client.read_timeout = 0.05
        loop_until(function() return code end, "the timeout")
        assert.equal("ETIMEDOUT", code)
    end)

    it("serves tasks", function()
        local client, peer = pair(nil, { on_data = answer })
        assert.is_truthy(peer)
        local said
        evsock.spawn(function()
            evsock.sleep(0.01)
            client:send("a line\n", 2)
            said = client:receive("*l", 2)
        end)
        loop_until(function() return said end, "the task")
        assert.equal("a line", said)
    end)

    it("is closed in programs that the script starts", function()
        local info = assert(io.open("/proc/self/fdinfo/" .. descriptor))
        local flags = info:read("*a"):match("flags:%s*(%d+)")
        info:close()
        -- Octal digits; close-on-exec is 02000000.
        local digit = tonumber(flags:sub(-7, -7))
        assert.is_true(digit and math.floor(digit / 2) % 2 == 1, flags)
        local mine = io.popen("readlink /proc/" .. "$PPID" .. "/fd/" .. descriptor)
        local here = mine:read("*l")
        mine:close()
        local pipe = io.popen("readlink /proc/self/fd/" .. descriptor)
        local there = pipe:read("*l")
        pipe:close()
        assert.is_truthy(here)
        assert.are_not.equal(here, there)
    end)

    it("lets an idle loop sleep #figures", function()
        local said, status = helper.run([[
            local evsock, socket = require "evsock", require "socket"
            local bell = { getfd = evsock.pollfd, dirty = function() return false end }
            local connected = 0
            local server = assert(evsock.listen("127.0.0.1", 0))
            local accepted = {}
            server.on_accept = function(_, sock) accepted[#accepted + 1] = sock end
            local clients = {}
            for i = 1, 10 do
                clients[i] = evsock.connect("127.0.0.1", server.port)
                clients[i].on_connect = function() connected = connected + 1 end
            end
            while connected < 10 or #accepted < 10 do
                assert(socket.select({ bell }, nil, 5)[bell], "not readable")
                evsock.pump()
            end
            while socket.select({ bell }, nil, 0.1)[bell] do evsock.pump() end
            local wakes, cpu, deadline = 0, os.clock(), evsock.now() + 1
            while evsock.now() < deadline do
                local ready = socket.select({ bell }, nil, math.max(0, deadline - evsock.now()))
                if ready[bell] then
                    wakes = wakes + 1
                    evsock.pump()
                end
            end
            io.write(("%d wakes, %.0f ms"):format(wakes, (os.clock() - cpu) * 1000))]])
        assert.equal(0, status, said)
        local wakes, cpu = said:match("^(%d+) wakes, (%d+) ms$")
        assert(wakes, said)
        assert.equal(0, tonumber(wakes), said)
        assert.is_true(tonumber(cpu) <= 20, said)
    end)
end)

describe("events and timeout", function()
    after_each(helper.finish)

    it("say that readability is waited for, as long as it takes", function()
        descriptor = evsock.pollfd()
        settle()
        assert.equal("r", evsock.events())
        assert.equal("r", evsock:events())
        -- Timers ring the descriptor as well, so there is nothing to wake up for.
        helper.track(evsock.after(60, ignore))
        local timeout = evsock:timeout()
        assert.is_true(timeout == nil or timeout > 0)
    end)

    it("never make a loop wait while events wait", function()
        descriptor = evsock.pollfd()
        evsock.after(0, ignore)
        assert.is_true(readable(5) or evsock.timeout() == 0)
        settle()
    end)
end)
