-- The dialect's `udp` beside LuaSocket's own.
--
-- Not here: name lookups (`luasocket_dns`), `select` over streams.

local helper = require "spec.helper"
local tools = require "spec.dialects.luasocket_tools"

local list, raises, port = tools.list, tools.raises, tools.port
local HERE = "127.0.0.1"

-- One that is bound, and its port.
local function bound(api, keep)
    local object = keep(assert(api.socket.udp4()))
    assert(object:setsockname(HERE, 0))
    object:settimeout(2 * helper.slow)
    return object, port(object)
end

-- A port that nobody has, as it was one's a moment ago.
local function silent(api)
    local object = api.socket.udp4()
    object:setsockname(HERE, 0)
    local number = port(object)
    object:close()
    return number
end

-- Two that are connected to each other.
local function pair(api, keep)
    local one, one_port = bound(api, keep)
    local other, other_port = bound(api, keep)
    assert(one:setpeername(HERE, other_port))
    assert(other:setpeername(HERE, one_port))
    return one, other
end

local function class(object)
    return getmetatable(object).__index.class
end

local function lacks_ipv6()
    local sock = helper.evsock.udp("::1", 0)
    if sock then
        sock:close()
    end
    return not sock
end

local objects = {
    { "udp() has no descriptor until its family is known", function(api, keep)
        local object = keep(api.socket.udp())
        return class(object), object:getfd(), list(object:getsockname()), object:getfamily()
    end, { "udp{unconnected}", -1, { "nil", "Bad file descriptor" }, "inet4" } },
    { "udp4() has one at once, and an end that is any", function(api, keep)
        local object = keep(api.socket.udp4())
        return object:getfd() >= 0, object:getsockname()
    end, { true, "0.0.0.0", "0", "inet" } },
    { "tostring begins with the class", function(api, keep)
        local object = keep(api.socket.udp())
        return tostring(object):match("^(.-): 0x") or tostring(object)
    end, { "udp{unconnected}" } },
    { "methods stand in a plain table", function(api, keep)
        local index = getmetatable(keep(api.socket.udp())).__index
        local names = {}
        for name in pairs(index) do
            names[#names + 1] = name
        end
        table.sort(names)
        return table.concat(names, " ")
    end, { "class close dirty getfamily getfd getoption getpeername getsockname gettimeout receive "
        .. "receivefrom send sendto setfd setoption setpeername setsockname settimeout" } },
    { "what is no object raises", function(api, keep)
        return raises("udp{any} expected", keep(api.socket.udp()).receive, {})
    end, { "raises" } },
    { "the size of a datagram is a constant", function(api)
        return api.socket._DATAGRAMSIZE
    end, { 8192 } },
    { "close is 1 any number of times, and leaves no descriptor", function(api, keep)
        local object = bound(api, keep)
        return object:close(), object:close(), object:getfd(), object:dirty(),
            list(object:getsockname())
    end, { 1, 1, -1, false, { "nil", "Bad file descriptor" } } },
    { "a closed one receives nothing", function(api, keep)
        local object = bound(api, keep)
        object:close()
        return object:receive()
    end, { "" }, ours = { "nil", "closed" } },
    { "settimeout takes the two modes, and gettimeout tells both", function(api, keep)
        local object = keep(api.socket.udp())
        return object:settimeout(0.5), object:settimeout(2, "t"), list(object:gettimeout()),
            raises("invalid timeout mode", object.settimeout, object, 1, "q")
    end, { 1, 1, { 0.5, 2 }, "raises" } },
}

local ends = {
    { "setsockname binds, and getsockname tells the port as text", function(api, keep)
        local object, number = bound(api, keep)
        local host, text, family = object:getsockname()
        return host, type(text), family, number > 0
    end, { HERE, "string", "inet", true } },
    { "setsockname takes a star, a name and a port as text", function(api, keep)
        local one, other = keep(api.socket.udp4()), keep(api.socket.udp4())
        return one:setsockname("*", "0"), one:getsockname() == "0.0.0.0",
            other:setsockname("localhost", 0), (other:getsockname())
    end, { 1, true, 1, HERE } },
    { "setsockname works once", function(api, keep)
        return bound(api, keep):setsockname(HERE, 0)
    end, { "nil", "Invalid argument" } },
    { "a port that is taken is refused", function(api, keep)
        local _, number = bound(api, keep)
        return keep(api.socket.udp4()):setsockname(HERE, number)
    end, { "nil", "address already in use" } },
    { "an address of others is refused", function(api, keep)
        return keep(api.socket.udp4()):setsockname("192.0.2.1", 0)
    end, { "nil", "Cannot assign requested address" } },
    { "reuseaddr before setsockname lets two have one port", function(api, keep)
        local one, other = keep(api.socket.udp4()), keep(api.socket.udp4())
        return one:setoption("reuseaddr", true), other:setoption("reuseaddr", true),
            one:setsockname(HERE, 0), other:setsockname(HERE, port(one))
    end, { 1, 1, 1, 1 } },
    { "setpeername makes it a connected one, whose peer has a number as port", function(api, keep)
        local _, number = bound(api, keep)
        local object = keep(api.socket.udp())
        local ok = object:setpeername(HERE, number)
        local host, peer_port, family = object:getpeername()
        return ok, class(object), host, peer_port == number, family, (object:getsockname())
    end, { 1, "udp{connected}", HERE, true, "inet", HERE } },
    { "setpeername with a star undoes that", function(api, keep)
        local _, peer = bound(api, keep)
        local one = keep(api.socket.udp4())
        one:setsockname(HERE, silent(api))
        one:setpeername(HERE, peer)
        local ok = one:setpeername("*")
        one:settimeout(2 * helper.slow)
        local stranger = keep(api.socket.udp())
        stranger:sendto("from a stranger", HERE, port(one))
        return ok, class(one), (one:receive()),
            raises("udp{connected} expected", one.send, one, "x")
    end, { 1, "udp{unconnected}", "from a stranger", "raises" } },
    { "setpeername may be called again", function(api, keep)
        local one = pair(api, keep)
        local third, number = bound(api, keep)
        return one:setpeername(HERE, number), one:send("moved"), (third:receive())
    end, { 1, 5, "moved" } },
    { "setpeername opens a closed one again", function(api, keep)
        local object = bound(api, keep)
        object:close()
        local other, number = bound(api, keep)
        return object:setpeername(HERE, number), object:send("again"), (other:receive())
    end, { 1, 5, "again" } },
    { "setpeername needs a port", function(api, keep)
        local object = keep(api.socket.udp())
        return raises("string expected", object.setpeername, object, HERE)
    end, { "raises" } },
}

local data = {
    { "sendto and receivefrom carry data and its sender", function(api, keep)
        local object, number = bound(api, keep)
        local other, other_port = bound(api, keep)
        local sent = other:sendto("hello", HERE, tostring(number))
        local text, host, from = object:receivefrom()
        return sent, text, host, from == other_port
    end, { 5, "hello", HERE, true } },
    { "receive tells no sender", function(api, keep)
        local object, number = bound(api, keep)
        keep(api.socket.udp()):sendto("hello", HERE, number)
        return object:receive()
    end, { "hello" } },
    { "what is longer than was asked for is cut, and lost", function(api, keep)
        local object, number = bound(api, keep)
        local other = keep(api.socket.udp())
        other:sendto("hello world", HERE, number)
        other:sendto("second", HERE, number)
        other:sendto("third", HERE, number)
        return object:receive(5), (object:receivefrom(3)), object:receive(0)
    end, { "hello", "sec", "" } },
    { "without a size it is cut at _DATAGRAMSIZE, with one it may be longer", function(api, keep)
        local object, number = bound(api, keep)
        local other, long = keep(api.socket.udp()), ("x"):rep(9000)
        other:sendto(long, HERE, number)
        other:sendto(long, HERE, number)
        return #object:receive(), #object:receive(20000)
    end, { 8192, 9000 } },
    { "empty datagrams are datagrams", function(api, keep)
        local object, number = bound(api, keep)
        return keep(api.socket.udp()):sendto("", HERE, number), (object:receivefrom())
    end, { 0, "" } },
    { "one that is too long is refused", function(api, keep)
        local _, number = bound(api, keep)
        return keep(api.socket.udp()):sendto(("x"):rep(70000), HERE, number)
    end, { "nil", "Message too long" } },
    { "sendto takes addresses alone", function(api, keep)
        local object = keep(api.socket.udp())
        return list(object:sendto("x", "localhost", 9)), list(object:sendto("x", HERE, "http")),
            raises("string expected", object.sendto, object, "x", HERE)
    end, { { "nil", "Name or service not known" }, { "nil", "Name or service not known" },
        "raises" } },
    { "sendto fixes the family", function(api, keep)
        local _, number = bound(api, keep)
        local object = keep(api.socket.udp())
        object:sendto("x", HERE, number)
        return object:getfd() >= 0, object:getsockname() == "0.0.0.0",
            list(object:sendto("x", "::1", number))
    end, { true, true, { "nil", "Address family for hostname not supported" } } },
    { "connected ones send and receive", function(api, keep)
        local one, other = pair(api, keep)
        return one:send("ping"), other:receive(), other:send("pong"), one:receive()
    end, { 4, "ping", 4, "pong" } },
    { "a connected one drops what strangers send", function(api, keep)
        local one, other = pair(api, keep)
        keep(api.socket.udp()):sendto("from a stranger", HERE, port(one))
        other:send("from the peer")
        local first = one:receive()
        one:settimeout(0.05)
        return first, list(one:receive())
    end, { "from the peer", { "nil", "timeout" } } },
    { "send is for connected ones, sendto and receivefrom for others", function(api, keep)
        local one = pair(api, keep)
        local object = keep(api.socket.udp())
        return raises("udp{connected} expected", object.send, object, "x"),
            raises("udp{unconnected} expected", one.sendto, one, "x", HERE, 9),
            raises("udp{unconnected} expected", one.receivefrom, one),
            raises("udp{connected} expected", object.getpeername, object)
    end, { "raises", "raises", "raises", "raises" } },
    { "a refusal of what was sent ends one later call", function(api, keep)
        local object = keep(api.socket.udp())
        object:setpeername(HERE, silent(api))
        object:settimeout(2 * helper.slow)
        return object:send("x"), list(object:receive())
    end, { 1, { "nil", "connection refused" } } },
    { "a refusal ends a later send, too, and none after that", function(api, keep)
        local object = keep(api.socket.udp())
        object:setpeername(HERE, silent(api))
        object:send("x")
        api.socket.select({ object }, nil, 2 * helper.slow)
        local refused = list(object:send("y"))
        object:settimeout(0)
        return refused, list(object:receive())
    end, { { "nil", "connection refused" }, { "nil", "timeout" } } },
    { "a closed one sends nothing", function(api, keep)
        local one = pair(api, keep)
        one:close()
        return one:send("x")
    end, { "nil", "refused" } },
}

local waiting = {
    { "a timeout of 0 does not wait", function(api, keep)
        local object = bound(api, keep)
        object:settimeout(0)
        return object:receive()
    end, { "nil", "timeout" } },
    { "a timeout ends the wait", function(api, keep)
        local object = bound(api, keep)
        object:settimeout(0.05)
        local begun = api.socket.gettime()
        local answer = list(object:receivefrom())
        local waited = api.socket.gettime() - begun
        return answer, waited >= 0.04 and waited < 5 * helper.slow
    end, { { "nil", "timeout" }, true } },
    { "select tells when a datagram waits, and writing never does", function(api, keep)
        local object, number = bound(api, keep)
        local other = keep(api.socket.udp4())
        local ready, _, why = api.socket.select({ object }, nil, 0)
        local before = list(#ready, why)
        other:sendto("x", HERE, number)
        local readable, writable = api.socket.select({ object }, { other }, 2 * helper.slow)
        api.socket.select({ object }, nil, 2 * helper.slow)
        return before, #readable <= 1, #writable, (object:receive())
    end, { { 0, "timeout" }, true, 1, "x" } },
}

local settings = {
    { "options of the socket are set and got", function(api, keep)
        local object = keep(api.socket.udp4())
        local got = {}
        for _, name in ipairs { "broadcast", "dontroute", "reuseaddr", "reuseport" } do
            got[#got + 1] = object:getoption(name)
            got[#got + 1] = object:setoption(name, true)
            got[#got + 1] = object:getoption(name)
        end
        return got, object:setoption("recv-buffer-size", 10000),
            object:getoption("recv-buffer-size") >= 10000,
            object:setoption("send-buffer-size", 9000), object:getoption("send-buffer-size") >= 9000
    end, { { false, 1, true, false, 1, true, false, 1, true, false, 1, true }, 1, true, 1, true } },
    { "options of multicast are set and got", function(api, keep)
        local object = keep(api.socket.udp4())
        return object:setoption("ip-multicast-ttl", 4), object:getoption("ip-multicast-loop"),
            object:setoption("ip-multicast-loop", false), object:getoption("ip-multicast-loop"),
            object:getoption("ip-multicast-if"), object:setoption("ip-multicast-if", HERE),
            object:getoption("ip-multicast-if"), object:setoption("ip-multicast-if", "*")
    end, { 1, true, 1, false, "0.0.0.0", 1, HERE, 1 } },
    { "a group is joined and left", function(api, keep)
        local object = keep(api.socket.udp4())
        local group = { multiaddr = "239.1.2.3", interface = HERE }
        return object:setoption("ip-add-membership", group),
            object:setoption("ip-drop-membership", group),
            list(object:setoption("ip-drop-membership", group))
    end, { 1, 1, { "nil", "setsockopt failed" } } },
    { "what is sent to a group is heard by its members", function(api, keep)
        local object = keep(api.socket.udp4())
        object:setoption("reuseaddr", true)
        object:setsockname("*", 0)
        object:setoption("ip-add-membership", { multiaddr = "239.1.2.4", interface = HERE })
        object:settimeout(2 * helper.slow)
        local other = keep(api.socket.udp4())
        other:setoption("ip-multicast-if", HERE)
        return other:sendto("all", "239.1.2.4", port(object)), (object:receive())
    end, { 3, "all" } },
    { "what was set and joined before setsockname holds after it", function(api, keep)
        local object = keep(api.socket.udp4())
        object:setoption("broadcast", true)
        object:setoption("ip-multicast-ttl", 3)
        object:setoption("ip-add-membership", { multiaddr = "239.1.2.5", interface = HERE })
        object:setsockname("*", 0)
        object:settimeout(2 * helper.slow)
        local other = keep(api.socket.udp4())
        other:setoption("ip-multicast-if", HERE)
        other:sendto("kept", "239.1.2.5", port(object))
        return object:getoption("broadcast"), (object:receive())
    end, { true, "kept" } },
    { "values that can not be meant raise", function(api, keep)
        local object = keep(api.socket.udp4())
        local set = object.setoption
        return raises("unsupported option `foo'", set, object, "foo", 1),
            raises("boolean expected", set, object, "broadcast", 1),
            raises("ip expected", set, object, "ip-multicast-if", "x"),
            raises("table expected", set, object, "ip-add-membership", 1),
            raises("string 'multiaddr' field expected", set, object, "ip-add-membership",
                { interface = "*" }),
            raises("invalid 'multiaddr' ip address", set, object, "ip-add-membership",
                { multiaddr = "x", interface = "*" }),
            raises("unsupported option `foo'", object.getoption, object, "foo")
    end, { "raises", "raises", "raises", "raises", "raises", "raises", "raises" } },
    { "without a descriptor nothing is set", function(api, keep)
        local object = keep(api.socket.udp())
        return list(object:setoption("broadcast", true)), list(object:getoption("broadcast"))
    end, { { "nil", "setsockopt failed" }, { "nil", "getsockopt failed" } } },
    { "options of IPv6 are none of IPv4", function(api, keep)
        local object = keep(api.socket.udp4())
        return list(object:getoption("ipv6-unicast-hops")), list(object:getoption("ipv6-v6only"))
    end, { { "nil", "getsockopt failed" }, { "nil", "getsockopt failed" } } },
}

local ipv6 = {
    { "udp6 sends and receives by IPv6 alone", function(api, keep)
        local object = keep(api.socket.udp6())
        object:settimeout(2 * helper.slow)
        local ok = object:setsockname("::1", 0)
        local host, _, family = object:getsockname()
        local other = keep(api.socket.udp())
        local sent = other:sendto("six", "::1", port(object))
        local text, from = object:receivefrom()
        return ok, host, family, object:getfamily(), sent, text, from,
            object:getoption("ipv6-v6only"), list(object:sendto("x", HERE, 9))
    end, { 1, "::1", "inet6", "inet6", 3, "six", "::1", true,
        { "nil", "Address family for hostname not supported" } }, unless = lacks_ipv6 },
}

describe("LuaSocket's udp", function()
    after_each(helper.finish)

    for _, rows in ipairs { objects, ends, data, waiting, settings, ipv6 } do
        tools.rows(it, "socket", rows)
    end

    it("has tasks wait at one socket, and serves each with a datagram of its own", function()
        local api = { socket = require("evsock.luasocket").core }
        local object = api.socket.udp4()
        object:setsockname(HERE, 0)
        local got = {}
        for _ = 1, 3 do
            helper.spawn(function()
                local text = object:receive()
                got[#got + 1] = text
            end)
        end
        local other = api.socket.udp()
        for _, text in ipairs { "a", "b", "c" } do
            other:sendto(text, HERE, port(object))
        end
        helper.wait_count(got, 3)
        table.sort(got)
        assert.same({ "a", "b", "c" }, got)
        object:close()
        other:close()
    end)

    it("ends the wait of a task when it is closed", function()
        local api = { socket = require("evsock.luasocket").core }
        local object = api.socket.udp4()
        object:setsockname(HERE, 0)
        local answer
        local task = helper.spawn(function()
            answer = list(object:receive())
        end)
        helper.pump_for(0.05)
        object:close()
        assert(task:join(5 * helper.slow))
        assert.same({ "nil", "closed" }, answer)
    end)
end)
