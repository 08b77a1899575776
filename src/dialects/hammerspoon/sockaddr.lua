-- Socket addresses as macOS has them in memory, on every platform.
--
-- Byte 1 is the length (16 or 28), byte 2 the family (2 or 30), bytes 3-4 the port, big endian;
-- then 4 bytes of address and 8 zeros, or 4 bytes of flow, 16 of address, 4 of scope: the number of
-- the interface, little endian as that machine is.
-- Not here: names. An address in IPv6 form is printed the short way, without brackets.

local _, core = ...
local sockaddr = {}

local IPV4, IPV6 = 2, 30
local V4_LENGTH, V6_LENGTH = 16, 28

local function two_bytes(number)
    return string.char((number - number % 256) / 256, number % 256)
end

-- The 4 bytes of "10.0.0.9", or nil.
local function dotted(host)
    local parts = { host:match("^(%d+)%.(%d+)%.(%d+)%.(%d+)$") }
    for i, part in ipairs(parts) do
        parts[i] = tonumber(part)
        if parts[i] > 255 then
            return nil
        end
    end
    return parts[1] and string.char(parts[1], parts[2], parts[3], parts[4])
end

-- The bytes of the groups between colons, or nil. The last may be an address in dots.
local function groups(text)
    local bytes = ""
    for group in (text .. ":"):gmatch("([^:]*):") do
        local last = dotted(group)
        if last then
            bytes = bytes .. last
        elseif group:find("^%x%x?%x?%x?$") then
            bytes = bytes .. two_bytes(tonumber(group, 16))
        else
            return nil
        end
    end
    return bytes
end

-- The 16 bytes of an IPv6 address, or nil.
local function colons(host)
    local left, right = host:match("^(.-)::(.*)$")
    if not left then
        local bytes = groups(host)
        return bytes and #bytes == 16 and bytes or nil
    end
    left = left == "" and "" or groups(left)
    right = right == "" and "" or groups(right)
    local missing = left and right and 16 - #left - #right
    if missing and missing > 0 then
        return left .. ("\0"):rep(missing) .. right
    end
end

-- The structure for a numeric address, or nil for any other text.
function sockaddr.pack(host, port)
    local bytes = dotted(host)
    if bytes then
        return string.char(V4_LENGTH, IPV4) .. two_bytes(port) .. bytes .. ("\0"):rep(8)
    end
    bytes = colons(host:match("^%[?([^%%%]]*)"))
    if bytes then
        local high_low = two_bytes(core.zone(host) % 65536)
        return string.char(V6_LENGTH, IPV6) .. two_bytes(port) .. ("\0"):rep(4) .. bytes
            .. high_low:reverse() .. "\0\0"
    end
end

-- RFC 5952: the longest run of at least two zero groups becomes "::".
local function short(bytes)
    local mapped = bytes:sub(1, 12) == ("\0"):rep(10) .. "\255\255"
    if mapped then
        return ("::ffff:%d.%d.%d.%d"):format(bytes:byte(13, 16))
    end
    local words, best, length = {}, nil, 1
    local run = 0
    for i = 1, 8 do
        local high, low = bytes:byte(2 * i - 1, 2 * i)
        words[i] = ("%x"):format(high * 256 + low)
        run = words[i] == "0" and run + 1 or 0
        if run > length then
            best, length = i - run + 1, run
        end
    end
    if not best then
        return table.concat(words, ":")
    end
    return table.concat(words, ":", 1, best - 1) .. "::"
        .. table.concat(words, ":", best + length, 8)
end

-- Host, port and family, or nil for what is no address.
function sockaddr.unpack(bytes)
    local family = bytes:byte(2)
    if family == IPV4 and #bytes >= V4_LENGTH then
        local high, low = bytes:byte(3, 4)
        return ("%d.%d.%d.%d"):format(bytes:byte(5, 8)), high * 256 + low, family
    elseif family == IPV6 and #bytes >= V6_LENGTH then
        local high, low = bytes:byte(3, 4)
        local first, second, third, fourth = bytes:byte(25, 28)
        local zone = ((fourth * 256 + third) * 256 + second) * 256 + first
        return short(bytes:sub(9, 24)) .. (zone > 0 and "%" .. core.zone_name(zone) or ""),
            high * 256 + low, family
    end
end

return sockaddr
