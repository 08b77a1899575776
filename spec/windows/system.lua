-- What Windows has in a way of its own, over the real system (or wine): what is refused by name,
-- the numbers of errors behind our codes, Ctrl-C, a foreign loop's `select`.
--
-- Run by `.ci/windows` alone, hence no name that ends in "_spec". Not here: what is the same
-- everywhere, which the other specs show on Windows, too.

local helper = require "spec.helper"

local evsock = helper.evsock
local unpack = rawget(_G, "unpack") or table.unpack
local expect, pump_until = helper.expect, helper.pump_until

describe("on Windows", function()
    after_each(helper.finish)

    it("serves 1,000 connections with one exchange each", function()
        local record = helper.server {
            backlog = 1000,
            on_data = function(sock) sock:write(sock:read()) end,
        }
        local answered = 0
        for i = 1, 1000 do
            local sock = helper.connect(record.port)
            local sent = "number " .. i .. "\n"
            function sock.on_connect() sock:write(sent) end
            function sock.on_data()
                if sock:read_line() == sent:sub(1, -2) then
                    answered = answered + 1
                end
            end
        end
        pump_until(function() return answered == 1000 end, 60, "1,000 answers")
    end)

    it("tells a reset, a refusal and an unknown host as everywhere", function()
        local client, peer = helper.pair()
        client.on_close = expect(function(_, _, code)
            assert.equal("ECONNRESET", code)
        end, 1)
        peer:abort()
        pump_until(function() return client.state == "closed" end)

        local failed = {}
        for _, host in ipairs { "127.0.0.1", "no-such-host.invalid" } do
            local sock = helper.track(evsock.connect(host, helper.free_port()))
            function sock.on_close(_, message, code)
                failed[host] = { message, code }
            end
        end
        pump_until(function() return failed["127.0.0.1"] and failed["no-such-host.invalid"] end, 20)
        local message, code = unpack(failed["127.0.0.1"])
        assert.equal("ECONNREFUSED", code)
        assert.matches("^connect 127%.0%.0%.1:%d+: connection refused$", message)
        message, code = unpack(failed["no-such-host.invalid"])
        assert.equal("EHOSTNOTFOUND", code)
        assert.matches("^connect no%-such%-host%.invalid:%d+: name or service not known$", message)
    end)

    it("refuses by name what it has not", function()
        local sock, message, code = evsock.listen("unix:C:/socket")
        assert.is_nil(sock)
        assert.equal("EINVAL", code)
        assert.matches("there are no Unix sockets on Windows", message, 1, true)

        sock, message, code = evsock.listen("127.0.0.1", 0, { reuse_port = true })
        assert.is_nil(sock)
        assert.equal("EINVAL", code)
        assert.matches("'reuse_port' is not to be had on Windows", message, 1, true)
    end)

    it("gives a foreign loop a socket that `select` takes", function()
        local kit = require "windows_kit"
        local client, peer = helper.pair()
        local descriptor = evsock.pollfd()
        evsock.pump()
        assert.is_false(kit.select(descriptor, 0))
        local got = ""
        function client.on_data() got = got .. client:read() end
        peer:write("knock")
        assert.is_true(kit.select(descriptor, 5 * helper.slow))
        pump_until(function() return got == "knock" end)
        assert.is_false(kit.select(descriptor, 0))
    end)

    for name, wait in pairs {
        pump = "evsock.pump(20)",
        run = "evsock.run()",
        ["a pump amid traffic"] = "while true do evsock.pump(20) end",
    } do
        it("ends " .. name .. " at Ctrl-C", function()
            local output = helper.run(([[
                local evsock = require "evsock"
                local kit = require "windows_kit"
                local began = evsock.now()
                evsock.after(20, os.exit, 1)
                assert(kit.press_in(0.5))
                local ok, problem = pcall(function() %s end)
                local took = evsock.now() - began
                io.stderr:write(tostring(ok), " ", tostring(problem), " ",
                    took >= 0.4 and took < 5 and "soon" or took, "\n")
            ]]):format(wait))
            assert.matches("false .*interrupted! soon", output)
        end)
    end
end)
