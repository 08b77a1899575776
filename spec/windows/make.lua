-- Stands in for mingw32-make.exe where Windows is wine, which has none: runs the one recipe of a
-- target, the first one if none is named. Knows `-f FILE`, `NAME=value` and $(NAME), no more.
--
--   lua.exe make.lua -f MAKEFILE [TARGET] [NAME=value...]

local variables, path, wanted = {}, nil, nil
local index = 1
while arg[index] do
    local name, value = arg[index]:match("^([%w_]+)=(.*)$")
    if arg[index] == "-f" then
        index = index + 1
        path = arg[index]
    elseif name then
        variables[name] = value
    else
        wanted = arg[index]
    end
    index = index + 1
end

local target, recipe
for line in io.lines(path) do
    target = line:match("^(%w+):$") or target
    wanted = wanted or target
    if target == wanted and line:find("^\t") then
        recipe = line:sub(2):gsub("%$%(([%w_]+)%)", variables)
        break
    end
end
print(recipe)
io.stdout:flush()
-- make starts the program itself; one more pair of quotes makes cmd.exe do the same.
local ok = os.execute('"' .. recipe .. '"')
os.exit(ok == true or ok == 0)
