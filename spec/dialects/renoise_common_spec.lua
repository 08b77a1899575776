-- The rules common to all dialects, as seen through Renoise.
-- dialects.md 1.1-1.6, 1.12 > "callbacks and objects"; 1.7, 1.8, 1.10 > "values"; 1.9 > "garbage
-- collection"; 1.13 > "configure"; 1.11, 1.14, 1.15 > "the host"

local helper = require "spec.helper"
local tools = require "spec.dialects.renoise_tools"
local renoise = require "evsock.renoise"
local evsock = helper.evsock
local Socket = renoise.Socket

local wait, native_client = tools.wait, tools.native_client

local collect = helper.collect

after_each(function()
    evsock.on_error = nil
    renoise.configure({ hosts = {}, ports = {} })
    helper.finish()
end)

describe("Renoise, common rules: callbacks and objects", function()
    it("1.1 every callback runs inside pump or wait, never inside the call that caused it",
        function()
            local server, log = tools.server()
            local client = helper.track(assert(Socket.create_client("127.0.0.1",
                server.local_port)))
            client:send("caused")
            assert.is_nil((client:receive("*line", 20)))
            assert.equal(0, #log)
            helper.wait_count(log, 2)
            assert.equal("accepted message caused", log[1] .. " " .. log[2])
        end)

    it("1.2 bytes received before a close are announced before it", function()
        for _ = 1, 10 do
            local client, native, _, log = tools.accepted()
            native:write("bytes")
            native:close()
            helper.wait_field(client, "is_open", false)
            assert.equal("message bytes", log[2])
        end
    end)

    it("1.3 state is sequenced: as of the last dispatched event", function()
        local client, native = tools.accepted()
        native:close()
        tools.compute(0.05)
        assert.is_true(client.is_open)
        helper.wait_field(client, "is_open", false)
    end)

    it("1.4 objects are userdata, equal to themselves and keys of tables", function()
        local client, native = tools.accepted({
            socket_message = helper.expect(nil, 1),
        })
        assert.equal("userdata", type(client))
        native:write("x")
        local names = { [client] = "the client" }
        wait(function()
            return native.pending == 0
        end)
        helper.pump_for(0.02)
        assert.equal("the client", names[client])
    end)

    it("1.5 a callback may call any method of its own or another object", function()
        local order = {}
        local other = tools.client()
        local server
        server = tools.server({
            socket_message = function(client, data)
                order[#order + 1] = data
                if data == "nest" then
                    other:send("out")
                    order[#order + 1] = tostring(select(2, other:receive("*all", 0)))
                    server:wait(20)
                    server:run({ socket_message = function(_, text)
                        order[#order + 1] = "new " .. text
                    end })
                    evsock.pump()
                elseif data == "end" then
                    client:close()
                    server:close()
                end
            end,
        })
        local native = native_client(server)
        native:write("nest")
        wait(function()
            return order[2]
        end)
        native:write("end")
        wait(function()
            return order[3]
        end)
        assert.same({ "nest", "timeout", "new end" }, order)
    end)

    it("1.6 an error in a callback loses no event of the others nor of the same socket", function()
        local client, native, server, log = tools.accepted({
            socket_message = function(_, data)
                if data == "bad" then
                    error("on purpose")
                end
            end,
        })
        local timer = helper.track(evsock.after(0.001, helper.expect(1)))
        native:write("bad")
        -- Not `wait`: that pumps, too, and would be where the error comes out.
        local ok, problem
        local deadline = evsock.now() + 5 * helper.slow
        repeat
            ok, problem = pcall(evsock.pump, 0.01)
        until not ok or evsock.now() > deadline
        assert.is_truthy(problem and tostring(problem):find("on purpose", 1, true))
        native:write("good")
        wait(function()
            return log[3] and not timer.active
        end)
        assert.equal("message good", log[3])
        assert.is_true(client.is_open and server.is_running)
        local heard
        evsock.on_error = function(message, object)
            heard = { message:find("on purpose", 1, true) ~= nil, object == client }
        end
        native:write("bad")
        server:wait(50)
        assert.same({ true, true }, heard)
    end)

    it("1.6 an error in wait leaves what is left for the next one", function()
        local server, log = tools.server(), {}
        server:stop()
        local one, two = native_client(server), native_client(server)
        one:write("1")
        two:write("2")
        helper.pump_for(0.02)
        server:run({
            socket_accepted = function()
                log[#log + 1] = "accepted"
                error("on purpose")
            end,
            socket_message = function(_, data)
                log[#log + 1] = data
            end,
        })
        for _ = 1, 2 do
            wait(function()
                return not pcall(server.wait, server, 10)
            end)
        end
        server:wait(50)
        table.sort(log)
        assert.same({ "1", "2", "accepted", "accepted" }, log)
    end)

    it("1.12 metatables are readable, with __type and __name", function()
        local client, server = tools.client(), tools.server()
        assert.equal("renoise.Socket.SocketClient", getmetatable(client).__type)
        assert.equal("renoise.Socket.SocketClient", getmetatable(client).__name)
        assert.equal("renoise.Socket.SocketServer", getmetatable(server).__type)
        assert.equal(("renoise.Socket.SocketClient: open 127.0.0.1:%d"):format(client.peer_port),
            tostring(client))
        client:close()
        assert.is_truthy(tostring(client):find("closed", 1, true))
        server:close()
        assert.is_truthy(tostring(server):find("SocketServer: closed", 1, true))
    end)

    it("1.12 a call without the object raises a string at the caller's line", function()
        local client, server = tools.client(), tools.server()
        helper.misuse(function() client.send() end, "bad argument")
        helper.misuse(function() client.receive("*line", 0) end, "bad argument")
        helper.misuse(function() client.close() end, "bad argument 'self' to 'close'")
        helper.misuse(function() server.stop() end, "bad argument 'self' to 'stop'")
        helper.misuse(function() server.close() end, "bad argument 'self' to 'close'")
    end)
end)

describe("Renoise, common rules: values", function()
    it("1.7 strings are bytes: all 256 pass in both directions", function()
        local all = helper.all_bytes()
        local client, peer = tools.client()
        client:send(all)
        helper.wait_field(peer, "buffered", 256)
        assert.is_true(peer:read() == all)
        peer:write(all)
        assert.is_true(client:receive(256, 1000) == all)
        local _, native, _, log = tools.accepted()
        native:write(all)
        helper.wait_count(log, 2)
        assert.is_true(log[2] == "message " .. all)
    end)

    it("1.8 ports: a float with integral value and a numeric string", function()
        local native = helper.server()
        for _, port in ipairs({ native.port + 0.0, ("%d"):format(native.port) }) do
            helper.track(assert(Socket.create_client("127.0.0.1", port)))
            local free = helper.free_port()
            port = type(port) == "string" and tostring(free) or free + 0.0
            local server = helper.track(assert(Socket.create_server("localhost", port)))
            assert.equal(free, server.local_port)
            server:close()
            server = helper.track(assert(Socket.create_server(port)))
            assert.equal(free, server.local_port)
            assert.equal("0.0.0.0", server.local_address)
        end
    end)

    it("1.8 ports that we return are integers where Lua has them", function()
        local client, _, server = tools.accepted()
        local kind = rawget(math, "type")
        for _, port in ipairs({ client.peer_port, client.local_port, server.local_port }) do
            assert.equal(("%d"):format(port), tostring(port))
            assert.is_true(not kind or kind(port) == "integer")
        end
        local native = helper.server()
        local other = helper.track(assert(Socket.create_client("localhost", native.port + 0.0)))
        assert.equal(("%d"):format(native.port), tostring(other.peer_port))
    end)

    it("1.10 addresses: IPv4 dotted, IPv6 short without brackets; localhost without DNS", function()
        local server = helper.track(assert(Socket.create_server("localhost", 0)))
        local client = helper.track(assert(Socket.create_client("localhost", server.local_port)))
        assert.equal("127.0.0.1", client.peer_address)
        server = helper.track(assert(Socket.create_server(0)))
        local probe = evsock.listen("::1", 0)
        if probe then
            probe:close()
            client = helper.track(assert(Socket.create_client("::1", server.local_port)))
            assert.equal("::1", client.peer_address)
            assert.equal("::1", client.local_address)
        end
    end)
end)

describe("Renoise, common rules: garbage collection", function()
    setup(helper.traces_off)
    teardown(helper.traces_on)

    local function weak_list()
        return setmetatable({}, { __mode = "k" })
    end

    local function count(list)
        local n = 0
        for _ in pairs(list) do
            n = n + 1
        end
        return n
    end

    -- Makes objects in a function of its own, so that no register of the test holds one.
    local function make(n, fn)
        for i = 1, n do
            fn(i)
        end
    end

    it("1.9 dropping the last reference to a client closes the connection silently", function()
        local server = helper.server()
        make(1, function()
            assert(Socket.create_client("127.0.0.1", server.port))
        end)
        helper.wait_accepted(server)
        helper.wait_collected(server.sockets[1])
    end)

    it("1.9, 5.5 a server dies with its last reference and closes, connections and all", function()
        local port, native
        local weak = weak_list()
        make(1, function()
            local server = assert(Socket.create_server("localhost", 0))
            weak[server] = true
            port = server.local_port
            local accepted
            server:run({
                socket_accepted = function(client)
                    accepted = true
                    weak[client] = true
                end,
            })
            native = helper.connect(port)
            wait(function()
                return accepted
            end)
        end)
        wait(function()
            collect()
            return count(weak) == 0 and native.state == "closed"
        end, "server and client are collected")
        assert.is_truthy(helper.track(assert(Socket.create_server("localhost", port))))
    end)

    it("1.9 a server that its own notifier reaches lives", function()
        local port, got = nil, {}
        make(1, function()
            local server = assert(Socket.create_server("localhost", 0))
            port = server.local_port
            server:run({
                socket_message = function(_, data)
                    got[#got + 1] = data
                    if data == "end" then
                        server:close()
                    end
                end,
            })
        end)
        collect()
        local native = helper.connect(port)
        native:write("one")
        wait(function()
            collect()
            return got[1]
        end)
        native:write("end")
        helper.wait_state(native, "closed")
        assert.same({ "one", "end" }, got)
    end)

    it("1.9 a client kept by the script outlives its dropped server", function()
        local kept, native
        make(1, function()
            local server
            kept, native, server = tools.accepted()
            server:stop()
        end)
        assert.is_true(kept.is_open)
        native:write("a line\n")
        assert.equal("a line", kept:receive("*line", 1000))
    end)

    -- 1,000 objects in every state, dropped; the descriptors are counted in a process of its own.
    local function check_dropped(body)
        local output, status = helper.run(([[
            local evsock, Socket = require "evsock", require("evsock.renoise").Socket
            if rawget(_G, "jit") then rawget(_G, "jit").off() end
            local function pump_until(condition)
                require("spec.child").wait_until(evsock, "a condition", condition, 10)
            end
            local natives, count = {}, 0
            local listener = assert(evsock.listen("127.0.0.1", 0, {
                on_accept = function(_, sock) natives[#natives + 1] = sock end,
            }))
            local function descriptors()
                local list = io.popen("ls /proc/$PPID/fd | wc -l")
                local n = tonumber(list:read("*l"))
                list:close()
                return n
            end
            local function round(n)
                for i = 1, n do
                    %s
                end
                for i = 1, 3 do collectgarbage() collectgarbage() evsock.pump() end
                local active
                pump_until(function()
                    collectgarbage()
                    for i = #natives, 1, -1 do
                        if natives[i].state == "closed" then table.remove(natives, i) end
                    end
                    return #natives == 0 and evsock.active() == 1
                end)
            end
            evsock.pump(0.01)
            local before = descriptors()
            round(50)
            local memory = collectgarbage("count")
            for _ = 1, 5 do round(200) end
            collectgarbage() collectgarbage()
            -- Connections may linger for a moment.
            pump_until(function() return descriptors() <= before end)
            print(collectgarbage("count") < memory + 200)
        ]]):format(body), nil, "ulimit -n 1000")
        assert.equal("true\n", output)
        assert.equal(0, status)
    end

    it("1.9 1,000 dropped clients, open: descriptors and memory return", function()
        check_dropped([[
            local client = assert(Socket.create_client("127.0.0.1", listener.port))
            client.itself = client
        ]])
    end)

    it("1.9 1,000 dropped clients, with bytes unread and the peer gone", function()
        check_dropped([[
            local client = assert(Socket.create_client("127.0.0.1", listener.port))
            pump_until(function() return natives[1] and natives[#natives].state == "open" end)
            for _, native in ipairs(natives) do native:write("unread") native:close() end
            client:receive(3, 0)
        ]])
    end)

    it("1.9 1,000 dropped clients, closed and never connected", function()
        check_dropped([[
            local client = assert(Socket.create_client("127.0.0.1", listener.port))
            client:close()
            client.itself = client
            assert(not Socket.create_client("127.0.0.1", 1))
        ]])
    end)

    it("1.9 1,000 dropped servers: idle, running, stopped, closed", function()
        check_dropped([[
            local server = assert(Socket.create_server("localhost", 0))
            if i % 4 > 0 then
                server:run({ socket_accepted = function() count = count + 1 end })
            end
            if i % 4 == 2 then server:stop() end
            if i % 4 == 3 then server:close() end
        ]])
    end)

    it("1.9 1,000 closed servers with notifiers that capture them", function()
        check_dropped([[
            local server = assert(Socket.create_server("localhost", 0))
            server:run({ socket_accepted = function() count = count + server.local_port end })
            server.itself = server
            server:close()
        ]])
    end)

    it("1.9 1,000 dropped servers with accepted clients", function()
        check_dropped([[
            local accepted
            local server = assert(Socket.create_server("localhost", 0))
            server:run({ socket_accepted = function(given)
                accepted, given.own = true, given
            end })
            natives[#natives + 1] = evsock.connect("127.0.0.1", server.local_port)
            pump_until(function() return accepted end)
            if i % 2 == 0 then server:stop() natives[#natives]:write("waits") end
        ]])
    end)
end)

describe("Renoise, common rules: configure", function()
    local function reaches(server, host, port)
        local before = #server.sockets
        local client = helper.track(assert(Socket.create_client(host, port)))
        wait(function()
            return #server.sockets > before
        end)
        return client
    end

    it("1.13 hosts: a name leads to an address, or to an address and port; case ignored", function()
        local server = helper.server()
        renoise.configure({ hosts = {
            ["Plain.Test"] = "127.0.0.1",
            ["ported.test"] = "127.0.0.1:" .. server.port,
        } })
        reaches(server, "plain.test", server.port)
        reaches(server, "PORTED.test", 80)
    end)

    it("1.13 hosts: false makes the lookup fail at once", function()
        renoise.configure({ hosts = { ["gone.test"] = false } })
        local took, client, problem = tools.timed(Socket.create_client, "gone.test", 80)
        assert.is_nil(client)
        assert.equal("string", type(problem))
        assert.is_true(took < 0.5 * helper.slow)
    end)

    it("1.13 ports apply to every host, and not to create_server", function()
        local native = helper.server()
        renoise.configure({ ports = { [9990] = native.port } })
        reaches(native, "127.0.0.1", "9990")
        local asked = helper.free_port()
        renoise.configure({ ports = { [asked] = 1 } })
        local server = helper.track(assert(Socket.create_server("localhost", asked)))
        assert.equal(asked, server.local_port)
    end)

    it("1.13 mapping is invisible: the peer is the one asked for", function()
        local server = helper.server()
        renoise.configure({ hosts = { ["192.0.2.7"] = "127.0.0.1:" .. server.port } })
        local client = reaches(server, "192.0.2.7", 4352)
        assert.equal("192.0.2.7", client.peer_address)
        assert.equal(4352, client.peer_port)
        assert.is_nil(tostring(client):find(tostring(server.port), 1, true))
        assert.equal("127.0.0.1", client.local_address)
    end)

    it("1.13 a hosts entry with a port wins; each call replaces the keys it names", function()
        local server = helper.server()
        renoise.configure({ hosts = { ["both.test"] = "127.0.0.1:" .. server.port } })
        renoise.configure({ ports = { [80] = 1 }, cafile = "/none", logger = function() end })
        reaches(server, "both.test", 80)
    end)

    it("1.13 what is no setting raises at the caller's line", function()
        helper.misuse(function() renoise.configure({ nothing = 1 }) end, "unknown name")
        helper.misuse(function() renoise.configure({ send_timeout = "x" }) end, "number expected")
        helper.misuse(function() renoise.configure() end, "table expected")
    end)
end)

describe("Renoise, common rules: the host", function()
    it("1.11 loading alone starts no thread and sets no global", function()
        local output, status = helper.run([[
            local before = {}
            for name in pairs(_G) do before[name] = true end
            local module = require "evsock.renoise"
            for name in pairs(_G) do
                if not before[name] then print("global " .. name) end
            end
            local file = io.open("/proc/self/status")
            local threads = file and file:read("*a"):match("Threads:%s*(%d+)") or "1"
            print("threads " .. threads, module ~= nil)
        ]])
        assert.equal("threads 1\ttrue\n", output)
        assert.equal(0, status)
    end)

    it("1.11 install sets renoise.Socket, and nothing else of a renoise that is there", function()
        local env = {}
        assert.equal(renoise, renoise.install(env))
        assert.equal(Socket, env.renoise.Socket)
        assert.is_nil(rawget(_G, "renoise"))
        local song = {}
        local own = { song = song }
        env = { renoise = own, keep = song }
        renoise.install(env)
        assert.is_true(env.renoise == own and own.song == song and env.keep == song)
        assert.equal(Socket, own.Socket)
        helper.misuse(function() renoise.install(1) end,
            "bad argument 'env' to 'install' (table expected, got number)")
    end)

    it("1.11, 1.15 install without a table sets the global for a real script", function()
        local native = helper.server({ on_data = function(sock)
            sock:read()
        end })
        local output, status = helper.run([[
            require("evsock.renoise").install()
            local client, socket_error = renoise.Socket.create_client(
                "localhost", ]] .. native.port .. [[, renoise.Socket.PROTOCOL_TCP)
            if (socket_error) then
                print("failed to connect: " .. socket_error)
                return
            end
            local succeeded, socket_error = client:send("GET / HTTP/1.0\n\n")
            if (socket_error) then
                print("failed to send: " .. socket_error)
                return
            end
            print(client:receive("*line", 10))
            client:close()
        ]])
        assert.equal("nil\ttimeout\n", output)
        assert.equal(0, status)
    end)

    it("1.14 an interpreter ends with everything alive: status 0, at once, ports free", function()
        local began = evsock.now()
        local output, status = helper.run([[
            local evsock, Socket = require "evsock", require("evsock.renoise").Socket
            server = assert(Socket.create_server("localhost", 0))
            server:run({ socket_accepted = function(client) accepted = client end })
            client = assert(Socket.create_client("localhost", server.local_port))
            stopped = assert(Socket.create_server(0))
            local stop = evsock.now() + 10
            while not accepted and evsock.now() < stop do evsock.pump(0.05) end
            print(accepted ~= nil, server.local_port)
        ]])
        local port = assert(output:match("^true\t(%d+)\n$"), output)
        assert.equal(0, status)
        assert.is_true(evsock.now() - began < 5 * helper.slow)
        helper.track(assert(Socket.create_server("localhost", port)))
    end)
end)
