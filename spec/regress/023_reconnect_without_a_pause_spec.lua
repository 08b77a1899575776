-- The story: `reconnect = 0`, written for "at once", made 54,700 attempts a second to a port that
-- refused, with a core at 100 %. Tables of pauses, shrinking factors, jitter and Q-SYS's
-- ReconnectTimeout came as near to zero as a script wished.

local helper = require "spec.helper"
local qsys = require "evsock.qsys"
local evsock = helper.evsock

-- Attempts that a socket makes by itself in so many seconds; `start` gets what counts them.
local function attempts(seconds, start)
    local count, began = 0, evsock.now()
    start(function()
        count = count + 1
    end)
    helper.pump_for(seconds)
    return count, evsock.now() - began
end

describe("regress 023", function()
    after_each(helper.finish)

    it("a pause of zero, or below 10 ms, is refused wherever reconnect is given", function()
        local least = "at least 0.01"
        for _, value in ipairs { 0, 0.009, { min = 0 }, { max = 0.001 }, { min = 1e-9 } } do
            local options = { reconnect = value }
            local sock = evsock.socket()
            helper.misuse(function() evsock.connect("127.0.0.1", 1, options) end, least)
            helper.misuse(function() evsock.socket(options) end, least)
            helper.misuse(function() evsock.listen("127.0.0.1", 0, options) end, least)
            helper.misuse(function() sock:connect("127.0.0.1", 1, options) end, least)
            helper.misuse(function() sock.reconnect = value end, least)
            assert.is_false(sock.reconnect)
        end
        helper.misuse(function() evsock.socket({ reconnect = 0 }) end, "false: not at all")
    end)

    it("a table whose min is above its max is refused; one alone moves the other", function()
        local odd = { reconnect = { min = 5, max = 1 } }
        helper.misuse(function() evsock.socket(odd) end, "'min' of at most 'max'")
        evsock.socket({ reconnect = { min = 60 } })
        evsock.socket({ reconnect = { max = 0.5 } })
    end)

    it("no factor and no jitter makes a pause shorter than 10 ms", function()
        for _, pauses in ipairs {
            { min = 0.01, max = 0.01, factor = 1, jitter = 50 },
            { min = 0.02, max = 0.02, factor = 0.001, jitter = 0 },
        } do
            local count, took = attempts(0.2, function(counted)
                helper.connect(helper.free_port(), { reconnect = pauses, on_reconnect = counted })
            end)
            assert.is_true(count <= took / 0.01 + 1, count .. " attempts in " .. took .. " s")
        end
    end)

    it("Q-SYS: 0 is off, and the least ReconnectTimeout is 10 ms", function()
        local count, took = attempts(0.2, function(counted)
            local sock = helper.track(qsys.TcpSocket.New())
            sock.ReconnectTimeout = 1e-6
            sock.Reconnect = counted
            sock:Connect("127.0.0.1", helper.free_port())
        end)
        assert.is_true(count >= 1)
        assert.is_true(count <= took / 0.01 + 1, count .. " attempts in " .. took .. " s")
        count = attempts(0.1, function(counted)
            local sock = helper.track(qsys.TcpSocket.New())
            sock.ReconnectTimeout = 0
            sock.Reconnect = counted
            sock:Connect("127.0.0.1", helper.free_port())
        end)
        assert.equal(0, count)
    end)
end)
