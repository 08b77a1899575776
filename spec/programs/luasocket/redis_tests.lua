-- The tests that Debian ships with lua-redis. They are written for a test framework that it does
-- not have; what they use of that is here. Word: their file (a copy). Prints the names of those
-- that fail and why, then how many passed.

local _, path = ...

local context = { tests = {} }
local all = {}

function _G.context(name, body)
    local outer = context
    context = { outer = outer, name = name }
    body()
    context = outer
end

function _G.before(fn) context.before = fn end
function _G.after(fn) context.after = fn end

function _G.test(name, body)
    all[#all + 1] = { name = name, body = body, context = context }
end

local framework = {}

--- Sets `assert_NAME` and `assert_not_NAME`; `holds` gets what these get.
function framework.make_assertion(name, text, holds)
    _G["assert_" .. name] = function(...)
        if not holds(...) then
            local one, other = ...
            error(("expected %s: %s, %s"):format(text, tostring(one), tostring(other)), 2)
        end
    end
    _G["assert_not_" .. name] = function(...)
        if holds(...) then
            error(("did not expect %s: %s"):format(text, tostring((...))), 2)
        end
    end
end

for name, holds in pairs {
    ["equal"] = function(one, other) return one == other end,
    ["true"] = function(value) return value == true end,
    ["false"] = function(value) return value == false end,
    ["nil"] = function(value) return value == nil end,
    ["type"] = function(value, wanted) return type(value) == wanted end,
    ["empty"] = function(value) return next(value) == nil end,
    ["error"] = function(fn) return not pcall(fn) end,
    ["lte"] = function(one, other) return one <= other end,
    ["gte"] = function(one, other) return one >= other end,
    ["greater_than"] = function(one, other) return one > other end,
} do
    framework.make_assertion(name, name, holds)
end

package.loaded.telescope = framework
-- Their helper that sleeps takes it for a global.
_G.socket = require "socket"
dofile(path)

-- Those of the outer contexts come first.
local function call_before(place)
    if place.outer then
        call_before(place.outer)
    end
    if place.before then
        place.before()
    end
end

local function call_after(place)
    if place.after then
        place.after()
    end
    if place.outer then
        call_after(place.outer)
    end
end

local function run(test)
    return pcall(function()
        call_before(test.context)
        test.body()
        call_after(test.context)
    end)
end

-- Some wait just as long as a key lives, compare seconds of the clock, or need a command that was
-- slow: they may fail by chance.
local function attempts(test)
    for _, word in ipairs { "EXPIRE", "timeout", "SLOWLOG" } do
        if test.name:find(word) then
            return 3
        end
    end
    return 1
end

local passed = 0
for _, test in ipairs(all) do
    local ok, problem
    for _ = 1, attempts(test) do
        ok, problem = run(test)
        if ok then
            passed = passed + 1
            break
        end
    end
    if not ok then
        print("failed", (test.name:match("^[^(]*%w")), tostring(problem):match("[^\n]*"))
    end
end
print("passed", passed)
