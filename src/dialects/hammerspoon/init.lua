-- Hammerspoon: hs.socket, as its scripts know it.
--
-- Translation only. The queues of a connection are in `connection.lua`, what `info` tells in
-- `info.lua`, the layout of socket addresses in `sockaddr.lua`. Times are
-- seconds, negative ones mean none. Numbers like 6.4 name the sections of the specification.

local evsock, core = ...
local common, sock_api = core.common, core.socket
local connections = core.part "hammerspoon/connection"
local sockaddr = core.part "hammerspoon/sockaddr"
local infos = core.part "hammerspoon/info"

local shared = core.part "hammerspoon/shared"
local udp = core.part "hammerspoon/udp"

local bad, check_port, check_string = common.bad, common.check_port, common.check_string
local check_fn, check_tag, log = shared.check_fn, shared.check_tag, shared.log
local settings = shared.settings

local BUSY = "Attempting to connect while connected or accepting connections. Disconnect first."

-- The original's buffers know no bound: a long read is never refused. An end of the peer's leaves
-- what came before to be read.
local OPTIONS = { half_open = true, max_frame = 2 ^ 53 }

-- Objects -----------------------------------------------------------------------------------------

-- Keys in an object's own table; a listener's server and its clients have OWNER, too.
local OWNER = {} -- what the script has set: see `connections.begin`
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
    local connection = connections.of(socket)
    if connection and connection.open and not connections.is_connected(socket) then
        connections.finish(socket)
        return true
    end
    return connection == nil
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
    connections.begin(client, server[OWNER], setmetatable({ clients = clients }, { __mode = "v" }))
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
    on = connections.on,
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
        if connections.is_connected(known) then
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

local function start(socket, place, fn, redirect)
    local owner = socket[OWNER]
    local connection = connections.begin(socket, owner)
    connection.on_open = fn
    socket[PLACE] = place
    sock_api.set(socket, "connect_timeout", math.max(owner.timeout, 0))
    if owner.timeout == 0 then
        connection.reason = "connect" .. core.where(place.host, place.port) .. ": timed out"
        connections.expire(socket, connection)
        return socket
    end
    local ok, message = sock_api.connect(socket, place.host, place.port, nil, redirect)
    if not ok then
        connections.finish(socket)
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
    check_fn(fn, "connect")
    if not is_free(socket) then
        local connection = connections.of(socket)
        if connection then
            -- The attempt still running loses its callback (6.3).
            connection.on_open = nil
        end
        log("error", BUSY)
        return nil
    elseif host == "" then
        log("error", "connect: the host is empty")
        return nil
    elseif is_path then
        local path = expand(host)
        return start(socket, { host = "unix:" .. path, path = path }, fn)
    end
    local redirect = settings:redirect(host, port)
    return start(socket, { host = host, port = port, mapped = redirect ~= nil }, fn, redirect)
end

function methods.disconnect(socket)
    owner_of(socket, "disconnect")
    connections.finish(socket)
    local listening = socket[LISTENING]
    if listening then
        socket[LISTENING] = nil
        core.server.close(listening.server)
        -- A finaliser may have called this while one of them was being finished.
        while listening.clients[1] do
            connections.finish(table.remove(listening.clients))
        end
    end
    return socket
end

-- Reading and writing -----------------------------------------------------------------------------

-- The connections that a call is for; none before `connect`.
local function each(socket)
    local listening = socket[LISTENING]
    return ipairs(listening and clients_of(listening) or { connections.of(socket) and socket })
end

methods.read = connections.reader(function(socket, what, tag)
    local owner = owner_of(socket, "read")
    local count = type(what) == "number" and shared.integer(what)
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
            connections.read(sock, connections.of(sock), count or what, count ~= false, tag)
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
    local done = { fn = check_fn(fn, "write") }
    for _, sock in each(socket) do
        connections.write(sock, connections.of(sock), text, tag, done)
    end
    return socket
end

methods.receive, methods.send = methods.read, methods.write

function methods.setCallback(socket, fn)
    owner_of(socket, "setCallback").callback = check_fn(fn, "setCallback")
    connections.end_run()
    return socket
end

function methods.setTimeout(socket, seconds)
    owner_of(socket, "setTimeout").timeout = shared.check_timeout(seconds, "setTimeout")
    connections.end_run()
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
    local connection = connections.of(socket)
    if not connection then
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
    connections.start_tls(socket, connection, tls, given.verify, why)
    return socket
end

-- State -------------------------------------------------------------------------------------------

function methods.connections(socket)
    owner_of(socket, "connections")
    local listening = socket[LISTENING]
    if listening then
        return #clients_of(listening)
    end
    return connections.of(socket) and connections.is_connected(socket) and 1 or 0
end

function methods.connected(socket)
    owner_of(socket, "connected")
    return methods.connections(socket) > 0
end

function methods.info(socket)
    local owner = owner_of(socket, "info")
    local count = methods.connections(socket)
    local info = infos.new(count, owner.timeout)
    local listening, connection = socket[LISTENING], connections.of(socket)
    if listening then
        infos.add_listener(info, listening)
    elseif connection and count > 0 then
        infos.add_client(info, sock_api.info(socket), socket[PLACE])
    elseif connection and not connection.open then
        infos.add_attempt(info)
    end
    return info
end

local Socket = core.class {
    name = "hs.socket",
    kind = "socket",
    anchor = "handlers",
    methods = methods,
    on = connections.on,
    close = methods.disconnect,
    tostring = function(socket)
        -- Windows' C library writes an address without "0x".
        return infos.text(methods.info(socket), "0x" .. tostring(socket[OWNER]):match("%x+$"))
    end,
}

-- The module --------------------------------------------------------------------------------------

local socket = { timeout = -1 }

function socket.new(fn)
    check_fn(fn, "new")
    local timeout = shared.check_timeout(socket.timeout, "hs.socket.timeout")
    local object = Socket.new()
    object[OWNER] = {
        callback = fn,
        timeout = timeout,
        object = setmetatable({ sock = object }, { __mode = "v" }),
    }
    for name, value in pairs(OPTIONS) do
        sock_api.set(object, name, value)
    end
    sock_api.set(object, "ipv4_first", true)
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

socket.udp = udp
udp.parseAddress = socket.parseAddress

-- Settings: `hosts`, `ports`, `cafile`, `logger`. `install` sets `hs.socket`, in an `hs` that is
-- there or a new one, and what `require` finds for "hs.socket" and "hs.socket.udp".
return common.publish({ socket = socket }, settings, function(env)
    local hs = env.hs
    if hs == nil then
        hs = {}
        env.hs = hs
    elseif type(hs) ~= "table" then
        core.raise("install: 'hs' is there and is no table")
    end
    hs.socket = socket
    package.loaded["hs.socket"], package.loaded["hs.socket.udp"] = socket, socket.udp
end)
