-- How tasks wait for each other: conditions and queues.

local helper = require "spec.helper"
local evsock = helper.evsock

local spawn, finished = helper.spawn, helper.finished

-- Tasks that wait for what `wait` does, and the order in which they went on.
local function waiting(count, wait)
    local order, tasks = {}, {}
    for place = 1, count do
        tasks[place] = spawn(function()
            local answer = wait(place)
            order[#order + 1] = answer == true and place or answer
        end)
    end
    evsock.pump()
    return order, tasks
end

describe("a condition", function()
    after_each(helper.finish)

    it("lets those go on that have waited longest, as many as are signaled", function()
        local condition = evsock.condition()
        local order, tasks = waiting(4, function() return condition:wait() end)
        assert.equal(1, condition:signal())
        finished(tasks[1])
        assert.same({ 1 }, order)
        assert.equal(2, condition:signal(2))
        finished(tasks[2], tasks[3])
        assert.equal(1, condition:broadcast())
        finished(tasks[4])
        assert.same({ 1, 2, 3, 4 }, order)
        assert.equal(0, condition:signal())
    end)

    it("forgets a signal for which nobody waits, and times out", function()
        local condition = evsock.condition()
        condition:broadcast()
        assert.same({ nil, "wait: timed out", "ETIMEDOUT" }, { condition:wait(0.001) })
        local task = spawn(function() return condition:wait(0.001) end)
        finished(task)
        assert.same({ true, nil, "wait: timed out", "ETIMEDOUT" }, { task:join() })
    end)

    it("passes on the signal of a task that was canceled before it went on", function()
        local condition = evsock.condition()
        local order, tasks = waiting(2, function() return condition:wait() end)
        condition:signal()
        tasks[1]:cancel()
        finished(tasks[2])
        assert.same({ 2 }, order)
    end)

    it("ends a wait outside of tasks when it is signaled, not when its time is up", function()
        local condition, begun = evsock.condition(), evsock.now()
        evsock.after(0.001, function() condition:signal() end)
        assert.is_true(condition:wait(60 * helper.slow))
        assert.is_true(evsock.now() - begun < 30 * helper.slow)
    end)

    it("is for the innermost of waits that pump inside of each other", function()
        local condition, order = evsock.condition(), {}
        evsock.after(0.001, function()
            order[#order + 1] = condition:wait(60) and "inner"
            evsock.after(0.001, function() condition:signal() end)
        end)
        evsock.after(0.02, function() condition:signal() end)
        assert.is_true(condition:wait(60))
        order[#order + 1] = "outer"
        assert.same({ "inner", "outer" }, order)
    end)

    it("is for a task rather than for a wait that cannot end before another", function()
        local condition, order = evsock.condition(), {}
        evsock.after(0.001, function()
            local task = spawn(function()
                order[#order + 1] = condition:wait() and "task"
            end)
            evsock.after(0.001, function() condition:signal() end)
            task:join(60)
            evsock.after(0.001, function() condition:signal() end)
        end)
        assert.is_true(condition:wait(60))
        assert.same({ "task" }, order)
    end)

    it("refuses what is none, and times and counts that are none", function()
        local condition = evsock.condition()
        helper.raises("wait", function() condition.wait() end)
        helper.raises("timeout", function() condition:wait("soon") end)
        helper.raises("'n' to 'signal'", function() condition:signal(-1) end)
        helper.raises("condition", function() condition.wait(evsock.queue()) end)
        helper.raises("a condition has no field 'on_signal'", function()
            condition.on_signal = print
        end)
    end)
end)

describe("a queue", function()
    after_each(helper.finish)

    it("hands values on in order, false too, and says how many there are", function()
        local queue = evsock.queue()
        for _, value in ipairs { "a", false, 3 } do
            assert.is_true(queue:push(value))
        end
        assert.equal(3, #queue)
        assert.equal("a", (queue:pop()))
        assert.is_false((queue:pop()))
        assert.equal(3, (queue:pop()))
        assert.equal(0, #queue)
    end)

    it("gives each value to one task, whoever has waited longest first", function()
        local queue = evsock.queue()
        local order, tasks = waiting(3, function(place) return place .. queue:pop() end)
        queue:push "a"
        queue:push "b"
        -- Those who wait come before this.
        assert.same({ nil, "pop: timed out", "ETIMEDOUT" }, { queue:pop(0) })
        queue:push "c"
        finished(tasks[1], tasks[2], tasks[3])
        assert.same({ "1a", "2b", "3c" }, order)
    end)

    it("holds at most its limit: who pushes more waits until there is room", function()
        local queue = evsock.queue(2)
        queue:push(1)
        queue:push(2)
        assert.same({ nil, "push: timed out", "ETIMEDOUT" }, { queue:push(3, 0.001) })
        local order, tasks = waiting(2, function(place) return queue:push(place + 2) end)
        assert.equal(1, (queue:pop()))
        finished(tasks[1])
        assert.same({ 1 }, order)
        assert.equal(2, #queue)
        for value = 2, 4 do
            assert.equal(value, (queue:pop(5)))
        end
        finished(tasks[2])
    end)

    it("loses no value with a task that is canceled or comes too late", function()
        local queue = evsock.queue()
        local order, tasks = waiting(3, function(place)
            return queue:pop(place == 2 and 0.001 or nil) and place
        end)
        queue:push "value"
        tasks[1]:cancel()
        finished(tasks[2])
        queue:push "other"
        finished(tasks[3])
        assert.equal(0, #queue)
        assert.same({ 2, 3 }, order)
    end)

    it("ends a wait outside of tasks when a value comes, not when its time is up", function()
        local queue, begun = evsock.queue(), evsock.now()
        evsock.after(0.001, function() queue:push "value" end)
        assert.equal("value", (queue:pop(60 * helper.slow)))
        assert.is_true(evsock.now() - begun < 30 * helper.slow)
    end)

    it("gives its value to the innermost of waits that pump inside of each other", function()
        local queue, inner = evsock.queue(), nil
        evsock.after(0.001, function()
            inner = queue:pop(60)
            queue:push "second"
        end)
        evsock.after(0.02, function() queue:push "first" end)
        assert.equal("second", (queue:pop(60)))
        assert.equal("first", inner)
    end)

    it("tells those who came after its close, too, that its last value is gone", function()
        local queue = evsock.queue()
        local order, tasks = waiting(1, function() return (queue:pop()) end)
        local late = spawn(function() return queue:pop() end)
        queue:push "last"
        queue:close()
        finished(tasks[1], late)
        assert.same({ "last" }, order)
        assert.same({ true, nil, "pop: the queue is closed", "ECLOSED" }, { late:join() })
    end)

    it("is collected although it holds what refers to it", function()
        local gone = setmetatable({}, { __mode = "k" })
        for _ = 1, 10 do
            local queue = evsock.queue()
            queue:push { reply = queue }
            gone[queue] = true
        end
        helper.collect()
        assert.is_nil(next(gone))
    end)

    it("is closed for those who push and, once it is empty, for those who pop", function()
        local queue = evsock.queue(1)
        queue:push "last"
        local order, tasks = waiting(1, function() return select(2, queue:push "more") end)
        queue:close()
        finished(tasks[1])
        assert.same({ "push: the queue is closed" }, order)
        assert.same({ nil, "push: the queue is closed", "ECLOSED" }, { queue:push "late" })
        assert.equal("last", (queue:pop()))
        assert.same({ nil, "pop: the queue is closed", "ECLOSED" }, { queue:pop() })
    end)

    it("refuses nil, limits that are none, and what is no queue", function()
        local queue = evsock.queue()
        helper.raises("bad argument 'value' to 'push' (anything but nil expected, got nil)",
            function() queue:push(nil) end)
        helper.raises("'limit' to 'queue'", function() evsock.queue(0) end)
        helper.raises("pop", function() queue.pop() end)
    end)

    it("carries what many make to many who take it, each value once", function()
        local queue, sum, tasks = evsock.queue(3), 0, {}
        for place = 1, 20 do
            tasks[#tasks + 1] = spawn(function()
                for value = 1, 10 do
                    queue:push(value)
                    if value % 3 == place % 3 then
                        evsock.sleep(0.0001)
                    end
                end
            end)
            tasks[#tasks + 1] = spawn(function()
                for _ = 1, 10 do
                    local value = queue:pop()
                    sum = sum + value
                end
            end)
        end
        finished((table.unpack or unpack)(tasks))
        assert.equal(20 * 55, sum)
        assert.equal(0, #queue)
    end)
end)
