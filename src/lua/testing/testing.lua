-- What tests of scripts are written with: a clock that the test moves, devices, waiting, leaks.
--
-- Not here: the clock (`clock.lua`), devices (`device.lua`). Sets no global; nothing of it costs
-- anything until it is required.

local evsock, core = ...

local raise = core.raise

-- How long `wait_until` waits, in real time, and how often it looks again when nothing happens.
local PATIENCE, SLICE = 5, 0.05

local testing = {}

-- For `leaks`: where objects are made from now on.
core.trace.record_places()

function testing.clock(options)
    return core.clock.take(options)
end

function testing.device(script, options)
    return core.part "testing/device" (script, options)
end

-- Pumps once; a clock that moves on by itself moves when nothing is under way.
local function go_on(left)
    local clock = core.clock.current()
    local handled, message
    if clock and clock.is_auto then
        handled, message = evsock.pump(0)
        if handled == 0 and not core.clock.settle() and not core.clock.step() then
            core.clock.pause(math.min(left, SLICE))
        end
    else
        handled, message = evsock.pump(math.min(left, SLICE))
    end
    if not handled then
        raise("wait_until: " .. message)
    end
end

function testing.wait_until(condition, seconds)
    if type(condition) ~= "function" then
        raise("bad argument 'condition' to 'wait_until' (function expected, got "
            .. core.got(condition) .. ")")
    elseif seconds ~= nil and not core.common.is_duration(seconds) then
        raise("bad argument 'seconds' to 'wait_until' (number of at least 0, or nil, expected, got "
            .. core.got(seconds) .. ")")
    end
    seconds = seconds or PATIENCE
    local real_now = core.clock.real_now
    local deadline = real_now() + seconds
    while true do
        local value = condition()
        if value then
            return value
        end
        local left = deadline - real_now()
        if left <= 0 then
            raise(("wait_until: the condition does not hold after %g s\n%s"):format(
                seconds, evsock.report(function() end)))
        end
        go_on(left)
    end
end

-- What is open, as `evsock.objects` lists it, but for what has been told to close.
function testing.leaks()
    local leaks = {}
    for _, row in ipairs(evsock.objects()) do
        if row.state ~= "closing" and row.state ~= "closed" then
            leaks[#leaks + 1] = row
        end
    end
    return leaks
end

return testing
