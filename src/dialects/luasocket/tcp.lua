-- LuaSocket: `tcp{master}`, which becomes `tcp{client}` by `connect` and `tcp{server}` by `listen`.
--
-- Not here: `receive` and `send` (`stream.lua`), options (`options.lua`). Invariant: `core` of an
-- object is a native socket from its first descriptor on, a native server once it listens, and nil
-- once it is closed. `opened`: it has a descriptor of its own that neither connects nor listens;
-- `phase`: "connecting", "connected", or "acknowledged" once `connect` has said so a second time.

local evsock, core = ...
local shared = core.part "luasocket/shared"
local stream = core.part "luasocket/stream"
local options = core.part "luasocket/options"
local dns = core.part "luasocket/dns"
local sock_api, system = core.socket, core.system
local expect, word = shared.expect, shared.word

local CLOSED, NO_DESCRIPTOR = "closed", "Bad file descriptor"
local NOT_CONNECTED = "Transport endpoint is not connected"
-- What the system says of an address that the descriptor is not for, and what lookups say.
local OTHER_FAMILY = "Address family not supported by protocol"
local NO_FAMILY = "Address family for hostname not supported"

local Master, Client, Server

-- Addresses --------------------------------------------------------------------------------------

local function family_of(address)
    return address:find(":", 1, true) and "inet6" or "inet"
end

-- A port number from a number or its text; nil for what names no service here.
local function port_of(text)
    local number = text == "" and 0 or tonumber(text)
    return number and core.port(number)
end

local NO_SERVICE = "service not supported for socket type"

-- Host, port and family of our end, the port as text.
local function own_name(sock)
    local host, port = system.local_end(sock)
    if not host then
        return nil, NO_DESCRIPTOR
    end
    return host, tostring(port), family_of(host)
end

-- Early descriptors ------------------------------------------------------------------------------

-- A descriptor of that family before it is known what it is for.
local function open(object, family)
    object.core = object.core or stream.new_connection()
    local ok, message, code = system.open(object.core, family)
    if not ok then
        return nil, word(message, code)
    end
    if family == "inet6" then
        system.set_option(object.core, "ipv6-v6only", true)
    end
    object.family, object.opened = family, true
    return true
end

local function new(family)
    local object = stream.adopt(Master, nil)
    object.family = family or false
    if family then
        local ok, why = open(object, family)
        if not ok then
            return nil, why
        end
    end
    return object
end

-- Connecting -------------------------------------------------------------------------------------

-- Where an attempt stands: nil before it has ended, true, or false and a word.
local function outcome(sock)
    local state = sock_api.state(sock)
    if state == "open" then
        return true
    elseif state == "resolving" or state == "connecting" or state == "securing" then
        return nil
    end
    local message, code = sock_api.failure(sock)
    local why = message and word(message, code) or CLOSED
    return false, why == OTHER_FAMILY and NO_FAMILY or why
end

-- The attempt has failed. As the original, the object has a descriptor still, which is another.
local function forget(object)
    local sock = object.core
    object.core, object.phase = nil, false
    sock_api.release(sock)
    object.is_spare = not object.family
    open(object, object.family or "inet")
    if object.is_spare then
        object.family = false
    end
end

-- What `connect` says of an attempt that was begun before; nothing if a new one may begin.
local function earlier(object)
    local sock = object.core
    if object.phase == "acknowledged" then
        return nil, "already connected"
    end
    stream.catch_up(sock)
    local ok, why = outcome(sock)
    if ok then
        object.phase = "acknowledged"
        return 1
    elseif ok == nil then
        return nil, "Operation already in progress"
    end
    forget(object)
    return nil, why
end

local function begin(object, host, port)
    local ok, message, code
    if not object.core or object.is_spare then
        local sock = stream.Connection.new()
        object.core, object.is_spare = sock, nil
        ok, message, code = system.dial(sock, host, port, stream.template())
        system.register(sock)
    else
        if object.bound then
            -- Further addresses of a name are tried from the same end.
            sock_api.set(object.core, "bind", object.bound)
        end
        ok, message, code = sock_api.connect(object.core, host, port)
    end
    object.phase, object.opened = "connecting", nil
    if not ok then
        forget(object)
        return nil, word(message, code)
    end
    return true
