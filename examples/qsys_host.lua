-- A whole Q-SYS plugin beside a device: its buttons pressed, its controls watched, its log seen.
--
--   lua5.4 examples/qsys_host.lua        (from the root of the repository)

local evsock = require "evsock"
local host = require "evsock.qsys.host"

-- The device answers in this process; a real one would do as well.
local device = assert(evsock.listen("127.0.0.1", 0, {
    on_data = function(sock)
        for line in sock:lines() do
            print("device heard", line)
            sock:write(line == "VOL?" and "VOL -30\r\n" or "OK\r\n")
        end
    end,
}))

local plugin = host.load("examples/qsys_host/amplifier.qplug", {
    properties = { ["IP Address"] = "10.0.0.9" },
    hosts = { ["10.0.0.9"] = "127.0.0.1:" .. device.port }, -- where that address leads here
    logger = print,
})

plugin:on("*", function(control, name)
    print("control", name, control.String)
end)

local function wait(condition)
    local deadline = evsock.now() + 10
    while not condition() do
        assert(evsock.now() < deadline, "the device does not answer")
        evsock.pump(0.1)
    end
end

wait(function() return plugin.Controls.Volume.Value == -30 end)
plugin:press("Mute")
plugin:set("Volume", "-20dB")
assert(plugin.Controls.Mute.Boolean)

plugin:stop()
device:close()
evsock.run()
