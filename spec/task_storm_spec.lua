-- Tasks in numbers: what must hold whatever happens in whatever order. Each promise by itself is
-- tested in tasks_spec and waiting_spec.

local helper = require "spec.helper"
local evsock = helper.evsock
local pump_until = helper.pump_until

-- The same sequence on every Lua.
local function dice(seed)
    return function(most)
        seed = (seed * 16807) % 2147483647
        return seed % most + 1
    end
end

local function memory()
    collectgarbage()
    collectgarbage()
    return collectgarbage("count")
end

-- A server whose connections are served by a task each, line by line.
local function echo_server(options)
    local server = helper.server(options)
    server.server.on_accept = function(_, sock)
        evsock.spawn(function()
            repeat
                local line = sock:receive("*l")
            until not line or not sock:send(line .. "\n")
            sock:close()
        end)
    end
    return server
end

local function exchange(port, rounds)
    local sock = evsock.connect("127.0.0.1", port)
    for i = 1, rounds do
        assert(sock:send(i .. "\n"))
        assert(sock:receive("*l") == tostring(i))
    end
    sock:close()
    assert(sock:wait("close"))
end

local function is_quiet()
    return evsock.active() == 1
end

describe("thousands of tasks", function()
    after_each(helper.finish)

    it("leave no memory behind", function()
        local server = echo_server()
        local function round(count)
            local over = 0
            for i = 1, count do
                evsock.spawn(function()
                    local other = evsock.spawn(evsock.sleep, i % 7 / 1000)
                    evsock.sleep(i % 5 / 1000)
                    if i % 3 == 0 then
                        other:cancel()
                    end
                    other:join(i % 4 / 1000)
                    if i % 40 == 0 then
                        exchange(server.port, 1)
                    end
                    over = over + 1
                end)
            end
            pump_until(function() return over == count and is_quiet() end, 10)
        end
        local many = 1000 / helper.fewer
        round(many)
        round(many)
        local before = memory()
        for _ = 1, 18 do
            round(many)
        end
        local growth = memory() - before
        -- Room for a table that doubles; one forgotten reference a task would be megabytes.
        assert.is_true(growth < 256, ("grown by %.0f KiB"):format(growth))
    end)

    it("that never rest keep neither sockets nor timers waiting", function()
        local server = echo_server()
        local stop
        local function busy()
            while not stop do
                coroutine.yield()
            end
        end
        local function breeder()
            if not stop then
                evsock.spawn(breeder)
            end
        end
        for _ = 1, 20 do
            evsock.spawn(busy)
            evsock.spawn(breeder)
        end
        local began = evsock.now()
        local fired
        evsock.after(0.01, function()
            fired = evsock.now() - began
        end)
        local over
        evsock.spawn(function()
            exchange(server.port, 10)
            over = true
        end)
        local pumps = 0
        while not (fired and over) and evsock.now() - began < 5 do
            evsock.pump(0)
            pumps = pumps + 1
        end
        stop = true
        assert.is_true(over)
        assert.is_true(fired and fired < 0.2, tostring(fired))
        assert.is_true(pumps > 1)
    end)
end)

