-- A device for the demo: answers lines, goes away for two seconds after the first, ends after the
-- second. Prints its port first. Whatever happens, it is gone after 40 seconds.

local evsock = require "evsock"

local HOST, AWAY, LIFE = "127.0.0.1", 2, 40
local answers = 0
local server, port

local function listen()
    local sockets = {}
    server = assert(evsock.listen(HOST, port or 0, {
        on_accept = function(_, sock)
            sockets[#sockets + 1] = sock
        end,
        on_data = function(sock)
            for line in sock:lines() do
                answers = answers + 1
                sock:write("you said " .. line .. "\r\n", "answer " .. answers .. "\r\n")
                if answers == 1 then
                    evsock.after(1, function()
                        server:close()
                        for _, each in ipairs(sockets) do
                            each:close()
                        end
                        evsock.after(AWAY, listen)
                    end)
                else
                    evsock.after(1, evsock.stop)
                end
            end
        end,
    }))
    port = server.port
end

listen()
print(port)
io.stdout:flush()
evsock.after(LIFE, evsock.stop)
evsock.run()
