-- Servers: what they are for scripts, and what dialects build theirs from.
--
-- Not here: accepted sockets (`socket.lua`). Invariant: what reaches a native function was checked.

local native, checks, evsock, core, inner = ...

local raise, bad, target_of = native.raise, checks.bad, checks.target_of
local options, defaults, check_options = checks.options, checks.defaults, checks.check_options
local accepted_defaults = checks.accepted_defaults
local server_options, server_defaults = checks.server_options, checks.server_defaults
local is_socket_handler, is_server_handler = checks.is_socket_handler, checks.is_server_handler
local expect, handlers_of, set_handlers = inner.expect, inner.handlers_of, inner.set_handlers
local Socket = inner.Socket
local apply_options, copy_of, inherit =
    inner.options.apply, inner.options.copy_of, inner.options.inherit

-- What dialects use ------------------------------------------------------------------------------

core.server = {}

-- Adds an address to a server. Accepted sockets are of `class`; `anchor`, as in the definition of a
-- class, says what keeps them alive.
function core.server.listen(server, host, port, given, class, anchor)
    expect(server, "server", "listen")
    host, port, given = target_of(host, port, given, "listen")
    local checked = check_options(given, "listen", {}, server_options)
    apply_options(server, given, checked)
    native.unregister(server)
    local ok, message, code = native.listen(
        server, host, port, checked, class.number, anchor == "handlers")
    native.register(server)
    if not ok then
        return nil, message, code
    end
    return select(2, native.server_info(server)) or true
end

function core.server.close(server)
    expect(server, "server", "close")
    native.unregister(server)
    native.server_close(server)
end

-- The address and port that it listens on.
function core.server.address(server)
    local address, port = native.server_info(server)
    return address, port
end

-- The next connection that waits, in place of its event.
core.server.accept = native.accept

core.server.fd = native.fd

-- From now on accepted sockets are closed, silently, when the server is collected.
function core.server.keep_sockets(server)
    expect(server, "server", "keep_sockets")
    native.sockets_die_with_server(server)
end

local function pause(paused)
    return function(server)
        expect(server, "server", paused and "pause" or "resume")
        native.server_pause(server, paused)
    end
end

core.server.pause, core.server.resume = pause(true), pause(false)

core.server.info = native.server_info

-- What `listen` was given ------------------------------------------------------------------------

-- Server to what `listen` was given: `handlers` of accepted sockets and their `count`; `sockets`, a
-- metatable whose `__index` are the options of accepted sockets, or nil; `server`, its own options.
local settings_of = setmetatable({}, { __mode = "k" })

-- For an accepted socket.
local function apply_settings(server, sock)
    local settings = settings_of[server]
    if settings then
        set_handlers(sock, settings.handlers, settings.count)
        if settings.sockets then
            inherit(sock, settings.sockets)
        end
    end
    return settings
end

local function get_server_option(server, name)
    local settings = settings_of[server]
    local given = settings and settings.sockets and settings.sockets.__index[name]
    if given == nil then
        given = settings and settings.server[name]
    end
    if given ~= nil then
        return given
    elseif accepted_defaults[name] ~= nil then
        return accepted_defaults[name]
    elseif server_defaults[name] ~= nil then
        return server_defaults[name]
    end
    return defaults[name]
end

local function set_server_option(server, name, value)
    expect(server, "server", name)
    local settings = settings_of[server]
    if not settings then
        -- It is of a dialect, whose servers have no options.
        native.misuse(server, "evsock.Server", name)
    end
    local check = options[name] or server_options[name]
    local checked, wanted = check(value, "listen")
    if checked == nil then
        bad("option", name, nil, wanted, value)
    end
    if not options[name] then
        settings.server[name] = checked
        native.server_bounds(server, settings.server)
        return
    elseif name == "tls" and checked and not settings.had_tls then
        raise("bad value for 'tls' (the server listens without TLS, and those who know its port"
            .. " speak none; listen on another port with the option 'tls')")
    end
    native.set_option(server, name, checked)
    -- Sockets that were accepted before keep the table that they have.
    local now = {}
    for other, given in pairs(settings.sockets and settings.sockets.__index or {}) do
        now[other] = given
    end
    -- A compiled one holds no keys that the script could read back.
    now[name] = name == "tls" and checked or copy_of(value)
    settings.sockets = { __index = now }
