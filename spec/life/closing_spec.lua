-- The end of a Lua state inside of a process that lives on: what closes, what stays, and that other
-- states notice nothing. Each test runs in a C host: a stock interpreter ends with its state.

local helper = require "spec.helper"
local tools = require "spec.life.tools"

-- What every hosted script begins with: counts that take no process of their own.
local HOST = [[
    local function count(folder, accept)
        local found = 0
        for _, name in ipairs(host.list(folder)) do
            if not accept or accept(folder .. "/" .. name) then found = found + 1 end
        end
        return found
    end
    local function descriptors() return count("/proc/self/fd") end
    -- Threads by name: "evsock", "evsock-lookup".
    local function threads(wanted)
        return count("/proc/self/task", function(path)
            local file = io.open(path .. "/comm")
            local name = file and file:read("*l")
            if file then file:close() end
            return name == wanted
        end)
    end
    local function resident()
        collectgarbage()
        return tonumber(contents("/proc/self/status"):match("VmRSS:%s*(%d+)"))
    end
    local function eventually(condition)
        for _ = 1, 1000 do
            if condition() then return true end
            host.rest(0.001)
        end
        return false
    end
    local function open(code)
        local state, message = host.open()
        assert(state, message)
        if code then assert(host.run(state, code)) end
        return state
    end
    local function says(state, code)
        local ok, result = host.run(state, code)
        return ok and result or "failed: " .. tostring(result)
    end
    -- For `run`: everything at work that a state can have.
    local BUSY = [=[
        evsock = require "evsock"
        server = assert(evsock.listen("127.0.0.1", 0, {
            on_data = function(s) s:write(s:read()) end }))
        require("spec.child").busy_clients(evsock, server.port, 100000)
        evsock.connect(LOOKUP or "slow100", 1, { on_close = function() end })
        evsock.every(0.001, function() end)
        evsock.after(1000, function() end)
        for _ = 1, 4 do evsock.pump(0.002) end
    ]=]
    -- For `run`: a connection of the state to itself. `echo` returns what comes back, `earlier`
    -- counts the bytes that are on their way already.
    local ECHO = [=[
        local evsock = require "evsock"
        server = assert(evsock.listen("127.0.0.1", 0, {
            on_data = function(s) s:write(s:read()) end }))
        client = evsock.connect("127.0.0.1", server.port, { on_data = function() end })
        function echo(text, earlier)
            local deadline = evsock.now() + 5
            local got = ""
            client:write(text)
            while #got < #text + (earlier or 0) and evsock.now() < deadline do
                evsock.pump(0.02)
                got = got .. (client:read() or "")
            end
            return got
        end
    ]=]
]]

local function hosted(script, setup)
    return tools.child(HOST .. script, tools.host("states"), setup)
end

describe("closing a state", function()
    after_each(helper.finish)

    it("with everything at work ends its thread and its descriptors, again and again", function()
        local output, status = hosted([[
            local files = descriptors()
            for _ = 1, 10 do
                local state = open(BUSY)
                -- A thread names itself when it begins to run.
                assert(eventually(function() return threads("evsock") == 1 end), "no thread")
                assert(descriptors() > files, "nothing at work")
                host.close(state)
                -- The system shows an ended thread for a moment longer.
                assert(eventually(function() return threads("evsock") == 0 end), "a thread is left")
                assert(eventually(function() return descriptors() <= files end), "descriptors")
            end
            print("well")
        ]], tools.slow_names())
        helper.printed("well\n", output, status)
    end)

    it("waits for the thread: it is gone when the call returns", function()
        local output = hosted([[
            local gone = 0
            for _ = 1, 10 do
                local state = open(ECHO)
                assert(eventually(function() return threads("evsock") == 1 end), "no thread")
                host.close(state)
                gone = gone + 1 - threads("evsock")
                assert(eventually(function() return threads("evsock") == 0 end), "a thread is left")
            end
            -- Not each time: the system shows an ended thread for a moment longer.
            print(gone >= 7 and "waited" or gone)
        ]], tools.slow_threads())
        assert.equal("waited\n", output)
    end)

    it("takes a moment only, although the thread sleeps and a name is being looked up", function()
        local output = hosted([[
            local state = open("LOOKUP = 'slow2000' " .. BUSY)
            host.rest(0.05)
            local before = os.time()
            host.close(state)
            print(os.time() - before <= 1 and "at once", threads("evsock-lookup"))
        ]], tools.slow_names())
        assert.equal("at once\t1\n", output)
    end)

    it("never unmaps the library, whoever else may still run in it", function()
        local output = hosted([[
            -- In a thread of its own: what the library leaves behind in a thread may hold it, too.
            print(host.aside(ECHO .. "assert(echo('x') == 'x')"))
            print(eventually(function() return threads("evsock") == 0 end))
            print(contents("/proc/self/maps"):find("evsock%.so") and "mapped")
        ]])
        assert.equal("true\ntrue\nmapped\n", output)
    end)

    it("leaves the library in place for the threads that still look names up", function()
        local output, status = hosted([[
            local state = open("LOOKUP = 'slow500' " .. BUSY)
            host.close(state)
            local function is_looking() return threads("evsock-lookup") == 1 end
            -- A thread gives itself its name.
            assert(eventually(is_looking), "no lookup under way")
            -- The lookup ends after 500 ms, in code of the library.
            host.rest(0.8)
            print(contents("/proc/self/maps"):find("evsock%.so") and "mapped", threads("evsock"))
        ]], tools.slow_names())
        helper.printed("mapped\t0\n", output, status)
    end)

    it("is safe for finalisers that run last and use the module", function()
        local output, status = hosted([[
            for turn = 1, 3 do
                -- What was made before the library is finalised after it.
                local state = open([=[
                    local function last_words()
                        local calls = {
                            function() return evsock.now() end,
                            function() return evsock.pump() end,
                            function() return evsock.pump(0.01) end,
                            function() return evsock.run() end,
                            function() return evsock.active() end,
                            function() return evsock.connect("127.0.0.1", 9) end,
                            function() return evsock.listen("127.0.0.1", 0) end,
                            function() return evsock.socket() end,
                            function() return evsock.after(0, print) end,
                            function() return tostring(client), tostring(server) end,
                            function() return client:write("x") end,
                            function() return client:read() end,
                            function() return client:close() end,
                            function() return client:connect("127.0.0.1", 9) end,
                            function() return client.state end,
                            function() client.read_timeout = 1 end,
                            function() return client:info() end,
                            function() return server:close() end,
                        }
                        for _, call in ipairs(calls) do pcall(call) end
                        io.write("last words\n")
                    end
                    guard = require("spec.child").when_collected(last_words)
                ]=])
                assert(host.run(state, BUSY .. " client = evsock.connect('127.0.0.1', server.port)"
                    .. " evsock.pump(0.02)"))
                host.close(state)
            end
            print("alive")
        ]], tools.slow_names())
        helper.printed("last words\nlast words\nlast words\nalive\n", output, status)
    end)

    it("is safe for objects that are resurrected by a finaliser", function()
        local output, status = hosted([[
            local state = open([=[
                evsock = require "evsock"
                evsock.on_unhandled = false
                local function guard(object)
                    local function rescue()
                        pcall(function() object:write("x") end)
                        pcall(function() object:close() end)
                        pcall(evsock.pump)
                    end
                    return require("spec.child").when_collected(rescue)
                end
                for _ = 1, 20 do guard(evsock.connect("127.0.0.1", 1)) end
                collectgarbage()
                evsock.pump(0.01)
                for _ = 1, 20 do guard(evsock.connect("127.0.0.1", 1)) end
            ]=])
            host.close(state)
            print("alive")
        ]])
        helper.printed("alive\n", output, status)
    end)
end)

