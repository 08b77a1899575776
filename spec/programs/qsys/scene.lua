-- A script of a design: buttons of its own, and named components of the design.

local amplifier = Component.New("Amplifier")
local sock = TcpSocket.New()

sock.EventHandler = function(_, event)
    if event == TcpSocket.Events.Connected then
        Controls.Outputs[1].String = "connected"
    elseif event == TcpSocket.Events.Data then
        local line = sock:ReadLine(TcpSocket.EOL.Any)
        while line do
            amplifier["volume"].String = line
            line = sock:ReadLine(TcpSocket.EOL.Any)
        end
    end
end

for number = 1, 2 do
    Controls.Inputs[number].EventHandler = function(ctl)
        print("button", number, ctl.String)
        sock:Write("SCENE " .. number .. "\n")
    end
end

amplifier["mute"].EventHandler = function(ctl)
    sock:Write("MUTE " .. tostring(ctl.Boolean) .. "\n")
end

Components = Component.GetComponents()
AmplifierControls = Component.GetControls("Amplifier")
sock:Connect(Controls.Address.String, 5005)
