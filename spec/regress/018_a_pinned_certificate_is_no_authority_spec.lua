-- A device's own certificate (CA:FALSE) was given as `cafile`. All that was given became a root, so
-- whoever had the device's key could sign a certificate for any host or client, which was believed.
-- And a client's certificate that it had signed itself could not be pinned by a server at all.

local helper = require "spec.helper"
local peers = require "spec.peers.openssl"
local evsock = helper.evsock

-- `device`: certificate of a device; `forged`: by the device's key, for the client's host; `own`:
-- by itself as openssl makes them by default; `mixed`: an authority and the device.
local MAKE = [[
here='-addext subjectAltName=DNS:localhost'
no="$ec -addext basicConstraints=critical,CA:FALSE"
yes="$ec -addext basicConstraints=critical,CA:TRUE"
make device device $no -addext keyUsage=critical,digitalSignature $here
make forged forged $no $here -CA device.pem -CAkey device.key
make unsigning unsigning $yes -addext keyUsage=critical,digitalSignature $here
make forged_unsigning forged $no $here -CA unsigning.pem -CAkey unsigning.key
make own own $yes $here
cat ca.pem device.pem >mixed.pem
]]

describe("regress 018", function()
    local certificates = peers.certificates_for(setup, teardown, MAKE)
    after_each(helper.finish)

    -- Message and code with which a connection to `openssl s_server` ends, or its facts.
    local function connect(version, cafile, name)
        local told, sock = peers.attempt("127.0.0.1", peers.device(certificates, name, { version }),
            { cafile = certificates:path(cafile), server_name = "localhost" })
        peers.until_told(told)
        sock:close()
        return told
    end

    -- The same of a server that asks `openssl s_client` for a certificate.
    local function accept(version, cafile, name)
        local told = {}
        local server = helper.track(assert(evsock.listen("127.0.0.1", 0, {
            tls = certificates:identity("ecdsa", {
                client_auth = "require", cafile = certificates:path(cafile) }),
            on_accept = function(_, sock)
                told.verified = helper.track(sock).tls.verified
                sock:close()
            end,
            on_error = function(_, message, code) told.message, told.code = message, code end,
        })))
        peers.visit(certificates, server.port, name, { version })
        return peers.until_told(told)
    end

    for _, version in ipairs { "-tls1_2", "-tls1_3" } do
        for role, meet in pairs { client = connect, server = accept } do
            for _, case in ipairs {
                { "device", "forged" }, { "unsigning", "forged_unsigning" }, { "mixed", "forged" },
            } do
                it(("a %s does not believe what %s has signed, %s"):format(
                    role, case[1], version), function()
                    local told = meet(version, case[1] .. ".pem", case[2])
                    assert.equal("TLS_UNKNOWN_ISSUER", told.code, told.message)
                    assert.truthy(told.message:find("its issuer is trusted for itself alone", 1,
                        true), told.message)
                end)
            end

            for _, case in ipairs {
                { "device", "device" }, { "unsigning", "unsigning" }, { "mixed", "device" },
                { "own", "own" },
            } do
                it(("a %s believes %s when given %s, %s"):format(
                    role, case[2], case[1], version), function()
                    local told = meet(version, case[1] .. ".pem", case[2])
                    assert.is_true(told.verified, told.message)
                end)
            end
        end

        it("a server believes an authority's client beside a pinned one, " .. version, function()
            assert.is_true(accept(version, "mixed.pem", "client").verified)
            local told = accept(version, "device.pem", "client")
            assert.equal("TLS_UNKNOWN_ISSUER", told.code, told.message)
        end)
    end
end)
