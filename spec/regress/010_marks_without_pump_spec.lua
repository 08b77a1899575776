-- A script that marks and never pumps: each mark whose bytes had left was an event that waited, and
-- each whose bytes had not was a place that waited.

local helper = require "spec.helper"
local evsock = helper.evsock

describe("regress 010", function()
    after_each(helper.finish)

    local function grown_by(setting)
        local output, status = helper.run([[
            local evsock = require "evsock"
            local server = assert(evsock.listen("127.0.0.1", 0))
            local client = evsock.connect("127.0.0.1", server.port)
            local function kib()
                local file = io.open("/proc/self/status")
                local found = tonumber((file:read("*a"):match("VmRSS:%s*(%d+)")))
                file:close()
                return found
            end
            ]] .. setting .. [[
            local before = kib()
            for _ = 1, 200000 do
                assert(client:mark())
            end
            print(kib() - before)
        ]])
        assert.are.equal(0, status, output)
        return tonumber(output)
    end

    it("marks of what has left keep their size", function()
        assert.is_true(grown_by "client:write('x') while client.pending > 0 do end" < 1000)
    end)

    it("marks of what cannot leave keep their size", function()
        assert.is_true(grown_by "client:write(('x'):rep(2 ^ 24))" < 1000)
    end)

    it("marks before the connection stands keep their size", function()
        assert.is_true(grown_by "" < 1000)
    end)

    it("each is told by a call of its own, in order, whatever the handler does", function()
        local client, peer = helper.pair()
        local log = {}
        local failed
        evsock.on_error = function(message)
            failed = message
        end
        client.on_mark = helper.expect(function(self)
            log[#log + 1] = "mark"
            if #log == 2 then
                error("the second")
            elseif #log == 3 then
                evsock.pump()
            elseif #log == 4 then
                self:mark()
                self:shutdown()
            end
        end, 7)
        peer.on_data = function(self)
            self:read()
        end
        client.on_close = function()
            log[#log + 1] = "close"
        end
        client:write("one")
        for _ = 1, 6 do
            assert.is_true(client:mark())
        end
        helper.pump_until(function() return log[#log] == "close" end)
        assert.are.same({ "mark", "mark", "mark", "mark", "mark", "mark", "mark", "close" }, log)
        assert.truthy(failed:find("the second", 1, true))
    end)

    it("an abort in the middle ends them", function()
        local client = helper.pair()
        client.on_mark = helper.expect(function(self)
            self:abort()
        end, 1)
        for _ = 1, 3 do
            assert.is_true(client:mark())
        end
        helper.pump_until(function() return client.state == "closed" end)
        helper.pump_for(0.01)
    end)
end)
