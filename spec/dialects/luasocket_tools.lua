-- What the specs of LuaSocket's dialect share: rows that run on the dialect, inside of a task and
-- outside of any, and on LuaSocket and LuaSec themselves where they are installed. These guard the
-- rows: what is expected there, the originals do.

local helper = require "spec.helper"
local assert = require "luassert"
local luasocket = require "evsock.luasocket"

local tools = {}

-- A module of the originals, loaded beside ours; nil where it is not installed.
local function original(name)
    local ok, module = pcall(require, name)
    return ok and module or nil
end

local ours = { socket = luasocket.core, unix = luasocket.unix, ssl = luasocket.ssl }
local theirs = {
    socket = original "socket.core", unix = original "socket.unix", ssl = original "ssl",
}

-- The words with which a side is named in a test's name.
local sides = {
    { name = "the dialect", api = ours, is_ours = true },
    { name = "the dialect in a task", api = ours, is_ours = true, in_task = true },
    { name = "the original", api = theirs },
}
if helper.fewer > 1 then
    -- Where each step is dear, what is not ours is not looked at.
    table.remove(sides)
end

--- Whether the original of that module is installed for the running Lua.
function tools.has_original(module)
    return theirs[module] ~= nil
end

--- Values in a list that keeps nils, which are "nil" there.
function tools.list(...)
    local list = {}
    for place = 1, select("#", ...) do
        local value = select(place, ...)
        list[place] = value == nil and "nil" or value
    end
    return list
end

--- Whether the call raises, and the text is in the message.
function tools.raises(text, fn, ...)
    local ok, problem = pcall(fn, ...)
    if ok then
        return "raises nothing"
    end
    return tostring(problem):find(text, 1, true) and "raises" or tostring(problem)
end

--- What a row gets: `keep(object)` has it closed in the end.
local function keeper()
    local kept = {}
    return function(object, ...)
        if object then
            kept[#kept + 1] = object
        end
        return object, ...
    end, function()
        for place = #kept, 1, -1 do
            pcall(kept[place].close, kept[place])
        end
    end
end

local function run(side, body)
    local keep, close = keeper()
    local result
    local function whole()
        result = tools.list(body(side.api, keep, side))
    end
    local ok, problem
    if side.in_task then
        local task = helper.spawn(whole)
        ok, problem = task:join(20 * helper.slow)
    else
        ok, problem = pcall(whole)
    end
    close()
    if not ok then
        error(problem, 0)
    end
    return result
end

--- Tests, by `it`, of the rows: name, `body(api, keep, side)`, and the list of what it returns.
--- A row may have `ours`, where the dialect is kinder than the original, or `unless()`, which is
--- true on machines that lack something.
function tools.rows(it, module, rows)
    for _, side in ipairs(sides) do
        local has_module = side.is_ours or theirs[module]
        for _, row in ipairs(rows) do
            if has_module and not (row.unless and row.unless()) then
                it(row[1] .. ", on " .. side.name, function()
                    local expected = side.is_ours and row.ours or row[3]
                    assert.same(expected, run(side, row[2]))
                end)
            end
        end
    end
end

--- A free port of UDP or TCP at 127.0.0.1, as an object of the api was bound to it.
function tools.port(object)
    local _, port = object:getsockname()
    return tonumber(port)
end

return tools
