-- Loops over sock:lines() in whose midst finalisers run that use the same sockets: a child of
-- lines_spec, because only where memory is little is it collected all the time. Each function
-- raises an error if a line is lost, given twice, or not whole; with `true` nothing is compiled.

local helper = require "spec.helper"

local evsock, fill, when_collected = helper.evsock, helper.fill, helper.when_collected
local jit = rawget(_G, "jit")

-- A cycle begins when the last is over. Without any pause 5.2 and 5.3 make one at each allocation.
helper.tune_collector("pause", (jit or _VERSION >= "Lua 5.4") and 0 or 100)
if not jit then
    helper.tune_collector("stepmul", 1000)
end

local ROUNDS = math.ceil(10 / helper.fewer)
local STORM = jit and 12000 or 2000

-- No two lines alike, of many lengths.
local function numbered(count)
    local pieces = {}
    for i = 1, count do
        pieces[i] = ("%d:%s\r\n"):format(i, ("x"):rep(i % 61))
    end
    return table.concat(pieces)
end

-- The number of a line, which must be whole.
local function number_of(line)
    local i = tonumber(line:match("^%d+"))
    assert(i and line == ("%d:%s"):format(i, ("x"):rep(i % 61)), line)
    return i
end

-- Calls `body` while garbage is collected all the time and each garbage's finaliser calls `fn` and
-- leaves another. Returns how often.
local function under_finalisers(fn, body)
    local goes_on, calls = true, 0
    local function finaliser()
        if goes_on then
            calls = calls + 1
            when_collected(finaliser)
            fn()
        end
    end
    for _ = 1, 10 do
        pcall(when_collected, finaliser)
    end
    -- The pause is new from the end of a cycle on.
    pcall(collectgarbage)
    calls = 0
    body()
    goes_on = false
    return calls
end

local program = {}

-- LuaJIT's interpreter may run finalisers where compiled code does not.
local function interpret(alone)
    if jit and alone then
        jit.off()
        jit.flush()
    end
end

