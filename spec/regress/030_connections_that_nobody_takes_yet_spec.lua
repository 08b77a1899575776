-- A server without `on_accept` closed every connection without a word: `on_accept` set later never
-- came, and `server:accept()` gave nil as soon as anything had pumped. They wait now, while
-- somebody refers to the server.

local helper = require "spec.helper"
local kit = require "spec.peers.openssl"
local evsock = helper.evsock
local expect, pump_until = helper.expect, helper.pump_until

local function listen(options)
    return helper.track(assert(evsock.listen("127.0.0.1", 0, options)))
end

local function connect_all(port, count)
    local clients, open = {}, 0
    for i = 1, count do
        clients[i] = helper.connect(port, { on_connect = function() open = open + 1 end })
        clients[i]:write("client " .. i)
    end
    pump_until(function() return open == count end)
    helper.pump_for(0.05)
    return clients
end

local function states(clients)
    local open = 0
    for _, client in ipairs(clients) do
        open = open + (client.state == "open" and 1 or 0)
    end
    return open
end

describe("regress 030", function()
    after_each(helper.finish)

    it("an on_accept that is set later gets all who wait, in order", function()
        local server, words = listen(), {}
        local clients = connect_all(server.port, 3)
        assert.equal(3, states(clients))
        server.on_accept = expect(function(_, sock)
            helper.track(sock)
            sock.on_data = function()
                words[#words + 1] = sock:read()
            end
        end, 4)
        assert.equal(0, #words)
        connect_all(server.port, 1)
        pump_until(function() return #words == 4 end)
        table.sort(words)
        assert.same({ "client 1", "client 1", "client 2", "client 3" }, words)
    end)

    it("one that is taken away and given back, too", function()
        local count = 0
        local function take(_, sock)
            count = count + 1
            helper.track(sock)
        end
        local server = listen { on_accept = take }
        connect_all(server.port, 1)
        pump_until(function() return count == 1 end)
        server.on_accept = nil
        connect_all(server.port, 2)
        assert.equal(1, count)
        server.on_accept = take
        pump_until(function() return count == 3 end)
    end)

    it("server:accept() gives the next one, whoever pumped before", function()
        local server = listen()
        connect_all(server.port, 2)
        local words = {}
        for i = 1, 2 do
            local sock = helper.track(assert(server:accept()))
            words[i] = sock:receive("*r", 5)
        end
        table.sort(words)
        assert.same({ "client 1", "client 2" }, words)
        assert.is_nil(server:accept())
        connect_all(server.port, 1)
        assert.equal("client 1", helper.track(assert(server:accept())):receive("*r", 5))
    end)

    it("so it is with TLS", function()
        local certificates = kit.certificates()
        local server = listen { tls = certificates:identity("ecdsa") }
        local client = helper.track(evsock.connect("localhost", server.port, {
            tls = { cafile = certificates:path("ca.pem") },
        }))
        client:write("secret")
        pump_until(function() return client.state == "open" end)
        helper.pump_for(0.05)
        local sock = helper.track(assert(server:accept()))
        assert.equal("secret", sock:receive("*r", 5))
        certificates:remove()
    end)

    it("no more than backlog wait on our side", function()
        local server = listen { backlog = 5 }
        for _ = 1, 10 do
            helper.connect(server.port)
        end
        pump_until(function() return server.connections >= 5 end)
        helper.pump_for(0.05)
        assert.equal(5, server.connections)
        local taken = 0
        server.on_accept = function(_, sock)
            taken = taken + 1
            helper.track(sock)
        end
        pump_until(function() return taken == 10 end)
    end)

    it("where accepted sockets have handlers from listen, these are enough", function()
        local words
        local server = listen { on_data = expect(function(sock)
            words = sock:read()
            sock:close()
        end, 1) }
        connect_all(server.port, 1)
        pump_until(function() return words == "client 1" end)
    end)

    it("a server that nobody refers to is collected, and closes who waits", function()
        local closed = 0
        local function start()
            local server = assert(evsock.listen("127.0.0.1", 0))
            for _ = 1, 3 do
                helper.connect(server.port, { on_close = function() closed = closed + 1 end })
            end
            pump_until(function() return server.connections == 3 end)
            helper.pump_for(0.02)
        end
        start()
        pump_until(function()
            helper.collect()
            return closed == 3
        end)
    end)
end)