end

local function await_connection(object, sock)
    local start = object.total >= 0 and evsock.now() or 0
    local ok, why = stream.wait(sock, "connect", shared.left(object, start))
    if object.core ~= sock then
        return nil, CLOSED
    elseif ok then
        object.phase = "connected"
        return 1
    end
    local stands, reason = outcome(sock)
    if stands == nil then
        return nil, why
    end
    forget(object)
    return nil, reason
end

local function connect(object, host, port)
    expect(object, "tcp{any}", "connect")
    host = shared.text(host, 1, "connect")
    port = port_of(shared.text(port, 2, "connect"))
    if object.listens then
        return nil, "already connected"
    end
    setmetatable(object, Client)
    if not port then
        return nil, NO_SERVICE
    elseif object.core and not object.opened then
        return earlier(object)
    end
    local ok, why = begin(object, host, port)
    if not ok then
        return nil, why
    elseif object.block == 0 or object.total == 0 then
        return nil, "timeout"
    end
    return await_connection(object, object.core)
end

-- Binding and listening --------------------------------------------------------------------------

-- Binds to the first of the addresses that works.
local function bind_to(object, host, port)
    local list, why = dns.addresses(host, object.family)
    if not list then
        return nil, why
    end
    for _, entry in ipairs(list) do
        local is_open = object.opened and object.family == entry.family
        if not is_open then
            is_open, why = open(object, entry.family)
        end
        if is_open then
            local ok, message, code = system.bind(object.core, entry.addr, port)
            if ok then
                object.bound = { system.local_end(object.core) }
                return 1
            end
            why = word(message, code)
        end
    end
    return nil, why
end

local function bind(object, host, port)
    expect(object, "tcp{master}", "bind")
    host = shared.text(host, 1, "bind")
    port = port_of(shared.text(port, 2, "bind"))
    if not port then
        return nil, NO_SERVICE
    end
    return bind_to(object, host, port)
end

local Listener = core.class {
    name = "LuaSocket listener", kind = "server", anchor = "handlers",
}

-- The server that listens by the socket which the object has had.
function stream.listen(object, backlog)
    local server = Listener.new()
    local ok, message, code = system.listen(
        server, object.core, backlog, stream.Connection.number, stream.template())
    if not ok then
        return nil, word(message, code)
    end
    system.register(server)
    object.core, object.listens = server, true
    return server
end

local function listen(object, backlog)
    expect(object, "tcp{master}", "listen")
    backlog = shared.number(backlog, 1, "listen", 32)
    if not object.opened then
        return nil, NO_DESCRIPTOR
    end
    local server, why = stream.listen(object, math.max(0, backlog - backlog % 1))
    if not server then
        return nil, why
    end
    setmetatable(object, Server)
    return 1
end

-- The next connection as a stream of the class, or nil and a word.
function stream.accept(object, metatable)
    local server = object.core
    local sock = server and core.server.accept(server)
    if server and not sock then
        local ok, why = shared.wait(object, { server }, function()
            sock = object.core == server and core.server.accept(server) or nil
            return sock ~= nil or object.core ~= server
        end, evsock.now())
        if not ok then
            return nil, why
        end
    end
    if not sock then
        return nil, CLOSED
    end
    return stream.adopt(metatable, sock)
end

local function accept(object)
    expect(object, "tcp{server}", "accept")
    local client, why = stream.accept(object, Client)
    if client then
        client.phase = "acknowledged"
    end
    return client, why
end

-- What all have ----------------------------------------------------------------------------------

local methods = stream.methods("tcp{client}")
methods.accept, methods.bind, methods.connect, methods.listen = accept, bind, connect, listen
methods.setpeername, methods.setsockname = connect, bind

function methods.close(object)
    expect(object, "tcp{any}", "close")
    if object.listens then
        local server = object.core
        object.core = nil
        if server then
            core.server.close(server)
        end
    else
        stream.close(object)
    end
    object.opened, object.phase, object.bound = nil, false, nil
    return 1
