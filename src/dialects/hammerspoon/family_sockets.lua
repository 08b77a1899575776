-- Hammerspoon: the family sockets of an hs.socket.udp, one of IPv4 and one of IPv6.
--
-- Not here: the object that scripts hold (`udp.lua`). Its sockets know it by a weak
-- reference and share its owner, the table of what the script has set.
-- Invariants: an object is closed while it has no socket; callbacks run in events only; an owner
-- reaches its sockets by weak references alone, or a dropped object would stay.

local _, core = ...
local datagram, ordered = core.datagram, core.common.ordered
local shared = core.part "hammerspoon/shared"
local sockaddr = core.part "hammerspoon/sockaddr"

local family_sockets = {}

local ANY = { [4] = "0.0.0.0", [6] = "::" }
-- How often a port that is free for IPv4 may be taken for IPv6.
local TRIES = 8

-- Keys in an object's own table, and in those of its sockets.
local OWNER = {}
local SOCKETS = {} -- by family
-- Of a socket: its family, the datagrams on their way by ticket, and those that have left.
local FAMILY, PENDING, DONE = {}, {}, {}

local call, log = shared.call, shared.log

-- Sockets -----------------------------------------------------------------------------------------

local on = {}

-- Their class; defined behind its events.
local FamilySocket

-- All sockets of an owner: of an object that is there still.
function family_sockets.each(owner)
    return pairs(owner.sockets)
end

function family_sockets.is_open(owner)
    return next(owner.sockets) ~= nil
end

local function open_socket(owner, family, port)
    local this = FamilySocket.new()
    this[OWNER], this[FAMILY], this[PENDING], this[DONE] = owner, family, {}, ordered.clear {}
    local ok, message, code = datagram.open(this, ANY[family], port, {
        broadcast = owner.broadcast,
        reuse_address = owner.reuse,
        reuse_port = owner.reuse,
        max_size = owner.size[family],
        paused = true,
    })
    if not ok then
        return nil, message, code
    end
    return this
end

function family_sockets.close(object)
    local owner, open = object[OWNER], object[SOCKETS]
    object[SOCKETS] = {}
    for family, this in pairs(open) do
        owner.sockets[family] = nil
        datagram.close(this)
    end
    owner.kind, owner.place, owner.on_open, owner.trying, owner.mode = nil, nil, nil, nil, nil
    owner.broadcast, owner.reuse = nil, nil
end

-- Both sockets that are enabled, on the same port unless `apart`. A machine without IPv6 has one.
local function open_both(owner, port, apart)
    local found, message, code = {}, "both IPv4 and IPv6 are disabled", nil
    if owner.enabled[4] then
        found[4], message, code = open_socket(owner, 4, port)
        if not found[4] then
            return nil, message, code
        end
        port = apart and port or select(2, datagram.facts(found[4]))
    end
    if owner.enabled[6] then
        found[6], message, code = open_socket(owner, 6, port)
    end
    if next(found) and code ~= "EADDRINUSE" then
        return found
    elseif found[4] then
        datagram.close(found[4])
    end
    return nil, message, code
end

function family_sockets.open(object, port, apart)
    local owner = object[OWNER]
    local found, message, code
    for _ = 1, port == 0 and TRIES or 1 do
        found, message, code = open_both(owner, port, apart)
        if code ~= "EADDRINUSE" then
            break
        end
    end
    if not found then
        log("error", message)
        return false
    end
    object[SOCKETS] = found
    for family, this in pairs(found) do
        owner.sockets[family] = this
    end
    return true
end

-- The families that there are sockets of, the preferred one first; of a literal address its own.
function family_sockets.families(owner, host)
    local is_v4 = host:find("^%d+%.%d+%.%d+%.%d+$")
    local is_v6 = host:find(":", 1, true)
    local list = {}
    for _, family in ipairs(owner.prefer == 6 and { 6, 4 } or { 4, 6 }) do
        local fits = not (is_v4 or is_v6) or (family == 4) == (is_v4 ~= nil)
        if owner.sockets[family] and fits then
            list[#list + 1] = family
        end
    end
    return list
end

-- Events ------------------------------------------------------------------------------------------

function on.datagram(this)
    local owner = this[OWNER]
    local mode = owner.mode
    local data, host, port = datagram.next(this, mode ~= nil)
    if not data then
        return false
    elseif mode == "one" then
        owner.mode = nil
        for _, other in family_sockets.each(owner) do
            datagram.pause(other)
        end
    end
    return call(owner, owner.callback, data, sockaddr.pack(owner.redirects:shown(host, port)))
end

function on.deferred(this)
    local item = ordered.take(this[DONE])
    return item and call(this[OWNER], item.fn, item.tag) or false
end

function on.sent(this, ticket)
    local item = this[PENDING][ticket]
    this[PENDING][ticket] = nil
    return item and call(this[OWNER], item.fn, item.tag) or false
end

-- Tries the families of `item` that are left; whether one took it.
function family_sockets.send(owner, item)
    local message
    while item.families[1] do
        local this = owner.sockets[table.remove(item.families, 1)]
        local sent
        if this then
            sent, message =
                datagram.send(this, item.text, true, item.host, item.port, item.redirect)
        end
        if sent == true then
            if item.fn then
                ordered.add(this[DONE], item)
                core.defer(this)
            end
            return true
        elseif sent then
            this[PENDING][sent] = item
            return true
        end
    end
    log("error", message or "send: there is no way to that address")
    return false
end

function on.unsent(this, ticket)
    local item = this[PENDING][ticket]
    this[PENDING][ticket] = nil
    if item and item.families[1] then
        family_sockets.send(this[OWNER], item)
    end
    return false
end

-- The other end is fixed: what is of the other family goes.
function family_sockets.fix_family(owner)
    for family, this in family_sockets.each(owner) do
        if select(3, datagram.endpoints(this)) then
            for other, rest in family_sockets.each(owner) do
                if other ~= family then
                    owner.sockets[other] = nil
                    datagram.close(rest)
                end
            end
            return true
        end
    end
    return false
end

function on.connect(this)
    local owner = this[OWNER]
    local on_open = owner.on_open
    owner.on_open, owner.trying = nil, nil
    family_sockets.fix_family(owner)
    return call(owner, on_open)
end

-- Tries the families that are left: true, or nil and why not.
function family_sockets.try(owner)
    local trying, message = owner.trying, "connect: there is no way to that address"
    while trying.families[1] do
        local family = table.remove(trying.families, 1)
        local this, begun = owner.sockets[family], nil
        if this then
            begun, message = datagram.connect(this, trying.host, trying.port, trying.redirect)
        end
        if begun then
            trying.now = family
            family_sockets.fix_family(owner)
            return true
        end
    end
    owner.trying, owner.on_open, owner.place, owner.kind = nil, nil, nil, owner.before
    return nil, message
end

function on.error(this, message)
    local owner = this[OWNER]
    local trying = owner.trying
    local failed = trying and trying.now == this[FAMILY] and message:find("^connect ")
    if failed and family_sockets.try(owner) then
        return false
    end
    log("error", message)
    return false
end

FamilySocket = core.class {
    name = "hs.socket.udp end",
    kind = "datagram",
    anchor = "handlers",
    on = on,
}

family_sockets.OWNER, family_sockets.SOCKETS = OWNER, SOCKETS

return family_sockets
