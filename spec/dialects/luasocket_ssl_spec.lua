-- The dialect's `ssl` beside LuaSec's own: contexts, connections, certificates.
--
-- Not here: TLS itself (`spec/tls_spec.lua`). Rows that are the dialect's alone say why.

local helper = require "spec.helper"
local peers = require "spec.peers.openssl"
local tools = require "spec.dialects.luasocket_tools"

local list, raises = tools.list, tools.raises

local certificates = peers.certificates_for(setup, teardown, [[
names='DNS:localhost,DNS:*.x.example,IP:127.0.0.1,IP:::1,email:a@b.c,URI:http://x/'
make names localhost -newkey rsa:2048 $leaf -addext extendedKeyUsage=serverAuth \
    -addext "subjectAltName=$names" \
    -CA ca.pem -CAkey ca.key
openssl pkcs8 -topk8 -in ecdsa.key -out locked.key -passout pass:secret
mkdir hashed
cp ca.pem hashed
echo text >hashed/README
openssl rehash hashed
]])

-- Parameters of a client or a server, and what else is given.
local function with(base, more)
    for name, value in pairs(more or {}) do
        base[name] = value
    end
    return base
end

local function client_params(more)
    return with({ mode = "client", protocol = "any", verify = "none" }, more)
end

local function server_params(more)
    return with({
        mode = "server", protocol = "any", key = certificates:path("rsa.key"),
        certificate = certificates:path("rsa.pem"),
    }, more)
end

local function plain_pair(api, keep)
    local server = keep(api.socket.tcp())
    assert(server:bind("127.0.0.1", 0))
    assert(server:listen())
    local client = keep(api.socket.tcp())
    assert(client:connect("127.0.0.1", tools.port(server)))
    return client, keep(server:accept())
end

-- Both ends in turn until each has an answer: what `dohandshake` said last, of the client and the
-- server.
local function shake_hands(client, server)
    client:settimeout(0)
    server:settimeout(0)
    local deadline = helper.evsock.now() + 10 * helper.slow
    local ok, why, server_ok, server_why
    local function is_over(done, said)
        return done or said ~= "wantread" and said ~= "wantwrite"
    end
    repeat
        ok, why = client:dohandshake()
        server_ok, server_why = server:dohandshake()
        helper.evsock.pump(0.002)
    until is_over(ok, why) and is_over(server_ok, server_why) or helper.evsock.now() > deadline
    client:settimeout(2 * helper.slow)
    server:settimeout(2 * helper.slow)
    return list(ok, why), list(server_ok, server_why)
end

-- Two ends by these parameters, and how their handshake went. `name`: given to `sni`.
local function meet(api, keep, of_client, of_server, name)
    local plain_client, plain_server = plain_pair(api, keep)
    local client = keep(assert(api.ssl.wrap(plain_client, of_client)))
    local server = keep(assert(api.ssl.wrap(plain_server, of_server)))
    if name then
        client:sni(name)
    end
    local how, server_how = shake_hands(client, server)
    return client, server, how, server_how
end

local function secured(api, keep, of_client, of_server, name)
    local client, server, how, server_how = meet(
        api, keep, client_params(of_client), server_params(of_server), name)
    assert(how[1] == true and server_how[1] == true, tostring(how[2]) .. tostring(server_how[2]))
    return client, server
end

