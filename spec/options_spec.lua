-- Options (api.md, table of section 2): defaults, reading and writing them, what they do, misuse.
-- Those of back-pressure and reconnect, and those that the system carries out, have specs of their
-- own.

local helper = require "spec.helper"

local evsock = helper.evsock
local expect, never, pump_until = helper.expect, helper.never, helper.pump_until
local is_state = helper.is_state

-- The kernel's timer of this end of a connection, and in how many seconds it fires: 2 is keepalive
-- (proc(5), tcp).
local function kernel_timer(sock)
    local ports = ("%04X %04X"):format(sock.local_port, sock.peer_port)
    for line in io.lines("/proc/net/tcp") do
        local own, peer, timer, ticks =
            line:match("^%s*%d+: %x+:(%x+) %x+:(%x+) 01 %x+:%x+ (%x+):(%x+)")
        if own and own .. " " .. peer == ports then
            return tonumber(timer, 16), tonumber(ticks, 16) / 100
        end
    end
end

-- Seconds until the next probe. While one is under way there is another timer, or none.
local function keepalive_left(sock)
    local left
    pump_until(function()
        local timer, seconds = kernel_timer(sock)
        left = timer == 2 and seconds
        return left
    end)
    return left
end

-- With those options an attempt that nobody answers is still under way after so long.
local function stays_connecting(options, seconds)
    options.on_close = never("on_close")
    local sock = helper.connect(helper.silent_port(), options)
    helper.pump_for(seconds)
    assert.equal("connecting", sock.state)
    sock.on_close = nil
end

local defaults = {
    connect_timeout = 30,
    read_timeout = 0,
    write_timeout = 0,
    reconnect = false,
    nodelay = true,
    keepalive = false,
    user_timeout = 0,
    linger = false,
    receive_buffer = 0,
    send_buffer = 0,
    read_limit = 1024 * 1024,
    write_limit = 64 * 1024 * 1024,
    drain_at = 0,
    half_open = false,
    ipv4_first = false,
}

if helper.is_windows then
    defaults.user_timeout = nil -- wine has none; `system_options_spec.lua` counts that
end

local others = {
    connect_timeout = 2.5,
    read_timeout = 60,
    write_timeout = 61.5,
    reconnect = 3,
    nodelay = false,
    keepalive = 30,
    user_timeout = 20.5,
    linger = 0.5,
    receive_buffer = 65536,
    send_buffer = 32768,
    read_limit = 4096,
    write_limit = 8192,
    drain_at = 512,
    half_open = true,
    ipv4_first = true,
}

local wrong = {
    connect_timeout = "soon",
    read_timeout = {},
    write_timeout = -1,
    reconnect = "yes",
    nodelay = 1,
    keepalive = "on",
    user_timeout = -1,
    linger = true,
    receive_buffer = -1,
    send_buffer = "1",
    read_limit = "big",
    write_limit = true,
    drain_at = {},
    half_open = "half",
    ipv4_first = 4,
}

