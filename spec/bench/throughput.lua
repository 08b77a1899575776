-- A download of 1 GiB within one script, and lines of 60 bytes into Lua strings.
--
--   LUA_CPATH="build/5.4/?.so;;" lua5.4 spec/bench/throughput.lua

local evsock = require "evsock"

local function transfer(piece, total, on_data)
    local sent = 0
    local function fill(sock)
        while sent < total do
            if not sock:write(piece) then
                return
            end
            sent = sent + #piece
        end
        sock:close()
    end
    local server = assert(evsock.listen("127.0.0.1", 0, {
        on_accept = function(own, sock)
            own:close()
            fill(sock)
        end,
        on_drain = fill,
        write_limit = 4 * 1024 * 1024,
    }))
    local began = evsock.now()
    evsock.connect("127.0.0.1", server.port, { on_data = on_data })
    evsock.run()
    return evsock.now() - began
end

local received = 0
local seconds = transfer(("x"):rep(65536), 1024 * 1024 * 1024, function(sock)
    received = received + #sock:read()
end)
print(("download_mb_per_s %.0f"):format(received / seconds / 1e6))

local lines = 0
seconds = transfer((("x"):rep(58) .. "\r\n"):rep(1000), 300 * 1000 * 1000, function(sock)
    for _ in sock:lines() do
        lines = lines + 1
    end
end)
print(("lines_per_s %.0f"):format(lines / seconds))
