-- A script that set `__gc` in the metatable of an object to nil or to another function, or called
-- it by hand at the wrong time, or gave an object another user value by the debug library, made the
-- library use freed memory. Metatables are there to be read; what is written to them counts for
-- nothing.

local helper = require "spec.helper"

local PRELUDE = [[
local evsock = require "evsock"
local child = require "spec.child"
local function wait(condition) child.wait_until(evsock, "a condition", condition, 10) end
local function pair(options) return child.link(evsock, options) end
local function litter()
    local kept = {}
    for i = 1, 3000 do
        kept[i] = ("x"):rep(i % 300) .. i
    end
    return kept
end
local function collect()
    if jit then jit.flush() end
    collectgarbage()
    collectgarbage()
    return litter()
end
-- One of every class, with what closes it.
local function one_of_each()
    local client, peer, server = pair()
    local qsys, pharos = require "evsock.qsys", require "evsock.pharos"
    local hammerspoon = require "evsock.hammerspoon"
    local renoise = require "evsock.renoise"
    local all = {
        client, peer, server, evsock.after(60, print), assert(evsock.udp("127.0.0.1", 0)),
        qsys.TcpSocket.New(), qsys.TcpSocketServer.New(), qsys.Timer.New(),
        pharos.net.TcpSocket.new(), pharos.net.TcpServer.new(), pharos.net.UdpSocket.new(),
        pharos.net.SslSocket.new(), pharos.net.SslServer.new(), pharos.Timer.new(),
        hammerspoon.socket.new(), hammerspoon.socket.udp.new(), hammerspoon.socket.server(0),
        assert(renoise.Socket.create_server("localhost", 0)),
    }
    return all
end
]]

local function child(script)
    return helper.run(PRELUDE .. script)
end

describe("regress 043", function()
    for name, value in pairs { none = "nil", another = "function() end" } do
        it(("a metatable that is given a finaliser that is %s: objects end as ever"):format(name),
            function()
                local output, status = child(([[
                    local client, peer, server = pair({ on_data = function() end })
                    local closed
                    peer.on_close = function() closed = true end
                    for _, object in ipairs { client, server, evsock.after(60, print) } do
                        getmetatable(object).__gc = %s
                    end
                    client.on_data = nil
                    peer:write("to nobody")
                    client = nil
                    local kept = collect()
                    wait(function() return closed end)
                    kept = collect()
                    for _ = 1, 100 do
                        evsock.connect("127.0.0.1", server.port)
                        kept[#kept + 1] = collect()
                        evsock.pump()
                        if #kept > 3010 then break end
                    end
                    evsock.pump(0.02)
                    print(#kept > 3000)
                ]]):format(value))
                helper.printed("true\n", output, status)
            end)
    end

    it("metatables of all classes that are emptied, or filled with nonsense, still work", function()
        local output, status = child([[
            local count = 0
            for _, fill in ipairs { false, 5, "text" } do
                local all = one_of_each()
                for _, object in ipairs(all) do
                    local before = tostring(object)
                    local meta = getmetatable(object)
                    for key in pairs(meta) do
                        meta[key] = fill or nil
                    end
                    for number = 1, 20 do
                        meta[number] = fill or nil
                    end
                    assert(tostring(object):match("^[%w.]+") == before:match("^[%w.]+"))
                    count = count + 1
                end
                evsock.pump(0.02)
                all = nil
                collect()
                evsock.pump(0.02)
            end
            print(count)
        ]])
        helper.printed("54\n", output, status)
    end)

    it("a finaliser that is called by hand ends its object, whoever is using it", function()
        local output, status = child([[
            for _, object in ipairs(one_of_each()) do
                local finalise = getmetatable(object).__gc
                finalise(object)
                finalise(object)
                assert(pcall(tostring, object) ~= nil)
            end
            collect()
            evsock.pump(0.02)
            -- In each of its handlers.
            local names = { "on_connect", "on_data", "on_close" }
            for _, name in ipairs(names) do
                local called
                local peer
                local server = assert(evsock.listen("127.0.0.1", 0, {
                    on_accept = function(_, sock)
                        peer = sock
                        sock:write("some text\n")
                        sock:close()
                    end }))
                local options = { reconnect = 5 }
                options[name] = function(sock)
                    called = true
                    getmetatable(sock).__gc(sock)
                    collect()
                end
                local client = evsock.connect("127.0.0.1", server.port, options)
                wait(function() return called end)
                local ok = pcall(function() return client:read() end)
                print(name, ok)
                getmetatable(server).__gc(server)
            end
            local server
            server = assert(evsock.listen("127.0.0.1", 0, { on_accept = function(object, sock)
                getmetatable(sock).__gc(sock)
                getmetatable(object).__gc(object)
                server = nil
                collect()
            end }))
            evsock.connect("127.0.0.1", server.port, { on_close = function() print("closed") end })
            wait(function() return not server end)
            local timer, over
            timer = evsock.every(0.001, function()
                getmetatable(timer).__gc(timer)
                collect()
                over = true
            end)
            wait(function() return over end)
            collect()
            evsock.pump(0.05)
        ]])
        helper.printed("on_connect\tfalse\non_data\tfalse\non_close\tfalse\nclosed\n",
            output, status)
    end)

    it("even within a read, by a finaliser that comes while the text is made", function()
        local output, status = child(([[
            local client, peer
            local count = 0
            local function strike()
                count = count + 1
                getmetatable(client).__gc(client)
            end
            pcall(collectgarbage, "setpause", 20)
            for round = 1, %d do
                client, peer = pair({ on_data = function() end })
                peer:write(("a line of some length\n"):rep(round %% 2 == 0 and 2000 or 3))
                wait(function() return client.buffered > 60 end)
                if newproxy then
                    getmetatable(newproxy(true)).__gc = strike
                else
                    setmetatable({}, { __gc = strike })
                end
                local texts = {}
                for i = 1, 2000 do
                    local ok, text = pcall(client.read_line, client)
                    if not ok or not text then break end
                    assert(text == "a line of some length", text)
                    texts[i] = text .. i
                end
                pcall(client.read, client)
                peer:close()
                collectgarbage()
                evsock.pump()
            end
            print(count > 0)
        ]]):format(math.ceil(60 / helper.fewer)))
        helper.printed("true\n", output, status)
    end)

    it("a user value that is no table is replaced", function()
        local output, status = child([[
            local function spoil(object)
                if not debug.setuservalue then
                    return
                end
                -- Lua 5.2 takes nothing but tables and nil.
                if not pcall(debug.setuservalue, object, 5) then
                    debug.setuservalue(object, nil)
                end
            end
            local all = one_of_each()
            for _, object in ipairs(all) do
                spoil(object)
                assert(pcall(function() return object.some_name end) ~= nil)
                pcall(function() object.on_data = function() end end)
                spoil(object)
            end
            all = nil
            local client, peer, server = pair({ on_data = function() end })
            local heard
            spoil(client)
            peer:write("lost")
            evsock.pump(0.05)
            client.on_data = function(sock) heard = sock:read() end
            peer:write("heard")
            wait(function() return heard end)
            spoil(client)
            spoil(peer)
            spoil(server)
            peer:close()
            evsock.pump(0.05)
            client:close()
            client.note = 5
            print(heard, client.note)
        ]])
        assert.is_truthy(output:find("heard\t5\n$"), output)
        assert.equal(0, status)
    end)
end)
