-- Q-SYS TcpSocket, reading: what comes out does not depend on how the stream was cut into segments.
-- For each kind of reading 2,000 short texts over one connection, cut at random, against an oracle
-- that has seen the whole text at once and is as naive as can be.
-- dialects.md 2.2, and the properties that the issue of the dialects asks for.

local helper = require "spec.helper"
local TcpSocket = require("evsock.qsys").TcpSocket

local EOL = TcpSocket.EOL
local CASES = math.ceil(2000 / helper.fewer)

local random = helper.dice(7)

local function text_of(letters)
    local parts = {}
    for i = 1, random(9) do
        parts[i] = letters[random(#letters)]
    end
    -- The end that no reading takes, so that one case leaves nothing over for the next.
    return table.concat(parts) .. "|"
end

local function pair()
    local server = helper.server()
    local sock = helper.track(TcpSocket.New())
    sock:Connect("127.0.0.1", server.port)
    helper.pump_until(function()
        return sock.IsConnected and server.sockets[1]
    end, 5, "the pair is connected")
    return sock, server.sockets[1]
end

-- Sends texts of these letters in pieces, each an arrival of its own; after each piece
-- `take(sock, list)` appends what it reads. What stays in the buffer is the rest.
local function check(letters, take, oracle)
    local sock, peer = pair()
    for case = 1, CASES do
        local text, from, list = text_of(letters), 1, {}
        while from <= #text do
            local to = math.min(#text, from + random(4) - 1)
            local wanted = sock.BufferLength + to - from + 1
            peer:write(text:sub(from, to))
            helper.wait_field(sock, "BufferLength", wanted)
            take(sock, list)
            from = to + 1
        end
        list.rest = sock:Read(100) or ""
        local lines, rest = oracle(text, list)
        local got = table.concat(list, "\1") .. "\2" .. list.rest
        local expected = table.concat(lines, "\1") .. "\2" .. rest
        if got ~= expected then
            error(("case %d: %q gave %q, expected %q"):format(case, text, got, expected), 0)
        end
    end
end

local function lines_of(...)
    local count, kind, custom = select("#", ...), ...
    return function(sock, list)
        while true do
            local line
            if count == 1 then
                line = sock:ReadLine(kind)
            else
                line = sock:ReadLine(kind, custom)
            end
            if line == nil then return end
            list[#list + 1] = line
        end
    end
end

-- Lines up to the first of the ends, which are Lua patterns in the order in which they win.
local function oracle_of(pattern)
    return function(text)
        local lines, place = {}, 1
        while true do
            local first, last = text:find(pattern, place)
            if not first then return lines, text:sub(place) end
            lines[#lines + 1] = text:sub(place, first - 1)
            place = last + 1
        end
    end
end

describe("Q-SYS TcpSocket: cut at random", function()
    after_each(helper.finish)

    it("2.2 ReadLine: EOL.Any gives the same lines", function()
        check({ "\r", "\n", "\r\n", "a", "bc" }, lines_of(EOL.Any), oracle_of("[\r\n]+"))
    end)

    it("2.2 ReadLine: EOL.CrLf gives the same lines", function()
        check({ "\r", "\n", "\r\n", "a", "bc" }, lines_of(EOL.CrLf), function(text)
            local lines, rest = oracle_of("\n")(text)
            for i, line in ipairs(lines) do
                lines[i] = line:gsub("\r$", "")
            end
            return lines, rest
        end)
    end)

    it("2.2 ReadLine: EOL.CrLfStrict gives the same lines", function()
        check({ "\r", "\n", "\r\n", "a", "bc" }, lines_of(EOL.CrLfStrict), oracle_of("\r\n"))
    end)

    it("2.2 ReadLine: EOL.Lf gives the same lines", function()
        check({ "\r", "\n", "\r\n", "a", "bc" }, lines_of(EOL.Lf), oracle_of("\n"))
    end)

    it("2.2 ReadLine: EOL.Null gives the same lines", function()
        local zero = _VERSION == "Lua 5.1" and "%z" or "\0"
        check({ "\0", "\0\0", "\n", "a", "bc" }, lines_of(EOL.Null), oracle_of(zero))
    end)

    it("2.2 ReadLine: EOL.Custom gives the same lines", function()
        check({ "a", "ab", "aab", "b", "\0", "xyz" }, lines_of(EOL.Custom, "aab"),
            oracle_of("aab"))
    end)

    it("2.2 Read: the pieces add up to the text", function()
        check({ "a", "\0", "\r\n", "bcd" }, function(sock, list)
            list[1] = (list[1] or "") .. (sock:Read(random(3) - 1) or "")
        end, function(text, list)
            -- Where one ends and the other begins is chance.
            local begun = #list[1]
            return { text:sub(1, begun) }, text:sub(begun + 1)
        end)
    end)

    it("2.2 Search: finds the same place, as soon as it is there", function()
        check({ "a", "ab", "aab", "b", "\0" }, function(sock, list)
            local place = sock:Search("ab\0")
            if list[1] then
                assert.equal(list[1], tostring(place))
            elseif place then
                list[1] = tostring(place)
            end
        end, function(text)
            local place = text:find("ab\0", 1, true)
            return { place and tostring(place) or nil }, text
        end)
    end)
end)