end

function methods.dirty(object)
    expect(object, "tcp{any}", "dirty")
    return stream.is_dirty(object)
end

function methods.getfamily(object)
    expect(object, "tcp{any}", "getfamily")
    return object.family == "inet6" and "inet6" or "inet4"
end

function methods.getfd(object)
    expect(object, "tcp{any}", "getfd")
    return shared.descriptor(object)
end

-- A negative number takes the descriptor away; the core keeps all others itself.
function methods.setfd(object, number)
    expect(object, "tcp{any}", "setfd")
    shared.check_setfd(number, "evsock.connect and evsock.listen")
    methods.close(object)
end

function methods.getpeername(object)
    expect(object, "tcp{any}", "getpeername")
    local sock = object.core
    if not sock then
        return nil, NO_DESCRIPTOR
    end
    local info = not object.listens and sock_api.state(sock) == "open" and sock_api.info(sock)
    if not (info and info.peer_address) then
        return nil, NOT_CONNECTED
    end
    return info.peer_address, info.peer_port, family_of(info.peer_address)
end

function methods.getsockname(object)
    expect(object, "tcp{any}", "getsockname")
    if not object.core then
        return nil, NO_DESCRIPTOR
    end
    return own_name(object.core)
end

function methods.setoption(object, name, value)
    expect(object, "tcp{any}", "setoption")
    return options.set(object, options.tcp, name, value)
end

function methods.getoption(object, name)
    expect(object, "tcp{any}", "getoption")
    if name ~= "error" or object.listens or not object.core then
        return options.get(object, options.tcp, name)
    end
    -- The core asks the system for it, which tells it once.
    if object.phase == "connecting" then
        stream.catch_up(object.core)
        local ok, why = outcome(object.core)
        if ok == false then
            forget(object)
            return why
        end
    end
    return nil
end

shared.add_timeouts(methods, "tcp{any}")

Master = shared.class("tcp{master}", { "tcp{any}" }, methods)
Client = shared.class("tcp{client}", { "tcp{any}" }, methods)
Server = shared.class("tcp{server}", { "tcp{any}" }, methods)

-- select -----------------------------------------------------------------------------------------

local function source(object)
    return object.core
end

-- One that neither listens nor connects is ready for both, as the system has it.
local function connection(is_ready)
    return function(object)
        local sock = object.core
        return sock ~= nil and (object.opened or outcome(sock) ~= nil and is_ready(sock))
    end
end

-- Those of other families have the same.
local polls = {
    master = { source = source, readable = source, writable = source },
    client = {
        source = source,
        readable = connection(stream.is_readable),
        writable = connection(sock_api.is_writable),
    },
    server = {
        source = source,
        readable = function(object)
            return object.core ~= nil and system.has_waiting(object.core)
        end,
        writable = function()
            return false
        end,
    },
}
shared.selectable(Master, polls.master)
shared.selectable(Client, polls.client)
shared.selectable(Server, polls.server)

-- The module -------------------------------------------------------------------------------------

local module = {}

function module.tcp()
    return new(nil)
end

function module.tcp4()
    return new("inet")
end

function module.tcp6()
    return new("inet6")
end

local families = { unspec = false, inet = "inet", inet4 = "inet", inet6 = "inet6" }

-- The peer's end, ours if that is given, and the family.
function module.connect(host, port, own_host, own_port, family)
    host = shared.text(host, 1, "connect")
    port = shared.text(port, 2, "connect")
    family = shared.text(family, 5, "connect", "unspec")
    if families[family] == nil then
        shared.bad_argument(5, "connect", "invalid option '" .. family .. "'")
    end
    local object, why = new(families[family] or nil)
    local ok = object
    if object and (own_host or own_port) then
        ok, why = bind(object, own_host or "*", own_port or "0")
    end
    if ok then
        ok, why = connect(object, host, port)
    end
    if not ok then
        if object then
            methods.close(object)
        end
        return nil, why
    end
    return object
end

return { module = module, outcome = outcome, polls = polls }
