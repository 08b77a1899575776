-- hs.socket: listening, and talking to all clients.
-- dialects.md 6.4 > "listening", "clients"

local helper = require "spec.helper"
local tools = require "spec.dialects.hammerspoon_tools"
local evsock = helper.evsock
local new, wait = tools.new, tools.wait

after_each(tools.finish)

describe("hs.socket: listening", function()
    it("6.4 on all interfaces, IPv4 and IPv6", function()
        local server = tools.server(0)
        local port = server:info().localPort
        for _, host in ipairs { "127.0.0.1", "127.0.0.2", "::1" } do
            local client = helper.track(evsock.connect(host, port))
            wait(function()
                return client.state == "open"
            end, host)
        end
        assert.equal(3, server:connections())
    end)

    it("6.4 with a backlog of 1024", function()
        local server = tools.server(0)
        local pipe = io.popen("ss -Hltn 'sport = :" .. server:info().localPort .. "' 2>&1")
        local text = pipe:read("*a")
        pipe:close()
        if text:find("not found", 1, true) then
            pending("no ss")
            return
        end
        local limit = io.open("/proc/sys/net/core/somaxconn"):read("*n")
        assert.equal(math.min(1024, limit), tonumber(text:match("LISTEN%s+%d+%s+(%d+)")))
    end)

    it("6.4 with address reuse: a port whose connections linger can be listened on", function()
        local server = tools.server(0)
        local port = server:info().localPort
        local client = helper.connect(port)
        wait(function()
            return client.state == "open" and server:connections() == 1
        end)
        -- It ends first, so its end lingers.
        server:disconnect()
        helper.wait_state(client, "closed")
        assert.equal(server, server:listen(port))
    end)

    it("6.4 port 0 is allowed: the system picks one", function()
        local port = tools.server(0):info().localPort
        assert.is_true(port > 0 and port < 65536)
        assert.is_true(tools.is_integer(port))
    end)

    it("6.4 nil when already connected or listening", function()
        local client = tools.pair()
        assert.is_nil((client:listen(0)))
        assert.is_true(client:connected())
        local server = tools.server(0)
        assert.is_nil((server:listen(0)))
        assert.equal("SERVER", server:info().userData)
    end)

    it("6.4 nil when the port is taken", function()
        tools.log_all()
        local first, second = tools.server(0), new()
        assert.is_nil((second:listen(first:info().localPort)))
        assert.equal("error", tools.logged[1][1])
        assert.is_true(second:info().isDisconnected)
        assert.equal(second, second:listen(0))
    end)

    it("6.4 nil when the socket file exists, and the file stays", function()
        local path = tools.path()
        local file = assert(io.open(path, "w"))
        file:write("mine")
        file:close()
        assert.is_nil((new():listen(path)))
        assert.equal("mine", io.open(path):read("*a"))
    end)

    it("6.4 a stale socket file is not deleted: scripts do that themselves", function()
        local path = tools.path()
        helper.run(([[
            require("evsock.hammerspoon").install()
            assert(hs.socket.new():listen(%q))
            -- Killed: nothing is tidied up.
            io.popen("kill -9 $PPID"):read("*a")
        ]]):format(path))
        assert.is_true(tools.exists(path))
        local server = new()
        assert.is_nil((server:listen(path)))
        assert.is_true(tools.exists(path))
        os.remove(path)
        assert.equal(server, server:listen(path))
    end)

    it("6.4 the file is removed when the listener is closed", function()
        local path = tools.path()
        local server = tools.server(path)
        assert.is_true(tools.exists(path))
        server:disconnect()
        assert.is_false(tools.exists(path))
    end)

    it("6.4 the file is removed when the listener is collected", function()
        local path = tools.path()
        local function listen()
            assert(tools.hs.socket.new():listen(path))
        end
        listen()
        wait(function()
            collectgarbage()
            return not tools.exists(path)
        end, "the file is gone")
    end)

    it("6.4 the file is removed when the Lua state ends", function()
        local path = tools.path()
        local output, status = helper.run(([[
            require("evsock.hammerspoon").install()
            server = hs.socket.server(%q, print)
            print(server:info().userData)
        ]]):format(path))
        assert.equal("SERVER\n", output)
        assert.is_true(status == 0 or status == true)
        assert.is_false(tools.exists(path))
    end)
end)

