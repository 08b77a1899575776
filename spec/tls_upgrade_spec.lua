-- start_tls: an open connection becomes TLS, in order with what is written around it. Nothing that
-- came in plain text is ever taken for what the secured peer said (command and response injection).
--
-- Not here: TLS from the beginning (`tls_spec.lua`, `tls_edges_spec.lua`).

local helper = require "spec.helper"
local kit = require "spec.tls_kit"
local evsock = helper.evsock
local expect, never, pump_until = helper.expect, helper.never, helper.pump_until
local merge, closing_of, wait_for = kit.merge, kit.closing_of, kit.wait_for

local SECRET = "a secret of the application"
local WAIT = 5 * helper.slow

local certificates = kit.certificates_for(setup, teardown)

local function trusting(more)
    return certificates:trusting(merge({ server_name = "localhost" }, more))
end

-- A plain connection through a relay: client, the server's socket, the relay, the server's record.
local function plain_pair(client_options, server_options)
    local record = helper.server(server_options)
    local between = kit.relay(record.port)
    local client = helper.track(evsock.connect("localhost", between.port, client_options))
    pump_until(function()
        return client.state == "open" and record.sockets[1]
    end, WAIT, "a plain pair")
    return client, record.sockets[1], between, record
end

-- The same over a Unix socket, without a relay.
local function unix_pair(client_options)
    local path, peer = helper.free_path(), nil
    helper.track(assert(evsock.listen("unix:" .. path, {
        on_accept = function(_, sock) peer = helper.track(sock) end })))
    local client = helper.track(evsock.connect("unix:" .. path, client_options))
    pump_until(function() return peer and client.state == "open" end, WAIT)
    return client, peer
end

local function upgrade(client, peer, tls)
    assert.is_true(peer:start_tls(certificates:identity("ecdsa", tls)))
    assert.is_true(client:start_tls(trusting()))
end

