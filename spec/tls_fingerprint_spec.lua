-- Peers that are known by their fingerprints, and what is seen of a peer: `fingerprint`,
-- `sock.tls.peer`, `sock.tls.resumed`; the newest version that is spoken.
--
-- Not here: stolen keys and certificates, which openssl does not serve
-- (`spec/rust/tls_fingerprint.rs`).

local helper = require "spec.helper"
local kit = require "spec.tls_kit"
local evsock = helper.evsock
local merge, misuse = kit.merge, helper.misuse

-- Fewer where each handshake is dear.
local DEVICES = math.ceil(50 / helper.fewer)
local NONE = "sha256:" .. ("0"):rep(64)

-- Devices that have signed themselves, for no host; what openssl says of some certificates.
local MAKE = [[
for number in $(seq ]] .. DEVICES .. [[); do make device$number "panel $number" $ec; done
make named unused $ec -subj '/C=DE/O=Acme, Inc./CN=panel' -set_serial 0x00fe01 \
    -addext subjectAltName=DNS:panel.example,IP:10.0.0.9,email:a@b.example
for name in device1 expired early ecdsa client stranger named; do
    openssl x509 -in $name.pem -noout -fingerprint -sha256 | sed "s/.*=/$name sha256:/"
done >fingerprints
]]

