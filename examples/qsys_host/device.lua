-- An amplifier to try the plugin beside it with: it tells its volume and takes orders.
--
--   lua5.4 examples/qsys_host/device.lua [PORT]        (2323 without one; Ctrl-C ends it)

local evsock = require "evsock"
local testing = require "evsock.testing"

local device = assert(testing.device({
    ["VOL?"] = "VOL -30",
    ["^VOL .+$"] = "OK",
    ["^MUTE .+$"] = "OK",
}, { port = tonumber(arg[1]) or 2323 }))

print("the amplifier listens at port " .. device.port)
evsock.run()
