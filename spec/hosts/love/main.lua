-- Runs the work of work.lua in LÖVE with the recipe's love.update; called from the top of the
-- repository. A frame takes milliseconds, so many clients ask at once.

local love = rawget(_G, "love")
local evsock = require "evsock"
local work = dofile "spec/hosts/work.lua"
dofile "examples/hosts/love/main.lua"

work.clients = 20
local due = 0

function love.load()
    due = evsock.now() + work.period
    work.start(love.event.quit)
end

-- A timer in a game is counted in its frames.
local update = love.update
function love.update(seconds)
    update(seconds)
    if evsock.now() >= due then
        work.tick()
        due = evsock.now() + work.period
    end
end

love.draw = nil

function love.quit()
    work.report()
end
