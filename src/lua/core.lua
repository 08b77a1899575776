-- The outside of the native API: classes, sockets, servers, timers, the loop.
--
-- Not here: what arguments and options may be (`options.lua`), tasks and the waiting calls
-- (`tasks.lua`), dialects (src/dialects). Invariant: what reaches a native function was checked.

local native, checks, version = ...

local evsock = native.module
local core = {}
local raise = native.raise

local options, defaults = checks.names, checks.defaults
local bad, whole, set_of = checks.bad, checks.whole, checks.set_of
local target_of, function_of = checks.target_of, checks.function_of
local seconds_of, is_seconds, boolean = checks.seconds_of, checks.is_seconds, checks.boolean
local check_property, check_options = checks.check_property, checks.check_all
local compile_tls, tls_of = checks.compile_tls, checks.tls_of
local is_socket_handler, is_server_handler = checks.is_socket_handler, checks.is_server_handler
local socket_handlers, server_handlers = checks.socket_handlers, checks.server_handlers

-- Longer than any wait; every event ends it.
local LONG = 1e6

-- Options ---------------------------------------------------------------------------------------

-- Options that a script has set differ from the defaults; they are kept here, by object, so that
-- reading one back needs no second truth in the native side.
local chosen = setmetatable({}, { __mode = "k" })

local function set_option(object, name, value, values)
    native.set_option(object, name, values[1], values[2], values[3], values[4])
    if name == "tls" then
        return -- keys are not kept here
    end
    local own = chosen[object]
    if not own then
        own = {}
        chosen[object] = own
    end
    if type(value) == "table" then
        -- The script's table stays the script's.
        local copy = {}
        for key, item in pairs(value) do
            copy[key] = item
        end
        value = copy
    end
    own[name] = value
end

-- The handshake of an accepted connection may take less than an attempt to connect.
local HANDSHAKE_TIMEOUT = 10

local function get_option(object, name)
    local own = chosen[object]
    if own and own[name] ~= nil then
        return own[name]
    elseif name == "connect_timeout" and not native.target(object)
        and native.state(object) ~= "idle" then
        return HANDSHAKE_TIMEOUT
    end
    return defaults[name]
end

-- Classes -----------------------------------------------------------------------------------------

local events = {
    socket = {
        resolve = 1, connect = 2, data = 3, drain = 4, ["end"] = 5, close = 6, reconnect = 7,
        secure = 11, mark = 12, note = 13,
        -- For classes alone: TCP stands and the handshake begins; some of what waited was sent.
        securing = 14, sent = 15,
        -- A failure that meets no handler; the classes of dialects leave it to their hosts.
        unheard = 18,
    },
    server = { accept = 8, error = 9, note = 13, unheard = 18 },
    timer = { timer = 10 },
    -- For classes alone, with the number of a datagram: it is with the system; it never will be.
    datagram = {
        connect = 2, error = 9, note = 13, sent = 15, datagram = 16, unsent = 17, unheard = 18,
    },
}
local kinds = { socket = 0, server = 1, timer = 2, datagram = 3 }

