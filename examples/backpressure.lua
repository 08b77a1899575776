-- Shows sending a lot without filling the memory: write until refused, go on at on_drain.

local evsock = require "evsock"

local TOTAL, PIECE = 64 * 1024 * 1024, ("x"):rep(65536)

local received = 0
local server = assert(evsock.listen("127.0.0.1", 0, {
    on_data = function(sock)
        received = received + #sock:read()
    end,
    on_accept = function(own)
        own:close()
    end,
}))

local sent = 0
local function fill(sock)
    while sent < TOTAL do
        local ok, _, code = sock:write(PIECE)
        if not ok then
            assert(code == "EAGAIN")
            return -- on_drain calls again
        end
        sent = sent + #PIECE
    end
    sock:close()
end

evsock.connect("127.0.0.1", server.port, {
    write_limit = 1024 * 1024,
    on_connect = fill,
    on_drain = fill,
})
evsock.run()
print("sent " .. sent .. ", received " .. received)
