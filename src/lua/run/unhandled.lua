-- Failures that no handler gets: they go to `evsock.on_unhandled`, else a line goes to stderr.
-- Loaded at the first; returns the classes' function for the event.
--
-- Not here: which failures those are (`dispatch.rs`: no handler, and no task that waits on the
-- object). Invariants: the hook gets each of them; stderr gets at most `MOST_LINES` a second, and
-- how many more there were; a failure is one short line.

local native, core, write_line = ...

local MOST_LINES = 10
local SECOND = 1
local LONGEST_REASON = 300

-- Output ------------------------------------------------------------------------------------------

-- When the present second began, how many failures it had, and how many got no line.
local since, count, suppressed = -SECOND, 0, 0

-- Writes how many got no line at the end of the second. It does not keep `run` going.
local SummaryTimer = core.class {
    name = "evsock.SummaryTimer",
    kind = "timer",
    anchor = "object",
    on = {
        timer = function()
            if native.hooks.on_unhandled == nil then
                write_line(suppressed .. " more unhandled failures were not shown")
            end
            suppressed = 0
            return false
        end,
    },
}
local timer

local function suppress()
    suppressed = suppressed + 1
    if suppressed > 1 then
        return
    end
    write_line("unhandled failures beyond " .. MOST_LINES .. " a second are counted, not shown")
    if not timer then
        timer = SummaryTimer.new()
        native.background(timer)
    end
    core.timer.start(timer, SECOND, false)
end

-- Failures ----------------------------------------------------------------------------------------

-- What the object is and where it is; the handler that would get the failure.
local function describe(object)
    local kind = native.kind(object)
    if kind == "server" then
        return "server" .. core.where(core.server.address(object)), "on_error"
    elseif kind == "datagram" then
        local host, port = native.datagram_facts(object)
        return "datagram socket" .. core.where(host, port), "on_error"
    elseif kind == "watch" then
        return "a watch", "on_error"
    end
    local host, port = native.target(object)
    if host then
        return "socket to" .. core.where(host, port), "on_close"
    end
    local info = native.info(object) or {}
    return "socket from" .. core.where(info.peer_address, info.peer_port), "on_close"
end

-- What a script can do. A failure beside a connection, which goes on, is no handler's.
local function advice(message, handler)
    if message:find("^keylog ") then
        return "set evsock.on_unhandled, to false for silence"
    end
    return "set its " .. handler .. ", or evsock.on_unhandled = false for silence"
end

local function report(object, message, code)
    local now = native.now()
    if now >= since + SECOND then
        since, count = now, 0
    end
    count = count + 1
    if count > MOST_LINES then
        suppress()
        return
    end
    local what, handler = describe(object)
    local reason = message:gsub("%c", " ")
    if #reason > LONGEST_REASON then
        reason = reason:sub(1, LONGEST_REASON) .. "..."
    end
    write_line(("unhandled failure of %s: %s (%s); %s"):format(
        what, reason, code, advice(message, handler)))
end

-- Returns whether a handler of the script has run.
return function(object, message, code)
    local hook = native.hooks.on_unhandled
    if hook then
        hook(message, object, code)
        return true
    elseif hook == nil then
        report(object, message, code)
    end
    return false
end
