-- `evsock.watch`: descriptors that are not ours. Here they mostly are those of sockets that we do
-- not read: datagram sockets that pause, and servers, which every Lua and every system has.
local helper = require "spec.helper"

local evsock = helper.evsock
local expect, never, pump_until = helper.expect, helper.never, helper.pump_until

-- A datagram socket that nothing reads, and a function that sends it something.
local function silent_socket()
    local sock = helper.track(assert(evsock.udp("127.0.0.1", 0, { paused = true })))
    local sender = helper.track(assert(evsock.udp("127.0.0.1")))
    return sock, function(text)
        assert(sender:send_to(text or "x", "127.0.0.1", sock.port))
    end
end

-- Has it read what came and pause again, so that its descriptor is ready no more.
local function read_away(sock)
    local got
    sock.on_datagram = function(_, data)
        got = data
        sock:pause()
    end
    sock:resume()
    pump_until(function() return got end)
    sock.on_datagram = nil
    return got
end

local function watch(...)
    return helper.track(assert(evsock.watch(...)))
end

-- A list of what `on_ready` was told.
local function heard_by(fd, mode)
    local heard = {}
    local watching = watch(fd, mode, function(it, readable, writable)
        heard[#heard + 1] = ("%s %s"):format(tostring(readable), tostring(writable))
        heard.watch = it
    end)
    return heard, watching
end

describe("a watch", function()
    after_each(helper.finish)

    it("calls on_ready within pump, with what the descriptor is ready for", function()
        local sock, send = silent_socket()
        local heard, watching = heard_by(sock.fd, "r")
        send()
        helper.compute(0.05)
        assert.equal(0, #heard)
        helper.wait_count(heard, 1)
        assert.equal("true false", heard[1])
        assert.equal(watching, heard.watch)
    end)

    it("is called again in each pump as long as it is ready, and no more once it is not", function()
        local sock, send = silent_socket()
        local heard = heard_by(sock.fd, "r")
        helper.pump_for(0.05)
        assert.equal(0, #heard)
        send()
        helper.wait_count(heard, 1)
        for count = #heard + 1, #heard + 5 do
            assert.is_true(evsock.pump(5) > 0)
            assert.equal(count, #heard)
        end
        assert.equal("x", read_away(sock))
        local before = #heard
        helper.pump_for(0.05)
        assert.equal(before, #heard)
        send()
        helper.wait_count(heard, before + 1)
    end)

    it("hears of room with \"w\", and of both with \"rw\"", function()
        local sock, send = silent_socket()
        local writable, both = heard_by(sock.fd, "w"), heard_by(sock.fd, "rw")
        helper.wait_count(writable, 1)
        helper.wait_count(both, 1)
        assert.equal("false true", writable[1])
        assert.equal("false true", both[1])
        send()
        pump_until(function() return both[#both] == "true true" end)
        assert.equal("false true", writable[#writable])
    end)

    it("hears that a connection waits at a server which pauses", function()
        local record = helper.server()
        record.server:pause()
        local heard = heard_by(record.server.fd, "r")
        helper.connect(record.port)
        helper.wait_count(heard, 1)
        record.server:resume()
        helper.wait_accepted(record)
        local count = #heard
        helper.pump_for(0.05)
        assert.equal(count, #heard)
    end)

    it("costs nothing while the script does not pump", function()
        local sock = silent_socket()
        local heard = heard_by(sock.fd, "w")
        helper.wait_count(heard, 1)
        if not helper.is_windows then
            local before = os.clock()
            os.execute("sleep 0.5")
            assert.is_true(os.clock() - before < 0.2, os.clock() - before)
        end
        local count = #heard
        evsock.pump()
        assert.is_true(#heard <= count + 1)
    end)

    it("wakes no pump when nobody listens, however ready it is", function()
        local sock, send = silent_socket()
        local idle = watch(sock.fd, "rw")
        send()
        assert(idle:wait(5))
        local pumps, deadline = 0, evsock.now() + 0.2
        repeat
            evsock.pump(math.max(0, deadline - evsock.now()))
            pumps = pumps + 1
        until evsock.now() >= deadline
        assert.is_true(pumps < 20, pumps .. " pumps ended early")
    end)

    it("leaves timers and sockets their turn while it is always ready", function()
        local sock = silent_socket()
        local heard = heard_by(sock.fd, "w")
        local client, peer = helper.pair()
        local ticked = helper.ticks(0.005, 10)
        helper.fill(client, peer, "through")
        pump_until(function() return ticked.count == 10 end)
        assert.is_true(#heard > 0)
    end)

    it("may be one of several on a descriptor, one of our own sockets included", function()
        local client, peer = helper.pair()
        local first, second = heard_by(client.fd, "w"), heard_by(client.fd, "rw")
        local third = watch(client.fd, "w")
        helper.wait_count(first, 1)
        helper.wait_count(second, 1)
        assert.is_true(select(2, third:wait(5)))
        third:close()
        first.watch:close()
        local count = #second
        helper.wait_count(second, count + 1)
        helper.fill(client, peer, "still read by its owner")
        second.watch:close()
        helper.fill(client, peer, "and afterwards")
        assert.equal("still read by its ownerand afterwards", client:read())
    end)

    it("leaves the descriptor open when it is closed, and calls nobody any more", function()
        local sock, send = silent_socket()
        local heard, watching = heard_by(sock.fd, "r")
        send()
        helper.wait_count(heard, 1)
        watching.on_ready = never("on_ready")
        helper.compute(0.05)
        watching:close()
        watching:close()
        helper.pump_for(0.05)
        assert.equal("x", read_away(sock))
        assert.is_nil(watching.fd)
        assert.equal("evsock.Watch: closed", tostring(watching))
    end)

    it("may be closed by its own handler", function()
        local sock, send = silent_socket()
        send()
        watch(sock.fd, "rw", expect(function(it) it:close() end, 1))
        helper.pump_for(0.1)
    end)

    it("says what it watches", function()
        local sock = silent_socket()
        local watching = watch(sock.fd, "r")
        assert.equal(sock.fd, watching.fd)
        assert.equal("evsock.Watch: descriptor " .. sock.fd, tostring(watching))
        watching.note = "free for the script"
        assert.equal("free for the script", watching.note)
    end)

    it("goes on after an error of its handler, which pump raises", function()
        local sock, send = silent_socket()
        send()
        local calls = 0
        watch(sock.fd, "r", function()
            calls = calls + 1
            if calls == 1 then
                error("oops")
            end
        end)
        local ok, message
        pump_until(function()
            ok, message = pcall(evsock.pump, 0.05)
            return not ok
        end)
        assert.is_not_nil(message:find("oops", 1, true))
        local whose = "in the handler 'on_ready' of evsock.Watch " .. sock.fd
        assert.is_not_nil(message:find(whose, 1, true))
        pump_until(function() return calls > 1 end)
    end)
end)

describe("wait of a watch", function()
    after_each(helper.finish)

    it("tells what the descriptor is ready for, at once if it is", function()
        local sock, send = silent_socket()
        local both = watch(sock.fd, "rw")
        local readable, writable = both:wait()
        assert.is_false(readable)
        assert.is_true(writable)
        send()
        local only = watch(sock.fd, "r")
        readable, writable = only:wait(5)
        assert.is_true(readable)
        assert.is_false(writable)
    end)

    it("suspends its task alone", function()
        local sock, send = silent_socket()
        local watching, order = watch(sock.fd, "r"), {}
        local reader = helper.spawn(function()
            assert(watching:wait())
            order[#order + 1] = "ready"
        end)
        local other = helper.spawn(function()
            evsock.sleep(0.02)
            order[#order + 1] = "slept"
            send()
        end)
        helper.finished(reader, other)
        assert.equal("slept ready", table.concat(order, " "))
    end)

    it("ends for all that wait, and again as long as it is ready", function()
        local sock, send = silent_socket()
        local watching, count = watch(sock.fd, "r"), 0
        local tasks = {}
        for place = 1, 10 do
            tasks[place] = helper.spawn(function()
                for _ = 1, 3 do
                    assert(watching:wait())
                    count = count + 1
                end
            end)
        end
        helper.pump_for(0.02)
        assert.equal(0, count)
        send()
        helper.finished((table.unpack or unpack)(tasks))
        assert.equal(30, count)
    end)

    it("gives up after its timeout, in a task and elsewhere", function()
        local sock = silent_socket()
        local watching = watch(sock.fd, "r")
        local function expires()
            local ready, message, code = watching:wait(0.03)
            assert.is_nil(ready)
            assert.equal(("watch %d: timed out"):format(sock.fd), message)
            assert.equal("ETIMEDOUT", code)
        end
        expires()
        helper.finished(helper.spawn(expires))
        assert.is_nil(watching:wait(0))
    end)

    it("ends when the watch is closed", function()
        local sock = silent_socket()
        local watching = watch(sock.fd, "r")
        local message, code
        local task = helper.spawn(function()
            local _
            _, message, code = watching:wait()
        end)
        helper.pump_for(0.02)
        watching:close()
        helper.finished(task)
        assert.equal("watch: it is closed", message)
        assert.equal("ECLOSED", code)
        assert.is_nil(watching:wait())
    end)

    it("leaves nothing behind in a task that is canceled", function()
        local sock, send = silent_socket()
        local watching = watch(sock.fd, "r")
        local task = helper.spawn(function() watching:wait() end)
        helper.pump_for(0.02)
        assert.is_true(task:cancel())
        send()
        helper.pump_for(0.02)
        assert.is_true(watching:wait(0))
    end)

    it("is one of the things that wait_any waits for", function()
        local sock, send = silent_socket()
        local watching = watch(sock.fd, "r")
        local server = helper.track(assert(evsock.listen("127.0.0.1", 0)))
        local list = { { server, "accept" }, watching }
        assert.is_nil(evsock.wait_any(list, 0.02))
        send()
        assert.equal(2, evsock.wait_any(list, 5))
        helper.misuse(function() evsock.wait_any { { watching, "read" } } end, "list[1]")
    end)

    it("works beside on_ready", function()
        local sock, send = silent_socket()
        local heard, watching = heard_by(sock.fd, "r")
        helper.spawn(function()
            evsock.sleep(0.01)
            send()
        end)
        assert.is_true(watching:wait(5))
        helper.wait_count(heard, 1)
    end)
end)

describe("a watched descriptor that its owner closes", function()
    after_each(helper.finish)
    local SAID = "watch %d: the descriptor was closed while it was watched"

    it("ends the next wait with an error", function()
        local sock = silent_socket()
        local fd = sock.fd
        local watching = watch(fd, "r")
        sock:close()
        -- Windows holds a duplicate, and knows of nothing.
        helper.unix_only("what a duplicate hides")
        local ready, message, code = watching:wait(5)
        assert.is_nil(ready)
        assert.equal(SAID:format(fd), message)
        assert.equal("ECLOSED", code)
    end)

    it("is told to on_error when it was ready before, and the watch is over", function()
        helper.unix_only("what a duplicate hides")
        local sock, send = silent_socket()
        local fd = sock.fd
        local heard, watching = heard_by(fd, "r")
        send()
        helper.wait_count(heard, 1)
        watching.on_ready = never("on_ready")
        local told
        watching.on_error = expect(function(_, message, code) told = { message, code } end, 1)
        -- Its event waits already.
        helper.compute(0.05)
        sock:close()
        pump_until(function() return told end)
        assert.equal(SAID:format(fd), told[1])
        assert.equal("ECLOSED", told[2])
        assert.is_nil(watching.fd)
    end)

    it("does no harm to what gets its number, and keeps no pump busy", function()
        local watches = {}
        for place = 1, 20 do
            local sock = silent_socket()
            watches[place] = assert(evsock.watch(sock.fd, "r", never("on_ready")))
            watches[place].on_error = function() end
            sock:close()
        end
        -- These get the numbers.
        local pairs_of = {}
        for place = 1, 5 do
            local client, peer = helper.pair()
            pairs_of[place] = { client, peer }
        end
        local function all_work()
            for _, pair in ipairs(pairs_of) do
                helper.fill(pair[1], pair[2], "there")
                helper.fill(pair[2], pair[1], "back")
            end
        end
        all_work()
        for _, watching in ipairs(watches) do
            watching:close()
        end
        all_work()
        local pumps, deadline = 0, evsock.now() + 0.1
        repeat
            evsock.pump(math.max(0, deadline - evsock.now()))
            pumps = pumps + 1
        until evsock.now() >= deadline
        assert.is_true(pumps < 20, pumps .. " pumps ended early")
    end)
end)

describe("run and watches", function()
    after_each(helper.finish)

    it("goes on for one that has an on_ready, and ends when that is gone", function()
        local sock, send = silent_socket()
        local before = evsock.active()
        local watching = watch(sock.fd, "r")
        assert.equal(before, evsock.active())
        watching.on_ready = function() end
        assert.equal(before + 1, evsock.active())
        watching.on_ready = nil
        assert.equal(before, evsock.active())
        watching.on_ready = function(it) it:close() end
        send()
        pump_until(function() return evsock.active() == before end)
    end)

    it("closes one that nobody refers to and that has no on_ready", function()
        helper.unix_only("a descriptor of its own for each watch")
        local sock = silent_socket()
        local before = helper.descriptors()
        do
            for _ = 1, 10 do
                assert(evsock.watch(sock.fd, "r"))
            end
        end
        pump_until(function()
            helper.collect()
            return helper.descriptors() <= before
        end)
    end)

    it("keeps one that has an on_ready", function()
        local sock, send = silent_socket()
        local heard = 0
        assert(evsock.watch(sock.fd, "r", function(it)
            heard = heard + 1
            it:close()
        end))
        helper.collect()
        send()
        pump_until(function() return heard == 1 end)
    end)

    it("has a regular file as one that is always ready, and others still get their turn", function()
        helper.unix_only("a shell of Unix")
        local output, status = helper.run([[
            local evsock = require "evsock"
            local calls, ticks, timer = 0, 0, nil
            local watch = assert(evsock.watch(3, "r", function(it, readable, writable)
                assert(readable and not writable)
                calls = calls + 1
                if ticks >= 10 then
                    it:close()
                    timer:cancel()
                end
            end))
            timer = evsock.every(0.002, function() ticks = ticks + 1 end)
            assert(watch:wait(0))
            assert(evsock.pump() == 1 and calls == 1)
            evsock.run()
            print(calls > 10, evsock.watch(3, "w"):wait())
        ]], nil, "exec 3<spec/watch_spec.lua")
        helper.printed("true\tfalse\ttrue\n", output, status)
    end)
end)

describe("evsock.watch", function()
    after_each(helper.finish)

    it("refuses what is no open descriptor", function()
        local watching, message, code = evsock.watch(999999, "r")
        assert.is_nil(watching)
        assert.is_string(message)
        assert.equal("EINVAL", code)
        if not helper.is_windows then
            assert.equal("watch 999999: this is no open descriptor", message)
        end
        assert.is_nil(evsock.watch(2 ^ 40, "r"))
    end)

    it("refuses the descriptor that tells others of our own events", function()
        local output, status = helper.run([[
            local evsock = require "evsock"
            local fd = evsock.pollfd()
            local watch, message, code = evsock.watch(fd, "r")
            print(watch, (message:gsub("%d+", "N")), code)
        ]])
        local said = "watch N: this is evsock's own pollfd, which tells of its events"
        helper.printed("nil\t" .. said .. "\tEINVAL\n", output, status)
    end)

    it("raises for what is no number, no mode and no function", function()
        local fd = silent_socket().fd
        for _, wrong in ipairs { -1, 1.5, "x", {}, io.stdin } do
            helper.misuse(function() evsock.watch(wrong, "r") end,
                "bad argument 'fd' to 'watch' (descriptor as integer of at least 0 expected, got")
        end
        helper.misuse(function() evsock.watch() end, "bad argument 'fd' to 'watch'")
        for _, wrong in ipairs { "x", "", "wr", 1, {} } do
            helper.misuse(function() evsock.watch(fd, wrong) end,
                "bad argument 'mode' to 'watch' (\"r\", \"w\" or \"rw\" expected, got")
        end
        helper.misuse(function() evsock.watch(fd, "r", 1) end, "'on_ready'")
        local watching = watch(fd, "r")
        helper.misuse(function() watching:wait(-1) end, "bad argument 'timeout' to 'wait'")
        helper.misuse(function() watching.on_read = print end, "unknown handler")
    end)
end)
