-- Q-SYS: a device that speaks HTTP/1.0 over TLS sent its answer and just closed, without TLS's
-- own end. The plugin, which parses in its CLOSED handler, was told ERROR and never got the
-- answer, although it had asked for no validation. Pharos had told it as a remote close all the
-- time. Hammerspoon dropped what nobody had asked to read by then.

local helper = require "spec.helper"
local kit = require "spec.tls_kit"
local hammerspoon = require "evsock.hammerspoon"
local pharos = require "evsock.pharos"
local qsys = require "evsock.qsys"

local wait = helper.pump_until

describe("regress 028", function()
    local certificates = kit.certificates_for(setup, teardown)
    after_each(helper.finish)

    -- A TLS server behind a relay that can cut the connection.
    local function device()
        local record = helper.server { tls = certificates:identity("ecdsa") }
        local between = kit.relay(record.port)
        return record, between
    end

    -- The device answers in one go and is cut off when the answer has come.
    local function answer_and_cut(record, between, has_come)
        wait(function() return record.sockets[1] end, 5 * helper.slow, "the connection")
        record.sockets[1]:write("one\ntwo")
        wait(has_come, 5 * helper.slow, "the answer")
        between.cut()
    end

    -- The events of a socket with those settings, and what was left to read; `on_event`: what the
    -- handler does in place of reading.
    local function qsys_events(settings, on_event)
        local record, between = device()
        local sock, log = helper.track(qsys.TcpSocket.NewTls()), {}
        sock.ReconnectTimeout = 0
        for name, value in pairs(settings) do
            sock[name] = value
        end
        sock.EventHandler = function(socket, event)
            log[#log + 1] = event
            if on_event then
                on_event(socket)
            else
                log.rest = socket:Read(socket.BufferLength > 0 and event ~= "DATA" and 100 or 0)
            end
        end
        sock:Connect("127.0.0.1", between.port)
        answer_and_cut(record, between, function()
            return sock.BufferLength == 7
        end)
        wait(function() return log[3] end, 5 * helper.slow, "the end")
        return table.concat(log, " "), log.rest
    end

    it("a Q-SYS socket without validation is told CLOSED, with the answer to be read", function()
        local events, rest = qsys_events {}
        assert.equal("CONNECTED DATA EOF", events)
        assert.equal("one\ntwo", rest)
    end)

    it("a Q-SYS socket that validates is told ERROR: the answer may be cut short", function()
        local events = qsys_events {
            ValidateCertificate = true, CACertData = certificates:pem("ca.pem"),
        }
        assert.equal("CONNECTED DATA ERROR", events)
    end)

    it("a property changed since Connect changes nothing", function()
        local events = qsys_events({}, function(socket)
            socket.ValidateCertificate = true
        end)
        assert.equal("CONNECTED DATA EOF", events)
    end)

    it("a Pharos socket is told a remote close, with the answer to be read", function()
        local record, between = device()
        local sock, errors, over = helper.track(pharos.net.SslSocket.new()), {}, false
        sock.peer_verify_mode = sock.VERIFY_NONE
        sock.error_handler = function(_, number)
            errors[#errors + 1] = number
        end
        sock.disconnected_handler = function()
            over = true
        end
        sock:connect_encrypted("127.0.0.1", between.port)
        answer_and_cut(record, between, function()
            return sock.bytes_available == 7
        end)
        wait(function() return over end, 5 * helper.slow, "the end")
        assert.same({ sock.REMOTE_HOST_CLOSED_ERROR }, errors)
        assert.equal("one\ntwo", sock:read_string())
    end)

    it("a socket of Hammerspoon without verification keeps what nobody has read yet", function()
        local record, between = device()
        local lines = {}
        local sock = hammerspoon.socket.new(function(data)
            lines[#lines + 1] = data
        end)
        helper.track(sock, sock.disconnect)
        sock:connect("127.0.0.1", between.port)
        sock:startTLS(false)
        wait(function() return sock:info().isSecure end, 5 * helper.slow, "the handshake")
        sock:read("\n")
        answer_and_cut(record, between, function()
            return lines[1]
        end)
        helper.pump_for(0.1)
        assert.is_true(sock:connected())
        sock:read(3)
        wait(function() return not sock:connected() end, 5 * helper.slow, "the end")
        assert.same({ "one\n", "two" }, lines)
    end)
end)
