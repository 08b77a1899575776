-- A task waited in `send` on a connection that had broken. How it had ended came behind more bytes
-- than were let in, and the task alone would have read them: it waited for ever.

local helper = require "spec.helper"
local evsock = helper.evsock

describe("regress 015", function()
    after_each(helper.finish)

    it("send ends although what the peer sent before it broke is not read", function()
        for _, call in ipairs { "send", "wait" } do
            local client, peer = helper.pair({ read_limit = 4096 })
            local code
            evsock.spawn(function()
                -- In one turn, so that nothing is read before writing fails.
                peer:write(("x"):rep(100000))
                peer:abort()
                local _
                if call == "send" then
                    _, _, code = client:send("y", 60)
                else
                    client:write("y")
                    _, _, code = client:wait("drain", 60)
                    code = code or "drained"
                end
            end)
            helper.pump_until(function() return code end, 5, "the end of " .. call)
            assert.is_true(code == "ECONNRESET" or code == "EPIPE" or code == "drained", code)
            client:abort()
        end
    end)
end)
