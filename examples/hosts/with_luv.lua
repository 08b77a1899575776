-- evsock in a luv program: luv watches evsock's descriptor and pumps when it is readable.
-- `require` gives attach(evsock); run by itself it shows echoes beside a timer of luv.

local uv = require "luv"

local function attach(evsock)
    local poll, prepare = uv.new_poll(evsock.pollfd()), uv.new_prepare()
    poll:start("r", function()
        evsock.pump() -- set evsock.on_error: luv ends the program when a callback raises
    end)
    -- The descriptor keeps uv.run going for as long as evsock has something to do, no longer.
    prepare:start(function()
        if evsock.active() > 0 then poll:ref() else poll:unref() end
    end)
    prepare:unref()
end

if ... then return attach end

local evsock = require "evsock"
attach(evsock)

local ticks = uv.new_timer()
ticks:start(0, 100, function() print("a timer of luv") end)

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
    ticks:close()
end)
uv.run() -- returns: everything is closed
