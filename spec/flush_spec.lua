-- `sock:flush`: blocks until the system has taken what was written; no handler runs meanwhile.

local helper = require "spec.helper"
local evsock = helper.evsock
local pump_until = helper.pump_until

-- More than the buffers of both ends take.
local BIG = ("0123456789abcdef"):rep(1024 * 1024)

describe("flush", function()
    after_each(helper.finish)

    it("is true at once when nothing waits", function()
        local sock = helper.pair()
        assert.is_true(sock:flush())
        sock:write("little")
        assert.is_true(sock:flush(0))
    end)

    it("blocks until everything is handed over, and runs no handler", function()
        local sock, peer = helper.pair(nil, { read_limit = 32 * 1024 * 1024 })
        local timer = helper.track(evsock.after(0, helper.expect(1)))
        local got = 0
        peer.on_data = function()
            got = got + #peer:read()
        end
        sock.on_drain = helper.expect(1)
        assert.is_true(sock:write(BIG))
        assert.is_true(sock.pending > 0)
        assert.is_true(sock:flush(5 * helper.slow))
        assert.equal(0, sock.pending)
        assert.is_true(timer.active)
        assert.equal(0, got)
        pump_until(function() return got == #BIG end, 10 * helper.slow)
    end)

    it("gives up when nothing has moved for that long, and drops nothing", function()
        local sock, peer = helper.pair(nil, { read_limit = 1000 })
        sock:write(BIG)
        local began = evsock.now()
        local ok, message, code = sock:flush(0.1)
        assert.is_nil(ok)
        assert.equal("ETIMEDOUT", code)
        assert.equal("flush 127.0.0.1:" .. sock.port .. ": timed out", message)
        assert.is_true(evsock.now() - began >= 0.1)
        assert.is_true(sock.pending > 0)
        peer.read_limit = 32 * 1024 * 1024
        assert.is_true(sock:flush(5 * helper.slow))
    end)

    it("waits for a connection that is still to come", function()
        local server = helper.server()
        local sock = helper.connect(server.port)
        sock:write("early")
        assert.is_true(sock:flush(5))
        assert.equal("connecting", sock.state)
        pump_until(function() return server.sockets[1] and server.sockets[1].buffered == 5 end)
    end)

    it("tells of a connection that takes no more", function()
        local sock, peer = helper.pair(nil, { read_limit = 1000 })
        sock:write(BIG)
        peer:abort()
        local ok, message, code = sock:flush(5)
        assert.is_nil(ok)
        assert.is_string(message)
        assert.is_true(code == "ECLOSED" or code == "ECONNRESET" or code == "EPIPE", code)
        assert.equal("ECLOSED", select(3, evsock.socket():flush()))
    end)

    it("does not block the flushing of others", function()
        local sock, peer = helper.pair(nil, { read_limit = 32 * 1024 * 1024 })
        local other = helper.pair(nil, { read_limit = 32 * 1024 * 1024 })
        other:write(BIG)
        sock:write(BIG)
        assert.is_true(other:flush(5 * helper.slow))
        assert.is_true(sock:flush(5 * helper.slow))
        assert.is_true(peer:info().live.read_ahead > 0)
    end)

    it("refuses a timeout that is none", function()
        local sock = evsock.socket()
        local text = "bad argument 'timeout' to 'flush' "
            .. "(seconds of at least 0, or nil expected, got "
        helper.misuse(function() sock:flush(-1) end, text .. "-1)")
        helper.misuse(function() sock:flush("x") end, text .. 'string "x")')
        helper.misuse(function() sock.flush(nil) end, "socket expected")
    end)
end)
