-- Shows the Q-SYS dialect: a TcpSocketServer and a TcpSocket that talks to it.

local qsys = require("evsock.qsys").install()
local evsock = require "evsock"
local TcpSocket, TcpSocketServer = qsys.TcpSocket, qsys.TcpSocketServer

local PORT = 17200 + os.time() % 1000

local server = TcpSocketServer.New()
local sockets = {}
server.EventHandler = function(socket)
    sockets[#sockets + 1] = socket
    socket.EventHandler = function(sock, event)
        print("server: " .. event)
        if event == TcpSocket.Events.Data then
            sock:Write("got " .. sock:Read(sock.BufferLength))
        end
    end
end
local problem = server:Listen(PORT)
assert(not problem, problem)

local client = TcpSocket.New()
client.Connected = function(sock)
    sock:Write("ping")
end
client.Data = function(sock)
    print("client: " .. sock:Read(sock.BufferLength))
    sock:Disconnect()
    server:Close()
end
client:Connect("127.0.0.1", PORT)

evsock.run()
