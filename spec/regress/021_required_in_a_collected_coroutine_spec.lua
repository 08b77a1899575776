-- Lua 5.1 and LuaJIT do not tell which thread is the main one, so the library took the thread that
-- loaded it to look for the hook that a signal sets. When that was a coroutine (Neovim, copas,
-- cqueues, callbacks of luv) and it was collected, every pump that waited read freed memory: LuaJIT
-- crashed.

local helper = require "spec.helper"

local SCRIPT = [[
local evsock
local thread = coroutine.create(function(name)
    evsock = require(name)
end)
assert(coroutine.resume(thread, %q))
thread = nil
collectgarbage()
collectgarbage()
-- Whatever was freed has another owner now.
local litter = {}
for i = 1, 2000 do
    litter[i] = coroutine.create(function() return i end)
    litter[-i] = ("x"):rep(i)
end
evsock = evsock.connect and evsock or require "evsock"
local heard
local server = assert(evsock.listen("127.0.0.1", 0, {
    on_data = function(sock) sock:write(sock:read()) end,
    on_accept = function() end,
}))
local client = evsock.connect("127.0.0.1", server.port, {
    on_connect = function(sock) sock:write("there and back") end,
    on_data = function(sock) heard = sock:read() end,
})
local function wait()
    local deadline = evsock.now() + 10
    while not heard and evsock.now() < deadline do
        evsock.pump(0.02)
    end
    return heard
end
-- Waits on the main thread, in a coroutine that goes as well, and on the main thread again.
print(wait())
for _ = 1, 3 do
    heard = nil
    client:write("once more")
    coroutine.wrap(wait)()
    collectgarbage()
    litter[#litter + 1] = coroutine.create(function() end)
    print(heard)
end
evsock.pump(0.05)
client:flush(1)
]]

describe("regress 021", function()
    for _, name in ipairs { "evsock", "evsock.qsys" } do
        it(("%s works on when the coroutine that required it first is gone"):format(name),
            function()
                local output, status = helper.run(SCRIPT:format(name))
                helper.printed("there and back\nonce more\nonce more\nonce more\n", output, status)
            end)
    end
end)