local wrapping = {
    { "wrap takes the socket over: the old object is closed", function(api, keep)
        local plain = plain_pair(api, keep)
        local fd = plain:getfd()
        local object = keep(api.ssl.wrap(plain, client_params()))
        return object:getfd() == fd, plain:getfd(), list(plain:receive(1)), list(plain:send("x"))
    end, { true, -1, { "nil", "closed", "" }, { "nil", "closed", 0 } } },
    { "wrap takes a context, too", function(api, keep)
        local context = api.ssl.newcontext(client_params())
        local object = keep(api.ssl.wrap(plain_pair(api, keep), context))
        return tostring(context):match("^SSL context: ") ~= nil,
            tostring(object):match("^SSL connection: ") ~= nil
    end, { true, true } },
    { "wrap says why parameters will not do", function(api, keep)
        return api.ssl.wrap(plain_pair(api, keep), client_params { protocol = "foo" })
    end, { "nil", "invalid protocol (foo)" } },
    { "before the handshake nothing passes", function(api, keep)
        local object = keep(api.ssl.wrap(plain_pair(api, keep), client_params()))
        return list(object:send("x")), list(object:receive(1)), list(object:info()),
            list(object:getpeercertificate()), object:getalpn()
    end, { { "nil", "closed", 0 }, { "nil", "closed", "" }, { "nil", "closed" },
        { "nil", "closed" }, "nil" } },
    { "a handshake whose peer is silent wants to read, and may be called again", function(api, keep)
        local object = keep(api.ssl.wrap(plain_pair(api, keep), client_params()))
        object:settimeout(0.02)
        return list(object:dohandshake()), list(object:dohandshake())
    end, { { false, "wantread" }, { false, "wantread" } } },
    { "a handshake that is done is done", function(api, keep)
        local client, server = secured(api, keep)
        return client:dohandshake(), server:dohandshake()
    end, { true, true } },
    { "a peer that does not speak TLS is told apart", function(api, keep)
        local plain, peer = plain_pair(api, keep)
        peer:send("220 a greeting\r\n")
        local object = keep(api.ssl.wrap(plain, client_params()))
        object:settimeout(2 * helper.slow)
        return object:dohandshake()
    end, { false, "wrong version number" } },
    { "a closed one is closed", function(api, keep)
        local client = secured(api, keep)
        return client:close(), list(client:receive()), list(client:send("x")), client:getfd()
    end, { "nil", { "nil", "closed", "" }, { "nil", "closed", 0 }, -1 } },
}

local passing = {
    { "bytes and lines pass both ways", function(api, keep)
        local client, server = secured(api, keep)
        return list(server:send("hello\r\nabc")), list(client:receive()), list(client:receive(3)),
            list(client:send("abcdef", 2, 3)), list(server:receive(2))
    end, { { 10, "nil", "nil" }, { "hello", "nil", "nil" }, { "abc", "nil", "nil" },
        { 3, "nil", "nil" }, { "bc", "nil", "nil" } } },
    { "a timeout says what is wanted, and gives what there is", function(api, keep)
        local client, server = secured(api, keep)
        server:send("abc")
        client:receive(1)
        client:settimeout(0.02)
        return list(client:receive(10)), list(client:receive()), client:want()
    end, { { "nil", "wantread", "bc" }, { "nil", "wantread", "" }, "read" } },
    { "a peer that takes nothing is told apart", function(api, keep)
        local client, server = secured(api, keep)
        server:settimeout(0)
        local text, why = ("x"):rep(100000), nil
        for _ = 1, 1000 do
            why = select(2, server:send(text))
            if why then
                break
            end
        end
        return why, server:want(), client:dirty()
    end, { "wantwrite", "write", false } },
    { "the end of the peer is one", function(api, keep)
        local client, server = secured(api, keep)
        server:send("rest")
        server:close()
        return list(client:receive("*a")), list(client:receive("*a"))
    end, { { "rest", "nil", "nil" }, { "nil", "closed", "" } } },
    { "dirty says whether some was read ahead", function(api, keep)
        local client, server = secured(api, keep)
        server:send("abc")
        client:receive(1)
        return client:dirty()
    end, { true } },
    { "statistics count what the script has got and given", function(api, keep)
        local client, server = secured(api, keep)
        server:send("12345")
        client:receive(5)
        local received, sent = client:getstats()
        return received, sent, (select(2, server:getstats())), client:setstats(0, 0, 0),
            (client:getstats())
    end, { 5, 0, 5, 1, 0 } },
    { "a pattern that is none raises", function(api, keep)
        local client = secured(api, keep)
        return raises("invalid receive pattern", client.receive, client, "*z"),
            raises("SSL:Connection expected", client.dohandshake, {}),
            raises("invalid timeout mode", client.settimeout, client, 1, "z")
    end, { "raises", "raises", "raises" } },
    { "select tells of what has come", function(api, keep)
        local client, server = secured(api, keep)
        local _, writable = api.socket.select(nil, { client }, 2 * helper.slow)
        server:send("x")
        local readable = api.socket.select({ client }, nil, 2 * helper.slow)
        return writable[1] == client, readable[1] == client, (client:receive(1))
    end, { true, true, "x" } },
}

