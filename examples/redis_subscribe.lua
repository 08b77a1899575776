-- Shows a subscription: a task waits for what another connection publishes.
--
-- Run it: lua examples/redis_subscribe.lua HOST PORT  (or unix:/path/of/the/socket instead of both)

local evsock = require "evsock"

assert(arg[1], "usage: lua examples/redis_subscribe.lua HOST PORT | unix:/PATH")

local CHANNEL = "evsock:news"

-- "$5 hello" is a string with its length, ":1" a number, "*3" begins a list of three.
local function item(sock)
    local line = assert(sock:receive("*l"))
    local number = assert(tonumber(line:sub(2)), line)
    if line:sub(1, 1) == "$" then
        return (assert(sock:receive(number + 2)):sub(1, -3))
    end
    return number
end

local function list(sock)
    local items = {}
    for i = 1, item(sock) do
        items[i] = item(sock)
    end
    return items
end

local reader = evsock.connect(arg[1], arg[2])
reader:write("SUBSCRIBE " .. CHANNEL .. "\r\n")
print("subscriptions: " .. list(reader)[3])

local task = evsock.spawn(function()
    repeat
        local message = list(reader)
        print("heard: " .. message[3])
    until message[3] == "goodbye"
    reader:close()
end)

local writer = evsock.connect(arg[1], arg[2])
for _, news in ipairs { "hello", "a word with spaces", "goodbye" } do
    writer:write("PUBLISH " .. CHANNEL .. ' "' .. news .. '"\r\n')
    print("listeners: " .. item(writer))
end
task:join()
writer:close()
evsock.run()
