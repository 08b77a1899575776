-- "No certificate validation takes place", and yet a client refused devices with `verify = false`,
-- in Q-SYS' NewTls, in Pharos' VERIFY_NONE and Hammerspoon's startTLS(false): keys of 1024 bits,
-- certificates of version 1, curves that no library of ours knows, SHA-1. `openssl s_client` with
-- its defaults connects to each of them.
--
-- Not here: certificates that openssl does not make, and signatures that are wrong
-- (`spec/rust/tls_odd.rs`).

local helper = require "spec.helper"
local kit = require "spec.peers.openssl"
local evsock = helper.evsock

local WAIT = 5 * helper.slow

local MAKE = [[
odd() { # NAME; then words of openssl
    name=$1
    shift
    make "$name" device -addext subjectAltName=DNS:device "$@"
}
on='-newkey ec -pkeyopt ec_paramgen_curve:'
odd rsa1024 -newkey rsa:1024
odd rsa1536 -newkey rsa:1536
odd signed_by_sha1 -newkey rsa:2048 -sha1
odd secp521r1 ${on}P-521
odd ed448 -newkey ed448
odd pss -newkey rsa-pss -pkeyopt rsa_keygen_bits:2048
odd explicit $ec -pkeyopt ec_param_enc:explicit
odd critical $ec -addext 1.2.3.4=critical,DER:0500
odd garbage $ec -addext 2.5.29.18=DER:ffff -addext 2.5.29.31=DER:00
odd empty_purpose $ec -addext extendedKeyUsage=DER:3000
version1 version1 device - -newkey rsa:2048
]]

-- In TLS 1.2 openssl wants the curve of its key offered for the exchange of keys, too, which we
-- can't for P-521; rustls takes no key of RSA-PSS there. What else is missing openssl can't do.
local LOW = { "-cipher", "DEFAULT:@SECLEVEL=0" }
local SHA1 = { "-cipher", "DEFAULT:@SECLEVEL=0", "-sigalgs", "RSA+SHA1" }
local EC_SHA1 = { "-cipher", "DEFAULT:@SECLEVEL=0", "-sigalgs", "ECDSA+SHA1" }
local kinds = {
    { "an RSA key of 1024 bits", "rsa1024", { "1.2", "1.3" }, LOW },
    { "an RSA key of 1536 bits", "rsa1536", { "1.2", "1.3" }, LOW },
    { "a signature of SHA-1 of its own", "signed_by_sha1", { "1.2", "1.3" }, LOW },
    { "a signature of SHA-1 of the handshake", "rsa", { "1.2" }, SHA1 },
    { "a signature of SHA-1 of the handshake and an elliptic key", "ecdsa", { "1.2" }, EC_SHA1 },
    { "a key of P-521", "secp521r1", { "1.3" } },
    { "a key of Ed448", "ed448", { "1.2", "1.3" } },
    { "a key of RSA-PSS", "pss", { "1.3" } },
    { "a curve in explicit parameters", "explicit", { "1.2", "1.3" } },
    { "an unknown critical extension", "critical", { "1.2", "1.3" } },
    { "garbage in extensions", "garbage", { "1.3" } },
    { "an empty list of purposes", "empty_purpose", { "1.2", "1.3" } },
    { "version 1", "version1", { "1.2", "1.3" } },
}

describe("regress 024", function()
    local certificates = kit.certificates_for(setup, teardown, MAKE)
    after_each(helper.finish)

    local function openssl(name, version, words)
        local chosen = { "-tls" .. version:gsub("%.", "_") }
        return kit.device(certificates, name, kit.concat(chosen, words))
    end

    for _, kind in ipairs(kinds) do
        for _, version in ipairs(kind[3]) do
            local what = ("a client that verifies nobody meets %s, TLS %s"):format(kind[1], version)
            it(what, function()
                local port = openssl(kind[2], version, kind[4])
                local sock = helper.track(evsock.connect("127.0.0.1", port, {
                    tls = { verify = false } }))
                local ok, message, code = sock:wait("connect", WAIT)
                assert.is_true(ok, code and code .. ": " .. message)
                assert.same({ version, false }, { sock.tls.version, sock.tls.verified })
                sock:write("abc\n")
                assert.equal("cba", sock:receive("*l", WAIT))
            end)
        end
    end

    -- Each calls `heard` with the line that comes back.
    local dialects = {
        ["Q-SYS' NewTls"] = function(port, heard)
            local TcpSocket = require("evsock.qsys").TcpSocket
            local socket = helper.track(TcpSocket.NewTls(), function(sock) sock:Disconnect() end)
            socket.Connected = function() socket:Write("abc\n") end
            socket.Data = function() heard((socket:ReadLine(TcpSocket.EOL.Any))) end
            socket.Error = function(_, message) heard(message) end
            socket:Connect("127.0.0.1", port)
        end,
        ["Pharos' VERIFY_NONE"] = function(port, heard)
            local net = require("evsock.pharos").net
            local socket = helper.track(net.SslSocket.new(), function(sock) sock:abort() end)
            socket.configuration.peer_verify_mode = net.SslConfiguration.VERIFY_NONE
            socket.encrypted_handler = function() socket:write("abc\n") end
            socket.ready_read_handler = function() heard((socket:read_line():gsub("%s+$", ""))) end
            socket.error_handler = function() heard(socket.error_string) end
            socket:connect_encrypted("127.0.0.1", port)
        end,
        ["Hammerspoon's startTLS(false)"] = function(port, heard)
            local hammerspoon = require "evsock.hammerspoon"
            local socket = helper.track(hammerspoon.socket.new(function(data)
                heard((data:gsub("%s+$", "")))
            end), function(sock) sock:disconnect() end)
            socket:connect("127.0.0.1", port)
            socket:startTLS(false)
            socket:write("abc\n")
            socket:read("\n")
        end,
    }

    for what, meet in pairs(dialects) do
        it(what .. " verifies nobody, and meets them, too", function()
            for _, name in ipairs { "rsa1024", "version1", "ed448" } do
                local line
                meet(openssl(name, "1.2", LOW), function(heard) line = line or heard end)
                helper.pump_until(function() return line end, WAIT, name)
                assert.equal("cba", line, name)
            end
        end)
    end

    it("a client that verifies refuses them, with a code of TLS", function()
        for _, kind in ipairs(kinds) do
            local version = kind[3][#kind[3]]
            local port = openssl(kind[2], version, kind[4])
            local sock = helper.track(evsock.connect("127.0.0.1", port, {
                tls = { cafile = certificates:path("other.pem"), server_name = "device" } }))
            local ok, _, code = sock:wait("connect", WAIT)
            assert.is_nil(ok, kind[1])
            assert.truthy(code:find("^TLS_"), kind[1] .. ": " .. code)
        end
    end)
end)