-- Builds a class: see "One userdata, many classes" in src/README.md.
function core.class(definition)
    local name, kind = definition.name, definition.kind
    local methods, get = definition.methods or {}, definition.get or {}
    local anchored_by_handlers = definition.anchor == "handlers"
    local close = methods.close or definition.close
    local handlers = set_of(definition.handlers or {})
    -- `strict`: names that begin with "on_" are handlers, and no fields of the script's own.
    local refuse = definition.strict and function(_, field)
        local advice = checks.meant(field, handlers)
        raise("unknown handler " .. checks.named(field) .. " of " .. name
            .. (advice and " (" .. advice .. ")" or ""))
    end or nil
    local metatable = {
        __name = name,
        __type = name,
        -- What the indexers hide; spec/meta_spec.lua compares it with what editors are told.
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
    for event, number in pairs(events[kind]) do
        metatable[number] = definition.on and definition.on[event]
    end
    local number = #native.metatables + 1
    native.metatables[number] = metatable
    -- What scripts see is a copy: memory is safe as long as the true one keeps its finaliser.
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
        return native.create(metatable, kinds[kind], anchored_by_handlers)
    end
    return class
end

-- Sockets -----------------------------------------------------------------------------------------

core.raise = raise
-- A value, and an unknown name, as messages of misuse show them.
core.got, core.named, core.unknown = checks.got, checks.named, checks.unknown
core.post = native.post
-- `field(object, key)`: what it keeps there; nil for what is no object of ours.
-- `misuse(value, class, call)`: raises that the call's object is none of that class.
core.field, core.misuse = native.field, native.misuse
-- `sent(sock)`: bytes handed to the system, bytes that wait; the event `sent` tells the next
-- progress.
core.socket = {}
for _, name in ipairs {
    "abort", "buffered", "close", "forget", "lines", "look", "mark", "peek", "pending", "read",
    "read_exact", "read_line", "read_until", "release", "search", "sent", "shutdown", "state",
    "write",
} do
    core.socket[name] = native[name]
end

local function expect(object, kind, call)
    if native.kind(object) ~= kind then
        native.misuse(object, kind, call)
    end
end

local function apply_options(object, given, checked)
    for name, values in pairs(checked) do
        if options[name] then
            set_option(object, name, given[name], values)
        end
    end
end

local function apply(object, given, checked, handlers)
    apply_options(object, given, checked)
    for name, value in pairs(given or {}) do
        if handlers[name] then
            object[name] = value
        end
    end
end

-- Handlers and how many they are, in a table that objects share: it must not change any more.
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

-- The table of the socket made before, if its handlers were the same: a thousand connections with
-- the same handlers need one table.
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

-- For sockets of the native class: others may treat handlers in their own way.
local function equip(sock, set, count)
    if count > 0 and not native.equip(sock, set, count) then
        for name, value in pairs(set) do
            sock[name] = value
        end
    end
end

local function set_out(sock, host, port, route)
    native.unbind(sock)
    local detour, to = route, nil
    if route then
        detour, to = route.host, route.port
    end
    local ok, message, code = native.connect(sock, host, port, detour, to)
    native.bind(sock)
    if not ok then
        return nil, message, code
    end
    return true
end

-- `route`: see `common.settings`; nil goes where the script says.
function core.socket.connect(sock, host, port, given, route)
    expect(sock, "socket", "connect")
    host, port, given = target_of(host, port, given, "connect")
    local checked = check_options(given, "connect", is_socket_handler)
    apply(sock, given, checked, is_socket_handler)
    return set_out(sock, host, port, route)
end

-- `timeout`: how long nothing may move.
function core.socket.flush(sock, timeout)
    expect(sock, "socket", "flush")
    if timeout ~= nil and not is_seconds(timeout) then
        bad("argument", "timeout", "flush", "seconds of at least 0, or nil", timeout)
    end
    local pending, deadline
    while true do
        local left = native.pending(sock)
        if left ~= pending then
            pending, deadline = left, timeout and evsock.now() + timeout
        end
        local rest = deadline and math.max(0, deadline - evsock.now()) or LONG
        local done, message, code = native.flush(sock, rest)
        if done ~= false then
            return done, message, code
        elseif rest == 0 and native.pending(sock) == pending then
            local host, port = native.target(sock)
            return nil, "flush" .. core.where(host, port) .. ": timed out", "ETIMEDOUT"
        end
    end
end

-- Holds a local port until the socket connects or is released: the port (0 picks one), or
-- nil, message, code. To use it the connection needs the option `bind`.
function core.socket.reserve(sock, address, port)
    expect(sock, "socket", "reserve")
    return native.reserve(sock, address, port)
end

-- `given`: as the option `tls`; nil is `true`.
function core.socket.start_tls(sock, given)
    expect(sock, "socket", "start_tls")
    local compiled = tls_of(given == nil and true or given, "start_tls")
    if not compiled then
        bad("argument", "tls", "start_tls", "table or the result of evsock.tls", given)
    end
    return native.start_tls(sock, compiled)
end

function core.socket.get(sock, name)
    return get_option(sock, name)
end

function core.socket.set(sock, name, value)
    set_option(sock, name, value, check_property(name, value))
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
    info.tls = native.tls_facts(sock)
    return info
end

local function end_of(field)
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
    host = function(sock)
        return (native.target(sock))
    end,
    port = function(sock)
        return (select(2, native.target(sock)))
    end,
    peer_address = end_of "peer_address",
    peer_port = end_of "peer_port",
    local_address = end_of "local_address",
    local_port = end_of "local_port",
}
local socket_set = {}
for name in pairs(options) do
    -- `tls` is an option to be given and, as a property, what a handshake has agreed on.
    if name ~= "tls" then
        socket_get[name] = function(sock)
            return get_option(sock, name)
        end
        socket_set[name] = function(sock, value)
            set_option(sock, name, value, check_property(name, value))
        end
    end
