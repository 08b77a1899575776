-- The list of what is shown where (README.md) names specs that exist: each file that it names is
-- loaded with a `describe` and an `it` that only take down the names.

local helper = require "spec.helper"

local PLACE = "spec/dialects/"

-- The texts of all `it` of a file, as a set.
local function names_in(path)
    local names = {}
    local env = setmetatable({}, { __index = _G })
    env._G = env
    local function nothing() end
    for _, name in ipairs { "setup", "teardown", "before_each", "after_each", "lazy_setup" } do
        env[name] = nothing
    end
    function env.describe(_, body) body() end
    function env.it(name) names[name] = true end
    env.insulate, env.context, env.expose = env.describe, env.describe, env.describe
    helper.load_file(path, env)()
    return names
end

-- `| row | statement | file | it |`, one a line.
local function rows()
    local list = {}
    for line in io.lines(PLACE .. "README.md") do
        local row, file, name = line:match("^| (%d[^|]-) | .- | (%S+_spec%.lua) | (.+) |$")
        if row then
            list[#list + 1] = { chapter = row:match("^%d+"), row = row, file = file,
                name = (name:gsub("\\|", "|")) }
        end
    end
    return list
end

describe("the list of what is shown where", function()
    it("names specs that exist", function()
        local known, missing = {}, {}
        for _, row in ipairs(rows()) do
            local path = PLACE .. row.file
            known[path] = known[path] or names_in(path)
            if not known[path][row.name] then
                missing[#missing + 1] = row.row .. ": " .. row.file .. ": " .. row.name
            end
        end
        assert.equal("", table.concat(missing, "\n"))
    end)

    it("has rows for each of the chapters 4 to 7", function()
        local count = {}
        for _, row in ipairs(rows()) do
            count[row.chapter] = (count[row.chapter] or 0) + 1
        end
        for chapter, least in pairs { ["4"] = 80, ["5"] = 60, ["6"] = 80, ["7"] = 20 } do
            assert.is_true((count[chapter] or 0) >= least,
                ("chapter %s: %d rows"):format(chapter, count[chapter] or 0))
        end
    end)

    it("would miss a spec that is gone", function()
        local names = names_in(PLACE .. "coverage_spec.lua")
        assert.is_true(names["names specs that exist"])
        assert.is_nil(names["no such spec"])
    end)
end)
