-- Tests of the plugin projector.lua, which would take three minutes: the clock is the test's.
--
--   busted --lua=/usr/bin/lua5.4 examples/plugin_tests        (from the root of the repository)

local host = require "evsock.qsys.host"
local testing = require "evsock.testing"

describe("the projector's plugin", function()
    local clock, device, plugin

    -- What the device was asked since the last look.
    local function asked()
        local all = table.concat(device.received, " ")
        device.received = {}
        return all
    end

    before_each(function()
        clock = testing.clock()
        device = assert(testing.device {
            ["POWR?"] = { "POWR=0", "POWR=1" },
            ["POWR 1"] = "OK",
        })
        plugin = host.load("examples/plugin_tests/projector.lua", {
            hosts = { ["10.0.0.9"] = "127.0.0.1:" .. device.port },
        })
        clock:advance(0)
    end)

    after_each(function()
        plugin:stop()
        device:close()
        clock:release()
        assert.equal(0, #testing.leaks())
    end)

    it("connects and asks at once", function()
        assert.equal("online", plugin.Controls.Status.String)
        assert.equal("POWR?", asked())
        assert.is_false(plugin.Controls.Power.Boolean)
    end)

    it("polls every 30 seconds", function()
        clock:advance(29)
        assert.equal("POWR?", asked())
        clock:advance(1)
        assert.equal("POWR?", asked())
        assert.is_true(plugin.Controls.Power.Boolean)
        clock:advance(60)
        assert.equal("POWR? POWR?", asked())
    end)

    it("switches the projector", function()
        plugin:set("Power", true)
        clock:advance(0)
        assert.equal("POWR? POWR 1", asked())
    end)

    it("tells after 3 seconds that nobody answers, and goes on", function()
        device:silence()
        clock:advance(30 + 2)
        assert.equal("online", plugin.Controls.Status.String)
        clock:advance(1)
        assert.equal("no answer", plugin.Controls.Status.String)
        device:silence(false)
        clock:advance(30)
        assert.equal("online", plugin.Controls.Status.String)
    end)

    it("is back 5 seconds after the projector lost power", function()
        asked()
        device:reset()
        clock:advance(4.5)
        assert.equal("offline", plugin.Controls.Status.String)
        assert.equal("", asked())
        clock:advance(0.5)
        assert.equal("online", plugin.Controls.Status.String)
        assert.equal("POWR?", asked())
    end)

    it("takes answers in whatever pieces they come, and no harm from garbage", function()
        device:split(1)
        device:garbage("\0\255 POWR=\r\n")
        clock:advance(30)
        assert.is_true(plugin.Controls.Power.Boolean)
        assert.equal("online", plugin.Controls.Status.String)
    end)
end)
