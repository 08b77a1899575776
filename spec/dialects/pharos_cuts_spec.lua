-- Pharos Stream: what is read does not depend on how the bytes were cut into segments.
-- dialects.md 4.5 > "property"
-- One connection a call: random messages, cut at random, read back and compared with a reader that
-- knows the whole text. The seed is fixed: a failure comes again.

local helper = require "spec.helper"
local kit = require "spec.dialects.pharos_tools"

local CASES = 2000

after_each(helper.finish)

-- The same numbers on every Lua.
local dice = helper.dice

-- Letters, many ends of lines, and bytes that are no text.
local ALPHABET = { "a", "b", "\n", "\r", "\r\n", "\0", "\255", "long words ", "\n\n" }

local function message(roll)
    local parts = {}
    for index = 1, roll(12) do
        parts[index] = ALPHABET[roll(#ALPHABET)]
    end
    return table.concat(parts)
end

local function text_of(bytes)
    local parts = {}
    for index, byte in ipairs(bytes) do
        parts[index] = string.char(byte)
    end
    return table.concat(parts)
end

-- Each takes `max` or nil and the text that is there: what it should get, and what it leaves.
local function taker(text, max)
    local count = math.min(max or #text, #text)
    return text:sub(1, count), text:sub(count + 1)
end

local function line_taker(text, max)
    local stop = text:find("\n", 1, true) or #text
    return taker(text, math.min(max or stop, stop))
end

local function all_taker(text)
    return text, ""
end

local function peeker(text, max)
    return (taker(text, max)), text
end

local readers = {
    read_string = taker,
    read_bytes = taker,
    read_line_string = line_taker,
    read_line_bytes = line_taker,
    read_all_string = all_taker,
    read_all_bytes = all_taker,
    peek_string = peeker,
    peek_bytes = peeker,
    read = taker,
    read_line = line_taker,
    read_all = all_taker,
}

-- Reads one case's text while it comes, and checks every result against the text that has come.
local function check(name, oracle, seed)
    local socket, peer = kit.pair()
    local roll = dice(seed)
    local expected, done, started = "", 0, 0
    local to_come = 0
    local is_bytes = name:find("_bytes$") ~= nil
    local function read_some()
        -- What has arrived is known from the count: TCP may join what was cut.
        local text = expected:sub(1, socket.bytes_available)
        local max = roll(3) > 1 and roll(8) or nil
        local wanted, left = oracle(text, max)
        local got = socket[name](socket, max)
        if is_bytes then
            got = text_of(got)
        end
        if got ~= wanted then
            error(("seed %d, case %d: %q of %q, expected %q"):format(seed, done, got, text, wanted))
        end
        expected = left .. expected:sub(#text + 1)
        done = done + 1
    end
    socket.ready_read_handler = function()
        to_come = socket.bytes_available
        read_some()
        while socket.bytes_available > 0 and roll(4) > 1 do
            read_some()
        end
        if name:find("peek", 1, true) then
            local count = roll(socket.bytes_available)
            expected = expected:sub(count + 1)
            socket:read_string(count)
        end
    end
    while done < CASES do
        for _ = 1, 50 do
            local text = message(roll)
            expected, started = expected .. text, started + #text
            local from = 1
            while from <= #text do
                local to = math.min(#text, from + roll(6) - 1)
                peer:write(text:sub(from, to))
                from = to + 1
            end
            helper.evsock.pump()
        end
        kit.wait(function()
            return #expected == socket.bytes_available
        end, "all of it")
        if socket.bytes_available > 0 then
            read_some()
        end
    end
    assert.is_true(started > 0 and to_come > 0)
end

describe("Pharos Stream: cuts", function()
    local names = {}
    for name in pairs(readers) do
        names[#names + 1] = name
    end
    table.sort(names)
    for seed, name in ipairs(names) do
        it(("4.5 %s reads the same however the bytes were cut (%d cases)"):format(name, CASES),
            function()
                check(name, readers[name], seed * 7919)
            end)
    end
end)