local facts = {
    { "info of TLS 1.3", function(api, keep)
        return secured(api, keep, { protocol = "tlsv1_3",
            ciphersuites = "TLS_CHACHA20_POLY1305_SHA256" }):info()
    end, { { algbits = 256, authentication = "any", bits = 256, export = false, key = "any",
        cipher = "TLS_CHACHA20_POLY1305_SHA256", encryption = "CHACHA20/POLY1305(256)",
        mac = "AEAD", protocol = "TLSv1.3" } } },
    { "info of TLS 1.2", function(api, keep)
        local client = secured(api, keep, { protocol = "tlsv1_2",
            ciphers = "ECDHE-RSA-AES128-GCM-SHA256" })
        return client:info(), client:info("cipher"), client:info("compression"), client:info("nope")
    end, { { algbits = 128, authentication = "RSA", bits = 128, export = false, key = "ECDH",
        cipher = "ECDHE-RSA-AES128-GCM-SHA256", encryption = "AESGCM(128)", mac = "AEAD",
        protocol = "TLSv1.2" }, "ECDHE-RSA-AES128-GCM-SHA256", "nil", "nil" } },
    { "lists of ciphers leave what they leave", function(api, keep)
        local function left(ciphers)
            return secured(api, keep, { protocol = "tlsv1_2", ciphers = ciphers }):info("cipher")
        end
        return left("HIGH:!AES"), left("ALL:!CHACHA20:!AES256"), left("ECDHE+CHACHA20")
    end, { "ECDHE-RSA-CHACHA20-POLY1305", "ECDHE-RSA-AES128-GCM-SHA256",
        "ECDHE-RSA-CHACHA20-POLY1305" } },
    { "options leave out versions", function(api, keep)
        local older = { options = "no_tlsv1_3" }
        return secured(api, keep, older):info("protocol"),
            secured(api, keep, nil, older):info("protocol")
    end, { "TLSv1.2", "TLSv1.2" } },
    { "curves are chosen", function(api, keep)
        local of = { curve = "P-384" }
        return secured(api, keep, of, { curveslist = "P-521:secp384r1" }):info("protocol")
    end, { "TLSv1.3" } },
    { "without a version in common the handshake fails", function(api, keep)
        local _, _, how = meet(api, keep, client_params { protocol = "tlsv1_2" },
            server_params { protocol = "tlsv1_3" })
        return how[1], type(how[2])
    end, { false, "string" } },
    { "the protocol that both know is agreed on", function(api, keep)
        local client, server = secured(api, keep, { alpn = { "h2", "a" } }, { alpn = { "a", "b" } })
        return client:getalpn(), server:getalpn()
    end, { "a", "a" } },
    { "sni gives the server a name", function(api, keep)
        local client, server = secured(api, keep, nil, nil, "x.example")
        return client:getsniname(), server:getsniname()
    end, { "x.example", "x.example" } },
    { "sni of a server chooses the certificate by the client's name", function(api, keep)
        local function shown(name, strict)
            local plain_client, plain_server = plain_pair(api, keep)
            local client = keep(assert(api.ssl.wrap(plain_client, client_params())))
            local server = keep(assert(api.ssl.wrap(plain_server, server_params())))
            local context = assert(api.ssl.newcontext(server_params {
                key = certificates:path("ecdsa.key"), certificate = certificates:path("ecdsa.pem"),
            }))
            server:sni({ ["a.example"] = context }, strict)
            client:sni(name)
            local how = shake_hands(client, server)
            return how[1] and (select(2, client:getpeercertificate():pubkey()))
        end
        return shown("a.example"), shown("b.example"), shown("a.example", true),
            shown("b.example", true)
    end, { "EC", "RSA", "EC", false } },
    { "without sni there is no name", function(api, keep)
        local client, server = secured(api, keep)
        return client:getsniname(), server:getsniname()
    end, { "nil", "nil" } },
    { "the certificate of the peer is told, if it shows one", function(api, keep)
        local client, server = secured(api, keep)
        local shown = client:getpeercertificate()
        return shown:pem() == api.ssl.loadcertificate(certificates:pem("rsa.pem")):pem(),
            client:getpeercertificate(1):pem() == shown:pem(), client:getpeercertificate(2),
            list(client:getpeercertificate(0)), #client:getpeerchain(), server:getpeercertificate()
    end, { true, true, "nil", { "nil", "invalid certificate index" }, 1, "nil" } },
}

