-- Renoise: `renoise.Socket`, clients that block and servers that call back, and `renoise.Osc`.
--
-- The parts: `shared` (checks, what objects keep, notifiers), `udp`, `osc` with `osc_values`. Here
-- is TCP. Translation only: connecting, buffering, lines and blocking are the core's. Times are
-- milliseconds. Numbers like 5.4 name the sections of the dialects' specification.
-- Invariant: a server reaches its clients, they reach it only weakly, so both can be collected.

local evsock, core = ...
local common, sock_api = core.common, core.socket
local ordered = common.ordered
local shared = core.part "renoise/shared"
local settings, notify = shared.settings, shared.notify
local check_address, check_seconds = shared.check_address, shared.check_seconds
local expect, check_open, expect_open = shared.expect, shared.check_open, shared.expect_open
local property = shared.property
local check_port = common.check_port

local TIMEOUT, DISCONNECTED = shared.TIMEOUT, "disconnected"
-- Error codes to Renoise's words; any other error keeps the core's words.
local words = { ECLOSED = DISCONNECTED, ECONNRESET = DISCONNECTED, ETIMEDOUT = TIMEOUT }

-- Milliseconds for which the system may take nothing of what is sent (5.3).
local SEND_TIMEOUT = 10000
-- Of `create_client`.
local CONNECT_TIMEOUT = 1000
-- The longest line or block that the core collects unless told otherwise.
local MAX_FRAME = 16 * 1024 * 1024

-- What objects of TCP keep besides.
local KIND, OPEN, FACTS, NOTIFIER = shared.KIND, shared.OPEN, shared.FACTS, shared.NOTIFIER
local PROBLEM = {} -- client: why its connection is over
local HOME = {} -- accepted client: its server, weakly
local CLIENTS = {} -- accepted clients that are connected, as keys
local SELF = {} -- a weak table with the server: the HOME of its clients
local WAITING = {} -- what happened while it did not run, in order: names in `acts` and clients
local PENDING = {} -- client: bytes of it wait there already

-- What happens to accepted clients ----------------------------------------------------------------

local acts = {}

function acts.accept(server, client)
    notify(server, "socket_accepted", client)
end

function acts.data(server, client)
    client[PENDING] = nil
    local data = sock_api.read(client)
    if data and client[OPEN] then
        notify(server, "socket_message", client, data)
    end
end

function acts.close(_, client)
    client[OPEN] = false
end

-- Acts now, or in order once the server runs.
local function announce(server, name, client)
    local waiting = server[WAITING]
    if server[NOTIFIER] and ordered.count(waiting) == 0 then
        acts[name](server, client)
    else
        ordered.add(waiting, { name, client })
    end
end

local function act_next(server)
    local first = ordered.take(server[WAITING])
    -- A finaliser may have closed the server since its caller looked.
    if first then
        acts[first[1]](server, first[2])
    end
end

-- Acts one by one, each in a call of `pump` of its own: an error in one must not lose the others.
local function act_later(home)
    local server = home[1]
    local count = server and server[NOTIFIER] and ordered.count(server[WAITING]) or 0
    if count > 0 then
        if count > 1 then
            evsock.after(0, act_later, home)
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
    sock_api.release(client)
    local server = home_of(client)
    if server then
        server[CLIENTS][client] = nil
    end
end

-- What a mode takes out of the buffer: a function, and a byte count.
local function parse_mode(mode)
    mode = shared.check_mode(mode)
    if mode == "line" then
        return function(client)
            return sock_api.read_line(client, "each")
        end
    elseif mode == "all" then
        return sock_api.read
    end
    return function(client)
        return sock_api.read_exact(client, mode)
    end, mode
end

-- Dispatches what the system has of this client now, until no more comes.
local function take_arrivals(client)
    local before
    repeat
        before = sock_api.buffered(client)
        evsock.attend(client)
    until sock_api.buffered(client) == before
end

local methods = {}

function methods.receive(client, mode, timeout_ms)
    expect(client, "receive", "client")
    local take, count = parse_mode(mode)
    local seconds = check_seconds(timeout_ms, "receive")
    check_open(client, "receive")
    if serving(client) then
        core.raise("receive: the server of this client runs and receives for it")
    elseif take == sock_api.read then
        take_arrivals(client)
    elseif count and count > MAX_FRAME then
        sock_api.set(client, "max_frame", count)
    end
    local data
    local function is_over()
        data = data or take(client)
        return data or sock_api.state(client) ~= "open"
    end
    local before, over, problem
    repeat
        before = sock_api.buffered(client)
        over, problem = common.block(client, seconds, function()
            return is_over() or count and sock_api.buffered(client) > before
        end)
        -- For a block the time counts anew with every piece.
    until over == nil or is_over() or not count or sock_api.buffered(client) == before
    if over == nil then
        return nil, problem
    elseif not data and sock_api.state(client) == "open" then
        return nil, TIMEOUT
    end
    data = data or sock_api.read(client)
    if data then
        return data
    end
    shut(client)
    return nil, client[PROBLEM] or DISCONNECTED
