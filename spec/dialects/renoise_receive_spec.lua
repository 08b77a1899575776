-- Renoise, `receive` over the wire.
-- dialects.md 5.4 > "*line", "*all" and numbers > "modes"; time > "timeouts"; the end > "the end";
-- what else happens meanwhile > "blocking"; streams cut at random > "cuts"

local helper = require "spec.helper"
local tools = require "spec.dialects.renoise_tools"
local evsock = helper.evsock

local client_of, busy_client = tools.client, tools.busy_client

-- A peer that has sent `text` already.
local function filled(text)
    local client, peer = client_of()
    assert.is_true(peer:write(text))
    return client, peer
end

local function ended(text)
    local client, peer = filled(text)
    peer:close()
    return client, peer
end

-- A client whose peer is gone; nothing was received or sent since.
local function ended_unnoticed()
    local client, peer = ended("")
    helper.wait_state(peer, "closed")
    helper.pump_for(0.02)
    return client
end

after_each(helper.finish)

describe("Renoise receive: modes", function()
    it("5.4 *line gives one line without its newline; the rest stays buffered", function()
        local client = filled("one\ntwo\nthree")
        assert.equal("one", client:receive("*line", 1000))
        assert.equal("two", client:receive("*line", 1000))
        assert.equal("three", client:receive("*all", 1000))
    end)

    it("5.4 *line: a newline is LF, CR LF or CR, one each", function()
        local client = filled("a\nb\r\nc\rd\n\ne\r\n\r\nf\r\rg\n\rh\r\n")
        for _, line in ipairs({ "a", "b", "c", "d", "", "e", "", "f", "", "g", "", "h" }) do
            assert.equal(line, client:receive("*line", 1000))
        end
        local data, problem = client:receive("*line", 0)
        assert.is_nil(data)
        assert.equal("timeout", problem)
    end)

    it("5.4 *line: an empty line gives ''", function()
        local client = filled("HTTP/1.0 200 OK\r\nA: b\r\n\r\nbody")
        local lines = {}
        repeat
            lines[#lines + 1] = assert(client:receive("*line", 1000))
        until lines[#lines] == ""
        assert.same({ "HTTP/1.0 200 OK", "A: b", "" }, lines)
        assert.equal("body", client:receive("*all", 1000))
    end)

    it("5.4 after a line ended by CR at the end of what has arrived, a LF belongs to it", function()
        local client, peer = filled("one\r")
        assert.equal("one", client:receive("*line", 1000))
        peer:write("\ntwo\r")
        assert.equal("two", client:receive("*line", 1000))
        -- Whatever is received next.
        peer:write("\nabcdef\r")
        assert.equal("abc", client:receive(3, 1000))
        assert.equal("def", client:receive("*line", 1000))
        peer:write("\n")
        assert.equal("timeout", select(2, client:receive("*all", 20)))
        peer:write("rest\r")
        assert.equal("rest\r", client:receive("*all", 1000))
        -- A CR that ended no line claims no LF.
        peer:write("\nx\n")
        assert.equal("", client:receive("*line", 1000))
        assert.equal("x", client:receive("*line", 1000))
    end)

    it("5.4 *line: bytes other than CR and LF are data, 0 included", function()
        local client = filled("\0\255\t\n")
        assert.equal("\0\255\t", client:receive("*line", 1000))
    end)

    it("5.4 *all gives everything buffered or pending now, without waiting for more", function()
        local client, peer = filled("a line\nhalf")
        assert.equal("a line", client:receive("*line", 1000))
        for _, part in ipairs({ " and", " more" }) do
            peer:write(part)
        end
        local took, data = tools.timed(client.receive, client, "*all", 5000)
        assert.equal("half and more", data)
        assert.is_true(took < 2)
    end)

    it("5.4 *all waits for the first bytes when there are none", function()
        local client = busy_client([[later(0.03, function() sock:write("late") end)]])
        assert.equal("late", client:receive("*all", 5000 * helper.slow))
    end)

    it("5.4 a number n gives exactly n bytes", function()
        local client = filled("abcdefgh")
        assert.equal("abc", client:receive(3, 1000))
        assert.equal("d", client:receive(1, 1000))
        assert.equal("ef", client:receive(2.0, 1000))
        assert.equal("timeout", select(2, client:receive(3, 0)))
        assert.equal("gh", client:receive(2, 1000))
    end)

    it("5.4 a number n beyond every buffer gives exactly n bytes", function()
        local size = 20 * 1024 * 1024
        local client, peer = client_of({ write_limit = 2 * size })
        peer:write(("0123456789abcdef"):rep(size / 16) .. "tail")
        local data = client:receive(size, 5000 * helper.slow)
        assert.equal(size, #data)
        assert.is_true(data == ("0123456789abcdef"):rep(size / 16))
        assert.equal("tail", client:receive(4, 1000))
    end)

    it("5.4 '*l' and '*a' are short forms", function()
        local client = filled("one\ntwo")
        assert.equal("one", client:receive("*l", 1000))
        assert.equal("two", client:receive("*a", 1000))
    end)

    it("5.4 anything else raises: '*nothing', 0, a table", function()
        local client = filled("x")
        local text = "bad argument 'mode' to 'receive' (\"*line\", \"*all\" or a number of bytes "
            .. "expected, got "
        helper.misuse(function() client:receive("*nothing", 0) end, text .. '"*nothing")')
        helper.misuse(function() client:receive(0, 0) end, text .. "0)")
        helper.misuse(function() client:receive(-1, 0) end, text .. "-1)")
        helper.misuse(function() client:receive(1.5, 0) end, text .. "1.5)")
        helper.misuse(function() client:receive(math.huge, 0) end, text)
        helper.misuse(function() client:receive({}, 0) end, text .. "table")
        helper.misuse(function() client:receive(nil, 0) end, text .. "nil)")
        helper.misuse(function() client:receive("line", 0) end, text)
        assert.is_true(client.is_open)
        assert.equal("x", client:receive("*all", 0))
    end)
end)

describe("Renoise receive: timeouts", function()
    it("5.4 the timeout is milliseconds: nil, 'timeout' after them, and the socket stays open",
        function()
            local client = client_of()
            for _, mode in ipairs({ "*line", "*all", 5 }) do
                local took, data, problem = tools.timed(client.receive, client, mode, 40)
                assert.is_nil(data)
                assert.equal("timeout", problem)
                assert.is_true(took >= 0.04 and took < 0.04 + 0.5 * helper.slow, "took " .. took)
                assert.is_true(client.is_open)
            end
        end)

    it("5.4 a timeout of 0 looks once and never waits", function()
        local client, peer = client_of()
        for _, mode in ipairs({ "*line", "*all", 5 }) do
            local took, data, problem = tools.timed(client.receive, client, mode, 0)
            assert.is_nil(data)
            assert.equal("timeout", problem)
            assert.is_true(took < 0.5 * helper.slow)
            assert.is_true(client.is_open)
        end
        for i = 1, math.ceil(100 / helper.fewer) do
            peer:write("now " .. i)
            assert.equal("now " .. i, client:receive("*all", 0))
            peer:write("line " .. i .. "\n")
            assert.equal("line " .. i, client:receive("*line", 0))
            peer:write(("%05d"):format(i))
            assert.equal(("%05d"):format(i), client:receive(5, 0))
        end
    end)

    it("5.4 a timeout during a partial line: nil, 'timeout', and the part stays", function()
        local client, peer = filled("half a ")
        assert.is_nil((client:receive("*line", 20)))
        assert.equal("timeout", select(2, client:receive("*line", 20)))
        peer:write("line\nrest")
        assert.equal("half a line", client:receive("*line", 1000))
        assert.equal("rest", client:receive("*all", 1000))
    end)

    it("5.4 a timeout during a partial block: nil, 'timeout', and the part stays", function()
        local client, peer = filled("half")
        assert.equal("timeout", select(2, client:receive(8, 20)))
        peer:write("done")
        assert.equal("halfdone", client:receive(8, 1000))
        peer:write("again")
        assert.equal("timeout", select(2, client:receive(8, 20)))
        assert.equal("again", client:receive("*all", 0))
    end)

    it("5.4 for n bytes the timeout applies anew to every piece", function()
        -- The peer is never slow: more than this is not needed.
        local pause = 0.05 * math.min(helper.slow, 5)
        local client = busy_client(([[
            for i = 1, 9 do
                later(i * %g, function() sock:write("piece" .. i) end)
            end
        ]]):format(pause))
        local took, data = tools.timed(client.receive, client, 54, 7 * pause * 1000)
        assert.equal("piece1piece2piece3piece4piece5piece6piece7piece8piece9", data)
        assert.is_true(took > 7 * pause, "took " .. took)
    end)

    it("5.4 for a line the timeout applies once", function()
        local pause = 0.05 * math.min(helper.slow, 5)
        local client = busy_client(([[
            for i = 1, 12 do
                later(i * %g, function() sock:write("piece") end)
            end
            later(13 * %g, function() sock:write("\n") end)
        ]]):format(pause, pause))
        local took, data, problem = tools.timed(client.receive, client, "*line", 4.5 * pause * 1000)
        assert.is_nil(data)
        assert.equal("timeout", problem)
        assert.is_true(took >= 4.5 * pause and took < 11 * pause, "took " .. took)
        assert.equal(("piece"):rep(12), client:receive("*line", 20000))
    end)

    it("5.4 a receive ends as soon as there is what it asks for", function()
        local client = busy_client([[
            later(0.02, function() sock:write("a line\n") end)
        ]])
        local took, data = tools.timed(client.receive, client, "*line", 15000)
        assert.equal("a line", data)
        assert.is_true(took < 5)
    end)
end)

describe("Renoise receive: the end", function()
    it("5.4 peer closed and nothing left: nil, 'disconnected', the socket is closed", function()
        for _, mode in ipairs({ "*line", "*all", 5 }) do
            local client = ended("")
            local took, data, problem = tools.timed(client.receive, client, mode, 5000)
            assert.is_nil(data)
            assert.equal("disconnected", problem)
            assert.is_true(took < 2)
            assert.is_false(client.is_open)
            helper.misuse(function() client:receive(mode, 0) end, "the socket is closed")
            helper.misuse(function() client:send("x") end, "the socket is closed")
            helper.misuse(function() return client.peer_port end, "the socket is closed")
        end
    end)

    it("5.4 peer closed with data left: the data is served first", function()
        local client = ended("one\ntwo\nthree")
        assert.equal("one", client:receive("*line", 1000))
        assert.is_true(client.is_open)
        assert.equal("tw", client:receive(2, 1000))
        assert.equal("o\nthree", client:receive("*all", 1000))
        assert.is_true(client.is_open)
        local data, problem = client:receive("*all", 1000)
        assert.is_nil(data)
        assert.equal("disconnected", problem)
        assert.is_false(client.is_open)
    end)

    it("5.4 a last line without newline is returned as it is, then 'disconnected'", function()
        local client = ended("whole\nlast")
        assert.equal("whole", client:receive("*line", 1000))
        assert.equal("last", client:receive("*line", 1000))
        assert.equal("disconnected", select(2, client:receive("*line", 1000)))
    end)

    it("5.4 fewer than n bytes are returned as they are, then 'disconnected'", function()
        local client = ended("abcdefg")
        assert.equal("abcde", client:receive(5, 1000))
        assert.equal("fg", client:receive(5, 1000))
        assert.equal("disconnected", select(2, client:receive(5, 1000)))
    end)

    it("5.4 the end that comes while a call waits ends it", function()
        local client = busy_client([[
            sock:write("part")
            later(0.05, function() sock:close() end)
        ]])
        assert.equal("part", client:receive("*line", 15000))
        assert.equal("disconnected", select(2, client:receive("*line", 15000)))
        assert.is_false(client.is_open)
    end)

    it("5.4 a peer that breaks the connection off: 'disconnected', too", function()
        local client, peer = client_of()
        peer:abort()
        assert.equal("disconnected", select(2, client:receive("*all", 5000)))
        assert.is_false(client.is_open)
    end)

    it("5.4 a line longer than the bound of memory ends the connection with a text", function()
        local size = 18 * 1024 * 1024
        local client, peer = client_of({ write_limit = 2 * size })
        peer:write(("x"):rep(size))
        local got, data, problem = 0, "", nil
        while data do
            got = got + #data
            data, problem = client:receive("*line", 5000 * helper.slow)
        end
        assert.is_false(client.is_open)
        assert.not_equal("timeout", problem)
        assert.is_true(got < size)
    end)

    it("5.4 is_open is sequenced: true after the peer closed until a receive finds out", function()
        local client = ended_unnoticed()
        assert.is_true(client.is_open)
        assert.equal("disconnected", select(2, client:receive("*line", 0)))
        assert.is_false(client.is_open)
    end)

    it("5.4 is_open is true after the peer closed until a send finds out", function()
        local client = ended_unnoticed()
        assert.is_true(client.is_open)
        helper.pump_until(function()
            return not client:send("x")
        end)
        assert.is_false(client.is_open)
    end)

    it("5.4 there is no reconnecting: a new client is made instead", function()
        local client, peer, server = client_of()
        peer:close()
        assert.equal("disconnected", select(2, client:receive("*line", 1000)))
        assert.is_nil(client.connect)
        local again = helper.track(assert(tools.Socket.create_client("127.0.0.1", server.port)))
        assert.is_true(again:send("back"))
    end)
end)

describe("Renoise receive: blocking", function()
    it("5.4 other events wait in the queue meanwhile, in order, and none is lost", function()
        local order, peers = {}, {}
        for i = 1, 4 do
            local other
            other, peers[i] = helper.pair()
            other.on_data = function(sock)
                order[#order + 1] = sock:read()
            end
        end
        local client = client_of()
        for _, i in ipairs({ 3, 1, 4, 2 }) do
            peers[i]:write("from " .. i)
            tools.compute(0.005)
            assert.is_nil((client:receive("*all", 5)))
        end
        local timer = helper.track(evsock.after(0, helper.expect(1)))
        assert.is_nil((client:receive("*line", 20)))
        assert.is_true(timer.active)
        assert.same({}, order)
        evsock.pump()
        assert.same({ "from 3", "from 1", "from 4", "from 2" }, order)
    end)

    it("5.4 it blocks the calling thread inside of a task, too", function()
        local client = client_of()
        local ran = false
        local task = helper.track(evsock.spawn(function()
            client:receive("*line", 30)
            return ran
        end))
        helper.track(evsock.after(0.005, function()
            ran = true
        end))
        local ok, seen = task:join(5)
        assert.is_true(ok)
        assert.is_false(seen)
    end)

    it("5.4 it may be called inside of a handler; the rest of the batch comes after it", function()
        local client, peer = client_of()
        local order = {}
        helper.track(evsock.after(0, function()
            order[#order + 1] = "first"
            peer:write("answer\n")
            order[#order + 1] = client:receive("*line", 1000)
        end))
        helper.track(evsock.after(0, function()
            order[#order + 1] = "second"
        end))
        helper.pump_until(function()
            return order[3]
        end)
        assert.same({ "first", "answer", "second" }, order)
    end)

    it("5.4 an event of this socket that waits behind others is found", function()
        local client, peer = client_of()
        local inside
        helper.track(evsock.after(0, function()
            inside = client:receive("*all", 0)
        end))
        peer:write("early")
        tools.compute(0.02)
        helper.pump_until(function()
            return inside
        end)
        assert.equal("early", inside)
    end)
end)

describe("Renoise receive: cuts", function()
    local CASES = math.ceil(2000 / helper.fewer)
    local random = helper.dice(20260727)

    local alphabet = { "\r", "\n", "\r\n", "a", "b", "\0", "\n\r", "\r\r", "long piece", "" }

    local function text_of(pieces)
        local parts = {}
        for i = 1, pieces do
            parts[i] = alphabet[random(#alphabet)]
        end
        return table.concat(parts)
    end

    -- Every case is a text, sent cut at random; after each piece `step(client)` receives what it
    -- can without waiting. At the end the peer closes, and `step` gets what is left.
    local function run(step)
        local client, peer = client_of()
        local sent = {}
        for _ = 1, CASES do
            local text = text_of(random(8))
            sent[#sent + 1] = text
            local from = 1
            while from <= #text do
                local to = math.min(#text, from + random(5) - 1)
                peer:write(text:sub(from, to))
                from = to + 1
                step(client, 0)
            end
        end
        peer:write("\r\nend")
        peer:close()
        while client.is_open do
            step(client, 1000)
        end
        return table.concat(sent) .. "\r\nend"
    end

    -- The naive oracle: a line of `text` from `at`, and where the next one begins.
    local function line_at(text, at)
        local stop = text:find("[\r\n]", at)
        if not stop then
            return text:sub(at), #text + 1
        end
        local after = text:sub(stop, stop + 1) == "\r\n" and stop + 2 or stop + 1
        return text:sub(at, stop - 1), after
    end

    it("5.4 the lines do not depend on how the stream was cut", function()
        local found = {}
        local text = run(function(client, timeout)
            local line = client:receive("*line", timeout)
            while line do
                found[#found + 1] = line
                line = client:receive("*line", timeout)
            end
        end)
        local at, expected = 1, {}
        while at <= #text do
            expected[#expected + 1], at = line_at(text, at)
        end
        assert.is_true(#expected > CASES)
        assert.equal(#expected, #found)
        assert.is_true(table.concat(expected, "|") == table.concat(found, "|"))
    end)

    it("5.4 the blocks do not depend on how the stream was cut", function()
        local found, wanted = {}, 1
        local text = run(function(client, timeout)
            local block = client:receive(wanted, timeout)
            while block do
                found[#found + 1] = { wanted, block }
                wanted = random(9)
                block = client:receive(wanted, timeout)
            end
        end)
        local at = 1
        for _, pair in ipairs(found) do
            assert(text:sub(at, at + pair[1] - 1) == pair[2], "another block at byte " .. at)
            at = at + #pair[2]
        end
        assert.equal(#text + 1, at)
        assert.is_true(#found > CASES)
    end)

    it("5.4 *all loses, doubles and reorders nothing however the stream was cut", function()
        local found = {}
        local text = run(function(client, timeout)
            found[#found + 1] = client:receive("*all", timeout)
        end)
        assert.is_true(table.concat(found) == text)
        assert.is_true(#found > CASES)
    end)

    it("5.4 lines and blocks in turns do not depend on how the stream was cut", function()
        local found, mode = {}, "*line"
        local text = run(function(client, timeout)
            local data = client:receive(mode, timeout)
            while data do
                found[#found + 1] = { mode, data }
                local number = random(7)
                mode = number > 3 and "*line" or number
                data = client:receive(mode, timeout)
            end
        end)
        local at = 1
        for _, pair in ipairs(found) do
            local expected
            if pair[1] == "*line" then
                expected, at = line_at(text, at)
            else
                expected = text:sub(at, at + pair[1] - 1)
                at = at + #expected
            end
            assert(expected == pair[2], "another piece before byte " .. at)
        end
        assert.equal(#text + 1, at)
        assert.is_true(#found > CASES)
    end)
end)