--- Finalisers take lines of the same socket, with calls and loops of their own.
function program.reads(alone)
    interpret(alone)
    local client, peer = helper.pair()
    local calls = 0
    for round = 1, ROUNDS do
        fill(client, peer, numbered(4000))
        local seen, given, turn = {}, 0, 0
        local function note(line)
            local i = number_of(line)
            assert(not seen[i], line)
            seen[i], given = true, given + 1
        end
        local function take_three()
            local left = 3
            for line in client:lines(round % 2 == 0 and "any" or nil) do
                note(line)
                left = left - 1
                if left == 0 then
                    break
                end
            end
        end
        calls = calls + under_finalisers(function()
            turn = turn + 1
            if turn % 4 == 0 then
                local line = client:read_line()
                if line then
                    note(line)
                end
            elseif turn % 4 == 1 then
                take_three()
            elseif turn % 4 == 2 then
                assert(client.buffered == #(client:peek() or ""))
            end
        end, function()
            for line in client:lines() do
                note(line)
            end
        end)
        assert(given == 4000 and client.buffered == 0, given)
    end
    assert(calls >= 5 * ROUNDS, calls)
    helper.finish()
end

--- Finalisers take lines of another socket, while the loop, which does nothing but count and is
--- compiled, takes its own.
function program.others(alone)
    interpret(alone)
    local client, peer = helper.pair()
    local other, other_peer = helper.pair()
    local calls = 0
    for _ = 1, ROUNDS do
        local text = numbered(5000)
        fill(client, peer, text)
        fill(other, other_peer, text)
        local size, count, others = 0, 0, 0
        calls = calls + under_finalisers(function()
            for line in other:lines() do
                others = others + 1
                assert(number_of(line) == others)
                if others % 7 == 0 then
                    break
                end
            end
        end, function()
            for line in client:lines() do
                size = size + #line + 2
                count = count + 1
            end
        end)
        assert(size == #text and count == 5000, count)
        for line in other:lines() do
            others = others + 1
            assert(number_of(line) == others)
        end
        assert(others == 5000, others)
    end
    assert(calls >= 5 * ROUNDS, calls)
    helper.finish()
end

--- A finaliser takes all, breaks the connection off, or makes another.
function program.takeover(alone)
    interpret(alone)
    for _, way in ipairs { "read", "connect", "abort" } do
        for _ = 1, ROUNDS do
            local client, peer, record = helper.pair()
            fill(client, peer, numbered(5000))
            local count, rest = 0, nil
            under_finalisers(function()
                if count < 100 or rest then
                    return
                elseif way == "read" then
                    rest = client:read()
                else
                    client:abort()
                    rest = way
                    if way == "connect" then
                        client:connect("127.0.0.1", record.port)
                    end
                end
            end, function()
                for line in client:lines() do
                    count = count + 1
                    assert(number_of(line) == count)
                end
            end)
            assert(rest, "no finaliser came")
            if way == "abort" then
                assert(count == 5000, count)
            elseif way == "read" then
                assert(tonumber(rest:match("^%d+")) == count + 1, count)
            else
                assert(count < 5000 and client.buffered == 0, count)
            end
            client:abort()
        end
    end
    helper.finish()
end

--- Errors come out of finalisers; in 5.1 and LuaJIT they end the loop.
function program.errors()
    -- LuaJIT itself crashes when one comes out of a trace.
    interpret(true)
    local client, peer = helper.pair()
    fill(client, peer, numbered(8000))
    local last, given, raised = 0, 0, 0
    local function take_some()
        for line in client:lines() do
            local i = number_of(line)
            assert(i > last, line)
            last, given = i, given + 1
        end
    end
    under_finalisers(function()
        raised = raised + 1
        error("of a finaliser", 0)
    end, function()
        for _ = 1, 8000 do
            local ok, message = pcall(take_some)
            if ok then
                break
            end
            assert(tostring(message):find("of a finaliser", 1, true), message)
        end
    end)
    assert(raised > 0, raised)
    -- A line that was being made when the error came is lost, as with any read.
    assert(given + raised >= 8000 and client.buffered == 0, given)
    fill(client, peer, numbered(500))
    last = 0
    take_some()
    assert(last == 500, last)
    helper.finish()
end

--- Three sockets, four iterators each, and at every turn another thing is done, in finalisers as
--- well: many ways lead out of compiled code. As many bytes are given as were sent.
function program.storm(alone)
    interpret(alone)
    local ends = {}
    for i = 1, 3 do
        local client, peer = helper.pair()
        ends[i] = { client = client, peer = peer, sent = 0, given = 0, iterators = {} }
    end
    local depth, goes_on, number = 0, true, 0

    -- The sum is made when no finaliser can come between.
    local function give(one, iterator)
        local line = iterator()
        one.given = one.given + (line and #line + 1 or 0)
        return line
    end
    local function read(one, n)
        local text = one.client:read(n)
        one.given = one.given + (text and #text or 0)
    end
    local function send(one)
        local pieces = {}
        for i = 1, math.random(300) do
            number = number + 1
            local long = math.random() < 0.02 and math.random(200, 9000) or math.random(70)
            pieces[i] = number .. ":" .. ("x"):rep(long) .. "\n"
        end
        local text = table.concat(pieces)
        one.peer:write(text)
        one.sent = one.sent + #text
    end
    local act
    local function loop(one)
        local iterator = one.client:lines("lf")
        one.iterators[math.random(4)] = iterator
        local stop = math.random(2) == 1 and math.random(400) or math.huge
        local n = 0
        while n < stop and give(one, iterator) do
            n = n + 1
            if depth < 4 and math.random(100) == 1 then
                act(ends[math.random(3)])
            end
        end
    end
    local function old_loops(one)
        for _, iterator in pairs(one.iterators) do
            for _ = 1, math.random(50) do
                if not give(one, iterator) then
                    break
                end
            end
        end
    end
    local function look(one)
        one.client:peek(math.random(100))
        one.client:search("7", math.random(50))
    end
    local acts = {
        loop, loop, loop, loop, old_loops, look, send,
        function(one)
            read(one, math.random(3000))
        end,
        function()
            evsock.pump(0)
        end,
    }
    function act(one)
        depth = depth + 1
        acts[math.random(#acts)](one)
        depth = depth - 1
    end
    local function finaliser()
        if not goes_on then
            return
        end
        when_collected(finaliser)
        if depth < 5 then
            local one, chance = ends[math.random(3)], math.random(3)
            if chance == 1 then
                local iterator = one.client:lines("lf")
                for _ = 1, math.random(20) do
                    if not give(one, iterator) then
                        break
                    end
                end
            elseif chance == 2 then
                look(one)
            else
                local _, iterator = next(one.iterators)
                if iterator then
                    give(one, iterator)
                end
            end
        end
    end

    helper.tune_collector("pause", 50)
    for _ = 1, 50 do
        when_collected(finaliser)
    end
    for _ = 1, math.ceil(STORM / helper.fewer) do
        act(ends[math.random(3)])
        if math.random(3) == 1 then
            evsock.pump(0.001)
        end
    end
    goes_on = false
    for _, one in ipairs(ends) do
        helper.pump_until(function()
            read(one)
            return one.given >= one.sent
        end, 5, "all that was sent")
        assert(one.given == one.sent, one.given - one.sent)
    end
    helper.finish()
end

return program
