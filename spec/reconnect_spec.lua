-- The option reconnect (api.md, 2): attempts by itself, their pauses, and how they end.

local helper = require "spec.helper"

local evsock = helper.evsock
local expect, never, pump_until = helper.expect, helper.never, helper.pump_until
local is_state = helper.is_state

describe("reconnect", function()
    after_each(helper.finish)

    it("is off by default", function()
        local sock = helper.connect(helper.free_port(), {
            on_close = expect(1), on_reconnect = never("on_reconnect"),
        })
        assert.is_false(sock.reconnect)
        pump_until(is_state(sock, "closed"))
        helper.pump_for(0.1)
        assert.equal("closed", sock.state)
    end)

    it("tries again until somebody listens, with on_close once per attempt", function()
        local port = helper.free_port()
        local closes, attempts = 0, {}
        local sock = helper.connect(port, {
            reconnect = 0.03,
            on_connect = expect(1),
            on_close = expect(function(_, message, code)
                closes = closes + 1
                assert.is_string(message)
                assert.equal("ECONNREFUSED", code)
            end),
            on_reconnect = expect(function(_, attempt)
                attempts[#attempts + 1] = attempt
                assert.equal(closes, #attempts)
            end),
        })
        pump_until(function() return #attempts >= 3 end)
        local server = helper.track(assert(evsock.listen("127.0.0.1", port, {
            on_accept = function(_, peer) helper.track(peer) end,
        })))
        pump_until(is_state(sock, "open"))
        assert.equal(port, server.port)
        assert.equal(#attempts, closes)
        for i, attempt in ipairs(attempts) do
            assert.equal(i, attempt)
        end
    end)

    it("is waiting during the pause", function()
        local sock = helper.connect(helper.free_port(), { reconnect = 0.5, on_close = expect(1) })
        pump_until(is_state(sock, "waiting"))
        assert.is_true(evsock.active() > 0)
    end)

    it("waits that many seconds", function()
        local closed
        local pauses = {}
        helper.connect(helper.free_port(), {
            reconnect = 0.2,
            on_close = function() closed = evsock.now() end,
            on_reconnect = function() pauses[#pauses + 1] = evsock.now() - closed end,
        })
        pump_until(function() return #pauses == 3 end)
        for _, pause in ipairs(pauses) do
            assert.is_true(pause > 0.18 and pause < 0.6, "pause " .. pause)
        end
    end)

    it("lets pauses grow from min by factor to max", function()
        local closed
        local pauses = {}
        helper.connect(helper.free_port(), {
            reconnect = { min = 0.05, factor = 3, max = 0.3, jitter = 0 },
            on_close = function() closed = evsock.now() end,
            on_reconnect = function() pauses[#pauses + 1] = evsock.now() - closed end,
        })
        pump_until(function() return #pauses == 4 end)
        local wanted = { 0.05, 0.15, 0.3, 0.3 }
        for i, pause in ipairs(pauses) do
            assert.is_true(pause > wanted[i] - 0.02 and pause < wanted[i] + 0.3,
                ("pause %d: %g"):format(i, pause))
        end
    end)

    it("spreads pauses by jitter", function()
        local closed
        local least, most, count = math.huge, 0, 0
        helper.connect(helper.free_port(), {
            reconnect = { min = 0.1, factor = 1, max = 0.1, jitter = 0.5 },
            on_close = function() closed = evsock.now() end,
            on_reconnect = function()
                local pause = evsock.now() - closed
                least, most, count = math.min(least, pause), math.max(most, pause), count + 1
            end,
        })
        pump_until(function() return count == 6 end)
        assert.is_true(least > 0.04, "least " .. least)
        assert.is_true(most < 0.5, "most " .. most)
        assert.is_true(most - least > 0.005)
    end)

    for _, ending in ipairs { "close", "abort" } do
        it(("follows an open connection that ended by the peer's %s"):format(ending), function()
            local record = helper.server()
            local connects = 0
            local sock = helper.connect(record.port, {
                reconnect = 0.02,
                on_connect = expect(function() connects = connects + 1 end, 2),
                on_close = expect(1),
                on_reconnect = expect(function(_, attempt) assert.equal(1, attempt) end, 1),
            })
            -- Open on both sides: a reset that comes sooner is a failed attempt.
            pump_until(function() return record.sockets[1] and sock.state == "open" end)
            record.sockets[1][ending](record.sockets[1])
            pump_until(function() return connects == 2 and record.sockets[2] end)
            assert.equal("open", sock.state)
            assert.equal("127.0.0.1", sock.host)
        end)
    end

    it("follows a read_timeout", function()
        local record = helper.server()
        helper.connect(record.port, {
            reconnect = 0.02,
            read_timeout = 0.1,
            on_close = expect(function(_, _, code) assert.equal("ETIMEDOUT", code) end),
            on_reconnect = expect(),
        })
        pump_until(function() return #record.sockets >= 2 end)
    end)

    it("follows a name that does not resolve", function()
        helper.track(evsock.connect("nosuch.invalid", 1, {
            reconnect = 0.02, connect_timeout = 5, on_close = expect(), on_reconnect = expect(),
        }))
        local closes = 0
        local sock = helper.track(evsock.connect("nosuch.invalid", 1, {
            reconnect = 0.02,
            connect_timeout = 5,
            on_close = function() closes = closes + 1 end,
        }))
        pump_until(function() return closes >= 2 end, 15)
        assert.equal("nosuch.invalid", sock.host)
    end)

    it("can be set on an open socket, and taken back", function()
        local record = helper.server()
        local sock = helper.connect(record.port, { on_close = expect(2), on_reconnect = expect(1) })
        pump_until(function() return record.sockets[1] end)
        sock.reconnect = 0.02
        record.sockets[1]:close()
        pump_until(function() return record.sockets[2] and sock.state == "open" end)
        sock.reconnect = false
        record.sockets[2]:close()
        pump_until(is_state(sock, "closed"))
        helper.pump_for(0.1)
    end)

    for _, ending in ipairs { "close", "abort" } do
        it(("is ended by %s while open"):format(ending), function()
            local client = helper.pair({
                reconnect = 0.02, on_close = expect(1), on_reconnect = never("on_reconnect"),
            })
            client[ending](client)
            pump_until(is_state(client, "closed"))
            helper.pump_for(0.1)
            assert.equal("closed", client.state)
        end)

        it(("is ended by %s while waiting"):format(ending), function()
            local sock = helper.connect(helper.free_port(), {
                reconnect = 0.1, on_reconnect = never("on_reconnect"),
            })
            pump_until(is_state(sock, "waiting"))
            sock[ending](sock)
            pump_until(is_state(sock, "closed"))
            helper.pump_for(0.2)
            assert.equal(0, evsock.active())
        end)

        it(("is ended by %s inside on_close"):format(ending), function()
            local sock = helper.connect(helper.free_port(), {
                reconnect = 0.02,
                on_close = expect(function(self) self[ending](self) end, 1),
                on_reconnect = never("on_reconnect"),
            })
            pump_until(is_state(sock, "closed"))
            helper.pump_for(0.1)
            assert.equal("closed", sock.state)
        end)
    end

    it("gives way to sock:connect, which starts at once", function()
        local record = helper.server()
        local sock = helper.connect(helper.free_port(), {
            reconnect = 20, on_reconnect = never("on_reconnect"), on_connect = expect(1),
        })
        pump_until(is_state(sock, "waiting"))
        sock:connect("127.0.0.1", record.port)
        pump_until(is_state(sock, "open"), 2)
    end)

    it("keeps a waiting socket alive without being referenced", function()
        local port = helper.free_port()
        local connected = 0
        local waiting
        local function start()
            evsock.connect("127.0.0.1", port, {
                reconnect = 0.05,
                on_close = function() waiting = true end,
                on_connect = function(sock)
                    connected = connected + 1
                    sock:abort()
                end,
            })
        end
        start()
        pump_until(function()
            collectgarbage()
            return waiting
        end)
        helper.track(assert(evsock.listen("127.0.0.1", port, {
            on_accept = function(_, peer) helper.track(peer) end,
        })))
        pump_until(function()
            collectgarbage()
            return connected == 1
        end)
    end)
end)