local believing = {
    { "none believes anybody, and tells that the peer is not to be believed", function(api, keep)
        local client, server = secured(api, keep)
        return list(client:getpeerverification()), server:getpeerverification()
    end, { { false, "unable to get local issuer certificate" }, true } },
    { "none tells that the peer is to be believed where its authority is known", function(api, keep)
        return secured(api, keep, { cafile = certificates:path("ca.pem") }):getpeerverification()
    end, { true } },
    { "peer refuses who is not believed", function(api, keep)
        local _, _, how = meet(api, keep, client_params {
            verify = "peer", cafile = certificates:path("other.pem") }, server_params())
        return how[1], (how[2]:match("^certificate verify failed"))
    end, { false, "certificate verify failed" } },
    { "peer believes by a file or a folder of authorities", function(api, keep)
        return secured(api, keep, { verify = "peer",
            cafile = certificates:path("ca.pem") }):getpeerverification(),
            secured(api, keep, { verify = { "peer" },
                capath = certificates:path("hashed") }):getpeerverification()
    end, { true, true } },
    { "a server may demand a certificate, and gets it", function(api, keep)
        local _, server = secured(api, keep, { key = certificates:path("client.key"),
            certificate = certificates:path("client.pem") }, {
            verify = { "peer", "fail_if_no_peer_cert" }, cafile = certificates:path("ca.pem") })
        return server:getpeerverification(), server:getpeercertificate():subject()[1].value
    end, { true, "a client" } },
    { "a server that demands a certificate refuses clients without", function(api, keep)
        local _, _, _, server_how = meet(api, keep, client_params(), server_params {
            verify = { "peer", "fail_if_no_peer_cert" }, cafile = certificates:path("ca.pem") })
        return server_how[1], type(server_how[2])
    end, { false, "string" } },
    { "lsec_continue goes on and tells the reasons", function(api, keep)
        local client = secured(api, keep, { verify = "peer", verifyext = "lsec_continue" })
        local ok, reasons = client:getpeerverification()
        return ok, reasons[1][1]
    end, { false, "unable to get local issuer certificate" } },
    { "a name that was given by sni must be that of the certificate", function(api, keep)
        local _, _, how = meet(api, keep, client_params {
            verify = "peer", cafile = certificates:path("ca.pem") }, server_params(), "x.example")
        return how[1], how[2] ~= "nil" and how[2]:match("not for x.example") or how[2]
    end, { true, "nil" }, ours = { false, "not for x.example" } },
}

-- newcontext's answer to these parameters more than those of a client.
local function refused(api, more)
    local context, why = api.ssl.newcontext(client_params(more))
    return context and "taken" or why
end

