-- Lua 5.1 and LuaJIT may run finalisers before they copy the text of a new string. When one was
-- made of the message of an error and a finaliser called a method that failed itself, the new error
-- took the place of the one whose message was to be copied: freed memory was read, and handlers got
-- garbage, or the code of the other error.

local helper = require "spec.helper"
local evsock = helper.evsock

describe("regress 007", function()
    after_each(helper.finish)

    local idle = evsock.socket()
    local newproxy = rawget(_G, "newproxy")

    local function fail_when_collected()
        local function finaliser()
            idle:write("x")
        end
        helper.when_collected(finaliser)
    end

    it("a message that is told stays whole when finalisers fail meanwhile", function()
        local count = math.floor(2000 / helper.fewer)
        local port = helper.free_port()
        local told, wrong = 0, {}
        -- Where it mattered, garbage is collected all the time.
        local pause = newproxy and collectgarbage("setpause", 20)
        for i = 1, count do
            local host = ("127.1.%d.%d"):format(math.floor(i / 200), i % 200 + 1)
            local wanted = ("connect %s:%d: connection refused"):format(host, port)
            local sock = evsock.socket()
            function sock.on_close(_, message, code)
                told = told + 1
                if message ~= wanted or code ~= "ECONNREFUSED" then
                    wrong[#wrong + 1] = ("%q %s"):format(tostring(message), tostring(code))
                end
                fail_when_collected()
            end
            fail_when_collected()
            sock:connect(host, port)
            if i % 100 == 0 then
                helper.pump_until(function() return told == i end)
            end
        end
        if newproxy then
            collectgarbage("setpause", pause)
        end
        assert.are.equal(count, told)
        assert.are.equal(nil, wrong[1])
    end)
end)
