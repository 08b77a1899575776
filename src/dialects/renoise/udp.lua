-- Renoise: clients and servers of UDP (`PROTOCOL_UDP`).
--
-- Translation only: sending, lookups and what waits are the core's. A client is connected, so it
-- hears of its peer alone. What it has received is read as the bytes of datagrams in order, and
-- `*all` gives one datagram, or what is left of one, since messages of OSC know no other end.
-- Not here: UDP's limits (the core). Invariants: a server's stand-ins reach it only weakly; nothing
-- is taken from the core before a `receive` needs it, so that what waits has the core's bound.

local _, core = ...
local common, datagram = core.common, core.datagram
local ordered = common.ordered
local shared = core.part "renoise/shared"
local settings, notify, property = shared.settings, shared.notify, shared.property
local expect, check_open, expect_open = shared.expect, shared.check_open, shared.expect_open
local KIND, OPEN, FACTS, NOTIFIER = shared.KIND, shared.OPEN, shared.FACTS, shared.NOTIFIER

-- The longest line that is collected, and of how many datagrams a line or block may be: empty ones
-- have no bytes to count.
local MAX_LINE, MAX_DATAGRAMS = 16 * 1024 * 1024, 4096

local BOX = {} -- client: datagrams in order and, of the first, what is left of it
local PROBLEM = {} -- client: why its name has no address
local SELF = {} -- server: a weak table with it
local PEERS = {} -- server: stand-ins that scripts hold, by address and port
local HOME, PLACE = {}, {} -- stand-in: its server's SELF; address and port

local udp = {}

-- What a client has received ----------------------------------------------------------------------

-- `clean`: up to which place there is no newline, and `clean_bytes`, how many bytes these are;
-- `after_cr`: a LF that comes next belongs to a line read.
local function new_box()
    local box = ordered.clear {}
    box.bytes, box.clean, box.clean_bytes, box.after_cr = 0, 0, 0, false
    return box
end

-- Takes a datagram from the core; false if there is none.
local function pull(client, box)
    local data = datagram.read(client)
    if not data then
        return false
    elseif box.after_cr and data ~= "" then
        box.after_cr = false
        if data == "\n" then
            return true
        end
        data = data:gsub("^\n", "")
    end
    ordered.add(box, data)
    box.bytes = box.bytes + #data
    return true
end

-- The same for a line or block, which may not go on for ever: nil and a text if it does.
local function pull_more(client, box)
    if ordered.count(box) >= MAX_DATAGRAMS then
        return nil, "receive: a line or block of more than " .. MAX_DATAGRAMS .. " datagrams"
    end
    return pull(client, box)
end

-- So many bytes leave the box from its front.
local function count_off(box, count)
    box.bytes = box.bytes - count
    box.clean_bytes = math.max(0, box.clean_bytes - count)
end

