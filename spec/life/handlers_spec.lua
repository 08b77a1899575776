-- Handlers that fail, yield, pump, run loops and resume coroutines, and scripts that pump from
-- anywhere: whatever they do, every event is delivered exactly once and in order, and every error
-- is told once. The combinations are made by loops.

local helper = require "spec.helper"

local evsock = helper.evsock

-- What one round counts; `raise` is how handlers fail.
local round

local function note(ok)
    if not ok then
        round.told = round.told + 1
    end
end

local function failing(fn)
    return function()
        round.failed = round.failed + 1
        return fn()
    end
end

local function finalised(fn)
    if rawget(_G, "newproxy") then
        getmetatable(rawget(_G, "newproxy")(true)).__gc = fn
    else
        setmetatable({}, { __gc = fn })
    end
end

local raise = failing(function() error("a string") end)

-- What a handler may do. What fails says so before; what could raise another's error notes it.
local ACTS = {
    { "does nothing", function() end },
    { "raises a string", raise },
    { "raises a table", failing(function() error({}) end) },
    { "raises nil", failing(function() error() end) },
    { "yields", failing(coroutine.yield) },
    { "pumps", function() note(pcall(evsock.pump)) end },
    { "pumps and raises", function()
        note(pcall(evsock.pump, 0.001))
        raise()
    end },
    { "lets an error through that a pump of its own raises", function()
        evsock.after(0, raise)
        evsock.pump()
    end },
    { "runs a loop of its own", function()
        evsock.after(0, evsock.stop)
        note(pcall(evsock.run))
    end },
    { "resumes a coroutine that yields", function()
        local co = coroutine.create(function() coroutine.yield(1) end)
        assert(coroutine.resume(co))
        assert(coroutine.resume(co))
    end },
    { "resumes a coroutine that pumps and yields", function()
        local co = coroutine.create(function()
            note(pcall(evsock.pump))
            coroutine.yield()
            note(pcall(evsock.pump))
        end)
        assert(coroutine.resume(co))
        assert(coroutine.resume(co))
    end },
    { "resumes a coroutine whose handlers fail inside of its pump", function()
        coroutine.wrap(function()
            evsock.after(0, raise)
            note(pcall(evsock.pump))
        end)()
    end },
    { "resumes a coroutine that fails", function()
        local co = coroutine.create(raise)
        note(coroutine.resume(co))
    end },
    { "collects what pumps when finalised", function()
        finalised(function() note(pcall(evsock.pump)) end)
        collectgarbage()
    end },
}

-- From where the script pumps until `done`.
local function pump_until(done)
    local deadline = evsock.now() + 5 * helper.slow
    while not done() and evsock.now() < deadline do
        note(pcall(evsock.pump, 0.01))
    end
end

local PLACES = {
    { "the script", pump_until },
    { "run", function(done)
        local deadline = evsock.now() + 5 * helper.slow
        while not done() and evsock.now() < deadline do
            -- Ends by itself when everything has closed, earlier with every error.
            note(pcall(evsock.run))
        end
    end },
    { "a coroutine", function(done)
        local co = coroutine.create(pump_until)
        assert(coroutine.resume(co, done))
        assert.equal("dead", coroutine.status(co))
    end },
    { "a handler", function(done)
        local over
        evsock.after(0, function()
            pump_until(done)
            over = true
        end)
        pump_until(function() return over end)
    end },
}

local ON_ERROR = {
    { "without on_error", function() return nil end },
    { "with on_error", function() return function() note(false) end end },
    { "with an on_error that fails itself", function()
        return function()
            note(false)
            error("on_error itself")
        end
    end },
}

-- How often handlers act: the third timer and the second arrival, or all of them.
local TIMES = {
    { "once", function(_, count) return count == 3 end },
    { "always", function() return true end },
}

