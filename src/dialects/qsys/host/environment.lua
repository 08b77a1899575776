-- The globals that a Q-SYS script finds, one table for each: Lua's own, and `require`, `load` and
-- their like, which stay within it.
--
-- Not here: what a Core adds (`globals`). Invariants: no script sees the globals of another or of
-- the test; the table of strings is the same for all, since methods of texts come from there.

local _, core = ...

local environment = {}

-- Lua's own, whatever the test puts in their place later.
local plain_load, plain_require, setfenv = load, require, setfenv
local loadstring, unpack = loadstring, table.unpack or unpack

local NAMES = {
    "_VERSION", "assert", "bit", "collectgarbage", "coroutine", "debug", "error", "getmetatable",
    "io", "ipairs", "jit", "math", "next", "os", "pairs", "pcall", "rawequal", "rawget", "rawlen",
    "rawset", "select", "setmetatable", "string", "table", "tonumber", "tostring", "type",
    "unpack", "utf8", "xpcall",
}

-- Compiling ---------------------------------------------------------------------------------------

-- A Core runs Lua 5.3. What "\x0d" is there Lua 5.1 knows as "\013" alone.
local function without_hex(text)
    return (text:gsub("(\\+)x(%x%x)", function(slashes, digits)
        if #slashes % 2 == 1 then
            return slashes .. ("%03d"):format(tonumber(digits, 16))
        end
    end))
end

local needs_decimal = not (loadstring or plain_load)("return '\\x41' == 'A'")
    or (loadstring or plain_load)("return '\\x41'")() ~= "A"

-- The text as a function with `env` as its globals; nil and why it is none.
local function compile(text, name, env)
    -- A mark of the order of bytes is no Lua, and a first line for a shell becomes a comment.
    text = text:gsub("^\239\187\191", ""):gsub("^#", "--#", 1)
    if needs_decimal then
        text = without_hex(text)
    end
    if setfenv then
        local fn, problem = loadstring(text, name)
        return fn and setfenv(fn, env), problem
    end
    return plain_load(text, name, "t", env)
end

-- Operators of Lua 5.3 are no Lua before.
local hint = not math.tointeger and " (a Core runs Lua 5.3, and this is " .. _VERSION
    .. ": what it lacks needs Lua 5.3 or later)" or ""

function environment.compile(text, name, env)
    local fn, problem = compile(text, name, env)
    return fn, problem and problem .. hint
end

-- The same of a file; nil and why not.
function environment.compile_file(path, env)
    local text, reason = core.common.read_file(path)
    if not text then
        return nil, reason
    end
    return environment.compile(text, "@" .. path, env)
end

local function text_of(chunk)
    if type(chunk) ~= "function" then
        return chunk
    end
    local pieces = {}
    local piece = chunk()
    while piece and piece ~= "" do
        pieces[#pieces + 1] = piece
        piece = chunk()
    end
    return table.concat(pieces)
end

-- Modules -----------------------------------------------------------------------------------------

local function exists(path)
    local file = io.open(path, "rb")
    if file then
        file:close()
    end
    return file ~= nil
end

-- A module of the plugin's: what the test gave as a global of that name, a file beside the plugin,
-- one of a Core, or what this Lua has installed.
local function module(env, name, place)
    local file = place.folder .. name:gsub("%.", "/") .. ".lua"
    if rawget(place.given, name) ~= nil then
        return place.given[name]
    elseif exists(file) then
        local fn, problem = environment.compile_file(file, env)
        if not fn then
            error(problem, 0)
        end
        local value = fn(name)
        return value == nil and true or value
    elseif place.modules[name] then
        return place.modules[name]()
    end
    local ok, value = pcall(plain_require, name)
    if not ok then
        local missing = tostring(value):find("module '" .. name .. "' not found", 1, true)
        core.raise(missing and "require: no module '" .. name .. "' (neither " .. file
            .. " nor installed here); install it, or pass your own in `globals`"
            or tostring(value))
    end
    return value
end

-- Lua's own ---------------------------------------------------------------------------------------

local function add_loading(env)
    -- A text's globals are the script's, not the test's.
    env.load = function(chunk, name, _, own)
        local kind = type(chunk)
        if kind ~= "string" and kind ~= "function" then
            core.common.bad("chunk", "load", "string or function", chunk)
        end
        local text = text_of(chunk)
        local default = kind == "string" and text or "=(load)"
        return environment.compile(text, name or default, own == nil and env or own)
    end
    env.loadstring = loadstring and env.load
    env.loadfile = function(path, _, own)
        return environment.compile_file(path, own == nil and env or own)
    end
    env.dofile = function(path)
        local fn, problem = environment.compile_file(path, env)
        if not fn then
            error(problem, 0)
        end
        return fn()
    end
end

local function to_integer(number)
    return type(number) == "number" and number % 1 == 0 and number or nil
end

local function pack(...)
    return { n = select("#", ...), ... }
end

-- A new table of globals. `place` has `folder` (with its separator), `given` (the test's globals)
-- and `modules`: name to a function that returns the module.
function environment.new(place)
    local env, loaded = {}, {}
    for _, name in ipairs(NAMES) do
        local value = _G[name]
        -- What a script adds to a library is its own affair.
        local is_library = type(value) == "table" and name ~= "string"
        env[name] = is_library and core.common.copy_of(value) or value
    end
    env._G = env
    env.table.unpack, env.table.pack = unpack, table.pack or pack
    env.math.tointeger = math.tointeger or to_integer
    env.setfenv, env.getfenv = setfenv, getfenv
    add_loading(env)
    env.package = { loaded = loaded, preload = {}, path = place.folder .. "?.lua", cpath = "" }
    env.require = function(name)
        if type(name) ~= "string" then
            core.common.bad("name", "require", "string", name)
        end
        local value = loaded[name]
        if value == nil then
            local own = env.package.preload[name]
            value = own and own(name) or not own and module(env, name, place)
            if value == nil then
                value = true
            end
            loaded[name] = value
        end
        return value
    end
    return env
end

return environment
