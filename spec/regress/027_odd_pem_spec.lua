-- Four of PEM: a byte order mark, which editors put in front, dropped the first certificate of a
-- bundle without a word; OpenSSL's labels `TRUSTED CERTIFICATE` and `X509 CERTIFICATE` were "a
-- trusted certificate where a certificate is expected"; one odd certificate refused a bundle of a
-- hundred; and `{ verify = false, ca = "garbage" }` was taken as if it were fine.

local helper = require "spec.helper"
local kit = require "spec.peers.openssl"
local evsock = helper.evsock
local expect, never, pump_until = helper.expect, helper.never, helper.pump_until

describe("regress 027", function()
    local certificates = kit.certificates_for(setup, teardown)
    local root, other
    setup(function() root, other = certificates:pems("ca.pem", "other.pem") end)
    after_each(helper.finish)

    local function server()
        local identity = certificates:identity("ecdsa")
        return helper.server { tls = identity }.port
    end

    local function assert_trusted(tls, how)
        local open = false
        helper.track(evsock.connect("localhost", server(), {
            tls = tls,
            on_connect = expect(function() open = true end, 1),
            on_close = never("on_close " .. how),
        }))
        pump_until(function() return open end, 5 * helper.slow, "a handshake " .. how)
    end

    local function wide(text, big)
        return (("\239" .. text):gsub(".", function(letter)
            local low = letter == "\239" and "\255" or letter
            local high = letter == "\239" and "\254" or "\0"
            return big and high .. low or low .. high
        end))
    end

    it("a byte order mark costs no certificate", function()
        for how, text in pairs {
            ["of UTF-8"] = "\239\187\191" .. root,
            ["of UTF-8 amid a bundle"] = other .. "\239\187\191" .. root,
            ["of UTF-16"] = wide(root), ["of UTF-16, the other way round"] = wide(root, true),
        } do
            assert_trusted({ ca = text }, how)
            local path = kit.write_file(certificates:path("marked.pem"), text)
            assert_trusted({ cafile = path }, how .. ", from a file")
        end
    end)

    it("OpenSSL's other labels are taken", function()
        local named = root:gsub("CERTIFICATE", "X509 CERTIFICATE")
        assert_trusted({ ca = named }, "X509 CERTIFICATE")
        local path = certificates:path("trusted.pem")
        assert(os.execute("openssl x509 -in " .. certificates:path("ca.pem")
            .. " -addtrust serverAuth -setalias evsock -out " .. path))
        assert.truthy(certificates:pem("trusted.pem"):find("BEGIN TRUSTED CERTIFICATE", 1, true))
        assert_trusted({ cafile = path }, "TRUSTED CERTIFICATE")
    end)

    -- What a bundle may hold besides, and what is said of it.
    local function odd_ones()
        return {
            [root:gsub("MII", "!!!", 1)] = "certificate 2 is damaged",
            [root:gsub("\n[^\n]+\n%-%-%-%-%-END", "\n-----END")] = "certificate 2 is damaged",
            ["-----BEGIN CERTIFICATE-----\nMII\n"] = "BEGIN CERTIFICATE has no end",
            ["-----END CERTIFICATE-----\n"] = "END CERTIFICATE has no begin",
            ["-----BEGIN CERTIFICATE-----\n-----END X-----\n"] = "BEGIN CERTIFICATE ends with X",
        }
    end

    it("one odd certificate leaves the others of a bundle, and is told of", function()
        for odd, why in pairs(odd_ones()) do
            local tls, left_out = evsock.tls { ca = other .. odd .. root }
            assert.equal("'ca': " .. why .. "; it is left out", left_out)
            assert_trusted(tls, why)
            assert_trusted({ ca = odd .. root }, why)
        end
        local _, none = evsock.tls { ca = other .. root }
        assert.is_nil(none)
    end)

    it("a peer that is not trusted because of it is refused with that reason, too", function()
        local odd = root:gsub("MII", "!!!", 1)
        local told
        helper.track(evsock.connect("localhost", server(), {
            tls = { ca = other .. odd .. odd },
            on_connect = never("on_connect"),
            on_close = expect(function(_, message, code) told = { message, code } end, 1),
        }))
        pump_until(function() return told end, 5 * helper.slow, "a refusal")
        assert.equal("TLS_UNKNOWN_ISSUER", told[2])
        assert.truthy(told[1]:find(
            "'ca': certificate 2 is damaged; it and 1 more are left out", 1, true), told[1])
    end)

    it("a server that asks for certificates is told, and serves", function()
        local told
        local record = helper.server {
            tls = certificates:identity("ecdsa", {
                client_auth = "request", ca = root .. root:gsub("MII", "!!!", 1),
            }),
            on_error = expect(function(_, message, code) told = { message, code } end, 1),
        }
        pump_until(function() return told end, 5, "a word of it")
        local text = "listen 127.0.0.1:%d: 'ca': certificate 2 is damaged; it is left out"
        assert.same({ text:format(record.port), "TLS_BAD_CERTIFICATE" }, told)
    end)

    it("a bundle of odd ones alone is refused with the first reason", function()
        local odd = root:gsub("MII", "!!!", 1)
        helper.misuse(function() evsock.tls { ca = odd .. odd } end,
            "'ca': certificate 1 is damaged")
    end)

    it("certificates that nobody will look at must be some all the same", function()
        local text = "no certificate in PEM format"
        helper.misuse(function() evsock.tls { verify = false, ca = "garbage" } end, text)
        helper.misuse(function() evsock.socket { tls = { verify = false, ca = "x" } } end, text)
        assert(evsock.tls { verify = false, ca = root })
    end)

    it("a chain of one's own must be whole", function()
        local cert, key = certificates:pem("ecdsa.pem"), certificates:pem("ecdsa.key")
        local odd = cert:gsub("MII", "!!!", 1)
        helper.misuse(function() evsock.tls { cert = cert .. odd, key = key } end,
            "'cert': certificate 2 is damaged")
        assert(evsock.tls { cert = "\239\187\191" .. cert, key = "\239\187\191" .. key })
    end)
end)
