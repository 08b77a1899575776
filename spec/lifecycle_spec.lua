-- The library as a guest of the process: loading, idling, descriptors, the end of the interpreter.
-- Everything that would disturb this interpreter happens in a child.

local helper = require "spec.helper"

local evsock = helper.evsock
local pump_until = helper.pump_until

-- What the children share. `threads` and `descriptors` list a directory of /proc by a shell, whose
-- parent we are.
local prelude = [[
    local function list(name)
        local pipe = io.popen("ls /proc/$PPID/" .. name)
        local names = {}
        for entry in pipe:lines() do names[#names + 1] = entry end
        pipe:close()
        return names
    end
    local function threads() return list("task") end
    local function descriptors() return #list("fd") end
    local read_file = require("spec.child").read_file
    -- User and system time of this process alone, in seconds (proc(5), stat, fields 14 and 15).
    local function cpu()
        local user, system = read_file("/proc/self/stat"):match(
            "%) %S %S+ %S+ %S+ %S+ %S+ %S+ %S+ %S+ %S+ %S+ (%d+) (%d+)")
        return (user + system) / 100
    end
    local pair = require("spec.child").link
]]

local function child(script)
    local output, status = helper.run(prelude .. script)
    return output, status
end

-- The same for scripts that begin with the library.
local function with_library(script)
    return child('local evsock = require "evsock"\n' .. script)
end

describe("loading", function()
    after_each(helper.finish)

    it("sets no global and starts no thread", function()
        local output, status = child([[
            local known = {}
            for name in pairs(_G) do known[name] = true end
            local before = #threads()
            local evsock = require "evsock"
            for name in pairs(_G) do
                if not known[name] then print("global " .. tostring(name)) end
            end
            local sock = evsock.socket()
            print(type(evsock), before, #threads(), sock.state)
        ]])
        helper.printed("table\t1\t1\tidle\n", output, status)
    end)

    it("twice gives the same module", function()
        local output = child([[
            local one = require "evsock"
            print(one == require "evsock", package.loaded.evsock == one)
        ]])
        assert.equal("true\ttrue\n", output)
    end)

    it("again after package.loaded was cleared works with the sockets there are", function()
        local output, status = child([[
            local one = require "evsock"
            local client, peer, server = pair(one)
            package.loaded.evsock = nil
            local two = require "evsock"
            local other, other_peer, other_server = pair(two)
            peer:write("x")
            other_peer:write("y")
            local deadline = one.now() + 5
            while client.buffered + other.buffered < 2 and one.now() < deadline do
                one.pump(0.01)
                two.pump(0.01)
            end
            print(client:read(), other:read())
        ]])
        helper.printed("x\ty\n", output, status)
    end)

    it("starts one thread with the first socket, and no more with others", function()
        local output = with_library([[
            local server = assert(evsock.listen("127.0.0.1", 0))
            local clients = {}
            for i = 1, 20 do clients[i] = evsock.connect("127.0.0.1", server.port) end
            evsock.pump(0.05)
            print(#threads())
        ]])
        assert.equal("2\n", output)
    end)
end)

describe("idling", function()
    after_each(helper.finish)

    it("a pump(3) with an idle socket wakes a few times at most, uses no CPU #figures", function()
        local output, status = with_library([[
            local client = pair(evsock, { on_data = print, read_timeout = 100 })
            local deadline = evsock.now() + 0.2
            while evsock.now() < deadline do evsock.pump(0.05) end
            local tasks = threads()
            local function switches()
                local sum = 0
                for _, task in ipairs(tasks) do
                    local text = read_file("/proc/self/task/" .. task .. "/status")
                    sum = sum + text:match("\nvoluntary_ctxt_switches:%s*(%d+)")
                end
                return sum
            end
            -- The list came from a child; let its end be over.
            evsock.pump(0.05)
            local before, used, begin = switches(), cpu(), evsock.now()
            local called = evsock.pump(3)
            local took = evsock.now() - begin
            local woken = switches() - before
            used = cpu() - used
            print(called, took >= 2.99 and took < 4)
            print(woken <= 4 and "rested" or "woken " .. woken)
            print(used <= 0.02 and "idle" or "used " .. used)
            print(client.state)
        ]])
        helper.printed("0\ttrue\nrested\nidle\nopen\n", output, status)
    end)

    it("a script that never pumps uses no CPU, connected, listening and with timers", function()
        local output, status = with_library([[
            local client, peer, server = pair(evsock, { on_data = print })
            local waiting = evsock.connect("127.0.0.1", 1, { reconnect = 50, on_close = print })
            local timer = evsock.every(0.5, print)
            for _ = 1, 100 do peer:write("unread") end
            local before = cpu()
            os.execute("sleep 2")
            local used = cpu() - before
            print(used <= 0.03 and "idle" or "used " .. used)
            print(client.state, server.port > 0, timer.active, waiting ~= nil)
        ]])
        helper.printed("idle\nopen\ttrue\ttrue\ttrue\n", output, status)
    end)

    it("a flood that nobody reads uses no CPU once the limit is reached", function()
        local output = with_library([[
            local client, peer = pair(evsock, { on_data = function() end, read_limit = 65536 })
            for _ = 1, 24 do peer:write(("x"):rep(1024 * 1024)) end
            local deadline = evsock.now() + 0.5
            while evsock.now() < deadline do evsock.pump(0.05) end
            local before = cpu()
            os.execute("sleep 0.5")
            evsock.pump(0.3)
            local used = cpu() - before
            print(used <= 0.05 and "idle" or "used " .. used, client.state)
        ]])
        assert.equal("idle\topen\n", output)
    end)

    it("pump(0) never waits, even when the thread is at work", function()
        local client, peer = helper.pair()
        local block = ("x"):rep(256 * 1024)
        local worst = 0
        for i = 1, 200 do
            if i % 10 == 1 then
                peer:write(block)
            end
            local begin = evsock.now()
            evsock.pump(0)
            worst = math.max(worst, evsock.now() - begin)
            client:read()
        end
        -- The machine may be busy with something else; a wait would show as more than that.
        assert.is_true(worst < 0.2 * helper.slow, "worst " .. worst)
    end)
end)

describe("the end of the interpreter", function()
    after_each(helper.finish)

    local busy = [[
        local evsock = require "evsock"
        local client, peer, server = pair(evsock, { on_data = function() end, read_timeout = 50 })
        evsock.connect("nosuch.invalid", 1, { on_close = function() end })
        evsock.connect("127.0.0.1", 1, { reconnect = 1, on_close = function() end })
        evsock.every(0.01, function() end)
        for _ = 1, 24 do client:write(("x"):rep(1024 * 1024)) end
        evsock.pump(0.01)
    ]]

    for _, case in ipairs {
        { "by os.exit(0) with sockets open", "os.exit(0)", 0 },
        { "by os.exit(3) with sockets open", "os.exit(3)", 3 },
        { "by os.exit inside a handler",
            "evsock.after(0, function() os.exit(0) end) evsock.run()", 0 },
        { "by the end of the script", "", 0 },
        { "by os.exit(0, true), which closes the state", "os.exit(0, true)", 0 },
        { "by os.exit inside a handler, closing the state",
            "evsock.after(0, function() os.exit(0, true) end) evsock.run()", 0 },
        { "by an error", "error('over')", 1 },
    } do
        local name, ending, wanted = case[1], case[2], case[3]
        it(name .. (" comes at once with status %d"):format(wanted), function()
            local begin = evsock.now()
            local output, status = child(busy .. ending)
            assert.equal(wanted, status, output)
            if wanted == 0 then
                assert.equal("", output)
            end
            assert.is_true(evsock.now() - begin < 4 * helper.slow)
        end)
    end

    it("says goodbye to the peer, who sees the connection end", function()
        local record = helper.server()
        local output, status = helper.run(([[
            local evsock = require "evsock"
            local client = evsock.connect("127.0.0.1", %d)
            local deadline = evsock.now() + 5
            while client.state ~= "open" and evsock.now() < deadline do evsock.pump(0.02) end
            client:write("hello")
        ]]):format(record.port))
        assert.equal("", output)
        assert.equal(0, status)
        pump_until(function() return record.sockets[1] and record.sockets[1].state == "closed" end)
        assert.equal("hello", record.sockets[1]:read())
    end)
end)

describe("descriptors", function()
    after_each(helper.finish)

    it("are where they were after 2,000 connect/close cycles", function()
        local output, status = with_library([[
            local accepted, closed = 0, 0
            local server = assert(evsock.listen("127.0.0.1", 0, {
                on_accept = function(_, sock) accepted = accepted + 1 end,
                on_data = function(sock) sock:close() end,
                on_close = function() closed = closed + 1 end,
            }))
            local function cycle(i)
                local over
                local sock = evsock.connect("127.0.0.1", server.port, {
                    on_connect = function(sock)
                        sock:write("x")
                        if i % 2 == 0 then sock:abort() end
                    end,
                    on_close = function() over = true end,
                })
                local deadline = evsock.now() + 5
                while not over and evsock.now() < deadline do evsock.pump(0.02) end
                assert(over and sock.state == "closed", "cycle " .. i)
            end
            local function settle()
                local deadline = evsock.now() + 5
                while evsock.active() > 1 and evsock.now() < deadline do evsock.pump(0.02) end
                collectgarbage()
                collectgarbage()
                evsock.pump(0.02)
                return descriptors()
            end
            for i = 1, 20 do cycle(i) end
            local before = settle()
            for i = 1, 2000 do cycle(i) end
            local deadline = evsock.now() + 5
            local after = settle()
            while after > before and evsock.now() < deadline do after = settle() end
            print(after <= before and "same" or ("%d, then %d"):format(before, after))
            print(evsock.active(), server.connections)
        ]])
        helper.printed("same\n1\t0\n", output, status)
    end)

    it("come back when sockets are collected instead of closed", function()
        local output = with_library([[
            local server = assert(evsock.listen("127.0.0.1", 0, {
                on_accept = function(_, sock) sock.on_close = function() end end,
            }))
            evsock.pump()
            local before = descriptors()
            for _ = 1, 50 do evsock.connect("127.0.0.1", server.port) end
            local deadline = evsock.now() + 5
            local after
            repeat
                collectgarbage()
                evsock.pump(0.02)
                after = descriptors()
            until after <= before and evsock.active() == 1 or evsock.now() > deadline
            print(after <= before and "same" or ("%d, then %d"):format(before, after))
        ]])
        assert.equal("same\n", output)
    end)

    it("are not inherited by programs that the script starts", function()
        local output = with_library([[
            local client, peer, server = pair(evsock)
            local pipe = io.popen("ls -l /proc/self/fd")
            local text = pipe:read("*a")
            pipe:close()
            print(text:find("socket:", 1, true) and text or "none", client.state)
            print(text:find("anon_inode", 1, true) and text or "none", peer.state, server.port > 0)
        ]])
        assert.equal("none\topen\nnone\topen\ttrue\n", output)
    end)
end)