end
socket_get.tls = native.tls_facts

-- For messages and `tostring`.
local function where(host, port)
    return host and " " .. native.whom(host, port) or ""
end

core.where = where
core.is_numeric = native.is_numeric
core.port = checks.port
core.zone, core.zone_name = native.zone, native.zone_name
-- `tasks.lua` adds the waiting calls.
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
}

local function unheard(object, message, code)
    return core.unheard(object, message, code)
end

local Socket = core.class {
    name = "evsock.Socket",
    strict = true,
    kind = "socket",
    anchor = "object",
    handlers = socket_handlers,
    get = socket_get,
    set = socket_set,
    on = { unheard = unheard },
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
        equip(sock, shared_handlers(given))
    end
    return sock
end

function evsock.socket(given)
    return new_socket(given, "socket")
end

function evsock.connect(host, port, given)
    host, port, given = target_of(host, port, given, "connect")
    local sock = new_socket(given, "connect")
    local ok, message, code = set_out(sock, host, port)
    if not ok then
        return nil, message, code
    end
    return sock
end

-- Servers -----------------------------------------------------------------------------------------

local accepted_handlers = setmetatable({}, { __mode = "k" })

local function at_least(least, what)
    return function(value)
        local ok = type(value) == "number" and whole(value, least, 2 ^ 31 - 1)
        return ok and { ok } or nil, what
    end
end

local listen_options = {
    backlog = at_least(1, "integer of at least 1"),
    max_connections = at_least(0, "integer of at least 0"),
    memory_limit = checks.byte_count,
    reuse_port = boolean,
}
local listen_defaults = {
    backlog = 1024, max_connections = 0, memory_limit = 1024 * 1024 * 1024, reuse_port = false,
}

core.server = {}

-- Adds an address to a server. Accepted sockets are of `class`, kept alive the way of `anchor`.
function core.server.listen(server, host, port, given, class, anchor)
    expect(server, "server", "listen")
    host, port, given = target_of(host, port, given, "listen")
    local checked = check_options(given, "listen", {}, listen_options)
    apply(server, given, checked, {})
    local function value(name)
        local values = checked[name]
        if values then
            return values[1]
        end
        return listen_defaults[name]
    end
    native.unbind(server)
    local ok, message, code = native.listen(
        server, host, port, value "backlog", value "reuse_port", value "max_connections",
        value "memory_limit", class.number, anchor == "handlers")
    native.bind(server)
    if not ok then
        return nil, message, code
    end
    return select(2, native.server_info(server)) or true
end

function core.server.close(server)
    expect(server, "server", "close")
    native.unbind(server)
    native.server_close(server)
end

-- The address and port that it listens on.
function core.server.address(server)
    local address, port = native.server_info(server)
    return address, port
end

-- A connection that waits now, without its event; the calls of a class's `on.accept` are its own.
core.server.accept = native.accept

-- From now on accepted sockets are closed, silently, when the server is collected.
function core.server.keep_sockets(server)
    expect(server, "server", "keep_sockets")
    native.server_keeps(server)
end

local function pause(paused)
    return function(server)
        expect(server, "server", paused and "pause" or "resume")
        native.server_pause(server, paused)
    end
end

core.server.pause, core.server.resume = pause(true), pause(false)

-- What `listen` was given for accepted sockets.
local function prepare(server, sock)
    local ready = accepted_handlers[server]
    if ready then
        equip(sock, ready.handlers, ready.count)
        if ready.chosen then
            chosen[sock] = setmetatable({}, ready.chosen)
        end
    end
    return ready
end

core.server.info = native.server_info

-- What `listen` was given, or the script has set since, stands behind `__index` of `ready.chosen`
-- for the sockets accepted since; those of before keep the table that they have.
local function get_server_option(server, name)
    local ready = accepted_handlers[server]
    local given = ready and ready.chosen and ready.chosen.__index[name]
    if given == nil then
        given = ready and ready.own[name]
    end
    if given ~= nil then
        return given
    elseif name == "connect_timeout" then
        return HANDSHAKE_TIMEOUT
    elseif listen_defaults[name] ~= nil then
        return listen_defaults[name]
    end
    return defaults[name]
end

local function set_server_option(server, name, value)
    expect(server, "server", name)
    local ready = accepted_handlers[server]
    if not ready then
        -- A dialect's: those know no options.
        native.misuse(server, "evsock.Server", name)
    end
    local values, wanted
    if options[name] then
        values, wanted = options[name](value, "listen")
    else
        values, wanted = listen_options[name](value, name)
    end
    if not values then
        bad("option", name, nil, wanted, value)
    end
    if not options[name] then
        ready.own[name] = values[1]
        native.server_bounds(server, server.max_connections, server.memory_limit)
        return
    end
    native.set_option(server, name, values[1], values[2], values[3], values[4])
    local now = {}
    for other, given in pairs(ready.chosen and ready.chosen.__index or {}) do
        now[other] = given
    end
    if name == "tls" then
        value = values[1] -- compiled: keys are not kept here
    elseif type(value) == "table" then
        -- The script's table stays the script's.
        local copy = {}
        for key, item in pairs(value) do
            copy[key] = item
        end
        value = copy
    end
    now[name] = value
    ready.chosen = { __index = now }
end

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
}
local server_set = {}
for _, names in ipairs { options, listen_options } do
    for name in pairs(names) do
        server_get[name] = function(server)
            return get_server_option(server, name)
        end
        server_set[name] = function(server, value)
            set_server_option(server, name, value)
        end
    end
