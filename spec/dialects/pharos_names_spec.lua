-- Pharos: the names and numbers that scripts see, and where they see them.
-- dialects.md 4, 4.1 > "names"; 4.2 (constants) > "names"; 4.8 > "Timer"

local helper = require "spec.helper"
local evsock = helper.evsock
local pharos = require "evsock.pharos"
local net, Timer = pharos.net, pharos.iomodules.Timer

local errors = {
    CONNECTION_REFUSED_ERROR = 0,
    REMOTE_HOST_CLOSED_ERROR = 1,
    HOST_NOT_FOUND_ERROR = 2,
    SOCKET_RESOURCE_ERROR = 4,
    SOCKET_TIMEOUT_ERROR = 5,
    DATAGRAM_TOO_LARGE_ERROR = 6,
    NETWORK_ERROR = 7,
    UNSUPPORTED_SOCKET_OPERATION_ERROR = 10,
    UNFINISHED_SOCKET_OPERATION_ERROR = 11,
    SSL_HANDSHAKE_FAILED_ERROR = 13,
    OPERATION_ERROR = 19,
    SSL_INTERNAL_ERROR = 20,
    SSL_INVALID_USERDATA_ERROR = 21,
    TEMPORARY_ERROR = 22,
    UNKNOWN_ERROR = -1,
}

local states = {
    UNCONNECTED_STATE = 0, HOST_LOOKUP_STATE = 1, CONNECTING_STATE = 2, CONNECTED_STATE = 3,
    BOUND_STATE = 4, CLOSING_STATE = 6,
}

local modes = {
    NOT_OPEN_MODE = 0, READ_ONLY_MODE = 1, WRITE_ONLY_MODE = 2, READ_WRITE_MODE = 3,
    APPEND_MODE = 4, TRUNCATE_MODE = 8,
}

local verify_modes = { VERIFY_NONE = 0, QUERY_PEER = 1, VERIFY_PEER = 2, AUTO_VERIFY_PEER = 3 }
local ssl_modes = { UNENCRYPTED_MODE = 0, SSL_CLIENT_MODE = 1, SSL_SERVER_MODE = 2 }

after_each(helper.finish)

describe("Pharos: names", function()
    local function check(what, list, class)
        for name, value in pairs(list) do
        it(("%s %s is %d, on the class and its objects"):format(what, name, value), function()
                assert.equal(value, class()[name])
                assert.equal(value, class().new()[name])
            end)
        end
    end
    local function tcp()
        return net.TcpSocket
    end
    local function ssl()
        return net.SslSocket
    end
    check("4.1 TcpSocket.error:", errors, tcp)
    check("4.1 TcpSocket.state:", states, tcp)
    check("4.1 open mode:", modes, tcp)
    check("4.7 SslSocket, error:", errors, ssl)
    check("4.7 SslSocket, state:", states, ssl)
    check("4.7 SslSocket, peer_verify_mode:", verify_modes, ssl)
    check("4.7 SslSocket, mode:", ssl_modes, ssl)

    it("4.1 Stream has the open modes", function()
        for name, value in pairs(modes) do
            assert.equal(value, net.Stream[name])
        end
    end)

    it("4.1 SslEncoding and SslConfiguration have their constants", function()
        assert.same({ PEM = 0, DER = 1 }, net.SslEncoding)
        for name, value in pairs(verify_modes) do
            assert.equal(value, net.SslConfiguration[name])
        end
    end)

    it("4.1 counts and constants are integers where Lua has them", function()
        local kind = math.type or function()
            return "integer"
        end
        assert.equal("integer", kind(net.TcpSocket.CONNECTED_STATE))
        local socket = net.TcpSocket.new()
        for _, name in ipairs { "error", "state", "open_mode", "pos", "bytes_available" } do
            assert.equal("integer", kind(socket[name]))
        end
    end)

    it("4 Stream is reached as iomodules.Stream and as net.Stream", function()
        assert.equal(pharos.iomodules.Stream, net.Stream)
        assert.equal(net.Stream, pharos.Stream)
    end)

    it("4 the classes are in iomodules.net", function()
        assert.equal(net, pharos.iomodules.net)
        for _, name in ipairs {
            "TcpSocket", "TcpServer", "SslSocket", "SslServer", "SslConfiguration",
        } do
            assert.equal("function", type(net[name].new))
        end
    end)

    it("4 the classes of net are found in iomodules, too", function()
        for name, class in pairs(net) do
            assert.equal(class, pharos.iomodules[name], name)
        end
        local env = { iomodules = {} }
        pharos.install(env)
        assert.equal(net.UdpSocket, env.iomodules.UdpSocket)
        local socket = env.iomodules.UdpSocket.new()
        socket:bind_async(0)
        assert.equal(socket.BOUND_STATE, socket.state)
        socket:close()
    end)

    it("4 every _async call goes without its callback", function()
        local tried = 0
        local arguments = {
            listen_async = { 0 }, bind_async = { 0 }, open_async = { 3 }, peek_string_async = { 1 },
            peek_bytes_async = { 1 }, write_async = { "x" }, write_string_async = { "x" },
            write_bytes_async = { {} }, seek_async = { 0 },
            join_multicast_group_async = { "239.1.2.3" },
            leave_multicast_group_async = { "239.1.2.3" },
            write_datagram_string_async = { "x", "127.0.0.1", 9 },
            write_datagram_bytes_async = { {}, "127.0.0.1", 9 },
        }
        local classes = { "TcpSocket", "TcpServer", "SslSocket", "SslServer", "UdpSocket" }
        for _, class in ipairs(classes) do
            local methods = getmetatable(net[class].new()).__definition.methods
            for name in pairs(methods) do
                if name:find("_async$") then
                    local object = helper.track(net[class].new())
                    local given = arguments[name] or {}
                    object[name](object, given[1], given[2], given[3])
                    tried = tried + 1
                end
            end
        end
        assert.is_true(tried > 40)
    end)

    it("4 install sets net and iomodules, and returns the module", function()
        local env = {}
        assert.equal(pharos, pharos.install(env))
        assert.equal(net, env.net)
        assert.equal(net.TcpSocket, env.iomodules.net.TcpSocket)
        local count = 0
        for _ in pairs(env) do
            count = count + 1
        end
        assert.equal(2, count)
    end)

    it("4 install adds to tables that are there and keeps what they have", function()
        local env = { net = { mine = 1 } }
        pharos.install(env)
        assert.equal(1, env.net.mine)
        assert.equal(net.TcpSocket, env.net.TcpSocket)
        assert.is_nil(net.mine)
    end)

    it("4 install without a table sets globals", function()
        local before_net, before_modules = rawget(_G, "net"), rawget(_G, "iomodules")
        rawset(_G, "net", nil)
        pharos.install()
        local found = rawget(_G, "net")
        rawset(_G, "net", before_net)
        rawset(_G, "iomodules", before_modules)
        assert.equal(net, found)
    end)

    it("4 requiring sets no global", function()
        local said, status = helper.run([[
            local before = {}
            for name in pairs(_G) do before[name] = true end
            require "evsock.pharos"
            for name in pairs(_G) do
                if not before[name] then print("new: " .. name) end
            end
        ]])
        assert.equal("", said)
        assert.equal(0, status)
    end)

    it("1.12 the metatable can be read and names the class", function()
        for _, name in ipairs { "TcpSocket", "TcpServer", "SslSocket", "SslServer" } do
            local object = net[name].new()
            assert.equal("userdata", type(object))
            assert.equal(name, getmetatable(object).__type)
            assert.equal(name, tostring(object):match("^%w+"))
        end
    end)

    it("4.2 the properties are read-only", function()
        local socket = net.TcpSocket.new()
        for _, name in ipairs {
            "error", "error_string", "state", "valid", "local_address", "local_port",
            "remote_address", "remote_port", "is_open", "open_mode", "bytes_available",
            "bytes_to_write", "at_end", "pos", "readable", "writeable", "sequential",
            "can_read_line", "CONNECTED_STATE",
        } do
            local ok, message = pcall(function()
                socket[name] = 1
            end)
            assert.is_false(ok, name)
            assert.is_truthy(message:find("read-only", 1, true), message)
        end
    end)

    it("4.2 anything else is the script's to store", function()
        local socket = net.TcpSocket.new()
        socket.name = "projector"
        assert.equal("projector", socket.name)
    end)

    it("4.3 a handler must be a function or nil", function()
        local socket = net.TcpSocket.new()
        assert.has_error(function()
            socket.ready_read_handler = 1
        end)
        socket.ready_read_handler = print
        socket.ready_read_handler = nil
        assert.is_nil(socket.ready_read_handler)
    end)
end)

