-- The module, put together from its parts.
--
-- Not here: what a part does. Every part gets `native` (the functions in Rust), `checks` (of
-- arguments and options), `evsock` (the module), `core` (what dialects build on) and `inner` (what
-- the parts share with each other, not with dialects). Invariant: a part uses only those before it.

local native, version = ...

local evsock, core, inner = native.module, {}, {}
local checks = native.chunk "options/options" (native)

evsock._VERSION = version
-- Lua's own, whatever a script puts in their place later.
inner.plain = { pcall = pcall, xpcall = xpcall }
for name, fn in pairs(coroutine) do
    inner.plain[name] = fn
end
for _, name in ipairs {
    "class/class", "options/values", "socket/socket", "server/server", "timer/timer", "run/loop",
} do
    native.chunk(name)(native, checks, evsock, core, inner)
end

-- Its first place is taken while a test moves the clock.
inner.clocked = {}

-- What the parts of tasks share; the names are there before, so that putting them there needs no
-- memory.
local names = {
    "tasks", "waiters", "waitable", "spawn", "sleep", "stay", "wait_for", "answer",
    "seconds_or_nil", "pass_on", "pumping",
}
for place = 1, #names do
    inner[names[place]] = false
end

-- Loads tasks, which the first call needs that may wait. A finaliser may need them meanwhile: those
-- count that were whole first, since some may run; and each call puts all of them into place, since
-- it may have come amid another's.
local function need_tasks()
    if inner.tasks then
        return
    end
    local own = setmetatable({}, { __index = inner })
    for _, name in ipairs { "task/waiters", "task/task", "task/scheduler", "task/wait" } do
        native.chunk(name)(native, checks, evsock, core, own)
    end
    own = native.set_scheduler(own.scheduler, own)
    evsock.spawn, evsock.sleep = own.spawn, own.sleep
    -- The first of them, which says that all are there, comes last.
    for place = #names, 1, -1 do
        inner[names[place]] = own[names[place]]
    end
end

for _, name in ipairs { "spawn", "sleep" } do
    evsock[name] = function(...)
        need_tasks()
        return inner[name](...)
    end
end

local function with_tasks(name)
    need_tasks()
    return native.chunk(name)(native, checks, evsock, core, inner)
end

-- What a part of the library returns; it is loaded when it is first asked for. Scripts cannot reach
-- this.
local parts = {}
function core.part(name)
    local value = parts[name]
    if value == nil then
        value = native.chunk(name)(evsock, core)
        parts[name] = value
    end
    return value
end

-- What few scripts need is loaded when it is first asked for, so that it costs the others no memory
-- and no time in collections. A finaliser that asks during that loads it once more, which does no
-- harm.
local udp
local write_line = native.chunk "run/stderr" (native)
local late = {
    clock = function()
        return native.chunk "testing/clock" (native, checks, evsock, core, inner)
    end,
    common = function()
        return core.part "common"
    end,
    -- "socket" and the like; nil of what is no object of ours, or none any more.
    kind = function()
        return native.kind
    end,
    -- A part anew, for who needs more than one of it.
    chunk = function()
        return native.chunk
    end,
    write_line = function()
        return write_line
    end,
    datagram = function()
        local shared, open = native.chunk "udp/udp" (native, checks, core)
        udp = open
        return shared
    end,
    coroutines = function()
        return with_tasks "task/coroutine"
    end,
    conditions = function()
        return with_tasks "task/condition"
    end,
    -- `digest(name, data)` and `hmac(name, key, data)`: bytes; nil for a name that is not known.
    digest = function()
        native.need(native, "digests")
        return native.digest
    end,
    hmac = function()
        native.need(native, "digests")
        return native.hmac
    end,
    -- JSON, Base64, CRC-16, bytes of floats: see `encoding.rs`.
    encoding = function()
        native.need(native, "encoding")
        return {
            json_decode = native.json_decode,
            json_encode = native.json_encode,
            base64_decode = native.base64_decode,
            base64_encode = native.base64_encode,
            crc16 = native.crc16,
            float_bytes = native.float_bytes,
            bytes_float = native.bytes_float,
        }
    end,
    -- Heads of answers, sizes of chunks, texts for one use, bounds: see `http.rs`.
    http = function()
        native.need(native, "http")
        return {
            head = native.http_head,
            chunk = native.http_chunk,
            nonce = native.http_nonce,
            limits = native.http_limits(),
        }
    end,
    lookups = function()
        need_tasks()
        return native.chunk "lookup/lookup" (native, checks, core, inner)
    end,
    resolve = function()
        return core.lookups.resolve
    end,
    reverse = function()
        return core.lookups.reverse
    end,
    system = function()
        local system = native.system(native)
        system.tls = native.tls
        system.register, system.unregister = native.register, native.unregister
        return system
    end,
    socket_waits = function()
        return with_tasks "task/socket_waits"
    end,
    wait = function()
        return core.stands.wait
    end,
    stands = function()
        return with_tasks "task/stands"
    end,
    takers = function()
        return with_tasks "task/takers"
    end,
    watches = function()
        need_tasks()
        return native.chunk "watch/watch" (native, checks, core, inner)
    end,
    objects = function()
        need_tasks()
        return native.chunk "run/objects" (native, checks, inner)
    end,
    trace = function()
        return native.chunk "run/trace" (native, checks, inner, write_line)
    end,
    unhandled = function()
        return native.chunk "run/unhandled" (native, core, write_line)
    end,
}

setmetatable(core, {
    __index = function(_, name)
        local make = late[name]
        core[name] = make and make()
        return rawget(core, name)
    end,
})

-- The first of these calls puts the true ones into their places.
for _, name in ipairs { "receive", "send", "wait" } do
    local function first(...)
        local _ = core.socket_waits
        return core.socket[name](...)
    end
    core.socket[name], core.methods[name] = first, first
end

function evsock.adopt(env)
    core.coroutines.adopt(env)
end

-- Only Lua 5.1 cannot wait inside of its own.
local _, can_wait = coroutine.resume(coroutine.create(function()
    pcall(coroutine.yield, true)
end))
evsock.pcall = can_wait and pcall or function(...)
    return core.coroutines.pcall(...)
end
evsock.xpcall = can_wait and xpcall or function(...)
    return core.coroutines.xpcall(...)
end

function evsock.condition()
    return core.conditions.condition()
end

function evsock.queue(limit)
    return core.conditions.queue(limit)
end

function evsock.wait_any(list, timeout)
    return core.stands.wait_any(list, timeout)
end

function evsock.resolve(name, timeout)
    return core.resolve(name, timeout)
end

function evsock.watch(fd, mode, on_ready)
    return core.watches.open(fd, mode, on_ready)
end

for _, name in ipairs { "objects", "report", "reset" } do
    evsock[name] = function(...)
        return core.objects[name](...)
    end
end

function evsock.trace(level, sink)
    return core.trace.trace(level, sink)
end

function evsock.udp(host, port, given)
    local _ = core.datagram
    return udp(host, port, given)
end

return evsock, core
