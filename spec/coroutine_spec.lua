-- Coroutines of a script's own inside of tasks: `evsock.coroutine`, `evsock.adopt`, and protected
-- calls that may wait.

local helper = require "spec.helper"
local evsock = helper.evsock
local co = evsock.coroutine

local spawn, finished = helper.spawn, helper.finished

-- What each of the tasks says, in order.
local function order_of(...)
    local said, tasks = {}, {}
    for place, fn in ipairs { ... } do
        tasks[place] = spawn(fn, function(what)
            said[#said + 1] = what
        end)
    end
    finished((table.unpack or unpack)(tasks))
    return table.concat(said, " ")
end

describe("a waiting call in a coroutine of a task", function()
    after_each(helper.finish)

    it("suspends that task alone: whoever is ready first goes on first", function()
        local function reader(seconds, name)
            return function(say)
                local read = co.wrap(function()
                    evsock.sleep(seconds)
                    co.yield(name)
                end)
                say(read())
            end
        end
        assert.equal("fast slow", order_of(reader(0.05, "slow"), reader(0.01, "fast")))
    end)

    it("answers tasks that depend on each other", function()
        local one, other = helper.pair()
        local function answering(sock, first)
            return function(say)
                local read = co.wrap(function()
                    while true do
                        co.yield((sock:receive("*l")))
                    end
                end)
                if first then
                    sock:send("question\n")
                end
                say(read())
                if not first then
                    sock:send("answer\n")
                end
            end
        end
        assert.equal("question answer", order_of(answering(one, true), answering(other)))
    end)

    it("nests as deep as coroutines do, in a thousand tasks at once", function()
        local sum, tasks = 0, {}
        for i = 1, 1000 do
            tasks[i] = spawn(function()
                local outer = co.wrap(function()
                    local inner = co.wrap(function()
                        evsock.sleep((i % 7) / 1000)
                        co.yield(1)
                        evsock.sleep((i % 3) / 1000)
                        return 2
                    end)
                    co.yield(inner())
                    return inner()
                end)
                local both = outer() + outer()
                sum = sum + both
            end)
        end
        finished((table.unpack or unpack)(tasks))
        assert.equal(3000, sum)
    end)

    it("leaves every other yield and each error to whoever resumed", function()
        local seen = {}
        finished(spawn(function()
            local thread = co.create(function(...)
                evsock.sleep(0.001)
                local got = { co.yield(select("#", ...), ...) }
                evsock.sleep(0.001)
                error({ got[2] })
            end)
            seen[1] = { co.resume(thread, "a", nil) }
            seen[2] = co.status(thread)
            seen[3] = { co.resume(thread, "b", "c") }
            seen[4] = co.status(thread)
            seen[5] = { co.resume(thread) }
        end))
        assert.same({ true, 2, "a" }, seen[1])
        assert.equal("suspended", seen[2])
        assert.same({ false, { "c" } }, seen[3])
        assert.equal("dead", seen[4])
        assert.same({ false, "cannot resume dead coroutine" }, seen[5])
    end)

    it("keeps the coroutine busy for everybody else", function()
        local thread
        local first = spawn(function()
            thread = co.create(function()
                evsock.sleep(0.02)
                return "done"
            end)
            return co.resume(thread)
        end)
        local seen = {}
        local second = spawn(function()
            seen[1] = co.status(thread)
            seen[2] = { co.resume(thread) }
        end)
        finished(first, second)
        assert.equal("normal", seen[1])
        assert.same({ false, "cannot resume non-suspended coroutine" }, seen[2])
        assert.same({ true, true, "done" }, { first:join() })
    end)

    it("ends with the task that is canceled", function()
        local thread, goes_on
        local task = spawn(function()
            thread = co.create(function()
                evsock.sleep(60)
                goes_on = true
            end)
            co.resume(thread)
        end)
        evsock.pump()
        assert.is_true(task:cancel())
        assert.equal("suspended", co.status(thread))
        assert.is_nil(goes_on)
        assert.equal(0, evsock.active())
    end)

    it("is refused to those outside of tasks, too", function()
        local thread
        local task = spawn(function()
            thread = co.create(function()
                evsock.sleep(0.01)
                return "done"
            end)
            return co.resume(thread)
        end)
        evsock.pump()
        assert.equal("normal", co.status(thread))
        assert.same({ false, "cannot resume non-suspended coroutine" }, { co.resume(thread) })
        finished(task)
        assert.same({ true, true, "done" }, { task:join() })
    end)

    it("says that it was canceled, with its task, to whoever resumes the coroutine then", function()
        for _, resume in ipairs { co.resume, coroutine.resume } do
            local thread
            local task = spawn(function()
                thread = co.create(function()
                    return evsock.sleep(60)
                end)
                co.resume(thread)
            end)
            evsock.pump()
            task:cancel()
            assert.same({ true, nil, "sleep: the wait was canceled", "ECANCELED" },
                { resume(thread) })
        end
    end)

    it("in a callback of C does not keep the coroutine from going on", function()
        local answers
        finished(spawn(function()
            local thread = co.create(function()
                evsock.sleep(0.001)
                return "done"
            end)
            -- It pumps, or raises where Lua cannot say that it has to.
            local ok, answer = pcall(string.gsub, "a", "a", function()
                return (select(2, co.resume(thread)))
            end)
            answers = { ok and answer or select(2, co.resume(thread)), co.status(thread) }
        end))
        assert.same({ "done", "dead" }, answers)
    end)

    if coroutine.close then
        it("loses nothing when an outer coroutine of its own is closed meanwhile", function()
            local sock, peer = helper.pair()
            local outer
            local task = spawn(function()
                outer = co.create(function()
                    co.resume(co.create(function()
                        return sock:receive("*l")
                    end))
                end)
                local ok = co.resume(outer)
                return ok, sock:receive("*l")
            end)
            evsock.pump()
            assert.is_true(co.close(outer))
            evsock.pump()
            peer:write("one\ntwo\n")
            finished(task)
            assert.same({ true, false, "one" }, { task:join() })
            assert.equal("two", (sock:receive("*l")))
        end)

        it("ends with the task whose own thread is closed", function()
            local thread
            local before = evsock.active()
            local task = spawn(function()
                thread = coroutine.running()
                co.resume(co.create(function()
                    evsock.sleep(60)
                end))
            end)
            evsock.pump()
            assert.is_true(coroutine.close(thread))
            assert.is_true(task.done)
            assert.equal(before, evsock.active())
        end)

        it("is given up when its coroutine is closed: the task sees that it is dead", function()
            local thread
            local sleeper = spawn(function()
                thread = co.create(function()
                    evsock.sleep(60)
                end)
                return co.resume(thread)
            end)
            spawn(function()
                assert.is_true(co.close(thread))
            end)
            finished(sleeper)
            assert.same({ true, false, "cannot resume dead coroutine" }, { sleeper:join() })
            assert.equal(0, evsock.active())
        end)
    end

    it("leaves nothing behind when task and coroutine are dropped", function()
        local gone, waiting = setmetatable({}, { __mode = "k" }), 0
        for _ = 1, 20 do
            local task = evsock.spawn(function()
                local thread = co.create(function()
                    waiting = waiting + 1
                    evsock.sleep(60)
                end)
                gone[thread] = true
                co.resume(thread)
            end)
            evsock.pump()
            task:cancel()
        end
        assert.equal(20, waiting)
        helper.collect()
        assert.is_nil(next(gone))
        assert.equal(0, evsock.active())
    end)
end)

describe("outside of tasks evsock.coroutine", function()
    after_each(helper.finish)

    it("is as Lua's: its names, its answers and its errors", function()
        for name in pairs(coroutine) do
            assert.is_function(co[name], name)
        end
        local thread = co.create(function(a)
            return co.yield(a, nil, 3)
        end)
        local count = select("#", co.resume(thread, 1))
        assert.equal(4, count)
        assert.same({ true, "x" }, { co.resume(thread, "x") })
        assert.same({ false, "cannot resume dead coroutine" }, { co.resume(thread) })
        local function problem_of(wrap)
            local fails = wrap(function()
                error("reason", 0)
            end)
            return select(2, pcall(function() return (fails()) end))
        end
        assert.equal(problem_of(coroutine.wrap), problem_of(co.wrap))
        assert.has_error(function() co.resume("no thread") end)
    end)

    it("pumps in a waiting call, as Lua's coroutines do", function()
        local read = co.wrap(function()
            evsock.sleep(0.001)
            co.yield("read")
        end)
        assert.equal("read", read())
    end)
end)

describe("adopt", function()
    after_each(helper.finish)

    it("puts them into the environment that is given, and leaves Lua's alone", function()
        local before = coroutine.resume
        local env = setmetatable({}, { __index = _G })
        evsock.adopt(env)
        assert.equal(co.resume, rawget(env, "coroutine").resume)
        assert.equal(before, coroutine.resume)
        local there = { coroutine = { isolated = 1 } }
        evsock.adopt(there)
        assert.equal(1, there.coroutine.isolated)
        assert.equal(co.wrap, there.coroutine.wrap)
        helper.misuse(function() evsock.adopt(7) end,
            "bad argument 'env' to 'adopt' (table expected, got 7)")
    end)

    it("puts them into the globals otherwise, for libraries with their own coroutines", function()
        assert.equal("yes\n", helper.run([[
            local evsock = require "evsock"
            evsock.adopt()
            local order = {}
            for place = 1, 2 do
                evsock.spawn(function()
                    local read = coroutine.wrap(function()
                        evsock.sleep(place == 1 and 0.05 or 0.01)
                        coroutine.yield(place)
                    end)
                    local answer = read()
                    order[#order + 1] = answer
                end)
            end
            evsock.run()
            print(order[1] == 2 and order[2] == 1 and "yes")
        ]]))
    end)
end)

describe("evsock.coroutine.resume outside of tasks", function()
    local unpack = table.unpack or unpack

    local function dead()
        local thread = coroutine.create(function() end)
        coroutine.resume(thread)
        return thread
    end

    local cases = {
        { "values both ways", function(resume)
            local thread = coroutine.create(function(...)
                return "end", coroutine.yield(select("#", ...), ...)
            end)
            return { resume(thread, 1, nil, 3) }, { resume(thread, "a", nil) }, { resume(thread) }
        end },
        { "no values", function(resume)
            return { resume(coroutine.create(function() coroutine.yield() end)) }
        end },
        { "one that is over", function(resume)
            return { resume(dead()) }
        end },
        { "an error", function(resume)
            local thread = coroutine.create(function() error("no", 0) end)
            return { resume(thread, 1, 2) }, { resume(thread) }
        end },
        { "an error that is nil", function(resume)
            return { resume(coroutine.create(function() error() end)) }
        end },
        { "itself", function(resume)
            local thread
            thread = coroutine.create(function() return resume(thread) end)
            return { resume(thread) }
        end },
        { "who resumed it", function(resume)
            local outer
            outer = coroutine.create(function()
                return resume(coroutine.create(function() return resume(outer) end))
            end)
            return { resume(outer) }
        end },
        { "many values", function(resume)
            local many = {}
            for place = 1, 5000 do
                many[place] = place
            end
            local thread = coroutine.create(function(...) return coroutine.yield(...) end)
            return { select("#", resume(thread, unpack(many))) },
                { select("#", resume(thread, unpack(many))) }
        end },
        { "more values than there is room for", function(resume)
            local thread = coroutine.create(function()
                local values = {}
                for place = 1, 7900 do
                    values[place] = place
                end
                return unpack(values)
            end)
            local function deeper(count, ...)
                if count == 0 then
                    return { select("#", resume(thread)) }
                end
                return (deeper(count - 1, ...))
            end
            return deeper(3, 1, 2, 3)
        end },
        { "one in another, each with a yield", function(resume)
            local inner = coroutine.create(function()
                coroutine.yield "inner"
                return "inner's end"
            end)
            local outer = coroutine.create(function()
                local _, first = resume(inner)
                coroutine.yield(first)
                return resume(inner)
            end)
            return { resume(outer) }, { resume(outer) }, { resume(outer) }
        end },
    }

    for _, case in ipairs(cases) do
        it("gives what Lua's gives: " .. case[1], function()
            assert.same({ case[2](coroutine.resume) }, { case[2](co.resume) })
        end)
    end

    it("refuses what is no coroutine", function()
        for _, name in ipairs { "resume", "status" } do
            helper.misuse(function() co[name]() end,
                "bad argument 'co' to '" .. name .. "' (coroutine expected, got nil)")
            assert.is_false((pcall(co[name], {})))
        end
        helper.misuse(function() co.status({}) end,
            "bad argument 'co' to 'status' (coroutine expected, got table)")
    end)

    it("gives it while a task waits in some other coroutine, and after that", function()
        local function with_a_task()
            local task = spawn(function()
                local thread = co.create(function() evsock.sleep(10) end)
                co.resume(thread)
            end)
            evsock.pump(0)
            for _, case in ipairs(cases) do
                assert.same({ case[2](coroutine.resume) }, { case[2](co.resume) })
            end
            task:cancel()
        end
        with_a_task()
        helper.collect()
        for _, case in ipairs(cases) do
            assert.same({ case[2](coroutine.resume) }, { case[2](co.resume) })
        end
    end)
end)

describe("protected calls that may wait", function()
    after_each(helper.finish)

    it("give what the function gives, nils too, and what it raises", function()
        local seen = {}
        finished(spawn(function()
            seen[1] = { evsock.pcall(function(...)
                evsock.sleep(0.001)
                return select("#", ...), ...
            end, 1, nil) }
            seen[2] = { evsock.pcall(function()
                evsock.sleep(0.001)
                error("why", 0)
            end) }
            seen[3] = { evsock.xpcall(function(what)
                evsock.sleep(0.001)
                error(what, 0)
            end, function(problem) return "explained " .. problem end, "it") }
            seen[4] = { evsock.pcall(evsock.pcall, error, "twice", 0) }
        end))
        assert.same({ true, 2, 1 }, seen[1])
        assert.same({ false, "why" }, seen[2])
        assert.equal("explained it", seen[3][2])
        assert.same({ true, false, "twice" }, seen[4])
    end)

    it("let a yield of the function through to whoever resumed", function()
        local thread = co.create(function()
            return evsock.pcall(function()
                return co.yield("through") .. "!"
            end)
        end)
        assert.same({ true, "through" }, { co.resume(thread) })
        assert.same({ true, true, "back!" }, { co.resume(thread, "back") })
    end)

    it("run for whom the caller runs for when it goes on", function()
        local thread, first
        finished(spawn(function()
            first = co.running()
            thread = co.create(function()
                return evsock.pcall(function()
                    co.yield "first"
                    evsock.sleep(0.001)
                    return "slept"
                end)
            end)
            co.resume(thread)
        end))
        assert.is_not_nil(first)
        assert.same({ true, true, "slept" }, { co.resume(thread) })
    end)

    it("work outside of coroutines, too", function()
        assert.same({ true, 1, 2 }, { evsock.pcall(function(...) return ... end, 1, 2) })
        assert.is_false((evsock.pcall(error, "x")))
        assert.same({ false, "y?" }, { evsock.xpcall(function(a) error(a, 0) end, function(problem)
            return problem .. "?"
        end, "y") })
    end)
end)
