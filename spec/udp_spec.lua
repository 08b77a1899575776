-- Datagrams: evsock.udp and its objects, over the loopback interface.
--
-- api: a datagram is one, whatever its length; what has come waits in a bounded queue; what goes to
-- a name waits for it.

local evsock = require "evsock"
local helper = require "spec.helper"

local function open(given, host)
    return helper.track(assert(evsock.udp(host or "127.0.0.1", 0, given)))
end

-- A socket whose datagrams are appended to the list that comes second.
local function listener(given, host)
    local got = {}
    given = given or {}
    given.on_datagram = function(_, data, from, port)
        got[#got + 1] = { data = data, host = from, port = port }
    end
    return open(given, host), got
end

-- A socket that calls `act` with itself for each datagram; how often is `count` of the second.
local function counting(act, given)
    local told = { count = 0 }
    given = given or {}
    given.on_datagram = function(sock)
        told.count = told.count + 1
        act(sock)
    end
    return open(given), told
end

local function send_five(to)
    local sender = open()
    for _ = 1, 5 do
        sender:send_to("x", "127.0.0.1", to.port)
    end
end

-- Those values of a call mean that it was refused, for that reason.
local function refused(wanted, wanted_code, ok, message, code)
    assert.is_nil(ok)
    assert.equal(wanted, message)
    assert.equal(wanted_code, code)
end

local function texts(got)
    local list = {}
    for i, one in ipairs(got) do
        list[i] = one.data
    end
    return list
end

-- Answers each datagram by itself in capitals.
local function echo(host)
    return open({
        on_datagram = function(sock, data, from, port)
            assert(sock:send_to(data:upper(), from, port))
        end,
    }, host)
end

local function until_count(got, count)
    helper.pump_until(function() return #got >= count end, 5, count .. " datagrams")
end

local descriptors = helper.descriptors

describe("a socket for datagrams", function()
    after_each(helper.finish)

    it("talks to another over IPv4 and over IPv6, and tells who sent", function()
        for _, host in ipairs { "127.0.0.1", "::1" } do
            local server = echo(host)
            local client, got = listener(nil, host)
            assert.is_true(client:send_to("ping", host, server.port))
            until_count(got, 1)
            assert.same({ { data = "PING", host = host, port = server.port } }, got)
        end
    end)

    it("is bound at once, to all interfaces and a free port if nothing is said", function()
        local sock = helper.track(assert(evsock.udp()))
        assert.equal("0.0.0.0", sock.host)
        assert.is_true(sock.port > 0)
        assert.is_true(sock.fd > 2)
        local v6 = helper.track(assert(evsock.udp("::")))
        assert.equal("::", v6.host)
        assert.equal("evsock.Udp: bound [::]:" .. v6.port, tostring(v6))
    end)

    it("is itself in its handlers, and a userdata with a readable class", function()
        local sock, seen
        sock = open({
            on_datagram = function(self)
                seen = self
            end,
        })
        sock:send_to("x", "127.0.0.1", sock.port)
        helper.pump_until(function() return seen end)
        assert.equal(sock, seen)
        assert.equal("evsock.Udp", getmetatable(sock).__name)
    end)

    it("keeps the boundaries of datagrams, of empty ones, too, and every byte", function()
        local sock, got = listener()
        local sender = open()
        local every = {}
        for byte = 0, 255 do
            every[#every + 1] = string.char(byte)
        end
        local sent = { "one", "", "two\0\n", "", table.concat(every), "three" }
        for _, data in ipairs(sent) do
            assert.is_true(sender:send_to(data, "127.0.0.1", sock.port))
        end
        until_count(got, #sent)
        assert.same(sent, texts(got))
    end)

    it("carries 65507 bytes, the most that IPv4 has room for", function()
        local sock, got = listener()
        local large = ("0123456789abcdef"):rep(4095):sub(1, 65507)
        assert.is_true(open():send_to(large, "127.0.0.1", sock.port))
        until_count(got, 1)
        assert.is_true(got[1].data == large)
    end)

    it("says which datagram was too large, and for whom", function()
        local sock = open({ on_error = helper.never("on_error") })
        local sent, message, code = sock:send_to(("x"):rep(65508), "127.0.0.1", 9)
        assert.is_nil(sent)
        assert.equal("send_to 127.0.0.1:9: message too long", message)
        assert.equal("EMSGSIZE", code)
    end)

    it("cuts what is longer than max_size, and says of which it has", function()
        for _, host in ipairs { "127.0.0.1", "::1" } do
            local told = {}
            local sock = open({
                max_size = 5,
                on_datagram = function(...)
                    local _, data, _, _, cut = ...
                    told[#told + 1] = { select("#", ...), data, cut }
                end,
            }, host)
            local sender = open(nil, host)
            for _, data in ipairs { "123456789", "12345", "123456", "" } do
                sender:send_to(data, host, sock.port)
            end
            until_count(told, 4)
            local wanted = { { 5, "12345", true }, { 5, "12345", false }, { 5, "12345", true },
                { 5, "", false } }
            assert.same(wanted, told)
        end
    end)

    it("says to who reads without a handler which datagram was cut", function()
        local sock = open({ max_size = 5 })
        local sender = open()
        for _, data in ipairs { "123456789", "12345" } do
            sender:send_to(data, "127.0.0.1", sock.port)
            local told
            helper.pump_until(function()
                told = { sock:read() }
                return told[1]
            end)
            assert.same({ "12345", "127.0.0.1", sender.port, data ~= "12345" }, told)
        end
    end)

    it("counts the bytes of both directions", function()
        local sock, got = listener()
        local sender = open()
        sender:send_to("12345", "127.0.0.1", sock.port)
        sender:send_to("", "127.0.0.1", sock.port)
        sender:send_to("678", "127.0.0.1", sock.port)
        until_count(got, 3)
        assert.equal(8, sock.bytes_read)
        assert.equal(0, sock.bytes_written)
        assert.equal(8, sender.bytes_written)
        sender:close()
        assert.equal(8, sender.bytes_written)
    end)

    it("calls no handler inside of a call", function()
        local sock, got = listener()
        sock:send_to("x", "127.0.0.1", sock.port)
        sock:resume()
        sock:pause()
        sock:resume()
        assert.equal(0, #got)
        until_count(got, 1)
    end)

    it("holds so many unread and leaves the rest to the system, and loses none of them", function()
        local sock, got = listener()
        local sender = open()
        -- 200 small ones are no trouble for the system's buffer.
        for n = 1, 200 do
            assert.is_true(sender:send_to("n" .. n, "127.0.0.1", sock.port))
        end
        -- Others are pumped, this one is not.
        local deadline = evsock.now() + 5 * helper.slow
        repeat
            evsock.attend(sender, 0.01)
        until sock.bytes_read > 0 or evsock.now() >= deadline
        for _ = 1, 5 do
            evsock.attend(sender, 0.005)
        end
        assert.equal(0, #got)
        local held = sock.bytes_read
        local most = 0
        for n = 1, 64 do
            most = most + #("n" .. n)
        end
        assert.equal(most, held)
        until_count(got, 200)
        for n = 1, 200 do
            assert.equal("n" .. n, got[n].data)
        end
    end)

    it("holds so many bytes unread", function()
        local sock = open({ on_datagram = function() end })
        local sender = open()
        local large = ("x"):rep(60000)
        local sent = 0
        local deadline = evsock.now() + 5 * helper.slow
        -- The system's own buffer holds some, so more is sent until nothing more is read.
        repeat
            local before = sock.bytes_read
            sender:send_to(large, "127.0.0.1", sock.port)
            sent = sent + 1
            evsock.attend(sender, 0.005)
        until sent >= 20 and sock.bytes_read == before or evsock.now() >= deadline
        assert.equal(5 * #large, sock.bytes_read)
    end)

    it("reads and tells nothing while it pauses, and everything in order afterwards", function()
        local sock, got = listener({ paused = true })
        local sender = open()
        for n = 1, 10 do
            sender:send_to("n" .. n, "127.0.0.1", sock.port)
        end
        helper.pump_for(0.03)
        assert.equal(0, #got)
        assert.equal(0, sock.bytes_read)
        sock:resume()
        until_count(got, 10)
        assert.equal("n1", got[1].data)
        assert.equal("n10", got[10].data)
    end)

    it("tells nothing more from the moment that a handler pauses it", function()
        local sock, told = counting(function(self)
            self:pause()
        end)
        send_five(sock)
        for n = 1, 5 do
            helper.pump_until(function() return told.count == n end)
            helper.pump_for(0.01)
            assert.equal(n, told.count)
            sock:resume()
        end
    end)

    it("can be read without a handler, datagram by datagram", function()
        local sock = open()
        local sender = open()
        assert.is_nil(sock:read())
        sender:send_to("one", "127.0.0.1", sock.port)
        sender:send_to("", "127.0.0.1", sock.port)
        local data, host, port
        helper.pump_until(function()
            data, host, port = sock:read()
            return data
        end)
        assert.same({ "one", "127.0.0.1", sender.port }, { data, host, port })
        helper.pump_until(function()
            data = sock:read()
            return data
        end)
        assert.equal("", data)
        assert.is_nil(sock:read())
    end)

    it("keeps what came while there was no handler for the one that is set later", function()
        local sock = open()
        local sender = open()
        sender:send_to("one", "127.0.0.1", sock.port)
        helper.pump_until(function() return sock.bytes_read == 3 end)
        helper.pump_for(0.01)
        local got = {}
        sock.on_datagram = function(_, data)
            got[#got + 1] = data
        end
        sender:send_to("two", "127.0.0.1", sock.port)
        until_count(got, 2)
        assert.same({ "one", "two" }, got)
    end)

    it("sends to a name, in order, and answers true at once", function()
        local sock, got = listener()
        local sender = open({ on_error = helper.never("on_error") })
        for n = 1, 20 do
            assert.is_true(sender:send_to("n" .. n, "localhost", sock.port))
        end
        until_count(got, 20)
        assert.equal("n20", got[20].data)
    end)

    it("says by on_error that a name is unknown, not by the call", function()
        local message, code
        local sock = open({
            on_error = function(_, text, why)
                message, code = text, why
            end,
        })
        assert.is_true(sock:send_to("x", "no-such-host.invalid", 9))
        assert.is_nil(message)
        helper.pump_until(function() return message end, 20)
        assert.is_truthy(message:find("^send_to no%-such%-host%.invalid:9: %l"), message)
        assert.equal("EHOSTNOTFOUND", code)
    end)

    it("refuses what is no host at once", function()
        local sock = open()
        refused("send_to two words:9: this is no host name", "EBADHOST",
            sock:send_to("x", "two words", 9))
        refused("send_to unix:/run/x: a Unix socket takes no datagrams", "EBADHOST",
            sock:send_to("x", "unix:/run/x", 9))
    end)

    it("holds a bounded number for a name, and bytes", function()
        local errors = 0
        local sock = open({
            on_error = function()
                errors = errors + 1
            end,
        })
        -- At which one. A lookup that fails meanwhile makes room, one left over takes some.
        local function refused_at(data, try)
            local name = ("no-such-host-%d-%d.invalid"):format(#data, try)
            for n = 1, 300 do
                local ok, message, code = sock:send_to(data, name, 9)
                if not ok then
                    assert.equal("EAGAIN", code)
                    assert.equal("send_to " .. name .. ":9: too many datagrams wait to be sent",
                        message)
                    return n
                end
            end
        end
        for data, wanted in pairs { [("x"):rep(60000)] = 18, x = 257 } do
            local found
            local try = 0
            repeat
                try = try + 1
                found = refused_at(data, try)
                local before = errors
                helper.pump_until(function() return errors > before end, 20)
            until found == wanted or try == 50
            assert.equal(wanted, found)
        end
        -- What has failed waits no more.
        assert.is_true(sock:send_to(("x"):rep(60000), "127.0.0.1", sock.port))
    end)

    it("has no address for the other family", function()
        local sock = open()
        refused("send_to [::1]:9: no IPv4 address, which this socket needs", "EADDRNOTAVAIL",
            sock:send_to("x", "::1", 9))
    end)

    it("connects to one peer: hears that one alone, and sends without an address", function()
        local server = echo()
        local client, got = listener()
        local connected = helper.expect(1)
        client.on_connect = connected
        assert.is_true(client:connect("127.0.0.1", server.port))
        assert.equal(0, helper.calls(connected))
        assert.is_true(client:send_to("ping"))
        open():send_to("stranger", "127.0.0.1", client.port)
        until_count(got, 1)
        helper.pump_for(0.02)
        assert.same({ "PING" }, texts(got))
        local ok, message, code = client:send_to("x", "127.0.0.1", server.port)
        assert.is_nil(ok)
        assert.is_truthy(message:find("the socket is connected", 1, true))
        assert.equal("EINVAL", code)
        refused("connect 127.0.0.1:9: the socket is connected already", "EBUSY",
            client:connect("127.0.0.1", 9))
    end)

    it("needs an address while it is not connected", function()
        refused("send_to: the socket is not connected", "ECLOSED", open():send_to("x"))
    end)

    it("hears by on_error that the peer of a connected one is not there, and goes on", function()
        local port = open().port
        helper.finish()
        local errors = {}
        local sock = open({
            on_error = function(_, message, code)
                errors[#errors + 1] = { message, code }
            end,
        })
        assert.is_true(sock:connect("127.0.0.1", port))
        assert.is_true(sock:send_to("x"))
        helper.pump_until(function() return errors[1] end)
        assert.same({ "receive 127.0.0.1:" .. port .. ": connection refused", "ECONNREFUSED" },
            errors[1])
        assert.is_true(sock:send_to("y"))
    end)

    it("says what kept it from being bound", function()
        local taken = open()
        local sock, message, code = evsock.udp("127.0.0.1", taken.port)
        assert.is_nil(sock)
        assert.equal("udp 127.0.0.1:" .. taken.port .. ": address already in use", message)
        assert.equal("EADDRINUSE", code)
        sock, message, code = evsock.udp("192.0.2.1", 0)
        assert.is_nil(sock)
        assert.is_truthy(message:find("^udp 192%.0%.2%.1:0: "))
        assert.equal("EADDRNOTAVAIL", code)
        sock, message, code = evsock.udp("somewhere.example", 0)
        assert.is_nil(sock)
        assert.equal(
            "udp somewhere.example:0: a numeric address, localhost or * is needed", message)
        assert.equal("EBADHOST", code)
    end)

    it("shares its port if both say so", function()
        local one = open({ reuse_port = true })
        helper.track(assert(evsock.udp("127.0.0.1", one.port, { reuse_port = true })))
        local third = open({ reuse_address = true })
        helper.track(assert(evsock.udp("127.0.0.1", third.port, { reuse_address = true })))
    end)

    it("may broadcast if it was asked for", function()
        local ok, _, code = open():send_to("x", "255.255.255.255", 9)
        assert.is_nil(ok)
        assert.is_truthy(({ EACCES = true, ENETUNREACH = true })[code], code)
        local _, _, other = helper.track(assert(evsock.udp("*", 0, { broadcast = true })))
            :send_to("x", "255.255.255.255", 9)
        assert.not_equal("EACCES", other)
    end)

    it("hears a group that it has joined, until it leaves", function()
        local group = "239.255.77.7"
        local got = {}
        local sock = helper.track(assert(evsock.udp("0.0.0.0", 0, {
            on_datagram = function(_, data)
                got[#got + 1] = data
            end,
        })))
        assert.is_true(sock:join_group(group, "127.0.0.1"))
        assert.is_true(sock:send_to("one", group, sock.port))
        until_count(got, 1)
        assert.is_true(sock:leave_group(group, "127.0.0.1"))
        local ok, message, code = sock:leave_group(group, "127.0.0.1")
        assert.is_nil(ok)
        assert.is_truthy(message:find("^leave_group 239%.255%.77%.7: "))
        assert.equal("EADDRNOTAVAIL", code)
        ok, message = sock:join_group("10.0.0.1")
        assert.is_nil(ok)
        assert.is_truthy(message:find("^join_group 10%.0%.0%.1: "))
    end)

    it("refuses misuse at the line of the caller", function()
        local sock = open()
        local udp, misuse = evsock.udp, helper.misuse
        misuse(function() udp(7) end, "bad argument 'host' to 'udp' (string expected, got 7)")
        misuse(function() udp("*", 65536) end, "bad argument 'port' to 'udp'")
        misuse(function() udp("*", 0, 7) end, "bad argument 'options' to 'udp'")
        misuse(function() udp("*", 0, { x = 1 }) end, "bad option 'x' to 'udp' (unknown name)")
        misuse(function() udp("*", 0, { max_size = 0 }) end, "bad option 'max_size' to 'udp'")
        misuse(function() udp("*", 0, { paused = 1 }) end, "bad option 'paused' to 'udp'")
        misuse(function() udp("*", 0, { on_error = 1 }) end, "bad argument 'on_error' to 'udp'")
        misuse(function() sock:send_to({}, "::1", 9) end, "bad argument 'data' to 'send_to'")
        misuse(function() sock:send_to("x", "::1", -1) end, "bad argument 'port' to 'send_to'")
        misuse(function() sock:join_group("name") end, "bad argument 'group' to 'join_group'")
        misuse(function() sock:join_group("239.1.2.3", "lo") end, "bad argument 'interface'")
        misuse(function() sock.send_to(7, "x") end, "bad argument 'self' to 'send_to'")
        misuse(function() sock.close(evsock.socket()) end, "bad argument 'self' to 'close'")
        misuse(function() sock.port = 7 end, "is read-only")
        misuse(function() sock.on_datagram = 7 end, "must be a function or nil")
    end)

    it("takes ports as floats and texts, and tells integers", function()
        local sock, got = listener()
        local sender = open()
        assert.is_true(sender:send_to("x", "127.0.0.1", sock.port + 0.0))
        assert.is_true(sender:send_to("y", "127.0.0.1", tostring(sock.port)))
        until_count(got, 2)
        assert.equal(tostring(sender.port), tostring(got[1].port))
        assert.is_nil(tostring(got[1].port):find("%."))
    end)

    it("sends its errors of handlers where those of other sockets go", function()
        local sock = open({
            on_datagram = function(_, data)
                error("thrown at " .. data, 0)
            end,
        })
        local heard
        evsock.on_error = function(message, object)
            heard = { message, object }
        end
        sock:send_to("noon", "127.0.0.1", sock.port)
        helper.pump_until(function() return heard end)
        assert.is_truthy(tostring(heard[1]):find("thrown at noon", 1, true))
        assert.equal(sock, heard[2])
        evsock.on_error = nil
        sock:send_to("night", "127.0.0.1", sock.port)
        local ok, message
        local deadline = evsock.now() + 5
        repeat
            ok, message = pcall(evsock.pump, 0.02)
        until not ok or evsock.now() >= deadline
        assert.is_false(ok)
        assert.is_truthy(tostring(message):find("thrown at night", 1, true))
    end)

    it("loses no datagram by an error of a handler", function()
        local count = 0
        local sock = open({
            on_datagram = function()
                count = count + 1
                error("again", 0)
            end,
        })
        for _ = 1, 10 do
            sock:send_to("x", "127.0.0.1", sock.port)
        end
        local deadline = evsock.now() + 5
        repeat
            pcall(evsock.pump, 0.02)
        until count == 10 or evsock.now() >= deadline
        assert.equal(10, count)
    end)

    it("may be closed in its handler; nothing is told afterwards", function()
        local sock, told = counting(function(self)
            self:close()
            self:close()
        end, { on_error = helper.never("on_error") })
        send_five(sock)
        helper.pump_until(function() return told.count > 0 end)
        helper.pump_for(0.02)
        assert.equal(1, told.count)
        assert.is_nil(sock.port)
        assert.is_nil(sock.host)
        assert.is_nil(sock.fd)
        assert.equal("evsock.Udp: closed", tostring(sock))
        local ok, message, code = sock:send_to("x", "127.0.0.1", 9)
        assert.same({ "nil", "send_to: the socket is closed", "ECLOSED" },
            { tostring(ok), message, code })
        assert.is_nil(sock:read())
    end)

    it("gives its port back at once when it is closed", function()
        local sock = open()
        local port = sock.port
        sock:close()
        helper.track(assert(evsock.udp("127.0.0.1", port)))
    end)

    it("counts as active while it is open, and run goes on with it", function()
        assert.equal(0, evsock.active())
        local sock
        sock = open({
            on_datagram = function(self)
                self:close()
            end,
        })
        assert.equal(1, evsock.active())
        sock:send_to("x", "127.0.0.1", sock.port)
        evsock.run()
        assert.equal(0, evsock.active())
    end)

    it("is woken by a datagram out of a long wait", function()
        local sock, got = listener()
        evsock.after(0.02, function()
            sock:send_to("x", "127.0.0.1", sock.port)
        end)
        local before = evsock.now()
        repeat
            evsock.pump(5)
        until got[1] or evsock.now() >= before + 5
        assert.is_true(evsock.now() - before < 4)
    end)

    it("is pumped alone by attend", function()
        local one, got_one = listener()
        local two, got_two = listener()
        one:send_to("1", "127.0.0.1", one.port)
        two:send_to("2", "127.0.0.1", two.port)
        local deadline = evsock.now() + 5
        repeat
            evsock.attend(two, 0.02)
        until got_two[1] or evsock.now() >= deadline
        assert.equal(1, #got_two)
        assert.equal(0, #got_one)
        until_count(got_one, 1)
    end)
end)

describe("the life of a socket for datagrams", function()
    after_each(helper.finish)

    setup(helper.traces_off)
    teardown(helper.traces_on)

    -- Overwrites what finished calls left on the stack, where the collector may see an object.
    local function scrub(depth)
        local filler = depth * 2
        return depth > 0 and scrub(depth - 1) + filler or 0
    end

    local function collect()
        scrub(30)
        for _ = 1, 4 do
            collectgarbage()
        end
    end

    it("lasts while it has a handler and is open, kept by the script or not", function()
        local got = 0
        local port = assert(evsock.udp("127.0.0.1", 0, {
            on_datagram = function(sock)
                got = got + 1
                sock:close()
            end,
        })).port
        collect()
        assert.equal(1, evsock.active())
        open():send_to("x", "127.0.0.1", port)
        helper.pump_until(function() return got == 1 end)
    end)

    it("ends when nobody holds it, in every state, and its descriptor goes back", function()
        local function make(prepare)
            local sock = assert(evsock.udp("127.0.0.1", 0))
            prepare(sock)
        end
        local states = {
            function() end,
            function(sock)
                sock:pause()
            end,
            function(sock)
                sock:send_to("x", "no-such-host.invalid", 9)
            end,
            function(sock)
                sock:connect("127.0.0.1", 9)
            end,
            function(sock)
                sock:connect("no-such-host.invalid", 9)
            end,
            function(sock)
                sock:send_to("x", "127.0.0.1", sock.port)
                helper.pump_until(function() return sock.bytes_read == 1 end)
            end,
            function(sock)
                sock.on_datagram = function() end
                sock.on_datagram = nil
            end,
            function(sock)
                sock.on_datagram = function()
                    return sock
                end
                sock:close()
            end,
        }
        for _, prepare in ipairs(states) do
            make(prepare)
        end
        collect()
        helper.pump_for(0.01)
        local before = descriptors()
        for _, prepare in ipairs(states) do
            for _ = 1, 5 do
                make(prepare)
            end
        end
        collect()
        assert.equal(0, evsock.active())
        assert.is_true(descriptors() <= before + 2)
    end)

    it("goes on in another object when its descriptor is opened again", function()
        for _ = 1, 50 do
            local sock, got = listener()
            sock:send_to("x", "127.0.0.1", sock.port)
            until_count(got, 1)
            sock:close()
        end
        assert.equal(0, evsock.active())
    end)

    it("may be ended with the interpreter in the middle of everything", function()
        local output, status = helper.run([[
            local evsock = require "evsock"
            sock = evsock.udp("127.0.0.1", 0, { on_datagram = print })
            sock:send_to("x", "127.0.0.1", sock.port)
            sock:send_to("x", "no-such-host.invalid", 9)
            other = evsock.udp()
            evsock.pump(0)
        ]])
        assert.equal(0, status, output)
    end)

    it("leaves a function that the script has put around evsock.udp in its place", function()
        local output, status = helper.run([[
            local evsock = require "evsock"
            local original, calls = evsock.udp, 0
            local function counting(...)
                calls = calls + 1
                return original(...)
            end
            evsock.udp = counting
            evsock.udp("127.0.0.1", 0):close()
            evsock.udp("127.0.0.1", 0):close()
            assert(evsock.udp == counting and calls == 2, calls)
        ]])
        assert.equal(0, status, output)
    end)
end)
