-- Timers: what they are for scripts, and what dialects build theirs from.
--
-- Not here: when a timer is due (`proto::timers`). Invariant: what reaches a native function was
-- checked.

local native, checks, evsock, core, inner = ...

local expect = inner.expect
local unpack = table.unpack or unpack

core.timer = {}

function core.timer.start(timer, after, repeats)
    native.unregister(timer)
    local ok, message, code = native.timer_start(timer, after, repeats and true or false)
    native.register(timer)
    if not ok then
        return nil, message, code
    end
    return true
end

function core.timer.cancel(timer)
    expect(timer, "timer", "cancel")
    native.unregister(timer)
    native.timer_cancel(timer)
end

function core.timer.active(timer)
    return native.timer_active(timer)
end

local Timer = core.class {
    name = "evsock.Timer",
    strict = true,
    kind = "timer",
    anchor = "object",
    handlers = native.handlers.timer,
    get = { active = core.timer.active },
    methods = {
        cancel = function(timer)
            core.timer.cancel(timer)
            timer.on_timer = nil
        end,
    },
    close = core.timer.cancel,
    tostring = function(timer)
        return "evsock.Timer: " .. (core.timer.active(timer) and "active" or "over")
    end,
}

-- A function that calls `fn` with the arguments. Most timers have none or one; since there may be
-- thousands, those get no table.
local function with_arguments(fn, count, ...)
    if count == 0 then
        return fn
    elseif count == 1 then
        local argument = ...
        return function()
            fn(argument)
        end
    end
    local arguments = { ... }
    return function()
        fn(unpack(arguments, 1, count))
    end
end

local function start(call, after, repeats, fn, ...)
    checks.seconds_of(after, call)
    checks.function_of(fn, "fn", call)
    local timer = Timer.new()
    native.set_handlers(timer, { on_timer = with_arguments(fn, select("#", ...), ...) }, 1)
    local ok, message, code = core.timer.start(timer, after, repeats)
    if not ok then
        return nil, message, code
    end
    return timer
end

function evsock.after(after, fn, ...)
    return start("after", after, false, fn, ...)
end

function evsock.every(after, fn, ...)
    return start("every", after, true, fn, ...)
end
