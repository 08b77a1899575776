-- Shows a serial port beside sockets: who connects asks the device by a line and gets its answer.
--
-- Run it: lua examples/serial_port.lua PORT <>DEVICE >&0
--
-- DEVICE is /dev/ttyUSB0, for example, after `stty -F /dev/ttyUSB0 9600 raw -echo`. The shell opens
-- it, as descriptor 0, because Lua's own files do not tell theirs; `posix.fcntl.open` of luaposix
-- and `open` by LuaJIT's ffi do.

local evsock = require "evsock"

local port = arg[1]
assert(port, "usage: lua examples/serial_port.lua PORT <>DEVICE >&0")

-- Without buffers of Lua's: of what these had read ahead, nobody would be told.
io.stdin:setvbuf("no")
io.stdout:setvbuf("no")
local device = assert(evsock.watch(0, "r"))

-- A line of the device, or nil and the reason.
local function read_line(seconds)
    local line = {}
    repeat
        local readable, message = device:wait(seconds)
        if not readable then
            return nil, message
        end
        line[#line + 1] = io.read(1) or error("the device is gone")
    until line[#line] == "\n"
    return (table.concat(line):gsub("%s+$", ""))
end

-- One question is on the line at a time: who has what is in here may ask.
local line_is_free = evsock.queue(1)
line_is_free:push(true)

local function ask(question)
    line_is_free:pop()
    io.write(question, "\r\n")
    local answer, why = read_line(2)
    line_is_free:push(true)
    return answer or "error: " .. why
end

local server = assert(evsock.listen("127.0.0.1", port, {
    on_accept = function(_, sock)
        evsock.spawn(function()
            local question = sock:receive("*l")
            while question do
                sock:send(ask(question) .. "\n")
                question = sock:receive("*l")
            end
        end)
    end,
}))
io.stderr:write("listening on port ", server.port, "\n")
evsock.run()
