-- Q-SYS: a script that reads one line in each DATA, as on a Core, where each arrival is an
-- event, fell behind here when arrivals had merged before anybody looked: of 300 lines it had
-- read 82 when the last had long come, and the rest waited for the next arrival. With it four
-- small things that hosts do otherwise: `localhost` of Renoise, `require "hs.socket.udp"`, names
-- and callbacks of Pharos (spec/dialects/pharos_names_spec.lua), `CallAfter` without a function.

local helper = require "spec.helper"
local evsock = helper.evsock
local hammerspoon = require "evsock.hammerspoon"
local renoise = require "evsock.renoise"
local qsys = require "evsock.qsys"
local TcpSocket, EOL = qsys.TcpSocket, qsys.TcpSocket.EOL

local wait = helper.pump_until

-- A connected socket whose DATA handler is `handler`, and its peer.
local function pair(handler)
    local record = helper.server()
    local sock = helper.track(TcpSocket.New())
    sock.Data = handler
    sock:Connect("127.0.0.1", record.port)
    wait(function() return sock.IsConnected and record.sockets[1] end)
    return sock, record.sockets[1]
end

-- All of it has come and is told with one DATA.
local function arrive(peer, text)
    peer:write(text)
    helper.pump_for(0.05)
end

describe("regress 038", function()
    after_each(helper.finish)

    local kinds = {
        { "Any", "\r\n" }, { "Any", "\r" }, { "Any", "\n" }, { "CrLf", "\n" }, { "CrLf", "\r\n" },
        { "CrLfStrict", "\r\n" }, { "Lf", "\n" }, { "Null", "\0" }, { "Custom", "||" },
    }
    for _, kind in ipairs(kinds) do
        local eol, ending = kind[1], kind[2]
        it(("300 lines are read one in each DATA: %s, %q"):format(eol, ending), function()
            local lines = {}
            local _, peer = pair(function(socket)
                lines[#lines + 1] = socket:ReadLine(EOL[eol], "||")
            end)
            for i = 1, 300 do
                peer:write("line " .. i .. ending)
            end
            wait(function() return #lines == 300 end, 5, "all lines")
            assert.equal("line 300", lines[300])
        end)
    end

    it("an accepted socket is told likewise", function()
        local lines = {}
        local server = helper.track(qsys.TcpSocketServer.New())
        local port = helper.free_port()
        server.EventHandler = function(socket)
            helper.track(socket)
            socket.EventHandler = function(_, event)
                if event == TcpSocket.Events.Data then
                    lines[#lines + 1] = socket:ReadLine(EOL.Lf)
                end
            end
        end
        assert.is_nil(server:Listen(port))
        local client = helper.connect(port)
        client:write(("x\n"):rep(300))
        wait(function() return #lines == 300 end, 5, "all lines")
    end)

    it("once more means right behind: before the end, and in the same pump", function()
        local order = {}
        local sock, peer = pair(function(socket)
            order[#order + 1] = socket:ReadLine(EOL.Lf)
        end)
        sock.ReconnectTimeout = 0
        sock.Closed = function()
            order[#order + 1] = "closed"
        end
        peer:write("a\nb\nc\n")
        peer:close()
        wait(function() return order[#order] == "closed" end)
        assert.equal("a b c closed", table.concat(order, " "))
    end)

    -- How often DATA comes for three lines and a rest that arrive at once.
    local function count_of(handler)
        local count = 0
        local _, peer = pair(function(socket)
            count = count + 1
            handler(socket, count)
        end)
        arrive(peer, "a\nb\nc\nrest")
        return count
    end

    it("a script that reads all in a loop notices nothing", function()
        assert.equal(1, count_of(function(socket)
            while socket:ReadLine(EOL.Any) do end
        end))
    end)

    it("a script that reads nothing, or by other means last, notices nothing", function()
        assert.equal(1, count_of(function() end))
        assert.equal(1, count_of(function(socket)
            socket:ReadLine(EOL.Lf)
            socket:Read(1)
        end))
        assert.equal(1, count_of(function(socket)
            socket:ReadLine(EOL.CrLfStrict)
        end))
    end)

    it("what was found by Search counts for nothing, and a handler that changes its mind stops",
        function()
            assert.equal(3, count_of(function(socket)
                socket:ReadLine(EOL.Lf)
                socket:Search("\n")
            end))
            assert.equal(2, count_of(function(socket, count)
                if count == 1 then
                    socket:ReadLine(EOL.Lf)
                end
            end))
        end)

    it("Disconnect in the handler ends it", function()
        assert.equal(1, count_of(function(socket)
            socket:ReadLine(EOL.Lf)
            socket:Disconnect()
        end))
    end)

    it("the handlers of two sockets inside of each other do not mix", function()
        local outer, inner = {}, {}
        local _, inner_peer = pair(function(socket)
            inner[#inner + 1] = socket:ReadLine(EOL.Lf)
        end)
        local _, outer_peer = pair(function(socket)
            outer[#outer + 1] = socket:ReadLine(EOL.Lf)
            if #outer == 1 then
                inner_peer:write("1\n2\n3\n")
                wait(function() return #inner == 3 end)
            end
        end)
        outer_peer:write("a\nb\nc\n")
        wait(function() return #outer == 3 end)
        assert.equal("a b c 1 2 3", table.concat(outer, " ") .. " " .. table.concat(inner, " "))
    end)

    it("an error in the handler leaves no line for ever", function()
        local lines = {}
        local _, peer = pair(function(socket)
            lines[#lines + 1] = socket:ReadLine(EOL.Lf)
            if #lines == 1 then
                error("once")
            end
        end)
        evsock.on_error = helper.expect(1)
        arrive(peer, "a\nb\nc\n")
        peer:write("d\n")
        wait(function() return #lines == 4 end)
    end)

    it("Renoise's localhost is 127.0.0.1 where IPv6 has its own listener", function()
        local server = helper.track(assert(renoise.Socket.create_server("localhost", 0)))
        assert.equal("127.0.0.1", server.local_address)
        local port = server.local_port
        -- Missing where there is no IPv6.
        local six = evsock.listen("::1", port)
        if six then
            helper.track(six)
        end
        local client = helper.track(assert(renoise.Socket.create_client("LocalHost", port)))
        assert.equal("127.0.0.1", client.peer_address)
        assert.equal("127.0.0.1", client.local_address)
    end)

    it("Renoise's localhost leads where configure says", function()
        local server = helper.track(assert(renoise.Socket.create_server("localhost", 0)))
        renoise.configure { hosts = { localhost = "127.0.0.1:" .. server.local_port } }
        local client = renoise.Socket.create_client("localhost", 9)
        renoise.configure { hosts = { localhost = false } }
        local none = renoise.Socket.create_client("localhost", server.local_port)
        renoise.configure { hosts = {}, ports = { [9] = server.local_port } }
        local other = renoise.Socket.create_client("localhost", 9)
        renoise.configure { ports = {} }
        helper.track(assert(client))
        helper.track(assert(other))
        assert.is_nil(none)
    end)

    it("require finds hs.socket.udp once Hammerspoon is installed", function()
        local loaded = package.loaded
        local before, before_udp = loaded["hs.socket"], loaded["hs.socket.udp"]
        loaded["hs.socket.udp"] = nil
        local env = {}
        hammerspoon.install(env)
        local found = require "hs.socket.udp"
        loaded["hs.socket"], loaded["hs.socket.udp"] = before, before_udp
        assert.equal(env.hs.socket.udp, found)
    end)

    it("Q-SYS CallAfter without a function raises when it is due, and names its line", function()
        local line = debug.getinfo(1, "l").currentline + 1
        qsys.Timer.CallAfter(nil, 0.01)
        local problem
        evsock.on_error = function(text)
            problem = text
        end
        wait(function() return problem end)
        assert.is_truthy(problem:find("038_lines_left_behind_spec.lua:" .. line
            .. ": bad argument 'fn' to 'CallAfter' (function expected, got nil)", 1, true), problem)
    end)
end)
