-- LuaJIT 2.1.0-beta3 compiles a loop over `pairs` to code that never ends in a finaliser, once a
-- value is of another type than those it was compiled for: a call of ours in a finaliser stood
-- still for ever, and the host with it. The loops of the library are none of that kind any more.

local helper = require "spec.helper"

describe("regress 046", function()
    it("a call in a finaliser ends, whatever the same call was given before", function()
        helper.printed("10", helper.run [[
            local evsock = require "evsock"
            local function open(options)
                evsock.connect("127.0.0.1", 1, options):close()
            end
            for _ = 1, 300 do
                open { nodelay = true, keepalive = false, half_open = true }
            end
            local ended = 0
            local function finalise()
                open { connect_timeout = 1, read_limit = 70000, on_data = print, on_close = print }
                ended = ended + 1
            end
            for _ = 1, 10 do
                if newproxy then
                    getmetatable(newproxy(true)).__gc = finalise
                else
                    setmetatable({}, { __gc = finalise })
                end
            end
            collectgarbage()
            collectgarbage()
            io.write(ended)
        ]])
    end)
end)
