-- Options that the system carries out: buffers, the interface, what a close does, unacknowledged
-- bytes, and how groups are sent to. What the system is told stands in `src/sys` and
-- `src/net/stream/step.rs`, whose tests ask it back; here is what scripts see of it.

local helper = require "spec.helper"
local kit = require "spec.peers.openssl"
local network = require "spec.network"
local evsock = helper.evsock
local expect, misuse, pump_until = helper.expect, helper.misuse, helper.pump_until
local wait_state, is_state = helper.wait_state, helper.is_state

-- More than the buffers of both ends take.
local BIG = ("0123456789abcdef"):rep(1024 * 1024)

-- What `ss` says of this end of a connection: its line, and the one of its memory. `more`: flags.
local function system_says(sock, more)
    helper.unix_only("/proc and programs of Unix")
    local pipe = assert(io.popen("ss -tnmH" .. (more or "")))
    local text = pipe:read("*a")
    pipe:close()
    for line, memory in text:gmatch("(ESTAB[^\n]*)\n([^\n]*)") do
        local own, peer = line:match(":(%d+)%s+%S+:(%d+)")
        if tonumber(own) == sock.local_port and tonumber(peer) == sock.peer_port then
            return line, memory
        end
    end
    error("the system knows of no such connection:\n" .. text)
end

-- The bytes that the system holds for each direction, as it counts them.
local function buffers(sock)
    local _, memory = system_says(sock)
    local received, sent = memory:match("rb(%d+),t%d+,tb(%d+)")
    return tonumber(received), tonumber(sent)
end


-- What its `on_close` is told.
local function fate(sock)
    local told = {}
    sock.on_close = expect(function(_, message, code)
        told.is_told, told.message, told.code = true, message, code
    end, 1)
    return told
end

local function wait_told(told)
    pump_until(function() return told.is_told end, 10 * helper.slow, "an on_close")
    return told.code
end

describe("the buffers of the system", function()
    after_each(helper.finish)

    it("are its own choice unless they are given, to both ends", function()
        local plain = helper.pair()
        local received, sent = buffers(plain)
        local client, peer = helper.pair(
            { receive_buffer = 20000, send_buffer = 30000 },
            { receive_buffer = 24000, send_buffer = 32000 })
        -- Linux takes twice as much, for what it needs itself.
        assert.same({ 40000, 60000 }, { buffers(client) })
        assert.same({ 48000, 64000 }, { buffers(peer) })
        assert.not_same({ 40000, 60000 }, { received, sent })
    end)

    it("can be changed on an open connection; 0 leaves them as they are", function()
        local client, peer, record = helper.pair()
        client.receive_buffer, peer.send_buffer = 20000, 30000
        assert.equal(40000, (buffers(client)))
        assert.equal(60000, select(2, buffers(peer)))
        client.receive_buffer = 0
        assert.equal(0, client.receive_buffer)
        assert.equal(40000, (buffers(client)))
        -- More than there is becomes what there is.
        client.receive_buffer = 2 ^ 53
        assert.is_true(buffers(client) > 40000)
        -- Of a server for those that are accepted from then on.
        record.server.receive_buffer = 25000
        helper.connect(record.port)
        pump_until(function() return record.sockets[2] end)
        assert.equal(50000, (buffers(record.sockets[2])))
    end)

    it("of datagrams and Unix sockets are taken, too", function()
        local udp = helper.track(assert(evsock.udp("127.0.0.1", 0, { receive_buffer = 30000 })))
        assert.equal(30000, udp.receive_buffer)
        udp.send_buffer = 20000
        assert.equal(20000, udp.send_buffer)
        misuse(function() udp.send_buffer = -1 end, "'send_buffer' (number of bytes")
        misuse(function() udp.send_buffer = 0 / 0 end, "'send_buffer' (number of bytes")
        assert.equal(20000, udp.send_buffer)
        if helper.is_windows then
            return
        end
        local path = helper.free_path()
        local peer
        helper.track(assert(evsock.listen("unix:" .. path, {
            send_buffer = 20000, read_limit = 1000,
            on_accept = function(_, sock) peer = helper.track(sock) end,
        })))
        local client = helper.track(evsock.connect("unix:" .. path, {
            send_buffer = 20000, read_limit = 1000 }))
        pump_until(function() return peer and client.state == "open" end)
        -- What nobody reads stays with the system and with us, as far as there is room.
        for _, sock in ipairs { client, peer } do
            sock:write(("x"):rep(200000))
            assert.is_true(sock.pending > 100000, sock.pending)
        end
    end)
end)

