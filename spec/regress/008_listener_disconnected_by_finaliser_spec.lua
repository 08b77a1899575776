-- A Hammerspoon listener ends its clients one by one until its list of them is empty. When a
-- finaliser disconnected the listener in the middle of the end of one client, that client stood in
-- the list and could not be ended again: `disconnect` never came back.

local helper = require "spec.helper"

describe("regress 008", function()
    after_each(helper.finish)

    it("a listener is disconnected by a finaliser while a client ends", function()
        local output, status = helper.run(([[
            local evsock = require "evsock"
            local socket = require("evsock.hammerspoon").socket
            local when_collected = require("spec.child").when_collected
            if newproxy then
                collectgarbage("setpause", 10)
            end
            for _ = 1, %d do
                local server = socket.server(0, print):setTimeout(5)
                local peers = {}
                for i = 1, 5 do
                    peers[i] = evsock.connect("127.0.0.1", server:info().localPort)
                end
                local deadline = evsock.now() + 1
                while server:connections() < 5 and evsock.now() < deadline do
                    evsock.pump(0.01)
                end
                server:read("\n"):read("\n")
                for _ = 1, 20 do
                    when_collected(function()
                        server:disconnect()
                    end)
                end
                for i = 1, 5 do
                    peers[i]:abort()
                end
                for _ = 1, 6 do
                    evsock.pump(0.001)
                end
                server:disconnect()
            end
            print "over"
        ]]):format(math.floor(100 / helper.fewer)))
        helper.printed("over\n", output, status)
    end)
end)