describe("Pharos: Timer", function()
    local function timer(interval, once)
        local made = helper.track(Timer.new(), function(object)
            object:stop()
        end)
        made.interval, made.single_shot = interval, once
        return made
    end

    it("4.8 is idle at first: not active, no interval, not single shot", function()
        local made = Timer.new()
        assert.is_false(made.active)
        assert.is_false(made.single_shot)
        assert.equal(0, made.interval)
    end)

    it("4.8 interval is in milliseconds", function()
        local made, began = timer(30, true), evsock.now()
        made.timeout_handler = helper.expect(1)
        made:start()
        assert.is_true(made.active)
        helper.pump_until(function()
            return not made.active
        end, 5 * helper.slow, "the timer")
        assert.is_true(evsock.now() - began >= 0.03)
    end)

    it("4.8 it fires again and again until stop, and gets itself", function()
        local made, count = timer(1), 0
        made.timeout_handler = function(given)
            assert(given == made)
            count = count + 1
            if count == 3 then
                given:stop()
            end
        end
        made:start()
        helper.pump_until(function()
            return count == 3
        end, 5 * helper.slow, "three turns")
        assert.is_false(made.active)
        helper.pump_for(0.01)
        assert.equal(3, count)
    end)

    it("4.8 single_shot: once, and it can be started again", function()
        local made, turns = timer(1, true), {}
        made.timeout_handler = function(given)
            turns[#turns + 1] = given
            assert.is_false(given.active)
            if #turns == 1 then
                given:start()
            end
        end
        made:start()
        helper.wait_exactly(turns, 2)
    end)

    it("4.8 active is read-only", function()
        assert.has_error(function()
            Timer.new().active = true
        end)
    end)

    it("4.8 a changed interval begins anew", function()
        local made = timer(60000, true)
        made.timeout_handler = helper.expect(1)
        made:start()
        made.interval = 1
        helper.pump_until(function()
            return not made.active
        end, 5 * helper.slow, "the timer")
    end)

    it("4.8 an interval that is no time raises at the caller's line", function()
        local made = Timer.new()
        helper.misuse(function() made.interval = -1 end, "bad value for interval")
        helper.misuse(function() made.interval = "soon" end, "bad value for interval")
    end)
end)
