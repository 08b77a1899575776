-- Who stays alive and who is collected (api.md, 1, "Life").

local helper = require "spec.helper"

local evsock = helper.evsock
local expect, pump_until = helper.expect, helper.pump_until

setup(helper.traces_off)
teardown(helper.traces_on)

local function collect()
    collectgarbage()
    collectgarbage()
end

local function weak_table()
    return setmetatable({}, { __mode = "k" })
end

-- Overwrites what finished calls left on the stack, where the collector may still see an object.
local function scrub(depth)
    depth = depth or 30
    local filler = depth * 2
    return depth > 0 and scrub(depth - 1) + filler or 0
end

local function gone(weak)
    return function()
        scrub()
        collect()
        return next(weak) == nil
    end
end

describe("a socket that nobody refers to", function()
    after_each(helper.finish)

    it("is collected after close between two attempts, though it has handlers", function()
        local weak, port = weak_table(), helper.free_port()
        for _ = 1, 5 do
            local options = { reconnect = 60, on_close = function() end }
            weak[evsock.connect("127.0.0.1", port, options)] = true
        end
        local function all_wait()
            for sock in pairs(weak) do
                if sock.state ~= "waiting" then
                    return false
                end
            end
            return true
        end
        pump_until(all_wait)
        for sock in pairs(weak) do
            sock:close()
        end
        pump_until(gone(weak))
        assert.equal(0, evsock.active())
    end)

    it("lives while connecting and open if it has a handler", function()
        local record = helper.server()
        local got
        local function start()
            evsock.connect("127.0.0.1", record.port, {
                on_data = expect(function(sock)
                    got = sock:read()
                    sock:abort()
                end, 1),
            })
        end
        start()
        scrub()
        collect()
        pump_until(function() return record.sockets[1] end)
        collect()
        helper.pump_for(0.02)
        collect()
        record.sockets[1]:write("still there")
        pump_until(function() return got end)
        assert.equal("still there", got)
    end)

    it("lives while resolving if it has a handler", function()
        local closed
        local function start()
            evsock.connect("nosuch.invalid", 1, {
                on_close = expect(function() closed = true end, 1),
            })
        end
        start()
        scrub()
        collect()
        pump_until(function()
            collect()
            return closed
        end, 15)
    end)

    -- What the handler, assigned later, of a connection that nothing refers to makes of the data.
    local function heard_unreferenced(tally, make)
        local record = helper.server()
        local got
        local function start()
            local sock = evsock.connect("127.0.0.1", record.port)
            sock.tally = tally
            sock.on_data = expect(function(self)
                got = make(self)
                self:abort()
            end, 1)
        end
        start()
        pump_until(function()
            collect()
            return record.sockets[1]
        end)
        record.sockets[1]:write("x")
        pump_until(function()
            collect()
            return got
        end)
        return got
    end

    it("lives when its handler was assigned later", function()
        assert.equal("x", heard_unreferenced(nil, function(sock) return sock:read() end))
    end)

    it("keeps its own fields and handlers while it lives", function()
        assert.equal("kept",
            heard_unreferenced({ "kept" }, function(sock) return sock.tally[1] end))
    end)

    it("is closed when collected if it has no handler", function()
        local record = helper.server()
        local weak = weak_table()
        local function start()
            weak[evsock.connect("127.0.0.1", record.port)] = true
        end
        start()
        local peer = pump_until(function() return record.sockets[1] end)
        peer.on_close = expect(1)
        pump_until(gone(weak))
        pump_until(function() return peer.state == "closed" end)
    end)

    it("is closed when collected after its last handler was removed", function()
        local record = helper.server()
        local weak = weak_table()
        local function start()
            local sock = evsock.connect("127.0.0.1", record.port, { on_data = print })
            weak[sock] = true
            pump_until(function() return sock.state == "open" and record.sockets[1] end)
            sock.on_data = nil
        end
        start()
        pump_until(gone(weak))
        pump_until(function() return record.sockets[1].state == "closed" end)
    end)

    it("accepted and without handler is closed when collected", function()
        local server = helper.track(assert(evsock.listen("127.0.0.1", 0, {
            on_accept = expect(function(_, sock) assert.equal("open", sock.state) end, 1),
        })))
        local client = helper.connect(server.port, { on_close = expect(1) })
        pump_until(function()
            scrub()
            collect()
            return client.state == "closed"
        end)
    end)

    it("accepted and with a handler lives", function()
        local server = helper.track(assert(evsock.listen("127.0.0.1", 0, {
            on_data = expect(function(sock)
                sock:write(sock:read():upper())
                sock:close()
            end, 1),
            on_accept = expect(1),
        })))
        local client = helper.connect(server.port)
        pump_until(function() return client.state == "open" end)
        helper.pump_for(0.02)
        collect()
        client:write("echo")
        pump_until(function()
            collect()
            return client.state == "closed"
        end)
        assert.equal("ECHO", client:read())
    end)

    it("lives while it has bytes to send, and all of them arrive", function()
        local record = helper.server()
        local count = 24 * 1024 * 1024
        local weak = weak_table()
        local function start()
            local sock = evsock.connect("127.0.0.1", record.port)
            weak[sock] = true
            local block = ("x"):rep(1024 * 1024)
            for _ = 1, 24 do
                sock:write(block)
            end
        end
        start()
        scrub()
        collect()
        local peer = pump_until(function() return record.sockets[1] end)
        local total, turns = 0, 0
        pump_until(function()
            -- Not in each of hundreds of turns: with all specs loaded it takes a while.
            turns = turns + 1
            if turns % 16 == 0 then
                collect()
            end
            local text = peer:read()
            while text do
                total = total + #text
                text = peer:read()
            end
            return total >= count
        end, 10)
        assert.equal(count, total)
        pump_until(gone(weak))
        pump_until(function() return peer.state == "closed" end)
    end)
end)

