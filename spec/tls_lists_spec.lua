-- Revocation lists: whom `crl` and `crlfile` refuse in both roles, what is said then, and what of
-- the lists themselves is refused at once.
--
-- Not here: the rules of lists, which are rustls' (webpki's) own.

local helper = require "spec.helper"
local kit = require "spec.tls_kit"
local peers = require "spec.peers.openssl"
local evsock = helper.evsock

-- Root, an authority between, leaves below; and lists of all kinds. `NAME.all` is a list of the
-- root's and one of the authority between.
local MAKE = [[
leaf='-addext basicConstraints=critical,CA:FALSE -addext keyUsage=critical,digitalSignature'
here='-addext subjectAltName=DNS:localhost,IP:127.0.0.1'
sign='-addext keyUsage=critical,keyCertSign,cRLSign'
authority="-addext basicConstraints=critical,CA:TRUE $sign"
below() { # NAME ISSUER; then words of openssl
    name=$1 issuer=$2
    shift 2
    make "$name" localhost $ec $leaf $here -CA "$issuer.pem" -CAkey "$issuer.key" "$@"
    cat "$issuer.pem" >>"$name.pem"
}
make root 'the root' $ec $authority
make between 'the one between' $ec $authority -CA root.pem -CAkey root.key
make twin 'the one between' $ec $authority -CA root.pem -CAkey root.key
below good between
below bad between
make lone localhost $ec $leaf $here
make silent 'the silent one' $ec -CA root.pem -CAkey root.key \
    -addext basicConstraints=critical,CA:TRUE -addext keyUsage=critical,keyCertSign
below mute silent
cat >lists.conf <<END
[ca]
default_ca = c
[c]
database = listed
default_md = sha256
crlnumber = number
crl_extensions = e
[e]
authorityKeyIdentifier = keyid
[d]
2.5.29.27 = critical,DER:020101
[i]
issuingDistributionPoint = critical,@p
[p]
fullname = URI:http://lists.test/other.crl
onlyCA = TRUE
END
echo 01 >number
list() { # NAME ISSUER REVOKED; then words of openssl
    name=$1 issuer=$2 revoked=$3
    shift 3
    : >listed
    for one in $revoked; do
        number=$(openssl x509 -in "$one.pem" -noout -serial | cut -d= -f2)
        printf 'R\t400101000000Z\t250101000000Z\t%s\tunknown\t/CN=x\n' "$number" >>listed
    done
    openssl ca -gencrl -config lists.conf -cert "$issuer.pem" -keyfile "$issuer.key" \
        -out "$name.crl" ${*:--crldays 7}
}
both() { cat "$2.crl" "$3.crl" >"$1.all"; } # NAME LIST LIST
old='-crl_lastupdate 20200101000000Z -crl_nextupdate 20200201000000Z'
list root root ''
list root_without_between root between
list between between ''
list between_without_bad between bad
list between_old between '' $old
list between_old_without_bad between bad $old
list twin twin bad
list stranger other ''
list silent silent ''
both mute root silent
list lone lone lone
both empty root between
both leaf root between_without_bad
both above root_without_between between
both outdated root between_old
both renewed between_old_without_bad between
cat root.crl >>renewed.all
both wrong root twin
list delta between '' -crldays 7 -crlexts d
list partial between '' -crldays 7 -crlexts i
both partial root partial
grep -v -e crlnumber -e crl_extensions lists.conf >first.conf
between='-crldays 7 -cert between.pem -keyfile between.key'
openssl ca -gencrl -config first.conf $between -out first.crl
openssl crl -in between_without_bad.crl -outform DER -out leaf.der
sed 's/^MI/!!/' between.crl >damaged.crl
awk 'BEGIN { for (i = 0; i < 10000; i++)
    printf "R\t400101000000Z\t250101000000Z,keyCompromise\t4%031X\tunknown\t/CN=x\n", i }' >listed
openssl ca -gencrl -config lists.conf $between -out many.crl
both many root many
]]

