-- Q-SYS TcpSocketServer, over the wire.
-- dialects.md 3 > "class", "Listen", "Close" (accepted sockets: qsys_server_accepted_spec)

local helper, tools = require "spec.helper", require "spec.dialects.qsys_tools"
local evsock, qsys = helper.evsock, require "evsock.qsys"
local TcpSocketServer = qsys.TcpSocketServer
local new_server, listening, wait, wait_state, assert_raises =
    tools.server, tools.listening, tools.wait, tools.wait_state, helper.raises

-- A native client.
local function dial(port, host)
    return helper.track(evsock.connect(host or "127.0.0.1", port))
end

after_each(helper.finish)

describe("Q-SYS TcpSocketServer: class", function()
    it("3 New: a new server; the dot and the colon form both work", function()
        local dot, colon = TcpSocketServer.New(), TcpSocketServer:New()
        assert.is_false(dot == colon)
        assert.equal("userdata", type(dot))
        assert.equal(getmetatable(dot), getmetatable(colon))
    end)

    it("3 EventHandler: nil, may be replaced and cleared; anything else raises", function()
        local server = TcpSocketServer.New()
        assert.is_nil(server.EventHandler)
        local function handler() end
        server.EventHandler = handler
        assert.equal(handler, server.EventHandler)
        server.EventHandler = nil
        assert.is_nil(server.EventHandler)
        assert_raises("EventHandler", function()
            server.EventHandler = "handler"
        end)
    end)
end)

describe("Q-SYS TcpSocketServer: Listen", function()
    it("3 Listen: returns nil on success", function()
        local server = new_server(function() end)
        local result = server:Listen(helper.free_port())
        assert.is_nil(result)
    end)

    it("3 Listen: listens on all interfaces", function()
        local _, port, accepted = listening()
        local v4, other = dial(port), dial(port, "127.0.0.2")
        helper.wait_exactly(accepted, 2)
        wait_state(v4, "open")
        wait_state(other, "open")
        local probe = evsock.listen("::1", 0)
        if probe then
            probe:close()
            dial(port, "::1")
            helper.wait_exactly(accepted, 3)
            assert.equal("::1", accepted[3].PeerAddress)
        end
    end)

    it("3 Listen: port 0 picks one", function()
        local server = new_server(function() end)
        assert.is_nil(server:Listen(0))
        assert.is_true(evsock.active() > 0)
    end)

    it("3 Listen: a float with integral value and a numeric string are ports", function()
        local count = 0
        local server = new_server(function(sock)
            count = count + 1
            sock:Disconnect()
        end)
        local one, two = helper.free_port(), helper.free_port()
        assert.is_nil(server:Listen(one + 0.0))
        assert.is_nil(server:Listen(("%d"):format(two)))
        dial(one)
        dial(two)
        wait(function()
            return count == 2
        end, "a client on each port")
    end)

    it("3 Listen: a taken port gives a string with \"Could not bind to port\"", function()
        local _, port = listening()
        local second = new_server(helper.never("the second server"))
        local result = second:Listen(port)
        assert.is_string(result)
        assert.is_truthy(result:find("Could not bind to port", 1, true))
        local native = helper.server()
        assert.is_truthy(second:Listen(native.port):find("Could not bind to port", 1, true))
    end)

    it("3 Listen: with listen_raises a failed one raises at the caller's line", function()
        local _, port = listening()
        local second = new_server(helper.never("the second server"))
        qsys.configure { listen_raises = true }
        local ok, message = pcall(assert_raises, "Could not bind to port", function()
            second:Listen(port)
        end)
        local free = second:Listen(helper.free_port())
        qsys.configure { listen_raises = false }
        assert.is_true(ok, message)
        assert.is_nil(free)
        assert.is_string(second:Listen(port))
    end)

    it("3 Listen: a wrong type or a port out of range raises at the caller's line", function()
        local server = new_server(nil)
        for _, bad in ipairs({ -1, 65536, 80.5, "http", {}, true }) do
            assert_raises("port", function()
                server:Listen(bad)
            end)
        end
        assert_raises("port", function()
            server:Listen()
        end)
    end)

    it("3 Listen: again adds a port; one server listens on several", function()
        local server, port, accepted = listening()
        local second = helper.free_port()
        assert.is_nil(server:Listen(second))
        dial(port)
        dial(second)
        helper.wait_exactly(accepted, 2)
    end)

    it("3 Listen: handlers may be assigned before or after it", function()
        local early, late = 0, 0
        local before = new_server(function()
            early = early + 1
        end)
        local port = helper.free_port()
        before:Listen(port)
        local after, other = new_server(nil), helper.free_port()
        after:Listen(other)
        after.EventHandler = function()
            late = late + 1
        end
        dial(port)
        dial(other)
        wait(function()
            return early == 1 and late == 1
        end, "both handlers")
    end)
end)

describe("Q-SYS TcpSocketServer: Close", function()
    it("3 Close: stops listening on all ports; accepted sockets stay open", function()
        local server, port, accepted = listening()
        local second = helper.free_port()
        server:Listen(second)
        local client = dial(port)
        wait(function()
            return accepted[1] and client.state == "open"
        end, "a client")
        server:Close()
        for _, closed in ipairs({ port, second }) do
            local late, code = dial(closed), nil
            late.on_close = helper.expect(function(_, _, given)
                code = given
            end, 1)
            wait(function()
                return code
            end, "the refusal")
            assert.equal("ECONNREFUSED", code)
        end
        assert.is_true(accepted[1].IsConnected)
        accepted[1]:Write("still here")
        helper.wait_field(client, "buffered", 10)
    end)

    it("3 Close: may be called when not listening, and twice", function()
        local server = TcpSocketServer.New()
        server:Close()
        assert.is_nil(server:Listen(helper.free_port()))
        server:Close()
        server:Close()
        helper.pump_for(0.02)
        assert.equal(0, evsock.active())
    end)

    it("3 Close: then the same port and others can be listened on", function()
        local server, port, accepted = listening()
        server:Close()
        assert.is_nil(server:Listen(port))
        dial(port)
        helper.wait_count(accepted, 1)
    end)
end)