-- Five timers, and a connection on which five bytes arrive one after the other, then its end.
-- `wrap` changes a handler before it is set.
local function check(what, act, place, on_error, acts, wrap)
    round = { told = 0, failed = 0 }
    evsock.on_error = nil
    local client, peer, record = helper.pair()
    record.server:close()
    evsock.on_error = on_error()
    local order, arrived, text, closes = {}, 0, "", 0
    for i = 1, 5 do
        evsock.after(0, wrap(function()
            order[#order + 1] = i
            if acts("timer", i) then
                act()
            end
        end))
    end
    client.on_data = wrap(function(sock, n)
        arrived = arrived + n
        text = text .. assert(sock:read(n))
        local sent = #text
        if sent == 5 then
            peer:close()
        else
            peer:write(("abcde"):sub(sent + 1, sent + 1))
        end
        if acts("data", sent) then
            act()
        end
    end)
    client.on_close = wrap(function()
        closes = closes + 1
        assert.equal("abcde", text)
        if acts("close", 3) then
            act()
        end
    end)
    peer:write("a")
    place(function()
        return #order >= 5 and closes >= 1 and peer.state == "closed"
    end)
    -- Errors of the last moment, and what would be delivered a second time.
    for _ = 1, 3 do
        note(pcall(evsock.pump))
    end
    evsock.on_error = nil
    assert.same({ 1, 2, 3, 4, 5 }, order, what)
    assert.equal("abcde", text, what)
    assert.equal(5, arrived, what)
    assert.equal(1, closes, what)
    return round.failed, round.told
end

local function as_it_is(handler)
    return handler
end

describe("a handler that", function()
    after_each(helper.finish)

    for _, act in ipairs(ACTS) do
        for _, place in ipairs(PLACES) do
            it(("%s loses and repeats nothing, pumped from %s"):format(act[1], place[1]), function()
                for mode, on_error in ipairs(ON_ERROR) do
                    for _, times in ipairs(TIMES) do
                        local what = on_error[1] .. ", " .. times[1]
                        local failed, told = check(
                            what, act[2], place[2], on_error[2], times[2], as_it_is)
                        if mode < 3 then
                            assert.equal(failed, told, what .. ": errors")
                        else
                            -- That of on_error itself may pass several pumps on its way out.
                            assert.is_true(told >= failed, what .. ": errors")
                        end
                    end
                end
            end)
        end

        it(("%s and then something else loses and repeats nothing"):format(act[1]), function()
            for _, second in ipairs(ACTS) do
                for _, on_error in ipairs(ON_ERROR) do
                    local function both()
                        -- What comes second comes whether or not the first went well.
                        note(pcall(act[2]))
                        second[2]()
                    end
                    local what = second[1] .. ", " .. on_error[1]
                    check(what, both, pump_until, on_error[2], TIMES[1][2], as_it_is)
                end
            end
        end)
    end

    it("is a coroutine of its own, resumed for every event, gets them all", function()
        local function wrap(handler)
            return coroutine.wrap(function(object, value)
                while true do
                    handler(object, value)
                    object, value = coroutine.yield()
                end
            end)
        end
        for _, place in ipairs(PLACES) do
            for _, on_error in ipairs(ON_ERROR) do
                local what = place[1] .. ", " .. on_error[1]
                local failed, told = check(
                    what, ACTS[1][2], place[2], on_error[2], TIMES[2][2], wrap)
                assert.equal(0, failed + told, what)
            end
        end
    end)

    it("yields is told that it cannot", function()
        for _, from_coroutine in ipairs { false, true } do
            local message
            evsock.on_error = function(text) message = text end
            evsock.after(0, coroutine.yield)
            local function pump()
                helper.pump_until(function() return message end)
            end
            if from_coroutine then
                assert(coroutine.resume(coroutine.create(pump)))
            else
                pump()
            end
            assert.is_truthy(message:find("attempt to yield", 1, true), message)
        end
    end)
end)

describe("pumps inside of handlers, deeper than allowed,", function()
    after_each(helper.finish)

    -- Every level adds what `through` puts between the handler and its pump.
    local ways = {
        ["directly"] = function(fn) return fn() end,
        ["through pcall"] = function(fn) return assert(pcall(fn)) end,
        ["through coroutines"] = function(fn)
            -- Lua 5.1 makes no coroutine of a C function.
            assert(coroutine.resume(coroutine.create(function() fn() end)))
        end,
    }
    for way, through in pairs(ways) do
        for _, on_error in ipairs { ON_ERROR[1], ON_ERROR[2] } do
            it(("%s %s, raise, and every event comes once"):format(way, on_error[1]), function()
                round = { told = 0, failed = 0 }
                evsock.on_error = on_error[2]()
                local order, depth, deepest = {}, 0, 0
                for i = 1, 100 do
                    evsock.after(0, function()
                        order[#order + 1] = i
                        depth = depth + 1
                        deepest = math.max(deepest, depth)
                        local ok, problem = pcall(through, evsock.pump)
                        depth = depth - 1
                        error(ok and "well" or problem, 0)
                    end)
                end
                pump_until(function() return #order == 100 end)
                evsock.pump()
                for i = 1, 100 do
                    assert.equal(i, order[i])
                end
                assert.equal(100, #order)
                assert.is_true(round.told >= 1)
                -- The stack of C may end before our own bound when coroutines are in between.
                assert.is_true(deepest <= 32 and deepest >= 16, deepest)
                if way == "directly" then
                    assert.equal(32, deepest)
                end
            end)
        end
    end
end)
