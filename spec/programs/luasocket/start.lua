-- Runs a program that is written for LuaSocket: on the dialect, in a task or outside of any, or on
-- LuaSocket itself, which shows that the program is right. The program is a chunk that gets its
-- words and this table. Not here: anything that the program could notice; LuaSocket's own Lua
-- files and all libraries are those that are installed.
--
-- usage: start.lua task|plain|debian PROGRAM WORD...

local kind, path = arg[1], arg[2]
local words = {}
for i = 3, #arg do
    words[#words + 1] = arg[i]
end
-- What reads the output sees it at once.
io.stdout:setvbuf("no")

local evsock
if kind ~= "debian" then
    evsock = require "evsock"
    require("evsock.luasocket").install()
end
if kind == "task" then
    -- Before the libraries, which may keep what they find. Only Lua 5.1 needs other protected
    -- calls.
    evsock.adopt()
    _G.pcall, _G.xpcall = evsock.pcall, evsock.xpcall
end

local start = { kind = kind }

--- Calls `fn(1)` to `fn(count)`: at once in tasks, one after the other where there are none.
function start.together(count, fn)
    local tasks = {}
    for i = 1, count do
        if kind == "task" then
            tasks[i] = evsock.spawn(fn, i)
        else
            fn(i)
        end
    end
    for _, task in ipairs(tasks) do
        assert(task:join())
    end
end

local function read_file(name)
    local file = assert(io.open(name, "rb"))
    local text = file:read("*a")
    file:close()
    return text
end

-- Which libraries this process has loaded: the sockets of one side alone.
local function check_loaded()
    local maps = read_file("/proc/self/maps")
    local foreign = kind == "debian" and "/evsock%.so" or "/liblua[%d.]+%-soc?ket"
    assert(not maps:find(foreign), "the sockets of the other side are loaded, too")
    assert(kind == "debian" or not maps:find("/liblua[%d.]+%-sec"), "LuaSec is loaded")
end

local program = assert(loadfile(path))
local unpack = table.unpack or rawget(_G, "unpack")

local function run()
    _G.arg = words
    words[0] = path
    program(start, unpack(words))
    check_loaded()
end

local function failed(problem)
    return debug.traceback(tostring(problem), 2)
end

local ok, problem
if kind == "task" then
    local task = evsock.spawn(function()
        ok, problem = evsock.xpcall(run, failed)
    end)
    while not task.done do
        evsock.pump(0.1)
    end
else
    ok, problem = xpcall(run, failed)
end
if not ok then
    io.stderr:write(tostring(problem), "\n")
    os.exit(1)
end
os.exit(0)