end

function methods.send(client, message)
    expect(client, "send", "client")
    local data = shared.bytes_of(message)
    check_open(client, "send")
    local ok, problem, code = sock_api.write(client, data)
    if ok then
        local timeout = settings:get("send_timeout") or SEND_TIMEOUT
        ok, problem, code = sock_api.flush(client, timeout / 1000)
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
        is_open = shared.is_open,
        local_address = property "local_address",
        local_port = property "local_port",
        peer_address = property "peer_address",
        peer_port = property "peer_port",
    },
    on = on,
    close = shut,
    tostring = shared.description("renoise.Socket.SocketClient"),
}

-- The connection stands. The peer is named as the script has asked for it, wherever that led.
local function set_facts(client, address, port)
    local info = sock_api.info(client)
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
    local is_udp = shared.check_protocol(protocol, "create_client")
    local seconds = check_seconds(timeout_ms == nil and CONNECT_TIMEOUT or timeout_ms,
        "create_client")
    if address == "" then
        return nil, "connect: no address"
    elseif is_udp then
        return core.part "renoise/udp".create_client(address, port, seconds)
    end
    local client = Client.new()
    sock_api.set(client, "connect_timeout", 0)
    local redirect = settings:redirect_by_ipv4(address, port)
    local ok, problem = sock_api.connect(client, address, port, nil, redirect)
    if ok then
        ok, problem = common.block(client, seconds, function()
            local state = sock_api.state(client)
            return state == "open" or state == "closed"
        end)
    end
    if ok and sock_api.state(client) == "open" then
        local asked = redirect and core.is_numeric(address)
        set_facts(client, asked and common.bare(address) or nil, port)
        return client
    end
    sock_api.release(client)
    return nil, client[PROBLEM] or problem or TIMEOUT
end

-- SocketServer ------------------------------------------------------------------------------------

local server_methods = {}

function server_methods.run(server, notifier)
    expect_open(server, "run", "server")
    server[NOTIFIER] = shared.check_notifier(notifier)
    core.server.resume(server)
    if ordered.count(server[WAITING]) > 0 then
        evsock.after(0, act_later, server[SELF])
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
    for _ = 1, ordered.count(server[WAITING]) do
        if server[NOTIFIER] then
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
    server[WAITING] = ordered.clear {}
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
        is_open = shared.is_open,
        is_running = shared.is_running,
        local_address = property "local_address",
        local_port = property "local_port",
    },
    on = {
        accept = function(server, client)
            set_facts(client)
            client[HOME] = server[SELF]
            server[CLIENTS][client] = true
            announce(server, "accept", client)
        end,
        error = function(server, message)
            notify(server, "socket_error", message)
        end,
    },
    close = server_methods.close,
    tostring = shared.description("renoise.Socket.SocketServer"),
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
    local is_udp = shared.check_protocol(protocol, "create_server")
    -- Not that of IPv6 where a machine has it first.
    address = address == nil and "*" or address:lower() == "localhost" and "127.0.0.1" or address
    if is_udp then
        return core.part "renoise/udp".create_server(address, port)
    end
    local server = Server.new()
    local listening, message = core.server.listen(server, address, port, nil, Client, "object")
    if not listening then
        return nil, message
    end
    -- Nobody is accepted before it runs.
    core.server.pause(server)
    local facts = {}
    facts.local_address, facts.local_port = core.server.address(server)
    server[KIND], server[OPEN], server[FACTS] = "server", true, facts
    server[CLIENTS], server[WAITING] = {}, ordered.clear {}
    server[SELF] = setmetatable({ server }, { __mode = "v" })
    return server
end

-- The module --------------------------------------------------------------------------------------

local Socket = {
    PROTOCOL_TCP = shared.PROTOCOL_TCP,
    PROTOCOL_UDP = shared.PROTOCOL_UDP,
    create_client = create_client,
    create_server = create_server,
}

-- Settings: see `shared`. `install` sets `renoise.Socket` and `renoise.Osc`.
local renoise = { Socket = Socket, Osc = core.part "renoise/osc" }
return common.publish(renoise, settings, function(env)
    local there = common.table_of(env, "renoise")
    there.Socket, there.Osc = renoise.Socket, renoise.Osc
end)
