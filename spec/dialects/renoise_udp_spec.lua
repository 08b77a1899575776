-- Renoise: clients and servers of UDP, alone, with each other and with OSC.

local helper = require "spec.helper"
local evsock = helper.evsock
local renoise = require "evsock.renoise"
local Socket, Osc = renoise.Socket, renoise.Osc
local UDP = Socket.PROTOCOL_UDP

local track = helper.track

-- A client and the native socket that it sends to.
local function client_and_peer()
    local peer = track(assert(evsock.udp("127.0.0.1", 0)))
    local client = track(assert(Socket.create_client("127.0.0.1", peer.port, UDP)))
    local function say(...)
        for _, data in ipairs { ... } do
            assert(peer:send_to(data, "127.0.0.1", client.local_port))
        end
    end
    return client, say, peer
end

-- A running server that notes "TEXT" of each datagram, and the stand-ins.
local function server_with_log(address)
    local server = track(assert(Socket.create_server(address or "localhost", 0, UDP)))
    local log = { peers = {} }
    server:run({
        socket_message = function(peer, data)
            collectgarbage()
            log[#log + 1], log.peers[#log + 1] = data, peer
        end,
    })
    return server, log
end

local function wait_count(log, count)
    helper.pump_until(function()
        return #log >= count
    end, 5, count .. " datagrams")
end

local function raises(text, fn)
    helper.raises(text, fn)
end

describe("Renoise: a client of UDP", function()
    it("stands at once, where nobody listens, too", function()
        local port = helper.free_port()
        local client = track(assert(Socket.create_client("127.0.0.1", port, UDP, 0)))
        assert.is_true(client.is_open)
        assert.equal("127.0.0.1", client.peer_address)
        assert.equal(port, client.peer_port)
        assert.equal("127.0.0.1", client.local_address)
        assert.is_true(client.local_port > 0)
        for _ = 1, 3 do
            assert.is_true(client:send("anybody?"))
        end
        assert.same({ nil, "timeout" }, { client:receive("*all", 10) })
        assert.is_true(client.is_open)
        assert.equal("renoise.Socket.SocketClient: open 127.0.0.1:" .. port, tostring(client))
    end)

    it("takes localhost for 127.0.0.1, whatever else a machine calls so", function()
        local server, log = server_with_log("localhost")
        assert.equal("127.0.0.1", server.local_address)
        local client = track(assert(Socket.create_client("LocalHost", server.local_port, UDP)))
        assert.equal("127.0.0.1", client.peer_address)
        client:send("here")
        wait_count(log, 1)
        assert.equal("127.0.0.1", log.peers[1].peer_address)
        local tcp = track(assert(Socket.create_server("LOCALHOST", 0)))
        assert.equal("127.0.0.1", tcp.local_address)
    end)

    it("sends texts and objects with binary_data", function()
        local client, _, peer = client_and_peer()
        local heard = {}
        peer.on_datagram = function(_, data) heard[#heard + 1] = data end
        local message = Osc.Message("/a", { { tag = "i", value = 1 } })
        assert.is_true(client:send("one\0two"))
        assert.is_true(client:send(message))
        assert.is_true(client:send(Osc.Bundle(1, message)))
        assert.is_true(client:send({ binary_data = "mine" }))
        assert.is_true(client:send(""))
        wait_count(heard, 5)
        assert.same({ "one\0two", message.binary_data, Osc.Bundle(1, message).binary_data, "mine",
            "" }, heard)
        raises("bad argument 'message' to 'send' (string expected, got table)", function()
            client:send({})
        end)
    end)

    it("reads a datagram with *all, also what is left of one", function()
        local client, say = client_and_peer()
        say("first", "second", "", "line\nrest", "last")
        assert.equal("first", client:receive("*all", 5000))
        assert.equal("sec", client:receive(3, 5000))
        assert.equal("ond", client:receive("*a", 5000))
        assert.equal("", client:receive("*all", 5000))
        assert.equal("line", client:receive("*line", 5000))
        assert.equal("rest", client:receive("*all", 5000))
        assert.equal("last", client:receive("*all", 5000))
        assert.same({ nil, "timeout" }, { client:receive("*all", 0) })
    end)

    it("reads lines and blocks across datagrams, in order", function()
        local client, say = client_and_peer()
        say("one\ntw", "o\r", "\nthree\r\n\nfo", "ur", "\r", "12345", "678", "9")
        for _, line in ipairs { "one", "two", "three", "", "four" } do
            assert.equal(line, client:receive("*line", 5000))
        end
        assert.equal("1234567", client:receive(7, 5000))
        assert.equal("89", client:receive(2, 5000))
        say("a\r")
        assert.equal("a", client:receive("*l", 5000))
        say("\nb\n")
        assert.equal("b", client:receive("*l", 5000))
    end)

    it("keeps what is no line or block yet", function()
        local client, say = client_and_peer()
        say("no line", " yet")
        assert.same({ nil, "timeout" }, { client:receive("*line", 30) })
        assert.same({ nil, "timeout" }, { client:receive(100, 30) })
        say("!\nmore")
        assert.equal("no line yet!", client:receive("*line", 5000))
        assert.equal("more", client:receive("*all", 5000))
    end)

    it("says what is wrong with a mode and a timeout", function()
        local client = client_and_peer()
        raises("bad argument 'mode' to 'receive'", function() client:receive("*nothing", 1) end)
        raises("bad argument 'timeout' to 'receive'", function() client:receive(1, -1) end)
    end)

    it("hears of its peer alone", function()
        local client, say = client_and_peer()
        local stranger = track(assert(evsock.udp("127.0.0.1", 0)))
        assert(stranger:send_to("strange", "127.0.0.1", client.local_port))
        say("known")
        assert.equal("known", client:receive("*all", 5000))
        assert.same({ nil, "timeout" }, { client:receive("*all", 10) })
    end)

    it("tells of a text that is too long for a datagram, and stays open", function()
        local client, say = client_and_peer()
        local ok, problem = client:send(("x"):rep(70000))
        assert.is_false(ok)
        assert.matches("too l", problem)
        say("still")
        assert.equal("still", client:receive("*all", 5000))
    end)

    it("reads a line of many datagrams", function()
        local client, say = client_and_peer()
        local long = ("x"):rep(9000)
        say(long, long, long, long, "\n")
        assert.equal(36000, #client:receive("*line", 5000))
    end)

    -- No more at a time than the core holds; `take` gets them and finds no line or block yet.
    local function say_often(say, text, count, take)
        while count > 0 do
            local now = math.min(count, 32)
            for _ = 1, now do
                say(text)
            end
            take()
            count = count - now
        end
    end

    it("refuses a line or block of more than 4096 datagrams, however short they are", function()
        local refusal = { nil, "receive: a line or block of more than 4096 datagrams" }
        for _, mode in ipairs { "*line", 100 } do
            local client, say = client_and_peer()
            say("a")
            local answer
            say_often(say, "", 5000, function()
                answer = { client:receive(mode, 0) }
            end)
            helper.pump_until(function()
                answer = { client:receive(mode, 1) }
                return answer[2] ~= "timeout"
            end, 5, "a refusal")
            assert.same(refusal, answer)
            assert.same(refusal, { client:receive(mode, 5000) })
            assert.same(refusal, { client:receive(mode == 100 and "*line" or 100, 0) })
            -- What was collected is there, and room by each that goes.
            assert.equal("a", client:receive("*all", 0))
            for _ = 2, 4096 do
                assert.equal("", client:receive("*all", 0))
            end
        end
    end)

    it("takes a line of 4096 datagrams", function()
        local client, say = client_and_peer()
        say_often(say, "x", 4095, function()
            assert.same({ nil, "timeout" }, { client:receive("*line", 1) })
        end)
        say("!\n")
        assert.equal(("x"):rep(4095) .. "!", client:receive("*line", 5000))
    end)

    it("looks for the end of a line in each datagram once", function()
        local client, say = client_and_peer()
        say_often(say, "x", 2000, function()
            client:receive("*line", 1)
        end)
        -- Compiled code has no hooks.
        local jit = rawget(_G, "jit")
        if jit then
            jit.off()
            jit.flush()
        end
        local thousands = 0
        debug.sethook(function() thousands = thousands + 1 end, "", 1000)
        local answer = { client:receive("*line", 0) }
        debug.sethook()
        if jit then
            jit.on()
        end
        assert.same({ nil, "timeout" }, answer)
        assert.is_true(thousands < 3, thousands .. ",000 instructions for a line that is not there")
    end)

    it("is closed by close, which may be called again", function()
        local client = client_and_peer()
        client:close()
        client:close()
        assert.is_false(client.is_open)
        raises("send: the socket is closed", function() client:send("x") end)
        raises("receive: the socket is closed", function() client:receive("*all", 0) end)
        raises("peer_port: the socket is closed", function() return client.peer_port end)
    end)

    it("is nil and a text where there is no such place", function()
        assert.same({ nil, "connect: no address" }, { Socket.create_client("", 9, UDP) })
        renoise.configure { hosts = { ["no.such"] = false } }
        local client, problem = Socket.create_client("no.such", 9, UDP, 5000)
        renoise.configure { hosts = {} }
        assert.is_nil(client)
        assert.matches("no.such", problem, 1, true)
    end)

    it("goes where the settings lead", function()
        local peer = track(assert(evsock.udp("127.0.0.1", 0)))
        renoise.configure { hosts = { ["10.0.0.9"] = "127.0.0.1:" .. peer.port } }
        local client = track(assert(Socket.create_client("10.0.0.9", 8000, UDP)))
        renoise.configure { hosts = {} }
        assert.equal("10.0.0.9", client.peer_address)
        assert.equal(8000, client.peer_port)
        assert.is_true(client:send("led"))
        helper.pump_until(function() return (peer:read()) end, 5, "a datagram")
    end)

    it("reaches an IPv6 address where the machine has one", function()
        local peer = evsock.udp("::1", 0)
        if not peer then
            local client, problem = Socket.create_client("::1", 9, UDP)
            assert.is_true(client ~= nil or type(problem) == "string")
            return
        end
        track(peer)
        local client = track(assert(Socket.create_client("::1", peer.port, UDP)))
        assert.equal("::1", client.peer_address)
        assert.is_true(client:send("six"))
        assert(peer:send_to("answer", "::1", client.local_port))
        assert.equal("answer", client:receive("*all", 5000))
    end)
end)

describe("Renoise: a server of UDP", function()
    it("tells of each datagram with a stand-in that answers", function()
        local server, log = server_with_log()
        local client = track(assert(Socket.create_client("127.0.0.1", server.local_port, UDP)))
        client:send("one")
        client:send("two")
        wait_count(log, 2)
        assert.same({ "one", "two" }, { log[1], log[2] })
        local peer = log.peers[1]
        assert.equal(peer, log.peers[2])
        assert.is_false(peer.is_open)
        for _, name in ipairs { "peer_address", "address" } do
            assert.equal("127.0.0.1", peer[name])
        end
        for _, name in ipairs { "peer_port", "port" } do
            assert.equal(client.local_port, peer[name])
        end
        assert.equal("renoise.Socket.SocketClient: sender 127.0.0.1:" .. peer.port, tostring(peer))
        assert.is_true(peer:send("answer"))
        assert.is_true(peer:send(Osc.Message("/done")))
        assert.equal("answer", client:receive("*all", 5000))
        assert.equal("/done", Osc.from_binary_data(client:receive("*all", 5000)).pattern)
        peer:close()
        raises("receive: the server of this client receives for it", function()
            peer:receive("*all", 0)
        end)
        raises("string expected, got nil", function() peer:send() end)
        raises("'send'", function() peer.send("x", "y") end)
        server:close()
        raises("send: the server of this client is closed", function() peer:send("late") end)
    end)

    it("tells an object of a class with itself", function()
        local server = track(assert(Socket.create_server(0, UDP)))
        local Notifier = {}
        Notifier.__index = Notifier
        function Notifier:socket_message(peer, data)
            self.heard = data
            peer:send("yes")
        end
        local notifier = setmetatable({}, Notifier)
        server:run(notifier)
        local client = track(assert(Socket.create_client("127.0.0.1", server.local_port, UDP)))
        client:send("hear")
        server:wait(200)
        assert.equal("hear", notifier.heard)
        assert.equal("yes", client:receive("*all", 5000))
    end)

    it("serves what came before it ran, and after a stop", function()
        local server = track(assert(Socket.create_server("127.0.0.1", 0, UDP)))
        local client = track(assert(Socket.create_client("127.0.0.1", server.local_port, UDP)))
        client:send("early")
        helper.pump_for(0.02)
        assert.is_false(server.is_running)
        local heard = {}
        local notifier = { socket_message = function(_, data) heard[#heard + 1] = data end }
        server:run(notifier)
        assert.is_true(server.is_running)
        wait_count(heard, 1)
        server:stop()
        client:send("meanwhile")
        helper.pump_for(0.02)
        assert.same({ "early" }, heard)
        server:run(notifier)
        wait_count(heard, 2)
        assert.same({ "early", "meanwhile" }, heard)
    end)

    it("may be stopped and closed in its own callback", function()
        local server = track(assert(Socket.create_server("127.0.0.1", 0, UDP)))
        local client = track(assert(Socket.create_client("127.0.0.1", server.local_port, UDP)))
        local heard = {}
        server:run({ socket_message = function(_, data)
            heard[#heard + 1] = data
            server:close()
        end })
        client:send("one")
        client:send("two")
        wait_count(heard, 1)
        helper.pump_for(0.02)
        assert.same({ "one" }, heard)
        assert.is_false(server.is_open)
        raises("run: the socket is closed", function() server:run({}) end)
        raises("is_running: the socket is closed", function() return server.is_running end)
        server:close()
    end)

    it("loses no datagram by an error in a callback", function()
        local server = track(assert(Socket.create_server("127.0.0.1", 0, UDP)))
        local client = track(assert(Socket.create_client("127.0.0.1", server.local_port, UDP)))
        local heard = {}
        server:run({ socket_message = function(_, data)
            heard[#heard + 1] = data
            error("in callback " .. data)
        end })
        client:send("one")
        client:send("two")
        local deadline, problems = evsock.now() + 5 * helper.slow, {}
        while #problems < 2 and evsock.now() < deadline do
            local ok, problem = pcall(evsock.pump, 0.1)
            if not ok then
                problems[#problems + 1] = problem:match("in callback %l+")
            end
        end
        assert.same({ "in callback one", "in callback two" }, problems)
        assert.same({ "one", "two" }, heard)
    end)

    it("is nil and a text when its port is taken or its address is none of ours", function()
        local server = track(assert(Socket.create_server("127.0.0.1", 0, UDP)))
        local second, problem = Socket.create_server("127.0.0.1", server.local_port, UDP)
        assert.is_nil(second)
        assert.matches("in use", problem)
        assert.equal("string", type(select(2, Socket.create_server("192.0.2.1", 0, UDP))))
        raises("bad argument 'protocol' to 'create_server'", function()
            Socket.create_server("localhost", 0, 3)
        end)
        raises("bad argument 'notifier' to 'run'", function() server:run() end)
    end)

    it("is collected with the last reference, and its port is free", function()
        local port
        do
            local server = assert(Socket.create_server("127.0.0.1", 0, UDP))
            port = server.local_port
            server:run({ socket_message = function() return server end })
            server:close()
            server = assert(Socket.create_server("127.0.0.1", port, UDP))
            assert.is_false(server.is_running)
        end
        helper.pump_until(function()
            collectgarbage()
            collectgarbage()
            local server = Socket.create_server("127.0.0.1", port, UDP)
            if server then
                server:close()
            end
            return server
        end, 5, "the port")
    end)
end)

describe("Renoise: install", function()
    it("sets Socket and Osc, and leaves what else a table renoise has", function()
        local env = { renoise = { API_VERSION = 6 } }
        renoise.install(env)
        assert.equal(6, env.renoise.API_VERSION)
        assert.equal(Socket, env.renoise.Socket)
        assert.equal(Osc, env.renoise.Osc)
    end)
end)
