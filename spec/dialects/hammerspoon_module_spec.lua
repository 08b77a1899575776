-- hs.socket: the module, socket addresses, arguments and results.
-- dialects.md 6.1 > "module", "addresses"; 6.2 > "methods"; 6.10 > "udp"

local helper = require "spec.helper"
local tools = require "spec.dialects.hammerspoon_tools"
local hammerspoon = require "evsock.hammerspoon"
local hs, new, wait, raises = tools.hs, tools.new, tools.wait, tools.raises

after_each(tools.finish)

describe("hs.socket: module", function()
    it("6.1 new([fn]): an unconnected socket each time", function()
        local one, two = new(), new()
        assert.is_false(one == two)
        assert.is_false(one:connected())
        assert.equal("", one:info().userData)
    end)

    it("6.1 new(fn): fn is the read callback", function()
        local callback, log = tools.note()
        local record = helper.server()
        local client = new(callback):connect("127.0.0.1", record.port)
        client:read(3)
        helper.wait_accepted(record)
        record.sockets[1]:write("abc")
        tools.wait_for(log, 1)
        assert.same({ "abc", -1 }, log[1])
    end)

    it("6.1 server(port [, fn]): new(fn) and listen", function()
        local callback, log = tools.note()
        local server = tools.server(0, callback)
        assert.equal("SERVER", server:info().userData)
        local client = helper.connect(server:info().localPort)
        tools.wait_connections(server, 1)
        server:read("\n")
        client:write("hello\n")
        tools.wait_for(log, 1)
        assert.equal("hello\n", log[1][1])
    end)

    it("6.1 server(path [, fn]): the same on a Unix socket", function()
        local path = tools.path()
        local server = tools.server(path)
        assert.equal(path, server:info().unixSocketPath)
    end)

    it("6.1 server() returns the socket even if listening failed; userData tells", function()
        local first = tools.server(0)
        local second = tools.server(first:info().localPort)
        assert.equal("userdata", type(second))
        assert.equal("", second:info().userData)
        assert.is_true(second:info().isDisconnected)
    end)

    it("6.1 timeout: a module variable, -1 by default", function()
        assert.equal(-1, hs.socket.timeout)
        assert.equal(-1, new():info().timeout)
    end)

    it("6.1 timeout is copied into each socket by new", function()
        local before = new()
        hs.socket.timeout = 2.5
        local after = new()
        assert.same({ -1, 2.5 }, { before:info().timeout, after:info().timeout })
        assert.equal(2.5, tools.server(0):info().timeout)
        hs.socket.timeout = "soon"
        raises("hs.socket.timeout", function() hs.socket.new() end)
    end)

    it("6.1 setLogLevel and getLogLevel exist and are harmless", function()
        local before = hs.socket.getLogLevel()
        for _, level in ipairs { 0, 5, "debug", "nothing", before } do
            hs.socket.setLogLevel(level)
            assert.equal(level, hs.socket.getLogLevel())
        end
    end)

    it("6.1 udp: the sub-module is there", function()
        assert.equal(-1, hs.socket.udp.timeout)
        assert.equal("hs.socket.udp", getmetatable(hs.socket.udp.new()).__type)
        assert.equal(hs.socket.parseAddress, hs.socket.udp.parseAddress)
    end)
end)

