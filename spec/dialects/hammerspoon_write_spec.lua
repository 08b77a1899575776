-- hs.socket: the queue of writes, and timeouts, over the wire.
-- dialects.md 6.6 > "writing"; 6.7 > "timeouts"

local helper = require "spec.helper"
local tools = require "spec.dialects.hammerspoon_tools"
local evsock = helper.evsock
local new, wait = tools.new, tools.wait

after_each(tools.finish)

-- More than the system takes while the peer reads nothing.
local BLOCK = ("x"):rep(1024 * 1024)
local MANY = 16

local function stall(client, fn)
    for i = 1, MANY do
        client:write(BLOCK, i, fn)
    end
end

-- Has the peer take what comes, and what has come.
local function drink(peer)
    peer.on_data = function(sock)
        sock:read()
    end
    peer:read()
end

describe("hs.socket: writing", function()
    it("6.6 writes are a queue: order kept, never mixed", function()
        local client, peer = tools.pair()
        local expected = {}
        for i = 1, 200 do
            expected[i] = ("%d:%s;"):format(i, ("y"):rep(i % 7))
            client:write(expected[i])
        end
        expected = table.concat(expected)
        assert.equal(expected, tools.received(peer, #expected))
    end)

    it("6.6 fn(tag) is called once, after the write is done, with that write's tag", function()
        local client, peer = tools.pair()
        local tags = {}
        assert.equal(client, client:write("x", 7, function(...)
            tags[#tags + 1] = { n = select("#", ...), ... }
        end))
        assert.equal(0, #tags)
        tools.wait_for(tags, 1)
        tools.received(peer, 1)
        client:write("y", 8)
        helper.pump_for(0.02)
        assert.same({ { n = 1, 7 } }, tags)
    end)

    it("6.2 write(text, fn) is allowed", function()
        local client, tag = tools.pair(), nil
        client:write("x", function(given)
            tag = given
        end)
        wait(function()
            return tag
        end)
        assert.equal(-1, tag)
    end)

    it("6.6 each write has its own tag and fn: a second one does not replace the first",
        function()
            local client = tools.pair()
            local log = {}
            local function note(name)
                return function(tag)
                    log[#log + 1] = name .. tag
                end
            end
            client:write("a", 1, note("one"))
            client:write("b", 2)
            client:write("c", 3, note("three"))
            tools.wait_for(log, 2)
            assert.same({ "one1", "three3" }, log)
        end)

    it("6.6 a write is done when it has left, not when the call returns", function()
        local client, peer = tools.pair({ read_limit = 1024 })
        local log = {}
        stall(client, function(tag)
            log[#log + 1] = tag
        end)
        helper.pump_for(0.05)
        local early = #log
        assert.is_true(early < MANY, "all have left although nobody reads")
        drink(peer)
        tools.wait_for(log, MANY)
        for i = 1, MANY do
            assert.equal(i, log[i])
        end
    end)

    it("6.6 empty text: its fn is called all the same, in its turn", function()
        local client, peer = tools.pair()
        local log = {}
        local function note(tag)
            log[#log + 1] = tag
        end
        client:write("a", 1, note)
        client:write("", 2, note)
        client:write("b", 3, note)
        tools.wait_for(log, 3)
        assert.same({ 1, 2, 3 }, log)
        assert.equal("ab", tools.received(peer, 2))
    end)

    it("6.6 before connect was called: silently dropped", function()
        local record = helper.server()
        local client = new()
        assert.equal(client, client:write("lost", helper.never("fn")))
        assert.equal(client, client:write("", helper.never("fn")))
        client:connect("127.0.0.1", record.port)
        client:write("kept")
        assert.equal("kept", tools.received(helper.wait_accepted(record), 4))
    end)

    it("6.6 after the end: silently dropped", function()
        local client, peer = tools.pair()
        peer:close()
        tools.wait_disconnected(client)
        helper.pump_for(0.02)
        assert.equal(client, client:write("lost", helper.never("fn")))
        client:disconnect()
        assert.equal(client, client:write("lost", helper.never("fn")))
        helper.pump_for(0.02)
    end)

    it("6.6 while connecting: queued", function()
        local log = {}
        local _, peer = tools.pair(nil, function(client)
            client:write("early ", 1, function(tag)
                log[#log + 1] = tag
            end)
            client:write("bird", 2, function(tag)
                log[#log + 1] = tag
            end)
        end)
        assert.equal("early bird", tools.received(peer, 10))
        tools.wait_for(log, 2)
        assert.same({ 1, 2 }, log)
    end)

    it("6.6 connect's fn comes before those of writes queued earlier", function()
        local record, log = helper.server(), {}
        local client = new()
        client:connect("127.0.0.1", record.port, function()
            log[#log + 1] = "connect"
        end)
        client:write("x", function()
            log[#log + 1] = "write"
        end)
        tools.wait_for(log, 2)
        assert.same({ "connect", "write" }, log)
    end)
end)

describe("hs.socket: timeouts", function()
    -- How long it takes until the connection is over, by itself.
    -- How long it took until the socket was disconnected, from the moment `begin` or from now on.
    local function wait_over(client, begin)
        begin = begin or evsock.now()
        tools.wait_disconnected(client)
        return evsock.now() - begin
    end

    it("6.7 negative: none, the default", function()
        local client, peer, log = tools.pair()
        client:read(1)
        helper.pump_for(0.1)
        assert.is_true(client:connected())
        client:setTimeout(-5):read(1)
        helper.pump_for(0.05)
        peer:write("xy")
        tools.wait_for(log, 2)
    end)

    it("6.7 expiry of a read disconnects the socket, silently, dropping everything queued",
        function()
            local client, peer, log = tools.pair()
            client:setTimeout(0.1)
            local begin = evsock.now()
            client:read(5)
            client:read(1)
            peer:write("abcd")
            local took = wait_over(client, begin)
            assert.is_true(took >= 0.09 and took < 0.1 + helper.slow, "took " .. took)
            assert.is_true(client:info().isDisconnected)
            helper.wait_state(peer, "closed")
            assert.equal(0, #log)
        end)

    it("6.7 expiry of a write disconnects the socket, silently, dropping everything queued",
        function()
            local client = tools.pair({ read_limit = 1024 })
            client:setTimeout(0.1)
            local begin = evsock.now()
            client:write(BLOCK:rep(MANY), 1, helper.never("a write that never left"))
            client:write("more", 2, helper.never("a write behind it"))
            local took = wait_over(client, begin)
            assert.is_true(took >= 0.09 and took < 0.1 + helper.slow, "took " .. took)
            helper.pump_for(0.02)
        end)

    it("6.7 the value is taken when the operation is queued", function()
        local client, peer, log = tools.pair()
        client:read(1)
        client:setTimeout(0.05)
        helper.pump_for(0.1)
        assert.is_true(client:connected())
        client:read(1)
        client:setTimeout(-1)
        peer:write("x")
        tools.wait_for(log, 1)
        wait_over(client)
    end)

    it("6.7 setTimeout is for operations begun from now on", function()
        local client = tools.pair()
        client:setTimeout(0.05):read(1)
        client:setTimeout(60)
        wait_over(client)
    end)

    it("6.7 the clock starts when the operation reaches the head of its queue", function()
        local client, peer, log = tools.pair()
        client:read(1)
        client:setTimeout(0.15):read(1)
        helper.pump_for(0.2)
        assert.is_true(client:connected())
        local begin = evsock.now()
        peer:write("x")
        tools.wait_for(log, 1)
        wait_over(client)
        assert.is_true(evsock.now() - begin >= 0.14)
    end)

    it("6.7 for the first read that is when the connection stands", function()
        local record = helper.server()
        record.server:pause()
        local callback, log = tools.note()
        local client = new(callback)
        local begin = evsock.now()
        client:connect("127.0.0.1", record.port)
        client:setTimeout(0.1):read(1)
        tools.wait_connected(client)
        local took = wait_over(client, begin)
        assert.is_true(took >= 0.09)
        assert.equal(0, #log)
    end)

    it("6.7 a read that is served in time stops its clock", function()
        local client, peer, log = tools.pair()
        client:setTimeout(0.1):read(1)
        peer:write("x")
        tools.wait_for(log, 1)
        helper.pump_for(0.15)
        assert.is_true(client:connected())
    end)

    it("6.7 bytes that came in time count although pump comes late", function()
        local client, peer, log = tools.pair()
        client:setTimeout(0.05):read(1)
        peer:write("x")
        local stop = evsock.now() + 0.1
        repeat until evsock.now() > stop
        tools.wait_for(log, 1)
        assert.is_true(client:connected())
    end)

    it("6.7 0 expires at once", function()
        local client, _, log = tools.pair()
        client:setTimeout(0):read(1)
        local took = wait_over(client)
        assert.is_true(took < helper.slow)
        assert.equal(0, #log)
    end)

    it("6.7 0 is enough for what can be done at once", function()
        local client, peer, log = tools.pair()
        peer:write("ab")
        helper.pump_for(0.02)
        client:setTimeout(0)
        local tag
        client:write("x", 5, function(given)
            tag = given
        end)
        client:read(2)
        tools.wait_for(log, 1)
        wait(function()
            return tag
        end)
        helper.pump_for(0.02)
        assert.is_true(client:connected())
    end)

    it("6.7 a listener's timeout is that of its clients' reads", function()
        local server, clients = tools.crowd(2)
        server:setTimeout(0.05)
        server:read(1)
        clients[1]:write("x")
        tools.wait_connections(server, 1)
        helper.wait_state(clients[2], "closed")
        assert.equal("open", clients[1].state)
    end)
end)
