-- Q-SYS: a thousand objects of each class in each state, dropped; with and without handlers that
-- reach their own object. Descriptors and memory return.
-- dialects.md 1.9 > all

local helper = require "spec.helper"
local check = require "spec.dialects.crowd"
local qsys = require "evsock.qsys"
local TcpSocket, TcpSocketServer, Timer = qsys.TcpSocket, qsys.TcpSocketServer, qsys.Timer

local function noop() end

local silent

local states = {
    ["unconnected"] = function(sock) return sock end,
    ["looking up"] = function(sock) sock:Connect("no-such-name.invalid", 1) end,
    ["connecting"] = function(sock)
        sock:Connect("127.0.0.1", silent)
    end,
    ["waiting to connect again"] = function(sock) sock:Connect("127.0.0.1", 1) end,
    ["connected, or about to be"] = function(sock, port)
        sock.ReadTimeout, sock.WriteTimeout = 600, 600
        sock:Connect("127.0.0.1", port)
    end,
    ["disconnected"] = function(sock, port)
        sock:Connect("127.0.0.1", port)
        sock:Disconnect()
    end,
}

-- It takes a while: for those alone that need it.
local function silence(state)
    silent = state == "connecting" and helper.silent_port()
end

local function started_timer()
    local timer = Timer.New()
    timer.EventHandler = function() return timer end
    timer:Start(600)
    return timer
end

describe("Q-SYS: a thousand", function()
    after_each(function()
        qsys.configure({ hosts = {} })
        helper.finish()
    end)

    before_each(function()
        qsys.configure({ hosts = { ["no-such-name.invalid"] = false } })
    end)

    local classes = { TcpSocket = TcpSocket.New, ["TcpSocket with TLS"] = TcpSocket.NewTls }
    for class, new in pairs(classes) do
        for name, enter in pairs(states) do
            it(("1.9 %s dropped: %s"):format(class, name), function()
                silence(name)
                check(function(port)
                    local sock = new()
                    sock.EventHandler = noop
                    enter(sock, port)
                    return sock
                end)
            end)

            it(("1.9 %s that their handlers reach, ended: %s"):format(class, name), function()
                silence(name)
                check(function(port)
                    local sock = new()
                    sock.EventHandler = function() return sock end
                    sock.Connected = function() return sock end
                    enter(sock, port)
                    return sock
                end, function(sock) sock:Disconnect() end)
            end)
        end
    end

    it("1.9 TcpSocketServer dropped: idle", function()
        check(function() return TcpSocketServer.New() end)
    end)

    it("1.9 TcpSocketServer dropped: listening", function()
        check(function()
            local server = TcpSocketServer.New()
            server.EventHandler = noop
            server:Listen(0)
            return server
        end)
    end)

    it("1.9 TcpSocketServer that their handlers reach, closed", function()
        check(function()
            local server = TcpSocketServer.New()
            server.EventHandler = function() return server end
            server:Listen(0)
            return server
        end, function(server) server:Close() end)
    end)

    it("1.9 Timer dropped: stopped", function()
        check(function()
            local timer = started_timer()
            timer:Stop()
            return timer
        end)
    end)

    it("1.9 Timer that their handlers reach, stopped at the end", function()
        check(started_timer, function(timer) timer:Stop() end)
    end)
end)
