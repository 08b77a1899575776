-- Writes a line to stderr, the only output of the library.
--
-- Not here: what it says, and how often (`unhandled.lua`); the writing itself (src/sys/stderr.rs).
-- Invariants: nobody waits for stderr, and its being closed harms nobody.

local native = ...

-- Some hosts remove `io`, and a script may put its own in its place, or in that of `io.stderr`.
local stderr = io and io.stderr
local kind_of = io and io.type

return function(text)
    local its_io = _G.io
    local now = its_io and its_io.stderr
    if now and now ~= stderr then
        pcall(function()
            now:write("evsock: ", text, "\n")
        end)
    elseif not stderr or kind_of(stderr) ~= "closed file" then
        native.say("evsock: " .. text .. "\n")
    end
end
