-- The queues of those that wait, by socket or by the task they join, and the timers of tasks.
--
-- Not here: coroutines (`task.lua`), what a wait is for (`wait.lua`, `socket_waits.lua`).
-- Invariants: a waiter is in exactly one queue (that of its socket, the joiners of a task, a list
-- of others, or none while it only sleeps), unless it has stands (`stands.lua`), which are each in
-- one; one waiter at most takes data of a socket.

local native, _, _, core, inner = ...

local now, set_watched = native.now, native.watch
-- Its first place is taken while a test moves the clock.
local clocked = inner.clocked

-- A waiter has: `check(waiter)`, which says whether the wait is over and leaves the answer in
-- `a b c d`; `sock` and `reads`, or `joins` (a task), or `list` (of a condition or a queue) and
-- `on_leave`, or `stands`, or none of them, if it only sleeps; `task`, unless it pumps; `closes`,
-- how often its socket had closed when the connection that it waits on began.

-- Socket, or another object with events, to its waiters: `reader`, which takes data, and the others
-- in a list.
local waiters_of = {}
-- The timer of a timeout to its task.
local task_of_timer = setmetatable({}, { __mode = "k" })

-- The table of an object's waiters that was needed last, which is empty, for the next: a dialogue
-- waits, goes on and waits again.
local spare

-- The waiters of an object, from now on woken by its events.
local function watch(object)
    local waiters = waiters_of[object]
    if not waiters then
        waiters, spare = spare or {}, nil
        set_watched(object, true)
        waiters_of[object] = waiters
    end
    return waiters
end

local function unwatch_if_free(object, waiters)
    if not waiters.reader and #waiters == 0 then
        waiters_of[object], spare = nil, waiters
        set_watched(object, false)
    end
end

local function enqueue_elsewhere(waiter)
    if waiter.list then
        waiter.list[#waiter.list + 1] = waiter
    elseif waiter.stands then
        waiter:take_stands()
    elseif waiter.joins then
        local joiners = waiter.joins.joiners
        joiners[#joiners + 1] = waiter
    end
end

local function enqueue(waiter)
    local sock = waiter.sock
    if not sock then
        return enqueue_elsewhere(waiter)
    end
    local waiters = watch(sock)
    if waiter.reads then
        waiters.reader = waiter
        waiter.enqueued = true
        if waiter.takes_all then
            waiter:check()
        end
    else
        waiters[#waiters + 1] = waiter
    end
end

local function remove(list, waiter)
    for place = 1, #list do
        if list[place] == waiter then
            table.remove(list, place)
            return
        end
    end
end

local function dequeue_elsewhere(waiter)
    if waiter.list then
        remove(waiter.list, waiter)
        waiter:on_leave()
    elseif waiter.stands then
        waiter:leave_stands()
    elseif waiter.joins then
        remove(waiter.joins.joiners or {}, waiter)
    end
end

local function dequeue(waiter)
    local sock = waiter.sock
    if not sock then
        return dequeue_elsewhere(waiter)
    end
    local waiters = waiters_of[sock]
    if not waiters then
        return
    elseif waiters.reader == waiter then
        waiters.reader = nil
    else
        remove(waiters, waiter)
    end
    unwatch_if_free(sock, waiters)
    if waiter.parts then
        -- These were taken for an answer that is not given.
        native.unread(sock, table.concat(waiter.parts))
        waiter.parts = nil
    end
end

local TimeoutTimer = core.class { name = "evsock.TaskTimer", kind = "timer", anchor = "object" }

-- Most waits end long before their time, and many follow one another. So a wait that ends leaves
-- the timer as it is; when it fires, what counts is the deadline of then. Only while a test moves
-- the clock is it canceled, for the clock would leap to it. `deadline`: when the present wait of a
-- task is over; `fires`: when its timer fires; false if there is none. One that is past belongs to
-- an event that was dropped.

-- Arms the timer of a task anew.
local function arm(task, seconds, fires)
    local timer = task.timeout_timer
    if not timer then
        timer = TimeoutTimer.new()
        task_of_timer[timer] = task
        native.background(timer)
        native.watch(timer, true)
        task.timeout_timer = timer
    end
    task.fires = false
    local ok, message, code = core.timer.start(timer, seconds, false)
    task.fires = ok and fires
    return ok, message, code
end

local function start_timeout(task, seconds)
    local moment, fires = now(), task.fires
    local deadline = moment + seconds
    if not fires or fires > deadline or fires <= moment then
        local ok, message, code = arm(task, seconds, deadline)
        if not ok then
            return nil, message, code
        end
    end
    task.deadline = deadline
    return true
end

local function disarm(task)
    if task.fires then
        task.fires = false
        core.timer.cancel(task.timeout_timer)
    end
end

local function end_timeout(task)
    task.deadline = false
    if clocked[1] then
        disarm(task)
    end
end

-- The timer has fired. Returns whether the task's time is up; or nil, message and code if the timer
-- can't be armed for the rest.
local function is_time_up(task)
    task.fires = false
    local deadline = task.deadline
    local left = deadline and deadline - now()
    if not deadline then
        return false
    elseif left > 0 then
        local ok, message, code = arm(task, left, deadline)
        if ok then
            return false
        end
        task.deadline = false
        return nil, message, code
    end
    task.deadline = false
    return true
end

-- A task that is over has no timer any more.
local function drop_timer(task)
    local timer = task.timeout_timer
    if timer then
        task_of_timer[timer], task.deadline = nil, false
        disarm(task)
        task.timeout_timer = nil
    end
end

-- Whether the waiter is in its queue.
local function is_enqueued(waiter)
    if waiter.stands then
        return waiter:has_stands()
    end
    local list = waiter.list or waiter.sock and waiters_of[waiter.sock]
        or waiter.joins and waiter.joins.joiners or {}
    local found = list.reader == waiter
    for place = 1, #list do
        found = found or list[place] == waiter
    end
    return found or not (waiter.list or waiter.sock or waiter.joins)
end

-- How `wait_any` sees whether an object is ready, by its kind: `function(object, event)` returns a
-- function that says so, or nil and which events there are. Such an object has events of its own,
-- after which that is asked.
inner.waitable = {}

inner.waiters = {
    dequeue = dequeue,
    disarm = disarm,
    drop_timer = drop_timer,
    end_timeout = end_timeout,
    enqueue = enqueue,
    is_enqueued = is_enqueued,
    is_time_up = is_time_up,
    of_object = waiters_of,
    remove = remove,
    start_timeout = start_timeout,
    task_of_timer = task_of_timer,
    unwatch_if_free = unwatch_if_free,
    watch = watch,
}
