-- A Q-SYS plugin that asks a real nginx for the state of its device.

local helper = require "spec.helper"
local daemon = require "spec.peers.daemon"
local tools = require "spec.dialects.qsys_host_tools"

describe("a plugin that asks by HTTP", function()
    local nginx = daemon.for_block(setup, teardown, daemon.nginx)

    setup(function()
        local file = assert(io.open(nginx.files .. "/state.json", "w"))
        file:write('{"level":-12.5,"name":"rack 1","inputs":[]}')
        file:close()
    end)

    after_each(tools.finish)

    it("hears JSON, codes of failures, and a device that is away", function()
        local plugin = tools.load("rest.qplug", { hosts = { device = "127.0.0.1:" .. nginx.port } })
        local controls = plugin.Controls
        plugin:press("Ask")
        tools.wait(function()
            return controls.Status.String == "rack 1"
        end, "the state")
        assert.equal(-12.5, controls.Level.Value)
        plugin:set("Path", "nothing")
        plugin:press("Ask")
        tools.wait(function()
            return controls.Status.String == "code 404"
        end, "the refusal")
        assert.same({}, tools.logged(plugin, "error"))
        local away = tools.load("rest.qplug", {
            hosts = { device = "127.0.0.1:" .. helper.free_port() },
        })
        away:press("Ask")
        tools.wait(function()
            return away.Controls.Status.String:find("refused", 1, true)
        end, "the failure")
    end)
end)
