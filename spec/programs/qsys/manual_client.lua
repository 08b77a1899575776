address = "192.168.1.100"
port = 1234
sock = TcpSocket.New()
sock.ReadTimeout = 0
sock.WriteTimeout = 0
sock.ReconnectTimeout = 5
sendData = 'Hello\x0d\x0a'
sock.EventHandler = function(sock, evt, err)
if evt == TcpSocket.Events.Connected then
print( "socket connected" )
elseif evt == TcpSocket.Events.Reconnect then
print( "socket reconnecting..." )
elseif evt == TcpSocket.Events.Data then
print( "socket has data" )
message = sock:ReadLine(TcpSocket.EOL.Any)
while (message ~= nil) do
print( "reading until CrLf got "..message )
message = sock:ReadLine(TcpSocket.EOL.Any)
end
elseif evt == TcpSocket.Events.Closed then
print( "socket closed by remote" )
elseif evt == TcpSocket.Events.Error then
print( "socket closed due to error", err )
elseif evt == TcpSocket.Events.Timeout then
print( "socket closed due to timeout" )
else
print( "unknown socket event", evt ) --should never happen
end
end
Controls.Inputs[1].EventHandler = function()
sock:Write(sendData)
end
sock:Connect(address, port)
