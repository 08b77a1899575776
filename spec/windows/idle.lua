-- Says "idle" once it is, then waits for 10 s: `.ci/windows` counts how often it wakes meanwhile.
-- Not here: the same on Linux (`spec/lifecycle_spec.lua`).

local evsock = require "evsock"

local server = assert(evsock.listen("127.0.0.1", 0))
local client = evsock.connect("127.0.0.1", server.port, { read_timeout = 100 })
while client.state ~= "open" do
    evsock.pump(0.05)
end
for _ = 1, 20 do
    evsock.pump(0.05)
end
io.stdout:write("idle\n")
io.stdout:flush()
evsock.pump(10)
io.stdout:write(client.state, "\n")
