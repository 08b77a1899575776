-- Pharos TcpSocket: properties and methods, over the wire.
-- dialects.md 4.2 > "properties"; 4.3 > "methods"

local helper, kit = require "spec.helper", require "spec.dialects.pharos_tools"
local evsock, pharos = helper.evsock, require "evsock.pharos"
local TcpSocket, said, wait, wait_for = pharos.net.TcpSocket, kit.said, kit.wait, kit.wait_for

after_each(kit.finish)

-- A pair whose socket writes more than the peer, which reads nothing, takes.
local function writing_pair(size)
    local socket, peer, log = kit.pair()
    peer.read_limit = 64 * 1024
    socket:write(("x"):rep(size))
    return socket, peer, log, size
end

describe("Pharos TcpSocket: properties", function()
    it("4.2 error is -1 before any, then the last error's number", function()
        local socket, log = kit.socket()
        assert.equal(-1, socket.error)
        socket:connect("127.0.0.1", helper.free_port())
        wait_for(log, "error 0")
        assert.equal(TcpSocket.CONNECTION_REFUSED_ERROR, socket.error)
        pharos.configure { hosts = { nowhere = false } }
        socket:connect("nowhere", 1)
        wait_for(log, "error 2")
        assert.equal(TcpSocket.HOST_NOT_FOUND_ERROR, socket.error)
    end)

    it("4.2 error_string is the text of the last error, for people", function()
        local socket, log = kit.socket()
        assert.equal("string", type(socket.error_string))
        socket:connect("127.0.0.1", helper.free_port())
        wait_for(log, "error 0")
        assert.equal("Connection refused", socket.error_string)
    end)

    it("4.2 error and error_string are the new ones inside of error_handler", function()
        local socket = helper.track(TcpSocket.new())
        local seen
        socket.error_handler = function(given, number)
            seen = { number, given.error, given.error_string }
        end
        socket:connect("127.0.0.1", helper.free_port())
        wait(function()
            return seen
        end, "the error")
        assert.same({ 0, 0, "Connection refused" }, seen)
    end)

    it("4.2 state is sequenced: what happens on the network shows with its events", function()
        local record = helper.server()
        local socket, log = kit.socket()
        -- As long as an event takes, but without a pump.
        local function stays(state)
            local before = evsock.now()
            while evsock.now() < before + 0.03 do
                assert.equal(state, socket.state)
            end
        end
        socket:connect("127.0.0.1", record.port)
        stays(1)
        wait(function()
            return socket.state == 3 and record.sockets[1]
        end, "the connection")
        record.sockets[1]:close()
        stays(3)
        wait_for(log, "disconnected")
        stays(0)
    end)

    it("4.2 valid is true while there is a socket underneath", function()
        local socket, log = kit.socket()
        local valid = {}
        log.also = function(word)
            if word:find("state_changed", 1, true) then
                valid[word] = socket.valid
            end
        end
        assert.is_false(socket.valid)
        local record = helper.server()
        assert.is_true(socket:bind(0))
        assert.is_true(socket.valid)
        socket:connect("localhost", record.port)
        wait_for(log, "connected")
        socket:disconnect()
        wait_for(log, "disconnected")
        assert.is_false(socket.valid)
        assert.same({
            ["state_changed 4"] = true,
            ["state_changed 1"] = false,
            ["state_changed 2"] = true,
            ["state_changed 3"] = true,
            ["state_changed 6"] = true,
            ["state_changed 0"] = false,
        }, valid)
    end)

    it("4.2 addresses are empty and ports 0 when there are none", function()
        local socket = TcpSocket.new()
        assert.same({ "", 0, "", 0 }, {
            socket.local_address, socket.local_port, socket.remote_address, socket.remote_port,
        })
    end)

    it("4.2 local_address and local_port are set on connect", function()
        local socket, peer = kit.pair()
        assert.equal("127.0.0.1", socket.local_address)
        assert.equal(peer.peer_port, socket.local_port)
    end)

    it("4.2 remote_address and remote_port are set on connect", function()
        local socket, _, _, record = kit.pair()
        assert.equal("127.0.0.1", socket.remote_address)
        assert.equal(record.port, socket.remote_port)
    end)

    it("4.2 remote_address and remote_port are empty before the connection stands", function()
        local record = helper.server()
        local socket, log = kit.socket()
        local seen = {}
        log.also = function(word)
            seen[#seen + 1] = word .. " " .. socket.remote_address .. " " .. socket.remote_port
        end
        socket:connect("127.0.0.1", record.port)
        wait_for(log, "connected")
        local full = " 127.0.0.1 " .. record.port
        assert.same({
            "state_changed 1  0", "state_changed 2  0", "host_found  0",
            "state_changed 3" .. full, "connected" .. full,
        }, seen)
    end)

    it("4.2 the addresses are cleared after the disconnected handler has run", function()
        local socket, peer, log, record = kit.pair()
        local seen
        local port = socket.local_port
        kit.at(log, "disconnected", function()
            seen = {
                socket.local_address, socket.local_port,
                socket.remote_address, socket.remote_port,
            }
        end)
        peer:close()
        wait_for(log, "disconnected")
        assert.same({ "127.0.0.1", port, "127.0.0.1", record.port }, seen)
        wait(function()
            return socket.remote_port == 0
        end, "they are cleared")
        assert.same({ "", 0, "" }, {
            socket.local_address, socket.local_port, socket.remote_address,
        })
    end)

    it("4.2 they are cleared even if the disconnected handler raises", function()
        local socket, peer, log = kit.pair()
        evsock.on_error = helper.expect(function() end, 1)
        kit.at(log, "disconnected", function()
            error("on purpose")
        end)
        peer:close()
        wait(function()
            return socket.remote_port == 0
        end, "they are cleared")
    end)
end)

describe("Pharos TcpSocket: methods", function()
    it("4.3 new: an unconnected socket", function()
        local socket = TcpSocket.new()
        assert.equal(TcpSocket.UNCONNECTED_STATE, socket.state)
        assert.is_false(socket.is_open)
        assert.not_equal(socket, TcpSocket.new())
    end)

    it("4.3 connect returns nothing", function()
        local socket = kit.socket()
        assert.equal(0, select("#", socket:connect("127.0.0.1", helper.server().port)))
    end)

    it("4.3 connect: open_mode is READ_WRITE_MODE if not given", function()
        local socket = kit.socket()
        socket:connect("127.0.0.1", helper.server().port)
        assert.equal(TcpSocket.READ_WRITE_MODE, socket.open_mode)
        assert.is_true(socket.is_open)
    end)

    it("4.3 connect: the open_mode given is that of the socket", function()
        local socket = kit.socket()
        socket:connect("127.0.0.1", helper.server().port, TcpSocket.READ_ONLY_MODE)
        assert.equal(TcpSocket.READ_ONLY_MODE, socket.open_mode)
        assert.is_true(socket.readable)
        assert.is_false(socket.writeable)
    end)

    it("4.3 connect: the port is an ordinary number", function()
        local record = helper.server()
        local socket = kit.socket()
        socket:connect("127.0.0.1", record.port)
        helper.wait_accepted(record)
    end)

    it("1.8 connect takes the port as a float and as a numeric string", function()
        local record = helper.server()
        for _, port in ipairs { record.port + 0.0, tostring(record.port) } do
            local socket = kit.socket()
            socket:connect("127.0.0.1", port)
            helper.wait_state(socket, 3)
            assert.equal(record.port, socket.remote_port)
            if math.type then
                assert.equal("integer", math.type(socket.remote_port))
            end
        end
    end)

    it("4.3 connect: a port or host that is none raises at the caller's line", function()
        local s = TcpSocket.new()
        helper.misuse(function() s:connect("127.0.0.1", 65536) end, "bad argument 'port'")
        helper.misuse(function() s:connect("127.0.0.1", 1.5) end, "bad argument 'port'")
        helper.misuse(function() s:connect("127.0.0.1") end, "bad argument 'port'")
        helper.misuse(function() s:connect(nil, 1) end, "bad argument 'host'")
        helper.misuse(function() s:connect("::1", 1, "r") end, "bad argument 'open_mode'")
        helper.misuse(function() s.connect(nil, "::1", 1) end, "bad argument 'self'")
        assert.equal(0, s.state)
    end)

    it("4.3 disconnect is graceful: it waits for pending writes", function()
        local socket, peer, log, size = writing_pair(8 * 1024 * 1024)
        socket:disconnect()
        assert.is_true(socket.bytes_to_write > 0)
        local got = 0
        peer.on_data = function(sock)
            got = got + #(sock:read() or "")
        end
        wait_for(log, "disconnected")
        wait(function()
            return got == size
        end, "all of it")
    end)

    it("4.3 abort is immediate and drops pending writes", function()
        local socket, peer, log, size = writing_pair(16 * 1024 * 1024)
        socket:abort()
        assert.equal(0, socket.state)
        assert.equal(0, socket.bytes_to_write)
        local got = #(peer:read() or "")
        peer.on_data = function(sock)
            got = got + #(sock:read() or "")
        end
        helper.wait_state(peer, "closed")
        wait_for(log, "disconnected")
        assert.is_true(got < size)
    end)

    it("4.3 abort drops unread data", function()
        local socket, peer = kit.pair()
        kit.deliver(socket, peer, "unread")
        socket:abort()
        assert.equal(0, socket.bytes_available)
        assert.equal("", socket:read_string())
    end)

    it("4.3 bind: true and BOUND_STATE; a port of the system's choice for 0", function()
        local socket = kit.socket()
        assert.is_true(socket:bind(0))
        assert.equal(TcpSocket.BOUND_STATE, socket.state)
        assert.is_true(socket.local_port > 0)
        assert.not_equal("", socket.local_address)
        assert.equal("", socket.remote_address)
        assert.equal(0, socket.remote_port)
    end)

    it("4.3 bind: the port that was asked for", function()
        local port = helper.free_port()
        local socket = kit.socket()
        assert.is_true(socket:bind(port))
        assert.equal(port, socket.local_port)
    end)

    it("4.3 bind: the port is taken from then on", function()
        local socket = kit.socket()
        assert.is_true(socket:bind(0))
        local server, _, code = evsock.listen("127.0.0.1", socket.local_port)
        assert.is_nil(server)
        assert.equal("EADDRINUSE", code)
        local other = kit.socket()
        assert.is_false(other:bind(socket.local_port))
    end)

    it("4.3 bind: the port is free after disconnect, abort and close", function()
        for _, name in ipairs { "disconnect", "abort", "close" } do
            local socket = kit.socket()
            assert.is_true(socket:bind(0))
            local port = socket.local_port
            socket[name](socket)
            assert(evsock.listen("127.0.0.1", port)):close()
        end
    end)

    it("4.3 bind: the port is free when the socket is collected", function()
        local port
        local function bind()
            local socket = TcpSocket.new()
            assert.is_true(socket:bind(0))
            port = socket.local_port
        end
        kit.aside(bind)
        helper.wait_port_freed(port)
    end)

    it("4.3 bind: false when the port is taken, and the error handler is called", function()
        local record = helper.server()
        local socket, log = kit.socket()
        assert.is_false(socket:bind(record.port))
        assert.equal(0, socket.state)
        assert.equal(0, #log)
        wait_for(log, "error 8")
        assert.equal("error 8", said(log))
        assert.equal(8, socket.error)
    end)

    it("4.3 bind: false and error 3 when the port is not for everybody", function()
        local file = io.open("/proc/sys/net/ipv4/ip_unprivileged_port_start")
        local first = file and tonumber(file:read("*l"))
        if file then
            file:close()
        end
        if first == 0 then
            return pending("on this machine every port is for everybody")
        end
        -- Without the right that root has.
        local output, status = helper.run([[
            local evsock, net = require "evsock", require("evsock.pharos").net
            local socket = net.TcpSocket.new()
            function socket.error_handler(self, code)
                print(code, self.error, self.state)
            end
            print(socket:bind(1))
            evsock.pump(1)
        ]], nil, [[
            timeout() {
                if [ "$(id -u)" = 0 ]; then
                    set -- setpriv --bounding-set=-net_bind_service \
                        --inh-caps=-net_bind_service timeout "$@"
                else
                    set -- timeout "$@"
                fi
                command "$@"
            }]])
        assert.equal("false\n3\t3\t0\n", output)
        assert.equal(0, status)
    end)

    it("4.3 bind: false when there is a connection, which goes on", function()
        local socket, peer, log = kit.pair()
        assert.is_false(socket:bind(0))
        wait_for(log, "error 19")
        assert.equal(3, socket.state)
        kit.deliver(socket, peer, "still here")
    end)

    it("4.3 bind: a port that is none raises at the caller's line", function()
        local s = TcpSocket.new()
        helper.misuse(function() s:bind(-1) end, "bad argument 'port'")
        helper.misuse(function() s:bind() end, "bad argument 'port'")
    end)

    it("4.3 bind_async: its callback gets socket, true and nil from pump", function()
        local socket = kit.socket()
        local given, result, problem = kit.answer(socket, "bind_async", 0)
        assert.equal(socket, given)
        assert.is_true(result)
        assert.is_nil(problem)
    end)

    it("4.3 bind_async: its callback gets false, no internal error, for a taken port", function()
        local record = helper.server()
        local socket, log = kit.socket()
        local given, result, problem = kit.answer(socket, "bind_async", record.port)
        assert.is_true(given == socket and result == false and problem == nil)
        assert.equal("error 8", said(log))
    end)

    it("4.3 bind_async: the callback comes after the handlers it belongs with", function()
        local socket, log = kit.socket()
        socket:bind_async(0, function()
            log[#log + 1] = "callback"
        end)
        wait_for(log, "callback")
        assert.equal("state_changed 4, callback", said(log))
    end)

    it("4.3 bind_async: a callback that is no function raises at the caller's line", function()
        local s = TcpSocket.new()
        helper.misuse(function() s:bind_async(0, 5) end, "bad argument 'callback'")
        assert.equal(0, s.state)
    end)

    it("4.3 bind_async: without a callback it binds all the same", function()
        local socket, log = kit.socket()
        assert.is_nil(socket:bind_async(0))
        wait_for(log, "state_changed 4")
        helper.pump_for(0.02)
        assert.equal("state_changed 4", said(log))
    end)

    it("4.3 the plain and the async forms work inside of handlers and outside", function()
        local outside = kit.socket()
        assert.is_true(outside:bind(0))
        local socket, peer, log = kit.pair()
        local plain, async
        kit.at(log, "ready_read", function()
            plain = socket:peek_string(100)
            socket:read_string_async(function(_, result)
                async = result
            end)
        end)
        peer:write("both")
        wait(function()
            return async
        end, "the callback")
        assert.same({ "both", "both" }, { plain, async })
    end)
end)
