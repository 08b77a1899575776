-- Q-SYS Timer.
-- dialects.md 2.9 > "Start", "Stop", "CallAfter and Now", "life and punctuality"

local helper = require "spec.helper"
local tools = require "spec.dialects.qsys_tools"
local evsock = helper.evsock
local Timer = require("evsock.qsys").Timer
local wait, compute, assert_raises = tools.wait, helper.compute, helper.raises

local function new_timer(handler)
    local timer = helper.track(Timer.New())
    timer.EventHandler = handler
    return timer
end

-- A timer, and the count of its turns.
local function counting_timer()
    local turns = { count = 0 }
    return new_timer(function()
        collectgarbage()
        turns.count = turns.count + 1
    end), turns
end

after_each(helper.finish)

describe("Q-SYS Timer: Start", function()
    it("2.9 Start: repeats every so many seconds until Stop", function()
        local times = {}
        local timer
        timer = new_timer(helper.expect(function()
            times[#times + 1] = evsock.now()
            if #times == 3 then
                timer:Stop()
            end
        end, 3))
        local began = evsock.now()
        timer:Start(0.05)
        helper.wait_exactly(times, 3)
        helper.pump_for(0.12)
        assert.is_true(times[1] - began >= 0.05)
        assert.is_true(times[3] - began >= 0.15)
    end)

    it("2.9 EventHandler: is called with the timer", function()
        local timer
        timer = new_timer(helper.expect(function(given, ...)
            assert.equal(timer, given)
            assert.equal(0, select("#", ...))
            timer:Stop()
        end, 1))
        timer:Start(0.01)
        wait(function()
            return not timer:IsRunning()
        end, "the turn")
    end)

    it("2.9 EventHandler: may be set after Start", function()
        local timer = new_timer(nil)
        timer:Start(0.02)
        local called = false
        timer.EventHandler = helper.expect(function()
            called = true
            timer:Stop()
        end, 1)
        wait(function()
            return called
        end, "the turn")
    end)

    it("2.9 EventHandler: a timer without one runs and disturbs nobody", function()
        local timer = new_timer(nil)
        timer:Start(0.01)
        helper.pump_for(0.05)
        assert.is_true(timer:IsRunning())
    end)

    it("2.9 Start: restarts a running timer", function()
        local timer, turns = counting_timer()
        timer:Start(0.05)
        timer:Start(60)
        helper.pump_for(0.15)
        assert.equal(0, turns.count)
        local again = evsock.now()
        timer:Start(0.05)
        helper.wait_field(turns, "count", 1)
        assert.is_true(evsock.now() - again >= 0.05)
        timer:Stop()
        helper.pump_for(0.12)
        assert.equal(1, turns.count)
    end)

    it("2.9 Start: restarting in the handler counts from there", function()
        local times = {}
        local timer = new_timer(helper.expect(function(given)
            times[#times + 1] = evsock.now()
            if times[2] then
                given:Stop()
            else
                given:Start(0.1)
            end
        end, 2))
        timer:Start(0.01)
        helper.wait_exactly(times, 2)
        assert.is_true(times[2] - times[1] >= 0.1)
    end)

    it("2.9 Start: 0 means the next pump", function()
        local calls = 0
        local timer = new_timer(helper.expect(function()
            calls = calls + 1
        end, 1))
        timer:Start(0)
        assert.equal(0, calls)
        evsock.pump(0)
        assert.equal(1, calls)
        timer:Stop()
        evsock.pump(0)
    end)

    it("2.9 Start: a time that is no number raises at the caller's line", function()
        local timer = new_timer(nil)
        assert_raises("Start", function()
            timer:Start({})
        end)
        assert_raises("Start", function()
            timer:Start()
        end)
        assert.is_false(timer:IsRunning())
    end)
end)

describe("Q-SYS Timer: Stop", function()
    it("2.9 Stop: no call comes after it, not even one that was due", function()
        local timer = new_timer(helper.never("a stopped timer"))
        timer:Start(0.02)
        compute(0.05)
        timer:Stop()
        helper.pump_for(0.06)
    end)

    it("2.9 Stop: harmless at any time", function()
        local timer = new_timer(nil)
        timer:Stop()
        timer:Start(60)
        timer:Stop()
        timer:Stop()
        assert.is_false(timer:IsRunning())
    end)

    it("2.9 Stop: also in the timer's own handler, after which no more call comes", function()
        local timer
        timer = new_timer(helper.expect(function(given)
            given:Stop()
        end, 1))
        timer:Start(0.01)
        wait(function()
            return not timer:IsRunning()
        end, "the turn")
        helper.pump_for(0.05)
    end)

    it("2.9 IsRunning: false, true from Start on and in the handler, false after Stop", function()
        local timer, inside
        timer = new_timer(helper.expect(function()
            inside = timer:IsRunning()
            timer:Stop()
        end, 1))
        assert.is_false(timer:IsRunning())
        timer:Start(0.01)
        assert.is_true(timer:IsRunning())
        wait(function()
            return inside ~= nil
        end, "the turn")
        assert.is_true(inside)
        assert.is_false(timer:IsRunning())
    end)
end)

describe("Q-SYS Timer: CallAfter and Now", function()
    it("2.9 CallAfter: function first, called once after so many seconds", function()
        local began, called = evsock.now(), nil
        Timer.CallAfter(helper.expect(function()
            called = evsock.now()
        end, 1), 0.05)
        wait(function()
            return called
        end, "the call")
        helper.pump_for(0.12)
        assert.is_true(called - began >= 0.05)
    end)

    it("2.9 CallAfter: 0 means the next pump, never at once", function()
        local called = false
        Timer.CallAfter(helper.expect(function()
            called = true
        end, 1), 0)
        assert.is_false(called)
        evsock.pump(0)
        assert.is_true(called)
    end)

    it("2.9 CallAfter: wrong types raise at the caller's line", function()
        assert_raises("CallAfter", function()
            Timer.CallAfter(1, print)
        end)
        assert_raises("CallAfter", function()
            Timer.CallAfter(print, {})
        end)
    end)

    it("2.9 Now: seconds, monotonic", function()
        local began, last = Timer.Now(), Timer.Now()
        assert.is_number(began)
        local native = evsock.now()
        for _ = 1, 1000 do
            local now = Timer.Now()
            assert(now >= last, "Now went back")
            last = now
        end
        helper.pump_for(0.05)
        local passed, truth = Timer.Now() - began, evsock.now() - native
        assert.is_true(passed >= 0.05)
        assert.is_true(math.abs(passed - truth) < 0.5)
    end)
end)

describe("Q-SYS Timer: life and punctuality", function()
    it("2.9 a running timer stays alive without being referenced", function()
        local turns = { count = 0 }
        do
            local timer = Timer.New()
            timer.EventHandler = function(given)
                turns.count = turns.count + 1
                if turns.count == 2 then
                    given:Stop()
                end
            end
            timer:Start(0.02)
        end
        collectgarbage()
        collectgarbage()
        helper.wait_field(turns, "count", 2)
        helper.pump_for(0.05)
        assert.equal(2, turns.count)
    end)

    it("2.9 a stopped timer that nobody refers to is collected", function()
        local weak = setmetatable({}, { __mode = "v" })
        local function start_and_stop()
            local timer = Timer.New()
            weak[1] = timer
            timer.EventHandler = function()
                timer:Stop()
            end
            timer:Start(0.01)
        end
        start_and_stop()
        wait(function()
            collectgarbage()
            collectgarbage()
            return weak[1] == nil
        end, "the timer is collected")
    end)

    it("2.9 a timer never fires early", function()
        local early, calls, began = 0, {}, {}
        for i = 1, 20 do
            local delay = i * 0.005
            began[i] = evsock.now()
            Timer.CallAfter(function()
                calls[#calls + 1] = i
                if evsock.now() - began[i] < delay then
                    early = early + 1
                end
            end, delay)
        end
        helper.wait_exactly(calls, 20)
        assert.equal(0, early)
    end)

    it("2.9 a timer that fell behind fires once, not once per missed turn", function()
        local timer, turns = counting_timer()
        timer:Start(0.05)
        compute(0.4)
        evsock.pump(1)
        assert.equal(1, turns.count)
        helper.pump_for(0.06)
        timer:Stop()
        assert.is_true(turns.count < 7)
    end)
end)
