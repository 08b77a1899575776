-- Q-SYS: UdpSocket.
--
-- Translation only: sending, lookups and what waits are the core's. A datagram that no handler
-- takes is dropped, as on a Core. Broadcasts need no switch.

local _, core = ...
local common, datagram = core.common, core.datagram
local settings = core.part "qsys/settings"
local bad, bad_value = common.bad, common.bad_value
local check_text, check_port, is_whole = common.check_text, common.check_port, common.is_whole

-- What a Core's manual names as the longest text; the system takes less and says so.
local LONGEST = 65535

-- Private keys: where datagrams were led to, MulticastTtl.
local REDIRECTS, TTL = {}, {}

local Socket
local methods = {}

local function is_open(socket)
    return datagram.facts(socket) ~= nil
end

local function expect_open(socket, method)
    Socket.expect(socket, method)
    if not is_open(socket) then
        core.raise(method .. ": the socket is not open; call Open first")
    end
end

-- One of our own addresses; `hosts` may lead to another, since a Core's are not here.
local function own_address(ip, argument, method)
    ip = check_text(ip, argument, method)
    local redirect = settings:redirect(ip, 0)
    if redirect == false then
        core.raise(method .. ": 'hosts' says that there is no " .. core.where(ip):sub(2))
    end
    return redirect and redirect.host or ip
end

function methods.Open(socket, ip, port)
    Socket.expect(socket, "Open")
    port = port == nil and 0 or check_port(port, "Open")
    local address = (ip == nil or ip == "") and "0.0.0.0" or own_address(ip, "ip", "Open")
    if not core.is_numeric(address) and address ~= "localhost" then
        bad("ip", "Open", "numeric address or nil", ip)
    end
    datagram.close(socket)
    socket[REDIRECTS] = common.redirects()
    local how = { broadcast = true, multicast_ttl = socket[TTL] }
    local ok, message = datagram.open(socket, address, port, how)
    if not ok then
        settings:log("error", "UdpSocket: " .. message)
        core.raise("Open: " .. message)
    end
end

function methods.Close(socket)
    Socket.expect(socket, "Close")
    datagram.close(socket)
end

function methods.Send(socket, ip, port, data)
    Socket.expect(socket, "Send")
    ip = check_text(ip, "ip", "Send")
    port = check_port(port, "Send")
    data = check_text(data, "data", "Send")
    expect_open(socket, "Send")
    if #data > LONGEST then
        core.raise("Send" .. core.where(ip, port) .. ": the data has " .. #data
            .. " bytes, a datagram has at most " .. LONGEST)
    end
    local redirect = settings:redirect(ip, port)
    socket[REDIRECTS]:add(ip, port, redirect)
    local sent, message, code = datagram.send(socket, data, false, ip, port, redirect)
    if sent then
        return
    end
    settings:log("error", "UdpSocket: " .. message)
    if code == "EMSGSIZE" then
        core.raise("Send: " .. message)
    end
end

function methods.JoinMulticast(socket, group, ip)
    Socket.expect(socket, "JoinMulticast")
    group = check_text(group, "group", "JoinMulticast")
    if not core.is_numeric(group) then
        bad("group", "JoinMulticast", "numeric address of a group", group)
    end
    local interface
    if ip ~= nil and ip ~= "" then
        interface = own_address(ip, "ip", "JoinMulticast")
        if not group:find(":", 1, true)
            and (not core.is_numeric(interface) or interface:find(":", 1, true)) then
            bad("ip", "JoinMulticast", "numeric IPv4 address or nil", ip)
        end
    end
    expect_open(socket, "JoinMulticast")
    local ok, message = datagram.join_group(socket, group, interface)
    if not ok then
        settings:log("error", "UdpSocket: " .. message)
        core.raise("JoinMulticast: " .. message)
    end
end

local get, set = {}, {}

function get.MulticastTtl(socket)
    return socket[TTL] or 1
end

function set.MulticastTtl(socket, ttl)
    if not is_whole(ttl, 255) then
        bad_value("MulticastTtl", "integer from 0 to 255", core.got(ttl))
    end
    -- A float of a control's value, too.
    ttl = common.port(ttl)
    if is_open(socket) then
        local ok, message = datagram.set(socket, "multicast_ttl", ttl)
        if not ok then
            core.raise("MulticastTtl: " .. message)
        end
    end
    socket[TTL] = ttl
end

Socket = core.class {
    name = "UdpSocket",
    kind = "datagram",
    anchor = "handlers",
    handlers = { "EventHandler", "Data" },
    methods = methods,
    get = get,
    set = set,
    on = {
        datagram = function(socket)
            local data, host, port = datagram.next(socket, true)
            local handler = socket.Data or socket.EventHandler
            if not (data and handler) then
                return false
            end
            host, port = socket[REDIRECTS]:shown(host, port)
            handler(socket, { Address = host, Port = port, Data = data })
        end,
        error = function(_, message)
            settings:log("error", "UdpSocket: " .. message)
            return false
        end,
    },
    close = methods.Close,
    tostring = function(socket)
        local host, port = datagram.facts(socket)
        return "userdata: UdpSocket " .. (host and "open" or "closed") .. core.where(host, port)
    end,
}

local UdpSocket = {}

function UdpSocket.New()
    return Socket.new()
end

return UdpSocket
