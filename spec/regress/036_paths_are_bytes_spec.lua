-- A path that is no UTF-8, as old systems and other locales have them, became another path: every
-- byte above 127 was replaced by "\239\191\189". A server listened on a file that its clients could
-- not find, and `cafile` said "no such file" of one that was there.

local helper = require "spec.helper"
local kit = require "spec.peers.openssl"
local evsock = helper.evsock
local expect, pump_until = helper.expect, helper.pump_until

local ODD = "/caf\233-\255\128\254"

describe("regress 036", function()
    local folder
    before_each(function()
        folder = os.tmpname()
        os.remove(folder)
        assert(os.execute("mkdir " .. folder))
    end)
    after_each(function()
        helper.finish()
        os.execute("rm -rf " .. folder)
    end)

    local function exists(path)
        local pipe = assert(io.popen("test -e '" .. path .. "' && echo yes"))
        local said = pipe:read("*a")
        pipe:close()
        return said == "yes\n"
    end

    it("the file of a Unix socket has the bytes of its path, and is told by them", function()
        local path = folder .. ODD
        local address = "unix:" .. path
        local peer
        local server = helper.track(assert(evsock.listen(address, {
            on_accept = expect(function(_, sock) peer = helper.track(sock) end, 1),
        })))
        assert.is_true(exists(path))
        assert.equal(address, server.address)
        local client = helper.track(evsock.connect(address))
        pump_until(function() return peer and client.state == "open" end, 5, "a connection")
        assert.equal(address, client.host)
        assert.equal(address, client.peer_address)
        assert.equal(address, client:info().host)
        assert.equal(address, peer.local_address)
        client:write("x\n")
        assert.equal("x", peer:receive("*l", 5))
        server:close()
        assert.is_false(exists(path))
        local told
        helper.track(evsock.connect(address, {
            on_close = expect(function(_, message, code) told = { message, code } end, 1),
        }))
        pump_until(function() return told end, 5, "an end")
        assert.equal("ENOENT", told[2])
        assert.truthy(told[1]:find("caf\\xe9-\\xff\\x80\\xfe: no such file", 1, true), told[1])
    end)

    it("a socket file that a killed server left is taken over", function()
        local path = folder .. ODD
        helper.run(("local e = require 'evsock'; assert(e.listen(%q)); os.exit(0)"):format(
            "unix:" .. path))
        assert.is_true(exists(path))
        helper.track(assert(evsock.listen("unix:" .. path)))
    end)

    it("certificates and keys are read from such files", function()
        local certificates = kit.certificates()
        helper.track(certificates, certificates.remove)
        for name, file in pairs { ca = "ca.pem", cert = "ecdsa.pem", key = "ecdsa.key" } do
            kit.write_file(folder .. ODD .. name, certificates:pem(file))
        end
        local open = false
        local server = helper.server { tls = {
            certfile = folder .. ODD .. "cert", keyfile = folder .. ODD .. "key",
        } }
        helper.track(evsock.connect("localhost", server.port, {
            tls = { cafile = folder .. ODD .. "ca" },
            on_connect = expect(function() open = true end, 1),
        }))
        pump_until(function() return open end, 5 * helper.slow, "a handshake")
        helper.misuse(function() evsock.tls { cafile = "/none\255" } end,
            "cafile /none\\xff: no such file")
    end)
end)
