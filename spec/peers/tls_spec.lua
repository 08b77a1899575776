-- Other people's TLS as the peer: OpenSSL's tools, curl, nginx and LuaSec, in both directions.

local helper = require "spec.helper"
local kit = require "spec.peers.openssl"
local example = require "spec.peers.example"

-- What is sent each way.
local SIZE = 300 * 1024

-- Every suite that both have: version, name, OpenSSL's name, and the keys that go with it.
local OF_EC, OF_RSA, OF_ALL = { "ecdsa", "ed25519" }, { "rsa" }, kit.keys
local suites = {
    { "1.3", "TLS_AES_128_GCM_SHA256", "TLS_AES_128_GCM_SHA256", OF_ALL },
    { "1.3", "TLS_AES_256_GCM_SHA384", "TLS_AES_256_GCM_SHA384", OF_ALL },
    { "1.3", "TLS_CHACHA20_POLY1305_SHA256", "TLS_CHACHA20_POLY1305_SHA256", OF_ALL },
    { "1.2", "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256", "ECDHE-ECDSA-AES128-GCM-SHA256", OF_EC },
    { "1.2", "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384", "ECDHE-ECDSA-AES256-GCM-SHA384", OF_EC },
    { "1.2", "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256", "ECDHE-ECDSA-CHACHA20-POLY1305",
        OF_EC },
    { "1.2", "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256", "ECDHE-RSA-AES128-GCM-SHA256", OF_RSA },
    { "1.2", "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384", "ECDHE-RSA-AES256-GCM-SHA384", OF_RSA },
    { "1.2", "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256", "ECDHE-RSA-CHACHA20-POLY1305", OF_RSA },
}

-- 4 KiB without a line end.
local block = {}
for i = 1, 4096 do
    -- Every byte but 10 and 13, in another order each time round.
    local byte = (i * 7 + math.floor(i / 254) * 31) % 254
    block[i] = string.char(byte < 10 and byte or byte < 12 and byte + 1 or byte + 2)
end
block = table.concat(block)