end
for _, name in ipairs { "backlog", "reuse_port" } do
    server_set[name] = function()
        raise("option '" .. name .. "' of a server cannot be changed while it listens; give it "
            .. "to 'listen'")
    end
end

local Server = core.class {
    name = "evsock.Server",
    strict = true,
    kind = "server",
    anchor = "object",
    handlers = server_handlers,
    get = server_get,
    set = server_set,
    on = {
        accept = function(server, sock)
            prepare(server, sock)
            local on_accept = server.on_accept
            if not on_accept then
                -- The socket has handlers of its own; without them it would wait.
                return false
            end
            on_accept(server, sock)
        end,
        unheard = unheard,
    },
    methods = {
        accept = function(server)
            local sock, message, code = core.server.accept(server)
            if not sock then
                return nil, message, code
            end
            prepare(server, sock)
            return sock
        end,
        close = core.server.close,
        pause = core.server.pause,
        resume = core.server.resume,
    },
    tostring = function(server)
        local address, port = native.server_info(server)
        return "evsock.Server: " .. (address and "listening" or "closed") .. where(address, port)
    end,
}

local listen_handlers = {}
for _, list in ipairs { socket_handlers, server_handlers } do
    for _, name in ipairs(list) do
        listen_handlers[name] = true
    end
end

function evsock.listen(host, port, given)
    host, port, given = target_of(host, port, given, "listen")
    if host:sub(1, 5) == "unix:" then
        port = nil
    end
    local checked = check_options(given, "listen", listen_handlers, listen_options)
    if given and given.on_connect then
        raise("bad option 'on_connect' to 'listen' (it never comes for an accepted socket;"
            .. " 'on_accept' tells of each)")
    end
    local own, ready = {}, { chosen = {}, own = {} }
    ready.handlers, ready.count = handlers_of(given or {})
    for name, value in pairs(given or {}) do
        if not (is_socket_handler[name] or is_server_handler[name]) then
            -- A TLS table is compiled once.
            value = name == "tls" and checked.tls[1] or value
            own[name] = value
            if options[name] then
                ready.chosen[name] = value
            else
                ready.own[name] = checked[name][1]
            end
        end
    end
    -- Read through by the sockets that have not changed an option of their own.
    ready.chosen = next(ready.chosen) ~= nil and { __index = ready.chosen } or nil
    local server = Server.new()
    accepted_handlers[server] = ready
    for name, value in pairs(given or {}) do
        if is_server_handler[name] then
            server[name] = value
        end
    end
    local listening, message, code = core.server.listen(server, host, port, own, Socket, "object")
    if not listening then
        return nil, message, code
    elseif ready.count == 0 then
        native.server_waits(server, server.on_accept == nil)
    end
    return server
end

-- Timers ------------------------------------------------------------------------------------------

core.timer = {}

function core.timer.start(timer, after, repeats)
    native.unbind(timer)
    local ok, message, code = native.timer_start(timer, after, repeats and true or false)
    native.bind(timer)
    if not ok then
        return nil, message, code
    end
    return true
end

function core.timer.cancel(timer)
    expect(timer, "timer", "cancel")
    native.unbind(timer)
    native.timer_cancel(timer)
