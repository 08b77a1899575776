-- Q-SYS TcpSocket.NewTls: the properties, what is validated, and the events of a TLS connection.
-- dialects.md 2.1 (TLS) > "class", "validation", "client certificates"; 2.4 > "events over TLS";
-- 2.2 > "reading and writing over TLS"; 1.13 (cafile, hosts) > "the host's settings"

local helper = require "spec.helper"
local tools = require "spec.dialects.qsys_tools"
local kit = require "spec.peers.openssl"
local qsys = require "evsock.qsys"
local TcpSocket = qsys.TcpSocket

local EOL = TcpSocket.EOL
local wait_events = tools.wait_events

-- A TLS socket whose EventHandler notes every event, its error and IsConnected.
local function client(settings)
    local all = { ReconnectTimeout = 0 }
    for name, value in pairs(settings or {}) do
        all[name] = value
    end
    return tools.client(all, TcpSocket.NewTls)
end

local function is_text(value)
    return type(value) == "string" and value:find("%S") ~= nil
end

describe("Q-SYS TLS:", function()
    local certificates = kit.certificates_for(setup, teardown)
    local ca, other
    setup(function() ca, other = certificates:pems("ca.pem", "other.pem") end)

    after_each(function()
        qsys.configure { hosts = {} }
        helper.finish()
    end)

    -- A TLS server with the certificate of that name.
    local function server_of(name, more, options)
        local own = options or {}
        own.tls = certificates:identity(name, more)
        return helper.server(own)
    end

    local function connected(settings)
        local server = server_of("ecdsa")
        local sock, log = client(settings)
        sock:Connect("127.0.0.1", server.port)
        helper.pump_until(function()
            return log[1] and server.sockets[1]
        end, 5 * helper.slow, "the pair is connected")
        assert.equal("CONNECTED", log[1])
        return sock, server.sockets[1], log, server
    end

    -- What the first attempt ends in: "CONNECTED", or "ERROR" and its text. `host`: a name that
    -- leads to the server, too.
    local function outcome(settings, name, host)
        local server = server_of(name or "ecdsa")
        local sock, log = client(settings)
        if host then
            qsys.configure { hosts = { [host] = "127.0.0.1" } }
        end
        sock:Connect(host or "127.0.0.1", server.port)
        wait_events(log, 1)
        assert.equal(log[1] == "CONNECTED", sock.IsConnected)
        return log[1], log.errors[1]
    end

    local function refused(settings, name, host)
        local event, err = outcome(settings, name, host)
        assert.equal("ERROR", event)
        assert.is_true(is_text(err), "the error says nothing")
        return err
    end

    describe("class", function()
        it("2.1 NewTls() is the same as New(), speaking TLS; NewTls works with dot and colon",
            function()
                for _, sock in ipairs { TcpSocket.NewTls(), TcpSocket:NewTls() } do
                    helper.track(sock)
                    local server = server_of("ecdsa")
                    sock.Connected = helper.expect(1)
                    sock:Connect("127.0.0.1", server.port)
                    helper.pump_until(function()
                        return sock.IsConnected and server.sockets[1]
                    end, 5 * helper.slow)
                    assert.equal("1.3", server.sockets[1].tls.version)
                end
            end)

        it("2.1 a socket of New() speaks no TLS, whatever is stored in the TLS properties",
            function()
                local server = helper.server()
                local sock = helper.track(TcpSocket.New())
                sock.ValidateCertificate = true
                sock.CACertData = "no certificate"
                sock:Connect("127.0.0.1", server.port)
                helper.pump_until(function()
                    return sock.IsConnected and server.sockets[1]
                end)
                sock:Write("plain")
                assert.equal("plain", server.sockets[1]:receive(5, 5))
            end)

        it("2.1 CACertData, ClientCertData and ClientKeyData are empty strings at first", function()
            local sock = helper.track(TcpSocket.NewTls())
            assert.same({ "", "", "" },
                { sock.CACertData, sock.ClientCertData, sock.ClientKeyData })
        end)

        it("2.1 the default of ValidateCertificate is false", function()
            assert.is_false(helper.track(TcpSocket.NewTls()).ValidateCertificate)
        end)

        it("2.1 what is stored in the TLS properties is read back", function()
            local sock = helper.track(TcpSocket.NewTls())
            sock.ValidateCertificate = true
            sock.CACertData, sock.ClientCertData, sock.ClientKeyData = "a", "b", "c"
            assert.is_true(sock.ValidateCertificate)
            assert.same({ "a", "b", "c" },
                { sock.CACertData, sock.ClientCertData, sock.ClientKeyData })
            sock.ValidateCertificate, sock.CACertData = false, ""
            assert.is_false(sock.ValidateCertificate)
            assert.equal("", sock.CACertData)
        end)

        it("2.1 another type in a TLS property raises at the caller's line and changes nothing",
            function()
                local sock = helper.track(TcpSocket.NewTls())
                sock.CACertData = "kept"
                local text = "bad value for ValidateCertificate (boolean expected, got string)"
                helper.misuse(function() sock.ValidateCertificate = "yes" end, text)
                text = "bad value for ValidateCertificate (boolean expected, got nil)"
                helper.misuse(function() sock.ValidateCertificate = nil end, text)
                text = "bad value for CACertData (string expected, got table)"
                helper.misuse(function() sock.CACertData = {} end, text)
                text = "bad value for ClientCertData (string expected, got boolean)"
                helper.misuse(function() sock.ClientCertData = true end, text)
                text = "bad value for ClientKeyData (string expected, got number)"
                helper.misuse(function() sock.ClientKeyData = 5 end, text)
                assert.is_false(sock.ValidateCertificate)
                assert.equal("kept", sock.CACertData)
            end)
    end)

    describe("validation", function()
        it("2.1 no certificate validation: a self-signed certificate is accepted", function()
            assert.equal("CONNECTED", (outcome(nil, "itself")))
        end)

        it("2.1 no certificate validation: one of an unknown root for another name is accepted",
            function()
                local settings = { CACertData = other }
                assert.equal("CONNECTED", (outcome(settings, "rsa", "device.example")))
            end)

        it("2.1 ValidateCertificate: a certificate of a root in CACertData is accepted", function()
            local settings = { ValidateCertificate = true, CACertData = ca }
            for _, key in ipairs(kit.keys) do
                assert.equal("CONNECTED", (outcome(settings, key)))
            end
            settings.CACertData = other .. ca
            assert.equal("CONNECTED", (outcome(settings)))
        end)

        it("2.1 ValidateCertificate: one of another root gives ERROR with a text", function()
            refused({ ValidateCertificate = true, CACertData = other })
        end)

        it("2.1 ValidateCertificate: a self-signed one gives ERROR with a text", function()
            refused({ ValidateCertificate = true, CACertData = ca }, "itself")
        end)

        it("2.1 ValidateCertificate: a certificate for another address gives ERROR with a text",
            function()
                local settings = { ValidateCertificate = true, CACertData = ca }
                assert.truthy(refused(settings, "ecdsa", "192.0.2.7"):find("192.0.2.7", 1, true))
            end)

        it("2.1 ValidateCertificate without CACertData asks the system's roots", function()
            local script = [[
                local evsock = require "evsock"
                local sock = require("evsock.qsys").TcpSocket.NewTls()
                sock.ReconnectTimeout = 0
                sock.ValidateCertificate = true
                local done
                sock.EventHandler = function(_, event, err)
                    done = event .. (err ~= "" and " and a text" or "")
                end
                sock:Connect("127.0.0.1", %d)
                while not done do
                    evsock.pump(1)
                end
                print(done)
                sock:Disconnect()
            ]]
            -- Nothing is pumped while the child runs: the server is in a process of its own.
            local peer = kit.openssl(certificates, "ecdsa", { "-rev" })
            helper.track(peer, peer.stop)
            for name, wanted in pairs { ca = "CONNECTED", other = "ERROR and a text" } do
                local roots = certificates:path(name .. ".pem")
                local said, status = helper.run(script:format(peer.port), nil,
                    "unset SSL_CERT_DIR; export SSL_CERT_FILE=" .. roots)
                assert.equal(wanted .. "\n", said)
                assert.equal(0, status)
            end
        end)

        it("2.1 what is configured before connecting counts from the next Connect on", function()
            local server = server_of("ecdsa")
            local sock, log = client({ ValidateCertificate = true, CACertData = other })
            sock:Connect("127.0.0.1", server.port)
            wait_events(log, 1)
            sock.CACertData = ca
            sock:Connect("127.0.0.1", server.port)
            wait_events(log, 2)
            assert.equal("ERROR CONNECTED", table.concat(log, " "))
        end)

        it("2.1 CACertData without a certificate raises at the line of Connect, in its name",
            function()
                local sock = client({ ValidateCertificate = true, CACertData = "no certificate" })
                helper.misuse(function() sock:Connect("127.0.0.1", 9) end, "CACertData")
            end)
    end)

    describe("client certificates", function()
        it("2.1 ClientCertData and ClientKeyData are shown to a server that asks", function()
            local server = server_of("ecdsa",
                { client_auth = "require", cafile = certificates:path("ca.pem") })
            local sock, log = client({
                ClientCertData = certificates:pem("client.pem"),
                ClientKeyData = certificates:pem("client.key"),
            })
            sock:Connect("127.0.0.1", server.port)
            helper.pump_until(function()
                return log[1] and server.sockets[1]
            end, 5 * helper.slow)
            assert.equal("CONNECTED", log[1])
            assert.is_true(server.sockets[1].tls.verified)
        end)

        it("2.1 without them, a server that requires a certificate gives ERROR with a text",
            function()
                local server = server_of("ecdsa",
                    { client_auth = "require", cafile = certificates:path("ca.pem") },
                    { on_accept = helper.never("on_accept"), on_error = helper.expect(1) })
                local sock, log = client()
                sock:Connect("127.0.0.1", server.port)
                -- In TLS 1.3 the client is done before the server has looked.
                helper.pump_until(function()
                    return log[#log] == "ERROR"
                end, 5 * helper.slow)
                assert.is_true(is_text(log.errors[#log]))
                assert.is_false(sock.IsConnected)
            end)

        it("2.1 one without the other, or another's, raises at the line of Connect", function()
            local sock = client({ ClientCertData = certificates:pem("client.pem") })
            local text = "'ClientCertData' to 'Connect' (its 'ClientKeyData' is missing)"
            helper.misuse(function() sock:Connect("127.0.0.1", 9) end, text)
            sock.ClientKeyData = certificates:pem("stranger.key")
            text = "('ClientKeyData': the key of another certificate than 'ClientCertData')"
            helper.misuse(function() sock:Connect("127.0.0.1", 9) end, text)
            sock.ClientCertData = ""
            text = "'ClientKeyData' to 'Connect' (its 'ClientCertData' is missing)"
            helper.misuse(function() sock:Connect("127.0.0.1", 9) end, text)
        end)

        it("2.1 a Connect that raises leaves the connection that stands as it was", function()
            local sock, peer, log = connected()
            sock.ClientKeyData = "no key"
            helper.misuse(function() sock:Connect("127.0.0.1", 9) end, "ClientCertData")
            sock:Write("still there")
            assert.equal("still there", peer:receive(11, 5 * helper.slow))
            assert.equal("CONNECTED", table.concat(log, " "))
        end)
    end)

    describe("events over TLS:", function()
        it("2.4 CONNECTED comes only after the handshake", function()
            local server = helper.server()
            local sock, log = client()
            sock:Connect("127.0.0.1", server.port)
            local peer = helper.pump_until(function()
                local accepted = server.sockets[1]
                return accepted and accepted.buffered > 0 and accepted
            end, 5 * helper.slow, "the client's first record")
            helper.pump_for(0.05)
            assert.equal(0, #log)
            assert.is_false(sock.IsConnected)
            helper.misuse(function() sock:Write("early") end, "not connected")
            assert.is_true(peer:start_tls(certificates:identity("ecdsa")))
            wait_events(log, 1)
            assert.equal("CONNECTED", log[1])
            assert.is_true(log.connected[1])
        end)

        it("2.4 the remote closes: DATA for what came before, then EOF, RECONNECT, CONNECTED",
            function()
                local sock, peer, log, server = connected({ ReconnectTimeout = 0.05 })
                peer:write("last words\n")
                peer:close()
                wait_events(log, 5)
                assert.equal("CONNECTED DATA EOF RECONNECT CONNECTED", table.concat(log, " "))
                assert.same({ "", "", "" }, { log.errors[2], log.errors[3], log.errors[4] })
                assert.same({ false, false, true },
                    { log.connected[3], log.connected[4], log.connected[5] })
                helper.pump_until(function()
                    return server.sockets[2]
                end)
                sock:Write("again")
                assert.equal("again", server.sockets[2]:receive(5, 5 * helper.slow))
                assert.equal("1.3", server.sockets[2].tls.version)
            end)

        it("2.4 bytes stay readable in and after the handler of EOF", function()
            local sock, peer, log = connected()
            local seen
            log.also = function(event)
                if event == "EOF" then
                    seen = sock:ReadLine(EOL.Lf)
                end
            end
            peer:write("one\ntwo\n")
            peer:close()
            helper.pump_until(function()
                return log[#log] == "EOF"
            end, 5 * helper.slow)
            assert.same({ "one", "two" }, { seen, (sock:ReadLine(EOL.Lf)) })
        end)

        it("2.4 a failed handshake: ERROR with a text, then RECONNECT and ERROR at each interval",
            function()
                local server = helper.server {
                    on_accept = function(_, peer)
                        peer:write("220 this is no TLS\r\n")
                    end,
                }
                local sock, log = client({ ReconnectTimeout = 0.05 })
                sock:Connect("127.0.0.1", server.port)
                wait_events(log, 3)
                assert.equal("ERROR RECONNECT ERROR", table.concat(log, " ", 1, 3))
                assert.is_true(is_text(log.errors[1]))
                assert.is_true(is_text(log.errors[3]))
                assert.same({ false, false, false },
                    { log.connected[1], log.connected[2], log.connected[3] })
                assert.is_nil(sock:Read(100))
            end)

        it("2.4 a peer that closes within the handshake gives ERROR with a text", function()
            local server = helper.server {
                on_data = function(peer)
                    peer:read()
                    peer:close()
                end,
            }
            local sock, log = client()
            sock:Connect("127.0.0.1", server.port)
            wait_events(log, 1)
            assert.equal("ERROR", log[1])
            assert.is_true(is_text(log.errors[1]))
        end)

        it("2.4 an end without TLS's own goodbye is a failure where the peer is validated: ERROR",
            function()
                local inner = server_of("ecdsa")
                local near, far
                -- What stands between cuts the connection behind the first byte of the answer.
                local outer = helper.server {
                    on_accept = function(_, peer)
                        near = peer
                        far = helper.connect(inner.port, {
                            on_data = function(sock)
                                near:write(sock:read())
                            end,
                        })
                    end,
                    on_data = function(peer)
                        far:write(peer:read())
                    end,
                }
                local sock, log = client { ValidateCertificate = true, CACertData = ca }
                sock:Connect("127.0.0.1", outer.port)
                helper.pump_until(function()
                    return log[1] and inner.sockets[1]
                end, 5 * helper.slow)
                near:close()
                wait_events(log, 2)
                assert.equal("CONNECTED ERROR", table.concat(log, " "))
                assert.is_true(is_text(log.errors[2]))
            end)

        it("2.4 could not connect: the error is an empty string, as without TLS", function()
            local event, err
            local sock = client()
            sock.EventHandler = function(_, given, text)
                event, err = given, text
            end
            sock:Connect("127.0.0.1", helper.free_port())
            helper.pump_until(function()
                return event
            end)
            assert.same({ "ERROR", "" }, { event, err })
        end)

        it("2.4 a refused certificate: Connect within the handler of ERROR works", function()
            local server = server_of("ecdsa")
            local sock, log = client({ ValidateCertificate = true, CACertData = other })
            log.also = function(event)
                if event == "ERROR" then
                    sock.CACertData = ca
                    sock:Connect("127.0.0.1", server.port)
                end
            end
            sock:Connect("127.0.0.1", server.port)
            wait_events(log, 2)
            assert.equal("ERROR CONNECTED", table.concat(log, " "))
        end)

        it("2.4 a refused certificate: the handler Error alone is called, with the text", function()
            local server = server_of("ecdsa")
            local sock = client({ ValidateCertificate = true, CACertData = other })
            sock.EventHandler = helper.never("EventHandler")
            local err
            sock.Error = helper.expect(function(_, text)
                err = text
            end, 1)
            sock:Connect("127.0.0.1", server.port)
            helper.pump_until(function()
                return err
            end, 5 * helper.slow)
            assert.is_true(is_text(err))
        end)

        it("2.4 a read timeout gives TIMEOUT, counted from CONNECTED", function()
            local _, _, log = connected({ ReadTimeout = 0.1 })
            wait_events(log, 2)
            assert.equal("CONNECTED TIMEOUT", table.concat(log, " "))
            assert.equal("read timeout", log.errors[2])
        end)

        it("2.4 Disconnect() gives no event, and during the handshake neither", function()
            local sock, peer, log = connected({ ReconnectTimeout = 0.02 })
            sock:Disconnect()
            assert.is_false(sock.IsConnected)
            assert.is_true(peer:wait("close", 5 * helper.slow))
            local silent = helper.server()
            sock:Connect("127.0.0.1", silent.port)
            helper.pump_until(function()
                return silent.sockets[1] and silent.sockets[1].buffered > 0
            end, 5 * helper.slow)
            sock:Disconnect()
            helper.pump_for(0.1)
            assert.equal("CONNECTED", table.concat(log, " "))
        end)
    end)

    describe("reading and writing over TLS:", function()
        it("2.2 ReadLine ends lines as each EOL says", function()
            local sock, peer = connected()
            local text = "a\r\n\r\nb\nc\r\nd\ne\nf\0g >h"
            peer:write(text)
            helper.pump_until(function()
                return sock.BufferLength == #text
            end, 5 * helper.slow)
            assert.equal("a", sock:ReadLine(EOL.Any))
            assert.equal("b", sock:ReadLine(EOL.CrLf))
            assert.equal("c", sock:ReadLine(EOL.CrLfStrict))
            assert.is_nil(sock:ReadLine(EOL.CrLfStrict))
            assert.equal("d", sock:ReadLine(EOL.Lf))
            assert.equal("e\nf", sock:ReadLine(EOL.Null))
            assert.equal("g", sock:ReadLine(EOL.Custom, " >"))
            assert.equal(1, sock.BufferLength)
        end)

        it("2.2 Read removes what is there, Search finds and removes nothing", function()
            local sock, peer = connected()
            peer:write("needle in a haystack, needle")
            helper.pump_until(function()
                return sock.BufferLength == 28
            end, 5 * helper.slow)
            assert.same({ 1, 23 }, { sock:Search("needle"), (sock:Search("needle", 2)) })
            assert.is_nil(sock:Search("pin"))
            assert.equal("needle", sock:Read(6))
            assert.equal(" in a haystack, needle", sock:Read(1000))
            assert.is_nil(sock:Read(1))
        end)

        it("2.2 Write queues all of 1 MB, and as much comes back byte for byte", function()
            local sock, peer = connected()
            local text = ("0123456789abcde\n"):rep(65536)
            peer.on_data = function(given)
                given:write(given:read())
            end
            local parts, count = {}, 0
            sock.Data = function(given)
                local part = given:Read(given.BufferLength)
                parts[#parts + 1], count = part, count + #part
            end
            sock:Write(text)
            helper.pump_until(function()
                return count >= #text
            end, 20 * helper.slow)
            assert.is_true(table.concat(parts) == text)
        end)

        it("2.6 what was written before Disconnect is still sent, and TLS's goodbye after it",
            function()
                local sock, peer = connected()
                local text = ("x"):rep(200000)
                local why = "not closed"
                peer.on_close = helper.expect(function(_, message)
                    why = message
                end, 1)
                sock:Write(text)
                sock:Disconnect()
                assert.is_true(peer:receive(#text, 10 * helper.slow) == text)
                helper.pump_until(function()
                    return why ~= "not closed"
                end, 5 * helper.slow)
                assert.is_nil(why)
            end)
    end)

    describe("the host's settings:", function()
        -- A setting stays until it is replaced, so these stand last.
        it("1.13 cafile: the roots used where a certificate is validated, CACertData goes first",
            function()
                qsys.configure { cafile = certificates:path("ca.pem") }
                assert.equal("CONNECTED", (outcome({ ValidateCertificate = true })))
                refused({ ValidateCertificate = true, CACertData = other })
                qsys.configure { cafile = certificates:path("other.pem") }
                refused({ ValidateCertificate = true })
                assert.equal("CONNECTED",
                    (outcome({ ValidateCertificate = true, CACertData = ca })))
                assert.equal("CONNECTED", (outcome()))
            end)

        it("1.13 a cafile that cannot be read raises at the line of Connect, and names it",
            function()
                qsys.configure { cafile = "/nowhere/roots.pem" }
                local sock = client({ ValidateCertificate = true })
                helper.misuse(function() sock:Connect("127.0.0.1", 9) end, "/nowhere/roots.pem")
            end)

        it("1.13 hosts: the server name and the name check show what was asked for", function()
            local server = server_of("ecdsa")
            local place = "127.0.0.1:" .. server.port
            qsys.configure { hosts = { ["device.example"] = place, ["LOCALHOST"] = place } }
            local settings = { ValidateCertificate = true, CACertData = ca }
            local sock, log = client(settings)
            sock:Connect("localhost", 9)
            wait_events(log, 1)
            assert.equal("CONNECTED", log[1])
            helper.wait_accepted(server)
            assert.equal("localhost", server.sockets[1].tls.server_name)
            sock, log = client(settings)
            sock:Connect("device.example", 9)
            wait_events(log, 1)
            assert.equal("ERROR", log[1])
            assert.truthy(log.errors[1]:find("device.example", 1, true), log.errors[1])
        end)
    end)

    it("2.7 a socket may be reused for any number of TLS connections", function()
        local server = server_of("ecdsa")
        local sock, log = client()
        for i = 1, 5 do
            sock:Connect("127.0.0.1", server.port)
            wait_events(log, i)
            assert.equal("CONNECTED", log[i])
        end
    end)
end)
