-- What looks past the events: the connection as it is now.

local helper = require "spec.helper"
local evsock = helper.evsock

after_each(helper.finish)

-- Looks, without pumping, until it sees what is wanted.
local function look_until(sock, stands, unread)
    local deadline = evsock.now() + 5 * helper.slow
    repeat
        local now, waiting = sock:look()
        if now == stands and waiting == unread then
            return
        end
    until evsock.now() > deadline
    error(("not seen: %s, %d; but %s, %d"):format(
        tostring(stands), unread, tostring(sock:look()), (select(2, sock:look()))), 2)
end

describe("sock:look()", function()
    it("sees bytes that came before any event of them, and each once", function()
        local client, peer = helper.pair()
        peer:write("abc")
        look_until(client, true, 3)
        assert.equal(0, client.buffered)
        client.on_data = helper.expect(function(sock, n)
            assert.same({ 3, "abc" }, { n, sock:read() })
        end, 1)
        helper.pump_until(function()
            return helper.calls(client.on_data) == 1
        end)
        assert.same({ true, 0 }, { client:look() })
    end)

    it("sees the peer's end before on_close, which still comes once", function()
        local client, peer = helper.pair()
        client.on_close = helper.expect(1)
        peer:close()
        look_until(client, false, 0)
        assert.equal("open", client.state)
        helper.pump_until(function()
            return client.state == "closed"
        end)
    end)

    it("counts what was left unread behind the end", function()
        local client, peer = helper.pair()
        peer:write("tail")
        peer:close()
        look_until(client, false, 4)
        helper.pump_until(function()
            return client.state == "closed"
        end)
        assert.same({ false, 4 }, { client:look() })
        assert.equal("tail", client:read())
        assert.same({ false, 0 }, { client:look() })
    end)

    it("sees that a connection stands before on_connect", function()
        local server = helper.server()
        local client = helper.connect(server.port)
        look_until(client, true, 0)
        assert.equal("connecting", client.state)
    end)

    it("sees a reset", function()
        local client, peer = helper.pair()
        peer:abort()
        look_until(client, false, 0)
    end)

    it("says no of an idle, a failed and a closed socket", function()
        local sock = evsock.socket()
        assert.same({ false, 0 }, { sock:look() })
        sock:connect("127.0.0.1", helper.free_port())
        look_until(sock, false, 0)
        local client = helper.pair()
        client:close()
        assert.same({ false, 0 }, { client:look() })
    end)

    it("raises for anything but a socket", function()
        local client = helper.pair()
        helper.misuse(function() client.look(1) end, "bad argument 'self' to 'look'")
    end)
end)
