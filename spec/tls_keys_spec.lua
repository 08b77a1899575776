-- Keys that a password opens: which are, what is said where they are not, and that the password
-- stays unsaid.

local helper = require "spec.helper"
local kit = require "spec.tls_kit"
local peers = require "spec.peers.openssl"
local evsock = helper.evsock

local PASSWORD = "correct horse"

-- KIND.LOCK.key is the key of KIND in that lock.
local LOCKS = {
    aes128 = "-v2 aes-128-cbc -v2prf hmacWithSHA256",
    aes192 = "-v2 aes-192-cbc -v2prf hmacWithSHA512",
    aes256 = "-v2 aes-256-cbc -v2prf hmacWithSHA256",
    sha1 = "-v2 aes-256-cbc -v2prf hmacWithSHA1 -iter 10000",
    des3 = "-v2 des3",
    scrypt = "-scrypt",
}
local MAKE = {
    "lock() { openssl pkcs8 -topk8 -in $1 -out $2 -passout 'pass:" .. PASSWORD .. "' $3; }",
}
for lock, words in pairs(LOCKS) do
    for _, kind in ipairs(peers.keys) do
        MAKE[#MAKE + 1] = ("lock %s.key %s.%s.key '%s'"):format(kind, kind, lock, words)
    end
end
-- `patched`: OpenSSL itself makes nothing that takes more than 32 MiB.
MAKE[#MAKE + 1] = [[
lock ecdsa.key rounds.key '-v2 aes-256-cbc -iter 10000001'
lock ecdsa.key strange.key '-v2 camellia-256-cbc'
openssl rsa -aes128 -traditional -in rsa.key -out old.key -passout pass:secret
patched() { # NAME R P
    openssl pkcs8 -topk8 -in ecdsa.key -outform DER -out $1.der -passout pass:secret \
        -scrypt -scrypt_N 32768 -scrypt_r 4 -scrypt_p 1
    LC_ALL=C sed -i "s/\x02\x01\x04\x02\x01\x01/\x02\x01$2\x02\x01$3/" $1.der
    echo '-----BEGIN ENCRYPTED PRIVATE KEY-----' >$1.key
    openssl base64 -in $1.der >>$1.key
    echo '-----END ENCRYPTED PRIVATE KEY-----' >>$1.key
}
patched memory '\x7f' '\x01'
patched work '\x20' '\x7f'
cat ecdsa.aes256.key ecdsa.pem >both.pem
]]

describe("A key that a password opens", function()
    local certificates = peers.certificates_for(setup, teardown, table.concat(MAKE, "\n") .. "\n")

    local function identity(kind, lock, more)
        return kit.merge({
            certfile = certificates:path(kind .. ".pem"),
            keyfile = certificates:path(lock .. ".key"), password = PASSWORD,
        }, more)
    end

    for lock in pairs(LOCKS) do
        for _, kind in ipairs(peers.keys) do
            it("is one of " .. kind .. " locked by " .. lock, function()
                local server = helper.track(assert(evsock.listen("127.0.0.1", 0, {
                    tls = identity(kind, kind .. "." .. lock),
                    on_accept = function(_, sock) helper.track(sock) end,
                })))
                local told = peers.attempt("localhost", server.port, {
                    cafile = certificates:path("ca.pem") })
                peers.until_told(told)
                assert.is_true(told.verified, told.message)
            end)
        end
    end

    it("may be text, and stand beside its certificate", function()
        local both = certificates:pem("both.pem")
        evsock.tls { cert = both, key = both, password = PASSWORD }
    end)

    it("may be that of one name of a server, whose password stands beside it", function()
        local tls = certificates:identity("ecdsa")
        tls.certs = { ["a.example"] = identity("rsa", "rsa.aes256") }
        evsock.tls(tls)
        tls.certs["a.example"].password = "wrong"
        helper.misuse(function() evsock.tls(tls) end, "rsa.aes256.key: the password does not open")
    end)

    it("may be one that is not locked, which ignores the password", function()
        evsock.tls(identity("ecdsa", "ecdsa"))
    end)

    local function refusal(tls)
        local ok, message = pcall(evsock.tls, tls)
        assert.is_false(ok)
        local password = tls.password or ""
        assert.is_nil(password ~= "" and message:find(password, 1, true) or nil, message)
        return message
    end

    it("stays closed to another password, and nobody says which", function()
        -- Of 256 one leaves what looks like a padding.
        for number = 1, 300 do
            local message = refusal(identity("ecdsa", "ecdsa.aes256", {
                password = "wrong " .. number }))
            assert.matches("aes256.key: the password does not open the private key",
                message, 1, true)
        end
        for lock in pairs(LOCKS) do
            assert.matches("the password does not open", refusal(
                identity("rsa", "rsa." .. lock, { password = "" })), 1, true)
        end
    end)

    it("says that it is encrypted where the password is missing", function()
        assert.matches("aes256.key: the private key is encrypted; give its 'password'", refusal {
            certfile = certificates:path("ecdsa.pem"),
            keyfile = certificates:path("ecdsa.aes256.key"),
        }, 1, true)
    end)

    it("is not one in OpenSSL's old way, and says how to convert it", function()
        local expected = "openssl pkcs8 -topk8 -in OLD -out NEW"
        assert.matches(expected, refusal(identity("rsa", "old")), 1, true)
        local without = identity("rsa", "old")
        without.password = nil
        assert.matches(expected, refusal(without), 1, true)
    end)

    it("is not one in a way that nobody here knows, and says how to convert it", function()
        assert.matches("openssl pkcs8 -topk8 -v2 aes-256-cbc",
            refusal(identity("ecdsa", "strange")), 1, true)
    end)

    it("is not one that takes too long or too much memory", function()
        local began = evsock.now()
        assert.matches("locked with 10000001 rounds, more than 10000000",
            refusal(identity("ecdsa", "rounds")), 1, true)
        assert.matches("locked by scrypt with more memory than 256 MiB",
            refusal(identity("ecdsa", "memory")), 1, true)
        assert.matches("locked by scrypt in a way that takes longer than about 10 s",
            refusal(identity("ecdsa", "work")), 1, true)
        assert.is_true(evsock.now() - began < 1 * helper.slow)
    end)

    it("has a password of the right type and a key to open", function()
        helper.misuse(function() evsock.tls(identity("ecdsa", "ecdsa", { password = 5 })) end,
            "'password' to 'tls' (string expected, got number)")
        helper.misuse(function() evsock.tls { password = PASSWORD } end,
            "'password' to 'tls' (the 'key' that it opens is missing)")
    end)

    it("says nothing of its password where objects are shown", function()
        local tls = evsock.tls(identity("ecdsa", "ecdsa.aes256"))
        local server = helper.track(assert(evsock.listen("127.0.0.1", 0, { tls = tls })))
        for _, text in ipairs { tostring(tls), tostring(server), evsock.report() } do
            assert.is_nil(text:find(PASSWORD, 1, true))
        end
    end)
end)