local function context_row(name, more, expected, of_ours)
    return { name, function(api)
        return (refused(api, more))
    end, { expected }, ours = of_ours and { of_ours } }
end

local parameters = {
    context_row("a protocol that nobody knows is refused", { protocol = "foo" },
        "invalid protocol (foo)"),
    context_row("SSLv3 is refused", { protocol = "sslv3" }, "invalid protocol (sslv3)"),
    context_row("the name of old, sslv23, is any", { protocol = "sslv23" }, "taken"),
    context_row("what nobody should speak any more is refused", { protocol = "tlsv1" }, "taken",
        "invalid protocol (tlsv1): nothing older than tlsv1_2 is spoken"),
    context_row("a way to verify that is none is refused", { verify = "foo" },
        "invalid verify option (foo)"),
    context_row("an option that is none is refused", { options = { "all", "foo" } },
        "invalid option (foo)"),
    context_row("options against old things are taken", { options = {
        "all", "no_sslv2", "no_sslv3", "no_tlsv1", "no_compression", "single_ecdh_use",
        "cipher_server_preference", "no_ticket", "no_renegotiation" } }, "taken"),
    context_row("an option that can not be followed is refused",
        { options = "ignore_unexpected_eof" }, "taken",
        "invalid option (ignore_unexpected_eof): it is not available"),
    context_row("a list of ciphers that leaves none is refused", { ciphersuites = "FOO" },
        "error setting cipher list (no cipher match)"),
    context_row("a curve that nobody knows is refused", { curve = "FOO" },
        "elliptic curve 'FOO' not supported"),
    context_row("a list with a curve that nobody knows is refused", { curveslist = "P-256:FOO" },
        'unknown elliptic curve in "P-256:FOO"'),
    context_row("ALPN that is no text is refused", { alpn = 3 }, "invalid ALPN parameter"),
    context_row("an empty list of ALPN is refused", { alpn = {} }, "invalid ALPN list (empty)"),
    context_row("an empty name of ALPN is refused", { alpn = { "" } },
        "invalid ALPN name (empty string)"),
    context_row("DH parameters are a function", { dhparam = 1 }, "invalid DH parameter type"),
    context_row("a bound of the depth that is wide is taken", { depth = 9 }, "taken"),
    context_row("a bound of the depth that is narrow is refused", { depth = 1 }, "taken",
        "depth: a bound below 6 is not available"),
    context_row("lists of revoked certificates are refused", { verifyext = "crl_check" }, "taken",
        "lists of revoked certificates are not available"),
    { "files that are not there are refused", function(api)
        local function kind(more)
            return (refused(api, more):match("^error loading [%a ]+"))
        end
        return kind { cafile = "/nope" }, kind { certificate = "/nope" }, kind { key = "/nope" }
    end, { "error loading CA locations ", "error loading certificate ",
        "error loading private key " } },
    { "the key of another certificate is refused", function(api)
        return refused(api, { key = certificates:path("ecdsa.key"),
            certificate = certificates:path("rsa.pem") })
    end, { "private key does not match public key" } },
    { "a password opens an encrypted key, and another does not", function(api)
        local asked = 0
        local function locked(password, key)
            return refused(api, { key = certificates:path(key or "locked.key"), password = password,
                certificate = certificates:path("ecdsa.pem") })
        end
        local function ask()
            asked = asked + 1
            return "secret"
        end
        return locked("secret"), locked(ask), locked("secret", "ecdsa.key"),
            locked(ask, "ecdsa.key"), asked, locked("wrong"):match("^error loading private key"),
            locked(function() return "wrong" end):match("^error loading private key")
    end, { "taken", "taken", "taken", "taken", 1, "error loading private key",
        "error loading private key" } },
    { "a password is text or a function", function(api)
        return refused(api, { key = certificates:path("rsa.key"), password = 3 })
    end, { "invalid password type" } },
    { "config tells what is known", function(api)
        local config = api.ssl.config
        return config.protocols.tlsv1_3, config.protocols.tlsv1_2, config.options.no_tlsv1_3,
            config.algorithms.ec, config.capabilities.alpn, config.curves["P-256"]
    end, { true, true, true, true, true, true } },
}

