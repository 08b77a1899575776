-- The dialect's streams of TCP beside LuaSocket's own: objects, connecting, listening, receive and
-- send.
--
-- Not here: `select`, options, time (`luasocket_core_spec.lua`), many tasks
-- (`luasocket_tasks_spec.lua`).

local helper = require "spec.helper"
local tools = require "spec.dialects.luasocket_tools"

local list, raises, port = tools.list, tools.raises, tools.port
local HERE = "127.0.0.1"

local function class(object)
    return getmetatable(object).__index.class
end

-- One that listens at a free port, and the port.
local function listening(api, keep, backlog)
    local master = keep(assert(api.socket.tcp4()))
    assert(master:bind(HERE, 0))
    assert(master:listen(backlog))
    master:settimeout(5 * helper.slow)
    return master, port(master)
end

-- A port that nobody has, as it was one's a moment ago.
local function refused(api)
    local master = api.socket.tcp4()
    master:bind(HERE, 0)
    local number = port(master)
    master:close()
    return number
end

-- Both ends of a connection.
local function pair(api, keep)
    local server, number = listening(api, keep)
    local client = keep(api.socket.tcp())
    client:settimeout(5 * helper.slow)
    assert(client:connect(HERE, number))
    local accepted = keep(assert(server:accept()))
    accepted:settimeout(5 * helper.slow)
    return client, accepted, server
end

-- Waits until something can be read.
local function arrived(api, object)
    return #api.socket.select({ object }, nil, 5 * helper.slow) == 1
end

-- One whose connecting was refused while nobody waited for it.
local function refused_later(api, keep)
    local client, number = keep(api.socket.tcp()), refused(api)
    client:settimeout(0)
    local answer = list(client:connect(HERE, number))
    api.socket.select(nil, { client }, 5 * helper.slow)
    return client, number, answer
end

local METHODS = "accept bind class close connect dirty getfamily getfd getoption getpeername "
    .. "getsockname getstats gettimeout listen receive send setfd setoption setpeername "
    .. "setsockname setstats settimeout shutdown"

