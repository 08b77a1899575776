-- Q-SYS TcpSocket, error texts and timeouts, over the wire.
-- dialects.md 2.4 "Error texts" > "error texts"; 2.5, 2.3 (changing them) > "timeouts"

local helper = require "spec.helper"
local tools = require "spec.dialects.qsys_tools"
local evsock = helper.evsock
local qsys = require "evsock.qsys"
local TcpSocket = qsys.TcpSocket
local client, connected, wait_events = tools.client, tools.connected, tools.wait_events

local Events = TcpSocket.Events
local NO_NAME = "nodename nor servname provided, or not known"
local BAD_NAME = "non-recoverable failure in name resolution"

after_each(tools.finish)

describe("Q-SYS TcpSocket: error texts", function()
    local function first_error(host, port)
        local sock, log = client({ ReconnectTimeout = 0 })
        sock:Connect(host, port)
        helper.pump_until(function()
            return #log >= 1
        end, 10, "ERROR for " .. host)
        assert.equal("ERROR", log[1])
        return log.errors[1]
    end

    it("2.4 error text: could not connect gives the empty string", function()
        assert.equal("", first_error("127.0.0.1", helper.free_port()))
    end)

    it("2.4 error text: a name that cannot be resolved", function()
        qsys.configure({ hosts = { ["missing.test"] = false } })
        assert.equal(NO_NAME, first_error("missing.test", 23))
        assert.equal(NO_NAME, first_error("no-such-host.invalid", 23))
    end)

    it("2.4 error text: a bad host name", function()
        assert.equal(BAD_NAME, first_error("", 23))
    end)

    it("2.4 error text: read timeout and write timeout", function()
        local sock, _, log = connected({ ReconnectTimeout = 0, ReadTimeout = 0.05 })
        wait_events(log, 2)
        assert.equal("read timeout", log.errors[2])

        local deaf = helper.server({ read_limit = 4096 })
        sock.ReadTimeout, sock.WriteTimeout = 0, 0.2
        sock:Connect("127.0.0.1", deaf.port)
        wait_events(log, 3)
        sock:Write(("x"):rep(32 * 1024 * 1024))
        wait_events(log, 4)
        assert.equal("TIMEOUT", log[4])
        assert.equal("write timeout", log.errors[4])
        assert.is_false(log.connected[4])
    end)
end)

describe("Q-SYS TcpSocket: timeouts", function()
    it("2.5 ReadTimeout: counted from CONNECTED, never early", function()
        local _, _, log = connected({ ReadTimeout = 0.2, ReconnectTimeout = 0 })
        wait_events(log, 2)
        assert.equal("TIMEOUT", log[2])
        -- The moment noted is that of the handler, which may run later than the event.
        assert.is_true(log.times[2] - log.times[1] >= 0.1)
        helper.pump_for(0.05)
        assert.equal(2, #log)
    end)

    it("2.5 ReadTimeout: restarted by every arrival", function()
        local _, peer, log = connected({ ReadTimeout = 0.5, ReconnectTimeout = 0 })
        helper.pump_for(0.1)
        local written = evsock.now()
        peer:write("x")
        wait_events(log, 3)
        assert.equal("CONNECTED DATA TIMEOUT", table.concat(log, " "))
        assert.is_true(log.times[3] - written >= 0.495)
    end)

    it("2.5 ReadTimeout: does not run while connecting", function()
        -- A listener that does not accept, its queue full: one more attempt gets no answer.
        local server = assert(evsock.listen("127.0.0.1", 0, { backlog = 1 }))
        server:pause()
        local fillers, open = {}, 0
        for i = 1, 4 do
            fillers[i] = evsock.connect("127.0.0.1", server.port)
            fillers[i].on_connect = function()
                open = open + 1
            end
        end
        helper.pump_until(function()
            return open >= 2
        end, 5, "a full queue")
        local sock, log = client({ ReadTimeout = 0.05 })
        sock:Connect("127.0.0.1", server.port)
        helper.pump_for(0.3)
        assert.equal("", table.concat(log, " "))
        assert.is_false(sock.IsConnected)
        for _, filler in ipairs(fillers) do
            filler:abort()
        end
        server:close()
    end)

    it("2.5 ReadTimeout, WriteTimeout: 0 disables them", function()
        local sock, _, log = connected({ ReadTimeout = 0, WriteTimeout = 0 })
        sock:Write("x")
        helper.pump_for(0.1)
        assert.equal("CONNECTED", table.concat(log, " "))
    end)

    it("2.5 WriteTimeout: nothing happens when writes are handed over in time", function()
        local sock, peer, log = connected({ WriteTimeout = 0.1 })
        sock:Write("quick")
        helper.wait_field(peer, "buffered", 5)
        helper.pump_for(0.2)
        assert.equal("CONNECTED", table.concat(log, " "))
    end)

    it("2.3 the value that counts is the one present when the wait begins", function()
        local sock, log = client({ ReconnectTimeout = 60 })
        log.also = function(event)
            if event == Events.Error and #log == 1 then
                sock.ReconnectTimeout = 0.1
            end
        end
        sock:Connect("127.0.0.1", helper.free_port())
        wait_events(log, 1)
        sock.ReconnectTimeout = 60
        wait_events(log, 3)
        assert.equal("ERROR RECONNECT ERROR", table.concat(log, " "))
        helper.pump_for(0.2)
        assert.equal(3, #log)
    end)

    it("2.3 timeouts may be changed after Connect", function()
        local sock, log = client()
        assert.equal(5, sock.ReconnectTimeout)
        sock:Connect("127.0.0.1", helper.free_port())
        sock.ReconnectTimeout = 0.05
        helper.pump_until(function()
            return log[2]
        end, 3, "RECONNECT well before the default of 5 s")
        assert.equal("RECONNECT", log[2])
    end)

    it("2.3 a change of ReadTimeout on a live connection restarts that wait", function()
        local sock, _, log = connected({ ReadTimeout = 0.5, ReconnectTimeout = 0 })
        helper.pump_for(0.15)
        local changed = evsock.now()
        sock.ReadTimeout = 0.4
        wait_events(log, 2)
        assert.equal("TIMEOUT", log[2])
        -- Counted on from CONNECTED it would have come 0.15 s earlier.
        assert.is_true(log.times[2] - changed >= 0.395)
    end)

    it("2.3 ReadTimeout set or shortened on a live connection takes effect", function()
        local sock, _, log = connected({ ReadTimeout = 60, ReconnectTimeout = 0 })
        sock.ReadTimeout = 0.1
        wait_events(log, 2)
        assert.equal("TIMEOUT", log[2])
    end)
end)
