-- TLS at its edges: what is refused and with which code, how connections end, what the ends agree
-- on. Both ends are ours, except where openssl must play a peer that we refuse to be.
--
-- Not here: the ordinary course (`tls_spec.lua`), start_tls (`tls_upgrade_spec.lua`).

local helper = require "spec.helper"
local kit = require "spec.tls_kit"
local evsock = helper.evsock
local expect, never, pump_until = helper.expect, helper.never, helper.pump_until
local merge, closing_of, wait_for = kit.merge, kit.closing_of, kit.wait_for

local SECRET, WAIT = kit.SECRET, kit.WAIT

local certificates = kit.certificates_for(setup, teardown)

local descriptors = helper.descriptors

-- Connects through a relay to `port`: must be refused, with nothing of the application sent.
local function refused(code, port, options, host)
    local between = kit.relay(port)
    local told
    local sock = helper.track(evsock.connect(host or "localhost", between.port, merge({
        on_connect = never("on_connect"),
        on_data = never("on_data"),
        on_close = expect(function(_, message, its_code)
            told = { message, its_code }
        end, 1),
    }, options)))
    sock:write(SECRET)
    pump_until(function() return told end, WAIT, "an end")
    assert.equal(code, told[2], told[1])
    assert.is_nil(sock.tls)
    assert.equal("closed", sock.state)
    assert.is_nil(between.up:find(SECRET, 1, true))
    return told[1], sock
end