describe("an object whose handler captures it", function()
    after_each(helper.finish)

    for _, ending in ipairs { "close", "abort" } do
        it(("is collectable after %s"):format(ending), function()
            local record = helper.server()
            local weak = weak_table()
            local function start()
                local sock = evsock.connect("127.0.0.1", record.port)
                sock.on_data = function() sock:read() end
                sock.on_close = function() return sock end
                sock.self = sock
                weak[sock] = true
                pump_until(function() return sock.state == "open" end)
                sock[ending](sock)
                pump_until(function() return sock.state == "closed" end)
            end
            start()
            pump_until(gone(weak))
        end)
    end

    it("is collectable after the peer closed and after a refused attempt", function()
        local record = helper.server()
        local weak = weak_table()
        local function start(port)
            local sock
            sock = evsock.connect("127.0.0.1", port, { on_close = function() return sock end })
            weak[sock] = true
        end
        start(record.port)
        start(helper.free_port())
        pump_until(function() return record.sockets[1] end)
        record.sockets[1]:close()
        pump_until(gone(weak))
    end)

    it("is collectable when it was never connected", function()
        local weak = weak_table()
        local function start()
            local sock
            sock = evsock.socket({ on_data = function() return sock end })
            sock.on_close = function() return sock end
            weak[sock] = true
        end
        for _ = 1, 10 do
            start()
        end
        pump_until(gone(weak))
        assert.equal(0, evsock.active())
    end)

    it("is a server: collectable after close", function()
        local weak = weak_table()
        local function start()
            local server
            server = assert(evsock.listen("127.0.0.1", 0, {
                on_accept = function() return server end,
            }))
            weak[server] = true
            server:close()
        end
        start()
        pump_until(function()
            evsock.pump()
            return gone(weak)()
        end)
    end)

    it("is an accepted socket: collectable after the peer closed", function()
        local weak = weak_table()
        local count = 0
        local server = helper.track(assert(evsock.listen("127.0.0.1", 0, {
            on_accept = function(_, sock)
                sock.on_data = function() return sock end
                weak[sock] = true
                count = count + 1
            end,
        })))
        local client = helper.connect(server.port)
        pump_until(function() return count == 1 end)
        client:close()
        pump_until(gone(weak))
    end)
end)

