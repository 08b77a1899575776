-- Hammerspoon: hs.socket.udp, as its scripts know it.
--
-- Translation only. An object has up to two sockets (`family_sockets.lua`). Numbers like 6.10 name
-- the sections of the specification.

local _, core = ...
local datagram, common = core.datagram, core.common
local family_sockets = core.part "hammerspoon/family_sockets"
local shared = core.part "hammerspoon/shared"
local sockaddr = core.part "hammerspoon/sockaddr"
local bad, check_port, check_string = common.bad, common.check_port, common.check_string
local check_fn, log, settings = shared.check_fn, shared.log, shared.settings
local OWNER, SOCKETS = family_sockets.OWNER, family_sockets.SOCKETS

local LARGEST = 65535

-- Methods -----------------------------------------------------------------------------------------

local methods = {}

local function owner_of(object, method)
    return core.field(object, OWNER) or core.misuse(object, "hs.socket.udp", method)
end

local function check_flag(flag, method)
    if flag ~= nil and type(flag) ~= "boolean" then
        bad("flag", method, "boolean", flag)
    end
    return flag ~= false
end

local function check_version(version, method)
    if version ~= 4 and version ~= 6 then
        bad("version", method, "4 or 6", version)
    end
    return version
end

function methods.listen(object, port)
    local owner = owner_of(object, "listen")
    port = check_port(port, "listen")
    if family_sockets.is_open(owner) then
        log("error", "listen: the socket is bound or connected already; close it first")
        return nil
    elseif not family_sockets.open(object, port) then
        return nil
    end
    owner.kind = "SERVER"
    return object
end

function methods.connect(object, host, port, fn)
    local owner = owner_of(object, "connect")
    check_string(host, "host", "connect")
    port = check_port(port, "connect")
    check_fn(fn, "connect")
    if owner.place then
        log("error", "connect: the socket is connected already; close it first")
        return nil
    elseif not family_sockets.is_open(owner) and not family_sockets.open(object, 0, true) then
        return nil
    end
    local redirect = settings:redirect(host, port)
    owner.redirects:add(host, port, redirect)
    owner.before, owner.kind = owner.kind, "DEFAULT"
    owner.on_open = fn
    owner.place = { host = host, port = port, mapped = redirect ~= nil }
    local to = redirect and redirect.host or host
    local families = family_sockets.families(owner, to)
    owner.trying = { host = host, port = port, redirect = redirect, families = families }
    local begun, message = family_sockets.try(owner)
    if not begun then
        log("error", message)
        return nil
    end
    return object
end

function methods.close(object)
    owner_of(object, "close")
    family_sockets.close(object)
    return object
end

function methods.send(object, text, host, port, tag, fn)
    local owner = owner_of(object, "send")
    check_string(text, "message", "send")
    if type(host) ~= "string" then
        host, port, tag, fn = nil, nil, host, port
    else
        port = check_port(port, "send")
    end
    if type(tag) == "function" and fn == nil then
        tag, fn = nil, tag
    end
    tag = shared.check_tag(tag, "send")
    check_fn(fn, "send")
    if not family_sockets.is_open(owner) and not family_sockets.open(object, 0, true) then
        return object
    end
    local item = { text = text, host = host, port = port, tag = tag, fn = fn }
    if host then
        item.redirect = settings:redirect(host, port)
        owner.redirects:add(host, port, item.redirect)
        item.families = family_sockets.families(owner, item.redirect and item.redirect.host or host)
    else
        local now = owner.trying and owner.trying.now
        item.families = { now or (next(owner.sockets)) }
    end
    family_sockets.send(owner, item)
    return object
end

local function receive(name, mode)
    return function(object, fn)
        local owner = owner_of(object, name)
        owner.callback = check_fn(fn, name) or owner.callback
        if not owner.callback then
            log("error", name .. ": no callback is set")
            return nil
        elseif not family_sockets.is_open(owner) then
            log("error", name .. ": listen, connect or send first")
            return nil
        end
        owner.mode = mode
        for _, this in family_sockets.each(owner) do
            datagram.resume(this)
        end
        return object
    end
end

methods.receive, methods.receiveOne = receive("receive", "all"), receive("receiveOne", "one")
methods.read, methods.readOne, methods.write = methods.receive, methods.receiveOne, methods.send

function methods.pause(object)
    local owner = owner_of(object, "pause")
    owner.mode = nil
    for _, this in family_sockets.each(owner) do
        datagram.pause(this)
    end
    return object
end

function methods.broadcast(object, flag)
    local owner = owner_of(object, "broadcast")
    owner.broadcast = check_flag(flag, "broadcast")
    for _, this in family_sockets.each(owner) do
        local ok, message = datagram.set(this, "broadcast", owner.broadcast)
        if not ok then
            log("error", message)
            return nil
        end
    end
    return object
