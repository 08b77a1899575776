-- Two ends of a handshake had the words of something else. A client of TLS 1.2 that knows other
-- signatures than our key makes was a fault of ours (TLS_INTERNAL, "unexpected error"), where it
-- shares nothing with us. And a server that showed no certificate was told of as a client that did
-- not, with the code of clients.

local helper = require "spec.helper"
local kit = require "spec.tls_kit"

local function bytes(text)
    return (text:gsub("%X", ""):gsub("%x%x", function(digits)
        return string.char(tonumber(digits, 16))
    end))
end

-- The length of `body` in so many bytes, and `body`.
local function sized(size, body)
    local length, number = "", #body
    for _ = 1, size do
        length, number = string.char(number % 256) .. length, math.floor(number / 256)
    end
    return length .. body
end

local function record(message)
    return "\22\3\3" .. sized(2, message)
end

describe("regress 047", function()
    local certificates = kit.certificates_for(setup, teardown)
    after_each(helper.finish)

    it("a client that knows other signatures shares nothing with the server", function()
        local server = kit.server(certificates, "ecdsa")
        local extensions = bytes "000a 0004 0002 001d" -- groups
            .. bytes "000d 0004 0002 0503" -- signatures: P-384 alone, where the key is of P-256
        local hello = bytes "0303" .. ("r"):rep(32) .. "\0" .. bytes "0002 c02b 01 00"
            .. sized(2, extensions)
        helper.connect(server.port):write(record("\1" .. sized(3, hello)))
        helper.pump_until(function() return server.errors[1] end, kit.WAIT)
        assert.equal("TLS_NO_COMMON", server.errors[1][2], server.errors[1][1])
        assert.is_truthy(server.errors[1][1]:find("no kind of signature", 1, true))
    end)

    it("a server without a certificate breaks the protocol, and no client is blamed", function()
        local server = helper.server()
        server.server.on_accept = function(_, sock)
            helper.track(sock)
            local hello = bytes "0303" .. ("r"):rep(32) .. "\0" .. bytes "c02b 00"
                .. sized(2, bytes "ff01 0001 00")
            local key = bytes "03 001d" .. sized(1, ("k"):rep(32)) .. bytes "0403"
                .. sized(2, ("s"):rep(70))
            sock:write(record("\2" .. sized(3, hello)) .. record(bytes "0b 000003 000000")
                .. record("\12" .. sized(3, key)) .. record(bytes "0e 000000"))
        end
        local client = helper.track(helper.evsock.connect("localhost", server.port, {
            tls = certificates:trusting(), on_connect = helper.never("on_connect") }))
        local told = kit.closing_of(client)
        assert.equal("TLS_PROTOCOL", kit.wait_for(told), told.message)
        assert.is_truthy(told.message:find("the server sent no certificate", 1, true), told.message)
    end)
end)
