-- Renoise, servers over the wire.
-- dialects.md 5.5, calls > "calls"; notifier > "notifier"; clients > "accepted clients"

local helper = require "spec.helper"
local tools = require "spec.dialects.renoise_tools"
local evsock = helper.evsock
local Socket = tools.Socket

local wait, native_client = tools.wait, tools.native_client

-- Callbacks for `run`: the text of every message is appended to the log.
local function messages_to(log)
    return {
        socket_message = function(_, data)
            log[#log + 1] = data
        end,
    }
end

-- A server that does not run yet.
local function idle_server()
    return helper.track(assert(Socket.create_server("localhost", 0)))
end

local function text_of(log)
    local list = {}
    for i = 1, #log do
        list[i] = log[i]
    end
    return table.concat(list, ", ")
end

after_each(helper.finish)

describe("Renoise server: calls", function()
    it("5.5 run starts serving; callbacks come from pump", function()
        local server, log = tools.server()
        assert.is_true(server.is_running)
        local native = native_client(server)
        native:write("hello")
        tools.compute(0.03)
        local before = #log
        helper.wait_count(log, 2)
        assert.is_true(before <= 1)
        assert.equal("accepted, message hello", text_of(log))
    end)

    it("5.5 run returns at once and calls nothing itself", function()
        local server = idle_server()
        native_client(server)
        tools.compute(0.02)
        local called = 0
        server:run({
            socket_accepted = function()
                called = called + 1
            end,
        })
        assert.equal(0, called)
        wait(function()
            return called == 1
        end)
    end)

    it("5.5 run takes a table or an object", function()
        local server = idle_server()
        local text = "bad argument 'notifier' to 'run' (table of functions, or an object expected"
        helper.misuse(function() server:run() end, text)
        helper.misuse(function() server:run(print) end, text)
        assert.is_false(server.is_running)
    end)

    it("5.5 stop stops: is_running is false, no callback comes", function()
        local server, log = tools.server()
        local native = native_client(server)
        helper.wait_count(log, 1)
        server:stop()
        assert.is_false(server.is_running)
        assert.is_true(server.is_open)
        native:write("unheard")
        native_client(server)
        helper.pump_for(0.03)
        assert.equal("accepted", text_of(log))
        server:stop()
    end)

    it("5.5 run may follow stop: what came meanwhile is told then, in order", function()
        local server, log = tools.server()
        local native = native_client(server)
        helper.wait_count(log, 1)
        local first = log.clients[1]
        server:stop()
        native:write("while ")
        helper.pump_for(0.02)
        native:write("stopped")
        native:close()
        local second = native_client(server)
        second:write("from the second")
        helper.pump_for(0.02)
        -- Sequenced: told with the rest.
        assert.is_true(first.is_open)
        local told, heard = {}, {}
        server:run({
            socket_accepted = function(client)
                told[#told + 1] = client == first and "first" or "second"
            end,
            socket_message = function(client, data)
                heard[client == first and 1 or 2] = (heard[client == first and 1 or 2] or "")
                    .. data
            end,
        })
        assert.same({}, heard)
        wait(function()
            return heard[2] and not first.is_open
        end)
        assert.same({ "while stopped", "from the second" }, heard)
        assert.same({ "second" }, told)
        assert.is_true(server.is_running)
    end)

    it("5.5 a client of a stopped server can be received from", function()
        local client, native, server, log = tools.accepted()
        server:stop()
        native:write("a line\nrest")
        assert.equal("a line", client:receive("*line", 1000))
        assert.equal("rest", client:receive("*all", 1000))
        native:write("for the next run")
        helper.pump_for(0.02)
        server:run(messages_to(log))
        helper.wait_count(log, 2)
        assert.equal("accepted, for the next run", text_of(log))
        server:stop()
        native:close()
        assert.equal("disconnected", select(2, client:receive("*line", 1000)))
        assert.is_false(client.is_open)
    end)

    it("5.5 wait blocks for the whole of its milliseconds", function()
        local server = tools.server()
        for _, ms in ipairs({ 40, 0 }) do
            local took = tools.timed(server.wait, server, ms)
            assert.is_true(took >= ms / 1000 and took < ms / 1000 + 0.5 * helper.slow)
        end
    end)

    it("5.5 wait dispatches this server's callbacks as they come, and nobody else's", function()
        local server, log = tools.server()
        local native = helper.connect(server.local_port, {
            on_connect = helper.expect(1),
        })
        local timer = helper.track(evsock.after(0, helper.expect(1)))
        native:write("one")
        local took = tools.timed(server.wait, server, 60)
        assert.equal("accepted, message one", text_of(log))
        assert.is_true(took >= 0.06, "took " .. took)
        assert.is_true(timer.active)
        assert.equal("connecting", native.state)
        native:write("two")
        server:wait(30)
        assert.equal("message two", log[3])
        evsock.pump(1)
        assert.is_false(timer.active)
    end)

    it("5.5 wait returns early if the server is closed meanwhile", function()
        local server
        server = tools.server({
            socket_message = function()
                server:close()
            end,
        })
        local native = native_client(server)
        native:write("close!")
        local took = tools.timed(server.wait, server, 20000)
        assert.is_true(took < 5)
        assert.is_false(server.is_open)
    end)

    it("5.5 wait on a server that does not run blocks and calls nothing", function()
        local server = idle_server()
        native_client(server)
        local took = tools.timed(server.wait, server, 20)
        assert.is_true(took >= 0.02)
    end)

    it("5.5 wait tells what came before it, too", function()
        local server, log = tools.server()
        server:stop()
        local native = native_client(server)
        native:write("early")
        helper.pump_for(0.02)
        server:run(messages_to(log))
        server:wait(50)
        assert.equal("early", text_of(log))
    end)

    it("5.5 close closes the listener and its connections", function()
        local client, native, server = tools.accepted()
        local port = server.local_port
        server:close()
        assert.is_false(server.is_open)
        assert.is_false(client.is_open)
        helper.misuse(function() client:send("x") end, "the socket is closed")
        helper.wait_state(native, "closed")
        assert.is_truthy(helper.track(assert(Socket.create_server("localhost", port))))
    end)

    it("5.5 close inside of a callback: nothing comes after it", function()
        local server, log
        server, log = tools.server({
            socket_accepted = function()
                server:close()
            end,
        })
        local native = helper.connect(server.local_port)
        native:write("never heard")
        helper.wait_count(log, 1)
        helper.pump_for(0.03)
        assert.equal("accepted", text_of(log))
    end)
end)

describe("Renoise server: notifier", function()
    it("5.5 all three callbacks are optional", function()
        local server = idle_server()
        server:run({})
        local native = native_client(server)
        native:write("nobody listens")
        helper.pump_for(0.02)
        assert.equal("open", native.state)
        -- Nobody's bytes do not pile up either.
        server:run({ socket_message = helper.expect(function(_, data)
            assert.equal("somebody does", data)
        end, 1) })
        native:write("somebody does")
        helper.pump_for(0.05)
    end)

    it("5.5 socket_error(text): a failure in the background", function()
        local output, status = helper.run([[
            local evsock, Socket = require "evsock", require("evsock.renoise").Socket
            evsock.on_unhandled = false
            local server = assert(Socket.create_server("localhost", 0))
            local problem
            server:run {
                socket_error = function(...)
                    problem = problem or { select("#", ...), type((...)) }
                end,
            }
            local clients = {}
            for i = 1, 60 do clients[i] = evsock.connect("127.0.0.1", server.local_port) end
            local stop = evsock.now() + 5
            while not problem and evsock.now() < stop do evsock.pump(0.05) end
            print(problem and problem[1], problem and problem[2], server.is_running)
        ]], nil, "ulimit -n 40")
        assert.equal("1\tstring\ttrue\n", output)
        assert.equal(0, status)
    end)

    it("5.5 socket_accepted(client): a client connected", function()
        local server = idle_server()
        local given
        server:run({
            socket_accepted = helper.expect(function(...)
                assert.equal(1, select("#", ...))
                given = ...
            end, 1),
        })
        local native = native_client(server)
        wait(function()
            return given
        end)
        assert.equal("userdata", type(given))
        assert.equal(native.local_port, given.peer_port)
    end)

    it("5.5 socket_message(client, data): bytes came, as they arrive, unframed", function()
        local client, native, _, log = tools.accepted({
            socket_message = function(...)
                assert.equal(2, select("#", ...))
            end,
        })
        native:write("GET / HTTP/1.0\r\nLength: 4\r\n\r\n")
        helper.wait_count(log, 2)
        native:write("body\0")
        helper.wait_count(log, 3)
        assert.equal("message GET / HTTP/1.0\r\nLength: 4\r\n\r\n", log[2])
        assert.equal("message body\0", log[3])
        assert.is_true(client.is_open)
    end)

    it("5.5 a function found in the table itself is called without self", function()
        local server, got = idle_server(), nil
        local notifier = setmetatable({
            socket_accepted = function(...)
                got = { select("#", ...), type((...)) }
            end,
        }, { __index = { socket_accepted = helper.never("the method of the class") } })
        server:run(notifier)
        native_client(server)
        wait(function()
            return got
        end)
        assert.same({ 1, "userdata" }, got)
    end)

    it("5.5 a function found through a metatable is called with self", function()
        local Class = {}
        Class.__index = Class
        local calls = {}
        function Class:socket_accepted(client)
            calls[#calls + 1] = { self, type(client) }
        end
        function Class:socket_message(client, data)
            calls[#calls + 1] = { self, type(client), data }
        end
        local notifier = setmetatable({}, Class)
        local server = idle_server()
        server:run(notifier)
        native_client(server):write("hi")
        wait(function()
            return calls[2]
        end)
        assert.is_true(calls[1][1] == notifier and calls[2][1] == notifier)
        assert.same({ "userdata", "userdata", "hi" }, { calls[1][2], calls[2][2], calls[2][3] })
    end)

    it("5.5 a function found on a userdata is called with it", function()
        -- A userdata with fields of its own: a native socket.
        local notifier = evsock.socket()
        local got
        notifier.socket_accepted = function(self, client)
            got = { self == notifier, type(client) }
        end
        local server = idle_server()
        server:run(notifier)
        native_client(server)
        wait(function()
            return got
        end)
        assert.same({ true, "userdata" }, got)
    end)

    it("5.5 bytes are told before the end, whatever the peer does next", function()
        for _ = 1, 20 do
            local server, log = tools.server()
            local native = helper.connect(server.local_port)
            native:write("last words")
            native:close()
            helper.wait_count(log, 2)
            assert.equal("accepted, message last words", text_of(log))
            server:close()
        end
    end)
end)

describe("Renoise server: accepted clients", function()
    it("5.5 a client is a full SocketClient: the script may answer with send", function()
        local _, native = tools.accepted({
            socket_message = function(client, data)
                assert.is_true(client:send("got " .. data))
            end,
        })
        native:write("ping")
        helper.wait_field(native, "buffered", 8)
        assert.equal("got ping", native:read())
    end)

    it("5.5 the script may close a client to refuse it", function()
        local server, log = tools.server({
            socket_accepted = function(client)
                client:close()
                assert.is_false(client.is_open)
            end,
        })
        local native = helper.connect(server.local_port)
        native:write("let me in")
        wait(function()
            return log[1] and native.state == "closed"
        end)
        helper.pump_for(0.02)
        assert.equal("accepted", text_of(log))
        assert.is_true(server.is_running)
    end)

    it("5.5 receive on it raises while the server runs", function()
        local client = tools.accepted({
            socket_accepted = function(client)
                local ok, problem = pcall(client.receive, client, "*line", 0)
                assert.is_false(ok)
                assert.is_truthy(problem:find("the server of this client runs", 1, true))
            end,
        })
        helper.misuse(function() client:receive("*all", 0) end, "the server of this client runs")
        assert.is_true(client.is_open)
    end)

    it("5.5 the client is the same object in every callback, and a key of tables", function()
        local seen = {}
        local client, native = tools.accepted({
            socket_message = function(client)
                seen[client] = (seen[client] or 0) + 1
            end,
        })
        native:write("a")
        wait(function()
            return seen[client] == 1
        end)
        native:write("b")
        wait(function()
            return seen[client] == 2
        end)
    end)

    it("5.5 a client that goes away: no callback, its is_open turns false", function()
        local client, native, _, log = tools.accepted()
        native:close()
        helper.wait_field(client, "is_open", false)
        assert.equal("accepted", text_of(log))
        helper.misuse(function() client:send("x") end, "the socket is closed")
        client:close()
    end)

    it("5.5 the server keeps its connections alive; the script need not", function()
        local server = idle_server()
        local weak = setmetatable({}, { __mode = "k" })
        local got = {}
        server:run({
            socket_accepted = function(client)
                weak[client] = true
            end,
            socket_message = function(_, data)
                got[#got + 1] = data
            end,
        })
        local native = native_client(server)
        wait(function()
            return next(weak)
        end)
        for i = 1, 3 do
            collectgarbage()
            collectgarbage()
            native:write("still " .. i)
            wait(function()
                return got[i]
            end)
        end
        assert.same({ "still 1", "still 2", "still 3" }, got)
        native:close()
        wait(function()
            collectgarbage()
            return next(weak) == nil
        end, "the client is let go after its end")
    end)

    it("5.5 many clients: each is told its own bytes, in order, none lost", function()
        local got = {}
        local server = tools.server({
            socket_message = function(client, data)
                got[client.peer_port] = (got[client.peer_port] or "") .. data
            end,
        })
        local natives, expected = {}, {}
        for i = 1, 20 do
            natives[i], expected[i] = native_client(server), {}
        end
        for round = 1, 50 do
            for i = 1, 20 do
                local text = i .. ":" .. round .. ";"
                natives[i]:write(text)
                expected[i][round] = text
            end
            evsock.pump()
        end
        for i = 1, 20 do
            local text = table.concat(expected[i])
            wait(function()
                return #(got[natives[i].local_port] or "") >= #text
            end)
            assert.equal(text, got[natives[i].local_port])
        end
    end)
end)
