-- The dialect's `socket.unix` beside LuaSocket's own.
--
-- Not here: what all streams do, which the specs of tcp show.

local helper = require "spec.helper"
local tools = require "spec.dialects.luasocket_tools"

local list, raises = tools.list, tools.raises

-- A server at a path of its own, which is removed in the end.
local function listening(api, keep)
    local path = helper.free_path()
    local server = keep(api.unix.stream())
    assert(server:bind(path))
    assert(server:listen())
    server:settimeout(2 * helper.slow)
    keep { close = function() os.remove(path) end }
    return server, path
end

local function pair(api, keep)
    local server, path = listening(api, keep)
    local client = keep(api.unix.stream())
    assert(client:connect(path))
    client:settimeout(2 * helper.slow)
    local accepted = keep(server:accept())
    accepted:settimeout(2 * helper.slow)
    return client, accepted, server, path
end

local function class(object)
    return getmetatable(object).__index.class
end

local rows = {
    { "the module can be called, and has streams by two names", function(api, keep)
        return class(keep(api.unix())), class(keep(api.unix.stream())), class(keep(api.unix.tcp()))
    end, { "unixstream{master}", "unixstream{master}", "unixstream{master}" } },
    { "a new one has a descriptor and no path", function(api, keep)
        local object = keep(api.unix())
        return object:getfd() >= 0, object:getsockname()
    end, { true, "" } },
    { "methods stand in a plain table", function(api, keep)
        local names = {}
        for name in pairs(getmetatable(keep(api.unix())).__index) do
            names[#names + 1] = name
        end
        table.sort(names)
        return table.concat(names, " ")
    end, { "accept bind class close connect dirty getfd getsockname getstats listen receive send "
        .. "setfd setoption setpeername setsockname setstats settimeout shutdown" } },
    { "bind and listen make a server, connect and accept make clients", function(api, keep)
        local client, accepted, server, path = pair(api, keep)
        return class(server), class(client), class(accepted), server:getsockname() == path,
            client:getsockname(), accepted:getsockname() == path
    end, { "unixstream{server}", "unixstream{client}", "unixstream{client}", true, "", true } },
    { "bytes pass both ways", function(api, keep)
        local client, accepted = pair(api, keep)
        return list(client:send("hello\nworld")), list(accepted:receive()),
            list(accepted:receive(5)), list(accepted:send("back")), list(client:receive(4))
    end, { { 11, "nil", "nil" }, { "hello", "nil", "nil" }, { "world", "nil", "nil" },
        { 4, "nil", "nil" }, { "back", "nil", "nil" } } },
    { "what came before a timeout is given as partial", function(api, keep)
        local client, accepted = pair(api, keep)
        client:send("half")
        accepted:settimeout(0.05)
        return accepted:receive()
    end, { "nil", "timeout", "half" } },
    { "after a shutdown the other end reads the end and may still send", function(api, keep)
        local client, accepted = pair(api, keep)
        return client:shutdown("send"), list(accepted:receive()), (accepted:send("late")),
            (client:receive(4))
    end, { 1, { "nil", "closed", "" }, 4, "late" } },
    { "close is 1 any number of times", function(api, keep)
        local client = pair(api, keep)
        return client:close(), client:close(), client:getfd(), list(client:receive()),
            list(client:send("x")), list(client:getsockname())
    end, { 1, 1, -1, { "nil", "closed", "" }, { "nil", "closed", 0 },
        { "nil", "Bad file descriptor" } } },
    { "accept ends by its timeout", function(api, keep)
        local server = listening(api, keep)
        server:settimeout(0.05)
        return server:accept()
    end, { "nil", "timeout" } },
    { "a path where nobody is is refused", function(api, keep)
        return keep(api.unix()):connect(helper.free_path())
    end, { "nil", "No such file or directory" } },
    { "a file that is no socket is refused", function(api, keep)
        local path = helper.free_path()
        local file = assert(io.open(path, "w"))
        file:close()
        local answer = list(keep(api.unix()):connect(path))
        os.remove(path)
        return answer
    end, { { "nil", "connection refused" } } },
    { "a path that is taken is refused", function(api, keep)
        local _, path = listening(api, keep)
        return keep(api.unix()):bind(path)
    end, { "nil", "address already in use" } },
    { "a path that is too long is refused", function(api, keep)
        local long = "/tmp/" .. ("x"):rep(200)
        return list(keep(api.unix()):bind(long)), list(keep(api.unix()):connect(long))
    end, { { "nil", "path too long" }, { "nil", "path too long" } } },
    { "one that was not bound can not listen", function(api, keep)
        return keep(api.unix()):listen()
    end, { "nil", "Invalid argument" } },
    { "calls of another class raise", function(api, keep)
        local client, _, server, path = pair(api, keep)
        local master = keep(api.unix())
        return raises("unixstream{client} expected", master.send, master, "x"),
            raises("unixstream{master} expected", server.bind, server, path),
            raises("unixstream{master} expected", client.connect, client, path),
            raises("unixstream{server} expected", client.accept, client)
    end, { "raises", "raises", "raises", "raises" } },
    { "options are set", function(api, keep)
        local object = keep(api.unix())
        return object:setoption("keepalive", true), object:setoption("reuseaddr", true),
            object:setoption("linger", { on = false, timeout = 0 }),
            raises("unsupported option `tcp-nodelay'",
                object.setoption, object, "tcp-nodelay", true)
    end, { 1, 1, 1, "raises" } },
    { "statistics count what the script has got and given", function(api, keep)
        local client, accepted = pair(api, keep)
        client:send("12345")
        accepted:receive(5)
        local received, sent, age = accepted:getstats()
        return received, sent, age >= 0, (select(2, client:getstats()))
    end, { 5, 0, true, 5 } },
    { "select tells of connections and of data", function(api, keep)
        local client, accepted, server = pair(api, keep)
        local nothing = list(#api.socket.select({ server, accepted }, nil, 0))
        client:send("x")
        local ready = api.socket.select({ accepted }, nil, 2 * helper.slow)
        local _, writable = api.socket.select(nil, { client }, 2 * helper.slow)
        return nothing, ready[1] == accepted, writable[1] == client
    end, { { 0 }, true, true } },
    { "the file of a server stays when it is closed, or goes with it", function(api, keep)
        local server, path = listening(api, keep)
        server:close()
        return (keep(api.unix()):connect(path))
    end, { "nil" } },
}

-- One for datagrams that has a path, and that.
local function dgram(api, keep)
    local path = helper.free_path()
    local object = keep(api.unix.dgram())
    assert(object:bind(path))
    object:settimeout(2 * helper.slow)
    keep { close = function() os.remove(path) end }
    return object, path
end

local datagrams = {
    { "datagrams have a class and a path", function(api, keep)
        local object, path = dgram(api, keep)
        local other = keep(api.unix.udp())
        return class(object), object:getsockname() == path, class(other), other:getsockname(),
            other:getfd() >= 0, other:dirty()
    end, { "unixdgram{unconnected}", true, "unixdgram{unconnected}", "", true, false } },
    { "datagrams pass, with the path of a sender that has one", function(api, keep)
        local object, path = dgram(api, keep)
        local named, name = dgram(api, keep)
        local nameless = keep(api.unix.dgram())
        local sent = nameless:sendto("hi", path)
        local first = list(object:receivefrom())
        named:sendto("hello", path)
        local text, from = object:receivefrom()
        return sent, first, text, from == name
    end, { 2, { "hi", "" }, "hello", true } },
    { "datagrams are cut, and may be empty", function(api, keep)
        local object, path = dgram(api, keep)
        local other = keep(api.unix.dgram())
        other:sendto("abc", path)
        other:sendto("", path)
        return object:receive(2), object:receive()
    end, { "ab", "" } },
    { "a connected one sends", function(api, keep)
        local object, path = dgram(api, keep)
        local other = keep(api.unix.dgram())
        return other:connect(path), class(other), other:send("abc"), (object:receive()),
            raises("unixdgram{unconnected} expected", other.sendto, other, "x", path),
            raises("unixdgram{unconnected} expected", other.receivefrom, other)
    end, { 1, "unixdgram{connected}", 3, "abc", "raises", "raises" } },
    { "nobody there is told", function(api, keep)
        local other, path = keep(api.unix.dgram()), helper.free_path()
        return list(other:sendto("x", path)), list(other:connect(path)),
            list(other:sendto("x", ("x"):rep(200)))
    end, { { "nil", "No such file or directory" }, { "nil", "No such file or directory" },
        { "nil", "path too long" } } },
    { "datagrams have timeouts", function(api, keep)
        local object = dgram(api, keep)
        object:settimeout(0)
        local at_once = list(object:receive())
        object:settimeout(0.05)
        return at_once, list(object:receive()), list(object:gettimeout())
    end, { { "nil", "timeout" }, { "nil", "timeout" }, { 0.05, -1 } } },
    { "a path is given once", function(api, keep)
        return dgram(api, keep):bind(helper.free_path())
    end, { "nil", "Invalid argument" } },
    { "select tells of datagrams", function(api, keep)
        local object, path = dgram(api, keep)
        local nothing = #api.socket.select({ object }, nil, 0)
        keep(api.unix.dgram()):sendto("x", path)
        local ready = api.socket.select({ object }, nil, 2 * helper.slow)
        return nothing, ready[1] == object
    end, { 0, true } },
    { "one for datagrams is closed any number of times", function(api, keep)
        local object = dgram(api, keep)
        return object:close(), object:close(), object:getfd(), list(object:getsockname())
    end, { 1, 1, -1, { "nil", "Bad file descriptor" } } },
}

describe("LuaSocket's socket.unix", function()
    after_each(helper.finish)

    tools.rows(it, "unix", rows)
    tools.rows(it, "unix", datagrams)

    it("has tasks wait for datagrams of one socket, and ends that by its close", function()
        local api = require("evsock.luasocket")
        local object, path = dgram(api, helper.track)
        local got = {}
        for _ = 1, 3 do
            helper.spawn(function()
                local text, why = object:receive()
                got[#got + 1] = text or why
            end)
        end
        helper.pump_for(0.05)
        local other = api.unix.dgram()
        other:sendto("a", path)
        other:sendto("b", path)
        helper.wait_count(got, 2)
        object:close()
        other:close()
        helper.wait_count(got, 3)
        table.sort(got)
        assert.same({ "a", "b", "closed" }, got)
    end)

    it("leaves no file behind, so that the path is free again", function()
        local api = require("evsock.luasocket")
        local path = helper.free_path()
        for _ = 1, 2 do
            local server = api.unix()
            assert.equal(1, server:bind(path))
            assert.equal(1, server:listen())
            server:close()
            assert.is_nil(io.open(path))
        end
    end)
end)
