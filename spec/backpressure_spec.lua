-- Bounds in both directions (api.md, options of section 2): read_limit, max_frame, write_limit,
-- drain_at, and what becomes of a peer that does not read.

local helper = require "spec.helper"

local evsock = helper.evsock
local expect, never, pump_until = helper.expect, helper.never, helper.pump_until
local is_state = helper.is_state

local MIB = 1024 * 1024
-- More than the buffers of the system take on a loopback connection.
local FLOOD = 24

local function flood(sock)
    local block = ("0123456789abcdef"):rep(MIB / 16)
    for _ = 1, FLOOD do
        assert(sock:write(block))
    end
end

-- Reads all there is, until `count` bytes came in all.
local function drain(sock, count, seconds)
    local total = 0
    pump_until(function()
        total = total + helper.read_away(sock)
        return total >= count
    end, seconds or 10, "everything arrived")
    return total
end

-- Lets the peer read the flood: `on_drain` must come once, where `check` looks at the socket.
local function drained_once(client, peer, check)
    local drained = false
    client.on_drain = expect(function(sock)
        drained = true
        check(sock)
    end, 1)
    drain(peer, FLOOD * MIB)
    pump_until(function() return drained end)
    helper.pump_for(0.05)
end

-- A socket whose peer does not read, with `pending` far above 0.
local function stalled(options)
    local client, peer, record = helper.pair(options, { read_limit = 65536 })
    flood(client)
    helper.pump_for(0.1)
    assert.is_true(client.pending > 0)
    return client, peer, record
end

