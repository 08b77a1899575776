-- `sock.fd` and `server.fd`: the descriptor, for those who hand it to other libraries.

local helper = require "spec.helper"

local evsock = helper.evsock
local expect, pump_until = helper.expect, helper.pump_until

-- What the system says of an open descriptor of this process, nil of a closed one. On Windows
-- nothing can be asked, and any number passes for an open one.
local function is_open(fd)
    if helper.is_windows then
        return type(fd) == "number"
    end
    local file = io.open("/proc/self/fdinfo/" .. fd)
    if file then
        file:close()
    end
    return file ~= nil
end

describe("the descriptor of a socket", function()
    after_each(helper.finish)

    it("is a number of its own on both sides of a connection", function()
        local client, peer, record = helper.pair()
        local numbers = { client.fd, peer.fd, record.server.fd }
        for place, fd in ipairs(numbers) do
            assert.equal("number", type(fd))
            assert.is_true(fd >= 0 and fd == math.floor(fd) and is_open(fd))
            assert.is_true(fd ~= numbers[place % 3 + 1])
        end
        assert.equal(3, #numbers)
    end)

    it("is nil before the first connection and after the end of one", function()
        local client, peer = helper.pair()
        assert.is_nil(evsock.socket().fd)
        client:close()
        helper.wait_state(client, "closed")
        helper.wait_state(peer, "closed")
        assert.is_nil(client.fd)
        assert.is_nil(peer.fd)
    end)

    it("is there while it closes, for what was written still goes out by it", function()
        local client = helper.pair()
        client:write(("x"):rep(16 * 1024 * 1024))
        client:close()
        assert.equal("closing", client.state)
        assert.is_true(is_open(client.fd))
    end)

    it("is there while it connects to an address, and stays the same", function()
        local record = helper.server()
        local client = helper.connect(record.port)
        local fd = client.fd
        assert.is_true(is_open(fd))
        helper.wait_state(client, "open")
        assert.equal(fd, client.fd)
    end)

    it("is nil while the addresses of a name are tried", function()
        local record = helper.server()
        local client = evsock.connect("localhost", record.port)
        helper.track(client)
        -- Each attempt has one of its own, and the thread may have decided already.
        assert.is_true(client.fd == nil or is_open(client.fd))
        helper.wait_state(client, "open")
        assert.is_true(is_open(client.fd))
    end)

    it("is nil when the attempt has failed", function()
        local client = helper.connect(helper.free_port())
        client.on_close = expect(1)
        helper.wait_state(client, "closed")
        assert.is_nil(client.fd)
    end)

    it("cannot be set", function()
        local sock = evsock.socket()
        helper.misuse(function() sock.fd = 1 end, "field 'fd' of evsock.Socket is read-only")
    end)
end)

describe("the descriptor of a server", function()
    after_each(helper.finish)

    it("is that of its first address where it has two", function()
        local server = helper.track(assert(evsock.listen("*", 0)))
        assert.equal("0.0.0.0", server.address)
        assert.is_true(is_open(server.fd))
    end)

    it("is nil once it is closed", function()
        local server = assert(evsock.listen("127.0.0.1", 0))
        local fd = server.fd
        assert.is_true(is_open(fd))
        server:close()
        assert.is_nil(server.fd)
        if not helper.is_windows then
            pump_until(function() return not is_open(fd) end)
        end
    end)

    it("cannot be set", function()
        local server = helper.track(assert(evsock.listen("127.0.0.1", 0)))
        helper.misuse(function() server.fd = 1 end, "field 'fd' of evsock.Server is read-only")
    end)
end)

describe("the descriptor of a datagram socket", function()
    after_each(helper.finish)

    it("is a number until it is closed", function()
        local sock = assert(evsock.udp("127.0.0.1"))
        assert.is_true(is_open(sock.fd))
        sock:close()
        assert.is_nil(sock.fd)
    end)
end)
