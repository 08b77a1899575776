-- Renoise: the values of OSC 1.0, each by its type tag, to bytes and back.
--
-- Not here: messages and bundles (`osc.lua`). Numbers are Lua's: where it has integers (5.3 and
-- later) `h` is exact; where it has doubles alone, beyond 2^53 it is the nearest double. `t` is a
-- number of 64 bits without sign, a double from 2^63 on.
-- Invariant: reading raises nothing; `values.read[tag](text, place)` gives nil and a text for what
-- is none, else true, the value (which may be nil) and the place behind it.

local _, core = ...
local float_bytes, bytes_float = core.encoding.float_bytes, core.encoding.bytes_float

local values = { write = {}, read = {} }
local write, read = values.write, values.read

local HALF, WHOLE = 2147483648, 4294967296 -- 2^31 and 2^32; integers where Lua has them
local MOST = 2 ^ 64
local LARGEST_FLOAT = 3.4028235677973366e38 -- from here on a float of 32 bits is infinite

local function is_whole(value)
    return type(value) == "number" and value % 1 == 0
end

-- Four bytes of an integer from 0 to 2^32 - 1, of whatever type of number.
local function four(value)
    local d = value % 256
    local c = (value - d) / 256 % 256
    local b = (value - d - c * 256) / 65536 % 256
    local a = (value - d - c * 256 - b * 65536) / 16777216
    return string.char(a, b, c, d)
end

local function word_at(text, place)
    local a, b, c, d = text:byte(place, place + 3)
    if not d then
        return nil
    end
    return ((a * 256 + b) * 256 + c) * 256 + d
end

local function pads(length)
    return ("\0"):rep(-length % 4)
end

-- Texts -------------------------------------------------------------------------------------------

function values.text(text)
    return text .. "\0" .. pads(#text + 1)
end

-- The text at that place and the place behind its pads; nil and a text if it has no end.
function values.read_text(text, place)
    local stop = text:find("\0", place, true)
    local next = stop and stop + 1 + (place - 1 - stop) % 4
    if not stop or next > #text + 1 then
        return nil, "a text without an end"
    end
    return text:sub(place, stop - 1), next
end

function write.s(value)
    return type(value) == "string" and not value:find("\0", 1, true) and values.text(value) or nil
end
write.S = write.s

function read.s(text, place)
    local found, next = values.read_text(text, place)
    if not found then
        return nil, next
    end
    return true, found, next
end
read.S = read.s

function write.b(value)
    return type(value) == "string" and four(#value) .. value .. pads(#value) or nil
end

function read.b(text, place)
    local length = word_at(text, place)
    local next = length and place + 4 + length + -length % 4
    if not next or next > #text + 1 then
        return nil, "a blob that is longer than the data"
    end
    return true, text:sub(place + 4, place + 3 + length), next
end

-- Numbers -----------------------------------------------------------------------------------------

-- An integer of 32 bits without sign.
local function write_word(value)
    return is_whole(value) and value >= 0 and value < WHOLE and four(value) or nil
end

local function read_word(text, place)
    local word = word_at(text, place)
    if not word then
        return nil, "a number that is cut off"
    end
    return true, word, place + 4
end

write.r, read.r = write_word, read_word
write.m, read.m = write_word, read_word

local function write_signed(value)
    return four(value < 0 and value + WHOLE or value)
end

function write.i(value)
    return is_whole(value) and value >= -HALF and value < HALF and write_signed(value) or nil
end

function read.i(text, place)
    local word = word_at(text, place)
    if not word then
        return nil, "a number that is cut off"
    end
    return true, word >= HALF and word - WHOLE or word, place + 4
end

function write.h(value)
    if not is_whole(value) or value < -MOST / 2 or value >= MOST / 2 then
        return nil
    end
    local low = value % WHOLE
    return write_signed((value - low) / WHOLE) .. four(low)
end

function read.h(text, place)
    local high, low = word_at(text, place), word_at(text, place + 4)
    if not low then
        return nil, "a number that is cut off"
    end
    local value = (high >= HALF and high - WHOLE or high) * WHOLE + low
    -- Among doubles the nearest of the greatest integers is one too great.
    return true, value == MOST / 2 and MOST / 2 - 1024 or value, place + 8
end

-- A fraction is cut off: tools give `os.clock()` for "now", and what is past is due at once.
function write.t(value)
    if type(value) ~= "number" or not (value >= 0 and value < MOST) then
        return nil
    end
    value = value - value % 1
    local low = value % WHOLE
    return four((value - low) / WHOLE) .. four(low)
end

function read.t(text, place)
    local high, low = word_at(text, place), word_at(text, place + 4)
    if not low then
        return nil, "a time that is cut off"
    end
    -- Integers end at 2^63, and the doubles that fit 2048 below 2^64.
    local value = high * (high >= HALF and 2.0 ^ 32 or WHOLE) + low
    return true, value == MOST and MOST - 2048 or value, place + 8
end

local function is_number(value)
    return type(value) == "number"
end

-- What is infinite as a float alone does not fit.
function write.f(value)
    local fits = is_number(value) and not (value >= LARGEST_FLOAT and value < math.huge)
        and not (value <= -LARGEST_FLOAT and value > -math.huge)
    return fits and float_bytes(value, false) or nil
end

function write.d(value)
    return is_number(value) and float_bytes(value, true) or nil
end

local function float_reader(size)
    return function(text, place)
        local bytes = text:sub(place, place + size - 1)
        if #bytes < size then
            return nil, "a number that is cut off"
        end
        return true, bytes_float(bytes), place + size
    end
end

read.f, read.d = float_reader(4), float_reader(8)

-- A text of one sign, or its number.
function write.c(value)
    if type(value) == "string" and #value == 1 then
        return four(value:byte())
    end
    return is_whole(value) and value >= 0 and value < 256 and four(value) or nil
end

function read.c(text, place)
    local word = word_at(text, place)
    if not word or word > 255 then
        return nil, "a sign that is none"
    end
    return true, string.char(word), place + 4
end

-- Tags that are the value -------------------------------------------------------------------------

local function constant(tag, value)
    write[tag] = function(given)
        return (given == nil or given == value) and "" or nil
    end
    read[tag] = function(_, place)
        return true, value, place
    end
end

constant("T", true)
constant("F", false)
constant("N", nil)
constant("I", nil)

-- What an error says that fits a tag.
values.wanted = {
    i = "integer of 32 bits", f = "number that a float of 32 bits can be", s = "text without NUL",
    b = "string", h = "integer of 64 bits", t = "number from 0 to 2^64", d = "number",
    S = "text without NUL", c = "text of one byte, or its number",
    r = "integer from 0 to 2^32 - 1", m = "integer from 0 to 2^32 - 1",
    T = "true or nothing", F = "false or nothing", N = "nothing", I = "nothing",
}

return values
