-- The clock of a test: timers, timeouts, sleeps and pauses of one Lua state go by it.
--
-- Not here: how it stands and leaps (`net/clock.rs`), when it may (`run/settle.rs`). Invariants:
-- there is one clock; everything that is due by then has been dispatched when it moves on, each
-- timer at its own time.

local native, checks, evsock, _, inner = ...

local raise, bad = native.raise, checks.bad

native.need(native, "testing")

-- No longer than the library's longest wait, in all.
local LONGEST = 1e8

local Clock = {}
Clock.__index = Clock
Clock.__name = "evsock.testing.Clock"

-- The one in force, or nil.
local current
local function expect(clock, method)
    if getmetatable(clock) ~= Clock then
        bad("argument", "self", method, "evsock.testing.Clock", clock)
    elseif clock ~= current then
        raise(method .. ": the clock was released; testing.clock() makes another")
    end
    return clock
end

-- Dispatches until nothing is under way at this moment; returns how many handlers ran.
local function settle()
    local handled = 0
    repeat
        local count, message = native.pump(0)
        if not count then
            raise("clock: " .. message)
        end
        handled = handled + count
    until native.stopping() or not native.clock_settle()
    return handled
end

local function advance(seconds)
    local target = native.now() + seconds
    local handled = settle()
    while native.now() < target and not native.stopping() do
        native.clock_step(target)
        handled = handled + settle()
    end
    return handled
end

-- Waits in which nobody else could move the clock do so themselves.
local function sleep(seconds)
    advance(seconds)
    return true
end

local function set_auto(clock, is_on)
    clock.is_auto = is_on
    native.clock_auto(is_on)
    inner.move_clock = not is_on and sleep or nil
end

-- Moves the clock so far. Returns how many handlers ran.
function Clock.advance(clock, seconds)
    expect(clock, "advance")
    if not checks.is_seconds(seconds) or native.now() + seconds > LONGEST then
        bad("argument", "seconds", "advance", "number from 0 to " .. LONGEST, seconds)
    end
    return advance(seconds)
end

-- From now on it moves on by itself whenever a pump would wait and nothing else is to do; with
-- false it stands again.
function Clock.auto(clock, is_on)
    expect(clock, "auto")
    if is_on == nil then
        is_on = true
    elseif type(is_on) ~= "boolean" then
        bad("argument", "is_on", "auto", "boolean or nil", is_on)
    end
    set_auto(clock, is_on)
    return clock
end

-- The same time as `evsock.now`.
function Clock.now(clock)
    if getmetatable(clock) ~= Clock then
        bad("argument", "self", "now", "evsock.testing.Clock", clock)
    end
    return native.now()
end

-- Seconds of the system's clock, which nobody moves: how long a test really takes.
function Clock.real(clock)
    if getmetatable(clock) ~= Clock then
        bad("argument", "self", "real", "evsock.testing.Clock", clock)
    end
    return native.real_now()
end

-- From now on it goes with the system's, from where it stands. Once more does nothing.
function Clock.release(clock)
    if getmetatable(clock) ~= Clock then
        bad("argument", "self", "release", "evsock.testing.Clock", clock)
    elseif clock == current then
        current = nil
        inner.move_clock, inner.clocked[1] = nil, nil
        native.clock_release()
    end
end

Clock.__close = Clock.release

function Clock.__tostring(clock)
    local how = clock ~= current and "released" or clock.is_auto and "auto" or "held"
    return ("evsock.testing.Clock: %s at %.3f s"):format(how, native.now())
end

local options = { grace = "seconds of at least 0" }

local function read_options(given)
    if given == nil then
        return {}
    elseif type(given) ~= "table" or given == evsock then
        bad("argument", "options", "clock", "table", given)
    end
    for name, value in pairs(given) do
        if not options[name] then
            raise("bad option " .. checks.named(name) .. " to 'clock'"
                .. checks.unknown(name, options))
        elseif not checks.is_seconds(value) then
            bad("option", name, "clock", options[name], value)
        end
    end
    return given
end

-- Timers that tasks have left from waits that are over: the clock would leap to them.
local function drop_stale_timers()
    inner.clocked[1] = true
    for _, task in ipairs(inner.tasks and inner.tasks.all_alive() or {}) do
        if not task.deadline then
            inner.waiters.disarm(task)
        end
    end
end

-- Takes the clock: the one in force, which stands from now on, or a new one.
local function take(given)
    local chosen = read_options(given)
    local ok, message, code = native.clock_hold()
    if not ok then
        return nil, message, code
    end
    native.clock_grace(chosen.grace)
    current = current or setmetatable({}, Clock)
    drop_stale_timers()
    set_auto(current, false)
    return current
end

return {
    take = take, real_now = native.real_now,
    settle = native.clock_settle, step = native.clock_step, pause = native.clock_pause,
    -- The clock in force, or nil.
    current = function()
        return current
    end,
}
