-- The Q-SYS dialect once for each plugin: its own settings, its sockets and timers known by it, and
-- errors of handlers in its log.
--
-- Not here: the classes, which are the dialect's. Invariants: what a plugin made ends with it; an
-- error in a handler goes to its log and the script goes on. A dialect that is free again is used
-- by the next plugin, since classes are never given back.

local evsock, core = ...

local world = {}

-- Calls `fn`; an error gets its traceback.
local takes_arguments = select(2, xpcall(function(...)
    return ...
end, type, true)) == true

local function protected(fn, ...)
    if takes_arguments then
        return xpcall(fn, core.common.explain, ...)
    end
    local arguments, count = { ... }, select("#", ...)
    return xpcall(function()
        return fn(unpack(arguments, 1, count))
    end, core.common.explain)
end

-- Gives the results of `call` on, or tells the owner of the error.
local function settle(owner, ok, ...)
    if ok then
        return ...
    end
    owner:failed((...))
end

-- Calls a function of the owner's script.
function world.call(owner, fn, ...)
    return settle(owner, protected(fn, ...))
end

local Dialect = {}
Dialect.__index = Dialect

function Dialect:guarded(fn)
    return function(...)
        local owner = self.owner
        -- What is late of a plugin that was stopped.
        if owner then
            return world.call(owner, fn, ...)
        end
    end
end

function Dialect:track(object, close)
    if object then
        self.objects[object] = close
    end
    return object
end

-- By kind, what ends an object without an event.
local closers = {
    socket = core.socket.release,
    server = core.server.close,
    timer = core.timer.cancel,
    datagram = function(socket)
        core.datagram.close(socket)
    end,
}

local function tracked_class(dialect, given)
    local definition = core.common.copy_of(given)
    local close = closers[given.kind]
    definition.on = {}
    for event, fn in pairs(given.on or {}) do
        if event == "accept" then
            fn = function(server, socket, ...)
                dialect:track(socket, core.socket.release)
                return given.on.accept(server, socket, ...)
            end
        end
        definition.on[event] = dialect:guarded(fn)
    end
    local class = core.class(definition)
    local new = class.new
    function class.new(...)
        return dialect:track(new(...), close)
    end
    return class
end

-- What the dialect's files get as `evsock` and `core`.
local function surroundings(dialect)
    local parts = {}
    local module = setmetatable({}, { __index = evsock })
    for _, name in ipairs { "after", "every" } do
        module[name] = function(seconds, fn, ...)
            local timer, message, code = evsock[name](seconds, dialect:guarded(fn), ...)
            return dialect:track(timer, timer and timer.cancel), message, code
        end
    end
    local own = setmetatable({}, { __index = core })
    function own.class(definition)
        return tracked_class(dialect, definition)
    end
    function own.part(name)
        if not name:find "^qsys/" then
            return core.part(name)
        elseif parts[name] == nil then
            parts[name] = core.chunk(name)(module, own)
        end
        return parts[name]
    end
    return module, own
end

local free = {}

-- A dialect for the owner, whose `failed(problem)` gets errors of handlers.
function world.take(owner, settings)
    local dialect = table.remove(free)
    if not dialect then
        local objects = setmetatable({}, { __mode = "k" })
        dialect = setmetatable({ objects = objects }, Dialect)
        local module, own = surroundings(dialect)
        dialect.module = module
        dialect.qsys = core.chunk "qsys" (module, own)
    end
    dialect.owner, dialect.has_cafile = owner, settings.cafile ~= nil
    dialect.qsys.configure(settings)
    return dialect
end

-- Ends what was made since; no handler hears of it.
function Dialect:close_all()
    local objects = self.objects
    self.objects = setmetatable({}, { __mode = "k" })
    for object, close in pairs(objects) do
        -- One that was finalised stays a key for one more collection.
        if core.kind(object) then
            close(object)
        end
    end
end

function Dialect:give_back()
    self.owner = nil
    self:close_all()
    -- A file of certificates can't be taken back.
    if not self.has_cafile then
        free[#free + 1] = self
    end
end

return world
