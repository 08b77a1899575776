-- Q-SYS TcpSocket, reading, over the wire.
-- dialects.md 2.2 Read > "Read"; ReadLine, EOL table > "ReadLine", "EOL"; Search > "Search"

local helper = require "spec.helper"
local TcpSocket = require("evsock.qsys").TcpSocket
local assert_raises = helper.raises

local EOL = TcpSocket.EOL
-- A connected Q-SYS socket, the native peer it talks to, and the count of its DATA events.
local function pair()
    local server = helper.server()
    local sock, seen = helper.track(TcpSocket.New()), { data = 0 }
    sock.EventHandler = function(_, event)
        collectgarbage()
        if event == TcpSocket.Events.Data then
            seen.data = seen.data + 1
        end
    end
    sock:Connect("127.0.0.1", server.port)
    helper.pump_until(function()
        return sock.IsConnected and server.sockets[1]
    end, 5, "the pair is connected")
    return sock, server.sockets[1], seen
end

-- Sends `text` as an arrival of its own and waits until the socket has been told of it.
local function deliver(sock, peer, text)
    helper.fill(sock, peer, text, "BufferLength")
end

-- All the lines of that kind that are whole now.
local function lines(sock, ...)
    local list = {}
    local line = sock:ReadLine(...)
    while line ~= nil do
        list[#list + 1] = line
        line = sock:ReadLine(...)
    end
    return list
end

after_each(helper.finish)

describe("Q-SYS TcpSocket: Read", function()
    it("2.2 Read: removes and returns up to n bytes and leaves the rest", function()
        local sock, peer = pair()
        deliver(sock, peer, "abcdefgh")
        assert.equal("abc", sock:Read(3))
        assert.equal(5, sock.BufferLength)
        assert.equal("d", sock:Read(1))
        assert.equal("efgh", sock:Read(sock.BufferLength))
        assert.equal(0, sock.BufferLength)
    end)

    it("2.2 Read: returns what is there when that is fewer than n", function()
        local sock, peer = pair()
        deliver(sock, peer, "few")
        assert.equal("few", sock:Read(1000000))
    end)

    it("2.2 Read: returns nil when the buffer is empty and n > 0", function()
        local sock, peer = pair()
        assert.is_nil(sock:Read(1))
        deliver(sock, peer, "x")
        assert.equal("x", sock:Read(10))
        assert.is_nil(sock:Read(10))
    end)

    it("2.2 Read: a loop until nil ends, as plugins write it", function()
        local sock, peer = pair()
        deliver(sock, peer, "0123456789")
        local pieces = {}
        local piece = sock:Read(4)
        while piece ~= nil and #pieces < 10 do
            pieces[#pieces + 1] = piece
            piece = sock:Read(4)
        end
        assert.same({ "0123", "4567", "89" }, pieces)
    end)

    it("2.2 Read: Read(0) gives the empty string, whether bytes are there or not", function()
        local sock, peer = pair()
        assert.equal("", sock:Read(0))
        deliver(sock, peer, "kept")
        assert.equal("", sock:Read(0))
        assert.equal(4, sock.BufferLength)
    end)

    it("2.2 Read: a count that is no number raises at the caller's line", function()
        local sock = pair()
        assert_raises("read", function()
            sock:Read({})
        end)
    end)
end)

describe("Q-SYS TcpSocket: ReadLine", function()
    it("2.2 ReadLine: removes text and end of line, returns the text alone", function()
        local sock, peer = pair()
        deliver(sock, peer, "first\r\nsecond\r\nrest")
        assert.equal("first", sock:ReadLine(EOL.CrLf))
        assert.equal(#"second\r\nrest", sock.BufferLength)
        assert.equal("second", sock:ReadLine(EOL.CrLf))
        assert.equal("rest", sock:Read(100))
    end)

    it("2.2 ReadLine: nil and nothing removed when there is no end of line yet", function()
        local sock, peer = pair()
        for _, kind in ipairs({ EOL.Any, EOL.CrLf, EOL.CrLfStrict, EOL.Lf, EOL.Null }) do
            assert.is_nil(sock:ReadLine(kind))
        end
        deliver(sock, peer, "half a line")
        for _, kind in ipairs({ EOL.Any, EOL.CrLf, EOL.CrLfStrict, EOL.Lf, EOL.Null }) do
            assert.is_nil(sock:ReadLine(kind))
            assert.equal(11, sock.BufferLength)
        end
        assert.is_nil(sock:ReadLine(EOL.Custom, "##"))
        assert.equal("half a line", sock:Read(100))
    end)

    it("2.2 ReadLine: a line that arrives in parts is returned once it is whole", function()
        local sock, peer = pair()
        deliver(sock, peer, "one ")
        assert.is_nil(sock:ReadLine(EOL.Lf))
        deliver(sock, peer, "line")
        assert.is_nil(sock:ReadLine(EOL.Lf))
        deliver(sock, peer, "\n")
        assert.equal("one line", sock:ReadLine(EOL.Lf))
    end)

    it("2.2 ReadLine: an unknown eol value raises a Lua error", function()
        local sock, peer = pair()
        deliver(sock, peer, "line\r\n")
        for _, bad in ipairs({ 6, -1, 1.5, "CrLf", {}, true }) do
            assert_raises("EOL", function()
                sock:ReadLine(bad)
            end)
        end
        assert.equal(6, sock.BufferLength)
    end)

    it("2.2 ReadLine: the kinds may be mixed on one buffer", function()
        local sock, peer = pair()
        deliver(sock, peer, "a\r\nb\0c\nd;e\r")
        assert.equal("a", sock:ReadLine(EOL.CrLfStrict))
        assert.equal("b", sock:ReadLine(EOL.Null))
        assert.equal("c", sock:ReadLine(EOL.Lf))
        assert.equal("d", sock:ReadLine(EOL.Custom, ";"))
        assert.equal("e", sock:ReadLine(EOL.Any))
    end)
end)

describe("Q-SYS TcpSocket: EOL", function()
    it("2.2 EOL Any: a run of any number of CR and LF ends a line and is removed whole", function()
        local sock, peer = pair()
        deliver(sock, peer, "a\r\n\r\nb\rc\n\n\n\rd")
        assert.same({ "a", "b", "c" }, lines(sock, EOL.Any))
        assert.equal("d", sock:Read(10))
    end)

    it("2.2 EOL Any: a run at the very start yields the empty string", function()
        local sock, peer = pair()
        deliver(sock, peer, "\r\n\r\na\n")
        assert.same({ "", "a" }, lines(sock, EOL.Any))
    end)

    it("2.2 EOL Any: a run cut by packet boundaries is still one run", function()
        local sock, peer = pair()
        deliver(sock, peer, "a\r")
        assert.equal("a", sock:ReadLine(EOL.Any))
        deliver(sock, peer, "\nb\n")
        assert.equal("b", sock:ReadLine(EOL.Any))
    end)

    it("2.2 EOL Any: the rest of a cut run alone is swallowed and makes no line", function()
        local sock, peer = pair()
        deliver(sock, peer, "a\r")
        assert.equal("a", sock:ReadLine(EOL.Any))
        deliver(sock, peer, "\n")
        assert.is_nil(sock:ReadLine(EOL.Any))
        deliver(sock, peer, "b\n")
        assert.equal("b", sock:ReadLine(EOL.Any))
    end)

    it("2.2 EOL Any: the rest of a cut run is swallowed by an Any read, not by Read", function()
        local sock, peer = pair()
        deliver(sock, peer, "a\r")
        assert.equal("a", sock:ReadLine(EOL.Any))
        deliver(sock, peer, "\nb")
        assert.equal("\nb", sock:Read(2))
    end)

    it("2.2 EOL Any: the result never depends on packet boundaries", function()
        local stream = "\r\na\r\n\r\nb\n\rc\r\nd\n"
        for cut = 1, #stream - 1 do
            local sock, peer = pair()
            local got = {}
            for _, part in ipairs({ stream:sub(1, cut), stream:sub(cut + 1) }) do
                deliver(sock, peer, part)
                for _, line in ipairs(lines(sock, EOL.Any)) do
                    got[#got + 1] = line
                end
            end
            assert.same({ "", "a", "b", "c", "d" }, got, "cut after byte " .. cut)
        end
    end)

    it("2.2 EOL Any: the same lines when every byte is an arrival of its own", function()
        local sock, peer, seen = pair()
        local stream, got = "\r\na\r\n\r\nb\rc\n", {}
        for i = 1, #stream do
            local before = seen.data
            peer:write(stream:sub(i, i))
            helper.pump_until(function()
                return seen.data > before
            end, 5, "DATA for byte " .. i)
            for _, line in ipairs(lines(sock, EOL.Any)) do
                got[#got + 1] = line
            end
        end
        assert.same({ "", "a", "b", "c" }, got)
    end)

    it("2.2 EOL CrLf: LF with an optional CR before it; a lone CR is data", function()
        local sock, peer = pair()
        deliver(sock, peer, "a\r\nb\nc\rd\r\n\n\re\n")
        assert.same({ "a", "b", "c\rd", "", "\re" }, lines(sock, EOL.CrLf))
    end)

    it("2.2 EOL CrLf: a CR and LF cut by a packet boundary are one end of line", function()
        local sock, peer = pair()
        deliver(sock, peer, "a\r")
        assert.is_nil(sock:ReadLine(EOL.CrLf))
        deliver(sock, peer, "\nb\n")
        assert.same({ "a", "b" }, lines(sock, EOL.CrLf))
    end)

    it("2.2 EOL CrLfStrict: CR LF only; a lone LF is data", function()
        local sock, peer = pair()
        deliver(sock, peer, "a\nb\r\nc\rd\r\n\n\r\n")
        assert.same({ "a\nb", "c\rd", "\n" }, lines(sock, EOL.CrLfStrict))
    end)

    it("2.2 EOL CrLfStrict: a CR LF cut by a packet boundary is found", function()
        local sock, peer = pair()
        deliver(sock, peer, "a\r")
        assert.is_nil(sock:ReadLine(EOL.CrLfStrict))
        deliver(sock, peer, "\n")
        assert.equal("a", sock:ReadLine(EOL.CrLfStrict))
        assert.equal(0, sock.BufferLength)
    end)

    it("2.2 EOL Lf: LF; a CR before it stays in the line", function()
        local sock, peer = pair()
        deliver(sock, peer, "a\r\nb\n\nc\r")
        assert.same({ "a\r", "b", "" }, lines(sock, EOL.Lf))
        assert.equal("c\r", sock:Read(10))
    end)

    it("2.2 EOL Null: byte 0; CR and LF are data", function()
        local sock, peer = pair()
        deliver(sock, peer, "a\0b\r\n\0\0rest")
        assert.same({ "a", "b\r\n", "" }, lines(sock, EOL.Null))
        assert.equal("rest", sock:Read(10))
    end)

    it("2.2 EOL Custom: the string given, of one byte or of several", function()
        local sock, peer = pair()
        for _, mark in ipairs({ "\r\n\r\n", " >", "\n\n", "\r", "%d+", "." }) do
            deliver(sock, peer, "one" .. mark .. "two" .. mark)
            assert.same({ "one", "two" }, lines(sock, EOL.Custom, mark), mark)
            assert.equal(0, sock.BufferLength)
        end
    end)

    it("2.2 EOL Custom: an end of line cut anywhere by a packet boundary is found", function()
        local sock, peer = pair()
        local mark = "aab"
        for cut = 1, #mark - 1 do
            -- The "aa" before it is a false start.
            deliver(sock, peer, "line aa" .. mark:sub(1, cut))
            assert.is_nil(sock:ReadLine(EOL.Custom, mark))
            deliver(sock, peer, mark:sub(cut + 1) .. "!")
            assert.equal("line aa", sock:ReadLine(EOL.Custom, mark))
            assert.equal("!", sock:Read(10))
        end
    end)

    it("2.2 EOL Custom: missing or empty raises a Lua error", function()
        local sock, peer = pair()
        deliver(sock, peer, "line\n")
        assert_raises("custom", function()
            sock:ReadLine(EOL.Custom)
        end)
        assert_raises("custom", function()
            sock:ReadLine(EOL.Custom, "")
        end)
        assert.equal(5, sock.BufferLength)
    end)
end)

describe("Q-SYS TcpSocket: Search", function()
    it("2.2 Search: 1-based index of the first occurrence, or nil", function()
        local sock, peer = pair()
        assert.is_nil(sock:Search("x"))
        deliver(sock, peer, "abcabc")
        assert.equal(1, sock:Search("a"))
        assert.equal(3, sock:Search("c"))
        assert.equal(2, sock:Search("bcab"))
        assert.is_nil(sock:Search("x"))
    end)

    it("2.2 Search: begins at start, which is 1 when it is missing", function()
        local sock, peer = pair()
        deliver(sock, peer, "abcabc")
        assert.equal(1, sock:Search("abc", 1))
        assert.equal(4, sock:Search("abc", 2))
        assert.equal(4, sock:Search("abc", 4))
        assert.is_nil(sock:Search("abc", 5))
    end)

    it("2.2 Search: plain text, no patterns", function()
        local sock, peer = pair()
        deliver(sock, peer, "abc%a+.")
        assert.equal(4, sock:Search("%a+"))
        assert.equal(7, sock:Search("."))
        assert.is_nil(sock:Search("a.c"))
    end)

    it("2.2 Search: removes nothing", function()
        local sock, peer = pair()
        deliver(sock, peer, "GET / HTTP/1.0\r\n\r\n")
        assert.equal(15, sock:Search("\r\n\r\n"))
        assert.equal(18, sock.BufferLength)
        assert.equal("GET / HTTP/1.0\r\n\r\n", sock:Read(100))
    end)

    it("2.2 Search: counts from what is still unread and spans arrivals", function()
        local sock, peer = pair()
        deliver(sock, peer, "xx:en")
        assert.is_nil(sock:Search("end"))
        deliver(sock, peer, "d")
        assert.equal(4, sock:Search("end"))
        assert.equal("xx:", sock:Read(3))
        assert.equal(1, sock:Search("end"))
    end)

    it("2.2 Search: text that is no string raises at the caller's line", function()
        local sock = pair()
        assert_raises("search", function()
            sock:Search({})
        end)
    end)
end)

describe("Q-SYS TcpSocket: BufferLength", function()
    it("2.3 BufferLength: how many bytes can be read now", function()
        local sock, peer = pair()
        assert.equal(0, sock.BufferLength)
        deliver(sock, peer, "12345")
        assert.equal(5, sock.BufferLength)
        sock:ReadLine(EOL.Lf)
        assert.equal(5, sock.BufferLength)
        sock:Read(2)
        assert.equal(3, sock.BufferLength)
    end)

    it("2.3 BufferLength: a long answer of many segments is announced whole", function()
        local sock, peer = pair()
        local answer = ("0123456789abcdef"):rep(16384)
        peer:write(answer)
        helper.wait_field(sock, "BufferLength", #answer)
        assert.is_true(sock:Read(#answer) == answer)
    end)
end)
