-- Sockets for streams: what they are for scripts, and what dialects build theirs from.
--
-- Not here: the calls that wait (src/lua/task). Invariant: what reaches a native function was
-- checked.

local native, checks, evsock, core, inner = ...

local options, defaults = checks.options, checks.defaults
local bad, target_of = checks.bad, checks.target_of
local compile_tls, tls_of = checks.compile_tls, checks.tls_of
local check_property, check_options = checks.check_property, checks.check_options
local is_socket_handler = checks.is_socket_handler
local expect, where = inner.expect, core.where
local apply_options, get_option, set_option =
    inner.options.apply, inner.options.get, inner.options.set

-- Longer than any wait; every event ends it.
local LONG = 1e6

-- What dialects use ------------------------------------------------------------------------------

-- `sent(sock)`: bytes handed to the system, bytes that wait; the event `sent` comes with the next
-- progress.
core.socket = {}
for _, name in ipairs {
    "abort", "admit", "at_eof", "buffered", "close", "failure", "fd", "is_writable", "look",
    "mark", "peek", "pending", "read", "read_exact", "read_line", "read_text_line", "read_until",
    "release", "search", "sent", "shutdown", "state", "tls_facts", "write", "write_some",
} do
    core.socket[name] = native[name]
end

-- A redirect, which is a table of `host` and `port`, false (the lookup fails) or nil, as the native
-- side takes it.
function core.redirected(redirect)
    if redirect then
        return redirect.host, redirect.port
    end
    return redirect
end

local function start(sock, host, port, redirect)
    native.unregister(sock)
    local ok, message, code = native.connect(sock, host, port, core.redirected(redirect))
    native.register(sock)
    if not ok then
        return nil, message, code
    end
    return true
end

-- Without `redirect` the connection goes to `host` and `port`.
function core.socket.connect(sock, host, port, given, redirect)
    expect(sock, "socket", "connect")
    host, port, given = target_of(host, port, given, "connect")
    local checked = check_options(given, "connect", is_socket_handler)
    apply_options(sock, given, checked)
    for name, value in pairs(given or {}) do
        if is_socket_handler[name] then
            sock[name] = value
        end
    end
    return start(sock, host, port, redirect)
end

-- `timeout`: seconds without progress.
function core.socket.flush(sock, timeout)
    expect(sock, "socket", "flush")
    if timeout ~= nil and not checks.is_seconds(timeout) then
        bad("argument", "timeout", "flush", "seconds of at least 0, or nil", timeout)
    end
    local pending, deadline
    while true do
        local left = native.pending(sock)
        if left ~= pending then
            pending, deadline = left, timeout and native.wait_now() + timeout
        end
        local rest = deadline and native.left_until(deadline) or LONG
        local done, message, code = native.flush(sock, rest)
        if done ~= false then
            return done, message, code
        elseif rest == 0 and native.pending(sock) == pending then
            local host, port = native.target(sock)
            return nil, "flush" .. where(host, port) .. ": timed out", "ETIMEDOUT"
        end
    end
end

-- Holds a local port until the socket connects or is released: the port (0 picks one), or
-- nil, message, code. To use it the connection needs the option `bind`.
function core.socket.hold_port(sock, address, port)
    expect(sock, "socket", "hold_port")
    return native.hold_port(sock, address, port)
end

-- `given`: as the option `tls`; nil is `true`. `name`: whom a client expects, in place of where the
-- connection goes.
function core.socket.start_tls(sock, given, name)
    expect(sock, "socket", "start_tls")
    local compiled = tls_of(given == nil and true or given, "start_tls")
    if not compiled then
        bad("argument", "tls", "start_tls", "table or the result of evsock.tls", given)
    end
    return native.start_tls(sock, compiled, name)
end

function core.socket.get(sock, name)
    return get_option(sock, name)
end

function core.socket.set(sock, name, value)
    set_option(sock, name, value, check_property(name, value))
end

-- What a handshake has agreed on, with the peer's certificate, which is read for those who ask.
local function tls_of_socket(sock)
    local facts = native.tls_facts(sock)
    if facts then
        facts.peer = native.tls_peer(sock)
    end
    return facts
end

function core.socket.info(sock)
    expect(sock, "socket", "info")
    local info = native.info(sock) or {}
    info.state = native.state(sock)
    info.buffered = native.buffered(sock)
    info.host, info.port = native.target(sock)
    for name in pairs(defaults) do
        info[name] = get_option(sock, name)
    end
    info.tls = tls_of_socket(sock)
    return info
end

-- The class --------------------------------------------------------------------------------------

