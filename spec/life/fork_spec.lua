-- fork: the child has the descriptors and none of the threads. It may use nothing of the parent's,
-- and must not harm it: the set of descriptors that the parent polls is shared.

local helper = require "spec.helper"
local tools = require "spec.life.tools"

-- LuaJIT forks by its ffi, the others by posix (lua-posix); for 5.4 Debian has none, so by a module
-- of our own that does the same.
local FORK = helper.is_luajit and [[
    local ffi = require "ffi"
    ffi.cdef "int fork(void); int waitpid(int, int *, int);"
    local fork = ffi.C.fork
    local function wait_for(child)
        local status = ffi.new("int[1]")
        assert(ffi.C.waitpid(child, status, 0) == child)
        return status[0]
    end
]] or helper.version == "Lua 5.4" and [[
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

if helper.version == "Lua 5.4" then
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
        assert.equal("asked 16\n0\ttrue\n", output)
        assert.equal(0, status)
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
        assert.equal("0\ttrue\ntrue\ttrue\tfalse\n", output)
        assert.equal(0, status)
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
