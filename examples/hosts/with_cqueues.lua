-- evsock in a cqueues program: a coroutine polls the module itself and pumps when it is ready.
-- `require` gives attach(evsock, queue); run by itself it shows echoes beside a coroutine.

local cqueues = require "cqueues"

local function attach(evsock, queue)
    queue:wrap(function()
        while evsock.active() > 0 do
            -- cqueues asks it for pollfd(), events() and timeout().
            cqueues.poll(evsock)
            evsock.pump() -- an error of a handler ends this coroutine: set evsock.on_error
        end
    end)
end

if ... then return attach end

local evsock = require "evsock"
local queue = cqueues.new()

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

attach(evsock, queue) -- once something is active; again when all had ended
queue:wrap(function()
    for _ = 1, 4 do
        print("a coroutine of cqueues")
        cqueues.sleep(0.1)
    end
end)
assert(queue:loop()) -- returns: everything is closed
