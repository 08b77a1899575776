-- A script that connected one socket again and again and did not pump: each `connect` queued the
-- ends of all connections before it anew, so memory grew with the square of the calls (8,000 calls:
-- 1 GiB), and what the queue had taken was never given back.

local helper = require "spec.helper"
local evsock = helper.evsock
local expect, pump_until = helper.expect, helper.pump_until

-- What many calls take, in KiB, what is left of that after a pump, and how many ends were told.
local function grown_by(calls, rest)
    local output, status = helper.run(([[
        local evsock = require "evsock"
        local server = assert(evsock.listen("127.0.0.1", 0))
        server:pause()
        local function kib()
            collectgarbage()
            local file = io.open("/proc/self/status")
            local found = tonumber((file:read("*a"):match("VmRSS:%%s*(%%d+)")))
            file:close()
            return found
        end
        local told = 0
        local sock = evsock.socket { on_close = function() told = told + 1 end }
        sock:connect("127.0.0.1", server.port)
        local before = kib()
        for _ = 1, %d do
            assert(sock:connect("127.0.0.1", server.port))
            %s
        end
        local full = kib()
        sock:abort()
        while sock.state ~= "closed" do
            evsock.pump(1)
        end
        print(full - before, kib() - before, told)
        os.exit(0)
    ]]):format(calls, rest))
    assert.equal(0, status, output)
    local full, left, told = output:match("^(%-?%d+)%s+(%-?%d+)%s+(%d+)")
    return tonumber(full), tonumber(left), tonumber(told)
end

describe("regress 042", function()
    after_each(helper.finish)

    for name, rest in pairs { connect = "", ["connect with close"] = "sock:close()" } do
        it("memory grows by little for each " .. name .. ", and each end is told once", function()
            local calls = math.floor(8000 / helper.fewer)
            local full, _, told = grown_by(calls, rest)
            assert.equal(calls + 1, told)
            -- Once 1 GiB for all calls, or 260 MiB for half of them.
            assert.is_true(full < 4096 + calls, full .. " KiB")
        end)
    end

    it("what a burst has taken is given back", function()
        local full, left = grown_by(50000, "")
        assert.is_true(full > 1500, full .. " KiB: nothing to see")
        assert.is_true(left < full / 2, left .. " of " .. full .. " KiB are left")
    end)

    it("more ends than can wait are refused, and none is lost", function()
        local port = helper.free_port()
        local told = 0
        local sock = helper.track(evsock.socket { on_close = function() told = told + 1 end })
        local made = 0
        local message, code
        repeat
            local ok
            ok, message, code = sock:connect("127.0.0.1", port)
            made = made + (ok and 1 or 0)
        until not ok
        assert.equal(65536, made)
        assert.equal("EAGAIN", code)
        assert.truthy(message:find("connect 127.0.0.1:" .. port, 1, true), message)
        pump_until(function() return told == made end)
        assert.is_true(sock:connect("127.0.0.1", port))
        pump_until(function() return told == made + 1 end)
    end)

    it("each end comes once and in order, whatever the handler does", function()
        local server = helper.server()
        local log, ends = {}, 0
        evsock.on_error = expect(function(message)
            log[#log + 1] = message:match("the %w+ fails")
        end, 1)
        local sock = helper.track(evsock.socket {
            on_connect = function()
                log[#log + 1] = "stands"
            end,
            on_close = expect(function(self, message)
                assert(message == nil, message)
                ends = ends + 1
                log[#log + 1] = "end " .. ends
                if ends == 2 then
                    error("the second fails")
                elseif ends == 3 then
                    evsock.pump()
                    log[#log + 1] = "pumped"
                elseif ends == 5 then
                    -- Replaces the last of the six.
                    self:connect("127.0.0.1", server.port)
                end
            end, 7),
        })
        for _ = 1, 6 do
            sock:connect("127.0.0.1", server.port)
        end
        pump_until(function() return log[#log] == "stands" end)
        assert.equal("end 1, end 2, the second fails, end 3, end 4, end 5, pumped, end 6, stands",
            table.concat(log, ", "))
        sock:abort()
        pump_until(function() return ends == 7 end)
    end)
end)
