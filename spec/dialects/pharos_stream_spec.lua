-- Pharos Stream: reading and writing on a TcpSocket, over the wire.
-- dialects.md 4.5 > "properties", "reading", "writing", "ready_read", "bytes_written"

local helper = require "spec.helper"
local evsock = helper.evsock
local kit = require "spec.dialects.pharos_tools"
local pharos = require "evsock.pharos"
local TcpSocket = pharos.net.TcpSocket

local said, wait, wait_for, deliver = kit.said, kit.wait, kit.wait_for, kit.deliver

after_each(kit.finish)

local function properties(socket)
    return {
        socket.is_open, socket.open_mode, socket.bytes_available, socket.bytes_to_write,
        socket.at_end, socket.pos, socket.readable, socket.writeable, socket.sequential,
        socket.can_read_line,
    }
end

describe("Pharos Stream: properties", function()
    it("4.5 of a new socket", function()
        local socket = TcpSocket.new()
        assert.same({ false, 0, 0, 0, true, 0, false, false, true, false }, properties(socket))
    end)

    it("4.5 of a connected socket", function()
        local socket = kit.pair()
        assert.same({ true, 3, 0, 0, true, 0, true, true, true, false }, properties(socket))
    end)

    it("4.5 bytes_available counts what can be read", function()
        local socket, peer = kit.pair()
        deliver(socket, peer, "12345")
        assert.equal(5, socket.bytes_available)
        socket:read_string(2)
        assert.equal(3, socket.bytes_available)
    end)

    it("4.5 at_end is false while something can be read", function()
        local socket, peer = kit.pair()
        deliver(socket, peer, "1")
        assert.is_false(socket.at_end)
        socket:read_string()
        assert.is_true(socket.at_end)
    end)

    it("4.5 can_read_line is true once a line feed is there", function()
        local socket, peer = kit.pair()
        deliver(socket, peer, "no line\r")
        assert.is_false(socket.can_read_line)
        deliver(socket, peer, "\nmore")
        assert.is_true(socket.can_read_line)
        socket:read_line_string()
        assert.is_false(socket.can_read_line)
    end)

    it("4.5 bytes_to_write counts what waits to be sent", function()
        local socket, peer = kit.pair()
        peer.read_limit = 1
        local size = 16 * 1024 * 1024
        socket:write_string(("x"):rep(size))
        assert.is_true(socket.bytes_to_write > 0)
        assert.is_true(socket.bytes_to_write <= size)
    end)

    it("4.5 bytes_to_write counts what is written before the connection stands", function()
        local socket = kit.socket()
        socket:connect("127.0.0.1", helper.silent_port())
        socket:write_string("12345")
        assert.equal(5, socket.bytes_to_write)
    end)

    it("4.5 readable and writeable follow the open mode", function()
        local socket = TcpSocket.new()
        for mode, expected in pairs {
            [0] = { false, false }, [1] = { true, false }, [2] = { false, true },
            [3] = { true, true }, [6] = { false, true },
        } do
            socket:open(mode)
            assert.same(expected, { socket.readable, socket.writeable })
            assert.equal(mode ~= 0, socket.is_open)
        end
    end)
end)

