-- `server.close(client)` raised, but had taken the client for closed by then; and the other way
-- round the server went on listening and could not be closed any more. Other methods named one
-- another in the errors.

local helper = require "spec.helper"
local Socket = require("evsock.renoise").Socket

describe("regress 013", function()
    after_each(helper.finish)

    local server, client
    before_each(function()
        server = helper.track(assert(Socket.create_server("127.0.0.1", 0)))
        client = helper.track(assert(Socket.create_client("127.0.0.1", server.local_port)))
    end)

    it("a method called with an object of the other class raises and changes nothing", function()
        helper.misuse(function() server.close(client) end, "'self' to 'close' (server expected")
        helper.misuse(function() client.close(server) end, "'self' to 'close' (client expected")
        assert.is_true(server.is_open)
        assert.is_true(client.is_open)
        assert.is_true(client:send("text"))
        server:close()
        assert.is_nil(Socket.create_client("127.0.0.1", client.peer_port))
    end)

    it("names the method that was called", function()
        local c, s = client, server
        helper.misuse(function() c.receive(s, "*all", 0) end, "'self' to 'receive' (client")
        helper.misuse(function() c.send(s, "x") end, "'self' to 'send' (client expected")
        helper.misuse(function() s.run(c, {}) end, "'self' to 'run' (server expected")
        helper.misuse(function() s.stop(c) end, "'self' to 'stop' (server expected")
        helper.misuse(function() s.wait(c, 0) end, "'self' to 'wait' (server expected")
        helper.misuse(function() c:receive(2 ^ 63, 0) end, "'mode' to 'receive'")
    end)
end)