describe("a server that nobody refers to", function()
    after_each(helper.finish)

    it("is collected once its handler is taken off, though it listens at two addresses", function()
        local weak = weak_table()
        for _, host in ipairs { "*", "127.0.0.1" } do
            local server = assert(evsock.listen(host, 0, { on_accept = function() end }))
            weak[server] = host
        end
        collect()
        local count = 0
        for server in pairs(weak) do
            count = count + 1
            server.on_accept = nil
        end
        assert.equal(2, count)
        pump_until(gone(weak))
    end)
end)

describe("collecting", function()
    after_each(helper.finish)

    it("an object with events queued is harmless", function()
        local record = helper.server()
        for _ = 1, 20 do
            local function start()
                evsock.connect("127.0.0.1", record.port):write("x")
            end
            start()
        end
        pump_until(function() return #record.sockets == 20 end)
        for _, peer in ipairs(record.sockets) do
            peer:write("queued for somebody who is gone")
        end
        local deadline = evsock.now() + 0.03
        while evsock.now() < deadline do
            math.sin(1)
        end
        scrub()
        collect()
        helper.pump_for(0.05)
        collect()
        helper.pump_for(0.02)
    end)

    it("in every handler is harmless", function()
        local record = helper.server({
            on_accept = expect(1),
            on_data = expect(function(sock) sock:write(sock:read()) end),
            on_close = expect(1),
        })
        local client = helper.connect(record.port, {
            on_connect = expect(function(sock) sock:write("hello") end, 1),
            on_data = expect(function(sock)
                if sock.buffered == 5 then
                    sock:close()
                end
            end),
            on_close = expect(1),
        })
        pump_until(function()
            return client.state == "closed" and record.sockets[1].state == "closed"
        end)
    end)

    it("thousands of idle sockets leaves nothing active", function()
        for _ = 1, 3000 do
            evsock.socket({ on_data = print })
        end
        collect()
        assert.equal(0, evsock.active())
    end)
end)

-- Lua before 5.4 cannot parse it.
if load and _VERSION >= "Lua 5.4" then
    describe("<close>", function()
        after_each(helper.finish)

        it("closes a socket at the end of its block", function()
            local record = helper.server()
            local sock, state = load([[
                local evsock, port, pump_until = ...
                local kept
                do
                    local sock <close> = evsock.connect("127.0.0.1", port)
                    kept = sock
                    pump_until(function() return sock.state == "open" end)
                end
                return kept, kept.state
            ]])(evsock, record.port, pump_until)
            assert.is_true(state == "closing" or state == "closed")
            pump_until(function() return sock.state == "closed" end)
        end)

        it("closes a socket when an error leaves its block", function()
            local client, peer = helper.pair()
            local ok = pcall(load([[
                local client <close> = ...
                error("out")
            ]]), client)
            assert.is_false(ok)
            pump_until(function() return peer.state == "closed" end)
        end)

        it("closes a server and cancels a timer", function()
            local server = assert(evsock.listen("127.0.0.1", 0))
            local timer = evsock.after(10, print)
            load("local server <close> = ...")(server)
            load("local timer <close> = ...")(timer)
            assert.is_false(timer.active)
            pump_until(function() return evsock.active() == 0 end)
        end)
    end)
end

describe("a script that uses little", function()
    it("makes each of its collections mark less than 210 KiB of ours", function()
        local output, status = helper.run([[
            collectgarbage()
            collectgarbage()
            local before = collectgarbage("count")
            require "evsock"
            collectgarbage()
            collectgarbage()
            print(collectgarbage("count") - before)
        ]])
        assert.equal(0, status, output)
        assert.is_true(tonumber(output) < 210, output)
    end)
end)
