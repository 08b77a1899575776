-- The reading methods of a socket (api.md, 2): how bytes become blocks, lines and fields.

local helper = require "spec.helper"

local evsock = helper.evsock
local pump_until, fill = helper.pump_until, helper.fill

local function filled(text)
    local client, peer = helper.pair()
    fill(client, peer, text)
    return client, peer
end

local function all_lines(client, kind)
    local lines = {}
    local line = client:read_line(kind)
    while line do
        lines[#lines + 1] = line
        line = client:read_line(kind)
    end
    return lines
end

describe("reading", function()
    after_each(helper.finish)

    describe("read", function()
        it("takes all when n is missing", function()
            local client = filled("abcdef")
            assert.equal("abcdef", client:read())
            assert.equal(0, client.buffered)
        end)

        it("takes up to n bytes", function()
            local client = filled("abcdef")
            assert.equal("abcd", client:read(4))
            assert.equal("ef", client:read(4))
        end)

        it("returns nil when nothing is buffered", function()
            local client = helper.pair()
            assert.is_nil(client:read())
            assert.is_nil(client:read(5))
            assert.is_nil(evsock.socket():read())
        end)

        it("of 0 bytes gives an empty string, even when nothing is buffered", function()
            local client = filled("x")
            assert.equal("", client:read(0))
            assert.equal(1, client.buffered)
            client:read()
            assert.equal("", client:read(0))
            assert.equal("", client:read_exact(0))
            assert.equal("", evsock.socket():read(0))
        end)

        it("takes a number with an integral value", function()
            local client = filled("abcdef")
            assert.equal("abc", client:read(3.0))
        end)

        it("gives bytes as they are", function()
            local client = filled("\0\255\r\n\0")
            assert.equal("\0\255\r\n\0", client:read())
        end)
    end)

    describe("read_exact", function()
        it("takes exactly n bytes or returns nil and takes none", function()
            local client, peer = filled("abc")
            assert.is_nil(client:read_exact(4))
            assert.equal(3, client.buffered)
            fill(client, peer, "de")
            assert.equal("abcd", client:read_exact(4))
            assert.equal("e", client:read())
        end)

        it("returns nil on a socket that was never connected", function()
            assert.is_nil(evsock.socket():read_exact(1))
        end)
    end)

    describe("read_line", function()
        local cases = {
            { nil, "a\nb\r\n\nc", { "a", "b", "" }, "c", "LF with an optional CR before it" },
            { "crlf", "a\r\n\r\nb\rc\nd\r", { "a", "", "b\rc" }, "d\r", "the default" },
            { "strict", "a\nb\r\n\r\nc\rd\n", { "a\nb", "" }, "c\rd\n", "CR LF only" },
            { "lf", "a\r\n\nb\r", { "a\r", "" }, "b\r", "LF only, a CR stays" },
            { "null", "a\n\0\0b\r\n", { "a\n", "" }, "b\r\n", "a zero byte" },
            { "any", "a\rb\nc\r\nd\r\n\r\ne", { "a", "b", "c", "d" }, "e", "a run of CR and LF" },
        }
        for _, case in ipairs(cases) do
            local kind, text, lines, rest, meaning = case[1], case[2], case[3], case[4], case[5]
            it(("of kind %s ends at %s"):format(tostring(kind), meaning), function()
                local client = filled(text)
                assert.same(lines, all_lines(client, kind))
                assert.equal(rest, client:read())
            end)

            it(("of kind %s finds the same in single bytes"):format(tostring(kind)), function()
                local client, peer = helper.pair()
                local found = {}
                for i = 1, #text do
                    fill(client, peer, text:sub(i, i))
                    if kind ~= "any" then
                        for _, line in ipairs(all_lines(client, kind)) do
                            found[#found + 1] = line
                        end
                    end
                end
                -- A run that is cut into arrivals has no end that could be seen yet.
                if kind == "any" then
                    found = all_lines(client, kind)
                end
                assert.same(lines, found)
                assert.equal(rest, client:read())
            end)
        end

        it("of kind each ends at LF, CR LF or CR, one each, however they arrive", function()
            local text = "a\rb\n\nc\r\n\r\r\n\nd\r\nrest"
            local lines = { "a", "b", "", "c", "", "", "", "d" }
            local client, peer = filled(text)
            assert.same(lines, all_lines(client, "each"))
            assert.equal("rest", client:read())
            local found, told = {}, 0
            client.on_data = function(_, n)
                told = told + n
                for _, line in ipairs(all_lines(client, "each")) do
                    found[#found + 1] = line
                end
            end
            for i = 1, #text do
                peer:write(text:sub(i, i))
                pump_until(function() return client:info().bytes_in == #text + i end, 5, "the byte")
                helper.evsock.pump()
            end
            assert.same(lines, found)
            assert.equal("rest", client:read())
            -- The LF of three pairs was never there to be read.
            assert.equal(#text - 3, told)
        end)

        it("returns nil while no whole line is buffered, and takes nothing", function()
            local client, peer = filled("half a li")
            assert.is_nil(client:read_line())
            assert.equal(9, client.buffered)
            fill(client, peer, "ne\r")
            assert.is_nil(client:read_line("strict"))
            fill(client, peer, "\n")
            assert.equal("half a line", client:read_line("strict"))
            assert.is_nil(client:read_line())
            assert.is_nil(evsock.socket():read_line())
        end)

        it("finds whole lines whatever was searched for before", function()
            local client, peer = filled("a\rb")
            assert.is_nil(client:read_line())
            assert.is_nil(client:read_until("c"))
            assert.equal("a", client:read_line("any"))
            fill(client, peer, "\n")
            assert.equal("b", client:read_line())
        end)

        it("gets random lines out of random pieces", function()
            local client, peer = helper.pair()
            local lines, total = {}, 0
            for i = 1, 2000 do
                lines[i] = ("x"):rep(math.random(0, 60)) .. i
                total = total + #lines[i] + 2
            end
            local text = table.concat(lines, "\r\n") .. "\r\n"
            assert.equal(total, #text)
            local found = {}
            client.on_data = helper.expect(function(sock)
                local line = sock:read_line()
                while line do
                    found[#found + 1] = line
                    line = sock:read_line()
                end
            end)
            local position = 1
            while position <= #text do
                local size = math.random(1, 2000)
                peer:write(text:sub(position, position + size - 1))
                position = position + size
                evsock.pump()
            end
            pump_until(function() return #found == 2000 end)
            assert.same(lines, found)
            assert.equal(0, client.buffered)
        end)
    end)

    describe("read_until", function()
        it("takes the text before the delimiter and removes the delimiter", function()
            local client = filled("key=value;rest")
            assert.equal("key", client:read_until("="))
            assert.equal("value", client:read_until(";"))
            assert.is_nil(client:read_until(";"))
            assert.equal("rest", client:read())
        end)

        it("with keep takes it up to and including the delimiter", function()
            local client = filled("a<end>b<end>c")
            assert.equal("a<end>", client:read_until("<end>", true))
            assert.equal("b", client:read_until("<end>", false))
            assert.equal("c", client:read())
        end)

        it("takes the delimiter plainly, as bytes", function()
            local client = filled("a.b%d\0\0c")
            assert.equal("a", client:read_until("."))
            assert.equal("b", client:read_until("%d"))
            assert.equal("", client:read_until("\0"))
            assert.equal("\0", client:read_until("\0", true))
        end)

        it("finds a delimiter that comes in pieces", function()
            local client, peer = filled("text<e")
            assert.is_nil(client:read_until("<end>"))
            fill(client, peer, "n")
            assert.is_nil(client:read_until("<end>"))
            fill(client, peer, "d>more")
            assert.equal("text", client:read_until("<end>"))
            assert.equal("more", client:read())
        end)

        it("finds the first of delimiters that overlap", function()
            local client = filled("aaab")
            assert.equal("a", client:read_until("aab"))
        end)
    end)

    describe("lines", function()
        it("iterates over the whole lines in the buffer", function()
            local client = filled("a\r\nb\n\nrest")
            local lines = {}
            for line in client:lines() do
                lines[#lines + 1] = line
            end
            assert.same({ "a", "b", "" }, lines)
            assert.equal("rest", client:read())
        end)

        it("takes the kinds of read_line", function()
            local client = filled("a\0b\0c")
            local lines = {}
            for line in client:lines("null") do
                lines[#lines + 1] = line
            end
            assert.same({ "a", "b" }, lines)
        end)

        it("gives at most what was buffered when it was made", function()
            local client, peer = filled("a\nb\nc")
            local lines = {}
            for line in client:lines() do
                lines[#lines + 1] = line
                fill(client, peer, "more\n")
            end
            assert.same({ "a", "b" }, lines)
            assert.equal("cmore", client:read_line())
            assert.equal("more", client:read_line())
        end)

        it("may be left in the middle", function()
            local client = filled("a\nb\nc\n")
            for line in client:lines() do
                if line == "b" then
                    break
                end
            end
            assert.equal("c", client:read_line())
        end)

        -- LuaJIT takes another way where much is buffered, and the first for lines that are long.
        it("gives of much what read_line gives, in every kind", function()
            local ends = {
                any = { "\n", "\r\n", "\r\r\n\n" }, each = { "\n", "\r\n", "\r" },
                crlf = { "\n", "\r\n" }, strict = { "\r\n" }, lf = { "\n" }, null = { "\0" },
            }
            for kind, ways in pairs(ends) do
                local pieces, wanted = {}, {}
                for i = 1, 400 do
                    local length = i % 50 == 0 and 900 + i or i % 7
                    wanted[i] = ("%d:"):format(i) .. ("y"):rep(length)
                    pieces[i] = wanted[i] .. ways[i % #ways + 1]
                end
                local client = filled(table.concat(pieces) .. "rest")
                local lines = {}
                for line in client:lines(kind) do
                    lines[#lines + 1] = line
                end
                assert.same(wanted, lines)
                assert.equal("rest", client:read())
            end
        end)

        it("takes from much no more than it has given", function()
            local client = filled(("0123456789\n"):rep(300) .. "rest")
            local count = 0
            for line in client:lines() do
                assert.equal("0123456789", line)
                count = count + 1
                assert.equal((300 - count) * 11 + 4, client.buffered)
                if count % 3 == 0 then
                    assert.equal("0123456789", client:read_line())
                    count = count + 1
                end
                if count == 200 then
                    break
                end
            end
            assert.equal(("0123456789\n"):rep(100) .. "rest", client:read())
        end)

        it("lets reading go on that had stopped at read_limit", function()
            local client, peer = helper.pair({ read_limit = 4096 })
            local wanted = math.ceil(20000 / helper.fewer)
            peer:write(("0123456789\n"):rep(wanted))
            local count = 0
            pump_until(function()
                for line in client:lines() do
                    assert.equal("0123456789", line)
                    count = count + 1
                end
                return count == wanted
            end, 5, "all lines")
        end)

        it("gives nothing when there is no whole line", function()
            local client = filled("abc")
            for _ in client:lines() do
                error("no line was expected")
            end
            assert.equal(3, client.buffered)
        end)
    end)

    describe("search", function()
        it("tells the 1-based index or nil, and removes nothing", function()
            local client = filled("hello world")
            assert.equal(1, client:search("hello"))
            assert.equal(5, client:search("o"))
            assert.is_nil(client:search("x"))
            assert.equal(11, client.buffered)
            assert.is_nil(evsock.socket():search("x"))
        end)

        it("begins at start", function()
            local client = filled("abcabc")
            assert.equal(1, client:search("abc", 1))
            assert.equal(4, client:search("abc", 2))
            assert.is_nil(client:search("abc", 5))
            assert.is_nil(client:search("abc", 100))
        end)

        it("takes the text plainly", function()
            local client = filled("aXb.c\0d")
            assert.equal(4, client:search("."))
            assert.equal(6, client:search("\0"))
        end)
    end)

    describe("peek", function()
        it("is read that removes nothing", function()
            local client = filled("abc")
            assert.equal("ab", client:peek(2))
            assert.equal("abc", client:peek())
            assert.equal("abc", client:peek(10))
            assert.equal("", client:peek(0))
            assert.equal("abc", client:read())
            assert.is_nil(client:peek())
        end)
    end)

    it("mixes all ways of reading on one buffer", function()
        local client = filled("line\r\n12345field;tail")
        assert.equal("line", client:read_line())
        assert.equal("123", client:read_exact(3))
        assert.equal(3, client:search("f"))
        assert.equal("45field", client:read_until(";"))
        assert.equal("t", client:peek(1))
        assert.equal("tail", client:read())
    end)

    it("goes on in the unread bytes of a closed socket", function()
        local client, peer = filled("a\nb;cd")
        peer:close()
        pump_until(function() return client.state == "closed" end)
        assert.equal("a", client:read_line())
        assert.equal("b", client:read_until(";"))
        assert.equal(2, client:search("d"))
        assert.equal("c", client:read_exact(1))
        assert.equal("d", client:read())
        assert.is_nil(client:read())
    end)

    describe("misuse", function()
        it("raises at the caller's line and names the argument", function()
            local sock = evsock.socket()
            helper.misuse(function() sock:read({}) end, "bad argument 'n' to 'read'")
            helper.misuse(function() sock:peek("x") end, "bad argument 'n' to 'peek'")
            helper.misuse(function() sock:read_exact() end, "bad argument 'n' to 'read_exact'")
            helper.misuse(function() sock:read_line(1) end, "bad argument 'kind' to 'read_line'")
            helper.misuse(function() sock:read_line("x") end, "bad argument 'kind' to 'read_line'")
            helper.misuse(function() sock:lines("x") end, "bad argument 'kind' to 'lines'")
            helper.misuse(function() sock:read_until() end, "'delimiter' to 'read_until'")
            helper.misuse(function() sock:read_until({}) end, "'delimiter' to 'read_until'")
            helper.misuse(function() sock:search() end, "bad argument 'text' to 'search'")
            helper.misuse(function() sock:search("x", {}) end, "bad argument 'start' to 'search'")
        end)

        it("takes nothing out of the buffer", function()
            local client = filled("abc\n")
            pcall(client.read, client, {})
            pcall(client.read_line, client, "x")
            pcall(client.read_until, client, nil)
            assert.equal("abc", client:read_line())
        end)
    end)
end)