describe("hs.socket: addresses", function()
    local V4 = "\16\2\31\144\10\0\0\9" .. ("\0"):rep(8)
    local V6 = "\28\30\1\187" .. ("\0"):rep(4) .. "\32\1\13\184" .. ("\0"):rep(11) .. "\1"
        .. ("\0"):rep(4)

    it("6.1 parseAddress: host, port and addressFamily of an IPv4 address", function()
        assert.same({ host = "10.0.0.9", port = 8080, addressFamily = 2 },
            hs.socket.parseAddress(V4))
    end)

    it("6.1 parseAddress: the same of an IPv6 address, short, without brackets", function()
        assert.same({ host = "2001:db8::1", port = 443, addressFamily = 30 },
            hs.socket.parseAddress(V6))
    end)

    it("6.1 parseAddress: ports and families are integers", function()
        for _, bytes in ipairs { V4, V6 } do
            local found = hs.socket.parseAddress(bytes)
            assert.is_true(tools.is_integer(found.port))
            assert.is_true(tools.is_integer(found.addressFamily))
        end
    end)

    it("6.1 parseAddress: nil for what is no address", function()
        for _, bytes in ipairs {
            "", "\16", "\16\2", V4:sub(1, 15), V6:sub(1, 27), "\16\3" .. V4:sub(3),
            "\2\0" .. V4:sub(3), ("x"):rep(28),
        } do
            assert.is_nil(hs.socket.parseAddress(bytes))
        end
        raises("sockaddr", function() hs.socket.parseAddress(12) end)
        raises("sockaddr", function() hs.socket.parseAddress() end)
    end)

    it("6.1 parseAddress: IPv6 text forms", function()
        local forms = {
            ["::"] = ("\0"):rep(16),
            ["::1"] = ("\0"):rep(15) .. "\1",
            ["1::"] = "\0\1" .. ("\0"):rep(14),
            ["1:0:0:2::3"] = "\0\1\0\0\0\0\0\2\0\0\0\0\0\0\0\3",
            ["1::2:0:0:3"] = "\0\1" .. ("\0"):rep(6) .. "\0\2\0\0\0\0\0\3",
            ["1:2:3:4:5:6:7:8"] = "\0\1\0\2\0\3\0\4\0\5\0\6\0\7\0\8",
            ["1:2:3:0:5:6:7:8"] = "\0\1\0\2\0\3\0\0\0\5\0\6\0\7\0\8",
            ["fe80::abcd:12"] = "\254\128" .. ("\0"):rep(10) .. "\171\205\0\18",
            ["::ffff:10.0.0.9"] = ("\0"):rep(10) .. "\255\255\10\0\0\9",
        }
        for text, bytes in pairs(forms) do
            local sockaddr = "\28\30\0\7\0\0\0\0" .. bytes .. "\0\0\0\0"
            assert.same({ host = text, port = 7, addressFamily = 30 },
                hs.socket.parseAddress(sockaddr))
        end
    end)

    it("6.1 sockaddr of IPv4: 16, 2, port big endian, 4 bytes of address, 8 zeros", function()
        local client, _, _, record = tools.pair()
        local port = record.port
        local expected = string.char(16, 2, math.floor(port / 256), port % 256, 127, 0, 0, 1)
            .. ("\0"):rep(8)
        assert.is_true(client:info().connectedAddress == expected)
        local back = hs.socket.parseAddress(client:info().localAddress)
        assert.equal("127.0.0.1", back.host)
        assert.equal(client:info().localPort, back.port)
    end)

    it("6.1 sockaddr of IPv6: 28, 30, port, 4 bytes of flow, 16 of address, 4 of scope", function()
        local server = tools.server(0)
        local port = server:info().localPort
        local client = new():connect("::1", port)
        tools.wait_connected(client)
        local expected = string.char(28, 30, math.floor(port / 256), port % 256)
            .. ("\0"):rep(4) .. ("\0"):rep(15) .. "\1" .. ("\0"):rep(4)
        assert.is_true(client:info().connectedAddress == expected)
    end)

    it("6.1 sockaddr of a listener: its port on 0.0.0.0", function()
        local info = tools.server(0):info()
        local back = hs.socket.parseAddress(info.localAddress)
        assert.same({ "0.0.0.0", info.localPort }, { back.host, back.port })
    end)
end)

