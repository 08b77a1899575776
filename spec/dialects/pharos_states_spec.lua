-- Pharos TcpSocket: the states and the order of the handlers.
-- dialects.md 4.4 > "states", "order", "texts"

local helper, kit = require "spec.helper", require "spec.dialects.pharos_tools"
local evsock, pharos = helper.evsock, require "evsock.pharos"
local TcpSocket = pharos.net.TcpSocket

local said, wait, wait_for = kit.said, kit.wait, kit.wait_for

local SETTING_OUT = "state_changed 1, state_changed 2, host_found"
local CONNECTED = SETTING_OUT .. ", state_changed 3, connected"
local DISCONNECTED = "state_changed 6, state_changed 0, disconnected"
local REMOTE_CLOSED = "error 1, " .. DISCONNECTED

after_each(kit.finish)

-- Nothing else comes for a while.
local function assert_quiet(log, expected)
    helper.pump_for(0.02)
    assert.equal(expected, said(log))
end

-- A socket with more to send than fits on the way to its peer, which does not read.
local function stuffed()
    local socket, peer, log, record = kit.pair()
    peer.read_limit = 1
    socket:write(("x"):rep(16 * 1024 * 1024))
    assert.is_true(socket.bytes_to_write > 0)
    return socket, peer, log, record
end

-- A socket that was bound before it connected, its log, its port then, and the server's record.
local function bound_and_connected()
    local record = helper.server()
    local socket, log = kit.socket()
    assert.is_true(socket:bind(0))
    local port = socket.local_port
    socket:connect("127.0.0.1", record.port)
    wait_for(log, "connected")
    return socket, log, port, record
end

local function read_on(peer)
    peer.on_data = function(sock)
        sock:read()
    end
    peer.read_limit = 1024 * 1024
    peer:read()
end