describe("back-pressure", function()
    after_each(helper.finish)

    describe("read_limit", function()
        it("stops reading from the peer while that much is unread", function()
            local client, peer = helper.pair({ read_limit = 65536 })
            flood(peer)
            helper.pump_for(0.2)
            assert.is_true(client.buffered >= 65536)
            assert.is_true(client.buffered <= 65536 + 2 * 65536)
            assert.is_true(peer.pending > 0)
        end)

        it("resumes at half", function()
            local client, peer = helper.pair({ read_limit = MIB })
            flood(peer)
            helper.pump_for(0.3)
            local full = client.buffered
            assert.is_true(full >= MIB)
            local taken = 0
            while full - taken > 0.7 * MIB do
                taken = taken + #client:read(32768)
            end
            helper.pump_for(0.1)
            assert.equal(full - taken, client.buffered)
            while full - taken > 0.3 * MIB do
                taken = taken + #client:read(32768)
            end
            local left = full - taken
            pump_until(function() return client.buffered > left end)
        end)

        it("lets a block arrive that is smaller, whatever was read before", function()
            local client, peer = helper.pair({ read_limit = MIB })
            flood(peer)
            helper.pump_for(0.2)
            while client.buffered > 0.3 * MIB do
                client:read(32768)
            end
            helper.pump_for(0.2)
            local block
            pump_until(function()
                block = client:read_exact(MIB - 8192)
                return block
            end, 3, "a block of less than the limit")
            assert.equal(MIB - 8192, #block)
        end)

        it("never loses a byte", function()
            local client, peer = helper.pair({ read_limit = 65536 })
            flood(peer)
            peer:close()
            helper.pump_for(0.05)
            assert.equal(FLOOD * MIB, drain(client, FLOOD * MIB))
            pump_until(is_state(client, "closed"))
            assert.is_nil(client:read())
        end)

        it("can be raised on a socket that has stopped reading", function()
            local client, peer = helper.pair({ read_limit = 65536 })
            flood(peer)
            helper.pump_for(0.1)
            client.read_limit = MIB
            pump_until(function() return client.buffered >= MIB end)
        end)

        local function arrives(name, text, read)
            it(("is raised by %s that is longer"):format(name), function()
                local client, peer = helper.pair({ read_limit = 65536 })
                local found
                client.on_data = expect(function(sock)
                    found = found or read(sock)
                end)
                peer:write(text)
                pump_until(function() return found end)
                assert.equal(500000, #found)
                pump_until(function() return client.buffered == 4 end)
                assert.equal("rest", client:read())
            end)
        end

        local long = ("x"):rep(500000)
        arrives("a line", long .. "\r\nrest", function(sock)
            return sock:read_line()
        end)
        arrives("a block", long .. "rest", function(sock)
            return sock:read_exact(500000)
        end)
        arrives("a delimited text", long .. "<end>rest", function(sock)
            return sock:read_until("<end>")
        end)

        it("is 1 MiB, and a line of 2 MiB passes it", function()
            local client, peer = helper.pair()
            assert.equal(MIB, client.read_limit)
            local found
            client.on_data = expect(function(sock)
                found = sock:read_line()
            end)
            peer:write(("x"):rep(2 * MIB), "\n")
            pump_until(function() return found end)
            assert.equal(2 * MIB, #found)
        end)
    end)

    describe("max_frame", function()
        local function closes(name, read)
            it(("closes with EMSGSIZE for %s"):format(name), function()
                local client, peer = helper.pair({ read_limit = 16384, max_frame = 65536 })
                client.on_data = function(sock)
                    assert.is_nil(read(sock))
                end
                client.on_close = expect(function(_, message, code)
                    assert.is_string(message)
                    assert.equal("EMSGSIZE", code)
                end, 1)
                for _ = 1, 4 do
                    peer:write(("x"):rep(MIB))
                end
                pump_until(is_state(client, "closed"))
                helper.pump_for(0.02)
            end)
        end

        closes("a line without end", function(sock)
            return sock:read_line()
        end)
        closes("a delimiter that never comes", function(sock)
            return sock:read_until("\0\0")
        end)
        closes("a block that is too large", function(sock)
            return sock:read_exact(MIB)
        end)

        it("leaves a line alone that is not longer", function()
            local client, peer = helper.pair({ read_limit = 4096, max_frame = 65536 })
            client.on_close = never("on_close")
            local found
            client.on_data = expect(function(sock)
                found = sock:read_line()
            end)
            peer:write(("x"):rep(60000), "\n")
            pump_until(function() return found end)
            assert.equal(60000, #found)
            client.on_close = nil
        end)

        it("leaves a flood alone whose bytes are read as they come", function()
            local client, peer = helper.pair({ read_limit = 16384, max_frame = 65536 })
            client.on_close = never("on_close")
            local total = 0
            client.on_data = expect(function(sock)
                local text = sock:read()
                while text do
                    total = total + #text
                    text = sock:read()
                end
            end)
            peer:write(("x"):rep(MIB))
            pump_until(function() return total == MIB end)
            client.on_close = nil
        end)
    end)

    describe("write_limit", function()
        it("refuses a write that would pass it: nil, message, EAGAIN", function()
            local client = stalled()
            client.write_limit = client.pending + 1000
            local before = client.pending
            assert.is_true(client:write(("x"):rep(1000)))
            assert.equal(before + 1000, client.pending)
            local ok, message, code = client:write("y")
            assert.is_nil(ok)
            assert.is_string(message)
            assert.equal("EAGAIN", code)
            assert.equal(before + 1000, client.pending)
        end)

        it("counts all arguments of a write together and queues all or none", function()
            local client = stalled()
            client.write_limit = client.pending + 10
            local before = client.pending
            assert.is_nil((client:write("12345", "67890", "x")))
            assert.equal(before, client.pending)
            assert.is_true(client:write("12345", "67890"))
            assert.equal(before + 10, client.pending)
        end)

        it("lets a single write pass that is larger", function()
            local client, peer = helper.pair({ write_limit = 1000 })
            assert.is_true(client:write(("x"):rep(MIB)))
            assert.equal(MIB, drain(peer, MIB))
        end)

        it("holds while connecting as well", function()
            local sock = helper.connect(helper.silent_port(), { write_limit = 10 })
            assert.is_true(sock:write("123456"))
            local ok, _, code = sock:write("78901")
            assert.is_nil(ok)
            assert.equal("EAGAIN", code)
            assert.is_true(sock:write("7890"))
            assert.equal(10, sock.pending)
        end)

        it("lets the socket go on when the queue has drained, with nothing lost", function()
            local client, peer = stalled({ write_limit = FLOOD * MIB })
            local refused = false
            local extra = 0
            while not refused do
                refused = client:write(("x"):rep(MIB)) == nil
                extra = extra + (refused and 0 or MIB)
                assert.is_true(extra < 100 * MIB)
            end
            local total = drain(peer, FLOOD * MIB + extra)
            pump_until(function() return client.pending == 0 end)
            assert.is_true(client:write("again"))
            total = total + drain(peer, 5)
            assert.equal(FLOOD * MIB + extra + 5, total)
        end)
    end)

    describe("on_drain", function()
        it("comes when pending fell to 0 after having been above it", function()
            local client, peer = stalled()
            drained_once(client, peer, function(sock)
                assert.equal(0, sock.pending)
            end)
        end)

        it("comes when pending fell to drain_at", function()
            local client, peer = stalled({ drain_at = MIB })
            assert.is_true(client.pending > MIB)
            drained_once(client, peer, function(sock)
                assert.is_true(sock.pending <= MIB)
            end)
        end)

        it("comes again when it rose above drain_at again", function()
            local client, peer = stalled()
            local count = 0
            -- In one piece: among several it may fall and rise again.
            local flood_again = ("0123456789abcdef"):rep(FLOOD * MIB / 16)
            client.on_drain = expect(function(sock)
                count = count + 1
                if count == 1 then
                    assert(sock:write(flood_again))
                end
            end, 2)
            drain(peer, 2 * FLOOD * MIB)
            pump_until(function() return count == 2 end)
            helper.pump_for(0.05)
        end)

        it("does not come for a write that was handed over at once", function()
            local client, peer = helper.pair({ on_drain = never("on_drain") })
            for _ = 1, 10 do
                client:write("small")
                assert.equal(0, client.pending)
                evsock.pump()
            end
            drain(peer, 50)
            helper.pump_for(0.05)
        end)

        it("feeds a long upload piece by piece", function()
            local client, peer = helper.pair({ write_limit = 4 * MIB, drain_at = MIB })
            local piece, sent = ("x"):rep(256 * 1024), 0
            local function feed(sock)
                while sent < 32 * MIB and sock:write(piece) do
                    sent = sent + #piece
                end
            end
            client.on_drain = feed
            feed(client)
            assert.equal(32 * MIB, drain(peer, 32 * MIB))
        end)
    end)

    describe("while reading stands at read_limit", function()
        -- What the client has let in, and what the system holds behind that.
        local function stuff(client, peer)
            helper.fill(client, peer, ("x"):rep(10000))
            peer:write(("x"):rep(50000))
            pump_until(function() return peer.pending == 0 end)
            helper.pump_for(0.02)
            assert.equal(10000, client.buffered)
        end

        local function stuffed(how)
            local client, peer = helper.pair({ read_limit = 4096 })
            stuff(client, peer)
            local ends = {}
            client.on_close = expect(function(_, _, code)
                ends[#ends + 1] = code or "orderly"
            end, 1)
            how(peer, client)
            return client, ends
        end

        it("a peer's reset is told, behind all that it had sent", function()
            local client, ends = stuffed(function(peer)
                peer:abort()
            end)
            pump_until(function() return ends[1] end)
            assert.same({ "ECONNRESET" }, ends)
            assert.equal(60000, client.buffered)
            assert.equal(("x"):rep(60000), client:read())
        end)

        it("and so is the end of a peer after ours", function()
            local client, ends = stuffed(function(peer, client)
                client:shutdown()
                peer.on_end = nil
                peer:close()
            end)
            pump_until(function() return ends[1] end)
            assert.same({ "orderly" }, ends)
            assert.equal(60000, #client:read())
        end)

        it("a peer that ends is no reason to read more", function()
            local client, peer = helper.pair({ read_limit = 4096 })
            stuff(client, peer)
            peer:shutdown()
            helper.pump_for(0.02)
            assert.equal(10000, client.buffered)
            assert.equal(60000, drain(client, 60000))
        end)

        it("nothing is polled in vain", function()
            local client = stuffed(function() end)
            local spent = os.clock()
            helper.pump_for(0.3)
            assert.is_true(os.clock() - spent < 0.2)
            client:abort()
            pump_until(is_state(client, "closed"))
        end)
    end)

    describe("a peer that does not read", function()
        it("ends with ETIMEDOUT after write_timeout", function()
            local begin
            local client = helper.pair({ write_timeout = 0.3 }, { read_limit = 65536 })
            client.on_close = expect(function(_, message, code)
                assert.is_string(message)
                assert.equal("ETIMEDOUT", code)
                assert.is_true(evsock.now() - begin > 0.28)
            end, 1)
            begin = evsock.now()
            flood(client)
            pump_until(is_state(client, "closed"))
        end)

        it("does not disturb other sockets", function()
            stalled()
            local other, peer = helper.pair()
            local count = 0
            peer.on_data = function(sock)
                sock:write(sock:read())
            end
            other.on_data = expect(function(sock)
                sock:read()
                count = count + 1
                sock:write("x")
            end)
            other:write("x")
            pump_until(function() return count >= 50 end)
            other.on_data = nil
        end)
    end)

    it("write_timeout does not end a socket that has nothing to send", function()
        local client, peer = helper.pair({ write_timeout = 0.1, on_close = never("on_close") })
        client:write("x")
        helper.pump_for(0.25)
        assert.equal(1, peer.buffered)
        assert.equal("open", client.state)
        client.on_close = nil
    end)
end)
