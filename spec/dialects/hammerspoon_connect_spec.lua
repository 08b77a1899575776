-- hs.socket: connecting, over the wire.
-- dialects.md 6.3 > "connecting"

local helper = require "spec.helper"
local tools = require "spec.dialects.hammerspoon_tools"
local hammerspoon = require "evsock.hammerspoon"
local evsock = helper.evsock
local new, wait, raises = tools.new, tools.wait, tools.raises

after_each(tools.finish)

-- Until the attempt of a client has ended without success.
local function wait_failed(client)
    wait(function()
        return client:info().isDisconnected
    end, "the attempt is over")
    assert.is_false(client:connected())
end

-- A native server on ::1 that keeps what it accepts.
local function listen_on_ipv6(port)
    return helper.track(assert(evsock.listen("::1", port, {
        on_accept = function(_, sock)
            helper.track(sock)
        end,
    })))
end

describe("hs.socket: connecting", function()
    it("6.3 returns nil and logs at once, changing nothing, when already connecting", function()
        tools.log_all()
        local record = helper.server()
        local client = new()
        client:connect("127.0.0.1", record.port)
        assert.is_nil((client:connect("127.0.0.1", helper.free_port())))
        assert.equal("error", tools.logged[1][1])
        assert.is_truthy(tools.logged[1][2]:find("Attempting to connect while connected or "
            .. "accepting connections. Disconnect first.", 1, true))
        wait(function()
            return client:connected() and record.sockets[1]
        end)
        assert.equal(record.port, client:info().connectedPort)
    end)

    it("6.3 the same when already connected", function()
        tools.log_all()
        local client, peer, log = tools.pair()
        assert.is_nil((client:connect("127.0.0.1", helper.free_port())))
        assert.equal(1, #tools.logged)
        client:read(4)
        peer:write("here")
        tools.wait_for(log, 1)
        assert.is_true(client:connected())
    end)

    it("6.3 the same when listening", function()
        tools.log_all()
        local server = tools.server(0)
        local before = server:info()
        assert.is_nil((server:connect("127.0.0.1", helper.free_port())))
        assert.equal(1, #tools.logged)
        assert.same(before, server:info())
    end)

    it("6.3 returns nil and logs when the host is empty", function()
        tools.log_all()
        local client = new()
        assert.is_nil((client:connect("", 80)))
        assert.is_nil((client:connect("")))
        assert.equal(2, #tools.logged)
        assert.equal("", client:info().userData)
    end)

    it("6.3 otherwise returns self; lookup and connection happen later", function()
        local record = helper.server()
        local client = new()
        local connected = helper.expect(1)
        assert.equal(client, client:connect("localhost", record.port, connected))
        assert.equal(0, helper.calls(connected))
        wait(function()
            return helper.calls(connected) == 1
        end)
    end)

    it("6.3 failure later on is silent: no callback at all, and connected() stays false", function()
        tools.log_all()
        hammerspoon.configure { hosts = { ["gone.test"] = false } }
        for _, place in ipairs {
            { "127.0.0.1", helper.free_port() }, { "gone.test", 80 }, { "no such host", 80 },
            { "127.0.0.1", 0 }, { tools.path() },
        } do
            local client = new(helper.never("the read callback"))
            local port = place[2] or helper.never("connect")
            assert.equal(client, client:connect(place[1], port, helper.never("connect")))
            client:read("\n")
            client:write("x", helper.never("write"))
            wait_failed(client)
            helper.pump_for(0.01)
        end
        -- Only lines for who debugs.
        assert.is_true(#tools.logged > 0)
        for _, line in ipairs(tools.logged) do
            assert.equal("debug", line[1])
        end
    end)

    it("6.3 after a failure the socket can be used again", function()
        local record = helper.server()
        local client = new()
        client:connect("127.0.0.1", helper.free_port())
        wait_failed(client)
        assert.equal(client, client:connect("127.0.0.1", record.port))
        tools.wait_connected(client)
    end)

    it("6.3 fn is called once, with no arguments, only on success", function()
        local record = helper.server()
        local count
        local client = new()
        client:connect("127.0.0.1", record.port, helper.expect(function(...)
            count = select("#", ...)
        end, 1))
        wait(function()
            return count
        end)
        assert.equal(0, count)
        client:disconnect()
        client:connect("127.0.0.1", record.port)
        helper.wait_count(record.sockets, 2)
        helper.pump_for(0.02)
    end)

    it("6.3 the fn of a failed attempt is dropped: a later connect does not call it", function()
        local record = helper.server()
        local client = new()
        client:connect("127.0.0.1", helper.free_port(), helper.never("the old fn"))
        wait_failed(client)
        client:connect("127.0.0.1", record.port)
        wait(function()
            return client:connected() and record.sockets[1]
        end)
        helper.pump_for(0.02)
    end)

    it("6.3 a refused second connect clears the callback of the attempt still running", function()
        local record = helper.server()
        local client = new()
        client:connect("127.0.0.1", record.port, helper.never("the first fn"))
        assert.is_nil((client:connect("127.0.0.1", record.port, helper.never("the second fn"))))
        wait(function()
            return client:connected() and record.sockets[1]
        end)
        helper.pump_for(0.02)
        assert.equal(1, #record.sockets)
    end)

    it("6.3 a new connect may follow after disconnect, and after the peer's end", function()
        local client, _, _, record = tools.pair()
        client:disconnect()
        client:connect("127.0.0.1", record.port)
        wait(function()
            return client:connected() and record.sockets[2]
        end)
        record.sockets[2]:close()
        tools.watch(function()
            return not client:connected()
        end, "the peer's end")
        assert.equal(client, client:connect("127.0.0.1", record.port))
        wait(function()
            return client:connected() and record.sockets[3]
        end)
    end)

    it("6.3 a client may become a listener, and that a client again", function()
        local object, _, _, record = tools.pair()
        assert.is_nil((object:listen(0)))
        object:disconnect()
        assert.equal(object, object:listen(0))
        assert.equal("SERVER", object:info().userData)
        local visitor = helper.connect(object:info().localPort)
        wait(function()
            return object:connections() == 1 and visitor.state == "open"
        end)
        object:disconnect()
        assert.equal(object, object:connect("127.0.0.1", record.port))
        wait(function()
            return object:connected() and record.sockets[2]
        end)
        assert.equal("DEFAULT", object:info().userData)
    end)

    it("6.3 a timeout covers connecting, from the call on", function()
        local port = helper.silent_port()
        local client = new()
        client:setTimeout(0.15)
        local begin = evsock.now()
        client:connect("127.0.0.1", port, helper.never("connect"))
        client:setTimeout(-1)
        wait_failed(client)
        local took = evsock.now() - begin
        assert.is_true(took >= 0.15 and took < 0.15 + 1.5 * helper.slow, "took " .. took)
    end)

    it("6.3 a timeout of 0 is over at once", function()
        local record = helper.server()
        local client = new()
        client:setTimeout(0)
        assert.equal(client, client:connect("127.0.0.1", record.port, helper.never("connect")))
        assert.is_false(client:info().isDisconnected)
        wait_failed(client)
    end)

    it("6.3 without a timeout an attempt goes on", function()
        local client = new()
        client:connect("127.0.0.1", helper.silent_port())
        helper.pump_for(0.1)
        assert.is_false(client:info().isDisconnected)
    end)

    it("6.3 if a name has both, IPv4 is tried first", function()
        -- A listener has both; its first client came by IPv4.
        local server = tools.server(0)
        local client = new():connect("localhost", server:info().localPort)
        tools.wait_connected(client)
        assert.same({ "127.0.0.1", true, false },
            { client:info().connectedHost, client:info().isIPv4, client:info().isIPv6 })
    end)

    it("6.3 IPv6 is taken when IPv4 does not answer", function()
        local server = listen_on_ipv6(0)
        local client = new():connect("localhost", server.port)
        tools.wait_connected(client)
        assert.equal("::1", client:info().connectedHost)
    end)

    it("6.3 IPv6 is tried a moment later, in parallel; the first wins", function()
        local port = helper.silent_port()
        listen_on_ipv6(port)
        local begin = evsock.now()
        local client = new():connect("localhost", port)
        tools.wait_connected(client)
        local took = evsock.now() - begin
        assert.equal("::1", client:info().connectedHost)
        assert.is_true(took >= 0.2 and took < 0.5 + helper.slow, "took " .. took)
    end)

    it("6.3 localhost never asks DNS", function()
        local output = helper.run([[
            local evsock = require "evsock"
            local hs = {}
            require("evsock.hammerspoon").install { hs = hs }
            local server = hs.socket.server(0)
            local client = hs.socket.new()
            local begin = evsock.now()
            client:connect("LocalHost", server:info().localPort, evsock.stop)
            evsock.run()
            -- A lookup needs a thread of its own.
            local names = io.popen("cat /proc/$PPID/task/*/comm"):read("*a")
            print(client:connected(), names:find("look", 1, true))
        ]])
        assert.equal("true\tnil\n", output)
    end)

    it("6.3 a port out of range raises", function()
        local client = new()
        raises("'port' to 'connect'", function() client:connect("localhost", 65536) end)
        raises("'port' to 'connect'", function() client:connect("localhost", -1) end)
        raises("'port' to 'connect'", function() client:connect("localhost", 80.5) end)
        raises("'port' to 'listen'", function() client:listen(65536) end)
        raises("'port' to 'listen'", function() client:listen("65536") end)
        assert.is_true(client:info().isDisconnected)
    end)

    it("1.8 ports may be floats with integral value and numeric strings", function()
        local record = helper.server()
        for _, port in ipairs { record.port + 0.0, ("%d"):format(record.port) } do
            local client = new():connect("127.0.0.1", port)
            tools.wait_connected(client)
            assert.equal(record.port, client:info().connectedPort)
            assert.is_true(tools.is_integer(client:info().connectedPort))
        end
        local free = helper.free_port()
        local server = tools.server(("%d"):format(free))
        assert.equal(free, server:info().localPort)
    end)
end)

describe("hs.socket: names", function()
    after_each(function()
        hammerspoon.configure { hosts = {}, ports = {} }
    end)

    local function connect(host, port)
        local client = new():connect(host, port)
        wait(function()
            return client:connected()
        end, host)
        return client:info()
    end

    it("1.13 hosts: a name leads to an address, or to address and port; case is ignored", function()
        local record = helper.server()
        hammerspoon.configure { hosts = {
            ["device.test"] = "127.0.0.1", ["Other.Test"] = "127.0.0.1:" .. record.port } }
        assert.equal(record.port, connect("device.test", record.port).connectedPort)
        assert.equal(23, connect("oTHER.test", 23).connectedPort)
    end)

    it("1.13 hosts: false makes the lookup fail at once", function()
        hammerspoon.configure { hosts = { ["gone.test"] = false } }
        local client = new():connect("gone.test", 80, helper.never("connect"))
        wait_failed(client)
    end)

    it("1.13 ports apply to outgoing connections and not to listen; a hosts entry wins", function()
        local record, free = helper.server(), helper.free_port()
        hammerspoon.configure { ports = { [23] = record.port, [24] = 1, [free] = 1 },
            hosts = { ["both.test"] = "127.0.0.1:" .. record.port } }
        assert.equal(23, connect("127.0.0.1", 23.0).connectedPort)
        assert.equal(24, connect("both.test", 24).connectedPort)
        assert.equal(free, tools.server(free):info().localPort)
    end)

    it("1.13 the mapping is invisible: host and port show what was asked for", function()
        local record = helper.server()
        hammerspoon.configure { hosts = { ["10.0.0.9"] = "127.0.0.1:" .. record.port } }
        local info = connect("10.0.0.9", 4001)
        assert.same({ "10.0.0.9", 4001 }, { info.connectedHost, info.connectedPort })
        local back = tools.hs.socket.parseAddress(info.connectedAddress)
        assert.same({ "10.0.0.9", 4001 }, { back.host, back.port })
    end)

    it("1.13 unknown settings raise", function()
        raises("unknown name", function() hammerspoon.configure { hostz = {} } end)
        raises("'hosts'", function() hammerspoon.configure { hosts = "x" } end)
    end)
end)
