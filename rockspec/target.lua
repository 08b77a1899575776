-- Which Lua the rock is for, where its build lies, and how the system's shell is talked to. Used by
-- build.lua and install.lua.
--
-- Knows two shells, that of Unix and cmd.exe. Programs are looked for without asking either.

local is_windows = package.config:sub(1, 1) == "\\"

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

-- A word for the shell. No path of Windows has a quote in it; percent signs are kept apart from the
-- names between them, which cmd.exe would put the variables' values for.
local function quote(text)
    if is_windows then
        return '"' .. text:gsub("%%", '"%%"') .. '"'
    end
    return "'" .. text:gsub("'", "'\\''") .. "'"
end

-- cmd.exe takes the first and the last quote of a command off.
local function for_shell(command)
    return is_windows and '"' .. command .. '"' or command
end

-- 5.1 returns the status, later ones true or nil first.
local function run(command)
    local result = os.execute(for_shell(command))
    return result == true or result == 0
end

-- All that the command says on either stream.
local function ask(command)
    local pipe = assert(io.popen(for_shell(command .. " 2>&1")))
    local said = pipe:read("*a")
    pipe:close()
    return said
end

local function is_there(program)
    local endings = is_windows and { ".exe", ".bat", ".cmd" } or { "" }
    for folder in (os.getenv("PATH") or ""):gmatch(is_windows and "[^;]+" or "[^:]+") do
        for _, ending in ipairs(endings) do
            if exists(folder:gsub('"', "") .. "/" .. program .. ending) then
                return true
            end
        end
    end
    return false
end

-- Makes a folder and those above it; one that is there already is none of anybody's business.
-- Returns its path as the system writes it.
local function make_directory(path)
    if is_windows then
        path = path:gsub("/", "\\")
        run("mkdir " .. quote(path) .. " 2>nul")
    else
        run("mkdir -p " .. quote(path))
    end
    return path
end

return function(include_directory)
    local name = feature(include_directory or "")
    local directory = parent() .. "/" .. name
    return {
        ask = ask,
        directory = directory,
        feature = name,
        find_library = function()
            local names = is_windows and { "evsock.dll" } or { "libevsock.so", "libevsock.dylib" }
            for _, file in ipairs(names) do
                local path = directory .. "/release/" .. file
                if exists(path) then
                    return path
                end
            end
        end,
        is_there = is_there,
        is_windows = is_windows,
        make_directory = make_directory,
        quote = quote,
        run = run,
        separator = package.config:sub(1, 1),
    }
end
