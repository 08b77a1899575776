-- hs.socket.udp, over the loopback interface, with native sockets as peers.
-- dialects.md 6.10; the rules of chapter 1 where they speak of datagrams.

local helper = require "spec.helper"
local tools = require "spec.dialects.hammerspoon_tools"
local hammerspoon = require "evsock.hammerspoon"

local evsock, hs, raises = helper.evsock, tools.hs, tools.raises
local udp = hs.socket.udp

local LOCAL = "127.0.0.1"
local LOOPBACK = {
    ["127.0.0.1"] = { 16, 2, "\127\0\0\1" .. ("\0"):rep(8) },
    ["::1"] = { 28, 30, ("\0"):rep(4 + 15) .. "\1" .. ("\0"):rep(4) },
}

-- As macOS has an address of the loopback interface in memory.
local function address_bytes(host, port)
    local length, family, rest = (table.unpack or unpack)(LOOPBACK[host])
    return string.char(length, family, math.floor(port / 256), port % 256) .. rest
end

local function close(object)
    object:close()
end

local function new(fn)
    return helper.track(udp.new(fn), close)
end

local function server(port, fn)
    return helper.track(udp.server(port, fn), close)
end

-- A native socket whose datagrams are appended to a list.
local function peer(host)
    local got = {}
    local sock = helper.track(assert(evsock.udp(host or LOCAL, 0, {
        on_datagram = function(_, data, from, port)
            got[#got + 1] = { data = data, host = from, port = port }
        end,
    })))
    return sock, got
end

local function port_of(object)
    return object:info().localPort
end

-- A server that receives, with what its callback got.
local function receiver()
    local callback, log = tools.note()
    local object = server(0, callback)
    assert.equal(object, object:receive())
    return object, log
end

after_each(function()
    udp.timeout = -1
    hammerspoon.configure { logger = function() end }
    tools.finish()
end)

before_each(tools.log_all)

local function logged(text)
    for _, entry in ipairs(tools.logged) do
        if entry[2]:find(text, 1, true) then
            return true
        end
    end
    return false
end

describe("hs.socket.udp: module", function()
    it("6.10 new([fn]): a closed socket each time, a userdata of its own type", function()
        local one, two = new(), new()
        assert.is_false(one == two)
        assert.is_true(one:closed())
        assert.is_false(one:connected())
        assert.equal("userdata", type(one))
        assert.equal("hs.socket.udp", getmetatable(one).__type)
        assert.is_truthy(tostring(one):find("^hs%.socket%.udp: %(null%):0 %(0x%x+%)$"))
        assert.equal(0, evsock.active())
    end)

    it("6.10 new(fn): fn is the callback", function()
        local callback, log = tools.note()
        local object = new(callback):listen(0):receive()
        peer():send_to("hello", LOCAL, port_of(object))
        tools.wait_for(log, 1)
        assert.equal("hello", log[1][1])
    end)

    it("6.10 server(port [, fn]): new(fn) and listen; it is returned if that failed", function()
        local first = server(0)
        assert.is_false(first:closed())
        assert.equal("SERVER", first:info().userData)
        local second = server(port_of(first))
        assert.equal("userdata", type(second))
        assert.is_true(second:closed())
        assert.equal("", second:info().userData)
        assert.is_true(logged("address already in use"))
    end)

    it("6.10 timeout: a module variable, -1 by default, copied into each socket by new", function()
        assert.equal(-1, udp.timeout)
        local before = new()
        udp.timeout = 2.5
        assert.same({ -1, 2.5 }, { before:info().timeout, new():info().timeout })
    end)

    it("6.10 parseAddress is that of hs.socket", function()
        assert.equal(hs.socket.parseAddress, udp.parseAddress)
    end)
end)

describe("hs.socket.udp: receiving", function()
    it("6.10 callback fn(data, sockaddr): what came and from where, IPv4 and IPv6", function()
        local object, log = receiver()
        for i, host in ipairs { LOCAL, "::1" } do
            local sock = peer(host)
            sock:send_to("hello", host, port_of(object))
            tools.wait_for(log, i)
            assert.equal("hello", log[i][1])
            assert.same({ host = host, port = sock.port, addressFamily = i == 1 and 2 or 30 },
                udp.parseAddress(log[i][2]))
            assert.equal(address_bytes(host, sock.port), log[i][2])
            assert.equal(2, #log[i])
        end
    end)

    it("6.10 receive([fn]): every datagram as it comes, and it sets the callback", function()
        local _, log = tools.note()
        local object = server(0)
        assert.equal(object, object:receive(function(data)
            log[#log + 1] = data
        end))
        local sock = peer()
        for n = 1, 5 do
            sock:send_to("n" .. n, LOCAL, port_of(object))
        end
        tools.wait_for(log, 5)
        assert.same({ "n1", "n2", "n3", "n4", "n5" }, { (table.unpack or unpack)(log) })
    end)

    it("6.10 receive is nil without a callback, and before the socket is bound", function()
        assert.is_nil(server(0):receive())
        assert.is_nil(server(0):receiveOne())
        assert.is_nil(new(function() end):receive())
        assert.equal(3, #tools.logged)
    end)

    it("6.10 nothing is delivered before receive is called; then it is", function()
        local callback, log = tools.note()
        local object = server(0, callback)
        peer():send_to("early", LOCAL, port_of(object))
        tools.assert_no_more(log, 0, 0.02)
        object:receive()
        tools.wait_for(log, 1)
    end)

    it("6.10 receiveOne([fn]): one datagram for each call", function()
        local callback, log = tools.note()
        local object = server(0)
        local sock = peer()
        for n = 1, 3 do
            sock:send_to("n" .. n, LOCAL, port_of(object))
        end
        for n = 1, 3 do
            assert.equal(object, object:receiveOne(callback))
            object:receiveOne()
            tools.wait_for(log, n)
            tools.assert_no_more(log, n, 0.01)
            assert.equal("n" .. n, log[n][1])
        end
    end)

    it("6.10 receiveOne in its own callback asks for the next", function()
        local log = {}
        local object
        object = server(0, function(data)
            log[#log + 1] = data
            object:receiveOne()
        end)
        object:receiveOne()
        local sock = peer()
        for _ = 1, 10 do
            sock:send_to("x", LOCAL, port_of(object))
        end
        tools.wait_for(log, 10)
    end)

    it("6.10 receive and receiveOne may be changed for each other", function()
        local object, log = receiver()
        local sock = peer()
        sock:send_to("1", LOCAL, port_of(object))
        tools.wait_for(log, 1)
        object:receiveOne()
        sock:send_to("2", LOCAL, port_of(object))
        sock:send_to("3", LOCAL, port_of(object))
        tools.wait_for(log, 2)
        tools.assert_no_more(log, 2, 0.01)
        object:receive()
        tools.wait_for(log, 3)
    end)

    it("6.10 pause: nothing is delivered until receive, and nothing is lost", function()
        local object, log = receiver()
        local sock = peer()
        assert.equal(object, object:pause())
        for n = 1, 5 do
            sock:send_to("n" .. n, LOCAL, port_of(object))
        end
        tools.assert_no_more(log, 0, 0.02)
        object:receive()
        tools.wait_for(log, 5)
        assert.equal("n5", log[5][1])
    end)

    it("6.10 setCallback([fn]) replaces or clears the callback", function()
        local object, log = receiver()
        local other, other_log = tools.note()
        local sock = peer()
        assert.equal(object, object:setCallback(other))
        sock:send_to("1", LOCAL, port_of(object))
        tools.wait_for(other_log, 1)
        object:setCallback()
        sock:send_to("2", LOCAL, port_of(object))
        helper.pump_for(0.02)
        object:setCallback(other)
        sock:send_to("3", LOCAL, port_of(object))
        tools.wait_for(other_log, 2)
        assert.equal("3", other_log[2][1])
        assert.equal(0, #log)
    end)

    it("6.10 read and readOne are aliases", function()
        local methods = getmetatable(new()).__definition.methods
        assert.equal(methods.receive, methods.read)
        assert.equal(methods.receiveOne, methods.readOne)
        assert.equal(methods.send, methods.write)
    end)

    it("6.10 setBufferSize(n [, 4 or 6]): longer datagrams are cut; 65535 by default", function()
        local object, log = receiver()
        local info = object:info()
        assert.same({ 65535, 65535 },
            { info.maxReceiveIPv4BufferSize, info.maxReceiveIPv6BufferSize })
        assert.equal(object, object:setBufferSize(4, 4))
        info = object:info()
        assert.same({ 4, 65535 }, { info.maxReceiveIPv4BufferSize, info.maxReceiveIPv6BufferSize })
        peer():send_to("12345", LOCAL, port_of(object))
        tools.wait_for(log, 1)
        peer("::1"):send_to("12345", "::1", port_of(object))
        tools.wait_for(log, 2)
        assert.same({ "1234", "12345" }, { log[1][1], log[2][1] })
        object:setBufferSize(100000)
        info = object:info()
        assert.same({ 65535, 65535 },
            { info.maxReceiveIPv4BufferSize, info.maxReceiveIPv6BufferSize })
        raises("size", function() object:setBufferSize("many") end)
        raises("version", function() object:setBufferSize(10, 5) end)
    end)
end)

describe("hs.socket.udp: sending", function()
    it("6.10 send(text, host, port) opens the socket and sends", function()
        local sock, got = peer()
        local object = new()
        assert.equal(object, object:send("hello", LOCAL, sock.port))
        assert.is_false(object:closed())
        tools.wait_for(got, 1)
        assert.equal("hello", got[1].data)
        assert.equal(port_of(object), got[1].port)
    end)

    it("6.10 send(text, host, port, tag, fn): fn gets the tag, once, later", function()
        local sock = peer()
        local sent, log = tools.note()
        local object = new()
        object:send("x", LOCAL, sock.port, 7, sent)
        object:send("x", LOCAL, sock.port, sent)
        object:send("x", LOCAL, sock.port, 8)
        assert.equal(0, #log)
        tools.wait_for(log, 2)
        helper.pump_for(0.01)
        assert.same({ { 7 }, { -1 } }, log)
    end)

    it("1.1 a send in the callback of a send does not keep pump from returning", function()
        local sender, sent, most = new(), 0, 0
        local inside
        local function again()
            sent, inside = sent + 1, inside + 1
            most = math.max(most, inside)
            if sent < 20 then
                sender:send("x", "127.0.0.1", 9, 1, again)
            end
        end
        sender:send("x", "127.0.0.1", 9, 1, again)
        tools.wait(function()
            inside = 0
            return sent == 20
        end, "twenty")
        assert.equal(1, most)
    end)

    it("6.10 send to a name: fn comes once it is looked up and sent", function()
        local sock, got = peer()
        local sent, log = tools.note()
        new():send("hello", "localhost", sock.port, 3, sent)
        tools.wait_for(got, 1)
        tools.wait_for(log, 1)
        assert.same({ { 3 } }, log)
    end)

    it("6.10 send to a name that is unknown: logged, and fn is not called", function()
        local object = new()
        object:send("hello", "no-such-host.invalid", 9, 3, helper.never("fn"))
        helper.pump_until(function()
            return logged("no-such-host.invalid")
        end, 20)
    end)

    it("6.10 send over IPv6, and any bytes, and none", function()
        local sock, got = peer("::1")
        local object = new()
        for _, text in ipairs { "a\0b\255", "", ("x"):rep(20000) } do
            object:send(text, "::1", sock.port)
        end
        tools.wait_for(got, 3)
        assert.same({ "a\0b\255", "", ("x"):rep(20000) },
            { got[1].data, got[2].data, got[3].data })
    end)

    it("6.10 send without an address and without a connection: logged, no fn", function()
        local object = new()
        assert.equal(object, object:send("x", 1, helper.never("fn")))
        helper.pump_for(0.01)
        assert.is_true(logged("not connected"))
    end)

    it("6.10 a datagram that is too long: logged, no fn", function()
        local object = new()
        assert.equal(object, object:send(("x"):rep(70000), LOCAL, 9, helper.never("fn")))
        helper.pump_for(0.01)
        assert.is_true(logged("message too long"))
    end)

    it("6.10 broadcast([flag]): true unless it is false, before and after it is open", function()
        local object = server(0)
        assert.equal(object, object:broadcast())
        assert.equal(object, object:broadcast(false))
        object:send("x", "255.255.255.255", 9, helper.never("fn"))
        assert.is_true(logged("send_to 255.255.255.255:9: "))
        local early = new():broadcast(true):listen(0)
        tools.logged = {}
        early:send("x", "255.255.255.255", 9)
        assert.is_false(logged("permission denied"))
        raises("flag", function() object:broadcast(1) end)
    end)
end)

describe("hs.socket.udp: ends", function()
    it("6.10 listen(port): on all interfaces, IPv4 and IPv6; nil if it is taken", function()
        local object = new()
        assert.equal(object, object:listen(0))
        local info = object:info()
        assert.is_true(info.localPort > 0)
        assert.equal(info.localPort, info.localPort_IPv4)
        assert.equal(info.localPort, info.localPort_IPv6)
        assert.same({ "0.0.0.0", "::", "0.0.0.0" },
            { info.localHost_IPv4, info.localHost_IPv6, info.localHost })
        assert.is_nil(new():listen(info.localPort))
        assert.is_nil(object:listen(0))
        assert.is_true(logged("close it first"))
    end)

    it("6.10 reusePort([flag]): two may have one port if both say so before", function()
        local one = new():reusePort():listen(0)
        assert.is_truthy(new():reusePort(true):listen(port_of(one)))
        assert.is_nil(new():reusePort(false):listen(port_of(one)))
    end)

    it("6.10 connect(host, port [, fn]): fn is called once, later, without arguments", function()
        local sock, got = peer()
        local connected, log = tools.note()
        local object = new()
        assert.equal(object, object:connect(LOCAL, sock.port, connected))
        assert.equal(0, #log)
        tools.wait_for(log, 1)
        assert.same({}, log[1])
        assert.is_true(object:connected())
        object:send("hello", 4)
        tools.wait_for(got, 1)
        tools.assert_no_more(log, 1, 0.01)
    end)

    it("6.10 a connected one: send has no address, only the peer is heard", function()
        local sock, got = peer()
        local callback, log = tools.note()
        local sent, tags = tools.note()
        local object = new(callback):connect(LOCAL, sock.port):receive()
        object:send("to you", 5, sent)
        tools.wait_for(got, 1)
        tools.wait_for(tags, 1)
        assert.same({ { 5 } }, tags)
        peer():send_to("stranger", LOCAL, port_of(object))
        sock:send_to("friend", LOCAL, port_of(object))
        tools.wait_for(log, 1)
        assert.equal("friend", log[1][1])
        object:send("x", LOCAL, sock.port, helper.never("fn"))
        assert.is_true(logged("the socket is connected"))
    end)

    it("6.10 connect to a name: what is sent meanwhile follows", function()
        local sock, got = peer()
        local object = new()
        assert.equal(object, object:connect("localhost", sock.port))
        object:send("hello")
        tools.wait_for(got, 1)
        assert.is_true(object:connected())
    end)

    it("6.10 connect a second time is nil, and after close it is not", function()
        local sock = peer()
        local object = new():connect(LOCAL, sock.port)
        assert.is_nil(object:connect(LOCAL, sock.port))
        object:close()
        assert.equal(object, object:connect(LOCAL, sock.port))
    end)

    it("6.10 connect to an unknown name: logged, no fn, and it may be tried again", function()
        local sock = peer()
        local object = new()
        assert.equal(object, object:connect("no-such-host.invalid", 9, helper.never("fn")))
        assert.is_false(object:connected())
        helper.pump_until(function()
            return logged("connect no-such-host.invalid:9: ")
        end, 20)
        assert.equal("", object:info().userData)
        assert.equal(object, object:connect(LOCAL, sock.port))
        assert.is_true(object:connected())
    end)

    it("6.10 closed() until it is opened, connected() only after connect", function()
        local object = new()
        assert.same({ true, false }, { object:closed(), object:connected() })
        object:listen(0)
        assert.same({ false, false }, { object:closed(), object:connected() })
        assert.equal(object, object:close())
        assert.same({ true, false }, { object:closed(), object:connected() })
        local sock = peer()
        object:connect(LOCAL, sock.port)
        assert.same({ false, true }, { object:closed(), object:connected() })
    end)

    it("6.10 close: at once, no callback afterwards, and it may be used again", function()
        local object, log = receiver()
        local port = port_of(object)
        peer():send_to("x", LOCAL, port)
        object:close()
        tools.assert_no_more(log, 0, 0.02)
        assert.equal(0, object:info().localPort)
        object:listen(port):receive()
        peer():send_to("y", LOCAL, port)
        tools.wait_for(log, 1)
        assert.equal("y", log[1][1])
    end)

    it("6.10 enableIPv(4 or 6 [, flag]): one family alone", function()
        local object = new():enableIPv(6, false):listen(0)
        local info = object:info()
        assert.same({ true, false, true, false },
            { info.isIPv4, info.isIPv6, info.isIPv4Enabled, info.isIPv6Enabled })
        assert.equal(0, info.localPort_IPv6)
        object = new():enableIPv(4, false):listen(0)
        assert.equal("::", object:info().localHost)
        object = new():enableIPv(4, false):enableIPv(6, false)
        assert.is_nil(object:listen(0))
        assert.equal(object, object:enableIPv(4):listen(0))
        raises("version", function() object:enableIPv(5) end)
        raises("flag", function() object:enableIPv(4, "yes") end)
    end)

    it("6.10 preferIPv([4 or 6]): which one a name goes to; nil for neither", function()
        local sock4 = peer()
        local sock6, got6 = peer("::1")
        local object = new()
        assert.equal(object, object:preferIPv(6))
        local info = object:info()
        assert.same({ false, true, false },
            { info.isIPv4Preferred, info.isIPv6Preferred, info.isIPVersionNeutral })
        object:send("x", "localhost", sock6.port)
        tools.wait_for(got6, 1)
        assert.is_true(object:preferIPv():info().isIPVersionNeutral)
        assert.is_true(object:preferIPv(4):info().isIPv4Preferred)
        object:connect("localhost", sock4.port)
        assert.equal(LOCAL, object:info().connectedHost)
        raises("version", function() object:preferIPv(5) end)
    end)

    it("6.10 setTimeout is kept and shown", function()
        local object = new()
        assert.equal(object, object:setTimeout(5))
        assert.equal(5, object:info().timeout)
        raises("setTimeout", function() object:setTimeout("soon") end)
    end)

    it("6.10 info: every key, of a closed one", function()
        assert.same({
            connectedAddress = "", connectedHost = "", connectedPort = 0,
            isClosed = true, isConnected = false,
            isIPv4 = false, isIPv4Enabled = true, isIPv4Preferred = false,
            isIPv6 = false, isIPv6Enabled = true, isIPv6Preferred = false,
            isIPVersionNeutral = true,
            localAddress = "", localAddress_IPv4 = "", localAddress_IPv6 = "",
            localHost = "", localHost_IPv4 = "", localHost_IPv6 = "",
            localPort = 0, localPort_IPv4 = 0, localPort_IPv6 = 0,
            maxReceiveIPv4BufferSize = 65535, maxReceiveIPv6BufferSize = 65535,
            timeout = -1, userData = "",
        }, new():info())
    end)

    it("6.10 info of a connected one: both ends, of the peer's family alone", function()
        local sock = peer()
        local info = new():connect(LOCAL, sock.port):info()
        assert.same({ LOCAL, sock.port, address_bytes(LOCAL, sock.port), "DEFAULT" },
            { info.connectedHost, info.connectedPort, info.connectedAddress, info.userData })
        assert.same({ true, true, false, false },
            { info.isConnected, info.isIPv4, info.isIPv6, info.isClosed })
        assert.equal(LOCAL, info.localHost)
        assert.equal(address_bytes(LOCAL, info.localPort), info.localAddress_IPv4)
        assert.is_true(tools.is_integer(info.localPort))
    end)

    it("6.10 wrong arguments raise at the caller's line", function()
        local object = new()
        raises("fn", function() udp.new(7) end)
        raises("port", function() object:listen(70000) end)
        raises("host", function() object:connect(7, 9) end)
        raises("port", function() object:connect("x") end)
        raises("message", function() object:send(7) end)
        raises("tag", function() object:send("x", LOCAL, 9, {}) end)
        raises("fn", function() object:receive(7) end)
        raises("self", function() object.close(7) end)
    end)
end)

describe("hs.socket.udp: rules of all dialects", function()
    local function collect()
        for _ = 1, 5 do
            helper.collect()
        end
    end

    it("1.6 errors of callbacks are logged, and everything goes on", function()
        local count = 0
        local object = server(0, function()
            count = count + 1
            error("thrown in a callback", 0)
        end):receive()
        local sock = peer()
        sock:send_to("x", LOCAL, port_of(object))
        sock:send_to("y", LOCAL, port_of(object))
        helper.pump_until(function()
            return count == 2
        end)
        assert.is_true(logged("thrown in a callback"))
    end)

    it("1.5 a callback may close its socket and open it again", function()
        local count = 0
        local object
        object = server(0, function()
            count = count + 1
            local port = port_of(object)
            object:close():listen(port)
            object:receive()
        end):receive()
        local sock = peer()
        for n = 1, 3 do
            sock:send_to("x", LOCAL, port_of(object))
            helper.pump_until(function()
                return count == n
            end)
        end
    end)

    it("1.9 dropping the last reference closes it, in every state", function()
        local sock = peer()
        for _, prepare in ipairs {
            function() end,
            function(object) object:listen(0) end,
            function(object) object:listen(0):receive(function() end) end,
            function(object) object:send("x", LOCAL, sock.port, 1, function() end) end,
            function(object) object:send("x", "no-such-host.invalid", 9, function() end) end,
            function(object) object:connect(LOCAL, sock.port, function() end) end,
            function(object) object:connect("no-such-host.invalid", 9, function() end) end,
        } do
            prepare(udp.new())
        end
        collect()
        helper.pump_for(0.01)
        collect()
        assert.equal(1, evsock.active())
    end)

    it("1.9 a socket that its callback reaches lives on while it is open", function()
        local port
        local count = 0
        do
            local object
            object = udp.new(function()
                count = count + 1
                object:close()
            end)
            object:listen(0):receive()
            port = port_of(object)
        end
        collect()
        peer():send_to("x", LOCAL, port)
        helper.pump_until(function()
            return count == 1
        end)
        collect()
        assert.equal(1, evsock.active())
    end)

    it("1.13 hosts and ports apply to send and connect, and are invisible", function()
        local sock, got = peer()
        hammerspoon.configure {
            hosts = { device = LOCAL .. ":" .. sock.port, ["10.9.8.7"] = LOCAL },
            ports = { [23] = sock.port },
        }
        local callback, log = tools.note()
        local object = server(0, callback):receive()
        object:send("1", "device", 4000)
        object:send("2", "10.9.8.7", 23)
        tools.wait_for(got, 2)
        sock:send_to("back", LOCAL, port_of(object))
        tools.wait_for(log, 1)
        assert.same({ host = "10.9.8.7", port = 23, addressFamily = 2 },
            udp.parseAddress(log[1][2]))
        local info = new():connect("10.9.8.7", 23):info()
        assert.same({ "10.9.8.7", 23 }, { info.connectedHost, info.connectedPort })
    end)

    it("1.13 hosts: false makes the lookup fail", function()
        hammerspoon.configure { hosts = { device = false } }
        local object = new()
        object:send("x", "device", 9, helper.never("fn"))
        assert.is_true(logged("send_to device:9: name or service not known"))
        assert.is_nil(object:connect("device", 9))
    end)
end)