describe("the option linger", function()
    after_each(helper.finish)

    -- An end that is not read from and whose system takes little.
    local stingy = { receive_buffer = 4096, read_limit = 1 }

    it("of 0 makes a close a reset, which takes what is unsent along", function()
        for _, text in ipairs { "", "a", BIG } do
            local client, peer = helper.pair({ linger = 0 }, stingy)
            local own, other = fate(client), fate(peer)
            client:write(text)
            client:close()
            assert.equal("closing", client.state)
            assert.is_nil(wait_told(own))
            assert.equal("closed", client.state)
            peer.read_limit = #BIG
            assert.equal("ECONNRESET", wait_told(other))
            assert.is_true(helper.read_away(peer) < #BIG)
        end
    end)

    it("of 0 is that of an accepted socket, of one set later, of one that is dropped", function()
        local client, peer = helper.pair(nil, { linger = 0 })
        local told = fate(client)
        peer:close()
        assert.equal("ECONNRESET", wait_told(told))

        client, peer = helper.pair()
        peer.linger = 5
        peer.linger = 0
        told = fate(client)
        peer:close()
        assert.equal("ECONNRESET", wait_told(told))

        client, peer = helper.pair({ linger = 0 })
        told = fate(peer)
        client:connect("127.0.0.1", helper.server().port)
        assert.equal("ECONNRESET", wait_told(told))
    end)

    it("of 0 counts at the end of stream of the peer and at the end of the process, too", function()
        local client, peer = helper.pair(nil, { linger = 0 })
        local told = fate(peer)
        client:shutdown()
        assert.is_nil(wait_told(told))
        local mine = fate(client)
        assert.equal("ECONNRESET", wait_told(mine))

        if helper.is_windows then
            return
        end
        local record = helper.server()
        local started = helper.start(([[
            local evsock = require "evsock"
            local sock = evsock.connect("127.0.0.1", %d, { linger = 0 })
            assert(sock:wait("connect", 10))
            os.exit(0, false)
        ]]):format(record.port))
        helper.track(started, function() started:close() end)
        pump_until(function() return record.sockets[1] end, 10 * helper.slow)
        assert.equal("ECONNRESET", wait_told(fate(record.sockets[1])))
    end)

    it("false takes that back", function()
        local client, peer = helper.pair({ linger = 0 })
        client.linger = false
        local told = fate(peer)
        client:write("all of it")
        client:close()
        assert.is_nil(wait_told(told))
        assert.equal("all of it", peer:read())
    end)

    it("in seconds is how long a close goes on sending, and then it is a reset", function()
        local client, peer = helper.pair({ linger = 0.2 }, stingy)
        local own, other = fate(client), fate(peer)
        local begun = evsock.now()
        client:write(BIG)
        client:close()
        assert.equal("ETIMEDOUT", wait_told(own))
        assert.matches("^close 127%.0%.0%.1:%d+: not everything was sent$", own.message)
        local took = evsock.now() - begun
        assert.is_true(took >= 0.19 and took < 2 * helper.slow, took)
        peer.read_limit = #BIG
        assert.equal("ECONNRESET", wait_told(other))
    end)

    it("in seconds is how long what the system has may go unacknowledged", function()
        helper.unix_only("what the system has sent and nobody has acknowledged")
        local client, peer = helper.pair({ linger = 0.2 }, stingy)
        local own, other = fate(client), fate(peer)
        -- Our system takes it all, the peer's does not.
        local text = ("x"):rep(50000)
        client:write(text)
        assert.equal(0, client.pending)
        client:close()
        assert.is_nil(wait_told(own))
        helper.pump_for(0.3 * helper.slow)
        peer.read_limit = #BIG
        assert.equal("ECONNRESET", wait_told(other))
        assert.is_true(helper.read_away(peer) < #text)

        -- Without, the system goes on for as long as it takes.
        client, peer = helper.pair(nil, stingy)
        own, other = fate(client), fate(peer)
        client:write(text)
        client:close()
        assert.is_nil(wait_told(own))
        helper.pump_for(1.3)
        peer.read_limit = #BIG
        assert.is_nil(wait_told(other))
        assert.equal(#text, helper.read_away(peer))
    end)

    it("in seconds loses nothing of what is read in time, or after the peer's end", function()
        for _, ended in ipairs { false, true } do
            local client, peer = helper.pair(
                { linger = 20, half_open = true }, { receive_buffer = 4096, half_open = true })
            local other = fate(peer)
            local own = fate(client)
            if ended then
                peer:shutdown()
                helper.pump_for(0.05)
            end
            client:write(("x"):rep(400000))
            client:close()
            local got = 0
            pump_until(function()
                got = got + helper.read_away(peer)
                return got == 400000 and own.is_told
            end, 20 * helper.slow)
            assert.is_nil(own.code)
            peer:shutdown()
            assert.is_nil(wait_told(other))
        end
    end)

    it("as short as it is resets nobody who still sends when all is acknowledged", function()
        local client, peer = helper.pair({ linger = 0.01, half_open = true })
        local told = fate(peer)
        client:write("the end")
        client:close()
        -- The peer goes on for a while before it reads.
        local begun = evsock.now()
        peer.read_limit = 1
        while evsock.now() - begun < 0.2 do
            peer:write("x")
            helper.pump_for(0.02)
        end
        assert.equal("the end", peer:read())
        assert.is_nil(wait_told(told))
    end)

    it("never makes a call wait", function()
        local client = helper.pair({ linger = 30 }, stingy)
        client:write(BIG)
        local begun = evsock.now()
        client:close()
        evsock.pump()
        assert.is_true(evsock.now() - begun < 2 * helper.slow)
        client:abort()
        wait_state(client, "closed")
    end)

    it("leaves no descriptor behind", function()
        local before = helper.descriptors()
        for _, linger in ipairs { 0, 0.05, 10 } do
            local client, peer, record = helper.pair({ linger = linger }, { linger = linger })
            client:write("x")
            client:close()
            pump_until(function()
                return client.state == "closed" and peer.state == "closed"
            end)
            record.server:close()
        end
        pump_until(function() return helper.descriptors() <= before + 3 end, 10 * helper.slow)
    end)
end)

describe("a connection with TLS", function()
    local certificates = kit.certificates_for(setup, teardown)
    after_each(helper.finish)

    local function tls_pair(client_options, server_options)
        client_options.tls = { verify = false }
        server_options.tls = certificates:identity("ecdsa")
        return helper.pair(client_options, server_options)
    end

    it("has the options of the system from the beginning, accepted or not", function()
        local client, peer, record = tls_pair(
            { receive_buffer = 20000, keepalive = 100 },
            { send_buffer = 30000, keepalive = { idle = 100 } })
        assert.equal(40000, (buffers(client)))
        assert.equal(60000, select(2, buffers(peer)))
        -- While something is under way there is another timer.
        local function is_probed(sock)
            return (system_says(sock, "o"):find("timer:(keepalive", 1, true)) ~= nil
        end
        pump_until(function() return is_probed(client) and is_probed(peer) end)
        -- What the server's property became after it began to listen.
        record.server.keepalive, record.server.receive_buffer = false, 22000
        helper.connect(record.port, { tls = { verify = false } })
        pump_until(function() return record.sockets[2] end)
        assert.equal(44000, (buffers(record.sockets[2])))
        helper.pump_for(0.1)
        assert.is_false(is_probed(record.sockets[2]))
    end)

    it("with linger of 0 is reset, with seconds it ends in order", function()
        local client, peer = tls_pair({ linger = 0 }, {})
        local told = fate(peer)
        client:close()
        pump_until(function() return told.is_told end)
        assert.is_truthy(({ ECONNRESET = true, TLS_TRUNCATED = true })[told.code], told.code)
        client, peer = tls_pair({ linger = 10 }, {})
        told = fate(peer)
        client:write("all of it")
        client:close()
        assert.is_nil(wait_told(told))
        assert.equal("all of it", peer:read())
    end)
end)

describe("the option user_timeout", function()
    after_each(helper.finish)

    it("ends a connection whose peer takes nothing any more", function()
        helper.unix_only("a timeout of the system that wine does not have")
        local stingy = { receive_buffer = 4096, read_limit = 1 }
        local client = helper.pair({ user_timeout = 0.3 }, stingy)
        local told = fate(client)
        client:write(BIG)
        assert.equal("ETIMEDOUT", wait_told(told))
        assert.matches("127%.0%.0%.1:%d+: connection timed out$", told.message)
    end)

    it("is taken by Unix sockets, which need none", function()
        helper.unix_only("Unix sockets")
        local path = helper.free_path()
        helper.track(assert(evsock.listen("unix:" .. path, { user_timeout = 1 })))
        local sock = helper.track(evsock.connect("unix:" .. path, { user_timeout = 1, linger = 0 }))
        pump_until(is_state(sock, "open"))
    end)

    it("may be as long as it likes, and is no number that is none", function()
        helper.unix_only("a timeout of the system that wine does not have")
        local client = helper.pair({ user_timeout = 1e300 })
        assert.equal(1e300, client.user_timeout)
        for _, bad in ipairs { 0 / 0, 1 / 0, -0.1, "1" } do
            misuse(function() client.user_timeout = bad end, "'user_timeout' (seconds of at")
            misuse(function() client.linger = bad end, "bad value for 'linger' (seconds of at")
        end
        assert.equal("open", client.state)
    end)
end)

describe("the option device", function()
    after_each(helper.finish)

    it("ties a connection, a server and datagrams to an interface", function()
        local lo = "lo"
        local client, peer, record = helper.pair({ device = lo }, { device = lo })
        assert.matches("%%lo:%d+%s", (system_says(client)))
        assert.matches("%%lo:%d+%s", (system_says(peer)))
        assert.equal(lo, record.server.device)
        assert.equal(lo, client:info().device)
        local udp = helper.track(assert(evsock.udp("127.0.0.1", 0, { device = lo })))
        assert.equal(lo, udp.device)
        -- A name has its addresses tried in a race; each is tied.
        record.server:close()
        local server = helper.track(assert(evsock.listen("*", 0, {
            on_accept = function(_, sock) helper.track(sock) end,
        })))
        local sock = helper.track(evsock.connect("localhost", server.port, { device = lo }))
        pump_until(is_state(sock, "open"))
        assert.matches("%%lo%]?:%d+%s", (system_says(sock)))
    end)

    it("that is not there is named, before anything is sent", function()
        helper.unix_only("sockets that are tied to an interface")
        local wanted = ": option 'device': there is no interface 'no-such-if'"
        local options = { device = "no-such-if" }
        for call, made in pairs { listen = evsock.listen, udp = evsock.udp } do
            local object, message, code = made("127.0.0.1", 9, options)
            assert.is_nil(object)
            assert.equal(call .. " 127.0.0.1:9" .. wanted, message)
            assert.equal("EADDRNOTAVAIL", code)
        end
        local told = fate(helper.connect(9, options))
        assert.equal("EADDRNOTAVAIL", wait_told(told))
        assert.equal("connect 127.0.0.1:9" .. wanted, told.message)
        -- Longer than any name, which the system would cut.
        told = fate(helper.connect(9, { device = "lo" .. ("x"):rep(300) }))
        assert.equal("EADDRNOTAVAIL", wait_told(told))
    end)

    it("is looked for at each attempt", function()
        helper.unix_only("sockets that are tied to an interface")
        local tries = 0
        local record = helper.server()
        local sock = helper.connect(record.port, {
            device = "no-such-if", reconnect = 0.02, on_close = expect(function(sock)
                tries = tries + 1
                if tries == 2 then
                    sock.device = "lo"
                end
            end, 2),
        })
        pump_until(is_state(sock, "open"))
    end)

    it("cannot be changed while the socket has one in use, and says when it can", function()
        local client, peer, record = helper.pair()
        misuse(function() client.device = "lo" end, "option 'device' of a socket cannot be changed "
            .. "while it is open; set it before 'connect'")
        misuse(function() peer.device = false end, "set it before 'connect'")
        misuse(function() record.server.device = "lo" end, "give it to 'listen'")
        client:abort()
        wait_state(client, "closed")
        client.device = "lo"
        assert.equal("lo", client.device)
        local connecting = helper.connect(helper.silent_port())
        misuse(function() connecting.device = "lo" end, "while it is connecting")
    end)

    it("is a name or false", function()
        local sock = evsock.socket()
        assert.is_false(sock.device)
        for _, bad in ipairs { "", "a\0b", 1, true, {} } do
            misuse(function() sock.device = bad end, "bad value for 'device' (name of an inter")
            local options, wanted = { device = bad }, "bad option 'device' to "
            misuse(function() evsock.connect("h", 1, options) end, wanted .. "'connect'")
            misuse(function() evsock.listen("h", 1, options) end, wanted .. "'listen'")
            misuse(function() evsock.udp("h", 1, options) end, wanted .. "'udp'")
        end
        assert.is_false(sock.device)
    end)

    it("has no meaning for a Unix socket", function()
        helper.unix_only("Unix sockets")
        local path = "unix:" .. helper.free_path()
        local server, message, code = evsock.listen(path, { device = "lo" })
        assert.is_nil(server)
        assert.equal("EINVAL", code)
        assert.matches(": 'device' has no meaning for a Unix socket$", message)
        local told = fate(helper.track(evsock.connect(path, { device = "lo" })))
        assert.equal("EINVAL", wait_told(told))
        assert.matches(": 'device' has no meaning for a Unix socket$", told.message)
    end)

    it("that the system forbids gives EACCES, with the option's name", function()
        helper.unix_only("a shell of Unix")
        -- Without the right to it, a socket that has an interface can't have another.
        local output = helper.run([[
            local evsock = require "evsock"
            evsock.on_unhandled = false
            local udp = assert(evsock.udp("127.0.0.1", 0, { device = "lo" }))
            local ok, message = pcall(function() udp.device = false end)
            print(ok, (tostring(message):gsub("^.-: ", "")), udp.device)
        ]], "setpriv --bounding-set=-all --inh-caps=-all " .. helper.lua)
        assert.is_truthy(
            output == "false\tbad value for 'device' (operation not permitted)\tlo\n"
                -- Who has no rights at all has not even this.
                or output:find("setpriv"), output)
    end)
end)

describe("groups", function()
    after_each(helper.finish)

    -- A socket that has joined the group, and what it has heard.
    local function hearer(group)
        local heard = {}
        local sock = helper.track(assert(evsock.udp("0.0.0.0", 0, {
            on_datagram = function(_, data) heard[#heard + 1] = data end,
        })))
        assert(sock:join_group(group, "127.0.0.1"))
        return sock, heard
    end

    it("are sent to by the interface that is given, until another is", function()
        local group = "239.255.77.8"
        local hearing, heard = hearer(group)
        local ways = { "127.0.0.1" }
        if not helper.is_windows then
            ways = { "127.0.0.1", "lo", "1", 1 }
        end
        for place, interface in ipairs(ways) do
            local sock = helper.track(assert(evsock.udp("0.0.0.0", 0, { interface = interface })))
            assert.equal(interface, sock.interface)
            assert.is_true(sock:send_to(tostring(place), group, hearing.port))
            pump_until(function() return heard[place] end)
            local later = helper.track(assert(evsock.udp()))
            assert.is_false(later.interface)
            later.interface = interface
            assert.equal(interface, later.interface)
            later.interface = false
            assert.is_false(later.interface)
        end
        assert.equal(#ways, #heard)
    end)

    local interpreter, remove = network.interpreter()
    teardown(function()
        if interpreter then
            remove()
        end
    end)

    -- `hearer(interface, address)`: what a socket hears there of the group.
    local PRELUDE = [[
        local evsock = require "evsock"
        local child = require "spec.child"
        evsock.on_unhandled = false
        local GROUP, ANY = "%s", "%s"
        local function hearer(interface, address)
            local heard = {}
            local sock = assert(evsock.udp(ANY, 7777, { reuse_address = true, device = interface }))
            sock.on_datagram = function(_, data) heard[#heard + 1] = data end
            assert(sock:join_group(GROUP, address or interface))
            return heard
        end
        local function wait(what, condition) child.wait_until(evsock, what, condition, 10) end
    ]]
    local families = {
        IPv4 = { "239.255.77.9", "0.0.0.0", '"10.77.0.1"', '"10.77.0.2"' },
        IPv6 = { "ff15::7779", "::", "nil", "nil" },
    }

    for family, parts in pairs(interpreter and families or {}) do
        local function run(script)
            local prelude = PRELUDE:format(parts[1], parts[2])
            local hearers = ([[
                local at_a, at_b = hearer("va", %s), hearer("vb", %s)
            ]]):format(parts[3], parts[4])
            local output, status = helper.run(prelude .. hearers .. script, interpreter)
            assert.equal("fine\n", output)
            assert.equal(0, status)
        end

        it("of " .. family .. " leave by the interface that is given", function()
            run [[
                -- The other end of the cable hears it, and whoever has joined at the same end.
                local sock = assert(evsock.udp(ANY, 0, { interface = "va" }))
                assert(sock:send_to("by a", GROUP, 7777))
                wait("both", function() return at_a[1] and at_b[1] end)
                -- A group that is joined by another interface does not change that.
                assert(sock:join_group(GROUP, ANY == "::" and "vb" or "10.77.0.2"))
                sock.multicast_loop = false
                assert(sock:send_to("again", GROUP, 7777))
                wait("it", function() return at_b[2] == "again" end)
                sock.interface = "vb"
                assert(sock:send_to("by b", GROUP, 7777))
                wait("it", function() return at_a[2] == "by b" end)
                if ANY == "::" then
                    -- The zone of a group says for one datagram.
                    assert(sock:send_to("zone", "[" .. GROUP .. "%va]", 7777))
                    wait("it", function() return at_b[3] == "zone" end)
                    assert(sock:send_to("option", GROUP, 7777))
                    wait("it", function() return at_a[3] == "option" end)
                    local connected = assert(evsock.udp("::", 0))
                    assert(connected:connect(GROUP .. "%va", 7777))
                    assert(connected:send_to("connected"))
                    wait("it", function() return at_b[4] == "connected" end)
                else
                    assert(#at_a == 2 and #at_b == 2)
                end
                print "fine"
            ]]
        end)

        it("of " .. family .. " are not heard by the machine itself that wants it so", function()
            run [[
                local options = { interface = "va", multicast_loop = false }
                local sock = assert(evsock.udp(ANY, 0, options))
                assert(sock:send_to("far", GROUP, 7777))
                sock.multicast_loop = true
                assert(sock:send_to("near", GROUP, 7777))
                wait("them", function() return at_b[2] and at_a[1] end)
                assert(#at_a == 1 and at_a[1] == "near" and at_b[1] == "far")
                print "fine"
            ]]
        end)
    end

    it("are sent to with the time to live that is given", function()
        local sock = helper.track(assert(evsock.udp("127.0.0.1", 0, { multicast_ttl = 0 })))
        assert.equal(0, sock.multicast_ttl)
        for _, ttl in ipairs { 255, 1 } do
            sock.multicast_ttl = ttl
            assert.equal(ttl, sock.multicast_ttl)
        end
        for _, bad in ipairs { -1, 256, 1.5, "1", true, 0 / 0, 1 / 0, 2 ^ 53 } do
            misuse(function() sock.multicast_ttl = bad end,
                "bad value for 'multicast_ttl' (integer from 0 to 255 expected, got ")
        end
        assert.equal(1, sock.multicast_ttl)
    end)

    it("refuse an interface that is none", function()
        local sock = helper.track(assert(evsock.udp("127.0.0.1", 0)))
        local missing = "bad value for 'interface' (there is no interface "
        misuse(function() sock.interface = "no-such-if" end, missing .. "'no-such-if')")
        misuse(function() sock.interface = 2 ^ 31 - 16 end, missing .. "'2147483632')")
        misuse(function() sock.interface = "::1" end,
            "bad value for 'interface' (an address is not how its family names an interface;")
        for _, bad in ipairs { "", true, 0, -1, 1.5, {}, 0 / 0 } do
            misuse(function() sock.interface = bad end, "bad value for 'interface' (name, number "
                .. "or IPv4 address of an interface, or false expected, got ")
        end
        assert.is_false(sock.interface)
        local object, message, code = evsock.udp("127.0.0.1", 0, { interface = "no-such-if" })
        assert.is_nil(object)
        assert.equal("udp 127.0.0.1:0: option 'interface': there is no interface 'no-such-if'",
            message)
        assert.equal("EADDRNOTAVAIL", code)
        object, message, code = evsock.udp("127.0.0.1", 0, { interface = "192.0.2.1" })
        assert.is_nil(object)
        assert.matches("^udp 127%.0%.0%.1:0: option 'interface': ", message)
        assert.equal("EADDRNOTAVAIL", code)
    end)
end)

describe("an option of datagrams", function()
    after_each(helper.finish)

    it("is a property where it can be changed, and says when else", function()
        local sock = helper.track(assert(evsock.udp("127.0.0.1", 0, {
            reuse_address = true, max_size = 100,
        })))
        assert.is_true(sock.reuse_address)
        assert.is_false(sock.reuse_port)
        assert.equal(100, sock.max_size)
        for _, name in ipairs { "reuse_address", "reuse_port" } do
            misuse(function() sock[name] = true end, "option '" .. name .. "' of a socket for "
                .. "datagrams cannot be changed once it is bound; give it to 'udp'")
        end
        sock.max_size, sock.broadcast = 3, true
        assert.same({ 3, true }, { sock.max_size, sock.broadcast })
        local got
        sock.on_datagram = function(_, data, _, _, cut) got = { data, cut } end
        assert(sock:send_to("hello", "127.0.0.1", sock.port))
        pump_until(function() return got end)
        assert.same({ "hel", true }, got)
        misuse(function() sock.max_size = 0 end, "bad value for 'max_size' (integer from 1 to")
        misuse(function() sock.broadcast = 1 end, "bad value for 'broadcast' (boolean exp")
        sock:close()
        sock.multicast_ttl = 4
        assert.equal(4, sock.multicast_ttl)
        assert.equal(65535, helper.track(assert(evsock.udp())).max_size)
    end)
end)