describe("an option", function()
    after_each(helper.finish)

    for name, default in pairs(defaults) do
        it(("%s is %s by default"):format(name, tostring(default)), function()
            assert.equal(default, evsock.socket()[name])
            assert.equal(default, (helper.pair())[name])
        end)

        it(("%s can be given to connect and to socket, and read back"):format(name), function()
            local value = others[name]
            assert.equal(value, evsock.socket({ [name] = value })[name])
            local client = helper.pair({ [name] = value })
            assert.equal(value, client[name])
        end)

        it(("%s can be written and read at any time"):format(name), function()
            local sock = evsock.socket()
            sock[name] = others[name]
            assert.equal(others[name], sock[name])
            local client = helper.pair()
            client[name] = others[name]
            assert.equal(others[name], client[name])
            client[name] = default
            assert.equal(default, client[name])
            client:abort()
            pump_until(is_state(client, "closed"))
            client[name] = others[name]
            assert.equal(others[name], client[name])
        end)

        it(("%s of the wrong type raises at the caller's line"):format(name), function()
            local options = { [name] = wrong[name] }
            local bad = "bad option '" .. name .. "' to "
            helper.misuse(function() evsock.connect("h", 1, options) end, bad .. "'connect'")
            helper.misuse(function() evsock.socket(options) end, bad .. "'socket'")
            helper.misuse(function() evsock.listen("h", 1, options) end, bad .. "'listen'")
            local sock = evsock.socket()
            helper.misuse(function() sock:connect("h", 1, options) end, bad .. "'connect'")
            helper.misuse(function() sock[name] = wrong[name] end, "'" .. name .. "'")
            helper.misuse(function() sock[name] = nil end, "'" .. name .. "'")
            assert.equal(default, sock[name])
        end)
    end

    it("of an unknown name raises and names it", function()
        local options = { nodelya = true }
        local bad = "bad option 'nodelya' to "
        local unknown = " (unknown name; did you mean 'nodelay'?)"
        local sock = evsock.socket()
        helper.misuse(function() evsock.connect("h", 1, options) end, bad .. "'connect'" .. unknown)
        helper.misuse(function() evsock.socket(options) end, bad .. "'socket'" .. unknown)
        helper.misuse(function() evsock.listen("h", 1, options) end, bad .. "'listen'" .. unknown)
        helper.misuse(function() sock:connect("h", 1, options) end, bad .. "'connect'" .. unknown)
    end)

    it("written as a property is named alone, with what it may be and what it got", function()
        local sock = evsock.socket()
        local text = "bad value for 'read_timeout' (seconds of at least 0 expected, got string"
        helper.misuse(function() sock.read_timeout = "5" end, text)
        helper.misuse(function() sock.reconnect = 0 end, "bad value for 'reconnect' (")
        local spin = "bad value for 'spin' (seconds of at least 0 expected, got -1)"
        helper.misuse(function() evsock.spin = -1 end, spin)
    end)

    it("that is no string raises too", function()
        local options = { true }
        helper.misuse(function() evsock.connect("h", 1, options) end, "bad option '1'")
    end)

    it("handler must be a function", function()
        local options = { on_data = true }
        helper.misuse(function() evsock.connect("h", 1, options) end, "bad option 'on_data'")
        helper.misuse(function() evsock.socket(options) end, "bad option 'on_data'")
    end)

    it("on_accept is none of a socket's", function()
        local options = { on_accept = print }
        helper.misuse(function() evsock.connect("h", 1, options) end, "'on_accept'")
    end)

    it("reconnect takes a table of min, max, factor and jitter only", function()
        local value = { min = 1, max = 30, factor = 2, jitter = 0.1 }
        local sock = evsock.socket({ reconnect = value })
        assert.equal(30, sock.reconnect.max)
        for _, bad in ipairs { { min = "x" }, { max = {} }, { foo = 1 }, { min = -1 } } do
            helper.misuse(function() evsock.socket({ reconnect = bad }) end, "'reconnect'")
        end
    end)

    describe("table", function()
        it("is only read, never kept or changed, and may be shared", function()
            local first = 0
            local options = {
                on_connect = function() first = first + 1 end,
                read_timeout = 50,
                reconnect = { min = 1, max = 2, factor = 1, jitter = 0 },
            }
            local copy = {}
            for name, value in pairs(options) do
                copy[name] = value
            end
            setmetatable(options, {
                __newindex = function() error("the table was changed") end,
            })
            local record = helper.server()
            local one = helper.connect(record.port, options)
            local two = helper.connect(record.port, options)
            for name, value in pairs(options) do
                assert.equal(copy[name], value)
            end
            options.on_connect = never("the handler of a changed table")
            options.read_timeout = 70
            pump_until(function() return first == 2 end)
            one.read_timeout = 60
            assert.equal(60, one.read_timeout)
            assert.equal(50, two.read_timeout)
            assert.is_nil(rawget(options, "host"))
        end)

        it("of listen is only read as well, and so are the tables in it", function()
            local nested = { keepalive = { idle = 70 }, reconnect = { min = 1 } }
            local record = helper.server(nested)
            nested.keepalive.idle, nested.reconnect.min = 1, 2
            assert.same({ idle = 70 }, record.server.keepalive)
            assert.same({ min = 1 }, record.server.reconnect)
        end)

        it("of listen is shared by nobody", function()
            local options = { read_timeout = 50, on_data = print, backlog = 7 }
            local server = assert(evsock.listen("127.0.0.1", 0, options))
            assert.same({ read_timeout = 50, on_data = print, backlog = 7 }, options)
            options.on_data = never("a changed table")
            options.read_timeout = 70
            local peer
            server.on_accept = function(_, sock) peer = helper.track(sock) end
            helper.track(server)
            helper.connect(server.port)
            pump_until(function() return peer end)
            assert.equal(50, peer.read_timeout)
            assert.equal(print, peer.on_data)
        end)

        it("can be collected while its socket lives", function()
            local weak = setmetatable({}, { __mode = "v" })
            local record = helper.server()
            local function start()
                local options = { read_timeout = 50, on_connect = expect(1) }
                weak[1] = options
                return helper.connect(record.port, options)
            end
            local sock = start()
            pump_until(is_state(sock, "open"))
            collectgarbage()
            collectgarbage()
            assert.is_nil(weak[1])
        end)

        it("with one bad option changes nothing", function()
            local client = helper.pair()
            pcall(client.connect, client, "127.0.0.1", 1, { read_timeout = 5, nodelay = "x" })
            assert.equal(0, client.read_timeout)
            assert.equal("open", client.state)
        end)
    end)

    describe("connect_timeout", function()
        it("ends an attempt that nobody answers with ETIMEDOUT", function()
            local begin
            local sock = helper.connect(helper.silent_port(), {
                connect_timeout = 0.25,
                on_connect = never("on_connect"),
                on_close = expect(function(_, message, code)
                    assert.is_string(message)
                    assert.equal("ETIMEDOUT", code)
                    assert.is_true(evsock.now() - begin > 0.15)
                end, 1),
            })
            begin = evsock.now()
            pump_until(is_state(sock, "closed"), 3)
        end)

        it("of 0 is none", function()
            stays_connecting({ connect_timeout = 0 }, 0.1)
        end)

        it("does not end a connection that stands", function()
            local client = helper.pair({ connect_timeout = 0.1, on_close = never("on_close") })
            helper.pump_for(0.25)
            assert.equal("open", client.state)
            client.on_close = nil
        end)
    end)

    describe("read_timeout", function()
        it("closes with ETIMEDOUT when nothing was received for that long", function()
            local client = helper.pair({ read_timeout = 0.2 })
            local begin = evsock.now()
            client.on_close = expect(function(_, message, code)
                assert.is_string(message)
                assert.equal("ETIMEDOUT", code)
                assert.is_true(evsock.now() - begin > 0.1)
            end, 1)
            pump_until(is_state(client, "closed"), 3)
        end)

        it("begins anew with everything received", function()
            local client, peer = helper.pair({ read_timeout = 0.4 })
            client.on_close = never("on_close")
            local begin = evsock.now()
            while evsock.now() - begin < 0.8 do
                peer:write("x")
                helper.pump_for(0.05)
            end
            client.on_close = expect(1)
            pump_until(is_state(client, "closed"), 3)
        end)

        it("is not put off by what we write", function()
            local client = helper.pair({ read_timeout = 0.2 })
            client.on_close = expect(function(_, _, code) assert.equal("ETIMEDOUT", code) end, 1)
            local deadline = evsock.now() + 3
            while client.state == "open" and evsock.now() < deadline do
                client:write("x")
                helper.pump_for(0.02)
            end
            pump_until(is_state(client, "closed"))
        end)

        it("can be set on an open connection, and taken back", function()
            local client = helper.pair()
            client.read_timeout = 0.1
            client.read_timeout = 0
            client.on_close = never("on_close")
            helper.pump_for(0.25)
            client.on_close = expect(function(_, _, code) assert.equal("ETIMEDOUT", code) end, 1)
            client.read_timeout = 0.1
            pump_until(is_state(client, "closed"), 3)
        end)

        it("of 0 is none", function()
            local client = helper.pair({ read_timeout = 0, on_close = never("on_close") })
            helper.pump_for(0.1)
            client.on_close = nil
        end)

        it("does not run while connecting", function()
            stays_connecting({ read_timeout = 0.05 }, 0.2)
        end)
    end)

    describe("keepalive", function()
        it("is switched in the system, off by default", function()
            local client = helper.pair()
            assert.equal(0, kernel_timer(client))
            client = helper.pair({ keepalive = 100 })
            assert.equal(2, kernel_timer(client))
            client = helper.pair({ keepalive = true })
            assert.equal(2, kernel_timer(client))
            local _, peer = helper.pair()
            peer.keepalive = true
            assert.equal(2, kernel_timer(peer))
            local other
            other, peer = helper.pair({ keepalive = 100 })
            assert.equal(2, kernel_timer(other))
            assert.equal(0, kernel_timer(peer))
        end)

        it("can be switched on and off on an open connection", function()
            local client = helper.pair()
            client.keepalive = 50
            assert.equal(2, kernel_timer(client))
            client.keepalive = false
            assert.equal(0, kernel_timer(client))
        end)

        it("of an accepted socket is switched, too", function()
            local _, peer = helper.pair(nil, { keepalive = 0.5 })
            local timer, seconds = kernel_timer(peer)
            assert.equal(2, timer)
            assert.is_true(seconds <= 1.05, "became " .. seconds)
        end)

        it("is rounded up to whole seconds, and ends at 32,767", function()
            -- Bounds only: the timer runs while we look.
            for given, most in pairs { [0.001] = 1, [0.7] = 1, [1.5] = 2 } do
                local client = helper.pair({ keepalive = given })
                local seconds = keepalive_left(client)
                assert.is_true(seconds <= most + 0.05, given .. " became " .. seconds)
                assert.equal(given, client.keepalive)
            end
            local long = { idle = 1e300, interval = 1e300 }
            for _, given in ipairs { 32767, 32768, 1e6, 1e300, long } do
                local client = helper.pair({ keepalive = given })
                local seconds = keepalive_left(client)
                assert.is_true(seconds > 32000 and seconds <= 32768, "became " .. seconds)
            end
        end)

        it("takes a table of idle, interval and count, which is copied", function()
            local given = { idle = 70, interval = 3, count = 2 }
            local sock = evsock.socket({ keepalive = given })
            given.idle = 1
            assert.same({ idle = 70, interval = 3, count = 2 }, sock.keepalive)
            local client, peer = helper.pair({ keepalive = given }, { keepalive = { idle = 90 } })
            assert.is_true(keepalive_left(client) <= 1)
            local seconds = keepalive_left(peer)
            assert.is_true(seconds > 70 and seconds <= 90, "became " .. seconds)
            client.keepalive = { idle = 50 }
            seconds = keepalive_left(client)
            assert.is_true(seconds > 30 and seconds <= 50, "became " .. seconds)
            -- What is not said is the system's choice: two hours, unless the machine has another.
            client.keepalive = {}
            assert.is_true(keepalive_left(client) > 50)
            assert.same({}, client:info().keepalive)
        end)

        it("takes no other table", function()
            local sock = evsock.socket()
            local wanted = "integer from 1 to 127 expected, got "
            for _, case in ipairs {
                { { idle = 0 }, "'idle': seconds of at least 0.001 expected, got 0" },
                { { idle = "5" }, "'idle': seconds of at least 0.001 expected, got string" },
                { { interval = -1 }, "'interval': seconds of at least 0.001 expected, got -1" },
                { { interval = 0 / 0 }, "'interval': seconds of at least 0.001 expected, got " },
                { { idle = 1 / 0 }, "'idle': seconds of at least 0.001 expected, got inf" },
                { { count = 0 }, "'count': " .. wanted .. 0 },
                { { count = 128 }, "'count': " .. wanted .. 128 },
                { { count = 1.5 }, "'count': " .. wanted .. 1.5 },
                { { count = true }, "'count': " .. wanted .. "boolean" },
                { { cuont = 1 }, "unknown name 'cuont'; did you mean 'count'?" },
                { { 5 }, "unknown name '1'" },
            } do
                local bad = "bad option 'keepalive' to 'connect' (" .. case[2]
                local options = { keepalive = case[1] }
                helper.misuse(function() evsock.connect("h", 1, options) end, bad)
                helper.misuse(function() sock.keepalive = case[1] end, case[2])
            end
            helper.misuse(function() sock.keepalive = evsock end, "got the module")
            assert.is_false(sock.keepalive)
        end)
    end)

    describe("half_open", function()
        it("can be set on an open connection", function()
            local client, peer = helper.pair({ on_close = never("on_close") })
            client.half_open = true
            local ended = false
            client.on_end = expect(function() ended = true end, 1)
            peer:shutdown()
            pump_until(function() return ended end)
            client.on_close = nil
        end)

        it("closes in order when both sides have sent their end", function()
            local client, peer = helper.pair({ half_open = true }, { half_open = true })
            client.on_close = expect(function(_, message) assert.is_nil(message) end, 1)
            peer:shutdown()
            client.on_end = expect(function(sock) sock:shutdown() end, 1)
            pump_until(is_state(client, "closed"))
            pump_until(is_state(peer, "closed"))
        end)
    end)

    it("nodelay sends small writes at once", function()
        local client, peer = helper.pair()
        local begin = evsock.now()
        for i = 1, 20 do
            client:write("a")
            client:write("b")
            pump_until(function() return peer.buffered == 2 * i end)
        end
        -- Without it every second write waits for a delayed acknowledgement, 40 ms each.
        assert.is_true(evsock.now() - begin < 0.6 * helper.slow)
    end)
end)
