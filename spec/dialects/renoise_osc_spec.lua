-- Renoise: messages and bundles of OSC 1.0, against bytes worked out by hand from its text.

local helper = require "spec.helper"
local Osc = require("evsock.renoise").Osc

local function raises(fn, text)
    helper.raises(text, fn)
end

-- "2f 61" -> "/a".
local function hex(text)
    return (text:gsub("%s+", ""):gsub("%x%x", function(byte)
        return string.char(tonumber(byte, 16))
    end))
end

local function message(pattern, arguments)
    return Osc.Message(pattern, arguments).binary_data
end

local function read(bytes)
    return assert(Osc.from_binary_data(bytes))
end

-- Whether two values are the same, in their type, too; NaN is itself.
local function same(a, b)
    return a == b and type(a) == type(b) or a ~= a and b ~= b
end

-- Tag, value, its bytes.
local rows = {
    { "i", 0, "00 00 00 00" },
    { "i", 1000, "00 00 03 e8" },
    { "i", -1, "ff ff ff ff" },
    { "i", 2147483647, "7f ff ff ff" },
    { "i", -2147483648, "80 00 00 00" },
    { "f", 1.5, "3f c0 00 00" },
    { "f", 440, "43 dc 00 00" },
    { "f", -0.15625, "be 20 00 00" },
    { "f", math.huge, "7f 80 00 00" },
    { "f", -math.huge, "ff 80 00 00" },
    { "f", 2 ^ -149, "00 00 00 01" },
    { "s", "", "00 00 00 00" },
    { "s", "abc", "61 62 63 00" },
    { "s", "data", "64 61 74 61 00 00 00 00" },
    { "s", "\195\164", "c3 a4 00 00" },
    { "S", "hello", "68 65 6c 6c 6f 00 00 00" },
    { "b", "", "00 00 00 00" },
    { "b", "\1\0\255", "00 00 00 03 01 00 ff 00" },
    { "b", "abcd", "00 00 00 04 61 62 63 64" },
    { "h", 1, "00 00 00 00 00 00 00 01" },
    { "h", -1, "ff ff ff ff ff ff ff ff" },
    { "h", 2 ^ 32 + 5, "00 00 00 01 00 00 00 05" },
    { "h", -(2 ^ 53), "ff e0 00 00 00 00 00 00" },
    { "h", -(2 ^ 63), "80 00 00 00 00 00 00 00" },
    { "t", 1, "00 00 00 00 00 00 00 01" },
    { "t", 2 ^ 33 + 7, "00 00 00 02 00 00 00 07" },
    { "t", 2 ^ 63, "80 00 00 00 00 00 00 00" },
    { "d", 1, "3f f0 00 00 00 00 00 00" },
    { "d", -2, "c0 00 00 00 00 00 00 00" },
    { "d", 0.1, "3f b9 99 99 99 99 99 9a" },
    { "c", "A", "00 00 00 41" },
    { "r", 4278190335, "ff 00 00 ff" },
    { "m", 0x00903C7F, "00 90 3c 7f" },
    { "T", true, "" },
    { "F", false, "" },
    { "N", nil, "" },
    { "I", nil, "" },
}

