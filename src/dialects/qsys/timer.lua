-- Q-SYS: Timer. Times are seconds (section 2.9 of the dialects' specification).

local evsock, core = ...
local common = core.common
local bad, is_seconds = common.bad, common.is_duration

local Clock
Clock = core.class {
    name = "Timer",
    kind = "timer",
    anchor = "object",
    handlers = { "EventHandler" },
    methods = {
        Start = function(timer, seconds)
            Clock.expect(timer, "Start")
            if not is_seconds(seconds) then
                bad("seconds", "Start", "number of at least 0", seconds)
            end
            core.timer.start(timer, seconds, true)
        end,
        Stop = core.timer.cancel,
        IsRunning = function(timer)
            Clock.expect(timer, "IsRunning")
            return core.timer.active(timer)
        end,
    },
    on = {
        timer = common.caller "EventHandler",
    },
    close = core.timer.cancel,
    tostring = function(timer)
        return "userdata: Timer " .. (core.timer.active(timer) and "running" or "stopped")
    end,
}

local Timer = {}

function Timer.New()
    return Clock.new()
end

-- The function comes first, then the seconds. What is no function raises when it is due, as on a
-- Core: drivers call it so in their first lines, and go on.
function Timer.CallAfter(fn, seconds)
    if not is_seconds(seconds) then
        bad("seconds", "CallAfter", "number of at least 0", seconds)
    elseif type(fn) == "function" then
        evsock.after(seconds, fn)
    else
        local _, problem = pcall(bad, "fn", "CallAfter", "function", fn)
        evsock.after(seconds, error, problem, 0)
    end
end

function Timer.Now()
    return evsock.now()
end

return Timer
