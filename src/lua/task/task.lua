-- Tasks: what a task is, and its life from `spawn` to its end.
--
-- Not here: when a task goes on (`scheduler.lua`), what it may wait for (`wait.lua`,
-- `socket_waits.lua`). Invariant: a task is resumed only by `resume_task`.

local native, checks, _, _, inner = ...

local raise, depth = native.raise, native.depth
local unpack = table.unpack or unpack
local running, create, resume, status =
    coroutine.running, coroutine.create, coroutine.resume, coroutine.status
-- From 5.4 on the variables of a task that is canceled are closed.
local close_thread = coroutine.close
local enqueue, dequeue = inner.waiters.enqueue, inner.waiters.dequeue
local start_timeout, drop_timer = inner.waiters.start_timeout, inner.waiters.drop_timer
local end_timeout = inner.waiters.end_timeout

-- Thread to task.
local tasks = setmetatable({}, { __mode = "k" })
-- Every task that is not over, so that one that nobody refers to still goes on; since when.
local alive = {}
-- Tasks that are ready to go on, in order, from place `first` to place `last`.
local ready_queue = { first = 1, last = 0 }
-- What a waiting call yields, with its waiter, which a `yield` of the script does not.
local WAITS = {}
-- Thread of a coroutine of the script's own in which a task waits, to the waiter.
local waiter_in = setmetatable({}, { __mode = "k" })
-- How many tasks run now, each inside of the one before, and in how many coroutines of the script's
-- own tasks wait. The second may be too high, for some of them end without a word.
local counts = { running = 0, waiting = 0 }
-- Its first place is taken while one of these is not 0.
local busy = { true }
busy[1] = nil

local function leave(name)
    counts[name] = counts[name] - 1
    if counts.running + counts.waiting == 0 then
        busy[1] = nil
    end
end

-- The keys of a table as a list. What is done with each may run finalisers, which change the table,
-- and a loop of `pairs` does not stand that. Nothing is allocated while the table is gone through:
-- the places are made before, as often as there turn out to be too few.
local function keys_of(set)
    local list, room = {}, 0
    while true do
        local count = 0
        for key in pairs(set) do
            count = count + 1
            if count <= room then
                list[count] = key
            end
        end
        for place = count + 1, room do
            list[place] = nil
        end
        if count <= room then
            return list
        end
        for place = room + 1, count do
            list[place] = false
        end
        room = count
    end
end

-- Every task that is not over now; some may end before their turn comes.
local function all_alive()
    return keys_of(alive)
end

local Task = {}
local metatable = { __name = "evsock.Task", __type = "evsock.Task", __index = Task }

local function is_task(value)
    return type(value) == "table" and getmetatable(value) == metatable
end

local function expect_task(task, call)
    if not is_task(task) then
        native.misuse(task, "task", call)
    end
end

-- A task has the fields that waiting sets from the beginning, so those do not come by here.
function metatable.__newindex(task, name, value)
    if type(name) == "string" and name:sub(1, 3) == "on_" then
        raise("unknown handler " .. checks.named(name)
            .. " of evsock.Task (a task has none; 'join' waits for its end)")
    end
    rawset(task, name, value)
end

function metatable.__tostring(task)
    expect_task(task, "__tostring")
    return "evsock.Task: " .. (task.done and "over" or task.waiter and "waiting" or "ready")
end

local function make_ready(task)
    if task.in_ready_queue then
        return
    end
    -- This comes first: if there is no memory for it, nothing has changed.
    ready_queue[ready_queue.last + 1] = task
    ready_queue.last = ready_queue.last + 1
    task.in_ready_queue = true
    native.task_ready()
end

-- The running task, if a waiting call can suspend it: not inside a handler that a pump of this
-- very task has called.
local function current()
    local thread = running()
    local task = thread and tasks[thread]
    if task and task.depth == depth() then
        return task
    end
end

local function finish(task)
    task.done = true
    alive[task] = nil
    tasks[task.thread] = nil
    task.thread = nil
    native.count_task(false)
    if inner.ended then
        inner.ended(task)
    end
    local joiners = task.joiners
    task.joiners = nil
    for _, waiter in ipairs(joiners or {}) do
        waiter.done = true
        if waiter.of then
            waiter.of.was_woken = true
        end
        if waiter.task then
            make_ready(waiter.task)
        end
    end
    drop_timer(task)
    return joiners and #joiners > 0
end

-- How it runs -------------------------------------------------------------------------------------

-- From now on the task waits.
local function block(task, waiter)
    waiter.task = task
    task.waiter = waiter
    if waiter.timeout and not task.deadline then
        local ok, message, code = start_timeout(task, waiter.timeout)
        if not ok then
            waiter.a, waiter.b, waiter.c, waiter.answered = nil, message, code, true
            waiter.done = true
            make_ready(task)
            return
        end
    end
    enqueue(waiter)
