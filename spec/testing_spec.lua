-- evsock.testing (api.md, 6) without the clock: devices, wait_until, leaks.

local helper = require "spec.helper"
local testing = require "evsock.testing"

local evsock = helper.evsock
local certificates = require("spec.tls_kit").certificates_for(setup, teardown)

local function device_of(script, options)
    return helper.track(assert(testing.device(script, options)))
end

-- A connection to a device, and the lines that it gets.
local function asker(device, options)
    local lines = {}
    options = options or {}
    options.on_data = function(sock)
        for line in sock:lines() do
            lines[#lines + 1] = line
        end
    end
    return helper.connect(device.port, options), lines
end

local function wait_lines(lines, count)
    testing.wait_until(function()
        return #lines >= count
    end)
end

describe("a device", function()
    after_each(helper.finish)

    it("answers lines as its table says, however they end, and keeps what it received", function()
        local device = device_of {
            ["POWR?"] = "POWR=0",
            ["MUTE?"] = { "MUTE=0", "MUTE=1" },
            ["STAT?"] = { { "TEMP=40", "FAN=1" } },
            ["VER?"] = function(question, connection)
                assert.equal("open", connection.state)
                return question:sub(1, 3) .. "=1.0"
            end,
            ["QUIET"] = false,
            ["^VOL (%d+)$"] = function(_, _, level)
                return "VOL=" .. level
            end,
        }
        local sock, lines = asker(device)
        sock:write("POWR?\r\nMUTE?\rMUTE?\nMUTE?\r\nSTAT?\nVER?\nQUIET\nWHAT\nVOL 11\n")
        wait_lines(lines, 8)
        assert.equal("POWR=0 MUTE=0 MUTE=1 MUTE=1 TEMP=40 FAN=1 VER=1.0 VOL=11",
            table.concat(lines, " "))
        assert.equal("POWR? MUTE? MUTE? MUTE? STAT? VER? QUIET WHAT VOL 11",
            table.concat(device.received, " "))
    end)

    it("has an answer for the rest, a greeting, and an end of lines of its own", function()
        local device = device_of({}, { default = "ERR", greeting = "hello\n", line_end = "\n" })
        local sock = helper.connect(device.port)
        sock:write "anything\n"
        testing.wait_until(function() return sock.buffered >= 10 end)
        assert.equal("hello\nERR\n", sock:read())
    end)

    it("runs a function for each connection as a task", function()
        local device = device_of(function(connection, device)
            assert.equal("evsock.testing.Device", getmetatable(device).__name)
            while true do
                local line = connection:receive("*l")
                if not line then
                    return
                end
                connection:write(line:upper() .. "\n")
            end
        end)
        local one, first = asker(device)
        local other, second = asker(device)
        one:write "a\nb\n"
        other:write "c\n"
        wait_lines(first, 2)
        wait_lines(second, 1)
        assert.equal("A B C", table.concat(first, " ") .. " " .. second[1])
        assert.equal(2, #device.connections)
    end)

    it("keeps silent, and goes on", function()
        local device = device_of { ["A"] = "B" }
        local sock, lines = asker(device)
        device:silence()
        sock:write "A\n"
        testing.wait_until(function() return #device.received == 1 end)
        device:silence(false)
        sock:write "A\n"
        wait_lines(lines, 1)
        helper.pump_for(0.02)
        assert.equal(1, #lines)
    end)

    it("sends answers in pieces that arrive one by one, in order", function()
        local device = device_of { ["A"] = "answer", ["B"] = "other" }
        local arrivals = {}
        local sock = helper.connect(device.port, { on_data = function(sock)
            arrivals[#arrivals + 1] = sock:read()
        end })
        device:split(3)
        sock:write "A\nB\n"
        testing.wait_until(function()
            return table.concat(arrivals) == "answer\r\nother\r\n"
        end)
        assert.equal("ans", arrivals[1])
        assert.is_true(#arrivals >= 5, #arrivals .. " arrivals")
        device:split(nil)
        sock:write "A\n"
        testing.wait_until(function() return arrivals[#arrivals] == "answer\r\n" end)
    end)

    it("sends garbage, resets, and closes", function()
        local device = device_of { ["A"] = "B" }
        local ends = {}
        local function connect()
            return helper.connect(device.port, { on_close = function(_, _, code)
                ends[#ends + 1] = code or "orderly"
            end })
        end
        local sock = connect()
        testing.wait_until(function() return #device.connections == 1 end)
        device:garbage("\0\255?")
        testing.wait_until(function() return sock.buffered == 3 end)
        assert.equal("\0\255?", sock:read())
        device:reset()
        testing.wait_until(function() return #ends == 1 end)
        connect()
        testing.wait_until(function() return #device.connections == 1 end)
        local port = device.port
        device:close()
        testing.wait_until(function() return #ends == 2 end)
        assert.same({ "ECONNRESET", "orderly" }, ends)
        device:close()
        local again = assert(testing.device({}, { port = port }))
        again:close()
    end)

    it("answers datagrams", function()
        local device = device_of({ ["PING"] = "PONG", ["^S(%d)"] = function(_, from, digit)
            return from.port .. " " .. digit
        end }, { udp = true })
        local got = {}
        local udp = helper.track(assert(evsock.udp("127.0.0.1")))
        udp.on_datagram = function(_, data) got[#got + 1] = data end
        udp:send_to("PING", "127.0.0.1", device.port)
        udp:send_to("PING\r\n", "127.0.0.1", device.port)
        udp:send_to("S7", "127.0.0.1", device.port)
        testing.wait_until(function() return #got == 3 end)
        assert.same({ "PONG", "PONG", udp.port .. " 7" }, got)
        assert.same({ "PING", "PING", "S7" }, device.received)
        device:garbage "?"
        testing.wait_until(function() return got[4] == "?" end)
    end)

    it("listens at a path", function()
        helper.unix_only("a Unix socket")
        local path = helper.free_path()
        device_of({ ["A"] = "B" }, { unix = path })
        local sock = helper.track(assert(evsock.connect("unix:" .. path)))
        sock:write "A\n"
        testing.wait_until(function() return sock.buffered > 0 end)
        assert.equal("B", sock:read_line())
        local any = device_of({ ["A"] = "C" }, { unix = true })
        assert.matches("^unix:/", any.host)
        local other = helper.track(assert(evsock.connect(any.host)))
        other:write "A\n"
        testing.wait_until(function() return other.buffered > 0 end)
        assert.equal("C", other:read_line())
        any:close()
        assert.is_nil(io.open(any.host:sub(6)))
    end)

    it("speaks TLS", function()
        local device = device_of({ ["A"] = "B" }, { tls = certificates:identity("ecdsa") })
        local trusted = certificates:trusting({ server_name = "localhost" })
        local sock, lines = asker(device, { tls = trusted })
        sock:write "A\n"
        wait_lines(lines, 1)
        assert.equal("B", lines[1])
    end)

    it("tells why it can't listen", function()
        local device = device_of {}
        local other, message, code = testing.device({}, { port = device.port })
        assert.is_nil(other)
        assert.is_string(message)
        assert.equal("EADDRINUSE", code)
        assert.matches("^evsock.testing.Device: 127.0.0.1 port %d+$", tostring(device))
    end)

    it("refuses misuse at the line of the script", function()
        local device = device_of {}
        helper.misuse(function() testing.device(1) end, "bad argument 'script' to 'device'")
        helper.misuse(function() testing.device({ 1 }) end, "bad argument 'script' to 'device'")
        helper.misuse(function() testing.device({ a = 1 }) end, "bad answer to 'a' to 'device'")
        helper.misuse(function() testing.device({}, 1) end, "bad argument 'options' to 'device'")
        helper.misuse(function() testing.device({}, { tsl = 1 }) end, "bad option 'tsl'")
        helper.misuse(function() testing.device({}, { port = -1 }) end, "bad option 'port'")
        helper.misuse(function() testing.device({}, { udp = true, unix = "a" }) end, "udp")
        helper.misuse(function() device:split(0) end, "bad argument 'n' to 'split'")
        helper.misuse(function() device:silence(1) end, "bad argument 'is_silent' to 'silence'")
        helper.misuse(function() device:garbage() end, "bad argument 'text' to 'garbage'")
        helper.misuse(function() device.close() end, "call it with a colon")
    end)
end)

describe("a device under a clock", function()
    after_each(helper.finish)

    it("answers before the clock goes on, in pieces, too, over TCP and UDP", function()
        local clock = testing.clock()
        local device = device_of({ ["POLL"] = "OK" })
        local sock, lines = asker(device)
        local at = {}
        local began = clock:now()
        local timer = helper.track(evsock.every(30, function()
            sock:write "POLL\n"
            at[#at + 1] = #lines
        end))
        device:split(1)
        clock:advance(3600)
        timer:cancel()
        assert.equal(120, #lines)
        for i = 1, 120 do
            assert.equal(i - 1, at[i])
        end
        assert.equal(3600, clock:now() - began)
        clock:release()
    end)
end)

describe("wait_until", function()
    after_each(helper.finish)

    it("pumps until the condition holds, and returns what it returned", function()
        local calls = 0
        evsock.after(0.01, function() calls = calls + 1 end)
        assert.equal("done", testing.wait_until(function() return calls == 1 and "done" end))
    end)

    it("raises after its time, with what is open, at the line of the script", function()
        helper.track(evsock.after(60, print))
        helper.misuse(function() testing.wait_until(function() end, 0.01) end,
            "wait_until: the condition does not hold after 0.01 s")
        local _, problem = pcall(testing.wait_until, function() end, 0)
        assert.matches("this keeps run going:\n  .*timer", problem)
    end)

    it("has its time by the system's clock while a test holds another", function()
        local clock = testing.clock()
        helper.track(evsock.after(1, helper.never("a timer of a clock that stands")))
        local start = clock:real()
        local ok = pcall(testing.wait_until, function() end, 0.03)
        assert.is_false(ok)
        assert.is_true(clock:real() - start < 5 * helper.slow)
        clock:release()
    end)

    it("moves a clock that moves on by itself", function()
        local clock = testing.clock():auto()
        local began = clock:now()
        local at
        evsock.after(3600, function() at = clock:now() - began end)
        assert.equal(3600, testing.wait_until(function() return at end))
        local ok = pcall(testing.wait_until, function() end, 0.03)
        assert.is_false(ok)
        assert.equal(3600, clock:now() - began)
        clock:release()
    end)

    it("refuses misuse at the line of the script", function()
        helper.misuse(function() testing.wait_until(1) end, "bad argument 'condition'")
        helper.misuse(function() testing.wait_until(print, -1) end, "bad argument 'seconds'")
    end)
end)

describe("leaks", function()
    after_each(helper.finish)

    it("are what is still open, with the place where it was made", function()
        local before = #testing.leaks()
        local timer = evsock.after(60, print)
        local device = assert(testing.device({}))
        local leaks = testing.leaks()
        assert.equal(before + 2, #leaks)
        local kinds = {}
        for _, leak in ipairs(leaks) do
            kinds[leak.kind] = leak.where
        end
        assert.matches("testing_spec.lua:%d+$", kinds.timer)
        assert.matches("testing_spec.lua:%d+$", kinds.server)
        assert.is_truthy(evsock.report(function() end):find("made at " .. kinds.timer, 1, true))
        timer:cancel()
        device:close()
        assert.equal(before, #testing.leaks())
    end)
end)
