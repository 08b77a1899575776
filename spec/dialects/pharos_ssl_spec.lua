-- Pharos SslSocket, SslServer, SslConfiguration with its certificates and keys, over the wire.
-- dialects.md 4.7 > "sockets", "upgrade", "verification", "configuration", "server";
-- 1.13 (cafile, hosts) > "the host's settings"

local helper = require "spec.helper"
local evsock = helper.evsock
local kit = require "spec.dialects.pharos_tools"
local tls, pharos = require "spec.peers.openssl", require "evsock.pharos"
local net = pharos.net
local SslSocket, SslServer, SslConfiguration = net.SslSocket, net.SslServer, net.SslConfiguration

local said, wait, wait_for = kit.said, kit.wait, kit.wait_for

local STANDS = "state_changed 1, state_changed 2, host_found, state_changed 3, connected"
local ENCRYPTED = STANDS .. ", mode_changed 1, encrypted"
local FAILED = ", error 13, about_to_close, state_changed 0, disconnected"

describe("Pharos SSL:", function()
    local certificates = tls.certificates_for(setup, teardown)

    before_each(function()
        pharos.configure { cafile = certificates:path("ca.pem") }
    end)

    after_each(function()
        pharos.configure { hosts = {}, ports = {}, connect_timeout = 30 }
        helper.finish()
    end)

    local function pem(name)
        local text = certificates:pem(name)
        return text
    end

    local function certificate(name)
        return net.SslCertificate.new(pem(name .. ".pem"))
    end

    local function key(name)
        return net.SslKey.new(pem(name .. ".key"))
    end

    local function identity(name)
        local configuration = SslConfiguration.new()
        configuration.local_certificate = certificate(name)
        configuration.private_key = key(name)
        return configuration
    end

    -- A native TLS server with the certificate of that name.
    local function server_of(name, more)
        return helper.server({ tls = certificates:identity(name, more), on_error = function() end })
    end

    local function encrypted(server, host)
        local socket, log = kit.socket(SslSocket)
        socket:connect_encrypted(host or "localhost", server.port)
        wait_for(log, "encrypted")
        return socket, log
    end

    -- An encrypted socket, its peer, and its log from then on.
    local function encrypted_pair()
        local server = server_of("ecdsa")
        local socket, log = encrypted(server)
        local peer = helper.wait_accepted(server)
        kit.clear(log)
        return socket, peer, log
    end

    -- What an attempt ends in: "encrypted" or the number of the error, and the socket.
    local function outcome(server, prepare, host)
        local socket, log = kit.socket(SslSocket)
        if prepare then
            prepare(socket)
        end
        socket:connect_encrypted(host or "localhost", server.port)
        wait(function()
            return kit.find(log, "encrypted") or kit.find(log, "disconnected")
                or log[#log] and log[#log]:find("error", 1, true)
        end, "an end")
        return kit.find(log, "encrypted") and "encrypted" or socket.error, socket, log
    end

    -- An SslServer with that identity, and the sockets that it was asked for.
    local function ssl_server(configuration)
        local server, taken = kit.server(SslServer)
        server.configuration = configuration or identity("ecdsa")
        assert.is_true(server:listen(0), server.error_string)
        return server, taken
    end

    describe("sockets", function()
        it("4.7 SslSocket is a TcpSocket: it connects, writes and ends in the clear", function()
            local record = helper.server()
            local socket, log = kit.socket(SslSocket)
            socket:connect("127.0.0.1", record.port)
            wait_for(log, "connected")
            assert.equal(STANDS, said(log))
            assert.is_false(socket.encrypted)
            assert.equal(SslSocket.UNENCRYPTED_MODE, socket.mode)
            helper.wait_accepted(record)
            kit.deliver(socket, record.sockets[1], "clear")
            kit.clear(log)
            socket:disconnect()
            wait_for(log, "disconnected")
            assert.equal("state_changed 6, state_changed 0, disconnected", said(log))
        end)

        it("4.7 order: as TCP up to connected, then the handshake, then encrypted", function()
            local socket, log = encrypted(server_of("ecdsa"))
            assert.equal(ENCRYPTED, said(log))
            assert.is_true(socket.encrypted)
            assert.equal(SslSocket.SSL_CLIENT_MODE, socket.mode)
            assert.equal(3, socket.state)
        end)

        it("4.7 encrypted is false until encrypted_handler", function()
            local server = server_of("ecdsa")
            local socket, log = kit.socket(SslSocket)
            local seen = {}
            log.also = function(word)
                seen[word] = socket.encrypted
            end
            socket:connect_encrypted("127.0.0.1", server.port)
            wait_for(log, "encrypted")
            assert.is_false(seen["state_changed 3"])
            assert.is_false(seen["connected"])
            assert.is_false(seen["mode_changed 1"])
            assert.is_true(seen["encrypted"])
        end)

        it("4.7 connect_encrypted takes host, port and open mode as connect does", function()
            local s = SslSocket.new()
            helper.misuse(function() s:connect_encrypted() end, "to 'connect_encrypted'")
            helper.misuse(function() s:connect_encrypted("a", 70000) end, "bad argument 'port'")
            helper.misuse(function() s:connect_encrypted("a", 1, "x") end, "'open_mode'")
            local server = server_of("ecdsa")
            local socket = kit.socket(SslSocket)
            local count = select("#", socket:connect_encrypted(
                "localhost", tostring(server.port), SslSocket.READ_ONLY_MODE))
            assert.equal(0, count)
            assert.equal(1, socket.open_mode)
        end)

        it("4.7 data written before the handshake is queued until then", function()
            local server = server_of("ecdsa")
            local socket, log = kit.socket(SslSocket)
            socket:connect_encrypted("localhost", server.port)
            assert.equal(4, socket:write("one "))
            kit.at(log, "connected", function()
                assert.equal(3, socket:write("two"))
            end)
            helper.wait_arrived(server, 7)
            assert.equal("one two", server.sockets[1]:read())
            wait_for(log, "encrypted")
            local sum = 0
            wait(function()
                sum = 0
                for _, word in ipairs(log) do
                    sum = sum + (tonumber(word:match("^bytes_written (%d+)")) or 0)
                end
                return sum >= 7
            end, "bytes_written")
            assert.equal(7, sum)
        end)

        it("4.7 bytes pass in both directions, and bytes_written counts the plain ones", function()
            local server = server_of("rsa")
            local socket, log = encrypted(server)
            helper.wait_accepted(server)
            server.sockets[1].on_data = function(sock)
                sock:write(sock:read())
            end
            local text = ("\0\255 bytes\r\n"):rep(20000)
            local sum = 0
            socket.bytes_written_handler = function(_, count)
                sum = sum + count
            end
            assert.equal(#text, socket:write(text))
            wait(function()
                return socket.bytes_available == #text and sum == #text
            end, "the echo")
            assert.equal(text, socket:read_all())
            assert.equal(ENCRYPTED, said(log, 1):sub(1, #ENCRYPTED))
        end)

        it("4.7 the remote closes: as TCP, and encrypted is false in the end", function()
            local socket, peer, log = encrypted_pair()
            peer:write("bye")
            peer:close()
            wait_for(log, "disconnected")
            assert.equal("ready_read, error 1, state_changed 6, state_changed 0, disconnected",
                said(log))
            assert.is_false(socket.encrypted)
            assert.equal("bye", socket:read())
        end)

        it("4.7 a connection cut without the end of TLS is told as a remote close", function()
            local _, peer, log = encrypted_pair()
            peer:abort()
            wait_for(log, "disconnected")
            assert.equal("error 1, state_changed 6, state_changed 0, disconnected", said(log))
        end)

        it("4.7 disconnect waits until all of it is sent", function()
            local server = server_of("ecdsa")
            local socket, log = encrypted(server)
            helper.wait_accepted(server)
            local got, size = 0, 4 * 1024 * 1024
            server.sockets[1].on_data = function(sock)
                got = got + #(sock:read() or "")
            end
            socket:write(("x"):rep(size))
            socket:disconnect()
            wait_for(log, "disconnected")
            wait(function()
                return got == size
            end, "all of it")
        end)

        it("4.7 disconnect right after connect_encrypted and write", function()
            local server = server_of("ecdsa")
            local socket, log = kit.socket(SslSocket)
            socket:connect_encrypted("localhost", server.port)
            socket:write("in a hurry")
            socket:disconnect()
            wait_for(log, "disconnected")
            helper.wait_arrived(server, 10)
            assert.is_truthy(kit.find(log, "state_changed 6"))
        end)

        it("4.7 the same object may connect again, in the clear and encrypted", function()
            local server, plain = server_of("ecdsa"), helper.server()
            local socket, log = encrypted(server)
            for round = 1, 2 do
                socket:abort()
                kit.clear(log)
                socket:connect("127.0.0.1", plain.port)
                assert.equal(0, socket.mode)
                wait_for(log, "connected")
                assert.is_false(socket.encrypted)
                socket:abort()
                kit.clear(log)
                socket:connect_encrypted("localhost", server.port)
                wait_for(log, "encrypted")
                assert.equal(1, socket.mode, "round " .. round)
            end
        end)

        it("4.7 connect_encrypted while one is under way: error 19, untouched", function()
            local server = server_of("ecdsa")
            local socket, log = encrypted(server)
            socket:connect_encrypted("localhost", server.port)
            wait_for(log, "error 19")
            assert.is_true(socket.encrypted)
            helper.wait_accepted(server)
            helper.pump_for(0.02)
            assert.equal(1, #server.sockets)
        end)

        it("4.7 refused: as TCP", function()
            local socket, log = kit.socket(SslSocket)
            socket:connect_encrypted("127.0.0.1", helper.free_port())
            wait_for(log, "error 0")
            assert.equal("state_changed 1, state_changed 2, host_found, state_changed 0, error 0",
                said(log))
            assert.equal("Connection refused", socket.error_string)
        end)
    end)

    describe("upgrade", function()
        -- A plain server that turns its connection into TLS when it is told to, with "go".
        local function upgrading(name)
            return helper.server({
                on_data = function(sock)
                    if not sock.tls and sock:read(2) == "go" then
                        sock:start_tls(certificates:identity(name or "ecdsa"))
                    end
                end,
            })
        end

        local function connected(server)
            local socket, log = kit.socket(SslSocket)
            socket:connect("localhost", server.port)
            wait_for(log, "connected")
            socket:write("go")
            wait_for(log, "bytes_written 2")
            kit.clear(log)
            return socket, log
        end

        it("4.7 start_client_encryption: mode_changed, then encrypted", function()
            local server = upgrading()
            local socket, log = connected(server)
            socket:start_client_encryption()
            assert.equal(6, socket:write("secret"))
            assert.equal(0, #log)
            wait_for(log, "bytes_written 6")
            assert.equal("mode_changed 1, encrypted, bytes_written 6", said(log))
            assert.is_true(socket.encrypted)
            helper.wait_field(server.sockets[1], "buffered", 6)
        end)

        it("4.7 it has no effect when unconnected", function()
            local socket, log = kit.socket(SslSocket)
            socket:start_client_encryption()
            helper.pump_for(0.02)
            assert.equal(0, #log)
            assert.equal(0, socket.mode)
        end)

        it("4.7 it has no effect while connecting", function()
            local record = helper.server()
            local socket, log = kit.socket(SslSocket)
            socket:connect("127.0.0.1", record.port)
            socket:start_client_encryption()
            wait_for(log, "connected")
            helper.pump_for(0.02)
            assert.equal(STANDS, said(log))
        end)

        it("4.7 it has no effect when it is encrypted already, or about to be", function()
            local server = upgrading()
            local socket, log = connected(server)
            socket:start_client_encryption()
            socket:start_client_encryption()
            wait_for(log, "encrypted")
            socket:start_client_encryption()
            helper.pump_for(0.02)
            assert.equal("mode_changed 1, encrypted", said(log))
        end)

        it("4.7 a failed upgrade: error 13, connection closed", function()
            local socket, log = connected(upgrading("itself"))
            socket:start_client_encryption()
            wait_for(log, "disconnected")
            assert.equal("mode_changed 1" .. FAILED, said(log))
            assert.is_false(socket.encrypted)
        end)

        it("4.7 with bad keys nothing more goes out in the clear", function()
            local server = upgrading()
            local socket, log = connected(server)
            helper.wait_accepted(server)
            socket.configuration.local_certificate = net.SslCertificate.new("no certificate")
            socket.configuration.private_key = key("client")
            socket:start_client_encryption()
            assert.equal(-1, socket:write("secret"))
            wait_for(log, "disconnected")
            assert.equal("error 21, about_to_close, state_changed 0, disconnected", said(log))
        end)
    end)

    describe("verification", function()
        it("4.7 a failed handshake: error 13, connection closed", function()
            local server = server_of("itself")
            local word, socket, log = outcome(server)
            assert.equal(13, word)
            wait_for(log, "disconnected")
            assert.equal(STANDS .. ", mode_changed 1" .. FAILED, said(log))
            assert.equal(3, log.states[kit.find(log, "error 13")])
            assert.is_truthy(socket.error_string:find("%S"))
            assert.equal(0, socket.state)
        end)

        it("4.7 a peer that does not speak TLS: error 13", function()
            local record = helper.server({ on_data = function(sock)
                sock:write("HTTP/1.1 400 Bad Request\r\n\r\n")
            end })
            assert.equal(13, (outcome(record)))
        end)

        it("4.7 a peer that ends amid the handshake: error 13", function()
            local record = helper.server({ on_data = function(sock)
                sock:close()
            end })
            assert.equal(13, (outcome(record)))
        end)

        it("4.7 a peer that says nothing: error 13 when connect_timeout is over", function()
            pharos.configure { connect_timeout = 0.1 }
            assert.equal(13, (outcome(helper.server())))
        end)

        it("4.7 AUTO_VERIFY_PEER is the default: a client verifies", function()
            local socket = SslSocket.new()
            assert.equal(SslSocket.AUTO_VERIFY_PEER, socket.peer_verify_mode)
            pharos.configure { cafile = certificates:path("other.pem") }
            assert.equal(13, (outcome(server_of("ecdsa"))))
        end)

        for name, verifies in pairs {
            VERIFY_NONE = false, QUERY_PEER = false, VERIFY_PEER = true, AUTO_VERIFY_PEER = true,
        } do
            it("4.7 " .. name .. (verifies and " refuses" or " accepts")
                .. " a certificate of nobody we know", function()
                local expected = verifies and 13 or "encrypted"
                assert.equal(expected, (outcome(server_of("itself"), function(socket)
                    socket.peer_verify_mode = SslSocket[name]
                end)))
            end)

            it("4.7 " .. name .. " accepts a good certificate", function()
                assert.equal("encrypted", (outcome(server_of("ecdsa"), function(socket)
                    socket.peer_verify_mode = SslSocket[name]
                end)))
            end)
        end

        it("4.7 the name is checked, too", function()
            pharos.configure { hosts = { ["wrong.example"] = "127.0.0.1" } }
            assert.equal(13, (outcome(server_of("ecdsa"), nil, "wrong.example")))
        end)

        it("1.13 mapping hosts is invisible to the check of names", function()
            local server = server_of("ecdsa")
            pharos.configure { hosts = { localhost = "127.0.0.1:" .. server.port } }
            local socket, log = kit.socket(SslSocket)
            socket:connect_encrypted("localhost", 4352)
            wait_for(log, "encrypted")
            assert.equal(4352, socket.remote_port)
        end)

        it("4.7 peer_verify_mode: what is no mode raises at the caller's line", function()
            local s = SslSocket.new()
            helper.misuse(function() s.peer_verify_mode = 4 end, "peer_verify_mode")
            helper.misuse(function() s.peer_verify_mode = "none" end, "peer_verify_mode")
            assert.equal(3, s.peer_verify_mode)
        end)
    end)

    describe("configuration", function()
        it("4.7 of a new socket: no certificate, no key, AUTO_VERIFY_PEER", function()
            local configuration = SslSocket.new().configuration
            assert.is_nil(configuration.local_certificate)
            assert.is_nil(configuration.private_key)
            assert.same({}, configuration.local_certificate_chain)
            assert.equal(SslConfiguration.AUTO_VERIFY_PEER, configuration.peer_verify_mode)
        end)

        it("4.7 configuration can be read, changed in place and replaced", function()
            local socket = SslSocket.new()
            socket.configuration.peer_verify_mode = 0
            assert.equal(0, socket.peer_verify_mode)
            local other = SslConfiguration.new()
            other.peer_verify_mode = 2
            socket.configuration = other
            assert.equal(other, socket.configuration)
            assert.equal(2, socket.peer_verify_mode)
            socket.peer_verify_mode = 1
            assert.equal(1, other.peer_verify_mode)
        end)

        it("4.7 add_ca_certificate: peers below it are accepted", function()
            pharos.configure { cafile = certificates:path("other.pem") }
            local server = server_of("ecdsa")
            assert.equal(13, (outcome(server)))
            assert.equal("encrypted", (outcome(server, function(socket)
                socket.configuration:add_ca_certificate(certificate("other"))
                socket.configuration:add_ca_certificate(certificate("ca"))
            end)))
        end)

        it("4.7 local_certificate and private_key are shown to a server that asks", function()
            local server = server_of("ecdsa", {
                client_auth = "require", cafile = certificates:path("ca.pem"),
            })
            local word = outcome(server, function(socket)
                socket.configuration = identity("client")
            end)
            assert.equal("encrypted", word)
            helper.wait_accepted(server)
        end)

        it("4.7 local_certificate_chain: its first is local_certificate", function()
            local configuration = SslConfiguration.new()
            local first, second = certificate("client"), certificate("ca")
            configuration.local_certificate_chain = { first, second }
            assert.equal(first, configuration.local_certificate)
            assert.equal(second, configuration.local_certificate_chain[2])
            configuration.local_certificate = second
            assert.equal(1, #configuration.local_certificate_chain)
            -- What is no part of the list is not taken along unchecked.
            configuration.local_certificate_chain = { first, name = "junk", [3] = "junk" }
            assert.same({ first }, configuration.local_certificate_chain)
        end)

        it("4.7 certificates and keys may be given in PEM and in DER", function()
            -- The very bytes of the PEM text.
            local digits = {}
            for index = 1, 64 do
                digits[("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/")
                    :sub(index, index)] = index - 1
            end
            local function der(name)
                local body = pem(name):match("%-%-\n(.-)\n%-%-"):gsub("%s", "")
                return (body:gsub("....", function(four)
                    local bits, count = 0, 3
                    for digit in four:gmatch(".") do
                        bits = bits * 64 + (digits[digit] or 0)
                        count = count - (digit == "=" and 1 or 0)
                    end
                    return string.char(math.floor(bits / 65536), math.floor(bits / 256) % 256,
                        bits % 256):sub(1, count)
                end))
            end
            for _, name in ipairs { "ecdsa", "rsa", "ed25519" } do
                local configuration = SslConfiguration.new()
                configuration.local_certificate =
                    net.SslCertificate.new(der(name .. ".pem"), net.SslEncoding.DER)
                configuration.private_key = net.SslKey.new(der(name .. ".key"), net.SslEncoding.DER)
                assert.equal("encrypted", (outcome((ssl_server(configuration)))))
            end
        end)

        it("4.7 bad certificates or keys: error 21, and no attempt begins", function()
            local server = server_of("ecdsa")
            local word, _, log = outcome(server, function(socket)
                socket.configuration.local_certificate = net.SslCertificate.new("no certificate")
                socket.configuration.private_key = key("client")
            end)
            assert.equal(21, word)
            helper.pump_for(0.02)
            assert.equal("error 21", said(log))
            assert.equal(0, #server.sockets)
        end)

        it("4.7 a certificate without its key: error 21", function()
            assert.equal(21, (outcome(server_of("ecdsa"), function(socket)
                socket.configuration.local_certificate = certificate("client")
            end)))
        end)

        it("4.7 what is no certificate, key or configuration raises", function()
            local s, c = SslSocket.new(), SslConfiguration.new()
            helper.misuse(function() c.local_certificate = "text" end, "local_certificate")
            helper.misuse(function() c.private_key = certificate("ca") end, "private_key")
            helper.misuse(function() c:add_ca_certificate("text") end, "SslCertificate expected")
            helper.misuse(function() s.configuration = {} end, "SslConfiguration expected")
            helper.misuse(function() net.SslCertificate.new(1) end, "bad argument 'data'")
            helper.misuse(function() net.SslKey.new("x", 7) end, "bad argument 'encoding'")
        end)
    end)

    describe("server", function()
        it("4.7 next_pending_secure_connection: an SslSocket, encrypted, in server mode", function()
            local server = ssl_server()
            server.new_connection_handler = helper.expect(1)
            local client = kit.socket(SslSocket)
            client:connect_encrypted("localhost", server.port)
            helper.wait_field(server, "has_pending_connections", true)
            local socket = helper.track(server:next_pending_secure_connection())
            assert.equal("SslSocket", getmetatable(socket).__type)
            assert.is_true(socket.encrypted)
            assert.equal(SslSocket.SSL_SERVER_MODE, socket.mode)
            assert.equal(3, socket.state)
            assert.is_nil(server:next_pending_secure_connection())
            client:write("hello")
            helper.wait_field(socket, "bytes_available", 5)
        end)

        it("4.7 next_pending_connection gives the same", function()
            local server, taken = ssl_server()
            encrypted(server)
            helper.wait_count(taken, 1)
            assert.is_true(taken[1].encrypted)
            assert.equal(2, taken[1].mode)
        end)

        it("4.7 both have asynchronous forms", function()
            for _, name in ipairs { "next_pending_connection", "next_pending_secure_connection" } do
                local server = ssl_server()
                server.new_connection_handler = nil
                encrypted(server)
                helper.wait_field(server, "has_pending_connections", true)
                local got
                server[name .. "_async"](server, function(given, socket)
                    assert(given == server)
                    got = helper.track(socket)
                end)
                wait(function()
                    return got
                end, "the callback")
                assert.is_true(got.encrypted)
            end
        end)

        it("4.7 it answers: bytes pass in both directions", function()
            local server, taken = ssl_server(identity("rsa"))
            local socket = encrypted(server)
            helper.wait_count(taken, 1)
            taken[1].ready_read_handler = function(given)
                given:write(given:read())
            end
            socket:write("echo")
            helper.wait_field(socket, "bytes_available", 4)
            local log = kit.watch(taken[1])
            socket:disconnect()
            wait_for(log, "disconnected")
            assert.is_false(taken[1].encrypted)
        end)

        it("4.7 listen without certificate and key: false, with a text", function()
            local server = helper.track(SslServer.new())
            assert.is_false(server:listen(0))
            assert.is_truthy(server.error_string:find("%S"))
            assert.is_false(server.listening)
        end)

        it("4.7 listen_async tells the same", function()
            local server = helper.track(SslServer.new())
            local got = {}
            server:listen_async(0, function(_, result)
                got[1] = result
            end)
            wait(function()
                return got[1] ~= nil
            end, "the callback")
            assert.is_false(got[1])
        end)

        it("4.7 a client that is no TLS client: accept_error_handler, and the server goes on",
            function()
                local server = ssl_server()
                local number
                server.accept_error_handler = function(given, error_number)
                    assert(given == server)
                    number = error_number
                end
                helper.connect(server.port):write("GET / HTTP/1.0\r\n\r\n")
                wait(function()
                    return number
                end, "the error")
                assert.equal(13, number)
                encrypted(server)
            end)

        it("4.7 AUTO_VERIFY_PEER queries: a client needs no certificate", function()
            assert.equal("encrypted", (outcome((ssl_server()))))
        end)

        it("4.7 VERIFY_PEER: only clients with a certificate that is known get in", function()
            local configuration = identity("ecdsa")
            configuration.peer_verify_mode = SslConfiguration.VERIFY_PEER
            configuration:add_ca_certificate(certificate("ca"))
            local server, taken = ssl_server(configuration)
            local good = kit.socket(SslSocket)
            good.configuration = identity("client")
            good:connect_encrypted("localhost", server.port)
            helper.wait_count(taken, 1)
            for _, name in ipairs { "stranger", "none" } do
                local _, log = outcome(server, function(socket)
                    if name ~= "none" then
                        socket.configuration = identity(name)
                    end
                end)
                assert.is_truthy(log)
            end
            helper.pump_for(0.05)
            assert.equal(1, #taken)
        end)

        it("1.9 sockets taken from it die when it is collected", function()
            local kept, port = {}, nil
            local function listen()
                local server = SslServer.new()
                kept.server = server
                server.configuration = identity("ecdsa")
                server.new_connection_handler = function(given)
                    kept[1] = given:next_pending_connection()
                end
                assert(server:listen(0))
                port = server.port
            end
            kit.aside(listen)
            local _, log = encrypted({ port = port })
            wait(function()
                return kept[1]
            end, "the connection")
            kept.server = nil
            wait(function()
                collectgarbage()
                return kit.find(log, "disconnected")
            end, "the client's end")
            assert.equal(0, kept[1].state)
            assert.is_false(kept[1].encrypted)
        end)
    end)

    it("1.9 a dropped encrypted socket closes its connection silently", function()
        local server = server_of("ecdsa")
        local count = 0
        local function open()
            local socket = SslSocket.new()
            socket.encrypted_handler = function()
                count = count + 1
            end
            socket.disconnected_handler = helper.never("disconnected_handler")
            socket:connect_encrypted("localhost", server.port)
        end
        kit.aside(open)
        wait(function()
            collectgarbage()
            return evsock.active() <= 2 and (not server.sockets[1]
                or server.sockets[1].state == "closed")
        end, "the end")
        assert.is_true(count <= 1)
    end)
end)
