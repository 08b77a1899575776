-- A finaliser that ran at the end of the Lua state behind those of the library, and required one of
-- its modules for the first time there, or required it again, crashed the process on every Lua: the
-- loaders went to a machinery that was gone. Everything else said "the Lua state is being closed".

local helper = require "spec.helper"

-- What was made first is finalised last. The state is closed at the script's end.
local SCRIPT = [[
local first, last
local at_the_end = require("spec.child").when_collected
local function try(name)
    local ok, problem = pcall(require, name)
    io.stdout:write(name, " ", type(problem) == "string" and problem or type(problem), "\n")
    return ok
end
local loaders = {}
first = at_the_end(function()
    if WHAT == "again" then
        for name in pairs(package.loaded) do
            if name:find("^evsock") then package.loaded[name] = nil end
        end
        for name in pairs(package.preload) do
            if name:find("^evsock") then package.preload[name] = nil end
        end
    elseif WHAT == "kept" then
        for name, load in pairs(loaders) do
            local ok, problem = pcall(load, name)
            io.stdout:write(name, " ", type(problem) == "string" and problem or type(problem), "\n")
        end
        return
    elseif WHAT == "first" then
        -- Nothing of the library was there before: there is nothing to have come to an end.
        print(pcall(require, "evsock"))
        return
    end
    for _, name in ipairs { "evsock", "evsock.qsys", "evsock.pharos", "evsock.renoise",
        "evsock.hammerspoon" } do
        try(name)
    end
end)
if WHAT ~= "first" then
    local evsock = require "evsock"
    for name, load in pairs(package.preload) do
        loaders[name] = load
    end
    evsock.listen("127.0.0.1", 0, { on_data = function() end })
    evsock.pump()
end
_G.first, _G.last = first, last
]]

local ENDED = "evsock: the Lua state is being closed"

local function lines_of(what)
    local output, status = helper.run(("WHAT = %q\n"):format(what) .. SCRIPT)
    local lines = {}
    for name, text in output:gmatch("(%S+) ([^\n]*)\n") do
        lines[name] = text
    end
    return lines, status, output
end

describe("regress 040", function()
    local names = {
        "evsock.qsys", "evsock.pharos", "evsock.renoise", "evsock.hammerspoon",
    }

    -- Each of those is refused at the end, in the way of that name.
    local function assert_refused(what, refused)
        local lines, status, output = lines_of(what)
        assert.equal(0, status, output)
        for _, name in ipairs(refused) do
            assert.is_truthy((lines[name] or output):find(ENDED, 1, true), output)
        end
    end

    it("a dialect that is required first when the state ends says so", function()
        assert_refused("dialects", names)
    end)

    it("so does everything that is required once more", function()
        assert_refused("again", { "evsock", names[1], names[2], names[3], names[4] })
    end)

    it("so does a loader that was kept", function()
        assert_refused("kept", names)
    end)

    -- On 5.1 and LuaJIT the library left the process before the last finalisers, if nothing had
    -- been opened.
    it("what was made and never opened can be looked at to the last", function()
        local output, status = helper.run([[
            local compiled, idle
            local function look()
                print(pcall(tostring, compiled))
                print(pcall(function() return compiled.field, compiled == idle end))
                print(pcall(tostring, idle))
                print(pcall(function() return idle:read() end))
                print(pcall(function() return getmetatable(idle).__gc(idle) end))
            end
            early = require("spec.child").when_collected(look)
            compiled = require "evsock".tls { verify = false }
            idle = require "evsock".socket()
        ]])
        assert.equal(0, status, output)
        local answers = 0
        for line in output:gmatch("[^\n]+") do
            answers = answers + (line:find("^true") and 1 or line:find("^false") and 1 or 0)
        end
        assert.equal(5, answers, output)
    end)

    it("the library may even come in only then", function()
        local _, status, output = lines_of "first"
        assert.equal(0, status, output)
        assert.is_truthy(output:find("^true\ttable"), output)
    end)
end)
