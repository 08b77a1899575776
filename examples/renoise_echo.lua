-- A Renoise tool's sockets in a stock Lua: a server that calls back, a client that blocks.
--
--     lua examples/renoise_echo.lua
--
-- All but the next line is as it would stand in the main.lua of a tool.
require("evsock.renoise").install()

local server, problem = renoise.Socket.create_server("localhost", 0)
if not server then
    print("failed to start the server: " .. problem)
    return
end

server:run {
    socket_error = function(text)
        print("server: " .. text)
    end,
    socket_accepted = function(client)
        print("server: somebody connected from " .. client.peer_address)
    end,
    socket_message = function(client, message)
        print(("server: got %d bytes"):format(#message))
        client:send(message:upper())
    end,
}

local client
client, problem = renoise.Socket.create_client("localhost", server.local_port)
if not client then
    print("failed to connect: " .. problem)
    return
end

client:send("hello\r\nworld\r\n")
-- Inside Renoise its idle loop calls the server; here `wait` does, or `evsock.pump`.
server:wait(100)

local line
line, problem = client:receive("*line", 1000)
while line do
    print("client: " .. line)
    line, problem = client:receive("*line", 50)
end
print("client: " .. problem)

server:close()
print("client: " .. select(2, client:receive("*line", 1000)))
