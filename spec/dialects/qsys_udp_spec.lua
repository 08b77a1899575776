-- Q-SYS UdpSocket, over the loopback interface, with native sockets as peers.

local helper = require "spec.helper"
local tools = require "spec.dialects.qsys_tools"
local qsys = require "evsock.qsys"
local evsock, UdpSocket = helper.evsock, qsys.UdpSocket

local LOCAL = "127.0.0.1"

-- What the host was told.
local logged = {}

before_each(function()
    logged = {}
    qsys.configure {
        logger = function(level, text)
            logged[#logged + 1] = level .. " " .. text
        end,
    }
end)

after_each(function()
    qsys.configure { logger = function() end }
    tools.finish()
end)

local function has_logged(text)
    return table.concat(logged, "\n"):find(text, 1, true) ~= nil
end

-- A socket that `finish` closes, and the packets that its handler got.
local function socket(handler)
    local sock, packets = helper.track(UdpSocket.New()), {}
    sock[handler or "EventHandler"] = function(...)
        collectgarbage()
        local given, packet = ...
        assert(given == sock and select("#", ...) == 2)
        packets[#packets + 1] = packet
    end
    return sock, packets
end

local function port_of(sock)
    return tonumber(tostring(sock):match(":(%d+)$"))
end

-- The same, open at 127.0.0.1, and its port.
local function open(handler)
    local sock, packets = socket(handler)
    sock:Open(LOCAL)
    return sock, packets, port_of(sock)
end

-- A native socket whose datagrams are appended to a list.
local function peer(host, port)
    local got = {}
    local sock = helper.track(assert(evsock.udp(host or LOCAL, port or 0, {
        on_datagram = function(_, data, from, its_port)
            got[#got + 1] = { data = data, host = from, port = its_port }
        end,
    })))
    return sock, got
end

describe("Q-SYS UdpSocket:", function()
    it("what comes goes to EventHandler with Address, Port and Data", function()
        local _, packets, port = open()
        local sender = peer()
        local all = helper.all_bytes()
        sender:send_to(all, LOCAL, port)
        sender:send_to("", LOCAL, port)
        helper.wait_exactly(packets, 2)
        assert.same({ Address = LOCAL, Port = sender.port, Data = all }, packets[1])
        assert.equal("", packets[2].Data)
    end)

    it("the handler Data takes the place of EventHandler", function()
        local sock, packets, port = open("Data")
        sock.EventHandler = helper.never("EventHandler beside Data")
        peer():send_to("hello", LOCAL, port)
        helper.wait_exactly(packets, 1)
        assert.equal("hello", packets[1].Data)
    end)

    it("what comes while there is no handler is dropped", function()
        local sock, packets, port = open()
        local handler, sender = sock.EventHandler, peer()
        sock.EventHandler = nil
        for _ = 1, 200 do
            sender:send_to("early", LOCAL, port)
        end
        helper.pump_for(0.05)
        sock.EventHandler = handler
        sender:send_to("late", LOCAL, port)
        tools.wait(function()
            return packets[1]
        end, "a datagram")
        assert.equal("late", packets[#packets].Data)
    end)

    it("Open without arguments, with an empty address and with a port", function()
        local port = helper.free_port()
        for _, arguments in ipairs { {}, { "" }, { "", port }, { nil, port + 0.0 },
            { LOCAL, ("%d"):format(port) } } do
            local sock, packets = socket()
            sock:Open(arguments[1], arguments[2])
            assert.equal(arguments[2] and port or port_of(sock), port_of(sock))
            peer():send_to("hello", LOCAL, port_of(sock))
            helper.wait_exactly(packets, 1)
            sock:Close()
        end
    end)

    it("Open again opens anew; Close ends it, twice as well as once", function()
        local sock, packets, port = open()
        sock:Open(LOCAL)
        peer(LOCAL, port)
        peer():send_to("hello", LOCAL, port_of(sock))
        helper.wait_exactly(packets, 1)
        sock:Close()
        sock:Close()
        assert.equal(0, #logged)
        assert.equal("userdata: UdpSocket closed", tostring(sock))
    end)

    it("an address that is taken or not ours raises, and says why", function()
        local sock, _, port = open()
        local other = socket()
        helper.misuse(function() other:Open(LOCAL, port) end, "address already in use")
        helper.misuse(function() other:Open("192.0.2.1") end, "Open: udp 192.0.2.1:0: ")
        assert.is_true(has_logged("error UdpSocket: udp 127.0.0.1:" .. port))
        sock:Close()
        other:Open(LOCAL, port)
    end)

    it("Send goes to addresses and names", function()
        local sock, packets = open()
        local receiver, got = peer()
        sock:Send(LOCAL, receiver.port, "one")
        sock:Send("localhost", ("%d"):format(receiver.port), "two")
        sock:Send(LOCAL, receiver.port + 0.0, 3)
        helper.wait_exactly(got, 3)
        local said = {}
        for place, one in ipairs(got) do
            said[place] = one.data
            assert.equal(port_of(sock), one.port)
        end
        table.sort(said)
        assert.same({ "3", "one", "two" }, said)
        assert.equal(0, #packets)
    end)

    it("Send before Open and after Close raises, and says what to do", function()
        local sock = socket()
        helper.misuse(function() sock:Send(LOCAL, 9, "x") end, "Send: the socket is not open")
        helper.misuse(function() sock:JoinMulticast("239.1.2.3") end, "JoinMulticast: the socket")
        sock:Open(LOCAL)
        sock:Close()
        helper.misuse(function() sock:Send(LOCAL, 9, "x") end, "Send: the socket is not open")
    end)

    it("what is too long for a datagram raises; a name nobody knows is told the host", function()
        local sock = open()
        local long, longer = ("x"):rep(65508), ("x"):rep(65536)
        helper.misuse(function() sock:Send(LOCAL, 9, longer) end, "the data has 65536 bytes")
        helper.misuse(function() sock:Send(LOCAL, 9, long) end, "message too long")
        qsys.configure { hosts = { ["a.device"] = false } }
        sock:Send("a.device", 9, "x")
        tools.wait(function()
            return has_logged("a.device:9")
        end, "the logger is told")
    end)

    it("broadcasts need no switch", function()
        helper.unix_only("broadcasts within the loopback interface")
        local sock, packets = socket()
        local port = helper.free_port()
        sock:Open(nil, port)
        sock:Send("127.255.255.255", port, "wake up")
        helper.wait_exactly(packets, 1)
        assert.equal("wake up", packets[1].Data)
    end)

    it("JoinMulticast receives what a group gets, at the interface that is named", function()
        local sock, packets = socket()
        local port = helper.free_port()
        sock:Open(nil, port)
        sock:JoinMulticast("239.255.77.1", LOCAL)
        local sender = helper.track(assert(evsock.udp(LOCAL, 0, { interface = LOCAL })))
        sender:send_to("to all", "239.255.77.1", port)
        helper.wait_exactly(packets, 1)
        assert.equal("to all", packets[1].Data)
        assert.equal(LOCAL, packets[1].Address)
    end)

    it("JoinMulticast of what is no group raises", function()
        local sock = open()
        helper.misuse(function() sock:JoinMulticast("a.group") end, "bad argument 'group'")
        helper.misuse(function() sock:JoinMulticast("127.0.0.1") end, "JoinMulticast: ")
        helper.misuse(function() sock:JoinMulticast("239.1.1.1", "lo") end, "bad argument 'ip'")
    end)

    it("MulticastTtl is 1 and may be set before and after Open", function()
        local sock = socket()
        assert.equal(1, sock.MulticastTtl)
        sock.MulticastTtl = 4
        sock:Open(LOCAL)
        assert.equal(4, sock.MulticastTtl)
        sock.MulticastTtl = 0
        assert.equal(0, sock.MulticastTtl)
        sock:Open(LOCAL)
        assert.equal(0, sock.MulticastTtl)
        helper.misuse(function() sock.MulticastTtl = 256 end, "bad value for MulticastTtl")
        helper.misuse(function() sock.MulticastTtl = "4" end, "bad value for MulticastTtl")
    end)

    it("hosts and ports lead elsewhere, and what comes from there is shown as from here", function()
        local receiver, got = peer()
        qsys.configure { hosts = { ["10.0.0.9"] = LOCAL }, ports = { [9131] = receiver.port } }
        local sock, packets = open()
        sock:Send("10.0.0.9", 9131, "question")
        helper.wait_exactly(got, 1)
        receiver:send_to("answer", LOCAL, got[1].port)
        helper.wait_exactly(packets, 1)
        assert.same({ Address = "10.0.0.9", Port = 9131, Data = "answer" }, packets[1])
    end)

    it("hosts lead our own address elsewhere, too, since a Core's is not here", function()
        qsys.configure { hosts = { ["10.0.0.1"] = LOCAL } }
        local sock = socket()
        sock:Open("10.0.0.1")
        assert.is_truthy(tostring(sock):find("UdpSocket open 127.0.0.1:", 1, true))
    end)

    it("misuse names the argument", function()
        local sock = open()
        helper.misuse(function() sock:Open({}) end, "bad argument 'ip' to 'Open'")
        helper.misuse(function() sock:Open("no.address") end, "bad argument 'ip' to 'Open'")
        helper.misuse(function() sock:Open(LOCAL, 70000) end, "bad argument 'port' to 'Open'")
        helper.misuse(function() sock:Send(nil, 9, "x") end, "bad argument 'ip' to 'Send'")
        helper.misuse(function() sock:Send(LOCAL, "x", "x") end, "bad argument 'port' to 'Send'")
        helper.misuse(function() sock:Send(LOCAL, 9, {}) end, "bad argument 'data' to 'Send'")
        helper.misuse(function() sock.EventHandler = 1 end, "EventHandler")
        helper.misuse(function() sock.Send(io.stdout, LOCAL, 9, "x") end, "UdpSocket")
    end)

    it("an error in the handler is the pump's, and the next datagram comes", function()
        local sock, packets, port = open()
        local handler = sock.EventHandler
        sock.EventHandler = function()
            sock.EventHandler = handler
            error("in the handler")
        end
        local sender = peer()
        sender:send_to("one", LOCAL, port)
        sender:send_to("two", LOCAL, port)
        local problem
        evsock.on_error = function(message)
            problem = message
        end
        helper.wait_exactly(packets, 1)
        assert.is_truthy(tostring(problem):find("in the handler", 1, true))
        assert.equal("two", packets[1].Data)
    end)

    it("one that only its handler reaches lives while it is open", function()
        local got, port = {}, nil
        local function begin()
            local sock = UdpSocket.New()
            sock.EventHandler = function(_, packet)
                got[#got + 1] = packet
                sock:Close()
            end
            sock:Open(LOCAL)
            port = port_of(sock)
        end
        begin()
        helper.collect()
        peer():send_to("are you there", LOCAL, port)
        helper.wait_exactly(got, 1)
    end)

    it("one that nobody holds, not even its handler, is collected, and its port is free", function()
        local port
        local function begin()
            local sock = UdpSocket.New()
            sock.EventHandler = print
            sock:Open(LOCAL)
            port = port_of(sock)
        end
        begin()
        tools.wait(function()
            helper.collect()
            local sock = evsock.udp(LOCAL, port)
            if sock then
                sock:close()
            end
            return sock
        end, "the port is free")
    end)
end)
