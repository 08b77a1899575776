-- Certificates that are renewed while a server listens, and what of sessions goes on and what does
-- not: `server.tls = ...`, tables that are compiled at each connect. Tickets between configurations
-- byte by byte: spec/rust/tls_names.rs.

local helper = require "spec.helper"
local kit = require "spec.tls_kit"
local evsock = helper.evsock
local merge, misuse, pump_until = kit.merge, helper.misuse, helper.pump_until

local certificates = kit.certificates_for(setup, teardown)

local CA = {}
setup(function()
    CA.cafile, CA.other = certificates:path("ca.pem"), certificates:path("other.pem")
end)

-- A secured connection of which a line has passed, so that what may be resumed has come; or nil
-- and the code. What it was is told after both ends are closed.
local function visit(record, tls, options)
    local got
    local count = #record.sockets
    local client = helper.track(evsock.connect("localhost", record.port, merge({
        tls = tls,
        on_close = function(_, _, code) got = got or code or "end" end,
        on_data = function(sock) got = got or sock:read() end,
    }, options)))
    pump_until(function() return got or #record.sockets > count end, kit.WAIT)
    local peer = record.sockets[count + 1]
    if peer and not got then
        peer:write("hello")
        pump_until(function() return got end, kit.WAIT)
    end
    local facts = client.tls
    client:close()
    if peer then
        pump_until(function() return peer.state == "closed" end, kit.WAIT)
    end
    if got ~= "hello" then
        return nil, got
    end
    facts.served = peer.tls
    return facts
end

local function trusting(more)
    return merge({ cafile = CA.cafile }, more)
end

describe("server.tls", function()
    after_each(helper.finish)

    it("is for the next handshakes, while the port stays and connections go on", function()
        local record = kit.server(certificates, "ecdsa")
        local both = { ca = certificates:pem("ca.pem") .. certificates:pem("itself.pem") }
        local client, peer = kit.pair(certificates, { tls = both }, nil, nil)
        local first = visit(record, both)
        record.server.tls = certificates:identity("itself")
        local second = visit(record, both)
        assert.is_true(first.peer.der ~= second.peer.der)
        assert.equal("CN=localhost", second.peer.issuer)
        client:write("still here\n")
        assert.equal("still here", peer:receive("*l", 5))
        assert.same({}, record.errors)
    end)

    it("leaves a handshake that is under way as it began", function()
        local record = kit.server(certificates, "ecdsa")
        local between = kit.relay(record.port)
        local held = {}
        between.change = function(bytes, way)
            if way == "up" then
                held[#held + 1] = bytes
                return nil
            end
            return bytes
        end
        local client = helper.track(evsock.connect("localhost", between.port, {
            tls = trusting() }))
        pump_until(function() return #held > 0 end, kit.WAIT)
        -- The server has the begin of the hello, and then another certificate.
        between.far:write(held[1]:sub(1, 20))
        pump_until(function() return record.server:info().in_handshake == 1 end, kit.WAIT)
        record.server.tls = certificates:identity("itself")
        between.change = nil
        between.far:write(table.concat(held):sub(21))
        assert.is_true(client:wait("connect", 5 * helper.slow))
        assert.equal("CN=evsock test root", client.tls.peer.issuer)
    end)

    it("takes what evsock.tls returned, and reads as that: without keys", function()
        local record = kit.server(certificates, "ecdsa")
        local compiled = evsock.tls(certificates:identity("rsa"))
        record.server.tls = compiled
        assert.equal(compiled, record.server.tls)
        assert.equal("evsock.Tls: client and server", tostring(record.server.tls))
        record.server.tls = certificates:identity("ecdsa")
        assert.equal("userdata", type(record.server.tls))
        assert.is_true(compiled ~= record.server.tls)
        local other = helper.track(assert(evsock.listen("127.0.0.1", 0, {
            tls = record.server.tls })))
        assert.equal(record.server.tls, other.tls)
        assert.is_true(visit(record, trusting()).verified)
    end)

    it("that is faulty raises at the script's line and leaves what was", function()
        local record = kit.server(certificates, "ecdsa")
        local server, before = record.server, record.server.tls
        local key, pem = certificates:path("ecdsa.key"), certificates:path("ecdsa.pem")
        misuse(function() server.tls = { certfile = "/nowhere.pem", keyfile = key } end,
            "/nowhere.pem: no such file or directory")
        misuse(function() server.tls = { certfile = pem, keyfile = CA.cafile } end, CA.cafile)
        misuse(function() server.tls = { certfile = pem } end, "its 'key' is missing")
        misuse(function() server.tls = { cafile = CA.cafile } end, "needs 'cert' and 'key'")
        misuse(function() server.tls = { certfil = pem } end, "did you mean 'certfile'?")
        misuse(function() server.tls = true end, "needs 'cert' and 'key'")
        misuse(function() server.tls = evsock.tls {} end, "needs 'cert' and 'key'")
        misuse(function() server.tls = nil end, "got nil")
        misuse(function() server.tls = pem end, "'tls'")
        assert.equal(before, server.tls)
        assert.is_true(visit(record, trusting()).verified)
    end)

    it("makes no server of TLS of one that listens without", function()
        local record = helper.server()
        local identity = certificates:identity("ecdsa")
        misuse(function() record.server.tls = identity end, "listens without TLS")
        record.server.tls = false
        misuse(function() record.server.tls = identity end, "listen on another port")
        assert.is_false(record.server.tls)
        local client = helper.connect(record.port)
        client:write("plain\n")
        pump_until(function() return record.sockets[1] end)
        assert.equal("plain", record.sockets[1]:receive("*l", 5))
    end)

    it("may be set by a handler and by a task, and after close it changes nothing", function()
        local record = kit.server(certificates, "ecdsa")
        local other = evsock.tls(certificates:identity("itself"))
        record.server.on_accept = helper.expect(function(server, sock)
            record.sockets[#record.sockets + 1] = helper.track(sock)
            server.tls = other
        end, 1)
        assert.equal("CN=evsock test root", visit(record, { verify = false }).peer.issuer)
        record.server.on_accept = function(_, sock)
            record.sockets[#record.sockets + 1] = helper.track(sock)
        end
        assert.equal("CN=localhost", visit(record, { verify = false }).peer.issuer)
        local task = helper.track(evsock.spawn(function()
            local faulty, why = pcall(function() record.server.tls = {} end)
            record.server.tls = certificates:identity("ecdsa")
            return faulty, why
        end))
        local _, faulty, why = task:join(5)
        assert.is_false(faulty)
        assert.is_truthy(why:find("tls_renew_spec.lua:%d+: bad option 'tls'"), why)
        assert.equal("CN=evsock test root", visit(record, { verify = false }).peer.issuer)
        record.server:close()
        record.server.tls = other
        assert.equal(other, record.server.tls)
        misuse(function() record.server.tls = {} end, "'tls'")
    end)

    for _, version in ipairs { "1.2", "1.3" } do
        it("with other trust is none for a ticket of before: TLS " .. version, function()
            local asking = { client_auth = "require", cafile = CA.cafile }
            local record = kit.server(certificates, "ecdsa", asking)
            local tls = evsock.tls(certificates:identity("client", trusting {
                max_version = version }))
            assert.is_false(visit(record, tls).resumed)
            local again = visit(record, tls)
            assert.is_true(again.resumed and again.served.resumed)
            assert.is_true(again.served.verified)
            assert.equal("CN=a client", again.served.peer.subject)

            -- The same once more: a ticket is of the one that gave it.
            record.server.tls = certificates:identity("ecdsa", asking)
            local anew = visit(record, tls)
            assert.is_false(anew.resumed or anew.served.resumed)
            assert.is_true(visit(record, tls).resumed)

            record.server.tls = certificates:identity("ecdsa", {
                client_auth = "require", cafile = CA.other })
            assert.is_nil((visit(record, tls)))
            pump_until(function() return record.errors[1] end, kit.WAIT)
            assert.equal("TLS_UNKNOWN_ISSUER", record.errors[1][2])

            record.server.tls = certificates:identity("ecdsa")
            assert.is_false(visit(record, tls).served.verified)
        end)
    end
end)

describe("a TLS table that is given at each connect", function()
    after_each(helper.finish)

    for _, version in ipairs { "1.2", "1.3" } do
        it("resumes what the same one began, and no other: TLS " .. version, function()
            local record = kit.server(certificates, "ecdsa", { alpn = { "a", "b" } })
            local function resumed(more)
                return visit(record, trusting(merge({ max_version = version }, more))).resumed
            end
            assert.same({ false, true, true }, { resumed(), resumed(), resumed() })
            assert.is_false(resumed { insecure_name = true })
            assert.is_false(resumed { alpn = { "a" } })
            assert.is_false(resumed { alpn = { "b" } })
            assert.is_false(resumed { verify = false })
            local by_text = { ca = certificates:pem("ca.pem"), max_version = version }
            assert.is_false(visit(record, by_text).resumed)
            assert.is_true(visit(record, by_text).resumed)
            assert.is_true(resumed { alpn = { "a" } })
            assert.is_true(resumed())
        end)
    end

    it("is another one when its file has changed", function()
        local record = kit.server(certificates, "ecdsa")
        local path = os.tmpname()
        local function write(text)
            local file = assert(io.open(path, "wb"))
            file:write(text)
            file:close()
        end
        write(certificates:pem("ca.pem"))
        assert.is_false(visit(record, { cafile = path }).resumed)
        assert.is_true(visit(record, { cafile = path }).resumed)
        write(certificates:pem("other.pem"))
        assert.equal("TLS_UNKNOWN_ISSUER", (select(2, visit(record, { cafile = path }))))
        write(certificates:pem("ca.pem"))
        assert.is_true(visit(record, { cafile = path }).resumed)
        os.remove(path)
    end)

    -- What a script of each dialect does to connect by TLS, to say something and to close when it
    -- has an answer; `note` gets that.
    local dialects = {}

    function dialects.qsys(port, note)
        local socket = require("evsock.qsys").TcpSocket.NewTls()
        socket.Connected = function() socket:Write("hi\n") end
        socket.Data = function()
            note()
            socket:Disconnect()
        end
        socket:Connect("localhost", port)
    end

    function dialects.pharos(port, note)
        local pharos = require "evsock.pharos"
        pharos.configure { cafile = CA.cafile }
        local socket = pharos.net.SslSocket.new()
        socket.ready_read_handler = function()
            note()
            socket:close()
        end
        socket.encrypted_handler = function() socket:write("hi\n") end
        socket:connect_encrypted("localhost", port)
        return socket
    end

    function dialects.hammerspoon(port, note)
        local socket
        socket = require("evsock.hammerspoon").socket.new(function()
            note()
            socket:disconnect()
        end):connect("localhost", port)
        socket:startTLS(false)
        socket:write("hi\n")
        socket:read("\n")
    end

    function dialects.luasocket(port, note)
        local luasocket = require "evsock.luasocket"
        helper.track(evsock.spawn(function()
            local plain = assert(luasocket.core.tcp())
            assert(plain:connect("127.0.0.1", port))
            local socket = assert(luasocket.ssl.wrap(plain, {
                mode = "client", protocol = "any", verify = "none", options = "all" }))
            assert(socket:dohandshake())
            assert(socket:send("hi\n"))
            assert(socket:receive("*l"))
            note()
            socket:close()
        end))
    end

    for name, connect in pairs(dialects) do
        it("resumes in the dialect " .. name .. ", as the server tells", function()
            local record = kit.server(certificates, "ecdsa")
            record.server.on_accept = function(_, sock)
                record.sockets[#record.sockets + 1] = helper.track(sock)
                sock.on_data = function() sock:write("hello\n") end
            end
            local seen = {}
            for round = 1, 2 do
                local got
                local socket = connect(record.port, function() got = true end)
                pump_until(function() return got end, kit.WAIT)
                seen[round] = record.sockets[round].tls.resumed
                pump_until(function() return record.sockets[round].state == "closed" end, kit.WAIT)
                -- Some are alive only as long as somebody holds them.
                assert.is_true(socket ~= false)
            end
            assert.same({ false, true }, seen)
        end)
    end
end)

-- 10,000 handshakes take a minute of one core: `EVSOCK_FEWER` makes fewer of them.
describe("#figures server.tls", function()
    after_each(helper.finish)

    it("replaced 100 times amid 10,000 handshakes: none fails, each sees one of both", function()
        local all = math.floor(10000 / helper.fewer)
        local choices = {}
        for place, name in ipairs { "ecdsa", "ed25519" } do
            choices[place] = certificates:identity(name, { alpn = { name } })
        end
        local begun, done, failed, at_once, replaced = 0, 0, {}, 0, 0
        local seen = {}
        local function on_close(_, message)
            failed[#failed + 1] = message
        end
        local server = helper.track(assert(evsock.listen("127.0.0.1", 0, {
            tls = choices[1],
            on_accept = function(_, sock) sock:write("x") end,
            on_close = on_close,
            on_error = on_close,
        })))
        local client = evsock.tls(trusting { alpn = { "ecdsa", "ed25519" } })
        local started = evsock.now()
        local function start()
            begun, at_once = begun + 1, at_once + 1
            evsock.connect("localhost", server.port, {
                tls = client,
                on_connect = function(sock)
                    local tls = sock.tls
                    local what = tls.peer.fingerprint .. " " .. tls.alpn
                    seen[what] = (seen[what] or 0) + 1
                end,
                -- The server has the end of the handshake, too.
                on_data = function(sock)
                    done = done + 1
                    sock:close()
                    if done >= replaced * all / 100 and replaced < 100 then
                        replaced = replaced + 1
                        server.tls = choices[replaced % 2 + 1]
                    end
                end,
                on_close = function(sock, message)
                    at_once = at_once - 1
                    on_close(sock, message)
                end,
            })
        end
        while (done < all or at_once > 0) and not failed[1] do
            while at_once < 16 and begun < all do
                start()
            end
            evsock.pump(1)
            assert(evsock.now() - started < 300 * helper.slow, "too slow")
        end
        local counts = {}
        for _, count in pairs(seen) do
            counts[#counts + 1] = count
        end
        io.stderr:write(("   figure: %d handshakes in %.1f s, server.tls replaced %d times, "
            .. "%d failed; %d kinds of server seen (%s)\n"):format(done, evsock.now() - started,
            replaced, #failed, #counts, table.concat(counts, ", ")))
        assert.is_nil(failed[1])
        assert.equal(100, replaced)
        assert.equal(2, #counts)
    end)
end)
