-- net.UdpSocket, over the loopback interface, with native sockets as peers.
-- dialects.md 4.9; the rules of chapter 1 where they speak of datagrams.

local helper = require "spec.helper"
local kit = require "spec.dialects.pharos_tools"
local pharos = require "evsock.pharos"
local net, evsock = pharos.net, helper.evsock

local LOCAL = "127.0.0.1"
local words = { "ready_read", "bytes_written", "error", "state_changed" }

after_each(function()
    pharos.configure { hosts = {}, ports = {} }
    helper.finish()
end)

-- A new socket and the log of its handlers.
local function new()
    local socket = helper.track(net.UdpSocket.new())
    local log = {}
    for _, word in ipairs(words) do
        socket[word .. "_handler"] = function(given, value)
            collectgarbage()
            assert(given == socket)
            log[#log + 1] = value == nil and word or word .. " " .. value
            if log.also then
                log.also(word)
            end
        end
    end
    return socket, log
end

local function clear(log)
    for index = #log, 1, -1 do
        log[index] = nil
    end
end

local function bound()
    local socket, log = new()
    assert.is_true(socket:bind(0))
    kit.wait_for(log, "state_changed 4")
    clear(log)
    return socket, log
end

local function peer()
    local got = {}
    local sock = helper.track(assert(evsock.udp(LOCAL, 0, {
        on_datagram = function(_, data, host, port)
            got[#got + 1] = { data = data, host = host, port = port }
        end,
    })))
    return sock, got
end

local function count(log, word)
    local found = 0
    for _, entry in ipairs(log) do
        found = found + (entry == word and 1 or 0)
    end
    return found
end

-- All that can be read, once there are so many.
local function read_all(socket, wanted)
    local list = {}
    kit.wait(function()
        while socket.has_pending_datagrams do
            list[#list + 1] = socket:read_datagram_string().data
        end
        return #list >= wanted
    end, wanted .. " datagrams")
    return list
end

describe("UdpSocket", function()
    it("4.9 is unbound at first: state 0, no address, no port", function()
        local socket = new()
        assert.same({ 0, "", 0, false, -1 }, {
            socket.state, socket.local_address, socket.local_port,
            socket.has_pending_datagrams, socket.pending_datagram_size,
        })
        assert.equal("UdpSocket: state 0", tostring(socket))
        assert.equal(0, evsock.active())
    end)

    it("4.9 UNBOUND_STATE is 0 and BOUND_STATE is 4, on the class and on objects", function()
        local socket = new()
        assert.same({ 0, 4 }, { net.UdpSocket.UNBOUND_STATE, net.UdpSocket.BOUND_STATE })
        assert.same({ 0, 4 }, { socket.UNBOUND_STATE, socket.BOUND_STATE })
        assert.equal(6, net.UdpSocket.DATAGRAM_TOO_LARGE_ERROR)
    end)

    it("4.9 bind(port): true, state 4, and a port of its own for 0", function()
        local socket, log = new()
        assert.is_true(socket:bind(0))
        assert.equal(4, socket.state)
        assert.equal("0.0.0.0", socket.local_address)
        assert.is_true(socket.local_port > 0)
        assert.equal(0, #log)
        kit.wait_for(log, "state_changed 4")
    end)

    it("4.9 bind to a port that is taken: false and error 8", function()
        local first = bound()
        local socket, log = new()
        assert.is_false(socket:bind(first.local_port))
        assert.same({ 8, "The bound address is already in use", 0 },
            { socket.error, socket.error_string, socket.state })
        kit.wait_for(log, "error 8")
    end)

    it("4.9 bind when it is bound: false, error 19, and nothing changes", function()
        local socket, log = bound()
        local port = socket.local_port
        assert.is_false(socket:bind(0))
        assert.same({ 4, port, 19 }, { socket.state, socket.local_port, socket.error })
        kit.wait_for(log, "error 19")
    end)

    it("4.9 close: state 0, the port is free, nothing is left to read", function()
        local socket, log = bound()
        local port = socket.local_port
        peer():send_to("x", LOCAL, port)
        kit.wait_for(log, "ready_read")
        socket:close()
        assert.same({ 0, 0 }, { socket.state, socket.local_port })
        assert.is_false(socket.has_pending_datagrams)
        kit.wait_for(log, "state_changed 0")
        assert.is_true(socket:bind(port))
    end)

    it("4.9 read_datagram_string: a table of data, sender_address, sender_port, valid", function()
        local socket, log = bound()
        local sock = peer()
        sock:send_to("hello\0you", LOCAL, socket.local_port)
        kit.wait_for(log, "ready_read")
        assert.equal(9, socket.pending_datagram_size)
        assert.same({
            data = "hello\0you", sender_address = LOCAL, sender_port = sock.port, valid = true,
        }, socket:read_datagram_string())
    end)

    it("4.9 read_datagram_bytes: data is a table of numbers", function()
        local socket, log = bound()
        peer():send_to("\0A\255", LOCAL, socket.local_port)
        kit.wait_for(log, "ready_read")
        local found = socket:read_datagram_bytes()
        assert.same({ 0, 65, 255 }, found.data)
        assert.is_true(found.valid)
    end)

    it("4.9 with nothing there both are not valid, and empty", function()
        local socket = bound()
        local nothing = { data = "", sender_address = "", sender_port = 0, valid = false }
        assert.same(nothing, socket:read_datagram_string())
        nothing.data = {}
        assert.same(nothing, socket:read_datagram_bytes())
        nothing.data = ""
        assert.same(nothing, new():read_datagram_string())
    end)

    it("4.9 an empty datagram is valid, and boundaries are kept", function()
        local socket = bound()
        local sock = peer()
        for _, text in ipairs { "", "one", "", "two" } do
            sock:send_to(text, LOCAL, socket.local_port)
        end
        assert.same({ "", "one", "", "two" }, read_all(socket, 4))
    end)

    it("4.9 what is beyond max is lost", function()
        local socket = bound()
        local sock = peer()
        sock:send_to("12345", LOCAL, socket.local_port)
        sock:send_to("next", LOCAL, socket.local_port)
        kit.wait(function()
            return socket.has_pending_datagrams
        end)
        assert.equal("123", socket:read_datagram_string(3).data)
        assert.same({ "next" }, read_all(socket, 1))
    end)

    it("4.9 write_datagram_string(data, host, port): the count, and bytes_written", function()
        local socket, log = bound()
        local sock, got = peer()
        assert.equal(5, socket:write_datagram_string("hello", LOCAL, sock.port))
        assert.equal(0, #log)
        kit.wait_for(log, "bytes_written 5")
        helper.wait_count(got, 1)
        assert.same({ data = "hello", host = LOCAL, port = socket.local_port }, got[1])
    end)

    it("4.9 write_datagram_bytes: a table of numbers", function()
        local socket = bound()
        local sock, got = peer()
        assert.equal(3, socket:write_datagram_bytes({ 0, 65, 255 }, LOCAL, sock.port))
        helper.wait_count(got, 1)
        assert.equal("\0A\255", got[1].data)
    end)

    it("4.9 writing binds a socket that is unbound", function()
        local socket, log = new()
        local sock = peer()
        assert.equal(1, socket:write_datagram_string("x", LOCAL, sock.port))
        assert.equal(4, socket.state)
        kit.wait_for(log, "bytes_written 1")
        assert.equal("state_changed 4, bytes_written 1", kit.said(log))
    end)

    it("4.9 to a name: the count at once, bytes_written when it has left", function()
        local socket, log = bound()
        local sock, got = peer()
        assert.equal(5, socket:write_datagram_string("hello", "localhost", sock.port))
        kit.wait_for(log, "bytes_written 5")
        helper.wait_count(got, 1)
    end)

    it("4.9 an unknown name: error 2 later, no bytes_written", function()
        local socket, log = bound()
        assert.equal(1, socket:write_datagram_string("x", "no-such-host.invalid", 9))
        helper.pump_until(function()
            return kit.find(log, "error 2")
        end, 20)
        assert.equal("Host not found", socket.error_string)
        assert.is_nil(kit.find(log, "bytes_written 1"))
    end)

    it("4.9 -1 and error 6 for a datagram that is too long", function()
        local socket, log = bound()
        assert.equal(-1, socket:write_datagram_string(("x"):rep(65508), LOCAL, 9))
        assert.same({ 6, "Message too large" }, { socket.error, socket.error_string })
        kit.wait_for(log, "error 6")
    end)

    it("4.9 ready_read_handler is not called again until a datagram has been read", function()
        local socket, log = bound()
        local sock = peer()
        for _ = 1, 3 do
            sock:send_to("x", LOCAL, socket.local_port)
            helper.pump_for(0.01)
        end
        kit.wait_for(log, "ready_read")
        assert.equal(1, count(log, "ready_read"))
        socket:read_datagram_string()
        kit.wait(function()
            return count(log, "ready_read") == 2
        end)
        helper.pump_for(0.01)
        assert.equal(2, count(log, "ready_read"))
        read_all(socket, 2)
        helper.pump_for(0.01)
        assert.equal(2, count(log, "ready_read"))
    end)

    it("4.9 a handler that reads one datagram a call gets them all", function()
        local socket, log = bound()
        local got = {}
        function log.also(word)
            if word == "ready_read" then
                got[#got + 1] = socket:read_datagram_string().data
            end
        end
        local sock = peer()
        for n = 1, 200 do
            sock:send_to("n" .. n, LOCAL, socket.local_port)
        end
        helper.wait_exactly(got, 200)
        assert.same({ "n1", "n200" }, { got[1], got[200] })
    end)

    it("4.9 what nobody reads has a bound", function()
        local socket = bound()
        local sock = peer()
        for n = 1, 200 do
            sock:send_to("n" .. n, LOCAL, socket.local_port)
        end
        helper.pump_for(0.05)
        local list = read_all(socket, 200)
        assert.equal("n200", list[200])
    end)

    it("4.9 join_multicast_group and leave_multicast_group: a boolean", function()
        local socket, log = bound()
        assert.is_false(socket:join_multicast_group("10.0.0.1"))
        assert.is_false(socket:join_multicast_group("no address"))
        assert.equal(10, socket.error)
        -- Which interface is the default one is the machine's business, if there is one.
        local joined = socket:join_multicast_group("239.255.77.8")
        assert.equal(joined, socket:leave_multicast_group("239.255.77.8"))
        assert.is_false(socket:leave_multicast_group("239.255.77.8"))
        assert.is_false(new():join_multicast_group("239.255.77.8"))
        kit.wait_for(log, "error 10")
    end)

    it("4.9 _async: every method with an answer has one, from pump", function()
        local socket = new()
        local sock, got = peer()
        local answers = {}
        local function note(given, result)
            assert(given == socket)
            if type(result) == "table" then
                result = result.valid
            end
            answers[#answers + 1] = result
        end
        socket:bind_async(0, note)
        socket:write_datagram_string_async("hello", LOCAL, sock.port, note)
        socket:write_datagram_bytes_async({ 1, 2 }, LOCAL, sock.port, note)
        socket:read_datagram_string_async(note)
        socket:read_datagram_bytes_async(10, note)
        socket:join_multicast_group_async("10.0.0.1", note)
        socket:leave_multicast_group_async("10.0.0.1", note)
        assert.equal(0, #answers)
        kit.wait(function()
            return #answers == 7 and got[2]
        end)
        assert.same({ true, 5, 2, false, false, false, false }, answers)
        local closed
        socket:close_async(function()
            closed = true
        end)
        kit.wait(function()
            return closed
        end)
        assert.equal(0, socket.state)
    end)

    it("4.9 wrong arguments raise at the caller's line", function()
        local socket = new()
        local s = socket
        helper.misuse(function() socket:bind(65536) end, "bad argument 'port' to 'bind'")
        helper.misuse(function() socket:write_datagram_string({}, LOCAL, 9) end, "'data'")
        helper.misuse(function() socket:write_datagram_string("x", {}, 9) end, "'host'")
        helper.misuse(function() socket:write_datagram_bytes("x", LOCAL, 9) end, "'bytes'")
        helper.misuse(function() socket:read_datagram_string(-1) end, "'max'")
        helper.misuse(function() s:write_datagram_string_async("x", LOCAL, 9, 1) end, "callback")
        helper.misuse(function() socket.bind(7, 0) end, "with a colon")
    end)
end)

describe("UdpSocket: rules of all dialects", function()
    it("1.6 an error in a handler is raised by pump and loses no datagram", function()
        local socket = bound()
        local calls = 0
        socket.ready_read_handler = function()
            calls = calls + 1
            socket:read_datagram_string()
            error("thrown", 0)
        end
        local sock = peer()
        for _ = 1, 5 do
            sock:send_to("x", LOCAL, socket.local_port)
        end
        local deadline = evsock.now() + 5 * helper.slow
        local raised = 0
        repeat
            local ok = pcall(evsock.pump, 0.02)
            raised = raised + (ok and 0 or 1)
        until calls == 5 or evsock.now() >= deadline
        assert.same({ 5, 5 }, { calls, raised })
    end)

    it("1.9 dropping the last reference closes it, in every state", function()
        local sock = peer()
        local states = {
            function() end,
            function(socket) socket:bind(0) end,
            function(socket)
                socket.ready_read_handler = function() end
                socket:bind(0)
            end,
            function(socket) socket:write_datagram_string("x", LOCAL, sock.port) end,
            function(socket) socket:write_datagram_string("x", "no-such-host.invalid", 9) end,
        }
        for _, prepare in ipairs(states) do
            prepare(net.UdpSocket.new())
        end
        helper.pump_for(0.01)
        for _ = 1, 5 do
            collectgarbage()
        end
        assert.equal(1, evsock.active())
    end)

    it("1.13 hosts and ports lead datagrams elsewhere, invisibly", function()
        local socket, log = bound()
        local sock, got = peer()
        pharos.configure {
            hosts = { device = LOCAL .. ":" .. sock.port, ["10.9.8.7"] = LOCAL, nobody = false },
            ports = { [23] = sock.port },
        }
        socket:write_datagram_string("1", "device", 4000)
        socket:write_datagram_string("2", "10.9.8.7", 23)
        helper.wait_count(got, 2)
        sock:send_to("back", LOCAL, socket.local_port)
        kit.wait_for(log, "ready_read")
        local found = socket:read_datagram_string()
        assert.same({ "10.9.8.7", 23 }, { found.sender_address, found.sender_port })
        assert.equal(-1, socket:write_datagram_string("3", "nobody", 9))
        assert.equal(2, socket.error)
    end)
end)
