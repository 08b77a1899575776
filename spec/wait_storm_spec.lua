-- Many tasks that wait for the same things in every way, time out and are canceled at any moment:
-- each value, connection and datagram is taken once or still there, and nobody who is gone is
-- waited for. Each promise by itself is tested in wait_any_spec, accept_spec and condition_spec.

local helper = require "spec.helper"
local evsock = helper.evsock

local SECONDS = 20 * helper.slow

-- What the tasks wait for, and how much of each was given and taken.
local function storm(dice)
    local all = { queues = {}, conditions = {}, dice = dice, given = {}, taken = {} }
    for place = 1, 3 do
        all.queues[place], all.conditions[place] = evsock.queue(dice(4)), evsock.condition()
    end
    all.server = helper.track(assert(evsock.listen("127.0.0.1", 0)))
    all.udp = helper.track(assert(evsock.udp("127.0.0.1", 0)))
    for _, what in ipairs { "values", "connections", "datagrams", "signals" } do
        all.given[what], all.taken[what] = 0, 0
    end
    return all
end

local function take(all, what, got)
    if got then
        all.taken[what] = all.taken[what] + 1
        if what == "connections" then
            got:abort()
        end
    end
end

-- The ways to wait; each for a moment.
local ways = {
    function(all, some, seconds)
        local list = {}
        for _ = 1, all.dice(3) do
            list[#list + 1], list[#list + 2] = some(all.queues), some(all.conditions)
        end
        local place, value = evsock.wait_any(list, seconds)
        take(all, "values", value ~= nil and place)
        take(all, "signals", value == nil and place)
    end,
    function(all, some, seconds)
        local place = evsock.wait_any({
            { all.server, "accept" }, { all.udp, "datagram" }, some(all.conditions),
        }, seconds)
        take(all, "connections", place == 1 and all.server:accept(0))
        take(all, "datagrams", place == 2 and all.udp:read())
        take(all, "signals", place == 3)
    end,
    function(all, some, seconds)
        take(all, "values", some(all.queues):pop(seconds))
    end,
    function(all, some, seconds)
        take(all, "signals", some(all.conditions):wait(seconds))
    end,
    function(all, _, seconds)
        take(all, "connections", all.server:accept(seconds))
    end,
    function(all, _, seconds)
        take(all, "datagrams", (all.udp:receive(seconds)))
    end,
}

local function feed(all, some)
    local function give(what, count)
        all.given[what] = all.given[what] + (count or 1)
    end
    local kind = all.dice(5)
    if kind == 1 then
        give("values", some(all.queues):push("value", 0.002) and 1 or 0)
    elseif kind == 2 then
        helper.connect(all.server.port)
        give "connections"
    elseif kind == 3 then
        assert(all.udp:send_to("x", "127.0.0.1", all.udp.port))
        give "datagrams"
    elseif kind == 4 then
        give("signals", some(all.conditions):signal(all.dice(2)))
    else
        evsock.sleep(0.001)
    end
end

-- Takes what nobody has taken; then as much was taken as was given.
local function settle(all)
    for _, queue in ipairs(all.queues) do
        while #queue > 0 do
            take(all, "values", queue:pop(0))
        end
    end
    repeat
        local sock = all.server:accept(0)
        take(all, "connections", sock)
    until not sock
    repeat
        local data = all.udp:receive(0)
        take(all, "datagrams", data)
    until not data
    for _, what in ipairs { "values", "connections", "datagrams" } do
        assert.equal(all.given[what], all.taken[what], what)
    end
    assert.is_true(all.taken.signals <= all.given.signals)
    for _, condition in ipairs(all.conditions) do
        assert.equal(0, condition:broadcast())
    end
end

describe("a storm of waits", function()
    after_each(helper.finish)

    local function rage(seed)
        local dice = helper.dice(seed)
        local all, is_over, workers = storm(dice), false, {}
        local function some(list)
            return list[dice(#list)]
        end
        local function work()
            while not is_over do
                some(ways)(all, some, dice(40) / 10000)
            end
        end
        for place = 1, 12 do
            workers[place] = evsock.spawn(work)
        end
        local feeder = evsock.spawn(function()
            for _ = 1, 60 do
                feed(all, some)
                if dice(10) == 1 then
                    local place = dice(#workers)
                    workers[place]:cancel()
                    workers[place] = evsock.spawn(work)
                end
            end
        end)
        assert(feeder:join(SECONDS))
        evsock.sleep(0.02)
        is_over = true
        for _, worker in ipairs(workers) do
            assert(worker:join(SECONDS))
        end
        settle(all)
    end

    it("loses nothing and doubles nothing, whoever times out or is canceled", function()
        for seed = 1, math.ceil(20 / helper.fewer) do
            rage(seed)
            helper.finish()
        end
    end)
end)
