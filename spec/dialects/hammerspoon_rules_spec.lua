-- The rules common to all dialects, as seen through hs.socket, and its example.
-- dialects.md 1.1-1.6, 1.9, 1.10, 1.14 > "rules"; 6 > "example"

local helper, tools = require "spec.helper", require "spec.dialects.hammerspoon_tools"
local evsock, hammerspoon = helper.evsock, require "evsock.hammerspoon"
local hs, new, wait = tools.hs, tools.new, tools.wait

after_each(tools.finish)

describe("hs.socket: example", function()
    -- As it is printed there.
    local EXAMPLE = [[
local TAG_HTTP_HEADER, TAG_HTTP_CONTENT = 1, 2
local body = ""
local function httpCallback(data, tag)
  if tag == TAG_HTTP_HEADER then
    print(tag, "TAG_HTTP_HEADER"); print(data)
    local contentLength = data:match("\r\nContent%-Length: (%d+)\r\n")
    client:read(tonumber(contentLength), TAG_HTTP_CONTENT)
  elseif tag == TAG_HTTP_CONTENT then
    print(tag, "TAG_HTTP_CONTENT"); print(data)
    body = data
  end
end

client = hs.socket.new(httpCallback):connect("google.com", 80)
client:write("GET /index.html HTTP/1.0\r\nHost: google.com\r\n\r\n")
client:read("\r\n\r\n", TAG_HTTP_HEADER)
]]
    local HEADER = "HTTP/1.0 301 Moved Permanently\r\nContent-Length: 21\r\nServer: gws\r\n\r\n"
    local BODY = "<HTML>301 Moved</HTML>"

    it("6 the HTTP client of the documentation runs as printed", function()
        local record = helper.server()
        record.server.on_accept = function(_, sock)
            helper.track(sock)
            sock.on_data = function()
                local request = sock:read_until("\r\n\r\n")
                if request then
                    sock:write(HEADER .. BODY:sub(1, 21))
                    sock:close()
                end
            end
        end
        hammerspoon.configure { hosts = { ["google.com"] = "127.0.0.1:" .. record.port } }
        local said = {}
        local env = { hs = hs, tonumber = tonumber, print = function(...)
            said[#said + 1] = table.concat({ ... }, " ")
        end }
        local loader = rawget(_G, "loadstring") or load
        local chunk
        if rawget(_G, "setfenv") then
            chunk = rawget(_G, "setfenv")(assert(loader(EXAMPLE)), env)
        else
            chunk = assert(loader(EXAMPLE, "=example", "t", env))
        end
        chunk()
        helper.wait_exactly(said, 4)
        assert.same({ "1 TAG_HTTP_HEADER", HEADER, "2 TAG_HTTP_CONTENT", BODY:sub(1, 21) }, said)
        wait(function()
            return not env.client:connected()
        end)
    end)
end)

describe("hs.socket: callbacks", function()
    it("1.1 run inside pump, never inside the call that caused them", function()
        local pumping, calls = false, 0
        local function check()
            assert(pumping, "outside of pump")
            calls = calls + 1
        end
        local record = helper.server()
        local client = new(check):connect("127.0.0.1", record.port, check)
        client:write("x", check)
        client:read(1)
        local stop = evsock.now() + 5 * helper.slow
        while calls < 3 and evsock.now() < stop do
            pumping = true
            evsock.pump(0.02)
            pumping = false
            if record.sockets[1] and record.sockets[1].buffered == 1 then
                record.sockets[1]:read()
                record.sockets[1]:write("y")
            end
        end
        assert.equal(3, calls)
        client:write("z", check)
        client:write("", check)
        assert.equal(3, calls)
        client:disconnect()
    end)

    it("1.1 one pump handles what waited when it began: connect in a callback does not hold it",
        function()
            local record, calls = helper.server(), 0
            local client = new()
            local function again()
                calls = calls + 1
                assert(calls < 1000, "pump does not return")
                client:disconnect()
                client:connect("127.0.0.1", record.port, again)
            end
            client:connect("127.0.0.1", record.port, again)
            for _ = 1, 500 do
                if calls >= 5 then
                    break
                end
                local before = calls
                evsock.pump(0.1)
                assert.is_true(calls - before <= 1)
            end
            assert.is_true(calls >= 5)
        end)

    it("1.2 bytes received before a close are delivered before the close shows", function()
        local client, peer, log = tools.pair()
        client:read("\n"):read("\n"):read("\n")
        peer:write("a\nb\nc\n")
        peer:abort()
        tools.wait_disconnected(client)
        helper.pump_for(0.01)
        -- A reset may destroy what was on its way, but nothing comes in disorder.
        assert.is_true(("a\nb\nc\n"):sub(1, 2 * #log) == table.concat(tools.data(log)))
    end)

    it("1.5 a callback may disconnect, connect again and replace itself", function()
        local client, peer, log, record = tools.pair()
        local steps = {}
        local function second(data)
            steps[#steps + 1] = data
        end
        log.also = function(data)
            steps[#steps + 1] = data
            client:setCallback(second)
            client:disconnect()
            client:connect("127.0.0.1", record.port, function()
                steps[#steps + 1] = "connected"
            end)
            client:read("\n")
        end
        client:read("\n")
        peer:write("one\n")
        helper.wait_count(record.sockets, 2)
        record.sockets[2]:write("two\n")
        helper.wait_exactly(steps, 3)
        assert.same({ "one\n", "connected", "two\n" }, steps)
    end)

    it("1.5 a callback that disconnects gets nothing more of that connection", function()
        local client, peer, log = tools.pair()
        log.also = function()
            client:disconnect()
        end
        client:read(1):read(1):read(1)
        peer:write("abc")
        tools.assert_data(log, { "a" })
    end)

    it("1.5 a listener's callback may disconnect the listener", function()
        local server, clients, log = tools.crowd(2)
        log.also = function()
            server:disconnect()
        end
        server:read("\n")
        clients[1]:write("x\n")
        clients[2]:write("y\n")
        wait(function()
            return clients[1].state == "closed" and clients[2].state == "closed"
        end)
        assert.equal(1, #log)
    end)

    it("1.5 a callback may pump: reads go on in order inside it", function()
        local client, peer, log = tools.pair()
        local depth, order = 0, {}
        log.also = function(data)
            order[#order + 1] = data
            depth = depth + 1
            if depth == 1 then
                peer:write("bc")
                helper.wait_exactly(order, 3)
            end
        end
        client:read(1):read(1):read(1)
        peer:write("a")
        helper.wait_exactly(order, 3)
        assert.same({ "a", "b", "c" }, order)
    end)

    it("1.5 a write callback may write, and a connect callback may do anything", function()
        local client, peer = tools.pair()
        local left = 50
        local function more()
            left = left - 1
            if left > 0 then
                client:write("x", more)
            end
        end
        client:write("x", more)
        assert.equal(("x"):rep(50), tools.received(peer, 50))
        local record = helper.server()
        local other = new()
        other:connect("127.0.0.1", record.port, function()
            other:disconnect()
            other:listen(0)
        end)
        wait(function()
            return other:info().userData == "SERVER"
        end)
    end)
end)

describe("hs.socket: errors in callbacks", function()
    it("1.6 each is caught and logged through the logger, and all goes on", function()
        tools.log_all()
        local client, peer, log = tools.pair()
        log.also = function(data)
            if data == "1" then
                error("boom in a read")
            end
        end
        client:write("x", function()
            error("boom in a write")
        end)
        client:read(1):read(1):read(1)
        peer:write("123")
        tools.wait_for(log, 3)
        helper.wait_exactly(tools.logged, 2)
        local texts = tools.logged[1][2] .. tools.logged[2][2]
        for _, text in ipairs { "boom in a read", "boom in a write", "stack traceback" } do
            assert.is_truthy(texts:find(text, 1, true), texts)
        end
        assert.same({ "error", "error" }, { tools.logged[1][1], tools.logged[2][1] })
        assert.is_true(client:connected())
        assert.same({ "1", "2", "3" }, tools.data(log))
    end)

    it("1.6 evsock.on_error, if set, gets them and their object instead", function()
        tools.log_all()
        local client, peer, log = tools.pair()
        local server, clients, server_log = tools.crowd(1)
        local caught = {}
        evsock.on_error = function(message, object)
            caught[#caught + 1] = { message, object }
        end
        log.also = function()
            error("boom")
        end
        server_log.also = function()
            error({ code = 5 })
        end
        client:read(1)
        peer:write("x")
        helper.wait_exactly(caught, 1)
        server:read(1)
        clients[1]:write("x")
        helper.wait_exactly(caught, 2)
        evsock.on_error = nil
        assert.is_truthy(caught[1][1]:find("boom", 1, true))
        assert.is_truthy(caught[1][1]:find("stack traceback", 1, true))
        assert.is_true(caught[1][2] == client and caught[2][2] == server)
        assert.same({ code = 5 }, caught[2][1])
        assert.equal(0, #tools.logged)
    end)

    it("1.6 with nobody to hear of it pump raises it, and no event is lost", function()
        local output = helper.run([[
            local evsock = require "evsock"
            require("evsock.hammerspoon").install()
            local got, errors = {}, {}
            local server = hs.socket.server(0)
            client = hs.socket.new(function(data)
                got[#got + 1] = data
                error("boom " .. data)
            end)
            client:connect("127.0.0.1", server:info().localPort, function() error("boom first") end)
            for _ = 1, 3 do client:read(1) end
            local stop = evsock.now() + 5
            local written
            repeat
                local ok, message = pcall(evsock.pump, 0.02)
                if not ok then
                    errors[#errors + 1] = message:match("boom %w+")
                    assert(message:find("stack traceback", 1, true))
                end
                if not written and server:connected() then
                    written = true
                    server:write("abc")
                end
            until #errors == 4 or evsock.now() > stop
            print(table.concat(got, " "), table.concat(errors, ", "), client:connected())
        ]])
        assert.equal("a b c\tboom first, boom a, boom b, boom c\ttrue\n", output)
    end)
end)

describe("hs.socket: the host", function()
    it("1.10 addresses: IPv4 dotted, IPv6 short without brackets", function()
        local server = tools.server(0)
        local found = {}
        for i, host in ipairs { "127.0.0.1", "::1", "[::1]" } do
            local client = new():connect(host, server:info().localPort)
            tools.wait_connected(client)
            found[i] = client:info().connectedHost
        end
        assert.same({ "127.0.0.1", "::1", "::1" }, found)
    end)

    it("1.11 loading alone starts no thread", function()
        local output = helper.run([[
            require "evsock.hammerspoon"
            local tasks = io.popen("ls /proc/$PPID/task | wc -l"):read("*a")
            local evsock = require "evsock"
            print(tonumber(tasks), evsock.active())
        ]])
        assert.equal("1\t0\n", output)
    end)

    it("1.14 an interpreter that ends with sockets and listeners alive ends at once", function()
        local begin = evsock.now()
        local output, status = helper.run([[
            local evsock = require "evsock"
            require("evsock.hammerspoon").install()
            server = hs.socket.server(0, print)
            client = hs.socket.new(print):connect("127.0.0.1", server:info().localPort)
            client:setTimeout(60):read("\n")
            repeat evsock.pump(0.02) until client:connected() and server:connected()
            server:read("\n")
            print "alive"
        ]])
        assert.equal("alive\n", output)
        assert.is_true(status == 0 or status == true)
        assert.is_true(evsock.now() - begin < 5 * helper.slow)
    end)
end)

describe("hs.socket: garbage collection", function()
    local collect = helper.collect

    local descriptors = helper.descriptors

    it("1.9 dropping the last reference closes the connection silently", function()
        local record = helper.server()
        local called = 0
        local function connect()
            hs.socket.new(function() called = called + 1 end)
                :connect("127.0.0.1", record.port)
                :read(1)
        end
        connect()
        helper.wait_accepted(record)
        helper.wait_collected(record.sockets[1])
        assert.equal(0, called)
    end)

    it("1.9 a socket that its own callbacks reach survives, until the end", function()
        local record = helper.server()
        local weak, got = setmetatable({}, { __mode = "v" }), {}
        local function connect()
            local client
            client = hs.socket.new(function(data)
                got[#got + 1] = data
                client:read("\n")
            end)
            weak[1] = client
            client:connect("127.0.0.1", record.port)
            client:read("\n")
        end
        connect()
        collect()
        helper.wait_accepted(record)
        for i = 1, 3 do
            collect()
            record.sockets[1]:write("still here\n")
            tools.wait_for(got, i)
        end
        record.sockets[1]:close()
        wait(function()
            collect()
            return weak[1] == nil
        end, "released by the end")
    end)

    it("1.9 one that only its connect callback reaches survives until that is called", function()
        local record = helper.server()
        local state
        local function connect()
            local client = hs.socket.new()
            client:connect("127.0.0.1", record.port, function()
                state = client:connected()
            end)
        end
        connect()
        wait(function()
            collect()
            return state ~= nil
        end)
        assert.is_true(state)
    end)

    it("1.9 one that only a write callback reaches survives until that is called", function()
        local record = helper.server({ read_limit = 1024 })
        local size, done = 16 * 1024 * 1024, nil
        local function connect()
            local client = hs.socket.new()
            client:connect("127.0.0.1", record.port)
            client:write(("x"):rep(size), 3, function(tag)
                done = { tag, client:connected() }
            end)
        end
        connect()
        wait(function()
            collect()
            return record.sockets[1]
        end)
        local peer = record.sockets[1]
        peer.on_data = function()
            peer:read()
        end
        peer:read()
        local turns = 0
        wait(function()
            -- Not in each of hundreds of turns: with all specs loaded it takes a while.
            turns = turns + 1
            if turns % 16 == 0 then
                collect()
            end
            return done
        end)
        assert.same({ 3, true }, done)
    end)

    it("1.9 a listener survives through its callback, with its clients", function()
        local weak, got, port = setmetatable({}, { __mode = "v" }), {}, nil
        local function listen()
            local server
            server = hs.socket.server(0, function(data)
                got[#got + 1] = data
                server:write("got it\n")
                server:read("\n")
            end)
            weak[1] = server
            port = server:info().localPort
        end
        listen()
        collect()
        local client = helper.connect(port)
        wait(function()
            collect()
            return weak[1]:connections() == 1
        end)
        weak[1]:read("\n")
        for i = 1, 3 do
            client:write("line\n")
            tools.wait_for(got, i)
            collect()
        end
        weak[1]:disconnect()
        wait(function()
            collect()
            return weak[1] == nil
        end)
        helper.wait_state(client, "closed")
    end)

    it("1.9 a listener reachable from nowhere is closed, with its clients", function()
        local port
        local function listen()
            local server = hs.socket.server(0, function() end)
            port = server:info().localPort
            return server
        end
        local server = listen()
        local client = helper.connect(port)
        tools.wait_connections(server, 1)
        server:read("\n")
        assert.is_true(server:connected())
        server = nil
        helper.wait_collected(client)
        wait(function()
            return (evsock.listen("127.0.0.1", port) or { close = false }).close
        end)
        assert.is_nil(server)
        collect()
    end)

    -- A thousand objects in a state, in crowds of a hundred; then all of them are gone.
    local function check(make, finish)
        local weak = setmetatable({}, { __mode = "k" })
        local peers = {}
        local record = helper.server()
        record.server.on_accept = function(_, sock)
            peers[#peers + 1] = sock
        end
        local function crowd()
            for _ = 1, 100 do
                weak[make(record.port)] = true
            end
        end
        local function round()
            crowd()
            evsock.pump(0.001)
            evsock.pump(0.001)
            wait(function()
                -- Some may have been accepted only now.
                for _, peer in ipairs(finish and peers or {}) do
                    finish(peer)
                end
                collect()
                return next(weak) == nil
            end, "all are collected")
            for _, peer in ipairs(peers) do
                peer:abort()
            end
            peers = {}
            evsock.pump()
        end
        local function settle()
            wait(function()
                collect()
                for _, peer in ipairs(peers) do
                    peer:abort()
                end
                return evsock.active() == 1
            end, "only the test's server is active")
        end
        round()
        settle()
        local open, memory = descriptors(), collectgarbage("count")
        for _ = 2, math.ceil(10 / helper.fewer) do
            round()
        end
        settle()
        assert.is_true(collectgarbage("count") - memory < 200,
            "grown by KiB: " .. collectgarbage("count") - memory)
        wait(function()
            return descriptors() <= open
        end, "no descriptor more")
    end

    local function noop() end

    local states = {
        ["unconnected"] = function()
            return hs.socket.new(noop)
        end,
        ["connecting"] = function(port)
            local client = hs.socket.new(noop)
            client:connect("127.0.0.1", port, noop)
            client:read(1)
            client:write("x", noop)
            return client
        end,
        ["connecting with a timeout"] = function(port)
            local client = hs.socket.new(noop)
            client:setTimeout(600)
            client:connect("127.0.0.1", port, noop)
            client:read(1)
            client:startTLS(false)
            return client
        end,
        ["connected, with clocks"] = function(port)
            local client = hs.socket.new(noop)
            client:setTimeout(600)
            client:connect("127.0.0.1", port)
            client:read(1)
            tools.watch(function()
                return client:connected()
            end, "connected")
            evsock.pump()
            return client
        end,
        ["failed"] = function()
            local client = hs.socket.new(noop)
            client:connect("127.0.0.1", 1)
            return client
        end,
        ["listening"] = function()
            return hs.socket.server(0, noop)
        end,
        ["disconnected"] = function(port)
            local client = hs.socket.new(noop):connect("127.0.0.1", port)
            client:disconnect()
            return client
        end,
    }
    for name, make in pairs(states) do
        it("1.9 a thousand dropped: " .. name, function()
            check(make)
        end)
    end

    it("1.9 a thousand whose callbacks reach them, connected: their end releases them", function()
        check(function(port)
            local client
            client = hs.socket.new(function()
                client:read(1)
            end)
            client:connect("127.0.0.1", port, function()
                client:read(1)
            end)
            client:setTimeout(600):read("\n")
            tools.watch(function()
                return client:connected()
            end, "connected")
            return client
        end, function(peer)
            peer:close()
        end)
    end)

    it("1.9 a thousand whose callbacks reach them, failed: the failure releases them", function()
        check(function()
            local client
            client = hs.socket.new(function()
                client:read(1)
            end)
            client:connect("127.0.0.1", 1, function()
                client:read(1)
            end)
            return client
        end)
    end)

    it("1.9 a thousand whose callbacks reach them, listening: disconnect releases them",
        function()
            check(function()
                local server
                server = hs.socket.server(0, function()
                    server:read(1)
                end)
                server:read(1)
                server:disconnect()
                return server
            end)
        end)
end)
