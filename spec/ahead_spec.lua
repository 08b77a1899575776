-- A wait that spins reads the one busy connection without asking for reports. Nobody else, and no
-- timer, may have to wait for that.

local helper = require "spec.helper"

local evsock = helper.evsock
local expect, pump_until = helper.expect, helper.pump_until

-- The client is a process of its own: only then is a connection busy without pause.
local CLIENT = [[
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

-- The handler of the busy connection takes 2 ms. How often it runs between a question to another
-- peer and the answer, in the middle of all cases.
local COMPUTING = [[
local evsock = require "evsock"
evsock.spin = 0.05
local runs, asked, waits, other = 0, nil, {}, nil
local function lost()
    print("lost")
    os.exit(1)
end
assert(evsock.connect("127.0.0.1", %d, {
    on_connect = function(sock) sock:write("busy") end,
    on_data = function(sock)
        sock:read()
        sock:write("busy")
        -- The answer comes meanwhile.
        local deadline = evsock.now() + 0.002
        repeat until evsock.now() > deadline
        runs = runs + 1
    end,
    on_close = lost,
}))
other = assert(evsock.connect("127.0.0.1", %d, {
    on_data = function(sock)
        sock:read()
        waits[#waits + 1] = runs - asked
        if #waits == 15 then
            table.sort(waits)
            print(waits[8])
            os.exit(0)
        end
    end,
    on_close = lost,
}))
evsock.every(0.05, function()
    asked = runs
    other:write("question")
end)
evsock.run()
]]

-- What the script says, both of whose connections lead to a server with that handler.
local function said_beside(on_data, script)
    local over = 0
    local server = helper.server {
        on_data = on_data,
        on_close = function()
            over = over + 1
        end,
    }
    local pipe = helper.start(script:format(server.port, server.port))
    pump_until(function() return over == 2 end, 15, "the client to end")
    local said = pipe:read("*a")
    pipe:close()
    return said
end

describe("a connection that is busy without pause", function()
    after_each(helper.finish)

    it("keeps no other waiting for more than a few turns of a handler that computes", function()
        local middle = said_beside(function(sock)
            sock:write(sock:read())
        end, COMPUTING)
        assert.is_true((tonumber(middle) or math.huge) <= 4, middle)
    end)

    it("keeps no other connection and no timer from being heard of", function()
        local piece = ("x"):rep(2000)
        local said = said_beside(expect(function(sock)
            local text = sock:read()
            if text ~= "flood" then
                return sock:write(text)
            end
            -- So little at a time that it could be a dialogue, and more before it is read.
            helper.track(evsock.every(0.0001, function()
                sock:write(piece)
            end))
        end, 401), CLIENT)
        local flood, timers = said:match("^(%d+)\t(%d+)\n$")
        assert.is_true((tonumber(flood) or 0) > 0 and tonumber(timers) > 0, said)
    end)
end)
