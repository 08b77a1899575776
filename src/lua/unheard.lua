-- Failures that nobody hears of: they go to `evsock.on_unhandled`, else a line on stderr tells.
--
-- Not here: which those are (`raw/dispatch.rs`: no handler, and no task that waits on the object).
-- Compiled at the first; returns the classes' function for the event.
-- Invariants: a hook hears of each, a reader of stderr of so many a second and how many more there
-- were; a line is short and one line; nobody waits for stderr, and its being closed harms nobody.

-- `stderr`: what it was when the module was loaded.
local native, core, stderr = ...

local MOST_LINES = 10
local SECOND = 1
local LONGEST_REASON = 300

-- Output ------------------------------------------------------------------------------------------

-- Where a host has taken it away there is none.
local io = io

local function say(text)
    local now = io and io.stderr
    if now ~= stderr then
        -- The script's own.
        pcall(function()
            now:write("evsock: ", text, "\n")
        end)
    elseif not stderr or io.type(stderr) ~= "closed file" then
        native.say("evsock: " .. text .. "\n")
    end
end

-- When the present second began, how many failures it had, and how many of these were not told.
local since, count, left_out = -SECOND, 0, 0

-- Tells at its end; it is not for its sake that `run` goes on.
local Alarm = core.class {
    name = "evsock.Alarm",
    kind = "timer",
    anchor = "object",
    on = {
        timer = function()
            native.count(1)
            if native.hooks.on_unhandled == nil then
                say(left_out .. " more unhandled failures were not shown")
            end
            left_out = 0
            return false
        end,
    },
}
local alarm

local function leave_out()
    left_out = left_out + 1
    if left_out > 1 then
        return
    end
    say("unhandled failures beyond " .. MOST_LINES .. " a second are counted, not shown")
    alarm = alarm or Alarm.new()
    if core.timer.start(alarm, SECOND, false) then
        native.count(-1)
    end
end

-- Failures ----------------------------------------------------------------------------------------

-- What it is, where it is, and what would hear of it.
local function describe(object)
    local kind = native.kind(object)
    if kind == "server" then
        return "server" .. core.where(core.server.address(object)), "on_error"
    elseif kind == "datagram" then
        local host, port = native.datagram_facts(object)
        return "datagram socket" .. core.where(host, port), "on_error"
    end
    local host, port = native.target(object)
    if host then
        return "socket to" .. core.where(host, port), "on_close"
    end
    local info = native.info(object) or {}
    return "socket from" .. core.where(info.peer_address, info.peer_port), "on_close"
end

local function tell(object, message, code)
    local now = native.now()
    if now >= since + SECOND then
        since, count = now, 0
    end
    count = count + 1
    if count > MOST_LINES then
        leave_out()
        return
    end
    local what, handler = describe(object)
    local reason = message:gsub("%c", " ")
    if #reason > LONGEST_REASON then
        reason = reason:sub(1, LONGEST_REASON) .. "..."
    end
    say(("unhandled failure of %s: %s (%s); set its %s, or evsock.on_unhandled = false for silence")
        :format(what, reason, code, handler))
end

-- False where no handler of the script's has run.
return function(object, message, code)
    local hook = native.hooks.on_unhandled
    if hook then
        hook(message, object, code)
        return true
    elseif hook == nil then
        tell(object, message, code)
    end
    return false
end
