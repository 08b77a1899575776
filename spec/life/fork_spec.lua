-- fork: the child has the descriptors and none of the threads. It may use nothing of the parent's,
-- and must not harm it: the set of descriptors that the parent polls is shared.

local helper = require "spec.helper"
local tools = require "spec.life.tools"

-- LuaJIT forks by its ffi, the others by posix (lua-posix); for 5.4 and 5.5 Debian has none, so by
-- a module of our own that does the same.
local FORK = helper.is_luajit and [[
    local ffi = require "ffi"
    ffi.cdef "int fork(void); int waitpid(int, int *, int);"
    local fork = ffi.C.fork
    local function wait_for(child)
        local status = ffi.new("int[1]")
        assert(ffi.C.waitpid(child, status, 0) == child)
        return status[0]
    end
]] or helper.version >= "Lua 5.4" and [[
    local forking = require "forking"
    local fork = forking.fork
    local function wait_for(child)
        return forking.wait(child) * 256
    end
]] or [[
    local unistd, wait = require "posix.unistd", require "posix.sys.wait"
    local fork = unistd.fork
    local function wait_for(child)
        local pid, reason, status = wait.wait(child)
        assert(pid == child)
        return reason == "exited" and status * 256 or status
    end
]]

-- A pair at work in the parent; `fork_and(child)` runs a function in a child and waits for it.
local SETTING = FORK .. [[
    local evsock = require "evsock"
    local client, peer, server = link(evsock, { on_data = function() end })
    local timer = evsock.every(1000, function() end)
    local task = evsock.spawn(function() evsock.sleep(1000) end)
    local got = {}
    local udp = evsock.udp("127.0.0.1")
    udp.on_datagram = function(_, data) got[#got + 1] = data end
    local silent = evsock.udp("127.0.0.1", 0, { paused = true })
    local watch = assert(evsock.watch(silent.fd, "r"))
    evsock.pump()
    local function fork_and(child)
        io.stdout:flush()
        local id = fork()
        if id == 0 then
            child()
            io.stdout:flush()
            os.exit(0)
        end
        return wait_for(id)
    end
]]

if helper.version >= "Lua 5.4" then
    tools.module("forking")
end

describe("after a fork", function()
    after_each(helper.finish)

    it("every call in the child that would do something answers EFORK", function()
        local output, status = tools.child(SETTING .. [[
            local calls = {
                pump = function() return evsock.pump() end,
                ["pump(1)"] = function() return evsock.pump(1) end,
                run = function() return evsock.run() end,
                connect = function() return evsock.connect("127.0.0.1", server.port) end,
                ["unix connect"] = function() return evsock.connect("unix:/nowhere") end,
                listen = function() return evsock.listen("127.0.0.1", 0) end,
                after = function() return evsock.after(0, print) end,
                every = function() return evsock.every(1, print) end,
                pollfd = function() return evsock.pollfd() end,
                write = function() return client:write("from the child") end,
                send = function() return client:send("from the child", 1) end,
                receive = function() return client:receive("*l", 1) end,
                wait = function() return client:wait("data", 1) end,
                sleep = function() return evsock.sleep(0.01) end,
                ["connect of a socket"] = function()
                    return client:connect("127.0.0.1", server.port)
                end,
                join = function() return task:join(1) end,
                accept = function() return server:accept() end,
                udp = function() return evsock.udp() end,
                send_to = function() return udp:send_to("x", "127.0.0.1", udp.port) end,
                ["connect of datagrams"] = function() return udp:connect("127.0.0.1", 9) end,
                ["read of datagrams"] = function() return udp:read() end,
                write_some = function() return client:write_some("from the child") end,
                ["wait for room"] = function() return client:wait("write", 1) end,
                resolve = function() return evsock.resolve("localhost") end,
                watch = function() return evsock.watch(silent.fd, "r") end,
                ["wait of a watch"] = function() return watch:wait(1) end,
            }
            local status = fork_and(function()
                local names = {}
                for name in pairs(calls) do names[#names + 1] = name end
                table.sort(names)
                for _, name in ipairs(names) do
                    local ok, value, message, code = pcall(calls[name])
                    if not ok or value ~= nil or code ~= "EFORK" then
                        print(name, ok, value, message, code)
                    end
                end
                print("asked " .. #names)
            end)
            print(status, echoes(evsock, client, peer))
            os.exit(0)
        ]])
        helper.printed("asked 26\n0\ttrue\n", output, status)
    end)

    it("a watch of the parent goes on, whatever the child does with it", function()
        local output, status = tools.child(SETTING .. [[
            local ready = 0
            watch.on_ready = function() ready = ready + 1 end
            fork_and(function()
                assert(client.fd == nil)
                watch.on_ready = nil
                watch.on_ready = print
                watch:close()
                watch, silent = nil, nil
                collectgarbage()
                collectgarbage()
            end)
            evsock.pump(0.05)
            print(ready)
            udp:send_to("x", "127.0.0.1", silent.port)
            local deadline = evsock.now() + 5
            while ready < 3 and evsock.now() < deadline do evsock.pump(0.1) end
            print(ready >= 3, watch:wait(0))
            os.exit(0)
        ]])
        helper.printed("0\ntrue\ttrue\tfalse\n", output, status)
    end)

    it("no port is held in the child", function()
        local output = tools.child(SETTING .. [[
            local net = require("evsock.pharos").net
            local socket = net.TcpSocket.new()
            fork_and(function()
                print(socket:bind(0), socket.local_port, socket.error)
            end)
            print(socket:bind(0), socket.local_port > 0)
            os.exit(0)
        ]])
        assert.equal("false\t0\t-1\ntrue\ttrue\n", output)
    end)

    it("closing and collecting in the child leaves the parent's connections alone", function()
        local output, status = tools.child(SETTING .. [[
            local status = fork_and(function()
                client:close()
                peer:abort()
                server:close()
                timer:cancel()
                task:cancel()
                client:shutdown()
                client, peer, server, timer, task = nil, nil, nil, nil, nil
                collectgarbage()
                collectgarbage()
            end)
            print(status, echoes(evsock, client, peer))
            local more = evsock.connect("127.0.0.1", server.port, { on_data = function() end })
            print(more:wait("connect", 2), timer.active, task.done)
            os.exit(0)
        ]])
        helper.printed("0\ttrue\ntrue\ttrue\tfalse\n", output, status)
    end)

    it("datagrams come to the parent, whatever the child did with its socket", function()
        local output, status = tools.child(SETTING .. [[
            local status = fork_and(function()
                udp:close()
                udp = nil
                collectgarbage()
                collectgarbage()
            end)
            assert(udp:send_to("still", "127.0.0.1", udp.port))
            wait_until(evsock, "a datagram", function() return got[1] end)
            print(status, got[1])
            os.exit(0)
        ]])
        helper.printed("0\tstill\n", output, status)
    end)

    it("collecting in the child closes the descriptors, and no more than those", function()
        local output = tools.child(SETTING .. [[
            local function sockets()
                local pipe = io.popen("ls -l /proc/$PPID/fd 2>/dev/null")
                local _, count = pipe:read("*a"):gsub("socket:", "")
                pipe:close()
                return count
            end
            -- Without handlers, so that nothing but the script keeps them.
            local one, other = link(evsock), link(evsock)
            fork_and(function()
                local before = sockets()
                one, other = nil, nil
                collectgarbage()
                collectgarbage()
                print(before - sockets())
            end)
            print(one.state, other.state, echoes(evsock, client, peer))
            os.exit(0)
        ]])
        assert.equal("2\nopen\topen\ttrue\n", output)
    end)

    it("what the child reads out of a full buffer does not wake the parent", function()
        local output = tools.child(SETTING .. [[
            local full, writer = link(evsock, { read_limit = 65536, on_data = function() end })
            for _ = 1, 8 do writer:write(("x"):rep(1024 * 1024)) end
            wait_until(evsock, "a full buffer", function() return full.buffered >= 65536 end)
            local last
            repeat last = full.buffered evsock.pump(0.05) until full.buffered == last
            fork_and(function()
                while full:read() do end
                full.read_limit = 1024 * 1024
            end)
            local function cpu()
                local user, system = contents("/proc/self/stat"):match(
                    "%) %S %S+ %S+ %S+ %S+ %S+ %S+ %S+ %S+ %S+ %S+ (%d+) (%d+)")
                return (user + system) / 100
            end
            local before = cpu()
            evsock.pump(0.3)
            local used = cpu() - before
            print(used < 0.1 and "rests" or used, full.buffered == last)
            while full.buffered > 0 do
                full:read()
                evsock.pump(0.05)
            end
            print(full:info().bytes_in)
            os.exit(0)
        ]])
        assert.equal("rests\ttrue\n8388608\n", output)
    end)

    it("no call in the child waits for what the parent's thread holds", function()
        local output = tools.child(SETTING .. [[
            -- The thread is at work at every moment: timers, bytes, connections.
            for _ = 1, 20 do evsock.every(0.0001, function() end) end
            peer.on_data = function(sock) sock:write(sock:read()) end
            client.on_data = peer.on_data
            client:write(("x"):rep(1000000))
            local bad = 0
            for _ = 1, 60 do
                -- Leaves it to the thread for a moment.
                local moment = evsock.now() + 0.006
                while evsock.now() < moment do end
                local id = fork()
                if id == 0 then
                    -- Ends a child that hangs.
                    os.execute("(sleep 3; kill -9 $PPID) >/dev/null 2>&1 &")
                    local _ = client.pending, client.buffered, client.state, client.local_port
                    client.read_timeout = 3
                    client:info()
                    client:read()
                    client:write("x")
                    client:close()
                    server:pause()
                    server:close()
                    timer:cancel()
                    task:cancel()
                    evsock.pump(0.01)
                    evsock.connect("localhost", server.port)
                    client, peer, server, timer, task = nil, nil, nil, nil, nil
                    collectgarbage()
                    os.exit(0, true)
                end
                if wait_for(id) ~= 0 then bad = bad + 1 end
                evsock.pump()
            end
            print(bad, client.state, peer.state)
            os.exit(0)
        ]])
        assert.equal("0\topen\topen\n", output)
    end)

    it("the child may begin anew with a module of its own, lookups included", function()
        local output = tools.child(SETTING .. [[
            -- The parent has threads for lookups, one of them at work.
            local found
            evsock.connect("quick1", server.port, {
                on_connect = function() found = true end, on_close = print })
            evsock.connect("slow1000", 1, { on_close = function() end })
            wait_until(evsock, "a lookup", function() return found end)
            fork_and(function()
                package.loaded.evsock = nil
                local own = require "evsock"
                local client, peer, server = link(own, { on_data = function() end })
                print("child", echoes(own, client, peer))
                for i = 1, 3 do
                    local sock = own.connect("quick" .. i, server.port)
                    print(sock:wait("connect", 2))
                end
                io.stdout:flush()
                os.exit(0, true)
            end)
            print("parent", echoes(evsock, client, peer))
            os.exit(0)
        ]], nil, tools.slow_names())
        assert.equal("child\ttrue\ntrue\ntrue\ntrue\nparent\ttrue\n", output)
    end)

    for _, form in ipairs { "os.exit(0)", "os.exit(0, true)", "error('an end', 0)" } do
        it("the child may end by " .. form .. ", and the parent goes on", function()
            local output, status = tools.child(SETTING .. ([[
                io.stdout:flush()
                local id = fork()
                if id == 0 then
                    %s
                end
                local status = wait_for(id)
                print(status == 0 or status == 256, echoes(evsock, client, peer))
                os.exit(0)
            ]]):format(form))
            assert.is_truthy(output:find("true\ttrue\n", 1, true), output)
            assert.equal(0, status)
        end)
    end

    it("the socket file of the parent's server stays when the child ends", function()
        local path = os.tmpname()
        os.remove(path)
        local output = tools.child(SETTING .. ([[
            local unix = assert(evsock.listen("unix:%s", { on_data = function() end }))
            local id = fork()
            if id == 0 then
                unix:close()
                unix = nil
                collectgarbage()
                os.exit(0, true)
            end
            wait_for(id)
            print(evsock.connect("unix:%s"):wait("connect", 2))
            os.exit(0, true)
        ]]):format(path, path))
        os.remove(path)
        assert.equal("true\n", output)
    end)

    it("the peer sees the end as soon as the parent closes, once the child is gone", function()
        local output = tools.child(SETTING .. [[
            fork_and(function() end)
            local over
            peer.on_close = function(_, message) over = message or "orderly" end
            client:close()
            wait_until(evsock, "the end", function() return over end)
            print(over)
            os.exit(0)
        ]])
        assert.equal("orderly\n", output)
    end)

    it("before the first socket both may go on, each for itself", function()
        local output = tools.child(FORK .. [[
            local evsock = require "evsock"
            local id = fork()
            if id == 0 then
                local client, peer = link(evsock, { on_data = function() end })
                print("child", echoes(evsock, client, peer))
                io.stdout:flush()
                os.exit(0)
            end
            wait_for(id)
            local client, peer = link(evsock, { on_data = function() end })
            print("parent", echoes(evsock, client, peer))
            os.exit(0)
        ]])
        assert.equal("child\ttrue\nparent\ttrue\n", output)
    end)
end)
