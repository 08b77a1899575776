-- Shows a client that connects again by itself when the other side goes away.

local evsock = require "evsock"

local visits = 0
local server = assert(evsock.listen("127.0.0.1", 0, {
    on_accept = function(_, sock)
        visits = visits + 1
        sock:write("visit " .. visits .. "\n")
        sock:close()
    end,
}))

evsock.connect("127.0.0.1", server.port, {
    -- 0.1 s after the first loss, then longer, at most 1 s.
    reconnect = { min = 0.1, max = 1, factor = 2, jitter = 0 },
    on_data = function(sock)
        for line in sock:lines() do
            print(line)
        end
    end,
    on_close = function(sock)
        if visits == 3 then
            sock:close() -- ends reconnecting
            server:close()
        end
    end,
    on_reconnect = function(_, attempt)
        print("reconnecting, attempt " .. attempt)
    end,
})

evsock.run()
