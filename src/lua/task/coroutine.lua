-- Coroutines of a script's own inside of tasks: a waiting call in one suspends the whole task.
--
-- Not here: tasks (`task.lua`). `resume` notes that a thread runs for a task; what a waiting call
-- yields there is passed upward, thread by thread, to the task's own, and each goes on when the
-- task does. Every other yield stays with whoever resumed. Invariants: a thread is known as a
-- task's only while it runs for it, and as lent while the task waits in it.

local native, checks, _, _, inner = ...

local plain, call, call_with = inner.plain, inner.plain.pcall, inner.plain.xpcall
local create, resume, running, status, yield =
    plain.create, plain.resume, plain.running, plain.status, plain.yield
local by_thread, current = inner.tasks.by_thread, inner.tasks.current
local busy, counts, leave = inner.tasks.busy, inner.tasks.counts, inner.tasks.leave
local WAITS, waiter_in, pass_on = inner.tasks.WAITS, inner.tasks.waiter_in, inner.pass_on
-- 5.1 and 5.2 cannot say it; there a wait inside of a callback of C raises.
local can_yield = plain.isyieldable or function()
    return true
end

local own = {}
for name, fn in pairs(plain) do
    own[name] = name ~= "pcall" and name ~= "xpcall" and fn or nil
end

-- Whether a task waits in the thread: for everybody else it is busy.
local function is_busy(thread)
    local waiter = waiter_in[thread]
    local task = waiter and waiter.task
    return task and task.waiter == waiter
end

-- A thread has come back to the task.
local function passed(thread, ok, sign, waiter, ...)
    by_thread[thread] = nil
    if not ok or sign ~= WAITS then
        return ok, sign, waiter, ...
    end
    waiter_in[thread] = waiter
    counts.waiting, busy[1] = counts.waiting + 1, true
    pass_on(waiter)
    waiter_in[thread] = nil
    leave("waiting")
    by_thread[thread] = by_thread[running()]
    return passed(thread, resume(thread))
end

local function expect_thread(thread, name)
    if type(thread) ~= "thread" then
        checks.bad("argument", "co", name, "coroutine", thread)
    end
end

local function resume_within(thread, ...)
    expect_thread(thread, "resume")
    if is_busy(thread) then
        return false, "cannot resume non-suspended coroutine"
    end
    local task = counts.running > 0 and can_yield() and current()
    if not task then
        if counts.running == 0 and next(waiter_in) == nil then
            counts.waiting, busy[1] = 0, nil
        end
        return resume(thread, ...)
    end
    by_thread[thread] = task
    return passed(thread, resume(thread, ...))
end

-- Outside of tasks it costs what Lua's costs, and one call more on 5.1, which cannot do it natively
-- and where to ask for the type would cost another. What is no coroutine Lua's refuses there.
own.resume = native.resumer and native.resumer(busy, resume_within) or function(thread, ...)
    if busy[1] or not thread then
        return resume_within(thread, ...)
    end
    return resume(thread, ...)
end

function own.status(thread)
    expect_thread(thread, "status")
    return is_busy(thread) and "normal" or status(thread)
end

-- The errors of wrapped coroutines begin with the place of the call, or not, as Lua's do.
local level = 0

local function unwrapped(thread, ok, ...)
    if ok then
        return ...
    end
    local problem = (...)
    if plain.close and status(thread) == "dead" then
        -- Its variables are closed, and may have something to say of their own.
        local _, said = plain.close(thread)
        problem = said or problem
    end
    error(problem, type(problem) == "string" and level or 0)
end

function own.wrap(fn)
    local thread = create(fn)
    return function(...)
        return unwrapped(thread, own.resume(thread, ...))
    end
end

local function said_by(wrap)
    local fail = wrap(function()
        error("", 0)
    end)
    return select(2, call(function()
        local value = fail()
        return value
    end))
end

local wanted = said_by(plain.wrap)
while said_by(own.wrap) ~= wanted and level < 4 do
    level = level + 1
end

local coroutines = { coroutine = own }

-- Sets them in the table `coroutine` of `env` (default: the globals), which is made if need be.
function coroutines.adopt(env)
    if env == nil then
        env = _G
    elseif type(env) ~= "table" then
        checks.bad("argument", "env", "adopt", "table", env)
    end
    local there = rawget(env, "coroutine")
    if type(there) ~= "table" then
        there = {}
        rawset(env, "coroutine", there)
    end
    for name, fn in pairs(own) do
        there[name] = fn
    end
end

-- Protected calls that may wait ------------------------------------------------------------------

-- Lua 5.1 cannot yield through `pcall`: the function runs in a thread of its own, and what it
-- yields goes on to whoever resumed the caller.
local go_on

local function answered(caller, body, explain, ok, ...)
    if ok and status(body) == "suspended" then
        return go_on(caller, body, explain, yield(...))
    end
    by_thread[body] = nil
    if ok or not explain then
        return ok, ...
    elseif explain == debug.traceback then
        return false, explain(body, (...))
    end
    return false, explain((...))
end

-- It runs for whom its caller runs for now.
function go_on(caller, body, explain, ...)
    by_thread[body] = by_thread[caller]
    return answered(caller, body, explain, resume(body, ...))
end

local function protect(caller, explain, fn, ...)
    local ok, body = call(create, fn)
    if not ok then
        body = create(function(...)
            return fn(...)
        end)
    end
    return go_on(caller, body, explain, ...)
end

function coroutines.pcall(fn, ...)
    local caller = running()
    if not caller then
        return call(fn, ...)
    end
    return protect(caller, nil, fn, ...)
end

function coroutines.xpcall(fn, explain, ...)
    local caller = running()
    if not caller then
        local count, given = select("#", ...), { ... }
        return call_with(function()
            return fn((table.unpack or unpack)(given, 1, count))
        end, explain)
    end
    return protect(caller, explain, fn, ...)
end

return coroutines
