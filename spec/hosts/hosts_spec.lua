-- evsock in other loops: each recipe of examples/hosts in its real host, in a child process. For
-- an interpreter that Debian has no package of a host for, that host's tests do not exist.

local helper = require "spec.helper"

-- What was measured is best of so many runs: the machine may be busy with something else.
local RUNS = 3
local LATENESS_MS = 20
-- Of the processor while nothing happens: a loop that spins uses all of it.
local QUIET_SHARE = 0.25

local luas = { "Lua 5.1", "Lua 5.2", "Lua 5.3", "Lua 5.4" } -- LuaJIT says Lua 5.1

local hosts = {
    { name = "luv", luas = luas },
    { name = "cqueues", luas = luas },
    { name = "copas", luas = { "Lua 5.1", "Lua 5.2" } },
    { name = "select", luas = luas },
    {
        name = "neovim",
        luajit_only = true,
        command = "nvim --headless --clean -c 'lua assert(loadfile([[%s]]))(%s)'",
    },
    {
        name = "love",
        recipe = "examples/hosts/love/main.lua",
        measured = "spec/hosts/love/main.lua",
        draws = true,
        luajit_only = true,
        command = "ALSOFT_DRIVERS=null xvfb-run -a timeout -k 1 30 love %s",
    },
}

local function exists(host)
    if host.luajit_only then
        return helper.is_luajit
    end
    for _, version in ipairs(host.luas) do
        if version == helper.version then
            return true
        end
    end
    return false
end

-- For hosts that are programs of their own. They find the module as this process does.
local function shell(command)
    local pipe = assert(io.popen(("LUA_CPATH='%s' timeout -k 1 40 sh -c \"%s\" 2>&1 </dev/null;"
        .. " echo \"status:$?\""):format(package.cpath, command), "r"))
    local said = pipe:read("*a")
    pipe:close()
    local text, status = said:match("^(.*)status:(%d+)%s*$")
    return text, tonumber(status)
end

-- The recipe by itself, or the measured run: that takes the name of the recipe.
local function run(host, path, argument)
    if host.draws then
        return shell(host.command:format(path:match("^(.*)/")))
    elseif host.command then
        return shell(host.command:format(path, argument and "[[" .. argument .. "]]" or ""))
    end
    return helper.run(("assert(loadfile(%q))(%s)"):format(path,
        argument and ("%q"):format(argument) or ""))
end

local function recipe_of(host)
    return host.recipe or ("examples/hosts/with_%s.lua"):format(host.name)
end

local function count(text, word)
    local _, times = text:gsub(word, "")
    return times
end

local PATTERN = "(%d+) echoes in [%d.]+ s, (%d+) ticks, the latest (%-?[%d.]+) ms late;"
    .. " (%d+) ms of CPU in (%d+) ms of quiet"

local function measure(host)
    local said, status = run(host, host.measured or "spec/hosts/drive.lua", host.name)
    assert.equal(0, status, said)
    local echoes, ticks, latest, cpu, quiet = said:match(PATTERN)
    assert(echoes, said)
    print(("# %s on %s: %s"):format(host.name, helper.is_luajit and "LuaJIT" or helper.version,
        said:match("%d+ echoes[^\n]*")))
    return {
        echoes = tonumber(echoes),
        ticks = tonumber(ticks),
        latest = tonumber(latest),
        share = tonumber(cpu) / tonumber(quiet),
    }
end

local function stays_punctual(host)
    local latest, share = math.huge, math.huge
    for _ = 1, RUNS do
        local one = measure(host)
        assert.equal(1000, one.echoes)
        assert.is_true(one.ticks > 0)
        latest = math.min(latest, one.latest)
        -- A game draws its frames whether or not anything happens.
        share = math.min(share, host.draws and 0 or one.share)
        if latest < LATENESS_MS and share < QUIET_SHARE then
            return
        end
    end
    error(("the host's timer was %.1f ms late, silence took %.0f %% of the processor"):format(
        latest, share * 100))
end

for _, host in ipairs(hosts) do
    if exists(host) then
        describe("in the loop of " .. host.name, function()
            it("#figures: 1,000 echoes pass, the host's timers stay punctual, silence is free",
                function()
                    stays_punctual(host)
                end)

            it("the recipe runs as it is and ends by itself", function()
                local said, status = run(host, recipe_of(host))
                assert.equal(0, status, said)
                assert.is_true(count(said, "echo%s") >= 3, said)
            end)
        end)
    end
end

describe("the recipes for other loops", function()
    it("have at most 40 lines each and a row in the table", function()
        local file = assert(io.open("examples/hosts/README.md"))
        local readme = file:read("*a")
        file:close()
        for _, host in ipairs(hosts) do
            local path = recipe_of(host)
            local lines = 0
            for _ in io.lines(path) do
                lines = lines + 1
            end
            assert.is_true(lines <= 40, ("%s has %d lines"):format(path, lines))
            local own = path:match("hosts/(.*)$")
            assert.is_truthy(readme:find(own:gsub("main.lua$", ""), 1, true), own)
        end
    end)
end)
