-- evsock in a copas program: a thread of copas "receives" from evsock's descriptor and pumps.
-- `require` gives attach(evsock); run by itself it shows echoes beside steps of copas.

local copas = require "copas"

local function attach(evsock)
    local descriptor = evsock.pollfd()
    local bell = {
        getfd = function() return descriptor end,
        dirty = function() return false end,
        settimeout = function() return 1 end,
        close = function() end,
        receive = function()
            evsock.pump() -- an error of a handler ends this thread: set evsock.on_error
            if evsock.active() > 0 then return nil, "timeout" end -- receive again when readable
            return "" -- the thread ends
        end,
    }
    copas.addthread(function() copas.receive(bell, 1) end)
end

if ... then return attach end

local evsock = require "evsock"
local server = assert(evsock.listen("127.0.0.1", 0, {
    on_data = function(sock) sock:write(sock:read()) end,
}))
local client = evsock.connect("127.0.0.1", server.port)
local question = evsock.every(0.05, function() client:write("hello\n") end)
client.on_data = function(sock) print("echo", (sock:read_line())) end
evsock.after(0.4, function()
    question:cancel()
    client:close()
    server:close()
end)

attach(evsock) -- once something is active; again when all had ended
while evsock.active() > 0 do
    if not copas.step(0.1) then print("nothing for copas to do") end
end
