-- Sockets with the same handlers share the table that holds them. No script may ever see that.

local helper = require "spec.helper"

local evsock = helper.evsock
local expect, never, pump_until = helper.expect, helper.never, helper.pump_until

local function nothing()
end

describe("sockets with the same handlers", function()
    after_each(helper.finish)

    it("have fields of their own, from connect and from socket", function()
        local server = helper.server { on_data = nothing, on_close = nothing }
        local options = { on_data = nothing, on_close = nothing }
        local makers = {
            function()
                return helper.track(evsock.connect("127.0.0.1", server.port, options))
            end,
            function()
                return helper.track(evsock.socket(options))
            end,
        }
        for _, make in ipairs(makers) do
            local one, other, third = make(), make(), make()
            one.name = "one"
            other.name = "other"
            assert.equal("one", one.name)
            assert.equal("other", other.name)
            assert.is_nil(third.name)
            assert.equal(nothing, third.on_data)
            assert.is_nil(options.name)
        end
    end)

    it("change a handler each for itself", function()
        local texts, heard = { "a", "b", "c" }, {}
        local server = helper.server {
            on_data = function(sock)
                sock:write(sock:read())
            end,
            on_close = nothing,
        }
        local function hear(sock)
            heard[#heard + 1] = sock.name .. sock:read()
        end
        local options = { on_data = never "the handler that was replaced", on_close = nothing }
        for i, text in ipairs(texts) do
            local sock = helper.track(evsock.connect("127.0.0.1", server.port, options))
            sock.name = i
            if i == 2 then
                sock.on_data = nil
                assert.is_nil(sock.on_data)
            else
                sock.on_data = hear
            end
            sock:write(text)
        end
        assert.is_function(options.on_data)
        pump_until(function() return #heard == 2 end)
        helper.pump_for(0.05)
        table.sort(heard)
        assert.same({ "1a", "3c" }, heard)
    end)

    it("keep what they were given when the script changes its table of options", function()
        local server = helper.server { on_data = nothing, on_close = nothing }
        local options = { on_connect = expect(nothing, 2), on_close = nothing }
        local one = helper.track(evsock.connect("127.0.0.1", server.port, options))
        local connect = options.on_connect
        options.on_connect = never "a handler given later"
        options.on_data = never "a handler given later"
        assert.is_nil(one.on_data)
        options.on_connect, options.on_data = connect, nil
        local other = helper.track(evsock.connect("127.0.0.1", server.port, options))
        pump_until(function() return one.state == "open" and other.state == "open" end)
    end)

    it("differ when one of them has a handler more or less", function()
        local few = { on_data = nothing }
        local more = { on_data = nothing, on_close = nothing }
        for _ = 1, 3 do
            local one, other = evsock.socket(few), evsock.socket(more)
            assert.is_nil(one.on_close)
            assert.equal(nothing, other.on_close)
            assert.is_nil(evsock.socket {}.on_data)
        end
    end)

    it("are told apart by a server that has accepted them", function()
        local heard, accepted = {}, 0
        local server = helper.server {
            on_accept = function(_, sock)
                accepted = accepted + 1
                if accepted == 2 then
                    sock.on_data = function(second)
                        heard[#heard + 1] = "second " .. second:read()
                    end
                end
            end,
            on_data = function(sock)
                heard[#heard + 1] = "any " .. sock:read()
            end,
            on_close = nothing,
        }
        for i = 1, 3 do
            helper.connect(server.port, { on_close = nothing }):write("x")
            pump_until(function() return #heard == i end)
        end
        assert.same({ "any x", "second x", "any x" }, heard)
    end)

    it("let go of handlers that no socket has any more", function()
        local seen = setmetatable({}, { __mode = "v" })
        do
            local mine = {}
            seen.mine = mine
            local sock = evsock.socket {
                on_data = function()
                    return mine
                end,
            }
            assert.is_function(sock.on_data)
        end
        helper.collect()
        assert.is_nil(seen.mine)
    end)
end)

describe("a timer", function()
    after_each(helper.finish)

    it("has fields of its own, before and after its turn, and when it is cancelled", function()
        local turns = 0
        local function turn()
            turns = turns + 1
        end
        local named, plain = evsock.after(0, turn), evsock.after(0, turn)
        named.name = "named"
        local cancelled = evsock.after(0, never "a cancelled timer")
        cancelled.name = "cancelled"
        cancelled:cancel()
        local every = helper.track(evsock.every(0.001, turn))
        every.name = "every"
        pump_until(function() return turns >= 4 end)
        assert.same({ "named", "cancelled", "every" }, { named.name, cancelled.name, every.name })
        assert.is_nil(plain.name)
        plain.name = "late"
        assert.equal("late", plain.name)
        assert.is_false(named.active)
    end)

    it("lets go of its function with its last turn, though the script keeps it", function()
        local seen, timers = setmetatable({}, { __mode = "v" }), {}
        for i = 1, 3 do
            local mine = {}
            seen[i] = mine
            timers[i] = evsock.after(0, function(argument)
                assert(mine and argument == 7)
            end, 7)
        end
        timers[2].name = "named"
        timers[3]:cancel()
        helper.pump_for(0.02)
        helper.collect()
        assert.same({}, { seen[1], seen[2], seen[3] })
        assert.equal("named", timers[2].name)
    end)

    it("passes its arguments on, nil ones too, and none if it has none", function()
        local got = {}
        local function take(...)
            got[#got + 1] = { n = select("#", ...), ... }
        end
        evsock.after(0, take)
        evsock.after(0, take, nil)
        evsock.after(0, take, 1, nil, 3, nil)
        pump_until(function() return #got == 3 end)
        assert.same({ { n = 0 }, { n = 1 }, { n = 4, 1, nil, 3 } }, got)
    end)
end)
