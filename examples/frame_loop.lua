-- Shows pump() in a loop of your own, once a frame, without ever blocking it.

local evsock = require "evsock"

local server = assert(evsock.listen("127.0.0.1", 0, {
    on_data = function(sock)
        sock:write(sock:read())
    end,
}))

local answer
local client = evsock.connect("127.0.0.1", server.port)
client.on_connect = function(sock)
    sock:write("from a frame")
end
client.on_data = function(sock)
    answer = sock:read()
end

local frames = 0
while not answer and frames < 1000 do
    evsock.pump() -- handles what waits now
    local busy_until = os.clock() + 0.002 -- the rest of the frame
    while os.clock() < busy_until do
        frames = frames + 0
    end
    frames = frames + 1
end
print("answer: " .. tostring(answer))
