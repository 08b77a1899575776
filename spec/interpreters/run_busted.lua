-- Debian's busted on an interpreter that Debian does not have: it is found where an interpreter of
-- Debian finds it. Run it in place of busted, with busted's own arguments:
-- target/interpreters/bin/lua5.5 spec/interpreters/run_busted.lua spec/gc_spec.lua

local neighbour = rawget(_G, "jit") and "luajit" or "lua5.4"
local pipe = assert(io.popen(neighbour .. [[ -e "print(package.path) print(package.cpath)"]]))
local path, cpath = pipe:read("*l", "*l")
pipe:close()
assert(cpath, neighbour .. " does not say where it looks for modules")

-- The libraries of busted are older than 5.5, where the variable of a loop is a constant: what does
-- not compile for that reason gets a variable of its own in each loop, on the same line.
local function search_old_text(name)
    local file_name = package.searchpath(name, package.path)
    if not file_name then
        return nil
    end
    local file = assert(io.open(file_name))
    local text = file:read("*a")
    file:close()
    local chunk, reason = load(text, "@" .. file_name)
    if not chunk and reason:find("assign to const variable", 1, true) then
        text = text:gsub("(%f[%w_]for%s+([%w_][%w_%s,]*)%s+in%s[^\n]-%f[%w_]do%f[^%w_])",
            "%1 local %2 = %2")
        chunk, reason = load(text, "@" .. file_name)
    end
    return assert(chunk, reason), file_name
end

if neighbour == "luajit" then
    -- The same modules in C: both are a Lua 5.1 to them.
    package.path, package.cpath = path, cpath
else
    package.path = path
    package.cpath = package.cpath .. ";target/interpreters/lib/lua/5.5/?.so"
    -- All that busted asks of it: no colours, wherever the output goes.
    package.preload.term = function()
        return { isatty = function() return false end }
    end
    table.insert(package.searchers, 2, search_old_text)
end

require "busted.runner" { standalone = false }