-- The log without the notes of bytes that were written.
local function without_bytes(log)
    local list = {}
    for _, word in ipairs(log) do
        if not word:find("bytes_written", 1, true) then
            list[#list + 1] = word
        end
    end
    return table.concat(list, ", ")
end

describe("Pharos TcpSocket: connecting", function()
    it("4.4 connect by address: 1, 2, host_found, 3, connected", function()
        local _, log = kit.connecting("127.0.0.1", helper.server().port)
        wait_for(log, "connected")
        assert_quiet(log, CONNECTED)
    end)

    it("4.4 connect by name: 1, 2, host_found, 3, connected", function()
        local _, log = kit.connecting("localhost", helper.server().port)
        wait_for(log, "connected")
        assert_quiet(log, CONNECTED)
    end)

    it("4.4 state reads 1 right after connect, by name and by address", function()
        local record = helper.server()
        for _, host in ipairs { "localhost", "127.0.0.1" } do
            local socket = kit.socket()
            socket:connect(host, record.port)
            assert.equal(TcpSocket.HOST_LOOKUP_STATE, socket.state)
        end
    end)

    it("4.4 inside of the handlers state is that of the event", function()
        local socket, log = kit.connecting("localhost", helper.server().port)
        wait_for(log, "connected")
        assert.same({ 1, 2, 2, 3, 3 }, log.states)
        kit.clear(log)
        socket:disconnect()
        wait_for(log, "disconnected")
        assert.same({ 6, 0, 0 }, log.states)
    end)

    it("4.4 name not found: 1, 0, error 2 \"Host not found\"", function()
        pharos.configure { hosts = { nowhere = false } }
        local socket, log = kit.connecting("nowhere", 1)
        wait_for(log, "error 2")
        assert_quiet(log, "state_changed 1, state_changed 0, error 2")
        assert.equal("Host not found", socket.error_string)
    end)

    it("4.4 a host that is no possible name ends likewise", function()
        local _, log = kit.connecting("Enter an IP Address", 1)
        wait_for(log, "error 2")
        assert_quiet(log, "state_changed 1, state_changed 0, error 2")
    end)

    it("4.4 refused: 0, error 0 \"Connection refused\"", function()
        local socket, log = kit.connecting("127.0.0.1", helper.free_port())
        wait_for(log, "error 0")
        assert_quiet(log, SETTING_OUT .. ", state_changed 0, error 0")
        assert.equal("Connection refused", socket.error_string)
        assert.same({ 1, 2, 2, 0, 0 }, log.states)
    end)

    it("4.4 no answer: 0, error 5 \"Connection timed out\"", function()
        local port = helper.silent_port()
        pharos.configure { connect_timeout = 0.1 }
        local socket, log = kit.connecting("127.0.0.1", port)
        wait_for(log, "error 5")
        assert_quiet(log, SETTING_OUT .. ", state_changed 0, error 5")
        assert.equal("Connection timed out", socket.error_string)
    end)

    it("4.4 unreachable: 0, error 7", function()
        -- The system refuses TCP to a group of hosts without sending anything.
        local socket, log = kit.connecting("224.0.0.1", 9)
        wait_for(log, "error 7")
        assert_quiet(log, SETTING_OUT .. ", state_changed 0, error 7")
        assert.equal("Network unreachable", socket.error_string)
    end)

    it("4.4 no answer is waited for 30 s unless configured otherwise", function()
        -- Of an interpreter in which nothing was configured.
        local output, status = helper.run([[
            local evsock, pharos = require "evsock", require "evsock.pharos"
            local function timeout_of(class)
                local socket = class.new()
                socket:connect("127.0.0.1", 9)
                return evsock.socket().info(socket).connect_timeout
            end
            print(timeout_of(pharos.net.TcpSocket), timeout_of(pharos.net.SslSocket))
            pharos.configure { connect_timeout = 7 }
            print(timeout_of(pharos.net.TcpSocket), timeout_of(pharos.net.SslSocket))
        ]])
        assert.equal("30\t30\n7\t7\n", output)
        assert.equal(0, status)
    end)

    it("4.4 what the system does not support: 0, error 10 with its text", function()
        -- An address of a link, without naming the link.
        local socket, log = kit.connecting("fe80::1", 9)
        wait_for(log, "error 10")
        assert_quiet(log, SETTING_OUT .. ", state_changed 0, error 10")
        assert.equal("Operation on socket is not supported", socket.error_string)
    end)

    it("4.4 the bound port leads there already: 0, error 9", function()
        local record = helper.server()
        local first, first_log = kit.socket()
        assert.is_true(first:bind(0))
        first:connect("127.0.0.1", record.port)
        wait_for(first_log, "connected")
        local socket, log = kit.socket()
        assert.is_true(socket:bind(first.local_port))
        socket:connect("127.0.0.1", record.port)
        wait_for(log, "error 9")
        assert_quiet(log, "state_changed 4, " .. SETTING_OUT .. ", state_changed 0, error 9")
        assert.equal(9, socket.error)
        assert.equal(3, first.state)
    end)

    it("4.4 when connecting fails, error shows the new error in state 0 already", function()
        local socket, log = kit.socket()
        local seen
        kit.at(log, "state_changed 0", function()
            seen = { socket.error, socket.error_string }
        end)
        socket:connect("127.0.0.1", helper.free_port())
        wait_for(log, "error 0")
        assert.same({ 0, "Connection refused" }, seen)
    end)

    it("4.4 a failure while connecting does not call disconnected_handler", function()
        local socket, log = kit.socket()
        socket.disconnected_handler = helper.never("disconnected_handler")
        socket:connect("127.0.0.1", helper.free_port())
        wait_for(log, "error 0")
        helper.pump_for(0.02)
    end)

    it("4.4 connect in state 1, 2, 3 or 6: error 19, and the running one is untouched", function()
        local record = helper.server()
        local function again(socket, log)
            local state = socket.state
            socket:connect("127.0.0.1", record.port)
            assert.equal(state, socket.state)
            wait_for(log, "error 19")
            assert.equal("Trying to connect while connection is in progress", socket.error_string)
            table.remove(log, kit.find(log, "error 19"))
        end
        local socket, log = kit.connecting("127.0.0.1", record.port)
        again(socket, log)
        kit.at(log, "state_changed 2", function()
            log.also = nil
            socket:connect("127.0.0.1", record.port)
        end)
        wait_for(log, "connected")
        again(socket, log)
        assert.equal(CONNECTED, said(log))
        local busy, peer, its_log = stuffed()
        busy:disconnect()
        assert.equal(6, busy.state)
        again(busy, its_log)
        read_on(peer)
        wait_for(its_log, "disconnected")
        assert.equal(DISCONNECTED, without_bytes(its_log))
        assert.equal(1, #record.sockets)
    end)

    it("4.4 connect in state 2: error 19", function()
        local socket, log = kit.socket()
        local port = helper.server().port
        kit.at(log, "host_found", function()
            assert.equal(2, socket.state)
            socket:connect("127.0.0.1", port)
        end)
        socket:connect("127.0.0.1", port)
        wait_for(log, "error 19")
        wait_for(log, "connected")
        assert.equal(6, #log)
    end)

    it("4.4 connect in state 4 is allowed and keeps the bound local port", function()
        local socket, log, port, record = bound_and_connected()
        assert.equal("state_changed 4, " .. CONNECTED, said(log))
        assert.equal(port, socket.local_port)
        helper.wait_accepted(record)
        assert.equal(port, record.sockets[1].peer_port)
    end)

    it("4.4 a bound port serves one connection only", function()
        local socket, log, port, record = bound_and_connected()
        socket:disconnect()
        wait_for(log, "disconnected")
        kit.clear(log)
        socket:connect("127.0.0.1", record.port)
        wait_for(log, "connected")
        assert.not_equal(port, socket.local_port)
    end)

    it("4.4 connect again after 0 is allowed any number of times", function()
        local record = helper.server()
        local socket, log = kit.socket()
        for round = 1, 5 do
            kit.clear(log)
            socket:connect("127.0.0.1", record.port)
            wait_for(log, "connected")
            assert.equal(CONNECTED, said(log))
            kit.clear(log)
            socket:disconnect()
            wait_for(log, "disconnected")
            assert.equal(DISCONNECTED, said(log), "round " .. round)
        end
    end)

    it("4.4 connect again clears both buffers first", function()
        local socket, peer, log, record = kit.pair()
        kit.deliver(socket, peer, "old")
        peer:close()
        wait_for(log, "disconnected")
        assert.equal(3, socket.bytes_available)
        socket:connect("127.0.0.1", record.port)
        assert.equal(0, socket.bytes_available)
        assert.equal(0, socket.bytes_to_write)
        kit.clear(log)
        wait_for(log, "connected")
        kit.deliver(socket, record.sockets[2], "new")
        assert.equal("new", socket:read_all_string())
    end)

    it("4.4 connect right after a disconnect that had nothing to write", function()
        local socket, _, log, record = kit.pair()
        socket:disconnect()
        socket:connect("127.0.0.1", record.port)
        wait_for(log, "connected")
        assert_quiet(log, DISCONNECTED .. ", " .. CONNECTED)
    end)

    it("4.4 there is no automatic reconnect", function()
        local socket, peer, log, record = kit.pair()
        peer:close()
        wait_for(log, "disconnected")
        helper.pump_for(0.05)
        assert.equal(1, #record.sockets)
        assert.equal(0, socket.state)
        assert.equal(1, evsock.active())
    end)

    it("4.4 connect from the disconnected handler: the usual way to reconnect", function()
        local socket, peer, log, record = kit.pair()
        kit.at(log, "disconnected", function()
            socket:connect("127.0.0.1", record.port)
            assert.equal(1, socket.state)
        end)
        peer:close()
        wait_for(log, "connected")
        assert_quiet(log, REMOTE_CLOSED .. ", " .. CONNECTED)
        assert.equal(record.port, socket.remote_port)
    end)

    it("4.4 connect from the error handler of a failed attempt", function()
        local record = helper.server()
        local socket, log = kit.socket()
        kit.at(log, "error 0", function()
            socket:connect("127.0.0.1", record.port)
        end)
        socket:connect("127.0.0.1", helper.free_port())
        wait_for(log, "connected")
        assert_quiet(log, SETTING_OUT .. ", state_changed 0, error 0, " .. CONNECTED)
    end)
end)

describe("Pharos TcpSocket: ending", function()
    it("4.4 remote closes: ready_read, error 1 in state 3, 6, 0, disconnected", function()
        local socket, peer, log = kit.pair()
        peer:write("last words")
        peer:close()
        wait_for(log, "disconnected")
        assert_quiet(log, "ready_read, " .. REMOTE_CLOSED)
        assert.same({ 3, 3, 6, 0, 0 }, log.states)
        assert.equal("The remote host closed the connection", socket.error_string)
        assert.equal("last words", socket:read_string())
    end)

    it("4.4 remote closes without a word: error 1, 6, 0, disconnected", function()
        local _, peer, log = kit.pair()
        peer:close()
        wait_for(log, "disconnected")
        assert_quiet(log, REMOTE_CLOSED)
    end)

    it("4.4 what the error handler writes when the remote has closed is still sent", function()
        local socket, peer, log = kit.pair({ half_open = true })
        kit.at(log, "error 1", function()
            assert.equal(5, socket:write("adieu"))
        end)
        peer:shutdown()
        wait_for(log, "disconnected")
        assert.equal("error 1, bytes_written 5, " .. DISCONNECTED, said(log))
        helper.wait_field(peer, "buffered", 5)
    end)

    it("4.4 a reset is told as a remote close", function()
        local _, peer, log = kit.pair()
        peer:abort()
        wait_for(log, "disconnected")
        assert_quiet(log, REMOTE_CLOSED)
        assert.same({ 3, 6, 0, 0 }, log.states)
    end)

    it("4.4 disconnect, nothing to write: 6, 0, disconnected", function()
        local socket, peer, log = kit.pair()
        assert.equal(0, select("#", socket:disconnect()))
        assert.equal(0, #log)
        wait_for(log, "disconnected")
        assert_quiet(log, DISCONNECTED)
        helper.wait_state(peer, "closed")
    end)

    it("4.4 disconnect, data pending: 6, bytes_written, 0, disconnected", function()
        local socket, peer, log = stuffed()
        socket:disconnect()
        assert.equal(6, socket.state)
        wait_for(log, "state_changed 6")
        local six = kit.find(log, "state_changed 6")
        read_on(peer)
        wait_for(log, "disconnected")
        assert.equal(DISCONNECTED, without_bytes(log))
        assert.is_true(kit.find(log, "state_changed 0") > six + 1, said(log))
        assert.equal(6, log.states[six + 1])
    end)

    it("4.4 disconnect twice is as good as once", function()
        local socket, _, log = kit.pair()
        socket:disconnect()
        socket:disconnect()
        wait_for(log, "disconnected")
        assert_quiet(log, DISCONNECTED)
    end)

    it("4.4 disconnect while looking up: the connection is completed, then closed", function()
        local socket, log = kit.connecting("localhost", helper.server().port)
        socket:disconnect()
        assert.equal(1, socket.state)
        wait_for(log, "disconnected")
        assert_quiet(log, CONNECTED .. ", " .. DISCONNECTED)
    end)

    it("4.4 disconnect while connecting: the connection is completed, then closed", function()
        local socket, log = kit.socket()
        kit.at(log, "state_changed 2", function()
            socket:disconnect()
        end)
        socket:connect("127.0.0.1", helper.server().port)
        wait_for(log, "disconnected")
        assert_quiet(log, CONNECTED .. ", " .. DISCONNECTED)
    end)

    it("4.4 disconnect while connecting, with data: it is sent before the end", function()
        local record = helper.server()
        local socket, log = kit.connecting("localhost", record.port)
        socket:write("in a hurry")
        socket:disconnect()
        wait_for(log, "disconnected")
        helper.wait_arrived(record, 10)
        assert.equal(CONNECTED .. ", " .. DISCONNECTED, without_bytes(log))
        assert.is_truthy(kit.find(log, "bytes_written 10"))
    end)

    it("4.4 disconnect while connecting, and the attempt fails: told as a failure", function()
        local socket, log = kit.connecting("127.0.0.1", helper.free_port())
        socket:disconnect()
        wait_for(log, "error 0")
        assert_quiet(log, SETTING_OUT .. ", state_changed 0, error 0")
    end)

    it("4.4 disconnect when unconnected: nothing", function()
        local socket, log = kit.socket()
        socket:disconnect()
        assert_quiet(log, "")
    end)

    it("4.4 disconnect when bound: 6, 0, disconnected", function()
        local socket, log = kit.socket()
        assert.is_true(socket:bind(0))
        socket:disconnect()
        wait_for(log, "disconnected")
        assert_quiet(log, "state_changed 4, " .. DISCONNECTED)
        assert.equal(0, socket.local_port)
    end)

    it("4.4 abort when connected: about_to_close, 0, disconnected", function()
        local socket, _, log = kit.pair()
        socket:abort()
        assert.equal(0, socket.state)
        wait_for(log, "disconnected")
        assert_quiet(log, "about_to_close, state_changed 0, disconnected")
        assert.same({ 3, 0, 0 }, log.states)
        assert.equal(0, socket.open_mode)
    end)

    it("4.4 abort while connecting: about_to_close, 0, no disconnected", function()
        local socket, log = kit.connecting("127.0.0.1", helper.silent_port())
        wait_for(log, "host_found")
        kit.clear(log)
        socket:abort()
        wait_for(log, "state_changed 0")
        assert_quiet(log, "about_to_close, state_changed 0")
        assert.same({ 2, 0 }, log.states)
    end)

    it("4.4 abort while it closes with data pending: 0 and disconnected at once", function()
        local socket, _, log = stuffed()
        socket:disconnect()
        wait_for(log, "state_changed 6")
        socket:abort()
        wait_for(log, "disconnected")
        assert.equal("state_changed 6, about_to_close, state_changed 0, disconnected",
            without_bytes(log))
    end)

    it("4.4 abort when unconnected: nothing", function()
        local socket, log = kit.socket()
        socket:abort()
        assert_quiet(log, "")
    end)

    it("4.4 abort when bound: 0", function()
        local socket, log = kit.socket()
        assert.is_true(socket:bind(0))
        socket:abort()
        wait_for(log, "state_changed 0")
        assert_quiet(log, "state_changed 4, state_changed 0")
    end)

    it("4.4 close: about_to_close, then as disconnect; open mode back to 0", function()
        local socket, _, log = kit.pair()
        socket:close()
        assert.equal(0, socket.open_mode)
        assert.is_false(socket.is_open)
        wait_for(log, "disconnected")
        assert_quiet(log, "about_to_close, " .. DISCONNECTED)
    end)

    it("4.4 close waits for pending writes as disconnect does", function()
        local socket, peer, log = stuffed()
        socket:close()
        wait_for(log, "state_changed 6")
        assert.equal(6, socket.state)
        read_on(peer)
        wait_for(log, "disconnected")
        assert.equal("about_to_close, " .. DISCONNECTED, without_bytes(log))
    end)

    it("4.4 close drops unread data", function()
        local socket, peer = kit.pair()
        kit.deliver(socket, peer, "unread")
        socket:close()
        assert.same({ 0, "" }, { socket.bytes_available, socket:read_all() })
    end)

    it("4.4 close after the remote has closed: about_to_close alone", function()
        local socket, peer, log = kit.pair()
        kit.deliver(socket, peer, "unread")
        peer:close()
        wait_for(log, "disconnected")
        kit.clear(log)
        socket:close()
        wait_for(log, "about_to_close")
        assert_quiet(log, "about_to_close")
        assert.equal(0, socket.bytes_available)
    end)

    it("4.4 bind: 4", function()
        local socket, log = kit.socket()
        socket:bind(0)
        assert.equal(0, #log)
        wait_for(log, "state_changed 4")
        assert_quiet(log, "state_changed 4")
    end)
end)

describe("Pharos TcpSocket: handlers", function()
    it("4.4 none is called inside of the call that caused it", function()
        local socket, log = kit.socket()
        local record = helper.server()
        local inside = false
        log.also = function()
            assert.is_false(inside)
        end
        local function call(name, ...)
            inside = true
            socket[name](socket, ...)
            inside = false
        end
        call("bind", 0)
        call("bind", 0)
        call("connect", "127.0.0.1", record.port)
        call("connect", "127.0.0.1", record.port)
        wait_for(log, "connected")
        call("write", "x")
        call("disconnect")
        call("connect", "127.0.0.1", record.port)
        call("abort")
        call("close")
        wait_for(log, "about_to_close")
        helper.pump_for(0.02)
    end)

    it("4.4 they get the socket, and its error or state or count", function()
        local record = helper.server()
        local socket = helper.track(TcpSocket.new())
        local seen = {}
        for name, count in pairs {
            connected = 1, disconnected = 1, error = 2, state_changed = 2, host_found = 1,
            ready_read = 1, bytes_written = 2, about_to_close = 1,
        } do
            socket[name .. "_handler"] = function(...)
                assert(select("#", ...) == count, name)
                assert((...) == socket)
                seen[name] = true
            end
        end
        socket:connect("localhost", record.port)
        socket:write("hello")
        helper.wait_accepted(record)
        record.sockets[1]:write("hello")
        record.sockets[1]:close()
        wait(function()
            return seen.disconnected
        end, "the end")
        socket:close()
        wait(function()
            return seen.about_to_close
        end, "about_to_close")
        for _, name in ipairs {
            "connected", "error", "state_changed", "host_found", "ready_read", "bytes_written",
        } do
            assert.is_true(seen[name], name)
        end
    end)

    it("4.4 without any handler everything goes its way", function()
        local record = helper.server()
        local socket = helper.track(TcpSocket.new())
        socket:connect("127.0.0.1", record.port)
        wait(function()
            return socket.state == 3 and record.sockets[1]
        end, "the connection")
        record.sockets[1]:write("x")
        helper.wait_field(socket, "bytes_available", 1)
        record.sockets[1]:close()
        helper.wait_state(socket, 0)
    end)

    it("1.6 an error in one handler loses none of the others", function()
        local record = helper.server()
        local socket, log = kit.socket()
        local raised = 0
        evsock.on_error = function(message, object)
            assert(object == socket)
            assert(message:find("on purpose", 1, true))
            raised = raised + 1
        end
        log.also = function()
            error("on purpose")
        end
        socket:connect("127.0.0.1", record.port)
        wait(function()
            return record.sockets[1] and kit.find(log, "connected")
        end, "the connection")
        record.sockets[1]:write("x")
        record.sockets[1]:close()
        wait_for(log, "disconnected")
        assert_quiet(log, CONNECTED .. ", ready_read, " .. REMOTE_CLOSED)
        assert.equal(#log, raised)
        assert.same({ 1, 2, 2, 3, 3, 3, 3, 6, 0, 0 }, log.states)
    end)

    it("1.6 without on_error pump raises each error, and the rest comes with the next", function()
        local _, peer, log = kit.pair()
        log.also = function()
            error("on purpose")
        end
        peer:close()
        local raised, deadline = 0, evsock.now() + 5 * helper.slow
        while raised < 4 and evsock.now() < deadline do
            local ok = pcall(evsock.pump, 0.02)
            raised = raised + (ok and 0 or 1)
        end
        log.also = nil
        assert.equal(REMOTE_CLOSED, said(log))
    end)

    it("1.1 one pump calls no handler of what its own handlers have caused", function()
        local socket, log = kit.socket()
        log.also = function()
            socket:bind(0)
        end
        socket:bind(0)
        socket:bind(0)
        for _ = 1, 5 do
            local before = #log
            evsock.pump()
            assert.is_true(#log - before <= 2)
        end
        log.also = nil
    end)

    it("1.5 a handler may replace and clear itself, and pump", function()
        local socket, peer, log = kit.pair()
        socket.ready_read_handler = function()
            socket.ready_read_handler = nil
            evsock.pump()
            log[#log + 1] = "first"
            socket.ready_read_handler = function()
                log[#log + 1] = "second"
            end
        end
        peer:write("1")
        wait_for(log, "first")
        peer:write("2")
        wait_for(log, "second")
        assert.equal("first, second", said(log))
    end)

    it("1.5 a handler may abort and connect again", function()
        local socket, peer, log, record = kit.pair()
        kit.at(log, "ready_read", function()
            socket:abort()
            socket:connect("127.0.0.1", record.port)
        end)
        peer:write("go away")
        wait_for(log, "connected")
        local aborted = "about_to_close, state_changed 0, disconnected"
        assert_quiet(log, "ready_read, " .. aborted .. ", " .. CONNECTED)
    end)
end)
