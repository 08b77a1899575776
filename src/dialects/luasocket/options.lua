-- LuaSocket: `setoption` and `getoption`.
--
-- Not here: what an option does; the system's are set at the descriptor, as the original does.
-- Invariant: without a descriptor nothing is set.

local _, core = ...
local shared = core.part "luasocket/shared"

local options = {}

-- Checks of values: each returns what the core takes.
local takes = {}

function takes.boolean(value)
    if type(value) ~= "boolean" then
        shared.expected(2, "setoption", "boolean", value)
    end
    return value
end

function takes.number(value)
    return shared.number(value, 2, "setoption")
end

function takes.linger(value)
    if type(value) ~= "table" then
        shared.expected(2, "setoption", "table", value)
    elseif type(value.on) ~= "boolean" then
        shared.bad_argument(2, "setoption", "boolean 'on' field expected")
    elseif type(value.timeout) ~= "number" then
        shared.bad_argument(2, "setoption", "number 'timeout' field expected")
    end
    -- The original takes 16 bits.
    return value.on, math.floor(math.min(math.max(0, value.timeout), 65535))
end

-- An address of IPv4; "*" is any.
local function address_of(value, problem)
    if value == "*" then
        return "0.0.0.0"
    elseif not core.is_numeric(value) or value:find(":", 1, true) then
        shared.bad_argument(2, "setoption", problem)
    end
    return value
end

function takes.address(value)
    return address_of(shared.text(value, 2, "setoption"), "ip expected")
end

local function text_field(value, name)
    local text = value[name]
    if type(text) ~= "string" then
        shared.bad_argument(2, "setoption", "string '" .. name .. "' field expected")
    end
    return text
end

-- A group: its address, and the interface or nil.
function takes.group(value)
    if type(value) ~= "table" then
        shared.expected(2, "setoption", "table", value)
    end
    local group = address_of(text_field(value, "multiaddr"), "invalid 'multiaddr' ip address")
    local interface =
        address_of(text_field(value, "interface"), "invalid 'interface' ip address")
    return { address = group, interface = interface ~= "0.0.0.0" and interface or nil }
end

-- The interface of one of IPv6 is its number, or its name here.
function takes.group6(value)
    if type(value) ~= "table" then
        shared.expected(2, "setoption", "table", value)
    end
    local group, interface = text_field(value, "multiaddr"), value.interface
    if not (core.is_numeric(group) and group:find(":", 1, true)) then
        shared.bad_argument(2, "setoption", "invalid 'multiaddr' ip address")
    elseif interface ~= nil and type(interface) ~= "number" and type(interface) ~= "string" then
        shared.bad_argument(2, "setoption", "number 'interface' field expected")
    end
    local number = type(interface) == "number" and ("%d"):format(interface)
    return { address = group, interface = number or interface }
end

-- What sockets for datagrams have.
options.udp = {
    broadcast = { "boolean", true },
    dontroute = { "boolean", true },
    error = { nil, true },
    ["ip-add-membership"] = { "group" },
    ["ip-drop-membership"] = { "group" },
    ["ip-multicast-if"] = { "address", true },
    ["ip-multicast-loop"] = { "boolean", true },
    ["ip-multicast-ttl"] = { "number" },
    ["ipv6-add-membership"] = { "group6" },
    ["ipv6-drop-membership"] = { "group6" },
    ["ipv6-multicast-hops"] = { "number", true },
    ["ipv6-multicast-loop"] = { "boolean", true },
    ["ipv6-unicast-hops"] = { "number", true },
    ["ipv6-v6only"] = { "boolean", true },
    ["recv-buffer-size"] = { "number", true },
    reuseaddr = { "boolean", true },
    reuseport = { "boolean", true },
    ["send-buffer-size"] = { "number", true },
}

-- What streams of the Internet have, by name: how it is set, and whether it can be got.
options.tcp = {
    keepalive = { "boolean", true },
    reuseaddr = { "boolean", true },
    reuseport = { "boolean", true },
    ["tcp-nodelay"] = { "boolean", true },
    ["tcp-keepidle"] = { "number", true },
    ["tcp-keepcnt"] = { "number", true },
    ["tcp-keepintvl"] = { "number", true },
    ["tcp-defer-accept"] = { "number" },
    ["tcp-fastopen"] = { "number" },
    ["tcp-fastopen-connect"] = { "number" },
    ["ipv6-v6only"] = { "boolean", true },
    linger = { "linger", true },
    ["recv-buffer-size"] = { "number", true },
    ["send-buffer-size"] = { "number", true },
    error = { nil, true },
}

-- What streams by a path have.
options.unix = {
    keepalive = { "boolean" }, linger = { "linger" }, reuseaddr = { "boolean" },
}
options.unix_dgram = { reuseaddr = { "boolean" } }

-- Those that the core would set once more when the connection stands, and what its close goes by.
local native_name = { keepalive = "keepalive", ["tcp-nodelay"] = "nodelay", linger = "linger" }

local function unsupported(name, method)
    shared.bad_argument(1, method, "unsupported option `" .. name .. "'")
end

local function checked(list, name, method, place)
    name = shared.text(name, 1, method)
    local row = list[name]
    if not row or not row[place] then
        unsupported(name, method)
    end
    return name, row
end

-- The name and what the core takes for its value.
function options.take(list, given, value)
    local name, row = checked(list, given, "setoption", 1)
    return name, takes[row[1]](value)
end

function options.set(object, list, given, value)
    local name, kept, seconds = options.take(list, given, value)
    local sock = object.core
    if not sock or not core.system.set_option(sock, name, kept, seconds) then
        return nil, "setsockopt failed"
    end
    local own = native_name[name]
    if own and not object.listens then
        if name == "linger" then
            kept = kept and seconds
        end
        core.socket.set(sock, own, kept)
    end
    return 1
end

function options.get(object, list, given)
    local name = checked(list, given, "getoption", 2)
    local sock = object.core
    local value, seconds
    if sock then
        value, seconds = core.system.get_option(sock, name)
    end
    if value == nil then
        return nil, "getsockopt failed"
    elseif name == "linger" then
        return { on = value, timeout = seconds }
    end
    return value
end

return options