local function endpoint(field)
    return function(sock)
        local state = native.state(sock)
        if state == "open" or state == "closing" or state == "closed" then
            return (native.info(sock) or {})[field]
        end
    end
end

local socket_get = {
    state = native.state,
    buffered = native.buffered,
    pending = native.pending,
    fd = native.fd,
    host = function(sock)
        return (native.target(sock))
    end,
    port = function(sock)
        return (select(2, native.target(sock)))
    end,
    peer_address = endpoint "peer_address",
    peer_port = endpoint "peer_port",
    local_address = endpoint "local_address",
    local_port = endpoint "local_port",
}
local socket_set = {}
for name in pairs(options) do
    -- As an option `tls` is how to connect, as a property what the handshake has agreed on.
    if name ~= "tls" then
        socket_get[name] = function(sock)
            return get_option(sock, name)
        end
        socket_set[name] = function(sock, value)
            set_option(sock, name, value, check_property(name, value))
        end
    end
end
socket_get.tls = tls_of_socket

-- A connection keeps its interface.
local set_device = socket_set.device
function socket_set.device(sock, value)
    local state = native.state(sock)
    if state ~= "idle" and state ~= "closed" and state ~= "waiting" then
        native.raise("option 'device' of a socket cannot be changed while it is " .. state
            .. "; set it before 'connect'")
    end
    set_device(sock, value)
end

-- `task/socket_waits.lua` adds the waiting calls.
core.methods = {
    abort = native.abort,
    close = native.close,
    flush = core.socket.flush,
    connect = function(sock, host, port, given)
        return core.socket.connect(sock, host, port, given)
    end,
    info = core.socket.info,
    lines = native.lines,
    look = native.look,
    mark = native.mark,
    peek = native.peek,
    read = native.read,
    read_exact = native.read_exact,
    read_line = native.read_line,
    read_until = native.read_until,
    search = native.search,
    shutdown = native.shutdown,
    start_tls = function(sock, given)
        return core.socket.start_tls(sock, given)
    end,
    write = native.write,
    write_some = native.write_some,
}

local Socket = core.class {
    name = "evsock.Socket",
    strict = true,
    kind = "socket",
    anchor = "object",
    handlers = native.handlers.socket,
    get = socket_get,
    set = socket_set,
    on = { unhandled = inner.unhandled },
    methods = core.methods,
    tostring = function(sock)
        local host, port = native.target(sock)
        if not host then
            local info = native.info(sock) or {}
            host, port = info.peer_address, info.peer_port
        end
        return "evsock.Socket: " .. native.state(sock) .. where(host, port)
    end,
}

-- What makes them --------------------------------------------------------------------------------

-- The handlers among `given`, in a table that objects will share, so it must not change; and their
-- count.
local function handlers_of(given)
    local set, count = {}, 0
    for name, value in pairs(given) do
        if is_socket_handler[name] then
            set[name] = value
            count = count + 1
        end
    end
    return set, count
end

-- The same, but the table of the socket made before, if its handlers were these: a thousand
-- connections with the same handlers need one table.
local last, last_count = setmetatable({}, { __mode = "v" }), 0
local function shared_handlers(given)
    local set, count, expected = last.set, 0, last_count
    for name, value in pairs(given) do
        if is_socket_handler[name] then
            count = count + 1
            if set and set[name] ~= value then
                set = nil
            end
        end
    end
    if not set or count ~= expected then
        set, count = handlers_of(given)
        last.set, last_count = set, count
    end
    return set, count
end

-- For sockets of our class alone: a dialect may have a setter for a handler.
local function set_handlers(sock, set, count)
    if count > 0 and not native.set_handlers(sock, set, count) then
        for name, value in pairs(set) do
            sock[name] = value
        end
    end
end

function evsock.tls(given)
    if type(given) ~= "table" or given == evsock then
        bad("argument", "tls", "tls", "table", given)
    end
    return compile_tls(given, "tls")
end

local function new_socket(given, call)
    local checked = check_options(given, call, is_socket_handler)
    local sock = Socket.new()
    if given then
        apply_options(sock, given, checked)
        set_handlers(sock, shared_handlers(given))
    end
    return sock
end

function evsock.socket(given)
    return new_socket(given, "socket")
end

function evsock.connect(host, port, given)
    host, port, given = target_of(host, port, given, "connect")
    local sock = new_socket(given, "connect")
    local ok, message, code = start(sock, host, port)
    if not ok then
        return nil, message, code
    end
    return sock
end

inner.Socket, inner.handlers_of, inner.set_handlers = Socket, handlers_of, set_handlers
