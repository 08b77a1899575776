-- The option `keylog`: what is written where, and what happens where nothing can be written.
--
-- Not here: a program that reads it (`spec/peers/tshark_spec.lua`).

local helper = require "spec.helper"
local kit = require "spec.tls_kit"
local peers = require "spec.peers.openssl"
local evsock = helper.evsock
local capture = require "spec.peers.program".capture

local NEW_LABELS = {
    "CLIENT_HANDSHAKE_TRAFFIC_SECRET", "CLIENT_TRAFFIC_SECRET_0", "EXPORTER_SECRET",
    "SERVER_HANDSHAKE_TRAFFIC_SECRET", "SERVER_TRAFFIC_SECRET_0",
}

describe("keylog", function()
    local certificates = kit.certificates_for(setup, teardown)
    local count = 0

    after_each(function()
        evsock.on_unhandled = nil
        evsock.trace(false)
        helper.finish()
    end)

    -- A path that nothing has.
    local function new_path()
        count = count + 1
        return certificates:path("keys" .. count)
    end

    local function read(path)
        return peers.read_file(path)
    end

    -- The lines of a file, sorted, each checked to be one of a key log.
    local function lines_of(path)
        local lines = {}
        for line in read(path):gmatch("([^\n]*)\n") do
            assert.is_truthy(line:find("^[%u%d_]+ %x+ %x+$"), line)
            lines[#lines + 1] = line
        end
        table.sort(lines)
        return lines
    end

    local function labels_of(lines)
        local labels = {}
        for place, line in ipairs(lines) do
            labels[place] = line:match("^%S+")
        end
        return labels
    end

    -- A connection on which something was said.
    local function session(client_tls, server_tls)
        local client, peer = kit.pair(certificates, { tls = client_tls or certificates:trusting() },
            { tls = server_tls or certificates:identity("ecdsa") })
        client:write(kit.SECRET)
        helper.pump_until(function() return peer.buffered > 0 end, kit.WAIT)
        return client, peer
    end

    it("writes the same secrets at either end, as NSS does", function()
        for version, labels in pairs { ["1.2"] = { "CLIENT_RANDOM" }, ["1.3"] = NEW_LABELS } do
            local one, other = new_path(), new_path()
            session(certificates:trusting { keylog = one, max_version = version },
                certificates:identity("ecdsa", { keylog = other }))
            local lines = lines_of(one)
            assert.same(labels, labels_of(lines))
            assert.same(lines, lines_of(other))
            -- A random of 32 bytes, and the secret of 48 in 1.2.
            local random, secret = lines[1]:match(" (%x+) (%x+)$")
            assert.equal(64, #random)
            assert.is_true(version == "1.3" or #secret == 96)
        end
    end)

    it("adds to what is there, and is opened once for a compiled table", function()
        local path, moved = new_path(), new_path()
        peers.write_file(path, "# mine\n")
        local tls = evsock.tls(certificates:trusting { keylog = path })
        session(tls)
        local before = read(path)
        assert.is_truthy(before:find("^# mine\n%u"))
        if not helper.is_windows then
            assert(os.rename(path, moved))
            session(tls)
            assert.is_nil(io.open(path))
            path = moved
        else
            session(tls)
        end
        local after = read(path)
        assert.equal(before, after:sub(1, #before))
        assert.is_true(#after > #before)
    end)

    it("makes the file for its owner alone", function()
        helper.unix_only("rights of files")
        local path = new_path()
        evsock.tls { keylog = path }
        assert.equal("600", (capture("stat -c %a " .. path):gsub("%s", "")))
        assert.equal("", read(path))
    end)

    it("is refused where it can't be opened, with the path and the reason", function()
        local path = certificates:path("missing") .. "/keys"
        for _, call in ipairs {
            function() evsock.tls { keylog = path } end,
            function() evsock.connect("127.0.0.1", 1, { tls = { keylog = path } }) end,
        } do
            local message = helper.misuse(call, "(keylog " .. path .. ": no such file")
            assert.is_nil(message)
        end
        for _, value in ipairs { 1, "" } do
            local wanted = "bad tls option 'keylog' to 'tls' (path or boolean expected"
            helper.misuse(function() evsock.tls { keylog = value } end, wanted)
        end
        assert.is_truthy(evsock.tls { keylog = false })
    end)

    it("is told once where it can't be written to, and no connection suffers", function()
        helper.unix_only("/dev/full")
        local told = {}
        evsock.on_unhandled = function(message, object, code)
            told[#told + 1] = { message, object, code }
        end
        for _, tls in ipairs {
            { evsock.tls(certificates:trusting { keylog = "/dev/full" }) },
            { nil, evsock.tls(certificates:identity("ecdsa", { keylog = "/dev/full" })) },
        } do
            local seen = #told
            local client, peer = session(tls[1], tls[2])
            session(tls[1], tls[2])
            helper.pump_until(function() return told[seen + 1] end, kit.WAIT, "the failure")
            assert.equal(seen + 1, #told)
            assert.equal("keylog /dev/full: no space left on device", told[seen + 1][1])
            assert.equal(tls[1] and client or peer, told[seen + 1][2])
            assert.equal("EIO", told[seen + 1][3])
            assert.equal(kit.SECRET, peer:read())
        end
    end)

    -- A child with a server and a client, whose tables say `keylog`; both streams of it.
    local function child(keylog, setup)
        local said, status = helper.run(([[
            local evsock = require "evsock"
            local path, peer = %q
            local server = assert(evsock.listen("127.0.0.1", 0, {
                tls = { certfile = path .. "ecdsa.pem", keyfile = path .. "ecdsa.key" },
                on_accept = function(_, sock) peer = sock end,
            }))
            for _ = 1, 2 do
                local sock = evsock.connect("localhost", server.port, {
                    tls = { cafile = path .. "ca.pem", keylog = %s } })
                assert(sock:wait("connect", 10))
                assert(sock:send("x", 10))
                while not (peer and peer.buffered > 0) do evsock.pump(0.1) end
                sock:close()
            end
            print "done"
        ]]):format(certificates:path(""), keylog), nil, setup)
        assert.equal(0, status, said)
        return said
    end

    it("true: the environment names the file", function()
        helper.unix_only("a shell that sets the environment")
        local path = new_path()
        assert.equal("done\n", child("true", "export SSLKEYLOGFILE=" .. path))
        assert.equal(10, #lines_of(path))
    end)

    it("true without SSLKEYLOGFILE, or with an empty one: nothing is written", function()
        helper.unix_only("a shell that sets the environment")
        assert.equal("done\n", child("true", "unset SSLKEYLOGFILE"))
        assert.equal("done\n", child("true", "export SSLKEYLOGFILE="))
        local path = new_path()
        assert.equal("done\n", child("nil", "export SSLKEYLOGFILE=" .. path))
        assert.is_nil(io.open(path))
    end)

    it("where nobody hears of the failure, stderr gets a line for each table", function()
        helper.unix_only("/dev/full")
        local said = child('"/dev/full"')
        local line = "evsock: unhandled failure of socket to localhost:%d+: keylog /dev/full: "
            .. "no space left on device %(EIO%); set evsock.on_unhandled, to false for silence\n"
        local rest, lines = said:gsub(line, "")
        assert.equal("done\n", rest)
        assert.equal(2, lines)
    end)

    it("stays out of the trace", function()
        local path, lines = new_path(), {}
        evsock.trace("hex", function(line) lines[#lines + 1] = line end)
        session(certificates:trusting { keylog = path })
        evsock.trace(false)
        local trace = table.concat(lines, "\n")
        assert.is_truthy(trace:find("secured by TLS", 1, true))
        assert.is_nil(trace:find(path, 1, true))
        for _, line in ipairs(lines_of(path)) do
            local secret = line:match("%x+$")
            -- A dump has 16 bytes a row, with spaces.
            assert.is_nil(trace:gsub("[ %-]", ""):find(secret:sub(1, 12), 1, true))
        end
    end)
end)
