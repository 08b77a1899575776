-- The dialect's `select`, options, lookups, time and exceptions beside LuaSocket's own.
--
-- Not here: streams (`luasocket_tcp_spec.lua`), datagrams (`luasocket_udp_spec.lua`).

local helper = require "spec.helper"
local tools = require "spec.dialects.luasocket_tools"

local list, raises, port = tools.list, tools.raises, tools.port
local HERE = "127.0.0.1"

local function pair(api, keep)
    local server = keep(assert(api.socket.tcp4()))
    assert(server:bind(HERE, 0))
    assert(server:listen())
    local client = keep(assert(api.socket.connect(HERE, port(server))))
    local accepted = keep(assert(server:accept()))
    accepted:settimeout(5 * helper.slow)
    return client, accepted, server
end

local function counts(reading, writing, problem)
    return { #reading, #writing, problem or "nil" }
end

local selecting = {
    { "what is ready stands in a list and by key", function(api, keep)
        local client, accepted = pair(api, keep)
        client:send("x")
        local reading, writing, problem = api.socket.select({ client, accepted }, { client }, 5)
        return #reading, reading[1] == accepted, reading[accepted], reading[client] or "nil",
            writing[client], problem
    end, { 1, true, 1, "nil", 1, "nil" } },
    { "nothing ready is a timeout", function(api, keep)
        local client, accepted = pair(api, keep)
        return counts(api.socket.select({ client, accepted }, nil, 0.02)),
            counts(api.socket.select({ client }, {}, 0)), counts(api.socket.select(nil, nil, 0.01)),
            counts(api.socket.select({}, {}, 0))
    end, { { 0, 0, "timeout" }, { 0, 0, "timeout" }, { 0, 0, "timeout" }, { 0, 0, "timeout" } } },
    { "a server is readable when somebody has come", function(api, keep)
        local _, _, server = pair(api, keep)
        local before = counts(api.socket.select({ server }, nil, 0))
        keep(assert(api.socket.connect(HERE, port(server))))
        return before, counts(api.socket.select({ server }, nil, 5 * helper.slow))
    end, { { 0, 0, "timeout" }, { 1, 0, "nil" } } },
    { "the peer's end is readable", function(api, keep)
        local client, accepted = pair(api, keep)
        client:close()
        return counts(api.socket.select({ accepted }, nil, 5 * helper.slow))
    end, { { 1, 0, "nil" } } },
    { "what is buffered is ready at once", function(api, keep)
        local client, accepted = pair(api, keep)
        client:send("one\ntwo\n")
        accepted:receive()
        return counts(api.socket.select({ accepted }, nil, 0))
    end, { { 1, 0, "nil" } } },
    { "one whose send got nowhere is writable when there is room", function(api, keep)
        local client, accepted = pair(api, keep)
        client:settimeout(0)
        local data, sent = ("x"):rep(65536), 0
        repeat
            local last, _, partial = client:send(data)
            sent = sent + (last or partial)
            -- The other end may read ahead, within its bounds.
            local _, writable = api.socket.select(nil, { client }, 0.05)
        until #writable == 0
        accepted:receive(sent)
        return counts(api.socket.select(nil, { client }, 5 * helper.slow))
    end, { { 0, 1, "nil" } } },
    { "closed ones and those without a descriptor are left out", function(api, keep)
        local client, _, server = pair(api, keep)
        client:close()
        server:close()
        local master = keep(api.socket.tcp())
        return counts(api.socket.select({ client, server, master }, { client }, 0))
    end, { { 0, 0, "timeout" } } },
    { "one that shows the descriptor of ours stands for it", function(api, keep)
        local client, accepted = pair(api, keep)
        local shown = {
            getfd = function()
                return accepted:getfd()
            end,
            dirty = function()
                return accepted:dirty()
            end,
        }
        local before = counts(api.socket.select({ shown }, nil, 0))
        client:send("one\ntwo\n")
        local reading = api.socket.select({ shown }, nil, 5 * helper.slow)
        accepted:receive()
        return before, reading[1] == shown, counts(api.socket.select({ shown }, nil, 0))
    end, { { 0, 0, "timeout" }, true, { 1, 0, "nil" } } },
    { "what is no table, or no object, raises", function(api)
        return raises("table expected, got number", api.socket.select, 1),
            raises("attempt to index", api.socket.select, { 1 }, nil, 0)
    end, { "raises", "raises" } },
}

local options = {
    { "what is set is what is got", function(api, keep)
        local client = pair(api, keep)
        local answers = {}
        for name, value in pairs { keepalive = true, reuseaddr = true, ["tcp-nodelay"] = true } do
            answers[#answers + 1] = client:setoption(name, value)
            answers[#answers + 1] = client:getoption(name)
        end
        client:setoption("linger", { on = true, timeout = 3 })
        local linger = client:getoption("linger")
        return answers, linger.on and linger.on ~= 0, linger.timeout
    end, { { 1, true, 1, true, 1, true }, true, 3 } },
    { "an unknown one raises", function(api, keep)
        local client = pair(api, keep)
        return raises("unsupported option `nonsense'", client.setoption, client, "nonsense", true),
            raises("unsupported option `nonsense'", client.getoption, client, "nonsense")
    end, { "raises", "raises" } },
    { "a value of another type raises", function(api, keep)
        local client = pair(api, keep)
        return raises("boolean expected, got number", client.setoption, client, "keepalive", 1),
            raises("boolean 'on' field expected", client.setoption, client, "linger", {}),
            raises("number 'timeout' field expected", client.setoption, client, "linger",
                { on = true })
    end, { "raises", "raises", "raises" } },
    { "without a descriptor nothing is set", function(api, keep)
        local master = keep(api.socket.tcp())
        return list(master:setoption("keepalive", true)), list(master:getoption("keepalive"))
    end, { { "nil", "setsockopt failed" }, { "nil", "getsockopt failed" } } },
    { "a connection without a fault has no error", function(api, keep)
        return pair(api, keep):getoption("error")
    end, { "nil" } },
}

local misc = {
    { "gettime is the wall clock with fractions", function(api)
        return math.abs(api.socket.gettime() - os.time()) < 5 * helper.slow
    end, { true } },
    { "sleep takes its time, and none if it is negative", function(api)
        local start = api.socket.gettime()
        api.socket.sleep(-1)
        api.socket.sleep(0.05)
        local time = api.socket.gettime() - start
        return time >= 0.04 and time < 5 * helper.slow
    end, { true } },
    { "skip leaves values out", function(api)
        return list(api.socket.skip(1, "a", "b", "c")), list(api.socket.skip(0, "a")),
            list(api.socket.skip(5, "a"))
    end, { { "b", "c" }, { "a" }, {} } },
    { "a failed try is caught by protect alone", function(api)
        local finalized = 0
        local try = api.socket.newtry(function()
            finalized = finalized + 1
        end)
        local protected = api.socket.protect(function(...)
            return "done", try(...)
        end)
        return list(protected(1, 2)), list(protected(nil, "word")), list(protected(false, "other")),
            finalized
    end, { { "done", 1, 2 }, { "nil", "word" }, { "nil", "other" }, 2 } },
    { "protect lets other errors through unchanged", function(api)
        local problem = { "mine" }
        local protected = api.socket.protect(function(value)
            error(value, 0)
        end)
        local _, table_seen = pcall(protected, problem)
        local _, text_seen = pcall(protected, "text")
        return table_seen == problem, text_seen
    end, { true, "text" } },
    { "an error in the finalizer comes first", function(api)
        local try = api.socket.newtry(function()
            error("oops", 0)
        end)
        return pcall(api.socket.protect(try), nil, "word")
    end, { false, "oops" } },
    { "the constants are there", function(api)
        return api.socket._VERSION, api.socket._DATAGRAMSIZE, api.socket._SOCKETINVALID,
            api.socket._SETSIZE >= 1024
    end, { "LuaSocket 3.0.0", 8192, -1, true } },
}

local function addresses(found, why)
    local text = {}
    for _, entry in ipairs(found or {}) do
        text[#text + 1] = entry.family .. " " .. entry.addr
    end
    return found and table.concat(text, ",") or why
end

local lookups = {
    { "an address is its own", function(api)
        return addresses(api.socket.dns.getaddrinfo(HERE)),
            addresses(api.socket.dns.getaddrinfo("::1"))
    end, { "inet 127.0.0.1", "inet6 ::1" } },
    { "localhost is found", function(api)
        local found = addresses(api.socket.dns.getaddrinfo("localhost"))
        local ip, entry = api.socket.dns.toip("localhost")
        return found:find("inet 127.0.0.1", 1, true) ~= nil, ip, entry.name, entry.ip[1],
            #entry.alias
    end, { true, HERE, "localhost", HERE, 0 } },
    { "an address has a name", function(api)
        local name, entry = api.socket.dns.tohostname(HERE)
        return type(name), entry.name == name, entry.ip[1]
    end, { "string", true, HERE } },
    { "an impossible name is not found", function(api)
        return addresses(api.socket.dns.getaddrinfo("no such name")),
            list(api.socket.dns.toip("no such name"))
    end, { "host or service not provided, or not known", { "nil", "host not found" } } },
    { "getnameinfo wants one of two", function(api)
        return raises("host and serv cannot be both nil", api.socket.dns.getnameinfo),
            type(api.socket.dns.getnameinfo(HERE)[1])
    end, { "raises", "string" } },
    { "gethostname is a name", function(api)
        return #api.socket.dns.gethostname() > 0
    end, { true } },
    { "socket.tcp connects to a name", function(api, keep)
        local _, _, server = pair(api, keep)
        local client = keep(api.socket.tcp())
        return client:connect("localhost", port(server)), (client:getpeername())
    end, { 1, HERE } },
}

describe("LuaSocket's core", function()
    after_each(helper.finish)

    tools.rows(it, "socket", selecting)
    tools.rows(it, "socket", options)
    tools.rows(it, "socket", misc)
    tools.rows(it, "socket", lookups)

    -- Descriptors of others, which the original makes here.
    if tools.has_original("socket") then
        local api = { socket = require("evsock.luasocket").core }
        local other = require "socket.core"

        local function with_foreign(body)
            local server = helper.track(other.tcp4())
            assert(server:bind(HERE, 0))
            assert(server:listen())
            local _, number = server:getsockname()
            local client = helper.track(assert(other.connect(HERE, number)))
            body(client, helper.track(server:accept()))
        end

        local function check(client, accepted)
            local before = counts(api.socket.select({ accepted }, nil, 0))
            assert.same({ 0, 0, "timeout" }, before)
            local beside = counts(api.socket.select({ accepted }, { client }, 5))
            assert.same({ 0, 1, "nil" }, beside)
            client:send("one\ntwo\n")
            local reading = api.socket.select({ client, accepted }, nil, 5 * helper.slow)
            assert.is_true(reading[1] == accepted and reading[accepted] == 1 and #reading == 1)
            assert.equal("one", (accepted:receive()))
            assert.same({ { 1, 0, "nil" } }, { counts(api.socket.select({ accepted }, nil, 0)) })
            assert.equal("two", (accepted:receive()))
            assert.same({ { 0, 0, "timeout" } },
                { counts(api.socket.select({ accepted, client }, nil, 0.02)) })
        end

        it("selects descriptors of others", function()
            with_foreign(check)
        end)

        it("selects descriptors of others in a task", function()
            with_foreign(function(client, accepted)
                assert.is_true(helper.spawn(check, client, accepted):join(20 * helper.slow))
            end)
        end)
    end
end)