-- The first `count` bytes; there must be so many.
local function take_bytes(box, count)
    local pieces = {}
    count_off(box, count)
    while count > 0 do
        local data = box[box.first]
        if #data <= count then
            ordered.take(box)
        else
            box[box.first] = data:sub(count + 1)
            data = data:sub(1, count)
        end
        pieces[#pieces + 1] = data
        count = count - #data
    end
    return table.concat(pieces)
end

-- An empty datagram is one, too.
local function take_datagram(client, box)
    while ordered.count(box) == 0 do
        if not pull(client, box) then
            return nil
        end
    end
    local data = ordered.take(box)
    count_off(box, #data)
    return data
end

local function take_block(client, box, count)
    while box.bytes < count do
        local pulled, problem = pull_more(client, box)
        if not pulled then
            return nil, problem
        end
    end
    return take_bytes(box, count)
end

-- The newline of a line of so many bytes goes: LF, CR LF or CR.
local function take_line(box, length)
    local line = take_bytes(box, length)
    if take_bytes(box, 1) == "\r" then
        while box.bytes > 0 and box[box.first] == "" do
            ordered.take(box)
        end
        if box.bytes == 0 then
            box.after_cr = true
        elseif box[box.first]:sub(1, 1) == "\n" then
            take_bytes(box, 1)
        end
    end
    return line
end

local function find_line(client, box)
    local place = math.max(box.first, box.clean + 1)
    local pulled, problem
    repeat
        while place <= box.last do
            local found = box[place]:find("[\r\n]")
            if found then
                return take_line(box, box.clean_bytes + found - 1)
            end
            box.clean, box.clean_bytes = place, box.clean_bytes + #box[place]
            place = place + 1
        end
        if box.bytes > MAX_LINE then
            return nil, "receive: a line of more than " .. MAX_LINE .. " bytes"
        end
        pulled, problem = pull_more(client, box)
    until not pulled
    return nil, problem
end

local function take(client, box, mode)
    if mode == "line" then
        return find_line(client, box)
    elseif mode == "all" then
        return take_datagram(client, box)
    end
    return take_block(client, box, mode)
end

-- SocketClient ------------------------------------------------------------------------------------

local methods = {}

function methods.receive(client, mode, timeout_ms)
    expect(client, "receive", "client")
    mode = shared.check_mode(mode)
    local seconds = shared.check_seconds(timeout_ms, "receive")
    check_open(client, "receive")
    local box = client[BOX]
    local counts = type(mode) == "number"
    local before, over, message, data, problem
    local function is_over()
        if not (data or problem) then
            data, problem = take(client, box, mode)
        end
        return data or problem or counts and box.bytes > before
    end
    repeat
        before = box.bytes
        over, message = common.block(client, seconds, is_over)
        -- For a block the time counts anew with every piece.
    until not (over and counts) or data or problem
    if over == nil then
        return nil, message
    elseif data then
        return data
    end
    return nil, problem or shared.TIMEOUT
end

function methods.send(client, message)
    expect(client, "send", "client")
    local data = shared.bytes_of(message)
    check_open(client, "send")
    local sent, problem = datagram.send(client, data, false)
    if sent then
        return true
    end
    return false, settings:failed(problem, problem)
end

function methods.close(client)
    expect(client, "close", "client")
    client[OPEN] = false
    client[BOX] = new_box()
    datagram.close(client)
end

local Client = core.class {
    name = "renoise.Socket.SocketClient",
    kind = "datagram",
    anchor = "handlers",
    methods = methods,
    get = {
        is_open = shared.is_open,
        local_address = property "local_address",
        local_port = property "local_port",
        peer_address = property "peer_address",
        peer_port = property "peer_port",
    },
    on = {
        datagram = function(client)
            -- It stays to be read by `receive`.
            datagram.next(client, false)
            return false
        end,
        -- Of a lookup, or an answer to a datagram that nobody took, which ends nothing.
        error = function(client, message)
            client[PROBLEM] = message
            settings:log("error", message)
            return false
        end,
    },
    close = methods.close,
    tostring = shared.description("renoise.Socket.SocketClient"),
}

-- A name is looked up for at most so many seconds; an address stands at once.
function udp.create_client(address, port, seconds)
    local redirect = settings:redirect_by_ipv4(address, port)
    local to = redirect and redirect.host or address
    local client = Client.new()
    local ok, problem = datagram.open(client, to:find(":", 1, true) and "::" or "0.0.0.0", 0, {})
    if ok then
        ok, problem = datagram.connect(client, address, port, redirect)
    end
    if ok then
        ok, problem = common.block(client, seconds, function()
            return select(3, datagram.endpoints(client)) or client[PROBLEM]
        end)
    end
    local local_address, local_port, peer_address, peer_port = datagram.endpoints(client)
    if not (ok and peer_address) then
        datagram.close(client)
        return nil, client[PROBLEM] or problem or shared.TIMEOUT
    end
    local asked = redirect and core.is_numeric(address)
    client[KIND], client[OPEN], client[BOX] = "client", true, new_box()
    client[FACTS] = {
        local_address = local_address,
        local_port = local_port,
        peer_address = asked and common.bare(address) or peer_address,
        peer_port = redirect and port or peer_port,
    }
    return client
end

-- Who has sent a datagram -------------------------------------------------------------------------

local peer_methods = {}

local function home_of(peer, method)
    local home = type(peer) == "table" and rawget(peer, HOME)
    if not home then
        core.misuse(peer, "client", method)
    end
    return home[1]
end

-- Sends from the server's port.
function peer_methods.send(peer, message)
    local server = home_of(peer, "send")
    local data = shared.bytes_of(message)
    if not (server and server[OPEN]) then
        core.raise("send: the server of this client is closed")
    end
    local place = rawget(peer, PLACE)
    local sent, problem = datagram.send(server, data, false, place[1], place[2])
    if sent then
        return true
    end
    return false, settings:failed(problem, problem)
end

function peer_methods.receive(peer)
    home_of(peer, "receive")
    core.raise("receive: the server of this client receives for it")
end

-- There is no connection to end.
function peer_methods.close(peer)
    home_of(peer, "close")
end

local Peer = {
    __name = "renoise.Socket.SocketClient",
    __type = "renoise.Socket.SocketClient",
    __index = peer_methods,
    __tostring = function(peer)
        local place = rawget(peer, PLACE)
        return "renoise.Socket.SocketClient: sender" .. core.where(place[1], place[2])
    end,
}

-- The same object as long as a script holds it.
local function peer_of(server, host, port)
    local key = host .. " " .. port
    local peer = server[PEERS][key]
    if not peer then
        local facts = server[FACTS]
        peer = setmetatable({
            [HOME] = server[SELF],
            [PLACE] = { host, port },
            is_open = false,
            peer_address = host,
            peer_port = port,
            address = host,
            port = port,
            local_address = facts.local_address,
            local_port = facts.local_port,
        }, Peer)
        server[PEERS][key] = peer
    end
    return peer
end

-- SocketServer ------------------------------------------------------------------------------------

local server_methods = {}

function server_methods.run(server, notifier)
    expect_open(server, "run", "server")
    server[NOTIFIER] = shared.check_notifier(notifier)
    datagram.resume(server)
end

function server_methods.stop(server)
    expect_open(server, "stop", "server")
    server[NOTIFIER] = nil
    -- What comes now waits in the system's queue.
    datagram.pause(server)
end

function server_methods.wait(server, timeout_ms)
    expect(server, "wait", "server")
    local seconds = shared.check_seconds(timeout_ms, "wait")
    check_open(server, "wait")
    common.block(server, seconds, function()
        return not server[OPEN]
    end)
end

function server_methods.close(server)
    expect(server, "close", "server")
    server[OPEN] = false
    server[NOTIFIER] = nil
    datagram.close(server)
end

local Server = core.class {
    name = "renoise.Socket.SocketServer",
    kind = "datagram",
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
        datagram = function(server)
            local data, host, port = datagram.next(server, true)
            if not data then
                return false
            end
            return notify(server, "socket_message", peer_of(server, host, port), data)
        end,
        error = function(server, message)
            settings:log("error", message)
            return notify(server, "socket_error", message)
        end,
    },
    close = server_methods.close,
    tostring = shared.description("renoise.Socket.SocketServer"),
}

function udp.create_server(address, port)
    local server = Server.new()
    -- Nobody is served before it runs.
    local ok, message = datagram.open(server, address, port, { paused = true })
    if not ok then
        return nil, message
    end
    local facts = {}
    facts.local_address, facts.local_port = datagram.facts(server)
    server[KIND], server[OPEN], server[FACTS] = "server", true, facts
    server[PEERS] = setmetatable({}, { __mode = "v" })
    server[SELF] = setmetatable({ server }, { __mode = "v" })
    return server
end

return udp
