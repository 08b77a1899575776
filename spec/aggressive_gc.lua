-- For `busted --helper=spec/aggressive_gc.lua`: the collector never rests, so that whatever may be
-- collected is collected at the first chance.

if _VERSION >= "Lua 5.4" then
    -- A step of the collector at every allocation.
    collectgarbage("incremental", 1, 1000, 1)
    collectgarbage("setstepmul", 1000)
else
    collectgarbage("setstepmul", 1000000)
end
collectgarbage("setpause", 0)
