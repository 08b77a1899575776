-- A device's certificate of version 1 could not be pinned ("not of version 3"), nor served
-- ("damaged"). And a server with a certificate that is over or has not begun did not start, as
-- nginx and OpenSSL do: a controller boots in 1970, and a simulated device may have to show such a
-- one.

local helper = require "spec.helper"
local kit = require "spec.tls_kit"
local peers = require "spec.peers.openssl"
local evsock = helper.evsock

local WAIT = 5 * helper.slow

-- `late`: a good one sent with an issuer that is over.
local MAKE = [[
version1 old localhost - $ec
version1 elsewhere elsewhere.test - $ec
version1 by_address 127.0.0.1 - $ec
openssl x509 -in old.pem -noout -text | grep -q 'Version: 1 '
cat ecdsa.pem expired.pem >late.pem
cp ecdsa.key late.key
]]

describe("regress 025", function()
    local certificates

    setup(function() certificates = kit.certificates(MAKE) end)
    teardown(function() certificates:remove() end)
    after_each(helper.finish)

    -- Facts of a connection, or message and code of its end.
    local function connect(port, tls, host, stays)
        local told, sock = peers.attempt(host or "localhost", port, tls)
        peers.until_told(told)
        if not stays then
            sock:close() -- `s_server` serves one after the other.
        end
        return told, sock
    end

    for _, version in ipairs { "-tls1_2", "-tls1_3" } do
        it("a certificate of version 1 can be pinned by a client, " .. version, function()
            local function pinned(name, more)
                return kit.merge({ cafile = certificates:path(name .. ".pem") }, more)
            end
            local function openssl(name)
                return peers.device(certificates, name, { version })
            end
            local port = openssl("old")
            assert.is_true(connect(port, pinned("old")).verified)
            assert.equal("chain", connect(port, pinned("old", { insecure_name = true })).verified)
            -- It lists no hosts; its subject is the only one.
            local told = connect(port, pinned("old"), "127.0.0.1")
            assert.equal("TLS_BAD_HOSTNAME", told.code, told.message)
            local by_address = pinned("by_address")
            assert.is_true(connect(openssl("by_address"), by_address, "127.0.0.1").verified)
            port = openssl("elsewhere")
            assert.equal("TLS_BAD_HOSTNAME", connect(port, pinned("elsewhere")).code)
            local named = pinned("elsewhere", { server_name = "elsewhere.test" })
            assert.is_true(connect(port, named).verified)
            -- Another of that name is still another.
            assert.equal("TLS_SELF_SIGNED", connect(port, by_address).code)
        end)

        it("a certificate of version 1 can be pinned by a server, " .. version, function()
            local verified
            local server = helper.track(assert(evsock.listen("127.0.0.1", 0, {
                tls = certificates:identity("old", {
                    client_auth = "require", cafile = certificates:path("old.pem") }),
                on_accept = function(_, sock)
                    verified = helper.track(sock).tls.verified
                    sock:close()
                end,
            })))
            local _, said = peers.visit(certificates, server.port, "old", { version })
            helper.pump_until(function() return verified ~= nil end, WAIT, said)
            assert.is_true(verified)
        end)
    end

    for _, case in ipairs {
        { "expired", "TLS_EXPIRED",
            "expired.pem: certificate 1 expired on 2021-01-01 00:00 UTC" },
        { "early", "TLS_NOT_YET_VALID",
            "early.pem: certificate 1 is not valid before 2090-01-01 00:00 UTC" },
        { "late", "TLS_EXPIRED", "late.pem: certificate 2 expired on 2021-01-01 00:00 UTC" },
    } do
        local name, code, text = case[1], case[2], case[3]

        it("a server tells that its certificate is out of time, and serves: " .. name, function()
            for _, host in ipairs { "127.0.0.1", "*" } do
                local listening = false
                local server
                local on_error = helper.expect(function(object, message, given)
                    assert.is_true(listening)
                    assert.equal(server, object)
                    assert.equal(code, given)
                    local expected = "listen " .. (host == "*" and "0.0.0.0" or host) .. ":"
                        .. server.port .. ": certfile " .. certificates.directory .. "/" .. text
                        .. "; peers that verify refuse it"
                    assert.equal(expected, message)
                end, 1)
                server = helper.track(assert(evsock.listen(host, 0, {
                    tls = certificates:identity(name), on_error = on_error,
                    on_accept = function(_, sock) helper.track(sock) end,
                })))
                listening = true
                for _ = 1, 2 do
                    assert.is_false(connect(server.port, { verify = false }, "127.0.0.1").verified)
                end
            end
        end)
    end

    it("a server tells it when it is given another certificate, and serves", function()
        local told
        local server = helper.track(assert(evsock.listen("127.0.0.1", 0, {
            tls = certificates:identity("ecdsa"),
            on_error = helper.expect(function(_, message) told = message end, 1),
            on_accept = function(_, sock) helper.track(sock) end,
        })))
        server.tls = certificates:identity("expired")
        assert.is_false(connect(server.port, { verify = false }, "127.0.0.1").verified)
        assert.truthy(told:find("expired.pem: certificate 1 expired on 2021", 1, true), told)
    end)

    it("a client with a certificate out of time connects, and the server judges", function()
        local record = kit.server(certificates, "ecdsa", {
            client_auth = "require", cafile = certificates:path("ca.pem") })
        local told, sock = connect(record.port, certificates:identity("expired", {
            cafile = certificates:path("ca.pem") }), nil, true)
        helper.pump_until(function() return record.errors[1] and sock.state == "closed" end, WAIT)
        assert.equal("TLS_EXPIRED", record.errors[1][2])
        assert.equal("TLS_CERT_REFUSED", told.code, told.message)
    end)

    it("start_tls of a server takes a certificate out of time, too", function()
        local near, far = helper.pair()
        far:start_tls(certificates:identity("expired"))
        near:start_tls({ verify = false })
        near:write("hello\n")
        assert.equal("hello", far:receive("*l", WAIT))
    end)

    it("a Pharos server listens with it, and no connection of it has failed", function()
        local net = require("evsock.pharos").net
        local server = net.SslServer.new()
        helper.track(server, function() server:close() end)
        server.accept_error_handler = helper.never("accept_error")
        server.configuration.local_certificate =
            net.SslCertificate.new((certificates:pem("expired.pem")))
        server.configuration.private_key = net.SslKey.new((certificates:pem("expired.key")))
        assert.is_true(server:listen(0), server.error_string)
        assert.is_false(connect(server.port, { verify = false }, "127.0.0.1").verified)
        assert.truthy(server.error_string:find("certificate 1 expired on 2021", 1, true))
    end)
end)
