-- sock:lines() on LuaJIT: an iterator that its compiler can compile. A C function in a loop would
-- end the trace at every line.
--
-- Not here: where a line ends, what is taken when, what a block of lines found ahead is
-- (ffi/line_batch.rs). Invariants: a block is busy from before it is looked at until the line is a
-- string; a finaliser that runs meanwhile and asks for lines takes the other way.

local native = ...

local found, ffi = pcall(require, "ffi")
local _, jit = pcall(require, "jit")
if not found or not jit.status() then
    return native.lines
end

local filler, declaration = native.line_filler()
local fill = ffi.cast("bool (*)(void *, void *, double, double)", filler)
local block_of, address = ffi.typeof(declaration), ffi.typeof("void *")
local to_string = ffi.string
local line_bound, lines, next_line = native.line_bound, native.lines, native.next

-- What makes the iterators over one block.
local function maker_over(holder)
    local block = ffi.cast(block_of, holder)
    return function(sock, bound, number)
        local object = ffi.cast(address, sock)
        return function()
            if block.busy == 0 then
                block.busy = 1
                local i = block.next
                if block.owner ~= number or i >= block.count then
                    i = fill(block, object, bound, number) and 0 or -1
                end
                if i >= 0 then
                    local line = to_string(block.text + block.from[i], block.length[i])
                    block.busy = 0
                    -- A finaliser may have looked at the socket meanwhile: then it is the buffer's.
                    if i < block.committed then
                        block.next = i + 1
                        return line
                    end
                else
                    block.busy = 0
                end
            end
            return next_line(sock, bound, holder)
        end
    end
end

local last_holder, make

return function(sock, kind)
    local bound, holder, number = line_bound(sock, kind)
    if not holder then
        return lines(sock, kind)
    end
    -- A finaliser may come here meanwhile, with another block.
    local maker = make
    if holder ~= last_holder then
        maker = maker_over(holder)
        make, last_holder = maker, holder
    end
    return maker(sock, bound, number)
end