describe("two states in one process", function()
    after_each(helper.finish)

    for _, order in ipairs { "first", "second" } do
        it(("go on in one when the %s is closed, with all that was on its way"):format(order),
            function()
                local output, status = hosted(([[
                    local one, two = open(BUSY .. ECHO), open(BUSY .. ECHO)
                    print(says(one, "return echo('one')"), says(two, "return echo('two')"))
                    local gone, stays = one, two
                    if %q == "second" then gone, stays = two, one end
                    says(stays, "client:write('on its way ')")
                    host.close(gone)
                    print(says(stays, "return echo('still there', 11)"))
                    print(eventually(function() return threads("evsock") == 1 end))
                    host.close(open(ECHO))
                    print(says(stays, "return echo('later')"))
                    host.close(stays)
                    print(eventually(function() return threads("evsock") == 0 end))
                ]]):format(order), tools.slow_names())
                helper.printed("one\ttwo\non its way still there\ntrue\nlater\ntrue\n",
                    output, status)
            end)
    end

    it("talk to each other, and the end of one closes the other's connections", function()
        local output, status = hosted([[
            local one = open(ECHO .. "return 0")
            local two = open(ECHO)
            local port = says(one, "return server.port")
            assert(host.run(two, "client = require 'evsock'.connect('127.0.0.1', " .. port
                .. ", { on_data = function() end, on_close = function() over = true end })"))
            says(two, "return client:write('hello')")
            local heard
            for _ = 1, 1000 do
                says(one, "require 'evsock'.pump(0.001)")
                says(two, "require 'evsock'.pump(0.001)")
                heard = says(two, "return client.buffered")
                if heard == "5" then break end
            end
            print(heard)
            host.close(one)
            print(says(two, "local evsock = require 'evsock' local deadline = evsock.now() + 5 "
                .. "while not over and evsock.now() < deadline do evsock.pump(0.02) end "
                .. "return tostring(over)"))
            host.close(two)
        ]])
        helper.printed("5\ntrue\n", output, status)
    end)

    it("share the threads that look names up: the end of one calls off only its own", function()
        local output, status = hosted([[
            local code = [=[
                local evsock = require "evsock"
                evsock.connect("slow100", 1, {
                    on_close = function(_, _, problem) code = problem end })
                evsock.pump()
                function wait()
                    local deadline = evsock.now() + 5
                    while not code and evsock.now() < deadline do evsock.pump(0.02) end
                    return code
                end
            ]=]
            local one, two = open(code), open(code)
            host.close(one)
            print(says(two, "return wait()"))
            host.close(two)
        ]], tools.slow_names())
        helper.printed("EHOSTNOTFOUND\n", output, status)
    end)

    it("1,000 of them one after the other leave descriptors, threads and memory as before",
        function()
            local output, status = hosted([[
                local function cycle(count)
                    for _ = 1, count do
                        local state = open(ECHO)
                        assert(says(state, "return echo('x')") == "x")
                        host.close(state)
                    end
                end
                -- The allocator settles first.
                cycle(200)
                local files, memory = descriptors(), resident()
                cycle(1000)
                print(eventually(function() return threads("evsock") == 0 end))
                print(eventually(function() return descriptors() <= files end))
                local growth = resident() - memory
                print(growth <= 512 and "bounded" or growth .. " KiB more")
            ]])
            helper.printed("true\ntrue\nbounded\n", output, status)
        end)
end)