end

-- The class --------------------------------------------------------------------------------------

local server_get = {
    address = function(server)
        return (native.server_info(server))
    end,
    port = function(server)
        return (select(2, native.server_info(server)))
    end,
    connections = function(server)
        return (select(3, native.server_info(server)))
    end,
    fd = native.fd,
}
local server_set = {}
for _, names in ipairs { options, server_options } do
    for name in pairs(names) do
        server_get[name] = function(server)
            return get_server_option(server, name)
        end
        server_set[name] = function(server, value)
            set_server_option(server, name, value)
        end
    end
end
for _, name in ipairs { "backlog", "device", "reuse_port" } do
    server_set[name] = function()
        raise("option '" .. name .. "' of a server cannot be changed while it listens; give it "
            .. "to 'listen'")
    end
end

-- From now on connections wait for `accept`, though accepted sockets have handlers of `listen`.
function core.server.hold(server)
    local settings = settings_of[server]
    if settings and settings.count > 0 and not settings.holds then
        settings.holds = true
        native.server_waits(server, server.on_accept == nil)
    end
end

-- A connection that waits now, or nil.
function inner.accept_now(server)
    local sock, message, code = core.server.accept(server)
    if not sock then
        return nil, message, code
    end
    apply_settings(server, sock)
    return sock
end

local Server = core.class {
    name = "evsock.Server",
    strict = true,
    kind = "server",
    anchor = "object",
    handlers = native.handlers.server,
    get = server_get,
    set = server_set,
    on = {
        accept = function(server, sock)
            apply_settings(server, sock)
            local on_accept = server.on_accept
            if not on_accept then
                -- A socket without handlers waits for `accept`, this one has some of its own.
                return false
            end
            on_accept(server, sock)
        end,
        unhandled = inner.unhandled,
    },
    methods = {
        accept = function(server, timeout)
            if timeout == nil then
                return inner.accept_now(server)
            end
            return core.takers.accept(server, timeout)
        end,
        close = core.server.close,
        info = function(server)
            expect(server, "server", "info")
            return core.objects.server_info(server)
        end,
        pause = core.server.pause,
        resume = core.server.resume,
    },
    tostring = function(server)
        local address, port = native.server_info(server)
        local state = address and "listening" or "closed"
        return "evsock.Server: " .. state .. core.where(address, port)
    end,
}

local listen_handlers = {}
for _, list in ipairs { native.handlers.socket, native.handlers.server } do
    for _, name in ipairs(list) do
        listen_handlers[name] = true
    end
end

function evsock.listen(host, port, given)
    host, port, given = target_of(host, port, given, "listen")
    if host:sub(1, 5) == "unix:" then
        port = nil
    end
    local checked = check_options(given, "listen", listen_handlers, server_options)
    if given and given.on_connect then
        raise("bad option 'on_connect' to 'listen' (it never comes for an accepted socket;"
            .. " 'on_accept' tells of each)")
    end
    local listed, settings = {}, { sockets = {}, server = {} }
    settings.handlers, settings.count = handlers_of(given or {})
    settings.had_tls = checked.tls and true
    for name, value in pairs(given or {}) do
        if not (is_socket_handler[name] or is_server_handler[name]) then
            -- A TLS table is compiled once.
            value = name == "tls" and checked.tls or value
            listed[name] = value
            if options[name] then
                settings.sockets[name] = name == "tls" and value or copy_of(value)
            else
                settings.server[name] = checked[name]
            end
        end
    end
    settings.sockets = next(settings.sockets) ~= nil and { __index = settings.sockets } or nil
    local server = Server.new()
    settings_of[server] = settings
    for name, value in pairs(given or {}) do
        if is_server_handler[name] then
            server[name] = value
        end
    end
    local listening, message, code =
        core.server.listen(server, host, port, listed, Socket, "object")
    if not listening then
        return nil, message, code
    elseif settings.count == 0 then
        native.server_waits(server, server.on_accept == nil)
    end
    return server
end