describe("hs.socket: clients", function()
    it("6.4 are anonymous: no accept callback, no client object", function()
        local called = 0
        local server = tools.server(0, function()
            called = called + 1
        end)
        local client = helper.connect(server:info().localPort)
        helper.wait_state(client, "open")
        helper.pump_for(0.02)
        assert.equal(0, called)
        assert.equal(1, server:connections())
    end)

    it("6.4 read queues that read on each client connected at that moment", function()
        local server, clients, log = tools.crowd(3)
        server:read("\n", 5)
        for i, client in ipairs(clients) do
            client:write("from " .. i .. "\nmore\n")
        end
        tools.wait_for(log, 3)
        helper.pump_for(0.02)
        local found = tools.data(log)
        table.sort(found)
        assert.same({ "from 1\n", "from 2\n", "from 3\n" }, found)
        assert.equal(5, log[1][2])
    end)

    it("6.4 and not on later ones: a server must call read again and again", function()
        local server, clients, log = tools.crowd(1)
        server:read("\n")
        local late = helper.connect(server:info().localPort)
        late:write("late\n")
        tools.wait_connections(server, 2)
        tools.assert_no_more(log, 0, 0.02)
        server:read("\n")
        tools.wait_for(log, 1)
        clients[1]:write("one\ntwo\n")
        tools.wait_for(log, 3)
        assert.same({ "late\n", "one\n", "two\n" }, tools.data(log))
    end)

    it("6.4 that moment is live: a client whose event has not come is one, too", function()
        local callback, log = tools.note()
        local server = tools.server(0, callback)
        local client = helper.connect(server:info().localPort)
        tools.watch(function()
            return (client:look())
        end, "connected")
        server:read("\n")
        server:write("hello\n")
        client:write("hi\n")
        tools.wait_for(log, 1)
        assert.equal("hello\n", tools.received(client, 6))
    end)

    it("6.4 write goes to all of them", function()
        local server, clients = tools.crowd(3)
        assert.equal(server, server:write("to "))
        server:send("all")
        for _, client in ipairs(clients) do
            assert.equal("to all", tools.received(client, 6))
        end
    end)

    it("6.4 with no client at all, read and write do nothing and return the socket", function()
        local server = tools.server(0, print)
        assert.equal(server, server:read("\n"))
        assert.equal(server, server:write("x", helper.never("write")))
        helper.pump_for(0.02)
    end)

    it("6.4 the listener's callback gets all data", function()
        local server, clients, log = tools.crowd(2)
        local second, second_log = tools.note()
        server:read(1)
        server:read(1)
        clients[1]:write("ab")
        tools.wait_for(log, 2)
        server:setCallback(second)
        clients[2]:write("cd")
        tools.wait_for(second_log, 2)
        assert.same({ { "a", "b" }, { "c", "d" } }, { tools.data(log), tools.data(second_log) })
    end)

    it("6.4 a write callback is called once, on the first client whose write completes", function()
        local server, clients = tools.crowd(3)
        local tag
        server:write("x", 7, helper.expect(function(given)
            tag = given
        end, 1))
        wait(function()
            return tag
        end)
        for _, client in ipairs(clients) do
            tools.received(client, 1)
        end
        helper.pump_for(0.02)
        assert.equal(7, tag)
    end)

    it("6.4 client sockets leave the count when they close", function()
        local server, clients = tools.crowd(3)
        clients[2]:close()
        tools.wait_connections(server, 2)
        clients[1]:abort()
        clients[3]:close()
        tools.wait_connections(server, 0)
        assert.is_false(server:connected())
        assert.equal("SERVER", server:info().userData)
    end)

    it("6.4 they leave it at once, before their event is dispatched", function()
        local server, clients = tools.crowd(2)
        clients[1]:close()
        tools.watch(function()
            return server:connections() == 1
        end, "one client less")
    end)

    it("6.4 each client has queues of its own: one that is slow holds nobody up", function()
        local server, clients, log = tools.crowd(2)
        for _ = 1, 3 do
            server:read(2)
        end
        clients[1]:write("a")
        clients[2]:write("bbbbbb")
        tools.wait_for(log, 3)
        clients[1]:write("aa")
        tools.wait_for(log, 4)
        assert.same({ "bb", "bb", "bb", "aa" }, tools.data(log))
    end)
end)
