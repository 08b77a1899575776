-- The sockets that a Pharos server has accepted end with it. One that was over, and had been
-- connected to another place meanwhile, was still counted among them: when the server was
-- collected, the new connection, with which it had nothing to do, ended without a word.

local helper = require "spec.helper"
local evsock = helper.evsock
local net = require("evsock.pharos").net

describe("regress 004", function()
    after_each(helper.finish)

    it("a socket that connects anew has left the server that accepted it", function()
        local other = helper.server()
        local weak = setmetatable({}, { __mode = "v" })
        local taken
        local function make()
            local server = net.TcpServer.new()
            weak[1] = server
            assert.is_true(server:listen(0))
            server.new_connection_handler = function(self)
                taken = self:next_pending_connection()
                -- Nothing keeps it any more.
                self.new_connection_handler = nil
            end
            helper.connect(server.port)
            helper.pump_until(function() return taken end)
        end
        make()
        taken:abort()
        taken:connect("127.0.0.1", other.port)
        helper.pump_until(function() return taken.state == taken.CONNECTED_STATE end)
        helper.pump_until(function()
            collectgarbage()
            evsock.pump(0)
            return not weak[1]
        end)
        assert.are.equal(taken.CONNECTED_STATE, taken.state)
        taken:abort()
    end)
end)
