-- Refusals whose message led nowhere: "not for 127.0.0.1 but for 127.0.0.1", "emptyEkuExtension", a
-- wrong signature where a root was too weak, nothing about what old gear lacks.
--
-- Not here: chains that openssl does not send (`spec/rust/tls_verify.rs`).

local helper = require "spec.helper"
local kit = require "spec.tls_kit"
local peers = require "spec.peers.openssl"

local WAIT = 5 * helper.slow

local MAKE = [[
below="$ec -CA ca.pem -CAkey ca.key -addext basicConstraints=CA:FALSE"
here='-addext subjectAltName=DNS:localhost'
make weak 'weak root' -newkey rsa:1024 -addext basicConstraints=critical,CA:TRUE
make of_weak localhost $ec -CA weak.pem -CAkey weak.key -addext basicConstraints=CA:FALSE $here
make text device $below -addext subjectAltName=DNS:127.0.0.1,DNS:device
make common localhost $below
make purpose localhost $below $here -addext extendedKeyUsage=DER:3000
make sha1 localhost $below $here -sha1
make empty_name localhost $below -addext subjectAltName=DER:30028200
make garbage localhost $below -addext subjectAltName=DER:30030101ff
version1 old localhost ca -newkey rsa:2048
mkfifo typed
]]

local LOW = "DEFAULT:@SECLEVEL=0"
local OLD = "tls PEER: the peer speaks only versions of TLS older than 1.2, which evsock leaves "
    .. "out; a TLS proxy in front helps"
local NO_HOST = "tls PEER: the certificate lists no host; its common name 'localhost' counts only "
    .. "if the certificate itself is given as 'ca' or 'cafile'"
local NO_13 = "tls PEER: the peer does not speak TLS 1.3, which min_version asks for"
local LEFT_OUT = "only cipher suites with RSA key exchange, DHE or CBC, which evsock leaves out"
local NOTHING = "tls PEER: the peer found nothing that both ends accept; likely it has " .. LEFT_OUT
    .. ", or wants a client certificate"
local NO_SUITE = "tls PEER: the two ends share no cipher suite; likely the peer has " .. LEFT_OUT
local NO_EXCHANGE = "tls PEER: the two ends share no way to exchange keys: here is ECDHE with "
    .. "X25519, P-256 and P-384 alone, RSA key exchange and DHE are left out"

