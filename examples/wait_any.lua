-- Shows wait_any: one task that serves connections, hears datagrams and can be told to end.

local evsock = require "evsock"

-- Without on_accept and on_datagram both keep what comes until somebody takes it.
local server = assert(evsock.listen("127.0.0.1", 0))
local news = assert(evsock.udp("127.0.0.1", 0))
local stop = evsock.condition()

local service = evsock.spawn(function()
    local served = 0
    while true do
        local place, message = evsock.wait_any({
            stop, { server, "accept" }, { news, "datagram" },
        }, 5)
        if place == 2 then
            local sock = server:accept(0)
            sock:send("you are number " .. served + 1 .. "\n", 1)
            sock:close()
            served = served + 1
        elseif place == 3 then
            print("news: " .. news:receive(0))
        else
            print(place == 1 and "told to end" or message)
            return served
        end
    end
end)

for _ = 1, 2 do
    local client = evsock.connect("127.0.0.1", server.port)
    print(client:receive("*l", 1))
    client:close()
end
news:send_to("it works", "127.0.0.1", news.port)
evsock.after(0.1, function()
    stop:signal()
end)
local _, served = service:join()
server:close()
news:close()
print(served .. " served")
