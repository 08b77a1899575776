-- Memory that runs out for a moment, at one allocation after another: nothing crashes, and
-- afterwards everything works again. Runs in a C host with an allocator of its own.

local helper = require "spec.helper"
local tools = require "spec.life.tools"

local SCRIPT = [[
-- The compiler of Debian's LuaJIT does not always survive it.
if rawget(_G, "jit") then jit.off() end
evsock = require "evsock"
-- Failures that nobody hears are what is made here.
evsock.on_unhandled = false
local child = require "spec.child"
local function wait(condition) child.wait_until(evsock, "a condition", condition) end
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
-- Lua 5.4 never gets over it when memory is out while it makes its first large buffer.
assert(#("x"):rep(100000):gsub("x", "y") == 100000)
local whole = scenario
function scenario()
    local ok, problem = pcall(whole)
    -- It ends with a misuse when nothing has failed.
    if not ok and not tostring(problem):find("'data' to 'write'") then error(problem, 0) end
end
check()
]]

-- What takes bytes of a socket, or is told something, at each allocation that it makes: nothing is
-- lost, nothing comes twice, and handlers can be called as deep as before.
local EXACT = [[
-- As above.
if rawget(_G, "jit") then jit.off() end
evsock = require "evsock"
-- Failures that nobody hears are what is made here.
evsock.on_unhandled = false
local TEXT = "first\r\n" .. ("x"):rep(5000) .. "\n" .. ("y"):rep(300) .. "\nlast\n"
TEXT = TEXT .. ("a line of thirty bytes, or so\n"):rep(60) .. "rest"
assert(#("x"):rep(100000):gsub("x", "y") == 100000)
local rounds, met = 0, 0
local child = require "spec.child"
local function wait(condition) child.wait_until(evsock, "a condition", condition) end
local function link(options)
    local client, peer, server = child.link(evsock, options)
    server:close()
    return client, peer
end
-- Runs `step` with the n-th allocation failing, for n = 1, 2 ... until there is none.
local function starving(prepare, step, check)
    local n, fails = 0, true
    while fails do
        n = n + 1
        assert(n < 2000, "no end of allocations")
        local prepared = prepare()
        starve(n)
        local ok, value = pcall(step, prepared)
        fails = starve(0)
        rounds, met = rounds + 1, met + (fails and 1 or 0)
        if not ok and not fails then error(value, 0) end
        local went, problem = pcall(check, prepared, ok, value, n)
        if not went then
            error(("%s (allocation %d, %s)"):format(problem, n, tostring(value)), 0)
        end
    end
end
-- One pair for all turns, so that what a turn leaves behind meets the next.
local client, peer = link { on_data = function() end }
local function full()
    client:read()
    peer:write(TEXT)
    wait(function() return client.buffered == #TEXT end)
    return client
end
local function rest_of(sock)
    local announced = sock.buffered
    local rest = sock:read() or ""
    assert(#rest == announced and sock.buffered == 0, "wrong 'buffered'")
    return rest
end
local function whole(text, taken)
    if text ~= taken then
        local at = 1
        while text:byte(at) == taken:byte(at) do at = at + 1 end
        error(("%d bytes of %d, and another at %d"):format(#taken, #text, at), 0)
    end
end
local readers = {
    { "read_line", function(sock) return sock:read_line() end, { "\r\n", "\n" } },
    { "read_until", function(sock) return sock:read_until("\n", true) end, {} },
    { "read_exact", function(sock) return sock:read_exact(3000) end, {} },
    { "read", function(sock) return sock:read() end, {} },
    { "read of some", function(sock) return sock:read(100) end, {} },
    { "peek", function(sock) sock:peek() return "" end, {} },
    { "receive", function(sock) return (sock:receive("*l", 0.02)) end, { "\r\n", "\n" } },
    { "receive of a count", function(sock) return (sock:receive(3000, 0.02)) end, {} },
    { "lines", function(sock) return sock:lines()() end, { "\r\n", "\n" } },
}
for _, reader in ipairs(readers) do
    local name, step, ends = reader[1], reader[2], reader[3]
    for _, before in ipairs { 0, 7, 7 + 5001, 7 + 5001 + 301 + 5 } do
        starving(function()
            full()
            if before > 0 then assert(#client:read(before) == before) end
            return client
        end, step, function(sock, ok, value)
            local taken = ok and value or ""
            local rest = rest_of(sock)
            local wanted = TEXT:sub(before + 1)
            if ok and #taken + #rest < #wanted then
                for _, ending in ipairs(ends) do
                    if #taken + #ending + #rest == #wanted then
                        taken = taken .. ending
                        break
                    end
                end
            end
            local good, problem = pcall(whole, wanted, taken .. rest)
            assert(good, name .. ": " .. tostring(problem))
        end)
    end
end
-- A loop over all lines: those that it had are gone, the others are there.
local got
starving(function()
    got = { n = 0 }
    for i = 1, 100 do got[i] = false end
    return full()
end, function(sock)
    for line in sock:lines() do
        got.n = got.n + 1
        got[got.n] = line
    end
end, function(sock)
    local text = table.concat(got, "\n", 1, got.n) .. (got.n > 0 and "\n" or "")
    whole((TEXT:gsub("\r\n", "\n")), ((text .. rest_of(sock)):gsub("\r\n", "\n")))
end)
-- A task that waits: what it has not returned is there.
local answer
starving(function()
    client:read()
    answer = false
    local task = evsock.spawn(function() answer = client:receive("*l", 5) end)
    evsock.pump(0)
    peer:write("for the task\n")
    return task
end, function(task)
    local deadline = evsock.now() + 5
    while not (task.done or client.buffered > 0) and evsock.now() < deadline do
        evsock.pump(0.01)
    end
end, function(task)
    local deadline = evsock.now() + 5
    while not answer and client.buffered == 0 and evsock.now() < deadline do
        pcall(evsock.pump, 0.01)
    end
    local rest = client:read() or ""
    assert((answer and answer .. "\n" or "") .. rest == "for the task\n",
        "the task: " .. tostring(answer) .. ", left: " .. rest)
    task:cancel()
end)
-- Tasks that sleep, are spawned, join: each comes to its end.
local function sleeps() evsock.sleep(0.005) end
local quiet = assert(evsock.listen("127.0.0.1", 0))
local datagrams, condition = assert(evsock.udp("127.0.0.1", 0)), evsock.condition()
local spawns = {
    ["that sleeps"] = function() return evsock.spawn(sleeps), 1 end,
    ["that was spawned"] = function()
        return evsock.spawn(function(own) assert(own == "its own") sleeps() end, "its own"), 0
    end,
    ["that joins"] = function()
        return evsock.spawn(function() return evsock.spawn(sleeps):join() end), 2
    end,
    ["that waits with a timeout"] = function()
        return evsock.spawn(function() return client:receive("*l", 0.01) end), 1
    end,
    ["that waits for several"] = function()
        local list = { { client, "data" }, { quiet, "accept" }, condition, evsock.spawn(sleeps) }
        return evsock.spawn(function() return evsock.wait_any(list, 0.01) end), 1
    end,
    ["that waits for several, which it has not begun"] = function()
        local list = { { client, "more" }, { datagrams, "datagram" }, condition, evsock.queue() }
        return evsock.spawn(function() return evsock.wait_any(list, 0.01) end), 0
    end,
    ["that accepts"] = function()
        return evsock.spawn(function() return quiet:accept(0.01) end), 0
    end,
    ["that receives datagrams"] = function()
        return evsock.spawn(function() return datagrams:receive(0.01) end), 0
    end,
}
for name, spawn in pairs(spawns) do
    starving(function()
        client:read()
        local task, pumps = spawn()
        for _ = 1, pumps do evsock.pump(0) end
        -- So that calls need memory of their own again.
        collectgarbage()
        collectgarbage()
        return task
    end, function(task)
        local deadline = evsock.now() + 5
        while not task.done and evsock.now() < deadline do
            evsock.pump(0.002)
        end
    end, function(task)
        local deadline = evsock.now() + 5
        while not task.done do
            assert(evsock.now() < deadline, "the task " .. name .. " never ended")
            pcall(evsock.pump, 0.01)
        end
    end)
end
-- Nobody who is gone stands anywhere.
assert(condition:broadcast() == 0, "somebody waits for the condition")
local held = (function()
    quiet:close()
    datagrams:close()
    local both = setmetatable({ quiet, datagrams }, { __mode = "v" })
    quiet, datagrams = nil, nil
    return both
end)()
for _ = 1, 4 do
    evsock.pump(0)
    collectgarbage()
end
assert(next(held) == nil, "somebody holds the server or the datagrams")
-- What is told with a text, or makes an object, each in a pump.
local told
local happenings = {
    on_close = function()
        told = nil
        local other, its_peer = link { on_close = function(_, message) told = message or true end }
        other:close()
        its_peer:close()
        return function() return other.state == "closed" end
    end,
    refused = function()
        local other = assert(evsock.connect("127.0.0.1", 1, {
            on_close = function(_, message) told = message end }))
        return function() return other.state == "closed" end
    end,
    on_accept = function()
        local server = assert(evsock.listen("127.0.0.1", 0, {
            on_accept = function(_, sock) told = sock end }))
        local other = assert(evsock.connect("127.0.0.1", server.port, {
            on_data = function() end }))
        told = nil
        return function()
            return told or other.state == "closed" or not other:info().live.connected
        end, function()
            server:close()
            other:close()
            if told then told:close() end
        end
    end,
}
for name, happening in pairs(happenings) do
    starving(function()
        local is_over, clean = happening()
        return { is_over, clean or function() end }
    end, function(prepared)
        -- Each pump that fails would leave its depth behind.
        for _ = 1, 100 do
            evsock.pump(0.002)
            if prepared[1]() then return end
        end
    end, function(prepared)
        local deadline = evsock.now() + 5
        while not prepared[1]() do
            assert(evsock.now() < deadline, name .. " never came")
            pcall(evsock.pump, 0.01)
        end
        prepared[2]()
        collectgarbage()
        evsock.pump(0)
    end)
end
-- As deep as before: 32 pumps inside of each other.
local deepest = 0
local function descend()
    deepest = deepest + 1
    if deepest < 32 then
        evsock.after(0, descend)
        local before = deepest
        wait(function() return deepest > before end)
    end
end
evsock.after(0, descend)
wait(function() return deepest == 32 end)
client:close()
peer:close()
evsock.run()
print(rounds, met)
]]

local function in_host(script, from, step, turns)
    local host = tools.host "short_memory"
    local path = os.tmpname()
    local file = assert(io.open(path, "w"))
    file:write(script)
    file:close()
    local paths = ("package.path, package.cpath = %q, %q"):format(package.path, package.cpath)
    local command = ("timeout 100 %s -e '%s' %s %d %d %d 2>&1"):format(
        host, paths, path, from, step, turns)
    local pipe = assert(io.popen(command))
    local said = pipe:read("*a")
    pipe:close()
    os.remove(path)
    return said
end

describe("memory that runs out", function()
    after_each(helper.finish)

    it("at any one allocation harms nothing that comes later", function()
        local turns = math.floor(150 / helper.fewer)
        local output, status = helper.run(SCRIPT)
        helper.printed("", output, status)
        local said = in_host(SCRIPT, 1, math.floor(helper.fewer), turns)
        local met = tonumber(said)
        assert.is_truthy(met, said)
        assert.is_true(met > turns / 3, said)
    end)

    it("loses and doubles no byte, and leaves no handler's depth behind", function()
        local said = in_host(EXACT, 1, 1, 0)
        local rounds, met = said:match("^(%d+)%s+(%d+)%s+0%s*$")
        assert.is_truthy(rounds, said)
        assert.is_true(tonumber(met) > 20, said)
    end)
end)
