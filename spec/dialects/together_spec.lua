-- The dialects in one script: a server as on Pharos, clients as on Q-SYS, Hammerspoon and Renoise,
-- and a native one; on one pump.

local helper = require "spec.helper"
local evsock = helper.evsock
local pharos, hammerspoon = require "evsock.pharos", require "evsock.hammerspoon"
local qsys, renoise = require "evsock.qsys", require "evsock.renoise"

local MANY = math.ceil(1000 / helper.fewer)
-- How many messages a client has on their way at most.
local WINDOW = 20

-- Sends every line back; its sockets are kept by the table that is returned.
local function pharos_echo()
    local server = helper.track(pharos.net.TcpServer.new())
    local sockets = {}
    local function serve(socket)
        while socket.can_read_line do
            socket:write_string(socket:read_line_string())
        end
    end
    server.new_connection_handler = function()
        while server.has_pending_connections do
            local socket = server:next_pending_connection()
            sockets[#sockets + 1] = socket
            socket.ready_read_handler = serve
            serve(socket)
        end
    end
    assert(server:listen(0))
    return server, sockets
end

-- What has come back, which must be the next of `name`'s.
local function new_ledger(name)
    local ledger = { sent = 0, heard = 0 }
    function ledger.next()
        if ledger.sent < MANY and ledger.sent - ledger.heard < WINDOW then
            ledger.sent = ledger.sent + 1
            return name .. " " .. ledger.sent
        end
    end
    function ledger.hear(text)
        ledger.heard = ledger.heard + 1
        assert.equal(name .. " " .. ledger.heard, text)
    end
    return ledger
end

local clients = {}

function clients.qsys(port, ledger)
    local sock = helper.track(qsys.TcpSocket.New())
    local function go_on()
        for text in ledger.next do
            sock:Write(text .. "\n")
        end
    end
    sock.EventHandler = function(given, event)
        assert(given == sock)
        assert(event == "CONNECTED" or event == "DATA", event)
        local line = sock:ReadLine(qsys.TcpSocket.EOL.Lf)
        while line do
            ledger.hear(line)
            line = sock:ReadLine(qsys.TcpSocket.EOL.Lf)
        end
        go_on()
    end
    sock:Connect("127.0.0.1", port)
end

function clients.hammerspoon(port, ledger)
    local sock
    local function go_on()
        for text in ledger.next do
            sock:write(text .. "\n", ledger.sent)
            sock:read("\n", ledger.sent)
        end
    end
    sock = hammerspoon.socket.new(function(data, tag)
        ledger.hear(data:sub(1, -2))
        assert.equal(ledger.heard, tag)
        go_on()
    end)
    helper.track(sock, function() sock:disconnect() end)
    assert(sock:connect("127.0.0.1", port, go_on))
end

-- It blocks, and nobody's handlers run meanwhile: so it only looks, once a turn.
function clients.renoise(port, ledger)
    local client = assert(renoise.Socket.create_client("127.0.0.1", port))
    helper.track(client, function() client:close() end)
    return function()
        for text in ledger.next do
            assert(client:send(text .. "\n"))
        end
        local line, problem = client:receive("*line", 0)
        while line do
            ledger.hear(line)
            line, problem = client:receive("*line", 0)
        end
        assert.equal("timeout", problem)
    end
end

function clients.native(port, ledger)
    local sock = helper.connect(port)
    local function go_on()
        for line in sock:lines() do
            ledger.hear(line)
        end
        for text in ledger.next do
            sock:write(text, "\n")
        end
    end
    sock.on_connect, sock.on_data = go_on, go_on
end

describe("the dialects together", function()
    after_each(helper.finish)

    it("carry 1,000 messages each on one pump, none lost or out of order", function()
        local server, sockets = pharos_echo()
        local ledgers, turns = {}, {}
        for name, begin in pairs(clients) do
            ledgers[name] = new_ledger(name)
            turns[#turns + 1] = begin(server.port, ledgers[name])
        end
        helper.pump_until(function()
            local all = true
            for _, turn in pairs(turns) do
                turn()
            end
            for _, ledger in pairs(ledgers) do
                all = all and ledger.heard == MANY
            end
            return all
        end, 20, "all messages of all")
        assert.equal(4, #sockets)
        for name, ledger in pairs(ledgers) do
            assert.equal(MANY, ledger.sent, name)
        end
        for _, socket in ipairs(sockets) do
            assert.equal(0, socket.bytes_available)
            socket:abort()
        end
        server:close()
    end)

    it("each go by their own settings: hosts of one are not those of another", function()
        local port = helper.server().port
        qsys.configure({ hosts = { ["device.test"] = "127.0.0.1:" .. port } })
        renoise.configure({ hosts = { ["device.test"] = false } })
        local sock = helper.track(qsys.TcpSocket.New())
        sock:Connect("device.test", 7)
        helper.pump_until(function() return sock.IsConnected end)
        assert.is_nil((renoise.Socket.create_client("device.test", 7, 1, 1000)))
        qsys.configure({ hosts = {} })
        renoise.configure({ hosts = {} })
    end)

    it("share on_error: it is told of the handlers of all", function()
        local told = {}
        evsock.on_error = function(message)
            told[#told + 1] = message:match("of [%a-]+") or message
        end
        local port = helper.server().port
        local sock = helper.track(qsys.TcpSocket.New())
        sock.Connected = function() error("of q-sys") end
        sock:Connect("127.0.0.1", port)
        local client = hammerspoon.socket.new()
        helper.track(client, function() client:disconnect() end)
        client:connect("127.0.0.1", port, function() error("of hammerspoon") end)
        local other = pharos.net.TcpSocket.new()
        helper.track(other, function() other:abort() end)
        other.connected_handler = function() error("of pharos") end
        other:connect("127.0.0.1", port)
        helper.pump_until(function() return #told == 3 end)
        evsock.on_error = nil
        table.sort(told)
        assert.same({ "of hammerspoon", "of pharos", "of q-sys" }, told)
    end)
end)
