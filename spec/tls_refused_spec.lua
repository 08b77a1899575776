-- Who is believed and who is not, from connect to close: for every bad server the exact code,
-- on_connect never called, not one byte of the application on the wire.
--
-- Not here: certificates that we refuse to serve, and clients' (`tls_edges_spec.lua`); the same at
-- the session alone, in both versions of TLS, and what only a server that breaks the rules on
-- purpose can show -- weak keys, stolen certificates, downgrades (`spec/rust/tls*.rs`).

local helper = require "spec.helper"
local kit = require "spec.tls_kit"
local evsock = helper.evsock
local expect, never, pump_until = helper.expect, helper.never, helper.pump_until
local merge = kit.merge

local SECRET = "a secret of the application"
local WAIT = 5 * helper.slow

-- Below the root of the kit; `chain` appends what stands above.
local MAKE = [[
under() { # NAME SUBJECT ISSUER; then words of openssl
    name=$1 subject=$2 issuer=$3
    shift 3
    make "$name" "$subject" $ec -CA "$issuer.pem" -CAkey "$issuer.key" "$@"
}
names() { # NAME SANS [ISSUER]
    under "$1" somebody "${3:-ca}" -addext "subjectAltName=$2" -addext basicConstraints=CA:FALSE
}
above() { # NAME ISSUER; then words of openssl
    name=$1 issuer=$2
    shift 2
    under "$name" "$name" "$issuer" -addext keyUsage=critical,keyCertSign "$@"
}
below() { # NAME OF THE ISSUER...: a leaf of the first, sent with all of them
    names "of_$1" DNS:localhost "$1"
    for issuer; do cat "$issuer.pem" >>"of_$1.pem"; done
}
ca=basicConstraints=critical,CA:TRUE
names elsewhere DNS:elsewhere.test
names wild 'DNS:*.example.test'
names several 'DNS:one.test,DNS:localhost,IP:127.0.0.1,IP:::1'
names address IP:127.0.0.1
names text DNS:127.0.0.1
under common localhost ca -addext basicConstraints=CA:FALSE
under purpose localhost ca -addext subjectAltName=DNS:localhost -addext extendedKeyUsage=codeSigning
under authority localhost ca -addext subjectAltName=DNS:localhost -addext $ca
make twin 'evsock test root' $ec -addext $ca -addext keyUsage=critical,keyCertSign
names signature DNS:localhost twin
above between ca -addext $ca
below between
above deeper between -addext $ca
below deeper between
above flag ca -addext basicConstraints=critical,CA:FALSE
below flag
above short ca -addext $ca,pathlen:0
above long short -addext $ca
below long short
above narrow ca -addext $ca -addext nameConstraints=critical,permitted\;DNS:elsewhere.test
below narrow
above wide ca -addext $ca -addext nameConstraints=critical,permitted\;DNS:localhost
below wide
above mail ca -addext $ca -addext extendedKeyUsage=emailProtection
below mail
names unsent DNS:localhost between
names stranger_leaf DNS:localhost other
names stranger_root DNS:localhost other
cat other.pem >>stranger_root.pem
]]

local certificates = kit.certificates_for(setup, teardown, MAKE)

-- A client through a relay that sees all; `told` has message and code when it is over. It trusts
-- the root, or the file named.
local function client(port, tls, host)
    local between = kit.relay(port)
    local told = {}
    tls = merge(tls)
    tls.cafile = certificates:path(tls.cafile or "ca.pem")
    local sock = helper.track(evsock.connect(host or "localhost", between.port, {
        tls = tls,
        on_connect = never("on_connect"),
        on_data = never("on_data"),
        on_close = expect(function(_, message, code)
            told.message, told.code, told.over = message, code, true
        end, 1),
    }))
    sock:write(SECRET)
    return told, between, sock
end

