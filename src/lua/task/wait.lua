-- How a wait goes: inside a task it suspends the task, elsewhere it pumps. Also the waits for time
-- (`sleep`) and for a task (`join`).
--
-- Not here: waits for a socket (`socket_waits.lua`). Invariant: a waiter is enqueued only after the
-- yield has worked, and is dequeued when the wait is over.

local native, checks, _, _, inner = ...

local raise, wait_now, left_until = native.raise, native.wait_now, native.left_until
local unpack = table.unpack or unpack
local running, yield, status = coroutine.running, coroutine.yield, coroutine.status
local depth = native.depth
local enqueue, dequeue = inner.waiters.enqueue, inner.waiters.dequeue
local Task, WAITS, tasks = inner.tasks.Task, inner.tasks.WAITS, inner.tasks.by_thread
local current, expect_task, finish =
    inner.tasks.current, inner.tasks.expect, inner.tasks.finish
local give_up_wait, waiter_in, mark_canceled =
    inner.tasks.give_up_wait, inner.tasks.waiter_in, inner.tasks.mark_canceled
local ran_elsewhere = inner.tasks.ran_elsewhere

-- Longer than any wait; every event ends it.
local LONG = 1e6

local function seconds_or_nil(value, call)
    if value ~= nil and not (checks.is_seconds(value) or value == math.huge) then
        checks.bad("argument", "timeout", call, "seconds of at least 0, or nil", value)
    end
    return value ~= math.huge and value or nil
end

-- The waits that pump now, each inside of the one before: only the last can end.
local pumping = {}

-- Pumps until the waiter is done or its time is up.
local function pump_for(waiter, timeout)
    local deadline = timeout and wait_now() + timeout
    while true do
        local left = deadline and left_until(deadline) or LONG
        local handled, message, code = native.pump(left)
        -- The check takes the answer; after the pump, since an error in a handler would lose it.
        if waiter.done or waiter.was_woken and waiter:check() then
            return
        elseif not handled then
            waiter.a, waiter.b, waiter.c, waiter.done = nil, message, code, true
            return
        elseif deadline and left_until(deadline) == 0 then
            waiter.timed_out = true
            waiter:check()
            return
        end
    end
end

-- Suspends the running task until its waiter is done. If the script itself resumes the thread, the
-- wait goes on.
local function suspend(waiter)
    repeat
        yield(WAITS, waiter)
    until waiter.done or not waiter.task and waiter:check()
end

-- The same for the thread of a coroutine's resumer: `suspend` runs in the coroutine.
local function pass_on(waiter)
    yield(WAITS, waiter)
end

-- From 5.4 on the script may close a thread during the wait. Then the guard is closed, too; that
-- the task still has the waiter shows that the wait was not over.
if coroutine.close then
    local guard = setmetatable({}, {
        __close = function()
            local thread = running()
            local task, waiter = tasks[thread], waiter_in[thread]
            if task and task.thread == thread and task.waiter then
                mark_canceled(task)
                finish(task)
            elseif waiter and waiter.task and waiter.task.waiter == waiter then
                give_up_wait(waiter.task)
            end
        end,
    })
    local guarded = load([[
        local guard = ...
        return function(call)
            return function(waiter)
                local guard <close> = guard
                call(waiter)
            end
        end
    ]], "@evsock/task/wait.lua")(guard)
    suspend, pass_on = guarded(suspend), guarded(pass_on)
end

local function answer_of(waiter)
    if waiter.c == nil then
        return waiter.a
    elseif waiter.d == nil then
        return waiter.a, waiter.b, waiter.c
    end
    return waiter.a, waiter.b, waiter.c, waiter.d
end

local function pump_in_place(waiter, timeout)
    native.check_depth(waiter.call)
    enqueue(waiter)
    pumping[#pumping + 1] = waiter
    local ok, problem = pcall(pump_for, waiter, timeout)
    pumping[#pumping] = nil
    dequeue(waiter)
    if not ok then
        -- The message has the position and the traceback already.
        error(problem, 0)
    end
end

-- Waits until the check of a waiter holds that did not hold just now; the waiter has the answer
-- then.
local function stay(waiter, timeout)
    local thread = running()
    local task = tasks[thread]
    waiter.answered, waiter.done, waiter.timed_out = false, false, false
    if task and task.depth == depth() then
        if task.cancel_requested then
            yield(WAITS)
        end
        waiter.pumps, waiter.timeout, waiter.is_nested = false, timeout, task.thread ~= thread
        -- It is enqueued after the yield: inside of a callback of C the yield raises.
        suspend(waiter)
    else
        waiter.pumps, waiter.was_woken = true, false
        pump_in_place(waiter, timeout)
    end
    if waiter.timed_out and not waiter.answered then
        waiter:expire()
    end
end

-- Waits until the check of the waiter holds, or for `timeout` seconds. Returns the answer.
local function wait_for(waiter, timeout)
    local task = current()
    if task and task.cancel_requested then
        yield(WAITS)
    end
    -- The fields exist from here on: to set them later, when data was taken, needs no memory.
    waiter.a, waiter.answered, waiter.done, waiter.timed_out, waiter.was_woken, waiter.pumps =
        false, false, false, false, false, not task
    if waiter:check() then
        return answer_of(waiter)
    end
    stay(waiter, timeout)
    return answer_of(waiter)
end

local function answer(waiter, a, b, c, d)
    if b ~= nil or c ~= nil then
        waiter.b, waiter.c, waiter.d = b, c, d
    end
    waiter.a, waiter.answered = a, true
    return true
end

-- For time and for a task ------------------------------------------------------------------------

local function slept()
    return false
end

local function wake_up(waiter)
    answer(waiter, true)
end

function inner.sleep(seconds)
    checks.seconds_of(seconds, "sleep")
    if inner.move_clock and not current() then
        -- A test holds the clock, and nobody else could move it meanwhile.
        return inner.move_clock(seconds)
    end
    return wait_for({ call = "sleep", check = slept, expire = wake_up }, seconds)
end

local function joined(waiter)
    local task = waiter.joins
    if not task.done then
        return false
    elseif task.was_canceled then
        return answer(waiter, nil, "join: the task was canceled", "ECANCELED")
    elseif not task.ok then
        return answer(waiter, nil, task.problem, "ETASK")
    end
    return answer(waiter, true)
end

local function not_joined(waiter)
    answer(waiter, nil, "join: timed out", "ETIMEDOUT")
end

local function with_values(task, ok, ...)
    if ok then
        return true, unpack(task.values, 1, task.count)
    end
    return ok, ...
end

function Task.join(task, timeout)
    expect_task(task, "join")
    timeout = seconds_or_nil(timeout, "join")
    -- Inside of handlers that its own pump has called, or of a coroutine of its own, too: it can't
    -- end before they do.
    local caller = current()
    local can_end = caller or task.done or ran_elsewhere(task) or status(task.thread) == "suspended"
    if caller == task or not can_end then
        raise("a task can't join itself")
    end
    task.joiners = not task.done and (task.joiners or {}) or nil
    local waiter = { call = "join", joins = task, check = joined, expire = not_joined }
    wait_for(waiter, timeout)
    if not waiter.answered then
        joined(waiter)
    end
    return with_values(task, answer_of(waiter))
end

inner.pass_on, inner.pumping = pass_on, pumping
inner.answer, inner.wait_for, inner.seconds_or_nil = answer, wait_for, seconds_or_nil
inner.stay = stay
