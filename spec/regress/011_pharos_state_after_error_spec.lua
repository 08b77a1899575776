-- While a Pharos handler runs, `state` shows what it was at that moment; afterwards it is again
-- what was told or called for last. When the handler raised, it stayed at the earlier one.

local helper = require "spec.helper"
local evsock = helper.evsock
local net = require("evsock.pharos").net

describe("regress 011", function()
    after_each(helper.finish)

    it("an error in a handler does not leave an earlier state behind", function()
        local socket = net.TcpSocket.new()
        local seen
        function socket.state_changed_handler(self, state)
            if state == net.TcpSocket.BOUND_STATE then
                self:disconnect()
            end
        end
        function socket.error_handler(self)
            seen = self.state
            error "of the handler"
        end
        assert.is_true(socket:bind(0))
        -- Refused, in state 4; told after the disconnect.
        assert.is_false(socket:bind(0))
        local ok, message
        repeat
            ok, message = pcall(evsock.pump)
        until not ok
        assert.truthy(message:find("of the handler", 1, true))
        assert.are.equal(net.TcpSocket.BOUND_STATE, seen)
        assert.are.equal(net.TcpSocket.UNCONNECTED_STATE, socket.state)
    end)
end)
