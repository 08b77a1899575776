-- hs.socket: ending, live state, info and text.
-- dialects.md 6.9 > "ending", "live", "info", "tostring"

local helper = require "spec.helper"
local tools = require "spec.dialects.hammerspoon_tools"
local evsock = helper.evsock
local hs, new, wait = tools.hs, tools.new, tools.wait

after_each(tools.finish)

-- A client that is connected to a listener at a path of the file system.
local function unix_pair()
    local path = tools.path()
    local server = tools.server(path)
    local client = new():connect(path)
    tools.wait_connected(client)
    return client, server, path
end

describe("hs.socket: ending", function()
    it("6.9 disconnect acts at once: queued reads are dropped, no callback", function()
        local client, peer, log = tools.pair()
        client:read(1)
        client:read(1)
        peer:write("xy")
        tools.watch(function()
            return client:connected()
        end, "connected")
        assert.equal(client, client:disconnect())
        assert.is_false(client:connected())
        helper.wait_state(peer, "closed")
        assert.equal(0, #log)
    end)

    it("6.9 the same of queued writes: no callback", function()
        local client = tools.pair({ read_limit = 1024 })
        for _ = 1, 20 do
            client:write(("x"):rep(1024 * 1024), helper.never("fn"))
        end
        client:write("x", helper.never("fn"))
        client:disconnect()
        helper.pump_for(0.03)
        assert.is_true(client:info().isDisconnected)
    end)

    it("6.9 disconnect while connecting calls the attempt off", function()
        local record = helper.server()
        local client = new()
        client:connect("127.0.0.1", record.port, helper.never("connect"))
        client:disconnect()
        assert.is_true(client:info().isDisconnected)
        helper.pump_for(0.03)
    end)

    it("6.9 bytes already accepted are still sent in the background", function()
        local client, peer = tools.pair()
        client:write("last words")
        client:disconnect()
        assert.equal("last words", tools.received(peer, 10))
    end)

    it("6.9 on a listener it stops listening and closes every client", function()
        local server, clients = tools.crowd(3)
        local port = server:info().localPort
        server:disconnect()
        assert.same({ 0, false, "" },
            { server:connections(), server:connected(), server:info().userData })
        for _, client in ipairs(clients) do
            helper.wait_state(client, "closed")
        end
        local late = helper.connect(port)
        helper.wait_state(late, "closed")
    end)

    it("6.9 on a listener it closes those, too, whose event has not come", function()
        local server = tools.server(0)
        local client = helper.connect(server:info().localPort)
        tools.watch(function()
            return (client:look())
        end, "connected")
        server:disconnect()
        helper.wait_state(client, "closed")
    end)

    it("6.9 the object can be reused, and disconnect twice harms nobody", function()
        local client, _, log, record = tools.pair()
        for i = 2, 4 do
            client:disconnect()
            client:disconnect()
            client:connect("127.0.0.1", record.port)
            wait(function()
                return client:connected() and record.sockets[i]
            end)
        end
        client:read(2)
        record.sockets[4]:write("ok")
        tools.wait_for(log, 1)
        assert.equal("ok", log[1][1])
    end)

    it("6.9 nothing of an earlier connection reaches the next one", function()
        local client, peer, log, record = tools.pair()
        peer:write("old")
        helper.pump_for(0.02)
        client:read(5)
        client:disconnect()
        client:connect("127.0.0.1", record.port)
        client:read(3)
        helper.wait_count(record.sockets, 2)
        record.sockets[2]:write("new")
        tools.wait_for(log, 1)
        assert.same({ "new" }, tools.data(log))
    end)

    it("6.9 there is no notification of a remote close: no callback, no nil data", function()
        local client, peer, log = tools.pair()
        client:read(1)
        client:read("\n")
        client:write("x", function() end)
        peer:close()
        tools.wait_disconnected(client)
        tools.assert_no_more(log, 0, 0.02)
    end)

    it("6.9 remote close with unread bytes: connected until reads have drained them", function()
        local client, peer, log = tools.pair()
        peer:write("one\ntwo\n")
        peer:close()
        helper.pump_for(0.03)
        assert.is_true(client:connected())
        assert.is_true(client:info().isConnected)
        client:read("\n")
        tools.wait_for(log, 1)
        helper.pump_for(0.02)
        assert.is_true(client:connected())
        client:read("\n")
        tools.wait_for(log, 2)
        assert.is_false(client:connected())
        assert.same({ "one\n", "two\n" }, tools.data(log))
    end)

    it("6.9 a read that the rest cannot satisfy ends the connection; that rest is lost", function()
        local client, peer, log = tools.pair()
        peer:write("rest")
        peer:close()
        helper.pump_for(0.03)
        client:read("\n")
        client:read(1)
        tools.wait_disconnected(client)
        assert.is_true(client:info().isDisconnected)
        assert.equal(0, #log)
    end)

    it("6.9 the same when that read was queued before", function()
        local client, peer, log = tools.pair()
        client:read(3)
        client:read(10)
        peer:write("abcdef")
        peer:close()
        tools.wait_disconnected(client)
        assert.same({ "abc" }, tools.data(log))
    end)

    it("6.9 with nothing unread the close is noticed at once", function()
        local client, peer = tools.pair()
        peer:close()
        tools.watch(function()
            return not client:connected()
        end, "the close")
    end)

    it("6.9 a peer that has ended can still be written to while bytes are unread", function()
        local client, peer = tools.pair({ half_open = true })
        peer:write("question\n")
        peer:shutdown()
        helper.pump_for(0.03)
        client:write("answer")
        assert.equal("answer", tools.received(peer, 6))
        peer:close()
    end)
end)

describe("hs.socket: live state", function()
    it("6.9 an end that the system has received counts although no event was dispatched",
        function()
            local client, peer = tools.pair()
            peer:abort()
            tools.watch(function()
                return not client:connected() and client:connections() == 0
                    and client:info().isDisconnected
            end, "the end")
        end)

    it("6.9 bytes count as unread until the read that takes them is dispatched", function()
        local client, peer, log = tools.pair()
        client:read("\n")
        client:read("\n")
        local states = {}
        log.also = function()
            states[#states + 1] = client:connected()
        end
        peer:write("one\ntwo\n")
        peer:close()
        helper.wait_state(peer, "closed")
        tools.wait_for(log, 2)
        assert.same({ true, false }, states)
    end)

    it("6.9 in the callback for the last line of a peer that has already closed it is false",
        function()
            -- As a well known script of a window manager loops: while connected, read a line.
            for _ = 1, 20 do
                local client, peer, log = tools.pair()
                local over = false
                log.also = function()
                    if client:connected() then
                        client:read("\n")
                    else
                        over = true
                    end
                end
                client:read("\n")
                peer:write("one\ntwo\nthree\n")
                peer:close()
                wait(function()
                    return over
                end, "the loop ends")
                assert.same({ "one\n", "two\n", "three\n" }, tools.data(log))
            end
        end)

    it("6.9 connected() is true before the connect callback has run", function()
        local record = helper.server()
        local client, called = new(), false
        client:connect("127.0.0.1", record.port, function()
            called = true
        end)
        tools.watch(function()
            return client:connected()
        end, "connected")
        assert.is_false(called)
        wait(function()
            return called
        end)
    end)

    it("6.9 connected() of a listener: at least one client", function()
        local server = tools.server(0)
        assert.is_false(server:connected())
        local client = helper.connect(server:info().localPort)
        tools.watch(function()
            return server:connected()
        end, "a client")
        client:close()
        tools.watch(function()
            return not server:connected()
        end, "none")
    end)

    it("6.2 connections(): 0 or 1, for a listener the number of clients", function()
        local client = tools.pair()
        assert.equal(1, client:connections())
        client:disconnect()
        assert.equal(0, client:connections())
        local server = tools.crowd(4)
        assert.equal(4, server:connections())
        assert.is_true(tools.is_integer(server:connections()))
    end)
end)

describe("hs.socket: info", function()
    local KEYS = {
        connectedAddress = "string", connectedHost = "string", connectedPort = "number",
        connectedURL = "string", connections = "number", isConnected = "boolean",
        isDisconnected = "boolean", isIPv4 = "boolean", isIPv4Enabled = "boolean",
        isIPv4PreferredOverIPv6 = "boolean", isIPv6 = "boolean", isIPv6Enabled = "boolean",
        isSecure = "boolean", localAddress = "string", localHost = "string",
        localPort = "number", timeout = "number", unixSocketPath = "string", userData = "string",
    }

    -- Every state; each of the four is made once a test.
    local function objects()
        local client = tools.pair()
        local server = tools.crowd(2)
        local connecting = new():connect("127.0.0.1", helper.silent_port())
        return { unconnected = new(), client = client, listener = server,
            connecting = connecting }
    end

    local function values(key)
        local found = {}
        for name, object in pairs(objects()) do
            found[name] = object:info()[key]
        end
        return found.unconnected, found.client, found.listener, found.connecting
    end

    it("6.9 info: all keys of the documentation with their types, in every state", function()
        for state, object in pairs(objects()) do
            local info, count = object:info(), 0
            for key, kind in pairs(KEYS) do
                assert.equal(kind, type(info[key]), state .. " " .. key)
            end
            for key in pairs(info) do
                assert.is_string(KEYS[key], key)
                count = count + 1
            end
            assert.equal(19, count)
        end
    end)

    it("6.9 info: userData is \"\", \"DEFAULT\", \"SERVER\"", function()
        assert.same({ "", "DEFAULT", "SERVER", "DEFAULT" }, { values("userData") })
    end)

    it("6.9 info: isConnected is false, true, false", function()
        assert.same({ false, true, false, false }, { values("isConnected") })
    end)

    it("6.9 info: isDisconnected is true, false (also while connecting), false", function()
        assert.same({ true, false, false, false }, { values("isDisconnected") })
    end)

    it("6.9 info: connections is 0, 1, the number of clients", function()
        assert.same({ 0, 1, 2, 0 }, { values("connections") })
    end)

    it("6.9 info: connectedHost, connectedPort, connectedAddress of the peer", function()
        local client, _, _, record = tools.pair()
        local info = client:info()
        assert.same({ "127.0.0.1", record.port }, { info.connectedHost, info.connectedPort })
        local back = hs.socket.parseAddress(info.connectedAddress)
        assert.same({ host = "127.0.0.1", port = record.port, addressFamily = 2 }, back)
        assert.is_true(tools.is_integer(info.connectedPort))
        for _, object in ipairs { new(), tools.server(0) } do
            info = object:info()
            assert.same({ "", 0, "" },
                { info.connectedHost, info.connectedPort, info.connectedAddress })
        end
    end)

    it("6.9 info: localHost, localPort, localAddress", function()
        local client, peer = tools.pair()
        local info = client:info()
        assert.same({ "127.0.0.1", peer.peer_port }, { info.localHost, info.localPort })
        assert.equal(peer.peer_port, hs.socket.parseAddress(info.localAddress).port)
        assert.is_true(tools.is_integer(info.localPort))
        info = new():info()
        assert.same({ "", 0, "" }, { info.localHost, info.localPort, info.localAddress })
        local port = helper.free_port()
        info = tools.server(port):info()
        assert.same({ "0.0.0.0", port }, { info.localHost, info.localPort })
        assert.equal(port, hs.socket.parseAddress(info.localAddress).port)
    end)

    it("6.9 info: connectedURL and unixSocketPath of a Unix client", function()
        local client, server, path = unix_pair()
        local info = client:info()
        assert.same({ path, path, "", 0 },
            { info.connectedURL, info.unixSocketPath, info.connectedHost, info.connectedPort })
        assert.is_true(info.isConnected)
        assert.is_false(info.isIPv4 or info.isIPv6)
        client:disconnect()
        assert.same({ "", "" }, { client:info().connectedURL, client:info().unixSocketPath })
        assert.equal("", server:info().connectedURL)
    end)

    it("6.9 info: unixSocketPath of a Unix listener; then localHost \"\" and localPort 0",
        function()
            local path = tools.path()
            local info = tools.server(path):info()
            assert.same({ "SERVER", path, "", 0, "" }, { info.userData, info.unixSocketPath,
                info.localHost, info.localPort, info.localAddress })
        end)

    it("6.9 info: isIPv4 and isIPv6 are false, which it is, both true for a listener", function()
        local server = tools.server(0)
        local six = new():connect("::1", server:info().localPort)
        tools.wait_connected(six)
        local four = tools.pair()
        local function both(object)
            local info = object:info()
            return { info.isIPv4, info.isIPv6 }
        end
        assert.same({ false, false }, both(new()))
        assert.same({ true, false }, both(four))
        assert.same({ false, true }, both(six))
        assert.same({ true, true }, both(server))
    end)

    it("6.9 info: isIPv4Enabled, isIPv6Enabled, isIPv4PreferredOverIPv6 are true", function()
        for _, key in ipairs { "isIPv4Enabled", "isIPv6Enabled", "isIPv4PreferredOverIPv6" } do
            assert.same({ true, true, true, true }, { values(key) })
        end
    end)

    it("6.9 info: isSecure is false without TLS", function()
        assert.same({ false, false, false, false }, { values("isSecure") })
    end)

    it("6.9 info: timeout is the number", function()
        local client = tools.pair()
        assert.equal(-1, client:info().timeout)
        assert.equal(client, client:setTimeout(2.5))
        assert.equal(2.5, client:info().timeout)
    end)
end)

describe("hs.socket: tostring", function()
    it("6.9 tostring: hs.socket: HOST:PORT (ADDRESS), with the values of info()", function()
        local client, _, _, record = tools.pair()
        local text = tostring(client)
        assert.is_truthy(text:match("^hs%.socket: 127%.0%.0%.1:%d+ %(0x%x+%)$"), text)
        local words = {}
        for word in text:gmatch("%S+") do
            words[#words + 1] = word
        end
        assert.equal("127.0.0.1:" .. record.port, words[2])
    end)

    it("6.9 tostring: hs.socket(server): ... for a listener", function()
        local server = tools.server(0)
        local text = tostring(server)
        local second = text:match("^hs%.socket%(server%): (%S+) %(0x%x+%)$")
        assert.equal("0.0.0.0:" .. server:info().localPort, second)
    end)

    it("6.9 tostring: an unconnected host prints (null)", function()
        assert.is_truthy(tostring(new()):match("^hs%.socket: %(null%):0 %(0x%x+%)$"))
    end)

    it("6.9 tostring: with a Unix path the path stands in its place", function()
        local client, server, path = unix_pair()
        assert.equal(path, tostring(client):match("^hs%.socket: (%S+) %(0x%x+%)$"))
        assert.equal(path, tostring(server):match("^hs%.socket%(server%): (%S+) %(0x%x+%)$"))
    end)

    it("6.9 tostring: two objects have two addresses", function()
        assert.is_false(tostring(new()) == tostring(new()))
    end)

    it("6.9 getmetatable(s).__type is \"hs.socket\"", function()
        assert.equal("hs.socket", getmetatable(new()).__type)
        assert.equal("hs.socket", getmetatable(tools.server(0)).__type)
    end)

    it("1.4 objects are userdata", function()
        assert.equal("userdata", type(new()))
        assert.is_true(evsock.active() == 0)
    end)
end)