end

function methods.reusePort(object, flag)
    owner_of(object, "reusePort").reuse = check_flag(flag, "reusePort")
    return object
end

function methods.enableIPv(object, version, flag)
    local owner = owner_of(object, "enableIPv")
    owner.enabled[check_version(version, "enableIPv")] = check_flag(flag, "enableIPv")
    return object
end

function methods.preferIPv(object, version)
    local owner = owner_of(object, "preferIPv")
    owner.prefer = version ~= nil and check_version(version, "preferIPv") or nil
    return object
end

function methods.setBufferSize(object, size, version)
    local owner = owner_of(object, "setBufferSize")
    if type(size) ~= "number" or size % 1 ~= 0 or size < 1 then
        bad("size", "setBufferSize", "integer of at least 1", size)
    end
    size = common.port(math.min(size, LARGEST))
    for _, family in ipairs(version == nil and { 4, 6 }
        or { check_version(version, "setBufferSize") }) do
        owner.size[family] = size
        if owner.sockets[family] then
            datagram.set(owner.sockets[family], "max_size", size)
        end
    end
    return object
end

function methods.setCallback(object, fn)
    owner_of(object, "setCallback").callback = check_fn(fn, "setCallback")
    return object
end

function methods.setTimeout(object, seconds)
    owner_of(object, "setTimeout").timeout = shared.check_timeout(seconds, "setTimeout")
    return object
end

function methods.connected(object)
    return owner_of(object, "connected").place ~= nil and family_sockets.fix_family(object[OWNER])
end

function methods.closed(object)
    return not family_sockets.is_open(owner_of(object, "closed"))
end

local function set_end(info, side, suffix, host, port)
    info[side .. "Host" .. suffix] = host or ""
    info[side .. "Port" .. suffix] = port or 0
    info[side .. "Address" .. suffix] = host and sockaddr.pack(host, port) or ""
end

function methods.info(object)
    local owner = owner_of(object, "info")
    local connected = methods.connected(object)
    local has, prefer = owner.sockets, owner.prefer
    local info = {
        userData = owner.kind or "",
        timeout = owner.timeout,
        isClosed = not family_sockets.is_open(owner),
        isConnected = connected,
        isIPv4 = has[4] ~= nil, isIPv6 = has[6] ~= nil,
        isIPv4Enabled = owner.enabled[4], isIPv6Enabled = owner.enabled[6],
        isIPv4Preferred = prefer == 4, isIPv6Preferred = prefer == 6,
        isIPVersionNeutral = prefer == nil,
        maxReceiveIPv4BufferSize = owner.size[4], maxReceiveIPv6BufferSize = owner.size[6],
    }
    set_end(info, "connected", "")
    set_end(info, "local", "")
    for _, family in ipairs { 6, 4 } do
        local host, port, peer, peer_port
        if has[family] then
            host, port, peer, peer_port = datagram.endpoints(has[family])
            set_end(info, "local", "", host, port)
        end
        set_end(info, "local", "_IPv" .. family, host, port)
        if peer then
            set_end(info, "connected", "", owner.redirects:shown(peer, peer_port))
        end
    end
    return info
end

local Socket = core.class {
    name = "hs.socket.udp",
    kind = "datagram",
    anchor = "handlers",
    methods = methods,
    tostring = function(object)
        local info = methods.info(object)
        local side = info.userData == "SERVER" and "local" or "connected"
        local host = info[side .. "Host"]
        -- Windows' C library writes an address without "0x".
        return ("hs.socket.udp: %s:%d (0x%s)"):format(host == "" and "(null)" or host,
            info[side .. "Port"], tostring(object[OWNER]):match("%x+$"))
    end,
}

-- The module --------------------------------------------------------------------------------------

local udp = { timeout = -1 }

function udp.new(fn)
    check_fn(fn, "new")
    local timeout = shared.check_timeout(udp.timeout, "hs.socket.udp.timeout")
    local object = Socket.new()
    object[SOCKETS] = {}
    object[OWNER] = {
        callback = fn,
        timeout = timeout,
        enabled = { [4] = true, [6] = true },
        size = { [4] = LARGEST, [6] = LARGEST },
        redirects = common.redirects(),
        sockets = setmetatable({}, { __mode = "v" }),
        object = setmetatable({ sock = object }, { __mode = "v" }),
    }
    return object
end

-- Also when it cannot listen, as `hs.socket.server`.
function udp.server(port, fn)
    local object = udp.new(fn)
    object:listen(port)
    return object
end

return udp
