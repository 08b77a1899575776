-- Every place of the library that takes a host or tells one, each with a check that takes an
-- address the way it is written and finds it told the way addresses are told. Needs no busted:
-- specs run it here, and in interpreters in networks of their own.
--
-- A form has `given` (how it is written), `shown` (so in messages), `other` (another way to write
-- it), `told` (how it is told at this end of the cable); `own`, `own_shown` and `own_told`, the
-- same of the end that is connected to; `from` (our end), `from_told_here` and `from_told` (how
-- we are told of it, and the other end). With loopback all are the same address.

return function(evsock, wait)
    local list = {}
    local made = {}

    local function place(name, check)
        list[#list + 1] = { name = name, check = function(form)
            local ok, problem = pcall(check, form)
            for _, object in ipairs(made) do
                local close = object.abort or object.close or object.disconnect
                    or object.Disconnect or object.Close
                pcall(close, object)
            end
            made = {}
            if not ok then
                error(name .. ": " .. form.given .. ": " .. tostring(problem), 0)
            end
        end }
    end

    local function keep(object, ...)
        assert(object, ...)
        made[#made + 1] = object
        return object, ...
    end

    local function equal(wanted, found, what)
        if wanted ~= found then
            error(("%s: %s, not %s"):format(what, tostring(found), tostring(wanted)), 2)
        end
    end

    local function beside(host, port)
        return (host:find(":", 1, true) and "[" .. host .. "]" or host) .. ":" .. port
    end

    -- A server at the end that is connected to; its accepted sockets are appended to the second.
    local function listening(form, options)
        local accepted = {}
        options = options or {}
        options.on_accept = function(_, sock) accepted[#accepted + 1] = keep(sock) end
        local server, message = evsock.listen(form.own, 0, options)
        return keep(server, message), accepted
    end

    local function free_port(form)
        local server = assert(evsock.listen(form.own, 0))
        local port = server.port
        server:close()
        return port
    end

    local function ends_fit(form, sock, peer)
        equal(form.told, sock.peer_address, "peer_address")
        equal(form.from_told_here, sock.local_address, "local_address")
        equal(form.told, sock:info().peer_address, "info().peer_address")
        equal(form.from_told_here, sock:info().local_address, "info().local_address")
        equal(form.from_told, peer.peer_address, "peer_address of the accepted one")
        equal(form.own_told, peer.local_address, "local_address of the accepted one")
        equal("evsock.Socket: open " .. beside(form.from_told, sock.local_port), tostring(peer),
            "tostring of the accepted one")
    end

    place("listen", function(form)
        local server = listening(form)
        equal(form.own_told, server.address, "server.address")
        equal("evsock.Server: listening " .. beside(form.own_told, server.port), tostring(server),
            "tostring")
        local _, message = evsock.listen(form.own, server.port)
        equal("listen " .. beside(form.own_shown, server.port) .. ": address already in use",
            message, "message")
    end)

    place("connect", function(form)
        local server, accepted = listening(form)
        local sock = keep(evsock.connect(form.given, server.port))
        equal(form.given, sock.host, "host")
        sock.on_resolve = function() error("an address was looked up") end
        wait("a connection", function() return sock.state == "open" and accepted[1] end)
        equal(form.given, sock:info().host, "info().host")
        equal("evsock.Socket: open " .. beside(form.shown, server.port), tostring(sock), "tostring")
        ends_fit(form, sock, accepted[1])
        accepted[1]:abort()
        local told
        sock.on_close = function(_, message) told = message end
        wait("an end", function() return told end)
        equal("read " .. beside(form.shown, server.port) .. ": connection reset by peer", told,
            "message of the end")
    end)

    place("socket:connect, bind", function(form)
        local server, accepted = listening(form)
        local sock = keep(evsock.socket({ bind = { form.from, 0 } }))
        equal(form.from, sock.bind[1], "bind")
        sock:connect(form.given, server.port)
        wait("a connection", function() return sock.state == "open" and accepted[1] end)
        ends_fit(form, sock, accepted[1])
    end)

    place("a refusal", function(form)
        local port, told = free_port(form), nil
        local sock = keep(evsock.connect(form.given, port))
        sock.on_close = function(_, message) told = message end
        wait("a refusal", function() return told end)
        equal("connect " .. beside(form.shown, port) .. ": connection refused", told, "message")
    end)

    place("a task that waits", function(form)
        local server = listening(form)
        local problem, done
        evsock.spawn(function()
            local sock = keep(evsock.connect(form.given, server.port))
            assert(sock:wait("connect", 10))
            local _, message = sock:receive("*l", 0)
            problem, done = message, true
        end)
        wait("a task", function() return done end)
        equal("receive " .. beside(form.shown, server.port) .. ": timed out", problem, "message")
    end)

    place("udp, send_to, on_datagram, read", function(form)
        local got
        local one = keep(evsock.udp(form.own, 0, {
            on_datagram = function(udp, data, host, port)
                got = { host, port }
                assert(udp:send_to(data .. "!", host, port))
            end,
        }))
        equal(form.own_told, one.host, "host")
        equal("evsock.Udp: bound " .. beside(form.own_told, one.port), tostring(one), "tostring")
        local two = keep(evsock.udp(form.from, 0))
        equal(form.from_told_here, two.host, "host of the other")
        assert(two:send_to("x", form.given, one.port))
        local data, host, port
        wait("an answer", function()
            if not data then
                data, host, port = two:read()
            end
            return data
        end)
        equal(form.from_told, got[1], "host of on_datagram")
        equal(two.port, got[2], "port of on_datagram")
        equal("x!", data, "data")
        equal(form.told, host, "host of read")
        equal(one.port, port, "port of read")
        local _, message = evsock.udp(form.own, one.port)
        equal("udp " .. beside(form.own_shown, one.port) .. ": address already in use", message,
            "message")
    end)

    place("udp:connect", function(form)
        local one = keep(evsock.udp(form.own, 0))
        local connected, told
        local two = keep(evsock.udp(form.from, 0, {
            on_connect = function() connected = true end,
            on_error = function(_, message) told = message end,
        }))
        assert(two:connect(form.given, one.port))
        wait("a connection", function() return connected end)
        assert(two:send_to("x"))
        local data, host, port
        wait("a datagram", function()
            if not data then
                data, host, port = one:read()
            end
            return data
        end)
        equal(form.from_told, host, "host of read")
        assert(one:send_to("y", host, port))
        wait("an answer", function()
            data, host = two:read()
            return data == "y"
        end)
        equal(form.told, host, "host of the answer")
        port = one.port
        one:close()
        wait("a refusal", function()
            two:send_to("x")
            return told
        end)
        equal("receive " .. beside(form.told, port) .. ": connection refused", told, "message")
    end)

    place("resolve", function(form)
        local found = assert(evsock.resolve(form.given, 10))
        equal(1, #found, "addresses")
        equal(form.told, found[1].address, "address")
        equal(form.told:find(":", 1, true) and "inet6" or "inet", found[1].family, "family")
    end)

    -- The dialects: `connect(name, port)` leads to a table with `peer`, how the peer is told, or to
    -- nil while it does not stand.
    local dialects = {}

    function dialects.qsys(module, host, port)
        local socket = keep(module.TcpSocket.New())
        socket:Connect(host, port)
        return socket, function()
            return socket.IsConnected and "" or nil
        end
    end

    function dialects.pharos(module, host, port)
        local socket = keep(module.net.TcpSocket.new())
        socket:connect(host, port)
        return socket, function()
            return socket.state == 3 and socket.remote_address or nil
        end
    end

    function dialects.hammerspoon(module, host, port)
        local socket = keep(module.socket.new())
        socket:connect(host, port)
        return socket, function()
            return socket:connected() and socket:info().connectedHost or nil
        end
    end

    function dialects.renoise(module, host, port)
        local client = keep(module.Socket.create_client(host, port))
        return client, function()
            return client.is_open and client.peer_address or nil
        end
    end

    for name, connect in pairs(dialects) do
        local module = require("evsock." .. name)
        local function leads(host, port, told)
            local socket, peer = connect(module, host, port)
            local found
            wait("a connection", function()
                found = peer()
                return found
            end)
            -- Q-SYS tells of no address.
            if found ~= "" then
                equal(told, found, "peer")
            end
            assert(not tostring(socket):find("[[", 1, true), tostring(socket))
            if name == "qsys" then
                local text = beside(host:match("^%[(.*)%]$") or host, port)
                assert(tostring(socket):find(text, 1, true), tostring(socket))
            end
            return socket
        end

        place(name .. " connects", function(form)
            local server = listening(form)
            module.configure { hosts = {} }
            leads(form.given, server.port, form.told)
        end)

        place(name .. ": hosts lead there", function(form)
            local server = listening(form)
            local host = form.given:match("^%[(.*)%]$") or form.given
            local with_port = beside(host, server.port)
            for _, address in ipairs { with_port, form.given } do
                module.configure { hosts = { ["device.example"] = address } }
                local port = address == with_port and 9 or server.port
                leads("device.example", port, form.told)
            end
            module.configure { hosts = {} }
        end)

        place(name .. ": hosts lead elsewhere, whatever way the address is written", function(form)
            local server = keep(evsock.listen("127.0.0.1", 0, {
                on_accept = function(_, sock) keep(sock) end,
            }))
            for _, key in ipairs { form.given, form.told, form.other } do
                module.configure { hosts = { [key] = "127.0.0.1:" .. server.port } }
                for _, host in ipairs { form.given, form.told, form.other } do
                    local socket, peer = connect(module, host, 9)
                    wait("a connection to " .. host .. " by " .. key, peer)
                    assert(not tostring(peer()):find("[%[%]]"), peer())
                    assert(socket)
                end
            end
            module.configure { hosts = {} }
        end)
    end

    place("qsys: datagrams", function(form)
        local class = require("evsock.qsys").UdpSocket
        local one, two, packet = keep(class.New()), keep(class.New()), nil
        one.Data = function(_, got) packet = got end
        one:Open(form.own)
        two:Open(form.from)
        local port = tonumber(tostring(one):match(":(%d+)$"))
        equal("userdata: UdpSocket open " .. beside(form.own_told, port), tostring(one), "tostring")
        two:Send(form.given, port, "x")
        wait("a datagram", function() return packet end)
        equal(form.from_told, packet.Address, "Address")
    end)

    place("qsys: URLs", function(form)
        local got, asked
        local server = keep(evsock.listen(form.own, 0, {
            on_accept = function(_, sock)
                keep(sock).on_data = function()
                    asked = sock:read()
                    sock:write("HTTP/1.1 204 None\r\n\r\n")
                end
            end,
        }))
        local host, port = form.given:match("^%[(.*)%]$") or form.given, server.port
        local function ask()
            got = nil
            require("evsock.qsys").HttpClient.Get {
                Url = "http://" .. beside(host, port) .. "/",
                EventHandler = function(_, code, _, problem) got = { code, problem } end,
            }
            wait("an answer", function() return got end)
        end
        ask()
        equal(204, got[1], "code")
        equal(beside(host:gsub("%%.*", ""), port), asked:match("Host: ([^\r]*)"), "Host")
        server:close()
        ask()
        local refused = ": connection refused"
        equal("Get: connect " .. beside(form.shown, port) .. refused, got[2], "error")
    end)

    place("renoise serves", function(form)
        local socket = require("evsock.renoise").Socket
        local server = keep(socket.create_server(form.own, 0))
        equal(form.own_told, server.local_address, "local_address")
    end)

    place("hammerspoon: parseAddress and datagrams", function(form)
        local module = require "evsock.hammerspoon"
        local bytes
        local udp = keep(module.socket.udp.server(0, function(_, from) bytes = from end))
        udp:receive()
        local sender = keep(module.socket.udp.new())
        sender:send("x", form.given, udp:info().localPort, 1, function() end)
        wait("a datagram", function() return bytes end)
        equal(form.from_told, module.socket.parseAddress(bytes).host, "sender")
    end)

    place("pharos: datagrams", function(form)
        if form.told:find(":", 1, true) then
            return -- Its sockets are of IPv4 alone.
        end
        local net = require("evsock.pharos").net
        local one, two = keep(net.UdpSocket.new()), keep(net.UdpSocket.new())
        assert(one:bind(0) and two:bind(0))
        two:write_datagram_string("x", form.given, one.local_port)
        local found
        wait("a datagram", function()
            found = one:read_datagram_string()
            return found.valid
        end)
        equal(form.from_told, found.sender_address, "sender_address")
    end)

    place("luasocket connects, binds and sends", function(form)
        local socket = require("evsock.luasocket").core
        local is_ipv6 = form.told:find(":", 1, true)
        local function new(kind)
            return keep(assert(socket[is_ipv6 and kind .. "6" or kind]()))
        end
        local server, client = new "tcp", new "tcp"
        assert(server:bind(form.own, 0))
        assert(server:listen(1))
        local host, port = server:getsockname()
        equal(form.own_told, host, "getsockname of the server")
        assert(client:connect(form.given, tonumber(port)))
        equal(form.told, (client:getpeername()), "getpeername")
        equal(form.from_told_here, (client:getsockname()), "getsockname")
        equal(form.from_told, (keep(assert(server:accept())):getpeername()), "the accepted one's")
        local one, two = new "udp", new "udp"
        assert(one:setsockname(form.own, 0))
        host, port = one:getsockname()
        equal(form.own_told, host, "getsockname of datagrams")
        assert(two:sendto("x", form.given, tonumber(port)))
        one:settimeout(10)
        local _, from = one:receivefrom()
        equal(form.from_told, from, "receivefrom")
    end)

    return list
end
