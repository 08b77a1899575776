-- What the specs of Renoise share: connected clients, running servers, peers that act while a call
-- blocks. Not here: tests.

local helper = require "spec.helper"
local evsock = helper.evsock
local Socket = require("evsock.renoise").Socket

local tools = { Socket = Socket }

--- A client of ours, and the native socket that answers it.
function tools.client(options)
    local server = helper.server(options)
    local client = helper.track(assert(Socket.create_client("127.0.0.1", server.port)))
    helper.pump_until(function()
        return server.sockets[1]
    end, 5, "the peer")
    return client, server.sockets[1], server
end

function tools.wait(condition, what)
    return helper.pump_until(condition, 5, what)
end

--- A native client of a server, connected.
function tools.native_client(server)
    local native = helper.connect(server.local_port)
    helper.wait_state(native, "open")
    return native
end

--- A running server that notes what it tells: "accepted", "message TEXT". `log.clients` are the
--- clients; `also`: further callbacks, called after noting.
function tools.server(also)
    local server = helper.track(assert(Socket.create_server("localhost", 0)))
    local log = { clients = {} }
    server:run({
        socket_error = function(text)
            log[#log + 1] = "error " .. text
        end,
        socket_accepted = function(client)
            collectgarbage()
            log[#log + 1] = "accepted"
            log.clients[#log.clients + 1] = client
            if also and also.socket_accepted then
                also.socket_accepted(client)
            end
        end,
        socket_message = function(client, data)
            collectgarbage()
            log[#log + 1] = "message " .. data
            if also and also.socket_message then
                also.socket_message(client, data)
            end
        end,
    })
    return server, log
end

--- A server of ours with a native client; the accepted side is `log.clients[1]`.
function tools.accepted(also)
    local server, log = tools.server(also)
    local native = helper.connect(server.local_port)
    helper.pump_until(function()
        return log.clients[1] and native.state == "open"
    end, 5, "the accepted client")
    return log.clients[1], native, server, log
end

--- A client connected to a process of its own, which acts while the client blocks. `act` is Lua in
--- which `sock` is the connection and `later(seconds, fn)` a timer; it ends with the connection.
function tools.busy_client(act)
    local pipe = helper.start(([[
        local evsock = require "evsock"
        local later = evsock.after
        local server = assert(evsock.listen("127.0.0.1", 0))
        later(20, os.exit, 1)
        function server.on_accept(_, sock)
            function sock.on_close() os.exit(0) end
            %s
        end
        io.stdout:write(server.port, "\n")
        io.stdout:flush()
        evsock.run()
    ]]):format(act))
    local port = assert(tonumber(pipe:read("*l")), "no peer")
    local client = assert(Socket.create_client("127.0.0.1", port))
    helper.track(client, function()
        client:close()
        pipe:close()
    end)
    return client
end

--- Seconds that a call takes, and what it returns.
function tools.timed(fn, ...)
    local began = evsock.now()
    local a, b = fn(...)
    return evsock.now() - began, a, b
end

tools.compute = helper.compute

return tools
