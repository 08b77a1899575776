-- Hammerspoon: hs.socket, as its scripts know it.
--
-- Translation only. The queues of a connection are in `hammerspoon_lane.lua`, what `info` tells in
-- `hammerspoon_state.lua`, the layout of socket addresses in `hammerspoon_sockaddr.lua`. Times are
-- seconds, negative ones mean none. Numbers like 6.4 name the sections of the specification.

local evsock, core = ...
local common, native = core.common, core.socket
local lanes = require "evsock.hammerspoon.lane"
local sockaddr = require "evsock.hammerspoon.sockaddr"
local state = require "evsock.hammerspoon.state"

local settings = common.settings()

local BUSY = "Attempting to connect while connected or accepting connections. Disconnect first."

-- The original's buffers know no bound: a long read is never refused. An end of the peer's leaves
-- what came before to be read.
local OPTIONS = { half_open = true, max_frame = 2 ^ 53 }

-- Checks and log ----------------------------------------------------------------------------------

local bad, check_port = common.bad, common.check_port

local function check_function(value, method)
    if value ~= nil and type(value) ~= "function" then
        bad("fn", method, "function", value)
    end
    return value
end

local function check_string(value, argument, method)
    if type(value) ~= "string" then
        bad(argument, method, "string", value)
    end
    return value
end

local function integer(value)
    if type(value) == "number" and value % 1 == 0 then
        return math.tointeger and math.tointeger(value) or value
    end
end

local function check_tag(value, method)
    if value == nil then
        return lanes.NO_TAG
    end
    return integer(value) or bad("tag", method, "integer", value)
end

local function check_timeout(value, what)
    if type(value) ~= "number" or value ~= value then
        core.raise("bad value for " .. what .. " (seconds expected, got " .. core.got(value) .. ")")
    end
    return value
end

local function log(level, text)
    settings:log(level, "hs.socket: " .. text)
end

-- Whether there is somebody to hear of an error of a callback; if not, it leaves `pump`.
local function is_heard()
    return evsock.on_error ~= nil or settings:get("logger") ~= nil
end

local function report(problem, object)
    local on_error = evsock.on_error
    if on_error then
        on_error(problem, object)
    else
        log("error", tostring(problem))
    end
end

-- Objects -----------------------------------------------------------------------------------------

-- Keys in an object's own table; a listener's server and its clients have OWNER, too.
local OWNER = {} -- what the script has set: see `lanes.begin`
local PLACE = {} -- where it is connected to, or was going to
local LISTENING = {} -- its server, port or path, and clients

local function owner_of(socket, method)
    return core.field(socket, OWNER) or core.misuse(socket, "hs.socket", method)
end

-- Neither connecting nor connected nor listening.
local function is_free(socket)
    if socket[LISTENING] then
        return false
    end
    local lane = lanes.of(socket)
    if lane and lane.open and not lanes.is_connected(socket) then
        lanes.finish(socket)
        return true
    end
    return lane == nil
end

local function expand(path)
    local home = os.getenv("HOME")
    if home and (path == "~" or path:sub(1, 2) == "~/") then
        return home .. path:sub(2)
    end
    return path
end

-- Listening ---------------------------------------------------------------------------------------

