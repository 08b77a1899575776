-- Handlers that wait run inside of each other. With 40 clients, or a timer that is quicker than its
-- handler, that ended 32 deep with an error of 812 lines, a traceback for each depth, whose first
-- words named `pump`, which nobody had called.

local helper = require "spec.helper"
local evsock = helper.evsock
local pump_until = helper.pump_until

local function count(text, what)
    return select(2, text:gsub(what, ""))
end

-- Pumps until something is raised; the error.
local function raised(seconds)
    local deadline = evsock.now() + (seconds or 10) * helper.slow
    while evsock.now() < deadline do
        local ok, message = pcall(evsock.pump, 0.02)
        if not ok then
            return message
        end
    end
    error("nothing was raised")
end

describe("regress 022", function()
    after_each(helper.finish)

    -- Each takes what waits; 40 of them wait inside of each other.
    local calls = {
        receive = function(sock) return sock:receive("*l", 60) end,
        wait = function(sock) return sock:wait("close", 60) end,
        send = function(sock) return sock:send(("x"):rep(16 * 1024 * 1024), 60) end,
        sleep = function() return evsock.sleep(60) end,
        join = function() return helper.track(evsock.spawn(evsock.sleep, 60)):join() end,
        run = function() return evsock.run() end,
        pump = function() return evsock.pump(60) end,
    }

    for name, call in pairs(calls) do
        it("the error of " .. name .. " says where, how deep, and its traceback once", function()
            local server = helper.server({ on_data = function(sock)
                call(sock)
            end })
            local clients = {}
            for i = 1, 40 do
                clients[i] = helper.connect(server.port)
                clients[i]:write("no line")
            end
            local message = raised()
            local first = message:match("^[^\n]*")
            local place = "^%S*022_handlers_that_wait_spec%.lua:%d+: "
            assert.truthy(first:find(place .. name .. ": "), first)
            assert.truthy(first:find("inside of handlers", 1, true), first)
            assert.truthy(first:find("32 deep", 1, true), first)
            if name ~= "pump" then
                assert.truthy(first:find("evsock.spawn(", 1, true), first)
            end
            assert.equal(1, count(message, "stack traceback:"))
            assert.equal(1, count(message, "in the handler 'on_data' of evsock%.Socket"))
            assert.is_true(count(message, "\n") < 40, message)
        end)
    end

    it("an error passes pumps inside of handlers with the traceback of its own", function()
        local function deeper(depth)
            evsock.after(0, function()
                if depth == 0 then
                    error("the innermost")
                end
                deeper(depth - 1)
                if depth % 3 == 0 then
                    evsock.sleep(1)
                elseif depth % 3 == 1 then
                    evsock.run()
                else
                    evsock.pump(1)
                end
            end)
        end
        deeper(10)
        local message = raised()
        assert.truthy(message:match("^[^\n]*spec%.lua:%d+: the innermost\n"))
        assert.equal(1, count(message, "stack traceback:"))
        assert.equal(1, count(message, "in the handler of evsock%.Timer"))
    end)

    it("an error of a task that is joined in a handler has one traceback, too", function()
        evsock.after(0, function()
            local task = evsock.spawn(function() error("in the task") end)
            error((select(2, task:join())), 0)
        end)
        local message = raised()
        assert.truthy(message:find("in the task", 1, true))
        assert.equal(1, count(message, "stack traceback:"))
    end)

    it("a timer does not come while its own handler waits, and goes on behind it", function()
        local depth, deepest, ticks, others = 0, 0, 0, 0
        local timer = helper.track(evsock.every(0.002, function()
            depth, ticks = depth + 1, ticks + 1
            deepest = math.max(deepest, depth)
            evsock.sleep(0.01)
            depth = depth - 1
        end))
        helper.track(evsock.every(0.002, function()
            others = others + 1
        end))
        pump_until(function() return ticks >= 20 end, 10)
        assert.equal(1, deepest)
        -- Everybody else's go on meanwhile.
        assert.is_true(others > ticks)
        timer:cancel()
    end)

    it("nor when it fails, and comes again behind that", function()
        local ticks, errors = 0, 0
        evsock.on_error = function()
            errors = errors + 1
        end
        helper.track(evsock.every(0.002, function()
            ticks = ticks + 1
            evsock.sleep(0.005)
            error("each time")
        end))
        pump_until(function() return ticks >= 5 end)
        assert.is_true(errors >= 4)
    end)

    it("nor when its handler cancels it", function()
        local canceled
        canceled = evsock.every(0.001, function()
            canceled:cancel()
            evsock.sleep(0.005)
        end)
        pump_until(function() return not canceled.active end)
        helper.pump_for(0.01)
    end)

    it("timers of the dialects do not come inside of themselves either", function()
        local qsys = require "evsock.qsys"
        local timer = qsys.Timer.New()
        local depth, deepest, ticks = 0, 0, 0
        timer.EventHandler = function()
            depth, ticks = depth + 1, ticks + 1
            deepest = math.max(deepest, depth)
            evsock.sleep(0.02)
            depth = depth - 1
        end
        timer:Start(0.005)
        pump_until(function() return ticks >= 5 end)
        timer:Stop()
        assert.equal(1, deepest)
    end)
end)
