-- The dialect in tasks: a call suspends its task alone; what is dropped is closed; how it is
-- installed.
--
-- Not here: what a call answers (`luasocket_tcp_spec.lua`).

local helper = require "spec.helper"
local luasocket = require "evsock.luasocket"

local evsock = helper.evsock
local HERE = "127.0.0.1"
local PATIENCE = 20 * helper.slow

local function track(object)
    return helper.track(assert(object))
end

local function listening(backlog)
    local server = track(luasocket.core.tcp4())
    assert(server:bind(HERE, 0))
    assert(server:listen(backlog))
    local _, port = server:getsockname()
    return server, port
end

local function pair()
    local server, port = listening()
    local client = track(luasocket.core.connect(HERE, port))
    return client, track(server:accept()), server
end

describe("LuaSocket's dialect in tasks", function()
    after_each(helper.finish)

    it("suspends the task that waits and no other", function()
        local client, accepted = pair()
        local order = {}
        local reader = helper.spawn(function()
            order[#order + 1] = "waits"
            local line = accepted:receive()
            order[#order + 1] = line
        end)
        local writer = helper.spawn(function()
            luasocket.core.sleep(0.02)
            order[#order + 1] = "writes"
            client:send("line\n")
        end)
        assert.is_true(reader:join(PATIENCE) and writer:join(PATIENCE))
        assert.same({ "waits", "writes", "line" }, order)
    end)

    it("suspends the task of a coroutine that evsock.coroutine has made", function()
        local client, accepted = pair()
        local reader = helper.spawn(function()
            local next_line = evsock.coroutine.wrap(function()
                while true do
                    evsock.coroutine.yield((accepted:receive()))
                end
            end)
            return next_line() .. next_line()
        end)
        local writer = helper.spawn(function()
            client:send("one\n")
            luasocket.core.sleep(0.02)
            client:send("two\n")
        end)
        assert.is_true(writer:join(PATIENCE))
        local ok, text = reader:join(PATIENCE)
        assert.is_true(ok)
        assert.equal("onetwo", text)
    end)

    it("has several tasks accept at one server, each connection once", function()
        local server, port = listening(32)
        local seen, tasks = {}, {}
        for place = 1, 4 do
            tasks[place] = helper.spawn(function()
                local client = track(server:accept())
                local line = client:receive()
                seen[line] = (seen[line] or 0) + 1
            end)
        end
        for place = 1, 4 do
            track(luasocket.core.connect(HERE, port)):send("client " .. place .. "\n")
        end
        for place = 1, 4 do
            assert.is_true(tasks[place]:join(PATIENCE))
        end
        assert.same({
            ["client 1"] = 1, ["client 2"] = 1, ["client 3"] = 1, ["client 4"] = 1,
        }, seen)
    end)

    it("has two tasks read one stream, each line once", function()
        local client, accepted = pair()
        local lines, tasks = {}, {}
        for place = 1, 2 do
            tasks[place] = helper.spawn(function()
                local line = accepted:receive()
                lines[#lines + 1] = line
            end)
        end
        helper.pump_for(0.02)
        client:send("a\nb\n")
        assert.is_true(tasks[1]:join(PATIENCE) and tasks[2]:join(PATIENCE))
        table.sort(lines)
        assert.same({ "a", "b" }, lines)
    end)

    it("wakes who waits for an object that another task closes", function()
        local client, accepted, server = pair()
        local reader = helper.spawn(function()
            return accepted:receive()
        end)
        local accepter = helper.spawn(function()
            return server:accept()
        end)
        helper.pump_for(0.02)
        accepted:close()
        server:close()
        local _, _, problem = reader:join(PATIENCE)
        assert.equal("closed", problem)
        _, _, problem = accepter:join(PATIENCE)
        assert.equal("closed", problem)
        client:close()
    end)

    it("ends waits of a task that is canceled, and the object serves on", function()
        local client, accepted = pair()
        for _ = 1, 40 do
            local task = helper.spawn(function()
                accepted:receive()
            end)
            helper.pump_for(0)
            task:cancel()
        end
        client:send("line\n")
        accepted:settimeout(PATIENCE)
        assert.equal("line", (accepted:receive()))
    end)

    it("serves a hundred dialogues at once", function()
        local server, port = listening(128)
        local done = 0
        local serving = helper.spawn(function()
            for _ = 1, 100 do
                local client = track(server:accept())
                helper.spawn(function()
                    local line = client:receive()
                    while line do
                        client:send("echo " .. line .. "\n")
                        line = client:receive()
                    end
                    client:close()
                end)
            end
        end)
        local tasks = {}
        for place = 1, 100 do
            tasks[place] = helper.spawn(function()
                local client = track(luasocket.core.connect(HERE, port))
                for round = 1, 5 do
                    local text = place .. " " .. round
                    client:send(text .. "\n")
                    local is_right = client:receive() == "echo " .. text
                    done = done + (is_right and 1 or 0)
                end
                client:close()
            end)
        end
        for place = 1, 100 do
            assert.is_true(tasks[place]:join(PATIENCE))
        end
        assert.is_true(serving:join(PATIENCE))
        assert.equal(500, done)
    end)

    it("closes what is collected", function()
        local server, port = listening()
        local client = track(luasocket.core.connect(HERE, port))
        do
            local dropped = server:accept()
            assert.truthy(dropped)
        end
        client:settimeout(0.01)
        helper.pump_until(function()
            collectgarbage()
            return select(2, client:receive()) == "closed"
        end)
        local idle = setmetatable({ luasocket.core.tcp4() }, { __mode = "v" })
        helper.pump_until(function()
            collectgarbage()
            return idle[1] == nil
        end)
    end)

    it("keeps no loop going by what nobody waits for", function()
        local before = evsock.active()
        local client, accepted, server = pair()
        client:close()
        accepted:close()
        server:close()
        helper.pump_until(function()
            return evsock.active() <= before
        end)
    end)
end)

describe("the installation of LuaSocket's dialect", function()
    it("puts its three modules in place, once and again", function()
        local loaded = {}
        assert.equal(luasocket, luasocket.install(loaded))
        assert.equal(luasocket.core, loaded["socket.core"])
        assert.equal(luasocket.unix, loaded["socket.unix"])
        assert.equal(luasocket.ssl, loaded.ssl)
        loaded.socket, loaded["socket.http"] = "built on it", "too"
        luasocket.install(loaded)
        assert.equal("built on it", loaded.socket)
        assert.equal("too", loaded["socket.http"])
    end)

    it("takes out what is built on another, and leaves the rest", function()
        local loaded = {
            ["socket.core"] = "another", socket = "on it", ["socket.http"] = "on it",
            ["ssl.https"] = "on it", ["socket.url"] = "on nothing", ltn12 = "on nothing",
        }
        luasocket.install(loaded)
        assert.equal(luasocket.core, loaded["socket.core"])
        assert.is_nil(loaded.socket or loaded["socket.http"] or loaded["ssl.https"])
        assert.equal("on nothing", loaded["socket.url"])
        assert.equal("on nothing", loaded.ltn12)
    end)

    it("wants a table, or nothing", function()
        helper.misuse(function() luasocket.install(1) end,
            "bad argument 'loaded' to 'install' (table expected, got number)")
    end)
end)