describe("start_tls", function()
    after_each(helper.finish)

    it("tells both ends by on_secure, once, before any secured data", function()
        local client, peer, between = plain_pair()
        local order = {}
        for name, sock in pairs { client = client, peer = peer } do
            sock.on_connect = never("on_connect")
            sock.on_secure = expect(function(s)
                assert.equal("open", s.state)
                assert.equal("1.3", s.tls.version)
                order[#order + 1] = name .. " secure"
            end, 1)
            sock.on_data = function(s)
                order[#order + 1] = name .. " " .. s:read()
            end
        end
        upgrade(client, peer)
        client:write("c")
        peer:write("p")
        pump_until(function() return #order == 4 end, WAIT)
        local at = {}
        for i, what in ipairs(order) do
            at[what] = i
        end
        assert.is_true(at["client secure"] < at["client p"], table.concat(order, ", "))
        assert.is_true(at["peer secure"] < at["peer c"], table.concat(order, ", "))
        assert.is_true(client.tls.verified)
        assert.is_false(peer.tls.verified)
        assert.equal("localhost", peer.tls.server_name)
        assert.equal("\22\3", between.up:sub(1, 2))
    end)

    it("takes the host of connect for the name, and the tls of evsock.tls", function()
        local client, peer = plain_pair()
        assert.is_true(peer:start_tls(evsock.tls(certificates:identity("ecdsa"))))
        assert.is_true(client:start_tls(evsock.tls { cafile = certificates:path("ca.pem") }))
        client:write("x\n")
        assert.equal("x", peer:receive("*l", WAIT))
        assert.equal("localhost", client.tls.server_name)
    end)

    it("sends megabytes of before in plain text and of after secured, all in order", function()
        local client, peer, between = plain_pair(nil, { read_limit = 2 ^ 24 })
        local before = ("plain text\n"):rep(400000)
        local after = ("for your eyes only\n"):rep(200000)
        client:write(before, "STARTTLS\n")
        assert.is_true(client:start_tls(trusting()))
        client:write(after)
        assert.is_true(client.pending > 0)
        assert.is_true(peer:receive(#before, WAIT) == before)
        assert.equal("STARTTLS", peer:receive("*l", WAIT))
        -- The hello may have come behind the command already: no plain text, so it is taken.
        assert.is_true(peer:start_tls(certificates:identity("ecdsa")))
        assert.is_true(peer:receive(#after, WAIT) == after)
        assert.is_nil(between.up:find("for your eyes only", 1, true))
        assert.equal(before .. "STARTTLS\n", between.up:sub(1, #before + 9))
    end)

    it("takes the hello that came with the command, which is never read as data", function()
        local client, peer = plain_pair()
        local commands, said = {}, {}
        peer.on_data = function(sock, n)
            if sock.tls then
                said[#said + 1] = sock:read()
                return
            end
            assert.is_true(n > 0)
            local line = sock:read_line()
            if line then
                commands[#commands + 1] = line
                assert.is_true(sock:start_tls(certificates:identity("ecdsa")))
                assert.is_nil(sock:read())
                assert.equal(0, sock.buffered)
            end
        end
        client:write("STARTTLS\n")
        assert.is_true(client:start_tls(trusting()))
        client:write("first secured")
        pump_until(function() return table.concat(said) == "first secured" end, WAIT)
        assert.same({ "STARTTLS" }, commands)
    end)

    it("keeps a close behind what was written after it", function()
        local client, peer = plain_pair()
        upgrade(client, peer)
        client:write("the last word")
        client:close()
        assert.equal("the last word", peer:receive("*a", WAIT))
    end)

    it("works in tasks, one at each end", function()
        local client, peer = plain_pair()
        local said = {}
        local tasks = {
            evsock.spawn(function()
                assert.equal("STARTTLS", peer:receive("*l", WAIT))
                assert(peer:send("go\n", WAIT))
                assert(peer:start_tls(certificates:identity("ecdsa")))
                assert(peer:send("welcome\n", WAIT))
                said[1] = peer:receive("*l", WAIT)
            end),
            evsock.spawn(function()
                assert(client:send("STARTTLS\n", WAIT))
                assert.equal("go", client:receive("*l", WAIT))
                assert(client:start_tls(trusting()))
                assert(client:send("thanks\n", WAIT))
                said[2] = client:receive("*l", WAIT)
            end),
        }
        for _, task in ipairs(tasks) do
            helper.track(task)
        end
        for _, task in ipairs(tasks) do
            assert(task:join(WAIT))
        end
        assert.same({ "thanks", "welcome" }, said)
    end)

    describe("refuses plain bytes", function()
        local INJECTED = "injected by somebody\n"

        -- `sock` ends with TLS_NOT_TLS, not secured.
        local function ends(sock, told)
            assert.equal("TLS_NOT_TLS", wait_for(told), told.message)
            assert.is_nil(sock.tls)
        end

        -- And nothing of it reaches the script.
        local function ends_unread(sock, told)
            ends(sock, told)
            local left = sock:read() or ""
            assert.is_nil(left:find("injected", 1, true), left)
        end

        it("that lie in the buffer behind the answer", function()
            local client, peer = plain_pair()
            client.on_secure = never("on_secure")
            peer:write("go\n" .. INJECTED)
            assert.equal("go", client:receive("*l", WAIT))
            local told = closing_of(client)
            local ok, message, code = client:start_tls(trusting())
            assert.is_nil(ok)
            assert.is_string(message)
            assert.equal("TLS_NOT_TLS", code)
            ends(client, told)
        end)

        it("that the thread has read ahead and no handler has heard of", function()
            local client, peer = helper.pair()
            client.on_secure, client.on_data = never("on_secure"), never("on_data")
            local told = closing_of(client)
            peer:write(INJECTED)
            -- No pump: nothing is announced meanwhile.
            local deadline = evsock.now() + WAIT
            while client:info().live.read_ahead == 0 and evsock.now() < deadline do
                assert.equal("open", client.state)
            end
            assert.equal(#INJECTED, client:info().live.read_ahead)
            assert.equal("TLS_NOT_TLS", (select(3, client:start_tls(trusting()))))
            ends(client, told)
        end)

        it("that come after start_tls instead of the server's answer", function()
            local client, peer = plain_pair()
            client.on_secure, client.on_data = never("on_secure"), never("on_data")
            local told = closing_of(client)
            assert.is_true(client:start_tls(trusting()))
            client:write(SECRET)
            peer:write(INJECTED)
            ends_unread(client, told)
        end)

        it("that stand before the server's first record", function()
            local client, peer, between = plain_pair()
            client.on_secure, client.on_data = never("on_secure"), never("on_data")
            local told = closing_of(client)
            between.change = function(bytes, way)
                if way == "down" then
                    between.change = nil
                    return INJECTED .. bytes
                end
                return bytes
            end
            upgrade(client, peer)
            client:write(SECRET)
            ends_unread(client, told)
            assert.is_nil(between.up:find(SECRET, 1, true))
        end)

        it("of a client behind its command", function()
            local client, peer = plain_pair()
            peer.on_secure = never("on_secure")
            client:write("STARTTLS\n" .. INJECTED)
            assert.equal("STARTTLS", peer:receive("*l", WAIT))
            peer.on_data = never("on_data")
            local told = closing_of(peer)
            local ok, _, code = peer:start_tls(certificates:identity("ecdsa"))
            assert.is_nil(ok)
            assert.equal("TLS_NOT_TLS", code)
            ends(peer, told)
        end)

        it("of a client before its hello, in one piece or in two", function()
            for _, pieces in ipairs { 1, 2 } do
                local client, peer, between = plain_pair()
                peer.on_secure, peer.on_data = never("on_secure"), never("on_data")
                local told = closing_of(peer)
                between.change = function(bytes, way)
                    if way == "up" then
                        between.change = nil
                        if pieces == 1 then
                            return INJECTED .. bytes
                        end
                        between.far:write(INJECTED)
                    end
                    return bytes
                end
                upgrade(client, peer)
                ends_unread(peer, told)
                client:abort()
            end
        end)

        it("that pretend to be a record, in the client's role: nobody spoke TLS yet", function()
            local client, peer = plain_pair()
            peer:write("go\n\22\3\3\0\5hello")
            assert.equal("go", client:receive("*l", WAIT))
            local told = closing_of(client)
            assert.equal("TLS_NOT_TLS", (select(3, client:start_tls(trusting()))))
            ends(client, told)
        end)
    end)

    describe("that fails closes with its code, and nothing held is sent:", function()
        local function fails(code, tls, change)
            local client, peer, between = plain_pair()
            client.on_secure, peer.on_secure = never("on_secure"), never("on_secure")
            client.on_data, peer.on_data = never("on_data"), never("on_data")
            local told, peer_told = closing_of(client), closing_of(peer)
            between.change = change
            assert.is_true(peer:start_tls(certificates:identity("ecdsa")))
            peer:write(SECRET)
            assert.is_true(client:start_tls(tls))
            client:write(SECRET)
            assert.equal(code, wait_for(told), told.message)
            assert.is_truthy(tostring(wait_for(peer_told)):find("^TLS_"), peer_told.message)
            assert.is_nil(client.tls)
            assert.is_nil(between.up:find(SECRET, 1, true))
            assert.is_nil((client:write("more")))
        end

        it("an unknown issuer", function()
            fails("TLS_UNKNOWN_ISSUER", { cafile = certificates:path("other.pem") })
        end)

        it("another name", function()
            fails("TLS_BAD_HOSTNAME", trusting { server_name = "elsewhere" })
        end)

        it("a damaged answer", function()
            fails("TLS_PROTOCOL", trusting(), function(bytes, way)
                -- The second byte of the server's random: the transcripts differ from there on.
                if way == "down" and #bytes > 200 then
                    return bytes:sub(1, 12) .. string.char((bytes:byte(13) + 1) % 256)
                        .. bytes:sub(14)
                end
                return bytes
            end)
        end)
    end)

    it("takes connect_timeout for a silent peer, as client and as server", function()
        local client, peer = plain_pair({ connect_timeout = 0.2 }, { connect_timeout = 0.2 })
        local told = closing_of(client)
        assert.is_true(client:start_tls(trusting()))
        assert.equal("TLS_TIMEOUT", wait_for(told), told.message)
        peer:abort()
        client, peer = plain_pair(nil, { connect_timeout = 0.2 })
        told = closing_of(peer)
        assert.is_true(peer:start_tls(certificates:identity("ecdsa")))
        assert.equal("TLS_TIMEOUT", wait_for(told), told.message)
        client:abort()
    end)

    it("of a peer that hangs up instead closes with TLS_TRUNCATED", function()
        local client, peer = plain_pair()
        local told = closing_of(client)
        assert.is_true(client:start_tls(trusting()))
        peer:close()
        assert.equal("TLS_TRUNCATED", wait_for(told), told.message)
    end)

    it("twice, or on a socket that began with TLS, answers EBUSY and harms nothing", function()
        local client, peer = plain_pair()
        upgrade(client, peer)
        assert.equal("EBUSY", (select(3, client:start_tls(trusting()))))
        client:write("first\n")
        assert.equal("first", peer:receive("*l", WAIT))
        assert.equal("EBUSY", (select(3, client:start_tls(trusting()))))
        client:write("second\n")
        assert.equal("second", peer:receive("*l", WAIT))
        local secured, its_peer = kit.pair(certificates)
        assert.equal("EBUSY", (select(3, secured:start_tls(trusting()))))
        secured:write("third\n")
        assert.equal("third", its_peer:receive("*l", WAIT))
    end)

    it("on a socket that is not open answers ECLOSED", function()
        local function refused(sock)
            local ok, message, code = sock:start_tls(trusting())
            assert.is_nil(ok)
            assert.is_string(message)
            assert.equal("ECLOSED", code)
        end
        refused(evsock.socket())
        local connecting = helper.connect(helper.silent_port())
        refused(connecting)
        local client, peer = plain_pair()
        client:shutdown()
        refused(client)
        peer:abort()
        local other = plain_pair()
        other:close()
        refused(other)
        assert.is_true(other:wait("close", WAIT))
        refused(other)
    end)

    it("on a socket whose peer has ended its stream answers ECLOSED", function()
        local client, peer = plain_pair({ half_open = true })
        peer:shutdown()
        local ended = false
        client.on_end = function() ended = true end
        pump_until(function() return ended end, WAIT)
        assert.equal("ECLOSED", (select(3, client:start_tls(trusting()))))
    end)

    it("of an accepted socket without a certificate answers, and the socket lives", function()
        local client, peer = plain_pair()
        local ok, message, code = peer:start_tls(trusting())
        assert.is_nil(ok)
        assert.equal("EINVAL", code)
        assert.is_truthy(message:find("certificate", 1, true), message)
        client:write("still plain\n")
        assert.equal("still plain", peer:receive("*l", WAIT))
        helper.misuse(function() peer:start_tls(false) end, "'tls'")
        helper.misuse(function() peer:start_tls("yes") end, "'tls'")
    end)

    it("counts for one connection: the next begins in plain text", function()
        local client, peer, _, record = plain_pair({ reconnect = 0.01 })
        upgrade(client, peer)
        client:write("secured\n")
        assert.equal("secured", peer:receive("*l", WAIT))
        peer:abort()
        pump_until(function()
            return record.sockets[2] and client.state == "open"
        end, WAIT, "the next connection")
        assert.is_nil(client.tls)
        client:write("plain\n")
        assert.equal("plain", record.sockets[2]:receive("*l", WAIT))
        upgrade(client, record.sockets[2])
        client:write("secured again\n")
        assert.equal("secured again", record.sockets[2]:receive("*l", WAIT))
        client:close()
    end)

    it("works over a Unix socket, with the name given", function()
        local client, peer = unix_pair()
        upgrade(client, peer)
        client:write("through the file system\n")
        assert.equal("through the file system", peer:receive("*l", WAIT))
        assert.is_true(client.tls.verified)
    end)

    it("without a name to verify, over a Unix socket, never gets through", function()
        local client, peer = unix_pair({ on_secure = never("on_secure") })
        local told = closing_of(client)
        peer:start_tls(certificates:identity("ecdsa"))
        client:start_tls({ cafile = certificates:path("ca.pem") })
        assert.is_string(wait_for(told))
    end)

    it("while securing, abort and collection leave nothing behind", function()
        local client, peer = plain_pair()
        assert.is_true(client:start_tls(trusting()))
        local told = closing_of(client)
        client:write(SECRET)
        client:abort()
        assert.is_nil(wait_for(told))
        local peer_told = closing_of(peer)
        peer:abort()
        wait_for(peer_told)
    end)
end)

describe("wait \"secure\"", function()
    after_each(helper.finish)

    -- Outside of tasks, then in one.
    local function both(name, fn)
        it(name .. ", outside of tasks", fn)
        it(name .. ", in a task", function()
            local task = helper.spawn(fn)
            local ok, problem = task:join(4 * WAIT)
            assert(ok, problem)
        end)
    end

    both("ends with the handshake of start_tls, and at once behind it", function()
        local client, peer = helper.pair()
        assert.is_true(peer:start_tls(certificates:identity("ecdsa")))
        assert.is_true(client:start_tls(trusting()))
        assert.is_true(client:wait("secure", WAIT))
        assert.equal("open", client.state)
        assert.equal("1.3", client.tls.version)
        assert.is_true(peer:wait("secure", WAIT))
        assert.is_true(client:wait("secure", 0))
        client:send("in secret\n", WAIT)
        assert.equal("in secret", peer:receive("*l", WAIT))
    end)

    both("ends with the handshake of a connection that begins with TLS, on both ends", function()
        local record = kit.server(certificates, "ecdsa")
        local client = helper.track(evsock.connect("localhost", record.port, { tls = trusting() }))
        assert.is_true(client:wait("secure", WAIT))
        assert.is_true(client.tls.verified)
        pump_until(function() return record.sockets[1] end, WAIT)
        assert.is_true(record.sockets[1]:wait("secure", 0))
    end)

    both("fails with the code of the handshake", function()
        local client, peer = helper.pair()
        assert.is_true(peer:start_tls(certificates:identity("ecdsa")))
        assert.is_true(client:start_tls(trusting({ server_name = "elsewhere" })))
        local ok, message, code = client:wait("secure", WAIT)
        assert.is_nil(ok)
        assert.equal("TLS_BAD_HOSTNAME", code)
        assert.is_string(message)
        assert.equal("TLS_BAD_HOSTNAME", select(3, client:wait("secure", WAIT)))
    end)

    both("times out while the peer says nothing", function()
        local client = helper.pair()
        assert.is_true(client:start_tls(trusting()))
        assert.equal("ETIMEDOUT", select(3, client:wait("secure", 0.02)))
    end)

    both("fails at once where no handshake is under way", function()
        local client = helper.pair()
        local ok, message, code = client:wait("secure")
        assert.is_nil(ok)
        assert.matches("^wait 127%.0%.0%.1:%d+: no handshake is under way; start_tls begins one$",
            message)
        assert.equal("EINVAL", code)
        assert.equal("ECLOSED", select(3, evsock.socket():wait("secure")))
    end)

    it("is begun while it connects, and start_tls in on_connect", function()
        local server = helper.server()
        local client = helper.connect(server.port, {
            on_connect = function(sock) sock:start_tls(trusting()) end,
        })
        server.server.on_accept = function(_, sock)
            helper.track(sock):start_tls(certificates:identity("ecdsa"))
        end
        assert.is_true(client:wait("secure", WAIT))
    end)

    it("waits for each new connection anew", function()
        local record = kit.server(certificates, "ecdsa")
        local client = helper.track(evsock.connect("localhost", record.port, {
            tls = trusting(), reconnect = 0.01 }))
        assert.is_true(client:wait("secure", WAIT))
        pump_until(function() return record.sockets[1] end, WAIT)
        record.sockets[1]:close()
        assert.is_true(client:wait("close", WAIT))
        assert.is_true(client:wait("secure", WAIT))
        assert.is_true(client.tls.verified)
        client:close()
    end)

    it("is an event of wait_any, too", function()
        local client, peer = helper.pair()
        peer:start_tls(certificates:identity("ecdsa"))
        client:start_tls(trusting())
        local list = { { client, "close" }, { client, "secure" } }
        assert.equal(2, evsock.wait_any(list, WAIT))
    end)
end)
