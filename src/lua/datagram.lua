-- Datagrams (UDP): the class that scripts see, and what dialects build theirs from.
--
-- Not here: queues and lookups (`src/net`). Compiled when it is first asked for; returns what
-- dialects use and what opens a socket for a script. Invariant: what reaches a native function was
-- checked.

local native, checks, core = ...

local raise, bad, whole = native.raise, checks.bad, checks.whole
local port_of = checks.port_of
local LARGEST = 65535

local function expect(sock, call)
    if native.kind(sock) ~= "datagram" then
        native.misuse(sock, "datagram socket", call)
    end
end

local function check_host(host, call)
    if type(host) ~= "string" then
        bad("argument", "host", call, "string", host)
    end
    return host
end

-- What dialects use ------------------------------------------------------------------------------

local datagram = {
    -- What an event `datagram` has told of: data, host, port, whether it was cut; nothing when it
    -- was taken already or the socket pauses. Each event must call it once; not `wanted`: it stays
    -- to be read.
    next = native.datagram_next,
    read = native.datagram_read,
    broadcast = native.datagram_broadcast,
    max_size = native.datagram_max_size,
    -- Host, port and descriptor while it is open; bytes received and sent.
    facts = native.datagram_facts,
    -- Our host and port, and those it is connected to.
    ends = native.datagram_ends,
}

-- `how`: see `evsock.udp`. A socket that is open is closed first.
function datagram.open(sock, host, port, how)
    native.unbind(sock)
    local ok, message, code = native.datagram_open(
        sock, host, port, how.broadcast or false, how.reuse_address or false,
        how.reuse_port or false, how.max_size or LARGEST, how.paused or false)
    native.bind(sock)
    if not ok then
        return nil, message, code
    end
    return true
end

-- `host` nil: where it is connected. `told`: the answer may be a number, under which one of the
-- events `sent` and `unsent` tells how it went. `route`: see `common.settings`.
function datagram.send(sock, data, told, host, port, route)
    local detour, to = route, nil
    if route then
        detour, to = route.host, route.port
    end
    return native.datagram_send(sock, data, told, host, port or 0, detour, to)
end

function datagram.connect(sock, host, port, route)
    local detour, to = route, nil
    if route then
        detour, to = route.host, route.port
    end
    return native.datagram_connect(sock, host, port, detour, to)
end

function datagram.close(sock)
    expect(sock, "close")
    native.unbind(sock)
    native.datagram_close(sock)
end

local function pause(paused)
    return function(sock)
        expect(sock, paused and "pause" or "resume")
        native.datagram_pause(sock, paused)
    end
end

datagram.pause, datagram.resume = pause(true), pause(false)

-- The group with its interface as its zone, if it is one of IPv6: there that is what names it.
local function zoned(group, interface, call)
    local is_text = type(interface) == "string"
    local numeric = is_text and native.is_numeric(interface)
    if not group:find(":", 1, true) then
        if not numeric or interface:find(":", 1, true) then
            bad("argument", "interface", call, "numeric IPv4 address or nil", interface)
        end
        return group
    end
    local address, zone = group:match("^%[?([^%%%]]*)%%?([^%]]*)")
    local whole_group = is_text and address .. "%" .. interface
    if numeric or not whole_group or not native.is_numeric(whole_group) then
        bad("argument", "interface", call, "name or number of an interface or nil", interface)
    elseif zone ~= "" and zone ~= interface then
        bad("argument", "interface", call, "the group's own zone or nil", interface)
    end
    return whole_group
end

local function member(call, joins)
    return function(sock, group, interface)
        expect(sock, call)
        if type(group) ~= "string" or not native.is_numeric(group) then
            bad("argument", "group", call, "numeric address", group)
        elseif interface ~= nil then
            group = zoned(group, interface, call)
        end
        return native.datagram_member(sock, group, joins, interface)
    end
end

datagram.join_group = member("join_group", true)
datagram.leave_group = member("leave_group", false)

-- The class --------------------------------------------------------------------------------------

local handlers = { "on_datagram", "on_connect", "on_error" }
local is_handler = checks.set_of(handlers)

local function check_size(value)
    return type(value) == "number" and whole(value, 1, LARGEST)
end

local datagram_options = {
    broadcast = "boolean",
    max_size = "integer from 1 to 65535",
    paused = "boolean",
    reuse_address = "boolean",
    reuse_port = "boolean",
}

local function check_options(given)
    if given ~= nil and type(given) ~= "table" then
        bad("argument", "options", "udp", "table", given)
    end
    local how = {}
    for name, value in pairs(given or {}) do
        local wanted = datagram_options[name]
        if is_handler[name] then
            checks.function_of(value, name, "udp")
        elseif not wanted then
            raise("bad option " .. checks.named(name) .. " to 'udp'"
                .. checks.unknown(name, datagram_options, is_handler))
        elseif name == "max_size" then
            how[name] = check_size(value) or bad("option", name, "udp", wanted, value)
        elseif type(value) ~= "boolean" then
            bad("option", name, "udp", wanted, value)
        else
            how[name] = value
        end
    end
    return how
end

local function fact(place)
    return function(sock)
        return (select(place, native.datagram_facts(sock)))
    end
end

local methods = {
    close = datagram.close,
    join_group = datagram.join_group,
    leave_group = datagram.leave_group,
    pause = datagram.pause,
    resume = datagram.resume,
}

function methods.connect(sock, host, port)
    expect(sock, "connect")
    return datagram.connect(sock, check_host(host, "connect"), port_of(port, "connect", host))
end

function methods.read(sock)
    expect(sock, "read")
    return native.datagram_read(sock)
end

function methods.send_to(sock, data, host, port)
    expect(sock, "send_to")
    if type(data) ~= "string" then
        bad("argument", "data", "send_to", "string", data)
    elseif host ~= nil then
        host, port = check_host(host, "send_to"), port_of(port, "send_to", host)
    end
    return datagram.send(sock, data, false, host, port)
end

local Udp = core.class {
    name = "evsock.Udp",
    strict = true,
    kind = "datagram",
    anchor = "object",
    handlers = handlers,
    methods = methods,
    get = {
        host = fact(1),
        port = fact(2),
        fd = fact(3),
        bytes_read = fact(4),
        bytes_written = fact(5),
    },
    on = {
        datagram = function(sock)
            local handler = sock.on_datagram
            local data, host, port, cut = native.datagram_next(sock, handler ~= nil)
            if not data then
                return false
            end
            handler(sock, data, host, port, cut)
        end,
        unheard = function(sock, message, code)
            return core.unheard(sock, message, code)
        end,
    },
    tostring = function(sock)
        local host, port = native.datagram_facts(sock)
        return "evsock.Udp: " .. (host and "bound" or "closed") .. core.where(host, port)
    end,
}

return datagram, function(host, port, given)
    host = host == nil and "*" or check_host(host, "udp")
    port = port == nil and 0 or port_of(port, "udp", host)
    local how = check_options(given)
    local sock = Udp.new()
    for name, value in pairs(given or {}) do
        if is_handler[name] then
            sock[name] = value
        end
    end
    local ok, message, code = datagram.open(sock, host, port, how)
    if not ok then
        return nil, message, code
    end
    return sock
end
