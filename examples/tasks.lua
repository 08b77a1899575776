-- Shows tasks: code that waits in the middle of a line, many at a time, without handlers.

local evsock = require "evsock"

local server = assert(evsock.listen("127.0.0.1", 0, {
    on_accept = function(_, sock)
        evsock.spawn(function()
            for _ = 1, 2 do
                local name = sock:receive("*l")
                evsock.sleep(0.05) -- only this task waits
                sock:send("hello, " .. name .. "\n")
            end
            sock:close()
        end)
    end,
}))

local function greet(name)
    local sock = evsock.connect("127.0.0.1", server.port)
    for round = 1, 2 do
        assert(sock:send(name .. "\n", 1))
        local answer, message = sock:receive("*l", 1)
        print(round, answer or message)
    end
    sock:close()
    return #name
end

local tasks = {}
for _, name in ipairs { "Ada", "Grace", "Hedy" } do
    tasks[#tasks + 1] = evsock.spawn(greet, name)
end

local letters = 0
for _, task in ipairs(tasks) do
    -- Here, outside of any task, the waiting calls pump: the tasks go on.
    local ok, count = task:join()
    letters = letters + assert(ok and count, count)
end
server:close()
print(letters .. " letters")
