-- Runs an example that needs a server as its head says: "Run it: lua examples/NAME.lua WORD ...".

local helper = require "spec.helper"

local example = {}

-- Run after the example: the most memory that its process ever had.
local MEMORY = [[
print("peak: " .. io.open("/proc/self/status"):read("*a"):match("VmHWM:%s*(%d+)"))
]]

--- `values` has what stands for each WORD ("" leaves it out). Returns the output, the exit status
--- and the most memory, in KiB, that the process had (nil if it failed).
function example.run(path, values)
    local file = assert(io.open(path))
    local code = file:read("*a")
    file:close()
    local words = code:match("\n%-%- Run it: lua " .. path:gsub("%p", "%%%0") .. " ([%u ]+)")
    assert(words, path .. " does not say how to run it")
    local arguments = {}
    for word in words:gmatch("%u+") do
        local value = assert(values[word], "nothing given for " .. word)
        if value ~= "" then
            arguments[#arguments + 1] = ("%q"):format(value)
        end
    end
    local said, status = helper.run(("arg = { %s }\ndofile(%q)\n%s"):format(
        table.concat(arguments, ", "), path, MEMORY))
    local peak = said:match("peak: (%d+)\n$")
    return (said:gsub("peak: %d+\n$", "")), status, tonumber(peak)
end

return example
