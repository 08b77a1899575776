-- lua-redis: 40 subscribers, 20 pipelines and 20 transactions, all at once. Word: the port of
-- redis.

local start, port = ...
local redis = require "redis"
local socket = require "socket"

local SUBSCRIBERS, OTHERS, MESSAGES, TURNS = 40, 20, 25, 10
-- What lua-redis does in a pipeline is an error on other versions of Lua.
local HAS_PIPELINES = pcall(table.insert, {}, 0, 1)

local function connect()
    return redis.connect("127.0.0.1", tonumber(port))
end

local clients, listeners = {}, {}
start.together(SUBSCRIBERS, function(i)
    clients[i] = connect()
    listeners[i] = clients[i]:pubsub { subscribe = { "news", "own" .. i } }
    for _ = 1, 2 do
        assert(listeners[i]().kind == "subscribe")
    end
end)
print("subscribed", connect():publish("news", "first"))

local heard, answers, counted = 0, 0, 0

local function publish()
    -- The others wait by then.
    socket.sleep(0.05)
    local client = connect()
    for n = 1, MESSAGES do
        client:publish("news", "message " .. n)
    end
    for i = 1, SUBSCRIBERS do
        client:publish("own" .. i, "end")
    end
    client:quit()
end

local function listen(i)
    local client, n = clients[i], 0
    -- Not `for`: in Lua 5.1 no iterator of that can wait in a task.
    local message, abort = listeners[i]()
    while message do
        if message.kind ~= "message" then
            assert(message.kind == "unsubscribe")
        elseif message.payload == "end" then
            assert(message.channel == "own" .. i)
            abort()
        elseif n == 0 then
            assert(message.payload == "first")
            n = 1
        else
            assert(message.payload == "message " .. n)
            n = n + 1
        end
        message, abort = listeners[i]()
    end
    heard = heard + n
    client:quit()
end

local function pipeline(i)
    local client = connect()
    for turn = 1, TURNS do
        local replies = client:pipeline(function(p)
            for n = 1, 50 do
                p:set(("key:%d:%d"):format(i, n), turn * n)
                p:get(("key:%d:%d"):format(i, n))
            end
        end)
        for n = 1, 50 do
            assert(replies[2 * n] == tostring(turn * n))
        end
        answers = answers + #replies
    end
    client:quit()
end

-- Adds to a number that all change: who was too late does it again.
local function add()
    local client = connect()
    for _ = 1, TURNS do
        client:transaction({ watch = "sum", cas = true, retry = 1000 }, function(t)
            local sum = tonumber(t:get("sum")) or 0
            t:multi()
            t:set("sum", ("%d"):format(sum + 1))
        end)
        counted = counted + 1
    end
    client:quit()
end

start.together(1 + SUBSCRIBERS + 2 * OTHERS, function(i)
    if i == 1 then
        publish()
    elseif i <= 1 + SUBSCRIBERS then
        listen(i - 1)
    elseif i <= 1 + SUBSCRIBERS + OTHERS then
        local _ = HAS_PIPELINES and pipeline(i)
    else
        add()
    end
end)
print("heard", heard)
print("answers", answers)
print("added", counted, connect():get("sum"))
