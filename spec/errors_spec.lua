-- What goes wrong outside (a code in on_close) and inside (errors in handlers); see "Errors in
-- handlers" in api.md (1). Misuse of single calls is in the specs of those calls.

local helper = require "spec.helper"

local evsock = helper.evsock
local expect, never, pump_until = helper.expect, helper.never, helper.pump_until
local is_state, compute = helper.is_state, helper.compute

local function boom()
    error("boom")
end

describe("the world", function()
    after_each(helper.finish)

    it("names an option whose value is no text", function()
        local ok, message = pcall(evsock.tls, { server_name = "\255" })
        assert.is_false(ok)
        assert.is_truthy(message:find("server_name", 1, true), message)
        assert.is_truthy(message:find("errors_spec.lua:", 1, true), message)
    end)

    it("a name that does not resolve closes with EHOSTNOTFOUND, without blocking", function()
        local ticks, begin = 0, evsock.now()
        local timer = evsock.every(0.005, function() ticks = ticks + 1 end)
        local sock = helper.track(evsock.connect("nosuch.invalid", 80, {
            on_connect = never("on_connect"),
            on_resolve = never("on_resolve"),
            on_close = expect(function(_, message, code)
                assert.is_truthy(message:find("nosuch.invalid", 1, true))
                assert.equal("EHOSTNOTFOUND", code)
            end, 1),
        }))
        assert.is_true(evsock.now() - begin < 0.1 * helper.slow)
        pump_until(is_state(sock, "closed"), 15)
        local took = evsock.now() - begin
        pump_until(function() return ticks >= 1 end)
        timer:cancel()
        local wanted = math.floor(took / 0.005 / 4 / helper.slow)
        assert.is_true(ticks >= wanted, ("%d ticks in %g s"):format(ticks, took))
    end)

    it("a senseless host closes with EBADHOST", function()
        for _, host in ipairs { "", ("x"):rep(300) } do
            local sock = helper.track(evsock.connect(host, 80, {
                on_close = expect(function(_, message, code)
                    assert.is_string(message)
                    assert.equal("EBADHOST", code)
                end, 1),
            }))
            pump_until(is_state(sock, "closed"))
        end
    end)

    -- How an attempt ends: its message and its code.
    local function fate(host, port)
        local told
        helper.track(evsock.connect(host, port, {
            on_close = expect(function(_, message, code) told = { message, code } end, 1),
        }))
        pump_until(function() return told end)
        return told[1], told[2]
    end

    it("a host is shown in print, and cut where it is long", function()
        for host, shown in pairs {
            ['a"b'] = [[a\"b]], ["a\27[31mb\r\n"] = [[a\x1b[31mb\r\n]], ["\255\0"] = [[\xff\x00]],
            ["a b"] = "a b", ["\226\128\174 x"] = [[\u{202e} x]],
            [("x"):rep(300)] = ("x"):rep(57) .. "\226\128\166",
        } do
            local message, code = fate(host, 80)
            assert.equal("EBADHOST", code)
            assert.equal("connect " .. shown .. ":80: this is no host name", message)
            local _, listened = evsock.listen(host, 80)
            assert.truthy(listened:find("listen " .. shown .. ":80: ", 1, true), listened)
            local _, bound = evsock.udp(host, 80)
            assert.truthy(bound:find("udp " .. shown .. ":80: ", 1, true), bound)
            local idle = helper.track(evsock.connect(host, 80))
            assert.truthy(tostring(idle):find(shown .. ":80", 1, true))
            assert.equal(host, idle.host)
        end
    end)

    it("a port in the host's text is named, and how to give it", function()
        local words = "the port stands in the host's text; it is an argument of its own: "
        for host, given in pairs {
            ["10.0.0.9:23"] = '"10.0.0.9", 23', ["a.example:23"] = '"a.example", 23',
            ["[::1]:23"] = '"::1", 23',
        } do
            for _, fn in ipairs { evsock.connect, evsock.listen, evsock.udp } do
                if fn ~= evsock.udp then
                    local ok, message = pcall(fn, host)
                    assert.is_false(ok)
                    assert.truthy(message:find(words .. given, 1, true), message)
                end
                local ok, message = pcall(fn, host, "x")
                assert.is_false(ok)
                assert.truthy(message:find(words .. given, 1, true), message)
            end
            local message, code = fate(host, 23)
            assert.equal("EBADHOST", code)
            assert.equal("connect " .. host .. ":23: " .. words .. given, message)
            assert.equal("listen " .. host .. ":0: " .. words .. given,
                (select(2, evsock.listen(host, 0))))
            local udp = helper.track(assert(evsock.udp("127.0.0.1", 0)))
            assert.equal("send_to " .. host .. ":23: " .. words .. given,
                (select(2, udp:send_to("x", host, 23))))
        end
        helper.misuse(function() evsock.connect("10.0.0.9:23", {}) end, words .. '"10.0.0.9", 23')
        helper.misuse(function() evsock.connect("10.0.0.9") end, "integer from 0 to 65535")
        helper.misuse(function() evsock.connect("::1") end, "integer from 0 to 65535")
    end)

    it("a refused port closes with ECONNREFUSED and says what and whom", function()
        local port = helper.free_port()
        local sock = helper.track(evsock.connect("localhost", port, {
            on_close = expect(function(_, message, code)
                assert.equal("ECONNREFUSED", code)
                assert.is_truthy(message:find("localhost", 1, true)
                    or message:find("127.0.0.1:" .. port, 1, true))
                assert.is_truthy(message:find("connection refused", 1, true))
            end, 1),
        }))
        pump_until(is_state(sock, "closed"))
    end)

    it("a peer that resets closes with ECONNRESET, once", function()
        local client, peer = helper.pair({
            on_close = expect(function(_, message, code)
                assert.is_string(message)
                assert.equal("ECONNRESET", code)
            end, 1),
        })
        peer:abort()
        pump_until(is_state(client, "closed"))
        assert.is_nil((client:write("x")))
        helper.pump_for(0.05)
    end)

    it("a peer that resets while we write closes once", function()
        local client, peer = helper.pair({
            on_close = expect(function(_, _, code) assert.equal("ECONNRESET", code) end, 1),
        })
        peer:abort()
        local deadline = evsock.now() + 5
        while client.state ~= "closed" and evsock.now() < deadline do
            client:write(("x"):rep(10000))
            evsock.pump(0.001)
        end
        assert.equal("closed", client.state)
        helper.pump_for(0.02)
    end)

    it("what was received before a reset is announced before on_close", function()
        local client, peer = helper.pair()
        peer:write("last words")
        pump_until(function() return client.buffered == 10 end)
        client.on_close = expect(function(sock)
            assert.equal("last words", sock:read())
        end, 1)
        peer:abort()
        pump_until(is_state(client, "closed"))
    end)

    it("a peer that falls silent closes with ETIMEDOUT by read_timeout", function()
        local client, peer = helper.pair({ read_timeout = 0.2 })
        client.on_close = expect(function(_, message, code)
            assert.is_string(message)
            assert.equal("ETIMEDOUT", code)
        end, 1)
        peer:write("x")
        pump_until(is_state(client, "closed"), 3)
    end)

    it("one socket's end disturbs no other", function()
        local client, peer = helper.pair({ on_close = never("on_close") })
        local other, its_peer = helper.pair({ on_close = expect(1) })
        its_peer:abort()
        helper.connect(helper.free_port(), { on_close = expect(1) })
        pump_until(is_state(other, "closed"))
        client:write("well")
        pump_until(function() return peer.buffered == 4 end)
        client.on_close = nil
    end)

    it("SIGPIPE does not end the interpreter", function()
        local output, status = helper.run([[
            local evsock = require "evsock"
            evsock.on_unhandled = false
            local peer
            local server = assert(evsock.listen("127.0.0.1", 0, {
                on_accept = function(_, sock) peer = sock end,
            }))
            local client = evsock.connect("127.0.0.1", server.port)
            while not peer or client.state ~= "open" do evsock.pump(0.02) end
            peer:abort()
            for _ = 1, 50 do client:write("x") end
            local deadline = evsock.now() + 0.05
            while evsock.now() < deadline do client:write("x") end
            while client.state ~= "closed" do client:write("x"); evsock.pump(0.02) end
            client:write("x")
            print("alive")
            server:close()
        ]])
        helper.printed("alive\n", output, status)
    end)
end)

describe("a call with the wrong sign", function()
    after_each(helper.finish)

    it("says that a method needs a colon, for every class", function()
        local server = helper.server().server
        local task = helper.track(evsock.spawn(function() end))
        local objects = {
            { evsock.socket(), { "abort", "close", "connect", "flush", "info", "lines", "look",
                "mark", "peek", "read", "read_exact", "read_line", "read_until", "receive",
                "search", "send", "shutdown", "start_tls", "wait", "write" } },
            { server, { "accept", "close", "pause", "resume" } },
            { helper.track(evsock.after(60, print)), { "cancel" } },
            { helper.track(assert(evsock.udp("127.0.0.1"))), { "close", "connect", "join_group",
                "leave_group", "pause", "read", "resume", "send_to" } },
            { task, { "cancel", "join" } },
        }
        local hint = "; call it with a colon)"
        for _, pair in ipairs(objects) do
            local object, names = pair[1], pair[2]
            for _, name in ipairs(names) do
                helper.misuse(function() object[name]() end, "bad argument 'self' to '")
                helper.misuse(function() object[name]() end, hint)
                helper.misuse(function() object[name]("text") end, hint)
            end
        end
    end)

    it("says that a function of the module needs a dot", function()
        local hint = "; call it with a dot)"
        helper.misuse(function() evsock:connect("127.0.0.1", 1) end, hint)
        helper.misuse(function() evsock:listen("127.0.0.1", 1) end, hint)
        helper.misuse(function() evsock:socket() end, hint)
        helper.misuse(function() evsock:socket({}) end, hint)
        helper.misuse(function() evsock:udp("127.0.0.1") end, hint)
        helper.misuse(function() evsock:after(1, print) end, hint)
        helper.misuse(function() evsock:every(1, print) end, hint)
        helper.misuse(function() evsock:spawn(print) end, hint)
        helper.misuse(function() evsock:sleep(1) end, hint)
        helper.misuse(function() evsock:tls({}) end, hint)
        helper.misuse(function() evsock:pump(1) end, hint)
        helper.misuse(function() evsock:attend(evsock.socket()) end, hint)
    end)

    it("says what a timeout of a pump may be", function()
        local sock = evsock.socket()
        local wanted = "(seconds of at least 0 expected, got "
        helper.misuse(function() evsock.pump(-1) end, "'timeout' to 'pump' " .. wanted .. "-1)")
        helper.misuse(function() evsock.pump(0 / 0) end, "'timeout' to 'pump' " .. wanted)
        helper.misuse(function() evsock.pump({}) end, "'timeout' to 'pump' " .. wanted .. "table)")
        helper.misuse(function() evsock.attend(sock, -1) end, "'timeout' to 'attend' " .. wanted)
    end)
end)

describe("an error in a handler", function()
    after_each(helper.finish)

    describe("without on_error", function()
        it("is raised by pump, a string with its place and traceback", function()
            evsock.after(0, boom)
            compute(0.002)
            local ok, message = pcall(evsock.pump)
            assert.is_false(ok)
            assert.is_truthy(message:match("^[^\n]*errors_spec%.lua:%d+: boom\n"))
            assert.is_truthy(message:find("stack traceback:", 1, true))
            -- The traceback knows the function that failed, whatever the version calls it.
            assert.is_truthy(message:match("traceback.*errors_spec%.lua:%d+"))
        end)

        -- Each makes a handler fail; the line that is to say so.
        local failing = {
            ["in the handler 'on_data' of evsock.Socket 127.0.0.1:%d"] = function()
                local _, peer, record = helper.pair({ on_data = boom })
                peer:write("x")
                return record.port
            end,
            ["in the handler 'on_connect' of evsock.Socket localhost:%d"] = function()
                local server = helper.server()
                helper.track(evsock.connect("localhost", server.port, { on_connect = boom }))
                return server.port
            end,
            ["in the handler 'on_close' of evsock.Socket 127.0.0.1:%d"] = function()
                local port = helper.free_port()
                helper.connect(port, { on_close = boom })
                return port
            end,
            ["in the handler 'on_accept' of evsock.Server 127.0.0.1:%d"] = function()
                local server = helper.server({ on_accept = boom })
                helper.connect(server.port)
                return server.port
            end,
            ["in the handler 'on_datagram' of evsock.Udp 127.0.0.1:%d"] = function()
                local sock = helper.track(assert(
                    evsock.udp("127.0.0.1", 0, { on_datagram = boom })))
                sock:send_to("x", "127.0.0.1", sock.port)
                return sock.port
            end,
            ["in the handler of evsock.Timer"] = function()
                evsock.after(0, boom)
            end,
            ["in the handler of TcpSocket 127.0.0.1:%d"] = function()
                local server = helper.server()
                local sock = helper.track(require("evsock.qsys").TcpSocket.New())
                sock.Connected = boom
                sock:Connect("127.0.0.1", server.port)
                return server.port
            end,
        }
        for line, make in pairs(failing) do
            it("names it: " .. line, function()
                local port = make()
                local ok, message = pcall(pump_until, function() end, 5)
                assert.is_false(ok)
                local wanted = port and line:format(port) or line
                local place, second, rest = message:match("^([^\n]*)\n([^\n]*)\n(.*)$")
                assert.truthy(place:find("errors_spec%.lua:%d+: boom$"), message)
                assert.equal(wanted, second)
                assert.equal(1, (rest:find("stack traceback:\n", 1, true)))
            end)
        end

        it("that is no string is raised unchanged", function()
            local objects = { {}, setmetatable({}, { __tostring = error }), 12.5, true, print }
            for _, object in ipairs(objects) do
                -- Level 0: Lua 5.1 would put a place before a number.
                evsock.after(0, function() error(object, 0) end)
                compute(0.002)
                local ok, problem = pcall(evsock.pump)
                assert.is_false(ok)
                assert.is_true(rawequal(object, problem))
            end
        end)

        it("counts as delivered, the rest stays queued in order", function()
            local order = {}
            for i = 1, 6 do
                evsock.after(0, function()
                    order[#order + 1] = i
                    if i == 2 or i == 4 then
                        error("error " .. i)
                    end
                end)
            end
            compute(0.005)
            local ok, message = pcall(evsock.pump)
            assert.is_false(ok)
            assert.is_truthy(message:find("error 2", 1, true))
            assert.same({ 1, 2 }, order)
            ok, message = pcall(evsock.pump)
            assert.is_false(ok)
            assert.is_truthy(message:find("error 4", 1, true))
            assert.same({ 1, 2, 3, 4 }, order)
            evsock.pump()
            assert.same({ 1, 2, 3, 4, 5, 6 }, order)
        end)

        it("closes no socket and loses no byte", function()
            local client, peer = helper.pair()
            local total, failed = 0, false
            client.on_data = function(_, n)
                total = total + n
                if not failed then
                    failed = true
                    error("boom")
                end
            end
            peer:write("first")
            assert.has_error(function()
                pump_until(function() return failed end)
            end)
            assert.equal("open", client.state)
            peer:write("second")
            pump_until(function() return total == 11 end)
            assert.equal("firstsecond", client:read())
        end)

        for _, name in ipairs { "on_connect", "on_data", "on_close", "on_accept" } do
            it(("in %s is raised, and the other handlers still run"):format(name), function()
                local seen = {}
                local function handler(own)
                    return function(_, sock)
                        seen[own] = true
                        if own == "on_accept" then
                            sock:write("x")
                            sock:close()
                        end
                        if own == name then
                            error("in " .. own)
                        end
                    end
                end
                local record = helper.server({ on_accept = handler("on_accept") })
                local client = helper.connect(record.port, {
                    on_connect = handler("on_connect"),
                    on_data = handler("on_data"),
                    on_close = handler("on_close"),
                })
                local problems = {}
                local deadline = evsock.now() + 5
                while client.state ~= "closed" and evsock.now() < deadline do
                    local ok, problem = pcall(evsock.pump, 0.02)
                    if not ok then
                        problems[#problems + 1] = problem
                    end
                end
                assert.equal(1, #problems)
                assert.is_truthy(problems[1]:find("in " .. name, 1, true))
                for _, own in ipairs { "on_connect", "on_data", "on_close", "on_accept" } do
                    assert.is_true(seen[own], own)
                end
                assert.equal("closed", client.state)
            end)
        end
    end)

    describe("with on_error", function()
        it("is handed to it with traceback and object, and the batch goes on", function()
            local order, got = {}, nil
            evsock.on_error = expect(function(message, object)
                order[#order + 1] = "error"
                got = { message, object }
            end, 1)
            local timer = evsock.after(0, function()
                order[#order + 1] = 1
                error("boom")
            end)
            evsock.after(0, function() order[#order + 1] = 2 end)
            compute(0.005)
            evsock.pump()
            assert.same({ 1, "error", 2 }, order)
            assert.is_truthy(got[1]:match("^[^\n]*errors_spec%.lua:%d+: boom\n"))
            assert.is_truthy(got[1]:find("stack traceback:", 1, true))
            assert.equal(timer, got[2])
        end)

        it("gets the socket whose handler failed", function()
            local client, peer = helper.pair()
            client.on_data = boom
            local object
            evsock.on_error = expect(function(_, sock) object = sock end, 1)
            peer:write("x")
            pump_until(function() return object end)
            assert.equal(client, object)
            assert.equal("open", client.state)
        end)

        it("gets an error object unchanged", function()
            local object, got = {}, nil
            evsock.on_error = expect(function(...) got = { ... } end, 1)
            evsock.after(0, function() error(object) end)
            pump_until(function() return got end)
            -- As the message, or after it where the message is its text.
            assert.is_true(rawequal(object, got[1]) or rawequal(object, got[3]))
        end)

        it("lets run go on", function()
            local errors, done = 0, false
            evsock.on_error = function() errors = errors + 1 end
            evsock.after(0, boom)
            evsock.after(0.01, function() done = true end)
            evsock.run()
            assert.equal(1, errors)
            assert.is_true(done)
        end)

        it("set to nil again, errors are raised again", function()
            evsock.on_error = never("on_error")
            evsock.on_error = nil
            evsock.after(0, boom)
            compute(0.002)
            assert.is_false(pcall(evsock.pump))
        end)

        it("that fails itself loses no event", function()
            local done
            evsock.on_error = function() error("again") end
            evsock.after(0, boom)
            evsock.after(0, expect(function() done = true end, 1))
            local deadline = evsock.now() + 2
            while not done and evsock.now() < deadline do
                pcall(evsock.pump, 0.02)
            end
            assert.is_true(done)
        end)
    end)

    it("inside a nested pump leaves that pump, and the handler may go on", function()
        local inner
        evsock.after(0, expect(function()
            evsock.after(0, boom)
            compute(0.002)
            local ok, message = pcall(evsock.pump, 0.5)
            inner = { ok, message }
        end, 1))
        pump_until(function() return inner end)
        assert.is_false(inner[1])
        assert.is_truthy(inner[2]:find("boom", 1, true))
    end)

    it("of misuse inside a handler names the handler's line", function()
        local client, peer = helper.pair()
        client.on_data = function(sock)
            sock:write({})
        end
        peer:write("x")
        local ok, message = pcall(pump_until, function() return false end, 2)
        assert.is_false(ok)
        assert.is_truthy(message:match("errors_spec%.lua:%d+: bad argument 'data' to 'write'"))
    end)

    it("that is an overflow of the stack is an error like others", function()
        local function deep()
            return 1 + deep()
        end
        evsock.after(0, deep)
        compute(0.002)
        local ok, message = pcall(evsock.pump)
        assert.is_false(ok)
        assert.is_truthy(tostring(message):find("stack overflow", 1, true))
        local fired
        evsock.after(0, expect(function() fired = true end, 1))
        pump_until(function() return fired end)
    end)
end)

describe("a handler that closes", function()
    after_each(helper.finish)

    for _, ending in ipairs { "close", "abort" } do
        for _, name in ipairs { "on_connect", "on_data" } do
            local title = "its own socket by %s in %s gets on_close and no more"
            it(title:format(ending, name), function()
                local record = helper.server({ on_accept = function(_, sock) sock:write("x") end })
                local options = { on_close = expect(function(_, message)
                    assert.is_nil(message)
                end, 1) }
                options[name] = expect(function(sock) sock[ending](sock) end, 1)
                if name == "on_connect" then
                    options.on_data = never("on_data")
                end
                local client = helper.connect(record.port, options)
                pump_until(is_state(client, "closed"))
                helper.pump_for(0.02)
            end)
        end

        it(("another socket by %s: its waiting events come no more"):format(ending), function()
            local one, its_peer = helper.pair()
            local two, other_peer = helper.pair()
            local ended = 0
            local first
            local function handler(sock)
                assert.is_nil(first)
                first = sock
                local other = sock == one and two or one
                other[ending](other)
            end
            one.on_data, two.on_data = expect(handler), handler
            two.on_data = one.on_data
            local function closed()
                ended = ended + 1
            end
            one.on_close, two.on_close = closed, closed
            its_peer:write("x")
            other_peer:write("x")
            compute(0.03)
            pump_until(function() return ended == 1 end)
            helper.pump_for(0.02)
            assert.equal(1, ended)
            assert.equal("open", first.state)
        end)
    end

    it("its own socket in on_close does nothing more", function()
        local client, peer = helper.pair()
        client.on_close = expect(function(sock)
            sock:close()
            sock:abort()
        end, 1)
        peer:close()
        pump_until(is_state(client, "closed"))
        helper.pump_for(0.02)
    end)

    it("the accepted socket and the server in on_accept leaves nothing behind", function()
        local record = helper.server({ on_accept = expect(function(server, sock)
            sock:abort()
            server:close()
        end, 1) })
        local client = helper.connect(record.port, { on_close = expect(1) })
        pump_until(is_state(client, "closed"))
        pump_until(function() return evsock.active() == 0 end)
    end)

    it("all sockets at once leaves nothing behind", function()
        local record = helper.server()
        local all = {}
        for i = 1, 20 do
            all[i] = helper.connect(record.port)
        end
        pump_until(function() return #record.sockets == 20 end)
        for _, sock in ipairs(record.sockets) do
            all[#all + 1] = sock
        end
        local closed = 0
        for _, sock in ipairs(all) do
            sock.on_close = function() closed = closed + 1 end
            sock.on_data = function()
                for _, other in ipairs(all) do
                    other:abort()
                end
            end
        end
        for i = 1, 20 do
            all[i]:write("x")
        end
        pump_until(function() return closed == 40 end)
        record.server:close()
        pump_until(function() return evsock.active() == 0 end)
    end)
end)