describe("hs.socket: methods", function()
    it("6.2 every method returns the socket unless stated", function()
        local client = tools.pair()
        client:setCallback(print)
        for _, name in ipairs {
            "setCallback", "setTimeout", "read", "receive", "write", "send", "startTLS",
            "disconnect",
        } do
            local argument = name == "setTimeout" and 5 or "\n"
            if name == "setCallback" then
                argument = print
            elseif name == "startTLS" then
                argument = false
            end
            assert.equal(client, client[name](client, argument), name)
        end
        assert.equal(client, client:listen(0))
    end)

    it("6.2 connect and listen return the socket, or nil", function()
        local record = helper.server()
        local client = new()
        assert.equal(client, client:connect("127.0.0.1", record.port))
        assert.is_nil((client:connect("127.0.0.1", record.port)))
        assert.is_nil((client:listen(0)))
    end)

    it("6.2 connected, connections and info return a boolean, a number and a table", function()
        local client = new()
        assert.is_false(client:connected())
        assert.equal(0, client:connections())
        assert.is_true(tools.is_integer(client:connections()))
        assert.is_table(client:info())
    end)

    it("6.2 read and write have the aliases receive and send", function()
        local client, peer, log = tools.pair()
        client:receive(2, 7)
        client:send("out", 8)
        peer:write("in")
        tools.wait_for(log, 1)
        assert.same({ "in", 7 }, log[1])
        assert.equal("out", tools.received(peer, 3))
    end)

    it("6.2 the default tag is -1", function()
        local client, peer, log = tools.pair()
        local tag
        client:write("x", function(given)
            tag = given
        end)
        client:read(1)
        peer:write("y")
        wait(function()
            return tag and log[1]
        end)
        assert.same({ -1, -1 }, { tag, log[1][2] })
        assert.is_true(tools.is_integer(tag))
    end)

    it("6.2 setCallback([fn]) replaces or clears the read callback", function()
        local client, peer, log = tools.pair()
        local second, second_log = tools.note()
        client:read(1)
        client:setCallback(second)
        peer:write("x")
        tools.wait_for(second_log, 1)
        assert.same({}, log)
        client:setCallback()
        assert.is_nil((client:read(1)))
        client:setCallback(second)
        client:setCallback(nil)
        assert.is_nil((client:read(1)))
    end)

    it("6.2 wrong argument types raise at the caller's line", function()
        local client = new(print)
        raises("'host' to 'connect'", function() client:connect(5, 5) end)
        raises("'port' to 'connect'", function() client:connect("localhost", {}) end)
        raises("'port' to 'connect'", function() client:connect("localhost", "http") end)
        raises("'fn' to 'connect'", function() client:connect("localhost", 80, 5) end)
        raises("'fn' to 'connect'", function() client:connect("localhost", 80, "x") end)
        raises("'port' to 'listen'", function() client:listen() end)
        raises("'port' to 'listen'", function() client:listen({}) end)
        raises("'delimiter' to 'read'", function() client:read() end)
        raises("'delimiter' to 'read'", function() client:read({}) end)
        raises("'tag' to 'read'", function() client:read(1, "x") end)
        raises("'message' to 'write'", function() client:write() end)
        raises("'message' to 'write'", function() client:write(5) end)
        raises("'tag' to 'write'", function() client:write("x", "y") end)
        raises("'tag' to 'write'", function() client:write("x", 1.5) end)
        raises("'fn' to 'write'", function() client:write("x", 1, 2) end)
        raises("'fn' to 'setCallback'", function() client:setCallback("x") end)
        raises("setTimeout", function() client:setTimeout() end)
        raises("setTimeout", function() client:setTimeout("1") end)
        raises("'verify' to 'startTLS'", function() client:startTLS({}) end)
        raises("'peerName' to 'startTLS'", function() client:startTLS(true, 5) end)
        raises("'fn' to 'new'", function() hs.socket.new(5) end)
        raises("'port' to 'listen'", function() hs.socket.server({}) end)
        assert.is_false(client:connected())
    end)

    it("6.2 a method called with a dot raises", function()
        local client = new()
        raises("'self' to 'read'", function() client.read("\n") end)
        raises("'self' to 'info'", function() client.info() end)
        raises("'self' to 'connected'", function() client.connected(io.stdout) end)
    end)

    it("6.2 connect(path [, fn]): a Unix socket when the second argument is no number", function()
        local path = tools.path()
        local server = tools.server(path)
        local one, two, called = new(), new(), false
        assert.equal(one, one:connect(path))
        assert.equal(two, two:connect(path, function()
            called = true
        end))
        wait(function()
            return called and server:connections() == 2
        end)
        assert.equal(path, one:info().unixSocketPath)
    end)

    it("6.2 ~ is expanded in paths", function()
        local path = tools.path()
        local script = ([[
            local evsock = require "evsock"
            local hs = {}
            require("evsock.hammerspoon").install { hs = hs }
            local server = hs.socket.server("~/sock")
            local client = hs.socket.new():connect("~/sock")
            local stop = evsock.now() + 5
            repeat evsock.pump(0.02) until client:connected() or evsock.now() > stop
            print(server:info().unixSocketPath, client:info().unixSocketPath)
        ]])
        local output = helper.run(script, nil, "mkdir " .. path .. "; HOME=" .. path
            .. "; export HOME")
        os.remove(path .. "/sock")
        assert.equal(path .. "/sock\t" .. path .. "/sock\n", output)
    end)
end)

describe("hs.socket: install", function()
    it("1.11 requiring sets no global", function()
        assert.is_nil(rawget(_G, "hs"))
    end)

    it("1.11 install sets hs.socket, in an hs that is there too, and returns the module", function()
        local env = {}
        assert.equal(hammerspoon, hammerspoon.install(env))
        assert.equal(hammerspoon.socket, env.hs.socket)
        local other = { timer = "theirs" }
        hammerspoon.install { hs = other }
        assert.same({ "theirs", hammerspoon.socket }, { other.timer, other.socket })
        local keys = {}
        for name in pairs(env) do
            keys[#keys + 1] = name
        end
        assert.same({ "hs" }, keys)
    end)

    it("1.11 install lets require find hs.socket", function()
        hammerspoon.install {}
        assert.equal(hammerspoon.socket, require "hs.socket")
    end)

    it("1.11 install sets the globals when no table is given", function()
        local output = helper.run([[
            require("evsock.hammerspoon").install()
            print(type(hs.socket.new), require("hs.socket") == hs.socket)
        ]])
        assert.equal("function\ttrue\n", output)
    end)

    it("1.11 install raises for what is no table", function()
        raises("install", function() hammerspoon.install(5) end)
        raises("install", function() hammerspoon.install { hs = 5 } end)
    end)
end)
