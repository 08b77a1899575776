-- The two lists about specs on Windows, and how a line of them is read.
--
-- A line is "REASON | FILE | NAME": parts of the path and of the full name, as plain text; "*" is
-- any. Not here: what follows from a line (`run.lua`, `verdict.lua`).

local lists = {}

local function trim(text)
    return (text:gsub("^%s+", ""):gsub("%s+$", ""))
end

--- The lines of a list, each with `reason`, `file`, `name` and the `line` itself.
function lists.read(path)
    local found = {}
    for line in io.lines(path) do
        line = trim(line)
        if line ~= "" and line:sub(1, 1) ~= "#" then
            local reason, file, name = line:match("^(.-)|(.-)|(.*)$")
            if not reason then
                error(path .. ": not 'REASON | FILE | NAME': " .. line, 0)
            end
            found[#found + 1] = {
                reason = trim(reason), file = trim(file), name = trim(name), line = line,
            }
        end
    end
    return found
end

local function fits(part, whole)
    return part == "*" or whole:find(part, 1, true) ~= nil
end

--- The reason of the first line that fits, and that line.
function lists.reason(list, file, name)
    for _, entry in ipairs(list) do
        if fits(entry.file, file) and fits(entry.name, name) then
            return entry.reason, entry
        end
    end
end

return lists