local function adopt(server, client)
    local clients = server[LISTENING].clients
    clients[#clients + 1] = client
    client[OWNER] = server[OWNER]
    lanes.begin(client, server[OWNER], setmetatable({ clients = clients }, { __mode = "v" }))
end

-- The listener behind the object: it holds what the callbacks need, and never the object.
local Server = core.class {
    name = "hs.socket server",
    kind = "server",
    anchor = "handlers",
    on = {
        accept = function(server, client)
            adopt(server, client)
            return false
        end,
        error = function(_, message)
            log("error", message)
            return false
        end,
    },
}

local Client = core.class {
    name = "hs.socket client",
    kind = "socket",
    anchor = "handlers",
    on = lanes.on,
}

-- Those connected at this moment, whether their events have come or not (6.4).
local function clients_of(listening)
    local client = core.server.accept(listening.server)
    while client do
        adopt(listening.server, client)
        client = core.server.accept(listening.server)
    end
    local connected = {}
    for _, known in ipairs(listening.clients) do
        if lanes.is_connected(known) then
            connected[#connected + 1] = known
        end
    end
    return connected
end

local function exists(path)
    -- Renaming a file to its own name changes nothing, and opens no pipe.
    return os.rename(path, path) ~= nil
end

local methods = {}

function methods.listen(socket, where)
    local owner = owner_of(socket, "listen")
    local port = common.port(where)
    local path = not port and type(where) == "string" and not tonumber(where) and expand(where)
    if not (port or path) then
        bad("port", "listen", "integer from 0 to 65535 or path", where)
    elseif not is_free(socket) then
        log("error", BUSY)
        return nil
    elseif path and exists(path) then
        log("error", "listen " .. path .. ": there is such a file")
        return nil
    end
    local listening = { path = path or "", clients = {} }
    local server = Server.new()
    server[OWNER] = owner
    -- Not the table that knows the server: it would keep itself alive.
    server[LISTENING] = { clients = listening.clients }
    local found, message = core.server.listen(
        server, path and "unix:" .. path or "*", port or nil, OPTIONS, Client, "handlers")
    if not found then
        log("error", message)
        return nil
    end
    listening.server, listening.port = server, path and 0 or found
    socket[LISTENING] = listening
    return socket
end

-- Connecting --------------------------------------------------------------------------------------

local function set_out(socket, place, fn, route)
    local owner = socket[OWNER]
    local lane = lanes.begin(socket, owner)
    lane.greet = fn
    socket[PLACE] = place
    native.set(socket, "connect_timeout", math.max(owner.timeout, 0))
    if owner.timeout == 0 then
        lane.reason = "connect" .. core.where(place.host, place.port) .. ": timed out"
        lanes.expire(socket, lane)
        return socket
    end
    local ok, message = native.connect(socket, place.host, place.port, nil, route)
    if not ok then
        lanes.finish(socket)
        log("error", message)
        return nil
    end
    return socket
end

function methods.connect(socket, host, port, fn)
    owner_of(socket, "connect")
    check_string(host, "host", "connect")
    local is_path = port == nil or type(port) == "function"
    if is_path then
        fn, port = port, nil
    else
        port = check_port(port, "connect")
    end
    check_function(fn, "connect")
    if not is_free(socket) then
        local lane = lanes.of(socket)
        if lane then
            -- The attempt still running loses its callback (6.3).
            lane.greet = nil
        end
        log("error", BUSY)
        return nil
    elseif host == "" then
        log("error", "connect: the host is empty")
        return nil
    elseif is_path then
        local path = expand(host)
        return set_out(socket, { host = "unix:" .. path, path = path }, fn)
    end
    local route = settings:route(host, port)
    return set_out(socket, { host = host, port = port, mapped = route ~= nil }, fn, route)
end

function methods.disconnect(socket)
    owner_of(socket, "disconnect")
    lanes.finish(socket)
    local listening = socket[LISTENING]
    if listening then
        socket[LISTENING] = nil
        core.server.close(listening.server)
        -- A finaliser may have called this while one of them was being finished.
        while listening.clients[1] do
            lanes.finish(table.remove(listening.clients))
        end
    end
    return socket
end

-- Reading and writing -----------------------------------------------------------------------------

-- The connections that a call is for; none before `connect`.
local function each(socket)
    local listening = socket[LISTENING]
    return ipairs(listening and clients_of(listening) or { lanes.of(socket) and socket })
end

methods.read = lanes.reader(function(socket, what, tag)
    local owner = owner_of(socket, "read")
    local count = type(what) == "number" and integer(what)
    if type(what) ~= "string" and not (count and count >= 0) then
        bad("delimiter", "read", "string or integer of at least 0", what)
    end
    tag = check_tag(tag, "read")
    if not owner.callback then
        log("error", "read: no callback is set")
        return nil
    end
    if what ~= 0 and what ~= "" then
        for _, sock in each(socket) do
            lanes.read(sock, lanes.of(sock), count or what, count ~= false, tag)
        end
    end
    return socket
end)

function methods.write(socket, text, tag, fn)
    owner_of(socket, "write")
    check_string(text, "message", "write")
    if type(tag) == "function" and fn == nil then
        tag, fn = nil, tag
    end
    tag = check_tag(tag, "write")
    local done = { fn = check_function(fn, "write") }
    for _, sock in each(socket) do
        lanes.write(sock, lanes.of(sock), text, tag, done)
    end
    return socket
end

methods.receive, methods.send = methods.read, methods.write

function methods.setCallback(socket, fn)
    owner_of(socket, "setCallback").callback = check_function(fn, "setCallback")
    lanes.end_run()
    return socket
end

function methods.setTimeout(socket, seconds)
    owner_of(socket, "setTimeout").timeout = check_timeout(seconds, "setTimeout")
    lanes.end_run()
    return socket
end

-- The chain is verified, the name only if one is given; false verifies nothing (6.8).
function methods.startTLS(socket, verify, name)
    owner_of(socket, "startTLS")
    if type(verify) == "string" and name == nil then
        verify, name = nil, verify
    end
    if verify ~= nil and type(verify) ~= "boolean" then
        bad("verify", "startTLS", "boolean or string", verify)
    elseif name ~= nil then
        check_string(name, "peerName", "startTLS")
    end
    local lane = lanes.of(socket)
    if not lane then
        return socket
    end
    local given = { verify = verify ~= false, insecure_name = name == nil }
    given.cafile = given.verify and settings:get("cafile") or nil
    local tls, why = evsock.tls(given), nil
    if name then
        given.server_name = name
        -- Of a name that no certificate can have the handshake fails.
        local ok, compiled = pcall(evsock.tls, given)
        tls = ok and compiled or nil
        why = not ok and "startTLS: " .. tostring(compiled):gsub("^.-:%d+: ", "") or nil
    end
    lanes.start_tls(socket, lane, tls, given.verify, why)
    return socket
end

-- State -------------------------------------------------------------------------------------------

function methods.connections(socket)
    owner_of(socket, "connections")
    local listening = socket[LISTENING]
    if listening then
        return #clients_of(listening)
    end
    return lanes.of(socket) and lanes.is_connected(socket) and 1 or 0
end

function methods.connected(socket)
    owner_of(socket, "connected")
    return methods.connections(socket) > 0
end

function methods.info(socket)
    local owner = owner_of(socket, "info")
    local count = methods.connections(socket)
    local info = state.new(count, owner.timeout)
    local listening, lane = socket[LISTENING], lanes.of(socket)
    if listening then
        state.add_listener(info, listening)
    elseif lane and count > 0 then
        state.add_client(info, native.info(socket), socket[PLACE])
    elseif lane and not lane.open then
        state.add_attempt(info)
    end
    return info
end

local Socket = core.class {
    name = "hs.socket",
    kind = "socket",
    anchor = "handlers",
    methods = methods,
    on = lanes.on,
    close = methods.disconnect,
    tostring = function(socket)
        -- Windows' C library writes an address without "0x".
        return state.text(methods.info(socket), "0x" .. tostring(socket[OWNER]):match("%x+$"))
    end,
}

-- The module --------------------------------------------------------------------------------------

local socket = { timeout = -1 }

function socket.new(fn)
    check_function(fn, "new")
    local timeout = check_timeout(socket.timeout, "hs.socket.timeout")
    local object = Socket.new()
    object[OWNER] = {
        callback = fn,
        timeout = timeout,
        object = setmetatable({ sock = object }, { __mode = "v" }),
        is_heard = is_heard,
        report = report,
        log = log,
    }
    for name, value in pairs(OPTIONS) do
        native.set(object, name, value)
    end
    native.set(object, "ipv4_first", true)
    return object
end

-- Also when it cannot listen: `info().userData` tells (6.1).
function socket.server(where, fn)
    local object = socket.new(fn)
    object:listen(where)
    return object
end

function socket.parseAddress(bytes)
    local host, port, family = sockaddr.unpack(check_string(bytes, "sockaddr", "parseAddress"))
    return host and { host = host, port = port, addressFamily = family } or nil
end

-- Harmless: what is logged and where is for `configure` to say.
local level = 2

function socket.setLogLevel(new)
    level = new
end

function socket.getLogLevel()
    return level
end

socket.udp = require "evsock.hammerspoon.udp" {
    settings = settings,
    parse_address = socket.parseAddress,
    is_heard = is_heard,
    report = report,
    log = log,
    check = {
        fn = check_function, port = check_port, string = check_string, tag = check_tag,
        timeout = check_timeout,
    },
    bad = bad,
}

local hammerspoon = { socket = socket }

-- `hosts`, `ports`, `cafile`, `logger`.
function hammerspoon.configure(given)
    settings:configure(given)
end

-- Sets `hs.socket`, in an `hs` that is there or a new one, and what `require` finds for "hs.socket"
-- and "hs.socket.udp".
function hammerspoon.install(env)
    env = env or _G
    if type(env) ~= "table" then
        core.raise("bad argument 'env' to 'install' (table expected, got " .. type(env) .. ")")
    end
    local hs = env.hs
    if hs == nil then
        hs = {}
        env.hs = hs
    elseif type(hs) ~= "table" then
        core.raise("install: 'hs' is there and is no table")
    end
    hs.socket = socket
    package.loaded["hs.socket"], package.loaded["hs.socket.udp"] = socket, socket.udp
    return hammerspoon
end

return hammerspoon
