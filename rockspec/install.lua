-- Copies the module to where luarocks wants it. Called by luarocks:
-- install.lua LUA_INCDIR LIBDIR LIB_EXTENSION

local target = dofile("rockspec/target.lua")(arg[1])

local function check(value, message)
    if not value then
        io.stderr:write("evsock: " .. tostring(message) .. "\n")
        os.exit(1)
    end
    return value
end

local path = check(target.find_library(), "nothing was built in " .. target.directory)
local directory = check(arg[2], "no directory to install to")
local extension = check(arg[3], "no ending for the module's file: dll on Windows, so elsewhere")
-- luarocks makes LIBDIR only for its own kinds of build.
directory = target.make_directory(directory)

local source = check(io.open(path, "rb"))
local bytes = check(source:read("*a"))
source:close()
local file, reason = io.open(directory .. target.separator .. "evsock." .. extension, "wb")
check(file, reason)
local written, problem = file:write(bytes)
check(written, problem)
local closed, trouble = file:close()
check(closed, trouble)
