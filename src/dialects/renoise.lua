-- Renoise: `renoise.Socket`, clients that block and servers that call back.
--
-- Translation only: connecting, buffering, lines and blocking are the core's. Times are
-- milliseconds. Numbers like 5.4 name the sections of the dialects' specification.
-- Invariant: a server reaches its clients, they reach it only weakly, so both can be collected.

local evsock, core = ...
local common, native, field = core.common, core.socket, core.field

local settings = common.settings { send_timeout = "number" }

local PROTOCOL_TCP, PROTOCOL_UDP = 1, 2

local TIMEOUT, DISCONNECTED = "timeout", "disconnected"
-- Error codes to Renoise's words; any other error is told in the core's words.
local words = { ECLOSED = DISCONNECTED, ECONNRESET = DISCONNECTED, ETIMEDOUT = TIMEOUT }

-- Milliseconds for which the system may take nothing of what is sent (5.3).
local SEND_TIMEOUT = 10000
-- Of `create_client`.
local CONNECT_TIMEOUT = 1000
-- The longest line or block that the core collects unless told otherwise.
local MAX_FRAME = 16 * 1024 * 1024
-- Beyond it a number is not exact.
local MOST = 2 ^ 53

-- Checks ------------------------------------------------------------------------------------------

local bad, check_port = common.bad, common.check_port

local function check_address(value, method)
    return type(value) == "string" and value or bad("address", method, "string", value)
end

local function check_protocol(value, method)
    if value == PROTOCOL_UDP then
        core.raise(method .. ": PROTOCOL_UDP is not supported yet")
    elseif value ~= nil and value ~= PROTOCOL_TCP then
        bad("protocol", method, "renoise.Socket.PROTOCOL_TCP", value)
    end
end

local function check_seconds(value, method)
    if type(value) ~= "number" or value < 0 or value ~= value then
        bad("timeout", method, "milliseconds of at least 0", value)
    end
    return value / 1000
end

-- What objects keep besides what the script stores in them. The keys are private.
local KIND = {} -- "client" or "server"
local OPEN = {} -- it was not closed, nor has a receive or send found out that it is over
local FACTS = {} -- addresses and ports, by the names of the properties
local PROBLEM = {} -- client: why its connection is over
local HOME = {} -- accepted client: its server, weakly
local NOTIFIER = {} -- what `run` was given, while it runs
local CLIENTS = {} -- accepted clients that are connected, as keys
local SELF = {} -- a weak table with the server: the HOME of its clients
local WAITING = {} -- what happened while it did not run, in order: names in `acts` and clients
local PENDING = {} -- client: bytes of it wait there already

local function expect(object, method, kind)
    if field(object, KIND) ~= kind then
        core.misuse(object, kind, method)
    end
end

local function check_open(object, method)
    if not object[OPEN] then
        core.raise(method .. ": the socket is closed")
    end
end

local function expect_open(object, method, kind)
    expect(object, method, kind)
    check_open(object, method)
end

local function property(name)
    return function(object)
        check_open(object, name)
        return object[FACTS][name]
    end
end

local function is_open(object)
    return object[OPEN] == true
end

local function description(name)
    return function(object)
        local facts = object[FACTS] or {}
        local where = core.where(facts.peer_address or facts.local_address,
            facts.peer_port or facts.local_port)
        return name .. ": " .. (object[OPEN] and "open" or "closed") .. where
    end
end

-- What servers tell -------------------------------------------------------------------------------

-- A function found in the table itself is called without it, one of its class with it (5.5).
local function notify(server, name, ...)
    local notifier = server[NOTIFIER]
    local is_table = type(notifier) == "table"
    local plain = is_table and rawget(notifier, name)
    if plain then
        plain(...)
    elseif notifier and (not is_table or getmetatable(notifier)) then
        local method = notifier[name]
        if method then
            method(notifier, ...)
        end
    end
end

local acts = {}

function acts.accept(server, client)
    notify(server, "socket_accepted", client)
end

function acts.data(server, client)
    client[PENDING] = nil
    local data = native.read(client)
    if data and client[OPEN] then
        notify(server, "socket_message", client, data)
    end
end

function acts.close(_, client)
    client[OPEN] = false
end

