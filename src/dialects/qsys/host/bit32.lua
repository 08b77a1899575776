-- Lua 5.2's `bit32`, for scripts on a Lua that has none.
--
-- Not here: Lua's own, which is taken where there is one. By arithmetic alone, since the operators
-- are no Lua before 5.3. Invariant: every result is an integer from 0 to 2^32 - 1.

local _, core = ...

local WORD = 2 ^ 32

-- Integers where Lua has them, so that texts of results have no ".0".
local function whole(number)
    return math.tointeger and math.tointeger(number) or number
end

local function check(value, place, call)
    local number = tonumber(value)
    if not number or number ~= number or number == math.huge or number == -math.huge then
        core.raise("bad argument #" .. place .. " to '" .. call .. "' (number expected, got "
            .. type(value) .. ")")
    end
    return math.floor(number + 0.5) % WORD
end

-- One sign of four bits and another to those of the result.
local function table_of(by_bits)
    local results = {}
    for one = 0, 15 do
        for other = 0, 15 do
            local result, bit, a, b = 0, 1, one, other
            for _ = 1, 4 do
                if by_bits(a % 2, b % 2) then
                    result = result + bit
                end
                bit, a, b = bit * 2, math.floor(a / 2), math.floor(b / 2)
            end
            results[one * 16 + other] = result
        end
    end
    return results
end

local function combine(results, one, other)
    local sum, place = 0, 1
    for _ = 1, 8 do
        sum = sum + place * results[one % 16 * 16 + other % 16]
        one, other, place = math.floor(one / 16), math.floor(other / 16), place * 16
    end
    return sum
end

local AND = table_of(function(a, b) return a == 1 and b == 1 end)
local OR = table_of(function(a, b) return a == 1 or b == 1 end)
local XOR = table_of(function(a, b) return a ~= b end)

local bit32 = {}

local function of_all(name, results, begin)
    bit32[name] = function(...)
        local sum = begin
        for place = 1, select("#", ...) do
            sum = combine(results, sum, check((select(place, ...)), place, name))
        end
        return whole(sum)
    end
end
of_all("band", AND, WORD - 1)
of_all("bor", OR, 0)
of_all("bxor", XOR, 0)

function bit32.btest(...)
    return bit32.band(...) ~= 0
end

function bit32.bnot(value)
    return whole(WORD - 1 - check(value, 1, "bnot"))
end

local function shifted(value, by)
    if by >= 32 or by <= -32 then
        return 0
    end
    return math.floor(value * 2 ^ by) % WORD
end

local function places_of(value, call)
    local number = tonumber(value)
    if not number or number % 1 ~= 0 then
        core.raise("bad argument #2 to '" .. call .. "' (integer expected, got " .. core.got(value)
            .. ")")
    end
    return number
end

function bit32.lshift(value, by)
    return whole(shifted(check(value, 1, "lshift"), places_of(by, "lshift")))
end

function bit32.rshift(value, by)
    return whole(shifted(check(value, 1, "rshift"), -places_of(by, "rshift")))
end

function bit32.arshift(value, by)
    local number = check(value, 1, "arshift")
    by = places_of(by, "arshift")
    local moved = shifted(number, -by)
    if by > 0 and number >= WORD / 2 then
        -- The sign comes in from above.
        moved = moved + WORD - 2 ^ math.max(32 - by, 0)
    end
    return whole(moved)
end

local function rotated(value, by)
    by = by % 32
    return shifted(value, by) + shifted(value, by - 32)
end

function bit32.lrotate(value, by)
    return whole(rotated(check(value, 1, "lrotate"), places_of(by, "lrotate")))
end

function bit32.rrotate(value, by)
    return whole(rotated(check(value, 1, "rrotate"), -places_of(by, "rrotate")))
end

local function check_field(field, width, call)
    field, width = places_of(field, call), width == nil and 1 or places_of(width, call)
    if field < 0 or width < 1 or field + width > 32 then
        core.raise("bad arguments to '" .. call .. "' (bits from 0 to 31 expected)")
    end
    return field, width
end

function bit32.extract(value, field, width)
    local number = check(value, 1, "extract")
    field, width = check_field(field, width, "extract")
    return whole(math.floor(number / 2 ^ field) % 2 ^ width)
end

function bit32.replace(value, new, field, width)
    local number = check(value, 1, "replace")
    new = check(new, 2, "replace")
    field, width = check_field(field, width, "replace")
    local old = math.floor(number / 2 ^ field) % 2 ^ width
    return whole(number + (new % 2 ^ width - old) * 2 ^ field)
end

return bit32
