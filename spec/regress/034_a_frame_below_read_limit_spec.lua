-- The story: `max_frame = 100` let lines grow to `read_limit`, 1 MiB: the bound was looked at only
-- once reading stood still. And one that was whole when it was asked for was given, however long.

local helper = require "spec.helper"

-- Each asks for one line or block; `more` is what its end takes.
local readers = {
    read_line = { function(sock) return sock:read_line() end, "\n" },
    ["read_line of CR LF"] = { function(sock) return sock:read_line("crlf") end, "\r\n" },
    ["read_line of CR LF alone"] = { function(sock) return sock:read_line("strict") end, "\r\n" },
    ["read_line of any kind"] = { function(sock) return sock:read_line("any") end, "\r" },
    ["read_line of each kind"] = { function(sock) return sock:read_line("each") end, "\r" },
    ["read_line to a zero"] = { function(sock) return sock:read_line("null") end, "\0" },
    read_until = { function(sock) return sock:read_until("ab") end, "ab" },
    ["read_until with the text"] = {
        function(sock)
            local found = sock:read_until("ab", true)
            return found and found:sub(1, -3)
        end, "ab",
    },
    lines = { function(sock) return (sock:lines()()) end, "\n" },
    ["lines of any kind"] = { function(sock) return (sock:lines("any")()) end, "\n" },
}

local function filled(text, options)
    local got
    options.on_close = function(_, _, why) got = why or "orderly" end
    options.on_data = function() end
    local client, peer = helper.pair(options)
    peer:write(text)
    helper.pump_until(function() return client.buffered == #text end)
    return client, function()
        helper.pump_until(function() return got end, 5, "the end of the connection")
        return got
    end, peer
end

describe("regress 034", function()
    after_each(helper.finish)

    for name, ask in pairs {
        read_line = function(sock) return sock:read_line() end,
        read_until = function(sock) return sock:read_until("\0") end,
        read_exact = function(sock) return sock:read_exact(101) end,
    } do
        it(name .. " of more than max_frame closes with EMSGSIZE below read_limit", function()
            local code
            local client, peer = helper.pair({
                max_frame = 100,
                on_data = ask,
                on_close = helper.expect(function(_, _, why) code = why end, 1),
            })
            peer:write(("x"):rep(100))
            helper.pump_until(function() return code end, 5, "the end of the connection")
            assert.equal("EMSGSIZE", code)
            assert.equal(100, client.buffered)
        end)
    end

    for name, reader in pairs(readers) do
        local ask, ending = reader[1], reader[2]

        it(name .. " of more than max_frame closes with EMSGSIZE though all is there", function()
            local text = ("x"):rep(101 - #ending) .. ending .. "x"
            local client, ended = filled(text, { max_frame = 100 })
            assert.is_nil(ask(client))
            assert.equal("EMSGSIZE", ended())
            assert.is_nil(ask(client))
            assert.equal(text, client:read())
        end)

        it(name .. " of max_frame with its end is given", function()
            local text = ("x"):rep(100 - #ending)
            local client = filled(text .. ending .. "x", { max_frame = 100 })
            assert.equal(text, ask(client))
            assert.equal("x", client:read())
        end)
    end

    it("read_exact of more than max_frame closes with EMSGSIZE though all is there", function()
        local client, ended = filled(("x"):rep(300), { max_frame = 100 })
        assert.equal(100, #client:read_exact(100))
        assert.is_nil(client:read_exact(101))
        assert.equal("EMSGSIZE", ended())
        assert.equal(200, #client:read())
    end)

    for _, what in ipairs { "*l", 101, { until_ = "\n" } } do
        it(("receive of %s fails so"):format(type(what) == "table" and "a text" or what), function()
            local text = ("x"):rep(200) .. "\nshort\n"
            local client = filled(text, { max_frame = 100 })
            local data, _, code, rest = client:receive(what, 5)
            assert.is_nil(data)
            assert.equal("EMSGSIZE", code)
            assert.equal(text, rest)
        end)
    end

    -- Few bytes, and as many as make a loop look ahead.
    for _, count in ipairs { 3, 500 } do
        it(("a loop over %d lines ends before the one that is too long"):format(count), function()
            local short = (("y"):rep(60) .. "\n"):rep(count)
            local rest = ("x"):rep(100) .. "\n" .. short
            local client, ended = filled(short .. rest, { max_frame = 100 })
            local found = 0
            for line in client:lines() do
                found = found + 1
                assert.equal(60, #line)
            end
            assert.equal(count, found)
            assert.equal("EMSGSIZE", ended())
            assert.equal(rest, client:read())
        end)
    end

    it("a loop that pumps takes what comes meanwhile for no line of its own", function()
        local text = (("y"):rep(60) .. "\n"):rep(10)
        local client, _, peer = filled(text .. "part", { max_frame = 100 })
        client.on_close = helper.never("on_close")
        local found = 0
        for _ in client:lines() do
            found = found + 1
            local before = client.buffered
            peer:write(text)
            helper.pump_until(function() return client.buffered == before + #text end)
        end
        assert.equal(10, found)
        helper.pump_for(0.02)
        assert.equal("part" .. text:rep(10), client:read())
        client.on_close = nil
    end)

    it("max_frame can be set between two lines", function()
        local text = ("x"):rep(200) .. "\n"
        local client, ended = filled(text:rep(3), { max_frame = 300 })
        assert.equal(200, #client:read_line())
        client.max_frame = 100
        assert.is_nil(client:read_line())
        assert.equal("EMSGSIZE", ended())
        client.max_frame = 201
        assert.equal(200, #client:read_line())
    end)

    it("what is no longer than max_frame is taken", function()
        local lines = {}
        local _, peer = helper.pair({
            max_frame = 100,
            on_data = function(sock)
                for line in sock:lines() do
                    lines[#lines + 1] = line
                end
            end,
        })
        peer:write((("x"):rep(90) .. "\n"):rep(50))
        helper.pump_until(function() return #lines == 50 end)
    end)
end)
