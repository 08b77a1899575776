-- Watches: descriptors that are not ours, for scripts. Loaded by the first of them.
--
-- Not here: when a descriptor is ready (`src/net/watch.rs`). Invariant: what reaches a native
-- function was checked.

local native, checks, core, inner = ...

local bad = checks.bad
local answer, wait_for, seconds_or_nil = inner.answer, inner.wait_for, inner.seconds_or_nil

native.need(native, "watch")

local function expect(watch, call)
    if native.kind(watch) ~= "watch" then
        native.misuse(watch, "evsock.Watch", call)
    end
end

local function close(watch)
    expect(watch, "close")
    native.unregister(watch)
    native.watch_close(watch)
end

-- What a check finds out is the answer: the two words are for `wait`.
local function is_ready(waiter)
    if waiter.answered then
        return true
    end
    local readable, writable, code = native.watch_ready(waiter.sock)
    if readable == nil then
        return answer(waiter, nil, writable, code)
    elseif readable or writable then
        waiter.readable, waiter.writable = readable, writable
        return answer(waiter, true)
    end
    return false
end

local function expire(waiter)
    local message = ("watch %s: timed out"):format(tostring(native.watch_fd(waiter.sock)))
    answer(waiter, nil, message, "ETIMEDOUT")
end

local methods = { close = close }

function methods.wait(watch, timeout)
    expect(watch, "wait")
    timeout = seconds_or_nil(timeout, "wait")
    local waiter = {
        sock = watch, call = "wait", check = is_ready, expire = expire, readable = false,
        writable = false,
    }
    local ok, message, code = wait_for(waiter, timeout)
    if not ok then
        return nil, message, code
    end
    return waiter.readable, waiter.writable
end

-- In `wait_any` it stands by itself: what it waits for was said when it began.
function inner.waitable.watch(watch, event)
    return event == nil and function()
        local readable, writable = native.watch_ready(watch)
        return readable == nil or readable or writable
    end, "nothing"
end

local Watch = core.class {
    name = "evsock.Watch",
    strict = true,
    kind = "watch",
    anchor = "object",
    handlers = native.handlers.watch,
    methods = methods,
    get = { fd = native.watch_fd },
    on = { unhandled = inner.unhandled },
    tostring = function(watch)
        local fd = native.watch_fd(watch)
        return "evsock.Watch: " .. (fd and "descriptor " .. fd or "closed")
    end,
}

local modes = { r = { true, false }, w = { false, true }, rw = { true, true } }

local function open(fd, mode, on_ready)
    local number = checks.whole(fd, 0, 2 ^ 53)
        or bad("argument", "fd", "watch", "descriptor as integer of at least 0", fd)
    local ways = type(mode) == "string" and modes[mode]
        or bad("argument", "mode", "watch", '"r", "w" or "rw"', mode)
    if on_ready ~= nil then
        checks.function_of(on_ready, "on_ready", "watch")
    end
    local watch = Watch.new()
    local ok, message, code = native.watch_open(watch, number, ways[1], ways[2])
    if not ok then
        return nil, message, code
    end
    native.register(watch)
    watch.on_ready = on_ready
    return watch
end

-- `ready(watch)`: whether it can be read, and written, now; nil, message, code once it is over.
return { open = open, ready = native.watch_ready, close = close }
