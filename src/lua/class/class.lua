-- Classes: userdata with the methods, properties and handlers that a definition names.
--
-- Not here: the classes themselves, which stand in the folder of their subject. Invariant: memory
-- is safe whatever a script does to what it sees of a metatable: the true one is hidden and keeps
-- its finaliser.

local native, checks, _, core, inner = ...

local raise = native.raise

-- Builds a class: see "One userdata, many classes" in src/README.md.
function core.class(definition)
    local name, kind = definition.name, definition.kind
    local number_of_kind = native.kinds[kind]
    local methods, get = definition.methods or {}, definition.get or {}
    local anchored_by_handlers = definition.anchor == "handlers"
    local close = methods.close or definition.close
    local handlers = checks.set_of(definition.handlers or {})
    -- `strict`: a field whose name begins with "on_" must be a handler.
    local refuse = definition.strict and function(_, field)
        local advice = checks.meant(field, handlers)
        raise("unknown handler " .. checks.named(field) .. " of " .. name
            .. (advice and " (" .. advice .. ")" or ""))
    end or nil
    local metatable = {
        __name = name,
        __type = name,
        -- The indexers hide it. spec/meta_spec.lua compares it with what src/meta says to editors.
        __definition = definition,
        __index = native.indexer(methods, get, name),
        __newindex = native.indexer(
            methods, get, definition.set or {}, handlers, name, refuse),
        __gc = native.collect,
        __close = close and function(object)
            close(object)
        end,
    }
    local text_of = definition.tostring
    metatable.__tostring = text_of and function(object)
        if native.is_of(object, metatable) then
            return text_of(object)
        elseif native.wears(object, metatable) then
            return name .. ": finalised"
        end
        native.misuse(object, name, "__tostring")
    end
    for event, fn in pairs(definition.on or {}) do
        -- The fault of a dialect: under a wrong name its function would never be called.
        local number_of_event = native.events[kind][event]
        assert(number_of_event, "a " .. kind .. " has no event " .. event)
        metatable[number_of_event] = fn
    end
    local number = #native.metatables + 1
    native.metatables[number] = metatable
    -- Scripts see a copy, since memory is only safe as long as the true one keeps its finaliser.
    local seen = {}
    for key, value in pairs(metatable) do
        seen[key] = value
    end
    seen.__gc = native.retire
    metatable.__metatable = seen
    local class = { number = number, metatable = seen }
    -- Raises unless it is an object of this class.
    function class.expect(object, call)
        if not native.is_of(object, metatable) then
            native.misuse(object, name, call)
        end
    end
    function class.new()
        local object = native.create(metatable, number_of_kind, anchored_by_handlers)
        return inner.made and inner.made(object) or object
    end
    return class
end

-- Raises unless the object is of the kind.
function inner.expect(object, kind, call)
    if native.kind(object) ~= kind then
        native.misuse(object, kind, call)
    end
end

-- The handler of a failure that meets none of the script's.
function inner.unhandled(object, message, code)
    return core.unhandled(object, message, code)
end

-- What all parts and the dialects use.
core.raise = raise
-- A value, and an unknown name, as messages of misuse show them.
core.got, core.named, core.unknown = checks.got, checks.named, checks.unknown
-- `field(object, key)`: what it keeps there; nil for what is no object of ours.
-- `misuse(value, class, call)`: raises that the call's object is none of that class.
core.field, core.misuse = native.field, native.misuse
core.defer = native.defer
core.is_numeric, core.port = native.is_numeric, checks.port
core.zone, core.zone_name, core.told = native.zone, native.zone_name, native.told

-- For messages and `tostring`.
function core.where(host, port)
    return host and " " .. native.display(host, port) or ""
end
