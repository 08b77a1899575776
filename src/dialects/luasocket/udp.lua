-- LuaSocket: `udp{unconnected}`, which becomes `udp{connected}` by `setpeername`.
--
-- Not here: datagrams themselves (the core), what options do. Invariants: an object has one native
-- socket, which is opened anew where its end changes; what was set and joined before holds then,
-- too. A failure that the network tells of what was sent ends one later call.

local evsock, core = ...
local shared = core.part "luasocket/shared"
local options = core.part "luasocket/options"
local dns = core.part "luasocket/dns"
local datagram, system = core.datagram, core.system
local expect, word = shared.expect, shared.word

local CLOSED, NO_DESCRIPTOR, REFUSED = "closed", "Bad file descriptor", "refused"
local NO_NAME, NO_FAMILY =
    "Name or service not known", "Address family for hostname not supported"
local ANY = { inet = "0.0.0.0", inet6 = "::" }
local DEFAULT_SIZE = 8192

local Connected, Unconnected

local Datagrams = core.class {
    name = "LuaSocket datagrams", kind = "datagram", anchor = "handlers",
    on = {
        -- It stays to be read.
        datagram = function(sock)
            datagram.next(sock, false)
            return false
        end,
        error = function(sock, message, code)
            sock.problem = word(message, code)
            return false
        end,
    },
}

local function family_of(address)
    return address:find(":", 1, true) and "inet6" or "inet"
end

local function port_of(text)
    local number = text == "" and 0 or tonumber(text)
    return number and core.port(number)
end

-- The native socket ------------------------------------------------------------------------------

-- What holds before it is bound.
local BEFORE = { reuseaddr = "reuse_address", reuseport = "reuse_port" }

-- What was set and joined, for the descriptor that takes the place of the one before.
local function set_again(object)
    for name, value in pairs(object.kept) do
        if not BEFORE[name] then
            system.set_option(object.core, name, value)
        end
    end
    for _, group in pairs(object.groups) do
        datagram.join_group(object.core, group.address, group.interface)
    end
end

-- Opens it at that address, or at any: true, or nil and a word.
local function open(object, family, host, port)
    local how = {}
    for name, ours in pairs(BEFORE) do
        how[ours] = object.kept[name] or nil
    end
    object.core = object.core or Datagrams.new()
    local ok, message, code = datagram.open(object.core, host or ANY[family], port or 0, how)
    if not ok then
        object.core = nil
        return nil, word(message, code)
    end
    object.family, object.shows_port = family, port ~= nil
    set_again(object)
    return true
end

-- The native socket of an object that is to be used with that address, or nil and a word.
local function socket_for(object, address)
    local family = family_of(address)
    if object.core and object.family == family then
        return object.core
    elseif object.core or object.family and object.family ~= family then
        return nil, NO_FAMILY
    end
    local ok, why = open(object, family)
    return ok and object.core or nil, why
end

local function new(family)
    local object = shared.new(Unconnected)
    object.kept, object.groups = {}, {}
    if family then
        local ok, why = open(object, family)
        if not ok then
            return nil, why
        end
    end
    return object
end

-- Receiving --------------------------------------------------------------------------------------

-- The failure that was told of something sent, once.
local function take_problem(sock)
    local problem = sock.problem
    sock.problem = nil
    return problem
end

-- Data, host and port; or nil and a word.
local function receive(object, size)
    local sock = object.core
    if not sock then
        return nil, CLOSED
    end
    local data, host, port, problem
    local function take()
        if object.core ~= sock then
            problem = CLOSED
            return true
        end
        data, host, port = datagram.read(sock)
        problem = not data and take_problem(sock) or nil
        return data ~= nil or problem ~= nil
    end
    if not take() then
        local start = evsock.now()
        if shared.left(object, start) == 0 then
            evsock.attend(sock)
            if not take() then
                return nil, "timeout"
            end
        else
            local ok, why = shared.wait(object, { sock }, take, start)
            if not ok then
                return nil, why
            end
        end
    end
    if not data then
        return nil, problem
    end
    return #data > size and data:sub(1, size) or data, host, port
end

local function size_of(value, method)
    return math.max(0, shared.number(value, 1, method, DEFAULT_SIZE))
end

-- Methods ----------------------------------------------------------------------------------------

local methods = {}

function methods.receive(object, size)
    expect(object, "udp{any}", "receive")
    local data, why = receive(object, size_of(size, "receive"))
    if data then
        return data
    end
    return nil, why
end

function methods.receivefrom(object, size)
    expect(object, "udp{unconnected}", "receivefrom")
    return receive(object, size_of(size, "receivefrom"))
end

local function answer(data, ok, message, code)
    if ok then
        return #data
    end
    return nil, code == "ECLOSED" and REFUSED or word(message, code)
end

function methods.send(object, data)
    expect(object, "udp{connected}", "send")
    data = shared.text(data, 1, "send")
    local sock = object.core
    if not sock then
        return nil, REFUSED
    end
    evsock.attend(sock)
    local problem = take_problem(sock)
    if problem then
        return nil, problem
    end
    return answer(data, datagram.send(sock, data, false))
end

function methods.sendto(object, data, host, port)
    expect(object, "udp{unconnected}", "sendto")
    data = shared.text(data, 1, "sendto")
    host = shared.text(host, 2, "sendto")
    port = port_of(shared.text(port, 3, "sendto"))
    if not (port and core.is_numeric(host)) then
        return nil, NO_NAME
    elseif object.is_closed then
        return nil, REFUSED
    end
    local sock, why = socket_for(object, host)
    if not sock then
        return nil, why
    end
    object.shows_port = true
    return answer(data, datagram.send(sock, data, false, host, port))