local function refused(code, told, between)
    pump_until(function() return told.over end, WAIT, "an end")
    assert.equal(code, told.code, told.message)
    assert.is_nil(between.up:find(SECRET, 1, true))
end

-- What a server must not hear even where the code is not one but some.
local function not_accepted()
    return { on_accept = never("on_accept") }
end

describe("TLS", function()
    after_each(helper.finish)

    for _, case in ipairs {
        { "is for another name", "elsewhere", "TLS_BAD_HOSTNAME" },
        { "has the name only as common name", "common", "TLS_BAD_HOSTNAME" },
        { "has a wildcard for one level less", "wild", "TLS_BAD_HOSTNAME",
            { server_name = "a.b.example.test" } },
        { "has a wildcard for one level more", "wild", "TLS_BAD_HOSTNAME",
            { server_name = "example.test" } },
        { "is for a name that only ends like the wanted one", "wild", "TLS_BAD_HOSTNAME",
            { server_name = "a.anexample.test" } },
        { "is for another address", "address", "TLS_BAD_HOSTNAME",
            { server_name = "127.0.0.2" } },
        { "is for an address where a name is wanted", "address", "TLS_BAD_HOSTNAME" },
        { "is for a name where an address is wanted", "unsent", "TLS_BAD_HOSTNAME",
            { cafile = "between.pem" }, "127.0.0.1" },
        { "has the address as if it were a name", "text", "TLS_BAD_HOSTNAME", nil, "127.0.0.1" },
        { "is for another purpose", "purpose", "TLS_BAD_PURPOSE" },
        { "is for clients", "client", "TLS_BAD_PURPOSE" },
        { "is of an issuer for mail", "of_mail", "TLS_BAD_PURPOSE" },
        { "is an authority's", "authority", "TLS_BAD_CERTIFICATE" },
        { "has signed itself", "itself", "TLS_SELF_SIGNED" },
        { "is of an unknown issuer", "stranger_leaf", "TLS_UNKNOWN_ISSUER" },
        { "is of an unknown issuer that is sent along", "stranger_root", "TLS_UNKNOWN_ISSUER" },
        { "is of an issuer in between that is not sent", "unsent", "TLS_UNKNOWN_ISSUER" },
        { "is signed by another that has the issuer's name", "signature", "TLS_BAD_SIGNATURE" },
        { "is of an issuer that may not issue", "of_flag", "TLS_BAD_CERTIFICATE" },
        { "is of an issuer too far below the root", "of_long", "TLS_BAD_CERTIFICATE" },
        { "is of an issuer for other names", "of_narrow", "TLS_BAD_CERTIFICATE" },
    } do
        local what, name, code, tls, host = case[1], case[2], case[3], case[4], case[5]
        it("refuses a server whose certificate " .. what .. ": " .. code, function()
            local record = kit.server(certificates, name, nil, not_accepted())
            local told, between = client(record.port, tls, host)
            refused(code, told, between)
        end)
    end

    for _, case in ipairs {
        { "has the name", "ecdsa" },
        { "has the address", "address", nil, "127.0.0.1" },
        { "has the name among several", "several" },
        { "has the address among several", "several", nil, "127.0.0.1" },
        { "has another address among several", "several", { server_name = "::1" } },
        { "has another name among several", "several", { server_name = "one.test" } },
        { "has the name in other letters", "several", { server_name = "ONE.test" } },
        { "has a wildcard for it", "wild", { server_name = "a.example.test" } },
        { "is of an issuer below the root", "of_between" },
        { "is of an issuer two below the root", "of_deeper" },
        { "is of an issuer for such names", "of_wide" },
        { "is RSA's", "rsa" },
        { "is Ed25519's", "ed25519" },
        { "is itself given as ca", "itself", { cafile = "itself.pem" } },
        { "is for another name, which is not looked at", "elsewhere", { insecure_name = true } },
        { "is anybody's, which is not looked at", "stranger", { verify = false } },
    } do
        local what, name, tls, host = case[1], case[2], merge(case[3]), case[4]
        it("believes a server whose certificate " .. what, function()
            tls.cafile = tls.verify ~= false
                and certificates:path(tls.cafile or "ca.pem") or nil
            local record = kit.server(certificates, name)
            local sock = helper.track(evsock.connect(host or "localhost", record.port, {
                tls = tls }))
            assert(sock:wait("connect", WAIT))
            assert.equal(tls.verify ~= false and not tls.insecure_name, sock.tls.verified == true)
            sock:write(SECRET)
            pump_until(function() return record.sockets[1] end, WAIT)
            assert.equal(SECRET, record.sockets[1]:receive(#SECRET, WAIT))
        end)
    end

    it("refuses a server that speaks plain text: TLS_NOT_TLS", function()
        local plain = helper.server({ on_accept = function(_, sock)
            sock:write("220 welcome\r\n")
        end })
        local told, between = client(plain.port)
        refused("TLS_NOT_TLS", told, between)
    end)

    it("refuses a record larger than there may be: TLS_PROTOCOL", function()
        local record = kit.server(certificates, "ecdsa", nil, not_accepted())
        local told, between = client(record.port)
        between.change = function(bytes, way)
            if way == "down" then
                return bytes:sub(1, 3) .. "\255\255" .. bytes:sub(6)
            end
            return bytes
        end
        refused("TLS_PROTOCOL", told, between)
    end)

    -- What the server sends before it has heard the client's last word of the handshake.
    local function flight()
        local record = kit.server(certificates, "ecdsa", nil, not_accepted())
        local between = kit.relay(record.port)
        local sock = helper.track(evsock.connect("localhost", between.port, {
            tls = { cafile = certificates:path("ca.pem") }, on_connect = never("on_connect") }))
        local length
        between.change = function(bytes, way)
            -- Nothing more of the client than its first words.
            length = way == "down" and #between.down or length
            return way == "up" and #between.up == #bytes and bytes or nil
        end
        pump_until(function() return length end, WAIT)
        helper.pump_for(0.02)
        sock:abort()
        return length
    end

    it("refuses a server that is cut off anywhere in the handshake: TLS_TRUNCATED", function()
        local length = flight()
        local record = kit.server(certificates, "ecdsa", nil, not_accepted())
        local steps = 40
        for i = 0, steps - 1 do
            local left = math.floor(length * i / steps)
            local told, between = client(record.port)
            between.change = function(bytes, way)
                if way == "up" then
                    return bytes
                end
                local part = bytes:sub(1, left)
                left = left - #part
                if #part > 0 then
                    between.near:write(part)
                end
                if left == 0 then
                    between.cut()
                end
            end
            refused("TLS_TRUNCATED", told, between)
        end
    end)

    it("refuses a server whose handshake is changed in any byte, with a code of TLS", function()
        local length = flight()
        local record = kit.server(certificates, "ecdsa", nil, not_accepted())
        local steps = math.ceil(120 / helper.fewer)
        for i = 0, steps - 1 do
            local place = math.floor(length * i / steps) + 1
            local told, between = client(record.port)
            between.change = function(bytes, way)
                local first = #between.down - #bytes
                if way == "down" and place > first and place <= #between.down then
                    local k = place - first
                    local other = string.char((bytes:byte(k) + 128) % 256)
                    return bytes:sub(1, k - 1) .. other .. bytes:sub(k + 1)
                end
                return bytes
            end
            -- A length that has grown keeps the client waiting for more, until the server goes.
            helper.track(evsock.after(0.1, function()
                if not told.over and between.cut then
                    between.cut()
                end
            end))
            pump_until(function() return told.over end, WAIT, "an end, changed at " .. place)
            local code = tostring(told.code)
            assert.is_truthy(code:find("^TLS_"), place .. ": " .. code)
            assert.is_nil(between.up:find(SECRET, 1, true))
        end
    end)
end)
