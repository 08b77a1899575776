-- The end of the interpreter in all its forms, with everything at work: the status asked for, at
-- once, and nothing said. And what programs that a script starts get of ours: nothing.

local helper = require "spec.helper"
local tools = require "spec.life.tools"

-- A server, connections, writes that wait, a lookup, timers, tasks.
local BUSY = [[
    local evsock = require "evsock"
    local server = assert(evsock.listen("127.0.0.1", 0, {
        read_limit = 1, on_data = function() end }))
    require("spec.child").busy_clients(evsock, server.port, 4000000)
    evsock.connect("slow2000", 1, { on_close = function() end })
    evsock.every(0.001, function() end)
    evsock.spawn(function() evsock.sleep(100) end)
    for _ = 1, 6 do evsock.pump(0.005) end
]]

local ENDS = {
    { "os.exit()", 0 },
    { "os.exit(0)", 0 },
    { "os.exit(1)", 1 },
    { "os.exit(7)", 7 },
    { "", 0 },
    { "error('an end')", 1 },
}
if helper.version ~= "Lua 5.1" or helper.is_luajit then
    ENDS[#ENDS + 1] = { "os.exit(true)", 0 }
    ENDS[#ENDS + 1] = { "os.exit(false)", 1 }
    ENDS[#ENDS + 1] = { "os.exit(0, true)", 0 }
    ENDS[#ENDS + 1] = { "os.exit(3, true)", 3 }
end

local PLACES = {
    ["in the script"] = "%s",
    ["in a handler"] = "evsock.after(0, function() %s end) for _ = 1, 9 do evsock.pump(0.01) end",
    ["in a coroutine"] = "local ok, why = coroutine.resume(coroutine.create(function() %s end))"
        .. " if not ok then error(why) end",
    ["in a task"] = "evsock.spawn(function() %s end) for _ = 1, 9 do evsock.pump(0.01) end",
    ["in a nested pump"] = [[evsock.after(0, function()
        evsock.after(0, function() %s end) for _ = 1, 9 do evsock.pump(0.01) end end)
        for _ = 1, 9 do evsock.pump(0.01) end]],
}

describe("the interpreter's end", function()
    after_each(helper.finish)

    for _, case in ipairs(ENDS) do
        local form, wanted = case[1], case[2]
        local name = form == "" and "the end of the script" or form
        local title = ("by %s comes at once with status %d, wherever it is"):format(name, wanted)
        it(title, function()
            local setup = tools.slow_names()
            for place, text in pairs(PLACES) do
                -- Tells where the setting up ends.
                local script = BUSY .. "io.write('ready\\n') " .. text:format(form)
                local before = helper.evsock.now()
                local output, status = tools.child(script, nil, setup)
                local took = helper.evsock.now() - before
                assert.equal(wanted, status, place .. ": " .. output)
                assert.is_true(took < 1.5 * helper.slow, place .. (": %.1f s"):format(took))
                if form:find("error", 1, true) then
                    assert.is_truthy(output:find("an end", 1, true), place .. ": " .. output)
                else
                    assert.equal("ready\n", output, place)
                end
            end
        end)
    end

    it("frees the port and removes the socket file", function()
        local path = os.tmpname()
        os.remove(path)
        local output, status = tools.child(([[
            local evsock = require "evsock"
            local server = assert(evsock.listen("unix:%s", { on_data = function() end }))
            local other = assert(evsock.listen("127.0.0.1", 0, { on_data = function() end }))
            print(other.port)
        ]]):format(path))
        assert.equal(0, status)
        assert.is_nil(io.open(path))
        local server = assert(helper.evsock.listen("127.0.0.1", tonumber(output)))
        server:close()
    end)
end)

describe("programs that a script starts", function()
    after_each(helper.finish)

    for _, way in ipairs { "os.execute", "io.popen" } do
        it("by " .. way .. " inherit no descriptor of ours", function()
            local path = os.tmpname()
            os.remove(path)
            local output = tools.child(BUSY .. ([[
                assert(evsock.listen("unix:%s", { on_data = function() end }))
                assert(type(evsock.pollfd()) == "number")
                local client = link(evsock, nil, nil)
                -- Ours at least: epoll, wake, bell, listeners and both ends of each connection.
                -- One may go while they are listed.
                local mine = 0
                for line in io.popen("ls -l /proc/" .. pid .. "/fd 2>&1"):lines() do
                    if line:find("socket:") or line:find("anon_inode") then mine = mine + 1 end
                end
                local command = "ls -l /proc/self/fd >%s.list"
                if %q == "os.execute" then
                    os.execute(command)
                else
                    io.popen(command):close()
                end
                print(mine > 10, contents("%s.list"))
                os.exit(0)
            ]]):format(path, path, way, path))
            os.remove(path)
            os.remove(path .. ".list")
            assert.is_truthy(output:match("^true\t"), output)
            assert.is_nil(output:find("socket:", 1, true), output)
            assert.is_nil(output:find("anon_inode", 1, true), output)
        end)
    end
end)
