-- Debian's luarocks on Windows' Lua under wine: lua.exe luarocks.lua ARGUMENTS OF LUAROCKS
--
-- A folder opened with a backslash behind its name fails with 2 on Windows, by which luarocks knows
-- it, but with 13 on wine.

local open = io.open

function io.open(path, mode) -- luacheck: ignore
    local file, message, code = open(path, mode)
    if code == 13 and path:find("[\\/]$") then
        code = 2
    end
    return file, message, code
end

assert(loadfile("/usr/bin/luarocks"))(...)
