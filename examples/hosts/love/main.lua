-- evsock in LÖVE: love.update pumps once a frame; nothing ever waits. Shows echoes, then quits.

local evsock = require "evsock"

local server, client
local echoes = 0

function love.load()
    server = assert(evsock.listen("127.0.0.1", 0, {
        on_data = function(sock) sock:write(sock:read()) end,
    }))
    client = evsock.connect("127.0.0.1", server.port, { reconnect = 1 })
    client:write("hello\n")
    client.on_data = function(sock)
        echoes = echoes + 1
        print("echo", (sock:read_line()))
        if echoes == 5 then love.event.quit() end
        sock:write("hello\n")
    end
end

function love.update()
    evsock.pump()
end

function love.draw()
    love.graphics.print(("%d echoes, the connection is %s"):format(echoes, client.state), 20, 20)
end

function love.quit()
    client:close()
    server:close()
    local deadline = evsock.now() + 1
    while evsock.active() > 0 and evsock.now() < deadline do
        evsock.pump(0.1) -- what was written still goes out
    end
end
