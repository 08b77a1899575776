-- A real redis-server as the peer, over TCP and over its Unix socket.

local helper = require "spec.helper"
local daemon = require "spec.peers.daemon"
local example = require "spec.peers.example"

local MIB = 1024 * 1024

local function command(...)
    local words = { ... }
    for i, word in ipairs(words) do
        words[i] = "$" .. #word .. "\r\n" .. word .. "\r\n"
    end
    return "*" .. #words .. "\r\n" .. table.concat(words)
end

-- Every byte value, and a number every 264 bytes: a lost, doubled or moved piece shows.
local function big_value(size)
    local bytes, pieces = {}, {}
    for i = 0, 255 do
        bytes[i + 1] = string.char(i)
    end
    local all = table.concat(bytes)
    for i = 1, math.ceil(size / 264) do
        pieces[2 * i - 1] = ("%08d"):format(i)
        pieces[2 * i] = all
    end
    return table.concat(pieces):sub(1, size)
end

describe("redis", function()
    local redis = daemon.for_block(setup, teardown, daemon.redis)
    after_each(helper.finish)

    for _, way in ipairs(daemon.ways) do
        describe("over " .. way .. ":", function()
            it("1,000 commands in one write are answered in order", function()
                local commands = {}
                for i = 1, 1000 do
                    commands[i] = command("ECHO", "word " .. i)
                end
                local words = {}
                local sock = redis:connect(way)
                sock.on_data = helper.expect(function()
                    for line in sock:lines() do
                        words[#words + 1] = line:match("^word (%d+)$")
                    end
                end)
                assert.is_true(sock:write(table.concat(commands)))
                helper.pump_until(function() return #words >= 1000 end, 5 * helper.slow)
                for i = 1, 1000 do
                    assert.equal(i, tonumber(words[i]))
                end
                assert.equal(1000, #words)
                assert.equal(0, sock.buffered)
            end)

            it("a value of 10 MB comes back byte for byte", function()
                local value = big_value(10 * MIB)
                local sock = redis:connect(way)
                assert.is_true(sock:send(command("SET", "big", value), 10 * helper.slow))
                assert.equal("+OK", sock:receive("*l", 10 * helper.slow))
                sock:write(command("GET", "big"), command("DEL", "big"))
                assert.equal("$" .. #value, sock:receive("*l", 10 * helper.slow))
                -- Not assert.equal: a difference would print both.
                assert.is_true(value == sock:receive(#value, 10 * helper.slow))
                assert.equal("", sock:receive("*l", 10 * helper.slow))
                assert.equal(":1", sock:receive("*l", 10 * helper.slow))
            end)

            it("a subscriber hears 1,000 messages of another client in order", function()
                local subscriber = redis:connect(way)
                subscriber:write(command("SUBSCRIBE", "news"))
                local begun = command("subscribe", "news"):gsub("^%*2", "*3") .. ":1\r\n"
                assert.equal(begun, subscriber:receive(#begun, 5 * helper.slow))
                local heard, wanted = {}, {}
                subscriber.on_data = helper.expect(function(sock)
                    heard[#heard + 1] = sock:read()
                end)
                local publisher = redis:connect(way)
                for i = 1, 1000 do
                    local text = "message " .. i
                    wanted[i] = command("message", "news", text)
                    publisher:write(command("PUBLISH", "news", text))
                end
                for _ = 1, 1000 do
                    assert.equal(":1", publisher:receive("*l", 5 * helper.slow))
                end
                wanted = table.concat(wanted)
                helper.pump_until(function()
                    return #table.concat(heard) >= #wanted
                end, 5 * helper.slow)
                assert.is_true(wanted == table.concat(heard))
            end)

            it("a connection that redis ends closes once, after its last answer", function()
                local events = {}
                local sock = redis:connect(way)
                sock.on_data = helper.expect(function()
                    events[#events + 1] = sock:read()
                end)
                sock.on_close = helper.expect(function(_, message, code)
                    events[#events + 1] = "closed " .. tostring(message) .. " " .. tostring(code)
                end, 1)
                sock:write(command("QUIT"))
                helper.pump_until(function()
                    return sock.state == "closed" and helper.calls(sock.on_close) > 0
                end)
                assert.same({ "+OK\r\n", "closed nil nil" }, events)
            end)

            it("the example of a pipeline prints what it promises", function()
                local host, port = redis:address(way)
                local said, status = example.run("examples/redis.lua",
                    { HOST = host, PORT = port or "" })
                assert.equal("1000 commands in one write: 1000 answers, in order\n"
                    .. "a value of 10485760 bytes: OK\nread back byte for byte: true\n", said)
                assert.equal(0, status)
            end)

            it("the example of a subscription prints what it promises", function()
                local host, port = redis:address(way)
                local said, status = example.run("examples/redis_subscribe.lua",
                    { HOST = host, PORT = port or "" })
                -- Each connection has an order, the two together have none.
                local heard, others = {}, {}
                for line in said:gmatch("[^\n]+") do
                    local list = line:find("^heard") and heard or others
                    list[#list + 1] = line
                end
                assert.same(
                    { "heard: hello", "heard: a word with spaces", "heard: goodbye" }, heard)
                local one = "listeners: 1"
                assert.same({ "subscriptions: 1", one, one, one }, others)
                assert.equal(0, status, said)
            end)
        end)
    end
end)