-- The same in every run, but no part of 4 KiB like the one before.
local function noise(size)
    local parts, first = {}, 1
    for i = 1, math.ceil(size / #block) do
        first = (first * 16807 + i) % #block + 1
        parts[i] = block:sub(first) .. block:sub(1, first - 1)
    end
    return table.concat(parts):sub(1, size)
end

local function words_of(suite)
    if suite[1] == "1.3" then
        return { "-tls1_3", "-ciphersuites", suite[3] }
    end
    return { "-tls1_2", "-cipher", suite[3] }
end

local with = kit.concat

-- The status and the body of an answer.
local function receive_answer(sock)
    local head = assert(sock:receive({ until_ = "\r\n\r\n" }, 10 * helper.slow))
    local length = tonumber(head:match("[Cc]ontent%-[Ll]ength: (%d+)"))
    return tonumber(head:match("^HTTP/1%.1 (%d+)")),
        assert(sock:receive(length, 20 * helper.slow))
end

local function request(path)
    return "GET " .. path .. " HTTP/1.1\r\nHost: localhost\r\n\r\n"
end

-- Answers GET with `body` and PUT with what was put.
local function http_server(tls, body)
    return helper.server {
        tls = tls,
        on_data = function(sock)
            if not sock.wanted then
                local head = sock:read_until("\r\n\r\n")
                if not head then
                    return
                end
                sock.wanted = tonumber(head:match("[Cc]ontent%-[Ll]ength: (%d+)") or 0)
            end
            local put = sock:read_exact(sock.wanted)
            if put then
                sock.wanted = nil
                local answer = put == "" and body or put
                sock:write("HTTP/1.1 200 OK\r\nContent-Length: ", #answer, "\r\n\r\n", answer)
            end
        end,
    }
end

describe("TLS with OpenSSL, curl, nginx and LuaSec:", function()
    local certificates = kit.certificates_for(setup, teardown)

    after_each(helper.finish)

    -- Sends back what comes and closes after SIZE bytes; `tls` of the record: the connection's.
    local function echo_server(key, on_close)
        local record
        record = helper.server {
            tls = certificates:identity(key),
            on_close = on_close,
            on_data = function(sock, count)
                record.tls = sock.tls
                sock.total = (sock.total or 0) + count
                sock:write(sock:read())
                if sock.total >= SIZE then
                    sock:close()
                end
            end,
        }
        return record
    end

    for _, suite in ipairs(suites) do
        local version, name = suite[1], suite[2]
        for _, key in ipairs(suite[4]) do
            local what = ("TLS %s, %s with a key of kind %s: "):format(version, name, key)

            it(what .. "a client talks with openssl s_server", function()
                -- It sends every line back, reversed.
                local server = kit.openssl(certificates, key, with(words_of(suite), { "-rev" }))
                helper.track(server, server.stop)
                local sock = helper.connect(server.port, {
                    tls = { cafile = certificates:path("ca.pem"), server_name = "localhost" },
                })
                local text, lines = noise(SIZE), {}
                for i = 1, SIZE / #block do
                    lines[i] = text:sub((i - 1) * #block + 1, i * #block)
                    sock:write(lines[i], "\n")
                end
                for i = 1, #lines do
                    local line = sock:receive({ until_ = "\n" }, 10 * helper.slow)
                    assert.is_true(line == lines[i]:reverse(), "line " .. i .. " differs")
                end
                local tls = sock.tls
                assert.same({ version, name, "localhost", true },
                    { tls.version, tls.cipher, tls.server_name, tls.verified })
            end)

            it(what .. "a server talks with openssl s_client", function()
                local path = certificates:path("noise")
                local text = noise(SIZE)
                kit.write_file(path, text)
                local why = "not closed"
                local server = echo_server(key, helper.expect(function(_, message)
                    why = message
                end, 1))
                local out, said, status = kit.run(with({
                    "openssl", "s_client", "-connect", "127.0.0.1:" .. server.port, "-quiet",
                    "-CAfile", certificates:path("ca.pem"), "-verify_return_error",
                    "-servername", "localhost", "-verify_hostname", "localhost",
                }, words_of(suite)), path)
                assert.equal(0, status, said)
                assert.is_true(out == text, "what came back differs: " .. said)
                helper.pump_until(function() return why ~= "not closed" end, 5 * helper.slow)
                assert.is_nil(why)
                assert.same({ version, name, "localhost" },
                    { server.tls.version, server.tls.cipher, server.tls.server_name })
            end)
        end
    end

    describe("curl", function()
        local function curl(server, words)
            return kit.run(with({
                "curl", "-sS", "--noproxy", "*", "--max-time", 20 * helper.slow,
                "--resolve", "localhost:" .. server.port .. ":127.0.0.1",
            }, with(words, { "https://localhost:" .. server.port .. "/" })))
        end

        for _, key in ipairs(kit.keys) do
            it("gets 1 MB from a server whose root it knows, key of kind " .. key, function()
                local body = noise(1024 * 1024)
                local server = http_server(certificates:identity(key), body)
                local out, said, status = curl(server, { "--cacert", certificates:path("ca.pem") })
                assert.equal(0, status, said)
                assert.is_true(out == body, "another body")
            end)
        end

        it("puts 300 KB and gets them back", function()
            local text = noise(SIZE)
            local path = kit.write_file(certificates:path("noise"), text)
            local server = http_server(certificates:identity("ecdsa"), "")
            local out, said, status = curl(server,
                { "--cacert", certificates:path("ca.pem"), "-H", "Expect:", "-T", path })
            assert.equal(0, status, said)
            assert.is_true(out == text, "another body")
        end)

        it("refuses a server of another root, and the server is told why", function()
            local told
            local server = helper.server {
                tls = certificates:identity("ecdsa"),
                on_accept = helper.never("on_accept"),
                on_error = helper.expect(function(_, message, code)
                    told = code .. ": " .. message
                end, 1),
            }
            local _, said, status = curl(server, { "--cacert", certificates:path("other.pem") })
            assert.equal(60, status, said)
            helper.pump_until(function() return told end)
            assert.truthy(told:find("^TLS_"), told)
        end)

        it("is asked for a certificate, has one, and is let in", function()
            local server = http_server(certificates:identity("ecdsa", {
                client_auth = "require", cafile = certificates:path("ca.pem"),
            }), "welcome")
            local out, said, status = curl(server, {
                "--cacert", certificates:path("ca.pem"), "--cert", certificates:path("client.pem"),
                "--key", certificates:path("client.key"),
            })
            assert.equal(0, status, said)
            assert.equal("welcome", out)
            assert.is_true(server.sockets[1].tls.verified)
        end)

        for _, case in ipairs {
            { "has none", "TLS_CLIENT_CERT_REQUIRED" },
            { "has one of another root", "TLS_UNKNOWN_ISSUER", "stranger" },
        } do
            it("is asked for a certificate, " .. case[1] .. ", and is kept out", function()
                local code
                local server = helper.server {
                    tls = certificates:identity("ecdsa", {
                        client_auth = "require", cafile = certificates:path("ca.pem"),
                    }),
                    on_accept = helper.never("on_accept"),
                    on_error = helper.expect(function(_, _, given)
                        code = given
                    end, 1),
                }
                local own = { "--cacert", certificates:path("ca.pem") }
                if case[3] then
                    own = with(own, { "--cert", certificates:path(case[3] .. ".pem"),
                        "--key", certificates:path(case[3] .. ".key") })
                end
                local out, _, status = curl(server, own)
                assert.are_not.equal(0, status)
                assert.equal("", out)
                helper.pump_until(function() return code end)
                assert.equal(case[2], code)
            end)
        end
    end)

    describe("nginx", function()
        local nginx
        local TOTAL = 10 * 1024 * 1024

        setup(function()
            nginx = kit.nginx(certificates, "ecdsa")
            kit.write_file(nginx.files .. "/big", noise(TOTAL))
        end)

        teardown(function()
            nginx:stop()
        end)

        local function connect()
            local sock = helper.track(helper.evsock.socket {
                tls = { cafile = certificates:path("ca.pem") },
            })
            sock:connect("127.0.0.1", nginx.port)
            return sock
        end

        it("sends 10 MB, twice over one connection", function()
            local sock = connect()
            local wanted = assert(kit.read_file(nginx.files .. "/big"))
            for _ = 1, 2 do
                sock:write(request("/big"))
                local status, body = receive_answer(sock)
                assert.equal(200, status)
                assert.is_true(body == wanted, "another body")
            end
            assert.is_true(sock.tls.verified)
        end)

        it("answers 200 requests one by one over one connection", function()
            local sock = connect()
            sock.on_connect = helper.expect(1)
            for i = 1, 200 do
                sock:write(request("/nth"))
                local _, body = receive_answer(sock)
                assert.equal(i .. "\n", body)
            end
        end)

        it("ends a connection orderly after the last of its answers", function()
            local sock = connect()
            sock.on_close = helper.expect(function(_, message)
                assert.is_nil(message)
            end, 1)
            sock:write(request("/last"))
            local _, body = receive_answer(sock)
            assert.equal("last", body)
            assert.is_true(sock:wait("close", 5 * helper.slow))
        end)

        it("says that the second connection of one table resumes the session", function()
            local tls = helper.evsock.tls {
                cafile = certificates:path("ca.pem"), server_name = "localhost",
            }
            local reused = {}
            for i = 1, 2 do
                local sock = helper.connect(nginx.port, { tls = tls })
                sock:write(request("/reused"))
                local _, body = receive_answer(sock)
                reused[i] = body
                sock:close()
            end
            assert.same({ ".\n", "r\n" }, reused)
        end)
    end)

    describe("LuaSec", function()
        -- Sends the file, receives as much again, says in a word whether it is the same.
        local CLIENT = [[
            local port, protocol, ca, path = ...
            local socket, ssl = require "socket", require "ssl"
            local file = assert(io.open(path, "rb"))
            local text = file:read("*a")
            file:close()
            local sock = assert(socket.connect("127.0.0.1", tonumber(port)))
            sock = assert(ssl.wrap(sock, {
                mode = "client", protocol = protocol, cafile = ca, verify = "peer",
            }))
            sock:sni("localhost")
            sock:settimeout(20)
            assert(sock:dohandshake())
            for first = 1, #text, 4096 do
                local piece = text:sub(first, first + 4095)
                assert(sock:send(piece))
                assert(sock:receive(#piece) == piece)
            end
            local _, why = sock:receive(1)
            io.write(why, " ", (sock:info("protocol")))
            sock:close()
        ]]

        for _, version in ipairs { "1.2", "1.3" } do
            local protocol = "tlsv" .. version:gsub("%.", "_")
            for _, key in ipairs(kit.keys) do
                it(("talks TLS %s with a server whose key is of kind %s"):format(version, key),
                    function()
                        local script = kit.write_file(certificates:path("client.lua"), CLIENT)
                        local path = kit.write_file(certificates:path("noise"), noise(SIZE))
                        local server = echo_server(key)
                        local out, said, status = kit.run {
                            helper.debian_lua, script, server.port, protocol,
                            certificates:path("ca.pem"), path,
                        }
                        assert.equal(0, status, said)
                        assert.equal("closed TLSv" .. version, out)
                    end)
            end
        end
    end)

    describe("a device of OpenSSL's", function()
        local function run(port, fingerprint)
            local said, status = example.run("examples/pinned_device.lua", {
                HOST = "127.0.0.1", PORT = tostring(port), FINGERPRINT = fingerprint or "" })
            assert.equal(0, status, said)
            return said
        end

        it("is known by the fingerprint that both print (example pinned_device.lua)", function()
            local path = certificates:path("itself.pem")
            local printed = kit.run { "openssl", "x509", "-in", path, "-noout", "-fingerprint",
                "-sha256" }
            local own = "sha256:" .. printed:match("=(%S+)"):gsub(":", ""):lower()
            local port = kit.device(certificates, "itself")
            assert.is_truthy(run(port):find("\n" .. own .. "\nCN=localhost, until 20%d%d%-"))
            assert.is_truthy(run(port, own):find("verified by fingerprint", 1, true))
            local other = run(port, "sha256:" .. ("0"):rep(64))
            assert.is_truthy(other:find("not the device", 1, true), other)
            assert.is_truthy(other:find(own, 1, true), other)
        end)
    end)
end)
