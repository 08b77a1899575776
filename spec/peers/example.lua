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

--- As one word for a shell.
function example.quoted(text)
    return "'" .. tostring(text):gsub("'", "'\\''") .. "'"
end

local quoted = example.quoted

--- The command for a shell that the head of the example gives, with its Lua the one that runs the
--- specs, and this library.
function example.command(path, values)
    local code = assert(helper.read_file(path))
    local command = assert(code:match("\n%-%- Run it: ([^\n]-)%s*%f[(\n]"), path)
    local paths = ("package.path, package.cpath = %q, %q"):format(package.path, package.cpath)
    command = command:gsub("^%l+ ", "")
    for word in command:gmatch("%f[%w]%u+%f[%W]") do
        local value = assert(values[word], "nothing given for " .. word)
        command = command:gsub("%f[%w]" .. word .. "%f[%W]", (quoted(value):gsub("%%", "%%%%")))
    end
    return ("%s -e %s %s"):format(quoted(helper.lua), quoted(paths), command)
end

--- Runs a shell command in the background. Returns a pipe to its input, and a function that tells
--- what it has said so far; it must end by itself when the pipe is closed, or after 20 s.
function example.begin(command)
    local said = helper.track(os.tmpname(), os.remove)
    local pipe = assert(io.popen(("timeout -k 1 20 sh -c %s >%s 2>&1"):format(
        quoted(command), said), "w"))
    pipe:setvbuf("no")
    return pipe, function()
        return helper.read_file(said) or ""
    end
end

return example
