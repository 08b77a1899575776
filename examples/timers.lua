-- Shows timers: once, again and again, and how to stop one.

local evsock = require "evsock"

evsock.after(0.25, print, "after a quarter of a second")

local count = 0
local ticker
ticker = evsock.every(0.1, function()
    count = count + 1
    print("tick " .. count)
    if count == 4 then
        ticker:cancel()
    end
end)

evsock.run()
