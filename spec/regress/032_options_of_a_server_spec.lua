-- `server.tls = …`, `server.max_connections = "x"` and `server.read_timeout = -5` were swallowed: a
-- server had no such properties. Every option of `listen` is one now; sockets accepted from then on
-- get what was set, and what cannot be changed any more says so.

local helper = require "spec.helper"
local kit = require "spec.peers.openssl"
local evsock = helper.evsock
local pump_until = helper.pump_until

local function accept_one(record, options)
    local count = #record.sockets
    local client = helper.connect(record.port, options)
    pump_until(function() return #record.sockets > count end)
    return client, record.sockets[count + 1]
end

local given = {
    connect_timeout = 3, read_timeout = 4, write_timeout = 5, reconnect = 6, nodelay = false,
    keepalive = 7, read_limit = 8000, max_frame = 9000, write_limit = 10000, drain_at = 11,
    half_open = true, ipv4_first = true,
}

describe("regress 032", function()
    after_each(helper.finish)

    it("every option has its default, and what listen was given", function()
        local record = helper.server()
        local server = record.server
        assert.same({ 10, 0, 1024, false, 0 }, {
            server.connect_timeout, server.read_timeout, server.backlog, server.reuse_port,
            server.max_connections,
        })
        local other = helper.server({ read_timeout = 7, max_connections = 8, backlog = 9 }).server
        assert.same({ 7, 8, 9 }, { other.read_timeout, other.max_connections, other.backlog })
    end)

    it("what is set is what sockets accepted from then on have, and no others", function()
        local record = helper.server({ read_timeout = 2 })
        local _, before = accept_one(record)
        for name, value in pairs(given) do
            record.server[name] = value
            assert.equal(value, record.server[name])
        end
        local _, after = accept_one(record)
        for name, value in pairs(given) do
            assert.equal(value, after[name], name)
        end
        assert.equal(2, before.read_timeout)
        assert.equal(1024 * 1024, before.read_limit)
        assert.equal(10, before.connect_timeout)
    end)

    it("and it works on them", function()
        local record = helper.server()
        record.server.read_timeout = 0.1
        local _, peer = accept_one(record)
        pump_until(function() return peer.state == "closed" end)
    end)

    it("max_connections can be raised for those who wait, and lowered", function()
        local record = helper.server({ max_connections = 1 })
        for _ = 1, 3 do
            helper.connect(record.port)
        end
        pump_until(function() return #record.sockets == 1 end)
        helper.pump_for(0.05)
        assert.equal(1, #record.sockets)
        record.server.max_connections = 2
        pump_until(function() return #record.sockets == 2 end)
        helper.pump_for(0.05)
        assert.equal(2, #record.sockets)
        record.server.max_connections = 0
        pump_until(function() return #record.sockets == 3 end)
        record.server.max_connections = 2
        helper.connect(record.port)
        helper.pump_for(0.05)
        assert.equal(3, #record.sockets)
        assert.equal(2, record.server.max_connections)
    end)

    it("what is wrong raises at the caller's line and changes nothing", function()
        local server = helper.server().server
        local cases = {
            read_timeout = -5, max_connections = "x", write_timeout = "5", reconnect = "often",
            nodelay = 1, keepalive = "on", read_limit = -1, half_open = 0, bind = "here",
            tls = true, connect_timeout = {},
        }
        for name, value in pairs(cases) do
            local before = server[name]
            helper.misuse(function() server[name] = value end, "'" .. name .. "'")
            assert.equal(before, server[name])
        end
        helper.misuse(function() server.tls = { certfile = "/nowhere" } end, "tls")
        helper.misuse(function() server.backlog = 5 end, "cannot be changed while it listens")
        helper.misuse(function() server.reuse_port = true end, "give it to 'listen'")
        helper.misuse(function() server.connections = 5 end, "read-only")
    end)

    it("server.tls is for the next handshakes, which take up nothing agreed on before", function()
        local certificates = kit.certificates()
        local record = helper.server({ tls = certificates:identity("ecdsa") })
        local tls = evsock.tls { cafile = certificates:path("ca.pem"), server_name = "localhost" }
        local function outcome(options)
            local result, got
            options.on_connect = function() result = result or "open" end
            options.on_close = function(_, _, code) result = result or code or "end" end
            options.on_data = function(sock) got = sock:read() end
            local client, peer = helper.connect(record.port, options), nil
            pump_until(function() return result end)
            if result == "open" then
                pump_until(function()
                    peer = record.sockets[#record.sockets]
                    return peer and peer.state == "open"
                end)
                peer:write("hello")
                -- The session that may be resumed has come then, too.
                pump_until(function() return got == "hello" end)
                client:close()
                pump_until(function() return peer.state == "closed" end)
            end
            return result
        end
        record.server.on_error = function() end
        assert.equal("open", outcome { tls = tls })
        record.server.tls = certificates:identity("rsa")
        assert.equal("open", outcome { tls = tls })
        record.server.tls = evsock.tls(certificates:identity("itself"))
        assert.equal("TLS_SELF_SIGNED", outcome { tls = tls })
        record.server.tls = false
        assert.equal("open", outcome {})
        assert.is_false(record.server.tls)
        certificates:remove()
    end)
end)
