-- Servers that mean our client no good, on the wire: what a script is told, that it hears of no
-- connection that never was, that nothing stays behind, and that the next connection is in order.
--
-- Not here: servers that know their keys (`rust/tls_hostile.rs`), and certificates that are not to
-- be believed (`tls_refused_spec.lua`).

local helper = require "spec.helper"
local kit = require "spec.tls_kit"
local peers = require "spec.peers.openssl"

local evsock = helper.evsock
local never, pump_until, track = helper.never, helper.pump_until, helper.track
local WAIT = kit.WAIT

-- Numbers in hexadecimal, with spaces as one likes.
local function bytes(text)
    return (text:gsub("%s", ""):gsub("%x%x", function(digits)
        return string.char(tonumber(digits, 16))
    end))
end

-- `body` with its length in so many bytes before it.
local function sized(size, body)
    local length, number = "", #body
    for _ = 1, size do
        length, number = string.char(number % 256) .. length, math.floor(number / 256)
    end
    return length .. body
end

local function record(kind, payload, version)
    return string.char(kind) .. bytes(version or "0303") .. sized(2, payload)
end

local function message(kind, body)
    return string.char(kind) .. sized(3, body)
end

-- A message in as many records as it takes.
local function told(kind, body)
    local whole, records = message(kind, body), {}
    for at = 1, #whole, 16384 do
        records[#records + 1] = record(22, whole:sub(at, at + 16383))
    end
    return table.concat(records)
end

local function alert(level, number)
    return record(21, string.char(level, number))
end

-- Hellos of a server, without a session and with that of the client's.
local OLD = told(2, bytes "0303" .. ("r"):rep(32) .. bytes "00 c02b 00"
    .. sized(2, bytes "ff01 0001 00"))
local function new(session)
    local share = bytes "0033 0024 001d" .. sized(2, "\9" .. ("\0"):rep(31))
    return told(2, bytes "0303" .. ("r"):rep(32) .. sized(1, session) .. bytes "1301 00"
        .. sized(2, bytes "002b 0002 0304" .. share))
end

-- A certificate message of 1.2 with those certificates.
local function certificate(...)
    local list = ""
    for i = 1, select("#", ...) do
        list = list .. sized(3, (select(i, ...)))
    end
    return told(11, sized(3, list))
end

-- What each says to the client's hello, and the code it ends with. `after`: the same behind a hello
-- of 1.2.
local CASES = {
    { "a change of keys", record(20, "\1"), "TLS_NOT_TLS" },
    { "payload", record(23, "payload, unsealed"), "TLS_NOT_TLS" },
    { "a heartbeat", record(24, "\1\64\0"), "TLS_NOT_TLS" },
    { "a record of kind 255", record(255, "what"), "TLS_NOT_TLS" },
    { "a record of version 9.9", record(22, "\2\0\0\0", "0909"), "TLS_NOT_TLS" },
    { "a record of no bytes", record(22, ""), "TLS_PROTOCOL" },
    { "a record too long", "\22\3\3\255\255", "TLS_PROTOCOL" },
    { "a hello of no bytes", told(2, ""), "TLS_PROTOCOL" },
    { "a hello of version 1.1", OLD:gsub("^(.........)\3\3", "%1\3\2"), "TLS_VERSION" },
    { "the client's own hello", "echo", "TLS_PROTOCOL" },
    { "an unknown alert", alert(2, 211), "TLS_ALERT" },
    { "an alert of an unknown level", alert(9, 80), "TLS_ALERT" },
    { "half an alert", record(21, "\2"), "TLS_PROTOCOL" },
    { "a flood of warnings", alert(1, 90):rep(1000), "TLS_PROTOCOL" },
    { "the end of TLS and its own", alert(1, 0), "TLS_TRUNCATED", ends = true },
    { "a message of 16 MiB", record(22, "\2\255\255\255\1"), "TLS_PROTOCOL" },
    { "a message that never ends", record(22, "\11\0\255\255")
        .. record(22, "x"):rep(50000), "TLS_PROTOCOL", after = true },
    { "a change of keys too early", record(20, "\1"), "TLS_PROTOCOL", after = true },
    { "payload before the end of the handshake", record(23, "payload, unsealed"),
        "TLS_PROTOCOL", after = true },
    { "a heartbeat in the handshake", record(24, "\1\64\0"), "TLS_PROTOCOL", after = true },
    { "a record of kind 255 in the handshake", record(255, "what"), "TLS_PROTOCOL", after = true },
    { "a record of version 9.9 in the handshake", record(22, "\11", "0909"), "TLS_PROTOCOL",
        after = true },
    { "a flood of empty records", record(22, ""):rep(1000), "TLS_PROTOCOL", after = true },
    { "a second hello", OLD, "TLS_PROTOCOL", after = true },
    { "a finished at once", told(20, ("f"):rep(12)), "TLS_PROTOCOL", after = true },
    { "a request for a certificate at once", told(13, bytes "0140 0002 0403 0000"),
        "TLS_PROTOCOL", after = true },
    { "no key behind its certificate", certificate("garbage") .. told(14, ""), "TLS_PROTOCOL",
        after = true },
    { "a list of certificates that lies", told(11, "\255\255\255" .. sized(3, "garbage")),
        "TLS_PROTOCOL", after = true },
    { "a certificate that lies", told(11, sized(3, "\0\255\255garbage")), "TLS_PROTOCOL",
        after = true },
    { "a certificate message of 1 MiB", certificate(("x"):rep(1048576)), "TLS_PROTOCOL",
        after = true },
    { "an unknown message", told(99, "what"), "TLS_PROTOCOL", after = true },
    { "an end in the handshake", "", "TLS_TRUNCATED", after = true, ends = true },
}

describe("TLS, a hostile server", function()
    local certificates = kit.certificates_for(setup, teardown)
    local honest, tls
    before_each(function()
        honest = kit.server(certificates, "ecdsa")
        tls = evsock.tls(certificates:trusting())
    end)
    after_each(helper.finish)

    -- A server that answers the hello by `answer(sock, hello)`.
    local function server(answer)
        local plain = helper.server()
        plain.server.on_accept = function(_, sock)
            track(sock)
            sock.on_close = function() end
            local hello = ""
            sock.on_data = function()
                local before = #hello
                hello = hello .. sock:read()
                -- One record, and never again.
                local length = #hello > 4 and hello:byte(4) * 256 + hello:byte(5) + 5 or math.huge
                if before < length and #hello >= length then
                    answer(sock, hello)
                end
            end
        end
        return plain.port
    end

    local function visit(port, options)
        local sock = track(evsock.connect("localhost", port, kit.merge({
            tls = tls, on_connect = never("on_connect"), on_data = never("on_data") }, options)))
        sock:write(kit.SECRET)
        return sock, kit.closing_of(sock)
    end

    local function next_is_served()
        local sock = track(evsock.connect("localhost", honest.port, { tls = tls }))
        assert.is_true(sock:wait("connect", WAIT))
        sock:close()
    end

    for _, case in ipairs(CASES) do
        local what, said, code = case[1], case[2], case[3]
        it("that says " .. what .. ": " .. code, function()
            local got = ""
            local port = server(function(sock, hello)
                got = hello
                sock:write((case.after and OLD or "") .. (said == "echo" and hello or said))
                if case.ends then
                    sock:shutdown()
                end
            end)
            local _, ending = visit(port)
            assert.equal(code, kit.wait_for(ending), ending.message)
            assert.is_truthy(ending.message:find("^tls localhost:%d+: "), ending.message)
            assert.is_nil(got:find(kit.SECRET, 1, true))
            next_is_served()
        end)
    end

    it("of 1.3 that seals nothing behind its hello: TLS_PROTOCOL", function()
        for kind = 20, 26 do
            local port = server(function(sock, hello)
                sock:write(new(hello:sub(45, 44 + hello:byte(44))) .. record(kind, ("z"):rep(40)))
            end)
            local _, ending = visit(port)
            assert.equal("TLS_PROTOCOL", kit.wait_for(ending), kind .. ": " .. ending.message)
        end
        next_is_served()
    end)

    -- RFC 5246, 7.4.1.1 would have it ignored, as often as it comes.
    it("that asks for a hello again and again in the handshake: TLS_PROTOCOL", function()
        local port = server(function(sock)
            sock:write(OLD .. told(0, ""):rep(50000))
        end)
        local sock, ending = visit(port)
        assert.equal("TLS_PROTOCOL", kit.wait_for(ending), ending.message)
        assert.equal(0, sock.buffered)
        next_is_served()
    end)

    it("that stops after any part of its handshake: TLS_TIMEOUT", function()
        local endings = {}
        for _, version in ipairs { "1.2", "1.3" } do
            local words = { alpn = { "x" }, min_version = version }
            local port = honest.port
            if version == "1.2" then
                port = peers.device(certificates, "ecdsa", { "-tls1_2" })
                words.min_version = nil
            end
            local compiled = evsock.tls(certificates:trusting(words))
            -- One that goes all the way tells how much there is.
            local between = kit.relay(port)
            local whole = track(evsock.connect("localhost", between.port, { tls = compiled }))
            assert.is_true(whole:wait("connect", WAIT))
            assert.equal(version, whole.tls.version)
            local length = #between.down
            -- Of 1.3 the tickets come in the same piece, or later: the last byte before them is not
            -- known, but the first records are.
            local last = version == "1.2" and length - 1 or 600
            for part = 0, 12 do
                local left = math.floor(last * part / 12)
                between = kit.relay(port)
                between.change = function(some, way)
                    if way == "up" then
                        return some
                    end
                    some = some:sub(1, left)
                    left = left - #some
                    return some ~= "" and some or nil
                end
                local _, ending = visit(between.port, {
                    tls = compiled, connect_timeout = 0.3 * helper.slow })
                ending.of = ("%s, part %d"):format(version, part)
                endings[#endings + 1] = ending
            end
        end
        for _, ending in ipairs(endings) do
            assert.equal("TLS_TIMEOUT", kit.wait_for(ending), ending.of)
        end
        next_is_served()
    end)

    it("#figures leaves no memory behind, though the script keeps its 300 sockets", function()
        local floods = {
            OLD .. record(22, "\11\0\255\255") .. record(22, "x"):rep(30000),
            OLD .. record(22, ""):rep(5000),
            alert(1, 90):rep(5000),
            OLD .. certificate(("x"):rep(60000)) .. told(14, ""),
        }
        local turn = 0
        local port = server(function(sock)
            turn = turn % #floods + 1
            sock:write(floods[turn])
        end)
        local function round(count)
            for _ = 1, count do
                local _, ending = visit(port)
                assert.equal("TLS_PROTOCOL", kit.wait_for(ending), ending.message)
            end
            collectgarbage()
            collectgarbage()
            helper.pump_for(0.05)
        end
        local function resident()
            local file = io.open("/proc/self/status")
            local kib = file and file:read("*a"):match("VmRSS:%s*(%d+)")
            if file then
                file:close()
            end
            return tonumber(kib) or 0
        end
        round(60)
        local before, open = resident(), evsock.active()
        round(240)
        local grown = resident() - before
        io.stderr:write(("   figure: TLS, %.1f KiB a refused server\n"):format(grown / 240))
        assert.is_true(grown < 240 * 24, grown)
        pump_until(function() return evsock.active() <= open end, WAIT, "as many as before")
        next_is_served()
    end)
end)
