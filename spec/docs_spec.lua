-- What the documents show is run as printed, on the interpreter that runs the specs.

local helper = require "spec.helper"

local function read(path)
    local file = assert(io.open(path))
    local text = file:read("*a")
    file:close()
    return text
end

describe("the documents", function()
    after_each(helper.finish)

    it("README: the example prints what the text says", function()
        local readme = read("README.md")
        local code = assert(readme:match("```lua\n(.-)```"))
        local promised = assert(readme:match("it prints `(.-)`"))
        local said, status = helper.run(code)
        assert.equal(promised, (said:gsub("%s+$", "")))
        assert.is_true(status == 0 or status == true)
    end)

    it("README: the example has at most 15 lines", function()
        local code = read("README.md"):match("```lua\n(.-)```")
        local lines = 0
        for line in code:gmatch("[^\n]+") do
            lines = lines + (line:find("%S") and 1 or 0)
        end
        assert.is_true(lines <= 15)
    end)

    local list = io.popen("ls examples/*.lua")
    for path in list:lines() do
        it("examples: " .. path .. " ends well and says on its first line what it shows", function()
            local code = read(path)
            assert.is_truthy(code:match("^%-%- %u"))
            local said, status = helper.run(code)
            assert.is_true(status == 0 or status == true, said)
            assert.is_true(#said > 0)
        end)
    end
    list:close()
end)