describe("fingerprints", function()
    local certificates = kit.certificates_for(setup, teardown, MAKE)
    local known = {}

    setup(function()
        for name, text in certificates:pem("fingerprints"):gmatch("(%S+) (%S+)") do
            known[name] = text
        end
    end)

    after_each(helper.finish)

    local function server(name, tls, options)
        return kit.server(certificates, name, tls, options)
    end

    -- The client of a connection that stands, and what the server has accepted.
    local function pair(record, tls, host)
        local before = #record.sockets
        local client = helper.track(evsock.connect(host or "127.0.0.1", record.port, { tls = tls }))
        helper.pump_until(function()
            return client.state == "open" and record.sockets[before + 1]
        end, kit.WAIT, "a secured pair")
        return client, record.sockets[before + 1]
    end

    -- Code and message of a connection that is refused.
    local function refused(record, tls)
        local sock = helper.track(evsock.connect("127.0.0.1", record.port, {
            tls = tls, on_connect = helper.never("on_connect") }))
        local told = kit.closing_of(sock)
        kit.wait_for(told)
        assert.is_nil(sock.tls)
        return told.code, told.message
    end

    it("are one list for fifty devices, each with a certificate of its own", function()
        local records, list = {}, {}
        for number = 1, DEVICES do
            records[number] = server("device" .. number)
            list[number] = pair(records[number], { verify = false }).tls.peer.fingerprint
        end
        assert.equal("sha256:" .. known.device1:match(":(.*)"):gsub(":", ""):lower(), list[1])
        local tls = evsock.tls { fingerprint = list }
        for number, record in ipairs(records) do
            local client = pair(record, tls)
            assert.equal("fingerprint", client.tls.verified)
            assert.equal(list[number], client.tls.peer.fingerprint)
            assert.equal("CN=panel " .. number, client.tls.peer.subject)
        end
        local code, message = refused(server("ecdsa"), tls)
        assert.equal("TLS_FINGERPRINT", code)
        assert.is_truthy(message:find("^tls 127%.0%.0%.1:%d+: the peer's certificate is "
            .. "another than 'fingerprint' says: it has sha256:%x+;"), message)
    end)

    it("are what openssl prints, in capitals and with colons, in both versions", function()
        local record = server("device1")
        for _, version in ipairs { "1.2", "1.3" } do
            local client = pair(record, { fingerprint = known.device1, max_version = version })
            assert.equal(version, client.tls.version)
            assert.equal("fingerprint", client.tls.verified)
            assert.equal("TLS_FINGERPRINT",
                (refused(record, { fingerprint = known.ecdsa, max_version = version })))
        end
    end)

    it("let in who is expired, not valid yet, or for another host", function()
        for _, name in ipairs { "expired", "early", "ecdsa" } do
            local client = pair(server(name), { fingerprint = { NONE, known[name] } }, "localhost.")
            assert.equal("fingerprint", client.tls.verified)
        end
    end)

    it("keep out a chain that would verify", function()
        local tls = certificates:trusting { server_name = "localhost" }
        local record = server("ecdsa")
        assert.is_true(pair(record, tls).tls.verified)
        assert.equal("TLS_FINGERPRINT", (refused(record, merge(tls, { fingerprint = NONE }))))
    end)

    it("let a server know its clients, and no ca is needed", function()
        for _, version in ipairs { "1.2", "1.3" } do
            for _, ask in ipairs { "request", "require" } do
                local record = server("ecdsa", {
                    client_auth = ask, max_version = version,
                    fingerprint = { known.client, known.device1 } })
                for _, name in ipairs { "client", "device1" } do
                    local _, peer = pair(record, certificates:identity(name, { verify = false }))
                    assert.equal("fingerprint", peer.tls.verified)
                    assert.equal(version, peer.tls.version)
                end
                local stranger = helper.track(evsock.connect("127.0.0.1", record.port, {
                    tls = certificates:identity("stranger", { verify = false }) }))
                helper.pump_until(function() return record.errors[1] end, kit.WAIT, "on_error")
                assert.equal("TLS_FINGERPRINT", record.errors[1][2])
                helper.pump_until(function() return stranger.state == "closed" end, kit.WAIT)
                assert.equal(2, #record.sockets)
            end
        end
    end)

    it("are none of a client that comes without a certificate", function()
        local record = server("ecdsa", { client_auth = "request", fingerprint = known.client })
        local _, peer = pair(record, { verify = false })
        assert.is_false(peer.tls.verified)
        assert.is_nil(peer.tls.peer)
    end)

    it("hold for start_tls, too", function()
        local record = helper.server()
        local client = helper.connect(record.port)
        helper.pump_until(function()
            return client.state == "open" and record.sockets[1]
        end, kit.WAIT)
        record.sockets[1]:start_tls(certificates:identity("device1"))
        assert.is_true(client:start_tls { fingerprint = known.device1 })
        helper.pump_until(function() return client.tls end, kit.WAIT, "TLS")
        assert.equal("fingerprint", client.tls.verified)
    end)

    describe("are refused", function()
        local function bad(given, ...)
            for _, text in ipairs { ... } do
                misuse(function() evsock.tls(given) end, text)
            end
        end

        it("if they are no list of texts", function()
            local wanted = "bad tls option 'fingerprint' to 'tls' "
                .. "(\"sha256:...\" or a list of such texts expected"
            for _, value in ipairs { true, 1, {}, { 1 }, { NONE, false }, { name = NONE },
                { NONE, name = NONE } } do
                bad({ fingerprint = value }, wanted)
            end
        end)

        it("with another digest, another length, or something else in them", function()
            local wanted = "\"sha256:\" and 64 hexadecimal digits are expected"
            bad({ fingerprint = "sha1:" .. ("ab"):rep(20) },
                "fingerprint: 'sha1' is no digest for it", wanted)
            bad({ fingerprint = NONE .. "0" }, "fingerprint: " .. wanted .. ", not 65")
            bad({ fingerprint = { NONE, "sha256:abc" } }, "fingerprint: " .. wanted .. ", not 3")
            bad({ fingerprint = "sha256:" .. ("x"):rep(64) }, "fingerprint: " .. wanted)
            bad({ fingerprint = ("0"):rep(64) }, "write \"sha256:\" before it")
        end)

        it("beside verify = false, or lists of revoked certificates", function()
            bad({ fingerprint = NONE, verify = false },
                "fingerprint and verify = false contradict each other")
            bad({ fingerprint = NONE, crl = "" }, "fingerprint and crl contradict each other")
        end)

        it("by a server that asks nobody for a certificate", function()
            local own = certificates:identity("ecdsa", { fingerprint = NONE })
            for _, tls in ipairs { own, evsock.tls(own) } do
                local wanted = "bad option 'tls' to 'listen' ('fingerprint' is for clients here"
                misuse(function() evsock.listen("127.0.0.1", 0, { tls = tls }) end, wanted)
            end
        end)
    end)
end)

describe("what TLS tells of the peer", function()
    local certificates = kit.certificates_for(setup, teardown, MAKE)

    after_each(helper.finish)

    it("is its certificate, be it verified or not", function()
        local record = kit.server(certificates, "named", { client_auth = "require",
            cafile = certificates:path("ca.pem") })
        local der
        for _, tls in ipairs { { verify = false }, { cafile = certificates:path("named.pem"),
            server_name = "panel.example" } } do
            local client = kit.pair(certificates,
                { tls = merge(certificates:identity("client"), tls) }, nil, record.port)
            helper.pump_until(function()
                return client.state == "open" and record.sockets[1]
            end, kit.WAIT)
            local peer = table.remove(record.sockets)
            local told = client.tls.peer
            assert.equal("C=DE, O=Acme\\, Inc., CN=panel", told.subject)
            assert.equal(told.subject, told.issuer)
            assert.same({ "panel.example", "10.0.0.9" }, told.names)
            assert.equal("fe01", told.serial)
            assert.is_true(math.abs(os.time() - told.not_before) < 3600)
            assert.equal(30 * 86400, told.not_after - told.not_before)
            assert.is_truthy(told.fingerprint:find("^sha256:%x+$") and #told.fingerprint == 71)
            der = der or told.der
            assert.equal(der, told.der)
            assert.equal("\48\130", der:sub(1, 2))
            assert.same(told, client:info().tls.peer)
            assert.equal("CN=a client", peer.tls.peer.subject)
            assert.equal("CN=evsock test root", peer.tls.peer.issuer)
            assert.same({}, peer.tls.peer.names)
            client:abort()
            helper.pump_until(function() return client.state == "closed" end)
            assert.same(told, client.tls.peer)
        end
    end)

    it("is nothing where it has shown nothing", function()
        local client, peer = kit.pair(certificates)
        assert.equal("CN=localhost", client.tls.peer.subject)
        assert.is_nil(peer.tls.peer)
        assert.is_false(peer.tls.resumed)
    end)

    it("is the same of a session that is resumed, which it says", function()
        for _, version in ipairs { "1.2", "1.3" } do
            local ask = { client_auth = "require", cafile = certificates:path("ca.pem") }
            local record = kit.server(certificates, "ecdsa", ask)
            local tls = evsock.tls(certificates:trusting(certificates:identity("client", {
                max_version = version, cafile = certificates:path("ca.pem") })))
            local before
            for round = 1, 2 do
                local client = kit.pair(certificates, { tls = tls }, nil, record.port)
                helper.pump_until(function()
                    return client.state == "open" and record.sockets[round]
                end, kit.WAIT)
                local peer = record.sockets[round]
                -- In 1.3 the ticket comes with what the server says.
                peer:write("x")
                helper.pump_until(function() return client.buffered > 0 end, kit.WAIT)
                local told = { client.tls.peer, peer.tls.peer }
                assert.equal(round == 2, client.tls.resumed)
                assert.equal(round == 2, peer.tls.resumed)
                assert.is_true(client.tls.verified)
                assert.equal("CN=a client", told[2].subject)
                assert.same(before or told, told)
                before = told
                client:close()
            end
        end
    end)
end)

describe("max_version", function()
    local certificates = kit.certificates_for(setup, teardown)

    after_each(helper.finish)

    it("is the newest that either end speaks", function()
        for _, tls in ipairs { { { max_version = "1.2" } }, { nil, { max_version = "1.2" } } } do
            local client = kit.pair(certificates, { tls = certificates:trusting(tls[1]) },
                { tls = certificates:identity("ecdsa", tls[2]) })
            assert.equal("1.2", client.tls.version)
        end
        local same = { min_version = "1.3", max_version = "1.3" }
        local client = kit.pair(certificates, { tls = certificates:trusting(same) })
        assert.equal("1.3", client.tls.version)
    end)

    it("is named where the peer speaks only newer ones", function()
        local record = kit.server(certificates, "ecdsa", { min_version = "1.3" })
        local tls = certificates:trusting { max_version = "1.2" }
        local client = kit.pair(certificates, { tls = tls }, nil, record.port)
        local told = kit.closing_of(client)
        assert.equal("TLS_VERSION", kit.wait_for(told))
        assert.is_truthy(told.message:find("max_version", 1, true), told.message)
        record = kit.server(certificates, "ecdsa", { max_version = "1.2" })
        tls = certificates:trusting { min_version = "1.3" }
        client = kit.pair(certificates, { tls = tls }, nil, record.port)
        told = kit.closing_of(client)
        assert.equal("TLS_VERSION", kit.wait_for(told))
        assert.is_truthy(told.message:find("min_version", 1, true), told.message)
        helper.pump_until(function() return record.errors[1] end, kit.WAIT)
        assert.is_truthy(record.errors[1][1]:find("max_version", 1, true), record.errors[1][1])
    end)

    it("is refused below min_version", function()
        local none = { min_version = "1.3", max_version = "1.2" }
        local wanted = '(max_version: "1.2" is below min_version, "1.3")'
        misuse(function() evsock.tls(none) end, "bad tls options to 'tls' " .. wanted)
        misuse(function() evsock.tls { max_version = "1.1" } end, "'max_version'")
    end)
end)
