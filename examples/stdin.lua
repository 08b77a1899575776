-- Shows the keyboard beside a socket: what is typed goes to the peer line by line, what the peer
-- says is printed, and neither waits for the other.
--
-- Run it: lua examples/stdin.lua HOST PORT

local evsock = require "evsock"

local host, port = arg[1], arg[2]
assert(port, "usage: lua examples/stdin.lua HOST PORT")

-- Without a buffer of Lua's: of what that had read ahead, nobody would be told.
io.stdin:setvbuf("no")

local sock, typed = evsock.connect(host, port), {}

local keyboard = assert(evsock.watch(0, "r", function(keyboard)
    -- One character is there, or the end; a second one might be waited for. If there are more, this
    -- is called again.
    local char = io.read(1)
    if not char then
        keyboard:close()
        sock:close()
    elseif char == "\n" then
        sock:write(table.concat(typed), "\n")
        typed = {}
    else
        typed[#typed + 1] = char
    end
end))

sock.on_data = function()
    for line in sock:lines() do
        print("> " .. line)
    end
end

sock.on_close = function(_, message)
    keyboard:close()
    print(message or "closed")
end

io.stdout:setvbuf("line")
evsock.run()