local function load_of(api, name)
    return assert(api.ssl.loadcertificate(certificates:pem(name .. ".pem")))
end

-- What a certificate says by each of its methods, side by side with `openssl`.
local about = {
    { "names", function(api)
        local one = load_of(api, "names")
        return one:subject(), one:issuer()
    end, { { { name = "commonName", oid = "2.5.4.3", value = "localhost" } },
        { { name = "commonName", oid = "2.5.4.3", value = "evsock test root" } } } },
    { "alternative names", function(api)
        return load_of(api, "names"):extensions()
    end, { { ["2.5.29.17"] = { name = "X509v3 Subject Alternative Name",
        dNSName = { "localhost", "*.x.example" }, iPAddress = { "127.0.0.1", "::1" },
        rfc822Name = { "a@b.c" }, uniformResourceIdentifier = { "http://x/" } } } } },
    { "kinds of signatures and keys", function(api)
        local function kinds(name)
            local one = load_of(api, name)
            local pem, kind, bits = one:pubkey()
            return list(one:getsignaturename(), kind, bits,
                pem:match("^%-+BEGIN PUBLIC KEY%-+\n.*\n%-+END PUBLIC KEY%-+\n$") ~= nil)
        end
        return kinds("rsa"), kinds("ecdsa")
    end, { { "ecdsa-with-SHA256", "RSA", 2048, true }, { "ecdsa-with-SHA256", "EC", 256, true } } },
    { "digests that are known", function(api)
        local one = load_of(api, "rsa")
        return #one:digest(), #one:digest("sha256"), #one:digest("sha512"), list(one:digest("md5"))
    end, { 40, 64, 128, { "nil", "digest algorithm not supported (md5)" } } },
    { "dates", function(api)
        local one = load_of(api, "rsa")
        local now = os.time()
        return one:validat(now), one:validat(0), one:validat(now + 400 * 86400),
            one:notbefore():match("^%a%a%a [ %d]%d %d%d:%d%d:%d%d %d%d%d%d GMT$") ~= nil,
            one:notafter():match("^%a%a%a [ %d]%d %d%d:%d%d:%d%d %d%d%d%d GMT$") ~= nil
    end, { true, false, false, true, true } },
    { "who issued whom", function(api)
        local root, leaf, other = load_of(api, "ca"), load_of(api, "rsa"), load_of(api, "other")
        return root:issued(leaf), (other:issued(leaf)), (leaf:issued(root)), root:issued(root)
    end, { true, "nil", "nil", true } },
    { "texts in UTF-8 or as they are", function(api)
        local one = load_of(api, "rsa")
        return one:setencode("utf8"), one:setencode("ai5"), one:setencode("foo"),
            tostring(one):match("^X509 certificate: ") ~= nil
    end, { true, true, false, true } },
    { "what is no certificate is none", function(api)
        return (api.ssl.loadcertificate("no certificate"))
    end, { "nil" } },
}

