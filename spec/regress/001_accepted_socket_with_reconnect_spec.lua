-- The story: a Q-SYS server's handler set ReconnectTimeout on the socket it was given, or a native
-- server was made with `reconnect`. When the client left, the accepted socket began to wait for a
-- reconnect that has nowhere to go; its alarm lay in the past for ever, and whoever fired timers
-- never came back: pump hung with a core at 100 %.

local helper = require "spec.helper"
local evsock = helper.evsock

describe("regress 001", function()
    after_each(helper.finish)

    it("an accepted socket with reconnect closes once, and pump comes back", function()
        local closed = 0
        local record = helper.server {
            reconnect = 0.01,
            on_close = function()
                closed = closed + 1
            end,
            on_reconnect = helper.never("on_reconnect of an accepted socket"),
        }
        local client = helper.connect(record.port, {})
        helper.pump_until(function()
            return record.sockets[1] and client.state == "open"
        end, 5, "a connection")
        client:close()
        helper.pump_until(function() return closed == 1 end, 5, "the end of the accepted socket")
        local began = evsock.now()
        evsock.pump(0.1)
        assert.is_true(evsock.now() - began < 2)
        assert.equal("closed", record.sockets[1].state)
        assert.equal(1, closed)
    end)
end)
