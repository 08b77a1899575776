-- Which Lua the rock is for, and where its build lies. Used by build.lua and install.lua.

local function exists(path)
    local file = io.open(path, "rb")
    if file then
        file:close()
    end
    return file ~= nil
end

local function feature(include_directory)
    -- luarocks may run its own Lua 5.1 for a LuaJIT: then the headers tell.
    if rawget(_G, "jit") or exists(include_directory .. "/luajit.h") then
        return "luajit"
    end
    local major, minor = _VERSION:match("^Lua (%d+)%.(%d+)$")
    return "lua" .. major .. minor
end

-- cargo's own variable counts, so that a second build need not begin with nothing.
local function parent()
    local given = os.getenv("CARGO_TARGET_DIR")
    return given and given ~= "" and given or "target"
end

return function(include_directory)
    local name = feature(include_directory or "")
    local directory = parent() .. "/" .. name
    local library = directory .. "/release/libevsock"
    return {
        feature = name,
        directory = directory,
        find_library = function()
            for _, suffix in ipairs { ".so", ".dylib" } do
                if exists(library .. suffix) then
                    return library .. suffix
                end
            end
        end,
        -- A word for the shell.
        quote = function(text)
            return "'" .. text:gsub("'", "'\\''") .. "'"
        end,
    }
end