end

function methods.setsockname(object, host, port)
    expect(object, "udp{unconnected}", "setsockname")
    host = shared.text(host, 1, "setsockname")
    port = port_of(shared.text(port, 2, "setsockname"))
    if not port then
        return nil, "service not supported for socket type"
    elseif object.shows_port then
        return nil, "Invalid argument"
    end
    local list, why = dns.addresses(host, object.family)
    for _, entry in ipairs(list or {}) do
        local ok
        ok, why = open(object, entry.family, entry.addr, port)
        if ok then
            object.bound = { entry.addr, (select(2, datagram.facts(object.core))) }
            return 1
        end
    end
    return nil, why
end

-- Others may send again: from its own end, if that was fixed. `port`: otherwise from that one.
local function disconnect(object, port)
    local bound = object.bound or { nil, port }
    setmetatable(object, Unconnected)
    if object.core then
        open(object, object.family, bound[1], bound[2])
    end
    return 1
end

function methods.setpeername(object, host, port)
    expect(object, "udp{any}", "setpeername")
    host = shared.text(host, 1, "setpeername")
    if host == "*" then
        return disconnect(object)
    end
    port = port_of(shared.text(port, 2, "setpeername"))
    if not port then
        return nil, "service not supported for socket type"
    end
    local list, why = dns.addresses(host, object.family)
    if list and object.core and getmetatable(object) == Connected then
        disconnect(object, (select(2, datagram.endpoints(object.core))))
    end
    for _, entry in ipairs(list or {}) do
        local sock
        sock, why = socket_for(object, entry.addr)
        if sock then
            local ok, message, code = datagram.connect(sock, entry.addr, port)
            if ok then
                object.shows_port, object.is_closed = true, nil
                setmetatable(object, Connected)
                return 1
            end
            why = word(message, code)
        end
    end
    return nil, why
end

function methods.getsockname(object)
    expect(object, "udp{any}", "getsockname")
    if not object.core then
        return nil, NO_DESCRIPTOR
    elseif not object.shows_port then
        return ANY[object.family], "0", object.family
    end
    local host, port = datagram.endpoints(object.core)
    return host, tostring(port), object.family
end

function methods.getpeername(object)
    expect(object, "udp{connected}", "getpeername")
    if not object.core then
        return nil, NO_DESCRIPTOR
    end
    local _, _, host, port = datagram.endpoints(object.core)
    if not host then
        return nil, "Transport endpoint is not connected"
    end
    return host, port, object.family
end

function methods.getfamily(object)
    expect(object, "udp{any}", "getfamily")
    return object.family == "inet6" and "inet6" or "inet4"
end

function methods.getfd(object)
    expect(object, "udp{any}", "getfd")
    return shared.descriptor(object)
end

function methods.close(object)
    expect(object, "udp{any}", "close")
    local sock = object.core
    object.core, object.bound, object.shows_port, object.is_closed = nil, nil, nil, true
    if sock then
        datagram.close(sock)
    end
    return 1
end

-- A negative number takes the descriptor away; the core keeps all others itself.
function methods.setfd(object, number)
    expect(object, "udp{any}", "setfd")
    shared.check_setfd(number, "evsock.udp and the calls of this module")
    methods.close(object)
end

function methods.dirty(object)
    expect(object, "udp{any}", "dirty")
    return false
end

local function set_member(object, joins, group)
    local call = joins and datagram.join_group or datagram.leave_group
    if not call(object.core, group.address, group.interface) then
        return false
    end
    local key = group.address .. " " .. (group.interface or "")
    object.groups[key] = joins and group or nil
    return true
end

function methods.setoption(object, name, value)
    expect(object, "udp{any}", "setoption")
    local kept
    name, kept = options.take(options.udp, name, value)
    local sock, ok = object.core, nil
    if sock and name:find("membership$") then
        ok = set_member(object, name:find("add", 1, true) ~= nil, kept)
    elseif sock and name == "ipv6-v6only" then
        -- The core sees to that, and knows no other way.
        ok = kept and object.family == "inet6"
    elseif sock then
        ok = system.set_option(sock, name, kept)
        object.kept[name] = kept
    end
    if not ok then
        return nil, "setsockopt failed"
    end
    return 1
end

function methods.getoption(object, name)
    expect(object, "udp{any}", "getoption")
    if name == "error" and object.core then
        return take_problem(object.core)
    end
    return options.get(object, options.udp, name)
end

shared.add_timeouts(methods, "udp{any}")

Connected = shared.class("udp{connected}", { "udp{any}" }, methods)
Unconnected = shared.class("udp{unconnected}", { "udp{any}" }, methods)

local poll = {
    source = function(object)
        return object.core
    end,
    readable = function(object)
        local sock = object.core
        return sock ~= nil and (datagram.ready(sock) ~= 0 or sock.problem ~= nil)
    end,
    writable = function(object)
        return object.core ~= nil
    end,
}
shared.selectable(Connected, poll)
shared.selectable(Unconnected, poll)

-- The module -------------------------------------------------------------------------------------

local module = { _DATAGRAMSIZE = DEFAULT_SIZE }

function module.udp()
    return new(nil)
end

function module.udp4()
    return new("inet")
end

function module.udp6()
    return new("inet6")
end

return { module = module }
