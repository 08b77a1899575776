-- Timers as api.md (1) has them: after, every, cancel, active.

local helper = require "spec.helper"

local evsock = helper.evsock
local expect, never, pump_until = helper.expect, helper.never, helper.pump_until

local function inactive(timer)
    return function()
        return not timer.active
    end
end

describe("after", function()
    after_each(helper.finish)

    it("calls once, with the arguments, nil among them", function()
        local got
        local timer = evsock.after(0.01, expect(function(...)
            got = { n = select("#", ...), ... }
        end, 1), "a", nil, 3, nil)
        pump_until(inactive(timer))
        assert.equal(4, got.n)
        assert.equal("a", got[1])
        assert.is_nil(got[2])
        assert.equal(3, got[3])
        helper.pump_for(0.03)
    end)

    it("is never early and not much late", function()
        for _, seconds in ipairs { 0.001, 0.02, 0.1 } do
            local begin, took = evsock.now(), nil
            evsock.after(seconds, expect(function() took = evsock.now() - begin end, 1))
            pump_until(function() return took end)
            assert.is_true(took >= seconds, ("%g s early"):format(seconds - took))
            assert.is_true(took < seconds + 0.3 * helper.slow, ("%g s late"):format(took - seconds))
        end
    end)

    it("of 0 runs in the next pump, not at once", function()
        local inside = true
        evsock.after(0, expect(function() assert.is_false(inside) end, 1))
        inside = false
        assert.equal(1, evsock.pump())
    end)

    it("of 0 inside a handler runs in the pump after this one", function()
        local order = {}
        evsock.after(0, expect(function()
            order[#order + 1] = "first"
            evsock.after(0, expect(function() order[#order + 1] = "second" end, 1))
        end, 1))
        evsock.pump()
        assert.same({ "first" }, order)
        evsock.pump()
        assert.same({ "first", "second" }, order)
    end)

    it("runs due timers in the order of their times", function()
        local order = {}
        for _, i in ipairs { 3, 1, 2 } do
            evsock.after(i * 0.1, expect(function() order[#order + 1] = i end, 1))
        end
        pump_until(function() return #order == 3 end)
        assert.same({ 1, 2, 3 }, order)
    end)

    it("runs timers of one moment in the order they were made", function()
        local order = {}
        for i = 1, 10 do
            evsock.after(0, function() order[#order + 1] = i end)
        end
        pump_until(function() return #order == 10 end)
        assert.same({ 1, 2, 3, 4, 5, 6, 7, 8, 9, 10 }, order)
    end)

    it("fires although the script computes meanwhile, in the next pump", function()
        evsock.after(0.01, expect(1))
        local deadline = evsock.now() + 0.03
        while evsock.now() < deadline do
            math.sin(1)
        end
        assert.equal(1, evsock.pump())
    end)

    it("lives without being referenced", function()
        local fired
        evsock.after(0.02, expect(function() fired = true end, 1))
        collectgarbage()
        collectgarbage()
        pump_until(function() return fired end)
    end)

    it("holds for thousands of timers", function()
        local count = 0
        local function fire()
            count = count + 1
        end
        for i = 1, 2000 do
            evsock.after(i % 50 / 1000, fire)
        end
        pump_until(function() return count == 2000 end)
        assert.equal(0, evsock.active())
    end)

    it("takes very long times", function()
        for _, seconds in ipairs { 1e6, 1e9, 1e15, 1e300 } do
            local timer = evsock.after(seconds, never("a timer of years"))
            evsock.pump()
            assert.is_true(timer.active)
            timer:cancel()
        end
    end)
end)

describe("every", function()
    after_each(helper.finish)

    it("calls again and again, with the arguments", function()
        local count = 0
        local timer = evsock.every(0.005, function(a, b, c)
            count = count + 1
            assert.equal("a", a)
            assert.is_nil(b)
            assert.equal("c", c)
        end, "a", nil, "c")
        pump_until(function() return count == 5 end)
        assert.is_true(timer.active)
        timer:cancel()
    end)

    it("keeps its pace", function()
        local count, begin = 0, evsock.now()
        local timer = evsock.every(0.02, function() count = count + 1 end)
        pump_until(function() return count == 10 end)
        local took = evsock.now() - begin
        timer:cancel()
        assert.is_true(took >= 0.199, "too fast: " .. took)
        assert.is_true(took < 0.6 * helper.slow, "too slow: " .. took)
    end)

    it("does not pile up calls while the script computes", function()
        local count = 0
        local timer = evsock.every(0.001, function() count = count + 1 end)
        local deadline = evsock.now() + 0.05
        while evsock.now() < deadline do
            math.sin(1)
        end
        evsock.pump()
        assert.is_true(count >= 1 and count <= 3, count .. " calls in one pump")
        timer:cancel()
    end)

    it("lives without being referenced", function()
        local ticks = helper.ticks(0.002, 3)
        pump_until(function()
            collectgarbage()
            return ticks.count == 3
        end)
        helper.pump_for(0.02)
        assert.equal(3, ticks.count)
        assert.equal(0, evsock.active())
    end)

    it("goes on after an error in its function", function()
        local count, errors = 0, 0
        evsock.on_error = function() errors = errors + 1 end
        local timer = evsock.every(0.002, function()
            count = count + 1
            error("every time")
        end)
        pump_until(function() return count == 3 end)
        assert.equal(3, errors)
        timer:cancel()
    end)
end)

describe("a timer", function()
    after_each(helper.finish)

    it("is active until it has fired", function()
        local timer
        timer = evsock.after(0.01, expect(1))
        assert.is_true(timer.active)
        pump_until(inactive(timer))
        assert.is_false(timer.active)
    end)

    it("is canceled by cancel, also twice and after it has fired", function()
        local timer = evsock.after(0.01, never("a canceled timer"))
        timer:cancel()
        timer:cancel()
        assert.is_false(timer.active)
        assert.equal(0, evsock.active())
        helper.pump_for(0.03)
        local fired = evsock.after(0, expect(1))
        pump_until(inactive(fired))
        fired:cancel()
    end)

    it("is canceled even when it was due already", function()
        local timer = evsock.after(0, never("a canceled timer"))
        local deadline = evsock.now() + 0.01
        while evsock.now() < deadline do
            math.sin(1)
        end
        timer:cancel()
        helper.pump_for(0.02)
    end)

    it("may cancel itself inside its function", function()
        local timer
        timer = evsock.every(0.002, expect(function() timer:cancel() end, 1))
        pump_until(inactive(timer))
        helper.pump_for(0.02)
    end)

    it("may cancel another that is due in the same pump", function()
        local other
        local timer = evsock.after(0, expect(function() other:cancel() end, 1))
        other = evsock.after(0, never("a canceled timer"))
        local deadline = evsock.now() + 0.01
        while evsock.now() < deadline do
            math.sin(1)
        end
        pump_until(inactive(timer))
        helper.pump_for(0.02)
    end)

    it("keeps run going until it is over", function()
        local ticks = helper.ticks(0.002, 3)
        evsock.run()
        assert.equal(3, ticks.count)
    end)

    it("lets go of its function and arguments when it is over", function()
        local weak = setmetatable({}, { __mode = "k" })
        local held = {}
        local function start()
            local argument = {}
            local function fn()
                return held
            end
            weak[fn], weak[argument] = true, true
            return evsock.after(0.001, fn, argument)
        end
        local fired = start()
        local canceled = start()
        canceled:cancel()
        pump_until(inactive(fired))
        evsock.pump()
        collectgarbage()
        collectgarbage()
        assert.is_nil((next(weak)))
        assert.is_false(fired.active)
        assert.is_false(canceled.active)
    end)

    it("says what it is in tostring", function()
        local timer = evsock.after(10, never("a canceled timer"))
        assert.is_truthy(tostring(timer):find("[Tt]imer"))
        timer:cancel()
        assert.is_truthy(tostring(timer):find("[Tt]imer"))
    end)

    it("raises for misuse at the caller's line and names the argument", function()
        local function fn()
        end
        helper.misuse(function() evsock.after() end, "bad argument 'seconds' to 'after'")
        helper.misuse(function() evsock.after("x", fn) end, "bad argument 'seconds' to 'after'")
        helper.misuse(function() evsock.after(-1, fn) end, "bad argument 'seconds' to 'after'")
        helper.misuse(function() evsock.after(0 / 0, fn) end, "'seconds' to 'after'")
        helper.misuse(function() evsock.after(1) end, "bad argument 'fn' to 'after'")
        helper.misuse(function() evsock.every({}, fn) end, "bad argument 'seconds' to 'every'")
        helper.misuse(function() evsock.every(1, "x") end, "bad argument 'fn' to 'every'")
        local timer = evsock.after(10, fn)
        helper.misuse(function() timer.cancel() end, "bad argument")
        helper.misuse(function() timer.cancel({}) end, "bad argument")
        helper.misuse(function() timer.active = true end, "active")
        timer:cancel()
    end)
end)
