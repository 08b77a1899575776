-- The story: `max_frame = 100` let lines grow to `read_limit`, 1 MiB: the bound was looked at only
-- once reading stood still.

local helper = require "spec.helper"

describe("regress 034", function()
    after_each(helper.finish)

    for name, ask in pairs {
        read_line = function(sock) return sock:read_line() end,
        read_until = function(sock) return sock:read_until("\0") end,
        read_exact = function(sock) return sock:read_exact(101) end,
    } do
        it(name .. " of more than max_frame closes with EMSGSIZE below read_limit", function()
            local code
            local client, peer = helper.pair({
                max_frame = 100,
                on_data = ask,
                on_close = helper.expect(function(_, _, why) code = why end, 1),
            })
            peer:write(("x"):rep(100))
            helper.pump_until(function() return code end, 5, "the end of the connection")
            assert.equal("EMSGSIZE", code)
            assert.equal(100, client.buffered)
        end)
    end

    it("what is no longer than max_frame is taken", function()
        local lines = {}
        local _, peer = helper.pair({
            max_frame = 100,
            on_data = function(sock)
                for line in sock:lines() do
                    lines[#lines + 1] = line
                end
            end,
        })
        peer:write((("x"):rep(90) .. "\n"):rep(50))
        helper.pump_until(function() return #lines == 50 end)
    end)
end)