-- Does it now, or in its turn once the server runs.
local function announce(server, name, client)
    local waiting = server[WAITING]
    if server[NOTIFIER] and not waiting[1] then
        acts[name](server, client)
    else
        waiting[#waiting + 1] = { name, client }
    end
end

local function act_next(server)
    local first = table.remove(server[WAITING], 1)
    -- A finaliser may have closed the server since its caller looked.
    if first then
        acts[first[1]](server, first[2])
    end
end

-- One at a time: a callback may raise, which must not lose the others.
local function catch_up(home)
    local server = home[1]
    if server and server[NOTIFIER] and server[WAITING][1] then
        if server[WAITING][2] then
            evsock.after(0, catch_up, home)
        end
        act_next(server)
    end
end

local function home_of(client)
    return client[HOME] and client[HOME][1]
end

local function serving(client)
    local server = home_of(client)
    return server and server[NOTIFIER] ~= nil
end

-- SocketClient ------------------------------------------------------------------------------------

local function shut(client)
    expect(client, "close", "client")
    client[OPEN] = false
    native.release(client)
    local server = home_of(client)
    if server then
        server[CLIENTS][client] = nil
    end
end

-- What a mode takes out of the buffer: a function, and a byte count.
local function parse_mode(mode)
    if mode == "*line" or mode == "*l" then
        return function(client)
            return native.read_line(client, "each")
        end
    elseif mode == "*all" or mode == "*a" then
        return native.read
    elseif type(mode) == "number" and mode > 0 and mode <= MOST and mode % 1 == 0 then
        return function(client)
            return native.read_exact(client, mode)
        end, mode
    end
    core.raise("bad argument 'mode' to 'receive' (\"*line\", \"*all\" or a number of bytes "
        .. "expected, got " .. core.got(mode):gsub("^string ", "") .. ")")
end

-- Lets in everything that the system has now.
local function let_in(client)
    local before
    repeat
        before = native.buffered(client)
        evsock.attend(client)
    until native.buffered(client) == before
end

local methods = {}

function methods.receive(client, mode, timeout_ms)
    expect(client, "receive", "client")
    local take, count = parse_mode(mode)
    local seconds = check_seconds(timeout_ms, "receive")
    check_open(client, "receive")
    if serving(client) then
        core.raise("receive: the server of this client runs and receives for it")
    elseif take == native.read then
        let_in(client)
    elseif count and count > MAX_FRAME then
        native.set(client, "max_frame", count)
    end
    local data
    local function is_over()
        data = data or take(client)
        return data or native.state(client) ~= "open"
    end
    local before, over, problem
    repeat
        before = native.buffered(client)
        over, problem = common.block(client, seconds, function()
            return is_over() or count and native.buffered(client) > before
        end)
        -- For a block the time counts anew with every piece.
    until over == nil or is_over() or not count or native.buffered(client) == before
    if over == nil then
        return nil, problem
    elseif not data and native.state(client) == "open" then
        return nil, TIMEOUT
    end
    data = data or native.read(client)
    if data then
        return data
    end
    shut(client)
    return nil, client[PROBLEM] or DISCONNECTED
end

-- A string, or an object that knows itself as one, such as an OSC message.
local function bytes_of(message)
    local data = message
    if type(message) == "table" or type(message) == "userdata" then
        data = message.binary_data
    end
    if type(data) ~= "string" and type(data) ~= "number" then
        bad("message", "send", "string", message)
    end
    return data
end

function methods.send(client, message)
    expect(client, "send", "client")
    local data = bytes_of(message)
    check_open(client, "send")
    local ok, problem, code = native.write(client, data)
    if ok then
        local timeout = settings:get("send_timeout") or SEND_TIMEOUT
        ok, problem, code = native.flush(client, timeout / 1000)
    end
    if ok then
        return true
    end
    shut(client)
    return false, settings:failed(problem, words[code] or problem)
end

methods.close = shut

local on = {}

function on.data(client)
    local server = home_of(client)
    if not server then
        -- It is read by `receive`.
        return false
    end
    if not client[PENDING] then
        client[PENDING] = true
        announce(server, "data", client)
    end
end

function on.close(client, message, code)
    client[PROBLEM] = code and settings:failed(message, words[code] or message) or DISCONNECTED
    local server = home_of(client)
    if server then
        server[CLIENTS][client] = nil
        announce(server, "close", client)
    end
    return false
end

local Client = core.class {
    name = "renoise.Socket.SocketClient",
    kind = "socket",
    anchor = "object",
    methods = methods,
    get = {
        is_open = is_open,
        local_address = property "local_address",
        local_port = property "local_port",
        peer_address = property "peer_address",
        peer_port = property "peer_port",
    },
    on = on,
    close = shut,
    tostring = description("renoise.Socket.SocketClient"),
}

-- The connection stands. The peer is named as the script has asked for it, wherever that led.
local function enter(client, address, port)
    local info = native.info(client)
    client[KIND], client[OPEN] = "client", true
    client[FACTS] = {
        local_address = info.local_address,
        local_port = info.local_port,
        peer_address = address or info.peer_address,
        peer_port = port or info.peer_port,
    }
end

local function create_client(address, port, protocol, timeout_ms)
    check_address(address, "create_client")
    port = check_port(port, "create_client")
    check_protocol(protocol, "create_client")
    local seconds = check_seconds(timeout_ms == nil and CONNECT_TIMEOUT or timeout_ms,
        "create_client")
    if address == "" then
        return nil, "connect: no address"
    end
    local client = Client.new()
    native.set(client, "connect_timeout", 0)
    local route = settings:route_by_ipv4(address, port)
    local ok, problem = native.connect(client, address, port, nil, route)
    if ok then
        ok, problem = common.block(client, seconds, function()
            local state = native.state(client)
            return state == "open" or state == "closed"
        end)
    end
    if ok and native.state(client) == "open" then
        enter(client, route and core.is_numeric(address) and common.bare(address) or nil, port)
        return client
    end
    native.release(client)
    return nil, client[PROBLEM] or problem or TIMEOUT
end

-- SocketServer ------------------------------------------------------------------------------------

local server_methods = {}

function server_methods.run(server, notifier)
    expect_open(server, "run", "server")
    if type(notifier) ~= "table" and type(notifier) ~= "userdata" then
        bad("notifier", "run", "table of functions, or an object", notifier)
    end
    server[NOTIFIER] = notifier
    core.server.resume(server)
    if server[WAITING][1] then
        evsock.after(0, catch_up, server[SELF])
    end
end

function server_methods.stop(server)
    expect_open(server, "stop", "server")
    server[NOTIFIER] = nil
    -- Who connects now waits in the system's queue.
    core.server.pause(server)
end

function server_methods.wait(server, timeout_ms)
    expect(server, "wait", "server")
    local seconds = check_seconds(timeout_ms, "wait")
    check_open(server, "wait")
    for _ = 1, #server[WAITING] do
        if server[NOTIFIER] and server[WAITING][1] then
            act_next(server)
        end
    end
    common.block(server, seconds, function()
        return not server[OPEN]
    end)
end

function server_methods.close(server)
    expect(server, "close", "server")
    if not server[OPEN] then
        return
    end
    server[OPEN] = false
    server[NOTIFIER] = nil
    server[WAITING] = {}
    core.server.close(server)
    local clients = server[CLIENTS]
    server[CLIENTS] = {}
    for client in pairs(clients) do
        shut(client)
    end
end

local Server = core.class {
    name = "renoise.Socket.SocketServer",
    kind = "server",
    -- The notifier keeps a server alive that it reaches.
    anchor = "handlers",
    methods = server_methods,
    get = {
        is_open = is_open,
        is_running = function(server)
            check_open(server, "is_running")
            return server[NOTIFIER] ~= nil
        end,
        local_address = property "local_address",
        local_port = property "local_port",
    },
    on = {
        accept = function(server, client)
            enter(client)
            client[HOME] = server[SELF]
            server[CLIENTS][client] = true
            announce(server, "accept", client)
        end,
        error = function(server, message)
            notify(server, "socket_error", message)
        end,
    },
    close = server_methods.close,
    tostring = description("renoise.Socket.SocketServer"),
}

-- `create_server([address,] port [, protocol])`
local function create_server(address, port, protocol)
    if type(address) == "number" or common.port(address) then
        address, port, protocol = nil, address, port
    end
    if address ~= nil then
        check_address(address, "create_server")
    end
    port = check_port(port, "create_server")
    check_protocol(protocol, "create_server")
    local server = Server.new()
    local listening, message = core.server.listen(server, address or "*", port, nil, Client,
        "object")
    if not listening then
        return nil, message
    end
    -- Nobody is accepted before it runs.
    core.server.pause(server)
    local facts = {}
    facts.local_address, facts.local_port = core.server.address(server)
    server[KIND], server[OPEN], server[FACTS] = "server", true, facts
    server[CLIENTS], server[WAITING] = {}, {}
    server[SELF] = setmetatable({ server }, { __mode = "v" })
    return server
end

-- The module --------------------------------------------------------------------------------------

local renoise = {}

renoise.Socket = {
    PROTOCOL_TCP = PROTOCOL_TCP,
    PROTOCOL_UDP = PROTOCOL_UDP,
    create_client = create_client,
    create_server = create_server,
}

-- `hosts`, `ports`, `cafile`, `logger`; `send_timeout`: milliseconds for which the system may take
-- nothing of what is sent.
function renoise.configure(given)
    settings:configure(given)
end

renoise.install = common.nested_installer(renoise, "renoise", "Socket")

return renoise
