-- `sock:write_some`: hands over what the system takes, queues nothing, and says how far it came.

local helper = require "spec.helper"
local kit = require "spec.tls_kit"

local evsock = helper.evsock
local expect, never, pump_until = helper.expect, helper.never, helper.pump_until

-- No two places of it look the same for long, so that what is lost or doubled shows.
local TEXT
do
    local lines = {}
    for number = 1, 2 ^ 17 do
        lines[number] = ("%031d\n"):format(number)
    end
    TEXT = table.concat(lines)
end

-- Reads all that comes until `count` bytes are there; what they are.
local function read_all(sock, count)
    local parts, total = {}, 0
    pump_until(function()
        local data = sock:read()
        while data do
            parts[#parts + 1] = data
            total = total + #data
            data = sock:read()
        end
        return total >= count
    end, 20, count .. " bytes")
    return table.concat(parts)
end

-- Offers the text again and again until the system takes no more of it; how many bytes it took.
local function fill(sock)
    local total = 0
    while true do
        local last = assert(sock:write_some(TEXT))
        total = total + last
        if last < #TEXT then
            return total
        end
    end
end

-- A pair of which the peer reads little.
local function slow_pair(options)
    return helper.pair(options, { read_limit = 65536 })
end

describe("write_some", function()
    -- LuaJIT compiles the `sub` of texts to compare with to another one: its own fault.
    setup(helper.traces_off)
    teardown(helper.traces_on)
    after_each(helper.finish)

    it("hands over all of a short text and returns its length", function()
        local client, peer = helper.pair()
        assert.equal(5, client:write_some("hello"))
        assert.equal(0, client.pending)
        assert.equal("hello", read_all(peer, 5))
        assert.equal(2, client:write_some(42))
        assert.equal("42", read_all(peer, 2))
    end)

    it("takes its range as string.sub does, and an empty one hands over nothing", function()
        local client, peer = helper.pair()
        local data = "abcdef"
        local places = { 1, 2, 6, 7, 9, 0, -1, -3, -6, -9 }
        for _, i in ipairs(places) do
            for _, j in ipairs(places) do
                local part = data:sub(i, j)
                local first = math.max(i < 0 and #data + 1 + i or i, 1)
                assert.equal(first - 1 + #part, client:write_some(data, i, j))
                assert.equal(part, part == "" and "" or read_all(peer, #part))
            end
            local rest = data:sub(i)
            client:write_some(data, i)
            assert.equal(rest, rest == "" and "" or read_all(peer, #rest))
        end
        assert.equal(0, client:write_some(""))
        helper.pump_for(0.05)
        assert.equal(0, peer.buffered)
    end)

    it("queues nothing when the peer does not read", function()
        local client = slow_pair()
        fill(client)
        assert.equal(0, client.pending)
        pump_until(function()
            -- The peer's side takes a little before it is full.
            return client:write_some(TEXT, 5) == 4
        end)
        assert.equal(0, client.pending)
    end)

    it("brings every byte over once, with waits for room between", function()
        local client, peer = slow_pair()
        local calls, first = 0, 1
        local task = helper.spawn(function()
            while first <= #TEXT do
                local last = assert(client:write_some(TEXT, first))
                assert(last >= first - 1 and last <= #TEXT)
                calls, first = calls + 1, last + 1
                if first <= #TEXT then
                    assert(client:wait("write", 10 * helper.slow))
                end
            end
        end)
        -- More than the buffers of the system take.
        local other = helper.spawn(function()
            assert(task:join())
            assert(client:send(TEXT, 20 * helper.slow))
        end)
        local got = read_all(peer, 2 * #TEXT)
        helper.finished(task, other)
        assert.is_true(got == TEXT .. TEXT)
        assert.is_true(calls < 100000)
    end)

    it("takes nothing while something waits that was written before", function()
        local client, peer = slow_pair()
        local count = fill(client)
        repeat
            count = count + #TEXT
            client:write(TEXT)
        until client.pending > 0
        assert.equal(0, client:write_some("late"))
        assert.equal(2, client:write_some("late", 3))
        helper.spawn(function()
            assert(client:wait("write"))
            assert.equal(4, client:write_some("late"))
        end)
        local got = read_all(peer, count + 4)
        assert.equal(TEXT:sub(-6) .. "late", got:sub(-10))
    end)

    it("is followed by on_drain once, when it took less than all and there is room", function()
        local client, peer = slow_pair()
        local drained = false
        client.on_drain = expect(function() drained = true end, 1)
        local count = fill(client)
        helper.pump_for(0.1)
        assert.is_false(drained)
        read_all(peer, count)
        pump_until(function() return drained end)
        assert.equal(1, client:write_some("x"))
        read_all(peer, 1)
        helper.pump_for(0.05)
    end)

    it("is followed by no on_drain when it took all", function()
        local client, peer = helper.pair()
        client.on_drain = never("on_drain")
        client:write_some("all of it")
        read_all(peer, 9)
        helper.pump_for(0.05)
    end)

    it("leaves a script that waits for room asleep", function()
        local client = slow_pair()
        fill(client)
        helper.pump_for(0.3)
        local pumps, deadline = 0, evsock.now() + 0.3
        repeat
            evsock.pump(math.max(0, deadline - evsock.now()))
            pumps = pumps + 1
        until evsock.now() >= deadline
        assert.is_true(pumps < 20, pumps .. " pumps ended early")
    end)

    for _, event in ipairs { "write", "drain" } do
        it("can be tried again after wait(\"" .. event .. "\"), in a task and elsewhere", function()
            local client, peer = slow_pair()
            local count = fill(client)
            local ok, message, code = client:wait(event, 0.05)
            assert.is_nil(ok)
            assert.equal(("wait 127.0.0.1:%d: timed out"):format(client.port), message)
            assert.equal("ETIMEDOUT", code)
            local task = helper.spawn(function()
                assert.is_true(client:wait(event))
            end)
            helper.pump_for(0.05)
            assert.is_false(task.done)
            read_all(peer, count)
            helper.finished(task)
            assert.is_true(client:wait(event, 0))
            assert.equal(1, client:write_some("x"))
        end)
    end
end)

describe("write_some where nothing can be written", function()
    after_each(helper.finish)

    it("takes nothing while it connects, and wait(\"write\") ends with the connection", function()
        local record = helper.server()
        local client = helper.connect(record.port)
        local last = client:write_some("early")
        assert.equal("connecting", client.state)
        -- The thread may be ahead of what the script has seen.
        assert.is_true(last == 0 or last == 5)
        assert.is_true(client:wait("write", 5 * helper.slow))
        assert.equal(5, client:write_some("there"))
        helper.wait_arrived(record, last + 5)
    end)

    it("lets wait(\"write\") say why the attempt has failed", function()
        local port = helper.free_port()
        local ok, message, code = helper.connect(port):wait("write", 5 * helper.slow)
        assert.is_nil(ok)
        assert.equal(("connect 127.0.0.1:%d: connection refused"):format(port), message)
        assert.equal("ECONNREFUSED", code)
    end)

    it("is refused on an idle, a closed and a shut socket", function()
        local client = helper.pair()
        local function refused(sock, text)
            local last, message, code = sock:write_some("x")
            assert.is_nil(last)
            assert.equal(text, message)
            assert.equal("ECLOSED", code)
        end
        refused(evsock.socket(), "write_some: the socket is not connected")
        client:shutdown()
        refused(client, "write_some: the socket is closed for writing")
        client:close()
        helper.wait_state(client, "closed")
        refused(client, "write_some: the socket is not connected")
        local ok, _, code = client:wait("write")
        assert.is_nil(ok)
        assert.equal("ECLOSED", code)
    end)

    it("says that the connection is gone, where write would not tell before on_close", function()
        local client, peer = helper.pair()
        peer:abort()
        local last, message, code
        pump_until(function()
            -- Without a pump in between: the script has not heard of the end.
            helper.compute(0.02)
            last, message, code = client:write_some("x")
            return last == nil
        end)
        assert.is_string(message)
        assert.is_true(({ ECONNRESET = 1, EPIPE = 1, ECLOSED = 1 })[code] ~= nil, code)
        helper.wait_state(client, "closed")
    end)

    it("refuses what is no text and no place", function()
        local client = helper.pair()
        helper.misuse(function() client:write_some() end,
            "bad argument 'data' to 'write_some' (string expected, got nil)")
        helper.misuse(function() client:write_some("x", {}) end,
            "bad argument 'i' to 'write_some' (integer expected, got table)")
        helper.misuse(function() client:write_some("x", 1, 1.5) end,
            "bad argument 'j' to 'write_some' (integer expected, got number)")
    end)
end)

describe("write_some on a secured connection", function()
    local certificates = kit.certificates_for(setup, teardown)
    after_each(helper.finish)

    it("takes what the session takes, of which no more than one record waits", function()
        local client, peer = kit.pair(certificates, nil, { read_limit = 65536 })
        local first, most, total = 1, 0, 8 * 1024 * 1024
        local long = TEXT .. TEXT
        local task = helper.spawn(function()
            while first <= total do
                local last = assert(client:write_some(long, first))
                most, first = math.max(most, client.pending), last + 1
                if first <= total then
                    assert(client:wait("write", 20 * helper.slow))
                end
            end
        end)
        local got = read_all(peer, total)
        helper.finished(task)
        assert.is_true(got == long:sub(1, total))
        assert.is_true(most > 0 and most <= 17 * 1024, most .. " bytes waited")
    end)
end)
