-- `evsock.wait_any`: a wait for several objects at once, in tasks and outside of them.

local helper = require "spec.helper"
local evsock = helper.evsock

local spawn, finished = helper.spawn, helper.finished
local LONG = 20 * helper.slow

-- Calls `fn` outside of tasks; then in a task.
local function in_both(fn)
    fn()
    local task = spawn(fn)
    finished(task)
    assert.is_true(task:join())
end

local function quiet_server(options)
    local server = assert(evsock.listen("127.0.0.1", 0, options))
    return helper.track(server)
end

describe("wait_any", function()
    after_each(helper.finish)

    it("gives the place of the socket that has data, whichever it is", function()
        in_both(function()
            local first, first_peer = helper.pair()
            local second, second_peer = helper.pair()
            local list = { { first, "data" }, { second, "data" } }
            evsock.after(0.001, function() second_peer:write("two") end)
            assert.equal(2, evsock.wait_any(list, LONG))
            assert.equal("two", second:read())
            evsock.after(0.001, function() first_peer:write("one") end)
            assert.equal(1, evsock.wait_any(list, LONG))
            second_peer:write("too")
            assert.equal("too", second:peek() or second:wait("data", LONG) and second:peek())
            -- Both: the first in the list, at once.
            assert.equal(1, evsock.wait_any(list))
            first:read()
            assert.equal(2, evsock.wait_any(list, 0))
        end)
    end)

    it("times out, and a time of 0 asks what is ready now", function()
        in_both(function()
            local client = helper.pair()
            local list = { { client, "data" }, { client, "close" }, evsock.condition() }
            for _, seconds in ipairs { 0, 0.002 } do
                assert.same({ nil, "wait_any: timed out", "ETIMEDOUT" },
                    { evsock.wait_any(list, seconds) })
            end
            assert.same({ nil, "wait_any: timed out", "ETIMEDOUT" }, { evsock.wait_any({}, 0.001) })
        end)
    end)

    it("takes a socket with several events", function()
        in_both(function()
            local client, peer = helper.pair()
            local list = { { client, "data" }, { client, "close" } }
            evsock.after(0.001, function() peer:close() end)
            local place = evsock.wait_any(list, LONG)
            -- The end of the stream ends a wait for data as well.
            assert.is_true(place == 1 or place == 2)
            assert.is_true(client:wait("close", LONG))
            assert.equal(1, evsock.wait_any({ list[2], list[1] }, 0))
        end)
    end)

    it("is over when what it waits for has failed, as the single wait is", function()
        in_both(function()
            local sock = helper.connect(helper.free_port())
            assert.equal(1, evsock.wait_any({ { sock, "connect" } }, LONG))
            local _, _, code = sock:wait("connect", 0)
            assert.equal("ECONNREFUSED", code)
        end)
    end)

    it("tells of a connection that waits to be accepted, and leaves it", function()
        in_both(function()
            local server, client = quiet_server(), helper.pair()
            local list = { { client, "data" }, { server, "accept" } }
            evsock.after(0.001, function() helper.connect(server.port) end)
            assert.equal(2, evsock.wait_any(list, LONG))
            assert.equal(2, evsock.wait_any(list, 0))
            helper.track(assert(server:accept()))
            assert.is_nil(evsock.wait_any(list, 0))
        end)
    end)

    it("tells of a datagram that waits to be read, and leaves it", function()
        in_both(function()
            local udp, client = helper.track(assert(evsock.udp("127.0.0.1", 0))), helper.pair()
            local list = { { client, "data" }, { udp, "datagram" } }
            evsock.after(0.001, function() udp:send_to("x", "127.0.0.1", udp.port) end)
            assert.equal(2, evsock.wait_any(list, LONG))
            assert.equal(2, evsock.wait_any(list, 0))
            assert.equal("x", (udp:read()))
            assert.is_nil(evsock.wait_any(list, 0))
        end)
    end)

    it("is over when the server or the datagram socket is closed, which is no event", function()
        in_both(function()
            local server, udp = quiet_server(), helper.track(assert(evsock.udp("127.0.0.1", 0)))
            local list = { { udp, "datagram" }, { server, "accept" } }
            evsock.after(0.001, function() server:close() end)
            assert.equal(2, evsock.wait_any(list, LONG))
            evsock.after(0.001, function() udp:close() end)
            assert.equal(1, evsock.wait_any({ list[1] }, LONG))
        end)
    end)

    it("tells of a watch whose descriptor is ready, or that is closed", function()
        in_both(function()
            local sock = helper.track(assert(evsock.udp("127.0.0.1", 0, { paused = true })))
            local watch = helper.track(assert(evsock.watch(sock.fd, "r")))
            local list = { evsock.condition(), watch }
            assert.is_nil(evsock.wait_any(list, 0.005))
            evsock.after(0.001, function() sock:send_to("x", "127.0.0.1", sock.port) end)
            assert.equal(2, evsock.wait_any(list, LONG))
            assert.equal(2, evsock.wait_any(list, 0))
            evsock.after(0.001, function() watch:close() end)
            local quiet = assert(evsock.watch(assert(quiet_server()).fd, "r"))
            evsock.after(0.001, function() quiet:close() end)
            assert.equal(1, evsock.wait_any({ quiet }, LONG))
        end)
    end)

    it("does not wait for what a handler takes, as the single call does not", function()
        in_both(function()
            local server = quiet_server { on_accept = function() end }
            local udp = helper.track(assert(evsock.udp("127.0.0.1", 0, {
                on_datagram = function() end })))
            assert.equal(1, evsock.wait_any({ { server, "accept" } }))
            assert.equal("EBUSY", select(3, server:accept(LONG)))
            assert.equal(1, evsock.wait_any({ { udp, "datagram" } }))
            assert.equal("EBUSY", select(3, udp:receive()))
        end)
    end)

    it("waits for tasks, which join then tells about", function()
        in_both(function()
            local tasks = {
                spawn(function() evsock.sleep(60) end),
                spawn(function() evsock.sleep(0.001) error("broken", 0) end),
            }
            assert.equal(2, evsock.wait_any(tasks, LONG))
            local ok, problem, code = tasks[2]:join()
            assert.is_nil(ok)
            assert.matches("^broken\nstack traceback:", problem)
            assert.equal("ETASK", code)
            evsock.after(0.001, function() tasks[1]:cancel() end)
            assert.equal(1, evsock.wait_any({ tasks[1] }, LONG))
            assert.equal(1, evsock.wait_any({ tasks[1], tasks[2] }))
        end)
    end)

    it("takes a signal of a condition", function()
        in_both(function()
            local condition, client = evsock.condition(), helper.pair()
            local list = { { client, "data" }, condition }
            evsock.after(0.001, function() condition:signal() end)
            assert.equal(2, evsock.wait_any(list, LONG))
            assert.is_nil(evsock.wait_any(list, 0))
            assert.equal(0, condition:signal())
        end)
    end)

    it("takes a value of a queue and returns it, too", function()
        in_both(function()
            local queue, client = evsock.queue(), helper.pair()
            local list = { { client, "data" }, queue }
            evsock.after(0.001, function() queue:push(false) end)
            assert.same({ 2, false }, { evsock.wait_any(list, LONG) })
            assert.equal(0, #queue)
            queue:push("a")
            assert.same({ 2, "a" }, { evsock.wait_any(list, LONG) })
            evsock.after(0.001, function() queue:close() end)
            assert.same({ 2 }, { evsock.wait_any(list, LONG) })
        end)
    end)

    it("leaves data, signals and values that it did not end by where they are", function()
        local client, peer = helper.pair()
        local condition, queue = evsock.condition(), evsock.queue()
        local went_on = {}
        local any = spawn(function()
            local place = evsock.wait_any({ { client, "data" }, condition, queue }, LONG)
            went_on[#went_on + 1] = place
        end)
        evsock.pump()
        local other = spawn(function()
            assert(condition:wait(LONG))
            local value = queue:pop(LONG)
            went_on[#went_on + 1] = value
        end)
        evsock.pump()
        -- Before the task can go on all three have come.
        peer:write("data")
        helper.wait_arrived({ sockets = { client } }, 4)
        finished(any)
        assert.same({ 1 }, went_on)
        assert.equal(1, condition:signal())
        queue:push("value")
        finished(other)
        assert.same({ 1, "value" }, went_on)
        assert.equal("data", client:read())
    end)

    it("passes a signal on that it was given and ended without", function()
        local first, second = evsock.condition(), evsock.condition()
        local order = {}
        local function note(what)
            order[#order + 1] = what
        end
        local any = spawn(function() note(evsock.wait_any { first, second }) end)
        evsock.pump()
        local other = spawn(function() note(second:wait() and "second") end)
        evsock.pump()
        -- Both signals are for the task that has waited longest; it takes one.
        assert.equal(1, first:signal())
        assert.equal(1, second:signal())
        finished(any, other)
        assert.same({ 1, "second" }, order)
        assert.equal(0, first:signal())
        assert.equal(0, second:signal())
    end)

    it("passes a signal on when its task is canceled", function()
        local condition, client = evsock.condition(), helper.pair()
        local any = spawn(function() evsock.wait_any { { client, "data" }, condition } end)
        evsock.pump()
        local other = spawn(function() return condition:wait() end)
        evsock.pump()
        condition:signal()
        any:cancel()
        finished(other)
        assert.same({ true, true }, { other:join() })
    end)

    it("stands beside a task that reads, which goes first", function()
        local client, peer = helper.pair()
        local got = {}
        local any = spawn(function() got.place = evsock.wait_any({ { client, "data" } }, LONG) end)
        local reader = spawn(function() got.line = client:receive("*l", LONG) end)
        evsock.pump()
        peer:write("line\n")
        finished(reader)
        assert.equal("line", got.line)
        assert.is_nil(got.place)
        peer:write("more")
        finished(any)
        assert.equal(1, got.place)
        assert.equal("more", client:read())
    end)

    it("lets all go on that wait for one event", function()
        local client, peer = helper.pair()
        local tasks = {}
        for place = 1, 20 do
            tasks[place] = spawn(function()
                return evsock.wait_any({ evsock.condition(), { client, "data" } }, LONG)
            end)
        end
        evsock.pump()
        peer:write("x")
        finished((table.unpack or unpack)(tasks))
        for _, task in ipairs(tasks) do
            assert.same({ true, 2 }, { task:join() })
        end
    end)

    it("hears of data that comes while on_accept waits for it", function()
        local place
        local server = helper.server {
            on_accept = function(_, sock)
                place = evsock.wait_any({ evsock.condition(), { sock, "data" } }, LONG)
            end,
        }
        helper.connect(server.port):write("early")
        helper.pump_until(function() return place end)
        assert.equal(2, place)
    end)

    it("suspends the task in a coroutine of its own", function()
        local client, peer = helper.pair()
        local other = false
        local task = spawn(function()
            return evsock.coroutine.wrap(function()
                return evsock.wait_any({ { client, "data" } }, LONG)
            end)()
        end)
        spawn(function() other = true peer:write("x") end)
        finished(task)
        assert.is_true(other)
        assert.same({ true, 1 }, { task:join() })
    end)

    it("leaves nothing behind, however it ends", function()
        local client, peer = helper.pair()
        local condition = evsock.condition()
        local sleeper = spawn(function() evsock.sleep(LONG) end)
        local list = { { client, "data" }, { client, "close" }, condition, sleeper }
        local held = setmetatable({}, { __mode = "k" })
        for round = 1, 4 do
            local task = spawn(function()
                local mine = {}
                held[mine] = true
                evsock.wait_any(list, round == 1 and 0.001 or nil)
                held[mine] = true
            end)
            evsock.pump()
            if round == 2 then
                task:cancel()
            elseif round == 3 then
                condition:signal()
            elseif round == 4 then
                peer:write("x")
            end
            finished(task)
        end
        assert.equal(0, condition:signal())
        helper.collect()
        assert.is_nil(next(held))
        sleeper:cancel()
    end)

    it("refuses what nobody can wait for, by its place", function()
        local client = helper.pair()
        helper.misuse(function() evsock.wait_any(client) end,
            "bad argument 'list' to 'wait_any' (list expected, got userdata)")
        helper.misuse(function() evsock.wait_any({}) end,
            "bad argument 'list' to 'wait_any' (it is empty: the wait would never end)")
        helper.misuse(function() evsock.wait_any({ { client, "data" }, 3 }) end,
            "bad argument 'list[2]' to 'wait_any' ({ object, event }, task, condition, queue or "
            .. "watch expected, got 3)")
        helper.misuse(function() evsock.wait_any({ { client, "dta" } }) end,
            'bad argument \'list[1]\' to \'wait_any\' ({ object, event } with "connect", ')
        helper.misuse(function() evsock.wait_any({ client }) end, 'as the event expected, got nil)')
        helper.misuse(function() evsock.wait_any({ evsock.condition() }, -1) end,
            "bad argument 'timeout' to 'wait_any'")
        local task
        task = spawn(function() evsock.wait_any { task } end)
        local ok, problem = task:join()
        assert.is_nil(ok)
        assert.matches("a task can't wait for itself", problem)
    end)
end)
