-- A wait that spins reads the one busy connection without asking for reports. Nobody else, and no
-- timer, may have to wait for that.

local helper = require "spec.helper"

local evsock = helper.evsock
local expect, pump_until = helper.expect, helper.pump_until

-- The client is a process of its own: only then is a connection busy without pause.
local CLIENT = [[
package.path, package.cpath = %q, %q
local evsock = require "evsock"
evsock.spin = 0.05
local flood, timers, rounds, began = 0, 0, 0, 0
local function lost()
    print("lost")
    os.exit(1)
end
local function talk()
    assert(evsock.connect("127.0.0.1", %d, {
        on_connect = function(sock)
            began, timers = flood, 0
            sock:write("ping")
        end,
        on_data = function(sock)
            assert(sock:read() == "ping")
            rounds = rounds + 1
            if rounds < 400 then
                return sock:write("ping")
            end
            print(flood - began, timers)
            os.exit(0)
        end,
        on_close = lost,
    }))
    evsock.every(0.001, function() timers = timers + 1 end)
end
assert(evsock.connect("127.0.0.1", %d, {
    on_connect = function(sock) sock:write("flood") end,
    on_data = function(sock)
        local before = flood
        flood = flood + #sock:read()
        if before < 2e5 and flood >= 2e5 then
            talk()
        end
        -- Meanwhile more has come.
        local deadline = evsock.now() + 0.0003
        repeat until evsock.now() > deadline
    end,
    on_close = lost,
}))
evsock.run()
]]

describe("a connection that is busy without pause", function()
    after_each(helper.finish)

    it("keeps no other connection and no timer from being heard of", function()
        local piece, over = ("x"):rep(2000), 0
        local server = helper.server {
            on_data = expect(function(sock)
                local text = sock:read()
                if text ~= "flood" then
                    return sock:write(text)
                end
                -- So little at a time that it could be a dialogue, and more before it is read.
                helper.track(evsock.every(0.0001, function()
                    sock:write(piece)
                end))
            end, 401),
            on_close = function()
                over = over + 1
            end,
        }
        local path = os.tmpname()
        local file = assert(io.open(path, "w"))
        file:write(CLIENT:format(package.path, package.cpath, server.port, server.port))
        file:close()
        local pipe = assert(io.popen(("timeout 20 '%s' %s 2>&1"):format(helper.lua, path)))
        pump_until(function()
            return over == 2
        end, 15, "the client to end")
        local said = pipe:read("*a")
        local flood, timers = said:match("^(%d+)\t(%d+)\n$")
        assert.is_true((tonumber(flood) or 0) > 0 and tonumber(timers) > 0, said)
        pipe:close()
        os.remove(path)
    end)
end)
