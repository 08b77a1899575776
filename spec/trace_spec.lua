-- The trace: what each line says, where lines go, and that nothing comes of it but lines.

local helper = require "spec.helper"
local kit = require "spec.peers.openssl"
local evsock = helper.evsock
local pump_until = helper.pump_until

-- The lines that have come, without the seconds.
local lines

local function note(line)
    assert(line:match("^%d+%.%d%d%d%d ") and not line:find("%c"), line)
    lines[#lines + 1] = line:gsub("^%S+ ", "")
end

local function begin(level)
    lines = {}
    assert.is_true(evsock.trace(level or true, note))
end

local function finish()
    evsock.trace(false)
    helper.finish()
end

-- The place of the first line from `start` on that ends with the text.
local function place_of(text, start)
    for place = start or 1, #lines do
        if lines[place]:sub(-#text) == text then
            return place
        end
    end
end

-- Waits for lines with these ends, in this order; returns them.
local function told(...)
    local found
    local wanted = { ... }
    local ok = pcall(pump_until, function()
        local place = 0
        found = {}
        for index, text in ipairs(wanted) do
            place = place_of(text, place + 1)
            if not place then
                return false
            end
            found[index] = lines[place]
        end
        return true
    end)
    if not ok then
        error("wanted:\n" .. table.concat(wanted, "\n") .. "\ngot:\n"
            .. table.concat(lines, "\n"), 2)
    end
    return (table.unpack or unpack)(found)
end

local function nothing_with(text)
    for _, line in ipairs(lines) do
        assert.is_nil(line:find(text, 1, true), line)
    end
end

local function busy(seconds)
    local over = evsock.now() + seconds
    while evsock.now() < over do end
end

describe("a trace of", function()
    after_each(finish)
    local certificates = kit.certificates_for(setup, teardown)

    it("a refused port says who refused, and that nothing listens there", function()
        begin()
        local to = "127.0.0.1:" .. helper.free_port()
        helper.track(evsock.connect("127.0.0.1", tonumber(to:match("%d+$"))))
        local line = told(
            "socket to " .. to .. ": connecting to " .. to,
            "socket to " .. to .. ": no connection with " .. to
                .. ": connect: connection refused (ECONNREFUSED)",
            "socket to " .. to .. ": closed: connect: connection refused (ECONNREFUSED): "
                .. "nothing listens there")
        assert.truthy(line:find("^#%d+ socket"), line)
    end)

    it("a name of several addresses tells the addresses and each attempt", function()
        begin()
        local record = helper.server()
        local sock = helper.track(evsock.connect("localhost", record.port))
        local who = "socket to localhost:" .. record.port .. ": "
        helper.wait_state(sock, "open")
        told(who .. "connecting to 127.0.0.1:" .. record.port,
            who .. "connected to 127.0.0.1:" .. record.port .. " from 127.0.0.1:"
                .. sock.local_port)
        local known
        for _, line in ipairs(lines) do
            known = known or line:match("socket to localhost:%d+: the name is known: (.*)")
        end
        assert.truthy(known and known:find("127.0.0.1", 1, true), known)
    end)

    it("an unknown host says so, and what to check", function()
        begin()
        local qsys = require "evsock.qsys"
        qsys.configure { hosts = { ["projector.test"] = false } }
        local sock = qsys.TcpSocket.New()
        sock:Connect("projector.test", 4352)
        told("socket to projector.test:4352: closed: connect: name or service not known "
            .. "(EHOSTNOTFOUND): check the name and the name server")
        sock:Disconnect()
        qsys.configure { hosts = {} }
        helper.track(evsock.connect("nosuch.invalid", 1))
        told("socket to nosuch.invalid:1: looking up nosuch.invalid",
            "(EHOSTNOTFOUND): check the name and the name server")
    end)

    it("TLS that is refused says why and by what code", function()
        local record = helper.server({ tls = {
            certfile = certificates:path("ecdsa.pem"), keyfile = certificates:path("ecdsa.key"),
        } })
        record.server.on_error = function() end
        begin()
        helper.track(evsock.connect("localhost", record.port, {
            tls = { ca = helper.read_file(certificates:path("other.pem")) },
        }))
        local who = "socket to localhost:" .. record.port .. ": "
        told(who .. "TLS handshake with localhost begins")
        pump_until(function()
            for _, line in ipairs(lines) do
                if line:find(who .. "closed, TLS refused: ", 1, true) then
                    assert.truthy(line:find("%(TLS_%u+_?%u*%)$"), line)
                    return true
                end
            end
        end)
        local trouble
        pump_until(function()
            for _, line in ipairs(lines) do
                trouble = trouble or line:match("server on 127.0.0.1:%d+: trouble: (.*)")
            end
            return trouble
        end)
        assert.truthy(trouble:find("(TLS_", 1, true), trouble)
    end)

    it("a handshake says its version, cipher and verdict, and no key is told", function()
        begin("data")
        local key = helper.read_file(certificates:path("ecdsa.key"))
        local record = helper.server({ tls = {
            cert = helper.read_file(certificates:path("ecdsa.pem")), key = key,
        } })
        local sock = helper.track(evsock.connect("localhost", record.port, {
            tls = { ca = helper.read_file(certificates:path("ca.pem")) },
            on_connect = function(sock) sock:write("PING") end,
        }))
        told("sends 4 bytes: \"PING\"", "received 4 bytes: \"PING\"")
        local who = "socket to localhost:" .. record.port .. ": secured by TLS "
            .. sock.tls.version .. ", " .. sock.tls.cipher
        told(who .. ": the peer's certificate is verified")
        told("secured by TLS " .. sock.tls.version .. ", " .. sock.tls.cipher
            .. ": the client has shown no certificate")
        nothing_with("BEGIN")
        nothing_with(key:match("\n(%S+)\n"):sub(1, 20))
        local other = helper.track(evsock.connect("127.0.0.1", record.port, {
            tls = { verify = false },
        }))
        helper.wait_state(other, "open")
        told(": the peer's certificate is not verified (verify = false)")
    end)

    it("a timeout says which, of connecting and of reading", function()
        begin()
        local port = helper.silent_port()
        helper.track(evsock.connect("127.0.0.1", port, { connect_timeout = 0.05 }))
        told("socket to 127.0.0.1:" .. port
            .. ": closed by a timeout: connect: timed out (ETIMEDOUT)")
        local client = helper.pair({ read_timeout = 0.05 })
        told("socket to 127.0.0.1:" .. client.port
            .. ": closed by a timeout: read: timed out (ETIMEDOUT)")
    end)

    it("reconnecting says when, and counts the attempts", function()
        begin()
        local port = helper.free_port()
        local sock = helper.connect(port, { reconnect = 0.02 })
        local who = "socket to 127.0.0.1:" .. port .. ": "
        told("nothing listens there", who .. "connects again in 0.02 s",
            who .. "connecting again, attempt 1", who .. "connecting to 127.0.0.1:" .. port,
            who .. "connects again in 0.02 s", who .. "connecting again, attempt 2")
        sock.reconnect = 60
        helper.wait_state(sock, "waiting")
        pump_until(function()
            return place_of(who .. "connects again in 60 s") and sock.state == "waiting"
        end)
        sock:close()
        told(who .. "closed by the script: no more attempts")
    end)

    it("a peer's reset says that the peer did it", function()
        begin()
        local client, accepted = helper.pair()
        accepted:abort()
        told("socket to 127.0.0.1:" .. client.port .. ": closed by the peer, which broke it off: "
            .. "read: connection reset by peer (ECONNRESET)")
        told("socket from 127.0.0.1:" .. client.local_port .. ": closed by the script, at once")
    end)

    it("an orderly end says who began it", function()
        begin()
        local client = helper.pair()
        client:close()
        told("socket to 127.0.0.1:" .. client.port .. ": closing: the script is done with it",
            "socket to 127.0.0.1:" .. client.port .. ": closed by the script")
        told(": the peer has ended its stream",
            ": closed by the peer, which has ended its stream")
    end)

    it("a slow handler says which it was and how long it took", function()
        begin()
        local client, accepted = helper.pair({ on_data = function() busy(0.11) end })
        accepted:write("x")
        local seconds
        pump_until(function()
            for _, line in ipairs(lines) do
                seconds = seconds or line:match("^#%d+ socket to 127.0.0.1:" .. client.port
                    .. ": its on_data took (%S+) s, in which no other handler could run$")
            end
            return seconds
        end)
        assert.is_true(tonumber(seconds) >= 0.11)
        local timer
        evsock.after(0, busy, 0.11)
        pump_until(function()
            for _, line in ipairs(lines) do
                timer = timer or line:match("^(#%d+) timer: its on_timer took ")
            end
            return timer
        end)
        told(timer .. " timer: due")
        local task
        helper.finished(helper.spawn(busy, 0.11))
        for _, line in ipairs(lines) do
            task = task or line:match("^task: ran for %S+ s without a wait")
        end
        assert.truthy(task)
    end)

    it("a handler that raises says what", function()
        begin()
        local client, accepted = helper.pair({ on_data = function() error("oh dear", 0) end })
        evsock.on_error = function() end
        accepted:write("x")
        told("socket to 127.0.0.1:" .. client.port .. ": its on_data raised: oh dear")
        evsock.on_error = nil
    end)

    it("a server at its limit says so, and when it goes on", function()
        begin()
        local client, _, record = helper.pair(nil, { max_connections = 1 })
        local who = "server on 127.0.0.1:" .. record.port .. ": "
        helper.connect(record.port)
        told(who .. "listening", who .. "a connection comes from 127.0.0.1:" .. client.local_port,
            who .. "is full with 1 of 1 connections (max_connections): "
                .. "others wait in the system's queue")
        client:close()
        told(who .. "takes connections again")
        record.server:pause()
        record.server:resume()
        record.server:close()
        told(who .. "closed by the script")
    end)

    it("a server that is paused says by whom", function()
        begin()
        local record = helper.server()
        record.server:pause()
        told("server on 127.0.0.1:" .. record.port .. ": paused by the script: "
            .. "others wait in the system's queue")
    end)

    it("bytes counts them each way, and says when what waited is gone", function()
        begin()
        local client, accepted = helper.pair({ on_drain = function() end })
        client:write("abc", "de")
        accepted:write("x")
        told("socket to 127.0.0.1:" .. client.port .. ": sends 5 bytes")
        told("socket from 127.0.0.1:" .. client.local_port .. ": received 5 bytes")
        told("socket to 127.0.0.1:" .. client.port .. ": received 1 byte")
        nothing_with("abc")
        client:write(("x"):rep(8 * 1024 * 1024))
        assert.is_true(client.pending > 0)
        accepted.on_data = function(sock) sock:read() end
        accepted:read()
        told(" wait to be sent",
            "socket to 127.0.0.1:" .. client.port
                .. ": drained: what was written is with the system")
    end)

    it("datagrams says from whom and to whom", function()
        begin("data")
        local udp = helper.track(assert(evsock.udp("127.0.0.1", 0)))
        local here = "127.0.0.1:" .. udp.port
        udp:send_to("hi", "127.0.0.1", udp.port)
        told("udp socket on " .. here .. ": bound",
            "udp socket on " .. here .. ": sends 2 bytes to " .. here .. ": \"hi\"",
            "udp socket on " .. here .. ": received 2 bytes from " .. here .. ": \"hi\"")
        udp:close()
        told("udp socket on " .. here .. ": closed by the script")
    end)

    it("timers, watches, tasks and lookups names them", function()
        begin()
        local timer = evsock.every(0.01, function(self) return self end)
        told("timer: due every 0.01 s", "timer: due")
        timer:cancel()
        told("timer: canceled by the script")
        local client = helper.pair()
        local watch = helper.track(assert(evsock.watch(client.fd, "w", function(self)
            self:close()
        end)))
        told("watch of descriptor " .. client.fd .. ": watching",
            "watch of descriptor " .. client.fd .. ": can be written",
            "watch of descriptor " .. client.fd .. ": closed by the script")
        watch:close()
        local line = debug.getinfo(1, "l").currentline + 1
        local task = evsock.spawn(function() error("went wrong", 0) end)
        evsock.on_error = function() end
        helper.finished(task)
        evsock.on_error = nil
        local spec = debug.getinfo(1, "S").short_src
        told(": begun at " .. spec .. ":" .. line, ": failed: went wrong")
        evsock.spawn(evsock.sleep, 60):cancel()
        helper.finished(helper.spawn(function() end))
        told(": canceled", ": over")
        helper.finished(helper.spawn(evsock.resolve, "nosuch.invalid"))
        told("question: looking up nosuch.invalid")
    end)

    it("a task that failed with an object calls nothing of it, and who joins is woken", function()
        begin()
        local shown = 0
        local task = evsock.spawn(function()
            evsock.sleep(0.001)
            local function show()
                shown = shown + 1
                error("hidden")
            end
            error(setmetatable({}, { __tostring = show }))
        end)
        local code
        evsock.spawn(function()
            code = select(3, task:join())
        end)
        pump_until(function() return code end)
        assert.equal("ETASK", code)
        assert.equal(0, shown)
        assert.truthy(place_of("failed: (a value of type table)"))
    end)

    it("every dialect's sockets is the same", function()
        begin()
        local record = helper.server()
        local hammerspoon, pharos, qsys, renoise = helper.dialects()
        local sock = qsys.TcpSocket.New()
        sock:Connect("127.0.0.1", record.port)
        helper.track(sock)
        local to = "127.0.0.1:" .. record.port
        local second = pharos.net.TcpSocket.new()
        second:connect("127.0.0.1", record.port)
        helper.track(assert(renoise.Socket.create_client("127.0.0.1", record.port)))
        helper.track(hammerspoon.socket.new():connect("127.0.0.1", record.port), function(it)
            it:disconnect()
        end)
        local tcp = require("evsock.luasocket").core.tcp()
        assert(tcp:connect("127.0.0.1", record.port))
        local count
        pump_until(function()
            count = 0
            for _, line in ipairs(lines) do
                count = count + (line:find("socket to " .. to .. ": connected to " .. to, 1, true)
                    and 1 or 0)
            end
            return count == 5
        end)
        tcp:close()
        second:abort()
    end)
end)

describe("bytes of the trace", function()
    after_each(finish)

    it("are a dump with the level hex, sixteen in a line, at most the first 1024", function()
        begin("hex")
        local client, accepted = helper.pair()
        client:write("0123456789abcdef\0\255\n")
        told("received 19 bytes:")
        told("  0000  30 31 32 33 34 35 36 37 38 39 61 62 63 64 65 66  |0123456789abcdef|",
            "  0010  00 ff 0a                                         |...|")
        accepted:write(("x"):rep(2000))
        told("sends 2000 bytes:", "  and 976 bytes more")
    end)

    it("are escaped and bounded with the level data", function()
        begin("data")
        local client = helper.pair()
        client:write("a\r\n\27[2J\"\255")
        told([[received 9 bytes: "a\r\n\x1b[2J\"\xff"]])
        client:write(("y"):rep(5000))
        told("sends 5000 bytes: \"" .. ("y"):rep(1024) .. "\" and 3976 bytes more")
    end)
end)

describe("evsock.trace", function()
    after_each(finish)

    it("refuses other levels and sinks at the caller's line", function()
        helper.misuse(function() evsock.trace("all") end, "bad argument 'level' to 'trace'")
        helper.misuse(function() evsock.trace() end, "bad argument 'level' to 'trace'")
        helper.misuse(function() evsock.trace(true, 5) end, "bad argument 'sink' to 'trace'")
    end)

    it("appends to a file, and says which file it can't open", function()
        lines = {}
        local path = helper.free_path()
        for _ = 1, 2 do
            assert(evsock.trace(true, path))
            evsock.after(60, print):cancel()
            evsock.trace(false)
        end
        local text = helper.read_file(path)
        assert.equal(2, select(2, text:gsub("%d+%.%d+ #%d+ timer: due in 60 s\n", "")))
        assert.equal(2, select(2, text:gsub("timer: canceled by the script\n", "")))
        local ok, message, code = evsock.trace(true, "/nowhere/at/all")
        assert.is_nil(ok)
        assert.equal("trace /nowhere/at/all: no such file or directory", message:lower())
        assert.equal("ENOENT", code)
    end)

    it("says nothing once it is off, nor of what comes later of what it has told of", function()
        begin()
        local client, accepted = helper.pair()
        evsock.trace(false)
        local count = #lines
        accepted:write("x")
        helper.wait_field(client, "buffered", 1)
        assert.equal(count, #lines)
    end)

    it("hands over what waits before it is turned off", function()
        begin()
        evsock.after(60, print):cancel()
        assert.equal(0, #lines)
        evsock.trace(false)
        assert.equal(2, #lines)
    end)

    it("hands lines over in pumps, in order, and wakes one that waits", function()
        begin()
        local port = helper.free_port()
        local sock = helper.connect(port)
        assert.equal(0, #lines)
        helper.wait_state(sock, "closed")
        told("connecting to 127.0.0.1:" .. port, "nothing listens there")
    end)

    it("records where objects are made, and only while it is on", function()
        local before = helper.track(evsock.every(60, print))
        begin()
        local line = debug.getinfo(1, "l").currentline + 1
        local timer = helper.track(evsock.every(60, print))
        local task = helper.spawn(evsock.sleep, 60)
        local server = helper.track(assert(evsock.listen("127.0.0.1", 0)))
        server.on_accept = function() end
        helper.connect(server.port)
        pump_until(function() return server.connections == 1 end)
        local place = debug.getinfo(1, "S").short_src .. ":"
        local found = {}
        for _, row in ipairs(evsock.objects()) do
            found[row.object] = row.where or false
            if row.kind == "socket" and not row.host then
                assert.equal(place .. line + 2, row.where)
            end
        end
        assert.equal(place .. line, found[timer])
        assert.equal(place .. line + 2, found[server])
        assert.truthy(found[task])
        assert.is_false(found[before])
        assert.truthy(evsock.report():find("made at " .. place .. line, 1, true))
    end)
end)

describe("a trace under a clock that the test moves", function()
    after_each(finish)

    it("counts its seconds by that clock, as do the ages of objects", function()
        local clock = require("evsock.testing").clock()
        local seconds = {}
        evsock.trace(true, function(line)
            if line:find("connecting again", 1, true) then
                seconds[#seconds + 1] = tonumber(line:match("^%S+"))
            end
        end)
        local begun = evsock.now()
        local udp = helper.track(assert(evsock.udp("127.0.0.1", 0)))
        local sock = helper.connect(helper.free_port(), { reconnect = 5 })
        clock:advance(11)
        local ages = {}
        for _, row in ipairs(evsock.objects()) do
            ages[row.object] = row.age
        end
        clock:release()
        assert.equal(2, #seconds)
        assert.is_true(math.abs(seconds[1] - begun - 5) < 0.1)
        assert.is_true(math.abs(seconds[2] - begun - 10) < 0.1)
        assert.is_true(math.abs(ages[udp] - 11) < 0.1)
        sock:close()
    end)
end)

describe("a function that gets the trace", function()
    after_each(finish)

    it("may raise: the trace ends with a line on stderr, and the script goes on", function()
        local output, status = helper.run([[
            local evsock = require "evsock"
            local calls = 0
            evsock.trace(true, function() calls = calls + 1 error("no more") end)
            local done
            evsock.after(0, function() done = true end)
            while not done do evsock.pump(0.1) end
            evsock.after(60, print):cancel()
            evsock.pump()
            print(calls, done)
        ]])
        assert.equal(0, status)
        assert.truthy(output:find("evsock: the function that gets the trace has raised, which ends "
            .. "the trace: ", 1, true), output)
        assert.truthy(output:find("no more", 1, true), output)
        assert.truthy(output:find("1\ttrue", 1, true), output)
    end)

    it("may raise an object that can't be shown: the trace ends as usual", function()
        local output, status = helper.run([[
            local evsock = require "evsock"
            local calls = 0
            evsock.trace(true, function()
                calls = calls + 1
                error(setmetatable({}, { __tostring = function() error "hidden" end }))
            end)
            evsock.after(60, print):cancel()
            evsock.pump()
            evsock.after(60, print):cancel()
            evsock.pump()
            print("calls", calls)
        ]])
        assert.equal(0, status)
        local wanted = "which ends the trace: (a value of type table)"
        assert.truthy(output:find(wanted, 1, true), output)
        assert.truthy(output:find("calls\t1", 1, true), output)
    end)

    it("may use sockets of its own, of which nothing is told, nor of their peers", function()
        local collector = helper.track(assert(evsock.udp("127.0.0.1", 0)))
        local record = helper.server()
        local datagrams, bytes = 0, 0
        collector.on_datagram = function() datagrams = datagrams + 1 end
        record.server.on_accept = function(_, sock)
            record.sockets[#record.sockets + 1] = sock
            sock.on_data = function() bytes = bytes + #sock:read() end
        end
        local udp = helper.track(assert(evsock.udp("127.0.0.1", 0)))
        local stream
        lines = {}
        evsock.trace(true, function(line)
            lines[#lines + 1] = line
            stream = stream or helper.connect(record.port)
            stream:write(line, "\n")
            udp:send_to(line, "127.0.0.1", collector.port)
            evsock.pump()
        end)
        evsock.after(60, print):cancel()
        local length = 0
        pump_until(function()
            length = 0
            for _, line in ipairs(lines) do
                length = length + #line + 1
            end
            return #lines >= 2 and datagrams == #lines and bytes == length
        end)
        local count = #lines
        helper.pump_for(0.1)
        assert.equal(count, #lines)
        assert.equal(length, bytes)
        assert.is_true(count < 10, table.concat(lines, "\n"))
    end)

    it("may turn the trace off, and on to another function", function()
        local first, second = 0, 0
        evsock.trace(true, function()
            first = first + 1
            evsock.trace(true, function() second = second + 1 end)
        end)
        evsock.after(60, print):cancel()
        evsock.pump()
        evsock.after(60, print):cancel()
        evsock.pump()
        assert.same({ 1, 2 }, { first, second })
        evsock.trace(true, function() evsock.trace(false) end)
        evsock.after(60, print):cancel()
        evsock.pump()
    end)

    it("can't yield, which ends the trace like an error", function()
        local output, status = helper.run([[
            local evsock = require "evsock"
            evsock.trace(true, function() coroutine.yield() end)
            local over
            evsock.spawn(function()
                evsock.after(60, print):cancel()
                evsock.trace(false)
                evsock.sleep(0.01)
                over = true
            end)
            local deadline = evsock.now() + 10
            while not over and evsock.now() < deadline do evsock.pump(0.1) end
            print(over)
        ]])
        assert.equal(0, status)
        assert.truthy(output:find("which ends the trace", 1, true), output)
        assert.truthy(output:find("true", 1, true), output)
    end)

    it("gets no more than a bounded number of lines, and is told how many were dropped", function()
        begin()
        for _ = 1, 2100 do
            evsock.after(60, print):cancel()
        end
        evsock.pump()
        assert.equal("104 lines of the trace were dropped: nobody took them", lines[#lines])
        assert.equal(4097, #lines)
    end)

    it("gets what comes while another loop pumps", function()
        begin()
        assert(evsock.pollfd())
        evsock.after(60, print):cancel()
        assert.equal(0, evsock.timeout())
        evsock.pump()
        assert.equal(2, #lines)
    end)
end)

describe("EVSOCK_TRACE", function()
    -- What a script prints with the variable set.
    local function output(value, script, setup)
        local before = (setup and setup .. "; " or "") .. "export EVSOCK_TRACE='" .. value .. "'"
        local text, status = helper.run(script, nil, before)
        assert.equal(0, status, text)
        return text
    end

    local ONE = [[
        local evsock = require "evsock"
        evsock.after(60, print):cancel()
    ]]

    it("traces to stderr from the beginning", function()
        helper.unix_only("variables of a child")
        for _, value in ipairs { "1", "data", "hex" } do
            local text = output(value, ONE)
            assert.truthy(text:find("^evsock: %d+%.%d+ #%d+ timer: due in 60 s\n"), text)
        end
        assert.equal("", output("0", ONE))
        assert.equal("", output("", ONE))
    end)

    it("traces to a file, whose name may hold a colon", function()
        helper.unix_only("variables of a child")
        local path = helper.free_path() .. ":x"
        helper.track(path, os.remove)
        assert.equal("", output("data:" .. path, ONE))
        assert.truthy(helper.read_file(path):find("timer: due in 60 s\n", 1, true))
        helper.finish()
    end)

    it("says what is wrong with it, and the script runs", function()
        helper.unix_only("variables of a child")
        local text = output("everything", ONE .. "print('runs')")
        assert.equal("evsock: EVSOCK_TRACE='everything' is none of 1, data and hex, each with "
            .. ":FILE behind it or without; nothing is traced\nruns\n", text)
        text = output("1:/nowhere/at/all", ONE .. "print('runs')")
        local start = "^evsock: EVSOCK_TRACE: trace /nowhere/at/all: [Nn]o such file"
        assert.truthy(text:find(start), text)
        assert.truthy(text:find("\nruns\n", 1, true), text)
    end)

    it("never waits for a stderr that nobody reads", function()
        helper.unix_only("a pipe without a reader")
        local path = helper.free_path()
        local text = output("1", [[
            local evsock = require "evsock"
            for _ = 1, 3000 do
                evsock.after(60, print):cancel()
            end
            print("went on")
        ]], "mkfifo " .. path .. "; exec 7<>" .. path .. " 2>&7")
        assert.truthy(text:find("went on", 1, true))
        os.remove(path)
        helper.finish()
    end)

    it("takes a FIFO as its file, whose reader may never come or go away", function()
        helper.unix_only("a FIFO")
        local path = helper.free_path()
        local text = output("1:" .. path, ONE .. "print('runs')", "mkfifo " .. path)
        assert.truthy(text:find("EVSOCK_TRACE: trace " .. path, 1, true), text)
        os.remove(path)
        text = output("1:" .. path, [[
            local evsock = require "evsock"
            for _ = 1, 3000 do
                evsock.after(60, print):cancel()
            end
            print("went on")
        ]], "mkfifo " .. path .. "; (head -n 3 " .. path .. " >/dev/null & ); exec 8<>" .. path)
        assert.truthy(text:find("went on", 1, true))
        os.remove(path)
        helper.finish()
    end)
end)
