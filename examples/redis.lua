-- Shows a redis client: many commands in one write, and the answers, in order, however they arrive.
--
-- Run it: lua examples/redis.lua HOST PORT  (or unix:/path/of/the/socket instead of both)

local evsock = require "evsock"

assert(arg[1], "usage: lua examples/redis.lua HOST PORT | unix:/PATH")
local sock = evsock.connect(arg[1], arg[2])

-- A command is a list of strings, each with its length: they may hold any bytes.
local function command(...)
    local words = { ... }
    for i, word in ipairs(words) do
        words[i] = "$" .. #word .. "\r\n" .. word .. "\r\n"
    end
    return "*" .. #words .. "\r\n" .. table.concat(words)
end

-- Waits for one answer. The waiting calls pump by themselves; in a task they suspend only it.
local function answer()
    local line = assert(sock:receive("*l"))
    local kind, rest = line:sub(1, 1), line:sub(2)
    if kind == "$" then
        local size = tonumber(rest)
        return size >= 0 and assert(sock:receive(size + 2)):sub(1, -3) or nil
    elseif kind == ":" then
        return tonumber(rest)
    elseif kind == "-" then
        error("redis: " .. rest)
    end
    return rest
end

local COUNT, KEY = 1000, "evsock:example"

local commands = { command("DEL", KEY) }
for _ = 1, COUNT do
    commands[#commands + 1] = command("INCR", KEY)
end
sock:write(table.concat(commands))
answer()
for i = 1, COUNT do
    assert(answer() == i, "out of order")
end
print(COUNT .. " commands in one write: " .. COUNT .. " answers, in order")

local bytes = {}
for i = 0, 255 do
    bytes[i + 1] = string.char(i)
end
local value = table.concat(bytes):rep(40960)
sock:write(command("SET", KEY, value), command("GET", KEY), command("DEL", KEY))
print("a value of " .. #value .. " bytes: " .. answer())
print("read back byte for byte: " .. tostring(answer() == value))
assert(answer() == 1)
sock:close()
evsock.run()
