-- Of TLS the dialects of Q-SYS, Pharos and Hammerspoon expose what their hosts do, and no more:
-- what the native API has beyond that is neither seen nor taken.

local helper = require "spec.helper"
local kit = require "spec.peers.openssl"
local qsys, pharos = require "evsock.qsys", require "evsock.pharos"
local hammerspoon = require "evsock.hammerspoon"

-- Of the native `sock.tls`, `sock.tls.peer` and the option `tls`.
local NATIVE = {
    "tls", "tls_facts", "peer", "verified", "resumed", "fingerprint", "subject", "issuer", "names",
    "not_before", "not_after", "serial", "der", "max_version", "min_version", "keylog",
}

describe("TLS of hosts:", function()
    local certificates = kit.certificates_for(setup, teardown)

    after_each(function()
        pharos.configure { hosts = {}, ports = {} }
        helper.finish()
    end)

    local function server()
        return helper.server({ tls = certificates:identity("ecdsa"), on_error = function() end })
    end

    -- A host's object may raise for a name that it does not have.
    local function shows_nothing(object, what)
        for _, name in ipairs(NATIVE) do
            local ok, value = pcall(function() return object[name] end)
            assert.is_true(not ok or value == nil, what .. "." .. name)
        end
    end

    local function refuses(configure)
        for _, name in ipairs { "fingerprint", "keylog", "max_version" } do
            assert.is_false((pcall(configure, { [name] = "1.2" })), name)
        end
    end

    local function wait(condition)
        helper.pump_until(condition, 5 * helper.slow)
    end

    it("Q-SYS: a secured TcpSocket shows no certificate", function()
        local sock = helper.track(qsys.TcpSocket.NewTls(), qsys.TcpSocket.Disconnect)
        shows_nothing(sock, "TcpSocket")
        sock:Connect("127.0.0.1", server().port)
        wait(function() return sock.IsConnected end)
        shows_nothing(sock, "TcpSocket")
        refuses(qsys.configure)
    end)

    it("Pharos: an encrypted SslSocket and its configuration show no certificate", function()
        local net = pharos.net
        local socket = net.SslSocket.new()
        socket.configuration.peer_verify_mode = net.SslSocket.VERIFY_NONE
        socket:connect_encrypted("127.0.0.1", server().port)
        wait(function() return socket.encrypted end)
        shows_nothing(socket, "SslSocket")
        shows_nothing(socket.configuration, "SslConfiguration")
        refuses(pharos.configure)
        socket:abort()
    end)

    it("Hammerspoon: a socket after startTLS tells whether it is secure", function()
        local socket = hammerspoon.socket.new()
        local record, is_open = server(), false
        socket:connect("127.0.0.1", record.port, function() is_open = true end)
        wait(function() return is_open end)
        socket:startTLS(false)
        wait(function() return record.sockets[1] end)
        shows_nothing(socket, "hs.socket")
        local info = socket:info()
        assert.is_true(info.isSecure)
        shows_nothing(info, "info")
        refuses(hammerspoon.configure)
        socket:disconnect()
    end)
end)
