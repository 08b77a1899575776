-- Failures that nobody hears of: `evsock.on_unhandled`, and the line on stderr that stands in for
-- it. What stderr gets is looked at in children.

local helper = require "spec.helper"
local kit = require "spec.peers.openssl"
local evsock = helper.evsock

-- What a child begins with. `closed()`: a port where nobody listens; `pump_until(condition)`,
-- `pump_for(seconds)`.
local BEGINNING = [[
    io.stdout:setvbuf("no")
    local evsock = require "evsock"
    local function pump_until(condition)
        local deadline = evsock.now() + 10
        while not condition() do
            if evsock.now() > deadline then
                error("too late")
            end
            evsock.pump(0.02)
        end
    end
    local function is_over(sock)
        pump_until(function() return sock.state == "closed" end)
    end
    local function pump_for(seconds)
        local over
        evsock.after(seconds, function() over = true end)
        pump_until(function() return over end)
    end
    local function closed()
        local server = assert(evsock.listen("127.0.0.1", 0))
        local port = server.port
        server:close()
        return port
    end
    local function pair(options)
        local peer
        local server = assert(evsock.listen("127.0.0.1", 0, {
            on_accept = function(_, sock) peer = sock end,
        }))
        local sock = evsock.connect("127.0.0.1", server.port, options)
        pump_until(function() return peer and sock.state == "open" end)
        server:close()
        return sock, peer
    end
]]

-- Both streams of a child, which has to end well.
local function output(script, setup)
    local text, status = helper.run(BEGINNING .. script, nil, setup)
    assert.equal(0, status, text)
    return text
end

