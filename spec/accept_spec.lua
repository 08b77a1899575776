-- `server:accept(timeout)` and `udp:receive`: calls that wait for what one of several gets.

local helper = require "spec.helper"
local kit = require "spec.tls_kit"
local evsock = helper.evsock

local spawn, finished, pump_until = helper.spawn, helper.finished, helper.pump_until
local LONG = 20 * helper.slow

-- Outside of tasks, then in one.
local function both(name, fn)
    it(name .. ", outside of tasks", fn)
    it(name .. ", in a task", function()
        local task = spawn(fn)
        local ok, problem = task:join(2 * LONG)
        assert(ok, problem)
    end)
end

local function failed(code, ...)
    local value, message, found = ...
    assert.is_nil(value)
    assert.is_string(message)
    assert.equal(code, found)
    return message
end

local function later(fn)
    helper.track(evsock.after(0.005, fn))
end

local function listen(options)
    return helper.track(assert(evsock.listen("127.0.0.1", 0, options)))
end

local function accepted(...)
    return helper.track(assert(...))
end

describe("server:accept(timeout)", function()
    after_each(helper.finish)

    both("gives the next connection once it comes", function()
        local server = listen { read_timeout = 9 }
        local client
        later(function() client = helper.connect(server.port) client:write("hello\n") end)
        local sock = accepted(server:accept(LONG))
        assert.equal("open", sock.state)
        assert.equal(9, sock.read_timeout)
        assert.equal("hello", sock:receive("*l", LONG))
        helper.connect(server.port)
        accepted(server:accept(math.huge))
    end)

    both("times out, and of no time never waits", function()
        local server = listen()
        local message = failed("ETIMEDOUT", server:accept(0.01))
        assert.equal("accept 127.0.0.1:" .. server.port .. ": timed out", message)
        local pumped = false
        later(function() pumped = true end)
        local begun = evsock.now()
        repeat
            failed("ETIMEDOUT", server:accept(0))
        until evsock.now() > begun + 0.02
        assert.is_false(pumped)
        -- What the system has is found without a pump.
        helper.connect(server.port)
        local deadline = evsock.now() + LONG
        local sock
        repeat
            sock = server:accept(0)
        until sock or evsock.now() > deadline
        accepted(sock)
    end)

    both("finds those that came while others pumped", function()
        local server = listen()
        for _ = 1, 3 do
            assert.is_true(helper.connect(server.port):wait("connect", LONG))
        end
        evsock.sleep(0.01)
        for _ = 1, 3 do
            accepted(server:accept(0))
        end
        failed("ETIMEDOUT", server:accept(0))
    end)

    both("comes after the handshake of TLS", function()
        local certificates = kit.certificates()
        local server = listen { tls = certificates:identity("ecdsa") }
        -- One that says nothing holds up nobody.
        helper.connect(server.port)
        helper.track(evsock.connect("localhost", server.port, {
            tls = { cafile = certificates:path("ca.pem") } })):write("secret")
        local sock = accepted(server:accept(LONG))
        assert.equal("open", sock.state)
        assert.is_string(sock.tls.version)
        assert.equal("secret", sock:receive("*r", LONG))
        certificates:remove()
    end)

    both("fails when the server is closed, before or meanwhile", function()
        local server = listen()
        later(function() server:close() end)
        assert.equal("accept: the server is closed", failed("ECLOSED", server:accept(LONG)))
        failed("ECLOSED", server:accept(LONG))
        failed("ECLOSED", server:accept(0))
    end)

    both("fails where on_accept takes the connections, also when it is set meanwhile", function()
        local server = listen()
        local function take(_, sock)
            helper.track(sock)
        end
        later(function()
            server.on_accept = take
            helper.connect(server.port)
        end)
        failed("EBUSY", server:accept(LONG))
        failed("EBUSY", server:accept(LONG))
    end)

    it("serves who came first first, each once", function()
        local server = listen()
        local order, tasks = {}, {}
        for place = 1, 5 do
            tasks[place] = spawn(function()
                local sock = accepted(server:accept(LONG))
                order[#order + 1] = place .. ":" .. assert(sock:receive("*l", LONG))
            end)
        end
        evsock.pump()
        for place = 1, 5 do
            helper.connect(server.port):write(place .. "\n")
            -- One at a time, so that the order of connections is known.
            pump_until(function() return #order == place end)
        end
        finished((table.unpack or unpack)(tasks))
        assert.same({ "1:1", "2:2", "3:3", "4:4", "5:5" }, order)
        assert.is_nil(server:accept())
    end)

    it("serves a crowd, whether it or the connections come first", function()
        local server = listen()
        local count, tasks = 0, {}
        local function take()
            accepted(server:accept(LONG))
            count = count + 1
        end
        for place = 1, 20 do
            tasks[place] = spawn(take)
        end
        for _ = 1, 40 do
            helper.connect(server.port)
        end
        for place = 21, 40 do
            tasks[place] = spawn(take)
        end
        finished((table.unpack or unpack)(tasks))
        assert.equal(40, count)
        assert.equal(40, server.connections)
    end)

    it("loses no connection with a task that is canceled or times out", function()
        local server = listen()
        local first = spawn(function() server:accept() server:accept(LONG) end)
        local second = spawn(function() return server:accept(0.02) end)
        local third = spawn(function() return accepted(server:accept(LONG)) end)
        evsock.pump()
        later(function()
            helper.connect(server.port)
            first:cancel()
        end)
        finished(second)
        -- Of two the connection went to one; another comes for the other.
        helper.connect(server.port)
        finished(third)
        local sock = select(2, second:join())
        if sock then
            helper.track(sock)
        else
            accepted(server:accept(LONG))
        end
        assert.equal(2, server.connections)
    end)

    it("goes on behind one who came without waiting", function()
        local server = listen()
        local task = spawn(function() return accepted(server:accept(LONG)) end)
        evsock.pump()
        helper.connect(server.port)
        local deadline = evsock.now() + LONG
        local stolen
        repeat
            stolen = server:accept()
        until stolen or evsock.now() > deadline
        accepted(stolen)
        helper.pump_for(0.02)
        assert.is_false(task.done)
        helper.connect(server.port)
        finished(task)
    end)

    it("lets a task go first where a wait that pumps waits, too", function()
        local server = listen()
        local order = {}
        local task = spawn(function()
            accepted(server:accept(LONG))
            order[#order + 1] = "task"
        end)
        later(function() helper.connect(server.port) helper.connect(server.port) end)
        accepted(server:accept(LONG))
        order[#order + 1] = "pump"
        finished(task)
        assert.equal(2, #order)
    end)

    it("inside of a handler is served before the wait around it", function()
        local server = listen()
        local inner
        later(function()
            later(function() helper.connect(server.port) end)
            inner = accepted(server:accept(LONG))
            helper.connect(server.port)
        end)
        accepted(server:accept(LONG))
        assert.is_truthy(inner)
    end)

    it("gets sockets that have handlers of listen as well, which wait from then on", function()
        local server = listen { on_data = function(sock) sock:write(sock:read():upper()) end }
        failed("ETIMEDOUT", server:accept(0))
        local client = helper.connect(server.port)
        client:write("word")
        helper.pump_for(0.02)
        assert.equal(0, client.buffered)
        accepted(server:accept(LONG))
        assert.equal("WORD", client:receive(4, LONG))
    end)

    it("keeps a server alive that nobody else refers to, and lets go of it", function()
        local held, port = setmetatable({}, { __mode = "k" }), nil
        local function wait_for_one()
            local server = assert(evsock.listen("127.0.0.1", 0))
            held[server], port = true, server.port
            return spawn(function() server:accept(LONG) end)
        end
        local task = wait_for_one()
        evsock.pump()
        helper.collect()
        local client = helper.connect(assert(port))
        assert.is_true(client:wait("connect", LONG))
        task:cancel()
        helper.finish()
        helper.collect()
        assert.is_nil(next(held))
    end)

    it("of nonsense raises at the caller's line", function()
        local server = listen()
        helper.misuse(function() server:accept("soon") end, "bad argument 'timeout' to 'accept'")
        helper.misuse(function() server:accept(-1) end, "bad argument 'timeout' to 'accept'")
        helper.misuse(function() server.accept({}, 1) end, "bad argument 'self' to 'accept'")
    end)
end)

describe("udp:receive", function()
    after_each(helper.finish)

    local function bound(options)
        return helper.track(assert(evsock.udp("127.0.0.1", 0, options)))
    end

    both("gives data, host, port and whether it was cut", function()
        local sock, sender = bound { max_size = 4 }, bound()
        later(function() sender:send_to("four", "127.0.0.1", sock.port) end)
        assert.same({ "four", "127.0.0.1", sender.port, false }, { sock:receive(LONG) })
        sender:send_to("and more", "127.0.0.1", sock.port)
        assert.same({ "and ", "127.0.0.1", sender.port, true }, { sock:receive() })
        sender:send_to("", "127.0.0.1", sock.port)
        assert.same({ "", "127.0.0.1", sender.port, false }, { sock:receive(LONG) })
    end)

    both("finds what came before, in order, and times out", function()
        local sock, sender = bound(), bound()
        for place = 1, 5 do
            sender:send_to("no. " .. place, "127.0.0.1", sock.port)
        end
        evsock.sleep(0.02)
        for place = 1, 5 do
            assert.equal("no. " .. place, (sock:receive(LONG)))
        end
        local message = failed("ETIMEDOUT", sock:receive(0))
        assert.equal("receive 127.0.0.1:" .. sock.port .. ": timed out", message)
        failed("ETIMEDOUT", sock:receive(0.01))
    end)

    both("fails when the socket is closed, before or meanwhile", function()
        local sock = bound()
        later(function() sock:close() end)
        assert.equal("receive: the socket is closed", failed("ECLOSED", sock:receive(LONG)))
        failed("ECLOSED", sock:receive())
    end)

    both("fails where on_datagram takes them", function()
        local sock = bound { on_datagram = function() end }
        failed("EBUSY", sock:receive(LONG))
    end)

    both("hears that nobody listens where it is connected, unless on_error does", function()
        local gone = bound()
        local port = gone.port
        gone:close()
        local sock = bound()
        assert.is_true(sock:connect("127.0.0.1", port))
        later(function() sock:send_to("anybody?") end)
        failed("ECONNREFUSED", sock:receive(LONG))
        local heard
        sock.on_error = function(_, _, code) heard = code end
        later(function() sock:send_to("anybody?") end)
        failed("ETIMEDOUT", sock:receive(0.05))
        pump_until(function() return heard end)
        assert.equal("ECONNREFUSED", heard)
    end)

    it("serves who came first first, each datagram once", function()
        local sock, sender = bound(), bound()
        local order, tasks = {}, {}
        for place = 1, 10 do
            tasks[place] = spawn(function()
                local data = sock:receive(LONG)
                order[#order + 1] = place .. ":" .. tostring(data)
            end)
        end
        evsock.pump()
        tasks[3]:cancel()
        for place = 1, 9 do
            sender:send_to(tostring(place), "127.0.0.1", sock.port)
        end
        tasks[3] = tasks[1]
        finished((table.unpack or unpack)(tasks))
        table.sort(order)
        assert.same({ "10:9", "1:1", "2:2", "4:3", "5:4", "6:5", "7:6", "8:7", "9:8" }, order)
        assert.is_nil(sock:read())
    end)

    it("of nonsense raises at the caller's line", function()
        local sock = bound()
        helper.misuse(function() sock:receive("soon") end, "bad argument 'timeout' to 'receive'")
        helper.misuse(function() sock.receive({}) end, "bad argument 'self' to 'receive'")
    end)
end)
