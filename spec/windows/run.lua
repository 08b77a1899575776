-- Runs spec files where busted is not to be had: its words, over luassert, in pure Lua.
--
--   lua.exe spec/windows/run.lua [--setup] FILE...
--
-- Prints TAP lines, each with file and full name. What needs Unix (`inapplicable.txt`, or the spec
-- says so by `helper.unix_only`) is said to be so, with its kind; what measures (#figures) is left
-- out, as in the suites of `make test`. With --setup only the blocks `setup` are run: they make the
-- certificates (`spec/peers/openssl.lua`).
-- Not here: which failures are known (`verdict.lua`).

-- The command line's first word, as `arg[-1]` has it, is the interpreter.
local assert_of_luassert = require "luassert"
local lists = require "spec.windows.lists"

local only_setup = arg[1] == "--setup"
if only_setup then
    table.remove(arg, 1)
end
if package.config:sub(1, 1) == "\\" then
    local name = os.tmpname
    -- Windows' C runtime names files in the root of the disk.
    function os.tmpname() -- luacheck: ignore 122
        return os.getenv("TEMP") .. name()
    end
end
local inapplicable = lists.read("spec/windows/inapplicable.txt")

local PENDING = {}
local number, running, block, finallies = 0, false, nil, nil

local function new_block(name, parent)
    return {
        name = name, parent = parent, items = {},
        before_each = {}, after_each = {}, setup = {}, teardown = {},
    }
end

local function with_traceback(problem)
    if problem == PENDING then
        return problem
    elseif type(problem) == "table" and problem.message then
        problem = tostring(problem.message)
    end
    return debug.traceback(tostring(problem), 2)
end

-- The functions of a list in order, until one fails; its problem.
local function call_all(list)
    for _, fn in ipairs(list) do
        local ok, problem = xpcall(fn, with_traceback)
        if not ok then
            return problem
        end
    end
end

-- What the block and those around it have under that name; the outermost first, or last.
local function gather(of, name, outermost_first)
    local found = {}
    while of do
        for place, fn in ipairs(of[name]) do
            table.insert(found, outermost_first and place or #found + 1, fn)
        end
        of = of.parent
    end
    return found
end

local function full_name(of, name)
    while of and of.parent do
        name = of.name .. " " .. name
        of = of.parent
    end
    return name
end

local function report(ok, file, name, problem)
    number = number + 1
    io.write(("%s %d - %s: %s\n"):format(ok and "ok" or "not ok", number, file, name))
    if problem then
        io.write("# ", (problem:sub(1, 1500):gsub("\n", "\n# ")), "\n")
    end
    io.flush()
end

local function run_item(file, item, broken)
    local name = full_name(item.block, item.name)
    if name:find("#figures", 1, true) then
        return
    end
    local kind = lists.reason(inapplicable, file, name)
    if kind then
        io.write(("# does not apply: %s - %s: %s\n"):format(kind, file, name))
        return
    end
    finallies = {}
    local problem = broken or call_all(gather(item.block, "before_each", true))
    if not problem then
        running = true
        problem = call_all { item.fn }
        running = false
    end
    local lack = problem and problem ~= PENDING and problem:match("^needs Unix: ([^\n]*)")
    problem = problem or call_all(finallies)
    problem = call_all(gather(item.block, "after_each")) or problem
    if problem == PENDING then
        problem = "pending: nothing is skipped silently"
    end
    if lack then
        io.write(("# does not apply: %s - %s: %s\n"):format(lack, file, name))
        return
    end
    report(not problem, file, name, problem)
end

-- Whether any spec of the block is to be run: else its setup is left alone, too.
local function applies(file, of)
    for _, item in ipairs(of.items) do
        if item.items and applies(file, item)
            or item.fn and not lists.reason(inapplicable, file, full_name(of, item.name))
        then
            return true
        end
    end
end

local function run_block(file, of, broken)
    if not applies(file, of) then
        of.setup, of.teardown = {}, {}
    end
    broken = call_all(of.setup) or broken
    for _, item in ipairs(of.items) do
        if item.items then
            run_block(file, item, broken)
        elseif not only_setup then
            run_item(file, item, broken)
        elseif broken then
            error(broken, 0)
        end
    end
    if only_setup then
        return
    end
    local problem = call_all(of.teardown)
    if problem then
        report(false, file, full_name(of, "(teardown)"), problem)
    end
end

local words = _G
words.assert = assert_of_luassert

function words.describe(name, fn)
    local inner = new_block(name, block)
    table.insert(block.items, inner)
    block = inner
    local ok, problem = xpcall(fn, with_traceback)
    block = inner.parent
    if not ok then
        local function raise()
            error(problem, 0)
        end
        table.insert(inner.items, { name = "(describe)", fn = raise, block = inner })
    end
end

function words.it(name, fn)
    table.insert(block.items, { name = name, fn = fn, block = block })
end

function words.pending(name)
    local function raise()
        error(PENDING, 0)
    end
    if running then
        raise()
    end
    words.it(name, raise)
end

for _, name in ipairs { "before_each", "after_each", "setup", "teardown" } do
    words[name] = function(fn)
        table.insert(block[name], fn)
    end
end
words.lazy_setup, words.lazy_teardown = words.setup, words.teardown
words.strict_setup, words.strict_teardown = words.setup, words.teardown

function words.finally(fn)
    table.insert(finallies, fn)
end

for _, file in ipairs(arg) do
    block = new_block(file)
    local kind = lists.reason(inapplicable, file, "(all of it)")
    local chunk, problem = loadfile(file)
    if chunk and not kind then
        problem = call_all { chunk }
    end
    if kind then
        io.write(("# does not apply: %s - %s: (all of it)\n"):format(kind, file))
    elseif problem then
        report(false, file, "(loading)", problem)
    else
        run_block(file, block)
    end
end
io.write(("1..%d\n"):format(number))
io.flush()
os.exit(true)
