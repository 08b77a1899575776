-- A connection that stood and failed between two pumps: `on_connect` found neither our end of it
-- nor what its handshake had agreed on, since both went with the descriptor and the failure. A
-- client that a server refuses after its handshake, as TLS 1.3 does, raised in `on_connect` now and
-- then.

local helper = require "spec.helper"
local evsock = helper.evsock
local peers = require "spec.peers.openssl"

-- Looks, without pumping, until the connection stands, or no longer does.
local function look_until(sock, stands)
    local deadline = evsock.now() + 5 * helper.slow
    while (sock:look()) ~= stands do
        assert.is_true(evsock.now() < deadline, "not seen: " .. tostring(stands))
    end
end

describe("regress 045", function()
    after_each(helper.finish)

    it("on_connect finds the ends of a connection that is over", function()
        local server = helper.server()
        local told
        local client = helper.connect(server.port, {
            on_connect = helper.expect(function(sock)
                told = { sock.local_port, sock.peer_port }
            end, 1),
            on_close = helper.expect(1),
        })
        -- What nobody reads makes a reset of the server's end.
        client:write("unread")
        look_until(client, true)
        server.server:close()
        look_until(client, false)
        helper.wait_state(client, "closed")
        assert.same({ "number", server.port }, { type(told[1]), told[2] })
    end)

    it("on_connect finds what was agreed on with a peer that has refused since", function()
        local certificates = require("spec.tls_kit").certificates()
        helper.track(certificates, certificates.remove)
        local port = peers.device(certificates, "ecdsa", {
            "-tls1_3", "-Verify", "1", "-verify_return_error",
            "-CAfile", certificates:path("ca.pem") })
        local told, sock = peers.attempt("localhost", port, certificates:identity("stranger", {
            cafile = certificates:path("ca.pem") }))
        -- It stands for a moment only, which need not be seen.
        local deadline = evsock.now() + 0.5 * helper.slow
        repeat
            sock:look()
        until evsock.now() > deadline
        helper.wait_state(sock, "closed")
        assert.is_true(told.verified)
        assert.equal("TLS_CERT_REFUSED", told.code, told.message)
    end)
end)
