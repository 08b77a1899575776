-- The iterator of sock:lines() finds lines ahead of the loop that takes them. Nobody may notice:
-- here it runs beside a socket that reads one line at a time, with all that a loop can do in
-- between, and under finalisers (lines_under_finalisers.lua). What lines are is in framing_spec.

local helper = require "spec.helper"

local pump_until, fill = helper.pump_until, helper.fill

local function filled(text, options)
    local client, peer = helper.pair(options)
    fill(client, peer, text)
    return client, peer
end

-- "1:xxx\r\n2:xx\r\n...": no two lines alike, of many lengths.
local function numbered(first, last)
    local pieces = {}
    for i = first, last do
        pieces[#pieces + 1] = ("%d:%s\r\n"):format(i, ("x"):rep(i % 61))
    end
    return table.concat(pieces)
end

local function is_numbered(line, i)
    return line == ("%d:%s"):format(i, ("x"):rep(i % 61))
end

describe("lines", function()
    after_each(helper.finish)

    local kinds = { "any", "each", "crlf", "strict", "lf", "null" }
    local ends = { "\n", "\r\n", "\r", "\0", "\n\n", "\r\n\r\n", "\r\r\n" }

    local function random_text(size, longest)
        local pieces, length = {}, 0
        while length < size do
            local letter = string.char(math.random(0, 255))
            local piece = letter:rep(math.random(0, longest)) .. ends[math.random(#ends)]
            pieces[#pieces + 1] = piece
            length = length + #piece
        end
        return table.concat(pieces)
    end

    -- What a loop can do with its socket. Each returns what it has seen.
    local others = {
        function(sock) return sock.buffered end,
        function(sock, n) return sock:read(n) end,
        function(sock, n) return sock:peek(n) end,
        function(sock, n) return sock:read_exact(n * 3) end,
        function(sock, _, kind) return sock:read_line(kind) end,
        function(sock) return sock:read_until("\r\n", true) end,
        function(sock, n) return sock:search("\n\r", n) end,
        function(sock) return sock:peek(3), sock.buffered end,
    }

    -- Does the same with both, the first with lines(), the second with read_line.
    local function compare_loops(first, second, kind)
        local chance, stop_chance = math.random(2, 60), math.random(5, 400)
        local nested = 0
        local function loop(of, depth)
            for line in first:lines(of) do
                assert.equal(second:read_line(of), line)
                if math.random(chance) == 1 then
                    local call, n = others[math.random(#others)], math.random(0, 40)
                    local other = kinds[math.random(#kinds)]
                    assert.same({ call(second, n, other) }, { call(first, n, other) })
                end
                if math.random(stop_chance) == 1 then
                    return
                end
                if depth < 2 and math.random(stop_chance) == 1 then
                    nested = nested + 1
                    loop(kinds[math.random(#kinds)], depth + 1)
                end
            end
            assert.is_nil(second:read_line(of))
        end
        loop(kind, 0)
        assert.equal(second.buffered, first.buffered)
        return nested
    end

    for _, kind in ipairs(kinds) do
        it(("of kind %s are those of read_line, whatever a loop does"):format(kind), function()
            local first, peer = helper.pair()
            local second, other_peer = helper.pair()
            for round = 1, math.ceil(60 / helper.fewer) do
                -- A LF at the beginning may belong to the CR before: it would never be seen.
                local text = random_text(math.random(1, 20000), round % 7 == 0 and 9000 or 90)
                text = text:gsub("^\n", "x")
                fill(first, peer, text)
                fill(second, other_peer, text)
                compare_loops(first, second, kind)
                if round % 5 == 0 then
                    assert.equal(second:read(), first:read())
                end
            end
            assert.equal(second:read(), first:read())
        end)
    end

    it("that are compiled are the same", function()
        local client, peer = helper.pair()
        local count, wrong = 0, 0
        for round = 0, 9 do
            fill(client, peer, numbered(round * 3000 + 1, round * 3000 + 3000))
            for line in client:lines() do
                count = count + 1
                if not is_numbered(line, count) then
                    wrong = wrong + 1
                end
            end
        end
        assert.equal(30000, count)
        assert.equal(0, wrong)
        assert.equal(0, client.buffered)
    end)

    it("of more loops at once go on where the others are", function()
        local client = filled(numbered(1, 900))
        local other = filled(numbered(1, 900))
        local iterators = { client:lines(), client:lines("lf"), client:lines("any") }
        local others_next, place = other:lines(), 0
        for i = 1, 900 do
            place = math.random(10) == 1 and math.random(3) or math.max(place, 1)
            local line = iterators[place]()
            assert.is_true(is_numbered(place == 2 and line:gsub("\r$", "") or line, i), line)
            if math.random(5) > 1 then
                others_next()
            end
        end
        for place_of_end = 1, 3 do
            assert.is_nil(iterators[place_of_end]())
        end
        assert.equal(0, client.buffered)
    end)

    it("end for good", function()
        local client, peer = filled(numbered(1, 100))
        local next_line = client:lines()
        for i = 1, 100 do
            assert.is_true(is_numbered(next_line(), i))
        end
        assert.is_nil(next_line())
        fill(client, peer, numbered(1, 100))
        assert.is_nil(next_line())
        assert.is_true(is_numbered(client:read_line(), 1))
    end)

    it("give nothing that came while the loop ran", function()
        local client, peer = filled(numbered(1, 200))
        local count = 0
        for line in client:lines() do
            count = count + 1
            assert.is_true(is_numbered(line, count))
            if count % 50 == 3 then
                fill(client, peer, "later\r\n")
            end
        end
        assert.equal(200, count)
        assert.equal(("later\r\n"):rep(4), client:read())
    end)

    it("go on when the socket was closed in the midst, and end when it is used again", function()
        local client, peer, record = helper.pair()
        fill(client, peer, numbered(1, 300))
        local count = 0
        for line in client:lines() do
            count = count + 1
            assert.is_true(is_numbered(line, count))
            if count == 100 then
                client:close()
            elseif count == 150 then
                pump_until(function() return client.state == "closed" end)
            elseif count == 200 then
                assert(client:connect("127.0.0.1", record.port))
            end
        end
        assert.equal(200, count)
        assert.equal(0, client.buffered)
        pump_until(function() return client.state == "open" and record.sockets[2] end)
        fill(client, record.sockets[2], numbered(1, 60))
        count = 0
        for line in client:lines() do
            count = count + 1
            assert.is_true(is_numbered(line, count))
        end
        assert.equal(60, count)
    end)

    it("let reading go on at the line that leaves half of read_limit, no earlier", function()
        for _, way in ipairs { "enough", "one too few" } do
            local client, peer = helper.pair({ read_limit = 20000 })
            local text = ("x"):rep(8) .. "\r\n"
            peer:write(text:rep(100000))
            pump_until(function() return client.buffered >= 20000 end)
            helper.pump_for(0.05)
            local buffered = client.buffered
            -- Reading goes on when no more than 10000 bytes are left.
            local wanted = math.ceil((buffered - 10000) / 10)
            if way == "one too few" then
                wanted = wanted - 1
            end
            local count = 0
            for _ in client:lines() do
                count = count + 1
                if count == wanted then
                    break
                end
            end
            local left = buffered - wanted * 10
            if way == "enough" then
                pump_until(function() return client.buffered > left end, 5, "reading goes on")
            else
                helper.pump_for(0.1)
                assert.equal(left, client.buffered)
            end
            client:abort()
        end
    end)

    it("follow a read_limit that was changed in the midst", function()
        local client, peer = helper.pair({ read_limit = 20000 })
        peer:write((("x"):rep(8) .. "\r\n"):rep(100000))
        pump_until(function() return client.buffered >= 20000 end)
        helper.pump_for(0.05)
        local buffered, count = client.buffered, 0
        for _ in client:lines() do
            count = count + 1
            if count == 50 then
                client.read_limit = 2 * buffered
            elseif count == 60 then
                break
            end
        end
        pump_until(function() return client.buffered > buffered - 600 end, 5, "reading goes on")
    end)

    -- In a process of its own, whose little memory is collected again and again.
    for _, what in ipairs { "reads", "others", "takeover", "errors", "storm" } do
        for _, alone in ipairs { "false", "true" } do
            local script = ('require("spec.lines_under_finalisers").%s(%s)'):format(what, alone)
            it("are whole under finalisers: " .. script:match("%w+%(%w+%)$"), function()
                local text, status = helper.run(script)
                -- What a current LuaJIT says of an error in a finaliser.
                text = text:gsub("ERROR in finalizer: of a finaliser\n", "")
                helper.printed("", text, status)
            end)
        end
    end

    it("of a socket that is gone do nobody harm", function()
        for _ = 1, math.ceil(20 / helper.fewer) do
            do
                local client, peer = helper.pair()
                fill(client, peer, numbered(1, 100))
                local next_line = client:lines()
                assert.is_true(is_numbered(next_line(), 1))
                client:abort()
                peer:abort()
            end
            helper.finish()
            helper.collect()
            local other = filled(numbered(1, 100))
            local count = 0
            for line in other:lines() do
                count = count + 1
                assert.is_true(is_numbered(line, count))
            end
            assert.equal(100, count)
            other:abort()
        end
    end)

    it("can be asked for when Lua ends", function()
        local text, status = helper.run([[
            local evsock = require "evsock"
            local server = evsock.listen("127.0.0.1", 0, {
                on_accept = function(_, sock) sock:write(("0123456789\r\n"):rep(400)) end,
            })
            local client = evsock.connect("127.0.0.1", server.port)
            while client.buffered < 4800 do evsock.pump(0.1) end
            local next_line, count = client:lines(), 0
            assert(next_line() == "0123456789")
            local function at_the_end()
                -- The socket may have been collected before: an error, but no crash.
                local ok, line = pcall(next_line)
                assert(not ok or line == "0123456789")
                pcall(client.lines, client)
            end
            kept = {}
            for i = 1, 5 do
                if newproxy then
                    kept[i] = newproxy(true)
                    getmetatable(kept[i]).__gc = at_the_end
                else
                    kept[i] = setmetatable({}, { __gc = at_the_end })
                end
            end
            for _ in client:lines() do
                count = count + 1
                if count == 20 then break end
            end
            print "done"
        ]])
        helper.printed("done\n", text, status)
    end)
end)
