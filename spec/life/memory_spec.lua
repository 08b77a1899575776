-- Memory that runs out for a moment, at one allocation after another: nothing crashes, and
-- afterwards everything works again. Runs in a C host with an allocator of its own.

local helper = require "spec.helper"
local tools = require "spec.life.tools"

local SCRIPT = [[
evsock = require "evsock"
local function wait(condition)
    local deadline = evsock.now() + 5
    while not condition() do
        assert(evsock.now() < deadline, "not within 5 s")
        evsock.pump(0.01)
    end
end
local made = {}
local function link()
    local peer
    local server = assert(evsock.listen("127.0.0.1", 0, {
        on_accept = function(_, sock) peer = sock end }))
    made[#made + 1] = server
    local client = assert(evsock.connect("127.0.0.1", server.port, { on_data = function() end }))
    made[#made + 1] = client
    local deadline = evsock.now() + 0.5
    while not (peer and client.state == "open") and evsock.now() < deadline do
        evsock.pump(0.01)
    end
    return client, assert(peer, "no peer"), server
end
local function clean()
    for _, object in ipairs(made) do
        object:close()
    end
    made = {}
    collectgarbage()
    evsock.pump()
end
function scenario()
    local client, peer = link()
    peer:write(("a line\n"):rep(20), ("y"):rep(3000), "\n")
    local deadline = evsock.now() + 0.5
    while client.buffered < 3141 and evsock.now() < deadline do
        evsock.pump(0.01)
    end
    client:read_line()
    client:peek(100)
    for _ in client:lines() do end
    client:write("answer")
    client:info()
    evsock.after(0, function() evsock.pump() end)
    evsock.spawn(function() evsock.sleep(0) end)
    evsock.connect("127.0.0.1", 1, { on_close = function(_, message) return message .. "!" end })
    evsock.pump(0.005)
    client:write()
end
-- What was under way may have been lost with the memory; what begins now must work.
function check()
    clean()
    for _ = 1, 40 do
        pcall(evsock.pump)
    end
    local client, peer, server = link()
    peer:write("first\nsecond\nrest")
    wait(function() return client.buffered == 17 end)
    assert(client:read_line() == "first" and client:read_line() == "second")
    assert(client:read() == "rest" and client.buffered == 0)
    local fired
    evsock.after(0, function() evsock.pump() fired = true end)
    wait(function() return fired end)
    server:close()
    clean()
end
local whole = scenario
function scenario()
    local ok, problem = pcall(whole)
    -- It ends with a misuse when nothing has failed.
    if not ok and not tostring(problem):find("'data' to 'write'") then error(problem, 0) end
end
check()
]]

-- LuaJIT takes no allocator of others everywhere, and 5.5 wants another argument.
local takes_allocators = not helper.is_luajit and helper.version < "Lua 5.5"

describe("memory that runs out", function()
    after_each(helper.finish)

    it("at any one allocation harms nothing that comes later", function()
        if not takes_allocators then
            return
        end
        local host = tools.host "short_memory"
        local turns = math.floor(150 / helper.fewer)
        local output, status = helper.run(SCRIPT)
        assert.equal("", output)
        assert.equal(0, status)
        local path = os.tmpname()
        local file = assert(io.open(path, "w"))
        file:write(SCRIPT)
        file:close()
        local paths = ("package.path, package.cpath = %q, %q"):format(package.path, package.cpath)
        local command = ("timeout 100 %s -e '%s' %s 1 %d %d 2>&1"):format(
            host, paths, path, math.floor(helper.fewer), turns)
        local pipe = assert(io.popen(command))
        local said = pipe:read("*a")
        pipe:close()
        os.remove(path)
        local met = tonumber(said)
        assert.is_truthy(met, said)
        assert.is_true(met > turns / 3, said)
    end)
end)
