-- Rules common to all dialects about values and about the host, as seen through Q-SYS.
-- dialects.md 1.7, 1.8, 1.10 > "values"; 1.11, 1.14, 1.15 > "the host"

local helper = require "spec.helper"
local tools = require "spec.dialects.qsys_tools"
local evsock = helper.evsock
local qsys = require "evsock.qsys"
local TcpSocket, TcpSocketServer, Timer = qsys.TcpSocket, qsys.TcpSocketServer, qsys.Timer
local client, wait, connected = tools.client, tools.wait, tools.connected

after_each(helper.finish)

describe("common rules: values", function()
    it("1.7 strings are bytes: all 256 pass in both directions and in delimiters", function()
        local all = helper.all_bytes()
        local sock, peer = connected()
        sock:Write(all)
        helper.wait_field(peer, "buffered", 256)
        assert.is_true(peer:read() == all)
        peer:write(all .. "\0\255\0" .. "tail")
        helper.wait_field(sock, "BufferLength", 263)
        assert.equal(257, sock:Search("\0\255\0"))
        assert.is_true(sock:ReadLine(TcpSocket.EOL.Custom, "\0\255\0") == all)
        assert.equal("tail", sock:Read(10))
    end)

    it("1.8 ports: a float with integral value and a numeric string", function()
        local server = helper.server()
        local sock = client()
        for _, port in ipairs({ server.port + 0.0, ("%d"):format(server.port) }) do
            sock:Connect("127.0.0.1", port)
            wait(function()
                return sock.IsConnected
            end, "CONNECTED with a " .. type(port))
            sock:Disconnect()
        end
    end)

    it("1.8 counts that we return are integers where Lua has them", function()
        local sock, peer = connected()
        peer:write("count me")
        helper.wait_field(sock, "BufferLength", 8)
        assert.equal("8 7", sock.BufferLength .. " " .. sock:Search("me"))
        local kind = rawget(math, "type")
        if kind then
            assert.equal("integer", kind(sock.BufferLength))
            assert.equal("integer", kind(sock:Search("me")))
        end
    end)

    it("1.10 addresses: IPv4 dotted, IPv6 short without brackets", function()
        local addresses, port = {}, helper.free_port()
        local server = helper.track(TcpSocketServer.New())
        server.EventHandler = function(sock)
            addresses[#addresses + 1] = sock.PeerAddress
        end
        server:Listen(port)
        helper.connect(port)
        helper.wait_exactly(addresses, 1)
        assert.equal("127.0.0.1", addresses[1])
        local probe = evsock.listen("::1", 0)
        if probe then
            probe:close()
            helper.track(evsock.connect("::1", port))
            helper.wait_exactly(addresses, 2)
            assert.equal("::1", addresses[2])
        end
    end)

    it("1.10 localhost works without DNS", function()
        local sock = client()
        sock:Connect("localhost", helper.server().port)
        helper.wait_field(sock, "IsConnected", true)
    end)
end)

describe("common rules: the host", function()
    it("1.11 loading alone starts no thread and sets no global", function()
        local output, status = helper.run([[
            local before = {}
            for name in pairs(_G) do before[name] = true end
            local evsock, qsys = require "evsock", require "evsock.qsys"
            for name in pairs(_G) do
                if not before[name] then print("global " .. name) end
            end
            local file = io.open("/proc/self/status")
            local threads = file and file:read("*a"):match("Threads:%s*(%d+)") or "1"
            print("threads " .. threads, evsock ~= nil, qsys ~= nil)
        ]])
        assert.equal("threads 1\ttrue\ttrue\n", output)
        assert.equal(0, status)
    end)

    it("1.11 install sets the original names, nothing else, and returns the module", function()
        local kept = {}
        local env = { keep = kept }
        assert.equal(qsys, qsys.install(env))
        assert.equal(TcpSocket, env.TcpSocket)
        assert.equal(TcpSocketServer, env.TcpSocketServer)
        assert.equal(Timer, env.Timer)
        assert.equal(qsys.UdpSocket, env.UdpSocket)
        assert.equal(qsys.HttpClient, env.HttpClient)
        assert.equal(kept, env.keep)
        assert.is_nil(rawget(_G, "TcpSocket"))
        env.TcpSocket, env.TcpSocketServer, env.Timer, env.keep = nil, nil, nil, nil
        env.UdpSocket, env.HttpClient = nil, nil
        assert.is_nil(next(env))
    end)

    it("1.11, 1.15 install without a table sets globals for a real script", function()
        local output, status = helper.run([[
            require("evsock.qsys").install()
            sock = TcpSocket.New()
            sock.ReconnectTimeout = 0
            sock.EventHandler = function(s, event, err) print(event, err) end
            sock:Connect("127.0.0.1", ]] .. helper.free_port() .. [[)
            require("evsock").run()
            print(type(TcpSocketServer.New()), type(Timer.New()))
        ]])
        assert.equal("ERROR\t\nuserdata\tuserdata\n", output)
        assert.equal(0, status)
    end)

    it("1.14 an interpreter ends with everything alive: status 0, at once, ports free", function()
        local port = helper.free_port()
        local began = evsock.now()
        local output, status = helper.run(([[
            local evsock, qsys = require "evsock", require "evsock.qsys"
            sockets = {}
            server = qsys.TcpSocketServer.New()
            server.EventHandler = function(s)
                sockets[#sockets + 1] = s
                s.EventHandler = function() end
            end
            assert(server:Listen(%d) == nil)
            sock = qsys.TcpSocket.New()
            sock.Connected = function() sock:Write("x") end
            sock:Connect("127.0.0.1", %d)
            waiting = qsys.TcpSocket.New()
            waiting.Error = function() refused = true end
            waiting:Connect("127.0.0.1", %d)
            timer = qsys.Timer.New()
            timer.EventHandler = function() end
            timer:Start(3600)
            local stop = evsock.now() + 10
            while not (sock.IsConnected and sockets[1] and refused) and evsock.now() < stop do
                evsock.pump(0.05)
            end
            print("alive", sock.IsConnected and sockets[1].IsConnected and refused)
        ]]):format(port, port, helper.free_port()))
        assert.equal("alive\ttrue\n", output)
        assert.equal(0, status)
        assert.is_true(evsock.now() - began < 5 * helper.slow)
        assert.is_nil(helper.track(TcpSocketServer.New()):Listen(port))
    end)
end)
