-- A task whose coroutine the script closed swallowed the line that it waited for, stayed undone,
-- kept `run` going for ever, and whoever joined it heard nothing.

local helper = require "spec.helper"
local evsock = helper.evsock
local pump_until = helper.pump_until

-- Runs what of a task begins and waits; the task, and its coroutine.
local function waiting(fn)
    local thread
    local task = helper.track(evsock.spawn(function()
        thread = coroutine.running()
        return fn()
    end))
    evsock.pump()
    assert.is_false(task.done)
    return task, thread
end

-- An error in a hook ends a coroutine on every Lua.
local function kill(thread)
    debug.sethook(thread, function()
        -- On LuaJIT a hook is everybody's.
        if coroutine.running() == thread then
            error("killed")
        end
    end, "", 1)
    coroutine.resume(thread)
    debug.sethook(thread)
    assert.equal("dead", coroutine.status(thread))
end

describe("regress 041", function()
    after_each(helper.finish)

    if coroutine.close then
        -- Every waiting call, each with a fresh socket where it reads.
        local function calls()
            local quiet = helper.pair()
            local stuffed = helper.pair({ write_limit = 1024 }, { read_limit = 1024 })
            stuffed:write(("x"):rep(8 * 1024 * 1024))
            local fresh = helper.pair(nil, { read_limit = 1024 })
            local stuck = helper.connect(helper.silent_port())
            local sleeper = helper.track(evsock.spawn(evsock.sleep, 60))
            local function reads(what)
                return function()
                    return quiet:receive(what)
                end
            end
            return {
                ["receive of a line"] = reads "*l",
                ["receive of bytes"] = reads(10),
                ["receive of all"] = reads "*a",
                ["receive of anything"] = reads "*r",
                ["receive of a text"] = reads { until_ = ";" },
                ["receive with a timeout"] = function() return quiet:receive("*l", 60) end,
                ["wait for data"] = function() return quiet:wait("data") end,
                ["wait for close"] = function() return quiet:wait("close", 60) end,
                ["wait for drain"] = function() return stuffed:wait("drain") end,
                ["wait for connect"] = function() return stuck:wait("connect") end,
                ["send of a queued piece"] = function()
                    return fresh:send(("y"):rep(16 * 1024 * 1024))
                end,
                ["send that waits for room"] = function() return stuffed:send("z") end,
                ["sleep"] = function() return evsock.sleep(60) end,
                ["join"] = function() return sleeper:join() end,
                ["join with a timeout"] = function() return sleeper:join(60) end,
            }, quiet
        end

        it("in every waiting call it is called off at once, and tells who joins it", function()
            local kinds, quiet = calls()
            for kind, fn in pairs(kinds) do
                local before = evsock.active()
                local task, thread = waiting(fn)
                local joiner = helper.track(evsock.spawn(task.join, task))
                evsock.pump()
                assert.is_true(coroutine.close(thread), kind)
                assert.is_true(task.done, kind)
                assert.is_false(task:cancel(), kind)
                assert.equal("ECANCELED", (select(3, task:join())), kind)
                local ok, value, message, code = joiner:join(5)
                assert.is_true(ok, kind)
                assert.is_nil(value, kind)
                assert.is_string(message, kind)
                assert.equal("ECANCELED", code, kind)
                assert.equal(before, evsock.active(), kind)
                -- Nobody stands in the line any more.
                assert.equal("ETIMEDOUT", (select(3, quiet:receive("*l", 0))), kind)
            end
        end)

        it("what it waited for stays to be read", function()
            for _, what in ipairs { "*l", 4, "*r", "*a", { until_ = "e" } } do
                local client, peer = helper.pair()
                local _, thread = waiting(function() return client:receive(what) end)
                coroutine.close(thread)
                helper.fill(client, peer, "line\n")
                evsock.pump()
                assert.equal("line", client:receive("*l", 0))
            end
        end)

        it("what it had taken of the stream is put back", function()
            local client, peer = helper.pair()
            local _, thread = waiting(function() return client:receive("*a") end)
            peer:write("half")
            pump_until(function() return client:info().bytes_in == 4 end)
            evsock.pump()
            coroutine.close(thread)
            assert.equal("half", client:read())
        end)

        it("run ends, and a line goes to the next who waits", function()
            local client, peer = helper.pair()
            local _, thread = waiting(function() return client:receive("*l") end)
            local got
            evsock.after(0.01, function()
                coroutine.close(thread)
                evsock.spawn(function()
                    got = client:receive("*l", 5)
                    client:close()
                    peer:close()
                    evsock.stop()
                end)
                peer:write("for the next\n")
            end)
            evsock.run()
            assert.equal("for the next", got)
        end)

        it("its other variables are closed, too, and may wait and fail", function()
            local order = {}
            local closing = assert(load([[
                local evsock, order = ...
                local first <close> = setmetatable({}, { __close = function()
                    order[#order + 1] = evsock.sleep(0.001) and "slept"
                    error("told to who closes")
                end })
                evsock.sleep(60)
            ]]))
            local task, thread = waiting(function()
                return closing(evsock, order)
            end)
            local ok, problem = coroutine.close(thread)
            assert.is_false(ok)
            assert.truthy(tostring(problem):find("told to who closes", 1, true))
            assert.same({ "slept" }, order)
            assert.is_true(task.done)
        end)

        it("an error of the language in a waiting call calls nobody off", function()
            local task = helper.track(evsock.spawn(function()
                local ok = pcall(table.sort, { 1, 2, 3 }, function()
                    evsock.sleep(1)
                end)
                evsock.sleep(0.001)
                return ok
            end))
            assert.same({ true, false }, { task:join(5) })
        end)
    end

    it("one that dies in a stranger's hands takes no line along", function()
        for _, call in ipairs { "receive", "wait", "send", "sleep", "join" } do
            local client, peer = helper.pair()
            local other = helper.track(evsock.spawn(evsock.sleep, 0.1))
            local task, thread = waiting(function()
                if call == "receive" then
                    return client:receive("*l")
                elseif call == "wait" then
                    return client:wait("close")
                elseif call == "send" then
                    return client:send(("x"):rep(16 * 1024 * 1024))
                elseif call == "join" then
                    return other:join()
                end
                return evsock.sleep(0.1)
            end)
            kill(thread)
            peer:write("a line\n")
            peer:shutdown()
            peer.on_data = function()
                peer:read()
            end
            assert.equal("ECANCELED", (select(3, task:join(5))), call)
            assert.is_true(task.done, call)
            assert.equal("a line", client:receive("*l", 5), call)
        end
    end)

    it("beside it everybody else in the line of its socket is told", function()
        local client, peer = helper.pair()
        local heard = {}
        local threads = {}
        for i = 1, 5 do
            local _
            _, threads[i] = waiting(function()
                client:wait("close")
                heard[#heard + 1] = i
            end)
        end
        kill(threads[1])
        kill(threads[3])
        peer:close()
        pump_until(function() return #heard == 3 end)
        table.sort(heard)
        assert.same({ 2, 4, 5 }, heard)
    end)
end)