describe("Pharos Stream: reading", function()
    it("4.5 read_string(max): up to max, the rest stays", function()
        local socket, peer = kit.pair()
        deliver(socket, peer, "abcdef")
        assert.equal("abcd", socket:read_string(4))
        assert.equal("ef", socket:read_string(4))
        assert.equal("", socket:read_string(4))
    end)

    it("4.5 read_string(): all of it", function()
        local socket, peer = kit.pair()
        deliver(socket, peer, "abcdef")
        assert.equal("abcdef", socket:read_string())
    end)

    it("4.5 read_string(0): an empty string, and nothing is removed", function()
        local socket, peer = kit.pair()
        deliver(socket, peer, "abc")
        assert.equal("", socket:read_string(0))
        assert.equal(3, socket.bytes_available)
    end)

    it("4.5 read_bytes(max), read_bytes(): the same as tables from 1", function()
        local socket, peer = kit.pair()
        deliver(socket, peer, "a\0\255z")
        assert.same({ 97, 0 }, socket:read_bytes(2))
        assert.same({ 255, 122 }, socket:read_bytes())
    end)

    it("4.5 nothing there: an empty string or table, connected or not", function()
        local idle, connected = TcpSocket.new(), kit.pair()
        for _, socket in ipairs { idle, connected } do
            for _, name in ipairs { "read", "read_line", "read_all", "peek" } do
                assert.equal("", socket[name .. "_string"](socket, 10))
                assert.same({}, socket[name .. "_bytes"](socket, 10))
            end
        end
    end)

    it("4.5 read_line_string: the newline stays in the line", function()
        local socket, peer = kit.pair()
        deliver(socket, peer, "one\r\ntwo\n\nthree")
        assert.equal("one\r\n", socket:read_line_string())
        assert.equal("two\n", socket:read_line_string())
        assert.equal("\n", socket:read_line_string())
    end)

    it("4.5 read_line_string: what there is when there is no newline", function()
        local socket, peer = kit.pair()
        deliver(socket, peer, "no newline")
        assert.equal("no newline", socket:read_line_string())
        assert.equal(0, socket.bytes_available)
    end)

    it("4.5 read_line_string(max): at most max", function()
        local socket, peer = kit.pair()
        deliver(socket, peer, "abcdef\nghi")
        assert.equal("abcd", socket:read_line_string(4))
        assert.equal("ef\n", socket:read_line_string(4))
        assert.equal("gh", socket:read_line_string(2))
    end)

    it("4.5 read_line_bytes: the same as a table", function()
        local socket, peer = kit.pair()
        deliver(socket, peer, "ab\ncd")
        assert.same({ 97, 98, 10 }, socket:read_line_bytes())
        assert.same({ 99 }, socket:read_line_bytes(1))
    end)

    it("4.5 read_all_string, read_all_bytes: everything", function()
        local socket, peer = kit.pair()
        deliver(socket, peer, "a\nb\n")
        assert.equal("a\nb\n", socket:read_all_string())
        deliver(socket, peer, "cd")
        assert.same({ 99, 100 }, socket:read_all_bytes())
    end)

    it("4.5 peek_string, peek_bytes: as read, but nothing is removed", function()
        local socket, peer = kit.pair()
        deliver(socket, peer, "abcdef")
        assert.equal("abc", socket:peek_string(3))
        assert.equal("abcdef", socket:peek_string(100))
        assert.same({ 97, 98 }, socket:peek_bytes(2))
        assert.equal(6, socket.bytes_available)
    end)

    it("4.5 tables of many bytes pass in both directions", function()
        local socket, peer = kit.pair()
        local list = {}
        for index = 1, 20000 do
            list[index] = index % 256
        end
        peer.on_data = function(sock)
            sock:write(sock:read())
        end
        assert.equal(20000, socket:write_bytes(list))
        helper.wait_field(socket, "bytes_available", 20000)
        assert.same(list, socket:read_bytes())
    end)

    it("4.5 read, read_line, read_all and write are the string forms", function()
        local socket, peer = kit.pair()
        deliver(socket, peer, "abc\ndef\nghi")
        assert.equal("a", socket:read(1))
        assert.equal("bc\n", socket:read_line())
        assert.equal("def\nghi", socket:read_all())
        assert.equal(2, socket:write("hi"))
        helper.wait_field(peer, "buffered", 2)
    end)

    it("4.5 a socket that is not open for reading gives nothing", function()
        local record = helper.server()
        local socket = kit.socket()
        socket:connect("127.0.0.1", record.port, TcpSocket.WRITE_ONLY_MODE)
        helper.wait_accepted(record)
        record.sockets[1]:write("unread")
        helper.pump_for(0.02)
        assert.equal("", socket:read_string())
        assert.equal(0, socket.bytes_available)
    end)

    it("4.5 seek and reset: false for sockets", function()
        local socket = kit.pair()
        assert.is_false(socket:seek(0))
        assert.is_false(socket:reset())
    end)

    it("4.5 open(mode): true, and the mode is that", function()
        local socket = TcpSocket.new()
        assert.is_true(socket:open(TcpSocket.READ_ONLY_MODE))
        assert.equal(1, socket.open_mode)
    end)

    it("4.5 unread bytes stay readable after the connection is gone", function()
        local socket, peer, log = kit.pair()
        deliver(socket, peer, "one\ntwo")
        peer:close()
        wait_for(log, "disconnected")
        assert.equal(7, socket.bytes_available)
        assert.equal("one\n", socket:read_line_string())
        assert.equal("two", socket:read_string())
    end)

    it("4.5 they stay after the script's own disconnect, too", function()
        local socket, peer, log = kit.pair()
        deliver(socket, peer, "unread")
        socket:disconnect()
        wait_for(log, "disconnected")
        assert.equal("unread", socket:read_all())
    end)

    it("4.5 they are gone after connect, abort and close", function()
        for _, name in ipairs { "connect", "abort", "close" } do
            local socket, peer, log, record = kit.pair()
            deliver(socket, peer, "unread")
            peer:close()
            wait_for(log, "disconnected")
            assert.equal(6, socket.bytes_available)
            socket[name](socket, "127.0.0.1", record.port)
            assert.equal(0, socket.bytes_available)
        end
    end)

    it("1.7 strings are bytes: NUL and what is no text pass unchanged", function()
        local socket, peer = kit.pair()
        local all = helper.all_bytes()
        peer.on_data = function(sock)
            sock:write(sock:read())
        end
        assert.equal(256, socket:write_string(all))
        helper.wait_field(socket, "bytes_available", 256)
        assert.equal(all, socket:read_string())
    end)

    it("4.5 a message of many megabytes may wait until all of it is there", function()
        local socket, peer = kit.pair()
        local size = 3 * 1024 * 1024
        peer:write(("x"):rep(size))
        helper.wait_field(socket, "bytes_available", size)
        assert.equal(size, #socket:read_string())
    end)

    it("4.5 a count that is none raises at the caller's line", function()
        local s = TcpSocket.new()
        helper.misuse(function() s:read_string(-1) end, "bad argument 'max' to 'read_string'")
        helper.misuse(function() s:read_bytes(1.5) end, "bad argument 'max' to 'read_bytes'")
        helper.misuse(function() s:peek_string("x") end, "bad argument 'max'")
        helper.misuse(function() s:read_line_string({}) end, "bad argument 'max'")
        helper.misuse(function() s:open(-1) end, "bad argument 'open_mode'")
        helper.misuse(function() s.read_string(nil) end, "bad argument 'self'")
    end)
end)

describe("Pharos Stream: asynchronous forms", function()
    it("4.5 cb(stream, result, error) from pump, for every call but close", function()
        local socket, peer = kit.pair()
        local expected = {
            { "peek_string", 2, "ab" },
            { "peek_bytes", 1, { 97 } },
            { "read_string", 1, "a" },
            { "read_bytes", 1, { 98 } },
            { "read", 1, "c" },
            { "read_line_string", 100, "\n" },
            { "read_line_bytes", 2, { 100, 101 } },
            { "read_line", 100, "\n" },
            { "write_string", "xyz", 3 },
            { "write_bytes", { 1, 2 }, 2 },
            { "write", "q", 1 },
            { "seek", 0, false },
            { "open", 3, true },
        }
        deliver(socket, peer, "abc\nde\nf")
        local got = {}
        for index, case in ipairs(expected) do
            socket[case[1] .. "_async"](socket, case[2], function(given, result, problem)
                assert(given == socket)
                assert(problem == nil)
                got[index] = result
            end)
            assert.is_nil(got[index])
        end
        local more = {
            { "read_all_string", "f" }, { "read_all_bytes", {} }, { "read_all", "" },
            { "reset", false },
        }
        for index, case in ipairs(more) do
            socket[case[1] .. "_async"](socket, function(_, result)
                got[#expected + index] = result
            end)
        end
        wait(function()
            return got[#expected + #more] ~= nil
        end, "the callbacks")
        for index, case in ipairs(expected) do
            assert.same(case[3], got[index], case[1])
        end
        for index, case in ipairs(more) do
            assert.same(case[2], got[#expected + index], case[1])
        end
        assert.is_nil(socket.close_async)
    end)

    it("4.5 the count may be left out before the callback", function()
        local socket, peer = kit.pair()
        deliver(socket, peer, "abc")
        local got = {}
        socket:read_string_async(function(_, result)
            got[1] = result
        end)
        helper.wait_count(got, 1)
        assert.same({ "abc" }, got)
    end)

    it("4.5 they keep the order of the script, among the plain forms, too", function()
        local socket, peer = kit.pair()
        socket:write_string_async("1", function() end)
        socket:write_string("2")
        socket:write_bytes_async({ 51 }, function() end)
        helper.wait_field(peer, "buffered", 3)
        assert.equal("123", peer:read())
    end)

    it("4.5 an error in a callback loses no other", function()
        local socket = kit.pair()
        local errors, done = 0, false
        evsock.on_error = function()
            errors = errors + 1
        end
        socket:write_string_async("1", function()
            error("on purpose")
        end)
        socket:write_string_async("2", function()
            done = true
        end)
        wait(function()
            return done
        end, "the second")
        assert.equal(1, errors)
    end)
end)

describe("Pharos Stream: writing", function()
    it("4.5 write_string, write_bytes: the number of bytes taken", function()
        local socket, peer = kit.pair()
        assert.equal(5, socket:write_string("hello"))
        assert.equal(3, socket:write_bytes({ 0, 10, 255 }))
        assert.equal(0, socket:write_string(""))
        assert.equal(0, socket:write_bytes({}))
        helper.wait_field(peer, "buffered", 8)
        assert.equal("hello\0\n\255", peer:read())
    end)

    it("4.5 unconnected: -1, error -1, a text, and no handler is called", function()
        local socket, log = kit.socket()
        pharos.configure { hosts = { nowhere = false } }
        socket:connect("nowhere", 1)
        wait_for(log, "error 2")
        kit.clear(log)
        assert.equal(-1, socket:write_string("x"))
        assert.equal(-1, socket.error)
        assert.equal("Socket is not connected", socket.error_string)
        assert.equal(-1, socket:write_bytes({ 1 }))
        helper.pump_for(0.02)
        assert.equal("", said(log))
    end)

    it("4.5 bound is not connected: -1", function()
        local socket = kit.socket()
        socket:bind(0)
        assert.equal(-1, socket:write_string("x"))
    end)

    it("4.5 not open for writing: -1", function()
        local record = helper.server()
        local socket, log = kit.connecting("127.0.0.1", record.port, TcpSocket.READ_ONLY_MODE)
        wait_for(log, "connected")
        assert.equal(-1, socket:write_string("x"))
        helper.pump_for(0.02)
        assert.is_nil(kit.find(log, "bytes_written 1"))
    end)

    it("4.5 in states 1 and 2 the data is queued and sent once connected", function()
        local record = helper.server()
        local socket, log = kit.connecting("localhost", record.port)
        assert.equal(4, socket:write_string("one "))
        kit.at(log, "state_changed 2", function()
            assert.equal(3, socket:write_string("two"))
        end)
        helper.wait_arrived(record, 7)
        assert.equal("one two", record.sockets[1]:read())
    end)

    it("4.5 in state 6 the data is queued until the end", function()
        local socket, peer, log = kit.pair()
        local size = 16 * 1024 * 1024
        peer.read_limit = 1
        socket:write_string(("x"):rep(size))
        socket:disconnect()
        assert.equal(6, socket.state)
        assert.equal(4, socket:write_string("tail"))
        local got, last = 0, ""
        peer.read_limit = 1024 * 1024
        peer.on_data = function(sock)
            local text = sock:read()
            if text then
                got, last = got + #text, text
            end
        end
        wait_for(log, "disconnected")
        wait(function()
            return got == size + 4
        end, "all of it")
        assert.equal("tail", last:sub(-4))
    end)

    it("4.5 what is no bytes raises at the caller's line", function()
        local s = kit.pair()
        helper.misuse(function() s:write_string() end, "bad argument 'data' to 'write_string'")
        helper.misuse(function() s:write_string({}) end, "bad argument 'data'")
        helper.misuse(function() s:write_bytes("x") end, "bad argument 'bytes'")
        helper.misuse(function() s:write_bytes({ 256 }) end, "bad argument 'bytes'")
        helper.misuse(function() s:write_bytes({ 1, "x" }) end, "bad argument 'bytes'")
    end)
end)

describe("Pharos Stream: ready_read and bytes_written", function()
    it("4.5 ready_read is called once per arrival, not again for unread bytes", function()
        local socket, peer, log = kit.pair()
        deliver(socket, peer, "first")
        helper.pump_for(0.02)
        assert.equal("ready_read", said(log))
        deliver(socket, peer, "second")
        helper.pump_for(0.02)
        assert.equal("ready_read, ready_read", said(log))
        assert.equal("firstsecond", socket:read_all())
    end)

    it("4.5 new bytes are appended to what was not read", function()
        local socket, peer = kit.pair()
        deliver(socket, peer, "ab")
        assert.equal("a", socket:read_string(1))
        deliver(socket, peer, "cd")
        assert.equal("bcd", socket:read_string())
    end)

    it("4.5 bytes_available is set when ready_read is called", function()
        local socket, peer, log = kit.pair()
        local seen
        kit.at(log, "ready_read", function()
            seen = socket.bytes_available
        end)
        peer:write("12345")
        wait(function()
            return seen
        end, "ready_read")
        assert.equal(5, seen)
    end)

    it("4.5 ready_read is not re-entrant; what comes meanwhile is told afterwards", function()
        local socket, peer = kit.pair()
        local depth, deepest, count = 0, 0, 0
        socket.ready_read_handler = function()
            count, depth = count + 1, depth + 1
            deepest = math.max(deepest, depth)
            if count == 1 then
                peer:write("more")
                helper.wait_field(socket, "bytes_available", 8)
            end
            depth = depth - 1
        end
        peer:write("some")
        wait(function()
            return count == 2
        end, "the second call")
        assert.equal(1, deepest)
    end)

    it("4.5 it is called again after it has raised", function()
        local socket, peer = kit.pair()
        local count = 0
        local messages = {}
        evsock.on_error = function(message)
            messages[#messages + 1] = message
        end
        socket.ready_read_handler = function()
            count = count + 1
            error("on purpose")
        end
        deliver(socket, peer, "1")
        deliver(socket, peer, "2")
        wait(function()
            return count == 2 and messages[2]
        end, "the second call")
        assert.is_truthy(messages[1]:find("pharos_stream_spec.lua:%d+: on purpose"))
        assert.is_truthy(messages[1]:find("stack traceback", 1, true))
    end)

    it("4.5 an error that is no text is handed on unchanged", function()
        local socket, peer = kit.pair()
        local problem, got = {}, nil
        evsock.on_error = function(given)
            got = given
        end
        socket.ready_read_handler = function()
            error(problem)
        end
        peer:write("x")
        wait(function()
            return got
        end, "the error")
        assert.equal(problem, got)
    end)

    it("4.5 bytes_written adds up to what was written", function()
        local socket, peer, log = kit.pair()
        local sum, total = 0, 0
        socket.bytes_written_handler = function(_, count)
            assert(count > 0)
            sum = sum + count
        end
        peer.on_data = function(sock)
            sock:read()
        end
        for round = 1, 20 do
            local size = round * 40000
            assert.equal(size, socket:write_string(("x"):rep(size)))
            total = total + size
        end
        wait(function()
            return sum >= total
        end, "all of it")
        helper.pump_for(0.02)
        assert.equal(total, sum)
        assert.equal("", said(log))
    end)

    it("4.5 bytes_written tells what was written before the connection, after connected", function()
        local record = helper.server()
        local socket, log = kit.connecting("localhost", record.port)
        socket:write_string("12345")
        wait_for(log, "bytes_written 5")
        assert.is_true(kit.find(log, "connected") < kit.find(log, "bytes_written 5"))
    end)

    it("4.5 bytes_written counts bytes handed to the network, no more", function()
        local socket, peer = kit.pair()
        local sum, size = 0, 16 * 1024 * 1024
        peer.read_limit = 1
        socket.bytes_written_handler = function(_, count)
            sum = sum + count
        end
        socket:write_string(("x"):rep(size))
        helper.pump_for(0.05)
        assert.is_true(sum > 0)
        assert.is_true(sum < size)
    end)
end)