end

function core.timer.active(timer)
    return native.timer_active(timer)
end

local unpack = table.unpack or unpack

local Timer = core.class {
    name = "evsock.Timer",
    strict = true,
    kind = "timer",
    anchor = "object",
    handlers = { "on_timer" },
    get = { active = core.timer.active },
    methods = {
        cancel = function(timer)
            core.timer.cancel(timer)
            timer.on_timer = nil
        end,
    },
    close = core.timer.cancel,
    tostring = function(timer)
        return "evsock.Timer: " .. (core.timer.active(timer) and "active" or "over")
    end,
}

-- What a timer calls. There may be thousands: most have no argument or one, and take no table.
local function turn(fn, count, ...)
    if count == 0 then
        return fn
    elseif count == 1 then
        local argument = ...
        return function()
            fn(argument)
        end
    end
    local arguments = { ... }
    return function()
        fn(unpack(arguments, 1, count))
    end
end

local function start(call, after, repeats, fn, ...)
    seconds_of(after, call)
    function_of(fn, "fn", call)
    local timer = Timer.new()
    native.equip(timer, { on_timer = turn(fn, select("#", ...), ...) }, 1)
    local ok, message, code = core.timer.start(timer, after, repeats)
    if not ok then
        return nil, message, code
    end
    return timer
end

function evsock.after(after, fn, ...)
    return start("after", after, false, fn, ...)
end

function evsock.every(after, fn, ...)
    return start("every", after, true, fn, ...)
end

-- The loop ----------------------------------------------------------------------------------------

evsock._VERSION = version
evsock.attend = native.attend
evsock.pump = native.pump
evsock.active = native.active
evsock.pollfd = native.pollfd
evsock.timeout = native.timeout
evsock.now = native.now

-- With `pollfd` and `timeout` what cqueues polls.
function evsock.events()
    return "r"
end

local running = 0
local function loop()
    while not native.stopping() and native.active() > 0 do
        local handled, message, code = native.pump(LONG)
        if not handled then
            return nil, message, code
        end
    end
    return true
end

function evsock.run()
    native.descend("run")
    running = running + 1
    local ok, problem, message, code = pcall(loop)
    running = running - 1
    native.stop(false)
    if not ok then
        -- The message has its place and traceback already.
        error(problem, 0)
    elseif not problem then
        -- The process forked, or no thread could be started.
        return nil, message, code
    end
end

function evsock.stop()
    if running > 0 then
        native.stop(true)
    end
end

-- What few scripts need is compiled when it is first asked for: each collection of theirs would
-- mark it. A finaliser that asks meanwhile compiles its own.
local udp
-- A script may put something of its own in its place before there is anything to be told.
local stderr = io and io.stderr
local late = {
    common = function()
        return native.late("common")(evsock, core)
    end,
    datagram = function()
        local shared, open = native.late("datagram")(native, checks, core)
        udp = open
        return shared
    end,
    unheard = function()
        return native.late("unheard")(native, core, stderr)
    end,
}

setmetatable(core, {
    __index = function(_, name)
        local make = late[name]
        core[name] = make and make()
        return rawget(core, name)
    end,
})

function evsock.udp(host, port, given)
    local _ = core.datagram
    return udp(host, port, given)
end

-- What a script may set of the module, never in its own table: each is checked each time.
local hooks = native.hooks
-- Name to what it may be.
local hook_kinds = { on_error = "function or nil", on_unhandled = "function, false or nil" }

setmetatable(evsock, {
    __index = function(_, name)
        if name == "spin" then
            return native.spin()
        end
        return hooks[name]
    end,
    __newindex = function(module, name, value)
        if name == "spin" then
            if not is_seconds(value) then
                bad("value", "spin", nil, "seconds of at least 0", value)
            end
            native.spin(value)
        elseif hook_kinds[name] then
            local fits = value == nil or type(value) == "function"
            if not fits and not (value == false and name == "on_unhandled") then
                bad("value", name, nil, hook_kinds[name], value)
            end
            hooks[name] = value
        elseif type(name) == "string" and name:sub(1, 3) == "on_" then
            local advice = checks.meant(name, hook_kinds)
            raise("unknown handler " .. checks.named(name) .. " of the module"
                .. (advice and " (" .. advice .. ")" or ""))
        else
            rawset(module, name, value)
        end
    end,
})

return evsock, core
