-- A script that takes its connections by `accept()` alone and never pumps: the announcement of each
-- of them waited for ever, and so did the tokens of connections that were long gone. Each call that
-- found nobody made a socket for nothing.

local helper = require "spec.helper"
local evsock = helper.evsock

describe("regress 009", function()
    after_each(helper.finish)

    it("a server that accepts and never pumps keeps its size", function()
        local output, status = helper.run([[
            local evsock = require "evsock"
            local server = assert(evsock.listen("127.0.0.1", 0))
            local function serve(count)
                for i = 1, count do
                    local client, sock = evsock.connect("127.0.0.1", server.port), nil
                    repeat
                        sock = server:accept()
                    until sock
                    sock:close()
                    client:close()
                    if i % 100 == 0 then
                        collectgarbage()
                    end
                end
                local file = io.open("/proc/self/status")
                local kib = file:read("*a"):match("VmRSS:%s*(%d+)")
                file:close()
                return tonumber(kib)
            end
            local before = serve(4000)
            print(serve(10000) - before)
        ]])
        assert.are.equal(0, status, output)
        -- Announcement and tokens took more than 50 bytes a connection.
        assert.is_true(tonumber(output) < 300, output)
    end)

    it("looking for nobody makes nothing", function()
        local server = helper.track(assert(evsock.listen("127.0.0.1", 0)))
        server:accept()
        collectgarbage()
        collectgarbage("stop")
        local before = collectgarbage("count")
        for _ = 1, 1000 do
            server:accept()
        end
        local grown = collectgarbage("count") - before
        collectgarbage("restart")
        -- An object a call would be hundreds of KiB; LuaJIT needs some for its traces.
        assert.is_true(grown < 64, grown)
    end)

    it("whoever accepts now and then sees each connection once, in order", function()
        local got, wanted = {}, {}
        local server
        local function take(sock)
            if sock then
                got[#got + 1] = helper.track(sock).peer_port
            end
        end
        server = helper.track(assert(evsock.listen("127.0.0.1", 0, {
            on_accept = function(_, sock)
                take(sock)
                if #got % 5 == 0 then
                    take(server:accept())
                end
            end,
        })))
        for i = 1, 60 do
            -- Unpumped: it stands once the system says so.
            local client = helper.connect(server.port)
            local deadline = evsock.now() + 5 * helper.slow
            repeat
                local stands = client:look()
            until stands or evsock.now() > deadline
            wanted[i] = client:info().local_port
            if i % 3 == 0 then
                take(server:accept())
            end
            if i % 7 == 0 then
                evsock.pump()
            end
        end
        helper.pump_until(function() return #got == #wanted end)
        assert.are.same(wanted, got)
        helper.pump_for(0.02)
        assert.are.equal(60, #got)
    end)
end)
