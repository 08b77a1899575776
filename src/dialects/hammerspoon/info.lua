-- Hammerspoon: the tables that `info` returns, and the text of an object.
--
-- Not here: finding out whether a connection stands (`connection.lua`). The table of 6.9 is
-- the list of the keys; all of them are always there.

local _, core = ...
local sockaddr = core.part "hammerspoon/sockaddr"

local state = {}

local DEFAULT, SERVER = "DEFAULT", "SERVER"
local EVERYWHERE = "0.0.0.0"

-- Of an object that is not connected.
function state.new(connections, timeout)
    return {
        userData = "",
        isConnected = false,
        isDisconnected = true,
        connections = connections,
        connectedHost = "", connectedPort = 0, connectedAddress = "",
        connectedURL = "",
        localHost = "", localPort = 0, localAddress = "",
        unixSocketPath = "",
        isIPv4 = false, isIPv6 = false,
        isIPv4Enabled = true, isIPv6Enabled = true, isIPv4PreferredOverIPv6 = true,
        isSecure = false,
        timeout = timeout,
    }
end

-- Connecting.
function state.add_attempt(info)
    info.userData, info.isDisconnected = DEFAULT, false
end

local function set_end(info, side, host, port)
    info[side .. "Host"], info[side .. "Port"] = host, port
    info[side .. "Address"] = sockaddr.pack(host, port) or ""
end

-- `listening`: `path` and `port`, of which one counts.
function state.add_listener(info, listening)
    info.userData, info.isDisconnected = SERVER, false
    info.unixSocketPath = listening.path
    if listening.path == "" then
        set_end(info, "local", EVERYWHERE, listening.port)
        info.isIPv4, info.isIPv6 = true, true
    end
end

-- `found`: what the core knows; `place`: what was asked for.
function state.add_client(info, found, place)
    state.add_attempt(info)
    info.isConnected = true
    info.isSecure = found.tls ~= nil
    if place.path then
        info.connectedURL, info.unixSocketPath = place.path, place.path
        return
    end
    local peer = found.peer_address or ""
    info.isIPv6 = peer:find(":", 1, true) ~= nil
    info.isIPv4 = not info.isIPv6
    -- What `configure` has led elsewhere looks like what was asked for.
    local asked = place.mapped and core.told(place.host)
    set_end(info, "connected", asked or peer, place.port)
    set_end(info, "local", found.local_address or "", found.local_port or 0)
end

-- `address`: what tells the object from others.
function state.text(info, address)
    local side = info.userData == SERVER and "local" or "connected"
    local host, port = info[side .. "Host"], info[side .. "Port"]
    local where = (host == "" and "(null)" or host) .. ":" .. port
    if info.unixSocketPath ~= "" then
        where = info.unixSocketPath
    end
    local kind = info.userData == SERVER and "hs.socket(server)" or "hs.socket"
    return kind .. ": " .. where .. " (" .. address .. ")"
end

return state
