-- evsock in Neovim: its loop watches evsock's descriptor; handlers may use all of vim.api.
-- `require` gives attach(evsock); sourced by itself it shows echoes, then quits Neovim.

local uv = vim.uv or vim.loop

local function attach(evsock)
    local poll = uv.new_poll(evsock.pollfd())
    local function watch()
        poll:start("r", function()
            poll:stop() -- it stays readable until the pump below
            vim.schedule(function()
                watch() -- first: a handler may raise
                evsock.pump()
            end)
        end)
    end
    watch()
    return poll -- poll:close() ends it; Neovim itself does when it quits
end

if ... then return attach end

local evsock = require "evsock"
attach(evsock)

vim.defer_fn(function() print("a timer of Neovim") end, 100)

local server = assert(evsock.listen("127.0.0.1", 0, {
    on_data = function(sock) sock:write(sock:read()) end,
}))
local client = evsock.connect("127.0.0.1", server.port)
local question = evsock.every(0.05, function() client:write("hello\n") end)
client.on_data = function(sock) print("echo " .. sock:read_line()) end
client.on_close = function() vim.cmd "quitall!" end
evsock.after(0.4, function()
    question:cancel()
    client:close()
    server:close()
end)
