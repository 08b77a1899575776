-- UDP sockets: what they are for scripts, and what dialects build theirs from. Loaded when it is
-- first asked for; returns what dialects use and `evsock.udp`.
--
-- Not here: queues and lookups (`src/net`). Invariant: what reaches a native function was checked.

local native, checks, core = ...

native.need(native, "udp")

local raise, bad = native.raise, checks.bad
local port_of = checks.port_of

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
    -- `next(sock, wanted)`: the datagram that an event `datagram` stands for: data, host, port,
    -- whether it was cut; nothing if it was taken already or the socket pauses. Each event must
    -- call it once; without `wanted` the datagram stays to be read.
    next = native.datagram_next,
    read = native.datagram_read,
    -- How many wait to be read.
    ready = native.datagram_ready,
    -- `set(sock, name, value)`: an option that may change while it is bound; true, or nil, message,
    -- code. `check_options` says what it may be.
    set = native.datagram_option,
    -- Host, port and descriptor while it is open; bytes received and sent.
    facts = native.datagram_facts,
    -- Our host and port, and those it is connected to.
    endpoints = native.datagram_endpoints,
}

-- `how`: see `evsock.udp`. A socket that is open is closed first.
function datagram.open(sock, host, port, how)
    native.unregister(sock)
    local ok, message, code = native.datagram_open(sock, host, port, how)
    native.register(sock)
    if not ok then
        return nil, message, code
    end
    return true
end

-- Without `host` it goes where the socket is connected. With `notify` the answer may be a number:
-- one of the events `sent` and `unsent` comes with it later.
function datagram.send(sock, data, notify, host, port, redirect)
    return native.datagram_send(sock, data, notify, host, port or 0, core.redirected(redirect))
end

function datagram.connect(sock, host, port, redirect)
    return native.datagram_connect(sock, host, port, core.redirected(redirect))
end

function datagram.close(sock)
    expect(sock, "close")
    native.unregister(sock)
    native.datagram_close(sock)
end

local function pause(paused)
    return function(sock)
        expect(sock, paused and "pause" or "resume")
        native.datagram_pause(sock, paused)
    end
end

datagram.pause, datagram.resume = pause(true), pause(false)

-- A group of IPv6 with the interface as its zone, which is how IPv6 names one. A group of IPv4 as
-- it is: there the interface is an address.
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

-- Options ----------------------------------------------------------------------------------------

local is_handler = checks.set_of(native.handlers.datagram)

local options, defaults = checks.read_list "udp"

-- Socket to its options, as far as they are not the defaults.
local chosen = setmetatable({}, { __mode = "k" })

local function set_option(sock, name, value)
    expect(sock, name)
    local checked, wanted = options[name](value)
    if checked == nil then
        bad("option", name, nil, wanted, value)
    end
    local ok, message = native.datagram_option(sock, name, checked)
    if not ok then
        -- An assignment has nothing to return.
        raise("bad value for '" .. name .. "' (" .. message:gsub("^[^:]*: ", "") .. ")")
    end
    chosen[sock] = chosen[sock] or {}
    chosen[sock][name] = value
end

local function fact(place)
    return function(sock)
        return (select(place, native.datagram_facts(sock)))
    end
end

local get = {
    host = fact(1),
    port = fact(2),
    fd = fact(3),
    bytes_read = fact(4),
    bytes_written = fact(5),
}
local set = {}
for name in pairs(options) do
    -- What `pause` and `resume` do is no property.
    if name ~= "paused" then
        get[name] = function(sock)
            local own = chosen[sock]
            if own and own[name] ~= nil then
                return own[name]
            end
            return defaults[name]
        end
        set[name] = function(sock, value)
            set_option(sock, name, value)
        end
    end
end
for _, name in ipairs { "reuse_address", "reuse_port" } do
    set[name] = function()
        raise("option '" .. name .. "' of a socket for datagrams cannot be changed once it is "
            .. "bound; give it to 'udp'")
    end
end

local function check_options(given)
    if given ~= nil and type(given) ~= "table" then
        bad("argument", "options", "udp", "table", given)
    end
    local how = {}
    for name, value in pairs(given or {}) do
        local check = options[name]
        if is_handler[name] then
            checks.function_of(value, name, "udp")
        elseif not check then
            raise("bad option " .. checks.named(name) .. " to 'udp'"
                .. checks.unknown(name, options, is_handler))
        else
            local checked, wanted = check(value)
            if checked == nil then
                bad("option", name, "udp", wanted, value)
            end
            how[name] = checked
        end
    end
    return how
end

-- The class --------------------------------------------------------------------------------------

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

function methods.receive(sock, timeout)
    expect(sock, "receive")
    return core.takers.receive(sock, timeout)
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
    handlers = native.handlers.datagram,
    methods = methods,
    get = get,
    set = set,
    on = {
        datagram = function(sock)
            local handler = sock.on_datagram
            local data, host, port, cut = native.datagram_next(sock, handler ~= nil)
            if not data then
                return false
            end
            handler(sock, data, host, port, cut)
        end,
        unhandled = function(sock, message, code)
            -- Who waits in `receive` hears of it.
            local takers = rawget(core, "takers")
            if takers and takers.fail(sock, message, code) then
                return false
            end
            return core.unhandled(sock, message, code)
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
        else
            chosen[sock] = chosen[sock] or {}
            chosen[sock][name] = value
        end
    end
    local ok, message, code = datagram.open(sock, host, port, how)
    if not ok then
        return nil, message, code
    end
    return sock
end
