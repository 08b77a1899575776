-- `attend` handles the events of one object. What a Pharos object has to tell besides its first
-- handler of an event (one turn for each call of a handler) was left for the next pump: a script
-- that attended to nothing but its socket never heard that it was connected.

local helper = require "spec.helper"
local evsock = helper.evsock
local net = require("evsock.pharos").net

describe("regress 005", function()
    after_each(helper.finish)

    local function attend_until(object, condition)
        local deadline = evsock.now() + 5 * helper.slow
        while not condition() and evsock.now() < deadline do
            evsock.attend(object, 0.02)
        end
        return condition()
    end

    it("attending to a socket calls all its handlers, in order, and nobody else's", function()
        local server = helper.server()
        local other, log = net.TcpSocket.new(), {}
        other.state_changed_handler = function()
            log[#log + 1] = "other"
        end
        helper.track(other):connect("127.0.0.1", server.port)
        local socket = helper.track(net.TcpSocket.new())
        for _, name in ipairs { "connected", "host_found", "state_changed" } do
            socket[name .. "_handler"] = function(_, value)
                log[#log + 1] = value and name .. value or name
            end
        end
        socket:connect("127.0.0.1", server.port)
        attend_until(socket, function()
            return log[5]
        end)
        assert.are.equal("state_changed1 state_changed2 host_found state_changed3 connected",
            table.concat(log, " "))
        log = {}
        socket:abort()
        assert.are.equal(1, evsock.attend(socket))
        assert.are.equal("state_changed0", log[1])
        helper.pump_until(function() return log[4] == "other" end)
        assert.are.equal("state_changed0 other other other", table.concat(log, " "))
    end)

    it("attending to a server does so for the sockets that it has accepted", function()
        local server = helper.track(net.TcpServer.new())
        local log = {}
        assert.is_true(server:listen(0))
        server.new_connection_handler = function(self)
            local taken = helper.track(self:next_pending_connection())
            taken.ready_read_handler = function()
                log[#log + 1] = taken:read_all_string()
                taken:write_string("answer")
            end
            taken.bytes_written_handler = function(_, count)
                log[#log + 1] = count
            end
        end
        helper.connect(server.port):write("question")
        attend_until(server, function()
            return log[2]
        end)
        assert.are.same({ "question", 6 }, log)
    end)
end)
