-- Shows the Pharos dialect: an IO module that switches a projector on, and a projector.

local iomodules = require("evsock.pharos").install().iomodules
local net, Timer = iomodules.net, iomodules.Timer
local TcpSocket = net.TcpSocket

-- The projector: it greets, and answers each line.
local projector = net.TcpServer.new()
projector.new_connection_handler = function(server)
    local control = server:next_pending_connection()
    control.ready_read_handler = function(socket)
        while socket.can_read_line do
            print("projector: " .. socket:read_line_string():match("%S.*%S"))
            socket:write_string("%1POWR=OK\r\n")
        end
    end
    control:write_string("PJLINK 0\r\n")
end
assert(projector:listen(0))

-- The module, as it would be on a controller.
local socket = TcpSocket.new()

socket.state_changed_handler = function(_, state)
    print("module: " .. (state == TcpSocket.CONNECTED_STATE and "connected" or "state " .. state))
end

socket.ready_read_handler = function(s)
    while s.can_read_line do
        local line = s:read_line_string():gsub("%s+$", "")
        print("module: got " .. line)
        if line == "PJLINK 0" then
            s:write_string("%1POWR 1\r\n")
        else
            s:disconnect()
        end
    end
end

socket.error_handler = function(s)
    print("module: " .. s.error_string)
end

socket.disconnected_handler = function()
    projector:close()
end

local timer = Timer.new()
timer.interval, timer.single_shot = 100, true
timer.timeout_handler = function()
    socket:connect("127.0.0.1", projector.port)
end
timer:start()

require("evsock").run()
