-- The scheduler: which task goes on, at an event of what it waits on or when it is ready.
--
-- Not here: what a task waits for (`wait.lua`, `socket_waits.lua`), which events there are
-- (`native.rs` calls `wake` after each). Invariants: a task goes on only by `wake` and
-- `run_ready_task`, so never inside the call that caused the event; its waiter is dequeued before;
-- data is taken for a task only in the moment in which it goes on.

local native, _, _, core, inner = ...

local status = coroutine.status
local waiters_of, task_of_timer = inner.waiters.of_object, inner.waiters.task_of_timer
local dequeue, is_enqueued, is_time_up =
    inner.waiters.dequeue, inner.waiters.is_enqueued, inner.waiters.is_time_up
local end_timeout = inner.waiters.end_timeout
local all_alive, keys_of = inner.tasks.all_alive, inner.tasks.keys_of
local ready_queue = inner.tasks.ready_queue
local make_ready = inner.tasks.make_ready
local resume_task, ran_elsewhere = inner.tasks.resume, inner.tasks.ran_elsewhere

-- Whether the task of the waiter may go on. The check takes the answer, so the thread must live.
local function is_due(waiter)
    return not ran_elsewhere(waiter.task) and waiter:check()
end

-- For a task that waits for nothing.
local function resume_if_suspended(task)
    if status(task.thread) == "suspended" then
        return resume_task(task)
    end
    ran_elsewhere(task)
    return false
end

-- The wait is over: its task, whose thread must live, goes on.
local function end_wait(waiter)
    local task = waiter.task
    dequeue(waiter)
    waiter.done = true
    task.waiter = false
    end_timeout(task)
    return resume_task(task)
end

-- Called after the handlers of an event on `object`. `later`: tasks become ready, none runs now.
-- A check hears of that: its second argument, nil when no event is behind it, says whether its
-- task can only become ready.
local function wake(object, later)
    local owner = task_of_timer[object]
    if owner then
        local is_up, message, code = is_time_up(owner)
        local waiter = owner.waiter
        if is_up == false or not waiter then
            return false
        elseif is_up == nil then
            waiter.a, waiter.b, waiter.c, waiter.answered = nil, message, code, true
        end
        waiter.timed_out = true
        -- What the task waits for may have come in the same moment: then there is no timeout.
        if not is_due(waiter) and owner.done then
            return false
        end
        return end_wait(waiter)
    end
    local waiters = waiters_of[object]
    if not waiters then
        return false
    end
    local now
    local place = 1
    -- Whoever came first goes on first. The list may shrink: writing may run finalisers.
    while place <= #waiters do
        local waiter = waiters[place]
        local task = waiter.task
        local is_gone = task and ran_elsewhere(task)
        -- One that is gone has left the list, and the next has its place.
        place = is_gone and place or place + 1
        if not is_gone and waiter:check(waiters.reader or now or later or false) then
            -- The waiter behind a stand, or before an usher.
            waiter = waiter.of or waiter
            task = waiter.task
            if not task then
                waiter.done = true
            elseif waiters.reader or now or later then
                make_ready(task)
            else
                now = waiter
            end
        end
    end
    local reader = waiters.reader
    if reader then
        if not reader.task then
            reader.was_woken = true
        elseif later then
            make_ready(reader.task)
        elseif is_due(reader) then
            now = reader
        end
    end
    if now then
        return end_wait(now)
    end
    return false
end

-- After a lack of memory: if nothing would wake the task, it is made ready.
local function recheck_task(task)
    if task.in_ready_queue or ran_elsewhere(task) or task.done
        or status(task.thread) ~= "suspended" then
        return
    end
    local waiter = task.waiter
    if waiter and task.deadline and not core.timer.active(task.timeout_timer)
        and is_time_up(task) ~= false then
        waiter.timed_out = true
    end
    if waiter and not (waiter.done or waiter.timed_out or waiter.joins and waiter.joins.done) then
        if is_enqueued(waiter) and (task.deadline or not waiter.timeout) then
            return
        end
        -- Its wait is not recorded any more: resumed, it will find that and wait again.
        task.waiter = false
    end
    make_ready(task)
end

-- After a lack of memory some tasks may not have been woken.
local function recheck_all()
    for _, task in ipairs(all_alive()) do
        recheck_task(task)
    end
    for _, object in ipairs(keys_of(waiters_of)) do
        wake(object, true)
    end
    -- The call for some of these may have failed; one call too many does nothing.
    for _ = ready_queue.first, ready_queue.last do
        native.task_ready()
    end
end

-- Runs the task that has been ready for the longest time. `missed`: after a lack of memory some may
-- not have been woken.
local function run_ready_task(missed)
    if missed then
        recheck_all()
    end
    if ready_queue.first > ready_queue.last then
        -- There was a call without a task: something has closed without an event.
        for _, object in ipairs(keys_of(waiters_of)) do
            if native.kind(object) ~= "socket" or native.state(object) == "closed" then
                wake(object, true)
            end
        end
        return false
    end
    local first = ready_queue.first
    local task = ready_queue[first]
    ready_queue[first] = nil
    ready_queue.first = first + 1
    task.in_ready_queue = false
    if task.unhandled_error then
        local problem = task.unhandled_error
        task.unhandled_error = nil
        return true, task, problem
    elseif task.done then
        return false
    end
    local waiter = task.waiter
    if not waiter then
        return resume_if_suspended(task)
    elseif not ran_elsewhere(task) and (waiter.done or waiter:check() or waiter.timed_out) then
        return end_wait(waiter)
    end
    return false
end

-- By way of these the native side keeps the tasks that are alive, too.
inner.scheduler = { wake = wake, run_ready_task = run_ready_task }
