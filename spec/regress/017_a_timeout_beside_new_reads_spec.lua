-- Hammerspoon: a read with a timeout waited for the rest of its line. In the very pump in which the
-- time was up, but before, a handler asked twice for the same: the timeout was lost, and the
-- connection stayed for ever.

local helper = require "spec.helper"
local evsock = helper.evsock
local hs = require "evsock.hammerspoon"

describe("regress 017", function()
    after_each(helper.finish)

    it("a read's timeout ends the connection whatever is asked for in its last pump", function()
        for more = 0, 2 do
            local peer
            local server = helper.server {
                on_accept = function(_, sock)
                    peer = sock
                end,
                on_close = function() end,
            }
            local client = helper.track(hs.socket.new(function() end), function(sock)
                sock:disconnect()
            end)
            client:setTimeout(0.2)
            client:connect("127.0.0.1", server.port)
            helper.pump_until(function() return peer and client:connected() end)
            client:read("\n")
            local began = evsock.now()
            peer:write("no line")
            evsock.after(0.15, function()
                for _ = 1, more do
                    client:read("\n")
                end
            end)
            -- Both are due in the next pump.
            repeat until evsock.now() > began + 0.25
            helper.pump_until(function()
                return not client:connected()
            end, 5, "the end after " .. more .. " more reads")
        end
    end)
end)
