-- Tasks: what spawn, join, cancel and sleep promise, wherever they are called.

local helper = require "spec.helper"
local evsock = helper.evsock
local expect, pump_until = helper.expect, helper.pump_until
local unpack = table.unpack or unpack

local spawn = helper.spawn

local function done(task)
    return function()
        return task.done
    end
end

-- A server whose accepted sockets are handed to tasks that send lines back.
local function echo_server()
    local server = helper.server()
    server.server.on_accept = function(_, sock)
        server.sockets[#server.sockets + 1] = sock
        spawn(function()
            while true do
                local line = sock:receive("*l")
                if not line then
                    break
                end
                sock:send(line .. "\n")
            end
            sock:close()
        end)
    end
    return server.port
end

describe("spawn", function()
    after_each(helper.finish)

    it("begins the task in the next pump, never inside the call", function()
        local began = false
        local task = spawn(function()
            began = true
        end)
        assert.is_false(began)
        assert.is_false(task.done)
        evsock.pump()
        assert.is_true(began)
        assert.is_true(task.done)
    end)

    it("hands its arguments on, nils too", function()
        local count, values
        spawn(function(...)
            count, values = select("#", ...), { ... }
        end, 1, nil, "three", nil)
        evsock.pump()
        assert.equal(4, count)
        assert.same({ 1, nil, "three" }, values)
    end)

    it("takes functions that are not written in Lua", function()
        local task = spawn(math.max, 3, 7, 5)
        local ok, value = task:join(1)
        assert.is_true(ok)
        assert.equal(7, value)
    end)

    it("runs tasks in the order in which they were spawned", function()
        local order = {}
        for i = 1, 10 do
            spawn(function()
                order[#order + 1] = i
            end)
        end
        evsock.pump()
        assert.equal("1 2 3 4 5 6 7 8 9 10", table.concat(order, " "))
    end)

    it("inside a task begins in the pump after, so pump returns however many follow", function()
        local count = 0
        local function again()
            count = count + 1
            if count < 1000 then
                spawn(again)
            end
        end
        spawn(again)
        evsock.pump()
        assert.equal(1, count)
        evsock.pump()
        assert.equal(2, count)
        pump_until(function() return count == 1000 end)
    end)

    it("counts as active until the task is over", function()
        local before = evsock.active()
        local task = spawn(function()
            evsock.sleep(0.01)
        end)
        assert.equal(before + 1, evsock.active())
        evsock.pump()
        assert.equal(before + 1, evsock.active())
        pump_until(done(task))
        assert.equal(before, evsock.active())
    end)

    it("keeps the task alive although nobody refers to it", function()
        local over
        evsock.spawn(function()
            for _ = 1, 3 do
                collectgarbage()
                evsock.sleep(0.005)
            end
            over = true
        end)
        pump_until(function()
            collectgarbage()
            return over
        end)
    end)

    it("is counted by pump as a handler, each time the task runs", function()
        spawn(function()
            evsock.sleep(0)
        end)
        assert.equal(1, evsock.pump())
        assert.equal(1, evsock.pump(1))
    end)

    it("of anything but a function raises at the caller's line", function()
        helper.misuse(function() evsock.spawn("no function") end, "'fn'")
        helper.misuse(function() evsock.spawn() end, "'fn'")
    end)

    it("shows what it is and where it stands", function()
        local task = spawn(function()
            evsock.sleep(10)
        end)
        assert.equal("evsock.Task: ready", tostring(task))
        evsock.pump()
        assert.equal("evsock.Task: waiting", tostring(task))
        task:cancel()
        assert.equal("evsock.Task: over", tostring(task))
    end)

    it("a yield of the script's own lets the others run, and the task goes on", function()
        local order = {}
        for _, name in ipairs { "a", "b" } do
            spawn(function()
                for i = 1, 3 do
                    order[#order + 1] = name .. i
                    coroutine.yield()
                end
            end)
        end
        pump_until(function() return #order == 6 end)
        evsock.pump()
        assert.equal("a1 b1 a2 b2 a3 b3", table.concat(order, " "))
    end)

    it("a stranger who resumes a task's coroutine does not end its wait", function()
        local thread
        local task = spawn(function()
            thread = coroutine.running()
            local before = evsock.now()
            evsock.sleep(0.03)
            return evsock.now() - before
        end)
        evsock.pump()
        for _ = 1, 3 do
            coroutine.resume(thread)
        end
        assert.is_false(task.done)
        local ok, slept = task:join(2)
        assert.is_true(ok)
        assert.is_true(slept >= 0.03)
    end)
end)

describe("the first task of a script", function()
    -- Tasks are loaded by the first call that needs them, and collecting garbage on the way may run
    -- whatever finalisers have to do.
    for steps = 15, 540, 35 do
        it("goes on, and so does one of a finaliser amid it, after " .. steps, function()
            helper.printed("finaliser main", helper.run(([[
                local evsock = require "evsock"
                local done = {}
                local function begin(name)
                    evsock.spawn(function()
                        evsock.sleep(0)
                        done[#done + 1] = name
                    end)
                end
                local function finalise() begin("finaliser") end
                if newproxy then
                    getmetatable(newproxy(true)).__gc = finalise
                else
                    setmetatable({}, { __gc = finalise })
                end
                debug.sethook(function()
                    debug.sethook()
                    collectgarbage()
                end, "", %d)
                begin("main")
                debug.sethook()
                local deadline = evsock.now() + 5
                while #done < 2 and evsock.now() < deadline do
                    evsock.pump(0.01)
                end
                io.write(table.concat(done, " "))
            ]]):format(steps)))
        end)
    end
end)

describe("join", function()
    after_each(helper.finish)

    it("outside of tasks pumps until the task is over, and gives true and its results", function()
        local task = spawn(function()
            evsock.sleep(0.01)
            return "one", nil, 3, nil
        end)
        local results = { n = select("#", task:join(2)), task:join(2) }
        assert.equal(5, results.n)
        assert.same({ true, "one", nil, 3, n = 5 }, results)
    end)

    it("inside a task suspends only that", function()
        local order = {}
        local slow = spawn(function()
            evsock.sleep(0.03)
            order[#order + 1] = "slow"
            return "result"
        end)
        local joiner = spawn(function()
            local ok, value = slow:join()
            order[#order + 1] = "joined"
            return ok, value
        end)
        spawn(function()
            order[#order + 1] = "other"
        end)
        local ok, joined, value = joiner:join(2)
        assert.is_true(ok and joined)
        assert.equal("result", value)
        assert.equal("other slow joined", table.concat(order, " "))
    end)

    it("of a task that is over answers at once, as often as asked", function()
        local task = spawn(function()
            return 42
        end)
        evsock.pump()
        for _ = 1, 3 do
            assert.same({ true, 42 }, { task:join() })
        end
    end)

    it("may be waited in by many", function()
        local task = spawn(function()
            evsock.sleep(0.01)
            return "for all"
        end)
        local count = 0
        for _ = 1, 50 do
            spawn(function()
                local ok, value = task:join()
                assert(ok and value == "for all")
                count = count + 1
            end)
        end
        pump_until(function() return count == 50 end)
    end)

    it("gives nil, a message and ETIMEDOUT when the time is up, and the task goes on", function()
        local task = spawn(function()
            evsock.sleep(0.1)
            return "late"
        end)
        local value, message, code = task:join(0.01)
        assert.is_nil(value)
        assert.is_string(message)
        assert.equal("ETIMEDOUT", code)
        assert.same({ true, "late" }, { task:join(2) })
    end)

    it("of itself raises", function()
        local task
        task = spawn(function()
            return pcall(function()
                task:join()
            end)
        end)
        local ok, worked, message = task:join(1)
        assert.is_true(ok)
        assert.is_false(worked)
        assert.is_truthy(message:find("join itself", 1, true))
    end)

    it("of something else raises at the caller's line", function()
        local task = spawn(function() end)
        helper.misuse(function() task.join({}) end, "'self'")
        helper.misuse(function() task:join("long") end, "'timeout'")
        evsock.pump()
    end)
end)

describe("an error in a task", function()
    after_each(helper.finish)

    it("reaches who joins it, with the task's own traceback", function()
        local function inner()
            error("in the depth")
        end
        local task = spawn(function()
            evsock.sleep(0.001)
            inner()
        end)
        local value, message, code = task:join(2)
        assert.is_nil(value)
        assert.equal("ETASK", code)
        assert.is_truthy(message:find("tasks_spec.lua:%d+: in the depth"))
        assert.is_truthy(message:find("stack traceback", 1, true))
        assert.is_truthy(message:find("inner", 1, true))
        assert.is_nil(select(2, message:gsub("stack traceback", "")) > 1 or nil)
    end)

    it("reaches all who join it, and nobody else", function()
        evsock.on_error = helper.never("on_error")
        local task = spawn(function()
            evsock.sleep(0.01)
            error({ "an object" })
        end)
        local seen = 0
        for _ = 1, 3 do
            spawn(function()
                local value, problem, code = task:join()
                assert(value == nil and problem[1] == "an object" and code == "ETASK")
                seen = seen + 1
            end)
        end
        pump_until(function() return seen == 3 end)
    end)

    it("that nobody joins goes to on_error with the task, and the others go on", function()
        local handed
        evsock.on_error = expect(function(message, object)
            handed = { message, object }
        end, 1)
        local task = spawn(function()
            error("alone")
        end)
        local others = 0
        for _ = 1, 3 do
            spawn(function()
                others = others + 1
            end)
        end
        evsock.pump()
        assert.equal(3, others)
        assert.is_truthy(handed[1]:find("alone", 1, true))
        assert.equal(task, handed[2])
        local value, message, code = task:join()
        assert.is_nil(value)
        assert.is_truthy(message:find("alone", 1, true))
        assert.equal("ETASK", code)
    end)

    it("that nobody joins is raised by pump without on_error; no other loses its turn", function()
        local others = 0
        spawn(function()
            error("alone")
        end)
        for _ = 1, 3 do
            spawn(function()
                others = others + 1
            end)
        end
        local ok, message = pcall(evsock.pump)
        assert.is_false(ok)
        assert.is_truthy(message:find("alone", 1, true))
        assert.equal(0, others)
        evsock.pump()
        assert.equal(3, others)
    end)

    it("leaves run, and run may be called again", function()
        local over
        spawn(function()
            error("out of run")
        end)
        spawn(function()
            evsock.sleep(0.01)
            over = true
        end)
        local ok, message = pcall(evsock.run)
        assert.is_false(ok)
        assert.is_truthy(message:find("out of run", 1, true))
        evsock.run()
        assert.is_true(over)
    end)

    it("after a joiner's time was up goes to on_error", function()
        evsock.on_error = expect(function() end, 1)
        local task = spawn(function()
            evsock.sleep(0.03)
            error("late")
        end)
        assert.is_nil((task:join(0.005)))
        pump_until(done(task))
    end)
end)

describe("cancel", function()
    after_each(helper.finish)

    local function waits_for(what)
        local task = spawn(what)
        evsock.pump()
        assert.is_false(task.done)
        return task
    end

    it("of a task that has not begun keeps it from beginning", function()
        local task = spawn(helper.never("the task"))
        assert.is_true(task:cancel())
        assert.is_true(task.done)
        assert.equal(0, evsock.pump())
    end)

    it("of a sleeping task ends it and its alarm", function()
        local task = waits_for(function()
            evsock.sleep(0.02)
            error("woken")
        end)
        local before = evsock.active()
        assert.is_true(task:cancel())
        assert.equal(before - 1, evsock.active())
        helper.pump_for(0.05)
    end)

    it("tells who joins: nil, a message, ECANCELED", function()
        local task = waits_for(function()
            evsock.sleep(10)
        end)
        local answers = {}
        for i = 1, 2 do
            spawn(function()
                answers[i] = { task:join() }
            end)
        end
        evsock.pump()
        task:cancel()
        pump_until(function() return answers[1] and answers[2] end)
        for i = 1, 2 do
            assert.is_nil(answers[i][1])
            assert.is_string(answers[i][2])
            assert.equal("ECANCELED", answers[i][3])
        end
        assert.equal("ECANCELED", (select(3, task:join())))
    end)

    it("twice, or of a task that is over, does nothing", function()
        local task = waits_for(function()
            evsock.sleep(10)
        end)
        assert.is_true(task:cancel())
        assert.is_false(task:cancel())
        local other = spawn(function()
            return 1
        end)
        evsock.pump()
        assert.is_false(other:cancel())
        assert.same({ true, 1 }, { other:join() })
    end)

    it("inside the task itself ends it with its next wait", function()
        local task, went_on, beyond
        task = spawn(function()
            assert(task:cancel())
            went_on = true
            evsock.sleep(0)
            beyond = true
        end)
        evsock.pump()
        evsock.pump(0.01)
        assert.is_true(went_on)
        assert.is_nil(beyond)
        assert.is_true(task.done)
        assert.equal("ECANCELED", (select(3, task:join())))
    end)

    it("of a task that waits for data leaves no waiter behind: another may wait at once", function()
        local client, peer = helper.pair()
        local task = waits_for(function()
            client:receive("*l")
        end)
        assert.equal("EBUSY", (select(3, client:receive("*l", 0))))
        task:cancel()
        local got
        spawn(function()
            got = client:receive("*l", 2)
        end)
        evsock.pump()
        peer:write("for the second\n")
        pump_until(function() return got end)
        assert.equal("for the second", got)
    end)

    it("of a task that had taken part of the stream puts it back", function()
        local client, peer = helper.pair()
        local task = waits_for(function()
            client:receive("*a")
        end)
        peer:write("half of ")
        peer:write("everything")
        pump_until(function() return client:info().bytes_in == 18 end)
        evsock.pump()
        task:cancel()
        assert.equal("half of everything", client:read())
    end)

    it("of a task whose turn has been asked for keeps it from running", function()
        local first
        local second = spawn(function()
            evsock.sleep(10)
        end)
        first = spawn(function()
            second:join()
            error("joined")
        end)
        evsock.pump()
        second:cancel() -- the joiner gets a turn in the next pump
        first:cancel()
        evsock.pump()
        assert.is_true(first.done)
    end)

    it("inside a handler of a task that the same event would wake keeps it from running", function()
        local client, peer = helper.pair()
        local task = waits_for(function()
            client:receive("*r")
            error("woken")
        end)
        client.on_data = expect(function()
            task:cancel()
        end, 1)
        peer:write("x")
        pump_until(done(task))
        evsock.pump()
        assert.equal("x", client:read())
    end)

    it("in many tasks at many points leaves nothing active", function()
        local client, peer = helper.pair()
        local before = evsock.active()
        local forms = {
            function() evsock.sleep(10) end,
            function() client:wait("close") end,
            function() client:wait("drain") evsock.sleep(10) end,
            function() spawn(function() evsock.sleep(0) end):join() evsock.sleep(10) end,
            function() client:receive("*l", 10) evsock.sleep(10) end,
            function() while true do coroutine.yield() end end,
            function() client:send("x", 1) evsock.sleep(10) end,
        }
        local tasks = {}
        for round = 1, 20 do
            for _, form in ipairs(forms) do
                tasks[#tasks + 1] = evsock.spawn(form)
            end
            for _ = 1, round % 4 do
                evsock.pump()
            end
            for i = #tasks, 1, -2 do
                table.remove(tasks, i):cancel()
            end
        end
        for _, task in ipairs(tasks) do
            task:cancel()
        end
        for _ = 1, 5 do
            evsock.pump()
        end
        assert.equal(before, evsock.active())
        peer:write("still there\n")
        assert.equal("still there", client:receive("*l", 2))
    end)

    if coroutine.close then
        it("closes the variables of the task (5.4)", function()
            local code = [[
                local evsock, note = ...
                local guard <close> = setmetatable({}, { __close = note })
                evsock.sleep(10)
            ]]
            local task = waits_for(function()
                assert(load(code))(evsock, expect(function() end, 1))
            end)
            task:cancel()
        end)

        it("hands an error of such a variable to on_error (5.4)", function()
            evsock.on_error = expect(function(message)
                assert(message:find("in the closing", 1, true))
            end, 1)
            local code = [[
                local evsock = ...
                local guard <close> = setmetatable({}, {
                    __close = function() error("in the closing") end })
                evsock.sleep(10)
            ]]
            local task = waits_for(function()
                assert(load(code))(evsock)
            end)
            assert.is_true(task:cancel())
            evsock.pump()
        end)
    end
end)

describe("sleep", function()
    after_each(helper.finish)

    it("outside of tasks pumps: timers and handlers go on", function()
        local ticks = 0
        local timer = helper.track(evsock.every(0.005, function()
            ticks = ticks + 1
        end))
        local before = evsock.now()
        assert.is_true(evsock.sleep(0.05))
        assert.is_true(evsock.now() - before >= 0.05)
        assert.is_true(ticks >= 3, ticks)
        timer:cancel()
    end)

    it("in a task never ends early, and a thousand sleep at once", function()
        local count, early = 0, 0
        local began = evsock.now()
        for i = 1, 1000 do
            local seconds = (i % 50) / 1000
            spawn(function()
                local before = evsock.now()
                evsock.sleep(seconds)
                if evsock.now() - before < seconds then
                    early = early + 1
                end
                count = count + 1
            end)
        end
        pump_until(function() return count == 1000 end)
        assert.equal(0, early)
        assert.is_true(evsock.now() - began < 2 * helper.slow)
    end)

    it("in a handler pumps inside of it", function()
        local order = {}
        helper.track(evsock.after(0, function()
            order[#order + 1] = "begins"
            evsock.sleep(0.03)
            order[#order + 1] = "ends"
        end))
        helper.track(evsock.after(0.01, function()
            order[#order + 1] = "between"
        end))
        pump_until(function() return #order == 3 end)
        assert.equal("begins between ends", table.concat(order, " "))
    end)

    it("in a handler that a task's own pump has called does not suspend the task", function()
        local order = {}
        local task = spawn(function()
            evsock.after(0, function()
                evsock.sleep(0.01)
                order[#order + 1] = "handler"
            end)
            evsock.pump(1)
            order[#order + 1] = "task"
        end)
        task:join(2)
        assert.equal("handler task", table.concat(order, " "))
    end)

    it("in a coroutine inside of a task pumps", function()
        local task = spawn(function()
            local inner = coroutine.wrap(function()
                evsock.sleep(0.01)
                coroutine.yield("inner")
            end)
            return inner()
        end)
        assert.same({ true, "inner" }, { task:join(2) })
    end)

    it("one wait's time does not count for the next, be it longer or shorter", function()
        local client, peer = helper.pair()
        local waits = {}
        local function wait(seconds)
            local began = evsock.now()
            local line, _, code = client:receive("*l", seconds)
            waits[#waits + 1] = { line or code, evsock.now() - began }
        end
        local task = spawn(function()
            wait(60)
            wait(0.05)
            wait(0.05)
            wait(0.3)
            wait(0.01)
        end)
        peer:write("first\n")
        pump_until(function() return #waits == 2 end)
        peer:write("third\n")
        assert.is_true(task:join(5 * helper.slow))
        local answers = {}
        for i, least in ipairs { 0, 0.05, 0, 0.3, 0.01 } do
            answers[i] = waits[i][1]
            assert.is_true(waits[i][2] >= least, i .. ": " .. waits[i][2])
        end
        assert.same({ "first", "ETIMEDOUT", "third", "ETIMEDOUT", "ETIMEDOUT" }, answers)
        assert.is_true(waits[2][2] < 30 and waits[5][2] < 30)
    end)

    it("of anything but seconds raises at the caller's line", function()
        helper.misuse(function() evsock.sleep("long") end, "'seconds'")
        helper.misuse(function() evsock.sleep(-1) end, "'seconds'")
        helper.misuse(function() evsock.sleep() end, "'seconds'")
    end)
end)

describe("thousands of tasks", function()
    after_each(helper.finish)

    it("2,000 with a connection each exchange 10 lines with one server", function()
        local port = echo_server()
        local many = 2000 / helper.fewer
        local good, over = 0, 0
        for i = 1, many do
            evsock.spawn(function()
                local sock = evsock.connect("127.0.0.1", port)
                for k = 1, 10 do
                    local text = i .. "/" .. k
                    assert(sock:send(text .. "\n"))
                    assert(sock:receive("*l") == text)
                    good = good + 1
                end
                sock:close()
                over = over + 1
            end)
        end
        pump_until(function() return over == many end, 30 * helper.slow, "all tasks")
        assert.equal(10 * many, good)
    end)

    it("stop inside of one ends run, the others go on with the next", function()
        local count = 0
        for i = 1, 100 do
            evsock.spawn(function()
                count = count + 1
                if i == 10 then
                    evsock.stop()
                end
                evsock.sleep(0.001)
                count = count + 1
            end)
        end
        evsock.run()
        assert.is_true(count < 200, count)
        evsock.run()
        assert.equal(200, count)
    end)

    it("run inside of one pumps, and what it waits for happens", function()
        local task = spawn(function()
            local over
            evsock.after(0.01, function()
                over = true
                evsock.stop()
            end)
            evsock.run()
            return over
        end)
        assert.same({ true, true }, { task:join(2) })
    end)
end)

describe("cancel at any point", function()
    after_each(helper.finish)

    -- What the task waits for, and how somebody else sees that it waits no more.
    local function points()
        local client, peer = helper.pair({ write_limit = 1000 }, { read_limit = 1000 })
        client:write(("x"):rep(16 * 1024 * 1024))
        local slow = helper.pair()
        local stuck = helper.connect(helper.silent_port())
        local sleeper = spawn(evsock.sleep, 10)
        local function reads(sock, ...)
            local arguments = { ... }
            return function()
                return sock:receive(unpack(arguments))
            end
        end
        return {
            ["receive of a line"] = reads(slow, "*l"),
            ["receive of bytes"] = reads(slow, 10, 5),
            ["receive of all"] = reads(slow, "*a", 5),
            ["receive of anything"] = reads(slow, "*r"),
            ["wait for data"] = function() slow:wait("data", 5) end,
            ["wait for close"] = function() slow:wait("close", 5) end,
            ["wait for drain"] = function() client:wait("drain") end,
            ["wait for connect"] = function() stuck:wait("connect", 5) end,
            ["send of a queued piece"] = function() peer:send(("y"):rep(16 * 1024 * 1024), 5) end,
            ["send that waits for room"] = function() client:send("z", 5) end,
            ["sleep"] = function() evsock.sleep(5) end,
            ["join"] = function() sleeper:join(5) end,
            ["yield"] = function() coroutine.yield() end,
        }, slow
    end

    local ways = {
        ["from outside"] = function(task)
            assert.is_true(task:cancel())
        end,
        ["from another task"] = function(task)
            assert.is_true(select(2, spawn(task.cancel, task):join(5)))
        end,
        ["from a handler"] = function(task)
            local canceled
            helper.track(evsock.after(0, function()
                canceled = task:cancel()
            end))
            pump_until(function() return canceled end)
        end,
        ["while it is joined"] = function(task)
            local joiner = spawn(task.join, task)
            evsock.pump()
            assert.is_true(task:cancel())
            local _, value, _, code = joiner:join(5)
            assert.is_nil(value)
            assert.equal("ECANCELED", code)
        end,
    }

    for name, way in pairs(ways) do
        it(name .. " ends every kind of wait and leaves nothing of it", function()
            local kinds, slow = points()
            for kind, fn in pairs(kinds) do
                local before = evsock.active()
                local task = spawn(function()
                    while true do
                        fn()
                    end
                end)
                evsock.pump()
                evsock.pump()
                assert.is_false(task.done, kind)
                way(task)
                assert.is_true(task.done, kind)
                assert.is_false(task:cancel(), kind)
                assert.equal("ECANCELED", (select(3, task:join())), kind)
                pump_until(function() return evsock.active() <= before end, 5, kind)
                assert.equal("ETIMEDOUT", (select(3, slow:receive("*l", 0))), kind)
            end
        end)
    end

    it("in the moment in which its turn is due keeps it from going on", function()
        local client, peer = helper.pair()
        local went_on = false
        local first, second
        first = spawn(function()
            client:receive("*l")
            second:cancel()
        end)
        second = spawn(function()
            client:wait("close")
            went_on = true
        end)
        evsock.pump()
        peer:write("now\n")
        peer:close()
        pump_until(function() return first.done end)
        helper.pump_for(0.02)
        assert.is_false(went_on)
        assert.is_true(second.done)

        local third, fourth
        third = spawn(function()
            fourth:cancel()
        end)
        fourth = spawn(helper.never("a task called off before its turn"))
        evsock.pump()
        assert.is_true(third.done and fourth.done)
    end)

    it("of a joiner leaves the others, and no trace with the task", function()
        local task = spawn(function()
            evsock.sleep(0.01)
            error("for nobody")
        end)
        evsock.on_error = expect(function() end, 1)
        local joiner = spawn(task.join, task)
        evsock.pump()
        joiner:cancel()
        pump_until(done(task))
    end)

    it("by itself while it goes on to its end leaves it its results", function()
        local task
        task = spawn(function()
            task:cancel()
            return "its results"
        end)
        assert.same({ true, "its results" }, { task:join(1) })
    end)

    if coroutine.close then
        local closing = load([[
            local evsock, hook = ...
            local variable <close> = setmetatable({}, { __close = hook })
            evsock.sleep(10)
        ]])

        it("lets what its variables do when they are closed wait, whoever calls it off", function()
            for _, inside in ipairs { false, true } do
                local over = false
                local task = spawn(closing, evsock, function()
                    evsock.sleep(0.005)
                    over = true
                end)
                evsock.pump()
                if inside then
                    spawn(task.cancel, task):join(5)
                else
                    task:cancel()
                end
                assert.is_true(over)
                assert.is_true(task.done)
            end
        end)
    end
end)

describe("a waiting call where its task can't be suspended", function()
    after_each(helper.finish)

    it("raises the error of the language and leaves nothing waiting behind", function()
        local client, peer = helper.pair()
        peer:write("half")
        local task = spawn(function()
            client:wait("data")
            for _, what in ipairs { "*l", "*a", 10 } do
                local ok, message = pcall(string.gsub, "x", "x", function()
                    return client:receive(what, 5)
                end)
                assert(not ok and message:find("yield", 1, true), tostring(message))
                ok, message = pcall(string.gsub, "x", "x", function()
                    evsock.sleep(0.001)
                end)
                assert(not ok and message:find("yield", 1, true), tostring(message))
            end
            return client:receive("*l", 5)
        end)
        evsock.pump()
        pump_until(function() return client.buffered == 4 end)
        evsock.pump()
        peer:write(" and half\n")
        assert.same({ true, "half and half" }, { task:join(5) })
    end)

    it("raises when it joins a task that waits for it", function()
        local task
        local outcomes = {}
        local function tries(name)
            return function()
                local ok, message = pcall(task.join, task, 5)
                outcomes[name] = not ok and message:find("join itself", 1, true) and true
            end
        end
        task = spawn(function()
            coroutine.wrap(tries("coroutine"))()
            evsock.after(0, tries("handler"))
            evsock.pump(1)
            return "over"
        end)
        local began = evsock.now()
        assert.same({ true, "over" }, { task:join(5) })
        assert.same({ coroutine = true, handler = true }, outcomes)
        assert.is_true(evsock.now() - began < 4 * helper.slow)
    end)

    it("waits for a task under whose pump it runs, if it is a task itself", function()
        local outer, inner
        outer = spawn(function()
            inner = spawn(function()
                return outer:join(5)
            end)
            evsock.pump()
            return "outer's"
        end)
        evsock.pump()
        assert.same({ true, true, "outer's" }, { inner:join(5) })
    end)

    it("thirty deep in pumps is an error like any other, and all goes on", function()
        local deepest, refusals = 0, 0
        local function dig(depth)
            deepest = math.max(deepest, depth)
            if depth <= 32 then
                spawn(dig, depth + 1)
                if not pcall(evsock.pump) then
                    refusals = refusals + 1
                end
            end
        end
        spawn(dig, 1)
        evsock.pump()
        assert.equal(32, deepest)
        assert.equal(1, refusals)
        evsock.pump()
        assert.equal(33, deepest)
    end)
end)

describe("a task's coroutine in a stranger's hands", function()
    after_each(helper.finish)

    local function stolen(fn)
        local thread
        local task = spawn(function()
            thread = coroutine.running()
            return fn()
        end)
        evsock.pump()
        return task, thread
    end

    it("run to its end counts as called off", function()
        local before = evsock.active()
        local task, thread = stolen(function()
            coroutine.yield()
            return "the stranger's"
        end)
        coroutine.resume(thread)
        assert.equal("ECANCELED", (select(3, task:join(1))))
        assert.equal(before, evsock.active())

        task, thread = stolen(coroutine.yield)
        coroutine.resume(thread)
        pump_until(done(task))
        assert.equal(before, evsock.active())
    end)

    it("resumed into a wait still gets its turn and its answer", function()
        local client, peer = helper.pair()
        local task, thread = stolen(function()
            coroutine.yield()
            return client:receive("*l", 5)
        end)
        helper.track(evsock.after(0, function()
            coroutine.resume(thread)
            coroutine.resume(thread)
        end))
        evsock.pump()
        peer:write("for the task\n")
        assert.same({ true, "for the task" }, { task:join(5) })
    end)

    if coroutine.close then
        it("closed counts as called off", function()
            local before = evsock.active()
            for _, wait in ipairs { function() evsock.sleep(0.005) end, coroutine.yield } do
                local task, thread = stolen(wait)
                coroutine.close(thread)
                pump_until(done(task))
                assert.equal("ECANCELED", (select(3, task:join(1))))
            end
            assert.equal(before, evsock.active())
        end)
    end
end)

describe("tasks and the loop", function()
    after_each(helper.finish)

    it("stop inside a task ends run after it has suspended itself", function()
        local order = {}
        spawn(function()
            evsock.stop()
            order[#order + 1] = "stopped"
            evsock.sleep(0.001)
            order[#order + 1] = "later"
        end)
        spawn(function()
            order[#order + 1] = "other"
        end)
        evsock.run()
        assert.equal("stopped", table.concat(order, " "))
        evsock.run()
        assert.equal("stopped other later", table.concat(order, " "))
    end)

    it("run inside a task serves the others until stop, and the outer goes on", function()
        local order = {}
        spawn(function()
            spawn(function()
                evsock.sleep(0.005)
                order[#order + 1] = "inner"
                evsock.stop()
            end)
            evsock.run()
            order[#order + 1] = "inner run over"
            evsock.sleep(0.001)
            order[#order + 1] = "outer"
        end)
        evsock.run()
        assert.equal("inner/inner run over/outer", table.concat(order, "/"))
    end)

    it("an error in a task inside an inner run leaves that, to the task that called it", function()
        local seen
        local task = spawn(function()
            spawn(error, "from below")
            seen = { pcall(evsock.run) }
        end)
        assert.is_true((task:join(5)))
        assert.is_false(seen[1])
        assert.is_truthy(seen[2]:find("from below", 1, true))
    end)

    it("errors that are no strings arrive as they are", function()
        for _, problem in ipairs { 42, false, { "object" } } do
            local task = spawn(error, problem, 0)
            local ok, raised = pcall(evsock.pump)
            assert.is_false(ok)
            assert.equal(problem, raised)
            assert.same({ nil, problem, "ETASK" }, { task:join() })
        end
    end)

    it("a task that fails as its joiner's time runs out tells one of the two", function()
        local heard = 0
        evsock.on_error = function()
            heard = heard + 1
        end
        for _ = 1, 100 do
            local task = spawn(function()
                evsock.sleep(0.001)
                error("heard once")
            end)
            local joiner = spawn(task.join, task, 0.001)
            local _, _, _, code = joiner:join(5)
            pump_until(done(task))
            heard = heard + (code == "ETASK" and 1 or 0)
        end
        assert.equal(100, heard)
    end)

    it("the end of the interpreter in the midst of waiting tasks is silent", function()
        local output, status = helper.run([[
            local evsock = require "evsock"
            local server = evsock.listen("127.0.0.1", 0, { on_data = function() end })
            for i = 1, 100 do
                evsock.spawn(function()
                    local sock = evsock.connect("127.0.0.1", server.port)
                    if i % 2 == 0 then
                        sock:receive("*l", 10)
                    else
                        evsock.sleep(10)
                    end
                end)
            end
            for _ = 1, 5 do
                evsock.pump(0.01)
            end
            evsock.spawn(error, "too late")
        ]])
        helper.printed("", output, status)
    end)
end)

describe("a field of a task", function()
    after_each(helper.finish)

    it("is free, but none that looks like a handler", function()
        local task = helper.evsock.spawn(function() end)
        task.name = "mine"
        assert.equal("mine", task.name)
        helper.misuse(function() task.on_done = print end,
            "unknown handler 'on_done' of evsock.Task (a task has none; 'join' waits for its end)")
        assert.is_nil(task.on_done)
        task:join(5)
    end)
end)
