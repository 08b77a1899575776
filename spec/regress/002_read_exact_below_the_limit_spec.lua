-- The story: reading from the peer stops by an estimate of what the script has not read, and the
-- estimate may be too high. A script that then asked for a block below read_limit, but above what
-- had been let in, waited for ever: nobody told the leader that more was wanted.

local helper = require "spec.helper"

describe("regress 002", function()
    after_each(helper.finish)

    it("read_exact below the limit gets its bytes however the reads before it fell", function()
        local LIMIT = 65536
        local client, peer = helper.pair { read_limit = LIMIT }
        -- More than twenty rounds can take: each reads at most what was let in and a block.
        peer:write(("x"):rep(200 * LIMIT))
        for round = 1, 20 do
            helper.pump_until(function()
                return client.buffered > LIMIT / 2
            end, 5, "half a buffer, round " .. round)
            while client.buffered > LIMIT * 0.3 do
                client:read(1000)
            end
            helper.pump_until(function()
                return client:read_exact(LIMIT - 100)
            end, 5, "a block, round " .. round)
        end
        client:abort()
    end)
end)