describe("regress 026", function()
    local certificates = kit.certificates_for(setup, teardown, MAKE)
    after_each(helper.finish)

    local function starting(port, tls, host)
        return peers.attempt(host or "localhost", port,
            kit.merge({ cafile = certificates:path("ca.pem") }, tls))
    end

    -- Code and text of an end; the peer's address is another each time.
    local function ended(told)
        helper.pump_until(function() return told.code end, WAIT, "an end")
        return { told.code, told.message and (told.message:gsub("^tls %S+:%d+:", "tls PEER:")) }
    end

    for _, case in ipairs {
        { "a server of TLS 1.1", "rsa", { "-tls1_1", "-cipher", LOW }, "TLS_VERSION", OLD },
        { "a server of TLS 1.0", "rsa", { "-tls1", "-cipher", LOW }, "TLS_VERSION", OLD },
        { "a server of TLS 1.1, where 1.3 is asked for", "rsa", { "-tls1_1", "-cipher", LOW },
            "TLS_VERSION", NO_13, { min_version = "1.3" } },
        { "a server of TLS 1.2, where 1.3 is asked for", "rsa", { "-tls1_2" }, "TLS_VERSION",
            NO_13, { min_version = "1.3" } },
        { "a server that has RSA for the exchange of keys alone", "rsa",
            { "-tls1_2", "-cipher", "AES128-GCM-SHA256:AES128-SHA" }, "TLS_NO_COMMON", NOTHING },
        { "a server that has CBC alone", "rsa",
            { "-tls1_2", "-cipher", "ECDHE-RSA-AES128-SHA:ECDHE-RSA-AES128-SHA256" },
            "TLS_NO_COMMON", NOTHING },
        { "a root that is too weak", "of_weak", {}, "TLS_WEAK",
            "tls PEER: the certificate is too weak: an RSA key of 1024 bits",
            { cafile = "weak.pem" } },
        { "an address written as a name", "text", {}, "TLS_BAD_HOSTNAME",
            "tls PEER: the certificate has 127.0.0.1 as a DNS name, but not as an address (an IP "
            .. "entry of its subject alternative names)", nil, "127.0.0.1" },
        { "a common name alone", "common", {}, "TLS_BAD_HOSTNAME", NO_HOST },
        { "a common name of its own alone", "common", {}, "TLS_BAD_HOSTNAME",
            "tls PEER: the certificate is not for 127.0.0.1 but for localhost",
            { cafile = "common.pem" }, "127.0.0.1" },
        { "an empty list of purposes", "purpose", {}, "TLS_BAD_CERTIFICATE",
            "tls PEER: the certificate is not acceptable: its list of purposes is empty" },
        { "an empty name as its host", "empty_name", {}, "TLS_BAD_HOSTNAME", NO_HOST },
        { "a list of hosts that nobody can read", "garbage", { "-tls1_3" },
            "TLS_BAD_CERTIFICATE", "tls PEER: the certificate is damaged" },
        { "SHA-1", "sha1", { "-cipher", LOW }, "TLS_WEAK",
            "tls PEER: the certificate is too weak: it is signed with SHA-1" },
        { "version 1, by an authority", "old", {}, "TLS_BAD_CERTIFICATE",
            "tls PEER: the certificate is not acceptable: it is of version 1 or 2, which is "
            .. "believed only if it is itself given as 'ca' or 'cafile'" },
    } do
        local what, name, words, code, text = case[1], case[2], case[3], case[4], case[5]
        local tls, host = kit.merge(case[6]), case[7]
        it("a client says what to do about " .. what, function()
            tls.cafile = certificates:path(tls.cafile or "ca.pem")
            local port = peers.device(certificates, name, words)
            assert.same({ code, text }, ended((starting(port, tls, host))))
        end)
    end

    it("a client says that a server wants to renegotiate", function()
        local typed = certificates:path("typed")
        local server = peers.openssl(certificates, "rsa", { "-tls1_2" }, nil, typed)
        local told, sock = starting(helper.track(server, server.stop).port)
        assert.is_true(sock:wait("connect", WAIT))
        local pipe = assert(io.open(typed, "w"))
        pipe:write("R\n")
        pipe:close()
        assert.same({ "TLS_ALERT", "tls PEER: the peer ended the open connection with the alert "
            .. "handshake_failure; likely it wants to renegotiate, which evsock leaves out" },
            ended(told))
    end)

    for _, case in ipairs {
        { "TLS 1.1", { "-tls1_1", "-cipher", LOW }, "TLS_VERSION", OLD },
        { "TLS 1.1, where 1.3 is asked for", { "-tls1_1", "-cipher", LOW }, "TLS_VERSION", OLD,
            { min_version = "1.3" } },
        { "TLS 1.2, where 1.3 is asked for", { "-tls1_2" }, "TLS_VERSION", NO_13,
            { min_version = "1.3" } },
        { "RSA for the exchange of keys", { "-tls1_2", "-cipher", "AES128-GCM-SHA256" },
            "TLS_NO_COMMON", NO_EXCHANGE },
        { "CBC", { "-tls1_2", "-cipher", "ECDHE-RSA-AES128-SHA" }, "TLS_NO_COMMON", NO_SUITE },
        { "groups that we have not", { "-groups", "P-521" }, "TLS_NO_COMMON", NO_EXCHANGE },
    } do
        local what, words, code, text, tls = case[1], case[2], case[3], case[4], case[5]
        it("a server says what it lacks of a client that has only " .. what, function()
            local record = kit.server(certificates, "rsa", tls)
            peers.visit(certificates, record.port, nil, words)
            helper.pump_until(function() return record.errors[1] end, WAIT)
            local message, given = record.errors[1][1], record.errors[1][2]
            -- The peer's address is in it.
            local where = message:match("^tls 127%.0%.0%.1:(%d+): ")
            assert.truthy(where, message)
            assert.are_not.equal(record.port, tonumber(where))
            assert.same({ code, text }, { given, (message:gsub("^tls %S+:", "tls PEER:")) })
        end)
    end
end)