describe("a thousand waits whose time runs out as the data come", function()
    after_each(helper.finish)

    -- What is asked for, and what gives back the bytes that it took.
    local kinds = {
        {
            what = "*l",
            whole = function(line)
                return line .. "\n"
            end,
        },
        { what = "*r" },
        { what = 3 },
        { what = { until_ = "7", keep = true } },
    }

    local function race(inside, seed)
        local random = dice(seed)
        local client, peer = helper.pair()
        local sent, got = {}, {}
        local wrote = evsock.spawn(function()
            for i = 1, 1000 do
                local text = i .. "\n"
                sent[i] = text
                if random(4) == 1 then
                    evsock.sleep(random(1000) / 1e6)
                elseif random(4) == 1 then
                    coroutine.yield()
                end
                local cut = random(#text)
                peer:write(text:sub(1, cut))
                peer:write(text:sub(cut + 1), "")
            end
            peer:close()
        end)
        local function read()
            local timeouts = 0
            while true do
                local kind = kinds[random(#kinds)]
                local data, _, code = client:receive(kind.what, (random(8) - 1) / 20000)
                if data then
                    got[#got + 1] = kind.whole and kind.whole(data) or data
                elseif code == "ETIMEDOUT" then
                    timeouts = timeouts + 1
                elseif code ~= "ECLOSED" then
                    error(code)
                elseif client.buffered == 0 then
                    return timeouts
                else
                    got[#got + 1] = client:read()
                end
            end
        end
        local timeouts
        if inside then
            local _
            _, timeouts = helper.track(evsock.spawn(read)):join(20)
        else
            timeouts = read()
        end
        assert.is_true(wrote.done)
        assert.is_true(type(timeouts) == "number" and timeouts > 0, tostring(timeouts))
        assert.is_true(table.concat(sent) == table.concat(got))
    end

    it("lose and double no byte in a task", function()
        race(true, 5)
    end)

    it("lose and double no byte outside of tasks", function()
        race(false, 6)
    end)
end)

describe("tasks that do anything at any time", function()
    after_each(helper.finish)

    -- Every task draws what it does next: it waits for something on a socket that others use, too,
    -- ends one, calls another task off, fails, spawns, pumps. Nothing is known of what comes out
    -- but that in the end nothing is left.
    local function storm(seed)
        local random = dice(seed)
        local server = echo_server { read_limit = 4096 }
        local socks, tasks, all = setmetatable({}, { __mode = "v" }), {}, {}
        local failures, heard, spawned, over, refused = 0, 0, 0, 0, 0
        local known = { ECLOSED = true, ETIMEDOUT = true, EBUSY = true, ECONNRESET = true }

        local function any(list)
            return list[random(#list)]
        end
        local function judge(value, message, code)
            if not value then
                assert(type(message) == "string" and known[code], tostring(code))
            end
        end
        local function pause()
            return (random(6) - 1) / 2000
        end

        local spawn
        local deeds = {
            function(sock) judge(sock:receive("*l", pause())) end,
            function(sock) judge(sock:receive("*r", pause())) end,
            function(sock) judge(sock:receive("*a", pause())) end,
            function(sock) judge(sock:receive({ until_ = "zz" }, pause())) end,
            function(sock) judge(sock:wait("data", pause())) end,
            function(sock) judge(sock:wait("connect", pause())) end,
            function(sock) judge(sock:wait("drain", pause())) end,
            function(sock) judge(sock:wait("close", pause())) end,
            function(sock) judge(sock:send("line " .. random(99) .. "\n", pause())) end,
            function(sock) judge(sock:send(("x"):rep(200000) .. "\n", pause())) end,
            function(sock) sock:write("some\n") end,
            function(sock) sock:read(random(100)) end,
            function(sock) sock:close() end,
            function(sock) sock:abort() end,
            function(sock) sock:connect("127.0.0.1", server.port) end,
            function(sock) sock.reconnect = random(2) == 1 and 0.01 or false end,
            function() evsock.sleep(pause()) end,
            function() coroutine.yield() end,
            function() evsock.pump(pause() / 10) end,
            function() coroutine.wrap(evsock.sleep)(pause() / 10) end,
            function() any(tasks):cancel() end,
            function(_, me)
                local task = any(tasks)
                if task ~= me then
                    -- It refuses to wait for one that waits for this very call.
                    refused = refused + (pcall(task.join, task, 0) and 0 or 1)
                end
            end,
            function()
                failures = failures + 1
                error({ "a failure" })
            end,
            function() spawn() end,
            function() collectgarbage("step") end,
        }

        function spawn()
            if spawned == 600 then
                return
            end
            spawned = spawned + 1
            local task
            task = evsock.spawn(function()
                for _ = 1, 8 do
                    any(deeds)(any(socks) or evsock.socket(), task)
                end
                over = over + 1
            end)
            all[spawned] = task
            tasks[random(60)] = task
            for i = 1, 60 do
                tasks[i] = tasks[i] or task
            end
        end

        evsock.on_error = function(problem)
            if type(problem) ~= "table" then
                error(problem, 0)
            end
            heard = heard + 1
        end
        local keep = {}
        for i = 1, 12 do
            socks[i] = evsock.connect("127.0.0.1", server.port, {
                reconnect = i % 3 == 0 and 0.01 or false,
                write_limit = i % 2 == 0 and 300000 or nil,
                on_data = i % 4 == 0 and function(sock) sock:read(1) end or nil,
            })
            keep[i] = socks[i]
        end
        local deadline = evsock.now() + 10 * helper.slow
        while spawned < 600 and evsock.now() < deadline do
            spawn()
            evsock.pump(0.0005)
        end
        pump_until(function()
            for i = 1, spawned do
                if not all[i].done then
                    return false
                end
            end
            return true
        end, 10, "the end of all tasks")
        assert.equal(600, spawned)
        assert.is_true(over > 50)
        assert.is_true(failures > 10 and heard <= failures and heard > 0)
        for _, sock in pairs(keep) do
            sock.on_data = nil
            sock.reconnect = false
            sock:abort()
        end
        -- No desk, alarm or list of joiners holds anything any more.
        for i = 1, 12 do
            keep[i] = nil
        end
        tasks, all = {}, {}
        pump_until(function()
            collectgarbage()
            return is_quiet() and next(socks) == nil
        end, 5, "rest")
    end

    for seed = 1, math.ceil(4 / helper.fewer) do
        it("leave nothing behind, storm " .. seed, function()
            storm(seed * 7919)
        end)
    end
end)
