-- Hammerspoon: the ends of an hs.socket.udp, one of IPv4 and one of IPv6.
--
-- Not here: the object that scripts hold (`hammerspoon_udp.lua`). Its ends know it by a weak
-- reference and share its owner, the table of what the script has set.
-- Invariants: an object is closed while it has no end; callbacks run in events only; an owner
-- reaches its ends by weak references alone, or a dropped object would stay.

local _, core = ...
local datagram = core.datagram
local lanes = require "evsock.hammerspoon.lane"
local sockaddr = require "evsock.hammerspoon.sockaddr"

local ends = {}

local ANY = { [4] = "0.0.0.0", [6] = "::" }
-- How often a port that is free for IPv4 may be taken for IPv6.
local TRIES = 8

-- Keys in an object's own table, and in those of its ends.
local OWNER = {}
local ENDS = {} -- by family
-- Of an end; the last two: datagrams on their way, and those that have left.
local FAMILY, PENDING, DONE = {}, {}, {}

-- Ends --------------------------------------------------------------------------------------------

local on = {}

-- Its class; defined behind its events.
local End

local function call(owner, fn, ...)
    return lanes.call({ owner = owner }, fn, ...)
end

-- All ends of an owner: of an object that is there still.
function ends.each(owner)
    return pairs(owner.ends)
end

function ends.is_open(owner)
    return next(owner.ends) ~= nil
end

local function open_end(owner, family, port)
    local this = End.new()
    this[OWNER], this[FAMILY], this[PENDING], this[DONE] = owner, family, {}, {}
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

function ends.close(object)
    local owner, open = object[OWNER], object[ENDS]
    object[ENDS] = {}
    for family, this in pairs(open) do
        owner.ends[family] = nil
        datagram.close(this)
    end
    owner.kind, owner.place, owner.greet, owner.trying, owner.mode = nil, nil, nil, nil, nil
    owner.broadcast, owner.reuse = nil, nil
end

-- Both ends that are enabled, on the same port unless `apart`. A machine without IPv6 has one.
local function open_both(owner, port, apart)
    local found, message, code = {}, "both IPv4 and IPv6 are disabled", nil
    if owner.enabled[4] then
        found[4], message, code = open_end(owner, 4, port)
        if not found[4] then
            return nil, message, code
        end
        port = apart and port or select(2, datagram.facts(found[4]))
    end
    if owner.enabled[6] then
        found[6], message, code = open_end(owner, 6, port)
    end
    if next(found) and code ~= "EADDRINUSE" then
        return found
    elseif found[4] then
        datagram.close(found[4])
    end
    return nil, message, code
end

function ends.open(object, port, apart)
    local owner = object[OWNER]
    local found, message, code
    for _ = 1, port == 0 and TRIES or 1 do
        found, message, code = open_both(owner, port, apart)
        if code ~= "EADDRINUSE" then
            break
        end
    end
    if not found then
        owner.log("error", message)
        return false
    end
    object[ENDS] = found
    for family, this in pairs(found) do
        owner.ends[family] = this
    end
    return true
end

-- The families that there are ends of, the preferred one first; of a literal address its own.
function ends.families(owner, host)
    local is_v4 = host:find("^%d+%.%d+%.%d+%.%d+$")
    local is_v6 = host:find(":", 1, true)
    local list = {}
    for _, family in ipairs(owner.prefer == 6 and { 6, 4 } or { 4, 6 }) do
        local fits = not (is_v4 or is_v6) or (family == 4) == (is_v4 ~= nil)
        if owner.ends[family] and fits then
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
        for _, other in ends.each(owner) do
            datagram.pause(other)
        end
    end
    return call(owner, owner.callback, data, sockaddr.pack(owner.detours:shown(host, port)))
end

function on.note(this)
    local item = table.remove(this[DONE], 1)
    return item and call(this[OWNER], item.fn, item.tag) or false
end

function on.sent(this, ticket)
    local item = this[PENDING][ticket]
    this[PENDING][ticket] = nil
    return item and call(this[OWNER], item.fn, item.tag) or false
end

-- Tries the families of `item` that are left; whether one took it.
function ends.send(owner, item)
    local message
    while item.families[1] do
        local this = owner.ends[table.remove(item.families, 1)]
        local sent
        if this then
            sent, message = datagram.send(this, item.text, true, item.host, item.port, item.route)
        end
        if sent == true then
            if item.fn then
                table.insert(this[DONE], item)
                core.post(this)
            end
            return true
        elseif sent then
            this[PENDING][sent] = item
            return true
        end
    end
    owner.log("error", message or "send: there is no way to that address")
    return false
end

function on.unsent(this, ticket)
    local item = this[PENDING][ticket]
    this[PENDING][ticket] = nil
    if item and item.families[1] then
        ends.send(this[OWNER], item)
    end
    return false
end

-- The other end is fixed: what is of the other family goes.
function ends.settle(owner)
    for family, this in ends.each(owner) do
        if select(3, datagram.ends(this)) then
            for other, rest in ends.each(owner) do
                if other ~= family then
                    owner.ends[other] = nil
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
    local greet = owner.greet
    owner.greet, owner.trying = nil, nil
    ends.settle(owner)
    return call(owner, greet)
end

-- Tries the families that are left: true, or nil and why not.
function ends.try(owner)
    local trying, message = owner.trying, "connect: there is no way to that address"
    while trying.families[1] do
        local family = table.remove(trying.families, 1)
        local this, begun = owner.ends[family], nil
        if this then
            begun, message = datagram.connect(this, trying.host, trying.port, trying.route)
        end
        if begun then
            trying.now = family
            ends.settle(owner)
            return true
        end
    end
    owner.trying, owner.greet, owner.place, owner.kind = nil, nil, nil, owner.before
    return nil, message
end

function on.error(this, message)
    local owner = this[OWNER]
    local trying = owner.trying
    if trying and trying.now == this[FAMILY] and message:find("^connect ") and ends.try(owner) then
        return false
    end
    owner.log("error", message)
    return false
end

End = core.class {
    name = "hs.socket.udp end",
    kind = "datagram",
    anchor = "handlers",
    on = on,
}

ends.OWNER, ends.ENDS = OWNER, ENDS

return ends
