-- Pharos: a thousand objects of each class in each state, dropped; with and without handlers that
-- reach their own object. Descriptors and memory return.
-- dialects.md 1.9 > all

local helper = require "spec.helper"
local check = require "spec.dialects.crowd"
local tls = require "spec.peers.openssl"
local pharos = require "evsock.pharos"
local net = pharos.net

local function noop() end

local silent, configuration

local function new(class)
    local object = net[class].new()
    if class == "SslServer" then
        object.configuration = configuration
    end
    return object
end

local states = {
    ["unconnected"] = noop,
    ["looking up"] = function(socket) socket:connect("no-such-name.invalid", 1) end,
    ["connecting"] = function(socket) socket:connect("127.0.0.1", silent) end,
    ["failed"] = function(socket) socket:connect("127.0.0.1", 1) end,
    ["connected, or about to be"] = function(socket, port)
        socket:connect("127.0.0.1", port)
        socket:write_string("queued")
    end,
    ["bound"] = function(socket) assert(socket:bind(0)) end,
    ["disconnecting"] = function(socket, port)
        socket:connect("127.0.0.1", port)
        socket:disconnect()
    end,
    ["aborted"] = function(socket, port)
        socket:connect("127.0.0.1", port)
        socket:abort()
    end,
}

-- It takes a while: for those alone that need it.
local function silence(state)
    silent = state == "connecting" and helper.silent_port()
end

local function started_timer()
    local timer = pharos.Timer.new()
    timer.interval = 600000
    timer.timeout_handler = function() return timer end
    timer:start()
    return timer
end

local HANDLERS = {
    "connected_handler", "disconnected_handler", "error_handler", "state_changed_handler",
    "host_found_handler", "ready_read_handler", "bytes_written_handler", "about_to_close_handler",
}

describe("Pharos: a thousand", function()
    setup(function()
        local certificates = tls.certificates()
        configuration = net.SslConfiguration.new()
        local text = certificates:pem("ecdsa.pem")
        configuration.local_certificate = net.SslCertificate.new(text)
        text = certificates:pem("ecdsa.key")
        configuration.private_key = net.SslKey.new(text)
        certificates:remove()
    end)

    after_each(function()
        pharos.configure({ hosts = {} })
        helper.finish()
    end)

    before_each(function()
        pharos.configure({ hosts = { ["no-such-name.invalid"] = false } })
    end)

    for _, class in ipairs { "TcpSocket", "SslSocket" } do
        for name, enter in pairs(states) do
            it(("1.9 %s dropped: %s"):format(class, name), function()
                silence(name)
                check(function(port)
                    local socket = net[class].new()
                    socket.connected_handler, socket.error_handler = noop, noop
                    enter(socket, port)
                    return socket
                end)
            end)

            it(("1.9 %s that their handlers reach, ended: %s"):format(class, name), function()
                silence(name)
                check(function(port)
                    local socket = net[class].new()
                    for _, handler in ipairs(HANDLERS) do
                        socket[handler] = function() return socket end
                    end
                    enter(socket, port)
                    return socket
                end, function(socket) socket:abort() end)
            end)
        end
    end

    it("1.9 SslSocket dropped: in the handshake", function()
        check(function(port)
            local socket = net.SslSocket.new()
            socket:connect_encrypted("127.0.0.1", port)
            return socket
        end)
    end)

    for _, class in ipairs { "TcpServer", "SslServer" } do
        it(("1.9 %s dropped: idle"):format(class), function()
            check(function() return new(class) end)
        end)

        it(("1.9 %s dropped: listening"):format(class), function()
            check(function()
                local server = new(class)
                server.new_connection_handler = noop
                assert(server:listen(0))
                return server
            end)
        end)

        it(("1.9 %s that their handlers reach, closed"):format(class), function()
            check(function()
                local server = new(class)
                server.new_connection_handler = function() return server end
                server.accept_error_handler = function() return server end
                assert(server:listen(0))
                return server
            end, function(server) server:close() end)
        end)
    end

    it("1.9 TcpSocket taken from a server: dropped with it", function()
        check(function()
            local server = net.TcpServer.new()
            assert(server:listen(0))
            local client = net.TcpSocket.new()
            client:connect("127.0.0.1", server.port)
            helper.pump_until(function() return server.has_pending_connections end)
            local socket = server:next_pending_connection()
            socket.ready_read_handler = function() return socket end
            return server
        end)
    end)

    it("1.9 Timer dropped: stopped", function()
        check(function()
            local timer = started_timer()
            timer:stop()
            return timer
        end)
    end)

    it("1.9 Timer that their handlers reach, stopped at the end", function()
        check(function()
            local timer = started_timer()
            return timer
        end, function(timer) timer:stop() end)
    end)
end)