local objects = {
    { "tcp() is a master without a descriptor", function(api, keep)
        local object = keep(api.socket.tcp())
        return class(object), object:getfd(), object:getfamily(), list(object:getsockname()),
            list(object:getpeername())
    end, { "tcp{master}", -1, "inet4", { "nil", "Bad file descriptor" },
        { "nil", "Bad file descriptor" } } },
    { "tcp4() has a descriptor at once", function(api, keep)
        local object = keep(api.socket.tcp4())
        return object:getfd() >= 0, list(object:getsockname()), list(object:getpeername())
    end, { true, { "0.0.0.0", "0", "inet" }, { "nil", "Transport endpoint is not connected" } } },
    { "tostring begins with the class", function(api, keep)
        local object = keep(api.socket.tcp())
        return tostring(object):match("^tcp{master}: 0x%x+$") ~= nil
    end, { true }, unless = function()
        return helper.is_windows
    end },
    { "methods stand in a plain table", function(api, keep)
        local names = {}
        for name in pairs(getmetatable(keep(api.socket.tcp())).__index) do
            names[#names + 1] = name
        end
        table.sort(names)
        return table.concat(names, " ")
    end, { METHODS } },
    { "listen makes a server of a master, connect a client", function(api, keep)
        local client, accepted, server = pair(api, keep)
        return class(client), class(accepted), class(server)
    end, { "tcp{client}", "tcp{client}", "tcp{server}" } },
    { "a wrong class raises", function(api, keep)
        local client, _, server = pair(api, keep)
        local master = keep(api.socket.tcp())
        return raises("tcp{client} expected", master.send, master, "x"),
            raises("tcp{client} expected", server.receive, server),
            raises("tcp{master} expected", client.listen, client),
            raises("tcp{master} expected", server.bind, server, HERE, 0),
            raises("tcp{server} expected", client.accept, client),
            raises("tcp{any} expected", master.close, {})
    end, { "raises", "raises", "raises", "raises", "raises", "raises" } },
    { "a wrong class raises at the line of the caller", function(api, keep)
        local master = keep(api.socket.tcp())
        local _, problem = pcall(function()
            master:send("x")
        end)
        return problem:match(": (calling.*)$")
    end, { "calling 'send' on bad self (tcp{client} expected)" } },
    { "close is 1 any number of times", function(api, keep)
        local client = pair(api, keep)
        return client:close(), client:close(), client:getfd()
    end, { 1, 1, -1 } },
    { "after close everything says closed", function(api, keep)
        local client, _, server = pair(api, keep)
        client:close()
        server:close()
        return list(client:receive()), list(client:receive("*l", "pre")), list(client:send("x")),
            list(server:accept()), list(client:getpeername()), client:dirty(), client:shutdown()
    end, { { "nil", "closed", "" }, { "nil", "closed", "pre" }, { "nil", "closed", 0 },
        { "nil", "closed" }, { "nil", "Bad file descriptor" }, false, 1 } },
    { "settimeout gives 1, gettimeout both times", function(api, keep)
        local object = keep(api.socket.tcp())
        local first = list(object:gettimeout())
        return first, object:settimeout(2), object:settimeout(3, "t"), list(object:gettimeout()),
            object:settimeout(4, "r"), list(object:gettimeout()), object:settimeout(),
            object:settimeout(-5, "t"), list(object:gettimeout())
    end, { { -1, -1 }, 1, 1, { 2, 3 }, 1, { 2, 4 }, 1, 1, { -1, -5 } },
        ours = { { -1, -1 }, 1, 1, { 2, 3 }, 1, { 2, 4 }, 1, 1, { -1, -1 } } },
    { "an unknown mode of settimeout raises", function(api, keep)
        local object = keep(api.socket.tcp())
        return raises("invalid timeout mode", object.settimeout, object, 1, "x")
    end, { "raises" } },
    { "accepted ones have no timeouts of the server's", function(api, keep)
        local server, number = listening(api, keep)
        keep(assert(api.socket.connect(HERE, number)))
        return keep(server:accept()):gettimeout()
    end, { -1, -1 } },
}

local listen = {
    { "bind gives 1, and the port as text", function(api, keep)
        local master = keep(api.socket.tcp())
        local bound = master:bind(HERE, "0")
        local host, number, family = master:getsockname()
        return bound, host, type(number), tonumber(number) > 0, family
    end, { 1, HERE, "string", true, "inet" } },
    { "an asterisk is any address", function(api, keep)
        local master = keep(api.socket.tcp())
        return master:bind("*", 0), (master:getsockname())
    end, { 1, "0.0.0.0" } },
    { "a port that is taken is refused by bind", function(api, keep)
        local _, number = listening(api, keep)
        return keep(api.socket.tcp()):bind(HERE, number)
    end, { "nil", "address already in use" } },
    { "an address that is none of ours is refused", function(api, keep)
        return keep(api.socket.tcp()):bind("192.0.2.1", 0)
    end, { "nil", "Cannot assign requested address" } },
    { "a second bind is refused", function(api, keep)
        local master = keep(api.socket.tcp())
        master:bind(HERE, 0)
        return master:bind(HERE, 0)
    end, { "nil", "Invalid argument" } },
    { "a port that is no number is refused", function(api, keep)
        return list(keep(api.socket.tcp()):bind(HERE, "no such port")),
            list(keep(api.socket.tcp()):connect(HERE, "no such port"))
    end, { { "nil", "service not supported for socket type" },
        { "nil", "service not supported for socket type" } } },
    { "a bound one may connect, from its port", function(api, keep)
        local server, number = listening(api, keep)
        local client = keep(api.socket.tcp())
        assert(client:bind(HERE, 0))
        local own = port(client)
        assert(client:connect(HERE, number))
        local _, seen = keep(server:accept()):getpeername()
        return seen == own, port(client) == own
    end, { true, true } },
    { "accept gives up in time", function(api, keep)
        local server = listening(api, keep)
        server:settimeout(0.05)
        local late = list(server:accept())
        server:settimeout(0)
        return late, list(server:accept())
    end, { { "nil", "timeout" }, { "nil", "timeout" } } },
    { "accept gives clients one by one", function(api, keep)
        local server, number = listening(api, keep, 5)
        local one = keep(api.socket.connect(HERE, number))
        local two = keep(api.socket.connect(HERE, number))
        local first, second = keep(server:accept()), keep(server:accept())
        local _, first_port = first:getpeername()
        local _, second_port = second:getpeername()
        return first_port == port(one), second_port == port(two)
    end, { true, true } },
    { "a port is free once its server is closed", function(api, keep)
        local server, number = listening(api, keep)
        server:close()
        local again = keep(api.socket.tcp4())
        again:setoption("reuseaddr", true)
        return again:bind(HERE, number), again:listen()
    end, { 1, 1 } },
}

local connecting = {
    { "connect gives 1, and names of both ends", function(api, keep)
        local server, number = listening(api, keep)
        local client = keep(api.socket.tcp())
        local answer = client:connect(HERE, tostring(number))
        local host, its_port, family = client:getpeername()
        local accepted = keep(server:accept())
        local _, seen = accepted:getpeername()
        return answer, host, its_port == number, family, seen == port(client)
    end, { 1, HERE, true, "inet", true } },
    { "nobody there is connection refused, and a client", function(api, keep)
        local client = keep(api.socket.tcp())
        return list(client:connect(HERE, refused(api))), class(client), client:getfd() >= 0,
            list(client:send("x")), list(client:receive()), list(client:getpeername())
    end, { { "nil", "connection refused" }, "tcp{client}", true, { "nil", "closed", 0 },
        { "nil", "closed", "" }, { "nil", "Transport endpoint is not connected" } } },
    { "after a refusal it may connect once more", function(api, keep)
        local _, number = listening(api, keep)
        local client = keep(api.socket.tcp())
        client:connect(HERE, refused(api))
        return client:connect(HERE, number), select(2, client:getpeername()) == number
    end, { 1, true } },
    { "with a timeout of 0 it goes on in the background", function(api, keep)
        local server, number = listening(api, keep)
        local client = keep(api.socket.tcp())
        client:settimeout(0)
        local answer = list(client:connect(HERE, number))
        local _, writable = api.socket.select(nil, { client }, 5 * helper.slow)
        local accepted = keep(server:accept())
        return answer, writable[1] == client, client:send("x"), accepted:receive(1)
    end, { { "nil", "timeout" }, true, 1, "x", "nil", "nil" },
        ours = { { "nil", "timeout" }, true, 1, "x", "nil", "nil" } },
    { "with a timeout of 0 it says timeout even where nobody is", function(api, keep)
        local client, _, answer = refused_later(api, keep)
        return answer, client:getoption("error"), client:getoption("error")
    end, { { "nil", "timeout" }, "connection refused", "nil" } },
    { "connect asks once more why it has failed, then begins anew", function(api, keep)
        local client, number = refused_later(api, keep)
        return list(client:connect(HERE, number)), list(client:connect(HERE, number))
    end, { { "nil", "connection refused" }, { "nil", "timeout" } } },
    { "connect once more confirms, then is already connected", function(api, keep)
        local _, number = listening(api, keep)
        local client = keep(api.socket.tcp())
        client:settimeout(0)
        client:connect(HERE, number)
        api.socket.select(nil, { client }, 5 * helper.slow)
        return list(client:connect(HERE, number)), list(client:connect(HERE, number))
    end, { { 1 }, { "nil", "already connected" } } },
    { "an unknown name is told in LuaSocket's words", function(api, keep)
        local client = keep(api.socket.tcp())
        local ok, problem = client:connect("no such name", 80)
        return ok, problem
    end, { "nil", "host or service not provided, or not known" } },
    { "tcp4 reaches no address of IPv6", function(api, keep)
        return keep(api.socket.tcp4()):connect("::1", 80)
    end, { "nil", "Address family for hostname not supported" } },
    { "socket.connect makes a client, from our end if that is given", function(api, keep)
        local server, number = listening(api, keep)
        local client = keep(assert(api.socket.connect(HERE, number, HERE, 0)))
        return class(client), (client:getsockname()), class(keep(server:accept()))
    end, { "tcp{client}", HERE, "tcp{client}" } },
    { "socket.connect gives nil and a word", function(api)
        return api.socket.connect(HERE, refused(api))
    end, { "nil", "connection refused" } },
    { "missing arguments raise", function(api, keep)
        local client = keep(api.socket.tcp())
        return raises("string expected, got no value", client.connect, client),
            raises("string expected, got no value", client.connect, client, HERE)
    end, { "raises", "raises" } },
}

local receive = {
    { "a line has no end, and no carriage return anywhere", function(api, keep)
        local client, accepted = pair(api, keep)
        client:send("hello\r\nwo\rr\rld\n\r\n")
        return (accepted:receive()), (accepted:receive("*l")), (accepted:receive("*line"))
    end, { "hello", "world", "" } },
    { "what a timeout gives as partial has left the buffer", function(api, keep)
        local client, accepted = pair(api, keep)
        client:send("part\rial")
        arrived(api, accepted)
        accepted:settimeout(0.05)
        local first = list(accepted:receive())
        client:send("rest\n")
        accepted:settimeout(5 * helper.slow)
        return first, (accepted:receive())
    end, { { "nil", "timeout", "partial" }, "rest" } },
    { "a count is that many bytes, as number or text", function(api, keep)
        local client, accepted = pair(api, keep)
        client:send("abcdefgh\r\n")
        return (accepted:receive(3)), (accepted:receive("2")), (accepted:receive(5))
    end, { "abc", "de", "fgh\r\n" } },
    { "a prefix counts", function(api, keep)
        local client, accepted = pair(api, keep)
        client:send("abcline\n")
        return (accepted:receive(5, "XYZ")), (accepted:receive(2, "XYZ")),
            (accepted:receive(3, "XYZ")), (accepted:receive("*l", "> "))
    end, { "XYZab", "XYZ", "XYZ", "> cline" } },
    { "a count of 0 waits for something and takes nothing", function(api, keep)
        local client, accepted = pair(api, keep)
        accepted:settimeout(0.05)
        local first = list(accepted:receive(0))
        client:send("abc")
        accepted:settimeout(5 * helper.slow)
        return first, list(accepted:receive(0)), (accepted:receive(3))
    end, { { "nil", "timeout", "" }, { "", "nil", "nil" }, "abc" } },
    { "everything to the end, which is not given when it is empty", function(api, keep)
        local client, accepted = pair(api, keep)
        client:send("one\ntwo")
        client:close()
        return (accepted:receive("*a")), list(accepted:receive("*a")),
            list(accepted:receive("*a", "pre"))
    end, { "one\ntwo", { "nil", "closed", "" }, { "nil", "closed", "pre" } } },
    { "the end in the middle of a line or block gives what came", function(api, keep)
        local client, accepted = pair(api, keep)
        client:send("line\nhalf")
        client:close()
        return (accepted:receive(2)), (accepted:receive()), list(accepted:receive()),
            list(accepted:receive(3))
    end, { "li", "ne", { "nil", "closed", "half" }, { "nil", "closed", "" } } },
    { "after the peer's end what came is read, and answers go out", function(api, keep)
        local client, accepted = pair(api, keep)
        client:send("question\n")
        client:shutdown("send")
        local question = accepted:receive()
        local eof = list(accepted:receive())
        return question, eof, (accepted:send("answer\n")), (client:receive())
    end, { "question", { "nil", "closed", "" }, 7, "answer" } },
    { "a pattern that is none raises", function(api, keep)
        local client = pair(api, keep)
        local text = "invalid receive pattern"
        return raises(text, client.receive, client, "x"),
            raises(text, client.receive, client, "*x"),
            raises(text, client.receive, client, "l"), raises(text, client.receive, client, -1)
    end, { "raises", "raises", "raises", "raises" } },
    { "a timeout of 0 never waits", function(api, keep)
        local client, accepted = pair(api, keep)
        accepted:settimeout(0)
        local first = list(accepted:receive())
        client:send("now\n")
        arrived(api, accepted)
        return first, (accepted:receive())
    end, { { "nil", "timeout", "" }, "now" } },
    { "a total time limits the call", function(api, keep)
        local client, accepted = pair(api, keep)
        accepted:settimeout(0.1, "t")
        client:send("abc")
        return accepted:receive(10)
    end, { "nil", "timeout", "abc" } },
    { "a large block comes whole", function(api, keep)
        local client, accepted = pair(api, keep)
        client:settimeout(0)
        local data = ("0123456789"):rep(300000)
        local _, _, sent = client:send(data)
        sent = sent or #data
        return accepted:receive(sent) == data:sub(1, sent)
    end, { true } },
}

local send = {
    { "it gives the index of the last byte", function(api, keep)
        local client, accepted = pair(api, keep)
        local text = "abcdef"
        return (client:send(text)), (client:send(text, 2, 4)), (client:send(text, -2)),
            (client:send(text, 5, 2)), (client:send(text, 10)), (client:send(text, -20, -4)),
            (client:send(text, 0)), (client:send("")), (client:send(12)), (accepted:receive(22))
    end, { 6, 4, 6, 4, 9, 3, 6, 0, 2, "abcdefbcdefabcabcdef12" } },
    { "what the system does not take is left to the caller", function(api, keep)
        local client, accepted = pair(api, keep)
        client:settimeout(0)
        local data = ("x"):rep(20 * 1024 * 1024)
        local ok, problem, last = client:send(data)
        local _, again, same = client:send(data, last + 1)
        client:close()
        local got = 0
        repeat
            local block, why, rest = accepted:receive(65536)
            got = got + #(block or rest)
        until why
        return ok, problem, last > 0 and last < #data, again, same >= last, got == same
    end, { "nil", "timeout", true, "timeout", true, true } },
    { "a timeout ends a send that gets nowhere", function(api, keep)
        local client = pair(api, keep)
        local data = ("x"):rep(20 * 1024 * 1024)
        client:settimeout(0)
        client:send(data)
        client:settimeout(0.05)
        local ok, problem, last = client:send(data, 11)
        return ok, problem, last >= 10
    end, { "nil", "timeout", true } },
    { "our own end of stream ends it", function(api, keep)
        local client = pair(api, keep)
        return client:shutdown("send"), list(client:send("x"))
    end, { 1, { "nil", "closed", 0 } } },
    { "shutdown knows three words", function(api, keep)
        local client = pair(api, keep)
        return client:shutdown("receive"), client:shutdown("send"), client:shutdown(),
            raises("invalid option", client.shutdown, client, "x")
    end, { 1, 1, 1, "raises" } },
    { "getstats counts what was given and taken", function(api, keep)
        local client, accepted = pair(api, keep)
        client:send("12345\r\n678")
        accepted:receive()
        local received = accepted:getstats()
        local _, sent, age = client:getstats()
        local set = client:setstats(1, 2, 3)
        local one, two, three = client:getstats()
        return received, sent, age >= 0 and age < 60 * helper.slow, set, one, two, three >= 3
    end, { 7, 10, true, 1, 1, 2, true } },
    { "dirty tells what is buffered", function(api, keep)
        local client, accepted = pair(api, keep)
        local before = accepted:dirty()
        client:send("one\ntwo\n")
        accepted:receive()
        local between = accepted:dirty()
        accepted:receive()
        return before, between, accepted:dirty()
    end, { false, true, false } },
}

describe("LuaSocket's tcp", function()
    after_each(helper.finish)

    tools.rows(it, "socket", objects)
    tools.rows(it, "socket", listen)
    tools.rows(it, "socket", connecting)
    tools.rows(it, "socket", receive)
    tools.rows(it, "socket", send)

    it("counts the time of a single wait anew with every arrival", function()
        local client, accepted
        local kept = {}
        local function keep(object)
            kept[#kept + 1] = object
            return object
        end
        client, accepted = pair({ socket = require("evsock.luasocket").core }, keep)
        local writer = helper.spawn(function()
            for _ = 1, 6 do
                helper.evsock.sleep(0.2 * helper.slow)
                client:send("x")
            end
        end)
        accepted:settimeout(0.6 * helper.slow)
        assert.equal("xxxxxx", (accepted:receive(6)))
        accepted:settimeout(0.3 * helper.slow, "t")
        assert.same({ nil, "timeout", "" }, { accepted:receive(6) })
        assert.is_true(writer.done)
        for _, object in ipairs(kept) do
            object:close()
        end
    end)
end)
