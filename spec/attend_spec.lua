-- `evsock.attend`: the events of one object, while everybody else's stay queued, in order.

local helper = require "spec.helper"
local evsock = helper.evsock
local pump_until = helper.pump_until

-- Lets the I/O thread work while the script dispatches nothing.
local function until_arrived(sock, count)
    local deadline = evsock.now() + 5
    while sock:info().live.read_ahead < count and evsock.now() < deadline do
        collectgarbage("step")
    end
    assert.is_true(sock:info().live.read_ahead >= count)
end

local function attend_until(object, condition)
    local deadline = evsock.now() + 5
    while not condition() do
        assert(evsock.now() < deadline, "not within 5 s")
        evsock.attend(object, 0.02)
    end
end

describe("attend", function()
    after_each(helper.finish)

    it("handles the events of that socket and leaves all others queued, in order", function()
        local order = {}
        local function note(name)
            return function(sock)
                order[#order + 1] = name .. ":" .. tostring(sock:read())
            end
        end
        local one, peer_one = helper.pair()
        local two, peer_two = helper.pair()
        local three, peer_three = helper.pair()
        one.on_data, two.on_data, three.on_data = note("one"), note("two"), note("three")
        peer_three:write("a")
        until_arrived(three, 1)
        peer_two:write("b")
        until_arrived(two, 1)
        peer_one:write("c")
        until_arrived(one, 1)
        attend_until(one, function()
            return order[1]
        end)
        assert.same({ "one:c" }, order)
        peer_one:write("d")
        attend_until(one, function()
            return order[2]
        end)
        assert.equal(0, evsock.attend(one, 0.01))
        assert.same({ "one:c", "one:d" }, order)
        evsock.pump()
        assert.same({ "one:c", "one:d", "three:a", "two:b" }, order)
    end)

    it("returns how many handlers it called, at once when there is something", function()
        local sock, peer = helper.pair()
        sock.on_data = helper.expect(1)
        peer:write("x")
        until_arrived(sock, 1)
        local began = evsock.now()
        assert.equal(1, evsock.attend(sock, 5))
        assert.is_true(evsock.now() - began < 2)
        assert.equal(0, evsock.attend(sock))
    end)

    it("waits as long as it is told while others have events", function()
        local sock = helper.pair()
        local timer = helper.track(evsock.after(0, helper.expect(1)))
        local began = evsock.now()
        assert.equal(0, evsock.attend(sock, 0.05))
        local took = evsock.now() - began
        assert.is_true(took >= 0.05 and took < 0.5 * helper.slow, "took " .. took)
        assert.is_true(timer.active)
        evsock.pump()
        assert.is_false(timer.active)
    end)

    it("with no timeout finds the bytes that the system has", function()
        local sock, peer = helper.pair()
        for i = 1, 200 do
            peer:write(("%03d"):format(i))
            evsock.attend(sock)
            assert.equal(("%03d"):format(i), sock:read())
        end
    end)

    it("with a server handles what its accepted sockets are told, too", function()
        local told = {}
        local record = helper.server({
            on_data = function(sock)
                told[#told + 1] = sock:read()
            end,
        })
        local other, peer = helper.pair()
        other.on_data = helper.expect(function()
            told[#told + 1] = "other"
        end, 1)
        peer:write("x")
        until_arrived(other, 1)
        local client = helper.connect(record.port)
        attend_until(client, function()
            return client.state == "open"
        end)
        client:write("hello")
        attend_until(record.server, function()
            return told[1]
        end)
        assert.same({ "hello" }, told)
        pump_until(function() return told[2] end)
        assert.same({ "hello", "other" }, told)
    end)

    it("with a socket that was accepted leaves its server and the server's others alone", function()
        local told, sockets = {}, {}
        local record = helper.server({
            on_accept = function(_, sock)
                sockets[#sockets + 1] = sock
                sock.on_data = function()
                    told[#told + 1] = sock:read()
                end
            end,
        })
        local clients = { helper.connect(record.port), helper.connect(record.port) }
        pump_until(function()
            return sockets[2] and clients[1].state == "open" and clients[2].state == "open"
        end)
        clients[1]:write("x")
        clients[2]:write("x")
        until_arrived(sockets[1], 1)
        until_arrived(sockets[2], 1)
        assert.equal(1, evsock.attend(sockets[2]))
        assert.same({ "x" }, told)
        assert.equal(1, sockets[1]:info().live.read_ahead)
    end)

    it("with a timer waits for that timer", function()
        local order = {}
        helper.track(evsock.after(0, function()
            order[#order + 1] = "other"
        end))
        local mine = helper.track(evsock.after(0.02, function()
            order[#order + 1] = "mine"
        end))
        attend_until(mine, function()
            return order[1]
        end)
        assert.same({ "mine" }, order)
        evsock.pump()
        assert.same({ "mine", "other" }, order)
    end)

    it("inside of a handler takes its own and leaves the rest in order", function()
        local order = {}
        local socks, peers = {}, {}
        for i = 1, 4 do
            socks[i], peers[i] = helper.pair()
        end
        local function note(name)
            return function(sock)
                order[#order + 1] = name .. ":" .. sock:read()
            end
        end
        socks[2].on_data, socks[3].on_data, socks[4].on_data = note("2"), note("3"), note("4")
        socks[1].on_data = function(sock)
            order[#order + 1] = "1:" .. sock:read()
            peers[3]:write("late")
            attend_until(socks[3], function()
                return table.concat(order, " "):find("late", 1, true)
            end)
        end
        for i = 1, 4 do
            peers[i]:write("x")
            until_arrived(socks[i], 1)
        end
        assert.equal(3, evsock.pump(5))
        -- The two arrivals may have become one.
        local text = table.concat(order, " "):gsub("3:x 3:late", "3:xlate")
        assert.equal("1:x 3:xlate 2:x 4:x", text)
    end)

    it("an error of a handler leaves the rest queued", function()
        local sock, peer = helper.pair()
        local other, other_peer = helper.pair()
        other.on_data = helper.expect(1)
        sock.on_data = helper.expect(function()
            sock.on_data = helper.expect(1)
            error("on purpose")
        end, 1)
        other_peer:write("x")
        until_arrived(other, 1)
        peer:write("x")
        until_arrived(sock, 1)
        local ok, message = pcall(evsock.attend, sock)
        assert.is_false(ok)
        assert.is_truthy(message:find("on purpose", 1, true))
        peer:write("y")
        attend_until(sock, function()
            return sock.buffered == 2
        end)
        evsock.pump()
    end)

    it("leaves the descriptor of pollfd readable while others wait", function()
        local output, status = helper.run([[
            local evsock = require "evsock"
            evsock.pollfd()
            local mine = evsock.after(0.01, function() end)
            local other = evsock.after(0, function() end)
            while mine.active do evsock.attend(mine, 1) end
            print(evsock.timeout(), other.active)
            evsock.pump()
            print(evsock.timeout(), other.active)
        ]])
        helper.printed("0\ttrue\nnil\tfalse\n", output, status)
    end)

    it("leaves what it did not handle in the memory of the sources", function()
        local sock = helper.pair()
        local other, peer = helper.pair()
        other.read_limit = 1000
        peer:write(("x"):rep(3000000))
        local began = evsock.now()
        while evsock.now() < began + 0.05 do
            evsock.attend(sock, 0.01)
        end
        assert.is_true(other:info().live.read_ahead <= 1000 + 2 * 65536)
        local got = 0
        other.on_data = function()
            got = got + #other:read()
        end
        pump_until(function() return got == 3000000 end)
    end)

    it("refuses what has no events", function()
        local text = "bad argument 'object' to 'attend' (socket, server or timer expected, got "
        helper.misuse(function() evsock.attend() end, text .. "no value")
        helper.misuse(function() evsock.attend({}, 1) end, text .. "table")
        local sock = evsock.socket()
        helper.misuse(function() evsock.attend(sock, "x") end,
            "bad argument 'timeout' to 'attend' (seconds of at least 0 expected, got string)")
        assert.equal(0, evsock.attend(sock))
    end)
end)