describe("TLS", function()
    after_each(helper.finish)

    describe("while it is secured", function()
        it("has the state 'securing' and no facts, and both ends wait", function()
            local record = kit.server(certificates, "ecdsa", nil, {
                on_accept = never("on_accept") })
            local between = kit.relay(record.port)
            between.change = function(bytes, way)
                return way == "up" and bytes or nil
            end
            local sock = helper.track(evsock.connect("localhost", between.port, {
                tls = certificates:trusting(), on_connect = never("on_connect") }))
            pump_until(function() return #between.down > 0 end, WAIT, "the server's answer")
            assert.equal("securing", sock.state)
            assert.is_nil(sock.tls)
        end)

        it("closes at once when nothing is queued", function()
            local silent = helper.server()
            local sock = helper.track(evsock.connect("127.0.0.1", silent.port, {
                tls = true, on_connect = never("on_connect") }))
            pump_until(function() return sock.state == "securing" end, WAIT)
            local told, began = closing_of(sock), evsock.now()
            sock:close()
            assert.is_nil(wait_for(told))
            assert.is_true(evsock.now() - began < 1 * helper.slow)
        end)

        it("sends what is queued before it closes", function()
            local record = kit.server(certificates, "ecdsa")
            local sock = kit.pair(certificates, nil, nil, record.port)
            local told = closing_of(sock)
            sock:write(SECRET)
            sock:close()
            pump_until(function() return record.sockets[1] end, WAIT)
            assert.equal(SECRET, record.sockets[1]:receive("*a", WAIT))
            assert.is_nil(wait_for(told))
        end)

        it("keeps a shutdown behind what is queued", function()
            local record = kit.server(certificates, "ecdsa", nil, { half_open = true })
            local sock = kit.pair(certificates, nil, nil, record.port)
            sock:write(SECRET)
            sock:shutdown()
            assert.is_nil((sock:write("too late")))
            pump_until(function() return record.sockets[1] end, WAIT)
            assert.equal(SECRET, record.sockets[1]:receive("*a", WAIT))
            record.sockets[1]:write("heard")
            assert.equal("heard", sock:receive(5, WAIT))
        end)

        it("counts what is held as pending", function()
            local silent = helper.server()
            local sock = helper.track(evsock.connect("127.0.0.1", silent.port, {
                tls = true, write_limit = 10 }))
            sock:write("12345")
            pump_until(function() return sock.state == "securing" end, WAIT)
            assert.is_true(sock.pending >= 5)
            local ok, _, code = sock:write("123456")
            assert.is_nil(ok)
            assert.equal("EAGAIN", code)
        end)

        it("is abandoned by abort and by collection, and leaves no descriptor", function()
            local silent = helper.server()
            local before = descriptors()
            for i = 1, 20 do
                local sock = evsock.connect("127.0.0.1", silent.port, { tls = true })
                pump_until(function() return sock.state == "securing" end, WAIT)
                if i % 2 == 0 then
                    sock:abort()
                end
            end
            pump_until(function()
                collectgarbage()
                for _, sock in ipairs(silent.sockets) do
                    sock:abort()
                end
                return descriptors() <= before
            end, WAIT, "the descriptors were closed")
        end)
    end)

    describe("refuses, and sends nothing of the application, when", function()
        local function by_openssl(code, key, options)
            local server = kit.openssl(certificates, key, { "-rev" })
            local message = refused(code, server.port, options)
            local log = server:log()
            server:stop()
            assert.is_nil(log:find(SECRET, 1, true))
            return message
        end

        it("the certificate has expired", function()
            local message = by_openssl("TLS_EXPIRED", "expired", { tls = certificates:trusting() })
            assert.is_truthy(message:find("2021-01-01", 1, true), message)
        end)

        it("the certificate is not valid yet", function()
            local message = by_openssl("TLS_NOT_YET_VALID", "early",
                { tls = certificates:trusting() })
            assert.is_truthy(message:find("2090-01-01", 1, true), message)
        end)

        it("it has expired, whoever's name counts not", function()
            local tls = certificates:trusting { insecure_name = true }
            by_openssl("TLS_EXPIRED", "expired", { tls = tls })
        end)

        it("the certificate is for another purpose", function()
            local tls = certificates:trusting { insecure_name = true }
            by_openssl("TLS_BAD_PURPOSE", "client", { tls = tls })
        end)

        it("the certificate vouches for itself, unless it is given as ca", function()
            local record = kit.server(certificates, "itself")
            refused("TLS_SELF_SIGNED", record.port, { tls = certificates:trusting() })
            refused("TLS_SELF_SIGNED", record.port,
                { tls = certificates:trusting { insecure_name = true } })
            pump_until(function() return #record.errors == 2 end, WAIT)
            assert.equal("TLS_CERT_REFUSED", record.errors[1][2], record.errors[1][1])
            assert.equal(0, #record.sockets)
            local sock = helper.track(evsock.connect("localhost", record.port, {
                tls = { cafile = certificates:path("itself.pem") } }))
            assert.is_true(sock:wait("connect", WAIT))
            assert.is_true(sock.tls.verified)
        end)

        it("no name of the certificate is the wanted one", function()
            local record = kit.server(certificates, "rsa", nil, { on_accept = never("accept") })
            local message = refused("TLS_BAD_HOSTNAME", record.port, {
                tls = certificates:trusting { server_name = "a.localhost" } })
            assert.is_truthy(message:find("a.localhost", 1, true), message)
            refused("TLS_BAD_HOSTNAME", record.port, {
                tls = certificates:trusting { server_name = "127.0.0.2" } })
            pump_until(function() return #record.errors == 2 end, WAIT)
        end)

        it("a record is changed on the way: the part before it still comes", function()
            local record = kit.server(certificates, "ecdsa")
            local between = kit.relay(record.port)
            local got = ""
            local sock = kit.pair(certificates, {
                on_data = function(s) got = got .. s:read() end,
            }, nil, between.port)
            pump_until(function() return sock.state == "open" and record.sockets[1] end, WAIT)
            local told = closing_of(sock)
            record.sockets[1]:write("whole")
            pump_until(function() return got == "whole" end, WAIT)
            between.change = function(bytes)
                local last = bytes:byte(-1)
                return bytes:sub(1, -2) .. string.char((last + 1) % 256)
            end
            record.sockets[1]:write("spoiled")
            assert.equal("TLS_PROTOCOL", wait_for(told), told.message)
            assert.equal("whole", got)
        end)

        it("the server is silent, or hangs up in the handshake", function()
            local silent = helper.server()
            refused("TLS_TIMEOUT", silent.port, { tls = true, connect_timeout = 0.2 })
            local rude = helper.server({ on_data = function(sock) sock:close() end })
            refused("TLS_TRUNCATED", rude.port, { tls = true })
        end)

        it("the roots are to be had from a directory without any", function()
            local said, status = helper.run(([[
                local evsock = require "evsock"
                local server = assert(evsock.listen("127.0.0.1", 0, {
                    tls = { certfile = %q, keyfile = %q } }))
                evsock.connect("localhost", server.port, { tls = true,
                    on_close = function(_, message, code)
                        print(code, message)
                        server:close()
                    end })
                evsock.run()
            ]]):format(certificates:path("ecdsa.pem"), certificates:path("ecdsa.key")), nil,
                "export SSL_CERT_FILE=/nowhere SSL_CERT_DIR=/nowhere")
            assert.equal(0, status, said)
            assert.is_truthy(said:find("^TLS_NO_ROOTS\t") or said:find("^TLS_UNKNOWN"), said)
        end)

        it("it trusts the file that SSL_CERT_FILE names, though", function()
            local said, status = helper.run(([[
                local evsock = require "evsock"
                local server = assert(evsock.listen("127.0.0.1", 0, {
                    tls = { certfile = %q, keyfile = %q } , on_accept = function() end}))
                local sock = evsock.connect("localhost", server.port, { tls = true })
                print(sock:wait("connect", 10), sock.tls.verified)
                os.exit(0)
            ]]):format(certificates:path("ecdsa.pem"), certificates:path("ecdsa.key")), nil,
                "unset SSL_CERT_DIR; export SSL_CERT_FILE=" .. certificates:path("ca.pem"))
            assert.equal(0, status, said)
            assert.equal("true\ttrue", (said:gsub("%s+$", "")))
        end)
    end)

    describe("at the server", function()
        it("a silent client ends with TLS_TIMEOUT and is never accepted", function()
            local record = kit.server(certificates, "ecdsa", nil, {
                connect_timeout = 0.2, on_accept = never("on_accept") })
            helper.connect(record.port, { on_close = expect(1) })
            pump_until(function() return record.errors[1] end, WAIT)
            assert.equal("TLS_TIMEOUT", record.errors[1][2], record.errors[1][1])
            pump_until(function() return record.server.connections == 0 end, WAIT)
            helper.pump_for(0.05)
        end)

        it("garbage is TLS_NOT_TLS, and the next client is served", function()
            local record = kit.server(certificates, "ecdsa")
            helper.connect(record.port):write(("\0\255"):rep(100))
            pump_until(function() return record.errors[1] end, WAIT)
            assert.equal("TLS_NOT_TLS", record.errors[1][2])
            local sock = kit.pair(certificates, nil, nil, record.port)
            assert.is_true(sock:wait("connect", WAIT))
        end)

        it("client_auth = 'request' takes both, and tells which was verified", function()
            local ask = certificates:trusting { client_auth = "request" }
            local record = kit.server(certificates, "ecdsa", ask)
            for i, identity in ipairs { {}, certificates:identity("client") } do
                local sock = helper.track(evsock.connect("localhost", record.port, {
                    tls = certificates:trusting(identity) }))
                assert.is_true(sock:wait("connect", WAIT))
                pump_until(function() return record.sockets[i] end, WAIT)
                assert.equal(i == 2, record.sockets[i].tls.verified)
            end
            local stranger = helper.track(evsock.connect("localhost", record.port, {
                tls = certificates:trusting(certificates:identity("stranger")) }))
            local told = closing_of(stranger)
            assert.equal("TLS_CERT_REFUSED", wait_for(told), told.message)
            assert.equal(2, #record.sockets)
        end)

        it("client_auth = 'require' tells the client what is missing", function()
            local ask = certificates:trusting { client_auth = "require" }
            local record = kit.server(certificates, "ecdsa", ask,
                { on_accept = never("on_accept") })
            local sock = helper.track(evsock.connect("localhost", record.port, {
                tls = certificates:trusting() }))
            sock:write(SECRET)
            local told = closing_of(sock)
            assert.equal("TLS_CLIENT_CERT_REQUIRED", wait_for(told), told.message)
            assert.equal("TLS_CLIENT_CERT_REQUIRED", pump_until(function()
                return record.errors[1]
            end, WAIT)[2])
        end)

        it("verification of clients needs a ca, and is no place for verify = false", function()
            local own = certificates:identity("ecdsa", { client_auth = "require" })
            helper.misuse(function() evsock.tls(own) end, "client_auth needs 'ca'")
            local both = merge(own, certificates:trusting(), { verify = false })
            helper.misuse(function() evsock.tls(both) end, "client_auth and verify = false")
        end)
    end)

    describe("agrees on", function()
        it("the first of the server's protocols that the client speaks", function()
            local record = kit.server(certificates, "ecdsa", { alpn = { "b", "a" } })
            local sock = helper.track(evsock.connect("localhost", record.port, {
                tls = certificates:trusting { alpn = { "a", "c", "b" } } }))
            assert.is_true(sock:wait("connect", WAIT))
            assert.equal("b", sock.tls.alpn)
            local without = helper.track(evsock.connect("localhost", record.port, {
                tls = certificates:trusting() }))
            assert.is_true(without:wait("connect", WAIT))
            assert.is_nil(without.tls.alpn)
        end)

        it("no connection at all without a protocol in common", function()
            local record = kit.server(certificates, "ecdsa", { alpn = { "a" } },
                { on_accept = never("on_accept") })
            refused("TLS_ALPN", record.port, { tls = certificates:trusting { alpn = { "b" } } })
            pump_until(function() return record.errors[1] end, WAIT)
            assert.equal("TLS_ALPN", record.errors[1][2])
        end)

        it("1.2 with an old server, unless min_version forbids it", function()
            local server = kit.openssl(certificates, "ecdsa", { "-tls1_2", "-rev" })
            local sock = helper.track(evsock.connect("localhost", server.port, {
                tls = certificates:trusting() }))
            assert.is_true(sock:wait("connect", WAIT))
            assert.equal("1.2", sock.tls.version)
            assert.is_truthy(sock.tls.cipher:find("^TLS_ECDHE_ECDSA_WITH_[%u%d_]+$"))
            sock:close()
            assert.is_true(sock:wait("close", WAIT))
            refused("TLS_VERSION", server.port,
                { tls = certificates:trusting { min_version = "1.3" } })
            server:stop()
        end)

        it("1.3 only, if the server wants that", function()
            local record = kit.server(certificates, "ecdsa", { min_version = "1.3" },
                { on_accept = never("on_accept") })
            local words = { "openssl", "s_client", "-tls1_2", "-connect",
                "127.0.0.1:" .. record.port }
            local _, _, status = kit.run(words)
            assert.not_equal(0, status)
            pump_until(function() return record.errors[1] end, WAIT)
            assert.equal("TLS_VERSION", record.errors[1][2], record.errors[1][1])
        end)

        it("an address instead of a name, which is not sent as one", function()
            local record = kit.server(certificates, "ecdsa")
            local sock = helper.track(evsock.connect("127.0.0.1", record.port, {
                tls = certificates:trusting() }))
            assert.is_true(sock:wait("connect", WAIT))
            assert.is_true(sock.tls.verified)
            pump_until(function() return record.sockets[1] end, WAIT)
            assert.is_nil(record.sockets[1].tls.server_name)
        end)

        it("the session of the last time: the certificate is not sent again", function()
            local record = kit.server(certificates, "rsa")
            local between = kit.relay(record.port)
            local tls = evsock.tls(certificates:trusting())
            local sizes = {}
            for i = 1, 2 do
                between.down = ""
                local sock = helper.track(evsock.connect("localhost", between.port, {
                    tls = tls }))
                assert.is_true(sock:wait("connect", WAIT))
                pump_until(function() return record.sockets[i] end, WAIT)
                -- The server's tickets have come before its first byte.
                record.sockets[i]:write("x")
                assert.equal("x", sock:receive(1, WAIT))
                sizes[i] = #between.down
                assert.is_true(sock.tls.verified)
                sock:close()
                assert.is_true(sock:wait("close", WAIT))
            end
            assert.is_true(sizes[2] < sizes[1] - 500, table.concat(sizes, " "))
        end)

        it("nothing with a stricter table for what another has allowed", function()
            -- A session of a table that verifies nothing must not serve one that does.
            local record = kit.server(certificates, "itself")
            local lax = helper.track(evsock.connect("localhost", record.port, {
                tls = { verify = false } }))
            assert.is_true(lax:wait("connect", WAIT))
            pump_until(function() return record.sockets[1] end, WAIT)
            record.sockets[1]:write("x")
            assert.equal("x", lax:receive(1, WAIT))
            lax:close()
            refused("TLS_SELF_SIGNED", record.port, { tls = certificates:trusting() })
        end)
    end)

    describe("ends", function()
        it("orderly for the peer after close, whatever was in flight", function()
            for _, server_closes in ipairs { false, true } do
                local client, peer = kit.pair(certificates)
                local from, to = client, peer
                if server_closes then
                    from, to = peer, client
                end
                local told = closing_of(to)
                local size = 0
                to.on_data = function(sock)
                    size = size + #sock:read()
                end
                from:write(("x"):rep(300000))
                from:close()
                assert.is_nil(wait_for(told), told.message)
                assert.equal(300000, size)
            end
        end)

        it("with a code at the peer after abort", function()
            local client, peer = kit.pair(certificates)
            local told = closing_of(peer)
            local own = closing_of(client)
            client:abort()
            local code = wait_for(told)
            assert.is_true(code == "TLS_TRUNCATED" or code == "ECONNRESET", tostring(code))
            assert.is_nil(wait_for(own))
        end)

        it("with TLS_TRUNCATED at both ends when the wire is cut in the middle of a record",
            function()
                local record = kit.server(certificates, "ecdsa")
                local between = kit.relay(record.port)
                local client = kit.pair(certificates, nil, nil, between.port)
                pump_until(function() return client.state == "open" and record.sockets[1] end, WAIT)
                local peer = record.sockets[1]
                local order = {}
                client.on_data = function(sock) order[#order + 1] = sock:read() end
                peer:write("first")
                pump_until(function() return order[1] end, WAIT)
                local ends = { closing_of(client), closing_of(peer) }
                between.change = function(bytes)
                    between.was_cut = true
                    return bytes:sub(1, -3)
                end
                peer:write("never whole")
                pump_until(function() return between.was_cut end, WAIT)
                between.cut()
                assert.equal("TLS_TRUNCATED", wait_for(ends[1]), ends[1].message)
                assert.equal("TLS_TRUNCATED", wait_for(ends[2]), ends[2].message)
                assert.equal("first", table.concat(order))
            end)

        it("a receive('*a') in a task with TLS_TRUNCATED and the part that came", function()
            local record = kit.server(certificates, "ecdsa")
            local between = kit.relay(record.port)
            local client = kit.pair(certificates, nil, nil, between.port)
            local result
            local task = helper.track(evsock.spawn(function()
                local data, _, code, partial = client:receive("*a", WAIT)
                result = { data == nil, code, partial }
            end))
            pump_until(function() return client.state == "open" and record.sockets[1] end, WAIT)
            local before = #between.down
            record.sockets[1]:write("a part")
            pump_until(function() return #between.down > before end, WAIT)
            between.cut()
            assert.is_true((task:join(WAIT)))
            assert.same({ true, "TLS_TRUNCATED", "a part" }, result)
            assert.equal("a part", client:read())
        end)

        it("one way with half_open, and goes on the other", function()
            local client, peer = kit.pair(certificates, { half_open = true }, { half_open = true })
            local ended = expect(nil, 1)
            peer.on_end = ended
            client:shutdown()
            pump_until(function() return helper.calls(ended) == 1 end, WAIT)
            assert.equal("open", peer.state)
            local block = ("0123456789abcdef"):rep(20000)
            peer:write(block)
            peer:shutdown()
            assert.is_true(client:receive("*a", WAIT) == block)
        end)
    end)

    describe("carries", function()
        it("16 MB each way at once, byte for byte", function()
            local client, peer = kit.pair(certificates)
            local lines = {}
            for i = 1, 8192 do
                lines[i] = ("%07d %07d"):format(i, i * 7919 % 1000003)
            end
            local block = table.concat(lines, "\n")
            local rounds = math.floor(16 * 1024 * 1024 / #block) + 1
            local tasks = {}
            for _, ends in ipairs { { client, peer }, { peer, client } } do
                local from, to = ends[1], ends[2]
                tasks[#tasks + 1] = helper.track(evsock.spawn(function()
                    for _ = 1, rounds do
                        assert(from:send(block, 4 * WAIT))
                    end
                end))
                tasks[#tasks + 1] = helper.track(evsock.spawn(function()
                    for i = 1, rounds do
                        local got = assert(to:receive(#block, 4 * WAIT))
                        assert(got == block, "block " .. i .. " differs")
                    end
                end))
            end
            for _, task in ipairs(tasks) do
                assert(task:join(4 * WAIT))
            end
            assert.equal(0, client.buffered + peer.buffered + client.pending + peer.pending)
        end)

        it("pieces of one byte through a relay that cuts everything into single bytes", function()
            local record = kit.server(certificates, "ecdsa")
            local front = helper.server()
            front.server.on_accept = function(_, near)
                helper.track(near)
                local far = helper.connect(record.port)
                for _, ends in ipairs { { near, far }, { far, near } } do
                    ends[1].on_data = function(sock)
                        for byte in sock:read():gmatch(".") do
                            ends[2]:write(byte)
                            evsock.pump()
                        end
                    end
                end
            end
            -- gmatch skips nothing: "." is every byte, on 5.1 but for zeros in the pattern.
            local client = kit.pair(certificates, nil, nil, front.port)
            for i = 1, 50 do
                client:write(string.char(64 + i % 26))
            end
            pump_until(function() return record.sockets[1] end, 4 * WAIT)
            local got = record.sockets[1]:receive(50, 4 * WAIT)
            assert.equal(50, got and #got)
            record.sockets[1]:write(got)
            assert.equal(got, client:receive(50, 4 * WAIT))
        end)

        it("no more than read_limit ahead: the writer waits", function()
            local client, peer = kit.pair(certificates, { read_limit = 65536 })
            local size = 32 * 1024 * 1024
            assert.is_true(peer:write(("z"):rep(size)))
            pump_until(function() return client.buffered >= 65536 end, WAIT)
            helper.pump_for(0.2)
            assert.is_true(client.buffered < 65536 + 262144, client.buffered)
            assert.is_true(peer.pending > size / 4, peer.pending)
            local got = 0
            pump_until(function()
                got = got + #(client:read() or "")
                return got == size
            end, 6 * WAIT, "all of it")
        end)
    end)

    describe("a table", function()
        local function misuse(tls, text)
            helper.misuse(function() evsock.tls(tls) end, text)
            helper.misuse(function() evsock.connect("h", 1, { tls = tls }) end, text)
            helper.misuse(function() evsock.listen("127.0.0.1", 0, { tls = tls }) end, text)
            local sock = evsock.socket()
            helper.misuse(function() sock:start_tls(tls) end, text)
        end

        local function identity(cert, key)
            return { certfile = certificates:path(cert), keyfile = certificates:path(key) }
        end

        it("with a bad certificate or key raises, and names the file and why", function()
            misuse(identity("ecdsa.pem", "locked.key"), "locked.key: the private key is encrypted")
            misuse(identity("ecdsa.pem", "rsa.key"), "rsa.key: the key of another certificate")
            misuse(identity("ecdsa.key", "ecdsa.key"), "ecdsa.key: holds ")
            misuse(identity("ecdsa.pem", "ecdsa.pem"), "ecdsa.pem: holds ")
            misuse(identity("der.pem", "ecdsa.key"), "der.pem: no certificate in PEM format; it")
            misuse(identity("empty.pem", "ecdsa.key"), "empty.pem: is empty")
            misuse(identity("none.pem", "ecdsa.key"), "none.pem: no such file")
            misuse({ cafile = certificates.directory }, certificates.directory .. ": ")
        end)

        it("with the wrong type, an unknown name or a contradiction raises", function()
            misuse({ cert = 5, key = "x" }, "'cert'")
            misuse({ server_name = true }, "'server_name'")
            misuse({ server_name = "not a name!" }, "no host name")
            misuse({ insecure_name = "yes" }, "'insecure_name'")
            misuse({ alpn = { 5 } }, "'alpn'")
            misuse({ alpn = { "" } }, "'alpn'")
            misuse({ alpn = { ("a"):rep(256) } }, "'alpn'")
            misuse({ min_version = 1.2 }, "'min_version'")
            misuse({ client_auth = "maybe" }, "'client_auth'")
            misuse({ [1] = "ca" }, "'1'")
        end)

        it("may hold key and certificate as text, or both in one file", function()
            local cert, key = certificates:pem("ecdsa.pem"), certificates:pem("ecdsa.key")
            for _, tls in ipairs { { cert = cert, key = key }, identity("both.pem", "both.pem") } do
                local server = helper.track(assert(evsock.listen("127.0.0.1", 0, {
                    tls = tls, on_accept = function(_, sock) helper.track(sock) end })))
                local sock = helper.track(evsock.connect("localhost", server.port, {
                    tls = { ca = certificates:pem("ca.pem") } }))
                assert.is_true(sock:wait("connect", WAIT))
            end
        end)

        it("says what it is for when it was compiled", function()
            assert.equal("evsock.Tls: client", tostring(evsock.tls {}))
            assert.equal("evsock.Tls: client and server",
                tostring(evsock.tls(identity("ecdsa.pem", "ecdsa.key"))))
        end)

        it("that is bad leaves an open connection as it was", function()
            local client, peer = kit.pair(certificates)
            pcall(client.connect, client, "localhost", 1, { tls = { nonsense = true } })
            client:write("still here")
            assert.equal("still here", peer:receive(10, WAIT))
        end)
    end)

    it("leaves no descriptor, however its handshakes end", function()
        local record = kit.server(certificates, "ecdsa")
        local good = evsock.tls(certificates:trusting())
        local bad = evsock.tls { cafile = certificates:path("other.pem") }
        local function round()
            for i = 1, 30 do
                local sock = evsock.connect("localhost", record.port, {
                    tls = i % 2 == 0 and good or bad })
                assert.is_true(sock:wait(i % 2 == 0 and "connect" or "close", WAIT))
                sock:close()
            end
            pump_until(function()
                for _, sock in ipairs(record.sockets) do
                    sock:abort()
                end
                return #record.errors % 15 == 0 and record.server.connections == 0
            end, WAIT)
        end
        round()
        local before = descriptors()
        round()
        pump_until(function() return descriptors() <= before end, WAIT, "as many as before")
    end)
    it("of server, closed in the middle of handshakes, ends them", function()
        local record = kit.server(certificates, "ecdsa", nil, {
            on_accept = never("on_accept"), connect_timeout = 0 })
        local ends = {}
        for i = 1, 10 do
            local sock = helper.connect(record.port)
            sock:write("\22\3\1")
            ends[i] = sock
        end
        pump_until(function()
            for _, sock in ipairs(ends) do
                if sock.state ~= "open" then return false end
            end
            return true
        end, WAIT)
        helper.pump_for(0.05)
        record.server:close()
        pump_until(function()
            for _, sock in ipairs(ends) do
                if sock.state ~= "closed" then return false end
            end
            return true
        end, WAIT, "all clients are told")
    end)
end)
