-- hs.socket: the queue of reads, over the wire.
-- dialects.md 6.5 > "reading"; 6.11 > "not sourced"

local helper = require "spec.helper"
local tools = require "spec.dialects.hammerspoon_tools"
local evsock = helper.evsock
local new, wait, raises = tools.new, tools.wait, tools.raises

after_each(tools.finish)

-- A read callback that appends to a log that is there already.
local function noting(log)
    return function(data)
        table.insert(log, { data })
    end
end

-- Before the others: once a logger was set somebody hears of errors, which is another way through.
for who, on_error in pairs { nobody = false, somebody = error } do
    describe("hs.socket: one more read like the last, from its callback, where " .. who
        .. " hears of errors,", function()
        before_each(function()
            evsock.on_error = on_error or nil
        end)
        after_each(function()
            evsock.on_error = nil
        end)

        -- Three reads wait, as many lines come at once, and `also` is called for each.
        local function three(also)
            local client, peer, log = tools.pair()
            for _ = 1, 3 do
                client:read("\n", 7)
            end
            log.also = function()
                also(client, #log, log)
            end
            peer:write("1\n2\n3\n")
            return client, log, peer
        end

        it("6.5 is queued behind them, whoever pumps meanwhile", function()
            local _, log, peer = three(function(client, n)
                client:read("\n", 7)
                if n % 2 == 0 then
                    evsock.pump(0)
                end
            end)
            tools.wait_for(log, 3)
            peer:write("4\n5\n6\n7\n")
            tools.wait_for(log, 7)
            helper.pump_for(0.02)
            local expected = {}
            for n = 1, 7 do
                expected[n] = { n .. "\n", 7 }
            end
            log.also = nil
            assert.same(expected, log)
        end)

        it("6.5 is refused once the callback is gone", function()
            local all = {}
            local client, log = three(function(this, n)
                if n == 2 then
                    this:setCallback(nil)
                end
                all[n] = this:read("\n", 7) or "nil"
            end)
            tools.wait_for(log, 2)
            helper.pump_for(0.02)
            assert.same({ client, "nil" }, all)
        end)

        it("6.7 has the timeout set since", function()
            local client, log, peer = three(function(this, n)
                if n == 2 then
                    this:setTimeout(0.05)
                end
                this:read("\n", 7)
            end)
            tools.wait_for(log, 3)
            helper.pump_for(0.1)
            assert.is_true(client:connected())
            -- The first of those that are left has none.
            peer:write("4\n")
            tools.wait_for(log, 4)
            tools.wait_disconnected(client)
        end)

        it("6.9 belongs to the new connection after connecting anew", function()
            local server = helper.server()
            local client, log = three(function(this, n)
                this:read("\n", 7)
                if n == 2 then
                    this:disconnect()
                    this:connect("127.0.0.1", server.port)
                    this:read("\n", 7)
                end
            end)
            helper.wait_accepted(server)
            server.sockets[1]:write("new\n")
            tools.wait_for(log, 3)
            assert.same({ "1\n", "2\n", "new\n" }, tools.data(log))
            assert.is_true(client:connected())
        end)

        it("6.8 is behind startTLS", function()
            local _, log, peer = three(function(this, n)
                if n == 1 then
                    this:read("\n", 7)
                    this:startTLS(false)
                    this:read("\n", 7)
                end
            end)
            tools.wait_for(log, 3)
            peer:write("4\n")
            tools.wait_for(log, 4)
            -- With nothing before it any more the handshake begins.
            wait(function()
                return peer.buffered > 0
            end, "the handshake")
        end)

        it("6.5 is not queued by another's call with the same words", function()
            local other, other_peer, other_log = tools.pair()
            local _, log = three(function(client)
                client:read("\n", 7)
                other:read("\n", 7)
            end)
            tools.wait_for(log, 3)
            other_peer:write("a\nb\nc\nd\n")
            tools.wait_for(other_log, 3)
            helper.pump_for(0.02)
            assert.same({ "a\n", "b\n", "c\n" }, tools.data(other_log))
            assert.equal(3, #log)
        end)
    end)
end

describe("hs.socket: reading", function()
    it("6.5 reads are a queue: each completed in order, one callback fn(data, tag) per read",
        function()
            local client, peer, log = tools.pair()
            client:read(3, 1)
            client:read("\n", 2)
            client:read("--", 3)
            client:read(1, 4)
            peer:write("abcline\nto--x")
            tools.wait_for(log, 4)
            assert.same({ { "abc", 1 }, { "line\n", 2 }, { "to--", 3 }, { "x", 4 } }, {
                log[1], log[2], log[3], log[4] })
            assert.is_nil(log[5])
        end)

    it("6.5 a number n >= 1: exactly n bytes", function()
        local client, peer, log = tools.pair()
        client:read(5)
        peer:write("abc")
        tools.assert_no_more(log, 0, 0.03)
        peer:write("defg")
        tools.wait_for(log, 1)
        assert.equal("abcde", log[1][1])
    end)

    it("6.5 a number may be a float with integral value; a string of digits is a delimiter",
        function()
            local client, peer, log = tools.pair()
            client:read(2.0)
            client:read("5")
            peer:write("ab45")
            tools.wait_for(log, 2)
            assert.same({ "ab", "45" }, tools.data(log))
        end)

    it("6.5 a string: everything up to and including it", function()
        local client, peer, log = tools.pair()
        client:read("\r\n"):read("\r\n"):read("\r\n")
        peer:write("one\r\n\r\ntwo\nthree\r")
        tools.wait_for(log, 2)
        peer:write("\n")
        tools.wait_for(log, 3)
        assert.same({ "one\r\n", "\r\n", "two\nthree\r\n" }, tools.data(log))
    end)

    it("6.5 n = 0 or an empty delimiter: silently ignored", function()
        local client, peer, log = tools.pair()
        assert.equal(client, client:read(0))
        assert.equal(client, client:read(""))
        client:read(1)
        peer:write("x")
        tools.assert_data(log, { "x" })
    end)

    it("6.5 queued before connect was called: silently dropped", function()
        local record = helper.server()
        local callback, log = tools.note()
        local client = new(callback)
        assert.equal(client, client:read(1, 1))
        client:connect("127.0.0.1", record.port)
        client:read(1, 2)
        helper.wait_accepted(record)
        record.sockets[1]:write("xy")
        tools.wait_for(log, 1)
        helper.pump_for(0.02)
        assert.same({ { "x", 2 } }, { log[1], log[2] })
    end)

    it("6.5 after connect but before the connection stands: kept and served once connected",
        function()
            local _, peer, log = tools.pair(nil, function(client)
                client:read("\n", 1)
                client:read("\n", 2)
            end)
            peer:write("a\nb\n")
            tools.wait_for(log, 2)
            assert.same({ { "a\n", 1 }, { "b\n", 2 } }, { log[1], log[2] })
        end)

    it("6.5 nothing is delivered without a read; bytes wait in the buffer", function()
        local client, peer, log = tools.pair()
        peer:write("waiting\n")
        tools.assert_no_more(log, 0, 0.03)
        client:read("\n")
        assert.equal(0, #log)
        tools.wait_for(log, 1)
        assert.equal("waiting\n", log[1][1])
    end)

    it("6.5 the callback used is the one set when the data is dispatched", function()
        local client, peer, log = tools.pair()
        client:read(1)
        client:read(1)
        local second, second_log = tools.note()
        log.also = function()
            client:setCallback(second)
        end
        peer:write("ab")
        tools.wait_for(second_log, 1)
        assert.same({ { "a" }, { "b" } }, { tools.data(log), tools.data(second_log) })
    end)

    it("6.5 with no callback then, the data is lost", function()
        local client, peer, log = tools.pair()
        client:read(2)
        local callback = helper.never("nothing")
        client:setCallback(callback)
        client:setCallback()
        peer:write("ab")
        helper.pump_for(0.05)
        client:setCallback(noting(log))
        client:read(1)
        peer:write("c")
        tools.wait_for(log, 1)
        assert.same({ "c" }, tools.data(log))
    end)

    it("6.5 bytes beyond a delimiter stay buffered for the next read", function()
        local client, peer, log = tools.pair()
        client:read("\n")
        peer:write("one\ntwo\nthree")
        tools.wait_for(log, 1)
        client:read("\n")
        client:read(5)
        tools.wait_for(log, 3)
        assert.same({ "one\n", "two\n", "three" }, tools.data(log))
    end)

    it("6.2 read returns nil if no read callback is set at that moment", function()
        tools.log_all()
        local client, peer, log = tools.pair()
        client:setCallback()
        assert.is_nil((client:read(1)))
        assert.equal("error", tools.logged[1][1])
        client:setCallback(noting(log))
        client:read(1)
        peer:write("xy")
        tools.assert_data(log, { "x" })
    end)

    it("1.1 a read that can be served at once is answered in a later pump, not in the call",
        function()
            local client, peer, log = tools.pair()
            peer:write("abc")
            helper.pump_for(0.02)
            for i = 1, 3 do
                client:read(1)
                assert.equal(i - 1, #log)
                tools.wait_for(log, i)
            end
        end)

    it("1.1 a callback that reads again and again does not keep pump from returning", function()
        local client, peer, log = tools.pair()
        local inside, most = 0, 0
        log.also = function()
            inside = inside + 1
            most = math.max(most, inside)
            client:read(1)
        end
        peer:write(("x"):rep(50))
        client:read(1)
        wait(function()
            inside = 0
            return #log == 50
        end, "fifty")
        assert.is_true(most < 50)
    end)

    it("6.11 a negative number raises, and one that is not whole", function()
        local client = tools.pair()
        raises("'delimiter' to 'read'", function() client:read(-1) end)
        raises("'delimiter' to 'read'", function() client:read(1.5) end)
        raises("'delimiter' to 'read'", function() client:read(0 / 0) end)
        raises("'delimiter' to 'read'", function() client:read(math.huge) end)
    end)

    it("6.11 what nobody reads stops the peer, and none of it is lost", function()
        local client, peer, log = tools.pair()
        local block = {}
        for i = 1, 2 ^ 15 do
            block[i] = ("%07d\n"):format(i)
        end
        block = table.concat(block)
        local blocks = 64
        for _ = 1, blocks do
            peer:write(block)
        end
        helper.pump_for(0.1)
        -- 16 MiB: more than the system takes, so some of it waits on the peer's side.
        assert.is_true(peer.pending > 0)
        for _ = 1, blocks do
            client:read(#block)
        end
        tools.wait_for(log, blocks)
        for i = 1, blocks do
            assert.is_true(log[i][1] == block)
        end
    end)

    it("6.11 a read may be longer than any buffer of ours", function()
        local client, peer, log = tools.pair()
        local size = 20 * 1024 * 1024
        client:read(size)
        peer:write(("x"):rep(size))
        tools.wait_for(log, 1)
        assert.equal(size, #log[1][1])
    end)

    it("1.7 strings are bytes: all 256 pass in both directions and in delimiters", function()
        local all = helper.all_bytes()
        local client, peer, log = tools.pair()
        client:write(all)
        assert.is_true(tools.received(peer, 256) == all)
        client:read("\0\255\0")
        client:read("\128")
        peer:write(all .. "\0\255\0" .. "\0\128")
        tools.wait_for(log, 2)
        assert.is_true(log[1][1] == all .. "\0\255\0")
        assert.is_true(log[2][1] == "\0\128")
    end)
end)

-- Many short streams over one connection, each cut into segments at random places, are read as a
-- list of reads says; a naive reader of the whole stream says what must come.
describe("hs.socket: cuts", function()
    local CASES, BATCH = math.ceil(2500 / helper.fewer), 250
    local seed = 0

    local function random(most)
        -- The same on every Lua: 48 bits of a linear congruence, within what a float holds.
        seed = (seed * 69069 + 12345) % 4294967296
        return math.floor(seed / 65536) % most + 1
    end

    local function oracle(stream, reads)
        local at, found = 1, {}
        for i, what in ipairs(reads) do
            local stop
            if type(what) == "number" then
                stop = at + what - 1
            else
                stop = select(2, stream:find(what, at, true))
            end
            found[i] = stream:sub(at, stop)
            at = stop + 1
        end
        assert(at == #stream + 1)
        return found
    end

    -- One case: a stream that the reads use up.
    local function case(make)
        local parts, reads = {}, {}
        for i = 1, random(3) do
            parts[i], reads[i] = make()
        end
        return table.concat(parts), reads
    end

    local function text(letters, length)
        local bytes = {}
        for i = 1, length do
            local place = random(#letters)
            bytes[i] = letters:sub(place, place)
        end
        return table.concat(bytes)
    end

    local function check(make)
        local client, peer = tools.pair()
        local log = {}
        client:setCallback(function(data)
            log[#log + 1] = { data }
        end)
        seed = 20240
        local expected, count = {}, 0
        for case_number = 1, CASES do
            local stream, reads = case(make)
            for _, found in ipairs(oracle(stream, reads)) do
                count = count + 1
                expected[count] = found
            end
            for _, what in ipairs(reads) do
                client:read(what, case_number)
            end
            local at = 1
            while at <= #stream do
                local length = random(4)
                peer:write(stream:sub(at, at + length - 1))
                at = at + length
                if random(3) == 1 then
                    -- Not before a segment of its own is out.
                    evsock.pump()
                end
            end
            if case_number % BATCH == 0 or case_number == CASES then
                tools.wait_for(log, count)
            end
        end
        assert.equal(count, #log)
        for i = 1, count do
            if log[i][1] ~= expected[i] then
                error(("read %d: %q, expected %q"):format(i, log[i][1], expected[i]))
            end
        end
    end

    it("6.5 read(n) does not depend on how the stream was cut into segments", function()
        check(function()
            local length = random(8)
            return text("ab\n\0", length), length
        end)
    end)

    it("6.5 read(delimiter) does not depend on how the stream was cut into segments", function()
        local delimiters = { "\n", "\r\n", "aab", "\0\0", "--" }
        check(function()
            local delimiter = delimiters[random(#delimiters)]
            local before = text("a\r-\0b", random(6) - 1)
            local whole = before .. delimiter
            -- Up to the first one there is.
            return whole:sub(1, (select(2, whole:find(delimiter, 1, true)))), delimiter
        end)
    end)

    it("6.5 reads of both kinds in turn do not, either", function()
        check(function()
            if random(2) == 1 then
                local length = random(5)
                return text("ab\r\n", length), length
            end
            local whole = text("ab\r", random(5) - 1) .. "\r\n"
            return whole:sub(1, (select(2, whole:find("\r\n", 1, true)))), "\r\n"
        end)
    end)
end)