local function lines_of(text)
    local lines = {}
    for line in text:gmatch("[^\n]+") do
        lines[#lines + 1] = line
    end
    return lines
end

-- What fails, and what the one line says of it.
local FAILURES = {
    ["an attempt that is refused"] = {
        "is_over(evsock.connect('127.0.0.1', closed()))",
        "^evsock: unhandled failure of socket to 127%.0%.0%.1:%d+: connect 127%.0%.0%.1:%d+: "
            .. "connection refused %(ECONNREFUSED%); set its on_close, or evsock%.on_unhandled = "
            .. "false for silence$",
    },
    ["a connection that times out"] = {
        "is_over((pair { read_timeout = 0.02 }))",
        "^evsock: unhandled failure of socket to 127%.0%.0%.1:%d+: .*%(ETIMEDOUT%); set its on_c",
    },
    ["an accepted connection that times out"] = {
        "local _, peer = pair() peer.read_timeout = 0.02 is_over(peer)",
        "^evsock: unhandled failure of socket from 127%.0%.0%.1:%d+: .*%(ETIMEDOUT%); set its on_c",
    },
    ["a handshake with a peer that has no TLS"] = {
        [[local server = evsock.listen("127.0.0.1", 0, {
            on_accept = function(_, sock) sock:write("220 hello\n") end })
        is_over(evsock.connect("127.0.0.1", server.port, { tls = true }))]],
        "^evsock: unhandled failure of socket to .*%(TLS_NOT_TLS%); set its on_close",
    },
    ["a start_tls that fails"] = {
        [[local sock, peer = pair()
        assert(sock:start_tls())
        peer:write("220 hello\n")
        is_over(sock)]],
        "^evsock: unhandled failure of socket to .*%(TLS_NOT_TLS%); set its on_close",
    },
    ["what was written before a close and can't be sent"] = {
        [[local sock, peer = pair { write_timeout = 0.05 }
        sock:write(("x"):rep(3e7))
        sock:close()
        is_over(sock)
        assert(peer.state == "open")]],
        "^evsock: unhandled failure of socket to .*%(ETIMEDOUT%); set its on_close",
    },
    ["a datagram that is refused"] = {
        [[local sock = evsock.udp("127.0.0.1")
        sock:connect("127.0.0.1", closed())
        sock:send_to("x")
        pump_for(0.3)]],
        "^evsock: unhandled failure of datagram socket 127%.0%.0%.1:%d+: .*%(ECONNREFUSED%); "
            .. "set its on_error",
    },
}

-- A failure, and why somebody hears of it or there is none.
local SILENT = {
    ["with a handler"] = [[
        evsock.connect("127.0.0.1", closed(), { on_close = function() end })
        evsock.run()]],
    ["with on_unhandled = false"] = [[
        evsock.on_unhandled = false
        is_over(evsock.connect("127.0.0.1", closed()))]],
    ["with a function in its place"] = [[
        evsock.on_unhandled = function() end
        is_over(evsock.connect("127.0.0.1", closed()))]],
    ["while a task waits"] = [[
        local sock = evsock.connect("127.0.0.1", closed())
        evsock.spawn(function() assert(not sock:receive("*l", 5)) end)
        evsock.run()]],
    ["of datagrams, which a waiting receive hears"] = [[
        local sock = evsock.udp("127.0.0.1")
        sock:connect("127.0.0.1", closed())
        sock:send_to("x")
        local _, _, code = sock:receive(5)
        assert(code == "ECONNREFUSED", code)]],
    ["while a call outside of tasks waits"] = [[
        local sock = evsock.connect("127.0.0.1", closed())
        assert(not sock:wait("connect", 5))]],
    ["of an orderly end"] = [[
        local sock, peer = pair()
        peer:close()
        is_over(sock)]],
    ["of what the script ends itself"] = [[
        local one, two = pair()
        one:close() two:abort()
        is_over(one) is_over(two)
        local sock = evsock.connect("127.0.0.1", closed())
        sock:close()
        is_over(sock)]],
    ["of a dialect"] = [[
        local pharos, reason = require "evsock.pharos", nil
        pharos.configure { logger = function(_, text) reason = text end }
        local sock = pharos.net.TcpSocket.new()
        sock:connect("127.0.0.1", closed())
        pump_until(function() return reason end)]],
}

describe("a failure that nobody hears", function()
    after_each(helper.finish)

    describe("is one line on stderr:", function()
        for name, case in pairs(FAILURES) do
            it(name, function()
                local lines = lines_of(output(case[1]))
                assert.equal(1, #lines, table.concat(lines, "\n"))
                assert.truthy(lines[1]:find(case[2]), lines[1])
            end)
        end

        local function check_handshake(waiting)
            local certificates = kit.certificates()
            local lines = lines_of(output(([[
                local server = assert(evsock.listen("127.0.0.1", 0, {
                    tls = { certfile = %q, keyfile = %q } }))
                %s
                local sock = evsock.connect("127.0.0.1", server.port, {
                    on_connect = function(sock) sock:write("GET / HTTP/1.0\r\n\r\n") end,
                    on_close = function() end })
                is_over(sock)
                pump_for(0.3)
            ]]):format(certificates:path("ecdsa.pem"), certificates:path("ecdsa.key"), waiting)))
            assert.equal(1, #lines, table.concat(lines, "\n"))
            assert.truthy(lines[1]:find("^evsock: unhandled failure of server 127%.0%.0%.1:%d+: "
                .. ".*%(TLS_[A-Z_]+%); set its on_error"), lines[1])
        end

        it("a handshake of a server's", function()
            check_handshake("")
        end)

        it("the same while a task accepts, which goes on waiting", function()
            check_handshake("evsock.spawn(function() server:accept(60) end)")
        end)

        it("and what is in io.stderr's place gets it", function()
            assert.equal("[evsock: unhandled failure]\n", output([[
                io.stderr = { write = function(_, ...)
                    print("[" .. table.concat({ ... }):sub(1, 25) .. "]")
                end }
                is_over(evsock.connect("127.0.0.1", closed()))]]))
        end)
    end)

    describe("comes where `io`", function()
        it("is a table of the script's: its stderr gets it", function()
            assert.equal("[evsock: unhandled failure]\n", output([[
                io = { stderr = { write = function(_, ...)
                    print("[" .. table.concat({ ... }):sub(1, 25) .. "]")
                end } }
                is_over(evsock.connect("127.0.0.1", closed()))]]))
        end)

        it("was removed by the script", function()
            assert.equal(1, #lines_of(output([[
                local port = closed()
                io = nil
                is_over(evsock.connect("127.0.0.1", port))]])))
        end)
    end)

    describe("is none", function()
        for name, script in pairs(SILENT) do
            it(name, function()
                assert.equal("", output(script))
            end)
        end
    end)

    it("is counted where there are many at once", function()
        local lines = lines_of(output([[
            local port, socks = closed(), {}
            for i = 1, 60 do
                socks[i] = evsock.connect("127.0.0.1", port)
            end
            for _, sock in ipairs(socks) do
                is_over(sock)
            end
            -- `run` doesn't go on for the sake of a line.
            evsock.run()
            pump_for(1.5)]]))
        local told, more = 0, 0
        for _, line in ipairs(lines) do
            told = told + (line:find("failure of socket", 1, true) and 1 or 0)
            more = more + (tonumber(line:match("^evsock: (%d+) more unhandled failures")) or 0)
        end
        assert.equal(60, told + more, table.concat(lines, "\n"))
        assert.is_true(helper.slow > 1 or #lines <= 24, table.concat(lines, "\n"))
        assert.is_true(more > 0 or helper.slow > 1)
    end)

    describe("harms nobody where stderr", function()
        -- A child that fails once. `stderr`: shell text in which CHILD stands for it.
        local function survives(stderr, script)
            local paths = ("package.path, package.cpath = %q, %q\n"):format(
                package.path, package.cpath)
            local folder = os.tmpname()
            os.remove(folder)
            os.execute("mkdir " .. folder)
            local file = assert(io.open(folder .. "/child.lua", "w"))
            file:write(paths, BEGINNING, ([[
                local folder = %q
                local function exists(name)
                    local found = io.open(folder .. "/" .. name)
                    return found and found:close()
                end
            ]]):format(folder), script, '\nlocal said = io.open(folder .. "/said", "w")\n',
                'said:write("went on")\nsaid:close()')
            file:close()
            local shell = assert(io.open(folder .. "/shell", "w"))
            shell:write("D=", folder, "\n", (stderr:gsub("CHILD", function()
                return "timeout -k 1 60 " .. helper.lua .. " $D/child.lua"
            end)), "\n")
            shell:close()
            os.execute("sh " .. folder .. "/shell >" .. folder .. "/out 2>&1 </dev/null")
            local said = io.open(folder .. "/said")
            local text = said and said:read("*a")
            if said then
                said:close()
            end
            os.execute("rm -r " .. folder)
            return text
        end

        local FAILS = "is_over(evsock.connect('127.0.0.1', closed()))\n"

        it("was closed before: no descriptor that has its number gets the line", function()
            assert.equal("went on", survives("CHILD 2>&-", [[
                local sock, peer = pair { on_close = function() end }
                local other, far = pair { on_close = function() end }
                local heard = 0
                for _, one in ipairs { sock, peer, other, far } do
                    one.on_data = function(_, n) heard = heard + n end
                end
            ]] .. FAILS .. "evsock.pump(0.05) assert(heard == 0)"))
        end)

        it("was closed by the script", function()
            assert.equal("went on", survives("CHILD", "io.stderr:close()\n" .. FAILS))
        end)

        it("is a pipe whose reader is gone", function()
            assert.equal("went on", survives(
                "CHILD 2>&1 >/dev/null | { exec <&-; : >$D/gone; }",
                "pump_until(function() return exists('gone') end)\n" .. FAILS))
        end)

        it("is a full pipe that nobody reads", function()
            assert.equal("went on", survives(
                "CHILD 2>&1 >/dev/null | { n=0; while [ ! -e $D/said ] && [ $n -lt 100 ]; do "
                    .. "sleep 0.1; n=$((n + 1)); done; [ -e $D/said ] || : >$D/late; "
                    .. "cat >/dev/null; }",
                "io.stderr:write(('x'):rep(65536))\n" .. FAILS .. "assert(not exists('late'))"))
        end)
    end)

    describe("goes to evsock.on_unhandled,", function()
        it("which gets the message and the object, and the code", function()
            local got = {}
            evsock.on_unhandled = helper.expect(function(...)
                got[#got + 1] = { select("#", ...), ... }
            end, 1)
            local port = helper.free_port()
            local sock = helper.connect(port)
            helper.pump_until(function() return got[1] end)
            assert.same({ 3, ("connect 127.0.0.1:%d: connection refused"):format(port), sock,
                "ECONNREFUSED" }, got[1])
        end)

        it("which counts as a handler and runs in pump; where it is false none has run", function()
            local handled = 0
            local function fail()
                local sock = helper.connect(helper.free_port())
                local most = 0
                helper.pump_until(function()
                    most = math.max(most, (evsock.pump(0.02)))
                    return sock.state == "closed"
                end)
                return most
            end
            evsock.on_unhandled = function() handled = handled + 1 end
            assert.equal(1, fail())
            assert.equal(1, handled)
            evsock.on_unhandled = false
            assert.equal(0, fail())
        end)

        it("once for all attempts in a row, and again after a connection", function()
            local told, port = 0, helper.free_port()
            evsock.on_unhandled = function() told = told + 1 end
            local attempts = 0
            local sock = helper.connect(port, {
                reconnect = 0.01,
                on_reconnect = function() attempts = attempts + 1 end,
            })
            helper.pump_until(function() return attempts >= 3 end)
            assert.equal(1, told)
            local server, peer = nil, nil
            helper.pump_until(function()
                server = server or evsock.listen("127.0.0.1", port, {
                    on_accept = function(_, accepted) peer = accepted end })
                return peer and sock.state == "open"
            end)
            helper.track(server)
            assert.equal(1, told)
            -- An orderly end is no failure, but the first attempt behind it that fails is one.
            server:close()
            attempts = 0
            peer:close()
            helper.pump_until(function() return attempts >= 3 end)
            assert.equal(2, told)
        end)

        it("whose error goes where those of handlers go", function()
            local function break_down() error("a fault of the hook") end
            local problem, object
            evsock.on_error = function(...) problem, object = ... end
            evsock.on_unhandled = break_down
            local sock = helper.connect(helper.free_port())
            helper.pump_until(function() return problem end)
            assert.equal(sock, object)
            assert.truthy(problem:find("a fault of the hook\nin the handler 'evsock.on_unhandled' "
                .. "of evsock.Socket 127.0.0.1:", 1, true), problem)
            evsock.on_error = nil
            helper.connect(helper.free_port())
            local ok, raised
            helper.pump_until(function()
                ok, raised = pcall(evsock.pump, 0.02)
                return not ok
            end)
            assert.truthy(raised:find("a fault of the hook", 1, true), raised)
        end)
    end)

    it("on_unhandled is a function, false or nil, and can be read", function()
        evsock.on_unhandled = nil
        assert.is_nil(evsock.on_unhandled)
        evsock.on_unhandled = print
        assert.equal(print, evsock.on_unhandled)
        evsock.on_unhandled = false
        assert.is_false(evsock.on_unhandled)
        helper.misuse(function() evsock.on_unhandled = "log" end,
            "bad value for 'on_unhandled' (function, false or nil expected, got string")
        helper.misuse(function() evsock.on_unhandeld = print end, "did you mean 'on_unhandled'?")
        helper.misuse(function() evsock.on_error = false end, "function or nil expected")
        assert.is_false(evsock.on_unhandled)
    end)
end)
