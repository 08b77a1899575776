-- Renoise: `renoise.Osc`, messages and bundles of OSC 1.0.
--
-- Not here: the values of arguments (`osc_values.lua`); sockets, whose `send` takes these objects.
-- Invariants: an object does not change once it is made; one that was read has the very bytes it
-- was read from; `from_binary_data` raises for what is no text alone, whatever the text.

local _, core = ...
local common = core.common
local values = core.part "renoise/osc_values"
local bad = common.bad

local BUNDLE = "#bundle\0"
-- Of bundles within bundles.
local MOST_DEPTH = 32

-- Objects -----------------------------------------------------------------------------------------

local FIELDS = {} -- private key: what an object is

-- Reading a name that is none gives nil, as of any table: scripts look whether there is one.
local function class(name, describe)
    return {
        __name = name,
        __type = name,
        __index = function(object, field)
            return rawget(object, FIELDS)[field]
        end,
        __newindex = function(_, field)
            core.raise(name .. ": '" .. tostring(field) .. "' cannot be set; make a new " .. name)
        end,
        __tostring = function(object)
            return name .. ": " .. describe(object)
        end,
    }
end

local Message = class("Message", function(message)
    return message.pattern .. " (" .. #message.arguments .. " arguments)"
end)

local Bundle = class("Bundle", function(bundle)
    return #bundle.elements .. " elements"
end)

local function object_of(its_class, fields)
    return setmetatable({ [FIELDS] = fields }, its_class)
end

-- Making ------------------------------------------------------------------------------------------

-- The tags, the bytes, and a copy of the list.
local function write_arguments(list)
    local tags, bytes, copy = {}, {}, {}
    for index, argument in ipairs(list) do
        local name = "arguments[" .. index .. "]"
        if type(argument) ~= "table" then
            bad(name, "Message", "table { tag =, value = }", argument)
        end
        local tag, value = argument.tag, argument.value
        local write = type(tag) == "string" and values.write[tag]
        if not write then
            core.raise("bad argument '" .. name .. "' to 'Message' (tag: one of i f s b h t d S c "
                .. "r m T F N I expected, got " .. core.got(tag) .. ")")
        end
        local written = write(value)
        if not written then
            core.raise("bad argument '" .. name .. "' to 'Message' (value of tag " .. tag .. ": "
                .. values.wanted[tag] .. " expected, got " .. core.got(value) .. ")")
        end
        tags[index], bytes[index], copy[index] = tag, written, { tag = tag, value = value }
    end
    return table.concat(tags), table.concat(bytes), copy
end

local function new_message(pattern, arguments)
    if type(pattern) ~= "string" or pattern:sub(1, 1) ~= "/" or pattern:find("\0", 1, true) then
        core.raise("bad argument 'pattern' to 'Message' (text that begins with '/' and has no NUL "
            .. "expected, got " .. core.got(pattern) .. ")")
    elseif arguments ~= nil and type(arguments) ~= "table" then
        bad("arguments", "Message", "list of { tag =, value = }", arguments)
    end
    local tags, bytes, copy = write_arguments(arguments or {})
    return object_of(Message, {
        pattern = pattern,
        arguments = copy,
        binary_data = values.text(pattern) .. values.text("," .. tags) .. bytes,
    })
end

local function new_bundle(time, messages)
    local stamp = values.write.t(time)
    if not stamp then
        core.raise("bad argument 'timetag' to 'Bundle' (" .. values.wanted.t .. " expected, got "
            .. core.got(time) .. ")")
    end
    if getmetatable(messages) == Message then
        messages = { messages }
    elseif type(messages) ~= "table" or getmetatable(messages) == Bundle then
        bad("messages", "Bundle", "renoise.Osc.Message or a list of them", messages)
    end
    local bytes, elements = { BUNDLE, stamp }, {}
    for index, message in ipairs(messages) do
        if getmetatable(message) ~= Message then
            core.raise("bad argument 'messages[" .. index .. "]' to 'Bundle' (renoise.Osc.Message "
                .. "expected, got " .. core.got(message) .. "; a bundle takes no bundles)")
        end
        local data = message.binary_data
        bytes[#bytes + 1], elements[index] = values.write.i(#data) .. data, message
    end
    return object_of(Bundle, {
        -- As it is sent: whole.
        timetag = time - time % 1,
        elements = elements,
        binary_data = table.concat(bytes),
    })
end

-- Reading -----------------------------------------------------------------------------------------

-- Nil and a text for what is none, as of all readers here.
local function read_message(data)
    local pattern, place = values.read_text(data, 1)
    if not pattern then
        return nil, place
    end
    local arguments = {}
    -- Old senders leave the tags out where there are no arguments.
    if place <= #data then
        local tags
        tags, place = values.read_text(data, place)
        if not tags then
            return nil, place
        elseif tags:sub(1, 1) ~= "," then
            return nil, "type tags that do not begin with ','"
        end
        for index = 2, #tags do
            local tag = tags:sub(index, index)
            local read = values.read[tag]
            if not read then
                return nil, "the type tag " .. core.got(tag):gsub("^string ", "")
                    .. ", which is not known"
            end
            local ok, value, next = read(data, place)
            if not ok then
                return nil, value
            end
            arguments[index - 1], place = { tag = tag, value = value }, next
        end
    end
    if place <= #data then
        return nil, "more data than its type tags tell of"
    end
    return object_of(Message, { pattern = pattern, arguments = arguments, binary_data = data })
end

local read_packet

local function read_bundle(data, depth)
    if depth > MOST_DEPTH then
        return nil, "more than " .. MOST_DEPTH .. " bundles within each other"
    end
    local ok, time, place = values.read.t(data, #BUNDLE + 1)
    if not ok then
        return nil, time
    end
    local elements = {}
    while place <= #data do
        local has_size, size, start = values.read.r(data, place)
        if not has_size or start + size > #data + 1 then
            return nil, "an element that is longer than its bundle"
        end
        local element, problem = read_packet(data:sub(start, start + size - 1), depth)
        if not element then
            return nil, problem
        end
        elements[#elements + 1], place = element, start + size
    end
    return object_of(Bundle, { timetag = time, elements = elements, binary_data = data })
end

function read_packet(data, depth)
    local first = data:sub(1, 1)
    if #data % 4 ~= 0 then
        return nil, "its size is no multiple of four"
    elseif first == "/" then
        return read_message(data)
    elseif data:sub(1, #BUNDLE) == BUNDLE then
        return read_bundle(data, depth + 1)
    end
    return nil, "it begins neither with '/' nor with '#bundle'"
end

-- The module --------------------------------------------------------------------------------------

local Osc = {}

function Osc.Message(pattern, arguments)
    return new_message(pattern, arguments)
end

function Osc.Bundle(timetag, messages)
    return new_bundle(timetag, messages)
end

-- A message or a bundle; nil and a text for what is neither.
function Osc.from_binary_data(data)
    common.check_string(data, "data", "from_binary_data")
    local object, problem = read_packet(data, 0)
    if not object then
        return nil, "no OSC packet: " .. problem
    end
    return object
end

return Osc