describe("a value of OSC", function()
    for _, row in ipairs(rows) do
        local tag, value, bytes = row[1], row[2], hex(row[3])
        local whole = "/a\0\0," .. tag .. "\0\0" .. bytes
        it(("is the bytes of the specification: %s %s"):format(tag, row[3]), function()
            assert.equal(whole, message("/a", { { tag = tag, value = value } }))
        end)
        it(("is read from them: %s %s"):format(tag, row[3]), function()
            local found = read(whole)
            assert.equal("/a", found.pattern)
            assert.equal(1, #found.arguments)
            assert.equal(tag, found.arguments[1].tag)
            assert.is_true(same(value, found.arguments[1].value),
                tostring(found.arguments[1].value))
        end)
    end

    it("of 64 bits is exact where Lua has integers, else the nearest double", function()
        local bytes = hex "2f 61 00 00 2c 68 00 00 7f ff ff ff ff ff ff fe"
        local value = read(bytes).arguments[1].value
        if math.type then
            assert.equal("integer", math.type(value))
            assert.equal(math.maxinteger - 1, value)
            assert.equal(bytes, message("/a", { { tag = "h", value = value } }))
        else
            assert.equal(2 ^ 63 - 1024, value)
        end
        -- It fits its tag in any case.
        assert.equal(16, #message("/a", { { tag = "h", value = value } }))
    end)

    it("that is a time ends before 2^64, and can be sent again", function()
        local time = read(hex "2f 61 00 00 2c 74 00 00 ff ff ff ff ff ff ff ff").arguments[1].value
        assert.equal(2 ^ 64 - 2048, time)
        assert.equal(16, #message("/a", { { tag = "t", value = time } }))
    end)

    it("may be NaN", function()
        for tag, size in pairs { f = 4, d = 8 } do
            local bytes = message("/a", { { tag = tag, value = 0 / 0 } })
            assert.equal(8 + size, #bytes)
            local value = read(bytes).arguments[1].value
            assert.is_true(value ~= value)
        end
    end)

    it("that is a sign may be given as its number", function()
        assert.equal(message("/a", { { tag = "c", value = "A" } }),
            message("/a", { { tag = "c", value = 65 } }))
    end)

    it("without bytes may leave the value out", function()
        assert.equal(hex "2f 61 00 00 2c 54 46 4e 49 00 00 00",
            message("/a", { { tag = "T" }, { tag = "F" }, { tag = "N" }, { tag = "I" } }))
    end)

    it("that does not fit its tag raises", function()
        local wrong = {
            i = { 1.5, 2147483648, -2147483649, "1", true, 0 / 0, math.huge },
            f = { "1", 1e39, -1e39 }, d = { "1" },
            s = { 1, "a\0b" }, S = { "a\0", false }, b = { 1 },
            h = { 0.5, 2 ^ 63, -(2 ^ 64), "1" }, t = { -1, 2 ^ 64, "1", 0 / 0, math.huge },
            c = { "", "ab", 256, -1 }, r = { -1, 4294967296, 0.5 }, m = { "x", 4294967296 },
            T = { false, 1 }, F = { true }, N = { 0 }, I = { math.huge },
        }
        for tag, list in pairs(wrong) do
            for index = 1, #list do
                raises(function()
                    local second = { tag = tag, value = list[index] }
                    Osc.Message("/a", { { tag = "i", value = 1 }, second })
                end, "bad argument 'arguments[2]' to 'Message' (value of tag " .. tag)
            end
            if not tag:find("[TFNI]") then
                raises(function()
                    Osc.Message("/a", { { tag = tag } })
                end, "bad argument 'arguments[1]' to 'Message' (value of tag " .. tag)
            end
        end
    end)
end)

describe("a message of OSC", function()
    it("is the examples of the specification", function()
        assert.equal(hex [[2f 6f 73 63 69 6c 6c 61 74 6f 72 2f 34 2f 66 72 65 71 75 65 6e 63 79 00
            2c 66 00 00 43 dc 00 00]],
            message("/oscillator/4/frequency", { { tag = "f", value = 440 } }))
        assert.equal(hex [[2f 66 6f 6f 00 00 00 00 2c 69 69 73 66 66 00 00 00 00 03 e8 ff ff ff ff
            68 65 6c 6c 6f 00 00 00 3f 9d f3 b6 40 b5 b2 2d]],
            message("/foo", {
                { tag = "i", value = 1000 }, { tag = "i", value = -1 },
                { tag = "s", value = "hello" },
                { tag = "f", value = 1.234 }, { tag = "f", value = 5.678 },
            }))
    end)

    it("has its pattern, arguments and bytes, and no arguments if none are given", function()
        local bare = Osc.Message("/renoise/transport/start")
        assert.equal("/renoise/transport/start", bare.pattern)
        assert.same({}, bare.arguments)
        assert.equal("/renoise/transport/start" .. ("\0"):rep(4) .. ",\0\0\0", bare.binary_data)
        assert.equal("Message: /renoise/transport/start (0 arguments)", tostring(bare))
        assert.equal("Message", getmetatable(bare).__type)
        assert.is_nil(bare.timetag)
    end)

    it("does not change once it is made", function()
        local argument = { tag = "i", value = 1 }
        local made = Osc.Message("/a", { argument })
        argument.value = 2
        assert.equal(1, made.arguments[1].value)
        raises(function()
            made.pattern = "/b"
        end, "Message: 'pattern' cannot be set; make a new Message")
    end)

    it("says what is wrong with it", function()
        for _, pattern in ipairs { "", "a", "/a\0b", 1, true } do
            raises(function()
                Osc.Message(pattern)
            end, "bad argument 'pattern' to 'Message' (text that begins with '/'")
        end
        raises(function() Osc.Message("/a", 1) end, "bad argument 'arguments' to 'Message'")
        raises(function() Osc.Message("/a", { 1 }) end, "bad argument 'arguments[1]'")
        raises(function()
            Osc.Message("/a", { { tag = "x", value = 1 } })
        end, "(tag: one of i f s b h t d S c r m T F N I expected, got string \"x\")")
        raises(function() Osc.Message("/a", { { value = 1 } }) end, "got nil)")
    end)

    it("is read from old senders, who leave out the tags", function()
        assert.same({}, read("/abc\0\0\0\0").arguments)
    end)
end)

describe("a bundle of OSC", function()
    local one = hex "2f 61 00 00 2c 69 00 00 00 00 00 01"
    local two = hex "2f 62 00 00 2c 00 00 00"
    local now = hex "00 00 00 00 00 00 00 01"

    it("is the bytes of the specification", function()
        local first = Osc.Message("/a", { { tag = "i", value = 1 } })
        local second = Osc.Message("/b")
        local bundle = Osc.Bundle(1, { first, second })
        local bytes = "#bundle\0" .. now .. hex "00 00 00 0c" .. one .. hex "00 00 00 08" .. two
        assert.equal(bytes, bundle.binary_data)
        assert.equal(1, bundle.timetag)
        assert.equal(first, bundle.elements[1])
        assert.equal("Bundle: 2 elements", tostring(bundle))
        local found = read(bytes)
        assert.equal("Bundle", getmetatable(found).__type)
        assert.equal(1, found.timetag)
        assert.equal("/a", found.elements[1].pattern)
        assert.equal(1, found.elements[1].arguments[1].value)
        assert.equal("/b", found.elements[2].pattern)
        assert.equal(bytes, found.binary_data)
    end)

    it("takes one message as well, and a clock for now", function()
        local bundle = Osc.Bundle(0.75, Osc.Message("/b"))
        assert.equal("#bundle\0" .. ("\0"):rep(8) .. hex "00 00 00 08" .. two, bundle.binary_data)
        assert.equal(0, bundle.timetag)
        assert.equal(0, Osc.Bundle(os.clock() % 1, {}).timetag)
    end)

    it("takes no bundle, but is read with bundles in it", function()
        local inner = Osc.Bundle(2, Osc.Message("/b"))
        raises(function() Osc.Bundle(1, { inner }) end, "a bundle takes no bundles")
        raises(function() Osc.Bundle(1, inner) end, "bad argument 'messages' to 'Bundle'")
        local bytes = "#bundle\0" .. now .. hex "00 00 00 1c" .. inner.binary_data
        local found = read(bytes)
        assert.equal(2, found.elements[1].timetag)
        assert.equal("/b", found.elements[1].elements[1].pattern)
        assert.equal(inner.binary_data, found.elements[1].binary_data)
    end)

    it("says what is wrong with it", function()
        raises(function() Osc.Bundle(-1, {}) end, "bad argument 'timetag' to 'Bundle'")
        raises(function() Osc.Bundle("1", {}) end, "bad argument 'timetag' to 'Bundle'")
        raises(function() Osc.Bundle(1) end, "bad argument 'messages' to 'Bundle'")
        raises(function() Osc.Bundle(1, { "x" }) end, "bad argument 'messages[1]'")
    end)

    it("may hold bundles to a depth of 32", function()
        local function nested(depth)
            local bytes = "#bundle\0" .. now
            for _ = 2, depth do
                local size = ("00 00 %02x %02x"):format(math.floor(#bytes / 256), #bytes % 256)
                bytes = "#bundle\0" .. now .. hex(size) .. bytes
            end
            return bytes
        end
        assert.is_truthy(Osc.from_binary_data(nested(32)))
        for _, depth in ipairs { 33, 3000 } do
            local found, problem = Osc.from_binary_data(nested(depth))
            assert.is_nil(found)
            assert.equal("no OSC packet: more than 32 bundles within each other", problem)
        end
    end)
end)

describe("what is no packet of OSC", function()
    it("is nil and a text", function()
        local a = "/a\0\0"
        local rest = {
            ["it begins neither with '/' nor with '#bundle'"] = { "", "abcd", "#bundlx\0" },
            ["its size is no multiple of four"] = { "/", "/a\0", a .. ",\0\0\0\0" },
            ["a text without an end"] = { "/abc", a .. ",sss", a .. ",s\0\0abcd", a .. ",s\0\0" },
            ["type tags that do not begin with ','"] = { a .. "abc\0", a .. "\0\0\0\1" },
            ['the type tag "[", which is not known'] = { a .. ",[]\0" },
            ["a number that is cut off"] = {
                a .. ",i\0\0", a .. ",d\0\0\0\0\0\0", a .. ",h\0\0abcd",
                a .. ",f\0\0", a .. ",r\0\0", a .. ",m\0\0",
            },
            ["a time that is cut off"] = { a .. ",t\0\0abcd", "#bundle\0", "#bundle\0abcd" },
            ["a blob that is longer than the data"] = { a .. ",b\0\0", a .. ",b\0\0\0\0\0\1",
                a .. ",b\0\0\255\255\255\255abcd" },
            ["a sign that is none"] = { a .. ",c\0\0\0\0\1\0", a .. ",c\0\0" },
            ["more data than its type tags tell of"] = {
                a .. ",\0\0\0abcd", a .. ",T\0\0\0\0\0\0",
            },
            ["an element that is longer than its bundle"] = { "#bundle\0" .. ("\0"):rep(8)
                .. "\0\0\0\8/a\0\0", "#bundle\0" .. ("\0"):rep(8) .. "\255\255\255\252" },
        }
        for text, list in pairs(rest) do
            for _, data in ipairs(list) do
                local found, problem = Osc.from_binary_data(data)
                assert.is_nil(found, ("%q"):format(data))
                assert.equal("no OSC packet: " .. text, problem)
            end
        end
        raises(function() Osc.from_binary_data(nil) end,
            "bad argument 'data' to 'from_binary_data' (string expected, got nil)")
    end)

    -- A generator of our own: the same datagrams on each Lua.
    local seed = 1
    local function random(most)
        seed = (seed * 16807) % 2147483647
        return seed % most + 1
    end

    local function arguments()
        local list = {}
        for index = 1, random(5) - 1 do
            local row = rows[random(#rows)]
            list[index] = { tag = row[1], value = row[2] }
        end
        return list
    end

    local function valid()
        local messages = {}
        for index = 1, random(3) do
            messages[index] = Osc.Message("/" .. ("x"):rep(random(9)), arguments())
        end
        return random(2) == 1 and messages[1].binary_data
            or Osc.Bundle(random(1000), messages).binary_data
    end

    local function noise(length)
        local bytes = {}
        for index = 1, length do
            bytes[index] = string.char(random(256) - 1)
        end
        return table.concat(bytes)
    end

    local mutations = {
        function(data) return data end,
        function(data) return data:sub(1, random(#data)) end,
        function(data) return data:sub(1, math.floor(random(#data) / 4) * 4) end,
        function(data) return data .. noise(random(3) * 4) end,
        function(data)
            local place = random(#data)
            return data:sub(1, place - 1) .. noise(1) .. data:sub(place + 1)
        end,
        function(data)
            local place = random(#data)
            return data:sub(1, place) .. noise(4) .. data:sub(place + 5)
        end,
        function(data)
            return "#bundle\0" .. noise(8) .. "\0\0\0" .. string.char(#data % 256) .. data
        end,
        function() return noise(random(64) - 1) end,
        function() return "/" .. noise(random(16) * 4 - 1) end,
        function() return "/a\0\0," .. noise(random(8) * 4 - 1) end,
    }

    -- The same on each Lua: LuaJIT, which is fast, has all of them, the others a fiftieth.
    local count = helper.is_luajit and helper.fewer == 1 and 100000 or 2000
    it("raises nothing: random datagrams and mutations of valid ones", function()
        local read_count, refused = 0, 0
        local base = valid()
        for index = 1, count do
            if index % 10 == 0 then
                base = valid()
            end
            local data = mutations[index % #mutations + 1](base)
            local ok, found, problem = pcall(Osc.from_binary_data, data)
            if not ok or found == nil and type(problem) ~= "string" then
                error(("%q: %s"):format(data, tostring(found)))
            elseif found then
                read_count = read_count + 1
                -- What was read is its own bytes; a message of it can be made again.
                if found.binary_data ~= data or not found.elements
                    and #message(found.pattern, found.arguments) < #data then
                    error(("%q is not read as it is"):format(data))
                end
            else
                refused = refused + 1
            end
        end
        assert.is_true(read_count > count / 10, read_count .. " read")
        assert.is_true(refused > count / 3, refused .. " refused")
    end)
end)