describe("LuaSec's ssl", function()
    after_each(helper.finish)

    for _, rows in ipairs { wrapping, passing, facts, believing, parameters, about } do
        tools.rows(it, "ssl", rows)
    end

    it("tells of a certificate what OpenSSL does", function()
        local api = require("evsock.luasocket")
        for _, name in ipairs { "rsa", "ecdsa", "ed25519", "ca" } do
            local one = load_of(api, name)
            local function ask(words)
                return (peers.run(peers.concat({ "openssl", "x509", "-noout", "-in",
                    certificates:path(name .. ".pem") }, words)))
            end
            assert.equal(ask { "-serial" }, "serial=" .. one:serial() .. "\n")
            assert.equal(ask { "-dates" },
                ("notBefore=%s\nnotAfter=%s\n"):format(one:notbefore(), one:notafter()))
            assert.equal(ask { "-pubkey" }, (one:pubkey()))
            local digest = ask { "-fingerprint", "-sha256" }:match("=(.*)\n"):gsub(":", ""):lower()
            assert.equal(digest, one:digest("sha256"))
        end
    end)

    -- LuaSec's own servers have no signature in common with such a client.
    it("leaves out TLS 1.2 where the options say so", function()
        local api = require("evsock.luasocket")
        local client = secured({ socket = api.core, ssl = api.ssl }, helper.track,
            { options = { "all", "no_tlsv1_2" } })
        assert.equal("TLSv1.3", client:info("protocol"))
    end)

    -- LuaSec has none of these parameters.
    it("knows a peer by its fingerprint, and writes a key log", function()
        local api = require("evsock.luasocket")
        api = { socket = api.core, ssl = api.ssl }
        local own = peers.run { "openssl", "x509", "-in", certificates:path("rsa.pem"), "-noout",
            "-fingerprint", "-sha256" }
        own = "sha256:" .. own:match("=(%S+)")
        local path = certificates:path("keys")
        local client, _, how = meet(api, helper.track,
            { mode = "client", protocol = "any", fingerprint = { own }, keylog = path },
            server_params())
        assert.is_true(how[1], how[2])
        assert.equal("fingerprint", client:info("verified"))
        assert.is_false(client:info("resumed"))
        assert.is_true((client:getpeerverification()))
        local digest = client:getpeercertificate():digest("sha256")
        assert.equal(own:gsub(":", ""):lower(), "sha256" .. digest)
        assert.is_truthy(helper.read_file(path):find("SECRET", 1, true))
        for why, params in pairs {
            ["contradict each other"] = client_params { fingerprint = own },
            ["'sha1' is no digest"] = { mode = "client", protocol = "any",
                fingerprint = "sha1:00" },
            ["list of such texts expected"] = client_params { fingerprint = { 1 } },
            ["path or boolean expected"] = client_params { keylog = 1 },
            ["with verify = 'peer' only"] = server_params { fingerprint = own },
        } do
            local context, message = api.ssl.newcontext(params)
            assert.is_nil(context)
            assert.is_truthy(message:find(why, 1, true), message)
        end
    end)

    -- Without authorities LuaSec trusts nobody.
    it("believes by the system's authorities where none are given", function()
        local api = require("evsock.luasocket")
        local context = assert(api.ssl.newcontext(client_params { verify = "peer" }))
        assert.truthy(context)
    end)

    -- In LuaSec these are of use where the library does what none here can.
    it("says of calls that nobody here can answer that they are not available", function()
        local api = require("evsock.luasocket")
        local client = secured({ socket = api.core, ssl = api.ssl }, helper.track)
        for _, name in ipairs {
            "exportkeyingmaterial", "getfinished", "getpeerfinished", "setdane", "settlsa",
        } do
            assert.same({ "nil", name .. " is not available" }, list(client[name](client, "x", 8)))
        end
    end)

    it("tells the ends of a connection", function()
        local api = require("evsock.luasocket")
        local plain_client, plain_server = plain_pair({ socket = api.core }, helper.track)
        local own = list(plain_client:getsockname())
        local peer = list(plain_client:getpeername())
        local client = helper.track(api.ssl.wrap(plain_client, client_params()))
        plain_server:close()
        assert.same(own, list(client:getsockname()))
        assert.same(peer, list(client:getpeername()))
        client:close()
        assert.same({ "nil", "Bad file descriptor" }, list(client:getpeername()))
        assert.same({ "nil", "Bad file descriptor" }, list(client:getsockname()))
    end)

    it("closes what nobody holds any more", function()
        local api = require("evsock.luasocket")
        local held = {}
        local server = helper.track((select(2, secured({ socket = api.core, ssl = api.ssl },
            function(object)
                held[#held + 1] = object
                return object
            end))))
        held = {}
        server:settimeout(0.02)
        helper.pump_until(function()
            helper.collect()
            local _, why = server:receive()
            return why ~= "wantread" and why
        end, 5, "the end of a connection that was dropped")
        assert.same({}, held)
    end)

    it("takes over the stream whose descriptor an object of others shows", function()
        local api = require("evsock.luasocket")
        local plain, peer = plain_pair({ socket = api.core }, helper.track)
        local shows = { getfd = function() return plain:getfd() end }
        local object = helper.track(api.ssl.wrap(shows, client_params()))
        assert.equal(-1, plain:getfd())
        assert.is_true(object:getfd() >= 0)
        peer:close()
    end)

    it("refuses what is no stream of its own, and a stream that is secured", function()
        local api = require("evsock.luasocket")
        local client = secured({ socket = api.core, ssl = api.ssl }, helper.track)
        local udp = helper.track(api.core.udp4())
        local why = "wrap: only streams of this module can be secured"
        assert.same({ "nil", why }, list(api.ssl.wrap({}, client_params())))
        assert.same({ "nil", why }, list(api.ssl.wrap(udp, client_params())))
        assert.same({ "nil", "wrap: TLS inside of TLS is not available" },
            list(api.ssl.wrap(client, client_params())))
        assert.equal("raises", raises("socket expected", api.ssl.wrap, nil, client_params()))
        assert.equal("raises", raises("invalid context", api.ssl.wrap, udp, 1))
    end)

    it("waits in a handshake for a connection that is not there yet", function()
        local api = require("evsock.luasocket")
        local listener = helper.track(api.core.tcp())
        assert(listener:bind("127.0.0.1", 0))
        assert(listener:listen())
        local client = api.core.tcp()
        client:settimeout(0)
        client:connect("127.0.0.1", tools.port(listener))
        local object = helper.track(api.ssl.wrap(client, client_params()))
        local server = helper.track(api.ssl.wrap(listener:accept(), server_params()))
        local how, server_how = shake_hands(object, server)
        assert.same({ { true, "nil" }, { true, "nil" } }, { how, server_how })
    end)

    it("is told by select when a handshake goes on", function()
        local api = require("evsock.luasocket")
        local plain_client, plain_server = plain_pair({ socket = api.core }, helper.track)
        local client = helper.track(api.ssl.wrap(plain_client, client_params()))
        local server = helper.track(api.ssl.wrap(plain_server, server_params()))
        client:settimeout(0)
        assert.same({ false, "wantread" }, list(client:dohandshake()))
        assert.same({ "timeout" }, { select(3, api.core.select({ client }, nil, 0.02)) })
        local task = helper.spawn(function()
            assert(server:dohandshake())
        end)
        local ready = api.core.select({ client }, nil, 5 * helper.slow)
        assert.equal(client, ready[1])
        assert.is_true(client:dohandshake())
        helper.finished(task)
    end)

    it("shakes hands of many in tasks at once", function()
        local api = require("evsock.luasocket")
        local tasks = {}
        for number = 1, 20 do
            local plain_client, plain_server = plain_pair({ socket = api.core }, helper.track)
            tasks[#tasks + 1] = helper.spawn(function()
                local server = helper.track(api.ssl.wrap(plain_server, server_params()))
                assert(server:dohandshake())
                assert(server:send("hello " .. number .. "\n"))
            end)
            tasks[#tasks + 1] = helper.spawn(function()
                local client = helper.track(api.ssl.wrap(plain_client, client_params {
                    verify = "peer", cafile = certificates:path("ca.pem") }))
                client:sni("localhost")
                assert(client:dohandshake())
                assert.equal("hello " .. number, client:receive())
            end)
        end
        helper.finished((table.unpack or unpack)(tasks))
        for _, task in ipairs(tasks) do
            assert(task:join(0))
        end
    end)
end)
