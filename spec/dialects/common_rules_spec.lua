-- The rules common to all dialects, as seen through Q-SYS.
-- dialects.md 1.1-1.3, 1.5 > "callbacks"; 1.4, 1.12 > "objects"; 1.6 > "errors in handlers"
-- (1.9, 1.13: common_life_spec; 1.7, 1.8, 1.10, 1.11, 1.14, 1.15: common_host_spec)

local helper = require "spec.helper"
local tools = require "spec.dialects.qsys_tools"
local evsock = helper.evsock
local qsys = require "evsock.qsys"
local TcpSocket, TcpSocketServer, Timer = qsys.TcpSocket, qsys.TcpSocketServer, qsys.Timer
local client, connected, wait, compute = tools.client, tools.connected, tools.wait, helper.compute

after_each(helper.finish)

describe("common rules: callbacks", function()
    it("1.1 every callback runs inside pump, never inside the call that caused it", function()
        local pumping = false
        local sock, log = client({ ReconnectTimeout = 0 })
        log.also = function()
            assert.is_true(pumping)
        end
        sock:Connect("127.0.0.1", helper.free_port())
        assert.equal(0, #log)
        compute(0.05)
        assert.equal(0, #log)
        local stop = evsock.now() + 5
        while #log == 0 and evsock.now() < stop do
            pumping = true
            evsock.pump(0.02)
            pumping = false
        end
        assert.equal("ERROR", table.concat(log, " "))
    end)

    it("1.1 callbacks run on the thread (coroutine) that calls pump", function()
        local sock = client({ ReconnectTimeout = 0 })
        local finished = false
        sock.Error = helper.expect(function()
            finished = true
        end, 1)
        local pumper = coroutine.create(function()
            sock:Connect("127.0.0.1", helper.free_port())
            wait(function()
                return finished
            end, "ERROR inside a coroutine")
        end)
        assert.is_true(coroutine.resume(pumper))
        assert.equal("dead", coroutine.status(pumper))
    end)

    it("1.1 one pump handles what waited when it began: Connect in Error ends it", function()
        local port, calls, most = helper.free_port(), 0, 0
        local sock = client({ ReconnectTimeout = 0 })
        sock.Error = function()
            calls = calls + 1
            -- A pump that never returns would come here for ever.
            assert(calls < 100, "pump does not return")
            sock:Connect("127.0.0.1", port)
        end
        sock:Connect("127.0.0.1", port)
        local rounds = 0
        while calls < 5 and rounds < 200 do
            local before = calls
            evsock.pump(0.1)
            rounds = rounds + 1
            most = math.max(most, calls - before)
        end
        sock:Disconnect()
        assert.equal(5, calls)
        assert.equal(1, most)
    end)

    it("1.2 bytes received before a close are announced before the close", function()
        for _ = 1, 5 do
            local sock, peer, log = connected({ ReconnectTimeout = 0 })
            peer:write("last words")
            peer:close()
            compute(0.02)
            helper.wait_count(log, 3)
            assert.equal("CONNECTED DATA EOF", table.concat(log, " "))
            assert.equal("last words", sock:Read(100))
        end
    end)

    it("1.2 between sockets the order is that of arrival", function()
        local order = {}
        local one, peer_one, log_one = connected()
        local two, peer_two, log_two = connected()
        for name, log in pairs({ one = log_one, two = log_two }) do
            log.also = function()
                order[#order + 1] = name
            end
        end
        for _, names in ipairs({ { "one", "two" }, { "two", "one" }, { "one", "two" } }) do
            order = {}
            local peers = { one = peer_one, two = peer_two }
            peers[names[1]]:write("first")
            compute(0.05)
            peers[names[2]]:write("second")
            compute(0.05)
            helper.wait_exactly(order, 2)
            assert.same(names, order)
        end
        assert.is_true(one.BufferLength > 0 and two.BufferLength > 0)
    end)

    it("1.3 state is sequenced: as of the last dispatched event, not as of now", function()
        local sock, peer, log = connected({ ReconnectTimeout = 0 })
        peer:write("unannounced")
        peer:close()
        compute(0.05)
        assert.is_true(sock.IsConnected)
        assert.equal(0, sock.BufferLength)
        assert.is_nil(sock:Read(1))
        helper.wait_count(log, 3)
        assert.is_false(sock.IsConnected)
        assert.equal(11, sock.BufferLength)
    end)

    it("1.5 a handler may connect again, disconnect, replace or clear its own handler", function()
        local sock, peer, _, server = connected({ ReconnectTimeout = 0 })
        local steps = {}
        sock.Connected = helper.expect(function()
            steps[#steps + 1] = "Connected"
            sock.Connected = nil
        end, 1)
        sock.Data = helper.expect(function(given)
            steps[#steps + 1] = given:Read(100)
            sock.Data = helper.expect(function()
                steps[#steps + 1] = given:Read(100)
                given:Disconnect()
            end, 1)
            given:Connect("127.0.0.1", server.port)
        end, 1)
        peer:write("first")
        wait(function()
            return server.sockets[2] and sock.IsConnected
        end, "a second connection made in a handler")
        server.sockets[2]:write("second")
        helper.wait_exactly(steps, 3)
        assert.same({ "first", "Connected", "second" }, steps)
        assert.is_false(sock.IsConnected)
    end)

    it("1.5 a handler may disconnect another socket, of which no event comes then", function()
        local one, peer_one = connected()
        local two, peer_two = connected()
        local calls = 0
        local function first_wins(other)
            return function()
                collectgarbage()
                calls = calls + 1
                other:Disconnect()
            end
        end
        one.Data, two.Data = first_wins(two), first_wins(one)
        peer_one:write("x")
        peer_two:write("x")
        compute(0.03)
        wait(function()
            return calls > 0
        end, "a DATA")
        helper.pump_for(0.05)
        assert.equal(1, calls)
        assert.is_true(one.IsConnected ~= two.IsConnected)
    end)

    it("1.5 a handler may pump: others' events are dispatched inside it", function()
        local one, peer_one = connected()
        local two, peer_two = connected()
        local inside, nested = false, false
        two.Data = helper.expect(function()
            nested = inside
        end, 1)
        one.Data = helper.expect(function()
            inside = true
            peer_two:write("meanwhile")
            wait(function()
                return two.BufferLength > 0
            end, "the nested DATA")
            inside = false
        end, 1)
        peer_one:write("x")
        wait(function()
            return two.BufferLength > 0
        end, "both")
        assert.is_true(nested)
    end)

    it("1.5 pump inside handlers nests up to 32, then raises", function()
        local depth, deepest, failure = 0, 0, nil
        local function nest()
            Timer.CallAfter(function()
                if failure then
                    return
                end
                depth = depth + 1
                deepest = math.max(deepest, depth)
                assert(depth < 100, "no bound")
                nest()
                local ok, message = pcall(evsock.pump, 1)
                failure = failure or not ok and tostring(message) or nil
                depth = depth - 1
            end, 0)
        end
        nest()
        wait(function()
            return failure
        end, "the bound")
        assert.is_true(deepest == 32 or deepest == 33, "deepest " .. deepest)
    end)
end)

describe("common rules: objects", function()
    it("1.4 a callback gets the very object: it compares equal and is a table key", function()
        local names = {}
        local sock, peer = connected()
        names[sock] = "mine"
        local found = {}
        sock.Data = helper.expect(function(given)
            found[1] = names[given]
            assert.equal(sock, given)
        end, 1)
        peer:write("x")
        helper.wait_count(found, 1)
        assert.same({ "mine" }, found)
    end)

    it("1.4 objects are userdata", function()
        assert.equal("userdata", type(TcpSocket.New()))
        assert.equal("userdata", type(TcpSocketServer.New()))
        assert.equal("userdata", type(Timer.New()))
    end)

    it("1.12 metatables are readable and name their class", function()
        local seen = {}
        for _, object in ipairs({ TcpSocket.New(), TcpSocketServer.New(), Timer.New() }) do
            local meta = getmetatable(object)
            assert.equal("table", type(meta))
            assert.is_string(meta.__name)
            assert.equal(meta.__name, meta.__type)
            assert.equal("function", type(meta.__tostring))
            assert.is_nil(seen[meta.__name])
            seen[meta.__name] = true
        end
    end)
end)

describe("common rules: errors in handlers", function()
    -- Pumps and collects what it raises, until both are there.
    local function pump_errors(condition)
        local errors, stop = {}, evsock.now() + 5
        while not condition(errors) and evsock.now() < stop do
            local ok, message = pcall(evsock.pump, 0.02)
            if not ok then
                errors[#errors + 1] = message
            end
        end
        return errors
    end

    it("1.6 pump raises it with its traceback; no event of any socket is lost", function()
        local bad, bad_peer = connected({ ReconnectTimeout = 0 })
        local good, good_peer = connected()
        local closed = false
        bad.Data = helper.expect(function()
            error("boom in Data")
        end, 1)
        bad.Closed = helper.expect(function()
            closed = true
        end, 1)
        good.Data = helper.expect(function() end, 1)
        bad_peer:write("x")
        bad_peer:close()
        good_peer:write("y")
        compute(0.03)
        local errors = pump_errors(function(errors)
            return closed and errors[1] and good.BufferLength == 1
        end)
        assert.equal(1, #errors)
        assert.is_truthy(errors[1]:find("boom in Data", 1, true))
        assert.is_truthy(errors[1]:find("stack traceback", 1, true))
        assert.equal(1, good.BufferLength)
        assert.is_true(closed)
        assert.equal("x", bad:Read(10))
    end)

    it("1.6 with evsock.on_error it is handed over with its object and pump goes on", function()
        local bad, peer = connected({ ReconnectTimeout = 0 })
        local messages, objects = {}, {}
        evsock.on_error = function(message, object)
            messages[#messages + 1] = message
            objects[#objects + 1] = object
        end
        bad.Data = function()
            error("boom in Data")
        end
        bad.Closed = helper.expect(function()
            error("boom in Closed")
        end, 1)
        peer:write("x")
        peer:close()
        helper.wait_exactly(messages, 2)
        evsock.on_error = nil
        assert.is_truthy(messages[1]:find("boom in Data", 1, true))
        assert.is_truthy(messages[1]:find("stack traceback", 1, true))
        assert.is_truthy(messages[2]:find("boom in Closed", 1, true))
        assert.same({ true, true }, { objects[1] == bad, objects[2] == bad })
    end)

    it("1.6 an error closes no socket", function()
        local sock, peer = connected()
        sock.Data = function()
            error("boom")
        end
        peer:write("x")
        assert.equal(1, #pump_errors(function(errors)
            return errors[1]
        end))
        assert.is_true(sock.IsConnected)
        sock:Write("still here")
        sock.Data = nil
        helper.wait_field(peer, "buffered", 10)
    end)
end)