describe("Lists of revoked certificates", function()
    local certificates = peers.certificates_for(setup, teardown, MAKE)

    -- Options of one end that believes by the root and these lists.
    local function by(lists, more)
        return kit.merge({
            cafile = certificates:path("root.pem"), crlfile = lists and certificates:path(lists),
        }, more)
    end

    -- Each role meets a peer with the certificate of that name. How it went for who verifies:
    -- "verified" or the code, and the message; and what the peer was told.
    local roles = {}

    function roles.client(name, tls)
        local record = kit.server(certificates, name)
        local told = peers.until_told(peers.attempt("localhost", record.port, tls))
        return told.code or "verified", told.message, nil, told.verified
    end

    function roles.server(name, tls)
        local over
        local server = helper.track(assert(evsock.listen("127.0.0.1", 0, {
            tls = certificates:identity("good", kit.merge({ client_auth = "require" }, tls)),
            on_accept = function(_, sock)
                helper.track(sock)
                over = over or { "verified" }
            end,
            on_error = function(_, message, code)
                -- Not what is odd about the lists.
                if not message:find("^listen") then
                    over = over or { code, message }
                end
            end,
        })))
        local client = peers.attempt("localhost", server.port, certificates:identity(name, {
            cafile = certificates:path("root.pem") }))
        helper.pump_until(function()
            return over and (over[1] == "verified" or client.code)
        end, kit.WAIT, "a verdict on a client")
        return over[1], over[2], client
    end

    local FIRST = "the list of 'the one between'"

    for role, meet in pairs(roles) do
        describe("given to a " .. role, function()
            local function finds(expected, name, lists, more)
                local code, message, peer, verified = meet(name, by(lists, more))
                assert.equal(expected, code, message)
                return message, peer, verified
            end

            it("let pass what they do not name, empty ones too", function()
                finds("verified", "good", "empty.all")
                finds("verified", "good", "leaf.all")
                finds("verified", "good", "many.all")
            end)

            it("refuse a revoked certificate, and say by which list", function()
                local message = finds("TLS_REVOKED", "bad", "leaf.all")
                assert.matches("the certificate was revoked by its issuer on 2025-01-01 00:00 UTC "
                    .. "(crlfile " .. certificates:path("leaf.all") .. ": " .. FIRST .. " of 20",
                    message, 1, true)
            end)

            it("refuse what stands below a revoked authority", function()
                local message = finds("TLS_REVOKED", "good", "above.all")
                assert.matches("the certificate of its authority 'the one between' was revoked by "
                    .. "its issuer on 2025-01-01", message, 1, true)
                assert.matches("above.all: the list of 'the root' of 20", message, 1, true)
            end)

            it("refuse where the list of an issuer is missing, be it that of the root", function()
                for lists, missing in pairs {
                    ["root.crl"] = { "localhost", "the one between" },
                    ["stranger.crl"] = { "localhost", "the one between" },
                    ["between.crl"] = { "the one between", "the root" },
                } do
                    local message = finds("TLS_UNKNOWN_ISSUER", "good", lists)
                    assert.matches(("whether the certificate of '%s' was revoked: crlfile %s has "
                        .. "no list of its issuer '%s'; get that list"):format(
                        missing[1], certificates:path(lists), missing[2]), message, 1, true)
                end
            end)

            it("refuse where the list is about other certificates of the issuer", function()
                local message = finds("TLS_UNKNOWN_ISSUER", "good", "partial.all")
                assert.matches("the list of its issuer 'the one between' in crlfile "
                    .. certificates:path("partial.all") .. " is about others", message, 1, true)
            end)

            it("refuse by an outdated list, and say since when and what to do", function()
                local message = finds("TLS_EXPIRED", "good", "outdated.all")
                assert.matches("of revoked certificates of 'the one between' in crlfile "
                    .. certificates:path("outdated.all")
                    .. " was to be replaced by 2020-02-01 00:00 UTC: get the new one",
                    message, 1, true)
            end)

            it("are asked the newest first", function()
                finds("verified", "bad", "renewed.all")
            end)

            it("refuse by a list that another key has signed", function()
                local message = finds("TLS_BAD_SIGNATURE", "good", "wrong.all")
                assert.matches("of 'the one between' in crlfile " .. certificates:path("wrong.all")
                    .. " is not signed by the key of that name", message, 1, true)
            end)

            it("refuse by a list of who may not sign lists", function()
                local message = finds("TLS_BAD_CERTIFICATE", "mute", "mute.all")
                assert.matches("'the silent one' may not sign lists", message, 1, true)
            end)

            it("may be text, or one list in DER", function()
                finds("verified", "good", nil, { crl = certificates:pem("leaf.all") })
                finds("TLS_REVOKED", "bad", nil, { crl = certificates:pem("leaf.all") })
            end)

            it("refuse a certificate that is trusted by itself if its issuer names it", function()
                -- Without lists, and with those of others, it is believed.
                local itself = { cafile = certificates:path("bad.pem") }
                finds("verified", "bad", "empty.all", itself)
                finds("TLS_REVOKED", "bad", "leaf.der", itself)
                finds("TLS_REVOKED", "lone", "lone.crl", { cafile = certificates:path("lone.pem") })
                -- The issuer is known here, and has not signed this list.
                finds("verified", "bad", "twin.crl", itself)
            end)
        end)
    end

    describe("that can't be used", function()
        local function misuse(tls, expected)
            helper.misuse(function() evsock.tls(tls) end, expected)
        end

        local function refuses(lists, expected)
            misuse(by(lists), "crlfile " .. certificates:path(lists) .. ": " .. expected)
        end

        it("are refused at once, with the reason and what to do", function()
            refuses("damaged.crl", "list 1 is damaged")
            refuses("first.crl", "list 1 is of version 1: have its issuer write its number")
            refuses("delta.crl", "list 1 is a delta list, which can't be used: give the whole")
            refuses("root.pem", "holds a certificate where a list of revoked certificates is exp")
            refuses("conf", "no list of revoked certificates in PEM format")
            refuses("none.crl", "no such file")
            misuse(by(nil, { crl = certificates:path("root.crl") }), "which 'crlfile' takes")
            misuse({ crlfile = certificates:pem("root.crl") },
                "crlfile: holds PEM where a path is expected")
            misuse({ crl = "" }, "'crl': is empty")
            misuse({ crl = 5 }, "'crl'")
        end)

        it("are refused among others that can be used", function()
            local texts = certificates:pem("root.crl") .. certificates:pem("delta.crl")
            misuse(by(nil, { crl = texts }), "'crl': list 2 is a delta list")
        end)

        it("contradict verify = false, and crl contradicts crlfile", function()
            misuse(by("root.crl", { verify = false }), "'crl' to 'tls' (with verify = false nobody")
            misuse(by("root.crl", { crl = "x" }), "'crl' to 'tls' ('crlfile' was given, too)")
        end)

        it("are told of where they will refuse everybody: outdated, or of another key", function()
            local function told(lists)
                return select(2, evsock.tls(by(lists)))
            end
            assert.is_nil(told("leaf.all"))
            assert.matches("the list of revoked certificates of 'the one between' in crlfile "
                .. certificates:path("outdated.all") .. " was to be replaced by 2020-02-01",
                told("outdated.all"), 1, true)
            local _, remarks = evsock.tls(by("twin.crl", {
                cafile = certificates:path("good.pem") }))
            assert.matches("twin.crl is not signed by the key of that name", remarks, 1, true)
        end)

        it("are told of to on_error by a server that asks no client for a certificate", function()
            local record = kit.server(certificates, "good", by("leaf.all"))
            helper.pump_until(function() return record.errors[1] end, kit.WAIT, "a remark")
            assert.matches("has no effect on a server that asks clients for no certificate",
                record.errors[1][1], 1, true)
        end)
    end)

    describe("come before the name and after the chain", function()
        local function code_of(name, tls)
            return (roles.client(name, kit.merge(tls, { server_name = "elsewhere.test" })))
        end

        it("so a revoked certificate of another name is revoked", function()
            assert.equal("TLS_BAD_HOSTNAME", code_of("good", by("leaf.all")))
            assert.equal("TLS_REVOKED", code_of("bad", by("leaf.all")))
            assert.equal("TLS_UNKNOWN_ISSUER",
                code_of("bad", by("leaf.all", { cafile = certificates:path("other.pem") })))
        end)

        it("and insecure_name looks at lists, but not at the name", function()
            local tls = by("leaf.all", { insecure_name = true, server_name = "a.test" })
            assert.equal("TLS_REVOKED", code_of("bad", tls))
            local _, message, _, verified = roles.client("good", tls)
            assert.equal("chain", verified, message)
        end)
    end)

    describe("and sessions that were made without them", function()
        -- Sessions go by the name of the server, not by its port.
        local function visit(port, tls)
            local told, sock = peers.attempt("localhost", port, tls)
            local over
            told.socket = sock
            helper.pump_until(function()
                over = over or told.code or (sock.buffered or 0) > 0
                return over
            end, kit.WAIT, "a greeting or the end")
            sock:close()
            return told.code or "open"
        end

        local function greeting(tls)
            return helper.track(assert(evsock.listen("127.0.0.1", 0, {
                tls = tls,
                on_accept = function(_, sock)
                    helper.track(sock):write("hello")
                end,
                on_error = function() end,
            }))).port
        end

        it("are resumed by no server that has them", function()
            local asks = { cafile = certificates:path("root.pem"), client_auth = "require" }
            local port = greeting(certificates:identity("good", asks))
            local strict = greeting(certificates:identity("good",
                by("leaf.all", { client_auth = "require" })))
            local client = evsock.tls(certificates:identity("bad", {
                cafile = certificates:path("root.pem") }))
            for _ = 1, 3 do
                assert.equal("open", visit(port, client))
            end
            for _ = 1, 3 do
                assert.equal("TLS_CERT_REFUSED", visit(strict, client))
            end
        end)

        it("are resumed by no client that has them", function()
            local port = greeting(certificates:identity("bad"))
            local trusting = { cafile = certificates:path("root.pem") }
            local before = evsock.tls(trusting)
            for _ = 1, 3 do
                assert.equal("open", visit(port, before))
            end
            local after = evsock.tls(by("leaf.all"))
            for _ = 1, 3 do
                assert.equal("TLS_REVOKED", visit(port, after))
            end
            assert.equal("open", visit(port, before))
        end)
    end)

    for role, meet in pairs(roles) do
        for _, version in ipairs { "1.2", "1.3" } do
            it("hold by TLS " .. version .. " at a " .. role, function()
                local function by_version(name)
                    local only = { max_version = version, min_version = version }
                    return (meet(name, by("leaf.all", only)))
                end
                assert.equal("verified", by_version("good"))
                assert.equal("TLS_REVOKED", by_version("bad"))
            end)
        end
    end

    it("are no part of a table with fingerprints, and it is said so", function()
        local tls = {
            crlfile = certificates:path("leaf.all"), fingerprint = "sha256:" .. ("0"):rep(64),
        }
        helper.misuse(function() evsock.tls(tls) end, "fingerprint and crl contradict each other")
    end)

    it("go with the system's roots as well", function()
        for name, expected in pairs { good = "verified", bad = "TLS_REVOKED" } do
            local said, status = helper.run(([[
                local evsock = require "evsock"
                local server = assert(evsock.listen("127.0.0.1", 0, {
                    tls = { certfile = %q, keyfile = %q },
                    on_accept = function() end, on_error = function() end }))
                local sock = evsock.connect("localhost", server.port, { tls = { crlfile = %q } })
                local ok, _, code = sock:wait("connect", 10)
                print(ok and "verified" or code)
                os.exit(0)
            ]]):format(certificates:path(name .. ".pem"), certificates:path(name .. ".key"),
                certificates:path("leaf.all")), nil,
                "unset SSL_CERT_DIR; export SSL_CERT_FILE=" .. certificates:path("root.pem"))
            assert.equal(0, status, said)
            assert.equal(expected, (said:gsub("%s+$", "")))
        end
    end)

    it("of 10,000 entries are asked in a handshake at a price that is printed #figures", function()
        -- Without tickets each handshake is a whole one.
        local port = peers.device(certificates, "good", {
            "-num_tickets", "0", "-cert_chain", certificates:path("between.pem") })
        local kinds = {
            { tls = evsock.tls(by(nil)), clock = 0 },
            { tls = evsock.tls(by("many.all")), clock = 0 },
        }
        local ROUNDS = 200
        for round = 1, ROUNDS do
            for _, kind in ipairs(kinds) do
                local clock, began = os.clock(), evsock.now()
                local sock = helper.track(evsock.connect("127.0.0.1", port, { tls = kind.tls }))
                assert(sock:wait("connect", kit.WAIT))
                kind[round] = (evsock.now() - began) * 1e3
                kind.clock = kind.clock + (os.clock() - clock) / ROUNDS * 1e3
                sock:close()
            end
        end
        for _, kind in ipairs(kinds) do
            table.sort(kind)
        end
        local text = "handshake, median: %.2f ms, by a list of 10,000 entries %.2f ms; of these the"
            .. " client computes %.2f and %.2f ms"
        print(text:format(
            kinds[1][ROUNDS / 2], kinds[2][ROUNDS / 2], kinds[1].clock, kinds[2].clock))
    end)
end)
