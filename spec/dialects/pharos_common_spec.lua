-- The rules common to all dialects, as seen through Pharos.
-- dialects.md 1 > "rules", "garbage collection", "configure"

local helper, kit = require "spec.helper", require "spec.dialects.pharos_tools"
local evsock, pharos = helper.evsock, require "evsock.pharos"
local TcpSocket = pharos.net.TcpSocket

local said, wait, wait_for = kit.said, kit.wait, kit.wait_for

after_each(kit.finish)

local collect = helper.collect

local descriptors = helper.descriptors

describe("Pharos, common: rules", function()
    it("1.1 a local port that refuses: connect returns first and tells later", function()
        local _, log = kit.connecting("127.0.0.1", helper.free_port())
        local before = evsock.now()
        while evsock.now() < before + 0.02 do
            assert.equal(0, #log)
        end
        wait_for(log, "error 0")
    end)

    it("1.1 connecting again at once in error_handler: every pump returns", function()
        local port = helper.free_port()
        local socket = helper.track(TcpSocket.new())
        local count = 0
        socket.error_handler = function()
            count = count + 1
            if count < 50 then
                socket:connect("127.0.0.1", port)
            end
        end
        socket:connect("127.0.0.1", port)
        wait(function()
            return count == 50
        end, "50 attempts")
    end)

    it("1.2 bytes received before a close are announced before it", function()
        local socket, peer, log = kit.pair()
        local got = 0
        kit.at(log, "ready_read", function()
            got = got + #socket:read_all()
        end)
        for _ = 1, 20 do
            peer:write(("x"):rep(10000))
        end
        peer:close()
        wait_for(log, "disconnected")
        assert.equal(200000, got)
        assert.equal("error 1, state_changed 6, state_changed 0, disconnected",
            said(log, #log - 3))
    end)

    it("1.4 the handler gets the very object, good as a key of tables", function()
        local socket, peer = kit.pair()
        local names = { [socket] = "mine" }
        local got
        socket.ready_read_handler = function(given)
            got = { given == socket, names[given] }
        end
        peer:write("x")
        wait(function()
            return got
        end, "the handler")
        assert.same({ true, "mine" }, got)
        assert.equal("userdata", type(socket))
    end)

    it("1.5 a handler may pump, up to 32 deep", function()
        local socket, peer = kit.pair()
        local depth, deepest, refused = 0, 0, nil
        local function dive()
            depth = depth + 1
            deepest = math.max(deepest, depth)
            socket:write_string_async("", dive)
            local ok, message = pcall(evsock.pump)
            refused = not ok and message or refused
            depth = depth - 1
        end
        socket:write_string_async("", function()
            dive()
        end)
        wait(function()
            return refused
        end, "the end of the depth")
        dive = function() end
        assert.is_truthy(refused:find("32 deep", 1, true))
        assert.is_true(deepest >= 31)
        kit.deliver(socket, peer, "unharmed")
    end)

    it("1.5 a handler may end another socket and the server", function()
        local server, taken = kit.server()
        server:listen(0)
        local first, log = kit.socket()
        local second, second_log = kit.socket()
        first:connect("127.0.0.1", server.port)
        second:connect("127.0.0.1", server.port)
        wait(function()
            return #taken == 2 and first.state == 3 and second.state == 3
        end, "both")
        kit.at(log, "ready_read", function()
            second:abort()
            server:close()
        end)
        for _, socket in ipairs(taken) do
            socket:write("x")
        end
        wait_for(second_log, "disconnected")
        assert.is_false(server.listening)
    end)

    it("1.6 an error in the handler of one socket loses no event of another", function()
        local raising, peer = kit.pair()
        local other, other_peer = kit.pair()
        local got = {}
        evsock.on_error = function() end
        raising.ready_read_handler = function()
            error("on purpose")
        end
        other.ready_read_handler = function()
            got[1] = other:read()
        end
        peer:write("x")
        other_peer:write("y")
        helper.wait_count(got, 1)
        assert.same({ "y" }, got)
    end)

    it("1.8 counts are integers where Lua has them", function()
        local kind = math.type or function()
            return "integer"
        end
        local socket, _, log = kit.pair()
        local count
        socket.bytes_written_handler = function(_, written)
            count = written
        end
        assert.equal("integer", kind(socket:write("12345")))
        wait(function()
            return count
        end, "bytes_written")
        assert.equal("integer", kind(count))
        assert.equal("integer", kind(socket.remote_port))
        assert.equal("integer", kind(socket.local_port))
        assert.equal("5", tostring(count))
        assert.equal(0, #log)
    end)

    it("1.10 IPv6 addresses are in short form, without brackets", function()
        local server = evsock.listen("::1", 0, { on_accept = function(_, sock)
            helper.track(sock)
        end })
        if not server then
            return pending("no IPv6 here")
        end
        helper.track(server)
        local socket, log = kit.connecting("::1", server.port)
        wait_for(log, "connected")
        assert.equal("::1", socket.remote_address)
        assert.equal("::1", socket.local_address)
    end)

    it("1.10 a server serves IPv4 and IPv6", function()
        local server, taken = kit.server()
        server:listen(0)
        for _, host in ipairs { "127.0.0.1", "localhost" } do
            local _, log = kit.connecting(host, server.port)
            wait_for(log, "connected")
        end
        helper.wait_exactly(taken, 2)
        assert.equal("127.0.0.1", taken[1].remote_address)
    end)

    it("1.14 an interpreter ends at once with sockets, servers and timers alive", function()
        local said_there, status = helper.run([[
            local evsock = require "evsock"
            local pharos = require "evsock.pharos"
            local net, Timer = pharos.net, pharos.Timer
            server = net.TcpServer.new()
            server.new_connection_handler = function() end
            assert(server:listen(0))
            socket = net.TcpSocket.new()
            socket.connected_handler = function() socket:write(("x"):rep(1e6)) end
            socket:connect("127.0.0.1", server.port)
            bound = net.TcpSocket.new()
            assert(bound:bind(0))
            timer = Timer.new()
            timer.interval = 1
            timer.timeout_handler = function() end
            timer:start()
            while socket.state ~= 3 do evsock.pump(0.02) end
            socket:disconnect()
            print "done"
        ]])
        assert.equal("done\n", said_there)
        assert.equal(0, status)
    end)

    it("1.14 run goes on until the last handler was called", function()
        local said_there, status = helper.run([[
            local evsock = require "evsock"
            local net = require "evsock.pharos".net
            local server = net.TcpServer.new()
            server.new_connection_handler = function() server:close() end
            assert(server:listen(0))
            local socket = net.TcpSocket.new()
            socket.connected_handler = function() socket:disconnect() end
            socket.disconnected_handler = function()
                print "disconnected"
                socket:bind_async(0, function() print "bound" socket:abort() end)
            end
            socket:connect("127.0.0.1", server.port)
            evsock.run()
        ]])
        assert.equal("disconnected\nbound\n", said_there)
        assert.equal(0, status)
    end)
end)

describe("Pharos, common: garbage collection", function()
    -- The handlers of a knotted socket reach it, those of a loose one do not.
    local function drop(knotted, prepare)
        local weak = setmetatable({}, { __mode = "v" })
        local log = {}
        local function make()
            local socket = TcpSocket.new()
            weak[1] = socket
            local function note(word)
                return knotted and function(given)
                    assert(given == socket)
                    log[#log + 1] = word
                end or function()
                    log[#log + 1] = word
                end
            end
            for _, name in ipairs {
                "connected", "disconnected", "error", "state_changed", "host_found", "ready_read",
                "bytes_written", "about_to_close",
            } do
                socket[name .. "_handler"] = note(name)
            end
            prepare(socket)
        end
        kit.aside(make)
        return weak, log
    end

    local function gone(weak)
        wait(function()
            collect()
            return weak[1] == nil
        end, "the object is collected")
    end

    -- What brings a socket to each state, with a peer that stays; and whether it is active there.
    local function to_states()
        local record = helper.server({ read_limit = 1 })
        local silent = helper.silent_port()
        local function connected(after)
            return function(socket)
                socket:connect("127.0.0.1", record.port)
                kit.wait_state(socket, 3)
                if after then
                    after(socket)
                end
            end
        end
        return {
            { "unconnected", function() end, false },
            { "asked to connect", function(socket)
                socket:connect("127.0.0.1", silent)
            end, true },
            { "connecting", function(socket)
                socket:connect("127.0.0.1", silent)
                helper.pump_for(0.01)
                assert(socket.state == 2)
            end, true },
            { "connected", connected(), true },
            { "bound", function(socket)
                assert(socket:bind(0))
                helper.pump_for(0.01)
            end, false },
            { "closing", connected(function(socket)
                socket:write(("x"):rep(8 * 1024 * 1024))
                socket:disconnect()
                assert(socket.state == 6)
                helper.pump_for(0.01)
            end), true },
            { "disconnected", connected(function(socket)
                socket:disconnect()
                helper.pump_for(0.01)
                assert(socket.remote_port == 0)
            end), false },
            { "aborted", connected(function(socket)
                socket:abort()
                helper.pump_for(0.01)
            end), false },
        }
    end

    for _, state in ipairs {
        "unconnected", "asked to connect", "connecting", "connected", "bound", "closing",
        "disconnected", "aborted",
    } do
        it("1.9 dropped while " .. state .. ": collected, and nothing more is told", function()
            for _, case in ipairs(to_states()) do
                if case[1] == state then
                    local before = evsock.active()
                    local weak, log = drop(false, case[2])
                    local count = #log
                    gone(weak)
                    helper.pump_for(0.02)
                    assert.equal(count, #log, table.concat(log, " "))
                    -- The peer's end may still be open: it does not read.
                    assert.is_true(evsock.active() <= before + 1)
                end
            end
        end)

        it("1.9 dropped while " .. state .. ", reached by its own handlers", function()
            for _, case in ipairs(to_states()) do
                if case[1] == state then
                    local weak = drop(true, case[2])
                    if not case[3] then
                        return gone(weak)
                    end
                    collect()
                    assert.is_not_nil(weak[1])
                    weak[1]:abort()
                    gone(weak)
                end
            end
        end)
    end

    it("1.9 what the script called is still told while its handlers reach the socket", function()
        local record = helper.server()
        local weak, log = drop(true, function(socket)
            socket:connect("127.0.0.1", record.port)
            kit.wait_state(socket, 3)
            socket:disconnect()
        end)
        collect()
        wait_for(log, "disconnected")
        gone(weak)
    end)

    it("1.9 a dropped socket closes its connection", function()
        local record = helper.server()
        local weak = drop(false, function(socket)
            socket:connect("127.0.0.1", record.port)
            kit.wait_state(socket, 3)
            helper.wait_accepted(record)
        end)
        gone(weak)
        helper.wait_state(record.sockets[1], "closed")
    end)

    it("1.9 descriptors and memory return", function()
        local record = helper.server()
        local function round()
            for _ = 1, 10 do
                local weak = drop(true, function(socket)
                    assert(socket:bind(0))
                    socket:connect("127.0.0.1", record.port)
                    kit.wait_state(socket, 3)
                    socket:write_string_async("hello", function() end)
                    socket:disconnect()
                end)
                wait(function()
                    return weak[1] == nil or weak[1].remote_port == 0
                end, "the end")
            end
            for _, sock in ipairs(record.sockets) do
                sock:abort()
            end
            record.sockets = {}
            wait(function()
                collect()
                return evsock.active() == 1
            end, "nothing else is active")
        end
        round()
        local before, memory = descriptors(), collectgarbage("count")
        for _ = 1, 5 do
            round()
        end
        wait(function()
            return descriptors() <= before
        end, "the descriptors")
        collect()
        assert.is_true(collectgarbage("count") < memory + 100 * helper.slow)
    end)

    it("1.9 a collected Timer that nobody reaches and that has no handler stops", function()
        local function start()
            local timer = pharos.Timer.new()
            timer.interval = 60000
            timer:start()
        end
        kit.aside(start)
        wait(function()
            collect()
            return evsock.active() == 0
        end, "nothing is active")
    end)
end)

describe("Pharos, common: configure", function()
    it("1.13 hosts: a name leads to an address, and to an address with a port", function()
        local record = helper.server()
        pharos.configure { hosts = {
            ["Projector.local"] = "127.0.0.1", switcher = "127.0.0.1:" .. record.port,
        } }
        for _, place in ipairs { { "projector.LOCAL", record.port }, { "switcher", 9990 } } do
            local socket, log = kit.connecting(place[1], place[2])
            wait_for(log, "connected")
            assert.equal("state_changed 1, state_changed 2, host_found, state_changed 3, connected",
                said(log))
            assert.equal(place[2], socket.remote_port)
        end
    end)

    it("1.13 hosts: false makes the lookup fail at once", function()
        pharos.configure { hosts = { gone = false } }
        local _, log = kit.connecting("gone", 1)
        wait_for(log, "error 2")
    end)

    it("1.13 hosts: an address may lead elsewhere, and is shown as asked for", function()
        local record = helper.server()
        pharos.configure { hosts = { ["10.1.2.3"] = "127.0.0.1:" .. record.port } }
        local socket, log = kit.connecting("10.1.2.3", 23)
        wait_for(log, "connected")
        assert.equal("10.1.2.3", socket.remote_address)
        assert.equal(23, socket.remote_port)
    end)

    it("1.13 ports: outgoing connections go there, the script sees its own", function()
        local record = helper.server()
        pharos.configure { ports = { [9990] = record.port } }
        for _, port in ipairs { 9990, "9990" } do
            local socket, log = kit.connecting("127.0.0.1", port)
            wait_for(log, "connected")
            assert.equal(9990, socket.remote_port)
        end
    end)

    it("1.13 ports: listen is not mapped", function()
        local port, other = helper.free_port(), helper.free_port()
        pharos.configure { ports = { [port] = other } }
        local server = kit.server()
        assert.is_true(server:listen(port))
        assert.equal(port, server.port)
    end)

    it("1.13 each call replaces the keys that it names", function()
        local port = helper.server().port
        pharos.configure { hosts = { a = "127.0.0.1" }, ports = { [1] = port } }
        pharos.configure { hosts = { b = "127.0.0.1" } }
        local _, log = kit.connecting("b", 1)
        wait_for(log, "connected")
    end)

    it("1.13 unknown settings and wrong values raise at the caller's line", function()
        local configure = pharos.configure
        helper.misuse(function() configure { colour = "red" } end, "bad setting 'colour'")
        helper.misuse(function() configure { hosts = 1 } end, "bad setting 'hosts'")
        helper.misuse(function() configure { connect_timeout = "x" } end, "'connect_timeout'")
        helper.misuse(function() configure(1) end, "bad argument 'settings'")
        helper.misuse(function() pharos.install(1) end, "bad argument 'env'")
    end)
end)
