-- A Q-SYS socket that connects is kept alive through its handlers: they stand in a table of the
-- registry. When the socket was collected all the same, since they do not reach it, its place in
-- that table was cleared only by the next object that got the same slot. So the handlers, and
-- whatever they reach, outlived their socket: a server's connections, for example.

local helper = require "spec.helper"
local qsys = require "evsock.qsys"

describe("regress 003", function()
    after_each(helper.finish)

    local jit = rawget(_G, "jit")

    it("what the handlers of a collected object reach is collected with it", function()
        if jit then
            jit.off()
        end
        local weak = setmetatable({}, { __mode = "k" })
        local server = helper.server()
        local function make()
            for _ = 1, 3 do
                local reached, of_server = {}, {}
                weak[reached], weak[of_server] = true, true
                local sock = qsys.TcpSocket.New()
                sock.EventHandler = function()
                    return reached
                end
                sock:Connect("127.0.0.1", server.port)
                local listening = qsys.TcpSocketServer.New()
                listening.EventHandler = function()
                    return of_server
                end
                assert(listening:Listen(0) == nil)
            end
        end
        make()
        helper.pump_until(function()
            collectgarbage()
            collectgarbage()
            return next(weak) == nil
        end)
        if jit then
            jit.on()
        end
    end)
end)