end

-- Called when the thread of a task has yielded or is over. Returns true; after an error that no
-- other task joins for also the task and the error.
local function after_resume(task, thread, ok, ...)
    local others = counts.running - 1
    counts.running = others
    if others == 0 and counts.waiting == 0 then
        busy[1] = nil
    end
    if status(thread) ~= "dead" then
        local sign, waiter = ...
        if task.cancel_requested then
            task.cancel_requested = nil
            task:cancel()
        elseif sign ~= WAITS then
            -- The script has called `yield` itself: the task goes on behind those that are ready.
            make_ready(task)
        elseif task.waiter ~= waiter then
            block(task, waiter)
        end
        return true
    end
    task.ok = ok
    if ok then
        task.values, task.count = { ... }, select("#", ...)
        finish(task)
        return true
    end
    local problem = (...)
    if type(problem) == "string" and not problem:find("\nstack traceback:\n", 1, true) then
        problem = debug.traceback(thread, problem)
    end
    task.problem = problem
    if not finish(task) then
        return true, task, problem
    end
    return true
end

-- Whoever resumes the coroutine that waits lets it go on: its task does not wait any more.
local function call_off(waiter)
    waiter.a, waiter.b, waiter.c = nil, waiter.call .. ": the wait was canceled", "ECANCELED"
    waiter.answered, waiter.done = true, true
end

-- The task will not go on: it waits for nothing any more, and joining it says so.
local function mark_canceled(task)
    local waiter = task.waiter
    if waiter then
        task.waiter = false
        dequeue(waiter)
        if waiter.is_nested then
            call_off(waiter)
        end
    end
    end_timeout(task)
    task.ok, task.was_canceled = false, true
    -- While its variables are closed they may call what waits: that must not suspend it.
    task.depth = nil
end

-- A coroutine of the task's own was closed while the task waited in it: the task goes on and finds
-- that out.
local function give_up_wait(task)
    local waiter = task.waiter
    task.waiter = false
    dequeue(waiter)
    end_timeout(task)
    call_off(waiter)
    make_ready(task)
end

-- Whether the script itself has resumed the thread of a task until it was over: then its results
-- went to the script. The task counts as canceled.
local function ran_elsewhere(task)
    if task.done or status(task.thread) ~= "dead" then
        return false
    end
    mark_canceled(task)
    finish(task)
    return true
end

local function begin(task, thread, ...)
    task.arguments = nil
    return resume(thread, ...)
end

-- Runs a task that is suspended until it waits or is over.
local function resume_task(task)
    local thread, arguments = task.thread, task.arguments
    task.depth = depth()
    counts.running, busy[1] = counts.running + 1, true
    if arguments then
        return after_resume(task, thread, begin(task, thread, unpack(arguments, 1, task.count)))
    end
    return after_resume(task, thread, resume(thread))
end

-- For scripts ------------------------------------------------------------------------------------

function inner.spawn(fn, ...)
    checks.function_of(fn, "fn", "spawn")
    -- 5.1 makes threads of Lua functions only.
    local ok, thread = pcall(create, fn)
    if not ok then
        thread = create(function(...)
            return fn(...)
        end)
    end
    local task = setmetatable({
        done = false, thread = thread, arguments = { ... }, count = select("#", ...),
        waiter = false, in_ready_queue = false, deadline = false, fires = false, depth = false,
    }, metatable)
    tasks[thread] = task
    alive[task] = native.count_task(true)
    make_ready(task)
    if inner.made then
        inner.made(task)
    end
    return task
end

-- Returns whether the task was not over yet.
function Task.cancel(task)
    expect_task(task, "cancel")
    if task.done then
        return false
    end
    local thread = task.thread
    if status(thread) == "running" or status(thread) == "normal" then
        -- It ends with its next wait.
        task.cancel_requested = true
        return true
    end
    mark_canceled(task)
    local closed, problem = true, nil
    -- The error of a thread that is dead went to who resumed it.
    if close_thread and status(thread) ~= "dead" then
        closed, problem = close_thread(thread)
    end
    if not finish(task) and not closed then
        task.unhandled_error = problem
        make_ready(task)
    end
    return true
end
metatable.__close = Task.cancel

inner.tasks = {
    Task = Task,
    WAITS = WAITS,
    alive = alive,
    all_alive = all_alive,
    by_thread = tasks,
    call_off = call_off,
    busy = busy,
    counts = counts,
    current = current,
    expect = expect_task,
    finish = finish,
    leave = leave,
    give_up_wait = give_up_wait,
    is_task = is_task,
    keys_of = keys_of,
    waiter_in = waiter_in,
    make_ready = make_ready,
    mark_canceled = mark_canceled,
    ran_elsewhere = ran_elsewhere,
    ready_queue = ready_queue,
    resume = resume_task,
}
