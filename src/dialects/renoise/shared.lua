-- Renoise: what clients and servers of both protocols share: checks of arguments, what objects
-- keep, properties, the calls of notifiers, settings.
--
-- Not here: sockets.

local _, core = ...
local common, field = core.common, core.field
local bad = common.bad

local shared = {}

-- Settings: `hosts`, `ports`, `cafile`, `logger`; `send_timeout`: milliseconds for which the system
-- may take nothing of what is sent.
shared.settings = common.settings { send_timeout = "number" }

shared.PROTOCOL_TCP, shared.PROTOCOL_UDP = 1, 2
shared.TIMEOUT = "timeout"

-- Checks ------------------------------------------------------------------------------------------

function shared.check_address(value, method)
    return common.check_string(value, "address", method)
end

-- Whether it is UDP.
function shared.check_protocol(value, method)
    if value ~= nil and value ~= shared.PROTOCOL_TCP and value ~= shared.PROTOCOL_UDP then
        bad("protocol", method, "renoise.Socket.PROTOCOL_TCP or PROTOCOL_UDP", value)
    end
    return value == shared.PROTOCOL_UDP
end

function shared.check_seconds(value, method)
    if type(value) ~= "number" or value < 0 or value ~= value then
        bad("timeout", method, "milliseconds of at least 0", value)
    end
    return value / 1000
end

-- Beyond it a number is not exact.
local MOST = 2 ^ 53

-- "line", "all" or a number of bytes.
function shared.check_mode(mode)
    if mode == "*line" or mode == "*l" then
        return "line"
    elseif mode == "*all" or mode == "*a" then
        return "all"
    elseif mode ~= 0 and common.is_whole(mode, MOST) then
        return mode
    end
    core.raise("bad argument 'mode' to 'receive' (\"*line\", \"*all\" or a number of bytes "
        .. "expected, got " .. core.got(mode):gsub("^string ", "") .. ")")
end

-- A string, or an object that knows itself as one, such as an OSC message.
function shared.bytes_of(message)
    local data = message
    if type(message) == "table" or type(message) == "userdata" then
        data = message.binary_data
    end
    if type(data) ~= "string" and type(data) ~= "number" then
        bad("message", "send", "string", message)
    end
    return data
end

-- Objects -----------------------------------------------------------------------------------------

-- What objects keep besides what the script stores in them. The keys are private.
local KIND = {} -- "client" or "server"
local OPEN = {} -- it was not closed, nor has a receive or send found out that it is over
local FACTS = {} -- addresses and ports, by the names of the properties
local NOTIFIER = {} -- what `run` was given, while it runs

shared.KIND, shared.OPEN, shared.FACTS, shared.NOTIFIER = KIND, OPEN, FACTS, NOTIFIER

function shared.expect(object, method, kind)
    if field(object, KIND) ~= kind then
        core.misuse(object, kind, method)
    end
end

function shared.check_open(object, method)
    if not object[OPEN] then
        core.raise(method .. ": the socket is closed")
    end
end

function shared.expect_open(object, method, kind)
    shared.expect(object, method, kind)
    shared.check_open(object, method)
end

function shared.property(name)
    return function(object)
        shared.check_open(object, name)
        return object[FACTS][name]
    end
end

function shared.is_open(object)
    return object[OPEN] == true
end

function shared.is_running(server)
    shared.check_open(server, "is_running")
    return server[NOTIFIER] ~= nil
end

function shared.description(name)
    return function(object)
        local facts = object[FACTS] or {}
        local where = core.where(facts.peer_address or facts.local_address,
            facts.peer_port or facts.local_port)
        return name .. ": " .. (object[OPEN] and "open" or "closed") .. where
    end
end

-- What notifiers hear -----------------------------------------------------------------------------

function shared.check_notifier(notifier)
    if type(notifier) ~= "table" and type(notifier) ~= "userdata" then
        bad("notifier", "run", "table of functions, or an object", notifier)
    end
    return notifier
end

-- A function found in the table itself is called without it, one of its class with it (5.5).
-- Returns whether there was one.
function shared.notify(server, name, ...)
    local notifier = server[NOTIFIER]
    local is_table = type(notifier) == "table"
    local plain = is_table and rawget(notifier, name)
    if plain then
        plain(...)
        return true
    elseif notifier and (not is_table or getmetatable(notifier)) then
        local method = notifier[name]
        if method then
            method(notifier, ...)
            return true
        end
    end
    return false
end

return shared
