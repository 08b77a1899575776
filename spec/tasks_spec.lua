-- Tasks: what spawn, join, cancel and sleep promise, wherever they are called.

local helper = require "spec.helper"
local evsock = helper.evsock
local expect, pump_until = helper.expect, helper.pump_until

local function spawn(fn, ...)
    return helper.track(evsock.spawn(fn, ...))
end

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
        pump_until(function()
            return count == 1000
        end)
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
        pump_until(function()
            return #order == 6
        end)
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
        pump_until(function()
            return count == 50
        end)
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
        pump_until(function()
            return seen == 3
        end)
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
        pump_until(function()
            return answers[1] and answers[2]
        end)
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
        pump_until(function()
            return got
        end)
        assert.equal("for the second", got)
    end)

    it("of a task that had taken part of the stream puts it back", function()
        local client, peer = helper.pair()
        local task = waits_for(function()
            client:receive("*a")
        end)
        peer:write("half of ")
        peer:write("everything")
        pump_until(function()
            return client:info().bytes_in == 18
        end)
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
        pump_until(function()
            return count == 1000
        end)
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
        pump_until(function()
            return #order == 3
        end)
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
        local good, over = 0, 0
        for i = 1, 2000 do
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
        pump_until(function()
            return over == 2000
        end, 30 * helper.slow, "all tasks")
        assert.equal(20000, good)
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
