-- Prints the rockspec of a binary rock: what rockspec/evsock-scm-1.rockspec says of the project,
-- with a module that is built already. Called by .ci/package: binary.lua VERSION LUA FILE
--
-- The name of a binary rock tells the system but not the Lua: its dependency does.

local version, lua, file = arg[1], arg[2], arg[3]

local source = {}
local chunk
if rawget(_G, "setfenv") then
    chunk = rawget(_G, "setfenv")(assert(loadfile("rockspec/evsock-scm-1.rockspec")), source)
else
    chunk = assert(loadfile("rockspec/evsock-scm-1.rockspec", "t", source))
end
chunk()

-- "5.4" -> "lua >= 5.4, < 5.5". LuaJIT is a 5.1 to luarocks.
local function dependency()
    local major, minor = (lua == "luajit" and "5.1" or lua):match("^(%d+)%.(%d+)$")
    return ("lua >= %d.%d, < %d.%d"):format(major, minor, major, minor + 1)
end

local summary = source.description.summary
    .. (" (built for %s)"):format(lua == "luajit" and "LuaJIT" or "Lua " .. lua)

io.write(([[
rockspec_format = "3.0"
package = "evsock"
version = %q
source = { url = "file://built" }
description = { summary = %q, license = %q }
dependencies = { %q }
build = {
    type = "none",
    install = { lib = { evsock = %q }, bin = { "bin/evsock-qsys" } },
    copy_directories = { "doc", "src/meta", "examples" },
}
]]):format(version, summary, source.description.license, dependency(), file))
