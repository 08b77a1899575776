-- Q-SYS: TcpSocketServer.
--
-- Translation only; what it accepts are sockets of `socket.lua`.

local _, core = ...
local common, sock_api = core.common, core.socket
local settings = core.part "qsys/settings"
local sockets = core.part "qsys/socket"
local Socket, log = sockets.Socket, sockets.log
local CLIENT_ADDRESS, CONNECTED = sockets.CLIENT_ADDRESS, sockets.CONNECTED
local check_port = common.check_port

local Server
local server_methods = {}

function server_methods.Listen(server, port)
    Server.expect(server, "Listen")
    port = check_port(port, "Listen")
    -- Accepted sockets live while they have a handler, kept by the script or not (chapter 3).
    local listening, message = core.server.listen(server, "*", port, nil, Socket, "object")
    if listening then
        return nil
    end
    message = "Could not bind to port " .. port .. ": " .. message
    settings:log("error", "TcpSocketServer: " .. message)
    if settings:get("listen_raises") then
        core.raise(message)
    end
    return message
end

server_methods.Close = core.server.close

Server = core.class {
    name = "TcpSocketServer",
    kind = "server",
    anchor = "handlers",
    handlers = { "EventHandler" },
    methods = server_methods,
    on = {
        accept = function(server, socket)
            local handler = server.EventHandler
            socket[CLIENT_ADDRESS] = sock_api.info(socket).peer_address
            if not handler then
                log("warning", socket, "closed, for its server has no EventHandler")
                sock_api.release(socket)
                return false
            end
            socket[CONNECTED] = true
            handler(socket)
        end,
        error = function(_, message)
            settings:log("error", "TcpSocketServer: " .. message)
            return false
        end,
    },
    close = core.server.close,
    tostring = function()
        return "userdata: TcpSocketServer"
    end,
}

local TcpSocketServer = {}

function TcpSocketServer.New()
    return Server.new()
end

return TcpSocketServer
