-- sock:lines() on LuaJIT: an iterator that its compiler can compile. A C function in a loop would
-- end the trace at every line.
--
-- Not here: where a line ends, what is taken when. Invariants: what is copied to a room is made a
-- string before anybody else can use that room: a finaliser that runs meanwhile and asks for lines
-- gets another room, or, of the same iterator, takes the other way.

local native = ...

local found, ffi = pcall(require, "ffi")
local _, jit = pcall(require, "jit")
if not found or not jit.status() then
    return native.lines
end

-- Longer lines take the other way.
local SIZE = 1024
-- With fewer bytes than that at hand, C is as fast.
local FEW = 512

local room_of = ffi.typeof("uint8_t[?]")
local address = ffi.typeof("void *")
local to_string = ffi.string
local take = ffi.cast("int32_t (*)(void *, double, uint8_t *, uint32_t)", native.line_taker())
local line_bound, lines, next_line = native.line_bound, native.lines, native.next
local spare

return function(sock, kind)
    local bound, length = line_bound(sock, kind)
    if length < FEW then
        return lines(sock, kind)
    end
    local room, block = spare or room_of(SIZE), ffi.cast(address, sock)
    spare = nil
    local busy = false
    return function()
        if not busy then
            busy = true
            local n = take(block, bound, room, SIZE)
            if n >= 0 then
                local line = to_string(room, n)
                busy = false
                return line
            end
            busy = false
        end
        local line = next_line(sock, bound)
        if line == nil then
            spare = room
        end
        return line
    end
end
