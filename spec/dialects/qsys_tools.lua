-- What the specs of Q-SYS share, and those of the rules that it stands for: sockets whose handler
-- notes what it gets, pairs, servers, waiting. Not here: what only one spec needs.

local helper = require "spec.helper"
local qsys = require "evsock.qsys"
local evsock = helper.evsock

local tools = {}

--- A socket that `finish` ends, and its log: `log[i]` is an event; `log.errors`, `log.times`,
--- `log.connected` (IsConnected) and `log.arguments` (their count) are what came with it.
--- `log.also(event)` is called after that. `new`: makes the socket instead of TcpSocket.New.
function tools.client(settings, new)
    local sock = helper.track((new or qsys.TcpSocket.New)())
    local log = { errors = {}, times = {}, connected = {}, arguments = {} }
    sock.EventHandler = function(...)
        collectgarbage()
        local given, event, err = ...
        assert(given == sock, "the handler got another socket")
        log[#log + 1] = event
        log.errors[#log] = err
        log.times[#log] = evsock.now()
        log.connected[#log] = given.IsConnected
        log.arguments[#log] = select("#", ...)
        if log.also then
            log.also(event)
        end
    end
    for name, value in pairs(settings or {}) do
        sock[name] = value
    end
    return sock, log
end

function tools.wait(condition, what)
    return helper.pump_until(condition, 5, what)
end

--- A connected socket, the native peer it talks to, its log (which begins with CONNECTED), and the
--- server's record.
function tools.connected(settings)
    local server = helper.server()
    local sock, log = tools.client(settings)
    sock:Connect("127.0.0.1", server.port)
    tools.wait(function()
        return (log[1] or sock.IsConnected) and server.sockets[1]
    end, "the pair is connected")
    return sock, server.sockets[1], log, server
end

function tools.wait_events(log, count)
    helper.pump_until(function()
        return #log >= count
    end, 5, "event " .. count .. " after " .. table.concat(log, " "))
end

function tools.wait_connected(sock)
    helper.wait_field(sock, "IsConnected", true)
end

tools.wait_state = helper.wait_state

function tools.wait_closed(peer)
    tools.wait_state(peer, "closed")
end

function tools.wait_buffered(peer, count)
    tools.wait(function()
        return peer.buffered >= count
    end, "the peer has " .. count .. " bytes")
end

--- A TcpSocketServer that `finish` closes.
function tools.server(handler)
    local server = helper.track(qsys.TcpSocketServer.New())
    server.EventHandler = handler
    return server
end

--- A server on a free port, the port, and what it has accepted.
function tools.listening(on_socket)
    local accepted, port = {}, helper.free_port()
    local server = tools.server(function(sock)
        collectgarbage()
        accepted[#accepted + 1] = sock
        helper.track(sock)
        if on_socket then
            on_socket(sock)
        end
    end)
    local problem = server:Listen(port)
    assert(problem == nil, problem)
    return server, port, accepted
end

--- For after_each: the host's settings as they were, and nothing left active.
function tools.finish()
    qsys.configure({ hosts = {}, ports = {} })
    helper.finish()
end

return tools
